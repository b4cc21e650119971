//! What the document says of campaigns and coupons.

use jangbu_domain::coupon::model::State;
use serde_json::{Value, json};

use super::STATES;
use crate::schemas::{
    currency, flag, id, id_pattern, nullable, object, optional, or_null, own_user, page, text,
    time, whole, words,
};

/// Schemas of this domain.
pub(crate) fn schemas() -> Value {
    let Value::Object(mut all) = wishes() else { return Value::Null };
    if let Value::Object(more) = answers() {
        all.extend(more);
    }
    Value::Object(all)
}

fn number() -> Value {
    json!({ "type": ["integer", "null"], "format": "int64" })
}

fn wishes() -> Value {
    let reason = || json!({ "type": ["string", "null"], "maxLength": 500 });
    let moment = || or_null(time());
    let discount = optional(
        &json!({
            "type": words(&["FIXED", "PERCENT"]), "amount": number(), "basisPoints": number(),
            "cap": number(),
        }),
        &["amount", "basisPoints", "cap"],
    );
    let defaults = [
        "minimum",
        "startsAt",
        "endsAt",
        "validUntil",
        "validDays",
        "perUser",
        "funding",
        "merchantId",
    ];
    json!({
        "CreateCampaign": optional(
            &json!({
                "name": { "type": "string", "minLength": 1, "maxLength": 200 },
                "discount": discount, "currency": currency(), "minimum": number(),
                "startsAt": moment(), "endsAt": moment(), "validUntil": moment(),
                "validDays": number(), "perUser": number(), "total": whole(),
                "funding": { "type": ["string", "null"], "enum": ["PLATFORM", "MERCHANT", null] },
                "merchantId": { "type": ["string", "null"], "minLength": 1, "maxLength": 200 },
            }),
            &defaults,
        ),
        "EndCampaign": optional(&json!({ "reason": reason() }), &["reason"]),
        "IssueCoupon": optional(&json!({ "userId": own_user() }), &["userId"]),
        "GrantCoupons": optional(
            &json!({
                "userIds": {
                    "type": "array", "minItems": 1, "maxItems": 500,
                    "items": { "type": "string", "pattern": id_pattern("usr") },
                },
                "reason": reason(),
            }),
            &["reason"],
        ),
        "RevokeCoupon": object(&json!({
            "reason": { "type": "string", "minLength": 1, "maxLength": 500 },
        })),
    })
}

fn answers() -> Value {
    let states: Vec<_> = State::ALL.iter().map(|state| state.name()).collect();
    let discount = object(&json!({
        "type": words(&["FIXED", "PERCENT"]), "amount": number(), "basisPoints": number(),
        "cap": number(),
    }));
    let given = object(&json!({ "couponId": id("cpn"), "userId": id("usr"), "position": whole() }));
    json!({
        "Campaign": object(&json!({
            "id": id("cmp"), "name": text(), "state": words(&STATES), "discount": discount,
            "currency": currency(), "minimum": whole(), "startsAt": time(), "endsAt": time(),
            "validUntil": or_null(time()), "validDays": number(), "perUser": whole(),
            "funding": words(&["PLATFORM", "MERCHANT"]), "merchantId": nullable("string"),
            "total": whole(), "issued": whole(), "remaining": whole(), "used": whole(),
            "free": whole(), "expired": whole(), "revoked": whole(),
            "endedAt": or_null(time()), "createdAt": time(),
        })),
        "CampaignPage": page("Campaign"),
        "IssuedCoupon": object(&json!({
            "couponId": id("cpn"), "campaignId": id("cmp"), "userId": id("usr"),
            "position": whole(), "remaining": whole(), "expiresAt": time(),
        })),
        "GrantedCoupons": object(&json!({
            "campaignId": id("cmp"), "coupons": { "type": "array", "items": given },
            "remaining": whole(), "expiresAt": time(),
        })),
        "Coupon": object(&json!({
            "id": id("cpn"), "campaignId": id("cmp"), "userId": id("usr"), "position": whole(),
            "state": words(&states), "orderId": or_null(id("ord")),
            "discount": {
                "type": "integer", "format": "int64",
                "description": "What its order saves, in minor units; 0 unless USED.",
            },
            "issuedAt": time(), "expiresAt": time(), "reason": nullable("string"),
        })),
        "CouponPage": page("Coupon"),
        "CampaignProof": object(&json!({
            "campaignId": id("cmp"), "name": text(), "total": whole(), "issued": whole(),
            "perUser": whole(), "gapless": flag(), "mostPerUser": whole(),
            "firstAt": or_null(time()), "lastAt": or_null(time()),
            "sha256": text(),
            "lines": { "type": "array", "items": text() }, "nextCursor": nullable("string"),
        })),
    })
}
