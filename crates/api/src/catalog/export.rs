//! An export: products as CSV in the form that an import reads, page by page, so that no reader
//! holds the database for long.

use std::collections::BTreeMap;
use std::sync::Arc;

use jangbu_domain::catalog::model::{Product, Sku, State};
use jangbu_domain::catalog::option;
use jangbu_engine::port::Fault;
use jangbu_kernel::{CategoryId, ProductId};
use jangbu_services::queries::View;
use serde::Serialize;

use super::sheet::{COLUMNS, write};
use crate::Api;
use crate::call::Call;
use crate::problem::Problem;
use crate::reply::Reply;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    csv: String,
    skus: usize,
    next_cursor: Option<String>,
}

pub(super) async fn export(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let query = call.query()?;
    let (limit, after) = (query.limit()?, query.cursor(ProductId::parse)?);
    let page = api.view(call, move |view| page(view, after, limit)).await?;
    Ok(Reply::ok(&page))
}

fn page(view: &View, after: Option<ProductId>, limit: u32) -> Result<Page, Fault> {
    let mut found = view.products(after, limit + 1)?;
    let more = found.len() > limit as usize;
    found.truncate(limit as usize);
    let (mut csv, mut skus, mut paths) = (String::new(), 0, BTreeMap::new());
    if after.is_none() {
        write(&COLUMNS, &mut csv);
    }
    for (product, of) in &found {
        skus += of.len();
        rows(view, product, of, (&mut paths, &mut csv))?;
    }
    let last = found.last().filter(|_| more);
    Ok(Page { csv, skus, next_cursor: last.map(|(product, _)| product.id.to_string()) })
}

fn rows(
    view: &View,
    product: &Product,
    skus: &[Sku],
    (paths, csv): (&mut BTreeMap<CategoryId, String>, &mut String),
) -> Result<(), Fault> {
    let path = match product.category {
        None => String::new(),
        Some(id) => match paths.get(&id) {
            Some(path) => path.clone(),
            None => paths.entry(id).or_insert(path(view, id)?).clone(),
        },
    };
    let published = if product.state == State::Published { "true" } else { "false" };
    for (at, sku) in skus.iter().enumerate() {
        let values = product.options.iter().zip(option::values(product, at));
        let options: Vec<_> = values.map(|(o, value)| format!("{}={value}", o.name)).collect();
        let stock = view.stock(sku.id)?.map_or(0, |stock| stock.available);
        write(
            &[
                &product.merchant,
                &product.id.to_string(),
                &product.name,
                &product.description,
                &path,
                published,
                sku.code.as_deref().unwrap_or(&sku.id.to_string()),
                &options.join(";"),
                &sku.name,
                &sku.price.amount.to_string(),
                sku.price.currency.as_str(),
                &stock.to_string(),
            ],
            csv,
        );
    }
    Ok(())
}

/// The codes from a root to a category.
fn path(view: &View, id: CategoryId) -> Result<String, Fault> {
    let (mut codes, mut next) = (Vec::new(), Some(id));
    while let Some(id) = next {
        let Some(category) = view.category(id)? else { break };
        codes.push(category.code.to_string());
        next = category.parent;
    }
    codes.reverse();
    Ok(codes.join("/"))
}
