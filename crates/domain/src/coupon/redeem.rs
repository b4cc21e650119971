//! Using a coupon for an order, and giving it back.

use jangbu_kernel::{CouponId, Ctx, Currency, OrderId, UserId};

use super::command::{Goods, Reject, Reply};
use super::decide::{edit, enter};
use super::model::{Rows, State, UserCoupon};

/// Uses a coupon for an order, or says again that it is used for it.
pub(super) fn redeem(
    id: CouponId,
    (order, user): (OrderId, UserId),
    (goods, currency): (&[Goods], Currency),
    ctx: &Ctx,
    rows: &mut Rows,
) -> Result<Reply, Reject> {
    let old = rows.coupon.get(id).filter(|old| old.user == user).ok_or(Reject::CouponUnknown)?;
    if old.undone.contains(&order) {
        return Err(Reject::StepCancelled);
    }
    match old.state {
        State::Used if old.order == Some(order) => {
            return redeemed(old, rows).ok_or(Reject::CampaignUnknown);
        }
        State::Used => return Err(Reject::CouponUsed),
        State::Revoked => return Err(Reject::CouponRevoked),
        State::Expired => return Err(Reject::CouponExpired),
        State::Free if old.expires_at <= ctx.now => return Err(Reject::CouponExpired),
        State::Free => {}
    }
    let campaign = rows.campaign.get(old.campaign).ok_or(Reject::CampaignUnknown)?;
    let discount = campaign.terms.discount(goods, currency)?;
    let coupon = enter(id, State::Used, rows);
    coupon.order = Some(order);
    coupon.discount = discount;
    let coupon = rows.coupon.get(id).ok_or(Reject::CouponUnknown)?;
    redeemed(coupon, rows).ok_or(Reject::CampaignUnknown)
}

/// The answer to a Redeem that was carried out.
pub(super) fn redeemed(coupon: &UserCoupon, rows: &Rows) -> Option<Reply> {
    let terms = &rows.campaign.get(coupon.campaign)?.terms;
    let (discount, scope) = (coupon.discount, terms.scope.clone());
    Some(Reply::Redeemed { discount, scope, funding: terms.funding })
}

/// Whatever became of the Redeem: the coupon is not used for `order` and never will be.
pub(super) fn restore(id: CouponId, order: OrderId, ctx: &Ctx, rows: &mut Rows) -> Reply {
    let Some(old) = rows.coupon.get(id) else { return Reply::Restored };
    if old.state == State::Used && old.order == Some(order) {
        let over = old.expires_at <= ctx.now;
        let coupon = enter(id, if over { State::Expired } else { State::Free }, rows);
        coupon.order = None;
        coupon.discount = 0;
        coupon.undo(order);
    } else if !old.undone.contains(&order) {
        edit(id, rows).undo(order);
    }
    Reply::Restored
}
