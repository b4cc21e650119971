//! Points of a customer: balance, history, charges by card, grants by operators.
//!
//! A point is one minor unit of the shop's currency. A charge is a payment without an order: it is
//! asked and waited for as a merchant's payment is, and the points are there in the commit that
//! knows of the capture.

mod charge;
mod look;
mod refund;

use std::borrow::Cow;
use std::sync::Arc;

use jangbu_domain::point::command::{Command, Reply as Answer, UNIT, What};
use jangbu_kernel::{Currency, GrantId, Time, UserId};
use jangbu_services::queries::Queries;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::Api;
use crate::ask::{envelope, normal, operated};
use crate::auth::{Role, owner};
use crate::call::Call;
use crate::codes::Own;
use crate::idempotency::Canon;
use crate::order::REASON;
use crate::problem::Problem;
use crate::repeats::Difference;
use crate::reply::Reply;
use crate::route::{Doc, Route};
use crate::schemas::{
    currency, id as id_of, list, nullable, object, or_null, page, time, whole, words,
};
use crate::text::{self, At, id, shown};

const CHARGE: &str = r#"{"amount":5000,"token":"tok_visa"}"#;
const REFUND: &str = r#"{"amount":3000,"reason":"bought by mistake"}"#;
const GRANT: &str = r#"{"amount":500,"expiresAt":"2027-01-31T15:00:00Z","reason":"an apology"}"#;

pub(crate) const ROUTES: &[Route] = &[
    Route {
        method: "GET",
        path: "/api/v1/users/{id}/points",
        name: "point.get",
        role: Role::Customer,
        keyed: false,
        run: |api, call| Box::pin(async move { look::points(&api, &call).await }),
        doc: Doc {
            summary: "How many points a user has, by kind and by the day on which they end",
            query: &[],
            body: None,
            answers: &[(200, "Points", "The points; none at all for who never had any")],
            codes: &[],
        },
    },
    Route {
        method: "GET",
        path: "/api/v1/users/{id}/points/history",
        name: "point.history",
        role: Role::Customer,
        keyed: false,
        run: |api, call| Box::pin(async move { look::history(&api, &call).await }),
        doc: Doc {
            summary: "Every movement of a user's points, newest first",
            query: &["cursor", "limit"],
            body: None,
            answers: &[(200, "PointMovements", "A page; it follows the books by milliseconds")],
            codes: &[],
        },
    },
    Route {
        method: "POST",
        path: "/api/v1/users/{id}/points/charges",
        name: "point.charge",
        role: Role::Customer,
        keyed: true,
        run: |api, call| Box::pin(async move { charge::charge(&api, &call).await }),
        doc: Doc {
            summary: "Buy points with a card, and wait for the gateway's answer",
            query: &[],
            body: Some(("ChargePoints", CHARGE)),
            answers: &[
                (201, "PointCharge", "The points are there"),
                (202, "PointCharge", "Not known yet; look again later"),
            ],
            codes: &["PAYMENT_DECLINED", "GATEWAY_UNAVAILABLE", "POINTS_AMOUNT_INVALID"],
        },
    },
    Route {
        method: "GET",
        path: "/api/v1/users/{id}/points/charges/{payment}",
        name: "point.charged",
        role: Role::Customer,
        keyed: false,
        run: |api, call| Box::pin(async move { charge::get(&api, &call).await }),
        doc: Doc {
            summary: "A charge of points as it is now",
            query: &[],
            body: None,
            answers: &[(200, "PointCharge", "The charge")],
            codes: &["PAYMENT_UNKNOWN"],
        },
    },
    Route {
        method: "POST",
        path: "/api/v1/users/{id}/points/charges/{payment}/refunds",
        name: "point.refund",
        role: Role::Operator,
        keyed: true,
        run: |api, call| Box::pin(async move { refund::refund(&api, &call).await }),
        doc: Doc {
            summary: "Give the money of a charge back, as far as its points are unspent; audited",
            query: &[],
            body: Some(("RefundPoints", REFUND)),
            answers: &[
                (201, "PointRefund", "The points are gone and the money is on its way back"),
                (202, "PointRefund", "The points are held; the gateway has not said yet"),
            ],
            codes: &[
                "PAYMENT_UNKNOWN",
                "REFUND_CONFLICT",
                "REFUND_REFUSED",
                "GATEWAY_UNAVAILABLE",
                "POINTS_AMOUNT_INVALID",
                "POINT_REFUND_EXCEEDS_LEFT",
                "TOO_MANY_REFUNDS",
            ],
        },
    },
    Route {
        method: "POST",
        path: "/api/v1/users/{id}/points/grants",
        name: "point.grant",
        role: Role::Operator,
        keyed: true,
        run: |api, call| Box::pin(async move { grant(&api, &call).await }),
        doc: Doc {
            summary: "Give a user points; audited",
            query: &[],
            body: Some(("GrantPoints", GRANT)),
            answers: &[(201, "PointGrant", "The points are there, until the end of that day")],
            codes: &[
                "POINTS_AMOUNT_INVALID",
                "POINT_EXPIRY_INVALID",
                "POINT_LOTS_FULL",
                "POINTS_OVERFLOW",
                "POINT_CURRENCY",
            ],
        },
    },
];

/// The currency of points.
const CURRENCY: Currency = Currency::KRW;

/// The user that the path names, who is the caller or anybody's to a key.
fn user(call: &Call) -> Result<UserId, Problem> {
    let user = id(UserId::parse, UserId::PREFIX, call.param(), || "id".into())?;
    owner(call, user).map(|()| user)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct GrantIn<'a> {
    amount: i64,
    #[serde(borrow, default)]
    expires_at: Option<Cow<'a, str>>,
    #[serde(borrow)]
    reason: Cow<'a, str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GrantOut {
    #[serde(serialize_with = "shown::one")]
    grant_id: GrantId,
    #[serde(serialize_with = "shown::one")]
    user_id: UserId,
    amount: i64,
    expires_at: Option<At>,
    balance: i64,
}

async fn grant(api: &Arc<Api>, call: &Call) -> Result<Reply, Problem> {
    let body: GrantIn<'_> = call.json()?;
    let (user, grant) = (user(call)?, GrantId(api.shop.mint()));
    let reason = reason(&body.reason)?;
    let expires_at = body.expires_at.as_deref().map(expiry).transpose()?;
    let amount = body.amount;
    let until = expires_at.map(|at| at.0);
    let canon = Canon::new(call.name).int(user.0).int(amount).int(until.unwrap_or(0));
    let canon = canon.text(&body.reason);
    let command = Command::Grant { grant, user, amount, currency: CURRENCY, expires_at, reason };
    let envelope = operated(envelope(call, UNIT, command, canon), call, &body.reason);
    let asked = match api.ask_soon::<Answer>(normal(envelope)).await {
        Ok(asked) => asked,
        Err(problem) => {
            let compare = move |queries: &Queries, id| {
                let Some(first) = queries.point_credit(id)? else { return Ok(Vec::new()) };
                let of_user = Difference::between("id", (&first.user, &user), ToString::to_string);
                let points =
                    Difference::between("amount", (&first.amount, &amount), ToString::to_string);
                Ok(of_user.into_iter().chain(points).collect())
            };
            return Err(api.differ(problem, compare).await);
        }
    };
    let Answer::Granted { grant, amount, expires_at, balance } = asked.reply else {
        return Err(Problem::of(Own::Internal, "the reply is not a grant"));
    };
    let (grant_id, user_id, expires_at) = (grant, user, expires_at.map(At));
    let out = GrantOut { grant_id, user_id, amount, expires_at, balance };
    Ok(Reply::json(201, &out).replayed(asked.replayed))
}

/// An operator's words.
fn reason(text: &str) -> Result<Box<str>, Problem> {
    if text.is_empty() || !jangbu_kernel::words::is_prose(text, REASON) {
        let message = format!("must have 1 to {REASON} characters");
        return Err(Problem::field("reason", message));
    }
    Ok(text.into())
}

fn expiry(text: &str) -> Result<Time, Problem> {
    let wrong = || Problem::field("expiresAt", "must be a time such as 2027-01-31T15:00:00Z");
    text::time(text).ok_or_else(wrong)
}

/// The schemas of this module.
pub(crate) fn schemas() -> Value {
    let kind = || words(&["EARNED", "PAID"]);
    let wish = json!({
        "type": "integer", "minimum": 1, "maximum": 1_000_000_000_000_i64,
        "description": "Points: minor units of the shop's currency.",
    });
    let next = json!({ "at": time(), "points": whole() });
    let lot = json!({ "kind": kind(), "points": whole(), "expiresAt": nullable("string") });
    let points = json!({
        "userId": id_of("usr"), "currency": currency(), "balance": whole(), "paid": whole(),
        "earned": whole(), "nextExpiry": or_null(object(&next)),
        "lots": list("PointLot"),
    });
    let what: Vec<&str> = What::ALL.iter().map(|what| what.name()).collect();
    let about = |prefix| or_null(id_of(prefix));
    let movement = json!({
        "at": time(), "what": words(&what), "orderId": about("ord"), "paymentId": about("pay"),
        "grantId": about("grt"), "paid": whole(), "earned": whole(), "balance": whole(),
    });
    let charge = json!({
        "paymentId": id_of("pay"), "userId": id_of("usr"), "amount": whole(),
        "currency": currency(), "status": words(&charge::STATUSES), "createdAt": time(),
        "balance": nullable("integer"), "refunded": whole(), "refundable": whole(),
        "refunds": list("PointRefund"),
    });
    let refund = json!({
        "refundId": id_of("rfd"), "paymentId": id_of("pay"), "userId": id_of("usr"),
        "amount": whole(), "status": words(&refund::STATUSES), "reason": { "type": "string" },
    });
    let mut part = wish.clone();
    part["type"] = json!(["integer", "null"]);
    part["description"] = json!("Points of the charge; none: as many as are unspent.");
    let grant = json!({
        "grantId": id_of("grt"), "userId": id_of("usr"), "amount": whole(),
        "expiresAt": nullable("string"), "balance": whole(),
    });
    let token =
        json!({ "type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$" });
    let until = json!({
        "type": ["string", "null"], "format": "date-time",
        "description": "The points live until the end of that day in Seoul; none: a year.",
    });
    let reason = json!({ "type": "string", "minLength": 1, "maxLength": REASON });
    let body = crate::schemas::optional;
    json!({
        "PointLot": object(&lot), "Points": object(&points),
        "PointMovement": object(&movement), "PointMovements": page("PointMovement"),
        "PointCharge": object(&charge), "PointRefund": object(&refund),
        "PointGrant": object(&grant),
        "RefundPoints": body(&json!({ "amount": part, "reason": reason }), &["amount"]),
        "ChargePoints": object(&json!({ "amount": wish, "token": token })),
        "GrantPoints": body(
            &json!({ "amount": wish, "expiresAt": until, "reason": reason }),
            &["expiresAt"],
        ),
    })
}
