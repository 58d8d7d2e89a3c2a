//! `X-Gate-Token`: what the gate has found out, as a JWT that the API verifies by our published keys like any access token
//! (RFC 9068). It makes opaque tokens, keys and signatures verifiable there. For one API and a minute, and for nobody
//! else: we do not take it back (`protocol::access_token` refuses what has the claim `gate`).

use serde::Serialize;

use super::Gate;
use super::decision::Identity;
use crate::domain::algorithms::SigningAlg;
use crate::domain::api::Api;
use crate::domain::authorization::Acr;
use crate::domain::gate::GateName;
use crate::env::Timestamp;
use crate::keys::jwt::{self, JwtType};
use crate::protocol::error::Result;

const TOKEN_TTL_SECONDS: i64 = 60;

#[derive(Serialize)]
struct GateTokenClaims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    exp: i64,
    iat: i64,
    jti: String,
    /// The gate's own where a person has a key or a session and no client is between: a reader takes a subject that is the
    /// client for one that acts for itself (RFC 9068 §5).
    client_id: String,
    scope: String,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    groups: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    acr: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_time: Option<i64>,
    /// Ours: by which gate.
    gate: &'a str,
    /// Ours: how they proved who they are.
    way: &'static str,
}

impl Gate {
    /// The token for the API behind the gate.
    pub fn upstream_token(&self, api: &Api, who: &Identity) -> Result<String> {
        let provider = &self.provider;
        let now = provider.env.now().seconds();
        let gate = api.gate.as_ref().map(GateName::as_str).unwrap_or_default();
        let claims = GateTokenClaims {
            iss: provider.issuer.as_str(),
            sub: &who.subject,
            aud: api.identifier.as_str(),
            exp: now + TOKEN_TTL_SECONDS,
            iat: now,
            jti: provider.env.uuid().to_string(),
            client_id: who.client.as_ref().map_or_else(|| format!("gate:{gate}"), ToString::to_string),
            scope: who.scopes.to_string(),
            groups: who.groups(),
            acr: who.acr.map(Acr::as_str),
            auth_time: who.auth_time.map(Timestamp::seconds),
            gate,
            way: who.credential_kind.as_str(),
        };
        Ok(jwt::sign(&provider.keys, SigningAlg::ES256, JwtType::AccessToken, &claims)?)
    }
}
