//! Ends an authorization request with an error that is sent to the client, once (RFC 6749 §4.1.2.1).
//!
//! See also: [`super::issue`], which ends it with a successful response.

use super::issue::AnswerTo;
use super::response::AuthorizationResponse;
use super::{AuthorizeError, AuthorizeOutcome, BrowserContext, already_answered, ended_interaction};
use crate::domain::client::Client;
use crate::domain::interaction::{AuthorizationRequest, Interaction};
use crate::domain::narrowing::RevalidationError;
use crate::domain::session::Session;
use crate::protocol::Provider;
use crate::protocol::error::{ErrorCode, OAuthError};
use crate::store::{StoreError, quotas};

impl Provider {
    /// Consumes a pushed request with the error that answers it, and returns the error to send. The response is
    /// stored only for the browser of a signed-in user: unauthenticated requests must not fill the store.
    pub(super) async fn use_up(
        &self,
        client: &Client,
        request: &AuthorizationRequest,
        browser: BrowserContext<'_>,
        error: OAuthError,
    ) -> OAuthError {
        let Some(pushed) = request.pushed else { return error };
        let is_kept = match browser.session {
            Some(_) => self.can_redirect_without_page(client).await.unwrap_or_default(),
            None => false,
        };
        let reply = is_kept.then(|| AuthorizationResponse::error(&self.issuer, &request.reply_to, &error));
        let until = self.pushed_until();
        let (provider, session) = (self.clone(), browser.session.map(|session| session.id));
        let to = AnswerTo::New(Box::new(self.begun(request, browser, self.lifetimes.code)));
        let told = self.store.write(move |tx| {
            Box::pin(async move {
                let Some(claimed) = provider.consume_request(tx, &to, Some(pushed), until).await? else {
                    // A concurrent second click gets the same response.
                    return Ok(provider.answer_before(tx, &to, session).await?.is_some());
                };
                if let (Some(new), Some(reply)) = (claimed.interaction, reply) {
                    let answer = provider.seal_response(tx, &new.request.client, &reply, None).await?;
                    provider.store_answered(tx, &new, None, answer).await?;
                }
                Ok(true)
            })
        });
        match told.await {
            Ok(true) => error,
            Ok(false) => already_answered(),
            Err(failed) => StoreError::into(failed),
        }
    }

    /// Ends an interaction with an error that is sent to the client. If the interaction has already been answered, that
    /// response is returned.
    pub async fn end_with_error(
        &self,
        waiting: &Interaction,
        session: Option<&Session>,
        error: OAuthError,
    ) -> std::result::Result<AuthorizeOutcome, AuthorizeError> {
        let (id, pushed, until) = (waiting.id, waiting.request.pushed, self.pushed_until());
        let (provider, session) = (self.clone(), session.map(|session| session.id));
        let reply = AuthorizationResponse::error(&self.issuer, &waiting.request.reply_to, &error);
        // This needs no signed-in user, so it counts towards the quota for unauthenticated requests and is stored only
        // briefly.
        let brief = self.env.now().plus_seconds(self.lifetimes.code);
        let ended = self.store.write(move |tx| {
            Box::pin(async move {
                let Some(claimed) = provider.consume_request(tx, &AnswerTo::Waiting(id), pushed, until).await? else {
                    return provider.repeated(tx, id, session).await.map(Err);
                };
                if let Some(ended) = claimed.interaction {
                    quotas::shorten_expiry(tx, id.0, brief).await?;
                    let answer = provider.seal_response(tx, &ended.request.client, &reply, None).await?;
                    let ended = Interaction { expires_at: brief, ..ended };
                    provider.store_answered(tx, &ended, None, answer).await?;
                }
                Ok(Ok(()))
            })
        });
        match ended.await {
            Ok(Ok(())) => Err(AuthorizeError::Redirect(Box::new(waiting.request.reply_to.clone()), error)),
            Ok(Err(Some(reply))) => Ok(AuthorizeOutcome::Reply(reply)),
            Ok(Err(None)) => {
                let client = self.waiting_client(waiting).await.map_err(AuthorizeError::Shown)?;
                Ok(AuthorizeOutcome::Over(ended_interaction(waiting, client)))
            }
            Err(error) => Err(AuthorizeError::Shown(error.into())),
        }
    }
}

/// Returns the error for permissions or a client that are no longer allowed.
pub(super) fn no_longer_allowed(lost: RevalidationError) -> OAuthError {
    let (code, text) = match lost {
        RevalidationError::RedirectUri => {
            let text =
                "The address that the app asked us to send you to is not on its list any more. Go back to the app.";
            (ErrorCode::InvalidRequest, text)
        }
        RevalidationError::ResponseType => {
            (ErrorCode::UnauthorizedClient, "This client may not use that response type any more.")
        }
        RevalidationError::PkceRequired => {
            (ErrorCode::InvalidRequest, "The parameter code_challenge is missing: it is needed now.")
        }
        RevalidationError::Scopes => (ErrorCode::InvalidScope, "This client may not ask for these scopes any more."),
    };
    OAuthError::new(code, text)
}
