//! The load: clients that each keep one connection and send the next request when the last one is answered. A plain
//! HTTP/1.1 client of our own, since what it costs is taken from the server's processors.

use std::net::SocketAddr;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

use crate::server::Server;
use crate::stock;

const ASK: &str = "GET /gate/verify/bench HTTP/1.1";

/// What one client asks for, again and again.
pub enum Kind {
    /// A GET of this path: `/livez`, an answer that says nothing, or a public document.
    Get(&'static str),
    /// A GET of the authorization endpoint with this cookie, answered at once with a code.
    Authorize(String),
    /// A proxy's question about a request with these header lines.
    Verify(String),
    /// The same with each of these once, until there are no more.
    VerifyOnce(Vec<String>),
    /// Client credentials by these assertions, each good once, until there are no more.
    Assertions(Vec<String>),
    ClientCredentials,
    /// Redeems these, until there are no more.
    Codes(Vec<String>),
    /// Renews this one, then its successor, and so on.
    Refresh(String),
}

pub struct Figure {
    pub name: &'static str,
    /// Answers a second.
    pub rate: f64,
    /// The server's processor time for one answer.
    pub cpu_micros: f64,
}

/// What is good once, dealt out to `clients`.
pub fn shared(mut once: Vec<String>, clients: usize, kind: fn(Vec<String>) -> Kind) -> Vec<Kind> {
    let each = once.len() / clients;
    (0..clients).map(|_| kind(once.split_off(once.len() - each))).collect()
}

/// Lets every client ask for `seconds`, or until it has nothing more to ask for.
pub async fn drive(name: &'static str, server: &Server, kinds: Vec<Kind>, seconds: Duration) -> Figure {
    let mut clients = Vec::new();
    for kind in kinds {
        let mut client = Client { connection: Connection::open(server.address, &kind).await, kind };
        // The first answer fills caches.
        client.ask().await;
        clients.push(client);
    }
    let (begun, cpu) = (crate::now(), server.cpu_micros());
    let asking = clients.into_iter().map(|mut client| async move {
        let mut answers = 0u32;
        while begun.elapsed() < seconds && client.ask().await {
            answers += 1;
        }
        answers
    });
    let answers: u32 = asking.collect::<FuturesUnordered<_>>().collect::<Vec<_>>().await.into_iter().sum();
    let (took, cpu) = (begun.elapsed(), server.cpu_micros() - cpu);
    Figure { name, rate: f64::from(answers) / took.as_secs_f64(), cpu_micros: cpu / f64::from(answers) }
}

/// The same, and the 99th percentile of the times until the answers.
pub async fn timed(server: &Server, kinds: Vec<Kind>, seconds: Duration) -> (f64, Duration) {
    let mut clients = Vec::new();
    for kind in kinds {
        clients.push(Client { connection: Connection::open(server.address, &kind).await, kind });
    }
    let begun = crate::now();
    let asking = clients.into_iter().map(|mut client| async move {
        let mut times = Vec::new();
        while begun.elapsed() < seconds {
            let sent = crate::now();
            client.ask().await;
            times.push(sent.elapsed());
        }
        times
    });
    let mut times: Vec<Duration> = asking.collect::<FuturesUnordered<_>>().collect::<Vec<_>>().await.concat();
    times.sort_unstable();
    (times.len() as f64 / begun.elapsed().as_secs_f64(), times[times.len() * 99 / 100])
}

struct Client {
    connection: Connection,
    kind: Kind,
}

impl Client {
    /// One request; whether there was one to send.
    async fn ask(&mut self) -> bool {
        let form = match &mut self.kind {
            Kind::Get(path) => {
                self.connection.send(&format!("GET {path} HTTP/1.1"), "", "200").await;
                return true;
            }
            Kind::Verify(_) => {
                self.connection.send(ASK, "", "200").await;
                return true;
            }
            Kind::VerifyOnce(heads) => {
                let Some(head) = heads.pop() else { return false };
                self.connection.head = format!("Host: gate\r\n{head}");
                self.connection.send(ASK, "", "200").await;
                return true;
            }
            Kind::Authorize(_) => {
                self.connection.send(&format!("GET {} HTTP/1.1", stock::authorization_request()), "", "303").await;
                return true;
            }
            Kind::Assertions(assertions) => match assertions.pop() {
                Some(assertion) => stock::by_assertion(&assertion),
                None => return false,
            },
            Kind::ClientCredentials => "grant_type=client_credentials".to_owned(),
            Kind::Codes(codes) => match codes.pop() {
                Some(code) => stock::redemption(&code),
                None => return false,
            },
            Kind::Refresh(token) => format!("grant_type=refresh_token&refresh_token={token}"),
        };
        let answer = self.connection.send("POST /oauth2/token HTTP/1.1", &form, "200").await;
        if let Kind::Refresh(token) = &mut self.kind {
            let (_, rest) = answer.split_once("\"refresh_token\":\"").unwrap();
            rest.split('"').next().unwrap().clone_into(token);
        }
        true
    }
}

struct Connection {
    stream: BufReader<TcpStream>,
    head: String,
}

impl Connection {
    async fn open(address: SocketAddr, kind: &Kind) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let who = match kind {
            Kind::Authorize(cookie) => format!("Cookie: {cookie}\r\n"),
            Kind::Verify(head) => head.clone(),
            Kind::Assertions(_) | Kind::VerifyOnce(_) => String::new(),
            _ => format!("Authorization: {}\r\n", stock::authorization()),
        };
        let head = format!("Host: {address}\r\n{who}Content-Type: application/x-www-form-urlencoded\r\n");
        Self { stream: BufReader::new(stream), head }
    }

    /// The body of an answer with that status; anything else ends the measurement.
    async fn send(&mut self, line: &str, form: &str, status: &str) -> String {
        let request = format!("{line}\r\n{}Content-Length: {}\r\n\r\n{form}", self.head, form.len());
        self.stream.write_all(request.as_bytes()).await.unwrap();
        let (mut line, mut head, mut length) = (String::new(), String::new(), 0);
        loop {
            line.clear();
            self.stream.read_line(&mut line).await.unwrap();
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            if line.trim().is_empty() {
                break;
            }
            head.push_str(&line);
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).await.unwrap();
        let body = String::from_utf8(body).unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}{body}");
        body
    }
}
