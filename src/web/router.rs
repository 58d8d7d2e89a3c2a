//! All routes, grouped by caller: programs, readers of public documents, user browsers and proxies.

use std::time::Duration;

use axum::extract::{DefaultBodyLimit, State};
use axum::http::{Method, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use axum::{Extension, Router};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::cors::{AllowHeaders, Any, CorsLayer};

use super::extract::MAX_FORM_BYTES;
use super::limits::{self, ErrorFormat};
use super::oauth::{authorize, check_session, documents, registration, token, userinfo};
use super::pages::{
    consent, device, device_qr, home, login, logout, not_admitted, passkey, select_account, setup, sign_up,
};
use super::urls::{
    DEVICE, DEVICE_QR, ENDPOINTS, GATE, GATE_SESSION, GATE_SIGN_IN, LOGIN, PROTECTED_RESOURCE, SECURITY_TXT, SETUP,
    SIGN_UP, STATIC,
};
use super::{
    account, browser, console, error, flash, gate, layers, logo, origin, session_state, sessions, statics, well_known,
};
use crate::app::AppState;

const MAX_BODY_BYTES: usize = 64 * 1024;
/// `state`, `nonce` and `login_hint` may have 8 KiB each, and form encoding takes three bytes for a quotation mark.
const MAX_REQUEST_BYTES: usize = 96 * 1024;
/// How long a browser may cache a CORS preflight response (Fetch §4.8). Chromium caches it for two hours at most.
const PREFLIGHT_MAX_AGE: Duration = Duration::from_hours(2);

pub fn router(app: &AppState) -> Router {
    // Clients that run in browsers call these endpoints from their own pages. None of the endpoints reads cookies.
    // Without credentials, a header gives a page nothing that other programs do not have, so any request header is
    // allowed: libraries add `mcp-protocol-version`, `traceparent` and others.
    let cors = CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers([header::WWW_AUTHENTICATE, header::RETRY_AFTER, layers::REQUEST_ID])
        .max_age(PREFLIGHT_MAX_AGE);

    let back_channel = Router::new()
        .route(ENDPOINTS.token, post(token::token))
        .route(ENDPOINTS.introspection, post(token::introspect))
        .route(ENDPOINTS.revocation, post(token::revoke))
        .route(ENDPOINTS.registration, post(registration::register))
        .route("/oauth2/register/{id}", get(registration::show).put(registration::replace).delete(registration::end))
        .route(ENDPOINTS.device_authorization, post(token::device_authorization))
        .route(ENDPOINTS.pushed_authorization, post(token::push))
        .route(ENDPOINTS.userinfo, get(userinfo::userinfo).post(userinfo::userinfo));
    let back_channel = limited(app, ErrorFormat::Program, back_channel).layer(cors.clone());

    let documents = Router::new()
        .route("/.well-known/openid-configuration", get(documents::discovery))
        .route("/.well-known/oauth-authorization-server", get(documents::discovery))
        .route(ENDPOINTS.jwks, get(documents::jwks))
        .route(PROTECTED_RESOURCE, get(documents::protected_resource))
        .route("/.well-known/oauth-protected-resource/{*path}", get(documents::protected_resource_below))
        .route("/.well-known/passkey-endpoints", get(well_known::passkey_endpoints))
        .route(DEVICE_QR, get(device_qr::show));
    let documents = limited(app, ErrorFormat::Program, documents)
        .layer(Extension(documents::DiscoveryCache::default()))
        .layer(cors);

    // A form that is interrupted by a sign-in comes back sealed and longer (`extract::recent`).
    let own = account::routes().merge(console::routes()).layer(DefaultBodyLimit::max(2 * MAX_FORM_BYTES));
    let requests = Router::new()
        .route(ENDPOINTS.authorization, get(authorize::get).post(authorize::post))
        .layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES));
    let pages = Router::new()
        .route("/", get(home::show))
        .merge(requests)
        .route("/oauth2/authorize/{id}", get(authorize::resume))
        .route(LOGIN, get(login::for_oneself).post(login::submit_for_oneself))
        .route("/login/passkey/options", post(passkey::options))
        .route("/login/passkey/finish", post(passkey::finish))
        .route("/login/{id}", get(login::for_app).post(login::submit_for_app))
        .route(SIGN_UP, get(sign_up::for_oneself).post(sign_up::submit_for_oneself))
        .route("/signup/{id}", get(sign_up::for_app).post(sign_up::submit_for_app))
        .route("/consent/{id}", get(consent::show).post(consent::submit))
        .route("/select-account/{id}", get(select_account::show).post(select_account::submit))
        .route("/not-allowed/{id}", get(not_admitted::show).post(not_admitted::submit))
        .route(DEVICE, get(device::ask).post(device::typed))
        .route("/device/{ticket}", get(device::confirm).post(device::decide))
        .route(ENDPOINTS.end_session, get(logout::show).post(logout::submit))
        .route(&format!("{GATE_SIGN_IN}/{{gate}}"), get(gate::sign_in::show))
        .route(SETUP, get(setup::show).post(setup::submit))
        .merge(own);
    let pages = limited(app, ErrorFormat::Page, pages)
        .layer(from_fn_with_state(app.clone(), flash::layer))
        .layer(from_fn_with_state(app.clone(), session_state::layer))
        .layer(sessions::layer(app))
        .layer(from_fn_with_state(app.clone(), browser::layer));

    // These routes are served on the hosts of clients. The issuer's cookies are not sent there, and only the gate may
    // set cookies.
    let on_other_hosts = Router::new()
        .route(&format!("{GATE_SESSION}/{{gate}}/sign-in"), get(gate::sign_in::begin))
        .route(&format!("{GATE_SESSION}/{{gate}}/callback"), get(gate::sign_in::finish))
        .route(&format!("{GATE_SESSION}/{{gate}}/sign-out"), get(gate::sign_in::sign_out));
    let on_other_hosts = limited(app, ErrorFormat::AppHostPage, on_other_hosts);

    // Outside of the cookie layers: in a frame on a client's page, cookies are only visible to scripts.
    let framed = Router::new().route(ENDPOINTS.check_session, get(check_session::show));
    let framed = limited(app, ErrorFormat::Page, framed);

    // Static files contain no secrets, so compressing them leaks nothing (BREACH). Pages are not compressed.
    let files = get(statics::serve).layer(CompressionLayer::new());
    let operation = Router::new()
        .route("/livez", get(|| async { "ok" }))
        .route("/readyz", get(ready))
        .route("/logo/{client_id}", get(logo::show))
        .route("/.well-known/change-password", get(well_known::change_password))
        .route(SECURITY_TXT, get(well_known::security_txt))
        .route("/favicon.ico", get(statics::favicon))
        .route(&format!("{STATIC}/{{name}}"), files.clone())
        .route(&format!("{GATE_SESSION}/{{gate}}{STATIC}/{{name}}"), files);
    let operation = limited(app, ErrorFormat::Program, operation);

    // Any method is accepted, since Envoy sends the method of the original request. The limits of the other groups do
    // not apply (`gate`).
    let gate = Router::new()
        .route(&format!("{GATE}/{{gate}}"), any(gate::verify))
        .route(&format!("{GATE}/{{gate}}/"), any(gate::verify))
        .route(&format!("{GATE}/{{gate}}/{{*target}}"), any(gate::verify));

    Router::new()
        .merge(back_channel)
        .merge(documents)
        .merge(pages)
        .merge(framed)
        .merge(on_other_hosts)
        .merge(operation)
        .merge(gate)
        .fallback(error::no_such_page)
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(from_fn_with_state(app.clone(), origin::layer))
        .layer(CatchPanicLayer::new())
        .layer(from_fn_with_state(app.clone(), layers::request_layer))
        .with_state(app.clone())
}

/// Applies [`limits`] to a group of routes. Errors are rendered in the group's format.
fn limited(app: &AppState, face: ErrorFormat, group: Router<AppState>) -> Router<AppState> {
    let wrong_method = {
        let app = app.clone();
        move |request| limits::wrong_method(app.clone(), face, request)
    };
    group.method_not_allowed_fallback(wrong_method).layer(from_fn_with_state((app.clone(), face), limits::layer))
}

async fn ready(State(app): State<AppState>) -> Response {
    if app.is_stopping() {
        return (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "2")], "stopping").into_response();
    }
    match app.store().check_ready().await {
        Ok(()) => "ready".into_response(),
        Err(error) => {
            tracing::warn!(%error, "not ready");
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}
