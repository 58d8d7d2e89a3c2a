//! Does what a history says, over HTTP, and compares each answer with the model: [`issuing`], [`devices`], [`alone`],
//! [`visits`], [`keys`], [`using`] and [`ending`] have the actions, [`racing`] those that happen at once; [`registered`]
//! the clients and the API, [`requests`] what they send.

mod alone;
mod devices;
mod ending;
mod issuing;
mod keys;
mod racing;
mod registered;
mod requests;
mod using;
mod visits;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use signet::server::background::Maintenance;

use super::action::{APPS, Action, NODES, Request, Step, USERS};
use super::model::{Access, Code, Device, Expect, Family, Key, Model, SKEW, Settings, Token, Visit, Waiting};
use crate::support::receiver::{self, Answer as Published, Receiver};
use crate::support::signer::ClientKey;
use crate::support::{Browser, Page, SECRET, Server};
use registered::{API, SERVICE};
use requests::Answer;

const NAMES: [&str; USERS] = ["alice", "bob"];
/// Of each kind so many are remembered, the oldest forgotten.
const REMEMBERED: usize = 48;
/// As many take part in a race.
const RACERS: usize = 4;

/// A sign-in page that was left open.
struct OpenSignIn {
    browser: Browser,
    page: Page,
    node: usize,
    waiting: Waiting,
}

/// What vouches for the apps (RFC 7523).
struct Issuers {
    key: ClientKey,
    receiver: Receiver,
    /// How often the one that each app trusts has been replaced.
    replaced: [usize; APPS],
    /// The last assertion that was accepted.
    used: [Option<String>; APPS],
}

pub struct World {
    nodes: Vec<Server>,
    /// Seconds by which the clock of each node is off.
    skew: [i64; NODES],
    /// Whether a node may not have heard of the last changes.
    behind: [bool; NODES],
    browsers: Vec<Browser>,
    /// A caller without cookies that follows nothing.
    http: reqwest::Client,
    sessions: [Option<usize>; USERS],
    secrets: Vec<Vec<String>>,
    issuers: Issuers,
    model: Model,
    open: Vec<OpenSignIn>,
    codes: Vec<Code>,
    devices: Vec<Device>,
    families: Vec<Family>,
    tokens: Vec<Token>,
    visits: Vec<Visit>,
    keys: Vec<Key>,
}

/// How often each answer has had to be a refusal and an acceptance, by the name before its details in parentheses.
static ANSWERS: Mutex<BTreeMap<String, [usize; 2]>> = Mutex::new(BTreeMap::new());

/// The answers of which all histories together have not had both, each with how often it was refused and accepted.
pub fn one_sided(answers: &[&'static str]) -> Vec<(&'static str, [usize; 2])> {
    let seen = ANSWERS.lock().unwrap_or_else(PoisonError::into_inner);
    let counted = answers.iter().map(|answer| (*answer, seen.get(*answer).copied().unwrap_or_default()));
    counted.filter(|(_, counts)| counts.contains(&0)).collect()
}

fn agree(expected: Expect, accepted: bool, what: &str) {
    let right = match expected {
        Expect::Accepted => accepted,
        Expect::Refused => !accepted,
        Expect::Either => true,
    };
    if expected != Expect::Either {
        let name = what.split(" (").next().unwrap_or_default().to_owned();
        let mut seen = ANSWERS.lock().unwrap_or_else(PoisonError::into_inner);
        seen.entry(name).or_default()[usize::from(accepted)] += 1;
    }
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
        let first = Server::start_with(|config| {
            receiver::reachable(config);
            config.trusted_proxies = serde_json::from_str("\"127.0.0.1\"").unwrap();
            // Steps take no time by themselves.
            config.quotas.sign_ins_per_user = 1_000_000;
        })
        .await;
        let skew = SKEW * (i64::try_from(seed % 3).unwrap() - 1);
        let second = first.skewed_node(skew).await;
        let browsers = NAMES.map(|_| first.browser()).into();
        let (key, receiver) = (ClientKey::new("ci", "ES256"), Receiver::start().await);
        receiver.answer("/jwks", Published::json(&key.jwks()));
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy();
        let world = Self {
            nodes: vec![first, second],
            skew: [0, skew],
            behind: [true; NODES],
            browsers,
            http: http.build().unwrap(),
            sessions: [None; USERS],
            secrets: vec![vec![SECRET.to_owned()]; APPS],
            issuers: Issuers { key, receiver, replaced: [0; APPS], used: [const { None }; APPS] },
            model: Model::new(),
            open: Vec::new(),
            codes: Vec::new(),
            devices: Vec::new(),
            families: Vec::new(),
            tokens: Vec::new(),
            visits: Vec::new(),
            keys: Vec::new(),
        };
        for name in NAMES {
            world.nodes[0].user(name).await;
        }
        let settings = Settings::whole();
        world.put_api(0, &settings).await.unwrap();
        for app in 0..APPS {
            world.register(0, app, &settings).await;
        }
        world.nodes[0].client(SERVICE, registered::service(&settings)).await;
        world
    }

    pub async fn close(self) {
        for node in &self.nodes {
            node.app.store().close().await;
        }
    }

    pub async fn act(&mut self, action: &Action) {
        match *action {
            Action::Authorize { node, user, request, response_type } => {
                self.authorize(node, user, request, response_type).await;
            }
            Action::OpenSignIn { node, request } => self.open_sign_in(node, request).await,
            Action::FinishSignIn { index, user } => self.finish_sign_in(index, user).await,
            Action::RequestDevice { node, request, approver } => self.request_device(node, request, approver).await,
            Action::ApproveDevice { node, user, index } => self.approve_device(node, user, index).await,
            Action::ActAlone { node, app, proof } => self.act_alone(node, app, proof).await,
            Action::EnterApp { node, user } => self.enter_app(node, user).await,
            Action::CreateKey { node, owner, expires } => self.create_key(node, owner, expires).await,
            Action::Use { step, node, index } => self.step(step, node, index).await,
            Action::Administer { node, change } => self.administer(node, change).await,
            Action::Race { node, change } => self.race(node, change).await,
            Action::SignOut { node, user } => self.sign_out(node, user).await,
            Action::Restart { node } => self.restart(node).await,
            Action::Sweep { node } => Maintenance::default().once(&self.nodes[node].app).await,
            Action::Wait { seconds } => self.wait(seconds),
            Action::CompareSome => self.compare(4).await,
        }
    }

    async fn step(&mut self, step: Step, node: usize, index: usize) {
        match step {
            Step::Redeem => self.redeem(node, index).await,
            Step::ReplayCode => self.replay_code(node, index).await,
            Step::Poll => self.poll(node, index).await,
            Step::ReplayDevice => self.replay_device(node, index).await,
            Step::Refresh => self.refresh(node, index).await,
            Step::RepeatRefresh => self.repeat_refresh(node, index).await,
            Step::Exchange => self.exchange(node, index).await,
            Step::Introspect => self.introspect_one(node, index).await,
            Step::Present => self.present(node, index).await,
            Step::IntrospectRefresh => self.introspect_refresh(node, index).await,
            Step::RevokeAccess => self.revoke_access(node, index).await,
            Step::RevokeRefresh => self.revoke_refresh(node, index).await,
            Step::RedeemTicket => self.redeem_ticket(node, index).await,
            Step::ShowCookie => self.show_cookie(node, index).await,
            Step::ShowKey => self.show_key(node, index).await,
            Step::RevokeKey => self.revoke_key(node, index).await,
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

    /// A node that has not heard of a change may refuse for a moment what it will accept.
    fn unless_behind(&self, node: usize, expected: Expect) -> Expect {
        if self.behind[node] { expected.and(Expect::Either) } else { expected }
    }

    /// The same of what the API is part of.
    fn unless_api_unknown(&self, node: usize, access: &Access, expected: Expect) -> Expect {
        if access.is_for_api() { self.unless_behind(node, expected) } else { expected }
    }

    /// The parameters of a request that say what the app asks for.
    fn asks_for(request: Request) -> Vec<(&'static str, &'static str)> {
        match (request.api, request.offline) {
            (true, true) => vec![("scope", "read offline_access"), ("resource", API)],
            (true, false) => vec![("scope", "read"), ("resource", API)],
            (false, true) => vec![("scope", "openid email offline_access")],
            (false, false) => vec![("scope", "openid email")],
        }
    }
}
