//! The URLs that lead a browser from an app's host to the sign-in page and back, for APIs that accept the browser
//! session. A browser is redirected only to the origins of the API.
//!
//! See also [`super::session`], which issues the ticket and the cookie.

use url::form_urlencoded::byte_serialize;

use super::credentials::PresentedCredential;
use super::decision::{Denial, Reason};
use super::forwarded_request::ForwardedRequest;
use super::headers::Headers;
use super::{GateRequest, path};
use crate::domain::api::Api;
use crate::domain::gate::CredentialKind;
use crate::domain::web_address::AppOrigin;

/// The path prefix on the app's host that its proxy forwards to this server.
pub const APP_PATH_PREFIX: &str = "/.signet/";
/// The maximum length in bytes of a return target, which is encoded twice in URLs.
const MAX_TARGET_BYTES: usize = 2000;

/// The URL to which a browser returns after sign-in.
#[derive(Debug)]
pub struct ReturnTarget {
    pub origin: AppOrigin,
    pub(super) target: String,
}

/// Encodes a value for a query, using only the characters that a return path allows (`web::pages::login`).
#[must_use]
pub fn encoded(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20").replace('*', "%2A")
}

/// Returns whether a browser may return to the target: its path must be unambiguous and outside [`APP_PATH_PREFIX`].
#[must_use]
pub fn is_target(target: &str) -> bool {
    let plain = target.len() <= MAX_TARGET_BYTES && target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    plain && path::decoded(target).is_ok_and(|path| !path.starts_with(APP_PATH_PREFIX))
}

/// Returns the URL of a page on the app's host that its proxy forwards to this server.
#[must_use]
pub fn app_url(origin: &AppOrigin, page: &str) -> String {
    format!("{}{APP_PATH_PREFIX}{page}", origin.as_str())
}

/// Returns the complete URL at which a browser signs in after a denial; `None` for other programs, or if a sign-in
/// would not help.
pub(super) fn sign_in_url(api: &Api, asked: &GateRequest<'_>, refusal: &Denial) -> Option<String> {
    let unknown =
        matches!(refusal.reason, Reason::NoCredential | Reason::InvalidCredential | Reason::InsufficientAuthentication);
    if !unknown
        || !api.allows_credential(CredentialKind::Session)
        || !matches!(PresentedCredential::read(asked.fields), Ok(PresentedCredential::Nothing))
    {
        return None;
    }
    let original = ForwardedRequest::read(asked).ok()?;
    let origin = request_origin(api, &original)?;
    // If the proxy asks the gate about this prefix, it does not forward it, and the redirect would loop.
    let lost = original.path.starts_with(APP_PATH_PREFIX);
    if lost || original.method != "GET" || !is_navigation(asked.fields) {
        return None;
    }
    let path = original.target.split('?').next().unwrap_or_default();
    let target = [original.target.as_str(), path, "/"].into_iter().find(|target| is_target(target))?;
    let stronger = refusal.acr.map(|acr| format!("&acr_values={}", encoded(acr.as_str()))).unwrap_or_default();
    Some(app_url(origin, &format!("sign-in?rd={}{stronger}", encoded(target))))
}

/// Returns whether the request is a navigation (Fetch Metadata §2.2), not a script that fetches data.
fn is_navigation(fields: &Headers<'_>) -> bool {
    let mode = fields.all("sec-fetch-mode").next();
    let html = |line: &[u8]| line.windows(9).any(|word| word.eq_ignore_ascii_case(b"text/html"));
    mode.map_or_else(|| fields.all("accept").any(html), |mode| mode == b"navigate")
}

/// Returns the origin of the API to which the request was made.
pub(super) fn request_origin<'a>(api: &'a Api, original: &ForwardedRequest) -> Option<&'a AppOrigin> {
    let made_at = format!("{}://{}", original.scheme, original.host);
    api.origins.iter().find(|origin| origin.as_str() == made_at)
}

impl ReturnTarget {
    /// Parses `rd`: a URL that starts with exactly one of the API's origins.
    #[must_use]
    pub fn read(api: &Api, rd: &str) -> Option<Self> {
        let (origin, target) = api.origins.iter().find_map(|origin| Some((origin, origin.strip_origin(rd)?)))?;
        is_target(target).then(|| Self { origin: origin.clone(), target: target.to_owned() })
    }

    /// Returns the complete URL.
    #[must_use]
    pub fn address(&self) -> String {
        format!("{}{}", self.origin.as_str(), self.target)
    }
}

#[cfg(test)]
mod tests {
    use super::{encoded, is_target};

    #[test]
    fn return_target_must_be_unambiguous() {
        for good in ["/", "/a?b=c&d=%2f", "/a%20b/*", "/a?x=//y", "/.signetx"] {
            assert!(is_target(good), "{good}");
        }
        for bad in [
            "",
            "a",
            "//evil.example",
            "/\\evil.example",
            "/a\\b",
            "/a//b",
            "/a/../b",
            "/%2e%2e/a",
            "/a%2fb",
            "/a b",
            "/a\tb",
            "/a\r\nb",
            "/a#b",
            "/ä",
            "/%5cevil",
            "/%0d%0aa",
            "/.signet/sign-out",
            "/%2esignet/callback",
            "/a;b",
        ] {
            assert!(!is_target(bad), "{bad}");
        }
        assert!(!is_target(&format!("/{}", "a".repeat(2000))));
    }

    #[test]
    fn encoded_value_round_trips() {
        let all: String = (' '..='~').collect();
        let once = encoded(&all);
        assert!(once.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.~%".contains(&b)), "{once}");
        let back: Vec<_> = url::form_urlencoded::parse(format!("a={once}").as_bytes()).into_owned().collect();
        assert_eq!(back, [("a".to_owned(), all)]);
    }
}
