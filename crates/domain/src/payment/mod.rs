//! Payments: what was asked of the gateway, what it said, and whose money it is.
//!
//! ```text
//!            Void                            Captured (Charge)
//! VOIDED ◀───────── INTENT ──token──▶ SENT ─────────────────────────▶ CAPTURED ──▶ refunds
//!    ▲                                 │ │ ╲ Declined · NotSent          ▲  ▲
//!    │ Voided               Authorized │ │  ╲──────────▶ DECLINED ───────┘  │
//!    │                                 ▼ │               late Captured      │
//!    ├────── VOID_SENT ◀──Void── AUTHORIZED ──Capture──▶ CAPTURE_SENT ──────┤
//!    │           ╲                 ▲     │                 ╱                │
//!    │            ╲────────────────┼─────┴── no answer ───╱                 │
//!    │                             │          │                             │
//!    └─────────────────────────────┴──────────▼─────────────────────────────┘
//!                        Inquire ⟲         UNKNOWN ── Fenced · Declined ──▶ DECLINED
//!
//! refund: SENT ──▶ DONE | REFUSED;  SENT ⇄ UNKNOWN (inquired; not found: sent again, same number)
//! ```
//!
//! 1. The intent is a row before the gateway is called: the call leaves after the commit of SENT.
//! 2. Silence is UNKNOWN, never a failure. UNKNOWN ends by an answer of the gateway, by a fence
//!    (the gateway promises to refuse what has not arrived) or by an operator's verdict.
//! 3. `refunded + pending <= captured <= authorized <= amount`; and per merchant, refunded and
//!    pending parts never exceed its part of the split.
//! 4. Nothing leaves CAPTURED. A late capture is taken from any other state: the money moved.
//! 5. `Captured` is stated once per payment and `Refunded` once per refund, each with its posting
//!    number `1..=postings`. A payment of 0 is captured at once and posts nothing.
//! 6. A charge is sent once for all time; capture, void and refund may be sent again because the
//!    gateway knows them by (payment, operation, number).
//! 7. An amount that is not the intended one is never accepted: UNKNOWN with the reason
//!    [`model::AMOUNT_MISMATCH`], for an operator.
//! 8. A payment with an order has no timer: the order's saga asks by [`Command::Inquire`]. One
//!    without drives itself by `next_at`.
//!
//! | file | holds |
//! |---|---|
//! | [`model`] | the row, its states, the rules |
//! | [`command`] | commands, answers, rejects, events, calls |
//! | `decide` | what people and sagas ask |
//! | `answer` | what the gateway says about the payment |
//! | `refund` | refunds: asked, answered |
//! | `inquiry` | asking the gateway, and the timers of payments without an order |

mod answer;
pub mod command;
mod decide;
mod inquiry;
pub mod model;
mod refund;
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
        command.payment().0
    }

    fn adopt(command: &mut Command, resource: i64) {
        *command.payment_mut() = PaymentId(resource);
    }

    fn recall(command: &Command, rows: &Rows) -> Option<Reply> {
        let id = command.payment();
        let row = rows.payment.get(id)?;
        Some(row.reply(id, command.refund_no()))
    }

    fn wake(_table: &str, key: i64) -> Command {
        Command::Inquire { payment: PaymentId(key), refund: None, deadline: command::SOON }
    }
}
