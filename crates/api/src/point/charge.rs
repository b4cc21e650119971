//! Points that are bought: a payment without an order.

use std::borrow::Cow;
use std::sync::Arc;

use jangbu_domain::payment::command::{Command, Intent, Purpose, SOON, UNIT};
use jangbu_domain::payment::model::{Payment, State};
use jangbu_domain::point::model::LIMIT;
use jangbu_kernel::time::Span;
use jangbu_kernel::{Currency, PaymentId, UserId};
use jangbu_services::queries::Queries;
use serde::{Deserialize, Serialize};

use super::refund::RefundOut;
use super::{CURRENCY, user};
use crate::Api;
use crate::ask::envelope;
use crate::call::Call;
use crate::charge::gateway_open;
use crate::charge::wait::{Seen, What, follow};
use crate::codes::Own;
use crate::idempotency::{self, Canon};
use crate::order::secret;
use crate::problem::Problem;
use crate::repeats::Difference;
use crate::reply::Reply;
use crate::text::{At, id, shown};

/// How a charge stands.
pub(super) const STATUSES: [&str; 3] = ["CHARGED", "PENDING", "DECLINED"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChargeIn<'a> {
    amount: i64,
    #[serde(borrow)]
    token: Cow<'a, str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ChargeOut {
    #[serde(serialize_with = "shown::one")]
    payment_id: PaymentId,
    #[serde(serialize_with = "shown::one")]
    user_id: UserId,
    amount: i64,
    #[serde(serialize_with = "shown::one")]
    currency: Currency,
    status: &'static str,
    created_at: At,
    balance: Option<i64>,
    refunded: i64,
    refundable: i64,
    refunds: Vec<RefundOut>,
}

/// What the points of a charge say beside its payment.
struct Standing {
    balance: Option<i64>,
    refundable: i64,
}

fn status(payment: &Payment) -> &'static str {
    match payment.state {
        State::Captured => "CHARGED",
        State::Declined | State::Voided => "DECLINED",
        _ => "PENDING",
    }
}

impl ChargeOut {
    fn of(payment_id: PaymentId, user_id: UserId, payment: &Payment, standing: &Standing) -> Self {
        let Standing { balance, refundable } = *standing;
        let refunds = payment.refunds.iter();
        Self {
            payment_id,
            user_id,
            amount: payment.amount,
            currency: payment.currency,
            status: status(payment),
            created_at: At(payment.at),
            balance,
            refunded: payment.refunded,
            refundable,
            refunds: refunds.filter_map(|r| RefundOut::of(payment_id, user_id, r)).collect(),
        }
    }
}

pub(super) async fn charge(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let body: ChargeIn<'_> = call.json()?;
    let user = user(call)?;
    let (amount, currency, token) = (body.amount, CURRENCY, secret("token", &body.token)?);
    if !(1..=LIMIT).contains(&amount) {
        let message = format!("must be 1 to {LIMIT}");
        let detail = format!("amount: {message}");
        return Err(Problem::coded("POINTS_AMOUNT_INVALID", detail).at("amount", message));
    }
    api.limits.user(user.0).await?;
    let canon = Canon::new(call.name).int(user.0).int(amount).text(token.reveal());
    if let Some(problem) = gateway_open(api) {
        let key = idempotency::key(&call.caller, call.name, call.key(), canon.clone());
        if !api.gate.knows(&key) {
            return Err(problem);
        }
    }
    let payment = PaymentId(api.shop.mint());
    let (order, purpose, split) = (None, Purpose::Points { user }, Vec::new());
    let intent = Intent { payment, order, purpose, amount, currency, split, capture_later: false };
    let command = Command::Intend { intent, token: Some(token), deadline: SOON };
    let mut envelope = envelope(call, UNIT, command, canon);
    envelope.share = Some(user.0);
    let patience = i64::try_from(api.settings.start.as_micros()).unwrap_or(i64::MAX);
    envelope.deadline = Some(api.shop.now() + Span(patience));
    match follow(api, call, (payment, envelope), What::Authorized).await {
        Ok(seen) => told(api, user, seen).await,
        Err(problem) => {
            let compare = move |queries: &Queries, id| {
                let Some(first) = queries.payment(PaymentId(id))? else { return Ok(Vec::new()) };
                let points =
                    Difference::between("amount", (&first.amount, &amount), ToString::to_string);
                Ok(points.into_iter().collect())
            };
            Err(api.differ(problem, compare).await)
        }
    }
}

/// The answer to a charge, also when it comes again.
async fn told(api: &Arc<Api>, user: UserId, seen: Seen) -> Result<Reply, Problem> {
    let Seen { id, payment, replayed, timing, .. } = seen;
    let reason = payment.reason.as_deref().unwrap_or_default();
    let refused = |own, detail: &str| {
        let mut problem = Problem::of(own, format!("{detail} ({reason})"));
        (problem.payment, problem.timing, problem.replayed) = (Some(id), timing, replayed);
        Err(problem)
    };
    match payment.state {
        State::Declined if reason.starts_with("not_sent:") => refused(
            Own::GatewayUnavailable,
            "the gateway was not asked and nothing was charged; try again with a new key",
        ),
        State::Declined | State::Voided => {
            refused(Own::Declined, "the payment was declined; nothing was charged")
        }
        state => {
            let done = state == State::Captured;
            let out = ChargeOut::of(id, user, &payment, &standing(api, user, id).await?);
            let reply = Reply::json(if done { 201 } else { 202 }, &out).replayed(replayed);
            let reply = reply.at(format!("/api/v1/users/{user}/points/charges/{id}"));
            Ok(match timing {
                Some(timing) => reply.timed(timing),
                None => reply,
            })
        }
    }
}

/// The points that the user had after the charge, and how many of them can go back now.
async fn standing(api: &Api, user: UserId, id: PaymentId) -> Result<Standing, Problem> {
    let now = api.shop.now();
    let found = api.read(move |queries| Ok((queries.point_credit(id.0)?, queries.points(user)?)));
    let (credit, account) = found.await?;
    let left = credit.as_ref().zip(account.as_ref());
    let refundable = left.map_or(0, |(credit, account)| credit.refundable(account, now));
    Ok(Standing { balance: credit.map(|credit| credit.balance), refundable })
}

pub(super) async fn get(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let user = user(call)?;
    let (id, payment) = named(api, call, user).await?;
    let standing = standing(api, user, id).await?;
    Ok(Reply::ok(&ChargeOut::of(id, user, &payment, &standing)))
}

/// The charge that the path names.
pub(super) async fn named(
    api: &Api,
    call: &Call,
    user: UserId,
) -> Result<(PaymentId, Payment), Problem> {
    let id = id(PaymentId::parse, PaymentId::PREFIX, call.param_at(1), || "payment".into())?;
    let found = api.read(move |queries| queries.payment(id)).await?;
    let found = found.filter(|payment| payment.purpose == Purpose::Points { user });
    let unknown = || {
        let detail = format!("{user} has no charge {id}");
        Problem::coded("PAYMENT_UNKNOWN", detail)
    };
    Ok((id, found.ok_or_else(unknown)?))
}
