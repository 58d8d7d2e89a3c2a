//! The browser session at the gate (CONTRACT, "The gate": "redirect to sign-in and back, a cookie of its own per host").
//! An app's host never gets our own cookie, so its browser comes by: from the gate's 401 to `/.signet/sign-in` of the
//! app's host, which gives it a state; to our sign-in page; back to `/.signet/callback` with a [`Ticket`] of a minute, good
//! once, for that origin, gate and state; and from then on it has a [`Pass`] in a cookie. Both are sealed, and neither is
//! good for longer than the session that they stand for.
//!
//! Next door: `credential::session`, which lets in by the cookie; `web::gate_sign_in`, the pages and redirects.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use url::form_urlencoded::byte_serialize;
use uuid::Uuid;

use super::fields::Fields;
use super::original::Original;
use super::presented::Presented;
use super::verdict::{Reason, Refusal};
use super::{Asked, Gate, path};
use crate::domain::api::Api;
use crate::domain::authorization::Acr;
use crate::domain::gate::{GateName, Way};
use crate::domain::ids::{SessionId, UserId};
use crate::domain::secret::{Digest, base64url, from_base64url};
use crate::domain::session::Session;
use crate::domain::user::Person;
use crate::domain::web_address::AppOrigin;
use crate::env::Timestamp;
use crate::keys::seal;
use crate::protocol::error::Result;

/// On the app's host, below which its proxy passes on to us.
const ON_THE_APPS_HOST: &str = "/.signet/";
const TICKET: &str = "gate-ticket";
const PASS: &str = "gate-session";
const TICKET_SECONDS: i64 = 60;
const MOST_SECONDS: i64 = 8 * 3600;
const STATE_BYTES: usize = 16;
/// Of a target that a browser comes back to: it stands in addresses, encoded and encoded again.
const MOST_TARGET_BYTES: usize = 2000;

/// Who is signed in, as the cookie on an app's host has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pass {
    pub gate: GateName,
    pub origin: AppOrigin,
    pub session: SessionId,
    pub user: UserId,
    pub acr: Acr,
    pub auth_time: Timestamp,
    /// When the session was seen to be there.
    pub issued_at: Timestamp,
    pub ends_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct Ticket {
    /// What is used up: the text around it could be written in more than one way.
    id: Uuid,
    /// Of the browser that began.
    state: String,
    target: String,
    until: Timestamp,
    pass: Pass,
}

/// Where a browser is to go when it is signed in.
#[derive(Debug)]
pub struct Back {
    pub origin: AppOrigin,
    target: String,
}

/// What a browser on an app's host gets for its ticket.
#[derive(Debug)]
pub struct Admitted {
    /// The cookie's value.
    pub pass: String,
    pub seconds: i64,
    /// In full, on the app's host.
    pub to: String,
}

impl Pass {
    /// The one in a cookie of ours.
    pub(super) fn open(gate: &Gate, sealed: &str) -> Option<Self> {
        open(gate, PASS, sealed)
    }
}

fn open<T: DeserializeOwned>(gate: &Gate, usage: &str, sealed: &str) -> Option<T> {
    serde_json::from_slice(&seal::open(&gate.provider.master, usage, sealed).ok()?).ok()
}

fn sealed(gate: &Gate, usage: &str, plain: &impl Serialize) -> Result<String> {
    let plain = serde_json::to_vec(plain).unwrap_or_default();
    Ok(seal::seal(&gate.provider.master, usage, &plain)?)
}

/// The cookie of a gate on an app's host: for this host alone, and for no neighbour of it to set.
#[must_use]
pub fn cookie_name(gate: &GateName, origin: &AppOrigin) -> String {
    // Browsers take the prefix over https alone; on loopback there is http too.
    let prefix = if origin.is_https() { "__Host-" } else { "" };
    format!("{prefix}signet-gate-{}", gate.as_str())
}

/// Beside it while somebody signs in. No name of a gate has a dot.
#[must_use]
pub fn state_cookie_name(gate: &GateName, origin: &AppOrigin) -> String {
    format!("{}.state", cookie_name(gate, origin))
}

/// The values of a cookie, in whatever way the browser and the proxy have put them into lines.
pub fn cookies<'a>(lines: impl Iterator<Item = &'a [u8]>, name: &str) -> impl Iterator<Item = &'a str> {
    lines.flat_map(|line| line.split(|byte| *byte == b';')).filter_map(move |pair| {
        let (known, value) = std::str::from_utf8(pair.trim_ascii()).ok()?.split_once('=')?;
        (known == name).then_some(value)
    })
}

/// A value as it stands in a query, in the characters that a return path of ours has (`web::pages::login`).
#[must_use]
pub fn encoded(text: &str) -> String {
    byte_serialize(text.as_bytes()).collect::<String>().replace('+', "%20").replace('*', "%2A")
}

#[must_use]
pub fn new_state(random: [u8; STATE_BYTES]) -> String {
    base64url(&random)
}

/// Whether it is one of ours, as far as that can be seen.
#[must_use]
pub fn is_state(text: &str) -> bool {
    from_base64url(text).is_some_and(|bytes| bytes.len() == STATE_BYTES)
}

/// A target that a browser may come back to: one that the gate reads in one way, and none of our own.
#[must_use]
pub fn is_target(target: &str) -> bool {
    let plain = target.len() <= MOST_TARGET_BYTES && target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    plain && path::decoded(target).is_ok_and(|path| !path.starts_with(ON_THE_APPS_HOST))
}

/// An address on the app's host at which its proxy passes on to us.
#[must_use]
pub fn on_the_apps_host(origin: &AppOrigin, page: &str) -> String {
    format!("{}{ON_THE_APPS_HOST}{page}", origin.as_str())
}

/// The address in full that a browser is sent to when the gate does not know who it is; nothing for a program, or where
/// a sign-in would change nothing.
pub(super) fn sign_in_address(api: &Api, asked: &Asked<'_>, refusal: &Refusal) -> Option<String> {
    let unknown =
        matches!(refusal.reason, Reason::NoCredential | Reason::InvalidCredential | Reason::InsufficientAuthentication);
    if !unknown || !api.takes(Way::Session) || !matches!(Presented::read(asked.fields), Ok(Presented::Nothing)) {
        return None;
    }
    let original = Original::read(asked).ok()?;
    let origin = of_original(api, &original)?;
    // A proxy that asks about our own pages there does not pass them on: it would go round for ever.
    let lost = original.path.starts_with(ON_THE_APPS_HOST);
    if lost || original.method != "GET" || !is_navigation(asked.fields) {
        return None;
    }
    let path = original.target.split('?').next().unwrap_or_default();
    let target = [original.target.as_str(), path, "/"].into_iter().find(|target| is_target(target))?;
    let stronger = refusal.acr.map(|acr| format!("&acr_values={}", encoded(acr.as_str()))).unwrap_or_default();
    Some(on_the_apps_host(origin, &format!("sign-in?rd={}{stronger}", encoded(target))))
}

/// Somebody who looks at a page (Fetch Metadata §2.2), not a script that waits for data.
fn is_navigation(fields: &Fields<'_>) -> bool {
    let mode = fields.all("sec-fetch-mode").next();
    let html = |line: &[u8]| line.windows(9).any(|word| word.eq_ignore_ascii_case(b"text/html"));
    mode.map_or_else(|| fields.all("accept").any(html), |mode| mode == b"navigate")
}

/// The API's own origin at which a request was made.
pub(super) fn of_original<'a>(api: &'a Api, original: &Original) -> Option<&'a AppOrigin> {
    let made_at = format!("{}://{}", original.scheme, original.host);
    api.origins.iter().find(|origin| origin.as_str() == made_at)
}

impl Back {
    /// `rd`: an address at one of the API's origins, to the byte.
    #[must_use]
    pub fn read(api: &Api, rd: &str) -> Option<Self> {
        let (origin, target) = api.origins.iter().find_map(|origin| Some((origin, origin.target(rd)?)))?;
        is_target(target).then(|| Self { origin: origin.clone(), target: target.to_owned() })
    }

    /// In full.
    #[must_use]
    pub fn address(&self) -> String {
        format!("{}{}", self.origin.as_str(), self.target)
    }
}

impl Gate {
    /// The API of a gate that lets people in by their session.
    pub async fn for_browsers(&self, gate: &str) -> Result<Option<(GateName, Api)>> {
        let apis = self.provider.store.authority().apis(&self.provider.store).await?;
        let named = apis.iter().filter(|api| api.takes(Way::Session)).find_map(|api| {
            let name = api.gate.as_ref().filter(|name| name.as_str() == gate)?;
            Some((name.clone(), api.clone()))
        });
        Ok(named)
    }

    /// The address on the app's host at which a browser in which somebody is signed in gets its cookie.
    pub fn callback(&self, gate: &GateName, back: &Back, state: &str, session: &Session) -> Result<String> {
        let env = &self.provider.env;
        let now = env.now();
        // Half of the idle time: whoever still uses the app comes by again, which keeps their session alive.
        let idle = now.plus_seconds(session.idle_until.since(now).div_euclid(2000));
        let pass = Pass {
            gate: gate.clone(),
            origin: back.origin.clone(),
            session: session.id,
            user: session.user,
            acr: session.method.acr(),
            auth_time: session.auth_time,
            issued_at: now,
            ends_at: now.plus_seconds(MOST_SECONDS).min(session.expires_at).min(idle),
        };
        let ticket = Ticket {
            id: env.uuid(),
            state: state.to_owned(),
            target: back.target.clone(),
            until: now.plus_seconds(TICKET_SECONDS),
            pass,
        };
        let ticket = sealed(self, TICKET, &ticket)?;
        Ok(on_the_apps_host(&back.origin, &format!("callback?ticket={}", encoded(&ticket))))
    }

    /// What a ticket is good for, in the browser that has that state, at that origin; nothing where it is good for nothing.
    pub async fn redeem(
        &self,
        gate: &GateName,
        origin: &AppOrigin,
        state: &str,
        ticket: &str,
    ) -> Result<Option<Admitted>> {
        let (store, now) = (&self.provider.store, self.provider.env.now());
        let Some(Ticket { id, state: began, target, until, pass }) = open(self, TICKET, ticket) else {
            return Ok(None);
        };
        let same_browser = bool::from(began.as_bytes().ct_eq(state.as_bytes()));
        if !same_browser || now >= until || pass.gate != *gate || pass.origin != *origin {
            return Ok(None);
        }
        if self.person_of(&pass).await?.is_none() {
            return Ok(None);
        }
        if !store.use_once(Digest(Sha256::digest(id).into()), until).await? {
            return Ok(None);
        }
        let seconds = pass.ends_at.since(now).div_euclid(1000);
        let to = format!("{}{target}", origin.as_str());
        Ok(Some(Admitted { pass: sealed(self, PASS, &pass)?, seconds, to }))
    }

    /// Whose it is; nobody where their session does not go on, as far as this node has heard, or they are gone.
    pub(super) async fn person_of(&self, pass: &Pass) -> Result<Option<Arc<Person>>> {
        let (store, now) = (&self.provider.store, self.provider.env.now());
        if now >= pass.ends_at || !store.authority().session_stands(pass.session, pass.user, pass.issued_at) {
            return Ok(None);
        }
        Ok(store.authority().person(store, pass.user).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::{cookies, encoded, is_state, is_target, new_state};

    #[test]
    fn a_browser_comes_back_to_what_the_gate_reads_in_one_way() {
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
    fn a_value_goes_into_a_return_path_and_comes_out_again() {
        let all: String = (' '..='~').collect();
        let once = encoded(&all);
        assert!(once.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.~%".contains(&b)), "{once}");
        let back: Vec<_> = url::form_urlencoded::parse(format!("a={once}").as_bytes()).into_owned().collect();
        assert_eq!(back, [("a".to_owned(), all)]);
    }

    #[test]
    fn every_cookie_of_a_name_is_seen() {
        let lines: [&[u8]; 3] = [b"a=1; b=2;a=3 ", b"aa=4; =a; a; \xff=5", b" a=6"];
        assert_eq!(cookies(lines.into_iter(), "a").collect::<Vec<_>>(), ["1", "3", "6"]);
        assert!(is_state(&new_state([7; 16])));
        for bad in ["", "a", "AAAAAAAAAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAAAAAAA="] {
            assert!(!is_state(bad), "{bad}");
        }
    }
}
