//! What of an order's discount, points and cash each unit bears, and what a part of the order is
//! worth when it comes back.
//!
//! The units of an order lie in a row: lines in their order, units of a line behind each other.
//! With `x` the value of the goods before a boundary between two units and `T` the whole:
//!
//! | share before `x` | formula |
//! |---|---|
//! | eligible goods | `e(x)`: those of the coupon's scope |
//! | coupon | `c(x) = ⌊C·e(x) / e(T)⌋` |
//! | left to pay | `r(x) = x − c(x)` |
//! | paid points | `p(x) = ⌊P·r(x) / r(T)⌋` |
//! | left | `s(x) = r(x) − p(x)` |
//! | earned points | `q(x) = ⌊E·s(x) / s(T)⌋` |
//! | card | `s(x) − q(x)` |
//! | points that it earns | `w(x) = ⌊bp·card(x) / 10000⌋` |
//!
//! A range of units has the difference of the shares at its two ends. Each formula grows with `x`
//! and never faster than what it is taken from, so no share is below 0; and differences of a sum
//! add up, so any partition of the units, refunded in any order, adds up to the whole to the last
//! won (test: `any_partition_of_the_units_adds_up_to_the_whole`). No unit is visited: a range of
//! 10,000 units costs as much as one.

use std::sync::Arc;

use super::model::{Line, Order, Range};
use crate::payment::command::Part;

/// What a range of units bears.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Value of the goods.
    pub goods: i64,
    /// What the coupon takes off.
    pub coupon: i64,
    /// Paid points.
    pub paid: i64,
    /// Earned points.
    pub earned: i64,
    /// What the card pays.
    pub card: i64,
    /// Points that it earns.
    pub points: i64,
}

impl Share {
    fn minus(self, other: Self) -> Self {
        Self {
            goods: self.goods.saturating_sub(other.goods),
            coupon: self.coupon.saturating_sub(other.coupon),
            paid: self.paid.saturating_sub(other.paid),
            earned: self.earned.saturating_sub(other.earned),
            card: self.card.saturating_sub(other.card),
            points: self.points.saturating_sub(other.points),
        }
    }

    /// Both together.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        Self {
            goods: self.goods.saturating_add(other.goods),
            coupon: self.coupon.saturating_add(other.coupon),
            paid: self.paid.saturating_add(other.paid),
            earned: self.earned.saturating_add(other.earned),
            card: self.card.saturating_add(other.card),
            points: self.points.saturating_add(other.points),
        }
    }
}

/// A boundary between two units: value of all goods, and of eligible goods, before it.
#[derive(Clone, Copy, Debug, Default)]
struct Cut {
    goods: i64,
    eligible: i64,
}

/// How an order's discount and points lie over its units.
#[derive(Debug)]
pub struct Allocation<'a> {
    lines: &'a [Line],
    /// Whose goods alone the coupon is for.
    scope: Option<&'a str>,
    merchant_funded: bool,
    coupon: i64,
    paid: i64,
    earned: i64,
    bp: i64,
    /// `e(T)`, `r(T)` and `s(T)`.
    eligible: i64,
    rest: i64,
    left: i64,
}

impl<'a> Allocation<'a> {
    /// That of `order`, frozen since its steps at coupon and point were done.
    pub fn of(order: &'a Order) -> Self {
        let coupon = order.coupon.as_deref();
        let scope = coupon.and_then(|coupon| coupon.scope.as_deref());
        let discount = order.discount();
        let rest = order.total.saturating_sub(discount);
        Self {
            lines: &order.lines,
            scope,
            merchant_funded: coupon.is_some_and(|coupon| coupon.merchant_funded),
            coupon: discount,
            paid: order.points.paid,
            earned: order.points.earned,
            bp: order.earning.bp,
            eligible: if discount == 0 { 0 } else { eligible(&order.lines, scope) },
            rest,
            left: rest.saturating_sub(order.points.paid),
        }
    }

    /// What `range` bears.
    pub fn share(&self, range: Range) -> Share {
        let Some(line) = self.lines.get(range.line) else { return Share::default() };
        let before = self.lines.iter().take(range.line);
        let start = before.fold(Cut::default(), |cut, line| self.after(cut, line, line.quantity));
        let (from, to) =
            (self.after(start, line, range.from), self.after(start, line, range.end()));
        self.before(to).minus(self.before(from))
    }

    /// What all of `ranges` bear.
    pub fn sum(&self, ranges: &[Range]) -> Share {
        ranges.iter().fold(Share::default(), |sum, range| sum.plus(self.share(*range)))
    }

    /// What each merchant gets for `ranges`, in the order of their first ones.
    pub fn parts(&self, ranges: &[Range]) -> Vec<Part> {
        let mut parts = Vec::with_capacity(1);
        for range in ranges {
            if let Some(line) = self.lines.get(range.line) {
                self.add(&mut parts, line, self.share(*range));
            }
        }
        parts
    }

    /// What each merchant gets for all of it, in the order of the lines.
    pub fn split(&self) -> Vec<Part> {
        let (mut parts, mut cut, mut before) = (Vec::with_capacity(1), Cut::default(), None);
        for line in self.lines {
            cut = self.after(cut, line, line.quantity);
            let to = self.before(cut);
            self.add(&mut parts, line, to.minus(before.unwrap_or_default()));
            before = Some(to);
        }
        parts
    }

    /// Points that all of it earns.
    pub fn earns(&self) -> i64 {
        part_of(self.bp, self.left.saturating_sub(self.earned), 10_000)
    }

    /// The boundary behind `units` units of a line that starts at `cut`.
    fn after(&self, cut: Cut, line: &Line, units: i64) -> Cut {
        let value = line.unit_price.saturating_mul(units);
        let counts = self.scope.is_none_or(|scope| scope == &*line.merchant);
        Cut {
            goods: cut.goods.saturating_add(value),
            eligible: cut.eligible.saturating_add(if counts { value } else { 0 }),
        }
    }

    /// The shares before a boundary: the table above.
    fn before(&self, Cut { goods, eligible }: Cut) -> Share {
        let coupon = part_of(self.coupon, eligible, self.eligible);
        let rest = goods.saturating_sub(coupon);
        let paid = part_of(self.paid, rest, self.rest);
        let left = rest.saturating_sub(paid);
        let earned = part_of(self.earned, left, self.left);
        let card = left.saturating_sub(earned);
        Share { goods, coupon, paid, earned, card, points: part_of(self.bp, card, 10_000) }
    }

    fn add(&self, parts: &mut Vec<Part>, line: &Line, share: Share) {
        let coupon = if self.merchant_funded { 0 } else { share.coupon };
        let Share { card, paid, earned, .. } = share;
        if card == 0 && paid == 0 && earned == 0 && coupon == 0 {
            return;
        }
        let Some(part) = parts.iter_mut().find(|part| part.merchant == line.merchant) else {
            let merchant = Arc::clone(&line.merchant);
            return parts.push(Part { merchant, card, paid, earned, coupon });
        };
        part.card = part.card.saturating_add(card);
        part.paid = part.paid.saturating_add(paid);
        part.earned = part.earned.saturating_add(earned);
        part.coupon = part.coupon.saturating_add(coupon);
    }
}

/// The value of the goods that a coupon of this scope is for.
pub fn eligible(lines: &[Line], scope: Option<&str>) -> i64 {
    let counts = |line: &&Line| scope.is_none_or(|scope| scope == &*line.merchant);
    let value = |line: &Line| line.unit_price.saturating_mul(line.quantity);
    lines.iter().filter(counts).fold(0, |sum: i64, line| sum.saturating_add(value(line)))
}

/// `⌊whole · part / of⌋`; 0 of nothing.
fn part_of(whole: i64, part: i64, of: i64) -> i64 {
    if whole == 0 || part == of {
        return if of == 0 { 0 } else { whole };
    }
    let product = i128::from(whole).saturating_mul(i128::from(part));
    product.checked_div(i128::from(of)).and_then(|v| i64::try_from(v).ok()).unwrap_or(0)
}
