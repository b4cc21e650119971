//! Inventory: how many units of each SKU there are, and who holds them.
//!
//! One row per SKU with counters, one reservation row per order with its lines, one row per
//! movement. A reservation is the only way from `available` to `sold`:
//!
//! ```text
//!            Reserve            Pin             Commit
//!   (none) ──────────▶ HELD ──────────▶ PINNED ──────────▶ COMMITTED ──┐ Return
//!     │ │                │ │ Release      │ ▲ Release                ▲──┘ (up to what was sold)
//!     │ └─Reserve, pin───┼─┼──────────────┼─┘
//!     │ Release          │ └──────────────┼──────▶ RELEASED
//!     └──────────────────┼────────────────┼──────────▲ (without lines: a tombstone)
//!                        │ Expire, at or after next_at
//!                        └──────▶ EXPIRED
//! ```
//!
//! Invariants, asserted after each change of a stock row (1–3) or pinned by `tests`:
//!
//! 1. `received + adjusted + returned = available + reserved + sold + written_off`.
//! 2. No counter but `adjusted` is below 0; `returned ≤ sold`.
//! 3. `received`, `received + adjusted` and `reserved + sold` stay within [`model::LIMIT`], and by
//!    1 and 2 every other counter does too. They are checked where units come in (Receive, Adjust,
//!    Reserve), so what ends a reservation, or takes units back, is never refused by an overflow.
//! 4. `reserved` is the sum of the lines of HELD and PINNED reservations, `sold` that of COMMITTED
//!    ones (gross: a return does not lower it), `returned` that of their returns.
//! 5. A HELD reservation has `next_at` and no other one has. Expire alone ends a hold: a Pin that
//!    comes after `next_at`, but before the timer, succeeds, since the units are still there.
//! 6. Release on an order never seen leaves a tombstone, so that a late Reserve finds nothing to
//!    hold.
//! 7. What was carried out is answered again in the same words and changes nothing.

pub mod command;
pub mod decide;
pub mod model;

#[cfg(test)]
mod tests;

/// The bounded context of stock and reservations.
#[derive(Clone, Copy, Debug)]
pub struct Inventory;
