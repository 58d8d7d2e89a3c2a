//! The clients that take part in each browser session, so that they can be notified when it ends. A row is written
//! together with the client's code, and deleted by [`super::session_end`].

use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;
use sea_orm::{Condition, ExprTrait as _, QuerySelect, Set};

use super::{Result, StoreError, Tx, sessions};
use crate::domain::ids::{ClientId, SessionId, UserId};
use crate::domain::participant::Participant;
use crate::env::Timestamp;

mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "session_client")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub session_id: Uuid,
        #[sea_orm(primary_key, auto_increment = false)]
        pub client_id: String,
        pub client_incarnation: i64,
        pub user_id: Uuid,
        pub expires_at: i64,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

impl TryFrom<row::Model> for Participant {
    type Error = StoreError;

    fn try_from(row: row::Model) -> Result<Self> {
        Ok(Self {
            client: ClientId::parse(&row.client_id)
                .map_err(|_| StoreError::Corrupt { table: "session_client", column: "client_id" })?,
            incarnation: row.client_incarnation,
            user: UserId(row.user_id),
            session: SessionId(row.session_id),
        })
    }
}

/// Records that the client takes part in a session. `until` is the end of the session. The caller must have locked the
/// session ([`sessions::lock_shared`]), so that the transaction that ends it finds this row.
pub async fn join(tx: &Tx, participant: &Participant, until: Timestamp) -> Result<()> {
    let model = row::ActiveModel {
        session_id: Set(participant.session.0),
        client_id: Set(participant.client.as_str().to_owned()),
        client_incarnation: Set(participant.incarnation),
        user_id: Set(participant.user.0),
        expires_at: Set(until.0),
    };
    let again = OnConflict::columns([row::Column::SessionId, row::Column::ClientId])
        .update_columns([row::Column::ClientIncarnation, row::Column::ExpiresAt])
        .to_owned();
    row::Entity::insert(model).on_conflict(again).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// Deletes and returns the participants of these sessions.
pub(super) async fn take(tx: &Tx, sessions: &[SessionId]) -> Result<Vec<Participant>> {
    if sessions.is_empty() {
        return Ok(Vec::new());
    }
    taken(tx, Condition::all().add(row::Column::SessionId.is_in(sessions.iter().map(|id| id.0)))).await
}

/// Deletes and returns the participants of all sessions of a user except `but`.
pub(super) async fn take_of_user(tx: &Tx, user: UserId, but: Option<SessionId>) -> Result<Vec<Participant>> {
    let mut of = Condition::all().add(row::Column::UserId.eq(user.0));
    if let Some(but) = but {
        of = of.add(row::Column::SessionId.ne(but.0));
    }
    taken(tx, of).await
}

async fn taken(tx: &Tx, which: Condition) -> Result<Vec<Participant>> {
    let gone = row::Entity::delete_many().filter(which).exec_with_returning(tx.conn()).await?;
    gone.into_iter().map(Participant::try_from).collect()
}

pub async fn delete_of_client(tx: &Tx, client: &ClientId) -> Result<()> {
    row::Entity::delete_many().filter(row::Column::ClientId.eq(client.as_str())).exec(tx.conn()).await?;
    Ok(())
}

/// Deletes and returns participants whose session row was deleted without ending the session, for example by hand.
pub(super) async fn take_orphaned(tx: &Tx, most: u64) -> Result<Vec<Participant>> {
    let lives = sessions::select_by_id_column((row::Entity, row::Column::SessionId));
    let left: Vec<SessionId> = row::Entity::find()
        .select_only()
        .column(row::Column::SessionId)
        .filter(tx.is_past(row::Column::ExpiresAt))
        .filter(Expr::exists(lives).not())
        .limit(most)
        .into_tuple()
        .all(tx.conn())
        .await?
        .into_iter()
        .map(SessionId)
        .collect();
    take(tx, &left).await
}
