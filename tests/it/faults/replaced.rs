//! A database of which an older state, or another file, takes the place under a running node; and a quiet one, which must
//! not be mistaken for that. Next door: [`super::history`], what is read after such a change.

use sea_orm::{ConnectionTrait as _, Database};
use signet::domain::version::VersionedEntity;
use signet::server::background::Maintenance;
use signet::store::{sqlite_path, versions};

use super::{http, postgres};
use crate::support::{SECRET, Server};

const DAY: i64 = 86_400;

async fn status(server: &Server, path: &str, form: &[(&str, &str)]) -> u16 {
    let request = http().post(format!("{}{path}", server.url)).basic_auth("web", Some(SECRET));
    request.form(form).send().await.unwrap().status().as_u16()
}

/// The sweep deletes old entries of the feed, by one of which the node recognises the database.
#[tokio::test]
async fn sweep_after_quiet_days_makes_no_node_start_over() {
    let first = Server::with_alice().await;
    let mut upkeep = Maintenance::default();
    upkeep.once(&first.app).await;
    first.code("openid").await;
    let second = first.node().await;
    let nodes = [&first, &second];
    for days in [3, 40] {
        first.advance(days * DAY);
        let mut epochs = Vec::new();
        for node in nodes {
            node.app.store().authority().catch_up(node.app.store()).await.unwrap();
            epochs.push(node.app.store().authority().api_epoch());
        }
        // The session has expired by then, which the sweep itself writes into the feed.
        upkeep.once(&first.app).await;
        for (node, epoch) in nodes.into_iter().zip(epochs) {
            node.app.store().authority().catch_up(node.app.store()).await.unwrap();
            assert_eq!(node.app.store().authority().api_epoch(), epoch, "after {days} days");
        }
    }
}

/// A counter that is set back by the restore goes on above everything that was issued before it.
#[tokio::test]
async fn version_given_after_a_restore_was_never_given_before() {
    let server = Server::with_alice().await;
    let (store, alice) = (server.app.store(), VersionedEntity::User(server.person("alice").await.id));
    let revoke = || {
        let alice = alice.clone();
        store.write(move |tx| Box::pin(async move { versions::revoke(tx, &alice).await }))
    };
    let before = versions::one(store.read(), &alice).await.unwrap();
    server.advance(1);
    revoke().await.unwrap();
    let (_, tokens) = server.redeem(&server.code("openid offline_access").await).await;
    let token = tokens["access_token"].as_str().unwrap();
    let db = Database::connect(server.app.config.database().as_str()).await.unwrap();
    let back = format!("UPDATE version SET version = {before} WHERE subject = '{}'", alice.counter_key());
    db.execute_unprepared(&(back + "; UPDATE change_feed SET tag = tag + 1")).await.unwrap();
    store.authority().catch_up(store).await.unwrap();
    server.advance(1);
    revoke().await.unwrap();
    let userinfo = http().get(format!("{}/oauth2/userinfo", server.url)).bearer_auth(token);
    assert_eq!(userinfo.send().await.unwrap().status(), 401);
}

/// Connections stay with the file that was opened: what they wrote would be gone with it.
#[tokio::test]
async fn file_put_in_the_place_of_the_database_is_not_served() {
    if postgres() {
        return;
    }
    let server = Server::with_alice().await;
    let client_credentials = [("grant_type", "client_credentials"), ("scope", "read")];
    assert_eq!(status(&server, "/oauth2/introspect", &[("token", "a")]).await, 200);
    let path = sqlite_path(&server.app.config.database()).unwrap();
    let copy = path.with_extension("copy");
    std::fs::copy(&path, &copy).unwrap();
    let opened = path.with_extension("opened");
    std::fs::rename(&path, &opened).unwrap();
    std::fs::rename(&copy, &path).unwrap();
    let store = server.app.store();
    let error = store.authority().catch_up(store).await.unwrap_err().to_string();
    assert!(error.contains("restart Signet"), "{error}");
    assert!(store.write(|_| Box::pin(async { Ok(()) })).await.is_err());
    assert_eq!(status(&server, "/oauth2/introspect", &[("token", "a")]).await, 503);
    assert_eq!(status(&server, "/oauth2/token", &client_credentials).await, 503);
    let ready = http().get(format!("{}/readyz", server.url)).send().await.unwrap();
    assert_eq!(ready.status(), 503);
    // Connections that were opened meanwhile stay with the other file, so nothing is served even if this one comes back.
    std::fs::rename(&opened, &path).unwrap();
    assert!(store.authority().catch_up(store).await.is_err());
}
