//! The errors of the database. [`super::transaction`] rolls back on them.

use sea_orm::{DbErr, SqlErr};

/// Why something could not be stored or read. Never the answer to a protocol question.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database is unreachable or overloaded. Try again.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// The database did not answer the commit, so its outcome is unknown.
    #[error("the database does not answer, and it is not known whether the change was made: look, or try again")]
    OutcomeUnknown,
    /// The database was used by a newer version.
    #[error("the database is of a newer version of Signet (it has {0}): run that version, or restore a backup")]
    NewerSchema(String),
    /// The database was created by an older version, and this command does not migrate it.
    #[error("the database is of an older version of Signet: run `signet migrate`, or start the server")]
    OlderSchema,
    /// The schema differs from the one that the migrations create.
    #[error("the database is damaged: {0}; restore a backup, or repair it by hand")]
    Damaged(String),
    /// A connection pooler gives each transaction or statement another server connection.
    #[error(
        "the database is behind a connection pooler in transaction or statement mode, in which prepared statements and \
         notifications do not work: set pool_mode = session for this database in PgBouncer, or connect to PostgreSQL \
         directly"
    )]
    TransactionPooler,
    /// The row has changed since it was read, or was read without its version.
    #[error("it was changed meanwhile: try again")]
    Conflict,
    /// A unique value already exists.
    #[error("that value is taken")]
    UniqueViolation,
    /// Another user signs in with these usernames or email addresses.
    #[error("another user signs in with {}", .0.join(" and "))]
    SignInNamesTaken(Vec<String>),
    /// A row that no version of this program writes.
    #[error("{table}.{column} holds something that no version of Signet wrote")]
    Corrupt { table: &'static str, column: &'static str },
}

impl StoreError {
    /// Returns the error for each transaction in a commit that failed.
    pub(super) fn to_unavailable(&self) -> Self {
        match self {
            Self::Unavailable(text) => Self::Unavailable(text.clone()),
            error => Self::Unavailable(error.to_string()),
        }
    }
}

impl From<DbErr> for StoreError {
    fn from(error: DbErr) -> Self {
        match error.sql_err() {
            Some(SqlErr::UniqueConstraintViolation(_)) => Self::UniqueViolation,
            _ => Self::Unavailable(error.to_string()),
        }
    }
}

pub type Result<T> = std::result::Result<T, StoreError>;
