//! A store in memory: ordered maps behind a mutex, with the semantics of the SQLite store.
//!
//! A clone shares the rows, so a test can drop the engine, as a crash would, and open the same
//! data again. A transaction keeps its changes in an overlay until it commits: readers see
//! committed rows only, and dropping it is the roll-back. Only one transaction is open at a time;
//! a second owner that begins meanwhile gets a transient fault, as on a locked file.

mod faults;
mod table;

use std::{collections::BTreeMap, ptr, sync::Arc};

use jangbu_engine::port::{
    Backend, By, CommitError, Each, Fault, Key, Mode, ReadPlan, Reader, Store, StoreCounters,
    Table, Tx, Value, Values, Walk, WritePlan,
};
use parking_lot::Mutex;

pub use self::faults::{Faults, On};
use self::{
    faults::CommitFate,
    table::{MemRow, MemTable, Merged, Row},
};
use crate::dump::{Dump, OwnedValue};

/// The in-memory database. Clones share rows and fault plan.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    shared: Arc<Mutex<Shared>>,
    faults: Faults,
    far: bool,
}

#[derive(Debug, Default)]
struct Shared {
    tables: BTreeMap<&'static str, MemTable>,
    writing: bool,
}

impl Memory {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same rows, as if they were behind a network: see [`Store::is_far`].
    #[must_use]
    pub fn far(self) -> Self {
        Self { far: true, ..self }
    }

    /// What goes wrong: shared by all clones.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Every committed row.
    pub fn dump(&self) -> Dump {
        let shared = self.shared.lock();
        let rows = shared.tables.iter().flat_map(|(name, table)| {
            table.rows.iter().map(move |(key, row)| ((*name, *key), row.to_vec()))
        });
        rows.collect()
    }

    /// Runs `body` on a store, on this thread.
    pub fn open(&self) -> MemoryStore {
        MemoryStore { memory: self.clone(), commits: 0 }
    }
}

impl Backend for Memory {
    fn with(&self, body: &mut dyn FnMut(&mut dyn Store)) -> Result<(), Fault> {
        body(&mut self.open());
        Ok(())
    }

    fn reader(&self) -> Result<Box<dyn Reader>, Fault> {
        Ok(Box::new(MemoryReader(self.clone())))
    }
}

/// The owner's handle of a [`Memory`].
#[derive(Debug)]
pub struct MemoryStore {
    memory: Memory,
    commits: u64,
}

impl Store for MemoryStore {
    fn begin(&mut self) -> Result<Box<dyn Tx + '_>, Fault> {
        self.memory.faults.check(On::Begin)?;
        let mut shared = self.memory.shared.lock();
        if std::mem::replace(&mut shared.writing, true) {
            return Err(Fault::Transient("another owner has a transaction open".to_owned()));
        }
        drop(shared);
        Ok(Box::new(MemoryTx { store: self, overlay: Vec::new() }))
    }

    fn is_far(&self) -> bool {
        self.memory.far
    }

    fn counters(&self) -> StoreCounters {
        StoreCounters { fsyncs: self.commits, ..StoreCounters::default() }
    }
}

/// The changes of a transaction to one table; `None` is a deleted row.
type Overlay = BTreeMap<Key, Option<Row>>;

struct MemoryTx<'a> {
    store: &'a mut MemoryStore,
    overlay: Vec<(&'static Table, Overlay)>,
}

impl Drop for MemoryTx<'_> {
    fn drop(&mut self) {
        self.store.memory.shared.lock().writing = false;
    }
}

impl Tx for MemoryTx<'_> {
    fn read(&mut self, plan: &ReadPlan, each: &mut Each<'_>) -> Result<(), Fault> {
        self.store.memory.faults.check(On::Read)?;
        self.store.memory.select(plan, &self.overlay, each);
        Ok(())
    }

    fn write(&mut self, plan: &WritePlan) -> Result<(), Fault> {
        self.store.memory.faults.check(On::Write)?;
        plan.iter().try_for_each(|(table, mode, values)| self.write_row(table, mode, values))
    }

    fn commit(mut self: Box<Self>) -> Result<(), CommitError> {
        let fate = self.store.memory.faults.commit()?;
        if fate == CommitFate::Lost {
            return Err(CommitError::Unknown("lost before it was done, as planned".to_owned()));
        }
        self.apply();
        self.store.commits += 1;
        match fate {
            CommitFate::DoneThenLost => {
                Err(CommitError::Unknown("lost after it was done, as planned".to_owned()))
            }
            CommitFate::Done | CommitFate::Lost => Ok(()),
        }
    }
}

impl MemoryTx<'_> {
    fn write_row(
        &mut self,
        table: &'static Table,
        mode: Mode,
        values: Values<'_>,
    ) -> Result<(), Fault> {
        let key = values.key(table);
        self.store.memory.faults.check_row(table, key)?;
        let old = self.current(table, key);
        match mode {
            Mode::Insert if old.is_some() => {
                return Err(Fault::Item(format!("{} {key:?} exists", table.name)));
            }
            Mode::Update { version } if version_of(table, old.as_ref()) != Some(version) => {
                return Err(Fault::LostEpoch(format!(
                    "{} {key:?} is not in version {version}",
                    table.name
                )));
            }
            Mode::Trim => {
                self.trim(table, key);
                return Ok(());
            }
            Mode::Insert | Mode::Update { .. } | Mode::Upsert | Mode::Delete => {}
        }
        let row = (mode != Mode::Delete).then(|| row_of(table, values)).transpose()?;
        self.overlay_of(table).insert(key, row);
        Ok(())
    }

    fn current(&self, table: &'static Table, key: Key) -> Option<Row> {
        let overlay = self.overlay.iter().find(|(t, _)| same(t, table));
        if let Some(changed) = overlay.and_then(|(_, overlay)| overlay.get(&key)) {
            return changed.clone();
        }
        let shared = self.store.memory.shared.lock();
        shared.tables.get(table.name).and_then(|t| t.rows.get(&key)).cloned()
    }

    /// Takes out every row up to `last`.
    fn trim(&mut self, table: &'static Table, last: Key) {
        let shared = self.store.memory.shared.lock();
        let rows = shared.tables.get(table.name).map(|table| &table.rows);
        let stored: Vec<Key> =
            rows.into_iter().flat_map(|rows| rows.range(..=last)).map(|(key, _)| *key).collect();
        drop(shared);
        let overlay = self.overlay_of(table);
        overlay.range_mut(..=last).for_each(|(_, row)| *row = None);
        overlay.extend(stored.into_iter().map(|key| (key, None)));
    }

    fn overlay_of(&mut self, table: &'static Table) -> &mut Overlay {
        let at = self.overlay.iter().position(|(t, _)| same(t, table)).unwrap_or_else(|| {
            self.overlay.push((table, Overlay::new()));
            self.overlay.len() - 1
        });
        &mut self.overlay[at].1
    }

    fn apply(&mut self) {
        let overlay = std::mem::take(&mut self.overlay);
        let mut shared = self.store.memory.shared.lock();
        for (table, changes) in overlay {
            let rows = shared.tables.entry(table.name).or_default();
            for (key, row) in changes {
                rows.put(table, key, row);
            }
        }
    }
}

struct MemoryReader(Memory);

impl Reader for MemoryReader {
    fn read(&mut self, plan: &ReadPlan, each: &mut Each<'_>) -> Result<(), Fault> {
        self.0.faults.check(On::ReaderRead)?;
        self.0.select(plan, &[], each);
        Ok(())
    }

    fn walk(&mut self, walks: &[Walk], each: &mut Each<'_>) -> Result<(), Fault> {
        self.0.faults.check(On::ReaderRead)?;
        for (at, walk) in walks.iter().enumerate() {
            let rows = {
                let shared = self.0.shared.lock();
                let table = shared.tables.get(walk.index.table.name);
                table.map_or_else(Vec::new, |table| table.walk(walk))
            };
            for row in &rows {
                each(at, &MemRow(row));
            }
        }
        Ok(())
    }
}

impl Memory {
    /// Collects under the lock, reports without it: `each` may use the store itself.
    fn select(&self, plan: &ReadPlan, overlay: &[(&'static Table, Overlay)], each: &mut Each<'_>) {
        let mut found: Vec<(usize, Row)> = Vec::new();
        let shared = self.shared.lock();
        let (no_rows, no_changes) = (MemTable::default(), Overlay::new());
        for (at, read) in plan.iter().enumerate() {
            let merged = Merged {
                base: shared.tables.get(read.table.name).unwrap_or(&no_rows),
                over: overlay
                    .iter()
                    .find(|(t, _)| same(t, read.table))
                    .map_or(&no_changes, |(_, changes)| changes),
            };
            let rows = match &read.by {
                By::Keys(keys) => merged.keys(keys),
                By::Due { before, after, limit } => {
                    let after = after.map_or((i64::MIN, i64::MIN), |(at, key)| (at.0, key));
                    merged.due(read.table, before.0, after, *limit)
                }
                By::Listed { list, after, limit } => {
                    merged.listed(read.table, read.table.list(list), *after, *limit)
                }
                By::Range { from, to, descending, limit } => {
                    merged.range(*from, *to, *descending, *limit)
                }
            };
            found.extend(rows.into_iter().map(|row| (at, row)));
        }
        drop(shared);
        for (at, row) in &found {
            each(*at, &MemRow(row));
        }
    }
}

fn same(a: &Table, b: &Table) -> bool {
    ptr::eq(a, b) || a.name == b.name
}

fn version_of(table: &Table, row: Option<&Row>) -> Option<i64> {
    match row?.get(table.width() - 1)? {
        OwnedValue::Int(n) if table.versioned => Some(*n),
        _ => None,
    }
}

fn row_of(table: &Table, values: Values<'_>) -> Result<Row, Fault> {
    for (at, col) in table.cols.iter().enumerate() {
        if !col.null && values.get(table.key.len() + at) == Value::Null {
            return Err(Fault::Item(format!("{}.{} must not be null", table.name, col.name)));
        }
    }
    Ok((0..values.len()).map(|at| OwnedValue::from(values.get(at))).collect())
}
