//! What can be read of the books: accounts, their entries, journals, balances.

use std::collections::{BTreeMap, BTreeSet};

use jangbu_domain::ledger::model::{Account, AccountId, Entry, EntryKey, Journal};
use jangbu_domain::point::command::{Kind, posting};
use jangbu_engine::port::{By, Fault, Read};
use jangbu_kernel::id::JournalId;
use jangbu_kernel::{GrantId, OrderId, PaymentId, Time, UserId};

use crate::bound::{Keyed, Stored};
use crate::ledger::ENTRY;
use crate::point::{ACCOUNT as POINTS, CREDIT};
use crate::projections::{ACCOUNT_ENTRY, ACCOUNT_TAIL};

use super::{HIGHEST, LOWEST, Queries, View, range, reverse};

/// What caused an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A payment.
    Payment(PaymentId),
    /// A journal.
    Journal(JournalId),
    /// The points of an order.
    Order(OrderId),
    /// A grant of points.
    Grant(GrantId),
    /// A user whose points have expired.
    User(UserId),
}

impl Source {
    const fn number(self) -> i64 {
        match self {
            Self::Payment(PaymentId(id))
            | Self::Journal(JournalId(id))
            | Self::Order(OrderId(id))
            | Self::Grant(GrantId(id))
            | Self::User(UserId(id)) => id,
        }
    }
}

/// A journal with its entries and their accounts.
#[derive(Debug, Clone)]
pub struct Booked {
    /// Who, when, why.
    pub journal: Journal,
    /// By posting and leg.
    pub entries: Vec<(EntryKey, Entry)>,
    /// The accounts of the entries.
    pub accounts: BTreeMap<AccountId, Account>,
}

/// An entry of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountEntry {
    /// Its place in the account: time, then number.
    pub at: Time,
    /// Distinguishes entries of one time; ascending.
    pub n: i64,
    /// What caused it.
    pub source: Source,
    /// Posting of the source.
    pub seq: i64,
    /// Leg of the posting.
    pub leg: i64,
    /// Debit > 0, credit < 0.
    pub amount: i64,
    /// Debits less credits after it.
    pub balance: i64,
}

impl Queries {
    /// When posting `seq` of a payment was made.
    pub fn posted_at(&self, payment: PaymentId, seq: i64) -> Result<Option<Time>, Fault> {
        let mut found = None;
        let by = By::Keys(vec![[payment.0, seq, 0]]);
        self.truth.read(&[Read { table: &ENTRY, by }], &mut |_, row| {
            found = Some(Time(row.int(5)));
        })?;
        Ok(found)
    }
}

impl View {
    /// An account by its id.
    pub fn account(&self, id: AccountId) -> Result<Option<Account>, Fault> {
        self.one(id)
    }

    /// Accounts after `after`, by id.
    pub fn accounts(
        &self,
        after: Option<AccountId>,
        limit: u32,
    ) -> Result<Vec<(AccountId, Account)>, Fault> {
        let from = after.map_or(LOWEST, |id| [id.0 + 1, 0, 0]);
        self.many(range(Account::TABLE, from, HIGHEST, limit))
    }

    /// Entries of an account before (`at`, `n`), newest first.
    pub fn entries(
        &self,
        account: AccountId,
        before: Option<(Time, i64)>,
        limit: u32,
    ) -> Result<Vec<AccountEntry>, Fault> {
        let to = match before {
            Some((at, n)) => [account.0, at.0, n - 1],
            None => [account.0, i64::MAX, i64::MAX],
        };
        let mut found = Vec::new();
        let read = reverse(&ACCOUNT_ENTRY, [account.0, i64::MIN, i64::MIN], to, limit);
        self.derived.read(&[read], &mut |_, row| {
            found.push(AccountEntry {
                at: Time(row.int(1)),
                n: row.int(2),
                source: Source::Payment(PaymentId(row.int(3))),
                seq: row.int(4),
                leg: row.int(5),
                amount: row.int(6),
                balance: row.int(7),
            });
        })?;
        self.name_sources(&mut found)?;
        Ok(found)
    }

    /// Tells which sources are no payments. All kinds of sources have ids of their own, but for an
    /// order and its payment; the numbers of its points' postings are far above those of a payment.
    fn name_sources(&self, entries: &mut [AccountEntry]) -> Result<(), Fault> {
        let mut keys: Vec<_> = entries.iter().map(|entry| [entry.source.number(), 0, 0]).collect();
        keys.sort_unstable();
        keys.dedup();
        let mut others = [(); 3].map(|()| BTreeSet::new());
        let reads = [Journal::TABLE, &CREDIT, &POINTS]
            .map(|table| Read { table, by: By::Keys(keys.clone()) });
        self.truth.read(&reads, &mut |read, row| {
            let bought = read == 1 && row.int(2) == Kind::Paid.code();
            if !bought {
                others[read].insert(row.int(0));
            }
        })?;
        let [journals, grants, users] = others;
        for entry in entries {
            let id = entry.source.number();
            entry.source = match id {
                _ if entry.seq >= posting::EARN => Source::Order(OrderId(id)),
                _ if journals.contains(&id) => Source::Journal(JournalId(id)),
                _ if grants.contains(&id) => Source::Grant(GrantId(id)),
                _ if users.contains(&id) => Source::User(UserId(id)),
                _ => Source::Payment(PaymentId(id)),
            };
        }
        Ok(())
    }

    /// A journal with its entries.
    pub fn journal(&self, id: JournalId) -> Result<Option<Booked>, Fault> {
        let Some(journal) = self.one::<Journal>(id)? else { return Ok(None) };
        let (from, to) = ([id.0, 0, 0], [id.0, i64::MAX, i64::MAX]);
        let entries = self.many::<Entry>(range(&ENTRY, from, to, u32::MAX))?;
        let mut keys: Vec<_> = entries.iter().map(|(_, entry)| entry.account.parts()).collect();
        keys.sort_unstable();
        keys.dedup();
        let accounts = self.many::<Account>(Read { table: Account::TABLE, by: By::Keys(keys) })?;
        Ok(Some(Booked { journal, entries, accounts: accounts.into_iter().collect() }))
    }

    /// Debits less credits of an account at a time, that moment included.
    pub fn balance_at(&self, account: AccountId, at: Time) -> Result<i64, Fault> {
        let mut balance = 0;
        let (from, to) = ([account.0, i64::MIN, i64::MIN], [account.0, at.0, i64::MAX]);
        let read = reverse(&ACCOUNT_ENTRY, from, to, 1);
        self.derived.read(&[read], &mut |_, row| balance = row.int(7))?;
        Ok(balance)
    }

    /// The sum of all projected balances: 0 when the books balance.
    pub fn projected_sum(&self) -> Result<i64, Fault> {
        let mut sum = 0_i64;
        let read = range(&ACCOUNT_TAIL, LOWEST, HIGHEST, u32::MAX);
        self.derived.read(&[read], &mut |_, row| sum += row.int(1))?;
        Ok(sum)
    }
}
