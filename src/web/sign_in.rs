//! Beginning and ending a browser session. The cookie's value changes at every sign-in; somebody else's session in the
//! same browser ends there.

use super::error::PageError;
use super::extract::Visitor;
use super::sessions::{self, Carried, KEY};
use crate::domain::authorization::SignInMethod;
use crate::domain::event::{Actor, Event, EventKind};
use crate::domain::ids::{EventId, PasskeyId, SessionId, UserId};
use crate::domain::participant::Participant;
use crate::domain::user::User;
use crate::protocol::error::{ErrorCode, OAuthError};
use crate::store::session_end::{self, Ended};
use crate::store::{Store, StoreError, events};

/// By what somebody proved who they are.
#[derive(Clone, Copy, Debug)]
pub enum Proof {
    Password,
    Passkey(PasskeyId),
}

impl Proof {
    pub const fn method(self) -> SignInMethod {
        match self {
            Self::Password => SignInMethod::Password,
            Self::Passkey(_) => SignInMethod::Passkey,
        }
    }
}

/// Signs `user` in on this browser.
pub async fn begin(visitor: &Visitor, user: &User, proof: Proof, remember: bool) -> Result<(), PageError> {
    let method = proof.method();
    let (now, lifetimes) = (visitor.app.env().now(), &visitor.app.config.lifetimes);
    let before = visitor.session.as_ref();
    if let Some(other) = before.filter(|session| session.user != user.id) {
        end(visitor.app.store(), other.id).await.map_err(|error| visitor.error(error))?;
    }
    // The same person again keeps the session that apps know, under a new cookie.
    let same = before.filter(|session| session.user == user.id);
    let (idle, whole) = if remember {
        (lifetimes.remembered_idle, lifetimes.remembered)
    } else {
        (lifetimes.session_idle, lifetimes.session)
    };
    let expires_at = now.plus_seconds(whole);
    let carried = Carried {
        id: same.map_or_else(|| SessionId(visitor.app.env().uuid()), |session| session.id),
        user: user.id,
        auth_time: now,
        method,
        remembered: remember,
        created_at: same.map_or(now, |session| session.created_at),
        last_seen: now,
        idle_until: sessions::idle_end(now, idle, expires_at),
        expires_at,
        address: visitor.origin.address.clone(),
        user_agent: visitor.origin.user_agent.clone(),
        password_as_of: user.password_changed_at.filter(|_| method == SignInMethod::Password),
        passkey: match proof {
            Proof::Passkey(id) => Some(id),
            Proof::Password => None,
        },
    };
    visitor.tower.cycle_id().await.map_err(|error| broken(visitor, &error))?;
    visitor.tower.insert(KEY, &carried).await.map_err(|error| broken(visitor, &error))?;
    visitor.tower.set_expiry(Some(sessions::expiry(&carried)));
    // Here and not by the layer, which has only a bare 500 for what cannot be kept.
    visitor.tower.save().await.map_err(|error| broken(visitor, &error))?;
    note(visitor, EventKind::SignedIn, user.id, method).await.map_err(|error| visitor.error(error))
}

/// Ends this browser's session, and what hangs on it; who took part in it.
pub async fn sign_out(visitor: &Visitor) -> Result<Vec<Participant>, PageError> {
    let Some(session) = &visitor.session else { return Ok(Vec::new()) };
    let ended = end(visitor.app.store(), session.id).await.map_err(|error| visitor.error(error))?;
    note(visitor, EventKind::SignedOut, session.user, session.method).await.map_err(|error| visitor.error(error))?;
    visitor.tower.flush().await.map_err(|error| broken(visitor, &error))?;
    Ok(ended.participants)
}

/// The same session under a new cookie: whoever had a copy of the old one has nothing.
pub async fn renew(visitor: &Visitor) -> Result<(), PageError> {
    let carried: Option<Carried> = visitor.tower.get(KEY).await.map_err(|error| broken(visitor, &error))?;
    // What this session began with may just have been replaced.
    let carried = carried.map(|carried| Carried { password_as_of: None, passkey: None, ..carried });
    visitor.tower.cycle_id().await.map_err(|error| broken(visitor, &error))?;
    visitor.tower.insert(KEY, &carried).await.map_err(|error| broken(visitor, &error))?;
    visitor.tower.set_expiry(carried.as_ref().map(sessions::expiry));
    Ok(())
}

fn broken(visitor: &Visitor, error: &tower_sessions::session::Error) -> PageError {
    let again = OAuthError::new(ErrorCode::TemporarilyUnavailable, "Try again in a moment.");
    visitor.error(again.because(error.to_string()))
}

async fn end(store: &Store, id: SessionId) -> Result<Ended, StoreError> {
    store.write(move |tx| Box::pin(session_end::one(tx, id))).await
}

async fn note(visitor: &Visitor, kind: EventKind, user: UserId, method: SignInMethod) -> Result<(), StoreError> {
    let event = Event {
        id: EventId(visitor.app.env().uuid()),
        at: visitor.app.env().now(),
        kind,
        actor: Actor::User(user),
        user: Some(user),
        client: None,
        origin: visitor.origin.clone(),
        detail: match method {
            SignInMethod::Password => "with a password",
            SignInMethod::Passkey => "with a passkey",
        }
        .to_owned(),
    };
    visitor.app.store().write(move |tx| Box::pin(async move { events::insert(tx, &event).await })).await
}
