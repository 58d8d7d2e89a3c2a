//! Starts, renews and ends browser sessions, each in one transaction. Only a new authentication starts a session. An
//! ended session is never resumed, neither by its cookie nor by its id.
//!
//! See also [`super::login`] and [`super::passkey`], which authenticate; `web::sign_in`, which sets the cookie.

use uuid::Uuid;

use crate::config::Lifetimes;
use crate::domain::authorization::SignInMethod;
use crate::domain::event::{Actor, Event, EventKind, RequestOrigin};
use crate::domain::ids::{EventId, InteractionId, PasskeyId, SessionId, UserId};
use crate::domain::interaction::{InteractionProgress, InteractionSession};
use crate::domain::secret::Digest;
use crate::domain::session::Session;
use crate::domain::user::User;
use crate::env::Timestamp;
use crate::store::session_end::{self, EndedSession};
use crate::store::{Store, StoreError, Tx, answered_interactions, events, interactions, passkeys, sessions, users};

/// The window in seconds of `quotas.sign_ins_per_user`.
const SIGN_IN_WINDOW_SECONDS: i64 = 3600;
/// The time in seconds within which two sign-ins for one interaction count as a form submitted twice.
const RESUBMIT_WINDOW_SECONDS: i64 = 60;

/// How the user authenticated.
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

    const fn passkey(self) -> Option<PasskeyId> {
        match self {
            Self::Password => None,
            Self::Passkey(id) => Some(id),
        }
    }
}

/// A sign-in and the browser in which it happens.
#[derive(Clone, Debug)]
pub struct SignInRequest {
    pub proof: Proof,
    /// The digest of the new cookie.
    pub digest: Digest,
    /// The previous session of the browser.
    pub before: Option<Session>,
    pub remembered: bool,
    pub origin: RequestOrigin,
}

/// The interaction for which the sign-in happens, and the nonce from which the cookie is derived.
#[derive(Clone, Copy, Debug)]
pub struct InteractionSignIn {
    pub id: InteractionId,
    pub nonce: Uuid,
}

/// A started session, and the nonce from which its cookie is derived.
#[derive(Clone, Debug)]
pub struct StartedSession {
    pub session: Session,
    pub nonce: Uuid,
}

/// The reason why no session was started.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// During the authentication the user was disabled, the password was changed, or the passkey was removed.
    #[error("the account has been changed meanwhile")]
    Changed,
    /// The user has signed in `quotas.sign_ins_per_user` times within the hour.
    #[error("the user signs in too often")]
    TooMany { until: Timestamp },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Returns the end of an idle time that starts now, limited by the absolute end, at which the sweep removes the
/// session.
pub fn idle_end(lifetimes: &Lifetimes, remembered: bool, now: Timestamp, expires_at: Timestamp) -> Timestamp {
    now.plus_seconds(idle_seconds(lifetimes, remembered)).min(expires_at)
}

/// Returns the idle timeout in seconds.
pub const fn idle_seconds(lifetimes: &Lifetimes, remembered: bool) -> i64 {
    if remembered { lifetimes.remembered_idle } else { lifetimes.session_idle }
}

/// Starts a session of `user`. A previous session of the same user in this browser continues under the new cookie and
/// keeps the id that clients know. If it has ended, the new session gets a new id. Another user's session in the
/// browser ends.
pub async fn begin(
    store: &Store,
    lifetimes: &Lifetimes,
    user: &User,
    sign_in: SignInRequest,
) -> Result<Session, SessionError> {
    Ok(begin_session(store, lifetimes, user, sign_in, None).await?.0)
}

/// Starts a session for an interaction, which records the sign-in. A form submitted twice starts one session
/// ([`find_duplicate_sign_in`]).
pub async fn begin_for(
    store: &Store,
    lifetimes: &Lifetimes,
    user: &User,
    sign_in: SignInRequest,
    interaction: InteractionSignIn,
) -> Result<StartedSession, SessionError> {
    let (session, nonce) = begin_session(store, lifetimes, user, sign_in, Some(interaction)).await?;
    Ok(StartedSession { session, nonce: nonce.unwrap_or(interaction.nonce) })
}

/// Returns the session, and the nonce of its cookie if a duplicate request has started it before.
async fn begin_session(
    store: &Store,
    lifetimes: &Lifetimes,
    user: &User,
    sign_in: SignInRequest,
    interaction: Option<InteractionSignIn>,
) -> Result<(Session, Option<Uuid>), SessionError> {
    let (user, password_as_of, lifetimes) = (user.id, user.password_changed_at, lifetimes.clone());
    let (most, per_hour) = (store.quotas().sessions_per_user, store.quotas().sign_ins_per_user);
    let write = store.write(move |tx| {
        Box::pin(async move {
            if !lock_and_verify_proof(tx, user, password_as_of, sign_in.proof).await? {
                return Ok(Err(SessionError::Changed));
            }
            if let Some(interaction) = interaction
                && let Some(begun) = find_duplicate_sign_in(tx, user, &sign_in, interaction.id).await?
            {
                return Ok(Ok((begun.session, Some(begun.nonce))));
            }
            // Each ended session leaves rows behind, and a program with a passkey could start sessions in a loop. The
            // user is locked, so that concurrent sign-ins are counted one by one.
            let since = tx.database_time().await?.plus_seconds(-SIGN_IN_WINDOW_SECONDS);
            if let Some(oldest) = events::nth_newest_sign_in(tx, user, per_hour, since).await? {
                return Ok(Err(SessionError::TooMany { until: oldest.plus_seconds(SIGN_IN_WINDOW_SECONDS) }));
            }
            if let Some(other) = sign_in.before.as_ref().filter(|session| session.user != user) {
                session_end::one(tx, other.id).await?;
            }
            let mut session = new(tx, &lifetimes, user, &sign_in).await?;
            let goes_on = match sign_in.before.as_ref().filter(|session| session.user == user) {
                Some(before) => {
                    (session.id, session.created_at) = (before.id, before.created_at);
                    // The session ends when the passkey is removed, even if a later sign-in used another method.
                    session.passkey = session.passkey.or(before.passkey);
                    sessions::replace(tx, &session).await?
                }
                None => false,
            };
            if !goes_on {
                (session.id, session.created_at) = (SessionId(tx.env().uuid()), session.auth_time);
                session.passkey = sign_in.proof.passkey();
                sessions::insert(tx, &session).await?;
            }
            session_end::beyond(tx, user, session.id, most).await?;
            // The event has the time of the session, because the sign-ins per hour are counted by it.
            let event = Event { at: session.auth_time, ..event(tx, EventKind::SignedIn, &session, sign_in.origin) };
            events::insert(tx, &event).await?;
            if let Some(interaction) = interaction {
                note(tx, interaction, &session).await?;
            }
            Ok(Ok((session, None)))
        })
    });
    write.await?
}

/// Returns the session that a sign-in with the same method, for the same interaction, started a moment ago. The form
/// was submitted twice, and the browser shows only one of the two responses. The user is locked, so the second request
/// sees what the first one wrote.
async fn find_duplicate_sign_in(
    tx: &Tx,
    user: UserId,
    sign_in: &SignInRequest,
    id: InteractionId,
) -> Result<Option<StartedSession>, StoreError> {
    let begun = match interactions::by_id(tx.conn(), id).await? {
        Some(waiting) => waiting.progress.sign_in,
        None => answered_interactions::by_id(tx.conn(), id).await?.and_then(|answered| answered.sign_in),
    };
    let Some(begun) = begun.filter(|begun| begun.user == user) else { return Ok(None) };
    let now = tx.database_time().await?;
    let same = |session: &Session| {
        session.user == user
            && session.digest == begun.cookie
            && session.method == sign_in.proof.method()
            && sign_in.proof.passkey().is_none_or(|passkey| session.passkey == Some(passkey))
            && session.remembered == sign_in.remembered
            && now < session.auth_time.plus_seconds(RESUBMIT_WINDOW_SECONDS)
            && session.is_active(now)
    };
    let session = sessions::by_id(tx.conn(), begun.session).await?.filter(same);
    Ok(session.map(|session| StartedSession { session: Session { read_at: now, ..session }, nonce: begun.nonce }))
}

/// Records the sign-in in the interaction, if that is still pending.
async fn note(tx: &Tx, interaction: InteractionSignIn, session: &Session) -> Result<(), StoreError> {
    let InteractionSignIn { id, nonce } = interaction;
    let Some(waiting) = interactions::lock_for_update(tx, id).await? else { return Ok(()) };
    let begun = InteractionSession { session: session.id, user: session.user, cookie: session.digest, nonce };
    let progress =
        InteractionProgress { signed_in_at: Some(session.auth_time), sign_in: Some(begun), ..waiting.progress };
    interactions::record(tx, id, &progress).await?;
    Ok(())
}

/// Locks the user and returns whether the authentication is still valid. While it was checked, the user may have been
/// disabled, the password changed or the passkey removed.
async fn lock_and_verify_proof(
    tx: &Tx,
    user: UserId,
    password_as_of: Option<Timestamp>,
    proof: Proof,
) -> Result<bool, StoreError> {
    match proof {
        Proof::Password => users::lock_if_enabled(tx, user, password_as_of).await,
        Proof::Passkey(id) => {
            Ok(users::lock_if_enabled(tx, user, None).await? && passkeys::exists(tx.conn(), id).await?)
        }
    }
}

/// Returns a new session with the time of the database. The user is locked, so that no passkey is added or removed
/// meanwhile.
async fn new(tx: &Tx, lifetimes: &Lifetimes, user: UserId, sign_in: &SignInRequest) -> Result<Session, StoreError> {
    let (now, remembered) = (tx.database_time().await?, sign_in.remembered);
    let passkey = sign_in.proof.passkey();
    let expires_at = now.plus_seconds(if remembered { lifetimes.remembered } else { lifetimes.session });
    Ok(Session {
        digest: sign_in.digest,
        id: SessionId(tx.env().uuid()),
        user,
        auth_time: now,
        method: sign_in.proof.method(),
        passkey,
        used_strongest_method: passkey.is_some() || passkeys::count(tx.conn(), user).await? == 0,
        remembered,
        created_at: now,
        last_seen: now,
        idle_until: idle_end(lifetimes, remembered, now, expires_at),
        expires_at,
        address: sign_in.origin.address.clone(),
        user_agent: sign_in.origin.user_agent.clone(),
        data: String::new(),
        read_at: now,
    })
}

/// Replaces the digest of the session's cookie, which invalidates the old cookie. Returns false and changes nothing if
/// the session has ended or has another cookie already.
pub async fn renew(store: &Store, session: &Session, digest: Digest) -> Result<bool, StoreError> {
    let (id, old) = (session.id, session.digest);
    store.write(move |tx| Box::pin(async move { sessions::replace_digest(tx, id, &old, &digest).await })).await
}

/// Ends a session at the user's request, with everything that depends on it.
pub async fn end(store: &Store, session: &Session, origin: RequestOrigin) -> Result<EndedSession, StoreError> {
    let session = session.clone();
    let write = store.write(move |tx| {
        Box::pin(async move {
            let ended = session_end::one(tx, session.id).await?;
            events::insert(tx, &event(tx, EventKind::SignedOut, &session, origin)).await?;
            Ok(ended)
        })
    });
    write.await
}

fn event(tx: &Tx, kind: EventKind, session: &Session, origin: RequestOrigin) -> Event {
    Event {
        id: EventId(tx.env().uuid()),
        at: tx.env().now(),
        kind,
        actor: Actor::User(session.user),
        user: Some(session.user),
        client: None,
        origin,
        detail: match session.method {
            SignInMethod::Password => "with a password",
            SignInMethod::Passkey => "with a passkey",
        }
        .to_owned(),
    }
}
