//! A client's own key pair: what it publishes and what it signs; and reading what is encrypted to it.

use josekit::jwe::{ECDH_ES_A256KW, RSA_OAEP_256};
use josekit::jwk::{Jwk, alg::ec::EcCurve, alg::ec::EcKeyPair, alg::ed::EdCurve, alg::rsa::RsaKeyPair};
use josekit::jws::{self, JwsHeader, JwsSigner};
use serde_json::{Value, json};
use signet::domain::secret::{base64url, from_base64url};

pub struct ClientKey {
    pub kid: String,
    private: Jwk,
    public: Jwk,
    alg: &'static str,
}

impl ClientKey {
    /// A key for signatures.
    pub fn new(kid: &str, alg: &'static str) -> Self {
        let (private, public) = match alg {
            "ES256" => {
                let pair = EcKeyPair::generate(EcCurve::P256).unwrap();
                (pair.to_jwk_key_pair(), pair.to_jwk_public_key())
            }
            "EdDSA" => {
                let pair = jws::EdDSA.generate_key_pair(EdCurve::Ed25519).unwrap();
                (pair.to_jwk_key_pair(), pair.to_jwk_public_key())
            }
            _ => {
                let pair = RsaKeyPair::generate(2048).unwrap();
                (pair.to_jwk_key_pair(), pair.to_jwk_public_key())
            }
        };
        Self::of(kid, alg, private, public)
    }

    /// A key to encrypt to.
    pub fn for_encryption(kid: &str, alg: &'static str) -> Self {
        let pair = Self::new(kid, if alg == "RSA-OAEP-256" { "RS256" } else { "ES256" });
        Self { alg, ..pair }
    }

    fn of(kid: &str, alg: &'static str, private: Jwk, mut public: Jwk) -> Self {
        public.set_key_id(kid);
        Self { kid: kid.to_owned(), private, public, alg }
    }

    /// The set with this key alone.
    pub fn jwks(&self) -> Value {
        json!({ "keys": [self.public_jwk()] })
    }

    pub fn public_jwk(&self) -> Value {
        serde_json::from_str(&self.public.to_string()).unwrap()
    }

    fn signer(&self) -> Box<dyn JwsSigner> {
        match self.alg {
            "ES256" => Box::new(jws::ES256.signer_from_jwk(&self.private).unwrap()),
            "EdDSA" => Box::new(jws::EdDSA.signer_from_jwk(&self.private).unwrap()),
            "PS256" => Box::new(jws::PS256.signer_from_jwk(&self.private).unwrap()),
            _ => Box::new(jws::RS256.signer_from_jwk(&self.private).unwrap()),
        }
    }

    pub fn sign(&self, claims: &Value) -> String {
        self.sign_with(&json!({}), claims)
    }

    /// With more in the header.
    pub fn sign_with(&self, header: &Value, claims: &Value) -> String {
        let mut all = JwsHeader::new();
        for (name, value) in header.as_object().unwrap() {
            all.set_claim(name, Some(value.clone())).unwrap();
        }
        if header.get("kid").is_none() {
            all.set_key_id(&self.kid);
        }
        jws::serialize_compact(claims.to_string().as_bytes(), &all, &*self.signer()).unwrap()
    }

    /// What is inside of something that was encrypted to this key.
    pub fn decrypt(&self, token: &str) -> String {
        let (plain, _) = if self.alg == "RSA-OAEP-256" {
            josekit::jwe::deserialize_compact(token, &RSA_OAEP_256.decrypter_from_jwk(&self.private).unwrap()).unwrap()
        } else if header(token)["alg"] == "ECDH-ES" {
            let decrypter = josekit::jwe::ECDH_ES.decrypter_from_jwk(&self.private).unwrap();
            josekit::jwe::deserialize_compact(token, &decrypter).unwrap()
        } else {
            josekit::jwe::deserialize_compact(token, &ECDH_ES_A256KW.decrypter_from_jwk(&self.private).unwrap())
                .unwrap()
        };
        String::from_utf8(plain).unwrap()
    }
}

/// HS256 under a secret.
pub fn mac(secret: &str, claims: &Value) -> String {
    let signer = jws::HS256.signer_from_bytes(secret.as_bytes()).unwrap();
    jws::serialize_compact(claims.to_string().as_bytes(), &JwsHeader::new(), &signer).unwrap()
}

/// Whether that MAC is under that secret.
pub fn has_mac(secret: &str, token: &str) -> bool {
    let verifier = jws::HS256.verifier_from_bytes(secret.as_bytes()).unwrap();
    jws::deserialize_compact(token, &verifier).is_ok()
}

/// A JWT with that header and an empty signature.
pub fn unsigned(header: &Value, claims: &Value) -> String {
    format!("{}.{}.", base64url(header.to_string().as_bytes()), base64url(claims.to_string().as_bytes()))
}

/// What stands in the header, unverified.
pub fn header(token: &str) -> Value {
    serde_json::from_slice(&from_base64url(token.split('.').next().unwrap()).unwrap()).unwrap()
}
