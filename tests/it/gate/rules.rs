//! Who may do what (docs/gate.md): the first rule that fits decides, and without one nobody gets through.

use serde_json::json;
use signet::manage::{AuditContext, users};

use super::{alices_token, bearer, nginx, put_api, webs_secret, with_gate};
use crate::support::Server;

async fn staff(server: &Server, groups: &[&str]) {
    let id = server.person("alice").await.id;
    let groups: Vec<String> = groups.iter().map(ToString::to_string).collect();
    users::set_groups(&server.app.manager(), &AuditContext::command_line(), id, groups).await.unwrap();
}

#[tokio::test]
async fn each_rule_asks_for_what_it_says() {
    let server = with_gate(json!({})).await;
    staff(&server, &["staff", "night shift"]).await;
    let (_, both) = bearer(&alices_token(&server, "openid read write").await);
    let (_, reads) = bearer(&alices_token(&server, "read").await);
    let secret = webs_secret();
    for (method, path, credential, status, reason) in [
        ("GET", "/public/a", "", 200, ""),
        ("HEAD", "/public/a", "", 200, ""),
        ("POST", "/public/a", "", 401, "no_credential"),
        ("OPTIONS", "/public/a", "", 401, "no_credential"),
        ("GET", "/orders", &reads, 200, ""),
        ("GET", "/orders/1", "", 401, "no_credential"),
        ("GET", "/Orders/1", &reads, 403, "no_rule"),
        ("POST", "/orders/1", &reads, 403, "insufficient_scope"),
        ("POST", "/orders/1", &both, 200, ""),
        ("POST", "/orders/1", &secret, 403, "missing_group"),
        ("GET", "/orders/1", &secret, 200, ""),
        ("GET", "/me", &reads, 200, ""),
        ("GET", "/nowhere", "", 401, "no_credential"),
        ("GET", "/nowhere", &both, 403, "no_rule"),
        ("GET", "/nowhere", "Bearer nonsense", 401, "invalid_credential"),
    ] {
        let headers: Vec<_> = Some(("authorization", credential)).into_iter().filter(|it| !it.1.is_empty()).collect();
        let answer = nginx(&server, method, path, &headers).await;
        assert_eq!((answer.status, answer.reason()), (status, reason), "{method} {path} {credential}");
    }
    let answer = nginx(&server, "POST", "/orders/1", &[("authorization", &both)]).await;
    assert_eq!((answer.header("remote-user"), answer.header("remote-groups")), ("alice", "night shift,staff"));
    let refused = nginx(&server, "POST", "/orders/1", &[("authorization", &reads)]).await;
    let challenge = refused.header("www-authenticate");
    assert!(challenge.starts_with("Bearer ") && challenge.contains("error=\"insufficient_scope\""), "{challenge}");
    assert!(challenge.contains("scope=\"write\""), "{challenge}");
}

/// A rule is about the path that people read, however the caller has encoded it, and what it does not name is not its own.
#[tokio::test]
async fn a_rule_names_a_path_as_people_read_it() {
    let server = with_gate(json!({ "rules": [
        { "methods": ["GET"], "path": "/my files/**", "allow": "anonymous" },
        { "methods": ["GET"], "path": "/straße/*", "allow": "anonymous" },
        { "methods": ["GET"], "path": "/100%", "allow": "anonymous" },
        { "methods": ["GET"], "path": "/**", "scopes": ["read"] },
    ]}))
    .await;
    for (path, status) in [
        ("/my%20files", 200),
        ("/my%20files/a%20b/c", 200),
        ("/m%79%20files/a", 200),
        ("/stra%C3%9Fe/1", 200),
        ("/stra%c3%9fe/%C3%A9", 200),
        ("/100%25", 200),
        ("/my+files", 401),
        ("/my%2520files", 401),
        ("/myfiles", 401),
        ("/strasse/1", 401),
        ("/Stra%C3%9Fe/1", 401),
        ("/stra%C3%9Fe", 401),
        ("/100", 401),
        // Read in two ways, whatever a rule says.
        ("/my%20files/%2e%2e/a", 400),
        ("/my%20files;a", 400),
        ("/stra%C3/1", 400),
    ] {
        assert_eq!(nginx(&server, "GET", path, &[]).await.meant(), status, "{path}");
    }
}

/// A cached verdict would serve the group or the rule that was: none is.
#[tokio::test]
async fn a_change_is_obeyed_at_once() {
    let server = with_gate(json!({})).await;
    let (_, token) = bearer(&alices_token(&server, "read write").await);
    let other = server.node().await;
    let post = async |server: &Server| nginx(server, "POST", "/orders/1", &[("authorization", &token)]).await.status;
    assert_eq!((post(&server).await, post(&other).await), (403, 403));
    staff(&server, &["staff"]).await;
    other.app.store().authority().catch_up(other.app.store()).await.unwrap();
    assert_eq!((post(&server).await, post(&other).await), (200, 200));
    staff(&server, &[]).await;
    other.app.store().authority().catch_up(other.app.store()).await.unwrap();
    assert_eq!((post(&server).await, post(&other).await), (403, 403));
    put_api(&server, json!({ "rules": [{ "methods": ["POST"], "path": "/**", "scopes": ["write"] }] })).await;
    assert_eq!(post(&server).await, 200);
    put_api(&server, json!({ "gate": "others" })).await;
    assert_eq!(nginx(&server, "POST", "/orders/1", &[("authorization", &token)]).await.meant(), 404);
}

/// At a rule for anybody a bad credential is no reason to refuse, and says nothing about who it is.
#[tokio::test]
async fn anybody_is_let_in_whatever_they_bring() {
    let server = with_gate(json!({})).await;
    let (_, token) = bearer(&alices_token(&server, "read").await);
    for (credential, way, subject) in [("Bearer nonsense", "anonymous", false), (token.as_str(), "bearer", true)] {
        let answer = nginx(&server, "GET", "/public/a", &[("authorization", credential)]).await;
        assert_eq!((answer.status, answer.header("x-gate-way")), (200, way), "{credential}");
        assert_eq!(!answer.header("x-gate-subject").is_empty(), subject);
    }
}

/// RFC 9470 §3.
#[tokio::test]
async fn a_rule_may_ask_for_a_stronger_sign_in() {
    let rule = json!([{ "methods": ["GET"], "path": "/**", "acr": "phr" }]);
    let server = with_gate(json!({ "rules": rule })).await;
    let (_, token) = bearer(&alices_token(&server, "read").await);
    let answer = nginx(&server, "GET", "/a", &[("authorization", &token)]).await;
    assert_eq!((answer.status, answer.reason()), (401, "insufficient_authentication"));
    let challenge = answer.header("www-authenticate");
    assert!(challenge.contains("error=\"insufficient_user_authentication\""), "{challenge}");
    assert!(challenge.contains("acr_values=\"phr\""), "{challenge}");
    let weaker = json!([{ "methods": ["GET"], "path": "/**", "acr": "urn:signet:acr:password" }]);
    put_api(&server, json!({ "rules": weaker })).await;
    assert_eq!(nginx(&server, "GET", "/a", &[("authorization", &token)]).await.status, 200);
    // A client for itself has not signed in at all.
    let answer = nginx(&server, "GET", "/a", &[("authorization", &webs_secret())]).await;
    assert_eq!(answer.reason(), "insufficient_authentication");
}
