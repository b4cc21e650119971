//! Schemas of what is sent and answered about orders.

use serde_json::{Value, json};

use crate::schemas::{
    STATES, flag, id, id_in, list, nullable, object, of, optional, or_null, own_user, page, text,
    time, whole, words,
};

const OUTCOMES: [&str; 9] = [
    "SOLD",
    "SOLD_OUT",
    "DECLINED",
    "EXPIRED",
    "CANCELLED",
    "SHED",
    "ERROR",
    "PRICE_CHANGED",
    "LIMIT",
];
const REFUND_STATES: [&str; 9] = [
    "REQUESTED",
    "PSP_REFUND",
    "RESTORING",
    "DONE",
    "REFUSED",
    "SETTING_ASIDE",
    "SET_ASIDE",
    "CLAWING",
    "UNCLAWING",
];
const FULFILMENTS: [&str; 4] = ["UNSHIPPED", "PARTLY_SHIPPED", "SHIPPED", "DELIVERED"];
const STEPS: [&str; 6] = ["none", "asked", "done", "refused", "undo_asked", "undone"];

pub(crate) fn schemas() -> Value {
    let Value::Object(mut all) = answered() else { return Value::Null };
    if let Value::Object(sent) = sent() {
        all.extend(sent);
    }
    Value::Object(all)
}

fn answered() -> Value {
    let mut outcome = or_null(words(&OUTCOMES));
    outcome["enum"] = json!(OUTCOMES.map(Some).into_iter().chain([None]).collect::<Vec<_>>());
    let units = json!({
        "type": "array",
        "items": object(&json!({ "skuId": id("sku"), "quantity": whole() })),
    });
    let points = object(&json!({ "paid": whole(), "earned": whole() }));
    json!({
        "Line": optional(&json!({
            "skuId": id("sku"), "merchantId": text(), "quantity": whole(),
            "unitPrice": of("Money"), "amount": of("Money"),
            "shares": object(&json!({
                "discount": whole(), "paidPoints": whole(), "earnedPoints": whole(), "pay": whole(),
            })),
        }), &["shares"]),
        "OrderRefund": object(&json!({
            "no": {
                "type": "integer",
                "description": "From 1; 0 and numbers above 999 give back a whole payment.",
            },
            "state": words(&REFUND_STATES), "amount": of("Money"), "points": points,
            "deducted": whole(), "lines": units, "restock": flag(), "reason": text(),
        })),
        "OrderCoupon": object(&json!({
            "couponId": id("cpn"), "state": words(&STEPS), "merchantId": nullable("string"),
            "funding": words(&["PLATFORM", "MERCHANT"]),
        })),
        "Shipment": object(&json!({
            "no": whole(), "lines": units, "carrier": text(), "tracking": text(),
            "shippedAt": time(), "deliveredAt": or_null(time()),
        })),
        "Order": optional(&json!({
            "id": id("ord"), "state": words(&STATES), "outcome": outcome, "userId": id("usr"),
            "lines": list("Line"), "total": of("Money"), "discount": of("Money"),
            "points": points, "pay": of("Money"), "refunded": of("Money"),
            "coupon": of("OrderCoupon"), "earned": whole(), "paymentId": or_null(id("pay")),
            "refunds": list("OrderRefund"), "fulfilment": words(&FULFILMENTS),
            "shipments": list("Shipment"), "reason": nullable("string"), "placedAt": time(),
            "settledAt": or_null(time()),
        }), &["coupon", "fulfilment"]),
        "OrderPage": page("Order"),
        "Timeline": object(&json!({
            "orderId": id("ord"), "state": words(&STATES), "sentence": text(),
            "items": {
                "type": "array",
                "items": object(&json!({ "at": time(), "event": text(), "detail": text() })),
            },
        })),
    })
}

fn sent() -> Value {
    let lines = json!({ "type": ["array", "null"], "items": of("Units") });
    let reason = json!({ "type": "string", "maxLength": 500 });
    let words_of_carrier = json!({ "type": "string", "minLength": 1, "maxLength": 100 });
    json!({
        "Units": object(&json!({
            "skuId": id_in("sku"),
            "quantity": { "type": "integer", "minimum": 1, "maximum": 10_000 },
        })),
        "PlaceOrder": optional(&json!({
            "userId": own_user(),
            "lines": { "type": "array", "items": of("Units"), "minItems": 1, "maxItems": 100 },
            "expectedTotal": of("Money"),
            "payment": optional(
                &json!({
                    "mode": words(&["SERVER", "CLIENT"]),
                    "token": { "type": ["string", "null"], "minLength": 1, "maxLength": 255 },
                }),
                &["token"],
            ),
            "couponId": or_null(id_in("cpn")),
            "points": { "type": ["integer", "null"], "minimum": 0 },
            "expectedPay": of("Money"),
        }), &["userId", "couponId", "points", "expectedPay"]),
        "ConfirmOrder": object(&json!({
            "amount": of("Money"),
            "token": { "type": "string", "minLength": 1, "maxLength": 255 },
        })),
        "CancelOrder": optional(&json!({ "reason": nullable("string") }), &["reason"]),
        "RefundOrder": optional(
            &json!({
                "reason": reason, "lines": lines,
                "restock": { "type": ["boolean", "null"], "default": true },
            }),
            &["lines", "restock"],
        ),
        "ReturnOrder": optional(
            &json!({ "reason": reason, "lines": lines, "restock": flag() }),
            &["lines"],
        ),
        "ShipOrder": optional(
            &json!({
                "lines": lines, "carrier": words_of_carrier, "tracking": words_of_carrier,
            }),
            &["lines"],
        ),
    })
}
