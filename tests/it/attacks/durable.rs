//! A revocation lasts: it is decided by what the database holds, on every node at once where something is issued, after a
//! restart, a day later, and whatever the nodes' clocks say. What is issued after it works.

use futures::future::join_all;
use serde_json::{Value, json};
use signet::domain::api::{Api, ApiId};
use signet::domain::client_metadata::ClientMetadata;
use signet::domain::ids::ClientId;
use signet::domain::secret::Secret;
use signet::manage::clients::NewClient;
use signet::manage::{AuditContext, apis, clients, consents, users};
use signet::store::authorizations::{self, RowLock};
use signet::store::{grants, sessions};

use super::{http, text, userinfo};
use crate::support::{CALLBACK, SECRET, Server, VERIFIER};

const ORDERS: &str = "https://orders.example.com";
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const DEVICE: &str = "urn:ietf:params:oauth:grant-type:device_code";
const ACCESS: &str = "urn:ietf:params:oauth:token-type:access_token";
const ID: &str = "urn:ietf:params:oauth:token-type:id_token";
const NEW_SECRET: &str = "bT8nR2wX5qK9vL3zM7cJ1hF6dG4sP0yE";

/// With what is revoked, and what it leaves alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    NewPassword,
    UserOffAndOn,
    NewSecret,
    ClientOffAndOn,
    ClientMadeAnew,
    ApiMadeAnew,
    Withdrawal,
    SignOut,
}

const EVENTS: [Event; 8] = [
    Event::NewPassword,
    Event::UserOffAndOn,
    Event::NewSecret,
    Event::ClientOffAndOn,
    Event::ClientMadeAnew,
    Event::ApiMadeAnew,
    Event::Withdrawal,
    Event::SignOut,
];

fn web() -> Value {
    json!({
        "redirect_uris": [CALLBACK],
        "grant_types": ["authorization_code", "refresh_token", "client_credentials", DEVICE],
        "scope": "openid email offline_access read",
    })
}

fn orders() -> Api {
    serde_json::from_value(json!({ "identifier": ORDERS, "scopes": ["read"] })).unwrap()
}

async fn start() -> Server {
    let server = Server::start().await;
    server.user("alice").await;
    server.client("web", web()).await;
    apis::put(&server.app.manager(), &AuditContext::command_line(), orders()).await.unwrap();
    server.client("service", service()).await;
    server
}

/// A client that trades the tokens of `web`.
fn service() -> Value {
    json!({ "redirect_uris": [], "grant_types": [EXCHANGE], "scope": "openid email read",
            "token_exchange": [{ "client": "web", "impersonation": true }] })
}

/// Does it on `server`; the secret of `web` from then on.
async fn happen(server: &Server, event: Event) -> &'static str {
    let (manager, by) = (server.app.manager(), AuditContext::command_line());
    let (alice, web_id) = (server.person("alice").await.id, ClientId::parse("web").unwrap());
    let secret = |text: &str| Some(Secret::new(text.to_owned()));
    match event {
        Event::NewPassword => {
            let password = Secret::new(crate::support::PASSWORD.to_owned());
            users::set_password(&manager, &by, alice, password, None).await.unwrap();
        }
        Event::UserOffAndOn => {
            users::disable(&manager, &by, alice).await.unwrap();
            users::enable(&manager, &by, alice).await.unwrap();
        }
        Event::NewSecret => {
            clients::rotate_secret(&manager, &by, &web_id, secret(NEW_SECRET)).await.unwrap();
            return NEW_SECRET;
        }
        Event::ClientOffAndOn => {
            clients::disable(&manager, &by, &web_id).await.unwrap();
            clients::enable(&manager, &by, &web_id).await.unwrap();
        }
        Event::ClientMadeAnew => {
            clients::delete(&manager, &by, &web_id).await.unwrap();
            let meta: ClientMetadata = serde_json::from_value(web()).unwrap();
            let new = NewClient { id: Some("web".to_owned()), meta, secret: secret(SECRET) };
            clients::create(&manager, &by, new).await.unwrap();
            // The policy for its tokens went with the client.
            let (id, meta) = (ClientId::parse("service").unwrap(), serde_json::from_value(service()).unwrap());
            clients::update(&manager, &by, &id, meta).await.unwrap();
        }
        Event::ApiMadeAnew => {
            apis::delete(&manager, &by, ApiId::parse(ORDERS).unwrap()).await.unwrap();
            apis::create(&manager, &by, orders()).await.unwrap();
            // The client's scopes went with the API.
            clients::update(&manager, &by, &web_id, serde_json::from_value(web()).unwrap()).await.unwrap();
        }
        Event::Withdrawal => consents::revoke(&manager, &by, alice, web_id).await.unwrap(),
        Event::SignOut => drop(users::end_sessions(&manager, &by, alice, None).await.unwrap()),
    }
    SECRET
}

async fn token_as(node: &Server, client: &str, secret: &str, form: &[(&str, &str)]) -> (u16, Value) {
    let request = http().post(format!("{}/oauth2/token", node.url)).basic_auth(client, Some(secret));
    let answer = request.form(form).send().await.unwrap();
    (answer.status().as_u16(), answer.json().await.unwrap())
}

async fn redeem(node: &Server, secret: &str, code: &str) -> (u16, Value) {
    let form =
        [("grant_type", "authorization_code"), ("code", code), ("redirect_uri", CALLBACK), ("code_verifier", VERIFIER)];
    token_as(node, "web", secret, &form).await
}

async fn refresh(node: &Server, secret: &str, token: &str) -> (u16, Value) {
    token_as(node, "web", secret, &[("grant_type", "refresh_token"), ("refresh_token", token)]).await
}

async fn exchange(node: &Server, token: &str, kind: &str) -> u16 {
    let form = [("grant_type", EXCHANGE), ("subject_token", token), ("subject_token_type", kind)];
    token_as(node, "service", SECRET, &form).await.0
}

async fn poll(node: &Server, secret: &str, code: &str) -> u16 {
    token_as(node, "web", secret, &[("grant_type", DEVICE), ("device_code", code)]).await.0
}

/// Everything that `web` can hold of alice's, once.
struct Held {
    offline: bool,
    code: String,
    device: String,
    tokens: Value,
}

async fn issue(node: &Server, secret: &str, offline: bool) -> Held {
    let scope = if offline { "openid read offline_access" } else { "openid read" };
    let browser = node.browser();
    let path = node.authorize(&[("scope", scope)]);
    let codes = [browser.sign_in(&path).await["code"].clone(), browser.sign_in(&path).await["code"].clone()];
    let [code, used] = codes;
    let (status, tokens) = redeem(node, secret, &used).await;
    assert_eq!(status, 200, "{tokens}");
    Held { offline, code, device: device(node, secret, scope).await, tokens }
}

/// A device code that alice has allowed in her newest session.
async fn device(node: &Server, secret: &str, scope: &str) -> String {
    let ask = http().post(format!("{}/oauth2/device_authorization", node.url)).basic_auth("web", Some(secret));
    let asked: Value = ask.form(&[("scope", scope)]).send().await.unwrap().json().await.unwrap();
    let user_code = signet::domain::device::UserCode::parse(asked["user_code"].as_str().unwrap()).unwrap();
    let (store, provider) = (node.app.store(), &node.app.provider);
    let waiting = provider.pending_device(&user_code).await.unwrap().expect("a waiting device");
    let alice = node.person("alice").await.id;
    let session = sessions::of_user(store.read(), alice, node.app.env().now()).await.unwrap().remove(0);
    let origin = signet::domain::event::RequestOrigin::default();
    let answered = provider.decide_device(&waiting, &session, true, origin).await.unwrap();
    assert_eq!(answered, signet::protocol::device::DeviceAnswerOutcome::Done);
    text(&asked, "device_code")
}

/// What was issued before is refused at every path that issues, whatever the node has heard.
async fn nothing_is_issued(node: &Server, secret: &str, held: &Held, event: Event, case: &str) {
    assert_eq!(redeem(node, secret, &held.code).await.1["error"], "invalid_grant", "{case}: code");
    assert_ne!(poll(node, secret, &held.device).await, 200, "{case}: device code");
    let (access, refresh_token) = (text(&held.tokens, "access_token"), text(&held.tokens, "refresh_token"));
    assert_ne!(exchange(node, &access, ACCESS).await, 200, "{case}: exchange of the access token");
    if event != Event::ApiMadeAnew {
        // An ID token is for no API.
        assert_ne!(exchange(node, &text(&held.tokens, "id_token"), ID).await, 200, "{case}: exchange of the ID token");
    }
    let (status, answer) = refresh(node, secret, &refresh_token).await;
    assert_eq!((status, &answer["error"]), (400, &json!("invalid_grant")), "{case}: refresh, {answer}");
}

/// What was issued just now is good on each of these nodes.
async fn everything_works(nodes: [&Server; 2], secret: &str, held: &Held, case: &str) {
    let [first, second] = nodes;
    let (status, answer) = redeem(first, secret, &held.code).await;
    assert_eq!(status, 200, "{case}: code, {answer}");
    assert_eq!(poll(first, secret, &held.device).await, 200, "{case}: device code");
    let access = text(&held.tokens, "access_token");
    assert_eq!(exchange(second, &access, ACCESS).await, 200, "{case}: exchange");
    assert_eq!(exchange(second, &text(&held.tokens, "id_token"), ID).await, 200, "{case}: exchange of the ID token");
    let (status, answer) = refresh(second, secret, &text(&held.tokens, "refresh_token")).await;
    assert_eq!(status, 200, "{case}: refresh, {answer}");
    for node in [first, second] {
        assert_eq!(userinfo(node, &access).await, 200, "{case}: UserInfo");
    }
}

/// Each event on one node; on the other one, which has not heard of it and whose clock is five minutes off, nothing that
/// was issued before is worth anything at once, a day later and after a restart. What is issued after it works.
async fn a_revocation_is_durable(skew: i64) {
    for event in EVENTS {
        let server = start().await;
        let other = server.skewed_node(skew).await;
        let mut before = Vec::new();
        for offline in [false, true] {
            for _ in 0..2 {
                before.push(issue(&server, SECRET, offline).await);
            }
        }
        let own = token_as(&server, "web", SECRET, &[("grant_type", "client_credentials"), ("scope", "read")]).await.1;
        let secret = happen(&server, event).await;
        // A consent that is given again, and a sign-in since, bring nothing back.
        let after = issue(&other, secret, true).await;
        let goes_on = |held: &Held| event == Event::SignOut && held.offline;
        for held in before.iter().step_by(2).filter(|held| !goes_on(held)) {
            let case = format!("{event:?}, clock {skew}, offline {}", held.offline);
            nothing_is_issued(&other, secret, held, event, &case).await;
            other.app.store().authority().catch_up(other.app.store()).await.unwrap();
            for node in [&server, &other] {
                assert_eq!(userinfo(node, &text(&held.tokens, "access_token")).await, 401, "{case}: UserInfo");
            }
        }
        everything_works([&other, &server], secret, &after, &format!("{event:?}, clock {skew}, after it")).await;
        let ends_own = ["NewSecret", "ClientOffAndOn", "ClientMadeAnew", "ApiMadeAnew"];
        let ends_own = ends_own.contains(&format!("{event:?}").as_str());
        for node in [&server, &other] {
            let active = introspected(node, secret, &text(&own, "access_token")).await;
            assert_eq!(active, !ends_own, "{event:?}: the client's own token");
        }
        server.advance(25 * 3600);
        let restarted = server.node().await;
        for held in before.iter().skip(1).step_by(2).filter(|held| !goes_on(held)) {
            let case = format!("{event:?}, clock {skew}, offline {}, a day later", held.offline);
            nothing_is_issued(&restarted, secret, held, event, &case).await;
            nothing_is_issued(&other, secret, held, event, &case).await;
        }
        for node in [restarted, other, server] {
            node.app.store().close().await;
        }
    }
}

async fn introspected(node: &Server, secret: &str, token: &str) -> bool {
    let request = http().post(format!("{}/oauth2/introspect", node.url)).basic_auth("web", Some(secret));
    let answer: Value = request.form(&[("token", token)]).send().await.unwrap().json().await.unwrap();
    answer["active"].as_bool().unwrap_or_else(|| panic!("{answer}"))
}

#[tokio::test]
async fn a_revocation_is_durable_on_a_node_five_minutes_fast() {
    a_revocation_is_durable(300).await;
}

#[tokio::test]
async fn a_revocation_is_durable_on_a_node_five_minutes_slow() {
    a_revocation_is_durable(-300).await;
}

/// Codes are redeemed on both nodes while the revocation happens: whatever was handed out is dead afterwards, a day later
/// too, and every grant is revoked or of an older version.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn redemptions_that_race_a_revocation_leave_nothing_alive() {
    const CODES: usize = 64;
    for event in [Event::NewPassword, Event::ClientOffAndOn, Event::Withdrawal, Event::SignOut] {
        let server = start().await;
        let other = server.node().await;
        let scope = if event == Event::SignOut { "openid read" } else { "openid read offline_access" };
        let (browser, path) = (server.browser(), server.authorize(&[("scope", scope)]));
        let mut codes = Vec::new();
        for _ in 0..CODES {
            codes.push(browser.sign_in(&path).await["code"].clone());
        }
        // One that is redeemed before, so that there is something to withdraw from.
        assert_eq!(redeem(&server, SECRET, &codes.remove(0)).await.0, 200);
        let redemptions = join_all(codes.iter().enumerate().map(|(at, code)| {
            let node = if at % 2 == 0 { &server } else { &other };
            redeem(node, SECRET, code)
        }));
        let (answers, _) = tokio::join!(redemptions, happen(&server, event));
        let handed_out: Vec<Value> = answers.into_iter().filter(|(status, _)| *status == 200).map(|it| it.1).collect();
        for node in [&server, &other] {
            node.app.store().authority().catch_up(node.app.store()).await.unwrap();
        }
        for tokens in &handed_out {
            assert_eq!(userinfo(&other, &text(tokens, "access_token")).await, 401, "{event:?}");
        }
        let alice = server.person("alice").await.id;
        let store = server.app.store();
        for grant in grants::of_user(store.read(), alice, server.app.env().now()).await.unwrap() {
            let current =
                authorizations::is_current(store.read(), &grant.authorization, store.database_now(), RowLock::None)
                    .await;
            assert!(!current.unwrap(), "{event:?}: a grant is alive");
        }
        server.advance(25 * 3600);
        for tokens in &handed_out {
            let refreshed = refresh(&other, SECRET, &text(tokens, "refresh_token")).await;
            assert_eq!(refreshed.1["error"], "invalid_grant", "{event:?}: {} were handed out", handed_out.len());
        }
    }
}

/// The old secret and a disabled client get nothing on a node that has heard of neither, and the new secret works there.
#[tokio::test]
async fn a_replaced_secret_fails_at_once_on_every_node() {
    let server = start().await;
    let other = server.node().await;
    let own = [("grant_type", "client_credentials")];
    assert_eq!(token_as(&other, "web", SECRET, &own).await.0, 200, "it is in that node's memory");
    happen(&server, Event::NewSecret).await;
    assert_eq!(token_as(&other, "web", SECRET, &own).await.0, 401);
    assert_eq!(token_as(&other, "web", NEW_SECRET, &own).await.0, 200);
    let (manager, by, web) = (server.app.manager(), AuditContext::command_line(), ClientId::parse("web").unwrap());
    clients::disable(&manager, &by, &web).await.unwrap();
    for endpoint in ["token", "introspect", "revoke", "par", "device_authorization"] {
        let ask = http().post(format!("{}/oauth2/{endpoint}", other.url)).basic_auth("web", Some(NEW_SECRET));
        let status = ask.form(&[("grant_type", "client_credentials"), ("token", "x")]).send().await.unwrap().status();
        assert_eq!(status, 401, "{endpoint}");
    }
    clients::enable(&manager, &by, &web).await.unwrap();
    assert_eq!(token_as(&other, "web", NEW_SECRET, &own).await.0, 200, "and again at once when it is enabled");
}

/// RFC 7009: one access token is revoked alone. It stays revoked after a restart, and cannot be exchanged on a node that
/// has not heard of it.
#[tokio::test]
async fn a_revoked_access_token_stays_revoked_after_a_restart() {
    let server = start().await;
    let other = server.node().await;
    let held = issue(&server, SECRET, false).await;
    let access = text(&held.tokens, "access_token");
    assert_eq!(super::revoke(&server, "web", &access).await, 200);
    assert_eq!(super::revoke(&other, "web", &access).await, 200, "twice is no mistake");
    let third = server.node().await;
    for node in [&server, &other, &third] {
        assert_eq!(exchange(node, &access, ACCESS).await, 400);
    }
    assert_eq!(userinfo(&third, &access).await, 401);
    let next = refresh(&third, SECRET, &text(&held.tokens, "refresh_token")).await;
    assert_eq!(userinfo(&third, &text(&next.1, "access_token")).await, 200, "its grant goes on");
}
