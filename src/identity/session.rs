//! Beginning, renewing and ending a browser session, each in one transaction. Only a fresh proof begins one: a session that
//! has ended meanwhile comes back under no cookie and no id.
//!
//! Next door: [`super::login`] and [`super::passkey`], which prove; `web::sign_in`, which sets the cookie.

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

/// In which a user has `quotas.sign_ins_per_user`.
const SIGN_IN_WINDOW_SECONDS: i64 = 3600;
/// Within which two sign-ins for one interaction are one form sent twice.
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

/// A sign-in, and the browser it is made in.
#[derive(Clone, Debug)]
pub struct SignInRequest {
    pub proof: Proof,
    /// Of the cookie that the browser gets.
    pub digest: Digest,
    /// The session that the browser has had so far.
    pub before: Option<Session>,
    pub remembered: bool,
    pub origin: RequestOrigin,
}

/// An interaction of the browser for which a sign-in is made, and what the cookie is made from.
#[derive(Clone, Copy, Debug)]
pub struct InteractionSignIn {
    pub id: InteractionId,
    pub nonce: Uuid,
}

/// A session that goes on from here, and what its cookie is made from.
#[derive(Clone, Debug)]
pub struct StartedSession {
    pub session: Session,
    pub nonce: Uuid,
}

/// Why no session began.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The user was disabled or has another password, or the passkey was removed, while the proof was checked.
    #[error("the account has been changed meanwhile")]
    Changed,
    /// The user has signed in `quotas.sign_ins_per_user` times within the hour.
    #[error("the user signs in too often")]
    TooMany { until: Timestamp },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// When the idle time ends that begins now: at the absolute end at the latest, at which the sweep ends the session.
pub fn idle_end(lifetimes: &Lifetimes, remembered: bool, now: Timestamp, expires_at: Timestamp) -> Timestamp {
    now.plus_seconds(idle_seconds(lifetimes, remembered)).min(expires_at)
}

/// How long a session goes on without any request.
pub const fn idle_seconds(lifetimes: &Lifetimes, remembered: bool) -> i64 {
    if remembered { lifetimes.remembered_idle } else { lifetimes.session_idle }
}

/// Begins a session of `user`. The session that the same user had in this browser goes on under the new cookie, with the id
/// that apps know; where it has ended, the new one has an id of its own. Somebody else's session in the browser ends.
pub async fn begin(
    store: &Store,
    lifetimes: &Lifetimes,
    user: &User,
    sign_in: SignInRequest,
) -> Result<Session, SessionError> {
    Ok(begin_session(store, lifetimes, user, sign_in, None).await?.0)
}

/// The same for an interaction, which notes that it was signed in for. A form that is sent twice begins one session
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

/// The session, and what its cookie is made from where it began before.
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
            // Each session that goes leaves something behind, and a program with a passkey could begin one after another.
            // The user is locked, so that sign-ins at once are counted one by one.
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
                    // What the passkey opened in this session ends with the passkey, whatever it goes on by.
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
            // Dated like the session: the sign-ins of an hour are counted by it.
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

/// The session that a sign-in in the same way, for the same interaction, began a moment ago: somebody has sent the form
/// twice, and one of the two answers is lost. The user is locked, so that the second one finds what the first one wrote.
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

/// Writes down for an interaction that somebody has signed in, where it still waits.
async fn note(tx: &Tx, interaction: InteractionSignIn, session: &Session) -> Result<(), StoreError> {
    let InteractionSignIn { id, nonce } = interaction;
    let Some(waiting) = interactions::lock_for_update(tx, id).await? else { return Ok(()) };
    let begun = InteractionSession { session: session.id, user: session.user, cookie: session.digest, nonce };
    let progress =
        InteractionProgress { signed_in_at: Some(session.auth_time), sign_in: Some(begun), ..waiting.progress };
    interactions::record(tx, id, &progress).await?;
    Ok(())
}

/// Locks the user; whether the proof still holds. Checking it takes its time: the user may have been disabled or have a new
/// password, and the passkey may have been removed.
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

/// The session of a sign-in of now, by the database's clock, of a user who is locked: nobody adds or removes a passkey.
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

/// Gives a session the cookie of another digest: whoever has a copy of the old one has nothing. Returns false, and begins
/// nothing, where the session has ended or has another cookie already.
pub async fn renew(store: &Store, session: &Session, digest: Digest) -> Result<bool, StoreError> {
    let (id, old) = (session.id, session.digest);
    store.write(move |tx| Box::pin(async move { sessions::replace_digest(tx, id, &old, &digest).await })).await
}

/// Ends a session at its user's wish, and what hangs on it.
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
