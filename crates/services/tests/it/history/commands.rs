//! What each drawn operation means: a command, as it is sent to its domain.

use std::collections::BTreeMap;

use jangbu_domain::order::command::SagaEvent;
use jangbu_domain::order::model::PayMode;
use jangbu_domain::payment::command::{Ask, Intent, Part, Purpose, Said, Verdict};
use jangbu_domain::{catalog, coupon, inventory, ledger, point};
use jangbu_kernel::id::{JournalId, MovementId};
use jangbu_kernel::time::Span;
use jangbu_kernel::{
    CampaignId, CouponId, Currency, GrantId, Mint, Money, OrderId, Secret, Time, UserId,
};

use super::{Body, Op, order, payment, product, sku};
use crate::gateway::TOKENS;

const KRW: Currency = Currency::KRW;

/// What [`compile`](super::compile) remembers while it goes along.
#[derive(Default)]
pub(super) struct World {
    prices: BTreeMap<u8, i64>,
    orders: i64,
    totals: BTreeMap<i64, i64>,
    movements: i64,
    coupons: i64,
    pub(super) now: i64,
}

impl World {
    /// Nothing has happened yet.
    pub(super) fn at(now: i64) -> Self {
        Self { now, ..Self::default() }
    }

    pub(super) fn body(&mut self, op: &Op) -> (Body, bool) {
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
