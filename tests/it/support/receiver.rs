//! What Signet's own requests reach: a small server on a free loopback port that answers as it is told and remembers what
//! it was asked. [`reachable`] lets a Signet under test go there (`Server::start_with(receiver::reachable)`).

use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Uri};
use axum::response::Response;
use axum_server::tls_rustls::RustlsConfig;
use futures::stream;
use serde_json::{Value, json};
use signet::config::Config;
use tokio::sync::watch;

use super::authority::Authority;

/// Requests that go out may reach 127.0.0.1, by http too.
pub fn reachable(config: &mut Config) {
    config.outbound.allow = serde_json::from_value(json!(["127.0.0.1"])).unwrap();
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: Method,
    pub path: String,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Request {
    /// The fields of a form that was sent.
    pub fn form(&self) -> HashMap<String, String> {
        url::form_urlencoded::parse(&self.body).into_owned().collect()
    }
}

/// What a path answers.
#[derive(Clone, Debug)]
pub struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Content,
}

#[derive(Clone, Debug)]
enum Content {
    Whole(Vec<u8>),
    /// A byte now and then, for ever.
    Drips,
    /// As fast as it is read, for ever.
    Endless,
    /// Not even a status.
    Silence,
}

impl Answer {
    fn new(status: u16, body: Content) -> Self {
        Self { status, headers: Vec::new(), body }
    }

    pub fn status(status: u16) -> Self {
        Self::new(status, Content::Whole(Vec::new()))
    }

    pub fn body(content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::new(200, Content::Whole(body.into())).header("content-type", content_type)
    }

    pub fn json(body: &Value) -> Self {
        Self::body("application/json", body.to_string())
    }

    pub fn drips() -> Self {
        Self::new(200, Content::Drips)
    }

    pub fn endless() -> Self {
        Self::new(200, Content::Endless)
    }

    pub fn silence() -> Self {
        Self::new(200, Content::Silence)
    }

    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

struct Told {
    /// By path; the last one of a row stays.
    answers: Mutex<HashMap<String, VecDeque<Answer>>>,
    asked: watch::Sender<Vec<Request>>,
}

pub struct Receiver {
    /// Without a slash at its end.
    pub url: String,
    told: Arc<Told>,
}

impl Receiver {
    /// By plain http at 127.0.0.1.
    pub async fn start() -> Self {
        let (listener, port) = free_port();
        let (receiver, router) = Self::new(format!("http://127.0.0.1:{port}"));
        tokio::spawn(async move { axum_server::from_tcp(listener).unwrap().serve(router.into_make_service()).await });
        receiver
    }

    /// By https at localhost, with a certificate of `authority`.
    pub async fn start_tls(authority: &Authority) -> Self {
        let (listener, port) = free_port();
        let (receiver, router) = Self::new(format!("https://localhost:{port}"));
        // Fails only where it has been done before.
        rustls::crypto::aws_lc_rs::default_provider().install_default().ok();
        let (cert, key) = (authority.cert.clone().into_bytes(), authority.key.clone().into_bytes());
        let tls = RustlsConfig::from_pem(cert, key).await.unwrap();
        let server = axum_server::from_tcp_rustls(listener, tls).unwrap();
        tokio::spawn(async move { server.serve(router.into_make_service()).await });
        receiver
    }

    fn new(url: String) -> (Self, Router) {
        let told = Arc::new(Told { answers: Mutex::default(), asked: watch::channel(Vec::new()).0 });
        let router = Router::new().fallback(answer).with_state(told.clone());
        (Self { url, told }, router)
    }

    /// The address of `path` here.
    pub fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// What `path` answers from now on. What nothing was said about is 404.
    pub fn answer(&self, path: &str, answer: Answer) {
        self.answer_in_turn(path, vec![answer]);
    }

    /// One answer after the other; the last one stays.
    pub fn answer_in_turn(&self, path: &str, answers: Vec<Answer>) {
        self.told.answers.lock().unwrap().insert(path.to_owned(), answers.into());
    }

    /// What `path` was asked so far.
    pub fn requests(&self, path: &str) -> Vec<Request> {
        self.told.asked.borrow().iter().filter(|request| request.path == path).cloned().collect()
    }

    /// Waits until `path` has been asked `number` times.
    pub async fn asked(&self, path: &str, number: usize) -> Vec<Request> {
        let mut asked = self.told.asked.subscribe();
        let enough = |all: &Vec<Request>| all.iter().filter(|request| request.path == path).count() >= number;
        let waited = tokio::time::timeout(Duration::from_secs(20), asked.wait_for(enough)).await;
        assert!(waited.is_ok(), "{path} was asked {} times", self.requests(path).len());
        self.requests(path)
    }
}

fn free_port() -> (TcpListener, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

async fn answer(
    State(told): State<Arc<Told>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    let path = uri.path().to_owned();
    let answer = {
        let mut answers = told.answers.lock().unwrap();
        match answers.get_mut(&path) {
            Some(row) if row.len() > 1 => row.pop_front().unwrap(),
            Some(row) => row[0].clone(),
            None => Answer::status(404),
        }
    };
    told.asked.send_modify(|all| all.push(Request { method, path, headers, body: body.to_vec() }));
    let body = match answer.body {
        Content::Whole(bytes) => Body::from(bytes),
        Content::Endless => Body::from_stream(stream::repeat(Ok::<_, Infallible>(vec![b'x'; 8192]))),
        Content::Drips => Body::from_stream(stream::unfold(tokio::time::interval(Duration::from_millis(20)), drip)),
        Content::Silence => std::future::pending().await,
    };
    let mut response = Response::builder().status(answer.status);
    for (name, value) in answer.headers {
        response = response.header(name, value);
    }
    response.body(body).unwrap()
}

async fn drip(mut pace: tokio::time::Interval) -> Option<(Result<Bytes, Infallible>, tokio::time::Interval)> {
    pace.tick().await;
    Some((Ok(Bytes::from_static(b" ")), pace))
}
