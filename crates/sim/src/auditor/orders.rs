//! Orders and their sagas.

use serde_json::Value;

use super::rows::{Row, int, list, sum, text};
use super::shares::{Units, are_apart};
use super::{Auditor, Broken, Change, law, money};
use crate::gateway::Gateway;
use crate::tally::Tally;

const NAMES: [&str; 11] = [
    "(new)",
    "HOLDING",
    "AWAIT_PAY",
    "PAYING",
    "PAY_UNKNOWN",
    "COMMITTING",
    "REVERSING",
    "UNWINDING",
    "COMPLETED",
    "CANCELLED",
    "STUCK",
];
const COMPLETED: i64 = 8;
const CANCELLED: i64 = 9;
const STUCK: i64 = 10;

fn name(state: i64) -> &'static str {
    usize::try_from(state).ok().and_then(|at| NAMES.get(at)).unwrap_or(&"?")
}

impl Auditor {
    pub(super) fn judge_order(change: &Change<'_>, tally: &mut Tally) -> Result<(), Broken> {
        let Some(row) = change.after else { return Err("an order is gone".to_owned()) };
        let from = change.before.map_or(0, |row| row.int("state"));
        let to = row.int("state");
        if from != to {
            tally.add(&format!("order {} → {}", name(from), name(to)));
        }
        law(from != COMPLETED || to == COMPLETED, || "a sold order was taken back".to_owned())?;
        let stays = from != CANCELLED
            || to == CANCELLED
            || (to == STUCK && row.int("stuck_in") == CANCELLED);
        law(stays, || format!("a cancelled order is {}", name(to)))?;
        if let Some(before) = change.before {
            let fixed = ["user_id", "total", "pay_mode", "placed_at"];
            let same = fixed.iter().all(|col| before.opt(col) == row.opt(col));
            law(same && before.text("lines") == row.text("lines"), || {
                "what was ordered has changed".to_owned()
            })?;
            law(before.int("refunded") <= row.int("refunded"), || "refunded fell".to_owned())?;
            if matches!(from, COMPLETED | CANCELLED) {
                let same = before.text("outcome") == row.text("outcome");
                law(same, || "an outcome has changed".to_owned())?;
            }
        }
        driven(row)?;
        amounts(row)
    }

    /// What an end promises, wherever stock and money live: the facts came from there.
    pub(super) fn order_sums(&self) -> Result<(), Broken> {
        let completed =
            self.table("orders").iter().filter(|(_, row)| row.int("state") == COMPLETED);
        for (key, row) in completed {
            let sold = self.row("reservation", key[0]).map_or(0, |row| row.int("state")) == 3;
            law(sold, || format!("{} is completed without its units", key[0]))?;
            let paid = self.row("payment", key[0]).map_or(0, |row| row.int("captured"));
            law(paid == card(row), || format!("{} is completed, {paid} paid", key[0]))?;
        }
        Ok(())
    }

    pub(super) fn order_rest(&self, gateway: &Gateway, tended: bool) -> Result<(), Broken> {
        for (key, row) in self.table("orders") {
            let (id, state) = (key[0], row.int("state"));
            let ended = matches!(state, COMPLETED | CANCELLED);
            let excused = state == STUCK && !tended;
            law(ended || excused, || format!("{id} does not end: {row:?}"))?;
            let open =
                row.packed("refunds").iter().any(|r| matches!(int(r, 1), 1 | 2 | 3 | 6 | 8 | 9));
            law(!open || excused, || format!("a refund of {id} does not end: {row:?}"))?;
            if !ended {
                continue;
            }
            let kept = gateway.account(id).map_or(0, |account| account.kept() + account.held);
            let aside = self.row("payment", id).map_or(0, money::set_aside);
            let due = if state == COMPLETED { card(row) - row.int("refunded") } else { aside };
            law(kept == due, || {
                format!("of {id} ({}) the gateway has {kept}, should have {due}", name(state))
            })?;
            self.returned(id, row)?;
            self.shared(id, row)?;
            self.pointed(id, row)?;
        }
        Ok(())
    }

    /// The units of each refund that is done came back, and no others.
    fn returned(&self, id: i64, row: &Row) -> Result<(), Broken> {
        let refunds = row.packed("refunds");
        let done = refunds.iter().filter(|refund| int(refund, 1) == 4);
        let given = sum(done.flat_map(|refund| list(refund, 3)).map(units));
        let returns = self.row("reservation", id).map(|row| row.packed("returns"));
        let returns = returns.unwrap_or_default();
        let back = sum(returns.iter().flat_map(|back| list(back, 1)).map(|line| int(line, 1)));
        law(given == back, || format!("{given} units of {id} were given back, {back} came"))
    }
}

/// P6: whoever is not at an end has a timer, or a reason to wait for an operator.
fn driven(row: &Row) -> Result<(), Broken> {
    match row.int("state") {
        STUCK => law(row.int("stuck_in") > 0 && !row.text("reason").is_empty(), || {
            "an order is stuck without a reason".to_owned()
        }),
        COMPLETED | CANCELLED => {
            law(row.text("token").is_empty(), || "a card token outlived its order".to_owned())
        }
        _ => law(row.opt("next_at").is_some(), || "a saga without a timer".to_owned()),
    }
}

/// What the card pays.
fn card(row: &Row) -> i64 {
    let others = ["discount", "points_paid", "points_earned"];
    row.int("total") - sum(others.map(|name| row.int(name)))
}

fn amounts(row: &Row) -> Result<(), Broken> {
    let lines = row.packed("lines");
    let total = sum(lines.iter().map(|line| int(line, 1) * int(line, 2)));
    law(total == row.int("total"), || format!("lines sum up to {total}"))?;
    if matches!(row.int("state"), 3 | 4 | 5 | 6 | COMPLETED) {
        law(card(row) >= 0, || "discount and points are more than the total".to_owned())?;
    }
    law(row.int("refunded") <= card(row).max(0), || "more went back than was paid".to_owned())?;
    let refunds = row.packed("refunds");
    let live: Vec<&Value> = refunds.iter().filter(|refund| int(refund, 1) != 5).collect();
    law(are_apart(&live, 3), || "a unit was refunded twice".to_owned())?;
    let shipments = row.packed("shipments");
    law(are_apart(&shipments.iter().collect::<Vec<_>>(), 1), || {
        "a unit was sent twice".to_owned()
    })?;
    if row.int("state") != COMPLETED {
        return Ok(());
    }
    let units = Units::of(row);
    for refund in live.iter().filter(|refund| !list(refund, 3).is_empty()) {
        let [by_card, paid, earned, _] = units.sum(list(refund, 3));
        let is = [int(refund, 2) + int(refund, 9), int(refund, 6), int(refund, 7)];
        let is_of = is == [by_card, paid, earned];
        law(is_of, || format!("units of {by_card}, {paid}, {earned} are refunded as {is:?}"))?;
    }
    Ok(())
}

impl Auditor {
    /// The payment pays each merchant what its units bear.
    fn shared(&self, id: i64, row: &Row) -> Result<(), Broken> {
        let Some(payment) = self.row("payment", id).filter(|_| row.int("state") == COMPLETED)
        else {
            return Ok(());
        };
        let units = Units::of(row);
        let should = units.split(row.int("coupon_funding") == 1);
        let split = payment.packed("split");
        let part = |part| (text(part, 0), [1, 2, 3, 4].map(|at| int(part, at)));
        let is: Vec<_> = split.iter().map(part).filter(|(_, share)| *share != [0; 4]).collect();
        law(is == should, || format!("{id} is split as {is:?}, should be {should:?}"))
    }

    /// Points that were spent are spent for a sale, and what refunds promise is back.
    fn pointed(&self, id: i64, row: &Row) -> Result<(), Broken> {
        let Some(used) = self.row("point_use", id) else { return Ok(()) };
        let spent = sum(used.packed("parts").iter().map(|part| int(part, 2)));
        let back = sum(used.packed("restores").iter().map(|back| int(back, 1) + int(back, 2)));
        let refunds = row.packed("refunds");
        let done = refunds.iter().filter(|refund| int(refund, 1) == 4);
        let promised = sum(done.map(|refund| int(refund, 6) + int(refund, 7)));
        let points = row.int("points_paid") + row.int("points_earned");
        let due = if row.int("state") == COMPLETED { (points, promised) } else { (spent, spent) };
        law((spent, back) == due, || {
            format!("{id}: {spent} points spent, {back} back, not {due:?}")
        })
    }
}

/// How many units a packed `[line, from, quantity]` is about.
pub(super) fn units(range: &Value) -> i64 {
    int(range, if range.get(2).is_some() { 2 } else { 1 })
}
