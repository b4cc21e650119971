//! What payment can be asked, what it answers, why it refuses, what it states, and what it asks
//! the gateway.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use jangbu_kernel::domain::Coded;
use jangbu_kernel::{Currency, OrderId, PaymentId, RefundId, Secret, Time, UnitId};

use super::model::{Payment, State};

pub use super::gateway::{Ask, Call, Said};
pub use super::part::{Part, Purpose};

/// Where payment's commands go.
pub const UNIT: UnitId = UnitId("payment");

/// What to charge, frozen before the gateway is called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// The payment; that of an order has the order's number.
    pub payment: PaymentId,
    /// Its order, if any: the order's saga then drives it and owns the timers.
    pub order: Option<OrderId>,
    /// What for.
    pub purpose: Purpose,
    /// The card's shares of `split`; for points, what the customer pays for them. 0: nothing to
    /// charge, captured at once without the gateway.
    pub amount: i64,
    /// Its currency.
    pub currency: Currency,
    /// Frozen parts, one per merchant; none for points.
    pub split: Vec<Part>,
    /// Authorise now and capture by [`Command::Capture`]; else charge in one step.
    pub capture_later: bool,
}

/// Money that a merchant gives back to its customer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gift {
    /// The payment.
    pub payment: PaymentId,
    /// The name of this refund, minted at the edge; its number is given out by the decision.
    pub refund: RefundId,
    /// Who gives: the merchant of the payment, or it is refused as unknown.
    pub merchant: Arc<str>,
    /// How much; none: whatever is left. Of that there is only one, so asking for it again is
    /// no second refund.
    pub amount: Option<i64>,
    /// Why, in the merchant's words.
    pub reason: Box<str>,
}

/// What payment can be asked. Where a `merchant` is named, it has to be the one of a payment
/// without an order; to any other the payment is unknown. [`SOON`] as a deadline: as the rules
/// say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Write down the intent. With a token the gateway is called after this very commit (SENT);
    /// without one the payment waits as INTENT for [`Command::Authorize`].
    Intend { intent: Intent, token: Option<Secret>, deadline: Time },
    /// The client has given its token: call the gateway.
    Authorize { payment: PaymentId, token: Secret, deadline: Time },
    /// Take what was authorised.
    Capture { payment: PaymentId, merchant: Option<Arc<str>>, deadline: Time },
    /// Let go what was authorised. On a payment that never reached the gateway: voided at once.
    /// While the charge is SENT or UNKNOWN it is refused ([`Reject::OperationInFlight`]): what is
    /// not known cannot be undone. [`Reject::PaymentUnknown`]: nothing was asked.
    Void { payment: PaymentId, merchant: Option<Arc<str>>, deadline: Time },
    /// Give back `parts` as refund `no`: `amount`, the card's shares but for `deduct`, by the
    /// gateway. `deduct` are earned points that the customer has spent already. With an amount of 0
    /// there is nothing to ask of the gateway: done at once.
    Refund {
        payment: PaymentId,
        no: u32,
        amount: i64,
        parts: Vec<Part>,
        deduct: i64,
        deadline: Time,
    },
    /// Set `amount`, the card's shares of `parts`, aside for the customer as refund `no`: the
    /// gateway will not give it back, and the merchants of `parts` shall not have it. The other
    /// shares are booked as those of a refund.
    SetAside { payment: PaymentId, no: u32, amount: i64, parts: Vec<Part> },
    /// Give money of a payment without an order back.
    GiveBack { gift: Gift, deadline: Time },
    /// What do you know? Asks the gateway if the outcome is open and nobody is asking: about the
    /// payment itself, or about refund `refund`. [`SOON`] as `deadline`: as the rules say. An
    /// order that asks about an INTENT has a hint that it is paid: that is looked into.
    Inquire { payment: PaymentId, refund: Option<u32>, deadline: Time },
    /// An operator wants to know now: as [`Command::Inquire`] about everything that is open, and
    /// refused when nothing is.
    AskNow { payment: PaymentId },
    /// The gateway's answer to `ask`.
    Said { payment: PaymentId, ask: Ask, said: Said },
    /// An operator's verdict on an unknown outcome.
    Resolve { payment: PaymentId, verdict: Verdict, evidence: Box<str> },
    /// An operator's verdict on refund `no`: whether its money went back.
    ResolveRefund { payment: PaymentId, no: u32, given: bool, evidence: Box<str> },
    /// The void of an order, which brings its intent: as [`Command::Void`], but a payment that was
    /// never seen is written down and voided, so that an intent which this void has overtaken finds
    /// it and charges nothing.
    Withdraw { intent: Intent, deadline: Time },
    /// A fact: the points of a charge are taken, and the customer gets their money. If that cannot
    /// be, the refund is written down as refused.
    ReturnPoints {
        payment: PaymentId,
        refund: RefundId,
        /// Minor units.
        amount: i64,
        /// Why, in the operator's words.
        reason: Box<str>,
    },
}

/// Refunds of units are numbered `1..=UNITS_LAST`; 0 and every number above [`REVERSAL`] reverse
/// the whole payment. Each attempt has its own number, because a gateway that has refused a number
/// refuses it for ever.
pub const UNITS_LAST: u32 = 999;
/// What gateways know refund 0 by, for they number from 1. It is no number of ours.
pub const REVERSAL: u32 = 1_000;

/// Whether refund `no` reverses the whole payment.
pub fn is_reversal(no: u32) -> bool {
    no == 0 || no > UNITS_LAST
}

/// The deadline of those who cannot know the time: [`Rules::call_timeout`] from now.
///
/// [`Rules::call_timeout`]: super::model::Rules::call_timeout
pub const SOON: Time = Time(0);

impl Command {
    /// The payment that it is about.
    pub fn payment(&self) -> PaymentId {
        match self {
            Self::Intend { intent: Intent { payment, .. }, .. }
            | Self::Withdraw { intent: Intent { payment, .. }, .. }
            | Self::Authorize { payment, .. }
            | Self::Capture { payment, .. }
            | Self::Void { payment, .. }
            | Self::Refund { payment, .. }
            | Self::GiveBack { gift: Gift { payment, .. }, .. }
            | Self::Inquire { payment, .. }
            | Self::AskNow { payment }
            | Self::Said { payment, .. }
            | Self::SetAside { payment, .. }
            | Self::Resolve { payment, .. }
            | Self::ResolveRefund { payment, .. }
            | Self::ReturnPoints { payment, .. } => *payment,
        }
    }

    /// What it makes or changes: a refund that a merchant gives, else the payment.
    pub(super) fn resource_mut(&mut self) -> &mut i64 {
        match self {
            Self::GiveBack { gift, .. } => &mut gift.refund.0,
            Self::Intend { intent: Intent { payment, .. }, .. }
            | Self::Withdraw { intent: Intent { payment, .. }, .. }
            | Self::Authorize { payment, .. }
            | Self::Capture { payment, .. }
            | Self::Void { payment, .. }
            | Self::Refund { payment, .. }
            | Self::Inquire { payment, .. }
            | Self::AskNow { payment }
            | Self::Said { payment, .. }
            | Self::SetAside { payment, .. }
            | Self::Resolve { payment, .. }
            | Self::ResolveRefund { payment, .. }
            | Self::ReturnPoints { payment, .. } => &mut payment.0,
        }
    }

    /// What it makes or changes.
    pub(super) fn resource(&self) -> i64 {
        if let Self::GiveBack { gift, .. } = self { gift.refund.0 } else { self.payment().0 }
    }

    /// The number of the refund of `row` that it is about. The whole rest given back again is the
    /// refund that took it.
    pub(super) fn refund_no(&self, row: &Payment) -> Option<u32> {
        match self {
            Self::GiveBack { gift, .. } => {
                let last = || row.refunds.iter().rev().find(|refund| !refund.is_refused());
                let named = row.refund_of(gift.refund);
                named.or_else(|| last().filter(|_| gift.amount.is_none())).map(|refund| refund.no)
            }
            Self::Refund { no, .. }
            | Self::SetAside { no, .. }
            | Self::ResolveRefund { no, .. } => Some(*no),
            Self::Inquire { refund, .. } => *refund,
            Self::ReturnPoints { refund, .. } => row.refund_of(*refund).map(|refund| refund.no),
            Self::Said { ask, .. } => ask.refund_no(),
            Self::Intend { .. }
            | Self::Withdraw { .. }
            | Self::Authorize { .. }
            | Self::Capture { .. }
            | Self::Void { .. }
            | Self::AskNow { .. }
            | Self::Resolve { .. } => None,
        }
    }
}

/// An operator's verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    /// The money was taken.
    Captured,
    /// The money was not taken.
    NotCharged,
}

/// How the payment stands after the command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// The payment.
    pub payment: PaymentId,
    /// Its state.
    pub state: State,
    /// Captured so far.
    pub captured: i64,
    /// Refunded so far.
    pub refunded: i64,
    /// Why it was declined or is unknown.
    pub reason: Option<Box<str>>,
    /// For Refund, `GiveBack` and Inquire of a refund: that refund's state.
    pub refund: Option<super::model::RefundState>,
    /// Its number.
    pub refund_no: Option<u32>,
    /// To whoever waits: the row of a payment without an order, if nothing of it is under way.
    pub row: Option<Box<Payment>>,
}

/// Why payment refuses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reject {
    /// Amounts below 0, shares that do not sum up, nothing at all, or above the limit.
    AmountInvalid,
    /// The payment exists with another amount, currency or split.
    PaymentDiffers,
    /// There is no such payment.
    PaymentUnknown,
    /// It is not authorised.
    NotAuthorized,
    /// It is not captured.
    NotCaptured,
    /// It cannot be voided any more.
    NotVoidable,
    /// A capture or a void is under way: they exclude each other.
    OperationInFlight,
    /// Refunded + pending + amount would exceed what was captured, or a share what it was.
    RefundExceedsCaptured { left: i64 },
    /// The refund number was used with another amount.
    RefundDiffers,
    /// There is no such refund.
    RefundUnknown,
    /// The outcome is known: nothing to resolve.
    NotUnknown,
    /// Everything was given back, or is on its way.
    NothingToRefund,
    /// It has as many refunds as a gateway can number.
    TooManyRefunds,
}

impl Coded for Reject {
    fn code(&self) -> &'static str {
        match self {
            Self::AmountInvalid => "AMOUNT_INVALID",
            Self::PaymentDiffers => "PAYMENT_DIFFERS",
            Self::PaymentUnknown => "PAYMENT_UNKNOWN",
            Self::NotAuthorized => "NOT_AUTHORIZED",
            Self::NotCaptured => "NOT_CAPTURED",
            Self::NotVoidable => "NOT_VOIDABLE",
            Self::OperationInFlight => "OPERATION_IN_FLIGHT",
            Self::RefundExceedsCaptured { .. } => "REFUND_EXCEEDS_CAPTURED",
            Self::RefundDiffers => "REFUND_DIFFERS",
            Self::RefundUnknown => "REFUND_UNKNOWN",
            Self::NotUnknown => "NOT_UNKNOWN",
            Self::NothingToRefund => "NOTHING_TO_REFUND",
            Self::TooManyRefunds => "TOO_MANY_REFUNDS",
        }
    }
}

/// What every event says about its payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// The payment.
    pub payment: PaymentId,
    /// Its order, if any.
    pub order: Option<OrderId>,
    /// What it is for.
    pub purpose: Purpose,
    /// Its currency.
    pub currency: Currency,
    /// The gateway.
    pub psp: Arc<str>,
}

/// What payment states. Money moves once, so [`Event::Captured`] and each [`Event::Refunded`] are
/// stated once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The money is held. Stated `again` when a capture or void of unknown outcome turns out not to
    /// have happened. After DECLINED: a late one, which its order should void.
    Authorized { about: About, amount: i64, again: bool },
    /// A capture of held money was asked.
    CaptureRequested { about: About, amount: i64 },
    /// The money is ours: posting `seq` of this payment, 0 if there is nothing to post. `amount` is
    /// the card's share. A late one (after DECLINED) is stated just the same: the money moved.
    Captured { about: About, seq: i64, amount: i64, split: Vec<Part> },
    /// The customer was not charged and never will be.
    Declined { about: About, code: Box<str> },
    /// The call never left this process; nothing was charged.
    NotSent { about: About, why: Box<str> },
    /// The outcome is open.
    Unknown { about: About, why: Box<str> },
    /// The gateway does not know it (yet).
    NotFound { about: About },
    /// The hold is gone, or the intent was never sent.
    Voided { about: About },
    /// A refund was asked at the gateway.
    RefundRequested { about: About, no: u32, amount: i64 },
    /// Refund `no` happened: posting `seq` of this payment. `amount` are the card's shares without
    /// `deduct`.
    Refunded { about: About, seq: i64, no: u32, amount: i64, parts: Vec<Part>, deduct: i64 },
    /// The money of refund `no` is set aside for the customer: posting `seq` of this payment.
    SetAside { about: About, seq: i64, no: u32, amount: i64, parts: Vec<Part> },
    /// What was set aside as `no` is the merchants' again, because the customer has it back by
    /// another refund, stated next: posting `seq` of this payment.
    Released { about: About, seq: i64, no: u32, amount: i64, parts: Vec<Part> },
    /// Refund `no` will not happen.
    RefundRefused { about: About, no: u32, code: Box<str> },
    /// The outcome of refund `no` is open.
    RefundUnknown { about: About, no: u32, why: Box<str> },
}
