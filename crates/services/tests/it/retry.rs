//! What was set aside is not lost: an operator has it run again, or gives it up, and both are
//! audited.

use jangbu_domain::order::command::{Command as Buy, SagaEvent};
use jangbu_domain::payment::command::{Ask, Said};
use jangbu_engine::desk::{Command, UNIT};
use jangbu_engine::mailbox::Why;
use jangbu_engine::poison::{Item, POISON, State};
use jangbu_kernel::{Envelope, Operator, OrderId, Origin};
use jangbu_services::desk::AuditFilter;
use jangbu_services::ledger::ENTRY;
use jangbu_services::order::ORDERS;
use jangbu_services::payment::PAYMENT;

use crate::rig::{Bench, Seen, lose, same_rows};
use crate::stage::{cancel, captured, confirm, create, hold, keyed, place, said};

fn asked(command: Command) -> Envelope {
    let mut envelope = Envelope::new(UNIT, Origin::Client, command);
    let (who, why) = ("kim".into(), "the fault is mended".into());
    envelope.operator = Some(Box::new(Operator { who, why, operation: "poison.test".into() }));
    envelope
}

fn retry(id: i64) -> Envelope {
    asked(Command::Retry { id })
}

fn discard(id: i64) -> Envelope {
    asked(Command::Discard { id })
}

/// Every item, oldest first.
fn items(bench: &Bench) -> Vec<(i64, Item)> {
    let (items, next) = bench.queries().poisons(None, None, 1_000).unwrap();
    assert_eq!(next, None);
    items
}

fn audited(bench: &Bench) -> Vec<(String, String, String)> {
    let (lines, _) = bench.queries().audit_log(&AuditFilter::default(), None, 100).unwrap();
    let of = |line: jangbu_services::desk::AuditLine| {
        (line.resource, line.before.unwrap_or_default(), line.after.unwrap_or_default())
    };
    lines.into_iter().rev().map(of).collect()
}

/// A sold order whose gateway answer was set aside, because an entry of the ledger was refused.
fn stuck_answer() -> (Bench, i64) {
    let mut bench = Bench::stocked();
    assert!(bench.run(place(1, &[(0, 1)], "ok")).is_done());
    bench.rig.record().jobs.clear();
    bench.memory.faults().poison(&ENTRY, [1, 1, 0]);
    bench.rig.tell(captured(1, 1_000));
    bench.settle();
    let found = items(&bench);
    assert_eq!(found.len(), 1);
    let (id, item) = &found[0];
    assert_eq!(
        (&*item.unit, item.state, item.origin),
        ("payment", State::Open, Some(Origin::Event))
    );
    assert!(item.is_retryable() && item.error.contains("as planned"), "{item:?}");
    assert_eq!(bench.order(1).unwrap().state.name(), "PAYING");
    (bench, *id)
}

#[test]
fn an_answer_that_was_set_aside_is_retried_and_ends_its_saga() {
    let (mut bench, id) = stuck_answer();
    bench.memory.faults().clear();
    bench.rig.restart();
    let seen = bench.run(retry(id));
    assert_eq!(seen, Seen::Done { reply: "Closed(Retried)".to_owned(), replayed: false });
    assert_eq!(bench.order(1).unwrap().state.name(), "COMPLETED");
    let (_, item) = items(&bench).pop().unwrap();
    assert_eq!((item.state, &*item.why), (State::Retried, "the fault is mended"));
    let lines = audited(&bench);
    assert_eq!(lines.len(), 1);
    assert!(lines[0].0 == id.to_string() && lines[0].1.contains("OPEN"), "{lines:?}");
    assert!(lines[0].2.contains("RETRIED"), "{lines:?}");
    let again = bench.run(retry(id));
    assert!(matches!(again, Seen::Refused("POISON_CLOSED", _)), "{again:?}");
    assert!(matches!(bench.run(discard(id)), Seen::Refused("POISON_CLOSED", _)));
    assert_eq!(audited(&bench).len(), 1, "a refusal leaves no line");
}

#[test]
fn what_fails_again_stays_open_with_the_new_error_in_the_same_row() {
    let (mut bench, id) = stuck_answer();
    let before = items(&bench).pop().unwrap().1;
    bench.memory.faults().clear();
    bench.memory.faults().poison(&ORDERS, [1, 0, 0]);
    bench.rig.restart();
    assert_eq!(bench.run(retry(id)), Seen::NotRun(Why::Poison));
    let found = items(&bench);
    assert_eq!(found.len(), 1, "no second row");
    let (same, item) = &found[0];
    assert_eq!((*same, item.state, item.version), (id, State::Open, before.version + 1));
    assert!(item.error.contains("orders") && item.error != before.error, "{}", item.error);
    assert_eq!((&item.payload, &item.command), (&before.payload, &before.command));
    let lines = audited(&bench);
    assert!(lines.len() == 1 && lines[0].2.contains("OPEN"), "the attempt is audited: {lines:?}");
    bench.memory.faults().clear();
    assert!(bench.run(retry(id)).is_done());
    assert_eq!(bench.order(1).unwrap().state.name(), "COMPLETED");
}

#[test]
fn a_retry_beside_others_in_a_batch_costs_only_itself() {
    let (mut bench, id) = stuck_answer();
    let seen = bench.batch(vec![create(7), retry(id), create(8), retry(id), discard(99)]);
    let seen: Vec<_> = seen.into_iter().map(|number| bench.rig.answer(number)).collect();
    assert!(seen[0].is_done() && seen[2].is_done(), "{seen:?}");
    assert_eq!((&seen[1], &seen[3]), (&Seen::NotRun(Why::Poison), &Seen::NotRun(Why::Poison)));
    assert!(matches!(seen[4], Seen::Refused("POISON_UNKNOWN", _)));
    assert_eq!(items(&bench).len(), 1);
}

#[test]
fn what_is_discarded_stays_discarded_and_changes_nothing_else() {
    let (mut bench, id) = stuck_answer();
    assert!(bench.run(discard(id)).is_done());
    let (_, item) = items(&bench).pop().unwrap();
    assert_eq!((item.state, &*item.why), (State::Discarded, "the fault is mended"));
    assert_eq!(bench.order(1).unwrap().state.name(), "PAYING");
    assert!(matches!(bench.run(retry(id)), Seen::Refused("POISON_CLOSED", _)));
    assert!(audited(&bench)[0].2.contains("DISCARDED"));
}

#[test]
fn a_command_with_a_card_token_is_not_kept_and_cannot_be_retried() {
    let mut bench = Bench::stocked();
    assert!(bench.run(hold(2, &[(1, 1)])).is_done());
    bench.memory.faults().poison(&ORDERS, [1, 0, 0]);
    bench.memory.faults().poison(&PAYMENT, [2, 0, 0]);
    let token = "tok-4242-secret";
    assert_eq!(bench.run(keyed(place(1, &[(0, 1)], token), "k", 1)), Seen::NotRun(Why::Poison));
    assert_eq!(bench.run(confirm(2, 1_000, token)), Seen::NotRun(Why::Poison));
    for (id, item) in items(&bench) {
        assert!(item.payload.is_none() && !item.is_retryable());
        assert!(matches!(bench.run(retry(id)), Seen::Refused("POISON_NOT_RETRYABLE", _)));
    }
    let mut rows = bench.memory.dump();
    rows.retain(|(table, _), _| *table == POISON.name);
    let bytes = format!("{rows:?}");
    assert!(rows.len() == 2 && !bytes.contains("4242"), "{bytes}");
    for envelope in [place(1, &[(0, 1)], token), confirm(2, 1_000, token)] {
        let command: &Buy = envelope.body.expect_ref();
        assert!(postcard::to_stdvec(command).is_err(), "a secret was encoded");
    }
}

#[test]
fn every_kind_of_command_comes_back_as_it_was_kept() {
    let units = jangbu_services::registry::units(
        jangbu_services::registry::UNITS,
        &jangbu_services::registry::Rules::new("sim"),
    );
    let event = SagaEvent::StockRefused { code: "INSUFFICIENT_STOCK".into() };
    let fact = Buy::Hear { order: OrderId(7), event };
    for envelope in [
        create(1),
        crate::stage::receive(1, 1, 5),
        hold(1, &[(0, 2)]),
        cancel(1),
        crate::stage::refund(1, Some(&[(0, 1)])),
        said(1, Ask::Refund(3), Said::Unknown { why: "time-out".into() }),
        crate::stage::buy(fact),
    ] {
        let unit = units.iter().find(|unit| unit.id() == envelope.to).unwrap();
        let bytes = unit.encode(&*envelope.body).unwrap();
        let back = unit.decode(&bytes).unwrap();
        assert_eq!(format!("{back:?}"), format!("{:?}", envelope.body));
        assert!(unit.decode(&bytes[..bytes.len() - 1]).is_none(), "a part of it is nothing");
    }
}

#[test]
fn a_clients_command_that_is_retried_keeps_its_key() {
    for client_first in [false, true] {
        let mut bench = Bench::stocked();
        bench.memory.faults().poison(&ORDERS, [1, 0, 0]);
        let order = |id| keyed(hold(id, &[(0, 1)]), "k", 1);
        assert_eq!(bench.run(order(1)), Seen::NotRun(Why::Poison));
        bench.memory.faults().clear();
        let (id, _) = items(&bench)[0];
        let client = |bench: &mut Bench| bench.run(order(2));
        let first = if client_first { Some(client(&mut bench)) } else { None };
        assert!(bench.run(retry(id)).is_done());
        let seen = first.unwrap_or_else(|| client(&mut bench));
        assert_eq!(matches!(seen, Seen::Done { replayed: true, .. }), !client_first, "{seen:?}");
        assert_eq!(
            (bench.order(1).is_some(), bench.order(2).is_some()),
            (!client_first, client_first)
        );
        assert_eq!(bench.available(0), 3, "one order, whoever was first");
        assert_eq!(items(&bench)[0].1.state, State::Retried);
    }
}

#[test]
fn a_lost_answer_of_a_retry_runs_it_once() {
    for done in [true, false] {
        let (mut bench, id) = stuck_answer();
        bench.memory.faults().clear();
        lose(bench.memory.faults(), done);
        let number = bench.rig.ask(retry(id));
        while bench.step().unwrap() != jangbu_engine::cell::Step::Idle {}
        assert!(bench.rig.answer(number).is_done());
        let (mut calm, same) = stuck_answer();
        calm.memory.faults().clear();
        assert!(calm.run(retry(same)).is_done());
        same_rows(&calm.memory.dump(), &bench.memory.dump());
    }
}

#[test]
fn items_are_listed_by_state_and_paged() {
    let mut bench = Bench::stocked();
    for id in 1..=6 {
        bench.memory.faults().poison(&ORDERS, [id, 0, 0]);
        assert_eq!(bench.run(hold(id, &[(0, 1)])), Seen::NotRun(Why::Poison));
    }
    let ids: Vec<_> = items(&bench).into_iter().map(|(id, _)| id).collect();
    assert!(bench.run(discard(ids[1])).is_done());
    assert!(bench.run(discard(ids[4])).is_done());
    let of = |state, after, limit| {
        let (items, next) = bench.queries().poisons(state, after, limit).unwrap();
        (items.into_iter().map(|(id, _)| id).collect::<Vec<_>>(), next)
    };
    let open = vec![ids[0], ids[2], ids[3], ids[5]];
    assert_eq!(of(Some(State::Open), None, 9), (open.clone(), None));
    assert_eq!(of(Some(State::Open), None, 3), (open[..3].to_vec(), Some(open[2])));
    assert_eq!(of(Some(State::Open), Some(open[2]), 3), (open[3..].to_vec(), None));
    assert_eq!(of(Some(State::Discarded), None, 9), (vec![ids[1], ids[4]], None));
    assert_eq!(of(Some(State::Discarded), Some(ids[1]), 1), (vec![ids[4]], None));
    assert_eq!(of(Some(State::Retried), None, 9), (Vec::new(), None));
    assert_eq!(of(None, Some(ids[2]), 2), (ids[3..5].to_vec(), Some(ids[4])));
    assert_eq!(bench.queries().poison(ids[1]).unwrap().unwrap().state, State::Discarded);
    assert_eq!(bench.queries().poison(7_777).unwrap(), None);
}
