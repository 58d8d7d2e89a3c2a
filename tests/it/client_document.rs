//! Clients whose id is the address of their metadata (OAuth Client ID Metadata Document), as MCP clients come. [`away`]:
//! hosts that do not answer; [`policy`]: what settings and administrators decide; [`redirects`]: redirect URIs.

mod away;
mod policy;
mod redirects;

use serde_json::{Value, json};
use signet::config::Config;
use signet::domain::api::Api;
use signet::manage::{AuditContext, apis};

use crate::support::receiver::{Answer, Receiver, reachable};
use crate::support::{CALLBACK, Page, Server, VERIFIER};
use crate::token::claims;

const ORDERS: &str = "https://orders.example.com";
const GRANTS: [&str; 2] = ["authorization_code", "refresh_token"];

struct Place {
    server: Server,
    receiver: Receiver,
}

impl Place {
    /// A server with alice that may reach the host of the documents.
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let server = Server::start_with(|config| {
            reachable(config);
            change(config);
        })
        .await;
        server.user("alice").await;
        Self { server, receiver: Receiver::start().await }
    }

    fn document(&self, path: &str) -> Value {
        json!({
            "client_id": self.receiver.at(path), "client_name": "Robot", "redirect_uris": [CALLBACK],
            "grant_types": GRANTS, "response_types": ["code"], "token_endpoint_auth_method": "none",
        })
    }

    /// A good document stands at `path` from now on; its address.
    fn publish(&self, path: &str) -> String {
        self.receiver.answer(path, Answer::json(&self.document(path)));
        self.receiver.at(path)
    }

    async fn page(&self, client: &str) -> Page {
        self.server.browser().page(&self.server.authorize(&[("client_id", client), ("scope", "openid")])).await
    }

    /// Whether somebody may begin to sign in to it.
    async fn known(&self, client: &str) -> bool {
        match self.page(client).await.name().as_str() {
            "login" => true,
            "error" => false,
            other => panic!("{other}"),
        }
    }

    async fn code(&self, client: &str, changes: &[(&str, &str)]) -> String {
        let mut all = vec![("client_id", client), ("scope", "openid offline_access")];
        all.extend_from_slice(changes);
        let callback = self.server.browser().sign_in(&self.server.authorize(&all)).await;
        callback.get("code").unwrap_or_else(|| panic!("{callback:?}")).clone()
    }

    async fn token(&self, form: &[(&str, &str)]) -> (u16, Value) {
        let request = reqwest::Client::new().post(format!("{}/oauth2/token", self.server.url));
        let response = request.form(form).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    async fn redeem(&self, client: &str, code: &str) -> (u16, Value) {
        let form = [
            ("grant_type", "authorization_code"),
            ("client_id", client),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ];
        self.token(&form).await
    }

    async fn refresh(&self, client: &str, tokens: &Value) -> (u16, Value) {
        let token = tokens["refresh_token"].as_str().unwrap();
        self.token(&[("grant_type", "refresh_token"), ("client_id", client), ("refresh_token", token)]).await
    }

    async fn refresh_with(&self, client: &str, token: &str) -> reqwest::Response {
        let form = [("grant_type", "refresh_token"), ("client_id", client), ("refresh_token", token)];
        reqwest::Client::new().post(format!("{}/oauth2/token", self.server.url)).form(&form).send().await.unwrap()
    }

    async fn userinfo(&self, tokens: &Value) -> u16 {
        let request = reqwest::Client::new().get(format!("{}/oauth2/userinfo", self.server.url));
        request.bearer_auth(tokens["access_token"].as_str().unwrap()).send().await.unwrap().status().as_u16()
    }
}

/// From nothing but an address to a token for an API that the person allowed.
#[tokio::test]
async fn a_client_that_nobody_registered_reaches_an_api() {
    let place = Place::new().await;
    let id = place.publish("/client.json");
    let api = json!({ "identifier": ORDERS, "name": "Orders", "scopes": ["read"], "self_registered_clients": true });
    let api: Api = serde_json::from_value(api).unwrap();
    apis::put(&place.server.app.manager(), &AuditContext::command_line(), api).await.unwrap();
    let discovery = reqwest::get(format!("{}/.well-known/oauth-authorization-server", place.server.url)).await.unwrap();
    assert_eq!(discovery.json::<Value>().await.unwrap()["client_id_metadata_document_supported"], true);
    let browser = place.server.browser();
    let asked = [("client_id", id.as_str()), ("scope", "openid read offline_access"), ("resource", ORDERS)];
    let login = browser.page(&place.server.authorize(&asked)).await;
    let host = place.receiver.url.trim_start_matches("http://");
    assert!(login.has("#client-unverified .badge") && login.html.contains(host), "{}", login.html);
    let consent = browser.submit(&login, &[("username", "alice"), ("password", crate::support::PASSWORD)]).await;
    let consent = consent.expect("consent");
    assert_eq!(consent.name(), "consent");
    assert!(consent.has("#client-unverified") && consent.html.contains(host) && consent.has("[data-scope=read]"));
    let callback = browser.submit(&consent, &[("decision", "allow")]).await.err().expect("the app");
    let (status, tokens) = place.redeem(&id, &callback["code"]).await;
    assert_eq!(status, 200, "{tokens}");
    let access = claims(tokens["access_token"].as_str().unwrap());
    assert_eq!((&access["client_id"], &access["aud"]), (&json!(id), &json!(ORDERS)));
    assert_eq!(claims(tokens["id_token"].as_str().unwrap())["aud"], id.as_str());
    assert_eq!(place.refresh(&id, &tokens).await.0, 200);
    let apps = browser.page("/account/apps").await;
    assert!(apps.html.contains("127.0.0.1"), "{}", apps.html);
    assert_eq!(place.receiver.requests("/client.json").len(), 1);
}

#[tokio::test]
async fn it_needs_pkce_and_a_registered_address_like_any_public_client() {
    let place = Place::new().await;
    let id = place.publish("/client.json");
    let browser = place.server.browser();
    let asked = place.server.authorize(&[
        ("client_id", &id),
        ("scope", "openid"),
        ("code_challenge", ""),
        ("code_challenge_method", ""),
    ]);
    assert_eq!(browser.page(&asked).await.error(), "invalid_request");
    let elsewhere = [("client_id", id.as_str()), ("redirect_uri", "https://evil.example/cb")];
    assert_eq!(browser.page(&place.server.authorize(&elsewhere)).await.name(), "error");
    let admin = place.server.authorize(&[("client_id", &id), ("scope", "openid profile email")]);
    assert_eq!(browser.page(&admin).await.name(), "login");
}

/// What an administrator registered under an address is what counts.
#[tokio::test]
async fn a_stored_client_comes_first_and_the_setting_turns_documents_off() {
    let place = Place::new().await;
    let id = place.publish("/client.json");
    place.server.client(&id, json!({ "client_name": "Ours" })).await;
    let page = place.page(&id).await;
    assert!(page.html.contains("Ours") && !page.has("#client-unverified"));
    assert!(place.receiver.requests("/client.json").is_empty());
    let off = Place::with(|config| config.client_id_metadata_documents = false).await;
    let id = off.publish("/client.json");
    assert!(!off.known(&id).await);
    assert!(off.receiver.requests("/client.json").is_empty());
    let discovery = reqwest::get(format!("{}/.well-known/openid-configuration", off.server.url)).await.unwrap();
    assert_eq!(discovery.json::<Value>().await.unwrap()["client_id_metadata_document_supported"], false);
}

#[tokio::test]
async fn a_document_is_kept_as_it_says_within_bounds() {
    let place = Place::new().await;
    for (path, header, until) in [
        ("/unsaid", None, 3600),
        ("/short", Some("max-age=5"), 60),
        ("/never", Some("no-store"), 60),
        ("/some", Some("max-age=600"), 600),
        ("/week", Some("max-age=604800"), 86_400),
    ] {
        let mut answer = Answer::json(&place.document(path));
        if let Some(value) = header {
            answer = answer.header("cache-control", value);
        }
        place.receiver.answer(path, answer);
        let id = place.receiver.at(path);
        assert!(place.known(&id).await, "{path}");
        place.server.advance(until - 1);
        assert!(place.known(&id).await, "{path}");
        assert_eq!(place.receiver.requests(path).len(), 1, "{path}");
        place.server.advance(1);
        assert!(place.known(&id).await, "{path}");
        assert_eq!(place.receiver.requests(path).len(), 2, "{path}");
    }
    let id = place.receiver.at("/late");
    assert!(!place.known(&id).await);
    place.publish("/late");
    assert!(!place.known(&id).await, "not asked by each request");
    assert_eq!(place.receiver.requests("/late").len(), 1);
    place.server.advance(10);
    assert!(place.known(&id).await);
}

#[tokio::test]
async fn many_at_once_fetch_once() {
    let place = Place::new().await;
    let id = place.publish("/client.json");
    let all = futures::future::join_all((0..20).map(|_| place.known(&id))).await;
    assert!(all.into_iter().all(|known| known));
    assert_eq!(place.receiver.requests("/client.json").len(), 1);
}

/// T19: what is wrong with a document or its host is a page for the person and `invalid_client` for a program.
#[tokio::test]
async fn what_is_wrong_with_a_document_keeps_the_client_out() {
    let place = Place::new().await;
    let good = |path: &str| place.document(path);
    let with = |path: &str, name: &str, value: Value| {
        let mut document = place.document(path);
        document[name] = value;
        Answer::json(&document)
    };
    let other = place.receiver.at("/good");
    let twice = good("/twice").to_string().replacen('{', "{\"client_name\":\"A\",", 1);
    let big = format!("{{\"x\":\"{}\",{}", "a".repeat(40 * 1024), good("/big").to_string().trim_start_matches('{'));
    let deep = format!(
        "{{\"x\":{}{},{}",
        "[".repeat(9000),
        "]".repeat(9000),
        good("/deep").to_string().trim_start_matches('{')
    );
    place.publish("/good");
    for (path, answer) in [
        ("/missing", Answer::status(404)),
        ("/moved", Answer::status(302).header("location", other.clone())),
        ("/another", Answer::json(&good("/good"))),
        ("/no-id", with("/no-id", "client_id", Value::Null)),
        ("/secret", with("/secret", "client_secret", json!("0123456789012345678901234567890123456789"))),
        ("/method", with("/method", "token_endpoint_auth_method", json!("client_secret_post"))),
        ("/uris", with("/uris", "redirect_uris", json!([]))),
        ("/type", Answer::body("text/html", good("/type").to_string())),
        ("/array", Answer::json(&json!([good("/array")]))),
        ("/twice", Answer::body("application/json", twice)),
        ("/big", Answer::body("application/json", big)),
        ("/deep", Answer::body("application/json", deep)),
        ("/endless", Answer::endless().header("content-type", "application/json")),
        ("/packed", Answer::json(&good("/packed")).header("content-encoding", "gzip")),
    ] {
        place.receiver.answer(path, answer);
        let id = place.receiver.at(path);
        let page = place.page(&id).await;
        assert_eq!((page.name().as_str(), page.status), ("error", 400), "{path}");
        let (status, refused) = place.redeem(&id, "x").await;
        assert_eq!((status, &refused["error"]), (401, &json!("invalid_client")), "{path}");
        assert_eq!(place.receiver.requests(path).len(), 1, "{path}");
    }
    assert!(place.known(&other).await);
    let guarded = Server::start().await;
    for id in
        [other.as_str(), "https://169.254.169.254/latest", "https://10.0.0.1/client", "http://app.example.com/client"]
    {
        let page = guarded.browser().page(&guarded.authorize(&[("client_id", id)])).await;
        assert_eq!((page.name().as_str(), page.status), ("error", 400), "{id}");
    }
    assert_eq!(place.receiver.requests("/good").len(), 1, "the guarded one did not ask");
}

/// What was issued does not hang on the document; what is to be issued does.
#[tokio::test]
async fn when_a_document_vanishes_nothing_new_is_issued() {
    let place = Place::new().await;
    place.server.client("checks", json!({})).await;
    let document = Answer::json(&place.document("/client.json")).header("cache-control", "max-age=60");
    place.receiver.answer("/client.json", document);
    let id = place.receiver.at("/client.json");
    let (_, tokens) = place.redeem(&id, &place.code(&id, &[]).await).await;
    place.receiver.answer("/client.json", Answer::status(410));
    let (status, tokens) = place.refresh(&id, &tokens).await;
    assert_eq!(status, 200, "still in memory: {tokens}");
    place.server.advance(60);
    assert_eq!(place.refresh(&id, &tokens).await.0, 401);
    assert_eq!(place.userinfo(&tokens).await, 200);
    let asked = place.receiver.requests("/client.json").len();
    assert_eq!(place.userinfo(&tokens).await, 200);
    assert_eq!(place.receiver.requests("/client.json").len(), asked, "nobody asks for what was issued");
    let browser = place.server.browser();
    browser.sign_in_as("alice").await;
    let apps = browser.page("/account/apps").await;
    assert!(apps.html.contains("/client.json"), "it can still be removed");
    let removed = browser.submit_at(&apps, "form[action*='client.json']", &[]).await.expect("the page again");
    assert!(!removed.html.contains("/client.json"));
    assert_eq!(place.userinfo(&tokens).await, 401);
    place.publish("/client.json");
    place.server.advance(60);
    assert_eq!(place.refresh(&id, &tokens).await.1["error"], "invalid_grant");
}

/// T6: a code or refresh token of one client's is nothing in another's hand, and ends what the first has.
#[tokio::test]
async fn one_clients_code_and_refresh_token_are_nothing_to_another() {
    let place = Place::new().await;
    let (first, second) = (place.publish("/first.json"), place.publish("/second.json"));
    let code = place.code(&first, &[]).await;
    let (status, refused) = place.redeem(&second, &code).await;
    assert_eq!((status, &refused["error"]), (400, &json!("invalid_grant")));
    let (_, tokens) = place.redeem(&first, &place.code(&first, &[]).await).await;
    let (status, refused) = place.refresh(&second, &tokens).await;
    assert_eq!((status, &refused["error"]), (400, &json!("invalid_grant")));
    assert_eq!(place.refresh(&first, &tokens).await.1["error"], "invalid_grant", "the family has ended");
    assert_eq!(place.userinfo(&tokens).await, 401);
}

/// A host that does not answer for a while locks nobody out; a day later its document is forgotten.
#[tokio::test]
async fn a_host_that_is_away_for_a_while_locks_nobody_out() {
    let place = Place::new().await;
    let id = place.publish("/client.json");
    assert!(place.known(&id).await);
    place.receiver.answer("/client.json", Answer::status(503));
    place.server.advance(3600);
    assert!(place.known(&id).await);
    assert_eq!(place.receiver.requests("/client.json").len(), 2);
    place.server.advance(86_400 - 3600);
    assert!(!place.known(&id).await);
}
