//! The examples of APIs that verify our access tokens by themselves (RFC 9068 §4, RFC 6750 §3), in Python and in
//! JavaScript: what docs/inside-the-api.md tells is what is run here. [`failures`]: while the issuer fails.

mod failures;

use std::fs;
use std::path::Path;

use reqwest::Client as Http;
use serde_json::{Value, json};
use signet::config::Config;
use signet::domain::algorithms::SigningAlg;
use signet::domain::api::Api;
use signet::domain::signing_key::KeyAlg;
use signet::env::Env;
use signet::keys::jwt::{self, JwtType};
use signet::manage::{AuditContext, apis, keys};
use signet::server::follow_keys;

use crate::gate::{ORDERS, alices_token, nginx, put_api, webs_secret};
use crate::support::languages::{Language, Served};
use crate::support::program::within;
use crate::support::receiver::{Answer, Receiver};
use crate::support::{SECRET, Server, VERIFIER, signer};
use crate::token::claims;

const STOCK: &str = "https://stock.example.com";

/// Signet, and an API inside of which its tokens are verified.
struct Inside {
    server: Server,
    api: Served,
}

struct Reply {
    status: u16,
    challenge: String,
    retry_after: String,
    body: Value,
}

async fn signet_with(change: impl FnOnce(&mut Config)) -> Server {
    let server = Server::start_with(change).await;
    tokio::spawn(follow_keys(server.app.clone()));
    server.user("alice").await;
    server.client("web", json!({ "scope": "openid offline_access read write count", "consent": "trusted" })).await;
    for (identifier, scopes) in [(ORDERS, json!(["read", "write"])), (STOCK, json!(["count"]))] {
        let api = json!({ "identifier": identifier, "name": "An API", "scopes": scopes });
        let api: Api = serde_json::from_value(api).unwrap();
        apis::put(&server.app.manager(), &AuditContext::command_line(), api).await.unwrap();
    }
    server
}

impl Inside {
    async fn start(language: Language, cooldown: &str) -> Self {
        let asked_by_the_tests = json!("127.0.0.1");
        let server = signet_with(|config| config.trusted_proxies = serde_json::from_value(asked_by_the_tests).unwrap());
        Self::before(server.await, language, cooldown).await
    }

    async fn before(server: Server, language: Language, cooldown: &str) -> Self {
        let settings = [("ISSUER", server.url.as_str()), ("AUDIENCE", ORDERS), ("COOLDOWN", cooldown)];
        let api = language.serve(&settings).await;
        Self { server, api }
    }

    /// A token of the client's own.
    async fn token(&self, scope: &str) -> String {
        let (status, answer) = self.server.token(&[("grant_type", "client_credentials"), ("scope", scope)]).await;
        assert_eq!(status, 200, "{answer}");
        answer["access_token"].as_str().unwrap().to_owned()
    }

    async fn ask(&self, method: &str, path: &str, authorization: Option<&str>) -> Reply {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        let mut request = Http::new().request(method.clone(), format!("{}{path}", self.api.url));
        if method == "POST" {
            request = request.json(&json!({ "item": 7 }));
        }
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let header = |name| headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
        let (challenge, retry_after) = (header("www-authenticate"), header("retry-after"));
        Reply { status, challenge, retry_after, body: answer.json().await.unwrap_or_default() }
    }

    async fn with(&self, method: &str, token: &str) -> Reply {
        self.ask(method, "/orders", Some(&format!("Bearer {token}"))).await
    }

    async fn is_let_in(&self, token: &str) {
        let reply = self.with("GET", token).await;
        assert_eq!(reply.status, 200, "{}\n{}", reply.challenge, self.api.log());
    }

    async fn is_unknown(&self, token: &str, why: &str) {
        let reply = self.with("GET", token).await;
        assert_eq!(reply.status, 401, "{why}\n{}", self.api.log());
        assert_eq!(reply.challenge, format!("Bearer realm=\"{ORDERS}\", error=\"invalid_token\""), "{why}");
    }

    /// `signet key rotate --now`, and a token by the new key.
    async fn rotate(&self) -> String {
        let kid = |token: &str| signer::header(token)["kid"].clone();
        let old = kid(&self.token("read").await);
        keys::rotate(&self.server.app.manager(), &AuditContext::command_line(), KeyAlg::ES256, true).await.unwrap();
        within(5, || async { kid(&self.token("read").await) != old }).await;
        self.token("read").await
    }
}

#[tokio::test]
async fn who_has_a_token_for_the_api_is_let_in_as_far_as_its_scope_goes() {
    for language in Language::ALL {
        let inside = Inside::start(language, "30").await;
        let (reads, writes) = (inside.token("read").await, inside.token("read write").await);
        let reply = inside.with("GET", &reads).await;
        assert_eq!(
            (reply.status, reply.body),
            (200, json!({ "subject": "web", "client": "web" })),
            "{}",
            inside.api.log()
        );
        let hers = alices_token(&inside.server, "openid read").await;
        assert_eq!(claims(&hers)["aud"], ORDERS);
        let alice = inside.server.person("alice").await.id.to_string();
        assert_eq!(inside.with("GET", &hers).await.body["subject"], alice);
        assert_eq!(inside.with("POST", &writes).await.status, 201);
        let reply = inside.with("POST", &reads).await;
        let challenge = format!("Bearer realm=\"{ORDERS}\", error=\"insufficient_scope\", scope=\"write\"");
        assert_eq!((reply.status, reply.challenge), (403, challenge), "{language:?}");
        assert_eq!(inside.with("GET", &inside.token("write").await).await.status, 403, "a scope is no other");
        assert_eq!(inside.ask("GET", "/healthz", None).await.status, 200);
        // What the gate hands on says who it was that came by another way.
        put_api(&inside.server, json!({ "upstream_token": true })).await;
        let gate = nginx(&inside.server, "GET", "/orders/1", &[("authorization", &webs_secret())]).await;
        inside.is_let_in(gate.header("x-gate-token")).await;
        // Who sends nothing, or something else, is told what to send, and of no error (RFC 6750 §3.1).
        for nothing in [None, Some("Basic d2ViOng="), Some("")] {
            let reply = inside.ask("GET", "/orders", nothing).await;
            assert_eq!((reply.status, reply.challenge), (401, format!("Bearer realm=\"{ORDERS}\"")), "{nothing:?}");
        }
    }
}

#[tokio::test]
async fn whoever_has_no_token_of_the_issuer_for_the_api_is_refused() {
    for language in Language::ALL {
        let inside = Inside::start(language, "0").await;
        let good = inside.token("read").await;
        inside.is_let_in(&good).await;
        let (header, body) = (signer::header(&good), claims(&good));
        // ID tokens whose audience is the API, by the very key of access tokens: a client may have an API's identifier.
        let its = json!({
            "scope": "openid read", "id_token_signed_response_alg": "ES256", "consent": "trusted",
            "token_endpoint_auth_method": "client_secret_post",
        });
        inside.server.client(ORDERS, its).await;
        let asked = inside.server.authorize(&[("client_id", ORDERS), ("scope", "openid")]);
        let callback = inside.server.browser().sign_in(&asked).await;
        let code = [
            ("grant_type", "authorization_code"),
            ("code", &callback["code"]),
            ("redirect_uri", crate::support::CALLBACK),
            ("code_verifier", VERIFIER),
        ];
        let form: Vec<_> = code.into_iter().chain([("client_id", ORDERS), ("client_secret", SECRET)]).collect();
        let redeemed =
            Http::new().post(format!("{}/oauth2/token", inside.server.url)).form(&form).send().await.unwrap();
        let tokens: Value = redeemed.json().await.unwrap();
        let id_token = tokens["id_token"].as_str().unwrap_or_else(|| panic!("{tokens}"));
        assert_eq!((&claims(id_token)["aud"], &signer::header(id_token)["alg"]), (&json!(ORDERS), &json!("ES256")));
        let jwks = Http::new().get(format!("{}/.well-known/jwks.json", inside.server.url)).send().await.unwrap();
        let jwks = jwks.text().await.unwrap();
        let stranger = signer::ClientKey::new(header["kid"].as_str().unwrap(), "ES256");
        let unknown = signer::ClientKey::new("unknown", "ES256");
        let by_signet = |alg, typ, claims| jwt::sign(&inside.server.app.provider.keys, alg, typ, claims).unwrap();
        let with = |name: &str, value: &Value| {
            let mut claims = body.as_object().unwrap().clone();
            if value.is_null() {
                claims.remove(name)
            } else {
                claims.insert(name.to_owned(), value.clone())
            };
            Value::Object(claims)
        };
        let typed = json!({ "typ": "at+jwt" });
        let (head, rest) = good.split_once('.').unwrap();
        let (_, signature) = rest.split_once('.').unwrap();
        let none = json!({ "typ": "at+jwt", "alg": "none", "kid": header["kid"] });
        let payload = signer::unsigned(&json!({}), &with("scope", &json!("read write")));
        let payload = payload.split('.').nth(1).unwrap();
        inside.is_let_in(&by_signet(SigningAlg::ES256, JwtType::AccessToken, &body)).await;
        for (token, why) in [
            (inside.token("count").await, "for another API"),
            (id_token.to_owned(), "an ID token"),
            (signer::unsigned(&none, &body), "signed by nobody"),
            (signer::unsigned(&json!({ "typ": "at+jwt", "alg": "NoNe" }), &body), "signed by nobody"),
            (signer::mac(&jwks, &body), "a MAC under what is public"),
            (stranger.sign_with(&typed, &body), "signed by a stranger in the key's name"),
            (unknown.sign_with(&typed, &body), "signed by a stranger"),
            (format!("{head}.{payload}.{signature}"), "changed"),
            (format!("{good}x"), "longer"),
            (good.get(..good.len() - 4).unwrap().to_owned(), "shorter"),
            (good.replace('.', ""), "one part"),
            (by_signet(SigningAlg::ES256, JwtType::IdToken, &body), "of another type"),
            (by_signet(SigningAlg::ES256, JwtType::LogoutToken, &body), "of another type"),
            (
                by_signet(SigningAlg::RS256, JwtType::AccessToken, &body),
                "by an algorithm that is not for access tokens",
            ),
            (by_signet(SigningAlg::ES256, JwtType::AccessToken, &with("exp", &Value::Null)), "for ever"),
            (by_signet(SigningAlg::ES256, JwtType::AccessToken, &with("iss", &json!(STOCK))), "of another issuer"),
            (by_signet(SigningAlg::ES256, JwtType::AccessToken, &with("aud", &Value::Null)), "for nobody"),
            (
                by_signet(SigningAlg::ES256, JwtType::AccessToken, &with("cnf", &json!({ "x5t#S256": "x" }))),
                "bound to a certificate",
            ),
            ("x.y.z".to_owned(), "nonsense"),
            ("\u{e4}".to_owned(), "nonsense"),
        ] {
            inside.is_unknown(&token, why).await;
        }
        // Its time is over by everybody's clock.
        inside.server.advance(-86_400);
        let old = inside.token("read").await;
        inside.server.advance(86_400);
        assert!(claims(&old)["exp"].as_i64().unwrap() < body["iat"].as_i64().unwrap());
        inside.is_unknown(&old, "expired").await;
        inside.is_let_in(&good).await;
    }
}

#[tokio::test]
async fn keys_that_come_later_are_found_and_asked_for_now_and_then() {
    for language in Language::ALL {
        let inside = Inside::start(language, "0").await;
        let first = inside.token("read").await;
        inside.is_let_in(&first).await;
        // The second one was not in the JWKS when the API has seen it last.
        for _ in 0..2 {
            let token = inside.rotate().await;
            inside.is_let_in(&token).await;
        }
        inside.is_let_in(&first).await;
    }
}

/// Somebody else's provider may sign what Signet never would: a token without `typ`, which Authlib alone would take.
#[tokio::test]
async fn a_token_says_what_it_is_and_metadata_whose_they_are() {
    for language in Language::ALL {
        let (provider, key) = (Receiver::start().await, signer::ClientKey::new("k1", "ES256"));
        let mut jwk = key.public_jwk();
        (jwk["alg"], jwk["use"]) = (json!("ES256"), json!("sig"));
        provider.answer("/jwks", Answer::json(&json!({ "keys": [jwk] })));
        let metadata = |issuer: &str| Answer::json(&json!({ "issuer": issuer, "jwks_uri": provider.at("/jwks") }));
        let documents = vec![metadata("https://id.example.com"), metadata(&provider.url)];
        provider.answer_in_turn("/.well-known/openid-configuration", documents);
        let now = Env::system().now().seconds();
        let token = |header: Value| {
            let claims = json!({
                "iss": provider.url, "aud": ORDERS, "iat": now, "exp": now + 60, "jti": "1", "sub": "web",
                "client_id": "web", "scope": "read",
            });
            key.sign_with(&header, &claims)
        };
        let settings = [("ISSUER", provider.url.as_str()), ("AUDIENCE", ORDERS), ("COOLDOWN", "0")];
        let inside = Inside { server: Server::start().await, api: language.serve(&settings).await };
        let good = token(json!({ "typ": "at+jwt" }));
        assert_eq!(inside.with("GET", &good).await.status, 503, "the metadata are another's");
        inside.is_let_in(&good).await;
        inside.is_let_in(&token(json!({ "typ": "application/at+jwt" }))).await;
        inside.is_unknown(&token(json!({})), "of no type").await;
        inside.is_unknown(&token(json!({ "typ": "JWT" })), "of another type").await;
    }
}

/// What is documented is what is run.
#[test]
fn the_guide_shows_the_examples() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let guide = fs::read_to_string(root.join("docs/inside-the-api.md")).unwrap();
    for example in ["python/orders.py", "javascript/orders.mjs"] {
        let shown = fs::read_to_string(root.join("examples/apis").join(example)).unwrap();
        assert!(guide.contains(&format!("\n{shown}```\n")), "docs/inside-the-api.md shows {example} to the letter");
    }
    let shown = fs::read_to_string(root.join("guard/examples/orders.rs")).unwrap();
    let app = shown.split_once("fn app(").unwrap().1.split_once("\n}\n").unwrap().0;
    assert!(guide.contains(&format!("\nfn app({app}\n}}\n")), "and the routes of guard/examples/orders.rs");
}
