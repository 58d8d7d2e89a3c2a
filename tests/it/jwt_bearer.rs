//! The JWT bearer grant (RFC 7523 §2.1, §3): programs that somebody else vouches for. The issuer is the key ring of a
//! second server, whose key set a receiver publishes.

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use signet::domain::algorithms::SigningAlg;
use signet::domain::api::Api;
use signet::domain::secret::base64url;
use signet::keys::jwt::{self, JwtType};
use signet::manage::{AuditContext, apis};

use crate::support::Server;
use crate::support::receiver::{self, Answer, Receiver};
use crate::token::claims;

const GRANT: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const CI: &str = "https://ci.example.com";
const SUBJECT: &str = "repo:acme/shop:ref:refs/heads/main";

/// A server that knows a CI, and the CI.
struct Workload {
    server: Server,
    ci: Server,
    receiver: Receiver,
}

impl Workload {
    async fn start() -> Self {
        let (server, ci) = (Server::start_with(receiver::reachable).await, Server::with_own_keys().await);
        let receiver = Receiver::start().await;
        let this = Self { server, ci, receiver };
        this.publish(&this.ci);
        let api = json!({ "identifier": "https://deploy.example.com", "scopes": ["deploy"] });
        let api: Api = serde_json::from_value(api).unwrap();
        apis::put(&this.server.app.manager(), &AuditContext::command_line(), api).await.unwrap();
        this.client("job", json!({})).await;
        this
    }

    fn publish(&self, of: &Server) {
        let keys = serde_json::from_slice(of.app.provider.keys.current().jwks.as_ref()).unwrap();
        self.receiver.answer("/jwks", Answer::json(&keys));
    }

    /// A client without a secret, known by the CI's tokens about one branch; `changes` to how they are trusted.
    async fn client(&self, id: &str, changes: Value) {
        let mut trusted = json!({ "issuer": CI, "jwks_uri": self.receiver.at("/jwks"), "subject": SUBJECT });
        trusted.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let meta = json!({
            "redirect_uris": [],
            "grant_types": [GRANT],
            "token_endpoint_auth_method": "none",
            "scope": "deploy",
            "jwt_bearer": [trusted],
        });
        self.server.client(id, meta).await;
    }

    fn says(&self, changes: &Value) -> Value {
        let now = self.server.app.env().now().seconds();
        let mut claims = json!({
            "iss": CI, "sub": SUBJECT, "aud": self.server.url, "iat": now, "nbf": now, "exp": now + 300,
            "jti": self.server.app.env().uuid().to_string(), "repository": "acme/shop",
        });
        for (name, value) in changes.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        claims
    }

    /// What the CI hands a job, with changes to what it says; `null` takes a member out.
    fn assertion(&self, changes: &Value) -> String {
        jwt::sign(&self.ci.app.provider.keys, SigningAlg::ES256, JwtType::IdToken, &self.says(changes)).unwrap()
    }

    async fn ask(&self, client: &str, assertion: &str, more: &[(&str, &str)]) -> (u16, Value) {
        let form = [("grant_type", GRANT), ("client_id", client), ("assertion", assertion)];
        let request = reqwest::Client::new().post(format!("{}/oauth2/token", self.server.url));
        let response = request.form(&[&form[..], more].concat()).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    /// 200, or the error's code.
    async fn outcome(&self, client: &str, assertion: &str) -> String {
        let (status, answer) = self.ask(client, assertion, &[]).await;
        answer["error"].as_str().map_or_else(|| status.to_string(), ToOwned::to_owned)
    }
}

#[tokio::test]
async fn a_job_gets_a_token_by_what_its_ci_says_of_it() {
    let workload = Workload::start().await;
    for alg in SigningAlg::ASYMMETRIC {
        let keys = &workload.ci.app.provider.keys;
        let assertion = jwt::sign(keys, alg, JwtType::IdToken, &workload.says(&json!({}))).unwrap();
        let (status, tokens) = workload.ask("job", &assertion, &[]).await;
        assert_eq!(status, 200, "{alg}: {tokens}");
        let access = claims(tokens["access_token"].as_str().unwrap());
        assert_eq!((&access["sub"], &access["client_id"]), (&json!("job"), &json!("job")));
        assert_eq!((&access["scope"], &access["aud"]), (&json!("deploy"), &json!("https://deploy.example.com")));
        assert!(tokens["refresh_token"].is_null() && tokens["id_token"].is_null(), "{tokens}");
    }
    assert_eq!(workload.receiver.requests("/jwks").len(), 1, "the keys are kept");
    // RFC 7523 §3 item 3, and the audience of the CI's own choice.
    workload.client("named", json!({ "audience": "sts.example.com" })).await;
    for (client, aud, outcome) in [
        ("job", json!(format!("{}/oauth2/token", workload.server.url)), "200"),
        ("job", json!(["https://other.example", workload.server.url]), "200"),
        ("job", json!("sts.example.com"), "invalid_grant"),
        ("named", json!("sts.example.com"), "200"),
        ("named", json!("other.example.com"), "invalid_grant"),
    ] {
        let assertion = workload.assertion(&json!({ "aud": aud }));
        assert_eq!(workload.outcome(client, &assertion).await, outcome, "{client} {aud}");
    }
    // RFC 7521 §4.1: no longer than the assertion, give or take the clocks.
    let short = workload.assertion(&json!({ "exp": workload.server.app.env().now().seconds() + 60 }));
    let (_, tokens) = workload.ask("job", &short, &[("scope", "deploy")]).await;
    assert!((60..=70).contains(&tokens["expires_in"].as_i64().unwrap()), "{tokens}");
    let (_, refused) = workload.ask("job", &workload.assertion(&json!({})), &[("scope", "openid")]).await;
    assert_eq!(refused["error"], "invalid_scope");
}

/// RFC 7523 §3, item by item, and §3.1 with RFC 6749 §5.2: each gets its error.
#[tokio::test]
async fn what_does_not_fit_is_refused() {
    let workload = Workload::start().await;
    let now = workload.server.app.env().now().seconds();
    for (changes, good) in [
        (json!({ "iss": "https://ci.example.com/" }), false),
        (json!({ "iss": null }), false),
        (json!({ "sub": "repo:acme/shop:ref:refs/heads/other" }), false),
        (json!({ "sub": null }), false),
        (json!({ "sub": 1 }), false),
        (json!({ "aud": null }), false),
        (json!({ "aud": [] }), false),
        (json!({ "aud": format!("{}/", workload.server.url) }), false),
        (json!({ "exp": null }), false),
        (json!({ "exp": "soon" }), false),
        (json!({ "exp": now - 10 }), false),
        (json!({ "exp": now - 8 }), true),
        (json!({ "exp": now + 86_401 }), false),
        (json!({ "exp": 1e300 }), false),
        (json!({ "nbf": now + 11 }), false),
        (json!({ "nbf": now + 9 }), true),
        (json!({ "iat": now + 11 }), false),
        (json!({ "iat": null, "nbf": null }), true),
    ] {
        let outcome = workload.outcome("job", &workload.assertion(&changes)).await;
        assert_eq!(outcome, if good { "200" } else { "invalid_grant" }, "{changes}");
    }
    let good = workload.assertion(&json!({}));
    workload.server.client("web", json!({})).await;
    for (form, error) in [
        (vec![("client_id", "job")], "invalid_request"),
        (vec![("client_id", "job"), ("assertion", "")], "invalid_request"),
        (vec![("client_id", "job"), ("assertion", &good), ("assertion", &good)], "invalid_request"),
        (vec![("assertion", &good)], "invalid_client"),
        (vec![("client_id", "nobody"), ("assertion", &good)], "invalid_client"),
        (vec![("client_id", "web"), ("assertion", &good)], "invalid_client"),
    ] {
        let request = reqwest::Client::new().post(format!("{}/oauth2/token", workload.server.url));
        let request = request.form(&[&[("grant_type", GRANT)], form.as_slice()].concat());
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        assert_eq!(answer["error"], error, "{form:?}");
    }
    let (_, refused) = workload.server.token(&[("grant_type", GRANT), ("assertion", &good)]).await;
    assert_eq!(refused["error"], "unauthorized_client");
    assert_eq!(workload.outcome("job", &good).await, "200", "and none of that has used it up");
}

/// Claims with another `sub` at their end.
struct Twice(Value);

impl Serialize for Twice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in self.0.as_object().unwrap() {
            map.serialize_entry(name, value)?;
        }
        map.serialize_entry("sub", "repo:evil/shop")?;
        map.end()
    }
}

/// A subject with a final `*` stands for what begins so, and for nothing else.
#[tokio::test]
async fn a_subject_is_named_to_the_letter_or_by_its_beginning() {
    let workload = Workload::start().await;
    workload.client("any-branch", json!({ "subject": "repo:acme/shop:*" })).await;
    for (client, subject, good) in [
        ("job", SUBJECT, true),
        ("job", "repo:acme/shop:ref:refs/heads/main2", false),
        ("job", "Repo:acme/shop:ref:refs/heads/main", false),
        ("any-branch", "repo:acme/shop:pull_request", true),
        ("any-branch", "repo:acme/shop:", true),
        ("any-branch", "repo:acme/shop", false),
        ("any-branch", "repo:acme/shopper:pull_request", false),
        ("any-branch", "x repo:acme/shop:", false),
    ] {
        let outcome = workload.outcome(client, &workload.assertion(&json!({ "sub": subject }))).await;
        assert_eq!(outcome == "200", good, "{client} {subject}: {outcome}");
    }
}

/// RFC 8725 §3.1 and §3.10: no algorithm and no key of the assertion's own choice; and what is no JWT (T25).
#[tokio::test]
async fn a_forged_assertion_is_refused_in_bounded_time() {
    let workload = Workload::start().await;
    let stranger = Server::with_own_keys().await;
    let signed =
        |claims: &Value| jwt::sign(&stranger.app.provider.keys, SigningAlg::ES256, JwtType::IdToken, claims).unwrap();
    let (said, good) = (workload.says(&json!({})), workload.assertion(&json!({})));
    let parts: Vec<&str> = good.split('.').collect();
    let header = |text: &str| base64url(text.as_bytes());
    let kid = |extra: &str| {
        let head = signet::domain::secret::from_base64url(parts[0]).unwrap();
        let head: Value = serde_json::from_slice(&head).unwrap();
        header(&format!("{{\"alg\":\"ES256\",\"kid\":{}{extra}}}", head["kid"]))
    };
    let (_, payload, signature) = (parts[0], parts[1], parts[2]);
    let deep = format!("{{\"iss\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    for (what, assertion) in [
        ("another's key", signed(&said)),
        ("no signature", format!("{}.{payload}.", header(r#"{"alg":"none"}"#))),
        ("a MAC", format!("{}.{payload}.{signature}", header(r#"{"alg":"HS256"}"#))),
        ("a key of its own", format!("{}.{payload}.{signature}", kid(r#","jwk":{"kty":"EC"}"#))),
        ("a key from elsewhere", format!("{}.{payload}.{signature}", kid(r#","jku":"http://127.0.0.1/jwks""#))),
        ("a critical member", format!("{}.{payload}.{signature}", kid(r#","crit":["x"]"#))),
        (
            "other claims",
            format!("{}.{}.{signature}", parts[0], header(&workload.says(&json!({ "a": 1 })).to_string())),
        ),
        ("two parts", format!("{}.{payload}", parts[0])),
        ("no JWT", "x".to_owned()),
        ("dots", "..".to_owned()),
        ("deep claims", format!("{}.{}.{signature}", parts[0], header(&deep))),
        ("a long one", format!("{good}{}", "A".repeat(40_000))),
        ("an access token of ours", "sga_x".to_owned()),
    ] {
        assert_eq!(workload.outcome("job", &assertion).await, "invalid_grant", "{what}");
    }
    // Twice the same name: which one counts would be anybody's guess.
    let twice = jwt::sign(&workload.ci.app.provider.keys, SigningAlg::ES256, JwtType::IdToken, &Twice(said)).unwrap();
    assert_eq!(workload.outcome("job", &twice).await, "invalid_grant");
    assert_eq!(workload.outcome("job", &good).await, "200");
}

/// T27, CVE-2020-15222: one that was used is used, on every node, by its name or, without one, by all that it says; an
/// issuer whose tokens lie in a file may say that they come again.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_assertion_is_good_once() {
    let workload = Workload::start().await;
    for changes in [json!({}), json!({ "jti": null })] {
        let assertion = workload.assertion(&changes);
        let all = futures::future::join_all((0..20).map(|_| workload.outcome("job", &assertion))).await;
        assert_eq!(all.iter().filter(|outcome| *outcome == "200").count(), 1, "{all:?}");
        assert!(all.iter().all(|outcome| outcome == "200" || outcome == "invalid_grant"), "{all:?}");
    }
    let named = |sub| workload.assertion(&json!({ "jti": "same", "sub": sub }));
    assert_eq!(workload.outcome("job", &named(SUBJECT)).await, "200");
    assert_eq!(workload.outcome("job", &named(SUBJECT)).await, "invalid_grant", "the same name, signed again");
    workload.client("pod", json!({ "reusable": true })).await;
    let assertion = workload.assertion(&json!({}));
    for _ in 0..3 {
        assert_eq!(workload.outcome("pod", &assertion).await, "200");
    }
    workload.server.advance(311);
    assert_eq!(workload.outcome("pod", &assertion).await, "invalid_grant");
}

/// A new key of the issuer's is fetched when a token names it, at most once a minute; an issuer that cannot be reached
/// costs its own client an answer, and nobody else anything (T19).
#[tokio::test]
async fn the_issuers_keys_are_fetched_as_they_change() {
    let workload = Workload::start().await;
    assert_eq!(workload.outcome("job", &workload.assertion(&json!({}))).await, "200");
    let next = Server::with_own_keys().await;
    workload.publish(&next);
    let signed = |workload: &Workload| {
        let claims = workload.says(&json!({}));
        jwt::sign(&next.app.provider.keys, SigningAlg::ES256, JwtType::IdToken, &claims).unwrap()
    };
    assert_eq!(workload.outcome("job", &signed(&workload)).await, "200");
    assert_eq!(workload.receiver.requests("/jwks").len(), 2);
    let third = Server::with_own_keys().await;
    workload.publish(&third);
    let signed = |workload: &Workload| {
        let claims = workload.says(&json!({}));
        jwt::sign(&third.app.provider.keys, SigningAlg::ES256, JwtType::IdToken, &claims).unwrap()
    };
    assert_eq!(workload.outcome("job", &signed(&workload)).await, "invalid_grant", "within the minute");
    workload.server.advance(61);
    assert_eq!(workload.outcome("job", &signed(&workload)).await, "200");
    assert_eq!(workload.receiver.requests("/jwks").len(), 3);

    for (client, answer) in [
        ("gone", Answer::status(404)),
        ("moved", Answer::status(302).header("location", workload.receiver.at("/jwks"))),
        ("text", Answer::body("text/plain", "no keys")),
        ("endless", Answer::endless()),
    ] {
        let path = format!("/{client}");
        workload.receiver.answer(&path, answer);
        workload.client(client, json!({ "jwks_uri": workload.receiver.at(&path) })).await;
        assert_eq!(workload.outcome(client, &workload.assertion(&json!({}))).await, "invalid_grant", "{client}");
    }
    // Where nothing private may be reached, nothing is asked for.
    let closed = Workload { server: Server::start().await, ..workload };
    closed.client("job", json!({})).await;
    let before = closed.receiver.requests("/jwks").len();
    assert_eq!(closed.outcome("job", &closed.assertion(&json!({}))).await, "invalid_grant");
    assert_eq!(closed.receiver.requests("/jwks").len(), before);
}

/// A client that has a secret proves it as well: the assertion says where it runs, and not who it is to us.
#[tokio::test]
async fn a_client_with_a_secret_shows_both() {
    let workload = Workload::start().await;
    let trusted = json!([{ "issuer": CI, "jwks_uri": workload.receiver.at("/jwks"), "subject": SUBJECT }]);
    let meta = json!({ "redirect_uris": [], "grant_types": [GRANT], "scope": "deploy", "jwt_bearer": trusted });
    workload.server.client("kept", meta).await;
    assert_eq!(workload.outcome("kept", &workload.assertion(&json!({}))).await, "invalid_client");
    let assertion = workload.assertion(&json!({}));
    let form = [("grant_type", GRANT), ("assertion", assertion.as_str())];
    assert_eq!(workload.server.token_as("kept", &form).await.0, 200);
}
