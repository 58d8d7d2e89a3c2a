//! Does what a history says, over HTTP, and compares each answer with the model.

use futures::future::join_all;
use serde_json::{Value, json};
use signet::domain::ids::ClientId;
use signet::domain::secret::Secret;
use signet::manage::{By, ManageError, clients, consents, people};

use super::action::{APPS, Action, Change, NODES, USERS};
use super::model::{Access, Code, Expect, Family, Model, SKEW, Token};
use crate::support::{Browser, CALLBACK, PASSWORD, Page, SECRET, Server, VERIFIER};

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
        let first = Server::start().await;
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
        let policy: Vec<Value> =
            APP_IDS.map(|client| json!({ "client": client, "impersonation": true })).into_iter().collect();
        let service = json!({
            "redirect_uris": [], "grant_types": [EXCHANGE], "scope": "openid email", "token_exchange": policy,
        });
        world.nodes[0].client(SERVICE, service).await;
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

    // ---- Issuing -------------------------------------------------------------------------------------------------

    async fn authorize(&mut self, node: usize, user: usize, app: usize, offline: bool) {
        let scope = if offline { "openid email offline_access" } else { "openid email" };
        let path = self.nodes[node].authorize(&[("client_id", APP_IDS[app]), ("scope", scope)]);
        let browser = self.browsers[user].at(&self.nodes[node]);
        let mut shown = browser.open(&path).await;
        let mut session = self.sessions[user];
        let mut signed_in = false;
        let mut shown_last = String::new();
        let code = loop {
            let page = match shown {
                Err(callback) => break callback.get("code").cloned(),
                Ok(page) => page,
            };
            assert!(page.status < 500, "{} {}", page.status, page.path);
            shown = match page.name().as_str() {
                "login" if !signed_in && self.model.user_enabled(user) => {
                    if let Some(session) = session {
                        agree(self.model.session(session), false, "a session");
                    }
                    signed_in = true;
                    session = Some(self.model.begin_session(user));
                    browser.submit(&page, &[("username", NAMES[user]), ("password", PASSWORD)]).await
                }
                "consent" => browser.submit(&page, &[("decision", "allow")]).await,
                _ => {
                    shown_last = format!("{} at {}: {} {}", page.status, page.path, page.name(), page.error());
                    break None;
                }
            };
        };
        let allowed = self.model.user_enabled(user) && self.model.app_enabled(app);
        // A node that has not heard of a client's being enabled refuses its requests for a moment.
        let expected = match allowed {
            false => Expect::Refused,
            true if self.behind[node] => Expect::Either,
            true => Expect::Accepted,
        };
        agree(expected, code.is_some(), &format!("an authorization ({shown_last})"));
        self.sessions[user] = session;
        let (Some(secret), Some(session)) = (code, session) else { return };
        if !signed_in {
            agree(self.model.session(session), true, "an authorization without a sign-in");
        }
        self.model.use_session(session);
        let access = self.model.authorize(user, app, session, offline);
        remember(&mut self.codes, Code { secret, access, made_at: self.model.now, spent: false });
    }

    async fn open_sign_in(&mut self, node: usize, app: usize) {
        if !self.model.app_enabled(app) {
            return;
        }
        self.catch_up(node).await;
        let browser = self.nodes[node].browser();
        let path = self.nodes[node].authorize(&[("client_id", APP_IDS[app]), ("scope", "openid email")]);
        let page = browser.page(&path).await;
        assert_eq!(page.name(), "login", "{}", page.path);
        let (app_version, opened_at) = (self.model.app_version(app), self.model.now);
        remember(&mut self.open, OpenSignIn { browser, page, node, app, app_version, opened_at });
    }

    /// An interaction goes on only with the client that began it, as it was then.
    async fn finish_sign_in(&mut self, index: usize, user: usize) {
        let Some(at) = newest(&self.open, index) else { return };
        let OpenSignIn { browser, page, node, app, app_version, opened_at } = self.open.remove(at);
        if !self.model.user_enabled(user) {
            return;
        }
        self.catch_up(node).await;
        let browser = browser.at(&self.nodes[node]);
        let mut shown = browser.submit(&page, &[("username", NAMES[user]), ("password", PASSWORD)]).await;
        let code = loop {
            match shown {
                Err(callback) => break callback.get("code").cloned(),
                Ok(page) if page.name() == "consent" => shown = browser.submit(&page, &[("decision", "allow")]).await,
                Ok(_) => break None,
            }
        };
        let same = self.model.app_enabled(app) && self.model.app_version(app) == app_version;
        let expected = match same {
            false => Expect::Refused,
            true if self.model.now - opened_at < 1_200 => Expect::Accepted,
            true => Expect::Either,
        };
        agree(expected, code.is_some(), "a sign-in page that was left open");
    }

    fn client_of(token: &Token) -> usize {
        if token.by_exchange { APPS } else { token.access.app }
    }

    /// The credentials of an app, or of the service after the last one.
    fn credentials(&self, client: usize) -> (&str, &str) {
        match APP_IDS.get(client) {
            Some(id) => (id, self.secrets[client].last().unwrap()),
            None => (SERVICE, SECRET),
        }
    }

    async fn token(&self, node: usize, client: usize, form: &[(&str, &str)]) -> Answer {
        self.post(node, "/oauth2/token", self.credentials(client), form).await
    }

    async fn post(&self, node: usize, path: &str, (id, secret): (&str, &str), form: &[(&str, &str)]) -> Answer {
        let browser = &self.browsers[0].at(&self.nodes[node]);
        let request = browser.request(reqwest::Method::POST, path).basic_auth(id, Some(secret)).form(form);
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let text = response.text().await.unwrap();
        assert!(status < 500, "{status} {text}");
        Answer { status, body: serde_json::from_str(&text).unwrap_or_default() }
    }

    fn remember_token(&mut self, access: Access, answer: &Answer) {
        let (secret, expires_at) = (answer.text("access_token"), self.model.access_token_end());
        let token = Token { secret, access, expires_at, revoked: false, source_revoked: false, by_exchange: false };
        remember(&mut self.tokens, token);
    }

    fn remember_redeemed(&mut self, access: Access, answer: &Answer) {
        self.remember_token(access, answer);
        let family = Family { access, newest: answer.text("refresh_token"), before: None, rotated_at: self.model.now };
        remember(&mut self.families, family);
    }

    async fn redeem_code(&self, node: usize, app: usize, code: &str) -> Answer {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ];
        self.token(node, app, &form).await
    }

    async fn redeem(&mut self, node: usize, index: usize) {
        let Some(at) = newest(&self.codes, index).filter(|at| !self.codes[*at].spent) else { return };
        let access = self.codes[at].access;
        let answer = self.redeem_code(node, access.app, &self.codes[at].secret).await;
        agree(self.model.code(&self.codes[at]), answer.status == 200, "a code");
        if answer.status == 200 {
            self.codes[at].spent = true;
            self.remember_redeemed(access, &answer);
        } else if answer.status == 400 {
            self.codes[at].spent = true;
        }
    }

    /// RFC 6749 §4.1.2: what was issued for a code ends when it comes again.
    async fn replay_code(&mut self, node: usize, index: usize) {
        let Some(at) = newest(&self.codes, index).filter(|at| self.codes[*at].spent) else { return };
        let access = self.codes[at].access;
        if !self.model.app_enabled(access.app) || self.model.now - self.codes[at].made_at > 10 {
            return;
        }
        let answer = self.redeem_code(node, access.app, &self.codes[at].secret).await;
        agree(Expect::Refused, answer.status == 200, "a code that comes again");
        self.model.revoke_grant(&access);
        self.behind = [true; NODES];
    }

    async fn refresh_with(&self, node: usize, app: usize, token: &str) -> Answer {
        self.token(node, app, &[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }

    async fn refresh(&mut self, node: usize, index: usize) {
        let Some(at) = newest(&self.families, index) else { return };
        let access = self.families[at].access;
        let answer = self.refresh_with(node, access.app, &self.families[at].newest).await;
        agree(self.model.access(&access), answer.status == 200, "a refresh token");
        self.after_refresh(at, &answer);
    }

    fn after_refresh(&mut self, at: usize, answer: &Answer) {
        if answer.status == 200 {
            let next = answer.text("refresh_token");
            let family = &mut self.families[at];
            family.before = Some(std::mem::replace(&mut family.newest, next));
            family.rotated_at = self.model.now;
            self.remember_token(self.families[at].access, answer);
        }
    }

    /// RFC 9700 §4.14.2: within the grace period the same successor, after it the end of the family.
    async fn repeat_refresh(&mut self, node: usize, index: usize) {
        let Some(at) = newest(&self.families, index) else { return };
        let family = &self.families[at];
        let Some(before) = family.before.clone() else { return };
        let access = family.access;
        if !self.model.app_enabled(access.app) {
            return;
        }
        let answer = self.refresh_with(node, access.app, &before).await;
        agree(self.model.repeat(&self.families[at]), answer.status == 200, "a repeated refresh token");
        if answer.status == 200 {
            assert_eq!(answer.text("refresh_token"), self.families[at].newest, "the same successor");
            self.remember_token(access, &answer);
        } else {
            self.model.revoke_grant(&access);
            self.behind = [true; NODES];
        }
    }

    async fn exchange(&mut self, node: usize, index: usize) {
        let Some(at) = newest(&self.tokens, index).filter(|at| !self.tokens[*at].by_exchange) else { return };
        self.catch_up(node).await;
        let form = [
            ("grant_type", EXCHANGE),
            ("subject_token", self.tokens[at].secret.as_str()),
            ("subject_token_type", ACCESS),
        ];
        let answer = self.token(node, APPS, &form).await;
        let source = &self.tokens[at];
        let access = source.access.exchanged();
        let expected = match (self.model.token(source), self.model.access(&access)) {
            (Expect::Accepted, Expect::Accepted) => Expect::Accepted,
            (Expect::Refused, _) | (_, Expect::Refused) => Expect::Refused,
            _ => Expect::Either,
        };
        agree(expected, answer.status == 200, "a token exchange");
        if answer.status == 200 {
            let (secret, expires_at) = (answer.text("access_token"), source.expires_at);
            let token =
                Token { secret, access, expires_at, revoked: false, source_revoked: source.revoked, by_exchange: true };
            remember(&mut self.tokens, token);
        }
    }

    async fn client_credentials(&self, node: usize, app: usize, old_secret: bool) {
        let (id, current) = self.credentials(app);
        let secret = if old_secret { self.secrets[app].iter().rev().nth(1) } else { None };
        if old_secret && secret.is_none() {
            return;
        }
        let secret = secret.map_or(current, String::as_str);
        let form = [("grant_type", "client_credentials"), ("scope", "")];
        let answer = self.post(node, "/oauth2/token", (id, secret), &form).await;
        let right = self.model.app_enabled(app) && secret == current;
        // An app has no scope of its own here, so a request with the right secret is refused for its scope alone.
        assert_eq!(answer.body["error"] != "invalid_client", right, "client authentication: {}", answer.body);
    }

    // ---- Using ---------------------------------------------------------------------------------------------------

    async fn catch_up(&mut self, node: usize) {
        if self.behind[node] {
            let store = self.nodes[node].app.store();
            store.authority().catch_up(store).await.unwrap();
            self.behind[node] = false;
        }
    }

    async fn introspect(&self, node: usize, client: usize, token: &str) -> bool {
        let answer = self.post(node, "/oauth2/introspect", self.credentials(client), &[("token", token)]).await;
        answer.status == 200 && answer.body["active"] == true
    }

    async fn introspect_one(&mut self, node: usize, index: usize) {
        let Some(at) = newest(&self.tokens, index) else { return };
        self.catch_up(node).await;
        let token = &self.tokens[at];
        let active = self.introspect(node, Self::client_of(token), &token.secret).await;
        agree(self.model.token(token), active, "introspection of an access token");
    }

    async fn introspect_refresh(&mut self, node: usize, index: usize) {
        let Some(at) = newest(&self.families, index) else { return };
        self.catch_up(node).await;
        let family = &self.families[at];
        let active = self.introspect(node, family.access.app, &family.newest).await;
        agree(self.model.access(&family.access), active, "introspection of a refresh token");
    }

    async fn userinfo_one(&mut self, node: usize, index: usize) {
        let Some(at) = newest(&self.tokens, index) else { return };
        self.catch_up(node).await;
        let token = &self.tokens[at];
        let browser = self.browsers[0].at(&self.nodes[node]);
        let request = browser.request(reqwest::Method::GET, "/oauth2/userinfo").bearer_auth(&token.secret);
        let status = request.send().await.unwrap().status().as_u16();
        assert!(status < 500, "UserInfo: {status}");
        agree(self.model.token(token), status == 200, "UserInfo");
    }

    /// Every access token and refresh token that is remembered, at both nodes.
    pub async fn compare_everything(&mut self) {
        self.compare(REMEMBERED).await;
    }

    async fn compare(&mut self, most: usize) {
        for node in 0..NODES {
            for index in 0..most {
                self.introspect_one(node, index).await;
                self.userinfo_one(node, index).await;
                self.introspect_refresh(node, index).await;
            }
        }
    }

    // ---- Ending --------------------------------------------------------------------------------------------------

    async fn revoke(&mut self, node: usize, client: usize, token: &str) -> bool {
        let answer = self.post(node, "/oauth2/revoke", self.credentials(client), &[("token", token)]).await;
        self.behind = [true; NODES];
        answer.status == 200
    }

    async fn revoke_access(&mut self, node: usize, index: usize) {
        let Some(at) = newest(&self.tokens, index) else { return };
        let (secret, client) = (self.tokens[at].secret.clone(), Self::client_of(&self.tokens[at]));
        self.catch_up(node).await;
        if self.revoke(node, client, &secret).await {
            self.tokens[at].revoked = true;
            let grant = self.tokens[at].access;
            for token in self.tokens.iter_mut().filter(|token| token.by_exchange) {
                token.source_revoked |= token.access.is_of(&grant);
            }
        }
    }

    async fn revoke_refresh(&mut self, node: usize, index: usize) {
        let Some(at) = newest(&self.families, index) else { return };
        let Family { access, newest: secret, .. } = &self.families[at];
        let (access, secret) = (*access, secret.clone());
        if self.revoke(node, access.app, &secret).await {
            self.model.revoke_grant(&access);
        }
    }

    async fn sign_out(&mut self, user: usize) {
        let browser = &self.browsers[user];
        let page = browser.page("/oauth2/logout").await;
        if page.has("button[value=allow]") {
            browser.submit(&page, &[("decision", "allow")]).await.ok();
            if let Some(session) = self.sessions[user] {
                self.model.end_session(session);
            }
            self.behind = [true; NODES];
        }
    }

    async fn administer(&mut self, node: usize, change: Change) {
        if self.is_idle(change) {
            return;
        }
        match self.change(node, change).await {
            Ok(secret) => self.after_change(change, secret),
            Err(ManageError::NotFound(_)) => {}
            Err(error) => panic!("{change:?}: {error}"),
        }
    }

    fn is_idle(&self, change: Change) -> bool {
        match change {
            Change::DisableUser(user) => !self.model.user_enabled(user),
            Change::EnableUser(user) => self.model.user_enabled(user),
            Change::DisableClient(app) => !self.model.app_enabled(app),
            Change::EnableClient(app) => self.model.app_enabled(app),
            _ => false,
        }
    }

    fn after_change(&mut self, change: Change, secret: Option<String>) {
        self.model.apply(change);
        match (change, secret) {
            (Change::RotateSecret(app), Some(secret)) => self.secrets[app].push(secret),
            (Change::RecreateClient(app), _) => self.secrets[app].push(SECRET.to_owned()),
            _ => {}
        }
        self.behind = [true; NODES];
    }

    /// The new secret of a client whose secret is rotated.
    async fn change(&self, node: usize, change: Change) -> Result<Option<String>, ManageError> {
        let server = &self.nodes[node];
        let (manager, by) = (server.app.manager(), By::command_line());
        let client = |app: usize| ClientId::parse(APP_IDS[app]).unwrap();
        match change {
            Change::DisableUser(user) => {
                drop(people::disable(&manager, &by, server.person(NAMES[user]).await.id).await?);
            }
            Change::EnableUser(user) => {
                drop(people::enable(&manager, &by, server.person(NAMES[user]).await.id).await?);
            }
            Change::ReplacePassword(user) => {
                let password = Secret::new(PASSWORD.to_owned());
                people::set_password(&manager, &by, server.person(NAMES[user]).await.id, password, None).await?;
            }
            Change::EndSessions(user) => {
                people::end_sessions(&manager, &by, server.person(NAMES[user]).await.id, None).await?;
            }
            Change::RecreateUser(user) => {
                people::delete(&manager, &by, server.person(NAMES[user]).await.id).await?;
                server.user(NAMES[user]).await;
            }
            Change::DisableClient(app) => drop(clients::disable(&manager, &by, &client(app)).await?),
            Change::EnableClient(app) => drop(clients::enable(&manager, &by, &client(app)).await?),
            Change::RotateSecret(app) => {
                let secret = clients::rotate_secret(&manager, &by, &client(app), None).await?;
                return Ok(Some(secret.expose().to_owned()));
            }
            Change::RecreateClient(app) => {
                clients::delete(&manager, &by, &client(app)).await?;
                self.register(node, app).await;
            }
            Change::WithdrawConsent(user, app) => {
                consents::revoke(&manager, &by, server.person(NAMES[user]).await.id, client(app)).await?;
            }
        }
        Ok(None)
    }

    /// Whatever is handed out while a change is made is dead afterwards where the change ends it, and good otherwise.
    async fn race(&mut self, node: usize, change: Change) {
        if self.is_idle(change) {
            return;
        }
        let codes: Vec<usize> = (0..self.codes.len()).rev().filter(|at| !self.codes[*at].spent).take(RACERS).collect();
        let families: Vec<usize> = (0..self.families.len()).rev().take(RACERS).collect();
        let this = &*self;
        let redeeming = join_all(codes.iter().enumerate().map(|(turn, at)| {
            let code = &this.codes[*at];
            this.redeem_code(turn % NODES, code.access.app, &code.secret)
        }));
        let refreshing = join_all(families.iter().enumerate().map(|(turn, at)| {
            let family = &this.families[*at];
            this.refresh_with(turn % NODES, family.access.app, &family.newest)
        }));
        let (changed, redeemed, refreshed) = tokio::join!(this.change(node, change), redeeming, refreshing);
        let before: Vec<Expect> = codes.iter().map(|at| self.model.code(&self.codes[*at])).collect();
        let fresh: Vec<Expect> = families.iter().map(|at| self.model.access(&self.families[*at].access)).collect();
        match changed {
            Ok(secret) => self.after_change(change, secret),
            Err(ManageError::NotFound(_)) => {}
            Err(error) => panic!("{change:?}: {error}"),
        }
        for ((at, was), answer) in codes.into_iter().zip(before).zip(redeemed) {
            let is = self.model.code(&self.codes[at]);
            agree_with_either(was, is, answer.status == 200, "a code in a race");
            if answer.status != 401 {
                self.codes[at].spent = true;
            }
            if answer.status == 200 {
                self.remember_redeemed(self.codes[at].access, &answer);
            }
        }
        for ((at, was), answer) in families.into_iter().zip(fresh).zip(refreshed) {
            let is = self.model.access(&self.families[at].access);
            agree_with_either(was, is, answer.status == 200, "a refresh token in a race");
            self.after_refresh(at, &answer);
        }
    }
}

/// Right as before the change or as after it.
fn agree_with_either(before: Expect, after: Expect, accepted: bool, what: &str) {
    if before == after {
        agree(before, accepted, what);
    }
}
