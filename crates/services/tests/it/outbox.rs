//! P1: nothing is published that was not committed, nothing committed stays unpublished. Events
//! are numbered without gaps, in the order of their commits.

use std::collections::BTreeMap;

use jangbu_engine::books::{OUTBOX, SHARD};
use jangbu_engine::cell::Step;
use jangbu_engine::port::Fault;
use jangbu_services::events::Fact;
use jangbu_services::order::ORDERS;
use jangbu_store::{Dump, On, OwnedValue};
use proptest::prelude::*;

use crate::history::{commerce, compile, history};
use crate::rig::{Bench, int};
use crate::stage::{cancel, hold, place};

/// The events of a store: number, commit, topic, aggregate, version.
fn outbox(dump: &Dump) -> Vec<(i64, i64, String, i64, i64)> {
    let number = |row: &[OwnedValue], at: usize| int(&row[at]).unwrap();
    let event = |row: &Vec<OwnedValue>| {
        let OwnedValue::Text(topic) = &row[3] else { panic!("{row:?}") };
        (number(row, 0), number(row, 1), topic.clone(), number(row, 4), number(row, 5))
    };
    dump.iter().filter(|((t, _), _)| *t == OUTBOX.name).map(|(_, row)| event(row)).collect()
}

/// Asserts the order of the numbers, and that the shard row knows the last ones.
fn assert_gapless(dump: &Dump) {
    let events = outbox(dump);
    let numbers: Vec<_> = events.iter().map(|event| event.0).collect();
    let count = i64::try_from(numbers.len()).unwrap();
    assert_eq!(numbers, (1..=count).collect::<Vec<_>>());
    assert!(events.is_sorted_by_key(|event| event.1), "commits go up with the numbers");
    let shard = &dump[&(SHARD.name, [0; 3])];
    assert_eq!(int(&shard[2]), Some(count));
    let last = events.last().map_or(0, |event| event.1);
    assert!(last <= int(&shard[1]).unwrap());
}

/// What each order's row says must have been published, and what was.
fn assert_published(dump: &Dump) {
    let mut topics: BTreeMap<i64, Vec<&str>> = BTreeMap::new();
    let events = outbox(dump);
    for (_, _, topic, key, _) in events.iter().filter(|event| event.2.starts_with("order.")) {
        topics.entry(*key).or_default().push(topic);
    }
    let outcome = ORDERS.position("outcome").unwrap();
    let state = ORDERS.position("state").unwrap();
    let orders: BTreeMap<_, _> = dump
        .iter()
        .filter(|((t, _), _)| *t == ORDERS.name)
        .map(|((_, k), row)| (k[0], row))
        .collect();
    let count = |id: &i64, topic: &str| topics[id].iter().filter(|known| **known == topic).count();
    for (id, row) in &orders {
        assert_eq!(count(id, "order.placed"), 1);
        let completed = int(&row[state]) == Some(8);
        let cancelled = int(&row[state]) == Some(9);
        assert_eq!(count(id, "order.completed"), usize::from(completed), "{id}");
        assert_eq!(count(id, "order.cancelled"), usize::from(cancelled), "{id}");
        assert_eq!(completed, row[outcome] == OwnedValue::Text("SOLD".to_owned()));
    }
    assert!(topics.keys().all(|id| orders.contains_key(id)), "an event without an order");
}

#[test]
fn nothing_is_published_that_was_not_committed() {
    for on in [On::Write, On::Commit] {
        let mut bench = Bench::stocked();
        let before = outbox(&bench.memory.dump());
        bench.memory.faults().fail(on, 2, Fault::Transient("busy".to_owned()));
        bench.rig.ask(place(10, &[(0, 1)], "ok"));
        for _ in 0..2 {
            assert_eq!(bench.step().unwrap(), Step::BackOff);
            assert_eq!(outbox(&bench.memory.dump()), before);
        }
        bench.settle_with_gateway();
        let after = bench.memory.dump();
        assert_gapless(&after);
        assert_published(&after);
    }
}

#[test]
fn what_is_set_aside_or_refused_leaves_no_gap_in_the_outbox() {
    let mut bench = Bench::stocked();
    bench.memory.faults().poison(&ORDERS, [11, 0, 0]);
    let lines = [(0, 1)];
    bench.batch(vec![
        place(10, &lines, "ok"),
        place(11, &lines, "ok"),
        place(12, &[(9, 1)], "ok"),
        hold(13, &lines),
        cancel(13),
    ]);
    bench.settle_with_gateway();
    let dump = bench.memory.dump();
    assert_gapless(&dump);
    assert_published(&dump);
    assert!(outbox(&dump).iter().all(|event| event.3 != 11 && event.3 != 12));
}

#[test]
fn changes_of_stock_are_told_once_for_each_commit_with_what_is_available_after_it() {
    let mut bench = Bench::stocked();
    bench.batch(vec![place(10, &[(0, 1), (2, 2)], "ok"), place(11, &[(0, 2)], "ok")]);
    let dump = bench.memory.dump();
    let last = dump.iter().rfind(|((t, _), _)| *t == OUTBOX.name).unwrap().1;
    let OwnedValue::Blob(payload) = &last[OUTBOX.position("payload").unwrap()] else {
        panic!("{last:?}")
    };
    let stocks = vec![(1_000, 1), (1_002, 2)];
    assert_eq!(Fact::decode(payload), Ok(Fact::StockChanged { stocks }));
}

proptest! {
    #![proptest_config(crate::rig::cases(32))]

    #[test]
    fn everything_committed_is_published_once_in_the_order_of_the_commits(
        ops in history(commerce(), 5..40),
        busy in prop::collection::vec((0..9_u32, any::<bool>()), 0..6),
    ) {
        let mut bench = Bench::new();
        for (at, sent) in compile(&ops).iter().enumerate() {
            bench.rig.set(sent.now);
            if let Some((skip, lost)) = busy.get(at / 5) {
                let faults = bench.memory.faults();
                match lost {
                    true => faults.lose_commits(*skip, 1),
                    false => faults.fail_after(*skip, On::Write, 1, Fault::Item("?".to_owned())),
                }
            }
            bench.rig.ask(sent.envelope());
            bench.settle_with_gateway();
            bench.memory.faults().clear();
            assert_gapless(&bench.memory.dump());
        }
        bench.run_out();
        assert_gapless(&bench.memory.dump());
        assert_published(&bench.memory.dump());
    }
}
