//! How much a stranger gets by registering (RFC 7591 §5): what the policy has, so often, so many, and for as long as
//! somebody uses it.

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use signet::config::RegistrationMode;
use signet::domain::api_key::Owner;
use signet::domain::scope::Scopes;
use signet::manage::api_keys::NewApiKey;
use signet::manage::registration;
use signet::server::background::Maintenance;
use signet::store;

use super::{access, ask, managed, open, register};
use crate::api_keys;
use crate::support::{CALLBACK, Server};

#[tokio::test]
async fn a_stranger_gets_no_more_than_the_policy_has() {
    let server = open().await;
    let body = json!({ "redirect_uris": [CALLBACK], "consent": "trusted", "access_token_format": "opaque",
        "scope": "openid email admin groups", "token_exchange": [{ "client": "web", "impersonation": true }] });
    let (status, answer) = register(&server, &body).await;
    assert_eq!((status, &answer["scope"]), (201, &json!("openid email")), "{answer}");
    let id = answer["client_id"].as_str().unwrap();
    let browser = server.browser();
    browser.sign_in_as("alice").await;
    let consent = browser.page(&server.authorize(&[("client_id", id), ("scope", "openid")])).await;
    assert_eq!(consent.name(), "consent", "asked, whatever it said");
    // Who states no scope may ask for any that the policy has; without refresh tokens the wish for one is passed over.
    let (_, answer) = register(&server, &json!({ "redirect_uris": [CALLBACK] })).await;
    assert_eq!(answer["scope"], "openid profile email address phone");
    let id = answer["client_id"].as_str().unwrap();
    let asked = [("client_id", id), ("scope", "openid phone offline_access")];
    let consent = browser.page(&server.authorize(&asked)).await;
    assert_eq!((consent.name().as_str(), consent.has("[data-scope=offline_access]")), ("consent", false));
    assert!(consent.has("[data-scope=phone]"));
}

#[tokio::test]
async fn an_open_endpoint_is_not_for_flooding() {
    let server = Server::start_with(|config| {
        config.registration = RegistrationMode::Open;
        config.registration_policy.per_address = 3;
        config.registration_policy.clients = 4;
    })
    .await;
    let body = json!({ "redirect_uris": ["https://app.example/cb"] });
    for expected in [201, 201, 201, 429] {
        assert_eq!(register(&server, &body).await.0, expected);
    }
    server.advance(15 * 60 + 1);
    for expected in [201, 403] {
        assert_eq!(register(&server, &body).await.0, expected);
    }
}

/// Wrong tokens at an address do not stop those there that have a right one, nor clients that change their registration.
#[tokio::test]
async fn guesses_do_not_use_up_the_budget_of_a_valid_token() {
    let server = Server::start_with(|config| {
        config.registration = RegistrationMode::Token;
        config.registration_policy.per_address = 3;
    })
    .await;
    let body = json!({ "redirect_uris": ["https://app.example/cb"] });
    let register = async |token: &str| ask(&server, Method::POST, "", Some(token), Some(&body)).await;
    let mine = access(&server, None).await;
    let made: Value = register(mine.expose()).await.json().await.unwrap();
    for expected in [401, 401, 401, 429, 429] {
        assert_eq!(register("sgn_guess").await.status(), expected);
    }
    for expected in [201, 201, 429] {
        assert_eq!(register(mine.expose()).await.status(), expected);
    }
    let id = made["client_id"].as_str().unwrap();
    let changed = json!({ "client_id": id, "redirect_uris": ["https://app.example/cb2"] });
    let own = made["registration_access_token"].as_str();
    assert_eq!(ask(&server, Method::PUT, &format!("/{id}"), own, Some(&changed)).await.status(), 200);
}

/// One address that has made many clients gets no more by changing each of them; registrations there go on.
#[tokio::test]
async fn changes_are_counted_by_address_too() {
    let server = Server::start_with(|config| {
        config.registration = RegistrationMode::Open;
        config.registration_policy.per_address = 3;
    })
    .await;
    let body = json!({ "redirect_uris": ["https://app.example/cb"] });
    let ((_, one), (_, two)) = (register(&server, &body).await, register(&server, &body).await);
    let change = async |made: &Value| {
        let (path, token) = managed(made);
        let mut update = made.clone();
        update["client_name"] = json!("Changed");
        ask(&server, Method::PUT, &path, Some(token), Some(&update)).await.status().as_u16()
    };
    for (made, expected) in [(&one, 200), (&two, 200), (&one, 200), (&two, 429)] {
        assert_eq!(change(made).await, expected);
    }
    let (path, token) = managed(&two);
    assert_eq!(ask(&server, Method::DELETE, &path, Some(token), None).await.status(), 429);
    assert_eq!(register(&server, &body).await.0, 201);
    server.advance(15 * 60 + 1);
    assert_eq!(change(&two).await, 200);
}

/// What strangers do is written to the audit events so often in a day; it is done all the same.
#[tokio::test]
async fn events_of_registrations_are_limited() {
    let server = Server::start_with(|config| {
        config.registration = RegistrationMode::Open;
        config.quotas.registration_events_per_address = 3;
    })
    .await;
    let (_, made) = register(&server, &json!({ "redirect_uris": ["https://app.example/cb"] })).await;
    let (path, token) = managed(&made);
    let recorded = async || {
        let filter = store::events::EventFilter { most: 100, ..store::events::EventFilter::default() };
        let found = store::events::list(server.app.store().read(), &filter).await.unwrap();
        found.iter().filter(|event| event.client.is_some()).count()
    };
    for round in 0..6 {
        let mut update = made.clone();
        update["client_name"] = json!(format!("Name {round}"));
        assert_eq!(ask(&server, Method::PUT, &path, Some(token), Some(&update)).await.status(), 200);
        assert_eq!(recorded().await, 3.min(round + 2), "round {round}");
    }
    let read: Value = ask(&server, Method::GET, &path, Some(token), None).await.json().await.unwrap();
    assert_eq!(read["client_name"], "Name 5");
    // What an administrator does is always recorded.
    let id: signet::domain::ids::ClientId = made["client_id"].as_str().unwrap().to_owned().try_into().unwrap();
    let (manager, by) = (server.app.manager(), signet::manage::AuditContext::command_line());
    signet::manage::clients::disable(&manager, &by, &id).await.unwrap();
    assert_eq!(recorded().await, 4);
    server.advance(86_400 + 600);
    signet::manage::clients::enable(&manager, &by, &id).await.unwrap();
    let mut update = made.clone();
    update["client_name"] = json!("Next day");
    assert_eq!(ask(&server, Method::PUT, &path, Some(token), Some(&update)).await.status(), 200);
    assert_eq!(recorded().await, 6);
}

/// RFC 7591 §5: what nobody uses does not pile up.
#[tokio::test]
async fn a_client_that_signs_nobody_in_is_removed_after_a_while() {
    let server = Server::start_with(|config| {
        config.registration = RegistrationMode::Open;
        config.registration_policy.unused = 600;
    })
    .await;
    server.user("alice").await;
    server.client("web", json!({})).await;
    let body = json!({ "redirect_uris": [CALLBACK] });
    api_keys::put_api(&server, "orders", &["api_key"]).await;
    let ((_, used), (_, unused), (_, managed_one)) =
        (register(&server, &body).await, register(&server, &body).await, register(&server, &body).await);
    let (_, keyed) = register(&server, &body).await;
    let owner = Owner::Client(keyed["client_id"].as_str().unwrap().to_owned().try_into().unwrap());
    let new = NewApiKey { scopes: Scopes::default(), ..api_keys::new_key(owner, "orders") };
    api_keys::make(&server, new).await.unwrap();
    server.browser().sign_in(&server.authorize(&[("client_id", used["client_id"].as_str().unwrap())])).await;
    server.advance(599);
    let (path, token) = managed(&managed_one);
    let mut update = managed_one.clone();
    update["client_name"] = json!("Still here");
    assert_eq!(ask(&server, Method::PUT, &path, Some(token), Some(&update)).await.status(), 200);
    server.advance(2);
    let mut upkeep = Maintenance::default();
    upkeep.once(&server.app).await;
    for (client, status) in [(&used, 200), (&unused, 401), (&managed_one, 200), (&keyed, 200)] {
        let (path, token) = managed(client);
        assert_eq!(ask(&server, Method::GET, &path, Some(token), None).await.status(), status);
    }
    // An idle node looks once a day.
    server.advance(86_400);
    upkeep.once(&server.app).await;
    let left = store::clients::count(server.app.store().read()).await.unwrap();
    assert_eq!(left, 3, "the administrator's, the one that somebody uses, and the one that has a key");
}

/// The number of clients is counted, not guessed, and a full server takes no use of a token.
#[tokio::test]
async fn many_at_once_make_no_more_clients_than_there_may_be() {
    let server = Server::start_with(|config| {
        config.registration = RegistrationMode::Token;
        config.registration_policy.clients = 3;
    })
    .await;
    let token = access(&server, Some(4)).await;
    let body = json!({ "redirect_uris": ["https://app.example/cb"] });
    let send = || ask(&server, Method::POST, "", Some(token.expose()), Some(&body));
    let all = join_all((0..8).map(|_| send())).await;
    let with = |status: u16| all.iter().filter(|answer| answer.status() == status).count();
    assert_eq!((with(201), with(403)), (3, 5));
    assert_eq!(registration::list_initial_access_tokens(server.app.store()).await.unwrap()[0].uses_left, Some(1));
}

/// RFC 6749 §3.3. The SDKs of MCP ask for every scope of the discovery document where a resource names none, and do not read
/// what the registration left of them.
#[tokio::test]
async fn scopes_that_strangers_do_not_get_are_passed_over() {
    let server = open().await;
    let document = reqwest::get(format!("{}/.well-known/openid-configuration", server.url)).await.unwrap();
    let document: Value = document.json().await.unwrap();
    let all: Vec<&str> = document["scopes_supported"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(all.contains(&"groups"));
    let body = json!({ "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none", "scope": all.join(" ") });
    let (_, made) = register(&server, &body).await;
    let id = made["client_id"].as_str().unwrap();
    let asked = async |scope: &str| {
        let browser = server.browser();
        browser.sign_in_as("alice").await;
        browser.open(&server.authorize(&[("client_id", id), ("scope", scope)])).await
    };
    let consent = asked(&all.join(" ")).await.ok().unwrap();
    assert_eq!(consent.name(), "consent", "{}", consent.html);
    assert!(consent.has("[data-scope=email]") && !consent.has("[data-scope=groups]"));
    let nothing = asked("groups").await.map_or_else(|callback| callback["error"].clone(), |page| page.error());
    assert_eq!(nothing, "invalid_scope");
}
