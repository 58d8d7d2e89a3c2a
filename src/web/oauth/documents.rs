//! Public documents: discovery (OpenID Connect Discovery §4, RFC 8414 §3) and the JWKS (RFC 7517 §5).

use axum::Json;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::app::App;
use crate::web::error::ApiError;
use crate::web::urls::ENDPOINTS;

pub async fn discovery(State(app): State<App>) -> Result<Response, ApiError> {
    let document = app.provider.discovery(&ENDPOINTS).await?;
    Ok(([(header::CACHE_CONTROL, "public, max-age=300")], Json(document)).into_response())
}

pub async fn jwks(State(app): State<App>) -> Response {
    let jwks = app.provider.keys.current().jwks.to_string();
    // Shorter than a key is published before it signs: nobody who obeys it ever meets an unknown key.
    let headers = [(header::CONTENT_TYPE, "application/jwk-set+json"), (header::CACHE_CONTROL, "public, max-age=3600")];
    (headers, jwks).into_response()
}
