//! What can happen in a history, and the drawing of it from a seed.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

pub const NODES: usize = 2;
pub const USERS: usize = 2;
/// The clients in which users sign in; one more only exchanges tokens.
pub const APPS: usize = 2;

/// One action.
#[derive(Clone, Copy, Debug)]
pub enum Action {
    Authorize {
        node: usize,
        user: usize,
        request: Request,
        response_type: ResponseType,
    },
    /// Opens a sign-in page and leaves it open.
    OpenSignIn {
        node: usize,
        request: Request,
    },
    FinishSignIn {
        index: usize,
        user: usize,
    },
    /// A device asks; most often a user approves at once, on the other node.
    RequestDevice {
        node: usize,
        request: Request,
        approver: Option<usize>,
    },
    ApproveDevice {
        node: usize,
        user: usize,
        index: usize,
    },
    /// A client asks for a token of its own.
    ActAlone {
        node: usize,
        app: usize,
        proof: Proof,
    },
    /// A browser at the app's host gets a ticket for a session at the gate.
    EnterApp {
        node: usize,
        user: usize,
    },
    CreateKey {
        node: usize,
        owner: Owner,
        expires: bool,
    },
    /// Uses something that was issued. The index counts from the newest one; where there are fewer, nothing happens.
    Use {
        step: Step,
        node: usize,
        index: usize,
    },
    Administer {
        node: usize,
        change: Change,
    },
    /// Several codes, device codes and tickets are redeemed and several families refreshed while the change is made.
    Race {
        node: usize,
        change: Change,
    },
    SignOut {
        node: usize,
        user: usize,
    },
    Restart {
        node: usize,
    },
    /// Removes what has expired by the clock of the node.
    Sweep {
        node: usize,
    },
    Wait {
        seconds: i64,
    },
    CompareSome,
}

/// What an app asks a user for.
#[derive(Clone, Copy, Debug)]
pub struct Request {
    pub app: usize,
    /// Access to the API, and not the user's claims.
    pub api: bool,
    pub offline: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseType {
    Code,
    IdTokenToken,
    CodeToken,
}

/// How a client that asks for a token of its own proves itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    Secret,
    /// The one before the last rotation.
    OldSecret,
    Assertion,
    /// Of an issuer that is trusted no more.
    OldIssuer,
    RepeatedAssertion,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    User(usize),
    App(usize),
}

#[derive(Clone, Copy, Debug)]
pub enum Step {
    Redeem,
    ReplayCode,
    Poll,
    ReplayDevice,
    Refresh,
    /// Presents the refresh token before the newest one.
    RepeatRefresh,
    Exchange,
    Introspect,
    /// Presents an access token to UserInfo or, if it is for the API, to the gate.
    Present,
    IntrospectRefresh,
    RevokeAccess,
    RevokeRefresh,
    RedeemTicket,
    ShowCookie,
    ShowKey,
    RevokeKey,
}

/// What an administrator does.
#[derive(Clone, Copy, Debug)]
pub enum Change {
    DisableUser(usize),
    EnableUser(usize),
    ReplacePassword(usize),
    ResetUser(usize),
    EndSessions(usize),
    RecreateUser(usize),
    DisableClient(usize),
    EnableClient(usize),
    RotateSecret(usize),
    /// Another issuer is trusted to vouch for the client (`jwt_bearer`).
    ReplaceIssuer(usize),
    RecreateClient(usize),
    WithdrawConsent(usize, usize),
    RecreateApi,
    /// Takes a part of its settings from a client.
    Take(usize, Part),
    Give(usize, Part),
    /// The API defines the scope no more that the apps ask for.
    TakeApiScope,
    GiveApiScope,
}

pub const PARTS: usize = 4;

/// What an app may do by its settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Ask for the scope of the API.
    ApiScope,
    OfflineAccess,
    /// Be answered at its redirect URI.
    RedirectUri,
    /// Have its tokens exchanged by the service (`token_exchange` of the service).
    TokenExchange,
}

pub struct Draw(StdRng);

impl Draw {
    pub fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    fn below(&mut self, bound: usize) -> usize {
        self.0.random_range(0..bound)
    }

    fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }

    /// Mostly something recent.
    fn index(&mut self) -> usize {
        let bound = if self.one_in(4) { 24 } else { 4 };
        self.below(bound)
    }

    pub fn next(&mut self) -> Action {
        let node = self.below(NODES);
        let user = self.below(USERS);
        let app = self.below(APPS);
        let index = self.index();
        match self.below(1000) {
            0..105 => self.authorize(node, user),
            105..117 => Action::OpenSignIn { node, request: self.request() },
            117..129 => Action::FinishSignIn { index, user },
            129..157 => {
                Action::RequestDevice { node, request: self.request(), approver: (!self.one_in(4)).then_some(user) }
            }
            157..169 => Action::ApproveDevice { node, user, index: index % 4 },
            169..209 => Action::ActAlone { node, app, proof: self.proof() },
            209..234 => Action::EnterApp { node, user },
            234..246 => {
                let owner = if self.one_in(2) { Owner::User(user) } else { Owner::App(app) };
                Action::CreateKey { node, owner, expires: self.one_in(2) }
            }
            246..766 => Action::Use { step: self.step(), node, index },
            766..876 => Action::Administer { node, change: self.change() },
            876..906 => Action::Race { node, change: self.change() },
            906..916 => Action::SignOut { node, user },
            916..922 => Action::Restart { node },
            922..926 => Action::Sweep { node },
            926..990 => Action::Wait { seconds: [1, 1, 1, 5, 5, 90, 700, 2_000][self.below(8)] },
            990..994 => Action::Wait { seconds: 25 * 3_600 },
            _ => Action::CompareSome,
        }
    }

    fn request(&mut self) -> Request {
        Request { app: self.below(APPS), api: self.one_in(4), offline: self.one_in(2) }
    }

    fn authorize(&mut self, node: usize, user: usize) -> Action {
        let request = self.request();
        let response_type = match self.below(6) {
            // OpenID Connect Core §3.2.2.1: a request for an ID token asks for `openid`.
            0 if !request.api => ResponseType::IdTokenToken,
            1 => ResponseType::CodeToken,
            _ => ResponseType::Code,
        };
        Action::Authorize { node, user, request, response_type }
    }

    fn proof(&mut self) -> Proof {
        match self.below(8) {
            0 | 1 => Proof::Secret,
            2 => Proof::OldSecret,
            3 => Proof::OldIssuer,
            4 => Proof::RepeatedAssertion,
            _ => Proof::Assertion,
        }
    }

    fn step(&mut self) -> Step {
        match self.below(565) {
            0..90 => Step::Redeem,
            90..102 => Step::ReplayCode,
            102..135 => Step::Poll,
            135..143 => Step::ReplayDevice,
            143..223 => Step::Refresh,
            223..248 => Step::RepeatRefresh,
            248..283 => Step::Exchange,
            283..363 => Step::Introspect,
            363..443 => Step::Present,
            443..473 => Step::IntrospectRefresh,
            473..493 => Step::RevokeAccess,
            493..501 => Step::RevokeRefresh,
            501..523 => Step::RedeemTicket,
            523..543 => Step::ShowCookie,
            543..560 => Step::ShowKey,
            _ => Step::RevokeKey,
        }
    }

    fn change(&mut self) -> Change {
        let user = self.below(USERS);
        let app = self.below(APPS);
        let part = [Part::ApiScope, Part::OfflineAccess, Part::RedirectUri, Part::TokenExchange][self.below(PARTS)];
        match self.below(39) {
            0 => Change::DisableUser(user),
            1..4 => Change::EnableUser(user),
            4 | 5 => Change::ReplacePassword(user),
            6..9 => Change::EndSessions(user),
            9 => Change::RecreateUser(user),
            10 => Change::DisableClient(app),
            11..14 => Change::EnableClient(app),
            14 | 15 => Change::RotateSecret(app),
            16 => Change::RecreateClient(app),
            17 => Change::ResetUser(user),
            18 => Change::ReplaceIssuer(app),
            19 => Change::RecreateApi,
            20..25 => Change::Take(app, part),
            25..34 => Change::Give(app, part),
            34 => Change::TakeApiScope,
            35 | 36 => Change::GiveApiScope,
            _ => Change::WithdrawConsent(user, app),
        }
    }
}
