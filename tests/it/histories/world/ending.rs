//! What ends access: revocation, sign-out and administration.

use serde_json::Value;
use signet::domain::api::ApiId;
use signet::domain::ids::ClientId;
use signet::domain::secret::Secret;
use signet::manage::access::KeepOptions;
use signet::manage::{AuditContext, ManageError, apis, clients, consents, users};

use super::registered::{API, APP_IDS, SERVICE, service};
use super::{APPS, Family, NAMES, NODES, Settings, World, newest};
use crate::histories::action::{Change, Part};
use crate::support::{PASSWORD, SECRET};

fn client_id(app: usize) -> ClientId {
    ClientId::parse(APP_IDS[app]).unwrap()
}

impl World {
    async fn revoke(&mut self, node: usize, client: usize, token: &str) -> bool {
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
            for token in self.tokens.iter_mut().filter(|token| token.is_by_exchange()) {
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

    pub(super) async fn sign_out(&mut self, node: usize, user: usize) {
        let browser = self.browsers[user].at(&self.nodes[node]);
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
        let changed = self.change(node, change).await;
        self.after_change(change, changed);
    }

    pub(super) fn is_idle(&self, change: Change) -> bool {
        match change {
            Change::DisableUser(user) => !self.model.user_enabled(user),
            Change::EnableUser(user) => self.model.user_enabled(user),
            Change::DisableClient(app) => !self.model.app_enabled(app),
            Change::EnableClient(app) => self.model.app_enabled(app),
            change => self.model.settings().is_idle(change),
        }
    }

    pub(super) fn after_change(&mut self, change: Change, changed: Result<Option<String>, ManageError>) {
        let secret = match changed {
            Ok(secret) => secret,
            Err(ManageError::NotFound(_)) => return,
            Err(error) => panic!("{change:?}: {error}"),
        };
        self.model.apply(change);
        match (change, secret) {
            (Change::RotateSecret(app), Some(secret)) => self.secrets[app].push(secret),
            (Change::RecreateClient(app), _) => self.secrets[app].push(SECRET.to_owned()),
            (Change::ReplaceIssuer(app), _) => self.issuers.replaced[app] += 1,
            _ => {}
        }
        self.behind = [true; NODES];
    }

    async fn update(&self, node: usize, id: &str, meta: Value) -> Result<(), ManageError> {
        let (id, meta) = (ClientId::parse(id).unwrap(), serde_json::from_value(meta).unwrap());
        clients::update(&self.nodes[node].app.manager(), &AuditContext::command_line(), &id, meta).await.map(drop)
    }

    /// Makes an app be registered as `settings` say.
    async fn update_app(&self, node: usize, app: usize, settings: &Settings) -> Result<(), ManageError> {
        self.update(node, APP_IDS[app], self.metadata(app, self.issuers.replaced[app], settings)).await
    }

    /// The new secret of a client whose secret is rotated.
    pub(super) async fn change(&self, node: usize, change: Change) -> Result<Option<String>, ManageError> {
        let server = &self.nodes[node];
        let (manager, by) = (server.app.manager(), AuditContext::command_line());
        let settings = self.model.settings().after(change);
        match change {
            Change::DisableUser(user) => {
                drop(users::disable(&manager, &by, server.person(NAMES[user]).await.id).await?);
            }
            Change::EnableUser(user) => {
                drop(users::enable(&manager, &by, server.person(NAMES[user]).await.id).await?);
            }
            Change::ReplacePassword(user) => {
                let password = Secret::new(PASSWORD.to_owned());
                users::set_password(&manager, &by, server.person(NAMES[user]).await.id, password, None).await?;
            }
            Change::ResetUser(user) => {
                let (id, password) = (server.person(NAMES[user]).await.id, Secret::new(PASSWORD.to_owned()));
                users::reset(&manager, &by, id, password, KeepOptions::default(), None).await?;
            }
            Change::EndSessions(user) => {
                users::end_sessions(&manager, &by, server.person(NAMES[user]).await.id, None).await?;
            }
            Change::RecreateUser(user) => {
                users::delete(&manager, &by, server.person(NAMES[user]).await.id).await?;
                server.user(NAMES[user]).await;
            }
            Change::DisableClient(app) => drop(clients::disable(&manager, &by, &client_id(app)).await?),
            Change::EnableClient(app) => drop(clients::enable(&manager, &by, &client_id(app)).await?),
            Change::RotateSecret(app) => {
                let secret = clients::rotate_secret(&manager, &by, &client_id(app), None).await?;
                return Ok(Some(secret.expose().to_owned()));
            }
            Change::ReplaceIssuer(app) => {
                let next = self.metadata(app, self.issuers.replaced[app] + 1, &settings);
                self.update(node, APP_IDS[app], next).await?;
            }
            Change::RecreateClient(app) => {
                clients::delete(&manager, &by, &client_id(app)).await?;
                self.register(node, app, &settings).await;
                // The policy for its tokens went with the client.
                self.update(node, SERVICE, service(&settings)).await?;
            }
            Change::WithdrawConsent(user, app) => {
                consents::revoke(&manager, &by, server.person(NAMES[user]).await.id, client_id(app)).await?;
            }
            Change::RecreateApi => {
                apis::delete(&manager, &by, ApiId::parse(API).unwrap()).await?;
                self.put_api(node, &settings).await?;
                // What the apps had of it went with the API.
                for app in 0..APPS {
                    self.update_app(node, app, &settings).await?;
                }
            }
            Change::Take(_, Part::TokenExchange) | Change::Give(_, Part::TokenExchange) => {
                self.update(node, SERVICE, service(&settings)).await?;
            }
            Change::Take(app, _) | Change::Give(app, _) => self.update_app(node, app, &settings).await?,
            Change::TakeApiScope | Change::GiveApiScope => self.put_api(node, &settings).await?,
        }
        Ok(None)
    }
}
