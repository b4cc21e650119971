//! Rows in memory, and what readers are shown of them.

use std::{collections::BTreeMap, sync::Arc};

use jangbu_engine::port::{By, Each, Key, Read, ReadPlan};
use parking_lot::Mutex;

use super::packed::Unpacked;

/// Where a row belongs: rank of its table, and key.
pub(super) type Place = (u16, Key);

/// The newest state of a row that is not in its place.
#[derive(Clone, Debug)]
pub(super) struct Row {
    /// The version in its place.
    pub(super) placed: i64,
    pub(super) version: i64,
    /// Its values as a JSON array.
    pub(super) values: Arc<str>,
}

/// Rows that are not in their places.
pub(super) type Newest = BTreeMap<Place, Row>;

/// What the owner shows its readers: the rows in memory; `None` while no owner is at work.
#[derive(Clone, Debug, Default)]
pub(in crate::sqlite) struct Shown(pub(super) Arc<Mutex<Option<Newest>>>);

impl Shown {
    /// What is newer than the places of the wanted rows may say; `None`: only the log can tell.
    pub(in crate::sqlite) fn newest(&self, plan: &ReadPlan) -> Option<Seen> {
        let hot = plan.iter().filter(|read| read.table.hot);
        let mut seen = Seen::default();
        if hot.clone().next().is_none() {
            return Some(seen);
        }
        let shown = self.0.lock();
        let rows = shown.as_ref()?;
        for Read { table, by } in hot {
            let By::Keys(keys) = by else { return None };
            for key in keys {
                let place = (table.rank, *key);
                seen.0.extend(rows.get(&place).map(|row| (place, row.clone())));
            }
        }
        Some(seen)
    }
}

/// Rows that were found in memory.
#[derive(Debug, Default)]
pub(in crate::sqlite) struct Seen(pub(super) Newest);

impl Seen {
    /// Runs a read of places with `run`, and passes on each row, or what is newer, or not there yet.
    pub(in crate::sqlite) fn over<E>(
        &self,
        Read { table, by }: &Read,
        (at, each): (usize, &mut Each<'_>),
        run: impl FnOnce(&mut Each<'_>) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        if self.0.is_empty() || !table.hot {
            return run(each);
        }
        let mut placed = Vec::new();
        run(&mut |at, row| {
            let place = (table.rank, table.key_of(row));
            let newer =
                |newer: &&Row| table.versioned && newer.version > row.int(table.width() - 1);
            match self.0.get(&place).filter(newer) {
                Some(newer) => each(at, &Unpacked::of(&newer.values)),
                None => each(at, row),
            }
            placed.push(place);
        })?;
        if !table.versioned
            && let By::Keys(keys) = by
        {
            let new = keys.iter().map(|key| (table.rank, *key)).filter(|key| !placed.contains(key));
            for row in new.filter_map(|place| self.0.get(&place)) {
                each(at, &Unpacked::of(&row.values));
            }
        }
        Ok(())
    }
}
