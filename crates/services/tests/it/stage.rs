//! Single commands, for tests that tell a story. Every SKU costs 1,000.

use jangbu_domain::inventory::command::Command as Stock;
use jangbu_domain::order::command::{Command as Buy, Units, Verb};
use jangbu_domain::order::model::{Order, PayMode};
use jangbu_domain::payment::command::{Ask, Command as Pay, Said};
use jangbu_domain::{catalog, inventory, order, payment};
use jangbu_kernel::id::MovementId;
use jangbu_kernel::{
    CouponId, Currency, Envelope, IdemKey, Money, OrderId, Origin, PaymentId, Secret, SkuId, UserId,
};
use jangbu_services::queries::Queries;
use std::sync::Arc;

use crate::history::{product, sku};
use crate::rig::Bench;

pub(crate) const PRICE: i64 = 1_000;

pub(crate) fn won(amount: i64) -> Money {
    Money::new(amount, Currency::KRW)
}

pub(crate) fn create(n: u8) -> Envelope {
    create_at(n, PRICE)
}

pub(crate) fn create_at(n: u8, price: i64) -> Envelope {
    let new = catalog::command::NewSku::new(sku(n), "one", won(price));
    let create = catalog::command::Command::Create {
        product: product(n),
        merchant: format!("m-{}", n % 2).into(),
        name: "thing".into(),
        about: catalog::command::About::default(),
        skus: vec![new],
        publish: true,
    };
    Envelope::new(catalog::command::UNIT, Origin::Client, create)
}

pub(crate) fn receive(movement: i64, n: u8, quantity: i64) -> Envelope {
    let (movement, reason) = (MovementId(movement), "po".into());
    stock(Stock::Receive { movement, sku: sku(n), quantity, reason })
}

pub(crate) fn stock(command: Stock) -> Envelope {
    Envelope::new(inventory::command::UNIT, Origin::Client, command)
}

pub(crate) fn buy(command: Buy) -> Envelope {
    Envelope::new(order::command::UNIT, Origin::Client, command)
}

pub(crate) fn pay(command: Pay) -> Envelope {
    Envelope::new(payment::UNIT, Origin::Client, command)
}

pub(crate) fn units(lines: &[(u8, i64)]) -> Vec<Units> {
    lines.iter().map(|(n, quantity)| Units { sku: sku(*n), quantity: *quantity }).collect()
}

/// An order that the server pays at once.
pub(crate) fn place(id: i64, lines: &[(u8, i64)], token: &str) -> Envelope {
    place_as(id, lines, PayMode::Server, Some(token))
}

/// An order that waits for its client to pay.
pub(crate) fn hold(id: i64, lines: &[(u8, i64)]) -> Envelope {
    place_as(id, lines, PayMode::Client, None)
}

fn place_as(id: i64, lines: &[(u8, i64)], mode: PayMode, token: Option<&str>) -> Envelope {
    let total = lines.iter().map(|(_, quantity)| quantity * PRICE).sum();
    buy(Buy::Place {
        order: OrderId(id),
        user: UserId(7),
        lines: units(lines),
        expected: won(total),
        mode,
        token: token.map(Secret::new),
        coupon: None,
        points: 0,
        pay: None,
    })
}

pub(crate) fn confirm(id: i64, amount: i64, token: &str) -> Envelope {
    let (order, token) = (OrderId(id), Secret::new(token));
    buy(Buy::Confirm { order, amount: won(amount), token })
}

pub(crate) fn cancel(id: i64) -> Envelope {
    buy(Buy::Cancel { order: OrderId(id), reason: "changed my mind".into() })
}

pub(crate) fn refund(id: i64, lines: Option<&[(u8, i64)]>) -> Envelope {
    let (order, units) = (OrderId(id), lines.map(units));
    let reason = "broken".into();
    buy(Buy::Refund { order, units, restock: true, reason, returned: false })
}

/// What was sent comes back.
pub(crate) fn take_back(id: i64, lines: Option<&[(u8, i64)]>) -> Envelope {
    let (order, units) = (OrderId(id), lines.map(units));
    let reason = "too small".into();
    buy(Buy::Refund { order, units, restock: true, reason, returned: true })
}

pub(crate) fn ship(id: i64, lines: Option<&[(u8, i64)]>) -> Envelope {
    let (order, units) = (OrderId(id), lines.map(units));
    buy(Buy::Ship { order, units, carrier: "post".into(), tracking: "123".into() })
}

pub(crate) fn deliver(id: i64, no: u32) -> Envelope {
    buy(Buy::Deliver { order: OrderId(id), no })
}

/// An order that a coupon and points pay for, too.
pub(crate) fn place_with(
    (id, user): (i64, i64),
    lines: &[(u8, i64)],
    (token, coupon, points, pay): (Option<&str>, Option<i64>, i64, Option<i64>),
) -> Envelope {
    let total = lines.iter().map(|(_, quantity)| quantity * PRICE).sum();
    buy(Buy::Place {
        order: OrderId(id),
        user: UserId(user),
        lines: units(lines),
        expected: won(total),
        mode: PayMode::Server,
        token: token.map(Secret::new),
        coupon: coupon.map(CouponId),
        points,
        pay,
    })
}

pub(crate) fn operate(id: i64, verb: Verb) -> Envelope {
    buy(Buy::Operate { order: OrderId(id), verb, reason: "no answer for a day".into() })
}

/// What the gateway says, told.
pub(crate) fn said(id: i64, ask: Ask, said: Said) -> Envelope {
    let said = Pay::Said { payment: PaymentId(id), ask, said };
    Envelope::new(payment::UNIT, Origin::Event, said)
}

pub(crate) fn captured(id: i64, amount: i64) -> Envelope {
    said(id, Ask::Charge, Said::Captured { psp_ref: "ref".into(), amount })
}

/// The same with an idempotency key; `body` stands for what the fingerprint covers.
pub(crate) fn keyed(mut envelope: Envelope, key: &str, body: u8) -> Envelope {
    let scope = format!("client:{:?}", envelope.to).into();
    envelope.key = Some(Box::new(IdemKey { scope, key: key.into(), body: [body; 17] }));
    envelope
}

impl Bench {
    /// Three SKUs on sale, four units of each.
    pub(crate) fn stocked() -> Self {
        let mut bench = Self::new();
        bench.stock_up();
        bench
    }

    pub(crate) fn stock_up(&mut self) {
        for n in 0..3 {
            assert!(self.run(create(n)).is_done());
            assert!(self.run(receive(i64::from(n) + 1, n, 4)).is_done());
        }
    }

    /// Asks all of it before the first step, so that it is one batch; gives the numbers of the
    /// answers.
    pub(crate) fn batch(&mut self, envelopes: Vec<Envelope>) -> Vec<usize> {
        let numbers = envelopes.into_iter().map(|envelope| self.rig.ask(envelope)).collect();
        self.settle();
        numbers
    }

    pub(crate) fn queries(&self) -> Queries {
        let memory = Arc::new(self.memory.clone());
        Queries::new(memory.clone(), memory)
    }

    pub(crate) fn order(&self, id: i64) -> Option<Order> {
        self.queries().order(OrderId(id)).unwrap()
    }

    pub(crate) fn available(&self, n: u8) -> i64 {
        self.queries().stock(SkuId(sku(n).0)).unwrap().unwrap().available
    }
}
