//! Waiting for an order to end. (Payments without an order wait in `charge::wait`, with the same
//! [`Watch`].)
//!
//! ```text
//! watch(order) ─▶ ask ─▶ commit ──▶ already ended? ──yes──▶ outcome
//!                                        │ no
//!                                        ▼
//!                            signal, or the wait limit ──▶ outcome, or the order as it stands
//! ```
//!
//! The watch begins before the command is asked, so that no signal is missed; it ends with the
//! request, whatever becomes of it. One timer covers all of it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use jangbu_domain::order::command::Reply;
use jangbu_domain::order::model::{Order, Outcome};
use jangbu_kernel::{Envelope, OrderId};
use jangbu_services::hub::Ticket;
use jangbu_services::queries::Queries;
use tokio::sync::oneshot;

use crate::Api;
use crate::ask::{Asked, unanswered};
use crate::call::Call;
use crate::codes::Own;
use crate::problem::Problem;
use crate::reply::Timing;

/// An order after a command, ended or not.
#[derive(Debug)]
pub(crate) struct Followed {
    pub(crate) id: OrderId,
    pub(crate) order: Box<Order>,
    pub(crate) replayed: bool,
    pub(crate) timing: Timing,
}

/// A place in the hub that is given back when the request ends.
pub(crate) struct Watch<T> {
    api: Arc<Api>,
    ticket: Option<Ticket>,
    told: oneshot::Receiver<(Box<T>, Instant)>,
}

impl<T: Clone + Send + 'static> Watch<T> {
    pub(crate) fn new(api: &Arc<Api>, key: impl Into<i64>) -> Self {
        let (tell, told) = oneshot::channel();
        let listener = move |end: &T| {
            drop(tell.send((Box::new(end.clone()), Instant::now())));
        };
        let ticket = Some(api.shop.hub().watch(key, listener));
        Self { api: Arc::clone(api), ticket, told }
    }

    /// None: it can never be told any more.
    pub(crate) async fn end(&mut self) -> Option<(Box<T>, Instant)> {
        let end = (&mut self.told).await.ok();
        self.ticket = None; // the hub has forgotten it by itself
        end
    }
}

impl<T> Drop for Watch<T> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.api.shop.hub().forget(ticket);
        }
    }
}

/// Asks and waits until `enough` of the order is seen, or the wait limit has passed.
pub(crate) async fn follow(
    api: &Arc<Api>,
    call: &Call,
    (order, envelope): (OrderId, Envelope),
    held: impl Send + 'static,
    enough: fn(&Order) -> bool,
) -> Result<Followed, Problem> {
    let deadline = tokio::time::Instant::from_std(call.started + api.settings.wait);
    let mut seen = None;
    let work = async {
        let watch = Watch::new(api, order);
        let asked = api.ask(envelope, (held, call.permit())).await?;
        let followed = accepted(call, asked)?;
        let followed = seen.insert(followed);
        if !enough(&followed.order) && !call.respond_async {
            settle(api, call, (order, watch), followed, enough).await?;
        } else if followed.order.is_settled() {
            followed.timing.settle = Some(followed.timing.accept);
        }
        Ok(())
    };
    let done = tokio::time::timeout_at(deadline, work).await;
    if let Ok(Err(problem)) = done {
        return Err(problem);
    }
    seen.ok_or_else(unanswered)
}

fn accepted(call: &Call, asked: Asked<Reply>) -> Result<Followed, Problem> {
    let Reply::Order(id, order) = asked.reply else {
        return Err(Problem::of(Own::Internal, "the reply has no order"));
    };
    let timing = Timing::accepted(call.started, asked.accepted);
    Ok(Followed { id, order, replayed: asked.replayed, timing })
}

/// Waits until it is enough. The order of a replay is another than the one that was watched, and a
/// signal may be about another refund: after a new watch the order is read once more, since it may
/// have moved on before.
async fn settle(
    api: &Arc<Api>,
    call: &Call,
    (watched, mut watch): (OrderId, Watch<Order>),
    followed: &mut Followed,
    enough: fn(&Order) -> bool,
) -> Result<(), Problem> {
    let mut known = followed.id == watched;
    loop {
        if !std::mem::replace(&mut known, false) {
            watch = Watch::new(api, followed.id);
            let id = followed.id;
            let read = move |queries: &Queries| Ok((queries.order(id)?, queries.position()?));
            let (now, at) = api.read(read).await?;
            // No signal told of it, so no position did.
            api.shop.seen_at(at);
            if let Some(now) = now.filter(enough) {
                *followed.order = now;
                followed.timing.settle = Some(call.started.elapsed());
                return Ok(());
            }
        }
        let Some((order, at)) = watch.end().await else { return Ok(()) };
        followed.order = order;
        if enough(&followed.order) {
            followed.timing.settle = Some(at.saturating_duration_since(call.started));
            return Ok(());
        }
    }
}

/// For the metrics: the end of an order that a place or a confirm has waited for.
pub(crate) fn count(api: &Api, followed: &Followed) {
    if followed.replayed || !followed.order.is_settled() {
        return;
    }
    let outcome = followed.order.outcome.unwrap_or(Outcome::Error);
    if let Some(counter) = api.counts.settled.get(outcome as usize) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
