//! `X-Gate-Token`: the authenticated identity as a JWT, which the API verifies with the published keys like any access
//! token (RFC 9068). With it an API can verify callers that use opaque tokens, keys or signatures. It is issued for one
//! API and is valid for a minute. This server does not accept it (`protocol::access_token` rejects tokens with the
//! claim `gate`).

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
    /// The client, or the gate's own id if a user has presented a key or session and there is no client. It must differ
    /// from the subject, because a subject equal to the client denotes a client that acts on its own behalf (RFC 9068
    /// §5).
    client_id: String,
    scope: String,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    groups: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    acr: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_time: Option<i64>,
    /// A claim of this server: the gate that issued the token.
    gate: &'a str,
    /// A claim of this server: the kind of credential that the caller presented.
    way: &'static str,
}

impl Gate {
    /// Returns the token for the API behind the gate.
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
