//! What is kept, and how: what was acknowledged survives the program's being killed at work (group commit
//! answers after the commit), and nobody else on the machine reads it.

use std::os::unix::fs::PermissionsExt as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::Client as Http;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::support::program::Program;
use crate::support::{CALLBACK, PASSWORD, SECRET};

const FAMILIES: usize = 8;
const ACKNOWLEDGED: usize = 100;

struct App {
    http: Http,
    url: String,
}

impl App {
    /// The answer, or nothing where the connection broke.
    async fn token(&self, form: &[(&str, &str)]) -> Option<(u16, Value)> {
        let basic = format!("Basic {}", STANDARD.encode(format!("web:{SECRET}")));
        let request = self.http.post(format!("{}/oauth2/token", self.url)).header("authorization", basic);
        let response = request.form(form).send().await.ok()?;
        Some((response.status().as_u16(), response.json().await.ok()?))
    }

    async fn refresh(&self, token: &str) -> Option<(u16, Value)> {
        self.token(&[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }

    /// Refreshes on and on; the last two tokens that were handed out when the connection broke.
    async fn refresh_until_it_breaks(&self, mut token: String, tell: mpsc::UnboundedSender<()>) -> [String; 2] {
        let mut before = token.clone();
        while let Some((status, answer)) = self.refresh(&token).await {
            assert_eq!(status, 200, "{answer}");
            before = std::mem::replace(&mut token, answer["refresh_token"].as_str().unwrap().to_owned());
            tell.send(()).ok();
        }
        [before, token]
    }
}

#[tokio::test]
async fn the_data_is_its_owners_alone() {
    let program = Program::installed().await;
    let _server = program.serve(&[]);
    let mut files: Vec<String> = Vec::new();
    for entry in std::fs::read_dir(program.data()).unwrap().map(Result::unwrap) {
        files.push(entry.file_name().into_string().unwrap());
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o077, 0, "{files:?}");
    }
    assert!(files.contains(&"master.key".to_owned()), "{files:?}");
}

/// T4 (CVE-2026-1035, CVE-2026-9802): neither is an acknowledged successor lost, nor does an old token come back to life.
#[tokio::test]
async fn every_acknowledged_refresh_survives_a_kill() {
    let program = Program::installed().await;
    let document = json!({
        "users": [{ "username": "alice", "password": PASSWORD }],
        "clients": [{ "client_id": "web", "client_secret": SECRET, "redirect_uris": [CALLBACK], "consent": "trusted",
                      "grant_types": ["authorization_code", "refresh_token"], "scope": "profile offline_access" }],
    });
    program.run_with(&["apply", "-"], &document.to_string()).done();
    let server = program.serve(&[]);
    let app = App { http: Http::builder().no_proxy().build().unwrap(), url: program.url() };
    let authorize = url::Url::parse_with_params(
        &format!("{}/oauth2/authorize", app.url),
        [
            ("client_id", "web"),
            ("redirect_uri", CALLBACK),
            ("response_type", "code"),
            ("scope", "profile offline_access"),
        ],
    );
    let (authorize, browser) = (authorize.unwrap().to_string(), program.browser());
    let mut tokens = Vec::new();
    for _ in 0..FAMILIES {
        let code = browser.sign_in(&authorize).await["code"].clone();
        let form = [("grant_type", "authorization_code"), ("code", code.as_str()), ("redirect_uri", CALLBACK)];
        let (status, answer) = app.token(&form).await.unwrap();
        assert_eq!(status, 200, "{answer}");
        tokens.push(answer["refresh_token"].as_str().unwrap().to_owned());
    }

    let (tell, mut told) = mpsc::unbounded_channel();
    let refreshing = tokens.into_iter().map(|token| app.refresh_until_it_breaks(token, tell.clone()));
    let killing = async {
        for _ in 0..ACKNOWLEDGED {
            told.recv().await;
        }
        server.kill();
    };
    let (last, ()) = tokio::join!(futures::future::join_all(refreshing), killing);

    let _server = program.serve(&[]);
    for [before, token] in last {
        let (status, answer) = app.refresh(&token).await.unwrap();
        assert_eq!(status, 200, "an acknowledged refresh was lost: {answer}");
        let (_, repeated) = app.refresh(&token).await.unwrap();
        assert_eq!(repeated["refresh_token"], answer["refresh_token"], "the new process derives the same successor");
        let (status, answer) = app.refresh(&before).await.unwrap();
        assert_eq!((status, &answer["error"]), (400, &json!("invalid_grant")));
    }
}
