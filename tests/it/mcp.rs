//! What docs/integrating.md tells of MCP servers, run as it stands: a server and a client of the TypeScript SDK in
//! `examples/mcp`, and a client of the Python SDK. The clients know the server's address and nothing else.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Receiver;
use std::time::Duration;

use serde_json::{Value, json};
use signet::config::RegistrationMode;
use signet::domain::api::Api;
use signet::manage::{AuditContext, apis};
use tokio::net::TcpStream;

use crate::support::client_programs::ClientProgram;
use crate::support::languages::Language;
use crate::support::program::free_address;
use crate::support::{PASSWORD, Page, Server};

/// Ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// The next line that a program prints, without what it begins with.
async fn said(lines: &mut Receiver<String>, begins: &str) -> String {
    for _ in 0..1800 {
        if let Ok(line) = lines.try_recv() {
            return line.strip_prefix(begins).unwrap_or_else(|| panic!("{line}")).to_owned();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("nothing is said");
}

async fn put(server: &Server, api: Value) {
    let api: Api = serde_json::from_value(api).unwrap();
    apis::put(&server.app.manager(), &AuditContext::command_line(), api).await.unwrap();
}

/// The MCP server of `examples/mcp`, for users of `server`; with its address.
async fn notes(server: &Server, folder: &Path) -> (Running, String) {
    let address = free_address();
    let resource = format!("http://{address}/mcp");
    let mut command = Language::mcp("server", folder);
    command.env("ISSUER", &server.url).env("RESOURCE", &resource);
    let mut notes = Running(command.spawn().unwrap());
    for _ in 0..600 {
        if TcpStream::connect(address).await.is_ok() {
            break;
        }
        assert!(notes.0.try_wait().unwrap().is_none(), "the server ended");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    (notes, resource)
}

/// Starts a client, and allows it what it asks alice for; the page that asked, and what else the client says.
async fn allowed(server: &Server, mut command: Command) -> (Running, Page, Receiver<String>) {
    let mut client = Running(command.stdout(Stdio::piped()).spawn().unwrap());
    let (sender, mut lines) = std::sync::mpsc::channel();
    let output = BufReader::new(client.0.stdout.take().unwrap());
    std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    let address = said(&mut lines, "Open ").await;
    assert!(address.starts_with(&server.url) && address.contains("&resource="), "{address}");
    let browser = server.browser();
    let login = browser.page(&address).await;
    let page = browser.submit(&login, &[("username", "alice"), ("password", PASSWORD)]).await.ok().unwrap();
    assert_eq!(page.name(), "consent");
    let (action, form) = page.form(&[("decision", "allow")]);
    let answer = browser.raw_post(&action, &form).await;
    let answer = browser.raw(answer.headers()["location"].to_str().unwrap()).await;
    // As a browser on the user's own device goes there.
    let back = answer.headers()["location"].to_str().unwrap();
    assert!(back.starts_with("http://127.0.0.1:"), "{back}");
    assert_eq!(reqwest::get(back).await.unwrap().status(), 200);
    (client, page, lines)
}

#[tokio::test]
async fn client_of_the_sdk_reaches_a_server_of_the_sdk() {
    let server = Server::start_with(|config| config.registration = RegistrationMode::Open).await;
    server.user("alice").await;
    let folder = tempfile::tempdir().unwrap();
    let (_notes, resource) = notes(&server, folder.path()).await;
    let refused = reqwest::Client::new().post(&resource).json(&json!({})).send().await.unwrap();
    assert_eq!(refused.status(), 401);
    assert!(refused.headers()["www-authenticate"].to_str().unwrap().contains("resource_metadata"));
    // Without scopes, and with some that the server's document does not name.
    for scopes in [json!([]), json!(["notes.read"])] {
        let api = json!({ "identifier": resource, "name": "Notes", "scopes": scopes, "self_registered_clients": true });
        put(&server, api).await;
        let mut command = Language::mcp("client", folder.path());
        command.env("RESOURCE", &resource);
        let (_client, page, mut lines) = allowed(&server, command).await;
        assert_eq!(page.html.contains("Access Notes"), scopes == json!([]), "{}", page.html);
        let caller = said(&mut lines, "Called by ").await;
        let alice = server.person("alice").await.id.to_string();
        assert!(caller.starts_with(&format!("{alice} by ")), "{caller}");
    }
}

/// It asks for every scope of the discovery document, and calls once more after a refresh that eight calls at once wait for.
#[tokio::test]
async fn python_client_of_the_sdk_reaches_a_server_and_refreshes() {
    let server = Server::start_with(|config| config.registration = RegistrationMode::Open).await;
    server.user("alice").await;
    let folder = tempfile::tempdir().unwrap();
    let (_notes, resource) = notes(&server, folder.path()).await;
    for scopes in [json!([]), json!(["notes.read"])] {
        let api = json!({ "identifier": resource, "name": "Notes", "scopes": scopes, "self_registered_clients": true });
        put(&server, api).await;
        let mut command = ClientProgram::Python("mcp_client").command(folder.path());
        command.env("RESOURCE", &resource);
        let (mut client, page, mut lines) = allowed(&server, command).await;
        assert!(!page.has("[data-scope=groups]"), "no stranger gets this: {}", page.html);
        let alice = server.person("alice").await.id.to_string();
        for _ in 0..2 {
            let caller = said(&mut lines, "Called by ").await;
            assert!(caller.starts_with(&format!("{alice} by ")), "{caller}");
        }
        assert!(client.0.wait().unwrap().success());
    }
}
