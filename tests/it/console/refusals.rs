//! Every refused request is found by its id, with what only administrators are told: the client, the address and the cause.

use reqwest::{Client as Http, Response};
use serde_json::json;
use signet::store::rejected_requests as stored;

use super::with_admin;
use crate::support::{Browser, CALLBACK, SECRET, Server, VERIFIER};

/// Asks the token endpoint.
async fn token(server: &Server, credentials: Option<(&str, &str)>, form: &[(&str, &str)]) -> Response {
    let request = Http::new().post(format!("{}/oauth2/token", server.url)).form(form);
    let request = match credentials {
        Some((client, secret)) => request.basic_auth(client, Some(secret)),
        None => request,
    };
    request.send().await.unwrap()
}

fn id(response: &Response) -> String {
    response.headers()["x-request-id"].to_str().unwrap().to_owned()
}

/// What the console says about that request.
async fn found(admin: &Browser, id: &str) -> String {
    let page = admin.page(&format!("/admin/refusals?id={id}")).await;
    assert!(page.has("#refusal"), "{}", page.html);
    page.text("main")
}

#[tokio::test]
async fn each_refused_request_is_found_by_its_id() {
    let (server, admin) = with_admin().await;
    let name =
        json!({ "client_name": "Web", "grant_types": ["authorization_code", "client_credentials", "refresh_token"] });
    server.client("web", name).await;
    server.client("app", json!({ "token_endpoint_auth_method": "none" })).await;
    let code = |code: &str| {
        let form = [("grant_type", "authorization_code"), ("redirect_uri", CALLBACK), ("code_verifier", VERIFIER)];
        form.into_iter()
            .map(|(name, value)| (name, value.to_owned()))
            .chain([("code", code.to_owned())])
            .collect::<Vec<_>>()
    };
    let authorize = async |change: &[(&str, &str)]| {
        let path = server.authorize(change);
        id(&admin.raw(&path).await)
    };
    let spent = server.code("openid").await;
    assert_eq!(server.redeem(&spent).await.0, 200);
    let spent: Vec<(&str, String)> = code(&spent);
    let spent: Vec<(&str, &str)> = spent.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let own = Some(("web", SECRET));
    let grant = [("grant_type", "client_credentials")];
    let wrong = "x".repeat(32);
    let in_body = [("grant_type", "client_credentials"), ("client_id", "web"), ("client_secret", SECRET)];
    for (what, id, app, says) in [
        ("redirect URI", authorize(&[("redirect_uri", &format!("{CALLBACK}/"))]).await, "Web", "ends with a slash"),
        ("client", authorize(&[("client_id", "nobody")]).await, "nobody", "invalid_client"),
        ("scope", id(&token(&server, own, &[grant[0], ("scope", "orders")]).await), "Web", "invalid_scope"),
        ("secret", id(&token(&server, Some(("web", &wrong)), &grant).await), "Web", "wrong secret"),
        ("code", id(&token(&server, own, &spent).await), "Web", "invalid_grant"),
        ("PKCE", authorize(&[("client_id", "app"), ("code_challenge", "")]).await, "Web", "code_challenge"),
        ("two secrets", id(&token(&server, own, &in_body).await), "Web", "two ways"),
        ("grant", id(&token(&server, own, &[("grant_type", "password")]).await), "Web", "unsupported_grant_type"),
        ("resource", authorize(&[("resource", "https://nowhere.example")]).await, "Web", "invalid_target"),
    ] {
        let page = found(&admin, &id).await;
        for text in [app, says, "127.0.0.1"] {
            assert!(page.contains(text), "{what}: no {text} in {page}");
        }
        let events = admin.page(&format!("/admin/events?q={id}")).await;
        assert!(events.has(&format!(".notice a[href='/admin/refusals?id={id}']")), "{what}");
    }
    let latest = admin.page("/admin/refusals").await;
    assert_eq!(latest.count("tbody a[href^='/admin/refusals?id=']"), 9);
}

/// Logout, introspection, revocation, UserInfo and registration.
#[tokio::test]
async fn other_endpoints_refusals_are_found_too() {
    let (server, admin) = with_admin().await;
    server.client("web", json!({})).await;
    let post = async |path: &str, form: &[(&str, &str)]| {
        let request = Http::new().post(format!("{}{path}", server.url)).basic_auth("web", Some("x".repeat(32)));
        id(&request.form(form).send().await.unwrap())
    };
    let userinfo = Http::new().get(format!("{}/oauth2/userinfo", server.url)).bearer_auth("nothing");
    for id in [
        post("/oauth2/introspect", &[("token", "x")]).await,
        post("/oauth2/revoke", &[("token", "x")]).await,
        post("/oauth2/par", &[("response_type", "code")]).await,
        post("/oauth2/device_authorization", &[]).await,
        post("/oauth2/register", &[]).await,
        id(&userinfo.send().await.unwrap()),
        id(&admin.raw("/login/nonsense").await),
    ] {
        assert!(found(&admin, &id).await.contains("127.0.0.1"));
    }
}

/// The record names the client however the request does: in a form, by the hint of a sign-out, by its address.
#[tokio::test]
async fn refusals_name_the_client_of_the_request() {
    let (server, admin) = with_admin().await;
    server.client("web", json!({ "client_name": "Lantern" })).await;
    let browser = server.browser();
    let callback = browser.sign_in(&server.authorize(&[])).await;
    let tokens = server.redeem(&callback["code"]).await.1;
    let hint = tokens["id_token"].as_str().unwrap();
    let sign_out = format!("/oauth2/logout?id_token_hint={hint}&post_logout_redirect_uri=https://evil.example/");
    let form = [("client_id", "web"), ("redirect_uri", "https://evil.example/"), ("response_type", "code")];
    let form: Vec<(String, String)> = form.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let asked = browser.raw_post("/oauth2/authorize", &form).await;
    for (what, id) in [("authorization", id(&asked)), ("sign-out", id(&server.browser().raw(&sign_out).await))] {
        assert!(found(&admin, &id).await.contains("Lantern"), "{what}");
    }
}

/// Of too many refusals of one address the oldest are dropped: the newest request id is the one that a user reports.
#[tokio::test]
async fn newest_refusal_of_a_flood_is_found_by_its_id() {
    let (server, admin) = with_admin().await;
    let mut ids = Vec::new();
    for _ in 0..130 {
        ids.push(id(&server.browser().raw(&server.authorize(&[("client_id", "nobody")])).await));
    }
    assert!(found(&admin, ids.last().unwrap()).await.contains("nobody"));
    let kept = stored::latest(server.app.store().read(), 1000).await.unwrap();
    let is_kept = |id: &String| kept.iter().any(|refusal| refusal.request_id == *id);
    assert!(kept.len() == 100 && ids[30..].iter().all(is_kept) && !ids[..30].iter().any(is_kept));
}

/// That nobody is signed in is no fault, and one address does not push out what others were refused.
#[tokio::test]
async fn a_flood_of_refusals_leaves_room_for_others() {
    let (server, admin) = with_admin().await;
    server.client("web", json!({})).await;
    let silent = server.browser().raw(&server.authorize(&[("prompt", "none")])).await;
    let page = admin.page(&format!("/admin/refusals?id={}", id(&silent))).await;
    assert!(!page.has("#refusal"), "{}", page.html);
    for _ in 0..150 {
        server.browser().raw(&server.authorize(&[("client_id", "nobody")])).await;
    }
    let latest = admin.page("/admin/refusals").await;
    assert_eq!(latest.count("tbody a[href^='/admin/refusals?id=']"), 50);
    let kept = stored::latest(server.app.store().read(), 1000).await.unwrap();
    assert_eq!(kept.len(), 100);
    server.advance(8 * 86_400);
    signet::server::background::Maintenance::default().once(&server.app).await;
    assert!(stored::latest(server.app.store().read(), 1000).await.unwrap().is_empty());
}
