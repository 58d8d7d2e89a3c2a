//! The stored form of a client secret: a keyed and salted hash or, if HMAC needs the secret itself
//! (`client_secret_jwt`, HS256: OpenID Connect Core §9, §10.1), the secret sealed under the master key. A hash contains
//! its key id, so that a hash of another master key is recognized and rejected instead of stored to no purpose.

use subtle::ConstantTimeEq as _;

use super::master::{MacPurpose, MasterKey};
use super::{KeyError, seal};
use crate::domain::client::{ClientSecretAtRest, MIN_SECRET_LENGTH};
use crate::domain::secret::{Secret, base64url};
use crate::env::Env;

const USAGE: &str = "client-secret";

impl MasterKey {
    /// Returns the form to store: sealed if the client `needs_it_back`, otherwise hashed.
    pub fn protect_client_secret(
        &self,
        env: &Env,
        secret: &Secret,
        needs_it_back: bool,
    ) -> Result<ClientSecretAtRest, KeyError> {
        if needs_it_back { self.seal_client_secret(secret) } else { Ok(self.hash_client_secret(env, secret)) }
    }

    /// Returns a keyed hash with a random salt. Secrets have at least 32 characters, so a slow hash would only slow
    /// down every token request. Wrong secrets for an imported short one are counted
    /// (`protocol::client_secret_throttle`).
    pub fn hash_client_secret(&self, env: &Env, secret: &Secret) -> ClientSecretAtRest {
        let salt = env.random::<16>();
        let hash = self.mac(MacPurpose::ClientSecret, &[&salt, secret.expose().as_bytes()]);
        let is_short = secret.expose().chars().count() < MIN_SECRET_LENGTH;
        let form = if is_short { ClientSecretAtRest::HASHED_SHORT } else { ClientSecretAtRest::HASHED };
        let (key, salt, hash) = (self.client_secret_key_id(), base64url(&salt), base64url(&hash));
        ClientSecretAtRest(format!("{form}{key}${salt}${hash}"))
    }

    /// Returns the id of the key of these hashes. It reveals nothing about the key.
    fn client_secret_key_id(&self) -> String {
        let mac = self.mac(MacPurpose::ClientSecret, &[b"key"]);
        base64url(mac.first_chunk::<6>().unwrap_or(&[0; 6]))
    }

    /// Returns whether the stored form was created under this master key. Any other would never match.
    pub fn can_verify_client_secret(&self, kept: &ClientSecretAtRest) -> bool {
        match kept.hash_parts() {
            Some((key, ..)) => key == self.client_secret_key_id(),
            None => self.open_client_secret(kept).is_some(),
        }
    }

    /// Seals the secret, so that only this master key can open it.
    pub fn seal_client_secret(&self, secret: &Secret) -> Result<ClientSecretAtRest, KeyError> {
        let sealed = seal::seal(self, USAGE, secret.expose().as_bytes())?;
        Ok(ClientSecretAtRest(format!("{}{sealed}", ClientSecretAtRest::SEALED)))
    }

    /// Returns whether `presented` is the secret. The time does not depend on the position of a difference, nor on
    /// whether a secret is stored.
    pub fn verify_client_secret(&self, kept: Option<&ClientSecretAtRest>, presented: &str) -> bool {
        let Some(kept) = kept else {
            std::hint::black_box(self.mac(MacPurpose::ClientSecret, &[&[0; 16], presented.as_bytes()]));
            return false;
        };
        if let Some(secret) = self.open_client_secret(kept) {
            // The comparison is over hashes, which have one length whatever the length of the secrets.
            let hash = |text: &str| self.mac(MacPurpose::ClientSecret, &[text.as_bytes()]);
            return hash(secret.expose()).ct_eq(&hash(presented)).into();
        }
        let Some((_, salt, kept)) = kept.hash_parts() else { return false };
        self.mac(MacPurpose::ClientSecret, &[&salt, presented.as_bytes()]).ct_eq(kept.as_slice()).into()
    }

    /// Returns the secret if it was sealed under this master key.
    pub fn open_client_secret(&self, kept: &ClientSecretAtRest) -> Option<Secret> {
        let plain = seal::open(self, USAGE, kept.0.strip_prefix(ClientSecretAtRest::SEALED)?).ok()?;
        String::from_utf8(plain).ok().map(Secret::new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::test_keys::{master, other_master};

    const SECRET: &str = "a secret of more than thirty-two characters";

    #[test]
    fn hashed_and_sealed_secrets_verify() {
        let (env, secret) = (Env::system(), Secret::new(SECRET.to_owned()));
        for sealed in [false, true] {
            let kept = master().protect_client_secret(&env, &secret, sealed).unwrap();
            assert!(kept.is_well_formed() && kept.is_sealed() == sealed && !kept.0.contains(SECRET));
            assert!(master().verify_client_secret(Some(&kept), SECRET));
            for wrong in ["", "a", SECRET.trim_start_matches("a "), &format!("{SECRET} ")] {
                assert!(!master().verify_client_secret(Some(&kept), wrong), "{wrong}");
            }
            assert!(!other_master().verify_client_secret(Some(&kept), SECRET));
            assert!(master().can_verify_client_secret(&kept) && !other_master().can_verify_client_secret(&kept));
            let back = master().open_client_secret(&kept).map(|secret| secret.expose().to_owned());
            assert_eq!(back.as_deref(), sealed.then_some(SECRET));
            assert!(other_master().open_client_secret(&kept).is_none());
            let again = master().protect_client_secret(&env, &secret, sealed).unwrap();
            assert_ne!(kept, again, "a salt of its own, or an initialization vector");
        }
    }

    #[test]
    fn a_short_secret_is_marked() {
        let env = Env::system();
        for (length, is_short) in [(1, true), (31, true), (32, false)] {
            let secret = "\u{fc}".repeat(length);
            let kept = master().hash_client_secret(&env, &Secret::new(secret.clone()));
            assert_eq!((kept.is_short(), kept.is_well_formed()), (is_short, true), "{length}");
            assert!(
                master().verify_client_secret(Some(&kept), &secret) && !master().verify_client_secret(Some(&kept), "x")
            );
        }
    }

    #[test]
    fn unknown_stored_form_never_matches() {
        let ticket = seal::seal(&master(), "ticket", SECRET.as_bytes()).unwrap();
        let hash = base64url(&[0; 32]);
        let of_another_use = format!("sealed${ticket}");
        for form in
            ["", "hmac-sha256$", "sealed$", "sealed$a.b.c", "hmac-sha256$$$", "plain$secret", SECRET, &of_another_use]
        {
            let kept = ClientSecretAtRest(form.to_owned());
            assert!(!master().verify_client_secret(Some(&kept), SECRET), "{form}");
            assert!(!master().verify_client_secret(Some(&kept), ""), "{form}");
            assert!(master().open_client_secret(&kept).is_none(), "{form}");
            assert!(form == of_another_use || !kept.is_well_formed(), "{form}");
        }
        for bad in [
            format!("hmac-sha256$AAAA${hash}"),
            format!("hmac-sha256$AAAA$AAAA${hash}$AAAA"),
            format!("hmac-sha256$AAAA$!${hash}"),
            "short-hmac-sha256$AAAA$AAAA$AAAA".to_owned(),
        ] {
            assert!(!ClientSecretAtRest(bad.clone()).is_well_formed(), "{bad}");
        }
    }
}
