//! Pushed authorization requests (RFC 9126): an authenticated client sends its request in advance, it is checked like a
//! request from a browser, and the client gets a `request_uri` for the browser.
//!
//! The request is consumed when the interaction is complete, not on first use: reloading the page or opening a second
//! tab works while the `request_uri` is valid (§2.2, §4). After that, the browser that got the response gets the same
//! one again while it is valid ([`super::repeat_response`]), and any other browser gets an error.

use super::check;
use super::request_object::{REQUEST_URI_PREFIX, SINGLE_VALUED};
use crate::domain::client::Client;
use crate::domain::secret::SecretKind;
use crate::protocol::Provider;
use crate::protocol::error::{ErrorCode, OAuthError, Result};
use crate::protocol::parameters::Parameters;
use crate::store::pushed_requests::{self, PushedRequest};
use crate::store::quotas::{self, QuotaKind};

/// The lifetime of a `request_uri` in seconds.
pub const REQUEST_URI_TTL_SECONDS: i64 = 60;
/// The maximum stored size of one request in bytes: the limit of the query of other requests (`web::limits`).
const MAX_BYTES: usize = 48 * 1024;

/// The response of the pushed authorization request endpoint (RFC 9126 §2.2).
#[derive(Debug, serde::Serialize)]
pub struct PushedAuthorizationResponse {
    pub request_uri: String,
    pub expires_in: i64,
}

impl Provider {
    /// Checks the request of an authenticated client and stores its known parameters for a minute. For clients that
    /// anyone can create, the number of stored requests is limited per `address` and in total.
    pub async fn push(&self, client: &Client, sent: &Parameters, address: &str) -> Result<PushedAuthorizationResponse> {
        let invalid = |text: &'static str| OAuthError::new(ErrorCode::InvalidRequest, text);
        if sent.one("request_uri")?.is_some() {
            return Err(invalid("A pushed request has no request_uri (RFC 9126 section 2.1)."));
        }
        if sent.one("client_id")?.is_some_and(|id| id != client.id.as_str()) {
            return Err(invalid("client_id is another client than the one that authenticated."));
        }
        // The client's credentials are not part of the authorization request.
        let asked = sent.without(&["client_secret", "client_assertion", "client_assertion_type"]);
        let parameters = self.apply_request_object(&asked, client).await?.with("client_id", client.id.as_str());
        let reply_to = check::reply_to(&parameters, client)?;
        let request = self.judge(&parameters, client, &reply_to, None).await?;
        // All parameters are checked; only those that the server knows are stored.
        let kept = parameters.only(|name| name == "resource" || SINGLE_VALUED.contains(&name)).encoded();
        if kept.len() > MAX_BYTES {
            return Err(invalid("The request is too large."));
        }
        let secret = SecretKind::PushedRequest.mint(self.env.random());
        let row = PushedRequest {
            digest: SecretKind::PushedRequest.digest(secret.expose()),
            client: client.id.clone(),
            versions: request.versions,
            parameters: kept,
        };
        let expires_at = self.env.now().plus_seconds(REQUEST_URI_TTL_SECONDS);
        let entry = client
            .is_quota_limited()
            .then(|| self.store.quota_entry(QuotaKind::PushedRequest, self.env.uuid(), address, expires_at));
        let keep = self.store.write(move |tx| {
            Box::pin(async move {
                if let Some(entry) = &entry
                    && !quotas::admit(tx, entry).await?
                {
                    return Ok(false);
                }
                pushed_requests::insert(tx, &row, REQUEST_URI_TTL_SECONDS).await.map(|()| true)
            })
        });
        if !keep.await? {
            return Err(OAuthError::too_many(
                "Too many requests were pushed from this network. Try again in a minute.",
            ));
        }
        Ok(PushedAuthorizationResponse {
            request_uri: format!("{REQUEST_URI_PREFIX}{}", secret.expose()),
            expires_in: REQUEST_URI_TTL_SECONDS,
        })
    }
}
