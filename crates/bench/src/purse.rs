//! What buyers bring besides their cards: coupons that were given to them, and points.
//!
//! Both are pure functions of the seed and the number of the order. A coupon can be redeemed once,
//! so the orders with numbers that end in 0, 1 or 2 take one coupon after the other, and each is
//! placed by the user who owns its coupon. When there are none left, orders come without.

use crate::dice::Dice;
use crate::world::{Id, id};

/// Orders of ten that bring a coupon.
const WITH_COUPON: u64 = 3;
/// Orders of ten that spend points.
const WITH_POINTS: u64 = 3;
/// Points that each user is given before the run: enough for any run.
pub(crate) const POINTS: u64 = 100_000_000;
/// Campaigns that share the coupons.
pub(crate) const CAMPAIGNS: usize = 100;

/// Coupons and points of a run.
#[derive(Debug)]
pub(crate) struct Purse {
    seed: u64,
    users: u64,
    coupons: Vec<Id>,
    points: bool,
}

impl Purse {
    /// Coupon `k` is `coupons[k]`, and belongs to [`owner`](Purse::owner)`(k)`.
    pub(crate) fn full((seed, users): (u64, u64), coupons: Vec<Id>) -> Self {
        Self { seed, users, coupons, points: true }
    }

    /// No coupons and no points.
    pub(crate) fn empty(users: u64) -> Self {
        Self { seed: 0, users, coupons: Vec::new(), points: false }
    }

    /// How many users there are.
    pub(crate) fn users(&self) -> u64 {
        self.users
    }

    /// The number of the user who owns coupon `k`.
    pub(crate) fn owner(&self, coupon: usize) -> u64 {
        owner((self.seed, self.users), coupon)
    }

    /// The id of coupon `k`.
    pub(crate) fn coupon(&self, coupon: usize) -> Id {
        self.coupons[coupon]
    }

    /// How many coupons were given.
    pub(crate) fn coupons(&self) -> usize {
        self.coupons.len()
    }

    /// Which coupon order `n` brings.
    pub(crate) fn coupon_of(&self, n: u64) -> Option<usize> {
        let (tens, rest) = (n / 10, n % 10);
        let coupon = usize::try_from(tens * WITH_COUPON + rest).ok()?;
        (rest < WITH_COUPON && coupon < self.coupons.len()).then_some(coupon)
    }

    /// How many points order `n` spends: never more than what the cheapest product costs beside
    /// the largest coupon.
    pub(crate) fn points_of(&self, n: u64) -> Option<u64> {
        let mut dice = Dice::of(self.seed ^ 0x0B01, n);
        (self.points && dice.below(10) < WITH_POINTS).then(|| (dice.below(4) + 1) * 100)
    }
}

/// The number of the user who is given coupon `k` of a run with this seed.
pub(crate) fn owner((seed, users): (u64, u64), coupon: usize) -> u64 {
    Dice::of(seed ^ 0x0C0F, coupon as u64).below(users)
}

/// The id of user `number`.
pub(crate) fn user(number: u64) -> Id {
    id(*b"usr_", i64::try_from((number + 1) << 10).unwrap_or(1 << 10))
}
