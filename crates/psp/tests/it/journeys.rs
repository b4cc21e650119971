//! What can happen on the way: silence, late answers, losses, duplicates, outages, chance.

use std::{
    sync::{
        Arc,
        mpsc::{RecvTimeoutError, channel},
    },
    time::{Duration, Instant},
};

use jangbu_psp::{
    Gateway, Op, Outage, Request, Said, SimConfig,
    log::{Kind, Record},
    simulator::{Latency, Rates},
};

use crate::{Bench, LONG, SILENCE, prompt, request, short};

fn with_rates(rates: Rates) -> SimConfig {
    SimConfig { rates, ..prompt() }
}

#[test]
fn hidden_success_is_found_by_inquiry() {
    let bench = Bench::new(prompt());
    for (payment, token, found) in [
        (1, "tok_timeout_captured", "captured 100"),
        (2, "tok_timeout_authorized", "authorized 100"),
        (3, "tok_timeout_declined", "declined CARD_DECLINED"),
        (4, "tok_timeout_lost", "not found"),
    ] {
        let answer = bench.with_token(token, Op::Charge, payment, 100);
        assert_eq!(answer.recv_timeout(SILENCE), Err(RecvTimeoutError::Timeout), "{token}");
        assert_eq!(short(&bench.say(Op::Inquire, payment, 0, 0)), found, "{token}");
    }
    assert_eq!(bench.sim().stats().silent, 4);
}

#[test]
fn a_silent_refund_is_found_by_its_number() {
    let bench = Bench::new(prompt());
    bench.say(Op::Charge, 1, 0, 100);
    for (no, token, found) in
        [(1, "tok_refund_timeout", "refunded 10"), (2, "tok_refund_lost", "not found")]
    {
        let refund = Request { token: token.into(), ..request(Op::Refund, 1, no, 10) };
        let answer = bench.send(refund);
        assert_eq!(answer.recv_timeout(SILENCE), Err(RecvTimeoutError::Timeout));
        assert_eq!(short(&bench.say(Op::Inquire, 1, no, 0)), found);
    }
}

#[test]
fn a_late_answer_comes_by_webhook() {
    let bench = Bench::new(prompt());
    let answer = bench.with_token("tok_late", Op::Charge, 5, 100);
    assert_eq!(short(&bench.say(Op::Inquire, 5, 0, 0)), "captured 100");
    let webhook = bench.webhook(LONG).expect("a webhook");
    assert_eq!((webhook.payment, webhook.op, webhook.no), (5, Op::Charge, 0));
    assert_eq!(short(&webhook.said), "captured 100");
    assert_eq!(answer.recv_timeout(SILENCE), Err(RecvTimeoutError::Timeout));
}

#[test]
fn a_delayed_charge_arrives_unless_it_was_fenced() {
    let bench = Bench::new(SimConfig { late_ms: 400, ..prompt() });
    let _fenced = bench.with_token("tok_delayed", Op::Charge, 1, 100);
    let _taken = bench.with_token("tok_delayed", Op::Charge, 2, 100);
    assert_eq!(short(&bench.say(Op::Inquire, 1, 0, 0)), "not found");
    assert_eq!(short(&bench.say(Op::Fence, 1, 0, 0)), "fenced");
    let patience = Instant::now() + LONG;
    while bench.say(Op::Inquire, 2, 0, 0) == Said::NotFound {
        assert!(Instant::now() < patience, "the delayed charge never arrived");
    }
    assert_eq!(short(&bench.say(Op::Inquire, 2, 0, 0)), "captured 100");
    assert_eq!(short(&bench.say(Op::Inquire, 1, 0, 0)), "fenced");
    let took: Vec<_> =
        bench.records().iter().filter(|r| r.moved() > 0).map(|r| r.payment).collect();
    assert_eq!(took, [2]);
}

#[test]
fn a_lost_request_arrives_when_it_is_repeated() {
    let bench = Bench::new(with_rates(Rates { lost: 1.0, ..Rates::default() }));
    let lost = bench.send(request(Op::Charge, 1, 0, 100));
    assert_eq!(lost.recv_timeout(SILENCE), Err(RecvTimeoutError::Timeout));
    assert_eq!(short(&bench.say(Op::Inquire, 1, 0, 0)), "not found");
    assert_eq!(short(&bench.say(Op::Charge, 1, 0, 100)), "captured 100");
}

#[test]
fn what_was_done_in_silence_is_told_when_asked_again() {
    for rates in
        [Rates { silent: 1.0, ..Rates::default() }, Rates { late: 1.0, ..Rates::default() }]
    {
        let bench = Bench::new(with_rates(rates));
        let unheard = bench.send(request(Op::Charge, 1, 0, 100));
        assert_eq!(short(&bench.say(Op::Charge, 1, 0, 100)), "captured 100");
        assert_eq!(unheard.recv_timeout(SILENCE), Err(RecvTimeoutError::Timeout));
        assert_eq!(bench.records().len(), 1);
    }
}

#[test]
fn duplicates_say_the_same_again() {
    let bench = Bench::new(with_rates(Rates { duplicate: 1.0, ..Rates::default() }));
    let said = bench.say(Op::Charge, 9, 0, 100);
    let webhook = bench.webhook(LONG).expect("a webhook");
    assert_eq!((webhook.payment, webhook.said), (9, said));
    bench.sim().set_rates(Rates::default()).unwrap();
    bench.say(Op::Charge, 10, 0, 100);
    assert_eq!(bench.webhook(SILENCE), None);
}

#[test]
fn an_outage_is_switched_while_it_runs() {
    let bench = Bench::new(prompt());
    bench.sim().set_outage(Outage::Refuse);
    let refused = bench.say(Op::Charge, 1, 0, 100);
    assert!(refused.is_fault() && refused.is_certain());
    assert_eq!(short(&refused), "not sent connection refused");
    bench.sim().set_outage(Outage::Hang);
    for op in [Op::Charge, Op::Inquire, Op::Fence] {
        let answer = bench.send(request(op, 2, 0, 100));
        assert_eq!(answer.recv_timeout(SILENCE), Err(RecvTimeoutError::Timeout), "{op:?}");
    }
    bench.sim().set_outage(Outage::None);
    for payment in [1, 2] {
        assert_eq!(short(&bench.say(Op::Inquire, payment, 0, 0)), "not found");
        assert_eq!(short(&bench.say(Op::Charge, payment, 0, 100)), "captured 100");
    }
}

#[test]
fn it_lets_go_of_silent_requests() {
    let bench = Bench::new(SimConfig { hang_ms: 20, ..prompt() });
    let answer = bench.with_token("tok_timeout_captured", Op::Charge, 1, 100);
    assert_eq!(answer.recv_timeout(LONG), Err(RecvTimeoutError::Disconnected));
}

#[test]
fn answers_come_within_the_bounds_of_the_latency() {
    let latency = Latency { min_ms: 20, max_ms: 40, ..Latency::default() };
    let bench = Bench::new(SimConfig { latency, ..prompt() });
    let mut took: Vec<Duration> = Vec::new();
    for payment in 0..30 {
        let sent = Instant::now();
        bench.say(Op::Charge, payment, 0, 100);
        took.push(sent.elapsed());
    }
    took.sort();
    assert!(took[0] >= Duration::from_millis(20), "too early: {took:?}");
    // On a busy machine a few may be late, not the half of them.
    assert!(took[15] < Duration::from_millis(100), "too late: {took:?}");
    assert!(took[20] > took[5] + Duration::from_millis(2), "not spread: {took:?}");
}

#[test]
fn a_slow_card_is_slow() {
    let bench = Bench::new(SimConfig { slow_ms: 80, ..prompt() });
    let sent = Instant::now();
    let answer = bench.with_token("tok_slow", Op::Charge, 1, 100).recv_timeout(LONG).unwrap();
    assert_eq!(short(&answer), "captured 100");
    assert!(sent.elapsed() >= Duration::from_millis(80));
}

#[test]
fn a_receiver_that_panics_harms_nobody() {
    let bench = Bench::new(prompt());
    bench.sim().submit(request(Op::Charge, 1, 0, 100), Box::new(|_| panic!("broken receiver")));
    assert_eq!(short(&bench.say(Op::Inquire, 1, 0, 0)), "captured 100");
    assert_eq!(bench.sim().stats().panics, 1);
}

/// An answer whose receiver drops the last handle of the gateway: its thread must not wait for itself.
#[test]
fn the_gateway_may_be_dropped_from_its_own_thread() {
    let mut bench = Bench::new(prompt());
    let sim = Arc::new(bench.sim.take().unwrap());
    let (held, (send, dropped)) = (Arc::clone(&sim), channel());
    let (go, wait) = channel::<()>();
    let done = Box::new(move |_| {
        wait.recv().unwrap();
        drop(held);
        send.send(()).unwrap();
    });
    sim.submit(request(Op::Charge, 1, 0, 100), done);
    drop(sim);
    go.send(()).unwrap();
    dropped.recv_timeout(LONG).expect("the drop returns");
}

const MIXED: Rates = Rates {
    decline: 0.2,
    refund_refused: 0.3,
    silent: 0.1,
    late: 0.1,
    lost: 0.1,
    delayed: 0.0,
    duplicate: 0.1,
};

/// Charges and refunds under mixed rates: what the gateway did, without the times.
fn history(seed: u64, payments: &[i64]) -> Vec<Record> {
    let mut bench = Bench::new(SimConfig { seed, ..with_rates(MIXED) });
    for &payment in payments {
        bench.send(request(Op::Charge, payment, 0, 100));
        bench.send(request(Op::Refund, payment, 1, 40));
    }
    bench.say(Op::Inquire, 0, 0, 0);
    let stats = bench.sim().stats();
    assert_eq!(stats.requests, payments.len() as u64 * 2 + 1);
    bench.stop();
    let mut records = bench.records();
    for record in &mut records {
        (record.at_us, record.place) = (0, 0);
    }
    records.sort_by_key(|r| (r.payment, r.no));
    records
}

#[test]
fn the_seed_decides_and_the_order_does_not() {
    let forward: Vec<i64> = (1..=500).collect();
    let backward: Vec<i64> = forward.iter().rev().copied().collect();
    let first = history(42, &forward);
    assert_eq!(first, history(42, &backward));
    assert_ne!(first, history(43, &forward));
}

#[test]
fn rates_are_met() {
    let payments: Vec<i64> = (1..=4_000).collect();
    let records = history(7, &payments);
    let count = |kind| records.iter().filter(|r| r.kind == kind).count();
    // Of 4,000 charges 10 % are lost; of the rest 20 % are declined.
    let opened = count(Kind::Charge) + count(Kind::Decline);
    assert!((3_500..3_700).contains(&opened), "{opened} arrived");
    assert!((650..790).contains(&count(Kind::Decline)), "{} declined", count(Kind::Decline));
    // 30 % of the refunds that arrive at a captured payment are refused, all that meet a decline.
    let refunds = count(Kind::Refund);
    assert!((1_700..1_930).contains(&refunds), "{refunds} refunded");
}

#[test]
fn settings_are_read_and_checked() {
    let text = r#"{ "seed": 9, "latency": { "max_ms": 30 }, "rates": { "silent": 0.5 } }"#;
    let config: SimConfig = serde_json::from_str(text).unwrap();
    assert_eq!((config.seed, config.latency.min_ms, config.latency.max_ms), (9, 5, 30));
    config.check().unwrap();
    assert_eq!(serde_json::from_str::<SimConfig>("{}").unwrap(), SimConfig::default());
    assert!(serde_json::from_str::<SimConfig>(r#"{ "sed": 1 }"#).is_err());
    let wrong = |rates| with_rates(rates).check().unwrap_err().setting;
    assert_eq!(wrong(Rates { decline: 1.1, ..Rates::default() }), "rates.decline");
    assert_eq!(wrong(Rates { lost: f64::NAN, ..Rates::default() }), "rates.lost");
    let both = Rates { silent: 0.6, lost: 0.6, ..Rates::default() };
    assert_eq!(wrong(both), "rates.silent + late + lost + delayed");
    let latency = Latency { min_ms: 9, max_ms: 8, ..Latency::default() };
    assert!(SimConfig { latency, ..prompt() }.check().is_err());
}

#[test]
fn the_documented_settings_are_the_defaults() {
    let (_, rest) = include_str!("../../README.md").split_once("```toml").unwrap();
    let (settings, _) = rest.split_once("```").unwrap();
    assert_eq!(toml::from_str::<SimConfig>(settings).unwrap(), SimConfig::default());
    assert_eq!(settings.lines().filter(|line| line.contains('=')).count(), 15);
}

#[test]
fn requests_and_answers_travel_as_bytes_and_hide_the_token() {
    let ask = request(Op::Refund, 77, 2, 500);
    let bytes = postcard::to_allocvec(&ask).unwrap();
    assert_eq!(postcard::from_bytes::<Request>(&bytes).unwrap(), ask);
    assert!(!format!("{ask:?}").contains("visa"));
    for said in [
        Said::Captured { psp_ref: "sim_1".into(), amount: 5 },
        Said::Declined { code: "CARD_DECLINED".into() },
        Said::Fenced,
    ] {
        let bytes = postcard::to_allocvec(&said).unwrap();
        assert_eq!(postcard::from_bytes::<Said>(&bytes).unwrap(), said);
    }
}
