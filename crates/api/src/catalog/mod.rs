//! Products, their SKUs and prices, where they stand, and how they come from files.
//!
//! | part | holds |
//! |---|---|
//! | `make` | products are made, extended, edited, put on sale and off |
//! | `list` | lists of products |
//! | `prices` | what SKUs cost, did and will |
//! | `categories` | the tree |
//! | `kept` | answers that are kept |
//! | `sheet`, `import`, `export` | products as CSV |
//! | `routes`, `schemas` | the endpoints, and their bodies |

mod categories;
mod export;
mod import;
mod kept;
mod list;
mod make;
mod prices;
mod routes;
mod schemas;
pub mod sheet;

use std::sync::Arc;

use jangbu_domain::catalog::command::{Command, Reply as Answer, UNIT};
use jangbu_domain::catalog::model::{Product, Sku};
use jangbu_domain::catalog::option;
use jangbu_kernel::{CategoryId, ProductId, SkuId};
use jangbu_services::cache::Group;
use serde::{Deserialize, Serialize};

use crate::Api;
use crate::ask::{envelope, normal};
use crate::call::Call;
use crate::codes::Own;
use crate::idempotency::Canon;
use crate::money::MoneyOut;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::text::{At, id, shown};

pub(crate) use import::{BODY, NAME};
pub(crate) use kept::warm;
pub(crate) use routes::ROUTES;
pub(crate) use schemas::schemas;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

fn product_id(call: &Call) -> Result<ProductId, Problem> {
    id(ProductId::parse, ProductId::PREFIX, call.param(), || "id".into())
}

fn category_id(text: &str, field: &str) -> Result<CategoryId, Problem> {
    id(CategoryId::parse, CategoryId::PREFIX, text, || field.into())
}

/// The product of an answer.
fn shown_product(answer: &Answer) -> Result<(&Product, &[Sku]), Problem> {
    match answer {
        Answer::Product { product, skus } => Ok((product, skus)),
        Answer::Category { .. } | Answer::Imported => {
            Err(Problem::of(Own::Internal, "the reply is not a product"))
        }
    }
}

/// Asks for a change of a product, and shows it.
async fn change(
    api: &Arc<Api>,
    call: &Call,
    command: Command,
    canon: Canon,
) -> Result<Reply, Problem> {
    let asked = api.ask_soon::<Answer>(normal(envelope(call, UNIT, command, canon))).await?;
    let (product, skus) = shown_product(&asked.reply)?;
    kept::written(api, &[Group::Product(product.id.0), Group::Shelf]).await;
    Ok(Reply::ok(&ProductOut::of(product, skus)).replayed(asked.replayed))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProductOut<'a> {
    #[serde(serialize_with = "shown::one")]
    id: ProductId,
    merchant_id: &'a str,
    name: &'a str,
    description: &'a str,
    #[serde(serialize_with = "shown::option")]
    category_id: Option<CategoryId>,
    options: Vec<OptionOut<'a>>,
    state: &'static str,
    skus: Vec<SkuOut<'a>>,
    created_at: At,
}

#[derive(Serialize)]
struct OptionOut<'a> {
    name: &'a str,
    values: &'a [Box<str>],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SkuOut<'a> {
    #[serde(serialize_with = "shown::one")]
    id: SkuId,
    name: &'a str,
    code: Option<&'a str>,
    values: Vec<&'a str>,
    price: MoneyOut,
    price_version: i64,
    next_price_at: Option<At>,
}

impl<'a> ProductOut<'a> {
    fn of(product: &'a Product, skus: &'a [Sku]) -> Self {
        let sku = |sku: &'a Sku| {
            let at = product.skus.iter().position(|id| *id == sku.id).unwrap_or(usize::MAX);
            SkuOut {
                id: sku.id,
                name: &sku.name,
                code: sku.code.as_deref(),
                values: option::values(product, at),
                price: sku.price.into(),
                price_version: sku.price_version,
                next_price_at: sku.next_at().map(At),
            }
        };
        let options = product.options.iter();
        Self {
            id: product.id,
            merchant_id: &product.merchant,
            name: &product.name,
            description: &product.description,
            category_id: product.category,
            options: options.map(|o| OptionOut { name: &o.name, values: &o.values }).collect(),
            state: product.state.name(),
            skus: skus.iter().map(sku).collect(),
            created_at: At(product.at),
        }
    }
}
