//! The log as machines read it: each line is JSON, each of a request has the request's id, and nothing
//! that lets anybody in stands in it.

use reqwest::{Client as Http, Response};
use serde_json::{Value, json};

use crate::support::program::Program;
use crate::support::{Browser, CALLBACK, PASSWORD, Page, SECRET, VERIFIER};

const WRONG: &str = "a password that is not hers";

/// What was seen on the wire: request ids, and what must stay between the two ends.
#[derive(Default)]
struct Wire {
    ids: Vec<String>,
    secrets: Vec<String>,
}

impl Wire {
    fn note(&mut self, response: &Response) {
        let headers = response.headers();
        self.ids.push(headers["x-request-id"].to_str().unwrap().to_owned());
        for cookie in headers.get_all("set-cookie") {
            let value = cookie.to_str().unwrap().split_once('=').unwrap().1.split(';').next().unwrap();
            self.secrets.push(value.to_owned());
        }
    }

    /// Follows a browser's redirects one by one; the page at their end, or the address at the app.
    async fn go(&mut self, browser: &Browser, mut response: Response) -> Result<Page, String> {
        loop {
            self.note(&response);
            let Some(to) = response.headers().get("location").map(|to| to.to_str().unwrap().to_owned()) else {
                return browser.follow(response).await.map_err(|_| String::new());
            };
            if to.starts_with(CALLBACK) {
                return Err(to);
            }
            response = browser.raw(&to).await;
        }
    }

    async fn submit(&mut self, browser: &Browser, page: &Page, fields: &[(&str, &str)]) -> Result<Page, String> {
        let (action, form) = page.form(fields);
        self.secrets.extend(form.iter().filter(|(name, _)| name == "csrf").map(|(_, value)| value.clone()));
        let response = browser.raw_post(&action, &form).await;
        self.go(browser, response).await
    }

    async fn token(&mut self, program: &Program, form: &[(&str, &str)]) -> Value {
        let request = Http::new().post(format!("{}/oauth2/token", program.url())).basic_auth("web", Some(SECRET));
        let response = request.form(form).send().await.unwrap();
        self.note(&response);
        let tokens: Value = response.json().await.unwrap();
        let named = ["access_token", "refresh_token", "id_token"].iter().filter_map(|name| tokens[name].as_str());
        self.secrets.extend(named.map(ToOwned::to_owned));
        tokens
    }
}

async fn program() -> Program {
    let mut program = Program::installed().await;
    program.set("SIGNET_LOG__FORMAT", "json");
    // The most talkative that somebody who looks for an error will set.
    program.set("SIGNET_LOG__LEVEL", "info,signet=trace");
    let document = json!({
        "users": [{ "username": "alice", "password": PASSWORD }],
        "clients": [{ "client_id": "web", "client_secret": SECRET, "redirect_uris": [CALLBACK],
                      "grant_types": ["authorization_code", "refresh_token"], "scope": "openid offline_access" }],
    });
    program.run_with(&["apply", "-"], &document.to_string()).done();
    program
}

#[tokio::test]
async fn each_line_is_json_with_the_requests_id_and_without_a_secret() {
    let program = program().await;
    let server = program.serve(&["serve"]);
    let (browser, mut wire) = (program.browser(), Wire::default());
    let ask = format!(
        "/oauth2/authorize?client_id=web&redirect_uri={CALLBACK}&response_type=code&scope=openid%20offline_access\
         &state=the-state&nonce=the-nonce&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM\
         &code_challenge_method=S256"
    );
    let response = browser.raw(&ask.replace("client_id=web", "client_id=nobody")).await;
    assert_eq!(wire.go(&browser, response).await.unwrap().status, 400);
    let response = browser.raw(&ask).await;
    let login = wire.go(&browser, response).await.unwrap();
    // Somebody types the password where the name belongs, too.
    let login = wire.submit(&browser, &login, &[("username", WRONG), ("password", WRONG)]).await.unwrap();
    let login = wire.submit(&browser, &login, &[("username", "alice"), ("password", WRONG)]).await.unwrap();
    let consent = wire.submit(&browser, &login, &[("username", "alice"), ("password", PASSWORD)]).await.unwrap();
    let app = wire.submit(&browser, &consent, &[("decision", "allow")]).await.err().unwrap();
    let callback = url::Url::parse(&app).unwrap();
    let code = callback.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
    let redeem = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    let tokens = wire.token(&program, &redeem).await;
    let refresh = tokens["refresh_token"].as_str().expect("tokens").to_owned();
    wire.token(&program, &[("grant_type", "refresh_token"), ("refresh_token", &refresh)]).await;
    wire.token(&program, &redeem).await;
    wire.token(&program, &[("grant_type", "refresh_token"), ("refresh_token", &refresh)]).await;
    let wrong = Http::new().post(format!("{}/oauth2/token", program.url())).basic_auth("web", Some("a wrong secret"));
    wire.note(&wrong.form(&[("grant_type", "refresh_token"), ("refresh_token", "sgr_x")]).send().await.unwrap());
    let link = server.line.rsplit_once("token=").unwrap().1.to_owned();
    wire.go(&browser, browser.raw(&format!("/setup?token={link}")).await).await.unwrap();
    server.signal("TERM");
    let log = server.log_at_end();
    let lines: Vec<Value> = log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    assert!(lines.iter().all(|line| line["timestamp"].is_string() && line["level"].is_string()), "{log}");
    for id in &wire.ids {
        let answered = lines.iter().filter(|line| line["span"]["request_id"] == **id && line["message"] == "answered");
        let answered: Vec<&Value> = answered.collect();
        assert_eq!(answered.len(), 1, "one line a request: {id} {log}");
        let line = answered[0];
        assert_eq!(line["level"], "INFO");
        assert!(line["status"].is_u64() && line["ms"].is_u64(), "{line}");
        assert!(line["span"]["method"].is_string() && line["span"]["path"].is_string(), "{line}");
    }
    assert!(lines.iter().any(|line| line["error"] == "invalid_grant" && line["level"] == "WARN"), "{log}");
    wire.secrets.retain(|secret| !secret.is_empty());
    assert!(wire.secrets.len() > 8, "cookies, form tokens, tokens");
    wire.secrets.extend([PASSWORD, WRONG, SECRET, "a wrong secret", VERIFIER, &code, &link].map(ToOwned::to_owned));
    wire.secrets.extend(["the-state", "the-nonce"].map(ToOwned::to_owned));
    for secret in &wire.secrets {
        assert!(!log.contains(secret.as_str()), "{secret} stands in the log: {log}");
    }
}

#[tokio::test]
async fn a_log_of_warnings_alone_still_says_which_request() {
    let mut program = program().await;
    program.set("SIGNET_LOG__LEVEL", "warn");
    let server = program.serve(&["serve"]);
    let mut wire = Wire::default();
    wire.token(&program, &[("grant_type", "password")]).await;
    server.signal("TERM");
    let log = server.log_at_end();
    let line: Value = serde_json::from_str(log.trim()).expect(&log);
    assert_eq!((line["level"].as_str(), line["error"].as_str()), (Some("WARN"), Some("unsupported_grant_type")));
    assert_eq!(line["span"]["request_id"], *wire.ids[0]);
}

/// A full disk, or a reader that has gone: the service goes on.
#[tokio::test]
async fn a_log_that_nobody_takes_ends_nothing() {
    let program = Program::installed().await;
    let server = program.serve_with_log_at(std::path::Path::new("/dev/full"));
    for _ in 0..3 {
        let refused = reqwest::Client::new().post(format!("{}/oauth2/token", program.url())).send().await.unwrap();
        assert_eq!(refused.status(), 401);
    }
    server.stop();
}

/// What a stranger sends, as it may not stand in a log: a line of its own, a terminal's commands, another order of reading.
const HIDDEN: &str = "x\u{85}\u{9b}31m\u{202e}\u{2028}\u{200b}y";
const ESCAPED: [&str; 5] = ["85", "9b", "202e", "2028", "200b"];

/// In both forms of the log, wherever the text comes from: here a proxy's header, which is logged without quotation marks.
#[tokio::test]
async fn hidden_characters_are_escaped_in_every_log() {
    for (format, begin, end) in [("text", "\\u{", "}"), ("json", "\\u", "")] {
        let mut program = Program::installed().await;
        program.set("SIGNET_LOG__FORMAT", format);
        program.set("SIGNET_TRUSTED_PROXIES", "127.0.0.1");
        let server = program.serve(&["serve"]);
        let value = reqwest::header::HeaderValue::from_bytes(HIDDEN.as_bytes()).unwrap();
        let request = Http::new().get(format!("{}/login", program.url())).header("x-forwarded-for", value);
        assert_eq!(request.send().await.unwrap().status(), 200);
        server.signal("TERM");
        let log = server.log_at_end();
        assert!(!log.chars().any(|c| c != '\n' && signet::domain::printable::is_hidden(c)), "{log:?}");
        let line = log.lines().find(|line| line.contains("X-Forwarded-For")).expect("it is logged");
        for hidden in ESCAPED {
            let width = if format == "json" { 4 } else { 0 };
            assert!(line.contains(&format!("{begin}{hidden:0>width$}{end}")), "{hidden}: {line}");
        }
        if format == "json" {
            let line: Value = serde_json::from_str(line).unwrap();
            assert_eq!(line["value"], HIDDEN);
        }
    }
}

/// Names in lists of the commands: a terminal is not told anything by them, and JSON means what it meant.
#[tokio::test]
async fn hidden_characters_are_escaped_in_every_list() {
    let program = Program::installed().await;
    let document = json!({
        "users": [{ "username": "alice", "name": HIDDEN }],
        "apis": [{ "identifier": "https://api.example.com", "name": HIDDEN, "scopes": ["read"] }],
        "clients": [{ "client_id": "web", "client_secret": SECRET, "client_name": HIDDEN,
                      "redirect_uris": [CALLBACK] }],
    });
    let applied = program.run_with(&["apply", "-"], &document.to_string());
    assert!(!applied.err.chars().any(|c| c != '\n' && signet::domain::printable::is_hidden(c)), "{:?}", applied.err);
    if applied.code != 0 {
        // Names of that kind are not taken at all.
        return;
    }
    for command in [
        &["user", "list"][..],
        &["client", "list"],
        &["api", "list"],
        &["api", "show", "https://api.example.com"],
        &["user", "list", "--json"],
        &["client", "list", "--json"],
        &["export"],
    ] {
        let out = program.done(command);
        assert!(!out.chars().any(|c| c != '\n' && signet::domain::printable::is_hidden(c)), "{command:?}: {out:?}");
        if let Ok(json) = serde_json::from_str::<Value>(&out) {
            assert!(json.to_string().contains(HIDDEN) || !out.contains("202e"), "{command:?}: {out}");
        }
    }
}
