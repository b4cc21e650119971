//! One run from an empty directory to a certificate.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::args::{Args, Preset};
use crate::arrivals::Pace;
use crate::certificate::{
    Batch, Certificate, Conditions, Cpu, Memory, PerOrder, Phases, Probe, Proof, Replays,
};
use crate::counters::{Counters, whole};
use crate::generator::{Generator, Phase, tick};
use crate::journal::Journal;
use crate::machine::Machine;
use crate::marks::{Aim, marks};
use crate::outcome::Outcome;
use crate::search::{Search, probe, throughput};
use crate::seed::{Seeding, products};
use crate::stage::Stage;
use crate::tally::{Tally, seconds};
use crate::world::{Door, Mix, Product, World};
use crate::{Done, Error, Hooks, Verdict};

/// Units of every product that must not run out.
const ENOUGH: u64 = 1_000_000_000;
/// Warm-up is no faster than this in flash and before a search.
const GENTLE: f64 = 2_000.0;

/// The measured phase and what was read around it.
struct Measured {
    tally: Tally,
    rate: f64,
    before: Counters,
    after: Counters,
    server_cpu_us: Option<f64>,
    peak_mb: Option<f64>,
}

/// Runs a preset to its certificate. Progress goes to standard error, if that is a terminal.
pub fn run(args: &Args, hooks: &Hooks<'_>) -> Result<Done, Error> {
    args.check()?;
    let mut stage = Stage::open(args)?;
    let tag = tag(args);
    let goods = stock(args, &stage, &tag)?;
    let count = goods.len();
    let door = Door { host: &stage.address.host, client_key: &stage.client_key };
    let world = World::new(args.seed, tag, goods, &door);
    let mut search = Vec::new();
    let measured = load(args, &stage, &world, &mut search)?;
    let proof = stage.prove(hooks);
    let mut certificate = certify(args, &stage, hooks, &measured);
    certificate.conditions.products = count;
    certificate.search = search;
    let verdict = judge(args, &mut certificate, proof);
    if matches!(verdict, Verdict::Finding | Verdict::Unproven) {
        stage.keep();
    }
    let kept = stage.is_kept().then(|| stage.path().to_owned());
    Ok(Done { certificate, verdict, kept })
}

/// Start of all keys: by the seed; against a target also by the time, since its keys live on.
fn tag(args: &Args) -> String {
    let run = match args.target {
        Some(_) => format!("-{:x}", jiff::Timestamp::now().as_millisecond()),
        None => String::new(),
    };
    format!("{}-{}{run}", args.preset.name(), args.seed)
}

fn stock(args: &Args, stage: &Stage, tag: &str) -> Result<Vec<Product>, Error> {
    let stock = match args.preset {
        Preset::Flash => vec![args.units, ENOUGH],
        Preset::Spread | Preset::Seed1000 => vec![ENOUGH; args.products],
    };
    let bar = bar("products", stock.len() as u64);
    let seeding =
        Seeding { address: &stage.address, operator_key: &stage.operator_key, tag, stock: &stock };
    let goods = products(&seeding, &bar);
    bar.finish_and_clear();
    goods
}

/// Warm-up, search, measured phase.
fn load(
    args: &Args,
    stage: &Stage,
    world: &World,
    probes: &mut Vec<Probe>,
) -> Result<Measured, Error> {
    let failed = || Error::io("generating load");
    let journal = Journal::create(&stage.acks()).map_err(Error::io("creating the journal"))?;
    let mut generator =
        Generator::new(world, journal, stage.address.socket, args.connections).map_err(failed())?;
    let flash = args.preset == Preset::Flash;
    let mix = if flash { Mix::Only(0) } else { Mix::Spread };
    let phase = Phase { pace: Pace::Even(1.0), length: args.length(), mix, seed: args.seed };
    if !args.warmup.is_zero() {
        let rate = args.fixed_rate().unwrap_or(GENTLE);
        let rate = if flash { rate.min(GENTLE) } else { rate };
        let mix = if flash { Mix::Only(1) } else { Mix::Spread };
        let pace = Search::pace(args.poisson, rate);
        let warmup = Phase { pace, length: args.warmup, mix, ..phase };
        watched("warm-up", &warmup, &mut generator).map_err(failed())?;
    }
    if let Some(rate) = args.fixed_rate() {
        return measure(args, stage, &mut generator, &phase, rate);
    }
    let search = Search {
        confirm: phase,
        probe: args.probe,
        poisson: args.poisson,
        width: args.connections.min(256),
    };
    let mut rate = {
        let bar = bar("search", 0);
        let mut watch = |tally: &Tally, _: f64| bar.set_message(progress("search", tally));
        let rate = search.run(&mut generator, &mut watch, probes).map_err(failed())?;
        bar.finish_and_clear();
        rate
    };
    let mut tries = Search::tries();
    loop {
        let measured = measure(args, stage, &mut generator, &phase, rate)?;
        let tried = probe("confirm", rate, phase.length, &measured.tally);
        let sustained = tried.sustained;
        probes.push(tried);
        tries -= 1;
        if sustained || tries == 0 {
            return Ok(measured);
        }
        rate = Search::lower(rate);
    }
}

fn measure(
    args: &Args,
    stage: &Stage,
    generator: &mut Generator<'_>,
    phase: &Phase,
    rate: f64,
) -> Result<Measured, Error> {
    let mut client = stage.client();
    let cpu = || stage.server.as_ref().and_then(crate::server::Server::cpu_us);
    let phase = Phase { pace: Search::pace(args.poisson, rate), ..*phase };
    let (before, cpu_before) = (Counters::read(&mut client), cpu());
    let name = format!("{} at {rate:.0}/s", args.preset.name());
    let tally = watched(&name, &phase, generator).map_err(Error::io("generating load"))?;
    let cpu_after = cpu();
    // A fresh connection: the server may have closed the other one meanwhile.
    let after = Counters::read(&mut stage.client());
    Ok(Measured {
        tally,
        rate,
        before,
        after,
        server_cpu_us: cpu_after.zip(cpu_before).map(|(after, before)| after - before),
        peak_mb: stage.server.as_ref().and_then(crate::server::Server::peak_memory_mb),
    })
}

fn certify(args: &Args, stage: &Stage, hooks: &Hooks<'_>, measured: &Measured) -> Certificate {
    let Measured { tally, rate, before, after, .. } = measured;
    let orders = tally.orders();
    let per = Per { orders, before, after };
    let lag = after.projection_lag();
    Certificate {
        format: 1,
        preset: args.preset.name(),
        date: jiff::Timestamp::now().to_string(),
        conditions: conditions(args, stage, hooks, measured),
        rate: *rate,
        rate_source: match (args.fixed_rate(), args.rate) {
            (None, _) => "found",
            (_, Some(_)) => "given",
            (_, None) => "preset",
        },
        duration_s: args.length().as_secs_f64(),
        offered: tally.offered,
        issued: tally.issued,
        completed: tally.completed(),
        dropped: tally.dropped,
        outcomes: tally.outcomes(),
        codes: tally.codes.clone(),
        accepted: tally.accepted.quantiles(),
        settled: tally.settled.quantiles(),
        settled_by_outcome: tally.settled_by_outcome(),
        generator_lateness: tally.lateness.quantiles(),
        waited_for_connection: tally.waited,
        throughput: throughput(tally),
        sold_per_second: tally.sold_per_second.clone(),
        drain_s: tally.drain(),
        replays: Replays { checked: tally.of(Outcome::Replay), different: tally.repeats_different },
        orders,
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
        events_unsent: lag.as_ref().and_then(|lag| lag.values().copied().max()),
        projection_lag: lag,
        stored_orders: after.sum("jangbu_orders_settled_total").map(whole),
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
        server_args: args.server_arg.clone(),
        binary_mb: stage.binary_mb,
        start: stage.started.clone(),
    }
}

/// Enters the proof, measures the marks, says how it went.
fn judge(args: &Args, certificate: &mut Certificate, proof: anyhow::Result<Proof>) -> Verdict {
    match proof {
        Ok(proof) => {
            certificate.proof = Some(proof.sums);
            certificate.proof_report = Some(proof.report);
        }
        Err(error) => certificate.proof_error = Some(format!("{error:#}")),
    }
    certificate.marks = marks(Aim { preset: args.preset, units: args.units }, certificate);
    let reached = certificate.marks.iter().all(|mark| mark.pass);
    let verdict = match certificate.proof {
        _ if certificate.replays.different > 0 => Verdict::Finding,
        None => Verdict::Unproven,
        Some(sums) if !sums.is_clean() => Verdict::Finding,
        Some(_) if reached => Verdict::Passed,
        Some(_) => Verdict::Missed,
    };
    certificate.pass = verdict == Verdict::Passed;
    verdict
}

/// Figures divided by orders.
struct Per<'a> {
    orders: u64,
    before: &'a Counters,
    after: &'a Counters,
}

impl Per<'_> {
    #[expect(clippy::cast_precision_loss, reason = "counts of a run are far below 2^53")]
    fn share(&self, sum: f64) -> Option<f64> {
        (self.orders > 0).then(|| sum / self.orders as f64)
    }

    fn grown(&self, series: &str) -> Option<f64> {
        self.share(self.after.grown(self.before, series)?)
    }

    fn storage(&self) -> PerOrder {
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

/// Runs a phase behind a progress bar.
fn watched(name: &str, phase: &Phase, generator: &mut Generator<'_>) -> io::Result<Tally> {
    let length = u64::try_from(phase.length.as_millis()).unwrap_or(u64::MAX);
    let bar = bar(name, length);
    let mut watch = |tally: &Tally, elapsed: f64| {
        if bar.is_hidden() {
            return;
        }
        let elapsed = Duration::from_secs_f64(elapsed).as_millis();
        bar.set_position(u64::try_from(elapsed).unwrap_or(length).min(length));
        bar.set_message(progress(name, tally));
    };
    let tally = generator.run(phase, &mut watch);
    bar.finish_and_clear();
    tally
}

fn progress(name: &str, tally: &Tally) -> String {
    let p99 = tally.settled.quantiles().map_or(0.0, |quantiles| quantiles.p99);
    let (sold, dropped) = (tally.of(Outcome::Sold), tally.dropped);
    format!("{name}: {sold} sold, {dropped} dropped, p99 {p99:.1} ms")
}

/// A bar on standard error; invisible when that is no terminal.
fn bar(name: &str, length: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {percent:>3}% {msg}");
    let bar = ProgressBar::new(length).with_message(name.to_owned());
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Prints the table for people and writes the JSON where the arguments say.
pub fn publish(args: &Args, done: &Done) -> io::Result<()> {
    let json = serde_json::to_string_pretty(&done.certificate)? + "\n";
    let kept = |path: &PathBuf| format!("  kept        {}\n", path.display());
    let kept = done.kept.as_ref().map(kept).unwrap_or_default();
    let table = format!("{}{kept}", done.certificate);
    match &args.json {
        Some(path) if path == Path::new("-") => {
            io::stdout().lock().write_all(json.as_bytes())?;
            return io::stderr().lock().write_all(table.as_bytes());
        }
        Some(path) => fs::write(path, json)?,
        None => {}
    }
    io::stdout().lock().write_all(table.as_bytes())
}
