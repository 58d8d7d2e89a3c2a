//! What the gate accepts from memory ends on its node with the answer to its revocation: a credential that is used all the
//! while is not accepted once by a request that begins after it. docs/security.md says how soon other nodes follow.
//! API keys are in `api_keys::ending`.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use signet::domain::ids::ClientId;
use signet::domain::secret::Secret;
use signet::manage::{AuditContext, clients, users};

use super::session::{alice, asked, cookie_of, for_browsers};
use super::signatures::{Signed, apply_clients, registered, row, with_keys};
use super::{basic, nginx, with_gate};

/// Uses a credential all the while that `revoke` takes, and then sees that it is refused.
async fn ends(is_good: impl AsyncFn() -> bool, revoke: impl AsyncFnOnce()) {
    let stop = AtomicBool::new(false);
    let uses = async {
        while !stop.load(Ordering::SeqCst) {
            is_good().await;
            tokio::task::yield_now().await;
        }
    };
    let revoked = async {
        assert!(is_good().await);
        revoke().await;
        for _ in 0..10 {
            assert!(!is_good().await);
            tokio::task::yield_now().await;
        }
        stop.store(true, Ordering::SeqCst);
    };
    tokio::join!(uses, revoked);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_secret_in_use_is_void_when_its_rotation_is_answered() {
    let server = with_gate(json!({})).await;
    let (manager, by, web) = (server.app.manager(), AuditContext::command_line(), ClientId::parse("web").unwrap());
    let mut secret = crate::support::SECRET.to_owned();
    for round in 0..10 {
        let credential = basic("web", &secret);
        secret = format!("{round}{}", "x".repeat(40));
        let is_good =
            async || nginx(&server, "GET", "/orders/1", &[("authorization", &credential)]).await.status == 200;
        let new = Some(Secret::new(secret.clone()));
        ends(is_good, async || drop(clients::rotate_secret(&manager, &by, &web, new).await.unwrap())).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_signature_key_in_use_is_void_when_its_removal_is_answered() {
    let server = with_keys(json!({})).await;
    for _ in 0..5 {
        apply_clients(&server, json!([row("web", json!([registered("ed25519", "ed25519")]))])).await.unwrap();
        let is_good = async || Signed::new(&server, "ed25519").send(&server).await.status == 200;
        ends(is_good, async || drop(apply_clients(&server, json!([row("web", json!([]))])).await.unwrap())).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_gate_session_in_use_ends_when_its_end_is_answered() {
    let server = with_gate(for_browsers()).await;
    let (manager, by) = (server.app.manager(), AuditContext::command_line());
    let user = server.person("alice").await.id;
    for _ in 0..5 {
        let cookie = cookie_of(&server, &alice(&server).await).await;
        let is_good = async || asked(&server, "GET", &[("cookie", &cookie)]).await.status == 200;
        ends(is_good, async || assert_eq!(users::end_sessions(&manager, &by, user, None).await.unwrap(), 1)).await;
    }
}
