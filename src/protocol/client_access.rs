//! Access of users to clients: users in one of the client's `allowed_groups` may use it, or all users if it names none.
//!
//! When something is issued to a client for a user, the groups that the issuing transaction reads decide. For a token
//! that was issued earlier, this node's caches decide, which follow a change of groups within a second.
//!
//! The rule applies to every way to get a token: the authorization endpoint (silent requests included), redemption of a
//! code, approval and redemption of a device code, refresh and token exchange. It does not apply to what a client gets
//! for itself or to a user's own API key, since there is no user behind a client.
//!
//! See also: `store::client_groups`, the rows that decide.

use super::Provider;
use super::error::{ErrorCode, OAuthError, Result};
use crate::domain::authorization::Authorization;
use crate::domain::client::Client;
use crate::domain::event::{Actor, Event, EventKind, RequestOrigin};
use crate::domain::ids::{ClientId, EventId, UserId};
use crate::store::{StoreError, Tx, client_groups, events};

/// Where the access of a user to a client is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessPoint {
    SignIn,
    /// An authorization request with `prompt=none`.
    SilentSignIn,
    Code,
    DeviceApproval,
    DeviceCode,
    Refresh,
    Exchange,
}

impl AccessPoint {
    /// Returns the name for the audit event.
    const fn as_str(self) -> &'static str {
        match self {
            Self::SignIn => "at the sign-in",
            Self::SilentSignIn => "at a silent request",
            Self::Code => "when a code was redeemed",
            Self::DeviceApproval => "when a device was to be connected",
            Self::DeviceCode => "when a device code was redeemed",
            Self::Refresh => "at a refresh",
            Self::Exchange => "at a token exchange",
        }
    }

    /// Returns the error code (RFC 6749 §4.1.2.1 and §5.2, RFC 8628 §3.5, RFC 8693 §2.2.2).
    const fn code(self) -> ErrorCode {
        match self {
            Self::SignIn | Self::SilentSignIn | Self::DeviceApproval | Self::DeviceCode => ErrorCode::AccessDenied,
            Self::Code | Self::Refresh => ErrorCode::InvalidGrant,
            Self::Exchange => ErrorCode::InvalidRequest,
        }
    }

    #[must_use]
    pub fn error(self) -> OAuthError {
        let text = "The user may not use this client: they are in none of the groups that it is open to.";
        OAuthError::new(self.code(), text)
    }

    /// Adds the cause for the log and the console.
    #[must_use]
    pub fn error_for(self, user: UserId, client: &ClientId) -> OAuthError {
        self.error().with_cause(format!("user {user} is in none of the groups that {client} is open to"))
    }
}

/// Returns the clients for which an authorization was or is issued.
fn clients_of(authorization: &Authorization) -> Vec<&ClientId> {
    std::iter::once(&authorization.client).chain(&authorization.through).collect()
}

/// Returns whether the user may use all clients of the authorization, according to the database.
pub(super) async fn is_admitted<C: crate::store::Connection>(
    conn: &C,
    authorization: &Authorization,
) -> std::result::Result<bool, StoreError> {
    match authorization.user() {
        Some(user) => client_groups::admit(conn, user, &clients_of(authorization)).await,
        None => Ok(true),
    }
}

impl Provider {
    /// Returns an error and records an event if the user of `authorization` may not use its client. Runs in the issuing
    /// transaction.
    pub(super) async fn check_access(
        &self,
        tx: &Tx,
        authorization: &Authorization,
        at: AccessPoint,
        origin: &RequestOrigin,
    ) -> std::result::Result<Result<()>, StoreError> {
        let Some(user) = authorization.user() else { return Ok(Ok(())) };
        if is_admitted(tx.conn(), authorization).await? {
            return Ok(Ok(()));
        }
        let event = self.access_refused_event(user, &authorization.client, at, origin);
        events::insert_failure_with_quota(tx, &self.store, &event).await?;
        Ok(Err(at.error_for(user, &authorization.client)))
    }

    /// Does the same when there is no other transaction.
    pub(super) async fn check_access_without_tx(
        &self,
        authorization: &Authorization,
        at: AccessPoint,
        origin: &RequestOrigin,
    ) -> Result<()> {
        match authorization.user() {
            Some(user) if !is_admitted(self.store.read(), authorization).await? => {
                self.record_access_refused(user, &authorization.client, at, origin).await?;
                Err(at.error_for(user, &authorization.client))
            }
            _ => Ok(()),
        }
    }

    /// Returns whether a user may use a client, for display. The check is repeated when something is issued.
    pub async fn is_client_open_to(&self, client: &Client, user: UserId) -> Result<bool> {
        if client.meta.allowed_groups.is_empty() {
            return Ok(true);
        }
        Ok(client_groups::admit(self.store.read(), user, &[&client.id]).await?)
    }

    /// Records that a user tried to use a client that they may not use.
    pub async fn record_access_refused(
        &self,
        user: UserId,
        client: &ClientId,
        at: AccessPoint,
        origin: &RequestOrigin,
    ) -> Result<()> {
        let event = self.access_refused_event(user, client, at, origin);
        let store = self.store.clone();
        let write = self
            .store
            .write(move |tx| Box::pin(async move { events::insert_failure_with_quota(tx, &store, &event).await }));
        Ok(write.await?)
    }

    fn access_refused_event(&self, user: UserId, client: &ClientId, at: AccessPoint, origin: &RequestOrigin) -> Event {
        // If the request does not come from the user's browser, the client is the actor.
        let actor = match at {
            AccessPoint::SignIn | AccessPoint::SilentSignIn | AccessPoint::DeviceApproval => Actor::User(user),
            _ => Actor::Client(client.clone()),
        };
        tracing::warn!(%user, %client, "{}: the user may not use the client", at.as_str());
        Event {
            id: EventId(self.env.uuid()),
            at: self.env.now(),
            kind: EventKind::AccessRefused,
            actor,
            user: Some(user),
            client: Some(client.clone()),
            origin: origin.clone(),
            detail: format!("{}, in none of its groups", at.as_str()),
        }
    }

    /// Returns whether the user of a token issued earlier may still use its clients, as far as this node knows.
    pub async fn is_still_admitted(&self, authorization: &Authorization) -> Result<bool> {
        let Some(user) = authorization.user() else { return Ok(true) };
        for id in clients_of(authorization) {
            let Some(client) = self.client_without_fetch(id).await? else { return Ok(false) };
            if client.meta.allowed_groups.is_empty() {
                continue;
            }
            let person = self.store.authority().user(&self.store, user).await?;
            if !person.is_some_and(|person| client.meta.admits(&person.groups)) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
