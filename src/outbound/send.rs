//! Sends the request of `signet request`, to any address, because the user at the terminal chooses it. The
//! signed request is sent unchanged except for its framing, and no redirect is followed, because a signature is
//! valid for one URL. `super::client` is for URLs that untrusted parties name.

use std::path::Path;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Response, Url, redirect};

use super::{authorities, causes};

/// A request to send.
pub struct OutgoingRequest {
    pub method: String,
    pub url: Url,
    /// The header lines in order. A name may occur several times.
    pub headers: Vec<(String, String)>,
    pub body: Option<Vec<u8>>,
}

/// A response whose body is read in pieces.
pub struct IncomingResponse(Response);

/// Sends a request. `patience` is the timeout of the whole exchange, `ca` a PEM file with certificates to trust
/// in addition to those of the system. Proxies are taken from the environment.
pub async fn send(request: OutgoingRequest, patience: Duration, ca: Option<&Path>) -> Result<IncomingResponse, String> {
    let mut client = Client::builder().timeout(patience).redirect(redirect::Policy::none());
    if let Some(path) = ca {
        for certificate in authorities(path)? {
            client = client.add_root_certificate(certificate);
        }
    }
    let client = client.build().map_err(|error| causes(&error))?;
    let method = Method::from_bytes(request.method.as_bytes()).map_err(|error| error.to_string())?;
    let mut headers = HeaderMap::new();
    for (name, value) in &request.headers {
        let written = HeaderName::from_bytes(name.as_bytes()).map_err(|error| error.to_string())?;
        headers.append(written, HeaderValue::from_str(value).map_err(|error| format!("{name}: {error}"))?);
    }
    let mut asked = client.request(method, request.url).headers(headers);
    if let Some(body) = request.body {
        asked = asked.body(body);
    }
    asked.send().await.map(IncomingResponse).map_err(|error| causes(&error.without_url()))
}

impl IncomingResponse {
    /// Returns the status code and its standard reason phrase, if it has one.
    pub fn status(&self) -> (u16, &'static str) {
        let status = self.0.status();
        (status.as_u16(), status.canonical_reason().unwrap_or_default())
    }

    /// Returns the version, such as `HTTP/1.1` or `HTTP/2.0`.
    pub fn version(&self) -> String {
        format!("{:?}", self.0.version())
    }

    /// Returns each header line, with names in lower case.
    pub fn headers(&self) -> impl Iterator<Item = (&str, String)> {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        self.0.headers().iter().map(move |(name, value)| (name.as_str(), text(value)))
    }

    /// Returns the next piece of the body; `None` at its end.
    pub async fn piece(&mut self) -> Result<Option<Vec<u8>>, String> {
        let piece = self.0.chunk().await.map_err(|error| causes(&error.without_url()))?;
        Ok(piece.map(|bytes| bytes.to_vec()))
    }
}
