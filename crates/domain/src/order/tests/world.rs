//! A small complete shop of the four real domains, one order, a scripted gateway and a scheduler
//! that delivers messages as the services do: first in, first out, answers after facts.

use std::collections::{BTreeSet, VecDeque};

use jangbu_kernel::id::MovementId;
use jangbu_kernel::time::Span;
use jangbu_kernel::{
    CampaignId, CouponId, Ctx, Currency, Domain, GrantId, Money, OrderId, Out, PaymentId, RowSet,
    Secret, SkuId, Time, UserId,
};

use super::engine::{
    coupon_rows, decide, ledger_rows, order_rows, pay_rows, point_rows, stock_rows,
};
use super::gateway::{Back, Gateway, Pay};
use super::mapping;
use crate::coupon::terms::{Funding, Kind, Terms, Valid};
use crate::coupon::{self, Coupons};
use crate::inventory::Inventory;
use crate::inventory::command as stock;
use crate::ledger::{self, Ledger};
use crate::order::command::{Command, Event, Reject, SagaEvent, Units};
use crate::order::model::{Offer, Order, PayMode, RefundState, State, Step};
use crate::order::saga;
use crate::order::{self, Orders};
use crate::payment::command as pay;
use crate::payment::{self, Payments};
use crate::point::{self, Points};
use crate::{inventory, ledger::rules};

pub(super) const ID: OrderId = OrderId(7);
pub(super) const PAYMENT: PaymentId = PaymentId(7);
pub(super) const START: Time = Time(1_800_000_000_000_000);
/// Two SKUs of two merchants: `(sku, quantity, price, merchant)`.
pub(super) const LINES: [(i64, i64, i64, &str); 2] = [(1, 2, 1_000, "m-1"), (2, 1, 500, "m-2")];
pub(super) const TOTAL: i64 = 2_500;
const RECEIVED: i64 = 10;
/// Who buys, with what besides the card.
pub(super) const BUYER: UserId = UserId(3);
pub(super) const COUPON: CouponId = CouponId(5);
pub(super) const DISCOUNT: i64 = 301;
pub(super) const POINTS: i64 = 403;
pub(super) const PAID_POINTS: i64 = 200;
pub(super) const EARNED_POINTS: i64 = 299;

/// A message on its way.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Msg {
    pub(super) reply: Option<(i64, u16)>,
    pub(super) body: Body,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Body {
    Order(Command),
    Stock(stock::Command),
    Coupon(coupon::command::Command),
    Points(point::command::Command),
    Pay(pay::Command),
    Post(ledger::Command),
}

impl Msg {
    pub(super) fn hear(event: SagaEvent) -> Self {
        Self { reply: None, body: Body::Order(Command::Hear { order: ID, event }) }
    }

    pub(super) fn said(ask: pay::Ask, said: pay::Said) -> Self {
        Self { reply: None, body: Body::Pay(pay::Command::Said { payment: PAYMENT, ask, said }) }
    }

    /// Whether it can get lost: timers, clients and postings (which are of the commit that they
    /// are about) cannot.
    pub(super) fn can_be_lost(&self) -> bool {
        match &self.body {
            Body::Order(Command::Hear { event, .. }) => *event != SagaEvent::Timer,
            Body::Order(_) | Body::Post(_) => false,
            Body::Stock(command) => !matches!(command, stock::Command::Expire { .. }),
            Body::Coupon(_) | Body::Points(_) | Body::Pay(_) => true,
        }
    }
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) orders: order::Rows,
    pub(super) inventory: inventory::model::Rows,
    pub(super) coupons: coupon::model::Rows,
    pub(super) points: point::model::Rows,
    pub(super) payments: payment::Rows,
    pub(super) ledger: ledger::Rows,
    pub(super) now: Time,
    pub(super) queue: VecDeque<Msg>,
    /// Answers of the gateway that are on their way.
    pub(super) later: Vec<(Time, Msg)>,
    pub(super) gateway: Gateway,
    /// Rows of the saga's table that were taken.
    pub(super) seen: BTreeSet<u8>,
    /// What the order stated, as words.
    pub(super) facts: Vec<&'static str>,
    pub(super) free: bool,
    /// The buyer uses a coupon and points.
    pub(super) perks: bool,
}

impl World {
    /// A shop with stock and offers. `free`: everything costs nothing.
    pub(super) fn new(pay: Pay, back: Back, enough: bool, free: bool) -> Self {
        let mut world = Self {
            orders: order::Rows::default(),
            inventory: inventory::model::Rows::default(),
            coupons: coupon::model::Rows::default(),
            points: point::model::Rows::default(),
            payments: payment::Rows::new(payment::Rules::new("sim")),
            ledger: ledger::Rows::default(),
            now: START,
            queue: VecDeque::new(),
            later: Vec::new(),
            gateway: Gateway::new(pay, back),
            seen: BTreeSet::new(),
            facts: Vec::new(),
            free,
            perks: false,
        };
        for (sku, _, price, merchant) in LINES {
            let price = if free { 0 } else { price };
            let quantity = if enough { RECEIVED } else { 1 };
            let (movement, reason) = (MovementId(sku), "goods".into());
            let sku = SkuId(sku);
            let command = stock::Command::Receive { movement, sku, quantity, reason };
            world.deliver(Msg { reply: None, body: Body::Stock(command) });
            let currency = Currency::KRW;
            let offer = Offer {
                merchant: merchant.into(),
                currency,
                price,
                on_sale: true,
                price_version: 1,
            };
            world.client(&Command::Learn { offers: vec![(sku, offer)] }).unwrap();
        }
        world
    }

    /// The same, and the buyer has a coupon and points, and uses them.
    pub(super) fn with_perks(mut self) -> Self {
        use coupon::command::Command as Coupon;
        use point::command::Command as Point;
        self.perks = !self.free;
        let (campaign, user, currency) = (CampaignId(1), BUYER, Currency::KRW);
        let terms = Terms {
            name: "welcome".into(),
            kind: Kind::Fixed { amount: DISCOUNT },
            currency,
            minimum: 1_000,
            starts: START,
            ends: START + FOREVER,
            valid: Valid::Until(START + FOREVER + FOREVER),
            per_user: 1,
            total: 1,
            funding: Funding::Platform,
            scope: None,
        };
        let coupon = COUPON;
        let (payment, amount) = (PaymentId(99), PAID_POINTS);
        let grant = Point::Grant {
            grant: GrantId(1),
            user,
            amount: EARNED_POINTS,
            currency,
            expires_at: None,
            reason: "welcome".into(),
        };
        for body in [
            Body::Coupon(Coupon::CreateCampaign { campaign, terms }),
            Body::Coupon(Coupon::Issue { campaign, coupon, user }),
            Body::Points(Point::Charge { payment, user, amount, currency }),
            Body::Points(grant),
        ] {
            self.deliver(Msg { reply: None, body });
        }
        while let Some(msg) = self.queue.pop_front() {
            self.deliver(msg);
        }
        self
    }

    /// What the card pays.
    pub(super) fn card(&self) -> i64 {
        self.total() - if self.perks { DISCOUNT + POINTS } else { 0 }
    }

    pub(super) fn coupon(&self) -> Option<&coupon::model::UserCoupon> {
        let rows = &self.coupons.coupon;
        if rows.holds(COUPON) { rows.get(COUPON) } else { None }
    }

    /// What the order has to do with points.
    pub(super) fn usage(&self) -> Option<&point::model::Use> {
        let rows = &self.points.usage;
        if rows.holds(ID) { rows.get(ID) } else { None }
    }

    pub(super) fn account(&self) -> Option<&point::model::Account> {
        let rows = &self.points.account;
        if rows.holds(BUYER) { rows.get(BUYER) } else { None }
    }

    pub(super) fn total(&self) -> i64 {
        if self.free { 0 } else { TOTAL }
    }

    /// The order as a client would place it.
    pub(super) fn placing(&self, mode: PayMode) -> Command {
        let line =
            |&(sku, quantity, ..): &(i64, i64, i64, &str)| Units { sku: SkuId(sku), quantity };
        Command::Place {
            order: ID,
            user: BUYER,
            lines: LINES.iter().map(line).collect(),
            expected: Money::new(self.total(), Currency::KRW),
            mode,
            token: (mode == PayMode::Server).then(|| Secret::new("tok")),
            coupon: self.perks.then_some(COUPON),
            points: if self.perks { POINTS } else { 0 },
            pay: None,
        }
    }

    pub(super) fn confirming(&self) -> Command {
        let amount = Money::new(self.card(), Currency::KRW);
        Command::Confirm { order: ID, amount, token: Secret::new("tok") }
    }

    pub(super) fn order(&self) -> Option<&Order> {
        if self.orders.order.holds(ID) { self.orders.order.get(ID) } else { None }
    }

    pub(super) fn state(&self) -> Option<State> {
        self.order().map(|order| order.state)
    }

    pub(super) fn payment(&self) -> Option<&payment::model::Payment> {
        if self.payments.payment.holds(PAYMENT) { self.payments.payment.get(PAYMENT) } else { None }
    }

    pub(super) fn reservation(&self) -> Option<&inventory::model::Reservation> {
        let rows = &self.inventory.reservation;
        if rows.holds(ID) { rows.get(ID) } else { None }
    }

    /// Whether nobody would ever ask for it again: a hint, a success that the gateway has denied
    /// before, and what an order has to hear of it that has no timer for it. The gateway tells until it is
    /// heard, and the payment's fact is of the commit (or the outbox) of the payment's row.
    pub(super) fn is_told_until_heard(&self, msg: &Msg) -> bool {
        match &msg.body {
            Body::Pay(pay::Command::Said { ask, said, .. }) => {
                let Some(payment) = self.payment() else { return false };
                let refund = ask.refund_no().and_then(|no| payment.refund(no));
                let refused = payment::model::RefundState::Refused;
                match said {
                    pay::Said::Captured { .. } | pay::Said::Authorized { .. } => {
                        payment.state == payment::model::State::Declined
                    }
                    pay::Said::Refunded { .. } => refund.is_some_and(|r| r.state == refused),
                    _ => false,
                }
            }
            Body::Order(Command::Hear { event: SagaEvent::PaidHint, .. }) => true,
            // It is of the commit of the payment's row, too.
            Body::Order(Command::Hear { event: SagaEvent::Refunded { no }, .. })
                if self
                    .order()
                    .and_then(|order| order.refund(*no))
                    .is_some_and(|refund| matches!(refund.state, RefundState::Unclawing)) =>
            {
                true
            }
            Body::Order(Command::Hear {
                event: SagaEvent::PayCaptured { .. } | SagaEvent::PayAuthorized,
                ..
            }) => self
                .order()
                .is_some_and(|order| order.pay == Step::Refused || order.next_at.is_none()),
            Body::Order(_) => self.order().is_some_and(|order| order.next_at.is_none()),
            Body::Pay(_) | Body::Stock(_) | Body::Coupon(_) | Body::Points(_) | Body::Post(_) => {
                false
            }
        }
    }

    /// A client's command.
    pub(super) fn client(&mut self, command: &Command) -> Result<(), Reject> {
        self.note_row(command);
        let ctx = self.ctx();
        let answer = decide::<Orders>(command, &ctx, &mut self.orders, order_rows);
        let (_, out) = answer?;
        self.follow_order(out);
        Ok(())
    }

    fn ctx(&self) -> Ctx {
        Ctx { now: self.now, commit: 1, correlation: None, trace: None }
    }

    /// Which row of the table a command or event is, counted if it will be taken.
    fn note_row(&mut self, command: &Command) {
        let state = self.state();
        let row = match command {
            Command::Place { .. } if state.is_none() => Some(1),
            Command::Confirm { .. } if state == Some(State::AwaitPay) => Some(6),
            Command::Cancel { .. } => match state {
                Some(State::Holding) => Some(4),
                Some(State::AwaitPay) => Some(7),
                Some(State::Paying | State::PayUnknown | State::Committing) => Some(13),
                Some(State::Completed) => Some(26),
                _ => None,
            },
            Command::Refund { .. } if state == Some(State::Completed) => Some(26),
            Command::Hear { event, .. } => {
                self.order().and_then(|order| saga::row(order, event, &self.orders.rules))
            }
            _ => None,
        };
        self.seen.extend(row);
    }

    /// Delivers one message.
    pub(super) fn deliver(&mut self, msg: Msg) {
        let ctx = self.ctx();
        let Msg { reply, body } = msg;
        match body {
            Body::Order(command) => {
                // An order that is not there hears nothing.
                let _ = self.client(&command);
            }
            Body::Stock(command) => {
                let answer = decide::<Inventory>(&command, &ctx, &mut self.inventory, stock_rows);
                let answer = answer.map(|(reply, _)| reply);
                let heard = reply.and_then(|(_, step)| mapping::stock_answered(step, &answer));
                self.queue.extend(heard.map(Msg::hear));
            }
            Body::Coupon(command) => {
                let answer = decide::<Coupons>(&command, &ctx, &mut self.coupons, coupon_rows);
                let answer = answer.map(|(reply, _)| reply);
                let heard = reply.and_then(|(_, step)| mapping::coupon_answered(step, &answer));
                self.queue.extend(heard.map(Msg::hear));
            }
            Body::Points(command) => {
                let answer = decide::<Points>(&command, &ctx, &mut self.points, point_rows);
                let answer = answer.map(|(reply, out)| {
                    self.follow_points(out);
                    reply
                });
                let heard = reply.and_then(|(_, step)| mapping::point_answered(step, &answer));
                self.queue.extend(heard.map(Msg::hear));
            }
            Body::Pay(command) => {
                let answer = decide::<Payments>(&command, &ctx, &mut self.payments, pay_rows);
                let answer = answer.map(|(reply, out)| {
                    self.follow_payment(out);
                    reply
                });
                let heard = reply.and_then(|(_, step)| mapping::pay_answered(step, &answer));
                self.queue.extend(heard.map(Msg::hear));
            }
            Body::Post(command) => {
                decide::<Ledger>(&command, &ctx, &mut self.ledger, ledger_rows).unwrap();
            }
        }
    }

    /// The commit of what an order's message led to does not happen.
    pub(super) fn crash(&mut self, msg: &Msg) {
        let Body::Order(command) = &msg.body else { panic!("not the order's: {msg:?}") };
        let before = self.order().cloned();
        let _ = decide::<Orders>(command, &self.ctx(), &mut self.orders, order_rows);
        order_rows(&mut self.orders).into_iter().for_each(RowSet::rollback);
        assert_eq!(self.order(), before.as_ref());
    }

    fn follow_order(&mut self, out: Out<Event>) {
        self.facts.extend(out.events.iter().map(|event| match event {
            Event::Placed { .. } => "placed",
            Event::Completed { .. } => "completed",
            Event::Cancelled { .. } => "cancelled",
            Event::Refunded { .. } => "refunded",
            Event::Advanced { .. } => "advanced",
            Event::Shipped { .. } => "shipped",
            Event::Delivered { .. } => "delivered",
        }));
        assert!(out.calls.is_empty());
        for send in out.sends {
            let body = if send.to == stock::UNIT {
                Body::Stock(send.body.expect_ref::<stock::Command>().clone())
            } else if send.to == coupon::command::UNIT {
                Body::Coupon(send.body.expect_ref::<coupon::command::Command>().clone())
            } else if send.to == point::command::UNIT {
                Body::Points(send.body.expect_ref::<point::command::Command>().clone())
            } else {
                Body::Pay(send.body.expect_ref::<pay::Command>().clone())
            };
            self.queue.push_back(Msg { reply: send.reply, body });
        }
    }

    fn follow_points(&mut self, out: Out<point::command::Event>) {
        for event in out.events {
            if let point::command::Event::Moved(moved) = event {
                let post = ledger::points::posting(&moved, self.now).map(Body::Post);
                self.queue.extend(post.map(|body| Msg { reply: None, body }));
            }
        }
    }

    fn follow_payment(&mut self, out: Out<pay::Event>) {
        for event in out.events {
            let post = rules::postings(&event, self.now).map(Body::Post);
            self.queue.extend(post.map(|body| Msg { reply: None, body }));
            self.queue.extend(mapping::pay_heard(event).map(Msg::hear));
        }
        for job in out.calls {
            let call: &pay::Call = job.body.expect_ref();
            for (after, said) in self.gateway.call(call, self.now) {
                self.later.push((self.now + after, Msg::said(call.ask, said)));
            }
        }
    }

    /// The next message; time goes on when there is none. `None`: nothing will ever happen.
    pub(super) fn next(&mut self) -> Option<Msg> {
        if let Some(msg) = self.queue.pop_front() {
            return Some(msg);
        }
        let answer = self.later.iter().map(|(at, _)| *at).min();
        let timer = self.order().and_then(|order| order.next_at);
        let hold = self.reservation().and_then(|reservation| reservation.next_at);
        let at = [answer, timer, hold].into_iter().flatten().min()?;
        self.now = self.now.max(at);
        if answer == Some(at) {
            let index = self.later.iter().position(|(when, _)| *when == at).unwrap();
            return Some(self.later.remove(index).1);
        }
        if hold == Some(at) {
            let body = Body::Stock(Inventory::wake("reservation", ID.0));
            return Some(Msg { reply: None, body });
        }
        Some(Msg { reply: None, body: Body::Order(Orders::wake("orders", ID.0)) })
    }
}

/// So long after the start that every patience has run out.
pub(super) const FOREVER: Span = Span::mins(60 * 24 * 30);
