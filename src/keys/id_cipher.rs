//! An id as one block of AES-256: a UUID has 16 bytes, which is the size of a block. Equal ids become equal blocks and
//! different ones different blocks, from which an id cannot be read without the key.
//!
//! The key is derived by HMAC-SHA-256 from the master key, the purpose and the sector (its length goes before it). Next door:
//! [`super::pairwise`] and [`super::refresh_token`], which name ids so.

use openssl::symm::{Cipher, Crypter, Mode};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::master::{MacPurpose, MasterKey};

pub(super) const BLOCK_BYTES: usize = 16;

/// # Panics
/// Where OpenSSL has no AES-256 at all.
pub(super) fn encrypted(master: &MasterKey, purpose: MacPurpose, sector: &str, id: Uuid) -> [u8; BLOCK_BYTES] {
    #[expect(clippy::expect_used, reason = "AES-256 takes any 32 bytes as key and any 16 as block")]
    aes(master, purpose, sector, Mode::Encrypt, *id.as_bytes()).expect("a key and a block of AES")
}

/// The id that `block` is of; another one where it was encrypted under another key.
pub(super) fn decrypted(
    master: &MasterKey,
    purpose: MacPurpose,
    sector: &str,
    block: [u8; BLOCK_BYTES],
) -> Option<Uuid> {
    aes(master, purpose, sector, Mode::Decrypt, block).map(Uuid::from_bytes)
}

fn aes(
    master: &MasterKey,
    purpose: MacPurpose,
    sector: &str,
    mode: Mode,
    block: [u8; BLOCK_BYTES],
) -> Option<[u8; BLOCK_BYTES]> {
    let key = Zeroizing::new(master.mac(purpose, &[sector.as_bytes()]));
    let mut crypter = Crypter::new(Cipher::aes_256_ecb(), mode, &*key, None).ok()?;
    crypter.pad(false);
    let mut out = [0; 2 * BLOCK_BYTES];
    let written = crypter.update(&block, &mut out).ok()?;
    crypter.finalize(out.get_mut(written..)?).ok()?;
    out.first_chunk().copied()
}
