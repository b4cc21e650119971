//! A command that cannot be processed is set aside with its payload and the error; what is beside
//! it in the batch does not notice.

use jangbu_domain::ledger;
use jangbu_domain::ledger::command::Leg;
use jangbu_domain::order::command::{Command, SagaEvent, UNIT};
use jangbu_engine::books::POISON;
use jangbu_engine::cell::Step;
use jangbu_engine::mailbox::Why;
use jangbu_engine::port::{Fault, Mode};
use jangbu_kernel::time::Span;
use jangbu_kernel::{Currency, Envelope, OrderId, Origin, Time};
use jangbu_services::order::ORDERS;
use jangbu_services::payment::PAYMENT;
use jangbu_store::{Dump, On, OwnedValue};

use crate::rig::{Bench, Seen, lose, same_rows, write};
use crate::split::unscoped;
use crate::stage::{cancel, hold, keyed, place};

fn poison(dump: &Dump) -> Vec<(String, String, String)> {
    let text = |value: &OwnedValue| match value {
        OwnedValue::Text(text) => text.clone(),
        other => panic!("{other:?}"),
    };
    let rows = dump.iter().filter(|((table, _), _)| *table == POISON.name);
    rows.map(|(_, row)| (text(&row[2]), text(&row[3]), text(&row[4]))).collect()
}

/// Rows without those of the poison, and of what it would have made.
fn healthy(bench: &Bench) -> Dump {
    let mut rows = unscoped(&bench.memory.dump());
    rows.retain(|(table, _), _| *table != POISON.name);
    rows
}

/// Makes order `id` a row that cannot be read.
fn damage(bench: &Bench, id: i64) {
    let dump = bench.memory.dump();
    let row = &dump[&(ORDERS.name, [id, 0, 0])];
    let lines = ORDERS.position("lines").unwrap();
    write(&bench.memory, &|plan| {
        let mut to = plan.row(&ORDERS, Mode::Upsert);
        for (at, value) in row.iter().enumerate() {
            match value {
                _ if at == lines => to.text("[[1,2"),
                OwnedValue::Int(n) => to.int(*n),
                OwnedValue::Text(text) => to.text(text),
                OwnedValue::Blob(bytes) => to.blob(bytes),
                OwnedValue::Null => to.opt_int(None),
            };
        }
    });
}

#[test]
fn a_row_that_the_store_refuses_costs_only_the_command_that_wanted_it() {
    let others = [10, 11, 12, 14, 15, 16];
    let mut calm = Bench::stocked();
    calm.batch(others.iter().map(|id| place(*id, &[(0, 1)], "ok")).collect());
    for victim in 0..=others.len() {
        let mut bench = Bench::stocked();
        bench.memory.faults().poison(&ORDERS, [13, 0, 0]);
        let mut batch: Vec<_> = others.iter().map(|id| place(*id, &[(0, 1)], "ok")).collect();
        batch.insert(victim, keyed(place(13, &[(0, 1)], "tok-secret"), "k", 1));
        let numbers = bench.batch(batch);
        for (at, number) in numbers.iter().enumerate() {
            let seen = bench.rig.answer(*number);
            assert_eq!(seen == Seen::NotRun(Why::Poison), at == victim, "{at}: {seen:?}");
        }
        same_rows(&healthy(&calm), &healthy(&bench));
        let poison = poison(&bench.memory.dump());
        assert_eq!(poison.len(), 1);
        let (unit, command, error) = &poison[0];
        assert!(unit == "order" && command.contains("Place") && error.contains("orders"));
        assert!(!command.contains("tok-secret"), "a secret was printed: {command}");
        let jobs: Vec<_> = bench.rig.record().jobs.iter().map(|job| format!("{job:?}")).collect();
        let calm: Vec<_> = calm.rig.record().jobs.iter().map(|job| format!("{job:?}")).collect();
        assert_eq!(jobs, calm, "calls of the others, once each");
    }
}

#[test]
fn a_poisoned_step_drops_its_root_with_the_whole_cascade() {
    let mut bench = Bench::stocked();
    bench.memory.faults().poison(&PAYMENT, [10, 0, 0]);
    assert_eq!(bench.run(place(10, &[(0, 2)], "ok")), Seen::NotRun(Why::Poison));
    assert!(bench.order(10).is_none());
    assert_eq!(bench.available(0), 4, "the reservation is gone with it");
    assert!(bench.rig.record().jobs.is_empty());
    assert!(bench.run(place(11, &[(0, 2)], "ok")).is_done());
}

#[test]
fn a_damaged_row_costs_only_the_commands_that_need_it() {
    let mut bench = Bench::stocked();
    for id in [1, 2, 3] {
        assert!(bench.run(hold(id, &[(0, 1)])).is_done());
    }
    damage(&bench, 2);
    bench.rig.restart();
    let numbers = bench.batch(vec![cancel(1), cancel(2), place(4, &[(1, 1)], "ok"), cancel(3)]);
    let seen: Vec<_> = numbers.iter().map(|number| bench.rig.answer(*number)).collect();
    assert_eq!(seen[1], Seen::NotRun(Why::Poison));
    assert!(seen.iter().enumerate().all(|(at, seen)| at == 1 || seen.is_done()), "{seen:?}");
    let poison = poison(&bench.memory.dump());
    assert_eq!(poison.len(), 1);
    assert!(poison[0].1.contains("Cancel") && poison[0].2.contains("orders.lines is damaged"));
    assert_eq!(bench.available(0), 3, "two holds are free again, the damaged one is not");
}

#[test]
fn a_damaged_row_in_a_batch_of_one_after_a_longer_batch_is_blamed_on_the_right_command() {
    let mut bench = Bench::stocked();
    assert!(bench.run(hold(1, &[(0, 1)])).is_done());
    damage(&bench, 1);
    bench.rig.restart();
    let more = bench.batch((20..28).map(|id| place(id, &[(1, 1)], "ok")).collect());
    assert!(more.iter().all(|number| bench.rig.answer(*number).is_done()));
    assert_eq!(bench.run(cancel(1)), Seen::NotRun(Why::Poison));
    assert_eq!(poison(&bench.memory.dump()).len(), 1);
}

/// A command that no router would send: the unit panics over its type.
fn nonsense() -> Envelope {
    Envelope::new(UNIT, Origin::Client, "nonsense")
}

/// What an order that nobody placed would hear.
fn impossible_fact() -> Envelope {
    let event = SagaEvent::PayCaptured { amount: 1 };
    let mut fact = Envelope::new(UNIT, Origin::Event, ());
    fact.body = Box::new(Command::Hear { order: OrderId(404), event });
    fact
}

#[test]
fn a_panic_costs_only_the_command_that_it_happened_in() {
    let mut calm = Bench::stocked();
    calm.batch((10..16).map(|id| place(id, &[(0, 1)], "ok")).collect());
    for victim in 0..=6 {
        let mut bench = Bench::stocked();
        let mut batch: Vec<_> = (10..16).map(|id| place(id, &[(0, 1)], "ok")).collect();
        batch.insert(victim, nonsense());
        let numbers = bench.batch(batch);
        let seen: Vec<_> = numbers.iter().map(|number| bench.rig.answer(*number)).collect();
        let lost = seen.iter().position(|seen| *seen == Seen::NotRun(Why::Poison));
        assert_eq!(lost, Some(victim), "{seen:?}");
        assert_eq!(seen.iter().filter(|seen| seen.is_done()).count(), 6);
        same_rows(&healthy(&calm), &healthy(&bench));
        assert!(poison(&bench.memory.dump())[0].2.contains("payload is not"));
    }
}

#[test]
fn a_message_about_an_order_that_does_not_exist_changes_nothing() {
    let mut bench = Bench::stocked();
    let before = bench.memory.dump();
    bench.rig.tell(impossible_fact());
    bench.settle();
    same_rows(&before, &bench.memory.dump());
}

#[test]
fn a_command_is_not_lost_when_its_poison_row_cannot_be_written_at_once() {
    for on in [On::Begin, On::Read, On::Write, On::Commit] {
        for skip in 0..6 {
            let mut bench = Bench::stocked();
            bench.memory.faults().poison(&ORDERS, [10, 0, 0]);
            let fault = Fault::Transient("busy".to_owned());
            bench.memory.faults().fail_after(skip, on, 1, fault);
            let numbers = [place(10, &[(0, 1)], "ok"), place(11, &[(0, 1)], "ok")]
                .map(|envelope| bench.rig.ask(envelope));
            while bench.step().unwrap() != Step::Idle {}
            assert_eq!(bench.rig.answer(numbers[0]), Seen::NotRun(Why::Poison), "{on:?} {skip}");
            assert!(bench.rig.answer(numbers[1]).is_done());
            assert_eq!(poison(&bench.memory.dump()).len(), 1, "{on:?} {skip}");
        }
    }
}

#[test]
fn a_lost_answer_of_the_poison_row_leaves_one_row() {
    for done in [true, false] {
        let mut bench = Bench::stocked();
        bench.memory.faults().poison(&ORDERS, [10, 0, 0]);
        lose(bench.memory.faults(), done);
        let number = bench.rig.ask(place(10, &[(0, 1)], "ok"));
        while bench.step().unwrap() != Step::Idle {}
        assert_eq!(bench.rig.answer(number), Seen::NotRun(Why::Poison));
        assert_eq!(poison(&bench.memory.dump()).len(), 1, "done: {done}");
    }
}

#[test]
fn a_due_row_that_cannot_be_processed_waits_a_minute_and_does_not_hold_up_the_others() {
    let mut bench = Bench::stocked();
    assert!(bench.run(hold(1, &[(0, 1)])).is_done());
    assert!(bench.run(hold(2, &[(1, 1)])).is_done());
    damage(&bench, 1);
    bench.rig.restart();
    bench.rig.advance(Span::mins(15));
    bench.settle();
    assert_eq!(bench.order(2).unwrap().state.name(), "CANCELLED", "the other one has expired");
    assert_eq!(poison(&bench.memory.dump()).len(), 1);
    for _ in 0..100 {
        bench.rig.advance(Span::millis(500));
        bench.settle();
    }
    assert_eq!(poison(&bench.memory.dump()).len(), 1, "50 s later it has not been tried again");
    bench.rig.advance(Span::secs(11));
    bench.settle();
    assert_eq!(poison(&bench.memory.dump()).len(), 2, "after a minute, once");
}

#[test]
fn a_fact_that_the_ledger_cannot_book_is_set_aside_with_the_command_that_brought_it() {
    let mut bench = Bench::stocked();
    let most = i64::MAX - 500;
    let leg = |code: &str, amount| Leg { code: code.into(), amount };
    let legs = vec![leg("psp:sim:receivable", most), leg("merchant:m-7:payable", -most)];
    let (source, seq, currency, at) = (70, 1, Currency::KRW, Time(1));
    let post = ledger::Command::Post { source, seq, currency, at, legs };
    assert!(bench.run(Envelope::new(ledger::UNIT, Origin::Client, post)).is_done());
    assert!(bench.run(place(10, &[(0, 1)], "ok")).is_done());
    assert!(bench.run(place(11, &[(0, 1)], "declined")).is_done());
    bench.settle_with_gateway();
    let poison = poison(&bench.memory.dump());
    assert_eq!(poison.len(), 1);
    assert!(poison[0].0 == "payment" && poison[0].2.contains("ledger refused a fact"));
    assert_eq!(bench.order(10).unwrap().state.name(), "PAYING", "neither sold nor given up");
    assert_eq!(bench.order(11).unwrap().state.name(), "CANCELLED");
}
