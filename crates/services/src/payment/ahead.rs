//! What will probably follow from a command of payment: postings, and the order or the points that
//! are paid.

use std::sync::Arc;

use jangbu_domain::ledger;
use jangbu_domain::order::command::SagaEvent;
use jangbu_domain::payment::Rows;
use jangbu_domain::payment::command::{About, Ask, Command, Event, Intent, Purpose, Said, Verdict};
use jangbu_domain::payment::model::{Payment, Refund};
use jangbu_domain::point::command as point;
use jangbu_engine::unit::Hints;
use jangbu_kernel::{OrderId, PaymentId, Time};

use crate::order;

/// Names it.
pub(super) fn ahead(command: &Command, rows: &Rows, hints: &mut Hints) {
    let id = command.payment();
    match command {
        Command::Intend { intent, .. } if intent.amount == 0 => at_once(intent, rows, hints),
        Command::Said { ask, said, .. } => heard(id, *ask, said, rows, hints),
        Command::Resolve { verdict: Verdict::Captured, .. } => captured(id, rows, hints),
        Command::Resolve { verdict: Verdict::NotCharged, .. } => {
            tell(id, SagaEvent::PayVoided, rows, hints);
        }
        Command::ResolveRefund { no, given, .. } => ended(id, (*no, *given), rows, hints),
        Command::Refund { no, .. } | Command::SetAside { no, .. } => {
            post_refund(id, *no, rows, hints);
        }
        Command::Intend { .. }
        | Command::Withdraw { .. }
        | Command::Authorize { .. }
        | Command::Capture { .. }
        | Command::Void { .. }
        | Command::GiveBack { .. }
        | Command::Inquire { .. }
        | Command::AskNow { .. }
        | Command::ReturnPoints { .. } => {}
    }
}

fn post(event: &Event, hints: &mut Hints) {
    if let Some(post) = ledger::rules::postings(event, Time(0)) {
        hints.add(ledger::UNIT, post);
    }
}

/// Nothing is charged: captured without the gateway.
fn at_once(intent: &Intent, rows: &Rows, hints: &mut Hints) {
    let Intent { payment, order, purpose, currency, ref split, .. } = *intent;
    let about = About { payment, order, purpose, currency, psp: Arc::clone(&rows.rules.psp) };
    post(&Event::Captured { about, seq: 1, amount: 0, split: split.clone() }, hints);
}

fn about(id: PaymentId, payment: &Payment) -> About {
    let Payment { order, purpose, currency, ref psp, .. } = *payment;
    About { payment: id, order, purpose, currency, psp: Arc::clone(psp) }
}

fn heard(id: PaymentId, ask: Ask, said: &Said, rows: &Rows, hints: &mut Hints) {
    match (ask.refund_no(), said) {
        (Some(no), said) => {
            ended(id, (no, matches!(said, Said::Refunded { .. })), rows, hints);
        }
        (None, Said::Captured { .. }) => captured(id, rows, hints),
        (None, _) => tell(id, SagaEvent::PayVoided, rows, hints),
    }
}

fn captured(id: PaymentId, rows: &Rows, hints: &mut Hints) {
    tell(id, SagaEvent::PayCaptured { amount: 0 }, rows, hints);
    let Some(payment) = rows.payment.peek(id) else { return };
    let (amount, currency, split) = (payment.amount, payment.currency, payment.split.clone());
    post(&Event::Captured { about: about(id, payment), seq: 1, amount, split }, hints);
    if let Purpose::Points { user } = payment.purpose {
        hints.add(point::UNIT, point::Command::Charge { payment: id, user, amount, currency });
    }
}

/// A refund has ended, by money or by a refusal.
fn ended(id: PaymentId, (no, given): (u32, bool), rows: &Rows, hints: &mut Hints) {
    let told = if given {
        SagaEvent::Refunded { no }
    } else {
        SagaEvent::RefundRefused { no, code: Box::default() }
    };
    tell(id, told, rows, hints);
    if given {
        post_refund(id, no, rows, hints);
    }
    let Some(payment) = rows.payment.peek(id) else { return };
    if let (Purpose::Points { user }, Some(refund)) =
        (payment.purpose, payment.refund(no).and_then(|refund| refund.id))
    {
        let ended = point::Command::RefundEnded { payment: id, refund, user, given };
        hints.add(point::UNIT, ended);
    }
}

/// The next posting of a payment: refund `no`, or one of everything.
fn post_refund(id: PaymentId, no: u32, rows: &Rows, hints: &mut Hints) {
    let Some(payment) = rows.payment.peek(id) else { return };
    let (amount, parts, deduct) = match payment.refund(no) {
        Some(Refund { amount, parts, deduct, .. }) => (*amount, parts, *deduct),
        None => (payment.amount, &payment.split, 0),
    };
    let (about, seq) = (about(id, payment), payment.postings.saturating_add(1));
    let parts = parts.clone();
    post(&Event::Refunded { about, seq, no, amount, parts, deduct }, hints);
}

/// The order hears of it. Before its payment is there nobody knows whether it has one; then it has the
/// same number.
fn tell(id: PaymentId, event: SagaEvent, rows: &Rows, hints: &mut Hints) {
    let order = match rows.payment.peek(id) {
        Some(payment) => payment.order,
        None if rows.payment.holds(id) => None,
        None => Some(OrderId(id.0)),
    };
    if let Some(order) = order {
        let hear = order::hear(order, event);
        hints.forward(hear.to, hear.body);
    }
}
