//! How long rows are kept: what a consumer has not taken in is never trimmed, a key is answered for
//! fifteen days and refused after them, and a rebuild from rows gives what the events gave.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jangbu_engine::books::{OUTBOX, REQUEST, SHARD};
use jangbu_engine::keep::{KEYS, Keep, Keeper, Kept};
use jangbu_engine::poison::POISON;
use jangbu_engine::port::{Backend, Fault, Mode};
use jangbu_kernel::Time;
use jangbu_kernel::time::Span;
use jangbu_services::order::ORDERS;
use jangbu_services::projections::{self, Projections, Standing, refill, standing};
use jangbu_services::queries::Queries;
use jangbu_store::{Dump, Memory, On, OwnedValue, dump};
use proptest::prelude::*;

use crate::history::{commerce, compile, history};
use crate::rig::{Bench, Hand, START, Seen, cases, int, same_rows, write};
use crate::stage::{hold, keyed, place, refund};

const DAY: i64 = 86_400_000_000;
const WEEK: Span = Span(7 * DAY);

/// A bench whose cell keeps events for a week, and none that `floor` does not let go.
struct Keeping {
    bench: Bench,
    floor: Arc<AtomicI64>,
    kept: Arc<Kept>,
}

impl Keeping {
    fn of(bench: Bench) -> Self {
        let keeping = Self { bench, floor: Arc::default(), kept: Arc::default() };
        keeping.begin();
        keeping
    }

    fn begin(&self) {
        let floor = Arc::clone(&self.floor);
        let floor = Arc::new(move || floor.load(Ordering::Relaxed));
        let keeper = Keeper::new(Keep::default(), floor, Arc::clone(&self.kept));
        self.bench.rig.post(Box::new(keeper));
    }

    /// Time passes, and the cell does what it finds to do.
    fn pass(&mut self, span: Span) {
        self.bench.rig.advance(span);
        self.bench.settle();
        // Work that was posted is taken up with the timers; a second later it looks again.
        for _ in 0..3 {
            self.bench.rig.advance(Span(1_000_000));
            self.bench.settle();
        }
    }

    fn shard(&self, column: &str) -> i64 {
        let at = SHARD.position(column).unwrap();
        int(&self.bench.memory.dump()[&(SHARD.name, [0; 3])][at]).unwrap()
    }
}

/// The events that are there: number, time.
fn events(dump: &Dump) -> BTreeMap<i64, i64> {
    let rows = dump.iter().filter(|((table, _), _)| *table == OUTBOX.name);
    rows.map(|((_, key), row)| (key[0], int(&row[2]).unwrap())).collect()
}

fn sold() -> Bench {
    let mut bench = Bench::stocked();
    for id in [10, 11, 12] {
        assert!(bench.run(place(id, &[(0, 1), (1, 1)], "ok")).is_done());
        bench.settle_with_gateway();
    }
    assert!(bench.run(refund(10, Some(&[(0, 1)]))).is_done());
    assert!(bench.run(hold(13, &[(2, 1)])).is_done());
    bench.settle_with_gateway();
    bench
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn nothing_that_a_consumer_has_not_taken_in_is_ever_trimmed(
        ops in history(commerce(), 5..40),
        days in prop::collection::vec(0..6_i64, 40),
        taken in prop::collection::vec(0..=100_i64, 40),
        faults in prop::collection::vec(0..6_u8, 40),
    ) {
        let mut keeping = Keeping::of(Bench::new());
        let (mut times, mut passed, mut floor) = (BTreeMap::new(), 0, 0);
        for (at, sent) in compile(&ops).iter().enumerate() {
            passed += days[at % 40] * DAY;
            let bench = &mut keeping.bench;
            bench.rig.set(Time(sent.now.0 + passed).max(bench.rig.now()));
            let mut envelope = sent.envelope();
            envelope.now = Time(0);
            bench.rig.ask(envelope);
            bench.settle_with_gateway();
            times.extend(events(&bench.memory.dump()));
            // A consumer never goes back, and is never beyond what there is.
            floor = (keeping.shard("events") * taken[at % 40] / 100).max(floor);
            keeping.floor.store(floor, Ordering::Relaxed);
            match faults[at % 40] {
                0 => keeping.bench.memory.faults().lose_answers(0, 1),
                1 => keeping.bench.memory.faults().lose_commits(0, 1),
                2 => {
                    keeping.bench.rig.restart();
                    keeping.begin();
                }
                _ => {}
            }
            keeping.pass(Span(0));
            keeping.bench.memory.faults().clear();
            let (left, trimmed) = (events(&keeping.bench.memory.dump()), keeping.shard("trimmed"));
            let limit = keeping.bench.rig.now().0 - WEEK.0;
            prop_assert!(trimmed <= floor, "{trimmed} of {floor} taken in");
            let numbers: Vec<i64> = left.keys().copied().collect();
            let wanted: Vec<i64> = (trimmed + 1..=keeping.shard("events")).collect();
            prop_assert_eq!(numbers, wanted, "one number says which are gone");
            let young = times.range(..=trimmed).find(|(_, at)| **at > limit);
            prop_assert_eq!(young, None, "trimmed before its time");
        }
        keeping.floor.store(keeping.shard("events"), Ordering::Relaxed);
        keeping.pass(Span(8 * DAY));
        keeping.floor.store(keeping.shard("events"), Ordering::Relaxed);
        keeping.pass(Span(8 * DAY));
        prop_assert_eq!(keeping.shard("trimmed"), keeping.kept.trimmed());
        let behind = keeping.bench.rig.now().0 - WEEK.0 - 20_000_000;
        let left = events(&keeping.bench.memory.dump());
        prop_assert!(left.values().all(|at| *at > behind), "trimming keeps up: {:?}", left);
    }

    #[test]
    fn a_rebuild_after_trimming_gives_what_the_events_gave(
        ops in history(commerce(), 5..40),
        part in 0..=100_i64,
    ) {
        let mut keeping = Keeping::of(Bench::new());
        for sent in compile(&ops) {
            keeping.bench.rig.set(sent.now);
            keeping.bench.rig.ask(sent.envelope());
            keeping.bench.settle_with_gateway();
        }
        keeping.bench.run_out();
        let before = followed(&keeping.bench.memory, &Memory::new());
        keeping.floor.store(keeping.shard("events") * part / 100, Ordering::Relaxed);
        keeping.pass(Span(8 * DAY));
        assert_same_projections(&keeping, &before);
    }
}

/// What a projector makes of the truth, beginning with `derived`.
fn followed(truth: &Memory, derived: &Memory) -> Dump {
    let shared: Arc<dyn Backend> = Arc::new(derived.clone());
    let clock = Arc::new(Hand::at(START));
    Projections::follow(truth, shared, clock).unwrap().stop().unwrap();
    dump(&mut *derived.reader().unwrap(), projections::TABLES).unwrap()
}

fn numbers(dump: &Dump, table: &str) -> Vec<Vec<i64>> {
    let rows = dump.iter().filter(|((name, _), _)| *name == table);
    rows.map(|(_, row)| row.iter().filter_map(int).collect()).collect()
}

/// Refills a new derived store, follows what is left, and compares.
fn assert_same_projections(keeping: &Keeping, before: &Dump) {
    let (truth, derived) = (&keeping.bench.memory, Memory::new());
    let trimmed = keeping.shard("trimmed");
    let wanted = if trimmed > 0 { Standing::New } else { Standing::Follows };
    assert_eq!(standing(truth, &derived), Ok(wanted));
    assert_eq!(refill(truth, &derived), Ok(trimmed));
    assert_eq!(standing(truth, &derived), Ok(Standing::Follows));
    let after = followed(truth, &derived);
    for table in ["user_order", "account_tail", "offset", "coupon_of_user"] {
        assert_eq!(numbers(&after, table), numbers(before, table), "{table}");
    }
    // Entries of one account and one moment may have changed places; the balance after them not.
    let entry = |row: Vec<i64>| ((row[0], row[1]), (row[3], row[4], row[5], row[6]), row[7]);
    let books = |dump: &Dump| {
        let rows: Vec<_> = numbers(dump, "account_entry").into_iter().map(entry).collect();
        let all: BTreeSet<_> = rows.iter().map(|(at, what, _)| (*at, *what)).collect();
        let last: BTreeMap<_, _> = rows.iter().map(|(at, _, balance)| (*at, *balance)).collect();
        (rows.len(), all, last)
    };
    assert_eq!(books(&after), books(before));
    // What happened after the trimmed head is told as before, and what the rows do not tell is gone.
    let later = |dump: &Dump| {
        let timeline = numbers(dump, "timeline").into_iter();
        timeline.filter(|row| row[1] > trimmed).collect::<Vec<_>>()
    };
    assert_eq!(later(&after), later(before));
    assert_eq!(numbers(&after, "timeline").len(), later(before).len());
}

#[test]
fn a_projection_that_misses_trimmed_events_stands_still_and_says_what_to_do() {
    let mut keeping = Keeping::of(sold());
    let behind = Memory::new();
    let half = Memory::new();
    followed(&keeping.bench.memory, &behind);
    assert!(keeping.bench.run(place(14, &[(2, 1)], "ok")).is_done());
    keeping.bench.settle_with_gateway();
    keeping.floor.store(keeping.shard("events"), Ordering::Relaxed);
    keeping.pass(Span(8 * DAY));
    let truth = &keeping.bench.memory;
    assert_eq!(standing(truth, &behind), Ok(Standing::Behind));
    half.faults().fail_after(2, On::Commit, 1, Fault::Transient("killed".to_owned()));
    assert!(refill(truth, &half).is_err());
    assert_eq!(standing(truth, &half), Ok(Standing::Behind), "it was broken off");
    let shared: Arc<dyn Backend> = Arc::new(behind);
    let projections = Projections::follow(truth, shared, Arc::new(Hand::at(START))).unwrap();
    let Err(Fault::Fatal(text)) = projections.stop() else { panic!("it follows a gap") };
    assert!(text.contains("jangbu rebuild"), "{text}");
}

#[test]
fn an_event_that_waits_under_a_parked_key_is_not_trimmed() {
    let mut keeping = Keeping::of(sold());
    let dump = keeping.bench.memory.dump();
    let placed = OwnedValue::Text("order.placed".to_owned());
    let of_11 = |row: &Vec<OwnedValue>| row.get(3) == Some(&placed) && int(&row[4]) == Some(11);
    let damaged = dump.iter().find(|((t, _), row)| *t == OUTBOX.name && of_11(row)).unwrap();
    let (seq, commit) = (damaged.0.1[0], int(&damaged.1[1]).unwrap());
    write(&keeping.bench.memory, &|plan| {
        let mut row = plan.row(&OUTBOX, Mode::Upsert);
        row.int(seq).int(commit).int(START).text("order.placed").int(11).int(1);
        row.opt_text(None).blob(&[0xff, 0xff]).opt_text(None);
    });
    let derived: Arc<dyn Backend> = Arc::new(Memory::new());
    let clock = Arc::new(Hand::at(START));
    let projections = Projections::follow(&keeping.bench.memory, derived, clock).unwrap();
    let handle = projections.handle();
    projections.stop().unwrap();
    assert_eq!(handle.progress().seq(), keeping.shard("events"));
    assert_eq!(handle.progress().floor(), seq - 1);
    keeping.floor.store(handle.progress().floor(), Ordering::Relaxed);
    keeping.pass(Span(30 * DAY));
    assert_eq!(keeping.shard("trimmed"), seq - 1);
    assert!(keeping.kept.behind() > Span(22 * DAY), "{:?}", keeping.kept.behind());
}

/// The row of the request that placed order `id`.
fn request_of(bench: &Bench, id: i64) -> Vec<OwnedValue> {
    let dump = bench.memory.dump();
    let mut rows = dump.iter().filter(|((table, _), _)| *table == REQUEST.name);
    rows.find(|(_, row)| int(&row[4]) == Some(id)).unwrap().1.clone()
}

#[test]
fn a_key_is_answered_for_fifteen_days_and_refused_with_its_resource_after_them() {
    let mut keeping = Keeping::of(Bench::stocked());
    let again = |id| keyed(place(id, &[(0, 1)], "ok"), "k", 1);
    assert!(keeping.bench.run(again(10)).is_done());
    keeping.bench.settle_with_gateway();
    let placed = keeping.bench.rig.now();
    let at = |span: Span| Time(placed.0 + span.0);
    keeping.bench.rig.set(at(Span(KEYS.0 - 1)));
    let last = keeping.bench.run(again(11));
    assert!(matches!(last, Seen::Done { replayed: true, .. }), "{last:?}");
    // To the microsecond, whether the row has lost its key or not.
    let purged = keeping.shard("purged");
    keeping.bench.rig.set(at(KEYS));
    assert_eq!(keeping.bench.run(again(12)), Seen::KeyExpired(10));
    keeping.pass(Span(2_000_000));
    assert!(keeping.shard("purged") > purged);
    let row = request_of(&keeping.bench, 10);
    let text = |text: &str| OwnedValue::Text(text.to_owned());
    assert_eq!(row[1..4], [text("order"), text(""), OwnedValue::Blob(Vec::new())]);
    for id in [13, 14] {
        assert_eq!(keeping.bench.run(again(id)), Seen::KeyExpired(10));
        let other = keyed(place(id, &[(0, 2)], "ok"), "k", 2);
        assert_eq!(
            keeping.bench.run(other),
            Seen::KeyExpired(10),
            "its body is not known any more"
        );
        keeping.bench.rig.restart();
    }
    let fresh = keeping.bench.run(keyed(place(15, &[(0, 1)], "ok"), "k2", 1));
    assert!(matches!(fresh, Seen::Done { replayed: false, .. }), "{fresh:?}");
    let queries: Queries = keeping.bench.queries();
    let scope = "client:order".to_owned();
    assert_eq!(queries.requests(std::slice::from_ref(&scope), "k").unwrap(), []);
    assert_eq!(queries.requests(&[scope], "k2").unwrap().len(), 1);
}

#[test]
fn a_purge_takes_the_keys_of_old_requests_alone_in_slices() {
    let mut keeping = Keeping::of(Bench::stocked());
    let ask = |bench: &mut Bench, n: i64| {
        let placed = bench.run(keyed(place(1_000 + n, &[(0, 1)], "no"), &format!("k{n}"), 1));
        assert!(placed.is_done());
        bench.settle_with_gateway();
    };
    (0..1_100).for_each(|n| ask(&mut keeping.bench, n));
    keeping.bench.rig.advance(Span(DAY));
    (1_100..1_110).for_each(|n| ask(&mut keeping.bench, n));
    let before = keeping.bench.rig.counters().snapshot().chore_slices;
    keeping.pass(Span(KEYS.0 - DAY / 2));
    assert_eq!(keeping.shard("purged"), 1_100);
    let slices = keeping.bench.rig.counters().snapshot().chore_slices - before;
    assert!(slices >= 3, "{slices} slices for 1,100 rows");
    let bare = |n: i64| request_of(&keeping.bench, 1_000 + n)[2] == OwnedValue::Text(String::new());
    assert!((0..1_100).step_by(99).all(bare) && !(1_100..1_110).any(bare));
}

#[test]
fn closed_poison_goes_after_its_time_and_open_poison_stays() {
    let mut keeping = Keeping::of(Bench::stocked());
    for (id, state) in [(901, 2), (902, 1), (903, 3)] {
        write(&keeping.bench.memory, &|plan| {
            let mut row = plan.row(&POISON, Mode::Insert);
            row.int(id).int(START).text("order").text("Place").text("?").text("operator");
            row.int(state).text("CLIENT").opt_text(None).opt_blob(None).opt_text(None);
            row.opt_text(None).opt_blob(None).text("why").int(1);
        });
    }
    let ids = |bench: &Bench| {
        let dump = bench.memory.dump();
        let rows = dump.keys().filter(|(table, _)| *table == POISON.name);
        rows.map(|(_, key)| key[0]).collect::<Vec<_>>()
    };
    keeping.pass(Span(89 * DAY));
    assert_eq!(ids(&keeping.bench), [901, 902, 903]);
    keeping.pass(Span(2 * DAY));
    assert_eq!(ids(&keeping.bench), [902]);
}

#[test]
fn long_work_takes_turns_with_orders_and_changes_nothing_that_they_see() {
    let mut keeping = Keeping::of(sold());
    keeping.floor.store(i64::MAX, Ordering::Relaxed);
    keeping.bench.rig.advance(Span(30 * DAY));
    let (mut plain, mut numbers) = (sold(), Vec::new());
    plain.rig.advance(Span(30 * DAY));
    for id in 20..60 {
        let order = || keyed(place(id, &[(2, 1)], "ok"), &format!("k{id}"), 1);
        numbers.push((keeping.bench.rig.ask(order()), plain.rig.ask(order())));
        assert_eq!(keeping.bench.step(), Ok(jangbu_engine::cell::Step::Worked));
        plain.settle_with_gateway();
        keeping.bench.settle_with_gateway();
        keeping.bench.rig.advance(Span(20_000));
        plain.rig.advance(Span(20_000));
    }
    for (mine, theirs) in numbers {
        assert_eq!(keeping.bench.rig.answer(mine), plain.rig.answer(theirs));
    }
    assert!(keeping.shard("trimmed") > 0);
    let of_orders = |bench: &Bench| {
        let mut rows = bench.memory.dump();
        rows.retain(|(table, _), _| *table == ORDERS.name || *table == "stock");
        rows
    };
    same_rows(&of_orders(&keeping.bench), &of_orders(&plain));
}
