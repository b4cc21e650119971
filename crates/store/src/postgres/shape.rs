//! How the server lays out the rows of each table: what an array of them must look like to be understood.

use std::{collections::HashMap, sync::Arc};

use jangbu_engine::port::{Fault, Table};
use tokio_postgres::types::{Kind, Type};

use super::{link::Link, text};

/// A table's row type.
#[derive(Debug)]
pub(super) struct Shape {
    /// The type of an array of its rows.
    pub(super) array: Type,
    /// The number of the row type itself.
    pub(super) row: u32,
    /// Its columns as they were made, one migration after the other.
    pub(super) columns: Vec<Column>,
}

/// A column of a row type.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) name: String,
    /// The number of its type.
    pub(super) of: u32,
}

impl Shape {
    /// Of what is only read.
    pub(super) fn unknown() -> Self {
        Self { array: Type::RECORD_ARRAY, row: 0, columns: Vec::new() }
    }

    /// Where each column stands in a row of the port; none: a column that this program does not know.
    pub(super) fn places(&self, table: &Table) -> Vec<Option<usize>> {
        let place = |column: &Column| text::columns(table).position(|name| name == column.name);
        self.columns.iter().map(place).collect()
    }
}

/// The shapes of a schema.
#[derive(Debug, Default)]
pub(super) struct Shapes(HashMap<String, Arc<Shape>>);

impl Shapes {
    /// Asks the server for the shapes of all tables of the schema.
    pub(super) fn read(link: &Link, schema: &str) -> Result<Self, Fault> {
        let sql = "SELECT c.relname::text, c.reltype, t.typarray, a.attname::text, a.atttypid \
                   FROM pg_class AS c JOIN pg_type AS t ON t.oid = c.reltype \
                   JOIN pg_attribute AS a ON a.attrelid = c.oid \
                   WHERE c.relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = $1) \
                     AND c.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped \
                   ORDER BY c.oid, a.attnum";
        let rows =
            link.ask(link.client().query(sql, &[&schema]), "reading the shapes of tables")?;
        let mut shapes: HashMap<String, Shape> = HashMap::new();
        for row in rows {
            let name: String = row.get(0);
            let shape = shapes.entry(name).or_insert_with_key(|name| Shape {
                array: Type::new(name.clone(), row.get(2), Kind::Simple, schema.to_owned()),
                row: row.get(1),
                columns: Vec::new(),
            });
            shape.columns.push(Column { name: row.get(3), of: row.get(4) });
        }
        Ok(Self(shapes.into_iter().map(|(name, shape)| (name, Arc::new(shape))).collect()))
    }

    /// The shape of a table's rows.
    pub(super) fn of(&self, table: &Table) -> Result<Arc<Shape>, Fault> {
        let shape = self.0.get(table.name).map(Arc::clone);
        shape.ok_or_else(|| Fault::Fatal(format!("the schema has no table {}", table.name)))
    }
}
