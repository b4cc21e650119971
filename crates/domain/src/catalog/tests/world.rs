//! [`World`] plays the engine: it reads what a batch wants, decides command by command, rolls a
//! reject back and writes. It forgets every row after each commit, so a row that `want` does
//! not name is missed at once.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::hash::Hash;

use jangbu_kernel::rows::{self, RowSet};
use jangbu_kernel::{Ctx, Domain, Out, ProductId, SkuId, Time};

use crate::catalog::Catalog;
use crate::catalog::command::{Command, Event, Reject, Reply};
use crate::catalog::model::{Product, Rows, Sku};

type Table<K, R> = BTreeMap<K, (R, i64)>;
pub(super) type Answer = Result<Reply, Reject>;

/// What a database would hold: rows with their versions.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Store {
    pub(super) product: Table<ProductId, Product>,
    pub(super) sku: Table<SkuId, Sku>,
}

#[derive(Default)]
pub(super) struct World {
    pub(super) store: Store,
    pub(super) rows: Rows,
    /// What the last commit said, and the last word on each SKU.
    pub(super) said: Vec<Event>,
    pub(super) offers: BTreeMap<SkuId, Event>,
}

impl World {
    pub(super) fn commit(&mut self, batch: &[Command]) -> Vec<Answer> {
        for command in batch {
            self.read(command);
        }
        let mut out = Out::default();
        let answers = batch.iter().map(|command| self.decide(command, &mut out)).collect();
        let ctx = Ctx { now: Time(7), commit: 1, correlation: None };
        Catalog::seal(&ctx, &mut self.rows, &mut out);
        self.said = out.events;
        for event in &self.said {
            let Event::Offered { sku, .. } = event;
            self.offers.insert(*sku, event.clone());
        }
        save(&mut self.rows.product, &mut self.store.product);
        save(&mut self.rows.sku, &mut self.store.sku);
        answers
    }

    pub(super) fn read(&mut self, command: &Command) {
        for _pass in 0..2 {
            Catalog::want(command, &mut self.rows);
            load(&mut self.rows.product, &self.store.product);
            load(&mut self.rows.sku, &self.store.sku);
        }
    }

    fn decide(&mut self, command: &Command, out: &mut Out<Event>) -> Answer {
        let ctx = Ctx { now: Time(7), commit: 1, correlation: None };
        let rows = &mut self.rows;
        rows.product.mark();
        rows.sku.mark();
        let before = (dirty(rows), out.events.len());
        let answer = Catalog::decide(command, &ctx, rows, out);
        assert!(out.sends.is_empty() && out.calls.is_empty());
        if answer.is_err() {
            assert_eq!((dirty(rows), out.events.len()), before, "a reject of {command:?}");
            rows.product.rollback();
            rows.sku.rollback();
            assert_eq!(dirty(rows), before.0, "a rollback of {command:?}");
        }
        answer
    }

    pub(super) fn run(&mut self, command: &Command) -> Answer {
        self.commit(std::slice::from_ref(command)).remove(0)
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
    let products = rows.product.changed().collect::<Vec<_>>();
    let skus = rows.sku.changed().collect::<Vec<_>>();
    format!("{products:?} {skus:?}")
}
