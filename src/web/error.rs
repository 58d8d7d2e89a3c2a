//! Error responses: JSON with `WWW-Authenticate` (RFC 6749 §5.2, RFC 6750 §3) for programs, or a page for users. See
//! also [`super::error_report`], which logs and records errors.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use serde_json::json;

use super::error_report::ReportedError;
use super::extract::origin;
use super::pages::views::ErrorPage;
use super::urls::GATE_SESSION;
use super::view::{Chrome, DisplayTime, visible};
use crate::app::AppState;
use crate::config::Issuer;
use crate::domain::client::Client;
use crate::domain::event::RequestOrigin;
use crate::domain::redirect_uri::RedirectUri;
use crate::env::Timestamp;
use crate::identity::throttle::ThrottleError;
use crate::manage::ManageError;
use crate::protocol::error::{ErrorCode, OAuthError};

fn status(error: &OAuthError) -> StatusCode {
    StatusCode::from_u16(error.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// An error response for programs.
pub struct ApiError {
    pub error: OAuthError,
    /// The challenge in `WWW-Authenticate`.
    pub challenge: Challenge,
    /// The status, if it is not that of the error code.
    pub status: Option<StatusCode>,
    /// Further parameters of a bearer challenge. The values must not contain quotation marks.
    parameters: Vec<(&'static str, String)>,
    /// The value of `Retry-After` in seconds (RFC 9110 §10.2.3).
    retry_after: Option<i64>,
}

impl ApiError {
    pub fn new(error: OAuthError, challenge: Challenge) -> Self {
        Self { error, challenge, status: None, parameters: Vec::new(), retry_after: None }
    }

    /// Returns an error for too many requests (RFC 6585 §4).
    pub fn too_many(many: ThrottleError, now: Timestamp, text: &'static str) -> Self {
        let seconds = many.until.since(now).max(0).div_euclid(1000) + 1;
        Self { retry_after: Some(seconds), ..Self::with_status(StatusCode::TOO_MANY_REQUESTS, text) }
    }

    /// Returns an error for which OAuth defines no code, only HTTP a status.
    pub fn with_status(status: StatusCode, text: &'static str) -> Self {
        let error = OAuthError::new(ErrorCode::InvalidRequest, text);
        Self { status: Some(status), ..Self::new(error, Challenge::None) }
    }

    /// Adds a parameter to a bearer challenge, such as `resource_metadata` (RFC 9728 §5.1).
    #[must_use]
    pub fn with_parameter(mut self, name: &'static str, value: String) -> Self {
        self.parameters.push((name, value));
        self
    }

    /// Returns the value of `WWW-Authenticate`.
    fn challenge(&self) -> Option<String> {
        let (code, description) = (self.error.code.as_str(), &self.error.description);
        let error = match self.challenge {
            Challenge::None => return None,
            Challenge::Basic => return Some("Basic realm=\"signet\", charset=\"UTF-8\"".to_owned()),
            Challenge::Bearer => Some(format!("error=\"{code}\", error_description=\"{description}\"")),
            Challenge::BareBearer => None,
        };
        let more = self.parameters.iter().map(|(name, value)| format!("{name}=\"{value}\""));
        let all: Vec<String> = error.into_iter().chain(more).collect();
        Some(format!("Bearer {}", all.join(", ")).trim_end().to_owned())
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Challenge {
    None,
    /// RFC 6749 §5.2: for a client that used the `Authorization` header.
    Basic,
    /// RFC 6750 §3: with the error. `BareBearer` is for requests without a token.
    Bearer,
    BareBearer,
}

impl From<OAuthError> for ApiError {
    fn from(error: OAuthError) -> Self {
        Self::new(error, Challenge::None)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let challenge = self.challenge();
        let (code, description) = (self.error.code.as_str(), &self.error.description);
        let body = Json(json!({ "error": code, "error_description": description }));
        let mut response = (self.status.unwrap_or_else(|| status(&self.error)), body).into_response();
        if let Some(value) = challenge.and_then(|text| HeaderValue::from_str(&text).ok()) {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
        }
        if let Some(seconds) = self.retry_after.or(retry_after(response.status())) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response.extensions_mut().insert(ReportedError { error: self.error, sent_to_client: false });
        response
    }
}

/// An error page for users.
pub struct PageError {
    app: AppState,
    what: PageErrorKind,
    chrome: fn(&AppState) -> Chrome,
    shown: Box<PageErrorDetails>,
}

/// The content of an error page besides the error.
struct PageErrorDetails {
    request_id: String,
    title: Option<&'static str>,
    /// The name of the client that the page is about.
    about: Option<String>,
    links: Vec<PageLink>,
}

/// A link on an error page, shown as a button.
#[derive(Clone, Debug)]
pub struct PageLink {
    pub label: String,
    pub href: String,
    /// The `id` attribute of the link.
    pub id: &'static str,
}

impl PageLink {
    /// Returns a link to a page of this server.
    pub fn new(label: impl Into<String>, href: impl Into<String>) -> Self {
        Self { label: label.into(), href: href.into(), id: "" }
    }

    /// Returns a link back to a client, at an address that it has registered: its `initiate_login_uri` (OpenID
    /// Connect Core §4), its home page, or the site of its redirect URI. An address from a request is never used.
    pub fn to_app(client: &Client, issuer: &Issuer) -> Option<Self> {
        let begins =
            client.meta.initiate_login_uri.as_ref().map(|uri| uri.with_query_parameters(&[("iss", issuer.as_str())]));
        let home = client.meta.client_uri.as_ref().map(|page| page.as_str().to_owned());
        let href = begins.or(home).or_else(|| client.meta.redirect_uris.iter().find_map(RedirectUri::site_url))?;
        let label = format!("Go back to {}", visible(client.display_name()));
        (!client.disabled).then_some(Self { label, href, id: "back-to-app" })
    }
}

enum PageErrorKind {
    OAuth(OAuthError),
    /// The page or object does not exist. OAuth has no error code for this.
    NotFound(&'static str),
}

impl PageError {
    pub fn new(app: &AppState, origin: &RequestOrigin, error: OAuthError) -> Self {
        Self::of(app, origin, PageErrorKind::OAuth(error))
    }

    /// Returns a 404 page. `text` says what does not exist, such as "There is no such app."
    pub fn not_found(app: &AppState, origin: &RequestOrigin, text: &'static str) -> Self {
        Self::of(app, origin, PageErrorKind::NotFound(text))
    }

    fn of(app: &AppState, origin: &RequestOrigin, what: PageErrorKind) -> Self {
        let request_id = origin.request_id.clone();
        let shown = Box::new(PageErrorDetails { request_id, title: None, about: None, links: Vec::new() });
        Self { app: app.clone(), what, chrome: Chrome::of, shown }
    }

    /// Replaces the title that belongs to the error code.
    #[must_use]
    pub fn titled(mut self, title: &'static str) -> Self {
        self.shown.title = Some(title);
        self
    }

    /// Adds a link. The first link is the primary one.
    #[must_use]
    pub fn with_link(mut self, way: PageLink) -> Self {
        self.shown.links.push(way);
        self
    }

    /// Replaces all links.
    #[must_use]
    pub fn with_links(mut self, ways: Vec<PageLink>) -> Self {
        self.shown.links = ways;
        self
    }

    /// Names the client that the page is about. The link back to the client becomes the first one.
    #[must_use]
    pub fn about(mut self, client: &Client) -> Self {
        self.shown.about = Some(visible(client.display_name()));
        // Only for verified clients. Otherwise anyone could register a client to put a link on this page.
        if let Some(way) = PageLink::to_app(client, &self.app.config.issuer).filter(|_| client.is_verified()) {
            self.shown.links.insert(0, way);
        }
        self
    }

    /// Returns the page for the host of a client behind a gate.
    #[must_use]
    pub fn on_apps_host(self) -> Self {
        Self { chrome: Chrome::on_apps_host, ..self }
    }
}

/// Returns a 404 page for an address without a route.
pub async fn no_such_page(State(app): State<AppState>, request: Request) -> PageError {
    let (parts, _) = request.into_parts();
    let asker = origin(&parts, &app.config.trusted_proxies);
    let error = PageError::not_found(&app, &asker, "There is no page at this address.");
    if parts.uri.path().starts_with(GATE_SESSION) { error.on_apps_host() } else { error }
}

/// Returns the default of `Retry-After` in seconds (RFC 9110 §10.2.3).
fn retry_after(status: StatusCode) -> Option<i64> {
    match status {
        StatusCode::SERVICE_UNAVAILABLE => Some(2),
        StatusCode::TOO_MANY_REQUESTS => Some(60),
        _ => None,
    }
}

/// Returns the heading of the error page.
const fn title(code: ErrorCode) -> &'static str {
    match code {
        ErrorCode::AccessDenied => "You don’t have access",
        ErrorCode::TooManyRequests => "Too many requests",
        ErrorCode::TemporarilyUnavailable => "Not available right now",
        ErrorCode::ServerError => "Something went wrong here",
        ErrorCode::RequestTimeout => "The page was sent too slowly",
        ErrorCode::InvalidClient | ErrorCode::UnauthorizedClient => "The app may not sign you in here",
        ErrorCode::UnmetAuthenticationRequirements => "A stronger sign-in is needed",
        _ => "The request isn’t valid",
    }
}

/// Returns a hint on what the user can do now.
fn hint(status: StatusCode) -> Option<&'static str> {
    match status {
        StatusCode::SERVICE_UNAVAILABLE => Some("Wait a moment, then load the page again."),
        StatusCode::TOO_MANY_REQUESTS => Some("Wait, then try again."),
        StatusCode::NOT_FOUND | StatusCode::FORBIDDEN => None,
        status if status.is_server_error() => {
            Some("Try again. If it happens again, show this page to whoever runs it.")
        }
        _ => Some("Go back and try again. If it happens again, show this page to whoever runs the app."),
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let mut refused = None;
        let (status, code, title, description) = match self.what {
            PageErrorKind::OAuth(error) => {
                refused = Some(ReportedError { error: error.clone(), sent_to_client: false });
                let status = match status(&error) {
                    // A 401 needs a challenge, and browsers have no use for one here.
                    StatusCode::UNAUTHORIZED => StatusCode::BAD_REQUEST,
                    status => status,
                };
                (status, error.code.as_str(), title(error.code), error.description.into_owned())
            }
            PageErrorKind::NotFound(text) => {
                tracing::warn!(error = "not_found", description = text, "refused");
                (StatusCode::NOT_FOUND, "not_found", "There is nothing here", text.to_owned())
            }
        };
        let chrome = (self.chrome)(&self.app);
        let mut ways = self.shown.links;
        if ways.is_empty() {
            ways.push(PageLink::new("Go to the front page", chrome.home.clone()));
        }
        let page = ErrorPage {
            chrome,
            code: code.to_owned(),
            title: self.shown.title.unwrap_or(title).to_owned(),
            about: self.shown.about,
            links: ways,
            description,
            request_id: self.shown.request_id,
            time: DisplayTime::new(self.app.env().now().date()),
            hint: hint(status),
        };
        let mut response = (status, render(&page)).into_response();
        if let Some(seconds) = retry_after(status) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(refused) = refused {
            response.extensions_mut().insert(refused);
        }
        response
    }
}

/// Converts an error of an administrative operation that has no form fields. Validation errors of a form are shown at
/// its fields.
impl From<ManageError> for OAuthError {
    fn from(error: ManageError) -> Self {
        match error {
            ManageError::Store(error) => error.into(),
            ManageError::Keys(error) => error.into(),
            ManageError::Full => Self::too_many("No more accounts can be made here for the moment."),
            ManageError::Busy => Self::new(ErrorCode::TemporarilyUnavailable, "Try again in a moment."),
            ManageError::NotAdministrator => Self::new(
                ErrorCode::AccessDenied,
                "You are not an administrator any more, and nothing was changed. Ask an administrator to do it.",
            ),
            ManageError::SessionEnded => Self::new(
                ErrorCode::AccessDenied,
                "Your session has ended, and nothing was changed. Sign in again and repeat it.",
            ),
            error => Self::new(ErrorCode::InvalidRequest, error.to_string()),
        }
    }
}

/// Renders a page as HTML. A template that fails to render is an internal error (500).
pub fn render(page: &impl askama::Template) -> Response {
    match page.render() {
        Ok(html) => Html(html).into_response(),
        Err(error) => {
            tracing::error!(%error, "a page does not render");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
