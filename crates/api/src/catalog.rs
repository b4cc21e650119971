//! Products, their SKUs and prices.

use std::borrow::Cow;
use std::sync::Arc;

use jangbu_domain::catalog::command::{About, Command, NewSku, Reply as Answer, UNIT};
use jangbu_domain::catalog::model::{Product, Sku};
use jangbu_domain::inventory::command as inventory;
use jangbu_domain::inventory::model::LIMIT;
use jangbu_kernel::id::MovementId;
use jangbu_kernel::{Money, ProductId, SkuId};
use serde::{Deserialize, Serialize};

use crate::Api;
use crate::ask::{envelope, normal};
use crate::auth::Role;
use crate::call::Call;
use crate::codes::Own;
use crate::idempotency::{self, Canon};
use crate::money::{MoneyIn, MoneyOut};
use crate::order::sku_id;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::route::{Doc, Route};
use crate::text::{At, id, shown};

const CREATE: &str = r#"{"merchantId":"m-1","name":"Tee","publish":true,"skus":[{"name":"M","price":{"amount":12000,"currency":"KRW"},"stock":100}]}"#;
const PRICE: &str = r#"{"price":{"amount":13000,"currency":"KRW"}}"#;

pub(crate) const ROUTES: &[Route] = &[
    Route {
        method: "POST",
        path: "/api/v1/products",
        name: "product.create",
        role: Role::Operator,
        keyed: true,
        run: |api, call| Box::pin(async move { create(&api, &call).await }),
        doc: Doc {
            summary: "Make a product with its SKUs, and receive their first stock",
            query: &[],
            body: Some(("CreateProduct", CREATE)),
            answers: &[(201, "Product", "The product")],
            codes: &["NAME_INVALID", "PRICE_INVALID", "SKU_COUNT_INVALID", "CURRENCY_MIXED"],
        },
    },
    Route {
        method: "GET",
        path: "/api/v1/products",
        name: "product.list",
        role: Role::Client,
        keyed: false,
        run: |api, call| Box::pin(async move { list(&api, &call).await }),
        doc: Doc {
            summary: "All products, oldest first",
            query: &["cursor", "limit"],
            body: None,
            answers: &[(200, "ProductPage", "A page")],
            codes: &[],
        },
    },
    Route {
        method: "GET",
        path: "/api/v1/products/{id}",
        name: "product.get",
        role: Role::Client,
        keyed: false,
        run: |api, call| Box::pin(async move { get(&api, &call).await }),
        doc: Doc {
            summary: "A product with its SKUs",
            query: &[],
            body: None,
            answers: &[(200, "Product", "The product")],
            codes: &["PRODUCT_UNKNOWN"],
        },
    },
    Route {
        method: "POST",
        path: "/api/v1/products/{id}/publish",
        name: "product.publish",
        role: Role::Operator,
        keyed: true,
        run: |api, call| Box::pin(async move { publish(&api, &call).await }),
        doc: Doc {
            summary: "Put a product on sale",
            query: &[],
            body: None,
            answers: &[(200, "Product", "The product")],
            codes: &["PRODUCT_UNKNOWN"],
        },
    },
    Route {
        method: "PUT",
        path: "/api/v1/skus/{id}/price",
        name: "sku.price",
        role: Role::Operator,
        keyed: true,
        run: |api, call| Box::pin(async move { set_price(&api, &call).await }),
        doc: Doc {
            summary: "Change what a SKU costs; orders placed before keep their price",
            query: &[],
            body: Some(("SetPrice", PRICE)),
            answers: &[(200, "Product", "The product, with this SKU alone")],
            codes: &["SKU_UNKNOWN", "PRICE_INVALID", "CURRENCY_MIXED"],
        },
    },
];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CreateIn<'a> {
    #[serde(borrow)]
    merchant_id: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(default)]
    publish: bool,
    #[serde(borrow)]
    skus: Vec<SkuIn<'a>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SkuIn<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    price: MoneyIn<'a>,
    #[serde(default)]
    stock: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PriceIn<'a> {
    #[serde(borrow)]
    price: MoneyIn<'a>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// A SKU to be made, and its first stock.
struct First {
    name: Box<str>,
    price: Money,
    stock: i64,
}

fn first(at: usize, sku: &SkuIn<'_>) -> Result<First, Problem> {
    let stock = sku.stock.unwrap_or(0);
    // Checked here, so that no product is made whose first stock is then refused.
    if !(0..=LIMIT).contains(&stock) {
        let message = format!("must be 0 to {LIMIT}");
        return Err(Problem::field(&format!("skus[{at}].stock"), message));
    }
    let price = sku.price.read(&format!("skus[{at}].price"))?;
    Ok(First { name: (&*sku.name).into(), price, stock })
}

fn create_canon(operation: &str, body: &CreateIn<'_>, skus: &[First]) -> Canon {
    let count = i64::try_from(skus.len()).unwrap_or(i64::MAX);
    let canon = Canon::new(operation)
        .text(&body.merchant_id)
        .text(&body.name)
        .int(i64::from(body.publish))
        .int(count);
    skus.iter().fold(canon, |canon, sku| {
        canon.text(&sku.name).int(sku.price.amount).text(sku.price.currency.as_str()).int(sku.stock)
    })
}

async fn create(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let body: CreateIn<'_> = call.json()?;
    let skus = body.skus.iter().enumerate().map(|(at, sku)| first(at, sku));
    let skus = skus.collect::<Result<Vec<_>, _>>()?;
    let canon = create_canon(call.name, &body, &skus);
    let new = |sku: &First| NewSku::new(SkuId(api.shop.mint()), &sku.name, sku.price);
    let command = Command::Create {
        product: ProductId(api.shop.mint()),
        merchant: (&*body.merchant_id).into(),
        name: (&*body.name).into(),
        about: About::default(),
        skus: skus.iter().map(new).collect(),
        publish: body.publish,
    };
    let asked = api.ask_soon::<Answer>(normal(envelope(call, UNIT, command, canon))).await?;
    let (product, made) = shown_product(&asked.reply)?;
    receive_first(api, call, made, &skus).await?;
    let out = ProductOut::of(product, made);
    Ok(Reply::json(201, &out).replayed(asked.replayed))
}

/// The first stock. Each receipt has a key of its own, made from the request's: a repetition of
/// the request receives what was not received yet, and nothing twice.
async fn receive_first(
    api: &Arc<Api>,
    call: &Call,
    made: &[Sku],
    wanted: &[First],
) -> Result<(), Problem> {
    for (at, (sku, first)) in made.iter().zip(wanted).enumerate() {
        if first.stock == 0 {
            continue;
        }
        let command = inventory::Command::Receive {
            movement: MovementId(api.shop.mint()),
            sku: sku.id,
            quantity: first.stock,
            reason: "first stock".into(),
        };
        let canon = Canon::new("product.create.stock").int(sku.id.0).int(first.stock);
        let mut envelope = normal(envelope(call, inventory::UNIT, command, canon.clone()));
        let key = format!("{}#{at}", call.key());
        let key = idempotency::key(&call.caller, "product.create.stock", &key, canon);
        envelope.key = Some(Box::new(key));
        api.ask_soon::<inventory::Reply>(envelope).await?;
        api.gate.open(sku.id);
    }
    Ok(())
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

fn product_id(call: &Call) -> Result<ProductId, Problem> {
    id(ProductId::parse, ProductId::PREFIX, call.param(), || "id".into())
}

async fn publish(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let Nothing {} = call.json()?;
    let product = product_id(call)?;
    let canon = Canon::new(call.name).int(product.0);
    change(api, call, Command::Publish { product }, canon).await
}

async fn set_price(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let body: PriceIn<'_> = call.json()?;
    let sku = sku_id(call.param(), || "id".into())?;
    let price = body.price.read("price")?;
    let canon = Canon::new(call.name).int(sku.0).int(price.amount).text(price.currency.as_str());
    change(api, call, Command::SetPrice { sku, price }, canon).await
}

async fn change(
    api: &Arc<Api>,
    call: &Call,
    command: Command,
    canon: Canon,
) -> Result<Reply, Problem> {
    let asked = api.ask_soon::<Answer>(normal(envelope(call, UNIT, command, canon))).await?;
    let (product, skus) = shown_product(&asked.reply)?;
    let out = ProductOut::of(product, skus);
    Ok(Reply::ok(&out).replayed(asked.replayed))
}

async fn get(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let id = product_id(call)?;
    let found = api.read(move |queries| queries.product(id)).await?;
    let (product, skus) = found
        .ok_or_else(|| Problem::coded("PRODUCT_UNKNOWN", format!("there is no product {id}")))?;
    Ok(Reply::ok(&ProductOut::of(&product, &skus)))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Page<'a> {
    items: Vec<ProductOut<'a>>,
    next_cursor: Option<String>,
}

async fn list(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let query = call.query()?;
    let (limit, after) = (query.limit()?, query.cursor(ProductId::parse)?);
    let found = api.read(move |queries| queries.products(after, limit + 1)).await?;
    let page = found.len().min(limit as usize);
    let last = found[..page].last().filter(|_| found.len() > page);
    Ok(Reply::ok(&Page {
        items: found[..page].iter().map(|(p, skus)| ProductOut::of(p, skus)).collect(),
        next_cursor: last.map(|(product, _)| product.id.to_string()),
    }))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProductOut<'a> {
    #[serde(serialize_with = "shown::one")]
    id: ProductId,
    merchant_id: &'a str,
    name: &'a str,
    state: &'static str,
    skus: Vec<SkuOut<'a>>,
    created_at: At,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SkuOut<'a> {
    #[serde(serialize_with = "shown::one")]
    id: SkuId,
    name: &'a str,
    price: MoneyOut,
    price_version: i64,
}

impl<'a> ProductOut<'a> {
    fn of(product: &'a Product, skus: &'a [Sku]) -> Self {
        let sku = |sku: &'a Sku| SkuOut {
            id: sku.id,
            name: &sku.name,
            price: sku.price.into(),
            price_version: sku.price_version,
        };
        Self {
            id: product.id,
            merchant_id: &product.merchant,
            name: &product.name,
            state: product.state.name(),
            skus: skus.iter().map(sku).collect(),
            created_at: At(product.at),
        }
    }
}
