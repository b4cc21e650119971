//! Takes the harness of the API's tests as it is, so that `./test` and the fuzzer run the same code.
#![allow(dead_code, reason = "the tests use more of the harness")]

#[path = "../../crates/api/tests/it/fuzzed.rs"]
mod fuzzed;
#[path = "../../crates/api/tests/it/schema.rs"]
mod schema;
#[path = "../../crates/api/tests/it/world.rs"]
mod world;

pub use jangbu_api::fuzzing::{numbers, signature};

/// An operation's name in the first line, its body in the rest.
pub fn bodies(data: &[u8]) {
    fuzzed::bodies(data);
}

/// Payloads of events and of the gateway's log.
pub fn stored(data: &[u8]) {
    fuzzed::stored(data);
}
