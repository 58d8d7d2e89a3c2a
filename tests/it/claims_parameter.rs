//! The `claims` parameter (OpenID Connect Core §5.5), `acr_values` and the classes of a sign-in (§5.5.1.1).

use serde_json::{Value, json};

use crate::support::{Callback, PASSWORD, Server};
use crate::token::claims;

async fn tokens(server: &Server, changes: &[(&str, &str)]) -> Value {
    let answer = server.browser().sign_in(&server.authorize(changes)).await;
    let code = answer.get("code").unwrap_or_else(|| panic!("{changes:?}: {answer:?}"));
    server.redeem(code).await.1
}

async fn userinfo(server: &Server, tokens: &Value) -> Value {
    let request = reqwest::Client::new().get(format!("{}/oauth2/userinfo", server.url));
    request.bearer_auth(tokens["access_token"].as_str().unwrap()).send().await.unwrap().json().await.unwrap()
}

#[tokio::test]
async fn single_claims_come_where_they_are_asked_for() {
    let server = Server::with_alice().await;
    let asked = json!({
        "userinfo": { "name": { "essential": true }, "phone_number": null, "no_such_claim": null },
        "id_token": { "email": null, "auth_time": { "essential": true } },
    });
    let tokens = tokens(&server, &[("scope", "openid"), ("claims", &asked.to_string())]).await;
    let id = claims(tokens["id_token"].as_str().unwrap());
    assert_eq!((&id["email"], id.get("name")), (&json!("alice@example.com"), None));
    assert!(id["auth_time"].is_i64());
    let about = userinfo(&server, &tokens).await;
    assert_eq!((&about["name"], about.get("email")), (&json!("Alice Example"), None));
    assert!(about.get("no_such_claim").is_none());
    // A refreshed token says the same.
    let form = [("grant_type", "refresh_token"), ("refresh_token", tokens["refresh_token"].as_str().unwrap())];
    let (_, renewed) = server.token(&form).await;
    assert_eq!(userinfo(&server, &renewed).await["name"], "Alice Example");
}

/// A claim asked for alone needs the same permission as by its scope: the person's, and the client's.
#[tokio::test]
async fn a_claim_is_no_way_around_consent_or_the_clients_scope() {
    let server = Server::with_alice().await;
    let browser = server.browser();
    browser.sign_in(&server.authorize(&[("scope", "openid")])).await;
    let asked = json!({ "userinfo": { "email": null } }).to_string();
    let consent = browser.page(&server.authorize(&[("scope", "openid"), ("claims", &asked)])).await;
    assert_eq!(consent.name(), "consent");
    assert!(consent.has("[data-scope=email]"));
    let silent = server.authorize(&[("scope", "openid"), ("claims", &asked), ("prompt", "none")]);
    assert_eq!(browser.open(&silent).await.err().unwrap()["error"], "consent_required");
    server.client("narrow", json!({ "scope": "openid", "grant_types": ["authorization_code"] })).await;
    let request = server.authorize(&[("client_id", "narrow"), ("scope", "openid"), ("claims", &asked)]);
    let code = server.browser().sign_in(&request).await["code"].clone();
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", crate::support::CALLBACK),
        ("code_verifier", crate::support::VERIFIER),
    ];
    let (_, tokens) = server.token_as("narrow", &form).await;
    assert_eq!(userinfo(&server, &tokens).await.as_object().unwrap().len(), 1, "sub alone");
}

/// OpenID Connect Core §5.5.1: `sub` with a value is whom the app means.
#[tokio::test]
async fn a_claimed_subject_is_the_only_one_who_gets_through() {
    let server = Server::with_alice().await;
    let (alice, bob) = (server.person("alice").await.id.to_string(), server.user("bob").await.to_string());
    let browser = server.browser();
    browser.sign_in(&server.authorize(&[])).await;
    let of = |sub: &str| json!({ "id_token": { "sub": { "value": sub } } }).to_string();
    let silently = |claims: String| server.authorize(&[("claims", &claims), ("prompt", "none")]);
    assert!(browser.open(&silently(of(&alice))).await.err().unwrap().contains_key("code"));
    for other in [bob.as_str(), "nobody at all"] {
        assert_eq!(browser.open(&silently(of(other))).await.err().unwrap()["error"], "login_required", "{other}");
    }
}

#[tokio::test]
async fn the_class_of_a_sign_in_answers_what_was_asked() {
    let server = Server::with_alice().await;
    let essential =
        |values: &[&str]| json!({ "id_token": { "acr": { "essential": true, "values": values } } }).to_string();
    for changes in [
        vec![],
        vec![("acr_values", "urn:signet:acr:password")],
        vec![("acr_values", "phr urn:signet:acr:password")],
        vec![("acr_values", "gold")],
        // A wish that a password does not meet: asked for once, then told as what it is.
        vec![("acr_values", "phr")],
    ] {
        let tokens = tokens(&server, &changes).await;
        let (id, access) =
            (claims(tokens["id_token"].as_str().unwrap()), claims(tokens["access_token"].as_str().unwrap()));
        assert_eq!(id["acr"], "urn:signet:acr:password", "{changes:?}");
        assert_eq!((&id["acr"], &id["auth_time"]), (&access["acr"], &access["auth_time"]), "{changes:?}");
    }
    let browser = server.browser();
    browser.sign_in(&server.authorize(&[])).await;
    let asked = essential(&["phr"]);
    let login = browser.page(&server.authorize(&[("claims", &asked)])).await;
    assert_eq!(login.name(), "login", "a stronger sign-in is asked for");
    let answer = browser.submit(&login, &[("username", "alice"), ("password", PASSWORD)]).await.err().unwrap();
    assert_eq!(answer["error"], "unmet_authentication_requirements");
    for (values, error) in [(vec!["phr"], "login_required"), (vec!["gold"], "unmet_authentication_requirements")] {
        let asked = server.authorize(&[("claims", &essential(&values)), ("prompt", "none")]);
        assert_eq!(browser.open(&asked).await.err().unwrap()["error"], error);
    }
    let met = server.authorize(&[("claims", &essential(&["gold", "urn:signet:acr:password"])), ("prompt", "none")]);
    assert!(browser.open(&met).await.err().unwrap().contains_key("code"));
    server.client("strict", json!({ "default_acr_values": ["phr"], "consent": "trusted" })).await;
    assert_eq!(browser.page(&server.authorize(&[("client_id", "strict")])).await.name(), "login");
}

/// When the person signed in, and the ID token that says so.
async fn auth_time(server: &Server, answer: &Callback) -> (i64, String) {
    let (_, tokens) = server.redeem(&answer["code"]).await;
    let id_token = tokens["id_token"].as_str().unwrap().to_owned();
    (claims(&id_token)["auth_time"].as_i64().unwrap(), id_token)
}

/// OpenID Connect Core §3.1.2.1: equal for a silent answer, later after prompt=login.
#[tokio::test]
async fn auth_time_stays_on_a_silent_answer_and_moves_with_a_sign_in() {
    let server = Server::with_alice().await;
    let browser = server.browser();
    let (first, hint) = auth_time(&server, &browser.sign_in(&server.authorize(&[])).await).await;
    // The hint has expired by then, and is a hint all the same.
    server.advance(3700);
    let silent = server.authorize(&[("prompt", "none"), ("id_token_hint", &hint)]);
    assert_eq!(auth_time(&server, &browser.open(&silent).await.err().unwrap()).await.0, first);
    let again = browser.sign_in(&server.authorize(&[("prompt", "login")])).await;
    assert_eq!(auth_time(&server, &again).await.0, first + 3700);
    server.client("aged", json!({ "default_max_age": 10, "consent": "trusted" })).await;
    server.advance(11);
    assert_eq!(browser.page(&server.authorize(&[("client_id", "aged")])).await.name(), "login");
    for (name, value) in
        [("display", "touch"), ("ui_locales", "xx fr-CA"), ("claims_locales", "de"), ("display", "odd")]
    {
        assert!(browser.open(&server.authorize(&[(name, value)])).await.is_err(), "{name} is a wish");
    }
}
