//! What is kept of a client's secret: a keyed, salted hash; or, where HMAC needs the secret back (client_secret_jwt,
//! HS256: OpenID Connect Core §9, §10.1), the secret itself, sealed under the master key.

use subtle::ConstantTimeEq as _;

use super::master::{MasterKey, Purpose};
use super::{KeyError, seal};
use crate::domain::client::ClientSecretAtRest;
use crate::domain::secret::{Secret, base64url, from_base64url};
use crate::env::Env;

const USAGE: &str = "client-secret";

impl MasterKey {
    /// The form to keep: sealed where the client `needs_it_back`, else hashed.
    pub fn keep_client_secret(
        &self,
        env: &Env,
        secret: &Secret,
        needs_it_back: bool,
    ) -> Result<ClientSecretAtRest, KeyError> {
        if needs_it_back { self.seal_client_secret(secret) } else { Ok(self.hash_client_secret(env, secret)) }
    }

    /// A random salt and a keyed hash. Secrets have at least 32 characters, so a slow hash would only slow every token
    /// request.
    pub fn hash_client_secret(&self, env: &Env, secret: &Secret) -> ClientSecretAtRest {
        let salt = env.random::<16>();
        let hash = self.mac(Purpose::ClientSecret, &[&salt, secret.expose().as_bytes()]);
        ClientSecretAtRest(format!("{}{}${}", ClientSecretAtRest::HASHED, base64url(&salt), base64url(&hash)))
    }

    /// The secret, so that only this master key gets it back.
    pub fn seal_client_secret(&self, secret: &Secret) -> Result<ClientSecretAtRest, KeyError> {
        let sealed = seal::seal(self, USAGE, secret.expose().as_bytes())?;
        Ok(ClientSecretAtRest(format!("{}{sealed}", ClientSecretAtRest::SEALED)))
    }

    /// Whether `presented` is the secret, in a time that does not depend on where it differs.
    pub fn verify_client_secret(&self, kept: &ClientSecretAtRest, presented: &str) -> bool {
        if let Some(secret) = self.open_client_secret(kept) {
            // Hashes have one length, whatever the secrets have.
            let hash = |text: &str| self.mac(Purpose::ClientSecret, &[text.as_bytes()]);
            return hash(secret.expose()).ct_eq(&hash(presented)).into();
        }
        let hash = kept.0.strip_prefix(ClientSecretAtRest::HASHED).and_then(|rest| rest.split_once('$'));
        let Some((salt, kept)) = hash.and_then(|(salt, kept)| Some((from_base64url(salt)?, from_base64url(kept)?)))
        else {
            return false;
        };
        self.mac(Purpose::ClientSecret, &[&salt, presented.as_bytes()]).ct_eq(kept.as_slice()).into()
    }

    /// The secret itself, where it was sealed by this master key.
    pub fn open_client_secret(&self, kept: &ClientSecretAtRest) -> Option<Secret> {
        let plain = seal::open(self, USAGE, kept.0.strip_prefix(ClientSecretAtRest::SEALED)?).ok()?;
        String::from_utf8(plain).ok().map(Secret::new)
    }
}
