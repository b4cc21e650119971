//! Stories as text: requests of one payment, in order, and what the gateway says to each.
//!
//! `charge 100`, `refund#2 30`, `charge:tok_declined 100`, `capture/USD 10`; a line `restart` reopens
//! the log. At the end of each story everything is asked again, before and after a restart.

use std::collections::{BTreeMap, HashSet};

use jangbu_psp::{
    Currency, Op, Request, Said, SimConfig,
    log::{Kind, Record},
};
use proptest::prelude::*;

use crate::{Bench, LONG, prompt, request, short};

fn check(story: &str) {
    let mut bench = Bench::new(prompt());
    let mut asked = Vec::new();
    for line in story.lines().map(str::trim).filter(|line| !line.is_empty()) {
        if line == "restart" {
            bench.restart();
            continue;
        }
        let (what, expected) = line.split_once("=>").expect("request => answer");
        let request = parse(what.trim());
        let said = bench.ask(request.clone());
        assert_eq!(short(&said), expected.trim(), "{line}");
        asked.push((request, said));
    }
    let records = bench.records();
    same_again(&bench, &asked);
    bench.restart();
    same_again(&bench, &asked);
    assert_eq!(bench.records(), records, "repeated requests left records");
    assert_sound(&records);
}

/// What has an effect is answered alike for ever; an inquiry may say something newer.
fn same_again(bench: &Bench, asked: &[(Request, Said)]) {
    for (request, said) in asked {
        let effect = !matches!(said, Said::NotFound | Said::Refused { .. });
        if request.op.moves_money() && effect {
            assert_eq!(&bench.ask(request.clone()), said, "{request:?} again");
        }
    }
}

fn parse(text: &str) -> Request {
    let (verb, amount) = text.split_once(' ').unwrap_or((text, "0"));
    let (verb, currency) = verb.split_once('/').unwrap_or((verb, "KRW"));
    let (verb, token) = verb.split_once(':').unwrap_or((verb, "tok_visa"));
    let (verb, no) = verb.split_once('#').unwrap_or((verb, "0"));
    let op = match verb {
        "charge" => Op::Charge,
        "authorize" => Op::Authorize,
        "capture" => Op::Capture,
        "void" => Op::Void,
        "refund" => Op::Refund,
        "inquire" => Op::Inquire,
        "fence" => Op::Fence,
        other => panic!("no such request: {other}"),
    };
    let currency = Currency(currency.as_bytes().try_into().unwrap());
    let request = request(op, 7, no.parse().unwrap(), amount.parse().unwrap());
    Request { token: token.into(), currency, ..request }
}

/// The rules of README.md, checked by a model that shares nothing with the books.
fn assert_sound(records: &[Record]) {
    let (mut opened, mut closed, mut keys) = (BTreeMap::new(), HashSet::new(), HashSet::new());
    let mut owed: BTreeMap<i64, i64> = BTreeMap::new();
    for r in records {
        match r.kind {
            Kind::Charge | Kind::Authorize | Kind::Decline => {
                assert!(opened.insert(r.payment, (r.amount, r.currency)).is_none(), "{r:?} twice");
            }
            Kind::Fence if r.no == 0 => {
                assert!(opened.insert(r.payment, (0, r.currency)).is_none(), "{r:?} twice");
            }
            Kind::Capture | Kind::Void => {
                assert!(closed.insert(r.payment), "{r:?} twice");
                assert!(r.amount <= opened[&r.payment].0, "{r:?} above what was authorised");
            }
            Kind::Refund | Kind::Refuse | Kind::Fence => {
                assert!(keys.insert((r.payment, r.no)), "{r:?} twice");
            }
        }
        if r.moved() != 0 {
            assert_eq!(r.currency, opened[&r.payment].1, "{r:?} in another currency");
        }
        let owed = owed.entry(r.payment).or_default();
        *owed += r.moved();
        assert!(*owed >= 0, "{r:?} gave back more than was taken");
    }
}

#[test]
fn a_charge_is_taken_once() {
    check(
        "inquire => not found
         charge 100 => captured 100
         charge 100 => captured 100
         charge 90 => refused KEY_REUSED
         charge/USD 100 => refused KEY_REUSED
         authorize 100 => refused KEY_REUSED
         restart
         charge 100 => captured 100
         charge 90 => refused KEY_REUSED
         inquire => captured 100",
    );
}

#[test]
fn amounts_must_be_positive() {
    check(
        "charge 0 => refused INVALID_AMOUNT
         charge -5 => refused INVALID_AMOUNT
         inquire => not found
         authorize 10 => authorized 10
         capture 0 => refused INVALID_AMOUNT
         capture -1 => refused INVALID_AMOUNT
         capture 10 => captured 10
         refund#1 0 => refused INVALID_AMOUNT
         refund#1 -10 => refused INVALID_AMOUNT
         refund#0 10 => refused INVALID_REFUND_NUMBER
         refund#1 10 => refunded 10",
    );
}

#[test]
fn capture_takes_at_most_what_was_authorised_and_once() {
    check(
        "capture 10 => not found
         authorize 100 => authorized 100
         capture 101 => refused CAPTURE_EXCEEDS_AUTHORIZED
         capture/USD 60 => refused CURRENCY_MISMATCH
         capture 60 => captured 60
         capture 60 => captured 60
         capture 40 => refused KEY_REUSED
         void => refused NOT_AUTHORIZED
         restart
         authorize 100 => authorized 100
         inquire => captured 60
         refund#1 61 => refused REFUND_EXCEEDS_CAPTURED",
    );
}

#[test]
fn void_and_capture_exclude_each_other() {
    check(
        "void => not found
         authorize 100 => authorized 100
         void => voided
         void => voided
         capture 100 => refused NOT_AUTHORIZED
         inquire => voided
         refund#1 10 => refused NOT_CAPTURED",
    );
}

#[test]
fn a_charge_leaves_nothing_to_capture_or_void() {
    check(
        "charge 100 => captured 100
         capture 100 => refused NOT_AUTHORIZED
         void => refused NOT_AUTHORIZED",
    );
}

#[test]
fn refunds_never_exceed_what_was_captured() {
    check(
        "refund#1 10 => not found
         charge 100 => captured 100
         refund#1 60 => refunded 60
         refund#1 60 => refunded 60
         refund#1 50 => refused KEY_REUSED
         refund#2 41 => refused REFUND_EXCEEDS_CAPTURED
         inquire#2 => refused REFUND_EXCEEDS_CAPTURED
         refund#3/USD 1 => refused CURRENCY_MISMATCH
         restart
         refund#4 40 => refunded 40
         refund#5 1 => refused REFUND_EXCEEDS_CAPTURED
         inquire#4 => refunded 40
         inquire#6 => not found
         refund#2 41 => refused REFUND_EXCEEDS_CAPTURED
         inquire => captured 100",
    );
}

#[test]
fn a_decline_is_for_ever() {
    check(
        "charge:tok_declined 100 => declined CARD_DECLINED
         charge 100 => declined CARD_DECLINED
         restart
         charge 100 => declined CARD_DECLINED
         inquire => declined CARD_DECLINED
         capture 100 => refused NOT_AUTHORIZED
         refund#1 100 => refused NOT_CAPTURED
         fence => declined CARD_DECLINED",
    );
}

#[test]
fn a_fence_beats_what_arrives_later() {
    check(
        "fence => fenced
         fence => fenced
         charge 100 => declined FENCED
         restart
         charge 100 => declined FENCED
         authorize 100 => declined FENCED
         capture 100 => refused FENCED
         void => refused FENCED
         inquire => fenced",
    );
}

#[test]
fn a_fence_loses_against_what_arrived_earlier() {
    check(
        "authorize 100 => authorized 100
         fence => authorized 100
         capture 100 => captured 100
         fence => captured 100
         refund#1 30 => refunded 30
         fence#1 => refunded 30
         fence#2 => fenced
         refund#2 30 => refused FENCED
         restart
         refund#2 30 => refused FENCED
         inquire#2 => fenced
         refund#3 70 => refunded 70",
    );
}

#[test]
fn tokens_force_outcomes() {
    check(
        "charge:tok_authorized_only 100 => authorized 100
         charge 100 => authorized 100
         inquire => authorized 100
         capture 100 => captured 100
         charge 100 => authorized 100",
    );
    check(
        "charge:tok_refund_refused 100 => captured 100
         restart
         refund#1 10 => refused REFUND_REFUSED
         inquire#1 => refused REFUND_REFUSED",
    );
    check(
        "charge 100 => captured 100
         refund#1:tok_refund_refused 10 => refused REFUND_REFUSED
         refund#2 10 => refunded 10",
    );
}

fn any_request() -> impl Strategy<Value = Request> {
    let ops = [
        Op::Charge,
        Op::Authorize,
        Op::Capture,
        Op::Void,
        Op::Refund,
        Op::Refund,
        Op::Inquire,
        Op::Fence,
    ];
    let token = prop::sample::select(vec!["tok_visa", "tok_visa", "tok_declined", "tok_slow"]);
    (prop::sample::select(ops.to_vec()), 1_i64..4, 0_u32..4, -1_i64..9, token).prop_map(
        |(op, payment, no, amount, token)| Request {
            token: token.into(),
            ..request(op, payment, no, amount)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is asked in whatever order: the log stays sound, its effects are exactly the answers
    /// that were given, and a restart forgets nothing.
    #[test]
    fn any_sequence_leaves_sound_books(requests in prop::collection::vec(any_request(), 1..40)) {
        let config = SimConfig { slow_ms: 0, ..prompt() };
        let mut bench = Bench::new(config);
        let pending: Vec<_> = requests.iter().map(|r| bench.send(r.clone())).collect();
        let said: Vec<_> = pending.iter().map(|p| p.recv_timeout(LONG).unwrap()).collect();
        let records = bench.records();
        assert_sound(&records);

        let inquiries: Vec<_> = (1..4)
            .flat_map(|payment| (0..4).map(move |no| request(Op::Inquire, payment, no, 0)))
            .collect();
        let before: Vec<_> = inquiries.iter().map(|r| bench.ask(r.clone())).collect();
        bench.restart();
        let after: Vec<_> = inquiries.iter().map(|r| bench.ask(r.clone())).collect();
        prop_assert_eq!(before, after);

        let took = |r: &Request| records.iter().any(|x| {
            (x.payment, x.op, x.amount) == (r.payment, r.op, r.amount)
                && (r.op != Op::Refund || x.no == r.no)
                && x.moved() != 0
        });
        for (r, s) in requests.iter().zip(&said) {
            if matches!(s, Said::Captured { .. } | Said::Refunded { .. }) && r.op.moves_money() {
                prop_assert!(took(r), "{r:?} was answered {s:?} and is not in the log");
            }
        }
    }
}
