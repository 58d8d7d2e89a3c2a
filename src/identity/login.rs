//! The sign-in with a password, from the form input to the authenticated user. Every failure has the same response and
//! the same timing, so that they do not reveal which users exist. See also [`super::password`], [`super::throttle`],
//! [`super::passkey`].

use super::hash;
use super::password::{Hasher, PasswordError};
use super::throttle::{self, LoginAttempt, ThrottleError};
use crate::domain::event::{Actor, Event, EventKind, RequestOrigin};
use crate::domain::ids::{EventId, UserId};
use crate::domain::secret::{Digest, Secret};
use crate::domain::user::{User, Username};
use crate::store::{Store, StoreError, events, replay, users};

/// Seconds after the creation of a user within which a repeated sign-up form counts as a duplicate.
pub const RESUBMIT_WINDOW_SECONDS: i64 = 60;

/// The reason why the user is not authenticated.
#[derive(Debug)]
pub enum LoginError {
    /// Unknown username, wrong password, no password or disabled user. The response does not distinguish them.
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

/// The form input and its origin.
pub struct LoginInput<'a> {
    pub login: &'a str,
    pub password: Secret,
    pub browser: String,
    /// Returns whether this browser has signed in as that user before.
    pub is_known_browser: &'a (dyn Fn(UserId) -> bool + Send + Sync),
    pub origin: RequestOrigin,
}

/// Returns the authenticated user.
pub async fn authenticate(store: &Store, hasher: &Hasher, typed: LoginInput<'_>) -> Result<User, LoginError> {
    // No username or email address is longer, so the query is skipped.
    let found = if typed.login.len() <= 400 { users::by_login(store.read(), typed.login).await? } else { None };
    judge(store, hasher, found, typed, EventKind::SignInFailed).await
}

/// Returns the user that the same form created less than a minute ago. A double click submits the form twice, and the
/// browser shows the second response. `creation` is the digest that the transaction that created the user claimed.
/// Wrong passwords count as failed sign-ins.
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

/// Verifies the password of the signed-in user, under the same throttle as a sign-in. A wrong password is not audited
/// as a failed sign-in, because it is none.
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

/// Replaces an imported hash, or one with outdated parameters, while the password is available.
async fn renew_hash(store: &Store, hasher: &Hasher, user: &User, password: Secret) -> Result<(), LoginError> {
    let Some(old) = user.password.clone().filter(hash::is_outdated) else { return Ok(()) };
    // A password that violates the current rules keeps its old hash until the user changes it.
    if let Ok(new) = hasher.renew(password, old.clone()).await {
        let id = user.id;
        store.write(move |tx| Box::pin(async move { users::replace_password_hash(tx, id, &old, &new).await })).await?;
    }
    Ok(())
}

fn failure(store: &Store, kind: EventKind, user: Option<&User>, origin: RequestOrigin, why: &str) -> Event {
    // A user who changes a password is signed in.
    let signed_in = user.filter(|_| kind == EventKind::PasswordRefused);
    Event {
        id: EventId(store.env().uuid()),
        at: store.env().now(),
        kind,
        actor: signed_in.map_or(Actor::Anonymous, |user| Actor::User(user.id)),
        user: user.map(|user| user.id),
        client: None,
        origin,
        // Excludes the input, because users sometimes type a password into the wrong field.
        detail: why.to_owned(),
    }
}
