//! Payments: what was asked of the gateway, what it said, and whose money it is.
//!
//! ```text
//!           ┌─ Void ──▶ VOIDED ◀───────────── Voided ─────────────────────────┐
//!  INTENT ──┤                                                                 │
//!           └─ token ─▶ SENT ─── Authorized ──▶ AUTHORIZED ─── Void ────▶ VOID_SENT
//!                       │ │ │                       │
//!    Declined, NotSent  │ │ │ Captured              └─── Capture ──▶ CAPTURE_SENT
//!         ┌─────────────┘ │ └─────────────▶ CAPTURED ◀─── Captured ───────┘
//!         ▼               │                     ▲
//!     DECLINED ───────────┼─ Captured, late ────┤
//!         ▲               ▼                     │
//!         │            UNKNOWN ◀── silence of SENT, CAPTURE_SENT, VOID_SENT
//!         │             │  └── an inquiry finds ──▶ CAPTURED · AUTHORIZED · VOIDED
//!         └─────────────┘ Declined, Fenced, an operator's verdict
//!
//!  refund: SENT ──▶ DONE · REFUSED
//!           ▲ └─ silence ─▶ UNKNOWN ──▶ DONE · REFUSED
//!           └── not found: the same number again
//!
//!  refund that no gateway is asked for: SET_ASIDE ──▶ RELEASED
//! ```
//!
//! The Void of an order brings the intent: one that it has overtaken finds VOIDED.
//! An INTENT becomes UNKNOWN too when its order inquires: it has a hint that the client has paid.
//!
//! 1. The intent is a row before the gateway is called: the call leaves after the commit of SENT
//!    (test: `defect_1_charge_before_record`).
//! 2. Silence is UNKNOWN, never a failure. UNKNOWN ends by an answer of the gateway, by a fence
//!    (the gateway promises to refuse what has not arrived) or by an operator's verdict
//!    (test: `the_row_and_the_gateway_agree_in_the_end`).
//! 3. `refunded + pending <= captured <= authorized <= amount`; and per merchant and
//!    share (card, points, coupon), refunded and pending parts never exceed its part of the split
//!    (tests: `concurrent_refunds_never_exceed_what_was_captured`, `no_merchant_pays_for_another`,
//!    `no_share_pays_for_another`).
//! 4. Nothing leaves CAPTURED. A late capture is taken from any other state: the money moved
//!    (tests: `every_answer_in_every_place`,
//!    `deeds_are_taken_from_every_state_that_they_can_change`).
//! 5. `Captured` is stated once per payment and `Refunded` once per refund, each with its posting
//!    number `1..=postings` (test: `every_pair_of_answers_states_each_money_once`). A payment of 0
//!    is captured at once, a refund of 0 is done at once; they post their points and coupons, or
//!    nothing at all (test: `what_the_card_does_not_pay_needs_no_gateway`).
//! 6. A charge is sent once for all time; capture, void and refund may be sent again because the
//!    gateway knows them by (payment, operation, number).
//! 7. An amount that is not the intended one is never accepted: UNKNOWN with the reason
//!    [`model::AMOUNT_MISMATCH`], for an operator (test: `another_amount_is_never_accepted`).
//! 8. A payment with an order has no timer: the order's saga asks by [`Command::Inquire`]. One
//!    without drives itself by `next_at` (test: `a_payment_without_an_order_drives_itself`).
//!
//! | file | holds |
//! |---|---|
//! | [`model`] | the row, its states, the rules |
//! | [`command`] | commands, answers, rejects, events, calls |
//! | `decide` | what people and sagas ask |
//! | `gateway` | what the gateway is asked, and what it says |
//! | `part` | the shares of merchants, by card, points and coupon |
//! | `answer` | what the gateway says about the payment |
//! | `refund` | refunds: asked, given by merchants, answered |
//! | `points` | the money of points that are given back |
//! | `rules` | the patience with a gateway |
//! | `aside` | money that no gateway gives back, and that no merchant shall have |
//! | `inquiry` | asking the gateway, and the timers of payments without an order |

mod answer;
mod aside;
pub mod command;
mod decide;
mod gateway;
mod inquiry;
pub mod model;
mod part;
mod points;
mod refund;
mod rules;
#[cfg(test)]
mod tests;

use jangbu_kernel::{Ctx, Domain, Out, PaymentId, UnitId};

pub use command::{Command, Event, Reject, Reply, UNIT};
pub use model::Rules;

/// The bounded context.
#[derive(Clone, Copy, Debug)]
pub struct Payments;

/// What payment owns.
#[derive(Debug)]
pub struct Rows {
    /// Table `payment`.
    pub payment: jangbu_kernel::Rows<PaymentId, model::Payment>,
    /// The gateway's name and the patience with it.
    pub rules: Rules,
}

impl Rows {
    /// Holds nothing yet.
    pub fn new(rules: Rules) -> Self {
        Self { payment: jangbu_kernel::Rows::default(), rules }
    }
}

impl Domain for Payments {
    const UNIT: UnitId = UNIT;
    type Command = Command;
    type Reply = Reply;
    type Reject = Reject;
    type Event = Event;
    type Rows = Rows;

    fn want(command: &Command, rows: &mut Rows) {
        rows.payment.want(command.payment());
    }

    fn decide(
        command: &Command,
        ctx: &Ctx,
        rows: &mut Rows,
        out: &mut Out<Event>,
    ) -> Result<Reply, Reject> {
        decide::decide(command, ctx, rows, out)
    }

    fn resource(command: &Command) -> i64 {
        command.resource()
    }

    fn adopt(command: &mut Command, resource: i64) {
        *command.resource_mut() = resource;
    }

    fn recall(command: &Command, rows: &Rows) -> Option<Reply> {
        let id = command.payment();
        let row = rows.payment.get(id)?;
        let reply = row.reply(id, command.refund_no(row));
        let told = row.order.is_none() && !row.is_in_flight();
        Some(Reply { row: told.then(|| Box::new(row.clone())), ..reply })
    }

    fn wake(_table: &str, key: i64) -> Command {
        Command::Inquire { payment: PaymentId(key), refund: None, deadline: command::SOON }
    }
}
