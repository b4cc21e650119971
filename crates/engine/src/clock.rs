//! The one place of the engine that reads a real clock. Everything else is told the time.

use std::fmt::Debug;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use jangbu_kernel::Time;

/// Where the time comes from.
pub trait Clock: Send + Sync + Debug {
    /// The time now. It may step back: a cell never does.
    fn now(&self) -> Time;
}

/// The machine's clock.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one adapter to the machine's clock")]
    fn now(&self) -> Time {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Time(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }
}

/// Measures phases for the counters; no decision depends on it.
#[derive(Debug, Clone, Copy)]
pub struct Stopwatch(Instant);

impl Stopwatch {
    /// Starts it.
    #[expect(clippy::disallowed_methods, reason = "measures, decides nothing")]
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// Nanoseconds since the start or the last lap, and starts the next one.
    pub fn lap(&mut self) -> u64 {
        let next = Self::start();
        let ns = next.0.duration_since(self.0).as_nanos();
        *self = next;
        u64::try_from(ns).unwrap_or(u64::MAX)
    }
}
