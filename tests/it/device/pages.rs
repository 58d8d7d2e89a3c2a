//! The pages on which a person lets a device in (RFC 8628 §3.3, §5.1 to §5.4): who may decide, and what a guess learns.

use futures::future::join_all;

use super::{ask, decide, poll, question, refused, text, with_tv};
use crate::support::{PASSWORD, Page};

/// T2 and T21, CVE-2022-39222: an address alone, another browser, a form that is not whole, a GET: nothing is decided.
#[tokio::test]
async fn only_the_browser_that_typed_the_code_decides_and_only_by_its_form() {
    let server = with_tv().await;
    let device = ask(&server, "openid").await;
    let browser = server.browser();
    browser.sign_in_as("alice").await;
    let page = question(&browser, &device).await;
    let (action, form) = page.form(&[("decision", "allow")]);
    let other = server.browser();
    other.sign_in_as("alice").await;
    assert_eq!(other.page(&action).await.error(), "invalid_request");
    other.raw_post(&action, &form).await;
    let theirs = other.page("/device").await.form(&[("decision", "allow")]).1;
    assert_eq!(other.raw_post(&action, &theirs).await.status(), 400);
    browser.raw_post(&action, &page.form(&[]).1).await;
    browser.raw_post(&action, &page.form(&[("decision", "maybe")]).1).await;
    browser.raw_post(&action, &[("decision".to_owned(), "allow".to_owned())]).await;
    browser.raw(&format!("{action}?decision=allow")).await;
    browser.raw(&format!("{}&decision=allow", text(&device, "verification_uri_complete"))).await;
    assert_eq!(refused(&server, &device).await, "authorization_pending");
    // Signed out meanwhile: the person signs in and comes back to the question.
    let logout = browser.page("/oauth2/logout").await;
    browser.submit(&logout, &[("decision", "allow")]).await.ok().unwrap();
    let login = browser.page(&action).await;
    assert_eq!(login.name(), "login");
    let again = browser.submit(&login, &[("username", "alice"), ("password", PASSWORD)]).await.ok().unwrap();
    assert_eq!(again.text("#device-code"), text(&device, "user_code"));
    server.advance(600);
    let late = browser.submit(&again, &[("decision", "allow")]).await.ok().unwrap();
    assert!(late.has("#user_code-error"));
    assert_eq!(refused(&server, &device).await, "expired_token");
}

/// What a page says of a code, without what differs between any two.
fn said(page: &Page, code: &str) -> String {
    let csrf = page.attribute("input[name=csrf]", "value").unwrap();
    format!("{} {}", page.status, page.html.replace(&csrf, "TOKEN").replace(code, "CODE"))
}

/// T22: whoever guesses learns nothing from the answer: unknown, expired, denied, allowed and used are one.
#[tokio::test]
async fn codes_that_nobody_waits_under_look_the_same() {
    let server = with_tv().await;
    let expired = ask(&server, "openid").await;
    server.advance(600);
    let (denied, allowed, used) =
        (ask(&server, "openid").await, ask(&server, "openid").await, ask(&server, "openid").await);
    decide(&server, &denied, "deny").await;
    decide(&server, &allowed, "allow").await;
    decide(&server, &used, "allow").await;
    poll(&server, &used).await;
    let browser = server.browser();
    browser.sign_in_as("alice").await;
    let mut answers = Vec::new();
    for code in [
        text(&expired, "user_code"),
        text(&denied, "user_code"),
        text(&allowed, "user_code"),
        text(&used, "user_code"),
        "BCDF-GHJK",
    ] {
        let page = browser.page("/device").await;
        let page = browser.submit(&page, &[("user_code", code)]).await.ok().unwrap();
        answers.push(said(&page, code));
    }
    assert!(answers[0].contains("user_code-error"));
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:#?}");
}

/// T23, CVE-2025-64102: guessing is counted, by browser and by address, and many at once do not pass the budget; typing
/// the right code costs nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn guesses_are_counted() {
    let nodes = with_tv().await.nodes().await;
    let server = &nodes[0];
    let browser = server.browser();
    for _ in 0..12 {
        let device = ask(server, "openid").await;
        assert!(!question(&browser, &device).await.has("#user_code-error"), "a right one is taken back");
    }
    let (action, form) = browser.page("/device").await.form(&[("user_code", "WDJB-MJHT")]);
    let all = join_all((0..30).map(|_| browser.raw_post(&action, &form))).await;
    let statuses: Vec<u16> = all.iter().map(|response| response.status().as_u16()).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 10, "{statuses:?}");
    assert!(all.iter().all(|response| response.status() == 200 || response.headers().contains_key("retry-after")));
    // Even the right code is not looked at now, in this browser.
    let device = ask(server, "openid").await;
    let page = browser.page("/device").await;
    let late = browser.submit(&page, &[("user_code", text(&device, "user_code"))]).await.ok().unwrap();
    assert_eq!((late.status, late.has("#user_code-error")), (429, true));
    // A new browser each time does not help for long: the address has a budget as well.
    let mut stopped = 0;
    for _ in 0..90 {
        let browser = server.browser();
        let (action, form) = browser.page("/device").await.form(&[("user_code", "WDJB-MJHT")]);
        stopped += u32::from(browser.raw_post(&action, &form).await.status() == 429);
    }
    assert!(stopped >= 10, "{stopped}");
    server.advance(901);
    assert_eq!(browser.raw_post(&action, &form).await.status(), 200);
}

/// RFC 8628 §3.3.1: a picture of the address, whatever code it is.
#[tokio::test]
async fn the_address_comes_as_a_picture() {
    let server = with_tv().await;
    let get = async |query: &str| reqwest::get(format!("{}/device/qr{query}", server.url)).await.unwrap();
    let picture = get("?user_code=WDJB-MJHT").await;
    assert_eq!(
        (picture.status().as_u16(), picture.headers()["content-type"].to_str().unwrap()),
        (200, "image/svg+xml")
    );
    let svg = picture.text().await.unwrap();
    let address = format!("{}/device?user_code=WDJB-MJHT", server.url);
    let drawn = qrcode::QrCode::new(address)
        .unwrap()
        .render::<qrcode::render::svg::Color<'_>>()
        .min_dimensions(256, 256)
        .build();
    assert_eq!(svg, drawn);
    assert_eq!(get("?user_code=wdjbmjht").await.text().await.unwrap(), svg);
    for query in ["", "?user_code=", "?user_code=AAAA-AAAA", "?user_code=%3Csvg%3E"] {
        assert_eq!(get(query).await.status(), 400, "{query}");
    }
}
