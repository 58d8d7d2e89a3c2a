//! An impatient second click: the form is sent again before the answer to the first one has arrived.

use futures::future::join_all;
use serde_json::json;
use signet::domain::event::EventKind;
use signet::domain::ids::ClientId;
use signet::store::{consents, events, sessions};

use super::{ALICE, server};
use crate::device;
use crate::gate::signatures::apply_clients;
use crate::support::{Browser, CALLBACK, Callback, Page, Server};

/// A browser at the last page before the app, and what is pressed there.
async fn last_page(server: &Server, which: &str) -> (Browser, Page, Vec<(&'static str, String)>) {
    let browser = server.browser();
    let alice = || ALICE.map(|(name, value)| (name, value.to_owned())).to_vec();
    let (page, fields) = match which {
        "sign-in" => (browser.page(&server.authorize(&[("client_id", "first")])).await, alice()),
        "cancel" => (browser.page(&server.authorize(&[])).await, vec![("decision", "deny".to_owned())]),
        "account" => {
            browser.sign_in_as("alice").await;
            let path = server.authorize(&[("client_id", "first"), ("prompt", "select_account")]);
            let id = server.person("alice").await.id.to_string();
            (browser.page(&path).await, vec![("account", id)])
        }
        decision => {
            let login = browser.page(&server.authorize(&[("prompt", "consent")])).await;
            let consent = browser.submit(&login, &ALICE).await.expect("the consent page");
            (consent, vec![("decision", decision.to_owned())])
        }
    };
    (browser, page, fields)
}

async fn press(browser: &Browser, page: &Page, fields: &[(&'static str, String)]) -> Callback {
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    browser.submit(page, &fields).await.err().unwrap_or_else(|| panic!("back at the app from {}", page.path))
}

/// One after the other and many at once: the app gets one answer, which is good once.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_second_click_gets_the_first_answer() {
    let server = server().await;
    for which in ["sign-in", "account", "allow", "deny", "cancel"] {
        let (browser, page, fields) = last_page(&server, which).await;
        let first = press(&browser, &page, &fields).await;
        assert_eq!(first.contains_key("code"), !["deny", "cancel"].contains(&which), "{which}: {first:?}");
        server.advance(5);
        assert_eq!(press(&browser, &page, &fields).await, first, "{which}: again");

        let (browser, page, fields) = last_page(&server, which).await;
        let all = join_all((0..4).map(|_| press(&browser, &page, &fields))).await;
        assert!(all.iter().all(|answer| *answer == all[0]), "{which}: {all:?}");
        assert_ne!(all[0].get("code"), first.get("code").or(Some(&String::new())), "{which}: another request");
        if let Some(code) = all[0].get("code") {
            let client = if which == "allow" { "web" } else { "first" };
            let form = [
                ("grant_type", "authorization_code"),
                ("code", code),
                ("redirect_uri", CALLBACK),
                ("code_verifier", crate::support::VERIFIER),
            ];
            assert_eq!(server.token_as(client, &form).await.0, 200, "{which}");
            assert_eq!(server.token_as(client, &form).await.0, 400, "{which}: a code is good once");
        }
    }
}

/// The browser keeps one of the two answers, whichever: it is signed in, in one session, and that was one sign-in.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_sign_in_sent_twice_is_one_session() {
    let server = server().await;
    let browser = server.browser();
    let (action, form) = browser.page(&server.authorize(&[])).await.form(&ALICE);
    let cookie = browser.cookies();
    let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    let url = format!("{}{action}", server.url);
    let sent = join_all((0..4).map(|_| http.post(&url).header("cookie", &cookie).form(&form).send())).await;
    let name = format!("{}=", server.cookie("session"));
    for answer in sent {
        let answer = answer.unwrap();
        let lines = answer.headers().get_all("set-cookie").iter().map(|line| line.to_str().unwrap());
        let session = lines.filter_map(|line| line.split(';').next()).find(|line| line.starts_with(&name)).unwrap();
        let account = http.get(format!("{}/account", server.url)).header("cookie", format!("{cookie}; {session}"));
        assert_eq!(account.send().await.unwrap().status(), 200, "each answer signs in");
    }
    let alice = server.person("alice").await.id;
    let alive = sessions::of_user(server.app.store().read(), alice, server.app.env().now()).await.unwrap();
    let filter = events::EventFilter { kinds: vec![EventKind::SignedIn], most: 10, ..Default::default() };
    let sign_ins = events::list(server.app.store().read(), &filter).await.unwrap();
    assert_eq!((alive.len(), sign_ins.len()), (1, 1));
    // A minute later it is a sign-in like any other: the cookie changes.
    server.advance(60);
    let later = http.post(&url).header("cookie", &cookie).form(&form).send().await.unwrap();
    assert_eq!(later.status(), 303);
    let sign_ins = events::list(server.app.store().read(), &filter).await.unwrap();
    assert_eq!(sign_ins.len(), 2);
}

/// T18, T35: what an answer rests on is asked again. Where any of it has changed, there is no answer but the way back.
#[tokio::test]
async fn an_answer_is_repeated_only_while_it_is_good() {
    for change in
        ["spent", "late", "signed out", "other session", "consent withdrawn", "client changed", "other browser"]
    {
        let server = server().await;
        let browser = server.browser();
        let login = browser.page(&server.authorize(&[])).await;
        let consent = browser.submit(&login, &ALICE).await.expect("the consent page");
        let answer = browser.submit(&consent, &[("decision", "allow")]).await.err().unwrap();
        let resume = login.path.replace("/login/", "/oauth2/authorize/");
        assert_eq!(browser.open(&resume).await.err().as_ref(), Some(&answer), "{change}: before");
        let (alice, web) = (server.person("alice").await.id, ClientId::parse("web").unwrap());
        let other = server.browser();
        let mut at = &browser;
        match change {
            "spent" => assert_eq!(server.redeem(&answer["code"]).await.0, 200),
            "late" => server.advance(server.app.config.lifetimes.code),
            "signed out" | "other session" => {
                let page = browser.page("/oauth2/logout").await;
                browser.submit(&page, &[("decision", "allow")]).await.expect("signed out");
                if change == "other session" {
                    browser.sign_in_as("alice").await;
                }
            }
            "consent withdrawn" => {
                let page = browser.page("/account/apps").await;
                browser.submit_at(&page, "form[action$='/revoke']", &[]).await.expect("a page");
                let given = consents::find(server.app.store().read(), alice, &web).await.unwrap();
                assert!(given.is_none());
            }
            "client changed" => {
                let row = json!([{ "client_id": "web", "client_name": "Renamed", "redirect_uris": [CALLBACK],
                    "grant_types": ["authorization_code", "refresh_token"],
                    "scope": "openid profile email offline_access" }]);
                apply_clients(&server, row).await.unwrap();
            }
            _ => {
                other.sign_in_as("alice").await;
                at = &other;
            }
        }
        let page = at.page(&resume).await;
        let expected = match change {
            "signed out" => "login",
            "other browser" => "error",
            _ => "signed-in",
        };
        assert_eq!(page.name(), expected, "{change}");
    }
}

/// The second press says what the first one said, also after the device has fetched its tokens.
#[tokio::test]
async fn a_device_answered_twice_says_the_same() {
    let server = device::with_tv().await;
    server.user("bob").await;
    for (decision, hook) in [("allow", "#device-allowed"), ("deny", "#device-denied")] {
        let waiting = device::ask(&server, "openid").await;
        let browser = server.browser();
        browser.sign_in_as("alice").await;
        let question = device::question(&browser, &waiting).await;
        for press in [decision, decision, "allow", "deny"] {
            let done = browser.submit(&question, &[("decision", press)]).await.expect("a page");
            assert!(done.has(hook), "{decision}, then {press}: {}", done.html);
        }
        assert!(browser.page(&question.path).await.has(hook), "the address too");
        let (status, answer) = device::poll(&server, &waiting).await;
        assert_eq!(status == 200, decision == "allow", "{answer}");
        assert!(browser.submit(&question, &[("decision", "allow")]).await.expect("a page").has(hook));
        // Somebody else in the same browser learns nothing of what alice allowed.
        browser.sign_in_as("bob").await;
        let theirs = browser.page(&question.path).await;
        assert!(!theirs.has("#device-allowed") && !theirs.has("#device-denied"), "{decision}");
    }
}
