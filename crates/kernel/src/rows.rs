//! The rows of one table that a unit holds in memory.
//!
//! ```text
//! want ──read──▶ clean ──edit/insert──▶ dirty ──commit──▶ clean ──evict──▶ gone
//!                  ▲                      │
//!                  └──────rollback────────┘  (a reject: back to the mark)
//! ```
//!
//! 1. A row is read at most once while it is held: the unit's owner is the only writer.
//! 2. `get` of a key that nobody wanted is a bug and panics: a decision must not mistake "not
//!    read" for "not there".
//! 3. The version of a row counts the commands that changed it, so it does not depend on how
//!    commands were grouped into commits.

use std::collections::{HashMap, HashSet};
use std::fmt::Debug;
use std::hash::{BuildHasherDefault, Hash, Hasher};

/// A multiply-shift hash: keys are ids of our own making, not input, so flooding is no concern.
#[derive(Default, Debug)]
pub struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0 ^ (self.0 >> 32)
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u32(&mut self, n: u32) {
        self.write_u64(u64::from(n));
    }

    fn write_u64(&mut self, n: u64) {
        self.0 = (self.0.rotate_left(5) ^ n).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write_i64(&mut self, n: i64) {
        self.write_u64(n.cast_unsigned());
    }

    fn write_usize(&mut self, n: usize) {
        self.write_u64(n as u64);
    }
}

/// A hash map for ids.
pub type IdMap<K, V> = HashMap<K, V, BuildHasherDefault<IdHasher>>;

/// One held key: its row, if there is one.
#[derive(Debug, Clone)]
struct Slot<R> {
    row: Option<R>,
    /// Version in memory; 0 while there is no row.
    version: i64,
    /// Version in the store; 0 when the row is not there.
    stored: i64,
    /// The mark under which the pre-image was kept.
    marked: u32,
    /// The batch that last asked for it.
    used: u32,
    dirty: bool,
}

#[derive(Debug)]
struct PreImage<K, R> {
    key: K,
    row: Option<R>,
    version: i64,
    dirty: bool,
}

/// A changed row, as the store must write it.
#[derive(Debug)]
pub struct Dirty<'a, K, R> {
    /// Its key.
    pub key: &'a K,
    /// Its new content.
    pub row: &'a R,
    /// Its new version.
    pub version: i64,
    /// The version in the store: 0 means insert.
    pub stored: i64,
}

/// The rows of one table, by key. See the module for the rules.
#[derive(Debug)]
pub struct Rows<K, R> {
    slots: IdMap<K, Slot<R>>,
    wanted: Vec<K>,
    dirty: Vec<K>,
    undo: Vec<PreImage<K, R>>,
    mark: u32,
    batch: u32,
}

impl<K, R> Default for Rows<K, R> {
    fn default() -> Self {
        Self {
            slots: IdMap::default(),
            wanted: Vec::new(),
            dirty: Vec::new(),
            undo: Vec::new(),
            mark: 1,
            batch: 0,
        }
    }
}

impl<K: Copy + Eq + Hash + Debug, R: Clone> Rows<K, R> {
    /// Asks for the row of `key` to be read before `decide`.
    pub fn want(&mut self, key: K) {
        match self.slots.get_mut(&key) {
            Some(slot) => slot.used = self.batch,
            None => self.wanted.push(key),
        }
    }

    /// The row of `key`, `None` when there is none. Panics when nobody wanted it.
    pub fn get(&self, key: K) -> Option<&R> {
        match self.slots.get(&key) {
            Some(slot) => slot.row.as_ref(),
            None => panic!("row {key:?} was not wanted"),
        }
    }

    /// Whether `key` is held: its row, or the knowledge that there is none.
    pub fn holds(&self, key: K) -> bool {
        self.slots.contains_key(&key)
    }

    /// The row of `key`, if it is held: for guesses, which may know less than there is.
    pub fn peek(&self, key: K) -> Option<&R> {
        self.slots.get(&key)?.row.as_ref()
    }

    /// The version of `key`'s row: how many commands have changed it.
    pub fn version(&self, key: K) -> i64 {
        self.slots.get(&key).map_or(0, |slot| slot.version)
    }

    /// The row of `key` to change it; its state before the running command is kept.
    pub fn edit(&mut self, key: K) -> Option<&mut R> {
        let Some(slot) = self.slots.get_mut(&key) else { panic!("row {key:?} was not wanted") };
        slot.row.as_ref()?;
        keep(slot, key, self.mark, &mut self.undo, &mut self.dirty);
        slot.row.as_mut()
    }

    /// Adds a row. Panics when `key` has one: the decision had to look first.
    pub fn insert(&mut self, key: K, row: R) {
        let batch = self.batch;
        let slot = self.slots.entry(key).or_insert_with(|| Slot::absent(batch));
        assert!(slot.row.is_none(), "row {key:?} exists");
        keep(slot, key, self.mark, &mut self.undo, &mut self.dirty);
        slot.row = Some(row);
    }

    /// Takes the keys that were wanted and are not held.
    pub fn take_wanted(&mut self) -> Vec<K> {
        let mut wanted = std::mem::take(&mut self.wanted);
        if wanted.len() > 1 {
            let mut seen: HashSet<K, BuildHasherDefault<IdHasher>> = HashSet::default();
            wanted.retain(|key| seen.insert(*key));
        }
        wanted
    }

    /// Holds what the store had for `key`.
    pub fn load(&mut self, key: K, found: Option<(R, i64)>) {
        let mut slot = Slot::absent(self.batch);
        if let Some((row, version)) = found {
            slot.row = Some(row);
            slot.version = version;
            slot.stored = version;
        }
        self.slots.insert(key, slot);
    }

    /// The changed rows, in the order in which they were first changed.
    pub fn changed(&self) -> impl Iterator<Item = Dirty<'_, K, R>> {
        self.dirty.iter().filter_map(|key| {
            let slot = self.slots.get(key)?;
            let row = slot.row.as_ref().filter(|_| slot.dirty)?;
            Some(Dirty { key, row, version: slot.version, stored: slot.stored })
        })
    }
}

impl<R> Slot<R> {
    fn absent(used: u32) -> Self {
        Self { row: None, version: 0, stored: 0, marked: 0, used, dirty: false }
    }
}

/// Keeps the pre-image of `slot` once for each mark, and counts the change.
fn keep<K: Copy, R: Clone>(
    slot: &mut Slot<R>,
    key: K,
    mark: u32,
    undo: &mut Vec<PreImage<K, R>>,
    dirty: &mut Vec<K>,
) {
    if slot.marked == mark {
        return;
    }
    undo.push(PreImage { key, row: slot.row.clone(), version: slot.version, dirty: slot.dirty });
    slot.marked = mark;
    slot.version += 1;
    if !slot.dirty {
        slot.dirty = true;
        dirty.push(key);
    }
}

/// What the engine does to the rows of any table.
pub trait RowSet {
    /// A command begins: what it changes can be rolled back.
    fn mark(&mut self);
    /// The command was rejected: everything as at the mark.
    fn rollback(&mut self);
    /// The commit happened: what was changed is what the store has.
    fn settle(&mut self);
    /// The transaction is gone or the cache is not to be trusted: hold nothing.
    fn clear(&mut self);
    /// Drops clean rows that the last batches did not use until at most `keep` are held.
    fn evict(&mut self, keep: usize);
    /// How many keys are held.
    fn held(&self) -> usize;
}

impl<K: Copy + Eq + Hash + Debug, R: Clone> RowSet for Rows<K, R> {
    fn mark(&mut self) {
        self.undo.clear();
        self.mark = self.mark.wrapping_add(1).max(1);
    }

    fn rollback(&mut self) {
        while let Some(before) = self.undo.pop() {
            let Some(slot) = self.slots.get_mut(&before.key) else { continue };
            if slot.dirty && !before.dirty {
                self.dirty.retain(|key| *key != before.key);
            }
            slot.row = before.row;
            slot.version = before.version;
            slot.dirty = before.dirty;
            slot.marked = 0;
        }
    }

    fn settle(&mut self) {
        for key in self.dirty.drain(..) {
            if let Some(slot) = self.slots.get_mut(&key) {
                slot.stored = slot.version;
                slot.dirty = false;
            }
        }
        self.undo.clear();
        self.batch = self.batch.wrapping_add(1);
    }

    fn clear(&mut self) {
        self.slots.clear();
        self.wanted.clear();
        self.dirty.clear();
        self.undo.clear();
    }

    fn evict(&mut self, keep: usize) {
        let mut age = 64;
        while self.slots.len() > keep {
            let batch = self.batch;
            self.slots.retain(|_, slot| slot.dirty || batch.wrapping_sub(slot.used) < age);
            if age == 0 {
                break;
            }
            age /= 4;
        }
    }

    fn held(&self) -> usize {
        self.slots.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held() -> Rows<i64, &'static str> {
        let mut rows = Rows::default();
        rows.want(1);
        rows.want(2);
        rows.want(1);
        assert_eq!(rows.take_wanted(), [1, 2]);
        rows.load(1, Some(("one", 7)));
        rows.load(2, None);
        rows.mark();
        rows
    }

    fn changes(rows: &Rows<i64, &'static str>) -> Vec<(i64, &'static str, i64, i64)> {
        rows.changed().map(|d| (*d.key, *d.row, d.version, d.stored)).collect()
    }

    #[test]
    fn a_rollback_restores_rows_versions_and_the_list_of_changes() {
        let mut rows = held();
        *rows.edit(1).unwrap() = "uno";
        rows.mark();
        *rows.edit(1).unwrap() = "ein";
        rows.insert(2, "zwei");
        assert_eq!(changes(&rows), [(1, "ein", 9, 7), (2, "zwei", 1, 0)]);
        rows.rollback();
        assert_eq!(changes(&rows), [(1, "uno", 8, 7)]);
        assert_eq!(rows.get(2), None);
    }

    #[test]
    fn a_version_counts_commands_not_commits() {
        let mut rows = held();
        for _ in 0..3 {
            rows.mark();
            *rows.edit(1).unwrap() = "x";
            *rows.edit(1).unwrap() = "y";
        }
        assert_eq!(rows.version(1), 10);
        rows.settle();
        assert_eq!(changes(&rows), []);
        rows.mark();
        *rows.edit(1).unwrap() = "z";
        assert_eq!(changes(&rows), [(1, "z", 11, 10)]);
    }

    #[test]
    #[should_panic(expected = "was not wanted")]
    fn a_row_that_nobody_wanted_is_a_bug() {
        held().get(3);
    }

    #[test]
    fn eviction_keeps_what_is_dirty() {
        let mut rows: Rows<i64, i64> = Rows::default();
        for key in 0..100 {
            rows.load(key, Some((key, 1)));
        }
        rows.mark();
        *rows.edit(5).unwrap() = 50;
        rows.evict(10);
        assert_eq!(rows.held(), 1);
        assert_eq!(rows.get(5), Some(&50));
    }
}
