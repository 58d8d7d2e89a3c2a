//! What has broken other providers, tried here. Each test's comment names what it guards and the advisory it answers;
//! docs/security.md is the map.
//!
//! [`secrets`] no credential is good for anything but its own purpose, [`races`] many at once and a restart between,
//! [`lost_updates`] changes of one row at once,
//! [`revocation`] how far a revocation reaches, [`durable`] that it lasts, on every node and whatever their clocks say,
//! [`ended_sessions`] that no session comes back,
//! [`namesakes`] that a deleted client's or API's identifier is worth nothing to its successor, [`addresses`] redirect URIs and return paths (`corpus` makes
//! the near misses), [`headers`] what they say of the address,
//! [`sessions`] cookies and who is signed in, [`cross_site`] requests that another site causes, [`steps`] the order of an interaction, [`injection`] what is shown,
//! [`guessing`] what a stranger learns and how often they may try, [`limits`] malformed and oversized requests at every
//! route, [`outage`] a database that goes away, [`proxies`] what the gate tells them, [`boundaries`] one API and another,
//! [`removed`] what was granted and taken away since, [`parts`] tokens that carry a part of a grant, [`consent`] when it is remembered.
//!
//! There is no limiter on client secrets of 32 characters or more, where guessing is hopeless, while a limiter would let a
//! stranger lock an app out; for shorter ones that were imported there is ([`short_secrets`]).

mod addresses;
mod boundaries;
mod consent;
pub mod corpus;
mod cross_site;
mod durable;
mod ended_sessions;
mod guessing;
mod headers;
mod injection;
mod limits;
mod lockout;
mod lost_updates;
mod namesakes;
mod outage;
mod parts;
mod proxies;
mod races;
mod removed;
mod revocation;
mod secrets;
mod sessions;
mod short_secrets;
mod steps;

use reqwest::{Client, redirect};
use serde_json::{Value, json};
use signet::config::SignUpMode;

use crate::support::{SECRET, Server};

/// Follows nothing and keeps no cookies.
fn http() -> Client {
    Client::builder().redirect(redirect::Policy::none()).no_proxy().build().unwrap()
}

/// One with alice and `web`, where every page is there.
async fn open_server() -> Server {
    let server = Server::start_with(|config| config.sign_up = SignUpMode::Open).await;
    server.user("alice").await;
    server.client("web", json!({})).await;
    server
}

/// What a new code of alice's is worth to `web`.
async fn tokens(server: &Server, scope: &str) -> Value {
    let (status, tokens) = server.redeem(&server.code(scope).await).await;
    assert_eq!(status, 200, "{tokens}");
    tokens
}

fn text(tokens: &Value, name: &str) -> String {
    tokens[name].as_str().unwrap_or_else(|| panic!("{name} in {tokens}")).to_owned()
}

async fn refresh(server: &Server, token: &str) -> (u16, Value) {
    server.token(&[("grant_type", "refresh_token"), ("refresh_token", token)]).await
}

async fn userinfo(server: &Server, token: &str) -> u16 {
    let request = http().get(format!("{}/oauth2/userinfo", server.url)).bearer_auth(token);
    request.send().await.unwrap().status().as_u16()
}

/// Whether introspection by `client` says so.
async fn active(server: &Server, client: &str, token: &str) -> bool {
    let request = http().post(format!("{}/oauth2/introspect", server.url)).basic_auth(client, Some(SECRET));
    let answer: Value = request.form(&[("token", token)]).send().await.unwrap().json().await.unwrap();
    answer["active"].as_bool().unwrap_or_else(|| panic!("{answer}"))
}

async fn revoke(server: &Server, client: &str, token: &str) -> u16 {
    let request = http().post(format!("{}/oauth2/revoke", server.url)).basic_auth(client, Some(SECRET));
    request.form(&[("token", token)]).send().await.unwrap().status().as_u16()
}
