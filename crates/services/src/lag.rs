//! How far a consumer is behind: the time from the commit of an event to the moment at which what
//! it means is committed in the consumer's own store.
//!
//! The start is `outbox.at`: the shard's clock when the transaction of the event began. The clock
//! is read before the rows are written and flushed, so the write and the fsync of the truth count
//! as lag; what is told is never too little.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use jangbu_kernel::Time;

/// Upper bounds of the buckets in microseconds; the last bucket has none.
const BOUNDS: [i64; 15] = [
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 150_000, 200_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000, 10_000_000,
];

const BUCKETS: usize = BOUNDS.len() + 1;

/// A histogram of lags: one writer, any number of readers.
#[derive(Debug, Default)]
pub struct Lag {
    counts: [AtomicU64; BUCKETS],
    sum_us: AtomicU64,
}

impl Lag {
    /// Counts events that happened at `times` and are taken in at `now`.
    pub fn observe(&self, now: Time, times: impl Iterator<Item = Time>) {
        let (mut counts, mut sum) = ([0; BUCKETS], 0);
        for at in times {
            // The machine's clock may step back.
            let lag = now.0.saturating_sub(at.0).max(0);
            counts[BOUNDS.partition_point(|bound| *bound < lag)] += 1;
            sum += lag.unsigned_abs();
        }
        for (counter, n) in self.counts.iter().zip(counts) {
            counter.fetch_add(n, Ordering::Relaxed);
        }
        self.sum_us.fetch_add(sum, Ordering::Relaxed);
    }

    /// What was counted so far.
    pub fn snapshot(&self) -> LagSnapshot {
        LagSnapshot {
            counts: std::array::from_fn(|at| self.counts[at].load(Ordering::Relaxed)),
            sum_us: self.sum_us.load(Ordering::Relaxed),
        }
    }
}

/// A histogram of lags at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LagSnapshot {
    counts: [u64; BUCKETS],
    /// All lags together, in microseconds.
    pub sum_us: u64,
}

impl LagSnapshot {
    /// How many events were taken in within each bound; the last has none.
    pub fn cumulative(&self) -> impl Iterator<Item = (Option<Duration>, u64)> {
        let bounds = BOUNDS.iter().map(|us| Some(Duration::from_micros(us.unsigned_abs())));
        bounds.chain([None]).zip(self.counts).scan(0, |below, (bound, n)| {
            *below += n;
            Some((bound, *below))
        })
    }

    /// How many events were taken in.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// What the outside may know of a consumer at work.
#[derive(Debug, Default)]
pub struct Progress {
    pub(crate) seq: AtomicI64,
    pub(crate) floor: AtomicI64,
    pub(crate) parked: AtomicU64,
    pub(crate) left_out: AtomicU64,
    pub(crate) repeats: AtomicU64,
    pub(crate) strangers: AtomicU64,
    stopped: AtomicBool,
    /// How far it is behind.
    pub lag: Lag,
}

impl Progress {
    /// The last event that was taken in.
    pub fn seq(&self) -> i64 {
        self.seq.load(Ordering::Relaxed)
    }

    /// The last event that it needs no more: everything up to it is taken in, and none of it waits
    /// under a parked key. 0 until that is known.
    pub fn floor(&self) -> i64 {
        self.floor.load(Ordering::Relaxed)
    }

    /// Keys that wait for an operator.
    pub fn parked(&self) -> u64 {
        self.parked.load(Ordering::Relaxed)
    }

    /// Whether a fault has stopped it.
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Events that came again since the start, and had no effect.
    pub fn repeats(&self) -> u64 {
        self.repeats.load(Ordering::Relaxed)
    }

    /// Records of topics since the start that are not of this outbox, and had no effect.
    pub fn strangers(&self) -> u64 {
        self.strangers.load(Ordering::Relaxed)
    }

    /// Events that were left out since the start, because nobody settled their key in time.
    pub fn left_out(&self) -> u64 {
        self.left_out.load(Ordering::Relaxed)
    }
}

/// The shortest pause between two looks at the outbox.
const SHORTEST: Duration = Duration::from_millis(10);

/// The longest.
const LONGEST: Duration = Duration::from_millis(200);

/// How long to rest between two batches.
///
/// A longer rest makes a batch cheaper: most entries go to the same few accounts, so ten times the
/// events are not ten times the pages, and one transaction has one commit. A shorter one makes the
/// lag small. So the rest grows with the rate of events, 4 ms for each event a millisecond: 1,000
/// orders a second are 4 events a millisecond and rest 16 ms, far below a lag of 50 ms; 13,000 a
/// second are above 40 and rest as long as is allowed, where throughput matters and nobody looks.
///
/// The rate is a mean over about a second. By the last batch alone, one hiccup of the disk would
/// make the next batch large and so the next rest long. A signal from the owner after each commit
/// would not help: at any rate worth naming there is always something to read, and what counts is
/// how much is read at a time.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// Events in a second.
    rate: u64,
}

impl Pace {
    /// How long to rest after `taken` events that came within `ns` nanoseconds.
    pub(crate) fn rest(&mut self, taken: usize, ns: u64) -> Duration {
        const SECOND: u64 = 1_000_000_000;
        let ns = ns.clamp(1, SECOND);
        // Weighted by time: rate · (1 − t) + (taken / t) · t, with t in seconds.
        let kept = u128::from(self.rate) * u128::from(SECOND - ns) / u128::from(SECOND);
        self.rate = u64::try_from(kept).unwrap_or(0) + taken as u64;
        Duration::from_micros(self.rate.saturating_mul(4)).clamp(SHORTEST, LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lag_is_counted_in_the_bucket_that_it_fits_in() {
        let lag = Lag::default();
        let at = |us: i64| Time(1_000_000_000 - us);
        lag.observe(at(0), [0, 1_000, 1_001, 10_000_000, 10_000_001, -5].map(at).into_iter());
        let snapshot = lag.snapshot();
        let told: Vec<_> = snapshot.cumulative().map(|(_, n)| n).collect();
        assert_eq!(told, [3, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 5, 6]);
        assert_eq!((snapshot.count(), snapshot.sum_us), (6, 20_002_002));
        let bounds: Vec<_> = snapshot.cumulative().map(|(bound, _)| bound).collect();
        assert_eq!(bounds[0], Some(Duration::from_millis(1)));
        assert_eq!(bounds[15], None);
    }

    /// The rest after five seconds of `rate` events a second.
    fn rest_at(rate: u64, pace: &mut Pace) -> Duration {
        let mut rest = SHORTEST;
        let mut passed = Duration::ZERO;
        while passed < Duration::from_secs(5) {
            passed += rest;
            let ns = u64::try_from(rest.as_nanos()).unwrap();
            let taken = usize::try_from(rate * ns / 1_000_000_000).unwrap();
            rest = pace.rest(taken, ns);
        }
        rest
    }

    #[test]
    fn the_rest_grows_with_the_rate_and_comes_back() {
        let mut pace = Pace::default();
        assert_eq!(rest_at(100, &mut pace), SHORTEST);
        let seed = rest_at(4_000, &mut pace);
        assert!(seed > Duration::from_millis(12) && seed < Duration::from_millis(20), "{seed:?}");
        assert_eq!(rest_at(60_000, &mut pace), LONGEST);
        let after = rest_at(4_000, &mut pace);
        assert!(after < Duration::from_millis(25), "a busy time is forgotten: {after:?}");
    }

    #[test]
    fn a_hiccup_does_not_lengthen_the_rest() {
        let mut pace = Pace::default();
        rest_at(4_000, &mut pace);
        // 100 ms of events come at once, in the time of a few.
        let rest = pace.rest(400, 16_000_000);
        assert!(rest < Duration::from_millis(20), "{rest:?}");
    }
}
