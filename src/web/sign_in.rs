//! Begins and ends browser sessions, and sets their cookie. The cookie's value changes with each sign-in and each
//! password change. See also [`crate::identity::session`], which decides.

use uuid::Uuid;

use super::error::{PageError, PageLink};
use super::extract::Visitor;
use super::sessions;
use super::urls;
use crate::domain::ids::InteractionId;
use crate::domain::participant::Participant;
use crate::domain::secret::Digest;
use crate::domain::session::Session;
use crate::domain::user::User;
use crate::env::Timestamp;
pub use crate::identity::session::Proof;
use crate::identity::session::{self, InteractionSignIn, SessionError, SignInRequest};
use crate::identity::throttle::ThrottleError;
use crate::protocol::error::{ErrorCode, OAuthError};

/// Signs `user` in with this browser. Returns the new session.
pub async fn begin(visitor: &Visitor, user: &User, proof: Proof, remembered: bool) -> Result<Session, PageError> {
    let app = &visitor.app;
    let cookie = sessions::new_cookie(app.env());
    let sign_in = sign_in(visitor, proof, remembered, sessions::digest(&cookie));
    let begun = session::begin(app.store(), &app.config.lifetimes, user, sign_in).await;
    let begun = begun.map_err(|error| visitor.error(oauth_error(app.env().now(), error)))?;
    sessions::carry(&visitor.tower, cookie, begun.clone()).await.map_err(|error| broken(visitor, &error))?;
    Ok(begun)
}

/// Signs `user` in for an interaction of this browser. A form that is sent twice gets the same cookie twice.
pub async fn begin_for(
    visitor: &Visitor,
    user: &User,
    proof: Proof,
    remembered: bool,
    id: InteractionId,
) -> Result<(), PageError> {
    let app = &visitor.app;
    let nonce = Uuid::from_bytes(app.env().random());
    let sign_in = sign_in(visitor, proof, remembered, sessions::digest(&sessions::cookie_of(app, nonce)));
    let interaction = InteractionSignIn { id, nonce };
    let begun = session::begin_for(app.store(), &app.config.lifetimes, user, sign_in, interaction).await;
    // The client's request is still waiting.
    let again = || vec![PageLink::new("Sign in again", urls::login(id))];
    let begun = begun.map_err(|error| visitor.error(oauth_error(app.env().now(), error)).with_links(again()))?;
    let cookie = sessions::cookie_of(app, begun.nonce);
    sessions::carry(&visitor.tower, cookie, begun.session).await.map_err(|error| broken(visitor, &error))
}

fn sign_in(visitor: &Visitor, proof: Proof, remembered: bool, digest: Digest) -> SignInRequest {
    SignInRequest { proof, digest, before: visitor.session.clone(), remembered, origin: visitor.origin.clone() }
}

/// Ends this browser's session and revokes what depends on it. Returns the session's participants.
pub async fn sign_out(visitor: &Visitor) -> Result<Vec<Participant>, PageError> {
    let Some(session) = &visitor.session else { return Ok(Vec::new()) };
    let ended = session::end(visitor.app.store(), session, visitor.origin.clone()).await;
    let ended = ended.map_err(|error| visitor.error(error))?;
    forget(visitor).await?;
    Ok(ended.participants)
}

/// Replaces the cookie value of this browser's session. Returns false if the session has ended meanwhile; the cookie
/// is then removed.
pub async fn renew(visitor: &Visitor) -> Result<bool, PageError> {
    let Some(session) = &visitor.session else { return Ok(false) };
    let cookie = sessions::new_cookie(visitor.app.env());
    let digest = sessions::digest(&cookie);
    if !session::renew(visitor.app.store(), session, digest).await.map_err(|error| visitor.error(error))? {
        forget(visitor).await?;
        return Ok(false);
    }
    let renewed = Session { digest, ..session.clone() };
    sessions::carry(&visitor.tower, cookie, renewed).await.map_err(|error| broken(visitor, &error))?;
    Ok(true)
}

/// Removes the cookie of a session that has ended from the browser.
pub async fn forget(visitor: &Visitor) -> Result<(), PageError> {
    visitor.tower.flush().await.map_err(|error| broken(visitor, &error))
}

fn oauth_error(now: Timestamp, error: SessionError) -> OAuthError {
    match error {
        SessionError::Changed => OAuthError::new(
            ErrorCode::AccessDenied,
            "Your account was changed while you signed in. Go back and sign in again.",
        ),
        SessionError::TooMany { until } => OAuthError::new(
            ErrorCode::TooManyRequests,
            format!(
                "This account has signed in too often within the last hour. Go on in a browser where you are signed in, \
                 or wait {}, then sign in again.",
                ThrottleError { until, first: false }.wait(now)
            ),
        ),
        SessionError::Store(error) => error.into(),
    }
}

fn broken(visitor: &Visitor, error: &tower_sessions::session::Error) -> PageError {
    let again = OAuthError::new(ErrorCode::TemporarilyUnavailable, "Try again in a moment.");
    visitor.error(again.with_cause(error.to_string()))
}
