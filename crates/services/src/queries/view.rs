//! What may be read a moment old: lists, timelines, the catalogue, reports.

use std::collections::BTreeMap;
use std::sync::Arc;

use jangbu_domain::catalog::model::{Product, Sku};
use jangbu_domain::inventory::model::Stock;
use jangbu_domain::order::model::{Order, State};
use jangbu_domain::payment::model::Payment;
use jangbu_engine::books::SHARD;
use jangbu_engine::port::{By, Fault, Fields, Read};
use jangbu_engine::position::Position;
use jangbu_kernel::{OrderId, PaymentId, ProductId, SkuId, Time, UserId};

use super::readers::{Derived, Readers};
use super::{HIGHEST, LOWEST, Moment, range, reverse};
use crate::bestseller::Remembered;
use crate::bound::{Keyed, Stored};
use crate::ledger::ENTRY;
use crate::projections::{TIMELINE, USER_ORDER};

/// The shop as one server shows it, perhaps a moment old: of the store itself, or of a replica.
///
/// What must not be old (requests and their keys, payments, orders that somebody waits for, sessions) is not
/// here but in [`Queries`](super::Queries), which sees the store itself: who is given a view cannot ask.
///
/// ```compile_fail
/// # use jangbu_kernel::OrderId;
/// fn decides(view: &jangbu_services::queries::View) {
///     let _ = view.order(OrderId(1));
/// }
/// ```
///
/// ```compile_fail
/// fn recalls(view: &jangbu_services::queries::View) {
///     let _ = view.requests(&[], "key-1");
/// }
/// ```
///
/// ```
/// # use jangbu_kernel::OrderId;
/// fn looks(view: &jangbu_services::queries::View) {
///     let _ = view.timeline(OrderId(1));
/// }
///
/// fn sees_everything(queries: &jangbu_services::queries::Queries) {
///     let _ = (queries.order(OrderId(1)), queries.requests(&[], "key-1"));
///     looks(queries);
/// }
/// ```
#[derive(Debug)]
pub struct View {
    pub(crate) truth: Arc<Readers>,
    pub(crate) derived: Derived,
    /// Days and rankings that were read.
    pub(crate) sold: Arc<Remembered>,
}

impl View {
    pub(super) fn new(truth: Readers, derived: Readers) -> Self {
        let derived = Derived::new(Arc::new(derived), 0);
        Self { truth: Arc::new(truth), derived, sold: Arc::default() }
    }

    /// The same view, whose lists have taken in event `least`.
    pub(super) fn after(&self, least: i64) -> Self {
        let (truth, sold) = (Arc::clone(&self.truth), Arc::clone(&self.sold));
        Self { truth, derived: self.derived.after(least), sold }
    }

    /// Reads rows of the truth.
    pub(crate) fn truth(
        &self,
        reads: &[Read],
        each: &mut dyn FnMut(&dyn Fields),
    ) -> Result<(), Fault> {
        self.truth.read(reads, &mut |_, row| each(row))
    }

    pub(crate) fn one<R: Stored>(&self, key: R::Key) -> Result<Option<R>, Fault> {
        let mut found = None;
        let by = By::Keys(vec![key.parts()]);
        self.truth
            .read(&[Read { table: R::TABLE, by }], &mut |_, row| found = Some(R::read(row)))?;
        Ok(found)
    }

    pub(crate) fn many<R: Stored>(&self, read: Read) -> Result<Vec<(R::Key, R)>, Fault> {
        let mut found = Vec::new();
        self.truth.read(&[read], &mut |_, row| {
            found.push((R::Key::from_parts(R::TABLE.key_of(row)), R::read(row)));
        })?;
        Ok(found)
    }

    /// Orders of a user before `before`, newest first.
    pub fn orders_of(
        &self,
        user: UserId,
        before: Option<OrderId>,
        limit: u32,
    ) -> Result<Vec<(OrderId, Order)>, Fault> {
        let to = before.map_or(i64::MAX, |order| order.0 - 1);
        let mut keys = Vec::new();
        let read = reverse(&USER_ORDER, [user.0, i64::MIN, 0], [user.0, to, 0], limit);
        self.derived.read(&[read], &mut |_, row| keys.push([row.int(1), 0, 0]))?;
        let mut found: Vec<(OrderId, Order)> =
            self.many(Read { table: Order::TABLE, by: By::Keys(keys) })?;
        found.sort_by_key(|(id, _)| std::cmp::Reverse(*id));
        Ok(found)
    }

    /// What happened to an order, oldest first: the usual turns from its rows, the others from the
    /// projection. Empty for an order that does not exist.
    pub fn timeline(&self, id: OrderId) -> Result<Vec<Moment>, Fault> {
        let Some(order) = self.one::<Order>(id)? else { return Ok(Vec::new()) };
        let mut found = vec![Moment::new(
            order.placed_at,
            "order.placed",
            format!("{} {}", order.total, order.currency),
        )];
        let payment = self.one::<Payment>(PaymentId::from(id))?;
        // A refund is sent as well: after one, this is not the time of the charge any more.
        let charged = payment.as_ref().filter(|payment| payment.refunds.is_empty());
        if let Some(at) = charged.and_then(|payment| payment.sent_at) {
            found.push(Moment::new(at, "payment.sent", String::new()));
        }
        let posted = range(&ENTRY, [id.0, 1, 0], [id.0, 1, 0], 1);
        self.truth.read(&[posted], &mut |_, row| {
            let captured = format!("{} {}", row.int(4), order.currency);
            found.push(Moment::new(Time(row.int(5)), "payment.captured", captured));
        })?;
        let rare = range(&TIMELINE, [id.0, i64::MIN, 0], [id.0, i64::MAX, 0], 1_000);
        self.derived.read(&[rare], &mut |_, row| {
            found.push(Moment::new(Time(row.int(2)), row.text(3), row.text(4).to_owned()));
        })?;
        if let (Some(at), Some(outcome)) = (order.settled_at, order.outcome) {
            let sold = order.state == State::Completed;
            let event = if sold { "order.completed" } else { "order.cancelled" };
            found.push(Moment::new(at, event, outcome.name().to_owned()));
        }
        found.sort_by_key(|moment| moment.at);
        Ok(found)
    }

    /// A product with its SKUs.
    pub fn product(&self, id: ProductId) -> Result<Option<(Product, Vec<Sku>)>, Fault> {
        let Some(product) = self.one::<Product>(id)? else { return Ok(None) };
        Ok(self.with_skus(vec![product])?.pop())
    }

    /// Products with their SKUs, which are read together.
    pub(super) fn with_skus(
        &self,
        products: Vec<Product>,
    ) -> Result<Vec<(Product, Vec<Sku>)>, Fault> {
        let ids = products.iter().flat_map(|product| &product.skus);
        let by = By::Keys(ids.map(|sku| sku.parts()).collect());
        let found = self.many::<Sku>(Read { table: Sku::TABLE, by })?;
        let mut found: BTreeMap<SkuId, Sku> = found.into_iter().collect();
        let with = |product: Product| {
            let skus = product.skus.iter().filter_map(|id| found.remove(id)).collect();
            (product, skus)
        };
        Ok(products.into_iter().map(with).collect())
    }

    /// Products after `after`, oldest first, with their SKUs.
    pub fn products(
        &self,
        after: Option<ProductId>,
        limit: u32,
    ) -> Result<Vec<(Product, Vec<Sku>)>, Fault> {
        let from = after.map_or(LOWEST, |id| [id.0 + 1, 0, 0]);
        let page: Vec<(ProductId, Product)> =
            self.many(range(Product::TABLE, from, HIGHEST, limit))?;
        self.with_skus(page.into_iter().map(|(_, product)| product).collect())
    }

    /// The stock of a SKU.
    pub fn stock(&self, sku: SkuId) -> Result<Option<Stock>, Fault> {
        self.one(sku)
    }

    /// The latest event that the projections have taken in.
    pub fn projected(&self) -> Result<i64, Fault> {
        self.derived.projected()
    }

    /// Number of the last event that rows read after this show.
    pub fn number(&self) -> Result<i64, Fault> {
        Ok(self.position()?.event)
    }

    /// How far the truth has come.
    pub fn position(&self) -> Result<Position, Fault> {
        let mut found = Position::default();
        let read = [Read { table: &SHARD, by: By::Keys(vec![[0; 3]]) }];
        self.truth.read(&read, &mut |_, row| {
            found = Position { commit: row.int(1), event: row.int(2) };
        })?;
        Ok(found)
    }
}
