//! Which postings points make by themselves (DESIGN section 6).
//!
//! | event | debit | credit |
//! |---|---|---|
//! | granted, earned, a claw-back undone | `promo:points` | `points:earned` |
//! | clawed back, earned points expired | `points:earned` | `promo:points` |
//! | paid points expired | `points:paid` | `breakage` |
//! | money went back for points that were spent | `promo:points` | `points:paid` |
//!
//! Points that are bought, spent or given back are legs of a payment's posting, the refund of a
//! charge among them.

use jangbu_kernel::Time;

use super::chart::{BREAKAGE, POINTS_EARNED, POINTS_PAID, PROMO_POINTS};
use super::command::{Command, Leg};
use crate::point::command::{Kind, Moved, What};

/// The posting of `moved`, if it is not a payment's; `at` is when it happened.
pub fn posting(moved: &Moved, at: Time) -> Option<Command> {
    let Moved { source, seq, what, kind, amount, currency } = *moved;
    let (debit, credit) = match (what, kind) {
        (What::Granted | What::Earned | What::Unclawed, _) => (PROMO_POINTS, POINTS_EARNED),
        (What::ClawedBack, _) | (What::Expired, Kind::Earned) => (POINTS_EARNED, PROMO_POINTS),
        (What::Expired, Kind::Paid) => (POINTS_PAID, BREAKAGE),
        (What::Refunded, _) => (PROMO_POINTS, POINTS_PAID),
        (What::Charged | What::Spent | What::Restored | What::Unrefunded, _) => return None,
    };
    let leg = |code: &str, amount| Leg { code: code.into(), amount };
    let legs = vec![leg(debit, amount), leg(credit, amount.saturating_neg())];
    Some(Command::Post { source, seq, currency, at, legs })
}

#[cfg(test)]
mod tests {
    use jangbu_kernel::Currency;

    use super::*;
    use crate::ledger::chart::kind_of;

    fn posted(what: What, kind: Kind) -> String {
        let moved = Moved { source: 7, seq: 3, what, kind, amount: 10, currency: Currency::KRW };
        let Some(Command::Post { source: 7, seq: 3, currency: _, at: Time(9), legs }) =
            posting(&moved, Time(9))
        else {
            return "nothing".to_owned();
        };
        assert!(legs.iter().all(|leg| kind_of(&leg.code).is_some()), "not in the chart: {legs:?}");
        let legs: Vec<_> = legs.iter().map(|leg| format!("{}={}", leg.code, leg.amount)).collect();
        legs.join(" ")
    }

    #[test]
    fn points_that_are_given_are_a_debt_until_they_are_spent_or_end() {
        let given = "promo:points=10 points:earned=-10";
        let taken = "points:earned=10 promo:points=-10";
        let table = [
            (What::Granted, Kind::Earned, given),
            (What::Earned, Kind::Earned, given),
            (What::Unclawed, Kind::Earned, given),
            (What::ClawedBack, Kind::Earned, taken),
            (What::Expired, Kind::Earned, taken),
            (What::Expired, Kind::Paid, "points:paid=10 breakage=-10"),
            (What::Refunded, Kind::Paid, "promo:points=10 points:paid=-10"),
            (What::Unrefunded, Kind::Paid, "nothing"),
            (What::Charged, Kind::Paid, "nothing"),
            (What::Spent, Kind::Paid, "nothing"),
            (What::Restored, Kind::Earned, "nothing"),
        ];
        for (what, kind, legs) in table {
            assert_eq!(posted(what, kind), legs, "{what:?} {kind:?}");
        }
    }
}
