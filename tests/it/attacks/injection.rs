//! What strangers and apps write, shown to people: never as markup, never as a script, never as a header.

use reqwest::Response;
use scraper::{Html, Selector};
use serde_json::json;

use super::{http, open_server};
use crate::support::{PASSWORD, Server};

const PAYLOADS: [&str; 14] = [
    "<script>alert(1)</script>",
    "\"><script>alert(1)</script>",
    "'><img src=x onerror=alert(1)>",
    "</title><svg onload=alert(1)>",
    "javascript:alert(1)",
    "\" autofocus onfocus=alert(1) x=\"",
    "{{7*7}}{% raw %}${7*7}#{7*7}",
    "<!--",
    "]]><script>alert(1)</script>",
    "&lt;script&gt;",
    "\u{202e}gpj.exe",
    "x\r\nSet-Cookie: a=b\r\n\r\n<script>",
    "</main></body><base href=//evil.example>",
    "\u{2028}alert(1)\u{2029}",
];

/// Every header that every answer has.
fn check_headers(response: &Response, case: &str) {
    let header = |name: &str| {
        let all: Vec<_> = response.headers().get_all(name).iter().collect();
        assert_eq!(all.len(), 1, "{name}, {case}");
        all[0].to_str().unwrap().to_owned()
    };
    let csp = header("content-security-policy");
    assert!(csp.contains("default-src 'none'") && csp.contains("frame-ancestors 'none'"), "{csp}");
    assert!(csp.contains("base-uri 'none'"), "{csp}");
    assert!(!csp.contains("unsafe") && !csp.contains('*') && !csp.contains("http:"), "{csp}");
    assert_eq!(header("x-content-type-options"), "nosniff", "{case}");
    assert_eq!(header("x-frame-options"), "DENY", "{case}");
    assert_eq!(header("referrer-policy"), "no-referrer", "{case}");
    let cookies = response.headers().get_all("set-cookie");
    assert!(cookies.iter().all(|line| line.to_str().unwrap().starts_with("signet-")), "{case}");
}

/// No element or attribute is there that our templates do not have.
fn check_page(html: &str, case: &str) {
    let page = Html::parse_document(html);
    let all = Selector::parse("*").unwrap();
    for element in page.select(&all) {
        let name = element.value().name();
        assert!(!["base", "iframe", "object", "embed", "style"].contains(&name), "<{name}>, {case}");
        if name == "script" {
            let source = element.attr("src").unwrap_or_default();
            assert!(source.starts_with("/static/") && element.inner_html().is_empty(), "a script, {case}");
        }
        for (attribute, value) in element.value().attrs() {
            assert!(!attribute.starts_with("on") && attribute != "style", "{attribute}={value}, {case}");
            let is_address = ["href", "src", "action", "formaction"].contains(&attribute);
            let low = value.trim().to_lowercase();
            let runs = low.starts_with("javascript:") || low.starts_with("data:") || low.starts_with("//");
            assert!(!(is_address && runs), "{attribute}={value}, {case}");
        }
    }
}

async fn check(response: Response, case: &str) {
    check_headers(&response, case);
    assert!(!response.status().is_server_error(), "{case}: {}", response.status());
    let kind = response.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
    let body = response.text().await.unwrap();
    match kind.as_deref().and_then(|kind| kind.split(';').next()) {
        Some("text/html") => check_page(&body, case),
        Some("application/json") => drop(serde_json::from_str::<serde_json::Value>(&body).expect(case)),
        Some("text/plain") | None => assert!(!body.contains('<'), "{case}: {body}"),
        Some(other) => panic!("{other}, {case}"),
    }
}

/// T20: GHSA-8rmm-gm28-pj8q, CVE-2026-29191, GO-2026-4861: a page that reflects what was sent. Every payload in every
/// parameter of every endpoint that shows something.
#[tokio::test]
async fn no_parameter_comes_out_as_markup() {
    let server = open_server().await;
    let parameters = [
        "client_id",
        "redirect_uri",
        "response_type",
        "response_mode",
        "scope",
        "state",
        "nonce",
        "code_challenge",
        "code_challenge_method",
        "prompt",
        "max_age",
        "login_hint",
        "id_token_hint",
        "acr_values",
        "ui_locales",
        "resource",
        "request",
        "request_uri",
        "registration",
        "claims",
        "display",
        "error",
        "error_description",
        "error_hint",
    ];
    for payload in PAYLOADS {
        for (name, mode) in parameters.map(|name| (name, "query")) {
            let changes = [("response_mode", mode), (name, payload)];
            let path = server.authorize(if name == "response_mode" { &changes[1..] } else { &changes });
            let browser = server.browser();
            let case = format!("{name} = {payload:?}");
            let mut response = browser.raw(&path).await;
            for _ in 0..3 {
                let Some(to) = response.headers().get("location").map(|to| to.to_str().unwrap().to_owned()) else {
                    break;
                };
                check_headers(&response, &case);
                if to.starts_with("http") {
                    assert!(to.starts_with(crate::support::CALLBACK), "{case} led to {to}");
                    break;
                }
                response = browser.raw(&to).await;
            }
            check(response, &case).await;
        }
        let silent = server.authorize(&[("response_mode", "form_post"), ("prompt", "none"), ("state", payload)]);
        check(server.browser().raw(&silent).await, &format!("state = {payload:?} in a form")).await;
        let browser = server.browser();
        for path in [
            "/login?next=",
            "/setup?token=",
            "/device?user_code=",
            "/device/qr?user_code=",
            "/logo/",
            "/device/",
            "/.well-known/oauth-protected-resource?resource=",
            "/.well-known/oauth-protected-resource/",
            "/signup?next=",
            "/signup/",
            "/oauth2/logout?client_id=",
            "/oauth2/logout?state=",
            "/oauth2/logout?id_token_hint=",
            "/login/",
            "/consent/",
            "/select-account/",
            "/oauth2/authorize/",
            "/static/",
            "/?",
        ] {
            let encoded: String = url::form_urlencoded::byte_serialize(payload.as_bytes()).collect();
            check(browser.raw(&format!("{path}{}", encoded.replace('+', "%20"))).await, &format!("{path}{payload:?}"))
                .await;
        }
        let login = browser.page("/login").await;
        for field in ["username", "password", "next", "remember", "flow"] {
            let mut fields = vec![("username", "alice"), ("password", "wrong wrong")];
            fields.retain(|(name, _)| *name != field);
            fields.push((field, payload));
            let (action, form) = login.form(&fields);
            let form: Vec<_> = form.into_iter().filter(|(name, value)| name != field || value == payload).collect();
            check(browser.raw_post(&action, &form).await, &format!("{field} = {payload:?}")).await;
        }
        let sign_up = browser.page("/signup").await;
        for field in ["username", "password", "name", "email", "next"] {
            let mut fields = vec![("username", "alice"), ("password", PASSWORD)];
            fields.retain(|(name, _)| *name != field);
            fields.push((field, payload));
            let (action, form) = sign_up.form(&fields);
            let form: Vec<_> = form.into_iter().filter(|(name, value)| name != field || value == payload).collect();
            check(browser.raw_post(&action, &form).await, &format!("{field} = {payload:?} signing up")).await;
        }
        server.advance(901);
    }
}

/// T20, CVE-2026-42849: what an app says of itself and a person of themself, on the pages that show it.
#[tokio::test]
async fn no_name_comes_out_as_markup() {
    let server = Server::start().await;
    for (at, payload) in PAYLOADS.into_iter().filter(|payload| !payload.contains(['\r', '\u{202e}'])).enumerate() {
        let (name, client) = (format!("person{at}"), format!("client{at}"));
        let id = server.user(&name).await;
        let mut user = signet::store::users::by_id(server.app.store().read(), id).await.unwrap().unwrap();
        user.profile.name = Some(payload.to_owned());
        user.profile.email = Some(format!("{payload}@{at}.example"));
        let write =
            server.app.store().write(move |tx| Box::pin(async move { signet::store::users::update(tx, &user).await }));
        write.await.unwrap();
        server
            .client(&client, json!({ "client_name": payload, "policy_uri": "https://app.example.com/#\"><script>alert(1)</script>" }))
            .await;
        let browser = server.browser();
        let login = browser
            .open(&server.authorize(&[("client_id", &client), ("prompt", "select_account")]))
            .await
            .ok()
            .unwrap();
        check_page(&login.html, payload);
        let shown = Html::parse_document(&login.html);
        let shown: String = shown.select(&Selector::parse("#client-name").unwrap()).next().unwrap().text().collect();
        assert_eq!(shown, signet::domain::printable::escaped(payload), "shown to the letter but for what is invisible");
        let consent = browser.submit(&login, &[("username", &name), ("password", PASSWORD)]).await.ok().unwrap();
        assert_eq!(consent.name(), "consent");
        check_page(&consent.html, payload);
        for path in ["/", "/account", "/oauth2/logout", &format!("/oauth2/logout?client_id={client}")] {
            check_page(&browser.page(path).await.html, payload);
        }
    }
}

/// In the lists and pages of the console nothing hides, or reorders what stands around it.
#[tokio::test]
async fn hidden_characters_are_shown_escaped_in_the_console() {
    const HIDDEN: &str = "x\u{202e}y\u{200b}z";
    let server = Server::with_alice().await;
    crate::console::make_admin(&server, "alice").await;
    server.client("web2", json!({ "client_name": "Shop" })).await;
    let bob = server.user("bob").await;
    let write = server.app.store().write(move |tx| {
        Box::pin(async move {
            let mut user = signet::store::users::by_id(tx.conn(), bob).await?.unwrap();
            user.profile.name = Some(HIDDEN.to_owned());
            user.profile.email = Some(format!("{HIDDEN}@bob.example"));
            user.self_registered = true;
            signet::store::users::update(tx, &user).await?;
            let mut client =
                signet::store::clients::lock_for_update(tx, &signet::domain::ids::ClientId::parse("web2").unwrap())
                    .await?
                    .unwrap();
            // No name of a group has such characters now; one of an older version may.
            signet::store::users::insert_group(tx, HIDDEN).await?;
            signet::store::users::join(tx, &[(bob, HIDDEN.to_owned())]).await?;
            client.meta.client_name = HIDDEN.to_owned();
            signet::store::clients::update(tx, &client).await
        })
    });
    write.await.unwrap();
    crate::gate::put_api(&server, json!({ "name": HIDDEN })).await;
    let admin = server.browser();
    admin.sign_in_as("alice").await;
    let orders = signet::web::urls::console_api(&signet::domain::api::ApiId::parse(crate::gate::ORDERS).unwrap());
    let person = format!("/admin/people/{bob}");
    for path in [
        "/admin".to_owned(),
        "/admin/people".to_owned(),
        format!("{person}/delete"),
        "/admin/clients".to_owned(),
        "/admin/clients/web2/delete".to_owned(),
        "/admin/apis".to_owned(),
        format!("{orders}/delete"),
        "/admin/events".to_owned(),
    ] {
        let page = admin.page(&path).await;
        assert_eq!(page.status, 200, "{path}");
        assert!(!page.html.contains(['\u{202e}', '\u{200b}']), "{path}: {}", page.html);
    }
    assert!(admin.page("/admin/people").await.text("table").contains("x\\u{202e}y"), "the group is shown");
    let new = admin.page("/admin/people/new").await;
    assert!(new.text("fieldset").contains("x\\u{202e}y"), "{}", new.html);
}

/// A claim that is shown on the consent page reorders nothing there.
#[tokio::test]
async fn hidden_characters_are_shown_escaped_on_the_consent_page() {
    let server = Server::with_alice().await;
    server.client("web2", json!({ "scope": "openid phone email" })).await;
    let mut alice = server.person("alice").await;
    alice.profile.phone_number = Some("+49\u{202e}1".to_owned());
    alice.profile.email = Some("a\u{202e}b@example.com".to_owned());
    let write =
        server.app.store().write(move |tx| Box::pin(async move { signet::store::users::update(tx, &alice).await }));
    write.await.unwrap();
    let browser = server.browser();
    browser.sign_in_as("alice").await;
    let path = server.authorize(&[("client_id", "web2"), ("scope", "openid phone email")]);
    let consent = browser.page(&path).await;
    assert_eq!(consent.name(), "consent");
    assert!(consent.text("[data-scope=phone]").contains("\\u{202e}"), "{}", consent.html);
    assert!(consent.text("[data-scope=email]").contains("\\u{202e}"), "{}", consent.html);
}

#[tokio::test]
async fn group_names_have_no_hidden_characters() {
    let server = Server::with_alice().await;
    for name in ["x\u{202e}y", "x\u{200b}y", "\u{2066}staff", "a\u{feff}b"] {
        let done =
            signet::manage::groups::create(&server.app.manager(), &signet::manage::AuditContext::command_line(), name)
                .await;
        assert!(matches!(done, Err(signet::manage::ManageError::Invalid(_))), "{name:?}: {done:?}");
    }
}

/// T20: error answers for programs have printable ASCII only, whatever was asked, and no field of a header.
#[tokio::test]
async fn an_error_description_is_printable() {
    let server = Server::with_alice().await;
    for payload in PAYLOADS {
        for name in ["grant_type", "scope", "code", "refresh_token", "resource", "client_id"] {
            let mut form = vec![("grant_type", "client_credentials")];
            form.retain(|(known, _)| *known != name);
            form.push((name, payload));
            let request = http().post(format!("{}/oauth2/token", server.url));
            let request = request.basic_auth("web", Some(crate::support::SECRET)).form(&form);
            let response = request.send().await.unwrap();
            if response.status() == 200 {
                continue;
            }
            let answer: serde_json::Value = response.json().await.unwrap();
            let said = answer["error_description"].as_str().unwrap();
            assert!(said.chars().all(|c| matches!(c, ' '..='!' | '#'..='[' | ']'..='~')), "{said}");
        }
        let response = http().get(format!("{}/oauth2/userinfo", server.url));
        let cleaned: String = payload.chars().filter(|c| c.is_ascii() && !c.is_ascii_control()).collect();
        let response = response.header("authorization", format!("Bearer {cleaned}")).send().await.unwrap();
        assert_eq!(response.status(), 401);
        assert!(!response.headers()["www-authenticate"].to_str().unwrap().contains('<'));
    }
}
