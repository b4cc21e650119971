//! Payments: what the row claims, and what the gateway has.

use std::collections::BTreeMap;

use serde_json::Value;

use super::rows::{Row, int, list, sum, text};
use super::{Auditor, Broken, Change, law};
use crate::gateway::{Account, Gateway};
use crate::tally::Tally;

const AUTHORIZED: i64 = 3;
const CAPTURED: i64 = 6;

/// States of a refund in a payment's row.
mod refund {
    pub(super) const SENT: i64 = 1;
    pub(super) const UNKNOWN: i64 = 2;
    pub(super) const DONE: i64 = 3;
    pub(super) const SET_ASIDE: i64 = 5;
}

pub(super) fn is_open(row: &Row) -> bool {
    matches!(row.int("state"), 2 | 4 | 5 | 9)
}

pub(super) fn open_refunds(row: &Row) -> Vec<u32> {
    let open = |refund: &Value| matches!(int(refund, 1), refund::SENT | refund::UNKNOWN);
    let no = |refund: Value| u32::try_from(int(&refund, 0)).unwrap_or(0);
    row.packed("refunds").into_iter().filter(open).map(no).collect()
}

pub(super) fn judge(
    change: &Change<'_>,
    gateway: &Gateway,
    tally: &mut Tally,
) -> Result<(), Broken> {
    let Some(row) = change.after else { return Err("a payment is gone".to_owned()) };
    let from = change.before.map_or(0, |row| row.int("state"));
    let to = row.int("state");
    if from != to {
        tally.add(&format!("payment {from} → {to}"));
    }
    law(from != CAPTURED || to == CAPTURED, || "a payment left CAPTURED".to_owned())?;
    columns(row)?;
    if let Some(before) = change.before {
        let kept = ["order_id", "amount", "mode", "at"].iter().all(|c| before.opt(c) == row.opt(c));
        law(kept && before.text("split") == row.text("split"), || "an intent changed".to_owned())?;
        let grew = ["captured", "refunded", "postings"].iter().all(|c| before.int(c) <= row.int(c));
        law(grew, || "captured, refunded or postings fell".to_owned())?;
    }
    refunds(change.key[0], row, gateway)
}

/// refunded + pending ≤ captured ≤ authorised ≤ amount.
fn columns(row: &Row) -> Result<(), Broken> {
    let [amount, authorized, captured] = ["amount", "authorized", "captured"].map(|c| row.int(c));
    let [refunded, pending] = ["refunded", "pending"].map(|c| row.int(c));
    let chain = refunded + pending <= captured && captured <= authorized && authorized <= amount;
    law(chain && refunded >= 0 && pending >= 0, || "limits are exceeded".to_owned())?;
    let whole = captured == if row.int("state") == CAPTURED { amount } else { 0 };
    law(whole, || format!("{captured} captured of {amount}"))
}

/// Sums over its refunds, and what the gateway says to each of them.
fn refunds(id: i64, row: &Row, gateway: &Gateway) -> Result<(), Broken> {
    let refunds = row.packed("refunds");
    let total = |states: &[i64]| {
        sum(refunds.iter().filter(|r| states.contains(&int(r, 1))).map(|r| int(r, 2)))
    };
    let done = total(&[refund::DONE]);
    law(done == row.int("refunded"), || format!("refunds of {done} are done"))?;
    let pending = total(&[refund::SENT, refund::UNKNOWN, refund::SET_ASIDE]);
    law(pending == row.int("pending"), || format!("refunds of {pending} are pending"))?;
    let account = gateway.account(id);
    let took = account.map_or(0, |account| account.captured);
    let captured = row.int("captured");
    law(captured <= took, || format!("{captured} captured, the gateway took {took}"))?;
    for refund in refunds.iter().filter(|refund| int(refund, 1) == refund::DONE) {
        let no = u32::try_from(int(refund, 0)).unwrap_or(0);
        let gave = account.and_then(|a| a.refunds.get(&no).copied().flatten()).unwrap_or(0);
        law(gave == int(refund, 2), || format!("refund {no} is done, the gateway gave {gave}"))?;
    }
    Ok(())
}

impl Auditor {
    pub(super) fn money_rest(&self, gateway: &Gateway, tended: bool) -> Result<(), Broken> {
        for (id, account) in gateway.accounts() {
            law(account.asked <= 1, || format!("{id} was charged {} times", account.asked))?;
            let row = self.row("payment", id);
            let Some(row) = row else { return Err(format!("{id} was charged without a row")) };
            if is_open(row) || !open_refunds(row).is_empty() {
                let excused = !tended && self.may_be_open(row, account);
                law(excused, || format!("{id} is still open: {row:?}"))?;
                continue;
            }
            let kept = row.int("captured") - row.int("refunded");
            law(kept == account.kept(), || {
                format!("of {id} the gateway keeps {}, the row {kept}", account.kept())
            })?;
            let held = if row.int("state") == AUTHORIZED { row.int("authorized") } else { 0 };
            law(held == account.held, || {
                format!("of {id} the gateway holds {}, the row {held}", account.held)
            })?;
        }
        Ok(())
    }
}

impl Auditor {
    /// Whether only an operator can end it: one without an order that was given up, that of a stuck
    /// order, or one that arrived (from another cell) after it was undone and charged nobody.
    fn may_be_open(&self, row: &Row, account: &Account) -> bool {
        let order = row.opt("order_id").and_then(|order| self.row("orders", order));
        let Some(order) = order else { return true };
        let untaken = account.kept() + account.held == 0 && !self.together("order", "payment");
        order.int("state") == 10 || order.int("state") == 9 && untaken
    }
}

/// What the books must say of a payment, account by account, debits above 0.
pub(super) fn booked(row: &Row) -> BTreeMap<String, i64> {
    let mut books = BTreeMap::new();
    if row.int("state") == CAPTURED {
        book(&mut books, &format!("psp:{}:receivable", row.text("psp")), row.int("captured"));
        if row.opt("points_of").is_some() {
            book(&mut books, "points:paid", -row.int("captured"));
        }
        shares(&mut books, &row.packed("split"), 1);
    }
    for refund in row.packed("refunds") {
        let amount = int(&refund, 2);
        match int(&refund, 1) {
            refund::DONE => {
                book(&mut books, &format!("psp:{}:receivable", row.text("psp")), -amount);
                book(&mut books, "promo:points", -int(&refund, 8));
                if row.opt("points_of").is_some() {
                    book(&mut books, "points:paid", amount);
                }
            }
            refund::SET_ASIDE => book(&mut books, "customer:refundable", -amount),
            _ => continue,
        }
        shares(&mut books, list(&refund, 3), -1);
    }
    books.retain(|_, amount| *amount != 0);
    books
}

fn book(books: &mut BTreeMap<String, i64>, code: &str, amount: i64) {
    *books.entry(code.to_owned()).or_insert(0) += amount;
}

/// Parts are `[merchant, card, paid points, earned points, coupon]`.
fn shares(books: &mut BTreeMap<String, i64>, parts: &[Value], sign: i64) {
    for part in parts {
        let payable = sum((1..5).map(|at| int(part, at)));
        book(books, &format!("merchant:{}:payable", text(part, 0)), -sign * payable);
        for (at, code) in [(2, "points:paid"), (3, "points:earned"), (4, "promo:coupon")] {
            book(books, code, sign * int(part, at));
        }
    }
}

/// What no gateway gives back to the customer.
pub(super) fn set_aside(row: &Row) -> i64 {
    let refunds = row.packed("refunds");
    sum(refunds.iter().filter(|r| int(r, 1) == refund::SET_ASIDE).map(|r| int(r, 2)))
}
