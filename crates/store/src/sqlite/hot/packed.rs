//! Hot rows as text: JSON, so that SQL can read them, too.

use std::sync::Arc;

use jangbu_engine::port::{Fields, Table, Value, Values};
use serde_json::Value as Json;

/// The values of a row as a JSON array.
pub(super) fn pack(values: Values<'_>) -> Arc<str> {
    let mut text = Vec::with_capacity(8 * values.len());
    for at in 0..values.len() {
        text.push(if at == 0 { b'[' } else { b',' });
        // Writing numbers and text into a vector cannot fail.
        let _ = match values.get(at) {
            Value::Null => serde_json::to_writer(&mut text, &()),
            Value::Int(n) => serde_json::to_writer(&mut text, &n),
            Value::Text(words) => serde_json::to_writer(&mut text, words),
            Value::Blob(_) => panic!("a hot table has no bytes"),
        };
    }
    text.push(b']');
    String::from_utf8(text).unwrap_or_default().into()
}

/// The version of a row that is written.
pub(super) fn version(table: &Table, values: Values<'_>) -> i64 {
    match values.get(table.width() - 1) {
        Value::Int(version) => version,
        other => panic!("a version is a number, not {other:?}"),
    }
}

/// A row of the log: `[["table",[value,…]],…]`.
pub(super) fn log<'a>(rows: impl Iterator<Item = (&'static str, &'a str)>) -> String {
    let mut text = String::new();
    for (table, values) in rows {
        text.push_str(if text.is_empty() { "[[\"" } else { ",[\"" });
        text.push_str(table);
        text.push_str("\",");
        text.push_str(values);
        text.push(']');
    }
    text.push(']');
    text
}

/// A packed row that is read.
#[derive(Debug)]
pub(in crate::sqlite) struct Unpacked(Vec<Json>);

impl Unpacked {
    /// What [`pack`] wrote.
    pub(super) fn of(values: &str) -> Self {
        let values = serde_json::from_str(values);
        Self(values.unwrap_or_else(|error| panic!("a packed row does not parse: {error}")))
    }

    /// Its values in the table's order.
    pub(in crate::sqlite) fn values(&self) -> impl Iterator<Item = Value<'_>> {
        self.0.iter().map(|value| match value {
            Json::String(text) => Value::Text(text),
            Json::Number(_) => Value::Int(value.as_i64().unwrap_or_default()),
            _ => Value::Null,
        })
    }
}

impl Fields for Unpacked {
    fn int(&self, at: usize) -> i64 {
        self.opt_int(at).unwrap_or(0)
    }

    fn opt_int(&self, at: usize) -> Option<i64> {
        self.0[at].as_i64()
    }

    fn text(&self, at: usize) -> &str {
        self.opt_text(at).unwrap_or("")
    }

    fn opt_text(&self, at: usize) -> Option<&str> {
        self.0[at].as_str()
    }

    fn blob(&self, _at: usize) -> &[u8] {
        &[]
    }
}
