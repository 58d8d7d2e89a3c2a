//! Static files in the binary: style sheet, icons and scripts. Their URLs contain a version that changes with any of
//! the files, so browsers may cache them for a year and never show an outdated one.

use std::sync::LazyLock;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use rust_embed::RustEmbed;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::domain::secret::base64url;

#[derive(RustEmbed)]
#[folder = "static/"]
#[exclude = "*.md"]
struct Files;

static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hash = Sha256::new();
    for file in Files::iter().filter_map(|name| Files::get(&name)) {
        hash.update(file.metadata.sha256_hash());
    }
    base64url(&hash.finalize()).chars().take(10).collect()
});

/// Returns the value of `?v=` in URLs of static files.
pub fn version() -> &'static str {
    &VERSION
}

/// The path parameter with the file name. Other path parameters are ignored.
#[derive(Deserialize)]
pub struct StaticFileName {
    name: String,
}

/// Serves `/favicon.ico`, which browsers and other programs request without having read a page.
pub async fn favicon() -> Response {
    let Some(file) = Files::get("favicon.ico") else { return StatusCode::NOT_FOUND.into_response() };
    let headers = [(header::CONTENT_TYPE, "image/x-icon"), (header::CACHE_CONTROL, "public, max-age=86400")];
    (headers, file.data).into_response()
}

pub async fn serve(named: Result<Path<StaticFileName>, PathRejection>, RawQuery(query): RawQuery) -> Response {
    let Some(file) = named.ok().and_then(|Path(StaticFileName { name })| Files::get(&name)) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let ours = query.as_deref().and_then(|query| query.strip_prefix("v=")) == Some(version());
    let cache = if ours { "public, max-age=31536000, immutable" } else { "public, max-age=3600" };
    let headers =
        [(header::CONTENT_TYPE, file.metadata.mimetype().to_owned()), (header::CACHE_CONTROL, cache.to_owned())];
    (headers, file.data).into_response()
}
