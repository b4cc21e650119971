//! Pass marks: what each preset has to reach.

use serde::Serialize;

use crate::args::Preset;
use crate::certificate::Certificate;

/// One figure and its limit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Mark {
    /// What is measured.
    pub name: &'static str,
    /// `<=`, `>=` or `=`.
    pub relation: &'static str,
    /// The limit.
    pub limit: f64,
    /// What it was; null when it was not measured.
    pub value: Option<f64>,
    /// A figure that was not measured does not pass.
    pub pass: bool,
}

fn at_most(name: &'static str, value: Option<f64>, limit: f64) -> Mark {
    Mark { name, relation: "<=", limit, value, pass: value.is_some_and(|value| value <= limit) }
}

fn at_least(name: &'static str, value: Option<f64>, limit: f64) -> Mark {
    Mark { name, relation: ">=", limit, value, pass: value.is_some_and(|value| value >= limit) }
}

#[expect(clippy::cast_precision_loss, reason = "counts of a run are far below 2^53")]
fn exactly(name: &'static str, value: u64, limit: u64) -> Mark {
    let (number, wanted) = (value as f64, limit as f64);
    Mark { name, relation: "=", limit: wanted, value: Some(number), pass: value == limit }
}

/// What the marks depend on besides the certificate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Aim {
    pub(crate) preset: Preset,
    /// Units on sale in flash.
    pub(crate) units: u64,
}

/// The marks of a preset, measured on a finished certificate.
pub(crate) fn marks(aim: Aim, of: &Certificate) -> Vec<Mark> {
    let outcome = |name: &str| of.outcomes.get(name).copied().unwrap_or(0);
    let failures = ["ERROR", "INVALID", "SHED", "PENDING"].into_iter().map(outcome).sum();
    let settled = |outcome: &str| of.settled_by_outcome.get(outcome).map(|q| q.p99);
    let mut marks = vec![
        exactly("dropped", of.dropped, 0),
        exactly("replays answered differently", of.replays.different, 0),
    ];
    match aim.preset {
        Preset::Spread => {
            marks.push(at_least("completed share", completed_share(of), 0.995));
            marks.push(at_most("drain_s", Some(of.drain_s), 2.0));
            marks.push(at_most("settled p99 ms", of.settled.map(|q| q.p99), 100.0));
            if of.rate_source == "found" {
                marks.push(at_least("throughput", Some(of.throughput), 12_000.0));
            }
        }
        Preset::Seed1000 => {
            marks.push(exactly("failures", failures, 0));
            marks.push(at_most("accepted p99 ms", of.accepted.map(|q| q.p99), 10.0));
            marks.push(at_most("settled p99 ms", of.settled.map(|q| q.p99), 40.0));
        }
        Preset::Flash => {
            marks.push(exactly("failures", failures, 0));
            marks.push(exactly("SOLD", outcome("SOLD"), aim.units));
            marks.push(at_most("SOLD_OUT p99 ms", settled("SOLD_OUT"), 10.0));
        }
    }
    if of.conditions.target.is_none() {
        marks.push(at_most("start ms", of.conditions.start.as_ref().map(|s| s.ready_ms), 1_000.0));
        marks.push(at_most("idle memory MB", of.memory_mb.idle, 100.0));
        marks.push(at_most("peak memory MB", of.memory_mb.peak, 400.0));
        marks.push(at_most("binary MB", of.conditions.binary_mb, 40.0));
    }
    marks
}

#[expect(clippy::cast_precision_loss, reason = "counts of a run are far below 2^53")]
fn completed_share(of: &Certificate) -> Option<f64> {
    (of.offered > 0).then(|| of.completed as f64 / of.offered as f64)
}
