//! Libraries for apps with a server.

use std::time::Duration;

use serde_json::json;

use super::{IN_ID_TOKEN, SetUp};
use crate::support::client_programs::ClientProgram::{Apache, Go, Java, JavaScript, Python};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn openid_client_signs_in_refreshes_and_logs_out() {
    let app = SetUp::new(JavaScript("openid_client")).start().await;
    app.sign_in().await;
    app.refresh_in_parallel(1).await;
    app.log_out("/").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn passport_openidconnect_signs_in_refreshes_and_logs_out() {
    let app = SetUp::new(JavaScript("passport_openidconnect")).start().await;
    app.sign_in().await;
    app.refresh_in_parallel(1).await;
    app.log_out("/").await;
}

/// Its default: an ID token from the authorization endpoint, by a form.
#[tokio::test]
async fn express_openid_connect_signs_in_by_id_token_and_logs_out() {
    let client =
        json!({ "grant_types": ["implicit"], "response_types": ["id_token"], "scope": "openid profile email" });
    let set_up =
        SetUp { after_logout: "", client, with_secret: false, ..SetUp::new(JavaScript("express_openid_connect")) };
    let app = set_up.start().await;
    app.sign_in().await;
    app.log_out("/").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn express_openid_connect_signs_in_by_code_refreshes_and_logs_out() {
    let client = json!({ "id_token_claims": IN_ID_TOKEN });
    let app = SetUp { after_logout: "", client, ..SetUp::new(JavaScript("express_openid_connect")) }.start().await;
    app.sign_in().await;
    app.refresh_in_parallel(8).await;
    app.log_out("/").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn auth_js_signs_in_refreshes_and_logs_out() {
    let set_up = SetUp {
        redirect_path: "/auth/callback/signet",
        after_logout: "/auth/signout",
        client: json!({ "id_token_claims": IN_ID_TOKEN }),
        ..SetUp::new(JavaScript("auth_js"))
    };
    let app = set_up.start().await;
    app.sign_in().await;
    app.refresh_in_parallel(8).await;
    app.log_out("/").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn authlib_signs_in_refreshes_and_logs_out() {
    let app = SetUp::new(Python("authlib_flask")).start().await;
    app.sign_in().await;
    app.refresh_in_parallel(8).await;
    app.log_out("/").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn go_oidc_signs_in_refreshes_and_logs_out() {
    let app = SetUp::new(Go).start().await;
    app.sign_in().await;
    app.refresh_in_parallel(1).await;
    app.log_out("/").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn mod_auth_openidc_signs_in_refreshes_and_logs_out() {
    let app = SetUp::new(Apache).start().await;
    app.sign_in().await;
    // It refreshes what is older than a second by its own clock.
    tokio::time::sleep(Duration::from_millis(2100)).await;
    app.refresh_in_parallel(8).await;
    app.log_out("/").await;
    assert!(!app.app.log().contains("unhandled"), "every claim can be passed on:\n{}", app.app.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn spring_security_signs_in_refreshes_and_logs_out() {
    let set_up = SetUp {
        sign_in_path: "/oauth2/authorization/signet",
        redirect_path: "/login/oauth2/code/signet",
        ..SetUp::new(Java)
    };
    let app = set_up.start().await;
    app.sign_in().await;
    app.refresh_in_parallel(1).await;
    app.log_out("/").await;
}
