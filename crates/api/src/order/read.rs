//! One order, a user's orders, an order's timeline.

use std::sync::Arc;

use jangbu_domain::order::model::Order;
use jangbu_kernel::{OrderId, UserId};
use serde::Serialize;

use super::order_id;
use super::out::OrderOut;
use crate::Api;
use crate::call::Call;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::sentence;
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
        sentence: sentence::of_order(&order, api.shop.now()),
        items,
    }))
}
