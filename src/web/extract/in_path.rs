//! What the last part of an address names, by its type: an address that names nothing of that type has no page.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::asked::origin;
use crate::app::App;
use crate::web::error::PageError;

pub struct InPath<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<App> for InPath<T> {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, PageError> {
        let named = Path::<T>::from_request_parts(parts, app).await;
        named.map(|Path(named)| Self(named)).map_err(|_| {
            let origin = origin(parts, &app.config.trusted_proxies);
            PageError::not_found(app, &origin, "There is no page at this address.")
        })
    }
}
