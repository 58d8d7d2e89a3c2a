//! API keys at the gate: in each place where one may stand, for one gate, from its networks, while its owner is there
//! (T3, T5). How they are made and ended: `api_keys`.

use ipnet::IpNet;
use serde_json::json;
use signet::domain::api_key::{ApiKeySecret, Owner};
use signet::manage::{AuditContext, api_keys as manage, clients, users};
use signet::server::background::Maintenance;

use super::{Answer, basic, nginx, put_api, with_gate};
use signet::store::api_keys as rows;

use crate::api_keys::{alice, make, new_key, web};
use crate::budgets::Statements;
use crate::support::Server;
use crate::token::claims;

async fn with_keys() -> Server {
    with_gate(json!({ "accepts": ["api_key", "basic"] })).await
}

async fn key(server: &Server, owner: Owner) -> String {
    make(server, new_key(owner, "orders")).await.unwrap().0.expose().to_owned()
}

async fn with_header(server: &Server, name: &str, value: &str) -> Answer {
    nginx(server, "GET", "/orders/1", &[(name, value)]).await
}

#[tokio::test]
async fn a_key_says_whose_it_is_in_each_place() {
    let server = with_keys().await;
    let (hers, its) = (key(&server, alice(&server).await).await, key(&server, web()).await);
    let id = server.person("alice").await.id.to_string();
    for (name, value, way) in [
        ("x-api-key", hers.clone(), "api_key"),
        ("authorization", format!("Bearer {hers}"), "api_key"),
        ("authorization", basic("alice", &hers), "basic"),
        ("authorization", basic("", &hers), "basic"),
    ] {
        let answer = with_header(&server, name, &value).await;
        assert_eq!((answer.status, answer.header("x-gate-subject")), (200, id.as_str()), "{value}");
        assert_eq!((answer.header("x-gate-way"), answer.header("x-gate-scope")), (way, "read"));
        assert_eq!((answer.header("x-gate-client"), answer.header("remote-user")), ("", "alice"));
        assert_eq!(answer.header("remote-email"), "alice@example.com");
    }
    let answer = with_header(&server, "x-api-key", &its).await;
    let told = ["x-gate-subject", "x-gate-client", "x-gate-scope", "remote-user"].map(|name| answer.header(name));
    assert_eq!((answer.status, told), (200, ["web", "web", "read", ""]));
    assert_eq!(with_header(&server, "authorization", &basic("web", &its)).await.status, 200);
    // Another's name beside it is a mistake, and a rule's scope is the key's, not its owner's.
    for name in ["web", "Alice", "alic", &id] {
        let answer = with_header(&server, "authorization", &basic(name, &hers)).await;
        assert_eq!((answer.status, answer.reason()), (401, "invalid_credential"), "{name}");
    }
    let answer = nginx(&server, "POST", "/orders/1", &[("x-api-key", &its)]).await;
    assert_eq!((answer.status, answer.reason()), (403, "insufficient_scope"));
}

#[tokio::test]
async fn the_api_may_verify_whose_key_it_was() {
    let server = with_gate(json!({ "accepts": ["api_key"], "upstream_token": true })).await;
    let hers = key(&server, alice(&server).await).await;
    let told = claims(with_header(&server, "x-api-key", &hers).await.header("x-gate-token"));
    assert_eq!((&told["way"], &told["scope"]), (&json!("api_key"), &json!("read")));
    assert_eq!(told["sub"], json!(server.person("alice").await.id.to_string()));
}

#[tokio::test]
async fn only_where_the_api_takes_it() {
    let server = with_gate(json!({ "accepts": ["api_key"] })).await;
    let hers = key(&server, alice(&server).await).await;
    assert_eq!(with_header(&server, "authorization", &basic("alice", &hers)).await.status, 401, "Basic is not taken");
    put_api(&server, json!({ "accepts": ["basic"] })).await;
    assert_eq!(with_header(&server, "authorization", &basic("alice", &hers)).await.status, 200);
    assert_eq!(with_header(&server, "x-api-key", &hers).await.status, 401, "nor is a key alone");
    // Of another gate.
    crate::api_keys::put_api(&server, "stock", &["api_key"]).await;
    put_api(&server, json!({ "accepts": ["api_key"] })).await;
    let (other, _) = make(&server, new_key(alice(&server).await, "stock")).await.unwrap();
    assert_eq!(with_header(&server, "x-api-key", other.expose()).await.reason(), "invalid_credential");
}

/// What is no key costs nothing, and is refused in the same words as one that nobody has.
#[tokio::test]
async fn what_is_no_key() {
    let server = with_keys().await;
    let hers = key(&server, alice(&server).await).await;
    with_header(&server, "x-api-key", &hers).await;
    let never = ApiKeySecret::mint(server.app.env()).expose().to_owned();
    let mut swapped = hers.clone();
    let last = swapped.pop();
    swapped.push(if last == Some('0') { '1' } else { '0' });
    let short: String = hers.chars().take(20).collect();
    let unknown = with_header(&server, "x-api-key", &never).await;
    for wrong in [&swapped, "sgk_", "sgk", "x", &hers.to_uppercase(), &format!("{hers} {hers}"), &short] {
        let (statements, guard) = Statements::record();
        let answer = with_header(&server, "x-api-key", wrong).await;
        assert_eq!(statements.take(), (vec![], vec![]), "{wrong}");
        drop(guard);
        assert_eq!((answer.status, &answer.body["detail"]), (401, &unknown.body["detail"]), "{wrong}");
    }
}

#[tokio::test]
async fn from_its_networks_alone() {
    let server = with_keys().await;
    let networks: Vec<IpNet> =
        vec!["192.0.2.0/24".parse().unwrap(), "2001:db8::/32".parse().unwrap(), "127.0.0.0/8".parse().unwrap()];
    let new = manage::NewApiKey { networks, ..new_key(alice(&server).await, "orders") };
    let (hers, _) = make(&server, new).await.unwrap();
    for (from, status) in [
        ("192.0.2.7", 200),
        ("192.0.2.7:4711", 200),
        ("\"[2001:db8::1]:4711\"", 200),
        ("::ffff:192.0.2.7", 200),
        ("2001:db8::1", 200),
        ("198.51.100.1, 192.0.2.7", 200),
        ("192.0.2.7, 198.51.100.1", 401),
        ("198.51.100.1", 401),
        ("127.0.0.1", 200),
        ("127.0.0.7, 127.0.0.1", 200),
        // What the proxy does not say is not made up from its own address.
        ("nonsense", 401),
        ("192.0.2.7:port", 401),
        ("", 401),
    ] {
        let answer =
            nginx(&server, "GET", "/orders/1", &[("x-api-key", hers.expose()), ("x-forwarded-for", from)]).await;
        assert_eq!(answer.status, status, "{from}");
    }
}

#[tokio::test]
async fn what_ends_a_key_ends_it_at_once() {
    for what in ["revoke", "expire", "disable alice", "delete alice", "the api loses its scope"] {
        let server = with_keys().await;
        let mut new = new_key(alice(&server).await, "orders");
        new.expires_at = Some(server.app.env().now().plus_seconds(3600));
        let (hers, key) = make(&server, new).await.unwrap();
        let again = async || {
            let answer = with_header(&server, "x-api-key", hers.expose()).await;
            (answer.status, answer.reason().to_owned())
        };
        assert_eq!(again().await.0, 200, "{what}");
        let (manager, by) = (server.app.manager(), AuditContext::command_line());
        let person = server.person("alice").await.id;
        let mut expected = (401, "invalid_credential".to_owned());
        match what {
            "revoke" => manage::revoke(&manager, &by, key.id, None).await.map(drop).unwrap(),
            "expire" => server.advance(3600),
            "disable alice" => users::disable(&manager, &by, person).await.map(drop).unwrap(),
            "delete alice" => users::delete(&manager, &by, person).await.unwrap(),
            _ => {
                put_api(
                    &server,
                    json!({ "accepts": ["api_key"], "scopes": ["write"], "rules": [
                    { "methods": ["GET"], "path": "/orders/**", "scopes": ["write"] },
                ] }),
                )
                .await;
                expected = (403, "insufficient_scope".to_owned());
            }
        }
        assert_eq!(again().await, expected, "{what}");
    }
    // A client that is turned off, and on again.
    let server = with_keys().await;
    let its = key(&server, web()).await;
    let (manager, by) = (server.app.manager(), AuditContext::command_line());
    let id = signet::domain::ids::ClientId::parse("web").unwrap();
    for (off, status) in [(true, 401), (false, 200)] {
        let done =
            if off { clients::disable(&manager, &by, &id).await } else { clients::enable(&manager, &by, &id).await };
        done.unwrap();
        assert_eq!(with_header(&server, "x-api-key", &its).await.status, status, "{off}");
    }
}

#[tokio::test]
async fn a_key_seen_before_costs_no_statement_and_its_use_is_written_later() {
    let server = with_keys().await;
    let (hers, kept) = make(&server, new_key(alice(&server).await, "orders")).await.unwrap();
    assert_eq!(with_header(&server, "x-api-key", hers.expose()).await.status, 200);
    let (statements, guard) = Statements::record();
    for _ in 0..3 {
        assert_eq!(with_header(&server, "x-api-key", hers.expose()).await.status, 200);
    }
    assert_eq!(statements.take(), (vec![], vec![]));
    drop(guard);
    Maintenance::default().once(&server.app).await;
    let filter = rows::ApiKeyFilter { most: 9, ..rows::ApiKeyFilter::default() };
    let rows = rows::list(server.app.store().read(), &filter).await.unwrap();
    let row = rows.into_iter().find(|row| row.id == kept.id).unwrap();
    assert_eq!(row.last_used_at, Some(server.app.env().now()));
}
