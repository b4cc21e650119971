//! Whole tables in and out by COPY, in its binary form, some thousand rows of ascending keys at a time.
//!
//! A chunk is one statement, so it is there as a whole or not at all, and the highest key in a table tells
//! how far a copy has come: it needs no other book to go on after a kill.
//!
//! ```text
//! signature, flags, extension (19 bytes) ─▶ rows: count, then length and bytes of each field ─▶ -1
//! ```

use std::{ops::Range, pin::pin};

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::{SinkExt, StreamExt};
use jangbu_engine::port::{Fault, Fields, Key, Table, Value, WritePlan};

use super::{Link, fault::fault_of, text};

const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const END: i16 = -1;
/// Bytes that go to the server at a time.
const PIECE: usize = 1 << 16;

fn doing(what: &str, table: &Table) -> String {
    format!("{what} the table {}", table.name)
}

/// Adds the rows of `plan`, which are all of `table`, all or none.
pub fn put(link: &Link, schema: &str, table: &Table, plan: &WritePlan) -> Result<(), Fault> {
    let sql =
        format!("COPY {} ({}) FROM STDIN (FORMAT binary)", name(schema, table), columns(table));
    link.run(async {
        let sink = link.client().copy_in::<_, Bytes>(&sql).await?;
        let mut sink = pin!(sink);
        let mut piece = BytesMut::with_capacity(2 * PIECE);
        piece.put_slice(HEADER);
        for (_, _, values) in plan.iter() {
            piece.put_i16(i16::try_from(values.len()).unwrap_or(i16::MAX));
            for at in 0..values.len() {
                write(&mut piece, values.get(at));
            }
            if piece.len() >= PIECE {
                sink.send(piece.split().freeze()).await?;
            }
        }
        piece.put_i16(END);
        sink.send(piece.freeze()).await?;
        sink.as_mut().finish().await.map(|_| ())
    })
    .map_err(|error: tokio_postgres::Error| fault_of(&error, &doing("filling", table)))
}

/// The first `limit` rows from the key `from` on, in the order of their keys.
pub fn rows(
    link: &Link,
    schema: &str,
    table: &'static Table,
    (from, limit): (Key, u32),
    each: &mut dyn FnMut(&dyn Fields),
) -> Result<(), Fault> {
    let key = quoted(table.key);
    let bounds: Vec<String> =
        from[..table.key.len()].iter().map(|n| format!("'{n}'::bigint")).collect();
    let sql = format!(
        "COPY (SELECT {} FROM {} WHERE ({key}) >= ({}) ORDER BY {key} LIMIT {limit}) TO STDOUT \
         (FORMAT binary)",
        columns(table),
        name(schema, table),
        bounds.join(", "),
    );
    let wrap = |error| fault_of(&error, &doing("reading", table));
    link.run(async {
        let sent = link.client().copy_out(&sql).await.map_err(wrap)?;
        let mut sent = pin!(sent);
        let mut rows = Rows::new(table);
        while let Some(piece) = sent.next().await {
            rows.feed(&piece.map_err(wrap)?, each)?;
        }
        if rows.ended { Ok(()) } else { Err(rows.garbled()) }
    })
}

/// The highest key of a table.
pub fn last(link: &Link, schema: &str, table: &'static Table) -> Result<Option<Key>, Fault> {
    let down: Vec<String> =
        table.key.iter().map(|key| format!("{} DESC", text::quoted(key))).collect();
    let sql = format!(
        "SELECT {} FROM {} ORDER BY {} LIMIT 1",
        quoted(table.key),
        name(schema, table),
        down.join(", ")
    );
    let row = link.run(link.client().query_opt(&sql, &[]));
    let row = row.map_err(|error| fault_of(&error, &doing("reading", table)))?;
    Ok(row.map(|row| {
        let mut key = [0; 3];
        for (at, part) in key.iter_mut().enumerate().take(table.key.len()) {
            *part = row.get(at);
        }
        key
    }))
}

/// A schema's table, quoted.
fn name(schema: &str, table: &Table) -> String {
    format!("{}.{}", text::quoted(schema), text::quoted(table.name))
}

fn columns(table: &Table) -> String {
    let version = table.versioned.then_some("version");
    let names =
        table.key.iter().copied().chain(table.cols.iter().map(|col| col.name)).chain(version);
    quoted(&names.collect::<Vec<_>>())
}

fn quoted(names: &[&str]) -> String {
    names.iter().map(|name| text::quoted(name)).collect::<Vec<_>>().join(", ")
}

fn write(piece: &mut BytesMut, value: Value<'_>) {
    let mut bytes = |bytes: &[u8]| {
        piece.put_i32(i32::try_from(bytes.len()).unwrap_or(i32::MAX));
        piece.put_slice(bytes);
    };
    match value {
        Value::Int(n) => bytes(&n.to_be_bytes()),
        Value::Text(text) => bytes(text.as_bytes()),
        Value::Blob(blob) => bytes(blob),
        Value::Null => piece.put_i32(-1),
    }
}

/// Rows that are cut out of what the server sends; the last one that was cut.
struct Rows {
    table: &'static Table,
    bytes: Vec<u8>,
    at: usize,
    begun: bool,
    ended: bool,
    fields: Vec<Option<Range<usize>>>,
}

impl Rows {
    fn new(table: &'static Table) -> Self {
        let (bytes, fields) = (Vec::new(), Vec::new());
        Self { table, bytes, at: 0, begun: false, ended: false, fields }
    }

    /// Takes the next piece, and hands out the rows that are whole now.
    fn feed(&mut self, piece: &[u8], each: &mut dyn FnMut(&dyn Fields)) -> Result<(), Fault> {
        self.bytes.extend_from_slice(piece);
        while !self.ended
            && let Some(more) = self.cut()
        {
            self.ended = !more?;
            if !self.ended {
                each(self);
            }
        }
        self.bytes.drain(..std::mem::take(&mut self.at));
        Ok(())
    }

    /// Cuts the next row: `None` as long as it is not there, `Some(false)` at the end.
    fn cut(&mut self) -> Option<Result<bool, Fault>> {
        if !self.begun {
            if self.bytes.len() < HEADER.len() {
                return None;
            }
            if !self.bytes.starts_with(HEADER) {
                return Some(Err(self.garbled()));
            }
            (self.begun, self.at) = (true, HEADER.len());
        }
        let mut at = self.at;
        let count = i16::from_be_bytes(self.take(&mut at)?);
        if count == END {
            self.at = at;
            return Some(Ok(false));
        }
        if usize::try_from(count) != Ok(self.table.width()) {
            return Some(Err(self.garbled()));
        }
        self.fields.clear();
        for _ in 0..count {
            let length = i32::from_be_bytes(self.take(&mut at)?);
            let field = usize::try_from(length).ok().map(|length| at..at + length);
            at = field.as_ref().map_or(at, |field| field.end);
            if at > self.bytes.len() {
                return None;
            }
            self.fields.push(field);
        }
        self.at = at;
        Some(Ok(true))
    }

    fn take<const N: usize>(&self, at: &mut usize) -> Option<[u8; N]> {
        let bytes = self.bytes.get(*at..*at + N)?.try_into().ok()?;
        *at += N;
        Some(bytes)
    }

    fn field(&self, at: usize) -> Option<&[u8]> {
        let range = self.fields.get(at)?.clone()?;
        Some(&self.bytes[range])
    }

    fn garbled(&self) -> Fault {
        Fault::Fatal(format!("what the server sends of the table {} is garbled", self.table.name))
    }
}

impl Fields for Rows {
    fn int(&self, at: usize) -> i64 {
        self.opt_int(at).unwrap_or_default()
    }

    fn opt_int(&self, at: usize) -> Option<i64> {
        self.field(at)?.try_into().ok().map(i64::from_be_bytes)
    }

    fn text(&self, at: usize) -> &str {
        self.opt_text(at).unwrap_or_default()
    }

    fn opt_text(&self, at: usize) -> Option<&str> {
        std::str::from_utf8(self.field(at)?).ok()
    }

    fn blob(&self, at: usize) -> &[u8] {
        self.field(at).unwrap_or_default()
    }
}
