//! Parameters, encoded once: arrays of rows straight from a plan, without a value in between.

use std::error::Error;

use jangbu_engine::port::{Table, Value, Values};
use tokio_postgres::types::{IsNull, ToSql, Type, private::BytesMut};

use super::shape::Shape;

/// A parameter as it travels.
#[derive(Debug, Clone)]
pub(super) struct Param(Vec<u8>);

impl ToSql for Param {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        out.extend_from_slice(&self.0);
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    tokio_postgres::types::to_sql_checked!();
}

impl Param {
    /// As it travels.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// An integer.
    pub(super) fn int(n: i64) -> Self {
        Self(n.to_be_bytes().to_vec())
    }

    /// A small integer.
    pub(super) fn small(n: i32) -> Self {
        Self(n.to_be_bytes().to_vec())
    }

    /// Text.
    pub(super) fn text(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }

    /// An array of integers.
    pub(super) fn ints(ints: impl Iterator<Item = i64>) -> Self {
        let mut array = Array::new(Type::INT8.oid());
        ints.for_each(|n| array.element(|out| out.extend_from_slice(&n.to_be_bytes())));
        array.param()
    }

    /// An array of rows of `table`.
    pub(super) fn rows<'v>(
        table: &Table,
        shape: &Shape,
        rows: impl Iterator<Item = Values<'v>>,
    ) -> Self {
        let places = shape.places(table);
        let mut array = Array::new(shape.row);
        rows.for_each(|values| array.element(|out| row(out, shape, &places, values)));
        array.param()
    }
}

/// An array while it is written: number of dimensions, whether there may be nulls, type of the elements, their
/// number, the first index; then each with its length.
struct Array {
    out: Vec<u8>,
    count: i32,
}

impl Array {
    fn new(of: u32) -> Self {
        let mut out = Vec::with_capacity(1024);
        for head in [1, 0, of.cast_signed(), 0, 1] {
            out.extend_from_slice(&head.to_be_bytes());
        }
        Self { out, count: 0 }
    }

    fn element(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.count += 1;
        let at = self.out.len();
        self.out.extend_from_slice(&[0; 4]);
        write(&mut self.out);
        let length = length(self.out.len() - at - 4);
        self.out[at..at + 4].copy_from_slice(&length);
    }

    fn param(mut self) -> Param {
        if self.count == 0 {
            // An empty array has no dimension.
            self.out.truncate(12);
            self.out[..4].copy_from_slice(&0_i32.to_be_bytes());
        } else {
            self.out[12..16].copy_from_slice(&self.count.to_be_bytes());
        }
        Param(self.out)
    }
}

/// A row: the number of its columns, then each with its type.
fn row(out: &mut Vec<u8>, shape: &Shape, places: &[Option<usize>], values: Values<'_>) {
    let count = i32::try_from(places.len()).unwrap_or(i32::MAX);
    out.extend_from_slice(&count.to_be_bytes());
    for (column, place) in shape.columns.iter().zip(places) {
        out.extend_from_slice(&column.of.to_be_bytes());
        field(out, place.map_or(Value::Null, |at| values.get(at)));
    }
}

/// A value of a row, with its length.
fn field(out: &mut Vec<u8>, value: Value<'_>) {
    let mut bytes = |bytes: &[u8]| {
        out.extend_from_slice(&length(bytes.len()));
        out.extend_from_slice(bytes);
    };
    match value {
        Value::Int(n) => bytes(&n.to_be_bytes()),
        Value::Text(text) => bytes(text.as_bytes()),
        Value::Blob(blob) => bytes(blob),
        Value::Null => out.extend_from_slice(&(-1_i32).to_be_bytes()),
    }
}

/// Longer than 2 GB is longer than any row: the server would refuse it.
fn length(bytes: usize) -> [u8; 4] {
    i32::try_from(bytes).unwrap_or(i32::MAX).to_be_bytes()
}
