//! The settings of an app in the console: every member is shown, set and taken back, what is refused is told at its field,
//! and what the form does not show stays. Next door: [`super::clients`], what else is done with apps.

use serde_json::{Value, json};
use signet::store::clients;

use super::clients::{connect, knows, shown_secret, stored};
use super::with_admin;
use crate::support::CALLBACK;

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
    assert!(after.is_trusted() && after.meta.policy_uri.is_none() && after.display_name() == "Other");
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
        "http_redirect_hosts": ["nas.lan", "192.168.1.0/24"], "introspection_apis": ["https://orders.example"],
        "token_exchange": [{ "client": "other", "delegation": true }],
        "jwt_bearer": [{ "issuer": "https://ci.example", "jwks_uri": "https://ci.example/jwks", "subject": "repo:*" }],
    });
    let api = serde_json::from_value(json!({ "identifier": "https://orders.example" })).unwrap();
    signet::manage::apis::put(&server.app.manager(), &signet::manage::AuditContext::command_line(), api).await.unwrap();
    server.client("web", rare).await;
    let before = stored(&server, "web").await;
    let page = admin.page("/admin/clients/web").await;
    assert_eq!(page.value("#http_redirect_hosts"), "nas.lan 192.168.1.0/24");
    assert_eq!(page.value("#introspection_apis"), "https://orders.example");
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
        ("id_token_encrypted_response_alg", "ECDH-ES", "id_token_encrypted_response_alg"),
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
