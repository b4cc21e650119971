//! The rows of point. The account with its lots is in [`account`](super::account).

use jangbu_kernel::{OrderId, RefundId, Time, UserId, coded, rows};

use super::command::Kind;
use super::rules::Rules;

pub use super::account::{Account, Both, Lot, total};

/// The most points of one movement: sums of millions of them fit an i64.
pub const LIMIT: i64 = 1_000_000_000_000;

/// An account with so many lots gets no further one with an expiry of its own.
pub const LOTS: usize = 100;

/// The rows that point owns, and its rules.
#[derive(Debug, Default)]
pub struct Rows {
    /// Accounts by user.
    pub account: rows::Rows<UserId, Account>,
    /// What each order has to do with points.
    pub usage: rows::Rows<OrderId, Use>,
    /// Charges and grants by their payment or grant; only refunds of a charge change one.
    pub credit: rows::Rows<i64, Credit>,
    /// When accounts are woken.
    pub timer: rows::Rows<UserId, Timer>,
    /// How long points live.
    pub rules: Rules,
}

coded! {
    /// How an order stands to the account.
    State {
        /// It has spent nothing (yet).
        None = 1 "NONE",
        /// It has spent points.
        Spent = 2 "SPENT",
        /// Its spend was undone, or must not happen any more.
        Restored = 3 "RESTORED",
    }
}

/// What an order has to do with points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// Whose points.
    pub user: UserId,
    /// How it stands.
    pub state: State,
    /// What it has spent, in the order of spending.
    pub parts: Vec<Lot>,
    /// What came back, in its order; number 0 undid the rest.
    pub restores: Vec<Back>,
    /// What it has earned; 0: nothing (yet).
    pub earned: i64,
    /// Until when that lives.
    pub until: Option<Time>,
    /// What refunds took back of it.
    pub claws: Vec<Claw>,
}

/// What refund `no` gave back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Back {
    /// The refund; 0 is the undo of the whole.
    pub no: u32,
    /// How many of each kind.
    pub amounts: Both,
}

/// What refund `no` took back of the earned points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claw {
    /// The refund.
    pub no: u32,
    /// How many it asked for.
    pub asked: i64,
    /// How many left the account.
    pub taken: i64,
    /// How many had ended with their lot: they are not there, and need not be paid for.
    pub gone: i64,
    /// Given again, or never to be taken.
    pub undone: bool,
}

impl Use {
    /// Nothing yet.
    pub const fn new(user: UserId) -> Self {
        Self {
            user,
            state: State::None,
            parts: Vec::new(),
            restores: Vec::new(),
            earned: 0,
            until: None,
            claws: Vec::new(),
        }
    }

    /// What has been spent and not come back.
    pub fn out(&self) -> Both {
        let mut out = total(&self.parts);
        for back in &self.restores {
            out.add(back.amounts.negated());
        }
        out
    }

    /// The lots that `amounts` go back to: those that were spent last come back first, so what is
    /// where does not depend on how a whole is divided.
    pub fn back(&self, amounts: Both) -> Vec<Lot> {
        let mut lots = Vec::with_capacity(self.parts.len());
        for kind in [Kind::Paid, Kind::Earned] {
            let spent = total(&self.parts).get(kind);
            let mut skip = spent.saturating_sub(self.out().get(kind));
            let mut missing = amounts.get(kind);
            lots.extend(self.parts.iter().rev().filter(|part| part.kind == kind).map(|part| {
                let skipped = skip.min(part.amount);
                skip = skip.saturating_sub(skipped);
                let amount = missing.min(part.amount.saturating_sub(skipped));
                missing = missing.saturating_sub(amount);
                Lot { amount, ..*part }
            }));
        }
        lots.retain(|lot| lot.amount > 0);
        lots
    }

    /// What refund `no` took back, if it was asked.
    pub fn claw(&self, no: u32) -> Option<&Claw> {
        self.claws.iter().find(|claw| claw.no == no)
    }

    /// What the order has earned and no refund has asked for.
    pub fn kept(&self) -> i64 {
        let live = self.claws.iter().filter(|claw| !claw.undone);
        live.fold(self.earned, |left, claw| left.saturating_sub(claw.asked))
    }
}

/// Points that were bought or granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credit {
    /// Who got them.
    pub user: UserId,
    /// [`Kind::Paid`]: the key is a payment; else it is a grant.
    pub kind: Kind,
    /// How many.
    pub amount: i64,
    /// Until when they live.
    pub until: Option<Time>,
    /// Points in the account after it.
    pub balance: i64,
    /// When.
    pub at: Time,
    /// An operator's words; empty for a charge.
    pub reason: Box<str>,
    /// What of a charge went back, or is about to; never any of a grant.
    pub refunds: Vec<Refund>,
}

coded! {
    /// How a refund of a charge stands.
    RefundState {
        /// Its points are taken; the gateway has not said yet.
        Held = 1 "HELD",
        /// The gateway has refused it: the points are in their lot again.
        Returned = 2 "RETURNED",
        /// The money went back.
        Given = 3 "GIVEN",
    }
}

/// A refund of a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refund {
    /// Its name, here and in the payment.
    pub id: RefundId,
    /// How many points.
    pub amount: i64,
    /// How it stands.
    pub state: RefundState,
    /// Of a given one: points that were spent when the money went back after all.
    pub missing: i64,
}

impl Credit {
    /// The refund of this name.
    pub fn refund(&self, id: RefundId) -> Option<&Refund> {
        self.refunds.iter().find(|refund| refund.id == id)
    }

    /// How many points of a charge `account` still holds at `now` and no refund has taken.
    pub fn refundable(&self, account: &Account, now: Time) -> i64 {
        let lot = Lot { kind: self.kind, until: self.until, amount: 0 };
        if self.kind != Kind::Paid || !lot.is_live(now) {
            return 0;
        }
        let live = self.refunds.iter().filter(|refund| refund.state != RefundState::Returned);
        let kept = live.fold(self.amount, |kept, refund| kept.saturating_sub(refund.amount));
        kept.min(account.holds(lot))
    }
}

/// When an account is woken. A row of its own, because nearly every order changes its buyer's
/// account and hardly one changes when its first lot ends: an index of due accounts would cost
/// each of them a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timer {
    /// As [`Account::armed`].
    pub next_at: Option<Time>,
}
