//! Back-Channel Logout (OpenID Connect Back-Channel Logout 1.0): that each way for a session to end reaches the apps that
//! took part in it, what they are told, and what becomes of their answers.

use reqwest::Client as Http;
use serde_json::{Map, Value, json};
use signet::domain::algorithms::SigningAlg;
use signet::domain::ids::ClientId;
use signet::domain::jwks::JwkSet;
use signet::domain::secret::Secret;
use signet::keys::client_jws::{self, VerifiedJws};
use signet::manage::{AuditContext, clients, users};
use signet::server::background::Maintenance;

use super::{address, signed_in, tokens_in_a_browser};
use crate::device;
use crate::support::receiver::{Answer, Receiver, reachable};
use crate::support::{Browser, CALLBACK, PASSWORD, SECRET, Server, VERIFIER};
use crate::token::claims;

pub(super) const TOLD: &str = "/told";
const EVENT: &str = "http://schemas.openid.net/event/backchannel-logout";
pub(super) const DAY: i64 = 86_400;

/// A server with alice and the client `web`, which is told at the receiver.
pub(super) async fn with_receiver(changes: Value) -> (Server, Receiver) {
    let receiver = Receiver::start().await;
    receiver.answer(TOLD, Answer::status(200));
    let server = Server::start_with(reachable).await;
    server.user("alice").await;
    client(&server, &receiver, "web", changes).await;
    (server, receiver)
}

pub(super) async fn client(server: &Server, receiver: &Receiver, id: &str, changes: Value) {
    let mut meta = json!({ "backchannel_logout_uri": receiver.at(TOLD), "consent": "trusted" });
    meta.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    server.client(id, meta).await;
}

/// The logout tokens that arrived.
pub(super) fn arrived(receiver: &Receiver) -> Vec<String> {
    receiver.requests(TOLD).iter().map(|request| request.form()["logout_token"].clone()).collect()
}

/// The sessions of which the receiver was told.
pub(super) fn sids(receiver: &Receiver) -> Vec<String> {
    arrived(receiver).iter().map(|token| claims(token)["sid"].as_str().unwrap().to_owned()).collect()
}

pub(super) fn sid(token: &str) -> String {
    claims(token)["sid"].as_str().unwrap().to_owned()
}

pub async fn sign_out(browser: &Browser) {
    let page = browser.page("/oauth2/logout").await;
    assert_eq!(browser.submit(&page, &[("decision", "allow")]).await.ok().unwrap().name(), "signed-out");
}

async fn jwks(server: &Server) -> JwkSet {
    let url = format!("{}/.well-known/jwks.json", server.url);
    JwkSet::parse(&Http::new().get(url).send().await.unwrap().bytes().await.unwrap()).unwrap()
}

fn names(claims: &Map<String, Value>) -> Vec<&str> {
    let mut names: Vec<&str> = claims.keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

/// §2.4 and §2.5: the request, the header and every claim.
#[tokio::test]
async fn a_logout_token_is_exact() {
    let (server, receiver) = with_receiver(json!({})).await;
    let (browser, hint) = signed_in(&server).await;
    server.advance(60);
    sign_out(&browser).await;
    server.deliver().await;
    let requests = receiver.requests(TOLD);
    assert_eq!(requests.len(), 1);
    let request = &requests[0];
    assert_eq!(request.method, reqwest::Method::POST);
    assert_eq!(request.headers["content-type"], "application/x-www-form-urlencoded");
    assert_eq!(request.form().keys().collect::<Vec<_>>(), ["logout_token"]);
    assert!(request.headers.get("cookie").is_none() && request.headers.get("authorization").is_none());
    let token = &request.form()["logout_token"];
    let VerifiedJws { header, .. } = &client_jws::verify(token, &[SigningAlg::RS256], &jwks(&server).await).unwrap();
    assert_eq!(header.typ.as_deref(), Some("logout+jwt"));
    let told = client_jws::peek_claims(token).unwrap();
    assert_eq!(names(&told), ["aud", "events", "exp", "iat", "iss", "jti", "sid", "sub"], "and no nonce");
    let known = claims(&hint);
    assert_eq!((&told["iss"], &told["aud"]), (&json!(server.url), &json!("web")));
    assert_eq!((&told["sub"], &told["sid"]), (&known["sub"], &known["sid"]), "as the ID token has them");
    assert_eq!(told["events"], json!({ EVENT: {} }));
    let now = server.app.env().now().seconds();
    assert_eq!((told["iat"].as_i64(), told["exp"].as_i64()), (Some(now), Some(now + 120)));
    assert!(told["jti"].as_str().unwrap().len() > 20);
}

/// §2.4: signed by the algorithm of the client's ID tokens, never by none; about the person as the client knows them.
#[tokio::test]
async fn it_is_signed_as_the_clients_id_tokens_are() {
    let (server, receiver) = with_receiver(json!({})).await;
    let browser = server.browser();
    browser.sign_in(&server.authorize(&[])).await;
    for alg in ["PS256", "ES256", "EdDSA"] {
        let changes = json!({ "id_token_signed_response_alg": alg, "subject_type": "pairwise" });
        client(&server, &receiver, alg, changes).await;
        browser.sign_in(&server.authorize(&[("client_id", alg)])).await;
    }
    sign_out(&browser).await;
    server.deliver().await;
    let jwks = jwks(&server).await;
    let mut told: Vec<(String, String)> = Vec::new();
    for token in arrived(&receiver) {
        let client = claims(&token)["aud"].as_str().unwrap().to_owned();
        let alg = SigningAlg::parse(if client == "web" { "RS256" } else { &client }).unwrap();
        client_jws::verify(&token, &[alg], &jwks).unwrap();
        told.push((client, claims(&token)["sub"].as_str().unwrap().to_owned()));
    }
    told.sort();
    let person = server.person("alice").await.id.to_string();
    let clients: Vec<&str> = told.iter().map(|(client, _)| client.as_str()).collect();
    assert_eq!(clients, ["ES256", "EdDSA", "PS256", "web"]);
    assert!(told.iter().all(|(client, sub)| (client == "web") == (*sub == person)), "{told:?}");
}

#[tokio::test]
async fn a_client_whose_id_tokens_have_a_mac_gets_one() {
    let (server, receiver) = with_receiver(json!({})).await;
    client(&server, &receiver, "mac", json!({ "id_token_signed_response_alg": "HS256" })).await;
    let secret = Secret::new(SECRET.to_owned());
    let mut mac = server.app.provider.client(&ClientId::parse("mac").unwrap()).await.unwrap().unwrap().as_ref().clone();
    mac.secret = Some(server.app.provider.master.seal_client_secret(&secret).unwrap());
    let write = server.app.store().write(move |tx| {
        Box::pin(async move {
            signet::store::clients::update(tx, &mac).await?;
            tx.publish(signet::store::ChangeEvent::Client(mac.id.clone())).await
        })
    });
    write.await.unwrap();
    let browser = server.browser();
    browser.sign_in(&server.authorize(&[("client_id", "mac")])).await;
    sign_out(&browser).await;
    server.deliver().await;
    let tokens = arrived(&receiver);
    assert_eq!(tokens.len(), 1);
    let verified = client_jws::verify_mac(&tokens[0], &secret).unwrap();
    assert_eq!(verified.header.typ.as_deref(), Some("logout+jwt"));
}

/// What ends alice's session in `here`; she is signed in elsewhere too.
async fn end(server: &Server, how: &str, here: &Browser, hint: &str) {
    let (manager, by, alice) = (server.app.manager(), AuditContext::command_line(), server.person("alice").await.id);
    let elsewhere = || async {
        let other = server.browser();
        other.sign_in_as("alice").await;
        other
    };
    match how {
        "signing out here" => sign_out(here).await,
        "an app's logout request" => drop(here.open(&address(&[("id_token_hint", hint)])).await),
        "signing out there" => {
            let path = format!("/account/sessions/{}/end", sid(hint));
            elsewhere().await.press("/account/sessions", &path).await;
        }
        "signing out everywhere else" => {
            elsewhere().await.press("/account/sessions", "/account/sessions/end-others").await;
        }
        "a new password" => {
            let other = elsewhere().await;
            let page = other.page("/account/password").await;
            let fields = [("current", PASSWORD), ("password", "another long password of hers")];
            assert_eq!(other.fill(&page, "main form[method=post]", &fields).await.path, "/account");
        }
        "somebody else in this browser" => {
            server.user("bob").await;
            here.sign_in_as("bob").await;
        }
        "an administrator ending it" => {
            server.user("root").await;
            let mut root = server.person("root").await;
            root.admin = true;
            let write = server
                .app
                .store()
                .write(move |tx| Box::pin(async move { signet::store::users::update(tx, &root).await }));
            write.await.unwrap();
            let admin = server.browser();
            admin.sign_in_as("root").await;
            let page = format!("/admin/people/{alice}");
            let shown = admin.page(&page).await;
            let form = format!("form[action='{page}/sessions/end']");
            admin.fill(&shown, &form, &[("session", &sid(hint))]).await;
        }
        "being disabled" => drop(users::disable(&manager, &by, alice).await.unwrap()),
        "being deleted" => users::delete(&manager, &by, alice).await.unwrap(),
        "idleness" => {
            server.advance(30 * DAY);
            Maintenance::default().once(&server.app).await;
        }
        other => panic!("{other}"),
    }
}

/// "Signing out here, being disabled, or an administrator ending a session all reach the apps": once each, with the session
/// that has ended; and what the app holds is void where it is not for offline access (§2.7).
#[tokio::test]
async fn every_end_of_a_session_reaches_the_app() {
    for how in [
        "signing out here",
        "an app's logout request",
        "signing out there",
        "signing out everywhere else",
        "a new password",
        "somebody else in this browser",
        "an administrator ending it",
        "being disabled",
        "being deleted",
        "idleness",
    ] {
        let (server, receiver) = with_receiver(json!({})).await;
        let (here, tokens) = tokens_in_a_browser(&server, "openid").await;
        let hint = tokens["id_token"].as_str().unwrap();
        end(&server, how, &here, hint).await;
        assert_eq!(sids(&receiver), Vec::<String>::new(), "{how}: nobody waits for the app");
        server.deliver().await;
        assert_eq!(sids(&receiver), [sid(hint)], "{how}");
        let refresh = tokens["refresh_token"].as_str().unwrap();
        let (status, _) = server.token(&[("grant_type", "refresh_token"), ("refresh_token", refresh)]).await;
        assert_eq!(status, 400, "{how}");
        server.advance(60);
        server.deliver().await;
        assert_eq!(receiver.requests(TOLD).len(), 1, "{how}: told once");
    }
}

/// §2.7: what is for offline access goes on, and the app is told of the session's end all the same.
#[tokio::test]
async fn offline_access_goes_on() {
    let (server, receiver) = with_receiver(json!({})).await;
    let (browser, tokens) = tokens_in_a_browser(&server, "openid offline_access").await;
    sign_out(&browser).await;
    server.deliver().await;
    assert_eq!(sids(&receiver), [sid(tokens["id_token"].as_str().unwrap())]);
    let refresh = tokens["refresh_token"].as_str().unwrap();
    let (status, _) = server.token(&[("grant_type", "refresh_token"), ("refresh_token", refresh)]).await;
    assert_eq!(status, 200);
}

/// The same person signing in again in the same browser goes on with the session that apps know: nothing has ended.
#[tokio::test]
async fn signing_in_again_ends_nothing() {
    let (server, receiver) = with_receiver(json!({})).await;
    let (browser, hint) = signed_in(&server).await;
    browser.sign_in_as("alice").await;
    server.deliver().await;
    assert_eq!(sids(&receiver), Vec::<String>::new());
    sign_out(&browser).await;
    server.deliver().await;
    assert_eq!(sids(&receiver), [sid(&hint)]);
}

/// Another session, a client that took no part, that has no address any more, that is off or gone: nobody is told.
#[tokio::test]
async fn nobody_else_is_told() {
    let (server, receiver) = with_receiver(json!({})).await;
    let by = AuditContext::command_line();
    for id in ["absent", "off", "gone", "silent"] {
        client(&server, &receiver, id, json!({})).await;
    }
    let (browser, hint) = signed_in(&server).await;
    let (_, other) = signed_in(&server).await;
    for id in ["off", "gone", "silent"] {
        browser.sign_in(&server.authorize(&[("client_id", id)])).await;
    }
    let id = |text| ClientId::parse(text).unwrap();
    clients::disable(&server.app.manager(), &by, &id("off")).await.unwrap();
    clients::delete(&server.app.manager(), &by, &id("gone")).await.unwrap();
    let mut silent = server.app.provider.client(&id("silent")).await.unwrap().unwrap().meta.clone();
    silent.backchannel_logout_uri = None;
    clients::update(&server.app.manager(), &by, &id("silent"), silent).await.unwrap();
    sign_out(&browser).await;
    server.deliver().await;
    assert_eq!(sids(&receiver), [sid(&hint)]);
    assert_ne!(sids(&receiver), [sid(&other)]);
}

/// A code that is redeemed when its session has ended is worth nothing, and the app that got it has been told.
#[tokio::test]
async fn an_app_that_has_only_a_code_is_told_too() {
    let (server, receiver) = with_receiver(json!({})).await;
    let browser = server.browser();
    let callback = browser.sign_in(&server.authorize(&[])).await;
    sign_out(&browser).await;
    server.deliver().await;
    assert_eq!(receiver.requests(TOLD).len(), 1);
    let form = [
        ("grant_type", "authorization_code"),
        ("code", callback["code"].as_str()),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    assert_eq!(server.token(&form).await.0, 400);
}

/// A device whose tokens came of a session in a browser takes part in it.
#[tokio::test]
async fn a_device_is_told_too() {
    let (server, receiver) = with_receiver(json!({})).await;
    device::tv(&server, "tv", json!({ "backchannel_logout_uri": receiver.at(TOLD), "scope": "openid" })).await;
    let asked = device::ask(&server, "openid").await;
    let browser = device::decide(&server, &asked, "allow").await;
    let (_, tokens) = device::poll(&server, &asked).await;
    sign_out(&browser).await;
    server.deliver().await;
    assert_eq!(sids(&receiver), [sid(tokens["id_token"].as_str().unwrap())]);
}
