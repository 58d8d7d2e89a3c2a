//! Passkeys (WebAuthn Level 3 §7.1 and §7.2): discoverable credentials, with user verification required. The state of a
//! ceremony is sealed in a ticket, so that nothing is stored for a visitor. Finishing the ceremony claims the ticket.
//!
//! See also [`super::login`], the sign-in with a password.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;
use webauthn_rs::prelude::{
    DiscoverableAuthentication, Passkey as Credential, PasskeyRegistration, PublicKeyCredential,
    RegisterPublicKeyCredential, Url,
};
use webauthn_rs::{Webauthn, WebauthnBuilder};
use webauthn_rs_proto::ResidentKeyRequirement;

use crate::config::Config;
use crate::domain::event::{Actor, Event, EventKind, RequestOrigin};
use crate::domain::ids::{EventId, PasskeyId, SessionId, UserId};
use crate::domain::passkey::Passkey;
use crate::domain::printable::is_hidden;
use crate::domain::secret::Digest;
use crate::domain::session::Session;
use crate::domain::user::User;
use crate::env::Timestamp;
use crate::keys::{MasterKey, seal};
use crate::store::{Store, StoreError, Tx, events, passkey_removal, passkeys, replay, sessions, users};

/// Seconds. A page may stay open for longer; the autofill of the sign-in page requests a new ticket before this one
/// expires.
const TICKET_TTL_SECONDS: i64 = 600;
const TICKET_USAGE: &str = "passkey-ticket";
/// The maximum number of passkeys of one user.
pub const MAX_PASSKEYS: usize = 30;
const MAX_NAME_CHARACTERS: usize = 64;

#[derive(Debug, thiserror::Error)]
pub enum PasskeyError {
    /// Passkeys require that the issuer's host is a name, not an IP address.
    #[error("passkeys do not work at this address")]
    Unavailable,
    /// The ticket belongs to another browser, has expired, was used before, or is not authentic.
    #[error("the ceremony is over")]
    Stale,
    #[error("the passkey was not accepted: {0}")]
    Rejected(String),
    #[error("that passkey is here already")]
    Taken,
    #[error("there are too many passkeys")]
    TooMany,
    /// A change that requires a session found it ended.
    #[error("the session has ended")]
    SessionEnded,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The response that starts a ceremony: options for the authenticator, and the sealed state.
#[derive(Debug, Serialize)]
pub struct PasskeyChallenge {
    #[serde(rename = "publicKey")]
    pub public_key: serde_json::Value,
    pub ticket: String,
}

#[derive(Serialize, Deserialize)]
enum CeremonyState {
    Registration { user: UserId, state: PasskeyRegistration },
    SignIn { state: DiscoverableAuthentication },
}

#[derive(Serialize, Deserialize)]
struct CeremonyTicket {
    /// The value that is claimed on use. The sealed text is no unique key, because it has several encodings.
    id: Uuid,
    state: CeremonyState,
    browser: Digest,
    expires_at: Timestamp,
}

#[derive(Clone)]
pub struct Passkeys {
    webauthn: Option<std::sync::Arc<Webauthn>>,
    master: MasterKey,
}

fn rejected(error: impl std::fmt::Display) -> PasskeyError {
    PasskeyError::Rejected(error.to_string())
}

impl Passkeys {
    /// Returns a service for the issuer's host. Passkeys are unavailable if the host is an IP address.
    pub fn new(config: &Config, master: MasterKey) -> Self {
        let build = |domain: &str| {
            let origin = Url::parse(&config.issuer.origin()).ok()?;
            WebauthnBuilder::new(domain, &origin).ok()?.rp_name(&config.name).build().ok()
        };
        Self { webauthn: config.issuer.domain().and_then(build).map(std::sync::Arc::new), master }
    }

    pub fn available(&self) -> bool {
        self.webauthn.is_some()
    }

    fn webauthn(&self) -> Result<&Webauthn, PasskeyError> {
        self.webauthn.as_deref().ok_or(PasskeyError::Unavailable)
    }

    /// Starts the registration of a passkey for `user`.
    pub async fn begin_registration(
        &self,
        store: &Store,
        user: &User,
        browser: Digest,
    ) -> Result<PasskeyChallenge, PasskeyError> {
        let known = passkeys::of_user(store.read(), user.id).await?;
        if known.len() >= MAX_PASSKEYS {
            return Err(PasskeyError::TooMany);
        }
        let exclude = known.into_iter().map(|passkey| passkey.credential_id).collect();
        let begun = self.webauthn()?.start_passkey_registration(
            user.id.0,
            user.username.as_str(),
            user.display_name(),
            Some(exclude),
        );
        let (mut options, state) = begun.map_err(rejected)?;
        // The library sets "discouraged", but only a discoverable credential allows a sign-in without a username.
        if let Some(selection) = options.public_key.authenticator_selection.as_mut() {
            selection.resident_key = Some(ResidentKeyRequirement::Required);
            selection.require_resident_key = true;
        }
        let options = serde_json::to_value(options.public_key).map_err(rejected)?;
        self.challenge(store, options, CeremonyState::Registration { user: user.id, state }, browser).await
    }

    /// Starts a sign-in with any passkey that the browser offers.
    pub async fn begin_sign_in(&self, store: &Store, browser: Digest) -> Result<PasskeyChallenge, PasskeyError> {
        let (options, state) = self.webauthn()?.start_discoverable_authentication().map_err(rejected)?;
        let options = serde_json::to_value(options.public_key).map_err(rejected)?;
        self.challenge(store, options, CeremonyState::SignIn { state }, browser).await
    }

    async fn challenge(
        &self,
        store: &Store,
        public_key: serde_json::Value,
        state: CeremonyState,
        browser: Digest,
    ) -> Result<PasskeyChallenge, PasskeyError> {
        let expires_at = store.database_time().await?.plus_seconds(TICKET_TTL_SECONDS);
        let ticket = serde_json::to_vec(&CeremonyTicket { id: store.env().uuid(), state, browser, expires_at })
            .map_err(rejected)?;
        Ok(PasskeyChallenge { public_key, ticket: seal::seal(&self.master, TICKET_USAGE, &ticket).map_err(rejected)? })
    }

    async fn open_ticket(
        &self,
        store: &Store,
        ticket: &str,
        browser: &Digest,
    ) -> Result<(CeremonyState, Digest, Timestamp), PasskeyError> {
        let plain = seal::open(&self.master, TICKET_USAGE, ticket).map_err(|_| PasskeyError::Stale)?;
        let opened: CeremonyTicket = serde_json::from_slice(&plain).map_err(|_| PasskeyError::Stale)?;
        if opened.browser != *browser || opened.expires_at <= store.database_time().await? {
            return Err(PasskeyError::Stale);
        }
        Ok((opened.state, Digest(Sha256::digest(opened.id).into()), opened.expires_at))
    }

    /// Adds the new credential to the user of `session`, under the name that the user entered.
    pub async fn finish_registration(
        &self,
        store: &Store,
        session: &Session,
        browser: &Digest,
        reply: CeremonyResponse<'_>,
        origin: RequestOrigin,
    ) -> Result<(), PasskeyError> {
        let (CeremonyState::Registration { user: began, state }, used, until) =
            self.open_ticket(store, reply.ticket, browser).await?
        else {
            return Err(PasskeyError::Stale);
        };
        if began != session.user {
            return Err(PasskeyError::Stale);
        }
        let credential: RegisterPublicKeyCredential = serde_json::from_str(reply.credential).map_err(rejected)?;
        let made = self.webauthn()?.finish_passkey_registration(&credential, &state).map_err(rejected)?;
        let now = store.env().now();
        let passkey = Passkey {
            id: PasskeyId(store.env().uuid()),
            user: session.user,
            credential_id: made.cred_id().clone(),
            credential: serde_json::to_string(&made).map_err(rejected)?,
            name: name(reply.name),
            created_at: now,
            last_used_at: None,
        };
        let (user, session) = (session.user, session.id);
        let event = event(store, EventKind::PasskeyAdded, Some(user), user, origin, passkey.name.clone());
        let write = store.write(move |tx| {
            Box::pin(async move {
                // The lock serializes the registrations of one user, so that concurrent ones count against the maximum,
                // and an ended session cannot add a passkey.
                if !lock_active_session(tx, user, session).await? || !replay::claim(tx, &used, until).await? {
                    return Ok(RegistrationOutcome::Stale);
                }
                // Another session has added a passkey since the ticket was issued, and this session did not sign in
                // with it.
                if !sessions::by_id(tx.conn(), session).await?.is_some_and(|session| session.used_strongest_method) {
                    return Ok(RegistrationOutcome::Stale);
                }
                if passkeys::count(tx.conn(), user).await? >= MAX_PASSKEYS as u64 {
                    return Ok(RegistrationOutcome::TooMany);
                }
                passkeys::insert(tx, &passkey).await?;
                sessions::demote(tx, user, session).await?;
                events::insert(tx, &event).await?;
                Ok(RegistrationOutcome::Done)
            })
        });
        match write.await {
            Ok(RegistrationOutcome::Done) => Ok(()),
            Ok(RegistrationOutcome::Stale) => Err(PasskeyError::Stale),
            Ok(RegistrationOutcome::TooMany) => Err(PasskeyError::TooMany),
            Err(StoreError::UniqueViolation) => Err(PasskeyError::Taken),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the user and the passkey that signed, if the passkey is registered and its user is enabled.
    pub async fn finish_sign_in(
        &self,
        store: &Store,
        browser: &Digest,
        reply: CeremonyResponse<'_>,
        origin: &RequestOrigin,
    ) -> Result<(User, PasskeyId), PasskeyError> {
        let (CeremonyState::SignIn { state }, used, until) = self.open_ticket(store, reply.ticket, browser).await?
        else {
            return Err(PasskeyError::Stale);
        };
        let credential: PublicKeyCredential = serde_json::from_str(reply.credential).map_err(rejected)?;
        let (handle, id) = self.webauthn()?.identify_discoverable_authentication(&credential).map_err(rejected)?;
        let known = passkeys::by_credential_id(store.read(), id).await?;
        let known = known.filter(|passkey| passkey.user.0 == handle).ok_or_else(|| rejected("unknown"))?;
        let user = users::by_id(store.read(), known.user).await?.ok_or_else(|| rejected("of an unknown user"))?;
        let kept = match self.verify(&credential, state, &known) {
            Ok(_) if user.disabled => Err(rejected("turned off")),
            kept => kept,
        };
        let kept = match kept {
            Ok(kept) => kept,
            Err(error) => {
                let event = event(store, EventKind::SignInFailed, None, user.id, origin.clone(), error.to_string());
                events::record_failure(store, event).await?;
                return Err(error);
            }
        };
        let passkey = known.id;
        let write = store.write(move |tx| {
            Box::pin(async move {
                if !replay::claim(tx, &used, until).await? {
                    return Ok(false);
                }
                passkeys::used(tx, known.id, &kept).await?;
                Ok(true)
            })
        });
        if write.await? { Ok((user, passkey)) } else { Err(PasskeyError::Stale) }
    }

    /// Returns the updated credential if the signature is valid and the authenticator verified the user.
    fn verify(
        &self,
        reply: &PublicKeyCredential,
        state: DiscoverableAuthentication,
        known: &Passkey,
    ) -> Result<String, PasskeyError> {
        let mut kept: Credential = serde_json::from_str(&known.credential)
            .map_err(|_| StoreError::Corrupt { table: "passkey", column: "credential" })?;
        let result = self.webauthn()?.finish_discoverable_authentication_v2(reply, state, &kept).map_err(rejected)?;
        if !result.user_verified() {
            return Err(rejected("no user verification"));
        }
        kept.update_credential(&result);
        serde_json::to_string(&kept).map_err(rejected)
    }

    /// Removes a passkey of the user of `session` and ends the sessions that it started. Returns whether the user had
    /// that passkey.
    pub async fn remove(
        &self,
        store: &Store,
        session: &Session,
        id: PasskeyId,
        origin: RequestOrigin,
    ) -> Result<bool, PasskeyError> {
        let (user, session) = (session.user, session.id);
        let event = event(store, EventKind::PasskeyRemoved, Some(user), user, origin, String::new());
        let remove = store.write(move |tx| {
            Box::pin(async move {
                if !lock_active_session(tx, user, session).await? {
                    return Ok(None);
                }
                let gone = passkey_removal::one(tx, user, id).await?.is_some();
                if gone {
                    events::insert(tx, &event).await?;
                }
                Ok(Some(gone))
            })
        });
        remove.await?.ok_or(PasskeyError::SessionEnded)
    }

    /// Renames a passkey of the user of `session` if it still has the name `seen`. Returns whether it was renamed.
    pub async fn rename(
        &self,
        store: &Store,
        session: &Session,
        id: PasskeyId,
        seen: &str,
        to: &str,
    ) -> Result<bool, PasskeyError> {
        let (user, session, seen, to) = (session.user, session.id, seen.to_owned(), name(to));
        let rename = store.write(move |tx| {
            Box::pin(async move {
                if !lock_active_session(tx, user, session).await? {
                    return Ok(None);
                }
                passkeys::rename(tx, user, id, &seen, &to).await.map(Some)
            })
        });
        rename.await?.ok_or(PasskeyError::SessionEnded)
    }
}

/// Returns whether the user is enabled and the session is active. Both remain so until the transaction ends.
async fn lock_active_session(tx: &Tx, user: UserId, session: SessionId) -> Result<bool, StoreError> {
    Ok(users::lock_if_enabled(tx, user, None).await? && sessions::lock_shared(tx, session).await?)
}

/// The result of adding a passkey.
enum RegistrationOutcome {
    Done,
    Stale,
    TooMany,
}

/// The response of a browser that finishes a ceremony.
#[derive(Clone, Copy)]
pub struct CeremonyResponse<'a> {
    pub ticket: &'a str,
    /// The credential as JSON.
    pub credential: &'a str,
    pub name: &'a str,
}

/// Returns the entered name, truncated, or a default if it is empty.
fn name(typed: &str) -> String {
    let name: String = typed.trim().chars().filter(|c| !is_hidden(*c)).take(MAX_NAME_CHARACTERS).collect();
    if name.is_empty() { "Passkey".to_owned() } else { name }
}

/// Returns an event about `user`. The actor is anonymous if `actor` is `None`.
fn event(
    store: &Store,
    kind: EventKind,
    actor: Option<UserId>,
    user: UserId,
    origin: RequestOrigin,
    detail: String,
) -> Event {
    Event {
        id: EventId(store.env().uuid()),
        at: store.env().now(),
        kind,
        actor: actor.map_or(Actor::Anonymous, Actor::User),
        user: Some(user),
        client: None,
        origin,
        detail,
    }
}
