//! Stock: look, receive, adjust.

use std::borrow::Cow;
use std::sync::Arc;

use jangbu_domain::inventory::command::{Command, Reply as Answer, UNIT};
use jangbu_domain::inventory::model::LIMIT;
use jangbu_kernel::id::MovementId;
use jangbu_kernel::{Envelope, SkuId};
use jangbu_services::queries::Queries;
use serde::{Deserialize, Serialize};

use crate::Api;
use crate::ask::{envelope, normal, operated};
use crate::auth::Role;
use crate::call::Call;
use crate::codes::Own;
use crate::idempotency::Canon;
use crate::order::{reason, sku_id};
use crate::problem::Problem;
use crate::repeats::Difference;
use crate::reply::Reply;
use crate::route::{Doc, Route};
use crate::text::shown;

const RECEIVE: &str = r#"{"quantity":10,"reason":"delivery 4711"}"#;
const ADJUST: &str = r#"{"delta":-2,"reason":"broken in the store"}"#;

pub(crate) const ROUTES: &[Route] = &[
    Route {
        method: "GET",
        path: "/api/v1/stock/{sku}",
        name: "stock.get",
        role: Role::Client,
        keyed: false,
        run: |api, call| Box::pin(async move { get(&api, &call).await }),
        doc: Doc {
            summary: "Where the units of a SKU are",
            query: &[],
            body: None,
            answers: &[(
                200,
                "Stock",
                "received + adjusted + returned = available + reserved + sold + writtenOff",
            )],
            codes: &["STOCK_UNKNOWN"],
        },
    },
    Route {
        method: "POST",
        path: "/api/v1/stock/{sku}/receive",
        name: "stock.receive",
        role: Role::Operator,
        keyed: true,
        run: |api, call| Box::pin(async move { receive(&api, &call).await }),
        doc: Doc {
            summary: "Goods came in",
            query: &[],
            body: Some(("ReceiveStock", RECEIVE)),
            answers: &[(201, "Movement", "The movement")],
            codes: &["QUANTITY_INVALID", "QUANTITY_OVERFLOW"],
        },
    },
    Route {
        method: "POST",
        path: "/api/v1/stock/{sku}/adjust",
        name: "stock.adjust",
        role: Role::Operator,
        keyed: true,
        run: |api, call| Box::pin(async move { adjust(&api, &call).await }),
        doc: Doc {
            summary: "Correct a count; never below what is available",
            query: &[],
            body: Some(("AdjustStock", ADJUST)),
            answers: &[(201, "Movement", "The movement")],
            codes: &[
                "QUANTITY_INVALID",
                "QUANTITY_OVERFLOW",
                "INSUFFICIENT_STOCK",
                "STOCK_UNKNOWN",
            ],
        },
    },
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReceiveIn<'a> {
    quantity: i64,
    #[serde(borrow, default)]
    reason: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AdjustIn<'a> {
    delta: i64,
    #[serde(borrow)]
    reason: Cow<'a, str>,
}

fn sku(call: &Call) -> Result<SkuId, Problem> {
    sku_id(call.param(), || "sku".into())
}

async fn receive(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let body: ReceiveIn<'_> = call.json()?;
    let (sku, movement) = (sku(call)?, MovementId(api.shop.mint()));
    let reason = reason(body.reason.as_deref().unwrap_or_default())?;
    let canon = Canon::new(call.name).int(sku.0).int(body.quantity).text(&reason);
    let why = reason.clone();
    let command = Command::Receive { movement, sku, quantity: body.quantity, reason };
    let envelope = operated(envelope(call, UNIT, command, canon), call, &why);
    book(api, envelope, ("quantity", sku, body.quantity)).await
}

async fn adjust(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let body: AdjustIn<'_> = call.json()?;
    let (sku, movement) = (sku(call)?, MovementId(api.shop.mint()));
    if body.delta == 0 || body.delta.unsigned_abs() > LIMIT.unsigned_abs() {
        let message = format!("must be -{LIMIT} to {LIMIT}, and not 0");
        let detail = format!("delta: {message}");
        return Err(Problem::coded("QUANTITY_INVALID", detail).at("delta", message));
    }
    let reason = reason(&body.reason)?;
    let canon = Canon::new(call.name).int(sku.0).int(body.delta).text(&reason);
    let why = reason.clone();
    let command = Command::Adjust { movement, sku, delta: body.delta, reason };
    let envelope = operated(envelope(call, UNIT, command, canon), call, &why);
    book(api, envelope, ("delta", sku, body.delta)).await
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MovementOut {
    #[serde(serialize_with = "shown::one")]
    movement_id: MovementId,
    #[serde(serialize_with = "shown::one")]
    sku_id: SkuId,
    quantity: i64,
    available: i64,
}

/// What is wanted, should the key belong to another movement: field, SKU, units.
type Wanted = (&'static str, SkuId, i64);

async fn book(
    api: &Arc<Api>,
    envelope: Envelope,
    (field, sku, units): Wanted,
) -> Result<Reply, Problem> {
    let asked = match api.ask_soon::<Answer>(normal(envelope)).await {
        Ok(asked) => asked,
        Err(problem) => {
            let compare = move |queries: &Queries, id| {
                let Some(first) = queries.movement(MovementId(id))? else { return Ok(Vec::new()) };
                let of_sku = Difference::between("sku", (&first.sku, &sku), ToString::to_string);
                let units =
                    Difference::between(field, (&first.quantity, &units), ToString::to_string);
                Ok(of_sku.into_iter().chain(units).collect())
            };
            return Err(api.differ(problem, compare).await);
        }
    };
    let Answer::Moved { movement, sku, quantity, available } = asked.reply else {
        return Err(Problem::of(Own::Internal, "the reply is not a movement"));
    };
    api.gate.open(sku);
    let out = MovementOut { movement_id: movement, sku_id: sku, quantity, available };
    Ok(Reply::json(201, &out).replayed(asked.replayed))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StockOut {
    #[serde(serialize_with = "shown::one")]
    sku_id: SkuId,
    received: i64,
    adjusted: i64,
    returned: i64,
    available: i64,
    reserved: i64,
    sold: i64,
    written_off: i64,
}

async fn get(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let sku_id = sku(call)?;
    let found = api.read(move |queries| queries.stock(sku_id)).await?;
    let stock = found.ok_or_else(|| {
        Problem::coded("STOCK_UNKNOWN", format!("no stock was ever received for {sku_id}"))
    })?;
    Ok(Reply::ok(&StockOut {
        sku_id,
        received: stock.received,
        adjusted: stock.adjusted,
        returned: stock.returned,
        available: stock.available,
        reserved: stock.reserved,
        sold: stock.sold,
        written_off: stock.written_off,
    }))
}
