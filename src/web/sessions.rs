//! tower-sessions over our own store. A record here is one signed-in browser; a visitor who has not signed in has none,
//! and only the digest of the cookie's value is stored.

use std::collections::HashMap;

use async_trait::async_trait;
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use tower_sessions::cookie::SameSite;
use tower_sessions::session::{Id, Record};
use tower_sessions::session_store::{self, SessionStore};
use tower_sessions::{Expiry, SessionManagerLayer};

use crate::app::App;
use crate::domain::authorization::SignInMethod;
use crate::domain::ids::{PasskeyId, SessionId, UserId};
use crate::domain::secret::{Digest, SecretKind};
use crate::domain::session::Session;
use crate::env::Timestamp;
use crate::store::{Store, StoreError, passkeys, people, session_end, sessions};

/// A write for every request would be more than knowing to the second is worth.
const SEEN_SECONDS: i64 = 300;

/// The one entry of a record.
pub const KEY: &str = "session";

/// A session as tower-sessions carries it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Carried {
    pub id: SessionId,
    pub user: UserId,
    pub auth_time: Timestamp,
    pub method: SignInMethod,
    pub remembered: bool,
    pub created_at: Timestamp,
    pub last_seen: Timestamp,
    pub idle_until: Timestamp,
    pub expires_at: Timestamp,
    pub address: String,
    pub user_agent: String,
    /// Of a session that is about to begin with a password: when the one that was checked had been set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_as_of: Option<Timestamp>,
    /// Of a session that is about to begin with a passkey: which one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passkey: Option<PasskeyId>,
}

impl Carried {
    pub fn session(self, digest: Digest) -> Session {
        Session {
            digest,
            id: self.id,
            user: self.user,
            auth_time: self.auth_time,
            method: self.method,
            remembered: self.remembered,
            created_at: self.created_at,
            last_seen: self.last_seen,
            idle_until: self.idle_until,
            expires_at: self.expires_at,
            address: self.address,
            user_agent: self.user_agent,
            data: String::new(),
        }
    }

    fn of(session: Session) -> Self {
        Self {
            id: session.id,
            user: session.user,
            auth_time: session.auth_time,
            method: session.method,
            remembered: session.remembered,
            created_at: session.created_at,
            last_seen: session.last_seen,
            idle_until: session.idle_until,
            expires_at: session.expires_at,
            address: session.address,
            user_agent: session.user_agent,
            password_as_of: None,
            passkey: None,
        }
    }
}

#[derive(Clone)]
pub struct Sessions(Store);

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sessions")
    }
}

pub fn digest(id: &Id) -> Digest {
    SecretKind::Session.digest(&id.to_string())
}

fn backend(error: &StoreError) -> session_store::Error {
    session_store::Error::Backend(error.to_string())
}

fn carried(record: &Record) -> session_store::Result<Carried> {
    let value = record.data.get(KEY).cloned().unwrap_or_default();
    serde_json::from_value(value).map_err(|error| session_store::Error::Encode(error.to_string()))
}

#[async_trait]
impl SessionStore for Sessions {
    async fn create(&self, record: &mut Record) -> session_store::Result<()> {
        let carried = carried(record)?;
        let (as_of, passkey) = (carried.password_as_of, carried.passkey);
        let session = carried.session(digest(&record.id));
        let most = self.0.quotas().sessions_per_user;
        let begun = self.0.write(move |tx| {
            Box::pin(async move {
                // Checking a password takes its time: they may have been turned off meanwhile, or have a new one.
                if !people::hold(tx, session.user, as_of).await? {
                    return Ok(false);
                }
                // An administrator may have removed the passkey.
                if let Some(passkey) = passkey
                    && !passkeys::exists(tx.conn(), passkey).await?
                {
                    return Ok(false);
                }
                // Of two sign-ins at once on one session the later one has it.
                sessions::delete(tx, session.id).await?;
                sessions::insert(tx, &session).await?;
                session_end::beyond(tx, session.user, session.id, most).await?;
                Ok(true)
            })
        });
        if begun.await.map_err(|error| backend(&error))? {
            Ok(())
        } else {
            Err(session_store::Error::Backend("the person has been changed meanwhile".to_owned()))
        }
    }

    async fn save(&self, record: &Record) -> session_store::Result<()> {
        let session = carried(record)?.session(digest(&record.id));
        self.0
            .write(move |tx| Box::pin(async move { sessions::update(tx, &session).await }))
            .await
            .map_err(|error| backend(&error))?;
        Ok(())
    }

    async fn load(&self, id: &Id) -> session_store::Result<Option<Record>> {
        let now = self.0.env().now();
        let found = sessions::by_digest(self.0.read(), &digest(id)).await.map_err(|error| backend(&error))?;
        let Some(found) = found.filter(|session| session.is_alive(now)) else { return Ok(None) };
        let expiry_date = found.expires_at.date();
        let value = serde_json::to_value(Carried::of(found))
            .map_err(|error| session_store::Error::Decode(error.to_string()))?;
        Ok(Some(Record { id: *id, data: HashMap::from([(KEY.to_owned(), value)]), expiry_date }))
    }

    async fn delete(&self, id: &Id) -> session_store::Result<()> {
        let digest = digest(id);
        self.0
            .write(move |tx| Box::pin(async move { sessions::delete_by_digest(tx, &digest).await }))
            .await
            .map_err(|error| backend(&error))
    }
}

/// A session's idle time begins again with each request, written down at most every five minutes.
pub async fn seen(
    app: &App,
    tower: &tower_sessions::Session,
    carried: Carried,
) -> Result<Carried, tower_sessions::session::Error> {
    let (now, lifetimes) = (app.env().now(), &app.config.lifetimes);
    let idle = if carried.remembered { lifetimes.remembered_idle } else { lifetimes.session_idle };
    if now.since(carried.last_seen) < SEEN_SECONDS.min(idle / 4) * 1000 {
        return Ok(carried);
    }
    let idle_until = idle_end(now, idle, carried.expires_at);
    let carried = Carried { last_seen: now, idle_until, ..carried };
    tower.insert(KEY, &carried).await?;
    tower.set_expiry(Some(expiry(&carried)));
    Ok(carried)
}

/// When the idle time ends that begins now: at the absolute end at the latest, at which the sweep ends the session.
pub fn idle_end(now: Timestamp, seconds: i64, expires_at: Timestamp) -> Timestamp {
    now.plus_seconds(seconds).min(expires_at)
}

/// How long the browser keeps the cookie: until it is closed, unless its person asked to stay signed in.
pub fn expiry(carried: &Carried) -> Expiry {
    if carried.remembered { Expiry::AtDateTime(carried.expires_at.date()) } else { Expiry::OnSessionEnd }
}

/// The layer for everything that people's browsers ask.
pub fn layer(app: &App) -> SessionManagerLayer<Sessions> {
    let secure = app.config.secure();
    SessionManagerLayer::new(Sessions(app.store().clone()))
        .with_name(if secure { "__Host-signet-session" } else { "signet-session" })
        .with_secure(secure)
        .with_http_only(true)
        .with_same_site(SameSite::Lax)
        .with_path("/")
        .with_expiry(Expiry::OnSessionEnd)
}

/// One header's text, cut to what is worth keeping.
pub fn header(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().chars().take(300).collect()
}
