//! Apps: connecting one of each kind, changing, turning off, a new secret, deleting, and finding them again.

use serde_json::{Value, json};
use signet::domain::client::Client;
use signet::domain::client_metadata::ApplicationType;
use signet::domain::ids::ClientId;
use signet::store::clients;

use super::with_admin;
use crate::support::{Browser, CALLBACK, Page, Server, VERIFIER};

const FORM: &str = "main form[method=post]";

async fn stored(server: &Server, id: &str) -> Client {
    let id = ClientId::parse(id).unwrap();
    clients::by_id(server.app.store().read(), &id).await.unwrap().unwrap()
}

/// Fills the form for a new app of that kind.
async fn connect(admin: &Browser, kind: &str, fields: &[(&str, &str)]) -> Page {
    let page = admin.page(&format!("/admin/clients/new/{kind}")).await;
    admin.fill(&page, FORM, fields).await
}

fn shown_secret(page: &Page) -> Option<String> {
    Some(page.text(".notice .copy code")).filter(|secret| secret.starts_with("sgs_"))
}

async fn token(server: &Server, id: &str, secret: &str, form: &[(&str, &str)]) -> (u16, Value) {
    let request = reqwest::Client::new().post(format!("{}/oauth2/token", server.url)).basic_auth(id, Some(secret));
    let response = request.form(form).send().await.unwrap();
    (response.status().as_u16(), response.json().await.unwrap())
}

/// What the client is told about a code that is none: `invalid_client` unless its secret is right.
async fn knows(server: &Server, id: &str, secret: &str) -> bool {
    let form = [("grant_type", "authorization_code"), ("code", "sgc_none"), ("redirect_uri", CALLBACK)];
    token(server, id, secret, &form).await.1["error"] == "invalid_grant"
}

#[tokio::test]
async fn a_web_app_is_connected_and_its_secret_is_shown_once() {
    let (server, admin) = with_admin().await;
    let fields = [("client_name", "Lantern"), ("client_id", "lantern"), ("redirect_uris", CALLBACK)];
    let page = connect(&admin, "web", &fields).await;
    assert_eq!((page.status, page.path.as_str()), (200, "/admin/clients/lantern"));
    let secret = shown_secret(&page).expect("the secret");
    assert!(page.html.contains("Lantern is connected.") && page.html.contains(&server.url));
    assert!(knows(&server, "lantern", &secret).await && !knows(&server, "lantern", "sgs_wrong").await);
    let again = admin.page("/admin/clients/lantern").await;
    assert!(shown_secret(&again).is_none() && !again.html.contains(&secret), "shown once");
    let client = stored(&server, "lantern").await;
    assert!(client.meta.require_pkce && client.meta.application_type == ApplicationType::Web);
    // Tokens for who signs in, with PKCE alone.
    let browser = server.browser();
    let callback = browser.sign_in(&server.authorize(&[("client_id", "lantern")])).await;
    let form = [
        ("grant_type", "authorization_code"),
        ("code", callback["code"].as_str()),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    let (status, tokens) = token(&server, "lantern", &secret, &form).await;
    assert_eq!(status, 200, "{tokens}");
    let plain = server.authorize(&[("client_id", "lantern"), ("code_challenge", ""), ("code_challenge_method", "")]);
    assert_eq!(browser.sign_in(&plain).await["error"], "invalid_request");
}

#[tokio::test]
async fn an_app_without_a_server_has_no_secret_and_on_a_device_any_port() {
    let (server, admin) = with_admin().await;
    let fields = [("client_name", "Pocket"), ("client_id", "pocket"), ("redirect_uris", "http://127.0.0.1/cb")];
    let page = connect(&admin, "browser", &[fields.as_slice(), &[("scope", "openid offline_access")]].concat()).await;
    assert!(shown_secret(&page).is_none() && page.html.contains("signs in without a secret"));
    assert_eq!(stored(&server, "pocket").await.meta.application_type, ApplicationType::Native);
    let request = server.authorize(&[("client_id", "pocket"), ("scope", "openid offline_access")]);
    let callback = server.browser().sign_in(&request).await;
    let form = [
        ("grant_type", "authorization_code"),
        ("code", callback["code"].as_str()),
        ("client_id", "pocket"),
        ("redirect_uri", CALLBACK),
        ("code_verifier", VERIFIER),
    ];
    let response =
        reqwest::Client::new().post(format!("{}/oauth2/token", server.url)).form(&form).send().await.unwrap();
    let tokens: Value = response.json().await.unwrap();
    assert!(tokens["refresh_token"].is_string(), "{tokens}");
    let fields = [("client_name", "Page"), ("client_id", "page"), ("redirect_uris", "https://app.example/cb")];
    connect(&admin, "browser", &fields).await;
    assert_eq!(stored(&server, "page").await.meta.application_type, ApplicationType::Web);
}

#[tokio::test]
async fn a_machine_acts_for_itself() {
    let (server, admin) = with_admin().await;
    let page = connect(&admin, "machine", &[("client_name", "Nightly job"), ("scope", "reports")]).await;
    let secret = shown_secret(&page).unwrap();
    let id = page.path.trim_start_matches("/admin/clients/").to_owned();
    let (status, answer) = token(&server, &id, &secret, &[("grant_type", "client_credentials")]).await;
    assert_eq!(status, 200, "{answer}");
    assert!(page.html.contains("Machine"));
}

/// Where an app is told of a sign-out, and where it begins: members of its settings like the others.
#[tokio::test]
async fn addresses_for_signing_out_and_in_are_set() {
    let (server, admin) = with_admin().await;
    server
        .client(
            "web",
            json!({ "redirect_uris": ["https://app.example/cb"], "backchannel_logout_session_required": true }),
        )
        .await;
    let page = admin.page("/admin/clients/web").await;
    let fields = [
        ("backchannel_logout_uri", "https://app.example/told"),
        ("frontchannel_logout_uri", "https://app.example/out"),
        ("initiate_login_uri", "https://app.example/start"),
    ];
    let saved = admin.fill(&page, "#settings", &fields).await;
    assert_eq!(saved.status, 200, "{}", saved.text(".notice"));
    let meta = serde_json::to_value(stored(&server, "web").await.meta).unwrap();
    for (field, typed) in fields {
        assert_eq!(meta[field], typed);
        assert_eq!(saved.value(&format!("#{field}")), typed);
    }
    assert_eq!(meta["backchannel_logout_session_required"], true, "what the form does not show stays");
    for (field, typed) in [
        ("backchannel_logout_uri", "app.example"),
        ("backchannel_logout_uri", "https://app.example/told#a"),
        ("frontchannel_logout_uri", "https://other.example/out"),
        ("initiate_login_uri", "http://127.0.0.1/start"),
    ] {
        let refused = admin.fill(&saved, "#settings", &[(field, typed)]).await;
        assert!(refused.status == 422 && refused.has(&format!("#{field}-error")), "{field} {typed}");
        assert_eq!(refused.value(&format!("#{field}")), typed);
    }
    admin.fill(&saved, "#settings", &fields.map(|(field, _)| (field, ""))).await;
    assert_eq!(stored(&server, "web").await.meta.backchannel_logout_uri, None);
}

#[tokio::test]
async fn a_refused_form_keeps_what_was_typed_and_says_why_at_the_field() {
    let (server, admin) = with_admin().await;
    server.client("web", json!({})).await;
    for (field, typed) in [
        ("client_name", " "),
        ("client_id", "no spaces please"),
        ("client_id", "web"),
        ("redirect_uris", "https://app.example/cb#a"),
        ("redirect_uris", ""),
        ("redirect_uris", "javascript:alert(1)"),
        ("post_logout_redirect_uris", "app.example"),
        ("scope", "a\"b"),
        ("consent", "perhaps"),
        ("tos_uri", "<script>"),
    ] {
        let fields = [("client_name", "Lantern"), ("redirect_uris", CALLBACK), ("scope", "openid x")];
        let mut fields: Vec<(&str, &str)> = fields.into_iter().filter(|(name, _)| *name != field).collect();
        fields.push((field, typed));
        let page = connect(&admin, "web", &fields).await;
        assert_eq!((page.status, page.path.as_str()), (422, "/admin/clients/new/web"), "{field} {typed}");
        assert!(page.has(&format!("#{field}-error")), "{field} {typed}: {}", page.text(".notice"));
        if !["client_name", "consent"].contains(&field) {
            assert_eq!(page.value(&format!("[name={field}]")), typed);
            assert_eq!(page.value("[name=client_name]"), "Lantern");
        }
    }
    assert_eq!(clients::count(server.app.store().read()).await.unwrap(), 1);
    let page = connect(&admin, "machine", &[("client_name", "Job"), ("scope", "offline_access")]).await;
    assert!(page.status == 422 && page.has("#scope-error"));
    let page = admin.page("/admin/clients/web").await;
    for (field, typed) in [("redirect_uris", "http://app.example"), ("grant_types", "password"), ("scope", "\"")] {
        let refused = admin.fill(&page, "#settings", &[("client_name", "Other"), (field, typed)]).await;
        assert!(refused.status == 422 && refused.has(&format!("#{field}-error")), "{field}");
        assert_eq!(refused.value("#client_name"), "Other");
    }
    assert_eq!(stored(&server, "web").await.meta.client_name, "Web");
}

#[tokio::test]
async fn a_change_keeps_what_the_form_does_not_show() {
    let (server, admin) = with_admin().await;
    let hidden = json!({
        "default_max_age": 600, "client_uri": "https://app.example", "response_types": ["code"],
        "application_type": "native", "policy_uri": "https://app.example/policy",
    });
    server.client("web", hidden).await;
    let before = stored(&server, "web").await;
    let page = admin.page("/admin/clients/web").await;
    let saved = admin.fill(&page, "#settings", &[]).await;
    assert!(saved.html.contains("Saved."));
    assert_eq!(stored(&server, "web").await, before, "saving what is shown changes nothing");
    let changes =
        [("client_name", "Other"), ("consent", "trusted"), ("policy_uri", ""), ("access_token_format", "opaque")];
    admin.fill(&page, "#settings", &changes).await;
    let after = stored(&server, "web").await;
    assert_eq!(
        (after.meta.default_max_age, after.meta.client_uri.is_some(), after.is_native()),
        (Some(600), true, true)
    );
    assert!(after.is_trusted() && after.meta.policy_uri.is_none() && after.shown_name() == "Other");
    // From confidential to public and back: the new secret is shown.
    let page = admin.page("/admin/clients/web").await;
    let public = [("token_endpoint_auth_method", "none"), ("grant_types", "authorization_code"), ("scope", "openid")];
    assert!(shown_secret(&admin.fill(&page, "#settings", &public).await).is_none());
    let page = admin.page("/admin/clients/web").await;
    let page = admin.fill(&page, "#settings", &[("token_endpoint_auth_method", "client_secret_basic")]).await;
    assert!(knows(&server, "web", &shown_secret(&page).unwrap()).await);
}

/// Whatever `apply` has set: saving what is shown changes nothing, an edit of another field leaves it.
#[tokio::test]
async fn rare_members_are_shown_and_survive_an_edit() {
    let (server, admin) = with_admin().await;
    let keys = json!({ "keys": [{ "kty": "EC", "crv": "P-256", "kid": "a", "x": "x", "y": "y" }] });
    let rare = json!({
        "grant_types": ["authorization_code", "implicit", "refresh_token", "client_credentials",
            "urn:ietf:params:oauth:grant-type:device_code", "urn:ietf:params:oauth:grant-type:token-exchange",
            "urn:ietf:params:oauth:grant-type:jwt-bearer"],
        "response_types": ["code", "code id_token"], "token_endpoint_auth_method": "private_key_jwt",
        "token_endpoint_auth_signing_alg": "ES256", "jwks": keys, "subject_type": "pairwise",
        "sector_identifier_uri": "https://app.example/sector.json", "id_token_signed_response_alg": "PS256",
        "id_token_encrypted_response_alg": "ECDH-ES", "id_token_encrypted_response_enc": "A256GCM",
        "userinfo_signed_response_alg": "EdDSA", "userinfo_encrypted_response_alg": "RSA-OAEP-256",
        "introspection_signed_response_alg": "RS256", "introspection_encrypted_response_alg": "ECDH-ES+A256KW",
        "request_object_signing_alg": "ES256", "request_object_encryption_alg": "RSA-OAEP-256",
        "request_object_encryption_enc": "A128CBC-HS256", "request_uris": ["https://app.example/r#1"],
        "require_pushed_authorization_requests": true, "require_signed_request_object": true,
        "default_max_age": 600, "default_acr_values": ["phr", "urn:signet:acr:password"],
        "logo_uri": "https://app.example/logo.png", "initiate_login_uri": "https://app.example/login",
        "backchannel_logout_uri": "https://app.example/out", "backchannel_logout_session_required": true,
        "require_auth_time": true, "contacts": ["ops@app.example"], "software_id": "x",
        "token_exchange": [{ "client": "other", "delegation": true }],
        "jwt_bearer": [{ "issuer": "https://ci.example", "jwks_uri": "https://ci.example/jwks", "subject": "repo:*" }],
    });
    server.client("web", rare).await;
    let before = stored(&server, "web").await;
    let page = admin.page("/admin/clients/web").await;
    assert_eq!(page.value("#jwks_uri"), "");
    assert!(page.value("#jwks").contains("\"kid\": \"a\""));
    assert_eq!(page.value("#default_acr_values"), "phr urn:signet:acr:password");
    assert!(admin.fill(&page, "#settings", &[]).await.html.contains("Saved."));
    assert_eq!(stored(&server, "web").await, before, "saving what is shown changes nothing");
    admin.fill(&page, "#settings", &[("client_name", "Other")]).await;
    let mut after = stored(&server, "web").await;
    assert_eq!(after.meta.client_name, "Other");
    after.meta.client_name.clone_from(&before.meta.client_name);
    assert_eq!(after.meta, before.meta);
    // Response types that were never stated go on to follow the grant types.
    server.client("plain", json!({ "client_name": "Plain" })).await;
    let page = admin.page("/admin/clients/plain").await;
    let machine = [("grant_types", "client_credentials"), ("redirect_uris", ""), ("scope", "")];
    let saved = admin.fill(&page, "#settings", &machine).await;
    assert!(saved.html.contains("Saved."), "{}", saved.text(".error"));
    assert_eq!(stored(&server, "plain").await.meta.response_types(), []);
}

#[tokio::test]
async fn rare_members_are_set_from_the_console() {
    let (server, admin) = with_admin().await;
    server.client("web", json!({})).await;
    let page = admin.page("/admin/clients/web").await;
    let jwks = r#"{ "keys": [{ "kty": "EC", "crv": "P-256", "kid": "a", "x": "x", "y": "y" }] }"#;
    let changes = [
        ("response_types", "code"),
        ("response_types", "code id_token"),
        ("token_endpoint_auth_method", "private_key_jwt"),
        ("jwks", jwks),
        ("id_token_signed_response_alg", "EdDSA"),
        ("id_token_encrypted_response_alg", "ECDH-ES"),
        ("userinfo_signed_response_alg", "ES256"),
        ("introspection_signed_response_alg", "PS256"),
        ("subject_type", "pairwise"),
        ("request_object_signing_alg", "RS256"),
        ("request_uris", "https://app.example/a\r\nhttps://app.example/b"),
        ("require_pushed_authorization_requests", "true"),
        ("require_signed_request_object", "true"),
        ("default_max_age", "300"),
        ("default_acr_values", "phr"),
        ("logo_uri", "https://app.example/logo.png"),
        ("contacts", "ops@app.example help@app.example"),
        ("backchannel_logout_uri", "https://app.example/out"),
        ("frontchannel_logout_session_required", "true"),
    ];
    assert!(admin.fill(&page, "#settings", &changes).await.html.contains("Saved."));
    let meta = serde_json::to_value(stored(&server, "web").await.meta).unwrap();
    for (name, value) in [
        ("response_types", json!(["code", "code id_token"])),
        // What follows from it is ticked.
        ("grant_types", json!(["authorization_code", "refresh_token", "client_credentials", "implicit"])),
        ("token_endpoint_auth_method", json!("private_key_jwt")),
        ("jwks", serde_json::from_str(jwks).unwrap()),
        ("id_token_encrypted_response_alg", json!("ECDH-ES")),
        ("userinfo_signed_response_alg", json!("ES256")),
        ("introspection_signed_response_alg", json!("PS256")),
        ("subject_type", json!("pairwise")),
        ("request_object_signing_alg", json!("RS256")),
        ("request_uris", json!(["https://app.example/a", "https://app.example/b"])),
        ("require_pushed_authorization_requests", json!(true)),
        ("require_signed_request_object", json!(true)),
        ("default_max_age", json!(300)),
        ("default_acr_values", json!(["phr"])),
        ("logo_uri", json!("https://app.example/logo.png")),
        ("contacts", json!(["ops@app.example", "help@app.example"])),
        ("backchannel_logout_uri", json!("https://app.example/out")),
        ("frontchannel_logout_session_required", json!(true)),
    ] {
        assert_eq!(meta[name], value, "{name}");
    }
    // And back, by emptying.
    let page = admin.page("/admin/clients/web").await;
    let changes = [
        ("-require_pushed_authorization_requests", ""),
        ("-require_signed_request_object", ""),
        ("token_endpoint_auth_method", "client_secret_jwt"),
        ("jwks", ""),
        ("id_token_encrypted_response_alg", ""),
        ("request_object_signing_alg", ""),
        ("request_uris", ""),
        ("default_max_age", ""),
        ("default_acr_values", ""),
        ("logo_uri", ""),
    ];
    let saved = admin.fill(&page, "#settings", &changes).await;
    assert!(shown_secret(&saved).is_some(), "a secret for its MACs: {}", saved.text(".notice"));
    let meta = serde_json::to_value(stored(&server, "web").await.meta).unwrap();
    for (name, _) in changes.iter().filter(|(name, _)| *name != "token_endpoint_auth_method") {
        assert_eq!(meta[name.trim_start_matches('-')], Value::Null, "{name}");
    }
}

#[tokio::test]
async fn a_rare_member_that_is_refused_is_kept_and_told_at_its_field() {
    let (server, admin) = with_admin().await;
    server.client("web", json!({})).await;
    let before = stored(&server, "web").await;
    let page = admin.page("/admin/clients/web").await;
    let private = r#"{"keys":[{"kty":"EC","d":"x"}]}"#;
    for (field, typed, told) in [
        ("jwks", "{", "jwks"),
        ("jwks", "[]", "jwks"),
        ("jwks", private, "jwks"),
        ("jwks_uri", "app.example/jwks", "jwks_uri"),
        ("jwks_uri", "<script>", "jwks_uri"),
        ("sector_identifier_uri", "ftp://app.example", "sector_identifier_uri"),
        ("subject_type", "secret", "subject_type"),
        ("default_max_age", "soon", "default_max_age"),
        ("default_max_age", "-1", "default_max_age"),
        ("default_max_age", "99999999", "default_max_age"),
        ("request_uris", "https://app.example/a\nhere", "request_uris"),
        ("logo_uri", "javascript:alert(1)", "logo_uri"),
        ("userinfo_signed_response_alg", "none", "userinfo_signed_response_alg"),
        ("id_token_signed_response_alg", "none", "id_token_signed_response_alg"),
        ("response_types", "token", "response_types"),
        ("token_endpoint_auth_method", "private_key_jwt", "token_endpoint_auth_method"),
        ("token_endpoint_auth_method", "tls_client_auth", "token_endpoint_auth_method"),
        ("id_token_encrypted_response_alg", "ECDH-ES", "jwks"),
        ("userinfo_encrypted_response_enc", "A256GCM", "userinfo_encrypted_response_enc"),
        ("request_object_signing_alg", "RS256", "request_object_signing_alg"),
        ("token_exchange", "{}", "token_exchange"),
        ("jwt_bearer", "nonsense", "jwt_bearer"),
    ] {
        let refused = admin.fill(&page, "#settings", &[("client_name", "Other"), (field, typed)]).await;
        assert_eq!(refused.status, 422, "{field} {typed}");
        assert!(refused.has(&format!("#{told}-error")), "{field} {typed}: {}", refused.text(".error"));
        assert!(refused.has(&format!("details[open] #{told}-error")), "{field} {typed}: folded in");
        assert_eq!(refused.value("#client_name"), "Other");
        if !["subject_type", "response_types", "token_endpoint_auth_method"].contains(&field)
            && !field.ends_with("_alg")
        {
            assert_eq!(refused.value(&format!("#{field}")), typed, "{field}");
        }
    }
    assert_eq!(stored(&server, "web").await, before);
    // A form of which a part is missing empties nothing.
    let (action, mut form) = page.filled("#settings", &[]);
    form.retain(|(name, _)| name != "jwks_uri");
    assert_eq!(admin.raw_post(&action, &form).await.status(), 400);
}

#[tokio::test]
async fn a_new_secret_voids_the_old_one() {
    let (server, admin) = with_admin().await;
    server.client("web", json!({})).await;
    assert!(knows(&server, "web", crate::support::SECRET).await);
    let page = admin.page("/admin/clients/web").await;
    // Another page that is opened before the answer arrives neither shows the secret nor uses it up.
    let (action, form) = page.filled("form[action$='/rotate-secret']", &[]);
    let answer = admin.raw_post(&action, &form).await;
    assert!(!admin.page("/admin/clients").await.html.contains("sgs_"));
    let page = admin.follow(answer).await.ok().unwrap();
    let secret = shown_secret(&page).unwrap();
    assert!(knows(&server, "web", &secret).await && !knows(&server, "web", crate::support::SECRET).await);
    assert!(shown_secret(&admin.page("/admin/clients/web").await).is_none());
}

/// T5: what it held is void, and it works again only for what comes after.
#[tokio::test]
async fn an_app_that_is_off_gets_nothing() {
    let (server, admin) = with_admin().await;
    server.client("web", json!({})).await;
    let (_, tokens) = server.redeem(&server.code("openid offline_access").await).await;
    let refresh = [("grant_type", "refresh_token"), ("refresh_token", tokens["refresh_token"].as_str().unwrap())];
    let page = admin.press("/admin/clients/web", "/admin/clients/web/disable").await;
    assert!(page.html.contains("Web is off.") && page.has("form[action='/admin/clients/web/enable']"));
    assert_eq!(server.token(&refresh).await.0, 401);
    assert_eq!(server.browser().page(&server.authorize(&[])).await.status, 400);
    admin.press("/admin/clients/web", "/admin/clients/web/enable").await;
    assert_eq!(server.token(&refresh).await.1["error"], "invalid_grant");
    assert_eq!(server.browser().page(&server.authorize(&[])).await.name(), "login");
}

#[tokio::test]
async fn an_app_is_deleted_when_its_id_has_been_typed() {
    let (server, admin) = with_admin().await;
    // An id that is an address, and one that is the name of another page.
    for (id, path) in [("https://app.example/id", "https%3A%2F%2Fapp.example%2Fid"), ("new", "%6Eew")] {
        server.client(id, json!({})).await;
        let list = admin.page("/admin/clients").await;
        let href = list.attribute("tbody a", "href").unwrap();
        assert_eq!(href, format!("/admin/clients/{path}"));
        assert_eq!(admin.press(&href, &format!("{href}/disable")).await.path, href);
        let page = admin.page(&format!("{href}/delete")).await;
        let refused = admin.fill(&page, FORM, &[("confirm", "Web")]).await;
        assert!(refused.status == 422 && refused.has("#confirm-error") && refused.value("#confirm") == "Web");
        let page = admin.fill(&page, FORM, &[("confirm", id)]).await;
        assert_eq!(page.path, "/admin/clients");
        assert!(page.html.contains("Web is deleted.") && page.html.contains("No app is connected yet"));
    }
}

#[tokio::test]
async fn apps_are_found_and_come_in_pages() {
    let (server, admin) = with_admin().await;
    for number in 0..60 {
        server.client(&format!("app-{number:02}"), json!({ "client_name": format!("App {number:02}") })).await;
    }
    server.client("a_b", json!({ "client_name": "<script>alert(1)</script>" })).await;
    let hidden = json!({ "client_name": "Émile", "redirect_uris": ["https://else.example/Back"] });
    server.client("c", hidden).await;
    server.client("p", json!({ "client_name": "Pocket", "token_endpoint_auth_method": "none" })).await;
    server.client("m", json!({ "client_name": "Job", "grant_types": ["client_credentials"], "scope": "" })).await;
    let first = admin.page("/admin/clients").await;
    assert_eq!(first.count("tbody tr"), 50);
    assert!(first.html.contains("&#60;script&#62;") && !first.html.contains("<script>alert"), "escaped");
    let second = admin.page(&first.attribute("a[rel=next]", "href").unwrap()).await;
    assert_eq!((second.count("tbody tr"), second.has("a[rel=next]")), (14, false));
    assert!(second.html.contains("First page") && second.html.contains("Pocket"));
    for (query, rows) in [
        ("q=app+07", 1),
        ("q=APP-07", 1),
        ("q=else.example%2Fback", 1),
        ("q=émile", 1),
        ("q=_", 1),
        ("q=%25", 0),
        // Names of metadata are not what anybody searches for.
        ("q=redirect_uris", 0),
        ("kind=machine", 1),
        ("kind=browser", 1),
        ("kind=browser&state=off", 0),
    ] {
        assert_eq!(admin.page(&format!("/admin/clients?{query}")).await.count("tbody tr"), rows, "{query}");
    }
    let filtered = admin.page("/admin/clients?q=app&kind=web&state=on").await;
    let next = filtered.attribute("a[rel=next]", "href").unwrap();
    assert!(next.starts_with("/admin/clients?q=app&kind=web&state=on&after="), "{next}");
}
