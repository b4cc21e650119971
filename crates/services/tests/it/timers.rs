//! Timers are columns: whatever happens to the process or to the clock, what is due is found, and
//! time never goes back for a command.

use jangbu_domain::order::command::UNIT;
use jangbu_engine::books::SHARD;
use jangbu_engine::cell::Step;
use jangbu_engine::port::Fault;
use jangbu_kernel::Time;
use jangbu_kernel::time::Span;
use jangbu_store::On;
use proptest::prelude::*;

use crate::history::{commerce, compile, history};
use crate::rig::{Bench, START, int, next_due, same_rows};
use crate::stage::{cancel, confirm, hold, place};

fn clock(bench: &Bench) -> i64 {
    int(&bench.memory.dump()[&(SHARD.name, [0; 3])][4]).unwrap()
}

fn state(bench: &Bench, id: i64) -> &'static str {
    bench.order(id).unwrap().state.name()
}

#[test]
fn an_unpaid_order_expires_when_its_hold_has_run_out_and_not_before() {
    let mut bench = Bench::stocked();
    assert!(bench.run(hold(1, &[(0, 2)])).is_done());
    bench.rig.advance(Span(15 * 60_000_000 - 1));
    bench.settle();
    assert_eq!((state(&bench, 1), bench.available(0)), ("AWAIT_PAY", 2));
    bench.rig.advance(Span::millis(21));
    bench.settle();
    assert_eq!((state(&bench, 1), bench.available(0)), ("CANCELLED", 4));
    assert_eq!(bench.order(1).unwrap().outcome.unwrap().name(), "EXPIRED");
}

#[test]
fn a_restart_finds_everything_that_has_become_due_meanwhile() {
    let mut bench = Bench::stocked();
    assert!(bench.run(hold(1, &[(0, 1)])).is_done());
    assert!(bench.run(place(2, &[(1, 1)], "ok")).is_done());
    bench.rig.record().jobs.clear();
    bench.rig.restart();
    bench.rig.advance(Span::mins(60));
    bench.settle_with_gateway();
    assert_eq!(state(&bench, 1), "CANCELLED");
    assert_eq!(state(&bench, 2), "PAY_UNKNOWN", "the gateway is asked before anything is undone");
    bench.run_out();
    assert_eq!(state(&bench, 2), "CANCELLED", "the call had died with the process");
    assert_eq!(bench.gateway.kept().get(&2), Some(&0));
}

#[test]
fn a_charge_whose_answer_died_with_the_process_is_found_by_asking() {
    let mut bench = Bench::stocked();
    assert!(bench.run(place(1, &[(0, 1)], "ok")).is_done());
    let jobs = std::mem::take(&mut bench.rig.record().jobs);
    assert_eq!(jobs.len(), 1);
    let _taken_and_not_told = bench.gateway.hear(&jobs[0]);
    bench.rig.restart();
    bench.run_out();
    assert_eq!(state(&bench, 1), "COMPLETED");
    assert_eq!(bench.gateway.most_charges(), 1);
}

#[test]
fn what_is_due_is_done_once() {
    let mut bench = Bench::stocked();
    assert!(bench.run(hold(1, &[(0, 1)])).is_done());
    bench.rig.advance(Span::mins(16));
    bench.settle();
    let (rows, commits) = (bench.memory.dump(), bench.rig.counters().snapshot().commits);
    for _ in 0..50 {
        bench.rig.advance(Span::millis(21));
        assert_eq!(bench.step().unwrap(), Step::Idle);
    }
    same_rows(&rows, &bench.memory.dump());
    assert_eq!(bench.rig.counters().snapshot().commits, commits);
}

#[test]
fn a_due_row_that_met_a_busy_store_is_worked_on_once() {
    let mut calm = Bench::stocked();
    let mut rows = Vec::new();
    for bench in [&mut calm, &mut Bench::stocked()] {
        assert!(bench.run(place(1, &[(0, 1)], "ok")).is_done());
        bench.rig.record().jobs.clear();
        if !rows.is_empty() {
            bench.memory.faults().fail(On::Commit, 3, Fault::Transient("busy".to_owned()));
        }
        bench.rig.advance(Span::secs(13));
        for _ in 0..10 {
            bench.step().unwrap();
        }
        assert_eq!(bench.rig.record().jobs.len(), 1, "one inquiry");
        rows.push(bench.memory.dump());
    }
    same_rows(&rows[0], &rows[1]);
}

#[test]
fn the_clock_of_a_shard_never_goes_back() {
    let mut bench = Bench::stocked();
    let mut latest = clock(&bench);
    for (n, step) in (10..).zip([5, -3, 60, -3_600, 3_000, 700, -1, 1]) {
        bench.rig.advance(Span::secs(step));
        assert!(bench.run(hold(n, &[(9 % 3, 1)])).is_done());
        let order = bench.order(n).unwrap();
        assert!(clock(&bench) >= latest);
        assert!(order.placed_at.0 >= latest, "an order is placed at a time that has been");
        latest = clock(&bench);
    }
}

#[test]
fn timers_go_on_after_the_clock_was_wrong_for_a_while() {
    let mut bench = Bench::stocked();
    bench.rig.advance(Span::mins(24 * 60));
    assert!(bench.run(hold(1, &[(0, 1)])).is_done());
    bench.rig.set(Time(START));
    assert!(bench.run(hold(2, &[(1, 1)])).is_done());
    assert!(bench.run(confirm(2, 1_000, "ok")).is_done());
    bench.settle_with_gateway();
    assert_eq!(state(&bench, 2), "COMPLETED");
    for _ in 0..30 {
        bench.rig.advance(Span::mins(60));
        bench.settle_with_gateway();
    }
    assert_eq!(state(&bench, 1), "CANCELLED", "late, but not never");
}

#[test]
fn a_drained_mailbox_takes_nothing_new() {
    let mut bench = Bench::stocked();
    let waiting = bench.rig.ask(hold(1, &[(0, 1)]));
    bench.rig.mailbox(UNIT).close();
    let late = bench.rig.ask(hold(2, &[(0, 1)]));
    bench.settle();
    assert!(bench.rig.answer(waiting).is_done());
    assert_eq!(format!("{:?}", bench.rig.answer(late)), "NotRun(Stopping)");
    assert!(
        bench.run(cancel(1)) == crate::rig::Seen::NotRun(jangbu_engine::mailbox::Why::Stopping)
    );
}

proptest! {
    #![proptest_config(crate::rig::cases(32))]

    #[test]
    fn nothing_stays_due_after_it_was_worked_on(ops in history(commerce(), 5..40)) {
        let mut bench = Bench::new();
        for sent in compile(&ops) {
            bench.rig.set(sent.now.max(bench.rig.now()));
            bench.rig.ask(sent.envelope());
            bench.settle_with_gateway();
            bench.rig.advance(Span::millis(21));
            bench.settle_with_gateway();
            let due = next_due(&bench.memory.dump());
            prop_assert!(due.is_none_or(|due| due > bench.rig.now().0), "{:?} is due", due);
        }
    }
}
