//! Many requests: counts only, because time belongs to benchmarks.

use std::{
    sync::mpsc::{Sender, channel},
    thread,
};

use jangbu_psp::{Gateway, Op, Said, SimConfig, Simulator, log::Record};

use crate::{Bench, request, short};

const REQUESTS: i64 = 20_000;

/// Four senders, the usual latency: each request is answered once and recorded once, in far fewer
/// syncs than requests.
#[test]
fn twenty_thousand_requests_are_each_answered_once() {
    let bench = Bench::new(SimConfig::default());
    let (answer, answers) = channel();
    thread::scope(|scope| {
        for sender in 0..4 {
            let (sim, answer) = (bench.sim(), answer.clone());
            scope.spawn(move || {
                (0..REQUESTS / 4).for_each(|n| charge(sim, n * 4 + sender, &answer));
            });
        }
    });
    drop(answer);
    // The channel ends when the last `done` has run: this counts all answers, and no more.
    let said: Vec<Said> = answers.iter().collect();
    assert_eq!(said.len(), 20_000);
    assert!(said.iter().all(|said| matches!(said, Said::Captured { amount: 100, .. })));
    let stats = bench.sim().stats();
    assert_eq!((stats.answers, stats.records, stats.payments), (20_000, 20_000, 20_000));
    assert!(stats.syncs < 5_000, "{} syncs", stats.syncs);
    assert_eq!(bench.records().len(), 20_000);
}

fn charge(sim: &Simulator, payment: i64, answer: &Sender<Said>) {
    let answer = answer.clone();
    sim.submit(
        request(Op::Charge, payment, 0, 100),
        Box::new(move |said| answer.send(said).unwrap()),
    );
}

/// The same charge from 64 threads at once takes the money once.
#[test]
fn one_key_from_sixty_four_senders_is_one_charge() {
    let bench = Bench::new(crate::prompt());
    thread::scope(|scope| {
        for _ in 0..64 {
            scope.spawn(|| assert_eq!(short(&bench.say(Op::Charge, 1, 0, 100)), "captured 100"));
        }
    });
    assert_eq!(bench.records().len(), 1);
}

/// 64 refunds of a third each: three are paid, the rest is refused, and it adds up.
#[test]
fn parallel_refunds_stop_at_what_was_captured() {
    let bench = Bench::new(crate::prompt());
    bench.say(Op::Charge, 1, 0, 100);
    thread::scope(|scope| {
        for no in 1..=64 {
            let bench = &bench;
            scope.spawn(move || bench.say(Op::Refund, 1, no, 33));
        }
    });
    let moved: i64 = bench.records().iter().map(Record::moved).sum();
    assert_eq!(moved, 1);
    assert_eq!(bench.records().len(), 65);
}
