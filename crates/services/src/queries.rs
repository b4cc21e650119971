//! What can be read beside the owner: rows of the truth by key, lists from the projections. Each
//! query is one short snapshot on a reader of its own.
//!
//! | type | reads | for |
//! |---|---|---|
//! | [`Queries`] | the store itself | whatever must not be old: requests, payments, orders that are waited for |
//! | [`View`] | the store, or a replica | what may be a moment old: lists, timelines, the catalogue, reports |
//! | [`Views`] | chooses | a replica that is near enough and has come far enough, else the store |
//!
//! A `Queries` is a `View` of the store and more; a view of a replica never is a `Queries`.

mod books;
mod coupons;
mod points;
mod readers;
pub mod shelf;
mod view;
mod views;

use std::ops::Deref;
use std::sync::Arc;

use jangbu_domain::inventory::model::{Movement, Reservation};
use jangbu_domain::merchant::model::{Merchant, MerchantId};
use jangbu_domain::order::model::Order;
use jangbu_domain::payment::model::Payment;
use jangbu_engine::port::{Backend, By, Fault, Key, Read, Table};
use jangbu_kernel::id::MovementId;
use jangbu_kernel::{OrderId, PaymentId, Time};

use crate::bound::Stored;
use crate::order::STUCK;
use crate::payment::UNKNOWN;

pub use books::{AccountEntry, Booked, Source};
pub use points::Movement as PointMovement;
pub use view::View;
pub use views::{Missed, Needs, Usage, Views};

use readers::Readers;

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

/// Reads the store itself: the truth and its projections as they are now. What may be a moment old is read by
/// its [`View`].
#[derive(Debug)]
pub struct Queries(View);

impl Deref for Queries {
    type Target = View;

    fn deref(&self) -> &View {
        &self.0
    }
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
        Self(View::new(Readers::new(truth), Readers::new(derived)))
    }

    /// An order.
    pub fn order(&self, id: OrderId) -> Result<Option<Order>, Fault> {
        self.one(id)
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
}
