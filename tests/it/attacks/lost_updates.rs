//! Changes of one row at once: none undoes another, whichever comes first, and what is deleted meanwhile is named by nobody.

use std::sync::Arc;

use futures::future::join;
use serde_json::json;
use signet::domain::client::Client;
use signet::domain::client_metadata::ClientMetadata;
use signet::domain::ids::{ApiId, ClientId};
use signet::manage::apply::{self, ApplyOptions};
use signet::manage::{AuditContext, ManageError, Manager, apis, clients, consents, users};
use signet::store::{self, StoreError};

use super::{text, userinfo};
use crate::device;
use crate::support::{PASSWORD, SECRET, Server};

const ROUNDS: usize = 8;
const ORDERS: &str = "https://orders.example.com";

async fn web(server: &Server) -> Client {
    let id = ClientId::parse("web").unwrap();
    store::clients::by_id(server.app.store().read(), &id).await.unwrap().unwrap()
}

async fn put_orders(server: &Server) {
    let api = json!({ "identifier": ORDERS, "scopes": ["read"] });
    apis::put(&server.app.manager(), &AuditContext::command_line(), serde_json::from_value(api).unwrap())
        .await
        .unwrap();
}

fn named(meta: &ClientMetadata, name: &str) -> ClientMetadata {
    let mut meta = meta.clone();
    name.clone_into(&mut meta.client_name);
    meta
}

fn parts() -> (AuditContext, ClientId) {
    (AuditContext::command_line(), ClientId::parse("web").unwrap())
}

/// A settings form, a document and a deleted scope write the whole row; what disables the client or replaces its secret at the
/// same time holds.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_changes_of_a_client_all_hold() {
    let nodes = Server::with_alice().await.nodes().await;
    let (first, last) = (&nodes[0], nodes.last().unwrap());
    put_orders(first).await;
    let (by, id) = parts();
    for round in 0..ROUNDS {
        let (here, there) = (first.app.manager(), last.app.manager());
        let mut meta = named(&web(first).await.meta, &format!("settings {round}"));
        meta.api_scopes = serde_json::from_value(json!({ ORDERS: ["read"] })).unwrap();
        clients::update(&here, &by, &id, meta).await.unwrap();
        clients::enable(&here, &by, &id).await.unwrap();
        let before = web(first).await;
        let name = format!("changed {round}");
        let settings = async {
            if round % 2 == 0 {
                clients::update(&here, &by, &id, named(&before.meta, &name)).await.map(drop)
            } else {
                let mut row = json!(named(&before.meta, &name));
                row["client_id"] = json!("web");
                let document = serde_json::from_value(json!({ "clients": [row] })).unwrap();
                apply::apply(&here, &by, document, ApplyOptions::default()).await.map(drop)
            }
        };
        let others = join(clients::disable(&there, &by, &id), clients::rotate_secret(&there, &by, &id, None));
        // Both orders: whichever is polled first begins first.
        let (saved, (disabled, rotated)) = if round % 4 < 2 {
            join(settings, others).await
        } else {
            let (others, saved) = join(others, settings).await;
            (saved, others)
        };
        saved.unwrap();
        disabled.unwrap();
        rotated.unwrap();
        let after = web(first).await;
        assert!(after.disabled, "round {round}: it stays disabled");
        assert_ne!(after.secret, before.secret, "round {round}: the old secret does not come back");
        assert_eq!(after.meta.client_name, name, "round {round}");
        // An API that loses the scope rewrites every client that has it.
        clients::enable(&here, &by, &id).await.unwrap();
        let orders = ApiId::parse(ORDERS).unwrap();
        let loses = apis::update(&here, &by, &orders, |api| {
            api.scopes = "write".split(' ').collect();
        });
        let (lost, disabled) = join(loses, clients::disable(&there, &by, &id)).await;
        lost.unwrap();
        disabled.unwrap();
        let after = web(first).await;
        assert!(after.disabled && after.meta.api_scopes.is_empty(), "round {round}: {:?}", after.meta.api_scopes);
        put_orders(first).await;
    }
}

/// Whoever forgets to lock the row is told so: what was read without its version is never written.
#[tokio::test]
async fn a_client_that_was_not_locked_cannot_be_written() {
    let server = Server::with_alice().await;
    let stale = web(&server).await;
    let write = |client: Client| {
        let store = server.app.store().clone();
        async move { store.write(move |tx| Box::pin(async move { store::clients::update(tx, &client).await })).await }
    };
    assert!(matches!(write(stale).await, Err(StoreError::Conflict)));
    // Read with its version, and changed by somebody else since.
    let read: Arc<Client> = server.app.provider.client(&ClientId::parse("web").unwrap()).await.unwrap().unwrap();
    let (by, id) = parts();
    clients::disable(&server.app.manager(), &by, &id).await.unwrap();
    assert!(matches!(write(read.as_ref().clone()).await, Err(StoreError::Conflict)));
    assert!(web(&server).await.disabled);
}

async fn delete_orders(manager: &Manager, round: usize) -> Result<(), ManageError> {
    let by = AuditContext::command_line();
    if round.is_multiple_of(2) {
        return apis::delete(manager, &by, ApiId::parse(ORDERS).unwrap()).await;
    }
    // A document that names no API, and prunes: the same by another way.
    let alice = json!({ "username": "alice", "email": "alice@example.com", "email_verified": true });
    let web = json!({ "client_id": "other", "redirect_uris": ["https://other.example/cb"], "client_secret": SECRET });
    let document = serde_json::from_value(json!({ "users": [alice], "clients": [web] })).unwrap();
    apply::apply(manager, &by, document, ApplyOptions { prune: true, dry_run: false }).await.map(drop)
}

/// A client that is saved while its API is deleted keeps no scope of it, which an API of that name would inherit.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_client_saved_while_its_api_is_deleted_keeps_no_scope() {
    let nodes = Server::with_alice().await.nodes().await;
    let (first, last) = (&nodes[0], nodes.last().unwrap());
    let (by, id) = parts();
    for round in 0..ROUNDS {
        put_orders(first).await;
        if store::clients::by_id(first.app.store().read(), &id).await.unwrap().is_none() {
            first.client("web", json!({})).await;
        }
        let mut meta = web(first).await.meta;
        meta.api_scopes = serde_json::from_value(json!({ ORDERS: ["read"] })).unwrap();
        let manager = first.app.manager();
        let save = clients::update(&manager, &by, &id, meta);
        let there = last.app.manager();
        let delete = delete_orders(&there, round);
        let (saved, deleted) = if round % 4 < 2 {
            join(save, delete).await
        } else {
            let (deleted, saved) = join(delete, save).await;
            (saved, deleted)
        };
        deleted.unwrap();
        if let Err(error) = saved {
            assert!(matches!(error, ManageError::Invalid(_) | ManageError::NotFound(_)), "{error}");
        }
        let left = store::clients::by_id(first.app.store().read(), &id).await.unwrap();
        assert!(left.is_none_or(|client| client.meta.api_scopes.is_empty()), "round {round}");
    }
}

/// Consent for a device that is given while the client is deleted is not its namesake's.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn consent_for_a_device_does_not_outlive_its_client() {
    let server = device::with_tv().await;
    let (by, tv) = (AuditContext::command_line(), ClientId::parse("tv").unwrap());
    let alice = server.person("alice").await.id;
    for round in 0..ROUNDS {
        let asked = device::ask(&server, "openid").await;
        let browser = server.browser();
        browser.sign_in_as("alice").await;
        let page = device::question(&browser, &asked).await;
        let manager = server.app.manager();
        let allow = browser.submit(&page, &[("decision", "allow")]);
        let delete = clients::delete(&manager, &by, &tv);
        let deleted = if round.is_multiple_of(2) { join(allow, delete).await.1 } else { join(delete, allow).await.0 };
        deleted.unwrap();
        let given = store::consents::find(server.app.store().read(), alice, &tv).await.unwrap();
        assert!(given.is_none(), "round {round}");
        device::tv(&server, "tv", json!({})).await;
    }
}

/// Consent that is withdrawn while it is given: it either was given before, and is withdrawn with all that came of it, or
/// comes after, and stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn consent_withdrawn_while_it_is_given_leaves_no_token() {
    let nodes = Server::with_alice().await.nodes().await;
    let (first, last) = (&nodes[0], nodes.last().unwrap());
    let (by, id) = parts();
    let alice = first.person("alice").await.id;
    for round in 0..ROUNDS {
        let browser = first.browser();
        let login = browser.page(&first.authorize(&[])).await;
        let credentials = [("username", "alice"), ("password", PASSWORD)];
        let consent = browser.submit(&login, &credentials).await.ok().unwrap();
        assert_eq!(consent.name(), "consent", "round {round}");
        let manager = last.app.manager();
        let allow = browser.submit(&consent, &[("decision", "allow")]);
        let withdraw = consents::revoke(&manager, &by, alice, id.clone());
        let (allowed, _) = if round.is_multiple_of(2) {
            join(allow, withdraw).await
        } else {
            let (withdrawn, allowed) = join(withdraw, allow).await;
            (allowed, withdrawn)
        };
        let given = store::consents::find(first.app.store().read(), alice, &id).await.unwrap();
        let token = match allowed {
            Err(callback) if callback.contains_key("code") => {
                let (status, tokens) = first.redeem(&callback["code"]).await;
                (status == 200).then(|| text(&tokens, "access_token"))
            }
            _ => None,
        };
        first.app.store().authority().catch_up(first.app.store()).await.unwrap();
        if let Some(token) = token {
            let active = userinfo(first, &token).await == 200;
            assert_eq!(active, given.is_some(), "round {round}: a token without consent is no token");
        }
        consents::revoke(&manager, &by, alice, id.clone()).await.ok();
    }
}

/// Two administrators who change each other at once are not in each other's way.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn administrators_who_change_each_other_do_not_deadlock() {
    let server = Server::with_alice().await;
    server.user("bob").await;
    let (mut ids, mut actors) = (Vec::new(), Vec::new());
    for name in ["alice", "bob"] {
        crate::console::make_admin(&server, name).await;
        server.browser().sign_in_as(name).await;
        let id = server.person(name).await.id;
        let now = server.app.env().now();
        let session = store::sessions::of_user(server.app.store().read(), id, now).await.unwrap()[0].id;
        ids.push(id);
        actors.push(AuditContext::user(id, session, signet::domain::event::RequestOrigin::default()));
    }
    let manager = server.app.manager();
    for round in 0..ROUNDS {
        let groups = [format!("group{round}")];
        let (one, other) = join(
            users::set_groups(&manager, &actors[0], ids[1], groups.to_vec()),
            users::set_groups(&manager, &actors[1], ids[0], groups.to_vec()),
        )
        .await;
        assert!(one.is_ok() || other.is_ok(), "round {round}: {one:?} {other:?}");
        for done in [one, other] {
            assert!(!matches!(done, Err(ManageError::Store(StoreError::Unavailable(_)))), "round {round}: {done:?}");
        }
    }
}
