//! Signet's database schema: one for `SQLite` and PostgreSQL, as numbered migrations.
//!
//! Times are `big_integer` milliseconds since the epoch, ids are UUIDs, digests are 32 bytes, documents are JSON text.
//! `signet serve` applies what is pending; several nodes may start at once (`store::connect` holds a lock around it).

mod m0001_start;

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

pub use sea_orm_migration::MigratorTrait;

pub struct Migrator;

#[async_trait::async_trait]
impl MigratorTrait for Migrator {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        vec![Box::new(m0001_start::Migration)]
    }
}

/// What a database has that all migrations were applied to.
pub struct ExpectedSchema {
    pub tables: Vec<ExpectedTable>,
    pub indexes: Vec<String>,
}

pub struct ExpectedTable {
    pub name: String,
    pub columns: Vec<String>,
}

/// Reads the schema from the migrations themselves. A migration that changes a table of an earlier one changes it here too.
#[must_use]
pub fn expected_schema(engine: DbBackend) -> ExpectedSchema {
    let tables = m0001_start::tables(engine).iter().filter_map(expected_table).collect();
    let indexes = m0001_start::INDICES.iter().map(|(table, columns)| m0001_start::index_name(table, columns)).collect();
    ExpectedSchema { tables, indexes }
}

fn expected_table(statement: &TableCreateStatement) -> Option<ExpectedTable> {
    let TableRef::Table(name, _) = statement.get_table_name()? else { return None };
    let columns = statement.get_columns().iter().map(ColumnDef::get_column_name).collect();
    Some(ExpectedTable { name: name.1.to_string(), columns })
}
