//! Charges that are given back, as far as their points are unspent.

use std::borrow::Cow;
use std::sync::Arc;

use jangbu_domain::payment::model::{Refund, RefundState, State};
use jangbu_domain::point::command::{Command, UNIT};
use jangbu_domain::point::model::LIMIT;
use jangbu_kernel::{PaymentId, RefundId, UserId};
use jangbu_services::queries::Queries;
use serde::{Deserialize, Serialize};

use super::{charge, reason, user};
use crate::Api;
use crate::ask::{envelope, operated};
use crate::call::Call;
use crate::charge::gateway_open;
use crate::charge::wait::{Seen, returned};
use crate::codes::Own;
use crate::idempotency::{self, Canon};
use crate::problem::Problem;
use crate::repeats::Difference;
use crate::reply::Reply;
use crate::text::shown;

/// How a refund of a charge stands.
pub(super) const STATUSES: [&str; 3] = ["REFUNDED", "PENDING", "REFUSED"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RefundIn<'a> {
    #[serde(default)]
    amount: Option<i64>,
    #[serde(borrow)]
    reason: Cow<'a, str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RefundOut {
    #[serde(serialize_with = "shown::one")]
    refund_id: RefundId,
    #[serde(serialize_with = "shown::one")]
    payment_id: PaymentId,
    #[serde(serialize_with = "shown::one")]
    user_id: UserId,
    amount: i64,
    status: &'static str,
    reason: Box<str>,
}

impl RefundOut {
    /// None: it has no name, which no refund of a charge lacks.
    pub(super) fn of(payment_id: PaymentId, user_id: UserId, refund: &Refund) -> Option<Self> {
        let status = match refund.state {
            RefundState::Done => "REFUNDED",
            RefundState::Refused => "REFUSED",
            _ => "PENDING",
        };
        let (amount, reason) = (refund.amount, refund.reason.clone());
        Some(Self { refund_id: refund.id?, payment_id, user_id, amount, status, reason })
    }
}

pub(super) async fn refund(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let body: RefundIn<'_> = call.json()?;
    let (user, amount) = (user(call)?, body.amount);
    if amount.is_some_and(|amount| !(1..=LIMIT).contains(&amount)) {
        let message = format!("must be 1 to {LIMIT}");
        let detail = format!("amount: {message}");
        return Err(Problem::coded("POINTS_AMOUNT_INVALID", detail).at("amount", message));
    }
    let reason = reason(&body.reason)?;
    let (payment, charge) = charge::named(api, call, user).await?;
    if charge.state != State::Captured {
        return Err(Problem::of(Own::RefundConflict, "nothing was paid that could go back"));
    }
    let canon = Canon::new(call.name).int(user.0).int(payment.0).int(amount.unwrap_or(0));
    let canon = canon.text(&reason);
    if let Some(problem) = gateway_open(api) {
        let key = idempotency::key(&call.caller, call.name, call.key(), canon.clone());
        if !api.gate.knows(&key) {
            return Err(problem);
        }
    }
    let refund = RefundId(api.shop.mint());
    let command = Command::Refund { refund, payment, user, amount, reason: reason.clone() };
    let envelope = operated(envelope(call, UNIT, command, canon), call, &reason);
    match returned(api, call, (payment, envelope)).await {
        Ok((name, seen)) => told(user, name, &seen),
        Err(problem) => {
            let compare = move |queries: &Queries, id| {
                let Some(row) = queries.payment(payment)? else { return Ok(Vec::new()) };
                let first = row.refund_of(RefundId(id)).map(|refund| refund.amount);
                let (Some(first), Some(amount)) = (first, amount) else { return Ok(Vec::new()) };
                let points = Difference::between("amount", (&first, &amount), ToString::to_string);
                Ok(points.into_iter().collect())
            };
            Err(api.differ(problem, compare).await)
        }
    }
}

/// The answer to a refund, also when it comes again.
fn told(user: UserId, name: RefundId, seen: &Seen) -> Result<Reply, Problem> {
    let Seen { id, payment, replayed, timing, .. } = seen;
    let refund = payment.refund_of(name);
    let out = refund.and_then(|refund| RefundOut::of(*id, user, refund));
    let (Some(refund), Some(out)) = (refund, out) else {
        return Err(Problem::of(Own::Internal, "the refund that was asked for is gone"));
    };
    if refund.is_refused() {
        let detail = "the gateway has refused the refund; no money went back, and the points are \
                      there again";
        let mut problem = Problem::of(Own::RefundRefused, detail);
        (problem.payment, problem.timing, problem.replayed) = (Some(*id), *timing, *replayed);
        return Err(problem);
    }
    let done = refund.state == RefundState::Done;
    let reply = Reply::json(if done { 201 } else { 202 }, &out).replayed(*replayed);
    let reply = reply.at(format!("/api/v1/users/{user}/points/charges/{id}"));
    Ok(match timing {
        Some(timing) => reply.timed(*timing),
        None => reply,
    })
}
