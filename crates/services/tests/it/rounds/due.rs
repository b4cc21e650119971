//! The same of what time brings, and of what merchants and operators ask.

use jangbu_domain::order::model::{Outcome, State};
use jangbu_domain::payment::command::{Ask, Said};
use jangbu_kernel::time::Span;
use jangbu_kernel::{Envelope, GrantId};

use super::*;
use crate::stage::{deliver, said, ship};

/// Rounds of the batch of what has become due after `span`, in a cell that holds nothing.
fn after(bench: &mut Bench, span: Span) -> u32 {
    bench.rig.restart_cell_only();
    assert!(matches!(bench.run(cancel(3)), Seen::Refused("ORDER_UNKNOWN", _)));
    bench.rig.advance(span);
    let Rounds { committed, others } = step(bench);
    assert_eq!(others, [1], "the look for due rows");
    let [rounds] = committed[..] else { panic!("one commit: {committed:?}") };
    rounds
}

fn price(n: u8, price: i64) -> Envelope {
    let change = Shelf::SetPrice { sku: sku(n), price: won(price) };
    Envelope::new(catalog::command::UNIT, Origin::Client, change)
}

fn take_off(n: u8) -> Envelope {
    let change = Shelf::Unpublish { product: product(n) };
    Envelope::new(catalog::command::UNIT, Origin::Client, change)
}

/// Points of user `n` that end with the next day.
fn passing(n: i64, end: Time) -> Envelope {
    let (grant, user, amount, currency) = (GrantId(200_000 + n), UserId(n), 70, Currency::KRW);
    let (expires_at, reason) = (Some(end), "x".into());
    let grant = Points::Grant { grant, user, amount, currency, expires_at, reason };
    Envelope::new(point::command::UNIT, Origin::Client, grant)
}

/// What people ask of what is sold, and of what they sell.
fn asked(bench: &mut Bench, n: i64, seen: &mut Vec<(&'static str, u32)>) {
    let full = |(id, user)| order(id, user, (Some("ok"), false, 0));
    bench.batch(ids(10_000, n).map(full).collect());
    bench.settle_with_gateway();
    all_are(bench, 10_000, n, SOLD);
    seen.push(("ship", cold(bench, ids(10_000, n).map(|(id, _)| ship(id, None)).collect())));
    seen.push(("deliver", cold(bench, ids(10_000, n).map(|(id, _)| deliver(id, 1)).collect())));
    let skus = || 0..u8::try_from(n.min(i64::from(SKUS))).unwrap();
    seen.push(("price", cold(bench, skus().map(|n| price(n, PRICE + 1)).collect())));
    seen.push(("take off", cold(bench, skus().map(take_off).collect())));
    let stock = |n: u8| receive(1_000 + i64::from(n), n, 1);
    seen.push(("receive", cold(bench, skus().map(stock).collect())));
}

/// Nobody pays, nobody answers, points and coupons end.
fn due(bench: &mut Bench, n: i64, seen: &mut Vec<(&'static str, u32)>) {
    let end = bench.rig.now() + Span::mins(60);
    seen.push(("grant", cold(bench, (1..=n).map(|user| passing(user, end)).collect())));
    let waiting = |(id, user)| order(id, user, (None, false, 500));
    bench.batch(ids(20_000, n).map(waiting).collect());
    seen.push(("not paid", after(bench, Span::mins(15))));
    all_are(bench, 20_000, n, (State::Cancelled, Some(Outcome::Expired)));
    let full = |(id, user)| order(id, user, (Some("ok"), false, 0));
    bench.batch(ids(30_000, n).map(full).collect());
    bench.rig.record().jobs.clear();
    seen.push(("no answer", after(bench, Span::secs(12))));
    all_are(bench, 30_000, n, (State::PayUnknown, None));
    let unknown = |(id, _)| {
        let psp_ref = "ref".into();
        said(id, Ask::Inquire, Said::Captured { psp_ref, amount: 3 * PRICE })
    };
    seen.push(("found out", cold(bench, ids(30_000, n).map(unknown).collect())));
    all_are(bench, 30_000, n, SOLD);
    seen.push(("points and coupons end", after(bench, Span::mins(24 * 60))));
    let left = |user| bench.queries().points(UserId(user)).unwrap().unwrap().expired.earned;
    assert!((1..=n).all(|user| left(user) == 70));
}

#[test]
fn nor_do_those_of_timers_and_of_those_who_sell() {
    for n in [1, 16, 128] {
        let (mut bench, mut seen) = (town(n), Vec::new());
        due(&mut bench, n, &mut seen);
        asked(&mut bench, n, &mut seen);
        let wanted = [
            ("grant", 1),
            ("not paid", 2),
            ("no answer", 2),
            ("found out", 2),
            ("points and coupons end", 3),
            ("ship", 1),
            ("deliver", 1),
            ("price", 2),
            ("take off", 2),
            ("receive", 1),
        ];
        assert_eq!(seen, wanted, "batches of {n}");
    }
}
