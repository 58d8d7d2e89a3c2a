//! Does what a history says, over HTTP, and compares each answer with the model: [`issuing`], [`using`] and [`ending`]
//! have the actions.

mod ending;
mod issuing;
mod using;

use serde_json::{Value, json};

use super::action::{APPS, Action, NODES, USERS};
use super::model::{Code, Expect, Family, Model, SKEW, Token};
use crate::support::{Browser, Page, SECRET, Server};

const NAMES: [&str; USERS] = ["alice", "bob"];
/// The first asks for consent, the second is trusted and gets opaque access tokens.
const APP_IDS: [&str; APPS] = ["one", "two"];
const SERVICE: &str = "service";
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS: &str = "urn:ietf:params:oauth:token-type:access_token";
/// Of each kind so many are remembered, the oldest forgotten.
const REMEMBERED: usize = 48;
/// As many take part in a race.
const RACERS: usize = 4;

/// A sign-in page that was left open.
struct OpenSignIn {
    browser: Browser,
    page: Page,
    node: usize,
    app: usize,
    app_version: u32,
    opened_at: i64,
}

pub struct World {
    nodes: Vec<Server>,
    /// Seconds by which the clock of each node is off.
    skew: [i64; NODES],
    /// Whether a node may not have heard of the last changes.
    behind: [bool; NODES],
    browsers: Vec<Browser>,
    sessions: [Option<usize>; USERS],
    secrets: Vec<Vec<String>>,
    model: Model,
    codes: Vec<Code>,
    families: Vec<Family>,
    tokens: Vec<Token>,
    open: Vec<OpenSignIn>,
}

/// What a token request came to.
struct Answer {
    status: u16,
    body: Value,
}

impl Answer {
    fn text(&self, name: &str) -> String {
        self.body[name].as_str().unwrap_or_else(|| panic!("{name} in {}", self.body)).to_owned()
    }
}

fn agree(expected: Expect, accepted: bool, what: &str) {
    let right = match expected {
        Expect::Accepted => accepted,
        Expect::Refused => !accepted,
        Expect::Either => true,
    };
    assert!(right, "{what}: the model says {expected:?}, the server {}", if accepted { "accepts" } else { "refuses" });
}

/// The place of the newest but `index`.
fn newest<T>(all: &[T], index: usize) -> Option<usize> {
    all.len().checked_sub(index + 1)
}

fn remember<T>(all: &mut Vec<T>, one: T) {
    if all.len() == REMEMBERED {
        all.remove(0);
    }
    all.push(one);
}

impl World {
    /// Two nodes on one database; the second's clock is behind, equal or ahead, as the seed says.
    pub async fn start(seed: u64) -> Self {
        // Steps take no time by themselves.
        let first = Server::start_with(|config| config.quotas.sign_ins_per_user = 1_000_000).await;
        let skew = SKEW * (i64::try_from(seed % 3).unwrap() - 1);
        let second = first.skewed_node(skew).await;
        let browsers = NAMES.map(|_| first.browser()).into();
        let world = Self {
            nodes: vec![first, second],
            skew: [0, skew],
            behind: [true; NODES],
            browsers,
            sessions: [None; USERS],
            secrets: vec![vec![SECRET.to_owned()]; APPS],
            model: Model::new(),
            codes: Vec::new(),
            families: Vec::new(),
            tokens: Vec::new(),
            open: Vec::new(),
        };
        for name in NAMES {
            world.nodes[0].user(name).await;
        }
        for app in 0..APPS {
            world.register(0, app).await;
        }
        world.nodes[0].client(SERVICE, service()).await;
        world
    }

    async fn register(&self, node: usize, app: usize) {
        let meta = match app {
            0 => json!({ "scope": "openid email offline_access phone" }),
            _ => json!({ "consent": "trusted", "access_token_format": "opaque",
                         "scope": "openid email offline_access" }),
        };
        self.nodes[node].client(APP_IDS[app], meta).await;
    }

    pub async fn close(self) {
        for node in &self.nodes {
            node.app.store().close().await;
        }
    }

    pub async fn act(&mut self, action: &Action) {
        match *action {
            Action::Authorize { node, user, app, offline } => self.authorize(node, user, app, offline).await,
            Action::OpenSignIn { node, app } => self.open_sign_in(node, app).await,
            Action::FinishSignIn { index, user } => self.finish_sign_in(index, user).await,
            Action::Redeem { node, index } => self.redeem(node, index).await,
            Action::ReplayCode { node, index } => self.replay_code(node, index).await,
            Action::Refresh { node, index } => self.refresh(node, index).await,
            Action::RepeatRefresh { node, index } => self.repeat_refresh(node, index).await,
            Action::Exchange { node, index } => self.exchange(node, index).await,
            Action::Introspect { node, index } => self.introspect_one(node, index).await,
            Action::UserInfo { node, index } => self.userinfo_one(node, index).await,
            Action::IntrospectRefresh { node, index } => self.introspect_refresh(node, index).await,
            Action::RevokeAccess { node, index } => self.revoke_access(node, index).await,
            Action::RevokeRefresh { node, index } => self.revoke_refresh(node, index).await,
            Action::ClientCredentials { node, app, old_secret } => self.client_credentials(node, app, old_secret).await,
            Action::Administer { node, change } => self.administer(node, change).await,
            Action::Race { node, change } => self.race(node, change).await,
            Action::SignOut { user } => self.sign_out(user).await,
            Action::Restart { node } => self.restart(node).await,
            Action::Wait { seconds } => self.wait(seconds),
            Action::CompareSome => self.compare(4).await,
        }
    }

    fn wait(&mut self, seconds: i64) {
        self.model.now += seconds;
        self.nodes[0].advance(seconds);
    }

    /// A node with nothing in its memory in place of that one.
    async fn restart(&mut self, node: usize) {
        let fresh = self.nodes[1 - node].skewed_node(self.skew[node]).await;
        let old = std::mem::replace(&mut self.nodes[node], fresh);
        old.app.store().close().await;
        self.behind[node] = false;
    }
}

/// The client that exchanges the tokens of each app.
fn service() -> Value {
    let policy = APP_IDS.map(|client| json!({ "client": client, "impersonation": true }));
    json!({ "redirect_uris": [], "grant_types": [EXCHANGE], "scope": "openid email", "token_exchange": policy })
}
