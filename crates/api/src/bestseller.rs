//! What sells best.

use std::sync::Arc;

use jangbu_kernel::CategoryId;
use jangbu_services::bestseller::{Best, Ranking, Window, day};
use jangbu_services::queries::Queries;
use serde::Serialize;
use serde_json::{Value, json};

use crate::Api;
use crate::auth::Role;
use crate::call::Call;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::route::{Doc, Route};
use crate::schemas::{id, list, object, text, whole, words};
use crate::text::Date;

pub(crate) const ROUTES: &[Route] = &[Route {
    method: "GET",
    path: "/api/v1/bestsellers",
    name: "bestseller.list",
    role: Role::Customer,
    keyed: false,
    run: |api, call| Box::pin(async move { get(&api, &call).await }),
    doc: Doc {
        summary: "The products on sale of which most units were sold",
        query: &["window", "categoryId", "limit"],
        body: None,
        answers: &[(200, "Bestsellers", "The best first; of equals the older product")],
        codes: &[],
    },
}];

#[derive(Serialize)]
struct RankingOut<'a> {
    window: &'static str,
    from: String,
    to: String,
    items: Vec<BestOut<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct BestOut<'a> {
    rank: usize,
    product_id: String,
    name: &'a str,
    units: i64,
    skus: Vec<SkuOut>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SkuOut {
    sku_id: String,
    units: i64,
}

async fn get(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let query = call.query()?;
    let limit = query.limit()? as usize;
    let window = Window::ALL
        .into_iter()
        .find(|window| query.get("window").unwrap_or(Window::Week.name()) == window.name());
    let window =
        window.ok_or_else(|| query.bad("window", "must be day, week or month".to_owned()))?;
    let category = query.get("categoryId").map(|text| {
        let bad = || query.bad("categoryId", "must be the id of a category".to_owned());
        CategoryId::parse(text).ok_or_else(bad)
    });
    let (category, now) = (category.transpose()?, api.shop.now());
    if let Some(shared) = &api.shared
        && api.read(move |queries| Ok(queries.lacks_ranking(window, now))).await?
        && let Some(head) = shared.ranking(window, day(now)).await
    {
        let learn = move |queries: &Queries| {
            queries.learn_ranking(window, now, head);
            Ok(())
        };
        api.read(learn).await?;
    }
    let found =
        api.view(call, move |queries| queries.bestsellers(window, category, limit, now)).await?;
    let Ranking { from, to, items, fresh } = &found;
    if let (Some(shared), Some(best)) = (&api.shared, fresh) {
        shared.ranked(window, *to, Arc::clone(best));
    }
    Ok(Reply::ok(&RankingOut {
        window: window.name(),
        from: Date(*from).to_string(),
        to: Date(*to).to_string(),
        items: items.iter().enumerate().map(|(at, (best, name))| out(at, best, name)).collect(),
    }))
}

fn out<'a>(at: usize, best: &Best, name: &'a str) -> BestOut<'a> {
    let sku = |(sku, units): &(jangbu_kernel::SkuId, i64)| SkuOut {
        sku_id: sku.to_string(),
        units: *units,
    };
    BestOut {
        rank: at + 1,
        product_id: best.product.to_string(),
        name,
        units: best.units,
        skus: best.skus.iter().map(sku).collect(),
    }
}

/// The schemas of this module.
pub(crate) fn schemas() -> Value {
    let date = json!({ "type": "string", "format": "date" });
    let windows: Vec<_> = Window::ALL.iter().map(|window| window.name()).collect();
    json!({
        "Bestsellers": object(&json!({
            "window": words(&windows), "from": date, "to": date, "items": list("Bestseller"),
        })),
        "Bestseller": object(&json!({
            "rank": whole(), "productId": id("prd"), "name": text(), "units": whole(),
            "skus": {
                "type": "array",
                "items": object(&json!({ "skuId": id("sku"), "units": whole() })),
            },
        })),
    })
}
