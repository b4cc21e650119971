//! What trimmed events said, from the rows of the truth: the beginning of a new `derived.db` when the
//! outbox does not begin at event 1 any more. The projector takes in the rest.
//!
//! | rows | come from | |
//! |---|---|---|
//! | orders by user | `orders` | the same as before |
//! | coupons by user | `user_coupon` | the same as before |
//! | account entries, balances | `entry` | the same, but for the order of entries of one account, one microsecond and several sources: that was the order of their events, and is that of their sources now |
//! | timeline | – | the usual turns stand in the rows anyway; what else happened before the trimmed head (refunds, rare turns) is not told any more |
//! | shelf, categories | `product`, `sku`, `category` | the same: they are always made from rows |
//! | history of points | – | what accounts have now is known; how they came to it before the trimmed head is not told any more |
//! | parked keys | – | their events are never trimmed |
//!
//! One pass over each table in key order, 10,000 rows in a transaction. The offset is written last:
//! a refill that was broken off is seen, and begun anew on an empty file.

use std::collections::{BTreeMap, BTreeSet};

use jangbu_engine::books::{OUTBOX, SHARD};
use jangbu_engine::port::{
    Backend, By, Fault, Fields, Key, Mode, Read, Reader, Store, Table, WritePlan,
};

use super::{ACCOUNT_ENTRY, ACCOUNT_TAIL, COUPON_OF_USER, USER_ORDER, shelf};
use crate::catalog::{CATEGORY, PRODUCT};
use crate::consumer::{OFFSET, commit};
use crate::coupon::USER_COUPON;
use crate::events::{Fact, PointMove};
use crate::ledger::{ENTRY, Made};
use crate::order::ORDERS;

/// Rows in one transaction.
const PAGE: u32 = 10_000;

/// Rows of the truth that become derived rows one by one.
pub(crate) struct Origin {
    /// The table of the truth.
    pub(crate) table: &'static Table,
    /// Puts what is derived from a row into the plan.
    pub(crate) derive: fn(&dyn Fields, &mut WritePlan),
}

/// Everything that is derived row by row. Whoever adds a projection that lives longer than its
/// events adds where it comes from.
const ORIGINS: &[Origin] = &[
    Origin { table: &ORDERS, derive: user_order },
    Origin { table: &USER_COUPON, derive: coupon_of_user },
    Origin { table: &CATEGORY, derive: shelf::child },
];

fn coupon_of_user(row: &dyn Fields, plan: &mut WritePlan) {
    let issued_at = USER_COUPON.position("issued_at").unwrap_or_default();
    let mut to = plan.row(&COUPON_OF_USER, Mode::Upsert);
    to.int(row.int(2)).int(row.int(0)).int(row.int(issued_at));
}

fn user_order(row: &dyn Fields, plan: &mut WritePlan) {
    let placed_at = ORDERS.position("placed_at").unwrap_or_default();
    plan.row(&USER_ORDER, Mode::Upsert).int(row.int(1)).int(row.int(0)).int(row.int(placed_at));
}

/// How a `derived.db` stands to the outbox that it follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Everything that it needs is in the outbox.
    Follows,
    /// It is new, and events were trimmed: [`refill`] first.
    New,
    /// It has missed trimmed events, or a refill was broken off: make it anew.
    Behind,
}

/// How `derived` stands to the outbox of `truth`.
pub fn standing(truth: &dyn Backend, derived: &dyn Backend) -> Result<Standing, Fault> {
    let trimmed = trimmed(&mut *truth.reader()?)?;
    let (mut seq, mut rows) = (0, 0);
    derived.with(&mut |_| {})?;
    let by = || By::Range { from: [i64::MIN; 3], to: [i64::MAX; 3], descending: false, limit: 1 };
    let reads = [
        Read { table: &OFFSET, by: By::Keys(vec![[0; 3]]) },
        Read { table: &USER_ORDER, by: by() },
        Read { table: &ACCOUNT_ENTRY, by: by() },
    ];
    derived.reader()?.read(&reads, &mut |at, row| {
        rows += 1;
        if at == 0 {
            seq = row.int(1);
        }
    })?;
    Ok(match rows {
        _ if seq >= trimmed => Standing::Follows,
        0 => Standing::New,
        _ => Standing::Behind,
    })
}

/// Fills a new `derived` from the rows of `truth`, which nobody writes meanwhile. Gives the number of
/// the last event that it stands for.
pub fn refill(truth: &dyn Backend, derived: &dyn Backend) -> Result<i64, Fault> {
    let mut reader = truth.reader()?;
    let trimmed = trimmed(&mut *reader)?;
    let mut done = Ok(());
    derived.with(&mut |store| done = from_rows(&mut *reader, store, trimmed))?;
    done?;
    let (mut reader, mut done) = (derived.reader()?, Ok(()));
    derived.with(&mut |store| done = balance(&mut *reader, store, trimmed))?;
    done.map(|()| trimmed)
}

fn trimmed(truth: &mut dyn Reader) -> Result<i64, Fault> {
    let mut trimmed = 0;
    let by = By::Keys(vec![[0; 3]]);
    truth.read(&[Read { table: &SHARD, by }], &mut |_, row| trimmed = row.int(6))?;
    Ok(trimmed)
}

/// Reads a table page by page; what `derive` puts into the plan is a commit of each page.
fn pages(
    from: &mut dyn Reader,
    store: &mut dyn Store,
    table: &'static Table,
    derive: &mut dyn FnMut(&dyn Fields, &mut WritePlan),
) -> Result<(), Fault> {
    let width = table.key.len();
    let (mut first, mut plan) = ([i64::MIN; 3], WritePlan::default());
    loop {
        let (mut rows, mut last) = (0, [0; 3]);
        let by = By::Range { from: first, to: [i64::MAX; 3], descending: false, limit: PAGE };
        from.read(&[Read { table, by }], &mut |_, row| {
            rows += 1;
            (0..width).for_each(|at| last[at] = row.int(at));
            derive(row, &mut plan);
        })?;
        write(store, &mut plan)?;
        if rows < PAGE {
            return Ok(());
        }
        first = last;
        first[width - 1] += 1;
    }
}

fn write(store: &mut dyn Store, plan: &mut WritePlan) -> Result<(), Fault> {
    plan.sort();
    let mut tx = store.begin()?;
    tx.write(plan)?;
    commit(tx)?;
    plan.clear();
    store.between()
}

/// Looks at every product.
fn products(truth: &mut dyn Reader, store: &mut dyn Store) -> Result<(), Fault> {
    let (mut first, mut plan) = (i64::MIN, WritePlan::default());
    loop {
        let by =
            By::Range { from: [first, 0, 0], to: [i64::MAX; 3], descending: false, limit: PAGE };
        let mut ids = BTreeSet::new();
        truth.read(&[Read { table: &PRODUCT, by }], &mut |_, row| {
            ids.insert(row.int(0));
        })?;
        let Some(last) = ids.last().copied() else { return Ok(()) };
        shelf::look(truth, &ids, &mut plan)?;
        write(store, &mut plan)?;
        first = last + 1;
    }
}

fn from_rows(truth: &mut dyn Reader, store: &mut dyn Store, trimmed: i64) -> Result<(), Fault> {
    for Origin { table, derive } in ORIGINS {
        pages(truth, store, table, &mut |row, plan| derive(row, plan))?;
    }
    products(truth, store)?;
    let told = Told::after(truth, trimmed)?;
    let mut rank = 0;
    pages(truth, store, &ENTRY, &mut |row, plan| {
        rank += 1;
        if !told.has(row) {
            // The numbers of entries that later events have made are above all of these.
            let mut entry = plan.row(&ACCOUNT_ENTRY, Mode::Upsert);
            entry.int(row.int(3)).int(row.int(5)).int(rank);
            entry.int(row.int(0)).int(row.int(1)).int(row.int(2)).int(row.int(4)).int(0);
        }
    })
}

/// First and last keys of the entries that an event has made.
fn made(row: &dyn Fields) -> Vec<(Key, Key)> {
    let Ok(fact) = Fact::decode(row.blob(7)) else { return Vec::new() };
    let seq = row.int(0);
    let moves = if let Fact::PointChanged { moves } = &fact { &**moves } else { &[] };
    let points = moves.iter().filter_map(PointMove::posting);
    let points = points.map(|posting| Made::of_points(seq, 0, posting));
    Made::of((seq, row.int(4)), &fact).into_iter().chain(points).map(|made| made.keys()).collect()
}

/// What the events say that are still in the outbox.
struct Told {
    /// The commit of the first of them; some of its events may be gone.
    first: i64,
    /// First and last keys of the entries that events of that commit have made.
    made: BTreeSet<(Key, Key)>,
}

impl Told {
    fn after(truth: &mut dyn Reader, trimmed: i64) -> Result<Self, Fault> {
        let mut told = Self { first: i64::MAX, made: BTreeSet::new() };
        let mut seq = trimmed + 1;
        loop {
            let (mut rows, mut more) = (0, true);
            let (from, to) = ([seq, 0, 0], [i64::MAX; 3]);
            let by = By::Range { from, to, descending: false, limit: PAGE };
            truth.read(&[Read { table: &OUTBOX, by }], &mut |_, row| {
                rows += 1;
                seq = row.int(0) + 1;
                told.first = told.first.min(row.int(1));
                more &= row.int(1) == told.first;
                let first = more.then(|| made(row));
                told.made.extend(first.into_iter().flatten());
            })?;
            if rows < PAGE || !more {
                return Ok(told);
            }
        }
    }

    /// Whether an event that is still there tells of an entry.
    fn has(&self, row: &dyn Fields) -> bool {
        let (key, made_in) = ([row.int(0), row.int(1), row.int(2)], row.int(6));
        let of_first = || {
            let before = self.made.range(..=(key, [i64::MAX; 3])).next_back();
            before.is_some_and(|(from, to)| *from <= key && key <= *to)
        };
        made_in > self.first || made_in == self.first && of_first()
    }
}

/// The running balances of all entries in their order, and the offset: the refill is whole.
fn balance(entries: &mut dyn Reader, store: &mut dyn Store, trimmed: i64) -> Result<(), Fault> {
    let mut tails = BTreeMap::new();
    pages(entries, store, &ACCOUNT_ENTRY, &mut |row, plan| {
        let balance = tails.entry(row.int(0)).or_insert(0);
        *balance += row.int(6);
        let mut entry = plan.row(&ACCOUNT_ENTRY, Mode::Upsert);
        for at in 0..7 {
            entry.int(row.int(at));
        }
        entry.int(*balance);
    })?;
    let mut plan = WritePlan::default();
    for (account, balance) in tails {
        plan.row(&ACCOUNT_TAIL, Mode::Upsert).int(account).int(balance);
    }
    plan.row(&OFFSET, Mode::Upsert).int(0).int(trimmed);
    write(store, &mut plan)
}
