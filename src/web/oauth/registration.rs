//! The registration endpoint over HTTP (RFC 7591 §3) and the clients' own management of their registrations (RFC 7592 §2).

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};

use crate::app::AppState;
use crate::config::RegistrationMode;
use crate::domain::client::Client;
use crate::domain::ids::ClientId;
use crate::domain::secret::{Secret, SecretKind};
use crate::identity::throttle::{self, Requester};
use crate::manage::registration::{self, RegistrationError};
use crate::protocol::bearer;
use crate::protocol::error::{ErrorCode, OAuthError};
use crate::protocol::parameters::Parameters;
use crate::protocol::registration::RegistrationRequest;
use crate::web::error::{ApiError, Challenge};
use crate::web::error_report::NamedClient;
use crate::web::extract::{PathParam, authorization, body, is_json, origin};

pub async fn register(State(app): State<AppState>, request: Request) -> Result<Response, ApiError> {
    let (parts, body) = read(&app, request).await?;
    let access = match app.config.registration {
        RegistrationMode::Off => return Err(off()),
        RegistrationMode::Open => None,
        RegistrationMode::Token => Some(SecretKind::InitialAccess.digest(token(&parts)?.ok_or_else(bare)?.expose())),
    };
    let origin = origin(&parts, &app.config.trusted_proxies);
    let policy = &app.registration;
    match access {
        // Checked before the request is parsed or URLs are fetched. Uses of the token are counted in the transaction
        // that creates the client.
        Some(access)
            if !registration::is_initial_access_token_active(app.store(), &access)
                .await
                .map_err(OAuthError::from)? =>
        {
            count(&app, Requester::Address(&origin.address)).await?;
            return Err(spent());
        }
        Some(access) => count(&app, Requester::Token(access)).await?,
        None => count(&app, Requester::Address(&origin.address)).await?,
    }
    let RegistrationRequest { meta, scopes, statement } = app.provider.read_registration(policy, &body, None).await?;
    let made = registration::register(&app.manager(), origin, meta, access, policy).await;
    match made.map_err(OAuthError::from)? {
        Ok((client, token)) => {
            let told = app.provider.registration_response(&client, &token, scopes.as_ref(), statement).await?;
            Ok((StatusCode::CREATED, Json(told)).into_response())
        }
        Err(RegistrationError::Token) => Err(spent()),
        Err(RegistrationError::Policy(error)) => Err(error.into()),
        Err(RegistrationError::Full) => {
            Err(ApiError::with_status(StatusCode::FORBIDDEN, "No further clients may be registered here."))
        }
    }
}

pub async fn show(
    State(app): State<AppState>,
    PathParam(id): PathParam<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let (client, token) = managed(&app, &id, &request.into_parts().0).await?;
    Ok(Json(app.provider.registration_response(&client, &token, None, None).await?).into_response())
}

pub async fn replace(
    State(app): State<AppState>,
    PathParam(id): PathParam<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = read(&app, request).await?;
    let (client, token) = managed(&app, &id, &parts).await?;
    repeats(&app, &client, &body)?;
    let (origin, own) = (origin(&parts, &app.config.trusted_proxies), SecretKind::Registration.digest(token.expose()));
    // Counted by client and by address, since one address may have registered many clients.
    count(&app, Requester::Client(&client.id)).await?;
    count_change(&app, &origin.address).await?;
    let wanted = app.provider.read_registration(&app.registration, &body, Some(&client.meta)).await?;
    let policy = &app.registration;
    let replaced = registration::replace(&app.manager(), origin, &client.id, own, wanted.meta, policy).await;
    let client = replaced.map_err(OAuthError::from)?.map_err(|refused| match refused {
        RegistrationError::Policy(error) => error.into(),
        RegistrationError::Token | RegistrationError::Full => registration_ended(),
    })?;
    let told = app.provider.registration_response(&client, &token, wanted.scopes.as_ref(), wanted.statement).await?;
    Ok(Json(told).into_response())
}

pub async fn end(
    State(app): State<AppState>,
    PathParam(id): PathParam<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let parts = request.into_parts().0;
    let (client, token) = managed(&app, &id, &parts).await?;
    let (origin, own) = (origin(&parts, &app.config.trusted_proxies), SecretKind::Registration.digest(token.expose()));
    count_change(&app, &origin.address).await?;
    let ended = registration::end(&app.manager(), origin, &client.id, own).await.map_err(OAuthError::from)?;
    ended.then(|| StatusCode::NO_CONTENT.into_response()).ok_or_else(registration_ended)
}

/// Counts a registration or change against its limit, since it can cause requests to other servers (RFC 7591 §5).
async fn count(app: &AppState, requester: Requester<'_>) -> Result<(), ApiError> {
    let counted = throttle::count_registration(app.store(), requester, app.registration.per_address).await;
    let text = "Too many registrations from this address or by this token.";
    counted.map_err(OAuthError::from)?.map(drop).map_err(|many| ApiError::too_many(many, app.env().now(), text))
}

/// Counts a change against the limit of the address, over all clients.
async fn count_change(app: &AppState, address: &str) -> Result<(), ApiError> {
    let counted = throttle::count_registration_change(app.store(), address, app.registration.per_address).await;
    let text = "Too many changes of registrations from this address.";
    counted.map_err(OAuthError::from)?.map(drop).map_err(|many| ApiError::too_many(many, app.env().now(), text))
}

/// RFC 7592 §2.2: an update must contain the client id, and may contain the client secret only unchanged.
fn repeats(app: &AppState, client: &Client, body: &[u8]) -> Result<(), ApiError> {
    let said: Map<String, Value> = serde_json::from_slice(body).unwrap_or_default();
    let invalid = |text: &'static str| ApiError::from(OAuthError::new(ErrorCode::InvalidClientMetadata, text));
    if said.get("client_id").and_then(Value::as_str) != Some(client.id.as_str()) {
        return Err(invalid("client_id: is not that of this registration."));
    }
    let Some(secret) = said.get("client_secret").filter(|secret| !secret.is_null()) else { return Ok(()) };
    let kept = client.secret.as_ref().zip(secret.as_str());
    let same = kept.is_some_and(|(kept, secret)| app.provider.master.verify_client_secret(Some(kept), secret));
    same.then_some(()).ok_or_else(|| invalid("client_secret: is another than was issued."))
}

async fn managed(app: &AppState, id: &str, parts: &Parts) -> Result<(Arc<Client>, Secret), ApiError> {
    if app.config.registration == RegistrationMode::Off {
        return Err(off());
    }
    if let (Some(named), Ok(id)) = (parts.extensions.get::<NamedClient>(), ClientId::parse(id)) {
        named.set(&id);
    }
    let token = token(parts)?;
    let client = app.provider.managed_client(id, token.as_ref().map(Secret::expose)).await;
    let client = client.map_err(|error| ApiError::new(error, Challenge::Bearer))?;
    token.map(|token| (client, token)).ok_or_else(bare)
}

async fn read(app: &AppState, request: Request) -> Result<(Parts, Vec<u8>), ApiError> {
    if app.config.registration == RegistrationMode::Off {
        return Err(off());
    }
    if !is_json(request.headers()) {
        return Err(OAuthError::new(ErrorCode::InvalidClientMetadata, "The body must be application/json.").into());
    }
    let (parts, stream) = request.into_parts();
    let body = body(app, Request::from_parts(parts.clone(), stream)).await?;
    Ok((parts, body.to_vec()))
}

/// Returns the bearer token of the request. It is only read from the header, since the body is JSON.
fn token(parts: &Parts) -> Result<Option<Secret>, ApiError> {
    let (header, nothing) = (authorization(&parts.headers)?, Parameters::default());
    let token = bearer::token(header.as_deref(), &nothing).map_err(|error| ApiError::new(error, Challenge::Bearer))?;
    Ok(token.map(|token| Secret::new(token.to_owned())))
}

fn spent() -> ApiError {
    let error = OAuthError::new(ErrorCode::InvalidToken, "The initial access token is unknown, used up or expired.");
    ApiError::new(error, Challenge::Bearer)
}

/// The registration was deleted or its token replaced by a concurrent request.
fn registration_ended() -> ApiError {
    let error = OAuthError::new(ErrorCode::InvalidToken, "This registration has ended.");
    ApiError::new(error, Challenge::Bearer)
}

fn bare() -> ApiError {
    let error = OAuthError::new(ErrorCode::InvalidToken, "A token is needed.");
    ApiError::new(error, Challenge::BareBearer)
}

fn off() -> ApiError {
    ApiError::with_status(StatusCode::NOT_FOUND, "Clients are not registered here.")
}
