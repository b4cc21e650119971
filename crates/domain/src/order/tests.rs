//! Tests of the order saga.
#![expect(
    clippy::arithmetic_side_effects,
    clippy::wildcard_enum_match_arm,
    reason = "test oracles count in plain numbers and may panic"
)]

mod gateway;
mod mapping;
mod properties;
mod reached;
mod scenarios;
mod sweep;
mod tables;
mod text;
mod world;
