//! Inventory: conservation of every SKU's units, over movements and reservations.
//!
//! ```text
//! received + adjusted + returned = available + reserved + sold + written off
//! reserved = Σ lines HELD | PINNED      sold = Σ lines COMMITTED      returned = Σ returns
//! ```

use std::collections::HashMap;

use crate::{
    Error,
    book::{Book, rules},
    catalog::Catalog,
    ids,
    order::refund_state,
    rows::{Cells, Source, Unreadable, scan},
    walk::Case,
};

rules! {
    EQUATION = "stock.equation", Mismatched, "received + adjusted + returned = available + reserved + sold + written off, none but adjusted negative.";
    RECEIVED = "stock.received", Mismatched, "Received is the sum of the receipts.";
    ADJUSTED = "stock.adjusted", Mismatched, "Adjusted is the sum of the adjustments.";
    RESERVED = "stock.reserved", Mismatched, "Reserved is the sum of the lines of reservations HELD and PINNED.";
    SOLD = "stock.sold", Mismatched, "Sold is the sum of the lines of reservations COMMITTED.";
    RETURNED = "stock.returned", Mismatched, "Returned is the sum of the returns.";
    WRITTEN_OFF = "stock.written-off", Mismatched, "Written off is the sum of the returns that were not put back on sale.";
    MISSING = "stock.missing", Lost, "A SKU that was received, reserved or sold has a stock row.";
    SKU = "stock.sku", Mismatched, "The SKU of every stock row is in the catalog.";
    MOVEMENT = "stock.movement", Mismatched, "A receipt adds units, an adjustment changes them, and none leaves less than nothing.";
    LINES = "reservation.lines", Mismatched, "A reservation has one line per SKU, ascending, each of one unit or more; none only as a tombstone.";
    ORDER = "reservation.order", Mismatched, "The order of a reservation exists.";
    RETURNS = "reservation.returns", Mismatched, "A return belongs to a refund of the order, has its units, and every DONE refund of units has one.";
    RETURN_DOUBLED = "reservation.return-doubled", Doubled, "The units of a refund are returned once.";
    TIMER = "reservation.timer", Mismatched, "A HELD reservation expires at some time.";
}

/// The columns that are walked, by key.
pub(crate) const SQL: &str =
    "SELECT order_id, state, lines, returns, next_at FROM reservation ORDER BY order_id";

const HELD: i64 = 1;
const PINNED: i64 = 2;
const COMMITTED: i64 = 3;
const RELEASED: i64 = 4;
const EXPIRED: i64 = 5;

/// A reservation row.
#[derive(Debug)]
pub(crate) struct Reservation {
    pub(crate) state: i64,
    pub(crate) lines: Vec<(i64, i64)>,
    pub(crate) returns: Vec<Return>,
    pub(crate) next_at: Option<i64>,
}

/// Units that came back with a refund.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Return {
    no: i64,
    lines: Vec<(i64, i64)>,
    restocked: i64,
}

impl Reservation {
    /// Reads the columns of [`SQL`] after the key.
    pub(crate) fn read(cells: &mut Cells<'_>) -> Result<Self, Unreadable> {
        Ok(Self {
            state: cells.int_in(HELD..=EXPIRED)?,
            lines: cells.json()?,
            returns: cells.json()?,
            next_at: cells.int_or_null()?,
        })
    }

    /// Whether it only keeps a late reservation from succeeding.
    pub(crate) fn is_tombstone(&self) -> bool {
        self.state == RELEASED && self.lines.is_empty()
    }
}

/// The name of a reservation's state.
pub(crate) fn state_name(state: i64) -> &'static str {
    match state {
        HELD => "HELD",
        PINNED => "PINNED",
        COMMITTED => "COMMITTED",
        RELEASED => "RELEASED",
        EXPIRED => "EXPIRED",
        _ => "in no known state",
    }
}

/// Sums per SKU while the books are walked.
#[derive(Debug, Default)]
pub(crate) struct Laws {
    sums: HashMap<i64, Sums>,
    movements: std::collections::HashSet<i64>,
}

#[derive(Debug, Default)]
struct Sums {
    received: i128,
    adjusted: i128,
    reserved: i128,
    sold: i128,
    returned: i128,
    written_off: i128,
}

impl Laws {
    /// Reads the movements.
    pub(crate) fn load(from: Source<'_>, book: &mut Book) -> Result<Self, Error> {
        from.watch.phase("stock movements");
        let mut laws = Self::default();
        let sql = "SELECT id, sku, kind, quantity, available FROM movement";
        scan(from, book, sql, |cells, book| {
            let (id, sku, kind) = (cells.int()?, cells.int()?, cells.int_in(1..=2)?);
            let (quantity, available) = (cells.int()?, cells.int()?);
            laws.movements.insert(id);
            let sums = laws.sums.entry(sku).or_default();
            let receipt = kind == 1;
            *(if receipt { &mut sums.received } else { &mut sums.adjusted }) +=
                i128::from(quantity);
            if quantity == 0 || (receipt && quantity < 0) || available < 0 {
                let detail = format!("kind {kind}, quantity {quantity}, {available} left");
                book.find(MOVEMENT, ids::show("mov", id), detail);
            }
            Ok(())
        })?;
        Ok(laws)
    }

    /// Whether this is a stock movement.
    pub(crate) fn knows(&self, id: i64) -> bool {
        self.movements.contains(&id)
    }

    /// Adds the reservation of a case, and checks it against its order.
    pub(crate) fn walk(&mut self, case: &Case<'_>, book: &mut Book) {
        let Some(reservation) = &case.reservation else { return };
        self.add(reservation);
        let mut find = |rule, detail| book.find(rule, ids::order(case.id), detail);
        let ascending = reservation.lines.windows(2).all(|pair| pair[0].0 < pair[1].0);
        let units = reservation.lines.iter().all(|(_, quantity)| *quantity > 0);
        let bare = reservation.lines.is_empty() && !reservation.is_tombstone();
        if !ascending || !units || bare {
            let state = state_name(reservation.state);
            find(LINES, format!("{state} with {:?} (sku, quantity)", reservation.lines));
        }
        if reservation.state == HELD && reservation.next_at.is_none() {
            find(TIMER, "HELD for ever".to_owned());
        }
        if case.order.is_none() {
            find(ORDER, format!("{}, and the order is absent", state_name(reservation.state)));
        }
        returns(case, reservation, &mut find);
    }

    fn add(&mut self, reservation: &Reservation) {
        for &(sku, quantity) in &reservation.lines {
            let sums = self.sums.entry(sku).or_default();
            match reservation.state {
                HELD | PINNED => sums.reserved += i128::from(quantity),
                COMMITTED => sums.sold += i128::from(quantity),
                _ => {}
            }
        }
        let back = reservation.returns.iter();
        for (back, &(sku, quantity)) in back.flat_map(|b| b.lines.iter().map(move |l| (b, l))) {
            let sums = self.sums.entry(sku).or_default();
            sums.returned += i128::from(quantity);
            sums.written_off += if back.restocked == 0 { i128::from(quantity) } else { 0 };
        }
    }

    /// Compares the sums with the stock rows.
    pub(crate) fn close(
        mut self,
        from: Source<'_>,
        catalog: &Catalog,
        book: &mut Book,
    ) -> Result<(), Error> {
        let sql = "SELECT sku, received, adjusted, returned, available, reserved, sold, \
                   written_off FROM stock";
        scan(from, book, sql, |cells, book| {
            let sku = cells.int()?;
            let mut row = [0; 7];
            for column in &mut row {
                *column = i128::from(cells.int()?);
            }
            let sums = self.sums.remove(&sku).unwrap_or_default();
            compare(sku, row, &sums, book);
            if catalog.sku(sku).is_none() {
                book.find(SKU, ids::sku(sku), "has stock, but is in no catalog".to_owned());
            }
            Ok(())
        })?;
        for (sku, sums) in self.sums {
            book.find(MISSING, ids::sku(sku), format!("no stock row; moved: {sums:?}"));
        }
        Ok(())
    }
}

fn compare(sku: i64, row: [i128; 7], sums: &Sums, book: &mut Book) {
    let [received, adjusted, returned, available, reserved, sold, written_off] = row;
    let equal = received + adjusted + returned == available + reserved + sold + written_off;
    let none_negative = [received, returned, available, reserved, sold, written_off];
    if !equal || none_negative.iter().any(|units| *units < 0) {
        let detail = format!(
            "{received} + {adjusted} + {returned} received, adjusted, returned; {available} + \
             {reserved} + {sold} + {written_off} available, reserved, sold, written off"
        );
        book.find(EQUATION, ids::sku(sku), detail);
    }
    let laws = [
        (RECEIVED, received, sums.received),
        (ADJUSTED, adjusted, sums.adjusted),
        (RESERVED, reserved, sums.reserved),
        (SOLD, sold, sums.sold),
        (RETURNED, returned, sums.returned),
        (WRITTEN_OFF, written_off, sums.written_off),
    ];
    for (rule, stored, summed) in laws {
        if stored != summed {
            book.find(rule, ids::sku(sku), format!("{stored} stored, {summed} by the rows"));
        }
    }
}

fn returns(case: &Case<'_>, reservation: &Reservation, find: &mut impl FnMut(crate::Rule, String)) {
    let Some(order) = &case.order else { return };
    for (at, back) in reservation.returns.iter().enumerate() {
        if reservation.returns[..at].iter().any(|other| other.no == back.no) {
            find(RETURN_DOUBLED, format!("refund {} is returned twice", back.no));
        }
        let fits = reservation.state == COMMITTED
            && order.refund(back.no).is_some_and(|refund| {
                let units = order.by_sku(&refund.units);
                let past = matches!(refund.state, refund_state::RESTORING | refund_state::DONE);
                let mut lines: Vec<_> =
                    back.lines.iter().map(|(sku, q)| (*sku, i128::from(*q))).collect();
                lines.sort_unstable();
                past && back.restocked == refund.restock && lines == units
            });
        if !fits {
            find(RETURNS, format!("refund {} returned {:?} (sku, quantity)", back.no, back.lines));
        }
    }
    let done = order.refunds.iter().filter(|r| r.no > 0 && r.state == refund_state::DONE);
    for refund in done.filter(|refund| !refund.units.is_empty()) {
        if reservation.returns.iter().all(|back| back.no != refund.no) {
            find(RETURNS, format!("refund {} is DONE, its units never came back", refund.no));
        }
    }
}
