//! Compares the schema in the database's catalogue with the one that the migrations create: columns with their types,
//! `NOT NULL` and defaults, and indexes with their columns and uniqueness. It takes only two statements, because every
//! start and the readiness check run it. [`super::schema`] applies the migrations.

use std::collections::BTreeMap;

use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Statement};
use signet_migrations::{
    ExpectedColumn, ExpectedIndex, ExpectedSchema, ExpectedTable, IndexKind, expected_schema, plain,
};

use super::{Result, StoreError};

const POSTGRES_COLUMNS: &str = "SELECT c.relname::text AS table_name, a.attname::text AS name, \
     format_type(a.atttypid, a.atttypmod) AS data_type, a.attnotnull AS is_not_null, \
     CASE WHEN a.attidentity <> '' THEN 'nextval(' ELSE pg_get_expr(d.adbin, d.adrelid) END AS default_value, \
     0::bigint AS key_position FROM pg_class c \
     JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
     LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum \
     WHERE c.relkind IN ('r', 'p') AND c.relnamespace = current_schema()::regnamespace";

const SQLITE_COLUMNS: &str = "SELECT m.name AS table_name, c.name AS name, c.type AS data_type, \
     c.\"notnull\" AS is_not_null, c.dflt_value AS default_value, c.pk AS key_position \
     FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table'";

/// Excludes indexes that are being built or have failed, partial indexes, and deferrable unique indexes.
const POSTGRES_INDEXES: &str = "SELECT t.relname::text AS table_name, c.relname::text AS name, \
     i.indisunique AS is_unique, i.indisprimary AS is_primary, a.attname::text AS column_name FROM pg_index i \
     JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid \
     CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k (attnum, position) \
     LEFT JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = k.attnum AND k.attnum > 0 \
     WHERE t.relnamespace = current_schema()::regnamespace AND i.indisvalid AND i.indisready AND i.indimmediate \
     AND i.indpred IS NULL AND k.position <= i.indnkeyatts ORDER BY t.relname, c.relname, k.position";

const SQLITE_INDEXES: &str = "SELECT m.name AS table_name, l.name AS name, l.\"unique\" AS is_unique, \
     false AS is_primary, i.name AS column_name FROM sqlite_master m JOIN pragma_index_list(m.name) l \
     JOIN pragma_index_info(l.name) i WHERE m.type = 'table' AND l.origin <> 'pk' AND NOT l.partial \
     ORDER BY m.name, l.name, i.seqno";

#[derive(Debug, FromQueryResult)]
struct ColumnRow {
    table_name: String,
    name: String,
    data_type: String,
    is_not_null: bool,
    default_value: Option<String>,
    /// The position in the primary key, from 1. It is 0 for other columns, and always 0 on PostgreSQL, where the
    /// primary key is an index.
    key_position: i64,
}

#[derive(Debug, FromQueryResult)]
struct IndexRow {
    table_name: String,
    name: String,
    is_unique: bool,
    is_primary: bool,
    /// `None` for an expression.
    column_name: Option<String>,
}

/// Returns the names of the existing tables.
pub(super) async fn tables<C: ConnectionTrait>(db: &C) -> Result<Vec<String>> {
    let mut names: Vec<String> = columns(db).await?.into_iter().map(|column| column.table_name).collect();
    names.dedup();
    Ok(names)
}

/// Compares the database with what the migrations create. Additional tables and additional non-unique indexes are
/// allowed.
///
/// # Errors
/// Returns [`StoreError::Damaged`], which names the first difference.
pub(super) async fn check<C: ConnectionTrait>(db: &C) -> Result<()> {
    let engine = db.get_database_backend();
    let columns = columns(db).await?;
    let indexes = indexes(db, &columns).await?;
    let expected = expected_schema(engine);
    let found = expected.tables.iter().find_map(|table| table_damage(table, &columns));
    match found.or_else(|| index_damage(&expected, &indexes)) {
        Some(what) => Err(StoreError::Damaged(what)),
        None => Ok(()),
    }
}

async fn columns<C: ConnectionTrait>(db: &C) -> Result<Vec<ColumnRow>> {
    let engine = db.get_database_backend();
    let sql = if engine == DbBackend::Postgres { POSTGRES_COLUMNS } else { SQLITE_COLUMNS };
    Ok(ColumnRow::find_by_statement(Statement::from_string(engine, sql)).all(db).await?)
}

/// Returns every index, in the notation of the migrations.
async fn indexes<C: ConnectionTrait>(db: &C, columns: &[ColumnRow]) -> Result<Vec<ExpectedIndex>> {
    let engine = db.get_database_backend();
    let sql = if engine == DbBackend::Postgres { POSTGRES_INDEXES } else { SQLITE_INDEXES };
    let rows = IndexRow::find_by_statement(Statement::from_string(engine, sql)).all(db).await?;
    let mut all: Vec<ExpectedIndex> = Vec::new();
    for row in rows {
        let kind = match (row.is_primary, row.is_unique) {
            (true, _) => IndexKind::Primary,
            (false, true) => IndexKind::Unique,
            (false, false) => IndexKind::Plain,
        };
        let column = row.column_name.unwrap_or_default();
        match all.last_mut().filter(|last| last.name.as_deref() == Some(&row.name)) {
            Some(last) => last.columns.push(column),
            None => {
                all.push(ExpectedIndex { table: row.table_name, name: Some(row.name), columns: vec![column], kind });
            }
        }
    }
    let mut keys: BTreeMap<&str, BTreeMap<i64, &str>> = BTreeMap::new();
    for column in columns.iter().filter(|column| column.key_position > 0) {
        keys.entry(&column.table_name).or_default().insert(column.key_position, &column.name);
    }
    all.extend(keys.into_iter().map(|(table, columns)| ExpectedIndex {
        table: table.to_owned(),
        name: None,
        columns: columns.into_values().map(ToOwned::to_owned).collect(),
        kind: IndexKind::Primary,
    }));
    Ok(all)
}

fn table_damage(table: &ExpectedTable, columns: &[ColumnRow]) -> Option<String> {
    let name = &table.name;
    let there: Vec<&ColumnRow> = columns.iter().filter(|column| column.table_name == *name).collect();
    if there.is_empty() {
        return Some(format!("it has no table {name}"));
    }
    for expected in &table.columns {
        let Some(found) = there.iter().find(|column| column.name == expected.name) else {
            return Some(format!("its table {name} has no column {}", expected.name));
        };
        let found = found.as_expected();
        if found != *expected {
            return Some(format!("its column {name}.{} is {found} instead of {expected}", expected.name));
        }
    }
    let unknown = there.iter().find(|column| !table.columns.iter().any(|known| known.name == column.name))?;
    Some(format!("its table {name} has a column {}, which this version does not know", unknown.name))
}

impl ColumnRow {
    fn as_expected(&self) -> ExpectedColumn {
        let default = self.default_value.as_deref();
        ExpectedColumn {
            name: self.name.clone(),
            data_type: self.data_type.to_lowercase(),
            is_not_null: self.is_not_null,
            default: default.map(|sql| if sql.starts_with("nextval(") { "a sequence".to_owned() } else { plain(sql) }),
        }
    }
}

fn index_damage(expected: &ExpectedSchema, there: &[ExpectedIndex]) -> Option<String> {
    let missing = expected.indexes.iter().find_map(|index| {
        let ExpectedIndex { table, name, columns, kind } = index;
        let shown = columns.join(", ");
        match name {
            None => {
                let fits = |it: &ExpectedIndex| it.table == *table && it.kind == *kind && it.columns == *columns;
                (!there.iter().any(fits)).then(|| format!("its table {table} has no {kind} on ({shown})"))
            }
            Some(name) => match there.iter().find(|it| it.name.as_ref() == Some(name)) {
                None => Some(format!("it has no index {name}")),
                Some(found) if found != index => {
                    Some(format!("its index {name} is not the {kind} on {table} ({shown})"))
                }
                Some(_) => None,
            },
        }
    });
    missing.or_else(|| {
        let is_known = |found: &ExpectedIndex| {
            expected
                .indexes
                .iter()
                .any(|it| it.table == found.table && it.columns == found.columns && it.kind == found.kind)
        };
        let is_ours = |found: &&ExpectedIndex| expected.tables.iter().any(|table| table.name == found.table);
        let unknown = there.iter().filter(is_ours).find(|found| found.kind == IndexKind::Unique && !is_known(found))?;
        let name = unknown.name.as_deref().unwrap_or_default();
        Some(format!("its table {} has a unique index {name}, which this version does not know", unknown.table))
    })
}
