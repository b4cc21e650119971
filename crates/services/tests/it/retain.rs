//! What the projections do not keep for ever goes in its time and not before, and takes nothing else
//! with it.

use std::sync::Arc;

use jangbu_engine::port::{Backend, Fault};
use jangbu_kernel::time::Span;
use jangbu_services::projections::{self, Keep, Projections, Standing, TIMELINE, refill, standing};
use jangbu_store::{Dump, Memory, On, dump};

use crate::parking::{damage, healthy, orders, queries, sold};
use crate::rig::{Bench, Hand, START, int, same_rows};
use crate::stage::{hold, place, refund};

const DAY: i64 = 86_400_000_000;
const KEEP: Keep = Keep { parked: Some(Span(7 * DAY)), timelines: Some(Span(90 * DAY)) };

/// Takes in what is there at a moment, and lets go what is too old then: how many events it left
/// out, and what it needs no more.
fn at(bench: &Bench, derived: &Memory, now: i64) -> (u64, i64) {
    let shared: Arc<dyn Backend> = Arc::new(derived.clone());
    let clock = Arc::new(Hand::at(now));
    let projections = Projections::keeping(&bench.memory, shared, clock, KEEP).unwrap();
    let handle = projections.handle();
    projections.stop().unwrap();
    (handle.progress().left_out(), handle.progress().floor())
}

fn rows(derived: &Memory) -> Dump {
    dump(&mut *derived.reader().unwrap(), projections::TABLES).unwrap()
}

fn parked(bench: &Bench, derived: &Memory) -> Vec<i64> {
    let parked = queries(bench, derived).parked(None, None, 10).unwrap();
    parked.into_iter().map(|parked| parked.key).collect()
}

/// The accounts alone.
fn accounts(mut dump: Dump) -> Dump {
    dump.retain(|(table, _), _| table.starts_with("account"));
    dump
}

#[test]
fn a_parked_key_is_given_up_in_its_time_and_only_what_cannot_be_taken_in_is_left_out() {
    let bench = sold();
    let healthy = healthy(&bench);
    let truth = bench.memory.dump();
    let (seq, repair) = damage(&bench, "order.placed", 11);
    let derived = Memory::new();
    assert_eq!(at(&bench, &derived, START), (0, seq - 1));
    assert_eq!(at(&bench, &derived, START + 7 * DAY - 1), (0, seq - 1));
    assert_eq!(parked(&bench, &derived), [11]);
    let (left_out, floor) = at(&bench, &derived, START + 7 * DAY);
    assert_eq!((left_out, parked(&bench, &derived)), (1, vec![]));
    assert!(floor > seq, "the outbox is not held up any more: {floor}");
    let mut wanted = healthy.clone();
    wanted.retain(|(table, key), _| *table != "user_order" || key[1] != 11);
    same_rows(&wanted, &rows(&derived));
    assert_eq!(queries(&bench, &derived).projected_sum().unwrap(), 0);
    repair(&bench);
    same_rows(&truth, &bench.memory.dump());
}

#[test]
fn a_key_that_a_newer_program_understands_is_taken_in_whole_when_its_time_is_over() {
    let bench = sold();
    let healthy = healthy(&bench);
    for topic in ["order.placed", "payment.captured", "order.completed"] {
        let (_, repair) = damage(&bench, topic, 11);
        let derived = Memory::new();
        at(&bench, &derived, START);
        repair(&bench);
        assert_eq!(at(&bench, &derived, START + 8 * DAY).0, 0, "{topic}");
        assert!(parked(&bench, &derived).is_empty());
        same_rows(&healthy, &rows(&derived));
    }
}

#[test]
fn a_kill_in_the_middle_of_giving_up_takes_no_event_in_twice_and_leaves_none_out() {
    let bench = sold();
    let (_, repair) = damage(&bench, "payment.captured", 11);
    let whole = Memory::new();
    at(&bench, &whole, START);
    at(&bench, &whole, START + 7 * DAY);
    assert_ne!(accounts(rows(&whole)), accounts(healthy(&sold())), "an entry is missing");
    let mut met = 0;
    for skip in 0..8 {
        let derived = Memory::new();
        at(&bench, &derived, START);
        // A transaction that fails is what a kill leaves: its rows are not there. What comes after
        // it in this run waits for the next one.
        derived.faults().fail_after(skip, On::Commit, 100, Fault::Transient("killed".to_owned()));
        at(&bench, &derived, START + 7 * DAY);
        derived.faults().clear();
        met += usize::from(!parked(&bench, &derived).is_empty());
        let (again, _) = at(&bench, &derived, START + 7 * DAY);
        assert!(again <= 1, "{again}");
        same_rows(&rows(&whole), &rows(&derived));
    }
    assert!(met > 1, "{met} kills were in the middle");
    repair(&bench);
}

/// Orders of which some units came back, and one that waits for its buyer to pay.
fn told() -> Bench {
    let mut bench = sold();
    for id in [10, 12] {
        assert!(bench.run(refund(id, Some(&[(0, 1)]))).is_done());
        bench.settle_with_gateway();
    }
    assert!(bench.run(hold(13, &[(2, 1)])).is_done());
    bench
}

fn told_of(derived: &Memory) -> Vec<i64> {
    let dump = rows(derived);
    let lines = dump.iter().filter(|((table, _), _)| *table == TIMELINE.name);
    lines.map(|((_, key), _)| key[0]).collect()
}

#[test]
fn lines_of_what_has_ended_go_in_their_time_and_nothing_else() {
    let bench = told();
    let derived = Memory::new();
    at(&bench, &derived, START);
    let before = rows(&derived);
    let lines = told_of(&derived);
    assert!(lines.contains(&10) && lines.contains(&12), "{lines:?}");
    let last = before.iter().filter(|((table, _), _)| *table == TIMELINE.name);
    let last = last.filter_map(|(_, row)| int(&row[2])).max().unwrap();
    at(&bench, &derived, START + 90 * DAY - 1);
    assert_eq!(told_of(&derived), lines);
    at(&bench, &derived, last + 90 * DAY);
    assert_eq!(told_of(&derived), [13], "its buyer has not paid yet");
    let mut wanted = before;
    wanted.retain(|(table, key), _| *table != TIMELINE.name || key[0] == 13);
    same_rows(&wanted, &rows(&derived));
    assert_eq!(orders(&queries(&bench, &derived)), [13, 12, 11, 10]);
    let refunded = queries(&bench, &derived).timeline(jangbu_kernel::OrderId(10)).unwrap();
    assert!(refunded.iter().any(|moment| moment.event == "order.completed"), "{refunded:?}");
}

#[test]
fn lines_of_what_has_not_ended_stay() {
    let mut bench = sold();
    assert!(bench.run(refund(10, Some(&[(0, 1)]))).is_done());
    bench.settle_with_gateway();
    // The gateway has not said yet what became of this one.
    assert!(bench.run(refund(12, Some(&[(0, 1)]))).is_done());
    bench.settle();
    let derived = Memory::new();
    at(&bench, &derived, START);
    assert!(told_of(&derived).contains(&10), "{:?}", told_of(&derived));
    at(&bench, &derived, START + 3_000 * DAY);
    let left = told_of(&derived);
    assert!(!left.is_empty() && left.iter().all(|about| *about == 12), "{left:?}");
}

#[test]
fn many_lines_go_in_slices_and_a_kill_between_two_of_them_matters_to_nobody() {
    let mut bench = Bench::stocked();
    for id in 100..180 {
        assert!(bench.run(place(id, &[(0, 1)], "ok")).is_done());
        bench.settle_with_gateway();
        assert!(bench.run(refund(id, None)).is_done());
        bench.settle_with_gateway();
    }
    let derived = Memory::new();
    at(&bench, &derived, START);
    let lines = told_of(&derived).len();
    assert!(lines > 150, "{lines}");
    // A run has two slices at least: one before it hears that it is to stop.
    let (mut left, mut runs) = (lines, 0);
    while left > 0 {
        derived.faults().fail_after(1, On::Commit, 1, Fault::Transient("killed".to_owned()));
        at(&bench, &derived, START + 100 * DAY);
        derived.faults().clear();
        let now = told_of(&derived).len();
        assert!(now < left, "{now} of {left}");
        (left, runs) = (now, runs + 1);
    }
    assert!(runs > 1, "{lines} lines in {runs} runs");
    assert_eq!(standing(&bench.memory, &derived), Ok(Standing::Follows));
    let anew = Memory::new();
    assert_eq!(refill(&bench.memory, &anew), Ok(0), "the outbox tells all of it again");
}
