//! Session Management (OpenID Connect Session Management 1.0 §2 and §3): what scripts may see of a browser session, and the
//! `session_state` by which an app asks whether it is still the same.
//!
//! Next door: `web::session_state`, the cookie and the page that apps embed; `static/check_session.js`, which computes the
//! same in the browser.

use sha2::{Digest as _, Sha256};
use url::{Origin, Url};

use super::Provider;
use crate::domain::authorization::Authorization;
use crate::domain::ids::{ClientId, SessionId};
use crate::domain::interaction::AuthorizationRequest;
use crate::domain::secret::base64url;
use crate::keys::master::MacPurpose;

impl Provider {
    /// The state of a browser in which that session is signed in: it says nothing, and nobody gets back from it.
    pub fn browser_state(&self, session: SessionId) -> String {
        let mac = self.master.mac(MacPurpose::BrowserState, &[session.0.as_bytes()]);
        base64url(mac.split_at(16).0)
    }

    /// The `session_state` beside the answer to an OpenID request; nothing where the app's address is no web page's.
    pub fn session_state(&self, request: &AuthorizationRequest, authorization: &Authorization) -> Option<String> {
        let session = authorization.session().filter(|_| authorization.permissions.has_openid())?;
        let salt = base64url(&self.env.random::<16>());
        salted(&request.client, &request.reply_to.redirect_uri, &self.browser_state(session), &salt)
    }
}

/// §3: a hash over what the browser can tell too, and the salt behind it.
fn salted(client: &ClientId, redirect_uri: &str, browser_state: &str, salt: &str) -> Option<String> {
    let origin = Url::parse(redirect_uri).ok()?.origin();
    let Origin::Tuple(..) = origin else { return None };
    let text = format!("{client} {} {browser_state} {salt}", origin.ascii_serialization());
    Some(format!("{}.{salt}", base64url(&Sha256::digest(text))))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What browsers compute must never change under pages that are open.
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
