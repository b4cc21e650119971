//! The rows of an order and of the offers it sells from.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use jangbu_kernel::{Correlation, CouponId, Currency, Secret, SkuId, Time, UserId, coded};

use crate::payment::command as payment;

pub use super::offer::Offer;
pub use super::rules::Rules;
pub use super::units::Fulfilment;

coded! {
    /// Where an order stands. The diagram is in the module `order`.
    State {
        /// Stock is being held.
        Holding = 1 "HOLDING",
        /// Held; the client pays.
        AwaitPay = 2 "AWAIT_PAY",
        /// The gateway is asked.
        Paying = 3 "PAYING",
        /// Whether the money was taken is open.
        PayUnknown = 4 "PAY_UNKNOWN",
        /// Paid; the stock becomes sold.
        Committing = 5 "COMMITTING",
        /// Paid, but cancelled meanwhile: the money goes back.
        Reversing = 6 "REVERSING",
        /// What was held is given back.
        Unwinding = 7 "UNWINDING",
        /// Sold.
        Completed = 8 "COMPLETED",
        /// Ended without a sale.
        Cancelled = 9 "CANCELLED",
        /// Waits for an operator.
        Stuck = 10 "STUCK",
    }
}

coded! {
    /// How far a step of the saga is.
    #[derive(Default)]
    Step {
        /// Not begun.
        #[default]
        None = 0 "none",
        /// Asked; the answer is open.
        Asked = 1 "asked",
        /// Done.
        Done = 2 "done",
        /// Refused: nothing to undo.
        Refused = 3 "refused",
        /// Its undo was asked.
        UndoAsked = 4 "undo_asked",
        /// Undone.
        Undone = 5 "undone",
    }
}

coded! {
    /// Who starts the payment.
    PayMode {
        /// The server, with the token that came with the order.
        Server = 1 "SERVER",
        /// The client, by confirming.
        Client = 2 "CLIENT",
    }
}

coded! {
    /// How far a refund is.
    RefundState {
        /// Written down.
        Requested = 1 "REQUESTED",
        /// Asked at the gateway; from here on it cannot be refused by us.
        AtPsp = 2 "PSP_REFUND",
        /// The money is back; the units follow.
        Restoring = 3 "RESTORING",
        /// Ended.
        Done = 4 "DONE",
        /// The gateway would not.
        Refused = 5 "REFUSED",
        /// No gateway will: payment is asked to set the money aside for the customer.
        SettingAside = 6 "SETTING_ASIDE",
        /// It is set aside.
        SetAside = 7 "SET_ASIDE",
        /// Points that the units have earned are taken back first.
        Clawing = 8 "CLAWING",
        /// The gateway would not: what was taken back is given again.
        Unclawing = 9 "UNCLAWING",
    }
}

coded! {
    /// How an order ended, for its buyer and for the statistics.
    Outcome {
        /// Paid, and the units are the buyer's.
        Sold = 1 "SOLD",
        /// There were not enough units.
        SoldOut = 2 "SOLD_OUT",
        /// The payment was declined.
        Declined = 3 "DECLINED",
        /// The client did not pay in time.
        Expired = 4 "EXPIRED",
        /// Cancelled on request.
        Cancelled = 5 "CANCELLED",
        /// The gateway was not asked: too much load or an outage. A new key may try again.
        Shed = 6 "SHED",
        /// A part of the shop did not answer.
        Error = 7 "ERROR",
        /// The buyer expected to pay something else by card.
        PriceChanged = 8 "PRICE_CHANGED",
        /// The coupon or the points could not be used.
        Limit = 9 "LIMIT",
    }
}

impl Outcome {
    /// From its text in the store.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|outcome| outcome.name() == name)
    }
}

/// How the reason of an order begins that an operator has given up.
pub const ABANDONED: &str = "abandoned: ";

/// A line of an order, with the price at which it was placed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The SKU.
    pub sku: SkuId,
    /// Units ordered.
    pub quantity: i64,
    /// What one costs.
    pub unit_price: i64,
    /// Who sells it.
    pub merchant: Arc<str>,
}

/// Units `from..from + quantity` of a line. Which units they are decides, to the won, what their
/// shares of discount, points and cash are: see [`allocation`](super::allocation).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// Index of the line.
    pub line: usize,
    /// The first unit.
    pub from: i64,
    /// How many.
    pub quantity: i64,
}

impl Range {
    /// The unit after the last one.
    pub fn end(&self) -> i64 {
        self.from.saturating_add(self.quantity)
    }
}

/// A refund of some units, or ([`Refund::is_reversal`]) of a whole payment that must not have
/// happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// Its number within the order.
    pub no: u32,
    /// How far it is.
    pub state: RefundState,
    /// What goes back to the card, in minor units: the card's share of the units less `deduct`.
    pub amount: i64,
    /// Which units.
    pub units: Vec<Range>,
    /// Whether the units go back to the shelf.
    pub restock: bool,
    /// Why.
    pub reason: Box<str>,
    /// Paid points that go back.
    pub paid: i64,
    /// Earned points that go back.
    pub earned: i64,
    /// Points that the units had earned and that were taken back.
    pub clawed: i64,
    /// Those that were spent before they could be taken back: kept from the cash.
    pub deduct: i64,
    /// What still has to follow the money: [`owed`].
    pub owed: u8,
}

/// What follows the money of a refund, each until it is answered.
pub mod owed {
    /// The units are booked.
    pub const STOCK: u8 = 1;
    /// The points are back in their lots.
    pub const POINTS: u8 = 2;
    /// The coupon is free again, as no unit is left.
    pub const COUPON: u8 = 4;
    /// What was taken back is given again: the refund was refused, and given all the same.
    pub const UNCLAW: u8 = 8;
}

impl Refund {
    /// Whether something still has to happen for it.
    pub fn is_open(&self) -> bool {
        use RefundState::{Done, Refused, SetAside};
        !matches!(self.state, Done | Refused | SetAside)
    }

    /// Whether it is an attempt to reverse the whole payment.
    pub fn is_reversal(&self) -> bool {
        payment::is_reversal(self.no)
    }
}

/// A coupon that an order uses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CouponUse {
    /// Which.
    pub coupon: CouponId,
    /// The step at coupon.
    pub step: Step,
    /// What it takes off, once it is redeemed.
    pub discount: i64,
    /// Whose goods alone it is for.
    pub scope: Option<Arc<str>>,
    /// Its merchant pays for it; else the platform does.
    pub merchant_funded: bool,
}

impl CouponUse {
    /// Nobody was asked yet.
    pub fn new(coupon: CouponId) -> Self {
        Self { coupon, step: Step::None, discount: 0, scope: None, merchant_funded: false }
    }
}

/// The points that an order is paid with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointUse {
    /// How many the buyer wants to spend.
    pub wanted: i64,
    /// The step at point.
    pub step: Step,
    /// Of those spent: bought ones.
    pub paid: i64,
    /// Of those spent: earned ones.
    pub earned: i64,
}

/// The points that a sold order earns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Earning {
    /// The step at point.
    pub step: Step,
    /// The rate, in hundredths of a percent of what the card pays, frozen with the sale.
    pub bp: i64,
    /// How many.
    pub points: i64,
}

/// Units that were handed to a carrier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shipment {
    /// Its number within the order, from 1.
    pub no: u32,
    /// Which units.
    pub units: Vec<Range>,
    /// Who carries them.
    pub carrier: Box<str>,
    /// The carrier's number.
    pub tracking: Box<str>,
    /// When they left.
    pub shipped_at: Time,
    /// When they arrived.
    pub delivered_at: Option<Time>,
}

/// An order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Who buys.
    pub user: UserId,
    /// Where it stands.
    pub state: State,
    /// Where it got stuck.
    pub stuck_in: Option<State>,
    /// The step at inventory.
    pub stock: Step,
    /// The step at payment.
    pub pay: Step,
    /// Who starts the payment.
    pub mode: PayMode,
    /// The buyer wants out; acted on as soon as that is safe.
    pub cancel_wanted: bool,
    /// How it ended, or how it will end once it is unwound.
    pub outcome: Option<Outcome>,
    /// The code behind the outcome or the wait.
    pub reason: Option<Box<str>>,
    /// One currency per order.
    pub currency: Currency,
    /// What its goods cost.
    pub total: i64,
    /// What the card has got back.
    pub refunded: i64,
    /// Frozen when placed.
    pub lines: Arc<[Line]>,
    /// The coupon, if the buyer uses one.
    pub coupon: Option<Box<CouponUse>>,
    /// The points that it is paid with.
    pub points: PointUse,
    /// What the buyer expects to pay by card, if that was said.
    pub expects: Option<i64>,
    /// The points that it earns.
    pub earning: Earning,
    /// What was sent to the buyer, oldest first.
    pub shipments: Vec<Shipment>,
    /// Oldest first.
    pub refunds: Vec<Refund>,
    /// The card token, only until the gateway is asked.
    pub token: Option<Secret>,
    /// How often the running step was repeated.
    pub tries: i64,
    /// Its timer.
    pub next_at: Option<Time>,
    /// When it was accepted.
    pub placed_at: Time,
    /// When it ended.
    pub settled_at: Option<Time>,
    /// The correlation id of the request that placed it.
    pub correlation: Correlation,
}

impl Order {
    /// Whether its outcome is final.
    pub fn is_settled(&self) -> bool {
        matches!(self.state, State::Completed | State::Cancelled)
    }

    /// The refund with number `no`.
    pub fn refund(&self, no: u32) -> Option<&Refund> {
        self.refunds.iter().find(|refund| refund.no == no)
    }

    /// The latest attempt to reverse the payment.
    pub fn reversal(&self) -> Option<&Refund> {
        self.refunds.iter().rev().find(|refund| refund.is_reversal())
    }

    /// Whether an operator has given it up.
    pub fn is_abandoned(&self) -> bool {
        let given_up = |reason: &str| reason.starts_with(ABANDONED);
        self.outcome.is_some() && self.reason.as_deref().is_some_and(given_up)
    }

    /// What the coupon takes off.
    pub fn discount(&self) -> i64 {
        self.coupon.as_ref().map_or(0, |coupon| coupon.discount)
    }

    /// What the card pays.
    pub fn card(&self) -> i64 {
        let off = self.discount().saturating_add(self.points.paid);
        self.total.saturating_sub(off.saturating_add(self.points.earned))
    }

    /// Whether merchants get nothing for it: no payment has to happen, and none to be undone.
    pub fn is_free(&self) -> bool {
        let by_merchant = self.coupon.as_ref().filter(|coupon| coupon.merchant_funded);
        self.total == by_merchant.map_or(0, |coupon| coupon.discount)
    }

    /// Which coupon it uses.
    pub fn coupon_id(&self) -> Option<CouponId> {
        self.coupon.as_ref().map(|coupon| coupon.coupon)
    }

    /// The step at coupon.
    pub fn coupon_step(&self) -> Step {
        self.coupon.as_ref().map_or(Step::None, |coupon| coupon.step)
    }

    /// How much of it is on its way.
    pub fn fulfilment(&self) -> Fulfilment {
        if self.shipments.is_empty() {
            return Fulfilment::Unshipped;
        }
        if !super::units::free(self, super::units::Which::Unshipped).is_empty() {
            return Fulfilment::PartlyShipped;
        }
        let arrived = self.shipments.iter().all(|shipment| shipment.delivered_at.is_some());
        if arrived { Fulfilment::Delivered } else { Fulfilment::Shipped }
    }
}
