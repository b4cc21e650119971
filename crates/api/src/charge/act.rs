//! The five calls of the compatible payment API.

use std::sync::Arc;

use jangbu_domain::payment::command::{Command, Gift, Intent, Part, Purpose, SOON, UNIT};
use jangbu_domain::payment::model::{Payment, State};
use jangbu_kernel::time::Span;
use jangbu_kernel::{Envelope, IdemKey, Origin, PaymentId, RefundId};

use super::form::{Authorize, ChangeIn, Refund, merchant, payment_id};
use super::told::{self, Told, unknown};
use super::wait::{Seen, What, find, follow};
use crate::Api;
use crate::auth::act_for;
use crate::call::Call;
use crate::codes::Own;
use crate::idempotency::{Canon, merchant_key};
use crate::problem::Problem;
use crate::reply::Reply;

pub(super) async fn authorize(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let wish = Authorize::read(call)?;
    let Authorize { merchant, amount, currency, key, token } = wish;
    act_for(api, call, &merchant)?;
    let canon = Canon::new(call.name)
        .text(&merchant)
        .int(amount)
        .text(currency.as_str())
        .text(token.reveal());
    let key = merchant_key(&merchant, call.name, &key, canon);
    if let Some(problem) = gateway_open(api)
        && !api.gate.knows(&key)
    {
        return Err(problem);
    }
    let payment = PaymentId(api.shop.mint());
    let split = vec![Part::card(Arc::clone(&merchant), amount)];
    let (order, purpose, capture_later) = (None, Purpose::Sale, true);
    let intent = Intent { payment, order, purpose, amount, currency, split, capture_later };
    let command = Command::Intend { intent, token: Some(token), deadline: SOON };
    let mut envelope = envelope(call, &merchant, command, Some(key));
    let patience = i64::try_from(api.settings.start.as_micros()).unwrap_or(i64::MAX);
    envelope.deadline = Some(api.shop.now() + Span(patience));
    let seen = follow(api, call, (payment, envelope), What::Authorized).await?;
    told::authorized(api, seen).await
}

pub(super) async fn capture(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let (payment, merchant) = named(api, call)?;
    sent_or_done(api, (payment, &merchant), |row| row.captured > 0).await?;
    let theirs = Some(Arc::clone(&merchant));
    let command = Command::Capture { payment, merchant: theirs, deadline: SOON };
    let envelope = envelope(call, &merchant, command, None);
    match follow(api, call, (payment, envelope), What::Captured).await {
        Ok(mut seen) => {
            // A capture that is carried out is under way after its commit.
            seen.replayed = seen.payment.captured > 0 && seen.at.is_none();
            told::captured(api, seen).await
        }
        Err(problem) => conflict(api, payment, problem, Own::CaptureConflict).await,
    }
}

pub(super) async fn void(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let (payment, merchant) = named(api, call)?;
    let gone = |row: &Payment| matches!(row.state, State::Voided | State::Declined);
    sent_or_done(api, (payment, &merchant), gone).await?;
    let theirs = Some(Arc::clone(&merchant));
    let command = Command::Void { payment, merchant: theirs, deadline: SOON };
    let envelope = envelope(call, &merchant, command, None);
    match follow(api, call, (payment, envelope), What::Voided).await {
        Ok(mut seen) => {
            seen.replayed = gone(&seen.payment) && seen.at.is_none();
            told::voided(api, seen).await
        }
        Err(problem) => conflict(api, payment, problem, Own::VoidConflict).await,
    }
}

pub(super) async fn refund(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let payment = payment_id(call)?;
    let Refund { merchant, reason, amount, key } = Refund::read(call)?;
    act_for(api, call, &merchant)?;
    let canon = Canon::new(call.name).int(payment.0).int(amount.unwrap_or(0)).text(&reason);
    let key = key.map(|key| merchant_key(&merchant, call.name, &key, canon));
    let keyed = key.is_some();
    if !key.as_ref().is_some_and(|key| api.shop.gateway_open().is_some() && api.gate.knows(key)) {
        let whole = |row: &Payment| amount.is_none() && row.captured > 0 && row.refundable() == 0;
        sent_or_done(api, (payment, &merchant), whole).await?;
    }
    let refund = RefundId(api.shop.mint());
    let gift = Gift { payment, refund, merchant: Arc::clone(&merchant), amount, reason };
    let command = Command::GiveBack { gift, deadline: SOON };
    let envelope = envelope(call, &merchant, command, key);
    match follow(api, call, (payment, envelope), What::Refunded).await {
        Ok(mut seen) => {
            let ended = |row: &Payment| {
                seen.refund.and_then(|no| row.refund(no)).is_some_and(|r| !r.is_open())
            };
            seen.replayed |= !keyed && seen.at.is_none() && ended(&seen.payment);
            told::refunded(api, seen).await
        }
        Err(problem) => Err(not_refunded(payment, problem)),
    }
}

pub(super) async fn get(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let query = call.query()?;
    let (id, merchant) = (payment_id(call)?, merchant(query.required("merchantId")?)?);
    act_for(api, call, &merchant)?;
    let payment = find(api, id).await?;
    if !payment.belongs_to(&merchant) {
        return Err(unknown(id));
    }
    let seen = Seen { id, payment, refund: None, at: None, replayed: false, timing: None };
    Told::new(&seen, 200, told::status(&seen.payment)).all().reply(api).await
}

/// The payment and the merchant of a capture or a void.
fn named(api: &Api, call: &Call) -> Result<(PaymentId, Arc<str>), Problem> {
    let body: ChangeIn<'_> = call.json()?;
    let (payment, merchant) = (payment_id(call)?, merchant(&body.merchant_id)?);
    act_for(api, call, &merchant)?;
    Ok((payment, merchant))
}

/// A merchant's command. Nobody's share of a batch is larger than that of others who wait.
fn envelope(call: &Call, merchant: &str, body: Command, key: Option<IdemKey>) -> Envelope {
    let mut envelope = Envelope::new(UNIT, Origin::Client, body);
    envelope.key = key.map(Box::new);
    call.mark(&mut envelope);
    envelope.bytes = 256 + call.length();
    envelope.share = Some(share(merchant));
    envelope
}

/// FNV-1a.
fn share(merchant: &str) -> i64 {
    let mix = |hash: u64, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    merchant.bytes().fold(0xcbf2_9ce4_8422_2325, mix).cast_signed()
}

/// The refusal of business that the gateway would not hear of, before anything is written down.
pub(crate) fn gateway_open(api: &Api) -> Option<Problem> {
    let left = api.shop.gateway_open()?;
    let detail = "the gateway does not work at the moment; nothing was done, try again";
    let mut problem = Problem::of(Own::GatewayUnavailable, detail);
    problem.after = Some(u32::try_from(left.as_secs() + 1).unwrap_or(60));
    Some(problem)
}

/// While the gateway cannot be reached, only what is done already is taken: it needs no gateway.
async fn sent_or_done(
    api: &Api,
    (id, merchant): (PaymentId, &str),
    done: impl Fn(&Payment) -> bool,
) -> Result<(), Problem> {
    let Some(problem) = gateway_open(api) else { return Ok(()) };
    let row = find(api, id).await?;
    if !row.belongs_to(merchant) {
        return Err(unknown(id));
    }
    if done(&row) { Ok(()) } else { Err(problem) }
}

/// How a refused capture or void is told: 202 while the outcome of the authorisation is open, for
/// then nobody knows yet whether there is a conflict.
async fn conflict(
    api: &Arc<Api>,
    id: PaymentId,
    problem: Problem,
    own: Own,
) -> Result<Reply, Problem> {
    let detail = match problem.code {
        "PAYMENT_UNKNOWN" => return Err(unknown(id)),
        "NOT_AUTHORIZED" => "nothing is held",
        "NOT_VOIDABLE" => "it is captured; refund it",
        "OPERATION_IN_FLIGHT" => {
            let payment = find(api, id).await?;
            if matches!(payment.state, State::Intent | State::Sent | State::Unknown) {
                let seen =
                    Seen { id, payment, refund: None, at: None, replayed: false, timing: None };
                return Told::open(&seen).reply(api).await;
            }
            "the other of capture and void came first"
        }
        _ => return Err(problem),
    };
    let mut problem = Problem::of(own, detail);
    problem.payment = Some(id);
    Err(problem)
}

/// How a refused refund is told.
fn not_refunded(id: PaymentId, mut problem: Problem) -> Problem {
    let told = match problem.code {
        "PAYMENT_UNKNOWN" => return unknown(id),
        "NOT_CAPTURED" => Some("the payment is not captured"),
        "NOTHING_TO_REFUND" => Some("everything was given back"),
        "REFUND_EXCEEDS_CAPTURED" | "TOO_MANY_REFUNDS" => None,
        _ => return problem,
    };
    if let Some(detail) = told {
        problem = Problem::of(Own::RefundConflict, detail);
    }
    problem.payment = Some(id);
    problem
}
