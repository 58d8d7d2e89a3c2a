//! The device authorization endpoint (RFC 8628 §3.1, §3.2) and the user's decision (§3.3). A device without a browser
//! makes the request; a user enters its code in a browser, sees the client and decides. Permissions and consent follow
//! the rules of the authorization endpoint.
//!
//! See also: `token::device_code`, where the device fetches its tokens; `web::pages::device`, the pages for the user.

use std::sync::Arc;

use serde::Serialize;

use super::Provider;
use super::authorize::request::permissions;
use super::client_access::AccessPoint;
use super::error::{ErrorCode, OAuthError, Result};
use super::parameters::Parameters;
use super::resource::known_versions;
use crate::domain::authorization::{Authorization, SignIn, Subject};
use crate::domain::claims_request::RequestedClaims;
use crate::domain::client::Client;
use crate::domain::client_metadata::{GrantType, ResponseType};
use crate::domain::device::{DeviceRequest, POLL_INTERVAL_SECONDS, UserCode};
use crate::domain::event::{Actor, Event, EventKind, RequestOrigin};
use crate::domain::ids::{EventId, GrantId, SessionId};
use crate::domain::secret::SecretKind;
use crate::domain::session::Session;
use crate::domain::version::{VersionedEntity, Versions};
use crate::store::authorizations::{self, RowLock};
use crate::store::quotas::{self, QuotaKind};
use crate::store::{StoreError, consents, device_codes, events, session_uses, versions};

/// The device authorization response (RFC 8628 §3.2).
#[derive(Serialize)]
pub struct DeviceAuthorization {
    pub device_code: String,
    pub user_code: String,
    pub verification_uri: String,
    pub verification_uri_complete: String,
    pub expires_in: i64,
    pub interval: i64,
}

/// A request that waits for the user's decision, and the client that made it.
pub struct PendingDevice {
    pub request: DeviceRequest,
    pub client: Arc<Client>,
}

/// The result of a user's decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceAnswerOutcome {
    Done,
    /// The request has expired or was already decided.
    TooLate,
    /// The session has just ended.
    SignedOut,
    /// The user may not use the client. The device goes on waiting for another user.
    NotAdmitted,
}

/// How often a new user code is generated if the first one is taken.
const MAX_USER_CODE_ATTEMPTS: usize = 4;

impl Provider {
    /// Handles a device authorization request. `page` is the address where users enter the code.
    pub async fn authorize_device(
        &self,
        client: &Client,
        parameters: &Parameters,
        page: &str,
        origin: &RequestOrigin,
    ) -> Result<DeviceAuthorization> {
        if !client.meta.allows(GrantType::DeviceCode) {
            return Err(OAuthError::new(ErrorCode::UnauthorizedClient, "This client may not use the device grant."));
        }
        parameters.check_repetition()?;
        let apis = self.store.authority().apis(&self.store).await?;
        // The device redeems its code like an authorization code.
        let permissions = permissions(parameters, client, ResponseType::Code, &apis)?;
        let secret = SecretKind::DeviceCode.mint(self.env.random());
        let now = self.env.now();
        let request = |user_code: &UserCode| DeviceRequest {
            digest: SecretKind::DeviceCode.digest(secret.expose()),
            user_code: user_code.digest(),
            client: client.id.clone(),
            permissions: permissions.clone(),
            versions: known_versions(client, &permissions, &apis),
            address: origin.address.clone(),
            user_agent: origin.user_agent.clone(),
            issued_at: now,
            expires_at: now.plus_seconds(self.lifetimes.device_code),
            interval: POLL_INTERVAL_SECONDS,
            polled_at: None,
            decision: None,
            used_at: None,
        };
        let user_code = self.store_device_request(client, request).await?.to_string();
        let verification_uri = self.issuer.join(page);
        Ok(DeviceAuthorization {
            device_code: secret.expose().to_owned(),
            verification_uri_complete: format!("{verification_uri}?user_code={user_code}"),
            user_code,
            verification_uri,
            expires_in: self.lifetimes.device_code,
            interval: POLL_INTERVAL_SECONDS,
        })
    }

    /// Stores the request under a unique user code. For clients that anyone can create, the number of stored requests
    /// is limited.
    async fn store_device_request(
        &self,
        client: &Client,
        request: impl Fn(&UserCode) -> DeviceRequest,
    ) -> Result<UserCode> {
        let mut taken = StoreError::UniqueViolation;
        for _ in 0..MAX_USER_CODE_ATTEMPTS {
            let code = UserCode::generate(|| self.env.random());
            let request = request(&code);
            let until = request.expires_at.plus_seconds(device_codes::EXPIRED_RETENTION_SECONDS);
            let entry = client
                .is_quota_limited()
                .then(|| self.store.quota_entry(QuotaKind::DeviceCode, self.env.uuid(), &request.address, until));
            let kept = self.store.write(move |tx| {
                Box::pin(async move {
                    if let Some(entry) = &entry
                        && !quotas::admit(tx, entry).await?
                    {
                        return Ok(false);
                    }
                    device_codes::insert(tx, &request).await.map(|()| true)
                })
            });
            match kept.await {
                Ok(true) => return Ok(code),
                Ok(false) => {
                    return Err(OAuthError::too_many("Too many devices are being connected. Try again in a minute."));
                }
                Err(error @ StoreError::UniqueViolation) => taken = error,
                Err(error) => return Err(error.into()),
            }
        }
        Err(taken.into())
    }

    /// Returns the waiting request for that code, narrowed to what is currently allowed, if its client is enabled. The
    /// result is the same for unknown, expired, decided and used codes.
    pub async fn pending_device(&self, code: &UserCode) -> Result<Option<PendingDevice>> {
        let found = device_codes::undecided(&self.store, &code.digest()).await?;
        let Some(request) = found else { return Ok(None) };
        // The database is read, so that the decision is about this client, not about a later one with the same id.
        let client = self.current_client(&request.client).await?;
        let asked = request.versions.get(&VersionedEntity::Client(request.client.clone()));
        let client = client.filter(|client| {
            Some(client.version) == asked && !client.disabled && client.meta.allows(GrantType::DeviceCode)
        });
        let Some(client) = client else { return Ok(None) };
        let apis = self.store.authority().apis(&self.store).await?;
        Ok(request.narrowed(&client, &apis).map(|request| PendingDevice { request, client }))
    }

    /// Returns whether the device of that code was approved or denied in this session; `None` if it was not decided in
    /// this session.
    pub async fn device_decision(&self, code: &UserCode, session: SessionId) -> Result<Option<bool>> {
        Ok(device_codes::decided_in(self.store.read(), &code.digest(), session).await?)
    }

    /// Records the decision of the user of `session`.
    pub async fn decide_device(
        &self,
        waiting: &PendingDevice,
        session: &Session,
        allow: bool,
        origin: RequestOrigin,
    ) -> Result<DeviceAnswerOutcome> {
        let request = &waiting.request;
        let authorization = Authorization {
            subject: Subject::User(session.user),
            client: request.client.clone(),
            sign_in: Some(SignIn {
                session: session.id,
                auth_time: session.auth_time,
                method: session.method,
                passkey: session.passkey,
                told_acr: None,
                session_ends: Some(session.expires_at),
            }),
            grant: Some(GrantId(self.env.uuid())),
            permissions: request.permissions.clone(),
            part_of_offline: false,
            nonce: None,
            claims: RequestedClaims::default(),
            act: None,
            through: Vec::new(),
            bound_to: None,
            versions: Versions::default(),
        };
        let event = Event {
            id: EventId(self.env.uuid()),
            at: self.env.now(),
            kind: if allow { EventKind::ConsentGiven } else { EventKind::ConsentDenied },
            actor: Actor::User(session.user),
            user: Some(session.user),
            client: Some(request.client.clone()),
            origin: origin.clone(),
            detail: format!("on a device: {}", request.permissions),
        };
        // A trusted client needs no consent: an administrator has trusted it, and the user's decision is only about
        // this device.
        let recorded = allow && !waiting.client.is_trusted();
        let provider = self.clone();
        let (user, session, code, asked) = (session.user, session.id, request.user_code, request.clone());
        let write = self.store.write(move |tx| {
            Box::pin(async move {
                // The rows are locked until the decision is stored: a concurrent revocation of the session waits and
                // finds what depends on it, and a concurrent deletion of the client deletes this consent too.
                let of_user = [VersionedEntity::User(user)];
                let lives = Some((session, tx.database_now()));
                if authorizations::versions(tx.conn(), &of_user, lives, RowLock::Shared).await?.is_none() {
                    return Ok(DeviceAnswerOutcome::SignedOut);
                }
                versions::lock_client_shared(tx, &asked.client).await?;
                let all = authorization.versioned_entities();
                let lives = Some((session, tx.database_now()));
                let now = authorizations::versions(tx.conn(), &all, lives, RowLock::Shared).await?;
                let Some(versions) = now else { return Ok(DeviceAnswerOutcome::SignedOut) };
                let authorization = Authorization { versions, ..authorization };
                if !authorization.versions.has_same_versions(&asked.versions, &asked.versioned_entities()) {
                    return Ok(DeviceAnswerOutcome::TooLate);
                }
                if allow
                    && provider.check_access(tx, &authorization, AccessPoint::DeviceApproval, &origin).await?.is_err()
                {
                    return Ok(DeviceAnswerOutcome::NotAdmitted);
                }
                if !device_codes::decide(tx, &code, session, allow.then_some(&authorization)).await? {
                    return Ok(DeviceAnswerOutcome::TooLate);
                }
                if allow {
                    session_uses::record(tx, session).await?;
                }
                if recorded {
                    // The consent covers no redirect URI: it may lead elsewhere than to this device, so the
                    // authorization endpoint asks again.
                    consents::give(tx, user, &authorization.client, (&authorization.permissions, &asked.versions), &[])
                        .await?;
                }
                events::insert(tx, &event).await?;
                Ok(DeviceAnswerOutcome::Done)
            })
        });
        Ok(write.await?)
    }
}
