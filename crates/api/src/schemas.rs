//! The schemas of all bodies, for the OpenAPI document. A test holds every answer of the tests
//! against them.

use jangbu_kernel::Currency;
use serde_json::{Map, Value, json};

/// Every schema by name.
pub(crate) fn all() -> Value {
    let mut all = Map::new();
    for part in [
        basics(),
        crate::order::schemas(),
        goods(),
        books(),
        rest(),
        crate::audit_log::schemas(),
        crate::bestseller::schemas(),
        crate::charge::schemas(),
        crate::coupon::schemas(),
        crate::merchant::schemas(),
        crate::poison::schemas(),
        crate::explain_key::schemas(),
        crate::dlq::schemas(),
        crate::notification::schemas(),
        crate::backups::schemas(),
        crate::journal::schemas(),
        crate::catalog::schemas(),
        crate::user::schemas(),
        crate::saga::schemas(),
        crate::inbox::schemas(),
        crate::point::schemas(),
    ] {
        if let Value::Object(part) = part {
            all.extend(part);
        }
    }
    Value::Object(all)
}

/// An object all of whose fields are there, and no others.
pub(crate) fn object(properties: &Value) -> Value {
    optional(properties, &[])
}

/// An object in which the fields of `optional` may be missing.
pub(crate) fn optional(properties: &Value, optional: &[&str]) -> Value {
    let names = properties.as_object().into_iter().flat_map(|fields| fields.keys());
    let required: Vec<_> = names.filter(|name| !optional.contains(&name.as_str())).collect();
    json!({
        "type": "object", "properties": properties, "required": required,
        "additionalProperties": false,
    })
}

pub(crate) fn of(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

pub(crate) fn list(schema: &str) -> Value {
    json!({ "type": "array", "items": of(schema) })
}

pub(crate) fn page(schema: &str) -> Value {
    let next = json!({
        "type": ["string", "null"],
        "description": "Where the next page begins. Null on the last page, and only there: a page \
                        may be short or empty although more follows.",
    });
    object(&json!({ "items": list(schema), "nextCursor": next }))
}

pub(crate) fn nullable(kind: &str) -> Value {
    json!({ "type": [kind, "null"] })
}

pub(crate) fn text() -> Value {
    json!({ "type": "string" })
}

pub(crate) fn whole() -> Value {
    json!({ "type": "integer", "format": "int64" })
}

pub(crate) fn flag() -> Value {
    json!({ "type": "boolean" })
}

pub(crate) fn words(words: &[&str]) -> Value {
    json!({ "type": "string", "enum": words })
}

pub(crate) fn id(prefix: &str) -> Value {
    json!({ "type": "string", "pattern": format!("^{prefix}_[0-9A-HJKMNP-TV-Z]{{13}}$") })
}

pub(crate) fn id_in(prefix: &str) -> Value {
    json!({
        "type": "string", "pattern": id_pattern(prefix),
        "description": "Crockford base32; any case, I and L read as 1, O as 0.",
    })
}

/// A user that a session says already.
pub(crate) fn own_user() -> Value {
    json!({
        "type": ["string", "null"], "pattern": id_pattern("usr"),
        "description": "Whose; may be left out with a customer's session, which is of one user.",
    })
}

/// Ids as they are understood: the first character has three bits.
pub(crate) fn id_pattern(prefix: &str) -> String {
    format!("^{prefix}_[0-7OoIiLl][0-9A-TV-Za-tv-z]{{12}}$")
}

/// A currency that this shop knows.
pub(crate) fn currency() -> Value {
    let mut known: Vec<_> = Currency::all().map(|currency| currency.to_string()).collect();
    known.sort_unstable();
    json!({ "type": "string", "enum": known, "description": "ISO 4217." })
}

pub(crate) fn time() -> Value {
    json!({ "type": "string", "format": "date-time" })
}

pub(crate) fn or_null(mut schema: Value) -> Value {
    schema["type"] = json!([schema["type"], "null"]);
    schema
}

fn basics() -> Value {
    json!({
        "Money": object(&json!({
            "amount": {
                "type": "integer", "format": "int64",
                "description": "Minor units: won, cents.",
            },
            "currency": currency(),
        })),
        "Problem": optional(
            &json!({
                "type": text(), "title": text(),
                "status": { "type": "integer" },
                "code": { "type": "string", "description": "Stable; API.md lists all." },
                "detail": text(),
                "requestId": { "type": "string", "description": "The correlation id." },
                "retryable": {
                    "type": "boolean",
                    "description": "The same request with the same key may succeed later.",
                },
                "orderId": id("ord"),
                "outcome": text(),
                "message": {
                    "type": "string",
                    "description": "As detail; in the compatible payment API only.",
                },
                "paymentId": or_null(id("pay")),
                "details": {
                    "type": "array",
                    "items": object(&json!({ "field": text(), "message": text() })),
                },
            }),
            &["orderId", "outcome", "message", "paymentId"],
        ),
        "Health": optional(
            &json!({
                "status": words(&["UP", "DOWN"]), "reason": text(), "parts": list("HealthPart"),
                "role": words(&["OWNER", "FOLLOWER", "JOINING", "ENDED"]), "owner": text(),
                "cache": object(&json!({
                    "hitPercent": nullable("integer"), "shared": words(&["UP", "DOWN", "OFF"]),
                })),
            }),
            &["reason", "role", "owner", "cache", "parts"],
        ),
        "HealthPart": optional(
            &json!({ "name": text(), "status": words(&["UP", "DOWN"]), "reason": text() }),
            &["reason"],
        ),
        "Report": { "type": "object", "description": "The report of `jangbu prove --json`." },
        "OpenApi": { "type": "object" },
        "SetReadOnly": object(&json!({ "on": flag() })),
        "ReadOnly": object(&json!({ "readOnly": flag() })),
    })
}

/// Of an order.
pub(crate) const STATES: [&str; 10] = [
    "HOLDING",
    "AWAIT_PAY",
    "PAYING",
    "PAY_UNKNOWN",
    "COMMITTING",
    "REVERSING",
    "UNWINDING",
    "COMPLETED",
    "CANCELLED",
    "STUCK",
];

fn goods() -> Value {
    json!({
        "Stock": object(&json!({
            "skuId": id("sku"), "received": whole(), "adjusted": whole(), "returned": whole(),
            "available": whole(), "reserved": whole(), "sold": whole(), "writtenOff": whole(),
        })),
        "ReceiveStock": optional(
            &json!({ "quantity": { "type": "integer", "minimum": 1 }, "reason": nullable("string") }),
            &["reason"],
        ),
        "AdjustStock": object(&json!({ "delta": whole(), "reason": text() })),
        "Movement": object(&json!({
            "movementId": id("mov"), "skuId": id("sku"), "quantity": whole(), "available": whole(),
        })),
    })
}

fn books() -> Value {
    let kinds = words(&["ASSET", "LIABILITY", "EQUITY", "INCOME", "EXPENSE"]);
    let side = words(&["DEBIT", "CREDIT"]);
    json!({
        "Account": object(&json!({
            "code": text(), "currency": text(), "kind": kinds, "normalSide": side,
            "debits": whole(), "credits": whole(), "balance": whole(),
        })),
        "AccountPage": page("Account"),
        "Entry": object(&json!({
            "at": time(), "source": id("(pay|jnl|ord|grt|usr)"), "posting": whole(), "leg": whole(), "side": side,
            "amount": of("Money"), "balance": of("Money"),
        })),
        "EntryPage": page("Entry"),
        "Balance": optional(
            &json!({
                "code": text(), "kind": kinds, "normalSide": side, "at": time(),
                "balance": of("Money"), "debits": of("Money"), "credits": of("Money"),
            }),
            &["at", "debits", "credits"],
        ),
        "TrialBalance": object(&json!({
            "accounts": list("Account"),
            "totals": {
                "type": "array",
                "items": object(&json!({
                    "currency": text(), "debits": { "type": "integer" },
                    "credits": { "type": "integer" }, "balanced": flag(),
                })),
            },
            "balanced": flag(),
        })),
    })
}

fn rest() -> Value {
    let states = [
        "INTENT",
        "SENT",
        "AUTHORIZED",
        "CAPTURE_SENT",
        "VOID_SENT",
        "CAPTURED",
        "DECLINED",
        "VOIDED",
        "UNKNOWN",
    ];
    json!({
        "ResolvePayment": optional(
            &json!({
                "refund": {
                    "type": ["integer", "null"], "minimum": 0, "maximum": 4_294_967_295_u32,
                    "description": "The refund that is meant; without it, the payment itself.",
                },
                "verdict": words(&["CAPTURED", "NOT_CHARGED", "REFUNDED", "NOT_REFUNDED"]),
                "evidence": { "type": "string", "minLength": 1, "maxLength": 500 },
            }),
            &["refund"],
        ),
        "Payment": object(&json!({
            "id": id("pay"), "orderId": or_null(id("ord")), "pointsOf": or_null(id("usr")),
            "state": words(&states), "pendingOperation": words(&["NONE", "CHARGE", "AUTHORIZE", "CAPTURE", "VOID"]),
            "mode": words(&["CHARGE", "AUTHORIZE"]),
            "amount": of("Money"), "authorized": of("Money"), "captured": of("Money"),
            "refunded": of("Money"), "refundPending": of("Money"),
            "split": {
                "type": "array",
                "items": object(&json!({
                    "merchantId": text(), "amount": of("Money"), "card": of("Money"),
                    "paidPoints": of("Money"), "earnedPoints": of("Money"), "coupon": of("Money"),
                })),
            },
            "psp": text(), "pspRef": nullable("string"), "reason": nullable("string"),
            "refunds": {
                "type": "array",
                "items": object(&json!({
                    "no": { "type": "integer" },
                    "state": words(&[
                        "SENT", "UNKNOWN", "DONE", "REFUSED", "SET_ASIDE", "RELEASED",
                    ]),
                    "amount": of("Money"), "deducted": of("Money"),
                })),
            },
            "createdAt": time(), "sentAt": or_null(time()),
        })),
    })
}
