//! Signet's database schema: one for `SQLite` and PostgreSQL, as numbered migrations.
//!
//! Times are `big_integer` milliseconds since the epoch, ids are UUIDs, digests are 32 bytes, documents are JSON text.
//! `signet serve` applies what is pending; several nodes may start at once (`store::schema` holds a lock around it).

mod expected;
mod m0001_start;

use sea_orm_migration::prelude::*;

pub use expected::{ExpectedColumn, ExpectedIndex, ExpectedSchema, ExpectedTable, IndexKind, expected_schema, plain};
pub use sea_orm_migration::MigratorTrait;

pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(m0001_start::Migration)]
    }
}
