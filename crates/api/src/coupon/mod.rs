//! Coupons: campaigns, first-come issue, grants, what a user has, and the proof of an issue.

mod closed;
mod form;
mod issue;
mod proof;
mod read;
mod schemas;

use jangbu_kernel::CampaignId;

use crate::auth::Role;
use crate::call::Call;
use crate::problem::Problem;
use crate::route::{Doc, Route};
use crate::text::id;

pub(crate) use closed::Closed;
pub(crate) use schemas::schemas;

use form::{create, end};
use issue::{grant, issue, revoke};
use proof::proof;
use read::{campaign, campaigns, coupon, coupons};

const CREATE: &str = r#"{"name":"Spring","discount":{"type":"PERCENT","basisPoints":1000,"cap":5000},"currency":"KRW","minimum":10000,"startsAt":"2027-01-01T00:00:00Z","endsAt":"2027-02-01T00:00:00Z","validDays":30,"perUser":1,"total":10000,"funding":"PLATFORM"}"#;
const ISSUE: &str = r#"{"userId":"usr_01H9Z8D0G4000"}"#;
const GRANT: &str = r#"{"userIds":["usr_01H9Z8D0G4000"],"reason":"a late parcel"}"#;
const REASON: &str = r#"{"reason":"abuse"}"#;

pub(crate) const ROUTES: &[Route] = &[
    Route {
        method: "POST",
        path: "/api/v1/campaigns",
        name: "campaign.create",
        role: Role::Operator,
        keyed: true,
        run: |api, call| Box::pin(async move { create(&api, &call).await }),
        doc: Doc {
            summary: "Announce a campaign: exactly so many coupons",
            query: &[],
            body: Some(("CreateCampaign", CREATE)),
            answers: &[(201, "Campaign", "The campaign")],
            codes: &["CAMPAIGN_INVALID"],
        },
    },
    Route {
        method: "GET",
        path: "/api/v1/campaigns",
        name: "campaign.list",
        role: Role::Customer,
        keyed: false,
        run: |api, call| Box::pin(async move { campaigns(&api, &call).await }),
        doc: Doc {
            summary: "All campaigns, oldest first",
            query: &["cursor", "limit"],
            body: None,
            answers: &[(200, "CampaignPage", "A page")],
            codes: &[],
        },
    },
    Route {
        method: "GET",
        path: "/api/v1/campaigns/{id}",
        name: "campaign.get",
        role: Role::Customer,
        keyed: false,
        run: |api, call| Box::pin(async move { campaign(&api, &call).await }),
        doc: Doc {
            summary: "A campaign, and where its coupons are",
            query: &[],
            body: None,
            answers: &[(
                200,
                "Campaign",
                "total ≥ issued = used + free + expired + revoked; remaining = total - issued",
            )],
            codes: &["CAMPAIGN_UNKNOWN"],
        },
    },
    Route {
        method: "POST",
        path: "/api/v1/campaigns/{id}/end",
        name: "campaign.end",
        role: Role::Operator,
        keyed: true,
        run: |api, call| Box::pin(async move { end(&api, &call).await }),
        doc: Doc {
            summary: "Issue no more coupons of a campaign; those that were issued stay good",
            query: &[],
            body: Some(("EndCampaign", REASON)),
            answers: &[(200, "Campaign", "The campaign")],
            codes: &["CAMPAIGN_UNKNOWN"],
        },
    },
    Route {
        method: "POST",
        path: "/api/v1/campaigns/{id}/issue",
        name: ISSUED,
        role: Role::Customer,
        keyed: true,
        run: |api, call| Box::pin(async move { issue(&api, &call).await }),
        doc: Doc {
            summary: "One coupon to whoever comes first",
            query: &[],
            body: Some(("IssueCoupon", ISSUE)),
            answers: &[(201, "IssuedCoupon", "The coupon, its position, and how many are left")],
            codes: &[
                "CAMPAIGN_UNKNOWN",
                "CAMPAIGN_NOT_OPEN",
                "COUPON_EXHAUSTED",
                "COUPON_LIMIT_REACHED",
            ],
        },
    },
    Route {
        method: "POST",
        path: "/api/v1/campaigns/{id}/grants",
        name: "campaign.grant",
        role: Role::Operator,
        keyed: true,
        run: |api, call| Box::pin(async move { grant(&api, &call).await }),
        doc: Doc {
            summary: "Give coupons to users, within the same limits: all of them or none",
            query: &[],
            body: Some(("GrantCoupons", GRANT)),
            answers: &[(201, "GrantedCoupons", "The coupons, as the users stand in the request")],
            codes: &[
                "CAMPAIGN_UNKNOWN",
                "CAMPAIGN_NOT_OPEN",
                "COUPON_EXHAUSTED",
                "COUPON_LIMIT_REACHED",
                "GRANT_INVALID",
            ],
        },
    },
    Route {
        method: "GET",
        path: "/api/v1/campaigns/{id}/proof",
        name: "campaign.proof",
        role: Role::Customer,
        keyed: false,
        run: |api, call| Box::pin(async move { proof(&api, &call).await }),
        doc: Doc {
            summary: "Who got which place, in a form that can be checked",
            query: &["cursor"],
            body: None,
            answers: &[(200, "CampaignProof", "The proof; a page for Accept: text/html")],
            codes: &["CAMPAIGN_UNKNOWN"],
        },
    },
    Route {
        method: "GET",
        path: "/api/v1/users/{id}/coupons",
        name: "coupon.list",
        role: Role::Customer,
        keyed: false,
        run: |api, call| Box::pin(async move { coupons(&api, &call).await }),
        doc: Doc {
            summary: "The coupons of a user, newest first",
            query: &["state", "cursor", "limit"],
            body: None,
            answers: &[(200, "CouponPage", "A page; a new coupon appears within milliseconds")],
            codes: &[],
        },
    },
    Route {
        method: "GET",
        path: "/api/v1/coupons/{id}",
        name: "coupon.get",
        role: Role::Customer,
        keyed: false,
        run: |api, call| Box::pin(async move { coupon(&api, &call).await }),
        doc: Doc {
            summary: "A coupon as it is now",
            query: &[],
            body: None,
            answers: &[(200, "Coupon", "The coupon")],
            codes: &["COUPON_UNKNOWN"],
        },
    },
    Route {
        method: "POST",
        path: "/api/v1/coupons/{id}/revoke",
        name: "coupon.revoke",
        role: Role::Operator,
        keyed: true,
        run: |api, call| Box::pin(async move { revoke(&api, &call).await }),
        doc: Doc {
            summary: "Take a coupon back that nobody uses",
            query: &[],
            body: Some(("RevokeCoupon", REASON)),
            answers: &[(200, "Coupon", "The coupon")],
            codes: &["COUPON_UNKNOWN", "COUPON_USED", "COUPON_EXPIRED"],
        },
    },
];

/// The endpoint of first-come issue.
pub(crate) const ISSUED: &str = "coupon.issue";

/// How a campaign stands.
const STATES: [&str; 5] = ["UPCOMING", "OPEN", "EXHAUSTED", "OVER", "ENDED"];

/// The campaign that the path names.
fn campaign_id(call: &Call) -> Result<CampaignId, Problem> {
    id(CampaignId::parse, CampaignId::PREFIX, call.param(), || "id".into())
}
