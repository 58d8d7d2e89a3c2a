//! People and the groups they are in. Whoever changes somebody tells every node, before any row is touched: two
//! transactions that each lock rows the other one tells of would wait for each other.

use std::collections::HashMap;

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;
use sea_orm::{Condition, IntoActiveModel, QueryOrder, QuerySelect, Set};

use super::kept::Stripes;
use super::{Change, Result, StoreError, Tx, from_json, json, quotas, usernames, versions, with_part};
use crate::domain::ids::UserId;
use crate::domain::user::{PasswordHash, Person, User, Username};
use crate::domain::version::Versioned;
use crate::env::Timestamp;

mod person {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "person")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        pub username: String,
        /// Of the address that is theirs alone.
        pub email_folded: Option<String>,
        pub email_unproven: bool,
        #[sea_orm(column_type = "Text")]
        pub profile: String,
        /// What a search looks through: username, email address and name, a line each.
        #[sea_orm(column_type = "Text")]
        pub searched: String,
        #[sea_orm(column_type = "Text", nullable)]
        pub password_hash: Option<String>,
        /// What verifying the hash costs (`PasswordHash::work`).
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

mod group {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "person_group")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub name: String,
        pub created_at: i64,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

mod membership {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "membership")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub user_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub group_name: String,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

/// Kinds of imported password hashes that are told apart.
const MAX_WORKS: usize = 32;

impl TryFrom<person::Model> for User {
    type Error = StoreError;

    fn try_from(row: person::Model) -> Result<Self> {
        Ok(Self {
            id: UserId(row.id),
            username: Username::parse(&row.username)
                .map_err(|_| StoreError::Corrupt { table: "person", column: "username" })?,
            profile: from_json(&row.profile, "person", "profile")?,
            email_unproven: row.email_unproven,
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

fn row(user: &User) -> Result<person::Model> {
    let (name, email) = (user.profile.name.as_deref(), user.profile.email.as_deref());
    let lines = [Some(user.username.as_str()), email, name].into_iter().flatten().map(Username::folded);
    Ok(person::Model {
        id: user.id.0,
        username: user.username.as_str().to_owned(),
        email_folded: user.own_email().map(Username::folded),
        email_unproven: user.email_unproven,
        profile: json(&user.profile, "person", "profile")?,
        searched: lines.collect::<Vec<_>>().join("\n"),
        password_hash: user.password.as_ref().map(|hash| hash.0.clone()),
        password_work: user.password.as_ref().map(PasswordHash::work),
        password_changed_at: user.password_changed_at.map(|at| at.0),
        admin: user.admin,
        disabled: user.disabled,
        self_registered: user.self_registered,
        created_at: user.created_at.0,
        updated_at: user.updated_at.0,
    })
}

pub async fn insert(tx: &Tx, user: &User) -> Result<()> {
    usernames::take(tx, &user.username).await?;
    person::Entity::insert(row(user)?.into_active_model()).exec_without_returning(tx.conn()).await?;
    versions::begin(tx, &Versioned::User(user.id)).await.map(drop)
}

/// Writes every column of somebody who exists.
pub async fn update(tx: &Tx, user: &User) -> Result<()> {
    let row = row(user)?.into_active_model().reset_all();
    changed(tx, user.id).await?;
    person::Entity::update_many().set(row).filter(person::Column::Id.eq(user.id.0)).exec(tx.conn()).await?;
    Ok(())
}

async fn changed(tx: &Tx, id: UserId) -> Result<()> {
    tx.tell(Change::People(Stripes::from_iter(&[id]))).await
}

/// Replaces the password's hash alone, where it is still `old`: a rehash must not undo a change made meanwhile.
pub async fn rehash(tx: &Tx, id: UserId, old: &PasswordHash, new: &PasswordHash) -> Result<()> {
    person::Entity::update_many()
        .col_expr(person::Column::PasswordHash, Expr::value(new.0.clone()))
        .col_expr(person::Column::PasswordWork, Expr::value(new.work()))
        .filter(person::Column::Id.eq(id.0))
        .filter(person::Column::PasswordHash.eq(old.0.clone()))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// Returns one password hash of each kind of work that there is, up to [`MAX_WORKS`], by one look-up in the index each.
pub async fn hash_of_each_work<C: ConnectionTrait>(conn: &C) -> Result<Vec<PasswordHash>> {
    let mut found: Vec<(String, PasswordHash)> = Vec::new();
    while found.len() < MAX_WORKS {
        let mut query = person::Entity::find()
            .select_only()
            .column(person::Column::PasswordWork)
            .column(person::Column::PasswordHash)
            .filter(person::Column::PasswordWork.is_not_null());
        if let Some((last, _)) = found.last() {
            query = query.filter(person::Column::PasswordWork.gt(last.clone()));
        }
        let next: Option<(String, String)> =
            query.order_by_asc(person::Column::PasswordWork).limit(1).into_tuple().one(conn).await?;
        let Some((work, hash)) = next else { break };
        found.push((work, PasswordHash(hash)));
    }
    Ok(found.into_iter().map(|(_, hash)| hash).collect())
}

pub async fn delete(tx: &Tx, id: UserId) -> Result<()> {
    changed(tx, id).await?;
    versions::end_user(tx, id).await?;
    membership::Entity::delete_many().filter(membership::Column::UserId.eq(id.0)).exec(tx.conn()).await?;
    person::Entity::delete_by_id(id.0).exec(tx.conn()).await?;
    Ok(())
}

pub async fn by_id<C: ConnectionTrait>(conn: &C, id: UserId) -> Result<Option<User>> {
    person::Entity::find_by_id(id.0).one(conn).await?.map(User::try_from).transpose()
}

/// What others are told of somebody; nothing where they are gone or turned off.
pub async fn as_told<C: ConnectionTrait>(conn: &C, id: UserId) -> Result<Option<Person>> {
    let Some(user) = by_id(conn, id).await?.filter(|user| !user.disabled) else { return Ok(None) };
    Ok(Some(Person::of(&user, groups_of(conn, id).await?)))
}

pub async fn by_username<C: ConnectionTrait>(conn: &C, name: &Username) -> Result<Option<User>> {
    let found = person::Entity::find().filter(person::Column::Username.eq(name.as_str())).one(conn).await?;
    found.map(User::try_from).transpose()
}

/// Those of these users that there are, whom no other transaction changes until this one ends. Locked in the order of their
/// ids, so that two transactions that lock several do not wait for each other.
pub async fn lock_all_for_update(tx: &Tx, ids: &[UserId]) -> Result<Vec<User>> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    person::Entity::find()
        .filter(person::Column::Id.is_in(ids.iter().map(|id| id.0)))
        .order_by_asc(person::Column::Id)
        .lock_exclusive()
        .all(tx.conn())
        .await?
        .into_iter()
        .map(User::try_from)
        .collect()
}

/// The user, whom no other transaction changes until this one ends.
pub async fn lock_for_update(tx: &Tx, id: UserId) -> Result<Option<User>> {
    person::Entity::find_by_id(id.0).lock_exclusive().one(tx.conn()).await?.map(User::try_from).transpose()
}

/// Whether somebody is there and turned on, and, where `password_as_of` is given, has the password of that time; and so
/// until the transaction ends: what else holds them waits.
pub async fn hold(tx: &Tx, id: UserId, password_as_of: Option<Timestamp>) -> Result<bool> {
    let found = person::Entity::find_by_id(id.0).lock_exclusive().one(tx.conn()).await?;
    Ok(found.is_some_and(|row| {
        !row.disabled && password_as_of.is_none_or(|at| row.password_changed_at.is_some_and(|changed| changed == at.0))
    }))
}

/// Whoever signs in with this, a username or an email address; a username comes first.
pub async fn by_login<C: ConnectionTrait>(conn: &C, typed: &str) -> Result<Option<User>> {
    let folded = Username::folded(typed);
    let found = person::Entity::find()
        .filter(
            Condition::any()
                .add(person::Column::Username.eq(folded.clone()))
                .add(person::Column::EmailFolded.eq(folded.clone())),
        )
        .limit(2)
        .all(conn)
        .await?;
    let by_name = found.iter().position(|row| row.username == folded).unwrap_or(0);
    found.into_iter().nth(by_name).map(User::try_from).transpose()
}

/// What a list of people shows.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Part of a username, name or email address.
    pub text: String,
    pub disabled: Option<bool>,
    pub admin: Option<bool>,
    pub after: Option<Username>,
    pub most: u64,
}

/// By username, from `after` on.
pub async fn list<C: ConnectionTrait>(conn: &C, filter: &Filter) -> Result<Vec<User>> {
    let mut query = person::Entity::find().order_by_asc(person::Column::Username).limit(filter.most);
    if !filter.text.is_empty() {
        query = query.filter(person::Column::Searched.like(with_part(&Username::folded(&filter.text))));
    }
    if let Some(disabled) = filter.disabled {
        query = query.filter(person::Column::Disabled.eq(disabled));
    }
    if let Some(admin) = filter.admin {
        query = query.filter(person::Column::Admin.eq(admin));
    }
    if let Some(after) = &filter.after {
        query = query.filter(person::Column::Username.gt(after.as_str()));
    }
    query.all(conn).await?.into_iter().map(User::try_from).collect()
}

pub async fn count<C: ConnectionTrait>(conn: &C) -> Result<u64> {
    Ok(person::Entity::find().count(conn).await?)
}

/// How many are turned off.
pub async fn count_disabled<C: ConnectionTrait>(conn: &C) -> Result<u64> {
    Ok(person::Entity::find().filter(person::Column::Disabled.eq(true)).count(conn).await?)
}

/// Those of these ids that there are.
pub async fn by_ids<C: ConnectionTrait>(conn: &C, ids: &[UserId]) -> Result<Vec<User>> {
    let ids = ids.iter().map(|id| id.0);
    let found = person::Entity::find().filter(person::Column::Id.is_in(ids)).all(conn).await?;
    found.into_iter().map(User::try_from).collect()
}

/// Whether anybody who may administer is there: the set-up page is for the time before that.
pub async fn any_admin<C: ConnectionTrait>(conn: &C) -> Result<bool> {
    let found = person::Entity::find().filter(person::Column::Admin.eq(true)).limit(1).one(conn).await?;
    Ok(found.is_some())
}

/// Whether as many as `most` accounts, or more, are marked as made by signing up.
pub async fn are_self_registered<C: ConnectionTrait>(conn: &C, most: u32) -> Result<bool> {
    let most = i64::from(most);
    let sql = "SELECT 1 FROM person WHERE self_registered = $1 LIMIT $2";
    Ok(quotas::count(conn, sql, vec![true.into(), most.into()]).await? >= most)
}

pub async fn any<C: ConnectionTrait>(conn: &C) -> Result<bool> {
    Ok(person::Entity::find().limit(1).one(conn).await?.is_some())
}

/// How many can administer besides `id`.
pub async fn other_admins<C: ConnectionTrait>(conn: &C, id: UserId) -> Result<u64> {
    Ok(person::Entity::find()
        .filter(person::Column::Admin.eq(true))
        .filter(person::Column::Disabled.eq(false))
        .filter(person::Column::Id.ne(id.0))
        .count(conn)
        .await?)
}

pub async fn insert_group(tx: &Tx, name: &str) -> Result<()> {
    let group = group::ActiveModel { name: Set(name.to_owned()), created_at: Set(tx.now().0) };
    group::Entity::insert(group).exec_without_returning(tx.conn()).await?;
    Ok(())
}

pub async fn delete_group(tx: &Tx, name: &str) -> Result<bool> {
    tx.tell(Change::People(Stripes::all())).await?;
    membership::Entity::delete_many().filter(membership::Column::GroupName.eq(name)).exec(tx.conn()).await?;
    Ok(group::Entity::delete_by_id(name).exec(tx.conn()).await?.rows_affected > 0)
}

pub async fn all_groups<C: ConnectionTrait>(conn: &C) -> Result<Vec<String>> {
    let groups = group::Entity::find().order_by_asc(group::Column::Name).all(conn).await?;
    Ok(groups.into_iter().map(|group| group.name).collect())
}

pub async fn groups_of<C: ConnectionTrait>(conn: &C, id: UserId) -> Result<Vec<String>> {
    Ok(membership::Entity::find()
        .select_only()
        .column(membership::Column::GroupName)
        .filter(membership::Column::UserId.eq(id.0))
        .order_by_asc(membership::Column::GroupName)
        .into_tuple()
        .all(conn)
        .await?)
}

/// The groups of each of these people, by one query.
pub async fn groups_of_all<C: ConnectionTrait>(conn: &C, ids: &[UserId]) -> Result<HashMap<UserId, Vec<String>>> {
    let members = membership::Entity::find()
        .filter(membership::Column::UserId.is_in(ids.iter().map(|id| id.0)))
        .order_by_asc(membership::Column::GroupName)
        .all(conn)
        .await?;
    let mut groups: HashMap<UserId, Vec<String>> = HashMap::new();
    for member in members {
        groups.entry(UserId(member.user_id)).or_default().push(member.group_name);
    }
    Ok(groups)
}

/// Makes `groups`, all of which exist, be what somebody is in.
pub async fn set_groups(tx: &Tx, id: UserId, groups: &[String]) -> Result<()> {
    changed(tx, id).await?;
    membership::Entity::delete_many()
        .filter(membership::Column::UserId.eq(id.0))
        .filter(membership::Column::GroupName.is_not_in(groups.iter().cloned()))
        .exec(tx.conn())
        .await?;
    join(tx, id, groups).await
}

/// Puts somebody new into groups: nobody has heard of them yet.
pub async fn join(tx: &Tx, id: UserId, groups: &[String]) -> Result<()> {
    for name in groups {
        let member = membership::ActiveModel { user_id: Set(id.0), group_name: Set(name.clone()) };
        membership::Entity::insert(member)
            .on_conflict(OnConflict::new().do_nothing().to_owned())
            .exec_without_returning(tx.conn())
            .await?;
    }
    Ok(())
}
