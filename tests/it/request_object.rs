//! Request objects by value and by reference (OpenID Connect Core §6, RFC 9101): what is inside wins, what is wrong with
//! one goes back to the app as the spec's own error, and nothing that is fetched keeps anybody waiting.

use serde_json::{Value, json};
use signet::domain::ids::ClientId;

use crate::support::name_server::NameServer;
use crate::support::receiver::{self, Answer, Receiver};
use crate::support::signer::{self, ClientKey};
use crate::support::{CALLBACK, SECRET, Server};

async fn server(changes: Value) -> (Server, ClientKey) {
    let server = Server::start_with(receiver::reachable).await;
    server.user("alice").await;
    let key = ClientKey::new("k1", "ES256");
    let mut meta = json!({ "jwks": key.jwks(), "consent": "trusted" });
    meta.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    server.client("web", meta).await;
    (server, key)
}

fn object(server: &Server, changes: &Value) -> Value {
    let now = server.app.env().now().seconds();
    let mut claims = json!({
        "iss": "web", "aud": server.url, "exp": now + 60, "client_id": "web", "response_type": "code",
        "redirect_uri": CALLBACK, "scope": "openid", "state": "inside", "nonce": "n-inside",
    });
    claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    claims
}

/// A request that says by itself only what OpenID Connect wants outside.
fn asked(server: &Server, name: &str, value: &str) -> String {
    server.authorize(&[(name, value), ("code_challenge", ""), ("code_challenge_method", "")])
}

#[tokio::test]
async fn what_is_inside_wins_over_what_stands_outside() {
    let (server, key) = server(json!({})).await;
    let browser = server.browser();
    let signed = key.sign(&object(&server, &json!({ "max_age": 3600, "claims": { "id_token": { "email": null } } })));
    let answer = browser.sign_in(&asked(&server, "request", &signed)).await;
    assert_eq!(answer["state"], "inside");
    let form = [("grant_type", "authorization_code"), ("code", &answer["code"]), ("redirect_uri", CALLBACK)];
    let (_, tokens) = server.token(&form).await;
    let id = crate::token::claims(tokens["id_token"].as_str().unwrap());
    assert_eq!((&id["nonce"], &id["email"]), (&json!("n-inside"), &json!("alice@example.com")));
    assert_eq!(tokens["scope"], "openid");
}

#[tokio::test]
async fn each_algorithm_and_an_encrypted_one_are_read() {
    let (server, _) = server(json!({})).await;
    let browser = server.browser();
    browser.sign_in(&server.authorize(&[])).await;
    for alg in ["RS256", "PS256", "ES256", "EdDSA"] {
        let key = ClientKey::new("k", alg);
        let client = format!("signs-{alg}");
        server
            .client(&client, json!({ "jwks": key.jwks(), "consent": "trusted", "request_object_signing_alg": alg }))
            .await;
        let signed = key.sign(&object(&server, &json!({ "iss": client, "client_id": client })));
        let request = server.authorize(&[("client_id", &client), ("request", &signed)]);
        assert_eq!(browser.open(&request).await.err().unwrap()["state"], "inside", "{alg}");
    }
    server.client("mac", json!({ "consent": "trusted", "request_object_signing_alg": "HS256" })).await;
    let signed = signer::mac(SECRET, &object(&server, &json!({ "iss": "mac", "client_id": "mac" })));
    let request = server.authorize(&[("client_id", "mac"), ("request", &signed)]);
    assert_eq!(browser.open(&request).await.err().unwrap()["state"], "inside", "HS256");
}

/// RFC 9101 §6: one row for each way to be wrong.
#[tokio::test]
async fn what_is_no_request_of_this_client_is_refused() {
    let (server, key) = server(json!({})).await;
    let browser = server.browser();
    browser.sign_in(&server.authorize(&[])).await;
    let stranger = ClientKey::new("k1", "ES256");
    let rsa = ClientKey::new("k1", "RS256");
    let now = server.app.env().now().seconds();
    let good = object(&server, &json!({}));
    let with = |changes: Value| key.sign(&object(&server, &changes));
    let public = key.public_jwk().to_string();
    let deep = format!("{}1{}", "[".repeat(20_000), "]".repeat(20_000));
    let deep = signer::unsigned(&json!({ "alg": "ES256", "kid": "k1" }), &json!(deep));
    let mut rows = vec![
        ("alg none", signer::unsigned(&json!({ "alg": "none" }), &good)),
        ("alg NONE", signer::unsigned(&json!({ "alg": "NONE" }), &good)),
        ("no signature", signer::unsigned(&json!({ "alg": "ES256", "kid": "k1" }), &good)),
        ("a MAC under the public key", signer::mac(&public, &good)),
        ("a MAC although none is registered", signer::mac(SECRET, &good)),
        ("another's key", stranger.sign(&good)),
        ("another algorithm's key", rsa.sign(&good)),
        ("a foreign kid", key.sign_with(&json!({ "kid": "k2" }), &good)),
        ("a foreign jku", stranger.sign_with(&json!({ "jku": "https://evil.example/jwks" }), &good)),
        ("a foreign x5u", stranger.sign_with(&json!({ "x5u": "https://evil.example/cert" }), &good)),
        ("its own key in the header", stranger.sign_with(&json!({ "jwk": stranger.public_jwk() }), &good)),
        ("another issuer", with(json!({ "iss": "other" }))),
        ("another audience", with(json!({ "aud": "https://other.example" }))),
        ("expired", with(json!({ "exp": now - 11 }))),
        ("not yet", with(json!({ "nbf": now + 60 }))),
        ("exp is text", with(json!({ "exp": "soon" }))),
        ("another client inside", with(json!({ "client_id": "other" }))),
        ("another response type inside", with(json!({ "response_type": "code id_token" }))),
        ("one in the other", with(json!({ "request": "x" }))),
        ("a list", with(json!({ "scope": ["openid"] }))),
        ("a client assertion", with(json!({ "sub": "web", "jti": "1" }))),
        ("typed as something else", key.sign_with(&json!({ "typ": "at+jwt" }), &good)),
        ("no JWT", "nonsense".to_owned()),
        ("two parts", "e30.e30".to_owned()),
        ("an empty JWE", "....".to_owned()),
    ];
    rows.push(("deep", deep.chars().take(9000).collect()));
    for (what, object) in rows {
        let answer =
            browser.open(&server.authorize(&[("request", &object)])).await.err().unwrap_or_else(|| panic!("{what}"));
        assert_eq!(answer["error"], "invalid_request_object", "{what}");
        assert_eq!(answer["state"], "s t&a=te", "{what}: from outside, where the inside is not to be believed");
    }
    let both = server.authorize(&[("request", &with(json!({}))), ("request_uri", "https://app.example/r")]);
    assert_eq!(browser.open(&both).await.err().unwrap()["error"], "invalid_request");
    // A redirect URI that is not the client's is no address to answer to, wherever it stands.
    let page =
        browser.page(&server.authorize(&[("request", &with(json!({ "redirect_uri": "https://evil.example" })))])).await;
    assert_eq!(page.error(), "invalid_request");
    server
        .client("strict", json!({ "require_signed_request_object": true, "jwks": key.jwks(), "consent": "trusted" }))
        .await;
    let unsigned = server.authorize(&[("client_id", "strict")]);
    assert_eq!(browser.open(&unsigned).await.err().unwrap()["error"], "invalid_request");
    let inside = key.sign(&object(&server, &json!({ "iss": "strict", "client_id": "strict", "nonce": null })));
    let outside = server.authorize(&[("client_id", "strict"), ("request", &inside), ("scope", "openid email")]);
    let answer = browser.open(&outside).await.err().unwrap();
    let (_, tokens) = server
        .token_as(
            "strict",
            &[("grant_type", "authorization_code"), ("code", &answer["code"]), ("redirect_uri", CALLBACK)],
        )
        .await;
    assert_eq!(tokens["scope"], "openid", "nothing outside counts: {tokens}");
}

/// OpenID Connect Registration §2: registered addresses are compared as strings, the fragment with the rest.
#[tokio::test]
async fn a_reference_is_fetched_from_a_registered_address() {
    let there = Receiver::start().await;
    let uris = ["/r", "/r#one", "/slow", "/huge", "/moved", "/gone", "/html"].map(|path| there.at(path));
    let (server, key) = server(json!({ "request_uris": uris })).await;
    let browser = server.browser();
    browser.sign_in(&server.authorize(&[])).await;
    let signed = key.sign(&object(&server, &json!({})));
    there.answer("/r", Answer::body("application/oauth-authz-req+jwt", signed.clone()));
    for path in ["/r", "/r#one"] {
        let answer = browser.open(&server.authorize(&[("request_uri", &there.at(path))])).await.err().unwrap();
        assert_eq!(answer["state"], "inside", "{path}");
    }
    there.answer("/huge", Answer::endless());
    there.answer("/moved", Answer::status(302).header("location", there.at("/r")));
    there.answer("/html", Answer::body("text/html", "<html>"));
    for (path, error) in [
        ("/r#two", "invalid_request_uri"),
        ("/r?x=1", "invalid_request_uri"),
        ("/R", "invalid_request_uri"),
        ("/huge", "invalid_request_uri"),
        ("/moved", "invalid_request_uri"),
        ("/gone", "invalid_request_uri"),
        ("/html", "invalid_request_object"),
    ] {
        let answer = browser.open(&server.authorize(&[("request_uri", &there.at(path))])).await.err().unwrap();
        assert_eq!(answer["error"], error, "{path}");
    }
    assert_eq!(there.requests("/R").len(), 0, "what is not registered is not asked");
    for inside in ["http://169.254.169.254/latest", "file:///etc/passwd", "urn:ietf:params:oauth:request_uri:sgp_guess"]
    {
        let answer = browser.open(&server.authorize(&[("request_uri", inside)])).await.err().unwrap();
        assert_eq!(answer["error"], "invalid_request_uri", "{inside}");
    }
    let id = ClientId::parse("web").unwrap();
    assert!(server.app.provider.client(&id).await.unwrap().is_some());
}

/// What may be there in a moment is no fault of the request: the app is told to try again, and where no address is sent
/// outside, so is the browser.
#[tokio::test]
async fn a_reference_that_cannot_be_fetched_now_is_temporarily_unavailable() {
    let there = Receiver::start().await;
    let names = NameServer::start().await;
    let slow = there.at("/slow");
    let uris = [slow.as_str(), &there.at("/busy"), "http://127.0.0.1:9/r", "https://silent.test/r"];
    let server = Server::start_with(|config| names.used_by(config)).await;
    server.user("alice").await;
    server.client("web", json!({ "request_uris": uris, "consent": "trusted" })).await;
    there.answer("/slow", Answer::silence());
    there.answer("/busy", Answer::status(503));
    for uri in uris {
        let browser = server.browser();
        let told = browser.open(&server.authorize(&[("request_uri", uri)])).await.err().unwrap();
        assert_eq!(told["error"], "temporarily_unavailable", "{uri}");
        let page = browser.raw(&server.authorize(&[("request_uri", uri), ("redirect_uri", "")])).await;
        assert_eq!(page.status(), 503, "{uri}");
        assert!(page.headers().contains_key("retry-after"), "{uri}");
    }
}

/// OpenID Connect Core §6.1, RFC 9101 §6.1: encrypted to a key that we publish.
#[tokio::test]
async fn an_encrypted_object_is_opened_by_the_published_key() {
    use josekit::jwe::{ECDH_ES, JweHeader, RSA_OAEP_256, serialize_compact};
    let (server, key) = server(json!({})).await;
    let browser = server.browser();
    browser.sign_in(&server.authorize(&[])).await;
    let jwks: Value =
        reqwest::get(format!("{}/.well-known/jwks.json", server.url)).await.unwrap().json().await.unwrap();
    let signed = key.sign(&object(&server, &json!({})));
    for (kty, enc) in [("RSA", "A256GCM"), ("EC", "A128CBC-HS256")] {
        let published = jwks["keys"].as_array().unwrap().iter().find(|key| key["kty"] == kty && key["use"] == "enc");
        let jwk = josekit::jwk::Jwk::from_bytes(published.unwrap().to_string()).unwrap();
        let mut header = JweHeader::new();
        header.set_content_encryption(enc);
        header.set_content_type("JWT");
        let sealed = if kty == "RSA" {
            serialize_compact(signed.as_bytes(), &header, &RSA_OAEP_256.encrypter_from_jwk(&jwk).unwrap()).unwrap()
        } else {
            serialize_compact(signed.as_bytes(), &header, &ECDH_ES.encrypter_from_jwk(&jwk).unwrap()).unwrap()
        };
        let answer = browser.open(&server.authorize(&[("request", &sealed)])).await.err().unwrap();
        assert_eq!(answer["state"], "inside", "{kty}");
        let broken = sealed.replace('.', ".A");
        let answer = browser.open(&server.authorize(&[("request", &broken)])).await.err().unwrap();
        assert_eq!(answer["error"], "invalid_request_object", "{kty}");
    }
}
