//! Posting: every check, then the entries and the balances.

use jangbu_kernel::{Currency, Time};

use super::command::{Leg, Reject, Reply};
use super::model::{Account, AccountId, Entry, EntryKey, Kind};
use super::{Rows, chart};

/// The posting of a payment's event.
#[derive(Debug)]
pub(super) struct Posting<'a> {
    pub(super) source: i64,
    pub(super) seq: i64,
    pub(super) currency: Currency,
    pub(super) legs: &'a [Leg],
}

/// Names the accounts, the first entry, and the ends of the chain; the other entries once the
/// first one turns out to be there.
pub(super) fn want(posting: &Posting<'_>, rows: &mut Rows) {
    let Posting { source, seq, currency, legs } = posting;
    let key = |leg| EntryKey { source: *source, seq: *seq, leg };
    rows.end.want(&mut rows.chain);
    for leg in *legs {
        rows.account.want(rows.ids.of(&leg.code, *currency));
    }
    rows.entry.want(key(0));
    if rows.entry.version(key(0)) > 0 {
        // One more than the command has: the posting in the books may be longer.
        for leg in (1..).take(legs.len()) {
            rows.entry.want(key(leg));
        }
    }
}

/// Books one posting, which happened at `at`, in commit `commit`.
pub(super) fn post(
    posting: &Posting<'_>,
    (at, commit): (Time, i64),
    rows: &mut Rows,
) -> Result<Reply, Reject> {
    let Posting { source, seq, currency, legs } = posting;
    let key = |leg| EntryKey { source: *source, seq: *seq, leg };
    let volume = volume(legs).ok_or(Reject::Unbalanced)?;
    if rows.entry.get(key(0)).is_some() {
        let same = is_booked(rows, key, *currency, legs);
        return if same { Ok(Reply::Posted) } else { Err(Reject::PostingDiffers) };
    }
    for leg in *legs {
        check(rows, leg, *currency, volume)?;
    }
    for (leg, no) in legs.iter().zip(0..) {
        let (account, amount) = (rows.ids.of(&leg.code, *currency), leg.amount);
        book(rows, account, leg, *currency);
        rows.entry.insert(key(no), Entry { account, amount, at, commit });
    }
    Ok(Reply::Posted)
}

/// The sum of the debits, if the legs are a posting: two or more, none 0, debits equal credits.
fn volume(legs: &[Leg]) -> Option<i64> {
    let (mut debits, mut credits) = (0_i64, 0_i64);
    for leg in legs {
        match leg.amount {
            0 => return None,
            1.. => debits = debits.checked_add(leg.amount)?,
            _ => credits = credits.checked_sub(leg.amount)?,
        }
    }
    (legs.len() >= 2 && debits == credits).then_some(debits)
}

/// Whether the books have exactly these legs. When it was posted first is not compared.
fn is_booked(
    rows: &mut Rows,
    key: impl Fn(i64) -> EntryKey,
    currency: Currency,
    legs: &[Leg],
) -> bool {
    for (leg, no) in legs.iter().zip(0..) {
        let account = rows.ids.of(&leg.code, currency);
        let same = |entry: &Entry| entry.account == account && entry.amount == leg.amount;
        if !booked(rows, key(no)).is_some_and(same) {
            return false;
        }
    }
    let next = i64::try_from(legs.len()).unwrap_or(i64::MAX);
    booked(rows, key(next)).is_none()
}

/// The entry of `key`, whose posting is in the books. One that is not held is not there: `want`
/// has named the legs of a posting that the store had, and a posting of this batch is held.
fn booked(rows: &Rows, key: EntryKey) -> Option<&Entry> {
    if rows.entry.version(key) == 0 { None } else { rows.entry.get(key) }
}

/// Whether `leg` can be booked. The whole posting's volume must fit each account, so that it does
/// not matter how often the posting names it.
fn check(rows: &mut Rows, leg: &Leg, currency: Currency, volume: i64) -> Result<(), Reject> {
    let code = &leg.code;
    if chart::kind_of(code).is_none() {
        return Err(Reject::AccountUnknown { code: code.clone() });
    }
    let Some(account) = rows.account.get(rows.ids.of(code, currency)) else { return Ok(()) };
    if *account.code != **code || account.currency != currency {
        return Err(Reject::AccountIdTaken { code: code.clone() });
    }
    let fits = |side: i64| side.checked_add(volume).is_some();
    if fits(account.debits) && fits(account.credits) {
        Ok(())
    } else {
        Err(Reject::BalanceOverflow)
    }
}

/// Adds `leg` to its account, which opens if it is the first.
fn book(rows: &mut Rows, id: AccountId, leg: &Leg, currency: Currency) {
    if rows.account.get(id).is_none() {
        // `check` has found the code in the chart.
        let kind = chart::kind_of(&leg.code).unwrap_or(Kind::Asset);
        let code = leg.code.as_ref().into();
        rows.account.insert(id, Account { code, currency, kind, debits: 0, credits: 0 });
    }
    let Some(account) = rows.account.edit(id) else { return };
    // Nothing saturates: `check` has seen to it.
    if leg.amount > 0 {
        account.debits = account.debits.saturating_add(leg.amount);
    } else {
        account.credits = account.credits.saturating_sub(leg.amount);
    }
}
