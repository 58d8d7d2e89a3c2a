//! A request that waits until its user has been asked: a row that anybody can make, and of which there are only so many.
//!
//! Next door: `store::quotas`, which counts them.

use super::AuthorizeError;
use super::check::invalid;
use crate::domain::event::RequestOrigin;
use crate::domain::ids::InteractionId;
use crate::domain::interaction::Interaction;
use crate::domain::secret::Digest;
use crate::domain::session::Session;
use crate::protocol::Provider;
use crate::store::quotas::{self, QuotaDecision, QuotaKind};
use crate::store::{answered_interactions, authorizations, interactions};

/// What is kept of one request: the longest `state`, `nonce` and `login_hint`, and the rest.
const MAX_BYTES: usize = 32 * 1024;

/// The browser that brings a request.
#[derive(Clone, Copy)]
pub struct BrowserContext<'a> {
    /// Of its own cookie.
    pub digest: Digest,
    /// Who is signed in there.
    pub session: Option<&'a Session>,
    /// Its address is empty where it is not known.
    pub origin: &'a RequestOrigin,
}

/// Whether a request waits for its user.
pub(super) enum StoreInteractionOutcome {
    Yes,
    /// A limit is reached.
    TooMany,
    /// The client or an API was changed meanwhile.
    Stale,
}

impl Provider {
    /// Keeps a request that came from `address`. At a limit it takes the place of an old one: a flood keeps no user out, not
    /// even one at its own address.
    pub(super) async fn wait(
        &self,
        interaction: Interaction,
        address: &str,
    ) -> std::result::Result<StoreInteractionOutcome, AuthorizeError> {
        let to = interaction.request.reply_to.clone();
        let returned = |error| AuthorizeError::Redirect(Box::new(to.clone()), error);
        if interactions::size(&interaction).map_err(|error| returned(error.into()))? > MAX_BYTES {
            return Err(returned(invalid("The request is too large.")));
        }
        let entry = self.store.quota_entry(QuotaKind::Interaction, interaction.id.0, address, interaction.expires_at);
        let keep = self.store.write(move |tx| {
            Box::pin(async move {
                if !authorizations::is_request_current(tx.conn(), &interaction.request).await? {
                    return Ok(StoreInteractionOutcome::Stale);
                }
                match quotas::admit_or_replace(tx, &entry).await? {
                    QuotaDecision::Exceeded => return Ok(StoreInteractionOutcome::TooMany),
                    QuotaDecision::InPlaceOf(oldest) => {
                        interactions::delete(tx, InteractionId(oldest)).await?;
                        answered_interactions::delete(tx, InteractionId(oldest)).await?;
                    }
                    QuotaDecision::Granted => {}
                }
                interactions::insert(tx, &interaction).await.map(|()| StoreInteractionOutcome::Yes)
            })
        });
        keep.await.map_err(|error| returned(error.into()))
    }
}
