//! Public documents: discovery (OpenID Connect Discovery §4, RFC 8414 §3) and the JWKS (RFC 7517 §5), from bytes that were
//! made when what they say last changed.

use std::sync::{Arc, RwLock};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use crate::app::App;
use crate::config::Registration;
use crate::protocol::discovery::{ENDPOINTS, Offered};
use crate::web::error::ApiError;

/// The discovery document as it was made for one state of the APIs, whose scopes it lists.
#[derive(Clone, Default)]
pub struct Prepared(Arc<RwLock<Option<(u64, Bytes)>>>);

impl Prepared {
    fn of(&self, epoch: u64) -> Option<Bytes> {
        let kept = self.0.read().ok()?;
        kept.as_ref().filter(|(of, _)| *of == epoch).map(|(_, bytes)| bytes.clone())
    }

    fn keep(&self, epoch: u64, bytes: &Bytes) {
        if let Ok(mut kept) = self.0.write() {
            *kept = Some((epoch, bytes.clone()));
        }
    }
}

pub async fn discovery(State(app): State<App>, prepared: axum::Extension<Prepared>) -> Result<Response, ApiError> {
    // The number from before the reading: a change that comes in between makes these bytes old at once.
    let epoch = app.store().authority().api_epoch();
    let bytes = match prepared.of(epoch) {
        Some(bytes) => bytes,
        None => {
            let offered = Offered { registration: app.config.registration != Registration::Off };
            let document = app.provider.discovery(&ENDPOINTS, offered).await?;
            let bytes = Bytes::from(document.to_string());
            prepared.keep(epoch, &bytes);
            bytes
        }
    };
    let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "public, max-age=300")];
    Ok((headers, bytes).into_response())
}

pub async fn jwks(State(app): State<App>) -> Response {
    let ring = app.provider.keys.current();
    // Shorter than a key is published before it signs: nobody who obeys it ever meets an unknown key.
    let headers = [(header::CONTENT_TYPE, "application/jwk-set+json"), (header::CACHE_CONTROL, "public, max-age=3600")];
    (headers, Bytes::from_owner(ring.jwks.clone())).into_response()
}
