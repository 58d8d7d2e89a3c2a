//! The authorization endpoint (RFC 6749 §4.1, OpenID Connect Core §3.1.2): a request comes in, and either an answer
//! goes back to the app, or a person is asked, or an error is shown.
//!
//! [`request_object`] where the parameters are, [`pushed`] those handed over before, [`check`] every check in order,
//! [`request`] the single parameters, [`waiting`] what is kept meanwhile, [`interaction`] the one function that decides what is next, [`issue`] code and
//! tokens, [`response`] the answer. A page never routes to another page: it records what was done and comes back here.

pub mod check;
pub mod interaction;
mod issue;
pub mod pushed;
pub(in crate::protocol) mod request;
pub mod request_object;
pub mod response;
mod waiting;

pub use check::Refused;
pub use interaction::Step;
pub use response::Reply;
pub use waiting::Browser;

use std::sync::Arc;

use interaction::Prior;

use super::Provider;
use super::error::{ErrorCode, OAuthError, Result};
use super::parameters::Parameters;
use crate::domain::client::Client;
use crate::domain::ids::InteractionId;
use crate::domain::interaction::{AuthorizationRequest, Interaction, Progress};
use crate::domain::narrowing::NoLonger;
use crate::domain::permissions::Permissions;
use crate::domain::secret::Digest;
use crate::domain::session::Session;
use crate::domain::version::Versioned;
use crate::env::Timestamp;
use crate::store::{consents, interactions};
use issue::Issued;
use waiting::Waits;

/// What is to be done now.
#[derive(Debug)]
pub enum Outcome {
    /// Go back to the app.
    Reply(Reply),
    /// Show this page for that interaction.
    Ask(Step, InteractionId),
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
        if let Some(outcome) = self.attempt(parameters, browser).await? {
            return Ok(outcome);
        }
        // Decided by a client or an API that another node has changed a moment ago: they are read again.
        self.attempt(parameters, browser).await?.ok_or_else(|| Refused::Shown(expired()))
    }

    /// Nothing where this node's memory of the client or of an API is older than the database.
    async fn attempt(
        &self,
        parameters: &Parameters,
        browser: Browser<'_>,
    ) -> std::result::Result<Option<Outcome>, Refused> {
        let (client, request) = self.accept(parameters).await?;
        let returned = |error| Refused::Returned(Box::new(request.reply_to.clone()), error);
        let progress = Progress::default();
        match self.decide(&client, &request, browser.session, &progress).await.map_err(returned)? {
            Step::Issue(session) => match self.issue(&client, &request, session, None).await.map_err(returned)? {
                Issued::Reply(reply) => Ok(Some(Outcome::Reply(reply))),
                Issued::Ended => Err(returned(expired())),
                Issued::Stale => Ok(None),
            },
            Step::Refuse(error) => Err(returned(self.use_up(&request, error).await)),
            step => {
                let interaction = Interaction {
                    id: InteractionId(self.env.uuid()),
                    request: request.clone(),
                    progress,
                    browser: browser.digest,
                    created_at: self.env.now(),
                    expires_at: self.env.now().plus_seconds(self.lifetimes.interaction),
                };
                let id = interaction.id;
                match self.wait(interaction, browser.address).await? {
                    Waits::Yes => Ok(Some(Outcome::Ask(step.forget(), id))),
                    Waits::TooMany => Err(Refused::Shown(OAuthError::too_many(
                        "Too many sign-ins are open in this network. Try again in a minute.",
                    ))),
                    Waits::Stale => {
                        self.store.authority().distrust(&client.id);
                        Ok(None)
                    }
                }
            }
        }
    }

    /// The request in `parameters`, where every check lets it through.
    async fn accept(
        &self,
        parameters: &Parameters,
    ) -> std::result::Result<(Arc<Client>, AuthorizationRequest), Refused> {
        let client = self.asking_client(parameters).await.map_err(Refused::Shown)?;
        let resolved = match self.resolve(parameters, &client).await {
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
            Ok(request) => Ok((client, request)),
            Err(error) => Err(Refused::Returned(Box::new(reply_to), error)),
        }
    }

    /// Uses a pushed request up with the refusal that answers it; the refusal to tell.
    async fn use_up(&self, request: &AuthorizationRequest, error: OAuthError) -> OAuthError {
        let Some(pushed) = request.pushed else { return error };
        let until = self.pushed_until();
        let claimed = self
            .store
            .write(move |tx| Box::pin(async move { issue::answer_once(tx, None, Some(pushed), until).await }))
            .await;
        match claimed {
            Ok(true) => error,
            Ok(false) => expired(),
            Err(error) => error.into(),
        }
    }

    /// As long as anybody may still be asked about it.
    fn pushed_until(&self) -> Timestamp {
        self.env.now().plus_seconds(self.lifetimes.interaction.saturating_mul(2))
    }

    /// Decides again for an interaction on which the user has done something.
    pub async fn resume(
        &self,
        waiting: &Interaction,
        session: Option<&Session>,
    ) -> std::result::Result<Outcome, Refused> {
        if let Some(outcome) = self.attempt_to_resume(waiting, session).await? {
            return Ok(outcome);
        }
        // As in `answer`.
        self.attempt_to_resume(waiting, session).await?.ok_or_else(|| Refused::Shown(expired()))
    }

    async fn attempt_to_resume(
        &self,
        waiting: &Interaction,
        session: Option<&Session>,
    ) -> std::result::Result<Option<Outcome>, Refused> {
        let client = self.waiting_client(waiting).await.map_err(Refused::Shown)?;
        let request = match self.narrowed(&waiting.request, &client).await.map_err(Refused::Shown)? {
            Ok(request) => request,
            Err(NoLonger::RedirectUri) => return Err(Refused::Shown(refusal(NoLonger::RedirectUri))),
            Err(lost) => return self.refuse(waiting, refusal(lost)).await.map(Some),
        };
        let returned = |error| Refused::Returned(Box::new(request.reply_to.clone()), error);
        match self.decide(&client, &request, session, &waiting.progress).await.map_err(returned)? {
            Step::Issue(session) => {
                match self.issue(&client, &request, session, Some(waiting.id)).await.map_err(returned)? {
                    Issued::Reply(reply) => Ok(Some(Outcome::Reply(reply))),
                    // Another tab was quicker: its answer is the app's, this one has none to give.
                    Issued::Ended => Err(Refused::Shown(expired())),
                    Issued::Stale => Ok(None),
                }
            }
            Step::Refuse(error) => self.refuse(waiting, error).await.map(Some),
            step => Ok(Some(Outcome::Ask(step.forget(), waiting.id))),
        }
    }

    /// Ends an interaction with an error that goes back to the app.
    pub async fn refuse(&self, waiting: &Interaction, error: OAuthError) -> std::result::Result<Outcome, Refused> {
        let (id, pushed, until) = (waiting.id, waiting.request.pushed, self.pushed_until());
        let ended = self
            .store
            .write(move |tx| Box::pin(async move { issue::answer_once(tx, Some(id), pushed, until).await }))
            .await;
        match ended {
            Ok(true) => Err(Refused::Returned(Box::new(waiting.request.reply_to.clone()), error)),
            Ok(false) => Err(Refused::Shown(expired())),
            Err(error) => Err(Refused::Shown(error.into())),
        }
    }

    /// The interaction of that id, for the browser that began it and no other (a handle alone opens nothing), as far as
    /// its request is allowed now. Where nothing of it is, it has no permissions, and [`Self::resume`] refuses it.
    pub async fn interaction(&self, id: InteractionId, browser: &Digest) -> Result<Interaction> {
        let found = interactions::by_id(self.store.read(), id, self.env.now()).await?;
        let waiting = found.filter(|waiting| waiting.browser == *browser).ok_or_else(expired)?;
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
        client.filter(asked).ok_or_else(expired)
    }

    async fn decide<'s>(
        &self,
        client: &Client,
        request: &AuthorizationRequest,
        session: Option<&'s Session>,
        progress: &Progress,
    ) -> Result<Step<&'s Session>> {
        let identified = client.is_identified_by(&request.reply_to.redirect_uri, request.response_type);
        let prior = match session {
            _ if client.is_trusted() => Prior::Trusted { identified },
            Some(session) if identified => {
                let given = consents::find(self.store.read(), session.user, &client.id).await?;
                Prior::Remembered(given.map(|given| given.remembered).unwrap_or_default())
            }
            _ => Prior::Nothing,
        };
        Ok(interaction::next_step(request, session, progress, &prior))
    }
}

fn refusal(lost: NoLonger) -> OAuthError {
    let (code, text) = match lost {
        NoLonger::RedirectUri => {
            let text =
                "The address that the app asked us to send you to is not on its list any more. Go back to the app.";
            (ErrorCode::InvalidRequest, text)
        }
        NoLonger::ResponseType => {
            (ErrorCode::UnauthorizedClient, "This client may not use that response type any more.")
        }
        NoLonger::Challenge => {
            (ErrorCode::InvalidRequest, "The parameter code_challenge is missing: it is needed now.")
        }
        NoLonger::Scopes => (ErrorCode::InvalidScope, "This client may not ask for these scopes any more."),
    };
    OAuthError::new(code, text)
}

fn expired() -> OAuthError {
    OAuthError::new(
        ErrorCode::InvalidRequest,
        "This sign-in has ended or took too long. Go back to the app and begin again.",
    )
}
