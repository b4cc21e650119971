//! Overload: what the server still does when more arrives than it can do, and how soon it is itself
//! again.

use serde::Serialize;

use crate::certificate::Certificate;
use crate::series::Second;
use crate::tally::{Quantiles, Stair, Tally, seconds};

/// The rates of the steps, as shares of the peak; the last one is the recovery.
pub(crate) const FACTORS: [f64; 5] = [0.8, 1.0, 2.0, 5.0, 0.8];
/// A second is back to normal when its p99 is at most so many times that of the first step.
const NORMAL: f64 = 1.5;

/// The steps of an overload run.
#[derive(Debug, Clone, Serialize)]
pub struct Overload {
    /// The rate that the steps are shares of.
    pub peak: f64,
    /// Length of one step.
    pub step_s: f64,
    /// One entry per step, in time.
    pub steps: Vec<Step>,
    /// Good answers per second at twice the peak, as a share of those at the peak.
    pub goodput_2x: Option<f64>,
    /// The same at five times the peak.
    pub goodput_5x: Option<f64>,
    /// p99 of what was accepted at twice and five times the peak, the worse one, from the moment it
    /// was sent, as a multiple of that at 80 %.
    pub latency_factor: Option<f64>,
    /// Seconds after the burst until every later second had a p99 of at most 1.5 times that of the
    /// first step; null when that never came.
    pub recovery_s: Option<u64>,
}

/// One step.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    /// Share of the peak that was offered.
    pub factor: f64,
    /// Arrivals.
    pub offered: u64,
    /// Good answers per second that came during the step.
    pub goodput: f64,
    /// Share of the arrivals that was refused with SHED.
    pub refused: f64,
    /// Share of the arrivals that no connection was free for.
    pub dropped: f64,
    /// From the intended start, of what was accepted.
    pub accepted: Option<Quantiles>,
    /// From the moment the request was sent, of what was accepted: without the generator's share.
    pub served: Option<Quantiles>,
    /// From the intended start, of what was refused.
    pub refusals: Option<Quantiles>,
    /// From the intended start until the request was sent: the generator's share of both.
    pub lateness: Option<Quantiles>,
    /// Processors that the server used.
    pub server_cpu: Option<f64>,
    /// Processors that the generator used.
    pub generator_cpu: Option<f64>,
}

/// The figures of the steps, from counts and series.
pub(crate) fn overload(tally: &Tally, of: &Certificate) -> Overload {
    let each = seconds(tally.stairs.first().map_or(0, |stair| stair.end));
    let step = |(at, (stair, factor)): (usize, (&Stair, f64))| {
        let within = within(&of.series, at, each);
        step(stair, factor, each, &within)
    };
    let steps: Vec<Step> = tally.stairs.iter().zip(FACTORS).enumerate().map(step).collect();
    let goodput = |at: usize| {
        let (peak, here) = (steps.get(1)?.goodput, steps.get(at)?.goodput);
        (peak > 0.0).then(|| here / peak)
    };
    let p99 = |at: usize| Some(steps.get(at)?.served?.p99);
    let worst = p99(2).into_iter().chain(p99(3)).reduce(f64::max);
    Overload {
        peak: of.rate,
        step_s: each,
        goodput_2x: goodput(2),
        goodput_5x: goodput(3),
        latency_factor: worst.zip(p99(0)).map(|(worst, normal)| worst / normal),
        recovery_s: recovery(&of.series, each),
        steps,
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of a run are far below 2^53")]
fn step(stair: &Stair, factor: f64, each: f64, within: &[&Second]) -> Step {
    let share = |count: u64| count as f64 / stair.offered.max(1) as f64;
    Step {
        factor,
        offered: stair.offered,
        goodput: stair.good as f64 / each,
        refused: share(stair.shed.len()),
        dropped: share(stair.offered - stair.answered),
        accepted: stair.settled.quantiles(),
        served: stair.served.quantiles(),
        refusals: stair.shed.quantiles(),
        lateness: stair.lateness.quantiles(),
        server_cpu: mean(within, |second| second.server_cpu),
        generator_cpu: mean(within, |second| second.generator_cpu),
    }
}

/// The full seconds inside step `at`.
#[expect(clippy::cast_precision_loss, reason = "seconds of a run")]
fn within(series: &[Second], at: usize, each: f64) -> Vec<&Second> {
    let (from, to) = (at as f64 * each, (at + 1) as f64 * each);
    let inside = |second: &&Second| {
        let begin = second.at as f64;
        begin >= from && begin + 1.0 <= to
    };
    series.iter().filter(inside).collect()
}

#[expect(clippy::cast_precision_loss, reason = "seconds of a run")]
fn mean(seconds: &[&Second], field: fn(&Second) -> Option<f64>) -> Option<f64> {
    let values: Option<Vec<f64>> = seconds.iter().map(|second| field(second)).collect();
    let values = values.filter(|values| !values.is_empty())?;
    Some(values.iter().sum::<f64>() / values.len() as f64)
}

/// Seconds of the last step before the first from which on all are normal.
fn recovery(series: &[Second], each: f64) -> Option<u64> {
    let normal = within(series, 0, each);
    let limit = normal.iter().filter_map(|second| second.p99).reduce(f64::max)? * NORMAL;
    let after = within(series, FACTORS.len() - 1, each);
    let bad = |second: &&Second| second.p99.is_none_or(|p99| p99 > limit);
    let last = after.iter().rposition(bad).map_or(0, |at| at + 1);
    (last < after.len()).then_some(last as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(at: u64, p99: f64) -> Second {
        Second { at, p99: Some(p99), ..Second::default() }
    }

    #[test]
    fn recovery_is_when_it_stays_normal() {
        let run = |after: [f64; 4]| {
            let before = [10.0; 4].into_iter().chain([500.0; 12]);
            let p99s = before.chain(after).enumerate();
            let series: Vec<Second> = p99s.map(|(at, p99)| second(at as u64, p99)).collect();
            recovery(&series, 4.0)
        };
        assert_eq!(run([9.0, 15.0, 11.0, 10.0]), Some(0));
        assert_eq!(run([400.0, 90.0, 15.0, 10.0]), Some(2));
        assert_eq!(run([400.0, 10.0, 16.0, 10.0]), Some(3), "a relapse counts");
        assert_eq!(run([10.0, 10.0, 10.0, 16.0]), None);
    }
}
