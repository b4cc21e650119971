//! From counts and readings to the figures of a certificate.

use crate::Hooks;
use crate::args::Args;
use crate::certificate::{
    Batch, Certificate, Conditions, Cpu, Events, Memory, PerOrder, Phases, Published, Replays,
};
use crate::counters::{Counters, whole};
use crate::generator::tick;
use crate::load::Measured;
use crate::machine::Machine;
use crate::outcome::Outcome;
use crate::sampler::at_end;
use crate::search::{Search, throughput};
use crate::series::series;
use crate::stage::Stage;
use crate::tally::seconds;
use crate::trend::trend;

pub(crate) fn certify(
    args: &Args,
    stage: &Stage,
    hooks: &Hooks<'_>,
    measured: &Measured,
) -> Certificate {
    let Measured { tally, rate, before, after, .. } = measured;
    let orders = tally.orders();
    let per = Per { orders, before, after };
    let lag = after.projection_lag();
    let seconds_of_run = series(tally, &measured.samples);
    Certificate {
        format: 2,
        preset: args.preset.name(),
        date: jiff::Timestamp::now().to_string(),
        conditions: conditions(args, stage, hooks, measured),
        rate: *rate,
        rate_source: args.rate_source(),
        duration_s: measured.length.as_secs_f64(),
        offered: tally.offered,
        issued: tally.issued,
        completed: tally.completed(),
        dropped: tally.dropped,
        outcomes: tally.outcomes(),
        codes: tally.codes.clone(),
        accepted: tally.accepted.quantiles(),
        settled: tally.settled.quantiles(),
        settled_by_outcome: tally.settled_by_outcome(),
        latency_by_step: tally
            .parts
            .iter()
            .filter_map(|(name, part)| Some((*name, part.quantiles()?)))
            .collect(),
        generator_lateness: tally.lateness.quantiles(),
        waited_for_connection: tally.waited,
        throughput: throughput(tally),
        trend: trend(&seconds_of_run),
        series: seconds_of_run,
        drain_s: tally.drain(),
        replays: Replays { checked: tally.of(Outcome::Replay), different: tally.repeats_different },
        orders,
        with_coupon: tally.with_coupon,
        with_points: tally.with_points,
        cpu_us_per_order: Cpu {
            server: measured.server_cpu_us.and_then(|us| per.share(us)),
            generator: per.share(seconds(tally.cpu) * 1e6),
        },
        per_order: per.storage(),
        phase_us_per_order: per.phases(),
        batch: Batch {
            p50: after.get("jangbu_batch_items{quantile=\"0.5\"}"),
            p99: after.get("jangbu_batch_items{quantile=\"0.99\"}"),
        },
        memory_mb: Memory { idle: stage.idle_mb, peak: measured.peak_mb },
        events: events(measured),
        kafka: published(measured),
        events_unsent: lag.as_ref().and_then(|lag| lag.values().copied().max()),
        projection_lag: lag,
        stored_orders: after.sum("jangbu_orders_settled_total").map(whole),
        payments: None,
        ledger: None,
        positions: None,
        overload: None,
        aged: None,
        search: Vec::new(),
        proof: None,
        proof_error: None,
        proof_report: None,
        marks: Vec::new(),
        pass: false,
    }
}

fn conditions(args: &Args, stage: &Stage, hooks: &Hooks<'_>, measured: &Measured) -> Conditions {
    Conditions {
        machine: Machine::here(),
        disk: stage.disk.clone(),
        facts: hooks.facts.clone(),
        target: args.target.clone(),
        connections_limit: args.connections,
        connections: measured.tally.connections,
        arrivals: if args.poisson { "poisson" } else { "even" },
        tick_us: tick(Search::pace(args.poisson, measured.rate)) / 1_000,
        seed: args.seed,
        warmup_s: args.warmup.as_secs_f64(),
        products: 0,
        coupons: 0,
        sessions: false,
        server_args: args.server_arg.clone(),
        settings: stage.settings(args, hooks),
        binary_mb: stage.binary_mb,
        start: stage.started.clone(),
    }
}

/// What the consumers of events took in during the measured phase, and how late.
fn events(measured: &Measured) -> Events {
    let Measured { before, after, samples, length, .. } = measured;
    let lag = |quantile: f64| after.lag_ms(before, "projections", quantile);
    let end = at_end(samples, *length);
    let first = (before.get("jangbu_outbox_seq"), before.taken());
    let since = |now: Option<f64>, then: Option<f64>| Some(whole(now? - then?));
    Events {
        written: since(end.and_then(|sample| sample.written), first.0),
        delivered: since(end.and_then(|sample| sample.taken), first.1),
        behind_at_end: end.and_then(|sample| since(sample.written, sample.taken)),
        behind_after_drain: since(after.get("jangbu_outbox_seq"), after.taken()),
        lag_p50_ms: lag(0.50),
        lag_p99_ms: lag(0.99),
    }
}

/// What reached Kafka of the measured phase, and how late; none: nothing is published there.
fn published(measured: &Measured) -> Option<Published> {
    let Measured { before, after, published, published_s, .. } = measured;
    let done = published.has_published(after)?;
    Some(Published {
        acknowledged: published.grown(before, "jangbu_relay_acknowledged_total").map(whole),
        lag_p50_ms: published.lag_ms(before, "kafka", 0.50),
        lag_p99_ms: published.lag_ms(before, "kafka", 0.99).filter(|_| done),
        drain_s: done.then_some(*published_s),
    })
}

/// Figures divided by orders.
pub(crate) struct Per<'a> {
    pub(crate) orders: u64,
    pub(crate) before: &'a Counters,
    pub(crate) after: &'a Counters,
}

impl Per<'_> {
    #[expect(clippy::cast_precision_loss, reason = "counts of a run are far below 2^53")]
    pub(crate) fn share(&self, sum: f64) -> Option<f64> {
        (self.orders > 0).then(|| sum / self.orders as f64)
    }

    fn grown(&self, series: &str) -> Option<f64> {
        self.share(self.after.grown(self.before, series)?)
    }

    pub(crate) fn storage(&self) -> PerOrder {
        PerOrder {
            rows: self.grown("jangbu_rows_written_total"),
            pages: self.grown("jangbu_pages_written_total"),
            wal_bytes: self.grown("jangbu_wal_bytes_total"),
            fsyncs: self.grown("jangbu_fsyncs_total"),
            commits: self.grown("jangbu_commits_total"),
        }
    }

    fn phases(&self) -> Phases {
        let micros = |phase: &str| {
            let series = format!("jangbu_phase_seconds_total{{phase=\"{phase}\"}}");
            self.grown(&series).map(|seconds| seconds * 1e6)
        };
        Phases {
            read: micros("read"),
            decide: micros("decide"),
            write: micros("write"),
            commit: micros("commit"),
        }
    }
}
