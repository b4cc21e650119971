//! Refunds: of a payment that must not have happened (rows 10, 21, 25: a reversal), and of sold
//! units (row 26).

use std::sync::Arc;

use super::act::{Act, short, split};
use super::command::{Event, step};
use super::model::{Order, Refund, RefundState, State};
use crate::inventory::command as inventory;
use crate::payment::command as payment;

impl Act<'_> {
    /// A reversal: all of it, of a payment that has no sale. The first attempt is refund 0.
    pub(super) fn give_money_back(&mut self, order: &mut Order, reason: &str) {
        self.reverse_by(order, RefundState::AtPsp, reason);
    }

    /// The next attempt, under a number of its own.
    pub(super) fn reverse_by(&mut self, order: &mut Order, state: RefundState, reason: &str) {
        let next = |refund: &Refund| refund.no.max(payment::REVERSAL).saturating_add(1);
        let (no, amount) = (order.reversal().map_or(0, next), order.total);
        self.ask_about_reversals(order);
        let units = Vec::new();
        let refund = Refund { no, state, amount, units, restock: false, reason: reason.into() };
        order.refunds.push(refund);
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
        let amount = refund.amount;
        let reversal = refund.is_reversal();
        let parts = if reversal { split(order) } else { parts(order, &refund.units) };
        let (payment, deadline) = (self.payment(), self.deadline());
        let command = if refund.state == RefundState::SettingAside {
            payment::Command::SetAside { payment, no, amount, parts }
        } else {
            payment::Command::Refund { payment, no, amount, parts, deduct: 0, deadline }
        };
        self.ask_payment(step::REFUND.saturating_add(short(no)), command);
    }

    /// Begins one.
    pub(super) fn begin_refund(&mut self, order: &mut Order, mut refund: Refund) {
        let (no, amount) = (refund.no, refund.amount);
        refund.state = if amount == 0 { RefundState::Restoring } else { RefundState::AtPsp };
        order.refunds.push(refund);
        order.next_at = Some(self.ctx.now + self.rules.refund);
        order.tries = 0;
        if amount == 0 {
            return self.ask_return(order, no);
        }
        self.ask_refund(order, no);
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

    pub(super) fn restore(&mut self, order: &mut Order, no: u32) {
        money_is_back(order, no);
        set_refund(order, no, RefundState::Restoring);
        self.ask_return(order, no);
    }

    /// The gateway had refused, and has done it all the same. The units follow, unless another
    /// refund has claimed them meanwhile.
    pub(super) fn restore_late(&mut self, order: &mut Order, no: u32) {
        if claims_free_units(order, no) {
            order.next_at = Some(self.ctx.now + self.rules.refund);
            return self.restore(order, no);
        }
        money_is_back(order, no);
        set_refund(order, no, RefundState::Done);
        if let Some(refund) = order.refunds.iter_mut().find(|refund| refund.no == no) {
            refund.units.clear();
        }
    }

    pub(super) fn returned(&mut self, order: &mut Order, no: u32) {
        let amount = order.refund(no).map_or(0, |refund| refund.amount);
        set_refund(order, no, RefundState::Done);
        rest_if_refunds_ended(order);
        self.out.emit(Event::Refunded { order: self.id, no, amount });
    }

    pub(super) fn refund_refused(&mut self, order: &mut Order, no: u32) {
        set_refund(order, no, RefundState::Refused);
        rest_if_refunds_ended(order);
        let (from, to) = (State::Completed, State::Completed);
        let why = order.reason.clone().unwrap_or_default();
        self.out.emit(Event::Advanced { order: self.id, from, to, why });
    }

    pub(super) fn refunds_again(&mut self, order: &mut Order) {
        order.tries = order.tries.saturating_add(1);
        order.next_at = Some(self.ctx.now + self.rules.again(order.tries));
        let open: Vec<_> = order.refunds.iter().filter(|refund| refund.is_open()).collect();
        for refund in open {
            match refund.state {
                RefundState::Restoring => self.ask_return(order, refund.no),
                RefundState::Requested | RefundState::AtPsp => self.ask_inquiry(Some(refund.no)),
                RefundState::Done
                | RefundState::Refused
                | RefundState::SettingAside
                | RefundState::SetAside => {}
            }
        }
    }
}

pub(super) fn set_refund(order: &mut Order, no: u32, state: RefundState) {
    if let Some(refund) = order.refunds.iter_mut().find(|refund| refund.no == no) {
        refund.state = state;
    }
}

/// Whether no other refund has claimed the units of refund `no`.
fn claims_free_units(order: &Order, no: u32) -> bool {
    let mut left = order.units_left();
    let units = order.refund(no).map(|refund| refund.units.as_slice()).unwrap_or_default();
    units.iter().all(|(line, quantity)| {
        let Some(left) = left.get_mut(*line) else { return false };
        *left = left.saturating_sub(*quantity);
        *left >= 0
    })
}

/// What each merchant's share of `units` is.
pub(super) fn parts(order: &Order, units: &[(usize, i64)]) -> Vec<payment::Part> {
    let mut parts: Vec<payment::Part> = Vec::with_capacity(1);
    for (at, quantity) in units {
        let Some(line) = order.lines.get(*at) else { continue };
        let amount = line.unit_price.saturating_mul(*quantity);
        match parts.iter_mut().find(|part| part.merchant == line.merchant) {
            Some(part) => part.card = part.card.saturating_add(amount),
            None if amount == 0 => {}
            None => parts.push(payment::Part::card(Arc::clone(&line.merchant), amount)),
        }
    }
    parts
}

pub(super) fn money_is_back(order: &mut Order, no: u32) {
    let amount = order.refund(no).map_or(0, |refund| refund.amount);
    order.refunded = order.refunded.saturating_add(amount);
}

fn rest_if_refunds_ended(order: &mut Order) {
    if !order.refunds.iter().any(Refund::is_open) {
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
