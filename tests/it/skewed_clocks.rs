//! Nodes whose clocks are five minutes apart: what is short-lived works on all of them, what was used once stays used, and
//! a revocation takes whatever the node's clock says of the token.

use serde_json::{Value, json};
use signet::domain::api::Api;
use signet::domain::delivery::{ClaimedDelivery, DeliverySlots};
use signet::domain::ids::ClientId;
use signet::domain::secret::Digest;
use signet::manage::{AuditContext, apis, clients};
use signet::store::{deliveries, replay, sweep, throttle};

use crate::deliveries::{claim_for, logout, to};
use crate::device::{ask, decide, poll, question, refused, text, with_tv};
use crate::support::{CALLBACK, SECRET, Server};

const SKEWS: [i64; 2] = [300, -300];
const ORDERS: &str = "https://orders.example.com";

async fn sweep(node: &Server) {
    while sweep::once(node.app.store(), 86_400 * 365).await.unwrap() > 0 {}
}

async fn use_once(node: &Server, digest: Digest, seconds: i64) -> bool {
    let until = node.app.env().now().plus_seconds(seconds);
    node.app.store().use_once(digest, until).await.unwrap()
}

#[tokio::test]
async fn a_fast_nodes_sweep_lets_nothing_be_replayed() {
    let server = Server::start().await;
    let (slow, fast) = (server.skewed_node(-300).await, server.skewed_node(300).await);
    for (at, node) in [&server, &slow, &fast].into_iter().enumerate() {
        let digest = Digest([u8::try_from(at).unwrap(); 32]);
        assert!(use_once(node, digest, 60).await);
        sweep(&fast).await;
        server.advance(59);
        sweep(&fast).await;
        assert!(!use_once(node, digest, 1).await, "{at}");
        assert!(!use_once(&slow, digest, 1).await, "{at}");
    }
    server.advance(1_300);
    sweep(&slow).await;
    assert!(!replay::is_claimed(server.app.store().read(), &Digest([0; 32])).await.unwrap(), "kept no longer");
}

#[tokio::test]
async fn a_client_assertion_stays_used_after_a_sweep() {
    let key = crate::support::signer::ClientKey::new("k1", "ES256");
    let server = Server::with_alice().await;
    server.client("keys", json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks": key.jwks() })).await;
    let fast = server.skewed_node(300).await;
    let now = server.app.env().now().seconds();
    let assertion = key.sign(&json!({ "iss": "keys", "sub": "keys", "aud": format!("{}/oauth2/token", server.url),
        "exp": now + 60, "iat": now, "jti": "a" }));
    let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
    let send = || async {
        let form = [
            ("grant_type", "client_credentials"),
            ("client_assertion_type", kind),
            ("client_assertion", assertion.as_str()),
        ];
        let request = reqwest::Client::new().post(format!("{}/oauth2/token", server.url)).form(&form);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(send().await, 200);
    sweep(&fast).await;
    assert_eq!(send().await, 401);
}

#[tokio::test]
async fn a_window_of_failures_is_the_same_on_all_nodes() {
    let server = Server::start().await;
    let (slow, fast) = (server.skewed_node(-300).await, server.skewed_node(300).await);
    let mut counted = 0;
    for node in [&server, &slow, &fast, &slow, &server, &fast] {
        let add = node.app.store().write(|tx| Box::pin(async move { throttle::add(tx, &Digest([7; 32]), 120).await }));
        let count = add.await.unwrap();
        sweep(&fast).await;
        counted += 1;
        assert_eq!(count.failures, counted);
        server.advance(10);
    }
}

/// RFC 8628 §3.5: five seconds between polls, ten minutes for an answer, on whatever node.
#[tokio::test]
async fn devices_connect_across_nodes() {
    let server = with_tv().await;
    for skew in SKEWS {
        let other = server.skewed_node(skew).await;
        for (asks, decides, polls) in [(&server, &other, &server), (&other, &server, &other), (&server, &other, &other)]
        {
            let device = ask(asks, "openid").await;
            assert_eq!(refused(polls, &device).await, "authorization_pending", "{skew}");
            assert_eq!(refused(asks, &device).await, "slow_down", "{skew}");
            server.advance(10);
            assert_eq!(refused(asks, &device).await, "authorization_pending", "{skew}");
            sweep(&other).await;
            decide(decides, &device, "allow").await;
            let (status, answer) = poll(polls, &device).await;
            assert_eq!(status, 200, "{skew}: {answer}");
            let late = ask(asks, "openid").await;
            server.advance(599);
            assert_eq!(refused(polls, &late).await, "authorization_pending", "{skew}");
            server.advance(1);
            assert_eq!(refused(polls, &late).await, "expired_token", "{skew}");
        }
        // The question is opened at one node and answered at another.
        let device = ask(&server, "openid").await;
        let browser = server.browser();
        browser.sign_in_as("alice").await;
        let page = question(&browser, &device).await;
        server.advance(590);
        let (action, form) = page.form(&[("decision", "allow")]);
        assert_eq!(browser.at(&other).raw_post(&action, &form).await.status(), 303, "{skew}");
        assert_eq!(poll(&server, &device).await.0, 200, "{skew}");
    }
}

#[tokio::test]
async fn pushed_requests_are_good_for_a_minute_on_all_nodes() {
    let server = Server::with_alice().await;
    for skew in SKEWS {
        let other = server.skewed_node(skew).await;
        for (pushes, shows) in [(&server, &other), (&other, &server)] {
            let query = server.authorize(&[]).split_once('?').unwrap().1.to_owned();
            let form: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
            let request = reqwest::Client::new().post(format!("{}/oauth2/par", pushes.url));
            let answer = request.basic_auth("web", Some(SECRET)).form(&form).send().await.unwrap();
            let answer: Value = answer.json().await.unwrap();
            let uri = text(&answer, "request_uri");
            let query = url::form_urlencoded::Serializer::new(String::new())
                .extend_pairs([("client_id", "web"), ("request_uri", uri)])
                .finish();
            let path = format!("/oauth2/authorize?{query}");
            server.advance(59);
            sweep(&other).await;
            assert_eq!(shows.browser().page(&path).await.name(), "login", "{skew}");
            server.advance(1);
            assert_eq!(shows.browser().page(&path).await.error(), "invalid_request_uri", "{skew}");
        }
    }
}

async fn claim(node: &Server) -> Vec<ClaimedDelivery> {
    claim_for(node, true, &DeliverySlots::new(10)).await
}

/// A node that dies after it claimed a delivery delays it by seconds, however fast its clock is.
#[tokio::test]
async fn a_dead_nodes_delivery_is_due_in_seconds() {
    let server = Server::start().await;
    for skew in SKEWS {
        let other = server.skewed_node(skew).await;
        let all = vec![(logout(&server), to("https://app.example", true))];
        other.app.store().write(|tx| Box::pin(deliveries::enqueue(tx, all))).await.unwrap();
        assert_eq!(claim(&other).await.len(), 1, "{skew}");
        server.advance(7);
        assert!(claim(&server).await.is_empty(), "{skew}");
        server.advance(1);
        let claimed = claim(&server).await.remove(0);
        let remove =
            server.app.store().write(move |tx| Box::pin(async move { deliveries::remove(tx, &claimed).await }));
        remove.await.unwrap();
    }
}

async fn revoke(node: &Server, client: &str, token: &str) {
    let request = reqwest::Client::new().post(format!("{}/oauth2/revoke", node.url));
    let answer = request.basic_auth(client, Some(SECRET)).form(&[("token", token)]).send().await.unwrap();
    assert_eq!(answer.status(), 200);
}

async fn is_active(node: &Server, token: &str) -> bool {
    let request = reqwest::Client::new().post(format!("{}/oauth2/introspect", node.url));
    let request = request.basic_auth("web", Some(SECRET)).form(&[("token", token)]);
    request.send().await.unwrap().json::<Value>().await.unwrap()["active"] == true
}

async fn with_orders(format: &str) -> Server {
    let server = Server::start().await;
    server.user("alice").await;
    let api = json!({ "identifier": ORDERS, "scopes": ["read"], "access_token_format": format });
    let api: Api = serde_json::from_value(api).unwrap();
    apis::put(&server.app.manager(), &AuditContext::command_line(), api).await.unwrap();
    server.client("web", json!({ "scope": "openid read" })).await;
    server.client("other", json!({})).await;
    server
}

async fn own_token(server: &Server) -> String {
    let form = [("grant_type", "client_credentials"), ("resource", ORDERS), ("scope", "read")];
    text(&server.token(&form).await.1, "access_token").to_owned()
}

/// RFC 7009 §2.2: 200 says that the token is worth nothing from now on.
#[tokio::test]
async fn a_fast_node_revokes_what_it_takes_for_expired() {
    for format in ["jwt", "opaque"] {
        let server = with_orders(format).await;
        let fast = server.skewed_node(300).await;
        let token = own_token(&server).await;
        server.advance(400);
        assert!(is_active(&server, &token).await && !is_active(&fast, &token).await, "{format}");
        revoke(&fast, "other", &token).await;
        assert!(is_active(&server, &token).await, "{format}: another client's");
        revoke(&fast, "web", &token).await;
        server.app.store().authority().catch_up(server.app.store()).await.unwrap();
        assert!(!is_active(&server, &token).await, "{format}");
    }
}

async fn set_scope(server: &Server, scope: &str) {
    let meta = json!({ "redirect_uris": [CALLBACK], "scope": scope, "grant_types": ["authorization_code", "client_credentials"] });
    let (web, meta) = (ClientId::parse("web").unwrap(), serde_json::from_value(meta).unwrap());
    clients::update(&server.app.manager(), &AuditContext::command_line(), &web, meta).await.unwrap();
}

#[tokio::test]
async fn a_token_whose_scopes_are_away_is_revoked() {
    for format in ["jwt", "opaque"] {
        let server = with_orders(format).await;
        let (revoked, kept) = (own_token(&server).await, own_token(&server).await);
        set_scope(&server, "openid").await;
        assert!(!is_active(&server, &revoked).await, "{format}");
        revoke(&server, "web", &revoked).await;
        set_scope(&server, "openid read").await;
        assert!(!is_active(&server, &revoked).await, "{format}");
        assert!(is_active(&server, &kept).await, "{format}: the scopes are back");
    }
}

#[tokio::test]
async fn a_long_expired_token_leaves_no_row() {
    let server = with_orders("jwt").await;
    let token = own_token(&server).await;
    server.advance(600 + 601);
    let before = server.app.store().written();
    revoke(&server, "web", &token).await;
    assert_eq!(server.app.store().written(), before);
}
