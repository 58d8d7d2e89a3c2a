//! API keys: [`making`] who may have which, [`ending`] what ends one and how soon everybody knows, what a use costs;
//! [`commands`] at a terminal, [`pages`] in a browser.

mod commands;
mod ending;
mod making;
mod pages;

use serde_json::{Value, json};
use signet::domain::api::Api;
use signet::domain::api_key::{ApiKey, ApiKeySecret, Owner};
use signet::domain::event::EventKind;
use signet::domain::gate::GateName;
use signet::domain::ids::ClientId;
use signet::manage::api_keys::{self as manage, NewApiKey};
use signet::manage::{AuditContext, ManageError, apis};
use signet::store::events;

use crate::support::Server;

/// One with alice, the client `web` that may `read`, and two APIs that take keys: `orders` and, as passwords, `stock`.
pub async fn with_apis() -> Server {
    let server = Server::start().await;
    server.user("alice").await;
    put_api(&server, "orders", &["api_key"]).await;
    put_api(&server, "stock", &["basic"]).await;
    put_api(&server, "closed", &["bearer"]).await;
    server.client("web", reads()).await;
    server
}

/// The scopes of a client that may `read` at the two.
pub fn reads() -> Value {
    json!({ "scope": "openid", "api_scopes": { "https://orders.example": ["read"], "https://stock.example": ["read"] } })
}

pub async fn put_api(server: &Server, gate: &str, accepts: &[&str]) {
    let api = json!({ "identifier": format!("https://{gate}.example"), "name": format!("The {gate}"),
                      "scopes": ["read", "write"], "gate": gate, "accepts": accepts });
    apis::put(&server.app.manager(), &AuditContext::command_line(), serde_json::from_value(api).unwrap())
        .await
        .unwrap();
}

pub async fn alice(server: &Server) -> Owner {
    Owner::User(server.person("alice").await.id)
}

pub fn web() -> Owner {
    Owner::Client(ClientId::parse("web").unwrap())
}

pub fn new_key(owner: Owner, gate: &str) -> NewApiKey {
    NewApiKey {
        owner,
        gate: GateName::try_from(gate.to_owned()).unwrap(),
        name: "ci".to_owned(),
        scopes: "read".split(' ').collect(),
        expires_at: None,
        networks: Vec::new(),
    }
}

pub async fn make(server: &Server, new: NewApiKey) -> Result<(ApiKeySecret, ApiKey), ManageError> {
    manage::create(&server.app.manager(), &AuditContext::command_line(), new).await
}

/// A key for `orders`.
pub async fn made(server: &Server, owner: Owner) -> (ApiKeySecret, ApiKey) {
    make(server, new_key(owner, "orders")).await.unwrap()
}

/// What the record says of that about an owner.
async fn recorded(server: &Server, kind: EventKind, owner: &Owner) -> Vec<String> {
    let (user, client) = match owner {
        Owner::User(id) => (Some(*id), None),
        Owner::Client(id) => (None, Some(id.clone())),
    };
    let filter = events::EventFilter { kinds: vec![kind], user, client, most: 9, ..events::EventFilter::default() };
    let found = events::list(server.app.store().read(), &filter).await.unwrap();
    found.into_iter().map(|event| event.detail).collect()
}

/// Whether a node would let that key in, as far as its being there, its gate, its time and its owner go.
pub async fn is_good(server: &Server, secret: &ApiKeySecret) -> bool {
    let (store, now) = (server.app.store(), server.app.env().now());
    let Some(key) = store.authority().api_key(store, &secret.digest()).await.unwrap() else { return false };
    let apis = store.authority().apis(store).await.unwrap();
    let api: Option<&Api> = apis.iter().find(|api| api.gate.as_ref() == Some(&key.gate));
    let fits = api.is_some_and(|api| key.check_usable(api, Some([192, 0, 2, 1].into()), now).is_ok());
    fits && store.authority().enabled_owner(store, &key.owner).await.unwrap().is_some()
}
