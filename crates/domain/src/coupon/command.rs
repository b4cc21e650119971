//! What coupon can be asked, what it answers, why it refuses, what it states.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use jangbu_kernel::domain::Coded;
use jangbu_kernel::{CampaignId, CouponId, Currency, OrderId, Time, UnitId, UserId};

use super::model::{Campaign, State};
use super::terms::{Funding, Terms};

/// Where coupon's commands go.
pub const UNIT: UnitId = UnitId("coupon");

/// The most coupons that one grant gives.
pub const GRANT_MAX: usize = 500;

/// The value of one merchant's goods in an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Goods {
    /// Who sells them.
    pub merchant: Arc<str>,
    /// Minor units.
    pub amount: i64,
}

/// What coupon can be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Announce a campaign.
    CreateCampaign { campaign: CampaignId, terms: Terms },
    /// Issue no more; what was issued stays good.
    EndCampaign { campaign: CampaignId },
    /// One coupon to whoever comes first.
    Issue { campaign: CampaignId, coupon: CouponId, user: UserId },
    /// Coupons that an operator gives, within the same limits: all of them or none.
    Grant { campaign: CampaignId, coupons: Vec<(CouponId, UserId)> },
    /// Use it for an order of its owner.
    Redeem { coupon: CouponId, order: OrderId, user: UserId, goods: Vec<Goods>, currency: Currency },
    /// The order did not happen, or its last unit came back. On a Redeem never seen it leaves a
    /// tombstone.
    Restore { coupon: CouponId, order: OrderId },
    /// An operator takes it back.
    Revoke { coupon: CouponId, reason: Box<str> },
    /// The campaign's timer: coupons end in the order in which they were issued.
    Sweep { campaign: CampaignId },
    /// The coupon at `position`, the next one to be looked at, ends if its time is over; then up to
    /// `left` that follow it.
    Expire { campaign: CampaignId, position: i64, left: u32 },
}

/// What coupon answers. The same command again gives the same answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reply {
    /// The campaign as it is now.
    Campaign(CampaignId, Box<Campaign>),
    /// The coupon is the user's.
    Issued {
        /// Which.
        coupon: CouponId,
        /// The how manyth of its campaign it is, from 1.
        position: i64,
        /// How many could still be issued after it.
        remaining: i64,
        /// When it ends.
        expires_at: Time,
    },
    /// All of them are given.
    Granted {
        /// Each with its owner and position.
        coupons: Vec<(CouponId, UserId, i64)>,
        /// How many could still be issued after them.
        remaining: i64,
        /// When they end.
        expires_at: Time,
    },
    /// It is used for the order.
    Redeemed {
        /// Minor units off the goods in its scope.
        discount: i64,
        /// The one merchant whose goods it counts for; none: all goods.
        scope: Option<Arc<str>>,
        /// Who pays for the discount.
        funding: Funding,
    },
    /// It is not used for the order and will not be.
    Restored,
    /// What was due has expired. Also the answer when nothing was.
    Expired,
    /// Nobody can use it any more.
    Revoked(CouponId),
}

/// Why coupon refuses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reject {
    /// The terms make no sense.
    TermsInvalid {
        /// Which of them.
        field: Cow<'static, str>,
        /// What it must be.
        must: Cow<'static, str>,
    },
    /// The id belongs to another campaign.
    CampaignDiffers,
    /// There is no such campaign.
    CampaignUnknown,
    /// It has not begun, is over, or was ended.
    CampaignNotOpen,
    /// All its coupons are issued.
    CouponExhausted {
        /// How many are left; not enough for a grant.
        remaining: i64,
    },
    /// The user has as many as one may have.
    CouponLimitReached {
        /// Who.
        user: UserId,
    },
    /// A grant gives 1 to [`GRANT_MAX`] coupons.
    GrantInvalid,
    /// The id belongs to another coupon.
    CouponDiffers,
    /// There is no such coupon, or it is another's.
    CouponUnknown,
    /// It is used for an order.
    CouponUsed,
    /// Its time is over.
    CouponExpired,
    /// An operator took it back.
    CouponRevoked,
    /// The goods it counts for are worth less than it asks for.
    CouponMinimum {
        /// What they must be worth.
        minimum: i64,
    },
    /// It saves nothing: another currency, or no goods it counts for.
    CouponNotApplicable,
    /// The order took it back before it asked for it.
    StepCancelled,
}

impl Coded for Reject {
    fn code(&self) -> &'static str {
        match self {
            Self::TermsInvalid { .. } => "CAMPAIGN_INVALID",
            Self::CampaignDiffers => "CAMPAIGN_DIFFERS",
            Self::CampaignUnknown => "CAMPAIGN_UNKNOWN",
            Self::CampaignNotOpen => "CAMPAIGN_NOT_OPEN",
            Self::CouponExhausted { .. } => "COUPON_EXHAUSTED",
            Self::CouponLimitReached { .. } => "COUPON_LIMIT_REACHED",
            Self::GrantInvalid => "GRANT_INVALID",
            Self::CouponDiffers => "COUPON_DIFFERS",
            Self::CouponUnknown => "COUPON_UNKNOWN",
            Self::CouponUsed => "COUPON_USED",
            Self::CouponExpired => "COUPON_EXPIRED",
            Self::CouponRevoked => "COUPON_REVOKED",
            Self::CouponMinimum { .. } => "COUPON_MINIMUM",
            Self::CouponNotApplicable => "COUPON_NOT_APPLICABLE",
            Self::StepCancelled => "STEP_CANCELLED",
        }
    }
}

/// What coupon states. `Changed` is folded: one per commit and campaign with everything that changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// How a campaign and its coupons stand after this commit.
    Changed {
        /// The campaign.
        campaign: CampaignId,
        /// Where its coupons are.
        tally: Tally,
        /// Issued in this commit, ascending by coupon.
        issued: Vec<Holding>,
        /// Issued before it and changed in it, ascending by coupon.
        moved: Vec<Holding>,
    },
}

/// Where the coupons of a campaign are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Given out, ever.
    pub issued: i64,
    /// Used for an order.
    pub used: i64,
    /// Can be used.
    pub free: i64,
    /// Ended unused.
    pub expired: i64,
    /// Taken back.
    pub revoked: i64,
}

/// How one coupon stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holding {
    /// Which.
    pub coupon: CouponId,
    /// Whose.
    pub user: UserId,
    /// How it stands.
    pub state: State,
    /// The order that uses it.
    pub order: Option<OrderId>,
}
