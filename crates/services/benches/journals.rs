//! Journals without HTTP: how many entries a second, and where the time goes.
//!
//! `cargo bench -p jangbu-services --bench journals -- [IN_FLIGHT] [SECONDS] [DIR]`: a closed loop
//! of `IN_FLIGHT` journals (default 8) of 500 postings of 2 legs between 1,000 accounts, for SECONDS
//! (default 10) on SQLite files in DIR (default: a temporary directory below the current one).

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    reason = "a program that is run by hand and measures real time"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jangbu_domain::ledger::{Command, Draft, UNIT};
use jangbu_engine::clock::SystemClock;
use jangbu_engine::counters::Snapshot;
use jangbu_engine::mailbox::Answer;
use jangbu_engine::port::Backend;
use jangbu_kernel::id::JournalId;
use jangbu_kernel::{Currency, Envelope, IdemKey, Lane, Operator, Origin};
use jangbu_psp::{SimConfig, Simulator};
use jangbu_services::projections::{self, Projections};
use jangbu_services::registry;
use jangbu_services::shop::{Layout, Shop};
use jangbu_store::{Durability, Options, Sqlite};

const ACCOUNTS: u64 = 1_000;
const POSTINGS: u64 = 500;

struct Load {
    shop: Shop,
    stop: AtomicBool,
    booked: AtomicU64,
    /// Nanoseconds spent on making drafts: what the edge does on its own threads.
    drafting: AtomicU64,
    seq: AtomicU64,
}

fn main() {
    let mut args = std::env::args().skip(1).filter(|arg| !arg.starts_with("--"));
    let in_flight: usize = args.next().and_then(|a| a.parse().ok()).unwrap_or(8);
    let seconds: u64 = args.next().and_then(|a| a.parse().ok()).unwrap_or(10);
    let dir = args.next().map_or_else(
        || tempfile::tempdir_in(".").map(tempfile::TempDir::keep).unwrap(),
        std::path::PathBuf::from,
    );
    std::fs::create_dir_all(&dir).unwrap();
    let truth: Arc<dyn Backend> =
        Arc::new(Sqlite::new(dir.join("jangbu.db"), registry::TABLES, registry::MIGRATIONS));
    let derived = Sqlite::new(dir.join("derived.db"), projections::TABLES, projections::MIGRATIONS)
        .with_options(Options { durability: Durability::Normal, ..Options::default() });
    let gateway = Simulator::start(&dir.join("psp.log"), SimConfig::default(), None).unwrap();
    let layout = Layout::one_cell(Arc::clone(&truth), Arc::new(gateway), Arc::new(SystemClock));
    let shop = Shop::open(layout).unwrap();
    let projections =
        Projections::follow(&*truth, Arc::new(derived), Arc::new(SystemClock)).unwrap();
    let load = Arc::new(Load {
        shop,
        stop: AtomicBool::new(false),
        booked: AtomicU64::new(0),
        drafting: AtomicU64::new(0),
        seq: AtomicU64::new(1),
    });
    let senders: Vec<_> = (0..in_flight)
        .map(|_| {
            let load = Arc::clone(&load);
            std::thread::spawn(move || send(&load))
        })
        .collect();
    std::thread::sleep(Duration::from_secs(1));
    let before = (load.shop.counters()[0].clone(), load.booked.load(Ordering::Relaxed));
    let start = Instant::now();
    std::thread::sleep(Duration::from_secs(seconds));
    let after = load.shop.counters()[0].clone();
    let (took, booked) = (start.elapsed(), load.booked.load(Ordering::Relaxed) - before.1);
    load.stop.store(true, Ordering::Relaxed);
    for sender in senders {
        sender.join().unwrap();
    }
    let (behind, drained) = (after.events.cast_signed() - projections.seq(), Instant::now());
    while projections.seq() < load.shop.counters()[0].events.cast_signed() {
        std::thread::sleep(Duration::from_millis(1));
    }
    tell(&before.0, &after, booked * 2 * POSTINGS, took);
    let all = load.booked.load(Ordering::Relaxed) * 2 * POSTINGS;
    println!(
        "drafting {:.2} us/entry; projections {behind} journals behind, caught up in {:?}",
        load.drafting.load(Ordering::Relaxed) as f64 / 1e3 / all as f64,
        drained.elapsed(),
    );
}

fn tell(before: &Snapshot, after: &Snapshot, entries: u64, took: Duration) {
    let n = entries.max(1) as f64;
    let us = |a: u64, b: u64| (a - b) as f64 / 1e3 / n;
    println!("{:.0} entries/s", n / took.as_secs_f64());
    println!(
        "us/entry: read {:.2} decide {:.2} write {:.2} commit {:.2} between {:.2} deliver {:.3}",
        us(after.read_ns, before.read_ns),
        us(after.decide_ns, before.decide_ns),
        us(after.write_ns, before.write_ns),
        us(after.commit_ns, before.commit_ns),
        us(after.between_ns, before.between_ns),
        us(after.deliver_ns, before.deliver_ns),
    );
    let per = |a: u64, b: u64| (a - b) as f64 / n * 1e3;
    println!(
        "per 1,000 entries: commits {:.2} rows {:.0} read {:.1} pages {:.1} wal {:.0} KB",
        per(after.commits, before.commits),
        per(after.rows, before.rows),
        per(after.rows_read, before.rows_read),
        per(after.pages, before.pages),
        per(after.wal_bytes, before.wal_bytes) / 1e3,
    );
}

fn send(load: &Load) {
    let codes: Vec<String> = (0..ACCOUNTS).map(|n| format!("merchant:bench-{n}:payable")).collect();
    while !load.stop.load(Ordering::Relaxed) {
        let start = Instant::now();
        let n = load.seq.fetch_add(1, Ordering::Relaxed);
        let envelope = envelope(n, draft(n, JournalId(load.shop.mint()), &codes));
        let spent = u64::try_from(start.elapsed().as_nanos()).unwrap();
        load.drafting.fetch_add(spent, Ordering::Relaxed);
        let (sent, wait) = std::sync::mpsc::channel();
        let waiter = move |answer: Answer| {
            let _ = sent.send(matches!(answer, Answer::Done { .. }));
        };
        load.shop.ask(envelope, Box::new(waiter));
        assert_eq!(wait.recv(), Ok(true));
        load.booked.fetch_add(1, Ordering::Relaxed);
    }
}

fn draft(n: u64, id: JournalId, codes: &[String]) -> Draft {
    let mut random = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut draw = |below: u64| {
        random ^= random >> 29;
        random = random.wrapping_mul(0xbf58_476d_1ce4_e5b9).wrapping_add(1);
        usize::try_from((random >> 33) % below).unwrap()
    };
    let mut draft = Draft::new(id, "bench".into(), "load");
    for _ in 0..POSTINGS {
        draft.posting(Currency::KRW, None);
        let (debit, amount) = (draw(ACCOUNTS), i64::try_from(1 + draw(100_000)).unwrap());
        draft.leg(&codes[debit], amount);
        draft.leg(&codes[(debit + 1 + draw(ACCOUNTS - 1)) % codes.len()], -amount);
    }
    draft
}

fn envelope(n: u64, draft: Draft) -> Envelope {
    let mut envelope = Envelope::new(UNIT, Origin::Client, Command::Book(Box::new(draft)));
    let key = format!("bench-{n}").into();
    let scope = "operator:ledger.journal".into();
    envelope.key = Some(Box::new(IdemKey { scope, key, body: [1; 17] }));
    envelope.lane = Lane::Batch;
    envelope.bytes = 65_000; // of the body
    let (who, why) = ("bench".into(), "load".into());
    envelope.operator = Some(Box::new(Operator { who, why, operation: "ledger.journal".into() }));
    envelope
}
