//! One line of the log for an answer: of errors and refusals for each, of successes for some. It says
//! which endpoint, how it went and whose line it is (`correlation`, `trace`); never who asked for
//! what: the log is read by more people than the shop's data.
//!
//! Who refuses ten thousand a second must not write ten thousand lines: beyond [`MOST`] a second
//! refusals are counted, and the next line says how many had none (`left_out`).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jangbu_engine::trace::shown;
use jangbu_kernel::Trace;
use parking_lot::Mutex;

/// Lines about refusals in a second.
const MOST: u32 = 500;

/// Decides which answers have a line.
#[derive(Debug)]
pub(crate) struct Log {
    /// One success out of so many has one; 0: none.
    every: u64,
    successes: AtomicU64,
    refusals: Mutex<Budget>,
}

#[derive(Debug)]
struct Budget {
    since: Instant,
    lines: u32,
    left_out: u64,
}

/// An answer, as the log tells of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told<'a> {
    /// Name of the endpoint; none: of no route.
    pub(crate) route: Option<&'static str>,
    pub(crate) status: u16,
    pub(crate) correlation: &'a str,
    pub(crate) trace: Option<Trace>,
    pub(crate) took: Duration,
}

/// What a problem says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wrong<'a> {
    pub(crate) code: &'static str,
    /// Told of errors alone: in that of a refusal may stand what was sent.
    pub(crate) detail: &'a str,
    /// What the client is not told.
    pub(crate) cause: Option<&'a str>,
}

impl Log {
    pub(crate) fn new(every: u64, now: Instant) -> Self {
        let refusals = Mutex::new(Budget { since: now, lines: 0, left_out: 0 });
        Self { every, successes: AtomicU64::new(0), refusals }
    }

    /// Tells of an answer.
    pub(crate) fn tell(&self, told: Told<'_>, wrong: Option<Wrong<'_>>) {
        let Told { route, status, correlation, trace, took } = told;
        let (us, traced) = (u64::try_from(took.as_micros()).unwrap_or(u64::MAX), shown(trace));
        let Some(Wrong { code, detail, cause }) = wrong else {
            if trace.is_some() || self.has_turn() {
                tracing::info!(route, status, us, correlation, trace = traced, "answered");
            }
            return;
        };
        if status == 500 {
            tracing::error!(
                route,
                status,
                code,
                detail,
                cause,
                us,
                correlation,
                trace = traced,
                "failed"
            );
        } else if cause.is_some() {
            tracing::warn!(route, status, code, cause, us, correlation, trace = traced, "refused");
        } else if let Some(left_out) = self.room() {
            let left_out = Some(left_out).filter(|left_out| *left_out > 0);
            tracing::info!(
                route,
                status,
                code,
                left_out,
                us,
                correlation,
                trace = traced,
                "refused"
            );
        }
    }

    fn has_turn(&self) -> bool {
        self.every > 0 && self.successes.fetch_add(1, Ordering::Relaxed).is_multiple_of(self.every)
    }

    /// Whether a refusal may have a line, and how many had none since the last one.
    fn room(&self) -> Option<u64> {
        self.refusals.lock().room(Instant::now())
    }
}

impl Budget {
    fn room(&mut self, now: Instant) -> Option<u64> {
        if now.saturating_duration_since(self.since) >= Duration::from_secs(1) {
            (self.since, self.lines) = (now, 0);
        }
        if self.lines >= MOST {
            self.left_out += 1;
            return None;
        }
        self.lines += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_beyond_so_many_a_second_are_counted() {
        let begun = Instant::now();
        let mut budget = Budget { since: begun, lines: 0, left_out: 0 };
        for _ in 0..MOST {
            assert_eq!(budget.room(begun), Some(0));
        }
        let soon = begun + Duration::from_millis(999);
        assert_eq!((budget.room(begun), budget.room(soon)), (None, None));
        let later = begun + Duration::from_secs(1);
        assert_eq!((budget.room(later), budget.room(later)), (Some(2), Some(0)));
    }

    #[test]
    fn one_success_out_of_so_many_has_a_line() {
        let turns = |every| {
            let log = Log::new(every, Instant::now());
            (0..100).filter(|_| log.has_turn()).count()
        };
        assert_eq!([turns(0), turns(1), turns(10), turns(1_000)], [0, 100, 10, 1]);
    }
}
