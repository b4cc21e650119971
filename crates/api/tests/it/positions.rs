//! Where a write has come to, reads that bring it, and what no replica is asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use jangbu_engine::port::{Backend, Fault, Reader, Replica, Sight};
use jangbu_engine::position::Position;
use jangbu_store::Memory;
use serde_json::json;

use crate::world::{Answer, CLIENT, OPERATOR, USER, World, in_memory, order, post};

/// A server that is near enough, as far as it says, and has nothing at all.
#[derive(Debug)]
struct Empty {
    truth: Memory,
    derived: Arc<dyn Backend>,
    reached: Position,
    readers: AtomicU64,
    broken: bool,
}

impl Empty {
    fn new(reached: Position, broken: bool) -> Arc<Self> {
        let (truth, derived) = (in_memory(), derived());
        Arc::new(Self { truth, derived, reached, readers: AtomicU64::new(0), broken })
    }

    fn open(&self, of: &dyn Backend) -> Result<Box<dyn Reader>, Fault> {
        self.readers.fetch_add(1, Ordering::Relaxed);
        if self.broken { Err(Fault::Transient("gone".to_owned())) } else { of.reader() }
    }
}

impl Replica for Empty {
    fn name(&self) -> &'static str {
        "empty:5432"
    }

    fn sight(&self) -> Sight {
        Sight { away: None, lag: Some(Duration::ZERO), reached: self.reached }
    }

    fn truth(&self) -> Result<Box<dyn Reader>, Fault> {
        self.open(&self.truth)
    }

    fn derived(&self) -> Result<Box<dyn Reader>, Fault> {
        self.open(&*self.derived)
    }

    fn most_readers(&self) -> usize {
        4
    }
}

/// Projections that have taken in nothing, and never will.
fn derived() -> Arc<dyn Backend> {
    Arc::new(Memory::new())
}

fn far() -> Position {
    Position { commit: i64::MAX, event: i64::MAX }
}

async fn after(world: &World, path: &str, position: &str) -> Answer {
    let request = Request::get(path)
        .header("authorization", format!("Bearer {OPERATOR}"))
        .header("jangbu-read-after", position);
    world.send(request.body(Body::empty()).unwrap()).await
}

fn list() -> String {
    format!("/api/v1/orders?userId={USER}")
}

fn ids(answer: &Answer) -> Vec<&str> {
    let items = answer.json["items"].as_array().unwrap();
    items.iter().map(|item| item["id"].as_str().unwrap()).collect()
}

fn event(position: &str) -> i64 {
    position.split_once('.').unwrap().1.parse().unwrap()
}

#[tokio::test]
async fn a_read_after_a_write_sees_it_in_rows_and_in_lists() {
    for world in World::all() {
        let sku = world.sku("p", 1_000, 50).await;
        let mut last = 0;
        for n in 0..20 {
            let sold = world.place(&format!("o{n}"), &order(&sku, 1, 1_000, "tok_visa")).await;
            assert_eq!(sold.status, 201, "{}", sold.text);
            let position = sold.header("jangbu-position").to_owned();
            assert!(event(&position) > last, "{position} after {last}");
            last = event(&position);
            let listed = after(&world, &list(), &position).await;
            let id = sold.json["id"].as_str().unwrap();
            assert_eq!((listed.status, ids(&listed)[0]), (200, id), "{}", listed.text);
            let row = after(&world, &format!("/api/v1/orders/{id}"), &position).await;
            assert_eq!(row.json, sold.json);
        }
        // Answers to the same request again, and refusals, are of this position or a later one.
        let again = world.place("o0", &order(&sku, 1, 1_000, "tok_visa")).await;
        assert!(event(again.header("jangbu-position")) >= last);
        let refused = world.place("no", &order(&sku, 1, 999, "tok_visa")).await;
        assert_eq!(refused.problem(), (409, "PRICE_CHANGED"));
        assert!(event(refused.header("jangbu-position")) >= last);
        assert_eq!(world.get(&list()).await.header("jangbu-position"), "");
    }
}

#[tokio::test]
async fn a_price_that_was_changed_is_read_with_the_position_of_the_change() {
    let world = World::new();
    let made = world
        .post(
            "/api/v1/products",
            "p",
            &json!({ "merchantId": "m-1", "name": "Tee", "publish": true, "skus": [{
                "name": "M", "price": { "amount": 1_000, "currency": "KRW" }, "stock": 5 }] }),
        )
        .await;
    let path = format!("/api/v1/products/{}", made.json["id"].as_str().unwrap());
    let read = after(&world, &path, made.header("jangbu-position")).await;
    assert_eq!((read.status, &read.json["name"]), (200, &json!("Tee")));
    let renamed = world.put(&path, "r", &json!({ "name": "Shirt" })).await;
    assert_eq!(renamed.status, 200, "{}", renamed.text);
    let read = after(&world, &path, renamed.header("jangbu-position")).await;
    assert_eq!(read.json["name"], "Shirt");
    let listed =
        after(&world, "/api/v1/products?sort=name", renamed.header("jangbu-position")).await;
    assert_eq!(listed.json["items"][0]["name"], "Shirt", "{}", listed.text);
}

#[tokio::test]
async fn what_is_no_position_or_is_of_another_shop_is_refused() {
    let world = World::new();
    let sku = world.sku("p", 1_000, 5).await;
    for text in ["", "1", "abc", "1.2.3", "-1.4", "1,2", "99999999999999999999.1"] {
        let refused = after(&world, &list(), text).await;
        assert_eq!(refused.problem(), (400, "POSITION_INVALID"), "{text}");
        assert!(refused.text.contains("Jangbu-Read-After"), "{}", refused.text);
    }
    for text in ["9999.1", "1.9999"] {
        let refused = after(&world, &list(), text).await;
        assert_eq!(refused.problem(), (409, "POSITION_AHEAD"), "{text}");
    }
    // It is for reads; a write has no use for it, and who lives needs no position.
    let mut request = post("/api/v1/orders", "o", CLIENT, &order(&sku, 1, 1_000, "tok_visa"));
    request.headers_mut().insert("jangbu-read-after", "abc".parse().unwrap());
    assert_eq!(world.send(request).await.status, 201);
    assert_eq!(after(&world, "/livez", "abc").await.status, 200);
}

#[tokio::test]
async fn lists_that_do_not_come_so_far_are_said_to_be_behind() {
    let mut world = World::new();
    let sku = world.sku("p", 1_000, 5).await;
    let sold = world.place("o", &order(&sku, 1, 1_000, "tok_visa")).await;
    world.router = world.over(derived(), Vec::new());
    assert_eq!(ids(&world.get(&list()).await), [""; 0], "they have nothing");
    let behind = after(&world, &list(), sold.header("jangbu-position")).await;
    assert_eq!(behind.problem(), (503, "READ_BEHIND"));
    assert_eq!((behind.header("retry-after"), &behind.json["retryable"]), ("1", &json!(true)));
    // A row is no list.
    let path = format!("/api/v1/orders/{}", sold.json["id"].as_str().unwrap());
    assert_eq!(after(&world, &path, sold.header("jangbu-position")).await.status, 200);
}

#[tokio::test]
async fn requests_payments_and_orders_are_never_read_from_a_replica() {
    let mut world = World::new();
    let sku = world.sku("p", 1_000, 5).await;
    let body = order(&sku, 1, 1_000, "tok_visa");
    let sold = world.place("o", &body).await;
    let position = sold.header("jangbu-position").to_owned();
    let id = sold.json["id"].as_str().unwrap().to_owned();
    world.until(&list(), |page| page["items"] != json!([])).await;
    // It says that it has everything, and has nothing.
    let empty = Empty::new(far(), false);
    world.router = world.over(Arc::clone(&world.stores[1]), vec![Arc::clone(&empty) as Arc<_>]);
    assert_eq!(ids(&world.get(&list()).await), [""; 0], "lists may be old");
    let readers = empty.readers.load(Ordering::Relaxed);
    assert!(readers > 0);
    let again = world.place("o", &body).await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (201, "true"));
    assert_eq!(again.json, sold.json);
    let other = world.place("o", &order(&sku, 2, 2_000, "tok_visa")).await;
    assert_eq!(other.problem(), (422, "IDEMPOTENCY_KEY_REUSED"));
    for path in [
        format!("/api/v1/orders/{id}"),
        format!("/api/v1/payments/{}", id.replace("ord_", "pay_")),
        format!("/api/v1/stock/{sku}"),
        "/api/v1/idempotency/o?scope=client:order.place".to_owned(),
        "/api/v1/merchants".to_owned(),
        "/api/v1/payments?state=UNKNOWN".to_owned(),
    ] {
        let read = world.get(&path).await;
        assert_eq!(read.status, 200, "{path}: {}", read.text);
    }
    let refund = json!({ "reason": "x", "lines": [{ "skuId": sku, "quantity": 1 }] });
    let refunded = world.post(&format!("/api/v1/orders/{id}/refund"), "r", &refund).await;
    assert!(refunded.status < 300, "{}", refunded.text);
    assert_eq!(empty.readers.load(Ordering::Relaxed), readers, "nobody asked it");
    // What it has not may be there: the store is asked.
    let timeline = world.get(&format!("/api/v1/orders/{id}/timeline")).await;
    assert_eq!(timeline.json["items"][0]["event"], "order.placed", "{}", timeline.text);
    // Whoever brings a position is not shown lists that have not come so far.
    assert_eq!(ids(&after(&world, &list(), &position).await), [&*id]);
    let metrics = world.get("/metrics").await.text;
    for line in ["jangbu_replica_used{replica=\"empty:5432\"} 1", "jangbu_replica_lag_seconds"] {
        assert!(metrics.contains(line), "{metrics}");
    }
    let health = world.get("/readyz").await;
    assert_eq!(health.json["parts"], json!([{ "name": "replica", "status": "UP" }]));
}

#[tokio::test]
async fn a_replica_behind_a_position_is_not_asked_and_one_that_fails_costs_no_read() {
    let mut world = World::new();
    let sku = world.sku("p", 1_000, 5).await;
    let sold = world.place("o", &order(&sku, 1, 1_000, "tok_visa")).await;
    let position = sold.header("jangbu-position").to_owned();
    world.until(&list(), |page| page["items"] != json!([])).await;
    let derived = Arc::clone(&world.stores[1]);
    let behind = Empty::new(Position::default(), false);
    world.router = world.over(Arc::clone(&derived), vec![Arc::clone(&behind) as Arc<_>]);
    let audit = "/api/v1/ledger/accounts";
    assert_ne!(after(&world, audit, &position).await.json["items"], json!([]));
    assert_eq!(behind.readers.load(Ordering::Relaxed), 0);
    assert_eq!(world.get(audit).await.json["items"], json!([]), "who brings nothing may see it");
    let broken = Empty::new(far(), true);
    world.router = world.over(derived, vec![Arc::clone(&broken) as Arc<_>]);
    for _ in 0..5 {
        let listed = world.get(&list()).await;
        assert_eq!((listed.status, ids(&listed).len()), (200, 1), "{}", listed.text);
    }
    assert_eq!(broken.readers.load(Ordering::Relaxed), 5);
    let metrics = world.get("/metrics").await.text;
    let failed: Vec<_> =
        metrics.lines().filter(|line| line.starts_with("jangbu_replica_failed_total")).collect();
    assert_eq!(failed, ["jangbu_replica_failed_total{replica=\"empty:5432\"} 5"]);
}
