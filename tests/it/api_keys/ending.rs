//! What ends a key, how soon everybody knows, what a use costs, and when it is written down.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;
use signet::domain::api_key::Owner;
use signet::domain::event::EventKind;
use signet::domain::ids::{ApiKeyId, ClientId};
use signet::manage::api_keys::{NewApiKey, revoke};
use signet::manage::users::UserEdit;
use signet::manage::{AuditContext, apis, clients, groups, users};
use signet::server::background::Maintenance;
use signet::store::api_keys::{ApiKeyFilter, list};

use super::{alice, is_good, made, make, new_key, put_api, reads, recorded, web, with_apis};
use crate::budgets::Statements;
use crate::support::Server;

const DAY: i64 = 86_400;

async fn catch_up(server: &Server) {
    server.app.store().authority().catch_up(server.app.store()).await.unwrap();
}

async fn left(server: &Server) -> usize {
    list(server.app.store().read(), &ApiKeyFilter { most: 1000, ..ApiKeyFilter::default() }).await.unwrap().len()
}

/// Issue 4, Figures: a key already seen costs no statement; nor do its owner, and that it was used.
#[tokio::test]
async fn a_key_already_seen_costs_no_statement() {
    let server = with_apis().await;
    let keys = [made(&server, alice(&server).await).await, made(&server, web()).await];
    let (statements, _guard) = Statements::record();
    for (secret, _) in &keys {
        assert!(is_good(&server, secret).await);
    }
    let (reads, writes) = statements.take();
    assert!(reads.len() <= 7 && writes.is_empty(), "{reads:#?}");
    for (secret, key) in &keys {
        assert!(is_good(&server, secret).await);
        server.app.store().authority().key_uses().note(key.id, server.app.env().now());
    }
    assert_eq!(statements.take(), (vec![], vec![]));
}

/// T5, CVE-2026-43983. At once on the node that does it, as soon as the feed has been read (twice a second) on another
/// one, both of which have the key in memory.
#[tokio::test]
async fn each_end_of_a_key_reaches_every_node() {
    for deed in ["revoke", "disable the owner", "delete the owner", "delete the api", "rename the gate"] {
        for of_a_client in [false, true] {
            let server = with_apis().await;
            let other = server.node().await;
            let owner = if of_a_client { web() } else { alice(&server).await };
            let (secret, key) = made(&server, owner.clone()).await;
            let (bystander, _) = make(&server, new_key(owner.clone(), "stock")).await.unwrap();
            assert!(is_good(&server, &secret).await && is_good(&other, &secret).await);
            let (manager, by, id) =
                (server.app.manager(), AuditContext::command_line(), ClientId::parse("web").unwrap());
            match (deed, &owner) {
                ("revoke", _) => drop(revoke(&manager, &by, key.id, None).await.unwrap()),
                ("disable the owner", Owner::User(id)) => drop(users::disable(&manager, &by, *id).await.unwrap()),
                ("disable the owner", _) => drop(clients::disable(&manager, &by, &id).await.unwrap()),
                ("delete the owner", Owner::User(id)) => users::delete(&manager, &by, *id).await.unwrap(),
                ("delete the owner", _) => clients::delete(&manager, &by, &id).await.unwrap(),
                ("delete the api", _) => apis::delete(&manager, &by, key.api.clone()).await.unwrap(),
                _ => {
                    let api = json!({ "identifier": key.api, "gate": "moved", "accepts": ["api_key"] });
                    apis::put(&manager, &by, serde_json::from_value(api).unwrap()).await.unwrap();
                }
            }
            let case = format!("{deed}, {owner:?}");
            assert!(!is_good(&server, &secret).await, "{case}: here");
            catch_up(&other).await;
            assert!(!is_good(&other, &secret).await, "{case}: there");
            let goes_on = !deed.contains("owner");
            assert_eq!(is_good(&other, &bystander).await, goes_on, "{case}: the other key");
            let rows = match deed {
                "delete the owner" => 0,
                "revoke" | "delete the api" => 1,
                _ => 2,
            };
            assert_eq!(left(&server).await, rows, "{case}");
            other.app.store().close().await;
            server.app.store().close().await;
        }
    }
}

/// Days after what a node has heard of a revocation is forgotten, the key is still void; and who is turned on again has
/// their keys back, long after or not.
#[tokio::test]
async fn turned_off_is_off_for_as_long_as_it_is() {
    let server = with_apis().await;
    let (manager, by) = (server.app.manager(), AuditContext::command_line());
    let (secret, _) = made(&server, alice(&server).await).await;
    let id = server.person("alice").await.id;
    assert!(is_good(&server, &secret).await);
    users::disable(&manager, &by, id).await.unwrap();
    server.advance(3 * DAY);
    Maintenance::default().once(&server.app).await;
    assert!(!is_good(&server, &secret).await);
    users::enable(&manager, &by, id).await.unwrap();
    assert!(is_good(&server, &secret).await);
    // A new password is no reason to stop a program that never knew the old one.
    let password = signet::domain::secret::Secret::new("another long password of hers".to_owned());
    users::set_password(&manager, &by, id, password, None).await.unwrap();
    assert!(is_good(&server, &secret).await);
}

/// Whoever has the same name later has nothing of what was there before: not the client of that id, not the API of that
/// gate.
#[tokio::test]
async fn a_namesake_inherits_no_key() {
    let server = with_apis().await;
    let other = server.node().await;
    let (manager, by) = (server.app.manager(), AuditContext::command_line());
    let (of_web, _) = made(&server, web()).await;
    let (for_orders, key) = made(&server, alice(&server).await).await;
    assert!(is_good(&other, &of_web).await && is_good(&other, &for_orders).await);
    clients::delete(&manager, &by, &ClientId::parse("web").unwrap()).await.unwrap();
    server.client("web", reads()).await;
    apis::delete(&manager, &by, key.api.clone()).await.unwrap();
    put_api(&server, "orders", &["api_key"]).await;
    catch_up(&other).await;
    for node in [&server, &other] {
        assert!(!is_good(node, &of_web).await && !is_good(node, &for_orders).await);
    }
    // The gate's name alone goes to another API, and comes back.
    let (for_stock, key) = make(&server, new_key(alice(&server).await, "stock")).await.unwrap();
    let named = async |identifier: &str, gate: &str| {
        let api = json!({ "identifier": identifier, "gate": gate, "accepts": ["api_key"] });
        apis::put(&manager, &by, serde_json::from_value(api).unwrap()).await.unwrap();
    };
    named(key.api.as_str(), "old-stock").await;
    named("https://new.example", "stock").await;
    assert!(!is_good(&server, &for_stock).await);
    named("https://new.example", "new-stock").await;
    named(key.api.as_str(), "stock").await;
    assert!(is_good(&server, &for_stock).await);
}

/// T4: used all the while, a key is not taken for good once by anybody who asks after its revocation was answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_key_in_use_is_void_when_its_revocation_is_answered() {
    let server = with_apis().await;
    for _ in 0..20 {
        let (secret, key) = made(&server, alice(&server).await).await;
        let stop = AtomicBool::new(false);
        let uses = async {
            while !stop.load(Ordering::SeqCst) {
                is_good(&server, &secret).await;
                tokio::task::yield_now().await;
            }
        };
        let ends = async {
            assert!(is_good(&server, &secret).await);
            revoke(&server.app.manager(), &AuditContext::command_line(), key.id, None).await.unwrap();
            for _ in 0..20 {
                assert!(!is_good(&server, &secret).await);
                tokio::task::yield_now().await;
            }
            stop.store(true, Ordering::SeqCst);
        };
        tokio::join!(uses, ends);
    }
}

/// Two who press the button: one revokes, one is told that there is none, and one event says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_key_ends_once_and_for_its_owner_alone() {
    let nodes = with_apis().await.nodes().await;
    let server = &nodes[0];
    let (_, key) = made(server, alice(server).await).await;
    let by = AuditContext::command_line();
    let not_theirs = revoke(&server.app.manager(), &by, key.id, Some(web())).await.unwrap_err();
    assert_eq!(not_theirs.to_string(), format!("there is no API key {}", key.id));
    let managers: Vec<_> = (0..8).map(|at| nodes[at % nodes.len()].app.manager()).collect();
    let all = futures::future::join_all(managers.iter().map(|manager| revoke(manager, &by, key.id, None))).await;
    assert_eq!(all.iter().filter(|done| done.is_ok()).count(), 1);
    assert_eq!(recorded(server, EventKind::ApiKeyRevoked, &alice(server).await).await.len(), 1);
}

/// A key that is on its way into the table while its owner is deleted is refused, or goes with them.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_key_outlives_its_owner() {
    for of_a_client in [false, true] {
        let nodes = with_apis().await.nodes().await;
        let (server, last) = (&nodes[0], &nodes[nodes.len() - 1]);
        let owner = if of_a_client { web() } else { alice(server).await };
        let makes = futures::future::join_all((0..6).map(|_| make(last, new_key(owner.clone(), "orders"))));
        let (manager, by) = (server.app.manager(), AuditContext::command_line());
        let ends = async {
            match &owner {
                Owner::User(id) => users::delete(&manager, &by, *id).await.unwrap(),
                Owner::Client(id) => clients::delete(&manager, &by, id).await.unwrap(),
            }
        };
        tokio::join!(makes, ends);
        assert_eq!(left(server).await, 0);
    }
}

/// What the gate hands on of a person is what they are now.
#[tokio::test]
async fn a_change_of_a_person_reaches_every_node() {
    let server = with_apis().await;
    let other = server.node().await;
    let (manager, by, user) = (server.app.manager(), AuditContext::command_line(), server.person("alice").await);
    let seen = async |node: &Server| {
        let store = node.app.store();
        let person = store.authority().user(store, user.id).await.unwrap().unwrap();
        (person.name.clone().unwrap(), person.groups.join(","))
    };
    let both = async |name: &str, joined: &str| {
        assert_eq!(seen(&server).await, (name.to_owned(), joined.to_owned()));
        catch_up(&other).await;
        assert_eq!(seen(&other).await, (name.to_owned(), joined.to_owned()));
    };
    both("Alice Example", "").await;
    users::set_groups(&manager, &by, user.id, vec!["staff".to_owned(), "night".to_owned()]).await.unwrap();
    both("Alice Example", "night,staff").await;
    groups::delete(&manager, &by, "night").await.unwrap();
    both("Alice Example", "staff").await;
    let mut profile = user.profile.clone();
    profile.name = Some("Alice Other".to_owned());
    let edit = UserEdit { username: user.username.to_string(), profile, admin: false };
    users::update(&manager, &by, user.id, edit).await.unwrap();
    both("Alice Other", "staff").await;
    users::delete(&manager, &by, user.id).await.unwrap();
    catch_up(&other).await;
    for node in [&server, &other] {
        assert!(node.app.store().authority().user(node.app.store(), user.id).await.unwrap().is_none());
    }
}

#[tokio::test]
async fn uses_are_written_some_minutes_apart() {
    let server = with_apis().await;
    let (_, key) = made(&server, alice(&server).await).await;
    let (_, unused) = made(&server, web()).await;
    let start = server.app.env().now();
    let uses = server.app.store().authority().key_uses();
    let last_used = async || {
        let all = list(server.app.store().read(), &ApiKeyFilter { most: 9, ..ApiKeyFilter::default() }).await.unwrap();
        assert!(all.iter().any(|key| key.id == unused.id && key.last_used_at.is_none()));
        let used = all.into_iter().find(|other| other.id == key.id).unwrap().last_used_at;
        used.map(|at| at.since(start) / 1000)
    };
    assert_eq!(last_used().await, None);
    // Noted out of order; then within five minutes of what is written; then after them; then by a node that is behind.
    for (noted, written) in [(vec![10, 5], 10), (vec![200], 10), (vec![309], 10), (vec![310], 310), (vec![100], 310)] {
        for seconds in &noted {
            uses.note(key.id, start.plus_seconds(*seconds));
        }
        uses.write(server.app.store()).await.unwrap();
        assert_eq!(last_used().await, Some(written), "{noted:?}");
    }
    // Many by one statement, those that are gone among them; and nothing at all where nothing was used.
    for _ in 0..1200 {
        uses.note(ApiKeyId(server.app.env().uuid()), start);
    }
    uses.note(key.id, start.plus_seconds(1000));
    let (statements, guard) = Statements::record();
    Maintenance::default().once(&server.app).await;
    let written = statements.take().1.into_iter().filter(|sql| sql.contains("UPDATE \"api_key\"")).count();
    assert_eq!((written, last_used().await), (3, Some(1000)));
    statements.take();
    uses.write(server.app.store()).await.unwrap();
    assert_eq!(statements.take(), (vec![], vec![]));
    drop(guard);
}

#[tokio::test]
async fn a_key_that_has_run_out_is_listed_for_a_month() {
    let server = with_apis().await;
    let until = Some(server.app.env().now().plus_seconds(DAY));
    let (secret, _) = make(&server, NewApiKey { expires_at: until, ..new_key(web(), "orders") }).await.unwrap();
    made(&server, web()).await;
    server.advance(DAY - 1);
    assert!(is_good(&server, &secret).await);
    server.advance(1);
    assert!(!is_good(&server, &secret).await);
    for (days, rows) in [(30, 2), (1, 1)] {
        server.advance(days * DAY);
        Maintenance::default().once(&server.app).await;
        assert_eq!(left(&server).await, rows);
    }
}
