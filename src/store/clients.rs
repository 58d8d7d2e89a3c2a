//! Clients: the metadata as one document, with columns for what is searched by.

use sea_orm::entity::prelude::*;
use sea_orm::{Condition, IntoActiveModel, QueryOrder, QuerySelect};

use super::{
    Result, StoreError, Tx, api_keys, client_groups, consents, contains_pattern, digest, from_json, grants, json,
    versions,
};
use crate::domain::client::{Client, ClientKind, ClientSecretAtRest, RegistrationKind};
use crate::domain::ids::{ApiId, ClientId, UserId};
use crate::domain::redirect_uri::RedirectUri;
use crate::domain::version::VersionedEntity;
use crate::env::Timestamp;

mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "client")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: String,
        pub name: String,
        pub kind: String,
        /// The text that a search matches.
        #[sea_orm(column_type = "Text")]
        pub searched: String,
        #[sea_orm(column_type = "Text")]
        pub metadata: String,
        #[sea_orm(column_type = "Text", nullable)]
        pub secret_hash: Option<String>,
        #[sea_orm(column_type = "Text")]
        pub signature_keys: String,
        pub disabled: bool,
        /// Whether the client is in every user's list of apps.
        pub opens_here: bool,
        pub registered: String,
        pub registration_digest: Option<Vec<u8>>,
        pub incarnation: i64,
        pub created_at: i64,
        pub updated_at: i64,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

impl TryFrom<row::Model> for Client {
    type Error = StoreError;

    fn try_from(row: row::Model) -> Result<Self> {
        Ok(Self {
            id: ClientId::parse(&row.id).map_err(|_| StoreError::Corrupt { table: "client", column: "id" })?,
            meta: from_json(&row.metadata, "client", "metadata")?,
            secret: row.secret_hash.map(ClientSecretAtRest),
            signature_keys: from_json(&row.signature_keys, "client", "signature_keys")?,
            disabled: row.disabled,
            registration_kind: RegistrationKind::parse(&row.registered)
                .ok_or(StoreError::Corrupt { table: "client", column: "registered" })?,
            registration_token: row
                .registration_digest
                .map(|bytes| digest(bytes, "client", "registration_digest"))
                .transpose()?,
            created_at: Timestamp(row.created_at),
            updated_at: Timestamp(row.updated_at),
            incarnation: row.incarnation,
            version: 0,
            settings_version: 0,
        })
    }
}

fn row(client: &Client) -> Result<row::Model> {
    Ok(row::Model {
        id: client.id.as_str().to_owned(),
        name: client.display_name().to_lowercase(),
        kind: client.kind().as_str().to_owned(),
        searched: searched(client),
        metadata: json(&client.meta, "client", "metadata")?,
        secret_hash: client.secret.as_ref().map(|hash| hash.0.clone()),
        signature_keys: json(&client.signature_keys, "client", "signature_keys")?,
        disabled: client.disabled,
        opens_here: client.is_launchable(),
        registered: client.registration_kind.as_str().to_owned(),
        registration_digest: client.registration_token.map(|digest| digest.0.to_vec()),
        incarnation: client.incarnation,
        created_at: client.created_at.0,
        updated_at: client.updated_at.0,
    })
}

/// Returns the client's name, id and addresses, one per line.
fn searched(client: &Client) -> String {
    let addresses = client.meta.redirect_uris.iter().chain(&client.meta.post_logout_redirect_uris);
    let mut lines = vec![client.display_name(), client.id.as_str()];
    lines.extend(addresses.map(RedirectUri::as_str));
    lines.join("\n").to_lowercase()
}

/// Inserts a client, which begins a new incarnation of its id.
pub async fn insert(tx: &Tx, client: &Client) -> Result<()> {
    let incarnation = versions::begin(tx, &VersionedEntity::Client(client.id.clone())).await?;
    let model = row::Model { incarnation, ..row(client)? };
    row::Entity::insert(model.into_active_model()).exec_without_returning(tx.conn()).await?;
    client_groups::put(tx, &client.id, &client.meta.allowed_groups).await?;
    versions::increment_settings(tx, &client.id).await
}

/// Writes every column of an existing client if its settings still have the version in which it was read.
///
/// # Errors
/// Returns [`StoreError::Changed`] if they do not, or if the client was read without its version: the update would undo
/// another transaction's change.
pub async fn update(tx: &Tx, client: &Client) -> Result<()> {
    if !versions::increment_settings_if_current(tx, &client.id, client.settings_version).await? {
        return Err(StoreError::Conflict);
    }
    let model = row(client)?.into_active_model().reset_all();
    row::Entity::update_many().set(model).filter(row::Column::Id.eq(client.id.as_str())).exec(tx.conn()).await?;
    client_groups::put(tx, &client.id, &client.meta.allowed_groups).await
}

pub async fn delete(tx: &Tx, id: &ClientId) -> Result<()> {
    row::Entity::delete_by_id(id.as_str()).exec(tx.conn()).await?;
    client_groups::put(tx, id, &[]).await?;
    versions::increment_settings(tx, id).await.map(drop)
}

pub async fn by_id<C: ConnectionTrait>(conn: &C, id: &ClientId) -> Result<Option<Client>> {
    row::Entity::find_by_id(id.as_str()).one(conn).await?.map(Client::try_from).transpose()
}

/// Returns a client with its versions, for issuing to it.
pub(super) async fn with_versions<C: ConnectionTrait>(conn: &C, id: &ClientId) -> Result<(Option<Client>, i64, i64)> {
    let of = [VersionedEntity::Client(id.clone()), VersionedEntity::ClientSettings(id.clone())];
    // Read before the client: if the client changes in between, the versions are too old, never too new.
    let versions = versions::read(conn, &of).await?;
    let (version, settings_version) = match versions.as_slice() {
        [version, settings_version] => (*version, *settings_version),
        _ => (0, 0),
    };
    let client = by_id(conn, id).await?.map(|client| Client { version, settings_version, ..client });
    Ok((client, version, settings_version))
}

/// Returns a client and locks it until the transaction ends. A caller that locks several clients does so in the order
/// of their ids.
pub async fn lock_for_update(tx: &Tx, id: &ClientId) -> Result<Option<Client>> {
    let found = row::Entity::find_by_id(id.as_str()).lock_exclusive().one(tx.conn()).await?;
    let Some(client) = found.map(Client::try_from).transpose()? else { return Ok(None) };
    // Only holders of the row's lock change the version, so this is the version of the row.
    let of = [VersionedEntity::Client(id.clone()), VersionedEntity::ClientSettings(id.clone())];
    let versions = versions::read(tx.conn(), &of).await?;
    let version = |at: usize| versions.get(at).copied().unwrap_or_default();
    Ok(Some(Client { version: version(0), settings_version: version(1), ..client }))
}

/// The criteria of a list of clients.
#[derive(Clone, Debug, Default)]
pub struct ClientFilter {
    /// Part of an id, a name or an address.
    pub text: String,
    pub kind: Option<ClientKind>,
    pub disabled: Option<bool>,
    /// The cursor: shown name, then id.
    pub after: Option<(String, ClientId)>,
    pub most: u64,
}

/// Returns the matching clients by name, starting after `after`.
pub async fn list<C: ConnectionTrait>(conn: &C, filter: &ClientFilter) -> Result<Vec<Client>> {
    let mut query =
        row::Entity::find().order_by_asc(row::Column::Name).order_by_asc(row::Column::Id).limit(filter.most);
    if !filter.text.is_empty() {
        query = query.filter(row::Column::Searched.like(contains_pattern(&filter.text.trim().to_lowercase())));
    }
    if let Some(kind) = filter.kind {
        query = query.filter(row::Column::Kind.eq(kind.as_str()));
    }
    if let Some(disabled) = filter.disabled {
        query = query.filter(row::Column::Disabled.eq(disabled));
    }
    if let Some((name, id)) = &filter.after {
        let name = name.to_lowercase();
        query = query.filter(
            Condition::any()
                .add(row::Column::Name.gt(name.clone()))
                .add(Condition::all().add(row::Column::Name.eq(name)).add(row::Column::Id.gt(id.as_str()))),
        );
    }
    query.all(conn).await?.into_iter().map(Client::try_from).collect()
}

/// Returns the clients that exist among these ids.
pub async fn by_ids<C: ConnectionTrait>(conn: &C, ids: &[ClientId]) -> Result<Vec<Client>> {
    let ids = ids.iter().map(ClientId::as_str);
    row::Entity::find().filter(row::Column::Id.is_in(ids)).all(conn).await?.into_iter().map(Client::try_from).collect()
}

/// Returns the clients with that shown name, ignoring letter case.
pub async fn by_name<C: ConnectionTrait>(conn: &C, name: &str) -> Result<Vec<ClientId>> {
    let ids: Vec<String> = row::Entity::find()
        .select_only()
        .column(row::Column::Id)
        .filter(row::Column::Name.eq(name.to_lowercase()))
        .limit(20)
        .into_tuple()
        .all(conn)
        .await?;
    Ok(ids.iter().filter_map(|id| ClientId::parse(id).ok()).collect())
}

/// Returns the first-party apps that a user may open, by name.
pub async fn launchable_by<C: ConnectionTrait>(conn: &C, user: UserId, most: u64) -> Result<Vec<Client>> {
    let found = row::Entity::find()
        .filter(row::Column::OpensHere.eq(true))
        .filter(open_to_condition(user))
        .order_by_asc(row::Column::Name)
        .limit(most)
        .all(conn)
        .await?;
    found.into_iter().map(Client::try_from).collect()
}

/// Returns the enabled apps that a user may sign in to, by name.
pub async fn usable_by<C: ConnectionTrait>(conn: &C, user: UserId, most: u64) -> Result<Vec<Client>> {
    let found =
        usable(user).order_by_asc(row::Column::Name).order_by_asc(row::Column::Id).limit(most).all(conn).await?;
    found.into_iter().map(Client::try_from).collect()
}

/// Returns the number of enabled apps that a user may sign in to.
pub async fn count_usable_by<C: ConnectionTrait>(conn: &C, user: UserId) -> Result<u64> {
    Ok(usable(user).count(conn).await?)
}

fn usable(user: UserId) -> Select<row::Entity> {
    row::Entity::find()
        .filter(row::Column::Disabled.eq(false))
        .filter(row::Column::Kind.ne(ClientKind::Machine.as_str()))
        .filter(open_to_condition(user))
}

fn open_to_condition(user: UserId) -> Condition {
    Condition::any()
        .add(row::Column::Id.not_in_subquery(client_groups::select_restricted_clients()))
        .add(row::Column::Id.in_subquery(client_groups::select_clients_open_to(user)))
}

pub async fn count<C: ConnectionTrait>(conn: &C) -> Result<u64> {
    Ok(row::Entity::find().count(conn).await?)
}

/// Returns the number of clients that were registered in that way.
pub async fn count_registered<C: ConnectionTrait>(conn: &C, how: RegistrationKind) -> Result<u64> {
    Ok(row::Entity::find().filter(row::Column::Registered.eq(how.as_str())).count(conn).await?)
}

/// Returns some of the self-registered clients that have not changed since then and have no consent, grant or API key.
/// Without these they have signed in no user and passed no gate.
pub async fn unused<C: ConnectionTrait>(conn: &C, since: Timestamp, most: u64) -> Result<Vec<ClientId>> {
    ids(select_unused_since(since).limit(most), conn).await
}

/// Returns whether a client is one that [`unused`] selects.
pub async fn is_unused<C: ConnectionTrait>(conn: &C, id: &ClientId, since: Timestamp) -> Result<bool> {
    Ok(!ids(select_unused_since(since).filter(row::Column::Id.eq(id.as_str())), conn).await?.is_empty())
}

fn select_unused_since(since: Timestamp) -> Select<row::Entity> {
    row::Entity::find()
        .filter(row::Column::Registered.eq(RegistrationKind::Dynamic.as_str()))
        .filter(row::Column::UpdatedAt.lt(since.0))
        .filter(row::Column::Id.not_in_subquery(consents::clients()))
        .filter(row::Column::Id.not_in_subquery(grants::clients()))
        // An administrator has made the client first-party since, so users are no longer asked for consent.
        .filter(row::Column::Metadata.not_like("%\"consent\":\"trusted\"%"))
        .filter(row::Column::Id.not_in_subquery(api_keys::clients()))
}

async fn ids<C: ConnectionTrait>(query: Select<row::Entity>, conn: &C) -> Result<Vec<ClientId>> {
    let mut found: Vec<String> = query.select_only().column(row::Column::Id).into_tuple().all(conn).await?;
    found.sort_unstable();
    let parsed = |id: &String| ClientId::parse(id).map_err(|_| StoreError::Corrupt { table: "client", column: "id" });
    found.iter().map(parsed).collect()
}

/// Returns the clients that may request a scope of an API, in lock order.
pub async fn with_api_scopes(tx: &Tx, api: &ApiId) -> Result<Vec<ClientId>> {
    let named = json(&api.as_str(), "api", "identifier")?;
    matching_metadata(tx, &named, |client| client.meta.api_scopes.has_api(api)).await
}

/// Returns the clients whose metadata refers to an API in any way, in lock order.
pub async fn referencing_api(tx: &Tx, api: &ApiId) -> Result<Vec<ClientId>> {
    let named = json(&api.as_str(), "api", "identifier")?;
    let names = |client: &Client| client.meta.api_scopes.has_api(api) || client.meta.introspection_apis.contains(api);
    matching_metadata(tx, &named, names).await
}

/// Returns the clients that may request a scope of that name that belongs to no API, in lock order.
pub async fn with_general_scope(tx: &Tx, scope: &str) -> Result<Vec<ClientId>> {
    matching_metadata(tx, scope, |client| client.meta.scope.contains(scope)).await
}

/// Returns the clients that may exchange tokens of another client, in lock order.
pub async fn with_exchange_policy_for(tx: &Tx, other: &ClientId) -> Result<Vec<ClientId>> {
    let named = json(&other.as_str(), "client", "id")?;
    let names = |client: &Client| client.meta.token_exchange.iter().any(|policy| policy.client == *other);
    matching_metadata(tx, &format!("\"client\":{named}"), names).await
}

/// Returns the clients whose metadata contains `part` and that satisfy `meant`. They are not locked: a caller that
/// changes them must read them again.
async fn matching_metadata(tx: &Tx, part: &str, meant: impl Fn(&Client) -> bool) -> Result<Vec<ClientId>> {
    let query = row::Entity::find().filter(row::Column::Metadata.like(contains_pattern(part)));
    let mut found = Vec::new();
    for row in query.all(tx.conn()).await? {
        let client = Client::try_from(row)?;
        if meant(&client) {
            found.push(client.id);
        }
    }
    // Sorted here, because the engines sort differently.
    found.sort();
    Ok(found)
}

/// Returns the number of disabled clients.
pub async fn count_disabled<C: ConnectionTrait>(conn: &C) -> Result<u64> {
    Ok(row::Entity::find().filter(row::Column::Disabled.eq(true)).count(conn).await?)
}
