//! An app's logo, at an address of ours: the browser of whoever signs in asks nobody else, and the pages' CSP stays
//! closed. It is fetched when the picture is asked for, so that no page waits for it; where it cannot be had, two letters
//! of the app's name stand there as they do for an app without one.
//!
//! Next door: `outbound::images`, which fetches and keeps.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::error::ApiError;
use super::extract::PathParam;
use super::pages::app_card;
use crate::app::AppState;
use crate::domain::ids::ClientId;

/// Whatever the bytes are, nothing in them runs where somebody opens them by themselves.
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

/// The letters, in a grey that reads on light and dark; they are letters or digits, or a dot.
fn drawn(letters: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 40 40\"><text x=\"20\" y=\"21\" fill=\"#71757d\" \
         font-family=\"system-ui, sans-serif\" font-size=\"16\" font-weight=\"600\" text-anchor=\"middle\" \
         dominant-baseline=\"middle\">{letters}</text></svg>"
    )
}
