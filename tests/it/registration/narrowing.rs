//! What is left of a registration where the server does not offer all of it (RFC 7591 §3.2.1), which APIs such a client may
//! ask for, and that redirect URIs follow the same rules however a client came to be.

use reqwest::Method;
use serde_json::{Value, json};
use signet::config::Registration;
use signet::domain::api::Api;
use signet::domain::ids::{ApiId, ClientId};
use signet::manage::apply::{Options, apply};
use signet::manage::document::{Document, Format};
use signet::manage::{By, apis, clients};
use signet::store;

use super::{ask, managed, open, register};
use crate::support::receiver::{Answer, Receiver, reachable};
use crate::support::{CALLBACK, Server, VERIFIER};
use crate::token::claims;

const NOTES: &str = "https://notes.example.com";

async fn put(server: &Server, api: Value) {
    let api: Api = serde_json::from_value(api).unwrap();
    apis::put(&server.app.manager(), &By::command_line(), api).await.unwrap();
}

async fn apply_client(server: &Server, row: Value) -> Result<(), String> {
    let document = Document::parse(&json!({ "clients": [row] }).to_string(), Format::Json)?;
    let done = apply(&server.app.manager(), &By::command_line(), document, Options::default()).await;
    done.map(drop).map_err(|error| error.to_string())
}

/// As VS Code registers, for every server at once.
fn editor() -> Value {
    json!({
        "client_name": "Editor", "client_uri": "https://editor.example", "application_type": "native",
        "grant_types": ["authorization_code", "refresh_token", "urn:ietf:params:oauth:grant-type:device_code"],
        "response_types": ["code"], "token_endpoint_auth_method": "none",
        "redirect_uris": ["https://editor.example/redirect", "http://localhost/", "http://127.0.0.1/", "http://127.0.0.1:33418/"],
    })
}

#[tokio::test]
async fn lists_are_narrowed_to_what_is_offered() {
    let server = open().await;
    let (status, answer) = register(&server, &editor()).await;
    assert_eq!(status, 201, "{answer}");
    assert_eq!(answer["grant_types"], json!(["authorization_code", "refresh_token"]));
    assert_eq!(answer["redirect_uris"], editor()["redirect_uris"]);
    let (path, token) = managed(&answer);
    let read: Value = ask(&server, Method::GET, &path, Some(token), None).await.json().await.unwrap();
    assert_eq!(read, answer, "the effective metadata");
    let good = "https://app.example/cb";
    for (changes, member, left) in [
        (
            json!({ "grant_types": ["authorization_code", "password", "client_credentials"] }),
            "grant_types",
            json!(["authorization_code"]),
        ),
        (json!({ "response_types": ["code", "token"] }), "response_types", json!(["code"])),
        (
            json!({ "response_types": ["code", "code id_token"], "grant_types": ["authorization_code"] }),
            "response_types",
            json!(["code"]),
        ),
        (json!({ "scope": "openid admin email" }), "scope", json!("openid email")),
        (json!({ "scope": "  " }), "scope", json!("openid profile email address phone")),
        (json!({ "redirect_uris": [good, "http://app.example/cb"] }), "redirect_uris", json!([good])),
        (
            json!({ "redirect_uris": ["javascript:alert(1)", good, "https://app.example/#f"] }),
            "redirect_uris",
            json!([good]),
        ),
        (json!({ "redirect_uris": [good, "cursor://callback"] }), "redirect_uris", json!([good])),
        (
            json!({ "redirect_uris": [good, "com.example.app:/cb"], "application_type": "web" }),
            "redirect_uris",
            json!([good]),
        ),
        (
            json!({ "redirect_uris": [good, "https://localhost/cb"], "application_type": "native" }),
            "redirect_uris",
            json!([good]),
        ),
        (
            json!({ "redirect_uris": [good, "http://localhost/cb"], "response_types": ["code id_token"] }),
            "redirect_uris",
            json!([good]),
        ),
        (
            json!({ "post_logout_redirect_uris": ["http://app.example/bye", "https://app.example/bye", "cursor://bye"] }),
            "post_logout_redirect_uris",
            json!(["https://app.example/bye"]),
        ),
        (json!({ "post_logout_redirect_uris": ["http://app.example/bye"] }), "post_logout_redirect_uris", json!([])),
        (json!({ "redirect_uris": ["com.example.app:/cb"] }), "application_type", json!("native")),
    ] {
        let mut body = json!({ "redirect_uris": [good] });
        body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let (status, answer) = register(&server, &body).await;
        assert_eq!((status, &answer[member]), (201, &left), "{changes}: {answer}");
    }
    // Nothing is left that the client could work with.
    for (changes, error) in [
        (json!({ "redirect_uris": ["cursor://callback", "http://app.example/cb"] }), "invalid_redirect_uri"),
        (json!({ "redirect_uris": ["com.example.app:/cb"], "application_type": "web" }), "invalid_redirect_uri"),
        (
            json!({ "grant_types": ["urn:ietf:params:oauth:grant-type:device_code", "refresh_token"] }),
            "invalid_client_metadata",
        ),
        (
            json!({ "response_types": ["code id_token"], "grant_types": ["authorization_code"] }),
            "invalid_client_metadata",
        ),
    ] {
        let mut body = json!({ "redirect_uris": [good] });
        body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let (status, answer) = register(&server, &body).await;
        assert_eq!((status, answer["error"].as_str()), (400, Some(error)), "{changes}: {answer}");
    }
}

/// What is not offered, or is no value at all, gives way to the default: the answer says so (RFC 7591 §3.2.1).
#[tokio::test]
async fn values_that_are_not_offered_give_way_to_defaults() {
    let server = open().await;
    let good = "https://app.example/cb";
    let (basic, default_scope) =
        (json!("client_secret_basic"), json!("openid profile email address phone offline_access"));
    for (changes, member, left) in [
        (json!({ "token_endpoint_auth_method": "tls_client_auth" }), "token_endpoint_auth_method", &basic),
        (json!({ "token_endpoint_auth_method": "dpop" }), "token_endpoint_auth_method", &basic),
        (json!({ "id_token_signed_response_alg": "none" }), "id_token_signed_response_alg", &json!("RS256")),
        (json!({ "id_token_signed_response_alg": "RS512" }), "id_token_signed_response_alg", &json!("RS256")),
        (json!({ "userinfo_signed_response_alg": "none" }), "userinfo_signed_response_alg", &Value::Null),
        (
            json!({ "token_endpoint_auth_method": "none", "userinfo_signed_response_alg": "HS256" }),
            "userinfo_signed_response_alg",
            &Value::Null,
        ),
        (json!({ "token_endpoint_auth_signing_alg": 7 }), "token_endpoint_auth_signing_alg", &Value::Null),
        (json!({ "application_type": "desktop" }), "application_type", &json!("web")),
        (json!({ "subject_type": "secret" }), "subject_type", &json!("public")),
        (json!({ "logo_uri": "javascript:alert(1)" }), "logo_uri", &Value::Null),
        (json!({ "initiate_login_uri": "http://127.0.0.1/start" }), "initiate_login_uri", &Value::Null),
        (json!({ "contacts": "me@app.example" }), "contacts", &Value::Null),
        (json!({ "default_max_age": "soon" }), "default_max_age", &Value::Null),
        (json!({ "request_uris": ["https://[::1]/r"] }), "request_uris", &Value::Null),
        (json!({ "backchannel_logout_uri": "http://10.0.0.1/out" }), "backchannel_logout_uri", &Value::Null),
        (json!({ "redirect_uris": [good, 7] }), "redirect_uris", &json!([good])),
        (json!({ "scope": "admin", "grant_types": ["authorization_code", "refresh_token"] }), "scope", &default_scope),
    ] {
        let mut body = json!({ "redirect_uris": [good] });
        body.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        let (status, answer) = register(&server, &body).await;
        assert_eq!((status, &answer[member]), (201, left), "{changes}: {answer}");
    }
}

/// What an administrator gave a client that registered itself it keeps when it sends its registration back.
#[tokio::test]
async fn redirect_uris_of_an_administrator_stay() {
    let server = open().await;
    let (_, made) = register(&server, &json!({ "redirect_uris": ["https://app.example/cb"] })).await;
    let (path, token) = managed(&made);
    let id = ClientId::parse(made["client_id"].as_str().unwrap()).unwrap();
    let mut meta = json!(server.app.provider.client(&id).await.unwrap().unwrap().meta);
    let given = json!(["https://app.example/cb", "cursor://callback", "http://nas.lan/cb"]);
    meta["redirect_uris"] = given.clone();
    meta["http_redirect_hosts"] = json!(["nas.lan"]);
    clients::update(&server.app.manager(), &By::command_line(), &id, serde_json::from_value(meta).unwrap())
        .await
        .unwrap();
    let mut read: Value = ask(&server, Method::GET, &path, Some(token), None).await.json().await.unwrap();
    assert_eq!(read["redirect_uris"], given);
    read["redirect_uris"].as_array_mut().unwrap().push(json!("zed://callback"));
    let after: Value = ask(&server, Method::PUT, &path, Some(token), Some(&read)).await.json().await.unwrap();
    assert_eq!(after["redirect_uris"], given, "and no other");
}

/// RFC 8252 §7.3: one rule for registration, metadata documents, `apply` and the console.
#[tokio::test]
async fn loopback_port_varies_however_a_client_came() {
    let server = Server::start_with(|config| {
        config.registration = Registration::Open;
        reachable(config);
    })
    .await;
    server.user("alice").await;
    let there = Receiver::start().await;
    for (uri, sent, accepted) in [
        ("http://127.0.0.1/cb", "http://127.0.0.1:50123/cb", true),
        ("http://localhost:33418/", "http://localhost:33419/", true),
        ("http://[::1]/cb", "http://[::1]:1/cb", true),
        ("http://127.0.0.1/cb", "http://127.0.0.1:50123/other", false),
        ("http://127.0.0.1/cb", "http://localhost:50123/cb", false),
        ("com.example.app:/cb", "com.example.app:/cb", true),
    ] {
        let meta = json!({ "redirect_uris": [uri], "token_endpoint_auth_method": "none" });
        let (status, registered) = register(&server, &meta).await;
        assert_eq!(status, 201, "{registered}");
        let path = format!("/{}.json", registered["client_id"].as_str().unwrap());
        let (mut document, mut row) = (meta.clone(), meta.clone());
        document["client_id"] = json!(there.at(&path));
        there.answer(&path, Answer::json(&document));
        row["client_id"] = json!("applied");
        apply_client(&server, row).await.unwrap();
        for id in [registered["client_id"].as_str().unwrap(), &there.at(&path), "applied"] {
            let asked = [("client_id", id), ("redirect_uri", sent), ("scope", "openid")];
            let page = server.browser().page(&server.authorize(&asked)).await;
            assert_eq!(page.name() == "login", accepted, "{id} {uri} {sent}");
        }
    }
    // One that keeps a secret, or says that it is a web app, has the port that it registered.
    for changes in [json!({}), json!({ "token_endpoint_auth_method": "none", "application_type": "web" })] {
        let mut row = json!({ "client_id": "web", "redirect_uris": [CALLBACK] });
        row.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        apply_client(&server, row).await.unwrap();
        for (uri, name) in [(CALLBACK, "login"), ("http://127.0.0.1:9998/cb", "error")] {
            let asked = server.authorize(&[("redirect_uri", uri), ("scope", "openid")]);
            assert_eq!(server.browser().page(&asked).await.name(), name, "{changes} {uri}");
        }
    }
}

/// RFC 8252 §7.1 wants a domain name in the scheme; many apps have none, and an administrator knows which.
#[tokio::test]
async fn administrator_registers_schemes_and_hosts_without_https() {
    let server = open().await;
    for (row, problem) in [
        (json!({ "redirect_uris": ["cursor://callback"] }), None),
        (
            json!({ "redirect_uris": ["audiobookshelf://oauth"], "post_logout_redirect_uris": ["audiobookshelf://bye"] }),
            None,
        ),
        (json!({ "redirect_uris": ["http://nas.lan:8096/cb"], "http_redirect_hosts": ["nas.lan"] }), None),
        (json!({ "redirect_uris": ["http://192.168.1.7/cb"], "http_redirect_hosts": ["192.168.1.0/24"] }), None),
        (json!({ "redirect_uris": ["http://nas.lan/cb"] }), Some("http_redirect_hosts")),
        (
            json!({ "redirect_uris": ["http://nas.lan.evil.example/cb"], "http_redirect_hosts": ["nas.lan"] }),
            Some("redirect_uris"),
        ),
        (
            json!({ "redirect_uris": ["http://app.example/cb"], "http_redirect_hosts": ["0.0.0.0/0"] }),
            Some("every address"),
        ),
        (json!({ "redirect_uris": ["javascript://cb"] }), Some("redirect_uris")),
        (json!({ "redirect_uris": ["localhost:8080/cb"] }), Some("redirect_uris")),
        (json!({ "redirect_uris": ["cursor://callback"], "application_type": "web" }), Some("native")),
    ] {
        let mut whole = json!({ "client_id": "app", "token_endpoint_auth_method": "none" });
        whole.as_object_mut().unwrap().extend(row.as_object().unwrap().clone());
        let done = apply_client(&server, whole).await;
        if let Some(says) = problem {
            assert!(done.as_ref().is_err_and(|text| text.contains(says)), "{row}: {done:?}");
            continue;
        }
        done.unwrap_or_else(|error| panic!("{row}: {error}"));
        let uri = row["redirect_uris"][0].as_str().unwrap();
        let asked = [("client_id", "app"), ("redirect_uri", uri), ("scope", "openid")];
        let browser = server.browser();
        browser.sign_in_as("alice").await;
        let consent = browser.page(&server.authorize(&asked)).await;
        let (action, form) = consent.form(&[("decision", "allow")]);
        let answer = browser.raw_post(&action, &form).await;
        let answer = browser.raw(answer.headers()["location"].to_str().unwrap()).await;
        let to = answer.headers()["location"].to_str().unwrap();
        assert!(to.starts_with(&format!("{uri}?code=")), "{to}");
        // Whoever listens there could be another program: it is asked about each time.
        assert_eq!(browser.page(&server.authorize(&asked)).await.name(), "consent", "{row}");
    }
    let exported = signet::manage::export::export(&server.app.manager()).await.unwrap();
    let exported = serde_json::to_value(exported).unwrap();
    assert_eq!(exported["clients"][0]["http_redirect_hosts"], json!(["192.168.1.0/24"]));
}

/// Where a self-registered client and one of a document may get a token for the API, by the error otherwise.
async fn reach(server: &Server, clients: &[String], scope: &str) -> Vec<String> {
    let mut all = Vec::new();
    for id in clients {
        let asked = [("client_id", id.as_str()), ("scope", scope), ("resource", NOTES)];
        let browser = server.browser();
        browser.sign_in_as("alice").await;
        all.push(match browser.open(&server.authorize(&asked)).await {
            Ok(page) if page.name() == "consent" => {
                let callback = browser.submit(&page, &[("decision", "allow")]).await.err().unwrap();
                let form = [
                    ("grant_type", "authorization_code"),
                    ("client_id", id.as_str()),
                    ("code", &callback["code"]),
                    ("redirect_uri", CALLBACK),
                    ("code_verifier", VERIFIER),
                ];
                let request = reqwest::Client::new().post(format!("{}/oauth2/token", server.url)).form(&form);
                let tokens: Value = request.send().await.unwrap().json().await.unwrap();
                claims(tokens["access_token"].as_str().unwrap())["aud"].as_str().unwrap().to_owned()
            }
            Ok(page) => page.error(),
            Err(callback) => callback["error"].clone(),
        });
    }
    all
}

#[tokio::test]
async fn apis_take_self_registered_clients_exactly_when_they_say_so() {
    let server = Server::start_with(|config| {
        config.registration = Registration::Open;
        // Of an API's scopes the policy decides nothing.
        config.registration_policy.scope = "openid note".to_owned();
        reachable(config);
    })
    .await;
    server.user("alice").await;
    let there = Receiver::start().await;
    let id = there.at("/client.json");
    let document = json!({ "client_id": id, "redirect_uris": [CALLBACK], "client_name": "Robot" });
    there.answer("/client.json", Answer::json(&document));
    put(&server, json!({ "identifier": NOTES, "scopes": ["note", "edit"] })).await;
    let body =
        json!({ "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none", "scope": "openid note edit" });
    let (_, made) = register(&server, &body).await;
    assert_eq!(made["scope"], "openid", "the scope of an API that does not take it is not registered");
    let both = [made["client_id"].as_str().unwrap().to_owned(), id];
    let set = async |scopes: Value, takes: bool| {
        put(&server, json!({ "identifier": NOTES, "scopes": scopes, "self_registered_clients": takes })).await;
    };
    for (scopes, takes, scope, error) in [
        (json!(["note", "edit"]), false, "openid note", "invalid_scope"),
        (json!(["note", "edit"]), true, "openid note", ""),
        (json!(["note", "edit"]), true, "edit", ""),
        (json!(["note", "edit"]), true, "", ""),
        (json!(["note", "edit"]), false, "edit", "invalid_scope"),
        (json!([]), false, "openid", "invalid_target"),
        (json!([]), true, "openid", ""),
        (json!([]), true, "", ""),
    ] {
        set(scopes.clone(), takes).await;
        let expected = if error.is_empty() { NOTES } else { error };
        // A document that nobody has used yet gets no redirect: the error is shown.
        assert_eq!(reach(&server, &both, scope).await, [expected, expected], "{scopes} {takes} {scope:?}");
    }
    set(json!(["note", "edit"]), true).await;
    let (_, made) = register(&server, &body).await;
    assert_eq!(made["scope"], "openid note edit");
    let only = json!({ "redirect_uris": [CALLBACK], "scope": "edit" });
    assert_eq!(register(&server, &only).await.1["scope"], "edit");
    // It may ask for what the API has, whatever it said.
    let all = register(&server, &json!({ "redirect_uris": [CALLBACK] })).await.1;
    assert_eq!(all["scope"], "openid note edit");
}

/// T40: what was issued ends where the API takes such clients no more, on every node.
#[tokio::test]
async fn api_that_takes_no_self_registered_clients_any_more() {
    let server = open().await;
    let set = async |takes: bool| {
        put(&server, json!({ "identifier": NOTES, "scopes": ["note"], "self_registered_clients": takes })).await;
    };
    set(true).await;
    let body = json!({ "redirect_uris": [CALLBACK], "grant_types": ["authorization_code", "refresh_token"] });
    let (_, made) = register(&server, &body).await;
    let (id, secret) = (made["client_id"].as_str().unwrap(), made["client_secret"].as_str().unwrap());
    let post = async |path: &str, form: &[(&str, &str)]| -> (u16, Value) {
        let request =
            reqwest::Client::new().post(format!("{}{path}", server.url)).basic_auth(id, Some(secret)).form(form);
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    };
    let redeem = async |code: &str| {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", VERIFIER),
        ];
        post("/oauth2/token", &form).await
    };
    let asked = server.authorize(&[("client_id", id), ("scope", "note"), ("resource", NOTES)]);
    let browser = server.browser();
    let code = browser.sign_in(&asked).await["code"].clone();
    let (_, tokens) = redeem(&code).await;
    let late = browser.sign_in(&asked).await["code"].clone();
    let waiting = server.browser();
    let login = waiting.page(&asked).await;
    let other = server.node().await;
    assert!(browser.at(&other).sign_in(&asked).await.contains_key("code"), "it has the API in memory");
    set(false).await;
    let elsewhere = browser.at(&other).open(&asked).await.err().unwrap();
    assert_eq!(elsewhere["error"], "invalid_scope", "what the other node has in memory decides nothing");
    let token = tokens["access_token"].as_str().unwrap();
    assert_eq!(post("/oauth2/introspect", &[("token", token)]).await.1, json!({ "active": false }));
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", tokens["refresh_token"].as_str().unwrap())];
    assert_eq!(post("/oauth2/token", &refresh).await.1["error"], "invalid_grant");
    assert_eq!(redeem(&late).await.1["error"], "invalid_grant");
    let after = waiting.submit(&login, &[("username", "alice"), ("password", crate::support::PASSWORD)]).await;
    assert_eq!(after.err().unwrap()["error"], "invalid_scope");
    // What an administrator gives one client it has, whatever the API says of all of them.
    let id = ClientId::parse(id).unwrap();
    let mut meta = store::clients::by_id(server.app.store().read(), &id).await.unwrap().unwrap().meta;
    meta.api_scopes.add(&ApiId::parse(NOTES).unwrap(), &["note"].into_iter().collect());
    clients::update(&server.app.manager(), &By::command_line(), &id, meta).await.unwrap();
    assert!(browser.sign_in(&asked).await.contains_key("code"));
}

/// A document makes no more of a client than it was: on another server it is still one that registered itself.
#[tokio::test]
async fn an_exported_client_stays_self_registered() {
    use signet::manage::export::export;
    use signet::store::clients as stored;
    let (first, second) = (open().await, Server::start().await);
    let (status, answer) = register(&first, &json!({ "redirect_uris": ["https://app.example/cb"] })).await;
    assert_eq!(status, 201, "{answer}");
    let id = ClientId::parse(answer["client_id"].as_str().unwrap()).unwrap();
    let mut exported = serde_json::to_value(export(&first.app.manager()).await.unwrap()).unwrap();
    assert_eq!(exported["clients"][0]["self_registered"], json!(true));
    for (server, exported) in [
        (&first, exported.clone()),
        (&second, {
            // Secrets belong to the first one's master key.
            exported["clients"][0].as_object_mut().unwrap().remove("client_secret_hash");
            exported
        }),
    ] {
        let document = Document::parse(&exported.to_string(), Format::Json).unwrap();
        apply(&server.app.manager(), &By::command_line(), document, Options::default()).await.unwrap();
        let client = stored::by_id(server.app.store().read(), &id).await.unwrap().unwrap();
        assert!(!client.is_verified(), "as before");
    }
    // A client that an administrator made stays that, whatever a row says.
    second.client("web", json!({})).await;
    apply_client(&second, json!({ "client_id": "web", "redirect_uris": [CALLBACK], "self_registered": true }))
        .await
        .unwrap();
    let web = stored::by_id(second.app.store().read(), &ClientId::parse("web").unwrap()).await.unwrap().unwrap();
    assert!(web.is_verified());
}
