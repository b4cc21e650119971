//! How long the write path takes for rows of the shape of an order. Run by hand:
//!
//! `cargo run --release -p jangbu-store --example write_path -- DIR [ORDERS] [CACHE_KIB] [BATCH…]`
//!
//! An order passes through two transactions, as in the embedded cell: a transaction holds the
//! places of this round and the settles of the round before. 20 rows in 10 tables for an order,
//! half of the orders with two lines; stock of 10,000 SKUs and 1,000 payable accounts hit at
//! random, idempotency hashes at random. Building the plans is taken out of the times.
//! `CHECKPOINT_FRAMES` and `FINISH_FRAMES` in the environment set the checkpoint policy.

#![expect(clippy::print_stdout, reason = "a program that is run by hand")]

mod shape;

use std::{
    error::Error,
    fs,
    path::Path,
    time::{Duration, Instant},
};

use jangbu_engine::port::{Backend, Store, StoreCounters, WritePlan};
use jangbu_store::{Options, Sqlite};

use crate::shape::{MIGRATIONS, Shop, TABLES};

/// Times of one series.
#[derive(Default)]
struct Spent {
    begin: Duration,
    write: Duration,
    commit: Duration,
    between: Duration,
    rows: u64,
    commits: Vec<Duration>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let dir = args.first().ok_or("DIR is missing")?;
    let number = |at: usize, default: u64| args.get(at).map_or(Ok(default), |a| a.parse());
    let orders = number(1, 60_000)?;
    let cache_kib = u32::try_from(number(2, 8_000)?)?;
    let mut batches: Vec<u64> = args.iter().skip(3).map(|a| a.parse()).collect::<Result<_, _>>()?;
    if batches.is_empty() {
        batches = vec![1, 64, 256];
    }
    for batch in batches {
        series(Path::new(dir), orders, cache_kib, batch)?;
    }
    Ok(())
}

fn series(dir: &Path, orders: u64, cache_kib: u32, batch: u64) -> Result<(), Box<dyn Error>> {
    let _ = fs::remove_dir_all(dir);
    fs::create_dir_all(dir)?;
    let (thread, owner) = (frames("CHECKPOINT_FRAMES"), frames("FINISH_FRAMES"));
    let mut options = Options { cache_kib, ..Options::default() };
    options.checkpoint_frames = thread.unwrap_or(options.checkpoint_frames);
    options.finish_frames = owner.unwrap_or(options.finish_frames);
    let sqlite = Sqlite::new(dir.join("shop.db"), &TABLES, &MIGRATIONS).with_options(options);
    let mut shop = Shop::new();
    sqlite.with(&mut |store| {
        let mut spent = Spent::default();
        turn(store, &shop.opening(), &mut spent);
        rounds(store, &mut shop, orders / 4, 256, &mut Spent::default());
        let (before, cpu, all) = (store.counters(), cpu(), process_cpu());
        let (mut spent, clock) = (Spent::default(), Instant::now());
        let built = rounds(store, &mut shop, orders, batch, &mut spent);
        let (cpu, all) = (self::cpu().saturating_sub(cpu), process_cpu().saturating_sub(all));
        report(
            batch,
            orders,
            clock.elapsed().saturating_sub(built),
            cpu.saturating_sub(built),
            &spent,
        );
        let thread = all.saturating_sub(cpu).as_secs_f64() * 1e6 / as_f64(orders);
        println!("      checkpoint thread: {thread:.1} us/order of CPU");
        report_counters(orders, before, store.counters());
        report_reads(store, &mut shop);
        let log = fs::metadata(dir.join("shop.db-wal")).map_or(0, |m| m.len());
        println!("      log {:.1} MB", as_f64(log) / 1e6);
    })?;
    let size = fs::metadata(dir.join("shop.db"))?.len();
    println!("      file {:.1} MB", as_f64(size) / 1e6);
    Ok(())
}

/// Runs `orders` orders in transactions of `batch` places and `batch` settles; the time for
/// building the plans is returned.
fn rounds(
    store: &mut dyn Store,
    shop: &mut Shop,
    orders: u64,
    batch: u64,
    spent: &mut Spent,
) -> Duration {
    let (mut plan, mut built) = (WritePlan::default(), Duration::ZERO);
    for _ in 0..orders / batch {
        let clock = Instant::now();
        plan.clear();
        shop.round(batch, &mut plan);
        plan.sort();
        built += clock.elapsed();
        turn(store, &plan, spent);
    }
    built
}

fn turn(store: &mut dyn Store, plan: &WritePlan, spent: &mut Spent) {
    let start = Instant::now();
    let mut tx = store.begin().expect("begin");
    let begun = Instant::now();
    tx.write(plan).expect("write");
    let written = Instant::now();
    tx.commit().expect("commit");
    let committed = Instant::now();
    store.between().expect("between");
    spent.begin += begun - start;
    spent.write += written - begun;
    spent.commit += committed - written;
    spent.between += committed.elapsed();
    spent.commits.push(committed.elapsed() + (committed - start));
    spent.rows += plan.len() as u64;
}

/// CPU time of this thread.
fn cpu() -> Duration {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = text.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0);
    Duration::from_nanos(nanos)
}

/// CPU time of all threads, in steps of 10 ms.
fn process_cpu() -> Duration {
    let text = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = text.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|n| n.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// A number of log frames from the environment.
fn frames(name: &str) -> Option<u32> {
    std::env::var(name).ok()?.parse().ok()
}

fn report(batch: u64, orders: u64, wall: Duration, cpu: Duration, spent: &Spent) {
    let per = |d: Duration| d.as_secs_f64() * 1e6 / as_f64(orders);
    let mut commits = spent.commits.clone();
    commits.sort_unstable();
    let percentile = |p: usize| {
        commits.get(commits.len() * p / 100).copied().unwrap_or_default().as_secs_f64() * 1e3
    };
    println!(
        "B={batch:<4} {:>6.0} orders/s | us/order: wall {:.1} cpu {:.1} = begin {:.1} write {:.1} commit {:.1} between {:.1} | \
         {:.1} rows/order {:.2} us/row | tx p50 {:.2} p99 {:.2} max {:.2} ms",
        as_f64(orders) / wall.as_secs_f64(),
        per(wall),
        per(cpu),
        per(spent.begin),
        per(spent.write),
        per(spent.commit),
        per(spent.between),
        as_f64(spent.rows) / as_f64(orders),
        spent.write.as_secs_f64() * 1e6 / as_f64(spent.rows),
        percentile(50),
        percentile(99),
        commits.last().copied().unwrap_or_default().as_secs_f64() * 1e3,
    );
}

fn report_counters(orders: u64, before: StoreCounters, after: StoreCounters) {
    let per = |a: u64, b: u64| as_f64(a - b) / as_f64(orders);
    println!(
        "      per order: {:.2} pages, {:.1} KB of log, {:.3} fsyncs | {} checkpoints",
        per(after.pages, before.pages),
        per(after.wal_bytes, before.wal_bytes) / 1e3,
        per(after.fsyncs, before.fsyncs),
        after.checkpoints - before.checkpoints,
    );
}

/// Rows by key, as a cell reads what its memory does not hold.
fn report_reads(store: &mut dyn Store, shop: &mut Shop) {
    let (mut rows, mut clock) = (0_u64, Duration::ZERO);
    for _ in 0..200 {
        let plan = shop.reads(64);
        let mut tx = store.begin().expect("begin");
        let start = Instant::now();
        tx.read(&plan, &mut |_, row| rows += u64::from(row.int(1) > 0)).expect("read");
        clock += start.elapsed();
    }
    println!("      reads: {:.2} us for a row by key", clock.as_secs_f64() * 1e6 / as_f64(rows));
}

#[expect(clippy::cast_precision_loss, reason = "figures for people")]
fn as_f64(n: u64) -> f64 {
    n as f64
}
