//! Ending an authorization request with an error that goes back to the app, once (RFC 6749 §4.1.2.1).
//!
//! Next door: [`super::issue`], which ends it with what was asked for.

use super::issue::AnswerTo;
use super::response::Reply;
use super::{Browser, Outcome, Refused, answered, over};
use crate::domain::client::Client;
use crate::domain::interaction::{AuthorizationRequest, Interaction};
use crate::domain::narrowing::NoLonger;
use crate::domain::session::Session;
use crate::protocol::Provider;
use crate::protocol::error::{ErrorCode, OAuthError};
use crate::store::{StoreError, quotas};

impl Provider {
    /// Uses a pushed request up with the refusal that answers it; the refusal to tell. It is kept for the browser of a
    /// signed-in user alone: strangers make the server store nothing by it.
    pub(super) async fn use_up(
        &self,
        client: &Client,
        request: &AuthorizationRequest,
        browser: Browser<'_>,
        error: OAuthError,
    ) -> OAuthError {
        let Some(pushed) = request.pushed else { return error };
        let is_kept = match browser.session {
            Some(_) => self.may_redirect_without_page(client).await.unwrap_or_default(),
            None => false,
        };
        let reply = is_kept.then(|| Reply::error(&self.issuer, &request.reply_to, &error));
        let until = self.pushed_until();
        let (provider, session) = (self.clone(), browser.session.map(|session| session.id));
        let to = AnswerTo::New(Box::new(self.begun(request, browser, self.lifetimes.code)));
        let told = self.store.write(move |tx| {
            Box::pin(async move {
                let Some(claimed) = provider.answer_once(tx, &to, Some(pushed), until).await? else {
                    // A second click at the same moment is decided alike.
                    return Ok(provider.answer_before(tx, &to, session).await?.is_some());
                };
                if let (Some(new), Some(reply)) = (claimed.interaction, reply) {
                    let answer = provider.sealed_answer(tx, &new.request.client, &reply, None).await?;
                    provider.keep_answered(tx, &new, None, answer).await?;
                }
                Ok(true)
            })
        });
        match told.await {
            Ok(true) => error,
            Ok(false) => answered(),
            Err(failed) => StoreError::into(failed),
        }
    }

    /// Ends an interaction with an error that goes back to the app. Where it was answered before, that answer stands.
    pub async fn refuse(
        &self,
        waiting: &Interaction,
        session: Option<&Session>,
        error: OAuthError,
    ) -> std::result::Result<Outcome, Refused> {
        let (id, pushed, until) = (waiting.id, waiting.request.pushed, self.pushed_until());
        let (provider, session) = (self.clone(), session.map(|session| session.id));
        let reply = Reply::error(&self.issuer, &waiting.request.reply_to, &error);
        // No user has to be signed in for it: it counts among what strangers make the server keep, and is kept shortly.
        let brief = self.env.now().plus_seconds(self.lifetimes.code);
        let ended = self.store.write(move |tx| {
            Box::pin(async move {
                let Some(claimed) = provider.answer_once(tx, &AnswerTo::Waiting(id), pushed, until).await? else {
                    return provider.repeated(tx, id, session).await.map(Err);
                };
                if let Some(ended) = claimed.interaction {
                    quotas::shorten(tx, id.0, brief).await?;
                    let answer = provider.sealed_answer(tx, &ended.request.client, &reply, None).await?;
                    let ended = Interaction { expires_at: brief, ..ended };
                    provider.keep_answered(tx, &ended, None, answer).await?;
                }
                Ok(Ok(()))
            })
        });
        match ended.await {
            Ok(Ok(())) => Err(Refused::Returned(Box::new(waiting.request.reply_to.clone()), error)),
            Ok(Err(Some(reply))) => Ok(Outcome::Reply(reply)),
            Ok(Err(None)) => {
                let client = self.waiting_client(waiting).await.map_err(Refused::Shown)?;
                Ok(Outcome::Over(over(waiting, client)))
            }
            Err(error) => Err(Refused::Shown(error.into())),
        }
    }
}

/// Says what the client may not ask for any more.
pub(super) fn refusal(lost: NoLonger) -> OAuthError {
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
