//! The signature base (RFC 9421 §2.5): a line for each covered component with its value in the request, and one for the
//! parameters. Nothing in it can be taken for another line: values have no line ends. And signing it (§3.1).
//!
//! Next door: [`crate::field`] for header fields, [`crate::query`] for single query parameters.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sfv::KeyRef;

use crate::component::{ComponentKind, FieldEncoding};
use crate::error::{Error, Result};
use crate::input::Input;
use crate::key::SigningKey;
use crate::request::Request;
use crate::{field, query};

/// More than all headers that a server takes: of what is signed, and of what is read for it.
const MAX_BYTES: usize = 128 * 1024;

/// Bytes that are taken apart for one component. Each one of a query or a dictionary reads it whole, so that a hundred of
/// them would cost whoever verifies a hundred times what the request weighs.
fn bytes_read_for(what: &ComponentKind, request: &Request<'_>) -> usize {
    match what {
        ComponentKind::QueryParam(_) => request.query().map_or(0, str::len),
        ComponentKind::Field(name, FieldEncoding::Structured | FieldEncoding::Member { .. }) => {
            request.lines(name).map(<[u8]>::len).sum()
        }
        _ => 0,
    }
}

/// The values of the header fields that carry a signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureFields {
    /// Of `Signature-Input`.
    pub signature_input: String,
    /// Of `Signature`.
    pub signature: String,
}

impl Input {
    /// What is signed. The same for whoever signs and whoever verifies.
    pub fn base(&self, request: &Request<'_>) -> Result<String> {
        let mut lines = Vec::new();
        let mut length = 0;
        for component in self.components() {
            length += bytes_read_for(component.what(), request);
            if length > MAX_BYTES {
                return Err(Error::BaseTooLong);
            }
            let value = match component.what() {
                ComponentKind::Method => request.method().to_owned(),
                ComponentKind::TargetUri => request.target_uri(),
                ComponentKind::Authority => request.authority(),
                ComponentKind::Scheme => request.scheme(),
                ComponentKind::RequestTarget => request.request_target(),
                ComponentKind::Path => request.path().to_owned(),
                // A query that is not there is the question mark alone, as an empty one is (§2.2.7).
                ComponentKind::Query => format!("?{}", request.query().unwrap_or_default()),
                ComponentKind::QueryParam(name) => query::value(request.query().unwrap_or_default(), name)?,
                ComponentKind::Field(name, form) => field::value(request, name, form)?,
            };
            let line = format!("{component}: {value}");
            length += line.len();
            if length > MAX_BYTES {
                return Err(Error::BaseTooLong);
            }
            lines.push(line);
        }
        lines.push(format!("\"@signature-params\": {self}"));
        Ok(lines.join("\n"))
    }

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
