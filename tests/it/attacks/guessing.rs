//! What a stranger learns by asking, and how often they may try. Next door: [`super::lockout`], whom that stops.

use futures::stream::{StreamExt as _, iter};
use serde_json::json;
use signet::domain::event::EventKind;
use signet::manage::apply::{ApplyOptions, apply};
use signet::manage::document::{Document, DocumentFormat};
use signet::manage::{AuditContext, users};
use signet::store::events;

use super::http;
use crate::support::{Browser, PASSWORD, SECRET, Server};

/// An answer without what differs between any two: ids, the form's token, the name that was typed.
async fn seen(response: reqwest::Response, typed: &str) -> String {
    let mut text = format!("{}\n", response.status());
    let mut headers: Vec<String> = response
        .headers()
        .iter()
        .filter(|(name, _)| !["date", "x-request-id"].contains(&name.as_str()))
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    headers.sort();
    text.push_str(&headers.join("\n"));
    let html = response.text().await.unwrap();
    let csrf = html.split("name=\"csrf\" value=\"").nth(1).map(|rest| rest.split('"').next().unwrap().to_owned());
    let html = csrf.map_or_else(|| html.clone(), |csrf| html.replace(&csrf, "TOKEN"));
    text.push_str(&html.replace(typed, "NAME"));
    text
}

async fn try_to_sign_in(browser: &Browser, name: &str, password: &str) -> reqwest::Response {
    let (action, form) = browser.page("/login").await.form(&[("username", name), ("password", password)]);
    browser.raw_post(&action, &form).await
}

/// T22, CVE-2026-23511: enumeration by a difference in the answer. Somebody who is there, is not, has no password, is
/// turned off (with the right password, too), by name or address: status, headers, cookies and page are the same, now
/// and past the limit.
#[tokio::test]
async fn known_and_unknown_people_look_the_same() {
    let server = Server::with_alice().await;
    let off = server.user("bruno").await;
    users::disable(&server.app.manager(), &AuditContext::command_line(), off).await.unwrap();
    let id = server.user("carla").await;
    let mut carla = signet::store::users::by_id(server.app.store().read(), id).await.unwrap().unwrap();
    carla.password = None;
    let write =
        server.app.store().write(move |tx| Box::pin(async move { signet::store::users::update(tx, &carla).await }));
    write.await.unwrap();
    for attempt in 0..12 {
        let mut answers = Vec::new();
        for (name, password) in [
            ("alice", "wrong wrong wrong"),
            ("nobod", "wrong wrong wrong"),
            ("bruno", PASSWORD),
            ("carla", "wrong wrong wrong"),
        ] {
            let browser = server.browser();
            let response = try_to_sign_in(&browser, name, password).await;
            assert_eq!(response.status(), if attempt < 10 { 200 } else { 429 }, "{name} at attempt {attempt}");
            answers.push(seen(response, name).await);
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]), "at attempt {attempt}");
    }
}

/// T22: the time it takes, as far as a test on a busy machine can tell: without the work for nobody's password it would
/// be some fifty times as quick.
#[tokio::test]
async fn known_and_unknown_people_take_as_long() {
    let server = Server::with_alice().await;
    let mut medians = Vec::new();
    for name in ["alice", "nobody"] {
        let mut times = Vec::new();
        for _ in 0..9 {
            let browser = server.browser();
            let (action, form) = browser.page("/login").await.form(&[("username", name), ("password", "wrong wrong")]);
            #[expect(clippy::disallowed_methods, reason = "a duration is only measured")]
            let begun = std::time::Instant::now();
            assert_eq!(browser.raw_post(&action, &form).await.status(), 200);
            times.push(begun.elapsed());
        }
        times.sort();
        medians.push(times[4].as_secs_f64());
    }
    let ratio = medians[0] / medians[1];
    assert!((0.3..3.0).contains(&ratio), "{medians:?}");
}

/// Of the password "correct horse battery staple" but for the last two, which no test signs in with.
const IMPORTED: [(&str, &str); 4] = [
    ("argon", "$argon2id$v=19$m=8192,t=2,p=2$AAECAwQFBgcICQoLDA0ODw$2zVoi0Aym5ac2GxgMx/Nx40Ih25M/0+prK2PHUy10e0"),
    ("pbkdf", "$pbkdf2-sha256$i=1000$AAECAwQFBgcICQoLDA0ODw$ppsXnjrdPB4KryJ6DrOqKqhkWrhv7PbKAMF1Eml8cZ4"),
    ("bcrypt", "$2b$05$abcdefghijklmnopqrstuu7EJV7kdjBBQxyb0HjTh9KS7.Lah/6CG"),
    ("scrypt", "$scrypt$ln=8,r=8,p=1$AAECAwQFBgcICQoLDA0ODw$0kAJcZMDMoI6NHVug+mGyKwmdluLX9KqpubH8OLxecs"),
];

/// T22, T44: unknown users, ours and those of every imported kind of hash take as long. `TEST_TIMING_SAMPLES` says how many
/// samples are taken in all. From 10,000 on, on a machine that has nothing else to do, the medians of the kinds differ by less
/// than a millisecond; with the few that are taken usually, the shortest ones by less than a quarter, since what else the
/// machine does only makes an answer later.
#[tokio::test]
async fn imported_hashes_and_unknown_users_take_as_long() {
    let server = Server::with_alice().await;
    let rows: Vec<_> = IMPORTED.iter().map(|(name, hash)| json!({ "username": name, "password_hash": hash })).collect();
    let document = Document::parse(&json!({ "users": rows }).to_string(), DocumentFormat::Json).unwrap();
    apply(&server.app.manager(), &AuditContext::command_line(), document, ApplyOptions::default()).await.unwrap();
    let names = ["alice", "nobody", "argon", "pbkdf", "bcrypt", "scrypt"];
    let samples = std::env::var("TEST_TIMING_SAMPLES").map_or(60, |text| text.parse().expect("a number"));
    let exact = samples >= 10_000;
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); names.len()];
    for sample in 0..=samples / names.len() {
        for (at, name) in names.iter().enumerate() {
            // Past their tries they would be refused at once.
            server.advance(901);
            let browser = server.browser();
            let (action, form) = browser.page("/login").await.form(&[("username", name), ("password", "wrong wrong")]);
            #[expect(clippy::disallowed_methods, reason = "a duration is only measured")]
            let begun = std::time::Instant::now();
            assert_eq!(browser.raw_post(&action, &form).await.status(), 200);
            // The first of each also measures what its kind costs here.
            if sample > 0 {
                times[at].push(begun.elapsed().as_secs_f64());
            }
        }
    }
    let typical: Vec<f64> = times
        .iter_mut()
        .map(|times| {
            times.sort_by(f64::total_cmp);
            if exact { times[times.len() / 2] } else { times[0] }
        })
        .collect();
    let least = typical.iter().copied().fold(f64::INFINITY, f64::min);
    let most = typical.iter().copied().fold(0.0, f64::max);
    let tolerance = if exact { 0.001 } else { least / 4.0 };
    assert!(most - least < tolerance, "{names:?} {typical:?}");
}

/// However many kinds of hash were imported, the costliest sets the time.
#[tokio::test]
async fn the_costliest_of_many_kinds_of_hash_counts() {
    let server = Server::with_alice().await;
    let row = |n: usize, hash: String| json!({ "username": format!("user{n}"), "password_hash": hash });
    let cheap =
        |n: usize| format!("$scrypt$ln=4,r={n},p=1$AAECAwQFBgcICQoLDA0ODw$0kAJcZMDMoI6NHVug+mGyKwmdluLX9KqpubH8OLxecs");
    let mut rows: Vec<_> = (1..=40).map(|n| row(n, cheap(n))).collect();
    // Before and behind the others in the order of their texts.
    for (n, hash) in [IMPORTED[0].1.replace("m=8192", "m=65536"), IMPORTED[1].1.to_owned()].into_iter().enumerate() {
        rows.push(row(100 + n, hash));
    }
    let document = Document::parse(&json!({ "users": rows }).to_string(), DocumentFormat::Json).unwrap();
    apply(&server.app.manager(), &AuditContext::command_line(), document, ApplyOptions::default()).await.unwrap();
    let found = signet::store::users::one_hash_per_work_factor(server.app.store().read()).await.unwrap();
    assert!(found[0].0.contains("m=65536"), "{}", found[0].0);
    assert!(found.len() >= 32 && found.iter().any(|hash| hash.0.contains("m=19456")), "ours is among them");
}

/// T22: which clients there are, and whose tokens are good, is told to nobody who has not proven who they are.
#[tokio::test]
async fn known_and_unknown_clients_look_the_same() {
    let server = Server::with_alice().await;
    server.client("other", json!({})).await;
    server.client("spa", json!({ "token_endpoint_auth_method": "none" })).await;
    for endpoint in ["token", "introspect", "revoke"] {
        let mut answers = Vec::new();
        for (client, secret) in [("web", "wrong"), ("nobody", SECRET), ("spa", SECRET), ("web", "")] {
            let request = http().post(format!("{}/oauth2/{endpoint}", server.url)).basic_auth(client, Some(secret));
            let form = [("grant_type", "client_credentials"), ("token", "x")];
            answers.push(seen(request.form(&form).send().await.unwrap(), client).await);
        }
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{endpoint}: {answers:#?}");
        assert!(answers[0].starts_with("401"));
    }
    let tokens = super::tokens(&server, "openid offline_access").await;
    for token in [super::text(&tokens, "access_token"), super::text(&tokens, "refresh_token"), "sgr_none".to_owned()] {
        let ask = http().post(format!("{}/oauth2/introspect", server.url)).basic_auth("other", Some(SECRET));
        let answer = ask.form(&[("token", &token)]).send().await.unwrap().text().await.unwrap();
        assert_eq!(answer, r#"{"active":false}"#);
        assert_eq!(super::revoke(&server, "other", &token).await, 200);
    }
}

/// T23, CVE-2025-64102 and CVE-2026-9798: a burst that outruns the counter. Of 40 tries at once, on every node, no more
/// are looked at than the budget allows.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_burst_does_not_pass_the_budget() {
    let nodes = Server::with_alice().await.nodes().await;
    let tries = (0..40).map(|at| {
        let node = &nodes[at % nodes.len()];
        async move { try_to_sign_in(&node.browser(), "alice", "wrong wrong").await.status().as_u16() }
    });
    let all = futures::future::join_all(tries).await;
    assert_eq!(all.iter().filter(|status| **status == 200).count(), 10, "{all:?}");
    assert!(all.iter().all(|status| [200, 429].contains(status)), "{all:?}");
    // However it is written, it is the same name.
    let status = try_to_sign_in(&nodes[0].browser(), " ALICE ", "wrong wrong").await.status();
    assert_eq!(status, 429);
}

/// T44: a name that has run out says nothing about an address, whether they are one account's or two's.
#[tokio::test]
async fn username_and_email_run_out_apart_from_each_other() {
    let server = Server::with_alice().await;
    let answers = async |name: &str| -> Vec<u16> {
        let mut all = Vec::new();
        for _ in 0..12 {
            all.push(try_to_sign_in(&server.browser(), name, "wrong wrong").await.status().as_u16());
        }
        all
    };
    let mut expected = vec![200; 10];
    expected.extend([429, 429]);
    for name in ["alice", "alice@example.com", "nobody@example.com", "nobody"] {
        assert_eq!(answers(name).await, expected, "{name}");
    }
}

/// T44: nor does a sign-in that succeeds by one of them give tries back to the other.
#[tokio::test]
async fn a_success_by_username_leaves_the_count_of_the_email() {
    let server = Server::with_alice().await;
    for _ in 0..9 {
        try_to_sign_in(&server.browser(), "alice@example.com", "wrong wrong").await;
    }
    server.browser().sign_in_as("alice").await;
    let last = try_to_sign_in(&server.browser(), "alice@example.com", "wrong wrong").await.status();
    let over = try_to_sign_in(&server.browser(), "alice@example.com", "wrong wrong").await.status();
    assert_eq!((last.as_u16(), over.as_u16()), (200, 429));
}

/// A server behind a proxy on this machine, so that a test may come from many addresses.
pub(super) async fn behind_a_proxy() -> Server {
    let server = Server::start_with(|config| {
        config.trusted_proxies = serde_json::from_value(json!(["127.0.0.1", "::1"])).unwrap();
    })
    .await;
    server.user("alice").await;
    server.client("web", json!({})).await;
    server
}

/// A failed sign-in from that address, by the cookies and token of a browser that has opened the page.
pub(super) async fn fail_from(
    server: &Server,
    browser: &Browser,
    form: &[(String, String)],
    name: &str,
    address: &str,
) -> reqwest::Response {
    let mut form = form.to_vec();
    form.extend([("username".to_owned(), name.to_owned()), ("password".to_owned(), "wrong wrong".to_owned())]);
    let url = format!("{}/login", server.url);
    browser.request(reqwest::Method::POST, &url).header("x-forwarded-for", address).form(&form).send().await.unwrap()
}

/// T23: one address that tries many names is stopped, and an IPv6 network is one address, whoever chooses its lower half.
/// Past the budget it leaves nothing behind but the one event that says so: no stranger fills the database.
#[tokio::test]
async fn one_address_that_tries_many_names_is_stopped() {
    let server = behind_a_proxy().await;
    let browser = server.browser();
    let form = browser.page("/login").await.form(&[]).1;
    let tries = iter(0..130).map(|at| {
        let (server, browser, form) = (&server, &browser, &form);
        async move {
            let address = format!("2001:db8:1:2:{at:x}::{at:x}");
            fail_from(server, browser, form, &format!("name{at}"), &address).await.status().as_u16()
        }
    });
    let all: Vec<u16> = tries.buffer_unordered(8).collect().await;
    assert_eq!(all.iter().filter(|status| **status == 200).count(), 100);
    assert_eq!(all.iter().filter(|status| **status == 429).count(), 30);
    let elsewhere = fail_from(&server, &browser, &form, "name1", "2001:db8:1:3::1").await;
    assert_eq!(elsewhere.status(), 200, "another network");
    let filter = events::EventFilter { kinds: vec![EventKind::SignInFailed], most: 500, ..Default::default() };
    let written = events::list(server.app.store().read(), &filter).await.unwrap();
    assert_eq!(written.len(), 102, "a hundred, that it was too many, and the other network's");
}

/// T24, CVE-2024-1249 and Kanidm's password length: hashing at a stranger's will. Of a thousand sign-ins at once, from as
/// many addresses, those that do not fit into the queue get 503 with Retry-After, and the token endpoint keeps answering.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_flood_of_sign_ins_is_turned_away_and_apps_are_served() {
    let server = behind_a_proxy().await;
    let browser = server.browser();
    let form = browser.page("/login").await.form(&[]).1;
    let flood = iter(0..1000_u32).map(|at| {
        let (server, browser, form) = (&server, &browser, &form);
        async move {
            let address = format!("10.{}.{}.7", at / 250, at % 250);
            let response = fail_from(server, browser, form, &format!("name{at}"), &address).await;
            (response.status().as_u16(), response.headers().contains_key("retry-after"))
        }
    });
    let flood = async { flood.buffer_unordered(150).collect::<Vec<_>>().await };
    let apps = iter(0..40).then(|_| server.token(&[("grant_type", "client_credentials")]));
    let apps = async { apps.map(|(status, _)| status).collect::<Vec<_>>().await };
    let (flood, apps) = futures::future::join(flood, apps).await;
    assert!(apps.iter().all(|status| *status == 200), "{apps:?}");
    assert!(
        flood.iter().all(|(status, retry)| [200, 429, 503].contains(status) && *retry == (*status != 200)),
        "{flood:?}"
    );
    let away = flood.iter().filter(|(status, _)| *status == 503).count();
    assert!(away > 0 && away < 1000, "{away} of a thousand were turned away");
    // Nobody who was turned away has lost a try by it, and the door is open again.
    let page = server.browser().sign_in_as("alice").await;
    assert_eq!(page.name(), "home");
}

/// T24: what is longer than any password costs no hashing, and is refused like any other wrong one.
#[tokio::test]
async fn a_password_beyond_any_length_costs_nothing() {
    let server = Server::with_alice().await;
    let browser = server.browser();
    for length in [260, 1026, 20_000] {
        let response = try_to_sign_in(&browser, "alice", &"\u{fdfa}".repeat(length / 3)).await;
        assert_eq!(response.status(), 200, "{length}");
    }
    let response = try_to_sign_in(&browser, &"a".repeat(50_000), "wrong wrong").await;
    assert_eq!(response.status(), 200);
}
