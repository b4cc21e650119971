//! The auditor: after everything that happens it reads what was written and does its own sums. It
//! shares no code with the domains and none with `prove`: it knows columns by name and the laws
//! below, and nothing about how they are kept.
//!
//! | file | laws |
//! |---|---|
//! | `stock` | units come and go, and none appears or vanishes |
//! | `points` | the same of points, by kind and by lot |
//! | `coupons` | issued = used + free + expired + revoked ≤ N; one order for one coupon |
//! | `money` | refunded + pending ≤ captured ≤ authorised ≤ amount; the gateway took no more and no less |
//! | `books` | entries never change, postings balance, accounts are their sums, payments have theirs |
//! | `shares` | what each unit bears of discount, points and cash |
//! | `orders` | a saga has a timer, an end or a reason; what is claimed was bought; ends are final |
//! | `engine` | what was committed is published once; events and requests are numbered without gaps; nothing is set aside without a cause |
//! | `answers` | no answer contradicts an earlier one; what was acknowledged is there |
//!
//! Laws within one cell hold at every moment. Those across cells hold in the direction in which
//! facts travel, and altogether when everything has come to rest ([`Auditor::rest`]).

mod answers;
mod books;
mod coupons;
mod engine;
mod money;
mod orders;
mod points;
mod rows;
mod shares;
mod stock;

use std::collections::{BTreeMap, BTreeSet};

use jangbu_engine::port::{By, Key, Read, Reader};
use jangbu_kernel::UnitId;
use jangbu_services::registry::TABLES;

use crate::gateway::Gateway;
use crate::plan::Cut;
use crate::tally::Tally;
use crate::tape::Touched;
pub(crate) use answers::{Heard, Views};
use rows::{Row, Rows};

/// A law that was broken: the world ends here.
pub(crate) type Broken = String;

/// A row before and after it was written.
struct Change<'a> {
    table: &'static str,
    key: Key,
    before: Option<&'a Row>,
    after: Option<&'a Row>,
}

/// What the auditor has seen.
#[derive(Debug)]
pub(crate) struct Auditor {
    cut: Cut,
    /// Rows of the domains, from whichever cell has them.
    tables: BTreeMap<&'static str, Rows>,
    /// Rows of the engine, which every cell has.
    own: Vec<BTreeMap<&'static str, Rows>>,
    /// How often each topic was published about each aggregate.
    published: BTreeMap<(String, i64), u32>,
    pub(crate) views: Views,
}

/// An operator's work that is left to do.
#[derive(Debug, Default)]
pub(crate) struct Chores {
    /// Cell and item.
    pub(crate) poison: Vec<(usize, i64)>,
    pub(crate) stuck: Vec<i64>,
    /// Payments whose outcome is open.
    pub(crate) unknown: Vec<i64>,
    /// Refunds whose outcome is open.
    pub(crate) refunds: Vec<(i64, u32)>,
}

const ENGINE: [&str; 6] = ["shard", "idem", "request", "outbox", "poison", "audit_log"];

impl Auditor {
    pub(crate) fn new(cut: Cut) -> Self {
        let own = cut.iter().map(|_| BTreeMap::new()).collect();
        let (tables, published) = (BTreeMap::new(), BTreeMap::new());
        Self { cut, tables, own, published, views: Views::default() }
    }

    /// Reads the rows that a cell may have written, and judges all that changed.
    pub(crate) fn look(
        &mut self,
        cell: usize,
        (touched, reader): (&Touched, &mut Box<dyn Reader>),
        gateway: &Gateway,
        tally: &mut Tally,
    ) -> Result<(), Broken> {
        let mut changed = BTreeSet::new();
        for (at, key) in touched {
            let (table, key) = (TABLES[*at], *key);
            let after = read(&mut **reader, *at, key)?;
            let rows = if ENGINE.contains(&table.name) {
                self.own[cell].entry(table.name).or_default()
            } else {
                self.tables.entry(table.name).or_default()
            };
            let before = match &after {
                Some(row) => rows.insert(key, row.clone()),
                None => rows.remove(&key),
            };
            if before == after {
                continue;
            }
            changed.insert(table.name);
            if let Some(row) = after.as_ref().filter(|_| table.name == "outbox") {
                let about = (row.text("topic").to_owned(), row.int("key"));
                *self.published.entry(about).or_default() += 1;
            }
            let (before, after) = (before.as_ref(), after.as_ref());
            let change = Change { table: table.name, key, before, after };
            Self::judge(&change, gateway, tally).map_err(|law| {
                format!("{law}\n  {} {key:?}\n  was {before:?}\n  is  {after:?}", table.name)
            })?;
        }
        self.sums(&changed)
    }

    /// The laws of one row, and of how it may change.
    fn judge(change: &Change<'_>, gateway: &Gateway, tally: &mut Tally) -> Result<(), Broken> {
        match change.table {
            "stock" | "movement" | "reservation" => stock::judge(change, tally),
            "campaign" | "user_coupon" | "coupon_holder" | "coupon_issue" => {
                coupons::judge(change, tally)
            }
            "point_account" | "point_credit" | "point_use" => points::judge(change, tally),
            "payment" => money::judge(change, gateway, tally),
            "entry" | "chain" | "journal" => books::keeps(change),
            "orders" => Self::judge_order(change, tally),
            "outbox" | "request" | "poison" | "shard" | "audit_log" => engine::judge(change, tally),
            _ => Ok(()),
        }
    }

    /// The laws over many rows that hold after every commit, as far as rows of theirs have changed.
    fn sums(&self, changed: &BTreeSet<&'static str>) -> Result<(), Broken> {
        let any = |tables: &[&str]| tables.iter().any(|table| changed.contains(table));
        if any(&["stock", "movement", "reservation"]) {
            self.stock_sums()?;
        }
        if any(&["point_account", "point_credit", "point_use"]) {
            self.point_sums()?;
        }
        if any(&["campaign", "user_coupon", "coupon_holder"]) {
            self.coupon_sums()?;
        }
        if any(&["account", "entry", "payment"]) {
            self.book_sums()?;
        }
        if any(&["orders", "reservation", "payment"]) {
            self.order_sums()?;
        }
        if any(&["orders", "payment", "outbox"]) {
            self.event_sums()?;
        }
        self.engine_sums()?;
        self.views.check(|order| self.table("orders").get(&[order, 0, 0]))
    }

    /// Everything has come to rest. `tended`: operators have done what they can.
    pub(crate) fn rest(&self, gateway: &Gateway, tended: bool) -> Result<(), Broken> {
        self.engine_rest()?;
        self.stock_rest()?;
        self.point_rest()?;
        self.coupon_rest()?;
        self.order_rest(gateway, tended)?;
        self.money_rest(gateway, tended)?;
        self.book_rest()
    }

    fn table(&self, name: &str) -> &Rows {
        const NONE: &Rows = &Rows::new();
        self.tables.get(name).unwrap_or(NONE)
    }

    fn row(&self, table: &str, id: i64) -> Option<&Row> {
        self.table(table).get(&[id, 0, 0])
    }

    /// Whether two units share a cell, and so a transaction.
    fn together(&self, one: &str, other: &str) -> bool {
        let has = |units: &Vec<UnitId>, name: &str| units.iter().any(|unit| unit.0 == name);
        self.cut.iter().any(|units| has(units, one) && has(units, other))
    }

    pub(crate) fn chores(&self) -> Chores {
        let mut chores = Chores::default();
        for (cell, own) in self.own.iter().enumerate() {
            let open = own.get("poison").into_iter().flatten().filter(|(_, r)| r.int("state") == 1);
            chores.poison.extend(open.map(|(key, _)| (cell, key[0])));
        }
        let stuck = self.table("orders").iter().filter(|(_, row)| row.int("state") == 10);
        chores.stuck.extend(stuck.map(|(key, _)| key[0]));
        for (key, row) in self.table("payment") {
            if money::is_open(row) {
                chores.unknown.push(key[0]);
            }
            chores.refunds.extend(money::open_refunds(row).into_iter().map(|no| (key[0], no)));
        }
        chores
    }
}

impl Chores {
    pub(crate) fn is_empty(&self) -> bool {
        let Self { poison, stuck, unknown, refunds } = self;
        poison.is_empty() && stuck.is_empty() && unknown.is_empty() && refunds.is_empty()
    }
}

fn read(reader: &mut dyn Reader, table: usize, key: Key) -> Result<Option<Row>, Broken> {
    let table = TABLES[table];
    let mut row = None;
    let plan = [Read { table, by: By::Keys(vec![key]) }];
    let done = reader.read(&plan, &mut |_, fields| row = Some(Row::read(table, fields)));
    done.map_err(|fault| format!("the auditor cannot read: {fault}"))?;
    Ok(row)
}

/// A law: broken unless `holds`.
fn law(holds: bool, what: impl FnOnce() -> String) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err(what()) }
}
