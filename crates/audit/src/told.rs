//! What events tell of stock and points, replayed against the rows.
//!
//! `stock.changed` has what is available of each SKU that a commit changed, `point.changed` each
//! movement of each account. Whoever follows them must end where the rows are. Of events that are
//! trimmed nothing is asked: then the first one that is left is where a replay begins.

use std::collections::HashMap;

use crate::{
    Error,
    book::{Book, rules},
    ids,
    rows::{Source, scan},
};

rules! {
    PAYLOAD = "event.payload", Mismatched, "What an event tells of stock or points can be read.";
    STOCK = "stock.told", Mismatched, "The last event about a SKU tells what is available of it; while no event is trimmed, there is one about each SKU.";
    POINT = "point.told", Mismatched, "Movements told of an account follow from each other and end at its balance; while no event is trimmed, they sum to its counters.";
}

/// Numbers of the events among those that a payload can have.
const STOCK_CHANGED: u64 = 11;
const POINT_CHANGED: u64 = 15;

/// What the events of the outbox said, in their order.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// What was available last, by SKU.
    stocks: HashMap<i64, i64>,
    pub(crate) points: HashMap<i64, Purse>,
    /// Nothing is trimmed: all that ever happened was told.
    pub(crate) whole: bool,
}

/// What was told of an account.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Purse {
    pub(crate) balance: i128,
    /// Points that came, by the number of what happened: paid and earned.
    pub(crate) sums: [[i128; 2]; WHATS],
}

/// One more than the highest number of what can happen to points.
pub(crate) const WHATS: usize = 11;

/// A movement: whose, what, paid, earned, balance after it.
struct Move {
    user: i64,
    what: usize,
    amounts: [i64; 2],
    balance: i64,
}

impl Told {
    /// Takes the payload of `stock.changed` number `seq`.
    pub(crate) fn stock(&mut self, seq: i64, payload: &[u8], book: &mut Book) {
        let Some(stocks) = stocks(payload) else { return unreadable(seq, payload, book) };
        if !stocks.is_sorted_by(|a, b| a.0 < b.0) {
            book.find(STOCK, format!("event {seq}"), format!("SKUs out of order: {stocks:?}"));
        }
        self.stocks.extend(stocks);
    }

    /// Takes the payload of `point.changed` number `seq`.
    pub(crate) fn point(&mut self, seq: i64, payload: &[u8], book: &mut Book) {
        let Some(moves) = moves(payload) else { return unreadable(seq, payload, book) };
        for line in moves {
            let amounts = line.amounts.map(i128::from);
            let came: i128 = amounts.iter().sum();
            let before = i128::from(line.balance) - came;
            let begin = if self.whole { 0 } else { before };
            let purse = self
                .points
                .entry(line.user)
                .or_insert_with(|| Purse { balance: begin, ..Purse::default() });
            if purse.balance != before {
                let detail = format!("event {seq}: {came} after {}, not {before}", purse.balance);
                book.find(POINT, ids::show("usr", line.user), detail);
            }
            purse.balance = i128::from(line.balance);
            for (sum, more) in purse.sums[line.what].iter_mut().zip(amounts) {
                *sum += more;
            }
        }
    }

    /// Compares what was told of stock with the rows.
    pub(crate) fn check_stock(&self, from: Source<'_>, book: &mut Book) -> Result<(), Error> {
        scan(from, book, "SELECT sku, available FROM stock", |cells, book| {
            let (sku, available) = (cells.int()?, cells.int()?);
            let told = self.stocks.get(&sku).copied();
            let missed = told.is_none() && self.whole;
            if missed || told.is_some_and(|told| told != available) {
                let detail = format!("{available} are available, the last event says {told:?}");
                book.find(STOCK, ids::sku(sku), detail);
            }
            Ok(())
        })?;
        Ok(())
    }
}

fn unreadable(seq: i64, payload: &[u8], book: &mut Book) {
    let detail = format!("{} bytes, beginning with {:?}", payload.len(), payload.first());
    book.find(PAYLOAD, format!("event {seq}"), detail);
}

fn stocks(payload: &[u8]) -> Option<Vec<(i64, i64)>> {
    let mut bytes = Bytes(payload);
    let count = bytes.list_of(STOCK_CHANGED)?;
    let all = (0..count).map(|_| Some((bytes.int()?, bytes.int()?))).collect::<Option<_>>()?;
    bytes.0.is_empty().then_some(all)
}

fn moves(payload: &[u8]) -> Option<Vec<Move>> {
    let mut bytes = Bytes(payload);
    let count = bytes.list_of(POINT_CHANGED)?;
    let all = (0..count).map(|_| bytes.one()).collect::<Option<_>>()?;
    bytes.0.is_empty().then_some(all)
}

/// A payload: numbers of seven bits a byte, lowest first; those with a sign folded to even and odd.
struct Bytes<'p>(&'p [u8]);

impl Bytes<'_> {
    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for place in 0..10 {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                return Some(number);
            }
        }
        None
    }

    fn int(&mut self) -> Option<i64> {
        let folded = self.number()?;
        Some((folded >> 1).cast_signed() ^ -(folded & 1).cast_signed())
    }

    /// The length of the list in event `wanted`; each of its items has a byte at least.
    fn list_of(&mut self, wanted: u64) -> Option<u64> {
        let event = self.number()?;
        let count = self.number()?;
        let fits = u64::try_from(self.0.len()).is_ok_and(|left| count <= left);
        (event == wanted && fits).then_some(count)
    }

    /// Whose, what, the thing behind it, paid, earned, posting, balance.
    fn one(&mut self) -> Option<Move> {
        let (user, what, _about) = (self.int()?, self.int()?, self.int()?);
        let (paid, earned, _seq) = (self.int()?, self.int()?, self.int()?);
        let balance = self.int()?;
        let what = usize::try_from(what).ok().filter(|what| (1..WHATS).contains(what))?;
        Some(Move { user, what, amounts: [paid, earned], balance })
    }
}
