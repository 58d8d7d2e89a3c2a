//! Style sheet, icons and the little script there is, inside the binary and cached for a year under their version.

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;

#[derive(RustEmbed)]
#[folder = "static/"]
#[exclude = "*.md"]
struct Files;

/// What stands behind `?v=`: it changes with the files, because it changes with the build.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

pub async fn serve(Path(name): Path<String>) -> Response {
    match Files::get(&name) {
        None => StatusCode::NOT_FOUND.into_response(),
        Some(file) => {
            let kind = file.metadata.mimetype().to_owned();
            let headers = [(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, "public, max-age=3600".to_owned())];
            (headers, file.data).into_response()
        }
    }
}
