//! Catalog: products, their SKUs, and the copy of both that `order` sells from.

pub(crate) mod shape;

use std::collections::{HashMap, HashSet};

use crate::{
    Error,
    book::{Book, rules},
    ids,
    report::InFlight,
    rows::{Source, scan},
};

rules! {
    SKUS = "catalog.skus", Mismatched, "A product lists exactly the SKUs that name it as their product.";
    PRODUCT = "catalog.product", Lost, "The product of every SKU exists.";
    CURRENCY = "catalog.currency", Mismatched, "A price has a currency of three capital letters, a version from 1 and is not negative.";
    OFFER = "catalog.offer", Mismatched, "An offer repeats merchant, currency, price and publication of its SKU at its price version.";
}

/// Everything that can be bought.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    products: HashMap<i64, Product>,
    skus: HashMap<i64, Sku>,
    categories: HashSet<i64>,
    /// What SKUs cost before, of those that had more than one price.
    earlier: HashMap<i64, Vec<i64>>,
    /// SKUs that are older than histories.
    older: HashSet<i64>,
}

#[derive(Debug)]
struct Product {
    merchant: String,
    published: bool,
    skus: Vec<i64>,
    category: Option<i64>,
}

/// A SKU with its current price.
#[derive(Debug)]
pub(crate) struct Sku {
    pub(crate) product: i64,
    pub(crate) currency: String,
    pub(crate) price: i64,
    pub(crate) price_version: i64,
}

impl Catalog {
    /// Reads the catalog and checks it in itself.
    pub(crate) fn load(
        from: Source<'_>,
        book: &mut Book,
        in_flight: &mut InFlight,
    ) -> Result<Self, Error> {
        from.watch.phase("catalog");
        let mut catalog = Self::default();
        let sql = "SELECT id, merchant, state, skus, category, options, choices FROM product";
        scan(from, book, sql, |cells, book| {
            let id = cells.int()?;
            let merchant = cells.text()?.to_owned();
            let published = cells.int_in(1..=2)? == 2;
            let (skus, category) = (cells.json::<Vec<i64>>()?, cells.int_or_null()?);
            let (options, choices) = (cells.json::<Vec<_>>()?, cells.json::<Vec<_>>()?);
            shape::options(id, skus.len(), (&options, &choices), book);
            catalog.products.insert(id, Product { merchant, published, skus, category });
            Ok(())
        })?;
        let sql = "SELECT id, product, currency, price, price_version FROM sku";
        scan(from, book, sql, |cells, _| {
            let (id, product) = (cells.int()?, cells.int()?);
            let currency = cells.text()?.to_owned();
            let (price, price_version) = (cells.int()?, cells.int()?);
            catalog.skus.insert(id, Sku { product, currency, price, price_version });
            Ok(())
        })?;
        catalog.check(book);
        catalog.categories = shape::tree(from, book)?;
        for (id, product) in &catalog.products {
            if product.category.is_some_and(|category| !catalog.categories.contains(&category)) {
                let detail = "its category is absent".to_owned();
                book.find(shape::CATEGORY, ids::show("prd", *id), detail);
            }
        }
        shape::history(from, &mut catalog, book)?;
        shape::codes(from, &catalog, book)?;
        catalog.check_offers(from, book, in_flight)?;
        Ok(catalog)
    }

    /// A SKU by its id.
    pub(crate) fn sku(&self, id: i64) -> Option<&Sku> {
        self.skus.get(&id)
    }

    /// The merchant of a SKU.
    pub(crate) fn merchant(&self, sku: &Sku) -> Option<&str> {
        self.products.get(&sku.product).map(|product| product.merchant.as_str())
    }

    /// Whether this is a product, a SKU or a category.
    pub(crate) fn knows(&self, id: i64) -> bool {
        self.products.contains_key(&id) || self.skus.contains_key(&id) || self.has_category(id)
    }

    /// Whether a SKU costs so much or ever has, as far as its history goes back.
    pub(crate) fn has_cost(&self, sku: i64, amount: i64) -> bool {
        let now = self.skus.get(&sku).is_some_and(|sku| sku.price == amount);
        let earlier = || self.earlier.get(&sku).is_some_and(|all| all.contains(&amount));
        now || self.older.contains(&sku) || earlier()
    }

    /// Whether this is a category.
    pub(crate) fn has_category(&self, id: i64) -> bool {
        self.categories.contains(&id)
    }

    /// Whether this is a product.
    pub(crate) fn has_product(&self, id: i64) -> bool {
        self.products.contains_key(&id)
    }

    fn check(&self, book: &mut Book) {
        let mut listed = HashSet::new();
        let lists = self.products.iter().flat_map(|(id, p)| p.skus.iter().map(move |s| (*id, *s)));
        for (id, sku) in lists {
            let theirs = self.skus.get(&sku).map(|sku| sku.product);
            if theirs != Some(id) || !listed.insert(sku) {
                let detail = format!("lists {}, whose product is {theirs:?}", ids::sku(sku));
                book.find(SKUS, ids::show("prd", id), detail);
            }
        }
        for (&id, sku) in &self.skus {
            if !self.products.contains_key(&sku.product) {
                let detail = format!("its product {} is absent", ids::show("prd", sku.product));
                book.find(PRODUCT, ids::sku(id), detail);
            } else if !listed.contains(&id) {
                let detail = format!("{} does not list it", ids::show("prd", sku.product));
                book.find(SKUS, ids::sku(id), detail);
            }
            let letters = sku.currency.len() == 3
                && sku.currency.bytes().all(|byte| byte.is_ascii_uppercase());
            if !letters || sku.price_version < 1 || sku.price < 0 {
                let detail =
                    format!("{} {}, version {}", sku.price, sku.currency, sku.price_version);
                book.find(CURRENCY, ids::sku(id), detail);
            }
        }
    }

    /// An offer may lag behind its SKU, which is in flight; it may not differ at the same version.
    fn check_offers(
        &self,
        from: Source<'_>,
        book: &mut Book,
        in_flight: &mut InFlight,
    ) -> Result<(), Error> {
        let mut seen = 0_u64;
        let sql = "SELECT sku, merchant, currency, price, on_sale, price_version FROM offer";
        scan(from, book, sql, |cells, book| {
            let id = cells.int()?;
            let (merchant, currency) = (cells.text()?, cells.text()?);
            let (price, on_sale, version) = (cells.int()?, cells.int_in(0..=1)? == 1, cells.int()?);
            let Some(sku) = self.skus.get(&id) else {
                book.find(OFFER, ids::sku(id), "offered, but in no catalog".to_owned());
                return Ok(());
            };
            seen += 1;
            let published = self.products.get(&sku.product).is_some_and(|p| p.published);
            let late = version < sku.price_version || (published && !on_sale);
            let same_price = version < sku.price_version
                || (version == sku.price_version && price == sku.price && currency == sku.currency);
            let same = same_price
                && self.merchant(sku).is_none_or(|theirs| theirs == merchant)
                && (published || !on_sale);
            if !same {
                let ours =
                    format!("{price} {currency} v{version} of {merchant}, on sale {on_sale}");
                let theirs = format!("{} {} v{}", sku.price, sku.currency, sku.price_version);
                book.find(OFFER, ids::sku(id), format!("offers {ours}; the catalog has {theirs}"));
            } else if late {
                in_flight.offers_behind += 1;
            }
            Ok(())
        })?;
        let skus = u64::try_from(self.skus.len()).unwrap_or(u64::MAX);
        in_flight.offers_behind += skus.saturating_sub(seen);
        Ok(())
    }
}
