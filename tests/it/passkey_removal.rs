//! A passkey that is removed ends what it opened: the sessions whose last sign-in was with it, and every grant that comes of
//! one, in the same transaction, whoever removes it.

use serde_json::Value;
use signet::domain::ids::PasskeyId;
use signet::domain::secret::Secret;
use signet::manage::access::Keep;
use signet::manage::{By, passkeys, people};
use signet::store::passkeys as rows;

use crate::passkey::{add, finish, signed};
use crate::support::authenticator::Authenticator;
use crate::support::{Browser, Server};

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

#[tokio::test]
async fn an_administrator_who_removes_it_ends_what_it_opened() {
    let mut stolen = stolen().await;
    let (alice, passkey) = (stolen.server.person("alice").await.id, stolen.passkey().await);
    let removed = passkeys::remove(&stolen.server.app.manager(), &By::command_line(), alice, passkey).await.unwrap();
    assert_eq!(removed.to_string(), "1 session, 1 grant");
    stolen.assert_nothing_is_left().await;
    assert_eq!(stolen.own.page("/account").await.name(), "account");
}

/// What the reset is told to keep is what did not come of a removed passkey.
#[tokio::test]
async fn a_reset_that_keeps_sessions_ends_those_of_its_passkeys() {
    let mut stolen = stolen().await;
    let alice = stolen.server.person("alice").await.id;
    let (password, keep) =
        (Secret::new("another long sentence".to_owned()), Keep { sessions: true, grants: true, ..Keep::default() });
    let (_, removed) =
        people::reset(&stolen.server.app.manager(), &By::command_line(), alice, password, keep, None).await.unwrap();
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
            passkeys::remove(&server.app.manager(), &By::command_line(), alice, passkey).await.unwrap();
        };
        futures::future::join(browser.raw_post("/login/passkey/finish", &fields), removal).await;
        assert_eq!(browser.page("/account").await.name(), "login", "round {round}");
    }
    assert_eq!(own.page("/account").await.name(), "account");
}
