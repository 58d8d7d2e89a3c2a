//! README.md and docs/ are executable: each command runs, in order, from an empty directory, as a reader of the document would
//! run it ([`run`], [`reader`]); docs/README.md says what readers have. What does not run is listed here.

mod commands;
mod markdown;
mod reader;
mod run;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use self::commands::{has_shown, is_as_shown, steps};
use self::markdown::blocks;
use self::reader::Installed;
use self::run::follow;
use crate::support::chromium::tool;
use crate::support::languages::made;
use crate::support::nginx::example;
use crate::support::proxies::DOCUMENTED;

/// The blocks that a document marks with `<!-- not run: REASON -->`, by their first line.
const NOT_RUN: [(&str, &str); 5] = [
    ("README.md", "cargo install --path ."),
    ("README.md", "tests/run"),
    ("docs/README.md", "UPDATE_DOCS=1 cargo test --workspace -- browser::walkthrough"),
    (
        "docs/integrating.md",
        r#"curl https://id.example.com/oauth2/token -d client_id=deploy --data-urlencode "assertion=$TOKEN" \"#,
    ),
    ("docs/performance.md", "cargo bench --bench startup"),
];

/// Configurations of proxies beside docs/gate.md, and the test that runs each.
const PROXIES: [(&str, &str, &str); 3] = [
    ("docs/operating.md", "server {\n    listen 443 ssl;", "large_requests::documented_nginx"),
    ("docs/operating.md", "upstream signet {", "connections::drain::balancer"),
    (
        "docs/integrating.md",
        "location = /.well-known/oauth-protected-resource {",
        "resource_metadata::documented_location",
    ),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn documents() -> BTreeMap<String, String> {
    let folder = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().file_name());
    let is_guide = |name: &String| Path::new(name).extension().is_some_and(|ending| ending == "md");
    let guides = folder.filter_map(|name| name.into_string().ok()).filter(is_guide);
    let names = guides.map(|name| format!("docs/{name}")).chain(["README.md".to_owned()]);
    names.map(|name| (name.clone(), fs::read_to_string(root().join(name)).unwrap())).collect()
}

fn installed() -> Installed {
    Installed {
        source: root().to_owned(),
        signet: env!("CARGO_BIN_EXE_signet").into(),
        python: made("TEST_PYTHON", "python/bin/python"),
        node: tool("TEST_NODE", "node").into(),
        node_modules: made("TEST_NODE_MODULES", "node_modules"),
        mcp_node_modules: made("TEST_MCP_NODE_MODULES", "mcp/node_modules"),
        nginx: tool("TEST_NGINX", "nginx").into(),
    }
}

#[test]
fn every_command_runs_from_an_empty_directory() {
    let (installed, documents) = (installed(), documents());
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let (installed, documents) = (&installed, &documents);
        let readers = documents.iter().map(|(name, text)| scope.spawn(move || follow(name, text, installed)));
        readers.collect::<Vec<_>>().into_iter().flat_map(|reader| reader.join().unwrap()).collect()
    });
    assert!(wrong.is_empty(), "{} do not work:\n{}", wrong.len(), wrong.join("\n\n"));
}

#[test]
fn what_is_not_run_is_listed() {
    let mut marked = Vec::new();
    for (name, text) in documents() {
        for block in blocks(&text) {
            if block.not_run.is_some() {
                marked.push((name.clone(), block.text.lines().next().unwrap_or_default().to_owned()));
            }
        }
    }
    let listed: Vec<_> = NOT_RUN.iter().map(|(name, line)| ((*name).to_owned(), (*line).to_owned())).collect();
    assert_eq!(marked, listed);
}

#[test]
fn every_proxy_configuration_is_run() {
    for (name, text) in documents() {
        for block in
            blocks(&text).into_iter().filter(|block| ["nginx", "caddyfile", "yaml"].contains(&block.language.as_str()))
        {
            let starts = |begins: &str| block.text.trim_start().starts_with(begins);
            let of_gate = DOCUMENTED.iter().any(|(language, begins)| *language == block.language && starts(begins));
            let of_others = PROXIES.iter().any(|(document, begins, _)| *document == name && starts(begins));
            let runs = if name == "docs/gate.md" { of_gate || block.text == example() } else { of_others };
            assert!(runs || block.file().is_some(), "{name}:{}: no test runs this", block.line);
        }
    }
}

#[test]
fn a_wrong_command_is_found_with_its_line() {
    let installed = installed();
    let follow = |text: &str| follow("wrong.md", text, &installed);
    assert_eq!(follow("# A\n\n```sh\nls\nA=1\ntest $A = 1\n```\n"), Vec::<String>::new());
    assert_eq!(
        follow("Write `a.txt`:\n\n```text\none\n```\n\n```console\n$ cat a.txt\none\n```\n"),
        Vec::<String>::new()
    );
    for (wrong, line) in [
        ("# A\n\n```sh\ntrue\nsignet user lst\n```\n", 5),
        ("```console\n$ echo one\ntwo\n```\n", 2),
        ("```sh\nsignet client create --id a \\\n    --no-such-option\n```\n", 2),
        ("```json\n{ \"clients\": [{ \"client_id\": \"a\", \"redirect_uri\": \"https://a.example\" }] }\n```\n", 2),
        ("```toml\nissuers = \"https://a.example\"\n```\n", 2),
        ("```rust\nfn in_no_example() {}\n```\n", 2),
        ("```bash\ntrue\n```\n", 2),
        ("```console\n$ echo ready; sleep 0; false\nnever\n```\n\nLeave it running.\n", 2),
    ] {
        let found = follow(wrong);
        assert_eq!(found.len(), 1, "{wrong}{found:?}");
        assert!(found[0].starts_with(&format!("wrong.md:{line}: ")), "{wrong}{found:?}");
    }
}

#[test]
fn a_reader_serves_and_goes_on() {
    let document = "```console\n$ signet\nSignet is at http://localhost:8080…\n```\n\nLeave it running.\n\n\
                    ```console\n$ curl -s http://localhost:8080/livez\nok\n```\n";
    // Two at once: each has port 8080.
    let installed = installed();
    std::thread::scope(|scope| {
        let readers = [0, 1].map(|_| scope.spawn(|| follow("two.md", document, &installed)));
        for reader in readers {
            assert_eq!(reader.join().unwrap(), Vec::<String>::new());
        }
    });
}

#[test]
fn commands_are_told_from_what_they_print() {
    let text = "```console\n$ cat <<END\na\nEND\na\n$ echo 'b\nc'\nb\nc\n```\n";
    let found = steps(&blocks(text)[0]).unwrap();
    let all: Vec<_> = found.iter().map(|step| (step.line, step.command.as_str(), step.shown.join("|"))).collect();
    assert_eq!(all, [(2, "cat <<END\na\nEND", "a".to_owned()), (6, "echo 'b\nc'", "b|c".to_owned())]);
    let shown = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
    assert!(is_as_shown(&shown(&["id …, until …", "…", "end"]), "id 7, until 8\nx\ny\nend\n"));
    assert!(!is_as_shown(&shown(&["id …"]), "id 7\nmore\n"));
    assert!(has_shown(&shown(&["id …"]), "log\nid 7\nmore\n") && !has_shown(&shown(&["id …", "log"]), "log\nid 7\n"));
}
