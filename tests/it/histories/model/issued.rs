//! What was issued, and whether it is still good: each kind names the versions, the session and the time that it
//! depends on.

use signet::domain::ids::ApiKeyId;

use super::{Expect, Model, RECORDED_WITHIN, SESSION_IDLE, SKEW};
use crate::histories::action::{Owner, Part, Request};

/// Within this many seconds of its rotation a refresh token may be repeated.
const GRACE: i64 = 60;
const DEVICE_CODE: i64 = 600;
/// A browser comes by again in half of the time that its session may be idle.
const GATE_SESSION: i64 = SESSION_IDLE / 2;
/// Of the keys that expire.
pub const KEY_LIFETIME: i64 = 2_000;

/// What a user has allowed, in which session.
#[derive(Clone, Copy, Debug)]
struct Allowed {
    user: usize,
    user_version: u32,
    consent_version: u32,
    session: usize,
    /// Goes on when the session has ended (OpenID Connect Core §11).
    offline: bool,
}

/// What one authorization hangs on.
#[derive(Clone, Copy, Debug)]
pub struct Access {
    pub app: usize,
    app_version: u32,
    /// Nothing where the app acts for itself.
    allowed: Option<Allowed>,
    /// The API that it is for, instead of the user's claims.
    api_version: Option<u32>,
    grant: usize,
}

impl Access {
    pub(super) fn grant(&self) -> usize {
        self.grant
    }

    pub fn is_for_api(&self) -> bool {
        self.api_version.is_some()
    }

    /// Whether both come of one authorization.
    pub fn is_of(&self, other: &Self) -> bool {
        self.grant == other.grant
    }

    /// What was issued of it, with offline access or without.
    pub fn as_issued(self, offline: bool) -> Self {
        if offline { self } else { self.until_sign_out() }
    }

    /// What comes of it by token exchange, or beside a code, hangs on the session.
    pub fn until_sign_out(self) -> Self {
        Self { allowed: self.allowed.map(|allowed| Allowed { offline: false, ..allowed }), ..self }
    }
}

/// A request that waits for its user to sign in or to type a code: it goes on only with the client and the API that it
/// was made for.
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    pub request: Request,
    app_version: u32,
    api_version: u32,
    made_at: i64,
}

impl Waiting {
    pub(super) fn new(request: Request, app_version: u32, api_version: u32, made_at: i64) -> Self {
        Self { request, app_version, api_version, made_at }
    }
}

pub struct Code {
    pub secret: String,
    pub access: Access,
    pub made_at: i64,
    pub spent: bool,
}

/// A device's request (RFC 8628).
pub struct Device {
    pub secret: String,
    pub user_code: String,
    pub waiting: Waiting,
    /// Once its user has approved it.
    pub access: Option<Access>,
    pub spent: bool,
}

pub struct Family {
    pub access: Access,
    pub newest: String,
    pub before: Option<String>,
    pub rotated_at: i64,
}

pub struct Token {
    pub secret: String,
    pub access: Access,
    pub expires_at: i64,
    pub revoked: bool,
    /// The token that it was exchanged for has been revoked, alone.
    pub source_revoked: bool,
    /// The version under which the service got it by token exchange.
    pub service_version: Option<u32>,
}

impl Token {
    pub fn is_by_exchange(&self) -> bool {
        self.service_version.is_some()
    }
}

/// A browser's way into the app behind the gate: a ticket for a minute, and the cookie that it is redeemed for.
pub struct Visit {
    pub ticket: String,
    /// The cookie that the app's host has set before.
    pub state: String,
    pub cookie: Option<String>,
    user: usize,
    user_version: u32,
    session: usize,
    api_version: u32,
    made_at: i64,
}

pub struct Key {
    pub id: ApiKeyId,
    pub secret: String,
    pub revoked: bool,
    owner: Owner,
    keys_removed: u32,
    api_version: u32,
    expires_at: Option<i64>,
}

/// Making what is issued now.
impl Model {
    pub fn authorize(&mut self, user: usize, session: usize, request: Request) -> Access {
        let Request { app, api, offline } = request;
        let allowed = Allowed {
            user,
            user_version: self.users[user].version,
            consent_version: self.consents[user][app],
            session,
            offline,
        };
        self.grant(app, Some(allowed), api)
    }

    /// What the app gets at the API by its own credentials.
    pub fn act_alone(&mut self, app: usize) -> Access {
        self.grant(app, None, true)
    }

    fn grant(&mut self, app: usize, allowed: Option<Allowed>, api: bool) -> Access {
        self.grants.push(false);
        let (app_version, api_version) = (self.apps[app].version, api.then_some(self.api_version));
        Access { app, app_version, allowed, api_version, grant: self.grants.len() - 1 }
    }

    pub fn visit(&self, user: usize, session: usize, ticket: String, state: String) -> Visit {
        let (user_version, api_version, made_at) = (self.users[user].version, self.api_version, self.now);
        Visit { ticket, state, cookie: None, user, user_version, session, api_version, made_at }
    }

    pub fn key(&self, (id, secret): (ApiKeyId, String), owner: Owner, expires: bool) -> Key {
        let (keys_removed, api_version) = (self.owner(owner).keys_removed, self.api_version);
        let expires_at = expires.then_some(self.now + KEY_LIFETIME);
        Key { id, secret, revoked: false, owner, keys_removed, api_version, expires_at }
    }
}

/// Judging what was issued before.
impl Model {
    pub fn expect_access(&self, access: &Access) -> Expect {
        let app = self.apps[access.app];
        let current = app.enabled
            && access.app_version == app.version
            && access.api_version.is_none_or(|version| version == self.api_version)
            && (!access.is_for_api() || self.settings.has(access.app, Part::ApiScope))
            && !self.grants[access.grant];
        let by_user = access.allowed.map_or(Expect::Accepted, |allowed| self.expect_allowed(&allowed, access.app));
        Expect::accepted_if(current).and(by_user)
    }

    fn expect_allowed(&self, allowed: &Allowed, app: usize) -> Expect {
        let user = self.users[allowed.user];
        let current = user.enabled
            && allowed.user_version == user.version
            && allowed.consent_version == self.consents[allowed.user][app];
        let offline = allowed.offline && self.settings.has(app, Part::OfflineAccess);
        let session = if offline { Expect::Accepted } else { self.session(allowed.session) };
        Expect::accepted_if(current).and(session)
    }

    /// Whether what is issued for it has offline access.
    pub fn expect_offline(&self, access: &Access) -> Expect {
        let granted = access.allowed.is_some_and(|allowed| allowed.offline);
        Expect::accepted_if(granted && self.settings.has(access.app, Part::OfflineAccess))
    }

    /// Whether nothing of it has been taken from its app.
    pub fn is_whole(&self, access: &Access) -> bool {
        let offline = access.allowed.is_some_and(|allowed| allowed.offline);
        self.may_have(access.app, access.is_for_api(), offline)
    }

    fn may_have(&self, app: usize, api: bool, offline: bool) -> bool {
        (!api || self.settings.has(app, Part::ApiScope)) && (!offline || self.settings.has(app, Part::OfflineAccess))
    }

    /// Whether an app may ask for that now.
    pub fn expect_request(&self, request: Request) -> Expect {
        Expect::accepted_if(self.apps[request.app].enabled && self.may_have(request.app, request.api, request.offline))
    }

    /// What is left of a request that was accepted before.
    pub fn left_of(&self, request: Request) -> Option<Request> {
        let offline = request.offline && self.settings.has(request.app, Part::OfflineAccess);
        self.may_have(request.app, request.api, false).then_some(Request { offline, ..request })
    }

    /// Whether a user may answer it, as far as its client and API go.
    pub fn expect_waiting(&self, waiting: &Waiting) -> Expect {
        let app = self.apps[waiting.request.app];
        let same_api = !waiting.request.api || waiting.api_version == self.api_version;
        Expect::accepted_if(app.enabled && app.version == waiting.app_version && same_api)
            .and(self.expect_left(waiting.request))
    }

    /// Whether anything is left of a request that was accepted before.
    pub fn expect_left(&self, request: Request) -> Expect {
        // Offline access alone may be granted. It opens nothing.
        let offline_alone = request.offline && self.settings.has(request.app, Part::OfflineAccess);
        match self.left_of(request) {
            Some(_) => Expect::Accepted,
            None if offline_alone => Expect::Either,
            None => Expect::Refused,
        }
    }

    /// The same of a sign-in page that was left open.
    pub fn expect_open_page(&self, waiting: &Waiting) -> Expect {
        let recent = self.now - waiting.made_at < 1_200;
        Expect::accepted_if(self.settings.has(waiting.request.app, Part::RedirectUri))
            .and(self.expect_waiting(waiting))
            .and(if recent { Expect::Accepted } else { Expect::Either })
    }

    pub fn expect_code(&self, code: &Code) -> Expect {
        let alive = Expect::of_a_minute(self.now - code.made_at);
        let has_redirect_uri = self.settings.has(code.access.app, Part::RedirectUri);
        Expect::accepted_if(!code.spent && has_redirect_uri).and(self.expect_access(&code.access)).and(alive)
    }

    pub fn expect_approval(&self, device: &Device, user: usize) -> Expect {
        let undecided = device.access.is_none();
        Expect::accepted_if(undecided && self.user_enabled(user))
            .and(self.expect_waiting(&device.waiting))
            .and(self.device_goes_on(device))
    }

    pub fn expect_poll(&self, device: &Device) -> Expect {
        let Some(access) = &device.access else { return Expect::Refused };
        Expect::accepted_if(!device.spent).and(self.expect_access(access)).and(self.device_goes_on(device))
    }

    pub fn device_goes_on(&self, device: &Device) -> Expect {
        Expect::until(self.now, device.waiting.made_at + DEVICE_CODE)
    }

    pub fn expect_token(&self, token: &Token) -> Expect {
        let source = if token.source_revoked { Expect::Either } else { Expect::Accepted };
        let same_service = token.service_version.is_none_or(|version| version == self.service_version);
        Expect::accepted_if(!token.revoked && same_service)
            .and(self.expect_access(&token.access))
            .and(Expect::until(self.now, token.expires_at))
            .and(source)
    }

    /// What repeating the refresh token before the newest one comes to.
    pub fn expect_repeat(&self, family: &Family) -> Expect {
        let age = self.now - family.rotated_at;
        let grace = match age {
            ..=5 => Expect::Accepted,
            _ if age > GRACE + 2 * SKEW => Expect::Refused,
            _ => Expect::Either,
        };
        self.expect_access(&family.access).and(grace)
    }

    fn expect_visit(&self, visit: &Visit) -> Expect {
        let user = self.users[visit.user];
        let current = user.enabled && visit.user_version == user.version && visit.api_version == self.api_version;
        Expect::accepted_if(current).and(self.session(visit.session))
    }

    pub fn expect_ticket(&self, visit: &Visit) -> Expect {
        let alive = Expect::of_a_minute(self.now - visit.made_at);
        Expect::accepted_if(visit.cookie.is_none()).and(self.expect_visit(visit)).and(alive)
    }

    pub fn expect_cookie(&self, visit: &Visit) -> Expect {
        let latest = visit.made_at + GATE_SESSION;
        self.expect_visit(visit).and(Expect::until_between(self.now, latest - RECORDED_WITHIN / 2, latest))
    }

    /// Whether the key has been neither revoked nor removed.
    pub fn key_exists(&self, key: &Key) -> bool {
        !key.revoked && key.keys_removed == self.owner(key.owner).keys_removed && key.api_version == self.api_version
    }

    /// Whether a key may be made for that owner, and one that there is opens the API.
    pub fn may_have_key(&self, owner: Owner) -> bool {
        let has_scope = match owner {
            Owner::User(_) => self.settings.api_has_scope(),
            Owner::App(app) => self.settings.has(app, Part::ApiScope),
        };
        has_scope && self.owner(owner).enabled
    }

    /// A key opens nothing while its owner is disabled or has lost the scope, and no other revocation of the owner's
    /// access ends it.
    pub fn expect_key(&self, key: &Key) -> Expect {
        let alive = key.expires_at.map_or(Expect::Accepted, |ends| Expect::until(self.now, ends));
        Expect::accepted_if(self.key_exists(key) && self.may_have_key(key.owner)).and(alive)
    }
}
