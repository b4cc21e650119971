//! Counts and latencies of one phase.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::outcome::{ALL, OUTCOMES, Outcome};

/// Quantiles in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Quantiles {
    /// Median.
    pub p50: f64,
    /// 95 of 100 are below.
    pub p95: f64,
    /// 99 of 100 are below.
    pub p99: f64,
    /// The worst.
    pub max: f64,
}

/// Latencies in microseconds, three digits, up to two minutes.
#[derive(Debug)]
pub(crate) struct Latencies(Histogram<u64>);

impl Latencies {
    pub(crate) fn new() -> Self {
        Self(Histogram::new_with_bounds(1, 120_000_000, 3).expect("constant bounds are valid"))
    }

    pub(crate) fn record(&mut self, nanos: u64) {
        self.0.saturating_record(nanos / 1_000);
    }

    pub(crate) fn len(&self) -> u64 {
        self.0.len()
    }

    /// `None` when nothing was recorded.
    #[expect(clippy::cast_precision_loss, reason = "at most two minutes in microseconds")]
    pub(crate) fn quantiles(&self) -> Option<Quantiles> {
        if self.0.is_empty() {
            return None;
        }
        let at = |quantile| self.0.value_at_quantile(quantile) as f64 / 1_000.0;
        let max = self.0.max() as f64 / 1_000.0;
        let (p50, p95, p99) = (at(0.50), at(0.95), at(0.99));
        Some(Quantiles { p50: p50.min(max), p95: p95.min(max), p99: p99.min(max), max })
    }
}

/// What one second saw. Latencies stand in the second in which their arrival was due, outcomes in
/// the second of the answer.
#[derive(Debug)]
pub(crate) struct Second {
    pub(crate) offered: u32,
    pub(crate) outcomes: [u32; OUTCOMES],
    pub(crate) settled: Coarse,
}

impl Second {
    fn new() -> Self {
        Self { offered: 0, outcomes: [0; OUTCOMES], settled: Coarse::new() }
    }

    /// Every class that occurred.
    pub(crate) fn named(&self) -> BTreeMap<&'static str, u32> {
        let count = |outcome: Outcome| (outcome.name(), self.outcomes[outcome as usize]);
        ALL.into_iter().map(count).filter(|(_, count)| *count > 0).collect()
    }

    pub(crate) fn sum(&self, wanted: fn(Outcome) -> bool) -> u32 {
        let wanted = ALL.into_iter().filter(|&outcome| wanted(outcome));
        wanted.map(|outcome| self.outcomes[outcome as usize]).sum()
    }
}

/// What one stretch of a rate with several saw: latencies, offers and refusals by the intended
/// start, good answers by the time of the answer.
#[derive(Debug)]
pub(crate) struct Stair {
    /// Nanoseconds since the start of the phase.
    pub(crate) end: u64,
    pub(crate) offered: u64,
    pub(crate) answered: u64,
    pub(crate) good: u64,
    pub(crate) settled: Latencies,
    /// As `settled`, but from the moment the request was sent.
    pub(crate) served: Latencies,
    pub(crate) shed: Latencies,
    pub(crate) lateness: Latencies,
}

impl Stair {
    pub(crate) fn until(end: u64) -> Self {
        let [settled, served, shed, lateness] = std::array::from_fn(|_| Latencies::new());
        Self { end, offered: 0, answered: 0, good: 0, settled, served, shed, lateness }
    }
}

/// Latencies of one second: two digits are enough, and ten kilobytes.
#[derive(Debug)]
pub(crate) struct Coarse(Histogram<u32>);

impl Coarse {
    fn new() -> Self {
        Self(Histogram::new_with_bounds(1, 120_000_000, 2).expect("constant bounds are valid"))
    }

    fn record(&mut self, nanos: u64) {
        self.0.saturating_record(nanos / 1_000);
    }

    /// Milliseconds; `None` when nothing was recorded.
    #[expect(clippy::cast_precision_loss, reason = "at most two minutes in microseconds")]
    pub(crate) fn at(&self, quantile: f64) -> Option<f64> {
        let micros = self.0.value_at_quantile(quantile).min(self.0.max());
        (!self.0.is_empty()).then(|| micros as f64 / 1_000.0)
    }
}

/// Everything that a phase counts. `offered = issued + dropped`, `issued` = sum of `outcomes`.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) offered: u64,
    pub(crate) issued: u64,
    /// Arrivals that found no free connection for five seconds.
    pub(crate) dropped: u64,
    /// Arrivals that had to wait for a free connection at all.
    pub(crate) waited: u64,
    outcomes: [u64; OUTCOMES],
    /// Stable codes of everything that was not a sale.
    pub(crate) codes: BTreeMap<String, u64>,
    pub(crate) accepted: Latencies,
    pub(crate) settled: Latencies,
    by_outcome: [Option<Latencies>; OUTCOMES],
    pub(crate) lateness: Latencies,
    pub(crate) repeats_different: u64,
    /// Orders that brought a coupon.
    pub(crate) with_coupon: u64,
    /// Orders that spent points.
    pub(crate) with_points: u64,
    /// The same by the second, and by the stair where the rate has several.
    pub(crate) seconds: Vec<Second>,
    pub(crate) stairs: Vec<Stair>,
    /// Latency of each request of a payment, by its name.
    pub(crate) parts: BTreeMap<&'static str, Latencies>,
    /// Nanoseconds of the generator's clock.
    pub(crate) start: u64,
    pub(crate) planned_end: u64,
    pub(crate) last_answer: u64,
    /// CPU time of the generator thread in the phase, nanoseconds.
    pub(crate) cpu: u64,
    /// The same at some moments: nanoseconds since the start, CPU time so far.
    pub(crate) cpu_marks: Vec<(u64, u64)>,
    pub(crate) connections: usize,
}

impl Tally {
    pub(crate) fn new(start: u64, planned_end: u64) -> Self {
        Self {
            offered: 0,
            issued: 0,
            dropped: 0,
            waited: 0,
            outcomes: [0; OUTCOMES],
            codes: BTreeMap::new(),
            accepted: Latencies::new(),
            settled: Latencies::new(),
            by_outcome: [const { None }; OUTCOMES],
            lateness: Latencies::new(),
            repeats_different: 0,
            with_coupon: 0,
            with_points: 0,
            seconds: Vec::new(),
            stairs: Vec::new(),
            parts: BTreeMap::new(),
            start,
            planned_end,
            last_answer: start,
            cpu: 0,
            cpu_marks: Vec::new(),
            connections: 0,
        }
    }

    /// An arrival ended; latencies count for complete answers that are no repeats.
    pub(crate) fn ended(&mut self, outcome: Outcome, code: &str, intended: u64, now: u64) {
        self.outcomes[outcome as usize] += 1;
        self.last_answer = self.last_answer.max(now);
        if !outcome.is_good() {
            self.code(code);
        }
        let latency = now.saturating_sub(intended);
        let counts = outcome.is_complete() && outcome != Outcome::Replay;
        if counts {
            self.settled.record(latency);
            self.by_outcome[outcome as usize].get_or_insert_with(Latencies::new).record(latency);
        }
        self.second(now).outcomes[outcome as usize] += 1;
        if counts {
            self.second(intended).settled.record(latency);
        }
        if !self.stairs.is_empty() {
            self.on_stairs(outcome, intended, now);
        }
    }

    /// An arrival was due.
    pub(crate) fn arrived(&mut self, intended: u64) {
        self.offered += 1;
        self.second(intended).offered += 1;
        if let Some(stair) = self.stair(intended) {
            stair.offered += 1;
        }
    }

    /// The request of an arrival is sent.
    pub(crate) fn sent(&mut self, intended: u64, now: u64) {
        let late = now.saturating_sub(intended);
        self.issued += 1;
        self.lateness.record(late);
        if !self.stairs.is_empty()
            && let Some(stair) = self.stair(intended)
        {
            stair.lateness.record(late);
        }
    }

    /// One request of a payment was answered correctly.
    pub(crate) fn part(&mut self, name: &'static str, nanos: u64) {
        self.parts.entry(name).or_insert_with(Latencies::new).record(nanos);
    }

    /// An answer that leaves a latency, to a request that was sent at `sent`.
    pub(crate) fn served(&mut self, intended: u64, sent: u64, now: u64) {
        if let Some(stair) = self.stair(intended) {
            stair.served.record(now.saturating_sub(sent));
        }
    }

    fn on_stairs(&mut self, outcome: Outcome, intended: u64, now: u64) {
        let latency = now.saturating_sub(intended);
        if let Some(stair) = self.stair(intended) {
            stair.answered += 1;
            if outcome == Outcome::Shed {
                stair.shed.record(latency);
            } else if outcome.is_complete() && outcome != Outcome::Replay {
                stair.settled.record(latency);
            }
        }
        if outcome.is_good()
            && let Some(stair) = self.stair(now)
        {
            stair.good += 1;
        }
    }

    /// The stair that a moment belongs to; none after the last.
    fn stair(&mut self, at: u64) -> Option<&mut Stair> {
        let since = at.saturating_sub(self.start);
        self.stairs.iter_mut().find(|stair| since < stair.end)
    }

    /// The counts of the second that a moment belongs to.
    fn second(&mut self, at: u64) -> &mut Second {
        let second = usize::try_from(at.saturating_sub(self.start) / 1_000_000_000).unwrap_or(0);
        while self.seconds.len() <= second {
            self.seconds.push(Second::new());
        }
        &mut self.seconds[second]
    }

    fn code(&mut self, code: &str) {
        if let Some(count) = self.codes.get_mut(code) {
            *count += 1;
        } else if self.codes.len() < 100 {
            self.codes.insert(code.to_owned(), 1);
        }
    }

    pub(crate) fn of(&self, outcome: Outcome) -> u64 {
        self.outcomes[outcome as usize]
    }

    pub(crate) fn completed(&self) -> u64 {
        ALL.iter().filter(|outcome| outcome.is_complete()).map(|&outcome| self.of(outcome)).sum()
    }

    /// Orders that the server really worked on: complete ones without the repeats.
    pub(crate) fn orders(&self) -> u64 {
        self.completed() - self.of(Outcome::Replay)
    }

    /// What the load was for: sales, payments, journals.
    pub(crate) fn good(&self) -> u64 {
        ALL.iter().filter(|outcome| outcome.is_good()).map(|&outcome| self.of(outcome)).sum()
    }

    /// Every class that occurred.
    pub(crate) fn outcomes(&self) -> BTreeMap<&'static str, u64> {
        let seen = |outcome: &Outcome| self.of(*outcome) > 0;
        ALL.into_iter().filter(seen).map(|outcome| (outcome.name(), self.of(outcome))).collect()
    }

    pub(crate) fn settled_by_outcome(&self) -> BTreeMap<&'static str, Quantiles> {
        let quantiles = |outcome: Outcome| self.by_outcome[outcome as usize].as_ref()?.quantiles();
        ALL.into_iter().filter_map(|o| Some((o.name(), quantiles(o)?))).collect()
    }

    /// Seconds from the start to the end of the arrivals or the last answer, whichever is later.
    pub(crate) fn seconds(&self) -> f64 {
        seconds(self.last_answer.max(self.planned_end) - self.start)
    }

    /// Seconds from the end of the arrivals to the last answer.
    pub(crate) fn drain(&self) -> f64 {
        seconds(self.last_answer.saturating_sub(self.planned_end))
    }
}

#[expect(clippy::cast_precision_loss, reason = "2^53 nanoseconds are a hundred days")]
pub(crate) fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_recorded_is_none_and_not_zero() {
        assert_eq!(Latencies::new().quantiles(), None);
    }

    #[test]
    fn quantiles_are_in_milliseconds() {
        let mut latencies = Latencies::new();
        (1..=100).for_each(|ms| latencies.record(ms * 1_000_000));
        let quantiles = latencies.quantiles().unwrap();
        assert!((quantiles.p50 - 50.0).abs() < 0.1, "{quantiles:?}");
        assert!((quantiles.p99 - 99.0).abs() < 0.2, "{quantiles:?}");
        assert!((quantiles.max - 100.0).abs() < 0.2, "{quantiles:?}");
    }

    #[test]
    fn repeats_and_errors_leave_no_latency() {
        let mut tally = Tally::new(0, 1_000);
        tally.ended(Outcome::Replay, "REPLAY", 0, 5_000_000);
        tally.ended(Outcome::Error, "INTERNAL", 0, 5_000_000);
        assert_eq!(tally.settled.quantiles(), None);
        assert_eq!((tally.completed(), tally.orders()), (1, 0));
        assert_eq!(tally.codes["INTERNAL"], 1);
    }
}
