//! The keys that message signatures are by: a client's rows in documents, the ones that it publishes, and what ends one. Next
//! door: [`super::signatures`], the signatures.

use serde_json::{Value, json};
use signet::config::RegistrationMode;
use signet::manage::document::{Document, DocumentFormat};
use signet::manage::{AuditContext, ManageError, clients};

use super::signatures::{ALGORITHMS, Signed, apply_clients, jwk, registered, row, with_keys};
use super::{put_api, with_gate};
use crate::support::Server;
use crate::support::receiver::{self, Answer, Receiver};

#[tokio::test]
async fn a_key_ends_with_its_row_and_its_client() {
    for what in
        ["the key is taken out", "another key by that name", "the client is off", "the client is gone", "not taken"]
    {
        let server = with_keys(json!({})).await;
        let send = async || Signed::new(&server, "ed25519").send(&server).await.status;
        assert_eq!(send().await, 200, "{what}");
        let (manager, by) = (server.app.manager(), AuditContext::command_line());
        let web = signet::domain::ids::ClientId::parse("web").unwrap();
        match what {
            "the key is taken out" => drop(apply_clients(&server, json!([row("web", json!([]))])).await.unwrap()),
            "another key by that name" => {
                let mut key = registered("ecdsa-p256-sha256", "ed25519");
                key["alg"] = json!("ecdsa-p256-sha256");
                apply_clients(&server, json!([row("web", json!([key]))])).await.unwrap();
            }
            "the client is off" => drop(clients::disable(&manager, &by, &web).await.unwrap()),
            "the client is gone" => clients::delete(&manager, &by, &web).await.unwrap(),
            _ => put_api(&server, json!({ "accepts": ["bearer"] })).await,
        }
        assert_eq!(send().await, 401, "{what}");
    }
    // Its name is free for another client then.
    let server = with_keys(json!({})).await;
    let taken = apply_clients(&server, json!([row("other", json!([registered("ed25519", "ed25519")]))])).await;
    assert!(
        matches!(&taken, Err(ManageError::Taken(fields)) if fields[0].field == "clients[0].signature_keys"),
        "{taken:?}"
    );
    apply_clients(&server, json!([row("web", json!([]))])).await.unwrap();
    apply_clients(&server, json!([row("other", json!([registered("ed25519", "ed25519")]))])).await.unwrap();
    assert_eq!(Signed::new(&server, "ed25519").send(&server).await.header("x-gate-client"), "other");
}

/// A client's own published keys, by `client_id:kid`; one that registered itself has no scopes of its own.
#[tokio::test]
async fn a_published_key_is_named_by_its_client() {
    let server = with_gate(json!({ "accepts": ["message_signature"] })).await;
    let mut public = registered("ecdsa-p256-sha256", "k")["jwk"].clone();
    public["kid"] = json!("first:key");
    server.client("robot", json!({ "scope": "read", "jwks": { "keys": [public] } })).await;
    let request = Signed { keyid: "robot:first:key".into(), ..Signed::new(&server, "ecdsa-p256-sha256") };
    let answer = request.send(&server).await;
    assert_eq!((answer.status, answer.header("x-gate-client")), (200, "robot"), "{}", answer.body);
    for keyid in ["robot:key", "robot:", "web:first:key", ":first:key", "robot", "first:key"] {
        let request = Signed { keyid: keyid.into(), ..Signed::new(&server, "ecdsa-p256-sha256") };
        assert_eq!(request.send(&server).await.status, 401, "{keyid}");
    }
}

/// At its `jwks_uri` too; but one that registered itself has its scopes to ask people for, unless the policy gave it
/// `client_credentials`.
#[tokio::test]
async fn a_key_at_a_clients_address_counts_for_who_acts_for_itself() {
    let there = Receiver::start().await;
    let mut public = registered("ed25519", "k")["jwk"].clone();
    public["kid"] = json!("k1");
    there.answer("/keys", Answer::json(&json!({ "keys": [public] })));
    let server = Server::start_with(|config| {
        receiver::reachable(config);
        config.trusted_proxies = serde_json::from_value(json!("127.0.0.1")).unwrap();
        config.registration = RegistrationMode::Open;
    })
    .await;
    put_api(&server, json!({ "accepts": ["message_signature"] })).await;
    server.client("robot", json!({ "jwks_uri": there.at("/keys"), "scope": "read" })).await;
    let by = async |client: &str| {
        let request = Signed { keyid: format!("{client}:k1"), ..Signed::new(&server, "ed25519") };
        request.send(&server).await.status
    };
    assert_eq!(by("robot").await, 200);
    let asked = json!({ "jwks_uri": there.at("/keys"), "redirect_uris": ["https://app.example/cb"] });
    let answer =
        reqwest::Client::new().post(format!("{}/oauth2/register", server.url)).json(&asked).send().await.unwrap();
    let stranger: Value = answer.json().await.unwrap();
    let id = stranger["client_id"].as_str().unwrap_or_else(|| panic!("{stranger}"));
    assert_eq!(by(id).await, 401);
}

#[tokio::test]
async fn documents_name_what_is_wrong_and_come_back_from_export() {
    let server = with_keys(json!({})).await;
    let exported = signet::manage::export::export(&server.app.manager()).await.unwrap();
    let exported = serde_json::to_value(exported).unwrap();
    let keys = &exported["clients"][0]["signature_keys"];
    assert_eq!(keys.as_array().unwrap().len(), 4);
    assert!(keys[0]["sealed_secret"].is_string() && keys[0].get("secret").is_none(), "{keys}");
    let same = apply_clients(&server, exported["clients"].clone()).await.unwrap();
    assert_eq!(same, Vec::<String>::new());
    let again: Vec<Value> = ALGORITHMS.iter().map(|alg| registered(alg, alg)).collect();
    assert_eq!(apply_clients(&server, json!([row("web", json!(again))])).await.unwrap(), Vec::<String>::new());
    // A row that does not speak of them leaves them.
    let mut silent = row("web", json!([]));
    silent.as_object_mut().unwrap().remove("signature_keys");
    assert_eq!(apply_clients(&server, json!([silent])).await.unwrap(), Vec::<String>::new());
    let secret = registered("hmac-sha256", "k");
    let public = registered("ed25519", "k");
    let with = |base: &Value, name: &str, value: Value| {
        let mut key = base.clone();
        key[name] = value;
        json!([key])
    };
    let mut sealed = keys[0].clone();
    sealed["keyid"] = json!("another");
    for (what, keys, field) in [
        ("short", with(&secret, "secret", json!("c2hvcnQ=")), "signature_keys[0].secret"),
        ("no base64", with(&secret, "secret", json!("?".repeat(50))), "signature_keys[0].secret"),
        ("both", with(&secret, "jwk", public["jwk"].clone()), "signature_keys[0].alg"),
        ("neither", json!([{ "keyid": "k", "alg": "ed25519" }]), "signature_keys[0].jwk"),
        ("private", with(&public, "jwk", Value::Object(jwk("ed25519"))), "signature_keys[0].jwk"),
        ("of another algorithm", with(&public, "alg", json!("rsa-pss-sha512")), "signature_keys[0].jwk"),
        ("twice", json!([secret, secret]), "signature_keys[1].keyid"),
        ("sealed for another", json!([sealed]), "signature_keys[0].sealed_secret"),
    ] {
        let refused = apply_clients(&server, json!([row("web", keys)])).await;
        let Err(ManageError::Invalid(problems)) = refused else { panic!("{what}: {refused:?}") };
        assert_eq!(problems[0].field, format!("clients[0].{field}"), "{what}");
    }
    for bad in [
        json!([{ "keyid": "a b", "alg": "ed25519" }]),
        json!([{ "keyid": "k", "alg": "none" }]),
        json!([{ "keyid": "k", "alg": "hmac-sha256", "secret": 7_654_321 }]),
        json!([{ "keyid": "k", "alg": "hmac-sha256", "odd": 1 }]),
    ] {
        let text = json!({ "clients": [row("web", bad)] }).to_string();
        let error = Document::parse(&text, DocumentFormat::Json).unwrap_err();
        assert!(error.contains("clients[0].signature_keys") && !error.contains("7654321"), "{error}");
    }
}
