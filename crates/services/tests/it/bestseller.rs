//! Units sold by day and SKU: what events make and what rows make are the same, whatever happens on
//! the way.

use std::collections::BTreeMap;
use std::sync::Arc;

use jangbu_engine::clock::Clock;
use jangbu_engine::port::{Backend, Fault};
use jangbu_kernel::Time;
use jangbu_kernel::time::Span;
use jangbu_services::bestseller::{Bestseller, SOLD, Window, day};
use jangbu_services::consumer::{self, BESTSELLER, Running, Terms};
use jangbu_services::projections::{self, Keep, Projections};
use jangbu_services::queries::Queries;
use jangbu_store::{Dump, Memory, On, dump};
use proptest::prelude::*;

use crate::history::{commerce, compile, history};
use crate::rig::{Bench, Hand, START, cases, int, same_rows};
use crate::stage::{place, refund};

const DAY: i64 = 86_400_000_000;

fn run(truth: &Memory, derived: &Memory) -> Running {
    let shared: Arc<dyn Backend> = Arc::new(derived.clone());
    let clock: Arc<dyn Clock> = Arc::new(Hand::at(START));
    let members = vec![Projections::member(Keep::default()), Bestseller::member()];
    Running::start(truth, shared, Terms::alone(clock, None), members).unwrap()
}

/// The rows of days, without how often they have changed.
fn sold(derived: &Memory) -> Dump {
    let mut rows = dump(&mut *derived.reader().unwrap(), projections::TABLES).unwrap();
    rows.retain(|(table, _), _| *table == SOLD.name);
    rows
}

/// What the orders come to, added up by hand: day and SKU.
fn expected(truth: &Memory) -> BTreeMap<(i64, i64), i64> {
    use jangbu_services::order::ORDERS;
    let dump = truth.dump();
    let at = |name| ORDERS.position(name).unwrap();
    let text = |value: &jangbu_store::OwnedValue| match value {
        jangbu_store::OwnedValue::Text(text) => text.clone(),
        other => panic!("{other:?}"),
    };
    let mut sums = BTreeMap::new();
    let completed = 8;
    for (_, row) in dump.iter().filter(|((table, _), _)| *table == ORDERS.name) {
        if int(&row[at("state")]) != Some(completed) {
            continue;
        }
        let day = day(Time(int(&row[at("settled_at")]).unwrap()));
        let lines: Vec<(i64, i64, i64, String)> =
            serde_json::from_str(&text(&row[at("lines")])).unwrap();
        for (sku, quantity, ..) in &lines {
            *sums.entry((day, *sku)).or_insert(0) += quantity;
        }
        let refunds: Vec<serde_json::Value> =
            serde_json::from_str(&text(&row[at("refunds")])).unwrap();
        // [no, state, card, [[line, from, quantity], …], …]; 4 = done.
        for refund in refunds.iter().filter(|refund| refund[1] == 4) {
            for units in refund[3].as_array().unwrap() {
                let line = usize::try_from(units[0].as_i64().unwrap()).unwrap();
                *sums.entry((day, lines[line].0)).or_insert(0) -= units[2].as_i64().unwrap();
            }
        }
    }
    sums.retain(|_, units| *units != 0);
    sums
}

fn counted(rows: &Dump) -> BTreeMap<(i64, i64), i64> {
    let row = |row: &Vec<_>| {
        let n = |at: usize| int(&row[at]).unwrap();
        ((n(0), n(2)), n(3))
    };
    rows.values().map(row).collect()
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn units_sold_are_the_same_from_events_from_rows_and_added_up_by_hand(
        ops in history(commerce(), 5..50),
        hours in prop::collection::vec(0..20_i64, 50),
        breaks in 0..5_usize,
    ) {
        let (mut bench, derived, mut passed) = (Bench::new(), Memory::new(), 0);
        for (at, sent) in compile(&ops).iter().enumerate() {
            passed += hours[at % 50] * DAY / 24;
            bench.rig.set(Time(sent.now.0 + passed).max(bench.rig.now()));
            let mut envelope = sent.envelope();
            envelope.now = Time(0);
            bench.rig.ask(envelope);
            bench.settle_with_gateway();
            if at % 10 == breaks {
                derived.faults().fail_after(1, On::Commit, 1, Fault::Transient("busy".to_owned()));
                run(&bench.memory, &derived).stop().unwrap();
                derived.faults().clear();
            }
        }
        bench.run_out();
        run(&bench.memory, &derived).stop().unwrap();
        let incremental = sold(&derived);
        prop_assert_eq!(counted(&incremental), expected(&bench.memory));
        let anew = Memory::new();
        consumer::begin(&bench.memory, &anew, &[BESTSELLER]).unwrap();
        same_rows(&incremental, &sold(&anew));
        // What comes after it is counted once, and nothing is counted again.
        run(&bench.memory, &anew).stop().unwrap();
        same_rows(&incremental, &sold(&anew));
    }
}

fn ranking(queries: &Queries, window: Window, now: i64) -> Vec<(i64, i64)> {
    let found = queries.bestsellers(window, None, 10, Time(now)).unwrap();
    found.items.iter().map(|(best, _)| (best.product.0, best.units)).collect()
}

#[test]
fn windows_slide_by_days_of_seoul_and_refunds_count_on_the_day_of_the_sale() {
    let mut bench = Bench::stocked();
    let derived = Memory::new();
    let first = bench.rig.now().0;
    assert!(bench.run(place(10, &[(0, 3)], "ok")).is_done());
    bench.settle_with_gateway();
    bench.rig.advance(Span(6 * DAY));
    assert!(bench.run(place(11, &[(1, 2)], "ok")).is_done());
    bench.settle_with_gateway();
    run(&bench.memory, &derived).stop().unwrap();
    let queries = || Queries::new(Arc::new(bench.memory.clone()), Arc::new(derived.clone()));
    let now = bench.rig.now().0;
    let units = |window, now| -> Vec<i64> {
        ranking(&queries(), window, now).into_iter().map(|(_, units)| units).collect()
    };
    assert_eq!(units(Window::Day, first), [3]);
    assert_eq!(units(Window::Day, now), [2]);
    assert_eq!(units(Window::Week, now), [3, 2]);
    assert_eq!(units(Window::Week, now + DAY), [2], "the first day has left the window");
    assert_eq!(units(Window::Month, now + 23 * DAY), [3, 2]);
    assert_eq!(units(Window::Month, now + 24 * DAY), [2]);
    assert!(units(Window::Month, now + 60 * DAY).is_empty());
    let queries = Queries::new(Arc::new(bench.memory.clone()), Arc::new(derived.clone()));
    assert_eq!(ranking(&queries, Window::Week, now).len(), 2);
    assert!(bench.run(refund(10, Some(&[(0, 2)]))).is_done());
    bench.settle_with_gateway();
    run(&bench.memory, &derived).stop().unwrap();
    let units =
        |at| ranking(&queries, Window::Week, at).into_iter().map(|(_, n)| n).collect::<Vec<_>>();
    assert_eq!(units(now + 999_999), [3, 2], "a ranking is a second old at most");
    assert_eq!(units(now + 1_000_000), [2, 1]);
}

#[test]
fn a_consumer_that_is_new_begins_with_the_rows_and_one_that_is_not_run_forgets_its_place() {
    let mut bench = Bench::stocked();
    assert!(bench.run(place(10, &[(0, 3)], "ok")).is_done());
    bench.settle_with_gateway();
    let derived = Memory::new();
    Projections::follow(&bench.memory, Arc::new(derived.clone()), Arc::new(Hand::at(START)))
        .unwrap()
        .stop()
        .unwrap();
    assert!(sold(&derived).is_empty());
    consumer::begin(&bench.memory, &derived, &[BESTSELLER]).unwrap();
    assert_eq!(counted(&sold(&derived)), expected(&bench.memory));
    consumer::begin(&bench.memory, &derived, &[]).unwrap();
    assert!(bench.run(place(11, &[(0, 1)], "ok")).is_done());
    bench.settle_with_gateway();
    consumer::begin(&bench.memory, &derived, &[BESTSELLER]).unwrap();
    assert_eq!(counted(&sold(&derived)), expected(&bench.memory), "what it has missed is there");
    run(&bench.memory, &derived).stop().unwrap();
    assert_eq!(counted(&sold(&derived)), expected(&bench.memory));
}
