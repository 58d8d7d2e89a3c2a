//! Checks against the database whether a token exchange (RFC 8693) may be completed: nothing that the new or the
//! presented token depends on has been revoked, and every client and user in the chain is still allowed.
//!
//! See also: [`super::token_exchange`], which issues the token.

use crate::domain::authorization::Authorization;
use crate::domain::client::Client;
use crate::domain::version::{RevocationKey, VersionedEntity};
use crate::protocol::client_access::is_admitted;
use crate::protocol::resource::is_allowed_by_apis;
use crate::store::authorizations::{self, RowLock};
use crate::store::{Connection, DatabaseNow, StoreError, apis, clients};

/// Returns `authorization`, which is derived from `of`, with its versions. Returns `None` if something that one of them
/// depends on has been revoked, or if its user may not use one of the clients in the chain.
///
/// The version of the user's consent for the requesting client is the current one: withdrawing the consent revokes the
/// issued token.
pub(super) async fn settled<C: Connection>(
    conn: &C,
    (of, jti): (&Authorization, Option<RevocationKey>),
    authorization: Authorization,
    client: &Client,
    database_now: DatabaseNow,
) -> std::result::Result<Option<Authorization>, StoreError> {
    // The presented token's dependencies are included, whether or not the new token shares them.
    let carried: Vec<VersionedEntity> =
        of.versioned_entities().into_iter().filter(|what| of.version_of(what).is_some()).collect();
    let source = authorizations::versions(conn, &carried, None, RowLock::None).await?;
    if !source.is_some_and(|source| source.has_same_versions(&of.versions, &carried)) {
        return Ok(None);
    }
    if !is_admitted(conn, &authorization).await? || !is_allowed_to_sources(conn, &authorization).await? {
        return Ok(None);
    }
    let session = authorization.bound_session().map(|session| (session, database_now));
    let Some(now) = authorizations::versions(conn, &authorization.versioned_entities(), session, RowLock::None).await?
    else {
        return Ok(None);
    };
    let now = Authorization { versions: now, ..authorization };
    let carried = now.clone().with_versions(|what| match (of.version_of(what), what) {
        (Some(version), _) => version,
        (None, VersionedEntity::Client(id)) if *id == client.id => client.version,
        (None, what) => now.version_of(what).unwrap_or_default(),
    });
    let is_revoked = authorizations::is_grant_or_token_revoked(conn, of.grant, jti).await?
        || !is_allowed_by_apis(conn, client, &now.permissions).await?;
    Ok((carried.versions == now.versions && !is_revoked).then_some(now))
}

/// Returns whether all clients in the chain of `authorization` are still registered for all of it.
///
/// Clients with metadata documents have no row: their permissions follow from this server's settings.
async fn is_allowed_to_sources<C: Connection>(
    conn: &C,
    authorization: &Authorization,
) -> std::result::Result<bool, StoreError> {
    let apis = apis::all(conn).await?;
    for id in &authorization.through {
        let Some(client) = clients::by_id(conn, id).await? else { continue };
        let left = authorization.narrowed(&client, &apis);
        if client.disabled || left.is_none_or(|left| left.permissions != authorization.permissions) {
            return Ok(false);
        }
    }
    Ok(true)
}
