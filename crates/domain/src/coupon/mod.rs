//! Coupons: campaigns that promise exactly so many, who got which, and which order uses one.
//!
//! Files beside the usual ones: `terms.rs`, what a campaign promises and what a coupon takes off;
//! `redeem.rs`, using one and giving it back; `expiry.rs`, coupons whose time is over.
//!
//! ```text
//!            Issue, Grant          Redeem
//!   (none) ───────────────▶ FREE ─────────▶ USED
//!                           │ │ ▲  Restore   │ │
//!                    Revoke │ │ └────────────┘ │ Restore, at or after expires_at
//!                           ▼ └──────────┐     ▼
//!                       REVOKED  Expire  └▶ EXPIRED
//! ```
//!
//! Invariants, asserted after each change of a campaign (1) or pinned by `tests`:
//!
//! 1. `total ≥ issued = used + free + expired + revoked`, none of them negative.
//! 2. The positions of a campaign's coupons are 1 to `issued`: each once, in the order of issue,
//!    and no coupon ends before one that was issued earlier.
//! 3. A user has at most `per_user` coupons of a campaign, whatever became of them.
//! 4. A coupon is used by one order at a time, of its owner, before `expires_at`.
//! 5. Restore on an order that never redeemed leaves a tombstone, so that a late Redeem of it finds
//!    nothing to use. A coupon that nobody ever issued needs none: it cannot be redeemed anyway.
//! 6. A coupon that is given back after its time has expired, and is counted so.
//! 7. Coupons of a campaign expire in the order of their positions: its row remembers how far, and
//!    has a timer as long as there are more. So the coupon of an order has no timer to be moved.
//! 8. What was carried out is answered again in the same words and changes nothing.

pub mod command;
pub mod decide;
mod expiry;
pub mod model;
mod redeem;
pub mod terms;

#[cfg(test)]
mod tests;

pub use expiry::SLICE;

/// The bounded context of campaigns and coupons.
#[derive(Clone, Copy, Debug)]
pub struct Coupons;
