//! What order can be asked, what it hears from its saga, what it answers, why it refuses, what it
//! states.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use jangbu_kernel::domain::Coded;
use jangbu_kernel::{CouponId, Money, OrderId, Secret, SkuId, UnitId, UserId, coded};

use super::model::{Offer, Order, PayMode, State};

/// Where order's commands go.
pub const UNIT: UnitId = UnitId("order");

/// Which step of the saga an answer belongs to.
pub mod step {
    /// Reserve at inventory.
    pub const RESERVE: u16 = 1;
    /// Pin at inventory.
    pub const PIN: u16 = 2;
    /// Commit at inventory.
    pub const COMMIT: u16 = 3;
    /// Release at inventory.
    pub const RELEASE: u16 = 4;
    /// Intend or Authorize at payment.
    pub const PAY: u16 = 5;
    /// Inquire at payment.
    pub const INQUIRE: u16 = 6;
    /// Capture at payment.
    pub const CAPTURE: u16 = 7;
    /// Void at payment.
    pub const VOID: u16 = 8;
    /// Redeem at coupon.
    pub const COUPON: u16 = 9;
    /// Restore at coupon: the undo of Redeem.
    pub const COUPON_BACK: u16 = 10;
    /// Spend at point.
    pub const POINTS: u16 = 11;
    /// Restore at point, number 0: the undo of Spend.
    pub const POINTS_BACK: u16 = 12;
    /// Earn at point.
    pub const EARN: u16 = 13;
    /// Restore at coupon: the last unit was refunded.
    pub const COUPON_RETURN: u16 = 14;
    /// Return of refund `no` at inventory is `RETURN + no`.
    pub const RETURN: u16 = 1_000;
    /// Refund `no` at payment is `REFUND + no`.
    pub const REFUND: u16 = 2_000;
    /// Restore of refund `no` at point is `POINTS_RETURN + no`.
    pub const POINTS_RETURN: u16 = 3_000;
    /// Claw-back of refund `no` at point is `CLAW + no`.
    pub const CLAW: u16 = 4_000;
    /// Its undo is `UNCLAW + no`.
    pub const UNCLAW: u16 = 5_000;
}

/// Units of a SKU that somebody wants to buy or to give back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Units {
    /// The SKU.
    pub sku: SkuId,
    /// How many.
    pub quantity: i64,
}

/// What order can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Take an order at the price that the buyer has seen.
    Place {
        /// Its id, minted at the edge.
        order: OrderId,
        /// Who buys.
        user: UserId,
        /// What.
        lines: Vec<Units>,
        /// What the buyer expects the goods to cost.
        expected: Money,
        /// Who starts the payment.
        mode: PayMode,
        /// The card token, for [`PayMode::Server`].
        token: Option<Secret>,
        /// The coupon to use.
        coupon: Option<CouponId>,
        /// Points to pay with; 0: none.
        points: i64,
        /// What the buyer expects to pay by card, after coupon and points.
        pay: Option<i64>,
    },
    /// The client pays: `amount` must be what the card pays.
    Confirm { order: OrderId, amount: Money, token: Secret },
    /// Out of it, as far as that is possible: before anything is sent.
    Cancel { order: OrderId, reason: Box<str> },
    /// Money and points back for `units`, or for everything that is left. `returned`: the units
    /// were sent, and come back.
    Refund {
        /// The order.
        order: OrderId,
        /// Which units.
        units: Option<Vec<Units>>,
        /// Whether they go back to the shelf.
        restock: bool,
        /// Why.
        reason: Box<str>,
        /// Only units that were sent.
        returned: bool,
    },
    /// An operator steps in.
    Operate { order: OrderId, verb: Verb, reason: Box<str> },
    /// Something happened to the order's saga. Every driver comes this way, and twice is harmless.
    Hear { order: OrderId, event: SagaEvent },
    /// The catalogue's offers of SKUs as they are now.
    Learn { offers: Vec<(SkuId, Offer)> },
    /// Units of a sold order are handed to a carrier: these, or all that are still here.
    Ship { order: OrderId, units: Option<Vec<Units>>, carrier: Box<str>, tracking: Box<str> },
    /// Shipment `no` has arrived.
    Deliver { order: OrderId, no: u32 },
}

coded! {
    /// What an operator may do to a saga. Which of them is allowed where: [`verbs`].
    ///
    /// [`verbs`]: super::operate::verbs
    Verb {
        /// Ask again now, with fresh patience.
        Retry = 1 "retry",
        /// Turn it back, as the buyer's cancellation would.
        Compensate = 2 "compensate",
        /// Give it up: undo what can be undone, and say what could not.
        Abandon = 3 "abandon",
    }
}

/// What can happen to a saga.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SagaEvent {
    /// All units are held (and pinned, if the server pays).
    StockReserved,
    /// They are not.
    StockRefused {
        /// Inventory's code.
        code: Cow<'static, str>,
    },
    /// The hold cannot expire any more.
    StockPinned,
    /// It could not be pinned.
    StockNotPinned {
        /// Inventory's code.
        code: Cow<'static, str>,
    },
    /// The units are sold.
    StockCommitted,
    /// They could not be: an invariant is broken, an operator must look.
    StockNotCommitted {
        /// Inventory's code.
        code: Cow<'static, str>,
    },
    /// The units are given back.
    StockReleased,
    /// They could not be.
    StockNotReleased {
        /// Inventory's code.
        code: Cow<'static, str>,
    },
    /// The units of refund `no` are booked.
    StockReturned {
        /// The refund.
        no: u32,
    },
    /// The money is held, not taken.
    PayAuthorized,
    /// The money is taken.
    PayCaptured {
        /// How much.
        amount: i64,
    },
    /// It was not and will not be.
    PayDeclined {
        /// Why.
        code: Box<str>,
    },
    /// The gateway was never asked.
    PayNotSent {
        /// Why.
        why: Box<str>,
    },
    /// The outcome is open.
    PayUnknown {
        /// Why.
        why: Box<str>,
    },
    /// The gateway does not know of it, yet.
    PayNotFound,
    /// The intent or the hold is gone.
    PayVoided,
    /// The gateway has told us that the client has paid: a hint, to be checked.
    PaidHint,
    /// The money of refund `no` is back.
    Refunded {
        /// The refund.
        no: u32,
    },
    /// Whether it is, is open.
    RefundUnknown {
        /// The refund.
        no: u32,
    },
    /// It will not come back.
    RefundRefused {
        /// The refund.
        no: u32,
        /// Why.
        code: Box<str>,
    },
    /// The money of refund `no` is set aside for the customer.
    SetAside {
        /// The refund.
        no: u32,
    },
    /// The order's timer.
    Timer,
    /// The coupon is used for this order.
    CouponRedeemed {
        /// Minor units off the goods.
        discount: i64,
        /// Whose goods alone it is for.
        scope: Option<Arc<str>>,
        /// The merchant pays for it, not the platform.
        merchant_funded: bool,
    },
    /// It is not.
    CouponRefused {
        /// Coupon's code.
        code: Cow<'static, str>,
    },
    /// It is not used by this order, and never will be.
    CouponRestored,
    /// It could not be given back.
    CouponNotRestored {
        /// Coupon's code.
        code: Cow<'static, str>,
    },
    /// The points are spent.
    PointsSpent {
        /// Of those that were paid for.
        paid: i64,
        /// Of those that were earned.
        earned: i64,
    },
    /// They are not.
    PointsRefused {
        /// Point's code.
        code: Cow<'static, str>,
    },
    /// Points are back: those of refund `no`, or (0) all of the order's.
    PointsRestored {
        /// The refund.
        no: u32,
    },
    /// They could not be given back.
    PointsNotRestored {
        /// The refund.
        no: u32,
        /// Point's code.
        code: Cow<'static, str>,
    },
    /// The buyer has the points that this order earns.
    PointsEarned,
    /// What was left of earned points is taken back for refund `no`.
    Clawed {
        /// The refund.
        no: u32,
        /// How many of them were left.
        taken: i64,
    },
    /// The claw-back of refund `no` is undone.
    UnClawed {
        /// The refund.
        no: u32,
    },
}

/// What order answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// Carried out; a client gets the order as it is when its cascade has ended.
    Done,
    /// The order as it is now.
    Order(OrderId, Box<Order>),
}

/// Why order refuses. A refusal creates nothing; what must be remembered is an order that ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reject {
    /// An order has 1 to 100 lines.
    LinesInvalid,
    /// A quantity is 1 to 10,000.
    QuantityInvalid {
        /// Where.
        sku: SkuId,
    },
    /// The SKU is unknown or not on sale.
    SkuNotOnSale {
        /// Which.
        sku: SkuId,
    },
    /// All lines and the expected total share one currency.
    CurrencyMismatch {
        /// Where it differs.
        sku: SkuId,
    },
    /// The lines cost something else now.
    PriceChanged {
        /// What they cost.
        total: i64,
    },
    /// The total is above the limit of an order.
    TotalTooLarge,
    /// The server can only pay with a card token.
    TokenRequired,
    /// The id belongs to another order.
    OrderDiffers,
    /// There is no such order.
    OrderUnknown,
    /// It does not wait for a payment.
    NotAwaitingPayment {
        /// Where it stands.
        state: State,
    },
    /// The amount to pay is another one.
    AmountDiffers {
        /// What the card pays.
        total: i64,
    },
    /// It cannot be cancelled any more.
    OrderNotCancellable {
        /// Where it stands.
        state: State,
    },
    /// Only a completed order can be refunded.
    OrderNotRefundable {
        /// Where it stands.
        state: State,
    },
    /// More units than are left, or none.
    RefundExceedsOrder {
        /// Where.
        sku: SkuId,
    },
    /// Nothing is left to be refunded.
    NothingToRefund,
    /// An order has at most 999 refunds.
    TooManyRefunds,
    /// Points to pay with are 0 or more.
    PointsInvalid,
    /// More units than were sent and have not come back.
    ReturnExceedsShipped {
        /// Where.
        sku: SkuId,
    },
    /// Only what is sold can be sent.
    OrderNotShippable {
        /// Where it stands.
        state: State,
    },
    /// More units than are still here.
    ShipmentExceedsOrder {
        /// Where.
        sku: SkuId,
    },
    /// Nothing is left to be sent.
    NothingToShip,
    /// An order has at most 999 shipments.
    TooManyShipments,
    /// There is no such shipment.
    ShipmentUnknown {
        /// Which.
        no: u32,
    },
    /// An operator may not do that to it as it stands.
    VerbNotAllowed {
        /// Where it stands.
        state: State,
        /// What is allowed.
        allowed: Vec<Verb>,
    },
}

impl Coded for Reject {
    fn code(&self) -> &'static str {
        match self {
            Self::LinesInvalid => "LINES_INVALID",
            Self::QuantityInvalid { .. } => "QUANTITY_INVALID",
            Self::SkuNotOnSale { .. } => "SKU_NOT_ON_SALE",
            Self::CurrencyMismatch { .. } => "CURRENCY_MISMATCH",
            Self::PriceChanged { .. } => "PRICE_CHANGED",
            Self::TotalTooLarge => "TOTAL_TOO_LARGE",
            Self::TokenRequired => "TOKEN_REQUIRED",
            Self::OrderDiffers => "ORDER_DIFFERS",
            Self::OrderUnknown => "ORDER_UNKNOWN",
            Self::NotAwaitingPayment { .. } => "NOT_AWAITING_PAYMENT",
            Self::AmountDiffers { .. } => "AMOUNT_DIFFERS",
            Self::OrderNotCancellable { .. } => "ORDER_NOT_CANCELLABLE",
            Self::OrderNotRefundable { .. } => "ORDER_NOT_REFUNDABLE",
            Self::RefundExceedsOrder { .. } => "REFUND_EXCEEDS_ORDER",
            Self::NothingToRefund => "NOTHING_TO_REFUND",
            Self::TooManyRefunds => "TOO_MANY_REFUNDS",
            Self::PointsInvalid => "POINTS_AMOUNT_INVALID",
            Self::ReturnExceedsShipped { .. } => "RETURN_EXCEEDS_SHIPPED",
            Self::OrderNotShippable { .. } => "ORDER_NOT_SHIPPABLE",
            Self::ShipmentExceedsOrder { .. } => "SHIPMENT_EXCEEDS_ORDER",
            Self::NothingToShip => "NOTHING_TO_SHIP",
            Self::TooManyShipments => "TOO_MANY_SHIPMENTS",
            Self::ShipmentUnknown { .. } => "SHIPMENT_UNKNOWN",
            Self::VerbNotAllowed { .. } => "VERB_NOT_ALLOWED",
        }
    }
}

/// What order states. The row has the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It was accepted.
    Placed { order: OrderId },
    /// It was sold.
    Completed { order: OrderId },
    /// It ended without a sale.
    Cancelled { order: OrderId },
    /// Refund `no` has ended well.
    Refunded { order: OrderId, no: u32, amount: i64 },
    /// A turn of the saga that does not happen to every order.
    Advanced { order: OrderId, from: State, to: State, why: Box<str> },
    /// Shipment `no` has left.
    Shipped { order: OrderId, no: u32 },
    /// Shipment `no` has arrived.
    Delivered { order: OrderId, no: u32 },
}
