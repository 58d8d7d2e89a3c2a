//! HTTP Message Signatures (RFC 9421) and `Content-Digest` (RFC 9530) of requests: pure functions over a method, a target
//! URI and header fields. No server, no client and no runtime: what a proxy says of a request, what a server got and what
//! a client is about to send are all brought into a [`Request`].
//!
//! Algorithms: hmac-sha256, ed25519, ecdsa-p256-sha256, rsa-pss-sha512. The key decides which (§3.2).
//!
//! ```
//! use signet_signatures::{Component, ContentDigest, DigestAlgorithm, Input, Parameters, Policy};
//! use signet_signatures::{Request, Signatures, SigningKey, VerifyingKey};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let secret = b"a secret of both that has 32 bytes or more";
//!
//! // Who sends it.
//! let body = br#"{"item": 7}"#;
//! let digest = ContentDigest::made(DigestAlgorithm::Sha256, body).to_string();
//! let request = Request::to("POST", "https://api.example/orders")?.with_field("Content-Digest", digest.as_bytes())?;
//! let covered = Policy::components(&request).into_iter().map(Component::new).collect::<Result<_, _>>()?;
//! let said = Parameters {
//!     created: Some(1_750_000_000),
//!     nonce: Some("Yx6k".to_owned()),
//!     keyid: Some("k1".to_owned()),
//!     ..Parameters::default()
//! };
//! let signed = Input::new(covered, said)?.sign("sig1", &request, &SigningKey::from_secret(secret)?)?;
//!
//! // Who gets it.
//! let request = request
//!     .with_field("Signature-Input", signed.signature_input.as_bytes())?
//!     .with_field("Signature", signed.signature.as_bytes())?;
//! let signatures = Signatures::of(&request)?.ok_or("not signed")?;
//! let signature = signatures.only()?.ok_or("not signed")?;
//! let checked = Policy::default().check(signature, &request, 1_750_000_007)?;
//! assert_eq!(checked.keyid(), "k1");
//! checked.verify(&request, &VerifyingKey::from_secret(secret)?)?;
//! // Now, and not before, the nonce is taken; and the body is held against its digest.
//! ContentDigest::of(&request)?.ok_or("no digest")?.check(body)?;
//! # Ok(())
//! # }
//! ```
//!
//! | spec | file |
//! | --- | --- |
//! | §2 components, their parameters | `component` |
//! | §2.1 values of fields: as they are, `sf`, `key`, `bs` | `field` |
//! | §2.2 the request, and what is derived from it | `request`, `query` |
//! | §2.3, §4.1 parameters, one `Signature-Input` | `input` |
//! | §2.5 the signature base, §3.1 signing | `base` |
//! | §3.2, §4.2 verifying, several labels | `signatures` |
//! | §3.2, §7.2 what has to be said and covered | `policy` |
//! | §3.3 algorithms and keys | `algorithm`, `key`, `jwk` |
//! | RFC 9530 §2 | `digest` |
//! | RFC 9651, with what stands twice | `structured` |
//! | what is wrong, and whether that is 400 or 401 | `error` |
//!
//! Stricter than the RFC, so that two readers never see two requests: a label, parameter or digest that stands twice is
//! refused where RFC 9651 would keep the last; so is a query that is not UTF-8 behind its percent signs where a single
//! parameter is covered. Responses, trailers, `req` and `tr` are not covered: a request is judged before there are any.

mod algorithm;
mod base;
mod component;
mod digest;
mod error;
mod field;
mod input;
mod jwk;
mod key;
mod policy;
mod query;
mod request;
mod signatures;
mod structured;

pub use algorithm::Algorithm;
pub use base::SignatureFields;
pub use component::Component;
pub use digest::{ContentDigest, DigestAlgorithm};
pub use error::{Error, ErrorKind, Result};
pub use field::StructuredType;
pub use input::{Input, Parameters};
pub use jwk::KeyError;
pub use key::{SigningKey, VerifyingKey};
pub use policy::{Checked, Policy};
pub use request::Request;
pub use signatures::{Signature, Signatures};

/// Bytes of one field, its lines joined: more than 32 signatures of RSA keys need.
const MAX_BYTES: usize = 16 * 1024;
