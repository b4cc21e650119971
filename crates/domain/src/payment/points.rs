//! The money of points that are given back.
//!
//! The points are gone when this is asked, so it is never refused: what cannot be given back is
//! written down as a refund that did not happen, and its customer gets the points again.

use jangbu_kernel::{PaymentId, RefundId};

use super::command::{Event, Reject, SOON};
use super::decide::{Hands, change, found, until};
use super::model::{MOST_REFUNDS, Refund, RefundState, State};
use super::refund::{Claim, check, send};

/// Code of a refund for which nothing is left of the payment.
const NOTHING_LEFT: &str = "nothing_left";

/// Asks the gateway for the money of `amount` points, under the next number.
pub(super) fn give_back(
    id: PaymentId,
    (name, amount): (RefundId, i64),
    reason: &str,
    (ctx, rows, out): Hands<'_>,
) -> Result<(), Reject> {
    let payment = found(rows, id)?;
    if payment.state != State::Captured {
        return Err(Reject::NotCaptured); // there were no points
    }
    if payment.refund_of(name).is_some() {
        return Ok(());
    }
    let last = payment.refunds.iter().map(|refund| refund.no).max().unwrap_or(0);
    let no = last.saturating_add(1);
    let claim = Claim { no, amount, parts: &[], deduct: 0 };
    let fits = no <= MOST_REFUNDS && check(payment, claim).is_ok();
    let refund = Refund { id: Some(name), reason: reason.into(), ..empty(no, amount) };
    if fits {
        let deadline = Some(until(SOON, &rows.rules, ctx.now));
        send(id, Refund { deadline, ..refund }, (ctx, rows, out));
    } else {
        change(rows, id, ctx.now, |p, _| {
            p.refunds.push(Refund { state: RefundState::Refused, ..refund });
            out.emit(Event::RefundRefused { about: p.about(id), no, code: NOTHING_LEFT.into() });
        });
    }
    Ok(())
}

fn empty(no: u32, amount: i64) -> Refund {
    Refund::of_order(no, RefundState::Sent, amount, Vec::new())
}
