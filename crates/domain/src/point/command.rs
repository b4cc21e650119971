//! What point can be asked, what it answers, why it refuses, what it states.

use serde::{Deserialize, Serialize};

use jangbu_kernel::domain::Coded;
use jangbu_kernel::{Currency, GrantId, OrderId, PaymentId, RefundId, Time, UnitId, UserId, coded};

/// Where point's commands go.
pub const UNIT: UnitId = UnitId("point");

coded! {
    /// Where points come from. Paid ones were bought with money, earned ones were given.
    Kind {
        /// Given: by a completed order or by an operator. Spent first among lots of one expiry.
        Earned = 1 "EARNED",
        /// Bought.
        Paid = 2 "PAID",
    }
}

coded! {
    /// Why a balance moved.
    What {
        /// Points were bought.
        Charged = 1 "CHARGED",
        /// An operator gave them.
        Granted = 2 "GRANTED",
        /// A completed order earned them.
        Earned = 3 "EARNED",
        /// An order was paid with them.
        Spent = 4 "SPENT",
        /// An order, or a refund of it, gave them back.
        Restored = 5 "RESTORED",
        /// A refund took back what its order had earned.
        ClawedBack = 6 "CLAWED_BACK",
        /// That refund was refused after all.
        Unclawed = 7 "UNCLAWED",
        /// Their time was over.
        Expired = 8 "EXPIRED",
        /// A charge is given back: the points go, the money comes.
        Refunded = 9 "REFUNDED",
        /// The gateway has refused that: the points come again.
        Unrefunded = 10 "UNREFUNDED",
    }
}

/// What point can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Points were bought and are paid: a lot of paid points.
    Charge { payment: PaymentId, user: UserId, amount: i64, currency: Currency },
    /// An operator gives points: a lot of earned points.
    Grant {
        /// Its id, minted at the edge.
        grant: GrantId,
        /// Who gets them.
        user: UserId,
        /// How many.
        amount: i64,
        /// Of which currency a point is one minor unit.
        currency: Currency,
        /// Until when; none: as long as earned points live. Ends with a day of the shop.
        expires_at: Option<Time>,
        /// Why, in the operator's words.
        reason: Box<str>,
    },
    /// A completed order earns points.
    Earn { order: OrderId, user: UserId, amount: i64, currency: Currency },
    /// An order is paid with the whole amount or with nothing: earliest expiry first, earned
    /// points before paid ones of the same expiry.
    Spend { order: OrderId, user: UserId, amount: i64, currency: Currency },
    /// Gives points back to the lots that they came from. `no` 0 undoes the whole spend, and
    /// leaves a tombstone when it was never seen; `no` ≥ 1 is what refund `no` gives back.
    Restore { order: OrderId, user: UserId, no: u32, paid: i64, earned: i64 },
    /// Takes back points that the order has earned, as far as they are there.
    ClawBack { order: OrderId, user: UserId, no: u32, amount: i64 },
    /// Refund `no` was refused after all: what it took back is given again.
    UnClaw { order: OrderId, user: UserId, no: u32 },
    /// The account's timer: lots whose time is over.
    Expire { user: UserId },
    /// A charge is to be given back, as far as its points are unspent: they are taken first, and
    /// then the payment is asked to give the money.
    Refund {
        /// Its name, minted at the edge.
        refund: RefundId,
        /// The charge.
        payment: PaymentId,
        /// Whose it is; to anybody else it does not exist.
        user: UserId,
        /// How many points; none: as many as can be.
        amount: Option<i64>,
        /// Why, in the operator's words.
        reason: Box<str>,
    },
    /// What became of the money: a fact. `given` is the last word, whatever was said before.
    RefundEnded { payment: PaymentId, refund: RefundId, user: UserId, given: bool },
}

/// What point answers. The same command again gives the same answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// The bought points are there.
    Charged {
        /// Points in the account after it.
        balance: i64,
    },
    /// The operator's points are there.
    Granted {
        /// The grant.
        grant: GrantId,
        /// How many.
        amount: i64,
        /// Until when they live.
        expires_at: Option<Time>,
        /// Points in the account after it.
        balance: i64,
    },
    /// The order's points are there.
    Earned,
    /// The order is paid with so many of each kind.
    Spent {
        /// Paid points.
        paid: i64,
        /// Earned points.
        earned: i64,
    },
    /// They are back, or a tombstone is set.
    Restored,
    /// So many of the asked points need not be paid for in cash: they were there, or had expired
    /// unspent.
    Clawed {
        /// How many.
        taken: i64,
    },
    /// They are given again, or a tombstone is set.
    UnClawed,
    /// Nothing in the account is beyond its time. Also the answer when there was nothing to do.
    Expired,
    /// The points are taken, and the payment gives the money.
    Refunding {
        /// The charge.
        payment: PaymentId,
        /// The refund of it.
        refund: RefundId,
        /// How many points.
        amount: i64,
    },
    /// What became of the refund is known.
    RefundEnded,
}

/// Why point refuses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reject {
    /// A movement is of 1 to 10^12 points.
    AmountInvalid,
    /// The account has fewer points that can be spent.
    Insufficient {
        /// How many can be.
        available: i64,
    },
    /// Points of this shop, or of this account, are of another currency.
    Currency {
        /// Which.
        currency: Currency,
    },
    /// The account would hold more points than it can count.
    Overflow,
    /// The expiry of a grant is in the past or too far ahead.
    ExpiryInvalid,
    /// The account has too many lots for one with an expiry of its own.
    LotsFull,
    /// The step was undone before it came.
    StepCancelled,
    /// The id or number is in use for another movement, or for another user's.
    UseDiffers,
    /// The order has spent, or earned, no points that could be given back.
    UseUnknown,
    /// More than the order has spent and not yet got back.
    RestoreExceedsSpent,
    /// More than the order has earned and not yet given back.
    ClawExceedsEarned,
    /// The user has no such charge, or it is not paid.
    ChargeUnknown,
    /// More points than are left of the charge: the others are spent, have ended, or went back.
    RefundExceedsLeft {
        /// How many are left.
        left: i64,
    },
    /// The charge has as many refunds as a gateway can number.
    TooManyRefunds,
}

impl Coded for Reject {
    fn code(&self) -> &'static str {
        match self {
            Self::AmountInvalid => "POINTS_AMOUNT_INVALID",
            Self::Insufficient { .. } => "POINTS_INSUFFICIENT",
            Self::Currency { .. } => "POINT_CURRENCY",
            Self::Overflow => "POINTS_OVERFLOW",
            Self::ExpiryInvalid => "POINT_EXPIRY_INVALID",
            Self::LotsFull => "POINT_LOTS_FULL",
            Self::StepCancelled => "STEP_CANCELLED",
            Self::UseDiffers => "POINT_USE_DIFFERS",
            Self::UseUnknown => "POINT_USE_UNKNOWN",
            Self::RestoreExceedsSpent => "POINT_RESTORE_EXCEEDS_SPENT",
            Self::ClawExceedsEarned => "POINT_CLAW_EXCEEDS_EARNED",
            Self::ChargeUnknown => "POINT_CHARGE_UNKNOWN",
            Self::RefundExceedsLeft { .. } => "POINT_REFUND_EXCEEDS_LEFT",
            Self::TooManyRefunds => "TOO_MANY_REFUNDS",
        }
    }
}

/// A movement that the ledger posts by itself. Charges, their refunds, spends and restores are legs
/// of a payment's posting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    /// Source of the posting: the order, the grant, or the user whose points expired.
    pub source: i64,
    /// Number of the posting among those of its source: see [`posting`].
    pub seq: i64,
    /// What happened.
    pub what: What,
    /// Which kind of points.
    pub kind: Kind,
    /// How many, at least 1.
    pub amount: i64,
    /// Their currency.
    pub currency: Currency,
}

/// Numbers of the postings that points make. Those of an order stand beside the postings of its
/// payment, which count from 1: appended at the end of the ledger's table, and never in its midst.
pub mod posting {
    /// Of a grant: its only posting.
    pub const GRANT: i64 = 1;
    /// Of an order: what it earned.
    pub const EARN: i64 = 1_000_000;
    /// Of an order: refund `no` took back, `CLAW + no`.
    pub const CLAW: i64 = 2_000_000;
    /// Of an order: refund `no` was refused, `UNCLAW + no`.
    pub const UNCLAW: i64 = 3_000_000;
    /// Of a charge: its refund at place `n` brought money for points that were spent, `SHORT + n`.
    pub const SHORT: i64 = 4_000_000;
}

/// One line of an account's history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// Whose account.
    pub user: UserId,
    /// What happened.
    pub what: What,
    /// The order, grant or payment behind it; 0: time.
    pub about: i64,
    /// Paid points that came (or went, below 0).
    pub paid: i64,
    /// Earned points that came (or went).
    pub earned: i64,
    /// Number of its own posting in the ledger; 0: a payment's posting has it.
    pub seq: i64,
    /// Points in the account after it.
    pub balance: i64,
}

/// What point states. `Changed` is folded: one per commit with every movement of every account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The ledger has to post.
    Moved(Moved),
    /// The points of a refund are taken: the payment has to give `amount`.
    Refunding {
        /// The charge.
        payment: PaymentId,
        /// The refund of it.
        refund: RefundId,
        /// Minor units.
        amount: i64,
        /// Why.
        reason: Box<str>,
    },
    /// The movements of this commit.
    Changed {
        /// By account, in their order.
        moves: Vec<Move>,
    },
}
