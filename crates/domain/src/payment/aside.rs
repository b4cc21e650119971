//! Money that no gateway gives back, and that no merchant shall have: it is set aside for the
//! customer.
//!
//! An operator who abandons an order whose reversal was refused for good leaves the customer's
//! money with us. It leaves the merchants' payables for an account of its own, from where it is
//! paid out by hand. The record is a refund that no gateway was asked for. Should a reversal that
//! was refused turn out to have been given all the same, what was set aside is released first, and
//! then the refund is posted as any other.

use jangbu_kernel::{Out, PaymentId};

use super::command::{Event, Reject, is_reversal};
use super::decide::{Hands, change, found};
use super::model::{Payment, Refund, RefundState};
use super::refund::{Claim, is_new};

/// Sets what is claimed aside.
pub(super) fn ask(
    id: PaymentId,
    claim: Claim<'_>,
    (ctx, rows, out): Hands<'_>,
) -> Result<(), Reject> {
    if !is_new(found(rows, id)?, claim)? {
        return Ok(());
    }
    let Claim { no, amount, parts, .. } = claim;
    change(rows, id, ctx.now, |p, _| {
        p.pending = p.pending.saturating_add(amount);
        p.postings = p.postings.saturating_add(1);
        let (state, parts) = (RefundState::SetAside, parts.to_vec());
        p.refunds.push(Refund::of_order(no, state, amount, parts.clone()));
        out.emit(Event::SetAside { about: p.about(id), seq: p.postings, no, amount, parts });
    });
    Ok(())
}

/// Makes room for a reversal that was refused and has happened: later attempts cannot succeed any
/// more, and what was set aside is needed. Gives what was released.
pub(super) fn make_room(p: &mut Payment, late: u32) -> Vec<Refund> {
    let mut released = Vec::new();
    if !is_reversal(late) {
        return released;
    }
    let mut free = 0_i64;
    for refund in &mut p.refunds {
        if refund.state == RefundState::SetAside {
            refund.state = RefundState::Released;
            released.push(refund.clone());
        } else if refund.is_open() && is_reversal(refund.no) && refund.no != late {
            refund.state = RefundState::Refused;
            refund.deadline = None;
        } else {
            continue;
        }
        free = free.saturating_add(refund.amount);
    }
    p.pending = p.pending.saturating_sub(free);
    released
}

/// States that `gone` is not set aside any more.
pub(super) fn state_released(p: &mut Payment, id: PaymentId, gone: &Refund, out: &mut Out<Event>) {
    p.postings = p.postings.saturating_add(1);
    let Refund { no, amount, ref parts, .. } = *gone;
    let (about, seq, parts) = (p.about(id), p.postings, parts.clone());
    out.emit(Event::Released { about, seq, no, amount, parts });
}
