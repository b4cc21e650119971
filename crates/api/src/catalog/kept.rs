//! Reads of the catalogue go through what is kept ([`Front`](jangbu_services::cache::Front)): whole
//! bodies, so that a hit costs neither a thread that may block nor a serialisation.
//!
//! | kept | number | ends with |
//! |---|---|---|
//! | a product with its prices | of the truth | a change of the product |
//! | a list without prefix, price bounds and cursor | of the projections | any change of the catalogue |
//! | a category, the first page of categories | of the truth | a change of any category |
//!
//! Other lists have names without end, which a stranger could have kept at our cost, and are read.
//! What is not there is not kept, either.

use std::sync::Arc;

use bytes::Bytes;
use jangbu_domain::catalog::model::{Product, Sku, State};
use jangbu_engine::port::Fault;
use jangbu_engine::position::Position;
use jangbu_kernel::{CategoryId, ProductId};
use jangbu_services::cache::{Group, Key, Loaded};
use jangbu_services::queries::shelf::{Sort, Wish};
use jangbu_services::queries::{Needs, View};

use super::ProductOut;
use super::categories::CategoryOut;
use super::list::Page;
use crate::Api;
use crate::problem::Problem;
use crate::reply::json_into;

/// Products that a start reads ahead, the newest ones.
const WARM: usize = 500;

/// Of another version nothing is taken: its bodies may be others.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// In front of a product's body: whether it is on sale.
const ON_SALE: u8 = b'1';
const DRAFT: u8 = b'0';

fn key(group: Group, name: &str) -> Key {
    Key { group, name: format!("{VERSION}/{name}").into() }
}

fn product_key(id: ProductId) -> Key {
    key(Group::Product(id.0), &format!("product/{}", id.0))
}

/// The name of a list; none: it is not kept.
fn list_key(wish: &Wish) -> Option<Key> {
    let Wish { prices, prefix, after, .. } = wish;
    let few = *prices == [None; 2] && prefix.is_none() && after.is_none();
    few.then(|| key(Group::Shelf, &format!("list/{wish:?}")))
}

/// What is kept under `key`, or what `load` reads; none: it is not there.
async fn kept(
    api: &Api,
    needs: Needs,
    key: &Key,
    load: impl Fn(&View) -> Result<Loaded, Fault> + Send + Sync + 'static,
) -> Result<Option<Bytes>, Problem> {
    let load = |event: i64| {
        let reached = Position { event, ..needs.reached };
        api.look(Needs { reached, ..needs }, load, |loaded| loaded.bytes.is_some())
    };
    let found = api.front.read(key, needs.projected, load).await?;
    Ok(found.map(Bytes::from_owner))
}

/// The body of a product, and whether it is on sale.
pub(super) async fn product(
    api: &Api,
    needs: Needs,
    id: ProductId,
) -> Result<Option<(bool, Bytes)>, Problem> {
    let load = move |view: &View| {
        let number = view.number()?;
        let found = view.product(id)?;
        Ok(Loaded { number, bytes: found.map(|(product, skus)| product_body(&product, &skus)) })
    };
    let found = kept(api, needs, &product_key(id), load).await?;
    Ok(found.map(|bytes| (bytes.first() == Some(&ON_SALE), bytes.slice(1..))))
}

fn product_body(product: &Product, skus: &[Sku]) -> Vec<u8> {
    let first = if product.state == State::Published { ON_SALE } else { DRAFT };
    json_into(vec![first], &ProductOut::of(product, skus))
}

/// The body of a list.
pub(super) async fn list(api: &Api, needs: Needs, wish: Wish) -> Result<Bytes, Problem> {
    let Some(key) = list_key(&wish) else {
        let read = move |view: &View| list_body(view, &wish);
        return Ok(api.look(needs, read, |_| true).await?.into());
    };
    let load = move |view: &View| {
        // The rows that it shows are of this event or later, whatever the projector does meanwhile.
        let number = view.projected()?;
        Ok(Loaded { number, bytes: Some(list_body(view, &wish)?) })
    };
    Ok(kept(api, needs, &key, load).await?.unwrap_or_default())
}

fn list_body(view: &View, wish: &Wish) -> Result<Vec<u8>, Fault> {
    let listed = view.shelf(wish)?;
    Ok(json_into(Vec::new(), &Page::of(wish.sort, &listed)))
}

/// The body of a category.
pub(super) async fn category(
    api: &Api,
    needs: Needs,
    id: CategoryId,
) -> Result<Option<Bytes>, Problem> {
    let load = move |view: &View| {
        let number = view.number()?;
        let found = view.category(id)?;
        let body = found.map(|category| json_into(Vec::new(), &CategoryOut::of(id, &category)));
        Ok(Loaded { number, bytes: body })
    };
    kept(api, needs, &key(Group::Categories, &format!("category/{}", id.0)), load).await
}

/// The body of the first page of categories, which `make` makes.
pub(super) async fn categories(
    api: &Api,
    needs: Needs,
    limit: u32,
    make: impl Fn(&View) -> Result<Vec<u8>, Fault> + Send + Sync + 'static,
) -> Result<Bytes, Problem> {
    let load = move |view: &View| {
        let number = view.number()?;
        Ok(Loaded { number, bytes: Some(make(view)?) })
    };
    let key = key(Group::Categories, &format!("categories/{limit}"));
    Ok(kept(api, needs, &key, load).await?.unwrap_or_default())
}

/// Who has changed these groups reads the change from now on.
pub(super) async fn written(api: &Arc<Api>, groups: &[Group]) {
    // If it cannot be read the tail tells, a moment later.
    if let Ok(number) = api.read(|queries| queries.number()).await {
        api.front.written(groups, number);
    }
}

/// The same of everything.
pub(super) async fn all_written(api: &Arc<Api>) {
    if let Ok(number) = api.read(|queries| queries.number()).await {
        api.front.all_written(number);
    }
}

/// Reads ahead what a shop's front page wants: the first list, and the newest products on sale. Says
/// how many products that were.
pub(crate) fn warm(api: &Api) -> Result<usize, Fault> {
    let mut wish = Wish {
        published: Some(true),
        merchant: None,
        category: None,
        prices: [None; 2],
        currency: None,
        prefix: None,
        sort: Sort::Newest,
        after: None,
        limit: crate::call::PAGE as usize,
    };
    let (queries, front) = (&api.queries, &api.front);
    let number = queries.projected()?;
    if let Some(key) = list_key(&wish) {
        front.warm(&key, number, list_body(queries, &wish)?);
    }
    let mut read = 0;
    wish.limit = crate::call::PAGE_MAX as usize;
    while read < WARM {
        let number = queries.number()?;
        let page = queries.shelf(&wish)?;
        for (product, skus) in &page.items {
            front.warm(&product_key(product.id), number, product_body(product, skus));
        }
        read += page.items.len();
        wish.after = page.next;
        if wish.after.is_none() {
            break;
        }
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_with_names_without_end_are_not_kept() {
        let wish = |change: fn(&mut Wish)| {
            let mut wish = Wish {
                published: None,
                merchant: Some("m-1".into()),
                category: None,
                prices: [None; 2],
                currency: None,
                prefix: None,
                sort: Sort::Newest,
                after: None,
                limit: 20,
            };
            change(&mut wish);
            list_key(&wish)
        };
        let plain = wish(|_| {}).unwrap();
        assert_eq!(plain.group, Group::Shelf);
        for other in [
            wish(|wish| wish.published = Some(true)),
            wish(|wish| wish.merchant = None),
            wish(|wish| wish.sort = Sort::Name),
            wish(|wish| wish.limit = 21),
            wish(|wish| wish.category = Some(CategoryId(1))),
        ] {
            assert_ne!(other, Some(plain.clone()));
            assert!(other.is_some());
        }
        assert_eq!(wish(|wish| wish.prefix = Some("t".into())), None);
        assert_eq!(wish(|wish| wish.prices = [None, Some(5)]), None);
    }
}
