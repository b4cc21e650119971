//! Catalogue and stock.

use serde_json::{Value, json};

use crate::world::{World, order};

fn product(publish: bool, stock: &Value) -> Value {
    json!({
        "merchantId": "m-1", "name": "Tee", "publish": publish,
        "skus": [
            { "name": "M", "price": { "amount": 12_000, "currency": "KRW" }, "stock": stock },
            { "name": "L", "price": { "amount": 13_000, "currency": "KRW" } },
        ],
    })
}

#[tokio::test]
async fn a_product_is_made_once_with_its_first_stock() {
    for world in World::all() {
        let body = product(true, &json!(100));
        let made = world.post("/api/v1/products", "p", &body).await;
        assert_eq!((made.status, &made.json["state"]), (201, &json!("PUBLISHED")));
        let again = world.post("/api/v1/products", "p", &body).await;
        assert_eq!((again.status, again.header("idempotency-replayed")), (201, "true"));
        assert_eq!(made.json, again.json);
        let sku = made.json["skus"][0]["id"].as_str().unwrap();
        assert_eq!(world.stock(sku, "received").await, 100, "received once");
        let other = world.post("/api/v1/products", "p", &product(true, &json!(101))).await;
        assert_eq!(other.problem(), (422, "IDEMPOTENCY_KEY_REUSED"));
        let path = format!("/api/v1/products/{}", made.json["id"].as_str().unwrap());
        assert_eq!(world.get(&path).await.json, made.json);
        let none = made.json["skus"][1]["id"].as_str().unwrap();
        assert_eq!(
            world.get(&format!("/api/v1/stock/{none}")).await.problem(),
            (404, "STOCK_UNKNOWN")
        );
        let unknown = world.get("/api/v1/products/prd_0000000001000").await;
        assert_eq!(unknown.problem(), (404, "PRODUCT_UNKNOWN"));
    }
}

#[tokio::test]
async fn a_draft_is_sold_once_it_is_published_at_the_price_of_the_day() {
    let world = World::new();
    let made = world.post("/api/v1/products", "p", &product(false, &json!(10))).await;
    assert_eq!(made.json["state"], "DRAFT");
    let sku = made.json["skus"][0]["id"].as_str().unwrap().to_owned();
    let draft = world.place("a", &order(&sku, 1, 12_000, "tok_visa")).await;
    assert_eq!(draft.problem(), (409, "SKU_NOT_ON_SALE"));
    let path = format!("/api/v1/products/{}/publish", made.json["id"].as_str().unwrap());
    let published = world.post(&path, "pub", &Value::Null).await;
    assert_eq!((published.status, &published.json["state"]), (200, &json!("PUBLISHED")));

    let price = json!({ "price": { "amount": 15_000, "currency": "KRW" } });
    let path = format!("/api/v1/skus/{sku}/price");
    let set = world.put(&path, "price", &price).await;
    assert_eq!((set.status, &set.json["skus"][0]["price"]["amount"]), (200, &json!(15_000)));
    assert_eq!(set.json["skus"][0]["priceVersion"], 2);
    let old = world.place("b", &order(&sku, 1, 12_000, "tok_visa")).await;
    assert_eq!(old.problem(), (409, "PRICE_CHANGED"));
    assert_eq!(world.place("c", &order(&sku, 1, 15_000, "tok_visa")).await.status, 201);
    let dollars = json!({ "price": { "amount": 15_000, "currency": "USD" } });
    let mixed = world.put(&path, "usd", &dollars).await;
    assert_eq!((mixed.problem(), mixed.field()), ((422, "CURRENCY_MIXED"), "price.currency"));
}

#[tokio::test]
async fn products_are_listed_in_pages() {
    let world = World::new();
    for n in 0..3 {
        world.sku(&format!("p{n}"), 1_000, 1).await;
    }
    let first = world.get("/api/v1/products?limit=2").await;
    assert_eq!(first.json["items"].as_array().unwrap().len(), 2);
    let cursor = first.json["nextCursor"].as_str().unwrap();
    let second = world.get(&format!("/api/v1/products?limit=2&cursor={cursor}")).await;
    assert_eq!(second.json["items"].as_array().unwrap().len(), 1);
    assert_eq!(second.json["nextCursor"], Value::Null);
}

#[tokio::test]
async fn stock_is_received_and_corrected() {
    for world in World::all() {
        let sku = world.sku("p", 1_000, 10).await;
        let path = format!("/api/v1/stock/{sku}");
        let body = json!({ "quantity": 5, "reason": "delivery" });
        let received = world.post(&format!("{path}/receive"), "r", &body).await;
        assert_eq!((received.status, &received.json["available"]), (201, &json!(15)));
        let again = world.post(&format!("{path}/receive"), "r", &body).await;
        assert_eq!((again.status, &again.json), (201, &received.json));
        assert_eq!(again.header("idempotency-replayed"), "true");
        let down = json!({ "delta": -3, "reason": "broken" });
        let down = world.post(&format!("{path}/adjust"), "a", &down).await;
        assert_eq!((&down.json["quantity"], &down.json["available"]), (&json!(-3), &json!(12)));
        let much = json!({ "delta": -13, "reason": "x" });
        let much = world.post(&format!("{path}/adjust"), "b", &much).await;
        assert_eq!((much.problem(), much.field()), ((409, "INSUFFICIENT_STOCK"), "delta"));
        assert!(much.text.contains("12 units"), "{}", much.text);
        let zero = world.post(&format!("{path}/receive"), "z", &json!({ "quantity": 0 })).await;
        assert_eq!(zero.problem(), (422, "QUANTITY_INVALID"));
        assert_eq!(world.stock(&sku, "adjusted").await, -3);
    }
}
