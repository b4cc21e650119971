//! Products are made, extended, edited, put on sale and off.

use std::borrow::Cow;
use std::sync::Arc;

use jangbu_domain::catalog::command::{
    About, Change, Command, NewSku, Place, Reply as Answer, UNIT,
};
use jangbu_domain::catalog::model::Sku;
use jangbu_domain::inventory::command as inventory;
use jangbu_domain::inventory::model::LIMIT;
use jangbu_kernel::id::MovementId;
use jangbu_kernel::{Money, ProductId, SkuId};
use jangbu_services::cache::Group;
use serde::{Deserialize, Deserializer};

use super::{Nothing, ProductOut, category_id, change, kept, product_id, shown_product};
use crate::Api;
use crate::ask::{envelope, normal};
use crate::call::Call;
use crate::idempotency::{self, Canon};
use crate::money::MoneyIn;
use crate::problem::Problem;
use crate::reply::Reply;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CreateIn<'a> {
    #[serde(borrow)]
    merchant_id: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow, default)]
    description: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    category_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    options: Option<Vec<Cow<'a, str>>>,
    #[serde(default)]
    publish: bool,
    #[serde(borrow)]
    skus: Vec<SkuIn<'a>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SkuIn<'a> {
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    code: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    values: Option<Vec<Cow<'a, str>>>,
    #[serde(borrow)]
    price: MoneyIn<'a>,
    #[serde(default)]
    stock: Option<i64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExtendIn<'a> {
    #[serde(borrow)]
    skus: Vec<SkuIn<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct UpdateIn<'a> {
    #[serde(borrow, default)]
    name: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    description: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "there")]
    category_id: There<'a>,
}

/// A field that may be missing, null, or text.
#[derive(Default)]
enum There<'a> {
    #[default]
    Missing,
    Null,
    Text(Cow<'a, str>),
}

fn there<'de: 'a, 'a, D: Deserializer<'de>>(from: D) -> Result<There<'a>, D::Error> {
    let text = Option::<Cow<'a, str>>::deserialize(from)?;
    Ok(text.map_or(There::Null, There::Text))
}

/// A SKU to be made, and its first stock.
struct First {
    new: NewSku,
    stock: i64,
}

fn first(api: &Api, at: usize, sku: &SkuIn<'_>) -> Result<First, Problem> {
    let field = |name: &str| format!("skus[{at}].{name}");
    let stock = sku.stock.unwrap_or(0);
    // Checked here, so that no product is made whose first stock is then refused.
    if !(0..=LIMIT).contains(&stock) {
        return Err(Problem::field(&field("stock"), format!("must be 0 to {LIMIT}")));
    }
    let price = sku.price.read(&field("price"))?;
    let values: Vec<Box<str>> =
        sku.values.iter().flatten().map(|value| (&**value).into()).collect();
    let name = match &sku.name {
        Some(name) => name.to_string(),
        None if values.is_empty() => {
            return Err(Problem::field(&field("name"), "is required for a SKU without values"));
        }
        None => values.join(" / "),
    };
    let new = NewSku::new(SkuId(api.shop.mint()), &name, price);
    let code = sku.code.as_deref().map(Into::into);
    Ok(First { new: NewSku { code, values, ..new }, stock })
}

fn firsts(api: &Api, skus: &[SkuIn<'_>]) -> Result<Vec<First>, Problem> {
    skus.iter().enumerate().map(|(at, sku)| first(api, at, sku)).collect()
}

/// What was sent of new SKUs. What came later is only a part of it when it is there: requests of
/// before have the fingerprint of before.
fn skus_canon(canon: Canon, skus: &[First]) -> Canon {
    let canon = canon.int(i64::try_from(skus.len()).unwrap_or(i64::MAX));
    skus.iter().fold(canon, |canon, First { new, stock }| {
        let Money { amount, currency } = new.price;
        let canon = canon.text(&new.name).int(amount).text(currency.as_str()).int(*stock);
        let canon = match &new.code {
            Some(code) => canon.text("code").text(code),
            None => canon,
        };
        new.values.iter().fold(canon, |canon, value| canon.text("value").text(value))
    })
}

fn about(body: &CreateIn<'_>) -> Result<About, Problem> {
    let category = body.category_id.as_deref();
    Ok(About {
        description: body.description.as_deref().unwrap_or_default().into(),
        category: category.map(|text| category_id(text, "categoryId")).transpose()?,
        options: body.options.iter().flatten().map(|name| (&**name).into()).collect(),
    })
}

pub(super) async fn create(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let body: CreateIn<'_> = call.json()?;
    let (skus, about) = (firsts(api, &body.skus)?, about(&body)?);
    let canon = Canon::new(call.name).text(&body.merchant_id).text(&body.name);
    let mut canon = skus_canon(canon.int(i64::from(body.publish)), &skus);
    if about != About::default() {
        let category = about.category.map_or(0, |category| category.0);
        canon = canon.text(&about.description).int(category);
        canon = about.options.iter().fold(canon, |canon, name| canon.text(name));
    }
    let command = Command::Create {
        product: ProductId(api.shop.mint()),
        merchant: (&*body.merchant_id).into(),
        name: (&*body.name).into(),
        about,
        skus: skus.iter().map(|first| first.new.clone()).collect(),
        publish: body.publish,
    };
    let asked = api.ask_soon::<Answer>(normal(envelope(call, UNIT, command, canon))).await?;
    let (product, made) = shown_product(&asked.reply)?;
    receive_first(api, call, made, &skus).await?;
    Ok(Reply::json(201, &ProductOut::of(product, made)).replayed(asked.replayed))
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

pub(super) async fn extend(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let body: ExtendIn<'_> = call.json()?;
    let product = product_id(call)?;
    let skus = firsts(api, &body.skus)?;
    let found = api.read(move |queries| queries.product(product)).await?;
    let (old, _) = found.ok_or_else(|| unknown(product))?;
    let canon = skus_canon(Canon::new(call.name).int(product.0), &skus);
    let new = skus.iter().map(|first| first.new.clone()).collect();
    let command = Command::Extend { product, merchant: old.merchant, skus: new };
    let asked = api.ask_soon::<Answer>(normal(envelope(call, UNIT, command, canon))).await?;
    let (product, all) = shown_product(&asked.reply)?;
    // By their values or names: a repetition was minted other ids.
    let made: Vec<Sku> = skus
        .iter()
        .filter_map(|first| {
            let same = |sku: &&Sku| sku.name == first.new.name && sku.code == first.new.code;
            all.iter().rev().find(same).cloned()
        })
        .collect();
    receive_first(api, call, &made, &skus).await?;
    kept::written(api, &[Group::Product(product.id.0), Group::Shelf]).await;
    Ok(Reply::json(201, &ProductOut::of(product, all)).replayed(asked.replayed))
}

pub(super) fn unknown(id: ProductId) -> Problem {
    Problem::coded("PRODUCT_UNKNOWN", format!("there is no product {id}"))
}

pub(super) async fn publish(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let Nothing {} = call.json()?;
    let product = product_id(call)?;
    change(api, call, Command::Publish { product }, Canon::new(call.name).int(product.0)).await
}

pub(super) async fn unpublish(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let Nothing {} = call.json()?;
    let product = product_id(call)?;
    change(api, call, Command::Unpublish { product }, Canon::new(call.name).int(product.0)).await
}

pub(super) async fn update(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let body: UpdateIn<'_> = call.json()?;
    let product = product_id(call)?;
    let (category, place) = match &body.category_id {
        There::Missing => (Place::Stays, "stays".to_owned()),
        There::Null => (Place::Nowhere, "nowhere".to_owned()),
        There::Text(text) => {
            let id = category_id(text, "categoryId")?;
            (Place::In(id), id.to_string())
        }
    };
    let canon = Canon::new(call.name)
        .int(product.0)
        .option(body.name.as_deref())
        .option(body.description.as_deref())
        .text(&place);
    let name = body.name.as_deref().map(Into::into);
    let description = body.description.as_deref().map(Into::into);
    let change_of = Change { name, description, category };
    change(api, call, Command::Update { product, change: change_of }, canon).await
}
