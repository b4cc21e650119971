//! Payments, journals, overload and age, against the toy.

use std::collections::HashMap;

use jangbu_bench::{Certificate, Step, Verdict};

use crate::certificate::conforms;
use crate::money::MoneyWays;
use crate::toy::{Toy, Ways};
use crate::{CLEAN, against, bench, counts_add_up};

fn money(money: MoneyWays) -> Ways {
    Ways { proof: CLEAN, money, ..Ways::default() }
}

fn well_formed(of: &Certificate) {
    conforms(&serde_json::to_value(of).unwrap()).unwrap();
}

#[test]
fn a_payment_is_authorised_captured_and_sometimes_given_back() {
    let line = "payments --rate 400 --duration 1s --warmup 0 --connections 16";
    let (of, toy) = bench(money(MoneyWays::default()), line);
    assert_eq!((of.offered, of.completed), (400, 400), "{:?}", of.codes);
    let (captured, refunded) = (of.outcomes["CAPTURED"], of.outcomes["REFUNDED"]);
    let replays = of.replays.checked;
    assert_eq!(captured + refunded + replays, 400);
    assert!((20..=65).contains(&refunded), "one in ten: {refunded}");
    assert_eq!(toy.seen.money.counts(), [400 - replays, 400 - replays, refunded]);
    for step in ["authorize", "capture", "refund"] {
        assert!(of.latency_by_step[step].p50 <= of.settled.unwrap().max, "{step}");
    }
    assert!(of.throughput > 300.0 && of.payments.unwrap().mix == "full");
    assert!(toy.seen.money.authorizations().iter().all(String::is_empty), "unsigned");
    well_formed(&of);
}

#[test]
fn the_authorize_mix_asks_once_and_a_decline_is_an_honest_answer() {
    let ways = money(MoneyWays { decline: Some(10), ..MoneyWays::default() });
    let line = "payments --mix authorize --rate 400 --duration 1s --warmup 0 --connections 16";
    let (of, toy) = bench(ways, line);
    assert_eq!(of.completed, 400);
    let [authorised, captured, _] = toy.seen.money.counts();
    assert_eq!(of.outcomes["DECLINED"], authorised / 10);
    assert_eq!(of.outcomes["AUTHORIZED"], authorised - authorised / 10);
    assert_eq!((captured, of.codes["PAYMENT_DECLINED"]), (0, authorised / 10));
    assert_eq!(of.latency_by_step.keys().collect::<Vec<_>>(), [&"authorize"]);
}

#[test]
fn an_unknown_outcome_is_looked_up_and_the_journal_has_every_step() {
    let dir = tempfile::tempdir().unwrap();
    let toy = Toy::open(money(MoneyWays { later: Some(10), ..MoneyWays::default() }));
    let done = against(&toy, dir.path(), "payments --rate 200 --duration 1s --warmup 0");
    let of = &done.certificate;
    counts_add_up(of);
    assert_eq!(of.completed, 200, "{:?}", of.codes);
    assert!(of.latency_by_step["capture"].max >= 250.0, "{:?}", of.latency_by_step);
    let text = std::fs::read_to_string(dir.path().join("run/acks.csv")).unwrap();
    let mut told: HashMap<&str, Vec<&str>> = HashMap::new();
    for line in text.lines().skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let [key, id, outcome, amount] = fields[..] else { panic!("{line}") };
        assert!(id.starts_with("pay_") && id.len() == 17, "{line}");
        assert_eq!(amount.parse::<u64>().unwrap() > 0, outcome != "PENDING", "{line}");
        told.entry(key).or_default().push(outcome);
    }
    assert_eq!(told.len() as u64, 200 - of.replays.checked);
    let pending = told.values().filter(|steps| steps.contains(&"PENDING")).count();
    assert!((15..=20).contains(&pending), "{pending}");
    for (key, steps) in &told {
        let known: Vec<&str> = steps.iter().copied().filter(|step| *step != "PENDING").collect();
        let ways = [&["AUTHORIZED", "CAPTURED"][..], &["AUTHORIZED", "CAPTURED", "REFUNDED"]];
        assert!(ways.contains(&&known[..]), "{key}: {steps:?}");
    }
}

#[test]
fn a_repeat_has_to_bring_the_first_body_again() {
    let line = "payments --rate 2000 --duration 2s --warmup 0 --connections 64";
    let (of, _) = bench(money(MoneyWays::default()), line);
    assert!(of.replays.checked > 0 && of.replays.different == 0, "{:?}", of.replays);
    let dir = tempfile::tempdir().unwrap();
    let toy = Toy::open(money(MoneyWays { renders_anew: true, ..MoneyWays::default() }));
    let done = against(&toy, dir.path(), line);
    assert_eq!(done.certificate.replays.different, done.certificate.replays.checked);
    assert_eq!(done.verdict, Verdict::Finding);
}

#[test]
fn journals_balance_and_a_forgotten_one_shows() {
    let line = "ledger --postings 50 --rate 40 --duration 1s --warmup 200ms --connections 8";
    let (of, _) = bench(money(MoneyWays::default()), line);
    let ledger = of.ledger.unwrap();
    assert_eq!(of.outcomes["POSTED"], 40);
    assert!((ledger.entries_per_second - of.throughput * 100.0).abs() < 1e-6);
    assert_eq!((ledger.balances.balanced, ledger.balances.differing), (Some(true), 0));
    assert!(ledger.balances.accounts > 900, "{ledger:?}");
    well_formed(&of);
    let line = "ledger --hot --postings 10 --rate 40 --duration 1s --warmup 0 --connections 8";
    let (of, _) = bench(money(MoneyWays { forgets: Some(20), ..MoneyWays::default() }), line);
    let ledger = of.ledger.unwrap();
    assert!(ledger.hot && ledger.balances.differing > 1, "{ledger:?}");
    let mark = of.marks.iter().find(|mark| mark.name == "accounts that differ").unwrap();
    assert!(!mark.pass && !of.pass);
}

#[test]
fn overload_is_measured_by_the_step() {
    let ways = Ways { capacity: Some(40), proof: CLEAN, ..Ways::default() };
    let line = "overload --peak 300 --step 2s --warmup 200ms --connections 64";
    let (of, _) = bench(ways, line);
    let overload = of.overload.as_ref().unwrap();
    let steps = &overload.steps;
    let offered: Vec<u64> = steps.iter().map(|step| step.offered).collect();
    assert_eq!(offered, [480, 600, 1_200, 3_000, 480]);
    assert!(steps[0].refused < 0.05 && steps[4].refused < 0.05, "{steps:?}");
    assert!(steps[3].refused > 0.5 && steps[3].refusals.is_some(), "{steps:?}");
    let measured = |step: &Step| step.generator_cpu.is_some() && step.lateness.is_some();
    assert!(steps.iter().all(measured), "{steps:?}");
    // The toy does 400 a second and its latencies do not grow.
    assert!(overload.goodput_5x.unwrap() > 1.0 && overload.goodput_2x.unwrap() > 1.0);
    assert!(overload.latency_factor.is_some());
    assert_eq!(of.outcomes["SHED"], of.codes["SHED"]);
    well_formed(&of);
}

#[test]
fn age_compares_two_measurements_of_one_load() {
    let line = "aged --orders 11000 --rate 200 --duration 500ms --connections 16";
    // The toy refuses what is beyond 400 in a tenth of a second, and that is offered anew.
    let ways = Ways { capacity: Some(400), proof: CLEAN, ..Ways::default() };
    let (of, toy) = bench(ways, line);
    let aged = of.aged.as_ref().unwrap();
    assert_eq!(of.offered, 100);
    assert!((10_000..10_020).contains(&aged.young.stored), "{aged:?}");
    assert!(aged.old.stored >= 11_000 && aged.fill_rate > 0.0, "{aged:?}");
    assert_eq!(aged.cost_factor, None, "the CPU time of a target is not measured");
    let orders = toy.seen.orders.load(std::sync::atomic::Ordering::Relaxed);
    assert!((11_000..=11_250).contains(&orders), "{orders}");
    well_formed(&of);
}

#[test]
fn the_page_has_every_plot_and_needs_no_other_file() {
    let ways = Ways { capacity: Some(20), proof: CLEAN, ..Ways::default() };
    let line = "spread --rate 300 --duration 2s --warmup 0 --connections 16";
    let (of, _) = bench(ways, line);
    let page = jangbu_bench::page(&of);
    for title in ["Rate", "Latency by", "Outcomes", "Queue", "Commit", "Events", "Processors"] {
        assert!(page.contains(&format!("<figcaption>{title}")), "{title}");
    }
    assert_eq!(page.matches("<svg viewBox=\"0 0 720").count(), 7, "all plots are drawn");
    assert_eq!(page.matches("role=img").count(), page.matches("<desc id=").count());
    assert_eq!(page.matches("<summary>Table").count(), 7);
    assert!(page.contains("SHED") && page.contains("MISSED") && page.contains("lost 0"));
    let foreign = ["<script", "http://", "https://", "@import", "url(", "src="];
    let foreign: Vec<_> = foreign.iter().filter(|word| page.contains(*word)).collect();
    assert!(foreign.iter().all(|word| **word == "http://"), "{foreign:?}");
    assert_eq!(page.matches("http://").count(), 1, "the address of the target is a condition");
}
