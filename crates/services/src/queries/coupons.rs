//! Campaigns and coupons.

use jangbu_domain::coupon::model::{Campaign, Issue, IssueKey, State, UserCoupon};
use jangbu_engine::port::{By, Fault, Read};
use jangbu_kernel::{CampaignId, CouponId, UserId};

use super::{HIGHEST, LOWEST, Queries, View, range, reverse};
use crate::bound::{Keyed, Stored};
use crate::projections::COUPON_OF_USER;

/// Coupons of a user that are looked at together.
const SOME: u32 = 200;

impl Queries {
    /// A coupon.
    pub fn coupon(&self, id: CouponId) -> Result<Option<UserCoupon>, Fault> {
        self.one(id)
    }
}

impl View {
    /// A campaign.
    pub fn campaign(&self, id: CampaignId) -> Result<Option<Campaign>, Fault> {
        self.one(id)
    }

    /// Campaigns after `after`, oldest first.
    pub fn campaigns(
        &self,
        after: Option<CampaignId>,
        limit: u32,
    ) -> Result<Vec<(CampaignId, Campaign)>, Fault> {
        let from = after.map_or(LOWEST, |id| [id.0 + 1, 0, 0]);
        self.many(range(Campaign::TABLE, from, HIGHEST, limit))
    }

    /// Who got the positions of a campaign after `after`, in their order.
    pub fn issues(
        &self,
        campaign: CampaignId,
        after: i64,
        limit: u32,
    ) -> Result<Vec<(i64, Issue)>, Fault> {
        let key = |position| IssueKey { campaign, position }.parts();
        let read = range(Issue::TABLE, key(after + 1), key(i64::MAX), limit);
        let found = self.many::<Issue>(read)?;
        Ok(found.into_iter().map(|(key, issue)| (key.position, issue)).collect())
    }

    /// Coupons of a user before `before` that are in `state`, if one is asked for; newest first.
    pub fn coupons_of(
        &self,
        (user, state): (UserId, Option<State>),
        before: Option<CouponId>,
        limit: u32,
    ) -> Result<Vec<(CouponId, UserCoupon)>, Fault> {
        let mut found = Vec::new();
        let mut to = before.map_or(i64::MAX, |coupon| coupon.0 - 1);
        loop {
            let mut keys = Vec::new();
            let read = reverse(&COUPON_OF_USER, [user.0, i64::MIN, 0], [user.0, to, 0], SOME);
            self.derived.read(&[read], &mut |_, row| keys.push([row.int(1), 0, 0]))?;
            let last = keys.last().map(|key| key[0]);
            let full = keys.len() == SOME as usize;
            let mut some: Vec<(CouponId, UserCoupon)> =
                self.many(Read { table: UserCoupon::TABLE, by: By::Keys(keys) })?;
            some.sort_by_key(|(id, _)| std::cmp::Reverse(*id));
            found.extend(
                some.into_iter().filter(|(_, row)| state.is_none_or(|state| row.state == state)),
            );
            match last {
                Some(last) if full && found.len() < limit as usize => to = last - 1,
                _ => break,
            }
        }
        found.truncate(limit as usize);
        Ok(found)
    }
}
