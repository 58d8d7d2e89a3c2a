//! Encrypts an id as one block of AES-256: a UUID has 16 bytes, the size of a block. Equal ids produce equal blocks and
//! different ids different blocks. Without the key, the id cannot be derived from the block.
//!
//! The key is derived with HMAC-SHA-256 from the master key, the purpose and the sector, which is prefixed with its
//! length. See also [`super::pairwise`] and [`super::refresh_token`], which use such ids.

use openssl::symm::{Cipher, Crypter, Mode};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::master::{MacPurpose, MasterKey};

pub(super) const BLOCK_BYTES: usize = 16;

/// Encrypts the id.
///
/// # Panics
/// Panics if OpenSSL does not support AES-256.
pub(super) fn encrypted(master: &MasterKey, purpose: MacPurpose, sector: &str, id: Uuid) -> [u8; BLOCK_BYTES] {
    #[expect(clippy::expect_used, reason = "AES-256 takes any 32 bytes as key and any 16 as block")]
    aes(master, purpose, sector, Mode::Encrypt, *id.as_bytes()).expect("a key and a block of AES")
}

/// Decrypts a block. A block that was encrypted under another key decrypts to a random id.
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
