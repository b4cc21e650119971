//! What is kept of the catalogue: nobody who has changed something reads the state before, lists follow,
//! timers are told of, and hits are counted.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::world::World;

/// What is read of a product's first SKU.
async fn price(world: &World, product: &str) -> i64 {
    let answer = world.get(&format!("/api/v1/products/{product}")).await;
    answer.json["skus"][0]["price"]["amount"].as_i64().unwrap()
}

async fn product(world: &World, key: &str, amount: i64) -> (String, String) {
    let body = json!({
        "merchantId": "m-1", "name": "Tee", "publish": true,
        "skus": [{ "name": "M", "price": { "amount": amount, "currency": "KRW" } }],
    });
    let made = world.post("/api/v1/products", key, &body).await;
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&made.json["id"]), text(&made.json["skus"][0]["id"]))
}

async fn hits(world: &World, from: &str) -> u64 {
    let metrics = world.get("/metrics").await.text;
    let series = format!("jangbu_cache_reads_total{{from=\"{from}\"}} ");
    let line = metrics.lines().find_map(|line| line.strip_prefix(&series));
    line.unwrap().parse().unwrap()
}

#[tokio::test]
async fn who_changes_a_product_reads_the_change_at_once() {
    for world in World::all() {
        let (product, sku) = product(&world, "p", 100).await;
        for amount in 101..130 {
            let body = json!({ "price": { "amount": amount, "currency": "KRW" } });
            let path = format!("/api/v1/skus/{sku}/price");
            assert_eq!(world.put(&path, &format!("k{amount}"), &body).await.status, 200);
            assert_eq!(price(&world, &product).await, amount);
            assert_eq!(price(&world, &product).await, amount);
        }
        let body = json!({ "name": "Shirt" });
        let path = format!("/api/v1/products/{product}");
        assert_eq!(world.put(&path, "n", &body).await.status, 200);
        assert_eq!(world.get(&path).await.json["name"], "Shirt");
        assert!(hits(&world, "near").await > 0);
        assert_eq!(hits(&world, "far").await, 0);
    }
}

#[tokio::test]
async fn a_list_follows_what_has_changed() {
    for world in World::all() {
        let (_, sku) = product(&world, "p", 100).await;
        let list = "/api/v1/products?sort=price&currency=KRW";
        let shows = |amount: i64| {
            move |list: &Value| list["items"][0]["skus"][0]["price"]["amount"] == amount
        };
        world.until(list, shows(100)).await;
        let body = json!({ "price": { "amount": 77, "currency": "KRW" } });
        world.put(&format!("/api/v1/skus/{sku}/price"), "k", &body).await;
        world.until(list, shows(77)).await;
        assert!(shows(77)(&world.get(list).await.json), "and never goes back");
    }
}

#[tokio::test]
async fn a_price_that_was_planned_is_seen_when_its_moment_has_come() {
    for world in World::all() {
        let (product, sku) = product(&world, "p", 100).await;
        assert_eq!(price(&world, &product).await, 100);
        let soon = jangbu_engine::clock::Clock::now(&jangbu_engine::clock::SystemClock).0;
        let soon = (soon / 1_000_000 + 2) * 1_000_000;
        let from = jiff::Timestamp::from_microsecond(soon).unwrap().to_string();
        let body = json!({ "price": { "amount": 90, "currency": "KRW" }, "from": from });
        let planned = world.post(&format!("/api/v1/skus/{sku}/prices"), "k", &body).await;
        assert_eq!(planned.status, 200, "{}", planned.text);
        let path = format!("/api/v1/products/{product}");
        assert!(world.get(&path).await.json["skus"][0]["nextPriceAt"].is_string(), "{from}");
        let start = Instant::now();
        while price(&world, &product).await != 90 {
            assert!(start.elapsed() < Duration::from_secs(20));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test]
async fn customers_do_not_see_a_draft_that_was_kept_for_an_operator() {
    let world = World::new();
    let (product, _) = product(&world, "p", 100).await;
    let customer = crate::world::session(crate::world::USER);
    let path = format!("/api/v1/products/{product}");
    assert_eq!(world.get_as(&customer, &path).await.status, 200);
    world.post(&format!("{path}/unpublish"), "u", &json!({})).await;
    assert_eq!(world.get(&path).await.json["state"], "DRAFT");
    assert_eq!(world.get_as(&customer, &path).await.problem(), (404, "PRODUCT_UNKNOWN"));
}

#[tokio::test]
async fn a_warm_start_reads_ahead_and_health_says_how_often_it_hits() {
    let world = World::new();
    let (product, _) = product(&world, "p", 100).await;
    world.until("/api/v1/products?sort=newest", |list| list["items"][0].is_object()).await;
    let health =
        |text: &Value| (text["cache"]["hitPercent"].clone(), text["cache"]["shared"].clone());
    assert_eq!(world.api.warm().unwrap(), 1);
    let before = hits(&world, "store").await;
    assert_eq!(price(&world, &product).await, 100);
    let customer = crate::world::session(crate::world::USER);
    assert_eq!(world.get_as(&customer, "/api/v1/products").await.status, 200);
    assert_eq!(hits(&world, "store").await, before, "both were read ahead");
    let (percent, shared) = health(&world.get("/readyz").await.json);
    assert!(percent.as_u64().unwrap() > 0, "{percent}");
    assert_eq!(shared, "OFF");
}

#[tokio::test]
async fn categories_are_kept_until_one_changes() {
    let world = World::new();
    let body = json!({ "code": "clothes", "name": "Clothes" });
    let made = world.post("/api/v1/categories", "c", &body).await;
    let path = format!("/api/v1/categories/{}", made.json["id"].as_str().unwrap());
    for _ in 0..2 {
        assert_eq!(world.get(&path).await.json["name"], "Clothes");
        assert_eq!(world.get("/api/v1/categories").await.json["items"][0]["name"], "Clothes");
    }
    assert!(hits(&world, "near").await >= 2);
    world.put(&path, "r", &json!({ "name": "Clothing" })).await;
    assert_eq!(world.get(&path).await.json["name"], "Clothing");
    assert_eq!(world.get("/api/v1/categories").await.json["items"][0]["name"], "Clothing");
}
