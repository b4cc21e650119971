//! On a store that is far away a batch takes a number of rounds of reads that does not depend on its
//! size, even when its owner holds none of the rows: each round is one call of `Tx::read`.

mod due;

use std::sync::Arc;

use jangbu_domain::catalog::command::{About, Command as Shelf, NewSku};
use jangbu_domain::coupon::command::Command as Coupons;
use jangbu_domain::coupon::terms::{Funding, Kind, Terms, Valid};
use jangbu_domain::order::command::Command as Buy;
use jangbu_domain::order::model::{Outcome, PayMode, State};
use jangbu_domain::payment::command::{Command as Pay, Intent, Purpose, SOON};
use jangbu_domain::point::command::Command as Points;
use jangbu_domain::{catalog, coupon, point};
use jangbu_engine::cell::Step;
use jangbu_engine::port::{CommitError, Each, Fault, ReadPlan, Store, Tx, WritePlan};
use jangbu_kernel::time::Span;
use jangbu_kernel::{
    CampaignId, CouponId, Currency, Envelope, GrantId, Job, OrderId, Origin, PaymentId, Secret,
    Time, UserId,
};
use jangbu_store::MemoryStore;
use parking_lot::Mutex;

use crate::history::{product, sku};
use crate::rig::{Bench, Seen};
use crate::stage::{PRICE, buy, cancel, keyed, pay, receive, refund, units, won};

const SKUS: u8 = 48;
const MERCHANTS: u8 = 12;
const CAMPAIGNS: i64 = 3;
/// Above every other id: nothing is known to be absent for being new.
const LAST: i64 = 1_000_000;

/// What became of the transactions of a store that is far away.
#[derive(Debug, Default)]
struct Rounds {
    committed: Vec<u32>,
    others: Vec<u32>,
}

struct Far {
    store: MemoryStore,
    rounds: Arc<Mutex<Rounds>>,
}

impl Store for Far {
    fn begin(&mut self) -> Result<Box<dyn Tx + '_>, Fault> {
        let Self { store, rounds } = self;
        Ok(Box::new(FarTx { tx: Some(store.begin()?), reads: 0, rounds }))
    }

    fn is_far(&self) -> bool {
        true
    }
}

struct FarTx<'a> {
    tx: Option<Box<dyn Tx + 'a>>,
    reads: u32,
    rounds: &'a Mutex<Rounds>,
}

impl FarTx<'_> {
    fn tx(&mut self) -> &mut dyn Tx {
        &mut **self.tx.as_mut().unwrap()
    }
}

impl Drop for FarTx<'_> {
    fn drop(&mut self) {
        if self.tx.is_some() {
            self.rounds.lock().others.push(self.reads);
        }
    }
}

impl<'a> Tx for FarTx<'a> {
    fn read(&mut self, plan: &ReadPlan, each: &mut Each<'_>) -> Result<(), Fault> {
        self.reads += 1;
        self.tx().read(plan, each)
    }

    fn write(&mut self, plan: &WritePlan) -> Result<(), Fault> {
        self.tx().write(plan)
    }

    fn commit(mut self: Box<Self>) -> Result<(), CommitError> {
        let tx: Box<dyn Tx + 'a> = self.tx.take().unwrap();
        self.rounds.lock().committed.push(self.reads);
        tx.commit()
    }
}

/// One step of a cell on the bench's rows, as if they were far away.
fn step(bench: &mut Bench) -> Rounds {
    let rounds = Arc::default();
    let mut far = Far { store: bench.memory.open(), rounds: Arc::clone(&rounds) };
    assert_eq!(bench.rig.step(&mut |_, f| f(&mut far), 0), Ok(Step::Worked));
    std::mem::take(&mut *rounds.lock())
}

/// Rounds of a batch of all these in a cell that has just begun: it knows its counters and nothing
/// else.
fn cold(bench: &mut Bench, envelopes: Vec<Envelope>) -> u32 {
    let (n, mut asked) = (envelopes.len() as u64, Vec::new());
    bench.rig.restart_cell_only();
    assert!(matches!(bench.run(cancel(3)), Seen::Refused("ORDER_UNKNOWN", _)));
    let items = bench.rig.counters().snapshot().items;
    for envelope in envelopes {
        if envelope.origin == Origin::Client {
            asked.push(bench.rig.ask(envelope));
        } else {
            bench.rig.tell(envelope);
        }
    }
    let rounds = step(bench).committed;
    assert_eq!(bench.rig.counters().snapshot().items - items, n, "one batch");
    assert!(asked.into_iter().all(|number| bench.rig.answer(number).is_done()));
    let [rounds] = rounds[..] else { panic!("one commit: {rounds:?}") };
    rounds
}

/// What the gateway says to everything that it was asked.
fn answers(bench: &mut Bench) -> Vec<Envelope> {
    let jobs = std::mem::take(&mut bench.rig.record().jobs);
    let told = |job: Job| Envelope::new(job.to, Origin::Event, bench.gateway.hear(&job));
    jobs.into_iter().map(told).collect()
}

fn goods() -> Vec<Envelope> {
    let create = |n: u8| {
        let create = Shelf::Create {
            product: product(n),
            merchant: format!("m-{}", n % MERCHANTS).into(),
            name: "thing".into(),
            about: About::default(),
            skus: vec![NewSku::new(sku(n), "one", won(PRICE))],
            publish: true,
        };
        Envelope::new(catalog::command::UNIT, Origin::Client, create)
    };
    let stock = |n: u8| receive(i64::from(n) + 1, n, 10_000);
    (0..SKUS).flat_map(|n| [create(n), stock(n)]).collect()
}

fn campaign(id: i64) -> Envelope {
    let terms = Terms {
        name: "spring".into(),
        kind: Kind::Fixed { amount: 90 },
        currency: Currency::KRW,
        minimum: 0,
        starts: Time(0),
        ends: Time(i64::MAX / 2),
        valid: Valid::For(Span::mins(60)),
        per_user: 4,
        total: 10_000,
        funding: Funding::Platform,
        scope: None,
    };
    let create = Coupons::CreateCampaign { campaign: CampaignId(id), terms };
    Envelope::new(coupon::command::UNIT, Origin::Client, create)
}

/// What user `n` begins with: a coupon and points.
fn gifts(n: i64) -> [Envelope; 2] {
    let (campaign, coupon, user) = (CampaignId(1 + n % CAMPAIGNS), CouponId(n), UserId(n));
    let issue = Coupons::Issue { campaign, coupon, user };
    let (grant, amount, currency) = (GrantId(100_000 + n), 20_000, Currency::KRW);
    let reason = "x".into();
    let grant = Points::Grant { grant, user, amount, currency, expires_at: None, reason };
    [
        Envelope::new(coupon::command::UNIT, Origin::Client, issue),
        Envelope::new(point::command::UNIT, Origin::Client, grant),
    ]
}

/// Three goods of three merchants, which `by` pays for: token, coupon or not, points.
fn order(id: i64, user: i64, (token, coupon, points): (Option<&str>, bool, i64)) -> Envelope {
    let at = |step: i64| u8::try_from((user + step) % i64::from(SKUS)).unwrap();
    let paid = points == 3 * PRICE;
    let mode = if token.is_some() || paid { PayMode::Server } else { PayMode::Client };
    let place = Buy::Place {
        order: OrderId(id),
        user: UserId(user),
        lines: units(&[(at(0), 1), (at(17), 1), (at(34), 1)]),
        expected: won(3 * PRICE),
        mode,
        token: token.map(Secret::new),
        coupon: coupon.then_some(CouponId(user)),
        points,
        pay: paid.then_some(0),
    };
    keyed(buy(place), &format!("order-{id}"), 1)
}

fn charge(id: i64, user: i64) -> Envelope {
    let intent = Intent {
        payment: PaymentId(id),
        order: None,
        purpose: Purpose::Points { user: UserId(user) },
        amount: 500,
        currency: Currency::KRW,
        split: Vec::new(),
        capture_later: false,
    };
    let token = Some(Secret::new("ok"));
    keyed(pay(Pay::Intend { intent, token, deadline: SOON }), &format!("charge-{id}"), 1)
}

/// A town of `n` users who have not bought anything, and of one who has bought later.
fn town(n: i64) -> Bench {
    let mut bench = Bench::new();
    for envelope in goods() {
        assert!(bench.run(envelope).is_done());
    }
    for envelope in (1..=CAMPAIGNS).map(campaign).chain((1..=n).chain([LAST]).flat_map(gifts)) {
        assert!(bench.run(envelope).is_done());
    }
    for last in [order(LAST, LAST, (Some("ok"), true, 500)), charge(LAST + 1, LAST)] {
        assert!(bench.run(last).is_done());
        bench.settle_with_gateway();
    }
    assert!(bench.run(refund(LAST, None)).is_done());
    bench.settle_with_gateway();
    bench
}

/// Numbers of the `n` orders that begin there.
fn ids(first: i64, n: i64) -> impl Iterator<Item = (i64, i64)> {
    (1..=n).map(move |user| (first + user, user))
}

fn all_are(bench: &Bench, first: i64, n: i64, (state, outcome): (State, Option<Outcome>)) {
    for (id, _) in ids(first, n) {
        let order = bench.order(id).unwrap();
        assert_eq!((order.state, order.outcome), (state, outcome), "{id}: {order:?}");
    }
}

const SOLD: (State, Option<Outcome>) = (State::Completed, Some(Outcome::Sold));

/// Orders that are sold, given back in part, and then cancelled.
fn sale(bench: &mut Bench, n: i64, seen: &mut Vec<(&'static str, u32)>) {
    let full = |(id, user)| order(id, user, (Some("ok"), true, 500));
    seen.push(("place", cold(bench, ids(10_000, n).map(full).collect())));
    let told = answers(bench);
    seen.push(("settle", cold(bench, told)));
    all_are(bench, 10_000, n, SOLD);
    let first = |(id, user): (i64, i64)| {
        refund(id, Some(&[(u8::try_from(user % i64::from(SKUS)).unwrap(), 1)]))
    };
    seen.push(("refund", cold(bench, ids(10_000, n).map(first).collect())));
    let told = answers(bench);
    seen.push(("refunded", cold(bench, told)));
    seen.push(("cancel a sale", cold(bench, ids(10_000, n).map(|(id, _)| cancel(id)).collect())));
    let told = answers(bench);
    seen.push(("cancelled", cold(bench, told)));
    for (id, _) in ids(10_000, n) {
        let order = bench.order(id).unwrap();
        assert_eq!((order.refunds.len(), order.refunded), (2, order.card()), "{order:?}");
    }
}

/// Orders that are not sold, or that no card pays for.
fn others(bench: &mut Bench, n: i64, seen: &mut Vec<(&'static str, u32)>) {
    let waiting = |(id, user)| order(id, user, (None, false, 500));
    seen.push(("hold", cold(bench, ids(20_000, n).map(waiting).collect())));
    seen.push(("cancel", cold(bench, ids(20_000, n).map(|(id, _)| cancel(id)).collect())));
    all_are(bench, 20_000, n, (State::Cancelled, Some(Outcome::Cancelled)));
    let broke = |(id, user)| order(id, user, (Some("declined"), true, 500));
    cold(bench, ids(30_000, n).map(broke).collect());
    let told = answers(bench);
    seen.push(("declined", cold(bench, told)));
    all_are(bench, 30_000, n, (State::Cancelled, Some(Outcome::Declined)));
    let free = |(id, user)| order(id, user, (None, false, 3 * PRICE));
    seen.push(("points alone", cold(bench, ids(40_000, n).map(free).collect())));
    all_are(bench, 40_000, n, SOLD);
    let back = |(id, _)| refund(id, None);
    seen.push(("points back", cold(bench, ids(40_000, n).map(back).collect())));
}

fn points(bench: &mut Bench, n: i64, seen: &mut Vec<(&'static str, u32)>) {
    let intend = |(id, user)| charge(id, user);
    seen.push(("charge points", cold(bench, ids(50_000, n).map(intend).collect())));
    let told = answers(bench);
    seen.push(("charged", cold(bench, told)));
    let paid = |user| bench.queries().points(UserId(user)).unwrap().unwrap().left.paid;
    assert!((1..=n).all(|user| paid(user) == 500));
}

#[test]
fn rounds_of_reads_do_not_depend_on_the_size_of_a_batch() {
    for n in [1, 16, 256] {
        let (mut bench, mut seen) = (town(n), Vec::new());
        sale(&mut bench, n, &mut seen);
        others(&mut bench, n, &mut seen);
        points(&mut bench, n, &mut seen);
        assert_eq!(
            seen,
            [
                ("place", 2),
                ("settle", 2),
                ("refund", 3),
                ("refunded", 3),
                ("cancel a sale", 3),
                ("cancelled", 3),
                ("hold", 2),
                ("cancel", 2),
                ("declined", 3),
                ("points alone", 2),
                ("points back", 2),
                ("charge points", 1),
                ("charged", 2),
            ],
            "batches of {n}"
        );
    }
}

#[test]
fn a_batch_whose_rows_are_held_asks_only_for_its_keys() {
    let mut bench = town(16);
    let numbers: Vec<_> = ids(2 * LAST, 16)
        .map(|(id, user)| bench.rig.ask(order(id, user, (Some("ok"), true, 500))))
        .collect();
    assert_eq!(step(&mut bench).committed, [1]);
    assert!(numbers.into_iter().all(|number| bench.rig.answer(number).is_done()));
    for told in answers(&mut bench) {
        bench.rig.tell(told);
    }
    assert_eq!(step(&mut bench).committed, [0]);
    all_are(&bench, 2 * LAST, 16, SOLD);
}

#[test]
fn opening_and_due_rows_take_a_round_each() {
    let mut bench = town(2);
    bench.rig.restart_cell_only();
    bench.rig.advance(Span::mins(1));
    bench.rig.ask(order(LAST + 11, 1, (Some("ok"), false, 0)));
    let Rounds { committed, others } = step(&mut bench);
    assert_eq!((committed, others), (vec![2], vec![1]), "opening, rows; due rows");
}

#[test]
fn a_repeat_is_found_and_answered_in_as_many_rounds_whatever_their_number() {
    for n in [1, 64] {
        let mut bench = town(n);
        cold(
            &mut bench,
            ids(10_000, n).map(|(id, user)| order(id, user, (None, false, 0))).collect(),
        );
        bench.rig.restart_cell_only();
        assert!(matches!(bench.run(cancel(3)), Seen::Refused("ORDER_UNKNOWN", _)));
        let again = |(id, user)| {
            let (old, new) = (order(id, user, (None, false, 0)), LAST + id);
            Envelope { key: old.key, ..order(new, user, (None, false, 0)) }
        };
        let numbers: Vec<_> = ids(10_000, n)
            .map(again)
            .collect::<Vec<_>>()
            .into_iter()
            .map(|e| bench.rig.ask(e))
            .collect();
        assert_eq!(step(&mut bench).others, [3], "keys, requests, what they made: {n}");
        let replayed = |seen| matches!(seen, Seen::Done { replayed: true, .. });
        assert!(numbers.into_iter().all(|number| replayed(bench.rig.answer(number))));
    }
}
