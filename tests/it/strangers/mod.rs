//! What a stranger can make the server store is limited, in all and from one address (docs/security.md, "What a stranger
//! can store"): past a limit there is 429 with `Retry-After`, and everybody else goes on.
//!
//! [`requests`] of apps, [`accounts`] sign-ins and sign-ups, [`documented`] the numbers of the documentation.

mod accounts;
mod documented;
mod requests;

use reqwest::{Response, StatusCode};
use sea_orm::{ConnectionTrait as _, Statement};
use serde_json::json;
use signet::config::{Config, Quotas};

use crate::support::{SECRET, Server};

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
