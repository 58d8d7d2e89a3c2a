//! The README, step by step: the program, the first administrator, the example app, signed in and out.
//!
//! With `UPDATE_DOCS=1` it uses the README's own ports and takes its pictures: docs/pictures/*.png.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::support::PASSWORD;
use crate::support::chromium::Chromium;
use crate::support::program::Program;

const WIDTH: u32 = 600;

/// Takes a picture for the README, where that was asked for: the page's upper `height` pixels, at three fifths of their
/// size, since a repository keeps every picture for ever.
async fn picture(browser: &Chromium, name: &str, height: u32) {
    browser.set_size(WIDTH, height).await;
    if taking_pictures() {
        let clip = json!({ "x": 0, "y": 0, "width": WIDTH, "height": height, "scale": 0.6 });
        browser.devtools("Emulation.setScrollbarsHidden", json!({ "hidden": true })).await;
        let taken = browser.devtools("Page.captureScreenshot", json!({ "format": "png", "clip": clip })).await;
        let png = STANDARD.decode(taken["data"].as_str().unwrap()).unwrap();
        assert!(png.len() <= 60_000, "{name} has {} bytes", png.len());
        std::fs::write(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/pictures").join(name), png).unwrap();
    }
}

fn taking_pictures() -> bool {
    std::env::var("UPDATE_DOCS").as_deref() == Ok("1")
}

#[tokio::test]
async fn from_the_first_start_to_an_app_that_knows_who_signed_in() {
    let mut program = Program::new().await;
    let port = if taking_pictures() { 8080 } else { program.address.port() };
    let issuer = format!("http://localhost:{port}");
    program.set("SIGNET_LISTEN", &format!("127.0.0.1:{port}"));
    program.set("SIGNET_ISSUER", &issuer);
    program.set("ISSUER", &issuer);
    program.set("RP_LISTEN", if taking_pictures() { "127.0.0.1:9999" } else { "127.0.0.1:0" });

    // $ cargo run
    let signet = program.serve(&[]);
    let link = signet.after("Make the first administrator: ");
    let browser = Chromium::start().await;
    browser.open(&link).await;
    browser.wait_for_page("setup").await;
    for (field, text) in [("#name", "Alice Example"), ("#email", "alice@example.com"), ("#username", "alice")] {
        browser.fill(field, text).await;
    }
    browser.fill("#password", PASSWORD).await;
    browser.click("button.primary[type=submit]").await;
    browser.wait_for("#next-app").await;
    picture(&browser, "next.png", 900).await;
    // So that the app's request meets the sign-in page.
    browser.open(&format!("{issuer}/oauth2/logout")).await;
    browser.click("#logout-confirm").await;
    browser.wait_for_page("signed-out").await;

    // $ cargo run --example relying_party
    let example = Path::new(env!("CARGO_BIN_EXE_signet")).with_file_name("examples").join("relying_party");
    assert!(example.is_file(), "{} is missing; `cargo test --workspace -- NAME` builds it", example.display());
    let app = program.beside(&example, "The app is at ");
    browser.open(&app.after("The app is at ")).await;
    browser.click("#sign-in").await;
    browser.wait_for_page("login").await;
    assert_eq!(browser.text("#client-name").await, "Example app");
    picture(&browser, "login.png", 620).await;
    browser.sign_in("alice", PASSWORD).await;
    browser.wait_for_page("consent").await;
    picture(&browser, "consent.png", 760).await;
    browser.click("button[name=decision][value=allow]").await;
    browser.wait_for("#id-token").await;
    assert_eq!(browser.text("#id-token [data-claim=iss]").await, issuer);
    assert_eq!(browser.text("#userinfo [data-claim=name]").await, "Alice Example");
    assert_eq!(browser.text("#userinfo [data-claim=email]").await, "alice@example.com");
    picture(&browser, "claims.png", 880).await;

    // Signed out at both: the app's page, and the next sign-in asks for the password again.
    browser.click("#sign-out").await;
    browser.click("#sign-in").await;
    browser.wait_for_page("login").await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}
