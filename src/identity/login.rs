//! Signing in with a password, from what was typed to who it is. Whatever is wrong, the answer and the time it takes are
//! the same: nobody learns which names exist. Next door: [`super::password`], [`super::throttle`], [`super::passkey`].

use super::hash;
use super::password::{Hasher, PasswordError, Verified};
use super::throttle::{self, Attempt, TooMany};
use crate::domain::event::{Actor, Event, EventKind, Origin};
use crate::domain::ids::{EventId, UserId};
use crate::domain::secret::Secret;
use crate::domain::user::{User, Username};
use crate::store::{Store, StoreError, events, people};

/// Why nobody was signed in.
#[derive(Debug)]
pub enum Refused {
    /// Unknown name, wrong password, no password, turned off: one answer.
    NoMatch,
    TooMany(TooMany),
    Busy,
    Store(StoreError),
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// What was typed, and where.
pub struct Typed<'a> {
    pub login: &'a str,
    pub password: Secret,
    pub browser: String,
    /// Whether this browser has signed in as that person before.
    pub knows: &'a (dyn Fn(UserId) -> bool + Send + Sync),
    pub origin: Origin,
}

/// Who that is.
pub async fn with_password(store: &Store, hasher: &Hasher, typed: Typed<'_>) -> Result<User, Refused> {
    // No username or address is longer; the database is not asked for what cannot be.
    let found = if typed.login.len() <= 400 { people::by_login(store.read(), typed.login).await? } else { None };
    judge(store, hasher, found, typed).await
}

/// Whether the person who is signed in knows their password, under the same throttle as signing in.
pub async fn confirm(store: &Store, hasher: &Hasher, user: &User, typed: Typed<'_>) -> Result<(), Refused> {
    judge(store, hasher, Some(user.clone()), typed).await.map(drop)
}

async fn judge(store: &Store, hasher: &Hasher, found: Option<User>, typed: Typed<'_>) -> Result<User, Refused> {
    let known_browser =
        found.as_ref().map(|user| user.id).filter(|id| (typed.knows)(*id)).map(|id| (typed.browser, id));
    let address = typed.origin.address.clone();
    let attempt = Attempt { typed: Username::folded(typed.login), address, known_browser };
    let counted = match throttle::count(store, &attempt).await? {
        Ok(counted) => counted,
        Err(too_many) => {
            if too_many.first {
                let event = failure(store, found.as_ref(), typed.origin, "too many tries");
                events::insert_end_of_budget(store, event).await?;
            }
            return Err(Refused::TooMany(too_many));
        }
    };
    let Verified { right, not_before } = match verified(store, hasher, found.as_ref(), &typed.password).await? {
        Ok(verified) => verified,
        Err(PasswordError::Busy) => {
            throttle::take_back(store, counted).await?;
            return Err(Refused::Busy);
        }
        Err(_) => Verified { right: false, not_before: None },
    };
    match found {
        Some(user) if right && !user.disabled => {
            throttle::take_back(store, counted).await?;
            renew_hash(store, hasher, &user, typed.password).await?;
            Ok(user)
        }
        found => {
            let why = if right { "turned off" } else { "wrong name or password" };
            events::insert_failure(store, failure(store, found.as_ref(), typed.origin, why)).await?;
            if let Some(not_before) = not_before {
                tokio::time::sleep_until(not_before).await;
            }
            Err(Refused::NoMatch)
        }
    }
}

async fn verified(
    store: &Store,
    hasher: &Hasher,
    user: Option<&User>,
    password: &Secret,
) -> Result<Result<Verified, PasswordError>, StoreError> {
    let budget = match hasher.budget(people::hash_of_each_work(store.read()).await?).await {
        Ok(budget) => budget,
        Err(error) => return Ok(Err(error)),
    };
    let hash = user.and_then(|user| user.password.as_ref());
    Ok(hasher.verify_in(password.clone(), hash, budget).await)
}

/// Replaces a hash of yesterday's parameters, or one from elsewhere, while the password is at hand.
async fn renew_hash(store: &Store, hasher: &Hasher, user: &User, password: Secret) -> Result<(), Refused> {
    let Some(old) = user.password.clone().filter(hash::is_outdated) else { return Ok(()) };
    // An old password that today's rules refuse stays as it is until its owner changes it.
    if let Ok(new) = hasher.renew(password, old.clone()).await {
        let id = user.id;
        store.write(move |tx| Box::pin(async move { people::rehash(tx, id, &old, &new).await })).await?;
    }
    Ok(())
}

fn failure(store: &Store, user: Option<&User>, origin: Origin, why: &str) -> Event {
    Event {
        id: EventId(store.env().uuid()),
        at: store.env().now(),
        kind: EventKind::SignInFailed,
        actor: Actor::Anonymous,
        user: user.map(|user| user.id),
        client: None,
        origin,
        // Never what was typed: people type passwords into the wrong field.
        detail: why.to_owned(),
    }
}
