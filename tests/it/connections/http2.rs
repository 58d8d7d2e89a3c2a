//! HTTP/2 by hand: streams whose windows stay closed, and that TLS's ALPN decides which HTTP is spoken.

use std::net::SocketAddr;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{WAIT_TIMEOUT, address};
use crate::support::Server;
use crate::support::authority::Authority;
use crate::support::program::Program;
use crate::support::wire::once;

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const END_STREAM: u8 = 1;

/// A frame (RFC 9113 §4.1).
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A connection's beginning with that initial window for streams.
pub fn hello(window: u32) -> Vec<u8> {
    [PREFACE, &frame(SETTINGS, 0, 0, &[&[0, 4], &window.to_be_bytes()[..]].concat())].concat()
}

/// A GET of that path (RFC 7541: indexed fields, and literal ones without indexing).
pub fn get(stream: u32, path: &str) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let block = [&[0x82, 0x86, 0x04][..], &text(path), &[0x01], &text("localhost")].concat();
    frame(HEADERS, 5, stream, &block)
}

/// The same with `fields` copies of `age` without a value, each one byte long (RFC 7541 appendix A).
pub fn get_with_fields(stream: u32, path: &str, fields: usize) -> Vec<u8> {
    let request = get(stream, path);
    frame(HEADERS, 5, stream, &[&request[9..], &vec![0x95; fields]].concat())
}

/// The next frame that is no answer to settings and no ping.
async fn next(stream: &mut TcpStream) -> (u8, u8, u32, Vec<u8>) {
    let reading = async {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.unwrap();
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        stream.read_exact(&mut payload).await.unwrap();
        (head[3], head[4], u32::from_be_bytes([head[5], head[6], head[7], head[8]]), payload)
    };
    tokio::time::timeout(WAIT_TIMEOUT, reading).await.expect("a frame in time")
}

async fn open(to: SocketAddr, window: u32) -> TcpStream {
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(&hello(window)).await.unwrap();
    stream
}

#[tokio::test]
async fn http2_connections_have_32_streams() {
    let server = Server::start().await;
    let mut stream = open(address(&server.url), 65_535).await;
    let (kind, _, _, payload) = next(&mut stream).await;
    assert_eq!(kind, SETTINGS);
    let all: Vec<&[u8]> = payload.chunks(6).collect();
    assert!(all.contains(&&[0, 3, 0, 0, 0, 32][..]), "SETTINGS_MAX_CONCURRENT_STREAMS: {all:?}");
}

/// With no window, and with one that is smaller than the page: the stream ends, the connection goes on.
#[tokio::test]
async fn a_stream_that_takes_no_response_is_reset() {
    let server = Server::start_with(|config| config.connections.write_timeout = 1).await;
    for window in [0, 1, 100] {
        let mut stream = open(address(&server.url), window).await;
        stream.write_all(&get(1, "/login")).await.unwrap();
        loop {
            let (kind, flags, number, payload) = next(&mut stream).await;
            assert!(!(kind == DATA && flags & END_STREAM != 0), "the page does not fit the window");
            if kind == RST_STREAM {
                assert_eq!((number, payload.len()), (1, 4));
                break;
            }
        }
        stream.write_all(&get(3, "/setup/nothing")).await.unwrap();
        while next(&mut stream).await.2 != 3 {}
    }
}

/// The window needs no byte more than the response has.
#[tokio::test]
async fn a_response_that_just_fits_the_window_arrives() {
    let server = Server::start().await;
    let page = once(address(&server.url), "GET", "/.well-known/openid-configuration", &[], b"").await;
    let window = u32::try_from(page.body.len()).unwrap();
    let mut stream = open(address(&server.url), window).await;
    stream.write_all(&get(1, "/.well-known/openid-configuration")).await.unwrap();
    let mut body = Vec::new();
    loop {
        let (kind, flags, number, payload) = next(&mut stream).await;
        if number == 1 && kind == DATA {
            body.extend(payload);
            if flags & END_STREAM != 0 {
                break;
            }
        }
    }
    assert_eq!(body, page.body);
}

/// More requests than one connection may have unsent responses to: they wait, and are answered as the window opens.
#[tokio::test]
async fn requests_of_a_closed_window_are_answered_when_it_opens() {
    let server = Server::start().await;
    let mut stream = open(address(&server.url), 0).await;
    for number in 0..32 {
        stream.write_all(&get(1 + 2 * number, "/login")).await.unwrap();
    }
    let window = frame(SETTINGS, 0, 0, &[&[0, 4], &1_000_000_u32.to_be_bytes()[..]].concat());
    stream.write_all(&window).await.unwrap();
    stream.write_all(&frame(8, 0, 0, &1_000_000_u32.to_be_bytes())).await.unwrap();
    let mut finished = 0;
    while finished < 32 {
        let (kind, flags, ..) = next(&mut stream).await;
        assert_ne!(kind, RST_STREAM);
        finished += usize::from(kind == DATA && flags & END_STREAM != 0);
    }
}

/// RFC 9113 §3.2: over TLS, HTTP/2 is spoken where ALPN says so, and nothing else is spoken then.
#[tokio::test]
async fn by_tls_the_protocol_is_what_alpn_says() {
    let authority = Authority::new();
    let mut program = Program::installed().await;
    program.set("SIGNET_ISSUER", &format!("https://localhost:{}", program.address.port()));
    program.set("SIGNET_TLS__CERT_FILE", "cert.pem");
    program.set("SIGNET_TLS__KEY_FILE", "key.pem");
    program.write("cert.pem", &authority.cert);
    program.write("key.pem", &authority.key);
    let server = program.serve(&["serve"]);
    // Fails only where it has been done before.
    rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.root.as_bytes()).unwrap()).unwrap();
    let one = b"GET /livez HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n".to_vec();
    let two = [hello(65_535), get(1, "/livez")].concat();
    for (alpn, request, is_served) in [
        (Some("h2"), &two, true),
        (Some("h2"), &one, false),
        (Some("http/1.1"), &one, true),
        (Some("http/1.1"), &two, false),
        (None, &one, true),
        (None, &two, false),
    ] {
        let mut config = ClientConfig::builder().with_root_certificates(roots.clone()).with_no_client_auth();
        config.alpn_protocols = alpn.into_iter().map(|name| name.as_bytes().to_vec()).collect();
        let stream = TcpStream::connect(program.address).await.unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        let mut stream = connector.connect("localhost".try_into().unwrap(), stream).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        let reading = async {
            let mut buffer = [0; 4096];
            // HTTP/2 stays open; its answer to the request is a HEADERS frame.
            while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                answer.extend_from_slice(&buffer[..count]);
                if answer.windows(5).any(|it| it == b"ready" || it == b"HTTP/") || has_headers(&answer) {
                    break;
                }
            }
        };
        tokio::time::timeout(WAIT_TIMEOUT, reading).await.expect("an answer or the end");
        let served = if request == &one { answer.starts_with(b"HTTP/1.1 200") } else { has_headers(&answer) };
        assert_eq!(served, is_served, "{alpn:?}: {}", answer.escape_ascii());
    }
    server.stop();
}

/// Whether these frames have one of headers among them.
fn has_headers(mut frames: &[u8]) -> bool {
    while frames.len() >= 9 {
        let length = u32::from_be_bytes([0, frames[0], frames[1], frames[2]]) as usize;
        if frames[3] == HEADERS {
            return true;
        }
        frames = frames.get(9 + length..).unwrap_or_default();
    }
    false
}
