//! An account with its lots, and the only functions that change a balance.

use jangbu_kernel::{Currency, Time, UserId};

use super::command::{Kind, Move};
use super::model::LIMIT;

/// A number of points of each kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Both {
    /// Bought.
    pub paid: i64,
    /// Given.
    pub earned: i64,
}

impl Both {
    /// `amount` points of `kind`.
    pub const fn of(kind: Kind, amount: i64) -> Self {
        match kind {
            Kind::Paid => Self { paid: amount, earned: 0 },
            Kind::Earned => Self { paid: 0, earned: amount },
        }
    }

    /// All of them.
    pub const fn sum(self) -> i64 {
        self.paid.saturating_add(self.earned)
    }

    /// The number of `kind`.
    pub const fn get(self, kind: Kind) -> i64 {
        match kind {
            Kind::Paid => self.paid,
            Kind::Earned => self.earned,
        }
    }

    /// Adds `other`.
    pub fn add(&mut self, other: Self) {
        add(&mut self.paid, other.paid);
        add(&mut self.earned, other.earned);
    }

    /// As many below 0.
    #[must_use]
    pub const fn negated(self) -> Self {
        Self { paid: self.paid.saturating_neg(), earned: self.earned.saturating_neg() }
    }
}

/// Points of one kind with one expiry. All of them that an account has are one lot: nothing else
/// tells one point from another, so restoring and clawing back stay exact without more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lot {
    /// Bought or given.
    pub kind: Kind,
    /// When they end; none: never.
    pub until: Option<Time>,
    /// How many, at least 1.
    pub amount: i64,
}

impl Lot {
    /// Whether they can be spent at `now`. They cannot once their time has come, even before the
    /// timer has taken them.
    pub fn is_live(&self, now: Time) -> bool {
        self.until.is_none_or(|until| until > now)
    }

    /// The order in which lots are spent.
    fn rank(&self) -> (Time, Kind) {
        (self.until.unwrap_or(Time(i64::MAX)), self.kind)
    }
}

/// The points of one user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// A point is one minor unit of it.
    pub currency: Currency,
    /// Earliest expiry first, earned before paid: the order in which they are spent. None is empty
    /// and no two are alike.
    pub lots: Vec<Lot>,
    /// What the lots hold.
    pub left: Both,
    /// Bought, ever, without what went back for its money.
    pub charged: i64,
    /// Given by operators, ever.
    pub granted: i64,
    /// Earned by orders, ever.
    pub rewarded: i64,
    /// Spent, ever: a restore does not lower it.
    pub spent: Both,
    /// Given back, ever.
    pub restored: Both,
    /// Ended unspent, ever.
    pub expired: Both,
    /// Taken back by refunds, and not given again.
    pub clawed: i64,
    /// Postings of expiries, which have this account as their source.
    pub postings: i64,
    /// When the account's timer wakes it: not after its first lot ends. See [`Timer`](super::model::Timer).
    pub armed: Option<Time>,
    /// The movements of commit number `moved_in`, in memory only: for the folded event.
    pub moves: Vec<Move>,
    /// See `moves`; 0 when read from the store.
    pub moved_in: i64,
}

impl Account {
    /// An account without points.
    pub const fn new(currency: Currency) -> Self {
        let none = Both { paid: 0, earned: 0 };
        Self {
            currency,
            lots: Vec::new(),
            left: none,
            charged: 0,
            granted: 0,
            rewarded: 0,
            spent: none,
            restored: none,
            expired: none,
            clawed: 0,
            postings: 0,
            armed: None,
            moves: Vec::new(),
            moved_in: 0,
        }
    }

    /// How many points can be spent at `now`.
    pub fn available(&self, now: Time) -> i64 {
        let live = self.lots.iter().filter(|lot| lot.is_live(now));
        live.map(|lot| lot.amount).fold(0, i64::saturating_add)
    }

    /// Whether `amount` more leave every counter in its range.
    pub const fn has_room(&self, amount: i64) -> bool {
        // No counter is above what ever came in, and that is the sum of these.
        let came = self.charged.saturating_add(self.granted).saturating_add(self.rewarded);
        let moved = came.saturating_add(self.restored.sum());
        moved < i64::MAX / 4 && amount <= LIMIT
    }

    /// How many points the lot like `lot` has.
    pub fn holds(&self, lot: Lot) -> i64 {
        let at = self.find(lot).ok();
        at.and_then(|at| self.lots.get(at)).map_or(0, |found| found.amount)
    }

    /// Puts points into their lot, which is made if need be.
    pub fn put(&mut self, lot: Lot) {
        match self.find(lot) {
            Ok(at) => {
                if let Some(found) = self.lots.get_mut(at) {
                    add(&mut found.amount, lot.amount);
                }
            }
            Err(at) => {
                // Most accounts have one lot and one movement, and there are very many accounts.
                self.lots.reserve_exact(1);
                self.lots.insert(at, lot);
            }
        }
        self.left.add(Both::of(lot.kind, lot.amount));
    }

    /// Takes points out of their lot; there must be so many.
    pub fn take(&mut self, lot: Lot) {
        let at = self.find(lot).expect("no such lot");
        let found = self.lots.get_mut(at).expect("no such lot");
        found.amount = found.amount.checked_sub(lot.amount).expect("a lot is overdrawn");
        if found.amount == 0 {
            self.lots.remove(at);
        }
        self.left.add(Both::of(lot.kind, lot.amount).negated());
    }

    /// Takes `amount` points that can be spent at `now`, and says from which lots. There must be
    /// so many.
    pub fn spend(&mut self, amount: i64, now: Time) -> Vec<Lot> {
        let mut missing = amount;
        let mut parts = Vec::with_capacity(1);
        for lot in self.lots.iter_mut().filter(|lot| lot.is_live(now)) {
            let taken = missing.min(lot.amount);
            if taken == 0 {
                break;
            }
            lot.amount = lot.amount.saturating_sub(taken);
            missing = missing.saturating_sub(taken);
            parts.push(Lot { amount: taken, ..*lot });
        }
        assert_eq!(missing, 0, "points were spent that are not there");
        self.lots.retain(|lot| lot.amount > 0);
        let spent = total(&parts);
        self.spent.add(spent);
        self.left.add(spent.negated());
        parts
    }

    /// The first lot, if its time has come.
    pub fn due(&self, now: Time) -> Option<Lot> {
        self.lots.first().filter(|lot| !lot.is_live(now)).copied()
    }

    /// When the first lot ends.
    pub fn first_end(&self) -> Option<Time> {
        self.lots.first().and_then(|lot| lot.until)
    }

    /// Notes a movement for the history, with the balance after it.
    pub fn moved(&mut self, note: Move, commit: i64) {
        if self.moved_in != commit {
            self.moves.clear();
            self.moved_in = commit;
        }
        self.moves.reserve_exact(1);
        self.moves.push(Move { balance: self.left.sum(), ..note });
        self.assert_lawful(note.user);
    }

    /// Asserts invariants 1 to 3 of the module. A failure is a bug, never the input's fault.
    pub fn assert_lawful(&self, user: UserId) {
        assert_eq!(total(&self.lots), self.left, "lots and balance of {user} differ: {self:?}");
        let Self { charged, granted, rewarded, spent, restored, expired, clawed, .. } = self;
        let came = [*charged, restored.paid, *granted, *rewarded, restored.earned];
        let went = [spent.paid, expired.paid, spent.earned, expired.earned, *clawed];
        let paid = balance(&came[..2], &went[..2]);
        let earned = balance(&came[2..], &went[2..]);
        assert_eq!((paid, earned), (self.left.paid, self.left.earned), "of {user}: {self:?}");
        let all = came.iter().chain(&went).all(|&n| n >= 0);
        let back = restored.paid <= spent.paid && restored.earned <= spent.earned;
        assert!(all && back, "a counter of {user} is out of its range: {self:?}");
        let ranks = self.lots.is_sorted_by(|a, b| a.rank() < b.rank());
        assert!(ranks, "lots of {user} are not in their order: {self:?}");
    }

    fn find(&self, lot: Lot) -> Result<usize, usize> {
        self.lots.binary_search_by_key(&lot.rank(), Lot::rank)
    }
}

/// The points in `lots`, by kind.
pub fn total(lots: &[Lot]) -> Both {
    lots.iter().fold(Both::default(), |mut sum, lot| {
        sum.add(Both::of(lot.kind, lot.amount));
        sum
    })
}

fn balance(came: &[i64], went: &[i64]) -> i64 {
    let sum = |all: &[i64]| all.iter().fold(0, |sum: i64, n| sum.saturating_add(*n));
    sum(came).saturating_sub(sum(went))
}

/// Adds to a counter; `has_room` at the entrance makes an overflow a bug.
fn add(counter: &mut i64, amount: i64) {
    *counter = counter.checked_add(amount).expect("a counter overflowed");
}
