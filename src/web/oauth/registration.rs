//! The registration endpoint over HTTP (RFC 7591 §3) and the clients' own management of their registrations (RFC 7592 §2).

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

use crate::app::App;
use crate::config::Registration;
use crate::domain::client::Client;
use crate::domain::secret::Secret;
use crate::identity::throttle;
use crate::manage::registration::{self, Refused};
use crate::protocol::bearer;
use crate::protocol::error::{ErrorCode, OAuthError};
use crate::protocol::parameters::Parameters;
use crate::web::error::{ApiError, Challenge};
use crate::web::extract::{body, is_json, origin};

pub async fn register(State(app): State<App>, request: Request) -> Result<Response, ApiError> {
    let (parts, body) = read(&app, request).await?;
    let access = match app.config.registration {
        Registration::Off => return Err(off()),
        Registration::Open => None,
        Registration::Token => Some(token(&parts)?.ok_or_else(bare)?),
    };
    let origin = origin(&parts, &app.config.trusted_proxies);
    let policy = &app.registration;
    let counted = throttle::count_registration(app.store(), &origin.address, policy.per_address).await;
    if counted.map_err(OAuthError::from)?.is_err() {
        return Err(ApiError::with_status(StatusCode::TOO_MANY_REQUESTS, "Too many registrations from this address."));
    }
    let meta = app.provider.read_registration(policy, &body).await?;
    let made = registration::register(&app.manager(), origin, meta, access.as_ref(), policy.clients).await;
    match made.map_err(OAuthError::from)? {
        Ok((client, token)) => {
            Ok((StatusCode::CREATED, Json(app.provider.registration_told(&client, &token))).into_response())
        }
        Err(Refused::Token) => {
            let error =
                OAuthError::new(ErrorCode::InvalidToken, "The initial access token is unknown, used or expired.");
            Err(ApiError::new(error, Challenge::Bearer))
        }
        Err(Refused::Full) => {
            Err(ApiError::with_status(StatusCode::FORBIDDEN, "No further clients may be registered here."))
        }
    }
}

pub async fn show(State(app): State<App>, Path(id): Path<String>, request: Request) -> Result<Response, ApiError> {
    let (parts, ()) = (request.into_parts().0, ());
    let (client, token) = managed(&app, &id, &parts).await?;
    Ok(Json(app.provider.registration_told(&client, &token)).into_response())
}

pub async fn replace(State(app): State<App>, Path(id): Path<String>, request: Request) -> Result<Response, ApiError> {
    let (parts, body) = read(&app, request).await?;
    let (client, token) = managed(&app, &id, &parts).await?;
    repeats(&app, &client, &body)?;
    let meta = app.provider.read_registration(&app.registration, &body).await?;
    let origin = origin(&parts, &app.config.trusted_proxies);
    let client = registration::replace(&app.manager(), origin, &client.id, meta).await.map_err(OAuthError::from)?;
    Ok(Json(app.provider.registration_told(&client, &token)).into_response())
}

pub async fn end(State(app): State<App>, Path(id): Path<String>, request: Request) -> Result<Response, ApiError> {
    let parts = request.into_parts().0;
    let (client, _) = managed(&app, &id, &parts).await?;
    let origin = origin(&parts, &app.config.trusted_proxies);
    registration::end(&app.manager(), origin, &client.id).await.map_err(OAuthError::from)?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// RFC 7592 §2.2: an update names the client, and its secret only as it is.
fn repeats(app: &App, client: &Client, body: &[u8]) -> Result<(), ApiError> {
    let said: Map<String, Value> = serde_json::from_slice(body).unwrap_or_default();
    let invalid = |text: &'static str| ApiError::from(OAuthError::new(ErrorCode::InvalidClientMetadata, text));
    if said.get("client_id").and_then(Value::as_str) != Some(client.id.as_str()) {
        return Err(invalid("client_id: is not that of this registration."));
    }
    let Some(secret) = said.get("client_secret").filter(|secret| !secret.is_null()) else { return Ok(()) };
    let kept = client.secret.as_ref().zip(secret.as_str());
    let same = kept.is_some_and(|(kept, secret)| app.provider.master.verify_client_secret(kept, secret));
    same.then_some(()).ok_or_else(|| invalid("client_secret: is another than was issued."))
}

async fn managed(app: &App, id: &str, parts: &Parts) -> Result<(Arc<Client>, Secret), ApiError> {
    if app.config.registration == Registration::Off {
        return Err(off());
    }
    let token = token(parts)?;
    let client = app.provider.managed_client(id, token.as_ref().map(Secret::expose)).await;
    let client = client.map_err(|error| ApiError::new(error, Challenge::Bearer))?;
    token.map(|token| (client, token)).ok_or_else(bare)
}

async fn read(app: &App, request: Request) -> Result<(Parts, Vec<u8>), ApiError> {
    if app.config.registration == Registration::Off {
        return Err(off());
    }
    if !is_json(request.headers()) {
        return Err(OAuthError::new(ErrorCode::InvalidClientMetadata, "The body must be application/json.").into());
    }
    let (parts, stream) = request.into_parts();
    let body = body(Request::from_parts(parts.clone(), stream)).await?;
    Ok((parts, body.to_vec()))
}

/// The bearer token of the request; never in the body here, which is JSON.
fn token(parts: &Parts) -> Result<Option<Secret>, ApiError> {
    let header = parts.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let nothing = Parameters::default();
    let token = bearer::token(header, &nothing).map_err(|error| ApiError::new(error, Challenge::Bearer))?;
    Ok(token.map(|token| Secret::new(token.to_owned())))
}

fn bare() -> ApiError {
    let error = OAuthError::new(ErrorCode::InvalidToken, "An initial access token is needed.");
    ApiError::new(error, Challenge::BareBearer)
}

fn off() -> ApiError {
    ApiError::with_status(StatusCode::NOT_FOUND, "Clients are not registered here.")
}
