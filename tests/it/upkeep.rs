//! What a node does in the background: sweeping what has expired, and signing keys that come and go by the clock.

use sea_orm::{ConnectionTrait as _, Database};
use serde_json::{Value, json};
use signet::domain::event::{Actor, Event, EventKind, RequestOrigin};
use signet::domain::ids::EventId;
use signet::domain::secret::Digest;
use signet::domain::signing_key::{KeyAlg, KeyState, StoredKey};
use signet::keys::rotation;
use signet::manage::keys::RotationOutcome;
use signet::manage::{AuditContext, keys};
use signet::server::background::Maintenance;
use signet::server::follow_keys;
use signet::store::{ChangeEvent, replay, signing_keys, throttle};

use crate::budgets::Statements;
use crate::support::program::within;
use crate::support::{CALLBACK, Server, log};

const DAY: i64 = 86_400;
const TABLES: [&str; 9] =
    ["session", "interaction", "code", "grant_family", "access_token", "throttle", "used_once", "event", "change_feed"];

async fn counts(server: &Server) -> Vec<i64> {
    use sea_orm::Statement;
    let db = server.app.store().read();
    let mut all = Vec::new();
    for table in TABLES {
        let ask = Statement::from_string(db.get_database_backend(), format!("SELECT count(*) AS n FROM {table}"));
        all.push(db.query_one_raw(ask).await.unwrap().unwrap().try_get("", "n").unwrap());
    }
    all
}

/// At least one row of every kind that expires.
async fn leave_traces(server: &Server, round: u8) {
    let (_, tokens) = server.redeem(&server.code("openid offline_access").await).await;
    let opaque = [("grant_type", "client_credentials"), ("resource", "https://api.example.com"), ("scope", "read")];
    assert_eq!(server.token(&opaque).await.0, 200);
    server.code("openid").await;
    assert_eq!(server.browser().open(&server.authorize(&[("scope", "openid")])).await.ok().unwrap().name(), "login");
    let revoke = reqwest::Client::new().post(format!("{}/oauth2/revoke", server.url));
    let token = tokens["access_token"].as_str().unwrap();
    let revoked =
        revoke.basic_auth("web", Some(crate::support::SECRET)).form(&[("token", token)]).send().await.unwrap();
    assert_eq!(revoked.status(), 200);
    let until = server.app.env().now().plus_seconds(60);
    let write = server.app.store().write(move |tx| {
        Box::pin(async move {
            throttle::add(tx, &Digest([round; 32]), 60).await?;
            replay::claim(tx, &Digest([round; 32]), until).await
        })
    });
    assert!(write.await.unwrap());
}

#[tokio::test]
async fn what_has_expired_is_swept_and_what_lives_stays() {
    let server = Server::start().await;
    server.user("alice").await;
    server.client("web", json!({ "scope": "openid offline_access read", "redirect_uris": [CALLBACK] })).await;
    let api = json!({ "identifier": "https://api.example.com", "name": "API", "scopes": ["read"], "access_token_format": "opaque" });
    let api = serde_json::from_value(api).unwrap();
    signet::manage::apis::put(&server.app.manager(), &AuditContext::command_line(), api).await.unwrap();
    let mut upkeep = Maintenance::default();
    // Makes the keys that the start left for later.
    upkeep.once(&server.app).await;
    leave_traces(&server, 1).await;
    let old = counts(&server).await;
    assert!(old.iter().all(|rows| *rows > 0), "{TABLES:?} {old:?}");
    upkeep.once(&server.app).await;
    assert_eq!(counts(&server).await, old, "nothing has expired");
    server.advance(500 * DAY);
    leave_traces(&server, 2).await;
    let both = counts(&server).await;
    upkeep.once(&server.app).await;
    let mut living: Vec<i64> = both.iter().zip(&old).map(|(both, old)| both - old).collect();
    // Failures are counted for alice and for her address: these two rows are the same in both rounds, begun again.
    living[5] += 2;
    let mut after = counts(&server).await;
    // The keys were due too, and said so: one event and one change for each.
    after[7] -= 6;
    after[8] -= 6;
    // Each of the sessions of the first round has ended, and every node hears of it. The newest of the old entries stays.
    after[8] -= old[0] + 1;
    assert_eq!(after, living, "{TABLES:?}");
}

#[tokio::test]
async fn more_than_one_batch_goes_in_small_transactions() {
    let server = Server::start().await;
    // Makes the keys that the start left for later.
    Maintenance::default().once(&server.app).await;
    let until = server.app.env().now().plus_seconds(60);
    let write = server.app.store().write(move |tx| {
        Box::pin(async move {
            for n in 0..450_u16 {
                let mut digest = [0; 32];
                digest[..2].copy_from_slice(&n.to_be_bytes());
                replay::claim(tx, &Digest(digest), until).await?;
            }
            Ok(())
        })
    });
    write.await.unwrap();
    server.advance(DAY);
    let before = server.app.store().written();
    Maintenance::default().once(&server.app).await;
    assert_eq!(counts(&server).await[6], 0);
    assert_eq!(server.app.store().written() - before, 4, "200, 200, 50, and one that found nothing");
}

#[tokio::test]
async fn an_idle_node_asks_the_database_nothing() {
    let server = Server::with_alice().await;
    let mut upkeep = Maintenance::default();
    upkeep.once(&server.app).await;
    let (statements, _guard) = Statements::record();
    for _ in 0..5 {
        server.advance(3600);
        upkeep.once(&server.app).await;
    }
    let nothing: (Vec<String>, Vec<String>) = Default::default();
    assert_eq!(statements.take(), nothing);
    // Something is written, so something may have to be swept; and once a day, whatever happened.
    server.client("other", json!({})).await;
    statements.take();
    upkeep.once(&server.app).await;
    assert_ne!(statements.take(), nothing);
    server.advance(DAY);
    upkeep.once(&server.app).await;
    assert_ne!(statements.take(), nothing);
}

/// The ids that are published, and how many keys of each algorithm.
async fn published(server: &Server) -> Vec<String> {
    let jwks: Value =
        reqwest::get(format!("{}/.well-known/jwks.json", server.url)).await.unwrap().json().await.unwrap();
    jwks["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

async fn userinfo(server: &Server, token: &str) -> u16 {
    let request = reqwest::Client::new().get(format!("{}/oauth2/userinfo", server.url)).bearer_auth(token);
    request.send().await.unwrap().status().as_u16()
}

fn kid(token: &str) -> String {
    use base64::Engine as _;
    let header = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
    serde_json::from_slice::<Value>(&header).unwrap()["kid"].as_str().unwrap().to_owned()
}

async fn access_token(server: &Server) -> String {
    server.redeem(&server.code("openid").await).await.1["access_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_key_is_next_then_active_then_retired_then_gone() {
    // Made now: how old they are decides.
    let server = Server::with_own_keys().await;
    server.user("alice").await;
    server.client("web", json!({})).await;
    tokio::spawn(follow_keys(server.app.clone()));
    let mut upkeep = Maintenance::default();
    upkeep.once(&server.app).await;
    let at_first = published(&server).await;
    assert_eq!(at_first.len(), 10, "an active and a next one of each signing kind, and an active one of both others");
    server.advance(90 * DAY - 60);
    upkeep.once(&server.app).await;
    assert_eq!(published(&server).await, at_first, "not due yet");
    let old = access_token(&server).await;
    server.advance(60);
    upkeep.once(&server.app).await;
    within(5, || async { published(&server).await.len() == 14 }).await;
    let new = access_token(&server).await;
    assert!(kid(&new) != kid(&old) && at_first.contains(&kid(&new)), "the published next one signs now");
    assert_eq!(userinfo(&server, &old).await, 200, "what the retired key signed is still good");
    upkeep.once(&server.app).await;
    assert_eq!(published(&server).await.len(), 14, "due once");
    server.advance(8 * DAY);
    upkeep.once(&server.app).await;
    within(5, || async { published(&server).await.len() == 10 }).await;
    assert!(!published(&server).await.contains(&kid(&old)));
}

/// Without a further change.
#[tokio::test]
async fn signing_keys_that_could_not_be_read_are_read_again() {
    let server = Server::start().await;
    tokio::spawn(follow_keys(server.app.clone()));
    let db = Database::connect(server.app.config.database().as_str()).await.unwrap();
    db.execute_unprepared("ALTER TABLE signing_key RENAME TO hidden").await.unwrap();
    let generation = || server.app.provider.keys.generation();
    let before = generation();
    server.app.store().write(|tx| Box::pin(async move { tx.publish(ChangeEvent::Keys).await })).await.unwrap();
    within(20, async || log::all().contains("the signing keys cannot be read again")).await;
    assert_eq!(generation(), before);
    db.execute_unprepared("ALTER TABLE hidden RENAME TO signing_key").await.unwrap();
    within(20, async || generation() > before).await;
    db.close().await.unwrap();
}

#[tokio::test]
async fn two_nodes_that_find_a_key_due_rotate_it_once() {
    let server = Server::start().await;
    server.advance(91 * DAY);
    let rotate = || {
        let (app, alg) = (server.app.clone(), KeyAlg::ES256);
        let event = Event {
            id: EventId(app.env().uuid()),
            at: app.env().now(),
            kind: EventKind::KeyRotated,
            actor: Actor::System,
            user: None,
            client: None,
            origin: RequestOrigin::default(),
            detail: String::new(),
        };
        async move {
            let (store, provider) = (app.store(), &app.provider);
            rotation::rotate_due(store, &provider.master, &provider.lifetimes, alg, event).await.unwrap()
        }
    };
    let both = tokio::join!(rotate(), rotate());
    assert!(both.0.is_some() != both.1.is_some(), "{both:?}");
}

#[tokio::test]
async fn a_key_taken_out_is_gone_at_once_with_what_it_signed() {
    let server = Server::with_alice().await;
    tokio::spawn(follow_keys(server.app.clone()));
    let token = access_token(&server).await;
    assert_eq!(userinfo(&server, &token).await, 200);
    keys::retire(&server.app.manager(), &AuditContext::command_line(), &kid(&token)).await.unwrap();
    within(5, || async { userinfo(&server, &token).await == 401 }).await;
    let now = published(&server).await;
    assert!(now.len() == 9 && !now.contains(&kid(&token)));
    assert_eq!(userinfo(&server, &access_token(&server).await).await, 200);
}

async fn keys_of(server: &Server, alg: KeyAlg) -> Vec<StoredKey> {
    let keys = signing_keys::all(server.app.store().read()).await.unwrap();
    keys.into_iter().filter(|key| key.alg == alg).collect()
}

fn states(keys: &[StoredKey]) -> Vec<KeyState> {
    keys.iter().map(|key| key.state).collect()
}

/// A first start makes what it answers with; the next PS256 key is there before it is due, and known for a day before
/// it signs like every other.
#[tokio::test]
async fn what_a_first_start_leaves_for_later_is_made_by_upkeep() {
    let server = Server::start().await;
    assert_eq!(states(&keys_of(&server, KeyAlg::PS256).await), [KeyState::Active]);
    let (mut upkeep, mut other) = (Maintenance::default(), Maintenance::default());
    tokio::join!(upkeep.once(&server.app), other.once(&server.app));
    let mut made = states(&keys_of(&server, KeyAlg::PS256).await);
    made.sort_by_key(|state| *state == KeyState::Next);
    assert_eq!(made, [KeyState::Active, KeyState::Next], "once, whoever comes first");
    let next = keys_of(&server, KeyAlg::PS256).await.into_iter().find(|key| key.state == KeyState::Next).unwrap();
    assert!(published(&server).await.contains(&next.kid), "this node knows it at once");
    server.advance(90 * DAY);
    upkeep.once(&server.app).await;
    let active = keys_of(&server, KeyAlg::PS256).await.into_iter().find(|key| key.state == KeyState::Active).unwrap();
    assert_eq!(active.kid, next.kid);
}

/// Relying parties that keep the JWKS for as long as they may never meet a key that they do not know: one that was asked
/// for too soon signs when they all do.
#[tokio::test]
async fn a_rotation_waits_until_the_next_key_is_known() {
    let server = Server::start().await;
    let (manager, by, alg) = (server.app.manager(), AuditContext::command_line(), KeyAlg::ES256);
    let active = async || {
        server.app.provider.keys.reload(server.app.store()).await.unwrap();
        keys_of(&server, alg).await.into_iter().find(|key| key.state == KeyState::Active).unwrap().kid
    };
    let first = active().await;
    let RotationOutcome::Now(second) = keys::rotate(&manager, &by, alg, false).await.unwrap() else { panic!() };
    assert_ne!(first, second, "the next key was there from the beginning");
    server.advance(61);
    let RotationOutcome::Now(third) = keys::rotate(&manager, &by, alg, true).await.unwrap() else { panic!() };
    server.advance(1);
    let RotationOutcome::Scheduled(fourth, from) = keys::rotate(&manager, &by, alg, false).await.unwrap() else {
        panic!()
    };
    assert_eq!(active().await, third);
    for _ in 0..5 {
        assert_eq!(
            keys::rotate(&manager, &by, alg, false).await.unwrap(),
            RotationOutcome::Scheduled(fourth.clone(), from)
        );
    }
    assert_eq!(keys_of(&server, alg).await.len(), 5, "no more than one beyond the next");
    let mut upkeep = Maintenance::default();
    server.advance(3598);
    upkeep.once(&server.app).await;
    assert_eq!(active().await, third);
    server.advance(2);
    upkeep.once(&server.app).await;
    assert_eq!(active().await, fourth);
    upkeep.once(&server.app).await;
    assert_eq!(active().await, fourth, "and once");
}

/// Before upkeep has come round there is no next PS256 key, and of the encryption kinds there never is one.
#[tokio::test]
async fn a_kind_without_a_next_key_is_rotated_and_withdrawn_too() {
    let server = Server::start().await;
    let (manager, by) = (server.app.manager(), AuditContext::command_line());
    for alg in [KeyAlg::PS256, KeyAlg::RsaOaep256, KeyAlg::EcdhEs] {
        let first = keys_of(&server, alg).await.remove(0);
        assert_eq!(first.state, KeyState::Active);
        let RotationOutcome::Now(second) = keys::rotate(&manager, &by, alg, true).await.unwrap() else {
            panic!("{alg}")
        };
        let state = |kid: &str, keys: &[StoredKey]| keys.iter().find(|key| key.kid == kid).map(|key| key.state);
        let rotated = keys_of(&server, alg).await;
        assert_eq!(rotated.len(), 2);
        assert_eq!(
            (state(&first.kid, &rotated), state(&second, &rotated)),
            (Some(KeyState::Retired), Some(KeyState::Active))
        );
        server.app.provider.keys.reload(server.app.store()).await.unwrap();
        let now = published(&server).await;
        // Nothing new is encrypted to a retired key; what it signed is still verified.
        assert!(now.contains(&second) && now.contains(&first.kid) == alg.signing_alg().is_some(), "{alg}");
        keys::retire(&manager, &by, &second).await.unwrap();
        let withdrawn = keys_of(&server, alg).await;
        assert!(state(&second, &withdrawn).is_none(), "{alg}");
        assert_eq!(withdrawn.iter().filter(|key| key.state == KeyState::Active).count(), 1, "{alg}");
        keys::retire(&manager, &by, &first.kid).await.unwrap();
        assert_eq!(states(&keys_of(&server, alg).await), [KeyState::Active], "{alg}");
    }
}
