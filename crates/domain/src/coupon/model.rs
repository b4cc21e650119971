//! The rows of coupon and the only functions that change a counter.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use jangbu_kernel::{CampaignId, CouponId, OrderId, Time, UserId, coded, rows};

use super::command::Tally;
use super::terms::Terms;

/// The rows that coupon owns.
#[derive(Debug, Default)]
pub struct Rows {
    /// Terms and counters by campaign.
    pub campaign: rows::Rows<CampaignId, Campaign>,
    /// Coupons.
    pub coupon: rows::Rows<CouponId, UserCoupon>,
    /// How many a user has of a campaign.
    pub holder: rows::Rows<HolderKey, Holder>,
    /// Who got what, in order; written once.
    pub issue: rows::Rows<IssueKey, Issue>,
}

/// A user in a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HolderKey {
    /// The campaign.
    pub campaign: CampaignId,
    /// The user.
    pub user: UserId,
}

/// A place in a campaign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct IssueKey {
    /// The campaign.
    pub campaign: CampaignId,
    /// From 1, without gaps.
    pub position: i64,
}

/// A campaign: one hot row, written once per commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Campaign {
    /// What it promises.
    pub terms: Arc<Terms>,
    /// Where its coupons are.
    pub tally: Tally,
    /// When an operator ended it.
    pub ended_at: Option<Time>,
    /// Its timer has looked at the coupons up to this position: their time is over.
    pub swept: i64,
    /// When it was made.
    pub at: Time,
    /// When the coupon after `swept` ends; none: there is no such coupon.
    pub next_at: Option<Time>,
}

impl Campaign {
    /// How many can still be issued.
    pub fn remaining(&self) -> i64 {
        self.terms.total.saturating_sub(self.tally.issued)
    }

    /// Whether it issues coupons at `now`.
    pub fn is_open(&self, now: Time) -> bool {
        self.ended_at.is_none() && self.terms.starts <= now && now < self.terms.ends
    }

    /// Gives the next position, to a coupon that ends at `expires_at`.
    pub fn issue(&mut self, expires_at: Time) -> i64 {
        let Tally { issued, free, .. } = &mut self.tally;
        change(issued, 1);
        change(free, 1);
        self.next_at.get_or_insert(expires_at);
        *issued
    }

    /// The coupon after `swept` has been looked at.
    pub fn sweep(&mut self, now: Time) {
        change(&mut self.swept, 1);
        self.next_at = (self.swept < self.tally.issued).then_some(now);
    }

    /// A coupon changes from one state to another.
    pub fn moved(&mut self, from: State, to: State) {
        change(self.counter(from), -1);
        change(self.counter(to), 1);
    }

    fn counter(&mut self, state: State) -> &mut i64 {
        match state {
            State::Free => &mut self.tally.free,
            State::Used => &mut self.tally.used,
            State::Expired => &mut self.tally.expired,
            State::Revoked => &mut self.tally.revoked,
        }
    }

    /// Asserts invariant 1 of the module. A failure is a bug, never the input's fault.
    pub fn assert_lawful(&self, campaign: CampaignId) {
        let Tally { issued, used, free, expired, revoked } = self.tally;
        let parts = [used, free, expired, revoked];
        let whole: i64 = parts.iter().sum();
        assert_eq!(issued, whole, "coupons of {campaign} appeared or vanished: {:?}", self.tally);
        let ranges = parts.iter().all(|&n| n >= 0) && issued <= self.terms.total;
        assert!(ranges, "a counter of {campaign} left its range: {:?}", self.tally);
    }
}

coded! {
    /// How a coupon stands.
    State {
        /// Its owner can use it.
        Free = 1 "FREE",
        /// An order uses it.
        Used = 2 "USED",
        /// It ended unused.
        Expired = 3 "EXPIRED",
        /// An operator took it back.
        Revoked = 4 "REVOKED",
    }
}

/// The coupon of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserCoupon {
    /// Of which campaign.
    pub campaign: CampaignId,
    /// Whose.
    pub user: UserId,
    /// The how manyth of its campaign.
    pub position: i64,
    /// How it stands.
    pub state: State,
    /// The order that uses it.
    pub order: Option<OrderId>,
    /// What that order saves.
    pub discount: i64,
    /// Orders that gave it back, or will never get it: the latest [`UNDONE_MAX`], oldest first.
    pub undone: Vec<OrderId>,
    /// When it was issued.
    pub issued_at: Time,
    /// From when on it cannot be used.
    pub expires_at: Time,
    /// Why an operator took it back.
    pub reason: Option<Box<str>>,
}

/// How many orders a coupon remembers that it was not used for. An order stops asking when it has
/// heard that its step is undone, so the oldest of so many cannot ask any more.
pub const UNDONE_MAX: usize = 64;

impl UserCoupon {
    /// Remembers that `order` is done with it.
    pub fn undo(&mut self, order: OrderId) {
        if self.undone.len() >= UNDONE_MAX {
            self.undone.remove(0);
        }
        self.undone.push(order);
    }
}

/// How many coupons of a campaign a user has had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// So many.
    pub held: i64,
    /// At most so many: the campaign's limit, so that the row can be checked alone.
    pub most: i64,
}

/// Who got a position, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Issue {
    /// Which coupon.
    pub coupon: CouponId,
    /// Whose.
    pub user: UserId,
    /// When.
    pub at: Time,
}

/// Changes a counter; the checks before it make an overflow a bug.
fn change(counter: &mut i64, by: i64) {
    *counter = counter.checked_add(by).expect("a counter overflowed");
}
