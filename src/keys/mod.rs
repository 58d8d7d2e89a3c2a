//! Cryptographic keys: signing, sealing and encryption. Only this module uses josekit, so replacing its backend for one
//! algorithm changes one file.
//!
//! [`master`] is the key that protects all data at rest, [`seal`] encrypts under it, [`client_secret`] stores client
//! secrets, [`pairwise`] derives subjects that differ by sector, [`id_cipher`] encrypts the ids in them,
//! [`signature_key`] loads the keys with which clients sign requests. [`key_pair`] is one key pair, [`keyring`] holds
//! those in use (next, active, retired), [`rotation`] creates and retires them. [`jwt`] signs and verifies this
//! server's tokens, [`refresh_token`] is the format of a refresh token.
//!
//! The rest handles untrusted input: [`compact`] parses the shape of a token, [`public_jwk`] decides what a client's
//! key may be used for, [`client_jws`] verifies what clients sign, [`certificate`] reads the certificates that they
//! present in a TLS handshake, [`remote`] fetches their published keys, [`encryption`] encrypts to clients and decrypts
//! what they send.

pub mod certificate;
pub mod client_jws;
mod client_secret;
pub mod compact;
pub mod encryption;
mod id_cipher;
pub mod jwt;
mod key_pair;
pub mod keyring;
pub mod master;
pub mod pairwise;
mod public_jwk;
pub mod refresh_token;
pub mod remote;
pub mod rotation;
pub mod seal;
pub mod signature_key;
#[cfg(test)]
mod test_keys;

pub use keyring::Keyring;
pub use master::MasterKey;

use crate::store::StoreError;

/// The reason why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("the master key {0}")]
    Master(String),
    #[error("the keys in the database were sealed under another master key: restore the master key they belong to")]
    WrongMasterKey,
    #[error("a cryptographic operation failed: {0}")]
    Crypto(String),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<josekit::JoseError> for KeyError {
    fn from(error: josekit::JoseError) -> Self {
        Self::Crypto(error.to_string())
    }
}
