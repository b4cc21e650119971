//! `/metrics` in Prometheus text.

mod kept;
mod link;
mod page;
mod views;

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jangbu_domain::order::model::Outcome;
use jangbu_engine::breaker::BreakerState;
use jangbu_engine::counters::Snapshot;
use jangbu_engine::executor::ExecutorStats;
use jangbu_engine::keep::Kept;
use jangbu_engine::position::Position;
use jangbu_engine::trace::SpanCounts;
use jangbu_services::backup::Counted;
use jangbu_services::consumer::{self, Handle};
use jangbu_services::lag::{LagSnapshot, Progress};
use jangbu_services::notification::Tally;
use jangbu_services::queries::Queries;
use jangbu_services::relay::Watch;

use crate::Api;
use crate::admission::{Admission, CLASSES};
use crate::call::Call;
use crate::net::Seen;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::route;

use link::link;
use page::Page;

const OUTCOMES: usize = Outcome::ALL.len();

/// What this crate counts by itself.
#[derive(Debug)]
pub(crate) struct Counts {
    /// Orders whose end a place or a confirm was answered with, by outcome.
    pub(crate) settled: [AtomicU64; OUTCOMES],
    /// Refusals by the sold-out gate.
    pub(crate) gated: AtomicU64,
    pub(crate) gated_coupons: AtomicU64,
    /// Answers by route and class of status; the last row is for paths that are no route.
    answers: Box<[[AtomicU64; 5]]>,
}

impl Counts {
    pub(crate) fn new() -> Self {
        let rows = route::all().count() + 1;
        Self {
            settled: Default::default(),
            gated: AtomicU64::new(0),
            gated_coupons: AtomicU64::new(0),
            answers: (0..rows).map(|_| Default::default()).collect(),
        }
    }

    /// Counts an answer of route number `at`; none: of no route.
    pub(crate) fn answered(&self, at: Option<usize>, status: u16) {
        let row = at.unwrap_or(self.answers.len() - 1);
        let class = usize::from(status / 100).clamp(1, 5) - 1;
        if let Some(counter) = self.answers.get(row).and_then(|row| row.get(class)) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }
}

pub(crate) async fn get(api: &Arc<Api>, _call: &Call) -> Result<Reply, Problem> {
    // What cannot be read is left out: a missing series is honest, a zero is not.
    let read = |queries: &Queries| Ok((queries.position().ok(), queries.projected().ok()));
    let (position, projected) = api.read(read).await?;
    let mut page = Page::default();
    engine(&mut page, &sum(&api.shop.counters()));
    page.gauge("jangbu_mailbox_waiting", "Commands that wait.", api.shop.waiting() as u64);
    if let Some(Position { event, .. }) = position {
        page.gauge("jangbu_outbox_seq", "Number of the last event.", event.unsigned_abs());
    }
    if let Some(seq) = projected {
        page.family("jangbu_projection_seq", "gauge", "Last event that a projection has taken in.");
        page.line("jangbu_projection_seq{name=\"derived\"}", seq.unsigned_abs());
    }
    consumers(&mut page, &api.consumer, api.relay.as_deref());
    if let Some(watch) = &api.relay {
        relay(&mut page, watch);
    }
    post(&mut page, &api.post);
    retention(&mut page, api.shop.kept(), &api.shop.counters());
    let backups = Arc::clone(&api.backups);
    if let Ok(counted) = tokio::task::spawn_blocking(move || backups.counted()).await {
        backup(&mut page, &counted);
    }
    let read_only = u64::from(api.shop.read_only().is_some());
    page.gauge("jangbu_read_only", "Whether new business is refused.", read_only);
    link(&mut page, api);
    gateway(&mut page, &api.shop.calls());
    own(&mut page, &api.counts);
    connections(&mut page, &api.connections);
    admission(&mut page, &api.admission);
    kept::page(&mut page, api);
    views::page(&mut page, api);
    page.family("jangbu_rate_limited_total", "counter", "Requests beyond a rate limit.");
    for (name, refused) in api.limits.refused() {
        page.line(&format!("jangbu_rate_limited_total{{limit=\"{name}\"}}"), refused);
    }
    if let Some(tracer) = api.shop.tracer() {
        spans(&mut page, tracer.counts());
    }
    Ok(Reply::text(page.0))
}

/// What became of the spans of traced requests.
fn spans(page: &mut Page, counts: SpanCounts) {
    let SpanCounts { recorded, dropped, exported, lost } = counts;
    page.counter("jangbu_spans_recorded_total", "Spans that were recorded.", recorded);
    let help = "Spans dropped because the queue was full.";
    page.counter("jangbu_spans_dropped_total", help, dropped);
    page.counter("jangbu_spans_exported_total", "Spans that the collector has.", exported);
    let help = "Spans given up because the collector could not be reached.";
    page.counter("jangbu_spans_lost_total", help, lost);
}

/// What is trimmed and purged, what waits for it, and what long work costs the owner.
fn retention(page: &mut Page, kept: &Kept, cells: &[Snapshot]) {
    let all = |of: fn(&Snapshot) -> u64| cells.iter().map(of).sum::<u64>();
    page.gauge("jangbu_outbox_trimmed_seq", "Last event that is gone.", seq(kept.trimmed()));
    let behind = kept.behind().0.unsigned_abs() / 1_000_000;
    let help = "For how long the oldest event should have been gone.";
    page.gauge("jangbu_outbox_trim_behind_seconds", help, behind);
    page.counter("jangbu_outbox_trimmed_total", "Events trimmed.", all(|cell| cell.trimmed));
    let help = "Requests that lost their idempotency key.";
    page.counter("jangbu_requests_purged_total", help, all(|cell| cell.purged));
    let slices = all(|cell| cell.chore_slices);
    page.counter("jangbu_chore_slices_total", "Slices of long work by the owner.", slices);
    let (ns, longest) = (all(|cell| cell.chore_ns), all(|cell| cell.chore_longest_ns));
    let name = "jangbu_chore_seconds_total";
    page.family(name, "counter", "Time of the owner in slices of long work.");
    let _ = writeln!(page.0, "{name} {}.{:09}", ns / 1_000_000_000, ns % 1_000_000_000);
    let help = "The longest slice of long work.";
    page.gauge("jangbu_chore_longest_microseconds", help, longest / 1_000);
}

fn seq(seq: i64) -> u64 {
    seq.unsigned_abs()
}

fn backup(page: &mut Page, counted: &Counted) {
    page.counter("jangbu_backups_total", "Backups made since the start.", counted.made);
    page.counter("jangbu_backups_failed_total", "Backups that failed.", counted.failed);
    if let Some(last) = counted.last {
        let at = last.0.unsigned_abs() / 1_000_000;
        page.gauge("jangbu_backup_last_timestamp_seconds", "When the last was made.", at);
    }
}

/// What publishes the outbox.
fn relay(page: &mut Page, watch: &Watch) {
    let help = "Last event up to which everything is published.";
    page.gauge("jangbu_relay_seq", help, seq(watch.progress().seq()));
    let help = "Last event that the relay would not publish again after a restart.";
    page.gauge("jangbu_relay_kept_seq", help, seq(watch.floor()));
    page.gauge("jangbu_relay_in_flight", "Records without acknowledgement.", watch.in_flight());
    let breaker = watch.breaker();
    page.family("jangbu_relay_breaker", "gauge", "State of the breaker before Kafka.");
    breaker_lines(page, "jangbu_relay_breaker", breaker.state);
    for (name, help, value) in [
        ("sent", "Records handed over, repeats included.", watch.sent()),
        ("acknowledged", "Records acknowledged.", watch.acked()),
        ("resets", "How often it began again behind its place.", watch.resets()),
        ("dead", "Records that went to the dead letters, because they are refused.", watch.dead()),
        ("missed", "Events that were trimmed while nobody published them.", watch.missed()),
        ("breaker_opened", "How often the breaker opened.", breaker.opened),
    ] {
        page.counter(&format!("jangbu_relay_{name}_total"), help, value);
    }
}

fn breaker_lines(page: &mut Page, name: &str, is: BreakerState) {
    for (state, known) in [
        ("closed", BreakerState::Closed),
        ("open", BreakerState::Open),
        ("half_open", BreakerState::HalfOpen),
    ] {
        page.line(&format!("{name}{{state=\"{state}\"}}"), u64::from(is == known));
    }
}

/// Who follows the outbox, and how far behind.
fn consumers(page: &mut Page, handle: &Handle, relay: Option<&Watch>) {
    let members = handle.members().map(|(number, progress)| (consumer::name(number), progress));
    let all: Vec<_> = members.chain(relay.map(|watch| ("kafka", watch.progress()))).collect();
    let name = "jangbu_consumer_lag_seconds";
    let help = "From the commit of an event to the commit of what a consumer makes of it.";
    page.family(name, "histogram", help);
    for (who, progress) in &all {
        lag(page, who, &progress.lag.snapshot());
    }
    let mut each = |name: &str, kind: &str, help: &str, of: fn(&Progress) -> u64| {
        page.family(name, kind, help);
        for (who, progress) in &all {
            page.line(&format!("{name}{{consumer=\"{who}\"}}"), of(progress));
        }
    };
    let help = "Last event that a consumer has taken in.";
    each("jangbu_consumer_seq", "gauge", help, |progress| seq(progress.seq()));
    let help = "Keys whose events a consumer cannot take in: they wait for an operator.";
    each("jangbu_consumer_parked", "gauge", help, Progress::parked);
    let help = "Events left out because nobody settled their key in time.";
    each("jangbu_consumer_left_out_total", "counter", help, Progress::left_out);
    let help = "Events that came again, and had no effect.";
    each("jangbu_consumer_repeats_total", "counter", help, Progress::repeats);
    let help =
        "Records of topics that are not of this outbox: another shop's, or from before a restore.";
    each("jangbu_consumer_strangers_total", "counter", help, Progress::strangers);
    let help = "Whether a fault has stopped a consumer.";
    each("jangbu_consumer_stopped", "gauge", help, |progress| progress.is_stopped().into());
}

/// What was sent to buyers and hooks.
fn post(page: &mut Page, channels: &[(String, Arc<Tally>)]) {
    let name = "jangbu_deliveries_total";
    page.family(name, "counter", "Deliveries to buyers and hooks, by what became of a try.");
    for (channel, tally) in channels {
        for (result, n) in ["sent", "refused", "dead", "away"].into_iter().zip(tally.read()) {
            page.line(&format!("{name}{{channel=\"{channel}\",result=\"{result}\"}}"), n);
        }
    }
}

fn lag(page: &mut Page, consumer: &str, lag: &LagSnapshot) {
    let name = "jangbu_consumer_lag_seconds";
    for (bound, below) in lag.cumulative() {
        let bound = bound.map_or_else(|| "+Inf".to_owned(), |b| b.as_secs_f64().to_string());
        page.line(&format!("{name}_bucket{{consumer=\"{consumer}\",le=\"{bound}\"}}"), below);
    }
    let (whole, part) = (lag.sum_us / 1_000_000, lag.sum_us % 1_000_000);
    let _ = writeln!(page.0, "{name}_sum{{consumer=\"{consumer}\"}} {whole}.{part:06}");
    page.line(&format!("{name}_count{{consumer=\"{consumer}\"}}"), lag.count());
}

/// All cells together.
fn sum(cells: &[Snapshot]) -> Snapshot {
    let mut all = Snapshot::default();
    for cell in cells {
        all.commits += cell.commits;
        all.items += cell.items;
        all.commands += cell.commands;
        all.replays += cell.replays;
        all.rejects += cell.rejects;
        all.not_run += cell.not_run;
        all.poison += cell.poison;
        all.reruns += cell.reruns;
        all.rows += cell.rows;
        all.rows_read += cell.rows_read;
        all.reads += cell.reads;
        all.events += cell.events;
        all.pages += cell.pages;
        all.wal_bytes += cell.wal_bytes;
        all.fsyncs += cell.fsyncs;
        all.checkpoints += cell.checkpoints;
        all.read_ns += cell.read_ns;
        all.decide_ns += cell.decide_ns;
        all.write_ns += cell.write_ns;
        all.commit_ns += cell.commit_ns;
        all.between_ns += cell.between_ns;
        all.deliver_ns += cell.deliver_ns;
        for (all, one) in all.sizes.iter_mut().zip(cell.sizes) {
            *all += one;
        }
    }
    all
}

fn engine(page: &mut Page, all: &Snapshot) {
    for (name, help, value) in [
        ("jangbu_commits_total", "Transactions committed.", all.commits),
        ("jangbu_fsyncs_total", "Flushes to stable storage by the owner.", all.fsyncs),
        ("jangbu_rows_written_total", "Rows written.", all.rows),
        ("jangbu_rows_read_total", "Rows read by the owner.", all.rows_read),
        ("jangbu_reads_total", "Rounds of reads by the owner.", all.reads),
        ("jangbu_pages_written_total", "Pages that went to the log.", all.pages),
        ("jangbu_wal_bytes_total", "Bytes that went to the log.", all.wal_bytes),
        ("jangbu_checkpoints_total", "Checkpoints.", all.checkpoints),
        ("jangbu_commands_total", "Commands, cascades included.", all.commands),
        ("jangbu_items_total", "Root commands.", all.items),
        ("jangbu_rejects_total", "Refusals by a domain.", all.rejects),
        ("jangbu_replays_total", "Commands recalled by their key.", all.replays),
        ("jangbu_not_run_total", "Commands refused before they ran.", all.not_run),
        ("jangbu_poison_total", "Commands set aside for an operator.", all.poison),
        ("jangbu_reruns_total", "Batches run again after a fault.", all.reruns),
        ("jangbu_events_total", "Events published.", all.events),
    ] {
        page.counter(name, help, value);
    }
    page.family("jangbu_phase_seconds_total", "counter", "Time of the owner by phase.");
    for (phase, ns) in [
        ("read", all.read_ns),
        ("decide", all.decide_ns),
        ("write", all.write_ns),
        ("commit", all.commit_ns),
        ("between", all.between_ns),
        ("deliver", all.deliver_ns),
    ] {
        let (whole, part) = (ns / 1_000_000_000, ns % 1_000_000_000);
        let _ =
            writeln!(page.0, "jangbu_phase_seconds_total{{phase=\"{phase}\"}} {whole}.{part:09}");
    }
    page.family("jangbu_batch_items", "summary", "Root commands in a batch.");
    page.line("jangbu_batch_items{quantile=\"0.5\"}", all.batch_quantile(500));
    page.line("jangbu_batch_items{quantile=\"0.99\"}", all.batch_quantile(990));
    page.line("jangbu_batch_items_count", all.sizes.iter().sum());
    page.line("jangbu_batch_items_sum", all.items);
}

fn gateway(page: &mut Page, calls: &ExecutorStats) {
    page.family(
        "jangbu_psp_calls_total",
        "counter",
        "Calls to the gateway by what became of them.",
    );
    for (result, value) in [
        ("started", calls.started),
        ("answered", calls.answered),
        ("unhealthy", calls.unhealthy),
        ("timed_out", calls.timed_out),
        ("given_up", calls.given_up),
        ("late", calls.late),
        ("bulkhead_full", calls.bulkhead_full),
        ("breaker_open", calls.breaker_open),
        ("too_late", calls.too_late),
    ] {
        page.line(&format!("jangbu_psp_calls_total{{result=\"{result}\"}}"), value);
    }
    let us = calls.answered_us;
    page.family("jangbu_psp_seconds_total", "counter", "Time that answered calls took.");
    let (whole, part) = (us / 1_000_000, us % 1_000_000);
    let _ = writeln!(page.0, "jangbu_psp_seconds_total {whole}.{part:06}");
    page.gauge("jangbu_psp_in_flight", "Calls in flight.", calls.in_flight as u64);
    let most = calls.most_in_flight as u64;
    page.gauge("jangbu_psp_in_flight_max", "Most calls ever in flight.", most);
    page.family("jangbu_psp_breaker", "gauge", "State of the breaker.");
    breaker_lines(page, "jangbu_psp_breaker", calls.breaker.state);
    page.counter("jangbu_psp_breaker_opened_total", "How often it opened.", calls.breaker.opened);
}

fn admission(page: &mut Page, door: &Admission) {
    let seen = CLASSES.iter().zip(door.seen());
    let each: Vec<_> = seen.collect();
    page.family("jangbu_admission_limit", "gauge", "Requests of a class that may be in flight.");
    for (class, seen) in &each {
        page.line(&format!("jangbu_admission_limit{{class=\"{class}\"}}"), seen.limit.into());
    }
    page.family("jangbu_admission_busy", "gauge", "Requests of a class that are in flight.");
    for (class, seen) in &each {
        page.line(&format!("jangbu_admission_busy{{class=\"{class}\"}}"), seen.busy.into());
    }
    page.family(
        "jangbu_admission_refused_total",
        "counter",
        "Requests refused: the limit was lowered for their delay, or is at its bound.",
    );
    for (class, seen) in &each {
        for (why, count) in [("delay", seen.delayed), ("bound", seen.bound)] {
            let labels = format!("class=\"{class}\",why=\"{why}\"");
            page.line(&format!("jangbu_admission_refused_total{{{labels}}}"), count);
        }
    }
    let (delay, target) = door.delay_us();
    page.gauge("jangbu_admission_delay_microseconds", "From admission to commit.", delay);
    page.gauge("jangbu_admission_target_microseconds", "The delay that is aimed at.", target);
}

fn connections(page: &mut Page, seen: &Seen) {
    let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    page.gauge("jangbu_connections", "Open connections.", load(&seen.open));
    for (name, help, counter) in [
        ("accepted", "Connections taken.", &seen.accepted),
        ("refused", "Connections beyond the bound.", &seen.refused),
        ("timed_out", "Connections that were idle or slow for too long.", &seen.timed_out),
    ] {
        page.counter(&format!("jangbu_connections_{name}_total"), help, load(counter));
    }
}

fn own(page: &mut Page, counts: &Counts) {
    page.family(
        "jangbu_orders_settled_total",
        "counter",
        "Orders whose end was answered to a place or a confirm.",
    );
    for (outcome, counter) in Outcome::ALL.iter().zip(&counts.settled) {
        let series = format!("jangbu_orders_settled_total{{outcome=\"{}\"}}", outcome.name());
        page.line(&series, counter.load(Ordering::Relaxed));
    }
    let gated = counts.gated.load(Ordering::Relaxed);
    page.counter("jangbu_gate_refusals_total", "Orders refused by the sold-out gate.", gated);
    let gated = counts.gated_coupons.load(Ordering::Relaxed);
    let help = "Coupons refused without a commit: their campaign issues nothing.";
    page.counter("jangbu_coupon_gate_refusals_total", help, gated);
    page.family("jangbu_http_requests_total", "counter", "Answers by route and class of status.");
    let names = route::all().map(|route| route.name).chain(["none"]);
    for (name, row) in names.zip(&counts.answers) {
        for (class, counter) in row.iter().enumerate() {
            let value = counter.load(Ordering::Relaxed);
            if value > 0 {
                let class = class + 1;
                let series =
                    format!("jangbu_http_requests_total{{route=\"{name}\",class=\"{class}xx\"}}");
                page.line(&series, value);
            }
        }
    }
}
