//! Requests that wait: open sign-ins, pushed requests, device codes, used assertions.

use std::time::{Duration, Instant};

use futures::future::join_all;
use reqwest::{Method, Response};
use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
use serde_json::{Value, json};
use signet::config::{Quotas, RegistrationMode};
use signet::server::background::Maintenance;

use super::{NEIGHBOUR, ONE, OTHER, form, is_too_many, number, post, rows, server, server_with};
use crate::support::signer::ClientKey;
use crate::support::{Browser, CALLBACK, PASSWORD, Server};

async fn push(server: &Server, client: &str, address: &str) -> Response {
    post(server, "/oauth2/par", client, address, &form(server, client)).await
}

async fn open(server: &Server, browser: &Browser, address: &str) -> Response {
    let path = server.authorize(&[("client_id", "native")]);
    browser.request(Method::GET, &path).header("x-forwarded-for", address).send().await.unwrap()
}

#[tokio::test]
async fn pushed_requests_of_public_clients_are_limited_by_address() {
    let server = server(Quotas { pushed_requests_per_address: 3, ..Quotas::default() }).await;
    for _ in 0..3 {
        assert_eq!(push(&server, "native", ONE).await.status(), 201);
    }
    is_too_many(push(&server, "native", ONE).await).await;
    is_too_many(push(&server, "native", NEIGHBOUR).await).await;
    assert_eq!(push(&server, "native", OTHER).await.status(), 201);
    for _ in 0..5 {
        assert_eq!(push(&server, "web", ONE).await.status(), 201, "a client that authenticates");
    }
    // Until they have expired and been swept.
    server.advance(60 + 301);
    assert_eq!(push(&server, "native", ONE).await.status(), 201);
    Maintenance::default().once(&server.app).await;
    assert_eq!((rows(&server, "pushed_request").await, rows(&server, "quota").await), (1, 1));
}

#[tokio::test]
async fn pushed_requests_of_public_clients_are_limited_in_all() {
    let server = server(Quotas { pushed_requests: 3, ..Quotas::default() }).await;
    for at in 0..3 {
        assert_eq!(push(&server, "native", &format!("192.0.2.{at}")).await.status(), 201);
    }
    is_too_many(push(&server, "native", "192.0.2.9").await).await;
    assert_eq!(push(&server, "web", "192.0.2.9").await.status(), 201);
}

/// On PostgreSQL as many more as there are connections, as the documentation says.
#[tokio::test]
async fn many_pushed_at_once_stay_within_the_limit() {
    let server = server(Quotas { pushed_requests_per_address: 5, ..Quotas::default() }).await;
    let all = join_all((0..30).map(|_| push(&server, "native", ONE))).await;
    let made = all.iter().filter(|response| response.status() == 201).count();
    let more = if std::env::var("TEST_DATABASE").as_deref() == Ok("postgres") { 8 } else { 0 };
    assert!((5..=5 + more).contains(&made), "{made}");
    assert!(all.iter().all(|response| [201, 429].contains(&response.status().as_u16())));
}

#[tokio::test]
async fn a_pushed_request_keeps_known_parameters_only() {
    let server = server(Quotas::default()).await;
    let mut form = form(&server, "native");
    form.extend((0..100).map(|at| (format!("unknown{at}"), "a".repeat(300))));
    let response = post(&server, "/oauth2/par", "native", ONE, &form).await;
    assert_eq!(response.status(), 201);
    let answer: Value = response.json().await.unwrap();
    let db = server.app.store().read();
    let sql = Statement::from_string(db.get_database_backend(), "SELECT parameters FROM pushed_request");
    let kept: String = db.query_one_raw(sql).await.unwrap().unwrap().try_get("", "parameters").unwrap();
    assert!(kept.len() < 600 && !kept.contains("unknown"), "{kept}");
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("client_id", "native"), ("request_uri", answer["request_uri"].as_str().unwrap())])
        .finish();
    let answer = server.browser().sign_in(&format!("/oauth2/authorize?{query}")).await;
    assert_eq!(answer["state"], "s t&a=te");
    // What is known is kept up to 48 KiB; each of these bytes is three in a form.
    let mut large = super::form(&server, "native");
    large.retain(|(name, _)| name != "state" && name != "nonce");
    large.extend(["state", "nonce"].map(|name| (name.to_owned(), "\u{e4}".repeat(4096))));
    let refused: Value = post(&server, "/oauth2/par", "native", ONE, &large).await.json().await.unwrap();
    assert_eq!(refused["error_description"], "The request is too large.");
}

#[tokio::test]
async fn open_sign_ins_are_limited_by_address() {
    let server = server(Quotas { interactions_per_address: 3, ..Quotas::default() }).await;
    let browser = server.browser();
    for _ in 0..3 {
        assert_eq!(open(&server, &browser, ONE).await.status(), 303);
    }
    for address in [ONE, NEIGHBOUR] {
        server.advance(1);
        assert_eq!(open(&server, &browser, address).await.status(), 303, "in the place of the oldest one");
    }
    assert_eq!((rows(&server, "interaction").await, rows(&server, "quota").await), (3, 3));
    let stranger = server.browser();
    assert_eq!(open(&server, &stranger, OTHER).await.status(), 303, "another address goes on");
    assert_eq!(push(&server, "web", ONE).await.status(), 201);
    assert_eq!(rows(&server, "interaction").await, 4);
    // Those whose address a proxy does not say readably are many.
    for _ in 0..5 {
        assert_eq!(open(&server, &stranger, "unknown").await.status(), 303);
    }
    assert_eq!(rows(&server, "interaction").await, 9);
}

/// A customer with a /48 has 65,536 networks.
#[tokio::test]
async fn one_site_gets_a_tenth_of_all() {
    let server = server(Quotas { interactions_per_address: 1, interactions: 30, ..Quotas::default() }).await;
    let browser = server.browser();
    for at in 0..3 {
        assert_eq!(open(&server, &browser, &format!("2001:db8:1:{at}::1")).await.status(), 303);
    }
    assert_eq!(open(&server, &browser, "2001:db8:1:9::1").await.status(), 303, "in the place of the oldest one");
    assert_eq!(rows(&server, "interaction").await, 3);
    assert_eq!(open(&server, &browser, "2001:db8:2:9::1").await.status(), 303);
    assert_eq!(rows(&server, "interaction").await, 4);
}

/// Thousands of users behind one address sign in one after the other.
#[tokio::test]
async fn a_finished_sign_in_does_not_count() {
    let server = server(Quotas { interactions_per_address: 2, interactions: 2, ..Quotas::default() }).await;
    for _ in 0..5 {
        assert!(server.browser().sign_in(&server.authorize(&[])).await.contains_key("code"));
    }
    assert_eq!((rows(&server, "interaction").await, rows(&server, "quota").await), (0, 0));
}

/// Where all places are taken, who has ten gets no more, and who has fewer takes the place of the oldest one.
#[tokio::test]
async fn open_sign_ins_are_limited_in_all() {
    let server = server(Quotas { interactions: 12, ..Quotas::default() }).await;
    let flood = server.browser();
    for address in [ONE; 10].into_iter().chain([OTHER; 2]) {
        assert_eq!(open(&server, &flood, address).await.status(), 303);
        server.advance(1);
    }
    assert_eq!(open(&server, &flood, ONE).await.status(), 303, "in the place of its own oldest one");
    assert_eq!(rows(&server, "interaction").await, 12);
    let user = server.browser();
    let login = open(&server, &user, "192.0.2.9").await;
    assert_eq!(
        (login.status().as_u16(), rows(&server, "interaction").await, rows(&server, "quota").await),
        (303, 12, 12)
    );
    let login = user.page(login.headers()["location"].to_str().unwrap()).await;
    let consent = user.submit(&login, &[("username", "alice"), ("password", PASSWORD)]).await.ok().unwrap();
    assert!(user.submit(&consent, &[("decision", "allow")]).await.err().unwrap().contains_key("code"));
    assert_eq!(open(&server, &flood, ONE).await.status(), 303, "a place is free");
    assert_eq!(open(&server, &flood, ONE).await.status(), 303);
    assert_eq!(rows(&server, "interaction").await, 12);
    server.advance(3_600 + 301);
    assert_eq!(open(&server, &flood, ONE).await.status(), 303);
}

/// Parts and addresses are counted by an index, up to their limits.
#[tokio::test]
async fn a_nearly_full_quota_is_counted_in_milliseconds() {
    let server = server(Quotas::default()).await;
    let empty = time_to_open(&server).await;
    let (db, end) = (server.app.store().read(), server.app.env().now().plus_seconds(3_600).0);
    let (id, digest) = match db.get_database_backend() {
        DbBackend::Postgres => ("gen_random_uuid()", "decode(md5((n / 4900)::text), 'hex')"),
        _ => ("randomblob(16)", "CAST(printf('%016d', n / 4900) AS BLOB)"),
    };
    let series = "WITH RECURSIVE s(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM s WHERE n < 85000)";
    let insert = "INSERT INTO quota (id, kind, address, site, part, expires_at)";
    let sql = format!("{series} {insert} SELECT {id}, 'interaction', {digest}, {digest}, n % 100, {end} FROM s");
    db.execute_unprepared(&sql).await.unwrap();
    let full = time_to_open(&server).await;
    println!("a sign-in is opened in {empty:?} alone and in {full:?} beside 85,000");
    assert!(full < empty + Duration::from_millis(30), "{empty:?} {full:?}");
}

/// Of fifty sign-ins, one after the other.
async fn time_to_open(server: &Server) -> Duration {
    let browser = server.browser();
    #[expect(clippy::disallowed_methods, reason = "a duration is measured")]
    let begun = Instant::now();
    for _ in 0..50 {
        assert_eq!(open(server, &browser, ONE).await.status(), 303);
    }
    begun.elapsed() / 50
}

/// Whatever the values have in them: JSON takes two bytes for a quotation mark and six for a control character.
#[tokio::test]
async fn an_open_sign_in_has_at_most_32_kib() {
    let server = server(Quotas::default()).await;
    for (at, state, other) in [(1, "\"", "\u{1}"), (2, "\\", "\""), (3, "\u{e9}", "\u{e9}"), (4, "s", "n")] {
        let mut form = form(&server, "native");
        form.retain(|(name, _)| name != "state" && name != "nonce");
        for (name, character) in [("state", state), ("nonce", other), ("login_hint", other)] {
            form.push((name.to_owned(), character.repeat(8192 / character.len())));
        }
        post(&server, "/oauth2/authorize", "native", ONE, &form).await;
        assert_eq!(rows(&server, "interaction").await, at, "{state:?} {other:?}");
    }
    let longest = match server.app.store().read().get_database_backend() {
        DbBackend::Postgres => "MAX(OCTET_LENGTH(request))",
        _ => "MAX(LENGTH(CAST(request AS BLOB)))",
    };
    let longest = number(&server, longest, "interaction").await;
    assert!((24 * 1024..=26 * 1024).contains(&longest), "{longest}");
}

#[tokio::test]
async fn device_codes_of_public_clients_are_limited_in_all() {
    let server = server(Quotas { device_codes: 3, ..Quotas::default() }).await;
    let form = [("client_id".to_owned(), "native".to_owned()), ("scope".to_owned(), "openid".to_owned())];
    let ask =
        async |at: u8| post(&server, "/oauth2/device_authorization", "native", &format!("192.0.2.{at}"), &form).await;
    for at in 0..3 {
        assert_eq!(ask(at).await.status(), 200);
    }
    is_too_many(ask(9).await).await;
    assert_eq!(rows(&server, "device_code").await, 3);
}

/// By `client_id`, of a client whose key is `key`, at `address`.
async fn revoke(server: &Server, client: &str, key: &ClientKey, jti: &str, address: &str) -> Response {
    let now = server.app.env().now().seconds();
    let claims = json!({ "iss": client, "sub": client, "aud": server.url, "exp": now + 60, "jti": jti });
    let form = [
        ("token", "x"),
        ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ("client_assertion", &key.sign(&claims)),
    ];
    let form = form.map(|(name, value)| (name.to_owned(), value.to_owned()));
    post(server, "/oauth2/revoke", client, address, &form).await
}

#[tokio::test]
async fn assertions_of_self_registered_clients_are_limited() {
    let quotas = Quotas { client_assertions_per_address: 2, client_assertions: 3, ..Quotas::default() };
    let server = server_with(quotas, |config| config.registration = RegistrationMode::Open).await;
    let key = ClientKey::new("k1", "ES256");
    let meta =
        json!({ "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "private_key_jwt", "jwks": key.jwks() });
    let register = reqwest::Client::new().post(format!("{}/oauth2/register", server.url)).json(&meta);
    let client: Value = register.send().await.unwrap().json().await.unwrap();
    let id = client["client_id"].as_str().unwrap();
    for jti in ["a", "b"] {
        assert_eq!(revoke(&server, id, &key, jti, ONE).await.status(), 200);
    }
    is_too_many(revoke(&server, id, &key, "c", NEIGHBOUR).await).await;
    assert_eq!(revoke(&server, id, &key, "c", OTHER).await.status(), 200, "nothing was used up");
    is_too_many(revoke(&server, id, &key, "d", "192.0.2.1").await).await;
    server.client("keys", json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks": key.jwks() })).await;
    for jti in 0..5 {
        assert_eq!(revoke(&server, "keys", &key, &format!("{jti}"), ONE).await.status(), 200);
    }
}
