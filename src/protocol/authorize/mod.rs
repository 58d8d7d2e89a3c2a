//! The authorization endpoint (RFC 6749 §4.1, OpenID Connect Core §3.1.2): a request comes in, and either an answer
//! goes back to the app, or a person is asked, or an error is shown.
//!
//! [`request_object`] where the parameters are, [`pushed`] those handed over before, [`check`] every check in order,
//! [`request`] the single parameters, [`waiting`] what is kept meanwhile, [`interaction`] the one function that decides what is next, [`issue`] code and
//! tokens, [`refuse`] errors, [`response`] the answer, [`again`] the same answer once more. A page never routes to another page: it records what was done and comes back here.

mod again;
pub mod check;
pub mod interaction;
mod issue;
pub mod pushed;
mod refuse;
pub(in crate::protocol) mod request;
pub mod request_object;
pub mod response;
mod waiting;

pub use again::{Found, Over};
pub use check::Refused;
pub use interaction::Step;
pub use response::Reply;
pub use waiting::Browser;

use std::sync::Arc;

use interaction::Prior;

use super::Provider;
use super::client_access::AccessPoint;
use super::error::{ErrorCode, OAuthError, Result};
use super::parameters::Parameters;
use crate::domain::client::Client;
use crate::domain::event::Origin;
use crate::domain::ids::InteractionId;
use crate::domain::interaction::{AuthorizationRequest, Interaction, Progress};
use crate::domain::narrowing::NoLonger;
use crate::domain::permissions::Permissions;
use crate::domain::session::Session;
use crate::domain::version::Versioned;
use crate::env::Timestamp;
use crate::store::consents;
use issue::{AnswerTo, Issued};
use refuse::refusal;
use request_object::Resolved;
use waiting::Waits;

/// What is to be done now.
#[derive(Debug)]
pub enum Outcome {
    /// Go back to the app.
    Reply(Reply),
    /// Show this page for that interaction.
    Ask(Step, InteractionId),
    /// Lead the user back to the app: the request has been answered.
    Over(Over),
}

/// What one attempt to answer a request came to.
enum Attempt {
    Done(Outcome),
    /// This node's memory of the client or of an API is older than the database.
    Stale,
    /// The session has just ended: the request is decided without one.
    SignedOut,
}

/// What a request that a browser brings is.
enum Accepted {
    New(Arc<Client>, Box<AuthorizationRequest>),
    /// A pushed one that this browser has got an answer to, which is still good.
    Before(Reply),
}

impl Provider {
    /// Answers a new authorization request from the browser of `browser`.
    pub async fn authorize(
        &self,
        parameters: &Parameters,
        browser: Browser<'_>,
    ) -> std::result::Result<Outcome, Refused> {
        let answer = self.answer(parameters, browser).await;
        let Err(Refused::Returned(to, error)) = answer else { return answer };
        let client = self.asking_client(parameters).await.map_err(Refused::Shown)?;
        if self.may_redirect_without_page(&client).await.map_err(Refused::Shown)? {
            return Err(Refused::Returned(to, error));
        }
        Err(Refused::Shown(error))
    }

    async fn answer(&self, parameters: &Parameters, browser: Browser<'_>) -> std::result::Result<Outcome, Refused> {
        let session = match self.attempt(parameters, browser).await? {
            Attempt::Done(outcome) => return Ok(outcome),
            // Decided by a client or an API that another node has changed a moment ago: they are read again.
            Attempt::Stale => browser.session,
            Attempt::SignedOut => None,
        };
        match self.attempt(parameters, Browser { session, ..browser }).await? {
            Attempt::Done(outcome) => Ok(outcome),
            Attempt::Stale | Attempt::SignedOut => Err(Refused::Shown(changed())),
        }
    }

    async fn attempt(&self, parameters: &Parameters, browser: Browser<'_>) -> std::result::Result<Attempt, Refused> {
        let (client, request) = match self.accept(parameters, browser).await? {
            Accepted::New(client, request) => (client, *request),
            Accepted::Before(reply) => return Ok(Attempt::Done(Outcome::Reply(reply))),
        };
        let returned = |error| Refused::Returned(Box::new(request.reply_to.clone()), error);
        let progress = Progress::default();
        match self.decide(&client, &request, browser.session, &progress).await.map_err(returned)? {
            Step::Issue(session) => {
                let new = AnswerTo::New(Box::new(self.begun(&request, browser, self.lifetimes.code)));
                match self.issue(&client, &request, session, new).await.map_err(returned)? {
                    Issued::Reply(reply) => Ok(Attempt::Done(Outcome::Reply(reply))),
                    Issued::Ended => Err(returned(answered())),
                    Issued::SignedOut => Ok(Attempt::SignedOut),
                    Issued::Stale => Ok(Attempt::Stale),
                }
            }
            Step::Refuse(error) => Err(returned(self.use_up(&client, &request, browser, error).await)),
            Step::NotAdmitted if request.prompt.none => {
                self.note_not_admitted(&client, browser.session, AccessPoint::SilentSignIn, browser.origin).await;
                let refusal = match browser.session {
                    Some(session) => AccessPoint::SilentSignIn.refusal_of(session.user, &client.id),
                    None => AccessPoint::SilentSignIn.refusal(),
                };
                Err(returned(self.use_up(&client, &request, browser, refusal).await))
            }
            step => {
                if matches!(step, Step::NotAdmitted) {
                    self.note_not_admitted(&client, browser.session, AccessPoint::SignIn, browser.origin).await;
                }
                let interaction = self.begun(&request, browser, self.lifetimes.interaction);
                let id = interaction.id;
                match self.wait(interaction, &browser.origin.address).await? {
                    Waits::Yes => Ok(Attempt::Done(Outcome::Ask(step.forget(), id))),
                    Waits::TooMany => Err(Refused::Shown(OAuthError::too_many(
                        "Too many sign-ins are open in this network. Try again in a minute.",
                    ))),
                    Waits::Stale => {
                        self.store.authority().distrust(&client.id);
                        Ok(Attempt::Stale)
                    }
                }
            }
        }
    }

    /// A request that a browser has just brought, to be kept for so many seconds.
    fn begun(&self, request: &AuthorizationRequest, browser: Browser<'_>, seconds: i64) -> Interaction {
        let now = self.env.now();
        Interaction {
            id: InteractionId(self.env.uuid()),
            request: request.clone(),
            progress: Progress::default(),
            browser: browser.digest,
            created_at: now,
            expires_at: now.plus_seconds(seconds),
        }
    }

    /// The request in `parameters`, where every check lets it through, or the answer that it has got before.
    async fn accept(&self, parameters: &Parameters, browser: Browser<'_>) -> std::result::Result<Accepted, Refused> {
        let client = self.asking_client(parameters).await.map_err(Refused::Shown)?;
        let mut resolved = self.resolve(parameters, &client).await;
        if let Ok(Resolved { pushed: Some(pushed), was_answered: true, .. }) = &resolved {
            match self.repeat_pushed(*pushed, browser).await {
                Ok(Some(reply)) => return Ok(Accepted::Before(reply)),
                Ok(None) => resolved = Err(request_object::unknown()),
                Err(error) => resolved = Err(error),
            }
        }
        let resolved = match resolved {
            Ok(resolved) => resolved,
            // An address that is sent outside and is the client's own is good enough to say that what was inside is not.
            Err(error) => {
                return Err(match check::reply_to(parameters, &client) {
                    Ok(to) if to.redirect_uri_sent => Refused::Returned(Box::new(to), error),
                    _ => Refused::Shown(error),
                });
            }
        };
        let reply_to = check::reply_to(&resolved.parameters, &client).map_err(Refused::Shown)?;
        match self.judge(&resolved.parameters, &client, &reply_to, resolved.pushed).await {
            // An API that was made anew under its identifier was not asked for.
            Ok(request)
                if resolved
                    .versions
                    .as_ref()
                    .is_none_or(|pushed| request.versions.agree_on(pushed, &request.versioned())) =>
            {
                Ok(Accepted::New(client, Box::new(request)))
            }
            Ok(_) => Err(Refused::Returned(Box::new(reply_to), request_object::unknown())),
            Err(error) => Err(Refused::Returned(Box::new(reply_to), error)),
        }
    }

    /// As long as anybody may still be asked about it.
    fn pushed_until(&self) -> Timestamp {
        self.env.now().plus_seconds(self.lifetimes.interaction.saturating_mul(2))
    }

    /// Records that the user of `session` came to a client that they may not use. They are told so in any case.
    async fn note_not_admitted(&self, client: &Client, session: Option<&Session>, at: AccessPoint, origin: &Origin) {
        let Some(session) = session else { return };
        if let Err(error) = self.record_access_refused(session.user, &client.id, at, origin).await {
            tracing::error!(error = error.code.as_str(), cause = error.cause, "a refusal was not recorded");
        }
    }

    /// Decides again for an interaction on which the user has done something.
    pub async fn resume(
        &self,
        waiting: &Interaction,
        session: Option<&Session>,
        origin: &Origin,
    ) -> std::result::Result<Outcome, Refused> {
        // As in `answer`.
        let session = match self.attempt_to_resume(waiting, session, origin).await? {
            Attempt::Done(outcome) => return Ok(outcome),
            Attempt::Stale => session,
            Attempt::SignedOut => None,
        };
        match self.attempt_to_resume(waiting, session, origin).await? {
            Attempt::Done(outcome) => Ok(outcome),
            Attempt::Stale | Attempt::SignedOut => Err(Refused::Shown(changed())),
        }
    }

    async fn attempt_to_resume(
        &self,
        waiting: &Interaction,
        session: Option<&Session>,
        origin: &Origin,
    ) -> std::result::Result<Attempt, Refused> {
        let client = self.waiting_client(waiting).await.map_err(Refused::Shown)?;
        let request = match self.narrowed(&waiting.request, &client).await.map_err(Refused::Shown)? {
            Ok(request) => request,
            Err(NoLonger::RedirectUri) => return Err(Refused::Shown(refusal(NoLonger::RedirectUri))),
            Err(lost) => return self.refuse(waiting, session, refusal(lost)).await.map(Attempt::Done),
        };
        let returned = |error| Refused::Returned(Box::new(request.reply_to.clone()), error);
        match self.decide(&client, &request, session, &waiting.progress).await.map_err(returned)? {
            Step::Issue(session) => {
                let to = AnswerTo::Waiting(waiting.id);
                match self.issue(&client, &request, session, to).await.map_err(returned)? {
                    Issued::Reply(reply) => Ok(Attempt::Done(Outcome::Reply(reply))),
                    // Another tab was quicker: its answer is the app's, this one has none to give.
                    Issued::Ended => Ok(Attempt::Done(Outcome::Over(over(waiting, client)))),
                    Issued::SignedOut => Ok(Attempt::SignedOut),
                    Issued::Stale => Ok(Attempt::Stale),
                }
            }
            Step::Refuse(error) => self.refuse(waiting, session, error).await.map(Attempt::Done),
            step => {
                if matches!(step, Step::NotAdmitted) {
                    self.note_not_admitted(&client, session, AccessPoint::SignIn, origin).await;
                }
                Ok(Attempt::Done(Outcome::Ask(step.forget(), waiting.id)))
            }
        }
    }

    /// Decides whether an interaction still asks for a sign-in: not where somebody signed in in another tab meanwhile.
    pub async fn asks_for_sign_in(&self, waiting: &Interaction, session: Option<&Session>) -> Result<bool> {
        let Some(session) = session else { return Ok(true) };
        let client = self.waiting_client(waiting).await?;
        let step = self.decide(&client, &waiting.request, Some(session), &waiting.progress).await?;
        Ok(matches!(step, Step::Login | Step::SignUp))
    }

    /// An interaction as far as its request is allowed now. Where nothing of it is, it has no permissions, and
    /// [`Self::resume`] refuses it.
    async fn as_allowed_now(&self, waiting: Interaction) -> Result<Interaction> {
        let client = self.waiting_client(&waiting).await?;
        let request = match self.narrowed(&waiting.request, &client).await? {
            Ok(request) => request,
            Err(NoLonger::RedirectUri) => return Err(refusal(NoLonger::RedirectUri)),
            Err(_) => AuthorizationRequest { permissions: Permissions::default(), ..waiting.request },
        };
        Ok(Interaction { request, ..waiting })
    }

    async fn narrowed(
        &self,
        request: &AuthorizationRequest,
        client: &Client,
    ) -> Result<std::result::Result<AuthorizationRequest, NoLonger>> {
        let apis = self.store.authority().apis(&self.store).await?;
        Ok(request.narrowed(client, &apis))
    }

    /// The client that waits, while it is turned on.
    pub async fn waiting_client(&self, waiting: &Interaction) -> Result<Arc<Client>> {
        let request = &waiting.request;
        let asked =
            |client: &Arc<Client>| request.versions.get(&Versioned::Client(client.id.clone())) == Some(client.version);
        let mut client = self.client(&request.client).await?;
        if !client.as_ref().is_some_and(asked) {
            client = self.current_client(&request.client).await?;
        }
        if let Some(client) = client.as_ref().filter(|client| client.disabled) {
            let text = "The app is turned off.";
            return Err(OAuthError::new(ErrorCode::UnauthorizedClient, text).because(client.id.to_string()));
        }
        // One made anew under its identifier asked for nothing, and what was asked for before a revocation has ended.
        client.filter(asked).ok_or_else(changed)
    }

    async fn decide<'s>(
        &self,
        client: &Client,
        request: &AuthorizationRequest,
        session: Option<&'s Session>,
        progress: &Progress,
    ) -> Result<Step<&'s Session>> {
        let identified = client.identified_by(&request.reply_to.redirect_uri, request.response_type);
        let prior = match session {
            Some(session) if !self.is_client_open_to(client, session.user).await? => Prior::NotAdmitted,
            _ if client.is_trusted() => Prior::Trusted { identified: !identified.is_empty() },
            Some(session) if !identified.is_empty() => {
                let given = consents::find(self.store.read(), session.user, &client.id).await?;
                Prior::Remembered(given.map(|given| given.remembered(&identified)).unwrap_or_default())
            }
            _ => Prior::Nothing,
        };
        Ok(interaction::next_step(request, session, progress, &prior))
    }
}

fn over(waiting: &Interaction, client: Arc<Client>) -> Over {
    Over { id: waiting.id, client: Some(client), was_answered: true }
}

fn answered() -> OAuthError {
    OAuthError::new(ErrorCode::InvalidRequest, "This request has been answered before. Begin a new one.")
}

/// The error for a request that was accepted under settings which have changed since.
pub fn changed() -> OAuthError {
    OAuthError::new(
        ErrorCode::InvalidRequest,
        "The app was changed while you signed in. Go back to the app and begin again.",
    )
}
