//! Lists of products: filters, orders, pages.
//!
//! A list is a merge of *streams*. A stream is a walk along one index: those of a category (or of a
//! merchant, or all) that are on sale, or are not, in the wanted order. A subtree of categories is a
//! stream for each of them. What no index tells (a price while the order is by name, a category of
//! one merchant) is looked at row by row, [`LOOK`] rows a page at most: such a page may be short,
//! or empty, and its cursor goes on from there. So a page costs milliseconds whatever is asked
//! (example `shelf`).

use std::collections::{BTreeSet, VecDeque};

use jangbu_domain::catalog::category::Category;
use jangbu_domain::catalog::model::{Price, PriceKey, Product, Sku};
use jangbu_engine::port::{By, Datum, Fault, Fields, Index, Read, Span, Walk};
use jangbu_kernel::{CategoryId, Currency, ProductId, SkuId};

use super::{HIGHEST, LOWEST, View, range};
use crate::bound::Stored;
use crate::projections::shelf::{
    ALL, ALL_NAME, ALL_PRICE, CATEGORY_AGE, CATEGORY_CHILD, CATEGORY_NAME, CATEGORY_PRICE,
    MERCHANT, MERCHANT_NAME, MERCHANT_PRICE, SHELF, folded, merchant,
};

/// Rows that a page looks at, when no index tells which belong to it.
pub const LOOK: usize = 2_000;
/// Categories of a subtree that a list takes in at most.
pub const SUBTREE: usize = 2_000;

/// The order of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Sort {
    /// The youngest product first.
    #[default]
    Newest,
    /// The cheapest first; of one currency.
    PriceUp,
    /// The dearest first; of one currency.
    PriceDown,
    /// By name.
    Name,
}

/// Where a page ended: the value by which the list is sorted, and the product.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Price or folded name; [`Datum::Int`] 0 for an order by age.
    pub value: Datum,
    /// The product.
    pub product: ProductId,
}

/// What is wanted.
#[derive(Debug, Clone)]
pub struct Wish {
    /// On sale, not on sale, or both.
    pub published: Option<bool>,
    /// Of this merchant.
    pub merchant: Option<Box<str>>,
    /// In this category or below it.
    pub category: Option<CategoryId>,
    /// Not cheaper and not dearer than these.
    pub prices: [Option<i64>; 2],
    /// Whose price has this currency; always, if the list is sorted by price.
    pub currency: Option<Currency>,
    /// Whose name begins so.
    pub prefix: Option<Box<str>>,
    /// The order.
    pub sort: Sort,
    /// After this one.
    pub after: Option<Mark>,
    /// At most so many.
    pub limit: usize,
}

/// A page.
#[derive(Debug)]
pub struct Listed {
    /// Products with their SKUs.
    pub items: Vec<(Product, Vec<Sku>)>,
    /// Where the next page begins; none: this is the last.
    pub next: Option<Mark>,
}

/// A row of the shelf.
struct Row {
    at: (Datum, i64),
    merchant: i64,
    category: i64,
    currency: Box<str>,
    price: i64,
    name: Box<str>,
}

/// A part of the list in its order.
struct Stream {
    same: Vec<Datum>,
    read: VecDeque<Row>,
    after: Option<(Datum, i64)>,
    ended: bool,
}

/// The list at work.
struct List<'q> {
    queries: &'q View,
    wish: &'q Wish,
    index: &'static Index,
    /// Whether the last column of the index is what the list is sorted by.
    sorted: bool,
    /// The values of that column that are wanted.
    bounds: (Datum, Datum),
    descending: bool,
    /// The categories of a merchant's list; the others have a stream for each.
    within: Option<BTreeSet<i64>>,
    merchant: Option<i64>,
    prefix: Option<String>,
    chunk: u32,
}

impl View {
    /// A page of products.
    pub fn shelf(&self, wish: &Wish) -> Result<Listed, Fault> {
        let mut list = List::new(self, wish)?;
        let mut streams = list.streams()?;
        let exact = list.is_exact();
        let (mut found, mut looked, mut last) = (Vec::new(), 0, None);
        let next = loop {
            let Some(row) = list.first(&mut streams)? else { break None };
            if found.len() == wish.limit || (!exact && looked == LOOK) {
                break last;
            }
            looked += 1;
            last = Some(Mark { value: row.at.0.clone(), product: ProductId(row.at.1) });
            if exact || list.is_wanted(&row) {
                found.push(row.at.1);
            }
        };
        Ok(Listed { items: self.these(&found)?, next })
    }

    /// Products in this order, with their SKUs.
    fn these(&self, ids: &[i64]) -> Result<Vec<(Product, Vec<Sku>)>, Fault> {
        let keys = ids.iter().map(|id| [*id, 0, 0]).collect();
        let read = Read { table: Product::TABLE, by: By::Keys(keys) };
        let products = self.many::<Product>(read)?.into_iter().map(|(_, product)| product);
        self.with_skus(products.collect())
    }

    /// A category and all below it.
    pub(crate) fn subtree(&self, root: CategoryId) -> Result<BTreeSet<i64>, Fault> {
        let (mut found, mut open) = (BTreeSet::from([root.0]), vec![root.0]);
        while let Some(parent) = open.pop() {
            let read =
                range(&CATEGORY_CHILD, [parent, i64::MIN, 0], [parent, i64::MAX, 0], u32::MAX);
            let mut children = Vec::new();
            self.derived.read(&[read], &mut |_, row| children.push(row.int(1)))?;
            children.retain(|child| found.len() < SUBTREE && found.insert(*child));
            open.append(&mut children);
        }
        Ok(found)
    }

    /// A category.
    pub fn category(&self, id: CategoryId) -> Result<Option<Category>, Fault> {
        self.one(id)
    }

    /// Categories after `after`, by id.
    pub fn categories(
        &self,
        after: Option<CategoryId>,
        limit: u32,
    ) -> Result<Vec<(CategoryId, Category)>, Fault> {
        let from = after.map_or(LOWEST, |id| [id.0 + 1, 0, 0]);
        self.many(range(Category::TABLE, from, HIGHEST, limit))
    }

    /// A SKU.
    pub fn sku(&self, id: SkuId) -> Result<Option<Sku>, Fault> {
        self.one(id)
    }

    /// What a SKU has cost: versions below `before`, the latest first.
    pub fn prices(
        &self,
        sku: SkuId,
        before: i64,
        limit: u32,
    ) -> Result<Vec<(PriceKey, Price)>, Fault> {
        let (from, to) = ([sku.0, i64::MIN, 0], [sku.0, before - 1, 0]);
        self.many(super::reverse(Price::TABLE, from, to, limit))
    }
}

impl<'q> List<'q> {
    fn new(queries: &'q View, wish: &'q Wish) -> Result<Self, Fault> {
        let subtree = wish.category.map(|root| queries.subtree(root)).transpose()?;
        let group = (wish.merchant.is_some(), wish.category.is_some());
        let index = match (group, wish.sort) {
            ((true, _), Sort::Newest) => &MERCHANT,
            ((true, _), Sort::PriceUp | Sort::PriceDown) => &MERCHANT_PRICE,
            ((true, _), Sort::Name) => &MERCHANT_NAME,
            ((false, true), Sort::Newest) => &CATEGORY_AGE,
            ((false, true), Sort::PriceUp | Sort::PriceDown) => &CATEGORY_PRICE,
            ((false, true), Sort::Name) => &CATEGORY_NAME,
            ((false, false), Sort::Newest) => &ALL,
            ((false, false), Sort::PriceUp | Sort::PriceDown) => &ALL_PRICE,
            ((false, false), Sort::Name) => &ALL_NAME,
        };
        let prefix = wish.prefix.as_deref().map(folded);
        let [least, most] = wish.prices;
        let bounds = match (wish.sort, &prefix) {
            (Sort::Newest, _) => (Datum::Int(0), Datum::Int(0)),
            (Sort::PriceUp | Sort::PriceDown, _) => {
                (Datum::Int(least.unwrap_or(0)), Datum::Int(most.unwrap_or(i64::MAX)))
            }
            (Sort::Name, prefix) => {
                let from = prefix.clone().unwrap_or_default();
                let to = format!("{from}\u{10FFFF}\u{10FFFF}");
                (Datum::Text(from.into()), Datum::Text(to.into()))
            }
        };
        Ok(Self {
            queries,
            wish,
            index,
            sorted: wish.sort != Sort::Newest,
            bounds,
            descending: matches!(wish.sort, Sort::Newest | Sort::PriceDown),
            within: subtree,
            merchant: wish.merchant.as_deref().map(merchant),
            prefix,
            chunk: 1,
        })
    }

    /// Whether the indexes alone tell what belongs to the list.
    fn is_exact(&self) -> bool {
        let Wish { prices, currency, sort, .. } = self.wish;
        let by_price = matches!(sort, Sort::PriceUp | Sort::PriceDown);
        let priced = by_price || (prices == &[None, None] && currency.is_none());
        let named = *sort == Sort::Name || self.prefix.is_none();
        priced && named && !(self.merchant.is_some() && self.within.is_some())
    }

    /// Whether a row belongs to the list.
    fn is_wanted(&self, row: &Row) -> bool {
        let Wish { prices: [least, most], currency, .. } = self.wish;
        self.merchant.is_none_or(|merchant| row.merchant == merchant)
            && self.within.as_ref().is_none_or(|within| within.contains(&row.category))
            && least.is_none_or(|least| row.price >= least)
            && most.is_none_or(|most| row.price <= most)
            && currency.is_none_or(|currency| *row.currency == *currency.as_str())
            && self.prefix.as_ref().is_none_or(|prefix| row.name.starts_with(prefix.as_str()))
    }

    /// The streams, each with its first rows.
    fn streams(&mut self) -> Result<Vec<Stream>, Fault> {
        let groups: Vec<Vec<Datum>> = match (self.merchant, &self.within) {
            (Some(merchant), _) => vec![vec![Datum::Int(merchant)]],
            (None, Some(within)) => within.iter().map(|id| vec![Datum::Int(*id)]).collect(),
            (None, None) => vec![Vec::new()],
        };
        let by_price = matches!(self.wish.sort, Sort::PriceUp | Sort::PriceDown);
        let currency = self.wish.currency.unwrap_or(Currency::KRW);
        let currency = by_price.then(|| Datum::Text(currency.as_str().into()));
        let published = match self.wish.published {
            Some(published) => vec![published],
            None => vec![false, true],
        };
        let after = self.wish.after.as_ref().map(|mark| (mark.value.clone(), mark.product.0));
        let stream = |(group, published): (&Vec<Datum>, bool)| Stream {
            same: group
                .iter()
                .cloned()
                .chain([Datum::Int(i64::from(published))])
                .chain(currency.clone())
                .collect(),
            read: VecDeque::new(),
            after: after.clone(),
            ended: false,
        };
        let mut streams: Vec<_> = published
            .iter()
            .flat_map(|published| groups.iter().map(|group| (group, *published)))
            .map(stream)
            .collect();
        // Many streams: few rows of each; what is wanted more is read when it is needed.
        let share = 2 * (self.wish.limit + 1) / streams.len().max(1);
        let share = if streams.len() == 1 { self.wish.limit + 1 } else { share.max(2) };
        self.chunk = u32::try_from(share).unwrap_or(u32::MAX);
        for stream in &mut streams {
            self.fill(stream)?;
        }
        Ok(streams)
    }

    /// Reads the next rows of a stream: those with the value of the last one, then those beyond.
    fn fill(&self, stream: &mut Stream) -> Result<(), Fault> {
        let mut spans = Vec::new();
        match (&stream.after, self.sorted) {
            (None, false) => spans.push((stream.same.clone(), Span::Keys(i64::MIN, i64::MAX))),
            (Some((_, key)), false) => spans.push((stream.same.clone(), self.keys_after(*key))),
            (None, true) => {
                let (from, to) = self.bounds.clone();
                spans.push((stream.same.clone(), Span::Values(from, to)));
            }
            (Some((value, key)), true) => {
                let mut same = stream.same.clone();
                same.push(value.clone());
                spans.push((same, self.keys_after(*key)));
                spans.extend(self.beyond(value).map(|span| (stream.same.clone(), span)));
            }
        }
        for (same, span) in spans {
            let left = self.chunk.saturating_sub(u32::try_from(stream.read.len()).unwrap_or(0));
            if left == 0 {
                break;
            }
            let walk =
                Walk { index: self.index, same, span, descending: self.descending, limit: left };
            let read = &mut stream.read;
            self.queries.derived.walk(&[walk], &mut |_, row| read.push_back(self.row(row)))?;
        }
        stream.ended = stream.read.len() < self.chunk as usize;
        if let Some(last) = stream.read.back() {
            stream.after = Some(last.at.clone());
        }
        Ok(())
    }

    fn keys_after(&self, key: i64) -> Span {
        if self.descending { Span::Keys(i64::MIN, key - 1) } else { Span::Keys(key + 1, i64::MAX) }
    }

    /// What lies beyond a value, within the bounds.
    fn beyond(&self, value: &Datum) -> Option<Span> {
        let (from, to) = self.bounds.clone();
        match value {
            Datum::Int(n) if self.descending => {
                Some(Span::Values(from, Datum::Int(n.checked_sub(1)?)))
            }
            Datum::Int(n) => Some(Span::Values(Datum::Int(n.checked_add(1)?), to)),
            // The next text in the order of bytes.
            Datum::Text(text) => Some(Span::Values(Datum::Text(format!("{text}\u{1}").into()), to)),
        }
    }

    fn row(&self, row: &dyn Fields) -> Row {
        let value = match self.wish.sort {
            Sort::Newest => Datum::Int(0),
            Sort::PriceUp | Sort::PriceDown => Datum::Int(row.int(5)),
            Sort::Name => Datum::Text(row.text(6).into()),
        };
        debug_assert_eq!(self.index.table.name, SHELF.name);
        Row {
            at: (value, row.int(0)),
            merchant: row.int(2),
            category: row.int(3),
            currency: row.text(4).into(),
            price: row.int(5),
            name: row.text(6).into(),
        }
    }

    /// Takes the first row of all streams.
    fn first(&self, streams: &mut [Stream]) -> Result<Option<Row>, Fault> {
        for stream in streams.iter_mut().filter(|stream| stream.read.is_empty() && !stream.ended) {
            self.fill(stream)?;
        }
        let heads = streams.iter_mut().filter(|stream| !stream.read.is_empty());
        let next = if self.descending {
            heads.max_by(|a, b| a.read[0].at.cmp(&b.read[0].at))
        } else {
            heads.min_by(|a, b| a.read[0].at.cmp(&b.read[0].at))
        };
        Ok(next.and_then(|stream| stream.read.pop_front()))
    }
}
