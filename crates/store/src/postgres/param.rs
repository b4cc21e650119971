//! Parameters, encoded once: arrays straight from the rows of a plan, without a value in between.

use std::error::Error;

use jangbu_engine::port::{Kind, Value};
use tokio_postgres::types::{IsNull, ToSql, Type, private::BytesMut};

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
    /// An integer.
    pub(super) fn int(n: i64) -> Self {
        Self(n.to_be_bytes().to_vec())
    }

    /// Text.
    pub(super) fn text(text: &str) -> Self {
        Self(text.as_bytes().to_vec())
    }

    /// An array of integers.
    pub(super) fn ints(ints: impl Iterator<Item = i64>) -> Self {
        Self::array(Kind::Int, ints.map(Value::Int))
    }

    /// An array of values of one kind, or nulls: number of dimensions, whether there are nulls, type of the
    /// elements, their number, the first index; then each with its length.
    pub(super) fn array<'v>(kind: Kind, values: impl Iterator<Item = Value<'v>>) -> Self {
        let of = match kind {
            Kind::Int => Type::INT8,
            Kind::Text => Type::TEXT,
            Kind::Blob => Type::BYTEA,
        };
        let mut out = Vec::with_capacity(256);
        for head in [1, 1, of.oid().cast_signed(), 0, 1] {
            out.extend_from_slice(&head.to_be_bytes());
        }
        let mut count: i32 = 0;
        for value in values {
            count += 1;
            match value {
                Value::Null => out.extend_from_slice(&(-1_i32).to_be_bytes()),
                Value::Int(n) => element(&mut out, &n.to_be_bytes()),
                Value::Text(text) => element(&mut out, text.as_bytes()),
                Value::Blob(bytes) => element(&mut out, bytes),
            }
        }
        if count == 0 {
            // An empty array has no dimension.
            out.truncate(12);
            out[..4].copy_from_slice(&0_i32.to_be_bytes());
        } else {
            out[12..16].copy_from_slice(&count.to_be_bytes());
        }
        Self(out)
    }
}

/// Longer than 2 GB is longer than any row: the server would refuse it.
fn element(out: &mut Vec<u8>, bytes: &[u8]) {
    let len = i32::try_from(bytes.len()).unwrap_or(i32::MAX);
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(bytes);
}
