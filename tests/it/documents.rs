//! The public documents (OpenID Connect Discovery §4, RFC 8414 §3, RFC 7517 §5): what they say, that it is so, and who may
//! read it from a page of their own (CORS).

use std::collections::BTreeMap;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{CALLBACK, Server};

async fn get(server: &Server, path: &str) -> reqwest::Response {
    reqwest::get(format!("{}{path}", server.url)).await.unwrap()
}

async fn discovery(server: &Server) -> BTreeMap<String, Value> {
    get(server, "/.well-known/openid-configuration").await.json().await.unwrap()
}

#[tokio::test]
async fn discovery_says_what_there_is() {
    let server = Server::with_alice().await;
    let document = discovery(&server).await;
    let text = serde_json::to_string_pretty(&document).unwrap().replace(&server.url, "https://id.example.com");
    insta::assert_snapshot!("discovery", text);
    let other: BTreeMap<String, Value> =
        get(&server, "/.well-known/oauth-authorization-server").await.json().await.unwrap();
    assert_eq!(document, other);
    assert_eq!(document["issuer"], server.url);
}

/// Each endpoint is where the document says, and each listed value is taken.
#[tokio::test]
async fn what_discovery_says_is_so() {
    let server = Server::with_alice().await;
    let document = discovery(&server).await;
    for (name, address) in document.iter().filter(|(name, _)| name.ends_with("_endpoint") || *name == "jwks_uri") {
        let status = reqwest::get(address.as_str().unwrap()).await.unwrap().status();
        assert_ne!(status, 404, "{name}");
        assert!(!status.is_server_error(), "{name}");
    }
    let values = |name: &str| -> Vec<String> { serde_json::from_value(document[name].clone()).unwrap() };
    let browser = server.browser();
    browser.sign_in(&server.authorize(&[])).await;
    for mode in values("response_modes_supported") {
        let response = browser.raw(&server.authorize(&[("response_mode", &mode)])).await;
        let to = response.headers().get("location").map(|to| to.to_str().unwrap().to_owned()).unwrap_or_default();
        assert!(mode == "form_post" || to.starts_with(CALLBACK) && to.contains("code="), "{mode}: {to}");
    }
    for prompt in values("prompt_values_supported") {
        let shown = browser.open(&server.authorize(&[("prompt", &prompt)])).await;
        assert!(shown.is_ok() || shown.is_err_and(|callback| callback.contains_key("code")), "{prompt}");
    }
    for alg in values("id_token_signing_alg_values_supported") {
        let client = format!("signs-{alg}");
        server.client(&client, json!({ "id_token_signed_response_alg": alg, "consent": "trusted" })).await;
        let callback = browser.sign_in(&server.authorize(&[("client_id", &client)])).await;
        let form = [
            ("grant_type", "authorization_code"),
            ("code", &callback["code"]),
            ("redirect_uri", CALLBACK),
            ("code_verifier", crate::support::VERIFIER),
        ];
        let (_, tokens) = server.token_as(&client, &form).await;
        let header = tokens["id_token"].as_str().unwrap().split('.').next().unwrap().to_owned();
        let header: Value = serde_json::from_slice(&signet::domain::secret::from_base64url(&header).unwrap()).unwrap();
        assert_eq!(header["alg"], alg);
    }
    for method in values("token_endpoint_auth_methods_supported") {
        let keys = if method == "private_key_jwt" { json!({ "keys": [] }) } else { Value::Null };
        server.client(&method, json!({ "token_endpoint_auth_method": method, "jwks": keys })).await;
    }
}

#[tokio::test]
async fn keys_are_published_with_what_a_relying_party_needs_and_nothing_private() {
    let server = Server::start().await;
    let response = get(&server, "/.well-known/jwks.json").await;
    assert_eq!(response.headers()["content-type"], "application/jwk-set+json");
    let jwks: Value = response.json().await.unwrap();
    let keys = jwks["keys"].as_array().unwrap();
    let mut kinds: Vec<_> = keys.iter().map(|key| format!("{} {} {}", key["kty"], key["use"], key["alg"])).collect();
    kinds.sort();
    let expected = [
        // One that serves ECDH-ES and ECDH-ES+A256KW names neither.
        r#""EC" "enc" null"#,
        r#""EC" "sig" "ES256""#,
        r#""EC" "sig" "ES256""#,
        r#""OKP" "sig" "EdDSA""#,
        r#""OKP" "sig" "EdDSA""#,
        r#""RSA" "enc" "RSA-OAEP-256""#,
        r#""RSA" "sig" "PS256""#,
        r#""RSA" "sig" "RS256""#,
        r#""RSA" "sig" "RS256""#,
    ];
    assert_eq!(kinds, expected, "an active one of each kind, and the next of those in daily use");
    for key in keys {
        assert!(key["kid"].is_string());
        for private in ["d", "p", "q", "dp", "dq", "qi", "k"] {
            assert!(key.get(private).is_none(), "{private}");
        }
    }
}

/// Apps that run in browsers call these from their own pages, and no cookie goes along.
#[tokio::test]
async fn other_sites_may_call_what_apps_call_and_nothing_that_people_see() {
    // Those of MCP clients, tracing and proofs of possession beside the usual ones.
    const HEADERS: &str = "authorization,content-type,dpop,mcp-protocol-version,traceparent,x-of-an-app";
    let server = Server::with_alice().await;
    let ask = |method: Method, path: &str| {
        let request = reqwest::Client::new().request(Method::OPTIONS, format!("{}{path}", server.url));
        let request =
            request.header("origin", "https://app.example").header("access-control-request-method", method.as_str());
        request.header("access-control-request-headers", HEADERS).send()
    };
    for (method, path) in [
        (Method::POST, "/oauth2/token"),
        (Method::GET, "/oauth2/userinfo"),
        (Method::POST, "/oauth2/revoke"),
        (Method::POST, "/oauth2/introspect"),
        (Method::POST, "/oauth2/par"),
        (Method::POST, "/oauth2/device_authorization"),
        (Method::POST, "/oauth2/register"),
        (Method::PUT, "/oauth2/register/web"),
        (Method::GET, "/.well-known/openid-configuration"),
        (Method::GET, "/.well-known/oauth-authorization-server"),
        (Method::GET, "/.well-known/oauth-protected-resource"),
        (Method::GET, "/.well-known/jwks.json"),
    ] {
        let response = ask(method.clone(), path).await.unwrap();
        assert_eq!(response.headers()["access-control-allow-origin"], "*", "{path}");
        assert_eq!(response.headers()["access-control-allow-headers"], HEADERS, "{path}");
        assert_eq!(response.headers()["access-control-max-age"], "7200", "{path}");
        let methods = response.headers()["access-control-allow-methods"].to_str().unwrap().to_owned();
        assert!(methods.contains(method.as_str()), "{path}: {methods}");
        assert!(response.headers().get("access-control-allow-credentials").is_none(), "{path}");
    }
    // Headers that a page may read only where it is told so: why a token was refused, when to try again, and the id.
    let request = reqwest::Client::new().get(format!("{}/oauth2/userinfo", server.url));
    let refused = request.header("origin", "https://app.example").send().await.unwrap();
    assert_eq!(refused.headers()["access-control-expose-headers"], "www-authenticate,retry-after,x-request-id");
    for path in ["/oauth2/authorize", "/login", "/account", "/oauth2/logout", "/setup"] {
        let response = ask(Method::POST, path).await.unwrap();
        for name in ["access-control-allow-origin", "access-control-allow-headers", "access-control-max-age"] {
            assert!(response.headers().get(name).is_none(), "{path}: {name}");
        }
    }
}

/// A page's files have addresses of their own version: kept for a year, and never an old one after an update.
#[tokio::test]
async fn static_files_are_kept_under_their_version_and_compressed() {
    let server = Server::start().await;
    let page = server.browser().page("/login").await;
    let href = page.attribute("link[rel=stylesheet]", "href").unwrap();
    let http = reqwest::Client::new();
    let get = |path: &str| http.get(format!("{}{path}", server.url)).header("accept-encoding", "gzip").send();
    let response = get(&href).await.unwrap();
    assert_eq!(response.headers()["cache-control"], "public, max-age=31536000, immutable");
    assert_eq!(response.headers()["content-encoding"], "gzip");
    assert_eq!(response.headers()["content-type"], "text/css");
    let other = get("/static/signet.css?v=older").await.unwrap();
    assert_eq!(other.headers()["cache-control"], "public, max-age=3600");
    for path in ["/static/VENDORED.md", "/static/none.css", "/static/..%2fCargo.toml", "/static/%2e%2e%2fCargo.toml"] {
        assert_eq!(get(path).await.unwrap().status(), 404, "{path}");
    }
}
