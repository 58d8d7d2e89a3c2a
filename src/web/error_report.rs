//! What was refused, said in one log line and one record: the error, its private cause, the client that the request named
//! and the address that it came from. An answer carries its refusal here as an extension; [`report`] is called where the
//! request's id is known.
//!
//! Next door: [`super::error`], which makes the answers; `manage::refusals`, which keeps the records.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use axum::http::{Method, Uri};
use axum::response::Response;

use crate::app::AppState;
use crate::domain::ids::ClientId;
use crate::protocol::error::{ErrorCode, OAuthError};
use crate::protocol::parameters::Parameters;
use crate::store::rejected_requests::RejectedRequest;

/// The refusal that an answer speaks of.
#[derive(Clone)]
pub struct ReportedError {
    pub error: OAuthError,
    /// It went back to the app, by the browser.
    pub sent_to_client: bool,
}

impl ReportedError {
    /// That nobody is signed in, or that a user says no, is no fault. A user who may not use the client is one of its settings,
    /// and has a cause.
    fn is_fault(&self) -> bool {
        let by_user = match self.error.code {
            ErrorCode::LoginRequired | ErrorCode::ConsentRequired => true,
            ErrorCode::AccessDenied => self.error.cause.is_none(),
            _ => false,
        };
        // How a device asks until its user has answered (RFC 8628 §3.5).
        let pending = matches!(self.error.code, ErrorCode::AuthorizationPending | ErrorCode::SlowDown);
        !(self.sent_to_client && by_user || pending)
    }
}

/// The client that a request names, as soon as something has read it.
#[derive(Clone, Debug, Default)]
pub struct NamedClient(Arc<OnceLock<String>>);

impl NamedClient {
    pub fn set(&self, client: &ClientId) {
        self.0.set(client.to_string()).ok();
    }
}

/// A request, as far as a refusal of it is reported.
pub struct ReportedRequest {
    pub id: String,
    pub method: Method,
    pub uri: Uri,
    pub address: Option<IpAddr>,
    pub client: NamedClient,
}

/// Logs and records the refusal of an answer, if it is one.
pub fn report(app: &AppState, asked: ReportedRequest, response: &Response) {
    let Some(refused) = response.extensions().get::<ReportedError>() else { return };
    let (error, cause) = (&refused.error, refused.error.cause.as_deref().unwrap_or_default());
    let (code, description) = (error.code.as_str(), error.description.as_ref());
    let client = asked.client.0.get().cloned().or_else(|| in_query(&asked.uri)).unwrap_or_default();
    let address = asked.address.map(|address| address.to_string()).unwrap_or_default();
    let said = if refused.sent_to_client { "sent back to the app" } else { "refused" };
    if error.code.status() >= 500 {
        tracing::error!(error = code, cause, client, address, description, "{said}");
    } else if refused.is_fault() {
        tracing::warn!(error = code, cause, client, address, description, "{said}");
    } else {
        tracing::info!(error = code, cause, client, address, "{said}");
        return;
    }
    app.refusals.add(RejectedRequest {
        request_id: asked.id,
        at: app.env().now(),
        method: start(asked.method.as_str(), 20),
        path: start(asked.uri.path(), 200),
        error: code.to_owned(),
        description: start(description, 300),
        cause: start(cause, 600),
        client: start(&client, 200),
        address,
    });
}

/// A stranger chose how long it is.
fn start(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

fn in_query(uri: &Uri) -> Option<String> {
    let parameters = Parameters::parse(uri.query()?.as_bytes()).ok()?;
    let named = parameters.one("client_id").ok()??;
    ClientId::parse(named).ok().map(|id| id.to_string())
}
