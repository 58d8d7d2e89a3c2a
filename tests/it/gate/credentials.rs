//! Tokens and secrets at the gate: each by its own rules, and what ends one ends it here (T3, T5).

use serde_json::{Value, json};
use signet::domain::secret::Secret;
use signet::manage::{AuditContext, clients, consents, users};

use super::{ORDERS, alices_token, ask, basic, bearer, nginx, put_api, webs_secret, with_gate};
use crate::budgets::Statements;
use crate::device;
use crate::support::{PASSWORD, SECRET, Server};
use crate::token::claims;

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";

async fn at_orders(server: &Server, credential: &str) -> (u16, String) {
    let answer = nginx(server, "GET", "/orders/1", &[("authorization", credential)]).await;
    (answer.status, answer.reason().to_owned())
}

#[tokio::test]
async fn a_token_says_who_and_for_whom() {
    let server = with_gate(json!({})).await;
    let token = alices_token(&server, "openid read").await;
    let answer = nginx(&server, "GET", "/orders/1", &[("authorization", &bearer(&token).1)]).await;
    let alice = server.person("alice").await;
    assert_eq!(answer.header("x-gate-subject"), alice.id.to_string());
    assert_eq!((answer.header("x-gate-client"), answer.header("x-gate-scope")), ("web", "read"));
    assert_eq!(answer.header("remote-user"), "alice");
    assert_eq!(answer.header("x-gate-token"), "", "not asked for");
    // A client for itself.
    let (_, own) = server.token(&[("grant_type", "client_credentials"), ("scope", "read")]).await;
    let answer =
        nginx(&server, "GET", "/orders/1", &[("authorization", &bearer(own["access_token"].as_str().unwrap()).1)])
            .await;
    assert_eq!((answer.status, answer.header("x-gate-subject"), answer.header("remote-user")), (200, "web", ""));
    // For another API or for our own endpoints it is worth nothing here.
    let elsewhere = alices_token(&server, "openid").await;
    assert_eq!(at_orders(&server, &bearer(&elsewhere).1).await, (401, "invalid_credential".into()));
}

/// Opaque tokens are as good, and the API gets something that it can verify.
#[tokio::test]
async fn opaque_tokens_become_verifiable_upstream() {
    let server = with_gate(json!({ "access_token_format": "opaque", "upstream_token": true })).await;
    let token = alices_token(&server, "openid read").await;
    assert!(token.starts_with("sga_"));
    let answer = nginx(&server, "GET", "/orders/1", &[("authorization", &bearer(&token).1)]).await;
    let upstream = answer.header("x-gate-token").to_owned();
    let told = claims(&upstream);
    let now = server.app.env().now().seconds();
    assert_eq!((&told["iss"], &told["aud"], &told["gate"]), (&json!(server.url), &json!(ORDERS), &json!("orders")));
    assert_eq!((&told["scope"], &told["client_id"], &told["exp"]), (&json!("read"), &json!("web"), &json!(now + 60)));
    // Good there and nowhere here: not at the gate, not at UserInfo, not to introspection.
    put_api(&server, json!({})).await;
    assert_eq!(at_orders(&server, &bearer(&upstream).1).await.0, 401);
    let userinfo = reqwest::Client::new().get(format!("{}/oauth2/userinfo", server.url)).bearer_auth(&upstream);
    assert_eq!(userinfo.send().await.unwrap().status(), 401);
    let introspection = reqwest::Client::new().post(format!("{}/oauth2/introspect", server.url));
    let introspection = introspection.basic_auth("web", Some(SECRET)).form(&[("token", upstream.as_str())]);
    assert_eq!(introspection.send().await.unwrap().json::<Value>().await.unwrap(), json!({ "active": false }));
}

/// T5: at once here, and on another node as soon as it has read of it.
#[tokio::test]
async fn what_ends_a_token_ends_it_at_the_gate() {
    for what in [
        "disable the person",
        "delete the person",
        "disable the client",
        "delete the client",
        "replace its secret",
        "change the password",
        "take the consent back",
        "sign out",
        "revoke",
        "expire",
        "retire the key",
    ] {
        let server = with_gate(json!({})).await;
        let other = server.node().await;
        let browser = server.browser();
        // A trusted app's access without a session is what there is to take back.
        let scope = if what == "take the consent back" { "openid read offline_access" } else { "openid read" };
        let callback = browser.sign_in(&server.authorize(&[("scope", scope)])).await;
        let (_, tokens) = server.redeem(&callback["code"]).await;
        let (_, token) = bearer(tokens["access_token"].as_str().unwrap());
        for node in [&server, &other] {
            assert_eq!(at_orders(node, &token).await.0, 200, "{what}");
        }
        let (manager, by, alice) =
            (server.app.manager(), AuditContext::command_line(), server.person("alice").await.id);
        let web = signet::domain::ids::ClientId::parse("web").unwrap();
        match what {
            "disable the person" => drop(users::disable(&manager, &by, alice).await.unwrap()),
            "delete the person" => users::delete(&manager, &by, alice).await.unwrap(),
            "disable the client" => drop(clients::disable(&manager, &by, &web).await.unwrap()),
            "delete the client" => clients::delete(&manager, &by, &web).await.unwrap(),
            "replace its secret" => drop(clients::rotate_secret(&manager, &by, &web, None).await.unwrap()),
            "change the password" => {
                let new = Secret::new("another correct horse battery".to_owned());
                drop(users::set_password(&manager, &by, alice, new, None).await.unwrap());
            }
            "take the consent back" => consents::revoke(&manager, &by, alice, web).await.unwrap(),
            "sign out" => {
                let page = browser.page("/oauth2/logout").await;
                browser.submit(&page, &[("decision", "allow")]).await.unwrap();
            }
            "revoke" => {
                let request = reqwest::Client::new().post(format!("{}/oauth2/revoke", server.url));
                let request = request
                    .basic_auth("web", Some(SECRET))
                    .form(&[("token", &tokens["access_token"].as_str().unwrap())]);
                assert_eq!(request.send().await.unwrap().status(), 200);
            }
            "expire" => server.advance(601),
            _ => {
                let keys = signet::manage::keys::list(&manager).await.unwrap();
                let kid = kid_of(&token);
                assert!(keys.iter().any(|key| key.kid == kid));
                signet::manage::keys::retire(&manager, &by, &kid).await.unwrap();
                for node in [&server, &other] {
                    node.app.provider.keys.reload(node.app.store()).await.unwrap();
                }
            }
        }
        other.app.store().authority().catch_up(other.app.store()).await.unwrap();
        for node in [&server, &other] {
            assert_eq!(at_orders(node, &token).await, (401, "invalid_credential".into()), "{what}");
        }
    }
}

fn kid_of(credential: &str) -> String {
    use base64::Engine as _;
    let header = credential.trim_start_matches("Bearer ").split('.').next().unwrap();
    let header = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(header).unwrap();
    serde_json::from_slice::<Value>(&header).unwrap()["kid"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn basic_is_a_clients_secret_and_never_a_persons_password() {
    let server = with_gate(json!({})).await;
    server.client("post", json!({ "token_endpoint_auth_method": "client_secret_post", "scope": "read" })).await;
    server.client("mac", json!({ "token_endpoint_auth_method": "client_secret_jwt", "scope": "read" })).await;
    server.client("spa", json!({ "token_endpoint_auth_method": "none", "scope": "openid read" })).await;
    let answer = nginx(&server, "GET", "/orders/1", &[("authorization", &webs_secret())]).await;
    assert_eq!((answer.status, answer.header("x-gate-way"), answer.header("x-gate-subject")), (200, "basic", "web"));
    assert_eq!((answer.header("x-gate-scope"), answer.header("remote-user")), ("read write", ""));
    assert_eq!(at_orders(&server, &basic("post", SECRET)).await.0, 200);
    for (user, password) in [
        ("web", "wrong"),
        ("web", ""),
        ("", SECRET),
        ("nobody", SECRET),
        ("we b", SECRET),
        ("mac", SECRET),
        ("spa", ""),
        ("alice", PASSWORD),
        // Form-encoding is the token endpoint's.
        ("w%65b", SECRET),
    ] {
        let refused = at_orders(&server, &basic(user, password)).await;
        assert_eq!(refused, (401, "invalid_credential".into()), "{user} {password}");
    }
    clients::disable(
        &server.app.manager(),
        &AuditContext::command_line(),
        &signet::domain::ids::ClientId::parse("web").unwrap(),
    )
    .await
    .unwrap();
    assert_eq!(at_orders(&server, &webs_secret()).await.0, 401);
}

/// Each way is switched on for each API; what is off is no credential, and is not named in the challenges.
#[tokio::test]
async fn what_an_api_does_not_take_is_no_credential() {
    let server = with_gate(json!({ "accepts": ["bearer"] })).await;
    assert_eq!(at_orders(&server, &webs_secret()).await, (401, "invalid_credential".into()));
    let answer = nginx(&server, "GET", "/orders/1", &[]).await;
    let challenge = answer.header("www-authenticate").to_owned();
    assert!(challenge.starts_with("Bearer realm=\"Orders\"") && !challenge.contains("Basic"), "{challenge}");
    assert!(!challenge.contains("error="), "nothing was sent: {challenge}");
    assert!(challenge.contains("/.well-known/oauth-protected-resource"), "{challenge}");
    let wrong = nginx(&server, "GET", "/orders/1", &[("authorization", "Bearer nonsense")]).await;
    assert!(wrong.header("www-authenticate").contains("error=\"invalid_token\""));
    put_api(&server, json!({ "accepts": ["basic", "api_key", "message_signature", "oauth1"] })).await;
    let challenge = nginx(&server, "GET", "/orders/1", &[]).await.header("www-authenticate").to_owned();
    for (scheme, there) in
        [("Basic ", true), ("ApiKey ", true), ("Signature ", true), ("OAuth ", true), ("Bearer ", false)]
    {
        assert_eq!(challenge.contains(scheme), there, "{scheme}: {challenge}");
    }
    let token = alices_token(&server, "read").await;
    assert_eq!(at_orders(&server, &bearer(&token).1).await.0, 401);
    for unknown in ["Negotiate abc", "DPoP abc", "Digest username=\"a\""] {
        assert_eq!(at_orders(&server, unknown).await, (401, "invalid_credential".into()), "{unknown}");
    }
}

/// T3: nothing else that we hand out is an access token.
#[tokio::test]
async fn no_other_secret_of_ours_is_a_token() {
    let server = with_gate(json!({})).await;
    let callback = server.browser().sign_in(&server.authorize(&[("scope", "openid read offline_access")])).await;
    let code = callback["code"].clone();
    assert_eq!(at_orders(&server, &bearer(&code).1).await.0, 401);
    let (_, tokens) = server.redeem(&code).await;
    for other in ["refresh_token", "id_token"] {
        assert_eq!(at_orders(&server, &bearer(tokens[other].as_str().unwrap()).1).await.0, 401, "{other}");
    }
    assert_eq!(at_orders(&server, &bearer(SECRET).1).await.0, 401);
}

#[tokio::test]
async fn two_credentials_and_unreadable_ones_are_refused() {
    let server = with_gate(json!({})).await;
    let (_, token) = bearer(&alices_token(&server, "read").await);
    for (headers, reason) in [
        (vec![("authorization", token.as_str()), ("x-api-key", "sgk_x")], "two_credentials"),
        (vec![("authorization", &token), ("authorization", &token)], "malformed_credential"),
        (vec![("authorization", "Bearer")], "malformed_credential"),
        (vec![("authorization", "Basic ???")], "malformed_credential"),
        (vec![("authorization", "")], "malformed_credential"),
        (vec![("signature", "a=:YQ==:")], "malformed_credential"),
    ] {
        let answer = nginx(&server, "GET", "/orders/1", &headers).await;
        assert_eq!((answer.status, answer.meant(), answer.reason()), (403, 400, reason), "{headers:?}");
        assert!(answer.header("www-authenticate").contains("error=\"invalid_request\""));
    }
}

/// Basic by a secret that is no more.
#[tokio::test]
async fn a_replaced_secret_is_void_at_once() {
    let server = with_gate(json!({})).await;
    let (manager, by) = (server.app.manager(), AuditContext::command_line());
    assert_eq!(at_orders(&server, &webs_secret()).await.0, 200);
    let web = signet::domain::ids::ClientId::parse("web").unwrap();
    let new = clients::rotate_secret(&manager, &by, &web, None).await.unwrap();
    assert_eq!(at_orders(&server, &webs_secret()).await, (401, "invalid_credential".into()));
    assert_eq!(at_orders(&server, &basic("web", new.expose())).await.0, 200);
}

/// A token that was seen before costs no statement; nor does a client's secret.
#[tokio::test]
async fn what_was_seen_before_costs_no_statement() {
    let server = with_gate(json!({})).await;
    let (statements, _guard) = Statements::record();
    let (_, token) = bearer(&alices_token(&server, "openid read").await);
    for credential in [token, webs_secret()] {
        at_orders(&server, &credential).await;
        statements.take();
        assert_eq!(at_orders(&server, &credential).await.0, 200);
        assert_eq!(statements.take(), (vec![], vec![]), "{credential}");
    }
    let answer = ask(&server, "nowhere", &[("x-original-method", "GET"), ("x-original-url", "https://a/")]).await;
    assert_eq!((answer.meant(), statements.take()), (404, (vec![], vec![])));
}

/// T34: a grant that passes the rules over. Whatever a token came by, a rule asks for its scope and for groups as they are
/// now.
#[tokio::test]
async fn the_rules_hold_whatever_grant_a_token_came_by() {
    let server = with_gate(json!({})).await;
    let services = json!([{ "client": "web", "impersonation": true, "delegation": true }]);
    let service = json!({ "grant_types": ["client_credentials", EXCHANGE], "scope": "openid read write",
                          "redirect_uris": [], "token_exchange": services });
    server.client("service", service).await;
    device::tv(&server, "tv", json!({ "scope": "openid read write", "consent": "trusted" })).await;
    let of_device = async |scope: &str| {
        let shown = device::ask(&server, scope).await;
        device::decide(&server, &shown, "allow").await;
        device::poll(&server, &shown).await.1["access_token"].as_str().unwrap().to_owned()
    };
    let of_refresh = async |scope: &str| {
        let callback =
            server.browser().sign_in(&server.authorize(&[("scope", &format!("{scope} offline_access"))])).await;
        let (_, tokens) = server.redeem(&callback["code"]).await;
        let form = [("grant_type", "refresh_token"), ("refresh_token", tokens["refresh_token"].as_str().unwrap())];
        server.token(&form).await.1["access_token"].as_str().unwrap().to_owned()
    };
    let of_exchange = async |scope: &str| {
        let token = alices_token(&server, scope).await;
        let form = [("grant_type", EXCHANGE), ("subject_token", &token), ("subject_token_type", ACCESS_TOKEN)];
        server.token_as("service", &form).await.1["access_token"].as_str().unwrap().to_owned()
    };
    let alice = server.person("alice").await.id;
    for (reads, writes) in [
        (alices_token(&server, "openid read").await, alices_token(&server, "openid read write").await),
        (of_device("openid read").await, of_device("openid read write").await),
        (of_refresh("openid read").await, of_refresh("openid read write").await),
        (of_exchange("openid read").await, of_exchange("openid read write").await),
    ] {
        let post = async |token: &str| {
            let answer = nginx(&server, "POST", "/orders/1", &[("authorization", &bearer(token).1)]).await;
            (answer.status, answer.reason().to_owned())
        };
        assert_eq!(at_orders(&server, &bearer(&reads).1).await.0, 200);
        assert_eq!(post(&reads).await, (403, "insufficient_scope".to_owned()));
        for (groups, expected) in [(json!([]), (403, "missing_group")), (json!(["staff"]), (200, ""))] {
            let names: Vec<String> = serde_json::from_value(groups.clone()).unwrap();
            users::set_groups(&server.app.manager(), &AuditContext::command_line(), alice, names).await.unwrap();
            assert_eq!(post(&writes).await, (expected.0, expected.1.to_owned()), "{groups}");
        }
    }
}
