//! [`World`] plays the engine: it reads what a batch wants, decides command by command, rolls a
//! reject back, seals and writes. It forgets every row after each commit, so a row that `want` does
//! not name is missed at once.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::hash::Hash;

use jangbu_kernel::id::MovementId;
use jangbu_kernel::rows::{self, RowSet};
use jangbu_kernel::{Ctx, Domain, OrderId, Out, SkuId, Time};

use crate::inventory::Inventory;
use crate::inventory::command::{Command, Event, Reject, Reply};
use crate::inventory::model::{Movement, Reservation, Rows, Stock};

type Table<K, R> = BTreeMap<K, (R, i64)>;
pub(super) type Answer = Result<Reply, Reject>;

/// What a database would hold: rows with their versions.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Store {
    pub(super) stock: Table<SkuId, Stock>,
    pub(super) reservation: Table<OrderId, Reservation>,
    pub(super) movement: Table<MovementId, Movement>,
}

#[derive(Default)]
pub(super) struct World {
    pub(super) store: Store,
    pub(super) rows: Rows,
    pub(super) now: i64,
    commits: i64,
    /// What the last commit said, and what all commits said together.
    pub(super) changed: Vec<(SkuId, i64)>,
    pub(super) told: BTreeMap<SkuId, i64>,
}

impl World {
    /// One commit of commands, each with its time.
    pub(super) fn commit(&mut self, batch: &[(Time, Command)]) -> Vec<Answer> {
        self.commits += 1;
        for _pass in 0..2 {
            for (_, command) in batch {
                Inventory::want(command, &mut self.rows);
            }
            load(&mut self.rows.stock, &self.store.stock);
            load(&mut self.rows.reservation, &self.store.reservation);
            load(&mut self.rows.movement, &self.store.movement);
        }
        let mut out = Out::default();
        let answers =
            batch.iter().map(|(now, command)| self.decide(*now, command, &mut out)).collect();
        let ctx = Ctx { now: Time(self.now), commit: self.commits, correlation: None, trace: None };
        Inventory::seal(&ctx, &mut self.rows, &mut out);
        self.hear(out);
        self.write();
        answers
    }

    fn decide(&mut self, now: Time, command: &Command, out: &mut Out<Event>) -> Answer {
        let ctx = Ctx { now, commit: self.commits, correlation: None, trace: None };
        let rows = &mut self.rows;
        rows.stock.mark();
        rows.reservation.mark();
        rows.movement.mark();
        let before = dirty(rows);
        let answer = Inventory::decide(command, &ctx, rows, out);
        assert!(out.events.is_empty() && out.sends.is_empty() && out.calls.is_empty());
        if answer.is_err() {
            assert_eq!(dirty(rows), before, "a reject of {command:?} changed rows");
            rows.stock.rollback();
            rows.reservation.rollback();
            rows.movement.rollback();
            assert_eq!(dirty(rows), before, "a rollback of {command:?} changed rows");
        }
        answer
    }

    fn hear(&mut self, mut out: Out<Event>) {
        assert!(out.events.len() <= 1, "one folded event: {:?}", out.events);
        self.changed = out.events.pop().map_or_else(Vec::new, |Event::Changed { stocks }| stocks);
        assert!(self.changed.is_sorted_by_key(|(sku, _)| *sku));
        self.told.extend(self.changed.iter().copied());
    }

    fn write(&mut self) {
        save(&mut self.rows.stock, &mut self.store.stock);
        save(&mut self.rows.reservation, &mut self.store.reservation);
        save(&mut self.rows.movement, &mut self.store.movement);
        self.store.stock.values_mut().for_each(|(row, _)| row.moved_in = 0);
    }

    /// One commit of one command.
    pub(super) fn run(&mut self, command: &Command) -> Answer {
        self.commit(&[(Time(self.now), command.clone())]).remove(0)
    }
}

pub(super) fn load<K: Copy + Ord + Hash + Debug, R: Clone>(
    rows: &mut rows::Rows<K, R>,
    from: &Table<K, R>,
) {
    for key in rows.take_wanted() {
        rows.load(key, from.get(&key).cloned());
    }
}

fn save<K: Copy + Ord + Hash + Debug, R: Clone>(rows: &mut rows::Rows<K, R>, to: &mut Table<K, R>) {
    for row in rows.changed() {
        let old = to.insert(*row.key, (row.row.clone(), row.version));
        assert_eq!(old.map_or(0, |(_, version)| version), row.stored, "a lost update");
    }
    rows.clear();
}

/// All that a commit would write, as text.
fn dirty(rows: &Rows) -> String {
    pub(super) fn list<K: Copy + Eq + Hash + Debug, R: Clone + Debug>(
        rows: &rows::Rows<K, R>,
    ) -> String {
        format!("{:?}", rows.changed().collect::<Vec<_>>())
    }
    [list(&rows.stock), list(&rows.reservation), list(&rows.movement)].concat()
}
