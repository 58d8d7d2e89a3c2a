//! The consent each user has given each client, so that users are not asked twice.

use std::collections::{BTreeMap, BTreeSet};

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::{OnConflict, SelectStatement};
use sea_orm::{QueryOrder, QuerySelect, QueryTrait, Set};

use super::{Result, StoreError, Tx, from_json, json, versions};
use crate::domain::client::RedirectAssurance;
use crate::domain::ids::{ApiId, ClientId, UserId};
use crate::domain::permissions::Permissions;
use crate::domain::version::{VersionedEntity, Versions};
use crate::env::Timestamp;

mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "consent")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub user_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub client_id: String,
        #[sea_orm(column_type = "Text")]
        pub allowed: String,
        #[sea_orm(column_type = "Text")]
        pub remembered: String,
        /// The version of each API in `allowed` when the user allowed it.
        #[sea_orm(column_type = "Text")]
        pub api_versions: String,
        pub created_at: i64,
        pub updated_at: i64,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

#[derive(Clone, Debug)]
pub struct StoredConsent {
    pub client: ClientId,
    /// Everything the user has allowed, in any way.
    pub allowed: Permissions,
    remembered: Remembered,
    pub created_at: Timestamp,
    api_versions: ApiVersions,
}

type ApiVersions = BTreeMap<ApiId, i64>;

/// What was allowed in redirects that identified the client, by [`key`].
type Remembered = BTreeMap<String, Permissions>;

/// The maximum number of redirect keys remembered for one user and client. If there are more, the first by name are
/// dropped.
const MAX_REMEMBERED_REDIRECTS: usize = 16;

fn key(identified: &RedirectAssurance) -> &str {
    match identified {
        RedirectAssurance::ClientAuthentication => "",
        RedirectAssurance::HttpsHost(place) => place,
    }
}

impl StoredConsent {
    /// Returns the permissions that need no new consent for a redirect that identifies the client in the same way.
    #[must_use]
    pub fn remembered(&self, identified: &[RedirectAssurance]) -> Permissions {
        let known = identified.iter().filter_map(|way| self.remembered.get(key(way)));
        known.fold(Permissions::default(), |all, remembered| all.extended_by(remembered))
    }

    /// Returns what was allowed in redirects, or everything if no redirect has identified the client. What a user
    /// allows on a device applies to that device only.
    #[must_use]
    pub fn for_redirects(&self) -> Permissions {
        if self.remembered.is_empty() {
            return self.allowed.clone();
        }
        self.remembered.values().fold(Permissions::default(), |all, here| all.extended_by(here))
    }

    /// Returns the consent without permissions for APIs that are deleted, or that have been replaced by another API of
    /// the same name.
    fn without_removed_apis(self, current: &ApiVersions) -> Self {
        let is_current = |api: &ApiId| self.api_versions.get(api).is_some_and(|then| current.get(api) == Some(then));
        let left = |of: Permissions| Permissions { apis: of.apis.filtered_apis(is_current), ..of };
        let remembered = self.remembered.iter().map(|(key, of)| (key.clone(), left(of.clone()))).collect();
        Self { allowed: left(self.allowed.clone()), remembered, ..self }
    }
}

/// Returns the current versions of the APIs in these permissions.
async fn versions_of<'a, C: ConnectionTrait>(
    conn: &C,
    permissions: impl Iterator<Item = &'a Permissions>,
) -> Result<ApiVersions> {
    let apis: BTreeSet<&ApiId> = permissions.flat_map(|permissions| permissions.apis.apis()).collect();
    let versioned: Vec<VersionedEntity> = apis.iter().map(|api| VersionedEntity::Api((*api).clone())).collect();
    let versions = versions::read(conn, &versioned).await?;
    Ok(apis.into_iter().cloned().zip(versions).collect())
}

impl TryFrom<row::Model> for StoredConsent {
    type Error = StoreError;

    fn try_from(row: row::Model) -> Result<Self> {
        let corrupt = |column| StoreError::Corrupt { table: "consent", column };
        Ok(Self {
            client: ClientId::parse(&row.client_id).map_err(|_| corrupt("client_id"))?,
            allowed: from_json(&row.allowed, "consent", "allowed")?,
            remembered: from_json(&row.remembered, "consent", "remembered")?,
            created_at: Timestamp(row.created_at),
            api_versions: from_json(&row.api_versions, "consent", "api_versions")?,
        })
    }
}

/// Selects every client that has a consent.
pub(super) fn clients() -> SelectStatement {
    row::Entity::find().select_only().column(row::Column::ClientId).into_query()
}

/// Returns a user's consent to a client, or `None` if there is none.
pub async fn find<C: ConnectionTrait>(conn: &C, user: UserId, client: &ClientId) -> Result<Option<StoredConsent>> {
    let found = row::Entity::find_by_id((user.0, client.as_str().to_owned())).one(conn).await?;
    let Some(given) = found.map(StoredConsent::try_from).transpose()? else { return Ok(None) };
    let current = versions_of(conn, std::iter::once(&given.allowed)).await?;
    Ok(Some(given.without_removed_apis(&current)))
}

/// Adds to a user's consent to a client. Later redirects that identify the client in the same way need no new consent
/// for it. `versions` are those of the APIs that the user was asked about, so that an API of the same name created
/// meanwhile gets no permissions.
pub async fn give(
    tx: &Tx,
    user: UserId,
    client: &ClientId,
    (given, versions): (&Permissions, &Versions),
    identified: &[RedirectAssurance],
) -> Result<()> {
    let before = find(tx.conn(), user, client).await?;
    let (allowed, mut remembered, mut api_versions) =
        before.map(|before| (before.allowed, before.remembered, before.api_versions)).unwrap_or_default();
    for way in identified {
        let here = remembered.remove(key(way)).unwrap_or_default().extended_by(given);
        while remembered.len() >= MAX_REMEMBERED_REDIRECTS {
            remembered.pop_first();
        }
        remembered.insert(key(way).to_owned(), here);
    }
    let allowed = allowed.extended_by(given);
    let asked = |api: &ApiId| Some((api.clone(), versions.get(&VersionedEntity::Api(api.clone()))?));
    api_versions.extend(given.apis.apis().filter_map(asked));
    api_versions.retain(|api, _| allowed.apis.has_api(api));
    let model = row::ActiveModel {
        user_id: Set(user.0),
        client_id: Set(client.as_str().to_owned()),
        allowed: Set(json(&allowed, "consent", "allowed")?),
        remembered: Set(json(&remembered, "consent", "remembered")?),
        api_versions: Set(json(&api_versions, "consent", "api_versions")?),
        created_at: Set(tx.now().0),
        updated_at: Set(tx.now().0),
    };
    let replace = OnConflict::columns([row::Column::UserId, row::Column::ClientId])
        .update_columns([
            row::Column::Allowed,
            row::Column::Remembered,
            row::Column::ApiVersions,
            row::Column::UpdatedAt,
        ])
        .to_owned();
    row::Entity::insert(model).on_conflict(replace).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// Returns whether any user has given the client consent.
pub async fn has_any<C: ConnectionTrait>(conn: &C, client: &ClientId) -> Result<bool> {
    let one = row::Entity::find().filter(row::Column::ClientId.eq(client.as_str())).limit(1).one(conn).await?;
    Ok(one.is_some())
}

pub async fn of_user<C: ConnectionTrait>(conn: &C, user: UserId) -> Result<Vec<StoredConsent>> {
    let rows = row::Entity::find()
        .filter(row::Column::UserId.eq(user.0))
        .order_by_desc(row::Column::UpdatedAt)
        .limit(500)
        .all(conn)
        .await?;
    let all = rows.into_iter().map(StoredConsent::try_from).collect::<Result<Vec<StoredConsent>>>()?;
    let current = versions_of(conn, all.iter().map(|given| &given.allowed)).await?;
    Ok(all.into_iter().map(|given| given.without_removed_apis(&current)).collect())
}

/// Deletes a user's consent to a client. Returns whether there was one.
pub async fn delete(tx: &Tx, user: UserId, client: &ClientId) -> Result<bool> {
    Ok(row::Entity::delete_by_id((user.0, client.as_str().to_owned())).exec(tx.conn()).await?.rows_affected > 0)
}

/// Deletes all consents of a user. Returns the number of clients.
pub async fn delete_of_user(tx: &Tx, user: UserId) -> Result<u64> {
    let done = row::Entity::delete_many().filter(row::Column::UserId.eq(user.0)).exec(tx.conn()).await?;
    Ok(done.rows_affected)
}

pub async fn delete_of_client(tx: &Tx, client: &ClientId) -> Result<()> {
    row::Entity::delete_many().filter(row::Column::ClientId.eq(client.as_str())).exec(tx.conn()).await?;
    Ok(())
}
