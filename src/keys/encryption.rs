//! Encrypted JWTs (RFC 7516): tokens encrypted to a client's key (nested, RFC 7519 §5.2), and tokens that clients
//! encrypt to this server's keys (OpenID Connect Core §6.1, RFC 9101 §6.1).
//!
//! The algorithms are few and asymmetric: no `dir`, no passwords and no `RSA1_5`. Compression is not supported, because
//! a short token that decompresses to a long one costs its sender nothing (RFC 8725 §3.6). See also
//! [`super::public_jwk`], which selects a client's key; [`super::seal`], which encrypts data that only this server
//! reads.

use hmac::{Hmac, KeyInit as _, Mac as _};
use josekit::jwe::enc::{A128CBC_HS256, A256GCM};
use josekit::jwe::{self, JweContentEncryption, JweEncrypter, JweHeader};
use josekit::jwk::Jwk;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::keyring::KeySet;
use super::{compact, public_jwk};
use crate::domain::algorithms::{ContentEncryption, KeyManagementAlg};
use crate::domain::jwks::JwkSet;
use crate::domain::secret::from_base64url;

/// The maximum length in bytes: that of a signed request object plus the overhead of encryption.
pub const MAX_BYTES: usize = super::client_jws::MAX_BYTES * 4 / 3 + 2048;
/// The maximum number of keys that are tried if a token has no `kid`.
const MAX_KEYS: usize = 4;
/// The length of the tag of both content encryptions (RFC 7518 §5.2.3, §5.3).
pub(super) const TAG_BYTES: usize = 16;
/// The length of the initialization vector of AES-GCM (RFC 7518 §5.3).
pub(super) const GCM_IV_BYTES: usize = 12;

/// The reason why a token could not be encrypted to a client.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncryptionError {
    #[error("the client publishes no key that fits: the set may be older than the key")]
    NoKey,
    #[error("encrypting failed: {0}")]
    Failed(String),
}

impl From<josekit::JoseError> for EncryptionError {
    fn from(error: josekit::JoseError) -> Self {
        Self::Failed(error.to_string())
    }
}

impl ContentEncryption {
    fn as_josekit(self) -> &'static dyn JweContentEncryption {
        match self {
            Self::A128CbcHs256 => &A128CBC_HS256,
            Self::A256Gcm => &A256GCM,
        }
    }
}

/// Returns a JWE with `signed_jwt` that only the client can decrypt. The key is the first of the client's set that is
/// marked for encryption, or else the first that is suitable.
pub fn encrypt_to_client(
    signed_jwt: &str,
    keys: &JwkSet,
    alg: KeyManagementAlg,
    enc: ContentEncryption,
) -> Result<String, EncryptionError> {
    let mut fitting: Vec<_> = keys.keys().filter_map(|key| Some((key, public_jwk::encrypting(key, alg)?))).collect();
    fitting.sort_by_key(|(key, _)| !key.contains_key("use"));
    let (published, key) = fitting.first().ok_or(EncryptionError::NoKey)?;
    let mut header = JweHeader::new();
    header.set_content_encryption(enc.as_str());
    header.set_content_type("JWT");
    if let Ok(Some(kid)) = compact::text(published, "kid") {
        header.set_key_id(kid);
    }
    Ok(jwe::serialize_compact(signed_jwt.as_bytes(), &header, &*encrypter(key, alg)?)?)
}

fn encrypter(key: &Jwk, alg: KeyManagementAlg) -> Result<Box<dyn JweEncrypter>, EncryptionError> {
    Ok(match alg {
        KeyManagementAlg::RsaOaep256 => Box::new(jwe::RSA_OAEP_256.encrypter_from_jwk(key)?),
        KeyManagementAlg::EcdhEs => Box::new(jwe::ECDH_ES.encrypter_from_jwk(key)?),
        KeyManagementAlg::EcdhEsA256Kw => Box::new(jwe::ECDH_ES_A256KW.encrypter_from_jwk(key)?),
    })
}

/// Returns whether a token has the form of an encrypted one.
pub fn is_encrypted(token: &str) -> bool {
    compact::parts::<5>(token, MAX_BYTES).is_some()
}

/// Decrypts a token that was encrypted to one of this server's keys.
pub fn decrypt(ring: &KeySet, token: &str) -> Option<Vec<u8>> {
    let [head, key, iv, content, tag] = compact::parts(token, MAX_BYTES)?;
    let members = compact::object(head)?;
    if members.contains_key("zip") || members.contains_key("crit") {
        return None;
    }
    let text = |name| compact::text(&members, name).ok();
    let alg = text("alg")?.and_then(KeyManagementAlg::parse)?;
    let enc = text("enc")?.and_then(ContentEncryption::parse)?;
    let kid = text("kid")?;
    let (key, sealed) = (from_base64url(key)?, EncryptedContent::decode(enc, head, iv, content, tag)?);
    let key = match alg {
        KeyManagementAlg::RsaOaep256 => Some(key.as_slice()),
        KeyManagementAlg::EcdhEs => key.is_empty().then_some(None)?,
        // Both content encryptions have keys of 32 bytes, which are 40 bytes wrapped (RFC 3394 §2.2).
        KeyManagementAlg::EcdhEsA256Kw => (key.len() == 40).then_some(Some(key.as_slice()))?,
    };
    let header = JweHeader::from_map(members.clone()).ok()?;
    ring.decrypters(alg, kid).take(MAX_KEYS).find_map(|decrypter| {
        let content_key = decrypter.decrypt(key, enc.as_josekit(), &header).ok()?;
        sealed.decrypt(&Zeroizing::new(content_key.into_owned()))
    })
}

/// Encrypted content whose parts have the lengths that the algorithm requires.
struct EncryptedContent<'a> {
    enc: ContentEncryption,
    /// The protected header as sent, which the tag authenticates (RFC 7516 §5.1).
    head: &'a str,
    iv: Vec<u8>,
    content: Vec<u8>,
    tag: [u8; TAG_BYTES],
}

impl<'a> EncryptedContent<'a> {
    fn decode(enc: ContentEncryption, head: &'a str, iv: &str, content: &str, tag: &str) -> Option<Self> {
        let iv_bytes = match enc {
            ContentEncryption::A128CbcHs256 => 16,
            ContentEncryption::A256Gcm => GCM_IV_BYTES,
        };
        let iv = from_base64url(iv).filter(|iv| iv.len() == iv_bytes)?;
        // A truncated tag is rejected, because it could be guessed.
        let tag = from_base64url(tag)?.try_into().ok()?;
        Some(Self { enc, head, iv, content: from_base64url(content)?, tag })
    }

    fn decrypt(&self, key: &[u8]) -> Option<Vec<u8>> {
        if self.enc == ContentEncryption::A128CbcHs256 && !self.is_authentic(key) {
            return None;
        }
        let (head, enc) = (self.head.as_bytes(), self.enc.as_josekit());
        enc.decrypt(key, Some(&self.iv), &self.content, head, Some(&self.tag)).ok()
    }

    /// Verifies the tag (RFC 7518 §5.2.2.2). This happens before decryption, so that the padding is no oracle for a
    /// forger.
    fn is_authentic(&self, key: &[u8]) -> bool {
        let Some((mac_key, _)) = key.split_at_checked(16).filter(|_| key.len() == 32) else { return false };
        let Ok(mac) = Hmac::<Sha256>::new_from_slice(mac_key) else { return false };
        let mac = mac.chain_update(self.head).chain_update(&self.iv).chain_update(&self.content);
        let bits = (self.head.len() as u64) * 8;
        mac.chain_update(bits.to_be_bytes()).verify_truncated_left(&self.tag).is_ok()
    }
}

#[cfg(test)]
mod tests;
