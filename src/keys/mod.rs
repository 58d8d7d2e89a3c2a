//! What is signed, sealed and encrypted. The only place that knows josekit, so that a faster backend for one algorithm is
//! one file.
//!
//! [`master`] the key that everything at rest hangs on, [`seal`] encrypting under it, [`client_secret`] what is kept of a
//! client's secret, [`pairwise`] subjects that differ by sector, [`signature_key`] by what clients sign requests; [`pair`] one key pair, [`keyring`] those in use (next,
//! active, retired), [`rotation`] how they come and go; [`jwt`] signing and verifying ours, [`refresh_token`] the form of
//! a refresh token. What comes from strangers: [`compact`] the shape of a token, [`public_jwk`] what a client's key is
//! good for, [`client_jws`] what clients sign, [`certificate`] what they show in a TLS handshake, [`encryption`] what is
//! encrypted to them and to us.

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

/// Why a key cannot be used.
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
