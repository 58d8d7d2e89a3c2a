//! The gate before other people's APIs (docs/gate.md): [`asking`] how proxies ask and what they are told,
//! [`rules`] who may do what, [`limits`] how often, [`guessing`] how often wrong; [`in_use`] what ends while it is used; [`credentials`] tokens and secrets,
//! [`keys`] API keys, [`signatures`], [`signature_keys`] and [`oauth1`] signed requests, [`certificate`] TLS certificates,
//! [`session`] how a browser signs in,
//! [`session_cookie`] its cookie; [`record`] what is kept of it. With the real nginx before it: [`nginx`] what comes
//! through and what is said, [`traffic`] bodies and connections, [`paths`] that both read a path in the same way. With every
//! proxy of docs/gate.md: [`proxies`] what callers forge, [`certificate_proxies`] certificates over TLS, [`session_proxies`] a
//! browser at its app.

mod asking;
pub mod certificate;
mod certificate_proxies;
mod credentials;
mod guessing;
mod in_use;
mod keys;
mod limits;
pub mod nginx;
mod oauth1;
mod paths;
mod proxies;
mod record;
mod rules;
mod session;
mod session_cookie;
mod session_proxies;
mod signature_keys;
pub mod signatures;
mod traffic;

use std::collections::BTreeMap;

use base64::Engine as _;
use serde_json::{Value, json};
use signet::domain::api::Api;
use signet::manage::{AuditContext, apis};

use crate::support::{SECRET, Server};

pub const ORDERS: &str = "https://orders.example.com";

/// What an API is told of who asks.
pub const IDENTITY: [&str; 9] = [
    "x-gate-subject",
    "x-gate-client",
    "x-gate-scope",
    "x-gate-way",
    "x-gate-token",
    "remote-user",
    "remote-groups",
    "remote-email",
    "remote-name",
];

/// What the gate said.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: Value,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(String::as_str).unwrap_or_default()
    }

    pub fn reason(&self) -> &str {
        self.header("x-gate-reason")
    }

    /// The status that is meant, whatever nginx understands.
    pub fn meant(&self) -> u16 {
        self.headers.get("x-gate-status").map_or(self.status, |status| status.parse().unwrap())
    }

    pub async fn of(response: reqwest::Response) -> Self {
        let status = response.status().as_u16();
        let text = |value: &reqwest::header::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = response.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        Self { status, headers, body: response.json().await.unwrap_or_default() }
    }
}

/// One whose gate `orders` this machine may ask, with alice, the client `web` and an API changed by `changes`.
pub async fn with_gate(changes: Value) -> Server {
    let server = Server::start_with(|config| {
        config.trusted_proxies = serde_json::from_value(json!("127.0.0.1")).unwrap();
    })
    .await;
    server.user("alice").await;
    server.client("web", json!({ "scope": "openid offline_access read write", "consent": "trusted" })).await;
    put_api(&server, changes).await;
    server
}

pub async fn put_api(server: &Server, changes: Value) {
    let mut api = json!({
        "identifier": ORDERS, "name": "Orders", "scopes": ["read", "write"], "gate": "orders",
        "accepts": ["bearer", "basic"],
        "rules": [
            { "methods": ["GET"], "path": "/public/**", "allow": "anonymous" },
            { "methods": ["GET"], "path": "/orders/**", "scopes": ["read"] },
            { "methods": ["POST", "DELETE"], "path": "/orders/**", "scopes": ["write"], "groups": ["staff"] },
            { "methods": ["GET"], "path": "/me" },
        ],
    });
    for (name, value) in changes.as_object().unwrap() {
        api[name] = value.clone();
    }
    let api: Api = serde_json::from_value(api).unwrap();
    apis::put(&server.app.manager(), &AuditContext::command_line(), api).await.unwrap();
}

/// nginx asks.
pub async fn nginx(server: &Server, method: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
    let url = format!("https://orders.example.com{target}");
    let mut all = vec![("x-original-method", method), ("x-original-url", &url)];
    all.extend(headers);
    ask(server, "orders", &all).await
}

pub async fn ask(server: &Server, gate: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = reqwest::Client::new().get(format!("{}/gate/verify/{gate}", server.url));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Answer::of(request.send().await.unwrap()).await
}

/// An access token of alice's for the API.
pub async fn alices_token(server: &Server, scope: &str) -> String {
    let callback = server.browser().sign_in(&server.authorize(&[("scope", scope)])).await;
    let (_, tokens) = server.redeem(&callback["code"]).await;
    tokens["access_token"].as_str().unwrap_or_else(|| panic!("{tokens}")).to_owned()
}

pub fn bearer(token: &str) -> (&'static str, String) {
    ("authorization", format!("Bearer {token}"))
}

pub fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}")))
}

pub fn webs_secret() -> String {
    basic("web", SECRET)
}
