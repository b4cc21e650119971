//! A store that notes which rows were written, so that the auditor knows where to look. What is in
//! them the auditor reads from the database itself.

use std::cell::RefCell;
use std::collections::BTreeSet;

use jangbu_engine::port::{CommitError, Each, Fault, Key, ReadPlan, Store, Table, Tx, WritePlan};
use jangbu_store::{Memory, MemoryStore};

/// Rows that may have changed: position in the list of tables, and key.
pub(crate) type Touched = BTreeSet<(usize, Key)>;

pub(crate) struct Tape<'a> {
    store: MemoryStore,
    tables: &'a [&'static Table],
    touched: &'a RefCell<Touched>,
}

impl<'a> Tape<'a> {
    pub(crate) fn new(
        memory: &Memory,
        tables: &'a [&'static Table],
        touched: &'a RefCell<Touched>,
    ) -> Self {
        Self { store: memory.open(), tables, touched }
    }
}

impl Store for Tape<'_> {
    fn begin(&mut self) -> Result<Box<dyn Tx + '_>, Fault> {
        let Self { store, tables, touched } = self;
        Ok(Box::new(TapedTx { tx: store.begin()?, tables, touched }))
    }

    fn is_far(&self) -> bool {
        self.store.is_far()
    }
}

struct TapedTx<'a> {
    tx: Box<dyn Tx + 'a>,
    tables: &'a [&'static Table],
    touched: &'a RefCell<Touched>,
}

impl Tx for TapedTx<'_> {
    fn read(&mut self, plan: &ReadPlan, each: &mut Each<'_>) -> Result<(), Fault> {
        self.tx.read(plan, each)
    }

    fn write(&mut self, plan: &WritePlan) -> Result<(), Fault> {
        let mut touched = self.touched.borrow_mut();
        for (table, _, values) in plan.iter() {
            let at = self.tables.iter().position(|known| known.name == table.name);
            let at = at.unwrap_or_else(|| panic!("{} is not in the registry", table.name));
            touched.insert((at, values.key(table)));
        }
        self.tx.write(plan)
    }

    fn commit(self: Box<Self>) -> Result<(), CommitError> {
        self.tx.commit()
    }
}
