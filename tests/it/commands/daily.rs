//! The daily jobs: `signet user`, `signet client`, `signet key`.

use reqwest::Client as Http;
use serde_json::{Value, json};

use super::token_status;
use crate::passkey::add;
use crate::support::authenticator::Authenticator;
use crate::support::program::{Program, within};
use crate::support::{CALLBACK, PASSWORD, SECRET};

#[tokio::test]
async fn people_are_made_and_changed_by_command() {
    let program = Program::installed().await;
    let create = ["user", "create", "alice", "--email", "alice@example.com", "--name", "Alice Example"];
    let made = program
        .run_with(&[&create[..], &["--group", "staff", "--admin", "--password-stdin", "--json"]].concat(), PASSWORD);
    let made: Value = serde_json::from_str(&made.done()).unwrap();
    assert_eq!(
        (&made["username"], &made["groups"], &made["admin"]),
        (&json!("alice"), &json!(["staff"]), &json!(true))
    );
    let named = |command: &str, name: &str| program.json(&["user", command, name, "--json"]);
    program.run_with(&["user", "create", "bob", "--password-stdin"], "another fine long password\n").done();
    assert_eq!(named("disable", "bob")["disabled"], true);
    assert_eq!(named("enable", "bob")["disabled"], false);
    let reset = program.run_with(&["user", "reset", "bob", "--password-stdin", "--json"], PASSWORD).done();
    assert!(!reset.contains(PASSWORD));
    assert_eq!(named("delete", "bob")["deleted"], true);
    let list = program.json(&["user", "list", "--json"]);
    assert_eq!((list.as_array().unwrap().len(), &list[0]["username"]), (1, &json!("alice")));
    assert!(program.done(&["user", "list"]).contains("administrator"));
    for (arguments, input, says) in [
        (vec!["user", "create", "alice", "--password-stdin"], PASSWORD, "already"),
        (vec!["user", "create", "bob", "--password-stdin"], "password", "password"),
        (vec!["user", "create", "bob", "--password-stdin"], "", "password"),
        (vec!["user", "create", "bob"], "", "--password-stdin"),
        (vec!["user", "create", "b b", "--password-stdin"], PASSWORD, "username"),
        (vec!["user", "disable", "alice"], "", "last administrator"),
        (vec!["user", "delete", "alice"], "", "last administrator"),
        (vec!["user", "disable", "nobody"], "", "nobody"),
        (vec!["user", "reset", "nobody", "--password-stdin"], PASSWORD, "nobody"),
    ] {
        let line = program.run_with(&arguments, input).refused();
        assert!(line.contains(says), "{arguments:?}: {line}");
    }
}

#[tokio::test]
async fn clients_are_made_and_changed_by_command_and_a_secret_is_shown_once() {
    let program = Program::installed().await;
    let create = ["client", "create", "--id", "web", "--name", "Web", "--redirect-uri", CALLBACK];
    let made = program.json(
        &[&create[..], &["--grant-type", "client_credentials", "--grant-type", "authorization_code", "--json"]]
            .concat(),
    );
    let secret = made["client_secret"].as_str().unwrap().to_owned();
    assert!(secret.len() >= 32);
    let _server = program.serve(&["serve"]);
    assert_eq!(token_status(&program, &secret).await, 200);
    let rotated =
        program.json(&["client", "rotate-secret", "web", "--json"])["client_secret"].as_str().unwrap().to_owned();
    within(5, || async { token_status(&program, &rotated).await == 200 }).await;
    assert_eq!(token_status(&program, &secret).await, 401);
    let own = program.run_with(&["client", "rotate-secret", "web", "--secret-stdin", "--json"], SECRET).done();
    assert!(!own.contains(SECRET), "it is known to who typed it");
    let all =
        program.done(&["client", "list", "--json"]) + &program.done(&["export"]) + &program.done(&["client", "list"]);
    assert!([secret.as_str(), &rotated, SECRET].iter().all(|secret| !all.contains(secret)));
    let public = program.json(&["client", "create", "--id", "app", "--public", "--redirect-uri", CALLBACK, "--json"]);
    assert_eq!(public, json!({ "client_id": "app" }));
    assert_eq!(program.json(&["client", "disable", "app", "--json"])["disabled"], true);
    assert_eq!(program.json(&["client", "enable", "app", "--json"])["disabled"], false);
    assert_eq!(program.json(&["client", "delete", "app", "--json"])["deleted"], true);
    assert_eq!(program.json(&["client", "list", "--json"]).as_array().unwrap().len(), 1);
    for (arguments, input, says) in [
        (vec!["client", "create", "--id", "web", "--redirect-uri", CALLBACK], "", "web"),
        (vec!["client", "create", "--id", "new", "--redirect-uri", CALLBACK, "--secret-stdin"], "short", "32"),
        (vec!["client", "rotate-secret", "nobody"], "", "nobody"),
        (vec!["client", "delete", "nobody"], "", "nobody"),
    ] {
        let line = program.run_with(&arguments, input).refused();
        assert!(line.contains(says), "{arguments:?}: {line}");
    }
}

#[tokio::test]
async fn keys_are_listed_rotated_and_retired_by_command() {
    let program = Program::installed().await;
    let _server = program.serve(&["serve"]);
    let list = program.json(&["key", "list", "--json"]);
    let of = |list: &Value, state: &str| -> Vec<String> {
        let rows = list.as_array().unwrap().iter().filter(|key| key["alg"] == "ES256" && key["state"] == state);
        rows.map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(list.as_array().unwrap().len(), 9, "an active one of each kind, and the next of RS256, ES256 and EdDSA");
    let rotated = program.json(&["key", "rotate", "--alg", "ES256", "--json"]);
    assert_eq!(rotated, json!([{ "alg": "ES256", "kid": of(&list, "next")[0] }]));
    let after = program.json(&["key", "list", "--json"]);
    assert_eq!((of(&after, "active"), of(&after, "retired")), (of(&list, "next"), of(&list, "active")));
    let published = |kid: String| {
        let url = format!("{}/.well-known/jwks.json", program.url());
        async move { Http::new().get(url).send().await.unwrap().text().await.unwrap().contains(&kid) }
    };
    within(5, || published(of(&after, "next")[0].clone())).await;
    let old = &of(&after, "retired")[0];
    assert!(published(old.clone()).await, "a retired key stays published");
    assert_eq!(program.json(&["key", "retire", old, "--json"]), json!({ "kid": old, "retired": true }));
    within(5, || async { !published(old.clone()).await }).await;
    assert!(program.run(&["key", "retire", "nothing"]).refused().contains("nothing"));
    assert!(program.run(&["key", "retire", "-x0", "--json"]).refused().contains("-x0"), "names may begin like options");
    assert_eq!(program.done(&["key", "list"]).lines().count(), 10);
    let algs = |done: Value| -> Vec<String> {
        done.as_array().unwrap().iter().map(|key| key["alg"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(algs(program.json(&["key", "rotate", "--json"])), ["RS256", "ES256"]);
    assert_eq!(algs(program.json(&["key", "rotate", "--all", "--json"])).len(), 6);
}

/// What a reset removes, and what it says.
#[tokio::test]
async fn a_reset_removes_what_it_is_not_told_to_keep() {
    let mut program = Program::installed().await;
    // Passkeys need a host that is a name.
    let url = program.url().replace("127.0.0.1", "localhost");
    program.set("SIGNET_ISSUER", &url);
    program.run_with(&["user", "create", "bob", "--password-stdin"], PASSWORD).done();
    let api = json!({ "apis": [{ "identifier": "https://orders.example", "scopes": ["read"], "gate": "orders",
                                 "accepts": ["api_key"] }] });
    program.write("api.json", &api.to_string());
    program.done(&["apply", "api.json"]);
    let _server = program.serve(&["serve"]);
    let prepare = async |passkey: bool| {
        let browser = program.browser();
        browser.sign_in_as("bob").await;
        if passkey {
            assert!(add(&browser, &mut Authenticator::new(&url)).await.html.contains("is added"));
        }
        program.json(&["api-key", "create", "--user", "bob", "--api", "orders", "--scope", "read", "--json"]);
        browser
    };
    let browser = prepare(true).await;
    let listed = program.json(&["user", "passkeys", "bob", "--json"]);
    assert!(listed.as_array().unwrap().len() == 1 && listed[0]["name"] == "Test on Linux", "{listed}");
    assert!(program.done(&["user", "passkeys", "bob"]).contains("Test on Linux"));
    let kept = ["user", "reset", "bob", "--keep", "passkeys,api-keys", "--password-stdin", "--json"];
    let reset: Value = serde_json::from_str(&program.run_with(&kept, PASSWORD).done()).unwrap();
    let removed = &reset["removed"];
    assert_eq!((&removed["passkeys"], &removed["api_keys"], &removed["sessions"]), (&json!(0), &json!(0), &json!(1)));
    within(5, || async { browser.raw("/account").await.status() == 303 }).await;
    // Another passkey would need a sign-in with the one that is kept.
    let browser = prepare(false).await;
    let kept = ["user", "reset", "bob", "--keep", "sessions,grants", "--password-stdin"];
    let said = program.run_with(&kept, PASSWORD).done();
    assert!(said.contains("removed: 1 passkey, 2 API keys"), "{said}");
    assert_eq!(browser.raw("/account").await.status(), 200);
    drop(prepare(true).await);
    let said = program.run_with(&["user", "reset", "bob", "--password-stdin"], PASSWORD).done();
    assert!(said.contains("1 passkey, 1 API key, 2 sessions"), "{said}");
    assert_eq!(program.json(&["user", "passkeys", "bob", "--json"]), json!([]));
    // One alone.
    drop(prepare(true).await);
    let id = program.json(&["user", "passkeys", "bob", "--json"])[0]["id"].as_str().unwrap().to_owned();
    program.run_with(&["user", "create", "carol", "--password-stdin"], PASSWORD).done();
    assert!(program.run(&["user", "remove-passkey", "carol", &id]).refused().contains("carol has no passkey"));
    assert!(program.run(&["user", "remove-passkey", "bob", "nonsense"]).refused().contains("has no passkey"));
    assert_eq!(program.json(&["user", "remove-passkey", "bob", &id, "--json"])["removed"], true);
    assert_eq!(program.json(&["user", "passkeys", "bob", "--json"]), json!([]));
    assert_eq!(program.run(&["user", "reset", "bob", "--keep", "nonsense"]).code, 2);
}

#[tokio::test]
async fn unknown_scopes_of_a_client_are_warned_of_on_stderr() {
    let program = Program::installed().await;
    let create = ["client", "create", "--redirect-uri", CALLBACK, "--json", "--id"];
    let said = program.run(&[&create[..], &["web", "--scope", "openid prfile"]].concat());
    assert_eq!((said.code, said.err.lines().count()), (0, 1), "{}", said.err);
    assert!(said.err.contains("warning: ") && said.err.contains("prfile"), "{}", said.err);
    let made: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(made["client_id"], "web", "the output is JSON alone");
    program.json(&[&create[..], &["other", "--scope", "openid profile"]].concat());
    let text = program.run(&["client", "create", "--redirect-uri", CALLBACK, "--scope", "openid prfile"]);
    assert!(text.code == 0 && text.err.contains("prfile") && !text.out.contains("prfile"), "{}{}", text.out, text.err);
}

/// Of a gateway before APIs, of an app in the own network, and of one with a scheme of its own.
#[tokio::test]
async fn client_is_made_for_a_lan_a_scheme_or_a_gateway() {
    let program = Program::installed().await;
    let api = "https://orders.example.com";
    program.done(&["api", "create", "--identifier", api]);
    let create = ["client", "create", "--json"];
    let films = ["--id", "films", "--redirect-uri", "http://nas.lan/cb"];
    let line = program.run_with(&[&create[..], &films].concat(), "").refused();
    assert!(line.contains("http_redirect_hosts"), "{line}");
    program.json(&[&create[..], &films, &["--http-redirect-host", "nas.lan"]].concat());
    program.json(&[&create[..], &["--id", "editor", "--public", "--redirect-uri", "cursor://callback"]].concat());
    let gateway = ["--id", "gateway", "--grant-type", "client_credentials", "--scope", "", "--introspection-api"];
    program.json(&[&create[..], &gateway, &[api]].concat());
    let nowhere = ["--grant-type", "client_credentials", "--introspection-api", "https://nowhere.example.com"];
    let line = program.run_with(&[&create[..], &nowhere].concat(), "").refused();
    assert!(line.contains("introspection_apis") && line.contains("add it first"), "{line}");
    let exported = program.json(&["export"]);
    let member = |id: &str, name: &str| {
        let found = exported["clients"].as_array().unwrap().iter().find(|client| client["client_id"] == id).cloned();
        found.unwrap()[name].clone()
    };
    assert_eq!(member("films", "http_redirect_hosts"), json!(["nas.lan"]));
    assert_eq!(member("editor", "redirect_uris"), json!(["cursor://callback"]));
    assert_eq!(member("gateway", "introspection_apis"), json!([api]));
    program.write("again.json", &exported.to_string());
    assert!(program.done(&["apply", "again.json"]).contains("nothing to change"));
}
