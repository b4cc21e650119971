//! A run by the second, for the plots of the certificate.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::outcome::Outcome;
use crate::sampler::{CLOSE, Sample};
use crate::tally::Tally;

/// One second of the measured phase.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Second {
    /// Number since the first arrival.
    pub at: u64,
    /// Arrivals that were due.
    pub offered: u32,
    /// Answers that were what the load is for.
    pub good: u32,
    /// What became of requests, by the second of the answer.
    pub outcomes: BTreeMap<&'static str, u32>,
    /// Median of the arrivals that were due in this second, milliseconds.
    pub p50: Option<f64>,
    /// 99 of 100 of them were faster.
    pub p99: Option<f64>,
    /// Commands that waited at the end of the second.
    pub waiting: Option<f64>,
    /// Mean time of a commit, milliseconds.
    pub commit_ms: Option<f64>,
    /// Events that the consumers had not taken at the end of the second.
    pub events_behind: Option<f64>,
    /// Processors that the server used.
    pub server_cpu: Option<f64>,
    /// Processors that the generator used.
    pub generator_cpu: Option<f64>,
    /// Resident memory of the server at the end of the second, megabytes.
    pub memory_mb: Option<f64>,
    /// The write-ahead log of the truth, megabytes.
    pub wal_mb: Option<f64>,
    /// All files of the data directory, megabytes.
    pub files_mb: Option<f64>,
}

/// Brings counts and samples together.
pub(crate) fn series(tally: &Tally, samples: &[Sample]) -> Vec<Second> {
    let generator = generator(tally);
    let second = |(at, counts): (usize, &crate::tally::Second)| {
        let (before, after) = (near(samples, at), near(samples, at + 1));
        let rate = |field: fn(&Sample) -> Option<f64>| {
            let (before, after) = (before?, after?);
            Some((field(after)? - field(before)?) / (after.at - before.at))
        };
        let (commits, commit_s) = (rate(|s| s.commits), rate(|s| s.commit_s));
        let behind = |sample: &Sample| Some((sample.written? - sample.taken?).max(0.0));
        Second {
            at: at as u64,
            offered: counts.offered,
            good: counts.sum(Outcome::is_good),
            outcomes: counts.named(),
            p50: counts.settled.at(0.50),
            p99: counts.settled.at(0.99),
            waiting: after.and_then(|sample| sample.waiting),
            commit_ms: commit_s
                .zip(commits)
                .and_then(|(spent, count)| (count > 0.0).then(|| spent * 1e3 / count)),
            events_behind: after.and_then(behind),
            server_cpu: rate(|s| s.cpu_us).map(|us| us / 1e6),
            generator_cpu: generator.get(at).copied(),
            memory_mb: after.and_then(|sample| sample.memory_mb),
            wal_mb: after.and_then(|sample| sample.wal_mb),
            files_mb: after.and_then(|sample| sample.files_mb),
        }
    };
    tally.seconds.iter().enumerate().map(second).collect()
}

/// The sample of a full second, if it was taken in time.
#[expect(clippy::cast_precision_loss, reason = "seconds of a run")]
fn near(samples: &[Sample], second: usize) -> Option<&Sample> {
    samples.iter().find(|sample| (sample.at - second as f64).abs() < CLOSE)
}

/// Processors that the generator used in each second.
#[expect(clippy::cast_precision_loss, reason = "2^53 nanoseconds are a hundred days")]
fn generator(tally: &Tally) -> Vec<f64> {
    let mut used = Vec::new();
    let mut last = (0, 0);
    for &(at, cpu) in &tally.cpu_marks {
        if at >= (used.len() as u64 + 1) * 1_000_000_000 {
            used.push((cpu - last.1) as f64 / (at - last.0) as f64);
            last = (at, cpu);
        }
    }
    // The phase may end a moment before its last second is full.
    if let Some(&(at, cpu)) = tally.cpu_marks.last()
        && at - last.0 > 500_000_000
    {
        used.push((cpu - last.1) as f64 / (at - last.0) as f64);
    }
    used
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_become_rates_and_what_is_absent_stays_so() {
        let mut tally = Tally::new(0, 2_000_000_000);
        tally.arrived(100);
        tally.arrived(1_500_000_000);
        tally.ended(Outcome::Sold, "", 100, 3_000_100);
        tally.ended(Outcome::Shed, "SHED", 1_500_000_000, 1_600_000_000);
        tally.cpu_marks = vec![(0, 0), (1_000_000_000, 250_000_000), (2_000_000_000, 300_000_000)];
        let sample = |at: f64, commits: f64| Sample {
            at,
            waiting: Some(commits),
            commits: Some(commits),
            commit_s: Some(commits * 0.002),
            cpu_us: Some(at * 500_000.0),
            ..Sample::default()
        };
        let seconds = series(&tally, &[sample(0.0, 0.0), sample(1.001, 100.0)]);
        assert_eq!(seconds.len(), 2);
        let [first, second] = &seconds[..] else { panic!("{seconds:?}") };
        assert_eq!((first.offered, first.good, first.waiting), (1, 1, Some(100.0)));
        assert!((first.commit_ms.unwrap() - 2.0).abs() < 1e-9);
        assert!((first.server_cpu.unwrap() - 0.5).abs() < 1e-9);
        assert!((first.generator_cpu.unwrap() - 0.25).abs() < 1e-9);
        assert!((first.p99.unwrap() - 3.0).abs() < 0.1, "{first:?}");
        assert_eq!(second.outcomes, BTreeMap::from([("SHED", 1)]));
        assert_eq!((second.p99, second.waiting, second.server_cpu), (None, None, None));
        assert_eq!(first.events_behind, None);
    }
}
