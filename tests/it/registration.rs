//! Dynamic client registration (OpenID Connect Dynamic Client Registration, RFC 7591) and its management (RFC 7592).

use futures::future::join_all;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use signet::config::{Config, Registration, SoftwareIssuer};
use signet::manage::registration::issue_access;

use crate::support::receiver::{self, Answer, Receiver};
use crate::support::signer::ClientKey;
use crate::support::{CALLBACK, Server};

async fn open() -> Server {
    let server = Server::start_with(|config| {
        config.registration = Registration::Open;
        receiver::reachable(config);
    })
    .await;
    server.user("alice").await;
    server
}

async fn ask(server: &Server, method: Method, path: &str, token: Option<&str>, body: Option<&Value>) -> Response {
    let mut request = reqwest::Client::new().request(method, format!("{}/oauth2/register{path}", server.url));
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    if let Some(body) = body {
        request = request.json(body);
    }
    request.send().await.unwrap()
}

async fn register(server: &Server, body: &Value) -> (u16, Value) {
    let response = ask(server, Method::POST, "", None, Some(body)).await;
    assert_eq!(response.headers()["cache-control"], "no-store");
    (response.status().as_u16(), response.json().await.unwrap())
}

/// The path of a registration, and its token.
fn managed(answer: &Value) -> (String, &str) {
    let id = answer["client_id"].as_str().unwrap();
    assert!(answer["registration_client_uri"].as_str().unwrap().ends_with(&format!("/oauth2/register/{id}")));
    (format!("/{id}"), answer["registration_access_token"].as_str().unwrap())
}

#[tokio::test]
async fn everything_is_told_back_with_its_defaults() {
    let server = open().await;
    let body = json!({ "redirect_uris": ["https://app.example/cb"], "client_name": "An app", "client_name#fr": "Une app",
        "something_new": { "a": 1 }, "logo_uri": null });
    let (status, mut answer) = register(&server, &body).await;
    assert_eq!(status, 201, "{answer}");
    for secret in ["client_id", "client_secret", "registration_access_token", "registration_client_uri"] {
        assert!(answer[secret].is_string(), "{secret}");
        answer[secret] = json!("…");
    }
    answer["client_id_issued_at"] = json!("…");
    let told: std::collections::BTreeMap<String, Value> = serde_json::from_value(answer).unwrap();
    insta::assert_json_snapshot!("registration", told);
}

#[tokio::test]
async fn a_registered_client_signs_people_in() {
    let server = open().await;
    let key = ClientKey::new("k1", "RS256");
    for body in [
        json!({ "redirect_uris": [CALLBACK] }),
        json!({ "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "client_secret_post",
            "grant_types": ["authorization_code", "refresh_token"] }),
        json!({ "redirect_uris": [CALLBACK], "id_token_signed_response_alg": "HS256" }),
        json!({ "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none" }),
        json!({ "redirect_uris": [CALLBACK], "subject_type": "pairwise", "userinfo_signed_response_alg": "RS256" }),
        json!({ "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "private_key_jwt", "jwks": key.jwks() }),
    ] {
        let (status, client) = register(&server, &body).await;
        assert_eq!(status, 201, "{client}");
        let id = client["client_id"].as_str().unwrap();
        assert_eq!(
            client.get("client_secret").is_some(),
            !body.to_string().contains("none") && !body.to_string().contains("private")
        );
        let consent = server.browser().page(&server.authorize(&[("client_id", id)])).await;
        assert_eq!(consent.name(), "login");
        let answer = server.browser().sign_in(&server.authorize(&[("client_id", id)])).await;
        let now = server.app.env().now().seconds();
        let assertion = key.sign(&json!({ "iss": id, "sub": id, "aud": server.url, "exp": now + 60, "jti": "1" }));
        let mut form = vec![
            ("grant_type", "authorization_code"),
            ("code", answer["code"].as_str()),
            ("redirect_uri", CALLBACK),
            ("code_verifier", crate::support::VERIFIER),
        ];
        let secret = client["client_secret"].as_str().unwrap_or_default();
        let mut request = reqwest::Client::new().post(format!("{}/oauth2/token", server.url));
        match client["token_endpoint_auth_method"].as_str().unwrap() {
            "client_secret_basic" => request = request.basic_auth(id, Some(secret)),
            "client_secret_post" => form.extend([("client_id", id), ("client_secret", secret)]),
            "none" => form.push(("client_id", id)),
            _ => form.extend([
                ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                ("client_assertion", assertion.as_str()),
            ]),
        }
        let response = request.form(&form).send().await.unwrap();
        assert_eq!(response.status(), 200, "{body}: {}", response.text().await.unwrap());
    }
}

/// RFC 7591 §3.2.2, OpenID Connect Registration §3.3: one row an error, by the name of the member.
#[tokio::test]
async fn what_is_wrong_is_said_by_its_member() {
    let server = open().await;
    let uris = json!(["https://app.example/cb"]);
    for (changes, error, says) in [
        (json!({ "redirect_uris": ["https://app.example/cb#f"] }), "invalid_redirect_uri", "fragment"),
        (json!({ "redirect_uris": ["http://app.example/cb"] }), "invalid_redirect_uri", "https"),
        (json!({ "redirect_uris": ["javascript:alert(1)"] }), "invalid_redirect_uri", "redirect_uris"),
        (json!({ "redirect_uris": "https://app.example/cb" }), "invalid_redirect_uri", "array"),
        (json!({ "redirect_uris": [1] }), "invalid_redirect_uri", "text"),
        (json!({ "redirect_uris": [] }), "invalid_redirect_uri", "redirect_uris"),
        (json!({ "redirect_uris": null }), "invalid_redirect_uri", "redirect_uris"),
        (json!({ "redirect_uris": ["com.example.app:/cb"] }), "invalid_redirect_uri", "native"),
        (
            json!({ "redirect_uris": ["http://localhost/cb"], "response_types": ["id_token"] }),
            "invalid_redirect_uri",
            "implicit",
        ),
        (json!({ "id_token_signed_response_alg": "none" }), "invalid_client_metadata", "id_token_signed_response_alg"),
        (
            json!({ "id_token_encrypted_response_alg": "RSA1_5" }),
            "invalid_client_metadata",
            "id_token_encrypted_response_alg",
        ),
        (
            json!({ "token_endpoint_auth_method": "tls_client_auth" }),
            "invalid_client_metadata",
            "token_endpoint_auth_method",
        ),
        (
            json!({ "token_endpoint_auth_method": "private_key_jwt" }),
            "invalid_client_metadata",
            "token_endpoint_auth_method",
        ),
        (json!({ "response_types": ["token"] }), "invalid_client_metadata", "response_types"),
        (json!({ "response_types": "code" }), "invalid_client_metadata", "response_types"),
        (json!({ "grant_types": ["password"] }), "invalid_client_metadata", "grant_types"),
        (
            json!({ "grant_types": ["authorization_code", "client_credentials"] }),
            "invalid_client_metadata",
            "grant_types",
        ),
        (
            json!({ "grant_types": ["urn:ietf:params:oauth:grant-type:token-exchange"] }),
            "invalid_client_metadata",
            "grant_types",
        ),
        (json!({ "subject_type": "secret" }), "invalid_client_metadata", "subject_type"),
        (json!({ "application_type": "desktop" }), "invalid_client_metadata", "application_type"),
        (json!({ "jwks": { "keys": [{ "kty": "oct", "k": "AAAA" }] } }), "invalid_client_metadata", "jwks"),
        (json!({ "jwks": [] }), "invalid_client_metadata", "jwks"),
        (json!({ "jwks_uri": "file:///etc/passwd" }), "invalid_client_metadata", "jwks_uri"),
        (json!({ "jwks_uri": "https://169.254.169.254/jwks" }), "invalid_client_metadata", "jwks_uri"),
        (json!({ "request_uris": ["https://[::1]/r"] }), "invalid_client_metadata", "request_uris"),
        (
            json!({ "backchannel_logout_uri": "http://10.0.0.1/out" }),
            "invalid_client_metadata",
            "backchannel_logout_uri",
        ),
        (json!({ "logo_uri": "javascript:alert(1)" }), "invalid_client_metadata", "logo_uri"),
        (json!({ "initiate_login_uri": "http://127.0.0.1/start" }), "invalid_client_metadata", "initiate_login_uri"),
        (json!({ "default_max_age": "soon" }), "invalid_client_metadata", "default_max_age"),
        (json!({ "require_auth_time": "yes" }), "invalid_client_metadata", "require_auth_time"),
        (json!({ "contacts": [1] }), "invalid_client_metadata", "contacts"),
        (json!({ "client_name": "x".repeat(101) }), "invalid_client_metadata", "client_name"),
        (json!({ "scope": "admin" }), "invalid_client_metadata", "scope"),
        (json!({ "software_statement": "e30.e30.e30" }), "unapproved_software_statement", "statement"),
        (json!({ "software_statement": 1 }), "invalid_software_statement", "statement"),
    ] {
        let mut body = json!({ "redirect_uris": uris });
        body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let (status, answer) = register(&server, &body).await;
        assert_eq!((status, answer["error"].as_str()), (400, Some(error)), "{changes}: {answer}");
        assert!(answer["error_description"].as_str().unwrap().contains(says), "{changes}: {answer}");
    }
}

/// ATTACKS T25: whatever the body is, it is let go of.
#[tokio::test]
async fn a_body_that_is_no_registration_is_refused() {
    let server = open().await;
    let http = reqwest::Client::new();
    let deep = format!("{{\"jwks\":{}{}}}", "[".repeat(20_000), "]".repeat(20_000));
    for (kind, body, status) in [
        ("application/json", String::new(), 400),
        ("application/json", "[]".to_owned(), 400),
        ("application/json", "{".to_owned(), 400),
        ("application/json", deep, 400),
        ("application/json", format!("{{\"client_name\": \"{}\"}}", "x".repeat(100_000)), 400),
        ("text/plain", "{}".to_owned(), 400),
        ("application/x-www-form-urlencoded", "redirect_uris=x".to_owned(), 400),
    ] {
        let request = http.post(format!("{}/oauth2/register", server.url)).header("content-type", kind);
        let response = request.body(body.clone()).send().await.unwrap();
        assert_eq!(response.status(), status, "{kind} {body:.40}");
        let answer: Value = response.json().await.unwrap();
        assert!(answer["error"].is_string());
    }
}

/// RFC 7592 §2: read, replaced and ended by the token of the registration and by no other.
#[tokio::test]
async fn a_client_manages_its_own_registration() {
    let server = open().await;
    let body = json!({ "redirect_uris": ["https://app.example/cb"], "client_name": "Before", "tos_uri": "https://app.example/tos" });
    let (_, made) = register(&server, &body).await;
    let (_, other) = register(&server, &body).await;
    let ((path, token), (_, other_token)) = (managed(&made), managed(&other));
    for wrong in [None, Some("nonsense"), Some(other_token)] {
        for method in [Method::GET, Method::PUT, Method::DELETE] {
            let response = ask(&server, method.clone(), &path, wrong, Some(&made)).await;
            assert_eq!(response.status(), 401, "{method} {wrong:?}");
            assert!(response.headers().contains_key("www-authenticate"));
        }
    }
    assert_eq!(ask(&server, Method::GET, "/nobody", Some(token), None).await.status(), 401);
    let read: Value = ask(&server, Method::GET, &path, Some(token), None).await.json().await.unwrap();
    assert_eq!(read, made, "told again as it was");
    let mut update = json!({ "client_id": made["client_id"], "client_secret": made["client_secret"],
        "redirect_uris": ["https://app.example/new"], "client_name": "After" });
    let replaced: Value = ask(&server, Method::PUT, &path, Some(token), Some(&update)).await.json().await.unwrap();
    assert_eq!(
        (&replaced["client_name"], &replaced["redirect_uris"][0]),
        (&json!("After"), &json!("https://app.example/new"))
    );
    assert!(replaced.get("tos_uri").is_none(), "what is not said again is gone (RFC 7592 section 2.2)");
    assert_eq!(replaced["client_secret"], made["client_secret"]);
    for (member, value) in
        [("client_id", json!("other")), ("client_secret", json!("x".repeat(40))), ("client_id", Value::Null)]
    {
        let kept = std::mem::replace(&mut update[member], value);
        assert_eq!(ask(&server, Method::PUT, &path, Some(token), Some(&update)).await.status(), 400, "{member}");
        update[member] = kept;
    }
    assert_eq!(ask(&server, Method::DELETE, &path, Some(token), None).await.status(), 204);
    assert_eq!(ask(&server, Method::GET, &path, Some(token), None).await.status(), 401);
    let page = server.browser().page(&server.authorize(&[("client_id", made["client_id"].as_str().unwrap())])).await;
    assert_eq!(page.error(), "invalid_client");
    // An administrator's client is nobody's registration.
    server.client("web", json!({})).await;
    assert_eq!(ask(&server, Method::GET, "/web", Some(token), None).await.status(), 401);
}

#[tokio::test]
async fn a_stranger_gets_no_more_than_the_policy_has() {
    let server = open().await;
    let body = json!({ "redirect_uris": [CALLBACK], "consent": "trusted", "access_token_format": "opaque",
        "scope": "openid email admin groups", "token_exchange": [{ "client": "web", "impersonation": true }] });
    let (status, answer) = register(&server, &body).await;
    assert_eq!((status, &answer["scope"]), (201, &json!("openid email")), "{answer}");
    let id = answer["client_id"].as_str().unwrap();
    let browser = server.browser();
    browser.sign_in_as("alice").await;
    let consent = browser.page(&server.authorize(&[("client_id", id), ("scope", "openid")])).await;
    assert_eq!(consent.name(), "consent", "asked, whatever it said");
}

/// The setting says who: nobody, who has a token, anybody.
#[tokio::test]
async fn registration_is_off_or_by_token_or_open() {
    let body = json!({ "redirect_uris": ["https://app.example/cb"] });
    let listed = |server: &Server| {
        let url = format!("{}/.well-known/openid-configuration", server.url);
        async move { reqwest::get(url).await.unwrap().json::<Value>().await.unwrap().get("registration_endpoint").cloned() }
    };
    let off = Server::start().await;
    assert_eq!(ask(&off, Method::POST, "", None, Some(&body)).await.status(), 404);
    assert_eq!(ask(&off, Method::GET, "/x", Some("t"), None).await.status(), 404);
    assert_eq!(listed(&off).await, None);
    let by_token = Server::start_with(|config: &mut Config| config.registration = Registration::Token).await;
    assert!(listed(&by_token).await.is_some());
    let bare = ask(&by_token, Method::POST, "", None, Some(&body)).await;
    assert_eq!((bare.status().as_u16(), bare.headers()["www-authenticate"].to_str().unwrap()), (401, "Bearer"));
    let token = issue_access(&by_token.app.manager(), Some(3), 600).await.unwrap();
    let twice = ask(&by_token, Method::POST, "", Some("sgn_guess"), Some(&body)).await;
    assert_eq!(twice.status(), 401);
    // However many at once, as often as it says.
    let asked = join_all((0..8).map(|_| ask(&by_token, Method::POST, "", Some(token.expose()), Some(&body)))).await;
    assert_eq!(asked.iter().filter(|answer| answer.status() == 201).count(), 3);
    let token = issue_access(&by_token.app.manager(), None, 600).await.unwrap();
    assert_eq!(ask(&by_token, Method::POST, "", Some(token.expose()), Some(&body)).await.status(), 201);
    by_token.advance(601);
    assert_eq!(ask(&by_token, Method::POST, "", Some(token.expose()), Some(&body)).await.status(), 401);
}

#[tokio::test]
async fn an_open_endpoint_is_not_for_flooding() {
    let server = Server::start_with(|config| {
        config.registration = Registration::Open;
        config.registration_policy.per_address = 3;
        config.registration_policy.clients = 4;
    })
    .await;
    let body = json!({ "redirect_uris": ["https://app.example/cb"] });
    for expected in [201, 201, 201, 429] {
        assert_eq!(register(&server, &body).await.0, expected);
    }
    server.advance(15 * 60 + 1);
    for expected in [201, 403] {
        assert_eq!(register(&server, &body).await.0, expected);
    }
}

/// OpenID Connect Registration §5: the file is really fetched, and lists every address to the letter.
#[tokio::test]
async fn a_sector_is_believed_when_its_file_lists_every_address() {
    let there = Receiver::start().await;
    let server = open().await;
    let uris = json!(["https://a.example/cb", "https://b.example/cb"]);
    there.answer("/good", Answer::json(&json!(["https://b.example/cb", "https://a.example/cb", "https://c.example/"])));
    there.answer("/short", Answer::json(&json!(["https://a.example/cb"])));
    there.answer("/near", Answer::json(&json!(["https://a.example/cb/", "https://b.example/cb"])));
    there.answer("/object", Answer::json(&json!({ "redirect_uris": uris })));
    there.answer("/moved", Answer::status(302).header("location", there.at("/good")));
    there.answer("/huge", Answer::endless());
    for (path, status) in [
        ("/good", 201),
        ("/short", 400),
        ("/near", 400),
        ("/object", 400),
        ("/moved", 400),
        ("/huge", 400),
        ("/gone", 400),
    ] {
        let body =
            json!({ "redirect_uris": uris, "subject_type": "pairwise", "sector_identifier_uri": there.at(path) });
        let (got, answer) = register(&server, &body).await;
        assert_eq!(got, status, "{path}: {answer}");
        if status == 400 {
            assert_eq!(answer["error"], "invalid_client_metadata");
            assert!(answer["error_description"].as_str().unwrap().starts_with("sector_identifier_uri"), "{answer}");
        }
    }
    let body = json!({ "redirect_uris": uris, "subject_type": "pairwise" });
    assert_eq!(register(&server, &body).await.1["error"], "invalid_client_metadata", "several hosts need the file");
}

/// RFC 7591 §2.3 and §3.2.2.
#[tokio::test]
async fn a_software_statement_is_believed_of_a_trusted_issuer() {
    let there = Receiver::start().await;
    let (key, stranger) = (ClientKey::new("v1", "ES256"), ClientKey::new("v1", "ES256"));
    there.answer("/jwks", Answer::json(&key.jwks()));
    let jwks_uri = there.at("/jwks");
    let server = Server::start_with(|config| {
        config.registration = Registration::Open;
        receiver::reachable(config);
        let issuer = "https://vouches.example".to_owned();
        config.registration_policy.software_issuers = vec![SoftwareIssuer { issuer, jwks_uri }];
    })
    .await;
    let claims = |issuer: &str| json!({ "iss": issuer, "software_id": "s-1", "client_name": "Vouched for" });
    let now = server.app.env().now().seconds();
    let mut old = claims("https://vouches.example");
    old["exp"] = json!(now - 1);
    for (statement, status, error) in [
        (key.sign(&claims("https://vouches.example")), 201, None),
        (key.sign(&claims("https://other.example")), 400, Some("unapproved_software_statement")),
        (stranger.sign(&claims("https://vouches.example")), 400, Some("invalid_software_statement")),
        (key.sign(&old), 400, Some("invalid_software_statement")),
    ] {
        let body = json!({ "redirect_uris": ["https://app.example/cb"], "client_name": "Says itself", "software_statement": statement });
        let (got, answer) = register(&server, &body).await;
        assert_eq!((got, answer["error"].as_str()), (status, error), "{answer}");
        if status == 201 {
            assert_eq!((&answer["client_name"], &answer["software_id"]), (&json!("Vouched for"), &json!("s-1")));
        }
    }
}
