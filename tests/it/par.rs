//! Pushed authorization requests (RFC 9126).

use futures::future::join_all;
use serde_json::{Value, json};

use crate::support::signer::ClientKey;
use crate::support::{CALLBACK, PASSWORD, SECRET, Server, VERIFIER};

async fn push(server: &Server, client: &str, form: &[(&str, &str)]) -> (u16, Value) {
    let request = reqwest::Client::new().post(format!("{}/oauth2/par", server.url)).basic_auth(client, Some(SECRET));
    let response = request.form(form).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

/// The parameters of a usual request.
fn usual(server: &Server, changes: &[(&str, &str)]) -> Vec<(String, String)> {
    let query = server.authorize(changes).split_once('?').unwrap().1.to_owned();
    url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

async fn pushed(server: &Server, changes: &[(&str, &str)]) -> String {
    let form = usual(server, changes);
    let form: Vec<_> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let (status, answer) = push(server, "web", &form).await;
    assert_eq!((status, &answer["expires_in"]), (201, &json!(60)), "{answer}");
    answer["request_uri"].as_str().unwrap().to_owned()
}

fn by_reference(client: &str, uri: &str) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs([("client_id", client), ("request_uri", uri)])
        .finish();
    format!("/oauth2/authorize?{query}")
}

#[tokio::test]
async fn a_pushed_request_is_answered_and_then_used_up() {
    let server = Server::with_alice().await;
    let uri = pushed(&server, &[]).await;
    assert!(uri.starts_with("urn:ietf:params:oauth:request_uri:"));
    let browser = server.browser();
    let answer = browser.sign_in(&by_reference("web", &uri)).await;
    assert_eq!((answer["state"].as_str(), answer["iss"].as_str()), ("s t&a=te", server.url.as_str()));
    assert_eq!(server.redeem(&answer["code"]).await.0, 200);
    let again = browser.page(&by_reference("web", &uri)).await;
    assert_eq!(again.error(), "invalid_request_uri", "used up with the answer");
    // By a silent refusal too, and by somebody who says no.
    let stranger = server.browser();
    for changes in [vec![("prompt", "none")], vec![]] {
        let uri = pushed(&server, &changes).await;
        let refused = match stranger.open(&by_reference("web", &uri)).await {
            Err(answer) => answer,
            Ok(login) => stranger.submit(&login, &[("decision", "deny")]).await.err().unwrap(),
        };
        assert!(["login_required", "access_denied"].contains(&refused["error"].as_str()), "{refused:?}");
        assert_eq!(browser.page(&by_reference("web", &uri)).await.error(), "invalid_request_uri", "{changes:?}");
    }
}

/// It is no visit that uses it up: a page loaded twice and a second tab go on; of the two one gets the code.
#[tokio::test]
async fn a_visit_uses_nothing_up_and_of_two_tabs_one_gets_the_code() {
    let server = Server::with_alice().await;
    let uri = pushed(&server, &[]).await;
    let browser = server.browser();
    let (first, second) =
        (browser.page(&by_reference("web", &uri)).await, browser.page(&by_reference("web", &uri)).await);
    // The address is gone after a minute; whoever has begun may finish.
    server.advance(61);
    assert_eq!(browser.page(&by_reference("web", &uri)).await.error(), "invalid_request_uri");
    let consent = browser.submit(&first, &[("username", "alice"), ("password", PASSWORD)]).await.ok().unwrap();
    let answer = browser.submit(&consent, &[("decision", "allow")]).await.err().unwrap();
    assert!(answer.contains_key("code"));
    let other = browser.page(&second.path.replace("/login/", "/oauth2/authorize/")).await;
    assert_eq!(other.name(), "signed-in", "there is no second code");
}

/// All clicks of one browser lead to the one code.
#[tokio::test]
async fn many_at_once_get_one_code() {
    let server = Server::with_alice().await;
    let browser = server.browser();
    browser.sign_in(&server.authorize(&[])).await;
    let uri = pushed(&server, &[]).await;
    let request = by_reference("web", &uri);
    let asked = join_all((0..8).map(|_| browser.open(&request))).await;
    let answers: Vec<_> = asked.into_iter().map(|answer| answer.err().unwrap()).collect();
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    assert_eq!(server.redeem(&answers[0]["code"]).await.0, 200);
    assert_eq!(server.redeem(&answers[0]["code"]).await.0, 400, "it is good once");
    // Of many browsers one gets it.
    let uri = pushed(&server, &[]).await;
    let request = by_reference("web", &uri);
    let mut others = Vec::new();
    for _ in 0..4 {
        let other = server.browser();
        other.sign_in_as("alice").await;
        others.push(other);
    }
    let asked = join_all(others.iter().map(|other| other.open(&request))).await;
    let codes = asked.into_iter().filter_map(Result::err).filter(|answer| answer.contains_key("code")).count();
    assert_eq!(codes, 1);
}

/// The browser drops the answer to the first click. What was answered through pages is repeated as what was answered at once,
/// and what it rests on is asked again.
#[tokio::test]
async fn second_click_on_a_request_uri_gets_the_first_answer() {
    let server = Server::with_alice().await;
    server.client("implicit", json!({
        "response_types": ["code id_token token"], "grant_types": ["authorization_code", "implicit"], "consent": "trusted", "scope": "openid profile email",
    })).await;
    for (client, changes, signed_in) in [
        ("web", vec![], false),
        ("web", vec![], true),
        ("web", vec![("prompt", "none")], true),
        ("web", vec![("prompt", "none"), ("scope", "openid offline_access")], true),
        ("implicit", vec![("client_id", "implicit"), ("response_type", "code id_token token")], true),
    ] {
        let (browser, other) = (server.browser(), server.browser());
        if signed_in {
            browser.sign_in_as("alice").await;
        }
        other.sign_in_as("alice").await;
        let form = usual(&server, &changes);
        let form: Vec<_> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let (status, answer) = push(&server, client, &form).await;
        assert_eq!(status, 201, "{answer}");
        let request = by_reference(client, answer["request_uri"].as_str().unwrap());
        let first = browser.sign_in(&request).await;
        assert_eq!(first.contains_key("code"), !changes.contains(&("scope", "openid offline_access")), "{first:?}");
        server.advance(5);
        for _ in 0..2 {
            assert_eq!(browser.open(&request).await.err().as_ref(), Some(&first), "{changes:?}");
        }
        let elsewhere = other.page(&request).await;
        assert_eq!(elsewhere.error(), "invalid_request_uri", "{changes:?}: one browser, one answer");
    }
}

/// T18: there is no answer but the error once anything has been done with it, or what it rests on has changed.
#[tokio::test]
async fn answer_of_a_request_uri_is_repeated_only_while_it_is_good() {
    for change in ["spent", "late", "signed out", "other session", "client changed"] {
        let server = Server::with_alice().await;
        let browser = server.browser();
        browser.sign_in(&server.authorize(&[])).await;
        let request = by_reference("web", &pushed(&server, &[]).await);
        let answer = browser.open(&request).await.err().unwrap();
        assert_eq!(browser.open(&request).await.err().as_ref(), Some(&answer), "{change}: before");
        match change {
            "spent" => assert_eq!(server.redeem(&answer["code"]).await.0, 200),
            "late" => server.advance(server.app.config.lifetimes.code),
            "client changed" => {
                let row = json!([{ "client_id": "web", "client_name": "Renamed", "redirect_uris": [CALLBACK],
                    "grant_types": ["authorization_code", "refresh_token"], "scope": "openid profile email" }]);
                crate::gate::signatures::apply_clients(&server, row).await.unwrap();
            }
            _ => {
                let page = browser.page("/oauth2/logout").await;
                browser.submit(&page, &[("decision", "allow")]).await.expect("signed out");
                if change == "other session" {
                    browser.sign_in_as("alice").await;
                }
            }
        }
        assert_eq!(browser.page(&request).await.error(), "invalid_request_uri", "{change}");
    }
}

/// RFC 9126 §2.1 and §2.3: refused at once, with the error that the authorization endpoint would have given.
#[tokio::test]
async fn what_is_wrong_is_said_to_whoever_pushes() {
    let server = Server::with_alice().await;
    server.client("other", json!({})).await;
    for (changes, status, error) in [
        (vec![("redirect_uri", "https://evil.example/cb")], 400, "invalid_request"),
        (vec![("redirect_uri", "")], 400, "invalid_request"),
        (vec![("response_type", "")], 400, "invalid_request"),
        (vec![("response_type", "id_token")], 400, "unauthorized_client"),
        (vec![("response_type", "nonsense")], 400, "unsupported_response_type"),
        (vec![("scope", "openid address")], 400, "invalid_scope"),
        (vec![("code_challenge_method", "plain")], 400, "invalid_request"),
        (vec![("request_uri", "urn:ietf:params:oauth:request_uri:x")], 400, "invalid_request"),
        (vec![("request", "e30.e30.")], 400, "invalid_request_object"),
        (vec![("client_id", "other")], 400, "invalid_request"),
        (vec![("resource", "https://unknown.example")], 400, "invalid_target"),
    ] {
        let form = usual(&server, &changes);
        let form: Vec<_> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let (got, answer) = push(&server, "web", &form).await;
        assert_eq!((got, answer["error"].as_str()), (status, Some(error)), "{changes:?}");
    }
    let unauthenticated = reqwest::Client::new().post(format!("{}/oauth2/par", server.url));
    let response = unauthenticated.form(&[("client_id", "web")]).send().await.unwrap();
    assert_eq!(response.status(), 401);
    let get = reqwest::get(format!("{}/oauth2/par", server.url)).await.unwrap();
    assert_eq!(get.status(), 405);
    // Another client's address is unknown to it, and ours alone leads anywhere.
    let uri = pushed(&server, &[]).await;
    let browser = server.browser();
    assert_eq!(browser.page(&by_reference("other", &uri)).await.error(), "invalid_request_uri");
    assert_eq!(browser.page(&by_reference("web", &format!("{uri}x"))).await.error(), "invalid_request_uri");
    assert!(browser.open(&by_reference("web", &uri)).await.is_ok());
}

#[tokio::test]
async fn a_client_that_must_push_gets_nowhere_without() {
    let server = Server::with_alice().await;
    let key = ClientKey::new("k1", "ES256");
    let meta = json!({ "require_pushed_authorization_requests": true, "consent": "trusted", "jwks": key.jwks() });
    server.client("pushes", meta).await;
    let browser = server.browser();
    let refused = browser.open(&server.authorize(&[("client_id", "pushes")])).await.err().unwrap();
    assert_eq!(refused["error"], "invalid_request");
    let form = usual(&server, &[("client_id", "pushes")]);
    let form: Vec<_> = form.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let (_, answer) = push(&server, "pushes", &form).await;
    let answer = browser.sign_in(&by_reference("pushes", answer["request_uri"].as_str().unwrap())).await;
    assert!(answer.contains_key("code"));
    // With a request object, whose content is what is kept.
    let now = server.app.env().now().seconds();
    let object = key.sign(&json!({ "iss": "pushes", "aud": server.url, "exp": now + 60, "client_id": "pushes",
        "response_type": "code", "redirect_uri": CALLBACK, "scope": "openid", "state": "inside" }));
    let (status, answer) = push(&server, "pushes", &[("request", &object)]).await;
    assert_eq!(status, 201, "{answer}");
    let answer = browser.open(&by_reference("pushes", answer["request_uri"].as_str().unwrap())).await.err().unwrap();
    assert_eq!(answer["state"], "inside");
    let form = [("grant_type", "authorization_code"), ("code", &answer["code"]), ("redirect_uri", CALLBACK)];
    let mut with_verifier = form.to_vec();
    with_verifier.push(("code_verifier", VERIFIER));
    assert_eq!(server.token_as("pushes", &with_verifier).await.0, 400, "a verifier without a challenge");
}
