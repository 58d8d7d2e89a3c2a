//! Signing (RFC 9421 §3.1): from a request, what to cover and a key to the values of the two fields.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sfv::KeyRef;

use crate::error::{Error, Result};
use crate::input::Input;
use crate::key::SigningKey;
use crate::request::Request;

/// The values of the header fields that carry a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureFields {
    /// Of `Signature-Input`.
    pub signature_input: String,
    /// Of `Signature`.
    pub signature: String,
}

impl Input {
    /// Over `request`, which has every field that is covered already. An `alg` has to be the key's.
    pub fn sign(&self, label: &str, request: &Request<'_>, key: &SigningKey) -> Result<SignatureFields> {
        let label = KeyRef::from_str(label).map_err(|_| Error::Characters("the label"))?.as_str();
        if self.parameters().alg.as_deref().is_some_and(|alg| alg != key.algorithm().as_str()) {
            return Err(Error::Algorithm);
        }
        let value = key.sign(self.base(request)?.as_bytes())?;
        Ok(SignatureFields {
            signature_input: format!("{label}={self}"),
            signature: format!("{label}=:{}:", STANDARD.encode(value)),
        })
    }
}
