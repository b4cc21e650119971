//! What retention costs the owner: microseconds for each trimmed event and each purged key, the
//! longest slice, and the commits it took. `cargo bench -p jangbu-services --bench keep`.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench prints, and stops at the first surprise"
)]

use std::sync::Arc;

use jangbu_engine::books::{IDEM, OUTBOX, REQUEST, SHARD};
use jangbu_engine::cell::{Cell, Outlet, Step};
use jangbu_engine::chore::Chores;
use jangbu_engine::clock::SystemClock;
use jangbu_engine::counters::{Counters, Snapshot};
use jangbu_engine::keep::{KEYS, Keep, Keeper};
use jangbu_engine::mailbox::{Answer, Limits, Mailbox, Waiter};
use jangbu_engine::port::{Backend, Mode, Store, WritePlan};
use jangbu_engine::unit::Signal;
use jangbu_kernel::{Envelope, Job, Time};
use jangbu_services::registry::{self, Rules, TABLES, UNITS};
use jangbu_store::Sqlite;

const EVENTS: i64 = 600_000;
const REQUESTS: i64 = 200_000;
const START: i64 = 1_800_000_000_000_000;

struct Nobody;

impl Outlet for Nobody {
    fn deliver(&mut self, _answers: Vec<(Waiter, Answer)>, _signals: Vec<Signal>) {}
    fn call(&mut self, _jobs: Vec<Job>) {}
    fn forward(&mut self, _envelopes: Vec<Envelope>) {}
}

/// What a minute of 10,000 orders a second leaves behind, in commits of 1,500 events.
fn fill(store: &mut dyn Store) {
    let mut plan = WritePlan::default();
    for seq in 1..=EVENTS {
        let mut row = plan.row(&OUTBOX, Mode::Insert);
        row.int(seq).int(seq / 1_500).int(START + seq * 33).text("order.completed").int(seq << 22);
        row.int(3).opt_text(Some("0123456789abcdef")).blob(&[7; 60]).opt_text(None);
        if seq <= REQUESTS {
            plan.row(&IDEM, Mode::Insert).int(seq.wrapping_mul(0x5851_F42D_4C95_7F2D)).int(seq);
            let mut row = plan.row(&REQUEST, Mode::Insert);
            row.int(seq).text("client:order.place").text("3f2504e0-4f89-11d3-9a0c-0305e82c3301");
            row.blob(&[1; 17]).int(seq << 22).int(START + seq * 100);
        }
        if seq % 1_500 == 0 || seq == EVENTS {
            let mut tx = store.begin().unwrap();
            tx.write(&plan).unwrap();
            tx.commit().unwrap();
            plan.clear();
            store.between().unwrap();
        }
    }
    let mut row = plan.row(&SHARD, Mode::Upsert);
    row.int(0).int(EVENTS / 1_500).int(EVENTS).int(REQUESTS).int(START + EVENTS * 33);
    row.blob(&[7; 16]).int(0).int(0).int(1);
    let mut tx = store.begin().unwrap();
    tx.write(&plan).unwrap();
    tx.commit().unwrap();
}

/// Runs retention to its end at `now`.
fn run(store: &mut dyn Store, keep: Keep, mut now: i64) -> Snapshot {
    let mailbox = Arc::new(Mailbox::new(Limits::default(), Arc::new(SystemClock)));
    let (counters, chores) = (Arc::new(Counters::default()), Arc::new(Chores::default()));
    let units = registry::units(UNITS, &Rules::new("sim"));
    let cell = Cell::new(units, mailbox, Box::new(Nobody), Arc::clone(&counters));
    let mut cell = cell.with_chores(Arc::clone(&chores));
    chores.post(Box::new(Keeper::new(keep, Arc::new(|| EVENTS), Arc::default())));
    loop {
        let step = cell.step(store, Time(now)).unwrap();
        store.between().unwrap();
        now += 1_000;
        if step == Step::Idle {
            return counters.snapshot();
        }
    }
}

fn tell(what: &str, rows: u64, seen: &Snapshot) {
    let us = |ns: u64| f64::from(u32::try_from(ns / 1_000).unwrap_or(u32::MAX));
    let each = us(seen.chore_ns) / f64::from(u32::try_from(rows.max(1)).unwrap_or(1));
    let longest = us(seen.chore_longest_ns);
    let slices = seen.chore_slices;
    println!("{what}: {rows} rows, {each:.2} µs each, {slices} slices, the longest {longest} µs");
}

fn main() {
    let dir = tempfile::tempdir().unwrap();
    let file = Sqlite::new(dir.path().join("keep.db"), TABLES, registry::MIGRATIONS);
    file.with(&mut |store| {
        fill(store);
        let nothing = Keep { events: None, keys: None, poison: None };
        let now = START + 2 * KEYS.0;
        let trimmed = run(store, Keep { events: Keep::default().events, ..nothing }, now);
        tell("events trimmed", trimmed.trimmed, &trimmed);
        let purged = run(store, Keep { keys: Keep::default().keys, ..nothing }, now);
        tell("keys purged", purged.purged, &purged);
    })
    .unwrap();
}
