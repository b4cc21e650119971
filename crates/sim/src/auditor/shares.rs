//! What each single unit of an order bears, by the auditor's own sums: unit by unit, where the shop
//! has closed formulas. No order of a small world has many.

use super::rows::{Row, int, list, text};
use serde_json::Value;

/// What the card, paid points, earned points and the coupon pay.
pub(super) type Share = [i64; 4];

/// Shares of every unit, by line, and each line's merchant.
pub(super) struct Units(Vec<(String, Vec<Share>)>);

fn part(whole: i64, done: i64, of: i64) -> i64 {
    if of == 0 {
        return 0;
    }
    let exact = i128::from(whole) * i128::from(done) / i128::from(of);
    i64::try_from(exact).unwrap_or(0)
}

impl Units {
    pub(super) fn of(order: &Row) -> Self {
        let lines = order.packed("lines");
        let scope = order.text("coupon_scope");
        let counts = |line: &Value| scope.is_empty() || text(line, 3) == scope;
        let value = |line: &Value| int(line, 1) * int(line, 2);
        let total: i64 = lines.iter().map(value).sum();
        let eligible: i64 = lines.iter().filter(|line| counts(line)).map(value).sum();
        let eligible_of = |line: &Value| i64::from(counts(line)) * int(line, 2);
        let names = ["discount", "points_paid", "points_earned"];
        let [discount, paid, earned] = names.map(|name| order.int(name));
        let (rest, left) = (total - discount, total - discount - paid);
        let (mut goods, mut chosen, mut before) = (0, 0, [0; 4]);
        let mut units = Vec::new();
        for line in &lines {
            let mut of_line = Vec::new();
            for _ in 0..int(line, 1) {
                goods += int(line, 2);
                chosen += eligible_of(line);
                let coupon = part(discount, chosen, eligible);
                let by_paid = part(paid, goods - coupon, rest);
                let by_earned = part(earned, goods - coupon - by_paid, left);
                let card = goods - coupon - by_paid - by_earned;
                let after = [card, by_paid, by_earned, coupon];
                of_line.push(std::array::from_fn(|at| after[at] - before[at]));
                before = after;
            }
            units.push((text(line, 3).to_owned(), of_line));
        }
        Self(units)
    }

    /// Of packed ranges `[line, from, quantity]`.
    pub(super) fn sum(&self, ranges: &[Value]) -> Share {
        let mut sum = [0; 4];
        for range in ranges {
            let at = |at: usize| usize::try_from(int(range, at)).unwrap_or(usize::MAX);
            let Some((_, units)) = self.0.get(at(0)) else { continue };
            for unit in units.iter().skip(at(1)).take(at(2)) {
                add(&mut sum, unit);
            }
        }
        sum
    }

    /// What each merchant is paid in all, in the order of the lines, as a payment has it.
    pub(super) fn split(&self, merchant_funded: bool) -> Vec<(&str, Share)> {
        let mut split: Vec<(&str, Share)> = Vec::new();
        for (merchant, units) in &self.0 {
            for unit in units {
                let mut unit = *unit;
                unit[3] *= i64::from(!merchant_funded);
                match split.iter_mut().find(|(known, _)| known == merchant) {
                    Some((_, share)) => add(share, &unit),
                    None => split.push((merchant, unit)),
                }
            }
        }
        split.retain(|(_, share)| *share != [0; 4]);
        split
    }
}

fn add(sum: &mut Share, unit: &Share) {
    for (sum, more) in sum.iter_mut().zip(unit) {
        *sum += more;
    }
}

/// Whether no unit stands in two of these lists of ranges.
pub(super) fn are_apart(lists: &[&Value], at: usize) -> bool {
    let mut taken = std::collections::BTreeSet::new();
    lists.iter().flat_map(|entry| list(entry, at)).all(|range| {
        let (line, from) = (int(range, 0), int(range, 1));
        (from..from + int(range, 2)).all(|unit| taken.insert((line, unit)))
    })
}
