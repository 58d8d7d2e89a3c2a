//! `signet serve`: the line it says, the set-up link, stopping.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;

use super::{status, with_example};
use crate::support::program::{Program, within};
use crate::support::{PASSWORD, SECRET};

#[tokio::test]
async fn the_first_start_prints_a_set_up_link_and_the_next_one_none() {
    let program = Program::new().await;
    let url = program.url();
    let first = program.serve(&[]);
    let link = first.line.strip_prefix(&format!("Signet is at {url}. Make the first administrator: ")).unwrap();
    assert!(link.starts_with(&format!("{url}/setup?token=")), "{link}");
    assert_eq!((status(&program, "/readyz").await, status(&program, "/livez").await), (200, 200));
    let key = program.data().join("master.key");
    assert_eq!(key.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let browser = program.browser();
    let page = browser.open(link).await.ok().unwrap();
    assert_eq!(page.name(), "setup");
    let fields = [("username", "alice"), ("password", PASSWORD), ("name", ""), ("email", "")];
    let home = browser.submit(&page, &fields).await.ok().unwrap();
    assert_eq!(home.status, 200, "{}", home.html);
    assert_eq!(browser.open(link).await.ok().unwrap().status, 400, "the link works once");
    first.stop();
    let second = program.serve(&["serve"]);
    assert_eq!(second.line, format!("Signet is at {url}"));
    assert_eq!(program.json(&["user", "list", "--json"])[0]["admin"], true);
    second.stop();
}

#[tokio::test]
async fn a_link_that_was_replaced_by_a_newer_start_is_worth_nothing() {
    let program = Program::new().await;
    let first = program.serve(&[]);
    let old = first.line.rsplit(' ').next().unwrap().to_owned();
    first.stop();
    let second = program.serve(&[]);
    let new = second.line.rsplit(' ').next().unwrap();
    assert_ne!(old, new);
    let browser = program.browser();
    assert_eq!(browser.open(&old).await.ok().unwrap().status, 400);
    assert_eq!(browser.open(new).await.ok().unwrap().name(), "setup");
}

#[tokio::test]
async fn a_stop_lets_the_request_in_flight_finish() {
    let program = with_example().await;
    let server = program.serve(&["serve"]);
    let body = format!("grant_type=client_credentials&client_id=web&client_secret={SECRET}");
    let (now, later) = body.split_at(20);
    let mut connection = TcpStream::connect(program.address).unwrap();
    // The answer is in the protocol's own form, and whole.
    let head = "POST /oauth2/token HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n";
    write!(connection, "{head}Content-Length: {}\r\n\r\n{now}", body.len()).unwrap();
    // Whatever is asked after it has been taken up is answered after it.
    assert_eq!(status(&program, "/livez").await, 200);
    server.signal("TERM");
    within(5, || async { TcpStream::connect(program.address).is_err() }).await;
    write!(connection, "{later}").unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("access_token"), "{answer}");
    assert_eq!(server.ended(), (Some(0), String::new()));
}

#[tokio::test]
async fn an_address_that_is_taken_is_said_in_one_line() {
    let program = Program::installed().await;
    let _taken = std::net::TcpListener::bind(program.address).unwrap();
    let line = program.run(&["serve"]).refused();
    assert!(line.contains(&program.address.to_string()) && line.contains("SIGNET_LISTEN"), "{line}");
}

#[tokio::test]
async fn what_came_to_the_gate_is_written_before_the_server_ends() {
    let mut program = with_example().await;
    program.set("SIGNET_TRUSTED_PROXIES", "127.0.0.1");
    let server = program.serve(&["serve"]);
    let ask = reqwest::Client::new().get(format!("{}/gate/verify/example", program.url()));
    let ask = ask.header("x-original-method", "GET").header("x-original-url", "https://api.example.com/orders/1");
    let answer = ask.send().await.unwrap();
    assert_eq!(answer.status(), 401);
    server.stop();
    assert_eq!((program.count("gate_refusal").await, program.count("gate_count").await), (1, 1));
}
