//! Dynamic client registration (OpenID Connect Dynamic Client Registration, RFC 7591) and its management (RFC 7592).

use futures::future::join_all;
use reqwest::{Method, Response};
use serde_json::{Value, json};
use signet::config::{Config, Registration, SoftwareIssuer};
use signet::domain::api_key::Owner;
use signet::domain::event::EventKind;
use signet::domain::ids::ClientId;
use signet::domain::scope::Scopes;
use signet::domain::secret::Secret;
use signet::manage::api_keys::NewKey;
use signet::manage::{By, clients, registration};
use signet::server::upkeep::Upkeep;
use signet::store::{self, events};

use crate::api_keys;
use crate::support::program::Program;
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

/// An initial access token for ten minutes.
async fn access(server: &Server, uses: Option<i32>) -> Secret {
    registration::create_access(&server.app.manager(), &By::command_line(), uses, 600).await.unwrap().0
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
        (
            "application/json",
            r#"{"redirect_uris":["https://a.example/"],"redirect_uris":["https://b.example/"]}"#.to_owned(),
            400,
        ),
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
    // Who states no scope may ask for any that the policy has; without refresh tokens the wish for one is passed over.
    let (_, answer) = register(&server, &json!({ "redirect_uris": [CALLBACK] })).await;
    assert_eq!(answer["scope"], "openid profile email address phone");
    let id = answer["client_id"].as_str().unwrap();
    let asked = [("client_id", id), ("scope", "openid phone offline_access")];
    let consent = browser.page(&server.authorize(&asked)).await;
    assert_eq!((consent.name().as_str(), consent.has("[data-scope=offline_access]")), ("consent", false));
    assert!(consent.has("[data-scope=phone]"));
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
    let token = access(&by_token, Some(3)).await;
    let twice = ask(&by_token, Method::POST, "", Some("sgn_guess"), Some(&body)).await;
    assert_eq!(twice.status(), 401);
    // However many at once, as often as it says.
    let asked = join_all((0..8).map(|_| ask(&by_token, Method::POST, "", Some(token.expose()), Some(&body)))).await;
    assert_eq!(asked.iter().filter(|answer| answer.status() == 201).count(), 3);
    let token = access(&by_token, None).await;
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
    let mut early = claims("https://vouches.example");
    early["nbf"] = json!(now + 60);
    let mut timeless = claims("https://vouches.example");
    timeless["exp"] = json!("soon");
    for (statement, status, error) in [
        (key.sign(&claims("https://vouches.example")), 201, None),
        (key.sign(&claims("https://other.example")), 400, Some("unapproved_software_statement")),
        (stranger.sign(&claims("https://vouches.example")), 400, Some("invalid_software_statement")),
        (key.sign(&old), 400, Some("invalid_software_statement")),
        (key.sign(&early), 400, Some("invalid_software_statement")),
        (key.sign(&timeless), 400, Some("invalid_software_statement")),
    ] {
        let body = json!({ "redirect_uris": ["https://app.example/cb"], "client_name": "Says itself", "software_statement": statement });
        let (got, answer) = register(&server, &body).await;
        assert_eq!((got, answer["error"].as_str()), (status, error), "{answer}");
        if status == 201 {
            assert_eq!((&answer["client_name"], &answer["software_id"]), (&json!("Vouched for"), &json!("s-1")));
            assert_eq!(answer["software_statement"], body["software_statement"], "unchanged (RFC 7591 section 3.2.1)");
        }
    }
}

/// What an administrator gave it is not the client's to give, nor to lose by reading and writing back.
#[tokio::test]
async fn what_an_administrator_gave_stays() {
    let server = open().await;
    let (_, made) = register(&server, &json!({ "redirect_uris": ["https://app.example/cb"] })).await;
    let (path, token) = managed(&made);
    let id = ClientId::parse(made["client_id"].as_str().unwrap()).unwrap();
    let exchange = "urn:ietf:params:oauth:grant-type:token-exchange";
    let mut meta = json!(server.app.provider.client(&id).await.unwrap().unwrap().meta);
    meta["scope"] = json!("openid orders:read");
    meta["grant_types"] = json!(["authorization_code", exchange]);
    meta["token_exchange"] = json!([{ "client": "web", "delegation": true }]);
    meta["require_pkce"] = json!(true);
    let meta = serde_json::from_value(meta).unwrap();
    clients::update(&server.app.manager(), &By::command_line(), &id, meta).await.unwrap();
    let put = async |body: &Value| -> Value {
        let response = ask(&server, Method::PUT, &path, Some(token), Some(body)).await;
        assert_eq!(response.status(), 200, "{body}");
        response.json().await.unwrap()
    };
    let mut read: Value = ask(&server, Method::GET, &path, Some(token), None).await.json().await.unwrap();
    assert!(read.get("token_exchange").is_none());
    read["scope"] = json!("openid orders:read orders:write");
    assert_eq!(put(&read).await["scope"], "openid orders:read", "and gets no more");
    let kept = || async { server.app.provider.client(&id).await.unwrap().unwrap() };
    assert!(kept().await.meta.token_exchange.len() == 1 && kept().await.meta.require_pkce);
    read["grant_types"] = json!(["authorization_code"]);
    put(&read).await;
    assert!(kept().await.meta.token_exchange.is_empty(), "what it gives up is gone");
    clients::disable(&server.app.manager(), &By::command_line(), &id).await.unwrap();
    assert_eq!(ask(&server, Method::GET, &path, Some(token), None).await.status(), 401);
}

/// Whoever ends it first: what comes later finds nothing, and brings nothing back.
#[tokio::test]
async fn a_registration_ends_once() {
    let server = open().await;
    let body = json!({ "redirect_uris": ["https://app.example/cb"] });
    for _ in 0..5 {
        let (_, made) = register(&server, &body).await;
        let (path, token) = managed(&made);
        let (first, put, second) = tokio::join!(
            ask(&server, Method::DELETE, &path, Some(token), None),
            ask(&server, Method::PUT, &path, Some(token), Some(&made)),
            ask(&server, Method::DELETE, &path, Some(token), None),
        );
        let mut ended = [first.status().as_u16(), second.status().as_u16()];
        ended.sort_unstable();
        assert_eq!(ended, [204, 401]);
        assert!([200, 401].contains(&put.status().as_u16()), "{}", put.status());
    }
    assert_eq!(store::clients::count(server.app.store().read()).await.unwrap(), 0);
}

#[tokio::test]
async fn an_authorization_header_that_stands_twice_is_refused() {
    let server = open().await;
    let (_, made) = register(&server, &json!({ "redirect_uris": ["https://app.example/cb"] })).await;
    let (path, token) = managed(&made);
    let request = reqwest::Client::new().get(format!("{}/oauth2/register{path}", server.url)).bearer_auth(token);
    assert_eq!(request.header("authorization", "Bearer x").send().await.unwrap().status(), 400);
}

/// Without a good token nothing is fetched on a stranger's word (T19), and a refused registration costs no use of one.
#[tokio::test]
async fn an_initial_access_token_is_looked_at_first_and_used_last() {
    let there = Receiver::start().await;
    let server = Server::start_with(|config| {
        config.registration = Registration::Token;
        receiver::reachable(config);
    })
    .await;
    let sector = json!({ "redirect_uris": ["https://app.example/cb"], "sector_identifier_uri": there.at("/sector") });
    assert_eq!(ask(&server, Method::POST, "", Some("sgn_guess"), Some(&sector)).await.status(), 401);
    assert!(there.requests("/sector").is_empty());
    let token = access(&server, Some(1)).await;
    let body = json!({ "redirect_uris": ["https://app.example/cb"] });
    for (body, status) in [(&sector, 400), (&body, 201), (&body, 401)] {
        assert_eq!(ask(&server, Method::POST, "", Some(token.expose()), Some(body)).await.status(), status);
    }
    // Of the two kinds of tokens none is the other.
    let many = access(&server, None).await;
    let made: Value = ask(&server, Method::POST, "", Some(many.expose()), Some(&body)).await.json().await.unwrap();
    let (path, own) = managed(&made);
    assert_eq!(ask(&server, Method::POST, "", Some(own), Some(&body)).await.status(), 401);
    assert_eq!(ask(&server, Method::GET, &path, Some(many.expose()), None).await.status(), 401);
}

#[tokio::test]
async fn initial_access_tokens_are_listed_revoked_and_swept() {
    let server = Server::start_with(|config| config.registration = Registration::Token).await;
    let (manager, by) = (server.app.manager(), By::command_line());
    let (token, made) = registration::create_access(&manager, &by, None, 600).await.unwrap();
    let listed = registration::accesses(server.app.store()).await.unwrap();
    assert!(listed.len() == 1 && listed[0].id == made.id && !format!("{listed:?}").contains(token.expose()));
    registration::revoke_access(&manager, &by, made.id).await.unwrap();
    let body = json!({ "redirect_uris": ["https://app.example/cb"] });
    assert_eq!(ask(&server, Method::POST, "", Some(token.expose()), Some(&body)).await.status(), 401);
    assert!(registration::revoke_access(&manager, &by, made.id).await.is_err(), "it is gone");
    let record = events::list(server.app.store().read(), &events::Filter { most: 9, ..Default::default() }).await;
    let kinds: Vec<EventKind> = record.unwrap().iter().map(|event| event.kind).collect();
    assert!(kinds.contains(&EventKind::InitialAccessCreated) && kinds.contains(&EventKind::InitialAccessRevoked));
    for (uses, seconds) in [(Some(0), 600), (Some(-1), 600), (None, 0), (None, -1), (None, i64::MAX)] {
        assert!(registration::create_access(&manager, &by, uses, seconds).await.is_err(), "{uses:?} {seconds}");
    }
    access(&server, None).await;
    server.advance(601);
    Upkeep::default().once(&server.app).await;
    assert!(registration::accesses(server.app.store()).await.unwrap().is_empty());
}

/// RFC 7591 §5: what nobody uses does not pile up.
#[tokio::test]
async fn a_client_that_signs_nobody_in_is_removed_after_a_while() {
    let server = Server::start_with(|config| {
        config.registration = Registration::Open;
        config.registration_policy.unused = 600;
    })
    .await;
    server.user("alice").await;
    server.client("web", json!({})).await;
    let body = json!({ "redirect_uris": [CALLBACK] });
    api_keys::put_api(&server, "orders", &["api_key"]).await;
    let ((_, used), (_, unused), (_, managed_one)) =
        (register(&server, &body).await, register(&server, &body).await, register(&server, &body).await);
    let (_, keyed) = register(&server, &body).await;
    let owner = Owner::Client(keyed["client_id"].as_str().unwrap().to_owned().try_into().unwrap());
    let new = NewKey { scopes: Scopes::default(), ..api_keys::new_key(owner, "orders") };
    api_keys::make(&server, new).await.unwrap();
    server.browser().sign_in(&server.authorize(&[("client_id", used["client_id"].as_str().unwrap())])).await;
    server.advance(599);
    let (path, token) = managed(&managed_one);
    let mut update = managed_one.clone();
    update["client_name"] = json!("Still here");
    assert_eq!(ask(&server, Method::PUT, &path, Some(token), Some(&update)).await.status(), 200);
    server.advance(2);
    let mut upkeep = Upkeep::default();
    upkeep.once(&server.app).await;
    for (client, status) in [(&used, 200), (&unused, 401), (&managed_one, 200), (&keyed, 200)] {
        let (path, token) = managed(client);
        assert_eq!(ask(&server, Method::GET, &path, Some(token), None).await.status(), status);
    }
    // An idle node looks once a day.
    server.advance(86_400);
    upkeep.once(&server.app).await;
    let left = store::clients::count(server.app.store().read()).await.unwrap();
    assert_eq!(left, 3, "the administrator's, the one that somebody uses, and the one that has a key");
}

/// The number of clients is counted, not guessed, and a full server takes no use of a token.
#[tokio::test]
async fn many_at_once_make_no_more_clients_than_there_may_be() {
    let server = Server::start_with(|config| {
        config.registration = Registration::Token;
        config.registration_policy.clients = 3;
    })
    .await;
    let token = access(&server, Some(4)).await;
    let body = json!({ "redirect_uris": ["https://app.example/cb"] });
    let send = || ask(&server, Method::POST, "", Some(token.expose()), Some(&body));
    let all = join_all((0..8).map(|_| send())).await;
    let with = |status: u16| all.iter().filter(|answer| answer.status() == status).count();
    assert_eq!((with(201), with(403)), (3, 5));
    assert_eq!(registration::accesses(server.app.store()).await.unwrap()[0].uses_left, Some(1));
}

#[tokio::test]
async fn the_command_makes_lists_and_revokes_tokens() {
    let program = Program::new().await;
    let said = program.done(&["client", "registration-token", "--uses", "2", "--expires-in", "600", "--json"]);
    let made: Value = serde_json::from_str(&said).unwrap();
    let (token, id) = (made["token"].as_str().unwrap(), made["id"].as_str().unwrap());
    assert!(token.starts_with("sgn_") && made["uses_left"] == 2);
    let listed = program.done(&["client", "registration-tokens", "--json"]);
    assert!(!listed.contains(token));
    assert_eq!(serde_json::from_str::<Value>(&listed).unwrap()[0]["id"], id);
    assert!(program.done(&["client", "registration-token"]).contains("shown only now: sgn_"));
    program.done(&["client", "revoke-registration-token", id]);
    assert_eq!(program.run(&["client", "revoke-registration-token", id]).code, 1);
    assert_eq!(program.run(&["client", "registration-token", "--uses", "0"]).code, 2);
    assert_eq!(program.run(&["client", "registration-token", "--expires-in", "0"]).code, 1);
}
