//! Reading rows: typed cells, whole-table scans and key-ordered streams that can be merged.
//!
//! A row that cannot be read (a wrong type, a broken JSON list) is a finding and is skipped; an
//! error of SQLite itself ends the proof.

use std::ops::RangeInclusive;

use rusqlite::{Connection, Row, Rows, types::ValueRef};
use serde::de::DeserializeOwned;

use crate::{Error, book::Book, store, watch::Watch};

/// The cells of one row, read from left to right.
#[derive(Debug)]
pub(crate) struct Cells<'r> {
    row: &'r Row<'r>,
    at: usize,
}

/// A cell that does not have the promised type.
#[derive(Debug)]
pub(crate) struct Unreadable(String);

impl<'r> Cells<'r> {
    fn next(&mut self) -> Result<ValueRef<'r>, Unreadable> {
        let value = self.row.get_ref(self.at).map_err(|e| Unreadable(e.to_string()))?;
        self.at += 1;
        Ok(value)
    }

    fn wrong(&self, wanted: &str) -> Unreadable {
        let column = self.row.as_ref().column_name(self.at - 1).unwrap_or("?");
        Unreadable(format!("column {column} is not {wanted}"))
    }

    /// An integer.
    pub(crate) fn int(&mut self) -> Result<i64, Unreadable> {
        match self.next()? {
            ValueRef::Integer(value) => Ok(value),
            _ => Err(self.wrong("an integer")),
        }
    }

    /// An integer of this range.
    pub(crate) fn int_in(&mut self, range: RangeInclusive<i64>) -> Result<i64, Unreadable> {
        let value = self.int()?;
        if range.contains(&value) {
            return Ok(value);
        }
        Err(self.wrong(&format!("{} to {}", range.start(), range.end())))
    }

    /// An integer or null.
    pub(crate) fn int_or_null(&mut self) -> Result<Option<i64>, Unreadable> {
        match self.next()? {
            ValueRef::Integer(value) => Ok(Some(value)),
            ValueRef::Null => Ok(None),
            _ => Err(self.wrong("an integer or null")),
        }
    }

    /// A text, borrowed from SQLite.
    pub(crate) fn text(&mut self) -> Result<&'r str, Unreadable> {
        let ValueRef::Text(bytes) = self.next()? else { return Err(self.wrong("a text")) };
        std::str::from_utf8(bytes).map_err(|_| self.wrong("UTF-8"))
    }

    /// A text or null.
    pub(crate) fn text_or_null(&mut self) -> Result<Option<&'r str>, Unreadable> {
        match self.next()? {
            ValueRef::Null => Ok(None),
            ValueRef::Text(bytes) => {
                std::str::from_utf8(bytes).map(Some).map_err(|_| self.wrong("UTF-8"))
            }
            _ => Err(self.wrong("a text or null")),
        }
    }

    /// A byte string.
    pub(crate) fn blob(&mut self) -> Result<&'r [u8], Unreadable> {
        match self.next()? {
            ValueRef::Blob(bytes) => Ok(bytes),
            _ => Err(self.wrong("a blob")),
        }
    }

    /// A hash of 32 bytes.
    pub(crate) fn hash(&mut self) -> Result<[u8; 32], Unreadable> {
        self.blob()?.try_into().map_err(|_| self.wrong("32 bytes"))
    }

    /// A packed JSON list, or null.
    pub(crate) fn json_or_null<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Unreadable> {
        let Some(text) = self.text_or_null()? else { return Ok(None) };
        serde_json::from_str(text).map(Some).map_err(|_| self.wrong("a list of the promised form"))
    }

    /// A packed JSON list.
    pub(crate) fn json<T: DeserializeOwned>(&mut self) -> Result<T, Unreadable> {
        serde_json::from_str(self.text()?).map_err(|_| self.wrong("a list of the promised form"))
    }
}

/// Calls `each` for every row of `sql`, whose first column names the row in a finding.
pub(crate) fn scan(
    from: Source<'_>,
    book: &mut Book,
    sql: &str,
    mut each: impl FnMut(&mut Cells<'_>, &mut Book) -> Result<(), Unreadable>,
) -> Result<u64, Error> {
    let mut statement = from.db.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        count += 1;
        from.watch.tick();
        if let Err(why) = each(&mut Cells { row, at: 0 }, book) {
            unreadable(book, sql, row, &why);
        }
    }
    Ok(count)
}

/// The snapshot's connection, and who wants to hear of progress.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'c> {
    pub(crate) db: &'c Connection,
    pub(crate) watch: &'c Watch<'c>,
}

/// Rows in the order of their integer key (the first column), one row ahead.
pub(crate) struct Stream<'s, T> {
    sql: &'static str,
    rows: Rows<'s>,
    read: fn(&mut Cells<'_>) -> Result<T, Unreadable>,
    head: Option<(i64, T)>,
    watch: &'s Watch<'s>,
    /// Rows seen so far, the head included.
    pub(crate) count: u64,
}

impl<'s, T> Stream<'s, T> {
    /// Starts a stream; the head is the first row.
    pub(crate) fn new(
        sql: &'static str,
        rows: Rows<'s>,
        read: fn(&mut Cells<'_>) -> Result<T, Unreadable>,
        watch: &'s Watch<'s>,
    ) -> Self {
        Self { sql, rows, read, head: None, watch, count: 0 }
    }

    /// The key of the next row.
    pub(crate) fn key(&self) -> Option<i64> {
        self.head.as_ref().map(|(key, _)| *key)
    }

    /// The next row if it has this key; the stream moves on.
    pub(crate) fn take(&mut self, key: i64, book: &mut Book) -> Result<Option<T>, Error> {
        if self.key() != Some(key) {
            return Ok(None);
        }
        let taken = self.head.take().map(|(_, row)| row);
        self.advance(book)?;
        Ok(taken)
    }

    /// Reads the next row that can be read.
    pub(crate) fn advance(&mut self, book: &mut Book) -> Result<(), Error> {
        self.head = None;
        while let Some(row) = self.rows.next()? {
            self.count += 1;
            self.watch.tick();
            let mut cells = Cells { row, at: 0 };
            let parsed = cells.int().and_then(|key| Ok((key, (self.read)(&mut cells)?)));
            match parsed {
                Ok(head) => {
                    self.head = Some(head);
                    return Ok(());
                }
                Err(why) => unreadable(book, self.sql, row, &why),
            }
        }
        Ok(())
    }
}

fn unreadable(book: &mut Book, sql: &str, row: &Row<'_>, why: &Unreadable) {
    let table = sql.split(" FROM ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap_or("?");
    let key = match row.get_ref(0) {
        Ok(ValueRef::Integer(key)) => key.to_string(),
        _ => "?".to_owned(),
    };
    book.find(store::ROW, format!("{table} {key}"), why.0.clone());
}
