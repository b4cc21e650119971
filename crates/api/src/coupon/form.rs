//! Campaigns: what is sent about them, and what it means.

use std::borrow::Cow;
use std::sync::Arc;

use jangbu_domain::coupon::command::{Command, Reply as Answer, UNIT};
use jangbu_domain::coupon::terms::{Funding, Kind, Terms, Valid, WHOLE};
use jangbu_kernel::time::Span;
use jangbu_kernel::{CampaignId, Currency, Envelope, Money, Time};
use serde::Deserialize;

use super::campaign_id;
use super::read::CampaignOut;
use crate::Api;
use crate::ask::{envelope, normal, operated};
use crate::call::Call;
use crate::codes::Own;
use crate::idempotency::Canon;
use crate::money::currency;
use crate::order::reason;
use crate::problem::Problem;
use crate::reply::Reply;
use crate::text::time;

/// A day.
pub(super) const DAY: i64 = 86_400_000_000;

/// Coupons are issued for so many days, and are good for so many, unless the campaign says more.
const USUAL_DAYS: i64 = 30;

/// The most days that a coupon is good for.
const DAYS_MAX: i64 = 3_650;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct CreateIn<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    discount: DiscountIn<'a>,
    #[serde(borrow)]
    currency: Cow<'a, str>,
    #[serde(default)]
    minimum: Option<i64>,
    #[serde(borrow, default)]
    starts_at: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    ends_at: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    valid_until: Option<Cow<'a, str>>,
    #[serde(default)]
    valid_days: Option<i64>,
    #[serde(default)]
    per_user: Option<i64>,
    total: i64,
    #[serde(borrow, default)]
    funding: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    merchant_id: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct DiscountIn<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    #[serde(default)]
    amount: Option<i64>,
    #[serde(default)]
    basis_points: Option<i64>,
    #[serde(default)]
    cap: Option<i64>,
}

impl DiscountIn<'_> {
    fn read(&self) -> Result<Kind, Problem> {
        within(self.amount, "discount.amount", Money::MAX)?;
        within(self.basis_points, "discount.basisPoints", WHOLE)?;
        within(self.cap, "discount.cap", Money::MAX)?;
        match (&*self.r#type, self.amount, self.basis_points, self.cap) {
            ("FIXED", Some(amount), None, None) => Ok(Kind::Fixed { amount }),
            ("PERCENT", None, Some(bp), cap) => Ok(Kind::Percent { bp, cap }),
            _ => {
                let message = "must be FIXED with amount, or PERCENT with basisPoints and cap";
                Err(Problem::field("discount", message))
            }
        }
    }
}

/// A number that may be left out.
fn within(number: Option<i64>, field: &str, most: i64) -> Result<(), Problem> {
    if number.is_none_or(|number| (1..=most).contains(&number)) {
        return Ok(());
    }
    Err(Problem::field(field, format!("must be 1 to {most}")))
}

/// A moment that may be left out.
fn moment(text: Option<&str>, field: &str) -> Result<Option<Time>, Problem> {
    let read = |text: &str| {
        time(text).ok_or_else(|| Problem::field(field, "must be a time as of RFC 3339"))
    };
    text.map(read).transpose()
}

/// A campaign to be made, as far as the request says it.
struct Wish {
    kind: Kind,
    currency: Currency,
    funding: Funding,
    starts: Option<Time>,
    ends: Option<Time>,
    until: Option<Time>,
}

impl Wish {
    fn read(body: &CreateIn<'_>) -> Result<Self, Problem> {
        let funding = match body.funding.as_deref() {
            None => Funding::Platform,
            Some(name) => {
                let known = Funding::ALL.iter().find(|funding| funding.name() == name);
                *known.ok_or_else(|| Problem::field("funding", "must be PLATFORM or MERCHANT"))?
            }
        };
        let until = moment(body.valid_until.as_deref(), "validUntil")?;
        if until.is_some() && body.valid_days.is_some() {
            return Err(Problem::field("validDays", "cannot come with validUntil"));
        }
        within(body.valid_days, "validDays", DAYS_MAX)?;
        if body.merchant_id.as_ref().is_some_and(|id| !(1..=200).contains(&id.chars().count())) {
            return Err(Problem::field("merchantId", "must have 1 to 200 characters"));
        }
        Ok(Self {
            kind: body.discount.read()?,
            currency: currency(&body.currency, &"currency")?,
            funding,
            starts: moment(body.starts_at.as_deref(), "startsAt")?,
            ends: moment(body.ends_at.as_deref(), "endsAt")?,
            until,
        })
    }

    fn canon(&self, operation: &str, body: &CreateIn<'_>) -> Canon {
        let discount = &body.discount;
        let maybe = |n: Option<i64>| n.unwrap_or(i64::MIN);
        let moment = |at: Option<Time>| at.map_or(i64::MIN, |at| at.0);
        let canon = Canon::new(operation).text(&body.name).text(&discount.r#type);
        let numbers = [discount.amount, discount.basis_points, discount.cap, body.minimum];
        let canon = numbers.into_iter().fold(canon, |canon, n| canon.int(maybe(n)));
        let times = [self.starts, self.ends, self.until];
        let canon = times.into_iter().fold(canon, |canon, at| canon.int(moment(at)));
        canon
            .text(self.currency.as_str())
            .int(maybe(body.valid_days))
            .int(maybe(body.per_user))
            .int(body.total)
            .int(self.funding.code())
            .option(body.merchant_id.as_deref())
    }

    fn terms(self, body: &CreateIn<'_>, now: Time) -> Terms {
        let starts = self.starts.unwrap_or(now);
        let days = body.valid_days.unwrap_or(USUAL_DAYS);
        let valid = self.until.map_or(Valid::For(Span(days * DAY)), Valid::Until);
        Terms {
            name: (&*body.name).into(),
            kind: self.kind,
            currency: self.currency,
            minimum: body.minimum.unwrap_or(0),
            starts,
            ends: self.ends.unwrap_or(starts + Span(USUAL_DAYS * DAY)),
            valid,
            per_user: body.per_user.unwrap_or(1),
            total: body.total,
            funding: self.funding,
            scope: body.merchant_id.as_deref().map(Arc::from),
        }
    }
}

pub(super) async fn create(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let body: CreateIn<'_> = call.json()?;
    let wish = Wish::read(&body)?;
    let canon = wish.canon(call.name, &body);
    let campaign = CampaignId(api.shop.mint());
    let terms = wish.terms(&body, api.shop.now());
    let command = Command::CreateCampaign { campaign, terms };
    change(api, envelope(call, UNIT, command, canon), 201).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EndIn<'a> {
    #[serde(borrow, default)]
    reason: Option<Cow<'a, str>>,
}

pub(super) async fn end(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let body: EndIn<'_> = call.json()?;
    let campaign = campaign_id(call)?;
    let why = reason(body.reason.as_deref().unwrap_or_default())?;
    let canon = Canon::new(call.name).int(campaign.0).text(&why);
    let command = Command::EndCampaign { campaign };
    change(api, operated(envelope(call, UNIT, command, canon), call, &why), 200).await
}

async fn change(api: &Arc<Api>, envelope: Envelope, status: u16) -> Result<Reply, Problem> {
    let asked = api.ask_soon::<Answer>(normal(envelope)).await?;
    let Answer::Campaign(id, row) = asked.reply else {
        return Err(Problem::of(Own::Internal, "the reply is not a campaign"));
    };
    let out = CampaignOut::of(id, &row, api.shop.now());
    Ok(Reply::json(status, &out).replayed(asked.replayed))
}
