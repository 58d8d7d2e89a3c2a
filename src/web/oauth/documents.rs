//! Public documents: discovery (OpenID Connect Discovery §4, RFC 8414 §3), the JWKS (RFC 7517 §5) and protected
//! resource metadata (RFC 9728 §3). Discovery and JWKS are serialized once and served from memory until they change.

use std::sync::{Arc, RwLock};

use axum::Json;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::Value;

use crate::app::AppState;
use crate::config::RegistrationMode;
use crate::protocol::discovery::{ENDPOINTS, OptionalFeatures};
use crate::protocol::parameters::Parameters;
use crate::web::error::ApiError;
use crate::web::urls::PROTECTED_RESOURCE;

/// The serialized discovery document for one version of the APIs, whose scopes it lists.
#[derive(Clone, Default)]
pub struct DiscoveryCache(Arc<RwLock<Option<(u64, Bytes)>>>);

impl DiscoveryCache {
    fn of(&self, epoch: u64) -> Option<Bytes> {
        let kept = self.0.read().ok()?;
        kept.as_ref().filter(|(of, _)| *of == epoch).map(|(_, bytes)| bytes.clone())
    }

    fn store(&self, epoch: u64, bytes: &Bytes) {
        if let Ok(mut kept) = self.0.write() {
            *kept = Some((epoch, bytes.clone()));
        }
    }
}

pub async fn discovery(
    State(app): State<AppState>,
    prepared: axum::Extension<DiscoveryCache>,
) -> Result<Response, ApiError> {
    // The epoch is read first, so that a change during the build makes the cached document outdated at once.
    let epoch = app.store().authority().api_epoch();
    let bytes = if let Some(bytes) = prepared.of(epoch) {
        bytes
    } else {
        let offered = OptionalFeatures {
            registration: app.config.registration != RegistrationMode::Off,
            certificates: app.config.client_certificate_header.is_some(),
        };
        let document = app.provider.discovery(&ENDPOINTS, offered).await?;
        let bytes = Bytes::from(document.to_string());
        prepared.store(epoch, &bytes);
        bytes
    };
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "public, max-age=300")];
    Ok((headers, bytes).into_response())
}

fn published(document: Value) -> Response {
    ([(header::CACHE_CONTROL, "public, max-age=300")], Json(document)).into_response()
}

/// Serves the metadata of the issuer's own endpoints or, with `resource`, of the API with that identifier. The API
/// serves it at its own host.
pub async fn protected_resource(State(app): State<AppState>, RawQuery(query): RawQuery) -> Result<Response, ApiError> {
    let query = Parameters::parse(query.unwrap_or_default().as_bytes())?;
    match query.one("resource")? {
        None => {
            let (issuer, name) = (app.config.issuer.as_str(), &app.config.name);
            Ok(published(app.provider.own_resource_metadata(issuer, name)))
        }
        Some(identifier) => of_api(&app, identifier).await,
    }
}

/// Serves the metadata of an API below the issuer, at the well-known path derived from its identifier (RFC 9728
/// §3.1).
pub async fn protected_resource_below(State(app): State<AppState>, uri: Uri) -> Result<Response, ApiError> {
    // The path is not decoded, since identifiers are compared byte by byte (RFC 9728 §3.3).
    let path = uri.path().strip_prefix(PROTECTED_RESOURCE).unwrap_or_default();
    if path == ENDPOINTS.userinfo {
        let resource = app.config.issuer.join(ENDPOINTS.userinfo);
        return Ok(published(app.provider.own_resource_metadata(&resource, &app.config.name)));
    }
    of_api(&app, &app.config.issuer.join(path)).await
}

async fn of_api(app: &AppState, identifier: &str) -> Result<Response, ApiError> {
    let document = app.provider.resource_metadata(identifier).await?;
    let unknown = || ApiError::with_status(StatusCode::NOT_FOUND, "There is no such API here.");
    document.map(published).ok_or_else(unknown)
}

pub async fn jwks(State(app): State<AppState>) -> Response {
    let ring = app.provider.keys.current();
    // Shorter than the time between the publication of a key and its first signature, so a client that respects it
    // never meets an unknown key.
    let headers = [(header::CONTENT_TYPE, "application/jwk-set+json"), (header::CACHE_CONTROL, "public, max-age=3600")];
    (headers, Bytes::from_owner(ring.jwks.clone())).into_response()
}
