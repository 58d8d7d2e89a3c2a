//! Each credential is good for one purpose, one client and one request.

use serde_json::json;
use signet::domain::api_key::ApiKeySecret;
use signet::web::pages::setup;

use super::{active, http, refresh, revoke, text, tokens, userinfo};
use crate::api_keys;
use crate::gate;
use crate::support::{CALLBACK, SECRET, Server, VERIFIER, log};

/// Every kind of secret there is, by name.
async fn one_of_each(server: &Server) -> Vec<(&'static str, String)> {
    let jwt = tokens(server, "openid offline_access").await;
    server.client("opaque", json!({ "access_token_format": "opaque" })).await;
    let opaque = server.token_as("opaque", &[("grant_type", "client_credentials")]).await.1;
    server.client("tv", json!({ "grant_types": [DEVICE_GRANT], "scope": "openid" })).await;
    let device = http().post(format!("{}/oauth2/device_authorization", server.url)).basic_auth("tv", Some(SECRET));
    let device: serde_json::Value = device.form(&[("scope", "openid")]).send().await.unwrap().json().await.unwrap();
    let (api_key, _) = api_keys::made(server, api_keys::alice(server).await).await;
    let link = setup::link(&server.app).await.unwrap().unwrap();
    let login = http().get(format!("{}/login", server.url)).send().await.unwrap();
    let cookie = login.headers()["set-cookie"].to_str().unwrap().to_owned();
    let cookie = cookie.split(['=', ';']).nth(1).unwrap().to_owned();
    let html = login.text().await.unwrap();
    let csrf = html.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    vec![
        ("code", server.code("openid").await),
        ("refresh token", text(&jwt, "refresh_token")),
        ("access token", text(&jwt, "access_token")),
        ("device code", text(&device, "device_code")),
        ("opaque access token", text(&opaque, "access_token")),
        ("ID token", text(&jwt, "id_token")),
        ("client secret", SECRET.to_owned()),
        ("API key", api_key.expose().to_owned()),
        ("set-up token", link.expose().split("token=").nth(1).unwrap().to_owned()),
        ("browser cookie", cookie),
        ("form token", csrf),
    ]
}

const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

const PLACES: [&str; 17] = [
    "code",
    "refresh_token",
    "device_code",
    "code_verifier",
    "basic",
    "post",
    "userinfo",
    "introspect",
    "hint",
    "setup",
    "API key",
    "session cookie",
    "browser cookie",
    "bearer at the gate",
    "X-API-Key at the gate",
    "Basic at the gate",
    "cookie at the gate",
];

/// Whether the server takes `secret` at `place` for what belongs there.
async fn taken(server: &Server, place: &str, secret: &str) -> bool {
    let url = |path: &str| format!("{}{path}", server.url);
    let grant = ("grant_type", "client_credentials");
    match place {
        "code" => server.redeem(secret).await.0 == 200,
        "refresh_token" => refresh(server, secret).await.0 == 200,
        "device_code" => {
            let form = [("grant_type", DEVICE_GRANT), ("device_code", secret)];
            server.token_as("tv", &form).await.1["error"] != "invalid_grant"
        }
        "code_verifier" => {
            let code = server.code("openid").await;
            let form = [("grant_type", "authorization_code"), ("code", &code), ("redirect_uri", CALLBACK)];
            let form: Vec<_> = form.into_iter().chain([("code_verifier", secret)]).collect();
            server.token(&form).await.0 == 200
        }
        "basic" => {
            let request = http().post(url("/oauth2/token")).basic_auth("web", Some(secret)).form(&[grant]);
            request.send().await.unwrap().status() == 200
        }
        "post" => {
            let form = [grant, ("client_id", "posts"), ("client_secret", secret)];
            http().post(url("/oauth2/token")).form(&form).send().await.unwrap().status() == 200
        }
        "userinfo" => userinfo(server, secret).await == 200,
        "introspect" => active(server, "web", secret).await || active(server, "opaque", secret).await,
        "hint" => {
            let path = server.authorize(&[("prompt", "none"), ("id_token_hint", secret)]);
            server.browser().open(&path).await.err().unwrap()["error"] != "invalid_request"
        }
        "setup" => server.browser().raw(&format!("/setup?token={secret}")).await.status() == 200,
        "API key" => match ApiKeySecret::parse(secret) {
            Some(key) => api_keys::is_good(server, &key).await,
            None => false,
        },
        "session cookie" | "browser cookie" => {
            let name = place.split(' ').next().unwrap();
            let request = http().get(url("/account")).header("cookie", format!("{}={secret}", server.cookie(name)));
            let response = request.send().await.unwrap();
            let is_new = |cookie: &axum::http::HeaderValue| cookie.to_str().unwrap().contains("-browser=");
            let replaced = response.headers().get_all("set-cookie").iter().any(is_new);
            if name == "session" { response.status() == 200 } else { !replaced }
        }
        "bearer at the gate" => at_the_gate(server, "authorization", &format!("Bearer {secret}")).await,
        "X-API-Key at the gate" => at_the_gate(server, "x-api-key", secret).await,
        "Basic at the gate" => at_the_gate(server, "authorization", &gate::basic("web", secret)).await,
        "cookie at the gate" => at_the_gate(server, "cookie", &format!("signet-gate-orders={secret}")).await,
        other => panic!("{other}"),
    }
}

/// Whether the gate finds out whose it is, whatever the rules say then.
async fn at_the_gate(server: &Server, name: &str, value: &str) -> bool {
    gate::nginx(server, "GET", "/", &[(name, value)]).await.status == 200
}

/// T3, CVE-2026-4282: a code forged from another single-use token. Every kind of secret at every place: only at its own
/// is it worth anything.
#[tokio::test]
async fn every_secret_is_refused_everywhere_but_at_its_own_place() {
    let server = Server::start_with(|config| {
        config.trusted_proxies = serde_json::from_value(json!("127.0.0.1")).unwrap();
    })
    .await;
    server.user("alice").await;
    server.client("web", json!({})).await;
    let api = json!({
        "identifier": "https://orders.example", "accepts": ["bearer", "api_key", "basic", "session"],
        "origins": ["https://orders.example.com"], "rules": [{ "methods": ["GET"], "path": "/**" }],
    });
    gate::put_api(&server, api).await;
    server.client("posts", json!({ "token_endpoint_auth_method": "client_secret_post" })).await;
    let own = [
        ("code", "code"),
        ("refresh token", "introspect"),
        ("refresh token", "refresh_token"),
        ("access token", "userinfo"),
        ("access token", "introspect"),
        ("opaque access token", "introspect"),
        ("device code", "device_code"),
        ("ID token", "hint"),
        ("client secret", "basic"),
        ("client secret", "post"),
        ("API key", "API key"),
        ("API key", "bearer at the gate"),
        ("API key", "X-API-Key at the gate"),
        ("client secret", "Basic at the gate"),
        ("set-up token", "setup"),
        ("browser cookie", "browser cookie"),
    ];
    let all = one_of_each(&server).await;
    for (kind, secret) in &all {
        for place in PLACES.into_iter().filter(|place| !own.contains(&(kind, place))) {
            assert!(!taken(&server, place, secret).await, "{kind} was taken as {place}");
        }
    }
    // And they were all good: at their own places each is taken.
    for (kind, place) in own {
        let secret = &all.iter().find(|(name, _)| *name == kind).unwrap().1;
        assert!(taken(&server, place, secret).await, "{kind} was not taken as {place}");
    }
}

/// T6, CVE-2026-55672: a code or refresh token redeemed by another client. It gets nothing, and whoever it was stolen
/// from loses what the thief has, too.
#[tokio::test]
async fn what_was_issued_to_one_client_is_worth_nothing_to_another() {
    let server = Server::with_alice().await;
    server.client("confidential", json!({})).await;
    server.client("public", json!({ "token_endpoint_auth_method": "none" })).await;
    for thief in ["confidential", "public"] {
        let steal = async |form: &[(&str, &str)]| {
            let request = http().post(format!("{}/oauth2/token", server.url));
            let request = if thief == "public" {
                request.form(&[form, &[("client_id", thief)]].concat())
            } else {
                request.basic_auth(thief, Some(SECRET)).form(form)
            };
            let response = request.send().await.unwrap();
            let status = response.status().as_u16();
            (status, response.json::<serde_json::Value>().await.unwrap()["error"].clone())
        };
        let code = server.code("openid").await;
        let form = [
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ];
        assert_eq!(steal(&form).await, (400, json!("invalid_grant")), "{thief}");
        assert_eq!(server.redeem(&code).await.1["error"], "invalid_grant", "used up by {thief}");

        let owned = tokens(&server, "openid offline_access").await;
        let token = text(&owned, "refresh_token");
        let form = [("grant_type", "refresh_token"), ("refresh_token", &token)];
        assert_eq!(steal(&form).await, (400, json!("invalid_grant")), "{thief}");
        assert_eq!(refresh(&server, &token).await.0, 400, "the family has ended");
        assert_eq!(userinfo(&server, &text(&owned, "access_token")).await, 401);

        // Nobody revokes or looks at what is another client's.
        let owned = tokens(&server, "openid offline_access").await;
        if thief == "confidential" {
            assert_eq!(revoke(&server, thief, &text(&owned, "access_token")).await, 200);
            assert_eq!(revoke(&server, thief, &text(&owned, "refresh_token")).await, 200);
            assert!(!active(&server, thief, &text(&owned, "refresh_token")).await);
        }
        assert_eq!(userinfo(&server, &text(&owned, "access_token")).await, 200);
        assert_eq!(refresh(&server, &text(&owned, "refresh_token")).await.0, 200);
    }
}

/// T7, CVE-2023-48228 and CVE-2024-23647: PKCE passed over where challenge or verifier is missing. All of it: what goes
/// to the authorization endpoint, with what goes to the token endpoint, by clients that must use it and one that may.
#[tokio::test]
async fn pkce_is_never_passed_over() {
    let server = Server::with_alice().await;
    server.client("public", json!({ "token_endpoint_auth_method": "none" })).await;
    server.client("strict", json!({ "require_pkce": true })).await;
    let good = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
    let challenges = ["", good, "short", VERIFIER, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM="];
    let long = "x".repeat(129);
    let verifiers = ["", VERIFIER, good, "short", &long, "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXkA"];
    for client in ["web", "public", "strict"] {
        let browser = server.browser();
        browser.sign_in(&server.authorize(&[("client_id", client)])).await;
        for challenge in challenges {
            for method in ["", "S256", "plain", "s256"] {
                let asked = [("client_id", client), ("code_challenge", challenge), ("code_challenge_method", method)];
                let none = challenge.is_empty() && method.is_empty();
                // 43 characters of base64url are a challenge, whatever they are the hash of.
                let some = (challenge == good || challenge == VERIFIER) && method == "S256";
                let case = format!("{client} {challenge} {method}");
                for verifier in verifiers {
                    // A public one at loopback asks each time.
                    let answer = browser.sign_in(&server.authorize(&asked)).await;
                    let Some(code) = answer.get("code") else {
                        assert!(!some && (client != "web" || !none), "{case}");
                        assert_eq!(answer["error"], "invalid_request", "{case}");
                        break;
                    };
                    assert!(some || (client == "web" && none), "{case}");
                    let mut form =
                        vec![("grant_type", "authorization_code"), ("code", code), ("redirect_uri", CALLBACK)];
                    form.push(("code_verifier", verifier));
                    let request = http().post(format!("{}/oauth2/token", server.url));
                    let request = if client == "public" {
                        form.push(("client_id", client));
                        request.form(&form)
                    } else {
                        request.basic_auth(client, Some(SECRET)).form(&form)
                    };
                    let redeemed = request.send().await.unwrap().status() == 200;
                    let right = if none { verifier.is_empty() } else { challenge == good && verifier == VERIFIER };
                    assert_eq!(redeemed, right, "{case} with {verifier}");
                }
            }
        }
    }
}

/// T29, CVE-2026-90942: no log line holds a secret, whatever went right or wrong on the way.
#[tokio::test]
async fn no_secret_is_logged() {
    let server = Server::with_alice().await;
    api_keys::put_api(&server, "orders", &["api_key"]).await;
    let typed = "a password that nobody has";
    let browser = server.browser();
    let login = browser.page("/login").await;
    browser.submit(&login, &[("username", "alice"), ("password", typed)]).await.ok().unwrap();
    let mut all = one_of_each(&server).await;
    for (kind, secret) in all.clone() {
        for place in PLACES {
            taken(&server, place, &secret).await;
        }
        // Where people and programs put them by mistake.
        for path in ["/oauth2/userinfo?access_token=", "/login?password=", "/oauth2/authorize?code="] {
            server.browser().raw(&format!("{path}{secret}")).await;
        }
        assert!(secret.len() >= 20, "{kind}");
    }
    all.push(("password", typed.to_owned()));
    all.push(("right password", crate::support::PASSWORD.to_owned()));
    let logged = log::all();
    assert!(logged.contains("refused"), "the log is kept");
    for (kind, secret) in all {
        assert!(!logged.contains(&secret), "{kind} in the log");
    }
}
