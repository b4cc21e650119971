//! Bad values in place of good ones, and which of them are legal where.

use serde_json::{Value, json};

/// Gives bad values in place of a good one.
pub(super) type Spoil = fn(&Value) -> Vec<Value>;

/// What is done to a field.
pub(super) const ATTACKS: &[(&str, Spoil)] = &[
    ("wrong type", wrong_types),
    ("negative", |value| of_number(value, &[json!(-1), json!(i64::MIN)])),
    ("zero", |value| of_number(value, &[json!(0)])),
    ("overflow", overflows),
    ("fraction", |value| of_number(value, &[json!(1.5), json!(1e300)])),
    ("empty", |value| of_text(value, &[""])),
    ("too long", |value| of_text(value, &[&"x".repeat(5_000)])),
    ("not text", |value| {
        of_text(value, &["\u{0}", "a\u{0}b", "\u{202e}x", "'; DROP TABLE orders;--"])
    }),
    ("wrong currency", currencies),
];

/// Template, field and attack that the field allows.
pub(super) const LEGAL: &[(&str, &str, &str)] = &[
    ("/api/v1/orders", "/expectedTotal/amount", "zero"),
    ("/api/v1/orders", "/payment/token", "not text"),
    ("/api/v1/orders", "/points", "zero"),
    ("/api/v1/orders", "/expectedPay/amount", "zero"),
    ("/api/v1/orders/{id}/shipments", "/carrier", "not text"),
    ("/api/v1/orders/{id}/shipments", "/tracking", "not text"),
    ("/api/v1/orders/{id}/returns", "/reason", "empty"),
    ("/api/v1/orders/{id}/returns", "/reason", "not text"),
    ("/api/v1/orders/{id}/confirm", "/token", "not text"),
    ("/api/v1/orders/{id}/cancel", "/reason", "empty"),
    ("/api/v1/orders/{id}/cancel", "/reason", "not text"),
    ("/api/v1/orders/{id}/refund", "/reason", "empty"),
    ("/api/v1/orders/{id}/refund", "/reason", "not text"),
    ("/api/v1/users", "/name", "not text"),
    ("/api/v1/users", "/address", "not text"),
    ("/api/v1/users", "/password", "not text"),
    ("/api/v1/users/{id}", "/name", "not text"),
    ("/api/v1/users/{id}", "/address", "not text"),
    ("/api/v1/users/{id}/deactivate", "/reason", "empty"),
    ("/api/v1/users/{id}/deactivate", "/reason", "not text"),
    ("/api/v1/merchants", "/name", "not text"),
    ("/api/v1/merchants/{code}/keys/{keyId}/revoke", "/reason", "not text"),
    ("/api/v1/merchants/{code}/fees", "/fees/0/fixed", "zero"),
    ("/api/v1/merchants/{code}/fees", "/fees/0/rateBp", "zero"),
    ("/api/v1/merchants/{code}/fees", "/fees/0/vatBp", "zero"),
    ("/api/v1/merchants/{code}/suspend", "/reason", "not text"),
    ("/api/v1/merchants/{code}/resume", "/reason", "not text"),
    ("/api/v1/products", "/merchantId", "not text"),
    ("/api/v1/products", "/name", "not text"),
    ("/api/v1/products", "/skus/0/name", "not text"),
    ("/api/v1/products", "/skus/0/price/amount", "zero"),
    ("/api/v1/products", "/skus/0/stock", "zero"),
    ("/api/v1/products", "/description", "empty"),
    ("/api/v1/products", "/description", "not text"),
    ("/api/v1/products", "/options/0", "not text"),
    ("/api/v1/products", "/skus/0/code", "wrong type"), // null in the good request
    ("/api/v1/products", "/skus/0/values/0", "not text"),
    ("/api/v1/products/{id}", "/name", "not text"),
    ("/api/v1/products/{id}", "/description", "empty"),
    ("/api/v1/products/{id}", "/description", "not text"),
    ("/api/v1/products/{id}/skus", "/skus/0/name", "not text"),
    ("/api/v1/products/{id}/skus", "/skus/0/price/amount", "zero"),
    ("/api/v1/products/{id}/skus", "/skus/0/stock", "zero"),
    ("/api/v1/skus/{id}/prices", "/price/amount", "zero"),
    ("/api/v1/categories", "/code", "not text"),
    ("/api/v1/categories", "/name", "not text"),
    ("/api/v1/categories/{id}", "/name", "not text"),
    ("/api/v1/catalog/import", "/firstLine", "zero"),
    ("/api/v1/campaigns", "/merchantId", "not text"),
    ("/api/v1/campaigns", "/minimum", "zero"),
    ("/api/v1/campaigns", "/name", "not text"),
    ("/api/v1/campaigns/{id}/end", "/reason", "empty"),
    ("/api/v1/campaigns/{id}/end", "/reason", "not text"),
    ("/api/v1/campaigns/{id}/grants", "/reason", "empty"),
    ("/api/v1/campaigns/{id}/grants", "/reason", "not text"),
    ("/api/v1/coupons/{id}/revoke", "/reason", "not text"),
    ("/api/v1/skus/{id}/price", "/price/amount", "zero"),
    ("/api/v1/stock/{sku}/adjust", "/delta", "negative"),
    ("/api/v1/stock/{sku}/adjust", "/reason", "empty"),
    ("/api/v1/stock/{sku}/adjust", "/reason", "not text"),
    ("/api/v1/stock/{sku}/receive", "/reason", "empty"),
    ("/api/v1/stock/{sku}/receive", "/reason", "not text"),
    ("/api/v1/users/{id}/points/charges/{payment}/refunds", "/reason", "not text"),
    ("/api/v1/users/{id}/points/grants", "/reason", "not text"),
    ("/api/v1/payments/{id}/resolve", "/evidence", "not text"),
    ("/api/payments/authorize", "/token", "empty"),
    ("/api/payments/authorize", "/token", "not text"),
    ("/api/payments/refund/{id}", "/reason", "not text"),
    ("/api/v1/dlq/{consumer}/{key}/replay", "/reason", "not text"),
    ("/api/v1/dlq/{consumer}/{key}/discard", "/reason", "not text"),
    ("/api/v1/notifications/{id}/retry", "/reason", "not text"),
    ("/api/v1/notifications/templates/{kind}/{language}", "/reason", "not text"),
    ("/api/v1/notifications/templates/{kind}/{language}", "/subject", "not text"),
    ("/api/v1/notifications/templates/{kind}/{language}", "/body", "not text"),
    ("/api/v1/notifications/templates/{kind}/{language}", "/body", "too long"),
    ("/api/v1/ledger/journals", "/reason", "not text"),
    ("/api/v1/ledger/journals", "/postings/0/memo", "not text"),
    ("/api/v1/poison/{id}/retry", "/reason", "not text"),
    ("/api/v1/poison/{id}/discard", "/reason", "not text"),
    ("/api/v1/payments/{id}/inquire", "/reason", "not text"),
    ("/api/v1/sagas/{id}/retry", "/reason", "not text"),
    ("/api/v1/sagas/{id}/compensate", "/reason", "not text"),
    ("/api/v1/sagas/{id}/abandon", "/reason", "not text"),
];

fn wrong_types(value: &Value) -> Vec<Value> {
    let others = [json!(null), json!(true), json!(7), json!("seven"), json!([]), json!({})];
    let kind = |value: &Value| std::mem::discriminant(value);
    others.into_iter().filter(|other| kind(other) != kind(value)).collect()
}

fn of_number(value: &Value, attacks: &[Value]) -> Vec<Value> {
    if value.is_number() { attacks.to_vec() } else { Vec::new() }
}

fn of_text(value: &Value, attacks: &[&str]) -> Vec<Value> {
    if value.is_string() { attacks.iter().map(|text| json!(text)).collect() } else { Vec::new() }
}

fn overflows(value: &Value) -> Vec<Value> {
    let beyond = serde_json::from_str("9223372036854775808").unwrap_or_default();
    of_number(value, &[json!(i64::MAX), beyond])
}

fn currencies(value: &Value) -> Vec<Value> {
    let is_currency = value.as_str().is_some_and(|text| text == "KRW");
    let others = ["XXX", "krw", "KR", "KRWW", "₩₩₩"];
    if is_currency { others.iter().map(|text| json!(text)).collect() } else { Vec::new() }
}

/// Every place below `value`, as JSON pointers; containers too.
pub(super) fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    let below = |name: String| format!("{at}/{name}");
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                found.push(below(name.clone()));
                places(value, &below(name.clone()), found);
            }
        }
        Value::Array(items) => {
            for (index, value) in items.iter().enumerate() {
                found.push(below(index.to_string()));
                places(value, &below(index.to_string()), found);
            }
        }
        _ => {}
    }
}
