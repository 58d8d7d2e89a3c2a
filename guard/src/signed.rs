//! Requests that are signed (RFC 9421): with keys that the API knows, over the address that the API says it has.

use std::sync::Arc;

use http::HeaderMap;
use http::request::Parts;
use signet_signatures::{Error, ErrorKind, Policy, Request, Signatures, VerifyingKey};

use crate::challenge::{Rejection, RejectionCode};
use crate::nonces::{BoxFuture, Nonces};

/// Whose key it is, and what they may.
#[derive(Clone, Debug)]
pub struct Caller {
    pub key: VerifyingKey,
    pub subject: String,
    pub client: Option<String>,
    pub scopes: Vec<String>,
    pub groups: Vec<String>,
}

impl Caller {
    /// A client that acts for itself, without scopes.
    #[must_use]
    pub fn new(key: VerifyingKey, client: impl Into<String>) -> Self {
        let client = client.into();
        Self { key, subject: client.clone(), client: Some(client), scopes: Vec::new(), groups: Vec::new() }
    }

    #[must_use]
    pub fn with_scopes<S: Into<String>>(mut self, scopes: impl IntoIterator<Item = S>) -> Self {
        self.scopes = scopes.into_iter().map(Into::into).collect();
        self
    }

    #[must_use]
    pub fn with_groups<S: Into<String>>(mut self, groups: impl IntoIterator<Item = S>) -> Self {
        self.groups = groups.into_iter().map(Into::into).collect();
        self
    }
}

/// The keys that the API knows. A closure `Fn(&str) -> Option<Caller>` is one.
pub trait SignatureKeys: Send + Sync + 'static {
    /// Of that `keyid`.
    fn find<'a>(&'a self, keyid: &'a str) -> BoxFuture<'a, Option<Caller>>;
}

impl<F: Fn(&str) -> Option<Caller> + Send + Sync + 'static> SignatureKeys for F {
    fn find<'a>(&'a self, keyid: &'a str) -> BoxFuture<'a, Option<Caller>> {
        let found = self(keyid);
        Box::pin(async move { found })
    }
}

#[derive(Clone)]
pub(crate) struct SignatureVerifier {
    /// Scheme and authority, as callers write them.
    pub scheme: String,
    pub authority: String,
    pub policy: Policy,
    pub keys: Arc<dyn SignatureKeys>,
    pub nonces: Arc<dyn Nonces>,
}

pub(crate) fn is_signed(headers: &HeaderMap) -> bool {
    headers.contains_key("signature-input") || headers.contains_key("signature")
}

/// The request as a signature sees it.
fn seen<'a>(parts: &'a Parts, scheme: &'a str, authority: &'a str) -> Result<Request<'a>, Error> {
    #[cfg(feature = "axum")]
    let uri = parts.extensions.get::<axum::extract::OriginalUri>().map_or(&parts.uri, |original| &original.0);
    #[cfg(not(feature = "axum"))]
    let uri = &parts.uri;
    let target = uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    Request::new(parts.method.as_str(), scheme, authority, target)?.with_fields(fields(parts))
}

fn fields(parts: &Parts) -> impl Iterator<Item = (&str, &[u8])> {
    parts.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes()))
}

/// For what does not depend on the address: the digest, and which components are to be covered.
pub(crate) fn without_address(parts: &Parts) -> Result<Request<'_>, Rejection> {
    let request = Request::new(parts.method.as_str(), "https", "localhost", "/");
    request.and_then(|request| request.with_fields(fields(parts))).map_err(|error| rejection(&error))
}

pub(crate) fn rejection(error: &Error) -> Rejection {
    let code = match error.kind() {
        ErrorKind::Malformed => RejectionCode::InvalidRequest,
        ErrorKind::Unverified => RejectionCode::InvalidSignature,
    };
    Rejection::new(code, format!("{error}."))
}

impl SignatureVerifier {
    /// Who signed it. The nonce is taken last, when everything else is right.
    pub async fn identify(&self, parts: &Parts, now: i64) -> Result<Caller, Rejection> {
        let refused = |error: Error| rejection(&error);
        let request = seen(parts, &self.scheme, &self.authority).map_err(refused)?;
        let signatures = Signatures::of(&request).map_err(refused)?;
        let signature = signatures.as_ref().map(Signatures::only).transpose().map_err(refused)?.flatten();
        let signature = signature.ok_or_else(|| Rejection::new(RejectionCode::Nothing, "There is no signature."))?;
        let checked = self.policy.check(signature, &request, now).map_err(refused)?;
        // A key that is not known is refused in the words of one that is, and does not fit.
        let caller = self.keys.find(checked.keyid()).await;
        let caller = caller.ok_or_else(|| rejection(&checked.without_key(&request)))?;
        checked.verify(&request, &caller.key).map_err(|error| match error {
            Error::Algorithm => rejection(&Error::NotVerified),
            error => rejection(&error),
        })?;
        match self.nonces.take(checked.keyid(), checked.nonce(), checked.good_until(), now).await {
            Ok(true) => Ok(caller),
            Ok(false) => Err(Rejection::new(RejectionCode::InvalidSignature, "The nonce was used before.")),
            Err(error) => Err(Rejection::new(RejectionCode::Unavailable, format!("{error}."))),
        }
    }
}
