//! What the engine does with one command: rows that were never written are read as absent, a reject
//! is rolled back.

use jangbu_kernel::domain::Coded;
use jangbu_kernel::{Ctx, Domain, Out, RowSet};

use crate::order::command::Event;
use crate::{coupon, inventory, ledger, order, payment, point};

/// What an order's decision brings.
pub(super) type OrderOut = Out<Event>;

pub(super) type Sets<R> = fn(&mut R) -> Vec<&mut dyn RowSet>;
pub(super) type Decided<D> =
    Result<(<D as Domain>::Reply, Out<<D as Domain>::Event>), <D as Domain>::Reject>;

/// Tables of a domain whose rows are read as absent.
pub(super) trait Absent {
    fn absent(&mut self);
}

impl Absent for order::Rows {
    fn absent(&mut self) {
        self.order.take_wanted().into_iter().for_each(|key| self.order.load(key, None));
        self.offer.take_wanted().into_iter().for_each(|key| self.offer.load(key, None));
    }
}

impl Absent for inventory::model::Rows {
    fn absent(&mut self) {
        self.stock.take_wanted().into_iter().for_each(|key| self.stock.load(key, None));
        self.movement.take_wanted().into_iter().for_each(|key| self.movement.load(key, None));
        self.reservation.take_wanted().into_iter().for_each(|key| self.reservation.load(key, None));
    }
}

impl Absent for coupon::model::Rows {
    fn absent(&mut self) {
        self.campaign.take_wanted().into_iter().for_each(|key| self.campaign.load(key, None));
        self.coupon.take_wanted().into_iter().for_each(|key| self.coupon.load(key, None));
        self.holder.take_wanted().into_iter().for_each(|key| self.holder.load(key, None));
        self.issue.take_wanted().into_iter().for_each(|key| self.issue.load(key, None));
    }
}

impl Absent for point::model::Rows {
    fn absent(&mut self) {
        self.account.take_wanted().into_iter().for_each(|key| self.account.load(key, None));
        self.usage.take_wanted().into_iter().for_each(|key| self.usage.load(key, None));
        self.credit.take_wanted().into_iter().for_each(|key| self.credit.load(key, None));
        self.timer.take_wanted().into_iter().for_each(|key| self.timer.load(key, None));
    }
}

impl Absent for payment::Rows {
    fn absent(&mut self) {
        self.payment.take_wanted().into_iter().for_each(|key| self.payment.load(key, None));
    }
}

impl Absent for ledger::Rows {
    fn absent(&mut self) {
        self.account.take_wanted().into_iter().for_each(|key| self.account.load(key, None));
        self.entry.take_wanted().into_iter().for_each(|key| self.entry.load(key, None));
        self.chain.take_wanted().into_iter().for_each(|key| self.chain.load(key, None));
    }
}

pub(super) fn order_rows(rows: &mut order::Rows) -> Vec<&mut dyn RowSet> {
    vec![&mut rows.order, &mut rows.offer]
}

pub(super) fn stock_rows(rows: &mut inventory::model::Rows) -> Vec<&mut dyn RowSet> {
    vec![&mut rows.stock, &mut rows.movement, &mut rows.reservation]
}

pub(super) fn coupon_rows(rows: &mut coupon::model::Rows) -> Vec<&mut dyn RowSet> {
    vec![&mut rows.campaign, &mut rows.coupon, &mut rows.holder, &mut rows.issue]
}

pub(super) fn point_rows(rows: &mut point::model::Rows) -> Vec<&mut dyn RowSet> {
    vec![&mut rows.account, &mut rows.usage, &mut rows.credit, &mut rows.timer]
}

pub(super) fn pay_rows(rows: &mut payment::Rows) -> Vec<&mut dyn RowSet> {
    vec![&mut rows.payment]
}

pub(super) fn ledger_rows(rows: &mut ledger::Rows) -> Vec<&mut dyn RowSet> {
    vec![&mut rows.account, &mut rows.entry]
}

/// What the engine does with one command.
pub(super) fn decide<D: Domain>(
    command: &D::Command,
    ctx: &Ctx,
    rows: &mut D::Rows,
    sets: Sets<D::Rows>,
) -> Decided<D>
where
    D::Rows: Absent,
    D::Reject: Coded,
{
    for _pass in 0..2 {
        D::want(command, rows);
        rows.absent();
    }
    sets(rows).into_iter().for_each(RowSet::mark);
    let mut out = Out::default();
    match D::decide(command, ctx, rows, &mut out) {
        Ok(reply) => Ok((reply, out)),
        Err(reject) => {
            sets(rows).into_iter().for_each(RowSet::rollback);
            Err(reject)
        }
    }
}
