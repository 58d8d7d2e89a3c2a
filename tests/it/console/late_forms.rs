//! A form that is decided when its body has arrived, and in the transaction that writes: what has ended the rights of who
//! sends it meanwhile holds for it too.

use std::net::SocketAddr;

use serde_json::json;
use signet::domain::ids::{ClientId, SessionId, UserId};
use signet::domain::secret::Secret;
use signet::domain::signing_key::KeyAlg;
use signet::manage::access::KeepOptions;
use signet::manage::apply::{self, ApplyOptions};
use signet::manage::users::{NewUser, UserEdit};
use signet::manage::{
    AuditContext, ManageError, api_keys, apis, clients, consents, groups, keys, passkeys, registration, users,
};
use signet::store::sessions;

use super::access::{csrf, routes, state, with_bob_and_web};
use crate::passkey::add;
use crate::support::authenticator::Authenticator;
use crate::support::database::Aside;
use crate::support::wire::Wire;
use crate::support::{Browser, PASSWORD, Server};

const NEW: &str = "another long sentence";

fn address(server: &Server) -> SocketAddr {
    format!("127.0.0.1:{}", server.url.rsplit_once(':').unwrap().1).parse().unwrap()
}

/// Sends a POST without its body and returns when the server asks for that: it has looked at who sends it by then.
async fn half_sent(server: &Server, browser: &Browser, path: &str, length: usize) -> Wire {
    let mut wire = Wire::open(address(server)).await;
    let host = server.url.strip_prefix("http://").unwrap();
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: {host}\r\nOrigin: {}\r\nCookie: {}\r\nExpect: 100-continue\r\n\
         Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n",
        server.url,
        browser.cookies(),
    );
    let reply = wire.raw(head.as_bytes()).await.unwrap();
    assert_eq!(reply.status, 100, "{path}: {reply:?}");
    wire
}

/// The session in which alice is signed in.
async fn session_of(server: &Server, user: UserId) -> SessionId {
    let found = sessions::of_user(server.app.store().read(), user, server.app.env().now()).await.unwrap();
    found[0].id
}

async fn demote(server: &Server, user: UserId) {
    let now = server.person("alice").await;
    let edit = UserEdit { username: "alice".to_owned(), profile: now.profile, admin: false };
    users::update(&server.app.manager(), &AuditContext::command_line(), user, edit).await.unwrap();
}

/// Every route of the console that changes something, read from the router.
#[tokio::test]
async fn console_forms_are_decided_after_their_body() {
    for what in ["demoted", "disabled", "reset", "deleted"] {
        let (server, admin) = with_bob_and_web().await;
        let (manager, by, alice) =
            (server.app.manager(), AuditContext::command_line(), server.person("alice").await.id);
        server.user("carol").await;
        super::make_admin(&server, "carol").await;
        let token = csrf(&admin, "/admin").await;
        let mut form = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in &token {
            form.append_pair(name, value);
        }
        for (name, value) in [("name", "x"), ("confirm", "bob"), ("key", "x"), ("passkey", "x"), ("password", NEW)] {
            form.append_pair(name, value);
        }
        let body = form.finish();
        let mut waiting = Vec::new();
        for route in routes(&server).await.into_iter().filter(|route| route.post) {
            let wire = half_sent(&server, &admin, &route.path, body.len()).await;
            waiting.push((route.path, wire));
        }
        assert!(waiting.len() > 20, "the router was read");
        match what {
            "demoted" => demote(&server, alice).await,
            "disabled" => drop(users::disable(&manager, &by, alice).await.unwrap()),
            "reset" => {
                let password = Secret::new(NEW.to_owned());
                users::reset(&manager, &by, alice, password, KeepOptions::default(), None).await.unwrap();
            }
            _ => users::delete(&manager, &by, alice).await.unwrap(),
        }
        let before = state(&server).await;
        for (path, mut wire) in waiting {
            let reply = wire.raw(body.as_bytes()).await.unwrap();
            assert_eq!(reply.status, 403, "{what}: {path}");
            let page = String::from_utf8_lossy(&reply.body);
            let says = if what == "demoted" { "for administrators" } else { "href=\"/login?next=%2Fadmin" };
            assert!(page.contains(says) && !page.contains(NEW), "{what}: {path}: {page}");
        }
        assert_eq!(state(&server).await, before, "{what}: nothing was done");
    }
}

fn is_refused<T: std::fmt::Debug>(what: &str, done: Result<T, ManageError>, demoted: bool) {
    match done {
        Err(ManageError::NotAdministrator) if demoted => {}
        Err(ManageError::SessionEnded) if !demoted => {}
        other => panic!("{what}: {other:?}"),
    }
}

/// The transaction asks again: between the form and its write lie hashing and waits for locks.
#[tokio::test]
async fn each_write_checks_its_actor() {
    for demoted in [true, false] {
        let (server, _admin) = with_bob_and_web().await;
        let (manager, alice, bob) = (server.app.manager(), server.person("alice").await, server.person("bob").await);
        server.user("carol").await;
        super::make_admin(&server, "carol").await;
        let session = session_of(&server, alice.id).await;
        let by = AuditContext::user(alice.id, session, signet::domain::event::RequestOrigin::default());
        let web = ClientId::parse("web").unwrap();
        let meta = server.app.provider.client(&web).await.unwrap().unwrap().meta.clone();
        let api = apis::all(&manager).await.unwrap().remove(0);
        let (_, access) =
            registration::create_initial_access_token(&manager, &AuditContext::command_line(), None, 60).await.unwrap();
        if demoted {
            demote(&server, alice.id).await;
        } else {
            users::end_sessions(&manager, &AuditContext::command_line(), alice.id, None).await.unwrap();
        }
        let before = state(&server).await;
        let secret = || Secret::new(NEW.to_owned());
        let person = NewUser {
            username: "dave".to_owned(),
            profile: alice.profile.clone(),
            groups: Vec::new(),
            password: Some(secret()),
            admin: true,
        };
        let raised = UserEdit { username: "alice".to_owned(), profile: alice.profile.clone(), admin: true };
        is_refused("create", users::create(&manager, &by, person).await, demoted);
        is_refused("raise oneself", users::update(&manager, &by, alice.id, raised).await, demoted);
        is_refused("groups", users::set_groups(&manager, &by, alice.id, vec!["staff".to_owned()]).await, demoted);
        let reset = users::reset(&manager, &by, bob.id, secret(), KeepOptions::default(), None).await;
        is_refused("reset", reset, demoted);
        is_refused("password", users::set_password(&manager, &by, bob.id, secret(), None).await, demoted);
        is_refused("disable", users::disable(&manager, &by, bob.id).await, demoted);
        is_refused("enable", users::enable(&manager, &by, bob.id).await, demoted);
        is_refused("delete", users::delete(&manager, &by, bob.id).await, demoted);
        is_refused("adopt", users::adopt(&manager, &by, bob.id, users::Adoption::default()).await, demoted);
        is_refused("sessions", users::end_sessions(&manager, &by, bob.id, None).await, demoted);
        let passkey = signet::domain::ids::PasskeyId(server.app.env().uuid());
        is_refused("passkey", passkeys::remove(&manager, &by, bob.id, passkey).await, demoted);
        is_refused("consent", consents::revoke(&manager, &by, bob.id, web.clone()).await, demoted);
        is_refused("group", groups::create(&manager, &by, "staff").await, demoted);
        is_refused("group", groups::delete(&manager, &by, "staff").await, demoted);
        let new = clients::NewClient { id: None, meta: meta.clone(), secret: None };
        is_refused("client", clients::create(&manager, &by, new).await, demoted);
        is_refused("client", clients::update(&manager, &by, &web, meta).await, demoted);
        is_refused("client", clients::rotate_secret(&manager, &by, &web, None).await, demoted);
        is_refused("client", clients::disable(&manager, &by, &web).await, demoted);
        is_refused("client", clients::enable(&manager, &by, &web).await, demoted);
        is_refused("client", clients::delete(&manager, &by, &web).await, demoted);
        is_refused("api", apis::put(&manager, &by, api.clone()).await, demoted);
        is_refused("api", apis::update(&manager, &by, &api.identifier, |_| {}).await, demoted);
        is_refused("api", apis::delete(&manager, &by, api.identifier.clone()).await, demoted);
        let key = crate::api_keys::new_key(crate::api_keys::web(), "orders");
        is_refused("api key", api_keys::create(&manager, &by, key).await, demoted);
        let key = signet::domain::ids::ApiKeyId(server.app.env().uuid());
        is_refused("api key", api_keys::revoke(&manager, &by, key, None).await, demoted);
        is_refused("key", keys::rotate(&manager, &by, KeyAlg::ES256, true).await, demoted);
        let kid = keys::list(&manager).await.unwrap().remove(0).kid;
        is_refused("key", keys::retire(&manager, &by, &kid).await, demoted);
        is_refused("token", registration::create_initial_access_token(&manager, &by, None, 60).await, demoted);
        is_refused("token", registration::revoke_access(&manager, &by, access.id).await, demoted);
        let document = serde_json::from_value(json!({ "groups": [{ "name": "staff" }] })).unwrap();
        is_refused("apply", apply::apply(&manager, &by, document, ApplyOptions::default()).await, demoted);
        assert_eq!(state(&server).await, before, "nothing was done");
        // One's own needs no administrator, and a session that is there.
        let own = users::end_sessions(&manager, &by, alice.id, Some(session)).await;
        assert_eq!(own.is_ok(), demoted, "{own:?}");
    }
}

/// What people change of their own needs the session that asks.
#[tokio::test]
async fn account_forms_are_decided_after_their_body() {
    let server = Server::with_alice().await;
    crate::api_keys::put_api(&server, "orders", &["api_key"]).await;
    let (manager, by, alice) = (server.app.manager(), AuditContext::command_line(), server.person("alice").await);
    let browser = server.browser();
    browser.sign_in(&server.authorize(&[])).await;
    let mut device = Authenticator::new(&server.url);
    add(&browser, &mut device).await;
    server.browser().sign_in_as("alice").await;
    let page = browser.page("/account/passkeys").await;
    let (remove, _) = page.form_at("form[action$='/delete']", &[]);
    let rename = remove.replace("/delete", "/rename");
    let token = csrf(&browser, "/account").await;
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    for (name, value) in &token {
        form.append_pair(name, value);
    }
    for (name, value) in [
        ("name", "new name"),
        ("current", PASSWORD),
        ("password", NEW),
        ("expires", "90"),
        ("allow", ""),
        ("without_scope", "true"),
    ] {
        form.append_pair(name, value);
    }
    let body = form.finish();
    let paths = [
        remove.as_str(),
        &rename,
        "/account/password",
        "/account/api-keys/new/orders",
        "/account/sessions/end-others",
        "/account/apps/web/revoke",
    ];
    let mut waiting = Vec::new();
    for path in paths {
        waiting.push((path, half_sent(&server, &browser, path, body.len()).await));
    }
    let session = sessions::of_user(server.app.store().read(), alice.id, server.app.env().now()).await.unwrap();
    let theirs = session.iter().min_by_key(|session| session.created_at).unwrap().id;
    users::end_session(&manager, &by, alice.id, theirs).await.unwrap();
    let store = server.app.store();
    let look = async || {
        let passkeys = signet::store::passkeys::of_user(store.read(), alice.id).await.unwrap();
        let names: Vec<String> = passkeys.into_iter().map(|passkey| passkey.name).collect();
        let sessions = sessions::of_user(store.read(), alice.id, server.app.env().now()).await.unwrap().len();
        let apps = consents::connected(store, alice.id).await.unwrap().len();
        let keys = signet::store::api_keys::count(store.read(), &crate::api_keys::alice(&server).await).await.unwrap();
        (names, sessions, apps, keys, server.person("alice").await.password)
    };
    let before = look().await;
    assert_eq!((before.0.len(), before.1, before.2, before.3), (1, 1, 1, 0));
    for (path, mut wire) in waiting {
        let reply = wire.raw(body.as_bytes()).await.unwrap();
        assert_eq!(reply.status, 403, "{path}");
        let page = String::from_utf8_lossy(&reply.body);
        assert!(page.contains("href=\"/login?next=%2Faccount") && !page.contains(NEW), "{path}: {page}");
    }
    assert_eq!(look().await, before, "nothing was done");
}

/// That the session cannot be read behind the body says nothing of who is signed in: nothing typed is shown as lost, and
/// the same form is done later.
#[tokio::test]
async fn a_session_unread_behind_the_body_is_503() {
    let (server, admin) = with_bob_and_web().await;
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    form.extend_pairs(csrf(&admin, "/admin").await);
    for (name, value) in [("username", "dave"), ("password", NEW), ("current", PASSWORD), ("new_groups", "")] {
        form.append_pair(name, value);
    }
    let body = form.finish();
    let mut waiting = Vec::new();
    for path in ["/admin/people/new", "/account/password"] {
        waiting.push((path, half_sent(&server, &admin, path, body.len()).await));
    }
    let aside = Aside::rename(&server, "session").await;
    for (path, mut wire) in waiting {
        let reply = wire.raw(body.as_bytes()).await.unwrap();
        let page = String::from_utf8_lossy(&reply.body);
        assert_eq!(reply.status, 503, "{path}: {page}");
        assert!(
            page.contains("data-error=\"temporarily_unavailable\"") && !page.contains("signed out"),
            "{path}: {page}"
        );
    }
    aside.back().await;
    assert_eq!(admin.page("/admin").await.status, 200, "signed in as before");
}
