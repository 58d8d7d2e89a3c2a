//! An app's return address: a page that shows how the answer came and what was in it.

use std::collections::BTreeMap;

use axum::Router;
use axum::extract::{Form, Query};
use axum::response::Html;
use axum::routing::get;
use serde_json::{Value, json};

use crate::support::Server;
use crate::support::chromium::Chromium;

type Answer = BTreeMap<String, String>;

/// Listens, and makes `server` know it as the client `web`; its return address.
pub async fn of_web(server: &Server, changes: Value) -> String {
    let address = address().await;
    let mut metadata = json!({ "redirect_uris": [address] });
    metadata.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    server.client("web", metadata).await;
    address
}

/// Listens; its return address.
pub async fn address() -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/cb", listener.local_addr().unwrap());
    let by = |method: &'static str| move |answer: Answer| async move { page(method, &answer) };
    let (query, form) = (by("GET"), by("POST"));
    let route =
        get(move |Query(answer): Query<Answer>| query(answer)).post(move |Form(answer): Form<Answer>| form(answer));
    let service = Router::new().route("/cb", route);
    tokio::spawn(async move { axum::serve(listener, service).await.unwrap() });
    address
}

fn page(method: &str, answer: &Answer) -> Html<String> {
    let items: Vec<String> = answer
        .iter()
        .map(|(name, value)| format!("<dd id=\"{name}\">{}</dd>", value.replace('&', "&amp;").replace('<', "&lt;")))
        .collect();
    Html(format!(
        "<!doctype html><title>App</title><link rel=icon href=data:,><dl id=\"{method}\">{}</dl>",
        items.concat()
    ))
}

/// The parameters that reached the app, by `method`.
pub async fn answer(browser: &Chromium, method: &str) -> Value {
    browser.wait_for(&format!("dl#{method}")).await;
    browser.script("return Object.fromEntries([...document.querySelectorAll('dd')].map((item) => [item.id, item.textContent]))").await
}
