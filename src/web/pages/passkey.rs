//! Signing in with a passkey, from the sign-in page's button or its autofill (WebAuthn Level 3 §7.2). The script asks for
//! options and sends what the authenticator signed as an ordinary form, so that the answer can redirect.
//!
//! Next door: [`super::login`], the page itself and its password.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::views::LoginMessage;
use super::{CARRIED_APP, SignInTarget, find, login};
use crate::identity::passkey::{CeremonyResponse, PasskeyError};
use crate::protocol::error::{ErrorCode, OAuthError};
use crate::web::error::{ApiError, PageError};
use crate::web::extract::{Form, ScriptRequest};
use crate::web::sign_in::Proof;

pub async fn options(ask: ScriptRequest) -> Result<Response, ApiError> {
    let (app, browser) = (&ask.visitor.app, ask.visitor.browser.digest(&ask.visitor.app));
    let challenge = app.passkeys.begin_sign_in(app.store(), browser).await.map_err(api_error)?;
    Ok(Json(challenge).into_response())
}

pub async fn finish(form: Form) -> Result<Response, PageError> {
    let visitor = &form.visitor;
    let target = match form.text("flow")? {
        "" => SignInTarget::Oneself,
        id => find(visitor, id, form.text(CARRIED_APP)?).await?.into(),
    };
    if !form.is_of_browser() {
        return login::rerender(&form, &target, login::form_rejection(&form)).await;
    }
    let reply = CeremonyResponse { ticket: form.text("ticket")?, credential: form.text("credential")?, name: "" };
    let browser = visitor.browser.digest(&visitor.app);
    let found = visitor.app.passkeys.finish_sign_in(visitor.app.store(), &browser, reply, &visitor.origin).await;
    match found {
        Ok((user, id)) => login::signed_in(&form, &target, &user, Proof::Passkey(id)).await,
        Err(PasskeyError::Store(error)) => Err(visitor.error(error)),
        Err(PasskeyError::Stale) => login::rerender(&form, &target, (StatusCode::OK, LoginMessage::stale())).await,
        Err(error) => {
            tracing::warn!(%error, "a passkey was refused");
            login::rerender(&form, &target, (StatusCode::OK, LoginMessage::passkey())).await
        }
    }
}

/// The script knows by the status what to say: 409 there are enough, 404 not at this address, 400 the page is too old.
pub fn api_error(error: PasskeyError) -> ApiError {
    let (code, text) = match error {
        PasskeyError::Store(error) => return OAuthError::from(error).into(),
        PasskeyError::TooMany => return ApiError::with_status(StatusCode::CONFLICT, "There are enough passkeys."),
        PasskeyError::Unavailable => {
            return ApiError::with_status(StatusCode::NOT_FOUND, "Passkeys do not work at this address.");
        }
        error => (ErrorCode::InvalidRequest, error.to_string()),
    };
    OAuthError::new(code, text).into()
}
