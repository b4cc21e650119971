//! The adapter and the cache behind it, with a domain that does what no domain of the shop does:
//! it changes everything before it refuses.

use std::sync::Arc;

use jangbu_engine::cell::Cell;
use jangbu_engine::counters::Counters;
use jangbu_engine::mailbox::{Answer, Limits, Mailbox};
use jangbu_engine::port::{Col, Fields, RowWriter, Table};
use jangbu_engine::unit::Sink;
use jangbu_kernel::domain::{Coded, Domain, Out};
use jangbu_kernel::{Ctx, Envelope, Origin, Rows, Time, UnitId};
use jangbu_services::adapter::{DomainUnit, Service};
use jangbu_services::bound::{Bound, Stored};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::rig::{Bench, Hand, Record, START, Seen, Wire, memory, same_rows};
use crate::stage::{create, receive};

static PAGE: Table = Table {
    rank: 600,
    name: "page",
    key: &["id"],
    cols: &[Col::int("writes")],
    versioned: true,
    due: false,
    lists: &[],
    hot: false,
};

#[derive(Debug, Clone)]
struct Page(i64);

impl Stored for Page {
    type Key = i64;
    const TABLE: &'static Table = &PAGE;
    const KEEP: usize = 10;

    fn read(row: &dyn Fields) -> Self {
        Self(row.int(1))
    }

    fn write(&self, to: &mut RowWriter<'_>) {
        to.int(self.0);
    }
}

const UNIT: UnitId = UnitId("hasty");

/// Writes pages `first` to `last`, calls, tells and states, and then perhaps refuses.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Scribble {
    pages: [i64; 2],
    refuses: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Regret;

impl Coded for Regret {
    fn code(&self) -> &'static str {
        "REGRET"
    }
}

/// A domain that changes first and checks afterwards.
struct Hasty;

impl Domain for Hasty {
    const UNIT: UnitId = UNIT;
    type Command = Scribble;
    type Reply = Vec<i64>;
    type Reject = Regret;
    type Event = i64;
    type Rows = Rows<i64, Page>;

    fn want(command: &Scribble, rows: &mut Self::Rows) {
        command.pages.iter().for_each(|page| rows.want(*page));
    }

    fn decide(
        command: &Scribble,
        ctx: &Ctx,
        rows: &mut Self::Rows,
        out: &mut Out<i64>,
    ) -> Result<Vec<i64>, Regret> {
        for page in command.pages {
            match rows.edit(page) {
                Some(row) => row.0 += 1,
                None => rows.insert(page, Page(1)),
            }
            out.emit(page);
            out.call(UNIT, ctx.now, ctx, page);
        }
        if command.refuses { Err(Regret) } else { Ok(Vec::new()) }
    }

    fn resource(command: &Scribble) -> i64 {
        command.pages[0]
    }

    fn adopt(_command: &mut Scribble, _resource: i64) {}

    fn recall(command: &Scribble, rows: &Self::Rows) -> Option<Vec<i64>> {
        command.pages.iter().map(|page| rows.get(*page).map(|row| row.0)).collect()
    }

    fn wake(table: &str, key: i64) -> Scribble {
        panic!("{table} has no timers, but {key} is due")
    }
}

impl Service for Hasty {
    type Domain = Self;

    fn bind(rows: &mut Rows<i64, Page>, each: &mut dyn FnMut(&mut dyn Bound)) {
        each(rows);
    }

    fn describe(_: &Scribble, _: &Rows<i64, Page>) -> Option<serde_json::Value> {
        None
    }

    fn follow(event: i64, rows: &Rows<i64, Page>, ctx: &Ctx, sink: &mut Sink) {
        sink.publish(ctx, "page.written", (event, rows.version(event)), |_| {});
    }
}

/// Runs commands in one batch each time; says what was refused, and what was called.
fn run(batches: &[&[Scribble]]) -> (Vec<Option<Vec<i64>>>, jangbu_store::Dump, usize) {
    let (store, record) = (memory(), Arc::new(Mutex::new(Record::default())));
    let clock = Arc::new(Hand::at(START));
    let mailbox = Arc::new(Mailbox::new(Limits::default(), clock));
    let units: Vec<Box<dyn jangbu_engine::unit::Unit>> =
        vec![Box::new(DomainUnit::<Hasty>::new(Rows::default()))];
    let wire = Box::new(Wire(Arc::clone(&record)));
    let mut cell = Cell::new(units, Arc::clone(&mailbox), wire, Arc::new(Counters::default()));
    let answers = Arc::new(Mutex::new(Vec::new()));
    for batch in batches {
        for command in *batch {
            let heard = Arc::clone(&answers);
            let waiter = move |answer| heard.lock().push(pages(answer));
            mailbox.ask(Envelope::new(UNIT, Origin::Client, command.clone()), Box::new(waiter));
        }
        cell.step(&mut store.open(), Time(START)).unwrap();
    }
    let answers = std::mem::take(&mut *answers.lock());
    let calls = record.lock().jobs.len();
    (answers, store.dump(), calls)
}

/// What a command has written; none for a refused one.
fn pages(answer: Answer) -> Option<Vec<i64>> {
    match answer {
        Answer::Done { reply, .. } => Some(reply.downcast_ref::<Vec<i64>>().unwrap().clone()),
        Answer::Refused(refusal) => {
            assert_eq!(refusal.code, "REGRET");
            None
        }
        other => panic!("{other:?}"),
    }
}

fn scribble(one: i64, other: i64) -> Scribble {
    Scribble { pages: [one, other], refuses: false }
}

fn regret(one: i64, other: i64) -> Scribble {
    Scribble { pages: [one, other], refuses: true }
}

#[test]
fn a_refusal_after_changes_takes_back_rows_versions_events_and_calls() {
    let (answers, rows, calls) = run(&[
        &[regret(1, 2), scribble(1, 2), regret(2, 3), scribble(2, 3), regret(1, 4)],
        &[regret(1, 3)],
        &[regret(3, 1), scribble(1, 3)],
    ]);
    let (kept, expected, expected_calls) =
        run(&[&[scribble(1, 2), scribble(2, 3)], &[], &[scribble(1, 3)]]);
    let refused = answers.iter().filter(|answer| answer.is_none()).count();
    assert_eq!(refused, 5);
    assert!(answers.into_iter().flatten().eq(kept.into_iter().flatten()));
    same_rows(&expected, &rows);
    assert_eq!((calls, expected_calls), (6, 6));
}

#[test]
fn what_was_dropped_from_memory_is_read_again_when_it_is_wanted() {
    let mut bench = Bench::new();
    assert!(bench.run(create(0)).is_done());
    let highest = 1_000_000;
    let first = bench.run(receive(highest, 0, 2));
    for piece in 0..100 {
        bench.batch((0..40).map(|n| receive(1 + piece * 40 + n, 0, 1)).collect());
    }
    let before = bench.memory.dump();
    let reads = bench.rig.counters().snapshot().rows_read;
    assert_eq!(bench.run(receive(highest, 0, 2)), first, "known again, and booked once");
    assert!(matches!(bench.run(receive(1, 0, 9)), Seen::Refused("MOVEMENT_DIFFERS", _)));
    assert!(bench.rig.counters().snapshot().rows_read > reads, "it was not in memory any more");
    same_rows(&before, &bench.memory.dump());
    assert_eq!(bench.available(0), 4_002);
}
