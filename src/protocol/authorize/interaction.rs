//! What is next for an authorization request: one pure function, so that prompt, `max_age`, hints and consent are a table
//! (OpenID Connect Core §3.1.2.1, §3.1.2.3, §3.1.2.4).

use crate::domain::interaction::{AuthorizationRequest, Progress};
use crate::domain::scope::Scopes;
use crate::domain::session::Session;
use crate::env::Timestamp;
use crate::protocol::error::{ErrorCode, OAuthError};

/// What is to be done. `S` is the session that the answer is for.
#[derive(Clone, Debug)]
pub enum Step<S = ()> {
    /// Somebody has to sign in, again where there is a session.
    Login,
    SelectAccount,
    Consent,
    Issue(S),
    Refuse(OAuthError),
}

impl<S> Step<S> {
    /// The step alone.
    pub fn forget(self) -> Step {
        match self {
            Self::Login => Step::Login,
            Self::SelectAccount => Step::SelectAccount,
            Self::Consent => Step::Consent,
            Self::Issue(_) => Step::Issue(()),
            Self::Refuse(error) => Step::Refuse(error),
        }
    }
}

/// Decides. `allowed` is what the person has let the client have before; `None` where nobody is asked (a trusted client).
pub fn next_step<'s>(
    request: &AuthorizationRequest,
    session: Option<&'s Session>,
    progress: &Progress,
    allowed: Option<&Scopes>,
    now: Timestamp,
) -> Step<&'s Session> {
    let silent = request.prompt.none;
    let ask = |step, code, text: &'static str| if silent { Step::Refuse(OAuthError::new(code, text)) } else { step };
    let login = || ask(Step::Login, ErrorCode::LoginRequired, "Nobody is signed in who fits the request.");

    let Some(session) = session.filter(|session| session.is_alive(now)) else { return login() };
    // A sign-in made for this request, on this session: the only one that prompt=login and an old session accept.
    let fresh = progress.signed_in_at.is_some_and(|at| session.auth_time >= at);
    let too_old = request.max_age.is_some_and(|age| now.since(session.auth_time) > age.saturating_mul(1000));
    let another = request.hinted.is_some_and(|hinted| hinted != session.user);
    if another && fresh {
        // They signed in as somebody else than the app named: it must not get that person's tokens for the one it knows.
        return Step::Refuse(OAuthError::new(
            ErrorCode::LoginRequired,
            "Another person signed in than id_token_hint names.",
        ));
    }
    if another || (!fresh && (too_old || request.prompt.login || progress.use_another_account)) {
        return login();
    }
    if request.prompt.select_account && !fresh && progress.selected != Some(session.user) {
        return Step::SelectAccount;
    }
    let asked_now = progress.consented == Some(session.user);
    let allowed_before = allowed.is_none_or(|allowed| request.scopes.within(allowed));
    let insists = request.prompt.consent && allowed.is_some();
    if !asked_now && (insists || !allowed_before) {
        return ask(Step::Consent, ErrorCode::ConsentRequired, "The person has not allowed this yet.");
    }
    Step::Issue(session)
}
