//! Merchants: who sells, with which keys they sign, and what the shop keeps of their sales.
//!
//! ```text
//!            Create             Suspend
//!   (none) ─────────▶ ACTIVE ──────────────▶ SUSPENDED
//!                        ◀──────────────────
//!                              Resume
//!
//!   key: AddKey ─▶ live ── RevokeKey ─▶ revoked (its secret is gone from the row)
//! ```
//!
//! A merchant is known by its code, which stands in products, payments and accounts; the key of its
//! row is a hash of it, so that whoever has the code finds the row. A product of a merchant without
//! a row stays on sale: shops move one part at a time.
//!
//! Secrets come here sealed: this domain neither reads nor makes any. What a suspended merchant may
//! not do is the edge's to refuse, with the state that is decided here.
//!
//! Invariants, checked on every row by the tests:
//!
//! 1. At most two keys are live: the one in use and the one that replaces it. A revoked key never
//!    comes back, and has no secret any more.
//! 2. Periods of the fee schedule stand in order of time, do not overlap, and only the last may be
//!    open.
//! 3. What the schedule says of the past never changes
//!    (test: `what_a_schedule_says_of_the_past_never_changes`).
//!
//! | file | holds |
//! |---|---|
//! | [`model`] | the row and its key |
//! | [`fees`] | periods, and how one schedule follows another |
//! | [`command`] | commands, answers, rejects, events |
//! | `decide` | the rules |

pub mod command;
mod decide;
pub mod fees;
pub mod model;

#[cfg(test)]
mod tests;

/// The bounded context.
#[derive(Clone, Copy, Debug)]
pub struct Merchants;
