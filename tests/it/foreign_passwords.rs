//! People who come from another system with their password hashes: they sign in as before, and have one of ours after.

use serde_json::json;
use signet::domain::user::Username;
use signet::manage::By;
use signet::manage::apply::{Options, Plan, apply};
use signet::manage::document::{Document, Format};
use signet::store::people;

use crate::support::Server;

/// Of `correct horse battery staple`, made by Python's bcrypt.
const BCRYPT: &str = "$2b$04$abcdefghijklmnopqrstuu7EJV7kdjBBQxyb0HjTh9KS7.Lah/6CG";

async fn bring(server: &Server, hash: &str) -> Plan {
    let document = json!({ "users": [{ "username": "alice", "password_hash": hash }] }).to_string();
    let document = Document::parse(&document, Format::Json).unwrap();
    apply(&server.app.manager(), &By::command_line(), document, Options::default()).await.unwrap()
}

async fn kept(server: &Server) -> String {
    let alice = Username::parse("alice").unwrap();
    people::by_username(server.app.store().read(), &alice).await.unwrap().unwrap().password.unwrap().0
}

#[tokio::test]
async fn a_hash_from_elsewhere_signs_in_and_is_replaced_and_the_document_still_fits() {
    let server = Server::start().await;
    server.client("web", json!({})).await;
    bring(&server, BCRYPT).await;
    let browser = server.browser();
    browser.sign_in(&server.authorize(&[])).await;
    assert!(kept(&server).await.starts_with("$argon2id$"));
    assert_eq!(bring(&server, BCRYPT).await.changes, [], "it speaks of the same password");
    let again = browser.open(&server.authorize(&[("prompt", "none")])).await.err().unwrap();
    assert!(again.contains_key("code"), "and nobody was signed out");
    browser.sign_in(&server.authorize(&[("prompt", "login")])).await;
    let other = BCRYPT.replace("7EJV", "7EJW");
    assert_eq!(bring(&server, &other).await.changes.len(), 1);
    assert_eq!(kept(&server).await, other);
}
