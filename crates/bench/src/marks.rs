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

impl Mark {
    /// What it was, as `usual` writes numbers; a share in full, so that one just below its limit
    /// does not look like it.
    pub(crate) fn measured(&self, usual: fn(f64) -> String) -> String {
        match self.value {
            Some(value) if self.is_share() => format!("{value:.4}"),
            Some(value) => usual(value),
            None => "not measured".to_owned(),
        }
    }

    /// What it was to be, as `usual` writes numbers.
    pub(crate) fn wanted(&self, usual: fn(f64) -> String) -> String {
        let limit = if self.is_share() { self.limit.to_string() } else { usual(self.limit) };
        format!("{} {limit}", self.relation)
    }

    fn is_share(&self) -> bool {
        0.0 < self.limit && self.limit < 1.0
    }
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

/// Outcomes that no preset takes for an honest answer.
const FAILURES: [&str; 5] = ["ERROR", "INVALID", "SHED", "PENDING", "UNKNOWN"];

/// What the marks depend on besides the certificate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Aim {
    pub(crate) preset: Preset,
    /// Units on sale in flash.
    pub(crate) units: u64,
}

/// What depends on where the books are: in files, or on a database server on the same machine, together with Kafka.
struct Limits {
    orders: f64,
    authorizations: f64,
    payments: f64,
    /// p99 in milliseconds: at a sustained rate, at 1,000 orders a second until commit, until settled, and until
    /// projected, and of who comes too late to a flash sale.
    sustained: f64,
    accepted: f64,
    settled: f64,
    projected: f64,
    sold_out: f64,
}

const FILES: Limits = Limits {
    orders: 10_000.0,
    authorizations: 30_000.0,
    payments: 12_000.0,
    sustained: 100.0,
    accepted: 10.0,
    settled: 40.0,
    projected: 50.0,
    sold_out: 10.0,
};

const SERVER: Limits = Limits {
    orders: 4_500.0,
    authorizations: 8_000.0,
    payments: 4_000.0,
    sustained: 250.0,
    accepted: 50.0,
    settled: 100.0,
    projected: 200.0,
    sold_out: 20.0,
};

impl Limits {
    fn of(certificate: &Certificate) -> &'static Self {
        let kept = certificate.conditions.facts.durability.as_deref();
        if kept.is_some_and(|kept| kept.starts_with("PostgreSQL")) { &SERVER } else { &FILES }
    }
}

/// The marks of a preset, measured on a finished certificate.
pub(crate) fn marks(aim: Aim, of: &Certificate) -> Vec<Mark> {
    let outcome = |name: &str| of.outcomes.get(name).copied().unwrap_or(0);
    let failures = FAILURES.into_iter().map(outcome).sum();
    let settled = |outcome: &str| of.settled_by_outcome.get(outcome).map(|q| q.p99);
    let limits = Limits::of(of);
    let mut marks = vec![exactly("replays answered differently", of.replays.different, 0)];
    if aim.preset != Preset::Overload {
        marks.push(exactly("dropped", of.dropped, 0));
    }
    match aim.preset {
        Preset::Spread => {
            sustained(of, limits.sustained, &mut marks);
            found(of, limits.orders, &mut marks);
        }
        Preset::Seed1000 => {
            marks.push(exactly("failures", failures, 0));
            marks.push(at_most("accepted p99 ms", of.accepted.map(|q| q.p99), limits.accepted));
            marks.push(at_most("settled p99 ms", of.settled.map(|q| q.p99), limits.settled));
            marks.push(at_most("consumer lag p99 ms", of.events.lag_p99_ms, limits.projected));
            if let Some(kafka) = of.kafka {
                marks.push(at_most("Kafka lag p99 ms", kafka.lag_p99_ms, 200.0));
            }
        }
        Preset::Flash => {
            marks.push(exactly("failures", failures, 0));
            marks.push(exactly("SOLD", outcome("SOLD"), aim.units));
            marks.push(at_most("SOLD_OUT p99 ms", settled("SOLD_OUT"), limits.sold_out));
        }
        Preset::Coupons => coupons(of, aim.units, failures, &mut marks),
        Preset::Payments => {
            let authorize = of.payments.is_some_and(|paid| paid.mix == "authorize");
            sustained(of, limits.sustained, &mut marks);
            found(of, if authorize { limits.authorizations } else { limits.payments }, &mut marks);
            let delivered = share(of.events.delivered, of.events.written);
            marks.push(at_least("events delivered within the run", delivered, 0.99));
        }
        Preset::Ledger => ledger(of, &mut marks),
        Preset::Overload => overload(of, &mut marks),
        Preset::Aged => {
            marks.push(exactly("failures", failures, 0));
            let factor = of.aged.as_ref().and_then(|aged| aged.cost_factor);
            marks.push(at_most("cost per order, old over young", factor, 1.2));
        }
    }
    // Overload is to use more than usual, and a file of millions of orders too.
    let usual = !matches!(aim.preset, Preset::Overload | Preset::Aged);
    if of.conditions.target.is_none() {
        marks.push(at_most("start ms", of.conditions.start.as_ref().map(|s| s.ready_ms), 1_000.0));
        marks.push(at_most("idle memory MB", of.memory_mb.idle, 100.0));
        if usual {
            marks.push(at_most("peak memory MB", of.memory_mb.peak, 400.0));
        }
        marks.push(at_most("binary MB", of.conditions.binary_mb, 40.0));
    }
    marks
}

/// What a rate has to keep in order to count as sustained.
fn sustained(of: &Certificate, p99: f64, marks: &mut Vec<Mark>) {
    marks.push(at_least("completed share", completed_share(of), 0.995));
    marks.push(at_most("drain_s", Some(of.drain_s), 2.0));
    marks.push(at_most("settled p99 ms", of.settled.map(|q| q.p99), p99));
}

/// A rate that was searched has to reach something.
fn found(of: &Certificate, least: f64, marks: &mut Vec<Mark>) {
    if of.rate_source == "found" {
        marks.push(at_least("throughput", Some(of.throughput), least));
    }
}

/// Exactly so many coupons, one place in the queue each.
fn coupons(of: &Certificate, units: u64, failures: u64, marks: &mut Vec<Mark>) {
    marks.push(exactly("failures", failures, 0));
    marks.push(exactly("ISSUED", of.outcomes.get("ISSUED").copied().unwrap_or(0), units));
    let Some(positions) = of.positions else { return };
    marks.push(exactly("positions told", positions.told, units));
    marks.push(exactly("positions doubled", positions.doubled, 0));
    marks.push(exactly("remaining counts that lie", positions.lies, 0));
    marks.push(at_least("requests/s", Some(positions.requests_per_second), 0.99 * of.rate));
}

fn ledger(of: &Certificate, marks: &mut Vec<Mark>) {
    sustained(of, FILES.sustained, marks);
    let Some(posted) = of.ledger else { return };
    if of.rate_source == "found" {
        marks.push(at_least("entries/s", Some(posted.entries_per_second), 200_000.0));
    }
    let balanced = posted.balances.balanced.map(|balanced| f64::from(u8::from(balanced)));
    marks.push(at_least("trial balance", balanced, 1.0));
    marks.push(exactly("accounts that differ", posted.balances.differing, 0));
}

fn overload(of: &Certificate, marks: &mut Vec<Mark>) {
    let Some(overload) = &of.overload else { return };
    marks.push(at_least("goodput at 2x", overload.goodput_2x, 0.85));
    marks.push(at_least("goodput at 5x", overload.goodput_5x, 0.55));
    marks.push(at_most("latency of the accepted, over 80 %", overload.latency_factor, 2.0));
    #[expect(clippy::cast_precision_loss, reason = "seconds of a run")]
    let recovery = overload.recovery_s.map(|seconds| seconds as f64);
    marks.push(at_most("recovery s", recovery, 5.0));
}

#[expect(clippy::cast_precision_loss, reason = "counts of a run are far below 2^53")]
fn share(part: Option<u64>, whole: Option<u64>) -> Option<f64> {
    let (part, whole) = (part?, whole.filter(|whole| *whole > 0)?);
    Some(part as f64 / whole as f64)
}

#[expect(clippy::cast_precision_loss, reason = "counts of a run are far below 2^53")]
fn completed_share(of: &Certificate) -> Option<f64> {
    (of.offered > 0).then(|| of.completed as f64 / of.offered as f64)
}
