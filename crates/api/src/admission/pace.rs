//! How fast refusals leave.
//!
//! Saying no costs a few microseconds, and under a flood those add up to whole processors that the
//! orders let in would need. So refusals share a budget: as long as they are fewer, each leaves at
//! once; what is beyond waits for its turn. A connection with an open request sends no other, so
//! whoever floods is slowed down to the pace at which we can say no, at the price of a timer.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Shorter waits are not worth a timer.
const SHORT: Duration = Duration::from_millis(1);

/// Nobody waits longer: by then the client had better hear something.
const LONG: Duration = Duration::from_secs(1);

/// The budget.
#[derive(Debug)]
pub(super) struct Pace {
    origin: Instant,
    /// Between two refusals; 0: no budget.
    gap_ns: u64,
    /// When the next one may leave.
    next_ns: AtomicU64,
}

impl Pace {
    /// `a_second` refusals a second; 0: as many as are asked for.
    pub(super) fn new(a_second: u32, origin: Instant) -> Self {
        let gap_ns = 1_000_000_000_u64.checked_div(a_second.into()).unwrap_or(0);
        Self { origin, gap_ns, next_ns: AtomicU64::new(0) }
    }

    /// Takes a turn: how long it is until then. None: now.
    pub(super) fn turn(&self, now: Instant) -> Option<Duration> {
        if self.gap_ns == 0 {
            return None;
        }
        let now = nanos(now.saturating_duration_since(self.origin));
        let after = |next: u64| next.max(now).min(now + nanos(LONG)) + self.gap_ns;
        let taken = self
            .next_ns
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| Some(after(next)));
        let next = taken.unwrap_or_else(|next| next);
        let wait = Duration::from_nanos(next.saturating_sub(now)).min(LONG);
        (wait >= SHORT).then_some(wait)
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_within_the_budget_leave_at_once_and_the_others_one_by_one() {
        let start = Instant::now();
        let pace = Pace::new(1_000, start);
        let spread = (0..100).all(|ms| pace.turn(start + Duration::from_millis(ms)).is_none());
        assert!(spread, "one in a millisecond");
        let later = start + Duration::from_secs(1);
        let waits: Vec<_> = (0..5_u32).map(|_| pace.turn(later)).collect();
        let wanted = [None, Some(1), Some(2), Some(3), Some(4)];
        assert_eq!(waits, wanted.map(|ms| ms.map(Duration::from_millis)));
        assert_eq!(pace.turn(later + Duration::from_secs(1)), None, "and it is forgotten");
    }

    #[test]
    fn nobody_waits_longer_than_a_second() {
        let start = Instant::now();
        let pace = Pace::new(100, start);
        let longest = (0..10_000).filter_map(|_| pace.turn(start)).max();
        assert_eq!(longest, Some(LONG));
        let after = pace.turn(start + Duration::from_secs(2));
        assert_eq!(after, None, "what nobody waited for is not owed");
    }

    #[test]
    fn no_budget_is_no_wait() {
        let start = Instant::now();
        let pace = Pace::new(0, start);
        assert!((0..1_000).all(|_| pace.turn(start).is_none()));
    }
}
