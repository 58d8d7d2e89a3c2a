//! The issuer's published keys: its metadata (OpenID Connect Discovery 1.0 §4, RFC 8414 §3) names where they are
//! (RFC 7517 §5). Bounded in time and size.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, Url};
use serde_json::Value;

use crate::token::Key;

const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_BYTES: usize = 256 * 1024;
/// More than anybody rotates through.
const MAX_KEYS: usize = 50;

pub(crate) type KeySet = HashMap<String, Arc<Key>>;

/// Why there are no keys, for the API's log.
#[derive(Debug, thiserror::Error)]
pub enum IssuerError {
    #[error("{0} is not https, and not on this machine")]
    NotSecure(String),
    #[error("{0} does not answer: {1}")]
    Silent(String, String),
    #[error("{0} answers with status {1}")]
    Status(String, u16),
    #[error("what {0} answers is not the JSON that it should be")]
    Unreadable(String),
    #[error("the metadata is of the issuer {0}, and not of the one that was named")]
    Other(String),
    #[error("there is no HTTP client: {0}")]
    Client(String),
}

pub(crate) async fn keys(client: &Client, issuer: &str) -> Result<KeySet, IssuerError> {
    let address = format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'));
    let metadata = json(client, &address).await?;
    let text = |name: &str| metadata.get(name).and_then(Value::as_str);
    let said = text("issuer").ok_or_else(|| IssuerError::Unreadable(address.clone()))?;
    if said != issuer {
        return Err(IssuerError::Other(said.chars().take(200).collect()));
    }
    let address = text("jwks_uri").ok_or(IssuerError::Unreadable(address))?;
    let document = json(client, address).await?;
    let listed = document.get("keys").and_then(Value::as_array);
    let listed = listed.ok_or_else(|| IssuerError::Unreadable(address.to_owned()))?;
    let mut keys = KeySet::new();
    for (kid, key) in listed.iter().take(MAX_KEYS).filter_map(Key::of) {
        keys.entry(kid).or_insert_with(|| Arc::new(key));
    }
    Ok(keys)
}

async fn json(client: &Client, address: &str) -> Result<Value, IssuerError> {
    if !is_secure(address) {
        return Err(IssuerError::NotSecure(address.to_owned()));
    }
    let silent = |error: reqwest::Error| IssuerError::Silent(address.to_owned(), error.without_url().to_string());
    let mut response = client.get(address).timeout(REQUEST_TIMEOUT).send().await.map_err(silent)?;
    if response.status() != 200 {
        return Err(IssuerError::Status(address.to_owned(), response.status().as_u16()));
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(silent)? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_BYTES {
            return Err(IssuerError::Unreadable(address.to_owned()));
        }
    }
    serde_json::from_slice(&body).map_err(|_| IssuerError::Unreadable(address.to_owned()))
}

/// https, or this very machine, where nobody is between.
fn is_secure(address: &str) -> bool {
    let Ok(url) = Url::parse(address) else { return false };
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    let here = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    url.scheme() == "https" || (url.scheme() == "http" && here)
}

#[cfg(test)]
mod tests {
    use super::is_secure;

    #[test]
    fn plain_http_is_for_this_machine() {
        for good in ["https://id.example", "http://127.0.0.1:8080/x", "http://[::1]:1/", "http://localhost:8080"] {
            assert!(is_secure(good), "{good}");
        }
        for bad in
            ["http://id.example", "http://10.0.0.1/", "http://localhost.example/", "ftp://127.0.0.1/", "id.example", ""]
        {
            assert!(!is_secure(bad), "{bad}");
        }
    }
}
