//! The inbox of payments whose outcome is not known, for operators: how old, how much money, when
//! the gateway is asked again; and asking it now.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use jangbu_domain::payment::command::{Command, Reply as Answer, UNIT};
use jangbu_domain::payment::model::Payment;
use jangbu_engine::port::Fault;
use jangbu_kernel::{Currency, OrderId, PaymentId, Time};
use jangbu_services::queries::Queries;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Api;
use crate::ask::{envelope, operated};
use crate::auth::Role;
use crate::call::Call;
use crate::idempotency::Canon;
use crate::money::MoneyOut;
use crate::payment::{PaymentOut, find, payment_id};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::route::{Doc, Route};
use crate::saga::why;
use crate::schemas::{id, list, nullable, object, of, or_null, text, time, whole};
use crate::sentence::{self, Ago};
use crate::text::{At, shown};

const ASK: &str = r#"{"reason":"the gateway's status page is green again"}"#;

pub(crate) const ROUTES: &[Route] = &[
    Route {
        method: "GET",
        path: "/api/v1/payments",
        name: "payment.unknown",
        role: Role::Operator,
        keyed: false,
        run: |api, call| Box::pin(async move { page(&api, &call).await }),
        doc: Doc {
            summary: "Payments of unknown outcome, oldest first, and the money at risk",
            query: &["state!", "cursor", "limit"],
            body: None,
            answers: &[(200, "UnknownPage", "A page, and totals over all of them")],
            codes: &[],
        },
    },
    Route {
        method: "POST",
        path: "/api/v1/payments/{id}/inquire",
        name: "payment.inquire",
        role: Role::Operator,
        keyed: true,
        run: |api, call| Box::pin(async move { inquire(&api, &call).await }),
        doc: Doc {
            summary: "Ask the gateway now what became of a payment and of its refunds",
            query: &[],
            body: Some(("AskPayment", ASK)),
            answers: &[(200, "Payment", "The payment; the answer of the gateway follows")],
            codes: &["PAYMENT_UNKNOWN", "NOT_UNKNOWN"],
        },
    },
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AskIn<'a> {
    #[serde(borrow)]
    reason: Cow<'a, str>,
}

async fn inquire(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let body: AskIn<'_> = call.json()?;
    let payment = payment_id(call)?;
    let reason = why(&body.reason)?;
    let canon = Canon::new(call.name).int(payment.0).text(reason);
    let command = Command::AskNow { payment };
    let envelope = operated(envelope(call, UNIT, command, canon), call, reason);
    let asked = api.ask_soon::<Answer>(envelope).await?;
    let now = find(api, payment).await?;
    Ok(Reply::ok(&PaymentOut::of(payment, &now)).replayed(asked.replayed))
}

/// A payment of unknown outcome, and when the gateway is asked about it again: an order's payment
/// has no timer of its own.
struct Unknown {
    id: PaymentId,
    payment: Payment,
    next_at: Option<Time>,
}

impl Unknown {
    fn at_risk(&self) -> i64 {
        self.payment.amount
    }
}

/// Payments that are read at once for the totals, and at most.
const BATCH: u32 = 1_000;
const BATCHES: usize = 100;

type Totals = BTreeMap<String, (Currency, i64)>;

/// How many, and how much money of each currency.
fn totals(queries: &Queries) -> Result<(usize, Totals), Fault> {
    let (mut count, mut sums, mut after) = (0, Totals::new(), None);
    for _ in 0..BATCHES {
        let batch = queries.payments_unknown(after, BATCH)?;
        count += batch.len();
        for (id, payment) in &batch {
            let sum = sums.entry(payment.currency.to_string()).or_insert((payment.currency, 0));
            sum.1 = sum.1.saturating_add(payment.amount);
            after = Some(*id);
        }
        if batch.len() < BATCH as usize {
            break;
        }
    }
    Ok((count, sums))
}

fn read(queries: &Queries, after: Option<PaymentId>, limit: u32) -> Result<Vec<Unknown>, Fault> {
    let found = queries.payments_unknown(after, limit)?;
    let with_timer = |(id, payment): (PaymentId, Payment)| {
        let next_at = match payment.order {
            Some(order) => queries.order(order)?.and_then(|order| order.next_at),
            None => payment.next_at,
        };
        Ok(Unknown { id, payment, next_at })
    };
    found.into_iter().map(with_timer).collect()
}

async fn page(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let query = call.query()?;
    if query.required("state")? != "UNKNOWN" {
        return Err(query.bad("state", "must be UNKNOWN".to_owned()));
    }
    let (limit, after) = (query.limit()?, query.cursor(PaymentId::parse)?);
    let work = move |queries: &Queries| Ok((read(queries, after, limit + 1)?, totals(queries)?));
    let (found, (count, sums)) = api.read(work).await?;
    let now = api.shop.now();
    let page = found.len().min(limit as usize);
    let last = found[..page].last().filter(|_| found.len() > page);
    let items: Vec<_> = found[..page].iter().map(|unknown| UnknownOut::of(unknown, now)).collect();
    let money: Vec<_> =
        sums.values().map(|(currency, sum)| MoneyOut::new(*sum, *currency)).collect();
    Ok(Reply::ok(&json!({
        "items": items,
        "nextCursor": last.map(|unknown| unknown.id.to_string()),
        "totals": { "count": count, "moneyAtRisk": money },
    })))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UnknownOut<'a> {
    #[serde(serialize_with = "shown::one")]
    id: PaymentId,
    #[serde(serialize_with = "shown::option")]
    order_id: Option<OrderId>,
    operation: &'static str,
    sentence: String,
    age_seconds: i64,
    money_at_risk: MoneyOut,
    next_inquiry_at: Option<At>,
    not_found: i64,
    psp: &'a str,
    reason: Option<&'a str>,
    sent_at: Option<At>,
}

impl<'a> UnknownOut<'a> {
    fn of(unknown: &'a Unknown, now: Time) -> Self {
        let Unknown { id, payment, next_at } = unknown;
        Self {
            id: *id,
            order_id: payment.order,
            operation: payment.pending_op.name(),
            sentence: sentence::of_payment(payment, *next_at, now),
            age_seconds: Ago::between(payment.sent_at.unwrap_or(payment.at), now).0,
            money_at_risk: MoneyOut::new(unknown.at_risk(), payment.currency),
            next_inquiry_at: next_at.map(At),
            not_found: payment.not_found,
            psp: &payment.psp,
            reason: payment.reason.as_deref(),
            sent_at: payment.sent_at.map(At),
        }
    }
}

/// The schemas of what is sent and answered here.
pub(crate) fn schemas() -> Value {
    json!({
        "AskPayment": object(&json!({
            "reason": { "type": "string", "minLength": 1, "maxLength": 500 },
        })),
        "UnknownPayment": object(&json!({
            "id": id("pay"), "orderId": or_null(id("ord")), "operation": text(),
            "sentence": text(), "ageSeconds": whole(), "moneyAtRisk": of("Money"),
            "nextInquiryAt": or_null(time()), "notFound": whole(), "psp": text(),
            "reason": nullable("string"), "sentAt": or_null(time()),
        })),
        "UnknownPage": object(&json!({
            "items": list("UnknownPayment"), "nextCursor": nullable("string"),
            "totals": object(&json!({ "count": whole(), "moneyAtRisk": list("Money") })),
        })),
    })
}
