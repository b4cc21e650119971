//! Asking the gateway how things stand, and the timers of payments that have no order.
//!
//! A payment is looked into when the deadline of the call about it has passed, never before: the
//! answer may still come. While an inquiry is under way (its deadline is in the row) nobody else
//! asks, so that a saga, a timer and an operator may nudge as often as they like.

use jangbu_kernel::{PaymentId, Time};

use super::command::{Ask, Reject, SOON};
use super::decide::{Hands, call, change, found, until};
use super::model::{FENCING, NOT_FOUND, Payment, Refund, RefundState, Rules, State, after};
use super::{answer, refund};

/// Asks what is open and not being asked: about refund `no`, or about everything.
pub(super) fn inquire(
    id: PaymentId,
    no: Option<u32>,
    deadline: Time,
    (ctx, rows, out): Hands<'_>,
) -> Result<(), Reject> {
    let payment = found(rows, id)?;
    if no.is_some_and(|no| payment.refund(no).is_none()) {
        return Err(Reject::RefundUnknown);
    }
    let itself = no.is_none() && is_silent(payment, ctx.now);
    let refunds = silent_refunds(payment, no, ctx.now);
    // A due timer moves on even if there was nothing to ask.
    let is_due = payment.next_at.is_some_and(|next_at| next_at <= ctx.now);
    if !itself && refunds.is_empty() && !is_due {
        return Ok(());
    }
    let deadline = until(deadline, &rows.rules, ctx.now);
    change(rows, id, ctx.now, |p, _| {
        if itself {
            if p.state == State::Intent {
                p.sent_at = Some(ctx.now);
                answer::unknown(p, id, "hint".into(), out);
            } else if p.state != State::Unknown {
                answer::unknown(p, id, "deadline".into(), out);
            }
            // A fence that brought nothing is over: what is found now may lead to the next one.
            if p.reason.as_deref() == Some(FENCING) {
                p.reason = Some(NOT_FOUND.into());
            }
            p.deadline = Some(deadline);
            out.call(super::UNIT, deadline, ctx, call(p, id, Ask::Inquire));
        }
        for no in refunds {
            refund::inquire(p, (id, no), deadline, (ctx, out));
        }
    });
    Ok(())
}

/// An operator asks: only about what is open. (An intent that nobody has sent is not.)
pub(super) fn ask_now(id: PaymentId, (ctx, rows, out): Hands<'_>) -> Result<(), Reject> {
    let payment = found(rows, id)?;
    let waits = match payment.state {
        State::Sent | State::CaptureSent | State::VoidSent | State::Unknown => true,
        State::Intent | State::Authorized | State::Captured | State::Declined | State::Voided => {
            false
        }
    };
    if !waits && !payment.refunds.iter().any(Refund::is_open) {
        return Err(Reject::NotUnknown);
    }
    inquire(id, None, SOON, (ctx, rows, out))
}

/// Whether something is open and no call about it can still be under way. An order asks about an
/// intent only when it has reason to think that the customer has paid: then the gateway knows.
fn is_silent(payment: &Payment, now: Time) -> bool {
    match payment.state {
        State::Intent => payment.order.is_some(),
        State::Sent | State::CaptureSent | State::VoidSent | State::Unknown => {
            !payment.is_asking(now)
        }
        State::Authorized | State::Captured | State::Declined | State::Voided => false,
    }
}

fn silent_refunds(payment: &Payment, no: Option<u32>, now: Time) -> Vec<u32> {
    let silent = payment.refunds.iter().filter(|refund| {
        let meant = no.is_none_or(|no| no == refund.no);
        meant && refund.is_open() && refund.deadline.is_none_or(|deadline| deadline <= now)
    });
    silent.map(|refund| refund.no).collect()
}

/// When a payment wakes up: never with an order, whose saga has the timers; else when the call
/// under way has been silent for too long, and then on the rules' schedule.
pub(super) fn next_at(payment: &Payment, rules: &Rules, now: Time) -> Option<Time> {
    if payment.order.is_some() {
        return None;
    }
    let silence = |deadline: Option<Time>| deadline.map(|deadline| after(deadline, Rules::GRACE));
    let itself = match payment.state {
        State::Sent | State::CaptureSent | State::VoidSent => silence(payment.deadline),
        State::Unknown => scheduled(payment.sent_at, rules, now),
        State::Intent | State::Authorized | State::Captured | State::Declined | State::Voided => {
            None
        }
    };
    let refunds = payment.refunds.iter().filter_map(|refund| match refund.state {
        RefundState::Sent => silence(refund.deadline),
        RefundState::Unknown => scheduled(payment.sent_at, rules, now),
        RefundState::Done
        | RefundState::Refused
        | RefundState::SetAside
        | RefundState::Released => None,
    });
    refunds.chain(itself).min()
}

/// The first inquiry after `now`, counted from the sending; none when it is time for an operator.
fn scheduled(sent_at: Option<Time>, rules: &Rules, now: Time) -> Option<Time> {
    let sent_at = sent_at.unwrap_or(now);
    if after(sent_at, rules.give_up) <= now {
        return None;
    }
    let mut next = sent_at;
    for pause in &rules.inquiries {
        next = after(next, *pause);
        if next > now {
            return Some(next);
        }
    }
    rules.inquiries.last().map(|pause| after(now, *pause))
}
