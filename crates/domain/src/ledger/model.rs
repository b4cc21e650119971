//! Accounts, entries and chain rows, and how they are found.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use serde::{Deserialize, Serialize};

use jangbu_kernel::id::JournalId;
use jangbu_kernel::{Currency, Time, coded};

use super::command::Reply;

/// The key of an account: the first 63 bits of SHA-256 over its code, a zero byte and its
/// currency, so that a posting finds its accounts without a look-up by text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AccountId(pub i64);

impl AccountId {
    /// The id of account `code` in `currency`.
    pub fn of(code: &str, currency: Currency) -> Self {
        let mut hash = Sha256::new();
        hash.update(code);
        hash.update([0]);
        hash.update(currency.bytes());
        let digest: [u8; 32] = hash.finalize().into();
        let first = digest.first_chunk().copied().unwrap_or_default();
        Self(i64::from_be_bytes(first) & i64::MAX)
    }
}

impl From<AccountId> for i64 {
    fn from(id: AccountId) -> i64 {
        id.0
    }
}

impl From<i64> for AccountId {
    fn from(id: i64) -> Self {
        Self(id)
    }
}

coded! {
    /// What an account is, which decides on which side it grows.
    Kind {
        /// What we have or are owed; grows by debits.
        Asset = 1 "ASSET",
        /// What we owe; grows by credits.
        Liability = 2 "LIABILITY",
        /// The owners' part; grows by credits.
        Equity = 3 "EQUITY",
        /// What we earned; grows by credits.
        Income = 4 "INCOME",
        /// What we spent; grows by debits.
        Expense = 5 "EXPENSE",
    }
}

impl Kind {
    /// Whether it grows by debits.
    pub const fn is_debit_normal(self) -> bool {
        matches!(self, Self::Asset | Self::Expense)
    }
}

/// A row of `account`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its code in the chart.
    pub code: Arc<str>,
    /// Its one currency.
    pub currency: Currency,
    /// What it is.
    pub kind: Kind,
    /// Sum of its debit entries.
    pub debits: i64,
    /// Sum of its credit entries, as a positive number.
    pub credits: i64,
}

impl Account {
    /// Its balance on its normal side; below zero when it stands on the other.
    pub fn balance(&self) -> i64 {
        let (more, less) = if self.kind.is_debit_normal() {
            (self.debits, self.credits)
        } else {
            (self.credits, self.debits)
        };
        // Both are at least 0: the difference fits.
        more.saturating_sub(less)
    }
}

/// The key of an entry: leg `leg` of posting `seq` of `source`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryKey {
    /// What caused it: a payment or a journal.
    pub source: i64,
    /// Which posting of the source.
    pub seq: i64,
    /// Which leg of the posting, from 0.
    pub leg: i64,
}

/// A row of `entry`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The account.
    pub account: AccountId,
    /// Debit > 0, credit < 0.
    pub amount: i64,
    /// When it happened.
    pub at: Time,
    /// The commit that wrote it; scoped to the commit, so not a part of what is compared.
    pub commit: i64,
}

/// A row of `journal`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journal {
    /// When it was booked.
    pub at: Time,
    /// The operator.
    pub who: Arc<str>,
    /// Why.
    pub reason: Box<str>,
    /// How many postings; `seq` of its entries runs from 1 to this.
    pub postings: i64,
    /// How many entries.
    pub entries: i64,
    /// Number and memo of the postings that have one.
    pub memos: Vec<(i64, Box<str>)>,
}

impl Journal {
    /// What the ledger answers about it.
    pub(super) const fn reply(&self, journal: JournalId) -> Reply {
        let Self { at, postings, entries, .. } = self;
        Reply::Booked { journal, at: *at, postings: *postings, entries: *entries }
    }
}

/// A row of `chain`; its key is the commit's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// When it was sealed.
    pub at: Time,
    /// How many entries the commit wrote.
    pub entries: i64,
    /// SHA-256 over those entries.
    pub digest: [u8; 32],
    /// SHA-256 over the hash before, the commit's number, `at`, `entries` and `digest`.
    pub hash: [u8; 32],
}
