//! What the program is given from outside: environment variables of containers, addresses to listen on, paths with any
//! character, files with a byte order mark.

use std::fs;

use serde_json::json;

use super::{example, status, token_status, with_example};
use crate::support::SECRET;
use crate::support::program::Program;

const BOM: &str = "\u{feff}";

#[tokio::test]
async fn variables_of_kubernetes_and_docker_are_ignored() {
    let mut program = Program::installed().await;
    for (name, value) in [
        ("SIGNET_SERVICE_HOST", "10.43.7.1"),
        ("SIGNET_SERVICE_PORT", "80"),
        ("SIGNET_SERVICE_PORT_HTTP", "80"),
        ("SIGNET_PORT", "tcp://10.43.7.1:80"),
        ("SIGNET_PORT_80_TCP", "tcp://10.43.7.1:80"),
        ("SIGNET_PORT_80_TCP_PROTO", "tcp"),
        ("SIGNET_PORT_80_TCP_PORT", "80"),
        ("SIGNET_PORT_80_TCP_ADDR", "10.43.7.1"),
        ("SIGNET_ENV_PATH", "/bin"),
        ("SIGNET_POSTGRES_SERVICE_HOST", "10.43.7.2"),
        ("SIGNET_POSTGRES_SERVICE_PORT", "5432"),
        ("SIGNET_POSTGRES_PORT", "tcp://10.43.7.2:5432"),
        ("SIGNET_POSTGRES_PORT_5432_TCP_ADDR", "10.43.7.2"),
    ] {
        program.set(name, value);
    }
    let server = program.serve(&["serve"]);
    assert_eq!(status(&program, "/readyz").await, 200);
    assert!(program.done(&["doctor"]).contains("ok     configuration"));
    server.stop();
    // What nothing injects is still an error that names it.
    for (name, value) in [("SIGNET_SERVER", "x"), ("SIGNET_CACHE_PORT", "6379"), ("SIGNET_LOG__PORT", "1")] {
        let mut other = program.neighbour();
        other.set(name, value);
        assert!(other.run(&["key", "list"]).refused().contains(name), "{name}");
    }
}

#[tokio::test]
async fn an_empty_variable_is_unset_and_text_stays_text() {
    let mut program = Program::installed().await;
    for name in [
        "SIGNET_CONFIG",
        "SIGNET_DATA_DIR",
        "SIGNET_MASTER_KEY",
        "SIGNET_LOG__FORMAT",
        "SIGNET_LIFETIMES__CODE",
        "SIGNET_TLS__CERT_FILE",
        "SIGNET_TRUSTED_PROXIES",
        "SIGNET_CLIENT_ID_METADATA_DOCUMENTS",
        "SIGNET_REGISTRATION",
    ] {
        program.set(name, "");
    }
    program.write("signet.toml", "sign_up = \"open\"\n");
    for name in ["2024", "true", "[Test] 1e3"] {
        program.set("SIGNET_NAME", name);
        let server = program.serve(&["serve"]);
        let page = program.browser().open("/login").await.ok().unwrap();
        assert!(page.html.contains(name), "{name}: {}", page.html);
        assert_eq!(status(&program, "/signup").await, 200, "the settings file in the folder is read");
        server.stop();
    }
    assert!(program.folder.path().join("data/master.key").exists());
}

#[tokio::test]
async fn a_boolean_is_true_false_1_or_0_in_any_case() {
    let mut program = Program::installed().await;
    for (value, expected) in [("true", true), ("FALSE", false), ("1", true), ("0", false), ("True", true)] {
        program.set("SIGNET_CLIENT_ID_METADATA_DOCUMENTS", value);
        let server = program.serve(&["serve"]);
        let url = format!("{}/.well-known/openid-configuration", program.url());
        let document: serde_json::Value = reqwest::get(url).await.unwrap().json().await.unwrap();
        assert_eq!(document["client_id_metadata_document_supported"].as_bool().unwrap_or(false), expected, "{value}");
        server.stop();
    }
    program.set("SIGNET_CLIENT_ID_METADATA_DOCUMENTS", "maybe");
    assert!(program.run(&["key", "list"]).refused().contains("client_id_metadata_documents"));
}

#[tokio::test]
async fn a_port_alone_and_a_host_name_are_places_to_listen() {
    let mut program = Program::installed().await;
    for host in ["", "localhost"] {
        program.set("SIGNET_LISTEN", &format!("{host}:{}", program.address.port()));
        program.run(&["healthcheck"]).refused();
        let server = program.serve(&["serve"]);
        assert_eq!(status(&program, "/readyz").await, 200, "{host:?}");
        assert_eq!(program.done(&["healthcheck"]), "ready\n", "{host:?}");
        assert!(program.done(&["doctor"]).contains("ok     issuer"), "{host:?}");
        let mut second = program.neighbour();
        second.set("SIGNET_LISTEN", &format!("{host}:{}", program.address.port()));
        let line = second.run(&["serve"]).refused();
        assert!(line.contains("SIGNET_LISTEN") && line.contains(&format!("{host}:")), "{line}");
        server.stop();
    }
    for bad in ["localhost", "8080", ":", ":http", "localhost:70000", "300.0.0.1:80"] {
        program.set("SIGNET_LISTEN", bad);
        let line = program.run(&["serve"]).refused();
        assert!(line.contains("listen (SIGNET_LISTEN)") && line.contains("127.0.0.1:8080"), "{bad}: {line}");
    }
    program.set("SIGNET_LISTEN", "no-such-host.invalid:8080");
    assert!(program.run(&["serve"]).refused().contains("no-such-host.invalid:8080"));
    assert!(program.run(&["doctor"]).out.contains("WRONG  listen"));
}

#[tokio::test]
async fn a_data_directory_may_have_any_name() {
    for name in ["a%20b", "what?mode=memory", "a#b", "with space", "100%", "%zz", "file:x", "a+b&c;d", "m\u{fc}ller"] {
        let mut program = Program::installed().await;
        program.move_data(name);
        program.write("example.json", &example().to_string());
        program.done(&["migrate"]);
        program.done(&["apply", "example.json"]);
        let server = program.serve(&["serve"]);
        assert_eq!(status(&program, "/readyz").await, 200, "{name}");
        assert_eq!(token_status(&program, SECRET).await, 200, "{name}");
        let said = program.run(&["doctor"]);
        assert_eq!((said.code, said.out.contains("WRONG")), (0, false), "{name}: {}", said.out);
        server.stop();
        assert_eq!(program.json(&["user", "list", "--json"])[0]["username"], "alice", "{name}");
        let exported = program.done(&["export"]);
        assert_eq!(program.run_with(&["apply", "-"], &exported).done(), "nothing to change\n", "{name}");
        let folder = program.folder.path();
        assert!(folder.join(name).join("master.key").exists(), "{name}");
        // Nothing was put into a folder of another name.
        let mut found: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        found.retain(|entry| entry != "example.json" && entry != "log");
        assert_eq!(found, [name]);
    }
}

#[tokio::test]
async fn files_with_a_byte_order_mark_are_read() {
    let program = with_example().await;
    let unchanged = "nothing to change\n";
    program.write("marked.json", &format!("{BOM}{}", example()));
    assert_eq!(program.done(&["apply", "marked.json"]), unchanged);
    let input = format!("{BOM}{}", example());
    assert_eq!(program.run_with(&["apply", "-"], &input).done(), unchanged);
    program.write("marked.toml", &format!("{BOM}{}", toml::to_string(&example()).unwrap()));
    assert_eq!(program.done(&["apply", "marked.toml"]), unchanged);
    let rules = json!([{ "methods": ["GET"], "path": "/a", "allow": "anonymous" }]);
    program.write("rules.json", &format!("{BOM}{rules}"));
    program.done(&["api", "update", "https://api.example.com", "--rules", "rules.json"]);
    assert_eq!(program.json(&["export"])["apis"][0]["rules"][0]["path"], "/a");
    let key = json!({ "kty": "oct", "kid": "k1", "k": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8" });
    program.write("key.json", &format!("{BOM}{key}"));
    let said = program.run(&["request", "GET", "http://localhost/", "--sign", "key.json", "--dry-run"]);
    assert_eq!((said.code, said.out.contains("keyid=\"k1\"")), (0, true), "{}{}", said.out, said.err);
    // The line of a mistake is counted as without the mark, and a mark inside of the text is a mistake.
    program.write("bad.json", &format!("{BOM}{{\"users\": [\n{{\"username\": \"a\", \"nonsense\": 1}}]}}"));
    let line = program.run(&["apply", "bad.json"]).refused();
    assert!(line.contains("users[0].nonsense") && line.contains("line 2"), "{line}");
    assert!(program.run_with(&["apply", "-"], &format!("{BOM}{BOM}{{}}")).refused().contains("line 1"));
    program.write("signet.toml", &format!("{BOM}name = \"Marked\"\n"));
    assert!(program.done(&["doctor"]).contains("ok     configuration"));
    program.write("signet.toml", &format!("{BOM}nonsense = 1\n"));
    assert!(program.run(&["key", "list"]).refused().contains("nonsense"));
}
