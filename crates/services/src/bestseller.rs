//! What sells best: units sold by day, product and SKU, and rankings over days.
//!
//! ```text
//! order.completed, order.refunded ──▶ the order's row ──▶ sold (day, product, sku) ± units
//!                                                          │ summed over 1, 7, 30 days by a reader
//!                                                          ▼
//!                                         ranking: most units first, then the older product
//! ```
//!
//! *Invariants.* 1. A unit counts on the day, in Seoul, on which its order was completed; a refund
//! takes it from that day, whenever it is. 2. An event says only which order to look at: its lines
//! never change, nor does a refund that has ended, so it does not matter when it is looked at. 3. The
//! rows are a function of the orders: `from_rows` makes the same as all events did.
//!
//! A day of 10,000 SKUs is 10,000 rows, and an order changes one for each of its lines: nothing is
//! kept by window. A reader remembers the days it has read, and reads again those that have changed
//! (`sold_mark`), at most once a second; what it has ranked then, other processes need not rank again
//! ([`Shared::ranking`](crate::shared::Shared::ranking)).

mod ranking;

use std::collections::BTreeMap;

use jangbu_domain::catalog::model::Sku;
use jangbu_domain::order::model::{Order, RefundState, State};
use jangbu_engine::port::{By, Col, Fault, Key, Mode, Read, Reader, Store, Table, Tx, WritePlan};
use jangbu_kernel::{SkuId, Time};

pub(crate) use ranking::Remembered;
pub use ranking::{Best, Head, REFRESH, Ranking, Window};

use crate::bound::Stored;
use crate::consumer::{BESTSELLER, Consumer, Delivered, Member, Work, commit};
use crate::events::Fact;

/// Units sold.
pub static SOLD: Table = Table {
    rank: 50,
    name: "sold",
    key: &["day", "product", "sku"],
    cols: &[Col::int("units")],
    versioned: false,
    due: false,
    lists: &[],
    hot: false,
};

/// How often the rows of a day have changed.
pub static SOLD_MARK: Table = Table {
    rank: 51,
    name: "sold_mark",
    key: &["day"],
    cols: &[Col::int("changes")],
    versioned: false,
    due: false,
    lists: &[],
    hot: false,
};

const HOUR: i64 = 3_600_000_000;
const DAY: i64 = 24 * HOUR;
/// Seoul is so far ahead of UTC, and keeps no summer time.
const SEOUL: i64 = 9 * HOUR;

/// Orders and rows of the truth that are read at a time.
const PAGE: u32 = 10_000;

/// The day in Seoul, counted from 1970-01-01.
pub fn day(at: Time) -> i64 {
    (at.0 + SEOUL).div_euclid(DAY)
}

/// Units by day and SKU.
type Units = BTreeMap<(i64, SkuId), i64>;

/// What is to be counted of an order.
#[derive(Debug, Clone, Copy)]
enum Part {
    /// All of its lines.
    Lines,
    /// A refund.
    Refund(u32),
}

/// The best-sellers as a consumer.
#[derive(Debug, Default)]
pub struct Bestseller {
    products: Products,
    /// Orders that events have named, and what of them.
    seen: Vec<(i64, Part)>,
}

/// Which product a SKU belongs to; that never changes.
#[derive(Debug, Default)]
struct Products(BTreeMap<SkuId, i64>);

impl Products {
    /// Reads those that are missing.
    fn read(&mut self, truth: &mut dyn Reader, units: &Units) -> Result<(), Fault> {
        let missing = units.keys().filter(|(_, sku)| !self.0.contains_key(sku));
        let mut keys: Vec<Key> = missing.map(|(_, sku)| [sku.0, 0, 0]).collect();
        keys.sort_unstable();
        keys.dedup();
        if keys.is_empty() {
            return Ok(());
        }
        let products = &mut self.0;
        truth.read(&[Read { table: Sku::TABLE, by: By::Keys(keys) }], &mut |_, row| {
            let Sku { id, product, .. } = Sku::read(row);
            products.insert(id, product.0);
        })
    }
}

impl Bestseller {
    /// The best-sellers as a consumer of the embedded log.
    pub fn member() -> Member {
        Member { consumer: Box::new(Self::default()), source: None }
    }
}

impl Consumer for Bestseller {
    fn number(&self) -> i64 {
        BESTSELLER
    }

    fn wants(&self, topic: &str) -> bool {
        matches!(topic, "order.completed" | "order.refunded")
    }

    fn load(&mut self, _store: &mut dyn Store) -> Result<(), Fault> {
        self.seen.clear();
        Ok(())
    }

    fn take(&mut self, event: &Delivered, _plan: &mut WritePlan) -> Result<i64, Fault> {
        let fact = Fact::decode(&event.payload)
            .map_err(|error| Fault::Item(format!("event {} is damaged: {error}", event.seq)))?;
        match fact {
            Fact::OrderCompleted { .. } => self.seen.push((event.key, Part::Lines)),
            Fact::OrderRefunded { no, .. } => self.seen.push((event.key, Part::Refund(no))),
            _ => {}
        }
        Ok(0)
    }

    fn finish(&mut self, work: &mut Work<'_>) -> Result<(), Fault> {
        let mut seen = std::mem::take(&mut self.seen);
        seen.sort_by_key(|(order, _)| *order);
        let mut keys: Vec<Key> = seen.iter().map(|(order, _)| [*order, 0, 0]).collect();
        keys.dedup();
        let (mut units, mut rest) = (Units::new(), &seen[..]);
        work.truth.read(&[Read { table: Order::TABLE, by: By::Keys(keys) }], &mut |_, row| {
            let (id, order) = (row.int(0), Order::read(row));
            let here = rest.partition_point(|(order, _)| *order <= id);
            for (_, part) in rest[..here].iter().filter(|(order, _)| *order == id) {
                count(&order, *part, &mut units);
            }
            rest = &rest[here..];
        })?;
        self.products.read(work.truth, &units)?;
        apply(&units, &self.products, work.tx, work.plan)
    }
}

/// Adds what a part of a sold order comes to.
fn count(order: &Order, part: Part, units: &mut Units) {
    let Some(at) = order.settled_at.filter(|_| order.state == State::Completed) else { return };
    let mut add = |sku: SkuId, n: i64| *units.entry((day(at), sku)).or_insert(0) += n;
    match part {
        Part::Lines => order.lines.iter().for_each(|line| add(line.sku, line.quantity)),
        Part::Refund(no) => {
            let refund = order.refunds.iter().find(|refund| refund.no == no);
            for range in refund.into_iter().flat_map(|refund| &refund.units) {
                if let Some(line) = order.lines.get(range.line) {
                    add(line.sku, -range.quantity);
                }
            }
        }
    }
}

/// Adds units to the rows of their days.
fn apply(
    units: &Units,
    products: &Products,
    tx: &mut dyn Tx,
    plan: &mut WritePlan,
) -> Result<(), Fault> {
    let place = |(day, sku): &(i64, SkuId)| -> Key {
        [*day, products.0.get(sku).copied().unwrap_or(0), sku.0]
    };
    let mut rows: BTreeMap<Key, i64> =
        units.iter().filter(|(_, n)| **n != 0).map(|(at, n)| (place(at), *n)).collect();
    if rows.is_empty() {
        return Ok(());
    }
    let mut days: BTreeMap<i64, i64> = rows.keys().map(|[day, ..]| (*day, 1)).collect();
    let reads = [
        Read { table: &SOLD, by: By::Keys(rows.keys().copied().collect()) },
        Read { table: &SOLD_MARK, by: By::Keys(days.keys().map(|day| [*day, 0, 0]).collect()) },
    ];
    tx.read(&reads, &mut |read, row| match read {
        0 => *rows.entry(SOLD.key_of(row)).or_insert(0) += row.int(3),
        _ => *days.entry(row.int(0)).or_insert(0) += row.int(1),
    })?;
    for ([day, product, sku], n) in rows {
        if n == 0 {
            plan.row(&SOLD, Mode::Delete).int(day).int(product).int(sku);
        } else {
            plan.row(&SOLD, Mode::Upsert).int(day).int(product).int(sku).int(n);
        }
    }
    for (day, changes) in days {
        plan.row(&SOLD_MARK, Mode::Upsert).int(day).int(changes);
    }
    Ok(())
}

/// Makes all rows anew from the orders, page by page. Nobody writes the truth meanwhile.
pub(crate) fn from_rows(truth: &mut dyn Reader, store: &mut dyn Store) -> Result<(), Fault> {
    clear(store)?;
    let (mut products, mut first) = (Products::default(), i64::MIN);
    loop {
        let (mut units, mut rows) = (Units::new(), 0);
        let (from, to) = ([first, 0, 0], [i64::MAX; 3]);
        let by = By::Range { from, to, descending: false, limit: PAGE };
        truth.read(&[Read { table: Order::TABLE, by }], &mut |_, row| {
            (first, rows) = (row.int(0).saturating_add(1), rows + 1);
            whole(&Order::read(row), &mut units);
        })?;
        products.read(truth, &units)?;
        let (mut plan, mut tx) = (WritePlan::default(), store.begin()?);
        apply(&units, &products, &mut *tx, &mut plan)?;
        plan.sort();
        tx.write(&plan)?;
        commit(tx)?;
        store.between()?;
        if rows < PAGE {
            return Ok(());
        }
    }
}

/// What an order has come to so far.
fn whole(order: &Order, units: &mut Units) {
    count(order, Part::Lines, units);
    let done = |state| state == RefundState::Done;
    for refund in order.refunds.iter().filter(|r| done(r.state) && !r.is_reversal()) {
        count(order, Part::Refund(refund.no), units);
    }
}

/// What a broken attempt, or another time, has left.
fn clear(store: &mut dyn Store) -> Result<(), Fault> {
    loop {
        let mut plan = WritePlan::default();
        for table in [&SOLD, &SOLD_MARK] {
            let (from, to) = ([i64::MIN; 3], [i64::MAX; 3]);
            let by = By::Range { from, to, descending: false, limit: PAGE };
            store.begin()?.read(&[Read { table, by }], &mut |_, row| {
                let key = table.key_of(row);
                let mut gone = plan.row(table, Mode::Delete);
                key.iter().take(table.key.len()).fold(&mut gone, |gone, part| gone.int(*part));
            })?;
        }
        if plan.is_empty() {
            return Ok(());
        }
        let mut tx = store.begin()?;
        tx.write(&plan)?;
        commit(tx)?;
        store.between()?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_begins_at_midnight_in_seoul() {
        // 2026-11-21T15:00:00Z is midnight of the 22nd in Seoul.
        let midnight = Time(1_795_273_200_000_000);
        assert_eq!(day(Time(midnight.0 - 1)) + 1, day(midnight));
        assert_eq!(day(Time(midnight.0 + DAY - 1)), day(midnight));
        assert_eq!(day(Time(-SEOUL)), 0);
        assert_eq!(day(Time(-SEOUL - 1)), -1);
    }
}
