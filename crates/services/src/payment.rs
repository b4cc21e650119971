//! Payment's rows, and how its events reach the ledger and the order.

mod ahead;
mod parts;

use std::sync::Arc;

use jangbu_domain::ledger;
use jangbu_domain::order::command::{SagaEvent, step};
use jangbu_domain::order::saga::NEVER_ASKED;
use jangbu_domain::payment::Payments;
use jangbu_domain::payment::Rows;
use jangbu_domain::payment::command::{About, Command, Event, Purpose, Reject, Reply};
use jangbu_domain::payment::model::{Mode, Op, Payment, RefundState, State};
use jangbu_domain::point::command as point;
use jangbu_engine::port::{Col, Fields, List, RowWriter, Table};
use jangbu_engine::unit::{Hints, Signal, Sink};
use jangbu_kernel::domain::Coded;
use jangbu_kernel::{Ctx, Envelope, OrderId, Origin, PaymentId, Time, UserId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::adapter::Service;
use crate::bound::{Bound, Stored};
use crate::events::Fact;
use crate::{order, packed};

use parts::{PackedPart, PackedRefund, pack, pack_refund, unpack, unpack_refund};

/// The list of payments whose outcome is unknown.
pub(crate) const UNKNOWN: &str = "unknown";

/// Payments with their refunds.
pub static PAYMENT: Table = Table {
    rank: 400,
    name: "payment",
    key: &["id"],
    cols: &[
        Col::int("order_id").or_null(),
        Col::int("state"),
        Col::int("pending_op"),
        Col::int("mode"),
        Col::text("split"),
        Col::text("currency"),
        Col::int("amount"),
        Col::int("authorized"),
        Col::int("captured"),
        Col::int("refunded"),
        Col::int("pending"),
        Col::text("psp"),
        Col::text("psp_ref").or_null(),
        Col::text("reason").or_null(),
        Col::int("not_found"),
        Col::int("postings"),
        Col::int("sent_at").or_null(),
        Col::int("deadline").or_null(),
        Col::text("refunds"),
        Col::int("next_at").or_null(),
        Col::int("at"),
        Col::int("points_of").or_null(),
    ],
    versioned: true,
    due: true,
    lists: &[List { name: UNKNOWN, col: "state", value: 9 }],
    hot: false,
};

impl Stored for Payment {
    type Key = PaymentId;
    const TABLE: &'static Table = &PAYMENT;
    const KEEP: usize = 10_000;

    fn read(row: &dyn Fields) -> Self {
        let refunds: Vec<PackedRefund<PackedPart>> = packed::read("payment.refunds", row.text(19));
        Self {
            order: row.opt_int(1).map(OrderId),
            state: packed::coded("payment.state", row.int(2), State::from_code),
            pending_op: packed::coded("payment.pending_op", row.int(3), Op::from_code),
            mode: packed::coded("payment.mode", row.int(4), Mode::from_code),
            purpose: row
                .opt_int(22)
                .map_or(Purpose::Sale, |user| Purpose::Points { user: UserId(user) }),
            split: unpack(packed::read("payment.split", row.text(5))),
            currency: packed::currency(row.text(6)),
            amount: row.int(7),
            authorized: row.int(8),
            captured: row.int(9),
            refunded: row.int(10),
            pending: row.int(11),
            psp: Arc::from(row.text(12)),
            psp_ref: row.opt_text(13).map(Into::into),
            reason: row.opt_text(14).map(Into::into),
            not_found: row.int(15),
            postings: row.int(16),
            sent_at: row.opt_int(17).map(Time),
            deadline: row.opt_int(18).map(Time),
            refunds: refunds.into_iter().map(unpack_refund).collect(),
            next_at: row.opt_int(20).map(Time),
            at: Time(row.int(21)),
        }
    }

    fn write(&self, to: &mut RowWriter<'_>) {
        to.opt_int(self.order.map(|order| order.0))
            .int(self.state.code())
            .int(self.pending_op.code())
            .int(self.mode.code());
        packed::write(to, &pack(&self.split));
        to.text(self.currency.as_str())
            .int(self.amount)
            .int(self.authorized)
            .int(self.captured)
            .int(self.refunded)
            .int(self.pending)
            .text(&self.psp)
            .opt_text(self.psp_ref.as_deref())
            .opt_text(self.reason.as_deref())
            .int(self.not_found)
            .int(self.postings)
            .opt_int(self.sent_at.map(|at| at.0))
            .opt_int(self.deadline.map(|at| at.0));
        let refunds: Vec<_> = self.refunds.iter().map(pack_refund).collect();
        packed::write(to, &refunds);
        let points_of = match self.purpose {
            Purpose::Sale => None,
            Purpose::Points { user } => Some(user.0),
        };
        to.opt_int(self.next_at.map(|at| at.0)).int(self.at.0).opt_int(points_of);
    }
}

/// What whoever waits for a payment without an order is told: a call about it was answered, or
/// given up as unknown.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Settled {
    /// The payment as it stands now.
    pub payment: Payment,
    /// When that happened: the time of the posting, if money moved.
    pub at: Time,
}

/// Payment in a cell.
#[derive(Debug)]
pub struct PaymentService;

impl Service for PaymentService {
    type Domain = Payments;

    const TIMERS: &'static [&'static Table] = &[&PAYMENT];

    fn bind(rows: &mut Rows, each: &mut dyn FnMut(&mut dyn Bound)) {
        each(&mut rows.payment);
    }

    fn ahead(command: &Command, rows: &Rows, hints: &mut Hints) {
        ahead::ahead(command, rows, hints);
    }

    fn answered(parent: i64, asked: u16, answer: Result<&Reply, &Reject>) -> Option<Envelope> {
        let refund = asked.checked_sub(step::REFUND).map(u32::from);
        let event = match (answer, refund) {
            (Ok(reply), Some(no)) => refund_stands(reply, no)?,
            (Ok(reply), None) => stands(reply, asked)?,
            (Err(reject), Some(no)) => refund_refused(reject, no),
            (Err(reject), None) => refused(reject, asked)?,
        };
        Some(order::hear(OrderId(parent), event))
    }

    fn subject(command: &Command) -> String {
        command.payment().to_string()
    }

    fn describe(command: &Command, rows: &Rows) -> Option<Value> {
        let payment = rows.payment.get(command.payment())?;
        Some(json!({
            "state": payment.state.name(),
            "pendingOperation": payment.pending_op.name(),
            "amount": payment.amount,
            "authorized": payment.authorized,
            "captured": payment.captured,
            "refunded": payment.refunded,
            "refundPending": payment.pending,
            "currency": payment.currency.as_str(),
            "reason": payment.reason,
        }))
    }

    fn follow(event: Event, rows: &Rows, ctx: &Ctx, sink: &mut Sink) {
        let about = about(&event);
        if let Some(fact) = fact(&event) {
            fact.publish(about.payment.0, rows.payment.version(about.payment), ctx, sink);
        }
        if let Some(post) = ledger::rules::postings(&event, ctx.now) {
            sink.effects.push_back(Envelope::new(ledger::UNIT, Origin::Event, post));
        }
        sink.effects.extend(bought(&event).or_else(|| returned(&event, rows)));
        match about.order {
            Some(order) => {
                sink.effects.extend(heard(event).map(|event| order::hear(order, event)));
            }
            None => sink.signals.extend(settled(&event, rows, ctx)),
        }
    }
}

/// The command that gives a customer the points that were paid.
fn bought(event: &Event) -> Option<Envelope> {
    let Event::Captured { about, amount, .. } = event else { return None };
    let Purpose::Points { user } = about.purpose else { return None };
    let (payment, amount, currency) = (about.payment, *amount, about.currency);
    let charge = point::Command::Charge { payment, user, amount, currency };
    Some(Envelope::new(point::UNIT, Origin::Event, charge))
}

/// The command that tells point what became of the money of points that are given back.
fn returned(event: &Event, rows: &Rows) -> Option<Envelope> {
    let (about, no, given) = match event {
        Event::Refunded { about, no, .. } => (about, *no, true),
        Event::RefundRefused { about, no, .. } => (about, *no, false),
        _ => return None,
    };
    let Purpose::Points { user } = about.purpose else { return None };
    let payment = about.payment;
    let refund = rows.payment.get(payment)?.refund(no)?.id?;
    let ended = point::Command::RefundEnded { payment, refund, user, given };
    Some(Envelope::new(point::UNIT, Origin::Event, ended))
}

/// The signal of an event that is an answer, or the end of waiting for one.
fn settled(event: &Event, rows: &Rows, ctx: &Ctx) -> Option<Signal> {
    let waited = !matches!(
        event,
        Event::CaptureRequested { .. } | Event::RefundRequested { .. } | Event::NotFound { .. }
    );
    let id = about(event).payment;
    let payment = rows.payment.get(id).filter(|_| waited)?.clone();
    Some(Signal { key: id.0, body: Box::new(Settled { payment, at: ctx.now }) })
}

/// What the order learns from an answer about the whole payment. What the gateway did is told by
/// the event; only an inquiry (or the undo) has to learn it from the answer.
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

fn refund_stands(reply: &Reply, no: u32) -> Option<SagaEvent> {
    match reply.refund? {
        RefundState::Done => Some(SagaEvent::Refunded { no }),
        RefundState::Refused => Some(SagaEvent::RefundRefused { no, code: "refused".into() }),
        RefundState::SetAside => Some(SagaEvent::SetAside { no }),
        RefundState::Sent | RefundState::Unknown | RefundState::Released => None,
    }
}

fn refused(reject: &Reject, asked: u16) -> Option<SagaEvent> {
    match (asked, reject) {
        (step::PAY, _) => Some(SagaEvent::PayDeclined { code: reject.code().into() }),
        (step::VOID, Reject::PaymentUnknown) => Some(SagaEvent::PayVoided),
        (step::VOID, Reject::NotVoidable) => Some(SagaEvent::PayCaptured { amount: 0 }),
        (step::INQUIRE, Reject::PaymentUnknown) => {
            Some(SagaEvent::PayNotSent { why: NEVER_ASKED.into() })
        }
        _ => None,
    }
}

fn refund_refused(reject: &Reject, no: u32) -> SagaEvent {
    match reject {
        // An inquiry about a refund that never arrived: the order asks for it again.
        Reject::RefundUnknown => SagaEvent::RefundUnknown { no },
        other => SagaEvent::RefundRefused { no, code: other.code().into() },
    }
}

fn about(event: &Event) -> &About {
    match event {
        Event::Authorized { about, .. }
        | Event::CaptureRequested { about, .. }
        | Event::Captured { about, .. }
        | Event::Declined { about, .. }
        | Event::NotSent { about, .. }
        | Event::Unknown { about, .. }
        | Event::NotFound { about }
        | Event::Voided { about }
        | Event::RefundRequested { about, .. }
        | Event::Refunded { about, .. }
        | Event::SetAside { about, .. }
        | Event::Released { about, .. }
        | Event::RefundRefused { about, .. }
        | Event::RefundUnknown { about, .. } => about,
    }
}

fn fact(event: &Event) -> Option<Fact<'_>> {
    let currency = about(event).currency.as_str();
    match event {
        Event::Authorized { amount, again: false, .. } => {
            Some(Fact::PaymentAuthorized { amount: *amount, currency })
        }
        Event::CaptureRequested { amount, .. } => {
            Some(Fact::PaymentCaptureRequested { amount: *amount, currency })
        }
        Event::Captured { seq, amount, .. } => {
            Some(Fact::PaymentCaptured { seq: *seq, amount: *amount, currency })
        }
        Event::RefundRequested { no, amount, .. } => {
            Some(Fact::PaymentRefundRequested { no: *no, amount: *amount, currency })
        }
        Event::Refunded { no, seq, amount, .. } => {
            Some(Fact::PaymentRefunded { no: *no, seq: *seq, amount: *amount, currency })
        }
        Event::SetAside { no, seq, amount, .. } => {
            Some(Fact::PaymentSetAside { no: *no, seq: *seq, amount: *amount, currency })
        }
        Event::Released { no, seq, amount, .. } => {
            Some(Fact::PaymentReleased { no: *no, seq: *seq, amount: *amount, currency })
        }
        // That a capture has not happened is no news of the authorisation, which was published.
        Event::Authorized { again: true, .. }
        | Event::Declined { .. }
        | Event::NotSent { .. }
        | Event::Unknown { .. }
        | Event::NotFound { .. }
        | Event::Voided { .. }
        | Event::RefundRefused { .. }
        | Event::RefundUnknown { .. } => None,
    }
}

fn heard(event: Event) -> Option<SagaEvent> {
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
