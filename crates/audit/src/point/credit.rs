//! Charges and grants; refunds of a charge, as the points tell them, against what the payment says.

use super::{CHARGED, EARNED, PAID, Points, REFUND, place};
use crate::{
    book::Book,
    ids,
    payment::{refund_state, state as pay},
    rows::{Cells, Unreadable},
    walk::Case,
};

/// The columns of charges and grants, by key.
pub(crate) const CREDITS: &str =
    "SELECT id, user_id, kind, amount, refunds FROM point_credit ORDER BY id";

/// States of a refund here.
const HELD: i64 = 1;
const RETURNED: i64 = 2;
const GIVEN: i64 = 3;

/// A refund of a charge, `[refund id,points,state,missing]`.
#[derive(Debug, serde::Deserialize)]
pub(crate) struct Refund {
    id: i64,
    points: i64,
    state: i64,
    /// Points that were spent when the money went back after all.
    pub(super) missing: i64,
}

/// A charge or a grant.
#[derive(Debug)]
pub(crate) struct Credit {
    pub(super) user: i64,
    pub(super) kind: i64,
    pub(super) amount: i64,
    pub(super) refunds: Vec<Refund>,
}

impl Credit {
    /// Reads the columns of [`CREDITS`] after the key.
    pub(crate) fn read(cells: &mut Cells<'_>) -> Result<Self, Unreadable> {
        Ok(Self {
            user: cells.int()?,
            kind: cells.int_in(EARNED..=PAID)?,
            amount: cells.int()?,
            refunds: cells.json()?,
        })
    }

    /// Whether an operator gave it.
    pub(crate) fn is_grant(&self) -> bool {
        self.kind == EARNED
    }

    /// How many points of a charge went back, or are about to.
    pub(super) fn gone(&self) -> i64 {
        let live = self.refunds.iter().filter(|refund| refund.state != RETURNED);
        live.fold(0, |sum, refund| sum.wrapping_add(refund.points).wrapping_sub(refund.missing))
    }
}

/// Whether who has paid for points has them.
fn paid_for(case: &Case<'_>, book: &mut Book) {
    let Some(payment) = &case.payment else { return };
    let bought = payment.points_of.filter(|_| payment.state == pay::CAPTURED);
    if let Some(user) = bought.filter(|_| case.credit.is_none()) {
        let detail = format!("{} has paid {}", ids::show("usr", user), payment.captured);
        book.find(CHARGED, ids::payment(case.id), detail);
    }
}

/// Checks that a paid charge has its points, and its refunds against those of its payment.
pub(super) fn check(case: &Case<'_>, book: &mut Book) {
    paid_for(case, book);
    let none = Vec::new();
    let of_points = case.credit.as_ref().map_or(&none, |credit| &credit.refunds);
    let charge = case.payment.as_ref().filter(|payment| payment.points_of.is_some());
    let money = charge.map(|payment| &*payment.refunds).unwrap_or_default();
    let mut find = |detail| book.find(REFUND, ids::payment(case.id), detail);
    for (at, refund) in of_points.iter().enumerate() {
        let Refund { id, points, state, missing } = *refund;
        let twin = money.iter().find(|other| other.id == id);
        let agrees = twin.is_some_and(|twin| twin.amount == points && stands(state, twin.state));
        let twice = of_points[..at].iter().any(|other| other.id == id);
        let sound =
            points > 0 && (0..=points).contains(&missing) && (missing == 0 || state == GIVEN);
        if !agrees || twice || !sound {
            let twin = twin.map(|twin| (twin.amount, refund_state::name(twin.state)));
            find(format!("{refund:?} of {}, its payment says {twin:?}", ids::refund(id)));
        }
    }
    for lone in money.iter().filter(|money| of_points.iter().all(|other| other.id != money.id)) {
        find(format!("{} gives {} back, and no points went", ids::refund(lone.id), lone.amount));
    }
    let whole = case.credit.as_ref().map_or(0, |credit| credit.amount);
    let live = of_points.iter().filter(|refund| refund.state != RETURNED);
    if live.map(|refund| i128::from(refund.points)).sum::<i128>() > i128::from(whole) {
        find(format!("more than the {whole} of the charge: {of_points:?}"));
    }
}

/// Whether points in `state` go with money in `money`.
fn stands(state: i64, money: i64) -> bool {
    match state {
        HELD => matches!(money, refund_state::SENT | refund_state::UNKNOWN),
        RETURNED => money == refund_state::REFUSED,
        GIVEN => money == refund_state::DONE,
        _ => false,
    }
}

impl Points {
    /// Adds what the ledger still owes for points that are taken and not yet paid back.
    pub(super) fn held(&mut self, case: &Case<'_>) {
        let Some(credit) = &case.credit else { return };
        let held = credit.refunds.iter().filter(|refund| refund.state == HELD);
        let held: i128 = held.map(|refund| i128::from(refund.points)).sum();
        if let Some(currency) = self.accounts.get(&credit.user).map(|account| account.currency) {
            self.currencies[currency].unsettled[place(PAID)] += held;
        }
    }
}
