//! Points: who has how many of which kind, where they came from, and that the books owe as many.

use std::collections::BTreeMap;

use serde_json::Value;

use super::rows::{Row, int, sum};
use super::{Auditor, Broken, Change, law};
use crate::tally::Tally;

const EARNED: i64 = 1;
const PAID: i64 = 2;
/// States of a refund of a charge, here and in its payment.
const HELD: i64 = 1;
const RETURNED: i64 = 2;
const GIVEN: i64 = 3;
const DONE: i64 = 3;

pub(super) fn judge(change: &Change<'_>, tally: &mut Tally) -> Result<(), Broken> {
    let Some(row) = change.after else { return Err("a row of points is gone".to_owned()) };
    match change.table {
        "point_account" => account(row),
        "point_credit" => credit(change.before, row, tally),
        _ => {
            tally.add(&format!("points of an order: state {}", row.int("state")));
            let spent = of_kind(row, PAID) + of_kind(row, EARNED);
            let back = sum(row.packed("restores").iter().map(|r| int(r, 1) + int(r, 2)));
            law(back <= spent, || format!("{back} points came back of {spent}"))
        }
    }
}

/// Only refunds change a credit: none vanishes, and the money of a given one stays given.
fn credit(before: Option<&Row>, row: &Row, tally: &mut Tally) -> Result<(), Broken> {
    let Some(before) = before else { return Ok(()) };
    let kept = ["user_id", "kind", "amount", "at"].iter().all(|c| before.int(c) == row.int(c));
    law(kept, || "a credit has changed".to_owned())?;
    let (old, new) = (before.packed("refunds"), row.packed("refunds"));
    let goes_on = old.iter().zip(&new).all(|(old, new)| {
        let same = int(old, 0) == int(new, 0) && int(old, 1) == int(new, 1);
        same && int(old, 2) <= int(new, 2)
    });
    law(goes_on && old.len() <= new.len(), || format!("refunds went from {old:?} to {new:?}"))?;
    for refund in &new {
        tally.add(&format!("refund of a charge: state {}", int(refund, 2)));
    }
    law(gone(row) <= row.int("amount"), || format!("more went back than was bought: {new:?}"))
}

/// Points of a charge that went back, or are about to.
fn gone(credit: &Row) -> i64 {
    let refunds = credit.packed("refunds");
    let live = refunds.iter().filter(|refund| int(refund, 2) != RETURNED);
    sum(live.map(|refund| int(refund, 1) - int(refund, 3)))
}

/// Whether points say the same of a refund as money: how many, and whether they went.
fn agree(points: &Value, money: &Value) -> bool {
    let given = (int(points, 2) == GIVEN) == (int(money, 1) == DONE);
    given && int(points, 1) == int(money, 2)
}

fn held_by(refund: &Value) -> i64 {
    if int(refund, 2) == HELD { int(refund, 1) } else { 0 }
}

/// Points of one kind in packed lots or parts.
fn of_kind(row: &Row, kind: i64) -> i64 {
    let column = if row.opt("paid").is_some() { "lots" } else { "parts" };
    sum(row.packed(column).iter().filter(|lot| int(lot, 0) == kind).map(|lot| int(lot, 2)))
}

fn account(row: &Row) -> Result<(), Broken> {
    let all = |names: &[&str]| sum(names.iter().map(|name| row.int(name)));
    let paid = all(&["charged", "restored_paid"]) == all(&["paid", "spent_paid", "expired_paid"]);
    law(paid, || "paid points appeared or vanished".to_owned())?;
    let came = all(&["granted", "rewarded", "restored_earned"]);
    let went = all(&["earned", "spent_earned", "expired_earned", "clawed"]);
    law(came == went, || format!("{came} earned points came, {went} are known"))?;
    for (kind, name) in [(PAID, "paid"), (EARNED, "earned")] {
        let lots = of_kind(row, kind);
        law(lots == row.int(name), || format!("lots have {lots} {name} points"))?;
    }
    law(row.int("paid") >= 0 && row.int("earned") >= 0, || "a balance below 0".to_owned())
}

/// What the other rows say about one account: charged, granted, rewarded, spent and restored by
/// kind, clawed.
type Sums = [i64; 8];

impl Auditor {
    pub(super) fn point_sums(&self) -> Result<(), Broken> {
        let mut sums: BTreeMap<i64, Sums> = BTreeMap::new();
        for row in self.table("point_credit").values() {
            let at = usize::from(row.int("kind") == EARNED);
            sums.entry(row.int("user_id")).or_default()[at] += row.int("amount") - gone(row);
        }
        for row in self.table("point_use").values() {
            let of = sums.entry(row.int("user_id")).or_default();
            of[2] += row.int("earned");
            of[3] += of_kind(row, PAID);
            of[4] += of_kind(row, EARNED);
            for back in row.packed("restores") {
                of[5] += int(&back, 1);
                of[6] += int(&back, 2);
            }
            let claws = row.packed("claws");
            of[7] += sum(claws.iter().filter(|claw| int(claw, 4) == 0).map(|claw| int(claw, 2)));
        }
        for (key, row) in self.table("point_account") {
            let names = ["charged", "granted", "rewarded", "spent_paid", "spent_earned"];
            let more = ["restored_paid", "restored_earned", "clawed"];
            let is: Vec<i64> = names.iter().chain(&more).map(|name| row.int(name)).collect();
            let should = sums.remove(&key[0]).unwrap_or_default();
            law(is == should, || format!("points of {}: {is:?}, rows say {should:?}", key[0]))?;
        }
        let homeless = sums.iter().find(|(_, sums)| **sums != Sums::default());
        law(homeless.is_none(), || format!("no account for {homeless:?}"))
    }

    /// Points and money tell the same of each refund of a charge. Gives the points that are held.
    fn refunds_agree(&self) -> Result<i64, Broken> {
        let mut held = 0;
        for (key, row) in self.table("point_credit") {
            let payment = self.row("payment", key[0]);
            let money = payment.map(|payment| payment.packed("refunds")).unwrap_or_default();
            for refund in row.packed("refunds") {
                let twin = money.iter().find(|other| int(other, 5) == int(&refund, 0));
                let same = twin.is_some_and(|twin| agree(&refund, twin));
                law(same, || format!("{}: points {refund}, money {twin:?}", key[0]))?;
                held += held_by(&refund);
            }
        }
        Ok(held)
    }

    /// The books owe the customers what their lots hold.
    pub(super) fn point_rest(&self) -> Result<(), Broken> {
        let held = self.refunds_agree()?;
        for (code, name) in [("points:paid", "paid"), ("points:earned", "earned")] {
            let lots = sum(self.table("point_account").values().map(|row| row.int(name)));
            let accounts = self.table("account").values().filter(|row| row.text("code") == code);
            let owed = sum(accounts.map(|row| row.int("credits") - row.int("debits")));
            let open = self.table("orders").values().any(|row| !matches!(row.int("state"), 8 | 9));
            let lots = lots + if name == "paid" { held } else { 0 };
            law(lots == owed || open, || format!("{code}: lots have {lots}, the books {owed}"))?;
        }
        Ok(())
    }
}
