//! What ends access: revocation, sign-out, administration, and a race of administration with what issues.

use futures::future::join_all;
use signet::domain::ids::ClientId;
use signet::domain::secret::Secret;
use signet::manage::{By, ManageError, clients, consents, people};

use super::{APP_IDS, NAMES, NODES, RACERS, World, agree, newest};
use crate::histories::action::Change;
use crate::histories::model::{Expect, Family};
use crate::support::{PASSWORD, SECRET};

impl World {
    pub(super) async fn revoke(&mut self, node: usize, client: usize, token: &str) -> bool {
        let answer = self.post(node, "/oauth2/revoke", self.credentials(client), &[("token", token)]).await;
        self.behind = [true; NODES];
        answer.status == 200
    }

    pub(super) async fn revoke_access(&mut self, node: usize, index: usize) {
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

    pub(super) async fn revoke_refresh(&mut self, node: usize, index: usize) {
        let Some(at) = newest(&self.families, index) else { return };
        let Family { access, newest: secret, .. } = &self.families[at];
        let (access, secret) = (*access, secret.clone());
        if self.revoke(node, access.app, &secret).await {
            self.model.revoke_grant(&access);
        }
    }

    pub(super) async fn sign_out(&mut self, user: usize) {
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

    pub(super) async fn administer(&mut self, node: usize, change: Change) {
        if self.is_idle(change) {
            return;
        }
        match self.change(node, change).await {
            Ok(secret) => self.after_change(change, secret),
            Err(ManageError::NotFound(_)) => {}
            Err(error) => panic!("{change:?}: {error}"),
        }
    }

    pub(super) fn is_idle(&self, change: Change) -> bool {
        match change {
            Change::DisableUser(user) => !self.model.user_enabled(user),
            Change::EnableUser(user) => self.model.user_enabled(user),
            Change::DisableClient(app) => !self.model.app_enabled(app),
            Change::EnableClient(app) => self.model.app_enabled(app),
            _ => false,
        }
    }

    pub(super) fn after_change(&mut self, change: Change, secret: Option<String>) {
        self.model.apply(change);
        match (change, secret) {
            (Change::RotateSecret(app), Some(secret)) => self.secrets[app].push(secret),
            (Change::RecreateClient(app), _) => self.secrets[app].push(SECRET.to_owned()),
            _ => {}
        }
        self.behind = [true; NODES];
    }

    /// The new secret of a client whose secret is rotated.
    pub(super) async fn change(&self, node: usize, change: Change) -> Result<Option<String>, ManageError> {
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
                // The policy for its tokens went with the client.
                let meta = serde_json::from_value(super::service()).unwrap();
                clients::update(&manager, &by, &ClientId::parse(super::SERVICE).unwrap(), meta).await?;
            }
            Change::WithdrawConsent(user, app) => {
                consents::revoke(&manager, &by, server.person(NAMES[user]).await.id, client(app)).await?;
            }
        }
        Ok(None)
    }

    /// Whatever is handed out while a change is made is dead afterwards where the change ends it, and good otherwise.
    pub(super) async fn race(&mut self, node: usize, change: Change) {
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
        // The families first: redeeming a code adds one, and with that may forget the oldest, by which all places change.
        for ((at, was), answer) in families.into_iter().zip(fresh).zip(refreshed) {
            let is = self.model.access(&self.families[at].access);
            agree_with_either(was, is, answer.status == 200, "a refresh token in a race");
            self.after_refresh(at, &answer);
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
    }
}

/// Right as before the change or as after it.
fn agree_with_either(before: Expect, after: Expect, accepted: bool, what: &str) {
    if before == after {
        agree(before, accepted, what);
    }
}
