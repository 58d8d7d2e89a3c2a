//! Token exchange (RFC 8693): who may trade whose token for what, and how far what comes of it reaches. [`id_tokens`]: ID
//! tokens as subject tokens; [`ending`]: what ends what was traded.

mod ending;
mod id_tokens;

use serde_json::{Value, json};
use signet::domain::api::Api;
use signet::manage::{AuditContext, apis};

use crate::support::{SECRET, Server};
use crate::token::claims;

const GRANT: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS: &str = "urn:ietf:params:oauth:token-type:access_token";
const ID: &str = "urn:ietf:params:oauth:token-type:id_token";
const ORDERS: &str = "https://orders.example.com";
const STOCK: &str = "https://stock.example.com";

/// One with two APIs, an app `web` that alice uses, and two services that trade its tokens: `acts` by delegation alone,
/// `both` in either way.
async fn with_services() -> Server {
    let server = Server::start().await;
    server.user("alice").await;
    server.client("web", json!({ "scope": "openid email offline_access read write count" })).await;
    for api in [
        json!({ "identifier": ORDERS, "scopes": ["read", "write"] }),
        json!({ "identifier": STOCK, "scopes": ["count"] }),
    ] {
        let api: Api = serde_json::from_value(api).unwrap();
        apis::put(&server.app.manager(), &AuditContext::command_line(), api).await.unwrap();
    }
    let acts = json!([{ "client": "web", "delegation": true }]);
    let both = json!([
        { "client": "web", "impersonation": true, "delegation": true },
        { "client": "acts", "impersonation": true, "delegation": true },
        { "client": "both", "impersonation": true, "delegation": true },
    ]);
    service(&server, "acts", json!({ "token_exchange": acts })).await;
    service(&server, "both", json!({ "token_exchange": both })).await;
    server
}

async fn service(server: &Server, id: &str, changes: Value) {
    let mut meta = json!({
        "redirect_uris": [],
        "grant_types": ["client_credentials", GRANT],
        "scope": "openid email read count",
    });
    meta.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    server.client(id, meta).await;
}

fn text<'a>(tokens: &'a Value, name: &str) -> &'a str {
    tokens[name].as_str().unwrap_or_else(|| panic!("{name} in {tokens}"))
}

/// Tokens for alice; each API is named of which a scope is asked for.
async fn tokens(server: &Server, scope: &str) -> Value {
    let mut asked = server.authorize(&[("scope", scope)]);
    for (api, scopes) in [(ORDERS, ["read", "write"].as_slice()), (STOCK, &["count"])] {
        if scope.split(' ').any(|scope| scopes.contains(&scope)) {
            asked = format!("{asked}&resource={api}");
        }
    }
    let callback = server.browser().sign_in(&asked).await;
    server.redeem(&callback["code"]).await.1
}

/// The answer to `client`, which trades the access token `token`.
async fn trade(server: &Server, client: &str, token: &str, more: &[(&str, &str)]) -> (u16, Value) {
    let form = [("grant_type", GRANT), ("subject_token", token), ("subject_token_type", ACCESS)];
    server.token_as(client, &[&form[..], more].concat()).await
}

async fn active(server: &Server, client: &str, token: &str) -> bool {
    let request = reqwest::Client::new().post(format!("{}/oauth2/introspect", server.url));
    let request = request.basic_auth(client, Some(SECRET)).form(&[("token", token)]);
    request.send().await.unwrap().json::<Value>().await.unwrap()["active"] == true
}

/// §1.1, §2.2.1, §4.1.
#[tokio::test]
async fn a_service_gets_a_token_of_its_own_about_the_same_person() {
    let server = with_services().await;
    let app = tokens(&server, "openid email read write").await;
    let before = claims(text(&app, "access_token"));
    let (status, traded) = trade(&server, "both", text(&app, "access_token"), &[]).await;
    assert_eq!(status, 200, "{traded}");
    assert_eq!((text(&traded, "issued_token_type"), text(&traded, "token_type")), (ACCESS, "Bearer"));
    assert!(traded["refresh_token"].is_null() && traded["id_token"].is_null(), "{traded}");
    let after = claims(text(&traded, "access_token"));
    for same in ["sub", "sid", "grant", "acr", "amr", "auth_time"] {
        assert_eq!(after[same], before[same], "{same}");
    }
    assert_eq!((&after["client_id"], &after["act"]), (&json!("both"), &Value::Null), "impersonation");
    assert_eq!((&after["scope"], &after["aud"]), (&json!("openid email read"), &json!(ORDERS)));

    // Where only delegation is allowed, the client itself is the actor.
    let (_, acting) = trade(&server, "acts", text(&app, "access_token"), &[]).await;
    assert_eq!(claims(text(&acting, "access_token"))["act"], json!({ "sub": "acts" }));
    // An actor token names who acts, and the chain before is kept, whoever stands in for the person next.
    let (_, own) = server.token_as("both", &[("grant_type", "client_credentials"), ("scope", "read")]).await;
    let actor = [("actor_token", text(&own, "access_token")), ("actor_token_type", ACCESS)];
    let (_, chained) = trade(&server, "both", text(&acting, "access_token"), &actor).await;
    let chain = json!({ "sub": "both", "act": { "sub": "acts" } });
    assert_eq!(claims(text(&chained, "access_token"))["act"], chain);
    let (_, kept) = trade(&server, "both", text(&acting, "access_token"), &[]).await;
    assert_eq!(claims(text(&kept, "access_token"))["act"], json!({ "sub": "acts" }));
    let request = reqwest::Client::new().post(format!("{}/oauth2/introspect", server.url));
    let request = request.basic_auth("both", Some(SECRET)).form(&[("token", text(&chained, "access_token"))]);
    let answer: Value = request.send().await.unwrap().json().await.unwrap();
    assert_eq!((&answer["act"], &answer["client_id"]), (&chain, &json!("both")));
    // It is a token of full worth where it is for us.
    let userinfo = reqwest::Client::new().get(format!("{}/oauth2/userinfo", server.url));
    let person: Value = userinfo.bearer_auth(text(&traded, "access_token")).send().await.unwrap().json().await.unwrap();
    assert_eq!((&person["sub"], &person["email"]), (&before["sub"], &json!("alice@example.com")));
}

/// Scopes, APIs and lifetime get narrower, and never anything else.
#[tokio::test]
async fn what_comes_of_a_token_is_never_more_than_it() {
    let server = with_services().await;
    let app = tokens(&server, "read write count").await;
    let token = text(&app, "access_token");
    for (more, scope, aud) in [
        (vec![("resource", ORDERS), ("resource", STOCK)], "read count", json!([ORDERS, STOCK])),
        (vec![("scope", "read")], "read", json!(ORDERS)),
        (vec![("resource", STOCK), ("scope", "count")], "count", json!(STOCK)),
        (vec![("audience", STOCK), ("audience", ORDERS)], "read count", json!([ORDERS, STOCK])),
        (vec![("audience", STOCK), ("resource", ORDERS)], "read count", json!([ORDERS, STOCK])),
    ] {
        let (status, traded) = trade(&server, "both", token, &more).await;
        assert_eq!(status, 200, "{more:?}: {traded}");
        let after = claims(text(&traded, "access_token"));
        assert_eq!((&after["scope"], &after["aud"]), (&json!(scope), &aud), "{more:?}");
    }
    for (more, error) in [
        (vec![], "invalid_target"),
        (vec![("scope", "write")], "invalid_scope"),
        (vec![("scope", "openid")], "invalid_scope"),
        (vec![("scope", "offline_access")], "invalid_scope"),
        (vec![("scope", "read \u{1}")], "invalid_scope"),
        (vec![("resource", "https://elsewhere.example")], "invalid_target"),
        (vec![("audience", "both")], "invalid_target"),
        (vec![("audience", server.url.as_str())], "invalid_target"),
        (vec![("scope", "read"), ("resource", STOCK)], "invalid_scope"),
    ] {
        let (status, refused) = trade(&server, "both", token, &more).await;
        assert_eq!((status, &refused["error"]), (400, &json!(error)), "{more:?}");
    }
    // A token for an API alone does not become one for our own endpoints.
    service(
        &server,
        "reads-mail",
        json!({ "scope": "email", "token_exchange": [{ "client": "web", "impersonation": true }] }),
    )
    .await;
    let mixed = tokens(&server, "email read").await;
    let (_, refused) = trade(&server, "reads-mail", text(&mixed, "access_token"), &[]).await;
    assert_eq!(refused["error"], "invalid_scope");
    // It ends no later than what it came from.
    server.advance(590);
    let (_, traded) = trade(&server, "both", token, &[("resource", ORDERS)]).await;
    let left = traded["expires_in"].as_i64().unwrap();
    assert!((9..=10).contains(&left), "{left}");
    let end = |token: &str| claims(token)["exp"].as_i64().unwrap();
    assert!(end(text(&traded, "access_token")) <= end(token));
    server.advance(10);
    assert_eq!(trade(&server, "both", token, &[]).await.1["error"], "invalid_request");
    assert!(!active(&server, "both", text(&traded, "access_token")).await);
}

/// §2.2.2 and RFC 6749 §5.2.
#[tokio::test]
async fn each_bad_request_gets_its_error() {
    let server = with_services().await;
    server.client("other", json!({})).await;
    service(&server, "nobody", json!({})).await;
    service(&server, "impersonates", json!({ "token_exchange": [{ "client": "web", "impersonation": true }] })).await;
    let app = tokens(&server, "openid offline_access read").await;
    let (access, id, refresh) = (text(&app, "access_token"), text(&app, "id_token"), text(&app, "refresh_token"));
    let own = server.token_as("acts", &[("grant_type", "client_credentials"), ("scope", "read")]).await.1;
    let own = text(&own, "access_token");
    let opaque = "sga_x";
    let refresh_type = "urn:ietf:params:oauth:token-type:refresh_token";
    let jwt_type = "urn:ietf:params:oauth:token-type:jwt";
    let subject = |token, kind| vec![("subject_token", token), ("subject_token_type", kind)];
    let with = |more: &[(&'static str, &'static str)]| [&subject(access, ACCESS)[..], more].concat();
    let actor =
        |token| [&subject(access, ACCESS)[..], &[("actor_token", token), ("actor_token_type", ACCESS)]].concat();
    for (client, form, error) in [
        ("both", vec![], "invalid_request"),
        ("both", vec![("subject_token", access)], "invalid_request"),
        ("both", vec![("subject_token_type", ACCESS)], "invalid_request"),
        ("both", subject(refresh, refresh_type), "invalid_request"),
        ("both", subject(refresh, ACCESS), "invalid_request"),
        ("both", subject(access, ID), "invalid_request"),
        ("both", subject(id, ACCESS), "invalid_request"),
        ("both", subject(access, jwt_type), "invalid_request"),
        ("both", subject(opaque, ACCESS), "invalid_request"),
        ("both", with(&[("requested_token_type", ID)]), "invalid_request"),
        ("both", with(&[("actor_token_type", ACCESS)]), "invalid_request"),
        ("both", with(&[("actor_token", "x")]), "invalid_request"),
        ("both", with(&[("actor_token", "x"), ("actor_token_type", ACCESS)]), "invalid_request"),
        ("both", with(&[("actor_token", "x"), ("actor_token_type", ID)]), "invalid_request"),
        ("both", with(&[("scope", "read"), ("scope", "read")]), "invalid_request"),
        // Somebody else's token as one's own.
        ("both", actor(own), "invalid_request"),
        // No person, no policy, no such way.
        ("both", subject(own, ACCESS), "invalid_request"),
        ("nobody", subject(access, ACCESS), "invalid_request"),
        ("impersonates", actor(own), "invalid_request"),
        ("other", subject(access, ACCESS), "unauthorized_client"),
    ] {
        let (status, refused) = server.token_as(client, &[&[("grant_type", GRANT)], form.as_slice()].concat()).await;
        assert_eq!((status, &refused["error"]), (400, &json!(error)), "{client} {form:?}: {refused}");
    }
    let (_, its_own) =
        server.token_as("impersonates", &[("grant_type", "client_credentials"), ("scope", "read")]).await;
    let form = [&[("grant_type", GRANT)][..], &actor(text(&its_own, "access_token"))].concat();
    assert_eq!(server.token_as("impersonates", &form).await.1["error"], "invalid_request", "delegation is not allowed");
}

/// Each exchange is carried in the token, so there is an end to them.
#[tokio::test]
async fn a_token_is_exchanged_a_few_times_at_most() {
    let server = with_services().await;
    let mut token = text(&tokens(&server, "read").await, "access_token").to_owned();
    for _ in 0..5 {
        let (status, traded) = trade(&server, "both", &token, &[]).await;
        assert_eq!(status, 200, "{traded}");
        text(&traded, "access_token").clone_into(&mut token);
    }
    assert_eq!(trade(&server, "both", &token, &[]).await.1["error"], "invalid_request");
}
