//! What is kept of a client's secret: a keyed, salted hash; or, where HMAC needs the secret back (`client_secret_jwt`,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::samples::{master, other_master};

    const SECRET: &str = "a secret of more than thirty-two characters";

    #[test]
    fn both_forms_know_the_secret_and_one_gives_it_back() {
        let (env, secret) = (Env::system(), Secret::new(SECRET.to_owned()));
        for sealed in [false, true] {
            let kept = master().keep_client_secret(&env, &secret, sealed).unwrap();
            assert!(kept.has_our_form() && kept.is_sealed() == sealed && !kept.0.contains(SECRET));
            assert!(master().verify_client_secret(&kept, SECRET));
            for wrong in ["", "a", SECRET.trim_start_matches("a "), &format!("{SECRET} ")] {
                assert!(!master().verify_client_secret(&kept, wrong), "{wrong}");
            }
            assert!(!other_master().verify_client_secret(&kept, SECRET));
            let back = master().open_client_secret(&kept).map(|secret| secret.expose().to_owned());
            assert_eq!(back.as_deref(), sealed.then_some(SECRET));
            assert!(other_master().open_client_secret(&kept).is_none());
            let again = master().keep_client_secret(&env, &secret, sealed).unwrap();
            assert_ne!(kept, again, "a salt of its own, or an initialization vector");
        }
    }

    #[test]
    fn a_form_that_is_not_ours_matches_nothing() {
        let ticket = seal::seal(&master(), "ticket", SECRET.as_bytes()).unwrap();
        let hash = base64url(&[0; 32]);
        let of_another_use = format!("sealed${ticket}");
        for form in
            ["", "hmac-sha256$", "sealed$", "sealed$a.b.c", "hmac-sha256$$", "plain$secret", SECRET, &of_another_use]
        {
            let kept = ClientSecretAtRest(form.to_owned());
            assert!(!master().verify_client_secret(&kept, SECRET), "{form}");
            assert!(!master().verify_client_secret(&kept, ""), "{form}");
            assert!(master().open_client_secret(&kept).is_none(), "{form}");
            assert!(form == of_another_use || !kept.has_our_form(), "{form}");
        }
        for bad in
            [format!("hmac-sha256$AAAA${hash}$AAAA"), format!("hmac-sha256$!${hash}"), "hmac-sha256$AAAA$AAAA".into()]
        {
            assert!(!ClientSecretAtRest(bad.clone()).has_our_form(), "{bad}");
        }
    }
}
