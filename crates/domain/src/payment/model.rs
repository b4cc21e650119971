//! The payment row: its states and their numbers in the store, and the rules it is held to.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use jangbu_kernel::time::Span;
use jangbu_kernel::{Currency, OrderId, PaymentId, RefundId, Time, coded};

use super::command::{About, Intent, Part, Purpose, Reply};
use super::part::{is_something, shares_of};

pub use super::rules::Rules;

/// Reason of an UNKNOWN payment whose amount at the gateway is not the intended one.
pub const AMOUNT_MISMATCH: &str = "amount_mismatch";
/// Reason of an UNKNOWN payment that the gateway does not know and was told to refuse.
pub const FENCING: &str = "fencing";
/// Code of a payment that the gateway never saw and has promised to refuse.
pub const NOT_FOUND: &str = "not_found";
/// Reason of a payment that was voided because its order was undone.
pub const WITHDRAWN: &str = "withdrawn_by_order";
/// Code of an operator's verdict; the row's reason is `operator:` and the evidence.
pub const OPERATOR: &str = "operator";

coded!(
    /// How a payment stands.
    State {
        /// Written down; the gateway was never called.
        Intent = 1 "INTENT",
        /// A charge or an authorisation is on its way.
        Sent = 2 "SENT",
        /// The money is held.
        Authorized = 3 "AUTHORIZED",
        /// A capture is on its way.
        CaptureSent = 4 "CAPTURE_SENT",
        /// A void is on its way.
        VoidSent = 5 "VOID_SENT",
        /// The money is ours.
        Captured = 6 "CAPTURED",
        /// The customer was not charged.
        Declined = 7 "DECLINED",
        /// The hold is gone, or there never was one.
        Voided = 8 "VOIDED",
        /// The outcome of [`Payment::pending_op`] is open.
        Unknown = 9 "UNKNOWN",
    }
);

coded!(
    /// What the states `SENT`, `CAPTURE_SENT`, `VOID_SENT` and `UNKNOWN` are about.
    Op {
        /// Nothing is open.
        None = 0 "NONE",
        /// Authorise and capture in one.
        Charge = 1 "CHARGE",
        /// Authorise.
        Authorize = 2 "AUTHORIZE",
        /// Capture.
        Capture = 3 "CAPTURE",
        /// Void.
        Void = 4 "VOID",
    }
);

coded!(
    /// When the money is taken.
    Mode {
        /// At once.
        Charge = 1 "CHARGE",
        /// Held now, taken by a capture.
        Authorize = 2 "AUTHORIZE",
    }
);

impl Mode {
    /// What is open once the token is sent.
    pub(super) fn op(self) -> Op {
        match self {
            Self::Charge => Op::Charge,
            Self::Authorize => Op::Authorize,
        }
    }
}

coded!(
    /// How a refund stands.
    RefundState {
        /// It is on its way.
        Sent = 1 "SENT",
        /// Its outcome is open.
        Unknown = 2 "UNKNOWN",
        /// The money went back.
        Done = 3 "DONE",
        /// It will not happen.
        Refused = 4 "REFUSED",
        /// No gateway was asked: the money stands on [`CUSTOMER_REFUNDABLE`] and is owed to the
        /// customer.
        ///
        /// [`CUSTOMER_REFUNDABLE`]: crate::ledger::chart::CUSTOMER_REFUNDABLE
        SetAside = 5 "SET_ASIDE",
        /// It was set aside, and another refund has brought the money back after all.
        Released = 6 "RELEASED",
    }
);

/// The highest number that a merchant's refund gets: gateways number up to here.
pub const MOST_REFUNDS: u32 = 999;

/// A refund, packed in its payment's row as `[no, state, amount, [part, …], deadline, id, reason,
/// posting, deduct]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refund {
    /// Its number, unique in the payment; 0 is the reversal.
    pub no: u32,
    /// How it stands.
    pub state: RefundState,
    /// What goes back by the gateway: the card's shares of `parts` without `deduct`.
    pub amount: i64,
    /// From whose shares it comes.
    pub parts: Vec<Part>,
    /// Kept for earned points that were spent already.
    pub deduct: i64,
    /// Until when a call about it may be under way; none: nobody is asking.
    pub deadline: Option<Time>,
    /// Its name when a merchant gave it; none: it is its order's.
    pub id: Option<RefundId>,
    /// Why the merchant gave it; empty for an order's, which knows it itself.
    pub reason: Box<str>,
    /// Its ledger posting; 0: the money has not moved.
    pub posting: i64,
}

impl Refund {
    /// A refund that its order asked for and knows the reason of; nothing is deducted.
    pub(super) fn of_order(no: u32, state: RefundState, amount: i64, parts: Vec<Part>) -> Self {
        let reason = Box::default();
        let (deduct, deadline, id, posting) = (0, None, None, 0);
        Self { no, state, amount, parts, deduct, deadline, id, reason, posting }
    }

    /// Whether it will not happen.
    pub fn is_refused(&self) -> bool {
        self.state == RefundState::Refused
    }

    /// Whether the gateway has still to say what became of it.
    pub fn is_open(&self) -> bool {
        matches!(self.state, RefundState::Sent | RefundState::Unknown)
    }

    /// Whether no money is claimed by it: it did not happen, or another did in its place.
    fn is_void(&self) -> bool {
        matches!(self.state, RefundState::Refused | RefundState::Released)
    }
}

/// A row of `payment`; its key is the [`PaymentId`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// Its order, whose saga drives it; none: it drives itself.
    pub order: Option<OrderId>,
    /// How it stands.
    pub state: State,
    /// What is open; [`Op::None`] outside `SENT`, `CAPTURE_SENT`, `VOID_SENT` and `UNKNOWN`.
    pub pending_op: Op,
    /// Charge, or authorise and capture later.
    pub mode: Mode,
    /// What it is for.
    pub purpose: Purpose,
    /// The merchants' parts, frozen; of a sale, the card's shares sum up to `amount`.
    pub split: Vec<Part>,
    /// Its currency.
    pub currency: Currency,
    /// Minor units to charge.
    pub amount: i64,
    /// Held at the gateway so far.
    pub authorized: i64,
    /// Taken so far.
    pub captured: i64,
    /// Given back so far.
    pub refunded: i64,
    /// Refunds whose outcome is open, and what was set aside for the customer.
    pub pending: i64,
    /// The gateway's name.
    pub psp: Arc<str>,
    /// The gateway's name of the payment.
    pub psp_ref: Option<Box<str>>,
    /// Why it was declined or voided, or is unknown.
    pub reason: Option<Box<str>>,
    /// How often an inquiry found nothing.
    pub not_found: i64,
    /// Ledger postings made: their numbers are `1..=postings`.
    pub postings: i64,
    /// When the latest call that moves money was sent.
    pub sent_at: Option<Time>,
    /// Until when a call about [`Payment::pending_op`] may be under way; none: nobody is asking.
    pub deadline: Option<Time>,
    /// Its refunds, in the order in which they were asked.
    pub refunds: Vec<Refund>,
    /// When it wakes up; always none with an order.
    pub next_at: Option<Time>,
    /// When it was intended.
    pub at: Time,
}

impl Payment {
    /// A payment that nobody has been asked about.
    pub(super) fn new(intent: &Intent, psp: Arc<str>, at: Time) -> Self {
        Self {
            order: intent.order,
            state: State::Intent,
            pending_op: Op::None,
            mode: if intent.capture_later { Mode::Authorize } else { Mode::Charge },
            purpose: intent.purpose,
            split: intent.split.clone(),
            currency: intent.currency,
            amount: intent.amount,
            authorized: 0,
            captured: 0,
            refunded: 0,
            pending: 0,
            psp,
            psp_ref: None,
            reason: None,
            not_found: 0,
            postings: 0,
            sent_at: None,
            deadline: None,
            refunds: Vec::new(),
            next_at: None,
            at,
        }
    }

    /// Whether `intent` is the one that this payment was made of.
    pub(super) fn is_of(&self, intent: &Intent) -> bool {
        self.order == intent.order
            && self.purpose == intent.purpose
            && self.amount == intent.amount
            && self.currency == intent.currency
            && (self.mode == Mode::Authorize) == intent.capture_later
            && self.split == intent.split
    }

    /// Whether its outcome is open because of a charge or an authorisation.
    pub(super) fn is_charging(&self) -> bool {
        matches!(self.pending_op, Op::Charge | Op::Authorize)
    }

    /// Whether a call about `deadline` may still be under way.
    pub(super) fn is_asking(&self, now: Time) -> bool {
        self.deadline.is_some_and(|deadline| now < deadline)
    }

    /// The refund with number `no`.
    pub fn refund(&self, no: u32) -> Option<&Refund> {
        self.refunds.iter().find(|refund| refund.no == no)
    }

    /// The refund that a merchant gave under this name.
    pub fn refund_of(&self, id: RefundId) -> Option<&Refund> {
        self.refunds.iter().find(|refund| refund.id == Some(id))
    }

    /// Whether it is `merchant`'s alone and no order's.
    pub fn belongs_to(&self, merchant: &str) -> bool {
        let [part] = &*self.split else { return false };
        self.order.is_none() && &*part.merchant == merchant
    }

    /// Whether a call of a payment without an order may still be under way, about itself or a
    /// refund: who waits for it waits on.
    pub fn is_in_flight(&self) -> bool {
        let sent = matches!(self.state, State::Sent | State::CaptureSent | State::VoidSent);
        sent || self.refunds.iter().any(|refund| refund.state == RefundState::Sent)
    }

    /// The refund with number `no`, to change it.
    pub(super) fn refund_mut(&mut self, no: u32) -> Option<&mut Refund> {
        self.refunds.iter_mut().find(|refund| refund.no == no)
    }

    /// What can still be refunded in all.
    pub fn refundable(&self) -> i64 {
        // Amounts are at most `Money::MAX`: nothing saturates.
        self.captured.saturating_sub(self.refunded).saturating_sub(self.pending)
    }

    /// What can still be refunded of `merchant`'s shares: card, paid points, earned points, coupon.
    pub fn refundable_of(&self, merchant: &str) -> [i64; 4] {
        let mut left = [0; 4];
        if self.state == State::Captured {
            left = shares_of(&self.split, merchant);
        }
        for refund in self.refunds.iter().filter(|refund| !refund.is_void()) {
            for (left, back) in left.iter_mut().zip(shares_of(&refund.parts, merchant)) {
                *left = left.saturating_sub(back);
            }
        }
        left
    }

    /// What its events begin with.
    pub(super) fn about(&self, id: PaymentId) -> About {
        let Self { order, purpose, currency, .. } = *self;
        About { payment: id, order, purpose, currency, psp: Arc::clone(&self.psp) }
    }

    /// How it stands, and how refund `no` stands.
    pub(super) fn reply(&self, id: PaymentId, no: Option<u32>) -> Reply {
        Reply {
            payment: id,
            state: self.state,
            captured: self.captured,
            refunded: self.refunded,
            reason: self.reason.clone(),
            refund: no.and_then(|no| self.refund(no)).map(|refund| refund.state),
            refund_no: no,
            row: None,
        }
    }

    /// What the module's invariants say about one row; a finding is named.
    pub fn unsound(&self) -> Option<&'static str> {
        use State::{Authorized, CaptureSent, Captured, Sent, Unknown, VoidSent};
        let open = matches!(self.state, Sent | CaptureSent | VoidSent | Unknown);
        let held = matches!(self.state, Authorized | CaptureSent | VoidSent);
        let spent = self.refunded.saturating_add(self.pending);
        [
            (self.authorized > self.amount, "authorized > amount"),
            (self.captured > self.authorized, "captured > authorized"),
            (spent > self.captured, "refunded + pending > captured"),
            (self.refunded < 0 || self.pending < 0, "a negative sum"),
            (
                self.captured != if self.state == Captured { self.amount } else { 0 },
                "captured apart from CAPTURED",
            ),
            (self.postings != self.money_events(), "postings without money"),
            (held && self.authorized != self.amount, "held, but not authorized"),
            (open == (self.pending_op == Op::None), "pending_op does not fit the state"),
            (self.state != Captured && !self.refunds.is_empty(), "a refund without a capture"),
            (!open && self.deadline.is_some(), "a deadline without a call"),
            (
                self.refunds.iter().any(|refund| !refund.is_open() && refund.deadline.is_some()),
                "a deadline of a refund that has ended",
            ),
            (
                self.refunds.iter().any(|r| (r.posting > 0) != (r.state == RefundState::Done)),
                "the posting of a refund does not fit its state",
            ),
            (self.order.is_some() && self.next_at.is_some(), "a timer beside the saga's"),
            (
                self.split
                    .iter()
                    .any(|part| self.refundable_of(&part.merchant).iter().any(|l| *l < 0)),
                "a share overdrawn",
            ),
        ]
        .into_iter()
        .find_map(|(broken, name)| broken.then_some(name))
    }

    /// Whether its capture is posted: anything is paid, by whatever.
    pub(super) fn moves_money(&self) -> bool {
        self.amount > 0 || is_something(&self.split)
    }

    /// How often money has moved.
    fn money_events(&self) -> i64 {
        let moves = self.refunds.iter().map(|refund| match refund.state {
            RefundState::Sent | RefundState::Unknown | RefundState::Refused => 0,
            RefundState::Done | RefundState::SetAside => 1,
            RefundState::Released => 2,
        });
        let captured = self.state == State::Captured && self.moves_money();
        moves.fold(i64::from(captured), i64::saturating_add)
    }
}

/// `span` after `time`.
pub(super) fn after(time: Time, span: Span) -> Time {
    Time(time.0.saturating_add(span.0))
}
