//! What the order hears of the other domains. A mirror of the services' mapping, which is tested
//! there: the tests of a domain know no services.

use jangbu_kernel::domain::Coded;

use crate::coupon::command as coupon;
use crate::coupon::terms::Funding;
use crate::inventory::command as stock;
use crate::order::command::{SagaEvent, step};
use crate::payment::command::{Event, Reject, Reply};
use crate::payment::model::{RefundState, State};
use crate::point::command as point;

pub(super) fn stock_answered(
    asked: u16,
    answer: &Result<stock::Reply, stock::Reject>,
) -> Option<SagaEvent> {
    use stock::Reply as R;
    let code = match answer {
        Ok(R::Reserved) => return Some(SagaEvent::StockReserved),
        Ok(R::Pinned) => return Some(SagaEvent::StockPinned),
        Ok(R::Committed) => return Some(SagaEvent::StockCommitted),
        Ok(R::Released) => return Some(SagaEvent::StockReleased),
        Ok(R::Returned) => {
            return Some(SagaEvent::StockReturned { no: u32::from(asked - step::RETURN) });
        }
        Ok(R::Expired | R::Moved { .. }) => return None,
        Err(reject) => reject.code(),
    };
    match asked {
        step::RESERVE => Some(SagaEvent::StockRefused { code: code.into() }),
        step::PIN => Some(SagaEvent::StockNotPinned { code: code.into() }),
        step::COMMIT => Some(SagaEvent::StockNotCommitted { code: code.into() }),
        step::RELEASE => Some(SagaEvent::StockNotReleased { code: code.into() }),
        _ => None,
    }
}

pub(super) fn coupon_answered(
    asked: u16,
    answer: &Result<coupon::Reply, coupon::Reject>,
) -> Option<SagaEvent> {
    Some(match answer {
        Ok(coupon::Reply::Redeemed { discount, scope, funding }) => SagaEvent::CouponRedeemed {
            discount: *discount,
            scope: scope.clone(),
            merchant_funded: *funding == Funding::Merchant,
        },
        Ok(coupon::Reply::Restored) => SagaEvent::CouponRestored,
        Ok(_) => return None,
        Err(reject) if asked == step::COUPON => {
            SagaEvent::CouponRefused { code: reject.code().into() }
        }
        Err(reject) => SagaEvent::CouponNotRestored { code: reject.code().into() },
    })
}

pub(super) fn point_answered(
    asked: u16,
    answer: &Result<point::Reply, point::Reject>,
) -> Option<SagaEvent> {
    use point::Reply as R;
    let no = |first: u16| asked.checked_sub(first).map(u32::from);
    Some(match answer {
        Ok(R::Spent { paid, earned }) => SagaEvent::PointsSpent { paid: *paid, earned: *earned },
        Ok(R::Restored) if asked == step::POINTS_BACK => SagaEvent::PointsRestored { no: 0 },
        Ok(R::Restored) => SagaEvent::PointsRestored { no: no(step::POINTS_RETURN)? },
        Ok(R::Earned) => SagaEvent::PointsEarned,
        Ok(R::Clawed { taken }) => SagaEvent::Clawed { no: no(step::CLAW)?, taken: *taken },
        Ok(R::UnClawed) => SagaEvent::UnClawed { no: no(step::UNCLAW)? },
        Ok(_) => return None,
        Err(reject) => match asked {
            step::POINTS | step::EARN => SagaEvent::PointsRefused { code: reject.code().into() },
            step::POINTS_BACK => SagaEvent::PointsNotRestored { no: 0, code: reject.code().into() },
            _ => return None,
        },
    })
}

pub(super) fn pay_answered(asked: u16, answer: &Result<Reply, Reject>) -> Option<SagaEvent> {
    let refund = asked.checked_sub(step::REFUND).map(u32::from);
    match (answer, refund) {
        (Ok(reply), Some(no)) => match reply.refund? {
            RefundState::Done => Some(SagaEvent::Refunded { no }),
            RefundState::Refused => Some(SagaEvent::RefundRefused { no, code: "refused".into() }),
            RefundState::SetAside => Some(SagaEvent::SetAside { no }),
            RefundState::Sent | RefundState::Unknown | RefundState::Released => None,
        },
        (Err(Reject::RefundUnknown), Some(no)) => Some(SagaEvent::RefundUnknown { no }),
        (Err(reject), Some(no)) => {
            Some(SagaEvent::RefundRefused { no, code: reject.code().into() })
        }
        (Ok(reply), None) => stands(reply, asked),
        (Err(reject), None) => match (asked, reject) {
            (step::PAY, _) => Some(SagaEvent::PayDeclined { code: reject.code().into() }),
            (step::VOID, Reject::PaymentUnknown) => Some(SagaEvent::PayVoided),
            (step::VOID, Reject::NotVoidable) => Some(SagaEvent::PayCaptured { amount: 0 }),
            (step::INQUIRE, Reject::PaymentUnknown) => {
                Some(SagaEvent::PayNotSent { why: "never_asked".into() })
            }
            _ => None,
        },
    }
}

fn stands(reply: &Reply, asked: u16) -> Option<SagaEvent> {
    let reason = || reply.reason.clone().unwrap_or_default();
    match (asked, reply.state) {
        (step::VOID, State::Voided | State::Declined) | (step::INQUIRE, State::Voided) => {
            Some(SagaEvent::PayVoided)
        }
        (step::INQUIRE, State::Captured) => Some(SagaEvent::PayCaptured { amount: reply.captured }),
        (step::INQUIRE, State::Authorized) => Some(SagaEvent::PayAuthorized),
        (step::INQUIRE, State::Declined) => Some(match reason().strip_prefix("not_sent:") {
            Some(why) => SagaEvent::PayNotSent { why: why.into() },
            None => SagaEvent::PayDeclined { code: reason() },
        }),
        _ => None,
    }
}

pub(super) fn pay_heard(event: Event) -> Option<SagaEvent> {
    Some(match event {
        Event::Authorized { .. } => SagaEvent::PayAuthorized,
        Event::Captured { amount, .. } => SagaEvent::PayCaptured { amount },
        Event::Declined { code, .. } => SagaEvent::PayDeclined { code },
        Event::NotSent { why, .. } => SagaEvent::PayNotSent { why },
        Event::Unknown { why, .. } => SagaEvent::PayUnknown { why },
        Event::NotFound { .. } => SagaEvent::PayNotFound,
        Event::Voided { .. } => SagaEvent::PayVoided,
        Event::Refunded { no, .. } => SagaEvent::Refunded { no },
        Event::RefundRefused { no, code, .. } => SagaEvent::RefundRefused { no, code },
        Event::RefundUnknown { no, .. } => SagaEvent::RefundUnknown { no },
        Event::SetAside { no, .. } => SagaEvent::SetAside { no },
        Event::CaptureRequested { .. } | Event::RefundRequested { .. } | Event::Released { .. } => {
            return None;
        }
    })
}
