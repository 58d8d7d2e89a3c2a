//! Endpoints for authenticated clients: token, introspection, revocation, device authorization and pushed
//! authorization requests (RFC 6749 §3.2, RFC 7662, RFC 7009, RFC 8628 §3.1, RFC 9126).

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::app::AppState;
use crate::domain::client::Client;
use crate::identity::throttle::{self, Requester};
use crate::protocol::client_auth::{ClientAuthError, PresentedCredentials, named_client};
use crate::protocol::error::{ErrorCode, OAuthError};
use crate::protocol::introspection;
use crate::protocol::token::TokenRequest;
use crate::web::error::{ApiError, Challenge};
use crate::web::extract::ProtocolRequest;
use crate::web::urls::DEVICE;

pub async fn token(State(app): State<AppState>, asked: ProtocolRequest) -> Result<Response, ApiError> {
    let client = match authenticate(&app, &asked).await {
        Ok(client) => client,
        Err(ClientAuthError::WrongMethod { client, error }) => {
            let refused = app.provider.wrong_method_error(&client, &asked.parameters, error).await;
            return Err(with_challenge(&asked, refused));
        }
        Err(ClientAuthError::Failed(error)) => return Err(with_challenge(&asked, error)),
    };
    let asking = TokenRequest {
        client: &client,
        parameters: &asked.parameters,
        certificate: asked.certificate.as_ref(),
        origin: asked.origin,
    };
    match app.provider.token(asking).await {
        Ok(tokens) => Ok(Json(tokens).into_response()),
        // RFC 6749 §5.2: errors of this endpoint have status 400, including `access_denied` for a device (RFC 8628
        // §3.5).
        Err(error) if error.code == ErrorCode::AccessDenied => {
            let mut refused = ApiError::from(error);
            refused.status = Some(StatusCode::BAD_REQUEST);
            Err(refused)
        }
        Err(error) => Err(error.into()),
    }
}

pub async fn device_authorization(State(app): State<AppState>, asked: ProtocolRequest) -> Result<Response, ApiError> {
    let client = require_client(&app, &asked).await?;
    let requester = if client.is_quota_limited() {
        Requester::Address(&asked.origin.address)
    } else {
        Requester::Client(&client.id)
    };
    let counted = throttle::count_device(app.store(), requester).await.map_err(OAuthError::from)?;
    counted.map_err(|many| {
        ApiError::too_many(many, app.env().now(), "Too many devices are being connected by this client or address.")
    })?;
    let answer = app.provider.authorize_device(&client, &asked.parameters, DEVICE, &asked.origin).await?;
    Ok(Json(answer).into_response())
}

pub async fn introspect(
    State(app): State<AppState>,
    headers: HeaderMap,
    asked: ProtocolRequest,
) -> Result<Response, ApiError> {
    let client = require_client(&app, &asked).await?;
    if client.meta.is_public() {
        // RFC 7662 §2.1: the endpoint requires authentication, which a public client cannot do.
        let error = OAuthError::new(ErrorCode::InvalidClient, "Introspection needs a client that can keep a secret.");
        return Err(error.into());
    }
    let token = asked.parameters.required("token")?;
    if accepts(&headers, introspection::JWT_MEDIA_TYPE) {
        let jwt = app.provider.introspect_as_jwt(&client, token).await?;
        return Ok(([(header::CONTENT_TYPE, introspection::JWT_MEDIA_TYPE)], jwt).into_response());
    }
    Ok(Json(app.provider.introspect(&client, token).await?).into_response())
}

pub async fn revoke(State(app): State<AppState>, asked: ProtocolRequest) -> Result<Response, ApiError> {
    let client = require_client(&app, &asked).await?;
    app.provider.revoke(&client, asked.parameters.required("token")?).await?;
    Ok(StatusCode::OK.into_response())
}

/// The pushed authorization request endpoint (RFC 9126 §2.1 and §2.2).
pub async fn push(State(app): State<AppState>, asked: ProtocolRequest) -> Result<Response, ApiError> {
    let client = require_client(&app, &asked).await?;
    let pushed = app.provider.push(&client, &asked.parameters, &asked.origin.address).await?;
    Ok((StatusCode::CREATED, Json(pushed)).into_response())
}

/// Returns whether `Accept` names the media type explicitly, with a quality above zero (RFC 9110 §12.4.2).
fn accepts(headers: &HeaderMap, media_type: &str) -> bool {
    let lines = headers.get_all(header::ACCEPT).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(media_type));
        let weight = parts.filter_map(|part| part.split_once('=')).find(|(name, _)| name.eq_ignore_ascii_case("q"));
        named && weight.is_none_or(|(_, weight)| weight.parse::<f32>().is_ok_and(|weight| weight > 0.0))
    })
}

async fn authenticate(app: &AppState, asked: &ProtocolRequest) -> Result<Arc<Client>, ClientAuthError> {
    if let Some(client) = named_client(asked.authorization.as_deref(), &asked.parameters) {
        asked.named.set(&client);
    }
    let presented = PresentedCredentials::parse(asked.authorization.as_deref(), &asked.parameters)?;
    app.provider.authenticate_client(presented, asked.certificate.as_ref(), &asked.origin.address).await
}

async fn require_client(app: &AppState, asked: &ProtocolRequest) -> Result<Arc<Client>, ApiError> {
    authenticate(app, asked).await.map_err(|error| with_challenge(asked, error.into()))
}

/// Adds a challenge if the client used the `Authorization` header (RFC 6749 §5.2).
fn with_challenge(asked: &ProtocolRequest, error: OAuthError) -> ApiError {
    let is_challenged = error.code == ErrorCode::InvalidClient && asked.authorization.is_some();
    ApiError::new(error, if is_challenged { Challenge::Basic } else { Challenge::None })
}
