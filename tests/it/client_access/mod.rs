//! Who may use a client (`allowed_groups`): [`tokens`] the same answer at every way to a token, [`pages`] what a user and an
//! administrator see of it, [`settings`] how it is set; and [`claims`] that its ID tokens have.

mod claims;
mod pages;
mod settings;
mod tokens;

use serde_json::{Value, json};
use signet::domain::event::{Event, EventKind};
use signet::domain::ids::ClientId;
use signet::manage::{AuditContext, clients, groups, users};
use signet::store::events;

use crate::support::{Browser, CALLBACK, Server, VERIFIER};

/// One with alice, who is in the group `staff`, bob, who is in none, and a client `web` for `staff` alone.
async fn with_staff() -> Server {
    let server = Server::start().await;
    for name in ["alice", "bob"] {
        server.user(name).await;
    }
    put_into(&server, "alice", &["staff"]).await;
    server.client("web", json!({ "allowed_groups": ["staff"], "consent": "trusted" })).await;
    server
}

async fn put_into(server: &Server, name: &str, groups: &[&str]) {
    let names: Vec<String> = groups.iter().map(ToString::to_string).collect();
    let id = server.person(name).await.id;
    users::set_groups(&server.app.manager(), &AuditContext::command_line(), id, names).await.unwrap();
}

/// Makes `web` a client for these groups.
async fn open_to(server: &Server, client: &str, groups: Value) {
    let id = ClientId::parse(client).unwrap();
    let known = signet::store::clients::by_id(server.app.store().read(), &id).await.unwrap().unwrap();
    let mut meta = serde_json::to_value(known.meta).unwrap();
    meta["allowed_groups"] = groups;
    let meta = serde_json::from_value(meta).unwrap();
    clients::update(&server.app.manager(), &AuditContext::command_line(), &id, meta).await.unwrap();
}

async fn delete_group(server: &Server, name: &str) {
    groups::delete(&server.app.manager(), &AuditContext::command_line(), name).await.unwrap();
}

/// What happened to that user that was refused for their groups, the newest first.
async fn refusals(server: &Server, name: &str) -> Vec<Event> {
    let user = Some(server.person(name).await.id);
    let filter =
        events::EventFilter { user, kinds: vec![EventKind::AccessRefused], most: 20, ..events::EventFilter::default() };
    events::list(server.app.store().read(), &filter).await.unwrap()
}

/// A code for alice at `web`.
async fn code(server: &Server) -> String {
    server.browser().sign_in(&server.authorize(&[("scope", "openid offline_access")])).await["code"].clone()
}

async fn tokens(server: &Server) -> Value {
    let code = code(server).await;
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    let (status, tokens) = server.token(&form).await;
    assert_eq!(status, 200, "{tokens}");
    tokens
}

/// The browser of a user who has signed in.
async fn signed_in(server: &Server, name: &str) -> Browser {
    let browser = server.browser();
    browser.sign_in_as(name).await;
    browser
}
