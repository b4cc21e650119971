//! Timers are columns: due rows become commands.

use jangbu_kernel::{Envelope, Origin, Time, UnitId};

use super::Cell;
use crate::port::{By, Fault, Read, Store, Table};

/// At most so many due rows of a table in a batch.
const DUE: u32 = 256;

/// What is due in one table.
struct Due {
    unit: UnitId,
    table: &'static Table,
    keys: Vec<i64>,
    /// Where the next page begins; none: the first one.
    after: Option<(Time, i64)>,
    /// Rows of the page that was read last.
    rows: u32,
    /// Whether there is another page to be looked at.
    is_open: bool,
}

impl Due {
    fn new(unit: UnitId, table: &'static Table) -> Self {
        Self { unit, table, keys: Vec::new(), after: None, rows: 0, is_open: true }
    }

    fn read(&self, before: Time) -> Read {
        let by = By::Due { before, after: self.after, limit: DUE };
        Read { table: self.table, by }
    }
}

impl Cell {
    /// Reads due rows and turns each into its command: one round for all tables. Takes no hint
    /// about what changed, so it is safe to run twice.
    pub(super) fn due(&mut self, store: &mut dyn Store, now: Time) -> Result<Vec<Envelope>, Fault> {
        self.quarantine.retain(|(_, _, until)| *until > now);
        let mut due = self.timers();
        while due.iter().any(|due| due.is_open) {
            let mut open: Vec<_> = due.iter_mut().filter(|due| due.is_open).collect();
            let reads: Vec<_> = open.iter().map(|due| due.read(now)).collect();
            store.peek(&reads, &mut |at, row| {
                let (due, key) = (&mut open[at], row.int(0));
                let next_at = due.table.position("next_at").unwrap_or_default();
                due.rows += 1;
                due.after = Some((Time(row.int(next_at)), key));
                due.keys.push(key);
            })?;
            for due in open {
                self.turn_page(due);
            }
        }
        let due = due.into_iter().flat_map(|Due { unit, table, keys, .. }| {
            keys.into_iter().map(move |key| (unit, table, key))
        });
        Ok(due.map(|(unit, table, key)| self.wake(unit, table, key)).collect())
    }

    fn timers(&self) -> Vec<Due> {
        let mut all = Vec::new();
        for unit in &self.units {
            all.extend(unit.timers().iter().map(|table| Due::new(unit.id(), table)));
        }
        all
    }

    /// Rows that could not be processed lately are passed over, however many they are: what stands
    /// behind them is not kept waiting.
    fn turn_page(&self, due: &mut Due) {
        let unit = due.unit;
        let left_alone = |key| self.quarantine.iter().any(|q| (q.0, q.1) == (unit, key));
        due.keys.retain(|key| !left_alone(*key));
        due.is_open = due.keys.is_empty() && due.rows == DUE;
        due.rows = 0;
    }

    fn wake(&self, unit: UnitId, table: &'static Table, key: i64) -> Envelope {
        let index = self.unit(unit).unwrap_or_else(|| panic!("{unit:?} is not in this cell"));
        let mut envelope = Envelope::new(unit, Origin::Timer, ());
        envelope.body = self.units[index].wake(table, key);
        envelope
    }
}
