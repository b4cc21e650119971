//! Coupons: how many there are, whose, and which order each was used for.

use std::collections::BTreeMap;

use super::rows::{Row, list};
use super::{Auditor, Broken, Change, law};
use crate::tally::Tally;

const USED: i64 = 2;

pub(super) fn judge(change: &Change<'_>, tally: &mut Tally) -> Result<(), Broken> {
    let Some(row) = change.after else { return Err("a row of coupons is gone".to_owned()) };
    match change.table {
        "campaign" => campaign(row),
        "coupon_issue" => law(change.before.is_none(), || "an issue has changed".to_owned()),
        "user_coupon" => {
            let from = change.before.map_or(0, |row| row.int("state"));
            let to = row.int("state");
            tally.add(&format!("coupon {from} → {to}"));
            let owner = change.before.is_none_or(|before| {
                ["campaign", "user_id", "position"]
                    .iter()
                    .all(|col| before.int(col) == row.int(col))
            });
            law(owner, || "a coupon changed hands".to_owned())?;
            law((to == USED) == row.opt("order_id").is_some(), || "used for what?".to_owned())
        }
        _ => law(row.int("held") <= row.int("most"), || "one user has too many".to_owned()),
    }
}

fn campaign(row: &Row) -> Result<(), Broken> {
    law(row.int("issued") <= row.int("total"), || "more were issued than there are".to_owned())
}

/// Coupons by state (1 free, 2 used, 3 expired, 4 revoked; 0 all of them), and the highest position.
#[derive(Debug, Default)]
struct Count {
    states: [i64; 5],
    highest: i64,
    holders: BTreeMap<i64, i64>,
}

impl Auditor {
    pub(super) fn coupon_sums(&self) -> Result<(), Broken> {
        let mut counts: BTreeMap<i64, Count> = BTreeMap::new();
        for row in self.table("user_coupon").values() {
            let count = counts.entry(row.int("campaign")).or_default();
            let state = usize::try_from(row.int("state")).unwrap_or(0).min(4);
            count.states[0] += 1;
            count.states[state] += 1;
            count.highest = count.highest.max(row.int("position"));
            *count.holders.entry(row.int("user_id")).or_default() += 1;
        }
        for (key, row) in self.table("campaign") {
            let count = counts.remove(&key[0]).unwrap_or_default();
            let names = ["issued", "free", "used", "expired", "revoked"];
            let says = names.map(|name| row.int(name));
            law(says == count.states, || format!("{} says {says:?}: {count:?}", key[0]))?;
            let gapless = count.highest == row.int("issued");
            law(gapless, || format!("positions of {} have gaps: {count:?}", key[0]))?;
            let most = count.holders.values().max().copied().unwrap_or(0);
            law(most <= row.int("per_user"), || format!("one user has {most} of {}", key[0]))?;
        }
        law(counts.is_empty(), || format!("coupons without a campaign: {counts:?}"))
    }

    /// Each coupon in use belongs to an order that was sold with it, and back.
    pub(super) fn coupon_rest(&self) -> Result<(), Broken> {
        for (key, coupon) in self.table("user_coupon") {
            let Some(order) = coupon.opt("order_id") else { continue };
            let row = self.row("orders", order);
            let open = row.is_none_or(|row| row.int("state") == 10);
            let sold = row.is_some_and(|row| {
                row.int("state") == 8 && row.opt("coupon_id") == Some(key[0]) && !given_back(row)
            });
            law(sold || open, || format!("coupon {} is used for {order}: {row:?}", key[0]))?;
        }
        for (key, row) in self.table("orders") {
            let Some(id) = row.opt("coupon_id").filter(|_| row.int("state") == 8) else { continue };
            let used = self.row("user_coupon", id).and_then(|coupon| coupon.opt("order_id"));
            let kept = used == Some(key[0]);
            law(kept != given_back(row), || {
                format!("{} was sold with coupon {id}: {used:?}", key[0])
            })?;
        }
        Ok(())
    }
}

/// Whether every unit of an order has been refunded: then its coupon is free again.
fn given_back(order: &Row) -> bool {
    let ordered: i64 = order.packed("lines").iter().map(|line| super::rows::int(line, 1)).sum();
    let refunds = order.packed("refunds");
    let done = refunds.iter().filter(|refund| super::rows::int(refund, 1) == 4);
    let back: i64 = done.flat_map(|refund| list(refund, 3)).map(super::orders::units).sum();
    back == ordered
}
