//! The browser cookie: a random id with a MAC, for browsers with or without a session. Forms and interactions are
//! bound to it, so that they do not work in another browser. Only this server can create one.
//!
//! A second cookie has a tag for each user who has signed in with this browser. Only this server can compute the
//! tags. Sign-in attempts from a known browser have an allowance of their own, separate from that of unknown browsers
//! (`identity::throttle`).

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;
use subtle::ConstantTimeEq as _;

use crate::app::AppState;
use crate::domain::ids::{SessionId, UserId};
use crate::domain::secret::{Digest, base64url, from_base64url};
use crate::domain::user::Username;
use crate::keys::master::MacPurpose;

const MAX_KNOWN_USERS: usize = 8;
const YEAR_SECONDS: i64 = 31_536_000;

#[derive(Clone, Debug)]
pub struct Browser {
    id: [u8; 16],
    known_tags: Vec<String>,
    /// Whether the request had no browser cookie: it is the browser's first request, or the browser blocks cookies.
    pub is_new: bool,
}

/// The result of checking a form token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormTokenStatus {
    /// The page was shown in this browser and in its current session.
    Current,
    /// The page was shown in this browser, in another session or without one. This suffices for a sign-in form.
    Stale,
    /// The token was not issued to this browser.
    Unknown,
}

impl Browser {
    /// Returns the digest that interactions are bound to.
    pub fn digest(&self, app: &AppState) -> Digest {
        Digest(app.provider.master.mac(MacPurpose::Browser, &[b"interaction", &self.id]))
    }

    /// Returns a digest that identifies the creation of an account by `page` in this browser, so that a form that is
    /// sent twice is recognised.
    pub fn creation(&self, app: &AppState, page: &str, username: &str) -> Digest {
        let username = Username::folded(username);
        Digest(
            app.provider
                .master
                .mac(MacPurpose::Browser, &[b"creation", &self.id, page.as_bytes(), username.as_bytes()]),
        )
    }

    pub fn name(&self) -> String {
        base64url(&self.id)
    }

    /// Returns the token for this browser's forms. One half is bound to the browser, the other one to the session.
    pub fn form_token(&self, app: &AppState, session: Option<SessionId>) -> String {
        let half = |of: &[u8]| base64url(&app.provider.master.mac(MacPurpose::Form, &[&self.id, of]));
        let session = session.map(|id| id.to_string()).unwrap_or_default();
        format!("{}.{}", half(b"browser"), half(session.as_bytes()))
    }

    pub fn judge(&self, app: &AppState, session: Option<SessionId>, token: &str) -> FormTokenStatus {
        let ours = self.form_token(app, session);
        let is_same = |one: &str, other: &str| bool::from(one.as_bytes().ct_eq(other.as_bytes()));
        let is_of_browser = match (ours.split_once('.'), token.split_once('.')) {
            (Some((ours, _)), Some((theirs, _))) => is_same(ours, theirs),
            _ => false,
        };
        match is_of_browser {
            true if is_same(&ours, token) => FormTokenStatus::Current,
            true => FormTokenStatus::Stale,
            false => FormTokenStatus::Unknown,
        }
    }

    fn tag(&self, app: &AppState, user: UserId) -> String {
        let mac = app.provider.master.mac(MacPurpose::Browser, &[b"known", &self.id, user.0.as_bytes()]);
        base64url(mac.split_at(16).0)
    }

    pub fn is_known_user(&self, app: &AppState, user: UserId) -> bool {
        let tag = self.tag(app, user);
        self.known_tags.iter().any(|known| known.as_bytes().ct_eq(tag.as_bytes()).into())
    }

    /// Returns the `Set-Cookie` value that adds `user` to the known users of this browser, the latest first.
    pub fn remember(&self, app: &AppState, user: UserId) -> Option<HeaderValue> {
        let tag = self.tag(app, user);
        let mut tags = vec![tag.clone()];
        tags.extend(self.known_tags.iter().filter(|known| **known != tag).take(MAX_KNOWN_USERS - 1).cloned());
        cookie(app, "known", &tags.join("."), YEAR_SECONDS)
    }
}

/// Returns the full name of a cookie. It contains the port of an issuer that has one: cookies are shared between
/// ports (RFC 6265 §8.5), and two servers on one host would sign each other's users out.
pub(super) fn cookie_name(app: &AppState, name: &str) -> String {
    let prefix = if app.config.is_https() { "__Host-" } else { "" };
    let port = app.config.issuer.port().map(|port| format!("{port}-")).unwrap_or_default();
    format!("{prefix}signet-{port}{name}")
}

/// Returns a `Set-Cookie` value that is valid for `seconds`. The cookie is host-only and hidden from scripts. Only
/// the cookie of `session_state` is readable by scripts.
pub(super) fn cookie(app: &AppState, name: &str, value: &str, seconds: i64) -> Option<HeaderValue> {
    let secure = if app.config.is_https() { "; Secure" } else { "" };
    let name = cookie_name(app, name);
    HeaderValue::from_str(&format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{secure}")).ok()
}

pub(super) fn value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find_map(|(known, value)| (known == name).then_some(value))
}

fn read(app: &AppState, headers: &HeaderMap) -> Option<Browser> {
    let (id, mac) = value(headers, &cookie_name(app, "browser"))?.split_once('.')?;
    let id: [u8; 16] = from_base64url(id)?.try_into().ok()?;
    let ours = app.provider.master.mac(MacPurpose::Browser, &[b"cookie", &id]);
    if !bool::from(ours.as_slice().ct_eq(&from_base64url(mac)?)) {
        return None;
    }
    let known = value(headers, &cookie_name(app, "known")).unwrap_or_default();
    let known = known.split('.').filter(|tag| !tag.is_empty()).take(MAX_KNOWN_USERS).map(ToOwned::to_owned).collect();
    Some(Browser { id, known_tags: known, is_new: false })
}

/// Whether the request has a valid browser cookie. `SameSite=Lax` keeps the cookie out of forms from other sites.
pub(super) fn has_cookie(app: &AppState, headers: &HeaderMap) -> bool {
    read(app, headers).is_some()
}

/// Removes cookies that are not ASCII from the request. All cookies of this server are ASCII, and a cookie that
/// another application set on this host must not make them unreadable.
fn drop_unreadable(headers: &mut HeaderMap) {
    if headers.get_all(header::COOKIE).iter().all(|line| line.to_str().is_ok()) {
        return;
    }
    let lines: Vec<_> = headers.get_all(header::COOKIE).iter().map(|line| line.as_bytes().to_vec()).collect();
    let pairs: Vec<_> =
        lines.iter().flat_map(|line| line.split(|byte| *byte == b';')).filter(|it| it.is_ascii()).collect();
    match HeaderValue::from_bytes(&pairs.join(&b';')) {
        Ok(readable) => headers.insert(header::COOKIE, readable),
        Err(_) => headers.remove(header::COOKIE),
    };
}

/// Adds the [`Browser`] to each page request, and sets the cookie in a new browser.
pub async fn layer(State(app): State<AppState>, mut request: Request, next: Next) -> Response {
    drop_unreadable(request.headers_mut());
    let new = || Browser { id: app.env().random(), known_tags: Vec::new(), is_new: true };
    let browser = read(&app, request.headers()).unwrap_or_else(new);
    let is_new = browser.is_new;
    let mac = app.provider.master.mac(MacPurpose::Browser, &[b"cookie", &browser.id]);
    let set = cookie(&app, "browser", &format!("{}.{}", base64url(&browser.id), base64url(&mac)), YEAR_SECONDS);
    request.extensions_mut().insert(browser);
    let mut response = next.run(request).await;
    if is_new && let Some(set) = set {
        response.headers_mut().append(header::SET_COOKIE, set);
    }
    response
}
