//! Signs and verifies this server's JWTs (RFC 7515, RFC 7519). The algorithm is determined by the key, never by the
//! header. The caller must check the claims of a verified token (issuer, audience, expiry).

use josekit::jws::{self, JwsHeader, JwsSigner};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256, Sha512};

use super::{KeyError, Keyring};
use crate::domain::algorithms::SigningAlg;
use crate::domain::secret::{Secret, base64url, from_base64url};

/// The maximum length in bytes. No token of this server is longer, not even an ID token with the longest `nonce`.
const MAX_BYTES: usize = 24 * 1024;

/// The types of tokens, distinguished by `typ` (RFC 8725 §3.11).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JwtType {
    IdToken,
    /// RFC 9068 §2.1.
    AccessToken,
    /// OpenID Connect Back-Channel Logout §2.4.
    LogoutToken,
    /// RFC 9701 §5.
    Introspection,
    /// OpenID Connect Core §5.3.2, which requires no `typ`.
    UserInfo,
}

impl JwtType {
    const fn as_str(self) -> &'static str {
        match self {
            Self::IdToken | Self::UserInfo => "JWT",
            Self::AccessToken => "at+jwt",
            Self::LogoutToken => "logout+jwt",
            Self::Introspection => "token-introspection+jwt",
        }
    }
}

/// Returns a compact JWT with `claims`.
pub fn sign(keys: &Keyring, alg: SigningAlg, typ: JwtType, claims: &impl Serialize) -> Result<String, KeyError> {
    let ring = keys.current();
    let signer = ring.signer(alg).ok_or_else(|| KeyError::Crypto(format!("there is no {} key", alg.as_str())))?;
    serialize(typ, claims, signer)
}

/// Returns a compact JWT with `claims`, signed as the client has registered: with this server's key of that algorithm,
/// or with HS256 under the octets of the client secret, without a `kid` (OpenID Connect Core §10.1).
pub fn sign_for_client(
    keys: &Keyring,
    alg: SigningAlg,
    typ: JwtType,
    claims: &impl Serialize,
    secret: Option<&Secret>,
) -> Result<String, KeyError> {
    if alg != SigningAlg::HS256 {
        return sign(keys, alg, typ, claims);
    }
    let secret = secret.ok_or_else(|| KeyError::Crypto("HS256 needs the client's secret".into()))?;
    serialize(typ, claims, &jws::HS256.signer_from_bytes(secret.expose())?)
}

fn serialize(typ: JwtType, claims: &impl Serialize, signer: &dyn JwsSigner) -> Result<String, KeyError> {
    let mut header = JwsHeader::new();
    header.set_token_type(typ.as_str());
    let payload = serde_json::to_vec(claims).map_err(|error| KeyError::Crypto(error.to_string()))?;
    Ok(jws::serialize_compact(&payload, &header, signer)?)
}

/// Returns the left half of the hash that belongs to the signature algorithm, for `at_hash`, `c_hash` and `s_hash`
/// (OpenID Connect Core §3.1.3.6, §3.3.2.11; Ed25519 uses SHA-512).
pub fn half_hash(alg: SigningAlg, value: &str) -> String {
    let hash = match alg {
        SigningAlg::RS256 | SigningAlg::PS256 | SigningAlg::ES256 | SigningAlg::HS256 => Sha256::digest(value).to_vec(),
        SigningAlg::EdDSA => Sha512::digest(value).to_vec(),
    };
    base64url(hash.split_at(hash.len() / 2).0)
}

/// Returns the claims of a token that one of this server's keys signed as `typ`; `None` for any other token.
pub fn verify<T: DeserializeOwned>(keys: &Keyring, typ: JwtType, token: &str) -> Option<T> {
    #[derive(serde::Deserialize)]
    struct Header {
        kid: String,
        typ: String,
        // No critical header parameter is supported (RFC 7515 §4.1.11).
        crit: Option<serde_json::Value>,
    }
    if token.len() > MAX_BYTES {
        return None;
    }
    let header: Header = serde_json::from_slice(&from_base64url(token.split('.').next()?)?).ok()?;
    if header.crit.is_some() || header.typ != typ.as_str() {
        return None;
    }
    let ring = keys.current();
    let (payload, _) = jws::deserialize_compact(token, ring.verifier(&header.kid)?).ok()?;
    serde_json::from_slice(&payload).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::domain::signing_key::KeyAlg;
    use crate::keys::client_jws;
    use crate::keys::test_keys::{key, keyring, published};

    const TYPES: [(JwtType, &str); 5] = [
        (JwtType::IdToken, "JWT"),
        (JwtType::AccessToken, "at+jwt"),
        (JwtType::LogoutToken, "logout+jwt"),
        (JwtType::Introspection, "token-introspection+jwt"),
        (JwtType::UserInfo, "JWT"),
    ];

    #[test]
    fn each_algorithm_signs_what_a_client_can_verify() {
        let (keys, claims) = (keyring(), json!({ "sub": "alice" }));
        let jwks = published(&KeyAlg::ALL.iter().map(|alg| key(*alg)).collect::<Vec<_>>());
        for alg in SigningAlg::ASYMMETRIC {
            for (typ, name) in TYPES {
                let token = sign_for_client(&keys, alg, typ, &claims, None).unwrap();
                let verified = client_jws::verify(&token, &[alg], &jwks).unwrap();
                let signed_by =
                    keys.current().keys.iter().find(|key| key.alg.signing_alg() == Some(alg)).unwrap().kid.clone();
                assert_eq!(verified.header.kid, Some(signed_by), "every one of ours has kid");
                assert_eq!(verified.header.typ.as_deref(), Some(name));
                assert_eq!(verify::<Value>(&keys, typ, &token).unwrap(), claims);
                for (other, other_name) in TYPES {
                    assert_eq!(verify::<Value>(&keys, other, &token).is_some(), name == other_name);
                }
            }
        }
    }

    #[test]
    fn hs256_uses_the_client_secret_without_kid() {
        let (keys, claims) = (keyring(), json!({ "sub": "alice" }));
        let secret = Secret::new("a secret of more than thirty-two characters: é".to_owned());
        let sign = |secret| sign_for_client(&keys, SigningAlg::HS256, JwtType::IdToken, &claims, secret);
        let token = sign(Some(&secret)).unwrap();
        let verified = client_jws::verify_mac(&token, &secret).unwrap();
        assert_eq!((&verified.header.kid, verified.claims().map(Value::from)), (&None, Some(claims.clone())));
        assert!(sign(None).is_err());
        assert!(sign(Some(&Secret::new("short".to_owned()))).is_err());
        assert!(verify::<Value>(&keys, JwtType::IdToken, &token).is_none(), "no key of ours made it");
        assert!(super::sign(&keys, SigningAlg::HS256, JwtType::IdToken, &claims).is_err());
    }

    #[test]
    fn encryption_keys_do_not_verify() {
        let ring = keyring().current();
        for alg in [KeyAlg::RsaOaep256, KeyAlg::EcdhEs] {
            assert!(ring.verifier(&key(alg).kid).is_none());
        }
    }

    /// OpenID Connect Core A.4 and A.6.
    #[test]
    fn half_hash_matches_the_oidc_examples() {
        let token = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y";
        let code = "Qcb0Orv1zh30vL1MPRsbm-diHiMwcLyZvn1arpZv-Jxf_11jnpEX3Tgfvk";
        for alg in [SigningAlg::RS256, SigningAlg::PS256, SigningAlg::ES256, SigningAlg::HS256] {
            assert_eq!(half_hash(alg, token), "77QmUPtjPfzWtF2AnpK9RQ");
            assert_eq!(half_hash(alg, code), "LDktKdoQak3Pk0cnXxCltA");
        }
        let long = half_hash(SigningAlg::EdDSA, token);
        assert_eq!((long.len(), long), (43, base64url(&Sha512::digest(token)[..32])));
    }
}
