//! What a campaign promises, and what a coupon of it takes off an order.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use jangbu_kernel::time::Span;
use jangbu_kernel::{Currency, Money, Time, coded};

use super::command::{Goods, Reject};

/// Basis points in a whole.
pub const WHOLE: i64 = 10_000;

/// The most coupons of one campaign, and of one user in it.
pub const TOTAL_MAX: i64 = 100_000_000;

/// The longest time that a coupon is good for after its issue: ten years.
pub const SPAN_MAX: Span = Span::mins(10 * 366 * 24 * 60);

/// The longest name.
pub const NAME_MAX: usize = 200;

coded! {
    /// Who pays for the discount.
    Funding {
        /// The shop: merchants get the full price.
        Platform = 1 "PLATFORM",
        /// The merchant in whose scope it is.
        Merchant = 2 "MERCHANT",
    }
}

/// How much a coupon takes off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// So much, but not more than the goods are worth.
    Fixed {
        /// Minor units.
        amount: i64,
    },
    /// A part of what the goods are worth, rounded down to the minor unit.
    Percent {
        /// Basis points, 1 to 10,000.
        bp: i64,
        /// Never more than this many minor units.
        cap: Option<i64>,
    },
}

/// How long a coupon is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Valid {
    /// All of them until one moment.
    Until(Time),
    /// Each for so long after its issue.
    For(Span),
}

/// What a campaign promises. It never changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Terms {
    /// What people call it.
    pub name: Box<str>,
    /// How much a coupon takes off.
    pub kind: Kind,
    /// For orders in this currency.
    pub currency: Currency,
    /// The goods that it counts for must be worth this much.
    pub minimum: i64,
    /// Coupons are issued from here …
    pub starts: Time,
    /// … to just before here.
    pub ends: Time,
    /// How long a coupon is good.
    pub valid: Valid,
    /// The most coupons of one user.
    pub per_user: i64,
    /// The most coupons of all.
    pub total: i64,
    /// Who pays for the discount.
    pub funding: Funding,
    /// The one merchant whose goods it counts for; none: all goods.
    pub scope: Option<Arc<str>>,
}

impl Terms {
    /// Whether they make sense.
    pub fn check(&self) -> Result<(), Reject> {
        let money = 0..=Money::MAX;
        let kind = match self.kind {
            Kind::Fixed { amount } => amount >= 1 && money.contains(&amount),
            Kind::Percent { bp, cap } => {
                (1..=WHOLE).contains(&bp) && cap.is_none_or(|cap| cap >= 1 && money.contains(&cap))
            }
        };
        let valid = match self.valid {
            Valid::Until(until) => until >= self.ends,
            Valid::For(span) => span > Span(0) && span <= SPAN_MAX,
        };
        let name = jangbu_kernel::words::is_line(&self.name, NAME_MAX);
        let scoped = self.funding == Funding::Platform || self.scope.is_some();
        for (holds, field, must) in [
            (name, "name", "must be 1 to 200 characters, no control ones"),
            (kind, "discount", "must be 1 or more; a percentage is 1 to 10000 basis points"),
            (money.contains(&self.minimum), "minimum", "must be 0 to 1000000000000000"),
            (self.starts < self.ends, "ends", "must be after starts"),
            (valid, "valid", "must last to the end of the issue, or up to ten years from issue"),
            ((1..=TOTAL_MAX).contains(&self.total), "total", "must be 1 to 100000000"),
            ((1..=self.total).contains(&self.per_user), "perUser", "must be 1 to total"),
            (scoped, "scope", "is required when the merchant pays"),
        ] {
            if !holds {
                return Err(Reject::TermsInvalid { field: field.into(), must: must.into() });
            }
        }
        Ok(())
    }

    /// When a coupon issued `at` ends.
    pub fn expiry(&self, at: Time) -> Time {
        match self.valid {
            Valid::Until(until) => until,
            Valid::For(span) => at + span,
        }
    }

    /// What a coupon takes off `goods`: at most what the goods it counts for are worth, and never
    /// nothing.
    pub fn discount(&self, goods: &[Goods], currency: Currency) -> Result<i64, Reject> {
        let counts = |goods: &&Goods| self.scope.as_ref().is_none_or(|m| *m == goods.merchant);
        let eligible: i128 = goods.iter().filter(counts).map(|g| i128::from(g.amount)).sum();
        if currency != self.currency || eligible <= 0 {
            return Err(Reject::CouponNotApplicable);
        }
        if eligible < i128::from(self.minimum) {
            return Err(Reject::CouponMinimum { minimum: self.minimum });
        }
        let off = match self.kind {
            Kind::Fixed { amount } => i128::from(amount).min(eligible),
            Kind::Percent { bp, cap } => part(eligible, bp).min(cap.map_or(i128::MAX, i128::from)),
        };
        i64::try_from(off).ok().filter(|off| *off > 0).ok_or(Reject::CouponNotApplicable)
    }
}

/// `bp` basis points of `value`, rounded down.
fn part(value: i128, bp: i64) -> i128 {
    value.saturating_mul(i128::from(bp)).checked_div(i128::from(WHOLE)).unwrap_or(0)
}
