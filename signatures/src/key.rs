//! Keys to verify and to sign with (RFC 9421 §3.3). Each is of one algorithm, and made of a JWK or of a shared secret.
//! No `Debug` shows more than the algorithm.
//!
//! The work is done by `aws-lc`, which compares a MAC in constant time. Next door: [`crate::jwk`].

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, Ed25519KeyPair, KeyPair, ParsedPublicKey, RsaKeyPair, RsaPublicKeyComponents,
};
use aws_lc_rs::{hmac, rsa};

use crate::algorithm::Algorithm;
use crate::error::{Error, Result};
use crate::jwk::{self, Jwk, KeyError};

/// RFC 2104 §3: shorter than the hash it would weaken it.
const MIN_SECRET_LENGTH: usize = 32;

/// A public key, or a shared secret. Cheap to clone.
#[derive(Clone)]
pub struct VerifyingKey(Arc<Verifying>);

enum Verifying {
    Secret(Box<hmac::Key>),
    Public(Algorithm, ParsedPublicKey),
}

/// A private key, or a shared secret.
pub struct SigningKey(Signing);

enum Signing {
    Secret(Box<hmac::Key>),
    Ed25519(Ed25519KeyPair),
    Ecdsa(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

impl VerifyingKey {
    /// For hmac-sha256.
    pub fn from_secret(secret: &[u8]) -> std::result::Result<Self, KeyError> {
        Ok(Self(Arc::new(Verifying::Secret(mac_key(secret)?))))
    }

    /// Of a public key; one that holds anything private is refused.
    pub fn from_jwk(jwk: &Jwk) -> std::result::Result<Self, KeyError> {
        jwk::check_public(jwk)?;
        let algorithm = jwk::algorithm(jwk, "verify")?;
        let key = match algorithm {
            Algorithm::HmacSha256 => return Err(KeyError::Kind),
            Algorithm::Ed25519 => ParsedPublicKey::new(&signature::ED25519, jwk::fixed(jwk, "x", 32)?),
            Algorithm::EcdsaP256Sha256 => ParsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, jwk::point(jwk)?),
            Algorithm::RsaPssSha512 => {
                let (n, e) = jwk::rsa(jwk)?;
                RsaPublicKeyComponents { n, e }.to_parsed_public_key(&signature::RSA_PSS_2048_8192_SHA512)
            }
        };
        Ok(Self(Arc::new(Verifying::Public(algorithm, key.map_err(|_| KeyError::Inconsistent)?))))
    }

    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        match &*self.0 {
            Verifying::Secret(_) => Algorithm::HmacSha256,
            Verifying::Public(algorithm, _) => *algorithm,
        }
    }

    /// `HTTP_VERIFY` of §3.3, over a signature base.
    pub fn verify(&self, base: &[u8], value: &[u8]) -> Result<()> {
        let verified = match &*self.0 {
            Verifying::Secret(key) => hmac::verify(key, base, value),
            Verifying::Public(_, key) => key.verify_sig(base, value),
        };
        verified.map_err(|_| Error::NotVerified)
    }
}

impl SigningKey {
    /// For hmac-sha256.
    pub fn from_secret(secret: &[u8]) -> std::result::Result<Self, KeyError> {
        Ok(Self(Signing::Secret(mac_key(secret)?)))
    }

    /// Of a private key with its public half, or of a symmetric one.
    pub fn from_jwk(jwk: &Jwk) -> std::result::Result<Self, KeyError> {
        let inconsistent = |_| KeyError::Inconsistent;
        Ok(Self(match jwk::algorithm(jwk, "sign")? {
            Algorithm::HmacSha256 => Signing::Secret(mac_key(&jwk::private(jwk, "k")?)?),
            Algorithm::Ed25519 => {
                let pair =
                    Ed25519KeyPair::from_seed_and_public_key(&jwk::private(jwk, "d")?, &jwk::fixed(jwk, "x", 32)?);
                Signing::Ed25519(pair.map_err(inconsistent)?)
            }
            Algorithm::EcdsaP256Sha256 => {
                let pair = EcdsaKeyPair::from_private_key_and_public_key(
                    &signature::ECDSA_P256_SHA256_FIXED_SIGNING,
                    &jwk::private(jwk, "d")?,
                    &jwk::point(jwk)?,
                );
                Signing::Ecdsa(pair.map_err(inconsistent)?)
            }
            Algorithm::RsaPssSha512 => {
                let (n, e) = jwk::rsa(jwk)?;
                let part = |name| jwk::private(jwk, name);
                let components = rsa::KeyPairComponents {
                    public_key: RsaPublicKeyComponents { n, e },
                    d: part("d")?,
                    p: part("p")?,
                    q: part("q")?,
                    dP: part("dp")?,
                    dQ: part("dq")?,
                    qInv: part("qi")?,
                };
                Signing::Rsa(RsaKeyPair::from_components(&components).map_err(inconsistent)?)
            }
        }))
    }

    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        match self.0 {
            Signing::Secret(_) => Algorithm::HmacSha256,
            Signing::Ed25519(_) => Algorithm::Ed25519,
            Signing::Ecdsa(_) => Algorithm::EcdsaP256Sha256,
            Signing::Rsa(_) => Algorithm::RsaPssSha512,
        }
    }

    /// What verifies what this one signs.
    pub fn verifying_key(&self) -> std::result::Result<VerifyingKey, KeyError> {
        let key = match &self.0 {
            Signing::Secret(key) => return Ok(VerifyingKey(Arc::new(Verifying::Secret(key.clone())))),
            Signing::Ed25519(pair) => ParsedPublicKey::new(&signature::ED25519, pair.public_key()),
            Signing::Ecdsa(pair) => ParsedPublicKey::new(&signature::ECDSA_P256_SHA256_FIXED, pair.public_key()),
            Signing::Rsa(pair) => ParsedPublicKey::new(&signature::RSA_PSS_2048_8192_SHA512, pair.public_key()),
        };
        let key = key.map_err(|_| KeyError::Inconsistent)?;
        Ok(VerifyingKey(Arc::new(Verifying::Public(self.algorithm(), key))))
    }

    /// `HTTP_SIGN` of §3.3, over a signature base.
    pub fn sign(&self, base: &[u8]) -> Result<Vec<u8>> {
        let random = SystemRandom::new();
        match &self.0 {
            Signing::Secret(key) => Ok(hmac::sign(key, base).as_ref().to_vec()),
            Signing::Ed25519(pair) => Ok(pair.sign(base).as_ref().to_vec()),
            Signing::Ecdsa(pair) => {
                pair.sign(&random, base).map(|it| it.as_ref().to_vec()).map_err(|_| Error::NotSigned)
            }
            Signing::Rsa(pair) => {
                let mut value = vec![0; pair.public_modulus_len()];
                let signed = pair.sign(&signature::RSA_PSS_SHA512, &random, base, &mut value);
                signed.map(|()| value).map_err(|_| Error::NotSigned)
            }
        }
    }
}

fn mac_key(secret: &[u8]) -> std::result::Result<Box<hmac::Key>, KeyError> {
    if secret.len() < MIN_SECRET_LENGTH {
        return Err(KeyError::ShortSecret);
    }
    Ok(Box::new(hmac::Key::new(hmac::HMAC_SHA256, secret)))
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifyingKey({})", self.algorithm())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.algorithm())
    }
}
