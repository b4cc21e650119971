//! Points: every account against its lots, its timer, what orders and credits say, and the ledger.
//!
//! ```text
//! charged + restored           = paid left   + spent + expired
//! granted + rewarded + restored = earned left + spent + expired + clawed back
//! −balance of points:{kind}    = Σ lots of the kind + Σ (spent by orders − captured as points)
//!                              + Σ points of refunds of which the gateway has not said yet
//! ```
//!
//! The rows of one order, grant or account are checked in [`case`], charges, their refunds and grants in [`credit`].

pub(crate) mod case;
pub(crate) mod credit;
mod replay;

use std::collections::HashMap;

use crate::{
    Error,
    book::{Book, rules},
    ids,
    rows::{Cells, Source, Unreadable, scan},
};

rules! {
    LAW = "point.law", Mismatched, "By kind, what came into an account is what is left, spent, expired and clawed back; nothing is negative, and no more is restored than spent.";
    LOTS = "point.lots", Mismatched, "The lots of an account stand in the order of spending, none empty, no two alike, and sum to its points by kind.";
    TIMER = "point.timer", Mismatched, "An account with lots that end is woken no later than the first of them, by the timer that it knows.";
    CREDITED = "point.credited", Mismatched, "Charged and granted are the sums of the account's charges, without what went back, and grants.";
    USED = "point.used", Mismatched, "Spent, restored, rewarded and clawed back are the sums over the account's orders.";
    ACCOUNT = "point.account", Lost, "Whoever was given points, or has spent some, has an account.";
    USE = "point.use", Mismatched, "An order gets back no more than it spent, and gives back no more than it earned.";
    NUMBER = "point.number", Doubled, "A refund gives points back once, and takes points back once.";
    ORDER = "point.order", Mismatched, "Points were spent for an order of the same user, or for none that ever came to be.";
    AGREES = "point.agrees", Mismatched, "What an order has spent and earned is what its buyer's account says of it.";
    CHARGED = "point.charged", Lost, "Who has paid for points has them.";
    CHARGE = "point.charge", Mismatched, "A charge has its payment, of the same user and amount; a grant has none.";
    REFUND = "point.refund", Mismatched, "What a charge gives back as money is what its points gave up: both know the same refunds, of the same amounts, and agree on how they stand.";
    POSTED = "point.posted", Lost, "Grants, earnings, claw-backs and expiries have their postings.";
    POSTING = "point.posting", Mismatched, "A posting of points is that of its grant, order or account, leg by leg.";
    SETTLED = "point.settled", Mismatched, "What an order that is at rest has spent is what its payment took as points.";
    LIABILITY = "point.liability", Mismatched, "The ledger owes what the lots hold and what unfinished orders have spent.";
}

/// Kinds of points.
pub(crate) const EARNED: i64 = 1;
pub(crate) const PAID: i64 = 2;

/// A lot `[kind,end,points]`.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Lot {
    pub(crate) kind: i64,
    /// 0: never.
    pub(crate) end: i64,
    pub(crate) points: i64,
}

/// Paid and earned points.
pub(crate) type Both = [i128; 2];

/// Where a kind stands in [`Both`].
pub(crate) fn place(kind: i64) -> usize {
    usize::from(kind != PAID)
}

/// The points of `lots` by kind.
pub(crate) fn sum(lots: &[Lot]) -> Both {
    let mut sums = [0; 2];
    for lot in lots {
        sums[place(lot.kind)] += i128::from(lot.points);
    }
    sums
}

/// What an account of the ledger is to points.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// `points:paid` or `points:earned`.
    Owed(usize),
    Promo,
    Breakage,
}

/// Counters that other rows must add up to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) charged: i64,
    pub(crate) granted: i64,
    pub(crate) rewarded: i64,
    pub(crate) spent: [i64; 2],
    pub(crate) restored: [i64; 2],
    pub(crate) clawed: i64,
}

#[derive(Debug)]
pub(crate) struct Account {
    /// Index in [`Points::currencies`].
    pub(crate) currency: usize,
    says: Counted,
    pub(crate) counted: Counted,
    /// Expired points by kind, and the number of their postings.
    expired: ([i64; 2], i64),
    /// What the ledger has of that.
    pub(crate) posted: ([i64; 2], i64),
}

/// The accounts of points, and what is summed over all cases.
#[derive(Debug, Default)]
pub(crate) struct Points {
    pub(crate) accounts: HashMap<i64, Account>,
    pub(crate) currencies: Vec<Currency>,
    /// Accounts of the ledger: id, what it is, index of its currency.
    roles: Vec<(i64, Role, usize)>,
}

/// Sums of one currency.
#[derive(Debug, Default)]
pub(crate) struct Currency {
    code: String,
    lots: Both,
    /// Credits of `points:{kind}`, without those of journals.
    pub(crate) owed: Both,
    /// Spent by orders and not captured as points.
    pub(crate) unsettled: Both,
}

impl Points {
    /// Reads the accounts and checks each in itself.
    pub(crate) fn load(from: Source<'_>, book: &mut Book) -> Result<Self, Error> {
        from.watch.phase("points");
        let mut points = Self::default();
        let sql = "SELECT id, code, currency FROM account WHERE code IN \
                   ('points:paid', 'points:earned', 'promo:points', 'breakage')";
        scan(from, book, sql, |cells, _book| {
            let (id, code, currency) = (cells.int()?, cells.text()?, cells.text()?);
            let role = match code {
                "points:paid" => Role::Owed(place(PAID)),
                "points:earned" => Role::Owed(place(EARNED)),
                "promo:points" => Role::Promo,
                _ => Role::Breakage,
            };
            let currency = points.currency(currency);
            points.roles.push((id, role, currency));
            Ok(())
        })?;
        let sql = "SELECT a.user_id, currency, lots, paid, earned, charged, granted, rewarded, \
                   spent_paid, spent_earned, restored_paid, restored_earned, expired_paid, \
                   expired_earned, clawed, postings, armed, next_at \
                   FROM point_account a LEFT JOIN point_timer t ON t.user_id = a.user_id";
        scan(from, book, sql, |cells, book| {
            let user = cells.int()?;
            let account = points.account(user, cells, book)?;
            points.accounts.insert(user, account);
            Ok(())
        })?;
        Ok(points)
    }

    fn account(
        &mut self,
        user: i64,
        cells: &mut Cells<'_>,
        book: &mut Book,
    ) -> Result<Account, Unreadable> {
        let currency = self.currency(cells.text()?);
        let lots: Vec<Lot> = cells.json()?;
        let left = [cells.int()?, cells.int()?];
        let mut next = || cells.int();
        let says = Counted {
            charged: next()?,
            granted: next()?,
            rewarded: next()?,
            spent: [next()?, next()?],
            restored: [next()?, next()?],
            clawed: 0,
        };
        let expired = [next()?, next()?];
        let says = Counted { clawed: next()?, ..says };
        let postings = next()?;
        let (armed, timer) = (cells.int_or_null()?, cells.int_or_null()?);
        let mut find = |rule, detail| book.find(rule, ids::show("usr", user), detail);
        if !holds(&says, left, expired) {
            let detail =
                format!("{left:?} left and {expired:?} expired (paid, earned) of {says:?}");
            find(LAW, detail);
        }
        let rank = |lot: &Lot| (if lot.end == 0 { i64::MAX } else { lot.end }, lot.kind);
        let ordered = lots.windows(2).all(|pair| rank(&pair[0]) < rank(&pair[1]));
        let full = lots.iter().all(|lot| lot.points > 0 && matches!(lot.kind, EARNED | PAID));
        if !ordered || !full || sum(&lots) != left.map(i128::from) {
            find(LOTS, format!("{lots:?}, of {left:?} paid and earned"));
        }
        let end = lots.first().map(|lot| lot.end).filter(|end| *end != 0);
        if armed != timer || end.is_some_and(|end| armed.is_none_or(|at| at > end)) {
            find(TIMER, format!("woken at {timer:?}, knows {armed:?}, ends at {end:?}"));
        }
        for (sum, more) in self.currencies[currency].lots.iter_mut().zip(sum(&lots)) {
            *sum += more;
        }
        let (counted, expired) = (Counted::default(), (expired, postings));
        Ok(Account { currency, says, counted, expired, posted: ([0; 2], 0) })
    }

    fn currency(&mut self, code: &str) -> usize {
        let known = self.currencies.iter().position(|currency| currency.code == code);
        known.unwrap_or_else(|| {
            self.currencies.push(Currency { code: code.to_owned(), ..Currency::default() });
            self.currencies.len() - 1
        })
    }

    /// What an account of the ledger is to points, and the index of its currency.
    pub(crate) fn role(&self, account: i64) -> Option<(Role, usize)> {
        let found = self.roles.iter().find(|(id, ..)| *id == account);
        found.map(|(_, role, currency)| (*role, *currency))
    }

    /// Compares the sums of all cases with the accounts, and the lots with the ledger.
    pub(crate) fn close(self, book: &mut Book) {
        for (user, account) in &self.accounts {
            let Account { says, counted, expired, posted, .. } = account;
            if posted != expired {
                let detail = format!("{posted:?} in postings, the account has {expired:?}");
                book.find(POSTED, ids::show("usr", *user), detail);
            }
            let mut find = |rule, what: &str| {
                let detail = format!("the account says {says:?}, {what} say {counted:?}");
                book.find(rule, ids::show("usr", *user), detail);
            };
            let credits = |of: &Counted| (of.charged, of.granted);
            if credits(says) != credits(counted) {
                find(CREDITED, "charges and grants");
            }
            let uses = |of: &Counted| (of.spent, of.restored, of.rewarded, of.clawed);
            if uses(says) != uses(counted) {
                find(USED, "orders");
            }
        }
        for currency in &self.currencies {
            currency.check("points:paid", place(PAID), book);
            currency.check("points:earned", place(EARNED), book);
        }
    }
}

impl Currency {
    fn check(&self, name: &str, at: usize, book: &mut Book) {
        let (owed, lots, open) = (self.owed[at], self.lots[at], self.unsettled[at]);
        if owed != lots + open {
            let code = &self.code;
            let detail = format!("owes {owed} {code}; lots hold {lots}, unfinished orders {open}");
            book.find(LIABILITY, name.to_owned(), detail);
        }
    }
}

/// Whether what came in is what is left and what went.
fn holds(says: &Counted, left: [i64; 2], expired: [i64; 2]) -> bool {
    let Counted { charged, granted, rewarded, spent, restored, clawed } = *says;
    let wide = |n: &[i64]| n.iter().copied().map(i128::from).sum::<i128>();
    let paid = wide(&[charged, restored[0]]) == wide(&[left[0], spent[0], expired[0]]);
    let came = wide(&[granted, rewarded, restored[1]]);
    let earned = came == wide(&[left[1], spent[1], expired[1], clawed]);
    let all = [charged, granted, rewarded, clawed, left[0], left[1], expired[0], expired[1]];
    let positive = all.into_iter().chain(restored).all(|n| n >= 0);
    paid && earned && positive && restored[0] <= spent[0] && restored[1] <= spent[1]
}
