//! Keys, correlation ids, and paths that are none.

use axum::body::Body;
use axum::http::Request;
use serde_json::json;

use crate::world::{CLIENT, OPERATOR, World, post};

#[tokio::test]
async fn a_client_cannot_do_what_operators_do() {
    let world = World::new();
    let refused =
        world.send(post("/api/v1/admin/read-only", "k", CLIENT, &json!({ "on": true }))).await;
    assert_eq!(refused.problem(), (403, "FORBIDDEN"));
    let ledger = Request::get("/api/v1/ledger/trial-balance")
        .header("authorization", format!("Bearer {CLIENT}"));
    assert_eq!(world.send(ledger.body(Body::empty()).unwrap()).await.problem(), (403, "FORBIDDEN"));
    let bare = Request::get("/api/v1/products").body(Body::empty()).unwrap();
    let bare = world.send(bare).await;
    assert_eq!(bare.problem(), (401, "UNAUTHORIZED"));
    assert_eq!(bare.header("www-authenticate"), "Bearer");
}

#[tokio::test]
async fn the_correlation_id_comes_back_whatever_happens() {
    let world = World::new();
    let with = |path: &str, id: &str| {
        let request = Request::get(path).header("authorization", format!("Bearer {OPERATOR}"));
        request.header("x-correlation-id", id).body(Body::empty()).unwrap()
    };
    for path in ["/livez", "/api/v1/products", "/api/v1/products/x", "/nowhere"] {
        let answer = world.send(with(path, "trace-7")).await;
        assert_eq!(answer.header("x-correlation-id"), "trace-7", "{path}");
    }
    for bad in ["a b".to_owned(), "x".repeat(65), String::new()] {
        let answer = world.send(with("/livez", &bad)).await;
        assert_eq!(answer.problem(), (400, "CORRELATION_ID_INVALID"));
        assert!(answer.header("x-correlation-id").starts_with("req_"));
    }
    let (a, b) = (world.get("/livez").await, world.get("/livez").await);
    assert_ne!(a.header("x-correlation-id"), b.header("x-correlation-id"));
}

#[tokio::test]
async fn paths_and_methods_that_are_none() {
    let world = World::new();
    assert_eq!(world.get("/api/v2/orders").await.problem(), (404, "NOT_FOUND"));
    let wrong = world.send(Request::delete("/api/v1/orders").body(Body::empty()).unwrap()).await;
    assert_eq!(wrong.problem(), (405, "METHOD_NOT_ALLOWED"));
    assert!(wrong.header("allow").contains("POST"), "{}", wrong.header("allow"));
}
