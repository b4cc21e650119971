//! Timers are columns: due rows become commands.

use jangbu_kernel::{Envelope, Origin, Time, UnitId};

use super::Cell;
use crate::port::{By, Fault, Read, Store, Table};

/// At most so many due rows of a table in a batch.
const DUE: u32 = 256;

impl Cell {
    /// Reads due rows and turns each into its command. Takes no hint about what changed, so it
    /// is safe to run twice.
    pub(super) fn due(&mut self, store: &mut dyn Store, now: Time) -> Result<Vec<Envelope>, Fault> {
        self.quarantine.retain(|(_, _, until)| *until > now);
        let mut tx = store.begin()?;
        let mut due = Vec::new();
        for unit in &self.units {
            for table in unit.timers() {
                let read = [Read { table, by: By::Due { before: now, limit: DUE } }];
                tx.read(&read, &mut |_, row| due.push((unit.id(), *table, row.int(0))))?;
            }
        }
        drop(tx);
        due.retain(|(unit, _, key)| !self.quarantine.iter().any(|q| (q.0, q.1) == (*unit, *key)));
        Ok(due.into_iter().map(|(unit, table, key)| self.wake(unit, table, key)).collect())
    }

    fn wake(&self, unit: UnitId, table: &'static Table, key: i64) -> Envelope {
        let index = self.unit(unit).unwrap_or_else(|| panic!("{unit:?} is not in this cell"));
        let mut envelope = Envelope::new(unit, Origin::Timer, ());
        envelope.body = self.units[index].wake(table, key);
        envelope
    }
}
