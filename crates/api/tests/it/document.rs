//! The OpenAPI document.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::Request;
use serde_json::Value;

use crate::schema::DOCUMENT;
use crate::world::{OPERATOR, World};

const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/openapi.json");

/// `UPDATE=1 cargo test -p jangbu-api` writes the document anew.
#[test]
fn the_committed_document_is_the_one_that_is_served() {
    let made = jangbu_api::openapi_json();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(COMMITTED, &made).unwrap();
    }
    let committed = std::fs::read_to_string(COMMITTED).unwrap();
    assert!(committed == made, "it is another one: UPDATE=1 cargo test -p jangbu-api");
}

#[tokio::test]
async fn every_operation_is_a_route() {
    let world = World::new();
    for (path, item) in DOCUMENT["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let path = path.replace(['{', '}'], "");
            let request = Request::builder()
                .method(method.to_uppercase().as_str())
                .uri(&path)
                .header("authorization", format!("Bearer {OPERATOR}"));
            let answer = world.send(request.body(Body::empty()).unwrap()).await;
            let routed = !["NOT_FOUND", "METHOD_NOT_ALLOWED"].contains(&answer.code());
            assert!(routed, "{method} {path}: {}", answer.text);
        }
    }
}

/// The contract's list, so that an endpoint cannot vanish from table and document together.
const AGREED: &[&str] = &[
    "get /actuator/health",
    "post /api/payments/authorize",
    "post /api/payments/capture/{id}",
    "post /api/payments/refund/{id}",
    "post /api/payments/void/{id}",
    "get /api/payments/{id}",
    "post /api/v1/admin/prove",
    "post /api/v1/admin/read-only",
    "get /api/v1/audit",
    "get /api/v1/backups",
    "post /api/v1/backups",
    "get /api/v1/campaigns",
    "post /api/v1/campaigns",
    "get /api/v1/campaigns/{id}",
    "post /api/v1/campaigns/{id}/end",
    "post /api/v1/campaigns/{id}/grants",
    "post /api/v1/campaigns/{id}/issue",
    "get /api/v1/campaigns/{id}/proof",
    "get /api/v1/catalog/export",
    "post /api/v1/catalog/import",
    "get /api/v1/categories",
    "post /api/v1/categories",
    "get /api/v1/categories/{id}",
    "put /api/v1/categories/{id}",
    "get /api/v1/coupons/{id}",
    "post /api/v1/coupons/{id}/revoke",
    "get /api/v1/idempotency/{key}",
    "get /api/v1/ledger/accounts",
    "get /api/v1/ledger/accounts/{code}",
    "get /api/v1/ledger/accounts/{code}/balance",
    "get /api/v1/ledger/accounts/{code}/entries",
    "post /api/v1/ledger/journals",
    "get /api/v1/ledger/journals/{id}",
    "get /api/v1/ledger/trial-balance",
    "get /api/v1/merchants",
    "post /api/v1/merchants",
    "get /api/v1/merchants/{code}",
    "put /api/v1/merchants/{code}/fees",
    "post /api/v1/merchants/{code}/keys",
    "post /api/v1/merchants/{code}/keys/{keyId}/revoke",
    "post /api/v1/merchants/{code}/resume",
    "post /api/v1/merchants/{code}/suspend",
    "get /api/v1/orders",
    "post /api/v1/orders",
    "get /api/v1/orders/{id}",
    "post /api/v1/orders/{id}/cancel",
    "post /api/v1/orders/{id}/confirm",
    "post /api/v1/orders/{id}/refund",
    "post /api/v1/orders/{id}/returns",
    "post /api/v1/orders/{id}/shipments",
    "post /api/v1/orders/{id}/shipments/{no}/deliver",
    "get /api/v1/orders/{id}/timeline",
    "get /api/v1/payments",
    "get /api/v1/payments/{id}",
    "post /api/v1/payments/{id}/inquire",
    "post /api/v1/payments/{id}/resolve",
    "get /api/v1/bestsellers",
    "get /api/v1/dlq",
    "get /api/v1/dlq/{consumer}/{key}",
    "get /api/v1/dlq/{consumer}/{key}/dry-run",
    "post /api/v1/dlq/{consumer}/{key}/discard",
    "post /api/v1/dlq/{consumer}/{key}/replay",
    "get /api/v1/notifications",
    "get /api/v1/notifications/templates",
    "post /api/v1/notifications/{id}/retry",
    "put /api/v1/notifications/templates/{kind}/{language}",
    "get /api/v1/poison",
    "get /api/v1/poison/{id}",
    "post /api/v1/poison/{id}/discard",
    "post /api/v1/poison/{id}/retry",
    "get /api/v1/products",
    "post /api/v1/products",
    "get /api/v1/products/{id}",
    "put /api/v1/products/{id}",
    "post /api/v1/products/{id}/publish",
    "post /api/v1/products/{id}/skus",
    "post /api/v1/products/{id}/unpublish",
    "get /api/v1/sagas",
    "get /api/v1/sagas/{id}",
    "post /api/v1/sagas/{id}/abandon",
    "post /api/v1/sagas/{id}/compensate",
    "post /api/v1/sagas/{id}/retry",
    "post /api/v1/sessions",
    "put /api/v1/skus/{id}/price",
    "get /api/v1/skus/{id}/prices",
    "post /api/v1/skus/{id}/prices",
    "post /api/v1/skus/{id}/prices/cancel",
    "get /api/v1/stock/{sku}",
    "post /api/v1/stock/{sku}/adjust",
    "post /api/v1/stock/{sku}/receive",
    "get /api/v1/users",
    "post /api/v1/users",
    "get /api/v1/users/{id}",
    "patch /api/v1/users/{id}",
    "get /api/v1/users/{id}/coupons",
    "post /api/v1/users/{id}/deactivate",
    "post /api/v1/users/{id}/password",
    "get /api/v1/users/{id}/points",
    "post /api/v1/users/{id}/points/charges",
    "post /api/v1/users/{id}/points/charges/{payment}/refunds",
    "get /api/v1/users/{id}/points/charges/{payment}",
    "post /api/v1/users/{id}/points/grants",
    "get /api/v1/users/{id}/points/history",
    "get /docs",
    "get /livez",
    "get /metrics",
    "get /openapi.json",
    "get /readyz",
];

#[test]
fn the_document_has_the_agreed_endpoints() {
    let mut found = BTreeSet::new();
    for (path, item) in DOCUMENT["paths"].as_object().unwrap() {
        found.extend(item.as_object().unwrap().keys().map(|method| format!("{method} {path}")));
    }
    assert_eq!(found, AGREED.iter().map(|&line| line.to_owned()).collect());
}

#[test]
fn every_reference_leads_somewhere() {
    fn walk(value: &Value, seen: &mut usize) {
        match value {
            Value::Object(fields) => {
                if let Some(Value::String(target)) = fields.get("$ref") {
                    let pointer = target.strip_prefix('#').unwrap();
                    assert!(DOCUMENT.pointer(pointer).is_some(), "{target}");
                    *seen += 1;
                }
                fields.values().for_each(|value| walk(value, seen));
            }
            Value::Array(items) => items.iter().for_each(|value| walk(value, seen)),
            _ => {}
        }
    }
    let mut seen = 0;
    walk(&DOCUMENT, &mut seen);
    assert!(seen > 100, "{seen}");
}
