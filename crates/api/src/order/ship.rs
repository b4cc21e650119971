//! What is sent to the buyer, arrives, and comes back.

use std::sync::Arc;

use jangbu_domain::order::command::{Command, UNIT, Units};
use jangbu_kernel::OrderId;
use serde::Deserialize;

use super::change::carry_out;
use super::form::{ReturnIn, ShipIn, lines_canon, reason, units, words};
use super::order_id;
use crate::Api;
use crate::ask::envelope;
use crate::call::Call;
use crate::idempotency::Canon;
use crate::problem::Problem;
use crate::reply::Reply;

pub(super) async fn ship(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let body: ShipIn<'_> = call.json()?;
    let order = order_id(call)?;
    let units = body.lines.as_deref().map(units).transpose()?;
    let (carrier, tracking) =
        (words("carrier", &body.carrier)?, words("tracking", &body.tracking)?);
    let canon = Canon::new(call.name).int(order.0).text(&carrier).text(&tracking);
    let canon = some_lines(canon, units.as_deref());
    let command = Command::Ship { order, units, carrier, tracking };
    carry_out(api, call, (order, envelope(call, UNIT, command, canon))).await
}

/// A body without fields.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

pub(super) async fn deliver(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let Nothing {} = call.json()?;
    let (order, no) = shipment(call)?;
    let canon = Canon::new(call.name).int(order.0).int(i64::from(no));
    let command = Command::Deliver { order, no };
    carry_out(api, call, (order, envelope(call, UNIT, command, canon))).await
}

/// The shipment that the path names.
fn shipment(call: &Call) -> Result<(OrderId, u32), Problem> {
    let digits = call.param_at(1);
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
    let no = digits.parse().ok().filter(|_| plain);
    let unknown =
        || Problem::coded("SHIPMENT_UNKNOWN", "the number of a shipment is 1 to 999".to_owned());
    Ok((order_id(call)?, no.ok_or_else(unknown)?))
}

pub(super) async fn take_back(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let body: ReturnIn<'_> = call.json()?;
    let order = order_id(call)?;
    let reason = reason(&body.reason)?;
    let units = body.lines.as_deref().map(units).transpose()?;
    let restock = body.restock;
    let canon = Canon::new(call.name).int(order.0).text(&reason).int(i64::from(restock));
    let canon = some_lines(canon, units.as_deref());
    let command = Command::Refund { order, units, restock, reason, returned: true };
    carry_out(api, call, (order, envelope(call, UNIT, command, canon))).await
}

/// These lines, or all that there are.
pub(super) fn some_lines(canon: Canon, units: Option<&[Units]>) -> Canon {
    match units {
        None => canon.int(-1),
        Some(units) => lines_canon(canon, units),
    }
}
