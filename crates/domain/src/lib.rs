//! The functional core: one module per bounded context. Pure and synchronous: no IO, no SQL, no
//! clock, no randomness, no floats.
//!
//! Domains do not import each other. Two exceptions, both one-way and of data only: `order` names
//! the commands of the domains its saga asks, and `ledger::rules` names the events it posts.
#![deny(clippy::float_arithmetic, clippy::as_conversions, clippy::arithmetic_side_effects)]
#![deny(clippy::wildcard_enum_match_arm, clippy::indexing_slicing)]

pub mod catalog;
pub mod coupon;
pub mod inventory;
pub mod ledger;
pub mod merchant;
pub mod order;
pub mod payment;
pub mod point;
pub mod user;
