//! What a database has that all migrations were applied to, in the words of each engine's catalogue.

use std::fmt;

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::DbBackend;

use crate::m0001_start;

pub struct ExpectedSchema {
    pub tables: Vec<ExpectedTable>,
    pub indexes: Vec<ExpectedIndex>,
}

pub struct ExpectedTable {
    pub name: String,
    pub columns: Vec<ExpectedColumn>,
}

#[derive(Debug, PartialEq, Eq)]
pub struct ExpectedColumn {
    pub name: String,
    pub data_type: String,
    pub is_not_null: bool,
    /// As [`plain`] writes it.
    pub default: Option<String>,
}

impl fmt::Display for ExpectedColumn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let default = self.default.as_deref().map(|sql| format!(" DEFAULT {sql}")).unwrap_or_default();
        write!(f, "{}{}{default}", self.data_type, if self.is_not_null { " NOT NULL" } else { "" })
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexKind {
    Primary,
    Unique,
    Plain,
}

impl fmt::Display for IndexKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Primary => "primary key",
            Self::Unique => "unique index",
            Self::Plain => "index",
        })
    }
}

#[derive(Debug, PartialEq, Eq)]
pub struct ExpectedIndex {
    pub table: String,
    /// None where the engine chooses it.
    pub name: Option<String>,
    pub columns: Vec<String>,
    pub kind: IndexKind,
}

/// Reads the schema from the migrations themselves. A migration that changes a table of an earlier one changes it here too.
#[must_use]
pub fn expected_schema(engine: DbBackend) -> ExpectedSchema {
    let statements = m0001_start::tables(engine);
    let named = m0001_start::INDICES.iter().map(|(table, columns)| ExpectedIndex {
        table: (*table).to_owned(),
        name: Some(m0001_start::index_name(table, columns)),
        columns: columns.iter().map(|column| (*column).to_owned()).collect(),
        kind: IndexKind::Plain,
    });
    ExpectedSchema {
        tables: statements.iter().filter_map(|statement| table(engine, statement)).collect(),
        indexes: statements.iter().flat_map(keys).chain(named).collect(),
    }
}

fn name_of(statement: &TableCreateStatement) -> Option<String> {
    let TableRef::Table(name, _) = statement.get_table_name()? else { return None };
    Some(name.1.to_string())
}

fn table(engine: DbBackend, statement: &TableCreateStatement) -> Option<ExpectedTable> {
    let columns = statement.get_columns().iter().map(|column| expected_column(engine, column)).collect();
    Some(ExpectedTable { name: name_of(statement)?, columns })
}

fn expected_column(engine: DbBackend, column: &ColumnDef) -> ExpectedColumn {
    let spec = column.get_column_spec();
    let default = match &spec.default {
        _ if spec.auto_increment => (engine == DbBackend::Postgres).then(|| "a sequence".to_owned()),
        Some(Expr::Custom(sql)) => Some(plain(sql)),
        Some(other) => Some(format!("{other:?}")),
        None => None,
    };
    ExpectedColumn {
        name: column.get_column_name(),
        data_type: column.get_column_type().map(|kind| data_type(engine, kind)).unwrap_or_default(),
        is_not_null: spec.nullable == Some(false) || (spec.primary_key && engine == DbBackend::Postgres),
        default,
    }
}

/// The primary key and unique columns of a table.
fn keys(statement: &TableCreateStatement) -> Vec<ExpectedIndex> {
    let Some(table) = name_of(statement) else { return Vec::new() };
    let index = |columns, kind| ExpectedIndex { table: table.clone(), name: None, columns, kind };
    let columns = statement.get_columns().iter().filter_map(|column| {
        let spec = column.get_column_spec();
        let kind = if spec.primary_key { IndexKind::Primary } else { IndexKind::Unique };
        (spec.primary_key || spec.unique).then(|| index(vec![column.get_column_name()], kind))
    });
    let composed =
        statement.get_indexes().iter().map(|key| index(key.get_index_spec().get_column_names(), IndexKind::Primary));
    columns.chain(composed).collect()
}

/// The type as `format_type` (PostgreSQL) or `pragma_table_info` (`SQLite`) writes it. A type that is new here has to be added.
fn data_type(engine: DbBackend, kind: &ColumnType) -> String {
    let (postgres, sqlite) = match kind {
        ColumnType::String(_) => ("character varying", "varchar"),
        ColumnType::Text => ("text", "text"),
        ColumnType::Uuid => ("uuid", "uuid_text"),
        ColumnType::BigInteger => ("bigint", "integer"),
        ColumnType::Integer => ("integer", "integer"),
        ColumnType::Boolean => ("boolean", "boolean"),
        ColumnType::Blob => ("bytea", "blob"),
        ColumnType::Binary(length) if engine != DbBackend::Postgres => return format!("blob({length})"),
        ColumnType::Binary(_) => ("bytea", "blob"),
        other => return format!("{other:?}"),
    };
    if engine == DbBackend::Postgres { postgres.to_owned() } else { sqlite.to_owned() }
}

/// An expression without spaces and parentheses, which the engines add to it.
#[must_use]
pub fn plain(sql: &str) -> String {
    sql.chars().filter(|c| !c.is_whitespace() && !matches!(c, '(' | ')')).collect()
}
