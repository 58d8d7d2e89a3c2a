//! A pool for reading, with a timeout on the client's side: TCP takes a quarter of an hour to detect that the database
//! is gone while a statement runs. [`super::connect`] sets the other limits.

use std::future::Future;
use std::time::Duration;

use async_trait::async_trait;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, ExecResult, QueryResult, RuntimeErr, Statement};

/// A pool that the read functions of this module accept like a transaction's connection.
#[derive(Clone, Debug)]
pub struct ReadPool {
    pool: DatabaseConnection,
    /// The limit for one statement. `None` for commands, which may read whole tables.
    timeout: Option<Duration>,
}

impl ReadPool {
    pub(super) fn new(pool: DatabaseConnection, timeout: Option<Duration>) -> Self {
        Self { pool, timeout }
    }

    pub(super) fn pool(&self) -> &DatabaseConnection {
        &self.pool
    }

    /// After a timeout, the pool tests the connection before it is used again.
    async fn with_timeout<T>(&self, answer: impl Future<Output = Result<T, DbErr>> + Send) -> Result<T, DbErr> {
        let Some(timeout) = self.timeout else { return answer.await };
        let late = |_| Err(DbErr::Conn(RuntimeErr::Internal("no answer in time".to_owned())));
        tokio::time::timeout(timeout, answer).await.unwrap_or_else(late)
    }
}

#[async_trait]
impl ConnectionTrait for ReadPool {
    fn get_database_backend(&self) -> DbBackend {
        self.pool.get_database_backend()
    }

    async fn execute_raw(&self, statement: Statement) -> Result<ExecResult, DbErr> {
        self.with_timeout(self.pool.execute_raw(statement)).await
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        self.with_timeout(self.pool.execute_unprepared(sql)).await
    }

    async fn query_one_raw(&self, statement: Statement) -> Result<Option<QueryResult>, DbErr> {
        self.with_timeout(self.pool.query_one_raw(statement)).await
    }

    async fn query_all_raw(&self, statement: Statement) -> Result<Vec<QueryResult>, DbErr> {
        self.with_timeout(self.pool.query_all_raw(statement)).await
    }
}
