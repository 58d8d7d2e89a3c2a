//! The end of a session in a browser: apps that are told in frames, and apps that ask in a frame of theirs whether it is
//! still the same (Front-Channel Logout, Session Management).

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::RawQuery;
use axum::response::Html;
use axum::routing::get;
use serde_json::{Value, json};

use crate::support::chromium::Chromium;
use crate::support::{PASSWORD, Server, VERIFIER};
use crate::token::claims;

/// An app beside the server: on the same host, at another port, and so of another origin.
struct App {
    url: String,
    /// The queries with which its logout address was asked.
    told: Arc<Mutex<Vec<String>>>,
}

impl App {
    /// Known to `server` as the client `web`, with `out` as its logout address.
    async fn start(server: &Server, out: &str) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://localhost:{}", listener.local_addr().unwrap().port());
        let told: Arc<Mutex<Vec<String>>> = Arc::default();
        let (heard, op) = (told.clone(), server.url.clone());
        let hear = move |RawQuery(query): RawQuery| heard.lock().unwrap().push(query.unwrap_or_default());
        let hear_too = hear.clone();
        let watch = format!(
            "<iframe id=op src=\"{op}/oauth2/check_session\"></iframe><script>
             const ask = (question) => new Promise((answered) => {{
               const hear = ({{ source, origin, data }}) => {{
                 if (source === op.contentWindow && origin === '{op}') {{ removeEventListener('message', hear); answered(data); }}
               }};
               addEventListener('message', hear);
               op.contentWindow.postMessage(question, '{op}');
             }});</script>"
        );
        let service = Router::new()
            .route("/cb", get(|| async { page("cb", "") }))
            .route("/bye", get(|| async { page("bye", "") }))
            .route(
                "/out",
                get(|query| async move {
                    hear(query);
                    page("out", "")
                }),
            )
            .route(
                "/hang",
                get(|query| async move {
                    hear_too(query);
                    std::future::pending::<Html<String>>().await
                }),
            )
            .route("/watch", get(move || async move { page("watch", &watch) }));
        tokio::spawn(async move { axum::serve(listener, service).await.unwrap() });
        let metadata = json!({
            "redirect_uris": [format!("{url}/cb")],
            "post_logout_redirect_uris": [format!("{url}/bye")],
            "frontchannel_logout_uri": format!("{url}{out}"),
            "consent": "trusted",
        });
        server.user("alice").await;
        server.client("web", metadata).await;
        Self { url, told }
    }

    /// Signs alice in; what came back.
    async fn sign_in(&self, server: &Server, browser: &Chromium) -> Value {
        let callback = format!("{}/cb", self.url);
        browser.open(&format!("{}{}", server.url, server.authorize(&[("redirect_uri", &callback)]))).await;
        browser.sign_in("alice", PASSWORD).await;
        let landed = browser.wait_for_url(&callback).await;
        landed
            .query_pairs()
            .map(|(name, value)| (name.into_owned(), json!(value)))
            .collect::<serde_json::Map<_, _>>()
            .into()
    }

    /// Signs alice in; the ID token.
    async fn hint(&self, server: &Server, browser: &Chromium) -> String {
        let answer = self.sign_in(server, browser).await;
        let form = [
            ("grant_type", "authorization_code"),
            ("code", answer["code"].as_str().unwrap()),
            ("redirect_uri", &format!("{}/cb", self.url)),
            ("code_verifier", VERIFIER),
        ];
        server.token(&form).await.1["id_token"].as_str().unwrap().to_owned()
    }

    fn log_out(&self, server: &Server, hint: &str) -> String {
        let back = format!("{}/bye", self.url);
        let parameters = [("id_token_hint", hint), ("post_logout_redirect_uri", &back), ("state", "s t&")];
        url::Url::parse_with_params(&format!("{}/oauth2/logout", server.url), parameters).unwrap().into()
    }
}

fn page(title: &str, body: &str) -> Html<String> {
    Html(format!("<!doctype html><title>{title}</title><link rel=icon href=data:,><h1>{title}</h1>{body}"))
}

#[tokio::test]
async fn the_last_page_tells_the_app_and_goes_on() {
    let server = Server::start().await;
    let app = App::start(&server, "/out?tenant=a%20b").await;
    let browser = Chromium::start().await;
    let hint = app.hint(&server, &browser).await;
    browser.open(&app.log_out(&server, &hint)).await;
    let landed = browser.wait_for_url(&format!("{}/bye", app.url)).await;
    assert_eq!(landed.query(), Some("state=s+t%26"));
    let told = app.told.lock().unwrap().clone();
    let query: String = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("iss", &server.url)
        .append_pair("sid", claims(&hint)["sid"].as_str().unwrap())
        .finish();
    assert_eq!(told, [format!("tenant=a%20b&{query}")], "once, and before it went on");
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

/// An app that does not answer keeps nobody: the page waits five seconds for it, by the browser's own clock.
#[tokio::test]
async fn an_app_that_hangs_keeps_nobody() {
    let server = Server::start().await;
    let app = App::start(&server, "/hang").await;
    let browser = Chromium::start().await;
    let hint = app.hint(&server, &browser).await;
    browser.open(&app.log_out(&server, &hint)).await;
    browser.wait_for_url(&format!("{}/bye", app.url)).await;
    assert_eq!(app.told.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn without_javascript_the_app_is_told_and_the_page_goes_on() {
    let server = Server::start().await;
    let app = App::start(&server, "/out").await;
    let browser = Chromium::start().await;
    browser.without_javascript().await;
    let hint = app.hint(&server, &browser).await;
    browser.open(&app.log_out(&server, &hint)).await;
    browser.wait_for_page("signed-out").await;
    browser.wait_for_url(&format!("{}/bye?state=", app.url)).await;
    assert_eq!(app.told.lock().unwrap().len(), 1);
}

/// Session Management §3.2: asked with the `session_state` that came with the code, the frame says whether it still holds.
#[tokio::test]
async fn the_frame_says_whether_the_session_is_still_the_same() {
    let server = Server::start().await;
    let app = App::start(&server, "/out").await;
    let browser = Chromium::start().await;
    let answer = app.sign_in(&server, &browser).await;
    let state = answer["session_state"].as_str().unwrap();
    let watch = format!("{}/watch", app.url);
    browser.open(&watch).await;
    let ask = async |question: Value| browser.script(&format!("return ask({question})")).await;
    assert_eq!(ask(json!(format!("web {state}"))).await, "unchanged");
    assert_eq!(ask(json!(format!("other {state}"))).await, "changed", "the client is part of it");
    let (hash, salt) = state.split_once('.').unwrap();
    assert_eq!(ask(json!(format!("web {hash}.x{salt}"))).await, "changed");
    for nonsense in [json!("web"), json!(""), json!(format!("web {hash}")), json!(7), json!(null), json!({ "web": 1 })]
    {
        assert_eq!(ask(nonsense.clone()).await, "error", "{nonsense}");
    }
    browser.open(&format!("{}/oauth2/logout", server.url)).await;
    browser.click("#logout-confirm").await;
    browser.wait_for_page("signed-out").await;
    browser.open(&watch).await;
    assert_eq!(ask(json!(format!("web {state}"))).await, "changed");
    // Somebody signs in again: another session, whoever it is.
    let again = app.sign_in(&server, &browser).await;
    browser.open(&watch).await;
    assert_eq!(ask(json!(format!("web {state}"))).await, "changed");
    assert_eq!(ask(json!(format!("web {}", again["session_state"].as_str().unwrap()))).await, "unchanged");
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}
