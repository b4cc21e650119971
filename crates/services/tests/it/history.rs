//! Histories: commands of clients, answers of the gateway and timers, over every domain, on few
//! SKUs with little stock, so that commands get in each other's way.

mod commands;

use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};

use jangbu_domain::{catalog, coupon, inventory, ledger, order, payment, point};
use jangbu_kernel::{
    Envelope, IdemKey, Operator, OrderId, Origin, PaymentId, ProductId, SkuId, Time,
};
use proptest::prelude::*;

use crate::rig::START;
use commands::World;

/// One thing that happens; numbers are drawn, and mean what [`compile`] makes of them.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    Create { product: u8, price: i64, publish: bool },
    Publish { product: u8 },
    SetPrice { sku: u8, price: i64 },
    Receive { sku: u8, quantity: i64, again: bool },
    Adjust { sku: u8, delta: i64 },
    Place { lines: Vec<(u8, i64)>, client: bool, token: u8, stale: bool, again: bool, with: With },
    Gift { user: u8, amount: i64 },
    Ship { order: u8, units: Option<(u8, i64)> },
    Deliver { order: u8, no: u32 },
    Return { order: u8, units: Option<(u8, i64)> },
    Confirm { order: u8, off: bool, token: u8 },
    Cancel { order: u8 },
    Refund { order: u8, units: Option<(u8, i64)>, restock: bool },
    Said { order: u8, said: u8 },
    Timer { order: u8 },
    Pay { payment: u8, amount: i64, later: bool, token: u8 },
    Capture { payment: u8 },
    Void { payment: u8 },
    GiveBack { payment: u8, no: u32, amount: i64 },
    Resolve { payment: u8 },
    Post { source: u8, amount: i64, off: i64 },
    Book { journal: u8, amount: i64, off: i64 },
    Campaign { campaign: u8, total: i64, seconds: i64, ends: bool },
    Issue { campaign: u8, user: u8, again: bool },
    Grant { campaign: u8, users: Vec<u8> },
    Revoke { coupon: u8 },
    Later { seconds: i64 },
}

/// What pays for an order besides the card.
#[derive(Debug, Clone, Copy)]
pub(crate) struct With {
    coupon: Option<u8>,
    points: i64,
}

/// An operation, and the idempotency key that it comes with.
pub(crate) type Keyed = (Op, Option<u8>);

/// The command of some unit.
#[derive(Debug, Clone)]
pub(crate) enum Body {
    Catalog(catalog::command::Command),
    Inventory(inventory::command::Command),
    Order(order::command::Command),
    Payment(payment::command::Command),
    Ledger(ledger::command::Command),
    Coupon(coupon::command::Command),
    Points(point::command::Command),
}

/// A command that can be sent any number of times.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) body: Body,
    pub(crate) key: Option<IdemKey>,
    pub(crate) now: Time,
    /// Whether a client waits; else it is told.
    pub(crate) waits: bool,
    number: usize,
}

impl Sent {
    pub(crate) fn envelope(&self) -> Envelope {
        let origin = if self.waits { Origin::Client } else { Origin::Event };
        let mut envelope = match self.body.clone() {
            Body::Catalog(body) => Envelope::new(catalog::command::UNIT, origin, body),
            Body::Inventory(body) => Envelope::new(inventory::command::UNIT, origin, body),
            Body::Order(body) => Envelope::new(order::command::UNIT, origin, body),
            Body::Payment(body) => Envelope::new(payment::UNIT, origin, body),
            Body::Ledger(body) => Envelope::new(ledger::UNIT, origin, body),
            Body::Coupon(body) => Envelope::new(coupon::command::UNIT, origin, body),
            Body::Points(body) => Envelope::new(point::command::UNIT, origin, body),
        };
        envelope.now = self.now;
        envelope.key = self.key.clone().map(Box::new);
        envelope.operator = (self.waits && self.number.is_multiple_of(3)).then(|| {
            Box::new(Operator {
                who: "kim".into(),
                why: "w".into(),
                operation: "test.operation".into(),
            })
        });
        envelope.correlation = self.waits.then(|| format!("c-{}", self.number).into());
        envelope
    }
}

/// Operations of a shop and its accountant: sold by saga, with timers and gateway by themselves.
pub(crate) fn commerce() -> impl Strategy<Value = Op> {
    prop_oneof![
        1 => (0..4_u8, 1..50_i64, any::<bool>()).prop_map(|(product, price, publish)| {
            Op::Create { product, price: price * 100, publish }
        }),
        1 => (0..4_u8).prop_map(|product| Op::Publish { product }),
        1 => (0..4_u8, 0..50_i64).prop_map(|(sku, price)| Op::SetPrice { sku, price: price * 100 }),
        2 => (0..4_u8, 0..5_i64, any::<bool>())
            .prop_map(|(sku, quantity, again)| Op::Receive { sku, quantity, again }),
        1 => (0..4_u8, -3..3_i64).prop_map(|(sku, delta)| Op::Adjust { sku, delta }),
        8 => place(),
        3 => (0..12_u8, prop::bool::weighted(0.1), token())
            .prop_map(|(order, off, token)| Op::Confirm { order, off, token }),
        3 => (0..12_u8).prop_map(|order| Op::Cancel { order }),
        4 => (0..12_u8, prop::option::of((0..4_u8, 0..3_i64)), any::<bool>())
            .prop_map(|(order, units, restock)| Op::Refund { order, units, restock }),
        2 => (1..2_000_i64).prop_map(|seconds| Op::Later { seconds }),
        2 => (0..4_u8, 1..4_i64, 0..2_i64)
            .prop_map(|(journal, amount, off)| Op::Book { journal, amount, off }),
        6 => coupons(),
        3 => (0..4_u8, 1..2_000_i64).prop_map(|(user, amount)| Op::Gift { user, amount }),
        2 => (0..12_u8, prop::option::of((0..4_u8, 1..3_i64)))
            .prop_map(|(order, units)| Op::Ship { order, units }),
        1 => (0..12_u8, 1..3_u32).prop_map(|(order, no)| Op::Deliver { order, no }),
        1 => (0..12_u8, prop::option::of((0..4_u8, 1..3_i64)))
            .prop_map(|(order, units)| Op::Return { order, units }),
    ]
}

/// Campaigns of few coupons that do not last.
fn coupons() -> impl Strategy<Value = Op> {
    prop_oneof![
        1 => (0..2_u8, 1..6_i64, 1..3_000_i64, prop::bool::weighted(0.2)).prop_map(
            |(campaign, total, seconds, ends)| Op::Campaign { campaign, total, seconds, ends }),
        6 => (0..2_u8, 0..4_u8, prop::bool::weighted(0.1))
            .prop_map(|(campaign, user, again)| Op::Issue { campaign, user, again }),
        1 => (0..2_u8, prop::collection::vec(0..4_u8, 0..4))
            .prop_map(|(campaign, users)| Op::Grant { campaign, users }),
        1 => (0..12_u8).prop_map(|coupon| Op::Revoke { coupon }),
    ]
}

/// All operations, with the gateway's answers and the timers as commands of the list.
pub(crate) fn everything() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => commerce(),
        6 => (0..12_u8, 0..8_u8).prop_map(|(order, said)| Op::Said { order, said }),
        2 => (0..12_u8).prop_map(|order| Op::Timer { order }),
        1 => (0..3_u8, 0..20_i64, any::<bool>(), token()).prop_map(
            |(payment, amount, later, token)| Op::Pay { payment, amount, later, token }),
        1 => (0..3_u8).prop_map(|payment| Op::Capture { payment }),
        1 => (0..3_u8).prop_map(|payment| Op::Void { payment }),
        1 => (0..3_u8, 1..3_u32, 1..9_i64)
            .prop_map(|(payment, no, amount)| Op::GiveBack { payment, no, amount }),
        1 => (0..3_u8).prop_map(|payment| Op::Resolve { payment }),
        1 => (0..3_u8, 1..9_i64, 0..2_i64)
            .prop_map(|(source, amount, off)| Op::Post { source, amount, off }),
    ]
}

fn token() -> impl Strategy<Value = u8> {
    prop_oneof![3 => Just(0_u8), 2 => 0..7_u8]
}

fn place() -> impl Strategy<Value = Op> {
    let lines = prop::collection::vec((0..4_u8, 1..3_i64), 1..4);
    let rare = || prop::bool::weighted(0.08);
    let points = prop_oneof![3 => Just(0_i64), 2 => 1..1_200_i64];
    let with = (prop::option::weighted(0.4, 0..12_u8), points)
        .prop_map(|(coupon, points)| With { coupon, points });
    (lines, prop::bool::weighted(0.3), token(), rare(), rare(), with).prop_map(
        |(lines, client, token, stale, again, with)| Op::Place {
            lines,
            client,
            token,
            stale,
            again,
            with,
        },
    )
}

/// A history that begins with products on sale and a little stock.
pub(crate) fn history(
    op: impl Strategy<Value = Op>,
    length: std::ops::Range<usize>,
) -> impl Strategy<Value = Vec<Keyed>> {
    let key = prop::option::weighted(0.4, 0..6_u8);
    prop::collection::vec((op, key), length).prop_map(|ops| {
        let create = |product| Op::Create { product, price: 1_000, publish: true };
        let receive = |sku| Op::Receive { sku, quantity: 4, again: false };
        let stage = (0..3).map(create).chain((0..3).map(receive)).map(|op| (op, None));
        stage.chain(ops).collect()
    })
}

pub(crate) fn product(n: u8) -> ProductId {
    ProductId(100 + i64::from(n))
}

pub(crate) fn sku(n: u8) -> SkuId {
    SkuId(1_000 + i64::from(n))
}

pub(crate) fn order(n: i64) -> OrderId {
    OrderId(10_000 + n)
}

fn payment(n: u8) -> PaymentId {
    PaymentId(90_000 + i64::from(n))
}

/// Turns drawn operations into commands with times that go up.
pub(crate) fn compile(ops: &[Keyed]) -> Vec<Sent> {
    let mut world = World::at(START + 1);
    let mut sent = Vec::new();
    for (number, (op, key)) in ops.iter().enumerate() {
        world.now += 1_000;
        if let Op::Later { seconds } = op {
            world.now += seconds * 1_000_000;
            continue;
        }
        let (body, waits) = world.body(op);
        let key = key.filter(|_| waits).map(|key| idem(&body, key));
        sent.push(Sent { body, key, now: Time(world.now), waits, number });
    }
    sent
}

fn idem(body: &Body, key: u8) -> IdemKey {
    let (unit, print) = match body {
        Body::Order(order::command::Command::Place {
            user,
            lines,
            expected,
            mode,
            coupon,
            points,
            ..
        }) => ("order", format!("{user:?}{lines:?}{expected:?}{mode:?}{coupon:?}{points}")),
        Body::Catalog(command) => ("catalog", format!("{command:?}")),
        Body::Inventory(command) => ("inventory", format!("{command:?}")),
        Body::Order(command) => ("order", format!("{command:?}")),
        Body::Payment(command) => ("payment", format!("{command:?}")),
        Body::Ledger(command) => ("ledger", format!("{command:?}")),
        Body::Coupon(command) => ("coupon", format!("{command:?}")),
        Body::Points(command) => ("point", format!("{command:?}")),
    };
    let mut hasher = DefaultHasher::new();
    print.hash(&mut hasher);
    let mut fingerprint = [1; 17];
    fingerprint[1..9].copy_from_slice(&hasher.finish().to_le_bytes());
    IdemKey {
        scope: format!("client:{unit}").into(),
        key: format!("k{key}").into(),
        body: fingerprint,
    }
}
