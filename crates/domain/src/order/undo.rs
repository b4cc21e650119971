//! Rows 21 to 25 of the saga's table: an order on its way to an end without a sale, and what comes
//! after that end.

use super::command::SagaEvent;
use super::model::{Order, Refund, RefundState, Rules, State, Step};
use super::saga::{NEVER_ASKED, Turn};

/// Rows 22 to 24, and what comes too late.
#[expect(clippy::wildcard_enum_match_arm, reason = "what is not foreseen changes nothing")]
pub(super) fn unwinding(order: &Order, event: &SagaEvent, rules: &Rules) -> Option<(u8, Turn)> {
    use SagaEvent as E;
    let owes = is_owed(order.pay);
    Some(match event {
        E::StockReserved
        | E::StockPinned
        | E::StockRefused { .. }
        | E::CouponRedeemed { .. }
        | E::CouponRefused { .. }
        | E::PointsSpent { .. }
        | E::PointsRefused { .. } => (22, Turn::Nothing),
        E::PayAuthorized if owes => (22, Turn::Nothing),
        // The answer to the void says so as well, and only then it cannot be asked any more.
        E::PayNotSent { why } if &**why == NEVER_ASKED => (22, Turn::Nothing),
        E::StockReleased if is_owed(order.stock) => (23, Turn::StockUndone),
        E::CouponRestored if is_owed(order.coupon_step()) => (23, Turn::CouponUndone),
        E::PointsRestored { no: 0 } if is_owed(order.points.step) => (23, Turn::PointsUndone),
        E::PayVoided | E::PayDeclined { .. } | E::PayNotSent { .. } if owes => {
            (23, Turn::PayUndone)
        }
        E::PayCaptured { .. } if owes && order.is_free() => (23, Turn::PayUndone),
        E::StockNotReleased { .. }
        | E::CouponNotRestored { .. }
        | E::PointsNotRestored { no: 0, .. } => (24, Turn::Note),
        E::Timer if order.tries < rules.undo_limit => (24, Turn::UndoAgain),
        E::Timer => (24, Turn::Stuck),
        _ => return late(order, event, rules),
    })
}

/// Row 21: the money is on its way back.
#[expect(clippy::wildcard_enum_match_arm, reason = "what is not foreseen changes nothing")]
pub(super) fn reversing(order: &Order, event: &SagaEvent) -> Option<Turn> {
    use SagaEvent as E;
    Some(match event {
        E::Refunded { no } if is_reversal(order, *no) => Turn::Reversed(*no),
        E::RefundUnknown { no } if is_latest(order, *no) => Turn::RefundAgain(*no),
        E::RefundRefused { no, .. } if is_latest(order, *no) => Turn::Stuck,
        E::Timer => Turn::AskRefund,
        _ => return None,
    })
}

/// Whether refund `no` is an attempt at a reversal whose money is not back.
fn is_reversal(order: &Order, no: u32) -> bool {
    order.refund(no).is_some_and(|r| r.is_reversal() && r.state != RefundState::Done)
}

/// Whether refund `no` is the latest attempt at a reversal.
fn is_latest(order: &Order, no: u32) -> bool {
    order.reversal().is_some_and(|reversal| reversal.no == no)
}

/// Row 25: money for an order that ended, or is about to end, without a sale.
#[expect(clippy::wildcard_enum_match_arm, reason = "what is not foreseen changes nothing")]
pub(super) fn late(order: &Order, event: &SagaEvent, rules: &Rules) -> Option<(u8, Turn)> {
    use SagaEvent as E;
    let orphan = order.reversal();
    let is_open = orphan.is_some_and(Refund::is_open);
    let asked = |no: &u32| is_open && is_latest(order, *no);
    let is_cancelled = order.stuck_in.unwrap_or(order.state) == State::Cancelled;
    let turn = match event {
        E::PayCaptured { .. } if orphan.is_none() && !order.is_free() => Turn::Orphan,
        E::PayAuthorized if orphan.is_none() => Turn::LateHold,
        E::PayVoided | E::PayDeclined { .. } | E::PayNotSent { .. }
            if is_cancelled && !is_open && order.next_at.is_some() =>
        {
            Turn::LateHoldGone
        }
        E::Refunded { no } if is_reversal(order, *no) => Turn::OrphanDone(*no),
        E::RefundUnknown { no } if asked(no) => Turn::RefundAgain(*no),
        E::RefundRefused { no, .. } if asked(no) && is_cancelled => Turn::Stuck,
        E::RefundRefused { no, .. } if asked(no) => Turn::Note,
        E::SetAside { no } if asked(no) => Turn::SetAside(*no),
        E::StockReleased if is_cancelled && is_owed(order.stock) => {
            return Some((23, Turn::StockFreed));
        }
        E::CouponRestored if is_cancelled && is_owed(order.coupon_step()) => {
            return Some((23, Turn::CouponFreed));
        }
        E::PointsRestored { no: 0 } if is_cancelled && is_owed(order.points.step) => {
            return Some((23, Turn::PointsFreed));
        }
        E::Timer if is_cancelled && is_open => Turn::AskRefund,
        E::Timer if is_cancelled && order.tries < rules.undo_limit => Turn::LateHoldAgain,
        E::Timer if is_cancelled => Turn::Stuck,
        _ => return None,
    };
    Some((25, turn))
}

/// Whether the undo of a step at stock, coupon or point is still owed.
pub(super) fn holds_something(order: &Order) -> bool {
    [order.stock, order.coupon_step(), order.points.step].into_iter().any(is_owed)
}

/// Whether the undo of a step is still owed.
pub(super) fn is_owed(step: Step) -> bool {
    matches!(step, Step::Asked | Step::Done | Step::UndoAsked)
}
