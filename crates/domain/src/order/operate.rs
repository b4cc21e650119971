//! What operators may do to a saga, and where. Every verb is safe wherever it is allowed: it is the
//! timer before its time, the buyer's cancellation, or the end of a saga whose open steps are known
//! to be refused.
//!
//! | stands in | retry | compensate | abandon |
//! |---|---|---|---|
//! | HOLDING | ask again | as a cancellation | – |
//! | `AWAIT_PAY` | – (the client has to pay) | as a cancellation | – |
//! | PAYING, `PAY_UNKNOWN` | ask the gateway | wished: acted on when the outcome is known | – |
//! | COMMITTING | commit again | sold: refunded in full; refused for good: the money goes back | – |
//! | REVERSING | ask the gateway | – | – |
//! | UNWINDING | undo again | – | – |
//! | COMPLETED, a refund or its points open | ask again | – (that is a refund) | – |
//! | CANCELLED, something open | ask again | – | – |
//! | STUCK in `PAY_UNKNOWN` | ask the gateway, for another day | wished | – (resolve the payment) |
//! | STUCK in COMMITTING | commit again | the money goes back | – |
//! | STUCK in REVERSING | the next attempt | – | the money is set aside, the units are freed |
//! | STUCK in UNWINDING | undo again | – | unless the payment is open: it ends here |
//! | STUCK in CANCELLED, refused | the next attempt | – | the money is set aside |
//! | STUCK in CANCELLED, held | void again | – | – (resolve the payment) |
//!
//! Only a STUCK saga can be abandoned, and only where it is known what became of the money. Money
//! that no gateway gives back leaves the merchants for an account of the customer's
//! (test: `every_state_with_every_event_and_every_fault_ends_well`).

use jangbu_kernel::{Ctx, OrderId};

use super::Out;
use super::act::Act;
use super::command::{Event, Reject, Verb};
use super::model::{ABANDONED, Order, Outcome, Refund, RefundState, Rules, State, Step};
use super::refund::set_refund;
use super::saga::{Turn, due};
use super::undo::{holds_something, is_owed};

/// How the reason of an order begins that an operator has turned back.
const COMPENSATED: &str = "cancelled_by_operator: ";

/// What an operator may do to the order as it stands.
pub fn verbs(order: &Order) -> Vec<Verb> {
    let may = |verb: &&Verb| match verb {
        Verb::Retry => may_retry(order),
        Verb::Compensate => may_compensate(order),
        Verb::Abandon => may_abandon(order),
    };
    Verb::ALL.iter().filter(may).copied().collect()
}

fn stands_in(order: &Order) -> State {
    order.stuck_in.unwrap_or(order.state)
}

fn may_retry(order: &Order) -> bool {
    match stands_in(order) {
        State::AwaitPay => false,
        State::Completed => {
            order.earning.step == Step::Asked || order.refunds.iter().any(Refund::is_open)
        }
        State::Cancelled => {
            order.state == State::Stuck || order.next_at.is_some() || holds_something(order)
        }
        State::Holding
        | State::Paying
        | State::PayUnknown
        | State::Committing
        | State::Reversing
        | State::Unwinding
        | State::Stuck => true,
    }
}

fn may_compensate(order: &Order) -> bool {
    match stands_in(order) {
        State::Holding | State::AwaitPay => true,
        State::Paying | State::PayUnknown => !order.cancel_wanted,
        State::Committing => order.state == State::Stuck || !order.cancel_wanted,
        State::Reversing
        | State::Unwinding
        | State::Completed
        | State::Cancelled
        | State::Stuck => false,
    }
}

fn may_abandon(order: &Order) -> bool {
    match order.stuck_in {
        Some(State::Reversing) => true,
        Some(State::Unwinding) => !is_owed(order.pay),
        Some(State::Cancelled) => order.reversal().is_some_and(Refund::is_open),
        _ => false,
    }
}

/// Whether `verb` is allowed.
pub(super) fn check(order: &Order, verb: Verb) -> Result<(), Reject> {
    let allowed = verbs(order);
    if allowed.contains(&verb) {
        return Ok(());
    }
    Err(Reject::VerbNotAllowed { state: order.state, allowed })
}

/// Carries out a verb that is allowed.
pub(super) fn carry_out(
    order: &mut Order,
    (verb, reason): (Verb, &str),
    (id, ctx, rules): (OrderId, &Ctx, &Rules),
    out: &mut Out,
) {
    let from = order.state;
    let mut act = Act { id, ctx, rules, out };
    match verb {
        Verb::Retry => act.retry(order),
        Verb::Compensate => act.compensate(order, reason),
        Verb::Abandon => act.abandon(order, reason),
    }
    let why = [verb.name(), ": ", reason].concat().into();
    out.emit(Event::Advanced { order: id, from, to: order.state, why });
}

impl Act<'_> {
    /// It goes on where it got stuck.
    fn unstick(&self, order: &mut Order) -> Option<State> {
        let from = order.stuck_in.take()?;
        order.state = from;
        order.next_at = Some(self.ctx.now + self.rules.again);
        Some(from)
    }

    fn retry(&mut self, order: &mut Order) {
        // A reservation that was asked before may have said yes: it counts as asked twice.
        order.tries = if order.state == State::Holding { order.tries.min(1) } else { 0 };
        let refused = order.reversal().is_some_and(Refund::is_open);
        match self.unstick(order) {
            Some(State::Reversing | State::Cancelled) if refused => self.reverse_again(order),
            None if order.state == State::Cancelled && holds_something(order) => {
                self.ask_undo(order);
            }
            _ => {
                let turn = due(order, self.rules).unwrap_or(Turn::Nothing);
                self.act(order, turn);
            }
        }
    }

    /// The gateway has refused the attempt before for good; this one is another.
    fn reverse_again(&mut self, order: &mut Order) {
        refuse_reversal(order);
        order.next_at = Some(self.ctx.now + self.rules.refund);
        self.reverse_by(order, RefundState::AtPsp, "retried");
    }

    fn compensate(&mut self, order: &mut Order, reason: &str) {
        order.cancel_wanted = true;
        match stands_in(order) {
            State::Holding | State::AwaitPay => {
                order.reason = Some([COMPENSATED, reason].concat().into());
                self.unwind(order, Outcome::Cancelled);
            }
            State::Committing if self.unstick(order).is_some() => self.reverse(order),
            State::Committing => self.commit_again(order),
            // The answer of the gateway acts on the wish.
            State::Paying
            | State::PayUnknown
            | State::Reversing
            | State::Unwinding
            | State::Completed
            | State::Cancelled
            | State::Stuck => {}
        }
    }

    fn abandon(&mut self, order: &mut Order, reason: &str) {
        order.reason = Some([ABANDONED, reason].concat().into());
        order.tries = 0;
        match self.unstick(order) {
            Some(State::Reversing) => {
                self.set_money_aside(order);
                order.pay = Step::Undone;
                self.unwind(order, Outcome::Error);
            }
            Some(State::Cancelled) => {
                order.next_at = Some(self.ctx.now + self.rules.refund);
                self.set_money_aside(order);
            }
            _ => {
                order.outcome = Some(Outcome::Error);
                self.ask_undo(order);
                self.end(order);
            }
        }
    }

    fn set_money_aside(&mut self, order: &mut Order) {
        refuse_reversal(order);
        self.reverse_by(order, RefundState::SettingAside, "abandoned");
    }
}

/// The latest attempt was refused for good.
fn refuse_reversal(order: &mut Order) {
    if let Some(no) = order.reversal().filter(|refund| refund.is_open()).map(|r| r.no) {
        set_refund(order, no, RefundState::Refused);
    }
}
