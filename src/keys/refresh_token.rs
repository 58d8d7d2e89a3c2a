//! The format of a refresh token: the encrypted grant id, the generation, 128 derived bits, and a MAC over all of it.
//!
//! The grant id is encrypted because other clients may know it from tokens issued by token exchange. In plain text it
//! would reveal to two pairwise clients that they have the same user.
//!
//! The derived bits are a MAC over the grant, the generation and the family's salt. So each generation has one token,
//! and every node derives the same one. The outer MAC distinguishes an old token of a family from an invented one
//! (reuse, RFC 9700 §4.14.2) without a row for every token and without a query for invented ones. The digests in the
//! family's row decide which token is accepted (`domain::grant`).

use subtle::ConstantTimeEq as _;

use super::id_cipher;
use super::master::{MacPurpose, MasterKey};
use crate::domain::grant::FamilySalt;
use crate::domain::ids::GrantId;
use crate::domain::secret::{Digest, Secret, SecretKind, base64url, from_base64url};

/// The content of an authentic refresh token.
#[derive(Debug)]
pub struct RefreshToken {
    pub grant: GrantId,
    pub digest: Digest,
}

/// Returns the token of that generation and the digest that is stored of it.
pub fn derive(master: &MasterKey, grant: GrantId, generation: i32, salt: &FamilySalt) -> (Secret, Digest) {
    let generation = generation.to_be_bytes();
    let derived = master.mac(MacPurpose::RefreshToken, &[grant.0.as_bytes(), &generation, &salt.0]);
    let mut bytes = Vec::with_capacity(68);
    bytes.extend_from_slice(&id_cipher::encrypted(master, MacPurpose::RefreshTokenGrant, "", grant.0));
    bytes.extend_from_slice(&generation);
    bytes.extend_from_slice(derived.split_at(16).0);
    let mac = master.mac(MacPurpose::RefreshToken, &[&bytes]);
    bytes.extend_from_slice(&mac);
    let text = format!("{}{}", SecretKind::RefreshToken.prefix(), base64url(&bytes));
    let digest = SecretKind::RefreshToken.digest(&text);
    (Secret::new(text), digest)
}

/// Parses a token of this server and verifies its MAC; `None` for any other text.
pub fn parse(master: &MasterKey, text: &str) -> Option<RefreshToken> {
    let encoded = text.strip_prefix(SecretKind::RefreshToken.prefix()).filter(|rest| rest.len() <= 96)?;
    let bytes = from_base64url(encoded)?;
    let (body, mac) = bytes.split_at_checked(36)?;
    if !bool::from(master.mac(MacPurpose::RefreshToken, &[body]).as_slice().ct_eq(mac)) {
        return None;
    }
    let (name, _) = body.split_first_chunk::<{ id_cipher::BLOCK_BYTES }>()?;
    let grant = GrantId(id_cipher::decrypted(master, MacPurpose::RefreshTokenGrant, "", *name)?);
    Some(RefreshToken { grant, digest: SecretKind::RefreshToken.digest(text) })
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::{derive, parse};
    use crate::domain::grant::FamilySalt;
    use crate::domain::ids::GrantId;
    use crate::domain::secret::from_base64url;
    use crate::keys::test_keys::{master, other_master};

    /// Deployed clients hold these tokens, so the derivation must never change.
    #[test]
    fn token_is_derived_from_grant_and_generation() {
        let (grant, salt) = (GrantId(Uuid::from_u128(7)), FamilySalt([1; 16]));
        let (token, digest) = derive(&master(), grant, 3, &salt);
        assert_eq!(token.expose(), derive(&master(), grant, 3, &salt).0.expose());
        let parsed = parse(&master(), token.expose()).unwrap();
        assert_eq!((parsed.grant, parsed.digest), (grant, digest));
        for other in [
            derive(&master(), grant, 4, &salt),
            derive(&master(), GrantId(Uuid::from_u128(8)), 3, &salt),
            derive(&master(), grant, 3, &FamilySalt([2; 16])),
            derive(&other_master(), grant, 3, &salt),
        ] {
            assert_ne!(other.0.expose(), token.expose());
            assert_ne!(other.1, digest);
        }
        let bytes = from_base64url(token.expose().strip_prefix("sgr_").unwrap()).unwrap();
        assert!(!bytes.windows(16).any(|window| window == grant.0.as_bytes()), "the id of the grant is encrypted");
        assert!(parse(&other_master(), token.expose()).is_none());
        assert!(parse(&master(), &format!("{}A", token.expose())).is_none());
    }
}
