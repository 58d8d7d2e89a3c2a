//! Token exchange (RFC 8693): who may trade whose token for what, and how far what comes of it reaches.

use serde_json::{Value, json};
use signet::domain::api::Api;
use signet::domain::ids::{ClientId, GrantId};
use signet::manage::{By, apis, clients, consents, people};
use signet::store::revoked_tokens;

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
        apis::put(&server.app.manager(), &By::command_line(), api).await.unwrap();
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

/// What alice's sign-in at `web` came to.
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

/// T34 and T5, CVE-2026-43983: whatever ends the app's access ends what services got by it, and is refused from then on.
#[tokio::test]
async fn a_revocation_reaches_what_came_by_exchange() {
    for opaque in [false, true] {
        let (server, by) = (with_services().await, By::command_line());
        if opaque {
            let api = json!({ "identifier": ORDERS, "scopes": ["read", "write"], "access_token_format": "opaque" });
            apis::put(&server.app.manager(), &by, serde_json::from_value::<Api>(api).unwrap()).await.unwrap();
        }
        let (alice, manager) = (server.person("alice").await.id, server.app.manager());
        let (web, acts) = (ClientId::parse("web").unwrap(), ClientId::parse("acts").unwrap());
        for what in ["refresh token", "consent", "signed out", "person", "app", "service"] {
            let app = tokens(&server, "openid read").await;
            let (_, first) = trade(&server, "acts", text(&app, "access_token"), &[]).await;
            let (_, second) = trade(&server, "both", text(&first, "access_token"), &[]).await;
            let token = text(&second, "access_token");
            assert_eq!(token.starts_with("sga_"), opaque);
            assert!(active(&server, "both", token).await, "{what}");
            server.advance(1);
            match what {
                "refresh token" => {
                    let request = reqwest::Client::new().post(format!("{}/oauth2/revoke", server.url));
                    let form = [("token", text(&app, "refresh_token"))];
                    request.basic_auth("web", Some(SECRET)).form(&form).send().await.unwrap();
                }
                "consent" => consents::revoke(&manager, &by, alice, web.clone()).await.unwrap(),
                "signed out" => drop(people::end_sessions(&manager, &by, alice, None).await.unwrap()),
                "person" => {
                    people::disable(&manager, &by, alice).await.unwrap();
                    people::enable(&manager, &by, alice).await.unwrap();
                }
                "app" => {
                    clients::disable(&manager, &by, &web).await.unwrap();
                    clients::enable(&manager, &by, &web).await.unwrap();
                }
                _ => {
                    clients::disable(&manager, &by, &acts).await.unwrap();
                    clients::enable(&manager, &by, &acts).await.unwrap();
                }
            }
            assert!(!active(&server, "both", token).await, "{what}, opaque: {opaque}");
            let (_, refused) = trade(&server, "both", text(&first, "access_token"), &[]).await;
            assert_eq!(refused["error"], "invalid_request", "{what}");
            server.advance(1);
        }
    }
}

/// An ID token is worth what the person has let its client have, within what the service may have.
/// A client whose ID tokens have a MAC under its own secret could make one about anybody.
#[tokio::test]
async fn an_id_token_that_its_client_could_have_made_is_not_traded() {
    let server = with_services().await;
    let mac = json!({ "id_token_signed_response_alg": "HS256", "scope": "openid read", "consent": "trusted" });
    server.client("mac", mac).await;
    service(&server, "trades", json!({ "token_exchange": [{ "client": "mac", "impersonation": true }] })).await;
    let code = server.browser().sign_in(&server.authorize(&[("client_id", "mac"), ("scope", "openid read")])).await;
    let form = [
        ("grant_type", "authorization_code"),
        ("code", &code["code"]),
        ("redirect_uri", crate::support::CALLBACK),
        ("code_verifier", crate::support::VERIFIER),
    ];
    let app = server.token_as("mac", &form).await.1;
    assert_eq!(trade(&server, "trades", text(&app, "access_token"), &[]).await.0, 200, "the pair is allowed");
    let form = [("grant_type", GRANT), ("subject_token", text(&app, "id_token")), ("subject_token_type", ID)];
    assert_eq!(server.token_as("trades", &form).await.1["error"], "invalid_request");
}

#[tokio::test]
async fn an_id_token_is_traded_for_what_its_client_may_have() {
    let server = with_services().await;
    let app = tokens(&server, "openid read").await;
    let form = [("grant_type", GRANT), ("subject_token", text(&app, "id_token")), ("subject_token_type", ID)];
    let (status, traded) = server.token_as("both", &form).await;
    assert_eq!(status, 200, "{traded}");
    let after = claims(text(&traded, "access_token"));
    let id = claims(text(&app, "id_token"));
    assert_eq!((&after["sub"], &after["sid"], &after["acr"]), (&id["sub"], &id["sid"], &id["acr"]));
    assert_eq!(after["scope"], "openid read", "and not what was never allowed");
    let (_, refused) = server.token_as("both", &[&form[..], &[("scope", "email")]].concat()).await;
    assert_eq!(refused["error"], "invalid_scope");
    server.advance(1);
    let alice = server.person("alice").await.id;
    people::end_sessions(&server.app.manager(), &By::command_line(), alice, None).await.unwrap();
    assert_eq!(server.token_as("both", &form).await.1["error"], "invalid_request");
    let app = tokens(&server, "openid").await;
    server.advance(3600);
    let form = [("grant_type", GRANT), ("subject_token", text(&app, "id_token")), ("subject_token_type", ID)];
    assert_eq!(server.token_as("both", &form).await.1["error"], "invalid_request", "expired");
}

/// What an ID token is traded for ends with its grant, and a grant that has ended has no ID token to trade.
#[tokio::test]
async fn an_id_token_is_not_exchanged_after_its_grant() {
    let server = with_services().await;
    for what in ["revoked", "reused"] {
        let app = tokens(&server, "openid offline_access read").await;
        let form = [("grant_type", GRANT), ("subject_token", text(&app, "id_token")), ("subject_token_type", ID)];
        let (status, traded) = server.token_as("both", &form).await;
        assert_eq!(status, 200, "{traded}");
        let refresh = text(&app, "refresh_token");
        if what == "revoked" {
            let request = reqwest::Client::new().post(format!("{}/oauth2/revoke", server.url));
            request.basic_auth("web", Some(SECRET)).form(&[("token", refresh)]).send().await.unwrap();
        } else {
            let refreshing = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
            assert_eq!(server.token(&refreshing).await.0, 200);
            server.advance(61);
            assert_eq!(server.token(&refreshing).await.0, 400);
        }
        assert!(!active(&server, "both", text(&traded, "access_token")).await, "{what}");
        let (_, refused) = server.token_as("both", &form).await;
        assert_eq!(refused["error"], "invalid_request", "{what}");
    }
}

/// One in which `both` acts for alice by a token of bob's, and that token.
async fn with_bob() -> (Server, String) {
    let server = with_services().await;
    server.user("bob").await;
    let policy = json!([{ "client": "web", "delegation": true }]);
    let signs_in = json!({
        "redirect_uris": [crate::support::CALLBACK],
        "grant_types": ["authorization_code", GRANT],
        "token_exchange": policy,
        "consent": "trusted",
    });
    service(&server, "helpdesk", signs_in).await;
    let browser = server.browser();
    browser.sign_in_as("bob").await;
    let code = browser.open(&server.authorize(&[("client_id", "helpdesk"), ("scope", "openid")])).await;
    let code = code.err().expect("a callback")["code"].clone();
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", crate::support::CALLBACK),
        ("code_verifier", crate::support::VERIFIER),
    ];
    let (status, bobs) = server.token_as("helpdesk", &form).await;
    assert_eq!(status, 200, "{bobs}");
    (server, text(&bobs, "access_token").to_owned())
}

/// RFC 8693 §4.1: a delegation is bob's acting for alice, so it ends with either.
#[tokio::test]
async fn a_delegation_ends_with_the_user_who_acts() {
    for deed in ["disabled", "deleted"] {
        let (server, bobs) = with_bob().await;
        let app = tokens(&server, "openid read").await;
        let acting = [("actor_token", bobs.as_str()), ("actor_token_type", ACCESS)];
        let (status, traded) = trade(&server, "helpdesk", text(&app, "access_token"), &acting).await;
        assert_eq!(status, 200, "{traded}");
        let token = text(&traded, "access_token");
        let bob = server.person("bob").await.id;
        assert_eq!(claims(token)["act"]["sub"], bob.to_string());
        assert!(active(&server, "helpdesk", token).await);
        let (manager, by) = (server.app.manager(), By::command_line());
        match deed {
            "disabled" => drop(people::disable(&manager, &by, bob).await.unwrap()),
            _ => people::delete(&manager, &by, bob).await.unwrap(),
        }
        assert!(!active(&server, "helpdesk", token).await, "{deed}");
        assert_eq!(trade(&server, "helpdesk", text(&app, "access_token"), &acting).await.0, 400, "{deed}");
        assert!(active(&server, "web", text(&app, "access_token")).await);
    }
}

/// By the database: a node that has not heard of the revocation yet issues nothing by it.
#[tokio::test]
async fn a_revoked_actor_token_acts_for_nobody() {
    let (server, bobs) = with_bob().await;
    let app = tokens(&server, "openid read").await;
    let jti: uuid::Uuid = claims(&bobs)["jti"].as_str().unwrap().parse().unwrap();
    // The row alone, as another node has written it before this one reads the change feed.
    let write = server.app.store().write(move |tx| Box::pin(revoked_tokens::insert_grant(tx, GrantId(jti))));
    write.await.unwrap();
    let acting = [("actor_token", bobs.as_str()), ("actor_token_type", ACCESS)];
    let (_, refused) = trade(&server, "helpdesk", text(&app, "access_token"), &acting).await;
    assert_eq!(refused["error"], "invalid_request");
}

/// A grant that goes on without the session stays what it is; what is traded for its tokens hangs on the session.
#[tokio::test]
async fn a_traded_token_never_outlives_the_session() {
    let server = with_services().await;
    let app = tokens(&server, "openid offline_access read").await;
    let (_, before) = trade(&server, "both", text(&app, "access_token"), &[]).await;
    server.advance(1);
    let alice = server.person("alice").await.id;
    people::end_sessions(&server.app.manager(), &By::command_line(), alice, None).await.unwrap();
    assert!(active(&server, "web", text(&app, "access_token")).await);
    assert!(!active(&server, "both", text(&before, "access_token")).await);
    assert_eq!(trade(&server, "both", text(&app, "access_token"), &[]).await.1["error"], "invalid_request");
}

/// A scope that the app has just lost on another node is not traded on this one, which has not heard of it.
#[tokio::test]
async fn a_lost_scope_is_not_traded_by_a_node_that_lags() {
    use signet::domain::client_metadata::ClientMetadata;
    use signet::store::clients as stored;
    let server = with_services().await;
    let app = tokens(&server, "openid read").await;
    let token = text(&app, "access_token").to_owned();
    assert_eq!(trade(&server, "both", &token, &[("scope", "read")]).await.0, 200, "and the client is in memory");
    let id = ClientId::parse("web").unwrap();
    let less = json!({ "redirect_uris": [crate::support::CALLBACK], "scope": "openid email" });
    let less: ClientMetadata = serde_json::from_value(less).unwrap();
    // As another node writes it, whose entry in the change feed has not been read here.
    let write = server.app.store().write(move |tx| {
        Box::pin(async move {
            let web = stored::lock_for_update(tx, &id).await?.expect("a client");
            stored::update(tx, &signet::domain::client::Client { meta: less, ..web }).await
        })
    });
    write.await.unwrap();
    let (status, refused) = trade(&server, "both", &token, &[("scope", "read")]).await;
    assert_eq!(status, 400, "{refused}");
}

/// What a user allowed the app on a device is not traded for a sign-in by redirect.
#[tokio::test]
async fn an_id_token_is_not_traded_for_what_a_device_may() {
    use signet::domain::permissions::Permissions;
    use signet::domain::scope::Scopes;
    use signet::domain::version::Versions;
    use signet::store::consents as stored;
    let server = with_services().await;
    let app = tokens(&server, "openid read").await;
    let (alice, web) = (server.person("alice").await.id, ClientId::parse("web").unwrap());
    let on_device = Permissions::general(Scopes::parse("email").unwrap());
    let give = server.app.store().write(move |tx| {
        Box::pin(async move { stored::give(tx, alice, &web, (&on_device, &Versions::default()), &[]).await })
    });
    give.await.unwrap();
    let form = [("grant_type", GRANT), ("subject_token", text(&app, "id_token")), ("subject_token_type", ID)];
    let (status, traded) = server.token_as("both", &form).await;
    assert_eq!((status, &traded["scope"]), (200, &json!("openid read")), "{traded}");
    let (_, refused) = server.token_as("both", &[&form[..], &[("scope", "email")]].concat()).await;
    assert_eq!(refused["error"], "invalid_scope");
}
