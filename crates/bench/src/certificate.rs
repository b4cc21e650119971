//! The certificate: every number of a run with its conditions, and the proof after it.
//!
//! `certificate.schema.json` beside this crate's manifest describes the JSON; a test holds the two
//! together. `null` always means "not measured", never zero.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::aged::Aged;
use crate::issues::Positions;
use crate::journals::Balances;
use crate::machine::{Disk, Machine};
use crate::marks::Mark;
use crate::overload::Overload;
use crate::series::Second;
use crate::server::Started;
use crate::tally::Quantiles;
use crate::trend::Trend;

/// What a run measured, under which conditions, and whether the books balanced after it.
#[derive(Debug, Clone, Serialize)]
pub struct Certificate {
    /// Version of this format.
    #[serde(rename = "certificate")]
    pub format: u32,
    /// Name of the load.
    pub preset: &'static str,
    /// RFC 3339 time of the end of the run.
    pub date: String,
    /// Everything that the numbers depend on.
    pub conditions: Conditions,
    /// Arrivals per second of the measured phase.
    pub rate: f64,
    /// Where the rate comes from: `given`, `preset` or `found`.
    pub rate_source: &'static str,
    /// Planned length of the measured phase.
    pub duration_s: f64,
    /// Arrivals.
    pub offered: u64,
    /// Requests sent; `offered = issued + dropped`.
    pub issued: u64,
    /// Correct answers: sales, honest refusals, repeats.
    pub completed: u64,
    /// Arrivals that found no free connection for five seconds.
    pub dropped: u64,
    /// What became of the issued requests; the sum is `issued`.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// Stable codes of everything that was not a sale.
    pub codes: BTreeMap<String, u64>,
    /// From the intended start until the order was durable.
    pub accepted: Option<Quantiles>,
    /// From the intended start until the outcome was known.
    pub settled: Option<Quantiles>,
    /// `settled`, by outcome.
    pub settled_by_outcome: BTreeMap<&'static str, Quantiles>,
    /// Each request of a payment, from when it could be asked until its outcome was known.
    pub latency_by_step: BTreeMap<&'static str, Quantiles>,
    /// From the intended start until the request was sent: the generator's share.
    pub generator_lateness: Option<Quantiles>,
    /// Arrivals that had to wait because every connection was busy.
    pub waited_for_connection: u64,
    /// Sales, whole payments or journals per second, the drain included.
    pub throughput: f64,
    /// The phase by the second.
    pub series: Vec<Second>,
    /// What the run did to the server; null when it was too short to say.
    pub trend: Option<Trend>,
    /// From the last arrival to the last answer.
    pub drain_s: f64,
    /// Repeats of a key and how many were answered differently.
    pub replays: Replays,
    /// The orders that the figures per order are divided by: `completed` without repeats.
    pub orders: u64,
    /// New orders that brought a coupon.
    pub with_coupon: u64,
    /// New orders that spent points.
    pub with_points: u64,
    /// CPU time per order.
    pub cpu_us_per_order: Cpu,
    /// Storage work per order.
    pub per_order: PerOrder,
    /// The writer's time per order.
    pub phase_us_per_order: Phases,
    /// Items that shared a commit.
    pub batch: Batch,
    /// Memory of the server.
    pub memory_mb: Memory,
    /// What the consumers of events took in during the phase.
    pub events: Events,
    /// What was published to Kafka; null when nothing is.
    pub kafka: Option<Published>,
    /// Events that the slowest reader of the outbox had not taken when the drain ended.
    pub events_unsent: Option<u64>,
    /// Events that each projection had not seen when the drain ended.
    pub projection_lag: Option<BTreeMap<String, u64>>,
    /// Orders in the store at the end.
    pub stored_orders: Option<u64>,
    /// What was paid; null in other presets.
    pub payments: Option<Paid>,
    /// What was posted; null in other presets.
    pub ledger: Option<Posted>,
    /// What was issued; null in other presets.
    pub positions: Option<Positions>,
    /// The steps of overload; null in other presets.
    pub overload: Option<Overload>,
    /// The two measurements of aged; null in other presets.
    pub aged: Option<Aged>,
    /// The probes of the search for the highest rate.
    pub search: Vec<Probe>,
    /// The sums of the proof; null when it did not run.
    pub proof: Option<Sums>,
    /// Why there is no proof.
    pub proof_error: Option<String>,
    /// The proof's own report.
    pub proof_report: Option<Value>,
    /// The pass marks of the preset.
    pub marks: Vec<Mark>,
    /// Every mark passed and the proof found nothing.
    pub pass: bool,
}

/// What the numbers depend on.
#[derive(Debug, Clone, Serialize)]
pub struct Conditions {
    /// The machine that ran the generator (and the server, unless `target` is set).
    pub machine: Machine,
    /// The disk of the data directory; null for a target.
    pub disk: Option<Disk>,
    /// What the running binary says of itself.
    #[serde(flatten)]
    pub facts: Facts,
    /// Address of a server that ran already.
    pub target: Option<String>,
    /// Most connections allowed.
    pub connections_limit: usize,
    /// Connections that were open at the end.
    pub connections: usize,
    /// `even` or `poisson`.
    pub arrivals: &'static str,
    /// The generator looks at its sockets so often, in microseconds; 0: at every event.
    pub tick_us: u64,
    /// Seed of the load.
    pub seed: u64,
    /// Uncounted load before the measured phase.
    pub warmup_s: f64,
    /// Products on sale.
    pub products: usize,
    /// Coupons that buyers had when the run began.
    pub coupons: usize,
    /// Whether each order came with a session of its user, and not with the shop's key.
    pub sessions: bool,
    /// Further arguments of the server.
    pub server_args: Vec<String>,
    /// Settings that the preset gave the server, as environment variables.
    pub settings: Vec<String>,
    /// Size of the server's binary.
    pub binary_mb: Option<f64>,
    /// Start of the server until it served.
    pub start: Option<Started>,
}

/// What only the application knows about its server. Leave `None` what is not certain.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Facts {
    /// Version of the binary.
    pub version: Option<String>,
    /// Git description of the sources.
    pub git: Option<String>,
    /// Build profile: `debug`, `release` or `dist`.
    pub profile: Option<String>,
    /// Durability settings of the store, in words.
    pub durability: Option<String>,
    /// Shortest and longest answer time of the simulated gateway, milliseconds.
    pub psp_latency_ms: Option<[f64; 2]>,
}

/// Events of the measured phase and the consumers that take them in.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Events {
    /// Written until the last arrival was due.
    pub written: Option<u64>,
    /// Taken in by the slowest consumer until then.
    pub delivered: Option<u64>,
    /// Not taken in yet at that moment.
    pub behind_at_end: Option<u64>,
    /// Not taken in yet when the last answer had come.
    pub behind_after_drain: Option<u64>,
    /// From the commit of an event until it was taken in: median, milliseconds.
    pub lag_p50_ms: Option<f64>,
    /// 99 of 100 events were taken in within this time.
    pub lag_p99_ms: Option<f64>,
}

/// Events of the measured phase on their way to Kafka.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Published {
    /// Records that all in-sync replicas have, repeats included.
    pub acknowledged: Option<u64>,
    /// From the commit of an event to its acknowledgement: median, milliseconds.
    pub lag_p50_ms: Option<f64>,
    /// 99 of 100 events were acknowledged within this time; null if some never were.
    pub lag_p99_ms: Option<f64>,
    /// From the last answer until all were acknowledged; null: not within a minute.
    pub drain_s: Option<f64>,
}

/// What `payments` paid.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Paid {
    /// `authorize` or `full`.
    pub mix: &'static str,
    /// Whether each request was signed.
    pub signed: bool,
}

/// What `ledger` posted.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Posted {
    /// Postings of a journal, two entries each.
    pub postings: u64,
    /// One account stood on one side of every posting.
    pub hot: bool,
    /// Entries per second.
    pub entries_per_second: f64,
    /// The accounts after the run.
    pub balances: Balances,
}

/// Repeats of an idempotency key.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Replays {
    /// Repeats that were answered.
    pub checked: u64,
    /// Those whose order or outcome differed from the first answer.
    pub different: u64,
}

/// CPU microseconds per order.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Cpu {
    /// All threads of the server process.
    pub server: Option<f64>,
    /// The generator's thread.
    pub generator: Option<f64>,
}

/// Storage work per order, by the server's counters.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct PerOrder {
    /// Rows written.
    pub rows: Option<f64>,
    /// Pages written.
    pub pages: Option<f64>,
    /// Bytes of write-ahead log.
    pub wal_bytes: Option<f64>,
    /// Syncs.
    pub fsyncs: Option<f64>,
    /// Commits.
    pub commits: Option<f64>,
}

/// The writer's microseconds per order.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Phases {
    /// Reading rows.
    pub read: Option<f64>,
    /// Deciding.
    pub decide: Option<f64>,
    /// Writing rows.
    pub write: Option<f64>,
    /// Committing.
    pub commit: Option<f64>,
}

/// Items per commit.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Batch {
    /// Median.
    pub p50: Option<f64>,
    /// 99 of 100 are smaller.
    pub p99: Option<f64>,
}

/// Resident memory of the server in megabytes.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Memory {
    /// After the start, before any request.
    pub idle: Option<f64>,
    /// The most there ever was.
    pub peak: Option<f64>,
}

/// One try of the search.
#[derive(Debug, Clone, Serialize)]
pub struct Probe {
    /// `closed` (a guess where to begin), `probe` or `confirm`.
    pub kind: &'static str,
    /// Arrivals per second.
    pub rate: f64,
    /// Length.
    pub duration_s: f64,
    /// Share of the offered requests that was answered correctly.
    pub completed: f64,
    /// Arrivals dropped.
    pub dropped: u64,
    /// Sales per second.
    pub throughput: f64,
    /// From the last arrival to the last answer.
    pub drain_s: f64,
    /// 99 of 100 orders were settled within this time, milliseconds.
    pub settled_p99: Option<f64>,
    /// The server sustained it.
    pub sustained: bool,
}

/// The sums of a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Sums {
    /// Acknowledged and absent.
    pub lost: u64,
    /// Two effects of one key.
    pub doubled: u64,
    /// An amount or a law broken.
    pub mismatched: u64,
}

impl Sums {
    /// Reads the sums of a report in JSON: `lost`, `doubled` and `mismatched`, each a number or a
    /// list of findings. `None` when one is missing.
    pub fn of_report(report: &Value) -> Option<Self> {
        let sum = |name: &str| match report.get(name)? {
            Value::Array(findings) => u64::try_from(findings.len()).ok(),
            other => other.as_u64(),
        };
        let (lost, doubled) = (sum("lost")?, sum("doubled")?);
        Some(Self { lost, doubled, mismatched: sum("mismatched")? })
    }

    /// Nothing found.
    pub fn is_clean(&self) -> bool {
        self.lost == 0 && self.doubled == 0 && self.mismatched == 0
    }
}

/// A proof as the prover hands it over.
#[derive(Debug, Clone)]
pub struct Proof {
    /// Its sums.
    pub sums: Sums,
    /// Its whole report, for the certificate.
    pub report: Value,
}
