//! Redirect URIs follow the same rules however a client came to be (RFC 8252 §7).

use reqwest::Method;
use serde_json::{Value, json};
use signet::config::RegistrationMode;
use signet::domain::ids::ClientId;
use signet::manage::{AuditContext, clients};

use super::{apply_client, ask, managed, open, register};
use crate::support::receiver::{Answer, Receiver, reachable};
use crate::support::{CALLBACK, Server};

/// What an administrator gave a client that registered itself it keeps when it sends its registration back.
#[tokio::test]
async fn redirect_uris_of_an_administrator_stay() {
    let server = open().await;
    let (_, made) = register(&server, &json!({ "redirect_uris": ["https://app.example/cb"] })).await;
    let (path, token) = managed(&made);
    let id = ClientId::parse(made["client_id"].as_str().unwrap()).unwrap();
    let mut meta = json!(server.app.provider.client(&id).await.unwrap().unwrap().meta);
    let given = json!(["https://app.example/cb", "cursor://callback", "http://nas.lan/cb"]);
    meta["redirect_uris"] = given.clone();
    meta["http_redirect_hosts"] = json!(["nas.lan"]);
    clients::update(&server.app.manager(), &AuditContext::command_line(), &id, serde_json::from_value(meta).unwrap())
        .await
        .unwrap();
    let mut read: Value = ask(&server, Method::GET, &path, Some(token), None).await.json().await.unwrap();
    assert_eq!(read["redirect_uris"], given);
    read["redirect_uris"].as_array_mut().unwrap().push(json!("zed://callback"));
    let after: Value = ask(&server, Method::PUT, &path, Some(token), Some(&read)).await.json().await.unwrap();
    assert_eq!(after["redirect_uris"], given, "and no other");
}

/// RFC 8252 §7.3: one rule for registration, metadata documents, `apply` and the console.
#[tokio::test]
async fn loopback_port_varies_however_a_client_came() {
    let server = Server::start_with(|config| {
        config.registration = RegistrationMode::Open;
        reachable(config);
    })
    .await;
    server.user("alice").await;
    let there = Receiver::start().await;
    for (uri, sent, accepted) in [
        ("http://127.0.0.1/cb", "http://127.0.0.1:50123/cb", true),
        ("http://localhost:33418/", "http://localhost:33419/", true),
        ("http://[::1]/cb", "http://[::1]:1/cb", true),
        ("http://127.0.0.1/cb", "http://127.0.0.1:50123/other", false),
        ("http://127.0.0.1/cb", "http://localhost:50123/cb", false),
        ("com.example.app:/cb", "com.example.app:/cb", true),
    ] {
        let meta = json!({ "redirect_uris": [uri], "token_endpoint_auth_method": "none" });
        let (status, registered) = register(&server, &meta).await;
        assert_eq!(status, 201, "{registered}");
        let path = format!("/{}.json", registered["client_id"].as_str().unwrap());
        let (mut document, mut row) = (meta.clone(), meta.clone());
        document["client_id"] = json!(there.at(&path));
        there.answer(&path, Answer::json(&document));
        row["client_id"] = json!("applied");
        apply_client(&server, row).await.unwrap();
        for id in [registered["client_id"].as_str().unwrap(), &there.at(&path), "applied"] {
            let asked = [("client_id", id), ("redirect_uri", sent), ("scope", "openid")];
            let page = server.browser().page(&server.authorize(&asked)).await;
            assert_eq!(page.name() == "login", accepted, "{id} {uri} {sent}");
        }
    }
    // One that keeps a secret, or says that it is a web app, has the port that it registered.
    for changes in [json!({}), json!({ "token_endpoint_auth_method": "none", "application_type": "web" })] {
        let mut row = json!({ "client_id": "web", "redirect_uris": [CALLBACK] });
        row.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        apply_client(&server, row).await.unwrap();
        for (uri, name) in [(CALLBACK, "login"), ("http://127.0.0.1:9998/cb", "error")] {
            let asked = server.authorize(&[("redirect_uri", uri), ("scope", "openid")]);
            assert_eq!(server.browser().page(&asked).await.name(), name, "{changes} {uri}");
        }
    }
}

/// RFC 8252 §7.1 wants a domain name in the scheme; many apps have none, and an administrator knows which.
#[tokio::test]
async fn administrator_registers_schemes_and_hosts_without_https() {
    let server = open().await;
    for (row, problem) in [
        (json!({ "redirect_uris": ["cursor://callback"] }), None),
        (
            json!({ "redirect_uris": ["audiobookshelf://oauth"], "post_logout_redirect_uris": ["audiobookshelf://bye"] }),
            None,
        ),
        (json!({ "redirect_uris": ["http://nas.lan:8096/cb"], "http_redirect_hosts": ["nas.lan"] }), None),
        (json!({ "redirect_uris": ["http://192.168.1.7/cb"], "http_redirect_hosts": ["192.168.1.0/24"] }), None),
        (json!({ "redirect_uris": ["http://nas.lan/cb"] }), Some("http_redirect_hosts")),
        (
            json!({ "redirect_uris": ["http://nas.lan.evil.example/cb"], "http_redirect_hosts": ["nas.lan"] }),
            Some("redirect_uris"),
        ),
        (
            json!({ "redirect_uris": ["http://app.example/cb"], "http_redirect_hosts": ["0.0.0.0/0"] }),
            Some("every address"),
        ),
        (json!({ "redirect_uris": ["javascript://cb"] }), Some("redirect_uris")),
        (json!({ "redirect_uris": ["localhost:8080/cb"] }), Some("redirect_uris")),
        (json!({ "redirect_uris": ["cursor://callback"], "application_type": "web" }), Some("native")),
    ] {
        let mut whole = json!({ "client_id": "app", "token_endpoint_auth_method": "none" });
        whole.as_object_mut().unwrap().extend(row.as_object().unwrap().clone());
        let done = apply_client(&server, whole).await;
        if let Some(says) = problem {
            assert!(done.as_ref().is_err_and(|text| text.contains(says)), "{row}: {done:?}");
            continue;
        }
        done.unwrap_or_else(|error| panic!("{row}: {error}"));
        let uri = row["redirect_uris"][0].as_str().unwrap();
        let asked = [("client_id", "app"), ("redirect_uri", uri), ("scope", "openid")];
        let browser = server.browser();
        browser.sign_in_as("alice").await;
        let consent = browser.page(&server.authorize(&asked)).await;
        let (action, form) = consent.form(&[("decision", "allow")]);
        let answer = browser.raw_post(&action, &form).await;
        let answer = browser.raw(answer.headers()["location"].to_str().unwrap()).await;
        let to = answer.headers()["location"].to_str().unwrap();
        assert!(to.starts_with(&format!("{uri}?code=")), "{to}");
        // Whoever listens there could be another program: it is asked about each time.
        assert_eq!(browser.page(&server.authorize(&asked)).await.name(), "consent", "{row}");
    }
    let exported = signet::manage::export::export(&server.app.manager()).await.unwrap();
    let exported = serde_json::to_value(exported).unwrap();
    assert_eq!(exported["clients"][0]["http_redirect_hosts"], json!(["192.168.1.0/24"]));
}
