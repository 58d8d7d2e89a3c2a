//! A request from a script of this server: a JSON POST that contains the form token of the page. It is checked like a
//! form. The response is JSON, and the script chooses its message by the status.
//!
//! See also [`super::visitor`] for forms.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use super::request::body as body_of;
use super::visitor::Visitor;
use crate::app::AppState;
use crate::protocol::error::{ErrorCode, OAuthError};
use crate::web::browser::FormTokenStatus;
use crate::web::error::ApiError;
use crate::web::origin::may_be_own;

/// A checked request from a script.
pub struct ScriptRequest {
    pub visitor: Visitor,
    token: FormTokenStatus,
}

impl ScriptRequest {
    /// Whether the page was shown in the browser's current session.
    pub fn is_current(&self) -> bool {
        self.token == FormTokenStatus::Current
    }
}

#[derive(Deserialize)]
struct ScriptBody {
    csrf: String,
}

impl FromRequest<AppState> for ScriptRequest {
    type Rejection = Response;

    async fn from_request(request: Request, app: &AppState) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let visitor = Visitor::from_request_parts(&mut parts, app).await.map_err(IntoResponse::into_response)?;
        let refused =
            |text: &'static str| ApiError::from(OAuthError::new(ErrorCode::InvalidRequest, text)).into_response();
        // A form on another site cannot send this type without a preflight (Fetch, "CORS-safelisted request-header").
        if !is_json(&parts.headers) || !may_be_own(&parts.headers, app) {
            return Err(refused("The question did not come from one of our pages."));
        }
        let body = body_of(app, Request::from_parts(parts, body)).await;
        let body = body.map_err(|error| ApiError::from(error).into_response())?;
        let question: ScriptBody =
            serde_json::from_slice(&body).map_err(|_| refused("The question is not as our script asks it."))?;
        let token = visitor.browser.judge(app, visitor.session_id(), &question.csrf);
        if token == FormTokenStatus::Unknown {
            return Err(refused("The page was open too long."));
        }
        Ok(Self { visitor, token })
    }
}

pub fn is_json(headers: &HeaderMap) -> bool {
    headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"))
}
