//! `/device/qr?user_code=…`: the `verification_uri_complete` of RFC 8628 §3.3.1 as a QR code (SVG), for devices that
//! can show an image but cannot draw a QR code. The code is not looked up: there is an image for each well-formed
//! code.

use axum::extract::{RawQuery, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use qrcode::QrCode;
use qrcode::render::svg;

use crate::app::AppState;
use crate::domain::device::UserCode;
use crate::protocol::error::{ErrorCode, OAuthError};
use crate::protocol::parameters::Parameters;
use crate::web::error::ApiError;
use crate::web::urls::DEVICE;

/// The minimum width and height of the image in CSS pixels.
const PIXELS: u32 = 256;

pub async fn show(State(app): State<AppState>, RawQuery(query): RawQuery) -> Result<Response, ApiError> {
    let query = Parameters::parse(query.unwrap_or_default().as_bytes())?;
    let code = UserCode::parse(query.required("user_code")?)
        .ok_or_else(|| OAuthError::new(ErrorCode::InvalidRequest, "user_code is not a code of ours."))?;
    let address = format!("{}?user_code={code}", app.config.issuer.join(DEVICE));
    let qr = QrCode::new(address).map_err(|error| {
        OAuthError::new(ErrorCode::ServerError, "There is no picture.").with_cause(error.to_string())
    })?;
    let picture = qr.render::<svg::Color<'_>>().min_dimensions(PIXELS, PIXELS).build();
    Ok(([(header::CONTENT_TYPE, "image/svg+xml")], picture).into_response())
}
