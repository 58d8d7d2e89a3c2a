//! Authenticates OAuth 1.0 requests (RFC 5849) signed with HMAC-SHA256 or RSA-SHA256, which are §3.4.2 and §3.4.3 with
//! SHA-256 instead of the broken SHA-1. The consumer key is the name of one of a client's signature keys. Disabled
//! unless an API accepts this kind of credential.
//!
//! See also `gate::oauth1`, which parses such a request; [`super::signature`], the current signature scheme.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use super::signature::{NODE_CLOCK_SKEW_SECONDS, once};
use super::{AuthenticationError, AuthenticationResult, client_identity, invalid};
use crate::domain::api::Api;
use crate::domain::gate::CredentialKind;
use crate::domain::signature_key::{KeyId, KeyMaterial, SignatureAlg, SignatureKey};
use crate::gate::Gate;
use crate::gate::decision::{Denial, Reason};
use crate::gate::forwarded_request::ForwardedRequest;
use crate::gate::headers::Headers;
use crate::gate::oauth1::{OAuth1Parameters, encoded};
use crate::keys::signature_key::verify_rsa_sha256;
use crate::protocol::error::Result;

/// The maximum difference in seconds between the timestamp and the current time, in either direction (§3.3).
const TIMESTAMP_WINDOW_SECONDS: i64 = 300;

fn denied(reason: Reason, text: &str) -> AuthenticationError {
    AuthenticationError::Denied(Denial::new(reason, format!("OAuth 1.0: {text}.")))
}

impl Gate {
    pub(super) async fn authenticate_oauth1(
        &self,
        api: &Api,
        original: &ForwardedRequest,
        fields: &Headers<'_>,
        header: &str,
    ) -> Result<AuthenticationResult> {
        let (store, now) = (&self.provider.store, self.provider.env.now());
        let said = match OAuth1Parameters::read(header) {
            Ok(said) => said,
            Err(problem) => return Ok(Err(denied(Reason::MalformedCredential, problem))),
        };
        if OAuth1Parameters::has_reserved_in_query(original) {
            let text =
                "a parameter whose name begins with oauth_ stands in the query; it belongs in the Authorization header";
            return Ok(Err(denied(Reason::MalformedCredential, text)));
        }
        let form = fields.all("content-type").any(|value| {
            let kind = value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
            kind.eq_ignore_ascii_case(b"application/x-www-form-urlencoded")
        });
        if form {
            let text = "the parameters of a form's body are signed and are not seen here; send another content type";
            return Ok(Err(denied(Reason::InvalidCredential, text)));
        }
        if said.timestamp.abs_diff(now.seconds()) > TIMESTAMP_WINDOW_SECONDS.unsigned_abs() {
            let text = "oauth_timestamp differs from the present time by more than 5 minutes";
            return Ok(Err(denied(Reason::InvalidCredential, text)));
        }
        let Ok(name) = KeyId::try_from(said.consumer_key.clone()) else { return Ok(Err(invalid())) };
        let Some(owner) = store.authority().signer(store, &name).await? else { return Ok(Err(invalid())) };
        let client = store.authority().client(store, &owner).await?.filter(|client| !client.disabled);
        let Some(client) = client else { return Ok(Err(invalid())) };
        let key = client.signature_keys.iter().find(|key| key.keyid == name);
        if !key.is_some_and(|key| self.is_signed_by(key, &said, original)) {
            return Ok(Err(invalid()));
        }
        let digest = once(&format!("oauth1 {}", said.timestamp), &said.consumer_key, &said.nonce);
        let until =
            now.plus_seconds(said.timestamp + TIMESTAMP_WINDOW_SECONDS + NODE_CLOCK_SKEW_SECONDS - now.seconds());
        if !store.use_once(digest, until).await? {
            return Ok(Err(denied(Reason::InvalidCredential, "the request was sent before: its nonce is good once")));
        }
        Ok(Ok(client_identity(CredentialKind::Oauth1, api, &client)))
    }

    fn is_signed_by(&self, key: &SignatureKey, said: &OAuth1Parameters, original: &ForwardedRequest) -> bool {
        let Ok(signature) = STANDARD.decode(&said.signature) else { return false };
        let base = said.base_string(original);
        match (key.alg, &key.material, said.signature_method.as_str()) {
            (SignatureAlg::HmacSha256, KeyMaterial::SealedSecret(sealed), "HMAC-SHA256") => {
                let Some(secret) = self.provider.master.open_shared_secret(&key.keyid, sealed) else { return false };
                // §3.4.2: both secrets, encoded. There is no token, so its secret is empty.
                let secret = zeroize::Zeroizing::new(format!("{}&", encoded(&secret)));
                // Compares in constant time.
                Hmac::<Sha256>::new_from_slice(secret.as_bytes())
                    .is_ok_and(|mac| mac.chain_update(base).verify_slice(&signature).is_ok())
            }
            (SignatureAlg::RsaV15Sha256, KeyMaterial::Jwk(jwk), "RSA-SHA256") => {
                verify_rsa_sha256(jwk, base.as_bytes(), &signature)
            }
            _ => false,
        }
    }
}
