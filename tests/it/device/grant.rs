//! What devices get (RFC 8628 §3.1 to §3.5): each poll's answer, one redemption, and the policies of every other grant.

use futures::future::join_all;
use serde_json::{Value, json};
use signet::domain::api::Api;
use signet::domain::ids::ClientId;
use signet::manage::{AuditContext, apis, clients, consents, users};

use super::{GRANT, ask, decide, poll, post, question, refused, text, tv, with_tv};
use crate::support::{PASSWORD, SECRET, Server};
use crate::token::claims;

/// RFC 8628 §3.1 to §3.5, from the device's first request to its tokens.
#[tokio::test]
async fn a_device_gets_tokens_of_whoever_types_its_code() {
    let server = with_tv().await;
    let device = ask(&server, "openid email offline_access").await;
    let code = text(&device, "user_code").to_owned();
    assert!(code.len() == 9 && code.chars().nth(4) == Some('-'), "{code}");
    let address = format!("{}/device", server.url);
    assert_eq!(text(&device, "verification_uri"), address);
    assert_eq!(text(&device, "verification_uri_complete"), format!("{address}?user_code={code}"));
    assert_eq!((&device["expires_in"], &device["interval"]), (&json!(600), &json!(5)));
    assert_eq!(refused(&server, &device).await, "authorization_pending");

    let browser = server.browser();
    let page = browser.page(text(&device, "verification_uri_complete")).await;
    assert_eq!((page.name().as_str(), page.value("#user_code").as_str()), ("device", code.as_str()));
    let typed = code.replace('-', " ").to_lowercase();
    let login = browser.submit(&page, &[("user_code", &typed)]).await.ok().unwrap();
    assert_eq!(login.name(), "login");
    let question = browser.submit(&login, &[("username", "alice"), ("password", PASSWORD)]).await.ok().unwrap();
    assert_eq!(question.name(), "device");
    assert_eq!(question.text("#client-name"), "Kitchen Display");
    assert_eq!(question.text("#device-code"), code);
    assert!(question.text("#device-origin").starts_with("Linux at 127.0.0.1"), "{}", question.text("#device-origin"));
    for scope in ["openid", "email", "offline_access"] {
        assert!(question.has(&format!("[data-scope={scope}]")), "{scope}");
    }
    let done = browser.submit(&question, &[("decision", "allow")]).await.ok().unwrap();
    assert_eq!((done.name().as_str(), done.has("#device-allowed")), ("device", true));

    server.advance(1);
    let (status, tokens) = poll(&server, &device).await;
    assert_eq!(status, 200, "{tokens}");
    let id = claims(text(&tokens, "id_token"));
    assert_eq!((id["aud"].as_str(), id["amr"].clone()), (Some("tv"), json!(["pwd"])));
    let access = claims(text(&tokens, "access_token"));
    assert_eq!((&access["sub"], &access["sid"]), (&id["sub"], &id["sid"]));
    let form =
        [("grant_type", "refresh_token"), ("client_id", "tv"), ("refresh_token", text(&tokens, "refresh_token"))];
    assert_eq!(post(&server, "token", &form).await.0, 200);
    let alice = server.person("alice").await.id;
    let connected = consents::connected(server.app.store(), alice).await.unwrap();
    assert_eq!(connected.len(), 1);
    assert_eq!(connected[0].permissions.to_string(), "openid email offline_access");
    assert!(browser.page("/account/apps").await.html.contains("Kitchen Display"));
}

/// RFC 8628 §3.5 with RFC 6749 §5.2: every answer of the token endpoint to a device.
#[tokio::test]
async fn each_poll_gets_its_answer() {
    let server = with_tv().await;
    let device = ask(&server, "openid").await;
    assert_eq!(refused(&server, &device).await, "authorization_pending");
    server.advance(4);
    assert_eq!(refused(&server, &device).await, "slow_down");
    server.advance(9);
    assert_eq!(refused(&server, &device).await, "slow_down", "ten seconds by now");
    server.advance(15);
    assert_eq!(refused(&server, &device).await, "authorization_pending", "fifteen by now");
    server.advance(600);
    assert_eq!(refused(&server, &device).await, "expired_token");

    let denied = ask(&server, "openid").await;
    decide(&server, &denied, "deny").await;
    assert_eq!(refused(&server, &denied).await, "access_denied");
    let device = ask(&server, "openid").await;
    decide(&server, &device, "allow").await;
    server.advance(601);
    assert_eq!(refused(&server, &device).await, "expired_token", "allowed and never fetched");

    tv(
        &server,
        "other",
        json!({ "grant_types": ["authorization_code"], "redirect_uris": ["https://a.example/"], "scope": "openid" }),
    )
    .await;
    let code = text(&device, "device_code");
    for (form, error) in [
        (vec![("client_id", "tv")], "invalid_request"),
        (vec![("client_id", "tv"), ("device_code", "sgd_x")], "invalid_grant"),
        (vec![("client_id", "tv"), ("device_code", "sgc_x")], "invalid_grant"),
        (vec![("client_id", "other"), ("device_code", code)], "unauthorized_client"),
        (vec![("client_id", "nobody"), ("device_code", code)], "invalid_client"),
    ] {
        let (_, answer) = post(&server, "token", &[&[("grant_type", GRANT)], form.as_slice()].concat()).await;
        assert_eq!(answer["error"], error, "{form:?}");
    }
}

/// RFC 8628 §3.1 and RFC 6749 §5.2: what is refused before a person is troubled.
#[tokio::test]
async fn what_a_device_may_not_ask_for_is_refused_at_once() {
    let server = with_tv().await;
    tv(&server, "secretive", json!({ "token_endpoint_auth_method": "client_secret_basic" })).await;
    tv(
        &server,
        "web",
        json!({ "grant_types": ["authorization_code"], "redirect_uris": ["https://a.example/"], "scope": "openid" }),
    )
    .await;
    let api: Api = serde_json::from_value(json!({ "identifier": "https://a.example", "scopes": ["read"] })).unwrap();
    apis::put(&server.app.manager(), &AuditContext::command_line(), api).await.unwrap();
    for (form, status, error) in [
        (vec![("scope", "openid")], 401, "invalid_client"),
        (vec![("client_id", "nobody"), ("scope", "openid")], 401, "invalid_client"),
        (vec![("client_id", "secretive"), ("scope", "openid")], 401, "invalid_client"),
        (vec![("client_id", "web"), ("scope", "openid")], 400, "unauthorized_client"),
        (vec![("client_id", "tv")], 400, "invalid_scope"),
        (vec![("client_id", "tv"), ("scope", "unknown")], 400, "invalid_scope"),
        (vec![("client_id", "tv"), ("scope", "groups")], 400, "invalid_scope"),
        (vec![("client_id", "tv"), ("scope", "read")], 400, "invalid_scope"),
        (vec![("client_id", "tv"), ("scope", "openid"), ("resource", "https://a.example")], 400, "invalid_target"),
        (vec![("client_id", "tv"), ("scope", "openid"), ("resource", "https://b.example")], 400, "invalid_target"),
        (vec![("client_id", "tv"), ("scope", "openid"), ("scope", "email")], 400, "invalid_request"),
    ] {
        let (was, answer) = post(&server, "device_authorization", &form).await;
        assert_eq!((was, answer["error"].as_str()), (status, Some(error)), "{form:?}");
    }
    let request = reqwest::Client::new().post(format!("{}/oauth2/device_authorization", server.url));
    let request = request.basic_auth("secretive", Some(SECRET)).form(&[("scope", "openid")]);
    assert_eq!(request.send().await.unwrap().status(), 200);
}

/// Of polls that come at once, one is in time and each of the others makes the device wait longer (§3.5): exactly.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn polls_at_once_are_counted_one_by_one() {
    let server = with_tv().await;
    let device = ask(&server, "openid").await;
    let all = join_all((0..20).map(|_| refused(&server, &device))).await;
    assert_eq!(all.iter().filter(|error| *error == "authorization_pending").count(), 1, "{all:?}");
    assert_eq!(all.iter().filter(|error| *error == "slow_down").count(), 19, "{all:?}");
    server.advance(99);
    let (_, answer) = poll(&server, &device).await;
    assert_eq!(text(&answer, "error_description"), "Wait 105 seconds between two polls from now on.");
}

/// T4: of many redemptions at once one is good, and the ones after it end what it got (RFC 6749 §4.1.2 for codes).
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_device_code_is_redeemed_once() {
    let nodes = with_tv().await.nodes().await;
    let server = &nodes[0];
    let device = ask(server, "openid offline_access").await;
    decide(server, &device, "allow").await;
    let all = join_all((0..40).map(|at| poll(&nodes[at % nodes.len()], &device))).await;
    let good: Vec<_> = all.iter().filter(|(status, _)| *status == 200).collect();
    assert_eq!(good.len(), 1);
    assert!(all.iter().all(|(status, body)| *status == 200 || body["error"] == "invalid_grant"), "{all:?}");
    let token = text(&good[0].1, "refresh_token");
    let form = [("grant_type", "refresh_token"), ("client_id", "tv"), ("refresh_token", token)];
    assert_eq!(post(server, "token", &form).await.1["error"], "invalid_grant", "somebody had a copy");
}

/// Two browsers decide at once: the first answer holds.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_device_is_decided_once() {
    let server = with_tv().await;
    let device = ask(&server, "openid").await;
    let mut asked = Vec::new();
    for at in 0..4 {
        let browser = server.browser();
        browser.sign_in_as("alice").await;
        let page = question(&browser, &device).await;
        asked.push((browser, page, if at % 2 == 0 { "allow" } else { "deny" }));
    }
    let all = join_all(asked.iter().map(|(browser, page, decision)| async move {
        browser.submit(page, &[("decision", decision)]).await.ok().unwrap()
    }));
    let pages = all.await;
    let count = |hook: &str| pages.iter().filter(|page| page.has(hook)).count();
    let (allowed, denied) = (count("#device-allowed"), count("#device-denied"));
    assert_eq!(allowed + denied, 1);
    assert_eq!(poll(&server, &device).await.0 == 200, allowed == 1);
}

/// T6, CVE-2026-55672: another client's redemption gets nothing, and nobody else does either.
#[tokio::test]
async fn a_device_code_is_its_clients_alone() {
    let server = with_tv().await;
    tv(&server, "thief", json!({})).await;
    let steal = async |device: &Value| {
        let form = [("grant_type", GRANT), ("client_id", "thief"), ("device_code", text(device, "device_code"))];
        post(&server, "token", &form).await.1["error"].clone()
    };
    let pending = ask(&server, "openid").await;
    assert_eq!(steal(&pending).await, "invalid_grant");
    assert_eq!(refused(&server, &pending).await, "invalid_grant");
    let allowed = ask(&server, "openid").await;
    decide(&server, &allowed, "allow").await;
    assert_eq!(steal(&allowed).await, "invalid_grant");
    assert_eq!(refused(&server, &allowed).await, "invalid_grant");
    let redeemed = ask(&server, "openid offline_access").await;
    decide(&server, &redeemed, "allow").await;
    let (_, tokens) = poll(&server, &redeemed).await;
    assert_eq!(steal(&redeemed).await, "invalid_grant");
    let token = text(&tokens, "refresh_token");
    let form = [("grant_type", "refresh_token"), ("client_id", "tv"), ("refresh_token", token)];
    assert_eq!(post(&server, "token", &form).await.1["error"], "invalid_grant");
    // And what was stolen while it waited can be allowed by nobody.
    let browser = server.browser();
    browser.sign_in_as("alice").await;
    assert!(question(&browser, &pending).await.has("#user_code-error"));
}

/// T34, CVE-2024-38371 and CVE-2026-123542: whatever ends a sign-in by code ends one by device as well, and what a client
/// may not have it does not get this way.
#[tokio::test]
async fn every_policy_holds_for_devices() {
    let (server, by) = (with_tv().await, AuditContext::command_line());
    let (alice, manager) = (server.person("alice").await.id, server.app.manager());
    let client = ClientId::parse("tv").unwrap();
    for what in ["disabled", "signed out", "consent", "client"] {
        let device = ask(&server, "openid").await;
        decide(&server, &device, "allow").await;
        server.advance(1);
        match what {
            "disabled" => {
                users::disable(&manager, &by, alice).await.unwrap();
                users::enable(&manager, &by, alice).await.unwrap();
            }
            "signed out" => drop(users::end_sessions(&manager, &by, alice, None).await.unwrap()),
            "consent" => consents::revoke(&manager, &by, alice, client.clone()).await.unwrap(),
            _ => {
                clients::disable(&manager, &by, &client).await.unwrap();
                assert_eq!(poll(&server, &device).await.1["error"], "invalid_client");
                clients::enable(&manager, &by, &client).await.unwrap();
            }
        }
        assert_eq!(refused(&server, &device).await, "invalid_grant", "{what}");
    }
    // Nobody decides who is turned off, or for an app that is.
    let device = ask(&server, "openid").await;
    let browser = server.browser();
    browser.sign_in_as("alice").await;
    let page = question(&browser, &device).await;
    clients::disable(&manager, &by, &client).await.unwrap();
    assert!(browser.submit(&page, &[("decision", "allow")]).await.ok().unwrap().has("#user_code-error"));
    clients::enable(&manager, &by, &client).await.unwrap();
    users::disable(&manager, &by, alice).await.unwrap();
    let page = browser.submit(&page, &[("decision", "allow")]).await.ok().unwrap();
    assert_ne!(page.name(), "device");
    assert_eq!(refused(&server, &device).await, "authorization_pending");
    users::enable(&manager, &by, alice).await.unwrap();
    server.advance(1);

    // offline_access for a client that has no use for it is passed over, as at the authorization endpoint.
    tv(&server, "plain", json!({ "grant_types": [GRANT], "scope": "openid email" })).await;
    let form = [("client_id", "plain"), ("scope", "openid offline_access")];
    let (_, device) = post(&server, "device_authorization", &form).await;
    decide(&server, &device, "allow").await;
    let form = [("grant_type", GRANT), ("client_id", "plain"), ("device_code", text(&device, "device_code"))];
    let (_, tokens) = post(&server, "token", &form).await;
    assert!(tokens["refresh_token"].is_null() && tokens["id_token"].is_string(), "{tokens}");
}

/// A first-party app: the person still sees what asks (RFC 8628 §5.4), and nothing is written down for the app.
#[tokio::test]
async fn a_trusted_app_is_confirmed_and_not_remembered() {
    let server = Server::start().await;
    server.user("alice").await;
    tv(&server, "tv", json!({ "consent": "trusted" })).await;
    let device = ask(&server, "openid").await;
    decide(&server, &device, "allow").await;
    assert_eq!(poll(&server, &device).await.0, 200);
    let alice = server.person("alice").await.id;
    assert!(signet::store::consents::of_user(server.app.store().read(), alice).await.unwrap().is_empty());
}

/// RFC 8707 on the device's way: the API of a scope, and narrowing at the token endpoint.
#[tokio::test]
async fn a_devices_token_is_for_the_api_that_was_asked_for() {
    let server = Server::start().await;
    server.user("alice").await;
    for name in ["a", "b"] {
        let api = json!({ "identifier": format!("https://{name}.example"), "scopes": [format!("read:{name}")] });
        let api: Api = serde_json::from_value(api).unwrap();
        apis::put(&server.app.manager(), &AuditContext::command_line(), api).await.unwrap();
    }
    tv(&server, "tv", json!({ "scope": "read:a read:b" })).await;
    let (status, refused) =
        post(&server, "device_authorization", &[("client_id", "tv"), ("scope", "read:a read:b")]).await;
    assert_eq!((status, text(&refused, "error")), (400, "invalid_target"));
    let both = [("resource", "https://a.example"), ("resource", "https://b.example")];
    let asked = [&[("client_id", "tv"), ("scope", "read:a read:b")][..], &both].concat();
    let (_, device) = post(&server, "device_authorization", &asked).await;
    decide(&server, &device, "allow").await;
    let form = [("grant_type", GRANT), ("client_id", "tv"), ("device_code", text(&device, "device_code"))];
    let (_, tokens) = post(&server, "token", &[&form[..], &[("resource", "https://a.example")]].concat()).await;
    assert_eq!(claims(text(&tokens, "access_token"))["aud"], "https://a.example");
}

/// What nobody fetched is forgotten soon after it expired; what was redeemed is known for a day, so that a copy ends it.
#[tokio::test]
async fn old_codes_are_swept_and_used_ones_known_a_while_longer() {
    let server = with_tv().await;
    let (waiting, used) = (ask(&server, "openid").await, ask(&server, "openid offline_access").await);
    decide(&server, &used, "allow").await;
    let (_, tokens) = poll(&server, &used).await;
    server.advance(601);
    let events = 90 * 86_400;
    signet::store::sweep::once(server.app.store(), events).await.unwrap();
    assert_eq!(refused(&server, &waiting).await, "expired_token");
    server.advance(600);
    assert!(signet::store::sweep::once(server.app.store(), events).await.unwrap() >= 1);
    assert_eq!(refused(&server, &waiting).await, "invalid_grant", "forgotten");
    assert_eq!(refused(&server, &used).await, "invalid_grant");
    let form =
        [("grant_type", "refresh_token"), ("client_id", "tv"), ("refresh_token", text(&tokens, "refresh_token"))];
    assert_eq!(post(&server, "token", &form).await.1["error"], "invalid_grant", "a copy was shown");
}

/// Anybody knows the id of an app on a television: what it makes us keep is counted by address.
#[tokio::test]
async fn a_flood_of_devices_is_refused() {
    let server = with_tv().await;
    let ask = async || post(&server, "device_authorization", &[("client_id", "tv"), ("scope", "openid")]).await.0;
    for _ in 0..300 {
        assert_eq!(ask().await, 200);
    }
    assert_eq!(ask().await, 429);
    // A client that authenticates has a budget of its own.
    let grants = json!([GRANT]);
    server.client("box", json!({ "redirect_uris": [], "grant_types": grants, "scope": "openid" })).await;
    let request = reqwest::Client::new().post(format!("{}/oauth2/device_authorization", server.url));
    let request = request.basic_auth("box", Some(SECRET)).form(&[("scope", "openid")]);
    assert_eq!(request.send().await.unwrap().status(), 200);
    server.advance(900);
    assert_eq!(ask().await, 200);
}
