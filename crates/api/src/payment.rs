//! Payments, for operators: look at one, and say how an unknown one ended.

use std::borrow::Cow;
use std::sync::Arc;

use jangbu_domain::payment::command::{Command, Purpose, Reply as Answer, UNIT, Verdict};
use jangbu_domain::payment::model::Payment;
use jangbu_kernel::{OrderId, PaymentId, UserId};
use serde::{Deserialize, Serialize};

use crate::Api;
use crate::ask::{envelope, operated};
use crate::auth::Role;
use crate::call::Call;
use crate::idempotency::Canon;
use crate::money::MoneyOut;
use crate::order::REASON;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::route::{Doc, Route};
use crate::text::{At, id, shown};

/// About the payment itself; with `refund`, about that refund.
const RESOLVE: &str =
    r#"{"verdict":"NOT_CHARGED","evidence":"gateway's settlement file of 20 November"}"#;

pub(crate) const ROUTES: &[Route] = &[
    Route {
        method: "GET",
        path: "/api/v1/payments/{id}",
        name: "payment.get",
        role: Role::Operator,
        keyed: false,
        run: |api, call| Box::pin(async move { get(&api, &call).await }),
        doc: Doc {
            summary: "A payment; that of an order has the order's 13 characters",
            query: &[],
            body: None,
            answers: &[(200, "Payment", "The payment")],
            codes: &["PAYMENT_UNKNOWN"],
        },
    },
    Route {
        method: "POST",
        path: "/api/v1/payments/{id}/resolve",
        name: "payment.resolve",
        role: Role::Operator,
        keyed: true,
        run: |api, call| Box::pin(async move { resolve(&api, &call).await }),
        doc: Doc {
            summary: "Say how a payment, or one of its refunds, of unknown outcome ended",
            query: &[],
            body: Some(("ResolvePayment", RESOLVE)),
            answers: &[(200, "Payment", "The payment; its order goes on by itself")],
            codes: &["PAYMENT_UNKNOWN", "NOT_UNKNOWN", "OPERATION_IN_FLIGHT", "REFUND_UNKNOWN"],
        },
    },
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ResolveIn<'a> {
    refund: Option<u32>,
    verdict: VerdictIn,
    #[serde(borrow)]
    evidence: Cow<'a, str>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum VerdictIn {
    Captured,
    NotCharged,
    Refunded,
    NotRefunded,
}

impl ResolveIn<'_> {
    /// The verdict as a command, and its number in the fingerprint.
    fn command(&self, payment: PaymentId) -> Result<(Command, i64), Problem> {
        let evidence = (&*self.evidence).into();
        let charge =
            |verdict, word, evidence| Ok((Command::Resolve { payment, verdict, evidence }, word));
        let refund = |no, given, word, evidence| {
            Ok((Command::ResolveRefund { payment, no, given, evidence }, word))
        };
        match (self.refund, self.verdict) {
            (None, VerdictIn::Captured) => charge(Verdict::Captured, 1, evidence),
            (None, VerdictIn::NotCharged) => charge(Verdict::NotCharged, 2, evidence),
            (Some(no), VerdictIn::Refunded) => refund(no, true, 3, evidence),
            (Some(no), VerdictIn::NotRefunded) => refund(no, false, 4, evidence),
            (None, _) => Err(Problem::field("verdict", "of a refund needs its `refund`")),
            (Some(_), _) => {
                Err(Problem::field("verdict", "of a refund is REFUNDED or NOT_REFUNDED"))
            }
        }
    }
}

pub(crate) fn payment_id(call: &Call) -> Result<PaymentId, Problem> {
    id(PaymentId::parse, PaymentId::PREFIX, call.param(), || "id".into())
}

async fn get(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let id = payment_id(call)?;
    let payment = find(api, id).await?;
    Ok(Reply::ok(&PaymentOut::of(id, &payment)))
}

pub(crate) async fn find(api: &Arc<Api>, id: PaymentId) -> Result<Payment, Problem> {
    let found = api.read(move |queries| queries.payment(id)).await?;
    found.ok_or_else(|| Problem::coded("PAYMENT_UNKNOWN", format!("there is no payment {id}")))
}

async fn resolve(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let body: ResolveIn<'_> = call.json()?;
    let payment = payment_id(call)?;
    if body.evidence.is_empty() || !jangbu_kernel::words::is_prose(&body.evidence, REASON) {
        let message = format!("must have 1 to {REASON} characters: who looked where");
        return Err(Problem::field("evidence", message));
    }
    let (command, word) = body.command(payment)?;
    let canon = Canon::new(call.name).int(payment.0).int(word).text(&body.evidence);
    let canon = match body.refund {
        None => canon,
        Some(no) => canon.int(no.into()),
    };
    let envelope = operated(envelope(call, UNIT, command, canon), call, &body.evidence);
    let asked = api.ask_soon::<Answer>(envelope).await?;
    let now = find(api, payment).await?;
    Ok(Reply::ok(&PaymentOut::of(payment, &now)).replayed(asked.replayed))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct PaymentOut<'a> {
    #[serde(serialize_with = "shown::one")]
    id: PaymentId,
    #[serde(serialize_with = "shown::option")]
    order_id: Option<OrderId>,
    #[serde(serialize_with = "shown::option")]
    points_of: Option<UserId>,
    state: &'static str,
    pending_operation: &'static str,
    mode: &'static str,
    amount: MoneyOut,
    authorized: MoneyOut,
    captured: MoneyOut,
    refunded: MoneyOut,
    refund_pending: MoneyOut,
    split: Vec<PartOut<'a>>,
    psp: &'a str,
    psp_ref: Option<&'a str>,
    reason: Option<&'a str>,
    refunds: Vec<RefundOut>,
    created_at: At,
    sent_at: Option<At>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PartOut<'a> {
    merchant_id: &'a str,
    amount: MoneyOut,
    card: MoneyOut,
    paid_points: MoneyOut,
    earned_points: MoneyOut,
    coupon: MoneyOut,
}

#[derive(Serialize)]
struct RefundOut {
    no: u32,
    state: &'static str,
    amount: MoneyOut,
    deducted: MoneyOut,
}

impl<'a> PaymentOut<'a> {
    pub(crate) fn of(id: PaymentId, payment: &'a Payment) -> Self {
        let money = |amount| MoneyOut::new(amount, payment.currency);
        let part = |part: &'a jangbu_domain::payment::command::Part| PartOut {
            merchant_id: &part.merchant,
            amount: money(part.payable()),
            card: money(part.card),
            paid_points: money(part.paid),
            earned_points: money(part.earned),
            coupon: money(part.coupon),
        };
        let refund = |refund: &jangbu_domain::payment::model::Refund| RefundOut {
            no: refund.no,
            state: refund.state.name(),
            amount: money(refund.amount),
            deducted: money(refund.deduct),
        };
        Self {
            id,
            order_id: payment.order,
            points_of: match payment.purpose {
                Purpose::Sale => None,
                Purpose::Points { user } => Some(user),
            },
            state: payment.state.name(),
            pending_operation: payment.pending_op.name(),
            mode: payment.mode.name(),
            amount: money(payment.amount),
            authorized: money(payment.authorized),
            captured: money(payment.captured),
            refunded: money(payment.refunded),
            refund_pending: money(payment.pending),
            split: payment.split.iter().map(part).collect(),
            psp: &payment.psp,
            psp_ref: payment.psp_ref.as_deref(),
            reason: payment.reason.as_deref(),
            refunds: payment.refunds.iter().map(refund).collect(),
            created_at: At(payment.at),
            sent_at: payment.sent_at.map(At),
        }
    }
}
