//! Accounts against what events have told of them.

use super::{Account, Points};
use crate::{
    book::Book,
    ids,
    told::{POINT, Purse, Told},
};

/// Numbers of what happens to points.
mod what {
    pub(super) const CHARGED: usize = 1;
    pub(super) const GRANTED: usize = 2;
    pub(super) const EARNED: usize = 3;
    pub(super) const SPENT: usize = 4;
    pub(super) const RESTORED: usize = 5;
    pub(super) const CLAWED_BACK: usize = 6;
    pub(super) const UNCLAWED: usize = 7;
    pub(super) const EXPIRED: usize = 8;
    pub(super) const REFUNDED: usize = 9;
    pub(super) const UNREFUNDED: usize = 10;
}

/// Counters: charged, granted, rewarded, clawed, and by kind spent, restored, expired.
type Counters = ([i128; 4], [[i128; 2]; 3]);

impl Points {
    /// Compares every account with the movements that were told.
    pub(crate) fn told(&self, told: &Told, book: &mut Book) {
        for (user, account) in &self.accounts {
            let purse = told.points.get(user);
            let counters = counters(account);
            let balance = balance(&counters);
            let ends = purse.is_none_or(|purse| purse.balance == balance);
            let sums = purse.map(sums).unwrap_or_default();
            if !ends || told.whole && sums != counters {
                let last = purse.map(|purse| purse.balance);
                let detail =
                    format!("has {balance} points by {counters:?}; told were {last:?} by {sums:?}");
                book.find(POINT, ids::show("usr", *user), detail);
            }
        }
        for user in told.points.keys().filter(|user| !self.accounts.contains_key(user)) {
            let detail = "its points moved, and it is absent".to_owned();
            book.find(POINT, ids::show("usr", *user), detail);
        }
    }
}

fn counters(account: &Account) -> Counters {
    let says = &account.says;
    let single = [says.charged, says.granted, says.rewarded, says.clawed].map(i128::from);
    let wide = |both: [i64; 2]| both.map(i128::from);
    (single, [wide(says.spent), wide(says.restored), wide(account.expired.0)])
}

fn balance((single, kinds): &Counters) -> i128 {
    let [charged, granted, rewarded, clawed] = single;
    let [spent, restored, expired] = kinds.map(|[paid, earned]| paid + earned);
    charged + granted + rewarded - clawed + restored - spent - expired
}

fn sums(purse: &Purse) -> Counters {
    let of = |what: usize| purse.sums[what];
    let both = |one: usize, other: usize| of(one)[1] + of(other)[1];
    let charged = of(what::CHARGED)[0] + of(what::REFUNDED)[0] + of(what::UNREFUNDED)[0];
    let clawed = -both(what::CLAWED_BACK, what::UNCLAWED);
    let gone = |what: usize| of(what).map(|n| -n);
    (
        [charged, of(what::GRANTED)[1], of(what::EARNED)[1], clawed],
        [gone(what::SPENT), of(what::RESTORED), gone(what::EXPIRED)],
    )
}
