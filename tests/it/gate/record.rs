//! The gate's record: what is counted and kept of each request, that it costs the requests nothing, its bounds, and "why
//! was this refused?" in the console.

use std::collections::BTreeMap;

use serde_json::json;
use signet::gate::decision::Reason;
use signet::gate::metrics::Metrics;
use signet::server::background::Maintenance;
use signet::store::gate_record::{self, DeniedRequest, GateCount};

use super::{Answer, alices_token, ask, bearer, nginx, put_api, webs_secret, with_gate};
use crate::budgets::Statements;
use crate::console::make_admin;
use crate::support::{Browser, Server};

const DAY: i64 = 86_400;

async fn flush(server: &Server) {
    server.app.gate.metrics.flush(server.app.store()).await.unwrap();
}

/// What is written of a gate: by way and reason.
async fn counts(server: &Server, gate: &str) -> BTreeMap<(String, String), u64> {
    let mut sums = BTreeMap::new();
    for GateCount { credential_kind: way, reason, number, .. } in
        gate_record::counts_since(server.app.store().read(), gate, 0).await.unwrap()
    {
        *sums.entry((way, reason)).or_default() += number;
    }
    sums
}

async fn kept(server: &Server, answer: &Answer) -> Option<DeniedRequest> {
    gate_record::by_request(server.app.store().read(), answer.header("x-request-id")).await.unwrap()
}

async fn kept_in_all(server: &Server) -> Vec<DeniedRequest> {
    gate_record::latest(server.app.store().read(), None, 1_000_000).await.unwrap()
}

async fn admin(server: &Server) -> Browser {
    make_admin(server, "alice").await;
    let browser = server.browser();
    browser.sign_in_as("alice").await;
    browser
}

#[tokio::test]
async fn what_was_refused_is_found_by_its_id_with_nothing_secret_in_it() {
    let server = with_gate(json!({})).await;
    let token = alices_token(&server, "openid read").await;
    let (_, reads) = bearer(&token);
    let (secret, alice) = (webs_secret(), server.person("alice").await.id.to_string());
    for (method, target, credential, way, reason, subject, client) in [
        ("GET", "/orders/1?token=hunter2#x", "", "", "malformed_request", "", ""),
        ("GET", "/orders/1?token=hunter2", "", "", "no_credential", "", ""),
        ("GET", "/orders/1", "Bearer hunter2", "bearer", "invalid_credential", "", ""),
        ("GET", "/orders/1", "Basic d2ViOmh1bnRlcjI=", "basic", "invalid_credential", "", ""),
        ("GET", "/orders/1", "Bearer sgk_hunter2", "api_key", "invalid_credential", "", ""),
        ("GET", "/orders/1", "Bearer hunter2, x", "", "malformed_credential", "", ""),
        ("GET", "/orders/../hunter", "", "", "ambiguous_path", "", ""),
        ("PUT", "/orders/1", &reads, "bearer", "no_rule", &alice, "web"),
        ("POST", "/orders/1", &reads, "bearer", "insufficient_scope", &alice, "web"),
        ("POST", "/orders/1", &secret, "basic", "missing_group", "web", "web"),
    ] {
        let mut headers = vec![("x-forwarded-for", "192.0.2.7")];
        headers.extend((!credential.is_empty()).then_some(("authorization", credential)));
        let answer = nginx(&server, method, target, &headers).await;
        assert_eq!((answer.reason(), &answer.body["request_id"]), (reason, &json!(answer.header("x-request-id"))));
        flush(&server).await;
        let refused = kept(&server, &answer).await.unwrap();
        let path = target.split(['?', '#']).next().unwrap();
        assert_eq!((refused.method.as_str(), refused.path.as_str(), refused.gate.as_str()), (method, path, "orders"));
        assert_eq!((refused.credential_kind.as_str(), refused.reason.as_str()), (way, reason), "{target} {credential}");
        assert_eq!((refused.subject.as_str(), refused.client.as_str()), (subject, client), "{target} {credential}");
        assert_eq!((refused.address.as_str(), refused.at), ("192.0.2.7", server.app.env().now()));
    }
    let all = format!("{:?}", kept_in_all(&server).await);
    for secret in ["hunter2", token.as_str(), crate::support::SECRET] {
        assert!(!all.contains(secret), "{all}");
    }
    let refused = counts(&server, "orders").await;
    assert_eq!(refused[&("bearer".to_owned(), "invalid_credential".to_owned())], 1);
    assert_eq!(refused[&(String::new(), "no_credential".to_owned())], 1);
    assert_eq!(refused.values().sum::<u64>(), 10);
}

#[tokio::test]
async fn what_a_proxy_sends_is_cut_and_names_of_gates_that_are_none_are_not_kept() {
    let server = with_gate(json!({})).await;
    let long = format!("/{}", "ä<b>".repeat(400));
    let forwarded = [
        ("x-forwarded-method", "VERY-LONG-METHOD-THAT-IS-NONE"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "a"),
        ("x-forwarded-uri", long.as_str()),
    ];
    let answer = ask(&server, "orders", &forwarded).await;
    let nowhere =
        ask(&server, "hunter2", &[("x-original-method", "GET"), ("x-original-url", "user:hunter2@a/b")]).await;
    flush(&server).await;
    let refused = kept(&server, &answer).await.unwrap();
    assert_eq!(
        (refused.path.chars().count(), refused.method.len(), refused.reason.as_str()),
        (200, 20, "malformed_request")
    );
    let refused = kept(&server, &nowhere).await.unwrap();
    assert_eq!((refused.gate.as_str(), refused.path.as_str(), refused.reason.as_str()), ("", "", "unknown_gate"));
    assert!(counts(&server, "hunter2").await.is_empty());
    assert_eq!(counts(&server, "").await.len(), 1);
    assert!(!format!("{:?}", kept_in_all(&server).await).contains("hunter2"));
}

#[tokio::test]
async fn an_address_that_may_not_ask_is_told_of_too() {
    let server = Server::with_alice().await;
    put_api(&server, json!({})).await;
    let answer = nginx(&server, "GET", "/public/a", &[]).await;
    flush(&server).await;
    let refused = kept(&server, &answer).await.unwrap();
    assert_eq!(
        (refused.gate.as_str(), refused.reason.as_str(), refused.address.as_str()),
        ("orders", "untrusted_proxy", "127.0.0.1")
    );
}

/// Part 8: with a credential already seen, 0 statements.
#[tokio::test]
async fn a_request_costs_no_statement() {
    let server = with_gate(json!({})).await;
    let (_, token) = bearer(&alices_token(&server, "read").await);
    let round = async || {
        let mut answers = Vec::new();
        for (method, credential) in
            [("GET", token.as_str()), ("POST", token.as_str()), ("GET", "Bearer x"), ("GET", "")]
        {
            let headers = [("authorization", credential)];
            answers.push(
                nginx(&server, method, "/orders/1", &headers[..usize::from(!credential.is_empty())]).await.status,
            );
        }
        answers.push(ask(&server, "nowhere", &[]).await.status);
        answers
    };
    let first = round().await;
    let (statements, _guard) = Statements::record();
    assert_eq!(round().await, first);
    assert_eq!(first, [200, 403, 401, 401, 404]);
    let nothing: (Vec<String>, Vec<String>) = Default::default();
    assert_eq!(statements.take(), nothing);
    flush(&server).await;
    assert_ne!(statements.take(), nothing);
    flush(&server).await;
    assert_eq!(statements.take(), nothing, "nothing came together, nothing is written");
}

#[tokio::test]
async fn all_nodes_add_to_the_same_numbers() {
    let server = with_gate(json!({})).await;
    let other = server.node().await;
    for round in 1..=5 {
        for node in [&server, &other] {
            assert_eq!(nginx(node, "GET", "/public/a", &[]).await.status, 200);
            assert_eq!(nginx(node, "GET", "/orders/1", &[]).await.status, 401);
        }
        tokio::join!(flush(&server), flush(&other), flush(&server), flush(&other));
        let counts = counts(&server, "orders").await;
        assert_eq!(counts[&("anonymous".to_owned(), String::new())], round * 2);
        assert_eq!(counts[&(String::new(), "no_credential".to_owned())], round * 2);
    }
    assert_eq!(kept_in_all(&server).await.len(), 10);
    server.advance(3600);
    nginx(&server, "GET", "/public/a", &[]).await;
    flush(&server).await;
    let hours = gate_record::counts_since(server.app.store().read(), "orders", 0).await.unwrap();
    assert_eq!(
        hours.iter().filter(|counted| counted.credential_kind == "anonymous").count(),
        2,
        "each hour has a row of its own"
    );
}

fn refused(server: &Server, number: usize, reason: Reason) -> DeniedRequest {
    DeniedRequest {
        request_id: format!("{number:032x}"),
        at: server.app.env().now(),
        gate: "orders".to_owned(),
        method: "GET".to_owned(),
        path: "/".to_owned(),
        credential_kind: String::new(),
        reason: reason.as_str().to_owned(),
        subject: String::new(),
        client: String::new(),
        address: String::new(),
    }
}

#[tokio::test]
async fn of_very_many_the_latest_are_kept_and_all_are_counted() {
    let server = Server::start().await;
    let tally = Metrics::default();
    for number in 0..500 {
        tally.record_denial("", Reason::UntrustedProxy, refused(&server, 10_000 + number, Reason::UntrustedProxy));
    }
    for number in 0..1300 {
        tally.record_denial("", Reason::NoRule, refused(&server, number, Reason::NoRule));
    }
    for number in 500..1000 {
        tally.record_denial("", Reason::UntrustedProxy, refused(&server, 10_000 + number, Reason::UntrustedProxy));
    }
    tally.flush(server.app.store()).await.unwrap();
    let sums = counts(&server, "orders").await;
    assert_eq!(sums[&(String::new(), "no_rule".to_owned())], 1300);
    assert_eq!(sums[&(String::new(), "untrusted_proxy".to_owned())], 1000);
    let kept = kept_in_all(&server).await;
    let of = |reason: &str| kept.iter().filter(|it| it.reason == reason).count();
    assert_eq!((of("no_rule"), of("untrusted_proxy")), (900, 100), "strangers do not push out the rest");
    assert!(kept.iter().any(|it| it.request_id == format!("{:032x}", 1299)));
    assert!(!kept.iter().any(|it| it.request_id == format!("{:032x}", 0)));
}

/// The database away, and back.
#[tokio::test]
async fn what_could_not_be_written_is_written_later() {
    let (server, gone) = (Server::start().await, Server::start().await);
    gone.app.store().close().await;
    let tally = Metrics::default();
    tally.record_denial("", Reason::NoRule, refused(&server, 1, Reason::NoRule));
    for number in 2..5 {
        assert!(tally.flush(gone.app.store()).await.is_err());
        tally.record_denial("", Reason::NoRule, refused(&server, number, Reason::NoRule));
    }
    tally.flush(server.app.store()).await.unwrap();
    assert_eq!(counts(&server, "orders").await.values().sum::<u64>(), 4);
    assert_eq!(kept_in_all(&server).await.len(), 4);
}

#[tokio::test]
async fn the_record_is_swept_by_age() {
    let server = with_gate(json!({})).await;
    for number in 0..450 {
        server.app.gate.metrics.record_denial("", Reason::NoRule, refused(&server, number, Reason::NoRule));
    }
    flush(&server).await;
    let rows = async || (kept_in_all(&server).await.len(), counts(&server, "orders").await.len());
    let mut upkeep = Maintenance::default();
    for (days, left) in [(6, (450, 1)), (2, (0, 1)), (81, (0, 1)), (2, (0, 0))] {
        server.advance(days * DAY);
        upkeep.once(&server.app).await;
        assert_eq!(rows().await, left, "after {days} more days");
    }
}

#[tokio::test]
async fn the_console_says_why_and_what_to_do() {
    let server = with_gate(json!({})).await;
    let alice = server.person("alice").await.id;
    let (_, reads) = bearer(&alices_token(&server, "read").await);
    let admin = admin(&server).await;
    assert!(admin.page("/admin/refusals").await.text("main").contains("Nothing was refused"));
    let answer = nginx(&server, "POST", "/orders/<i>1</i>?a=b", &[("authorization", &reads)]).await;
    // Nobody has written it yet: the page does.
    let id = answer.header("x-request-id");
    let page = admin.page(&format!("/admin/refusals?id=+{id}+")).await;
    let main = page.text("main");
    for part in [
        "lacks a scope",
        "The app has to ask for that scope",
        "POST /orders/<i>1</i>",
        "403 insufficient_scope",
        "bearer",
        "Alice Example",
        "127.0.0.1",
    ] {
        assert!(main.contains(part), "{part}: {main}");
    }
    assert!(!page.html.contains("<i>1"));
    for href in [format!("/admin/people/{alice}"), "/admin/clients/web".to_owned()] {
        assert!(page.has(&format!("dd a[href='{href}']")), "{href}");
    }
    let trial = page.attribute("main .actions a.btn", "href").unwrap();
    assert!(admin.page(&trial).await.text("#outcome").contains("Rule 3 decides"));
    let events = admin.page(&format!("/admin/events?q={id}")).await;
    assert!(events.has(&format!(".notice a[href='/admin/refusals?id={id}']")));
    assert!(!admin.page("/admin/events?q=alice").await.has(".notice"));
    let latest = admin.page("/admin/refusals").await;
    assert!(latest.has(&format!("tbody a[href='/admin/refusals?id={id}']")), "{}", latest.html);
    for nothing in ["0".repeat(32), "nonsense".to_owned(), "%27%25".to_owned()] {
        let page = admin.page(&format!("/admin/refusals?id={nothing}")).await;
        assert!(page.status == 200 && page.text(".empty").contains("No refusal of that ID"), "{nothing}");
    }
    assert_eq!(admin.raw("/admin/refusals?id=%ff").await.status(), 400);
    // The events of the same request stand beside it.
    let own = admin.press("/admin/clients/web", "/admin/clients/web/disable").await;
    assert_eq!(own.status, 200);
    let record = admin.page("/admin/events?kind=client.disabled").await;
    let id = record.text("tbody tr:nth-child(1) dl div:nth-last-child(2) code");
    assert!(admin.page(&format!("/admin/refusals?id={id}")).await.text("ol.trace").contains("App turned off"));
}

#[tokio::test]
async fn an_apis_page_has_its_numbers() {
    let server = with_gate(json!({})).await;
    put_api(&server, json!({ "identifier": "https://others.example.com", "gate": "others" })).await;
    let page_of =
        async |admin: &Browser, host: &str| admin.page(&format!("/admin/apis/https%3A%2F%2F{host}.example.com")).await;
    let first = admin(&server).await;
    assert!(page_of(&first, "orders").await.text("main").contains("No proxy has asked"));
    let secret = webs_secret();
    for _ in 0..3 {
        nginx(&server, "GET", "/orders/1", &[("authorization", &secret)]).await;
        nginx(&server, "GET", "/orders/1", &[]).await;
    }
    nginx(&server, "GET", "/public/a", &[]).await;
    server.advance(2 * DAY);
    let admin = admin(&server).await;
    nginx(&server, "GET", "/orders/1", &[("authorization", &secret)]).await;
    nginx(&server, "GET", "/orders/1", &[("authorization", "Basic d2ViOmh1bnRlcjI=")]).await;
    let page = page_of(&admin, "orders").await;
    assert_eq!(page.count("svg[role=img] g"), 24);
    assert!(page.text(".chart tbody tr:nth-child(1)").ends_with(" 1 1"), "{}", page.text(".chart tbody"));
    // Way, then let in and refused, each of a day and of seven.
    assert_eq!(page.text("#by-way tbody"), "none 7 days 0 0 0 3 anonymous 7 days 0 1 0 0 basic 7 days 1 4 1 1");
    let reasons = page.text("#by-reason tbody");
    assert!(reasons.contains("no_credential 0 3") && reasons.contains("invalid_credential 1 1"), "{reasons}");
    assert_eq!(page.count("section[aria-labelledby=refused] tbody tr"), 4);
    assert!(page.text("section[aria-labelledby=refused] tbody tr:nth-child(1)").contains("GET /orders/1"));
    assert!(page_of(&admin, "others").await.text("main").contains("No proxy has asked"), "each gate has its own");
}
