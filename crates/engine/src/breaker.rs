//! A circuit breaker: after too many failures nobody is sent into the void any more.
//!
//! ```text
//!          too large a share of failed or slow calls
//! CLOSED ───────────────────────────────────────────▶ OPEN ◀──────────┐
//!    ▲                                                  │ open_for    │ a failed, slow
//!    │ closes_after good probes                         ▼             │ or silent probe
//!    └────────────────────────────────────────────── HALF-OPEN ───────┘
//! ```
//!
//! 1. Good calls are counted as well as bad ones, in a sliding window of time: five failures among
//!    millions of successes open nothing, and neither do two failures in an idle night.
//! 2. What counts as a failure is the caller's word. A refusal of business is a good call.
//! 3. At most `probes` calls are out while half-open. How many it takes to close does not depend on
//!    that number, so the breaker cannot wait for a count that is never reached.
//! 4. A call counts only in the state that admitted it: an answer from before the outage neither
//!    closes the breaker nor keeps it open.
//! 5. Time is a parameter; a clock that steps back stands still here.

use jangbu_kernel::Time;
use jangbu_kernel::time::Span;

/// When to open, and how to close again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerRules {
    /// Width of one bucket of the window; at least 1 µs.
    pub bucket: Span,
    /// Number of buckets; at least 1.
    pub buckets: usize,
    /// With fewer calls in the window it never opens.
    pub min_calls: u32,
    /// It opens when so many percent of the calls failed.
    pub failure_percent: u32,
    /// Whether slowness opens it too.
    pub slow: Option<Slow>,
    /// How long it stays open before the first probe.
    pub open_for: Span,
    /// At most so many probes are out at a time; at least 1.
    pub probes: u32,
    /// So many good probes close it.
    pub closes_after: u32,
    /// When all probes have been silent for so long, they have failed. Longer than any deadline.
    pub patience: Span,
}

/// When slowness alone opens a breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slow {
    /// A call that took so long is slow, whatever it said.
    pub after: Span,
    /// It opens when so many percent of the calls were slow.
    pub percent: u32,
}

impl Default for BreakerRules {
    fn default() -> Self {
        Self {
            bucket: Span::secs(1),
            buckets: 10,
            min_calls: 20,
            failure_percent: 50,
            slow: Some(Slow { after: Span::secs(2), percent: 80 }),
            open_for: Span::secs(10),
            probes: 5,
            closes_after: 5,
            patience: Span::secs(30),
        }
    }
}

/// The state, for metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BreakerState {
    /// Calls pass.
    #[default]
    Closed,
    /// No call passes.
    Open,
    /// A few calls pass, to find out.
    HalfOpen,
}

/// What the breaker has seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BreakerStats {
    /// Its state. It leaves `Open` with the first call after its time.
    pub state: BreakerState,
    /// Calls that ended within the window; it is emptied when the breaker closes.
    pub calls: u32,
    /// Those of them that failed.
    pub failed: u32,
    /// Those of them that were slow.
    pub slow: u32,
    /// Calls that were not admitted, since the start.
    pub refused: u64,
    /// How often it opened or opened again, since the start.
    pub opened: u64,
}

/// Leave to make one call, given back to [`Breaker::record`] with its outcome.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub struct Permit {
    /// The state that admitted the call; none: it does not count.
    epoch: Option<u64>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Closed,
    Open { until: Time },
    HalfOpen { out: u32, good: u32, progress: Time },
}

/// A circuit breaker for one destination.
#[derive(Debug)]
pub struct Breaker {
    rules: BreakerRules,
    state: State,
    /// Grows with each change of state.
    epoch: u64,
    now: Time,
    window: Window,
    refused: u64,
    opened: u64,
}

impl Breaker {
    /// A closed breaker.
    pub fn new(rules: BreakerRules) -> Self {
        let window = Window::new(rules.bucket, rules.buckets);
        Self {
            rules,
            state: State::Closed,
            epoch: 0,
            now: Time(i64::MIN),
            window,
            refused: 0,
            opened: 0,
        }
    }

    /// Leave to make a call, or none: the call must not be made.
    pub fn admit(&mut self, now: Time) -> Option<Permit> {
        let permit = self.try_admit(now);
        self.refused += u64::from(permit.is_none());
        permit
    }

    /// For how long a call would be refused from `now` on; none: one would be admitted. Takes no
    /// permit, so whoever asks first may still find the last probe taken.
    pub fn refuses(&self, now: Time) -> Option<Span> {
        let now = self.now.max(now);
        match self.state {
            State::Open { until } => Some(until - now).filter(|left| left.0 > 0),
            State::HalfOpen { out, progress, .. } => {
                // Probes that stay silent for too long have failed: the next call finds that out.
                let waits = now - progress < self.rules.patience;
                (out >= self.rules.probes.max(1) && waits).then_some(Span::secs(1))
            }
            State::Closed => None,
        }
    }

    /// Leave to make a call that the breaker does not hold back. It is a probe when one is wanted,
    /// and does not count while the breaker would have refused it.
    pub fn admit_always(&mut self, now: Time) -> Permit {
        self.try_admit(now).unwrap_or(Permit { epoch: None })
    }

    /// The outcome of an admitted call: whether it was good, and how long it took.
    #[expect(clippy::needless_pass_by_value, reason = "a permit is spent: one call, one outcome")]
    pub fn record(&mut self, now: Time, permit: Permit, good: bool, took: Span) {
        let now = self.advance(now);
        if permit.epoch != Some(self.epoch) {
            return;
        }
        let slow = self.rules.slow.is_some_and(|slow| took >= slow.after);
        self.window.add(good, slow);
        match self.state {
            State::Closed if self.is_too_bad() => self.open(now),
            State::HalfOpen { .. } if !good || slow => self.open(now),
            State::HalfOpen { good, .. } if good + 1 >= self.rules.closes_after => self.close(),
            State::HalfOpen { out, good, .. } => {
                self.state = State::HalfOpen { out: out - 1, good: good + 1, progress: now };
            }
            State::Closed | State::Open { .. } => {}
        }
    }

    /// Opens a closed breaker, whatever went well before: the caller knows that nothing comes back.
    pub fn trip(&mut self, now: Time) {
        let now = self.advance(now);
        if matches!(self.state, State::Closed) {
            self.open(now);
        }
    }

    /// The counts for metrics.
    pub fn stats(&mut self, now: Time) -> BreakerStats {
        self.advance(now);
        let Tally { calls, failed, slow } = self.window.sum;
        let state = match self.state {
            State::Closed => BreakerState::Closed,
            State::Open { .. } => BreakerState::Open,
            State::HalfOpen { .. } => BreakerState::HalfOpen,
        };
        BreakerStats { state, calls, failed, slow, refused: self.refused, opened: self.opened }
    }

    fn try_admit(&mut self, now: Time) -> Option<Permit> {
        let now = self.advance(now);
        if let State::Open { until } = self.state
            && until <= now
        {
            self.enter(State::HalfOpen { out: 0, good: 0, progress: now });
        }
        match &mut self.state {
            State::Closed => {}
            State::HalfOpen { out, .. } if *out < self.rules.probes.max(1) => *out += 1,
            State::HalfOpen { progress, .. } => {
                if now - *progress >= self.rules.patience {
                    self.open(now);
                }
                return None;
            }
            State::Open { .. } => return None,
        }
        Some(Permit { epoch: Some(self.epoch) })
    }

    fn advance(&mut self, now: Time) -> Time {
        self.now = self.now.max(now);
        self.window.advance(self.now);
        self.now
    }

    fn is_too_bad(&self) -> bool {
        let Tally { calls, failed, slow } = self.window.sum;
        let reaches = |part: u32, percent: u32| {
            u64::from(part) * 100 >= u64::from(percent) * u64::from(calls) && part > 0
        };
        calls >= self.rules.min_calls
            && (reaches(failed, self.rules.failure_percent)
                || self.rules.slow.is_some_and(|rule| reaches(slow, rule.percent)))
    }

    fn open(&mut self, now: Time) {
        self.opened += 1;
        self.enter(State::Open { until: now + self.rules.open_for });
    }

    fn close(&mut self) {
        self.window.clear();
        self.enter(State::Closed);
    }

    fn enter(&mut self, state: State) {
        self.epoch += 1;
        self.state = state;
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    calls: u32,
    failed: u32,
    slow: u32,
}

/// A ring of tallies, one for each stretch of time, and their sum.
#[derive(Debug)]
struct Window {
    width: i64,
    ring: Vec<Tally>,
    /// Where in the ring the newest stretch is, and its number since the epoch.
    head: usize,
    newest: i64,
    sum: Tally,
}

impl Window {
    fn new(width: Span, buckets: usize) -> Self {
        let ring = vec![Tally::default(); buckets.max(1)];
        Self { width: width.0.max(1), ring, head: 0, newest: i64::MIN, sum: Tally::default() }
    }

    fn clear(&mut self) {
        self.ring.fill(Tally::default());
        self.sum = Tally::default();
    }

    /// Moves on to the stretch of `now`, never back, and forgets what has left the window.
    fn advance(&mut self, now: Time) {
        let number = now.0.div_euclid(self.width);
        let steps = usize::try_from(number.saturating_sub(self.newest)).unwrap_or(0);
        for _ in 0..steps.min(self.ring.len()) {
            self.head = (self.head + 1) % self.ring.len();
            let old = std::mem::take(&mut self.ring[self.head]);
            self.sum.calls -= old.calls;
            self.sum.failed -= old.failed;
            self.sum.slow -= old.slow;
        }
        self.newest = number;
    }

    fn add(&mut self, good: bool, slow: bool) {
        for tally in [&mut self.ring[self.head], &mut self.sum] {
            tally.calls += 1;
            tally.failed += u32::from(!good);
            tally.slow += u32::from(slow);
        }
    }
}

#[cfg(test)]
mod tests;
