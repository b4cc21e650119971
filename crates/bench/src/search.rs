//! The search for the highest rate that the server sustains.
//!
//! A short closed burst guesses where to begin. Then the open model decides: probes halve the gap
//! between a rate that was sustained and one that was not, and the best one has to hold for the
//! whole duration. A confirmation that fails lowers the rate by 4 % and tries again.

use std::io;
use std::time::Duration;

use crate::arrivals::Pace;
use crate::certificate::Probe;
use crate::generator::{Generator, Phase, Watch};
use crate::tally::Tally;
use crate::trade::Trade;

/// Rates closer than this are the same.
const RESOLUTION: f64 = 0.04;
/// Tries to confirm.
const CONFIRMATIONS: usize = 6;
/// Probes at most.
const PROBES: usize = 9;
/// Length of the closed burst, at most one probe.
const BURST: Duration = Duration::from_secs(3);

/// The search's parameters.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Search {
    /// The confirmation; its pace is ignored.
    pub(crate) confirm: Phase,
    pub(crate) probe: Duration,
    pub(crate) poisson: bool,
    /// Outstanding requests of the closed burst.
    pub(crate) width: usize,
}

impl Search {
    /// The pace of an open phase.
    pub(crate) fn pace(poisson: bool, rate: f64) -> Pace {
        if poisson { Pace::Poisson(rate) } else { Pace::Even(rate) }
    }

    /// Finds a rate that deserves to be confirmed.
    pub(crate) fn run(
        &self,
        generator: &mut Generator<impl Trade>,
        watch: Watch<'_>,
        probes: &mut Vec<Probe>,
    ) -> io::Result<f64> {
        let length = BURST.min(self.probe);
        let burst = Phase {
            pace: Pace::Closed { width: self.width, most: u64::MAX },
            length,
            ..self.confirm
        };
        let tally = generator.run(&burst, watch)?;
        let (mut low, mut high) = (0.0, f64::INFINITY);
        let mut rate = (rate_of(&tally) * 0.9).max(10.0).round();
        probes.push(probe("closed", rate_of(&tally), length, &tally));
        for _ in 0..PROBES {
            let pace = Self::pace(self.poisson, rate);
            let phase = Phase { pace, length: self.probe, ..self.confirm };
            let tally = generator.run(&phase, watch)?;
            let tried = probe("probe", rate, self.probe, &tally);
            *(if tried.sustained { &mut low } else { &mut high }) = rate;
            probes.push(tried);
            if low > 0.0 && high / low - 1.0 < RESOLUTION {
                break;
            }
            rate = next_rate(low, high).round();
        }
        Ok(if low > 0.0 { low } else { rate })
    }

    /// How often a confirmation may be tried.
    pub(crate) fn tries() -> usize {
        CONFIRMATIONS
    }

    /// The next rate after a confirmation that failed.
    pub(crate) fn lower(rate: f64) -> f64 {
        (rate * (1.0 - RESOLUTION)).round().max(1.0)
    }
}

/// Where to probe next, between the best that held and the least that did not.
fn next_rate(low: f64, high: f64) -> f64 {
    match (low > 0.0, high.is_finite()) {
        (true, true) => f64::midpoint(low, high),
        (true, false) => low * 1.1,
        _ => high * 0.8,
    }
}

/// Requests per second that a phase completed.
#[expect(clippy::cast_precision_loss, reason = "counts of a run are far below 2^53")]
fn rate_of(tally: &Tally) -> f64 {
    tally.completed() as f64 / tally.seconds()
}

/// The criterion: completed >= 99.5 %, dropped 0, drain <= 2 s, settled p99 <= 100 ms.
#[expect(clippy::cast_precision_loss, reason = "counts of a run are far below 2^53")]
pub(crate) fn probe(kind: &'static str, rate: f64, length: Duration, tally: &Tally) -> Probe {
    let completed = tally.completed() as f64 / (tally.offered.max(1)) as f64;
    let settled_p99 = tally.settled.quantiles().map(|quantiles| quantiles.p99);
    let drain_s = tally.drain();
    Probe {
        kind,
        rate,
        duration_s: length.as_secs_f64(),
        completed,
        dropped: tally.dropped,
        throughput: throughput(tally),
        drain_s,
        settled_p99,
        sustained: completed >= 0.995
            && tally.dropped == 0
            && drain_s <= 2.0
            && settled_p99.is_some_and(|p99| p99 <= 100.0),
    }
}

/// Sales, payments or journals per second, the drain included.
#[expect(clippy::cast_precision_loss, reason = "counts of a run are far below 2^53")]
pub(crate) fn throughput(tally: &Tally) -> f64 {
    tally.good() as f64 / tally.seconds()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gap_closes() {
        assert!((next_rate(100.0, 200.0) - 150.0).abs() < 1e-9);
        assert!((next_rate(100.0, f64::INFINITY) - 110.0).abs() < 1e-9);
        assert!((next_rate(0.0, 100.0) - 80.0).abs() < 1e-9);
    }
}
