//! Issuing a code: the only thing written where nobody had to be asked (RFC 6749 §4.1.2).

use super::response::Reply;
use crate::domain::authorization::{Authorization, SignIn, Subject};
use crate::domain::code::Code;
use crate::domain::ids::{GrantId, InteractionId};
use crate::domain::interaction::AuthorizationRequest;
use crate::domain::secret::SecretKind;
use crate::domain::session::Session;
use crate::protocol::Provider;
use crate::protocol::error::Result;
use crate::store::{codes, interactions, sessions};

impl Provider {
    /// The answer with a code; nothing where `waiting` has been answered already, or the session has just ended.
    pub(super) async fn issue_code(
        &self,
        request: &AuthorizationRequest,
        session: &Session,
        waiting: Option<InteractionId>,
    ) -> Result<Option<Reply>> {
        let secret = SecretKind::AuthorizationCode.mint(self.env.random());
        let (now, id) = (self.env.now(), session.id);
        let code = Code {
            digest: SecretKind::AuthorizationCode.digest(secret.expose()),
            authorization: Authorization {
                subject: Subject::User(session.user),
                client: request.client.clone(),
                sign_in: Some(SignIn {
                    session: session.id,
                    auth_time: session.auth_time,
                    method: session.method,
                    told_acr: request.acr.answered_by(session.method.acr()),
                }),
                grant: Some(GrantId(self.env.uuid())),
                scopes: request.scopes.clone(),
                resources: request.resources.clone(),
                nonce: request.nonce.clone(),
                claims: request.claims.clone(),
                act: None,
                through: Vec::new(),
            },
            redirect_uri: request.reply_to.redirect_uri.clone(),
            redirect_uri_sent: request.reply_to.redirect_uri_sent,
            challenge: request.challenge.clone(),
            issued_at: now,
            expires_at: now.plus_seconds(self.lifetimes.code),
        };
        let issued = self
            .store
            .write(move |tx| {
                Box::pin(async move {
                    if let Some(waiting) = waiting
                        && !interactions::consume(tx, waiting).await?
                    {
                        return Ok(false);
                    }
                    // Held until the code is there: whatever ends the session from now on finds it, and ends it too.
                    if !sessions::hold(tx, id).await? {
                        return Ok(false);
                    }
                    codes::insert(tx, &code).await?;
                    Ok(true)
                })
            })
            .await?;
        Ok(issued.then(|| Reply::code(&self.issuer, &request.reply_to, &secret)))
    }
}
