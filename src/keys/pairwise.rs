//! Pairwise subjects (OpenID Connect Core §8.1): a `sub` that is one person's to one sector and says nothing to another.
//!
//! The person's id is a UUID, 16 bytes, which is one block of AES. It is encrypted as that block under AES-256, with a
//! key that HMAC-SHA-256 derives from the master key and the sector (its length goes before it). Why that is enough:
//!
//! - *Stable, and nothing to store*: the same id under the same key is the same block.
//! - *No two people share one*: a block cipher under one key is a permutation of the blocks.
//! - *Not reversible, not comparable*: without the key the blocks of a sector cannot be told from random ones that are
//!   all different, and the keys of two sectors cannot be told from random and independent ones; so neither a sector, nor
//!   two together, learn from a `sub` whose it is or whether two of them are one person's. Encrypting single blocks shows
//!   only that equal ones are equal, which here is the purpose.
//! - *We get the person back*: with the key it is decrypted, so an `id_token_hint` names somebody. Under another sector's
//!   key it becomes a random block, which is nobody's id; and a made-up one becomes another random block.

use openssl::symm::{Cipher, Crypter, Mode};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::master::{MasterKey, Purpose};
use crate::domain::ids::UserId;
use crate::domain::secret::{base64url, from_base64url};

const BLOCK: usize = 16;

/// What the sector knows the person as: 22 characters of base64url.
///
/// # Panics
/// Where OpenSSL has no AES-256 at all.
pub fn sub(master: &MasterKey, sector: &str, user: UserId) -> String {
    #[expect(clippy::expect_used, reason = "AES-256 takes any 32 bytes as key and any 16 as block")]
    let block = aes(master, sector, Mode::Encrypt, *user.0.as_bytes()).expect("a key and a block of AES");
    base64url(&block)
}

/// Whom the sector means by it; whether there is such a person is the caller's to see.
pub fn user(master: &MasterKey, sector: &str, sub: &str) -> Option<UserId> {
    let block: [u8; BLOCK] = from_base64url(sub)?.try_into().ok()?;
    aes(master, sector, Mode::Decrypt, block).map(|id| UserId(Uuid::from_bytes(id)))
}

fn aes(master: &MasterKey, sector: &str, mode: Mode, block: [u8; BLOCK]) -> Option<[u8; BLOCK]> {
    let key = Zeroizing::new(master.mac(Purpose::Pairwise, &[sector.as_bytes()]));
    let mut crypter = Crypter::new(Cipher::aes_256_ecb(), mode, &*key, None).ok()?;
    crypter.pad(false);
    let mut out = [0; 2 * BLOCK];
    let written = crypter.update(&block, &mut out).ok()?;
    crypter.finalize(out.get_mut(written..)?).ok()?;
    out.first_chunk().copied()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::keys::samples::{master, other_master};

    /// What relying parties have stored must never change.
    #[test]
    fn a_subject_is_stable() {
        let alice = UserId(Uuid::from_u128(0x0190_a1b2_c3d4_7e5f_8091_a2b3_c4d5_e6f7));
        assert_eq!(sub(&master(), "app.example.com", alice), sub(&master(), "app.example.com", alice));
        assert_eq!(sub(&master(), "app.example.com", alice), "1W4Bo0HO6-ItaT-z0XVy0g");
        assert_ne!(sub(&other_master(), "app.example.com", alice), sub(&master(), "app.example.com", alice));
    }

    proptest! {
        #[test]
        fn it_leads_back_in_its_own_sector_only(
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
        fn anything_is_somebody_or_nobody(text in any::<String>(), near in "[A-Za-z0-9_-]{20,24}") {
            user(&master(), &near, &text);
            if let Some(person) = user(&master(), "app.example.com", &near) {
                prop_assert_eq!(sub(&master(), "app.example.com", person), near);
            }
        }
    }
}
