//! Timers are columns: due rows become commands.

use jangbu_kernel::{Envelope, Origin, Time, UnitId};

use super::Cell;
use crate::port::{By, Fault, Read, Store, Table, Tx};

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
                let keys = self.due_of(&mut *tx, unit.id(), table, now)?;
                due.extend(keys.into_iter().map(|key| (unit.id(), *table, key)));
            }
        }
        drop(tx);
        Ok(due.into_iter().map(|(unit, table, key)| self.wake(unit, table, key)).collect())
    }

    /// Due rows of one table. Those that could not be processed lately are passed over, however
    /// many they are: what stands behind them is not kept waiting.
    fn due_of(
        &self,
        tx: &mut dyn Tx,
        unit: UnitId,
        table: &'static Table,
        now: Time,
    ) -> Result<Vec<i64>, Fault> {
        let left_alone = |key| self.quarantine.iter().any(|q| (q.0, q.1) == (unit, key));
        let next_at = table.position("next_at").unwrap_or_default();
        let (mut keys, mut after) = (Vec::new(), None);
        loop {
            let read = [Read { table, by: By::Due { before: now, after, limit: DUE } }];
            let mut rows = 0;
            tx.read(&read, &mut |_, row| {
                rows += 1;
                after = Some((Time(row.int(next_at)), row.int(0)));
                keys.push(row.int(0));
            })?;
            keys.retain(|key| !left_alone(*key));
            if !keys.is_empty() || rows < DUE {
                return Ok(keys);
            }
        }
    }

    fn wake(&self, unit: UnitId, table: &'static Table, key: i64) -> Envelope {
        let index = self.unit(unit).unwrap_or_else(|| panic!("{unit:?} is not in this cell"));
        let mut envelope = Envelope::new(unit, Origin::Timer, ());
        envelope.body = self.units[index].wake(table, key);
        envelope
    }
}
