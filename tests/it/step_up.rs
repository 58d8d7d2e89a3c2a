//! Step-up (RFC 9470), the whole round: an API that asks us about each token wants a stronger or a fresher sign-in for
//! something, says so, and its client comes back with a token that has it. The API stands in this file; what it goes by is
//! what introspection and the tokens themselves say.

use serde_json::{Value, json};
use signet::domain::api::Api;
use signet::manage::{AuditContext, apis};

use crate::passkey::{add, finish, signed};
use crate::support::authenticator::Authenticator;
use crate::support::{Browser, Page, SECRET, Server};
use crate::token::claims;

const BANK: &str = "https://bank.example.com";

/// What the API wants for a transfer.
#[derive(Clone, Copy)]
struct Demand {
    acr: Option<&'static str>,
    max_age: Option<i64>,
}

async fn introspected(server: &Server, token: &str) -> Value {
    let encoded: String = url::form_urlencoded::byte_serialize(BANK.as_bytes()).collect();
    let request = reqwest::Client::new().post(format!("{}/oauth2/introspect", server.url));
    let request = request.basic_auth(encoded, Some(SECRET)).form(&[("token", token)]);
    request.send().await.unwrap().json().await.unwrap()
}

/// The API: nothing where the token is enough, or the parameters of its challenge (§3).
async fn challenge(server: &Server, token: &str, demand: Demand) -> Option<Vec<(&'static str, String)>> {
    let answer = introspected(server, token).await;
    assert_eq!(answer["active"], true, "{answer}");
    // §6.2: both members are there, and equal to the token's own (§6.1).
    let own = claims(token);
    assert_eq!((&answer["acr"], &answer["auth_time"]), (&own["acr"], &own["auth_time"]));
    let age = server.app.env().now().seconds() - answer["auth_time"].as_i64().unwrap();
    let strong = demand.acr.is_none_or(|acr| answer["acr"] == acr);
    let fresh = demand.max_age.is_none_or(|most| age <= most);
    let acr = demand.acr.map(|acr| ("acr_values", acr.to_owned()));
    let max_age = demand.max_age.map(|most| ("max_age", most.to_string()));
    (!strong || !fresh).then(|| acr.into_iter().chain(max_age).collect())
}

/// Alice has a password and a passkey; `web` may use the bank's API for her, and the bank may ask about its tokens.
async fn with_bank() -> (Server, Browser, Authenticator) {
    let server = Server::start().await;
    server.user("alice").await;
    let api: Api = serde_json::from_value(json!({ "identifier": BANK, "scopes": ["transfer"] })).unwrap();
    apis::put(&server.app.manager(), &AuditContext::command_line(), api).await.unwrap();
    server.client("web", json!({ "scope": "openid transfer" })).await;
    server.client(BANK, json!({ "grant_types": [], "redirect_uris": [], "scope": "" })).await;
    let browser = server.browser();
    browser.sign_in_as("alice").await;
    let mut device = Authenticator::new(&server.url);
    add(&browser, &mut device).await;
    (server, browser, device)
}

async fn token(server: &Server, code: &str) -> String {
    let (status, tokens) = server.redeem(code).await;
    assert_eq!(status, 200, "{tokens}");
    tokens["access_token"].as_str().unwrap().to_owned()
}

/// The authorization request that a challenge leads to (§4), and the page that it shows.
async fn asked(server: &Server, browser: &Browser, challenge: &[(&str, String)]) -> Page {
    let parameters: Vec<(&str, &str)> = challenge.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let path = server.authorize(&[&[("scope", "openid transfer")], parameters.as_slice()].concat());
    browser.open(&path).await.unwrap_or_else(|callback| panic!("nobody was asked: {callback:?}"))
}

#[tokio::test]
async fn a_stronger_sign_in_is_asked_for_by_name() {
    let (server, browser, mut device) = with_bank().await;
    let demand = Demand { acr: Some("phr"), max_age: None };
    let weak = token(&server, &browser.sign_in(&server.authorize(&[("scope", "openid transfer")])).await["code"]).await;
    assert_eq!(claims(&weak)["acr"], "urn:signet:acr:password");
    let challenge_of = challenge(&server, &weak, demand).await.expect("a password is not enough");
    let discovery = reqwest::get(format!("{}/.well-known/oauth-authorization-server", server.url)).await.unwrap();
    let discovery: Value = discovery.json().await.unwrap();
    assert!(discovery["acr_values_supported"].as_array().unwrap().contains(&json!("phr")), "section 7");

    server.advance(5);
    let login = asked(&server, &browser, &challenge_of).await;
    assert_eq!(login.name(), "login", "although somebody is signed in");
    let fields = signed(&browser, &login, &mut device).await;
    let callback = finish(&browser, &fields).await.err().expect("back at the app");
    let strong = token(&server, &callback["code"]).await;
    assert_eq!(challenge(&server, &strong, demand).await, None);
    let (before, after) = (claims(&weak), claims(&strong));
    assert_eq!((&after["acr"], &after["sub"]), (&json!("phr"), &before["sub"]));
    assert_eq!(after["auth_time"].as_i64().unwrap() - before["auth_time"].as_i64().unwrap(), 5);
    // The token that was there before is what it was.
    assert!(challenge(&server, &weak, demand).await.is_some());
}

#[tokio::test]
async fn a_wish_that_is_not_met_is_told_truthfully() {
    let (server, browser, _) = with_bank().await;
    let demand = Demand { acr: Some("phr"), max_age: None };
    browser.sign_in(&server.authorize(&[("scope", "openid transfer")])).await;
    server.advance(5);
    // Asked for a passkey, she types her password again: acr_values is a wish (OpenID Connect Core §3.1.2.1).
    let login = asked(&server, &browser, &[("acr_values", "phr".to_owned())]).await;
    let fields = [("username", "alice"), ("password", crate::support::PASSWORD)];
    let callback = browser.submit(&login, &fields).await.err().expect("back at the app");
    let still = token(&server, &callback["code"]).await;
    assert_eq!(claims(&still)["acr"], "urn:signet:acr:password");
    assert!(challenge(&server, &still, demand).await.is_some(), "and the API asks again");
}

#[tokio::test]
async fn a_fresher_sign_in_is_asked_for_by_its_age() {
    let (server, browser, _) = with_bank().await;
    let demand = Demand { acr: None, max_age: Some(60) };
    let first =
        token(&server, &browser.sign_in(&server.authorize(&[("scope", "openid transfer")])).await["code"]).await;
    assert_eq!(challenge(&server, &first, demand).await, None);
    server.advance(61);
    let challenge_of = challenge(&server, &first, demand).await.expect("too old by now");
    // A new token of the same sign-in is no fresher, however new it is.
    let again =
        token(&server, &browser.sign_in(&server.authorize(&[("scope", "openid transfer")])).await["code"]).await;
    assert_eq!(claims(&again)["auth_time"], claims(&first)["auth_time"]);
    assert!(challenge(&server, &again, demand).await.is_some());
    let login = asked(&server, &browser, &challenge_of).await;
    let fields = [("username", "alice"), ("password", crate::support::PASSWORD)];
    let callback = browser.submit(&login, &fields).await.err().expect("back at the app");
    assert_eq!(challenge(&server, &token(&server, &callback["code"]).await, demand).await, None);
}

/// T17 and T34: what a token says of its sign-in goes on unchanged through refresh and exchange.
#[tokio::test]
async fn no_other_grant_makes_a_sign_in_stronger_or_fresher() {
    let (server, browser, _) = with_bank().await;
    let exchange = "urn:ietf:params:oauth:grant-type:token-exchange";
    let service = json!({
        "redirect_uris": [], "grant_types": [exchange], "scope": "openid transfer",
        "token_exchange": [{ "client": "web", "impersonation": true }],
    });
    server.client("service", service).await;
    let callback = browser.sign_in(&server.authorize(&[("scope", "openid transfer")])).await;
    let (_, tokens) = server.redeem(&callback["code"]).await;
    let before = claims(tokens["access_token"].as_str().unwrap());
    server.advance(61);
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", tokens["refresh_token"].as_str().unwrap())];
    let (_, refreshed) = server.token(&refresh).await;
    let access = refreshed["access_token"].as_str().unwrap();
    let trade = [
        ("grant_type", exchange),
        ("subject_token", access),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
    ];
    let (_, traded) = server.token_as("service", &trade).await;
    for token in [access, traded["access_token"].as_str().unwrap()] {
        let after = claims(token);
        assert_eq!((&after["acr"], &after["auth_time"]), (&before["acr"], &before["auth_time"]));
        assert!(challenge(&server, token, Demand { acr: None, max_age: Some(60) }).await.is_some());
    }
}
