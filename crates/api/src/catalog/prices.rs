//! What SKUs cost, did and will.

use std::borrow::Cow;
use std::sync::Arc;

use jangbu_domain::catalog::command::Command;
use jangbu_domain::catalog::model::{Planned, Price, PriceKey};
use jangbu_kernel::{Currency, SkuId, Time};
use serde::{Deserialize, Serialize};

use super::change;
use crate::Api;
use crate::call::Call;
use crate::idempotency::Canon;
use crate::money::{MoneyIn, MoneyOut};
use crate::order::sku_id;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::text::{At, shown, time};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PriceIn<'a> {
    #[serde(borrow)]
    price: MoneyIn<'a>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanIn<'a> {
    #[serde(borrow)]
    price: MoneyIn<'a>,
    #[serde(borrow)]
    from: Cow<'a, str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct UnplanIn<'a> {
    #[serde(borrow)]
    from: Cow<'a, str>,
}

fn moment(text: &str) -> Result<Time, Problem> {
    time(text).ok_or_else(|| Problem::field("from", "must be a time such as 2026-12-01T00:00:00Z"))
}

pub(super) async fn set(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let body: PriceIn<'_> = call.json()?;
    let sku = sku_id(call.param(), || "id".into())?;
    let price = body.price.read("price")?;
    let canon = Canon::new(call.name).int(sku.0).int(price.amount).text(price.currency.as_str());
    change(api, call, Command::SetPrice { sku, price }, canon).await
}

pub(super) async fn plan(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let body: PlanIn<'_> = call.json()?;
    let sku = sku_id(call.param(), || "id".into())?;
    let (price, from) = (body.price.read("price")?, moment(&body.from)?);
    let canon = Canon::new(call.name).int(sku.0).int(price.amount).text(price.currency.as_str());
    change(api, call, Command::PlanPrice { sku, price, from }, canon.int(from.0)).await
}

pub(super) async fn unplan(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let body: UnplanIn<'_> = call.json()?;
    let sku = sku_id(call.param(), || "id".into())?;
    let from = moment(&body.from)?;
    let canon = Canon::new(call.name).int(sku.0).int(from.0);
    change(api, call, Command::UnplanPrice { sku, from }, canon).await
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct HistoryOut {
    #[serde(serialize_with = "shown::one")]
    sku_id: SkuId,
    planned: Vec<PlannedOut>,
    items: Vec<PriceOut>,
    next_cursor: Option<String>,
}

#[derive(Serialize)]
struct PlannedOut {
    from: At,
    price: MoneyOut,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PriceOut {
    price_version: i64,
    /// None: since before histories were kept.
    from: Option<At>,
    price: MoneyOut,
}

pub(super) async fn history(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let query = call.query()?;
    let sku = sku_id(call.param(), || "id".into())?;
    let before = query.cursor(|text| text.parse::<i64>().ok().filter(|no| *no > 0))?;
    let limit = query.limit()?;
    let found = api.view_found(call, move |queries| queries.sku(sku)).await?;
    let unknown = || Problem::coded("SKU_UNKNOWN", format!("there is no SKU {sku}"));
    let row = found.ok_or_else(unknown)?;
    let before = before.unwrap_or(i64::MAX);
    let prices = api.view(call, move |queries| queries.prices(sku, before, limit + 1)).await?;
    let page = prices.len().min(limit as usize);
    let last = prices[..page].last().filter(|_| prices.len() > page);
    let currency = row.price.currency;
    Ok(Reply::ok(&HistoryOut {
        sku_id: sku,
        planned: row.planned.iter().map(|plan| planned(*plan, currency)).collect(),
        items: prices[..page].iter().map(|price| shown_price(price, currency)).collect(),
        next_cursor: last.map(|(key, _)| key.version.to_string()),
    }))
}

fn planned(plan: Planned, currency: Currency) -> PlannedOut {
    PlannedOut { from: At(plan.from), price: MoneyOut::new(plan.amount, currency) }
}

fn shown_price((key, price): &(PriceKey, Price), currency: Currency) -> PriceOut {
    PriceOut {
        price_version: key.version,
        from: (price.from.0 > 0).then_some(At(price.from)),
        price: MoneyOut::new(price.amount, currency),
    }
}
