//! Lists of products. Without a filter and an order it is the list of before: all products, the
//! oldest first, from the truth. With one it is a list of the shelf, a moment behind the truth.

use std::fmt::Write as _;
use std::sync::Arc;

use jangbu_engine::port::Datum;
use jangbu_kernel::{CategoryId, ProductId};
use jangbu_services::queries::shelf::{Listed, Mark, Sort, Wish};
use serde::Serialize;

use super::{ProductOut, kept, make, product_id};
use crate::Api;
use crate::auth::Role;
use crate::call::{Call, Params};
use crate::problem::Problem;
use crate::reply::Reply;

/// The parameters that make it a list of the shelf.
pub(super) const FILTERS: [&str; 8] =
    ["sort", "published", "merchantId", "categoryId", "minPrice", "maxPrice", "currency", "prefix"];

pub(super) async fn get(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let id = product_id(call)?;
    let found = kept::product(api, call.needs(), id).await?;
    // A customer sees what is on sale.
    let found = found.filter(|(on_sale, _)| *on_sale || call.caller.role != Role::Customer);
    let (_, body) = found.ok_or_else(|| make::unknown(id))?;
    Ok(Reply::written(body))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Page<'a> {
    items: Vec<ProductOut<'a>>,
    next_cursor: Option<String>,
}

impl<'a> Page<'a> {
    /// A page of the shelf.
    pub(super) fn of(sort: Sort, listed: &'a Listed) -> Self {
        let Listed { items, next } = listed;
        Self {
            items: items.iter().map(|(product, skus)| ProductOut::of(product, skus)).collect(),
            next_cursor: next.as_ref().map(|mark| written(sort, mark)),
        }
    }
}

pub(super) async fn list(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let query = call.query()?;
    let filtered = FILTERS.iter().any(|name| query.get(name).is_some());
    if filtered || call.caller.role == Role::Customer {
        return Ok(Reply::written(kept::list(api, call.needs(), wish(call, &query)?).await?));
    }
    let (limit, after) = (query.limit()?, query.cursor(ProductId::parse)?);
    let found = api.view(call, move |queries| queries.products(after, limit + 1)).await?;
    let page = found.len().min(limit as usize);
    let last = found[..page].last().filter(|_| found.len() > page);
    Ok(Reply::ok(&Page {
        items: found[..page].iter().map(|(p, skus)| ProductOut::of(p, skus)).collect(),
        next_cursor: last.map(|(product, _)| product.id.to_string()),
    }))
}

fn wish(call: &Call, query: &Params) -> Result<Wish, Problem> {
    let one_of = |name: &str, words: &[&str]| {
        query.bad(name, format!("must be one of {}", words.join(", ")))
    };
    let sort = match query.get("sort").unwrap_or("newest") {
        "newest" => Sort::Newest,
        "price" => Sort::PriceUp,
        "-price" => Sort::PriceDown,
        "name" => Sort::Name,
        _ => return Err(one_of("sort", &["newest", "price", "-price", "name"])),
    };
    let published = match query.get("published") {
        _ if call.caller.role == Role::Customer => Some(true),
        None => None,
        Some("true") => Some(true),
        Some("false") => Some(false),
        Some(_) => return Err(one_of("published", &["true", "false"])),
    };
    let price = |name: &str| {
        let read = |text: &str| text.parse().ok().filter(|amount: &i64| *amount >= 0);
        let bad = || query.bad(name, "must be an amount in minor units".to_owned());
        query.get(name).map(|text| read(text).ok_or_else(bad)).transpose()
    };
    let category = query.get("categoryId").map(|text| {
        let bad = || query.bad("categoryId", "must be the id of a category".to_owned());
        CategoryId::parse(text).ok_or_else(bad)
    });
    let currency = query.get("currency").map(|text| {
        let unknown = || query.bad("currency", "must be an ISO 4217 code that is known".to_owned());
        jangbu_kernel::Currency::parse(text).ok_or_else(unknown)
    });
    for name in ["merchantId", "prefix"] {
        if query.get(name).is_some_and(|text| !(1..=200).contains(&text.chars().count())) {
            return Err(query.bad(name, "must have 1 to 200 characters".to_owned()));
        }
    }
    Ok(Wish {
        published,
        merchant: query.get("merchantId").map(Into::into),
        category: category.transpose()?,
        prices: [price("minPrice")?, price("maxPrice")?],
        currency: currency.transpose()?,
        prefix: query.get("prefix").map(Into::into),
        sort,
        after: query.cursor(|text| read(sort, text))?,
        limit: query.limit()? as usize,
    })
}

/// A cursor: the product, behind the value by which the list is sorted.
fn written(sort: Sort, mark: &Mark) -> String {
    let mut text = String::new();
    match &mark.value {
        Datum::Int(price) if sort != Sort::Newest => {
            let _ = write!(text, "{price}.");
        }
        Datum::Int(_) => {}
        Datum::Text(name) => {
            for byte in name.bytes() {
                let _ = write!(text, "{byte:02x}");
            }
            text.push('.');
        }
    }
    text + &mark.product.to_string()
}

/// Reads what [`written`] wrote.
fn read(sort: Sort, text: &str) -> Option<Mark> {
    let (value, product) = match sort {
        Sort::Newest => (Datum::Int(0), text),
        Sort::PriceUp | Sort::PriceDown => {
            let (price, product) = text.split_once('.')?;
            (Datum::Int(price.parse().ok()?), product)
        }
        Sort::Name => {
            let (hex, product) = text.split_once('.')?;
            (Datum::Text(unhex(hex)?.into()), product)
        }
    };
    Some(Mark { value, product: ProductId::parse(product)? })
}

fn unhex(hex: &str) -> Option<String> {
    let digits: Vec<u32> = hex.chars().map(|c| c.to_digit(16)).collect::<Option<_>>()?;
    let byte = |pair: &[u32]| u8::try_from(pair.first()? * 16 + pair.get(1)?).ok();
    String::from_utf8(digits.chunks(2).map(byte).collect::<Option<_>>()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_its_text() {
        let product = ProductId(77);
        for (sort, value) in [
            (Sort::Newest, Datum::Int(0)),
            (Sort::PriceUp, Datum::Int(1_200)),
            (Sort::PriceDown, Datum::Int(0)),
            (Sort::Name, Datum::Text("면 양말 a.b".into())),
        ] {
            let mark = Mark { value, product };
            assert_eq!(read(sort, &written(sort, &mark)), Some(mark));
        }
        for (sort, text) in [
            (Sort::Newest, "1.prd_000000000002D"),
            (Sort::PriceUp, "prd_000000000002D"),
            (Sort::Name, "abc.prd_000000000002D"),
            (Sort::Name, "ff.prd_000000000002D"),
            (Sort::Name, "zz.prd_000000000002D"),
        ] {
            assert_eq!(read(sort, text), None, "{text}");
        }
    }
}
