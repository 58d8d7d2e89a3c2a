//! Pairwise identifiers (OpenID Connect Core §8.1): a `sub` that is one person's to one sector and says nothing to another,
//! and in the same way a `sid` and a grant id.
//!
//! The person's id is encrypted as one block ([`super::block`]) under a key of the sector. Why that is enough:
//!
//! - *Stable, and nothing to store*: the same id under the same key is the same block.
//! - *No two people share one*: a block cipher under one key is a permutation of the blocks.
//! - *Not reversible, not comparable*: without the key the blocks of a sector cannot be told from random ones that are
//!   all different, and the keys of two sectors cannot be told from random and independent ones; so neither a sector, nor
//!   two together, learn from a `sub` whose it is or whether two of them are one person's. Encrypting single blocks shows
//!   only that equal ones are equal, which here is the purpose.
//! - *We get the person back*: with the key it is decrypted, so an `id_token_hint` names somebody. Under another sector's
//!   key it becomes a random block, which is nobody's id; and a made-up one becomes another random block.
//!
//! Sessions and grants are encrypted in the same way under keys of their own, so that two sectors cannot compare them
//! either. Their ids are version 7 UUIDs, which a random block almost never is. The versions in a token, small counters,
//! are encrypted with a stream that no other token has, so that equal ones cannot be told to be equal.

use uuid::{Uuid, Variant, Version};

use super::id_cipher::{self, BLOCK_BYTES as BLOCK};
use super::master::{MacPurpose, MasterKey};
use crate::domain::ids::{GrantId, SessionId, UserId};
use crate::domain::secret::{base64url, from_base64url};

/// What the sector knows the person as: 22 characters of base64url.
///
/// # Panics
/// Like [`sid`] and [`grant_name`], where OpenSSL has no AES-256 at all.
pub fn sub(master: &MasterKey, sector: &str, user: UserId) -> String {
    encrypted(master, MacPurpose::Pairwise, sector, user.0)
}

/// Whom the sector means by it; whether there is such a person is the caller's to see.
pub fn user(master: &MasterKey, sector: &str, sub: &str) -> Option<UserId> {
    decrypted(master, MacPurpose::Pairwise, sector, sub).map(UserId)
}

/// The `sid` by which the sector knows a session: 22 characters of base64url.
pub fn sid(master: &MasterKey, sector: &str, session: SessionId) -> String {
    encrypted(master, MacPurpose::PairwiseSession, sector, session.0)
}

/// The session of the sector's `sid`; `None` if it is another sector's or invented.
pub fn session(master: &MasterKey, sector: &str, sid: &str) -> Option<SessionId> {
    decrypted(master, MacPurpose::PairwiseSession, sector, sid).filter(is_ours).map(SessionId)
}

/// The id by which tokens of the sector name a grant: 22 characters of base64url.
pub fn grant_name(master: &MasterKey, sector: &str, grant: GrantId) -> String {
    encrypted(master, MacPurpose::PairwiseGrant, sector, grant.0)
}

/// The grant of that name; `None` if it is another sector's or invented.
pub fn grant(master: &MasterKey, sector: &str, name: &str) -> Option<GrantId> {
    decrypted(master, MacPurpose::PairwiseGrant, sector, name).filter(is_ours).map(GrantId)
}

/// Versions as a token of the sector carries them, encrypted under a key of the sector and of `nonce`, which no other token
/// may have. The token's signature says that they are genuine.
pub fn versions(master: &MasterKey, sector: &str, nonce: [u8; BLOCK], versions: &[i64]) -> String {
    let plain: Vec<u8> = versions.iter().flat_map(|version| version.to_be_bytes()).collect();
    base64url(&[&nonce[..], &apply_keystream(master, sector, &nonce, &plain)].concat())
}

/// The versions of that text; `None` if it has not the form. Those of another sector are random numbers.
pub fn versions_of(master: &MasterKey, sector: &str, text: &str) -> Option<Vec<i64>> {
    let bytes = from_base64url(text)?;
    let (nonce, encrypted) = bytes.split_first_chunk::<BLOCK>()?;
    let plain = apply_keystream(master, sector, nonce, encrypted);
    let (versions, []) = plain.as_chunks::<8>() else { return None };
    Some(versions.iter().map(|bytes| i64::from_be_bytes(*bytes)).collect())
}

/// XOR with HMAC-SHA-256 over the sector, the nonce and a counter.
fn apply_keystream(master: &MasterKey, sector: &str, nonce: &[u8; BLOCK], bytes: &[u8]) -> Vec<u8> {
    let block = |at: usize| master.mac(MacPurpose::PairwiseVersions, &[sector.as_bytes(), nonce, &at.to_be_bytes()]);
    let chunks = bytes.chunks(32).enumerate();
    chunks
        .flat_map(|(at, chunk)| chunk.iter().zip(block(at)).map(|(byte, key)| byte ^ key).collect::<Vec<u8>>())
        .collect()
}

/// Whether the id has the form of those that [`crate::env::Env::uuid`] makes.
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

    /// What relying parties have stored must never change.
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
        // Another version of UUID is none that was made here.
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
            // After the nonce.
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
