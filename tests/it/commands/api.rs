//! `signet api`: APIs and their rules by command.

use serde_json::{Value, json};

use crate::support::program::Program;

const ID: &str = "https://orders.example.com";

fn rules() -> Value {
    json!([
        { "methods": ["GET"], "path": "/public/**", "allow": "anonymous" },
        { "methods": ["GET"], "path": "/orders/**", "scopes": ["read"], "groups": ["staff"] },
    ])
}

#[tokio::test]
async fn apis_are_made_changed_and_deleted_by_command() {
    let program = Program::installed().await;
    program.write("rules.json", &rules().to_string());
    let create = ["api", "create", "--identifier", ID, "--name", "Orders", "--scope", "read", "--scope", "write"];
    let gate = ["--gate", "orders", "--accept", "bearer", "--accept", "api_key", "--rules", "rules.json"];
    let more = [
        "--lifetime",
        "300",
        "--format",
        "opaque",
        "--burst",
        "5",
        "--rate",
        "0.5",
        "--upstream-token",
        "--self-registered-clients",
        "--json",
    ];
    let made = program.json(&[&create[..], &gate, &more].concat());
    let expected = json!({
        "identifier": ID, "name": "Orders", "scopes": ["read", "write"], "self_registered_clients": true, "access_token_format": "opaque",
        "access_token_lifetime": 300, "gate": "orders", "accepts": ["bearer", "api_key"], "rules": rules(),
        "rate_limit": { "burst": 5, "per_second": 0.5 }, "upstream_token": true,
    });
    assert_eq!(made, expected);
    assert_eq!(program.json(&["api", "show", ID, "--json"]), expected);
    assert_eq!(program.json(&["api", "list", "--json"]), json!([expected]));
    assert_eq!(program.json(&["export"])["apis"], json!([expected]), "the same document everywhere");
    let shown = program.done(&["api", "show", ID]);
    assert!(shown.contains("rule 2      GET /orders/**: the scope read, and the group staff"), "{shown}");
    assert!(shown.ends_with("anything else is refused\n"), "{shown}");
    let table = program.done(&["api", "list"]);
    assert!(table.contains(ID) && table.contains("bearer api_key") && table.lines().count() == 2, "{table}");

    let one = json!([{ "methods": ["PUT"], "path": "/" }]).to_string();
    let changed = program.run_with(&["api", "update", ID, "--rules", "-", "--name", "Others", "--json"], &one).done();
    let changed: Value = serde_json::from_str(&changed).unwrap();
    assert_eq!((&changed["rules"][0]["path"], &changed["name"]), (&json!("/"), &json!("Others")));
    assert_eq!((&changed["gate"], &changed["rate_limit"]["burst"]), (&json!("orders"), &json!(5)), "the rest stays");
    assert!(
        program.json(&["api", "update", ID, "--upstream-token", "false", "--json"]).get("upstream_token").is_none()
    );
    assert!(program.done(&["api", "show", ID]).contains("self-registered, too"));
    let off = program.json(&["api", "update", ID, "--self-registered-clients", "false", "--json"]);
    assert!(off.get("self_registered_clients").is_none() && off["scopes"] == json!(["read", "write"]));
    let app = "https://app.example";
    let made = program.json(&["api", "update", ID, "--accept", "session", "--origin", app, "--json"]);
    assert_eq!((&made["accepts"], &made["origins"]), (&json!(["session"]), &json!([app])));
    assert!(program.done(&["api", "show", ID]).contains("\norigin      https://app.example\n"));
    let made = program.json(&["api", "update", ID, "--accept", "bearer", "--json"]);
    assert!(made.get("origins").is_none(), "they are for sessions alone");
    assert_eq!(program.done(&["api", "create", "--identifier", "urn:example:b"]), "urn:example:b is added\n");

    program.write("bad.json", "[{ \"methods\": [\"GET\"] }]");
    program.write("encoded.json", "[{ \"methods\": [\"GET\"], \"path\": \"/my%20files\" }]");
    for (arguments, says) in [
        (vec!["api", "create", "--identifier", ID], "already"),
        (vec!["api", "update", "urn:example:b", "--gate", "orders"], ID),
        (vec!["api", "update", "urn:example:b", "--accept", "basic"], "gate"),
        (vec!["api", "update", ID, "--accept", "session"], "origins"),
        (vec!["api", "update", ID, "--origin", app], "origins"),
        (vec!["api", "update", ID, "--lifetime", "1"], "access_token_lifetime"),
        (vec!["api", "update", ID, "--scope", "openid"], "scopes"),
        (vec!["api", "update", ID, "--rules", "bad.json"], "path"),
        (vec!["api", "update", ID, "--rules", "encoded.json"], "as people read it"),
        (vec!["api", "update", ID, "--rules", "gone.json"], "gone.json"),
        (vec!["api", "update", "urn:example:c", "--name", "C"], "urn:example:c"),
        (vec!["api", "show", "urn:example:c"], "urn:example:c"),
        (vec!["api", "delete", "urn:example:c"], "urn:example:c"),
    ] {
        let line = program.run(&arguments).refused();
        assert!(line.contains(says), "{arguments:?}: {line}");
    }
    for arguments in [
        vec!["api", "create"],
        vec!["api", "create", "--identifier", "orders"],
        vec!["api", "update", ID, "--gate", "No Name"],
        vec!["api", "update", ID, "--accept", "password"],
        vec!["api", "update", ID, "--origin", "https://app.example/"],
        vec!["api", "update", ID, "--scope", "read write"],
        vec!["api", "update", ID, "--burst", "5"],
    ] {
        assert_eq!(program.run(&arguments).code, 2, "{arguments:?}");
    }
    assert_eq!(program.json(&["api", "delete", ID, "--json"]), json!({ "identifier": ID, "deleted": true }));
    assert_eq!(program.json(&["api", "list", "--json"]).as_array().unwrap().len(), 1);
}

/// Each member that may be missing can be taken away again, alone, and is then as if it had never been set.
#[tokio::test]
async fn what_was_set_is_taken_away_by_its_name() {
    let program = Program::installed().await;
    program.write("rules.json", "[{ \"methods\": [\"GET\"], \"path\": \"/**\", \"groups\": [\"staff\"] }]");
    let create = ["api", "create", "--identifier", ID, "--scope", "read", "--scope", "write", "--lifetime", "300"];
    let gate = ["--gate", "orders", "--accept", "session", "--accept", "bearer", "--origin", "https://app.example"];
    let more = ["--rules", "rules.json", "--format", "opaque", "--burst", "5", "--rate", "0.5", "--json"];
    let full = program.json(&[&create[..], &gate, &more].concat());
    let update = |arguments: &[&str]| program.json(&[&["api", "update", ID, "--json"], arguments].concat());
    let without = |members: &[&str]| {
        let mut left = full.clone();
        left.as_object_mut().unwrap().retain(|member, _| !members.contains(&member.as_str()));
        left
    };
    let set_again = [&gate[..], &more[..8], &["--lifetime", "300"]].concat();
    for (member, gone) in [
        ("rate_limit", &["rate_limit"][..]),
        ("access_token_lifetime", &["access_token_lifetime"]),
        ("access_token_format", &["access_token_format"]),
        ("rules", &["rules"]),
        ("accepts", &["accepts", "origins"]),
        ("gate", &["gate", "accepts", "origins", "rules"]),
    ] {
        assert_eq!(update(&["--unset", member]), without(gone), "{member}");
        assert_eq!(program.json(&["api", "show", ID, "--json"]), without(gone), "{member}");
        assert_eq!(update(&set_again), full, "{member}");
    }
    assert_eq!(update(&["--scope", "admin"])["scopes"], json!(["admin"]), "the list is replaced");
    assert_eq!(update(&["--unset", "scopes"])["scopes"], json!([]));
    let changed = update(&["--unset", "origins", "--accept", "bearer", "--unset", "rate_limit"]);
    assert_eq!((changed.get("origins"), changed.get("rate_limit")), (None, None));

    let line = program.run(&["api", "update", ID, "--accept", "session", "--unset", "origins"]).refused();
    assert!(line.contains("origins"), "{line}");
    update(&["--scope", "read"]);
    program.write("rules.json", "[{ \"methods\": [\"GET\"], \"path\": \"/\", \"scopes\": [\"read\"] }]");
    update(&["--rules", "rules.json"]);
    let line = program.run(&["api", "update", ID, "--unset", "scopes"]).refused();
    assert!(line.contains("no scope of this API"), "{line}");
    for unknown in ["identifier", "rate-limit", ""] {
        assert_eq!(program.run(&["api", "update", ID, "--unset", unknown]).code, 2, "{unknown}");
    }
    let help = program.done(&["api", "update", "--help"]);
    assert!(help.contains("--unset <MEMBER>") && help.contains("access_token_lifetime"), "{help}");
}

/// Whoever comes second is told so: no two APIs have one gate, and none is made twice.
#[tokio::test]
async fn of_many_at_once_one_has_the_name() {
    let program = Program::installed().await;
    program.done(&["migrate"]);
    let made: Vec<bool> = std::thread::scope(|scope| {
        let program = &program;
        let create = |n: u8| {
            let id = format!("urn:example:{}", if n < 3 { n } else { 9 });
            let gate = if n < 3 { "orders".to_owned() } else { format!("gate-{n}") };
            scope.spawn(move || program.run(&["api", "create", "--identifier", &id, "--gate", &gate]).code == 0)
        };
        let all: Vec<_> = (0..6).map(create).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let count = |made: &[bool]| made.iter().filter(|made| **made).count();
    assert_eq!((count(&made[..3]), count(&made[3..])), (1, 1), "{made:?}");
}
