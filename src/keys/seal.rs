//! Sealing: a compact JWE with `dir` and A256GCM (RFC 7516, RFC 7518 §4.5 and §5.3) under a key of the master key's.
//!
//! Each seal says what it is for, and only that opens it: a sealed signing key is no passkey ticket.

use josekit::jwe::{self, JweHeader};

use super::KeyError;
use super::master::MasterKey;

/// Seals `plain` for `usage`.
pub fn seal(master: &MasterKey, usage: &str, plain: &[u8]) -> Result<String, KeyError> {
    let mut header = JweHeader::new();
    header.set_content_encryption("A256GCM");
    header.set_content_type(usage);
    let encrypter = jwe::Dir.encrypter_from_bytes(master.seal_key())?;
    Ok(jwe::serialize_compact(plain, &header, &encrypter)?)
}

/// The plain bytes, where `sealed` was sealed here for `usage`.
pub fn open(master: &MasterKey, usage: &str, sealed: &str) -> Result<Vec<u8>, KeyError> {
    let decrypter = jwe::Dir.decrypter_from_bytes(master.seal_key())?;
    let (plain, header) = jwe::deserialize_compact(sealed, &decrypter).map_err(|_| KeyError::OtherMaster)?;
    if header.content_encryption() != Some("A256GCM") || header.content_type() != Some(usage) {
        return Err(KeyError::OtherMaster);
    }
    Ok(plain)
}
