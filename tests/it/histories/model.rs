//! The reference model: what each answer has to be, from what has happened, in a few comparisons of counters.
//!
//! Access is made under the versions that its user, client and consent have then; each change that ends access makes one
//! of them newer. Nothing here compares times but to say what has expired, with room for clocks that disagree.

use super::action::{APPS, Change, USERS};

/// Seconds by which the clocks of two nodes differ at most.
pub const SKEW: i64 = 300;
const CODE: i64 = 60;
const ACCESS_TOKEN: i64 = 600;
const SESSION_IDLE: i64 = 2 * 3_600;
const SESSION: i64 = 12 * 3_600;
/// Within this many seconds of its rotation a refresh token may be repeated.
const GRACE: i64 = 60;

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
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Refused, _) | (_, Self::Refused) => Self::Refused,
            (Self::Either, _) | (_, Self::Either) => Self::Either,
            _ => Self::Accepted,
        }
    }

    /// Accepted until `ends`, refused from then on, uncertain where a skewed clock may disagree.
    fn until(now: i64, ends: i64) -> Self {
        if now + SKEW + 5 < ends {
            Self::Accepted
        } else if now > ends + 2 * SKEW + 5 {
            Self::Refused
        } else {
            Self::Either
        }
    }
}

#[derive(Clone, Copy)]
struct Versioned {
    version: u32,
    enabled: bool,
}

const FIRST: Versioned = Versioned { version: 0, enabled: true };

struct Session {
    user: usize,
    ended: bool,
    begun_at: i64,
    used_at: i64,
}

/// What one authorization hangs on.
#[derive(Clone, Copy, Debug)]
pub struct Access {
    pub user: usize,
    pub app: usize,
    user_version: u32,
    app_version: u32,
    consent_version: u32,
    session: usize,
    /// Goes on when the session has ended (OpenID Connect Core §11).
    offline: bool,
    grant: usize,
}

impl Access {
    /// Whether both come of one authorization.
    pub fn is_of(&self, other: &Self) -> bool {
        self.grant == other.grant
    }

    /// What comes of it by token exchange hangs on the session.
    pub fn exchanged(self) -> Self {
        Self { offline: false, ..self }
    }
}

pub struct Code {
    pub secret: String,
    pub access: Access,
    pub made_at: i64,
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
    pub by_exchange: bool,
}

pub struct Model {
    /// Seconds since the beginning.
    pub now: i64,
    users: [Versioned; USERS],
    apps: [Versioned; APPS],
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

    pub fn app_version(&self, app: usize) -> u32 {
        self.apps[app].version
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
        let idles = self.now > session.used_at + SESSION_IDLE - 1_200;
        let idle = if idles { Expect::Either } else { Expect::Accepted };
        idle.and(Expect::until(self.now, session.begun_at + SESSION))
    }

    pub fn use_session(&mut self, session: usize) {
        self.sessions[session].used_at = self.now;
    }

    pub fn end_session(&mut self, session: usize) {
        self.sessions[session].ended = true;
    }

    pub fn authorize(&mut self, user: usize, app: usize, session: usize, offline: bool) -> Access {
        self.grants.push(false);
        Access {
            user,
            app,
            user_version: self.users[user].version,
            app_version: self.apps[app].version,
            consent_version: self.consents[user][app],
            session,
            offline,
            grant: self.grants.len() - 1,
        }
    }

    pub fn revoke_grant(&mut self, access: &Access) {
        self.grants[access.grant] = true;
    }

    pub fn access(&self, access: &Access) -> Expect {
        let (user, app) = (self.users[access.user], self.apps[access.app]);
        let current = user.enabled
            && app.enabled
            && access.user_version == user.version
            && access.app_version == app.version
            && access.consent_version == self.consents[access.user][access.app]
            && !self.grants[access.grant];
        match (current, access.offline) {
            (false, _) => Expect::Refused,
            (true, true) => Expect::Accepted,
            (true, false) => self.session(access.session),
        }
    }

    pub fn code(&self, code: &Code) -> Expect {
        if code.spent {
            return Expect::Refused;
        }
        let age = self.now - code.made_at;
        let alive = match age {
            ..=10 => Expect::Accepted,
            _ if age > CODE + 2 * SKEW => Expect::Refused,
            _ => Expect::Either,
        };
        self.access(&code.access).and(alive)
    }

    pub fn token(&self, token: &Token) -> Expect {
        if token.revoked {
            return Expect::Refused;
        }
        let source = if token.source_revoked { Expect::Either } else { Expect::Accepted };
        self.access(&token.access).and(Expect::until(self.now, token.expires_at)).and(source)
    }

    pub fn access_token_end(&self) -> i64 {
        self.now + ACCESS_TOKEN
    }

    /// What repeating the refresh token before the newest one comes to.
    pub fn repeat(&self, family: &Family) -> Expect {
        let age = self.now - family.rotated_at;
        let grace = match age {
            ..=5 => Expect::Accepted,
            _ if age > GRACE + 2 * SKEW => Expect::Refused,
            _ => Expect::Either,
        };
        self.access(&family.access).and(grace)
    }

    pub fn apply(&mut self, change: Change) {
        match change {
            Change::DisableUser(user) => {
                self.users[user].enabled = false;
                self.end_user(user);
            }
            Change::EnableUser(user) => self.users[user].enabled = true,
            Change::ReplacePassword(user) => self.end_user(user),
            Change::RecreateUser(user) => {
                self.end_user(user);
                self.users[user].enabled = true;
            }
            Change::EndSessions(user) => self.end_sessions(user),
            Change::DisableClient(app) => {
                self.apps[app].enabled = false;
                self.apps[app].version += 1;
            }
            Change::EnableClient(app) => self.apps[app].enabled = true,
            Change::RotateSecret(app) => self.apps[app].version += 1,
            Change::RecreateClient(app) => {
                self.apps[app].version += 1;
                self.apps[app].enabled = true;
            }
            Change::WithdrawConsent(user, app) => self.consents[user][app] += 1,
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
