//! Dynamic client registration (OpenID Connect Dynamic Client Registration, RFC 7591) and its management (RFC 7592):
//! [`metadata`] what a client says of itself, [`initial_access`] who may register, [`bounds`] how much a stranger gets by it,
//! [`management`] what a client does with its registration later, [`narrowing`] what is left where not all is offered,
//! [`redirect_uris`] and [`apis`] which of either such a client may have, [`vouched`] redirect URIs that the settings allow.

mod apis;
mod bounds;
mod initial_access;
mod management;
mod metadata;
mod narrowing;
mod redirect_uris;
mod vouched;

use reqwest::{Method, Response};
use serde_json::{Value, json};
use signet::config::RegistrationMode;
use signet::domain::secret::Secret;
use signet::manage::apply::{ApplyOptions, apply};
use signet::manage::document::{Document, DocumentFormat};
use signet::manage::{AuditContext, registration};

use crate::support::Server;
use crate::support::receiver;

async fn open() -> Server {
    let server = Server::start_with(|config| {
        config.registration = RegistrationMode::Open;
        receiver::reachable(config);
    })
    .await;
    server.user("alice").await;
    server
}

async fn ask(server: &Server, method: Method, path: &str, token: Option<&str>, body: Option<&Value>) -> Response {
    let mut request = reqwest::Client::new().request(method, format!("{}/oauth2/register{path}", server.url));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    if let Some(body) = body {
        request = request.json(body);
    }
    request.send().await.unwrap()
}

async fn register(server: &Server, body: &Value) -> (u16, Value) {
    let response = ask(server, Method::POST, "", None, Some(body)).await;
    assert_eq!(response.headers()["cache-control"], "no-store");
    (response.status().as_u16(), response.json().await.unwrap())
}

/// An initial access token for ten minutes.
async fn access(server: &Server, uses: Option<i32>) -> Secret {
    registration::create_initial_access_token(&server.app.manager(), &AuditContext::command_line(), uses, 600)
        .await
        .unwrap()
        .0
}

/// The path of a registration, and its token.
fn managed(answer: &Value) -> (String, &str) {
    let id = answer["client_id"].as_str().unwrap();
    assert!(answer["registration_client_uri"].as_str().unwrap().ends_with(&format!("/oauth2/register/{id}")));
    (format!("/{id}"), answer["registration_access_token"].as_str().unwrap())
}

/// Registers a client by a document, as an administrator.
async fn apply_client(server: &Server, row: Value) -> Result<(), String> {
    let document = Document::parse(&json!({ "clients": [row] }).to_string(), DocumentFormat::Json)?;
    let done = apply(&server.app.manager(), &AuditContext::command_line(), document, ApplyOptions::default()).await;
    done.map(drop).map_err(|error| error.to_string())
}
