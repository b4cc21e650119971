//! Place and confirm, and what is told of their outcome.

use std::sync::Arc;

use jangbu_domain::order::command::{Command, UNIT};
use jangbu_domain::order::model::{Order, Outcome, PayMode, State};
use jangbu_kernel::time::Span;
use jangbu_kernel::{OrderId, SkuId};

use super::differ;
use super::form::{ConfirmIn, PlaceIn, Wish, secret};
use super::location;
use super::out::OrderOut;
use super::read::own_order;
use crate::Api;
use crate::ask::envelope;
use crate::call::Call;
use crate::codes::Own;
use crate::idempotency::{self, Canon};
use crate::problem::Problem;
use crate::reply::Reply;
use crate::wait::{Followed, count, follow};

pub(super) async fn place(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let body: PlaceIn<'_> = call.json()?;
    let wish = Wish::read(call, &body)?;
    api.limits.user(wish.user.0).await?;
    let canon = wish.canon(call.name);
    let skus = wish.lines.iter().map(|line| line.sku);
    if let Some(sku) = api.gate.refused(skus) {
        let key = idempotency::key(&call.caller, call.name, call.key(), canon.clone());
        if !api.gate.knows(&key) {
            return Err(gated(api, sku));
        }
    }
    let order = OrderId(api.shop.mint());
    let share = wish.user.0;
    let mut envelope = envelope(call, UNIT, wish.command(order), canon);
    envelope.share = Some(share);
    let patience = i64::try_from(api.settings.start.as_micros()).unwrap_or(i64::MAX);
    envelope.deadline = Some(api.shop.now() + Span(patience));
    let under_way = envelope.key.as_deref().map(|key| api.gate.begin(key));
    let enough = |order: &Order| {
        order.is_settled() || order.mode == PayMode::Client || order.state == State::Stuck
    };
    let followed = match follow(api, call, (order, envelope), under_way, enough).await {
        Err(problem) => return Err(differ::place(api, call, problem).await),
        Ok(followed) => followed,
    };
    count(api, &followed);
    learn(api, &followed);
    outcome(call, followed)
}

fn gated(api: &Api, sku: SkuId) -> Problem {
    api.counts.gated.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let mut problem = Problem::of(Own::SoldOut, format!("{sku} was sold out a moment ago"));
    problem.outcome = Some("SOLD_OUT");
    problem
}

/// Tells the gate what a refused order says about its SKUs.
fn learn(api: &Arc<Api>, followed: &Followed) {
    let order = &followed.order;
    if followed.replayed || order.outcome != Some(Outcome::SoldOut) {
        return;
    }
    if let [line] = &*order.lines
        && line.quantity == 1
    {
        return api.gate.close(line.sku);
    }
    // Which of them is missing, and whether nothing or just not enough is left, only the stock
    // rows know. Nobody waits for this.
    let (api, lines) = (Arc::clone(api), Arc::clone(&order.lines));
    drop(tokio::task::spawn_blocking(move || {
        for line in lines.iter() {
            if let Ok(Some(stock)) = api.queries.stock(line.sku)
                && stock.available == 0
            {
                api.gate.close(line.sku);
            }
        }
    }));
}

pub(super) async fn confirm(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let body: ConfirmIn<'_> = call.json()?;
    let order = own_order(api, call).await?;
    let amount = body.amount.read("amount")?;
    let token = secret("token", &body.token)?;
    let canon = Canon::new(call.name)
        .int(order.0)
        .int(amount.amount)
        .text(amount.currency.as_str())
        .text(token.reveal());
    let envelope = envelope(call, UNIT, Command::Confirm { order, amount, token }, canon);
    let enough = |order: &Order| order.is_settled() || order.state == State::Stuck;
    let followed = match follow(api, call, (order, envelope), (), enough).await {
        Err(problem) => return Err(differ::other(api, problem, order).await),
        Ok(followed) => followed,
    };
    count(api, &followed);
    outcome(call, followed)
}

/// The answer to a place or a confirm.
fn outcome(call: &Call, followed: Followed) -> Result<Reply, Problem> {
    let Followed { id, order, replayed, timing } = followed;
    let Some((own, detail)) = refused(&order) else {
        let done = order.is_settled() || order.state == State::AwaitPay;
        let status = if done { 201 } else { 202 };
        let reply = Reply::json(status, &OrderOut::of(id, &order));
        let reply = reply.timed(timing).replayed(replayed).at(location(id));
        return Ok(reply.applied(call.respond_async && !done));
    };
    let reason = order.reason.as_deref().unwrap_or_default();
    let mut problem = Problem::of(own, format!("{detail} ({reason})"));
    problem.order = Some(id);
    problem.outcome = order.outcome.map(Outcome::name);
    problem.timing = Some(timing);
    problem.replayed = replayed;
    Err(problem)
}

/// How an order that ended without a sale is told.
fn refused(order: &Order) -> Option<(Own, &'static str)> {
    if !order.is_settled() {
        return None;
    }
    Some(match order.outcome? {
        Outcome::Sold => return None,
        Outcome::SoldOut => (Own::SoldOut, "not enough units are left; nothing was charged"),
        Outcome::Declined => (Own::Declined, "the payment was declined; nothing was charged"),
        Outcome::Expired => (Own::Expired, "it was not paid in time; order again with a new key"),
        Outcome::Cancelled => (Own::Cancelled, "it was cancelled; nothing is charged"),
        Outcome::Shed => (Own::Shed, "the gateway was not asked; try again with a new key"),
        Outcome::PriceChanged => {
            (Own::PayChanged, "the card would have to pay something else; nothing was charged")
        }
        Outcome::Limit => {
            (Own::Limit, "the coupon or the points could not be used; nothing was charged")
        }
        Outcome::Error => (Own::Failed, "nothing was charged; try again with a new key"),
    })
}
