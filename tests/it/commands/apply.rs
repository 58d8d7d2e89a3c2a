//! `signet apply` and `signet export`: all of a document or nothing, again and again, with the server running or not.

use serde_json::json;

use super::{example, token_status, with_example};
use crate::support::program::{Program, within};
use crate::support::{PASSWORD, SECRET};

#[tokio::test]
async fn applying_the_example_again_changes_nothing_and_records_nothing() {
    let program = Program::installed().await;
    program.write("example.json", &example().to_string());
    let rehearsed = program.json(&["apply", "--dry-run", "--json", "example.json"]);
    assert_eq!((rehearsed["changes"].as_array().unwrap().len(), program.count("person").await), (4, 0));
    let applied = program.json(&["apply", "--json", "example.json"]);
    assert_eq!(applied, rehearsed, "the plan was what is done");
    let events = program.count("event").await;
    assert!(events >= 4, "{events}");
    assert_eq!(program.json(&["apply", "--json", "example.json"]), json!({ "changes": [], "secrets": [] }));
    let again = program.run_with(&["apply", "-"], &example().to_string()).done();
    assert_eq!(again, "nothing to change\n");
    assert_eq!(program.count("event").await, events);
}

#[tokio::test]
async fn toml_says_the_same_as_json() {
    let program = with_example().await;
    let text = toml::to_string(&example()).unwrap();
    program.write("example.toml", &text);
    assert_eq!(program.done(&["apply", "example.toml"]), "nothing to change\n");
}

#[tokio::test]
async fn a_bad_file_names_line_and_field_and_changes_nothing() {
    let program = with_example().await;
    let before = program.done(&["export"]);
    let row = |rest: &str| format!("[[users]]\nusername = \"bob\"\n\n[[clients]]\nclient_id = \"app\"\n{rest}\n");
    let api = |rest: &str| format!("[[apis]]\nidentifier = \"https://b.example\"\n{rest}\n");
    let rule = |rest: &str| api(&format!("gate = \"b\"\n[[apis.rules]]\n{rest}"));
    for (text, named) in [
        (row("nonsense = 1"), vec!["clients[0].nonsense", "line 6"]),
        (row("redirect_uris = [\"nowhere\"]"), vec!["clients[0].redirect_uris", "line 6"]),
        (row("redirect_uris = 7"), vec!["clients[0].redirect_uris", "line 6"]),
        (
            row("client_secret = \"short\"\nredirect_uris = [\"https://app.example/cb\"]"),
            vec!["clients[0].client_secret", "line 6"],
        ),
        (row("[["), vec!["line 6"]),
        (api("gate = \"No Name\""), vec!["apis[0].gate", "line 3"]),
        (api("gate = \"example\""), vec!["apis[0].gate", "https://api.example.com", "line 3"]),
        (api("accepts = [\"bearer\"]"), vec!["apis[0].gate", "is missing"]),
        (api("gate = \"b\"\nrate_limit = { burst = 0, per_second = 1.0 }"), vec!["apis[0].rate_limit", "line 4"]),
        (rule("methods = [\"GET\"]\npath = \"/a\"\nscopes = [\"write\"]"), vec!["apis[0].rules", "write"]),
        (rule("methods = [\"get\"]\npath = \"/a\""), vec!["apis[0].rules", "capital"]),
        (rule("methods = [\"GET\"]\npath = \"a\""), vec!["apis[0].rules", "line"]),
        (
            rule("methods = [\"GET\"]\npath = \"/a\"\nallow = \"anonymous\"\ngroups = [\"staff\"]"),
            vec!["apis[0].rules"],
        ),
        ("[[users]]\nusername = \"bob\"\npassword = \"password\"\n".to_owned(), vec!["users[0].password", "line 3"]),
        (
            "[[users]]\nusername = \"bob\"\npassword_hash = \"$1$x\"\n".to_owned(),
            vec!["users[0].password_hash", "line 3"],
        ),
        // Nothing is wrong with it alone; the address is alice's.
        (
            "[[users]]\nusername = \"bob\"\n[[users]]\nusername = \"carol\"\nemail = \"alice@example.com\"\n"
                .to_owned(),
            vec!["users[1].email", "line 5"],
        ),
    ] {
        program.write("bad.toml", &text);
        let line = program.run(&["apply", "bad.toml"]).refused();
        assert!(named.iter().all(|name| line.contains(name)) && line.contains("nothing was changed"), "{line}");
        assert!(!line.contains("short"), "{line}");
        assert_eq!(program.done(&["export"]), before, "{text}");
    }
    for (file, says) in [("missing.toml", "missing.toml"), ("example.yaml", ".toml or .json")] {
        assert!(program.run(&["apply", file]).refused().contains(says));
    }
    assert!(program.run_with(&["apply", "-"], "{").refused().contains("line 1"));
    for text in ["[]", "\n [[{ \"name\": \"staff\" }]]"] {
        let line = program.run_with(&["apply", "--prune", "-"], text).refused();
        assert!(line.contains("object") && line.contains("nothing was changed"), "{line}");
    }
    assert_eq!(program.done(&["export"]), before);
}

#[tokio::test]
async fn pruning_deletes_what_is_not_named_but_for_the_last_administrator() {
    let program = with_example().await;
    program.run_with(&["user", "create", "root", "--admin", "--password-stdin"], PASSWORD).done();
    program.write("less.json", &json!({ "users": [{ "username": "bob", "groups": ["crew"] }] }).to_string());
    let plan = program.json(&["apply", "--prune", "--dry-run", "--json", "less.json"]);
    assert_eq!(plan, program.json(&["apply", "--prune", "--json", "less.json"]));
    let exported = program.json(&["export"]);
    let names = |section: &str, name: &str| -> Vec<String> {
        let rows = exported[section].as_array().unwrap();
        rows.iter().map(|row| row[name].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("users", "username"), ["bob", "root"]);
    assert_eq!(names("groups", "name"), ["crew"]);
    assert_eq!((names("clients", "client_id").len(), names("apis", "identifier").len()), (0, 0));
}

#[tokio::test]
async fn a_running_server_obeys_commands() {
    let program = Program::installed().await;
    let _server = program.serve(&["serve"]);
    assert_eq!(token_status(&program, SECRET).await, 401);
    program.run_with(&["apply", "-"], &example().to_string()).done();
    within(5, || async { token_status(&program, SECRET).await == 200 }).await;
    let mut changed = example();
    let other = SECRET.to_lowercase();
    changed["clients"][0]["client_secret"] = json!(other);
    program.run_with(&["apply", "-"], &changed.to_string()).done();
    within(5, || async { token_status(&program, SECRET).await == 401 && token_status(&program, &other).await == 200 })
        .await;
    program.done(&["client", "disable", "web"]);
    within(5, || async { token_status(&program, &other).await == 401 }).await;
    program.done(&["client", "enable", "web"]);
    within(5, || async { token_status(&program, &other).await == 200 }).await;
    program.done(&["client", "delete", "web"]);
    within(5, || async { token_status(&program, &other).await == 401 }).await;
}

#[tokio::test]
async fn what_is_exported_works_on_a_fresh_database_with_the_same_master_key() {
    let first = with_example().await;
    first.done(&["user", "disable", "alice"]);
    first.done(&["user", "enable", "alice"]);
    let exported = first.done(&["export"]);
    assert!(!exported.contains(PASSWORD) && !exported.contains(SECRET));
    let mut second = Program::new().await;
    let key = std::fs::read_to_string(first.data().join("master.key")).unwrap();
    second.set("SIGNET_MASTER_KEY", &key);
    second.run_with(&["apply", "-"], &exported).done();
    assert_eq!(second.done(&["export"]), exported);
    assert_eq!(second.run_with(&["apply", "-"], &exported).done(), "nothing to change\n");
    let _server = second.serve(&["serve"]);
    assert_eq!(token_status(&second, SECRET).await, 200);
    let browser = second.browser();
    let page = browser.open("/login").await.ok().unwrap();
    let home = browser.submit(&page, &[("username", "alice"), ("password", PASSWORD)]).await.ok().unwrap();
    assert_eq!((home.status, home.name() == "login"), (200, false));
}
