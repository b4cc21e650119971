//! First come, first served; grants; revocations.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use jangbu_domain::coupon::command::{Command, GRANT_MAX, Reply as Answer, UNIT};
use jangbu_kernel::time::Span;
use jangbu_kernel::{CampaignId, CouponId, Mint, UserId};
use serde::{Deserialize, Serialize};

use super::campaign_id;
use super::read::{CouponOut, coupon_id, find};
use crate::Api;
use crate::ask::{envelope, normal, operated};
use crate::auth::user_or_own;
use crate::call::Call;
use crate::codes::Own;
use crate::idempotency::Canon;
use crate::order::reason;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::text::{At, id, shown};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct IssueIn<'a> {
    /// Whoever has a session need not say it.
    #[serde(borrow, default)]
    user_id: Option<Cow<'a, str>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct IssuedOut {
    #[serde(serialize_with = "shown::one")]
    coupon_id: CouponId,
    #[serde(serialize_with = "shown::one")]
    campaign_id: CampaignId,
    #[serde(serialize_with = "shown::one")]
    user_id: UserId,
    position: i64,
    remaining: i64,
    expires_at: At,
}

fn user(call: &Call, body: &IssueIn<'_>) -> Result<UserId, Problem> {
    let named = body.user_id.as_deref();
    let parse = |text| id(UserId::parse, UserId::PREFIX, text, || "userId".into());
    let missing = || Problem::of(Own::MissingField, "userId is missing").at("userId", "is missing");
    user_or_own(call, named.map(parse).transpose()?, missing)
}

pub(super) async fn issue(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let body: IssueIn<'_> = call.json()?;
    let (campaign, user) = (campaign_id(call)?, user(call, &body)?);
    let now = api.shop.now();
    if let Some(refusal) = api.closed.refuses(campaign, user, now) {
        api.counts.gated_coupons.fetch_add(1, Ordering::Relaxed);
        return Err(Problem::ready(refusal));
    }
    api.limits.user(user.0).await?;
    let canon = Canon::new(call.name).int(campaign.0).int(user.0);
    let coupon = CouponId(api.shop.mint());
    let mut envelope = envelope(call, UNIT, Command::Issue { campaign, coupon, user }, canon);
    envelope.share = Some(user.0);
    let patience = i64::try_from(api.settings.start.as_micros()).unwrap_or(i64::MAX);
    envelope.deadline = Some(now + Span(patience));
    let asked = match api.ask_holding::<Answer>(envelope, call.permit()).await {
        Ok(asked) => asked,
        Err(problem) => {
            if matches!(problem.code, "COUPON_EXHAUSTED" | "CAMPAIGN_NOT_OPEN") {
                learn(api, call, campaign);
            }
            return Err(problem);
        }
    };
    let Answer::Issued { coupon, position, remaining, expires_at } = asked.reply else {
        return Err(Problem::of(Own::Internal, "the reply is not a coupon"));
    };
    if remaining == 0 {
        learn(api, call, campaign);
    }
    let (coupon_id, campaign_id, user_id, expires_at) = (coupon, campaign, user, At(expires_at));
    let out = IssuedOut { coupon_id, campaign_id, user_id, position, remaining, expires_at };
    Ok(Reply::json(201, &out).replayed(asked.replayed))
}

/// Learns how a campaign stands that has just refused, or is going to. Nobody waits for it, and a
/// campaign is looked at once at a time.
fn learn(api: &Arc<Api>, call: &Call, campaign: CampaignId) {
    let now = api.shop.now();
    if api.closed.knows(campaign, now) || !api.closed.begin(campaign) {
        return;
    }
    let (api, correlation, trace) = (Arc::clone(api), Arc::clone(&call.correlation), call.trace);
    drop(tokio::task::spawn_blocking(move || {
        if let Err(fault) = api.closed.learn(&api.queries, campaign, now) {
            let (correlation, trace) = (&*correlation, jangbu_engine::trace::shown(trace));
            tracing::warn!(%fault, correlation, trace, "a campaign could not be read");
        }
        api.closed.done(campaign);
    }));
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct GrantIn<'a> {
    #[serde(borrow)]
    user_ids: Vec<Cow<'a, str>>,
    #[serde(borrow, default)]
    reason: Option<Cow<'a, str>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GivenOut {
    #[serde(serialize_with = "shown::one")]
    coupon_id: CouponId,
    #[serde(serialize_with = "shown::one")]
    user_id: UserId,
    position: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GrantedOut {
    #[serde(serialize_with = "shown::one")]
    campaign_id: CampaignId,
    coupons: Vec<GivenOut>,
    remaining: i64,
    expires_at: At,
}

pub(super) async fn grant(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let body: GrantIn<'_> = call.json()?;
    let campaign = campaign_id(call)?;
    let count = u32::try_from(body.user_ids.len()).unwrap_or(u32::MAX);
    if count == 0 || body.user_ids.len() > GRANT_MAX {
        let message = format!("must be 1 to {GRANT_MAX}");
        return Err(
            Problem::coded("GRANT_INVALID", format!("userIds: {message}")).at("userIds", message)
        );
    }
    let parse = |(at, text): (usize, &Cow<'_, str>)| {
        id(UserId::parse, UserId::PREFIX, text, || format!("userIds[{at}]"))
    };
    let users: Vec<UserId> =
        body.user_ids.iter().enumerate().map(parse).collect::<Result<_, _>>()?;
    let why = reason(body.reason.as_deref().unwrap_or_default())?;
    let canon = Canon::new(call.name).int(campaign.0).int(count.into()).text(&why);
    let canon = users.iter().fold(canon, |canon, user| canon.int(user.0));
    let ids = Mint::block(api.shop.mint_block(count)).map(CouponId);
    let coupons = ids.zip(users).collect();
    let command = Command::Grant { campaign, coupons };
    let envelope = operated(envelope(call, UNIT, command, canon), call, &why);
    let asked = api.ask_soon::<Answer>(normal(envelope)).await?;
    let Answer::Granted { coupons, remaining, expires_at } = asked.reply else {
        return Err(Problem::of(Own::Internal, "the reply is not a grant"));
    };
    let given = |(coupon_id, user_id, position)| GivenOut { coupon_id, user_id, position };
    let out = GrantedOut {
        campaign_id: campaign,
        coupons: coupons.into_iter().map(given).collect(),
        remaining,
        expires_at: At(expires_at),
    };
    Ok(Reply::json(201, &out).replayed(asked.replayed))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RevokeIn<'a> {
    #[serde(borrow)]
    reason: Cow<'a, str>,
}

pub(super) async fn revoke(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let body: RevokeIn<'_> = call.json()?;
    let coupon = coupon_id(call)?;
    let why = reason(&body.reason)?;
    if why.is_empty() {
        return Err(Problem::field("reason", "must say why"));
    }
    let canon = Canon::new(call.name).int(coupon.0).text(&why);
    let command = Command::Revoke { coupon, reason: why.clone() };
    let envelope = operated(envelope(call, UNIT, command, canon), call, &why);
    let asked = api.ask_soon::<Answer>(normal(envelope)).await?;
    let row = find(api, call, coupon).await?;
    Ok(Reply::ok(&CouponOut::of(coupon, &row)).replayed(asked.replayed))
}
