//! HTTP/1.1 (RFC 9112) written by hand, for what no client library would send: header names in any spelling, targets of
//! any bytes, several requests on one connection. And [`Api`], a plain API that says what reached it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, Uri};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use super::nginx::HOST;

const WAIT_TIMEOUT: Duration = Duration::from_mins(1);

/// A connection that stays open while the other side keeps it.
pub struct Wire(BufReader<TcpStream>);

#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Wire {
    pub async fn open(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self(BufReader::new(stream))
    }

    /// A request of these bytes; nothing where the connection ended without an answer.
    pub async fn raw(&mut self, request: &[u8]) -> Option<Reply> {
        let answered = async {
            // One who refuses may have closed before everything is written; the answer is there all the same.
            self.0.get_mut().write_all(request).await.ok();
            self.reply(request.starts_with(b"HEAD ")).await
        };
        tokio::time::timeout(WAIT_TIMEOUT, answered).await.expect("an answer in time")
    }

    /// A request to the example's host that has to be answered.
    pub async fn send(&mut self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let mut request = format!("{method} {target} HTTP/1.1\r\n").into_bytes();
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            request.extend_from_slice(format!("Host: {HOST}\r\n").as_bytes());
        }
        for (name, value) in headers {
            request.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        if !body.is_empty() {
            request.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
        }
        request.extend_from_slice(b"\r\n");
        request.extend_from_slice(body);
        self.raw(&request).await.unwrap_or_else(|| panic!("{method} {target} is answered"))
    }

    async fn reply(&mut self, head: bool) -> Option<Reply> {
        let first = self.line().await?;
        let status = first.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)?.parse().ok());
        let status = status.unwrap_or_else(|| panic!("a status line, not {first:?}"));
        let mut headers = Vec::new();
        loop {
            let line = self.line().await?;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        let mut reply = Reply { status, headers, body: Vec::new() };
        assert!(!reply.has("transfer-encoding"), "nothing here answers in chunks: {reply:?}");
        let length = if head { 0 } else { reply.header("content-length").parse().unwrap_or(0) };
        reply.body = vec![0; length];
        self.0.read_exact(&mut reply.body).await.ok()?;
        Some(reply)
    }

    /// Without its end; bytes that are no characters are replaced.
    async fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        self.0.read_until(b'\n', &mut line).await.ok().filter(|read| *read > 0)?;
        Some(String::from_utf8_lossy(&line).trim_end().to_owned())
    }
}

/// One request on a connection of its own.
pub async fn once(address: SocketAddr, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
    Wire::open(address).await.send(method, target, headers, body).await
}

impl Reply {
    /// The value of a header that stands once; nothing where it does not stand.
    pub fn header(&self, name: &str) -> &str {
        let mut all = self.headers.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let first = all.next().unwrap_or_default();
        assert_eq!(all.next(), None, "{name} stands once");
        first
    }

    pub fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(known, _)| known == name)
    }

    /// Whether the connection is still good.
    pub fn stays(&self) -> bool {
        !self.header("connection").eq_ignore_ascii_case("close")
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// A plain API that believes whoever asks it.
pub struct Api {
    pub address: SocketAddr,
    asked: Arc<AtomicUsize>,
}

impl Api {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, asked) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
        let router = Router::new().fallback(echo).with_state(asked.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, asked }
    }

    /// How many requests have reached it.
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// What came. By its `answer` header a caller chooses the status.
async fn echo(
    State(asked): State<Arc<AtomicUsize>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    asked.fetch_add(1, Ordering::SeqCst);
    let status = headers.get("answer").and_then(|status| status.to_str().ok()?.parse().ok()).unwrap_or(200);
    let fields = headers.iter().map(|(name, value)| (name.as_str(), String::from_utf8_lossy(value.as_bytes())));
    let told = json!({
        "method": method.as_str(),
        "target": uri.to_string(),
        "headers": fields.collect::<Vec<_>>(),
        "length": body.len(),
        "sha256": STANDARD.encode(Sha256::digest(&body)),
    });
    (axum::http::StatusCode::from_u16(status).unwrap(), Json(told)).into_response()
}
