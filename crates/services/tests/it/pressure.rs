//! Limits of the mailbox, deadlines, read-only, a full disk and a dead one: everybody who waits is
//! told, at once and truly, and what is under way goes on.

use std::sync::Arc;
use std::time::Duration;

use jangbu_engine::cell::Step;
use jangbu_engine::mailbox::{Limits, Why};
use jangbu_engine::port::{Backend, Fault};
use jangbu_kernel::time::Span;
use jangbu_kernel::{Envelope, Lane};
use jangbu_services::registry::{MIGRATIONS, TABLES};
use jangbu_store::{On, Options, Sqlite};

use crate::rig::{Bench, ONE, Rig, Seen, lose, open_all, same_rows};
use crate::stage::{captured, create, hold, keyed, place, receive};

fn full() -> Fault {
    Fault::Full("no space left, as planned".to_owned())
}

fn ask(bench: &mut Bench, envelope: Envelope) -> usize {
    bench.rig.ask(envelope)
}

#[test]
fn a_full_mailbox_refuses_at_once_and_takes_again_when_it_has_been_emptied() {
    let limits = Limits { items: 3, ..Limits::default() };
    let mut bench = Bench::with_limits(limits);
    bench.stock_up();
    let taken: Vec<_> = (10..13).map(|id| ask(&mut bench, place(id, &[(0, 1)], "ok"))).collect();
    let refused = ask(&mut bench, place(13, &[(0, 1)], "ok"));
    assert_eq!(bench.rig.answer(refused), Seen::NotRun(Why::Shed), "before any step");
    bench.settle();
    assert!(taken.iter().all(|number| bench.rig.answer(*number).is_done()));
    assert!(bench.run(place(14, &[(0, 1)], "ok")).is_done());
    assert!(bench.order(13).is_none());
}

#[test]
fn the_mailbox_counts_bytes() {
    let mut bench = Bench::with_limits(Limits { bytes: 600, ..Limits::default() });
    bench.stock_up();
    let two = [10, 11].map(|id| ask(&mut bench, place(id, &[(0, 1)], "ok")));
    let third = ask(&mut bench, place(12, &[(0, 1)], "ok"));
    assert_eq!(bench.rig.answer(third), Seen::NotRun(Why::Shed));
    bench.settle();
    assert!(two.iter().all(|number| bench.rig.answer(*number).is_done()));
    let again = [12, 13].map(|id| ask(&mut bench, place(id, &[(0, 1)], "ok")));
    bench.settle();
    assert!(again.iter().all(|number| bench.rig.answer(*number).is_done()));
}

#[test]
fn nobody_queues_up_behind_a_command_that_has_waited_too_long() {
    let mut bench = Bench::with_limits(Limits { age: Duration::from_secs(2), ..Limits::default() });
    bench.stock_up();
    let first = ask(&mut bench, place(10, &[(0, 1)], "ok"));
    bench.rig.advance(Span::secs(2));
    let second = ask(&mut bench, place(11, &[(0, 1)], "ok"));
    bench.rig.advance(Span::millis(1));
    let third = ask(&mut bench, place(12, &[(0, 1)], "ok"));
    assert_eq!(bench.rig.answer(third), Seen::NotRun(Why::Shed));
    bench.settle();
    assert!(bench.rig.answer(first).is_done() && bench.rig.answer(second).is_done());
}

#[test]
fn messages_of_sagas_are_never_refused() {
    let mut bench = Bench::with_limits(Limits { items: 1, bytes: 300, ..Limits::default() });
    bench.stock_up();
    assert!(bench.run(place(10, &[(0, 1)], "ok")).is_done());
    bench.rig.mailbox(jangbu_domain::order::command::UNIT).set_read_only(Some(Why::ReadOnly));
    for _ in 0..100 {
        bench.rig.tell(captured(10, 1_000));
    }
    bench.settle();
    assert_eq!(bench.order(10).unwrap().state.name(), "COMPLETED");
}

#[test]
fn read_only_refuses_new_business_and_still_does_what_waits() {
    let mut bench = Bench::stocked();
    let waiting = ask(&mut bench, place(10, &[(0, 1)], "ok"));
    let mailbox = Arc::clone(bench.rig.mailbox(jangbu_domain::order::command::UNIT));
    mailbox.set_read_only(Some(Why::ReadOnly));
    let refused = ask(&mut bench, place(11, &[(0, 1)], "ok"));
    assert_eq!(bench.rig.answer(refused), Seen::NotRun(Why::ReadOnly));
    bench.settle_with_gateway();
    assert!(bench.rig.answer(waiting).is_done());
    assert_eq!(bench.order(10).unwrap().state.name(), "COMPLETED");
    assert_eq!(
        mailbox.read_only(),
        Some(Why::ReadOnly),
        "a commit does not end an operator's word"
    );
    mailbox.set_read_only(None);
    assert!(bench.run(place(11, &[(0, 1)], "ok")).is_done());
}

#[test]
fn a_deadline_is_looked_at_when_a_command_comes_and_when_its_batch_begins() {
    let mut bench = Bench::stocked();
    let until = |bench: &Bench, id, span| {
        let mut envelope = place(id, &[(0, 1)], "ok");
        envelope.deadline = Some(bench.rig.now() + span);
        envelope
    };
    let late = until(&bench, 10, Span::secs(-1));
    let late = ask(&mut bench, late);
    assert_eq!(bench.rig.answer(late), Seen::NotRun(Why::TooLate));
    let (short, long) = (until(&bench, 11, Span::secs(1)), until(&bench, 12, Span::secs(5)));
    let (short, long) = (ask(&mut bench, short), ask(&mut bench, long));
    bench.rig.advance(Span::secs(3));
    bench.settle();
    assert_eq!(bench.rig.answer(short), Seen::NotRun(Why::TooLate));
    assert!(bench.rig.answer(long).is_done());
    assert!(bench.order(10).is_none() && bench.order(11).is_none());
}

#[test]
fn a_batch_that_waits_for_a_busy_store_is_told_when_its_deadline_has_passed() {
    let mut bench = Bench::stocked();
    let mut envelope = place(10, &[(0, 1)], "ok");
    envelope.deadline = Some(bench.rig.now() + Span::secs(1));
    let number = ask(&mut bench, envelope);
    bench.memory.faults().fail(On::Commit, 1_000, Fault::Transient("busy".to_owned()));
    for _ in 0..5 {
        assert_eq!(bench.step().unwrap(), Step::BackOff);
        bench.rig.advance(Span::millis(250));
    }
    let _ = bench.step().unwrap();
    assert_eq!(bench.rig.answer(number), Seen::NotRun(Why::TooLate));
    bench.memory.faults().clear();
    bench.settle();
    assert!(bench.order(10).is_none());
}

#[test]
fn checkout_goes_first_and_long_work_gets_a_fifth_of_a_batch() {
    let mut bench = Bench::stocked();
    let mut lanes = Vec::new();
    for n in 0..20 {
        for (lane, id) in [(Lane::Batch, 200), (Lane::Normal, 300), (Lane::Checkout, 400)] {
            let odd_long_work = lane == Lane::Batch && n % 2 == 1;
            let mut envelope = if odd_long_work { create(0) } else { receive(id + n, 0, 1) };
            envelope.lane = lane;
            lanes.push((ask(&mut bench, envelope), lane));
        }
    }
    assert_eq!(bench.step().unwrap(), Step::Worked);
    let record = bench.rig.record();
    let heard = record.answers.iter().rev().take(record.answers.len() - 6);
    let first: Vec<_> =
        heard.map(|(n, _)| lanes.iter().find(|(at, _)| at == n).unwrap().1).rev().collect();
    drop(record);
    let mut expected = vec![Lane::Checkout; 20];
    expected.extend([Lane::Normal; 20]);
    expected.extend([Lane::Batch; 10]);
    assert_eq!(first, expected);
    bench.settle();
    assert_eq!(bench.available(0), 54);
}

#[test]
fn a_full_disk_stops_new_business_keeps_sagas_and_ends_by_itself_when_there_is_room() {
    let mut bench = Bench::stocked();
    assert!(bench.run(place(10, &[(0, 1)], "ok")).is_done());
    let before = bench.memory.dump();
    bench.memory.faults().fail(On::Commit, 3, full());
    let number = ask(&mut bench, keyed(place(11, &[(0, 1)], "ok"), "k", 1));
    bench.rig.tell(captured(10, 1_000));
    assert_eq!(bench.step().unwrap(), Step::BackOff);
    assert_eq!(bench.rig.answer(number), Seen::NotRun(Why::Full));
    let refused = ask(&mut bench, place(12, &[(0, 1)], "ok"));
    assert_eq!(bench.rig.answer(refused), Seen::NotRun(Why::Full), "at once");
    assert_eq!(bench.step().unwrap(), Step::BackOff);
    assert_eq!(bench.step().unwrap(), Step::BackOff);
    same_rows(&before, &bench.memory.dump());
    assert_eq!(bench.step().unwrap(), Step::Worked, "there is room: the capture that waited");
    assert_eq!(bench.order(10).unwrap().state.name(), "COMPLETED");
    assert!(bench.run(keyed(place(11, &[(0, 1)], "ok"), "k", 1)).is_done());
}

#[test]
fn a_full_disk_is_tried_again_even_when_nothing_waits() {
    let mut bench = Bench::stocked();
    bench.memory.faults().fail(On::Write, 3, full());
    let number = ask(&mut bench, place(11, &[(0, 1)], "ok"));
    assert_eq!(bench.step().unwrap(), Step::BackOff);
    assert_eq!(bench.rig.answer(number), Seen::NotRun(Why::Full));
    let mailbox = Arc::clone(bench.rig.mailbox(jangbu_domain::order::command::UNIT));
    for _ in 0..2 {
        assert_eq!(bench.step().unwrap(), Step::Idle);
        assert_eq!(mailbox.read_only(), Some(Why::Full));
        bench.rig.advance(Span::secs(1));
    }
    bench.settle();
    assert_eq!(mailbox.read_only(), None);
    assert!(bench.run(place(11, &[(0, 1)], "ok")).is_done());
}

#[test]
fn when_the_store_fails_everybody_is_told_and_nothing_is_taken_any_more() {
    for fault in [Fault::Fatal("gone".to_owned()), Fault::LostEpoch("another owner".to_owned())] {
        for on in [On::Begin, On::Read, On::Write, On::Commit] {
            let mut bench = Bench::stocked();
            let before = bench.memory.dump();
            let numbers: Vec<_> = (10..14).map(|id| ask(&mut bench, hold(id, &[(0, 1)]))).collect();
            bench.rig.restart_cell_only();
            bench.memory.faults().fail(on, 1, fault.clone());
            assert_eq!(bench.step(), Err(fault.clone()), "{on:?}");
            for number in numbers {
                assert_eq!(bench.rig.answer(number), Seen::NotRun(Why::StoreFailed));
            }
            let refused = ask(&mut bench, hold(14, &[(0, 1)]));
            assert_eq!(bench.rig.answer(refused), Seen::NotRun(Why::StoreFailed));
            same_rows(&before, &bench.memory.dump());
            assert!(bench.rig.record().jobs.is_empty());
        }
    }
}

#[test]
fn whoever_waits_for_a_commit_that_may_have_happened_is_told_when_the_store_dies() {
    for happened in [true, false] {
        let mut bench = Bench::stocked();
        let order = || keyed(place(10, &[(0, 1)], "ok"), "k", 1);
        let under_way = ask(&mut bench, order());
        let faults = bench.memory.faults();
        lose(faults, happened);
        faults.fail_after(1, On::Begin, 1, Fault::Transient("busy".to_owned()));
        assert_eq!(bench.step(), Ok(Step::BackOff), "nobody knows yet");
        let behind = ask(&mut bench, hold(11, &[(1, 1)]));
        bench.memory.faults().fail(On::Begin, 1, Fault::Fatal("gone".to_owned()));
        assert!(matches!(bench.step(), Err(Fault::Fatal(_))));
        assert_eq!(bench.rig.answer(under_way), Seen::NotRun(Why::Unsure), "it may have happened");
        assert_eq!(bench.rig.answer(behind), Seen::NotRun(Why::StoreFailed), "it has not");
        // The store is back: the same key tells, and does it once.
        bench.memory.faults().clear();
        bench.rig.restart();
        assert_eq!(bench.order(10).is_some(), happened);
        let told = bench.run(order());
        assert!(matches!(told, Seen::Done { replayed, .. } if replayed == happened), "{told:?}");
        assert!(bench.order(11).is_none());
        assert_eq!(bench.available(0), 3);
    }
}

#[test]
fn a_disk_that_really_runs_full_loses_nothing_that_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let file = Sqlite::new(dir.path().join("jangbu.db"), TABLES, MIGRATIONS);
    let options = Options { max_pages: Some(128), ..Options::default() };
    let small: Arc<dyn Backend> = Arc::new(file.clone().with_options(options));
    let mut rig = Rig::new(ONE);
    let order = |n: i64| keyed(place(100 + n, &[(0, 1)], "ok"), &format!("k-{n}"), 1);
    let mut taken = Vec::new();
    open_all(&[small], &mut |stores| {
        rig.ask(create(0));
        rig.ask(receive(1, 0, 5_000));
        rig.settle(stores);
        for n in 0..2_000 {
            let number = rig.ask(order(n));
            if rig.step(stores, 0).unwrap() == Step::BackOff {
                assert_eq!(rig.answer(number), Seen::NotRun(Why::Full));
                let refused = rig.ask(order(n + 1));
                assert_eq!(rig.answer(refused), Seen::NotRun(Why::Full), "at once");
                return;
            }
            assert!(rig.answer(number).is_done());
            taken.push(n);
        }
        panic!("the disk does not run full");
    });
    assert!(taken.len() > 20, "{} orders", taken.len());
    rig.restart();
    open_all(&[Arc::new(file.clone())], &mut |stores| {
        for n in taken.iter().copied().chain([9_999]) {
            let number = rig.ask(order(n));
            rig.settle(stores);
            let new = n == 9_999;
            let seen = rig.answer(number);
            assert!(
                matches!(seen, Seen::Done { replayed, .. } if replayed != new),
                "{n}: {seen:?}"
            );
        }
    });
    assert_eq!(file.diagnose().unwrap(), Vec::<String>::new());
}
