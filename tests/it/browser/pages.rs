//! The sign-in pages as a person meets them: all the way back to the app, with the keyboard, without JavaScript, on a
//! narrow phone.

use serde_json::json;
use signet::gate::decision::Reason;
use signet::manage::{AuditContext, apis, groups};
use signet::store::gate_record::DeniedRequest;
use signet::store::users;

use super::landing;
use crate::support::chromium::Chromium;
use crate::support::{PASSWORD, Server};

#[tokio::test]
async fn enter_in_the_password_field_signs_in() {
    let server = Server::with_alice().await;
    let browser = Chromium::start().await;
    browser.open(&format!("{}/login", server.url)).await;
    // The username has the focus already.
    browser.type_keys("alice").await;
    browser.fill("#password", PASSWORD).await;
    browser.press_enter("#password").await;
    browser.wait_for_page("home").await;
    assert!(browser.text("main").await.contains("Alice Example"));
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

/// Chromium holds a form's `form-action` against every redirect that follows it.
#[tokio::test]
async fn the_consent_form_leads_back_to_the_app() {
    let server = Server::start().await;
    server.user("alice").await;
    let address = landing::of_web(&server, json!({})).await;
    let browser = Chromium::start().await;
    browser.open(&format!("{}{}", server.url, server.authorize(&[("redirect_uri", &address)]))).await;
    assert_eq!(browser.attribute("button.primary[type=submit]", "name").await, None);
    browser.sign_in("alice", PASSWORD).await;
    browser.wait_for_page("consent").await;
    assert!(browser.has("[data-scope=email]").await);
    browser.click("button[name=decision][value=allow]").await;
    let url = browser.wait_for_url(&address).await;
    assert!(url.query().unwrap().contains("code=sgc_"));
    let answer = landing::answer(&browser, "GET").await;
    assert_eq!((&answer["state"], &answer["iss"]), (&json!("s t&a=te"), &json!(server.url)));
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

#[tokio::test]
async fn form_post_sends_itself() {
    let server = Server::start().await;
    server.user("alice").await;
    let address = landing::of_web(&server, json!({ "client_name": "Web" })).await;
    let browser = Chromium::start().await;
    let path = server.authorize(&[("redirect_uri", &address), ("response_mode", "form_post")]);
    browser.open(&format!("{}{path}", server.url)).await;
    browser.sign_in("alice", PASSWORD).await;
    browser.click("button[name=decision][value=allow]").await;
    let answer = landing::answer(&browser, "POST").await;
    assert!(answer["code"].as_str().unwrap().starts_with("sgc_"));
    assert_eq!(answer["state"], "s t&a=te");
    assert_eq!(browser.url().await.as_str(), address);
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

#[tokio::test]
async fn signing_in_works_without_javascript() {
    let server = Server::start().await;
    server.user("alice").await;
    let address = landing::of_web(&server, json!({})).await;
    let browser = Chromium::start().await;
    browser.without_javascript().await;
    let path = server.authorize(&[("redirect_uri", &address), ("response_mode", "form_post")]);
    browser.open(&format!("{}{path}", server.url)).await;
    browser.sign_in("alice", PASSWORD).await;
    browser.click("button[name=decision][value=allow]").await;
    browser.wait_for_page("form-post").await;
    browser.click("button[type=submit]").await;
    assert!(landing::answer(&browser, "POST").await["code"].is_string());
}

#[tokio::test]
async fn nothing_has_to_be_scrolled_sideways_at_320_pixels() {
    let server = Server::start_with(|config| config.sign_up = signet::config::SignUpMode::Open).await;
    let setup = signet::web::pages::setup::link(&server.app).await.unwrap().unwrap();
    server.user("alice").await;
    let long = "Grundstücksverkehrsgenehmigungszuständigkeitsübertragungsverordnung";
    let address = landing::of_web(&server, json!({ "client_name": long })).await;
    let browser = Chromium::start().await;
    browser.set_size(320, 640).await;
    let authorize = format!("{}{}", server.url, server.authorize(&[("redirect_uri", &address)]));
    let fits = async |page: &str| {
        browser.wait_for_page(page).await;
        if browser.overflows().await {
            let picture = std::env::temp_dir().join(format!("signet-too-wide-{page}.png"));
            browser.screenshot(&picture).await;
            panic!("{page} is wider than its window: {}", picture.display());
        }
    };
    browser.open(setup.expose()).await;
    fits("setup").await;
    browser.open(&format!("{}/oauth2/authorize?client_id={}", server.url, "x".repeat(200))).await;
    fits("error").await;
    browser.open(&format!("{authorize}&prompt=create")).await;
    fits("signup").await;
    browser.open(&authorize).await;
    fits("login").await;
    browser.sign_in("alice", "wrong").await;
    browser.wait_for("#login-error").await;
    fits("login").await;
    browser.sign_in("alice", PASSWORD).await;
    fits("consent").await;
    browser
        .open(&format!(
            "{}{}",
            server.url,
            server.authorize(&[("redirect_uri", &address), ("prompt", "select_account")])
        ))
        .await;
    fits("select-account").await;
    browser.open(&format!("{}/", server.url)).await;
    fits("home").await;
    browser.open(&format!("{}/oauth2/logout", server.url)).await;
    fits("logout").await;
    browser.click("#logout-confirm").await;
    fits("signed-out").await;
}

/// A server with an administrator, and a browser of 320 pixels that she is signed in with.
async fn narrow_console() -> (Server, Chromium) {
    let server = Server::start().await;
    server.user("alice").await;
    let mut user = server.person("alice").await;
    user.admin = true;
    let write = server.app.store().write(move |tx| Box::pin(async move { users::update(tx, &user).await }));
    write.await.unwrap();
    let browser = Chromium::start().await;
    browser.open(&format!("{}/login", server.url)).await;
    browser.sign_in("alice", PASSWORD).await;
    browser.wait_for_page("home").await;
    browser.set_size(320, 640).await;
    (server, browser)
}

/// Names of metadata are long words.
#[tokio::test]
async fn an_apps_settings_fit_320_pixels_when_nothing_is_folded_in() {
    let (server, browser) = narrow_console().await;
    server.client("web", json!({})).await;
    browser.open(&format!("{}/admin/clients/web", server.url)).await;
    browser.wait_for("#settings").await;
    for at in (1..=6).rev() {
        browser.click(&format!("#settings > details.fold:nth-of-type({at}) > summary")).await;
    }
    assert!(browser.has("#jwt_bearer").await && !browser.overflows().await);
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

/// Identifiers, paths and groups are long words too.
#[tokio::test]
async fn an_apis_rules_fit_320_pixels_and_are_edited_without_javascript() {
    let (server, browser) = narrow_console().await;
    let long = "grundstuecksverkehrsgenehmigungszustaendigkeitsuebertragungsverordnung";
    let api = json!({
        "identifier": format!("https://{long}.example/{long}"), "name": long, "scopes": [long], "gate": "orders",
        "accepts": ["bearer", "api_key", "basic", "message_signature", "session", "oauth1"],
        "origins": [format!("https://{long}.example")],
        "rules": [{ "methods": ["GET", "POST", "DELETE"], "path": format!("/{long}/**"), "scopes": [long], "groups": [long] }],
    });
    apis::put(&server.app.manager(), &AuditContext::command_line(), serde_json::from_value(api).unwrap())
        .await
        .unwrap();
    let page = format!("{}/admin/apis/https%3A%2F%2F{long}.example%2F{long}", server.url);
    let refused = DeniedRequest {
        request_id: "0".repeat(32),
        at: server.app.env().now(),
        gate: "orders".to_owned(),
        method: "POST".to_owned(),
        path: format!("/{long}/{long}"),
        credential_kind: "message_signature".to_owned(),
        reason: Reason::InsufficientAuthentication.as_str().to_owned(),
        subject: long.repeat(3),
        client: long.to_owned(),
        address: "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff".to_owned(),
    };
    for number in 0..12 {
        let one = DeniedRequest { request_id: format!("{number:032}"), ..refused.clone() };
        server.app.gate.metrics.record_denial("message_signature", Reason::InsufficientAuthentication, one);
        server.app.gate.metrics.count(refused.at, "orders", "api_key", "");
    }
    browser.without_javascript().await;
    for path in
        ["/admin/apis", "/admin/apis/new", "/admin/refusals", "/admin/refusals?id=00000000000000000000000000000007"]
    {
        browser.open(&format!("{}{path}", server.url)).await;
        browser.wait_for_page("admin").await;
        assert!(!browser.overflows().await, "{path}");
    }
    browser.open(&format!("{page}?method=POST&path=/{long}/1")).await;
    browser.wait_for("#outcome").await;
    browser.click("#settings details.fold > summary").await;
    assert!(!browser.overflows().await);
    browser.fill("#rule_1_path", "orders").await;
    browser.click("#settings button.primary").await;
    browser.wait_for("#rule_1_path-error").await;
    assert!(!browser.overflows().await);
    browser.fill("#rule_1_path", "/orders").await;
    browser.fill("#rule_1_methods", "PUT").await;
    browser.click("#settings button.primary").await;
    browser.wait_for("#rule_2_path").await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}

/// Enter presses the first button of a form, which finds groups where a text stands in their search.
#[tokio::test]
async fn enter_finds_groups_and_save_saves_without_javascript() {
    let (server, browser) = narrow_console().await;
    for number in 0..20 {
        groups::create(&server.app.manager(), &AuditContext::command_line(), &format!("team-{number:02}"))
            .await
            .unwrap();
    }
    let bob = server.user("bob").await;
    browser.without_javascript().await;
    browser.open(&format!("{}/admin/people/{bob}", server.url)).await;
    browser.fill("#groups-q", "team-07").await;
    browser.press_enter("#groups-q").await;
    browser.wait_for("#groups-unsaved").await;
    browser.click("[name=groups][value=team-07]").await;
    browser.fill("#groups-q", "team-08").await;
    browser.click("form[action$='/groups'] .actions button").await;
    browser.wait_for("[name=groups][value=team-07][checked]").await;
    assert_eq!(users::groups_of(server.app.store().read(), bob).await.unwrap(), ["team-07"]);
}
