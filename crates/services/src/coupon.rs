//! Coupon's rows, and how its answers reach the order that asked.

mod ahead;

use std::sync::Arc;

use jangbu_domain::coupon::Coupons;
use jangbu_domain::coupon::command::{Command, Event, Holding, Reject, Reply, Tally};
use jangbu_domain::coupon::model::{
    Campaign, Holder, HolderKey, Issue, IssueKey, Rows, State, UserCoupon,
};
use jangbu_domain::coupon::terms::{Funding, Kind, Terms, Valid};
use jangbu_domain::order::command::{SagaEvent, step};
use jangbu_engine::port::{Col, Fields, RowWriter, Table};
use jangbu_engine::unit::{Hints, Sink};
use jangbu_kernel::domain::{Coded, Ctx, Domain};
use jangbu_kernel::time::Span;
use jangbu_kernel::{CampaignId, CouponId, Envelope, OrderId, Time, UserId};
use serde_json::{Value, json};

use crate::adapter::Service;
use crate::bound::{Bound, Stored};
use crate::events::Fact;
use crate::{order, packed};

/// Terms and counters by campaign.
pub static CAMPAIGN: Table = Table {
    rank: 230,
    name: "campaign",
    key: &["id"],
    cols: &[
        Col::text("name"),
        Col::int("kind"),
        Col::int("value"),
        Col::int("cap").or_null(),
        Col::text("currency"),
        Col::int("minimum"),
        Col::int("starts"),
        Col::int("ends"),
        Col::int("valid_until").or_null(),
        Col::int("valid_for").or_null(),
        Col::int("per_user"),
        Col::int("total"),
        Col::int("funding"),
        Col::text("scope").or_null(),
        Col::int("issued"),
        Col::int("used"),
        Col::int("free"),
        Col::int("expired"),
        Col::int("revoked"),
        Col::int("ended_at").or_null(),
        Col::int("swept"),
        Col::int("at"),
        Col::int("next_at").or_null(),
    ],
    versioned: true,
    due: true,
    lists: &[],
    hot: false,
};

/// Coupons by their id.
pub static USER_COUPON: Table = Table {
    rank: 232,
    name: "user_coupon",
    key: &["id"],
    cols: &[
        Col::int("campaign"),
        Col::int("user_id"),
        Col::int("position"),
        Col::int("state"),
        Col::int("order_id").or_null(),
        Col::int("discount"),
        Col::text("undone"),
        Col::int("issued_at"),
        Col::int("expires_at"),
        Col::text("reason").or_null(),
    ],
    versioned: true,
    due: false,
    lists: &[],
    hot: false,
};

/// How many coupons of a campaign a user has.
pub static COUPON_HOLDER: Table = Table {
    rank: 234,
    name: "coupon_holder",
    key: &["campaign", "user_id"],
    cols: &[Col::int("held"), Col::int("most")],
    versioned: true,
    due: false,
    lists: &[],
    hot: false,
};

/// Who got which place of a campaign.
pub static COUPON_ISSUE: Table = Table {
    rank: 236,
    name: "coupon_issue",
    key: &["campaign", "position"],
    cols: &[Col::int("coupon"), Col::int("user_id"), Col::int("at")],
    versioned: false,
    due: false,
    lists: &[],
    hot: false,
};

const FIXED: i64 = 1;
const PERCENT: i64 = 2;

fn read_kind(row: &dyn Fields) -> Kind {
    let value = row.int(3);
    match row.int(2) {
        FIXED => Kind::Fixed { amount: value },
        PERCENT => Kind::Percent { bp: value, cap: row.opt_int(4) },
        other => panic!("column campaign.kind is damaged: no such code: {other}"),
    }
}

fn read_valid(row: &dyn Fields) -> Valid {
    match (row.opt_int(9), row.opt_int(10)) {
        (Some(until), None) => Valid::Until(Time(until)),
        (None, Some(span)) => Valid::For(Span(span)),
        other => panic!("column campaign.valid_until is damaged: {other:?}"),
    }
}

fn read_terms(row: &dyn Fields) -> Terms {
    Terms {
        name: row.text(1).into(),
        kind: read_kind(row),
        currency: packed::currency(row.text(5)),
        minimum: row.int(6),
        starts: Time(row.int(7)),
        ends: Time(row.int(8)),
        valid: read_valid(row),
        per_user: row.int(11),
        total: row.int(12),
        funding: packed::coded("campaign.funding", row.int(13), Funding::from_code),
        scope: row.opt_text(14).map(Arc::from),
    }
}

fn write_terms(terms: &Terms, to: &mut RowWriter<'_>) {
    let Terms {
        name,
        kind,
        currency,
        minimum,
        starts,
        ends,
        valid,
        per_user,
        total,
        funding,
        scope,
    } = terms;
    let (kind, value, cap) = match *kind {
        Kind::Fixed { amount } => (FIXED, amount, None),
        Kind::Percent { bp, cap } => (PERCENT, bp, cap),
    };
    let (until, span) = match *valid {
        Valid::Until(until) => (Some(until.0), None),
        Valid::For(span) => (None, Some(span.0)),
    };
    to.text(name).int(kind).int(value).opt_int(cap).text(currency.as_str()).int(*minimum);
    to.int(starts.0).int(ends.0).opt_int(until).opt_int(span).int(*per_user).int(*total);
    to.int(funding.code()).opt_text(scope.as_deref());
}

impl Stored for Campaign {
    type Key = CampaignId;
    const TABLE: &'static Table = &CAMPAIGN;
    const KEEP: usize = 1_000;

    fn read(row: &dyn Fields) -> Self {
        let tally = Tally {
            issued: row.int(15),
            used: row.int(16),
            free: row.int(17),
            expired: row.int(18),
            revoked: row.int(19),
        };
        Self {
            terms: Arc::new(read_terms(row)),
            tally,
            ended_at: row.opt_int(20).map(Time),
            swept: row.int(21),
            at: Time(row.int(22)),
            next_at: row.opt_int(23).map(Time),
        }
    }

    fn write(&self, to: &mut RowWriter<'_>) {
        let Self { terms, tally, ended_at, swept, at, next_at } = self;
        let Tally { issued, used, free, expired, revoked } = tally;
        write_terms(terms, to);
        for n in [issued, used, free, expired, revoked] {
            to.int(*n);
        }
        to.opt_int(ended_at.map(|at| at.0)).int(*swept).int(at.0).opt_int(next_at.map(|at| at.0));
    }
}

impl Stored for UserCoupon {
    type Key = CouponId;
    const TABLE: &'static Table = &USER_COUPON;
    const KEEP: usize = 100_000;

    fn read(row: &dyn Fields) -> Self {
        let undone: Vec<i64> = packed::read("user_coupon.undone", row.text(7));
        Self {
            campaign: CampaignId(row.int(1)),
            user: UserId(row.int(2)),
            position: row.int(3),
            state: packed::coded("user_coupon.state", row.int(4), State::from_code),
            order: row.opt_int(5).map(OrderId),
            discount: row.int(6),
            undone: undone.into_iter().map(OrderId).collect(),
            issued_at: Time(row.int(8)),
            expires_at: Time(row.int(9)),
            reason: row.opt_text(10).map(Into::into),
        }
    }

    fn write(&self, to: &mut RowWriter<'_>) {
        let Self {
            campaign,
            user,
            position,
            state,
            order,
            discount,
            undone,
            issued_at,
            expires_at,
            reason,
        } = self;
        to.int(campaign.0).int(user.0).int(*position).int(state.code());
        to.opt_int(order.map(|order| order.0)).int(*discount);
        packed::write(to, undone);
        to.int(issued_at.0).int(expires_at.0).opt_text(reason.as_deref());
    }
}

impl Stored for Holder {
    type Key = HolderKey;
    const TABLE: &'static Table = &COUPON_HOLDER;
    const KEEP: usize = 50_000;

    fn read(row: &dyn Fields) -> Self {
        Self { held: row.int(2), most: row.int(3) }
    }

    fn write(&self, to: &mut RowWriter<'_>) {
        let Self { held, most } = self;
        to.int(*held).int(*most);
    }
}

impl Stored for Issue {
    type Key = IssueKey;
    const TABLE: &'static Table = &COUPON_ISSUE;
    const KEEP: usize = 1_000;

    fn read(row: &dyn Fields) -> Self {
        Self { coupon: CouponId(row.int(2)), user: UserId(row.int(3)), at: Time(row.int(4)) }
    }

    fn write(&self, to: &mut RowWriter<'_>) {
        let Self { coupon, user, at } = self;
        to.int(coupon.0).int(user.0).int(at.0);
    }
}

/// Coupon in a cell.
#[derive(Debug)]
pub struct CouponService;

impl Service for CouponService {
    type Domain = Coupons;

    const TIMERS: &'static [&'static Table] = &[&CAMPAIGN];

    fn bind(rows: &mut Rows, each: &mut dyn FnMut(&mut dyn Bound)) {
        each(&mut rows.campaign);
        each(&mut rows.coupon);
        each(&mut rows.holder);
        each(&mut rows.issue);
    }

    fn ahead(command: &Command, rows: &Rows, hints: &mut Hints) {
        ahead::ahead(command, rows, hints);
    }

    fn answered(parent: i64, asked: u16, answer: Result<&Reply, &Reject>) -> Option<Envelope> {
        let event = match answer {
            Ok(Reply::Redeemed { discount, scope, funding }) => SagaEvent::CouponRedeemed {
                discount: *discount,
                scope: scope.clone(),
                merchant_funded: *funding == Funding::Merchant,
            },
            Ok(Reply::Restored) => SagaEvent::CouponRestored,
            Ok(_) => return None,
            Err(reject) if asked == step::COUPON => {
                SagaEvent::CouponRefused { code: reject.code().into() }
            }
            Err(reject) => SagaEvent::CouponNotRestored { code: reject.code().into() },
        };
        Some(order::hear(OrderId(parent), event))
    }

    fn subject(command: &Command) -> String {
        match command {
            Command::CreateCampaign { campaign, .. }
            | Command::EndCampaign { campaign }
            | Command::Grant { campaign, .. }
            | Command::Sweep { campaign }
            | Command::Expire { campaign, .. } => campaign.to_string(),
            Command::Issue { .. }
            | Command::Redeem { .. }
            | Command::Restore { .. }
            | Command::Revoke { .. } => CouponId(Coupons::resource(command)).to_string(),
        }
    }

    fn describe(command: &Command, rows: &Rows) -> Option<Value> {
        match command {
            Command::CreateCampaign { campaign, .. }
            | Command::EndCampaign { campaign }
            | Command::Grant { campaign, .. }
            | Command::Sweep { campaign }
            | Command::Expire { campaign, .. } => {
                let Campaign { tally, ended_at, terms, .. } = rows.campaign.get(*campaign)?;
                Some(json!({
                    "total": terms.total, "issued": tally.issued, "ended": ended_at.is_some(),
                }))
            }
            Command::Issue { .. }
            | Command::Redeem { .. }
            | Command::Restore { .. }
            | Command::Revoke { .. } => {
                let state = rows.coupon.get(CouponId(Coupons::resource(command)))?.state;
                Some(json!({ "state": state.name() }))
            }
        }
    }

    fn follow(event: Event, rows: &Rows, ctx: &Ctx, sink: &mut Sink) {
        let Event::Changed { campaign, tally, issued, moved } = event;
        let Tally { issued: given, used, free, expired, revoked } = tally;
        let holding =
            |h: Holding| (h.coupon.0, h.user.0, h.state.code(), h.order.map_or(0, |order| order.0));
        let fact = Fact::CouponChanged {
            tally: [given, used, free, expired, revoked],
            issued: issued.into_iter().map(holding).collect(),
            moved: moved.into_iter().map(holding).collect(),
        };
        fact.publish(campaign.0, rows.campaign.version(campaign), ctx, sink);
    }
}
