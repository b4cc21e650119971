//! Rows of a domain as the store knows them: their keys, their table, and what is read and written
//! of them in a batch.

use std::fmt::Debug;
use std::hash::Hash;

use jangbu_domain::catalog::code::CodeKey;
use jangbu_domain::catalog::model::PriceKey;
use jangbu_domain::coupon::model::{HolderKey, IssueKey};
use jangbu_domain::ledger::EntryKey;
use jangbu_domain::ledger::model::AccountId;
use jangbu_domain::merchant::model::MerchantId;
use jangbu_domain::user::model::EmailIndex;
use jangbu_engine::port::{By, Fields, Key, Mode, Read, RowWriter, Table, WritePlan};
use jangbu_kernel::id::{JournalId, MovementId};
use jangbu_kernel::{
    Appends, CampaignId, CategoryId, CouponId, GrantId, OrderId, PaymentId, ProductId, RowSet,
    Rows, SkuId, UserId,
};

/// A key as the port knows it.
pub trait Keyed: Copy + Eq + Hash + Debug + 'static {
    /// Its parts.
    fn parts(self) -> Key;
    /// From its parts.
    fn from_parts(key: Key) -> Self;
}

macro_rules! keyed {
    ($($id:ty),+) => {$(
        impl Keyed for $id {
            fn parts(self) -> Key {
                [i64::from(self), 0, 0]
            }
            fn from_parts(key: Key) -> Self {
                Self::from(key[0])
            }
        }
    )+};
}

keyed!(i64, OrderId, PaymentId, ProductId, SkuId, MovementId, JournalId, AccountId);
keyed!(MerchantId);
keyed!(UserId, CampaignId, CouponId, GrantId, CategoryId);
keyed!(CodeKey);

impl Keyed for PriceKey {
    fn parts(self) -> Key {
        [self.sku.0, self.version, 0]
    }

    fn from_parts([sku, version, _]: Key) -> Self {
        Self { sku: SkuId(sku), version }
    }
}

impl Keyed for EmailIndex {
    fn parts(self) -> Key {
        let [high, low] = self.0;
        [high, low, 0]
    }

    fn from_parts([high, low, _]: Key) -> Self {
        Self([high, low])
    }
}

impl Keyed for EntryKey {
    fn parts(self) -> Key {
        [self.source, self.seq, self.leg]
    }

    fn from_parts([source, seq, leg]: Key) -> Self {
        Self { source, seq, leg }
    }
}

impl Keyed for HolderKey {
    fn parts(self) -> Key {
        [self.campaign.0, self.user.0, 0]
    }

    fn from_parts([campaign, user, _]: Key) -> Self {
        Self { campaign: CampaignId(campaign), user: UserId(user) }
    }
}

impl Keyed for IssueKey {
    fn parts(self) -> Key {
        [self.campaign.0, self.position, 0]
    }

    fn from_parts([campaign, position, _]: Key) -> Self {
        Self { campaign: CampaignId(campaign), position }
    }
}

/// A row type with its table.
pub trait Stored: Clone + Debug + 'static {
    /// Its key.
    type Key: Keyed;
    /// Where it is stored.
    const TABLE: &'static Table;
    /// Clean rows above this number are dropped from memory.
    const KEEP: usize;
    /// From a row of the store; columns are counted from the first key column.
    fn read(row: &dyn Fields) -> Self;
    /// The values after the key, in the table's order.
    fn write(&self, to: &mut RowWriter<'_>);
}

/// What the adapter knows of a table besides its rows.
#[derive(Debug, Default)]
pub struct TableState {
    /// Keys whose read is under way.
    pub(crate) asked: Vec<Key>,
    /// First part of the highest key in the store. The cell is the only writer, so a higher one
    /// is known to be absent without a read: most orders are new.
    pub(crate) high: i64,
    pub(crate) high_after: i64,
}

/// The rows of a table, whatever their types.
pub trait Bound: RowSet {
    /// Their table.
    fn table(&self) -> &'static Table;
    /// Adds a read for what is wanted and neither held nor known to be absent.
    fn missing(&mut self, state: &mut TableState, reads: &mut Vec<Read>);
    /// Takes in a row.
    fn absorb(&mut self, row: &dyn Fields);
    /// What was asked and not found is absent.
    fn absorbed(&mut self, state: &mut TableState);
    /// Whether a row has changed.
    fn is_dirty(&self) -> bool;
    /// Puts the changed rows into the plan.
    fn save(&self, state: &mut TableState, plan: &mut WritePlan);
    /// Drops what has not been used for long, if there is too much.
    fn trim(&mut self);
}

impl<R: Stored> Bound for Rows<R::Key, R> {
    fn table(&self) -> &'static Table {
        R::TABLE
    }

    fn missing(&mut self, state: &mut TableState, reads: &mut Vec<Read>) {
        let mut keys = Vec::new();
        for key in self.take_wanted() {
            let parts = key.parts();
            if parts[0] > state.high {
                self.load(key, None);
            } else {
                keys.push(parts);
            }
        }
        if !keys.is_empty() {
            state.asked.extend_from_slice(&keys);
            reads.push(Read { table: R::TABLE, by: By::Keys(keys) });
        }
    }

    fn absorb(&mut self, row: &dyn Fields) {
        let key = R::TABLE.key_of(row);
        let version = if R::TABLE.versioned { row.int(R::TABLE.width() - 1) } else { 1 };
        self.load(R::Key::from_parts(key), Some((R::read(row), version)));
    }

    fn absorbed(&mut self, state: &mut TableState) {
        for key in state.asked.drain(..) {
            let key = R::Key::from_parts(key);
            if !self.holds(key) {
                self.load(key, None);
            }
        }
    }

    fn is_dirty(&self) -> bool {
        self.changed().next().is_some()
    }

    fn save(&self, state: &mut TableState, plan: &mut WritePlan) {
        state.high_after = state.high;
        for dirty in self.changed() {
            let key = dirty.key.parts();
            let mode = match dirty.stored {
                0 => Mode::Insert,
                version => Mode::Update { version },
            };
            state.high_after = state.high_after.max(key[0]);
            let mut to = plan.row(R::TABLE, mode);
            for part in &key[..R::TABLE.key.len()] {
                to.int(*part);
            }
            dirty.row.write(&mut to);
            if R::TABLE.versioned {
                to.int(dirty.version);
            }
        }
    }

    fn trim(&mut self) {
        if self.held() > 2 * R::KEEP + 1_024 {
            self.evict(R::KEEP);
        }
    }
}

/// The list shares its table with the rows that can be looked up: it never reads.
impl<R: Stored> Bound for Appends<R::Key, R> {
    fn table(&self) -> &'static Table {
        R::TABLE
    }

    fn missing(&mut self, _state: &mut TableState, _reads: &mut Vec<Read>) {}

    fn absorb(&mut self, _row: &dyn Fields) {}

    fn absorbed(&mut self, _state: &mut TableState) {}

    fn is_dirty(&self) -> bool {
        !self.added().is_empty()
    }

    fn save(&self, state: &mut TableState, plan: &mut WritePlan) {
        state.high_after = state.high;
        for (key, row) in self.added() {
            let mut to = plan.row(R::TABLE, Mode::Insert);
            for part in &key.parts()[..R::TABLE.key.len()] {
                to.int(*part);
            }
            row.write(&mut to);
        }
    }

    fn trim(&mut self) {}
}
