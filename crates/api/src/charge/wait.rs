//! From a command about a payment without an order to the gateway's answer: a merchant's payment,
//! a charge of points, and its refund.

use std::sync::Arc;

use jangbu_domain::payment::command::Reply as Answer;
use jangbu_domain::payment::model::{Payment, RefundState, State};
use jangbu_domain::point::command as point;
use jangbu_kernel::{Envelope, PaymentId, RefundId, Time};
use jangbu_services::payment::Settled;
use jangbu_services::queries::Queries;

use crate::Api;
use crate::ask::unanswered;
use crate::call::Call;
use crate::codes::Own;
use crate::problem::Problem;
use crate::reply::Timing;
use crate::wait::Watch;

/// What a request waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Authorized,
    Captured,
    Voided,
    /// The refund that the command turns out to be about.
    Refunded,
    /// The refund of this name, of a charge of points.
    Returned(RefundId),
}

/// A payment after a command, answered or not.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) id: PaymentId,
    pub(crate) payment: Box<Payment>,
    /// The refund that was asked for.
    pub(crate) refund: Option<u32>,
    /// When it was answered, if that was seen: the time of its posting.
    pub(crate) at: Option<Time>,
    pub(crate) replayed: bool,
    pub(crate) timing: Option<Timing>,
}

impl What {
    /// Whether its call may still be under way.
    pub(super) fn is_open(self, payment: &Payment, refund: Option<u32>) -> bool {
        match self {
            Self::Authorized => matches!(payment.state, State::Intent | State::Sent),
            Self::Captured => payment.state == State::CaptureSent,
            Self::Voided => payment.state == State::VoidSent,
            Self::Refunded => {
                let refund = refund.and_then(|no| payment.refund(no));
                refund.is_some_and(|refund| refund.state == RefundState::Sent)
            }
            Self::Returned(id) => {
                let refund = payment.refund_of(id);
                refund.is_some_and(|refund| refund.state == RefundState::Sent)
            }
        }
    }

    /// Whether a signal is about something that happened before the command: the answer to the
    /// authorisation may be told after a capture was asked.
    fn is_before(self, payment: &Payment, refund: Option<u32>) -> bool {
        match self {
            Self::Authorized => false,
            Self::Captured | Self::Voided => payment.state == State::Authorized,
            Self::Refunded => refund.is_some_and(|no| payment.refund(no).is_none()),
            Self::Returned(id) => payment.refund_of(id).is_none(),
        }
    }
}

/// Asks, and waits until the call about it was answered or the wait limit has passed.
pub(crate) async fn follow(
    api: &Arc<Api>,
    call: &Call,
    (watched, envelope): (PaymentId, Envelope),
    what: What,
) -> Result<Seen, Problem> {
    let deadline = tokio::time::Instant::from_std(call.started + api.settings.wait);
    let mut asked = None;
    let work = async {
        let watch = Watch::new(api, watched);
        let first = api.ask::<Answer>(envelope, call.permit()).await?;
        let timing = Timing::accepted(call.started, first.accepted);
        let answer = asked.insert((first.reply, first.replayed, timing));
        if let Some(row) = answer.0.row.take() {
            return Ok((row, None));
        }
        // The payment of a replay is another than the one that is watched.
        let watch = (answer.0.payment == watched).then_some(watch);
        answered(api, (answer.0.payment, answer.0.refund_no), watch, what).await
    };
    let done = tokio::time::timeout_at(deadline, work).await.ok().transpose()?;
    let (answer, replayed, mut timing) = asked.ok_or_else(unanswered)?;
    let (id, refund) = (answer.payment, answer.refund_no);
    let (payment, at) = match done {
        Some((payment, at)) => {
            timing.settle = Some(call.started.elapsed());
            (payment, at)
        }
        None => (find(api, id).await?, None),
    };
    Ok(Seen { id, payment, refund, at, replayed, timing: Some(timing) })
}

/// Asks for a charge of points to be given back, and waits until the gateway has answered or the
/// wait limit has passed; says the name of the refund.
pub(crate) async fn returned(
    api: &Arc<Api>,
    call: &Call,
    (id, envelope): (PaymentId, Envelope),
) -> Result<(RefundId, Seen), Problem> {
    let deadline = tokio::time::Instant::from_std(call.started + api.settings.wait);
    let mut asked = None;
    let work = async {
        let watch = Watch::new(api, id);
        let first = api.ask::<point::Reply>(envelope, call.permit()).await?;
        let timing = Timing::accepted(call.started, first.accepted);
        let point::Reply::Refunding { refund, .. } = first.reply else {
            return Err(Problem::of(Own::Internal, "the reply is not a refund"));
        };
        asked = Some((refund, first.replayed, timing));
        // What was asked before may have been answered before.
        let watch = (!first.replayed).then_some(watch);
        answered(api, (id, None), watch, What::Returned(refund)).await
    };
    let done = tokio::time::timeout_at(deadline, work).await.ok().transpose()?;
    let (name, replayed, mut timing) = asked.ok_or_else(unanswered)?;
    let (payment, at) = match done {
        Some((payment, at)) => {
            timing.settle = Some(call.started.elapsed());
            (payment, at)
        }
        None => (find(api, id).await?, None),
    };
    Ok((name, Seen { id, payment, refund: None, at, replayed, timing: Some(timing) }))
}

/// Waits for the answer. Without a watch from before the command, or after a signal that was about
/// something else, the row is read once it is watched.
async fn answered(
    api: &Arc<Api>,
    (id, refund): (PaymentId, Option<u32>),
    mut watch: Option<Watch<Settled>>,
    what: What,
) -> Result<(Box<Payment>, Option<Time>), Problem> {
    loop {
        let fresh = watch.is_none();
        let mut told = watch.take().unwrap_or_else(|| Watch::new(api, id));
        if fresh {
            let row = find(api, id).await?;
            if !what.is_open(&row, refund) {
                return Ok((row, None));
            }
        }
        let Some((settled, _)) = told.end().await else { return Err(unanswered()) };
        let Settled { payment, at } = *settled;
        if !what.is_open(&payment, refund) && !what.is_before(&payment, refund) {
            return Ok((Box::new(payment), Some(at)));
        }
    }
}

/// The row of a payment that is there.
pub(super) async fn find(api: &Api, id: PaymentId) -> Result<Box<Payment>, Problem> {
    let read = move |queries: &Queries| Ok((queries.payment(id)?, queries.position()?));
    let (found, at) = api.read(read).await?;
    // No signal told of it, so no position did.
    api.shop.seen_at(at);
    found.map(Box::new).ok_or_else(|| super::told::unknown(id))
}
