//! Refunds: of a payment that must not have happened (rows 10, 21, 25: a reversal), and of sold
//! units (row 26).

use super::act::{Act, set_coupon, short};
use super::allocation::Allocation;
use super::command::{Event, step};
use super::model::{Order, Range, Refund, RefundState, State, Step, owed};
use super::units::{are_all_back, are_free};
use crate::coupon::command as coupon;
use crate::inventory::command as inventory;
use crate::payment::command as payment;
use crate::point::command as point;

impl Act<'_> {
    /// A reversal: all of it, of a payment that has no sale. The first attempt is refund 0.
    pub(super) fn give_money_back(&mut self, order: &mut Order, reason: &str) {
        self.reverse_by(order, RefundState::AtPsp, reason);
    }

    /// The next attempt, under a number of its own.
    pub(super) fn reverse_by(&mut self, order: &mut Order, state: RefundState, reason: &str) {
        let next = |refund: &Refund| refund.no.max(payment::REVERSAL).saturating_add(1);
        let (no, amount) = (order.reversal().map_or(0, next), order.card());
        self.ask_about_reversals(order);
        order.refunds.push(Refund {
            no,
            state,
            amount,
            units: Vec::new(),
            restock: false,
            reason: reason.into(),
            // Points go back by the undo of their step.
            paid: 0,
            earned: 0,
            clawed: 0,
            deduct: 0,
            owed: 0,
        });
        self.ask_refund(order, no);
    }

    /// Any attempt may have been given, whatever was said of it before.
    pub(super) fn ask_about_reversals(&mut self, order: &Order) {
        for refund in order.refunds.iter().filter(|refund| refund.is_reversal()) {
            self.ask_inquiry(Some(refund.no));
        }
    }

    /// Asks refund `no` of payment. Safe to repeat: the number says which one it is.
    pub(super) fn ask_refund(&mut self, order: &Order, no: u32) {
        let Some(refund) = order.refund(no) else { return };
        let (amount, deduct) = (refund.amount, refund.deduct);
        let shares = Allocation::of(order);
        let parts = if refund.is_reversal() { shares.split() } else { shares.parts(&refund.units) };
        let (payment, deadline) = (self.payment(), self.deadline());
        let command = if refund.state == RefundState::SettingAside {
            payment::Command::SetAside { payment, no, amount, parts }
        } else {
            payment::Command::Refund { payment, no, amount, parts, deduct, deadline }
        };
        self.ask_payment(step::REFUND.saturating_add(short(no)), command);
    }

    /// Begins one: by what its units have earned, if that was given.
    pub(super) fn begin_refund(&mut self, order: &mut Order, refund: Refund) {
        let no = refund.no;
        order.refunds.push(refund);
        order.next_at = Some(self.ctx.now + self.rules.refund);
        order.tries = 0;
        if matches!(order.earning.step, Step::Asked | Step::Done) && claim(order, no) > 0 {
            set_refund(order, no, RefundState::Clawing);
            return self.ask_claw(order, no);
        }
        self.give_back(order, no);
    }

    fn ask_claw(&mut self, order: &Order, no: u32) {
        let (user, amount) = (order.user, claim(order, no));
        let order = self.id;
        let command = point::Command::ClawBack { order, user, no, amount };
        self.ask_point(step::CLAW.saturating_add(short(no)), command);
    }

    /// What was spent before it could be taken back is kept from the cash.
    pub(super) fn clawed(&mut self, order: &mut Order, no: u32, taken: i64) {
        let claim = claim(order, no);
        if let Some(refund) = find(order, no) {
            refund.clawed = taken.clamp(0, claim);
            refund.deduct = claim.saturating_sub(refund.clawed);
            refund.amount = refund.amount.saturating_sub(refund.deduct);
        }
        order.next_at = Some(self.ctx.now + self.rules.refund);
        self.give_back(order, no);
    }

    /// The money; units that nobody has paid for have none.
    fn give_back(&mut self, order: &mut Order, no: u32) {
        let units = order.refund(no).map(|refund| refund.units.as_slice()).unwrap_or_default();
        if Allocation::of(order).parts(units).is_empty() {
            return self.restore(order, no);
        }
        set_refund(order, no, RefundState::AtPsp);
        self.ask_refund(order, no);
    }

    /// What follows the money.
    pub(super) fn restore(&mut self, order: &mut Order, no: u32) {
        self.restore_and(order, no, 0);
    }

    fn restore_and(&mut self, order: &mut Order, no: u32, more: u8) {
        money_is_back(order, no);
        set_refund(order, no, RefundState::Restoring);
        let coupon = order.coupon_step() == Step::Done && are_all_back(order);
        if let Some(refund) = find(order, no) {
            let points = refund.paid > 0 || refund.earned > 0;
            refund.owed = more
                | owed::STOCK
                | if points { owed::POINTS } else { 0 }
                | if coupon { owed::COUPON } else { 0 };
        }
        if coupon {
            set_coupon(order, Step::UndoAsked);
        }
        self.ask_owed(order, no);
    }

    fn ask_owed(&mut self, order: &Order, no: u32) {
        let Some(refund) = order.refund(no) else { return };
        if refund.owed & owed::STOCK != 0 {
            let line = |range: &Range| {
                let sku = order.lines.get(range.line)?.sku;
                Some(inventory::Line { sku, quantity: range.quantity })
            };
            let lines: Vec<_> = refund.units.iter().filter_map(line).collect();
            let (order, restock) = (self.id, refund.restock);
            let command = inventory::Command::Return { order, no, lines, restock };
            self.ask_inventory(step::RETURN.saturating_add(short(no)), command);
        }
        if refund.owed & owed::POINTS != 0 {
            let (user, paid, earned) = (order.user, refund.paid, refund.earned);
            let command = point::Command::Restore { order: self.id, user, no, paid, earned };
            self.ask_point(step::POINTS_RETURN.saturating_add(short(no)), command);
        }
        if let Some(coupon) = order.coupon_id().filter(|_| refund.owed & owed::COUPON != 0) {
            let command = coupon::Command::Restore { coupon, order: self.id };
            self.ask_coupon(step::COUPON_RETURN, command);
        }
        if refund.owed & owed::UNCLAW != 0 {
            self.ask_unclaw(order, no);
        }
    }

    /// The gateway had refused, and has done it all the same. The units follow, unless another
    /// refund has claimed them meanwhile; the points are the buyer's again in any case.
    pub(super) fn restore_late(&mut self, order: &mut Order, no: u32) {
        order.next_at = Some(self.ctx.now + self.rules.refund);
        let unclawing = order.refund(no).is_some_and(|r| r.state == RefundState::Unclawing);
        let unclaw = if unclawing { owed::UNCLAW } else { 0 };
        if are_free(order, no) {
            return self.restore_and(order, no, unclaw);
        }
        money_is_back(order, no);
        set_refund(order, no, RefundState::Restoring);
        if let Some(refund) = find(order, no) {
            let points = refund.paid > 0 || refund.earned > 0;
            refund.owed = unclaw | if points { owed::POINTS } else { 0 };
            refund.units.clear();
        }
        self.ask_owed(order, no);
        self.end_refund(order, no);
    }

    /// One of the things that follow the money is done.
    pub(super) fn followed(&mut self, order: &mut Order, no: u32, what: u8) {
        if let Some(refund) = find(order, no) {
            refund.owed &= !what;
            if what == owed::UNCLAW {
                refund.clawed = 0;
            }
        }
        if what == owed::COUPON {
            set_coupon(order, Step::Undone);
        }
        self.end_refund(order, no);
    }

    fn end_refund(&mut self, order: &mut Order, no: u32) {
        let Some(refund) = order.refund(no).filter(|refund| refund.owed == 0) else { return };
        let amount = refund.amount;
        set_refund(order, no, RefundState::Done);
        rest_if_all_ended(order);
        self.out.emit(Event::Refunded { order: self.id, no, amount });
    }

    /// What was taken back for it is given again first.
    pub(super) fn refund_refused(&mut self, order: &mut Order, no: u32) {
        if order.refund(no).is_some_and(|refund| refund.clawed > 0) {
            set_refund(order, no, RefundState::Unclawing);
            return self.ask_unclaw(order, no);
        }
        self.end_refused(order, no);
    }

    fn ask_unclaw(&mut self, order: &Order, no: u32) {
        let (order, user) = (self.id, order.user);
        let command = point::Command::UnClaw { order, user, no };
        self.ask_point(step::UNCLAW.saturating_add(short(no)), command);
    }

    pub(super) fn unclawed(&mut self, order: &mut Order, no: u32) {
        if let Some(refund) = find(order, no) {
            refund.clawed = 0;
        }
        self.end_refused(order, no);
    }

    fn end_refused(&mut self, order: &mut Order, no: u32) {
        set_refund(order, no, RefundState::Refused);
        rest_if_all_ended(order);
        let (from, to) = (State::Completed, State::Completed);
        let why = order.reason.clone().unwrap_or_default();
        self.out.emit(Event::Advanced { order: self.id, from, to, why });
    }

    pub(super) fn refunds_again(&mut self, order: &mut Order) {
        order.tries = order.tries.saturating_add(1);
        order.next_at = Some(self.ctx.now + self.rules.again(order.tries));
        for refund in order.refunds.iter().filter(|refund| refund.is_open()) {
            match refund.state {
                RefundState::Clawing => self.ask_claw(order, refund.no),
                RefundState::Unclawing => self.ask_unclaw(order, refund.no),
                RefundState::Restoring => self.ask_owed(order, refund.no),
                RefundState::Requested | RefundState::AtPsp => self.ask_inquiry(Some(refund.no)),
                RefundState::Done
                | RefundState::Refused
                | RefundState::SettingAside
                | RefundState::SetAside => {}
            }
        }
        if order.earning.step == Step::Asked {
            self.ask_earn(order);
        }
    }
}

/// Points that the units of refund `no` have earned.
fn claim(order: &Order, no: u32) -> i64 {
    let units = order.refund(no).map(|refund| refund.units.as_slice()).unwrap_or_default();
    Allocation::of(order).sum(units).points
}

fn find(order: &mut Order, no: u32) -> Option<&mut Refund> {
    order.refunds.iter_mut().find(|refund| refund.no == no)
}

pub(super) fn set_refund(order: &mut Order, no: u32, state: RefundState) {
    if let Some(refund) = order.refunds.iter_mut().find(|refund| refund.no == no) {
        refund.state = state;
    }
}

pub(super) fn money_is_back(order: &mut Order, no: u32) {
    let amount = order.refund(no).map_or(0, |refund| refund.amount);
    order.refunded = order.refunded.saturating_add(amount);
}

/// Nothing is left to be asked about a sold order.
pub(super) fn rest_if_all_ended(order: &mut Order) {
    let earns = order.earning.step == Step::Asked;
    if !earns && !order.refunds.iter().any(Refund::is_open) {
        order.next_at = None;
        order.tries = 0;
    }
}

/// The money is back by reversal `no`, whatever became of the other attempts.
pub(super) fn reversal_done(order: &mut Order, no: u32) {
    money_is_back(order, no);
    for refund in order.refunds.iter_mut().filter(|refund| refund.is_reversal()) {
        let done = refund.no == no;
        refund.state = if done { RefundState::Done } else { RefundState::Refused };
    }
}

/// Row 25: what came too late has gone back.
pub(super) fn orphan_done(order: &mut Order, no: u32) {
    reversal_done(order, no);
    rest_if_cancelled(order);
}

/// Row 25: nothing is left to do about an order that has ended.
pub(super) fn rest_if_cancelled(order: &mut Order) {
    if order.state == State::Cancelled {
        order.next_at = None;
        order.tries = 0;
    }
}
