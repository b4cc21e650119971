//! Giving the money of a charge back, as far as its points are unspent.
//!
//! The points go first and the money follows: whatever the gateway says, and whenever, nobody has
//! both. If it refuses, the points come back. If it has refused and the money went back all the
//! same, the points are taken again; those that were spent meanwhile are the shop's loss, and the
//! ledger says so.

use jangbu_kernel::{Ctx, Out, PaymentId, RefundId, UserId};

use super::command::{Event, Kind, Reject, Reply, What, posting};
use super::decide::{arm, moved, note};
use super::model::{Both, Credit, Lot, Refund, RefundState, Rows};

/// The most refunds of a charge: gateways number up to here.
pub(super) const MOST: usize = 999;

/// Takes the points of a charge that is to be given back.
pub(super) fn refund(
    (payment, id): (PaymentId, RefundId),
    user: UserId,
    (wish, reason): (Option<i64>, &str),
    ctx: &Ctx,
    (rows, out): (&mut Rows, &mut Out<Event>),
) -> Result<Reply, Reject> {
    let credit = rows.credit.get(payment.0).ok_or(Reject::ChargeUnknown)?;
    if credit.kind != Kind::Paid || credit.user != user {
        return Err(Reject::ChargeUnknown);
    }
    if let Some(old) = credit.refund(id) {
        let same = wish.is_none_or(|amount| amount == old.amount);
        return if same { Ok(known(payment, old)) } else { Err(Reject::UseDiffers) };
    }
    let left = rows.account.get(user).map_or(0, |account| credit.refundable(account, ctx.now));
    let amount = wish.unwrap_or(left);
    if amount < 1 && wish.is_some() {
        return Err(Reject::AmountInvalid);
    }
    if amount > left || left == 0 {
        return Err(Reject::RefundExceedsLeft { left });
    }
    if credit.refunds.len() >= MOST {
        return Err(Reject::TooManyRefunds);
    }
    let lot = Lot { kind: Kind::Paid, until: credit.until, amount };
    let refund = Refund { id, amount, state: RefundState::Held, missing: 0 };
    edit(payment, rows).refunds.push(refund);
    take((payment, user), lot, ctx, rows);
    out.emit(Event::Refunding { payment, refund: id, amount, reason: reason.into() });
    Ok(known(payment, &refund))
}

/// What is told of a refund.
pub(super) fn known(payment: PaymentId, refund: &Refund) -> Reply {
    let Refund { id: refund, amount, .. } = *refund;
    Reply::Refunding { payment, refund, amount }
}

/// Hears what became of the money. A fact: what cannot be any more changes nothing.
pub(super) fn ended(
    (payment, id): (PaymentId, RefundId),
    user: UserId,
    given: bool,
    ctx: &Ctx,
    (rows, out): (&mut Rows, &mut Out<Event>),
) -> Result<Reply, Reject> {
    let credit = rows.credit.get(payment.0).filter(|credit| credit.user == user);
    let credit = credit.ok_or(Reject::ChargeUnknown)?;
    let Some(at) = credit.refunds.iter().position(|refund| refund.id == id) else {
        return Err(Reject::UseUnknown);
    };
    let (until, state) = (credit.until, credit.refunds.get(at).map(|refund| refund.state));
    match (state, given) {
        (Some(RefundState::Held), true) => set(payment, at, (RefundState::Given, 0), rows),
        (Some(RefundState::Held), false) => {
            set(payment, at, (RefundState::Returned, 0), rows);
            put_back((payment, user), at, ctx, rows);
        }
        (Some(RefundState::Returned), true) => {
            let missing = take_again((payment, user), at, ctx, rows);
            set(payment, at, (RefundState::Given, missing), rows);
            if missing > 0 {
                let lot = Lot { kind: Kind::Paid, until, amount: missing };
                let place = i64::try_from(at).unwrap_or(i64::MAX).saturating_add(1);
                let seq = posting::SHORT.saturating_add(place);
                let currency = rows.account.get(user).map(|account| account.currency);
                let currency = currency.unwrap_or(rows.rules.currency);
                out.emit(moved(payment.0, seq, What::Refunded, lot, currency));
            }
        }
        (Some(RefundState::Returned), false) | (Some(RefundState::Given) | None, _) => {}
    }
    Ok(Reply::RefundEnded)
}

fn edit(payment: PaymentId, rows: &mut Rows) -> &mut Credit {
    rows.credit.edit(payment.0).expect("looked at before")
}

fn set(payment: PaymentId, at: usize, (state, missing): (RefundState, i64), rows: &mut Rows) {
    if let Some(refund) = edit(payment, rows).refunds.get_mut(at) {
        refund.state = state;
        refund.missing = missing;
    }
}

/// The points of the refund at place `at`, in the lot of its charge.
fn lot_of(payment: PaymentId, at: usize, rows: &Rows) -> Lot {
    let credit = rows.credit.get(payment.0).expect("looked at before");
    let amount = credit.refunds.get(at).map_or(0, |refund| refund.amount);
    Lot { kind: Kind::Paid, until: credit.until, amount }
}

fn take((payment, user): (PaymentId, UserId), lot: Lot, ctx: &Ctx, rows: &mut Rows) {
    let account = rows.account.edit(user).expect("it holds points");
    account.take(lot);
    account.charged = account.charged.saturating_sub(lot.amount);
    let gone = Both::of(lot.kind, lot.amount).negated();
    account.moved(note((user, What::Refunded, payment.0), gone, 0), ctx.commit);
}

fn put_back((payment, user): (PaymentId, UserId), at: usize, ctx: &Ctx, rows: &mut Rows) {
    let lot = lot_of(payment, at, rows);
    let lot = Lot { until: rows.rules.back_until(lot.until, ctx.now), ..lot };
    let account = rows.account.edit(user).expect("points were taken from it");
    account.put(lot);
    account.charged = account.charged.saturating_add(lot.amount);
    let back = Both::of(lot.kind, lot.amount);
    account.moved(note((user, What::Unrefunded, payment.0), back, 0), ctx.commit);
    arm(user, rows);
}

/// Takes what is still there of a refund that was returned; says how many points are missing.
fn take_again((payment, user): (PaymentId, UserId), at: usize, ctx: &Ctx, rows: &mut Rows) -> i64 {
    let lot = lot_of(payment, at, rows);
    let there = rows.account.get(user).map_or(0, |account| account.holds(lot)).min(lot.amount);
    if there > 0 {
        take((payment, user), Lot { amount: there, ..lot }, ctx, rows);
    }
    lot.amount.saturating_sub(there)
}
