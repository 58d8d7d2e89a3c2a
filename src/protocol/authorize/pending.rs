//! Stores a request that waits for its user. Unauthenticated requests can create these rows, so their number is
//! limited.
//!
//! See also: `store::quotas`, which counts them.

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

/// The maximum stored size of one request in bytes: the longest `state`, `nonce` and `login_hint`, and the rest.
const MAX_BYTES: usize = 32 * 1024;

/// The browser that sends a request.
#[derive(Clone, Copy)]
pub struct BrowserContext<'a> {
    /// The digest of the browser's cookie.
    pub digest: Digest,
    /// The session of the signed-in user.
    pub session: Option<&'a Session>,
    /// The origin of the request. Its address is empty if it is unknown.
    pub origin: &'a RequestOrigin,
}

/// The result of storing an interaction.
pub(super) enum StoreInteractionOutcome {
    Yes,
    /// A quota is exhausted.
    TooMany,
    /// The client or an API has changed in the meantime.
    Stale,
}

impl Provider {
    /// Stores a request that came from `address`. If a quota is exhausted, the request replaces an old one: a flood
    /// does not lock users out, even at the same address.
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
