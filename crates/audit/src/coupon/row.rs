//! A coupon row, against its place and the order that uses it.

use super::{DONE, FREE, Known, PLACE, REVOKED, STATE, UNDONE, USED, USED_BY, cpn};
use crate::{
    book::Book,
    ids,
    order::state,
    rows::{Cells, Unreadable},
};

/// A coupon row.
#[derive(Debug)]
pub(super) struct Coupon {
    pub(super) id: i64,
    pub(super) campaign: i64,
    pub(super) user: i64,
    pub(super) position: i64,
    pub(super) state: i64,
    pub(super) order: Option<i64>,
    pub(super) discount: i64,
    pub(super) undone: Vec<i64>,
    pub(super) issued_at: i64,
    pub(super) expires_at: i64,
    pub(super) reason: bool,
}

impl Coupon {
    /// Reads the columns of a coupon up to its reason.
    pub(super) fn read(cells: &mut Cells<'_>) -> Result<Self, Unreadable> {
        Ok(Self {
            id: cells.int()?,
            campaign: cells.int()?,
            user: cells.int()?,
            position: cells.int()?,
            state: cells.int_in(FREE..=REVOKED)?,
            order: cells.int_or_null()?,
            discount: cells.int()?,
            undone: cells.json()?,
            issued_at: cells.int()?,
            expires_at: cells.int()?,
            reason: cells.text_or_null()?.is_some(),
        })
    }

    /// What others are told of it.
    pub(super) fn known(&self) -> Known {
        let Self { id, campaign, position, order, discount, .. } = *self;
        Known { id, campaign, position, order, discount }
    }

    /// Checks it in itself.
    pub(super) fn check_state(&self, clock: i64, book: &mut Book) {
        let used = self.state == USED_BY;
        let names = (self.order.is_some(), self.discount > 0) == (used, used);
        let back = self.order.is_some_and(|order| self.undone.contains(&order));
        let why = self.reason == (self.state == REVOKED);
        let fits = self.undone.len() <= 64 && self.discount >= 0 && self.issued_at <= clock;
        if !names || back || !why || !fits {
            let detail = format!("state {} of order {:?}", self.state, self.order);
            let more = format!("{} off, given back by {:?}", self.discount, self.undone);
            book.find(STATE, cpn(self.id), format!("{detail}, {more}"));
        }
    }

    /// Checks it against the place that it says.
    pub(super) fn check_place(
        &self,
        cells: &mut Cells<'_>,
        book: &mut Book,
    ) -> Result<(), Unreadable> {
        let place = (cells.int_or_null()?, cells.int_or_null()?, cells.int_or_null()?);
        if place != (Some(self.id), Some(self.user), Some(self.issued_at)) {
            let detail = format!("position {} has coupon, owner, time {place:?}", self.position);
            book.find(PLACE, cpn(self.id), detail);
        }
        Ok(())
    }

    /// Checks it against the order that uses it.
    pub(super) fn check_order(
        &self,
        cells: &mut Cells<'_>,
        book: &mut Book,
    ) -> Result<(), Unreadable> {
        let (user, standing) = (cells.int_or_null()?, cells.int_or_null()?);
        let (coupon, step) = (cells.int_or_null()?, cells.int_or_null()?);
        let (discount, reason) = (cells.int_or_null()?, cells.text_or_null()?);
        let Some(order) = self.order else { return Ok(()) };
        let given_up = reason.is_some_and(|reason| reason.starts_with("abandoned"));
        let ended = standing == Some(state::CANCELLED) && !given_up;
        // Between two cells an order hears of it a moment later.
        let saves = step != Some(DONE) || discount == Some(self.discount);
        let same = (user, coupon) == (Some(self.user), Some(self.id)) && step != Some(UNDONE);
        if ended || !saves || !same {
            let detail = format!("{}, of user {user:?}, state {standing:?}", ids::order(order));
            let more = format!("coupon {coupon:?} in step {step:?}, {discount:?} off");
            book.find(USED, cpn(self.id), format!("{detail}: {more}; here {}", self.discount));
        }
        Ok(())
    }
}
