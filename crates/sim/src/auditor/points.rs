//! Points: who has how many of which kind, where they came from, and that the books owe as many.

use std::collections::BTreeMap;

use super::rows::{Row, int, sum};
use super::{Auditor, Broken, Change, law};
use crate::tally::Tally;

const EARNED: i64 = 1;
const PAID: i64 = 2;

pub(super) fn judge(change: &Change<'_>, tally: &mut Tally) -> Result<(), Broken> {
    let Some(row) = change.after else { return Err("a row of points is gone".to_owned()) };
    match change.table {
        "point_account" => account(row),
        "point_credit" => law(change.before.is_none(), || "a credit has changed".to_owned()),
        _ => {
            tally.add(&format!("points of an order: state {}", row.int("state")));
            let spent = of_kind(row, PAID) + of_kind(row, EARNED);
            let back = sum(row.packed("restores").iter().map(|r| int(r, 1) + int(r, 2)));
            law(back <= spent, || format!("{back} points came back of {spent}"))
        }
    }
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
            sums.entry(row.int("user_id")).or_default()[at] += row.int("amount");
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

    /// The books owe the customers what their lots hold.
    pub(super) fn point_rest(&self) -> Result<(), Broken> {
        for (code, name) in [("points:paid", "paid"), ("points:earned", "earned")] {
            let lots = sum(self.table("point_account").values().map(|row| row.int(name)));
            let accounts = self.table("account").values().filter(|row| row.text("code") == code);
            let owed = sum(accounts.map(|row| row.int("credits") - row.int("debits")));
            let open = self.table("orders").values().any(|row| !matches!(row.int("state"), 8 | 9));
            law(lots == owed || open, || format!("{code}: lots have {lots}, the books {owed}"))?;
        }
        Ok(())
    }
}
