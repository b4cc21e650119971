//! What people and sagas ask of a payment.

use std::sync::Arc;

use jangbu_kernel::{Ctx, Money, Out, PaymentId, Secret, Time};

use super::command::{Ask, Call, Command, Event, Intent, Reject, Reply, Verdict};
use super::model::{Mode, OPERATOR, Op, Payment, State, WITHDRAWN, after};
use super::part::{Purpose, card_of};
use super::refund::Claim;
use super::{Rows, Rules, answer, aside, inquiry, points, refund};

/// Decides one command.
pub(super) fn decide(
    command: &Command,
    ctx: &Ctx,
    rows: &mut Rows,
    out: &mut Out<Event>,
) -> Result<Reply, Reject> {
    let id = command.payment();
    match command {
        Command::Intend { intent, token, deadline } => {
            return intend(intent, token.as_ref(), *deadline, (ctx, rows, out));
        }
        Command::Authorize { token, deadline, .. } => {
            authorize(id, token, *deadline, (ctx, rows, out))?;
        }
        Command::Capture { merchant, deadline, .. } => {
            owned(rows, id, merchant.as_deref())?;
            capture(id, *deadline, (ctx, rows, out))?;
        }
        Command::Void { merchant, deadline, .. } => {
            owned(rows, id, merchant.as_deref())?;
            void(id, *deadline, (ctx, rows, out))?;
        }
        Command::Withdraw { intent, deadline } => {
            withdraw(intent, *deadline, (ctx, rows, out))?;
        }
        Command::GiveBack { gift, deadline } => {
            owned(rows, id, Some(&gift.merchant))?;
            refund::give(gift, *deadline, (ctx, rows, out))?;
        }
        Command::Refund { no, amount, parts, deduct, deadline, .. } => {
            let claim = Claim { no: *no, amount: *amount, parts, deduct: *deduct };
            refund::ask(id, claim, *deadline, (ctx, rows, out))?;
        }
        Command::SetAside { no, amount, parts, .. } => {
            let claim = Claim { no: *no, amount: *amount, parts, deduct: 0 };
            aside::ask(id, claim, (ctx, rows, out))?;
        }
        Command::Inquire { refund, deadline, .. } => {
            inquiry::inquire(id, *refund, *deadline, (ctx, rows, out))?;
        }
        Command::AskNow { .. } => {
            inquiry::ask_now(id, (ctx, rows, out))?;
        }
        Command::Said { ask, said, .. } => match ask.refund_no() {
            Some(no) => refund::said(id, no, (*ask, said), (ctx, rows, out))?,
            None => answer::said(id, *ask, said, (ctx, rows, out))?,
        },
        Command::Resolve { verdict, evidence, .. } => {
            resolve(id, *verdict, evidence, (ctx, rows, out))?;
        }
        Command::ResolveRefund { no, given, evidence, .. } => {
            refund::resolve(id, (*no, *given), evidence, (ctx, rows, out))?;
        }
        Command::ReturnPoints { refund, amount, reason, .. } => {
            points::give_back(id, (*refund, *amount), reason, (ctx, rows, out))?;
        }
    }
    let payment = found(rows, id)?;
    Ok(payment.reply(id, command.refund_no(payment)))
}

/// What every decision has at hand: the context, the rows, and the way out.
pub(super) type Hands<'a> = (&'a Ctx, &'a mut Rows, &'a mut Out<Event>);

/// The payment, if there is one.
pub(super) fn found(rows: &Rows, id: PaymentId) -> Result<&Payment, Reject> {
    rows.payment.get(id).ok_or(Reject::PaymentUnknown)
}

/// To anybody but its own merchant a payment does not exist.
fn owned(rows: &Rows, id: PaymentId, merchant: Option<&str>) -> Result<(), Reject> {
    let payment = found(rows, id)?;
    let theirs = merchant.is_none_or(|merchant| payment.belongs_to(merchant));
    if theirs { Ok(()) } else { Err(Reject::PaymentUnknown) }
}

/// Changes the payment and sets its timer. The row is there: the decision has looked.
pub(super) fn change(
    rows: &mut Rows,
    id: PaymentId,
    now: Time,
    how: impl FnOnce(&mut Payment, &Rules),
) {
    let Some(payment) = rows.payment.edit(id) else { return };
    how(payment, &rows.rules);
    payment.next_at = inquiry::next_at(payment, &rows.rules, now);
}

fn intend(
    intent: &Intent,
    token: Option<&Secret>,
    deadline: Time,
    (ctx, rows, out): Hands<'_>,
) -> Result<Reply, Reject> {
    let id = intent.payment;
    if let Some(payment) = rows.payment.get(id) {
        let same = payment.is_of(intent);
        return if same { Ok(payment.reply(id, None)) } else { Err(Reject::PaymentDiffers) };
    }
    if !adds_up(intent) {
        return Err(Reject::AmountInvalid);
    }
    let mut payment = Payment::new(intent, Arc::clone(&rows.rules.psp), ctx.now);
    if intent.amount == 0 {
        answer::captured_without_gateway(&mut payment, id, out);
    } else if let Some(token) = token {
        let deadline = until(deadline, &rows.rules, ctx.now);
        charge(&mut payment, id, (token, deadline), (ctx, out));
    }
    payment.next_at = inquiry::next_at(&payment, &rows.rules, ctx.now);
    let reply = payment.reply(id, None);
    rows.payment.insert(id, payment);
    Ok(reply)
}

/// Whether the card pays its shares of a sale, and nobody gets a part of what is for points.
fn adds_up(intent: &Intent) -> bool {
    let in_range = (0..=Money::MAX).contains(&intent.amount);
    in_range
        && match intent.purpose {
            Purpose::Sale => card_of(&intent.split) == Some(intent.amount),
            Purpose::Points { .. } => {
                intent.amount > 0 && intent.split.is_empty() && intent.order.is_none()
            }
        }
}

fn authorize(
    id: PaymentId,
    token: &Secret,
    deadline: Time,
    (ctx, rows, out): Hands<'_>,
) -> Result<(), Reject> {
    // Any other state: the charge was sent before, and is sent once for all time.
    if found(rows, id)?.state == State::Intent {
        change(rows, id, ctx.now, |payment, _| {
            charge(payment, id, (token, deadline), (ctx, out));
        });
    }
    Ok(())
}

fn capture(id: PaymentId, deadline: Time, (ctx, rows, out): Hands<'_>) -> Result<(), Reject> {
    match found(rows, id)?.state {
        State::CaptureSent | State::Captured => return Ok(()),
        State::Sent | State::VoidSent | State::Unknown => return Err(Reject::OperationInFlight),
        State::Intent | State::Declined | State::Voided => return Err(Reject::NotAuthorized),
        State::Authorized => {}
    }
    change(rows, id, ctx.now, |payment, rules| {
        let deadline = until(deadline, rules, ctx.now);
        send(payment, (State::CaptureSent, Op::Capture), deadline, ctx.now);
        out.emit(Event::CaptureRequested { about: payment.about(id), amount: payment.authorized });
        out.call(super::UNIT, deadline, ctx, call(payment, id, Ask::Capture));
    });
    Ok(())
}

fn void(id: PaymentId, deadline: Time, (ctx, rows, out): Hands<'_>) -> Result<(), Reject> {
    let state = found(rows, id)?.state;
    match state {
        State::VoidSent | State::Voided | State::Declined => return Ok(()),
        State::Captured => return Err(Reject::NotVoidable),
        State::Sent | State::CaptureSent | State::Unknown => return Err(Reject::OperationInFlight),
        State::Intent | State::Authorized => {}
    }
    change(rows, id, ctx.now, |payment, rules| {
        let deadline = until(deadline, rules, ctx.now);
        if state == State::Intent {
            payment.state = State::Voided;
            out.emit(Event::Voided { about: payment.about(id) });
        } else {
            send(payment, (State::VoidSent, Op::Void), deadline, ctx.now);
            out.call(super::UNIT, deadline, ctx, call(payment, id, Ask::Void));
        }
    });
    Ok(())
}

/// An intent that would be refused for its amounts is no payment whenever it comes. Why it is voided
/// stands in the row, for whoever looks at the payment.
fn withdraw(intent: &Intent, deadline: Time, (ctx, rows, out): Hands<'_>) -> Result<(), Reject> {
    let id = intent.payment;
    if rows.payment.get(id).is_none() && adds_up(intent) {
        let payment = Payment::new(intent, Arc::clone(&rows.rules.psp), ctx.now);
        rows.payment.insert(id, payment);
    }
    void(id, deadline, (ctx, rows, out))?;
    let voids = |p: &Payment| matches!(p.state, State::Voided | State::VoidSent);
    if rows.payment.get(id).is_some_and(|p| voids(p) && p.reason.as_deref() != Some(WITHDRAWN)) {
        change(rows, id, ctx.now, |payment, _| payment.reason = Some(WITHDRAWN.into()));
    }
    Ok(())
}

fn resolve(
    id: PaymentId,
    verdict: Verdict,
    evidence: &str,
    (ctx, rows, out): Hands<'_>,
) -> Result<(), Reject> {
    let payment = found(rows, id)?;
    let reason = verdict_of_operator(evidence);
    if payment.state != State::Unknown {
        let given = payment.reason.as_deref() == Some(&*reason);
        let agrees = payment.state == outcome(verdict);
        return if given && agrees { Ok(()) } else { Err(Reject::NotUnknown) };
    }
    change(rows, id, ctx.now, |payment, _| {
        match verdict {
            Verdict::Captured => answer::captured(payment, id, OPERATOR, out),
            Verdict::NotCharged => answer::declined(payment, id, OPERATOR, out),
        }
        payment.reason = Some(reason);
    });
    Ok(())
}

/// The reason of a row that an operator has decided.
pub(super) fn verdict_of_operator(evidence: &str) -> Box<str> {
    [OPERATOR, ":", evidence].concat().into()
}

fn outcome(verdict: Verdict) -> State {
    match verdict {
        Verdict::Captured => State::Captured,
        Verdict::NotCharged => State::Declined,
    }
}

/// The intent becomes SENT; the engine starts the call after the commit.
fn charge(
    payment: &mut Payment,
    id: PaymentId,
    (token, deadline): (&Secret, Time),
    (ctx, out): (&Ctx, &mut Out<Event>),
) {
    let ask = match payment.mode {
        Mode::Charge => Ask::Charge,
        Mode::Authorize => Ask::Authorize,
    };
    send(payment, (State::Sent, payment.mode.op()), deadline, ctx.now);
    let call = Call { token: Some(token.clone()), ..call(payment, id, ask) };
    out.call(super::UNIT, deadline, ctx, call);
}

/// A call that moves money is on its way.
fn send(payment: &mut Payment, (state, op): (State, Op), deadline: Time, now: Time) {
    payment.state = state;
    payment.pending_op = op;
    payment.sent_at = Some(now);
    payment.deadline = Some(deadline);
}

/// A call about the whole payment.
pub(super) fn call(payment: &Payment, id: PaymentId, ask: Ask) -> Call {
    Call { payment: id, ask, amount: payment.amount, currency: payment.currency, token: None }
}

/// The deadline of a call that we start: as asked, or as the rules say if that is in the past.
pub(super) fn until(deadline: Time, rules: &Rules, now: Time) -> Time {
    if deadline > now { deadline } else { after(now, rules.call_timeout) }
}
