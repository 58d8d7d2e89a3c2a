//! What the gate's answers cost: of a credential that it has seen, beside an answer that says nothing; of one that it has not,
//! beside one verified signature.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use signet::app::AppState;
use signet::domain::api_key::Owner;
use signet::domain::gate::GateName;
use signet::manage::{AuditContext, api_keys, apis};
use signet_signatures::{Component, Input, Parameters, Request, SigningKey};

use crate::load::{self, Kind};
use crate::server::Server;
use crate::{CLIENTS, number, stock};

const QUESTION: &str = "X-Original-Method: GET\r\nX-Original-URL: https://api.example/orders/1\r\n";

/// The API behind the gate `bench`, and a key of the client's for it.
async fn api_and_key(app: &AppState) -> String {
    let (manager, by) = (app.manager(), AuditContext::command_line());
    let api = json!({
        "identifier": "https://api.example", "scopes": ["read"], "gate": "bench",
        "accepts": ["bearer", "api_key", "basic", "message_signature"],
        "rules": [{ "methods": ["GET"], "path": "/orders/**", "scopes": ["read"] }],
    });
    apis::put(&manager, &by, serde_json::from_value(api).unwrap()).await.unwrap();
    let new = api_keys::NewApiKey {
        owner: Owner::Client(stock::client_id()),
        gate: GateName::try_from("bench".to_owned()).unwrap(),
        name: "bench".to_owned(),
        scopes: ["read"].into_iter().collect(),
        expires_at: None,
        networks: Vec::new(),
    };
    api_keys::create(&manager, &by, new).await.unwrap().0.expose().to_owned()
}

fn bearer(token: &str) -> String {
    format!("{QUESTION}Authorization: Bearer {token}\r\n")
}

async fn token(address: std::net::SocketAddr) -> String {
    let request = reqwest::Client::new().post(format!("http://{address}/oauth2/token"));
    let form = [("grant_type", "client_credentials"), ("scope", "read")];
    let request = request.header("authorization", stock::authorization()).form(&form);
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    answer["access_token"].as_str().unwrap().to_owned()
}

fn signatures(now: i64, count: usize) -> Vec<String> {
    let key = SigningKey::from_secret(stock::SHARED_SECRET).unwrap();
    let request = Request::to("GET", "https://api.example/orders/1").unwrap();
    let one = |number: usize| {
        let covered = ["@method", "@target-uri"].map(|name| Component::new(name).unwrap()).into();
        let said = Parameters {
            created: Some(now),
            nonce: Some(number.to_string()),
            keyid: Some("bench".to_owned()),
            ..Parameters::default()
        };
        let signed = Input::new(covered, said).unwrap().sign("sig", &request, &key).unwrap();
        format!("{QUESTION}Signature-Input: {}\r\nSignature: {}\r\n", signed.signature_input, signed.signature)
    };
    (0..count).map(one).collect()
}

pub async fn figures(app: &AppState, data: &Path, seconds: Duration, verify: f64) {
    let key = api_and_key(app).await;
    let server = Server::start(data).await;
    let each = |head: &str| (0..CLIENTS).map(|_| Kind::Verify(head.to_owned())).collect::<Vec<_>>();
    let livez = (0..CLIENTS).map(|_| Kind::Get("/livez")).collect();
    let livez = load::drive("an empty answer, 16 clients", &server, livez, seconds).await;
    println!("  {:<34} {:>8.0} /s  {:>6.0} µs of the server", livez.name, livez.rate, livez.cpu_micros);
    let seen = [
        ("a token seen before, 16 clients", bearer(&token(server.address).await)),
        ("an API key seen before, 16 clients", format!("{QUESTION}X-API-Key: {key}\r\n")),
        ("a client's secret, 16 clients", format!("{QUESTION}Authorization: {}\r\n", stock::authorization())),
    ];
    for (name, head) in seen {
        let figure = load::drive(name, &server, each(&head), seconds).await;
        let (rate, late) = load::timed(&server, each(&head).split_off(CLIENTS - 2), seconds).await;
        println!(
            "  {name:<34} {:>8.0} /s  {:>6.0} µs of the server, {:.2} of the empty answer; 2 clients {rate:.0} /s, p99 {:.0} µs",
            figure.rate,
            figure.cpu_micros,
            figure.rate / livez.rate,
            late.as_secs_f64() * 1e6
        );
    }
    let count = number("BENCH_TOKENS", 10_000);
    let mut tokens = Vec::new();
    for _ in 0..count {
        tokens.push(bearer(&token(server.address).await));
    }
    let once = load::shared(tokens, CLIENTS, Kind::VerifyOnce);
    let figure = load::drive("a token not seen, 16 clients", &server, once, seconds).await;
    let bare = figure.cpu_micros - livez.cpu_micros;
    println!(
        "  {:<34} {:>8.0} /s  {:>6.0} µs of the server = {:.2} x one verified signature; {:.2} x without the HTTP answer",
        figure.name,
        figure.rate,
        figure.cpu_micros,
        figure.cpu_micros * verify / 1e6,
        bare * verify / 1e6
    );
    let once = load::shared(signatures(app.env().now().seconds(), 2 * count), CLIENTS, Kind::VerifyOnce);
    let figure = load::drive("a message signature, 16 clients", &server, once, seconds).await;
    println!("  {:<34} {:>8.0} /s  {:>6.0} µs of the server", figure.name, figure.rate, figure.cpu_micros);
}
