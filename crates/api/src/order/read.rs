//! One order, a user's orders, an order's timeline.

use std::sync::Arc;

use jangbu_domain::order::model::{Order, Outcome, State};
use jangbu_kernel::{OrderId, UserId};
use serde::Serialize;

use super::order_id;
use super::out::OrderOut;
use crate::Api;
use crate::call::Call;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::text::{At, id, shown};

pub(super) async fn get(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let id = order_id(call)?;
    let order = find(api, id).await?;
    Ok(Reply::ok(&OrderOut::of(id, &order)))
}

async fn find(api: &Arc<Api>, id: OrderId) -> Result<Order, Problem> {
    let found = api.read(move |queries| queries.order(id)).await?;
    found.ok_or_else(|| Problem::coded("ORDER_UNKNOWN", format!("there is no order {id}")))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Page<'a> {
    items: Vec<OrderOut<'a>>,
    next_cursor: Option<String>,
}

pub(super) async fn list(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let query = call.query()?;
    let user = id(UserId::parse, UserId::PREFIX, query.required("userId")?, || "userId".into())?;
    let (limit, before) = (query.limit()?, query.cursor(OrderId::parse)?);
    let found = api.read(move |queries| queries.orders_of(user, before, limit + 1)).await?;
    let page = found.len().min(limit as usize);
    let last = found[..page].last().filter(|_| found.len() > page);
    Ok(Reply::ok(&Page {
        items: found[..page].iter().map(|(id, order)| OrderOut::of(*id, order)).collect(),
        next_cursor: last.map(|(id, _)| id.to_string()),
    }))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TimelineOut {
    #[serde(serialize_with = "shown::one")]
    order_id: OrderId,
    state: &'static str,
    sentence: String,
    items: Vec<MomentOut>,
}

#[derive(Serialize)]
struct MomentOut {
    at: At,
    event: String,
    detail: String,
}

pub(super) async fn timeline(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let order_id = order_id(call)?;
    let order = find(api, order_id).await?;
    let moments = api.read(move |queries| queries.timeline(order_id)).await?;
    let moment = |m: jangbu_services::queries::Moment| MomentOut {
        at: At(m.at),
        event: m.event,
        detail: m.detail,
    };
    let items = moments.into_iter().map(moment).collect();
    Ok(Reply::ok(&TimelineOut {
        order_id,
        state: order.state.name(),
        sentence: sentence(&order),
        items,
    }))
}

/// How an order stands, for somebody who does not know its states.
fn sentence(order: &Order) -> String {
    let reason = order.reason.as_deref().unwrap_or("no reason given");
    let what = match order.state {
        State::Holding => "The units are being set aside.".to_owned(),
        State::AwaitPay => "The units are set aside; the buyer has to pay.".to_owned(),
        State::Paying => "The payment gateway is being asked.".to_owned(),
        State::PayUnknown => {
            format!("Whether the money was taken is not known yet ({reason}); we keep asking.")
        }
        State::Committing => "It is paid; the units are being booked as sold.".to_owned(),
        State::Reversing => "It was paid and cancelled; the money is going back.".to_owned(),
        State::Unwinding => format!("It is being undone ({reason})."),
        State::Completed if order.refunded >= order.total && order.refunded > 0 => {
            "It was sold, and everything was refunded.".to_owned()
        }
        State::Completed if order.refunded > 0 => {
            format!("It was sold; {} {} were refunded.", order.refunded, order.currency)
        }
        State::Completed => "It is paid and sold.".to_owned(),
        State::Cancelled => {
            let outcome = order.outcome.map_or("CANCELLED", Outcome::name);
            format!("It ended without a sale: {outcome} ({reason}).")
        }
        State::Stuck => format!("It cannot go on by itself; an operator has to look ({reason})."),
    };
    match order.settled_at {
        Some(at) => format!("{what} Settled at {}.", At(at)),
        None => what,
    }
}
