//! The first projections, in `derived.db`: orders by user, timelines, account entries with their
//! running balance. Fed from the outbox in its order by a [`Consumer`]; its place moves in the same
//! transaction as the rows, so nothing is taken in twice or left out. Everything here can be dropped
//! and rebuilt: from the outbox, and from the rows of the truth as far as the outbox has been trimmed.
//!
//! ```text
//! outbox (truth) ──read after place──▶ rows + place ──one commit──▶ derived.db
//! ```
//!
//! | part | holds |
//! |---|---|
//! | `tables` | what is stored |
//! | `late` | an event whose key was parked, after later ones of its accounts |
//! | `refill` | what trimmed events said, from rows |
//! | `retain` | what is not kept for ever |
//! | `shelf` | products as lists show them |

mod late;
mod refill;
mod retain;
pub mod shelf;
mod tables;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jangbu_engine::clock::Clock;
use jangbu_engine::port::{Backend, By, Fault, Mode, Read, Reader, Store, WritePlan};

pub use refill::{Standing, refill, standing};
pub use retain::Keep;
pub use tables::{
    ACCOUNT_ENTRY, ACCOUNT_TAIL, COUPON_OF_USER, MIGRATIONS, POINT_HISTORY, TABLES, TIMELINE,
    USER_ORDER,
};

use crate::consumer::{Consumer, Delivered, Member, PROJECTIONS, Running, Terms, Work};
use crate::events::{Fact, PointMove};
use crate::ledger::Made;
use retain::Retention;

/// Takes events into rows that are read by. Lives on one thread.
pub struct Projections {
    balances: BTreeMap<i64, i64>,
    /// What is to be looked at again before the next commit.
    changed: Changed,
    /// Whose entries are to be read before it.
    postings: Vec<Made>,
    retention: Retention,
}

impl std::fmt::Debug for Projections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Projections")
            .field("accounts", &self.balances.len())
            .finish_non_exhaustive()
    }
}

/// Products and categories that events have named.
#[derive(Default)]
struct Changed {
    products: BTreeSet<i64>,
    categories: BTreeSet<i64>,
}

impl Projections {
    /// What they make is kept as long as `keep` says.
    pub fn new(keep: Keep) -> Self {
        Self {
            balances: BTreeMap::new(),
            changed: Changed::default(),
            postings: Vec::new(),
            retention: Retention::new(keep),
        }
    }

    /// The projections as a consumer of the embedded log.
    pub fn member(keep: Keep) -> Member {
        Member { consumer: Box::new(Self::new(keep)), source: None }
    }

    /// Follows the outbox of `truth` on a thread of its own, as the only consumer; `clock` tells how
    /// far behind it is. What it makes of it is kept for ever.
    pub fn follow(
        truth: &dyn Backend,
        derived: Arc<dyn Backend>,
        clock: Arc<dyn Clock>,
    ) -> Result<Running, Fault> {
        Self::keeping(truth, derived, clock, Keep::default())
    }

    /// The same, and keeps what need not stay as long as `keep` says.
    pub fn keeping(
        truth: &dyn Backend,
        derived: Arc<dyn Backend>,
        clock: Arc<dyn Clock>,
        keep: Keep,
    ) -> Result<Running, Fault> {
        let terms = Terms::alone(clock, keep.parked);
        Running::start(truth, derived, terms, vec![Self::member(keep)])
    }

    /// Looks at what has changed.
    fn look(&mut self, truth: &mut dyn Reader, plan: &mut WritePlan) -> Result<(), Fault> {
        let Changed { products, categories } = std::mem::take(&mut self.changed);
        if !products.is_empty() {
            shelf::look(truth, &products, plan)?;
        }
        if !categories.is_empty() {
            shelf::look_at_categories(truth, &categories, plan)?;
        }
        Ok(())
    }

    /// Puts movements of points into the plan, and names the postings of their own.
    fn points(&mut self, event: &Delivered, moves: &[PointMove], plan: &mut WritePlan) -> i64 {
        for (line, place) in moves.iter().zip(0_i64..) {
            let n = (event.seq << 16) | place;
            let PointMove { user, what, about, paid, earned, seq: _, balance } = *line;
            let mut row = plan.row(&POINT_HISTORY, Mode::Upsert);
            row.int(user).int(n).int(event.at.0).int(what).int(about);
            row.int(paid).int(earned).int(balance);
            let posting = line.posting();
            let made = posting.map(|posting| Made::of_points(event.seq, place, posting));
            self.postings.extend(made);
        }
        i64::try_from(2 * moves.len()).unwrap_or(i64::MAX)
    }

    /// Adds the entries of postings to their accounts; says which accounts.
    fn post(&mut self, truth: &mut dyn Reader, plan: &mut WritePlan) -> Result<Vec<i64>, Fault> {
        let postings = std::mem::take(&mut self.postings);
        let reads: Vec<_> = postings.iter().map(Made::read).collect();
        let balances = &mut self.balances;
        let mut touched = Vec::new();
        let mut place = (usize::MAX, 0);
        truth.read(&reads, &mut |at, row| {
            let (leg, account, amount) = (row.int(2), row.int(3), row.int(4));
            let balance = balances.entry(account).or_insert(0);
            *balance += amount;
            touched.push(account);
            place = if place.0 == at { (at, place.1 + 1) } else { (at, 0) };
            plan.row(&ACCOUNT_ENTRY, Mode::Upsert)
                .int(account)
                .int(row.int(5))
                .int(postings[at].number(place.1))
                .int(row.int(0))
                .int(row.int(1))
                .int(leg)
                .int(amount)
                .int(*balance);
        })?;
        touched.sort_unstable();
        touched.dedup();
        Ok(touched)
    }

    /// Puts the rows of a fact into the plan, and names the postings it made; says about how many
    /// entries those have.
    fn fact(&mut self, event: &Delivered, plan: &mut WritePlan) -> Result<i64, Fault> {
        let fact = Fact::decode(&event.payload)
            .map_err(|error| Fault::Item(format!("event {} is damaged: {error}", event.seq)))?;
        if let Fact::OrderPlaced { user, .. } = fact {
            plan.row(&USER_ORDER, Mode::Upsert).int(user).int(event.key).int(event.at.0);
        }
        if let Fact::CouponChanged { issued, .. } = &fact {
            for (coupon, user, ..) in issued {
                let mut row = plan.row(&COUPON_OF_USER, Mode::Upsert);
                row.int(*user).int(*coupon).int(event.at.0);
            }
        }
        let made = Made::of((event.seq, event.key), &fact);
        let mut entries = made.as_ref().map_or(0, |made| made.entries);
        self.postings.extend(made);
        if let Fact::PointChanged { moves } = &fact {
            entries += self.points(event, moves, plan);
        }
        if let Some(detail) = detail(&fact) {
            let mut row = plan.row(&TIMELINE, Mode::Upsert);
            row.int(event.key).int(event.seq).int(event.at.0).text(fact.topic()).text(&detail);
        }
        Ok(entries)
    }
}

impl Consumer for Projections {
    fn number(&self) -> i64 {
        PROJECTIONS
    }

    /// One of `stock.changed` comes with nearly every commit, and all share a key; a damaged one must
    /// not park that.
    fn wants(&self, topic: &str) -> bool {
        topic != "stock.changed"
    }

    fn load(&mut self, store: &mut dyn Store) -> Result<(), Fault> {
        self.changed = Changed::default();
        self.postings.clear();
        let (from, to) = ([i64::MIN; 3], [i64::MAX; 3]);
        let by = By::Range { from, to, descending: false, limit: u32::MAX };
        let balances = &mut self.balances;
        balances.clear();
        store.begin()?.read(&[Read { table: &ACCOUNT_TAIL, by }], &mut |_, row| {
            balances.insert(row.int(0), row.int(1));
        })
    }

    /// A product or a category is looked at again, whatever the payload says.
    fn take(&mut self, event: &Delivered, plan: &mut WritePlan) -> Result<i64, Fault> {
        match &*event.topic {
            "product.changed" => {
                self.changed.products.insert(event.key);
            }
            "category.changed" => {
                self.changed.categories.insert(event.key);
            }
            _ => return self.fact(event, plan),
        }
        Ok(0)
    }

    fn finish(&mut self, work: &mut Work<'_>) -> Result<(), Fault> {
        self.look(work.truth, work.plan)?;
        for account in self.post(work.truth, work.plan)? {
            let balance = self.balances.get(&account).copied().unwrap_or(0);
            work.plan.row(&ACCOUNT_TAIL, Mode::Upsert).int(account).int(balance);
        }
        Ok(())
    }

    fn late(&mut self, event: &Delivered, work: &mut Work<'_>) -> Result<(), Fault> {
        self.take_late(event, work)
    }

    fn keep(
        &mut self,
        store: &mut dyn Store,
        truth: &mut dyn Reader,
        clock: &dyn Clock,
    ) -> Result<bool, Fault> {
        self.forget(store, truth, clock)
    }
}

/// What the timeline keeps of an event. The usual turns of an order (placed, asked, captured,
/// ended) stand in its rows with their times ([`Queries::timeline`](crate::queries::Queries)), so
/// only what does not happen to every order needs a row here. A payment has its order's number.
fn detail(fact: &Fact<'_>) -> Option<String> {
    Some(match fact {
        Fact::OrderRefunded { no, amount, .. } => format!("refund {no}: {amount}"),
        Fact::OrderAdvanced { from, to, why } => format!("{from} to {to} ({why})"),
        Fact::OrderShipped { no } | Fact::OrderDelivered { no } => format!("shipment {no}"),
        Fact::PaymentAuthorized { amount, .. } | Fact::PaymentCaptureRequested { amount, .. } => {
            format!("{amount}")
        }
        Fact::PaymentRefundRequested { no, amount, .. }
        | Fact::PaymentRefunded { no, amount, .. }
        | Fact::PaymentSetAside { no, amount, .. }
        | Fact::PaymentReleased { no, amount, .. } => {
            format!("refund {no}: {amount}")
        }
        Fact::OrderPlaced { .. }
        | Fact::OrderCompleted { .. }
        | Fact::OrderCancelled { .. }
        | Fact::PaymentCaptured { .. }
        | Fact::ProductChanged { .. }
        | Fact::StockChanged { .. }
        | Fact::PointChanged { .. }
        | Fact::CouponChanged { .. }
        | Fact::JournalPosted { .. }
        | Fact::ProductEdited { .. }
        | Fact::CategoryChanged { .. } => return None,
    })
}
