//! Refunds of a captured payment: numbered, each with its frozen parts.
//!
//! A refund holds its amount as `pending` from the moment it is asked until the gateway has said
//! what became of it, so that no two refunds can spend the same money, in whatever order they are
//! answered. The gateway knows a refund by (payment, number): asking again is safe, and that is
//! what happens when an inquiry does not find it.

use std::sync::Arc;

use jangbu_kernel::{Ctx, Out, PaymentId, Time};

use super::aside;
use super::command::{Ask, Call, Event, Gift, Part, Reject, Said};
use super::decide::{Hands, call, change, found, until, verdict_of_operator};
use super::model::{
    AMOUNT_MISMATCH, MOST_REFUNDS, OPERATOR, Payment, Refund, RefundState, Rules, State,
};
use super::part::{Purpose, card_of, is_something};

/// What a refund claims: its number, what the gateway gives, from whose shares, and what is kept
/// of the card's for earned points that were spent already.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claim<'a> {
    pub(super) no: u32,
    pub(super) amount: i64,
    pub(super) parts: &'a [Part],
    pub(super) deduct: i64,
}

impl<'a> From<&'a Refund> for Claim<'a> {
    fn from(refund: &'a Refund) -> Self {
        let Refund { no, amount, ref parts, deduct, .. } = *refund;
        Self { no, amount, parts, deduct }
    }
}

/// Asks the gateway for what is claimed; what does not concern it is done at once.
pub(super) fn ask(
    id: PaymentId,
    claim: Claim<'_>,
    deadline: Time,
    (ctx, rows, out): Hands<'_>,
) -> Result<(), Reject> {
    if !is_new(found(rows, id)?, claim)? {
        return Ok(());
    }
    let Claim { no, amount, parts, deduct } = claim;
    let refund = Refund::of_order(no, RefundState::Sent, amount, parts.to_vec());
    let refund = Refund { deduct, deadline: Some(deadline), ..refund };
    if amount > 0 {
        send(id, refund, (ctx, rows, out));
    } else {
        change(rows, id, ctx.now, |p, _| {
            p.refunds.push(refund);
            done(p, (id, no), out);
        });
    }
    Ok(())
}

/// Asks the gateway for a refund that a merchant gives, under the next number.
pub(super) fn give(gift: &Gift, deadline: Time, (ctx, rows, out): Hands<'_>) -> Result<(), Reject> {
    let (id, payment) = (gift.payment, found(rows, gift.payment)?);
    if let Some(before) = payment.refund_of(gift.refund) {
        let same = gift.amount.is_none_or(|amount| amount == before.amount);
        return if same { Ok(()) } else { Err(Reject::RefundDiffers) };
    }
    let left = payment.refundable();
    if left == 0 && payment.state == State::Captured {
        // The whole rest again is no second refund; a part of nothing is none at all.
        return if gift.amount.is_none() { Ok(()) } else { Err(Reject::NothingToRefund) };
    }
    let amount = gift.amount.unwrap_or(left);
    let parts = vec![Part::card(Arc::clone(&gift.merchant), amount)];
    let last = payment.refunds.iter().map(|refund| refund.no).max().unwrap_or(0);
    check(payment, Claim { no: last, amount, parts: &parts, deduct: 0 })?;
    let no = last.checked_add(1).filter(|no| *no <= MOST_REFUNDS);
    let refund = Refund {
        no: no.ok_or(Reject::TooManyRefunds)?,
        state: RefundState::Sent,
        amount,
        parts,
        deduct: 0,
        deadline: Some(until(deadline, &rows.rules, ctx.now)),
        id: Some(gift.refund),
        reason: gift.reason.clone(),
        posting: 0,
    };
    send(id, refund, (ctx, rows, out));
    Ok(())
}

/// Writes a new refund down; it is on its way.
pub(super) fn send(id: PaymentId, refund: Refund, (ctx, rows, out): Hands<'_>) {
    let deadline = refund.deadline.unwrap_or(ctx.now);
    change(rows, id, ctx.now, |p, _| {
        let (no, amount) = (refund.no, refund.amount);
        p.pending = p.pending.saturating_add(amount);
        p.sent_at = Some(ctx.now);
        p.refunds.push(refund);
        out.emit(Event::RefundRequested { about: p.about(id), no, amount });
        out.call(super::UNIT, deadline, ctx, Call { amount, ..call(p, id, Ask::Refund(no)) });
    });
}

/// Whether the refund was not asked before, and can be: the same again is no news. The money of
/// points goes back by way of the points.
pub(super) fn is_new(payment: &Payment, claim: Claim<'_>) -> Result<bool, Reject> {
    match payment.refund(claim.no) {
        None if payment.purpose != Purpose::Sale => Err(Reject::AmountInvalid),
        None => check(payment, claim).map(|()| true),
        Some(before) => {
            let same = before.amount == claim.amount
                && before.deduct == claim.deduct
                && before.parts == claim.parts;
            if same { Ok(false) } else { Err(Reject::RefundDiffers) }
        }
    }
}

/// Whether a claim fits into what is left, in all and of each share of each merchant.
pub(super) fn check(payment: &Payment, claim: Claim<'_>) -> Result<(), Reject> {
    let Claim { amount, parts, deduct, .. } = claim;
    if payment.state != State::Captured {
        return Err(Reject::NotCaptured);
    }
    let card = amount.checked_add(deduct).filter(|_| amount >= 0 && deduct >= 0);
    if card.is_none() || !adds_up(payment, claim) {
        return Err(Reject::AmountInvalid);
    }
    let left = payment.refundable();
    if amount > left {
        return Err(Reject::RefundExceedsCaptured { left });
    }
    for part in parts {
        for (share, left) in part.shares().into_iter().zip(payment.refundable_of(&part.merchant)) {
            if share > left {
                return Err(Reject::RefundExceedsCaptured { left });
            }
        }
    }
    Ok(())
}

/// Whether the parts of a sale are what the card gives and what is deducted; points have none.
fn adds_up(payment: &Payment, Claim { amount, parts, deduct, .. }: Claim<'_>) -> bool {
    match payment.purpose {
        Purpose::Sale => card_of(parts) == amount.checked_add(deduct) && is_something(parts),
        Purpose::Points { .. } => parts.is_empty() && deduct == 0 && amount > 0,
    }
}

/// What an answer does to a refund.
#[derive(Debug, PartialEq, Eq)]
enum Turn {
    Nothing,
    Done,
    Refused {
        code: Box<str>,
    },
    Unknown {
        why: Box<str>,
    },
    /// An inquiry did not find it: the same number again.
    Again,
    /// The inquiry brought nothing.
    Quiet,
}

/// Takes the answer to `ask`, which is about refund `no`.
pub(super) fn said(
    id: PaymentId,
    no: u32,
    (ask, said): (Ask, &Said),
    (ctx, rows, out): Hands<'_>,
) -> Result<(), Reject> {
    let payment = found(rows, id)?;
    let refund = payment.refund(no).ok_or(Reject::RefundUnknown)?;
    let turn = turn(payment, refund, ask, said);
    if turn != Turn::Nothing {
        change(rows, id, ctx.now, |p, rules| take(p, (id, no), turn, (ctx, rules, out)));
    }
    Ok(())
}

fn turn(payment: &Payment, refund: &Refund, ask: Ask, said: &Said) -> Turn {
    match (refund.state, said) {
        (RefundState::Refused, Said::Refunded { amount }) => late(payment, refund, *amount),
        (
            RefundState::Done
            | RefundState::Refused
            | RefundState::SetAside
            | RefundState::Released,
            _,
        ) => Turn::Nothing,
        (_, Said::Refunded { amount }) if *amount == refund.amount => Turn::Done,
        (_, Said::Refunded { .. }) => open(refund, ask, "", AMOUNT_MISMATCH),
        (_, Said::Refused { code } | Said::Declined { code }) => {
            Turn::Refused { code: code.clone() }
        }
        (_, Said::Fenced) => Turn::Refused { code: "fenced".into() },
        (RefundState::Unknown, Said::NotFound) if is_inquiry(ask) && refund.deadline.is_some() => {
            Turn::Again
        }
        (_, Said::NotSent { why }) => open(refund, ask, "not_sent:", why),
        (_, Said::Unknown { why }) => open(refund, ask, "", why),
        (_, Said::NotFound) => open(refund, ask, "", "not_found"),
        (_, Said::Captured { .. } | Said::Authorized { .. } | Said::Voided) => {
            open(refund, ask, "", "not_about_the_refund")
        }
    }
}

/// Refused, and then done after all: taken as long as the money is there.
fn late(payment: &Payment, refund: &Refund, amount: i64) -> Turn {
    let mut left = payment.clone();
    left.refunds.retain(|other| other.no != refund.no);
    aside::make_room(&mut left, refund.no);
    let fits = amount == refund.amount && check(&left, refund.into()).is_ok();
    if fits { Turn::Done } else { Turn::Nothing }
}

/// `ask` did not settle it.
fn open(refund: &Refund, ask: Ask, kind: &str, why: &str) -> Turn {
    match (refund.state, is_inquiry(ask)) {
        (RefundState::Sent, false) => Turn::Unknown { why: [kind, why].concat().into() },
        (RefundState::Unknown, true) if refund.deadline.is_some() => Turn::Quiet,
        _ => Turn::Nothing,
    }
}

fn is_inquiry(ask: Ask) -> bool {
    matches!(ask, Ask::InquireRefund(_))
}

fn take(
    p: &mut Payment,
    (id, no): (PaymentId, u32),
    turn: Turn,
    (ctx, rules, out): (&Ctx, &Rules, &mut Out<Event>),
) {
    let about = p.about(id);
    match turn {
        Turn::Nothing => {}
        Turn::Done => {
            if p.refund(no).is_some_and(|refund| refund.state == RefundState::Refused) {
                for gone in aside::make_room(p, no) {
                    aside::state_released(p, id, &gone, out);
                }
            }
            done(p, (id, no), out);
        }
        Turn::Refused { code } => {
            end(p, no, RefundState::Refused);
            out.emit(Event::RefundRefused { about, no, code });
        }
        Turn::Unknown { why } => {
            put(p, no, RefundState::Unknown, None);
            out.emit(Event::RefundUnknown { about, no, why });
        }
        Turn::Again => {
            let deadline = until(super::command::SOON, rules, ctx.now);
            put(p, no, RefundState::Sent, Some(deadline));
            let amount = p.refund(no).map_or(0, |refund| refund.amount);
            out.call(super::UNIT, deadline, ctx, Call { amount, ..call(p, id, Ask::Refund(no)) });
        }
        Turn::Quiet => put(p, no, RefundState::Unknown, None),
    }
}

/// An operator says whether refund `no` happened, by evidence. One that the gateway has refused may
/// turn out to have been given; one that is on its way is not judged.
pub(super) fn resolve(
    id: PaymentId,
    (no, given): (u32, bool),
    evidence: &str,
    (ctx, rows, out): Hands<'_>,
) -> Result<(), Reject> {
    let payment = found(rows, id)?;
    let refund = payment.refund(no).ok_or(Reject::RefundUnknown)?;
    let reason = verdict_of_operator(evidence);
    let judged = payment.reason.as_deref() == Some(&*reason);
    let turn = match (refund.state, given) {
        (RefundState::Sent, _) => return Err(Reject::OperationInFlight),
        (RefundState::Unknown, true) => Turn::Done,
        (RefundState::Unknown, false) => Turn::Refused { code: OPERATOR.into() },
        (RefundState::Done, true) | (RefundState::Refused, false) if judged => return Ok(()),
        (RefundState::Refused, true) => late(payment, refund, refund.amount),
        _ => Turn::Nothing,
    };
    if turn == Turn::Nothing {
        return Err(Reject::NotUnknown);
    }
    change(rows, id, ctx.now, |p, rules| {
        take(p, (id, no), turn, (ctx, rules, out));
        p.reason = Some(reason);
    });
    Ok(())
}

/// Nobody has answered in time: open, and the gateway is asked.
pub(super) fn inquire(
    p: &mut Payment,
    (id, no): (PaymentId, u32),
    deadline: Time,
    (ctx, out): (&Ctx, &mut Out<Event>),
) {
    let Some((state, amount)) = p.refund(no).map(|refund| (refund.state, refund.amount)) else {
        return;
    };
    put(p, no, RefundState::Unknown, Some(deadline));
    if state == RefundState::Sent {
        let why = "deadline".into();
        out.emit(Event::RefundUnknown { about: p.about(id), no, why });
    }
    out.call(super::UNIT, deadline, ctx, Call { amount, ..call(p, id, Ask::InquireRefund(no)) });
}

/// Refund `no` has happened: the next posting.
fn done(p: &mut Payment, (id, no): (PaymentId, u32), out: &mut Out<Event>) {
    let Some(Refund { amount, parts, deduct, .. }) = end(p, no, RefundState::Done) else { return };
    p.refunded = p.refunded.saturating_add(amount);
    p.postings = p.postings.saturating_add(1);
    let (about, seq) = (p.about(id), p.postings);
    if let Some(refund) = p.refund_mut(no) {
        refund.posting = seq;
    }
    out.emit(Event::Refunded { about, seq, no, amount, parts, deduct });
}

fn put(p: &mut Payment, no: u32, state: RefundState, deadline: Option<Time>) {
    if let Some(refund) = p.refund_mut(no) {
        refund.state = state;
        refund.deadline = deadline;
    }
}

/// Ends refund `no`: what was pending of it is free. A claim without the gateway was never pending,
/// and has no amount.
fn end(p: &mut Payment, no: u32, state: RefundState) -> Option<Refund> {
    let refund = p.refund_mut(no)?;
    let was_open = refund.is_open();
    refund.state = state;
    refund.deadline = None;
    let refund = refund.clone();
    if was_open {
        p.pending = p.pending.saturating_sub(refund.amount);
    }
    Some(refund)
}
