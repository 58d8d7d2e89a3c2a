//! Response types and modes (OAuth 2.0 Multiple Response Types, OpenID Connect Core §3.2 and §3.3, Form Post Response
//! Mode): what leaves the authorization endpoint, and how.

use serde_json::{Value, json};
use signet::domain::algorithms::SigningAlg;
use signet::keys::jwt::half_hash;

use crate::support::{CALLBACK, Callback, Server};
use crate::token::claims;

/// A redirect URI that identifies the client.
const HTTPS: &str = "https://app.example.com/cb";

/// A client that may use every response type.
async fn server() -> Server {
    let server = Server::start().await;
    server.user("alice").await;
    server.client("web", every_type()).await;
    server
}

fn every_type() -> Value {
    json!({
        "redirect_uris": [CALLBACK, HTTPS],
        "grant_types": ["authorization_code", "implicit", "refresh_token", "client_credentials"],
        "response_types": ["code", "id_token", "id_token token", "code id_token", "code token", "code id_token token"],
    })
}

fn id_token(answer: &Callback) -> Value {
    claims(&answer["id_token"])
}

#[tokio::test]
async fn each_type_answers_with_what_it_names_and_nothing_else() {
    let server = server().await;
    let browser = server.browser();
    browser.sign_in(&server.authorize(&[])).await;
    for (response_type, there) in [
        ("code", vec!["code"]),
        ("id_token", vec!["id_token"]),
        ("id_token token", vec!["access_token", "expires_in", "id_token", "scope", "token_type"]),
        ("token id_token", vec!["access_token", "expires_in", "id_token", "scope", "token_type"]),
        ("code id_token", vec!["code", "id_token"]),
        ("code token", vec!["access_token", "code", "expires_in", "scope", "token_type"]),
        ("code id_token token", vec!["access_token", "code", "expires_in", "id_token", "scope", "token_type"]),
        ("token code id_token", vec!["access_token", "code", "expires_in", "id_token", "scope", "token_type"]),
    ] {
        // Consent is not remembered where tokens go to a loopback port without client authentication.
        let answer = browser.sign_in(&server.authorize(&[("response_type", response_type)])).await;
        let mut names: Vec<&str> = answer.keys().map(String::as_str).collect();
        names.retain(|name| *name != "session_state");
        names.sort_unstable();
        let mut expected = there.clone();
        expected.extend(["iss", "state"]);
        expected.sort_unstable();
        assert_eq!(names, expected, "{response_type}");
        assert_eq!(answer["state"], "s t&a=te");
        if let Some(token) = answer.get("id_token") {
            let id = claims(token);
            let hash = |of: &str| answer.get(of).map(|value| half_hash(SigningAlg::RS256, value));
            assert_eq!(id["nonce"], "n-1");
            assert_eq!(id.get("at_hash").and_then(Value::as_str).map(ToOwned::to_owned), hash("access_token"));
            assert_eq!(id.get("c_hash").and_then(Value::as_str).map(ToOwned::to_owned), hash("code"));
            // OpenID Connect Core §5.4: the scopes' claims are UserInfo's wherever there is an access token to ask with.
            assert_eq!(id.get("email").is_some(), response_type == "id_token", "{response_type}");
        }
        if let Some(code) = answer.get("code") {
            let (status, tokens) = server.redeem(code).await;
            assert_eq!(status, 200, "{response_type}: {tokens}");
            let second = claims(tokens["id_token"].as_str().unwrap());
            assert!(second.get("c_hash").is_none());
            if answer.contains_key("id_token") {
                let first = id_token(&answer);
                assert_eq!(
                    (&first["iss"], &first["sub"], &first["nonce"]),
                    (&second["iss"], &second["sub"], &second["nonce"])
                );
            }
        }
        if let Some(token) = answer.get("access_token") {
            let response = reqwest::Client::new().get(format!("{}/oauth2/userinfo", server.url)).bearer_auth(token);
            let about: Value = response.send().await.unwrap().json().await.unwrap();
            assert_eq!(about["email"], "alice@example.com", "{response_type}");
        }
    }
}

/// OAuth 2.0 Multiple Response Types §5: by fragment unless something else is asked for, and never by query.
#[tokio::test]
async fn tokens_come_in_the_fragment_or_the_form_and_never_in_the_query() {
    let server = server().await;
    let browser = server.browser();
    browser.sign_in(&server.authorize(&[("redirect_uri", HTTPS)])).await;
    for (response_type, mode, starts) in [
        ("code", "", "?code="),
        ("code", "query", "?code="),
        ("code", "fragment", "#code="),
        ("id_token", "", "#id_token="),
        ("code id_token", "", "#code="),
        ("code token", "fragment", "#code="),
        ("code id_token token", "query", "#error=invalid_request"),
        ("id_token token", "query", "#error=invalid_request"),
    ] {
        let asked =
            server.authorize(&[("redirect_uri", HTTPS), ("response_type", response_type), ("response_mode", mode)]);
        let response = browser.raw(&asked).await;
        let to = response.headers()["location"].to_str().unwrap();
        assert!(to.starts_with(&format!("{HTTPS}{starts}")), "{response_type} {mode}: {to}");
    }
    for response_type in ["code", "id_token", "code id_token token"] {
        let asked = server.authorize(&[
            ("redirect_uri", HTTPS),
            ("response_type", response_type),
            ("response_mode", "form_post"),
        ]);
        let page = browser.open(&asked).await.ok().unwrap();
        assert_eq!(page.attribute("form", "action").as_deref(), Some(HTTPS));
        assert_eq!(page.attribute("form", "method").as_deref(), Some("post"));
        assert!(page.has("noscript button[type=submit]") || page.has("form button"), "{}", page.html);
        let first = response_type.split(' ').next().unwrap();
        assert!(page.has(&format!("input[name={first}]")) && page.has("input[name=state]"));
        assert_eq!(page.attribute("input[name=state]", "value").as_deref(), Some("s t&a=te"));
    }
}

/// RFC 6749 §4.2.2.1, OpenID Connect Core §3.2.2.6: every refusal goes the way that was asked for, state to the letter.
#[tokio::test]
async fn refusals_travel_in_the_mode_of_the_request() {
    let server = server().await;
    server.client("plain", json!({})).await;
    let browser = server.browser();
    let state = "\u{e4}+ %20&=#\"'<>";
    for (changes, mark, error) in [
        (vec![("response_type", "")], '?', "invalid_request"),
        (vec![("response_type", ""), ("response_mode", "fragment")], '#', "invalid_request"),
        (vec![("response_type", "nonsense")], '?', "unsupported_response_type"),
        (vec![("response_type", "token")], '?', "unsupported_response_type"),
        (vec![("response_type", "code code")], '?', "unsupported_response_type"),
        (vec![("response_type", "none")], '?', "unsupported_response_type"),
        (vec![("response_type", "code id_token"), ("client_id", "plain")], '#', "unauthorized_client"),
        (vec![("response_type", "id_token"), ("nonce", "")], '#', "invalid_request"),
        (vec![("response_type", "code id_token"), ("nonce", "")], '#', "invalid_request"),
        (vec![("response_type", "id_token token"), ("prompt", "none")], '#', "login_required"),
        (vec![("response_type", "id_token"), ("scope", "email")], '#', "invalid_request"),
        (vec![("response_type", "code"), ("response_mode", "jwt")], '?', "invalid_request"),
    ] {
        let mut changes = changes;
        changes.push(("state", state));
        let response = browser.raw(&server.authorize(&changes)).await;
        let to = response.headers()["location"].to_str().unwrap().to_owned();
        let answer = to.strip_prefix(CALLBACK).and_then(|rest| rest.strip_prefix(mark));
        let answer = answer.unwrap_or_else(|| panic!("{changes:?}: {to}"));
        let answer: Callback = url::form_urlencoded::parse(answer.as_bytes()).into_owned().collect();
        assert_eq!((answer["error"].as_str(), answer["state"].as_str()), (error, state), "{changes:?}");
        let allowed = |c: char| matches!(c, ' '..='!' | '#'..='[' | ']'..='~');
        assert!(answer["error_description"].chars().all(allowed), "{changes:?}");
    }
    let asked = server.authorize(&[("response_type", "id_token"), ("response_mode", "form_post"), ("prompt", "none")]);
    let page = browser.open(&asked).await.ok().unwrap();
    assert_eq!(page.attribute("input[name=error]", "value").as_deref(), Some("login_required"));
    // Without a nonce, a code and an access token bind nothing to the browser that a nonce would.
    let answer = browser.sign_in(&server.authorize(&[("response_type", "code token"), ("nonce", "")])).await;
    assert!(answer.contains_key("code"));
}

/// What comes straight from the authorization endpoint hangs on the session as everything does.
#[tokio::test]
async fn tokens_from_the_front_end_with_their_session() {
    let server = server().await;
    let browser = server.browser();
    let answer = browser.sign_in(&server.authorize(&[("response_type", "id_token token")])).await;
    let ask = || async {
        let request = reqwest::Client::new().get(format!("{}/oauth2/userinfo", server.url));
        request.bearer_auth(&answer["access_token"]).send().await.unwrap().status().as_u16()
    };
    assert_eq!(ask().await, 200);
    let page = browser.page(&format!("/oauth2/logout?id_token_hint={}", answer["id_token"])).await;
    assert!(page.has("#logged-out"), "{}", page.html);
    assert_eq!(ask().await, 401);
}

/// A public client of the implicit flow has no code, and so no use for PKCE; with a code it must use it.
#[tokio::test]
async fn pkce_goes_with_codes() {
    let server = server().await;
    let mut meta = every_type();
    meta["token_endpoint_auth_method"] = json!("none");
    meta["grant_types"] = json!(["authorization_code", "implicit", "refresh_token"]);
    server.client("page", meta).await;
    let browser = server.browser();
    let without = [("client_id", "page"), ("code_challenge", ""), ("code_challenge_method", "")];
    let with_type = |response_type| {
        let mut changes = without.to_vec();
        changes.push(("response_type", response_type));
        server.authorize(&changes)
    };
    let answer = browser.sign_in(&with_type("id_token")).await;
    assert!(answer.contains_key("id_token"));
    assert_eq!(browser.open(&with_type("code id_token")).await.err().unwrap()["error"], "invalid_request");
}
