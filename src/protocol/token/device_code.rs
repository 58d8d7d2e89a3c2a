//! Polling with a device code (RFC 8628 §3.4, §3.5): the row is held while it is judged, so that of two polls at once one
//! waits for the other. A redemption after the first, or by another client, ends what was issued, like a code's.
//!
//! Next door: `domain::device`, which judges; [`crate::protocol::device`], where a person decides.

use super::{Asking, TokenSet};
use crate::domain::authorization::Authorization;
use crate::domain::client::Client;
use crate::domain::device::{Decision, DeviceRequest, Poll};
use crate::domain::event::Origin;
use crate::domain::participant::Participant;
use crate::domain::secret::SecretKind;
use crate::protocol::Provider;
use crate::protocol::client_access::AccessPoint;
use crate::protocol::error::{ErrorCode, OAuthError, Result};
use crate::store::{StoreError, Tx, device_codes, session_clients, sessions};

fn unknown() -> OAuthError {
    OAuthError::new(ErrorCode::InvalidGrant, "The device code is unknown or used.")
}

impl Provider {
    pub(super) async fn redeem_device_code(&self, asking: Asking<'_>, code: &str) -> Result<TokenSet> {
        let bound_to = asking.bound_to()?;
        let Asking { client, parameters, origin, .. } = asking;
        if !code.starts_with(SecretKind::DeviceCode.prefix()) {
            return Err(unknown());
        }
        let apis = self.store.authority().apis(&self.store).await?;
        let (provider, client_now, parameters) = (self.clone(), client.clone(), parameters.clone());
        let digest = SecretKind::DeviceCode.digest(code);
        let redeemed = self
            .store
            .write(move |tx| {
                Box::pin(async move {
                    let Some((request, database_now)) = device_codes::lock_for_update(tx, &digest).await? else {
                        return Ok(Err(unknown()));
                    };
                    let authorization = match request.judge(&client_now.id, database_now) {
                        Poll::Allowed(authorization) => *authorization,
                        refused => return Ok(Err(provider.refuse_poll(tx, &request, refused, &origin).await?)),
                    };
                    let authorization = Authorization { bound_to, ..authorization };
                    // Before the code is used up: a device that asks again is refused in the same way.
                    let checked = provider.check_access(tx, &authorization, AccessPoint::DeviceCode, &origin).await?;
                    if let Err(error) = checked {
                        return Ok(Err(error));
                    }
                    device_codes::consume(tx, &digest).await?;
                    let granted = provider.grant(tx, &client_now, authorization, &parameters, &apis).await?;
                    if let Ok(Some(granted)) = &granted {
                        take_part(tx, &client_now, &granted.authorization).await?;
                    }
                    Ok(granted
                        .and_then(|granted| granted.ok_or_else(|| unknown().because("what it hangs on has ended"))))
                })
            })
            .await?;
        self.mint(client, redeemed?).await
    }

    /// The refusal of a poll, and what it leaves behind.
    async fn refuse_poll(
        &self,
        tx: &Tx,
        request: &DeviceRequest,
        poll: Poll,
        origin: &Origin,
    ) -> std::result::Result<OAuthError, StoreError> {
        Ok(match poll {
            Poll::Pending => {
                device_codes::polled(tx, &request.digest, request.interval).await?;
                OAuthError::new(ErrorCode::AuthorizationPending, "The person has not decided yet.")
            }
            Poll::TooSoon { interval } => {
                device_codes::polled(tx, &request.digest, interval).await?;
                OAuthError::new(ErrorCode::SlowDown, format!("Wait {interval} seconds between two polls from now on."))
            }
            Poll::Denied => OAuthError::new(ErrorCode::AccessDenied, "The person did not allow it."),
            Poll::Expired => OAuthError::new(ErrorCode::ExpiredToken, "The device code has expired: begin again."),
            Poll::Used => {
                self.end_copied_device(tx, request, "a device code was used twice", origin).await?;
                unknown()
            }
            // Whoever presents it is not the device it was made for, nobody else gets anything for it either.
            _ => {
                device_codes::consume(tx, &request.digest).await?;
                self.end_copied_device(tx, request, "another client used a device code", origin).await?;
                unknown().because("another client's device code")
            }
        })
    }

    async fn end_copied_device(
        &self,
        tx: &Tx,
        request: &DeviceRequest,
        what: &str,
        origin: &Origin,
    ) -> std::result::Result<(), StoreError> {
        match &request.decision {
            Some(Decision::Allowed(authorization)) => self.end_copied(tx, authorization, what, origin).await,
            _ => Ok(()),
        }
    }
}

/// A device takes part in the session in which its person decided, like an app that was sent a code in it (OpenID Connect
/// Back-Channel Logout §2.1).
async fn take_part(tx: &Tx, client: &Client, authorization: &Authorization) -> std::result::Result<(), StoreError> {
    let Some(id) = authorization.session().filter(|_| client.meta.is_told_of_sign_outs()) else { return Ok(()) };
    // Held, so that whoever ends it finds this one too.
    if !sessions::hold(tx, id).await? {
        return Ok(());
    }
    let Some(session) = sessions::by_id(tx.conn(), id).await? else { return Ok(()) };
    match Participant::of(client, &session) {
        Some(participant) => session_clients::join(tx, &participant, session.expires_at).await,
        None => Ok(()),
    }
}
