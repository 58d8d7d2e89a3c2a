//! Signing in with a password, from what was typed to who it is. Whatever is wrong, the answer and the time it takes are
//! the same: nobody learns which names exist. Next door: [`super::password`], [`super::throttle`], [`super::passkey`].

use super::hash;
use super::password::{Hasher, PasswordError};
use super::throttle::{self, LoginAttempt, ThrottleError};
use crate::domain::event::{Actor, Event, EventKind, RequestOrigin};
use crate::domain::ids::{EventId, UserId};
use crate::domain::secret::{Digest, Secret};
use crate::domain::user::{User, Username};
use crate::store::{Store, StoreError, events, replay, users};

/// How long after the creation of an account the form that created it counts as a repeat.
pub const RESUBMIT_WINDOW_SECONDS: i64 = 60;

/// Why nobody was signed in.
#[derive(Debug)]
pub enum LoginError {
    /// Unknown name, wrong password, no password, turned off: one answer.
    NoMatch,
    TooMany(ThrottleError),
    Busy,
    Store(StoreError),
}

impl From<StoreError> for LoginError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// What was typed, and where.
pub struct LoginInput<'a> {
    pub login: &'a str,
    pub password: Secret,
    pub browser: String,
    /// Whether this browser has signed in as that person before.
    pub is_known_browser: &'a (dyn Fn(UserId) -> bool + Send + Sync),
    pub origin: RequestOrigin,
}

/// Who that is.
pub async fn authenticate(store: &Store, hasher: &Hasher, typed: LoginInput<'_>) -> Result<User, LoginError> {
    // No username or address is longer; the database is not asked for what cannot be.
    let found = if typed.login.len() <= 400 { users::by_login(store.read(), typed.login).await? } else { None };
    judge(store, hasher, found, typed, EventKind::SignInFailed).await
}

/// Returns the user whom the same form created less than a minute ago: an impatient second click sends it twice, and the
/// browser shows the second answer. `creation` is what the transaction that created the user claimed. Guesses count as at
/// a sign-in.
pub async fn just_created(
    store: &Store,
    hasher: &Hasher,
    typed: LoginInput<'_>,
    creation: &Digest,
) -> Result<Option<User>, LoginError> {
    let Ok(username) = Username::parse(typed.login) else { return Ok(None) };
    if !replay::is_claimed(store.read(), creation).await? {
        return Ok(None);
    }
    let found = users::by_username(store.read(), &username).await?;
    let age = |user: &User| store.env().now().since(user.created_at).abs();
    let found = found.filter(|user| age(user) < RESUBMIT_WINDOW_SECONDS * 1000);
    if found.is_none() {
        return Ok(None);
    }
    match judge(store, hasher, found, typed, EventKind::SignInFailed).await {
        Ok(user) => Ok(Some(user)),
        Err(LoginError::NoMatch) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether the signed-in user knows their password, under the same throttle as signing in. A wrong one is not recorded as a
/// refused sign-in: nobody tried to sign in.
pub async fn confirm(store: &Store, hasher: &Hasher, user: &User, typed: LoginInput<'_>) -> Result<(), LoginError> {
    judge(store, hasher, Some(user.clone()), typed, EventKind::PasswordRefused).await.map(drop)
}

async fn judge(
    store: &Store,
    hasher: &Hasher,
    found: Option<User>,
    typed: LoginInput<'_>,
    failed: EventKind,
) -> Result<User, LoginError> {
    let known_browser =
        found.as_ref().map(|user| user.id).filter(|id| (typed.is_known_browser)(*id)).map(|id| (typed.browser, id));
    let address = typed.origin.address.clone();
    let attempt = LoginAttempt { typed: Username::folded(typed.login), address, known_browser };
    let counted = match throttle::count(store, &attempt).await? {
        Ok(counted) => counted,
        Err(too_many) => {
            if too_many.first {
                let event = failure(store, failed, found.as_ref(), typed.origin, "too many tries");
                events::record_budget_exhausted(store, event).await?;
            }
            return Err(LoginError::TooMany(too_many));
        }
    };
    let hash = found.as_ref().and_then(|user| user.password.as_ref());
    let verified = match hasher.verify_timed(typed.password.clone(), hash).await {
        Ok(verified) => Some(verified),
        Err(PasswordError::Busy) => {
            throttle::take_back(store, counted).await?;
            return Err(LoginError::Busy);
        }
        Err(_) => None,
    };
    let right = verified.is_some_and(|verified| verified.right);
    match found {
        Some(user) if right && !user.disabled => {
            throttle::take_back(store, counted).await?;
            renew_hash(store, hasher, &user, typed.password).await?;
            Ok(user)
        }
        found => {
            let why = match failed {
                _ if right => "turned off",
                EventKind::PasswordRefused => "the current password was wrong",
                _ => "wrong name or password",
            };
            events::record_failure(store, failure(store, failed, found.as_ref(), typed.origin, why)).await?;
            if let Some(verified) = verified {
                let kinds = users::one_hash_per_work_factor(store.read()).await?;
                let budget = hasher.budget(kinds, &typed.password).await.map_err(|_| LoginError::Busy)?;
                if let Some(budget) = budget {
                    tokio::time::sleep_until(verified.end(budget)).await;
                }
            }
            Err(LoginError::NoMatch)
        }
    }
}

/// Replaces a hash of yesterday's parameters, or one from elsewhere, while the password is at hand.
async fn renew_hash(store: &Store, hasher: &Hasher, user: &User, password: Secret) -> Result<(), LoginError> {
    let Some(old) = user.password.clone().filter(hash::is_outdated) else { return Ok(()) };
    // An old password that today's rules refuse stays as it is until its owner changes it.
    if let Ok(new) = hasher.renew(password, old.clone()).await {
        let id = user.id;
        store.write(move |tx| Box::pin(async move { users::replace_password_hash(tx, id, &old, &new).await })).await?;
    }
    Ok(())
}

fn failure(store: &Store, kind: EventKind, user: Option<&User>, origin: RequestOrigin, why: &str) -> Event {
    // Who changes a password is signed in.
    let signed_in = user.filter(|_| kind == EventKind::PasswordRefused);
    Event {
        id: EventId(store.env().uuid()),
        at: store.env().now(),
        kind,
        actor: signed_in.map_or(Actor::Anonymous, |user| Actor::User(user.id)),
        user: user.map(|user| user.id),
        client: None,
        origin,
        // Never what was typed: people type passwords into the wrong field.
        detail: why.to_owned(),
    }
}
