//! [`World`] plays the engine: it reads what a batch wants, decides command by command, rolls a
//! reject back and writes. It forgets every row after each commit, so a row that `want` does
//! not name is missed at once.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::hash::Hash;

use jangbu_kernel::rows::{self, RowSet};
use jangbu_kernel::{CategoryId, Ctx, Domain, Out, ProductId, SkuId, Time};

use crate::catalog::Catalog;
use crate::catalog::category::Category;
use crate::catalog::code::{CodeKey, SkuCode};
use crate::catalog::command::{Command, Event, Offered, Reject, Reply};
use crate::catalog::model::{Price, PriceKey, Product, Rows, Sku};

type Table<K, R> = BTreeMap<K, (R, i64)>;
pub(super) type Answer = Result<Reply, Reject>;

/// What a database would hold: rows with their versions.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Store {
    pub(super) product: Table<ProductId, Product>,
    pub(super) sku: Table<SkuId, Sku>,
    pub(super) category: Table<CategoryId, Category>,
    pub(super) code: Table<CodeKey, SkuCode>,
    pub(super) price: BTreeMap<PriceKey, Price>,
}

pub(super) struct World {
    pub(super) store: Store,
    pub(super) rows: Rows,
    /// What the last commit said, and the last word on each SKU.
    pub(super) said: Vec<Event>,
    pub(super) offers: BTreeMap<SkuId, Offered>,
    /// What time it is.
    pub(super) now: i64,
}

impl Default for World {
    fn default() -> Self {
        let (store, rows) = (Store::default(), Rows::default());
        Self { store, rows, said: Vec::new(), offers: BTreeMap::new(), now: 7 }
    }
}

impl World {
    pub(super) fn commit(&mut self, batch: &[Command]) -> Vec<Answer> {
        for command in batch {
            self.read(command);
        }
        let mut out = Out::default();
        let answers = batch.iter().map(|command| self.decide(command, &mut out)).collect();
        let ctx = Ctx { now: Time(self.now), commit: 1, correlation: None, trace: None };
        Catalog::seal(&ctx, &mut self.rows, &mut out);
        self.said = out.events;
        for event in &self.said {
            if let Event::Offered(offers) = event {
                self.offers.extend(offers.iter().map(|offered| (offered.sku, offered.clone())));
            }
        }
        save(&mut self.rows.product, &mut self.store.product);
        save(&mut self.rows.sku, &mut self.store.sku);
        save(&mut self.rows.category, &mut self.store.category);
        save(&mut self.rows.code, &mut self.store.code);
        for (key, price) in self.rows.price.added() {
            assert_eq!(self.store.price.insert(*key, *price), None, "{key:?} twice");
        }
        self.rows.price.clear();
        answers
    }

    pub(super) fn read(&mut self, command: &Command) {
        for _pass in 0..2 {
            Catalog::want(command, &mut self.rows);
            load(&mut self.rows.product, &self.store.product);
            load(&mut self.rows.sku, &self.store.sku);
            load(&mut self.rows.category, &self.store.category);
            load(&mut self.rows.code, &self.store.code);
        }
    }

    fn decide(&mut self, command: &Command, out: &mut Out<Event>) -> Answer {
        let ctx = Ctx { now: Time(self.now), commit: 1, correlation: None, trace: None };
        let rows = &mut self.rows;
        each(rows, |set| set.mark());
        let before = (dirty(rows), out.events.len());
        let answer = Catalog::decide(command, &ctx, rows, out);
        assert!(out.sends.is_empty() && out.calls.is_empty());
        if answer.is_err() {
            let imports = matches!(command, Command::Import { .. } | Command::Rehearse { .. });
            if !imports {
                assert_eq!((dirty(rows), out.events.len()), before, "a reject of {command:?}");
            }
            out.events.truncate(before.1);
            each(rows, |set| set.rollback());
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

/// Does something to every set of rows.
pub(super) fn each(rows: &mut Rows, f: fn(&mut dyn RowSet)) {
    f(&mut rows.category);
    f(&mut rows.product);
    f(&mut rows.sku);
    f(&mut rows.code);
    f(&mut rows.price);
}

/// All that a commit would write, as text.
fn dirty(rows: &Rows) -> String {
    let prices = rows.price.added();
    let categories = rows.category.changed().collect::<Vec<_>>();
    let codes = rows.code.changed().collect::<Vec<_>>();
    let products = rows.product.changed().collect::<Vec<_>>();
    let skus = rows.sku.changed().collect::<Vec<_>>();
    format!("{products:?} {skus:?} {categories:?} {codes:?} {prices:?}")
}
