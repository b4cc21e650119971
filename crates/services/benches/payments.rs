//! The path of a merchant's payment without HTTP: how many a second, and where the time goes.
//!
//! `cargo bench -p jangbu-services --bench payments -- [IN_FLIGHT] [SECONDS] [MIX] [DIR]`: a closed
//! loop of `IN_FLIGHT` payments (default 512) for SECONDS (default 10) on a SQLite file in DIR
//! (default: a temporary directory below the current one), gateway latency 5–15 ms, 1,000 merchants.
//! MIX is `authorize` (default) or `full`: authorise and capture.

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

use jangbu_domain::payment::command::{Command, Intent, Part, Purpose, SOON, UNIT};
use jangbu_domain::payment::model::State;
use jangbu_engine::clock::SystemClock;
use jangbu_engine::mailbox::Answer;
use jangbu_engine::port::Backend;
use jangbu_kernel::{Currency, Envelope, IdemKey, Origin, PaymentId, Secret};
use jangbu_psp::{SimConfig, Simulator};
use jangbu_services::payment::Settled;
use jangbu_services::projections::{self, Projections};
use jangbu_services::registry;
use jangbu_services::shop::{Layout, Shop};
use jangbu_store::{Durability, Options, Sqlite};

struct Load {
    shop: Shop,
    stop: AtomicBool,
    full: bool,
    done: AtomicU64,
    seq: AtomicU64,
}

fn main() {
    let mut args = std::env::args().skip(1).filter(|arg| !arg.starts_with("--"));
    let in_flight: usize = args.next().and_then(|a| a.parse().ok()).unwrap_or(512);
    let seconds: u64 = args.next().and_then(|a| a.parse().ok()).unwrap_or(10);
    let full = args.next().is_some_and(|mix| mix == "full");
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
    let mut layout = Layout::one_cell(Arc::clone(&truth), Arc::new(gateway), Arc::new(SystemClock));
    layout.calls.in_flight = layout.calls.in_flight.max(2 * in_flight);
    let shop = Shop::open(layout).unwrap();
    let projections =
        Projections::follow(&*truth, Arc::new(derived), Arc::new(SystemClock)).unwrap();
    let (stop, done, seq) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(1));
    let load = Arc::new(Load { shop, stop, full, done, seq });
    for _ in 0..in_flight {
        authorize(&load);
    }
    std::thread::sleep(Duration::from_secs(2));
    let before = load.shop.counters()[0].clone();
    let (done, start) = (load.done.load(Ordering::Relaxed), Instant::now());
    std::thread::sleep(Duration::from_secs(seconds));
    let after = load.shop.counters()[0].clone();
    let done = load.done.load(Ordering::Relaxed) - done;
    let took = start.elapsed();
    load.stop.store(true, Ordering::Relaxed);
    std::thread::sleep(Duration::from_millis(500));
    let n = done.max(1) as f64;
    let us = |a: u64, b: u64| (a - b) as f64 / 1e3 / n;
    println!("{:.0} payments/s", n / took.as_secs_f64());
    println!(
        "us/payment: read {:.2} decide {:.2} write {:.2} commit {:.2} between {:.2} deliver {:.2}",
        us(after.read_ns, before.read_ns),
        us(after.decide_ns, before.decide_ns),
        us(after.write_ns, before.write_ns),
        us(after.commit_ns, before.commit_ns),
        us(after.between_ns, before.between_ns),
        us(after.deliver_ns, before.deliver_ns),
    );
    let per = |a: u64, b: u64| (a - b) as f64 / n;
    println!(
        "per payment: commits {:.4} commands {:.1} rows {:.1} read {:.2} events {:.1} pages {:.2} wal {:.0} B",
        per(after.commits, before.commits),
        per(after.commands, before.commands),
        per(after.rows, before.rows),
        per(after.rows_read, before.rows_read),
        per(after.events, before.events),
        per(after.pages, before.pages),
        per(after.wal_bytes, before.wal_bytes),
    );
    println!("batch p50 {} p99 {}", after.batch_quantile(500), after.batch_quantile(990));
    println!("projected {} of {}", projections.seq(), after.events);
}

fn authorize(load: &Arc<Load>) {
    if load.stop.load(Ordering::Relaxed) {
        return;
    }
    let n = load.seq.fetch_add(1, Ordering::Relaxed);
    let merchant: Arc<str> = (1 + n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 1_000).to_string().into();
    let payment = PaymentId(load.shop.mint());
    let amount = 1_000;
    let split = vec![Part::card(Arc::clone(&merchant), amount)];
    let currency = Currency::KRW;
    let (order, purpose, capture_later) = (None, Purpose::Sale, true);
    let intent = Intent { payment, order, purpose, amount, currency, split, capture_later };
    let command = Command::Intend { intent, token: Some(Secret::default()), deadline: SOON };
    let mut envelope = Envelope::new(UNIT, Origin::Client, command);
    let scope = format!("merchant:{merchant}:payment.authorize").into();
    let key = format!("bench-{n}").into();
    envelope.key = Some(Box::new(IdemKey { scope, key, body: [1; 17] }));
    let again = Arc::clone(load);
    load.shop.hub().watch(payment, move |settled: &Settled| {
        assert_eq!(settled.payment.state, State::Authorized);
        if again.full {
            capture(&again, payment, merchant);
        } else {
            again.done.fetch_add(1, Ordering::Relaxed);
            authorize(&again);
        }
    });
    ask(load, envelope);
}

fn capture(load: &Arc<Load>, payment: PaymentId, merchant: Arc<str>) {
    let command = Command::Capture { payment, merchant: Some(merchant), deadline: SOON };
    let again = Arc::clone(load);
    load.shop.hub().watch(payment, move |settled: &Settled| {
        assert_eq!(settled.payment.state, State::Captured);
        again.done.fetch_add(1, Ordering::Relaxed);
        authorize(&again);
    });
    ask(load, Envelope::new(UNIT, Origin::Client, command));
}

fn ask(load: &Load, envelope: Envelope) {
    let waiter = |answer| assert!(matches!(answer, Answer::Done { .. }), "{answer:?}");
    load.shop.ask(envelope, Box::new(waiter));
}
