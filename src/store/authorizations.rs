//! Whether an authorization is still valid, according to the database: the session it depends on exists, and the
//! versions of everything else it depends on are the ones it was made under. One statement decides this, in the
//! transaction that issues.
//!
//! Everything that is issued carries the versions. A revocation that commits later makes them outdated. A revocation
//! that committed earlier is seen here. The user and the session are also locked, so that a revocation finds every
//! grant that was issued before it. A client and an API are not locked: all their users share them, so readers would
//! delay a revocation indefinitely, and nothing depends on that lock.
//!
//! [`super::versions`] has the counters. [`super::revocations`] answers the same question from memory.

use std::collections::HashMap;

use sea_orm::sea_query::{LockType, Query, SelectStatement, UnionType};
use sea_orm::{ConnectionTrait, ExprTrait as _, prelude::Expr};

use super::versions::row;
use super::{DatabaseNow, Result, grants, revoked_tokens, sessions};
use crate::domain::authorization::Authorization;
use crate::domain::ids::{GrantId, SessionId};
use crate::domain::interaction::AuthorizationRequest;
use crate::domain::version::{RevocationKey, VersionedEntity, Versions};

/// Whether rows stay locked until the transaction ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowLock {
    /// For a transaction that writes a code, a grant or a decision: a revocation waits for it, and then finds that row.
    Shared,
    /// For a decision that takes effect at once, and for a transaction that has locked the grant itself.
    None,
}

/// Returns the current versions of all these entities, or `None` if the session does not exist or has expired by the
/// database's clock.
pub async fn versions<C: ConnectionTrait>(
    conn: &C,
    all: &[VersionedEntity],
    session: Option<(SessionId, DatabaseNow)>,
    lock: RowLock,
) -> Result<Option<Versions>> {
    let mut found = HashMap::new();
    let mut session_is_there = session.is_none();
    for row in conn.query_all(&statement(all, session, lock)).await? {
        let (key, version): (String, i64) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        if key.is_empty() {
            session_is_there = true;
        } else {
            found.insert(key, version);
        }
    }
    let version = |of: &VersionedEntity| found.get(&of.counter_key()).copied().unwrap_or_default();
    let versions = all.iter().map(|of| (of.clone(), version(of))).collect();
    Ok(session_is_there.then_some(versions))
}

/// Returns whether nothing that `of` depends on has been revoked since it was made.
pub async fn is_current<C: ConnectionTrait>(
    conn: &C,
    of: &Authorization,
    now: DatabaseNow,
    lock: RowLock,
) -> Result<bool> {
    let all = of.versioned_entities();
    let session = of.bound_session().map(|session| (session, now));
    let current = versions(conn, &all, session, lock).await?;
    Ok(current.is_some_and(|current| current.has_same_versions(&of.versions, &all)))
}

/// Returns whether a grant may continue with the permissions that are `left` after narrowing. A grant that loses
/// `offline_access` depends on its session from then on.
pub async fn is_current_after_narrowing<C: ConnectionTrait>(
    conn: &C,
    of: &Authorization,
    left: &Authorization,
    now: DatabaseNow,
) -> Result<bool> {
    let lost_offline = of.has_offline_access() && !left.has_offline_access();
    Ok(!lost_offline || is_current(conn, left, now, RowLock::None).await?)
}

/// Returns whether the client and the APIs are still the ones that a request was accepted for.
pub async fn is_request_current<C: ConnectionTrait>(conn: &C, request: &AuthorizationRequest) -> Result<bool> {
    let all = request.versioned_entities();
    let now = versions(conn, &all, None, RowLock::None).await?;
    Ok(now.is_some_and(|now| now.has_same_versions(&request.versions, &all)))
}

/// Returns whether a grant or one access token (`jti`) has been revoked.
pub async fn is_grant_or_token_revoked<C: ConnectionTrait>(
    conn: &C,
    grant: Option<GrantId>,
    jti: Option<RevocationKey>,
) -> Result<bool> {
    let ended = grant.map(RevocationKey::from).into_iter().chain(jti);
    let mut any = revoked_tokens::any(ended);
    if let Some(grant) = grant {
        any.union(UnionType::All, grants::select_if_revoked(grant));
    }
    Ok(conn.query_one(&any).await?.is_some())
}

/// Locks the user before the session, which is the order in which revocations lock them.
fn statement(all: &[VersionedEntity], session: Option<(SessionId, DatabaseNow)>, lock: RowLock) -> SelectStatement {
    let (locked, free): (Vec<&VersionedEntity>, Vec<&VersionedEntity>) =
        all.iter().partition(|of| matches!(of, VersionedEntity::User(_)) && lock == RowLock::Shared);
    let mut parts: Vec<SelectStatement> = Vec::new();
    for (of, lock) in [(locked, RowLock::Shared), (free, RowLock::None)] {
        if of.is_empty() {
            continue;
        }
        let mut part = Query::select();
        part.column((row::Entity, row::Column::Subject))
            .column((row::Entity, row::Column::Version))
            .from(row::Entity)
            .and_where(Expr::col((row::Entity, row::Column::Subject)).is_in(of.iter().map(|of| of.counter_key())));
        parts.push(held(part, lock));
    }
    if let Some((session, now)) = session {
        parts.insert(parts.len().min(1), held(sessions::select_if_unexpired(session, now), lock));
    }
    let mut parts = parts.into_iter();
    let mut first = parts.next().unwrap_or_default();
    for part in parts {
        first.union(UnionType::All, part);
    }
    first
}

/// Wraps the part in a subquery, because only a subquery may lock rows inside a union (PostgreSQL). `SQLite` has a
/// single writer and no row locks.
fn held(mut part: SelectStatement, lock: RowLock) -> SelectStatement {
    if lock == RowLock::Shared {
        part.lock(LockType::Share);
    }
    Query::select().expr(Expr::cust("*")).from_subquery(part, "held").to_owned()
}
