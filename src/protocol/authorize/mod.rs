//! The authorization endpoint (RFC 6749 §4.1, OpenID Connect Core §3.1.2). A request is answered to the client, leads
//! to a page that asks the user, or is refused with an error page.
//!
//! [`request_object`] and [`pushed`] resolve the parameters, [`request`] parses them and [`check`] checks them in
//! order. [`pending`] stores a request while its user is asked, and [`interaction`] decides the next step. [`issue`]
//! issues codes and tokens, [`error_response`] sends errors, [`response`] builds the response and [`repeat_response`]
//! repeats it.
//!
//! A page never routes to another page: it records what the user did and returns here.

pub mod check;
mod error_response;
pub mod interaction;
mod issue;
mod pending;
pub mod pushed;
mod repeat_response;
pub(in crate::protocol) mod request;
pub mod request_object;
pub mod response;

pub use check::AuthorizeError;
pub use interaction::InteractionStep;
pub use pending::BrowserContext;
pub use repeat_response::{EndedInteraction, InteractionState};
pub use response::AuthorizationResponse;

use std::sync::Arc;

use interaction::PriorConsent;

use super::Provider;
use super::client_access::AccessPoint;
use super::error::{ErrorCode, OAuthError, Result};
use super::parameters::Parameters;
use crate::domain::client::Client;
use crate::domain::event::RequestOrigin;
use crate::domain::ids::InteractionId;
use crate::domain::interaction::{AuthorizationRequest, Interaction, InteractionProgress};
use crate::domain::narrowing::RevalidationError;
use crate::domain::permissions::Permissions;
use crate::domain::session::Session;
use crate::domain::version::VersionedEntity;
use crate::env::Timestamp;
use crate::store::consents;
use error_response::no_longer_allowed;
use issue::{AnswerTo, IssueOutcome};
use pending::StoreInteractionOutcome;
use request_object::ResolvedParameters;

/// The next action for the browser.
#[derive(Debug)]
pub enum AuthorizeOutcome {
    /// Redirect to the client with the response.
    Reply(AuthorizationResponse),
    /// Show the page of that step for the interaction.
    ShowPage(InteractionStep, InteractionId),
    /// Offer the user a way back to the client: the request has already been answered.
    Over(EndedInteraction),
}

/// The result of one attempt to answer a request.
enum AttemptOutcome {
    Done(AuthorizeOutcome),
    /// The cached client or API is older than the database.
    Stale,
    /// The session has just ended, so the request is decided again without one.
    SignedOut,
}

/// An accepted request of a browser.
enum Accepted {
    New(Arc<Client>, Box<AuthorizationRequest>),
    /// A pushed request that this browser already got a response to, which is still valid.
    Before(AuthorizationResponse),
}

impl Provider {
    /// Handles a new authorization request from the browser of `browser`.
    pub async fn authorize(
        &self,
        parameters: &Parameters,
        browser: BrowserContext<'_>,
    ) -> std::result::Result<AuthorizeOutcome, AuthorizeError> {
        let answer = self.authorize_with_retry(parameters, browser).await;
        let Err(AuthorizeError::Redirect(to, error)) = answer else { return answer };
        let client = self.requesting_client(parameters).await.map_err(AuthorizeError::Shown)?;
        if self.can_redirect_without_page(&client).await.map_err(AuthorizeError::Shown)? {
            return Err(AuthorizeError::Redirect(to, error));
        }
        Err(AuthorizeError::Shown(error))
    }

    async fn authorize_with_retry(
        &self,
        parameters: &Parameters,
        browser: BrowserContext<'_>,
    ) -> std::result::Result<AuthorizeOutcome, AuthorizeError> {
        let session = match self.attempt(parameters, browser).await? {
            AttemptOutcome::Done(outcome) => return Ok(outcome),
            // Another node has just changed the client or an API, so both are read again.
            AttemptOutcome::Stale => browser.session,
            AttemptOutcome::SignedOut => None,
        };
        match self.attempt(parameters, BrowserContext { session, ..browser }).await? {
            AttemptOutcome::Done(outcome) => Ok(outcome),
            AttemptOutcome::Stale | AttemptOutcome::SignedOut => Err(AuthorizeError::Shown(changed())),
        }
    }

    async fn attempt(
        &self,
        parameters: &Parameters,
        browser: BrowserContext<'_>,
    ) -> std::result::Result<AttemptOutcome, AuthorizeError> {
        let (client, request) = match self.accept(parameters, browser).await? {
            Accepted::New(client, request) => (client, *request),
            Accepted::Before(reply) => return Ok(AttemptOutcome::Done(AuthorizeOutcome::Reply(reply))),
        };
        let returned = |error| AuthorizeError::Redirect(Box::new(request.reply_to.clone()), error);
        let progress = InteractionProgress::default();
        match self.decide(&client, &request, browser.session, &progress).await.map_err(returned)? {
            InteractionStep::Issue(session) => {
                let new = AnswerTo::New(Box::new(self.begun(&request, browser, self.lifetimes.code)));
                match self.issue(&client, &request, session, new).await.map_err(returned)? {
                    IssueOutcome::Reply(reply) => Ok(AttemptOutcome::Done(AuthorizeOutcome::Reply(reply))),
                    IssueOutcome::AlreadyAnswered => Err(returned(already_answered())),
                    IssueOutcome::SignedOut => Ok(AttemptOutcome::SignedOut),
                    IssueOutcome::Stale => Ok(AttemptOutcome::Stale),
                }
            }
            InteractionStep::Reject(error) => Err(returned(self.use_up(&client, &request, browser, error).await)),
            InteractionStep::NotAdmitted if request.prompt.none => {
                self.record_not_admitted(&client, browser.session, AccessPoint::SilentSignIn, browser.origin).await;
                let refusal = match browser.session {
                    Some(session) => AccessPoint::SilentSignIn.error_for(session.user, &client.id),
                    None => AccessPoint::SilentSignIn.error(),
                };
                Err(returned(self.use_up(&client, &request, browser, refusal).await))
            }
            step => {
                if matches!(step, InteractionStep::NotAdmitted) {
                    self.record_not_admitted(&client, browser.session, AccessPoint::SignIn, browser.origin).await;
                }
                let interaction = self.begun(&request, browser, self.lifetimes.interaction);
                let id = interaction.id;
                match self.wait(interaction, &browser.origin.address).await? {
                    StoreInteractionOutcome::Yes => {
                        Ok(AttemptOutcome::Done(AuthorizeOutcome::ShowPage(step.forget(), id)))
                    }
                    StoreInteractionOutcome::TooMany => Err(AuthorizeError::Shown(OAuthError::too_many(
                        "Too many sign-ins are open in this network. Try again in a minute.",
                    ))),
                    StoreInteractionOutcome::Stale => {
                        self.store.authority().invalidate_client_and_apis(&client.id);
                        Ok(AttemptOutcome::Stale)
                    }
                }
            }
        }
    }

    /// Returns a new interaction for a request that a browser has just sent, stored for `seconds`.
    fn begun(&self, request: &AuthorizationRequest, browser: BrowserContext<'_>, seconds: i64) -> Interaction {
        let now = self.env.now();
        Interaction {
            id: InteractionId(self.env.uuid()),
            request: request.clone(),
            progress: InteractionProgress::default(),
            browser: browser.digest,
            created_at: now,
            expires_at: now.plus_seconds(seconds),
        }
    }

    /// Returns the request in `parameters` if it passes every check, or the response that it already got.
    async fn accept(
        &self,
        parameters: &Parameters,
        browser: BrowserContext<'_>,
    ) -> std::result::Result<Accepted, AuthorizeError> {
        let client = self.requesting_client(parameters).await.map_err(AuthorizeError::Shown)?;
        let mut resolved = self.resolve(parameters, &client).await;
        if let Ok(ResolvedParameters { pushed: Some(pushed), was_answered: true, .. }) = &resolved {
            match self.repeat_pushed(*pushed, browser).await {
                Ok(Some(reply)) => return Ok(Accepted::Before(reply)),
                Ok(None) => resolved = Err(request_object::unknown_pushed_request()),
                Err(error) => resolved = Err(error),
            }
        }
        let resolved = match resolved {
            Ok(resolved) => resolved,
            // If the redirect URI outside the request object is registered for the client, errors of the request object
            // are sent to it.
            Err(error) => {
                return Err(match check::reply_to(parameters, &client) {
                    Ok(to) if to.redirect_uri_sent => AuthorizeError::Redirect(Box::new(to), error),
                    _ => AuthorizeError::Shown(error),
                });
            }
        };
        let reply_to = check::reply_to(&resolved.parameters, &client).map_err(AuthorizeError::Shown)?;
        match self.judge(&resolved.parameters, &client, &reply_to, resolved.pushed).await {
            // An API deleted and created again under the same identifier is not the requested one.
            Ok(request)
                if resolved
                    .versions
                    .as_ref()
                    .is_none_or(|pushed| request.versions.has_same_versions(pushed, &request.versioned_entities())) =>
            {
                Ok(Accepted::New(client, Box::new(request)))
            }
            Ok(_) => Err(AuthorizeError::Redirect(Box::new(reply_to), request_object::unknown_pushed_request())),
            Err(error) => Err(AuthorizeError::Redirect(Box::new(reply_to), error)),
        }
    }

    /// Returns until when a pushed request is kept: as long as its user may still be asked.
    fn pushed_until(&self) -> Timestamp {
        self.env.now().plus_seconds(self.lifetimes.interaction.saturating_mul(2))
    }

    /// Records that the user of `session` tried to use a client that they may not use. The user is informed even if
    /// this fails.
    async fn record_not_admitted(
        &self,
        client: &Client,
        session: Option<&Session>,
        at: AccessPoint,
        origin: &RequestOrigin,
    ) {
        let Some(session) = session else { return };
        if let Err(error) = self.record_access_refused(session.user, &client.id, at, origin).await {
            tracing::error!(error = error.code.as_str(), cause = error.cause, "a refusal was not recorded");
        }
    }

    /// Decides the next step of an interaction after an action of the user.
    pub async fn resume(
        &self,
        waiting: &Interaction,
        session: Option<&Session>,
        origin: &RequestOrigin,
    ) -> std::result::Result<AuthorizeOutcome, AuthorizeError> {
        // Handled as in `authorize`.
        let session = match self.try_resume(waiting, session, origin).await? {
            AttemptOutcome::Done(outcome) => return Ok(outcome),
            AttemptOutcome::Stale => session,
            AttemptOutcome::SignedOut => None,
        };
        match self.try_resume(waiting, session, origin).await? {
            AttemptOutcome::Done(outcome) => Ok(outcome),
            AttemptOutcome::Stale | AttemptOutcome::SignedOut => Err(AuthorizeError::Shown(changed())),
        }
    }

    async fn try_resume(
        &self,
        waiting: &Interaction,
        session: Option<&Session>,
        origin: &RequestOrigin,
    ) -> std::result::Result<AttemptOutcome, AuthorizeError> {
        let client = self.waiting_client(waiting).await.map_err(AuthorizeError::Shown)?;
        let request = match self.narrowed(&waiting.request, &client).await.map_err(AuthorizeError::Shown)? {
            Ok(request) => request,
            Err(RevalidationError::RedirectUri) => {
                return Err(AuthorizeError::Shown(no_longer_allowed(RevalidationError::RedirectUri)));
            }
            Err(lost) => {
                return self.end_with_error(waiting, session, no_longer_allowed(lost)).await.map(AttemptOutcome::Done);
            }
        };
        let returned = |error| AuthorizeError::Redirect(Box::new(request.reply_to.clone()), error);
        match self.decide(&client, &request, session, &waiting.progress).await.map_err(returned)? {
            InteractionStep::Issue(session) => {
                let to = AnswerTo::Waiting(waiting.id);
                match self.issue(&client, &request, session, to).await.map_err(returned)? {
                    IssueOutcome::Reply(reply) => Ok(AttemptOutcome::Done(AuthorizeOutcome::Reply(reply))),
                    // Another tab has already sent a response to the client, so this one has none to send.
                    IssueOutcome::AlreadyAnswered => {
                        Ok(AttemptOutcome::Done(AuthorizeOutcome::Over(ended_interaction(waiting, client))))
                    }
                    IssueOutcome::SignedOut => Ok(AttemptOutcome::SignedOut),
                    IssueOutcome::Stale => Ok(AttemptOutcome::Stale),
                }
            }
            InteractionStep::Reject(error) => {
                self.end_with_error(waiting, session, error).await.map(AttemptOutcome::Done)
            }
            step => {
                if matches!(step, InteractionStep::NotAdmitted) {
                    self.record_not_admitted(&client, session, AccessPoint::SignIn, origin).await;
                }
                Ok(AttemptOutcome::Done(AuthorizeOutcome::ShowPage(step.forget(), waiting.id)))
            }
        }
    }

    /// Returns whether an interaction still needs a sign-in. It does not if the user has signed in in another tab.
    pub async fn needs_sign_in(&self, waiting: &Interaction, session: Option<&Session>) -> Result<bool> {
        let Some(session) = session else { return Ok(true) };
        let client = self.waiting_client(waiting).await?;
        let step = self.decide(&client, &waiting.request, Some(session), &waiting.progress).await?;
        Ok(matches!(step, InteractionStep::Login | InteractionStep::SignUp))
    }

    /// Narrows an interaction to what is currently allowed. If nothing is left, its permissions are empty and
    /// [`Self::resume`] refuses it.
    async fn narrow_interaction(&self, waiting: Interaction) -> Result<Interaction> {
        let client = self.waiting_client(&waiting).await?;
        let request = match self.narrowed(&waiting.request, &client).await? {
            Ok(request) => request,
            Err(RevalidationError::RedirectUri) => return Err(no_longer_allowed(RevalidationError::RedirectUri)),
            Err(_) => AuthorizationRequest { permissions: Permissions::default(), ..waiting.request },
        };
        Ok(Interaction { request, ..waiting })
    }

    async fn narrowed(
        &self,
        request: &AuthorizationRequest,
        client: &Client,
    ) -> Result<std::result::Result<AuthorizationRequest, RevalidationError>> {
        let apis = self.store.authority().apis(&self.store).await?;
        Ok(request.narrowed(client, &apis))
    }

    /// Returns the client of an interaction if it is enabled.
    pub async fn waiting_client(&self, waiting: &Interaction) -> Result<Arc<Client>> {
        let request = &waiting.request;
        let asked = |client: &Arc<Client>| {
            request.versions.get(&VersionedEntity::Client(client.id.clone())) == Some(client.version)
        };
        let mut client = self.client(&request.client).await?;
        if !client.as_ref().is_some_and(asked) {
            client = self.current_client(&request.client).await?;
        }
        if let Some(client) = client.as_ref().filter(|client| client.disabled) {
            let text = "The app is turned off.";
            return Err(OAuthError::new(ErrorCode::UnauthorizedClient, text).with_cause(client.id.to_string()));
        }
        // A client created again under the same id has not made this request, and a revocation ends earlier requests.
        client.filter(asked).ok_or_else(changed)
    }

    async fn decide<'s>(
        &self,
        client: &Client,
        request: &AuthorizationRequest,
        session: Option<&'s Session>,
        progress: &InteractionProgress,
    ) -> Result<InteractionStep<&'s Session>> {
        let identified = client.redirect_assurances(&request.reply_to.redirect_uri, request.response_type);
        let prior = match session {
            Some(session) if !self.is_client_open_to(client, session.user).await? => PriorConsent::NotAdmitted,
            _ if client.is_trusted() => PriorConsent::Trusted { identified: !identified.is_empty() },
            Some(session) if !identified.is_empty() => {
                let given = consents::find(self.store.read(), session.user, &client.id).await?;
                PriorConsent::Remembered(given.map(|given| given.remembered(&identified)).unwrap_or_default())
            }
            _ => PriorConsent::Nothing,
        };
        Ok(interaction::next_step(request, session, progress, &prior))
    }
}

fn ended_interaction(waiting: &Interaction, client: Arc<Client>) -> EndedInteraction {
    EndedInteraction { id: waiting.id, client: Some(client), was_answered: true }
}

fn already_answered() -> OAuthError {
    OAuthError::new(ErrorCode::InvalidRequest, "This request has been answered before. Begin a new one.")
}

/// Returns the error for a request that was accepted under settings that have changed since.
pub fn changed() -> OAuthError {
    OAuthError::new(
        ErrorCode::InvalidRequest,
        "The app was changed while you signed in. Go back to the app and begin again.",
    )
}
