//! Campaigns, coupons, and what a user has.

use std::sync::Arc;

use jangbu_domain::coupon::model::{Campaign, State, UserCoupon};
use jangbu_domain::coupon::terms::{Kind, Valid};
use jangbu_kernel::{CampaignId, CouponId, Currency, OrderId, Time, UserId};
use serde::Serialize;

use super::form::DAY;
use super::{STATES, campaign_id};
use crate::Api;
use crate::auth::{owner, owns};
use crate::call::Call;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::text::{At, id, shown};

/// What a coupon takes off.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DiscountOut {
    r#type: &'static str,
    amount: Option<i64>,
    basis_points: Option<i64>,
    cap: Option<i64>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CampaignOut<'a> {
    #[serde(serialize_with = "shown::one")]
    id: CampaignId,
    name: &'a str,
    state: &'static str,
    discount: DiscountOut,
    #[serde(serialize_with = "shown::one")]
    currency: Currency,
    minimum: i64,
    starts_at: At,
    ends_at: At,
    valid_until: Option<At>,
    valid_days: Option<i64>,
    per_user: i64,
    funding: &'static str,
    merchant_id: Option<&'a str>,
    total: i64,
    issued: i64,
    remaining: i64,
    used: i64,
    free: i64,
    expired: i64,
    revoked: i64,
    ended_at: Option<At>,
    created_at: At,
}

impl<'a> CampaignOut<'a> {
    pub(super) fn of(id: CampaignId, row: &'a Campaign, now: Time) -> Self {
        let (terms, tally) = (&row.terms, row.tally);
        let discount = match terms.kind {
            Kind::Fixed { amount } => {
                DiscountOut { r#type: "FIXED", amount: Some(amount), basis_points: None, cap: None }
            }
            Kind::Percent { bp, cap } => {
                DiscountOut { r#type: "PERCENT", amount: None, basis_points: Some(bp), cap }
            }
        };
        let (valid_until, valid_days) = match terms.valid {
            Valid::Until(until) => (Some(At(until)), None),
            Valid::For(span) => (None, Some(span.0 / DAY)),
        };
        Self {
            id,
            name: &terms.name,
            state: state(row, now),
            discount,
            currency: terms.currency,
            minimum: terms.minimum,
            starts_at: At(terms.starts),
            ends_at: At(terms.ends),
            valid_until,
            valid_days,
            per_user: terms.per_user,
            funding: terms.funding.name(),
            merchant_id: terms.scope.as_deref(),
            total: terms.total,
            issued: tally.issued,
            remaining: row.remaining(),
            used: tally.used,
            free: tally.free,
            expired: tally.expired,
            revoked: tally.revoked,
            ended_at: row.ended_at.map(At),
            created_at: At(row.at),
        }
    }
}

fn state(row: &Campaign, now: Time) -> &'static str {
    let [upcoming, open, exhausted, over, ended] = STATES;
    if row.ended_at.is_some() {
        ended
    } else if row.remaining() == 0 {
        exhausted
    } else if now < row.terms.starts {
        upcoming
    } else if row.terms.ends <= now {
        over
    } else {
        open
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CouponOut<'a> {
    #[serde(serialize_with = "shown::one")]
    id: CouponId,
    #[serde(serialize_with = "shown::one")]
    campaign_id: CampaignId,
    #[serde(serialize_with = "shown::one")]
    user_id: UserId,
    position: i64,
    state: &'static str,
    #[serde(serialize_with = "shown::option")]
    order_id: Option<OrderId>,
    discount: i64,
    issued_at: At,
    expires_at: At,
    reason: Option<&'a str>,
}

impl<'a> CouponOut<'a> {
    pub(super) fn of(id: CouponId, row: &'a UserCoupon) -> Self {
        Self {
            id,
            campaign_id: row.campaign,
            user_id: row.user,
            position: row.position,
            state: row.state.name(),
            order_id: row.order,
            discount: row.discount,
            issued_at: At(row.issued_at),
            expires_at: At(row.expires_at),
            reason: row.reason.as_deref(),
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Page<T> {
    items: Vec<T>,
    next_cursor: Option<String>,
}

/// A page of what was found, of which one more than `limit` was asked for.
fn page<'a, K: ToString + Copy, R, T>(
    found: &'a [(K, R)],
    limit: u32,
    out: impl Fn(K, &'a R) -> T,
) -> Page<T> {
    let shown = found.len().min(limit as usize);
    let last = found[..shown].last().filter(|_| found.len() > shown);
    Page {
        items: found[..shown].iter().map(|(id, row)| out(*id, row)).collect(),
        next_cursor: last.map(|(id, _)| id.to_string()),
    }
}

/// The campaign of a path.
pub(super) async fn campaign_of(
    api: &Arc<Api>,
    call: &Call,
) -> Result<(CampaignId, Campaign), Problem> {
    let id = campaign_id(call)?;
    let found = api.read(move |queries| queries.campaign(id)).await?;
    let missing = || Problem::coded("CAMPAIGN_UNKNOWN", format!("there is no campaign {id}"));
    found.map(|row| (id, row)).ok_or_else(missing)
}

pub(super) async fn campaign(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let (id, row) = campaign_of(api, call).await?;
    Ok(Reply::ok(&CampaignOut::of(id, &row, api.shop.now())))
}

pub(super) async fn campaigns(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let query = call.query()?;
    let (limit, after) = (query.limit()?, query.cursor(CampaignId::parse)?);
    let found = api.view(call, move |queries| queries.campaigns(after, limit + 1)).await?;
    let now = api.shop.now();
    Ok(Reply::ok(&page(&found, limit, |id, row| CampaignOut::of(id, row, now))))
}

/// The coupon that the path names.
pub(super) fn coupon_id(call: &Call) -> Result<CouponId, Problem> {
    id(CouponId::parse, CouponId::PREFIX, call.param(), || "id".into())
}

/// Another customer's coupon is one that is not there.
pub(super) async fn find(api: &Arc<Api>, call: &Call, id: CouponId) -> Result<UserCoupon, Problem> {
    let found = api.read(move |queries| queries.coupon(id)).await?;
    let found = found.filter(|coupon| owns(call, coupon.user));
    found.ok_or_else(|| Problem::coded("COUPON_UNKNOWN", format!("there is no coupon {id}")))
}

pub(super) async fn coupon(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let id = coupon_id(call)?;
    let row = find(api, call, id).await?;
    Ok(Reply::ok(&CouponOut::of(id, &row)))
}

pub(super) async fn coupons(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let user = id(UserId::parse, UserId::PREFIX, call.param(), || "id".into())?;
    owner(call, user)?;
    let query = call.query()?;
    let known = |name: &str| State::ALL.iter().copied().find(|state| state.name() == name);
    let wrong = || query.bad("state", "must be FREE, USED, EXPIRED or REVOKED".to_owned());
    let state = query.get("state").map(|name| known(name).ok_or_else(wrong)).transpose()?;
    let (limit, before) = (query.limit()?, query.cursor(CouponId::parse)?);
    let found = api.view(call, move |q| q.coupons_of((user, state), before, limit + 1)).await?;
    Ok(Reply::ok(&page(&found, limit, CouponOut::of)))
}
