//! Authorization requests that wait for the user. [`super::answered_interactions`] has those that have been answered.

use sea_orm::entity::prelude::*;
use sea_orm::{QuerySelect as _, Set};
use serde::{Deserialize, Serialize};

use super::{Result, StoreError, Tx, digest, from_json, json, sweep::delete_batch};
use crate::domain::ids::InteractionId;
use crate::domain::interaction::{AuthorizationRequest, Interaction, InteractionProgress};
use crate::env::Timestamp;

mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "interaction")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub id: Uuid,
        #[sea_orm(column_type = "Text")]
        pub request: String,
        #[sea_orm(column_type = "Text")]
        pub progress: String,
        pub browser: Vec<u8>,
        pub created_at: i64,
        pub expires_at: i64,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

/// The start of the column `request`: JSON in one line. The values that apps choose freely follow it unescaped. JSON
/// takes two bytes for a quotation mark and six for a control character, so the size limit of a row would otherwise
/// depend on their content.
#[derive(Serialize, Deserialize)]
struct Head {
    request: AuthorizationRequest,
    /// The lengths of `state`, `nonce` and `login_hint` in bytes.
    lengths: [Option<usize>; 3],
}

const fn texts(request: &mut AuthorizationRequest) -> [&mut Option<String>; 3] {
    [&mut request.reply_to.state, &mut request.nonce, &mut request.login_hint]
}

fn encoded(request: &AuthorizationRequest) -> Result<String> {
    let mut request = request.clone();
    let taken = texts(&mut request).map(Option::take);
    let lengths = taken.each_ref().map(|text| text.as_ref().map(String::len));
    let head = json(&Head { request, lengths }, "interaction", "request")?;
    Ok(format!("{head}\n{}", taken.into_iter().flatten().collect::<String>()))
}

fn decoded(column: &str) -> Result<AuthorizationRequest> {
    let corrupt = || StoreError::Corrupt { table: "interaction", column: "request" };
    let (head, mut rest) = column.split_once('\n').ok_or_else(corrupt)?;
    let Head { mut request, lengths } = from_json(head, "interaction", "request")?;
    for (text, length) in texts(&mut request).into_iter().zip(lengths) {
        let Some(length) = length else { continue };
        let (own, others) = rest.split_at_checked(length).ok_or_else(corrupt)?;
        (*text, rest) = (Some(own.to_owned()), others);
    }
    if rest.is_empty() { Ok(request) } else { Err(corrupt()) }
}

impl TryFrom<row::Model> for Interaction {
    type Error = StoreError;

    fn try_from(row: row::Model) -> Result<Self> {
        Ok(Self {
            id: InteractionId(row.id),
            request: decoded(&row.request)?,
            progress: from_json(&row.progress, "interaction", "progress")?,
            browser: digest(row.browser, "interaction", "browser")?,
            created_at: Timestamp(row.created_at),
            expires_at: Timestamp(row.expires_at),
        })
    }
}

/// Returns the size of the stored request in bytes.
pub fn size(interaction: &Interaction) -> Result<usize> {
    encoded(&interaction.request).map(|column| column.len())
}

pub async fn insert(tx: &Tx, interaction: &Interaction) -> Result<()> {
    let model = row::ActiveModel {
        id: Set(interaction.id.0),
        request: Set(encoded(&interaction.request)?),
        progress: Set(json(&interaction.progress, "interaction", "progress")?),
        browser: Set(interaction.browser.0.to_vec()),
        created_at: Set(interaction.created_at.0),
        expires_at: Set(interaction.expires_at.0),
    };
    row::Entity::insert(model).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// Returns the interaction with that id, expired or not.
pub async fn by_id<C: ConnectionTrait>(conn: &C, id: InteractionId) -> Result<Option<Interaction>> {
    row::Entity::find_by_id(id.0).one(conn).await?.map(Interaction::try_from).transpose()
}

/// Returns the interaction with that id and locks it until the transaction ends.
pub async fn lock_for_update(tx: &Tx, id: InteractionId) -> Result<Option<Interaction>> {
    row::Entity::find_by_id(id.0).lock_exclusive().one(tx.conn()).await?.map(Interaction::try_from).transpose()
}

/// Records the progress of an interaction. Returns whether the interaction still existed.
pub async fn record(tx: &Tx, id: InteractionId, progress: &InteractionProgress) -> Result<bool> {
    let done = row::Entity::update_many()
        .col_expr(row::Column::Progress, Expr::value(json(progress, "interaction", "progress")?))
        .filter(row::Column::Id.eq(id.0))
        .exec(tx.conn())
        .await?;
    Ok(done.rows_affected > 0)
}

/// Deletes an interaction, so that another one can take its place.
pub async fn delete(tx: &Tx, id: InteractionId) -> Result<()> {
    row::Entity::delete_by_id(id.0).exec(tx.conn()).await?;
    Ok(())
}

/// Deletes and returns an interaction, or returns `None` if another call has deleted it. An interaction therefore ends
/// only once.
pub async fn consume(tx: &Tx, id: InteractionId) -> Result<Option<Interaction>> {
    let gone = row::Entity::delete_many().filter(row::Column::Id.eq(id.0)).exec_with_returning(tx.conn()).await?;
    gone.into_iter().next().map(Interaction::try_from).transpose()
}

/// A fast clock may delete an interaction some minutes early. Its user then starts again.
pub(super) async fn sweep(tx: &Tx, most: u64) -> Result<u64> {
    delete_batch::<row::Entity>(tx, row::Column::Id, row::Column::ExpiresAt.lt(tx.now().0), most).await
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::{decoded, encoded};
    use crate::domain::interaction::AuthorizationRequest;

    fn request([state, nonce, login_hint]: [Option<String>; 3]) -> AuthorizationRequest {
        serde_json::from_value(json!({
            "client": "web", "response_type": "code", "permissions": { "general": "openid" }, "challenge": null,
            "reply_to": { "redirect_uri": "https://app.example/cb", "redirect_uri_sent": true, "mode": "query", "state": state },
            "prompt": { "none": false, "login": false, "consent": false, "select_account": false },
            "nonce": nonce, "max_age": null, "login_hint": login_hint, "hinted": null, "acr": { "values": [], "essential": false },
            "versions": {},
        }))
        .unwrap()
    }

    proptest! {
        #[test]
        fn request_is_read_as_it_was_kept(
            state in proptest::option::of("(?s)[\"\\\\\n\u{1}a\u{e9}\u{1f600}]{0,12}"),
            nonce in proptest::option::of("(?s).{0,12}"),
            login_hint in proptest::option::of("(?s).{0,12}"),
        ) {
            let texts = [&state, &nonce, &login_hint].into_iter().flatten().map(String::len).sum::<usize>();
            let asked = request([state, nonce, login_hint]);
            let column = encoded(&asked).unwrap();
            prop_assert_eq!(decoded(&column).unwrap(), asked);
            prop_assert!(column.len() <= encoded(&request([None, None, None])).unwrap().len() + texts + 12, "no byte takes two");
        }

        #[test]
        fn any_column_is_read_or_refused(column in "(?s).{0,60}", cut in 0usize..200) {
            prop_assert!(decoded(&column).is_err());
            let whole = encoded(&request([Some("s".into()), None, Some("\"".into())])).unwrap();
            let part = whole.get(..cut.min(whole.len() - 1)).unwrap();
            prop_assert!(decoded(part).is_err());
            prop_assert!(decoded(&(whole + "x")).is_err());
        }
    }
}
