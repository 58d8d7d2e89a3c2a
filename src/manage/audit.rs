//! The actor of an operation, and the one place that authorizes the actor: inside the transaction that writes.
//!
//! Between the arrival of a request and its transaction, the server reads a form's body, hashes a password and
//! waits for locks. In that time the acting user may have been disabled, demoted, reset or deleted.
//! [`Manager::transact`] therefore locks the session and the user at the beginning of each transaction and
//! checks again. Functions that write need an [`AuditRecorder`], and no other module can create one.

use futures::future::BoxFuture;

use super::{ManageError, Manager, Result};
use crate::domain::event::{Actor, Event, EventKind, RequestOrigin};
use crate::domain::ids::{ClientId, EventId, SessionId, UserId};
use crate::domain::user::User;
use crate::env::Env;
use crate::store::{Store, TransactionError, Tx, events, sessions, users};

/// The actor and the origin of the request. It does not say what the actor is allowed to do.
#[derive(Clone, Debug)]
pub struct AuditContext {
    kind: ActorKind,
    origin: RequestOrigin,
}

#[derive(Clone, Copy, Debug)]
enum ActorKind {
    CommandLine,
    User(UserId, SessionId),
}

impl AuditContext {
    /// The operator at the server's command line, who has access to the database and may do everything.
    #[must_use]
    pub fn command_line() -> Self {
        Self { kind: ActorKind::CommandLine, origin: RequestOrigin::default() }
    }

    /// A user in a browser session.
    #[must_use]
    pub const fn user(user: UserId, session: SessionId, origin: RequestOrigin) -> Self {
        Self { kind: ActorKind::User(user, session), origin }
    }

    const fn actor(&self) -> Actor {
        match self.kind {
            ActorKind::CommandLine => Actor::CommandLine,
            ActorKind::User(user, _) => Actor::User(user),
        }
    }
}

/// The role that an operation requires.
#[derive(Clone, Copy, Debug)]
pub(super) enum RequiredRole {
    Administrator,
    /// An administrator who changes this user. The two user rows are locked in a fixed order.
    AdministratorFor(UserId),
    /// This user, or an administrator.
    UserOrAdministrator(UserId),
}

impl RequiredRole {
    const fn about(self) -> Option<UserId> {
        match self {
            Self::Administrator => None,
            Self::AdministratorFor(user) | Self::UserOrAdministrator(user) => Some(user),
        }
    }

    fn is_met_by(self, user: UserId, admin: bool) -> bool {
        admin || matches!(self, Self::UserOrAdministrator(own) if own == user)
    }
}

impl Manager {
    /// Runs one transaction of an actor who has the role that it `needs`, from its beginning to its end. Any
    /// error rolls it back.
    pub(super) async fn transact<T, E, F>(
        &self,
        by: &AuditContext,
        needs: RequiredRole,
        work: F,
    ) -> std::result::Result<T, E>
    where
        T: Send + 'static,
        E: TransactionError + From<ManageError>,
        F: for<'c> FnOnce(&'c Tx, AuditRecorder) -> BoxFuture<'c, std::result::Result<T, E>> + Send + 'static,
    {
        let recorder = AuditRecorder::new(self, by.actor(), by.origin.clone());
        let who = by.kind;
        self.store
            .try_write(move |tx| {
                Box::pin(async move {
                    check(tx, who, needs).await?;
                    work(tx, recorder).await
                })
            })
            .await
    }

    /// Runs one transaction of an actor without a session: `work` itself checks the link or token that
    /// authorizes it.
    pub(super) async fn transact_as<T, F>(&self, actor: Actor, origin: RequestOrigin, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c Tx, AuditRecorder) -> BoxFuture<'c, Result<T>> + Send + 'static,
    {
        let recorder = AuditRecorder::new(self, actor, origin);
        self.store.try_write(move |tx| work(tx, recorder)).await
    }
}

/// Locks the actor and the affected user, then the actor's session, and checks that the actor is allowed to
/// act.
async fn check(tx: &Tx, who: ActorKind, needs: RequiredRole) -> Result<()> {
    let actor = match who {
        ActorKind::CommandLine => None,
        ActorKind::User(user, session) => Some((user, session)),
    };
    let ids: Vec<UserId> = actor.map(|(user, _)| user).into_iter().chain(needs.about()).collect();
    let users = users::lock_all_for_update(tx, &ids).await?;
    let Some((id, session)) = actor else { return Ok(()) };
    let user = users.into_iter().find(|user| user.id == id && !user.disabled);
    let (Some(user), true) = (user, sessions::lock_shared(tx, session).await?) else {
        return Err(ManageError::SessionEnded);
    };
    if needs.is_met_by(id, user.admin) { Ok(()) } else { Err(ManageError::NotAdministrator) }
}

/// Writes the audit events of an authorized actor. It proves that [`Manager::transact`] has checked the actor,
/// or that the caller of [`Manager::transact_as`] does.
#[derive(Clone)]
pub(super) struct AuditRecorder {
    env: Env,
    actor: Actor,
    origin: RequestOrigin,
    /// Set if the actor is anonymous. The events of anonymous actors are counted.
    counted: Option<Store>,
}

impl AuditRecorder {
    fn new(manager: &Manager, actor: Actor, origin: RequestOrigin) -> Self {
        Self { env: manager.store.env().clone(), actor, origin, counted: None }
    }

    /// Returns the same recorder for an anonymous actor: it stores at most `quotas.registration_events` events
    /// a day.
    pub(super) fn with_daily_quota(self, store: &Store) -> Self {
        Self { counted: Some(store.clone()), ..self }
    }

    async fn insert(&self, tx: &Tx, event: Event) -> Result<()> {
        match &self.counted {
            Some(store) => events::insert_registration_event(tx, store, &event).await?,
            None => events::insert(tx, &event).await?,
        }
        Ok(())
    }

    fn event(&self, kind: EventKind, user: Option<UserId>, client: Option<&ClientId>, detail: String) -> Event {
        Event {
            id: EventId(self.env.uuid()),
            at: self.env.now(),
            kind,
            actor: self.actor.clone(),
            user,
            client: client.cloned(),
            origin: self.origin.clone(),
            detail,
        }
    }

    /// Records an event about a user, a client, or both.
    pub(super) async fn about(
        &self,
        tx: &Tx,
        kind: EventKind,
        (user, client): (Option<UserId>, Option<&ClientId>),
        detail: String,
    ) -> Result<()> {
        self.insert(tx, self.event(kind, user, client, detail)).await
    }

    /// Records the events of new users.
    pub(super) async fn record_users_created(&self, tx: &Tx, users: &[User]) -> Result<()> {
        let event =
            |user: &User| self.event(EventKind::UserCreated, Some(user.id), None, user.username.as_str().to_owned());
        let all: Vec<Event> = users.iter().map(event).collect();
        match &self.counted {
            None => events::insert_all(tx, &all).await?,
            Some(store) => {
                for event in &all {
                    events::insert_registration_event(tx, store, event).await?;
                }
            }
        }
        Ok(())
    }

    pub(super) async fn user(&self, tx: &Tx, kind: EventKind, user: UserId, detail: impl Into<String>) -> Result<()> {
        self.about(tx, kind, (Some(user), None), detail.into()).await
    }

    pub(super) async fn client(
        &self,
        tx: &Tx,
        kind: EventKind,
        client: &ClientId,
        detail: impl Into<String>,
    ) -> Result<()> {
        self.about(tx, kind, (None, Some(client)), detail.into()).await
    }

    pub(super) async fn other(&self, tx: &Tx, kind: EventKind, detail: impl Into<String>) -> Result<()> {
        self.about(tx, kind, (None, None), detail.into()).await
    }
}
