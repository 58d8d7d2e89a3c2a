//! ID tokens (OpenID Connect Core §2, §3.1.3.6).

use serde::{Deserialize, Serialize};

use super::Provider;
use super::error::Result;
use crate::domain::algorithms::SigningAlg;
use crate::domain::authorization::{Acr, Authorization};
use crate::domain::ids::{ClientId, SessionId, UserId};
use crate::keys::jwt::{self, JwtType};

#[derive(Debug, Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: String,
    aud: &'a ClientId,
    exp: i64,
    iat: i64,
    auth_time: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'a str>,
    acr: Acr,
    amr: &'static [&'static str],
    sid: SessionId,
    #[serde(skip_serializing_if = "Option::is_none")]
    at_hash: Option<String>,
}

/// What one of our ID tokens says as a hint; it may have expired (OpenID Connect Core §3.1.2.1).
#[derive(Debug, Deserialize)]
pub struct Hint {
    iss: String,
    pub sub: UserId,
    pub aud: ClientId,
    pub sid: SessionId,
}

impl Provider {
    /// An ID token; nothing where no person signed in.
    pub fn id_token(
        &self,
        alg: SigningAlg,
        authorization: &Authorization,
        access_token: Option<&str>,
    ) -> Result<Option<String>> {
        let Some(sign_in) = &authorization.sign_in else { return Ok(None) };
        let now = self.env.now();
        let claims = Claims {
            iss: self.issuer.as_str(),
            sub: authorization.sub(),
            aud: &authorization.client,
            exp: now.seconds() + self.lifetimes.id_token,
            iat: now.seconds(),
            auth_time: sign_in.auth_time.seconds(),
            nonce: authorization.nonce.as_deref(),
            acr: sign_in.method.acr(),
            amr: sign_in.method.amr(),
            sid: sign_in.session,
            at_hash: access_token.map(|token| jwt::half_hash(alg, token)),
        };
        Ok(Some(jwt::sign(&self.keys, alg, JwtType::IdToken, &claims)?))
    }

    /// What an `id_token_hint` says, where it is one of ours.
    pub fn read_hint(&self, token: &str) -> Option<Hint> {
        jwt::verify::<Hint>(&self.keys, JwtType::IdToken, token).filter(|hint| hint.iss == self.issuer.as_str())
    }
}
