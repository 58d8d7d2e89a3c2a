//! The addresses between an app's host and ours, where people use an API by their session: where a browser is sent that has
//! to sign in, and what it may come back to. It is led to the origins of the API and nowhere else.
//!
//! Next door: [`super::session`], the ticket and the cookie that it gets on the way.

use url::form_urlencoded::byte_serialize;

use super::credentials::PresentedCredential;
use super::decision::{Denial, Reason};
use super::forwarded_request::ForwardedRequest;
use super::headers::Headers;
use super::{GateRequest, path};
use crate::domain::api::Api;
use crate::domain::gate::CredentialKind;
use crate::domain::web_address::AppOrigin;

/// On the app's host, below which its proxy passes on to us.
pub const APP_PATH_PREFIX: &str = "/.signet/";
/// Of a target that a browser comes back to: it stands in addresses, encoded and encoded again.
const MAX_TARGET_BYTES: usize = 2000;

/// Where a browser is to go when it is signed in.
#[derive(Debug)]
pub struct ReturnTarget {
    pub origin: AppOrigin,
    pub(super) target: String,
}

/// A value as it stands in a query, in the characters that a return path of ours has (`web::pages::login`).
#[must_use]
pub fn encoded(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20").replace('*', "%2A")
}

/// A target that a browser may come back to: one that the gate reads in one way, and none of our own.
#[must_use]
pub fn is_target(target: &str) -> bool {
    let plain = target.len() <= MAX_TARGET_BYTES && target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    plain && path::decoded(target).is_ok_and(|path| !path.starts_with(APP_PATH_PREFIX))
}

/// An address on the app's host at which its proxy passes on to us.
#[must_use]
pub fn app_url(origin: &AppOrigin, page: &str) -> String {
    format!("{}{APP_PATH_PREFIX}{page}", origin.as_str())
}

/// The address in full that a browser is sent to when the gate does not know who it is; nothing for a program, or where
/// a sign-in would change nothing.
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
    // A proxy that asks about our own pages there does not pass them on: it would go round for ever.
    let lost = original.path.starts_with(APP_PATH_PREFIX);
    if lost || original.method != "GET" || !is_navigation(asked.fields) {
        return None;
    }
    let path = original.target.split('?').next().unwrap_or_default();
    let target = [original.target.as_str(), path, "/"].into_iter().find(|target| is_target(target))?;
    let stronger = refusal.acr.map(|acr| format!("&acr_values={}", encoded(acr.as_str()))).unwrap_or_default();
    Some(app_url(origin, &format!("sign-in?rd={}{stronger}", encoded(target))))
}

/// Somebody who looks at a page (Fetch Metadata §2.2), not a script that waits for data.
fn is_navigation(fields: &Headers<'_>) -> bool {
    let mode = fields.all("sec-fetch-mode").next();
    let html = |line: &[u8]| line.windows(9).any(|word| word.eq_ignore_ascii_case(b"text/html"));
    mode.map_or_else(|| fields.all("accept").any(html), |mode| mode == b"navigate")
}

/// The API's own origin at which a request was made.
pub(super) fn request_origin<'a>(api: &'a Api, original: &ForwardedRequest) -> Option<&'a AppOrigin> {
    let made_at = format!("{}://{}", original.scheme, original.host);
    api.origins.iter().find(|origin| origin.as_str() == made_at)
}

impl ReturnTarget {
    /// `rd`: an address at one of the API's origins, to the byte.
    #[must_use]
    pub fn read(api: &Api, rd: &str) -> Option<Self> {
        let (origin, target) = api.origins.iter().find_map(|origin| Some((origin, origin.strip_origin(rd)?)))?;
        is_target(target).then(|| Self { origin: origin.clone(), target: target.to_owned() })
    }

    /// In full.
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
