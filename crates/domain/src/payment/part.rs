//! What a payment consists of: the shares of each merchant, and what the payment is for.
//!
//! A merchant is paid by the card, by points and by coupons. Only the card's share passes the
//! gateway; the others move between accounts of our own, in the same posting. Each share is frozen
//! with the payment, and refunds of it never exceed it.

use std::sync::Arc;

use jangbu_kernel::{Money, UserId};
use serde::{Deserialize, Serialize};

/// A merchant's part of a payment, or of a refund, by where it comes from. In minor units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The merchant.
    pub merchant: Arc<str>,
    /// By the card.
    pub card: i64,
    /// By points that the customer has paid for.
    pub paid: i64,
    /// By points that the customer has earned.
    pub earned: i64,
    /// By a coupon that the shop pays for. What a merchant pays for itself stands nowhere.
    pub coupon: i64,
}

impl Part {
    /// A part that the card pays alone.
    pub fn card(merchant: Arc<str>, card: i64) -> Self {
        Self { merchant, card, paid: 0, earned: 0, coupon: 0 }
    }

    /// What the merchant gets.
    pub fn payable(&self) -> i64 {
        // Shares are at most `Money::MAX`: nothing saturates.
        self.shares().into_iter().fold(0, i64::saturating_add)
    }

    /// Card, paid points, earned points, coupon.
    pub fn shares(&self) -> [i64; 4] {
        [self.card, self.paid, self.earned, self.coupon]
    }
}

/// What a payment is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Purpose {
    /// For goods: merchants get it.
    #[default]
    Sale,
    /// For points of `user`: nobody gets it, it is owed to the customer.
    Points {
        /// Who buys them.
        user: UserId,
    },
}

/// The shares of `merchant` in `parts`.
pub(super) fn shares_of(parts: &[Part], merchant: &str) -> [i64; 4] {
    let part = parts.iter().find(|part| &*part.merchant == merchant);
    part.map_or([0; 4], Part::shares)
}

/// The card's shares of `parts`; none if a share is below 0, a merchant stands there twice, or the
/// sum of all shares is no amount of money.
pub(super) fn card_of(parts: &[Part]) -> Option<i64> {
    let (mut card, mut all) = (0_i64, 0_i64);
    for (at, part) in parts.iter().enumerate() {
        if parts.iter().take(at).any(|other| other.merchant == part.merchant) {
            return None;
        }
        for share in part.shares() {
            all = all.checked_add(share).filter(|all| share >= 0 && *all <= Money::MAX)?;
        }
        card = card.checked_add(part.card)?;
    }
    Some(card)
}

/// Whether any share is not 0.
pub(super) fn is_something(parts: &[Part]) -> bool {
    parts.iter().any(|part| part.payable() != 0)
}
