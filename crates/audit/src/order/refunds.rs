//! Refunds of orders, reversals of whole payments, and what an operator has set aside.

use super::{
    ABANDONED, Order, REFUND_DOUBLED, REFUND_LINES, REFUND_PAYMENT, REFUNDED, Refund, is_reversal,
    refund_state,
};
use crate::{
    book::Rule,
    payment::{self, Payment},
};

/// An abandoned order has put all that it captured back, or aside for the customer.
pub(super) fn abandoned(
    order: &Order,
    payment: Option<&Payment>,
    find: &mut impl FnMut(Rule, String),
) {
    let aside = |refund: &Refund| refund.state == refund_state::SET_ASIDE;
    if order.refunds.iter().any(aside) && !order.reason_is_of_operator() {
        find(ABANDONED, "money is set aside, and no operator has said why".to_owned());
    }
    if !order.is_abandoned() {
        return;
    }
    if order.outcome.is_none() {
        find(ABANDONED, "abandoned without an outcome".to_owned());
    }
    let kept = payment.map_or(0, Payment::kept);
    if kept != 0 {
        find(ABANDONED, format!("abandoned, and {kept} is the merchants'"));
    }
}

/// Refunds in themselves, against the lines, and against the payment.
pub(super) fn check(order: &Order, payment: Option<&Payment>, find: &mut impl FnMut(Rule, String)) {
    let sum = |least: i64, no: i64| -> i128 {
        let all = order.refunds.iter().filter(|r| r.no >= no);
        let done = all.filter(|r| (least..=refund_state::DONE).contains(&r.state));
        done.map(|r| i128::from(r.amount)).sum()
    };
    let refunded = i128::from(order.refunded);
    let (least, most) = (sum(refund_state::DONE, 1), sum(refund_state::RESTORING, 0));
    if refunded < least || refunded > most {
        find(REFUNDED, format!("refunded {refunded}, its refunds sum to {least}…{most}"));
    }
    for (at, refund) in order.refunds.iter().enumerate() {
        if order.refunds[..at].iter().any(|other| other.no == refund.no) {
            find(REFUND_DOUBLED, format!("refund {} stands twice", refund.no));
        }
        refund_at_payment(refund, payment, find);
        units(order, refund, find);
    }
    let live = order.refunds.iter().filter(|r| r.state != refund_state::REFUSED);
    if let Some(detail) = order.overlap(live.flat_map(|r| &r.units)) {
        find(REFUND_LINES, format!("refunded twice, or never ordered: {detail}"));
    }
}

/// Cash, points and what follows the money.
fn units(order: &Order, refund: &Refund, find: &mut impl FnMut(Rule, String)) {
    let late = refund.units.is_empty() && refund.state == refund_state::DONE;
    if is_reversal(refund.no) || late {
        return;
    }
    let worth = order.shares(&refund.units);
    let ours = [refund.paid, refund.earned].map(i128::from);
    let cash = i128::from(refund.amount) + i128::from(refund.deduct);
    if refund.units.is_empty() || cash != worth.card || ours != [worth.paid, worth.earned] {
        let detail = format!("refund {} of {cash} and {ours:?} points", refund.no);
        find(REFUND_LINES, format!("{detail} is for units worth {worth:?}"));
    }
    let owes = refund.owed.unwrap_or_default() != 0;
    // Rows of the first version do not say what.
    if refund.owed.is_some() && owes != (refund.state == refund_state::RESTORING) {
        let Refund { no, state, .. } = refund;
        let detail = format!("refund {no} in state {state}, and something is owed: {owes}");
        find(REFUND_LINES, detail);
    }
}

impl Refund {
    /// Whether the payment hears of it.
    fn moves_something(&self) -> bool {
        self.amount != 0 || self.paid != 0 || self.earned != 0
    }
}

fn refund_at_payment(
    refund: &Refund,
    payment: Option<&Payment>,
    find: &mut impl FnMut(Rule, String),
) {
    let twin = payment.and_then(|p| p.refunds.iter().find(|twin| twin.no == refund.no));
    let theirs = twin.map(|twin| twin.state);
    let fits = match refund.state {
        refund_state::PSP_REFUND => theirs.is_some(),
        refund_state::RESTORING | refund_state::DONE => theirs == Some(payment::refund_state::DONE),
        refund_state::REFUSED => theirs.is_none_or(payment::refund_state::is_void),
        refund_state::SETTING_ASIDE => {
            theirs.is_none_or(|theirs| theirs == payment::refund_state::SET_ASIDE)
        }
        refund_state::SET_ASIDE => theirs == Some(payment::refund_state::SET_ASIDE),
        _ => true,
    };
    if !fits && refund.moves_something() {
        let theirs = theirs.map_or("absent", payment::refund_state::name);
        let detail = format!("refund {} in state {}", refund.no, refund.state);
        find(REFUND_PAYMENT, format!("{detail} is {theirs} at the payment"));
    }
}
