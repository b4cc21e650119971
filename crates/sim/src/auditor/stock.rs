//! Units: where they came from and where they are.

use std::collections::BTreeMap;

use super::rows::{Row, int, list, sum};
use super::{Auditor, Broken, Change, law};
use crate::tally::Tally;

const HELD: i64 = 1;
const PINNED: i64 = 2;
const COMMITTED: i64 = 3;

pub(super) fn judge(change: &Change<'_>, tally: &mut Tally) -> Result<(), Broken> {
    match (change.table, change.before, change.after) {
        ("stock", _, Some(row)) => counters(row),
        ("movement", None, Some(_)) => Ok(()),
        ("reservation", before, Some(row)) => {
            let (from, to) = (before.map_or(0, |row| row.int("state")), row.int("state"));
            tally.add(&format!("reservation {from} → {to}"));
            let may = match (from, to) {
                (0, HELD..=4) | (HELD, PINNED..=5) | (PINNED, COMMITTED | 4) => true,
                (from, to) => from == to,
            };
            law(may, || format!("a reservation went from {from} to {to}"))
        }
        _ => Err("a row of the stock is gone, or a movement has changed".to_owned()),
    }
}

fn counters(row: &Row) -> Result<(), Broken> {
    let came = sum(["received", "adjusted", "returned"].map(|name| row.int(name)));
    let are = sum(["available", "reserved", "sold", "written_off"].map(|name| row.int(name)));
    law(came == are, || format!("{came} units came, {are} are there"))?;
    let counters = ["received", "returned", "available", "reserved", "sold", "written_off"];
    let negative = counters.into_iter().find(|name| row.int(name) < 0);
    law(negative.is_none(), || format!("{negative:?} is negative"))
}

/// What reservations and movements say about one SKU.
#[derive(Default, PartialEq, Eq, Debug, Clone, Copy)]
struct Sums {
    received: i64,
    adjusted: i64,
    returned: i64,
    reserved: i64,
    sold: i64,
    written_off: i64,
}

impl Auditor {
    pub(super) fn stock_sums(&self) -> Result<(), Broken> {
        let mut sums: BTreeMap<i64, Sums> = BTreeMap::new();
        for row in self.table("movement").values() {
            let of = sums.entry(row.int("sku")).or_default();
            let received = row.int("kind") == 1;
            *if received { &mut of.received } else { &mut of.adjusted } += row.int("quantity");
        }
        for row in self.table("reservation").values() {
            add_reservation(row, &mut sums);
        }
        for (key, row) in self.table("stock") {
            let is = Sums {
                received: row.int("received"),
                adjusted: row.int("adjusted"),
                returned: row.int("returned"),
                reserved: row.int("reserved"),
                sold: row.int("sold"),
                written_off: row.int("written_off"),
            };
            let should = sums.remove(&key[0]).unwrap_or_default();
            law(is == should, || format!("stock of {}: {is:?}, rows say {should:?}", key[0]))?;
        }
        let homeless = sums.iter().find(|(_, sums)| **sums != Sums::default());
        law(homeless.is_none(), || format!("no stock row for {homeless:?}"))
    }

    /// Nothing is held for nobody once everything has come to rest.
    pub(super) fn stock_rest(&self) -> Result<(), Broken> {
        for (key, row) in self.table("reservation") {
            let order = self.row("orders", key[0]);
            let settled = order.is_some_and(|order| matches!(order.int("state"), 8 | 9));
            let held = matches!(row.int("state"), HELD | PINNED);
            law(!(settled && held), || format!("units are held for {}, which has ended", key[0]))?;
            law(order.is_some(), || format!("a reservation without an order: {}", key[0]))?;
        }
        Ok(())
    }
}

fn add_reservation(row: &Row, sums: &mut BTreeMap<i64, Sums>) {
    let state = row.int("state");
    for line in row.packed("lines") {
        let of = sums.entry(int(&line, 0)).or_default();
        match state {
            HELD | PINNED => of.reserved += int(&line, 1),
            COMMITTED => of.sold += int(&line, 1),
            _ => {}
        }
    }
    for back in row.packed("returns") {
        let restocked = int(&back, 2) == 1;
        for line in list(&back, 1) {
            let of = sums.entry(int(line, 0)).or_default();
            of.returned += int(line, 1);
            of.written_off += if restocked { 0 } else { int(line, 1) };
        }
    }
}
