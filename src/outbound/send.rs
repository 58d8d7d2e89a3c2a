//! A request of the person at the terminal, for `signet request`: to any address, since it is theirs to say which. What
//! was signed is what goes out: nothing is added to it but how it is framed, and no redirect is followed, because a
//! signature is for one address. `super::client` is for what strangers name.

use std::path::Path;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, Response, Url, redirect};

use super::{authorities, causes};

/// What goes out.
pub struct OutgoingRequest {
    pub method: String,
    pub url: Url,
    /// In their order, a name as often as it stands there.
    pub headers: Vec<(String, String)>,
    pub body: Option<Vec<u8>>,
}

/// What comes back; its body follows by and by.
pub struct IncomingResponse(Response);

/// `patience` is for all of it, `ca` a PEM file with certificates to trust beside the system's own. Proxies are those of
/// the environment.
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
    /// 403, and the standard's word for it where it has one.
    pub fn status(&self) -> (u16, &'static str) {
        let status = self.0.status();
        (status.as_u16(), status.canonical_reason().unwrap_or_default())
    }

    /// `HTTP/1.1`, `HTTP/2.0`.
    pub fn version(&self) -> String {
        format!("{:?}", self.0.version())
    }

    /// Each line by itself, names in lower case.
    pub fn headers(&self) -> impl Iterator<Item = (&str, String)> {
        let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        self.0.headers().iter().map(move |(name, value)| (name.as_str(), text(value)))
    }

    /// The next piece of the body; nothing at its end.
    pub async fn piece(&mut self) -> Result<Option<Vec<u8>>, String> {
        let piece = self.0.chunk().await.map_err(|error| causes(&error.without_url()))?;
        Ok(piece.map(|bytes| bytes.to_vec()))
    }
}
