//! Passkeys over HTTP (WebAuthn Level 3 §7): registered on the account page, used at sign-in, on both engines. What a real
//! browser makes of the pages is in `browser`.

use serde_json::Value;
use signet::domain::secret::base64url;

use crate::support::authenticator::Authenticator;
use crate::support::{Browser, Page, Server};
use crate::token::claims;

const HERE: &str = "/account/passkeys";

/// Adds a passkey to whoever is signed in; the page that says so.
pub async fn add(browser: &Browser, device: &mut Authenticator) -> Page {
    let page = browser.page(HERE).await;
    let challenge: Value = browser.ask(&page, "/account/passkeys/options").await.json().await.unwrap();
    let credential = device.create(&challenge["publicKey"]);
    let ticket = challenge["ticket"].as_str().unwrap();
    let fields = [("ticket", ticket), ("credential", credential.as_str()), ("name", "Test on Linux")];
    browser.submit_at(&page, "form[data-passkey-finish]", &fields).await.ok().unwrap()
}

/// The fields that the sign-in page's script would send.
pub async fn signed(browser: &Browser, login: &Page, device: &mut Authenticator) -> Vec<(String, String)> {
    let challenge: Value = browser.ask(login, "/login/passkey/options").await.json().await.unwrap();
    let credential = device.get(&challenge["publicKey"]);
    login.form(&[("ticket", challenge["ticket"].as_str().unwrap()), ("credential", &credential)]).1
}

pub async fn finish(browser: &Browser, fields: &[(String, String)]) -> Result<Page, crate::support::Callback> {
    browser.follow(browser.raw_post("/login/passkey/finish", fields).await).await
}

async fn alice_with_a_passkey() -> (Server, Browser, Authenticator) {
    let server = Server::with_alice().await;
    let browser = server.browser();
    browser.sign_in_as("alice").await;
    let mut device = Authenticator::new(&server.url);
    let page = add(&browser, &mut device).await;
    assert!(page.html.contains("The passkey is added") && page.html.contains("Test on Linux"), "{}", page.html);
    (server, browser, device)
}

#[tokio::test]
async fn a_passkey_signs_in_to_an_app_and_the_tokens_say_how() {
    let (server, _, mut device) = alice_with_a_passkey().await;
    let browser = server.browser();
    let login = browser.open(&server.authorize(&[])).await.ok().unwrap();
    assert!(login.has("button#passkey[type=button]") && login.has("input#username[autocomplete~=webauthn]"));
    let fields = signed(&browser, &login, &mut device).await;
    let consent = finish(&browser, &fields).await.ok().unwrap();
    let callback = browser.submit(&consent, &[("decision", "allow")]).await.err().expect("back at the app");
    let id = claims(server.redeem(&callback["code"]).await.1["id_token"].as_str().unwrap());
    assert_eq!(id["acr"], "phr");
    assert!(id["amr"].as_array().unwrap().contains(&"mfa".into()), "{id}");
    let page = browser.page(HERE).await;
    assert!(page.html.contains("last used"));
}

#[tokio::test]
async fn what_is_signed_works_once_in_one_browser_for_ten_minutes() {
    let (server, _, mut device) = alice_with_a_passkey().await;
    let browser = server.browser();
    let login = browser.page("/login").await;
    let fields = signed(&browser, &login, &mut device).await;
    let thief = server.browser();
    let theirs = thief.page("/login").await;
    let mut stolen = theirs.form(&[]).1;
    stolen.extend(fields.iter().filter(|(name, _)| name == "ticket" || name == "credential").cloned());
    assert_eq!(finish(&thief, &stolen).await.ok().unwrap().name(), "login", "another browser");
    assert_eq!(finish(&browser, &fields).await.ok().unwrap().path, "/");
    // A fresh page of the same browser, with what was sent before.
    let login = browser.page("/login").await;
    let mut again = login.form(&[]).1;
    again.extend(fields.iter().filter(|(name, _)| name == "ticket" || name == "credential").cloned());
    assert_eq!(finish(&browser, &again).await.ok().unwrap().name(), "login", "a second time");
    let fields = signed(&browser, &login, &mut device).await;
    server.advance(601);
    assert_eq!(finish(&browser, &fields).await.ok().unwrap().name(), "login", "too late");
}

/// T26: the origin is the issuer's own, exactly, whatever the end of its name.
#[tokio::test]
async fn a_passkey_is_refused_for_another_origin_key_or_without_the_person() {
    let (server, _, device) = alice_with_a_passkey().await;
    let with = |change: &dyn Fn(&mut Authenticator)| {
        let mut device = device.clone();
        change(&mut device);
        device
    };
    let mut another_key = Authenticator::new(&server.url);
    (another_key.id, another_key.user_handle) = (device.id.clone(), device.user_handle.clone());
    for (what, mut device) in [
        ("another port", with(&|device| device.origin = "http://localhost:1".to_owned())),
        ("a name that ends alike", with(&|device| device.origin = server.url.replace("localhost", "badlocalhost"))),
        ("a subdomain", with(&|device| device.origin = server.url.replace("localhost", "a.localhost"))),
        ("https for http", with(&|device| device.origin = server.url.replace("http:", "https:"))),
        ("another relying party", with(&|device| device.rp_id = "example.com".to_owned())),
        ("nobody verified", with(&|device| device.flags = 0x01)),
        ("nobody there", with(&|device| device.flags = 0x04)),
        ("an unknown credential", with(&|device| device.id = vec![7; 32])),
        ("another key under that id", another_key),
        ("another person's handle", with(&|device| device.user_handle = base64url(&[0; 16]))),
    ] {
        let browser = server.browser();
        let login = browser.page("/login").await;
        let fields = signed(&browser, &login, &mut device).await;
        let page = finish(&browser, &fields).await.ok().unwrap();
        assert_eq!(page.name(), "login", "{what}");
        assert!(page.html.contains("That passkey didn’t work."), "{what}");
        assert!(browser.raw("/account").await.status().is_redirection(), "{what}");
    }
}

#[tokio::test]
async fn somebody_turned_off_does_not_sign_in_by_passkey() {
    let (server, _, mut device) = alice_with_a_passkey().await;
    let alice = server.person("alice").await;
    signet::manage::users::disable(&server.app.manager(), &signet::manage::AuditContext::command_line(), alice.id)
        .await
        .unwrap();
    let browser = server.browser();
    let login = browser.page("/login").await;
    let fields = signed(&browser, &login, &mut device).await;
    assert_eq!(finish(&browser, &fields).await.ok().unwrap().name(), "login");
}

/// A session that somebody found open is not to be turned into a key that stays.
#[tokio::test]
async fn adding_one_needs_a_sign_in_of_the_last_minutes() {
    let server = Server::with_alice().await;
    let browser = server.browser();
    browser.sign_in_as("alice").await;
    server.advance(15 * 60 + 1);
    let page = browser.page(HERE).await;
    assert_eq!(browser.ask(&page, "/account/passkeys/options").await.status(), 403);
    browser.sign_in_as("alice").await;
    assert_eq!(browser.ask(&browser.page(HERE).await, "/account/passkeys/options").await.status(), 200);
}

#[tokio::test]
async fn one_authenticator_is_added_once_and_only_to_who_asked() {
    let (server, browser, mut device) = alice_with_a_passkey().await;
    let options: Value =
        browser.ask(&browser.page(HERE).await, "/account/passkeys/options").await.json().await.unwrap();
    assert_eq!(options["publicKey"]["excludeCredentials"][0]["id"], base64url(&device.id));
    assert_eq!(options["publicKey"]["authenticatorSelection"]["residentKey"], "required");
    assert_eq!(options["publicKey"]["authenticatorSelection"]["userVerification"], "required");
    let page = add(&browser, &mut device).await;
    assert!(!page.html.contains("is added") && page.html.matches("/rename").count() == 1);
    // Bob hands in the answer to a question that alice was asked.
    server.user("bob").await;
    let bob = server.browser();
    bob.sign_in_as("bob").await;
    let page = bob.page(HERE).await;
    let credential = Authenticator::new(&server.url).create(&options["publicKey"]);
    let fields = [("ticket", options["ticket"].as_str().unwrap()), ("credential", credential.as_str())];
    let page = bob.submit_at(&page, "form[data-passkey-finish]", &fields).await.ok().unwrap();
    assert!(page.html.contains("That took too long") && page.html.contains("No passkey yet"));
}

#[tokio::test]
async fn a_passkey_is_renamed_and_removed_by_its_owner_alone() {
    let (server, browser, mut device) = alice_with_a_passkey().await;
    let page = browser.page(HERE).await;
    let renamed =
        browser.submit_at(&page, "form[action$='/rename']", &[("name", "<b>Blue</b> key")]).await.ok().unwrap();
    assert!(renamed.html.contains("&#60;b&#62;Blue&#60;/b&#62; key") && !renamed.html.contains("<b>Blue"));
    server.user("bob").await;
    let bob = server.browser();
    bob.sign_in_as("bob").await;
    let (delete, _) = page.form_at("form[action$='/delete']", &[]);
    let form = bob.page("/account/password").await.form(&[]).1;
    bob.raw_post(&delete, &form).await;
    assert!(browser.page(HERE).await.html.contains("Blue"), "bob removes nothing of alice's");
    browser.submit_at(&page, "form[action$='/delete']", &[]).await.ok().unwrap();
    assert!(browser.page(HERE).await.html.contains("No passkey yet"));
    let stranger = server.browser();
    let login = stranger.page("/login").await;
    let fields = signed(&stranger, &login, &mut device).await;
    assert_eq!(finish(&stranger, &fields).await.ok().unwrap().name(), "login");
}

/// T2: what is empty, malformed or from elsewhere never gets further.
#[tokio::test]
async fn empty_and_malformed_answers_sign_nobody_in() {
    let (server, _, mut device) = alice_with_a_passkey().await;
    let browser = server.browser();
    let login = browser.page("/login").await;
    let good = signed(&browser, &login, &mut device).await;
    for (name, value) in [
        ("ticket", ""),
        ("ticket", "e30.e30.e30.e30.e30"),
        ("credential", ""),
        ("credential", "{}"),
        ("credential", "[[[[[[[["),
        ("credential", "null"),
    ] {
        let mut fields = good.clone();
        fields.iter_mut().filter(|(known, _)| known == name).for_each(|(_, kept)| value.clone_into(kept));
        let page = finish(&browser, &fields).await.ok().unwrap();
        assert_eq!((page.name().as_str(), page.status), ("login", 200), "{name}={value}");
    }
    let no_token: Vec<_> = good.iter().filter(|(name, _)| name != "csrf").cloned().collect();
    assert_eq!(finish(&browser, &no_token).await.ok().unwrap().status, 400);
    assert_eq!(browser.raw_post("/login/passkey/options", &good).await.status(), 400, "a form is no question");
    assert_eq!(finish(&browser, &good).await.ok().unwrap().path, "/", "the good one still works");
}

/// Tickets drawn while there was room add no more than fit.
#[tokio::test]
async fn tickets_drawn_in_advance_do_not_exceed_the_passkey_limit() {
    use signet::identity::passkey::MAX_PASSKEYS;
    use signet::store::passkeys;
    let server = Server::with_alice().await;
    let browser = server.browser();
    browser.sign_in_as("alice").await;
    let page = browser.page(HERE).await;
    let mut answers = Vec::new();
    for _ in 0..MAX_PASSKEYS + 3 {
        let challenge: Value = browser.ask(&page, "/account/passkeys/options").await.json().await.unwrap();
        let credential = Authenticator::new(&server.url).create(&challenge["publicKey"]);
        let fields = [("ticket", challenge["ticket"].as_str().unwrap()), ("credential", credential.as_str())];
        answers.push(page.form_at("form[data-passkey-finish]", &fields));
    }
    let sent = answers.iter().map(|(action, form)| browser.raw_post(action, form));
    for answer in futures::future::join_all(sent).await {
        assert_eq!(answer.status(), 303);
    }
    let alice = server.person("alice").await.id;
    assert_eq!(passkeys::of_user(server.app.store().read(), alice).await.unwrap().len(), MAX_PASSKEYS);
    assert_eq!(browser.ask(&page, "/account/passkeys/options").await.status(), 409);
}

/// A session that drew a ticket before the account had a passkey adds none after another session has added one.
#[tokio::test]
async fn a_weaker_session_adds_no_passkey_by_an_old_ticket() {
    use signet::store::passkeys;
    let server = Server::with_alice().await;
    let (intruder, owner) = (server.browser(), server.browser());
    intruder.sign_in_as("alice").await;
    let page = intruder.page(HERE).await;
    let challenge: Value = intruder.ask(&page, "/account/passkeys/options").await.json().await.unwrap();
    owner.sign_in_as("alice").await;
    add(&owner, &mut Authenticator::new(&server.url)).await;
    let credential = Authenticator::new(&server.url).create(&challenge["publicKey"]);
    let fields = [("ticket", challenge["ticket"].as_str().unwrap()), ("credential", credential.as_str())];
    let (action, form) = page.form_at("form[data-passkey-finish]", &fields);
    intruder.raw_post(&action, &form).await;
    let alice = server.person("alice").await.id;
    assert_eq!(passkeys::of_user(server.app.store().read(), alice).await.unwrap().len(), 1, "the owner's");
}
