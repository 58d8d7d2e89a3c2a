//! Client logos, served by this server: the browser of a user who signs in contacts no third party, and the CSP of
//! the pages stays strict. The logo is fetched when the image is requested, so that no page waits for it. If it is
//! not available, an image with two letters of the client's name is returned, as for a client without a logo.
//!
//! See also `outbound::images`, which fetches and caches.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::error::ApiError;
use super::extract::PathParam;
use super::pages::app_card;
use crate::app::AppState;
use crate::domain::ids::ClientId;

/// Prevents active content from running if the image is opened by itself.
const CSP: &str = "default-src 'none'; sandbox";

pub async fn show(State(app): State<AppState>, PathParam(id): PathParam<String>) -> Result<Response, ApiError> {
    let nothing = || ApiError::with_status(StatusCode::NOT_FOUND, "There is no such logo.");
    let id = ClientId::parse(&id).map_err(|_| nothing())?;
    let client = app.provider.client(&id).await?.ok_or_else(nothing)?;
    let uri = client.meta.logo_uri.as_ref().ok_or_else(nothing)?;
    Ok(match app.images.get(uri.as_str(), client.named_by(), app.env().now()).await {
        Some(image) => picture(image.media_type, "public, max-age=3600", image.bytes.clone()),
        None => picture("image/svg+xml", "public, max-age=60", drawn(&app_card(&client).letters()).into_bytes()),
    })
}

fn picture(media_type: &'static str, cache: &'static str, bytes: Vec<u8>) -> Response {
    let headers =
        [(header::CONTENT_TYPE, media_type), (header::CACHE_CONTROL, cache), (header::CONTENT_SECURITY_POLICY, CSP)];
    (headers, bytes).into_response()
}

/// Returns an SVG image with the letters, in a grey that is readable on light and dark backgrounds. The letters need
/// no escaping: they are alphanumeric or a dot.
fn drawn(letters: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 40 40\"><text x=\"20\" y=\"21\" fill=\"#71757d\" \
         font-family=\"system-ui, sans-serif\" font-size=\"16\" font-weight=\"600\" text-anchor=\"middle\" \
         dominant-baseline=\"middle\">{letters}</text></svg>"
    )
}
