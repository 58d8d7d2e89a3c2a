//! Flash messages: a sentence, and at most one secret, that a POST passes to the page it redirects to (303). The
//! message travels in a cookie that is sealed under the master key for one browser and one page. The page that shows
//! it removes the cookie. Nothing is stored, and other pages opened meanwhile neither show nor consume it.
//!
//! See also [`super::browser`], whose cookie the message is bound to.

use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use serde::{Deserialize, Serialize};

use super::browser::{self, Browser};
use super::view::{Notice, visible};
use crate::app::AppState;
use crate::domain::secret::Digest;
use crate::env::Timestamp;
use crate::keys::seal;

const USAGE: &str = "flash";
const COOKIE: &str = "flash";
const TTL_SECONDS: i64 = 60;
/// Allowed clock skew between the node that sealed the message and the node that opens it.
const SKEW_SECONDS: i64 = 600;

/// A flash message. It contains the secret in the clear, so it does not implement `Debug`.
#[derive(Clone, Serialize, Deserialize)]
pub struct Flash {
    bad: bool,
    text: String,
    /// A new client secret, initial access token or other secret that is shown once.
    pub secret: Option<String>,
}

impl Flash {
    pub fn ok(text: impl Into<String>) -> Self {
        Self { bad: false, text: text.into(), secret: None }
    }

    pub fn bad(text: impl Into<String>) -> Self {
        Self { bad: true, text: text.into(), secret: None }
    }

    #[must_use]
    pub fn with_secret(self, secret: String) -> Self {
        Self { secret: Some(secret), ..self }
    }

    pub fn is_bad(&self) -> bool {
        self.bad
    }

    pub fn notice(&self) -> Notice {
        let text = visible(&self.text);
        if self.bad { Notice::bad(&text) } else { Notice::ok(&text) }
    }

    /// Returns a redirect to `to`, which will show the message.
    pub fn redirect(self, app: &AppState, browser: &Browser, to: &str) -> Response {
        let mut response = Redirect::to(to).into_response();
        let sealed = SealedFlash {
            flash: self,
            browser: browser.digest(app),
            path: to.split('?').next().unwrap_or_default().to_owned(),
            until: app.env().now().plus_seconds(TTL_SECONDS + SKEW_SECONDS),
        };
        let cookie = serde_json::to_vec(&sealed)
            .ok()
            .and_then(|plain| seal::seal(&app.provider.master, USAGE, &plain).ok())
            .and_then(|value| browser::cookie(app, COOKIE, &value, TTL_SECONDS));
        if let Some(cookie) = cookie {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        } else {
            tracing::error!("what was to be said on the next page cannot be sealed");
        }
        response
    }
}

#[derive(Serialize, Deserialize)]
struct SealedFlash {
    flash: Flash,
    browser: Digest,
    /// The path of the page that shows the message.
    path: String,
    until: Timestamp,
}

/// Adds the flash message to the request, and removes its cookie once a page has shown it.
pub async fn layer(State(app): State<AppState>, mut request: Request, next: Next) -> Response {
    let Some(value) = browser::value(request.headers(), &browser::cookie_name(&app, COOKIE)).map(ToOwned::to_owned)
    else {
        return next.run(request).await;
    };
    let ours = request.extensions().get::<Browser>().map(|browser| browser.digest(&app));
    let opened = seal::open(&app.provider.master, USAGE, &value).ok();
    let opened = opened.and_then(|plain| serde_json::from_slice::<SealedFlash>(&plain).ok());
    if opened.as_ref().is_some_and(|sealed| sealed.path != request.uri().path()) {
        return next.run(request).await;
    }
    if let Some(sealed) = opened
        && Some(sealed.browser) == ours
        && app.env().now() < sealed.until
    {
        request.extensions_mut().insert(sealed.flash);
    }
    let shown = request.method() == Method::GET;
    let mut response = next.run(request).await;
    if shown && response.status() == StatusCode::OK {
        response.headers_mut().extend(browser::cookie(&app, COOKIE, "", 0).map(|gone| (header::SET_COOKIE, gone)));
    }
    response
}
