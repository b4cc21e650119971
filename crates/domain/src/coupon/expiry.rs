//! Coupons whose time is over: looked at one by one, in the order of their positions.

use jangbu_kernel::{CampaignId, Ctx, Out};

use super::command::{self, Command, Event, Reply};
use super::decide::{campaign_of, enter};
use super::model::{IssueKey, Rows, State};

/// A sweep looks at so many coupons: less than a cascade may have commands.
pub const SLICE: u32 = 48;

/// The timer of a campaign. It may be early, late or double.
pub(super) fn sweep(id: CampaignId, ctx: &Ctx, rows: &Rows, out: &mut Out<Event>) -> Reply {
    let due = rows.campaign.get(id).filter(|row| row.next_at.is_some_and(|at| at <= ctx.now));
    if let Some(campaign) = due {
        look_at(id, campaign.swept.saturating_add(1), SLICE, out);
    }
    Reply::Expired
}

/// What is looked at is read only then: how many are due, nobody knows before.
fn look_at(campaign: CampaignId, position: i64, left: u32, out: &mut Out<Event>) {
    out.tell(command::UNIT, Command::Expire { campaign, position, left });
}

/// Ends the coupon in place `key` if it is the next one, its time is over and nobody uses it.
pub(super) fn expire(
    key: IssueKey,
    left: u32,
    (ctx, out): (&Ctx, &mut Out<Event>),
    rows: &mut Rows,
) -> Reply {
    let IssueKey { campaign: id, position } = key;
    let (Some(campaign), Some(issue)) = (rows.campaign.get(id), rows.issue.get(key)) else {
        return Reply::Expired;
    };
    if campaign.swept.checked_add(1) != Some(position) {
        return Reply::Expired;
    }
    let (coupon, ends) = (issue.coupon, campaign.terms.expiry(issue.at));
    if ends > ctx.now {
        campaign_of(id, rows).next_at = Some(ends);
        return Reply::Expired;
    }
    if rows.coupon.get(coupon).is_some_and(|row| row.state == State::Free) {
        enter(coupon, State::Expired, rows);
    }
    let campaign = campaign_of(id, rows);
    campaign.sweep(ctx.now);
    if let Some(left) = left.checked_sub(1).filter(|_| campaign.next_at.is_some()) {
        look_at(id, position.saturating_add(1), left, out);
    }
    Reply::Expired
}
