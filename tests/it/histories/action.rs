//! What can happen in a history, and the drawing of it from a seed.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

pub const NODES: usize = 2;
pub const USERS: usize = 2;
/// The clients in which users sign in; one more only exchanges tokens.
pub const APPS: usize = 2;

/// One action. An index of something that was issued counts from the newest one; where there are fewer, nothing happens.
#[derive(Clone, Copy, Debug)]
pub enum Action {
    Authorize {
        node: usize,
        user: usize,
        app: usize,
        offline: bool,
    },
    /// Opens a sign-in page and leaves it open.
    OpenSignIn {
        node: usize,
        app: usize,
    },
    FinishSignIn {
        index: usize,
        user: usize,
    },
    Redeem {
        node: usize,
        index: usize,
    },
    ReplayCode {
        node: usize,
        index: usize,
    },
    Refresh {
        node: usize,
        index: usize,
    },
    /// Presents the refresh token before the newest one.
    RepeatRefresh {
        node: usize,
        index: usize,
    },
    Exchange {
        node: usize,
        index: usize,
    },
    Introspect {
        node: usize,
        index: usize,
    },
    UserInfo {
        node: usize,
        index: usize,
    },
    IntrospectRefresh {
        node: usize,
        index: usize,
    },
    RevokeAccess {
        node: usize,
        index: usize,
    },
    RevokeRefresh {
        node: usize,
        index: usize,
    },
    ClientCredentials {
        node: usize,
        app: usize,
        old_secret: bool,
    },
    Administer {
        node: usize,
        change: Change,
    },
    /// Several codes are redeemed and several families refreshed while the change is made.
    Race {
        node: usize,
        change: Change,
    },
    SignOut {
        user: usize,
    },
    Restart {
        node: usize,
    },
    Wait {
        seconds: i64,
    },
    CompareSome,
}

/// What an administrator does.
#[derive(Clone, Copy, Debug)]
pub enum Change {
    DisableUser(usize),
    EnableUser(usize),
    ReplacePassword(usize),
    EndSessions(usize),
    RecreateUser(usize),
    DisableClient(usize),
    EnableClient(usize),
    RotateSecret(usize),
    RecreateClient(usize),
    WithdrawConsent(usize, usize),
}

pub struct Draw(StdRng);

impl Draw {
    pub fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0.random_range(0..bound)
    }

    /// Mostly something recent.
    fn index(&mut self) -> usize {
        let bound = if self.below(4) == 0 { 24 } else { 4 };
        self.below(bound)
    }

    pub fn next(&mut self) -> Action {
        let node = self.below(NODES);
        let user = self.below(USERS);
        let app = self.below(APPS);
        let index = self.index();
        match self.below(1000) {
            0..120 => Action::Authorize { node, user, app, offline: self.below(2) == 0 },
            120..135 => Action::OpenSignIn { node, app },
            135..150 => Action::FinishSignIn { index, user },
            150..270 => Action::Redeem { node, index },
            270..285 => Action::ReplayCode { node, index },
            285..385 => Action::Refresh { node, index },
            385..415 => Action::RepeatRefresh { node, index },
            415..465 => Action::Exchange { node, index },
            465..585 => Action::Introspect { node, index },
            585..685 => Action::UserInfo { node, index },
            685..735 => Action::IntrospectRefresh { node, index },
            735..765 => Action::RevokeAccess { node, index },
            765..775 => Action::RevokeRefresh { node, index },
            775..815 => Action::ClientCredentials { node, app, old_secret: self.below(3) == 0 },
            815..890 => Action::Administer { node, change: self.change() },
            890..910 => Action::Race { node, change: self.change() },
            910..920 => Action::SignOut { user },
            920..926 => Action::Restart { node },
            926..990 => Action::Wait { seconds: [1, 1, 1, 5, 5, 90, 700, 2_000][self.below(8)] },
            990..994 => Action::Wait { seconds: 25 * 3_600 },
            _ => Action::CompareSome,
        }
    }

    fn change(&mut self) -> Change {
        let user = self.below(USERS);
        let app = self.below(APPS);
        match self.below(20) {
            0 => Change::DisableUser(user),
            1..4 => Change::EnableUser(user),
            4 | 5 => Change::ReplacePassword(user),
            6..9 => Change::EndSessions(user),
            9 => Change::RecreateUser(user),
            10 => Change::DisableClient(app),
            11..14 => Change::EnableClient(app),
            14 | 15 => Change::RotateSecret(app),
            16 => Change::RecreateClient(app),
            _ => Change::WithdrawConsent(user, app),
        }
    }
}
