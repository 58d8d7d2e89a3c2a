//! Users. [`super::groups`] has their groups. A change of a user is published to every node before any row is written:
//! two transactions that each locked rows and then published the other's would deadlock.

use std::collections::HashMap;

use sea_orm::entity::prelude::*;
use sea_orm::{IntoActiveModel, QueryOrder, QuerySelect};

use super::cache::Stripes;
pub use super::groups::{
    all_groups, delete_group, groups_of, groups_of_all, insert_group, join, member_counts, set_groups,
};
use super::{
    ChangeEvent, Result, StoreError, Tx, contains_pattern, from_json, groups, json, quotas, sign_in_names,
    taken_usernames, versions,
};
use crate::domain::ids::UserId;
use crate::domain::user::{PasswordHash, User, UserSummary, Username};
use crate::env::Timestamp;

mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "person")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub username: String,
        pub email_unproven: bool,
        #[sea_orm(column_type = "Text")]
        pub profile: String,
        /// The text that a search matches: username, email address and name, one per line.
        #[sea_orm(column_type = "Text")]
        pub searched: String,
        #[sea_orm(column_type = "Text", nullable)]
        pub password_hash: Option<String>,
        /// The cost class of verifying the hash (`PasswordHash::cost_class`).
        #[sea_orm(column_type = "Text", nullable)]
        pub password_work: Option<String>,
        pub password_changed_at: Option<i64>,
        pub admin: bool,
        pub disabled: bool,
        pub self_registered: bool,
        pub created_at: i64,
        pub updated_at: i64,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

/// The maximum number of cost classes of imported password hashes. If there are more, the cheapest are left out.
const MAX_WORK_FACTORS: usize = 32;

impl TryFrom<row::Model> for User {
    type Error = StoreError;

    fn try_from(row: row::Model) -> Result<Self> {
        Ok(Self {
            id: UserId(row.id),
            username: Username::parse(&row.username)
                .map_err(|_| StoreError::Corrupt { table: "person", column: "username" })?,
            profile: from_json(&row.profile, "person", "profile")?,
            email_unconfirmed: row.email_unproven,
            password: row.password_hash.map(PasswordHash),
            password_changed_at: row.password_changed_at.map(Timestamp),
            admin: row.admin,
            disabled: row.disabled,
            self_registered: row.self_registered,
            created_at: Timestamp(row.created_at),
            updated_at: Timestamp(row.updated_at),
        })
    }
}

fn row(user: &User) -> Result<row::Model> {
    let (name, email) = (user.profile.name.as_deref(), user.profile.email.as_deref());
    let lines = [Some(user.username.as_str()), email, name].into_iter().flatten().map(Username::folded);
    Ok(row::Model {
        id: user.id.0,
        username: user.username.as_str().to_owned(),
        email_unproven: user.email_unconfirmed,
        profile: json(&user.profile, "person", "profile")?,
        searched: lines.collect::<Vec<_>>().join("\n"),
        password_hash: user.password.as_ref().map(|hash| hash.0.clone()),
        password_work: user.password.as_ref().map(PasswordHash::cost_class),
        password_changed_at: user.password_changed_at.map(|at| at.0),
        admin: user.admin,
        disabled: user.disabled,
        self_registered: user.self_registered,
        created_at: user.created_at.0,
        updated_at: user.updated_at.0,
    })
}

/// Inserts new users.
///
/// # Errors
/// Returns [`StoreError::SignInNamesTaken`] if another user, or another one of `users`, signs in with a name of one of
/// them.
pub async fn insert(tx: &Tx, users: &[User]) -> Result<()> {
    if users.is_empty() {
        return Ok(());
    }
    let names: Vec<&Username> = users.iter().map(|user| &user.username).collect();
    taken_usernames::reserve_all(tx, &names).await?;
    sign_in_names::add(tx, users).await?;
    let rows = users.iter().map(|user| Ok(row(user)?.into_active_model())).collect::<Result<Vec<_>>>()?;
    row::Entity::insert_many(rows).exec_without_returning(tx.conn()).await?;
    let ids: Vec<UserId> = users.iter().map(|user| user.id).collect();
    versions::begin_users(tx, &ids).await
}

/// Writes every column of an existing user.
pub async fn update(tx: &Tx, user: &User) -> Result<()> {
    let row = row(user)?.into_active_model().reset_all();
    changed(tx, user.id).await?;
    sign_in_names::set(tx, user).await?;
    row::Entity::update_many().set(row).filter(row::Column::Id.eq(user.id.0)).exec(tx.conn()).await?;
    Ok(())
}

/// Releases the email address of a user who is about to get another one, so that another user can get it in the same
/// transaction.
pub async fn release_email(tx: &Tx, user: &User) -> Result<()> {
    match user.sign_in_email() {
        Some(email) => sign_in_names::free(tx, user.id, &Username::folded(email)).await,
        None => Ok(()),
    }
}

/// Returns those of `names` (case-folded) that a user other than `own` signs in with.
pub async fn taken_names<C: ConnectionTrait>(conn: &C, names: &[&str], own: Option<UserId>) -> Result<Vec<String>> {
    sign_in_names::taken(conn, names, own).await
}

async fn changed(tx: &Tx, id: UserId) -> Result<()> {
    tx.publish(ChangeEvent::People(Stripes::from_iter(&[id]))).await
}

/// Replaces only the password hash, and only if it is still `old`: a rehash must not undo a concurrent change.
pub async fn replace_password_hash(tx: &Tx, id: UserId, old: &PasswordHash, new: &PasswordHash) -> Result<()> {
    row::Entity::update_many()
        .col_expr(row::Column::PasswordHash, Expr::value(new.0.clone()))
        .col_expr(row::Column::PasswordWork, Expr::value(new.cost_class()))
        .filter(row::Column::Id.eq(id.0))
        .filter(row::Column::PasswordHash.eq(old.0.clone()))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// Returns one password hash of each cost class, the costliest first, up to [`MAX_WORK_FACTORS`]. Each takes one index
/// lookup.
pub async fn one_hash_per_work_factor<C: ConnectionTrait>(conn: &C) -> Result<Vec<PasswordHash>> {
    let mut found: Vec<(String, PasswordHash)> = Vec::new();
    while found.len() < MAX_WORK_FACTORS {
        let mut query = row::Entity::find()
            .select_only()
            .column(row::Column::PasswordWork)
            .column(row::Column::PasswordHash)
            .filter(row::Column::PasswordWork.is_not_null());
        if let Some((last, _)) = found.last() {
            query = query.filter(row::Column::PasswordWork.lt(last.clone()));
        }
        let next: Option<(String, String)> =
            query.order_by_desc(row::Column::PasswordWork).limit(1).into_tuple().one(conn).await?;
        let Some((work, hash)) = next else { break };
        found.push((work, PasswordHash(hash)));
    }
    Ok(found.into_iter().map(|(_, hash)| hash).collect())
}

pub async fn delete(tx: &Tx, id: UserId) -> Result<()> {
    changed(tx, id).await?;
    versions::end_user(tx, id).await?;
    sign_in_names::delete_of_user(tx, id).await?;
    groups::remove_from_all(tx, id).await?;
    row::Entity::delete_by_id(id.0).exec(tx.conn()).await?;
    Ok(())
}

pub async fn by_id<C: ConnectionTrait>(conn: &C, id: UserId) -> Result<Option<User>> {
    row::Entity::find_by_id(id.0).one(conn).await?.map(User::try_from).transpose()
}

/// Returns the summary of a user, or `None` if the user does not exist or is disabled.
pub async fn summary_if_enabled<C: ConnectionTrait>(conn: &C, id: UserId) -> Result<Option<UserSummary>> {
    let Some(user) = by_id(conn, id).await?.filter(|user| !user.disabled) else { return Ok(None) };
    Ok(Some(UserSummary::from_user(&user, groups_of(conn, id).await?)))
}

pub async fn by_username<C: ConnectionTrait>(conn: &C, name: &Username) -> Result<Option<User>> {
    let found = row::Entity::find().filter(row::Column::Username.eq(name.as_str())).one(conn).await?;
    found.map(User::try_from).transpose()
}

/// Returns the users with these usernames.
pub async fn by_usernames<C: ConnectionTrait>(conn: &C, names: &[&Username]) -> Result<HashMap<Username, User>> {
    let names = row::Column::Username.is_in(names.iter().map(|name| name.as_str()));
    let found = row::Entity::find().filter(names).all(conn).await?;
    found.into_iter().map(|row| User::try_from(row).map(|user| (user.username.clone(), user))).collect()
}

/// Returns those of these users that exist, and locks them until the transaction ends. They are locked in the order of
/// their ids, so that transactions that lock several do not deadlock.
pub async fn lock_all_for_update(tx: &Tx, ids: &[UserId]) -> Result<Vec<User>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    row::Entity::find()
        .filter(row::Column::Id.is_in(ids.iter().map(|id| id.0)))
        .order_by_asc(row::Column::Id)
        .lock_exclusive()
        .all(tx.conn())
        .await?
        .into_iter()
        .map(User::try_from)
        .collect()
}

/// Returns the user and locks it until the transaction ends.
pub async fn lock_for_update(tx: &Tx, id: UserId) -> Result<Option<User>> {
    row::Entity::find_by_id(id.0).lock_exclusive().one(tx.conn()).await?.map(User::try_from).transpose()
}

/// Returns whether the user exists, is enabled and, if `password_as_of` is given, still has the password set at that
/// time. Locks the user, so that this stays true until the transaction ends.
pub async fn lock_if_enabled(tx: &Tx, id: UserId, password_as_of: Option<Timestamp>) -> Result<bool> {
    let found = row::Entity::find_by_id(id.0).lock_exclusive().one(tx.conn()).await?;
    Ok(found.is_some_and(|row| {
        !row.disabled && password_as_of.is_none_or(|at| row.password_changed_at.is_some_and(|changed| changed == at.0))
    }))
}

/// Returns the user who signs in with the entered username or email address. No two users share one. It is one
/// statement that takes equally long if there is no such user.
pub async fn by_login<C: ConnectionTrait>(conn: &C, typed: &str) -> Result<Option<User>> {
    let found = row::Entity::find().filter(row::Column::Id.in_subquery(sign_in_names::owner(typed)));
    found.one(conn).await?.map(User::try_from).transpose()
}

/// The criteria of a list of users.
#[derive(Clone, Debug, Default)]
pub struct UserFilter {
    /// Part of a username, name or email address.
    pub text: String,
    pub disabled: Option<bool>,
    pub admin: Option<bool>,
    pub after: Option<Username>,
    pub most: u64,
}

/// Returns the matching users by username, starting after `after`.
pub async fn list<C: ConnectionTrait>(conn: &C, filter: &UserFilter) -> Result<Vec<User>> {
    let mut query = row::Entity::find().order_by_asc(row::Column::Username).limit(filter.most);
    if !filter.text.is_empty() {
        query = query.filter(row::Column::Searched.like(contains_pattern(&Username::folded(&filter.text))));
    }
    if let Some(disabled) = filter.disabled {
        query = query.filter(row::Column::Disabled.eq(disabled));
    }
    if let Some(admin) = filter.admin {
        query = query.filter(row::Column::Admin.eq(admin));
    }
    if let Some(after) = &filter.after {
        query = query.filter(row::Column::Username.gt(after.as_str()));
    }
    query.all(conn).await?.into_iter().map(User::try_from).collect()
}

pub async fn count<C: ConnectionTrait>(conn: &C) -> Result<u64> {
    Ok(row::Entity::find().count(conn).await?)
}

/// Returns the enabled users who are in any of these groups, by username, and their total number.
pub async fn in_groups<C: ConnectionTrait>(conn: &C, names: &[String], most: u64) -> Result<(Vec<User>, u64)> {
    let query = row::Entity::find()
        .filter(row::Column::Disabled.eq(false))
        .filter(row::Column::Id.in_subquery(groups::select_members_of(names)));
    let count = query.clone().count(conn).await?;
    let found = query.order_by_asc(row::Column::Username).limit(most).all(conn).await?;
    Ok((found.into_iter().map(User::try_from).collect::<Result<_>>()?, count))
}

/// Returns the number of disabled users.
pub async fn count_disabled<C: ConnectionTrait>(conn: &C) -> Result<u64> {
    Ok(row::Entity::find().filter(row::Column::Disabled.eq(true)).count(conn).await?)
}

/// Returns the users that exist among these ids.
pub async fn by_ids<C: ConnectionTrait>(conn: &C, ids: &[UserId]) -> Result<Vec<User>> {
    let ids = ids.iter().map(|id| id.0);
    let found = row::Entity::find().filter(row::Column::Id.is_in(ids)).all(conn).await?;
    found.into_iter().map(User::try_from).collect()
}

/// Returns whether there is an administrator. The set-up page is only available while there is none.
pub async fn has_admin<C: ConnectionTrait>(conn: &C) -> Result<bool> {
    let found = row::Entity::find().filter(row::Column::Admin.eq(true)).limit(1).one(conn).await?;
    Ok(found.is_some())
}

/// Returns whether at least `most` users are marked as self-registered.
pub async fn has_self_registered_at_least<C: ConnectionTrait>(conn: &C, most: u32) -> Result<bool> {
    let most = i64::from(most);
    let sql = "SELECT 1 FROM person WHERE self_registered = $1 LIMIT $2";
    Ok(quotas::count(conn, sql, vec![true.into(), most.into()]).await? >= most)
}

pub async fn any<C: ConnectionTrait>(conn: &C) -> Result<bool> {
    Ok(row::Entity::find().limit(1).one(conn).await?.is_some())
}

/// Returns the number of enabled administrators other than `id`.
pub async fn count_other_admins<C: ConnectionTrait>(conn: &C, id: UserId) -> Result<u64> {
    Ok(row::Entity::find()
        .filter(row::Column::Admin.eq(true))
        .filter(row::Column::Disabled.eq(false))
        .filter(row::Column::Id.ne(id.0))
        .count(conn)
        .await?)
}
