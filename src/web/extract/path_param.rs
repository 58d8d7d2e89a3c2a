//! A typed path parameter. A path whose parameter cannot be parsed gives a 404 page.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::request::origin;
use crate::app::AppState;
use crate::web::error::PageError;

pub struct PathParam<T>(pub T);

impl<T: DeserializeOwned + Send> FromRequestParts<AppState> for PathParam<T> {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, app: &AppState) -> Result<Self, PageError> {
        let named = Path::<T>::from_request_parts(parts, app).await;
        named.map(|Path(named)| Self(named)).map_err(|_| {
            let origin = origin(parts, &app.config.trusted_proxies);
            PageError::not_found(app, &origin, "There is no page at this address.")
        })
    }
}
