//! What each connection has to keep to, and how many there may be.

use std::net::IpAddr;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{WAIT_TIMEOUT, address, closed, connect_from};
use crate::support::program::{Program, within};
use crate::support::wire::once;
use crate::support::{Server, log};

const REQUEST: &[u8] = b"GET /login HTTP/1.1\r\nhost: a\r\n\r\n";

/// It pipelines requests without an end, and reads nothing.
#[tokio::test]
async fn a_peer_that_reads_nothing_is_cut_off() {
    let server = Server::start_with(|config| config.connections.write_timeout = 1).await;
    let mut stream = TcpStream::connect(address(&server.url)).await.unwrap();
    let requests = REQUEST.repeat(100);
    let writing = async { while stream.write_all(&requests).await.is_ok() {} };
    tokio::time::timeout(WAIT_TIMEOUT, writing).await.expect("the server closes the connection");
    assert_eq!(once(address(&server.url), "GET", "/livez", &[], b"").await.status, 200);
}

/// An idle connection has longer than a header block that has begun.
#[tokio::test]
async fn a_header_block_has_less_time_than_an_idle_connection() {
    let server = Server::start_with(|config| config.connections.header_timeout = 1).await;
    let to = address(&server.url);
    let mut idle = TcpStream::connect(to).await.unwrap();
    idle.write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let mut answer = [0; 12];
    idle.read_exact(&mut answer).await.unwrap();
    let mut slow = TcpStream::connect(to).await.unwrap();
    slow.write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\nGET /livez HTTP/1.1\r\n").await.unwrap();
    let mut unfinished = TcpStream::connect(to).await.unwrap();
    unfinished.write_all(b"GET /livez HTTP/1.1\r\nhost").await.unwrap();
    closed(&mut unfinished).await;
    // Past the deadline of a header block the idle one is served.
    idle.write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut rest = String::new();
    idle.read_to_string(&mut rest).await.unwrap();
    assert_eq!(rest.matches("HTTP/1.1 200").count(), 1, "{rest}");
}

async fn answers(stream: &mut TcpStream) -> bool {
    let mut answer = Vec::new();
    if stream.write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n").await.is_err() {
        return false;
    }
    while !answer.ends_with(b"\r\n\r\nok") {
        if stream.read_buf(&mut answer).await.unwrap_or(0) == 0 {
            return false;
        }
    }
    answer.starts_with(b"HTTP/1.1 200")
}

/// The newest connections stay, and another address is not concerned.
#[tokio::test]
async fn one_address_keeps_its_newest_connections() {
    let server = Server::start_with(|config| config.connections.per_address = 4).await;
    let (to, own): (_, IpAddr) = (address(&server.url), "127.0.0.2".parse().unwrap());
    let mut other = connect_from("127.0.0.3".parse().unwrap(), to).await;
    assert!(answers(&mut other).await);
    let mut all = Vec::new();
    for _ in 0..10 {
        let mut stream = connect_from(own, to).await;
        assert!(answers(&mut stream).await);
        all.push(stream);
    }
    for stream in &mut all[..6] {
        closed(stream).await;
    }
    for stream in &mut all[6..] {
        assert!(answers(stream).await);
    }
    assert!(answers(&mut other).await);
    assert!(log::all().contains("connections at their limit"));
}

#[tokio::test]
async fn trusted_proxies_have_no_limit_of_their_address() {
    let server = Server::start_with(|config| {
        config.connections.per_address = 2;
        config.trusted_proxies = serde_json::from_value(json!("127.0.0.2")).unwrap();
    })
    .await;
    let mut all = Vec::new();
    for _ in 0..10 {
        let mut stream = connect_from("127.0.0.2".parse().unwrap(), address(&server.url)).await;
        assert!(answers(&mut stream).await);
        all.push(stream);
    }
    for stream in &mut all {
        assert!(answers(stream).await);
    }
}

/// The hard limit is what counts; at its end the oldest connections make room, and it is said once.
#[tokio::test]
async fn running_out_of_files_is_logged_and_survived() {
    let program = Program::installed().await;
    let server = program.serve_with_files(20, 120);
    let limits = server.limits();
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap().to_owned();
    assert_eq!(files.split_whitespace().collect::<Vec<_>>()[3..5], ["120", "120"], "{files}");
    // Beside the connections there is now less than was set aside: nothing is left for the last of them.
    server.set_file_limit(server.open_files() + 10);
    let mut all = Vec::new();
    for _ in 0..40 {
        all.push(TcpStream::connect(program.address).await.unwrap());
    }
    within(60, async || server.log().contains("connections cannot be taken")).await;
    assert_eq!(once(program.address, "GET", "/login", &[], b"").await.status, 200);
    assert_eq!(server.log().matches("connections cannot be taken").count(), 1, "{}", server.log());
    server.stop();
}
