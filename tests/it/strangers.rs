//! What a stranger can make the server store is limited, in all and from one address (docs/security.md, "What a stranger
//! can store"): past a limit there is 429 with `Retry-After`, and everybody else goes on.

use std::time::{Duration, Instant};

use futures::future::join_all;
use reqwest::{Method, Response, StatusCode};
use sea_orm::{ConnectionTrait as _, DbBackend, Statement};
use serde_json::{Value, json};
use signet::config::{Config, Quotas, Registration, SignUp};
use signet::server::upkeep::Upkeep;

use crate::support::signer::ClientKey;
use crate::support::{Browser, CALLBACK, PASSWORD, SECRET, Server};

const ONE: &str = "2001:db8:1:1::1";
/// In the same /64.
const NEIGHBOUR: &str = "2001:db8:1:1:ffff::2";
const OTHER: &str = "2001:db8:2:1::1";

/// A server behind a proxy, with alice, the confidential client `web` and the public client `native`.
async fn server(quotas: Quotas) -> Server {
    server_with(quotas, |_| {}).await
}

async fn server_with(quotas: Quotas, change: impl FnOnce(&mut Config)) -> Server {
    let server = Server::start_with(|config| {
        config.trusted_proxies = serde_json::from_value(json!(["127.0.0.1", "::1"])).unwrap();
        config.quotas = quotas;
        change(config);
    })
    .await;
    server.user("alice").await;
    server.client("web", json!({})).await;
    let device = "urn:ietf:params:oauth:grant-type:device_code";
    let grants = ["authorization_code", "refresh_token", device];
    server.client("native", json!({ "token_endpoint_auth_method": "none", "grant_types": grants })).await;
    server
}

/// 429 with `Retry-After`, for programs in the form of RFC 6749 §5.2.
async fn is_too_many(response: Response) {
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    let wait: i64 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=3600).contains(&wait), "{wait}");
    let body = response.text().await.unwrap();
    assert!(body.contains("temporarily_unavailable"), "{body}");
}

async fn rows(server: &Server, table: &str) -> i64 {
    number(server, "COUNT(*)", table).await
}

async fn number(server: &Server, what: &str, table: &str) -> i64 {
    let db = server.app.store().read();
    let sql = format!("SELECT CAST({what} AS BIGINT) AS number FROM {table}");
    let row = db.query_one_raw(Statement::from_string(db.get_database_backend(), sql)).await.unwrap().unwrap();
    row.try_get("", "number").unwrap()
}

fn form(server: &Server, client: &str) -> Vec<(String, String)> {
    let path = server.authorize(&[("client_id", client)]);
    url::form_urlencoded::parse(path.split_once('?').unwrap().1.as_bytes()).into_owned().collect()
}

async fn post(server: &Server, path: &str, client: &str, address: &str, form: &[(String, String)]) -> Response {
    let request = reqwest::Client::new().post(format!("{}{path}", server.url)).header("x-forwarded-for", address);
    let request = if client == "web" { request.basic_auth(client, Some(SECRET)) } else { request };
    request.form(form).send().await.unwrap()
}

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
    Upkeep::default().once(&server.app).await;
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
    // What is known is kept up to 16 KiB; each of these bytes is three in a form.
    let mut large = self::form(&server, "native");
    let claims: serde_json::Map<String, Value> =
        (0..80).map(|at| (format!("{}{at}", "\u{e4}".repeat(40)), Value::Null)).collect();
    large.push(("claims".to_owned(), json!({ "userinfo": claims }).to_string()));
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

#[tokio::test]
async fn an_open_sign_in_has_at_most_16_kib() {
    let server = server(Quotas::default()).await;
    // Six bytes each as JSON.
    let long = "\u{1}".repeat(2_000);
    let path = server.authorize(&[("client_id", "native"), ("nonce", &long), ("login_hint", &long)]);
    let refused = server.browser().open(&path).await.err().unwrap();
    assert_eq!(refused["error"], "invalid_request");
    assert_eq!(rows(&server, "interaction").await, 0);
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
    let server = server_with(quotas, |config| config.registration = Registration::Open).await;
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

async fn sign_up(server: &Server, name: &str) -> Response {
    let browser = server.browser();
    let page = browser.page("/signup").await;
    let (action, form) = page.form(&[("username", name), ("password", PASSWORD), ("name", ""), ("email", "")]);
    browser.raw_post(&action, &form).await
}

#[tokio::test]
async fn accounts_made_by_signing_up_are_limited_in_all() {
    let quotas = Quotas { self_registered_users: 2, ..Quotas::default() };
    let server = server_with(quotas, |config| config.sign_up = SignUp::Open).await;
    for name in ["carol", "dave"] {
        assert_eq!(sign_up(&server, name).await.status(), 303);
    }
    let full = sign_up(&server, "erin").await;
    assert_eq!(full.status(), 429);
    assert!(full.headers().contains_key("retry-after"));
    server.user("frank").await;
    server.browser().sign_in_as("alice").await;
}

#[tokio::test]
async fn one_session_too_many_ends_the_least_recently_used() {
    let server = server(Quotas { sessions_per_user: 3, ..Quotas::default() }).await;
    let browsers: Vec<Browser> = (0..5).map(|_| server.browser()).collect();
    for browser in &browsers {
        browser.sign_in_as("alice").await;
        server.advance(1);
    }
    assert_eq!(rows(&server, "session").await, 3);
    for (at, browser) in browsers.iter().enumerate() {
        let account = browser.page("/account").await;
        assert_eq!(account.name() == "login", at < 2, "{at}: {}", account.name());
    }
}

#[tokio::test]
async fn where_very_many_counters_run_known_browsers_sign_in() {
    let server = server(Quotas { failure_counters: 4, ..Quotas::default() }).await;
    let known = server.browser();
    known.sign_in_as("alice").await;
    known.page("/oauth2/logout").await;
    let fail = async |browser: &Browser, name: &str, address: &str| {
        let (action, form) = browser.page("/login").await.form(&[("username", name), ("password", "wrong")]);
        browser.request(Method::POST, &action).header("x-forwarded-for", address).form(&form).send().await.unwrap()
    };
    let stranger = server.browser();
    assert_eq!(fail(&stranger, "bob", "192.0.2.1").await.status(), 200);
    let refused = fail(&stranger, "bob", "192.0.2.9").await;
    assert_eq!(refused.status(), 429);
    assert!(refused.headers().contains_key("retry-after"));
    assert!(rows(&server, "throttle").await <= 5);
    known.sign_in_as("alice").await;
    server.advance(15 * 60 + 1);
    assert_eq!(fail(&stranger, "bob", "192.0.2.9").await.status(), 200);
}

#[tokio::test]
async fn events_of_refused_sign_ins_are_limited() {
    let server = server(Quotas { failure_events_per_address: 2, failure_events: 3, ..Quotas::default() }).await;
    for (name, address, events) in
        [("a", ONE, 1), ("b", ONE, 2), ("c", NEIGHBOUR, 2), ("d", OTHER, 3), ("e", "192.0.2.1", 3)]
    {
        let browser = server.browser();
        let (action, form) = browser.page("/login").await.form(&[("username", name), ("password", "wrong")]);
        let request = browser.request(Method::POST, &action).header("x-forwarded-for", address).form(&form);
        assert_eq!(request.send().await.unwrap().status(), 200);
        assert_eq!(rows(&server, "event WHERE kind = 'sign_in.failed'").await, events, "{name}");
    }
    server.advance(86_400 + 301);
    let browser = server.browser();
    let (action, form) = browser.page("/login").await.form(&[("username", "f"), ("password", "wrong")]);
    browser.raw_post(&action, &form).await;
    assert_eq!(rows(&server, "event WHERE kind = 'sign_in.failed'").await, 4);
}

fn grouped(number: u32) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> =
        digits.as_bytes().rchunks(3).rev().map(|group| std::str::from_utf8(group).unwrap()).collect();
    groups.join(",")
}

fn read(cell: &str) -> u64 {
    let (number, unit) = cell.split_once(' ').unwrap_or((cell, ""));
    let factor = match unit {
        "" => 1,
        "KiB" => 1024,
        "MB" => 1_000_000,
        _ => panic!("{cell}"),
    };
    number.replace(',', "").parse::<u64>().unwrap() * factor
}

/// The table in docs/security.md has the limits of the defaults, and what they come to.
#[test]
fn documented_totals_are_those_of_the_defaults() {
    let text = include_str!("../../docs/security.md");
    let section = text.split("## What a stranger can store").nth(1).unwrap().split("\n## ").next().unwrap();
    let rows: Vec<Vec<&str>> = section
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| what") && !line.starts_with("| ---"))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    let quotas = Quotas::default();
    for (setting, per_address, total, days) in [
        ("interactions", Some(quotas.interactions_per_address), quotas.interactions, 1),
        ("pushed_requests", Some(quotas.pushed_requests_per_address), quotas.pushed_requests, 1),
        ("device_codes", None, quotas.device_codes, 1),
        ("client_assertions", Some(quotas.client_assertions_per_address), quotas.client_assertions, 1),
        ("failure_counters", None, quotas.failure_counters, 1),
        ("failure_events", Some(quotas.failure_events_per_address), quotas.failure_events, 90),
        ("self_registered_users", None, quotas.self_registered_users, 1),
    ] {
        let row = rows.iter().find(|row| row[0].contains(&format!("`{setting}`"))).expect(setting);
        assert!(per_address.is_none_or(|number| row[1].starts_with(&grouped(number))), "{row:?}");
        assert!(row[2].starts_with(&grouped(total)), "{row:?}");
        let (bytes, documented) = (u64::from(total) * days * read(row[3]), read(row[5]));
        assert!(documented * 101 / 100 >= bytes && documented * 9 / 10 <= bytes, "{bytes}: {row:?}");
    }
    let by_default = rows.iter().filter(|row| !row[0].contains("off by default") && !row[0].contains("in memory"));
    let sum: u64 = by_default.map(|row| read(row[5])).sum();
    assert!(section.contains(&format!("this is {}.{} GB", sum / 1_000_000_000, sum / 100_000_000 % 10 + 1)), "{sum}");
}

/// As the table says: 20 KiB with everything that is kept beside it.
#[tokio::test]
async fn the_largest_pushed_request_takes_at_most_20_kib() {
    const NUMBER: i64 = 100;
    let server = server(Quotas::default()).await;
    let mut form = form(&server, "native");
    let claims: serde_json::Map<String, Value> =
        (10..71).map(|at| (format!("{}{at}", "\u{e4}".repeat(38)), Value::Object(serde_json::Map::new()))).collect();
    form.push(("claims".to_owned(), json!({ "userinfo": claims }).to_string()));
    let size = match server.app.store().read().get_database_backend() {
        DbBackend::Postgres => "(SELECT pg_database_size(current_database()) AS bytes) s",
        _ => "(SELECT page_count * page_size AS bytes FROM pragma_page_count(), pragma_page_size()) s",
    };
    let before = number(&server, "SUM(bytes)", size).await;
    for _ in 0..NUMBER {
        assert_eq!(post(&server, "/oauth2/par", "native", ONE, &form).await.status(), 201);
    }
    let kept = number(&server, "MIN(LENGTH(parameters))", "pushed_request").await;
    let each = (number(&server, "SUM(bytes)", size).await - before) / NUMBER;
    println!("{kept} bytes of parameters take {each}");
    assert!((15 * 1024..=16 * 1024).contains(&kept), "{kept}");
    assert!(each <= 20 * 1024, "{each}");
}
