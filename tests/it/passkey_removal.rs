//! A passkey that is removed ends what it opened: the sessions whose last sign-in was with it, and every grant that comes of
//! one, in the same transaction, whoever removes it.

use serde_json::{Value, json};
use signet::domain::ids::PasskeyId;
use signet::domain::secret::Secret;
use signet::manage::access::KeepOptions;
use signet::manage::{AuditContext, passkeys, users};
use signet::store::passkeys as rows;

use crate::passkey::{add, finish, signed};
use crate::support::authenticator::Authenticator;
use crate::support::{Browser, PASSWORD, Server};

const HERE: &str = "/account/passkeys";

/// Alice's own browser, where she signed in with her password and added a passkey; and what is done with that passkey in
/// another browser, which has a refresh token for offline use and a code that is not redeemed yet.
struct Stolen {
    server: Server,
    own: Browser,
    thief: Browser,
    device: Authenticator,
    tokens: Value,
    code: String,
}

async fn sign_in(browser: &Browser, device: &mut Authenticator) {
    let login = browser.page("/login").await;
    let fields = signed(browser, &login, device).await;
    assert_eq!(finish(browser, &fields).await.ok().unwrap().path, "/");
}

async fn stolen() -> Stolen {
    let server = Server::with_alice().await;
    let own = server.browser();
    own.sign_in_as("alice").await;
    let mut device = Authenticator::new(&server.url);
    add(&own, &mut device).await;
    let thief = server.browser();
    sign_in(&thief, &mut device).await;
    let offline = server.authorize(&[("scope", "openid offline_access"), ("prompt", "consent")]);
    let callback = thief.sign_in(&offline).await;
    let (status, tokens) = server.redeem(&callback["code"]).await;
    assert_eq!(status, 200, "{tokens}");
    let code = thief.sign_in(&offline).await["code"].clone();
    Stolen { server, own, thief, device, tokens, code }
}

impl Stolen {
    async fn passkey(&self) -> PasskeyId {
        let alice = self.server.person("alice").await.id;
        rows::of_user(self.server.app.store().read(), alice).await.unwrap()[0].id
    }

    async fn userinfo(&self) -> u16 {
        let request = reqwest::Client::new().get(format!("{}/oauth2/userinfo", self.server.url));
        let request = request.bearer_auth(self.tokens["access_token"].as_str().unwrap());
        request.send().await.unwrap().status().as_u16()
    }

    async fn assert_nothing_is_left(&mut self) {
        assert_eq!(self.thief.page("/account").await.name(), "login", "the session");
        let refresh = self.tokens["refresh_token"].as_str().unwrap();
        let form = [("grant_type", "refresh_token"), ("refresh_token", refresh)];
        assert_eq!(self.server.token(&form).await.1["error"], "invalid_grant", "the grant");
        assert_eq!(self.server.redeem(&self.code).await.1["error"], "invalid_grant", "the code");
        assert_eq!(self.userinfo().await, 401, "the access token");
        let login = self.thief.page("/login").await;
        let fields = signed(&self.thief, &login, &mut self.device).await;
        assert_eq!(finish(&self.thief, &fields).await.ok().unwrap().name(), "login", "the passkey");
    }
}

#[tokio::test]
async fn removing_it_on_the_account_page_ends_what_it_opened() {
    let mut stolen = stolen().await;
    assert_eq!(stolen.userinfo().await, 200);
    let page = stolen.own.page(HERE).await;
    assert!(page.html.contains("signs you out everywhere it was used"), "{}", page.html);
    let done = stolen.own.submit_at(&page, "form[action$='/delete']", &[]).await.ok().unwrap();
    assert!(done.path == HERE && done.html.contains("what was signed in with it is signed out"), "{}", done.html);
    stolen.assert_nothing_is_left().await;
    assert_eq!(stolen.own.page("/account").await.name(), "account", "a session by password goes on");
}

#[tokio::test]
async fn removing_the_passkey_of_the_present_session_ends_it() {
    let Stolen { server, thief: browser, .. } = stolen().await;
    let page = browser.page(HERE).await;
    assert!(page.html.contains("Removing it signs you out, here and everywhere else"), "{}", page.html);
    let done = browser.submit_at(&page, "form[action$='/delete']", &[]).await.ok().unwrap();
    assert_eq!(done.name(), "login");
    // By another passkey or the password it goes on.
    browser.sign_in_as("alice").await;
    let (mut one, mut other) = (Authenticator::new(&server.url), Authenticator::new(&server.url));
    add(&browser, &mut one).await;
    add(&browser, &mut other).await;
    sign_in(&browser, &mut other).await;
    let page = browser.page(HERE).await;
    let done = browser.submit_at(&page, "form[action$='/delete']", &[]).await.ok().unwrap();
    assert_eq!((done.name().as_str(), done.count("form[action$='/delete']")), ("account", 1));
}

/// A password that somebody has found out does not replace a passkey: not in a session either that began before the passkey
/// was added.
#[tokio::test]
async fn older_session_by_password_cannot_remove_a_passkey() {
    let server = Server::with_alice().await;
    let (own, thief) = (server.browser(), server.browser());
    for browser in [&own, &thief] {
        browser.sign_in_as("alice").await;
    }
    add(&own, &mut Authenticator::new(&server.url)).await;
    let alice = server.person("alice").await.id;
    let id = rows::of_user(server.app.store().read(), alice).await.unwrap()[0].id;
    let page = thief.page(HERE).await;
    let action = format!("{HERE}/{id}/delete");
    let refused = thief.fill(&page, &format!("form[action='{action}']"), &[]).await;
    assert!(refused.status == 403 && refused.has("button#passkey"), "{}", refused.html);
    let page = own.page(HERE).await;
    let removed = own.fill(&page, &format!("form[action='{action}']"), &[]).await;
    assert!(removed.html.contains("is removed"), "the session that added it: {}", removed.html);
}

#[tokio::test]
async fn an_administrator_who_removes_it_ends_what_it_opened() {
    let mut stolen = stolen().await;
    let (alice, passkey) = (stolen.server.person("alice").await.id, stolen.passkey().await);
    let removed =
        passkeys::remove(&stolen.server.app.manager(), &AuditContext::command_line(), alice, passkey).await.unwrap();
    assert_eq!(removed.to_string(), "1 session, 1 grant");
    stolen.assert_nothing_is_left().await;
    assert_eq!(stolen.own.page("/account").await.name(), "account");
}

/// What a thief has allowed an app in the user's name is asked again after a reset.
#[tokio::test]
async fn reset_forgets_consents_unless_they_are_kept() {
    let server = Server::with_alice().await;
    let alice = server.person("alice").await.id;
    server.browser().sign_in(&server.authorize(&[])).await;
    for (keep, page) in
        [(KeepOptions { consents: true, ..KeepOptions::default() }, None), (KeepOptions::default(), Some("consent"))]
    {
        let (manager, password) = (server.app.manager(), Secret::new(PASSWORD.to_owned()));
        let (_, removed) =
            users::reset(&manager, &AuditContext::command_line(), alice, password, keep, None).await.unwrap();
        assert_eq!(removed.consents, u64::from(page.is_some()));
        let browser = server.browser();
        browser.sign_in_as("alice").await;
        let asked = browser.open(&server.authorize(&[])).await;
        assert_eq!(asked.ok().map(|asked| asked.name()).as_deref(), page);
    }
}

/// Nobody knows the grant of tokens that came with the code, which was not redeemed.
#[tokio::test]
async fn tokens_beside_an_unused_code_end_with_the_passkey() {
    let Stolen { server, thief, .. } = stolen().await;
    let meta = json!({
        "grant_types": ["authorization_code", "implicit", "refresh_token"],
        "response_types": ["code token"], "consent": "trusted",
    });
    server.client("spa", meta).await;
    let asked = [("client_id", "spa"), ("response_type", "code token"), ("scope", "openid offline_access")];
    let callback = thief.sign_in(&server.authorize(&asked)).await;
    let userinfo = async || {
        let request = reqwest::Client::new().get(format!("{}/oauth2/userinfo", server.url));
        request.bearer_auth(&callback["access_token"]).send().await.unwrap().status().as_u16()
    };
    assert_eq!((userinfo().await, callback["scope"].as_str()), (200, "openid"));
    let alice = server.person("alice").await.id;
    let id = rows::of_user(server.app.store().read(), alice).await.unwrap()[0].id;
    passkeys::remove(&server.app.manager(), &AuditContext::command_line(), alice, id).await.unwrap();
    assert_eq!(userinfo().await, 401);
}

#[tokio::test]
async fn a_reset_that_keeps_sessions_ends_those_of_its_passkeys() {
    let mut stolen = stolen().await;
    let alice = stolen.server.person("alice").await.id;
    let (password, keep) = (
        Secret::new("another long sentence".to_owned()),
        KeepOptions { sessions: true, grants: true, ..KeepOptions::default() },
    );
    let (_, removed) =
        users::reset(&stolen.server.app.manager(), &AuditContext::command_line(), alice, password, keep, None)
            .await
            .unwrap();
    assert_eq!((removed.passkeys, removed.sessions, removed.grants), (1, 1, 1));
    stolen.assert_nothing_is_left().await;
    assert_eq!(stolen.own.page("/account").await.name(), "account");
}

/// A sign-in and a removal at the same time: whichever comes first, no session of that passkey is left.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_sign_in_on_its_way_does_not_outlive_the_removal() {
    let server = Server::with_alice().await;
    let alice = server.person("alice").await.id;
    let own = server.browser();
    own.sign_in_as("alice").await;
    for round in 0..6 {
        let mut device = Authenticator::new(&server.url);
        add(&own, &mut device).await;
        let passkey = rows::of_user(server.app.store().read(), alice).await.unwrap()[0].id;
        let browser = server.browser();
        let login = browser.page("/login").await;
        let fields = signed(&browser, &login, &mut device).await;
        let removal = async {
            for _ in 0..round {
                server.person("alice").await;
            }
            passkeys::remove(&server.app.manager(), &AuditContext::command_line(), alice, passkey).await.unwrap();
        };
        futures::future::join(browser.raw_post("/login/passkey/finish", &fields), removal).await;
        assert_eq!(browser.page("/account").await.name(), "login", "round {round}");
    }
    assert_eq!(own.page("/account").await.name(), "account");
}

/// The session goes on by another method: what the passkey opened in it ends with the passkey all the same.
#[tokio::test]
async fn a_later_password_sign_in_hides_no_passkey() {
    let Stolen { server, thief, .. } = stolen().await;
    let meta = json!({ "grant_types": ["authorization_code"], "consent": "trusted", "scope": "openid" });
    server.client("bare", meta).await;
    let asked = server.authorize(&[("client_id", "bare"), ("scope", "openid")]);
    let code = thief.sign_in(&asked).await["code"].clone();
    let form = [
        ("grant_type", "authorization_code"),
        ("code", code.as_str()),
        ("redirect_uri", crate::support::CALLBACK),
        ("code_verifier", crate::support::VERIFIER),
    ];
    let token = server.token_as("bare", &form).await.1["access_token"].as_str().unwrap().to_owned();
    let userinfo = async || {
        let request = reqwest::Client::new().get(format!("{}/oauth2/userinfo", server.url));
        request.bearer_auth(&token).send().await.unwrap().status().as_u16()
    };
    thief.sign_in_as("alice").await;
    assert_eq!(userinfo().await, 200);
    let alice = server.person("alice").await.id;
    let id = rows::of_user(server.app.store().read(), alice).await.unwrap()[0].id;
    passkeys::remove(&server.app.manager(), &AuditContext::command_line(), alice, id).await.unwrap();
    assert_eq!(userinfo().await, 401);
    assert_eq!(thief.page("/account").await.name(), "login");
}
