//! One order, a user's orders, an order's timeline.

use std::sync::Arc;

use jangbu_domain::order::model::Order;
use jangbu_kernel::{OrderId, UserId};
use jangbu_services::queries::View;
use serde::Serialize;

use super::order_id;
use super::out::OrderOut;
use crate::Api;
use crate::auth::{owns, user_or_own};
use crate::call::{Call, Params};
use crate::codes::Own;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::sentence;
use crate::text::{At, id, shown};

pub(super) async fn get(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let id = order_id(call)?;
    let order = find(api, call, id).await?;
    Ok(Reply::ok(&OrderOut::of(id, &order)))
}

/// Another customer's order is one that is not there.
async fn find(api: &Arc<Api>, call: &Call, id: OrderId) -> Result<Order, Problem> {
    let found = api.read(move |queries| queries.order(id)).await?;
    let found = found.filter(|order| owns(call, order.user));
    found.ok_or_else(|| Problem::coded("ORDER_UNKNOWN", format!("there is no order {id}")))
}

/// The order that the path names, which is the caller's. Only a session must be looked at for that:
/// keys act for everybody.
pub(super) async fn own_order(api: &Arc<Api>, call: &Call) -> Result<OrderId, Problem> {
    let id = order_id(call)?;
    if call.caller.customer.is_some() {
        find(api, call, id).await?;
    }
    Ok(id)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Page<'a> {
    items: Vec<OrderOut<'a>>,
    next_cursor: Option<String>,
}

/// The user that the query names in `userId`, or whose session it is.
pub(crate) fn user_asked(call: &Call, query: &Params) -> Result<UserId, Problem> {
    let parse = |text| id(UserId::parse, UserId::PREFIX, text, || "userId".into());
    let missing =
        || Problem::of(Own::InvalidParameter, "userId is required").at("userId", "is required");
    user_or_own(call, query.get("userId").map(parse).transpose()?, missing)
}

pub(super) async fn list(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let query = call.query()?;
    let user = user_asked(call, &query)?;
    let (limit, before) = (query.limit()?, query.cursor(OrderId::parse)?);
    let found = api.view(call, move |queries| queries.orders_of(user, before, limit + 1)).await?;
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
    let order = find(api, call, order_id).await?;
    // What no replica has yet is there all the same: the order was found.
    let read = move |view: &View| view.timeline(order_id);
    let moments = api.look(call.needs(), read, |moments| !moments.is_empty()).await?;
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
