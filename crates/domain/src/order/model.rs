//! The rows of an order and of the offers it sells from.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use jangbu_kernel::time::Span;
use jangbu_kernel::{Correlation, Currency, Secret, SkuId, Time, UserId, coded};

use crate::payment::command as payment;

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
    Step {
        /// Not begun.
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
#[derive(Clone, Debug, PartialEq, Eq)]
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

/// A refund of some units, or ([`Refund::is_reversal`]) of a whole payment that must not have
/// happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    /// Its number within the order.
    pub no: u32,
    /// How far it is.
    pub state: RefundState,
    /// Minor units.
    pub amount: i64,
    /// Line index and units.
    pub units: Vec<(usize, i64)>,
    /// Whether the units go back to the shelf.
    pub restock: bool,
    /// Why.
    pub reason: Box<str>,
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

/// An order.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// What it costs.
    pub total: i64,
    /// What the buyer has got back.
    pub refunded: i64,
    /// Frozen when placed.
    pub lines: Arc<[Line]>,
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

    /// Units of each line that no refund has claimed.
    pub fn units_left(&self) -> Vec<i64> {
        let mut left: Vec<i64> = self.lines.iter().map(|line| line.quantity).collect();
        let live = self.refunds.iter().filter(|refund| refund.state != RefundState::Refused);
        for (line, quantity) in live.flat_map(|refund| &refund.units) {
            if let Some(left) = left.get_mut(*line) {
                *left = left.saturating_sub(*quantity);
            }
        }
        left
    }
}

/// What order knows of a SKU: its own projection of the catalogue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// Who sells it.
    pub merchant: Arc<str>,
    /// The price's currency.
    pub currency: Currency,
    /// What one costs.
    pub price: i64,
    /// Whether it can be ordered.
    pub on_sale: bool,
    /// Grows with each change; an older one is ignored.
    pub price_version: i64,
}

/// Deadlines and patience of the saga.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Row 1: a step that was asked answers within.
    pub ask: Span,
    /// Row 2: an unpaid order is held so long.
    pub hold: Span,
    /// A call to the gateway may take so long.
    pub call: Span,
    /// Row 3: and the order waits so much longer for its answer.
    pub grace: Span,
    /// Row 12: when to inquire; the last one repeats.
    pub inquiries: [Span; 5],
    /// Row 18: after so many inquiries (a day of them) an operator must look.
    pub inquiry_limit: i64,
    /// Rows 20, 24: first repetition; doubles up to `again_max`.
    pub again: Span,
    /// The longest pause between two repetitions.
    pub again_max: Span,
    /// Row 24: after so many repetitions (five minutes of them) an operator must look.
    pub undo_limit: i64,
    /// Rows 21, 25, 26: a refund without an answer is asked about after.
    pub refund: Span,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            ask: Span::secs(2),
            hold: Span::mins(15),
            call: Span::secs(10),
            grace: Span::secs(2),
            inquiries: [
                Span::secs(5),
                Span::secs(30),
                Span::mins(2),
                Span::mins(10),
                Span::mins(60),
            ],
            inquiry_limit: 27,
            again: Span::secs(1),
            again_max: Span::secs(30),
            undo_limit: 14,
            refund: Span::secs(5),
        }
    }
}

impl Rules {
    /// The pause before inquiry number `tries`.
    pub(super) fn inquiry(&self, tries: i64) -> Span {
        let at = usize::try_from(tries).unwrap_or(usize::MAX).min(4);
        self.inquiries.get(at).copied().unwrap_or(self.again_max)
    }

    /// The pause before repetition number `tries`.
    pub(super) fn again(&self, tries: i64) -> Span {
        let doubled = self.again.0.saturating_mul(1_i64.checked_shl(bits(tries)).unwrap_or(32));
        Span(doubled.min(self.again_max.0))
    }
}

fn bits(tries: i64) -> u32 {
    u32::try_from(tries.clamp(0, 5)).unwrap_or(5)
}
