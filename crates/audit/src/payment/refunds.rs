//! The refunds of one payment: their sums, their shares, their postings.

use super::{
    Part, Payment, REFUND_DOUBLED, REFUND_POSTING, REFUND_SPLIT, REFUNDED, Refund, is_negative,
    refund_state, sum_of,
};
use crate::ids;

/// Checks them against the payment's counters and split.
pub(super) fn check(payment: &Payment, find: &mut impl FnMut(crate::Rule, String)) {
    if payment.refunds.is_empty() && payment.refunded == 0 && payment.pending == 0 {
        return;
    }
    let sum = |wanted: &dyn Fn(&Refund) -> bool| -> i128 {
        payment.refunds.iter().filter(|r| wanted(r)).map(|r| i128::from(r.amount)).sum()
    };
    let done = sum(&|refund| refund.state == refund_state::DONE);
    let pending = sum(&|refund| refund.is_pending() || refund.state == refund_state::SET_ASIDE);
    if done != i128::from(payment.refunded) || pending != i128::from(payment.pending) {
        let detail = format!(
            "refunded {} and pending {}; the list has {done} done and {pending} pending",
            payment.refunded, payment.pending
        );
        find(REFUNDED, detail);
    }
    for (at, refund) in payment.refunds.iter().enumerate() {
        if payment.refunds[..at].iter().any(|other| other.no == refund.no) {
            find(REFUND_DOUBLED, format!("refund {} stands twice", refund.no));
        }
        let card = sum_of(&refund.parts, |part| part.card) - i128::from(refund.deduct);
        let below = refund.amount.min(refund.deduct) < 0 || refund.parts.iter().any(is_negative);
        // Points are no merchant's: their money goes back without parts.
        let whole = if payment.points_of.is_some() {
            refund.parts.is_empty() && refund.deduct == 0 && refund.amount > 0
        } else {
            card == i128::from(refund.amount)
        };
        if !whole || below {
            let Refund { no, amount, deduct, .. } = refund;
            let detail = format!("refund {no} of {amount}: {card} without {deduct} deducted");
            find(REFUND_SPLIT, detail);
        }
    }
    for (at, refund) in payment.refunds.iter().enumerate().filter(|(_, refund)| refund.id != 0) {
        let own = payment.refunds[..at].iter().all(|other| other.posting != refund.posting);
        let posted = own && (2..=payment.postings).contains(&refund.posting);
        let done = refund.state == refund_state::DONE;
        let fits = if done { posted } else { refund.posting == 0 };
        if !fits || payment.order.is_some() {
            let detail = format!(
                "refund {} ({}) is {} with posting {} of {}",
                refund.no,
                ids::refund(refund.id),
                refund_state::name(refund.state),
                refund.posting,
                payment.postings
            );
            find(REFUND_POSTING, detail);
        }
    }
    returned_shares(payment, find);
}

/// No merchant gives back more of any share than it got.
fn returned_shares(payment: &Payment, find: &mut impl FnMut(crate::Rule, String)) {
    for merchant in payment.refunds.iter().flat_map(|r| &r.parts).map(|part| &part.merchant) {
        let of = |parts: &[Part]| -> [i128; 4] {
            let theirs = parts.iter().filter(|part| part.merchant == *merchant);
            theirs.fold([0; 4], |sum, part| plus(sum, part.shares().map(i128::from)))
        };
        let live = payment.refunds.iter().filter(|r| !refund_state::is_void(r.state));
        let back = live.fold([0; 4], |sum, refund| plus(sum, of(&refund.parts)));
        let got = of(&payment.split);
        if back.iter().zip(got).any(|(back, got)| *back > got) {
            find(REFUND_SPLIT, format!("{merchant} gives back {back:?} of {got:?}"));
            return;
        }
    }
}

fn plus(mut sum: [i128; 4], other: [i128; 4]) -> [i128; 4] {
    sum.iter_mut().zip(other).for_each(|(sum, other)| *sum += other);
    sum
}
