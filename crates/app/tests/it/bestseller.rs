//! What sells best, and what changes it.

use serde_json::json;

use crate::server::Server;

/// Units of what sells best.
pub(crate) fn units(server: &Server) -> i64 {
    let list = server.get("/api/v1/bestsellers?window=day").body;
    list["items"][0]["units"].as_i64().unwrap_or(0)
}

/// Sells one unit.
pub(crate) fn order(server: &Server, sku: &str, key: &str) -> String {
    let sold = server.order(key, sku, 1, "tok_ok").unwrap();
    assert_eq!(sold.status, 201, "{sold:?}");
    sold.body["id"].as_str().unwrap().to_owned()
}

/// Gives back the unit of an order.
pub(crate) fn refund(server: &Server, order: &str) {
    let body = json!({ "reason": "too small" });
    let back = server.operate(&format!("/api/v1/orders/{order}/refund"), order, &body);
    assert!(back.status < 300, "{back:?}");
}
