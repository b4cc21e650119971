//! The rules of coupon. Each function checks everything first and then changes rows, so a refusal
//! leaves nothing behind.

use std::collections::BTreeMap;
use std::sync::Arc;

use jangbu_kernel::{CampaignId, CouponId, Ctx, Domain, Mint, Out, Time, UnitId, UserId};

use super::command::{self, Command, Event, GRANT_MAX, Holding, Reject, Reply, Tally};
use super::model::{Campaign, Holder, HolderKey, Issue, IssueKey, Rows, State, UserCoupon};
use super::terms::Terms;
use super::{Coupons, expiry, redeem};

impl Domain for Coupons {
    const UNIT: UnitId = command::UNIT;
    type Command = Command;
    type Reply = Reply;
    type Reject = Reject;
    type Event = Event;
    type Rows = Rows;

    fn want(command: &Command, rows: &mut Rows) {
        match command {
            Command::CreateCampaign { campaign, .. }
            | Command::EndCampaign { campaign }
            | Command::Sweep { campaign } => rows.campaign.want(*campaign),
            Command::Issue { campaign, coupon, user } => {
                want_issue(*campaign, (*coupon, *user), rows);
            }
            Command::Grant { campaign, coupons } => {
                rows.campaign.want(*campaign);
                for one in coupons {
                    want_issue(*campaign, *one, rows);
                }
            }
            Command::Redeem { coupon, .. }
            | Command::Restore { coupon, .. }
            | Command::Revoke { coupon, .. } => want_with_campaign(*coupon, rows),
            Command::Expire { campaign, position, .. } => {
                let key = IssueKey { campaign: *campaign, position: *position };
                rows.campaign.want(*campaign);
                rows.issue.want(key);
                if rows.issue.version(key) > 0
                    && let Some(issue) = rows.issue.get(key)
                {
                    rows.coupon.want(issue.coupon);
                }
            }
        }
    }

    fn decide(
        command: &Command,
        ctx: &Ctx,
        rows: &mut Rows,
        out: &mut Out<Event>,
    ) -> Result<Reply, Reject> {
        match command {
            Command::CreateCampaign { campaign, terms } => create(*campaign, terms, ctx, rows),
            Command::EndCampaign { campaign } => end(*campaign, ctx, rows),
            Command::Issue { campaign, coupon, user } => {
                issue(*campaign, (*coupon, *user), ctx, rows)
            }
            Command::Grant { campaign, coupons } => grant(*campaign, coupons, ctx, rows),
            Command::Redeem { coupon, order, user, goods, currency } => {
                redeem::redeem(*coupon, (*order, *user), (goods, *currency), ctx, rows)
            }
            Command::Restore { coupon, order } => Ok(redeem::restore(*coupon, *order, ctx, rows)),
            Command::Revoke { coupon, reason } => revoke(*coupon, reason, ctx, rows),
            Command::Sweep { campaign } => Ok(expiry::sweep(*campaign, ctx, rows, out)),
            Command::Expire { campaign, position, left } => {
                let key = IssueKey { campaign: *campaign, position: *position };
                Ok(expiry::expire(key, *left, (ctx, out), rows))
            }
        }
    }

    fn resource(command: &Command) -> i64 {
        match command {
            Command::CreateCampaign { campaign, .. }
            | Command::EndCampaign { campaign }
            | Command::Sweep { campaign }
            | Command::Expire { campaign, .. } => campaign.0,
            Command::Issue { coupon, .. }
            | Command::Redeem { coupon, .. }
            | Command::Restore { coupon, .. }
            | Command::Revoke { coupon, .. } => coupon.0,
            Command::Grant { coupons, .. } => coupons.first().map_or(0, |(coupon, _)| coupon.0),
        }
    }

    fn adopt(command: &mut Command, resource: i64) {
        match command {
            Command::CreateCampaign { campaign, .. }
            | Command::EndCampaign { campaign }
            | Command::Sweep { campaign }
            | Command::Expire { campaign, .. } => *campaign = CampaignId(resource),
            Command::Issue { coupon, .. }
            | Command::Redeem { coupon, .. }
            | Command::Restore { coupon, .. }
            | Command::Revoke { coupon, .. } => *coupon = CouponId(resource),
            Command::Grant { coupons, .. } => {
                for ((coupon, _), id) in coupons.iter_mut().zip(Mint::block(resource)) {
                    *coupon = CouponId(id);
                }
            }
        }
    }

    fn recall(command: &Command, rows: &Rows) -> Option<Reply> {
        let seen = |coupon, reply| rows.coupon.get(coupon).map(|_| reply);
        match command {
            Command::CreateCampaign { campaign, .. } | Command::EndCampaign { campaign } => {
                rows.campaign.get(*campaign).map(|row| shown(*campaign, row))
            }
            Command::Sweep { .. } | Command::Expire { .. } => Some(Reply::Expired),
            Command::Issue { campaign, coupon, .. } => {
                let terms = &rows.campaign.get(*campaign)?.terms;
                rows.coupon.get(*coupon).map(|row| issued(*coupon, row, terms))
            }
            Command::Grant { campaign, coupons } => granted(*campaign, coupons, rows),
            Command::Redeem { coupon, .. } => redeem::redeemed(rows.coupon.get(*coupon)?, rows),
            Command::Restore { coupon, .. } => seen(*coupon, Reply::Restored),
            Command::Revoke { coupon, .. } => seen(*coupon, Reply::Revoked(*coupon)),
        }
    }

    fn wake(table: &str, key: i64) -> Command {
        assert_eq!(table, "campaign", "only campaigns have a timer");
        Command::Sweep { campaign: CampaignId(key) }
    }

    /// States how every campaign stands that this commit changed, and which coupons of it.
    fn seal(_ctx: &Ctx, rows: &mut Rows, out: &mut Out<Event>) {
        let mut changed: BTreeMap<CampaignId, Changes> = BTreeMap::new();
        for dirty in rows.campaign.changed() {
            changed.insert(*dirty.key, (dirty.row.tally, Vec::new(), Vec::new()));
        }
        for dirty in rows.coupon.changed() {
            let (coupon, UserCoupon { user, state, order, .. }) = (*dirty.key, dirty.row);
            // A tombstone alone changes nothing that anybody else knows of.
            let Some((_, issued, moved)) = changed.get_mut(&dirty.row.campaign) else { continue };
            let holding = Holding { coupon, user: *user, state: *state, order: *order };
            if dirty.stored == 0 { issued.push(holding) } else { moved.push(holding) }
        }
        for (campaign, (tally, mut issued, mut moved)) in changed {
            issued.sort_unstable_by_key(|holding| holding.coupon);
            moved.sort_unstable_by_key(|holding| holding.coupon);
            out.emit(Event::Changed { campaign, tally, issued, moved });
        }
    }
}

/// What a commit did to a campaign: its tally, coupons issued, coupons changed.
type Changes = (Tally, Vec<Holding>, Vec<Holding>);

fn want_issue(campaign: CampaignId, (coupon, user): (CouponId, UserId), rows: &mut Rows) {
    rows.campaign.want(campaign);
    rows.coupon.want(coupon);
    rows.holder.want(HolderKey { campaign, user });
}

/// Wants a coupon and, once that is there, its campaign.
fn want_with_campaign(coupon: CouponId, rows: &mut Rows) {
    rows.coupon.want(coupon);
    if rows.coupon.version(coupon) > 0
        && let Some(row) = rows.coupon.get(coupon)
    {
        rows.campaign.want(row.campaign);
    }
}

fn create(id: CampaignId, terms: &Terms, ctx: &Ctx, rows: &mut Rows) -> Result<Reply, Reject> {
    terms.check()?;
    if let Some(old) = rows.campaign.get(id) {
        return if *old.terms == *terms {
            Ok(shown(id, old))
        } else {
            Err(Reject::CampaignDiffers)
        };
    }
    let campaign = Campaign {
        terms: Arc::new(terms.clone()),
        tally: Tally::default(),
        ended_at: None,
        swept: 0,
        at: ctx.now,
        next_at: None,
    };
    let reply = shown(id, &campaign);
    rows.campaign.insert(id, campaign);
    Ok(reply)
}

fn shown(id: CampaignId, row: &Campaign) -> Reply {
    Reply::Campaign(id, Box::new(row.clone()))
}

fn end(id: CampaignId, ctx: &Ctx, rows: &mut Rows) -> Result<Reply, Reject> {
    let old = rows.campaign.get(id).ok_or(Reject::CampaignUnknown)?;
    if old.ended_at.is_some() {
        return Ok(shown(id, old));
    }
    let campaign = campaign_of(id, rows);
    campaign.ended_at = Some(ctx.now);
    Ok(shown(id, campaign))
}

fn issue(
    id: CampaignId,
    (coupon, user): (CouponId, UserId),
    ctx: &Ctx,
    rows: &mut Rows,
) -> Result<Reply, Reject> {
    let campaign = rows.campaign.get(id).ok_or(Reject::CampaignUnknown)?;
    if let Some(old) = rows.coupon.get(coupon) {
        let same = (old.campaign, old.user) == (id, user);
        let again = || issued(coupon, old, &campaign.terms);
        return if same { Ok(again()) } else { Err(Reject::CouponDiffers) };
    }
    check_open(campaign, 1, ctx)?;
    check_holder(id, user, 1, rows)?;
    give(id, (coupon, user), ctx, rows);
    let terms = Arc::clone(&campaign_of(id, rows).terms);
    let row = rows.coupon.get(coupon).expect("it was issued a moment ago");
    Ok(issued(coupon, row, &terms))
}

/// What is left after a coupon follows from its position: so it is the same whenever it is asked.
fn issued(coupon: CouponId, row: &UserCoupon, terms: &Terms) -> Reply {
    let UserCoupon { position, expires_at, .. } = *row;
    Reply::Issued { coupon, position, remaining: left(terms, position), expires_at }
}

fn left(terms: &Terms, position: i64) -> i64 {
    terms.total.saturating_sub(position)
}

fn check_open(campaign: &Campaign, wanted: i64, ctx: &Ctx) -> Result<(), Reject> {
    let remaining = campaign.remaining();
    if !campaign.is_open(ctx.now) {
        return Err(Reject::CampaignNotOpen);
    }
    if remaining < wanted { Err(Reject::CouponExhausted { remaining }) } else { Ok(()) }
}

fn check_holder(id: CampaignId, user: UserId, more: i64, rows: &Rows) -> Result<(), Reject> {
    let most = rows.campaign.get(id).map_or(0, |campaign| campaign.terms.per_user);
    let held = rows.holder.get(HolderKey { campaign: id, user }).map_or(0, |row| row.held);
    let fits = held.checked_add(more).is_some_and(|held| held <= most);
    if fits { Ok(()) } else { Err(Reject::CouponLimitReached { user }) }
}

/// Gives a coupon. Everything was checked: the only way to a new one.
fn give(id: CampaignId, (coupon, user): (CouponId, UserId), ctx: &Ctx, rows: &mut Rows) {
    let campaign = campaign_of(id, rows);
    let expires_at = campaign.terms.expiry(ctx.now);
    let (position, most) = (campaign.issue(expires_at), campaign.terms.per_user);
    campaign.assert_lawful(id);
    let holder = HolderKey { campaign: id, user };
    match rows.holder.edit(holder) {
        Some(row) => row.held = row.held.saturating_add(1),
        None => rows.holder.insert(holder, Holder { held: 1, most }),
    }
    rows.issue.insert(IssueKey { campaign: id, position }, Issue { coupon, user, at: ctx.now });
    let row = UserCoupon {
        campaign: id,
        user,
        position,
        state: State::Free,
        order: None,
        discount: 0,
        undone: Vec::new(),
        issued_at: ctx.now,
        expires_at,
        reason: None,
    };
    rows.coupon.insert(coupon, row);
}

fn grant(
    id: CampaignId,
    coupons: &[(CouponId, UserId)],
    ctx: &Ctx,
    rows: &mut Rows,
) -> Result<Reply, Reject> {
    let campaign = rows.campaign.get(id).ok_or(Reject::CampaignUnknown)?;
    let ascending = coupons.is_sorted_by(|(one, _), (next, _)| one < next);
    if coupons.is_empty() || coupons.len() > GRANT_MAX || !ascending {
        return Err(Reject::GrantInvalid);
    }
    let given = |(coupon, _): &(CouponId, UserId)| rows.coupon.get(*coupon).is_some();
    if coupons.iter().any(given) {
        let same = coupons.iter().all(|(coupon, user)| {
            rows.coupon.get(*coupon).is_some_and(|old| (old.campaign, old.user) == (id, *user))
        });
        return if same { granted(id, coupons, rows) } else { None }.ok_or(Reject::CouponDiffers);
    }
    check_open(campaign, i64::try_from(coupons.len()).unwrap_or(i64::MAX), ctx)?;
    let mut wanted: BTreeMap<UserId, i64> = BTreeMap::new();
    for (_, user) in coupons {
        let more = wanted.entry(*user).or_insert(0);
        *more = more.saturating_add(1);
        check_holder(id, *user, *more, rows)?;
    }
    for one in coupons {
        give(id, *one, ctx, rows);
    }
    granted(id, coupons, rows).ok_or(Reject::CampaignUnknown)
}

/// The answer to a grant that was carried out.
fn granted(id: CampaignId, coupons: &[(CouponId, UserId)], rows: &Rows) -> Option<Reply> {
    let terms = &rows.campaign.get(id)?.terms;
    let (mut given, mut expires_at) = (Vec::with_capacity(coupons.len()), Time(0));
    for (coupon, _) in coupons {
        let row = rows.coupon.get(*coupon)?;
        expires_at = row.expires_at;
        given.push((*coupon, row.user, row.position));
    }
    let last = given.last().map_or(0, |(_, _, position)| *position);
    Some(Reply::Granted { coupons: given, remaining: left(terms, last), expires_at })
}

fn revoke(id: CouponId, reason: &str, ctx: &Ctx, rows: &mut Rows) -> Result<Reply, Reject> {
    let old = rows.coupon.get(id).ok_or(Reject::CouponUnknown)?;
    match old.state {
        State::Used => return Err(Reject::CouponUsed),
        State::Expired => return Err(Reject::CouponExpired),
        State::Free if old.expires_at <= ctx.now => return Err(Reject::CouponExpired),
        State::Revoked => {}
        State::Free => enter(id, State::Revoked, rows).reason = Some(reason.into()),
    }
    Ok(Reply::Revoked(id))
}

/// Changes the state of a coupon and the counters of its campaign: the only way to either.
pub(super) fn enter(id: CouponId, to: State, rows: &mut Rows) -> &mut UserCoupon {
    let UserCoupon { campaign: of, state: from, .. } = *edit(id, rows);
    let campaign = campaign_of(of, rows);
    campaign.moved(from, to);
    campaign.assert_lawful(of);
    let coupon = edit(id, rows);
    coupon.state = to;
    coupon
}

pub(super) fn edit(id: CouponId, rows: &mut Rows) -> &mut UserCoupon {
    rows.coupon.edit(id).expect("the coupon was there a moment ago")
}

pub(super) fn campaign_of(id: CampaignId, rows: &mut Rows) -> &mut Campaign {
    rows.campaign.edit(id).expect("a coupon has a campaign")
}
