//! Connections that send no HTTP, no host or nothing at all, or a body that does not come.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::super::open_server;
use crate::support::Server;

/// What is no HTTP at all.
#[tokio::test]
async fn noise_on_the_wire_harms_nothing() {
    let server = open_server().await;
    let host = server.url.strip_prefix("http://").unwrap().to_owned();
    let long = format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "a".repeat(70_000));
    let noise: [&[u8]; 14] = [
        b"\r\n\r\n\r\n",
        b"\0\0\0\0",
        b"GET",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nhost: a\r\n\r\n",
        b"GET http://evil.example/login HTTP/1.1\r\nhost: evil.example\r\n\r\n",
        b"POST /oauth2/token HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\n\r\n",
        b"POST /oauth2/token HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /oauth2/token HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffffff\r\n",
        b"POST /oauth2/token HTTP/1.1\r\nhost: a\r\ncontent-length: 9999999\r\n\r\nshort",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        long.as_bytes(),
    ];
    for bytes in noise {
        let mut stream = TcpStream::connect(&host).await.unwrap();
        // The server may have closed it already.
        drop(stream.write_all(bytes).await);
        drop(stream.shutdown().await);
        let mut answer = Vec::new();
        drop(tokio::time::timeout(Duration::from_secs(5), stream.read_to_end(&mut answer)).await);
        let first = String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned();
        assert!(!first.contains(" 5"), "{first} for {:?}", String::from_utf8_lossy(bytes));
    }
    assert_eq!(server.browser().page("/login").await.status, 200);
}

/// RFC 9112 §3.2: a request of HTTP/1.1 names one host; one of HTTP/1.0 need not.
#[tokio::test]
async fn a_request_names_one_host() {
    let server = Server::start().await;
    let host = server.url.strip_prefix("http://").unwrap().to_owned();
    for path in ["/login", "/.well-known/openid-configuration", "/livez"] {
        for (rest, status) in [
            ("1.1\r\n", "400"),
            ("1.1\r\nhost: a\r\nhost: a\r\n", "400"),
            ("1.1\r\nhost: a\r\n", "200"),
            ("1.0\r\n", "200"),
        ] {
            let mut stream = TcpStream::connect(&host).await.unwrap();
            let request = format!("GET {path} HTTP/{rest}connection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert_eq!(answer.split(' ').nth(1), Some(status), "{path} {rest:?}");
        }
    }
}

/// A hand that sends a header block byte by byte, or nothing, to keep a connection: it is closed.
#[tokio::test]
async fn a_slow_hand_is_cut_off() {
    let server = Server::start_with(|config| {
        config.connections.header_timeout = 1;
        config.connections.idle_timeout = 1;
    })
    .await;
    let host = server.url.strip_prefix("http://").unwrap().to_owned();
    for sent in ["", "GET", "PRI * HTTP/2.0\r\n", "GET /livez HTTP/1.1\r\n", "GET /livez HTTP/1.1\r\nhost: a\r\nx: y"] {
        let mut stream = TcpStream::connect(&host).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let closed = tokio::time::timeout(Duration::from_secs(8), stream.read_to_end(&mut answer)).await;
        assert!(closed.is_ok(), "{sent:?} keeps its connection");
    }
    let mut stream = TcpStream::connect(&host).await.unwrap();
    stream.write_all(b"GET /livez HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(8), stream.read_to_end(&mut answer)).await;
    assert!(
        closed.is_ok() && answer.starts_with(b"HTTP/1.1 200"),
        "a whole request is answered, an idle connection closed"
    );
}

/// RFC 9110 §15.5.9, in the form of whoever asks there.
#[tokio::test]
async fn a_slow_body_gets_408() {
    let server = Server::start_with(|config| {
        config.connections.body_timeout = 1;
        config.registration = signet::config::RegistrationMode::Open;
    })
    .await;
    let host = server.url.strip_prefix("http://").unwrap().to_owned();
    let form = "application/x-www-form-urlencoded";
    let slow = [
        ("/oauth2/token", form),
        ("/oauth2/introspect", form),
        ("/oauth2/par", form),
        ("/oauth2/userinfo", form),
        ("/oauth2/register", "application/json"),
        ("/oauth2/authorize", form),
        ("/oauth2/logout", form),
        ("/login", form),
    ];
    let asked = slow.map(|(path, kind)| {
        let host = host.clone();
        async move {
            let mut stream = TcpStream::connect(&host).await.unwrap();
            let head = format!("POST {path} HTTP/1.1\r\nhost: {host}\r\ncontent-type: {kind}\r\n");
            stream.write_all(format!("{head}content-length: 100\r\n\r\ngrant").as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 408 "), "{path}: {answer}");
            assert!(
                answer.contains("did not arrive in time") && answer.contains("invalid_request"),
                "{path}: {answer}"
            );
        }
    });
    futures::future::join_all(asked).await;
}
