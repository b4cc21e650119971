//! What a customer's session may do, and what it may not.

use serde_json::{Value, json};

use crate::forms::{CASES, filled, ids, request};
use crate::schema::operation;
use crate::world::{CLIENT, USER, World, order, post, session, unpaid};

const OTHER: &str = "usr_0000000002000";

fn nobody(mut body: Value) -> Value {
    body.as_object_mut().unwrap().remove("userId");
    body
}

#[tokio::test]
async fn a_session_says_whose_order_it_is() {
    let world = World::new();
    let (sku, token) = (world.sku("s", 1_000, 10).await, session(USER));
    let body = order(&sku, 1, 1_000, "tok_visa");
    let place = |key: &'static str, bearer: String, body: Value| {
        let request = post("/api/v1/orders", key, &bearer, &body);
        world.send(request)
    };
    let placed = place("a", token.clone(), nobody(body.clone())).await;
    assert_eq!((placed.status, &placed.json["userId"]), (201, &json!(USER)), "{}", placed.text);
    assert_eq!(place("b", token.clone(), body.clone()).await.status, 201, "named, and the same");
    let foreign = place("c", session(OTHER), body.clone()).await;
    assert_eq!(foreign.problem(), (403, "FORBIDDEN"));
    let unsaid = place("d", CLIENT.to_owned(), nobody(body)).await;
    assert_eq!((unsaid.code(), unsaid.field()), ("MISSING_FIELD", "userId"));
    let own = world.get_as(&token, "/api/v1/orders").await;
    assert_eq!(own.status, 200, "{}", own.text);
    let named = world.get_as(&token, &format!("/api/v1/orders?userId={OTHER}")).await;
    assert_eq!(named.problem(), (403, "FORBIDDEN"));
    let unsaid = world.get("/api/v1/orders").await;
    assert_eq!((unsaid.code(), unsaid.field()), ("INVALID_PARAMETER", "userId"));
}

/// The key that one customer chose is not the key of another, or of a shop.
#[tokio::test]
async fn an_idempotency_key_belongs_to_who_sent_it() {
    let world = World::new();
    let sku = world.sku("s", 1_000, 10).await;
    let body = nobody(order(&sku, 1, 1_000, "tok_visa"));
    let of =
        async |user: &str| world.send(post("/api/v1/orders", "same", &session(user), &body)).await;
    let (first, other, again) = (of(USER).await, of(OTHER).await, of(USER).await);
    assert_eq!((first.status, other.status, again.status), (201, 201, 201));
    assert_ne!(first.json["id"], other.json["id"]);
    assert_eq!(
        (&other.json["userId"], again.header("idempotency-replayed")),
        (&json!(OTHER), "true")
    );
    assert_eq!(first.json["id"], again.json["id"]);
    let shop = world.place("same", &order(&sku, 1, 1_000, "tok_visa")).await;
    assert_eq!((shop.status, shop.header("idempotency-replayed")), (201, ""));
}

#[tokio::test]
async fn another_customers_order_is_not_there() {
    let world = World::new();
    let sku = world.sku("s", 1_000, 10).await;
    let held = world.place("held", &unpaid(&sku, 1, 1_000)).await;
    let path = format!("/api/v1/orders/{}", held.json["id"].as_str().unwrap());
    let (mine, other) = (session(USER), session(OTHER));
    let confirm = json!({ "amount": { "amount": 1_000, "currency": "KRW" }, "token": "tok_visa" });
    let before = world.get(&path).await.text;
    for tail in ["", "/timeline"] {
        let refused = world.get_as(&other, &format!("{path}{tail}")).await;
        assert_eq!(refused.problem(), (404, "ORDER_UNKNOWN"), "{tail}");
        assert_eq!(world.get_as(&mine, &format!("{path}{tail}")).await.status, 200, "{tail}");
    }
    for (tail, body) in [("/confirm", &confirm), ("/cancel", &json!({}))] {
        let refused = world.send(post(&format!("{path}{tail}"), "k", &other, body)).await;
        assert_eq!(refused.problem(), (404, "ORDER_UNKNOWN"), "{tail}");
    }
    assert_eq!(world.get(&path).await.text, before);
    let confirmed = world.send(post(&format!("{path}/confirm"), "k", &mine, &confirm)).await;
    assert_eq!(confirmed.status, 201, "{}", confirmed.text);
}

/// Rows that go on by themselves, because a payment is under way.
const MOVING: [&str; 7] = ["shard", "outbox", "chain", "account", "entry", "stock", "payment"];

fn still(world: &World, moving: i64) -> Vec<String> {
    let mut rows = world.memory.as_ref().unwrap().dump();
    rows.retain(|(table, key), _| !MOVING.contains(table) && key[0] != moving);
    rows.iter().map(|row| format!("{row:?}")).collect()
}

/// What every customer may read, since it belongs to none.
const PUBLIC: [&str; 8] = [
    "/api/v1/bestsellers",
    "/api/v1/products",
    "/api/v1/products/{id}",
    "/api/v1/categories",
    "/api/v1/categories/{id}",
    "/api/v1/campaigns",
    "/api/v1/campaigns/{id}",
    "/api/v1/campaigns/{id}/proof",
];

/// Every call that a customer may make, with things of others: the good requests of all endpoints,
/// whose things belong to two users, with the session of a third.
#[tokio::test]
async fn a_customer_gets_nowhere_with_the_things_of_others() {
    let world = World::new();
    let ids = ids(&world).await;
    let open = &ids.iter().find(|(word, _)| *word == "$OPEN").unwrap().1;
    let moving = jangbu_kernel::OrderId::parse(open).unwrap().0;
    let (stranger, before) = (session("usr_0000000003000"), still(&world, moving));
    let mut seen = 0;
    for case in CASES {
        let what = format!("{} {}", case.method, case.template);
        let security = operation(case.method, case.template).expect(&what)["security"].clone();
        if !security.as_array().unwrap().iter().any(|way| way.get("customer").is_some()) {
            continue;
        }
        seen += 1;
        let (path, body) = (filled(case.path, &ids), filled(case.body, &ids));
        let refused = world.send(request(case, &path, &body, &stranger)).await;
        let public = case.method == "GET" && PUBLIC.contains(&case.template);
        let nowhere = [403, 404].contains(&refused.status);
        assert!(nowhere || public, "{what}: {}", refused.text);
        assert_eq!(still(&world, moving), before, "{what} changed something");
    }
    assert!(seen >= 10, "{seen}");
}
