//! What may be used once and carries its own state (a passkey ceremony's ticket, a client's assertion, the nonce of a signed
//! request, a browser's way back to an app), or whose row is gone before its use is over (a pushed request): a row says that it has been.
//!
//! [`claim`] is for a transaction that does more; [`Store::use_once`] for those that do nothing else, which share a
//! statement with whatever waits at the same time.

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

/// Claims in one statement at most: it takes two parameters for each.
const MAX_BATCH_CLAIMS: usize = 500;
/// Claims that wait at most; each is somebody's request.
const MAX_PENDING_CLAIMS: usize = 4096;

/// Claims that the next transaction takes along.
#[derive(Default)]
pub(super) struct PendingClaims(Mutex<Vec<PendingClaim>>);

struct PendingClaim {
    digest: Digest,
    until: Timestamp,
    reply: oneshot::Sender<bool>,
}

impl PendingClaims {
    /// Whether this one is the first to wait, and so the one that begins a transaction.
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
    /// Uses it, until when a second use must be refused; whether this was the first time. Durable when it answers.
    ///
    /// # Errors
    /// Where the database is gone or overloaded: then it may have been used up, and was not let through.
    pub async fn use_once(&self, digest: Digest, until: Timestamp) -> Result<bool> {
        let (answer, answered) = oneshot::channel();
        if self.inner.pending_claims.add(PendingClaim { digest, until, reply: answer })? {
            // On its own, so that a caller who goes away takes nobody else's claim with it.
            let store = self.clone();
            tokio::spawn(async move { store.claim_pending().await });
        }
        answered.await.map_err(|_| claim_lost_error())
    }

    /// Those that wait when the transaction begins. Where it fails, their senders are dropped, which answers them.
    async fn claim_pending(&self) {
        let store = self.clone();
        let claimed = self
            .write(move |tx| {
                Box::pin(async move {
                    let mut claims = store.inner.pending_claims.take();
                    // In one order everywhere, so that of two transactions on PostgreSQL neither waits for the other's.
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
            // Of one digest that waited twice, one has it.
            Ok((claims, mut first)) => claims.into_iter().for_each(|claim| {
                // The receiver is gone where the caller is.
                claim.reply.send(first.remove(&claim.digest.0)).ok();
            }),
            Err(error) => {
                tracing::error!(%error, "what is used once cannot be claimed");
                // The transaction may not have begun.
                self.inner.pending_claims.take();
            }
        }
    }
}

/// The digests that had not been claimed before.
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

/// Uses it; whether this was the first time.
pub async fn claim(tx: &Tx, digest: &Digest, until: Timestamp) -> Result<bool> {
    let model = row::ActiveModel { digest: Set(digest.0.to_vec()), expires_at: Set(until.0) };
    let unused = OnConflict::column(row::Column::Digest).do_nothing().to_owned();
    Ok(rows_inserted(row::Entity::insert(model).on_conflict(unused).exec_without_returning(tx.conn()).await)? > 0)
}

/// Whether it has been used.
pub async fn is_claimed<C: ConnectionTrait>(conn: &C, digest: &Digest) -> Result<bool> {
    Ok(row::Entity::find_by_id(digest.0.to_vec()).one(conn).await?.is_some())
}

/// A node whose clock is slow still takes what was used once for good: its row stays for as long as the clocks may differ.
pub(super) async fn sweep(tx: &Tx, most: u64) -> Result<u64> {
    delete_batch::<row::Entity>(tx, row::Column::Digest, tx.is_past_everywhere(row::Column::ExpiresAt), most).await
}
