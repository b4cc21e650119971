//! What each unit of an order bears of coupon, points and cash, computed anew from the rule of the
//! documentation and from nothing of the program: a unit's share is the difference of the shares
//! before and behind it, each rounded down.

use std::collections::BTreeMap;

use super::{Order, Range};

/// Coupon, paid points, earned points, card; and the points that the card's part earns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Shares {
    pub(crate) goods: i128,
    pub(crate) coupon: i128,
    pub(crate) paid: i128,
    pub(crate) earned: i128,
    pub(crate) card: i128,
    pub(crate) earns: i128,
}

impl Shares {
    fn add(&mut self, more: Self, sign: i128) {
        self.goods += sign * more.goods;
        self.coupon += sign * more.coupon;
        self.paid += sign * more.paid;
        self.earned += sign * more.earned;
        self.card += sign * more.card;
        self.earns += sign * more.earns;
    }
}

/// The goods before a boundary, all of them and those that the coupon is for.
type Boundary = (i128, i128);

impl Order {
    /// Whether the coupon counts for a line.
    fn counts(&self, merchant: &str) -> bool {
        self.coupon_scope.as_deref().is_none_or(|scope| scope == merchant)
    }

    /// The goods that the coupon is for.
    pub(super) fn eligible(&self) -> i128 {
        let counts = self.lines.iter().filter(|line| self.counts(&line.merchant));
        counts.map(super::Line::amount).sum()
    }

    fn boundary(&self, at: usize, unit: i64) -> Boundary {
        let mut boundary = (0, 0);
        for (index, line) in self.lines.iter().enumerate().take(at + 1) {
            let units = if index == at { i128::from(unit) } else { i128::from(line.quantity) };
            let value = units * i128::from(line.price);
            boundary.0 += value;
            boundary.1 += if self.counts(&line.merchant) { value } else { 0 };
        }
        boundary
    }

    fn before(&self, (goods, eligible): Boundary) -> Shares {
        let slice = |whole: i64, part: i128, of: i128| {
            if of == 0 { 0 } else { (i128::from(whole) * part).div_euclid(of) }
        };
        let coupon = slice(self.discount, eligible, self.eligible());
        let after_coupon = i128::from(self.total) - i128::from(self.discount);
        let paid = slice(self.points_paid, goods - coupon, after_coupon);
        let after_paid = after_coupon - i128::from(self.points_paid);
        let earned = slice(self.points_earned, goods - coupon - paid, after_paid);
        let card = goods - coupon - paid - earned;
        let earns = slice(self.earn_bp, card, 10_000);
        Shares { goods, coupon, paid, earned, card, earns }
    }

    /// What these units bear.
    pub(super) fn shares(&self, units: &[Range]) -> Shares {
        let mut sum = Shares::default();
        for range in units.iter().filter(|range| range.line < self.lines.len()) {
            sum.add(self.before(self.boundary(range.line, range.from + range.quantity)), 1);
            sum.add(self.before(self.boundary(range.line, range.from)), -1);
        }
        sum
    }

    /// All units.
    pub(super) fn whole(&self) -> Vec<Range> {
        let range =
            |(line, of): (usize, &super::Line)| Range { line, from: 0, quantity: of.quantity };
        self.lines.iter().enumerate().map(range).collect()
    }

    /// What each merchant gets for these units: card, paid points, earned points, and the part of
    /// a coupon that the platform pays for.
    pub(crate) fn parts(&self, units: &[Range]) -> BTreeMap<&str, [i128; 4]> {
        let mut parts: BTreeMap<&str, [i128; 4]> = BTreeMap::new();
        for range in units {
            let Some(line) = self.lines.get(range.line) else { continue };
            let of = self.shares(std::slice::from_ref(range));
            let coupon = if self.coupon_funding == 1 { 0 } else { of.coupon };
            let part = parts.entry(&line.merchant).or_default();
            for (sum, share) in part.iter_mut().zip([of.card, of.paid, of.earned, coupon]) {
                *sum += share;
            }
        }
        parts.retain(|_, part| *part != [0; 4]);
        parts
    }
}
