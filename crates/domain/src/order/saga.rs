//! The saga as one table: [`turn`] is a match over (state, event) that names the row, and [`hear`]
//! acts on it. Row numbers are those of the design, repeated here:
//!
//! | # | state | event | next |
//! |---|---|---|---|
//! | 1 | – | placed | HOLDING: reserve |
//! | 2 | HOLDING | reserved, client pays | AWAIT_PAY: intent |
//! | 3 | HOLDING | reserved, server pays (or nothing to charge) | PAYING: intent and call |
//! | 4 | HOLDING | refused, or cancelled | UNWINDING |
//! | 5 | HOLDING | timer | the same again, after three times UNWINDING(ERROR) |
//! | 6 | AWAIT_PAY | confirmed | PAYING: pin, and charge only when pinned |
//! | 7 | AWAIT_PAY | timer, cancelled | UNWINDING(EXPIRED, CANCELLED) |
//! | 8 | AWAIT_PAY | hint that it is paid | PAYING: pin, inquire |
//! | 9 | PAYING | captured | COMMITTING: commit stock |
//! | 10 | PAYING | captured, cancel wanted | REVERSING: refund in full |
//! | 11 | PAYING | declined, not sent | UNWINDING(DECLINED, SHED) |
//! | 12 | PAYING, PAY_UNKNOWN | unknown, timer | PAY_UNKNOWN: inquire |
//! | 13 | PAYING, PAY_UNKNOWN, COMMITTING | cancelled | the same, cancel wanted |
//! | 14 | PAY_UNKNOWN | captured, declined | as 9, 10, 11 |
//! | 15 | PAYING, PAY_UNKNOWN | authorised only | PAYING: capture; or UNWINDING: void |
//! | 16 | PAY_UNKNOWN | not found | the same: inquire again |
//! | 17 | PAY_UNKNOWN | not found twice, fenced | UNWINDING(DECLINED) |
//! | 18 | PAY_UNKNOWN | timer after a day | STUCK |
//! | 19 | COMMITTING | stock committed | COMPLETED |
//! | 20 | COMMITTING | timer, refused | the same, for ever |
//! | 21 | REVERSING | refunded, unknown, refused | UNWINDING(CANCELLED), the same, STUCK |
//! | 22 | UNWINDING | late "done" of an asked step | the same: the undo covers it |
//! | 23 | UNWINDING | everything undone | CANCELLED |
//! | 24 | UNWINDING | timer | undo again, after five minutes STUCK |
//! | 25 | UNWINDING, CANCELLED | captured late | the same: refund the orphan |
//! | 26 | COMPLETED | refund asked, its answers, timer | COMPLETED |
//!
//! A server-paid order is pinned by its reservation: its saga alone ends it, so there is nothing
//! that a hold of its own could expire for, and the loop is one command shorter. A STUCK order
//! listens as in the state in which it got stuck.

use std::sync::Arc;

use jangbu_kernel::time::Span;
use jangbu_kernel::{Ctx, OrderId, PaymentId, Secret, Time};

use super::Out;
use super::command::{Event, SagaEvent, step};
use super::model::{Order, Outcome, PayMode, Refund, RefundState, State, Step};
use crate::inventory::command as inventory;
use crate::payment::command as payment;

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

/// Row 5: a step without an answer is asked so often.
const ASK_LIMIT: i64 = 3;

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
    fn inquiry(&self, tries: i64) -> Span {
        let at = usize::try_from(tries).unwrap_or(usize::MAX).min(4);
        self.inquiries.get(at).copied().unwrap_or(self.again_max)
    }

    fn again(&self, tries: i64) -> Span {
        let doubled = self.again.0.saturating_mul(1_i64.checked_shl(bits(tries)).unwrap_or(32));
        Span(doubled.min(self.again_max.0))
    }
}

fn bits(tries: i64) -> u32 {
    u32::try_from(tries.clamp(0, 5)).unwrap_or(5)
}

/// What the saga does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    /// Nothing: the event was foreseen and is covered.
    Nothing,
    /// Only the reason changes.
    Note,
    Intend,
    Pay,
    AskReserve,
    AskPin,
    Charge,
    Hint,
    /// The reservation is gone before a hinted payment was found.
    Unpinned,
    Commit,
    Capture,
    Reverse,
    Unsure,
    Inquire,
    Complete,
    CommitAgain,
    InquireReversal,
    Reversed,
    StockUndone,
    PayUndone,
    UndoAgain,
    Orphan,
    OrphanAgain,
    OrphanDone,
    Restore(u32),
    RefundRefused(u32),
    Returned(u32),
    RefundsAgain,
    Unwind(Outcome),
    Stuck,
}

/// The row of the table that (state, event) is, and what it does. `None`: not foreseen, or a
/// repetition of what has been dealt with; nothing changes.
fn turn(order: &Order, event: &SagaEvent, rules: &Rules) -> Option<(u8, Turn)> {
    use SagaEvent as E;
    use State as S;
    let state = order.stuck_in.unwrap_or(order.state);
    let client_pays = order.mode == PayMode::Client && order.total > 0;
    Some(match (state, event) {
        (S::Holding, E::StockReserved) if client_pays => (2, Turn::Intend),
        (S::Holding, E::StockReserved) => (3, Turn::Pay),
        (S::Holding, E::StockRefused { code }) => (4, Turn::Unwind(refused(code))),
        (S::Holding, E::Timer) if order.tries < ASK_LIMIT => (5, Turn::AskReserve),
        (S::Holding, E::Timer) => (5, Turn::Unwind(Outcome::Error)),

        (S::AwaitPay, E::Timer) => (7, Turn::Unwind(Outcome::Expired)),
        (S::AwaitPay, E::PaidHint | E::PayCaptured { .. }) => (8, Turn::Hint),

        (S::Paying, E::StockPinned) if order.token.is_some() && order.cancel_wanted => {
            (6, Turn::Unwind(Outcome::Cancelled))
        }
        (S::Paying, E::StockPinned) if order.token.is_some() => (6, Turn::Charge),
        (S::Paying, E::StockNotPinned { .. }) if order.token.is_some() => {
            (6, Turn::Unwind(Outcome::Expired))
        }
        (S::Paying | S::PayUnknown, E::StockNotPinned { .. }) => (8, Turn::Unpinned),
        (S::Paying, E::Timer) if order.token.is_some() => (6, Turn::AskPin),
        (S::Paying, E::PayCaptured { .. }) if order.cancel_wanted => (10, Turn::Reverse),
        (S::Paying, E::PayCaptured { .. }) => (9, Turn::Commit),
        (S::Paying, E::PayDeclined { .. }) => (11, Turn::Unwind(Outcome::Declined)),
        (S::Paying, E::PayNotSent { .. }) => (11, Turn::Unwind(Outcome::Shed)),
        (S::Paying, E::PayUnknown { .. } | E::PayNotFound | E::Timer) => (12, Turn::Unsure),
        (S::Paying | S::PayUnknown, E::PayAuthorized) if order.cancel_wanted => {
            (15, Turn::Unwind(Outcome::Cancelled))
        }
        (S::Paying | S::PayUnknown, E::PayAuthorized) => (15, Turn::Capture),

        (S::PayUnknown, E::PayCaptured { .. }) if order.cancel_wanted => (14, Turn::Reverse),
        (S::PayUnknown, E::PayCaptured { .. }) => (14, Turn::Commit),
        (S::PayUnknown, E::PayDeclined { code }) if &**code == "not_found" => {
            (17, Turn::Unwind(Outcome::Declined))
        }
        (S::PayUnknown, E::PayDeclined { .. }) => (14, Turn::Unwind(Outcome::Declined)),
        (S::PayUnknown, E::PayNotSent { .. }) => (14, Turn::Unwind(Outcome::Shed)),
        (S::PayUnknown, E::PayNotFound) => (16, Turn::Note),
        (S::PayUnknown, E::Timer) if order.tries < rules.inquiry_limit => (12, Turn::Inquire),
        (S::PayUnknown, E::Timer) => (18, Turn::Stuck),

        (S::Committing, E::StockCommitted) => (19, Turn::Complete),
        (S::Committing, E::StockNotCommitted { .. }) => (20, Turn::Note),
        (S::Committing, E::Timer) => (20, Turn::CommitAgain),

        (S::Reversing, E::Refunded { no: 0 }) => (21, Turn::Reversed),
        (S::Reversing, E::RefundUnknown { no: 0 }) => (21, Turn::Note),
        (S::Reversing, E::RefundRefused { no: 0, .. }) => (21, Turn::Stuck),
        (S::Reversing, E::Timer) => (21, Turn::InquireReversal),

        (S::Unwinding, E::StockReserved | E::StockPinned | E::PayAuthorized) => (22, Turn::Nothing),
        (S::Unwinding, E::StockReleased | E::StockRefused { .. }) => (23, Turn::StockUndone),
        (S::Unwinding, E::PayVoided | E::PayDeclined { .. } | E::PayNotSent { .. }) => {
            (23, Turn::PayUndone)
        }
        (S::Unwinding, E::StockNotReleased { .. }) => (24, Turn::Note),
        (S::Unwinding, E::Timer) if order.tries < rules.undo_limit => (24, Turn::UndoAgain),
        (S::Unwinding, E::Timer) => (24, Turn::Stuck),

        (S::Unwinding | S::Cancelled, E::PayCaptured { .. }) if order.refund(0).is_none() => {
            (25, Turn::Orphan)
        }
        (S::Unwinding | S::Cancelled, E::Refunded { no: 0 }) => (25, Turn::OrphanDone),
        (S::Cancelled, E::RefundRefused { no: 0, .. }) => (25, Turn::Stuck),
        (S::Cancelled, E::Timer) => (25, Turn::OrphanAgain),

        (S::Completed, E::Refunded { no }) => (26, Turn::Restore(*no)),
        (S::Completed, E::RefundRefused { no, .. }) => (26, Turn::RefundRefused(*no)),
        (S::Completed, E::StockReturned { no }) => (26, Turn::Returned(*no)),
        (S::Completed, E::Timer) => (26, Turn::RefundsAgain),
        _ => return None,
    })
}

fn refused(code: &str) -> Outcome {
    match code {
        "INSUFFICIENT_STOCK" | "UNKNOWN_SKU" => Outcome::SoldOut,
        _ => Outcome::Error,
    }
}

/// The table's row for an event, for the operator's sentence and for the sweep over the table.
pub fn row(order: &Order, event: &SagaEvent, rules: &Rules) -> Option<u8> {
    turn(order, event, rules).map(|(row, _)| row)
}

/// Whether the event changes anything.
pub(super) fn concerns(order: &Order, event: &SagaEvent, rules: &Rules) -> bool {
    !matches!(turn(order, event, rules), None | Some((_, Turn::Nothing)))
}

/// What a turn works with.
struct Act<'a> {
    id: OrderId,
    ctx: &'a Ctx,
    rules: &'a Rules,
    out: &'a mut Out,
}

/// Row 1: the order is new.
pub(super) fn place(order: &mut Order, id: OrderId, ctx: &Ctx, rules: &Rules, out: &mut Out) {
    Act { id, ctx, rules, out }.reserve(order);
}

/// Row 6: the client pays; the hold must not expire any more before the gateway is asked.
pub(super) fn confirm(
    order: &mut Order,
    token: Secret,
    (id, ctx, rules): (OrderId, &Ctx, &Rules),
    out: &mut Out,
) {
    let mut act = Act { id, ctx, rules, out };
    order.token = Some(token);
    act.enter(order, State::Paying, rules.ask);
    act.pin();
}

/// Rows 4, 7, 13: the buyer wants out before the sale.
pub(super) fn cancel(order: &mut Order, id: OrderId, ctx: &Ctx, rules: &Rules, out: &mut Out) {
    let mut act = Act { id, ctx, rules, out };
    order.cancel_wanted = true;
    if matches!(order.state, State::Holding | State::AwaitPay) {
        order.reason = Some("cancelled_by_request".into());
        act.unwind(order, Outcome::Cancelled);
    }
}

/// Row 26: some units of a sold order come back.
pub(super) fn refund(
    order: &mut Order,
    refund: Refund,
    (id, ctx, rules): (OrderId, &Ctx, &Rules),
    out: &mut Out,
) {
    Act { id, ctx, rules, out }.begin_refund(order, refund);
}

/// Acts on an event that [`concerns`] the order.
pub(super) fn hear(
    order: &mut Order,
    event: &SagaEvent,
    (id, ctx, rules): (OrderId, &Ctx, &Rules),
    out: &mut Out,
) {
    let Some((_, turn)) = turn(order, event, rules) else { return };
    if let Some(reason) = reason(event) {
        order.reason = Some(reason);
    }
    let mut act = Act { id, ctx, rules, out };
    if let (State::Stuck, Some(from)) = (order.state, order.stuck_in) {
        if turn == Turn::Note || turn == Turn::Stuck {
            return;
        }
        order.state = from;
        order.stuck_in = None;
    }
    act.act(order, turn);
}

fn reason(event: &SagaEvent) -> Option<Box<str>> {
    use SagaEvent as E;
    match event {
        E::StockRefused { code }
        | E::StockNotPinned { code }
        | E::StockNotCommitted { code }
        | E::StockNotReleased { code } => Some((*code).into()),
        E::PayDeclined { code } | E::RefundRefused { code, .. } => Some(code.clone()),
        E::PayNotSent { why } | E::PayUnknown { why } => Some(why.clone()),
        E::PayNotFound => Some("not_found".into()),
        E::StockReserved
        | E::StockPinned
        | E::StockCommitted
        | E::StockReleased
        | E::StockReturned { .. }
        | E::PayAuthorized
        | E::PayCaptured { .. }
        | E::PayVoided
        | E::PaidHint
        | E::Refunded { .. }
        | E::RefundUnknown { .. }
        | E::Timer => None,
    }
}

impl Act<'_> {
    fn act(&mut self, order: &mut Order, turn: Turn) {
        match turn {
            Turn::Nothing | Turn::Note => {}
            Turn::Intend => self.intend(order),
            Turn::Pay => self.pay(order),
            Turn::AskReserve => self.reserve(order),
            Turn::AskPin => {
                order.next_at = Some(self.ctx.now + self.rules.ask);
                self.pin();
            }
            Turn::Charge => self.charge(order),
            Turn::Hint => self.hint(order),
            Turn::Unpinned => {
                order.stock = Step::Refused;
                order.cancel_wanted = true;
            }
            Turn::Commit => self.commit(order),
            Turn::Capture => self.capture(order),
            Turn::Reverse => self.reverse(order),
            Turn::Unsure => self.unsure(order),
            Turn::Inquire => self.inquire(order),
            Turn::Complete => self.complete(order),
            Turn::CommitAgain => self.commit_again(order),
            Turn::InquireReversal | Turn::OrphanAgain => self.ask_about_reversal(order),
            Turn::Reversed => self.reversed(order),
            Turn::StockUndone => {
                order.stock = Step::Undone;
                self.end_if_undone(order);
            }
            Turn::PayUndone => {
                order.pay = Step::Undone;
                self.end_if_undone(order);
            }
            Turn::UndoAgain => self.undo(order),
            Turn::Orphan => self.orphan(order),
            Turn::OrphanDone => self.orphan_done(order),
            Turn::Restore(no) => self.restore(order, no),
            Turn::RefundRefused(no) => self.refund_refused(order, no),
            Turn::Returned(no) => self.returned(order, no),
            Turn::RefundsAgain => self.refunds_again(order),
            Turn::Unwind(outcome) => self.unwind(order, outcome),
            Turn::Stuck => self.stuck(order),
        }
    }

    fn payment(&self) -> PaymentId {
        PaymentId::from(self.id)
    }

    fn deadline(&self) -> Time {
        self.ctx.now + self.rules.call
    }

    /// A new state with its timer; a turn that not every order takes is told to the timeline.
    fn enter(&mut self, order: &mut Order, state: State, timer: Span) {
        let from = order.state;
        order.state = state;
        order.tries = 0;
        order.next_at = Some(self.ctx.now + timer);
        if !matches!(state, State::Holding | State::Paying | State::Committing) {
            let why = order.reason.clone().unwrap_or_default();
            self.out.emit(Event::Advanced { order: self.id, from, to: state, why });
        }
    }

    fn ask_inventory(&mut self, step: u16, command: inventory::Command) {
        self.out.ask(inventory::UNIT, self.id.0, step, command);
    }

    fn ask_payment(&mut self, step: u16, command: payment::Command) {
        self.out.ask(payment::UNIT, self.id.0, step, command);
    }

    // Rows 1 to 8: hold and pay.

    fn reserve(&mut self, order: &mut Order) {
        order.stock = Step::Asked;
        order.tries = order.tries.saturating_add(1);
        order.next_at = Some(self.ctx.now + self.rules.ask);
        let line =
            |line: &super::model::Line| inventory::Line { sku: line.sku, quantity: line.quantity };
        let command = inventory::Command::Reserve {
            order: self.id,
            lines: order.lines.iter().map(line).collect(),
            pin: order.mode == PayMode::Server || order.total == 0,
            expires_at: order.placed_at + self.rules.hold,
        };
        self.ask_inventory(step::RESERVE, command);
    }

    fn pin(&mut self) {
        self.ask_inventory(step::PIN, inventory::Command::Pin { order: self.id });
    }

    fn intent(&self, order: &Order) -> payment::Intent {
        payment::Intent {
            payment: self.payment(),
            order: Some(self.id),
            amount: order.total,
            currency: order.currency,
            split: split(order),
            capture_later: false,
        }
    }

    fn intend(&mut self, order: &mut Order) {
        order.stock = Step::Done;
        order.pay = Step::Asked;
        let intent = self.intent(order);
        let deadline = self.deadline();
        self.ask_payment(step::PAY, payment::Command::Intend { intent, token: None, deadline });
        self.enter(order, State::AwaitPay, Span(0));
        order.next_at = Some(order.placed_at + self.rules.hold);
    }

    fn pay(&mut self, order: &mut Order) {
        order.stock = Step::Done;
        order.pay = Step::Asked;
        let token = order.token.take();
        let intent = self.intent(order);
        let deadline = self.deadline();
        self.enter(order, State::Paying, self.rules.call);
        order.next_at = Some(deadline + self.rules.grace);
        self.ask_payment(step::PAY, payment::Command::Intend { intent, token, deadline });
    }

    fn charge(&mut self, order: &mut Order) {
        let Some(token) = order.token.take() else { return };
        let (payment, deadline) = (self.payment(), self.deadline());
        order.next_at = Some(deadline + self.rules.grace);
        self.ask_payment(step::PAY, payment::Command::Authorize { payment, token, deadline });
    }

    fn hint(&mut self, order: &mut Order) {
        self.enter(order, State::Paying, self.rules.ask);
        self.pin();
        self.ask_inquiry(None);
    }

    // Rows 9 to 18: what the gateway says.

    fn commit(&mut self, order: &mut Order) {
        order.pay = Step::Done;
        self.enter(order, State::Committing, self.rules.again);
        self.ask_inventory(step::COMMIT, inventory::Command::Commit { order: self.id });
    }

    fn capture(&mut self, order: &mut Order) {
        let (payment, deadline) = (self.payment(), self.deadline());
        self.enter(order, State::Paying, self.rules.call);
        order.next_at = Some(deadline + self.rules.grace);
        self.ask_payment(step::CAPTURE, payment::Command::Capture { payment, deadline });
    }

    fn unsure(&mut self, order: &mut Order) {
        self.enter(order, State::PayUnknown, self.rules.inquiry(0));
        self.ask_inquiry(None);
    }

    fn inquire(&mut self, order: &mut Order) {
        order.tries = order.tries.saturating_add(1);
        order.next_at = Some(self.ctx.now + self.rules.inquiry(order.tries));
        self.ask_inquiry(None);
    }

    fn ask_inquiry(&mut self, refund: Option<u32>) {
        let (payment, deadline) = (self.payment(), self.deadline());
        self.ask_payment(step::INQUIRE, payment::Command::Inquire { payment, refund, deadline });
    }

    fn stuck(&mut self, order: &mut Order) {
        let from = order.state;
        self.enter(order, State::Stuck, Span(0));
        order.stuck_in = Some(from);
        order.next_at = None;
    }

    // Rows 19 to 21: sold, or turned back with the money taken.

    fn complete(&mut self, order: &mut Order) {
        order.state = State::Completed;
        order.stock = Step::Done;
        order.outcome = Some(Outcome::Sold);
        order.settled_at = Some(self.ctx.now);
        order.reason = None;
        order.next_at = None;
        order.tries = 0;
        self.out.emit(Event::Completed { order: self.id });
        if order.cancel_wanted {
            let units = order.lines.iter().map(|line| line.quantity).enumerate().collect();
            let reason = "cancelled_by_request".into();
            let state = RefundState::Requested;
            let amount = order.total;
            let refund = Refund { no: 1, state, amount, units, restock: true, reason };
            self.begin_refund(order, refund);
        }
    }

    fn commit_again(&mut self, order: &mut Order) {
        order.tries = order.tries.saturating_add(1);
        order.next_at = Some(self.ctx.now + self.rules.again(order.tries));
        self.ask_inventory(step::COMMIT, inventory::Command::Commit { order: self.id });
    }

    fn reverse(&mut self, order: &mut Order) {
        order.pay = Step::Done;
        self.enter(order, State::Reversing, self.rules.refund);
        self.give_money_back(order, "cancelled_by_request");
    }

    /// Refund number 0: all of it, of a payment that has no sale.
    fn give_money_back(&mut self, order: &mut Order, reason: &str) {
        let (state, amount) = (RefundState::AtPsp, order.total);
        let units = Vec::new();
        let refund = Refund { no: 0, state, amount, units, restock: false, reason: reason.into() };
        order.refunds.push(refund);
        if amount == 0 {
            return;
        }
        let parts = split(order);
        let (payment, deadline) = (self.payment(), self.deadline());
        let command = payment::Command::Refund { payment, no: 0, amount, parts, deadline };
        self.ask_payment(step::REFUND, command);
    }

    fn ask_about_reversal(&mut self, order: &mut Order) {
        order.tries = order.tries.saturating_add(1);
        order.next_at = Some(self.ctx.now + self.rules.again(order.tries));
        self.ask_inquiry(Some(0));
    }

    fn reversed(&mut self, order: &mut Order) {
        order.pay = Step::Undone;
        self.money_is_back(order, 0);
        set_refund(order, 0, RefundState::Done);
        order.reason = Some("cancelled_by_request".into());
        let expired = order.stock == Step::Refused;
        self.unwind(order, if expired { Outcome::Expired } else { Outcome::Cancelled });
    }

    fn money_is_back(&mut self, order: &mut Order, no: u32) {
        let amount = order.refund(no).map_or(0, |refund| refund.amount);
        order.refunded = order.refunded.saturating_add(amount);
    }

    // Rows 22 to 25: everything back.

    fn unwind(&mut self, order: &mut Order, outcome: Outcome) {
        order.token = None;
        order.outcome = Some(outcome);
        if order.state != State::Unwinding {
            settle_refused_steps(order, outcome);
        }
        order.state = State::Unwinding;
        order.tries = 0;
        self.undo(order);
        self.end_if_undone(order);
    }

    fn undo(&mut self, order: &mut Order) {
        order.tries = order.tries.saturating_add(1);
        order.next_at = Some(self.ctx.now + self.rules.again(order.tries));
        if is_owed(order.stock) {
            order.stock = Step::UndoAsked;
            self.ask_inventory(step::RELEASE, inventory::Command::Release { order: self.id });
        }
        if is_owed(order.pay) {
            order.pay = Step::UndoAsked;
            let (payment, deadline) = (self.payment(), self.deadline());
            self.ask_payment(step::VOID, payment::Command::Void { payment, deadline });
        }
    }

    fn end_if_undone(&mut self, order: &mut Order) {
        if is_owed(order.stock) || is_owed(order.pay) {
            return;
        }
        order.state = State::Cancelled;
        order.settled_at = Some(self.ctx.now);
        order.tries = 0;
        let orphan = order.refund(0).is_some_and(Refund::is_open);
        order.next_at = orphan.then(|| self.ctx.now + self.rules.refund);
        self.out.emit(Event::Cancelled { order: self.id });
    }

    fn orphan(&mut self, order: &mut Order) {
        let state = order.state;
        let why = "late_capture".into();
        self.out.emit(Event::Advanced { order: self.id, from: state, to: state, why });
        if order.pay != Step::UndoAsked {
            order.pay = Step::Undone;
        }
        order.next_at = Some(self.ctx.now + self.rules.refund);
        self.give_money_back(order, "late_capture");
        if order.state == State::Unwinding {
            order.pay = Step::Undone;
            self.end_if_undone(order);
        }
    }

    fn orphan_done(&mut self, order: &mut Order) {
        self.money_is_back(order, 0);
        set_refund(order, 0, RefundState::Done);
        if order.state == State::Cancelled {
            order.next_at = None;
        }
    }

    // Row 26: refunds of sold units.

    fn begin_refund(&mut self, order: &mut Order, mut refund: Refund) {
        let (no, amount) = (refund.no, refund.amount);
        let parts = parts(order, &refund.units);
        refund.state = if amount == 0 { RefundState::Restoring } else { RefundState::AtPsp };
        order.refunds.push(refund);
        order.next_at = Some(self.ctx.now + self.rules.refund);
        order.tries = 0;
        if amount == 0 {
            return self.ask_return(order, no);
        }
        let (payment, deadline) = (self.payment(), self.deadline());
        let command = payment::Command::Refund { payment, no, amount, parts, deadline };
        self.ask_payment(step::REFUND.saturating_add(short(no)), command);
    }

    fn ask_return(&mut self, order: &Order, no: u32) {
        let Some(refund) = order.refund(no) else { return };
        let line = |(line, quantity): &(usize, i64)| {
            let sku = order.lines.get(*line)?.sku;
            Some(inventory::Line { sku, quantity: *quantity })
        };
        let lines: Vec<_> = refund.units.iter().filter_map(line).collect();
        let (order, restock) = (self.id, refund.restock);
        let command = inventory::Command::Return { order, no, lines, restock };
        self.ask_inventory(step::RETURN.saturating_add(short(no)), command);
    }

    fn restore(&mut self, order: &mut Order, no: u32) {
        if order.refund(no).is_some_and(|refund| refund.state == RefundState::AtPsp) {
            self.money_is_back(order, no);
            set_refund(order, no, RefundState::Restoring);
            self.ask_return(order, no);
        }
    }

    fn returned(&mut self, order: &mut Order, no: u32) {
        let Some(refund) = order.refund(no).filter(|refund| refund.is_open()) else { return };
        let amount = refund.amount;
        set_refund(order, no, RefundState::Done);
        self.rest_if_refunds_ended(order);
        self.out.emit(Event::Refunded { order: self.id, no, amount });
    }

    fn refund_refused(&mut self, order: &mut Order, no: u32) {
        if order.refund(no).is_some_and(|refund| refund.state == RefundState::AtPsp) {
            set_refund(order, no, RefundState::Refused);
            self.rest_if_refunds_ended(order);
            let (from, to) = (State::Completed, State::Completed);
            let why = order.reason.clone().unwrap_or_default();
            self.out.emit(Event::Advanced { order: self.id, from, to, why });
        }
    }

    fn rest_if_refunds_ended(&mut self, order: &mut Order) {
        if !order.refunds.iter().any(Refund::is_open) {
            order.next_at = None;
            order.tries = 0;
        }
    }

    fn refunds_again(&mut self, order: &mut Order) {
        order.tries = order.tries.saturating_add(1);
        order.next_at = Some(self.ctx.now + self.rules.again(order.tries));
        let open: Vec<_> = order.refunds.iter().filter(|refund| refund.is_open()).collect();
        for refund in open {
            match refund.state {
                RefundState::Restoring => self.ask_return(order, refund.no),
                RefundState::Requested | RefundState::AtPsp => self.ask_inquiry(Some(refund.no)),
                RefundState::Done | RefundState::Refused => {}
            }
        }
        self.rest_if_refunds_ended(order);
    }
}

/// Whether the undo of a step is still owed.
fn is_owed(step: Step) -> bool {
    matches!(step, Step::Asked | Step::Done | Step::UndoAsked)
}

/// A step that has said no needs no undo.
fn settle_refused_steps(order: &mut Order, outcome: Outcome) {
    match (order.state, outcome) {
        (State::Holding, Outcome::SoldOut) => order.stock = Step::Refused,
        (State::Paying | State::PayUnknown, Outcome::Declined | Outcome::Shed) => {
            order.pay = Step::Refused;
        }
        _ => {}
    }
}

fn set_refund(order: &mut Order, no: u32, state: RefundState) {
    if let Some(refund) = order.refunds.iter_mut().find(|refund| refund.no == no) {
        refund.state = state;
    }
}

fn short(no: u32) -> u16 {
    u16::try_from(no).unwrap_or(u16::MAX)
}

/// What each merchant gets of the order, in the order of its lines.
fn split(order: &Order) -> Vec<payment::Part> {
    let units: Vec<_> = order.lines.iter().map(|line| line.quantity).enumerate().collect();
    parts(order, &units)
}

/// What each merchant's share of `units` is.
fn parts(order: &Order, units: &[(usize, i64)]) -> Vec<payment::Part> {
    let mut parts: Vec<payment::Part> = Vec::with_capacity(1);
    for (at, quantity) in units {
        let Some(line) = order.lines.get(*at) else { continue };
        let amount = line.unit_price.saturating_mul(*quantity);
        match parts.iter_mut().find(|part| part.merchant == line.merchant) {
            Some(part) => part.amount = part.amount.saturating_add(amount),
            None if amount == 0 => {}
            None => parts.push(payment::Part { merchant: Arc::clone(&line.merchant), amount }),
        }
    }
    parts
}

/// What the timer of an order waits for, in one sentence for its timeline.
pub fn sentence(order: &Order) -> String {
    let reason = order.reason.as_deref().unwrap_or("no reason given");
    match order.state {
        State::Holding => "Stock is being held.".to_owned(),
        State::AwaitPay => "The units are held; the client has not paid yet.".to_owned(),
        State::Paying => "The payment gateway has been asked and has not answered yet.".to_owned(),
        State::PayUnknown => format!(
            "Whether the card was charged is open ({reason}); inquiry {} is scheduled.",
            order.tries.saturating_add(1)
        ),
        State::Committing => format!("Paid; the stock is being committed ({reason})."),
        State::Reversing => "Cancelled after the charge; the money is on its way back.".to_owned(),
        State::Unwinding => format!("What was held is being given back ({reason})."),
        State::Completed if order.refunds.iter().any(Refund::is_open) => {
            "Sold; a refund is under way.".to_owned()
        }
        State::Completed => "Sold.".to_owned(),
        State::Cancelled => {
            let outcome = order.outcome.map_or("CANCELLED", Outcome::name);
            format!("Ended without a sale: {outcome} ({reason}).")
        }
        State::Stuck => {
            let from = order.stuck_in.map_or("?", State::name);
            format!("Stuck in {from} ({reason}): an operator must resolve it.")
        }
    }
}
