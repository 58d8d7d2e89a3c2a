//! Access tokens as JWTs (RFC 9068 §4, RFC 8725): whether one is of the issuer, for this API, and good now.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Header, decode_header};
use serde_json::{Map, Value};

use crate::identity::Identity;

/// Longer ones are not looked at.
const MAX_BYTES: usize = 16 * 1024;
/// Seconds by which clocks may differ.
const SKEW: i64 = 10;

/// What is taken unless told otherwise. None of them can be made with a public key (RFC 8725 §2.1).
pub(crate) const ALGORITHMS: [Algorithm; 4] = [Algorithm::ES256, Algorithm::RS256, Algorithm::PS256, Algorithm::EdDSA];

/// A public key of the issuer, and what it may be used with.
pub(crate) struct Key {
    decoding: DecodingKey,
    algorithms: Vec<Algorithm>,
}

impl Key {
    /// Nothing where it is no key that verifies tokens.
    pub fn of(jwk: &Value) -> Option<(String, Self)> {
        let jwk: Jwk = serde_json::from_value(jwk.clone()).ok()?;
        if jwk.common.public_key_use.as_ref().is_some_and(|it| *it != PublicKeyUse::Signature) {
            return None;
        }
        let mut algorithms = match &jwk.algorithm {
            AlgorithmParameters::RSA(_) => vec![Algorithm::RS256, Algorithm::PS256],
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => vec![Algorithm::ES256],
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => vec![Algorithm::EdDSA],
            _ => return None,
        };
        if let Some(only) = jwk.common.key_algorithm {
            algorithms.retain(|algorithm| format!("{algorithm:?}") == only.to_string());
        }
        let decoding = DecodingKey::from_jwk(&jwk).ok()?;
        Some((jwk.common.key_id?, Self { decoding, algorithms }))
    }
}

/// A token that is well-formed, and of which nothing is proven.
pub(crate) struct UnverifiedToken<'a> {
    header: Header,
    kid: String,
    /// What is signed.
    message: &'a str,
    payload: &'a str,
    signature: &'a str,
}

impl<'a> UnverifiedToken<'a> {
    /// Nothing where no key could make an access token of it (RFC 9068 §4): its `typ`, an `alg` that is taken, a `kid`.
    pub fn read(token: &'a str, algorithms: &[Algorithm]) -> Option<Self> {
        let (message, signature) = token.rsplit_once('.').filter(|_| token.len() <= MAX_BYTES)?;
        let (_, payload) = message.split_once('.').filter(|(_, payload)| !payload.contains('.'))?;
        let header = decode_header(token).ok()?;
        let typ = header.typ.as_deref()?.to_ascii_lowercase();
        let typed = matches!(typ.as_str(), "at+jwt" | "application/at+jwt");
        if !typed || header.crit.is_some() || !algorithms.contains(&header.alg) {
            return None;
        }
        let kid = header.kid.clone()?;
        Some(Self { header, kid, message, payload, signature })
    }

    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The claims, where the key signed them.
    pub fn verify(&self, key: &Key) -> Option<Map<String, Value>> {
        let algorithm = key.algorithms.iter().find(|algorithm| **algorithm == self.header.alg)?;
        let verifier = (DEFAULT_PROVIDER.verifier_factory)(algorithm, &key.decoding).ok()?;
        let signature = URL_SAFE_NO_PAD.decode(self.signature).ok()?;
        verifier.verify(self.message.as_bytes(), &signature).ok()?;
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(self.payload).ok()?).ok()
    }
}

/// Whose token it is, where its claims are of that issuer, for that API, and good now.
pub(crate) fn judge(claims: Map<String, Value>, issuer: &str, audience: &str, now: i64) -> Option<Identity> {
    let text = |name| claims.get(name).and_then(Value::as_str);
    let time = |name: &str| match claims.get(name) {
        None => Some(None),
        // A NumericDate may have a fraction (RFC 7519 §2).
        Some(value) => value.as_f64().filter(|seconds| seconds.is_finite()).map(Some),
    };
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are exact in a double for the next millennia")]
    let (early, late) = ((now - SKEW) as f64, (now + SKEW) as f64);
    let for_us = match claims.get("aud")? {
        Value::String(one) => one == audience,
        Value::Array(many) => many.iter().any(|one| one.as_str() == Some(audience)),
        _ => false,
    };
    let (expires, issued, begins) = (time("exp")??, time("iat")?, time("nbf")?);
    let good = text("iss")? == issuer
        && for_us
        // One that is bound to a key or a certificate (RFC 7800) is nothing without it, and nobody shows that here.
        && !claims.contains_key("cnf")
        && expires > early
        && issued.is_none_or(|at| at <= late)
        && begins.is_none_or(|at| at <= late);
    let subject = text("sub")?.to_owned();
    good.then(|| Identity::from_token(subject, claims))
}
