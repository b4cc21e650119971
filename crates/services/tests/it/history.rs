//! Histories: commands of clients, answers of the gateway and timers, over every domain, on few
//! SKUs with little stock, so that commands get in each other's way.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};

use jangbu_domain::order::command::SagaEvent;
use jangbu_domain::order::model::PayMode;
use jangbu_domain::payment::command::{Ask, Intent, Part, Purpose, Said, Verdict};
use jangbu_domain::{catalog, coupon, inventory, ledger, order, payment, point};
use jangbu_kernel::id::{JournalId, MovementId};
use jangbu_kernel::time::Span;
use jangbu_kernel::{
    CampaignId, CouponId, Currency, Envelope, GrantId, IdemKey, Mint, Money, Operator, OrderId,
    Origin, PaymentId, ProductId, Secret, SkuId, Time, UserId,
};
use proptest::prelude::*;

use crate::gateway::TOKENS;
use crate::rig::START;

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
            Box::new(Operator { who: "kim".into(), why: "w".into(), operation: "test.operation" })
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

/// What [`compile`] remembers while it goes along.
#[derive(Default)]
struct World {
    prices: BTreeMap<u8, i64>,
    orders: i64,
    totals: BTreeMap<i64, i64>,
    movements: i64,
    coupons: i64,
    now: i64,
}

const KRW: Currency = Currency::KRW;

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
    let mut world = World { now: START + 1, ..World::default() };
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

impl World {
    fn body(&mut self, op: &Op) -> (Body, bool) {
        match op {
            Op::Create { .. } | Op::Publish { .. } | Op::SetPrice { .. } => {
                (Body::Catalog(self.catalog(op)), true)
            }
            Op::Receive { .. } | Op::Adjust { .. } => (Body::Inventory(self.inventory(op)), true),
            Op::Said { order: n, said } => (Body::Payment(self.said(*n, *said)), false),
            Op::Timer { order: n } => {
                let event = SagaEvent::Timer;
                (Body::Order(order::command::Command::Hear { order: self.order(*n), event }), false)
            }
            Op::Post { source, amount, off } => {
                let leg = |code: &str, amount| ledger::command::Leg { code: code.into(), amount };
                let legs = vec![
                    leg("psp:sim:receivable", *amount),
                    leg("merchant:m-1:payable", off - amount),
                ];
                let (source, at) = (80_000 + i64::from(*source), Time(self.now));
                let post = ledger::Command::Post { source, seq: 1, currency: KRW, at, legs };
                (Body::Ledger(post), true)
            }
            Op::Book { journal, amount, off } => {
                (Body::Ledger(book(*journal, *amount, *off)), true)
            }
            Op::Pay { .. }
            | Op::Capture { .. }
            | Op::Void { .. }
            | Op::GiveBack { .. }
            | Op::Resolve { .. } => (Body::Payment(self.payment(op)), true),
            Op::Campaign { .. } | Op::Issue { .. } | Op::Grant { .. } | Op::Revoke { .. } => {
                (Body::Coupon(self.coupons(op)), true)
            }
            Op::Gift { user, amount } => (Body::Points(self.gift(*user, *amount)), true),
            _ => (Body::Order(self.orders(op)), true),
        }
    }

    fn order(&self, n: u8) -> OrderId {
        order(i64::from(n) % (self.orders + 1))
    }

    fn catalog(&mut self, op: &Op) -> catalog::command::Command {
        use catalog::command::{About, Command, NewSku};
        match *op {
            Op::Create { product: n, price, publish } => {
                self.prices.entry(n).or_insert(price);
                let price = Money::new(price, KRW);
                let skus = vec![NewSku::new(sku(n), "one", price)];
                let merchant = format!("m-{}", n % 2).into();
                let (product, name) = (product(n), format!("thing {n}").into());
                let about = About::default();
                Command::Create { product, merchant, name, about, skus, publish }
            }
            Op::Publish { product: n } => Command::Publish { product: product(n) },
            Op::SetPrice { sku: n, price } => {
                self.prices.entry(n).and_modify(|known| *known = price);
                Command::SetPrice { sku: sku(n), price: Money::new(price, KRW) }
            }
            ref other => panic!("{other:?} is not the catalogue's"),
        }
    }

    fn inventory(&mut self, op: &Op) -> inventory::command::Command {
        use inventory::command::Command;
        self.movements += 1;
        let movement = MovementId(50_000 + self.movements);
        match *op {
            Op::Receive { sku: n, quantity, again } => {
                let before = MovementId(movement.0 - i64::from(again));
                Command::Receive { movement: before, sku: sku(n), quantity, reason: "po".into() }
            }
            Op::Adjust { sku: n, delta } => {
                Command::Adjust { movement, sku: sku(n), delta, reason: "count".into() }
            }
            ref other => panic!("{other:?} is not inventory's"),
        }
    }

    fn coupons(&mut self, op: &Op) -> coupon::command::Command {
        use coupon::command::Command;
        let campaign = |n: u8| CampaignId(70_000 + i64::from(n));
        let user = |n: u8| UserId(1 + i64::from(n));
        match op {
            Op::Campaign { campaign: n, ends: true, .. } => {
                Command::EndCampaign { campaign: campaign(*n) }
            }
            Op::Campaign { campaign: n, total, seconds, .. } => Command::CreateCampaign {
                campaign: campaign(*n),
                terms: terms(*n, *total, (self.now, seconds * 1_000_000)),
            },
            Op::Issue { campaign: n, user: who, again } => {
                self.coupons += i64::from(!again);
                let coupon = CouponId(71_000 + self.coupons);
                Command::Issue { campaign: campaign(*n), coupon, user: user(*who) }
            }
            Op::Grant { campaign: n, users } => {
                let ids: Vec<_> = Mint::block(72_000 + self.coupons).take(users.len()).collect();
                self.coupons += 1;
                let coupons = ids.into_iter().map(CouponId).zip(users.iter().map(|n| user(*n)));
                Command::Grant { campaign: campaign(*n), coupons: coupons.collect() }
            }
            Op::Revoke { coupon: n } => Command::Revoke {
                coupon: CouponId(71_000 + i64::from(*n) % (self.coupons + 1)),
                reason: "abuse".into(),
            },
            other => panic!("{other:?} is not coupon's"),
        }
    }

    fn gift(&mut self, user: u8, amount: i64) -> point::command::Command {
        self.movements += 1;
        point::command::Command::Grant {
            grant: GrantId(60_000 + self.movements),
            user: UserId(1 + i64::from(user)),
            amount,
            currency: KRW,
            expires_at: None,
            reason: "welcome".into(),
        }
    }

    fn orders(&mut self, op: &Op) -> order::command::Command {
        use order::command::{Command, Units};
        match op {
            Op::Place { lines, client, token, stale, again, with } => {
                self.orders += i64::from(!again);
                let id = order(self.orders);
                let units = |(n, quantity): &(u8, i64)| Units { sku: sku(*n), quantity: *quantity };
                let price = |(n, quantity): &(u8, i64)| self.prices.get(n).unwrap_or(&1) * quantity;
                let total = lines.iter().map(price).sum::<i64>();
                self.totals.insert(id.0, total);
                Command::Place {
                    order: id,
                    user: UserId(1 + self.orders % 3),
                    lines: lines.iter().map(units).collect(),
                    expected: Money::new(total + i64::from(*stale), KRW),
                    mode: if *client { PayMode::Client } else { PayMode::Server },
                    token: (!client).then(|| secret(*token)),
                    coupon: with
                        .coupon
                        .map(|n| CouponId(71_000 + i64::from(n) % (self.coupons + 1))),
                    points: with.points,
                    pay: None,
                }
            }
            Op::Ship { order: n, units } => {
                let unit = |(n, quantity): (u8, i64)| vec![Units { sku: sku(n), quantity }];
                let (order, units) = (self.order(*n), units.map(unit));
                Command::Ship { order, units, carrier: "post".into(), tracking: "1".into() }
            }
            Op::Deliver { order: n, no } => Command::Deliver { order: self.order(*n), no: *no },
            Op::Return { order: n, units } => {
                let unit = |(n, quantity): (u8, i64)| vec![Units { sku: sku(n), quantity }];
                let (order, units) = (self.order(*n), units.map(unit));
                let (restock, reason) = (true, "too small".into());
                Command::Refund { order, units, restock, reason, returned: true }
            }
            Op::Confirm { order: n, off, token } => {
                let order = self.order(*n);
                let total = self.totals.get(&order.0).unwrap_or(&0) + i64::from(*off);
                Command::Confirm { order, amount: Money::new(total, KRW), token: secret(*token) }
            }
            Op::Cancel { order: n } => {
                Command::Cancel { order: self.order(*n), reason: "changed my mind".into() }
            }
            Op::Refund { order: n, units, restock } => {
                let unit = |(n, quantity): (u8, i64)| vec![Units { sku: sku(n), quantity }];
                let (order, units) = (self.order(*n), units.map(unit));
                let (restock, reason) = (*restock, "broken".into());
                Command::Refund { order, units, restock, reason, returned: false }
            }
            other => panic!("{other:?} is not order's"),
        }
    }

    /// What the gateway might say, whether it was asked or not.
    fn said(&self, n: u8, said: u8) -> payment::Command {
        let order = self.order(n);
        let amount = self.totals.get(&order.0).copied().unwrap_or(0);
        let psp_ref = "ref".into();
        let (ask, said) = match said {
            0..=3 => (Ask::Charge, Said::Captured { psp_ref, amount }),
            4 => (Ask::Charge, Said::Declined { code: "card_declined".into() }),
            5 => (Ask::Charge, Said::Unknown { why: "timeout".into() }),
            6 => (Ask::Refund(1), Said::Refunded { amount }),
            _ => (Ask::Inquire, Said::NotFound),
        };
        payment::Command::Said { payment: order.into(), ask, said }
    }

    fn payment(&self, op: &Op) -> payment::Command {
        use payment::Command;
        let (deadline, merchant) = (Time(self.now + 10_000_000), None);
        let part = |amount| vec![Part::card("m-1".into(), amount)];
        match *op {
            Op::Pay { payment: n, amount, later, token } => {
                let split = if amount == 0 { Vec::new() } else { part(amount) };
                let intent = Intent {
                    payment: payment(n),
                    order: None,
                    purpose: Purpose::Sale,
                    amount,
                    currency: KRW,
                    split,
                    capture_later: later,
                };
                Command::Intend { intent, token: Some(secret(token)), deadline }
            }
            Op::Capture { payment: n } => {
                Command::Capture { payment: payment(n), merchant, deadline }
            }
            Op::Void { payment: n } => Command::Void { payment: payment(n), merchant, deadline },
            Op::GiveBack { payment: n, no, amount } => {
                let (payment, parts) = (payment(n), part(amount));
                Command::Refund { payment, no, amount, parts, deduct: 0, deadline }
            }
            Op::Resolve { payment: n } => {
                let (verdict, evidence) = (Verdict::NotCharged, "statement".into());
                Command::Resolve { payment: payment(n), verdict, evidence }
            }
            ref other => panic!("{other:?} is not payment's"),
        }
    }
}

/// What campaign `n` promises: one until a moment, another for a time.
fn terms(n: u8, total: i64, (now, span): (i64, i64)) -> coupon::terms::Terms {
    use coupon::terms::{Funding, Kind, Terms, Valid};
    let ends = Time(now + span);
    Terms {
        name: "spring".into(),
        kind: Kind::Fixed { amount: 300 },
        currency: KRW,
        minimum: 0,
        starts: Time(0),
        ends,
        valid: if n == 0 { Valid::Until(ends) } else { Valid::For(Span(span)) },
        per_user: total.min(2),
        total,
        funding: if n == 0 { Funding::Platform } else { Funding::Merchant },
        scope: (n > 0).then(|| "m-1".into()),
    }
}

/// A journal of two postings, the second of which is off by `off`.
fn book(journal: u8, amount: i64, off: i64) -> ledger::Command {
    let id = JournalId(85_000 + i64::from(journal));
    let mut draft = ledger::Draft::new(id, "kim".into(), "statement");
    draft.posting(KRW, None);
    draft.leg("merchant:m-1:payable", amount);
    draft.leg("bank", -amount);
    draft.posting(KRW, Some("line 2"));
    draft.leg("bank", amount + off);
    draft.leg("suspense", -amount);
    ledger::Command::Book(Box::new(draft))
}

fn secret(token: u8) -> Secret {
    Secret::new(TOKENS[usize::from(token) % TOKENS.len()])
}
