//! Real servers: started, broken and stopped.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod kafka;
mod postgres;
mod redis;
mod service;
mod shared;
mod toxiproxy;
mod wire;

use std::{
    thread,
    time::{Duration, Instant},
};

/// Longer than anything takes on a busy machine; only tests that fail wait for it.
const LONG: Duration = Duration::from_mins(1);

/// Waits until something holds.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < LONG, "{what}: not after {LONG:?}");
        thread::sleep(Duration::from_millis(20));
    }
}
