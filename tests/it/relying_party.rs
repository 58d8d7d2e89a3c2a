//! The example app against this server: an OpenID Connect client that is not ours (the crate `openidconnect`) discovers,
//! signs in, verifies and signs out (OpenID Connect Core §3.1, RP-Initiated Logout §2).

use reqwest::redirect::Policy;
use reqwest::{Client as Http, Response};
use serde_json::{Value, json};

use crate::support::{Browser, SECRET, Server};

#[path = "../../examples/relying_party.rs"]
#[expect(dead_code, reason = "its main and its registration by the command run in browser::walkthrough")]
mod example;

/// The example app, known to a server, and one browser's view of it.
struct Rp {
    address: String,
    http: Http,
}

impl Rp {
    async fn of(server: &Server, metadata: Value) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let mut changes = json!({
            "redirect_uris": [format!("{address}/cb")],
            "post_logout_redirect_uris": [format!("{address}/")],
        });
        changes.as_object_mut().unwrap().extend(metadata.as_object().unwrap().clone());
        server.client("example", changes).await;
        let app = example::app(&address, &server.url, "example", SECRET).unwrap();
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { address, http: Http::new() }.in_another_browser()
    }

    fn in_another_browser(&self) -> Self {
        let http = Http::builder().cookie_store(true).redirect(Policy::none()).no_proxy().build().unwrap();
        Self { address: self.address.clone(), http }
    }

    async fn get(&self, path: &str, query: &[(String, String)]) -> Response {
        let url = url::Url::parse_with_params(&format!("{}{path}", self.address), query).unwrap();
        self.http.get(url).send().await.unwrap()
    }

    async fn post(&self, path: &str) -> String {
        let response = self.http.post(format!("{}{path}", self.address)).send().await.unwrap();
        assert_eq!(response.status(), 303, "{}", response.text().await.unwrap());
        response.headers()["location"].to_str().unwrap().to_owned()
    }

    /// Sends the browser away and through Signet's pages; what comes back to the app.
    async fn callback(&self, browser: &Browser) -> Vec<(String, String)> {
        let authorize = self.post("/sign-in").await;
        browser.sign_in(&authorize).await.into_iter().collect()
    }

    async fn page(&self) -> String {
        self.get("/", &[]).await.text().await.unwrap()
    }
}

#[tokio::test]
async fn an_app_signs_people_in_whatever_algorithm_it_asks_for() {
    for alg in ["RS256", "ES256", "EdDSA"] {
        let server = Server::start().await;
        server.user("alice").await;
        let rp = Rp::of(&server, json!({ "id_token_signed_response_alg": alg })).await;
        let answer = rp.callback(&server.browser()).await;
        let response = rp.get("/cb", &answer).await;
        assert_eq!(response.status(), 303, "{alg}: {}", response.text().await.unwrap());
        let page = rp.page().await;
        for claim in [&server.url, "Alice Example", "alice@example.com", "auth_time", "at_hash"] {
            assert!(page.contains(claim), "{alg}: no {claim} in {page}");
        }
    }
}

#[tokio::test]
async fn an_answer_is_good_once_and_in_the_browser_that_asked() {
    let server = Server::start().await;
    server.user("alice").await;
    let rp = Rp::of(&server, json!({})).await;
    let browser = server.browser();
    let answer = rp.callback(&browser).await;
    let other = rp.in_another_browser();
    assert_eq!(other.get("/cb", &answer).await.status(), 400);
    other.post("/sign-in").await;
    let refused = other.get("/cb", &answer).await;
    assert!(refused.text().await.unwrap().contains("the state is not the one"));
    assert_eq!(rp.get("/cb", &answer).await.status(), 303);
    assert_eq!(rp.get("/cb", &answer).await.status(), 400);
    // From another issuer (RFC 9207).
    let mut mixed = rp.callback(&browser).await;
    mixed.iter_mut().filter(|(name, _)| name == "iss").for_each(|(_, value)| *value = "https://other.example".into());
    assert!(rp.get("/cb", &mixed).await.text().await.unwrap().contains("another issuer"));
}

#[tokio::test]
async fn signing_out_at_the_app_signs_out_here_and_comes_back() {
    let server = Server::start().await;
    server.user("alice").await;
    let rp = Rp::of(&server, json!({})).await;
    let browser = server.browser();
    let answer = rp.callback(&browser).await;
    rp.get("/cb", &answer).await;
    let end_session = rp.post("/sign-out").await;
    let done = browser.raw(&end_session).await;
    assert_eq!(done.headers()["location"], format!("{}/", rp.address));
    assert!(rp.page().await.contains("id=sign-in"));
    let authorize = rp.post("/sign-in").await;
    assert_eq!(browser.open(&authorize).await.ok().unwrap().name(), "login");
}
