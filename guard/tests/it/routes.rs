//! What routes ask for, and what is answered (RFC 6750 §3).

use axum::body::Body;
use axum::http::Request;
use serde_json::json;

use crate::support::{self, API, Issuer, Key, api, get_with, guard, send, status};

#[tokio::test]
async fn scopes_and_groups_are_asked_for_route_by_route() {
    let key = Key::new("k", "ES256");
    let issuer = Issuer::start(&[&key]).await;
    let api = api(&guard(&issuer, &support::clock()));
    let routes = ["/me", "/read", "/write", "/both", "/either", "/nested/deep"];
    for (scope, groups, expected) in [
        (json!(""), json!([]), [200, 403, 403, 403, 403, 403]),
        (json!("read"), json!([]), [200, 200, 403, 403, 403, 403]),
        (json!("write"), json!([]), [200, 403, 200, 403, 200, 403]),
        (json!("read write"), json!([]), [200, 200, 200, 403, 200, 403]),
        (json!(""), json!(["staff"]), [200, 403, 403, 403, 200, 403]),
        (json!("read"), json!(["staff"]), [200, 200, 403, 403, 200, 200]),
        (json!("write read"), json!(["ops", "staff"]), [200, 200, 200, 200, 200, 200]),
        // Neither a part of a name nor another type is the scope or the group.
        (json!("reader writer"), json!(["staffing"]), [200, 403, 403, 403, 403, 403]),
        (json!(["read", "write"]), json!("staff"), [200, 403, 403, 403, 403, 403]),
        (json!("Read"), json!(["Staff", 7]), [200, 403, 403, 403, 403, 403]),
    ] {
        let mut claims = issuer.claims();
        claims["scope"] = scope.clone();
        claims["groups"] = groups.clone();
        let token = key.token(&claims);
        for (route, expected) in routes.into_iter().zip(expected) {
            assert_eq!(status(&api, route, &token).await, expected, "{route}: {scope} {groups}");
        }
    }
}

#[tokio::test]
async fn a_refusal_says_what_would_do() {
    let key = Key::new("k", "ES256");
    let issuer = Issuer::start(&[&key]).await;
    let metadata = "https://api.example.com/.well-known/oauth-protected-resource";
    let guard = guard(&issuer, &support::clock());
    let api_without = api(&guard);
    let api = api(&guard.with_resource_metadata(metadata));
    let nobody = || Request::get("/read").body(Body::empty()).unwrap();
    let also = format!(", resource_metadata=\"{metadata}\"");
    let answer = send(&api, nobody()).await;
    assert_eq!(answer.status, 401);
    assert_eq!(answer.header("www-authenticate"), format!("Bearer realm=\"{API}\"{also}"));
    assert_eq!((answer.header("cache-control"), answer.header("content-type")), ("no-store", "application/json"));
    assert_eq!(answer.json()["error"], "unauthorized");
    assert_eq!(send(&api_without, nobody()).await.header("www-authenticate"), format!("Bearer realm=\"{API}\""));
    let answer = send(&api, get_with("/read", "x")).await;
    let text = "The token is unknown, expired or not for this API.";
    let expected = format!("Bearer realm=\"{API}\", error=\"invalid_token\", error_description=\"{text}\"{also}");
    assert_eq!((answer.status, answer.header("www-authenticate")), (401, expected.as_str()));
    let token = key.token(&issuer.claims());
    let answer = send(&api, get_with("/both", &token)).await;
    let expected = format!(
        "Bearer realm=\"{API}\", error=\"insufficient_scope\", error_description=\"That needs the scope write.\", \
         scope=\"read write\"{also}"
    );
    assert_eq!((answer.status, answer.header("www-authenticate")), (403, expected.as_str()));
    let answer = send(&api, get_with("/nested/deep", &token)).await;
    assert_eq!(
        (answer.status, answer.json()["error_description"].as_str()),
        (403, Some("That needs the group staff."))
    );
    assert!(!answer.header("www-authenticate").contains("scope=\""));
}

#[tokio::test]
async fn a_token_is_in_its_header_once() {
    let key = Key::new("k", "ES256");
    let issuer = Issuer::start(&[&key]).await;
    let api = api(&guard(&issuer, &support::clock()));
    let token = key.token(&issuer.claims());
    let with = |values: &[&str]| {
        let request = values.iter().fold(Request::get("/me"), |request, value| request.header("Authorization", *value));
        request.body(Body::empty()).unwrap()
    };
    for (value, expected) in [
        (format!("Bearer {token}"), 200),
        (format!("bearer {token}"), 200),
        (format!("BEARER  {token} "), 200),
        (token.clone(), 401),
        (format!("Basic {token}"), 401),
        (format!("DPoP {token}"), 401),
        ("Bearer".to_owned(), 401),
        ("Bearer ".to_owned(), 401),
        (format!("Bearer {token}, Bearer {token}"), 401),
        (format!("Bearer {token}\u{e4}"), 400),
    ] {
        assert_eq!(send(&api, with(&[&value])).await.status, expected, "{value}");
    }
    let bearer = format!("Bearer {token}");
    let answer = send(&api, with(&[&bearer, &bearer])).await;
    assert_eq!((answer.status, answer.json()["error"].as_str()), (400, Some("invalid_request")));
    assert_eq!(send(&api, with(&[&bearer, "Basic eDp5"])).await.status, 400);
    let query = Request::get(format!("/me?access_token={token}")).body(Body::empty()).unwrap();
    assert_eq!(send(&api, query).await.status, 401);
}

/// The gate puts its own token beside whatever the caller sent.
#[tokio::test]
async fn a_gates_token_comes_first_where_it_is_taken() {
    let key = Key::new("k", "ES256");
    let issuer = Issuer::start(&[&key]).await;
    let guard = guard(&issuer, &support::clock());
    let (without, with) = (api(&guard), api(&guard.with_token_header("X-Gate-Token").unwrap()));
    let token = key.token(&issuer.claims_with("gate", json!("example")));
    let request = |gate: &[&str], authorization: &str| {
        let request = Request::get("/me").header("Authorization", authorization);
        let request = gate.iter().fold(request, |request, value| request.header("X-Gate-Token", *value));
        request.body(Body::empty()).unwrap()
    };
    assert_eq!(send(&with, request(&[&token], "Basic eDp5")).await.status, 200);
    assert_eq!(send(&with, request(&[&token], "Bearer sgt_opaque")).await.status, 200);
    assert_eq!(send(&with, request(&[], &format!("Bearer {token}"))).await.status, 200);
    // A bad one is not passed over for a good one.
    assert_eq!(send(&with, request(&["x"], &format!("Bearer {token}"))).await.status, 401);
    assert_eq!(send(&with, request(&[""], &format!("Bearer {token}"))).await.status, 401);
    assert_eq!(send(&with, request(&[&token, &token], "Basic eDp5")).await.status, 400);
    assert_eq!(send(&without, request(&[&token], "Basic eDp5")).await.status, 401);
}

/// A guard of other settings further out is no reason to let anybody in.
#[tokio::test]
async fn guards_of_different_settings_ask_each_for_itself() {
    let (key, other) = (Key::new("k", "ES256"), Key::new("k", "ES256"));
    let (issuer, elsewhere) = (Issuer::start(&[&key]).await, Issuer::start(&[&other]).await);
    let clock = support::clock();
    let twice = api(&guard(&issuer, &clock)).layer(guard(&elsewhere, &clock).with_token_header("X-Other").unwrap());
    let request = |other_token: &str| {
        let request = get_with("/me", &key.token(&issuer.claims()));
        let (mut parts, body) = request.into_parts();
        parts.headers.insert("X-Other", other_token.parse().unwrap());
        Request::from_parts(parts, body)
    };
    assert_eq!(send(&twice, request(&other.token(&elsewhere.claims()))).await.status, 200);
    assert_eq!(send(&twice, request(&key.token(&issuer.claims()))).await.status, 401);
    let (mut parts, body) = request(&other.token(&elsewhere.claims())).into_parts();
    parts.headers.remove("Authorization");
    assert_eq!(send(&twice, Request::from_parts(parts, body)).await.status, 401);
}
