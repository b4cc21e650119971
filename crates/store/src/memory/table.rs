//! Rows of one table in memory, alone and under the changes of a transaction.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jangbu_engine::port::{Datum, Fields, Key, List, Span, Table, Walk};

use super::Overlay;
use crate::dump::OwnedValue;

/// A row, shared between the table and whoever reads it.
pub(super) type Row = Arc<[OwnedValue]>;

/// Committed rows, which of them are due when, and which are on a list.
#[derive(Debug, Default)]
pub(super) struct MemTable {
    pub(super) rows: BTreeMap<Key, Row>,
    due: BTreeSet<(i64, Key)>,
    lists: BTreeSet<(usize, Key)>,
}

impl MemTable {
    /// Sets or deletes a row.
    pub(super) fn put(&mut self, table: &Table, key: Key, row: Option<Row>) {
        let old = match &row {
            Some(row) => self.rows.insert(key, Arc::clone(row)),
            None => self.rows.remove(&key),
        };
        if let Some(old) = old {
            next_at(table, &old).map(|at| self.due.remove(&(at, key)));
            for list in lists(table, &old) {
                self.lists.remove(&(list, key));
            }
        }
        if let Some(row) = row {
            next_at(table, &row).map(|at| self.due.insert((at, key)));
            self.lists.extend(lists(table, &row).map(|list| (list, key)));
        }
    }
}

impl MemTable {
    /// The rows of a walk. There is no index: each row is looked at.
    pub(super) fn walk(&self, walk: &Walk) -> Vec<Row> {
        let table = walk.index.table;
        let datum = |row: &Row, col: &str| match &row[table.position(col).unwrap_or_default()] {
            OwnedValue::Int(n) => Datum::Int(*n),
            OwnedValue::Text(text) => Datum::Text(text.as_str().into()),
            other => panic!("{col} holds {other:?}, and nothing is indexed by that"),
        };
        let cols = &walk.index.cols[..walk.same.len()];
        let mut found: Vec<_> = self
            .rows
            .iter()
            .filter_map(|(key, row)| {
                let same =
                    cols.iter().zip(&walk.same).all(|(col, value)| datum(row, col) == *value);
                let (value, within) = match &walk.span {
                    Span::Keys(from, to) => (Datum::Int(0), (from..=to).contains(&&key[0])),
                    Span::Values(from, to) => {
                        let value = datum(row, walk.index.cols[walk.same.len()]);
                        let within = (from..=to).contains(&&value);
                        (value, within)
                    }
                };
                (same && within).then(|| ((value, key[0]), Arc::clone(row)))
            })
            .collect();
        found.sort_unstable_by(|(a, _), (b, _)| if walk.descending { b.cmp(a) } else { a.cmp(b) });
        found.into_iter().take(walk.limit as usize).map(|(_, row)| row).collect()
    }
}

/// Committed rows under the changes of a transaction.
#[derive(Clone, Copy)]
pub(super) struct Merged<'a> {
    pub(super) base: &'a MemTable,
    pub(super) over: &'a Overlay,
}

impl Merged<'_> {
    pub(super) fn keys(self, keys: &[Key]) -> Vec<Row> {
        let get = |key| match self.over.get(key) {
            Some(changed) => changed.clone(),
            None => self.base.rows.get(key).cloned(),
        };
        keys.iter().filter_map(get).collect()
    }

    /// Rows that are due at `before`, from the first that follows `after`.
    pub(super) fn due(self, table: &Table, before: i64, after: (i64, i64), limit: u32) -> Vec<Row> {
        if after.0 > before {
            return Vec::new();
        }
        let untouched = self
            .base
            .due
            .range((after.0, [after.1, 0, 0])..=(before, [i64::MAX; 3]))
            .filter(|(at, key)| (*at, key[0]) > after)
            .filter(|(_, key)| !self.over.contains_key(key))
            .take(limit as usize)
            .filter_map(|(at, key)| Some((*at, *key, self.base.rows.get(key)?)));
        let changed = self.over.iter().filter_map(|(key, row)| {
            let row = row.as_ref()?;
            let is_due = |at: &i64| *at <= before && (*at, key[0]) > after;
            next_at(table, row).filter(is_due).map(|at| (at, *key, row))
        });
        let mut rows: Vec<(i64, Key, &Row)> = untouched.chain(changed).collect();
        rows.sort_unstable_by_key(|(at, key, _)| (*at, *key));
        rows.into_iter().take(limit as usize).map(|(_, _, row)| Arc::clone(row)).collect()
    }

    /// Rows of a list with keys above `after`.
    pub(super) fn listed(self, table: &Table, list: usize, after: i64, limit: u32) -> Vec<Row> {
        let first = (list, [after, i64::MAX, i64::MAX]);
        let untouched = self.base.lists.range(first..=(list, [i64::MAX; 3]));
        let untouched = untouched
            .filter(|(_, key)| key[0] > after && !self.over.contains_key(key))
            .take(limit as usize)
            .filter_map(|(_, key)| Some((*key, self.base.rows.get(key)?)));
        let changed =
            self.over.iter().filter(|(key, _)| key[0] > after).filter_map(|(key, row)| {
                let row = row.as_ref()?;
                lists(table, row).any(|at| at == list).then_some((*key, row))
            });
        let mut rows: Vec<(Key, &Row)> = untouched.chain(changed).collect();
        rows.sort_unstable_by_key(|(key, _)| *key);
        rows.into_iter().take(limit as usize).map(|(_, row)| Arc::clone(row)).collect()
    }

    pub(super) fn range(self, from: Key, to: Key, descending: bool, limit: u32) -> Vec<Row> {
        if from > to {
            return Vec::new();
        }
        let untouched = self
            .base
            .rows
            .range(from..=to)
            .filter(|(key, _)| !self.over.contains_key(*key))
            .map(|(key, row)| (*key, row));
        let changed =
            self.over.range(from..=to).filter_map(|(key, row)| Some((*key, row.as_ref()?)));
        let limit = limit as usize;
        let mut rows: Vec<(Key, &Row)> = if descending {
            untouched.rev().take(limit).chain(changed).collect()
        } else {
            untouched.take(limit).chain(changed).collect()
        };
        rows.sort_unstable_by_key(|(key, _)| *key);
        if descending {
            rows.reverse();
        }
        rows.into_iter().take(limit).map(|(_, row)| Arc::clone(row)).collect()
    }
}

fn next_at(table: &Table, row: &Row) -> Option<i64> {
    if !table.due {
        return None;
    }
    match row.get(table.position("next_at")?)? {
        OwnedValue::Int(at) => Some(*at),
        OwnedValue::Null | OwnedValue::Text(_) | OwnedValue::Blob(_) => None,
    }
}

/// The lists that a row is on.
fn lists<'a>(table: &'a Table, row: &'a Row) -> impl Iterator<Item = usize> + 'a {
    let on = |(at, list): (usize, &List)| {
        let value = row.get(table.position(list.col)?)?;
        (*value == OwnedValue::Int(list.value)).then_some(at)
    };
    table.lists.iter().enumerate().filter_map(on)
}

/// A row as the port shows it.
pub(super) struct MemRow<'a>(pub(super) &'a Row);

impl Fields for MemRow<'_> {
    fn int(&self, at: usize) -> i64 {
        self.opt_int(at).unwrap_or(0)
    }

    fn opt_int(&self, at: usize) -> Option<i64> {
        match &self.0[at] {
            OwnedValue::Int(n) => Some(*n),
            OwnedValue::Null => None,
            other => panic!("column {at} holds {other:?}, not an integer"),
        }
    }

    fn text(&self, at: usize) -> &str {
        self.opt_text(at).unwrap_or("")
    }

    fn opt_text(&self, at: usize) -> Option<&str> {
        match &self.0[at] {
            OwnedValue::Text(text) => Some(text),
            OwnedValue::Null => None,
            other => panic!("column {at} holds {other:?}, not text"),
        }
    }

    fn blob(&self, at: usize) -> &[u8] {
        match &self.0[at] {
            OwnedValue::Blob(bytes) => bytes,
            OwnedValue::Null => &[],
            other => panic!("column {at} holds {other:?}, not bytes"),
        }
    }
}
