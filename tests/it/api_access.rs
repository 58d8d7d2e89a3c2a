//! Asking for an API: by an equivalent spelling of its identifier (RFC 3986 §6.2), one without scopes, with stray spaces, and
//! as a client that an administrator lets introspect its tokens.

use serde_json::{Value, json};
use signet::domain::api::Api;
use signet::domain::ids::{ApiId, ClientId};
use signet::manage::{AuditContext, ManageError, apis, clients};
use signet::store::{self, consents};

use crate::support::{Browser, CALLBACK, Page, SECRET, Server};
use crate::token::claims;

const ORDERS: &str = "https://orders.example.com/v1";
const NOTES: &str = "https://notes.example.com";

async fn put(server: &Server, api: Value) {
    let api: Api = serde_json::from_value(api).unwrap();
    apis::put(&server.app.manager(), &AuditContext::command_line(), api).await.unwrap();
}

/// One with an API that has scopes and one that has none; alice is asked about the client `web`.
async fn with_apis() -> Server {
    let server = Server::start().await;
    server.user("alice").await;
    put(&server, json!({ "identifier": ORDERS, "name": "Orders", "scopes": ["read", "write"] })).await;
    put(&server, json!({ "identifier": NOTES, "name": "Notes" })).await;
    server.client("web", json!({ "scope": "openid offline_access read" })).await;
    server
}

/// A request for tokens, as alice allows it.
async fn tokens(server: &Server, browser: &Browser, changes: &[(&str, &str)]) -> Value {
    let callback = browser.sign_in(&server.authorize(changes)).await;
    let code = callback.get("code").unwrap_or_else(|| panic!("{changes:?}: {callback:?}"));
    server.redeem(code).await.1
}

fn access(tokens: &Value) -> Value {
    claims(tokens["access_token"].as_str().unwrap_or_else(|| panic!("{tokens}")))
}

async fn refresh(server: &Server, tokens: &Value, more: &[(&str, &str)]) -> (u16, Value) {
    let token = tokens["refresh_token"].as_str().unwrap_or_else(|| panic!("{tokens}"));
    let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
    server.token(&[&form[..], more].concat()).await
}

async fn introspect(server: &Server, client: &str, token: &Value) -> Value {
    let token = token["access_token"].as_str().unwrap();
    let request = reqwest::Client::new().post(format!("{}/oauth2/introspect", server.url));
    request.basic_auth(client, Some(SECRET)).form(&[("token", token)]).send().await.unwrap().json().await.unwrap()
}

/// The page on which alice, signed in, is asked.
async fn consent(server: &Server, browser: &Browser, changes: &[(&str, &str)]) -> Page {
    browser.page(&server.authorize(changes)).await
}

#[tokio::test]
async fn resource_may_be_an_equivalent_uri() {
    let server = with_apis().await;
    let browser = server.browser();
    for (resource, registered) in [
        ("HTTPS://Orders.Example.com/v1", ORDERS),
        ("https://orders.example.com:443/v1", ORDERS),
        ("https://orders.example.com/a/../%76%31", ORDERS),
        ("https://notes.example.com/", NOTES),
        ("https://notes.example.com:", NOTES),
    ] {
        let scope = if registered == ORDERS { "openid offline_access read" } else { "openid offline_access" };
        let got = tokens(&server, &browser, &[("scope", scope), ("resource", resource)]).await;
        assert_eq!(access(&got)["aud"], registered, "{resource}: aud is as registered");
        let (status, again) = refresh(&server, &got, &[("resource", resource)]).await;
        assert_eq!((status, &access(&again)["aud"]), (200, &json!(registered)), "{resource}");
        let own = [("grant_type", "client_credentials"), ("resource", resource)];
        assert_eq!(access(&server.token(&own).await.1)["aud"], registered, "{resource}");
    }
    for other in [
        "https://orders.example.com/v1/",
        "https://orders.example.com/V1",
        "http://orders.example.com/v1",
        "https://orders.example.com:8443/v1",
        "https://orders.example.com/v1?",
        "https://orders.example.com/v1#",
        "https://orders.example.com/v1/../v1/%2e%2e",
        "https://orders.example.com%2Fv1",
        "https://orders.example.com\\v1",
        "orders",
    ] {
        let asked = server.authorize(&[("scope", "openid read"), ("resource", other)]);
        let refused = browser.open(&asked).await.err().unwrap();
        assert_eq!(refused["error"], "invalid_target", "{other}");
        let own = [("grant_type", "client_credentials"), ("resource", other)];
        assert_eq!(server.token(&own).await.1["error"], "invalid_target", "{other}");
    }
    // Two of one meaning cannot be registered.
    let api: Api = serde_json::from_value(json!({ "identifier": "https://NOTES.example.com/" })).unwrap();
    let refused = apis::create(&server.app.manager(), &AuditContext::command_line(), api).await;
    assert!(matches!(&refused, Err(ManageError::Taken(fields)) if fields[0].message.contains(NOTES)), "{refused:?}");
}

#[tokio::test]
async fn user_allows_access_to_an_api_without_scopes() {
    let server = with_apis().await;
    let browser = server.browser();
    browser.sign_in_as("alice").await;
    let asked = [("scope", "openid offline_access"), ("resource", NOTES)];
    let page = consent(&server, &browser, &asked).await;
    assert_eq!(page.name(), "consent");
    assert!(page.has(&format!("[data-scope=\"{NOTES}\"]")) && page.html.contains("Access Notes"), "{}", page.html);
    let denied = browser.submit(&page, &[("decision", "deny")]).await.err().unwrap();
    assert_eq!(denied["error"], "access_denied");
    let got = tokens(&server, &browser, &asked).await;
    assert_eq!(access(&got)["aud"], NOTES);
    assert_eq!(introspect(&server, "web", &got).await["aud"], NOTES);
    // It is remembered, as every consent is.
    let again = browser.open(&server.authorize(&asked)).await;
    assert!(again.is_err_and(|callback| callback.contains_key("code")));
    let silent = browser.open(&server.authorize(&[("prompt", "none"), asked[0], asked[1]])).await;
    assert!(silent.is_err_and(|callback| callback.contains_key("code")));
    // Nothing else was allowed: the API's scopes would be.
    let apps = browser.page("/account/apps").await;
    assert!(apps.html.contains("Access Notes"), "{}", apps.html);
    browser.submit_at(&apps, "form[action*=web]", &[]).await.expect("the page again");
    assert_eq!(refresh(&server, &got, &[]).await.1["error"], "invalid_grant");
    assert_eq!(introspect(&server, "web", &got).await, json!({ "active": false }));
}

#[tokio::test]
async fn resource_without_scope_asks_for_all_that_is_allowed() {
    let server = with_apis().await;
    let browser = server.browser();
    for (resource, scope) in [(ORDERS, json!("read")), (NOTES, Value::Null)] {
        for blank in ["", " ", "  "] {
            let asked = server.authorize(&[("scope", ""), ("resource", resource)]);
            let asked = format!("{asked}&scope={}", blank.replace(' ', "+"));
            let callback = browser.sign_in(&asked).await;
            let got = server.redeem(&callback["code"]).await.1;
            let access = access(&got);
            assert_eq!((&access["aud"], &access["scope"]), (&json!(resource), &scope), "{resource} {blank:?}");
        }
    }
    // An API with scopes of which the client may have none.
    put(&server, json!({ "identifier": "https://stock.example.com", "scopes": ["count"] })).await;
    for (resource, error) in [("https://stock.example.com", "invalid_scope"), ("", "invalid_scope")] {
        let refused = browser.open(&server.authorize(&[("scope", ""), ("resource", resource)])).await.err().unwrap();
        assert_eq!(refused["error"], error, "{resource}");
    }
}

#[tokio::test]
async fn stray_spaces_in_scope_are_ignored() {
    let server = with_apis().await;
    let browser = server.browser();
    let got = tokens(&server, &browser, &[("scope", "  openid   offline_access read "), ("resource", ORDERS)]).await;
    assert_eq!(got["scope"], "openid offline_access read");
    for (scope, left) in
        [(" ", "openid offline_access read"), (" read  ", "read"), ("   ", "openid offline_access read")]
    {
        let (status, again) = refresh(&server, &got, &[("scope", scope)]).await;
        assert_eq!((status, &again["scope"]), (200, &json!(left)), "{scope:?}");
    }
    for scope in [" ", " read ", "read  "] {
        let (status, own) = server.token(&[("grant_type", "client_credentials"), ("scope", scope)]).await;
        assert_eq!((status, &own["scope"]), (200, &json!("read")), "{scope:?}");
    }
    let meta: signet::domain::client_metadata::ClientMetadata =
        serde_json::from_value(json!({ "scope": "  openid  email " })).unwrap();
    assert_eq!(meta.scope.to_string(), "openid email");
}

/// What was allowed while an API had scopes is not access to it without them, nor the other way round.
#[tokio::test]
async fn api_that_gains_or_loses_its_scopes_is_asked_about_again() {
    let server = with_apis().await;
    let browser = server.browser();
    browser.sign_in_as("alice").await;
    let (access_alone, reading) =
        ([("scope", "openid"), ("resource", NOTES)], [("scope", "openid note"), ("resource", NOTES)]);
    let before = tokens(&server, &browser, &access_alone).await;
    put(&server, json!({ "identifier": NOTES, "name": "Notes", "scopes": ["note"] })).await;
    assert_eq!(introspect(&server, "web", &before).await["aud"], server.url, "openid alone is left");
    assert!(refresh(&server, &before, &[("resource", NOTES)]).await.1["error"] == "invalid_target");
    let id = ClientId::parse("web").unwrap();
    let mut meta = store::clients::by_id(server.app.store().read(), &id).await.unwrap().unwrap().meta;
    meta.api_scopes.add(&ApiId::parse(NOTES).unwrap(), &["note"].into_iter().collect());
    clients::update(&server.app.manager(), &AuditContext::command_line(), &id, meta).await.unwrap();
    let page = consent(&server, &browser, &reading).await;
    assert!(page.name() == "consent" && page.has("[data-scope=note]"), "{}", page.html);
    let with_scope = tokens(&server, &browser, &reading).await;
    assert_eq!(access(&with_scope)["scope"], "openid note");
    put(&server, json!({ "identifier": NOTES, "name": "Notes" })).await;
    let page = consent(&server, &browser, &access_alone).await;
    assert!(page.name() == "consent" && page.html.contains("Access Notes"), "{}", page.html);
    assert_eq!(access(&tokens(&server, &browser, &access_alone).await)["aud"], NOTES);
    assert_eq!(access(&refresh(&server, &with_scope, &[]).await.1)["aud"], server.url);
}

/// A node that has not heard of an API's new scope looks it up, and issues no token that is good for nothing.
#[tokio::test]
async fn client_gets_a_new_scope_from_a_node_that_lags() {
    let server = with_apis().await;
    let other = server.node().await;
    let own = [("grant_type", "client_credentials"), ("scope", "note")];
    let (status, refused) = other.token(&own).await;
    assert_eq!((status, &refused["error"]), (400, &json!("invalid_scope")), "{refused}");
    put(&server, json!({ "identifier": NOTES, "name": "Notes", "scopes": ["note"] })).await;
    let store = server.app.store();
    store.authority().catch_up(store).await.unwrap();
    server.client("job", json!({ "grant_types": ["client_credentials"], "scope": "note" })).await;
    let (status, tokens) = other.token_as("job", &own).await;
    assert_eq!((status, &tokens["scope"]), (200, &json!("note")), "{tokens}");
    assert_eq!(access(&tokens)["aud"], NOTES);
}

/// T52: an API without scopes that is made anew is another API.
#[tokio::test]
async fn access_does_not_go_to_an_api_made_anew() {
    let server = with_apis().await;
    let browser = server.browser();
    browser.sign_in_as("alice").await;
    let asked = [("scope", "openid offline_access"), ("resource", NOTES)];
    let got = tokens(&server, &browser, &asked).await;
    let code = browser.open(&server.authorize(&asked)).await.err().unwrap()["code"].clone();
    let waiting = server.browser();
    let login = waiting.page(&server.authorize(&asked)).await;
    let id = ApiId::parse(NOTES).unwrap();
    apis::delete(&server.app.manager(), &AuditContext::command_line(), id).await.unwrap();
    put(&server, json!({ "identifier": NOTES, "name": "Notes" })).await;
    assert_eq!(refresh(&server, &got, &[]).await.1["error"], "invalid_grant");
    assert_eq!(introspect(&server, "web", &got).await, json!({ "active": false }));
    assert_eq!(server.redeem(&code).await.1["error"], "invalid_grant");
    let after = waiting.submit(&login, &[("username", "alice"), ("password", crate::support::PASSWORD)]).await;
    assert!(!after.is_err_and(|callback| callback.contains_key("code")), "it was asked for the API before");
    assert_eq!(consent(&server, &browser, &asked).await.name(), "consent", "what was allowed was the API before");
    let alice = server.person("alice").await.id;
    let given = consents::find(server.app.store().read(), alice, &ClientId::parse("web").unwrap()).await.unwrap();
    assert!(given.is_some_and(|given| given.allowed.apis.is_empty()));
}

/// RFC 8693 §2.1: neither more nor less than other APIs' tokens.
#[tokio::test]
async fn token_for_an_api_without_scopes_is_exchanged() {
    let server = with_apis().await;
    let grant = "urn:ietf:params:oauth:grant-type:token-exchange";
    let policy = json!([{ "client": "web", "impersonation": true }]);
    server
        .client(
            "gateway",
            json!({ "grant_types": [grant], "redirect_uris": [], "scope": "openid", "token_exchange": policy }),
        )
        .await;
    let got = tokens(&server, &server.browser(), &[("scope", "openid"), ("resource", NOTES)]).await;
    for (name, token) in [("access_token", "access_token"), ("id_token", "id_token")] {
        let kind = format!("urn:ietf:params:oauth:token-type:{name}");
        let exchange = async |resource: &str| {
            let subject = got[token].as_str().unwrap();
            let form = [
                ("grant_type", grant),
                ("subject_token", subject),
                ("subject_token_type", &kind),
                ("resource", resource),
            ];
            server.token_as("gateway", &form).await
        };
        let (status, new) = exchange("https://notes.example.com/").await;
        assert_eq!((status, &access(&new)["aud"]), (200, &json!(NOTES)), "{name}: {new}");
        assert_eq!(exchange(ORDERS).await.1["error"], "invalid_target", "{name}");
    }
}

/// RFC 7662 §4: a gateway that is a client of its own asks about the tokens of the APIs behind it.
#[tokio::test]
async fn gateway_introspects_the_apis_it_is_allowed() {
    let server = with_apis().await;
    let gateway = json!({ "grant_types": [], "redirect_uris": [], "post_logout_redirect_uris": [], "scope": "",
                          "introspection_apis": [NOTES] });
    server.client("gateway", gateway).await;
    server.client("other", json!({})).await;
    let browser = server.browser();
    let notes = tokens(&server, &browser, &[("scope", "openid"), ("resource", NOTES)]).await;
    let orders = tokens(&server, &browser, &[("scope", "read"), ("resource", ORDERS)]).await;
    let own = tokens(&server, &browser, &[("scope", "openid")]).await;
    for (client, token, active) in [
        ("gateway", &notes, true),
        ("gateway", &orders, false),
        ("gateway", &own, false),
        ("other", &notes, false),
        ("web", &notes, true),
    ] {
        let said = introspect(&server, client, token).await;
        assert_eq!(said["active"], active, "{client}: {said}");
        assert!(active || said == json!({ "active": false }), "{client}: nothing else is told");
    }
    // A refresh token is for its client alone.
    let request =
        reqwest::Client::new().post(format!("{}/oauth2/introspect", server.url)).basic_auth("gateway", Some(SECRET));
    let request = request.form(&[("token", notes["refresh_token"].as_str().unwrap())]);
    assert_eq!(request.send().await.unwrap().json::<Value>().await.unwrap(), json!({ "active": false }));
    // The API that is made anew is another one.
    let (manager, by) = (server.app.manager(), AuditContext::command_line());
    apis::delete(&manager, &by, ApiId::parse(NOTES).unwrap()).await.unwrap();
    put(&server, json!({ "identifier": NOTES, "name": "Notes" })).await;
    let anew = tokens(&server, &browser, &[("scope", "openid"), ("resource", NOTES)]).await;
    assert_eq!(introspect(&server, "gateway", &anew).await["active"], false);
    let id = ClientId::parse("gateway").unwrap();
    let kept = store::clients::by_id(server.app.store().read(), &id).await.unwrap().unwrap().meta;
    assert!(kept.introspection_apis.is_empty());
    // Only APIs that there are, and only a client that authenticates.
    let mut meta = kept.clone();
    meta.introspection_apis = vec![ApiId::parse("https://nowhere.example.com").unwrap()];
    assert!(clients::update(&manager, &by, &id, meta).await.unwrap_err().to_string().contains("introspection_apis"));
    let public =
        json!({ "token_endpoint_auth_method": "none", "introspection_apis": [NOTES], "redirect_uris": [CALLBACK] });
    let public: signet::domain::client_metadata::ClientMetadata = serde_json::from_value(public).unwrap();
    assert_eq!(public.problems()[0].field, "introspection_apis");
}

/// Of a token for two APIs, each of them is told its own scopes.
#[tokio::test]
async fn api_is_told_its_own_scopes_alone() {
    let server = with_apis().await;
    let gateway = json!({ "grant_types": [], "redirect_uris": [], "post_logout_redirect_uris": [], "scope": "",
                          "introspection_apis": [NOTES] });
    server.client("gateway", gateway).await;
    let asked = server.authorize(&[("scope", "read"), ("resource", ORDERS)]);
    let both = format!(
        "{asked}&{}",
        url::form_urlencoded::Serializer::new(String::new()).append_pair("resource", NOTES).finish()
    );
    let code = server.browser().sign_in(&both).await["code"].clone();
    let (_, token) = server.redeem(&code).await;
    let own = introspect(&server, "web", &token).await;
    assert_eq!((&own["scope"], own["aud"].as_array().map(Vec::len)), (&json!("read"), Some(2)), "{own}");
    let told = introspect(&server, "gateway", &token).await;
    assert_eq!((&told["active"], &told["scope"]), (&json!(true), &json!("")), "{told}");
}
