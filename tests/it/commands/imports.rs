//! What comes from another system or another deployment: short secrets, secrets of another master key, usernames that are
//! said twice.

use serde_json::{Value, json};

use super::{example, token_status, with_example};
use crate::support::program::Program;
use crate::support::{CALLBACK, PASSWORD, SECRET};

const SHORT: &str = "hunter2";

/// The example whose client brings a short secret; with that said of it, or of the document.
fn imported(client: Option<bool>, document: Option<bool>) -> String {
    let mut example = example();
    example["clients"][0]["client_secret"] = json!(SHORT);
    if let Some(imported) = client {
        example["clients"][0]["imported"] = json!(imported);
    }
    if let Some(imported) = document {
        example["imported"] = json!(imported);
    }
    example.to_string()
}

#[tokio::test]
async fn a_short_secret_is_taken_where_it_is_imported_and_marked_for_rotation() {
    let program = Program::installed().await;
    for (client, document) in [(None, None), (Some(false), None), (None, Some(false))] {
        let line = program.run_with(&["apply", "-"], &imported(client, document)).refused();
        assert!(line.contains("clients[0].client_secret") && line.contains("\"imported\": true"), "{line}");
        assert!(!line.contains(SHORT), "{line}");
    }
    let server = program.serve(&["serve"]);
    for (client, document) in [(Some(true), None), (None, Some(true))] {
        program.run_with(&["apply", "-"], &imported(client, document)).done();
        assert_eq!(token_status(&program, SHORT).await, 200);
        assert_eq!(program.run_with(&["apply", "-"], &imported(client, document)).done(), "nothing to change\n");
        assert!(program.done(&["client", "list"]).contains("rotate its secret"));
        assert_eq!(program.json(&["client", "list", "--json"])[0]["rotate_secret"], true);
        // The mark goes with the secret into a document and back.
        let exported = program.done(&["export"]);
        assert_eq!(program.run_with(&["apply", "-"], &exported).done(), "nothing to change\n");
        program.done(&["client", "delete", "web"]);
        program.run_with(&["apply", "-"], &exported).done();
        assert_eq!(program.json(&["client", "list", "--json"])[0]["rotate_secret"], true);
        program.done(&["client", "rotate-secret", "web"]);
        assert!(!program.done(&["client", "list"]).contains("rotate"));
        assert_eq!(program.json(&["client", "list", "--json"])[0]["rotate_secret"], false);
    }
    assert_eq!(token_status(&program, SHORT).await, 401);
    // A long one is no worse for being imported.
    let mut long = example();
    long["imported"] = json!(true);
    program.run_with(&["apply", "-"], &long.to_string()).done();
    assert_eq!(program.json(&["client", "list", "--json"])[0]["rotate_secret"], false);
    server.stop();
}

#[tokio::test]
async fn a_short_secret_is_refused_where_nothing_would_guard_it() {
    let program = Program::installed().await;
    let client = |secret: &str, members: Value| {
        let mut client = json!({ "client_id": "app", "client_secret": secret, "redirect_uris": [CALLBACK],
                                 "imported": true });
        client.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        json!({ "clients": [client] }).to_string()
    };
    for (secret, members) in [
        ("", json!({})),
        (SHORT, json!({ "token_endpoint_auth_method": "client_secret_jwt" })),
        (SHORT, json!({ "id_token_signed_response_alg": "HS256" })),
        (SHORT, json!({ "token_endpoint_auth_method": "none" })),
    ] {
        let line = program.run_with(&["apply", "-"], &client(secret, members)).refused();
        assert!(line.contains("clients[0].client_secret"), "{line}");
    }
    let line = program.run_with(&["apply", "-"], &client(SHORT, json!({ "imported": "yes" }))).refused();
    assert!(line.contains("imported"), "{line}");
    let create = ["client", "create", "--redirect-uri", CALLBACK, "--secret-stdin"];
    assert!(program.run_with(&create, SHORT).refused().contains("32"));
}

#[tokio::test]
async fn secrets_of_another_master_key_are_refused_one_by_one() {
    let mut document = example();
    let clients = document["clients"].as_array_mut().unwrap();
    clients.push(json!({ "client_id": "macs", "client_secret": SECRET, "redirect_uris": [CALLBACK],
                         "token_endpoint_auth_method": "client_secret_jwt" }));
    clients.push(json!({ "client_id": "signs", "token_endpoint_auth_method": "none", "redirect_uris": [CALLBACK],
                         "signature_keys": [
                             { "keyid": "k1", "alg": "hmac-sha256", "secret": "a1kzdjlRcFQ3bVh3MkxSejhzQm40SGNENmZHajFWYUU=" },
                             { "keyid": "k2", "alg": "hmac-sha256", "secret": "azF2OVFwVDdtWHcyTFJ6OHNCbjRIY0Q2ZkdqMVZhRWs=" }] }));
    let first = Program::installed().await;
    first.run_with(&["apply", "-"], &document.to_string()).done();
    let exported = first.json(&["export"]);
    let at = |id: &str| exported["clients"].as_array().unwrap().iter().position(|row| row["client_id"] == id).unwrap();
    let second = Program::new().await;
    second.run_with(&["user", "create", "root", "--admin", "--password-stdin"], PASSWORD).done();
    let before = second.done(&["export"]);
    let line = second.run_with(&["apply", "-"], &exported.to_string()).refused();
    let signs = at("signs");
    for named in [
        format!("clients[{}].client_secret_hash: was made under another master key", at("web")),
        format!("clients[{}].client_secret_hash: was made under another master key", at("macs")),
        format!("clients[{signs}].signature_keys[0].sealed_secret: was sealed under another master key"),
        format!("clients[{signs}].signature_keys[1].sealed_secret: was sealed under another master key"),
    ] {
        assert!(line.contains(&named), "{named}: {line}");
    }
    assert!(line.contains("nothing was changed") && line.contains("master_key"), "{line}");
    assert_eq!(second.done(&["export"]), before);
    // What the message proposes.
    let mut said_anew = exported.clone();
    for row in said_anew["clients"].as_array_mut().unwrap() {
        let members = row.as_object_mut().unwrap();
        let had_secret = members.remove("client_secret_hash").is_some();
        members.remove("signature_keys");
        if had_secret && row["client_id"] == "web" {
            row["client_secret"] = json!(SECRET);
        }
    }
    let plan: Value =
        serde_json::from_str(&second.run_with(&["apply", "--json", "-"], &said_anew.to_string()).done()).unwrap();
    assert_eq!(plan["secrets"][0]["client_id"], "macs", "a new one");
    let _server = second.serve(&["serve"]);
    assert_eq!(token_status(&second, SECRET).await, 200);
    // A password's hash depends on no key.
    let browser = second.browser();
    let page = browser.open("/login").await.ok().unwrap();
    let home = browser.submit(&page, &[("username", "alice"), ("password", PASSWORD)]).await.ok().unwrap();
    assert_eq!((home.status, home.name() == "login"), (200, false));
}

#[tokio::test]
async fn a_preferred_username_may_say_the_username_again() {
    let program = with_example().await;
    let said = |name: Value| {
        let mut document = example();
        document["users"][0]["preferred_username"] = name;
        document.to_string()
    };
    for same in ["alice", "ALICE", " \u{ff41}lice"] {
        assert_eq!(program.run_with(&["apply", "-"], &said(json!(same))).done(), "nothing to change\n");
    }
    for other in ["bob", ""] {
        let line = program.run_with(&["apply", "-"], &said(json!(other))).refused();
        assert!(line.contains("users[0].preferred_username: differs from username"), "{line}");
    }
    assert!(program.run_with(&["apply", "-"], &said(json!(1))).refused().contains("users[0].preferred_username"));
    assert!(!program.done(&["export"]).contains("preferred_username"));
}
