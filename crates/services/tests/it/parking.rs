//! An event that the projections cannot take in parks its key; the others go on, and what waits is
//! taken in later, in its order, as if nothing had happened.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use jangbu_engine::books::OUTBOX;
use jangbu_engine::port::{Backend, Fault, Mode};
use jangbu_kernel::UserId;
use jangbu_services::consumer::{Running, Settled, Unsettled, Verb};
use jangbu_services::projections::{self, Projections, TIMELINE};
use jangbu_services::queries::Queries;
use jangbu_store::{Dump, Memory, On, OwnedValue, dump};

use crate::rig::{Bench, Hand, START, int, same_rows, write};
use crate::stage::{place, refund};

fn follow(truth: &Memory, derived: &Memory) -> Running {
    let derived: Arc<dyn Backend> = Arc::new(derived.clone());
    Projections::follow(truth, derived, Arc::new(Hand::at(START))).unwrap()
}

pub(crate) fn rows(derived: &Memory) -> Dump {
    dump(&mut *derived.reader().unwrap(), projections::TABLES).unwrap()
}

/// Three sold orders of one user; all of their money is in the same accounts.
pub(crate) fn sold() -> Bench {
    let mut bench = Bench::stocked();
    for id in [10, 11, 12] {
        assert!(bench.run(place(id, &[(0, 1), (1, 1)], "ok")).is_done());
        bench.settle_with_gateway();
    }
    bench
}

/// What the projections are when nothing is wrong.
pub(crate) fn healthy(bench: &Bench) -> Dump {
    let derived = Memory::new();
    follow(&bench.memory, &derived).stop().unwrap();
    rows(&derived)
}

/// The event of `topic` about `key`: its number and its row.
fn event(bench: &Bench, topic: &str, key: i64) -> (i64, Vec<OwnedValue>) {
    let topic = OwnedValue::Text(topic.to_owned());
    let dump = bench.memory.dump();
    let mut rows = dump.iter().filter(|((table, _), _)| *table == OUTBOX.name);
    let found = rows.find(|(_, row)| row[3] == topic && int(&row[4]) == Some(key));
    found.map(|((_, at), row)| (at[0], row.clone())).unwrap()
}

/// Gives an event another payload.
fn put(bench: &Bench, row: &[OwnedValue], payload: &[u8]) {
    let number = |at: usize| int(&row[at]).unwrap();
    let text = |at: usize| match &row[at] {
        OwnedValue::Text(text) => Some(&**text),
        _ => None,
    };
    write(&bench.memory, &|plan| {
        let mut to = plan.row(&OUTBOX, Mode::Upsert);
        to.int(number(0)).int(number(1)).int(number(2)).text(text(3).unwrap());
        to.int(number(4)).int(number(5)).opt_text(text(6)).blob(payload).opt_text(text(8));
    });
}

/// Damages an event; gives its number, and how to repair it.
pub(crate) fn damage(bench: &Bench, topic: &str, key: i64) -> (i64, impl Fn(&Bench) + use<>) {
    let (seq, row) = event(bench, topic, key);
    put(bench, &row, &[0xff, 0xff, 0xff]);
    let OwnedValue::Blob(payload) = row[7].clone() else { panic!("{row:?}") };
    (seq, move |bench: &Bench| put(bench, &row, &payload))
}

fn settle(projections: &Running, key: i64, verb: Verb) -> Result<Settled, Unsettled> {
    let (tell, told) = channel();
    projections.handle().settle(1, key, verb, Box::new(move |settled| tell.send(settled).unwrap()));
    told.recv_timeout(Duration::from_secs(30)).unwrap()
}

pub(crate) fn queries(bench: &Bench, derived: &Memory) -> Queries {
    Queries::new(Arc::new(bench.memory.clone()), Arc::new(derived.clone()))
}

pub(crate) fn orders(queries: &Queries) -> Vec<i64> {
    let listed = queries.orders_of(UserId(7), None, 10).unwrap();
    listed.into_iter().map(|(id, _)| id.0).collect()
}

#[test]
fn a_damaged_event_parks_its_key_and_the_others_go_on() {
    let mut bench = sold();
    let (seq, _) = damage(&bench, "order.placed", 11);
    assert!(bench.run(refund(11, Some(&[(0, 1)]))).is_done());
    bench.settle_with_gateway();
    let derived = Memory::new();
    follow(&bench.memory, &derived).stop().unwrap();
    let queries = queries(&bench, &derived);
    assert_eq!(orders(&queries), [12, 10]);
    let parked = queries.parked(None, None, 10).unwrap();
    let [one] = &*parked else { panic!("{parked:?}") };
    assert_eq!((one.key, one.seq, &*one.topic, one.tries), (11, seq, "order.placed", 1));
    assert!(one.error.contains("is damaged"), "{}", one.error);
    let events = queries.parked_key(1, 11, 100).unwrap().unwrap().events;
    assert!(
        events.len() > 3 && events.is_sorted_by_key(|letter| letter.seq),
        "later events wait behind it: {events:?}"
    );
    assert_eq!(events[0].seq, seq);
    assert!(queries.parked_key(1, 10, 1).unwrap().is_none());
    assert!(queries.parked(None, Some((1, 11)), 10).unwrap().is_empty());
    assert_eq!(queries.projected_sum().unwrap(), 0);
}

#[test]
fn a_repaired_key_is_taken_in_in_order_as_if_nothing_had_happened() {
    let mut bench = sold();
    assert!(bench.run(refund(10, None)).is_done());
    bench.settle_with_gateway();
    let healthy = healthy(&bench);
    for topic in ["order.placed", "payment.captured", "order.completed"] {
        let (seq, repair) = damage(&bench, topic, 10);
        let derived = Memory::new();
        let projections = follow(&bench.memory, &derived);
        projections.stop().unwrap();
        let projections = follow(&bench.memory, &derived);
        let failed = settle(&projections, 10, Verb::Replay).unwrap();
        let left = failed.left.expect("it is still damaged");
        assert_eq!((failed.taken, left.seq, left.tries), (0, seq, 2), "{topic}");
        repair(&bench);
        let done = settle(&projections, 10, Verb::Replay).unwrap();
        assert!(done.left.is_none() && done.taken > 1, "{done:?}");
        assert_eq!(settle(&projections, 10, Verb::Replay), Err(Unsettled::Unknown));
        assert_eq!(projections.handle().progress().parked(), 0);
        projections.stop().unwrap();
        // Running balances too: entries that came late stand where they belong.
        same_rows(&healthy, &rows(&derived));
    }
}

#[test]
fn discarding_leaves_out_the_one_event_and_takes_in_those_behind_it() {
    let bench = sold();
    let truth = bench.memory.dump();
    let (seq, repair) = damage(&bench, "order.placed", 11);
    let derived = Memory::new();
    follow(&bench.memory, &derived).stop().unwrap();
    let projections = follow(&bench.memory, &derived);
    let done = settle(&projections, 11, Verb::Discard).unwrap();
    assert_eq!((done.skipped, done.left), (Some(seq), None));
    projections.stop().unwrap();
    let queries = queries(&bench, &derived);
    assert_eq!(orders(&queries), [12, 10], "what the event said is not there");
    let healthy = healthy(&sold());
    let entries = |dump: &Dump| {
        let mut dump = dump.clone();
        dump.retain(|(table, _), _| table.starts_with("account"));
        dump
    };
    same_rows(&entries(&healthy), &entries(&rows(&derived)));
    repair(&bench);
    same_rows(&truth, &bench.memory.dump());
    // A new store begins without parked keys, and has what was left out.
    let anew = Memory::new();
    follow(&bench.memory, &anew).stop().unwrap();
    assert_eq!(orders(&self::queries(&bench, &anew)), [12, 11, 10]);
}

#[test]
fn a_row_that_is_refused_parks_its_key_and_one_that_follows_it_waits() {
    let mut bench = sold();
    assert!(bench.run(refund(11, Some(&[(0, 1)]))).is_done());
    bench.settle_with_gateway();
    let healthy = healthy(&bench);
    let rare = healthy.keys().find(|(table, key)| *table == TIMELINE.name && key[0] == 11);
    let row = rare.expect("a refund has rows in the timeline").1;
    let derived = Memory::new();
    derived.faults().poison(&TIMELINE, row);
    follow(&bench.memory, &derived).stop().unwrap();
    let queries = queries(&bench, &derived);
    let parked = queries.parked(None, None, 10).unwrap();
    assert_eq!(parked.iter().map(|p| (p.key, p.seq)).collect::<Vec<_>>(), [(11, row[1])]);
    derived.faults().clear();
    let projections = follow(&bench.memory, &derived);
    assert!(settle(&projections, 11, Verb::Replay).unwrap().left.is_none());
    projections.stop().unwrap();
    same_rows(&healthy, &rows(&derived));
}

#[test]
fn a_fault_while_parking_or_retrying_loses_no_event() {
    let bench = sold();
    let healthy = healthy(&bench);
    let (_, repair) = damage(&bench, "order.placed", 11);
    for skip in 0..6 {
        let derived = Memory::new();
        let busy = || Fault::Transient("busy".to_owned());
        derived.faults().fail_after(skip, On::Commit, 1, busy());
        follow(&bench.memory, &derived).stop().unwrap();
        derived.faults().clear();
        // As after a kill: another projector finds what the first one has left.
        follow(&bench.memory, &derived).stop().unwrap();
        assert_eq!(queries(&bench, &derived).parked(None, None, 10).unwrap().len(), 1);
        repair(&bench);
        derived.faults().fail_after(skip, On::Commit, 1, busy());
        let projections = follow(&bench.memory, &derived);
        let first = settle(&projections, 11, Verb::Replay);
        if first.as_ref().is_err() {
            assert_eq!(first, Err(Unsettled::Failed(busy())));
            drop(settle(&projections, 11, Verb::Replay));
        }
        projections.stop().unwrap();
        same_rows(&healthy, &rows(&derived));
        drop(damage(&bench, "order.placed", 11));
    }
}

#[test]
fn a_store_that_is_busy_or_full_parks_nothing() {
    let bench = sold();
    let healthy = healthy(&bench);
    for fault in [Fault::Transient("busy".to_owned()), Fault::Full("no space".to_owned())] {
        let derived = Memory::new();
        let projections = follow(&bench.memory, &derived);
        derived.faults().fail(On::Write, 2, fault);
        projections.stop().unwrap();
        derived.faults().clear();
        follow(&bench.memory, &derived).stop().unwrap();
        assert!(queries(&bench, &derived).parked(None, None, 10).unwrap().is_empty());
        same_rows(&healthy, &rows(&derived));
    }
}
