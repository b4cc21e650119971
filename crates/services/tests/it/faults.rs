//! Abort, clear and run again give the same: whatever call of the store fails, answers and rows
//! are as if nothing had happened, and nothing is said or called twice or lost. P3: a call leaves
//! only after the commit that wrote down its intent.

use jangbu_engine::cell::Step;
use jangbu_engine::port::Fault;
use jangbu_kernel::{Envelope, Time};
use jangbu_store::{Dump, On};
use proptest::prelude::*;

use crate::history::{Sent, commerce, compile, history};
use crate::rig::{Bench, Seen, lose, same_rows};
use crate::stage::{cancel, captured, create, hold, keyed, place, receive, refund};

const CALLS: [On; 4] = [On::Begin, On::Read, On::Write, On::Commit];

fn busy() -> Fault {
    Fault::Transient("busy, as planned".to_owned())
}

/// A batch that touches every unit: it sells, calls, books and refuses.
fn busy_batch() -> Vec<Envelope> {
    vec![
        keyed(place(10, &[(0, 2), (1, 1)], "ok"), "a", 1),
        keyed(place(11, &[(0, 2), (1, 1)], "ok"), "a", 1),
        place(12, &[(1, 9)], "ok"),
        create(4),
        hold(13, &[(2, 1)]),
        refund(1, Some(&[(0, 1)])),
        receive(60, 2, 5),
        cancel(2),
        place(14, &[(7, 1)], "ok"),
    ]
}

/// One order sold, one charged and not answered yet, the caches warm.
fn stage() -> Bench {
    let mut bench = Bench::stocked();
    assert!(bench.run(place(1, &[(0, 1)], "ok")).is_done());
    bench.settle_with_gateway();
    assert!(bench.run(place(2, &[(1, 1)], "ok")).is_done());
    bench.rig.record().jobs.clear();
    bench
}

/// What a run of the batch left behind.
#[derive(Debug)]
struct Left {
    answers: Vec<Seen>,
    rows: Dump,
    jobs: Vec<String>,
    signals: Vec<i64>,
}

impl Left {
    fn of(bench: &Bench) -> Self {
        let record = bench.rig.record();
        let (jobs, signals) = (&record.jobs, record.signals.clone());
        let jobs = jobs.iter().map(|job| format!("{job:?}")).collect();
        drop(record);
        Self { answers: bench.rig.answers(), rows: bench.memory.dump(), jobs, signals }
    }
}

fn same(one: &Left, other: &Left) {
    assert_eq!(one.answers, other.answers);
    same_rows(&one.rows, &other.rows);
    assert_eq!(one.jobs, other.jobs);
    assert_eq!(one.signals, other.signals);
}

/// Puts the batch and a capture into the mailbox; nothing is run.
fn post(bench: &mut Bench) {
    for envelope in busy_batch() {
        bench.rig.ask(envelope);
    }
    bench.rig.tell(captured(2, 1_000));
}

/// Steps until nothing waits; says how often the store was busy.
fn drain(bench: &mut Bench) -> u32 {
    let mut backed_off = 0;
    for _ in 0..100 {
        match bench.step().unwrap() {
            Step::Idle => return backed_off,
            Step::BackOff => backed_off += 1,
            Step::Worked => {}
        }
    }
    panic!("the batch does not come to an end");
}

fn calm() -> Left {
    let mut bench = stage();
    post(&mut bench);
    assert_eq!(drain(&mut bench), 0);
    Left::of(&bench)
}

#[test]
fn a_busy_store_changes_neither_answers_nor_rows_nor_calls_whichever_call_fails() {
    let calm = calm();
    assert_eq!((calm.jobs.len(), calm.signals.len()), (3, 2), "the batch does something");
    for on in CALLS {
        for skip in 0..6 {
            let mut bench = stage();
            bench.memory.faults().fail_after(skip, on, 1, busy());
            post(&mut bench);
            let backed_off = drain(&mut bench);
            let hit = bench.memory.faults().is_spent();
            assert_eq!(backed_off, u32::from(hit), "{on:?} after {skip}");
            same(&calm, &Left::of(&bench));
        }
    }
}

#[test]
fn a_store_that_is_busy_for_long_keeps_the_batch_and_its_order() {
    let calm = calm();
    for on in CALLS {
        let mut bench = stage();
        bench.memory.faults().fail(on, 7, busy());
        post(&mut bench);
        assert_eq!(drain(&mut bench), 7);
        same(&calm, &Left::of(&bench));
    }
}

#[test]
fn nobody_hears_and_nothing_is_called_before_the_commit() {
    for on in CALLS {
        let mut bench = stage();
        let (heard, before) = (bench.rig.record().answers.len(), bench.memory.dump());
        bench.memory.faults().fail(on, 3, busy());
        post(&mut bench);
        for _ in 0..3 {
            assert_eq!(bench.step().unwrap(), Step::BackOff);
            let record = bench.rig.record();
            assert_eq!(record.answers.len(), heard, "{on:?}: an answer without a commit");
            assert!(record.jobs.is_empty(), "{on:?}: a call without a row");
            drop(record);
            same_rows(&before, &bench.memory.dump());
        }
    }
}

#[test]
fn a_lost_commit_answer_is_found_in_the_shard_row_and_everything_is_said_once() {
    let calm = calm();
    for done in [true, false] {
        let mut bench = stage();
        lose(bench.memory.faults(), done);
        post(&mut bench);
        assert_eq!(drain(&mut bench), 0);
        assert!(bench.memory.faults().is_spent());
        same(&calm, &Left::of(&bench));
        bench.rig.restart();
        assert_eq!(drain(&mut bench), 0);
        same(&calm, &Left::of(&bench));
    }
}

#[test]
fn a_lost_commit_answer_is_not_forgotten_while_the_store_cannot_be_asked() {
    let calm = calm();
    for done in [true, false] {
        for on in [On::Begin, On::Read] {
            let mut bench = stage();
            lose(bench.memory.faults(), done);
            post(&mut bench);
            let at_the_commit = if on == On::Begin { 1 } else { reads_of_the_batch() };
            bench.memory.faults().fail_after(at_the_commit, on, 3, busy());
            assert_eq!(drain(&mut bench), 3, "{on:?}, done: {done}");
            assert!(bench.memory.faults().is_spent());
            same(&calm, &Left::of(&bench));
        }
    }
}

/// How many reads the batch takes before it commits.
fn reads_of_the_batch() -> u32 {
    for skip in 0..100 {
        let mut bench = stage();
        bench.memory.faults().fail_after(skip, On::Read, 1, busy());
        post(&mut bench);
        if drain(&mut bench) == 0 {
            return skip;
        }
    }
    panic!("the batch reads without end");
}

#[test]
fn several_lost_answers_in_a_row_still_have_one_effect() {
    let calm = calm();
    let mut bench = stage();
    bench.memory.faults().lose_commits(0, 3);
    bench.memory.faults().lose_answers(0, 1);
    post(&mut bench);
    drain(&mut bench);
    same(&calm, &Left::of(&bench));
}

/// A fault of a drawn kind, at a drawn call.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    Busy(usize),
    LostAfter,
    LostBefore,
    Crash,
}

fn trouble() -> impl Strategy<Value = Trouble> {
    prop_oneof![
        4 => (0..CALLS.len()).prop_map(Trouble::Busy),
        1 => Just(Trouble::LostAfter),
        1 => Just(Trouble::LostBefore),
        2 => Just(Trouble::Crash),
    ]
}

/// Each command by itself, with the gateway, and trouble at some of them.
fn live(sent: &[Sent], troubles: &[(Trouble, u32)]) -> (Vec<String>, Dump, u32) {
    let mut bench = Bench::new();
    let mut troubles = troubles.iter().cycle();
    for (at, sent) in sent.iter().enumerate() {
        bench.rig.set(Time(sent.now.0.max(bench.rig.now().0 + 21_000)));
        settle(&mut bench);
        if at % 3 == 0 {
            plan(&mut bench, troubles.next());
        }
        let mut envelope = sent.envelope();
        envelope.now = bench.rig.now();
        bench.rig.ask(envelope);
        settle(&mut bench);
        bench.memory.faults().clear();
    }
    bench.run_out();
    let verdicts = bench.rig.answers().iter().map(Seen::verdict).collect();
    (verdicts, bench.memory.dump(), bench.gateway.most_charges())
}

fn plan(bench: &mut Bench, trouble: Option<&(Trouble, u32)>) {
    let faults = bench.memory.faults();
    match trouble {
        None => {}
        Some((Trouble::Busy(on), skip)) => faults.fail_after(*skip, CALLS[*on], 2, busy()),
        Some((Trouble::LostAfter, skip)) => faults.lose_answers(*skip, 1),
        Some((Trouble::LostBefore, skip)) => faults.lose_commits(*skip, 1),
        Some((Trouble::Crash, _)) => bench.rig.restart(),
    }
}

/// As the rig settles, but a busy store is tried again.
fn settle(bench: &mut Bench) {
    loop {
        drain(bench);
        let jobs = std::mem::take(&mut bench.rig.record().jobs);
        if jobs.is_empty() {
            return;
        }
        for job in jobs {
            let body = bench.gateway.hear(&job);
            bench.rig.tell(Envelope::new(job.to, jangbu_kernel::Origin::Event, body));
            drain(bench);
        }
    }
}

proptest! {
    #![proptest_config(crate::rig::cases(32))]

    #[test]
    fn histories_with_faults_and_crashes_between_commands_end_as_without(
        ops in history(commerce(), 5..30),
        troubles in prop::collection::vec((trouble(), 0..4_u32), 1..12),
    ) {
        let sent = compile(&ops);
        let (verdicts, rows, _) = live(&sent, &[]);
        let (others, after, charges) = live(&sent, &troubles);
        prop_assert_eq!(verdicts, others);
        same_rows(&rows, &after);
        prop_assert!(charges <= 1, "charged {} times", charges);
    }
}
