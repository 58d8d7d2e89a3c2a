//! Session Management (OpenID Connect Session Management 1.0 §2 and §3): the browser state that scripts may read, and
//! the `session_state` by which a client checks whether the session has changed.
//!
//! See also: `web::session_state`, the cookie and the page that clients embed; `static/check_session.js`, which
//! computes the same value in the browser.

use sha2::{Digest as _, Sha256};
use url::{Origin, Url};

use super::Provider;
use crate::domain::authorization::Authorization;
use crate::domain::ids::{ClientId, SessionId};
use crate::domain::interaction::AuthorizationRequest;
use crate::domain::secret::base64url;
use crate::keys::master::MacPurpose;

impl Provider {
    /// Returns the state of a browser with that session. It discloses nothing, and the session cannot be derived from
    /// it.
    pub fn browser_state(&self, session: SessionId) -> String {
        let mac = self.master.mac(MacPurpose::BrowserState, &[session.0.as_bytes()]);
        base64url(mac.split_at(16).0)
    }

    /// Returns the `session_state` of the response to an OpenID Connect request; `None` if the redirect URI has no web
    /// origin.
    pub fn session_state(&self, request: &AuthorizationRequest, authorization: &Authorization) -> Option<String> {
        let session = authorization.session().filter(|_| authorization.permissions.has_openid())?;
        let salt = base64url(&self.env.random::<16>());
        salted(&request.client, &request.reply_to.redirect_uri, &self.browser_state(session), &salt)
    }
}

/// Returns the hash that the browser can compute too, with the salt appended (§3).
fn salted(client: &ClientId, redirect_uri: &str, browser_state: &str, salt: &str) -> Option<String> {
    let origin = Url::parse(redirect_uri).ok()?.origin();
    let Origin::Tuple(..) = origin else { return None };
    let text = format!("{client} {} {browser_state} {salt}", origin.ascii_serialization());
    Some(format!("{}.{salt}", base64url(&Sha256::digest(text))))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value must stay the same across releases: pages that are open in browsers compute it too.
    #[test]
    fn session_state_hashes_client_origin_state_and_salt() {
        let client = ClientId::parse("web").unwrap();
        let of = |uri: &str, state: &str, salt: &str| salted(&client, uri, state, salt);
        let state = of("https://app.example/cb?a=b", "state", "salt").unwrap();
        assert_eq!(state, format!("{}.salt", base64url(&Sha256::digest("web https://app.example state salt"))));
        assert!(!state.contains(' '), "section 2");
        assert_eq!(of("https://app.example:443/other", "state", "salt"), Some(state.clone()), "the origin alone");
        for (uri, browser, salt) in [
            ("https://app.example:444/cb", "state", "salt"),
            ("https://other.example/cb", "state", "salt"),
            ("https://app.example/cb", "other", "salt"),
            ("https://app.example/cb", "state", "other"),
        ] {
            assert_ne!(of(uri, browser, salt), Some(state.clone()), "{uri} {browser} {salt}");
        }
        for uri in ["com.example.app:/cb", "not an address"] {
            assert_eq!(of(uri, "state", "salt"), None, "{uri}");
        }
    }
}
