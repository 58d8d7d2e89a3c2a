//! Replay protection for values that may be used once. Some carry their own state: a passkey ceremony's ticket, a
//! client assertion, the nonce of a signed request, a browser's return to an app. The row of others is deleted before a
//! replay is impossible (a pushed request). A row here records the use.
//!
//! [`claim`] is for transactions that do more. [`Store::use_once`] is for callers that do nothing else. It batches
//! concurrent claims into one statement.

use std::collections::HashSet;
use std::sync::Mutex;

use sea_orm::Set;
use sea_orm::entity::prelude::*;
use sea_orm::sea_query::OnConflict;
use tokio::sync::oneshot;

use super::{Result, Store, StoreError, Tx, rows_inserted, sweep::delete_batch};
use crate::domain::secret::Digest;
use crate::env::Timestamp;

mod row {
    use sea_orm::entity::prelude::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "used_once")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub digest: Vec<u8>,
        pub expires_at: i64,
    }
    impl ActiveModelBehavior for ActiveModel {}
}

/// The maximum number of claims in one statement. Each takes two parameters.
const MAX_BATCH_CLAIMS: usize = 500;
/// The maximum number of pending claims. Each belongs to a request.
const MAX_PENDING_CLAIMS: usize = 4096;

/// The claims that the next transaction includes.
#[derive(Default)]
pub(super) struct PendingClaims(Mutex<Vec<PendingClaim>>);

struct PendingClaim {
    digest: Digest,
    until: Timestamp,
    reply: oneshot::Sender<bool>,
}

impl PendingClaims {
    /// Adds a claim. Returns whether it is the first pending one, whose caller must begin a transaction.
    fn add(&self, claim: PendingClaim) -> Result<bool> {
        let mut waiting = self.0.lock().map_err(|_| claim_lost_error())?;
        if waiting.len() >= MAX_PENDING_CLAIMS {
            return Err(StoreError::Unavailable("too many claims are waiting".into()));
        }
        waiting.push(claim);
        Ok(waiting.len() == 1)
    }

    fn take(&self) -> Vec<PendingClaim> {
        self.0.lock().map(|mut waiting| std::mem::take(&mut *waiting)).unwrap_or_default()
    }
}

fn claim_lost_error() -> StoreError {
    StoreError::Unavailable("the claim was not kept".into())
}

impl Store {
    /// Claims `digest` and refuses a second use until `until`. Returns whether this was the first use. The claim is
    /// durable when this returns.
    ///
    /// # Errors
    /// Returns an error if the database is unreachable or overloaded. The value may then have been claimed although its
    /// use was refused.
    pub async fn use_once(&self, digest: Digest, until: Timestamp) -> Result<bool> {
        let (answer, answered) = oneshot::channel();
        if self.inner.pending_claims.add(PendingClaim { digest, until, reply: answer })? {
            // A task of its own, so that a cancelled caller does not cancel the claims of others.
            let store = self.clone();
            tokio::spawn(async move { store.claim_pending().await });
        }
        answered.await.map_err(|_| claim_lost_error())
    }

    /// Claims everything that is pending when the transaction begins. On failure the senders are dropped, which answers
    /// the callers with an error.
    async fn claim_pending(&self) {
        let store = self.clone();
        let claimed = self
            .write(move |tx| {
                Box::pin(async move {
                    let mut claims = store.inner.pending_claims.take();
                    // The same order on every node prevents deadlocks on PostgreSQL.
                    claims.sort_unstable_by_key(|claim| claim.digest.0);
                    let mut first = HashSet::new();
                    for claims in claims.chunks(MAX_BATCH_CLAIMS) {
                        first.extend(claim_all(tx, claims).await?);
                    }
                    Ok((claims, first))
                })
            })
            .await;
        match claimed {
            // If one digest was pending twice, only one claim succeeds.
            Ok((claims, mut first)) => claims.into_iter().for_each(|claim| {
                // A cancelled caller has dropped its receiver.
                claim.reply.send(first.remove(&claim.digest.0)).ok();
            }),
            Err(error) => {
                tracing::error!(%error, "what is used once cannot be claimed");
                // If the transaction did not begin, the claims are still pending.
                self.inner.pending_claims.take();
            }
        }
    }
}

/// Returns the digests that had not been claimed before.
async fn claim_all(tx: &Tx, claims: &[PendingClaim]) -> Result<Vec<[u8; 32]>> {
    let models = claims
        .iter()
        .map(|claim| row::ActiveModel { digest: Set(claim.digest.0.to_vec()), expires_at: Set(claim.until.0) });
    let done = row::Entity::insert_many(models)
        .on_conflict(OnConflict::column(row::Column::Digest).do_nothing().to_owned())
        .exec_with_returning_keys(tx.conn())
        .await;
    let digests = match done {
        Ok(digests) => digests,
        Err(DbErr::RecordNotInserted) => Vec::new(),
        Err(error) => return Err(error.into()),
    };
    digests.into_iter().map(|bytes| super::digest(bytes, "used_once", "digest").map(|digest| digest.0)).collect()
}

/// Claims `digest` until `until`. Returns whether this was the first use.
pub async fn claim(tx: &Tx, digest: &Digest, until: Timestamp) -> Result<bool> {
    let model = row::ActiveModel { digest: Set(digest.0.to_vec()), expires_at: Set(until.0) };
    let unused = OnConflict::column(row::Column::Digest).do_nothing().to_owned();
    Ok(rows_inserted(row::Entity::insert(model).on_conflict(unused).exec_without_returning(tx.conn()).await)? > 0)
}

/// Returns whether the digest has been claimed.
pub async fn is_claimed<C: ConnectionTrait>(conn: &C, digest: &Digest) -> Result<bool> {
    Ok(row::Entity::find_by_id(digest.0.to_vec()).one(conn).await?.is_some())
}

/// A row is kept longer by the maximum clock difference, because a node with a slow clock still accepts the value.
pub(super) async fn sweep(tx: &Tx, most: u64) -> Result<u64> {
    delete_batch::<row::Entity>(tx, row::Column::Digest, tx.is_past_everywhere(row::Column::ExpiresAt), most).await
}
