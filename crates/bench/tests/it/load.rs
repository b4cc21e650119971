//! What the generator does to a server, and what it makes of the answers.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use jangbu_bench::Verdict;

use crate::toy::{Toy, Ways};
use crate::{CLEAN, against, bench, counts_add_up, ms};

#[test]
fn the_rate_is_honoured_and_everything_is_counted() {
    let ways = Ways { proof: CLEAN, ..Ways::default() };
    let (of, toy) =
        bench(ways, "spread --rate 600 --duration 1.5s --warmup 200ms --connections 32");
    assert_eq!(of.offered, 900);
    assert_eq!(of.issued, 900);
    assert_eq!(of.completed, 900, "{:?}", of.codes);
    let warm = 120;
    let orders = toy.seen.orders.load(Ordering::Relaxed) + toy.seen.repeats.load(Ordering::Relaxed);
    assert_eq!(orders, 900 + warm);
    assert!(of.outcomes["DECLINED"] > 0, "one in a hundred cards is declined");
    assert!(of.throughput < 600.0, "sales are not faster than arrivals");
    assert_eq!(of.rate_source, "given");
}

#[test]
fn poisson_arrivals_have_the_rate_too() {
    let ways = Ways { proof: CLEAN, ..Ways::default() };
    let line = "spread --rate 500 --duration 2s --warmup 0 --connections 32 --poisson";
    let (of, _) = bench(ways, line);
    assert!((850..=1_150).contains(&of.offered), "{}", of.offered);
    assert_eq!(of.conditions.arrivals, "poisson");
}

#[test]
fn a_stall_shows_in_the_latencies_of_everybody_who_came_meanwhile() {
    let stall = Some((ms(300), ms(900)));
    let ways = Ways { stall, proof: CLEAN, ..Ways::default() };
    let (of, _) = bench(ways, "spread --rate 200 --duration 1.5s --warmup 0 --connections 8");
    let settled = of.settled.unwrap();
    // 120 of 300 arrivals fall into the stall, but only 8 connections could feel it.
    assert!(settled.max > 550.0, "{settled:?}");
    assert!(settled.p95 > 400.0, "waiting behind the stall counts: {settled:?}");
    assert!(of.waited_for_connection >= 100, "{}", of.waited_for_connection);
    assert_eq!(of.issued, 300);
}

#[test]
fn connections_are_bounded_and_waiting_is_latency() {
    let ways = Ways { delay: ms(20), proof: CLEAN, ..Ways::default() };
    let (of, toy) =
        bench(ways, "spread --rate 400 --duration 1s --warmup 0 --connections 4 --plain");
    assert_eq!(of.conditions.connections, 4);
    assert!(toy.seen.connections.load(Ordering::Relaxed) <= 4 + 32 + 4, "seeding and control");
    assert!(of.drain_s >= 0.9, "400 orders at 200/s take 2 s: {}", of.drain_s);
    assert!(of.settled.unwrap().max >= 900.0);
    assert!(of.generator_lateness.unwrap().max >= 800.0);
    assert_eq!(of.dropped, 0);
}

#[test]
fn an_arrival_without_a_connection_for_five_seconds_is_dropped() {
    let ways = Ways { delay: ms(100), proof: CLEAN, ..Ways::default() };
    let (of, _) = bench(ways, "spread --rate 300 --duration 500ms --warmup 0 --connections 1");
    assert!((80..150).contains(&of.dropped), "{} of 150", of.dropped);
    assert!(!of.pass);
}

#[test]
fn connections_are_reused() {
    let ways = Ways { proof: CLEAN, ..Ways::default() };
    let (of, toy) =
        bench(ways, "spread --rate 100 --duration 1s --warmup 0 --connections 50 --plain");
    assert_eq!(of.completed, 100);
    let load = toy.seen.connections.load(Ordering::Relaxed).saturating_sub(20 + 3);
    assert!(load < 35, "{load} connections for 100 orders");
}

#[test]
fn a_server_that_closes_connections_costs_no_order() {
    let ways = Ways { close_after: Some(5), proof: CLEAN, ..Ways::default() };
    let (of, _) = bench(ways, "spread --rate 300 --duration 1s --warmup 0 --connections 8");
    assert_eq!(of.completed, 300, "{:?}", of.codes);
    let ways = Ways { idle_limit: Some(ms(30)), proof: CLEAN, ..Ways::default() };
    let (of, _) = bench(ways, "spread --rate 10 --duration 1s --warmup 0 --connections 2");
    assert_eq!(of.completed, 10, "{:?}", of.codes);
}

#[test]
fn answers_in_pieces_are_put_together() {
    for pieces in [1, 7, 100] {
        let ways = Ways { pieces: Some(pieces), proof: CLEAN, ..Ways::default() };
        let (of, _) = bench(ways, "spread --rate 40 --duration 500ms --warmup 0 --connections 16");
        assert_eq!(of.completed, 20, "pieces of {pieces}: {:?}", of.codes);
    }
}

#[test]
fn a_cut_connection_is_an_error_and_nothing_else() {
    let ways = Ways { cut: Some(10), proof: CLEAN, ..Ways::default() };
    let (of, _) = bench(ways, "spread --rate 200 --duration 1s --warmup 0 --connections 16");
    assert_eq!(of.codes["CONNECTION_LOST"], of.outcomes["ERROR"]);
    // Every tenth order, and orders are arrivals without the repeats.
    assert_eq!(of.outcomes["ERROR"], (200 - of.replays.checked) / 10);
    assert_eq!(of.completed, 200 - of.outcomes["ERROR"]);
}

#[test]
fn open_orders_are_looked_up_until_they_settle() {
    let ways = Ways { later: Some((10, ms(400))), proof: CLEAN, ..Ways::default() };
    let (of, _) = bench(ways, "spread --rate 100 --duration 1s --warmup 0 --connections 16");
    assert!(!of.outcomes.contains_key("PENDING"), "{:?}", of.outcomes);
    assert_eq!(of.completed, 100);
    let (accepted, settled) = (of.accepted.unwrap(), of.settled.unwrap());
    assert!(settled.p99 >= 400.0, "{settled:?}");
    assert!(accepted.p99 < settled.p99 - 300.0, "{accepted:?} {settled:?}");
    assert!(of.drain_s >= 0.3, "{}", of.drain_s);
}

#[test]
fn accepted_is_settled_without_the_time_between() {
    let ways = Ways { delay: ms(10), proof: CLEAN, ..Ways::default() };
    let (of, _) = bench(ways, "spread --rate 100 --duration 1s --warmup 0 --connections 16");
    let (accepted, settled) = (of.accepted.unwrap(), of.settled.unwrap());
    // The toy claims accept 1 ms and settle 3 ms.
    assert!((settled.p50 - accepted.p50 - 2.0).abs() < 0.3, "{accepted:?} {settled:?}");
    assert!(settled.p50 >= 10.0);
}

#[test]
fn keys_are_asked_twice_and_answered_once() {
    let ways = Ways { proof: CLEAN, ..Ways::default() };
    let (of, toy) = bench(ways, "spread --rate 2000 --duration 2s --warmup 0 --connections 64");
    let repeats = toy.seen.repeats.load(Ordering::Relaxed);
    assert!(repeats > 0);
    assert_eq!(of.replays.checked, repeats);
    assert_eq!(of.outcomes["REPLAY"], repeats);
    assert_eq!(of.replays.different, 0);
    assert_eq!(of.orders, of.completed - repeats);
}

#[test]
fn a_second_order_for_one_key_is_a_finding() {
    let dir = tempfile::tempdir().unwrap();
    let toy = Toy::open(Ways { forgetful: true, proof: CLEAN, ..Ways::default() });
    let line = "spread --rate 2000 --duration 2s --warmup 0 --connections 64";
    let done = against(&toy, dir.path(), line);
    assert!(done.certificate.replays.different > 0);
    assert_eq!(done.verdict, Verdict::Finding);
    assert!(!done.certificate.pass);
}

#[test]
fn the_journal_has_every_answer() {
    let dir = tempfile::tempdir().unwrap();
    let toy = Toy::open(Ways {
        later: Some((7, ms(100))),
        cut: Some(50),
        proof: CLEAN,
        ..Ways::default()
    });
    let done = against(&toy, dir.path(), "spread --rate 400 --duration 1s --warmup 100ms");
    counts_add_up(&done.certificate);
    let text = std::fs::read_to_string(dir.path().join("run/acks.csv")).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("key,order_id,outcome,amount"));
    let mut last: HashMap<&str, [&str; 3]> = HashMap::new();
    let mut pending = 0;
    for line in lines {
        let fields: Vec<&str> = line.split(',').collect();
        let [key, order, outcome, amount] = fields[..] else { panic!("{line}") };
        pending += u32::from(outcome == "PENDING");
        assert_eq!(order.len(), if outcome == "ERROR" { 0 } else { 17 }, "{line}");
        assert_eq!(amount.parse::<u64>().unwrap() > 0, outcome == "SOLD", "{line}");
        last.insert(key, [order, outcome, amount]);
    }
    let repeats = done.certificate.replays.checked;
    assert_eq!(last.len() as u64 + repeats, 400 + 40);
    assert!(pending > 30, "{pending}");
    let ends = |name: &str| last.values().filter(|[_, outcome, _]| *outcome == name).count();
    assert_eq!(ends("PENDING"), 0);
    assert!(ends("SOLD") >= usize::try_from(done.certificate.outcomes["SOLD"]).unwrap());
}

#[test]
fn flash_sells_exactly_the_stock() {
    let ways = Ways { units: Some(50), proof: CLEAN, ..Ways::default() };
    let line = "flash --units 50 --rate 400 --duration 1s --warmup 200ms --connections 16";
    let (of, _) = bench(ways, line);
    assert_eq!(of.outcomes["SOLD"], 50);
    assert_eq!(of.outcomes["SOLD_OUT"], 350);
    let mark = of.marks.iter().find(|mark| mark.name == "SOLD").unwrap();
    assert!(mark.pass && mark.value == Some(50.0), "{mark:?}");
    assert!(of.settled_by_outcome.contains_key("SOLD_OUT"));
}

#[test]
fn overselling_misses_the_mark() {
    let ways = Ways { units: Some(51), proof: CLEAN, ..Ways::default() };
    let line = "flash --units 50 --rate 400 --duration 1s --warmup 0 --connections 16";
    let (of, _) = bench(ways, line);
    assert!(!of.pass);
    assert!(of.marks.iter().any(|mark| mark.name == "SOLD" && !mark.pass));
}

#[test]
fn the_search_ends_below_what_the_server_can_do() {
    let ways = Ways { serial: ms(2), proof: CLEAN, ..Ways::default() };
    let line = "spread --find-max --probe 500ms --duration 1s --warmup 0 --connections 16";
    let (of, _) = bench(ways, line);
    assert_eq!(of.rate_source, "found");
    // 2 ms each, one after the other: 500/s, and a little more as long as a second's backlog may
    // wait for 100 ms.
    assert!(of.rate <= 650.0, "{}", of.rate);
    assert!(of.rate >= 50.0, "{}", of.rate);
    assert_eq!(of.search.first().map(|probe| probe.kind), Some("closed"));
    let last = of.search.last().unwrap();
    assert_eq!((last.kind, last.rate), ("confirm", of.rate));
    assert!(of.search.iter().any(|probe| probe.kind == "probe"));
}

#[test]
fn a_server_that_dies_is_many_errors_and_no_hang() {
    let dir = tempfile::tempdir().unwrap();
    let toy = Toy::open(Ways { die_after: Some(100), proof: CLEAN, ..Ways::default() });
    let done = against(&toy, dir.path(), "spread --rate 400 --duration 1s --warmup 0");
    let of = &done.certificate;
    counts_add_up(of);
    assert_eq!(of.offered, 400);
    assert!((50..=110).contains(&of.completed), "{}", of.completed);
    assert_eq!(of.outcomes["ERROR"], of.issued - of.completed);
    assert_eq!(done.verdict, Verdict::Unproven);
    assert!(of.accepted.is_some() && of.per_order.rows.is_none(), "no second reading, no growth");
}
