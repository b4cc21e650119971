//! What each turn of the saga does to the order, and whom it asks.

use jangbu_kernel::time::Span;
use jangbu_kernel::{Ctx, OrderId, PaymentId, Time};

use super::Out;
use super::allocation::Allocation;
use super::command::{Event, step};
use super::decide::refund_of;
use super::model::{Order, Outcome, Refund, RefundState, Rules, State, Step};
use super::refund::{orphan_done, rest_if_all_ended, rest_if_cancelled, reversal_done, set_refund};
use super::saga::{Turn, turned_back};
use super::undo::{holds_something, is_owed};
use super::units::{Which, free};
use crate::coupon::command as coupon;
use crate::inventory::command as inventory;
use crate::payment::command as payment;
use crate::point::command as point;

/// What a turn works with.
pub(super) struct Act<'a> {
    /// The order.
    pub(super) id: OrderId,
    /// Now, and who began it.
    pub(super) ctx: &'a Ctx,
    /// Deadlines and patience.
    pub(super) rules: &'a Rules,
    /// Facts and commands.
    pub(super) out: &'a mut Out,
}

impl Act<'_> {
    /// Takes one turn.
    pub(super) fn act(&mut self, order: &mut Order, turn: Turn) {
        match turn {
            Turn::Nothing | Turn::Note | Turn::Held => {}
            Turn::Intend => self.intend(order),
            Turn::Pay => self.pay(order),
            Turn::PinFree => self.pin_free(order),
            Turn::AskAgain => self.hold(order),
            Turn::AskPin => self.pin_again(order),
            Turn::Charge => self.charge(order),
            Turn::Hint => self.pin_to_pay(order),
            Turn::Pinned => self.find_out(order, Step::Done),
            Turn::Unpinned => {
                order.cancel_wanted = true;
                self.find_out(order, Step::Refused);
            }
            Turn::Commit => self.commit(order),
            Turn::Capture => self.capture(order),
            Turn::Reverse => self.reverse(order),
            Turn::Unsure => self.unsure(order),
            Turn::Inquire => self.inquire(order),
            Turn::Complete => self.complete(order),
            Turn::CommitAgain => self.commit_again(order),
            Turn::AskRefund => self.ask_about_refund(order),
            Turn::Reversed(no) => self.reversed(order, no),
            Turn::StockUndone => self.undone(order, |order| order.stock = Step::Undone),
            Turn::CouponUndone => self.undone(order, |order| set_coupon(order, Step::Undone)),
            Turn::PointsUndone => self.undone(order, |order| order.points.step = Step::Undone),
            Turn::PayUndone => self.undone(order, |order| order.pay = Step::Undone),
            Turn::UndoAgain => self.undo(order),
            Turn::Orphan => self.orphan(order),
            Turn::OrphanDone(no) => orphan_done(order, no),
            Turn::SetAside(no) => {
                set_refund(order, no, RefundState::SetAside);
                rest_if_cancelled(order);
            }
            Turn::StockFreed => order.stock = Step::Undone,
            Turn::CouponFreed => set_coupon(order, Step::Undone),
            Turn::PointsFreed => order.points.step = Step::Undone,
            Turn::LateHold => self.void_late(order, false),
            Turn::LateHoldAgain => self.void_late(order, true),
            Turn::LateHoldGone => rest(order),
            Turn::RefundAgain(no) => self.ask_refund(order, no),
            Turn::Restore(no) => self.restore(order, no),
            Turn::RestoreLate(no) => self.restore_late(order, no),
            Turn::RefundRefused(no) => self.refund_refused(order, no),
            Turn::Clawed(no, taken) => self.clawed(order, no, taken),
            Turn::Unclawed(no) => self.unclawed(order, no),
            Turn::Followed(no, what) => self.followed(order, no, what),
            Turn::RefundsAgain => self.refunds_again(order),
            Turn::Earned => earned(order, Step::Done),
            Turn::NotEarned => earned(order, Step::Refused),
            Turn::EarnAgain => self.earn_again(order),
            Turn::Unwind(outcome) => self.turn_round(order, outcome),
            Turn::UnwindUnasked => self.unwind(order, Outcome::Shed),
            Turn::Stuck => self.stuck(order),
        }
    }

    pub(super) fn payment(&self) -> PaymentId {
        PaymentId::from(self.id)
    }

    pub(super) fn deadline(&self) -> Time {
        self.ctx.now + self.rules.call
    }

    /// A new state with its timer; a turn that not every order takes is told to the timeline.
    pub(super) fn enter(&mut self, order: &mut Order, state: State, timer: Span) {
        let from = order.state;
        order.state = state;
        order.tries = 0;
        order.next_at = Some(self.ctx.now + timer);
        if !matches!(state, State::Holding | State::Paying | State::Committing) {
            let why = order.reason.clone().unwrap_or_default();
            self.out.emit(Event::Advanced { order: self.id, from, to: state, why });
        }
    }

    pub(super) fn ask_inventory(&mut self, step: u16, command: inventory::Command) {
        self.out.ask(inventory::UNIT, self.id.0, step, command);
    }

    pub(super) fn ask_payment(&mut self, step: u16, command: payment::Command) {
        self.out.ask(payment::UNIT, self.id.0, step, command);
    }

    pub(super) fn ask_coupon(&mut self, step: u16, command: coupon::Command) {
        self.out.ask(coupon::UNIT, self.id.0, step, command);
    }

    pub(super) fn ask_point(&mut self, step: u16, command: point::Command) {
        self.out.ask(point::UNIT, self.id.0, step, command);
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
        self.ask_payment(
            step::CAPTURE,
            payment::Command::Capture { payment, merchant: None, deadline },
        );
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

    pub(super) fn ask_inquiry(&mut self, refund: Option<u32>) {
        let (payment, deadline) = (self.payment(), self.deadline());
        let step = refund.map_or(step::INQUIRE, |no| step::REFUND.saturating_add(short(no)));
        self.ask_payment(step, payment::Command::Inquire { payment, refund, deadline });
    }

    fn stuck(&mut self, order: &mut Order) {
        let from = order.state;
        self.enter(order, State::Stuck, Span(0));
        order.stuck_in = Some(from);
        order.next_at = None;
        // Silence leaves no reason of its own.
        order.reason.get_or_insert_with(|| "no_answer".into());
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
            let refund = refund_of(order, free(order, Which::Any), true, "cancelled_by_request");
            return self.begin_refund(order, refund);
        }
        self.earn(order);
    }

    /// Row 19: what is paid by card earns points, at the rate of today.
    fn earn(&mut self, order: &mut Order) {
        if self.rules.earn_bp == 0 || order.currency != self.rules.earn_in {
            return;
        }
        order.earning.bp = self.rules.earn_bp;
        order.earning.points = Allocation::of(order).earns();
        if order.earning.points == 0 {
            order.earning.bp = 0;
        } else {
            order.earning.step = Step::Asked;
            order.next_at = Some(self.ctx.now + self.rules.again);
            self.ask_earn(order);
        }
    }

    pub(super) fn ask_earn(&mut self, order: &Order) {
        let (user, currency) = (order.user, order.currency);
        let (order, amount) = (self.id, order.earning.points);
        self.ask_point(step::EARN, point::Command::Earn { order, user, amount, currency });
    }

    fn earn_again(&mut self, order: &mut Order) {
        order.tries = order.tries.saturating_add(1);
        order.next_at = Some(self.ctx.now + self.rules.again(order.tries));
        self.ask_earn(order);
    }

    pub(super) fn commit_again(&mut self, order: &mut Order) {
        order.tries = order.tries.saturating_add(1);
        order.next_at = Some(self.ctx.now + self.rules.again(order.tries));
        self.ask_inventory(step::COMMIT, inventory::Command::Commit { order: self.id });
    }

    pub(super) fn reverse(&mut self, order: &mut Order) {
        order.pay = Step::Done;
        if order.is_free() {
            order.pay = Step::Undone;
            return self.unwind(order, turned_back(order));
        }
        self.enter(order, State::Reversing, self.rules.refund);
        self.give_money_back(order, "cancelled_by_request");
    }

    fn ask_about_refund(&mut self, order: &mut Order) {
        order.tries = order.tries.saturating_add(1);
        order.next_at = Some(self.ctx.now + self.rules.again(order.tries));
        self.ask_about_reversals(order);
    }

    fn reversed(&mut self, order: &mut Order, no: u32) {
        order.pay = Step::Undone;
        reversal_done(order, no);
        order.reason = Some("cancelled_by_request".into());
        self.unwind(order, turned_back(order));
    }

    // Rows 22 to 25: everything back.

    fn turn_round(&mut self, order: &mut Order, outcome: Outcome) {
        settle_refused_payment(order, outcome);
        self.unwind(order, outcome);
    }

    /// Gives back what was asked.
    pub(super) fn unwind(&mut self, order: &mut Order, outcome: Outcome) {
        order.token = None;
        order.outcome = Some(outcome);
        order.state = State::Unwinding;
        order.tries = 0;
        self.undo(order);
        self.end_if_undone(order);
    }

    fn undo(&mut self, order: &mut Order) {
        order.tries = order.tries.saturating_add(1);
        order.next_at = Some(self.ctx.now + self.rules.again(order.tries));
        self.ask_undo(order);
        if is_owed(order.pay) {
            let again = order.pay == Step::UndoAsked;
            order.pay = Step::UndoAsked;
            self.void(order, again);
        }
    }

    /// Stock, coupon and points: what was asked is given back.
    pub(super) fn ask_undo(&mut self, order: &mut Order) {
        if is_owed(order.stock) {
            order.stock = Step::UndoAsked;
            self.ask_inventory(step::RELEASE, inventory::Command::Release { order: self.id });
        }
        if let Some(used) = order.coupon.as_mut().filter(|used| is_owed(used.step)) {
            used.step = Step::UndoAsked;
            let command = coupon::Command::Restore { coupon: used.coupon, order: self.id };
            self.ask_coupon(step::COUPON_BACK, command);
        }
        if is_owed(order.points.step) {
            order.points.step = Step::UndoAsked;
            let (user, paid, earned) = (order.user, order.points.paid, order.points.earned);
            let order = self.id;
            let command = point::Command::Restore { order, user, no: 0, paid, earned };
            self.ask_point(step::POINTS_BACK, command);
        }
    }

    /// With the intent, for it may be overtaken by its void, or lost: whenever it arrives, it finds
    /// the payment voided and charges nothing. Again: the void may be what is open, and nobody else
    /// asks about it.
    fn void(&mut self, order: &Order, again: bool) {
        let (intent, deadline) = (self.intent(order), self.deadline());
        self.ask_payment(step::VOID, payment::Command::Withdraw { intent, deadline });
        if again {
            self.ask_inquiry(None);
        }
    }

    fn undone(&mut self, order: &mut Order, mark: impl FnOnce(&mut Order)) {
        mark(order);
        self.end_if_undone(order);
    }

    fn end_if_undone(&mut self, order: &mut Order) {
        if holds_something(order) || is_owed(order.pay) {
            return;
        }
        self.end(order);
    }

    /// Without a sale. A reversal may still be open.
    pub(super) fn end(&mut self, order: &mut Order) {
        order.state = State::Cancelled;
        order.settled_at = Some(self.ctx.now);
        order.tries = 0;
        let orphan = order.reversal().is_some_and(Refund::is_open);
        order.next_at = orphan.then(|| self.ctx.now + self.rules.refund);
        self.out.emit(Event::Cancelled { order: self.id });
    }

    /// Row 25: money that came too late.
    fn orphan(&mut self, order: &mut Order) {
        let state = order.state;
        let why = "late_capture".into();
        self.out.emit(Event::Advanced { order: self.id, from: state, to: state, why });
        order.pay = Step::Undone;
        order.next_at = Some(self.ctx.now + self.rules.refund);
        self.give_money_back(order, "late_capture");
        if order.state == State::Unwinding {
            self.end_if_undone(order);
        }
    }

    /// Row 25: a hold that came too late. While an order is CANCELLED and has no reversal, its
    /// timer says that the void has not been answered yet.
    fn void_late(&mut self, order: &mut Order, again: bool) {
        if order.state == State::Unwinding {
            order.pay = Step::UndoAsked;
        } else {
            order.tries = order.tries.saturating_add(1);
            order.next_at = Some(self.ctx.now + self.rules.again(order.tries));
        }
        self.void(order, again);
    }
}

/// A payment that has said no needs no undo.
fn settle_refused_payment(order: &mut Order, outcome: Outcome) {
    let asked = matches!(order.state, State::Paying | State::PayUnknown);
    if asked && matches!(outcome, Outcome::Declined | Outcome::Shed) {
        order.pay = Step::Refused;
    }
}

fn rest(order: &mut Order) {
    order.next_at = None;
    order.tries = 0;
}

pub(super) fn set_coupon(order: &mut Order, step: Step) {
    if let Some(coupon) = &mut order.coupon {
        coupon.step = step;
    }
}

/// Row 27: nobody has to ask any more.
fn earned(order: &mut Order, step: Step) {
    order.earning.step = step;
    rest_if_all_ended(order);
}

pub(super) fn short(no: u32) -> u16 {
    u16::try_from(no).unwrap_or(u16::MAX)
}
