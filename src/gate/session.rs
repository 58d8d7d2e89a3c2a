//! The browser session at the gate (docs/gate.md).
//!
//! An app's host never receives the cookie of this server, so the browser is redirected. The gate's 401 leads to
//! `/.signet/sign-in` on the app's host, which sets a state; then to the sign-in page; then to `/.signet/callback` with
//! a `GateTicket`. The ticket is valid for a minute, for one use, and for that origin, gate and state. From then on the
//! browser has a `GateSession` in a cookie. Both are sealed, and neither outlives the user's session.
//!
//! See also [`super::app_urls`], the URLs of these redirects; `gate::authenticate::session`, which accepts the cookie;
//! `web::gate::sign_in`, the pages and redirects.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use uuid::Uuid;

use super::Gate;
use super::app_urls::{ReturnTarget, app_url, encoded};
use crate::domain::api::Api;
use crate::domain::authorization::Acr;
use crate::domain::event::{Actor, Event, EventKind, RequestOrigin};
use crate::domain::gate::{CredentialKind, GateName};
use crate::domain::ids::{ApiId, EventId, SessionId, UserId};
use crate::domain::secret::{Digest, base64url, from_base64url};
use crate::domain::session::Session;
use crate::domain::user::UserSummary;
use crate::domain::version::{VersionedEntity, Versions};
use crate::domain::web_address::AppOrigin;
use crate::env::Timestamp;
use crate::keys::seal;
use crate::protocol::error::Result;
use crate::store::authorizations::{self, RowLock};
use crate::store::{events, replay, session_uses};

const TICKET_USAGE: &str = "gate-ticket";
const SESSION_USAGE: &str = "gate-session";
const TICKET_TTL_SECONDS: i64 = 60;
const MAX_SESSION_SECONDS: i64 = 8 * 3600;
const STATE_BYTES: usize = 16;
/// The content of the cookie on an app's host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct GateSession {
    pub api: ApiId,
    pub gate: GateName,
    pub origin: AppOrigin,
    pub session: SessionId,
    pub user: UserId,
    pub acr: Acr,
    pub auth_time: Timestamp,
    /// The versions at issue: they change when the user's access is revoked and when the API is deleted, which ends the
    /// session.
    pub user_version: i64,
    pub api_version: i64,
    pub ends_at: Timestamp,
}

#[derive(Serialize, Deserialize)]
struct GateTicket {
    /// The value that is claimed on use. The sealed text is no unique key, because it has several encodings.
    id: Uuid,
    /// The state of the browser that started the sign-in.
    state: String,
    target: String,
    /// By the clock of the database.
    until: Timestamp,
    session_ends_at: Timestamp,
    pass: GateSession,
}

/// The result of redeeming a ticket.
#[derive(Debug)]
pub struct RedeemedTicket {
    /// The value of the cookie.
    pub pass: String,
    pub seconds: i64,
    /// The complete URL on the app's host.
    pub to: String,
}

impl GateSession {
    /// Opens the session in a cookie.
    pub(super) fn open(gate: &Gate, sealed: &str) -> Option<Self> {
        open(gate, SESSION_USAGE, sealed)
    }

    /// Returns a digest of the session and the app together.
    fn app(&self) -> Digest {
        let mut hash = Sha256::new();
        for part in ["app entered", &self.session.to_string(), self.gate.as_str(), self.origin.as_str()] {
            hash.update(part);
            // The zero byte separates the parts; none of them contains it.
            hash.update([0]);
        }
        Digest(hash.finalize().into())
    }
}

fn open<T: DeserializeOwned>(gate: &Gate, usage: &str, sealed: &str) -> Option<T> {
    serde_json::from_slice(&seal::open(&gate.provider.master, usage, sealed).ok()?).ok()
}

fn sealed(gate: &Gate, usage: &str, plain: &impl Serialize) -> Result<String> {
    let plain = serde_json::to_vec(plain).unwrap_or_default();
    Ok(seal::seal(&gate.provider.master, usage, &plain)?)
}

/// Returns the name of a gate's cookie on an app's host. The `__Host-` prefix restricts it to this host, and a sibling
/// host cannot set it.
#[must_use]
pub fn cookie_name(gate: &GateName, origin: &AppOrigin) -> String {
    // Browsers accept the prefix over HTTPS only; on loopback, HTTP is allowed too. Cookies do not distinguish ports
    // (RFC 6265 §8.5), so apps on several ports of one host need one name each. A gate name contains no dot.
    let prefix = if origin.is_https() { "__Host-" } else { "" };
    let port = origin.port().map(|port| format!(".{port}")).unwrap_or_default();
    format!("{prefix}signet-gate-{}{port}", gate.as_str())
}

/// Returns the name of the cookie that holds the state during a sign-in. A gate name contains no dot.
#[must_use]
pub fn state_cookie_name(gate: &GateName, origin: &AppOrigin) -> String {
    format!("{}.state", cookie_name(gate, origin))
}

/// Returns the values of a cookie, however the browser and the proxy distribute cookies over header lines.
pub fn cookies<'a>(lines: impl Iterator<Item = &'a [u8]>, name: &str) -> impl Iterator<Item = &'a str> {
    lines.flat_map(|line| line.split(|byte| *byte == b';')).filter_map(move |pair| {
        let (known, value) = std::str::from_utf8(pair.trim_ascii()).ok()?.split_once('=')?;
        (known == name).then_some(value)
    })
}

#[must_use]
pub fn new_state(random: [u8; STATE_BYTES]) -> String {
    base64url(&random)
}

/// Returns whether the text has the form of a state.
#[must_use]
pub fn is_state(text: &str) -> bool {
    from_base64url(text).is_some_and(|bytes| bytes.len() == STATE_BYTES)
}

impl Gate {
    /// Returns the API of a gate that accepts the browser session.
    pub async fn for_browsers(&self, gate: &str) -> Result<Option<(GateName, Api)>> {
        let apis = self.provider.store.authority().apis(&self.provider.store).await?;
        let named = apis.iter().filter(|api| api.allows_credential(CredentialKind::Session)).find_map(|api| {
            let name = api.gate.as_ref().filter(|name| name.as_str() == gate)?;
            Some((name.clone(), api.clone()))
        });
        Ok(named)
    }

    /// Returns the URL on the app's host at which a signed-in browser gets its cookie; `None` if the session has just
    /// ended.
    pub async fn callback(
        &self,
        api: &Api,
        back: &ReturnTarget,
        state: &str,
        session: &Session,
    ) -> Result<Option<String>> {
        let Some(gate) = &api.gate else { return Ok(None) };
        let all = [VersionedEntity::User(session.user), VersionedEntity::Api(api.identifier.clone())];
        let store = &self.provider.store;
        let now = authorizations::versions(store.read(), &all, Some((session.id, store.database_now())), RowLock::None)
            .await?;
        let [user, of_api] = &all;
        let Some(now) = now else { return Ok(None) };
        let (user_version, api_version) = (now.get(user).unwrap_or_default(), now.get(of_api).unwrap_or_default());
        let (env, now) = (&self.provider.env, session.read_at);
        // Half of the idle time: an app in use renews its cookie here before then, which keeps the session active.
        let idle = now.plus_seconds(session.idle_until.since(now).div_euclid(2000));
        let pass = GateSession {
            api: api.identifier.clone(),
            gate: gate.clone(),
            origin: back.origin.clone(),
            session: session.id,
            user: session.user,
            acr: session.method.acr(),
            auth_time: session.auth_time,
            user_version,
            api_version,
            ends_at: now.plus_seconds(MAX_SESSION_SECONDS).min(session.expires_at).min(idle),
        };
        let ticket = GateTicket {
            id: env.uuid(),
            state: state.to_owned(),
            target: back.target.clone(),
            until: store.database_time().await?.plus_seconds(TICKET_TTL_SECONDS),
            session_ends_at: session.expires_at,
            pass,
        };
        let ticket = sealed(self, TICKET_USAGE, &ticket)?;
        Ok(Some(app_url(&back.origin, &format!("callback?ticket={}", encoded(&ticket)))))
    }

    /// Redeems a ticket; `None` if it is not valid for that state, origin and gate, or has been used.
    pub async fn redeem(
        &self,
        (gate, api): (&GateName, &Api),
        origin: &AppOrigin,
        state: &str,
        ticket: &str,
        asker: &RequestOrigin,
    ) -> Result<Option<RedeemedTicket>> {
        let now = self.provider.env.now();
        let Some(ticket) = open::<GateTicket>(self, TICKET_USAGE, ticket) else { return Ok(None) };
        let same_browser = bool::from(ticket.state.as_bytes().ct_eq(state.as_bytes()));
        let pass = &ticket.pass;
        if !same_browser || pass.gate != *gate || pass.origin != *origin {
            return Ok(None);
        }
        if self.session_user(pass, api).await?.is_none() || !self.use_up(&ticket, api, asker).await? {
            return Ok(None);
        }
        let seconds = pass.ends_at.since(now).div_euclid(1000);
        let to = format!("{}{}", origin.as_str(), ticket.target);
        Ok(Some(RedeemedTicket { pass: sealed(self, SESSION_USAGE, pass)?, seconds, to }))
    }

    /// Returns the target of a ticket of that browser, gate and origin, even if the ticket can no longer be used.
    #[must_use]
    pub fn ticket_target(
        &self,
        (gate, api): (&GateName, &Api),
        origin: &AppOrigin,
        state: &str,
        ticket: &str,
    ) -> Option<String> {
        let ticket = open::<GateTicket>(self, TICKET_USAGE, ticket)?;
        let same_browser = bool::from(ticket.state.as_bytes().ct_eq(state.as_bytes()));
        let pass = &ticket.pass;
        let is_here = pass.gate == *gate && pass.origin == *origin && pass.api == api.identifier;
        (same_browser && is_here).then_some(ticket.target)
    }

    /// Returns whether this was the first use of the ticket, within its minute. The sign-in is audited once for each
    /// session and app; hourly silent renewals are not.
    async fn use_up(&self, ticket: &GateTicket, api: &Api, asker: &RequestOrigin) -> Result<bool> {
        let env = &self.provider.env;
        let GateTicket { id, until, session_ends_at, ref pass, .. } = *ticket;
        let (used, told) = (Digest(Sha256::digest(id).into()), pass.app());
        let event = Event {
            id: EventId(env.uuid()),
            at: env.now(),
            kind: EventKind::AppEntered,
            actor: Actor::User(pass.user),
            user: Some(pass.user),
            client: None,
            origin: asker.clone(),
            detail: pass.origin.as_str().to_owned(),
        };
        let all = [VersionedEntity::User(pass.user), VersionedEntity::Api(api.identifier.clone())];
        let session = pass.session;
        let expected: Versions = all.clone().into_iter().zip([pass.user_version, pass.api_version]).collect();
        let write = self.provider.store.write(move |tx| {
            Box::pin(async move {
                if tx.database_time().await? >= until {
                    return Ok(false);
                }
                let now =
                    authorizations::versions(tx.conn(), &all, Some((session, tx.database_now())), RowLock::Shared)
                        .await?;
                if now != Some(expected) {
                    return Ok(false);
                }
                let first = replay::claim(tx, &used, until).await?;
                session_uses::record(tx, session).await?;
                if first && replay::claim(tx, &told, session_ends_at).await? {
                    events::insert(tx, &event).await?;
                }
                Ok(first)
            })
        });
        Ok(write.await?)
    }

    /// Returns the user of the session; `None` if the session is revoked, as far as this node knows, or the user is
    /// deleted.
    pub(super) async fn session_user(&self, pass: &GateSession, api: &Api) -> Result<Option<Arc<UserSummary>>> {
        let (store, now) = (&self.provider.store, self.provider.env.now());
        let revocations = store.authority().revocations();
        let is_active = revocations.is_session_active(pass.session, pass.user, pass.user_version);
        let is_of_api = pass.api == api.identifier && pass.api_version == api.version;
        if now >= pass.ends_at || !is_of_api || !is_active {
            return Ok(None);
        }
        Ok(store.authority().user(store, pass.user).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::{cookies, is_state, new_state};

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
