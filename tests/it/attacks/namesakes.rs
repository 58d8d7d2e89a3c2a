//! Identifiers are not inherited: a client or an API that is made anew under an old identifier gets nothing that was asked
//! for, allowed or issued before.

use serde_json::{Value, json};
use signet::domain::client_metadata::ClientMetadata;
use signet::domain::delivery::Outcome;
use signet::domain::ids::{ClientId, DeliveryId, SessionId};
use signet::domain::participant::Participant;
use signet::domain::secret::Secret;
use signet::manage::clients::NewClient;
use signet::manage::{By, clients};

use super::http;
use crate::logout::sign_out;
use crate::support::receiver::{Answer, Receiver, reachable};
use crate::support::{CALLBACK, PASSWORD, SECRET, Server};

/// Deletes `web` and makes another one.
async fn make_anew(server: &Server) {
    make_anew_with(server, json!({})).await;
}

async fn make_anew_with(server: &Server, changes: Value) {
    let (manager, by, web) = (server.app.manager(), By::command_line(), ClientId::parse("web").unwrap());
    clients::delete(&manager, &by, &web).await.unwrap();
    let mut meta = json!({ "redirect_uris": [CALLBACK], "grant_types": ["authorization_code", "refresh_token"],
                           "scope": "openid profile email offline_access" });
    meta.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    let meta: ClientMetadata = serde_json::from_value(meta).unwrap();
    let new = NewClient { id: Some("web".into()), meta, secret: Some(Secret::new(SECRET.into())) };
    clients::create(&manager, &by, new).await.unwrap();
}

#[tokio::test]
async fn an_open_interaction_is_not_the_namesakes() {
    let server = Server::with_alice().await;
    let other = server.node().await;
    let browser = server.browser();
    let login = browser.page(&server.authorize(&[])).await;
    let consenting = server.browser();
    let page = consenting.page(&server.authorize(&[])).await;
    let credentials = [("username", "alice"), ("password", PASSWORD)];
    let consent = consenting.submit(&page, &credentials).await.ok().unwrap();
    assert_eq!(consent.name(), "consent");
    make_anew(&server).await;
    let after = browser.submit(&login, &credentials).await.expect("a page, and no code");
    assert_eq!(after.error(), "invalid_request", "{}", after.html);
    let after = consenting.submit(&consent, &[("decision", "allow")]).await.expect("a page, and no code");
    assert_eq!(after.error(), "invalid_request");
    // A new request is asked about anew, on a node that has not heard of it too.
    let asked = other.browser();
    let page = asked.page(&other.authorize(&[])).await;
    let page = asked.submit(&page, &credentials).await.ok().unwrap();
    assert_eq!(page.name(), "consent", "what the old client was allowed is not inherited");
    let answer = asked.submit(&page, &[("decision", "allow")]).await.err().unwrap();
    assert_eq!(other.redeem(&answer["code"]).await.0, 200);
}

#[tokio::test]
async fn a_pushed_request_is_not_the_namesakes() {
    let server = Server::with_alice().await;
    let query = server.authorize(&[]).split_once('?').unwrap().1.to_owned();
    let form: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let push = http().post(format!("{}/oauth2/par", server.url)).basic_auth("web", Some(SECRET)).form(&form);
    let pushed: Value = push.send().await.unwrap().json().await.unwrap();
    make_anew(&server).await;
    let uri = pushed["request_uri"].as_str().unwrap();
    let path = url::form_urlencoded::Serializer::new("/oauth2/authorize?".to_owned())
        .extend_pairs([("client_id", "web"), ("request_uri", uri)])
        .finish();
    assert_eq!(server.browser().page(&path).await.error(), "invalid_request_uri");
}

/// A client made anew under an old identifier is told of no sign-out of users who never used it: not of one that waits to
/// be told again, not of one that a node is about to tell, and not of a session in which the old one took part.
#[tokio::test]
async fn a_pending_sign_out_is_not_the_namesakes() {
    let receiver = Receiver::start().await;
    receiver.answer("/old", Answer::status(503));
    receiver.answer("/new", Answer::status(204));
    let server = Server::start_with(reachable).await;
    server.user("alice").await;
    server.client("web", json!({ "backchannel_logout_uri": receiver.at("/old"), "consent": "trusted" })).await;
    let other = server.node().await;
    let (store, web) = (server.app.store(), ClientId::parse("web").unwrap());
    let client = store.authority().client(store, &web).await.unwrap().unwrap();
    let (waiting, open) = (server.browser(), server.browser());
    for browser in [&waiting, &open] {
        browser.sign_in(&server.authorize(&[])).await;
    }
    sign_out(&waiting).await;
    server.deliver().await;
    assert_eq!(receiver.requests("/old").len(), 1, "it waits to be told again");
    make_anew_with(&server, json!({ "backchannel_logout_uri": receiver.at("/new"), "consent": "trusted" })).await;
    sign_out(&open).await;
    let (user, session) = (server.person("alice").await.id, SessionId(server.app.env().uuid()));
    let claimed = Participant { client: web.clone(), incarnation: client.incarnation, user, session };
    for node in [&server, &other] {
        let id = DeliveryId(server.app.env().uuid());
        assert_eq!(node.app.provider.tell_of_logout(id, &claimed).await.unwrap(), Outcome::Done);
        server.advance(3600);
        node.deliver().await;
    }
    assert_eq!((receiver.requests("/old").len(), receiver.requests("/new").len()), (1, 0));
    // What the new one takes part in, it is told of.
    open.sign_in(&server.authorize(&[])).await;
    sign_out(&open).await;
    other.deliver().await;
    assert_eq!((receiver.requests("/old").len(), receiver.requests("/new").len()), (1, 1));
}

/// Each use of a deleted client's or API's identifier leaves the counter behind that its successor starts above.
#[tokio::test]
async fn a_namesake_starts_above_the_version_of_the_old_one() {
    let server = Server::with_alice().await;
    let (store, web) = (server.app.store(), ClientId::parse("web").unwrap());
    let mut before = store.authority().client(store, &web).await.unwrap().unwrap().version;
    for _ in 0..3 {
        make_anew(&server).await;
        let now = store.authority().client(store, &web).await.unwrap().unwrap().version;
        assert!(now > before, "{now} after {before}");
        before = now;
    }
}

/// Another client that might trade the tokens of a deleted one may not trade those of its namesake.
#[tokio::test]
async fn a_policy_for_tokens_is_not_for_the_namesakes() {
    let server = Server::with_alice().await;
    let grant = "urn:ietf:params:oauth:grant-type:token-exchange";
    let policy = json!([{ "client": "web", "impersonation": true }, { "client": "other", "impersonation": true }]);
    let service = json!({ "redirect_uris": [], "grant_types": ["client_credentials", grant], "token_exchange": policy,
                          "scope": "openid email" });
    server.client("service", service).await;
    let trade = async || {
        let tokens = super::tokens(&server, "openid email").await;
        let form = [
            ("grant_type", grant),
            ("subject_token", tokens["access_token"].as_str().unwrap()),
            ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
        ];
        server.token_as("service", &form).await.0
    };
    assert_eq!(trade().await, 200);
    make_anew(&server).await;
    assert_eq!(trade().await, 400);
    let left = server.app.provider.client(&ClientId::parse("service").unwrap()).await.unwrap().unwrap();
    let left: Vec<&str> = left.meta.token_exchange.iter().map(|policy| policy.client.as_str()).collect();
    assert_eq!(left, ["other"], "and others stay");
}
