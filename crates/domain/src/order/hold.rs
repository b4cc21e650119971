//! Rows 1 to 8 of the saga's table: stock, coupon and points are asked at once; what they say, what
//! the card pays when the last of them has said yes, and how it is asked.

use std::sync::Arc;

use jangbu_kernel::time::Span;

use super::act::{Act, set_coupon};
use super::allocation::{Allocation, eligible};
use super::command::{SagaEvent, step};
use super::model::{Order, Outcome, PayMode, State, Step};
use super::saga::Turn;
use crate::coupon::command as coupon;
use crate::inventory::command as inventory;
use crate::payment::command as payment;
use crate::point::command as point;

/// What an answer means to an order that waits for several.
#[expect(clippy::wildcard_enum_match_arm, reason = "what is not foreseen changes nothing")]
pub(super) fn holding(order: &Order, event: &SagaEvent) -> Option<(u8, Turn)> {
    use SagaEvent as E;
    let (stock, coupon, points) = (order.stock, order.coupon_step(), order.points.step);
    let (step, is_done) = match event {
        E::StockReserved => (stock, true),
        E::StockRefused { .. } => (stock, false),
        E::CouponRedeemed { .. } => (coupon, true),
        E::CouponRefused { .. } => (coupon, false),
        E::PointsSpent { .. } => (points, true),
        E::PointsRefused { .. } => (points, false),
        _ => return None,
    };
    if step != Step::Asked {
        return None;
    }
    if !is_done {
        return Some((4, Turn::Unwind(refused(event))));
    }
    let open = [stock, coupon, points].into_iter().filter(|step| *step == Step::Asked);
    Some(if open.count() > 1 { (1, Turn::Held) } else { frozen(order, event) })
}

/// The last of them has said yes.
#[expect(clippy::wildcard_enum_match_arm, reason = "the others were heard before")]
fn frozen(order: &Order, event: &SagaEvent) -> (u8, Turn) {
    let used = order.coupon.as_ref();
    let (mut discount, mut scope) =
        (order.discount(), used.and_then(|coupon| coupon.scope.as_deref()));
    let mut spent = (order.points.paid, order.points.earned);
    match event {
        SagaEvent::CouponRedeemed { discount: off, scope: on, .. } => {
            (discount, scope) = (*off, on.as_deref());
        }
        SagaEvent::PointsSpent { paid, earned } => spent = (*paid, *earned),
        _ => {}
    }
    let points = spent.0.saturating_add(spent.1);
    let card = order.total.saturating_sub(discount).saturating_sub(points);
    let most = if discount == 0 { 0 } else { eligible(&order.lines, scope) };
    if card < 0 || !(0..=most).contains(&discount) || spent.0 < 0 || spent.1 < 0 {
        return (4, Turn::Unwind(Outcome::Limit));
    }
    if order.expects.is_some_and(|expected| expected != card) {
        return (4, Turn::Unwind(Outcome::PriceChanged));
    }
    match order.mode {
        PayMode::Client if card > 0 => (2, Turn::Intend),
        PayMode::Client if !is_pinned(order) => (3, Turn::PinFree),
        PayMode::Client | PayMode::Server => (3, Turn::Pay),
    }
}

/// Whether the reservation was asked as one that does not expire: nobody has to pay for it later.
pub(super) fn is_pinned(order: &Order) -> bool {
    order.mode == PayMode::Server || order.total == 0 || order.expects == Some(0)
}

#[expect(clippy::wildcard_enum_match_arm, reason = "only stock can be sold out")]
fn refused(event: &SagaEvent) -> Outcome {
    match event {
        SagaEvent::StockRefused { code } => match &**code {
            "INSUFFICIENT_STOCK" | "STOCK_UNKNOWN" => Outcome::SoldOut,
            _ => Outcome::Error,
        },
        _ => Outcome::Limit,
    }
}

/// Why an order turns back that nobody has refused.
#[expect(clippy::wildcard_enum_match_arm, reason = "the others have a reason of their own")]
pub(super) fn reason(turn: Turn) -> Option<Box<str>> {
    match turn {
        Turn::Unwind(Outcome::Limit) => Some("discount_exceeds_goods".into()),
        Turn::Unwind(Outcome::PriceChanged) => Some("expected_pay_differs".into()),
        _ => None,
    }
}

/// Writes down what an answer says. A step that was asked twice may have said yes to the other, so
/// its no proves nothing; nor does a no of the stock for which the units are not what is missing.
#[expect(clippy::wildcard_enum_match_arm, reason = "only answers of row 1 are written down")]
pub(super) fn record(order: &mut Order, event: &SagaEvent) {
    use SagaEvent as E;
    let asked_once = order.tries <= 1;
    match event {
        E::StockReserved => order.stock = Step::Done,
        E::StockRefused { .. } if asked_once && refused(event) == Outcome::SoldOut => {
            order.stock = Step::Refused;
        }
        E::CouponRedeemed { discount, scope, merchant_funded } => {
            if let Some(coupon) = &mut order.coupon {
                coupon.step = Step::Done;
                coupon.discount = (*discount).clamp(0, order.total);
                coupon.scope.clone_from(scope);
                coupon.merchant_funded = *merchant_funded;
            }
        }
        E::CouponRefused { .. } if asked_once => {
            if let Some(coupon) = &mut order.coupon {
                coupon.step = Step::Refused;
            }
        }
        E::PointsSpent { paid, earned } => {
            order.points.step = Step::Done;
            (order.points.paid, order.points.earned) = (*paid, *earned);
        }
        E::PointsRefused { .. } if asked_once => order.points.step = Step::Refused,
        _ => {}
    }
}

impl Act<'_> {
    /// Rows 1 and 5: asks whoever has not answered.
    pub(super) fn hold(&mut self, order: &mut Order) {
        order.tries = order.tries.saturating_add(1);
        order.next_at = Some(self.ctx.now + self.rules.ask);
        let is_open = |step: Step| matches!(step, Step::None | Step::Asked);
        if is_open(order.stock) {
            self.reserve(order);
        }
        if order.coupon.is_some() && is_open(order.coupon_step()) {
            self.redeem(order);
        }
        if order.points.wanted > 0 && is_open(order.points.step) {
            order.points.step = Step::Asked;
            let (user, amount, currency) = (order.user, order.points.wanted, order.currency);
            let order = self.id;
            self.ask_point(step::POINTS, point::Command::Spend { order, user, amount, currency });
        }
    }

    fn redeem(&mut self, order: &mut Order) {
        set_coupon(order, Step::Asked);
        let Some(coupon) = order.coupon_id() else { return };
        let mut goods: Vec<coupon::Goods> = Vec::with_capacity(1);
        for line in order.lines.iter() {
            let amount = line.unit_price.saturating_mul(line.quantity);
            match goods.iter_mut().find(|goods| goods.merchant == line.merchant) {
                Some(goods) => goods.amount = goods.amount.saturating_add(amount),
                None => goods.push(coupon::Goods { merchant: Arc::clone(&line.merchant), amount }),
            }
        }
        let (user, currency) = (order.user, order.currency);
        let order = self.id;
        let command = coupon::Command::Redeem { coupon, order, user, goods, currency };
        self.ask_coupon(step::COUPON, command);
    }

    fn reserve(&mut self, order: &mut Order) {
        order.stock = Step::Asked;
        let line =
            |line: &super::model::Line| inventory::Line { sku: line.sku, quantity: line.quantity };
        let command = inventory::Command::Reserve {
            order: self.id,
            lines: order.lines.iter().map(line).collect(),
            pin: is_pinned(order),
            expires_at: order.placed_at + self.rules.hold,
        };
        self.ask_inventory(step::RESERVE, command);
    }

    pub(super) fn pin_again(&mut self, order: &mut Order) {
        order.next_at = Some(self.ctx.now + self.rules.ask);
        self.pin();
    }

    /// Row 3: nothing is left for the client to pay.
    pub(super) fn pin_free(&mut self, order: &mut Order) {
        order.pay = Step::Asked;
        self.pin_to_pay(order);
    }

    fn pin(&mut self) {
        self.ask_inventory(step::PIN, inventory::Command::Pin { order: self.id });
    }

    pub(super) fn intent(&self, order: &Order) -> payment::Intent {
        payment::Intent {
            payment: self.payment(),
            order: Some(self.id),
            purpose: payment::Purpose::Sale,
            amount: order.card(),
            currency: order.currency,
            split: Allocation::of(order).split(),
            capture_later: false,
        }
    }

    pub(super) fn intend(&mut self, order: &mut Order) {
        order.pay = Step::Asked;
        self.ask_intent(order);
        self.enter(order, State::AwaitPay, Span(0));
        order.next_at = Some(order.placed_at + self.rules.hold);
    }

    pub(super) fn pay(&mut self, order: &mut Order) {
        order.pay = Step::Asked;
        let token = order.token.take();
        let intent = self.intent(order);
        let deadline = self.deadline();
        self.enter(order, State::Paying, self.rules.call);
        order.next_at = Some(deadline + self.rules.grace);
        self.ask_payment(step::PAY, payment::Command::Intend { intent, token, deadline });
    }

    pub(super) fn charge(&mut self, order: &mut Order) {
        let Some(token) = order.token.take() else { return };
        order.stock = Step::Done;
        let (payment, deadline) = (self.payment(), self.deadline());
        order.next_at = Some(deadline + self.rules.grace);
        self.ask_payment(step::PAY, payment::Command::Authorize { payment, token, deadline });
    }

    /// Rows 6 and 8: before the gateway has a say, the hold must not expire any more.
    pub(super) fn pin_to_pay(&mut self, order: &mut Order) {
        order.stock = Step::Asked;
        self.enter(order, State::Paying, self.rules.ask);
        self.pin();
    }

    /// Row 8: has the hinted payment happened? Payment must know of it to be able to ask.
    pub(super) fn find_out(&mut self, order: &mut Order, stock: Step) {
        order.stock = stock;
        order.next_at = Some(self.deadline() + self.rules.grace);
        self.ask_intent(order);
        self.ask_inquiry(None);
    }

    /// Has the intent written down, without a charge.
    pub(super) fn ask_intent(&mut self, order: &Order) {
        let (intent, deadline) = (self.intent(order), self.deadline());
        self.ask_payment(step::PAY, payment::Command::Intend { intent, token: None, deadline });
    }
}
