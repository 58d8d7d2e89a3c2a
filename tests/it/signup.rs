//! Making an account of one's own (Initiating User Registration via OpenID Connect): by an app's request, from the sign-in
//! page, and not at all where the setting is off; [`twice`] the same form again.

mod twice;

use serde_json::{Value, json};
use signet::config::SignUpMode;
use signet::domain::event::Actor;
use signet::store::events;

use crate::support::{Browser, PASSWORD, Page, Server};

/// One where anybody may sign up, with alice and `web`.
async fn open() -> Server {
    let server = Server::start_with(|config| config.sign_up = SignUpMode::Open).await;
    server.user("alice").await;
    server.client("web", json!({})).await;
    server
}

async fn prompts(server: &Server) -> Value {
    let document = reqwest::get(format!("{}/.well-known/openid-configuration", server.url)).await.unwrap();
    document.json::<Value>().await.unwrap()["prompt_values_supported"].clone()
}

async fn sign_up(browser: &Browser, page: &Page, fields: &[(&str, &str)]) -> Page {
    browser.submit(page, fields).await.expect("a page")
}

fn session(browser_answer: &reqwest::Response) -> Option<String> {
    let set = browser_answer.headers().get_all("set-cookie");
    set.iter().map(|line| line.to_str().unwrap().to_owned()).find(|line| line.contains("-session="))
}

#[tokio::test]
async fn an_app_asks_for_an_account_and_gets_a_code_for_it() {
    let server = open().await;
    let browser = server.browser();
    let page = browser.page(&server.authorize(&[("prompt", "create")])).await;
    assert_eq!((page.status, page.name().as_str()), (200, "signup"));
    assert_eq!(page.text("#client-name"), "Web");
    let fields =
        [("username", "Carol"), ("password", PASSWORD), ("name", "Carol Example"), ("email", "carol@example.com")];
    let consent = sign_up(&browser, &page, &fields).await;
    assert_eq!(consent.name(), "consent");
    let callback = browser.submit(&consent, &[("decision", "allow")]).await.err().unwrap();
    let (status, tokens) = server.redeem(&callback["code"]).await;
    assert_eq!(status, 200, "{tokens}");
    let request = reqwest::Client::new().get(format!("{}/oauth2/userinfo", server.url));
    let claims = request.bearer_auth(tokens["access_token"].as_str().unwrap()).send().await.unwrap();
    let claims: Value = claims.json().await.unwrap();
    assert_eq!(claims["preferred_username"], "carol");
    assert_eq!((&claims["email"], &claims["email_verified"]), (&json!("carol@example.com"), &json!(false)));
    let carol = server.person("carol").await;
    assert!(!carol.admin);
    let filter = events::EventFilter { most: 10, ..Default::default() };
    let events = events::list(server.app.store().read(), &filter).await.unwrap();
    let made = events.iter().find(|event| event.kind.name() == "user.created").unwrap();
    assert_eq!((made.user, &made.actor), (Some(carol.id), &Actor::User(carol.id)));
    assert!(!made.origin.address.is_empty());
}

/// §4.1: somebody who is signed in already is asked too, and becomes the new person under a new session.
#[tokio::test]
async fn who_is_signed_in_is_asked_too_and_signed_out_of_the_other_account() {
    let server = open().await;
    let browser = server.browser();
    browser.sign_in_as("alice").await;
    let before = browser.page("/account/sessions").await.html;
    assert!(before.contains("Alice Example"));
    let page = browser.page(&server.authorize(&[("prompt", "create")])).await;
    assert_eq!(page.name(), "signup");
    let (action, form) = page.form(&[("username", "carol"), ("password", PASSWORD)]);
    let answer = browser.raw_post(&action, &form).await;
    assert_eq!(answer.status(), 303);
    assert!(session(&answer).is_some(), "the session's cookie is a new one");
    let consent = browser.follow(answer).await.ok().unwrap();
    assert_eq!(consent.name(), "consent");
    assert!(consent.html.contains("carol") && !consent.html.contains("Alice Example"));
}

/// Whoever has an account after all signs in, and that is enough for this request.
#[tokio::test]
async fn an_account_that_is_there_will_do() {
    let server = open().await;
    let browser = server.browser();
    let page = browser.page(&server.authorize(&[("prompt", "create")])).await;
    let login = browser.page(&page.attribute("a#sign-in", "href").unwrap()).await;
    assert_eq!(login.name(), "login");
    assert_eq!(login.attribute("a#sign-up", "href").as_deref(), Some(page.path.as_str()));
    let consent = browser.submit(&login, &[("username", "alice"), ("password", PASSWORD)]).await.ok().unwrap();
    assert_eq!(consent.name(), "consent");
    let callback = browser.submit(&consent, &[("decision", "allow")]).await.err().unwrap();
    assert!(callback.contains_key("code"));
    // The next request asks again.
    assert_eq!(browser.page(&server.authorize(&[("prompt", "create")])).await.name(), "signup");
}

#[tokio::test]
async fn who_cancels_is_sent_back_without_an_account() {
    let server = open().await;
    let browser = server.browser();
    let page = browser.page(&server.authorize(&[("prompt", "create")])).await;
    let callback = browser.submit(&page, &[("decision", "deny"), ("username", "carol")]).await.err().unwrap();
    assert_eq!(callback["error"], "access_denied");
    let again = browser.page(&page.path).await;
    assert!(again.name() == "signup" && !again.has("button[value=deny]"), "the app waits no more");
}

#[tokio::test]
async fn from_the_sign_in_page_the_way_leads_on() {
    let server = open().await;
    let browser = server.browser();
    let login = browser.page("/account/sessions").await;
    assert_eq!(login.name(), "login");
    let page = browser.page(&login.attribute("a#sign-up", "href").unwrap()).await;
    assert_eq!(page.name(), "signup");
    let after = sign_up(&browser, &page, &[("username", "carol"), ("password", PASSWORD)]).await;
    assert_eq!(after.path, "/account/sessions");
    for (at, next) in ["//evil.example", "https://evil.example", "/\\evil.example"].into_iter().enumerate() {
        let browser = server.browser();
        let page = browser.page(&format!("/signup?next={next}")).await;
        let name = format!("dora{at}");
        assert_eq!(sign_up(&browser, &page, &[("username", &name), ("password", PASSWORD)]).await.path, "/", "{next}");
    }
}

/// §4.2: what is not offered is not in the document, refused, and has no page.
#[tokio::test]
async fn where_it_is_off_nobody_signs_up() {
    let server = Server::with_alice().await;
    assert_eq!(prompts(&server).await, json!(["none", "login", "consent", "select_account"]));
    let browser = server.browser();
    let callback = browser.open(&server.authorize(&[("prompt", "create")])).await.err().unwrap();
    assert_eq!(callback["error"], "invalid_request");
    let login = browser.page("/login").await;
    assert!(!login.has("a#sign-up") && !login.html.contains("Create account"));
    let waiting = browser.page(&server.authorize(&[])).await.path;
    for path in ["/signup".to_owned(), waiting.replace("/login/", "/signup/")] {
        assert_eq!(browser.page(&path).await.status, 404, "{path}");
        let (_, form) = login.form(&[("username", "carol"), ("password", PASSWORD)]);
        assert_eq!(browser.raw_post(&path, &form).await.status(), 404, "{path}");
    }
}

#[tokio::test]
async fn where_it_is_open_the_document_says_so() {
    let server = open().await;
    assert_eq!(prompts(&server).await, json!(["none", "login", "consent", "select_account", "create"]));
    let browser = server.browser();
    for prompt in ["none create", "create none"] {
        let callback = browser.open(&server.authorize(&[("prompt", prompt)])).await.err().unwrap();
        assert_eq!(callback["error"], "invalid_request", "{prompt}");
    }
}

#[tokio::test]
async fn what_is_refused_is_said_at_its_field_and_nothing_typed_is_lost_but_the_password() {
    const FIELDS: [(&str, &str); 4] =
        [("username", "carol"), ("password", PASSWORD), ("name", "Carol Example"), ("email", "carol@example.com")];
    let server = open().await;
    let browser = server.browser();
    let page = browser.page("/signup").await;
    for (field, value) in [
        ("username", ""),
        ("username", "a b"),
        // Somebody else's address as a name would catch their sign-ins by address.
        ("username", "alice@example.com"),
        ("username", "alice\u{ff20}example.com"),
        ("username", "alice"),
        ("username", "\u{ff21}LICE"),
        ("email", "no address"),
        ("name", "a\u{1}b"),
        ("password", ""),
        ("password", "short"),
        ("password", "password1"),
    ] {
        let fields = FIELDS.map(|(name, known)| (name, if name == field { value } else { known }));
        let again = sign_up(&browser, &page, &fields).await;
        assert_eq!((again.status, again.name().as_str()), (422, "signup"), "{field}={value}");
        assert!(again.has(&format!("#{field}-error")), "{field}={value}: {}", again.html);
        for (name, typed) in fields.iter().filter(|(name, _)| *name != "password") {
            assert_eq!(again.value(&format!("#{name}")), *typed, "{field}={value}");
        }
        assert!(!again.html.contains(PASSWORD));
    }
    let empty = sign_up(&browser, &page, &[]).await;
    assert!(empty.status == 422 && empty.has("#username-error"));
    assert_eq!(sign_up(&browser, &page, &FIELDS).await.path, "/");
}

/// An address that a stranger types is theirs no more than anybody's: it is not said whether it is known, its owner keeps
/// it, and it signs the stranger in nowhere.
#[tokio::test]
async fn an_address_typed_by_a_stranger_takes_nothing_from_its_owner() {
    let server = open().await;
    let stranger = "a stranger's own password";
    for (name, email) in [("carol", "ALICE@example.com"), ("dora", "alice@example.com"), ("emil", "late@example.com")] {
        let browser = server.browser();
        let page = browser.page("/signup").await;
        let fields = [("username", name), ("password", stranger), ("email", email)];
        assert_eq!(sign_up(&browser, &page, &fields).await.path, "/", "{name}");
    }
    let login = async |login: &str, password: &str| {
        let browser = server.browser();
        let page = browser.page("/login").await;
        browser.submit(&page, &[("username", login), ("password", password)]).await.ok().unwrap().name() == "home"
    };
    assert!(login("alice@example.com", PASSWORD).await, "the owner signs in as before");
    assert!(!login("alice@example.com", stranger).await);
    assert!(!login("late@example.com", stranger).await, "nobody has vouched for it");
    assert!(login("carol", stranger).await);
    // Its owner comes later.
    server.user("late").await;
    assert!(login("late@example.com", PASSWORD).await);
    assert!(!server.person("emil").await.profile.email_verified);
}

/// What was signed up with goes through a document and back as it was, and an administrator's word makes it theirs.
#[tokio::test]
async fn an_unproven_address_stays_so_until_an_administrator_writes_it() {
    use signet::manage::apply::{ApplyOptions, apply};
    use signet::manage::document::{Document, DocumentFormat};
    use signet::manage::{AuditContext, export};
    let server = open().await;
    let browser = server.browser();
    let page = browser.page("/signup").await;
    let fields = [("username", "carol"), ("password", PASSWORD), ("email", "alice@example.com")];
    assert_eq!(sign_up(&browser, &page, &fields).await.path, "/");
    let manager = server.app.manager();
    let text = serde_json::to_string(&export::export(&manager).await.unwrap()).unwrap();
    assert!(text.contains("\"email_unproven\":true"), "{text}");
    let other = Server::start().await;
    let document = Document::parse(&text, DocumentFormat::Json).unwrap();
    apply(&other.app.manager(), &AuditContext::command_line(), document, ApplyOptions::default()).await.unwrap();
    assert!(other.person("carol").await.email_unconfirmed && !other.person("alice").await.email_unconfirmed);
    let change = async |row: Value| {
        let document = Document::parse(&json!({ "users": [row] }).to_string(), DocumentFormat::Json).unwrap();
        apply(&manager, &AuditContext::command_line(), document, ApplyOptions::default())
            .await
            .map(drop)
            .map_err(|e| e.to_string())
    };
    change(json!({ "username": "carol", "email": "alice@example.com", "name": "Carol" })).await.unwrap();
    assert!(server.person("carol").await.email_unconfirmed, "the same address");
    let verified = json!({ "username": "carol", "email": "alice@example.com", "email_verified": true });
    assert!(change(verified.clone()).await.unwrap_err().contains("adopt"), "not by a row that may mean another user");
    let known = |mut row: Value| {
        row["self_registered"] = json!(true);
        row
    };
    let taken = change(known(verified)).await;
    assert!(taken.unwrap_err().contains("email: another user has"));
    change(known(json!({ "username": "carol", "email": "carol@example.com" }))).await.unwrap();
    assert!(!server.person("carol").await.email_unconfirmed);
}

/// That a username is taken is told, so it is not told often; other addresses go on.
#[tokio::test]
async fn asking_for_names_is_throttled_by_address() {
    let server = Server::start_with(|config| {
        config.sign_up = SignUpMode::Open;
        config.trusted_proxies = serde_json::from_value(json!("127.0.0.1,::1")).unwrap();
    })
    .await;
    server.user("alice").await;
    let browser = server.browser();
    let page = browser.page("/signup").await;
    let ask = async |address: &str, name: &str| {
        let (action, form) = page.form(&[("username", name), ("password", PASSWORD)]);
        let request = browser.request(reqwest::Method::POST, &action).header("x-forwarded-for", address);
        request.form(&form).send().await.unwrap()
    };
    for _ in 0..20 {
        assert_eq!(ask("203.0.113.9", "alice").await.status(), 422);
    }
    let refused = ask("203.0.113.9", "alice").await;
    assert_eq!((refused.status().as_u16(), refused.headers().contains_key("retry-after")), (429, true));
    assert_eq!(ask("203.0.113.9", "nobody-yet").await.status(), 429);
    assert_eq!(ask("203.0.113.10", "alice").await.status(), 422);
    server.advance(901);
    assert_eq!(ask("203.0.113.9", "alice").await.status(), 422);
}

/// Two browsers, one name, the same moment.
#[tokio::test]
async fn of_two_at_once_one_gets_the_name() {
    let server = open().await;
    let attempts = (0..4).map(|_| async {
        let browser = server.browser();
        let page = browser.page("/signup").await;
        sign_up(&browser, &page, &[("username", "carol"), ("password", PASSWORD)]).await
    });
    let pages = futures::future::join_all(attempts).await;
    assert_eq!(pages.iter().filter(|page| page.path == "/").count(), 1);
    assert!(pages.iter().all(|page| page.path == "/" || (page.status == 422 && page.has("#username-error"))));
}

/// T17: the page and its form belong to the browser that began the request, and the form to our own pages.
#[tokio::test]
async fn another_browser_or_site_signs_nobody_up() {
    let server = open().await;
    let (hers, theirs) = (server.browser(), server.browser());
    let page = hers.page(&server.authorize(&[("prompt", "create")])).await;
    assert_eq!(theirs.page(&page.path).await.status, 400);
    let fields = [("username", "carol"), ("password", PASSWORD)];
    let (action, form) = page.form(&fields);
    assert_eq!(theirs.raw_post(&action, &form).await.status(), 400, "her form from their browser");
    let (_, own) = theirs.page("/signup").await.form(&fields);
    assert_eq!(theirs.raw_post(&action, &own).await.status(), 400, "their form to her request");
    let without: Vec<_> = form.iter().filter(|(name, _)| name != "csrf").cloned().collect();
    assert_eq!(hers.raw_post(&action, &without).await.status(), 400, "no token");
    for (name, value) in
        [("sec-fetch-site", "cross-site"), ("sec-fetch-site", "same-site"), ("origin", "https://evil.example")]
    {
        let request = hers.request(reqwest::Method::POST, &action).header(name, value).form(&form);
        assert_eq!(request.send().await.unwrap().status(), 400, "{name}: {value}");
    }
    let user = signet::domain::user::Username::parse("carol").unwrap();
    assert_eq!(signet::store::users::by_username(server.app.store().read(), &user).await.unwrap(), None);
    assert_eq!(hers.submit(&page, &fields).await.ok().unwrap().name(), "consent");
}

/// Sign-up never signs in to an account that an administrator created, whatever the password.
#[tokio::test]
async fn sign_up_never_signs_in_to_an_account_made_by_an_administrator() {
    let server = open().await;
    let browser = server.browser();
    let page = browser.page("/signup").await;
    let again = sign_up(&browser, &page, &[("username", "alice"), ("password", PASSWORD)]).await;
    assert_eq!((again.status, again.name().as_str()), (422, "signup"));
}
