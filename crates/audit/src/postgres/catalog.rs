//! The tables of a schema as PostgreSQL's own catalog has them, and what they become in the copy.

use rusqlite::types::ValueRef;
use tokio_postgres::Client;

use super::{binary::Garbled, failed};
use crate::Error;

/// Every column of every table, with its place in the primary key (0: in none).
const COLUMNS: &str = "SELECT c.relname::text, a.attname::text, t.typname::text, \
     coalesce(array_position(k.conkey, a.attnum), 0)::int8 \
     FROM pg_catalog.pg_namespace n \
     JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relkind IN ('r', 'p') \
          AND NOT c.relispartition \
     JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
     JOIN pg_catalog.pg_type t ON t.oid = a.atttypid \
     LEFT JOIN pg_catalog.pg_constraint k ON k.conrelid = c.oid AND k.contype = 'p' \
     WHERE n.nspname = $1 ORDER BY c.relname, a.attnum";

/// What a column holds in the copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Integer,
    Text,
    Blob,
}

/// A column.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: String,
    pub(super) kind: Kind,
    /// Its place in the primary key, from 1 on; 0: in none.
    key: i64,
    /// What PostgreSQL is asked for, in one of the three forms that are read here.
    sent: String,
}

/// A table.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) name: String,
    pub(super) columns: Vec<Column>,
}

/// The tables of a schema, by name.
pub(super) async fn tables(client: &Client, schema: &str) -> Result<Vec<Table>, Error> {
    let rows = client.query(COLUMNS, &[&schema]).await.map_err(failed("reading the catalog"))?;
    let mut tables: Vec<Table> = Vec::new();
    for row in rows {
        let name: String = row.get(0);
        if tables.last().is_none_or(|table| table.name != name) {
            tables.push(Table { name, columns: Vec::new() });
        }
        let column = Column::new(row.get(1), row.get(2), row.get(3));
        if let Some(table) = tables.last_mut() {
            table.columns.push(column);
        }
    }
    Ok(tables)
}

impl Column {
    fn new(name: String, kind: &str, key: i64) -> Self {
        let quoted = quoted(&name);
        let (kind, sent) = match kind {
            "int8" => (Kind::Integer, quoted),
            "int2" | "int4" => (Kind::Integer, format!("{quoted}::int8")),
            "bool" => (Kind::Integer, format!("{quoted}::int4::int8")),
            "timestamptz" => {
                (Kind::Integer, format!("(extract(epoch FROM {quoted}) * 1000000)::int8"))
            }
            "bytea" => (Kind::Blob, quoted),
            "text" | "varchar" => (Kind::Text, quoted),
            _ => (Kind::Text, format!("{quoted}::text")),
        };
        Self { name, kind, key, sent }
    }
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Integer => "INTEGER",
            Self::Text => "TEXT",
            Self::Blob => "BLOB",
        }
    }

    /// What the bytes of a field mean.
    pub(super) fn value(self, bytes: &[u8]) -> Result<ValueRef<'_>, Garbled> {
        match self {
            Self::Integer => {
                let bytes = bytes.try_into().map_err(|_| Garbled("a number has not 8 bytes"))?;
                Ok(ValueRef::Integer(i64::from_be_bytes(bytes)))
            }
            Self::Text => Ok(ValueRef::Text(bytes)),
            Self::Blob => Ok(ValueRef::Blob(bytes)),
        }
    }
}

impl Table {
    /// The statement that makes it in the copy.
    pub(super) fn made(&self) -> String {
        let mut key: Vec<&Column> = self.columns.iter().filter(|column| column.key > 0).collect();
        key.sort_by_key(|column| column.key);
        let row = |column: &Column| {
            let alone = key.len() == 1 && column.key > 0;
            let key = if alone { " PRIMARY KEY" } else { "" };
            format!("{} {}{key}", quoted(&column.name), column.kind.name())
        };
        let mut parts: Vec<String> = self.columns.iter().map(row).collect();
        if key.len() > 1 {
            let names: Vec<String> = key.iter().map(|column| quoted(&column.name)).collect();
            parts.push(format!("PRIMARY KEY ({})", names.join(", ")));
        }
        let form = if key.len() > 1 { " WITHOUT ROWID" } else { "" };
        format!("CREATE TABLE {} ({}){form}", quoted(&self.name), parts.join(", "))
    }

    /// The statement that puts a row into the copy.
    pub(super) fn insert(&self) -> String {
        let places = vec!["?"; self.columns.len()].join(", ");
        format!("INSERT INTO {} VALUES ({places})", quoted(&self.name))
    }

    /// The statement that has PostgreSQL send it.
    pub(super) fn copied(&self, schema: &str) -> String {
        let sent: Vec<&str> = self.columns.iter().map(|column| column.sent.as_str()).collect();
        let (sent, schema, name) = (sent.join(", "), quoted(schema), quoted(&self.name));
        format!("COPY (SELECT {sent} FROM {schema}.{name}) TO STDOUT (FORMAT binary)")
    }
}

/// A name as both databases read it.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(columns: &[(&str, &str, i64)]) -> Table {
        let column =
            |(name, kind, key): &(&str, &str, i64)| Column::new((*name).into(), kind, *key);
        Table { name: "t".into(), columns: columns.iter().map(column).collect() }
    }

    #[test]
    fn a_key_of_one_number_is_the_row_id_and_a_longer_one_orders_the_rows() {
        let one = table(&[("id", "int8", 1), ("b", "bytea", 0)]);
        assert_eq!(one.made(), r#"CREATE TABLE "t" ("id" INTEGER PRIMARY KEY, "b" BLOB)"#);
        let two = table(&[("a", "int8", 2), ("b", "text", 0), ("c", "int8", 1)]);
        let made = r#"CREATE TABLE "t" ("a" INTEGER, "b" TEXT, "c" INTEGER, PRIMARY KEY ("c", "a")) WITHOUT ROWID"#;
        assert_eq!(two.made(), made);
    }

    #[test]
    fn what_is_no_number_text_or_bytes_is_sent_as_one() {
        let odd = table(&[("a", "int4", 0), ("b", "uuid", 0), ("c", "timestamptz", 0)]);
        let copied = r#"COPY (SELECT "a"::int8, "b"::text, (extract(epoch FROM "c") * 1000000)::int8 FROM "s"."t") TO STDOUT (FORMAT binary)"#;
        assert_eq!(odd.copied("s"), copied);
        assert_eq!(odd.insert(), r#"INSERT INTO "t" VALUES (?, ?, ?)"#);
    }
}
