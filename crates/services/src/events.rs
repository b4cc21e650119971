//! Events as they leave the cell: the payload of an outbox row, compact (postcard), one variant
//! for each topic; and as the outside gets them, as JSON.
//!
//! | part | holds |
//! |---|---|
//! | `record` | an outbox row as a record: topic, key, value, headers; and back |
//! | `body` | the shape of the JSON of each event |
//! | `facts` | from a fact to its JSON and back |
//! | `topics` | what is published, with the schema of each |

mod body;
mod facts;
mod record;
mod topics;

use serde::{Deserialize, Serialize};

use jangbu_engine::unit::Sink;
use jangbu_kernel::Ctx;

pub use record::{Buried, Damaged, Record, Row, Taken};
pub use topics::{DEAD, PUBLISHED, Topic, names};

/// A fact that was committed. Text is borrowed from the row or from the payload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Fact<'a> {
    /// `order.placed`
    OrderPlaced {
        /// Who buys.
        user: i64,
        /// Minor units.
        total: i64,
        /// ISO code.
        currency: &'a str,
        /// SKU, quantity, unit price.
        #[serde(borrow)]
        lines: Vec<(i64, i64, i64, &'a str)>,
    },
    /// `order.completed`
    OrderCompleted {
        /// Who bought.
        user: i64,
        /// Minor units.
        total: i64,
        /// ISO code.
        currency: &'a str,
    },
    /// `order.cancelled`
    OrderCancelled {
        /// Who wanted to buy.
        user: i64,
        /// The class.
        outcome: &'a str,
        /// The code behind it.
        reason: &'a str,
    },
    /// `order.refunded`
    OrderRefunded {
        /// Number of the refund.
        no: u32,
        /// Minor units.
        amount: i64,
        /// ISO code.
        currency: &'a str,
    },
    /// `order.advanced`: a turn that not every order takes; internal, for the timeline.
    OrderAdvanced {
        /// State before.
        from: &'a str,
        /// State after.
        to: &'a str,
        /// Why.
        why: &'a str,
    },
    /// `payment.authorized`
    PaymentAuthorized {
        /// Minor units.
        amount: i64,
        /// ISO code.
        currency: &'a str,
    },
    /// `payment.capture-requested`
    PaymentCaptureRequested {
        /// Minor units.
        amount: i64,
        /// ISO code.
        currency: &'a str,
    },
    /// `payment.captured`
    PaymentCaptured {
        /// Number of the ledger posting, 0 if there is none.
        seq: i64,
        /// Minor units.
        amount: i64,
        /// ISO code.
        currency: &'a str,
    },
    /// `payment.refund-requested`
    PaymentRefundRequested {
        /// Number of the refund.
        no: u32,
        /// Minor units.
        amount: i64,
        /// ISO code.
        currency: &'a str,
    },
    /// `payment.refunded`
    PaymentRefunded {
        /// Number of the refund.
        no: u32,
        /// Number of the ledger posting.
        seq: i64,
        /// Minor units.
        amount: i64,
        /// ISO code.
        currency: &'a str,
    },
    /// `product.changed`
    ProductChanged {
        /// The SKU.
        sku: i64,
        /// Who sells it.
        merchant: &'a str,
        /// Minor units.
        price: i64,
        /// ISO code.
        currency: &'a str,
        /// Whether it can be ordered.
        on_sale: bool,
    },
    /// `stock.changed`: SKU and units available, one event for each commit.
    StockChanged {
        /// Ascending by SKU.
        stocks: Vec<(i64, i64)>,
    },
    /// `payment.set-aside`: money that no gateway gives back is the customer's.
    PaymentSetAside {
        /// Number of the refund that is only booked.
        no: u32,
        /// Number of the ledger posting.
        seq: i64,
        /// Minor units.
        amount: i64,
        /// ISO code.
        currency: &'a str,
    },
    /// `payment.released`: a gateway has given it back after all; `payment.refunded` follows.
    PaymentReleased {
        /// Number of the refund that was only booked.
        no: u32,
        /// Number of the ledger posting.
        seq: i64,
        /// Minor units.
        amount: i64,
        /// ISO code.
        currency: &'a str,
    },
    /// `journal.posted`
    JournalPosted {
        /// Number of its postings.
        postings: i64,
        /// Number of their legs.
        entries: i64,
    },
    /// `point.changed`: every movement of points of a commit.
    PointChanged {
        /// By account, in their order.
        moves: Vec<PointMove>,
    },
    /// `coupon.changed`: one event for each commit and campaign.
    CouponChanged {
        /// Issued, used, free, expired, revoked.
        tally: [i64; 5],
        /// Coupon, user, state, order (0: none), of those issued in this commit.
        issued: Vec<(i64, i64, i64, i64)>,
        /// The same of those that were there before and changed.
        moved: Vec<(i64, i64, i64, i64)>,
    },
    /// `product.changed`: what it is called, or where it stands.
    ProductEdited {
        /// Its name now.
        name: &'a str,
        /// Its category now.
        category: Option<i64>,
    },
    /// `category.changed`
    CategoryChanged {
        /// The one that it belongs to.
        parent: Option<i64>,
        /// What it is called in paths.
        code: &'a str,
        /// What it is called now.
        name: &'a str,
    },
    /// `order.shipped`
    OrderShipped {
        /// Number of the shipment.
        no: u32,
    },
    /// `order.delivered`
    OrderDelivered {
        /// Number of the shipment.
        no: u32,
    },
}

/// A movement of points.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointMove {
    /// Whose.
    pub user: i64,
    /// Why: number of a [`What`](jangbu_domain::point::command::What).
    pub what: i64,
    /// The order, grant or payment behind it; 0: time.
    pub about: i64,
    /// Paid points that came, or went.
    pub paid: i64,
    /// Earned points that came, or went.
    pub earned: i64,
    /// Number of its own posting in the ledger; 0: it has none.
    pub seq: i64,
    /// Points after it.
    pub balance: i64,
}

impl PointMove {
    /// Source and number of its own posting in the ledger, if it has one.
    pub fn posting(&self) -> Option<(i64, i64)> {
        let source = if self.about == 0 { self.user } else { self.about };
        (self.seq > 0).then_some((source, self.seq))
    }
}

impl<'a> Fact<'a> {
    /// Its topic.
    pub fn topic(&self) -> &'static str {
        match self {
            Self::OrderPlaced { .. } => "order.placed",
            Self::OrderCompleted { .. } => "order.completed",
            Self::OrderCancelled { .. } => "order.cancelled",
            Self::OrderRefunded { .. } => "order.refunded",
            Self::OrderAdvanced { .. } => "order.advanced",
            Self::PaymentAuthorized { .. } => "payment.authorized",
            Self::PaymentCaptureRequested { .. } => "payment.capture-requested",
            Self::PaymentCaptured { .. } => "payment.captured",
            Self::PaymentRefundRequested { .. } => "payment.refund-requested",
            Self::PaymentRefunded { .. } => "payment.refunded",
            Self::ProductChanged { .. } | Self::ProductEdited { .. } => "product.changed",
            Self::CategoryChanged { .. } => "category.changed",
            Self::StockChanged { .. } => "stock.changed",
            Self::PaymentSetAside { .. } => "payment.set-aside",
            Self::PaymentReleased { .. } => "payment.released",
            Self::OrderShipped { .. } => "order.shipped",
            Self::OrderDelivered { .. } => "order.delivered",
            Self::JournalPosted { .. } => "journal.posted",
            Self::PointChanged { .. } => "point.changed",
            Self::CouponChanged { .. } => "coupon.changed",
        }
    }

    /// Puts it into the outbox, as version `version` of aggregate `key`.
    pub fn publish(&self, key: i64, version: i64, ctx: &Ctx, sink: &mut Sink) {
        sink.publish(ctx, self.topic(), (key, version), |bytes| {
            // Writing into a vector cannot fail.
            if let Ok(more) = postcard::to_extend(self, std::mem::take(bytes)) {
                *bytes = more;
            }
        });
    }

    /// From the payload of an outbox row.
    pub fn decode(payload: &'a [u8]) -> Result<Self, postcard::Error> {
        match postcard::from_bytes(payload) {
            Err(postcard::Error::DeserializeUnexpectedEnd) => {
                Self::older(payload).ok_or(postcard::Error::DeserializeUnexpectedEnd)
            }
            decoded => decoded,
        }
    }

    /// From a payload of a version that did not keep the currency of every amount: it is empty then.
    fn older(payload: &[u8]) -> Option<Self> {
        let currency = "";
        // The currency is the last field, and an empty text is one byte.
        let longer = [payload, &[0]].concat();
        Some(match postcard::from_bytes::<Fact<'_>>(&longer).ok()? {
            Fact::OrderCompleted { user, total, .. } => {
                Self::OrderCompleted { user, total, currency }
            }
            Fact::OrderRefunded { no, amount, .. } => Self::OrderRefunded { no, amount, currency },
            Fact::PaymentAuthorized { amount, .. } => Self::PaymentAuthorized { amount, currency },
            Fact::PaymentCaptureRequested { amount, .. } => {
                Self::PaymentCaptureRequested { amount, currency }
            }
            Fact::PaymentRefundRequested { no, amount, .. } => {
                Self::PaymentRefundRequested { no, amount, currency }
            }
            Fact::PaymentRefunded { no, seq, amount, .. } => {
                Self::PaymentRefunded { no, seq, amount, currency }
            }
            Fact::PaymentSetAside { no, seq, amount, .. } => {
                Self::PaymentSetAside { no, seq, amount, currency }
            }
            Fact::PaymentReleased { no, seq, amount, .. } => {
                Self::PaymentReleased { no, seq, amount, currency }
            }
            _ => return None,
        })
    }
}
