//! A request to a protocol endpoint: its parameters (the query of a GET, the form of a POST) and its credentials.

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};

use super::certificate::client_certificate;
use super::client_address::caller;
use crate::app::AppState;
use crate::config::NetworkList;
use crate::domain::event::RequestOrigin;
use crate::keys::certificate::ClientCertificate;
use crate::protocol::error::{ErrorCode, OAuthError};
use crate::protocol::parameters::Parameters;
use crate::web::error::ApiError;
use crate::web::error_report::NamedClient;
use crate::web::sessions;

/// The request id, which appears in the log, on error pages and in events.
#[derive(Clone, Debug)]
pub struct RequestId(pub String);

pub struct ProtocolRequest {
    pub parameters: Parameters,
    pub authorization: Option<String>,
    pub certificate: Option<ClientCertificate>,
    pub origin: RequestOrigin,
    /// Records the client that the request names.
    pub named: NamedClient,
}

impl FromRequest<AppState> for ProtocolRequest {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &AppState) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        let invalid = |text: &'static str| OAuthError::new(ErrorCode::InvalidRequest, text);
        let authorization = authorization(&parts.headers)?;
        let origin = origin(&parts, &app.config.trusted_proxies);
        let certificate = client_certificate(&parts, &app.config).map_err(invalid)?;
        let named = parts.extensions.get::<NamedClient>().cloned().unwrap_or_default();
        let parameters = if parts.method == Method::POST {
            if !is_form(&parts.headers) {
                // RFC 6750 §2.2: a bearer token in the header needs no form.
                if !self::body(app, Request::from_parts(parts, body)).await?.is_empty() {
                    return Err(invalid("The body must be application/x-www-form-urlencoded.").into());
                }
                return Ok(Self { parameters: Parameters::default(), authorization, certificate, origin, named });
            }
            let parameters = Parameters::parse(&self::body(app, Request::from_parts(parts, body)).await?)?;
            parameters.check_repetition()?;
            parameters
        } else {
            Parameters::parse(parts.uri.query().unwrap_or_default().as_bytes())?
        };
        Ok(Self { parameters, authorization, certificate, origin, named })
    }
}

/// Returns the `Authorization` header.
///
/// # Errors
/// Returns an error if the header is repeated or not ASCII.
pub fn authorization(headers: &HeaderMap) -> Result<Option<String>, OAuthError> {
    let invalid = |text: &'static str| OAuthError::new(ErrorCode::InvalidRequest, text);
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let first = all.next().map(|value| value.to_str().map(ToOwned::to_owned));
    if all.next().is_some() {
        return Err(invalid("The Authorization header is repeated."));
    }
    first.transpose().map_err(|_| invalid("The Authorization header is not ASCII."))
}

/// Reads a request's body, up to the limit of the router.
///
/// # Errors
/// Returns 408 if the body did not arrive within `connections.body_timeout` (RFC 9110 §15.5.9), otherwise 400.
pub async fn body(app: &AppState, request: Request) -> Result<Bytes, OAuthError> {
    let read = tokio::time::timeout(app.config.connections.body_timeout(), Bytes::from_request(request, &())).await;
    let invalid = || OAuthError::new(ErrorCode::InvalidRequest, "The body is too large or did not arrive.");
    read.map_err(|_| OAuthError::new(ErrorCode::RequestTimeout, "The body did not arrive in time. Send it again."))?
        .map_err(|error| invalid().with_cause(error.to_string()))
}

/// Reads a form body and returns its parameters.
pub async fn form(app: &AppState, request: Request) -> Result<Parameters, OAuthError> {
    if !is_form(request.headers()) {
        return Err(OAuthError::new(ErrorCode::InvalidRequest, "The body must be application/x-www-form-urlencoded."));
    }
    Parameters::parse(&body(app, request).await?)
}

pub(super) fn is_form(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded"))
}

/// Returns the origin of a request for events and records: its [`caller`], user agent and request id.
pub fn origin(parts: &Parts, trusted: &NetworkList) -> RequestOrigin {
    RequestOrigin {
        address: caller(parts, trusted).map(|address| address.to_string()).unwrap_or_default(),
        user_agent: sessions::header(&parts.headers, "user-agent"),
        request_id: parts.extensions.get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default(),
    }
}
