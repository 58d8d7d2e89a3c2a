//! Why the database did not do what was asked. Next door: [`super::transaction`], which rolls back on it.

use sea_orm::{DbErr, SqlErr};

/// Why something could not be kept or found. Never the answer to a protocol question.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The database is out of reach or overloaded: try again.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// The transaction was to be committed, and the database did not answer.
    #[error("the database does not answer, and it is not known whether the change was made: look, or try again")]
    OutcomeUnknown,
    /// It was used by a newer version.
    #[error("the database is of a newer version of Signet (it has {0}): run that version, or restore a backup")]
    NewerSchema(String),
    /// It was made by an older version, and this command does not change that.
    #[error("the database is of an older version of Signet: run `signet migrate`, or start the server")]
    OlderSchema,
    /// It is not as the migrations make it.
    #[error("the database is damaged: {0}; restore a backup, or repair it by hand")]
    Damaged(String),
    /// A pooler that gives each transaction or statement another connection.
    #[error(
        "the database is behind a connection pooler in transaction or statement mode, in which prepared statements and \
         notifications do not work: set pool_mode = session for this database in PgBouncer, or connect to PostgreSQL \
         directly"
    )]
    TransactionPooler,
    /// The row was changed, or was read without its version, since it was read.
    #[error("somebody else has changed it meanwhile: try again")]
    Conflict,
    /// A unique value exists already.
    #[error("that value is taken")]
    UniqueViolation,
    /// Another user signs in with these usernames or email addresses.
    #[error("another user signs in with {}", .0.join(" and "))]
    SignInNamesTaken(Vec<String>),
    /// A row that fits no state: somebody else wrote it.
    #[error("{table}.{column} holds something that no version of Signet wrote")]
    Corrupt { table: &'static str, column: &'static str },
}

impl StoreError {
    /// The same for everybody whose transaction was in the commit that failed.
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
