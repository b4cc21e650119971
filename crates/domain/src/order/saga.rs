//! The saga as one table: `turn` is a match over (state, event) that names the row; `act`
//! carries it out. Row numbers are those of the design, repeated here:
//!
//! | # | state | event | next |
//! |---|---|---|---|
//! | 1 | – | placed | HOLDING: reserve, redeem, spend |
//! | 1 | HOLDING | reserved, redeemed, spent: but not all of it yet | the same |
//! | 2 | HOLDING | all of it, client pays | `AWAIT_PAY`: intent |
//! | 3 | HOLDING | all of it, server pays (or nothing to charge) | PAYING: intent and call |
//! | 4 | HOLDING | refused, worth more than the goods, not what the buyer expects to pay, or cancelled | UNWINDING(`SOLD_OUT`, LIMIT, `PRICE_CHANGED`, CANCELLED) |
//! | 5 | HOLDING | timer | the same again, after three times UNWINDING(ERROR) |
//! | 6 | `AWAIT_PAY` | confirmed | PAYING: pin, and charge only when pinned |
//! | 7 | `AWAIT_PAY` | timer, cancelled | UNWINDING(EXPIRED, CANCELLED) |
//! | 8 | `AWAIT_PAY` | hint that it is paid | PAYING: pin, and inquire when that is answered |
//! | 9 | PAYING | captured | COMMITTING: commit stock |
//! | 10 | PAYING | captured, cancel wanted | REVERSING: refund in full |
//! | 11 | PAYING | declined, voided, not sent | UNWINDING(DECLINED, SHED) |
//! | 12 | PAYING, `PAY_UNKNOWN` | unknown, timer | `PAY_UNKNOWN`: inquire |
//! | 13 | PAYING, `PAY_UNKNOWN`, COMMITTING | cancelled | the same, cancel wanted |
//! | 14 | `PAY_UNKNOWN` | captured, declined | as 9, 10, 11 |
//! | 15 | PAYING, `PAY_UNKNOWN` | authorised only | PAYING: capture; or UNWINDING: void |
//! | 16 | `PAY_UNKNOWN` | not found | the same: inquire again |
//! | 17 | `PAY_UNKNOWN` | not found twice, fenced | UNWINDING(DECLINED) |
//! | 18 | `PAY_UNKNOWN` | timer after a day | STUCK |
//! | 19 | COMMITTING | stock committed | COMPLETED: earn |
//! | 20 | COMMITTING | timer, refused | the same, for ever; refused for good: STUCK, or as 10 |
//! | 21 | REVERSING | refunded, unknown, refused | UNWINDING(CANCELLED), the same, STUCK |
//! | 22 | UNWINDING | late "done" of an asked step | the same: the undo covers it |
//! | 23 | UNWINDING (or abandoned there) | everything undone | CANCELLED |
//! | 24 | UNWINDING | timer | undo again, after five minutes STUCK |
//! | 25 | UNWINDING, CANCELLED | captured late, or held late | the same: refund, or void |
//! | 26 | COMPLETED | refund asked, its answers, timer | COMPLETED |
//! | 27 | COMPLETED | points earned, refused, timer | the same: earn again until it is answered |
//!
//! A refund of row 26 takes its own way, each step repeated by the timer until it is answered:
//!
//! ```text
//! CLAWING ─▶ PSP_REFUND ─▶ RESTORING (stock, points, coupon) ─▶ DONE
//!               └─ refused ─▶ UNCLAWING ─▶ REFUSED
//! ```
//!
//! How rows are read where the design leaves it open:
//!
//! - Rows 1 to 4: stock, coupon and points are asked at once; the last yes freezes what the card
//!   pays. The first no turns the order round, and whoever was asked is asked to undo it.
//! - Row 3: a server-paid order is pinned by its reservation. Its saga alone ends it, so there is
//!   nothing that a hold of its own could expire for, and the loop is one command shorter. An
//!   order that a client would pay, but of which nothing is left to pay, is pinned before it goes
//!   on: its hold was one that expires.
//! - Row 4: a coupon or points that were asked for twice may have been given to the other; what
//!   was refused once only has nothing to undo.
//! - Rows 6 and 8: PAYING with the stock step `asked` waits for the pin and listens to nothing
//!   else. What the gateway says meanwhile is heard again from the inquiry that follows.
//! - Row 8: the hold may be gone when a hint comes. The gateway is asked all the same, and what
//!   it has taken goes back (row 10). A payment that it does not know is fenced (row 17).
//!   A hint that comes after the end is left to the reconciliation with the gateway's books.
//! - Row 10 when merchants get nothing: there is nothing to give back, so the order unwinds at
//!   once. An order that points have paid has a payment of 0 by card, which is refunded as any
//!   other, without the gateway.
//! - Rows 11 and 14, when payment has never heard of the payment, and each undo: the void brings the
//!   intent, so that a lost or late one finds a voided payment and charges nothing, should it arrive
//!   after all.
//! - Rows 21, 25 and 26: an inquiry about a refund is asked as that refund's step. If payment
//!   has never heard of the refund, or does not know its outcome, the same number is asked again.
//! - Row 20: a reservation that is expired, released or unknown will never be sold. The order is
//!   STUCK, and an operator (or the buyer's cancellation) turns it back.
//! - Rows 21 and 25: a reversal that was refused for good is attempted again only by an operator,
//!   as the next number: a gateway that has refused a number refuses it for ever. Should it have
//!   been given all the same, any of the numbers is the reversal.
//! - Row 22: a refusal of the reservation is no proof that nothing is held, since an earlier
//!   Reserve may have been carried out; the answer to the Release is.
//! - Row 24: a void without an answer is inquired about as well: an order's payment has no timer
//!   of its own.
//! - Row 26: points that the units have earned are taken back first. Those that were spent already
//!   are kept from the cash. A refund that was refused gives back what it took; should the gateway
//!   give it all the same, the buyer keeps those points.
//! - Row 26: the coupon is free again with the last unit. What has become of it meanwhile (expired,
//!   revoked) is coupon's business and ends the refund all the same.
//! - A timer that comes before its time was overtaken by another event, and means nothing.
//!
//! A STUCK order listens as in the state in which it got stuck.

use jangbu_kernel::{Ctx, OrderId, Secret, Time};

use super::act::Act;
use super::command::SagaEvent;
use super::model::{Order, Outcome, Refund, RefundState, State, Step, owed};
use super::{Out, hold, undo};

pub use super::model::Rules;

const DECLINED: Outcome = Outcome::Declined;
/// Row 5: a step without an answer is asked so often.
const ASK_LIMIT: i64 = 3;

/// The reason of [`SagaEvent::PayNotSent`] when payment has never heard of the payment.
pub const NEVER_ASKED: &str = "never_asked";

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Nothing: the event was foreseen and is covered.
    Nothing,
    /// Only the reason changes.
    Note,
    Intend,
    Pay,
    /// Not all of it yet.
    Held,
    /// Nothing to pay is left for the client, and the hold could expire.
    PinFree,
    AskAgain,
    AskPin,
    Charge,
    Hint,
    /// The hold of a hinted payment is safe.
    Pinned,
    /// The reservation is gone before a hinted payment was found.
    Unpinned,
    Commit,
    Capture,
    Reverse,
    Unsure,
    Inquire,
    Complete,
    CommitAgain,
    /// Inquires about the reversal.
    AskRefund,
    Reversed(u32),
    StockUndone,
    CouponUndone,
    PointsUndone,
    PayUndone,
    UndoAgain,
    Orphan,
    OrphanDone(u32),
    /// What no gateway gives back stands aside for the customer.
    SetAside(u32),
    /// What an abandoned order held is free after all.
    StockFreed,
    CouponFreed,
    PointsFreed,
    /// Money is held for an order that has ended.
    LateHold,
    LateHoldAgain,
    LateHoldGone,
    RefundAgain(u32),
    Restore(u32),
    /// A refund that was refused has happened after all.
    RestoreLate(u32),
    RefundRefused(u32),
    /// So many points were left to take back.
    Clawed(u32, i64),
    Unclawed(u32),
    /// One of the things that follow the money ([`owed`]) is done.
    Followed(u32, u8),
    RefundsAgain,
    Earned,
    NotEarned,
    EarnAgain,
    Unwind(Outcome),
    /// Payment has never heard of the payment: nor shall it charge when it does.
    UnwindUnasked,
    Stuck,
}

/// The row of the table that (state, event) is, and what it does. `None`: not foreseen, or a
/// repetition of what has been dealt with; nothing changes.
fn turn(order: &Order, event: &SagaEvent, rules: &Rules) -> Option<(u8, Turn)> {
    use SagaEvent as E;
    use State as S;
    let state = order.stuck_in.unwrap_or(order.state);
    Some(match (state, event) {
        (S::Holding, E::Timer) if order.tries < ASK_LIMIT => (5, Turn::AskAgain),
        (S::Holding, E::Timer) => (5, Turn::Unwind(Outcome::Error)),
        (S::Holding, _) => hold::holding(order, event)?,

        (S::AwaitPay, E::Timer) => (7, Turn::Unwind(Outcome::Expired)),
        (S::AwaitPay, E::PaidHint | E::PayCaptured { .. }) => (8, Turn::Hint),

        (S::Paying, _) if order.stock == Step::Asked => pinning(order, event)?,
        (S::Paying, E::PayCaptured { .. }) if order.cancel_wanted => (10, Turn::Reverse),
        (S::Paying, E::PayCaptured { .. }) => (9, Turn::Commit),
        (S::Paying, E::PayDeclined { .. } | E::PayVoided) => (11, Turn::Unwind(DECLINED)),
        (S::Paying, E::PayNotSent { why }) => (11, shed(why)),
        (S::Paying, E::PayUnknown { .. } | E::PayNotFound | E::Timer) => (12, Turn::Unsure),
        (S::Paying | S::PayUnknown, E::PayAuthorized) if order.cancel_wanted => {
            (15, Turn::Unwind(turned_back(order)))
        }
        (S::Paying | S::PayUnknown, E::PayAuthorized) => (15, Turn::Capture),

        (S::PayUnknown, E::PayCaptured { .. }) if order.cancel_wanted => (14, Turn::Reverse),
        (S::PayUnknown, E::PayCaptured { .. }) => (14, Turn::Commit),
        (S::PayUnknown, E::PayDeclined { code }) if is_fenced(code) => (17, Turn::Unwind(DECLINED)),
        (S::PayUnknown, E::PayDeclined { .. } | E::PayVoided) => (14, Turn::Unwind(DECLINED)),
        (S::PayUnknown, E::PayNotSent { why }) => (14, shed(why)),
        (S::PayUnknown, E::PayNotFound) => (16, Turn::Note),
        (S::PayUnknown, E::Timer) if order.tries < rules.inquiry_limit => (12, Turn::Inquire),
        (S::PayUnknown, E::Timer) => (18, Turn::Stuck),

        (S::Committing, E::StockCommitted) => (19, Turn::Complete),
        (S::Committing, E::StockNotCommitted { code }) if !is_gone(code) => (20, Turn::Note),
        (S::Committing, E::StockNotCommitted { .. }) if order.cancel_wanted => (20, Turn::Reverse),
        (S::Committing, E::StockNotCommitted { .. }) => (20, Turn::Stuck),
        (S::Committing, E::Timer) => (20, Turn::CommitAgain),

        (S::Reversing, _) => (21, undo::reversing(order, event)?),

        (S::Unwinding, _) => undo::unwinding(order, event, rules)?,
        (S::Cancelled, _) => undo::late(order, event, rules)?,
        (S::Completed, _) => match refunding(order, event) {
            Some(turn) => (26, turn),
            None => (27, earning(order, event)?),
        },
        _ => return None,
    })
}

/// Rows 6 and 8: the gateway is asked only once the hold cannot expire any more.
#[expect(clippy::wildcard_enum_match_arm, reason = "what is not foreseen changes nothing")]
fn pinning(order: &Order, event: &SagaEvent) -> Option<(u8, Turn)> {
    use SagaEvent as E;
    let pays = order.token.is_some();
    let row = if pays { 6 } else { 8 };
    let turn = match event {
        E::StockPinned if pays && order.cancel_wanted => Turn::Unwind(Outcome::Cancelled),
        E::StockPinned if pays => Turn::Charge,
        E::StockPinned => Turn::Pinned,
        E::StockNotPinned { .. } if pays => Turn::Unwind(Outcome::Expired),
        E::StockNotPinned { .. } => Turn::Unpinned,
        E::Timer => Turn::AskPin,
        _ => return None,
    };
    Some((row, turn))
}

/// Row 26: refunds of sold units.
#[expect(clippy::wildcard_enum_match_arm, reason = "what is not foreseen changes nothing")]
fn refunding(order: &Order, event: &SagaEvent) -> Option<Turn> {
    use RefundState as R;
    use SagaEvent as E;
    let stands = |no: &u32| order.refund(*no).map(|refund| refund.state);
    Some(match event {
        E::Refunded { no } if stands(no) == Some(R::AtPsp) => Turn::Restore(*no),
        E::Refunded { no } if matches!(stands(no), Some(R::Refused | R::Unclawing)) => {
            Turn::RestoreLate(*no)
        }
        E::RefundUnknown { no } if stands(no) == Some(R::AtPsp) => Turn::RefundAgain(*no),
        E::RefundRefused { no, .. } if stands(no) == Some(R::AtPsp) => Turn::RefundRefused(*no),
        E::Clawed { no, taken } if stands(no) == Some(R::Clawing) => Turn::Clawed(*no, *taken),
        E::UnClawed { no } if stands(no) == Some(R::Unclawing) => Turn::Unclawed(*no),
        E::UnClawed { no } if owes(order, *no, owed::UNCLAW) => Turn::Followed(*no, owed::UNCLAW),
        E::StockReturned { no } if owes(order, *no, owed::STOCK) => {
            Turn::Followed(*no, owed::STOCK)
        }
        E::PointsRestored { no } if owes(order, *no, owed::POINTS) => {
            Turn::Followed(*no, owed::POINTS)
        }
        E::PointsNotRestored { no, .. } if owes(order, *no, owed::POINTS) => Turn::Note,
        E::CouponRestored | E::CouponNotRestored { .. } => {
            let last = order.refunds.iter().find(|refund| refund.owed & owed::COUPON != 0)?;
            Turn::Followed(last.no, owed::COUPON)
        }
        E::Timer if order.refunds.iter().any(Refund::is_open) => Turn::RefundsAgain,
        _ => return None,
    })
}

fn owes(order: &Order, no: u32, what: u8) -> bool {
    order.refund(no).is_some_and(|refund| refund.owed & what != 0)
}

/// Row 27: the points that a sold order earns.
#[expect(clippy::wildcard_enum_match_arm, reason = "what is not foreseen changes nothing")]
fn earning(order: &Order, event: &SagaEvent) -> Option<Turn> {
    if order.earning.step != Step::Asked {
        return None;
    }
    Some(match event {
        SagaEvent::PointsEarned => Turn::Earned,
        SagaEvent::PointsRefused { .. } => Turn::NotEarned,
        SagaEvent::Timer => Turn::EarnAgain,
        _ => return None,
    })
}

/// Inventory's codes for units that this order will never have.
fn is_gone(code: &str) -> bool {
    matches!(code, "RESERVATION_EXPIRED" | "RESERVATION_RELEASED" | "RESERVATION_UNKNOWN")
}

/// Payment's code for what the gateway does not know and has promised to refuse.
fn is_fenced(code: &str) -> bool {
    code == "not_found"
}

fn shed(why: &str) -> Turn {
    if why == NEVER_ASKED { Turn::UnwindUnasked } else { Turn::Unwind(Outcome::Shed) }
}

/// Why an order is turned back that may have been paid: the hold was gone, or its buyer said so.
pub(super) fn turned_back(order: &Order) -> Outcome {
    if order.stock == Step::Refused { Outcome::Expired } else { Outcome::Cancelled }
}

/// The table's row for an event, for the operator's sentence and for the sweep over the table.
pub fn row(order: &Order, event: &SagaEvent, rules: &Rules) -> Option<u8> {
    turn(order, event, rules).map(|(row, _)| row)
}

/// Whether the event changes anything at `now`.
pub(super) fn concerns(order: &Order, event: &SagaEvent, rules: &Rules, now: Time) -> bool {
    let is_early = *event == SagaEvent::Timer && order.next_at.is_none_or(|at| at > now);
    !is_early && !matches!(turn(order, event, rules), None | Some((_, Turn::Nothing)))
}

/// Row 1: the order is new.
pub(super) fn place(order: &mut Order, id: OrderId, ctx: &Ctx, rules: &Rules, out: &mut Out) {
    Act { id, ctx, rules, out }.hold(order);
}

/// Row 6: the client pays; the hold must not expire any more before the gateway is asked.
pub(super) fn confirm(
    order: &mut Order,
    token: Secret,
    (id, ctx, rules): (OrderId, &Ctx, &Rules),
    out: &mut Out,
) {
    order.token = Some(token);
    Act { id, ctx, rules, out }.pin_to_pay(order);
}

/// Rows 4, 7, 13: the buyer wants out before the sale.
pub(super) fn cancel(order: &mut Order, id: OrderId, ctx: &Ctx, rules: &Rules, out: &mut Out) {
    let mut act = Act { id, ctx, rules, out };
    order.cancel_wanted = true;
    if order.stuck_in == Some(State::Committing) {
        order.stuck_in = None;
        return act.reverse(order);
    }
    if matches!(order.state, State::Holding | State::AwaitPay) {
        order.reason = Some("cancelled_by_request".into());
        act.unwind(order, Outcome::Cancelled);
    }
}

/// Row 26: some units of a sold order come back.
pub(super) fn refund(
    order: &mut Order,
    refund: Refund,
    (id, ctx, rules): (OrderId, &Ctx, &Rules),
    out: &mut Out,
) {
    Act { id, ctx, rules, out }.begin_refund(order, refund);
}

/// Acts on an event that [`concerns`] the order.
pub(super) fn hear(
    order: &mut Order,
    event: &SagaEvent,
    (id, ctx, rules): (OrderId, &Ctx, &Rules),
    out: &mut Out,
) {
    let Some((_, turn)) = turn(order, event, rules) else { return };
    // What an operator has given up says so, unless it is stuck again.
    let reason = reason(event).or_else(|| hold::reason(turn));
    if let Some(reason) = reason.filter(|_| turn == Turn::Stuck || !order.is_abandoned()) {
        order.reason = Some(reason);
    }
    if order.state == State::Holding {
        hold::record(order, event);
    }
    if let (State::Stuck, Some(from)) = (order.state, order.stuck_in) {
        if turn == Turn::Note || turn == Turn::Stuck {
            return;
        }
        order.state = from;
        order.stuck_in = None;
        // It goes on by itself again, whatever the turn leaves open.
        order.next_at = Some(ctx.now + rules.again);
    }
    Act { id, ctx, rules, out }.act(order, turn);
}

fn reason(event: &SagaEvent) -> Option<Box<str>> {
    use SagaEvent as E;
    match event {
        E::StockRefused { code }
        | E::StockNotPinned { code }
        | E::StockNotCommitted { code }
        | E::StockNotReleased { code }
        | E::CouponRefused { code }
        | E::CouponNotRestored { code }
        | E::PointsRefused { code }
        | E::PointsNotRestored { code, .. } => Some((&**code).into()),
        E::PayDeclined { code } | E::RefundRefused { code, .. } => Some(code.clone()),
        E::PayNotSent { why } | E::PayUnknown { why } => Some(why.clone()),
        E::PayNotFound => Some("not_found".into()),
        E::StockReserved
        | E::StockPinned
        | E::StockCommitted
        | E::StockReleased
        | E::StockReturned { .. }
        | E::PayAuthorized
        | E::PayCaptured { .. }
        | E::PayVoided
        | E::PaidHint
        | E::Refunded { .. }
        | E::RefundUnknown { .. }
        | E::SetAside { .. }
        | E::CouponRedeemed { .. }
        | E::CouponRestored
        | E::PointsSpent { .. }
        | E::PointsRestored { .. }
        | E::PointsEarned
        | E::Clawed { .. }
        | E::UnClawed { .. }
        | E::Timer => None,
    }
}

/// What the timer would do now.
pub(super) fn due(order: &Order, rules: &Rules) -> Option<Turn> {
    turn(order, &SagaEvent::Timer, rules).map(|(_, turn)| turn)
}
