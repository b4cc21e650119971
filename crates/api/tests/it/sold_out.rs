//! The sold-out gate.

use std::time::Duration;

use jangbu_api::Settings;
use serde_json::json;

use crate::world::{World, order};

async fn sold_out(world: &World) -> String {
    let sku = world.sku("p", 1_000, 1).await;
    let body = order(&sku, 1, 1_000, "tok_visa");
    assert_eq!(world.place("winner", &body).await.status, 201);
    let first = world.place("late", &body).await;
    assert_eq!(first.problem(), (409, "SOLD_OUT"));
    assert!(first.json["orderId"].is_string(), "the first one is an order");
    sku
}

#[tokio::test]
async fn what_was_sold_out_a_moment_ago_is_refused_without_an_order() {
    for memory in [true, false] {
        let settings = Settings { gate: Duration::from_mins(1), ..Settings::default() };
        let world = World::with(settings, memory);
        let sku = sold_out(&world).await;
        let body = order(&sku, 1, 1_000, "tok_visa");
        let gated = world.place("later", &body).await;
        assert_eq!(
            (gated.problem(), &gated.json["outcome"]),
            ((409, "SOLD_OUT"), &json!("SOLD_OUT"))
        );
        assert!(gated.json.get("orderId").is_none(), "{}", gated.text);
        assert!(world.get("/metrics").await.text.contains("\njangbu_gate_refusals_total 1\n"));
        let stock = format!("/api/v1/stock/{sku}/receive");
        assert_eq!(world.post(&stock, "r", &json!({ "quantity": 1 })).await.status, 201);
        assert_eq!(world.place("later", &body).await.status, 201, "stock opens the gate");
    }
}

#[tokio::test]
async fn the_gate_never_answers_for_a_request_that_came_before() {
    for memory in [true, false] {
        let settings = Settings { gate: Duration::from_mins(1), ..Settings::default() };
        let world = World::with(settings, memory);
        let sku = sold_out(&world).await;
        let body = order(&sku, 1, 1_000, "tok_visa");
        let winner = world.place("winner", &body).await;
        assert_eq!((winner.status, winner.header("idempotency-replayed")), (201, "true"));
        let late = world.place("late", &body).await;
        assert!(late.json["orderId"].is_string(), "{}", late.text);
        let other = world.place("winner", &order(&sku, 2, 2_000, "tok_visa")).await;
        assert_eq!(other.problem(), (422, "IDEMPOTENCY_KEY_REUSED"));
    }
}

#[tokio::test]
async fn a_request_that_is_under_way_passes_the_gate() {
    let settings = Settings { gate: Duration::from_mins(1), ..Settings::default() };
    let world = World::with(settings, true);
    let sku = world.sku("p", 1_000, 1).await;
    let body = order(&sku, 1, 1_000, "tok_slow");
    let late = order(&sku, 1, 1_000, "tok_visa");
    let slow = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert_eq!(world.place("late", &late).await.problem(), (409, "SOLD_OUT"));
        world.place("winner", &body).await
    };
    let (first, twin) = tokio::join!(world.place("winner", &body), slow);
    assert_eq!((first.status, twin.status), (201, 201), "{} {}", first.text, twin.text);
    assert_eq!(first.json["id"], twin.json["id"]);
}

#[tokio::test]
async fn what_the_gate_knows_grows_old() {
    let world = World::with(Settings { gate: Duration::ZERO, ..Settings::default() }, true);
    let sku = sold_out(&world).await;
    let again = world.place("later", &order(&sku, 1, 1_000, "tok_visa")).await;
    assert!(again.json["orderId"].is_string(), "{}", again.text);
}

#[tokio::test]
async fn who_wanted_too_many_closes_nothing_for_others() {
    let settings = Settings { gate: Duration::from_mins(1), ..Settings::default() };
    let world = World::with(settings, true);
    let sku = world.sku("p", 1_000, 2).await;
    let greedy = world.place("greedy", &order(&sku, 3, 3_000, "tok_visa")).await;
    assert_eq!(greedy.problem(), (409, "SOLD_OUT"));
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(world.place("modest", &order(&sku, 2, 2_000, "tok_visa")).await.status, 201);
}
