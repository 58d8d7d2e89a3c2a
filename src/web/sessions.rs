//! The session store for tower-sessions. Each record is the session of one signed-in browser. Visitors without a
//! session have no record. Only the digest of the cookie value is stored.
//!
//! The layer loads rows, updates their last use and sets the cookie. It never creates, moves or deletes a row:
//! `identity::session` does so, each time in one transaction.

use std::collections::HashMap;

use async_trait::async_trait;
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use tower_sessions::cookie::SameSite;
use tower_sessions::session::{Error, Id, Record};
use tower_sessions::session_store::{self, SessionStore};
use tower_sessions::{Expiry, SessionManagerLayer};
use uuid::Uuid;

use super::browser::cookie_name;
use crate::app::AppState;
use crate::domain::authorization::SignInMethod;
use crate::domain::ids::{PasskeyId, SessionId, UserId};
use crate::domain::secret::{Digest, SecretKind};
use crate::domain::session::Session;
use crate::env::{Env, Timestamp};
use crate::identity::session::{idle_end, idle_seconds};
use crate::keys::master::MacPurpose;
use crate::store::{Store, StoreError, sessions};

/// The resolution of `last_seen`. It avoids a write for each request.
const LAST_SEEN_INTERVAL_SECONDS: i64 = 300;

/// The key of the session in a record.
pub const SESSION_KEY: &str = "session";
/// The key of the cookie value in a record whose row exists already. The entry is removed once the record has its id.
const COOKIE_KEY: &str = "cookie";

/// A session as stored in a tower-sessions record.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SessionData {
    pub id: SessionId,
    pub user: UserId,
    pub auth_time: Timestamp,
    pub method: SignInMethod,
    pub passkey: Option<PasskeyId>,
    pub strongest: bool,
    pub remembered: bool,
    pub created_at: Timestamp,
    pub last_seen: Timestamp,
    pub idle_until: Timestamp,
    pub expires_at: Timestamp,
    pub address: String,
    pub user_agent: String,
    pub read_at: Timestamp,
}

impl SessionData {
    pub fn session(self, digest: Digest) -> Session {
        Session {
            digest,
            id: self.id,
            user: self.user,
            auth_time: self.auth_time,
            method: self.method,
            passkey: self.passkey,
            used_strongest_method: self.strongest,
            remembered: self.remembered,
            created_at: self.created_at,
            last_seen: self.last_seen,
            idle_until: self.idle_until,
            expires_at: self.expires_at,
            address: self.address,
            user_agent: self.user_agent,
            data: String::new(),
            read_at: self.read_at,
        }
    }

    fn of(session: Session) -> Self {
        Self {
            id: session.id,
            user: session.user,
            auth_time: session.auth_time,
            method: session.method,
            passkey: session.passkey,
            strongest: session.used_strongest_method,
            remembered: session.remembered,
            created_at: session.created_at,
            last_seen: session.last_seen,
            idle_until: session.idle_until,
            expires_at: session.expires_at,
            address: session.address,
            user_agent: session.user_agent,
            read_at: session.read_at,
        }
    }
}

#[derive(Clone)]
pub struct SessionStoreAdapter(Store);

impl std::fmt::Debug for SessionStoreAdapter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sessions")
    }
}

pub fn digest(id: &Id) -> Digest {
    SecretKind::Session.digest(&id.to_string())
}

/// Returns the cookie value of a session that began for an interaction. It is a MAC of the nonce, so only this server
/// can compute it.
pub fn cookie_of(app: &AppState, nonce: Uuid) -> Id {
    let mac = app.provider.master.mac(MacPurpose::Browser, &[b"session", nonce.as_bytes()]);
    let mut value = [0; 16];
    value.copy_from_slice(mac.split_at(16).0);
    Id(i128::from_le_bytes(value))
}

/// Returns a random cookie value.
pub fn new_cookie(env: &Env) -> Id {
    Id(i128::from_le_bytes(env.random()))
}

fn backend(error: &StoreError) -> session_store::Error {
    session_store::Error::Backend(error.to_string())
}

fn carried(record: &Record) -> session_store::Result<SessionData> {
    let value = record.data.get(SESSION_KEY).cloned().unwrap_or_default();
    serde_json::from_value(value).map_err(|error| session_store::Error::Encode(error.to_string()))
}

#[async_trait]
impl SessionStore for SessionStoreAdapter {
    /// Uses the cookie value that [`carry`] set as the record's id. It creates no row, and fails if there is no such
    /// value.
    async fn create(&self, record: &mut Record) -> session_store::Result<()> {
        let cookie = record.data.remove(COOKIE_KEY);
        let cookie = cookie.as_ref().and_then(serde_json::Value::as_str).and_then(|id| id.parse().ok());
        record.id =
            cookie.ok_or_else(|| session_store::Error::Backend("a session begins with a sign-in".to_owned()))?;
        Ok(())
    }

    /// Updates the row. A request still in flight does not restore a session that has ended.
    async fn save(&self, record: &Record) -> session_store::Result<()> {
        let session = carried(record)?.session(digest(&record.id));
        let write = self.0.write(move |tx| Box::pin(async move { sessions::seen(tx, &session).await }));
        write.await.map_err(|error| backend(&error))
    }

    async fn load(&self, id: &Id) -> session_store::Result<Option<Record>> {
        let found = sessions::by_digest(&self.0, &digest(id)).await.map_err(|error| backend(&error))?;
        let Some(found) = found.filter(|session| session.is_active(session.read_at)) else { return Ok(None) };
        let expiry_date = found.expires_at.date();
        let value = serde_json::to_value(SessionData::of(found))
            .map_err(|error| session_store::Error::Decode(error.to_string()))?;
        Ok(Some(Record { id: *id, data: HashMap::from([(SESSION_KEY.to_owned(), value)]), expiry_date }))
    }

    /// Does nothing: the layer calls this when the cookie is replaced or removed, and by then the row has been moved
    /// or ended.
    async fn delete(&self, _: &Id) -> session_store::Result<()> {
        Ok(())
    }
}

/// Gives the browser the cookie of a session whose row has been written.
pub async fn carry(tower: &tower_sessions::Session, cookie: Id, session: Session) -> Result<(), Error> {
    // This only clears the id of the record in memory, so that `save` below calls `create`.
    tower.cycle_id().await?;
    let carried = SessionData::of(session);
    tower.set_expiry(Some(expiry(&carried)));
    tower.insert(SESSION_KEY, &carried).await?;
    tower.insert(COOKIE_KEY, cookie.to_string()).await?;
    tower.save().await
}

/// Extends the session's idle timeout with each request. The row is updated every five minutes at most.
pub async fn seen(app: &AppState, tower: &tower_sessions::Session, carried: SessionData) -> Result<SessionData, Error> {
    let (now, lifetimes) = (carried.read_at, &app.config.lifetimes);
    let idle = idle_seconds(lifetimes, carried.remembered);
    if now.since(carried.last_seen) < LAST_SEEN_INTERVAL_SECONDS.min(idle / 4) * 1000 {
        return Ok(carried);
    }
    let idle_until = idle_end(lifetimes, carried.remembered, now, carried.expires_at);
    let carried = SessionData { last_seen: now, idle_until, ..carried };
    tower.insert(SESSION_KEY, &carried).await?;
    tower.set_expiry(Some(expiry(&carried)));
    Ok(carried)
}

/// Returns the lifetime of the cookie: until the browser is closed or, if the user chose to stay signed in, until the
/// session expires.
fn expiry(carried: &SessionData) -> Expiry {
    if carried.remembered { Expiry::AtDateTime(carried.expires_at.date()) } else { Expiry::OnSessionEnd }
}

/// Returns the session layer for all page routes.
pub fn layer(app: &AppState) -> SessionManagerLayer<SessionStoreAdapter> {
    SessionManagerLayer::new(SessionStoreAdapter(app.store().clone()))
        .with_name(cookie_name(app, "session"))
        .with_secure(app.config.is_https())
        .with_http_only(true)
        .with_same_site(SameSite::Lax)
        .with_path("/")
        .with_expiry(Expiry::OnSessionEnd)
}

/// Returns a header's value, cut to 300 characters. Returns an empty string if it is missing or not ASCII.
pub fn header(headers: &HeaderMap, name: &str) -> String {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().chars().take(300).collect()
}
