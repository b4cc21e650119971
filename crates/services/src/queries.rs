//! What can be read beside the owner: rows of the truth by key, lists from the projections. Each
//! query is one short snapshot on a reader of its own.

mod books;
mod coupons;
mod points;
pub mod shelf;

use std::collections::BTreeMap;
use std::sync::Arc;

use jangbu_domain::catalog::model::{Product, Sku};
use jangbu_domain::inventory::model::{Movement, Reservation, Stock};
use jangbu_domain::merchant::model::{Merchant, MerchantId};
use jangbu_domain::order::model::{Order, State};
use jangbu_domain::payment::model::Payment;
use jangbu_engine::port::{Backend, By, Fault, Fields, Key, Read, Reader, Table, Walk};
use jangbu_kernel::id::MovementId;
use jangbu_kernel::{OrderId, PaymentId, ProductId, SkuId, Time, UserId};
use parking_lot::{Condvar, Mutex};

use crate::bestseller::Remembered;
use crate::bound::{Keyed, Stored};
use crate::consumer::OFFSET;
use crate::ledger::ENTRY;
use crate::order::STUCK;
use crate::payment::UNKNOWN;
use crate::projections::{TIMELINE, USER_ORDER};

pub use books::{AccountEntry, Booked, Source};
pub use points::Movement as PointMovement;

/// Readers of one database, opened as they are needed and used again; no more than it has room for.
#[derive(Debug)]
pub struct Readers {
    backend: Arc<dyn Backend>,
    pool: Mutex<Pool>,
    freed: Condvar,
}

#[derive(Default)]
struct Pool {
    idle: Vec<Box<dyn Reader>>,
    /// Those that are idle, and those that are at work.
    open: usize,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pool({} of {} idle)", self.idle.len(), self.open)
    }
}

impl Readers {
    /// Readers of `backend`.
    pub fn new(backend: Arc<dyn Backend>) -> Self {
        Self { backend, pool: Mutex::default(), freed: Condvar::new() }
    }

    pub(crate) fn read(
        &self,
        reads: &[Read],
        each: &mut dyn FnMut(usize, &dyn Fields),
    ) -> Result<(), Fault> {
        self.with(|reader| reader.read(reads, each))
    }

    pub(crate) fn walk(
        &self,
        walks: &[Walk],
        each: &mut dyn FnMut(usize, &dyn Fields),
    ) -> Result<(), Fault> {
        self.with(|reader| reader.walk(walks, each))
    }

    fn with(&self, work: impl FnOnce(&mut dyn Reader) -> Result<(), Fault>) -> Result<(), Fault> {
        let mut place = self.place();
        let mut reader = match place.reader.take() {
            Some(reader) => reader,
            None => self.backend.reader()?,
        };
        let result = work(&mut *reader);
        place.reader = result.is_ok().then_some(reader);
        result
    }

    /// Waits for a place in the pool; it may have a reader already.
    fn place(&self) -> Place<'_> {
        let mut pool = self.pool.lock();
        while pool.idle.is_empty() && pool.open >= self.backend.most_readers() {
            self.freed.wait(&mut pool);
        }
        let reader = pool.idle.pop();
        pool.open += usize::from(reader.is_none());
        drop(pool);
        Place { readers: self, reader }
    }
}

/// A place in the pool, given back when it is dropped, also by a panic.
struct Place<'r> {
    readers: &'r Readers,
    reader: Option<Box<dyn Reader>>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut pool = self.readers.pool.lock();
        match self.reader.take() {
            Some(reader) => pool.idle.push(reader),
            None => pool.open -= 1,
        }
        drop(pool);
        self.readers.freed.notify_one();
    }
}

/// A line of an order's timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moment {
    /// When.
    pub at: Time,
    /// The topic.
    pub event: String,
    /// What about it.
    pub detail: String,
}

impl Moment {
    fn new(at: Time, event: &str, detail: String) -> Self {
        Self { at, event: event.to_owned(), detail }
    }
}

/// Reads the truth and its projections.
#[derive(Debug)]
pub struct Queries {
    pub(crate) truth: Readers,
    pub(crate) derived: Readers,
    /// Days and rankings that were read.
    pub(crate) sold: Remembered,
}

const LOWEST: Key = [i64::MIN; 3];
const HIGHEST: Key = [i64::MAX; 3];

pub(crate) fn range(table: &'static Table, from: Key, to: Key, limit: u32) -> Read {
    Read { table, by: By::Range { from, to, descending: false, limit } }
}

fn reverse(table: &'static Table, from: Key, to: Key, limit: u32) -> Read {
    Read { table, by: By::Range { from, to, descending: true, limit } }
}

impl Queries {
    /// Reads `truth` and `derived`.
    pub fn new(truth: Arc<dyn Backend>, derived: Arc<dyn Backend>) -> Self {
        let (truth, derived) = (Readers::new(truth), Readers::new(derived));
        Self { truth, derived, sold: Remembered::default() }
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

    /// An order.
    pub fn order(&self, id: OrderId) -> Result<Option<Order>, Fault> {
        self.one(id)
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
        let Some(order) = self.order(id)? else { return Ok(Vec::new()) };
        let mut found = vec![Moment::new(
            order.placed_at,
            "order.placed",
            format!("{} {}", order.total, order.currency),
        )];
        let payment = self.payment(PaymentId::from(id))?;
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
    fn with_skus(&self, products: Vec<Product>) -> Result<Vec<(Product, Vec<Sku>)>, Fault> {
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

    /// A movement of stock.
    pub fn movement(&self, id: MovementId) -> Result<Option<Movement>, Fault> {
        self.one(id)
    }

    /// The reservation of an order.
    pub fn reservation(&self, order: OrderId) -> Result<Option<Reservation>, Fault> {
        self.one(order)
    }

    /// A merchant.
    pub fn merchant(&self, code: &str) -> Result<Option<Merchant>, Fault> {
        self.one(MerchantId::of(code))
    }

    /// All merchants: there are few.
    pub fn merchants(&self) -> Result<Vec<Merchant>, Fault> {
        let all = self.many(range(Merchant::TABLE, LOWEST, HIGHEST, u32::MAX))?;
        Ok(all.into_iter().map(|(_, row): (MerchantId, Merchant)| row).collect())
    }

    /// A payment.
    pub fn payment(&self, id: PaymentId) -> Result<Option<Payment>, Fault> {
        self.one(id)
    }

    /// Payments above `after` whose outcome is unknown, by id: all of them are at risk.
    pub fn payments_unknown(
        &self,
        after: Option<PaymentId>,
        limit: u32,
    ) -> Result<Vec<(PaymentId, Payment)>, Fault> {
        self.listed(UNKNOWN, after.map_or(i64::MIN, |id| id.0), limit)
    }

    /// Orders above `after` whose saga waits for an operator, by id.
    pub fn orders_stuck(
        &self,
        after: Option<OrderId>,
        limit: u32,
    ) -> Result<Vec<(OrderId, Order)>, Fault> {
        self.listed(STUCK, after.map_or(i64::MIN, |id| id.0), limit)
    }

    /// Orders with a timer (every one that has not ended, unless it is stuck), the one that is due
    /// first at the head; `after` is the timer and id of the last one seen.
    pub fn orders_open(
        &self,
        after: Option<(Time, OrderId)>,
        limit: u32,
    ) -> Result<Vec<(OrderId, Order)>, Fault> {
        let after = after.map(|(at, id)| (at, id.0));
        let by = By::Due { before: Time(i64::MAX), after, limit };
        self.many(Read { table: Order::TABLE, by })
    }

    fn listed<R: Stored>(
        &self,
        list: &'static str,
        after: i64,
        limit: u32,
    ) -> Result<Vec<(R::Key, R)>, Fault> {
        self.many(Read { table: R::TABLE, by: By::Listed { list, after, limit } })
    }

    /// The latest event that the projections have taken in.
    pub fn projected(&self) -> Result<i64, Fault> {
        let mut seq = 0;
        let by = By::Keys(vec![[0; 3]]);
        self.derived.read(&[Read { table: &OFFSET, by }], &mut |_, row| seq = row.int(1))?;
        Ok(seq)
    }

    /// Number of the last event that rows read after this show.
    pub fn number(&self) -> Result<i64, Fault> {
        self.progress().map(|(event, _)| event)
    }

    /// Number of the last event and of the last commit of the truth.
    pub fn progress(&self) -> Result<(i64, i64), Fault> {
        let mut found = (0, 0);
        let by = By::Keys(vec![[0; 3]]);
        let read = [Read { table: &jangbu_engine::books::SHARD, by }];
        self.truth.read(&read, &mut |_, row| found = (row.int(2), row.int(1)))?;
        Ok(found)
    }
}
