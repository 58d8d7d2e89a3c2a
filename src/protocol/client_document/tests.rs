//! Unit tests for reading client ID metadata documents: which client ids are URLs, and which documents are accepted.
//! See also: `tests/it/client_document.rs`, which fetches documents.

use serde_json::{Value, json};

use super::{VouchedRedirects, is_address, read};
use crate::domain::algorithms::SigningAlg;
use crate::domain::client_metadata::{ApplicationType, ClientAuthMethod};
use crate::domain::ids::ClientId;

const ID: &str = "https://app.example.com/oauth/client.json";

#[test]
fn document_urls_are_recognized() {
    for (id, fits) in [
        (ID, true),
        ("https://app.example.com/", true),
        ("https://app.example.com:8443/client", true),
        ("http://127.0.0.1:9999/client", true),
        ("https://app.example.com", false),
        ("https://app.example.com:443/client", false),
        ("https://APP.example.com/client", false),
        ("https://app.example.com/a/../client", false),
        ("https://app.example.com/./client", false),
        ("https://0x7f.1/client", false),
        ("https:app.example.com/client", false),
        ("https:///app.example.com/client", false),
        ("HTTPS://app.example.com/client", false),
        ("ftp://app.example.com/client", false),
        ("web", false),
        ("urn:app:client", false),
    ] {
        assert_eq!(is_address(&ClientId::parse(id).unwrap()), fits, "{id}");
    }
    for never in ["https://user@app.example.com/c", "https://app.example.com/c?a=b", "https://app.example.com/c#d"] {
        assert!(ClientId::parse(never).is_err(), "{never}");
    }
}

#[test]
fn document_metadata_is_validated() {
    let document = |changes: Value| {
        let mut all = json!({ "client_id": ID, "redirect_uris": ["https://app.example.com/cb"] });
        all.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        read(&ClientId::parse(ID).unwrap(), all.to_string().as_bytes(), &VouchedRedirects::default())
    };
    let usual = document(json!({ "client_name": "App", "what": { "ever": true }, "scope": "admin" })).unwrap();
    assert!(usual.token_endpoint_auth_method == ClientAuthMethod::None && usual.require_pkce);
    assert!(!usual.scope.contains("admin"));
    let device = "urn:ietf:params:oauth:grant-type:device_code";
    for good in [
        json!({ "grant_types": ["authorization_code", "refresh_token", device, "what.ever"] }),
        json!({ "response_types": ["code", "code id_token"] }),
        json!({ "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "https://app.example.com/jwks" }),
        json!({ "subject_type": "pairwise", "consent": "trusted", "logo_uri": null }),
        json!({ "logo_uri": "javascript:alert(1)", "tos_uri": "http://app.example.com/terms", "policy_uri": 1 }),
    ] {
        assert!(document(good.clone()).is_ok(), "{good}");
    }
    let odd = document(json!({ "logo_uri": "javascript:alert(1)", "tos_uri": "https://app.example.com/t" })).unwrap();
    assert!(odd.logo_uri.is_none() && odd.tos_uri.is_some());
    for (uri, native) in
        [("https://app.example.com/cb", false), ("http://127.0.0.1/cb", true), ("com.example.app:/cb", true)]
    {
        let meta = document(json!({ "redirect_uris": [uri] })).unwrap();
        assert_eq!(meta.application_type() == ApplicationType::Native, native, "{uri}");
    }
    let told =
        json!({ "backchannel_logout_uri": "https://app.example.com/out", "frontchannel_logout_uri": "nonsense" });
    assert!(document(told).unwrap().backchannel_logout_uri.is_none());
    let narrowed = json!({ "id_token_signed_response_alg": "HS256" });
    assert_eq!(document(narrowed).unwrap().id_token_signed_response_alg, SigningAlg::RS256, "it has no secret");
    for bad in [
        json!({ "client_id": "https://app.example.com/oauth/other.json" }),
        json!({ "client_id": "https://app.example.com/oauth/client.jso" }),
        json!({ "client_id": null }),
        json!({ "client_id": [ID] }),
        json!({ "redirect_uris": [] }),
        json!({ "redirect_uris": null }),
        json!({ "redirect_uris": ["http://app.example.com/cb"] }),
        json!({ "client_secret": "0123456789012345678901234567890123456789" }),
        json!({ "token_endpoint_auth_method": "client_secret_basic" }),
        json!({ "token_endpoint_auth_method": "client_secret_jwt" }),
        json!({ "token_endpoint_auth_method": "private_key_jwt" }),
        json!({ "grant_types": ["client_credentials"] }),
        json!({ "grant_types": "authorization_code" }),
        json!({ "redirect_uris": ["com.example.app:/cb"], "application_type": "web" }),
    ] {
        assert!(document(bad.clone()).is_err(), "{bad}");
    }
}
