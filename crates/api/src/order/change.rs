//! Cancel and refund.

use std::sync::Arc;

use jangbu_domain::order::command::{Command, UNIT};
use jangbu_domain::order::model::{Order, Refund, State};
use jangbu_kernel::{Envelope, OrderId};

use super::differ;
use super::form::{CancelIn, RefundIn, reason, units};
use super::out::OrderOut;
use super::read::own_order;
use super::ship::some_lines;
use super::{location, order_id};
use crate::Api;
use crate::ask::envelope;
use crate::call::Call;
use crate::idempotency::Canon;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::wait::{Followed, follow};

pub(super) async fn cancel(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let body: CancelIn<'_> = call.json()?;
    let order = own_order(api, call).await?;
    let reason = reason(body.reason.as_deref().unwrap_or_default())?;
    let canon = Canon::new(call.name).int(order.0).text(&reason);
    let envelope = envelope(call, UNIT, Command::Cancel { order, reason }, canon);
    let followed = match follow(api, call, (order, envelope), (), is_closed).await {
        Err(problem) => return Err(differ::other(api, problem, order).await),
        Ok(followed) => followed,
    };
    Ok(changed(call, &followed))
}

pub(super) async fn refund(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let body: RefundIn<'_> = call.json()?;
    let order = order_id(call)?;
    let reason = reason(&body.reason)?;
    let units = body.lines.as_deref().map(units).transpose()?;
    let restock = body.restock.unwrap_or(true);
    let canon = Canon::new(call.name).int(order.0).text(&reason).int(i64::from(restock));
    let canon = some_lines(canon, units.as_deref());
    let returned = false;
    let command = Command::Refund { order, units, restock, reason, returned };
    carry_out(api, call, (order, envelope(call, UNIT, command, canon))).await
}

/// Asks, and waits until nothing of the order is under way.
pub(super) async fn carry_out(
    api: &Arc<Api>,
    call: &Call,
    (order, envelope): (OrderId, Envelope),
) -> Result<Reply, Problem> {
    let followed = match follow(api, call, (order, envelope), (), is_closed).await {
        Err(problem) => return Err(differ::other(api, problem, order).await),
        Ok(followed) => followed,
    };
    if !followed.order.refunds.is_empty() {
        for line in followed.order.lines.iter() {
            api.gate.open(line.sku);
        }
    }
    Ok(changed(call, &followed))
}

/// Whether nothing of the order is under way, or nothing will move by itself.
fn is_closed(order: &Order) -> bool {
    order.state == State::Stuck || !is_open(order)
}

fn is_open(order: &Order) -> bool {
    !order.is_settled() || order.refunds.iter().any(Refund::is_open)
}

/// The answer to a cancel or a refund: 202 while something of it is under way.
fn changed(call: &Call, followed: &Followed) -> Reply {
    let Followed { id, order, replayed, timing } = followed;
    let open = is_open(order);
    let status = if open { 202 } else { 200 };
    let reply = Reply::json(status, &OrderOut::of(*id, order)).timed(*timing).replayed(*replayed);
    let reply = reply.applied(call.respond_async && open);
    if open { reply.at(location(*id)) } else { reply }
}
