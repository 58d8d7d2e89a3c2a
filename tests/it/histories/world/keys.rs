//! API keys: made, shown at the gate and revoked.

use signet::domain::api_key::Owner as KeyOwner;
use signet::domain::gate::GateName;
use signet::domain::ids::ClientId;
use signet::manage::api_keys::{self, NewApiKey};
use signet::manage::{AuditContext, ManageError};

use super::registered::{APP_IDS, GATE};
use super::{Expect, NAMES, NODES, World, agree, newest, remember};
use crate::histories::action::Owner;
use crate::histories::model::KEY_LIFETIME;

impl World {
    pub(super) async fn create_key(&mut self, node: usize, owner: Owner, expires: bool) {
        let app = &self.nodes[node].app;
        let new = NewApiKey {
            owner: match owner {
                Owner::User(user) => KeyOwner::User(self.nodes[node].person(NAMES[user]).await.id),
                Owner::App(app) => KeyOwner::Client(ClientId::parse(APP_IDS[app]).unwrap()),
            },
            gate: GateName::try_from(GATE.to_owned()).unwrap(),
            name: "program".to_owned(),
            scopes: ["read"].into_iter().collect(),
            expires_at: expires.then(|| app.env().now().plus_seconds(KEY_LIFETIME)),
            networks: Vec::new(),
        };
        let made = match api_keys::create(&app.manager(), &AuditContext::command_line(), new).await {
            Ok((secret, key)) => Some((key.id, secret.expose().to_owned())),
            Err(ManageError::Conflict(_) | ManageError::Invalid(_)) => None,
            Err(error) => panic!("{owner:?}: {error}"),
        };
        let expected = if self.model.may_have_key(owner) { Expect::Accepted } else { Expect::Refused };
        agree(expected, made.is_some(), "a new API key");
        if let Some(made) = made {
            remember(&mut self.keys, self.model.key(made, owner, expires));
            self.show_key((node + 1) % NODES, 0).await;
        }
    }

    pub(super) async fn show_key(&mut self, node: usize, index: usize) {
        let Some(at) = newest(&self.keys, index) else { return };
        let (secret, expected) = (self.keys[at].secret.clone(), self.model.expect_key(&self.keys[at]));
        self.at_gate(node, ("x-api-key", &secret), expected, "an API key").await;
    }

    pub(super) async fn revoke_key(&mut self, node: usize, index: usize) {
        let Some(at) = newest(&self.keys, index) else { return };
        let manager = self.nodes[node].app.manager();
        let revoked = match api_keys::revoke(&manager, &AuditContext::command_line(), self.keys[at].id, None).await {
            Ok(_) => true,
            Err(ManageError::NotFound(_)) => false,
            Err(error) => panic!("{error}"),
        };
        assert_eq!(revoked, self.model.key_exists(&self.keys[at]), "an API key that is revoked");
        self.keys[at].revoked = true;
        self.behind = [true; NODES];
    }
}
