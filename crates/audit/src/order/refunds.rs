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
        let price = |(at, quantity): &(usize, i64)| {
            order.lines.get(*at).map(|line| i128::from(line.price) * i128::from(*quantity))
        };
        let worth: Option<i128> = refund.units.iter().map(price).sum();
        if !is_reversal(refund.no) && worth != Some(i128::from(refund.amount)) {
            let detail = format!("refund {} of {}", refund.no, refund.amount);
            find(REFUND_LINES, format!("{detail} is for units worth {worth:?}"));
        }
    }
    for (at, line) in order.lines.iter().enumerate() {
        let live =
            order.refunds.iter().filter(|r| !is_reversal(r.no) && r.state != refund_state::REFUSED);
        let units = live.flat_map(|r| &r.units).filter(|(line, _)| *line == at);
        let back: i128 = units.map(|(_, quantity)| i128::from(*quantity)).sum();
        if back > i128::from(line.quantity) {
            find(REFUND_LINES, format!("{back} of {} units of line {at}", line.quantity));
        }
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
    if !fits && refund.amount != 0 {
        let theirs = theirs.map_or("absent", payment::refund_state::name);
        let detail = format!("refund {} in state {}", refund.no, refund.state);
        find(REFUND_PAYMENT, format!("{detail} is {theirs} at the payment"));
    }
}
