//! What the gateway is asked, and what it says.

use jangbu_kernel::{Currency, PaymentId, Secret};
use serde::{Deserialize, Serialize};

/// The kinds of call to the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ask {
    /// Authorise and capture in one.
    Charge,
    /// Authorise only.
    Authorize,
    /// Capture what is authorised.
    Capture,
    /// Void what is authorised.
    Void,
    /// Refund number `.0`.
    Refund(u32),
    /// How does the payment stand?
    Inquire,
    /// How does refund `.0` stand?
    InquireRefund(u32),
    /// Refuse this payment for ever if it has not arrived.
    Fence,
}

impl Ask {
    /// The refund that is asked about; none: the payment itself.
    pub fn refund_no(self) -> Option<u32> {
        match self {
            Self::Refund(no) | Self::InquireRefund(no) => Some(no),
            Self::Charge
            | Self::Authorize
            | Self::Capture
            | Self::Void
            | Self::Inquire
            | Self::Fence => None,
        }
    }
}

/// What the gateway said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Said {
    /// The money is ours.
    Captured { psp_ref: Box<str>, amount: i64 },
    /// The money is held.
    Authorized { psp_ref: Box<str>, amount: i64 },
    /// The hold is gone.
    Voided,
    /// The refund happened.
    Refunded { amount: i64 },
    /// The customer's bank said no.
    Declined { code: Box<str> },
    /// The gateway refuses this refund, void or capture for good.
    Refused { code: Box<str> },
    /// It knows nothing of it.
    NotFound,
    /// It had nothing, and refuses it for ever.
    Fenced,
    /// Time-out or broken connection: the outcome is open.
    Unknown { why: Box<str> },
    /// It never left this process: breaker open, bulkhead full.
    NotSent { why: Box<str> },
}

/// A call to the gateway: the body of a [`Job`](jangbu_kernel::Job).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Which payment.
    pub payment: PaymentId,
    /// What is asked.
    pub ask: Ask,
    /// Minor units.
    pub amount: i64,
    /// Their currency.
    pub currency: Currency,
    /// The card token, for a charge or an authorisation.
    pub token: Option<Secret>,
}
