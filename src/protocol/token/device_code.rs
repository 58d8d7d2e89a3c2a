//! The device code grant (RFC 8628 §3.4, §3.5). The row is locked while the poll is judged, so that concurrent polls
//! are serialized. A second redemption, or one by another client, revokes what was issued, as for an authorization
//! code.
//!
//! See also: `domain::device`, which judges the poll; [`crate::protocol::device`], where the user decides.

use super::{TokenRequest, TokenResponse};
use crate::domain::authorization::Authorization;
use crate::domain::client::Client;
use crate::domain::device::{DeviceDecision, DeviceRequest, PollOutcome};
use crate::domain::event::RequestOrigin;
use crate::domain::participant::Participant;
use crate::domain::secret::SecretKind;
use crate::protocol::Provider;
use crate::protocol::client_access::AccessPoint;
use crate::protocol::error::{ErrorCode, OAuthError, Result};
use crate::store::{StoreError, Tx, device_codes, session_clients, sessions};

fn unknown_device_code() -> OAuthError {
    OAuthError::new(ErrorCode::InvalidGrant, "The device code is unknown or used.")
}

impl Provider {
    pub(super) async fn redeem_device_code(&self, asking: TokenRequest<'_>, code: &str) -> Result<TokenResponse> {
        let bound_to = asking.bound_to()?;
        let TokenRequest { client, parameters, origin, .. } = asking;
        if !code.starts_with(SecretKind::DeviceCode.prefix()) {
            return Err(unknown_device_code());
        }
        let apis = self.store.authority().apis(&self.store).await?;
        let (provider, client_now, parameters) = (self.clone(), client.clone(), parameters.clone());
        let digest = SecretKind::DeviceCode.digest(code);
        let redeemed = self
            .store
            .write(move |tx| {
                Box::pin(async move {
                    let Some((request, database_now)) = device_codes::lock_for_update(tx, &digest).await? else {
                        return Ok(Err(unknown_device_code()));
                    };
                    let authorization = match request.poll_outcome(&client_now.id, database_now) {
                        PollOutcome::Allowed(authorization) => *authorization,
                        refused => return Ok(Err(provider.poll_error(tx, &request, refused, &origin).await?)),
                    };
                    let authorization = Authorization { bound_to, ..authorization };
                    // This is checked before the code is consumed, so that the next poll gets the same error.
                    let checked = provider.check_access(tx, &authorization, AccessPoint::DeviceCode, &origin).await?;
                    if let Err(error) = checked {
                        return Ok(Err(error));
                    }
                    device_codes::consume(tx, &digest).await?;
                    let granted = provider.grant(tx, &client_now, authorization, &parameters, &apis).await?;
                    if let Ok(Some(granted)) = &granted {
                        join_session(tx, &client_now, &granted.authorization).await?;
                    }
                    Ok(granted.and_then(|granted| {
                        granted.ok_or_else(|| unknown_device_code().with_cause("what it hangs on has ended"))
                    }))
                })
            })
            .await?;
        self.mint(client, redeemed?).await
    }

    /// Returns the error for a poll and records its effects.
    async fn poll_error(
        &self,
        tx: &Tx,
        request: &DeviceRequest,
        poll: PollOutcome,
        origin: &RequestOrigin,
    ) -> std::result::Result<OAuthError, StoreError> {
        Ok(match poll {
            PollOutcome::Pending => {
                device_codes::polled(tx, &request.digest, request.interval).await?;
                OAuthError::new(ErrorCode::AuthorizationPending, "The person has not decided yet.")
            }
            PollOutcome::SlowDown { interval } => {
                device_codes::polled(tx, &request.digest, interval).await?;
                OAuthError::new(ErrorCode::SlowDown, format!("Wait {interval} seconds between two polls from now on."))
            }
            PollOutcome::Denied => OAuthError::new(ErrorCode::AccessDenied, "The person did not allow it."),
            PollOutcome::Expired => {
                OAuthError::new(ErrorCode::ExpiredToken, "The device code has expired: begin again.")
            }
            PollOutcome::Used => {
                self.revoke_reused_device_grant(tx, request, "a device code was used twice", origin).await?;
                unknown_device_code()
            }
            // Another client has presented the code, so it must have leaked: it is invalidated for every client.
            _ => {
                device_codes::consume(tx, &request.digest).await?;
                self.revoke_reused_device_grant(tx, request, "another client used a device code", origin).await?;
                unknown_device_code().with_cause("another client's device code")
            }
        })
    }

    async fn revoke_reused_device_grant(
        &self,
        tx: &Tx,
        request: &DeviceRequest,
        what: &str,
        origin: &RequestOrigin,
    ) -> std::result::Result<(), StoreError> {
        match &request.decision {
            Some(DeviceDecision::Allowed(authorization)) => {
                self.revoke_reused_grant(tx, authorization, what, origin).await
            }
            _ => Ok(()),
        }
    }
}

/// Adds the client of the device to the participants of the session in which the user approved it, like a client that
/// received a code in that session (OpenID Connect Back-Channel Logout §2.1).
async fn join_session(tx: &Tx, client: &Client, authorization: &Authorization) -> std::result::Result<(), StoreError> {
    let Some(id) = authorization.session().filter(|_| client.meta.has_logout_uri()) else { return Ok(()) };
    // The session is locked so that a concurrent sign-out also finds this participant.
    if !sessions::lock_shared(tx, id).await? {
        return Ok(());
    }
    let Some(session) = sessions::by_id(tx.conn(), id).await? else { return Ok(()) };
    match Participant::for_client(client, &session) {
        Some(participant) => session_clients::join(tx, &participant, session.expires_at).await,
        None => Ok(()),
    }
}
