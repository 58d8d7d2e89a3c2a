//! What tokens are for (RFC 8707, RFC 9068), opaque ones, and the claims that scopes give away (OpenID Connect Core §5.4).

use serde_json::{Value, json};
use signet::domain::api::Api;
use signet::domain::user::Profile;
use signet::manage::users::UserEdit;
use signet::manage::{AuditContext, apis, consents, users};

use crate::support::{CALLBACK, SECRET, Server, VERIFIER};
use crate::token::claims;

pub const ORDERS: &str = "https://orders.example.com";
const STOCK: &str = "https://stock.example.com";

/// One with two APIs, whose client `web` may use both.
pub async fn with_apis() -> Server {
    let server = Server::start().await;
    server.user("alice").await;
    server.client("web", json!({ "scope": "openid offline_access read write count", "consent": "trusted" })).await;
    for api in [
        json!({ "identifier": ORDERS, "name": "Orders", "scopes": ["read", "write"] }),
        json!({ "identifier": STOCK, "name": "Stock", "scopes": ["count"], "access_token_lifetime": 60 }),
    ] {
        let api: Api = serde_json::from_value(api).unwrap();
        apis::put(&server.app.manager(), &AuditContext::command_line(), api).await.unwrap();
    }
    server
}

async fn tokens(server: &Server, changes: &[(&str, &str)]) -> Value {
    let callback = server.browser().sign_in(&server.authorize(changes)).await;
    server.redeem(&callback["code"]).await.1
}

fn access(tokens: &Value) -> Value {
    claims(tokens["access_token"].as_str().unwrap_or_else(|| panic!("{tokens}")))
}

#[tokio::test]
async fn a_token_is_for_the_api_that_was_asked_for() {
    let server = with_apis().await;
    let of_scope = access(&tokens(&server, &[("scope", "read")]).await);
    assert_eq!((&of_scope["aud"], &of_scope["scope"]), (&json!(ORDERS), &json!("read")));
    let named = access(&tokens(&server, &[("scope", "openid read"), ("resource", ORDERS)]).await);
    assert_eq!(named["aud"], json!(ORDERS));
    let short = access(&tokens(&server, &[("scope", "count")]).await);
    assert_eq!(short["exp"].as_i64().unwrap() - short["iat"].as_i64().unwrap(), 60);
    let own = access(&tokens(&server, &[("scope", "openid")]).await);
    assert_eq!(own["aud"], json!(server.url));
}

/// RFC 6749 §3.3: a client that finds its way by an API's metadata need not know its scopes.
#[tokio::test]
async fn naming_an_api_alone_asks_for_what_the_client_may_have_of_it() {
    let server = with_apis().await;
    server.client("reads", json!({ "scope": "openid read", "consent": "trusted" })).await;
    let query = |client: &str, resource: &str| {
        let asked = server.authorize(&[("client_id", client), ("resource", resource), ("scope", "")]);
        asked.replace("&scope=", "").replace("scope=&", "")
    };
    let callback = server.browser().sign_in(&query("reads", ORDERS)).await;
    let form = [
        ("grant_type", "authorization_code"),
        ("code", callback["code"].as_str()),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    let (_, tokens) = server.token_as("reads", &form).await;
    assert_eq!((&access(&tokens)["aud"], &access(&tokens)["scope"]), (&json!(ORDERS), &json!("read")));
    for (resource, error) in [(STOCK, "invalid_scope"), ("https://nowhere.example.com", "invalid_target")] {
        let refused = server.browser().open(&query("reads", resource)).await.err().unwrap();
        assert_eq!(refused["error"], error, "{resource}");
    }
}

/// The user allowed scopes, and a client is registered for scopes: naming an API in `resource` adds nothing to them. One
/// without scopes is allowed as a whole (`api_access`).
#[tokio::test]
async fn naming_an_api_without_any_of_its_scopes_opens_nothing() {
    let server = with_apis().await;
    let nameless: Api = serde_json::from_value(json!({ "identifier": "https://plain.example.com" })).unwrap();
    apis::put(&server.app.manager(), &AuditContext::command_line(), nameless).await.unwrap();
    server.client("asks", json!({ "scope": "openid read" })).await;
    let browser = server.browser();
    for (client, scope, resource, refused) in [
        ("web", "openid", ORDERS, true),
        ("web", "openid count", ORDERS, true),
        ("web", "openid read", ORDERS, false),
        ("web", "openid", "https://plain.example.com", false),
        ("asks", "openid", "https://plain.example.com", false),
        ("asks", "openid", ORDERS, true),
    ] {
        let asked = server.authorize(&[("client_id", client), ("scope", scope), ("resource", resource)]);
        let callback = browser.sign_in(&asked).await;
        assert_eq!(callback.get("error").is_some_and(|error| error == "invalid_target"), refused, "{client} {scope}");
    }
    let form = [("grant_type", "client_credentials"), ("scope", "count"), ("resource", ORDERS)];
    assert_eq!(server.token(&form).await.1["error"], "invalid_target");
}

/// RFC 9068 §2.1 and §2.2.
#[tokio::test]
async fn an_access_token_has_the_profiles_members() {
    let server = with_apis().await;
    let token = tokens(&server, &[("scope", "openid read")]).await;
    let text = token["access_token"].as_str().unwrap();
    let header = signet::domain::secret::from_base64url(text.split('.').next().unwrap()).unwrap();
    let header: Value = serde_json::from_slice(&header).unwrap();
    assert_eq!((&header["typ"], &header["alg"]), (&json!("at+jwt"), &json!("ES256")));
    let claims = claims(text);
    for name in ["iss", "exp", "aud", "sub", "client_id", "iat", "jti", "auth_time", "acr", "amr", "scope"] {
        assert!(!claims[name].is_null(), "{name}");
    }
}

/// RFC 8707 §2.2: a token request narrows what was granted, and never goes beyond.
#[tokio::test]
async fn a_refresh_narrows_to_one_api_and_keeps_the_grant_whole() {
    let server = with_apis().await;
    let asked = server.authorize(&[("scope", "openid offline_access read count"), ("resource", ORDERS)]);
    let callback = server.browser().sign_in(&format!("{asked}&resource={STOCK}")).await;
    let (_, first) = server.redeem(&callback["code"]).await;
    assert_eq!(access(&first)["aud"], json!([ORDERS, STOCK]));
    let refresh = |token: Value, resource: &'static str| {
        let server = &server;
        async move {
            let token = token["refresh_token"].as_str().unwrap().to_owned();
            server.token(&[("grant_type", "refresh_token"), ("refresh_token", &token), ("resource", resource)]).await.1
        }
    };
    let second = refresh(first, STOCK).await;
    assert_eq!(access(&second)["aud"], json!(STOCK));
    let third = refresh(second.clone(), "https://elsewhere.example").await;
    assert_eq!(third["error"], "invalid_target");
    let fourth = refresh(second, ORDERS).await;
    assert_eq!(access(&fourth)["aud"], json!(ORDERS), "the refused one used nothing up");
}

/// A code that asks for more than was granted is used up, and leaves nothing behind that somebody could hold on to.
#[tokio::test]
async fn a_code_refused_for_its_resource_begins_no_grant() {
    let server = with_apis().await;
    let callback = server.browser().sign_in(&server.authorize(&[("scope", "openid offline_access read")])).await;
    let refused = server
        .token(&[
            ("grant_type", "authorization_code"),
            ("code", &callback["code"]),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
            ("resource", STOCK),
        ])
        .await;
    assert_eq!((refused.0, refused.1["error"].as_str()), (400, Some("invalid_target")));
    let alice = server.person("alice").await.id;
    assert!(consents::connected(server.app.store(), alice).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_token_for_an_api_alone_opens_nothing_of_ours() {
    let server = with_apis().await;
    let token = tokens(&server, &[("scope", "read")]).await;
    let request = reqwest::Client::new().get(format!("{}/oauth2/userinfo", server.url));
    let response = request.bearer_auth(token["access_token"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(response.status(), 401);
    assert!(response.headers()["www-authenticate"].to_str().unwrap().contains("error=\"invalid_token\""));
}

/// `aud` names the API alone; `openid` opens UserInfo (OpenID Connect Core §5.3.1) until the app asks for a token by naming
/// the API (RFC 9068 §2.2.3).
#[tokio::test]
async fn token_asked_for_by_its_api_opens_nothing_else() {
    let server = with_apis().await;
    let asked = [("scope", "openid offline_access read"), ("resource", ORDERS)];
    let first = tokens(&server, &asked).await;
    assert_eq!(access(&first)["aud"], json!(ORDERS));
    let userinfo = async |tokens: &Value| {
        let request = reqwest::Client::new().get(format!("{}/oauth2/userinfo", server.url));
        request.bearer_auth(tokens["access_token"].as_str().unwrap()).send().await.unwrap().status().as_u16()
    };
    assert_eq!(userinfo(&first).await, 200);
    let mut refresh = first["refresh_token"].as_str().unwrap().to_owned();
    for (scope, own) in [(None, "read"), (Some("openid read"), "read"), (Some("read"), "read")] {
        let mut form = vec![("grant_type", "refresh_token"), ("refresh_token", &*refresh), ("resource", ORDERS)];
        form.extend(scope.map(|scope| ("scope", scope)));
        let (_, narrow) = server.token(&form).await;
        assert_eq!((&access(&narrow)["aud"], &access(&narrow)["scope"]), (&json!(ORDERS), &json!(own)), "{scope:?}");
        assert_eq!(narrow["scope"], own, "what was issued differs from what was asked for (RFC 6749 §5.1)");
        assert_eq!(narrow["id_token"].is_string(), scope != Some("read"), "the ID token is the app's");
        assert_eq!(userinfo(&narrow).await, 401);
        refresh = narrow["refresh_token"].as_str().unwrap().to_owned();
    }
    let (_, general) = server.token(&[("grant_type", "refresh_token"), ("refresh_token", &*refresh)]).await;
    assert_eq!(userinfo(&general).await, 200);

    let callback = server.browser().sign_in(&server.authorize(&asked)).await;
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &*callback["code"]),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
        ("resource", ORDERS),
    ];
    let (_, redeemed) = server.token(&form).await;
    assert_eq!(access(&redeemed)["scope"], "read");
    assert!(redeemed["id_token"].is_string());
    assert_eq!(userinfo(&redeemed).await, 401);
}

/// RFC 7662 §4: the API that a token is for may ask about it, by credentials of its own.
#[tokio::test]
async fn the_api_itself_may_introspect_its_tokens() {
    let server = with_apis().await;
    server.client(ORDERS, json!({ "grant_types": [], "redirect_uris": [], "scope": "" })).await;
    let encoded: String = url::form_urlencoded::byte_serialize(ORDERS.as_bytes()).collect();
    for (scope, active) in [("read", true), ("count", false)] {
        let token = tokens(&server, &[("scope", scope)]).await;
        let request = reqwest::Client::new().post(format!("{}/oauth2/introspect", server.url));
        let request =
            request.basic_auth(&encoded, Some(SECRET)).form(&[("token", token["access_token"].as_str().unwrap())]);
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        assert_eq!(answer["active"], active, "{scope}: {answer}");
    }
}

#[tokio::test]
async fn an_opaque_token_says_nothing_and_works_the_same() {
    let server = Server::start().await;
    server.user("alice").await;
    server.client("web", json!({ "access_token_format": "opaque" })).await;
    let token = tokens(&server, &[]).await;
    let text = token["access_token"].as_str().unwrap();
    assert!(text.starts_with("sga_") && !text.contains('.'));
    let ask = || reqwest::Client::new().get(format!("{}/oauth2/userinfo", server.url)).bearer_auth(text).send();
    assert_eq!(ask().await.unwrap().status(), 200);
    server.advance(601);
    assert_eq!(ask().await.unwrap().status(), 401);
}

/// OpenID Connect Core §5.4, scope by scope, and nothing for a scope that was not given.
#[tokio::test]
async fn each_scope_gives_away_its_own_claims() {
    let server = Server::start().await;
    server.user("alice").await;
    server.client("web", json!({ "scope": "openid profile email address phone groups", "consent": "trusted" })).await;
    let (manager, by) = (server.app.manager(), AuditContext::command_line());
    let alice = server.person("alice").await;
    let profile: Profile = serde_json::from_value(json!({
        "name": "Alice Example", "given_name": "Alice", "website": "https://alice.example.com",
        "email": "alice@example.com", "email_verified": true, "phone_number": "+1 555 0100",
        "address": { "locality": "Springfield", "country": "US" },
    }))
    .unwrap();
    let edit = UserEdit { username: "alice".into(), profile, admin: false };
    users::update(&manager, &by, alice.id, edit).await.unwrap();
    users::set_groups(&manager, &by, alice.id, vec!["staff".to_owned()]).await.unwrap();
    for (scope, expected) in [
        ("openid", vec!["sub"]),
        ("openid profile", vec!["given_name", "name", "preferred_username", "sub", "updated_at", "website"]),
        ("openid email", vec!["email", "email_verified", "sub"]),
        ("openid address", vec!["address", "sub"]),
        ("openid phone", vec!["phone_number", "phone_number_verified", "sub"]),
        ("openid groups", vec!["groups", "sub"]),
    ] {
        let token = tokens(&server, &[("scope", scope)]).await;
        let request = reqwest::Client::new().get(format!("{}/oauth2/userinfo", server.url));
        let answer = request.bearer_auth(token["access_token"].as_str().unwrap()).send().await.unwrap();
        let answer: Value = answer.json().await.unwrap();
        let mut names: Vec<_> = answer.as_object().unwrap().keys().cloned().collect();
        names.sort();
        assert_eq!(names, expected, "{scope}");
    }
}

/// OpenID Connect Core §5.3.1, RFC 6750 §2 and §3.
#[tokio::test]
async fn userinfo_takes_the_token_in_the_header_or_the_form_and_nowhere_else() {
    let server = Server::with_alice().await;
    let token = tokens(&server, &[]).await;
    let token = token["access_token"].as_str().unwrap();
    let address = format!("{}/oauth2/userinfo", server.url);
    let http = reqwest::Client::new();
    let good = [
        http.get(&address).bearer_auth(token),
        http.post(&address).bearer_auth(token),
        http.post(&address).form(&[("access_token", token)]),
    ];
    for request in good {
        assert_eq!(request.send().await.unwrap().status(), 200);
    }
    for (what, request, status, challenge) in [
        ("no token", http.get(&address), 401, "Bearer"),
        ("in the URL", http.get(format!("{address}?access_token={token}")), 401, "Bearer"),
        ("another scheme", http.get(&address).basic_auth("web", Some(SECRET)), 400, "Bearer error=\"invalid_request\""),
        (
            "in two places",
            http.post(&address).bearer_auth(token).form(&[("access_token", token)]),
            400,
            "Bearer error=\"invalid_request\"",
        ),
        ("a wrong one", http.get(&address).bearer_auth("nonsense"), 401, "Bearer error=\"invalid_token\""),
    ] {
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), status, "{what}");
        let header = response.headers()["www-authenticate"].to_str().unwrap();
        assert!(
            header.starts_with(challenge) && (challenge != "Bearer" || !header.contains("error")),
            "{what}: {header}"
        );
    }
    let machine = server.token(&[("grant_type", "client_credentials")]).await.1;
    let response = http.get(&address).bearer_auth(machine["access_token"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(response.status(), 403, "nobody signed in for it");
}
