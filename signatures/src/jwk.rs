//! The members of JSON Web Keys (RFC 7517, RFC 7518 §6, RFC 8037 §2) that keys are made of, and what is wrong with a key.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};
use thiserror::Error;

use crate::algorithm::Algorithm;

/// Why something is no key to sign or verify with. Nothing of the key is quoted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// RFC 9421 §7.3.3; RFC 2104 §3: as long as the hash.
    #[error("a shared secret has at least 32 bytes")]
    ShortSecret,
    #[error("the JWK is not of kty OKP with crv Ed25519, EC with crv P-256, or RSA")]
    Kind,
    #[error("the member {0} of the JWK is missing, or is not what it should be")]
    Member(&'static str),
    #[error("a key to verify with is public: the JWK has the private member {0}")]
    Private(&'static str),
    #[error("a key to sign with is private: the JWK lacks the member {0}")]
    Public(&'static str),
    /// RFC 7517 §4.2 to §4.4.
    #[error("the JWK is for something else, by its member {0}")]
    Purpose(&'static str),
    /// RFC 9421 §7.3.3.
    #[error("an RSA key has 2048 to 8192 bits")]
    RsaSize,
    #[error("the members of the JWK do not make a key together")]
    Inconsistent,
}

pub(crate) type Jwk = Map<String, Value>;

/// Members of private and symmetric keys (RFC 7518 §6.2.2, §6.3.2, §6.4.1).
const PRIVATE_MEMBERS: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

/// The bits of a modulus (RFC 9421 §7.3.3); `aws-lc` takes no others.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// What the key is for, where it says so.
pub(crate) fn algorithm(jwk: &Jwk, operation: &str) -> Result<Algorithm, KeyError> {
    let text = |name| jwk.get(name).and_then(Value::as_str);
    let (algorithm, names): (_, &[&str]) = match (text("kty"), text("crv")) {
        (Some("OKP"), Some("Ed25519")) => (Algorithm::Ed25519, &["EdDSA", "Ed25519"]),
        (Some("EC"), Some("P-256")) => (Algorithm::EcdsaP256Sha256, &["ES256"]),
        (Some("RSA"), _) => (Algorithm::RsaPssSha512, &["PS512"]),
        (Some("oct"), _) => (Algorithm::HmacSha256, &["HS256"]),
        _ => return Err(KeyError::Kind),
    };
    if jwk.contains_key("use") && text("use") != Some("sig") {
        return Err(KeyError::Purpose("use"));
    }
    if jwk.contains_key("alg") && !text("alg").is_some_and(|alg| names.contains(&alg)) {
        return Err(KeyError::Purpose("alg"));
    }
    if let Some(operations) = jwk.get("key_ops") {
        let listed = operations.as_array().is_some_and(|all| all.iter().any(|one| one.as_str() == Some(operation)));
        if !listed {
            return Err(KeyError::Purpose("key_ops"));
        }
    }
    Ok(algorithm)
}

pub(crate) fn check_public(jwk: &Jwk) -> Result<(), KeyError> {
    PRIVATE_MEMBERS
        .into_iter()
        .find(|member| jwk.contains_key(*member))
        .map_or(Ok(()), |member| Err(KeyError::Private(member)))
}

/// A member in base64url without padding.
pub(crate) fn bytes(jwk: &Jwk, name: &'static str) -> Result<Vec<u8>, KeyError> {
    let text = jwk.get(name).and_then(Value::as_str).ok_or(KeyError::Member(name))?;
    URL_SAFE_NO_PAD.decode(text).map_err(|_| KeyError::Member(name))
}

/// A member that has to be there for signing.
pub(crate) fn private(jwk: &Jwk, name: &'static str) -> Result<Vec<u8>, KeyError> {
    if jwk.contains_key(name) { bytes(jwk, name) } else { Err(KeyError::Public(name)) }
}

pub(crate) fn fixed(jwk: &Jwk, name: &'static str, length: usize) -> Result<Vec<u8>, KeyError> {
    bytes(jwk, name).and_then(|bytes| if bytes.len() == length { Ok(bytes) } else { Err(KeyError::Member(name)) })
}

/// A point of P-256 as SEC 1 writes it without compression.
pub(crate) fn point(jwk: &Jwk) -> Result<Vec<u8>, KeyError> {
    Ok([vec![4], fixed(jwk, "x", 32)?, fixed(jwk, "y", 32)?].concat())
}

/// The modulus and the public exponent, without leading zeros.
pub(crate) fn rsa(jwk: &Jwk) -> Result<(Vec<u8>, Vec<u8>), KeyError> {
    let number = |name| {
        let bytes = bytes(jwk, name)?;
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        Ok(bytes.get(zeros..).unwrap_or_default().to_vec())
    };
    let (modulus, exponent) = (number("n")?, number("e")?);
    let unused = modulus.first().map_or(0, |first| first.leading_zeros() as usize);
    if !RSA_BITS.contains(&(modulus.len() * 8 - unused)) {
        return Err(KeyError::RsaSize);
    }
    // Odd, more than one, and no more than 32 bits, which no key in use exceeds.
    let good = match exponent.as_slice() {
        [one] => *one > 1 && one % 2 == 1,
        [.., last] => last % 2 == 1 && exponent.len() <= 4,
        [] => false,
    };
    if good { Ok((modulus, exponent)) } else { Err(KeyError::Member("e")) }
}
