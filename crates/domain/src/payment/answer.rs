//! What the gateway says about the payment itself, whatever it was asked, however late.
//!
//! [`turn`] reads an answer against the row and changes nothing; [`take`] carries the turn out.
//! Two ideas make every order of answers safe: what the gateway *did* (captured, voided, declined)
//! is taken in any state that it can still change, and what it *does not know* is taken only from
//! the call that is under way.

use jangbu_kernel::{Ctx, Out, PaymentId, Time};

use super::command::{Ask, Event, Reject, Said};
use super::decide::{Hands, call, change, found};
use super::model::{
    AMOUNT_MISMATCH, FENCING, NOT_FOUND, Op, Payment, Rules, State, WITHDRAWN, after,
};

/// What an answer does to the payment.
#[derive(Debug, PartialEq, Eq)]
enum Turn<'a> {
    /// Nothing: known before, too late, or not about what is open.
    Nothing,
    Captured {
        psp_ref: &'a str,
    },
    Authorized {
        psp_ref: &'a str,
    },
    Voided,
    Declined {
        code: &'a str,
    },
    /// The charge never left this process.
    NotSent {
        why: &'a str,
    },
    /// The outcome is open; `kind` begins the reason.
    Unknown {
        kind: &'static str,
        why: &'a str,
    },
    /// The inquiry found nothing: ask again later.
    NotFound,
    /// The inquiry found nothing, again and long enough after: have it refused for ever.
    Fence,
    /// The inquiry brought nothing: nobody is asking any more.
    Quiet,
}

/// Takes the answer to `ask`.
pub(super) fn said(
    id: PaymentId,
    ask: Ask,
    said: &Said,
    (ctx, rows, out): Hands<'_>,
) -> Result<(), Reject> {
    let turn = turn(found(rows, id)?, ask, said, (&rows.rules, ctx.now));
    if turn != Turn::Nothing {
        change(rows, id, ctx.now, |payment, rules| take(payment, id, &turn, (ctx, rules, out)));
    }
    Ok(())
}

fn turn<'a>(p: &Payment, ask: Ask, said: &'a Said, patience: (&Rules, Time)) -> Turn<'a> {
    let charging = matches!(p.state, State::Sent | State::Unknown) && p.is_charging();
    // Two amounts contradict each other: only the right one, or an operator, ends that.
    let disputed = p.state == State::Unknown && p.reason.as_deref() == Some(AMOUNT_MISMATCH);
    match said {
        Said::Captured { psp_ref, amount } => captures(p, psp_ref, *amount, disputed),
        _ if disputed => silence(p, ask),
        Said::Authorized { psp_ref, amount } => authorizes(p, ask, psp_ref, *amount),
        Said::Voided => match p.state {
            State::Intent | State::Captured | State::Declined | State::Voided => Turn::Nothing,
            State::Sent
            | State::Authorized
            | State::CaptureSent
            | State::VoidSent
            | State::Unknown => Turn::Voided,
        },
        Said::Declined { code } if charging => Turn::Declined { code },
        Said::Fenced if charging => Turn::Declined { code: NOT_FOUND },
        Said::NotSent { why } if charging && moves(ask) => Turn::NotSent { why },
        Said::NotFound if ask == Ask::Inquire => lost(p, patience),
        Said::Declined { code } | Said::Refused { code } => fails(p, ask, "refused:", code),
        Said::Unknown { why } => fails(p, ask, "", why),
        Said::NotSent { why } => fails(p, ask, "not_sent:", why),
        Said::Refunded { .. } => fails(p, ask, "", "refunded"),
        Said::NotFound | Said::Fenced => fails(p, ask, "", NOT_FOUND),
    }
}

fn captures<'a>(p: &Payment, psp_ref: &'a str, amount: i64, disputed: bool) -> Turn<'a> {
    if p.state == State::Captured {
        Turn::Nothing
    } else if amount == p.amount {
        Turn::Captured { psp_ref }
    } else if disputed {
        silence(p, Ask::Inquire)
    } else {
        Turn::Unknown { kind: "", why: AMOUNT_MISMATCH }
    }
}

fn authorizes<'a>(p: &Payment, ask: Ask, psp_ref: &'a str, amount: i64) -> Turn<'a> {
    let first = p.authorized == 0;
    let news = match p.state {
        State::Sent | State::Declined | State::Voided => first,
        // An inquiry about a capture or void found the hold as it was: it has not happened. Only one
        // that is under way says so: the late answer to one of before knows nothing of the capture.
        State::Unknown => first || !moves(ask) && p.deadline.is_some(),
        State::Intent
        | State::Authorized
        | State::CaptureSent
        | State::VoidSent
        | State::Captured => false,
    };
    match news {
        false => Turn::Nothing,
        true if amount != p.amount => Turn::Unknown { kind: "", why: AMOUNT_MISMATCH },
        true => Turn::Authorized { psp_ref },
    }
}

/// `ask` did not do what it should, or nobody knows.
fn fails<'a>(p: &Payment, ask: Ask, kind: &'static str, why: &'a str) -> Turn<'a> {
    let asked = matches!(
        (p.state, p.pending_op, ask),
        (State::Sent, Op::Charge, Ask::Charge)
            | (State::Sent, Op::Authorize, Ask::Authorize)
            | (State::CaptureSent, Op::Capture, Ask::Capture)
            | (State::VoidSent, Op::Void, Ask::Void)
    );
    if asked { Turn::Unknown { kind, why } } else { silence(p, ask) }
}

/// An inquiry or a fence came back without news.
fn silence(p: &Payment, ask: Ask) -> Turn<'static> {
    let asking = p.state == State::Unknown && p.deadline.is_some() && !moves(ask);
    if asking { Turn::Quiet } else { Turn::Nothing }
}

/// An inquiry found nothing. Counted only while one is under way, so that one answer told twice
/// is not two answers.
fn lost(p: &Payment, (rules, now): (&Rules, Time)) -> Turn<'static> {
    let fencing = p.reason.as_deref() == Some(FENCING);
    if p.state != State::Unknown || p.deadline.is_none() || fencing {
        return Turn::Nothing;
    }
    let old = p.sent_at.is_none_or(|sent_at| after(sent_at, rules.not_found_age) <= now);
    let again = p.not_found > 0;
    if p.is_charging() && old && again { Turn::Fence } else { Turn::NotFound }
}

fn moves(ask: Ask) -> bool {
    match ask {
        Ask::Charge | Ask::Authorize | Ask::Capture | Ask::Void | Ask::Refund(_) => true,
        Ask::Inquire | Ask::InquireRefund(_) | Ask::Fence => false,
    }
}

fn take(
    p: &mut Payment,
    id: PaymentId,
    turn: &Turn<'_>,
    (ctx, rules, out): (&Ctx, &Rules, &mut Out<Event>),
) {
    match *turn {
        Turn::Nothing => {}
        Turn::Captured { psp_ref } => captured(p, id, psp_ref, out),
        Turn::Authorized { psp_ref } => {
            let again = p.authorized > 0;
            settle(p, State::Authorized, None);
            p.authorized = p.amount;
            p.psp_ref = Some(psp_ref.into());
            out.emit(Event::Authorized { about: p.about(id), amount: p.amount, again });
        }
        Turn::Voided => {
            // Only its order has a payment voided, also one whose void brought no answer at first.
            let lost = p.order.is_some() && p.state == State::Unknown && p.pending_op == Op::Void;
            let withdrawn = lost || p.reason.as_deref() == Some(WITHDRAWN);
            let why = withdrawn.then(|| WITHDRAWN.into());
            settle(p, State::Voided, why);
            out.emit(Event::Voided { about: p.about(id) });
        }
        Turn::Declined { code } => declined(p, id, code, out),
        Turn::NotSent { why } => {
            settle(p, State::Declined, Some(["not_sent:", why].concat().into()));
            out.emit(Event::NotSent { about: p.about(id), why: why.into() });
        }
        Turn::Unknown { kind, why } => unknown(p, id, [kind, why].concat().into(), out),
        Turn::NotFound => {
            p.deadline = None;
            p.not_found = p.not_found.saturating_add(1);
            out.emit(Event::NotFound { about: p.about(id) });
        }
        Turn::Fence => {
            let deadline = after(ctx.now, rules.call_timeout);
            p.deadline = Some(deadline);
            p.reason = Some(FENCING.into());
            out.call(super::UNIT, deadline, ctx, call(p, id, Ask::Fence));
        }
        Turn::Quiet => p.deadline = None,
    }
}

/// The money is ours, from whatever state: posting number one.
pub(super) fn captured(p: &mut Payment, id: PaymentId, psp_ref: &str, out: &mut Out<Event>) {
    settle(p, State::Captured, None);
    p.authorized = p.amount;
    p.captured = p.amount;
    p.psp_ref.get_or_insert_with(|| psp_ref.into());
    state_captured(p, id, out);
}

/// There is nothing to charge: the gateway is not asked.
pub(super) fn captured_without_gateway(p: &mut Payment, id: PaymentId, out: &mut Out<Event>) {
    p.state = State::Captured;
    state_captured(p, id, out);
}

fn state_captured(p: &mut Payment, id: PaymentId, out: &mut Out<Event>) {
    p.postings = i64::from(p.moves_money());
    let (about, split) = (p.about(id), p.split.clone());
    out.emit(Event::Captured { about, seq: p.postings, amount: p.amount, split });
}

/// The customer was not charged.
pub(super) fn declined(p: &mut Payment, id: PaymentId, code: &str, out: &mut Out<Event>) {
    settle(p, State::Declined, Some(code.into()));
    out.emit(Event::Declined { about: p.about(id), code: code.into() });
}

/// The outcome is open, and nobody is asking.
pub(super) fn unknown(p: &mut Payment, id: PaymentId, why: Box<str>, out: &mut Out<Event>) {
    if p.pending_op == Op::None {
        // A contradiction came after the end: it is about the charge.
        p.pending_op = p.mode.op();
    }
    p.state = State::Unknown;
    p.deadline = None;
    p.reason = Some(why.clone());
    out.emit(Event::Unknown { about: p.about(id), why });
}

/// Nothing is open any more.
fn settle(p: &mut Payment, state: State, reason: Option<Box<str>>) {
    p.state = state;
    p.pending_op = Op::None;
    p.deadline = None;
    p.reason = reason;
}
