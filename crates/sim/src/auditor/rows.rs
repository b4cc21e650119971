//! Rows as the auditor reads them: by the names of columns, with decoders of its own.

use std::collections::BTreeMap;

use jangbu_engine::port::{Fields, Key, Kind, Table};
use serde_json::Value;

/// A row: integers and texts by the name of the column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Row {
    ints: BTreeMap<&'static str, i64>,
    texts: BTreeMap<&'static str, String>,
    pub(super) blobs: BTreeMap<&'static str, Vec<u8>>,
}

impl Row {
    pub(super) fn read(table: &'static Table, fields: &dyn Fields) -> Self {
        let mut row = Self::default();
        for (at, name) in table.key.iter().enumerate() {
            row.ints.insert(name, fields.int(at));
        }
        for (at, col) in table.cols.iter().enumerate() {
            let at = at + table.key.len();
            match col.kind {
                Kind::Int => row.ints.extend(fields.opt_int(at).map(|n| (col.name, n))),
                Kind::Text => {
                    row.texts.extend(fields.opt_text(at).map(|t| (col.name, t.to_owned())));
                }
                Kind::Blob => drop(row.blobs.insert(col.name, fields.blob(at).to_vec())),
            }
        }
        if table.versioned {
            row.ints.insert("version", fields.int(table.width() - 1));
        }
        row
    }

    /// The integer in a column; 0 for null.
    pub(super) fn int(&self, name: &str) -> i64 {
        self.ints.get(name).copied().unwrap_or(0)
    }

    pub(super) fn opt(&self, name: &str) -> Option<i64> {
        self.ints.get(name).copied()
    }

    /// The text in a column; empty for null.
    pub(super) fn text(&self, name: &str) -> &str {
        self.texts.get(name).map_or("", String::as_str)
    }

    /// A packed column: a JSON array of arrays.
    pub(super) fn packed(&self, name: &str) -> Vec<Value> {
        serde_json::from_str(self.text(name)).unwrap_or_default()
    }
}

/// The integer at `at` of a packed entry; 0 if there is none.
pub(super) fn int(value: &Value, at: usize) -> i64 {
    value.get(at).and_then(Value::as_i64).unwrap_or(0)
}

/// The list at `at` of a packed entry.
pub(super) fn list(value: &Value, at: usize) -> &[Value] {
    value.get(at).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The text at `at` of a packed entry.
pub(super) fn text(value: &Value, at: usize) -> &str {
    value.get(at).and_then(Value::as_str).unwrap_or("")
}

/// Rows of one table by key.
pub(super) type Rows = BTreeMap<Key, Row>;

/// A sum that must not overflow: amounts and units of a small world never do.
pub(super) fn sum(parts: impl IntoIterator<Item = i64>) -> i64 {
    parts.into_iter().sum()
}
