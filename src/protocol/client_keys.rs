//! What is signed for a client and encrypted to it, by the algorithms that it registered (OpenID Connect Core §10), and
//! the keys by which its own signatures are verified.
//!
//! Next door: `keys::client_jws` and `keys::encryption`, which do it; `keys::remote`, keys at a `jwks_uri`.

use std::sync::Arc;

use serde::Serialize;

use super::Provider;
use super::error::{ErrorCode, OAuthError, Result};
use crate::domain::algorithms::{ContentEncryption, KeyManagementAlg, SigningAlg};
use crate::domain::client::Client;
use crate::domain::jwks::JwkSet;
use crate::domain::secret::Secret;
use crate::keys::client_jws::{self, Unverified, Verified};
use crate::keys::encryption;
use crate::keys::jwt::{self, JwtType};

impl Provider {
    /// A client's public keys, with the key `kid` among them where it can be had.
    pub async fn client_keys(&self, client: &Client, kid: Option<&str>) -> Option<Arc<JwkSet>> {
        match (&client.meta.jwks, &client.meta.jwks_uri) {
            (Some(keys), _) => Some(Arc::new(keys.clone())),
            (None, Some(uri)) => {
                self.remote_keys.get(client.id.as_str(), uri.as_str(), kid.into(), self.env.now()).await
            }
            (None, None) => None,
        }
    }

    /// Its secret, where one is kept that gives itself back.
    pub fn client_secret(&self, client: &Client) -> Option<Secret> {
        self.master.open_client_secret(client.secret.as_ref()?)
    }

    /// Verifies what the client signed with one of the algorithms in `allowed`.
    pub async fn verify_of_client(
        &self,
        client: &Client,
        token: &str,
        allowed: &[SigningAlg],
    ) -> std::result::Result<Verified, &'static str> {
        let header = client_jws::peek_header(token).ok_or("it is no signed JWT")?;
        let named = |name| header.get(name).and_then(|value: &serde_json::Value| value.as_str());
        let alg = named("alg").and_then(SigningAlg::parse).filter(|alg| allowed.contains(alg));
        if alg.ok_or("its algorithm is not the client's")? == SigningAlg::HS256 {
            let secret = self.client_secret(client).ok_or("the client has no secret for a MAC")?;
            return client_jws::verify_mac(token, &secret).map_err(told);
        }
        let keys = self.client_keys(client, named("kid")).await.ok_or("the client's keys cannot be had")?;
        client_jws::verify(token, allowed, &keys).map_err(told)
    }

    /// Signs for the client, and encrypts the signed JWT to it where it asks for that (RFC 7519 §11.2).
    pub async fn sign_and_encrypt(
        &self,
        client: &Client,
        alg: SigningAlg,
        encryption: Option<(KeyManagementAlg, Option<ContentEncryption>)>,
        typ: JwtType,
        claims: &impl Serialize,
    ) -> Result<String> {
        let secret = if alg == SigningAlg::HS256 { self.client_secret(client) } else { None };
        let signed = jwt::sign_for_client(&self.keys, alg, typ, claims, secret.as_ref())?;
        match encryption {
            None => Ok(signed),
            Some((alg, enc)) => self.encrypt(client, &signed, alg, enc).await,
        }
    }

    /// Encrypts to the client; A128CBC-HS256 where it does not say how (OpenID Connect Registration §2).
    pub async fn encrypt(
        &self,
        client: &Client,
        signed: &str,
        alg: KeyManagementAlg,
        enc: Option<ContentEncryption>,
    ) -> Result<String> {
        // The app's own fault, and nothing that trying again mends.
        let unfit = |cause: String| {
            OAuthError::new(ErrorCode::InvalidRequest, "The client has no key to which the answer can be encrypted.")
                .because(cause)
        };
        let keys = self.client_keys(client, None).await.ok_or_else(|| unfit("its keys cannot be had".into()))?;
        encryption::encrypt_to_client(signed, &keys, alg, enc.unwrap_or(ContentEncryption::A128CbcHs256))
            .map_err(|error| unfit(error.to_string()))
    }
}

fn told(error: Unverified) -> &'static str {
    match error {
        Unverified::UnknownKey => "no key of the client's fits",
        Unverified::Refused(why) => why,
    }
}
