//! Sign-in with a passkey, from the button or the autofill of the sign-in page (WebAuthn Level 3 §7.2). The script
//! requests the options, and sends the authenticator's response as an ordinary form, so that the response can
//! redirect.
//!
//! See also [`super::login`], which renders the page and handles passwords.

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

/// Converts the error. The script chooses its message by the status: 409 too many passkeys, 404 passkeys are not
/// available at this address, 400 the page is outdated.
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
