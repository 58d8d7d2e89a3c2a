//! The reference model: what each answer has to be, from what has happened, in a few comparisons of counters.
//!
//! Access is made under the versions that its user, client, consent and API have then; each change that ends access makes
//! one of them newer. Nothing here compares times but to say what has expired, with room for clocks that disagree.
//! [`issued`] says what each kind of what was issued depends on, [`settings`] what administrators took from the apps.

mod issued;
mod settings;

pub use issued::{Access, Code, Device, Family, KEY_LIFETIME, Key, Token, Visit, Waiting};
pub use settings::Settings;

use super::action::{APPS, Change, Owner, Part, Request, USERS};

/// Seconds by which the clocks of two nodes differ at most.
pub const SKEW: i64 = 300;
const ACCESS_TOKEN: i64 = 600;
const SESSION_IDLE: i64 = 2 * 3_600;
/// The use of a session may be recorded so many seconds late.
const RECORDED_WITHIN: i64 = 1_200;
const SESSION: i64 = 12 * 3_600;

/// What the server has to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    Accepted,
    Refused,
    /// So near to an end in time that either is right.
    Either,
}

impl Expect {
    /// The stricter of two.
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Refused, _) | (_, Self::Refused) => Self::Refused,
            (Self::Either, _) | (_, Self::Either) => Self::Either,
            _ => Self::Accepted,
        }
    }

    fn accepted_if(good: bool) -> Self {
        if good { Self::Accepted } else { Self::Refused }
    }

    /// Accepted until `ends`, refused from then on, uncertain where a skewed clock may disagree.
    fn until(now: i64, ends: i64) -> Self {
        Self::until_between(now, ends, ends)
    }

    /// The same for an end that lies between two times.
    fn until_between(now: i64, earliest: i64, latest: i64) -> Self {
        if now + SKEW + 5 < earliest {
            Self::Accepted
        } else if now > latest + 2 * SKEW + 5 {
            Self::Refused
        } else {
            Self::Either
        }
    }

    /// For what lives a minute: accepted within ten seconds.
    fn of_a_minute(age: i64) -> Self {
        match age {
            ..=10 => Self::Accepted,
            _ if age > 60 + 2 * SKEW => Self::Refused,
            _ => Self::Either,
        }
    }
}

#[derive(Clone, Copy)]
struct Versioned {
    version: u32,
    enabled: bool,
    /// How often all its API keys have been removed.
    keys_removed: u32,
}

const FIRST: Versioned = Versioned { version: 0, enabled: true, keys_removed: 0 };

struct Session {
    user: usize,
    ended: bool,
    begun_at: i64,
    used_at: i64,
}

pub struct Model {
    /// Seconds since the beginning.
    pub now: i64,
    users: [Versioned; USERS],
    apps: [Versioned; APPS],
    /// Of the client that exchanges tokens.
    service_version: u32,
    api_version: u32,
    settings: Settings,
    consents: [[u32; APPS]; USERS],
    sessions: Vec<Session>,
    /// Whether each grant has been revoked.
    grants: Vec<bool>,
}

impl Model {
    pub fn new() -> Self {
        Self {
            now: 0,
            users: [FIRST; USERS],
            apps: [FIRST; APPS],
            service_version: 0,
            api_version: 0,
            settings: Settings::whole(),
            consents: [[0; APPS]; USERS],
            sessions: Vec::new(),
            grants: Vec::new(),
        }
    }

    pub fn user_enabled(&self, user: usize) -> bool {
        self.users[user].enabled
    }

    pub fn app_enabled(&self, app: usize) -> bool {
        self.apps[app].enabled
    }

    fn owner(&self, owner: Owner) -> Versioned {
        match owner {
            Owner::User(user) => self.users[user],
            Owner::App(app) => self.apps[app],
        }
    }

    pub fn begin_session(&mut self, user: usize) -> usize {
        self.sessions.push(Session { user, ended: false, begun_at: self.now, used_at: self.now });
        self.sessions.len() - 1
    }

    pub fn session(&self, session: usize) -> Expect {
        let session = &self.sessions[session];
        let user = self.users[session.user];
        if session.ended || !user.enabled {
            return Expect::Refused;
        }
        // It may be written down as used a while after it was, and is swept some time after its idle time.
        let idles = self.now > session.used_at + SESSION_IDLE - RECORDED_WITHIN;
        let idle = if idles { Expect::Either } else { Expect::Accepted };
        idle.and(Expect::until(self.now, session.begun_at + SESSION))
    }

    pub fn use_session(&mut self, session: usize) {
        self.sessions[session].used_at = self.now;
    }

    pub fn end_session(&mut self, session: usize) {
        self.sessions[session].ended = true;
    }

    pub fn revoke_grant(&mut self, access: &Access) {
        self.grants[access.grant()] = true;
    }

    pub fn access_token_end(&self) -> i64 {
        self.now + ACCESS_TOKEN
    }

    /// A request of an app, made now, that waits for a user.
    pub fn wait_for_user(&self, request: Request) -> Waiting {
        Waiting::new(request, self.apps[request.app].version, self.api_version, self.now)
    }

    pub fn service_version(&self) -> u32 {
        self.service_version
    }

    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    pub fn apply(&mut self, change: Change) {
        // A client that loses a part of `token_exchange` loses its tokens.
        if let Change::Take(app, Part::TokenExchange) | Change::RecreateClient(app) = change
            && self.settings.has(app, Part::TokenExchange)
        {
            self.service_version += 1;
        }
        self.settings = self.settings.after(change);
        match change {
            Change::DisableUser(user) => {
                self.users[user].enabled = false;
                self.end_user(user);
            }
            Change::EnableUser(user) => self.users[user].enabled = true,
            Change::ReplacePassword(user) => self.end_user(user),
            Change::ResetUser(user) => {
                self.end_user(user);
                self.users[user].keys_removed += 1;
            }
            Change::RecreateUser(user) => {
                self.end_user(user);
                self.users[user].keys_removed += 1;
                self.users[user].enabled = true;
            }
            Change::EndSessions(user) => self.end_sessions(user),
            Change::DisableClient(app) => {
                self.apps[app].enabled = false;
                self.apps[app].version += 1;
            }
            Change::EnableClient(app) => self.apps[app].enabled = true,
            Change::RotateSecret(app) | Change::ReplaceIssuer(app) => self.apps[app].version += 1,
            Change::RecreateClient(app) => {
                self.apps[app].version += 1;
                self.apps[app].keys_removed += 1;
                self.apps[app].enabled = true;
            }
            Change::WithdrawConsent(user, app) => self.consents[user][app] += 1,
            Change::RecreateApi => self.api_version += 1,
            Change::Take(..) | Change::Give(..) | Change::TakeApiScope | Change::GiveApiScope => {}
        }
    }

    fn end_user(&mut self, user: usize) {
        self.users[user].version += 1;
        self.end_sessions(user);
    }

    fn end_sessions(&mut self, user: usize) {
        for session in self.sessions.iter_mut().filter(|session| session.user == user) {
            session.ended = true;
        }
    }
}
