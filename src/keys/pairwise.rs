//! Pairwise identifiers (OpenID Connect Core §8.1): a `sub` that identifies a user to one sector and cannot be linked
//! to another sector's, and likewise a `sid` and a grant id.
//!
//! The user id is encrypted as one block ([`super::id_cipher`]) under a key of the sector. This is sufficient for these
//! reasons:
//!
//! - *Stable, without storage*: the same id under the same key is the same block.
//! - *Unique*: a block cipher under one key is a permutation of the blocks.
//! - *Not reversible, not linkable*: without the key, the blocks of a sector are indistinguishable from distinct random
//!   ones, and the keys of two sectors from independent random ones. So neither one sector nor two together learn from
//!   a `sub` which user it is, or whether two of them are the same user. Encrypting single blocks reveals only that
//!   equal ids are equal, which is the purpose here.
//! - *Reversible with the key*: the server decrypts it, so an `id_token_hint` identifies a user. Under another sector's
//!   key it decrypts to a random block, which is no user's id; an invented `sub` decrypts to another random block.
//!
//! Sessions and grants are encrypted in the same way under separate keys, so that two sectors cannot link them either.
//! Their ids are version 7 UUIDs, which a random block almost never is. The versions in a token are small counters.
//! They are encrypted with a keystream that no other token uses, so equal counters cannot be recognized.

use uuid::{Uuid, Variant, Version};

use super::id_cipher::{self, BLOCK_BYTES as BLOCK};
use super::master::{MacPurpose, MasterKey};
use crate::domain::ids::{GrantId, SessionId, UserId};
use crate::domain::secret::{base64url, from_base64url};

/// Returns the user's `sub` in the sector: 22 characters of base64url.
///
/// # Panics
/// Panics, like [`sid`] and [`grant_name`], if OpenSSL does not support AES-256.
pub fn sub(master: &MasterKey, sector: &str, user: UserId) -> String {
    encrypted(master, MacPurpose::Pairwise, sector, user.0)
}

/// Decrypts a `sub` of the sector. The caller must check that the user exists.
pub fn user(master: &MasterKey, sector: &str, sub: &str) -> Option<UserId> {
    decrypted(master, MacPurpose::Pairwise, sector, sub).map(UserId)
}

/// Returns the `sid` of a session in the sector: 22 characters of base64url.
pub fn sid(master: &MasterKey, sector: &str, session: SessionId) -> String {
    encrypted(master, MacPurpose::PairwiseSession, sector, session.0)
}

/// Decrypts a `sid` of the sector; `None` if it is another sector's or invented.
pub fn session(master: &MasterKey, sector: &str, sid: &str) -> Option<SessionId> {
    decrypted(master, MacPurpose::PairwiseSession, sector, sid).filter(is_ours).map(SessionId)
}

/// Returns the id of a grant in tokens of the sector: 22 characters of base64url.
pub fn grant_name(master: &MasterKey, sector: &str, grant: GrantId) -> String {
    encrypted(master, MacPurpose::PairwiseGrant, sector, grant.0)
}

/// Decrypts the id of a grant; `None` if it is another sector's or invented.
pub fn grant(master: &MasterKey, sector: &str, name: &str) -> Option<GrantId> {
    decrypted(master, MacPurpose::PairwiseGrant, sector, name).filter(is_ours).map(GrantId)
}

/// Encrypts the versions for a token of the sector, under a key of the sector and of `nonce`, which must be unique to
/// the token. The token's signature authenticates them.
pub fn versions(master: &MasterKey, sector: &str, nonce: [u8; BLOCK], versions: &[i64]) -> String {
    let plain: Vec<u8> = versions.iter().flat_map(|version| version.to_be_bytes()).collect();
    base64url(&[&nonce[..], &apply_keystream(master, sector, &nonce, &plain)].concat())
}

/// Decrypts the versions; `None` if the text is malformed. The versions of another sector decrypt to random numbers.
pub fn versions_of(master: &MasterKey, sector: &str, text: &str) -> Option<Vec<i64>> {
    let bytes = from_base64url(text)?;
    let (nonce, encrypted) = bytes.split_first_chunk::<BLOCK>()?;
    let plain = apply_keystream(master, sector, nonce, encrypted);
    let (versions, []) = plain.as_chunks::<8>() else { return None };
    Some(versions.iter().map(|bytes| i64::from_be_bytes(*bytes)).collect())
}

/// XORs the bytes with HMAC-SHA-256 over the sector, the nonce and a counter.
fn apply_keystream(master: &MasterKey, sector: &str, nonce: &[u8; BLOCK], bytes: &[u8]) -> Vec<u8> {
    let block = |at: usize| master.mac(MacPurpose::PairwiseVersions, &[sector.as_bytes(), nonce, &at.to_be_bytes()]);
    let chunks = bytes.chunks(32).enumerate();
    chunks
        .flat_map(|(at, chunk)| chunk.iter().zip(block(at)).map(|(byte, key)| byte ^ key).collect::<Vec<u8>>())
        .collect()
}

/// Returns whether the id has the form of those that [`crate::env::Env::uuid`] creates.
fn is_ours(id: &Uuid) -> bool {
    id.get_version() == Some(Version::SortRand) && id.get_variant() == Variant::RFC4122
}

fn encrypted(master: &MasterKey, purpose: MacPurpose, sector: &str, id: Uuid) -> String {
    base64url(&id_cipher::encrypted(master, purpose, sector, id))
}

fn decrypted(master: &MasterKey, purpose: MacPurpose, sector: &str, text: &str) -> Option<Uuid> {
    id_cipher::decrypted(master, purpose, sector, from_base64url(text)?.try_into().ok()?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::keys::test_keys::{master, other_master};

    /// Relying parties store these values, so they must never change.
    #[test]
    fn pairwise_sub_is_stable() {
        let alice = UserId(Uuid::from_u128(0x0190_a1b2_c3d4_7e5f_8091_a2b3_c4d5_e6f7));
        assert_eq!(sub(&master(), "app.example.com", alice), sub(&master(), "app.example.com", alice));
        assert_eq!(sub(&master(), "app.example.com", alice), "1W4Bo0HO6-ItaT-z0XVy0g");
        assert_ne!(sub(&other_master(), "app.example.com", alice), sub(&master(), "app.example.com", alice));
    }

    #[test]
    fn session_and_grant_ids_differ_by_sector() {
        let id = Uuid::from_u128(0x0190_a1b2_c3d4_7e5f_8091_a2b3_c4d5_e6f7);
        let (here, there) = ("app.example.com", "other.example.com");
        let names = [
            sub(&master(), here, UserId(id)),
            sid(&master(), here, SessionId(id)),
            grant_name(&master(), here, GrantId(id)),
            sid(&master(), there, SessionId(id)),
            grant_name(&master(), there, GrantId(id)),
        ];
        let different: std::collections::HashSet<&String> = names.iter().collect();
        assert_eq!(different.len(), names.len(), "{names:?}");
        assert_eq!(session(&master(), here, &names[1]), Some(SessionId(id)));
        assert_eq!(grant(&master(), here, &names[2]), Some(GrantId(id)));
        assert_ne!(session(&master(), there, &names[1]), Some(SessionId(id)));
        assert_ne!(grant(&master(), there, &names[2]), Some(GrantId(id)));
        // A UUID of another version was not created by this server.
        let other = Uuid::from_u128(0x0190_a1b2_c3d4_4e5f_8091_a2b3_c4d5_e6f7);
        assert_eq!(session(&master(), here, &sid(&master(), here, SessionId(other))), None);
    }

    #[test]
    fn versions_decrypt_only_in_their_sector() {
        let (here, there) = ("app.example.com", "other.example.com");
        for count in 1..20 {
            let all: Vec<i64> = (0..count).collect();
            let text = versions(&master(), here, [7; 16], &all);
            assert_eq!(versions_of(&master(), here, &text), Some(all.clone()));
            // Skips the nonce.
            let encrypted = |text: String| text.chars().skip(22).collect::<String>();
            assert_ne!(encrypted(versions(&master(), here, [8; 16], &all)), encrypted(text.clone()));
            assert_ne!(versions_of(&master(), there, &text), Some(all));
        }
        assert_eq!(versions_of(&master(), here, "AAAA"), None);
        assert_eq!(versions_of(&master(), here, &base64url(&[0; 20])), None);
    }

    proptest! {
        #[test]
        fn sub_decrypts_only_in_its_sector(
            id in any::<u128>(), other in any::<u128>(), sector in "[a-z.]{0,20}", elsewhere in "[a-z.]{0,20}",
        ) {
            let (person, another) = (UserId(Uuid::from_u128(id)), UserId(Uuid::from_u128(other)));
            let known = sub(&master(), &sector, person);
            prop_assert_eq!(known.len(), 22);
            prop_assert_eq!(user(&master(), &sector, &known), Some(person));
            prop_assert_eq!(known == sub(&master(), &sector, another), id == other);
            if sector != elsewhere {
                prop_assert_ne!(&known, &sub(&master(), &elsewhere, person));
                prop_assert_ne!(user(&master(), &elsewhere, &known), Some(person));
            }
        }

        #[test]
        fn decrypting_any_text_never_panics(text in any::<String>(), near in "[A-Za-z0-9_-]{20,24}") {
            user(&master(), &near, &text);
            if let Some(person) = user(&master(), "app.example.com", &near) {
                prop_assert_eq!(sub(&master(), "app.example.com", person), near);
            }
        }
    }
}
