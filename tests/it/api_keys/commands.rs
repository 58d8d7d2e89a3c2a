//! `signet api-key`: what it makes, prints and refuses, on the program itself.

use serde_json::{Value, json};
use signet::domain::api_key::ApiKeySecret;

use crate::support::program::Program;
use crate::support::{CALLBACK, PASSWORD, SECRET};

async fn program() -> Program {
    let program = Program::installed().await;
    let api = |gate: &str, accepts: &str| {
        json!({ "identifier": format!("https://{gate}.example"), "scopes": ["read", "write"], "gate": gate,
                "accepts": [accepts] })
    };
    let document = json!({
        "users": [{ "username": "alice", "password": PASSWORD }],
        "apis": [api("orders", "api_key"), api("stock", "basic"), api("closed", "bearer")],
        "clients": [{ "client_id": "web", "client_secret": SECRET, "redirect_uris": [CALLBACK], "scope": "openid",
                      "api_scopes": { "https://orders.example": ["read"], "https://stock.example": ["read"] } }],
    });
    program.run_with(&["apply", "-"], &document.to_string()).done();
    program
}

fn list(program: &Program, of: &[&str]) -> Vec<Value> {
    let listed = program.json(&[&["api-key", "list", "--json"], of].concat());
    listed.as_array().unwrap().clone()
}

#[tokio::test]
async fn keys_are_made_listed_and_revoked() {
    let program = program().await;
    let ordered = ["api-key", "create", "--user", "Alice", "--api", "orders", "--scope", "read", "--scope", "write"];
    let limits = ["--name", "ci", "--expires", "3600", "--allow", "10.1.2.3/8", "--allow", "192.0.2.1", "--json"];
    let made = program.json(&[ordered.as_slice(), &limits].concat());
    assert_eq!(made.as_object().unwrap().keys().collect::<Vec<_>>(), ["id", "key"], "these two and no more");
    let (id, key) = (made["id"].as_str().unwrap(), made["key"].as_str().unwrap());
    assert!(ApiKeySecret::parse(key).is_some(), "{key}");

    let said = program.run(&["api-key", "create", "--client", "web", "--api", "stock"]);
    assert!(said.code == 0 && said.err.contains("has no scope"), "{}{}", said.out, said.err);
    let said = said.out;
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].ends_with(" opens the gate stock, until it is revoked"), "{said}");
    let second = lines[1].strip_prefix("API key, shown only now: ").unwrap();
    assert!(lines.len() == 2 && ApiKeySecret::parse(second).is_some(), "{said}");

    let all = list(&program, &[]);
    assert_eq!(all.len(), 2);
    let (webs, alices) = (&all[0], &all[1]);
    assert_eq!((&webs["client"], &webs["user"], &webs["scope"]), (&json!("web"), &Value::Null, &json!("")));
    assert_eq!((&webs["expires_at"], &webs["name"]), (&Value::Null, &json!("made at the command line")));
    let shown = ["id", "user", "api", "name", "scope"].map(|member| alices[member].as_str().unwrap());
    assert_eq!(shown, [id, "alice", "orders", "ci", "read write"]);
    assert_eq!(alices["allow"], json!(["10.0.0.0/8", "192.0.2.1/32"]));
    assert!(alices["expires_at"].is_string() && alices["created_at"].is_string() && alices["last_used_at"].is_null());
    assert_eq!(Value::Array(list(&program, &["--user", "alice"])), json!([alices]));
    assert_eq!(Value::Array(list(&program, &["--client", "web"])), json!([webs]));
    let table = program.done(&["api-key", "list"]);
    assert!(table.starts_with("ID ") && table.contains("user alice") && table.contains("client web"), "{table}");
    for listed in [table, json!(all).to_string(), program.done(&["export"])] {
        assert!(!listed.contains(key) && !listed.contains(second), "shown once");
    }

    assert_eq!(program.json(&["api-key", "revoke", id, "--json"]), json!({ "id": id, "revoked": true }));
    assert_eq!(Value::Array(list(&program, &[])), json!([webs]));
    assert!(program.run(&["api-key", "revoke", id]).refused().contains(id));
    let webs = webs["id"].as_str().unwrap();
    assert!(program.done(&["api-key", "revoke", webs]).contains("is revoked"));
    assert_eq!((list(&program, &[]).len(), program.count("api_key").await), (0, 0));
}

#[tokio::test]
async fn key_without_a_scope_is_warned_of_on_stderr() {
    let program = program().await;
    let create = ["api-key", "create", "--user", "alice", "--api", "orders", "--json"];
    let said = program.run(&create);
    assert_eq!((said.code, said.err.lines().count()), (0, 1), "{}", said.err);
    assert!(said.err.contains("has no scope") && said.err.contains("--scope"), "{}", said.err);
    let made: Value = serde_json::from_str(&said.out).unwrap();
    assert!(ApiKeySecret::parse(made["key"].as_str().unwrap()).is_some(), "the output is JSON alone");
    program.json(&[&create[..], &["--scope", "read"]].concat());
    // An API without scopes has none to give.
    let api = json!({ "identifier": "https://plain.example", "gate": "plain", "accepts": ["api_key"] });
    program.run_with(&["apply", "-"], &json!({ "apis": [api] }).to_string()).done();
    program.json(&["api-key", "create", "--user", "alice", "--api", "plain", "--json"]);
}

/// 1 refused, with one line that says what; 2 wrong usage.
#[tokio::test]
async fn what_is_refused_is_said_in_one_line_and_makes_nothing() {
    let program = program().await;
    let create = |rest: &[&str]| program.run(&[&["api-key", "create"], rest].concat());
    for (rest, said) in [
        (vec!["--user", "bob", "--api", "orders"], "no user bob"),
        (vec!["--client", "gone", "--api", "orders"], "no client gone"),
        (vec!["--user", "alice", "--api", "closed"], "closed"),
        (vec!["--user", "alice", "--api", "nowhere"], "nowhere"),
        (vec!["--user", "alice", "--api", "orders", "--scope", "read delete"], "delete"),
        (vec!["--client", "web", "--api", "orders", "--scope", "write"], "write"),
        (vec!["--user", "alice", "--api", "orders", "--expires", "0"], "expires"),
        (vec!["--user", "alice", "--api", "orders", "--expires", "2001-01-01"], "expires"),
        (vec!["--user", "alice", "--api", "orders", "--expires", "9223372036854775807"], "expires"),
        (vec!["--user", "alice", "--api", "orders", "--name", " "], "name"),
    ] {
        let line = create(&rest).refused();
        assert!(line.contains(said), "{rest:?}: {line}");
    }
    for rest in [
        vec![],
        vec!["--api", "orders"],
        vec!["--user", "alice"],
        vec!["--user", "alice", "--client", "web", "--api", "orders"],
        vec!["--user", "alice", "--api", "Orders!"],
        vec!["--user", "alice", "--api", "orders", "--expires", "soon"],
        vec!["--user", "alice", "--api", "orders", "--allow", "example.com"],
        vec!["--user", "alice", "--api", "orders", "--scope", "\""],
    ] {
        let said = create(&rest);
        assert_eq!((said.code, said.out.as_str()), (2, ""), "{rest:?}");
    }
    assert_eq!(program.run(&["api-key", "list", "--user", "alice", "--client", "web"]).code, 2);
    assert_eq!(program.run(&["api-key", "revoke", "nonsense"]).code, 2);
    assert_eq!(program.count("api_key").await, 0);
}
