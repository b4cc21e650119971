//! A refusal creates nothing: rows, requests, events and calls are as before, whatever the reason
//! and whatever else is in the batch.

use std::collections::BTreeSet;

use jangbu_domain::order::model::Outcome;

use crate::refusals::{AWAITS, refusals, world};
use crate::rig::{Bench, Seen, same_rows};
use crate::stage::{PRICE, cancel, captured, create, hold, keyed, place, receive, refund};

fn code(seen: &Seen) -> &str {
    match seen {
        Seen::Refused(code, _) => code,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_refusal_leaves_rows_requests_events_and_calls_as_they_were() {
    let mut bench = world();
    let before = bench.memory.dump();
    let commits = bench.rig.counters().snapshot().commits;
    let told = bench.rig.record().signals.len();
    for (expected, envelope) in refusals() {
        let asked = format!("{envelope:?}");
        let seen = bench.run(keyed(envelope, "one key for all", 1));
        assert_eq!(code(&seen), expected, "{asked}");
        same_rows(&before, &bench.memory.dump());
    }
    assert!(bench.rig.record().jobs.is_empty());
    assert_eq!(bench.rig.record().signals.len(), told, "only the world's own orders ended");
    assert_eq!(bench.rig.counters().snapshot().commits, commits);
}

#[test]
fn every_reject_code_is_refused_somewhere_but_two_that_no_input_reaches() {
    // AccountIdTaken needs two account codes whose SHA-256 agrees in 63 bits. SkusMissing is told of
    // a line within ImportRefused.
    let codes: BTreeSet<_> = refusals().into_iter().map(|(code, _)| code).collect();
    let sources = [
        include_str!("../../../domain/src/catalog/command.rs"),
        include_str!("../../../domain/src/inventory/command.rs"),
        include_str!("../../../domain/src/order/command.rs"),
        include_str!("../../../domain/src/payment/command.rs"),
        include_str!("../../../domain/src/ledger/command.rs"),
        include_str!("../../../domain/src/user/command.rs"),
        include_str!("../../../domain/src/merchant/command.rs"),
    ];
    let quoted = |source: &'static str| source.split('"').skip(1).step_by(2);
    let is_code =
        |text: &&str| text.len() > 3 && text.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    let declared: BTreeSet<_> = sources.into_iter().flat_map(quoted).filter(is_code).collect();
    let missing: Vec<_> = declared.difference(&codes).collect();
    assert_eq!(missing, [&"ACCOUNT_ID_TAKEN", &"SKUS_MISSING"]);
    assert!(declared.len() > 58);
}

#[test]
fn refusals_in_a_batch_leave_what_is_beside_them_as_if_they_were_not_there() {
    let (mut with, mut without) = (world(), world());
    let good = || vec![place(10, &[(0, 1)], "ok"), cancel(AWAITS), receive(60, 1, 3)];
    let mut mixed = Vec::new();
    for good in good() {
        mixed.extend(refusals().into_iter().map(|(_, envelope)| envelope));
        mixed.push(good);
    }
    let refused = refusals().len();
    let numbers = with.batch(mixed);
    let kept = without.batch(good());
    for (at, number) in numbers.iter().enumerate() {
        let seen = with.rig.answer(*number);
        match (at + 1) % (refused + 1) {
            0 => assert_eq!(seen, without.rig.answer(kept[at / (refused + 1)])),
            _ => assert!(matches!(seen, Seen::Refused(..)), "{seen:?}"),
        }
    }
    same_rows(&without.memory.dump(), &with.memory.dump());
    assert_eq!(with.rig.record().jobs.len(), without.rig.record().jobs.len());
}

#[test]
fn a_command_reads_what_earlier_commands_of_its_batch_have_made() {
    let mut bench = Bench::new();
    let numbers = [
        create(0),
        receive(1, 0, 5),
        place(1, &[(0, 2)], "ok"),
        hold(2, &[(0, 3)]),
        place(3, &[(0, 1)], "ok"),
        cancel(2),
        place(4, &[(0, 3)], "ok"),
        cancel(4),
    ]
    .map(|envelope| bench.rig.ask(envelope));
    bench.rig.tell(captured(1, 2 * PRICE));
    bench.rig.tell(captured(4, 3 * PRICE));
    let refunded = bench.rig.ask(refund(1, Some(&[(0, 1)])));
    bench.settle();
    assert_eq!(bench.rig.counters().snapshot().commits, 1, "all of it is one batch");
    assert!(numbers.iter().all(|number| bench.rig.answer(*number).is_done()));
    assert!(bench.rig.answer(refunded).is_done());
    let outcome = |id| bench.order(id).unwrap().outcome.map(Outcome::name);
    assert_eq!([1, 2, 3].map(outcome), [Some("SOLD"), Some("CANCELLED"), Some("SOLD_OUT")]);
    let order = bench.order(4).unwrap();
    assert_eq!((order.state.name(), order.cancel_wanted), ("REVERSING", true));
    assert_eq!(bench.order(1).unwrap().refunds.len(), 1);
    assert_eq!(bench.available(0), 0, "the reversal has not given them back yet");
}
