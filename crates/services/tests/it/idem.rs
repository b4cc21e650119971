//! The same request twice has one effect (P2), in one batch, later, and after a restart.

use std::sync::Arc;

use jangbu_engine::books::{IDEM, REQUEST, SHARD};
use jangbu_engine::port::{Backend, Mode};
use jangbu_services::queries::Queries;
use jangbu_store::OwnedValue;

use crate::rig::{Bench, Seen, int, same_rows, write};
use crate::stage::{cancel, create, keyed, place, receive, refund};

/// The answer, and whether it was one from before.
fn done(seen: Seen) -> (String, bool) {
    match seen {
        Seen::Done { reply, replayed } => (reply, replayed),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_same_key_twice_in_one_batch_has_one_effect_and_two_equal_answers() {
    let mut bench = Bench::stocked();
    let (mut one, mut twice) = (Vec::new(), Vec::new());
    // A client that tries again does not know the number that the edge has minted before.
    for (at, id) in [(0, 10), (1, 11), (2, 12)] {
        let envelope = keyed(place(id, &[(0, 2)], "ok"), "k", 1);
        twice.push(bench.rig.ask(envelope));
        one.push(at);
    }
    bench.settle();
    let answers: Vec<_> = twice.iter().map(|number| done(bench.rig.answer(*number))).collect();
    assert_eq!(
        answers.iter().map(|(_, replayed)| *replayed).collect::<Vec<_>>(),
        [false, true, true]
    );
    assert!(answers.iter().all(|(reply, _)| *reply == answers[0].0), "{answers:?}");
    assert_eq!(bench.available(0), 2, "two units are held, not six");
    assert!(bench.order(11).is_none() && bench.order(12).is_none());
    assert_eq!(bench.rig.record().jobs.len(), 1, "one charge");
}

#[test]
fn a_key_is_recalled_later_and_after_a_restart_and_shows_the_resource_as_it_is_now() {
    let mut bench = Bench::stocked();
    let first = done(bench.run(keyed(place(10, &[(0, 2)], "ok"), "k", 1)));
    bench.settle_with_gateway();
    let before = bench.memory.dump();
    let later = done(bench.run(keyed(place(11, &[(0, 2)], "ok"), "k", 1)));
    bench.rig.restart();
    let much_later = done(bench.run(keyed(place(12, &[(0, 2)], "ok"), "k", 1)));
    assert!(!first.1 && later.1 && much_later.1);
    assert_eq!(later.0, much_later.0);
    assert!(first.0.contains("Paying") && later.0.contains("Completed"), "{first:?} {later:?}");
    same_rows(&before, &bench.memory.dump());
    assert!(bench.rig.record().jobs.is_empty());
}

#[test]
fn a_key_that_comes_with_another_command_is_refused_with_what_it_made() {
    let mut bench = Bench::stocked();
    let numbers = bench.batch(vec![
        keyed(place(10, &[(0, 2)], "ok"), "k", 1),
        keyed(place(11, &[(0, 1)], "ok"), "k", 2),
    ]);
    assert!(bench.rig.answer(numbers[0]).is_done());
    assert_eq!(bench.rig.answer(numbers[1]), Seen::KeyReused(10));
    bench.rig.restart();
    assert_eq!(bench.run(keyed(place(12, &[(0, 1)], "ok"), "k", 3)), Seen::KeyReused(10));
    assert_eq!(bench.available(0), 2);
}

#[test]
fn keys_of_different_scopes_do_not_meet() {
    let mut bench = Bench::stocked();
    assert!(bench.run(keyed(place(10, &[(0, 1)], "ok"), "k", 1)).is_done());
    assert!(!done(bench.run(keyed(receive(90, 0, 1), "k", 2))).1);
    assert!(!done(bench.run(keyed(create(3), "k", 3))).1);
}

#[test]
fn a_refusal_is_not_remembered_and_the_same_key_is_decided_anew() {
    let mut bench = Bench::stocked();
    let envelope = || keyed(place(10, &[(3, 1)], "ok"), "k", 1);
    assert!(matches!(bench.run(envelope()), Seen::Refused("SKU_NOT_ON_SALE", _)));
    assert!(matches!(bench.run(envelope()), Seen::Refused("SKU_NOT_ON_SALE", _)));
    let numbers = bench.batch(vec![envelope(), create(3), envelope(), envelope()]);
    assert!(matches!(bench.rig.answer(numbers[0]), Seen::Refused("SKU_NOT_ON_SALE", _)));
    assert!(!done(bench.rig.answer(numbers[2])).1);
    assert!(done(bench.rig.answer(numbers[3])).1);
}

#[test]
fn a_command_that_changes_nothing_still_takes_its_key() {
    let mut bench = Bench::stocked();
    assert!(bench.run(place(10, &[(0, 9)], "ok")).is_done());
    assert_eq!(bench.order(10).unwrap().state.name(), "CANCELLED");
    assert!(!done(bench.run(keyed(cancel(10), "k", 1))).1);
    bench.rig.restart();
    assert!(done(bench.run(keyed(cancel(10), "k", 1))).1);
    assert_eq!(bench.run(keyed(refund(10, None), "k", 2)), Seen::KeyReused(10));
}

#[test]
fn many_repeats_without_a_commit_between_them_are_all_recalled() {
    let mut bench = Bench::stocked();
    assert!(bench.run(keyed(place(10, &[(0, 1)], "ok"), "k", 1)).is_done());
    let commits = bench.rig.counters().snapshot().commits;
    for round in 0..50 {
        assert!(done(bench.run(keyed(place(20 + round, &[(0, 1)], "ok"), "k", 1))).1);
    }
    assert_eq!(bench.rig.counters().snapshot().commits, commits);
}

/// Makes `key` of the next request meet slots that other requests hold already.
fn occupy(bench: &Bench, slot: i64, others: &[(&str, &str)]) {
    let plan = |plan: &mut jangbu_engine::port::WritePlan| {
        for (at, (scope, key)) in (0..).zip(others) {
            plan.row(&IDEM, Mode::Insert).int(slot + at).int(900 + at);
            let mut row = plan.row(&REQUEST, Mode::Insert);
            row.int(900 + at).text(scope).text(key).blob(&[9; 17]).int(77).int(0);
        }
    };
    write(&bench.memory, &plan);
}

/// Where `key` is found: the slot that the first run of it takes in another store with the same
/// hash key.
fn slot_of(key: &str) -> i64 {
    let mut bench = Bench::stocked();
    assert!(bench.run(keyed(place(10, &[(0, 1)], "ok"), key, 1)).is_done());
    let dump = bench.memory.dump();
    let slots: Vec<_> = dump.keys().filter(|(table, _)| *table == IDEM.name).collect();
    assert_eq!(slots.len(), 1);
    slots[0].1[0]
}

#[test]
fn keys_that_hash_alike_are_told_apart_by_the_request_itself() {
    let slot = slot_of("k");
    let mut bench = Bench::stocked();
    occupy(&bench, slot, &[("client:order", "another"), ("client:catalog", "k")]);
    let place = |id| keyed(place(id, &[(0, 1)], "ok"), "k", 1);
    assert!(!done(bench.run(place(10))).1);
    assert!(done(bench.run(place(11))).1);
    bench.rig.restart();
    assert!(done(bench.run(place(12))).1);
    let dump = bench.memory.dump();
    let mine = dump.get(&(IDEM.name, [slot + 2, 0, 0])).expect("the third of its slot");
    let request = &dump[&(REQUEST.name, [int(&mine[1]).unwrap(), 0, 0])];
    assert_eq!(request[2], OwnedValue::Text("k".to_owned()));
    assert_eq!(bench.available(0), 3);
    // Who looks beside the owner finds it behind the other two.
    let backend: Arc<dyn Backend> = Arc::new(bench.memory.clone());
    let queries = Queries::new(Arc::clone(&backend), backend);
    let OwnedValue::Text(own) = &request[1] else { panic!("{request:?}") };
    let scopes = ["client:catalog", own, "client:none"].map(str::to_owned);
    let found = queries.requests(&scopes, "k").unwrap();
    let told: Vec<_> = found.iter().map(|one| (&*one.key.scope, one.resource)).collect();
    assert_eq!(told, [(&**own, 10)], "`client:catalog` does not begin at this slot");
    assert_eq!(queries.requests(&scopes, "another").unwrap(), []);
}

#[test]
fn requests_are_numbered_without_gaps_whatever_was_refused_between_them() {
    let mut bench = Bench::stocked();
    for n in 0..6_i64 {
        let sku = if n % 2 == 0 { 0 } else { 9 };
        bench.run(keyed(place(20 + n, &[(sku, 1)], "ok"), &format!("k{n}"), 1));
    }
    let dump = bench.memory.dump();
    let numbers: Vec<_> =
        dump.keys().filter(|(t, _)| *t == REQUEST.name).map(|(_, key)| key[0]).collect();
    assert_eq!(numbers, [1, 2, 3]);
    assert_eq!(int(&dump[&(SHARD.name, [0; 3])][3]), Some(3));
}
