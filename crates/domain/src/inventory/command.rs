//! What inventory can be asked, what it answers, why it refuses, what it states.

use serde::{Deserialize, Serialize};

use jangbu_kernel::domain::Coded;
use jangbu_kernel::id::MovementId;
use jangbu_kernel::{OrderId, SkuId, Time, UnitId};

/// Where inventory's commands go.
pub const UNIT: UnitId = UnitId("inventory");

/// So many units of a SKU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The SKU.
    pub sku: SkuId,
    /// How many; at least 1.
    pub quantity: i64,
}

/// What inventory can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Goods came in.
    Receive { movement: MovementId, sku: SkuId, quantity: i64, reason: Box<str> },
    /// New SKUs have a first stock; each receipt has the number of its SKU.
    Open { first: Vec<(SkuId, i64)> },
    /// A count was corrected; may be negative, never below what is available.
    Adjust { movement: MovementId, sku: SkuId, delta: i64, reason: Box<str> },
    /// Hold all lines or none until `expires_at`. `pin`: the server pays at once, so the
    /// reservation is pinned from the start and its saga alone ends it.
    Reserve { order: OrderId, lines: Vec<Line>, pin: bool, expires_at: Time },
    /// Payment begins: the reservation must not expire any more.
    Pin { order: OrderId },
    /// Paid: the units are sold.
    Commit { order: OrderId },
    /// Give the units back. On a reservation never seen it leaves a tombstone.
    Release { order: OrderId },
    /// The hold of an unpaid order ran out (its timer).
    Expire { order: OrderId },
    /// Units of a sold order come back with refund `no`: to the shelf, or written off.
    Return { order: OrderId, no: u32, lines: Vec<Line>, restock: bool },
}

/// What inventory answers. The same command again gives the same answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// The movement is booked; `available` units after it.
    Moved { movement: MovementId, sku: SkuId, quantity: i64, available: i64 },
    /// All lines are held (or pinned).
    Reserved,
    /// It cannot expire any more.
    Pinned,
    /// The units are sold.
    Committed,
    /// The units are given back, or a tombstone is set.
    Released,
    /// The hold has run out. Also the answer when there was nothing to end (any more, or yet).
    Expired,
    /// The returned units are booked.
    Returned,
}

/// Why inventory refuses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reject {
    /// A quantity below 1, an adjustment by 0, or no lines at all.
    QuantityInvalid,
    /// There are not enough units.
    InsufficientStock { sku: SkuId, available: i64 },
    /// No stock was ever received for it.
    StockUnknown { sku: SkuId },
    /// A reservation exists with other lines.
    ReservationDiffers,
    /// The hold had run out.
    ReservationExpired,
    /// It was given back (or a tombstone was there first).
    ReservationReleased,
    /// There is no reservation.
    ReservationUnknown,
    /// It is sold: it can be returned, not released.
    ReservationCommitted,
    /// It was not pinned before it was committed.
    ReservationNotPinned,
    /// More units than were sold and not yet returned.
    ReturnExceedsSold { sku: SkuId },
    /// The refund number was used for another return.
    ReturnDiffers,
    /// A counter would leave its range.
    QuantityOverflow,
    /// The movement id is in use for another movement.
    MovementDiffers,
}

impl Coded for Reject {
    fn code(&self) -> &'static str {
        match self {
            Self::QuantityInvalid => "QUANTITY_INVALID",
            Self::InsufficientStock { .. } => "INSUFFICIENT_STOCK",
            Self::StockUnknown { .. } => "STOCK_UNKNOWN",
            Self::ReservationDiffers => "RESERVATION_DIFFERS",
            Self::ReservationExpired => "RESERVATION_EXPIRED",
            Self::ReservationReleased => "RESERVATION_RELEASED",
            Self::ReservationUnknown => "RESERVATION_UNKNOWN",
            Self::ReservationCommitted => "RESERVATION_COMMITTED",
            Self::ReservationNotPinned => "RESERVATION_NOT_PINNED",
            Self::ReturnExceedsSold { .. } => "RETURN_EXCEEDS_SOLD",
            Self::ReturnDiffers => "RETURN_DIFFERS",
            Self::QuantityOverflow => "QUANTITY_OVERFLOW",
            Self::MovementDiffers => "MOVEMENT_DIFFERS",
        }
    }
}

/// What inventory states. `Changed` is folded: one per commit with every SKU that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Availability after this commit.
    Changed {
        /// SKU and units available, ascending by SKU.
        stocks: Vec<(SkuId, i64)>,
    },
}
