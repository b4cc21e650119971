//! Whole tables as values, to compare the state of two stores.

use std::collections::BTreeMap;

use jangbu_engine::port::{By, Fault, Fields, Key, Kind, Read, Reader, Table, Value};

/// A value that owns its text or bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OwnedValue {
    /// Null.
    Null,
    /// An integer.
    Int(i64),
    /// Text.
    Text(String),
    /// Bytes.
    Blob(Vec<u8>),
}

impl From<Value<'_>> for OwnedValue {
    fn from(value: Value<'_>) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Int(n) => Self::Int(n),
            Value::Text(text) => Self::Text(text.to_owned()),
            Value::Blob(bytes) => Self::Blob(bytes.to_vec()),
        }
    }
}

/// Rows by table name and key: key columns, columns, version.
pub type Dump = BTreeMap<(&'static str, Key), Vec<OwnedValue>>;

/// Every row of `tables`, in one snapshot.
pub fn dump(reader: &mut dyn Reader, tables: &[&'static Table]) -> Result<Dump, Fault> {
    let all = |&table| Read {
        table,
        by: By::Range {
            from: [i64::MIN; 3],
            to: [i64::MAX; 3],
            descending: false,
            limit: u32::MAX,
        },
    };
    let plan: Vec<Read> = tables.iter().map(all).collect();
    let mut rows = Dump::new();
    reader.read(&plan, &mut |at, row| {
        let table = tables[at];
        rows.insert((table.name, table.key_of(row)), values_of(table, row));
    })?;
    Ok(rows)
}

fn values_of(table: &Table, row: &dyn Fields) -> Vec<OwnedValue> {
    let kind = |at: usize| match at.checked_sub(table.key.len()).and_then(|i| table.cols.get(i)) {
        Some(col) => col.kind,
        None => Kind::Int,
    };
    let value = |at: usize| match kind(at) {
        Kind::Int => row.opt_int(at).map_or(OwnedValue::Null, OwnedValue::Int),
        Kind::Text => {
            row.opt_text(at).map_or(OwnedValue::Null, |text| OwnedValue::Text(text.to_owned()))
        }
        Kind::Blob => OwnedValue::Blob(row.blob(at).to_vec()),
    };
    (0..table.width()).map(value).collect()
}
