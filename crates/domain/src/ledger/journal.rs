//! A journal: up to 500 postings that an operator books together, all of them or none.
//!
//! Half of its work is done before the writer sees it: a [`Draft`] knows each of its accounts
//! once, with its id, so that the decision touches an account once however many legs name it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use jangbu_kernel::id::JournalId;
use jangbu_kernel::{Ctx, Currency, Out};

use super::command::{Event, Reject, Reply};
use super::model::{Account, AccountId, Entry, EntryKey, Journal, Kind};
use super::{Rows, chart};

/// At most so many postings in a journal.
pub const POSTINGS: usize = 500;
/// At most so many legs in a posting of a journal; at least 2.
pub const LEGS: usize = 20;

/// A journal that is to be booked, in the order of its legs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draft {
    /// Its id.
    pub id: JournalId,
    /// The operator.
    pub who: Arc<str>,
    /// Why.
    pub reason: Box<str>,
    accounts: Vec<Named>,
    postings: Vec<Posting>,
    legs: Vec<Line>,
    known: BTreeMap<Currency, BTreeMap<Arc<str>, usize>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Named {
    id: AccountId,
    code: Arc<str>,
    currency: Currency,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Posting {
    currency: Currency,
    memo: Option<Box<str>>,
    /// Where its legs end.
    end: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Line {
    /// Place in `accounts`.
    account: usize,
    amount: i64,
}

impl Line {
    /// Adds it to the sums of its account; false: it does not fit.
    fn count(&self, sums: &mut [[i64; 2]]) -> bool {
        let Some([debits, credits]) = sums.get_mut(self.account) else { return false };
        let side = if self.amount > 0 { debits } else { credits };
        let more = self.amount.checked_abs().and_then(|amount| side.checked_add(amount));
        more.map(|more| *side = more).is_some()
    }
}

impl Draft {
    /// A journal without postings.
    pub fn new(id: JournalId, who: Arc<str>, reason: &str) -> Self {
        let (accounts, postings, legs) = (Vec::new(), Vec::new(), Vec::new());
        let known = BTreeMap::new();
        Self { id, who, reason: reason.into(), accounts, postings, legs, known }
    }

    /// Begins a posting.
    pub fn posting(&mut self, currency: Currency, memo: Option<&str>) {
        let (memo, end) = (memo.map(Into::into), self.legs.len());
        self.postings.push(Posting { currency, memo, end });
    }

    /// Adds a leg to the posting that was begun last: debit > 0, credit < 0.
    pub fn leg(&mut self, code: &str, amount: i64) {
        let Some(posting) = self.postings.last_mut() else { return };
        let currency = posting.currency;
        let known = self.known.entry(currency).or_default();
        let account = known.get(code).copied().unwrap_or_else(|| {
            let code: Arc<str> = code.into();
            let at = self.accounts.len();
            known.insert(Arc::clone(&code), at);
            self.accounts.push(Named { id: AccountId::of(&code, currency), code, currency });
            at
        });
        self.legs.push(Line { account, amount });
        posting.end = self.legs.len();
    }

    /// Number of postings.
    pub fn postings(&self) -> usize {
        self.postings.len()
    }

    /// Number of entries.
    pub fn entries(&self) -> usize {
        self.legs.len()
    }

    /// The legs of each posting.
    fn parts(&self) -> impl Iterator<Item = (&Posting, &[Line])> {
        let mut from = 0;
        self.postings.iter().map(move |posting| {
            let legs = self.legs.get(from..posting.end).unwrap_or_default();
            from = posting.end;
            (posting, legs)
        })
    }

    /// Debits and credits of each account, if every posting is one.
    fn sums(&self) -> Result<Vec<[i64; 2]>, Reject> {
        if !(1..=POSTINGS).contains(&self.postings.len()) {
            return Err(Reject::PostingsInvalid);
        }
        let mut sums = vec![[0_i64; 2]; self.accounts.len()];
        for (at, (_, legs)) in self.parts().enumerate() {
            let no = |leg| Reject::at(at, leg);
            if !(2..=LEGS).contains(&legs.len()) {
                return Err(no(None)(Reject::PostingsInvalid));
            }
            if let Some(leg) = legs.iter().position(|leg| leg.amount == 0) {
                return Err(no(Some(leg))(Reject::Unbalanced));
            }
            let amounts = legs.iter().map(|leg| i128::from(leg.amount));
            if amounts.sum::<i128>() != 0 {
                return Err(no(None)(Reject::Unbalanced));
            }
            if let Some(leg) = legs.iter().position(|leg| !leg.count(&mut sums)) {
                return Err(no(Some(leg))(Reject::BalanceOverflow));
            }
        }
        Ok(sums)
    }

    /// `why`, with the first leg that names `account`.
    fn blame(&self, account: usize, why: Reject) -> Reject {
        for (at, (_, legs)) in self.parts().enumerate() {
            if let Some(leg) = legs.iter().position(|leg| leg.account == account) {
                return Reject::at(at, Some(leg))(why);
            }
        }
        why
    }

    /// Whether `row` is this journal, booked.
    fn is(&self, row: &Journal) -> bool {
        let Journal { at: _, who, reason, postings, entries, memos } = row;
        (who, reason) == (&self.who, &self.reason)
            && [*postings, *entries] == [count(self.postings()), count(self.entries())]
            && *memos == self.memos()
    }

    /// The number of each posting that has a memo, and the memo.
    fn memos(&self) -> Vec<(i64, Box<str>)> {
        let numbered = (1..).zip(&self.postings);
        numbered.filter_map(|(no, posting)| Some((no, posting.memo.clone()?))).collect()
    }
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Names the journal, its accounts and the ends of the chain. The entries are new when it is.
pub(super) fn want(draft: &Draft, rows: &mut Rows) {
    rows.end.want(&mut rows.chain);
    rows.journal.want(draft.id);
    for account in &draft.accounts {
        rows.account.want(account.id);
    }
}

/// Books a journal.
pub(super) fn book(
    draft: &Draft,
    ctx: &Ctx,
    rows: &mut Rows,
    out: &mut Out<Event>,
) -> Result<Reply, Reject> {
    if let Some(row) = rows.journal.get(draft.id) {
        return if draft.is(row) { Ok(row.reply(draft.id)) } else { Err(Reject::PostingDiffers) };
    }
    let sums = draft.sums()?;
    for (at, (account, sums)) in draft.accounts.iter().zip(&sums).enumerate() {
        check(rows, account, sums).map_err(|why| draft.blame(at, why))?;
    }
    for (account, sums) in draft.accounts.iter().zip(&sums) {
        add(rows, account, sums);
    }
    let (source, at, commit) = (draft.id.0, ctx.now, ctx.commit);
    for (seq, (_, legs)) in (1..).zip(draft.parts()) {
        for (leg, Line { account, amount }) in (0..).zip(legs) {
            let Some(account) = draft.accounts.get(*account) else { continue };
            let entry = Entry { account: account.id, amount: *amount, at, commit };
            rows.booked.push(EntryKey { source, seq, leg }, entry);
        }
    }
    let (postings, entries) = (count(draft.postings()), count(draft.entries()));
    let (who, reason, memos) = (Arc::clone(&draft.who), draft.reason.clone(), draft.memos());
    let row = Journal { at, who, reason, postings, entries, memos };
    let reply = row.reply(draft.id);
    rows.journal.insert(draft.id, row);
    out.emit(Event::Booked { journal: draft.id, postings, entries });
    Ok(reply)
}

/// Whether the account takes these debits and credits.
fn check(rows: &Rows, named: &Named, [debits, credits]: &[i64; 2]) -> Result<(), Reject> {
    let Some(account) = rows.account.get(named.id) else {
        let known = chart::kind_of(&named.code).is_some();
        let code = || named.code.as_ref().into();
        return if known { Ok(()) } else { Err(Reject::CodeUnknown { code: code() }) };
    };
    if account.code != named.code || account.currency != named.currency {
        return Err(Reject::AccountIdTaken { code: named.code.as_ref().into() });
    }
    let fits = |side: i64, more: i64| side.checked_add(more).is_some();
    let both = fits(account.debits, *debits) && fits(account.credits, *credits);
    if both { Ok(()) } else { Err(Reject::BalanceOverflow) }
}

/// Adds to the account, which opens if these are its first entries.
fn add(rows: &mut Rows, named: &Named, [debits, credits]: &[i64; 2]) {
    let Named { id, code, currency } = named;
    if rows.account.get(*id).is_none() {
        // `check` has found the code in the chart.
        let kind = chart::kind_of(code).unwrap_or(Kind::Asset);
        let (code, currency) = (Arc::clone(code), *currency);
        rows.account.insert(*id, Account { code, currency, kind, debits: 0, credits: 0 });
    }
    let Some(account) = rows.account.edit(*id) else { return };
    // Nothing saturates: `check` has seen to it.
    account.debits = account.debits.saturating_add(*debits);
    account.credits = account.credits.saturating_add(*credits);
}
