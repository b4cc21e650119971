//! Rows 1 to 4 of the saga's table: stock, coupon and points are asked at once; what they say, and
//! what the card pays when the last of them has said yes.

use super::allocation::eligible;
use super::command::SagaEvent;
use super::model::{Order, Outcome, PayMode, Step};
use super::saga::Turn;

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
