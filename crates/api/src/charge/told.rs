//! What merchants are told: status names, ledger legs, bodies, problems with the payment's id.

use std::fmt;
use std::sync::Arc;

use jangbu_domain::ledger::chart::psp_receivable;
use jangbu_domain::ledger::rules::legs;
use jangbu_domain::payment::model::{Payment, Refund, RefundState, State};
use jangbu_kernel::id::encode;
use jangbu_kernel::{Currency, PaymentId, RefundId, Time};
use serde::Serialize;
use serde_json::{Value, json};

use super::wait::Seen;
use crate::Api;
use crate::codes::Own;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::text::{At, shown};

/// To a stranger and to nobody's payment alike.
pub(super) fn unknown(id: PaymentId) -> Problem {
    Problem::of(Own::PaymentUnknown, format!("this merchant has no payment {id}"))
}

/// How a payment stands, in the compatible names.
pub(super) fn status(payment: &Payment) -> &'static str {
    match payment.state {
        State::Intent | State::Sent => "READY",
        State::Authorized => "AUTHORIZED",
        State::Declined => "AUTH_FAILED",
        State::CaptureSent => "CAPTURE_REQUESTED",
        State::VoidSent => "VOID_REQUESTED",
        State::Voided => "VOIDED",
        State::Unknown => "UNKNOWN",
        State::Captured if payment.pending > 0 => "REFUND_REQUESTED",
        State::Captured => given(payment, payment.refunded),
    }
}

/// The status of a captured payment of which `refunded` went back.
fn given(payment: &Payment, refunded: i64) -> &'static str {
    match refunded {
        0 => "CAPTURED",
        some if some < payment.captured => "PARTIAL_REFUNDED",
        _ => "REFUNDED",
    }
}

/// A posting of the payment: its number, its amount, which way, and when if that is known.
struct Posting<'a> {
    seq: i64,
    refund: Option<&'a Refund>,
    at: Option<Time>,
}

/// An answer in the making.
pub(super) struct Told<'a> {
    seen: &'a Seen,
    code: u16,
    status: &'static str,
    message: &'static str,
    postings: Vec<Posting<'a>>,
    refund: Option<&'a Refund>,
}

impl<'a> Told<'a> {
    pub(super) fn new(seen: &'a Seen, code: u16, status: &'static str) -> Self {
        let message = sentence(status);
        Self { seen, code, status, message, postings: Vec::new(), refund: None }
    }

    /// 202, with the status as it is now.
    pub(super) fn open(seen: &'a Seen) -> Self {
        Self::new(seen, 202, status(&seen.payment))
    }

    /// With the entries of the capture.
    pub(super) fn captured(mut self) -> Self {
        if self.seen.payment.captured > 0 {
            self.postings.push(Posting { seq: 1, refund: None, at: self.seen.at });
        }
        self
    }

    /// With a refund, and its entries if the money has moved.
    pub(super) fn refunded(mut self, refund: &'a Refund) -> Self {
        if refund.posting > 0 {
            let seq = refund.posting;
            self.postings.push(Posting { seq, refund: Some(refund), at: self.seen.at });
        }
        self.refund = Some(refund);
        self
    }

    /// With the entries of everything that moved money.
    pub(super) fn all(mut self) -> Self {
        self = self.captured();
        let moved = self.seen.payment.refunds.iter().filter(|refund| refund.posting > 0);
        let posting =
            |refund: &'a Refund| Posting { seq: refund.posting, refund: Some(refund), at: None };
        self.postings.extend(moved.map(posting));
        self
    }

    /// The answer. Entries follow from the row; only their time may have to be read.
    pub(super) async fn reply(self, api: &Arc<Api>) -> Result<Reply, Problem> {
        let Self { seen, code, status, message, postings, refund } = self;
        let mut entries = Vec::new();
        for posting in &postings {
            let (id, seq) = (seen.id, posting.seq);
            let mut at = posting.at;
            if at.is_none() {
                at = api.read(move |queries| queries.posted_at(id, seq)).await?;
            }
            // A posting stands in the commit of its row, so its time was found.
            let at = at.unwrap_or(seen.payment.at);
            legs_of(seen, posting, at, &mut entries);
        }
        let body = Out {
            payment_id: seen.id,
            status,
            amount: seen.payment.amount,
            currency: seen.payment.currency,
            created_at: At(seen.payment.at),
            ledger_entries: entries,
            message,
            refund_id: refund.and_then(|refund| refund.id),
            refund_amount: refund.map(|refund| refund.amount),
        };
        let mut reply = Reply::json(code, &body).replayed(seen.replayed);
        if let Some(timing) = seen.timing {
            reply = reply.timed(timing);
        }
        if code == 202 {
            reply = reply.at(format!("/api/payments/{}", seen.id));
        }
        Ok(reply)
    }
}

fn legs_of(seen: &Seen, posting: &Posting<'_>, at: Time, entries: &mut Vec<LegOut>) {
    let Payment { psp, captured, split, .. } = &*seen.payment;
    let (cash, parts, sign) = match posting.refund {
        None => ((*captured, 0), split, 1),
        Some(refund) => ((refund.amount, refund.deduct), &refund.parts, -1),
    };
    for (no, leg) in legs(psp_receivable(psp), cash, parts, sign).into_iter().enumerate() {
        entries.push(LegOut {
            entry_id: EntryId { payment: seen.id, seq: posting.seq, leg: no },
            account: leg.code,
            debit: leg.amount.max(0),
            credit: leg.amount.saturating_neg().max(0),
            occurred_at: At(at),
        });
    }
}

/// What a status means, in a sentence.
fn sentence(status: &str) -> &'static str {
    match status {
        "AUTHORIZED" => "The amount is held; capture or void it.",
        "CAPTURED" => "The amount was taken.",
        "VOIDED" => "The amount is held no more; nothing was taken.",
        "AUTH_FAILED" => "The payment was declined; nothing was taken.",
        "REFUNDED" => "The whole amount was given back.",
        "PARTIAL_REFUNDED" => "A part of the amount was given back.",
        "REFUND_REQUESTED" => "The gateway has not answered the refund yet.",
        "CAPTURE_REQUESTED" => "The gateway has not answered the capture yet.",
        "VOID_REQUESTED" => "The gateway has not answered the void yet.",
        "READY" => "The gateway has not answered yet.",
        _ => "The outcome is not known; the gateway is asked until it is.",
    }
}

/// The answer to an authorisation, also when it comes again after everything that followed.
pub(super) async fn authorized(api: &Arc<Api>, seen: Seen) -> Result<Reply, Problem> {
    let payment = &*seen.payment;
    if payment.authorized > 0 {
        return Told::new(&seen, 200, "AUTHORIZED").reply(api).await;
    }
    let reason = payment.reason.as_deref().unwrap_or_default();
    let refused = |own, detail: &str| {
        let mut problem = Problem::of(own, format!("{detail} ({reason})"));
        problem.payment = Some(seen.id);
        problem.timing = seen.timing;
        problem.replayed = seen.replayed;
        Err(problem)
    };
    match payment.state {
        State::Declined if reason.starts_with("not_sent:") => refused(
            Own::GatewayUnavailable,
            "the gateway was not asked and nothing is held; try again with a new key",
        ),
        State::Declined | State::Voided => {
            refused(Own::Declined, "the payment was declined; nothing is held")
        }
        _ => Told::open(&seen).reply(api).await,
    }
}

/// The answer to a capture.
pub(super) async fn captured(api: &Arc<Api>, seen: Seen) -> Result<Reply, Problem> {
    if seen.payment.captured > 0 {
        return Told::new(&seen, 200, "CAPTURED").captured().reply(api).await;
    }
    Told::open(&seen).reply(api).await
}

/// The answer to a void.
pub(super) async fn voided(api: &Arc<Api>, seen: Seen) -> Result<Reply, Problem> {
    match seen.payment.state {
        State::Voided | State::Declined => {
            Told::new(&seen, 200, status(&seen.payment)).reply(api).await
        }
        _ => Told::open(&seen).reply(api).await,
    }
}

/// The answer to a refund.
pub(super) async fn refunded(api: &Arc<Api>, seen: Seen) -> Result<Reply, Problem> {
    let refund = seen.refund.and_then(|no| seen.payment.refund(no));
    let Some(refund) = refund else {
        return Err(Problem::of(Own::Internal, "the refund that was asked for is gone"));
    };
    match refund.state {
        RefundState::Done => {
            // What had gone back when this refund was posted, which is what was told then.
            let until =
                seen.payment.refunds.iter().filter(|r| (1..=refund.posting).contains(&r.posting));
            let status = given(&seen.payment, until.map(|r| r.amount).sum());
            Told::new(&seen, 200, status).refunded(refund).reply(api).await
        }
        // The last two are made of orders' refunds alone.
        RefundState::Refused | RefundState::SetAside | RefundState::Released => {
            let detail = "the gateway has refused the refund; nothing went back";
            let mut problem = Problem::of(Own::RefundRefused, detail);
            problem.payment = Some(seen.id);
            problem.timing = seen.timing;
            problem.replayed = seen.replayed;
            Err(problem)
        }
        RefundState::Sent | RefundState::Unknown => {
            Told::new(&seen, 202, "REFUND_REQUESTED").refunded(refund).reply(api).await
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Out {
    #[serde(serialize_with = "shown::one")]
    payment_id: PaymentId,
    status: &'static str,
    amount: i64,
    #[serde(serialize_with = "shown::one")]
    currency: Currency,
    created_at: At,
    ledger_entries: Vec<LegOut>,
    message: &'static str,
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "shown::option")]
    refund_id: Option<RefundId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refund_amount: Option<i64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LegOut {
    #[serde(serialize_with = "shown::one")]
    entry_id: EntryId,
    account: Box<str>,
    debit: i64,
    credit: i64,
    occurred_at: At,
}

/// An entry's key as text: the payment's digits, the posting, the leg.
struct EntryId {
    payment: PaymentId,
    seq: i64,
    leg: usize,
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut digits = [0; 13];
        encode(self.payment.0, &mut digits);
        let digits = std::str::from_utf8(&digits).unwrap_or("?");
        write!(f, "ent_{digits}-{}-{}", self.seq, self.leg)
    }
}

/// Every status that an answer can have.
const STATUSES: [&str; 11] = [
    "READY",
    "AUTHORIZED",
    "AUTH_FAILED",
    "CAPTURE_REQUESTED",
    "CAPTURED",
    "REFUND_REQUESTED",
    "PARTIAL_REFUNDED",
    "REFUNDED",
    "VOID_REQUESTED",
    "VOIDED",
    "UNKNOWN",
];

/// A merchant's id.
pub(crate) fn merchant_schema() -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": 32, "pattern": "^[A-Za-z0-9_-]+$" })
}

/// The schemas of this API.
pub(crate) fn schemas() -> Value {
    let text = json!({ "type": "string" });
    let merchant = merchant_schema();
    let key = json!({
        "type": ["string", "null"], "minLength": 1, "maxLength": 64, "pattern": "^[!-~]+$",
        "description": "Names the request; the Idempotency-Key header does as well.",
    });
    let whole = json!({ "type": "integer", "format": "int64" });
    let wish = json!({ "type": "integer", "minimum": 1, "maximum": 1_000_000_000_000_000_i64 });
    let mut part = wish.clone();
    part["type"] = json!(["integer", "null"]);
    part["description"] = json!("None: whatever is left. With an amount a key is required.");
    let time = json!({ "type": "string", "format": "date-time" });
    let id = |prefix: &str| json!({ "type": "string", "pattern": format!("^{prefix}_[0-9A-HJKMNP-TV-Z]{{13}}$") });
    let leg = json!({
        "entryId": text, "account": text, "debit": whole, "credit": whole, "occurredAt": time,
    });
    json!({
        "AuthorizePayment": object(&["merchantId", "amount"], &json!({
            "merchantId": merchant, "amount": wish,
            "currency": { "type": ["string", "null"], "pattern": "^[A-Z]{3}$", "default": "KRW" },
            "idempotencyKey": key,
            "token": { "type": ["string", "null"], "maxLength": 255 },
        })),
        "ChangePayment": object(&["merchantId"], &json!({ "merchantId": merchant })),
        "RefundPayment": object(&["merchantId", "reason"], &json!({
            "merchantId": merchant, "amount": part, "idempotencyKey": key,
            "reason": { "type": "string", "minLength": 1, "maxLength": 128 },
        })),
        "MerchantPayment": object(
            &["paymentId", "status", "amount", "currency", "createdAt", "ledgerEntries", "message"],
            &json!({
                "paymentId": id("pay"), "status": { "type": "string", "enum": STATUSES },
                "amount": whole, "currency": { "type": "string", "pattern": "^[A-Z]{3}$" },
                "createdAt": time,
                "ledgerEntries": {
                    "type": "array",
                    "items": object(
                        &["entryId", "account", "debit", "credit", "occurredAt"],
                        &leg,
                    ),
                },
                "message": text, "refundId": id("rfd"), "refundAmount": whole,
            }),
        ),
    })
}

fn object(required: &[&str], properties: &Value) -> Value {
    json!({
        "type": "object", "properties": properties, "required": required,
        "additionalProperties": false,
    })
}
