//! The UserInfo endpoint (OpenID Connect Core §5.3.1): GET or POST, with the token in the header or the form.

use axum::Json;
use axum::extract::State;
use axum::http::{Method, header};
use axum::response::{IntoResponse, Response};

use crate::app::AppState;
use crate::protocol::bearer;
use crate::protocol::error::{ErrorCode, OAuthError};
use crate::protocol::parameters::Parameters;
use crate::protocol::userinfo::UserInfo;
use crate::web::error::{ApiError, Challenge};
use crate::web::extract::ProtocolRequest;
use crate::web::urls::{ENDPOINTS, PROTECTED_RESOURCE};

pub async fn userinfo(
    State(app): State<AppState>,
    method: Method,
    asked: ProtocolRequest,
) -> Result<Response, ApiError> {
    // RFC 9728 §5.1: points clients that do not know this server to its metadata.
    let refusal = |error, challenge| {
        ApiError::new(error, challenge).with_parameter(
            "resource_metadata",
            app.config.issuer.join(&format!("{PROTECTED_RESOURCE}{}", ENDPOINTS.userinfo)),
        )
    };
    let refused = |error| refusal(error, Challenge::Bearer);
    // A token in the query is ignored, since URLs end up in logs and histories (RFC 9700 §4.3.2).
    let body = if method == Method::POST { asked.parameters } else { Parameters::default() };
    let token = bearer::token(asked.authorization.as_deref(), &body).map_err(refused)?.ok_or_else(|| {
        // RFC 6750 §3.1: without a token the challenge has no error code. The code in the body is for the log.
        let error = OAuthError::new(ErrorCode::InvalidToken, "An access token is needed.");
        refusal(error, Challenge::BareBearer)
    })?;
    Ok(match app.provider.userinfo(token, asked.certificate.as_ref()).await.map_err(refused)? {
        UserInfo::Claims(claims) => Json(claims).into_response(),
        UserInfo::Jwt(jwt) => ([(header::CONTENT_TYPE, "application/jwt")], jwt).into_response(),
    })
}
