//! What is left of a registration where the server does not offer all of it (RFC 7591 §3.2.1).

use reqwest::Method;
use serde_json::{Value, json};

use super::{ask, managed, open, register};

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
