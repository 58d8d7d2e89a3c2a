//! Reports each error response in one log line and one record: the error, its private cause, the client that the
//! request named, and the client address. A response carries its error as an extension. The request middleware calls
//! [`report`], since it knows the request id.
//!
//! See also [`super::error`], which builds the responses, and `manage::refusals`, which stores the records.

use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use axum::http::{Method, Uri};
use axum::response::Response;

use crate::app::AppState;
use crate::domain::ids::ClientId;
use crate::protocol::error::{ErrorCode, OAuthError};
use crate::protocol::parameters::Parameters;
use crate::store::rejected_requests::RejectedRequest;

/// A response extension: the error of the response.
#[derive(Clone)]
pub struct ReportedError {
    pub error: OAuthError,
    /// Whether the error was sent to the client by a redirect.
    pub sent_to_client: bool,
}

impl ReportedError {
    /// Returns whether the error is a fault. `login_required`, `consent_required` and a user's own denial are not. A
    /// denial because of a client's settings has a cause, and is a fault.
    fn is_fault(&self) -> bool {
        let by_user = match self.error.code {
            ErrorCode::LoginRequired | ErrorCode::ConsentRequired => true,
            ErrorCode::AccessDenied => self.error.cause.is_none(),
            _ => false,
        };
        // The usual responses to a polling device until the user has decided (RFC 8628 §3.5).
        let pending = matches!(self.error.code, ErrorCode::AuthorizationPending | ErrorCode::SlowDown);
        !(self.sent_to_client && by_user || pending)
    }
}

/// The client that a request names. It is set once the client id has been read.
#[derive(Clone, Debug, Default)]
pub struct NamedClient(Arc<OnceLock<String>>);

impl NamedClient {
    pub fn set(&self, client: &ClientId) {
        self.0.set(client.to_string()).ok();
    }
}

/// The parts of a request that appear in an error report.
pub struct ReportedRequest {
    pub id: String,
    pub method: Method,
    pub uri: Uri,
    pub address: Option<IpAddr>,
    pub client: NamedClient,
}

/// Logs and records the error of a response, if it has one.
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

/// Cuts `text` to `most` characters, since its length is chosen by the caller.
fn start(text: &str, most: usize) -> String {
    text.chars().take(most).collect()
}

fn in_query(uri: &Uri) -> Option<String> {
    let parameters = Parameters::parse(uri.query()?.as_bytes()).ok()?;
    let named = parameters.one("client_id").ok()??;
    ClientId::parse(named).ok().map(|id| id.to_string())
}
