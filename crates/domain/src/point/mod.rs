//! Point: how many points each user has, where they come from and until when they live.
//!
//! One row per account with its lots, one row per order that has anything to do with points, one
//! row per charge and grant, one row per account that says when to wake it. A lot is all points of
//! one kind with one expiry.
//!
//! Files beside the usual ones: `account.rs`, the lots and the only functions that change a balance;
//! `spend.rs`, spending points and giving them back; `claw.rs`, taking back what an order has earned;
//! `refund.rs`, giving the money of a charge back; `rules.rs`, how long points live.
//!
//! ```text
//!    Charge, Grant, Earn            Spend                    (no more way back)
//!   ─────────────────────▶ in a lot ─────▶ spent by an order ──────────────▶
//!                           │ ▲ │ ▲          │
//!                   ClawBack│ │ │ └──────────┘ Restore: to the same lot
//!                           ▼ │ └──────▶ expired (Expire, at or after the lot's end)
//!                       taken─┘ UnClaw
//!
//!   an order's use:   NONE ──Spend──▶ SPENT ──Restore 0──▶ RESTORED
//!                      └───────────Restore 0 (a tombstone)────▲
//!
//!   a charge's refund:  Refund ──▶ HELD ──money given──▶ GIVEN
//!                                   └──refused──▶ RETURNED ──given after all──▲
//! ```
//!
//! Invariants, asserted after each change of an account (1–3) or pinned by `tests`:
//!
//! 1. By kind: what came in + restored = left + spent + expired + clawed back, and left is the sum
//!    of the lots.
//! 2. No counter is below 0, and no more is restored than was spent.
//! 3. Lots are in the order in which they are spent, none is empty, no two are alike.
//! 4. A spend takes the whole amount or nothing, and never from a lot whose time is over.
//! 5. Spending and restoring the whole, in parts of any order, leaves the same lots, unless one of
//!    them ended meanwhile: its points then live at least [`rules::Rules::extension`] longer.
//! 6. Restore 0 on an order never seen leaves a tombstone, so that a late Spend takes nothing;
//!    `UnClaw` of a refund never seen likewise.
//! 7. A claw-back takes points of its order's lot as far as they are there. Of a lot that has
//!    ended it takes none, and asks for none in cash: the points were not used, or so long ago
//!    that they are forgiven.
//! 8. An account that only orders and their refunds move has at most 17 lots
//!    (test: `five_thousand_orders_have_few_lots`).
//! 9. An account with lots that end has a timer that wakes it no later than the first of them.
//! 10. What was carried out is answered again in the same words and changes nothing.
//! 11. Of a charge no more points go back than its lot still holds, and they are gone before its
//!     payment is asked for the money
//!     (test: `a_charge_is_given_back_as_far_as_its_points_are_unspent`).

pub mod account;
mod claw;
pub mod command;
pub mod decide;
pub mod model;
mod refund;
pub mod rules;
mod spend;

#[cfg(test)]
mod tests;

/// The bounded context of points.
#[derive(Clone, Copy, Debug)]
pub struct Points;
