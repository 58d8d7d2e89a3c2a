//! Mutual TLS at the protocol's own endpoints (RFC 8705): who a client is by its certificate, and what its tokens are bound
//! to. Next door: `gate::certificate`, the same before other people's APIs.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use signet::config::RegistrationMode;
use signet::domain::client_metadata::ClientMetadata;
use signet::domain::ids::ClientId;
use signet::manage::{AuditContext, clients};

use crate::support::authority::{Callers, Shown};
use crate::support::receiver::{self, Answer, Receiver};
use crate::support::{CALLBACK, Server, VERIFIER};

const HEADER: &str = "x-client-certificate";

async fn server() -> Server {
    let server = Server::start_with(|config| {
        receiver::reachable(config);
        config.trusted_proxies = serde_json::from_value(json!("127.0.0.1")).unwrap();
        config.client_certificate_header = Some(HEADER.to_owned().try_into().unwrap());
    })
    .await;
    server.user("alice").await;
    server
}

fn handed_on(certificate: &Shown) -> String {
    format!(":{}:", STANDARD.encode(&certificate.der))
}

fn jwks(certificate: &Shown) -> Value {
    json!({ "keys": [{ "kty": "EC", "crv": "P-256", "x": "x", "y": "y", "x5c": [STANDARD.encode(&certificate.der)] }] })
}

async fn post(server: &Server, path: &str, certificate: &str, form: &[(&str, &str)]) -> (u16, Value) {
    let request = reqwest::Client::new().post(format!("{}{path}", server.url)).form(form);
    let response = request.header(HEADER, certificate).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap_or_default())
}

fn redeem(code: &str) -> [(&str, &str); 5] {
    [
        ("grant_type", "authorization_code"),
        ("client_id", "web"),
        ("code", code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ]
}

async fn token(server: &Server, client: &str, certificate: &str) -> (u16, Value) {
    post(server, "/oauth2/token", certificate, &[("grant_type", "client_credentials"), ("client_id", client)]).await
}

#[tokio::test]
async fn a_certificate_proves_its_client_and_no_other() {
    let server = server().await;
    let callers = Callers::new("Callers");
    let (one, other) = (callers.sign("one", vec![]), Shown::self_signed("other"));
    let by_subject = json!({ "token_endpoint_auth_method": "tls_client_auth", "scope": "read",
        "tls_client_auth_subject_dn": "CN=one,O=Example" });
    server.client("one", by_subject).await;
    let own =
        json!({ "token_endpoint_auth_method": "self_signed_tls_client_auth", "scope": "read", "jwks": jwks(&other) });
    server.client("other", own).await;
    server.client("web", json!({ "scope": "read" })).await;
    let (one, other) = (handed_on(&one), handed_on(&other));
    assert_eq!((token(&server, "one", &one).await.0, token(&server, "other", &other).await.0), (200, 200));
    // By a subject that says the same, and another certificate: the names are what counts.
    assert_eq!(token(&server, "one", &handed_on(&callers.sign("One", vec![]))).await.0, 200);
    let renewed = handed_on(&Shown::self_signed("other"));
    let refused = token(&server, "one", &other).await;
    assert_eq!((refused.0, &refused.1["error"]), (401, &json!("invalid_client")));
    for (client, certificate) in [("other", &one), ("other", &renewed), ("web", &one), ("nobody", &one)] {
        assert_eq!(token(&server, client, certificate).await, refused, "one text for {client}");
    }
    assert_eq!(token(&server, "one", "").await, refused);
    // Each is held to its method: a secret beside the certificate is another one.
    let form = [("grant_type", "client_credentials"), ("client_id", "one"), ("client_secret", crate::support::SECRET)];
    assert_eq!(post(&server, "/oauth2/token", &one, &form).await, refused);
    assert_eq!(token(&server, "one", ":?:").await.1["error"], "invalid_request");
    // Elsewhere too.
    for path in ["/oauth2/introspect", "/oauth2/revoke"] {
        let form = [("client_id", "one"), ("token", "x")];
        assert_eq!(post(&server, path, &one, &form).await.0, 200, "{path}");
        assert_eq!(post(&server, path, &other, &form).await.0, 401, "{path}");
    }
}

/// What a certificate says of itself its owner chose: only an issuer's word names a client.
#[tokio::test]
async fn a_certificate_that_is_its_own_issuer_names_nobody() {
    let server = server().await;
    let by_subject = json!({ "token_endpoint_auth_method": "tls_client_auth", "scope": "read",
        "tls_client_auth_subject_dn": "CN=one,O=Example" });
    server.client("one", by_subject).await;
    assert_eq!(token(&server, "one", &handed_on(&Shown::self_signed("one"))).await.0, 401);
    assert_eq!(token(&server, "one", &handed_on(&Callers::new("Callers").sign("one", vec![]))).await.0, 200);
}

/// As with a secret: whoever had the old one may have used it.
#[tokio::test]
async fn what_was_got_by_a_certificate_ends_with_it() {
    let server = server().await;
    let (old, new) = (Shown::self_signed("robot"), Shown::self_signed("robot"));
    let meta = |jwks: Value| -> ClientMetadata {
        let meta = json!({ "redirect_uris": [CALLBACK], "scope": "read", "jwks": jwks,
            "grant_types": ["authorization_code", "client_credentials"],
            "token_endpoint_auth_method": "self_signed_tls_client_auth" });
        serde_json::from_value(meta).unwrap()
    };
    server.client("robot", serde_json::to_value(meta(jwks(&old))).unwrap()).await;
    let got = token(&server, "robot", &handed_on(&old)).await.1;
    let active = async |certificate: &Shown| {
        let form = [("client_id", "robot"), ("token", got["access_token"].as_str().unwrap())];
        post(&server, "/oauth2/introspect", &handed_on(certificate), &form).await.1["active"] == true
    };
    assert!(active(&old).await);
    let both = json!({ "keys": [jwks(&old)["keys"][0], jwks(&new)["keys"][0]] });
    let (manager, by, robot) = (server.app.manager(), AuditContext::command_line(), ClientId::parse("robot").unwrap());
    clients::update(&manager, &by, &robot, meta(both)).await.unwrap();
    assert!(active(&old).await && active(&new).await, "one more ends nothing");
    clients::update(&manager, &by, &robot, meta(jwks(&new))).await.unwrap();
    assert!(!active(&new).await);
}

/// RFC 8693: what is bound is traded only for what is bound, by whoever has the certificate of the actor's token.
#[tokio::test]
async fn an_exchange_is_no_way_out_of_a_binding() {
    const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
    const ACCESS: &str = "urn:ietf:params:oauth:token-type:access_token";
    let server = server().await;
    let callers = Callers::new("Callers");
    let bound = |id: &str, bound: bool| {
        json!({ "token_endpoint_auth_method": "tls_client_auth", "scope": "openid read", "redirect_uris": [CALLBACK],
            "grant_types": ["authorization_code", "client_credentials", GRANT],
            "tls_client_auth_subject_dn": format!("CN={id},O=Example"),
            "tls_client_certificate_bound_access_tokens": bound,
            "token_exchange": [{ "client": "web", "impersonation": true, "delegation": true }] })
    };
    for (id, is_bound) in [("web", true), ("bound", true), ("free", false)] {
        server.client(id, bound(id, is_bound)).await;
    }
    let certificate = |id: &str| handed_on(&callers.sign(id, vec![]));
    let web = certificate("web");
    let code = server.code("openid").await;
    let redeem = redeem(&code);
    let tokens = post(&server, "/oauth2/token", &web, &redeem).await.1;
    let subject = tokens["access_token"].as_str().unwrap();
    let trade = async |id: &str, shown: &str, actor: Option<&str>| {
        let mut form = vec![("grant_type", GRANT), ("client_id", id), ("subject_token", subject)];
        form.push(("subject_token_type", ACCESS));
        form.extend(actor.into_iter().flat_map(|actor| [("actor_token", actor), ("actor_token_type", ACCESS)]));
        post(&server, "/oauth2/token", shown, &form).await
    };
    let (status, refused) = trade("free", &certificate("free"), None).await;
    assert_eq!((status, &refused["error"]), (400, &json!("invalid_request")), "{refused}");
    let own = certificate("bound");
    let (status, traded) = trade("bound", &own, None).await;
    assert_eq!(status, 200, "{traded}");
    assert!(crate::token::claims(traded["access_token"].as_str().unwrap())["cnf"]["x5t#S256"].is_string());
    let form = [("grant_type", "client_credentials"), ("client_id", "bound"), ("scope", "read")];
    let actor = post(&server, "/oauth2/token", &own, &form).await.1;
    let actor = actor["access_token"].as_str();
    assert_eq!(trade("bound", &own, actor).await.0, 200);
    assert_eq!(
        trade("bound", &certificate("bound"), actor).await.0,
        400,
        "another certificate than the actor's token has"
    );
}

/// §2.2.2: at a `jwks_uri` too, where a new certificate is found.
#[tokio::test]
async fn a_certificate_that_a_client_publishes_is_its_own() {
    let server = server().await;
    let there = Receiver::start().await;
    let (old, new) = (Shown::self_signed("robot"), Shown::self_signed("robot"));
    there.answer("/keys", Answer::json(&jwks(&old)));
    let meta = json!({ "token_endpoint_auth_method": "self_signed_tls_client_auth", "scope": "read",
        "jwks_uri": there.at("/keys") });
    server.client("robot", meta).await;
    assert_eq!(token(&server, "robot", &handed_on(&old)).await.0, 200);
    assert_eq!(token(&server, "robot", &handed_on(&Shown::self_signed("robot"))).await.0, 401);
    there.answer("/keys", Answer::json(&jwks(&new)));
    server.advance(61);
    assert_eq!(token(&server, "robot", &handed_on(&new)).await.0, 200);
}

/// §3, §4: a public client has shown nothing but its certificate, so its refresh token is bound to that as well.
#[tokio::test]
async fn a_public_clients_tokens_are_bound_to_the_certificate_it_came_with() {
    let server = server().await;
    let bound = json!({ "token_endpoint_auth_method": "none", "scope": "openid offline_access",
        "tls_client_certificate_bound_access_tokens": true });
    server.client("web", bound).await;
    let (own, foreign) = (handed_on(&Shown::self_signed("app")), handed_on(&Shown::self_signed("thief")));
    let code = server.code("openid offline_access").await;
    let redeem = redeem(&code);
    let (status, problem) = post(&server, "/oauth2/token", "", &redeem).await;
    assert_eq!((status, &problem["error"]), (400, &json!("invalid_request")), "and the code is not used up");
    let (status, tokens) = post(&server, "/oauth2/token", &own, &redeem).await;
    assert_eq!(status, 200, "{tokens}");
    let refresh = async |certificate: &str, tokens: &Value| {
        let token = tokens["refresh_token"].as_str().unwrap().to_owned();
        let form = [("grant_type", "refresh_token"), ("client_id", "web"), ("refresh_token", &token)];
        post(&server, "/oauth2/token", certificate, &form).await
    };
    let userinfo = async |certificate: &str, tokens: &Value| {
        let request = reqwest::Client::new().get(format!("{}/oauth2/userinfo", server.url));
        let request = request.bearer_auth(tokens["access_token"].as_str().unwrap()).header(HEADER, certificate);
        let response = request.send().await.unwrap();
        let challenge = response.headers().get("www-authenticate").map(|it| it.to_str().unwrap().to_owned());
        (response.status().as_u16(), challenge.unwrap_or_default().contains("invalid_token"))
    };
    assert_eq!(userinfo(&own, &tokens).await, (200, false));
    assert_eq!((userinfo("", &tokens).await, userinfo(&foreign, &tokens).await), ((401, true), (401, true)));
    let (status, problem) = refresh(&foreign, &tokens).await;
    assert_eq!((status, &problem["error"]), (400, &json!("invalid_grant")));
    let (status, next) = refresh(&own, &tokens).await;
    assert_eq!(status, 200, "whoever only copied the token ended nothing: {next}");
    assert_eq!((userinfo(&own, &next).await.0, userinfo(&foreign, &next).await.0), (200, 401));
}

/// A confidential client shows who it is anew, so a renewed certificate does not end what it was given.
#[tokio::test]
async fn a_confidential_clients_new_certificate_is_what_its_next_token_is_bound_to() {
    let server = server().await;
    let bound = json!({ "token_endpoint_auth_method": "tls_client_auth", "scope": "openid offline_access",
        "tls_client_auth_subject_dn": "CN=web,O=Example", "tls_client_certificate_bound_access_tokens": true });
    server.client("web", bound).await;
    let callers = Callers::new("Callers");
    let (old, new) = (handed_on(&callers.sign("web", vec![])), handed_on(&callers.sign("web", vec![])));
    let code = server.code("openid offline_access").await;
    let redeem = redeem(&code);
    let (_, tokens) = post(&server, "/oauth2/token", &old, &redeem).await;
    let form = [
        ("grant_type", "refresh_token"),
        ("client_id", "web"),
        ("refresh_token", tokens["refresh_token"].as_str().unwrap()),
    ];
    let (status, next) = post(&server, "/oauth2/token", &new, &form).await;
    assert_eq!(status, 200, "{next}");
    let bound_to =
        |tokens: &Value| crate::token::claims(tokens["access_token"].as_str().unwrap())["cnf"]["x5t#S256"].clone();
    assert!(bound_to(&tokens).is_string() && bound_to(&next).is_string() && bound_to(&tokens) != bound_to(&next));
}

#[tokio::test]
async fn it_is_offered_where_certificates_can_come() {
    let told = async |server: &Server| {
        let address = format!("{}/.well-known/openid-configuration", server.url);
        let document: Value = reqwest::get(address).await.unwrap().json().await.unwrap();
        let methods = document["token_endpoint_auth_methods_supported"].as_array().unwrap().clone();
        let by_certificate = ["tls_client_auth", "self_signed_tls_client_auth"].map(|it| methods.contains(&json!(it)));
        (document["tls_client_certificate_bound_access_tokens"].clone(), by_certificate)
    };
    assert_eq!(told(&server().await).await, (json!(true), [true, true]));
    let without = Server::start_with(|config| config.registration = RegistrationMode::Open).await;
    assert_eq!(told(&without).await, (Value::Null, [false, false]));
    let by = json!({ "token_endpoint_auth_method": "tls_client_auth", "tls_client_auth_san_ip": "::1" });
    for mut asks in [by, json!({ "tls_client_certificate_bound_access_tokens": true })] {
        asks["redirect_uris"] = json!(["https://app.example/cb"]);
        let request = reqwest::Client::new().post(format!("{}/oauth2/register", without.url)).json(&asks);
        let answer: Value = request.send().await.unwrap().json().await.unwrap();
        assert_eq!(answer["token_endpoint_auth_method"], "client_secret_basic", "{answer}");
        assert_ne!(answer["tls_client_certificate_bound_access_tokens"], true, "{answer}");
    }
}

/// Nobody is named by a header that anybody could send, nor is one believed that is no trusted proxy.
#[tokio::test]
async fn the_header_of_a_stranger_is_nothing() {
    let server = Server::start_with(|config| {
        config.trusted_proxies = serde_json::from_value(json!("192.0.2.1")).unwrap();
        config.client_certificate_header = Some(HEADER.to_owned().try_into().unwrap());
    })
    .await;
    let one = Callers::new("Callers").sign("one", vec![]);
    let by_subject = json!({ "token_endpoint_auth_method": "tls_client_auth", "scope": "read",
        "tls_client_auth_subject_dn": "CN=one,O=Example" });
    server.client("one", by_subject).await;
    assert_eq!(token(&server, "one", &handed_on(&one)).await.0, 401);
    assert_eq!(token(&server, "one", ":?:").await.0, 401, "it is not even read");
}

/// An ID token is bound to nothing, and gets nobody around what its client's access tokens are bound to.
#[tokio::test]
async fn an_id_token_of_a_bound_client_is_traded_only_for_a_bound_token() {
    let server = server().await;
    let grant = "urn:ietf:params:oauth:grant-type:token-exchange";
    let (own, other) = (Shown::self_signed("web"), Shown::self_signed("bound"));
    let method = "self_signed_tls_client_auth";
    let meta = json!({ "token_endpoint_auth_method": method, "jwks": jwks(&own), "scope": "openid email",
                       "consent": "trusted", "tls_client_certificate_bound_access_tokens": true });
    server.client("web", meta).await;
    let service = |more: Value| {
        let mut meta = json!({ "redirect_uris": [], "grant_types": ["client_credentials", grant],
                               "scope": "openid email", "token_endpoint_auth_method": method, "jwks": jwks(&other),
                               "token_exchange": [{ "client": "web", "impersonation": true }] });
        meta.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        meta
    };
    server.client("unbound", service(json!({}))).await;
    server.client("bound", service(json!({ "tls_client_certificate_bound_access_tokens": true }))).await;
    let code = server.browser().sign_in(&server.authorize(&[("scope", "openid email")])).await["code"].clone();
    let (status, tokens) = post(&server, "/oauth2/token", &handed_on(&own), &redeem(&code)).await;
    assert_eq!(status, 200, "{tokens}");
    for (client, status) in [("unbound", 400), ("bound", 200)] {
        for (token, kind) in [("id_token", "id_token"), ("access_token", "access_token")] {
            let kind = format!("urn:ietf:params:oauth:token-type:{kind}");
            let form = [
                ("grant_type", grant),
                ("client_id", client),
                ("subject_token", tokens[token].as_str().unwrap()),
                ("subject_token_type", &kind),
            ];
            let answer = post(&server, "/oauth2/token", &handed_on(&other), &form).await;
            assert_eq!(answer.0, status, "{client} {token}: {}", answer.1);
            let bound = answer.1["access_token"].as_str().map(crate::token::claims).map(|claims| claims["cnf"].clone());
            assert!(status == 400 || bound.is_some_and(|cnf| !cnf.is_null()), "{client} {token}");
        }
    }
}
