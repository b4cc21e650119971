//! Orders that a coupon and points pay for, and what is sent and comes back.

use jangbu_domain::point::command as point;
use jangbu_kernel::{Currency, Envelope, GrantId, Origin, UserId};
use serde_json::{Value, json};

use crate::coupons::{campaign, issue};
use crate::world::{USER, World, order};

/// A coupon of 500 won for the buyer.
async fn coupon(world: &World, key: &str) -> String {
    let campaign = campaign(world, key, 10, 5).await;
    let issued = issue(world, &campaign, &format!("{key}-issue"), USER).await;
    assert_eq!(issued.status, 201, "{}", issued.text);
    issued.json["couponId"].as_str().unwrap().to_owned()
}

/// Points from an operator.
async fn points(world: &World, amount: i64) {
    let (currency, expires_at) = (Currency::KRW, None);
    let (grant, user) = (GrantId(world.shop.mint()), UserId::parse(USER).unwrap());
    let reason = "welcome".into();
    let grant = point::Command::Grant { grant, user, amount, currency, expires_at, reason };
    let (tell, told) = tokio::sync::oneshot::channel();
    let waiter = move |answer| {
        let _ = tell.send(matches!(answer, jangbu_engine::mailbox::Answer::Done { .. }));
    };
    world.shop.ask(Envelope::new(point::UNIT, Origin::Client, grant), Box::new(waiter));
    assert!(told.await.unwrap());
}

fn with(mut body: Value, fields: &Value) -> Value {
    let more = fields.as_object().unwrap().clone();
    body.as_object_mut().unwrap().extend(more);
    body
}

fn won(amount: i64) -> Value {
    json!({ "amount": amount, "currency": "KRW" })
}

#[tokio::test]
async fn coupon_and_points_pay_and_come_back_unit_by_unit() {
    for world in World::all() {
        let sku = world.sku("p", 1_000, 10).await;
        let coupon = coupon(&world, "c").await;
        points(&world, 700).await;
        let wish = json!({ "couponId": coupon, "points": 700, "expectedPay": won(1_800) });
        let body = with(order(&sku, 3, 3_000, "tok_visa"), &wish);
        let sold = world.place("o", &body).await;
        assert_eq!(sold.status, 201, "{}", sold.text);
        let json = &sold.json;
        assert_eq!((&json["total"], &json["discount"]), (&won(3_000), &won(500)));
        assert_eq!((&json["pay"], &json["earned"]), (&won(1_800), &json!(18)));
        assert_eq!(json["points"], json!({ "paid": 0, "earned": 700 }));
        let shares = json!({ "discount": 500, "paidPoints": 0, "earnedPoints": 700, "pay": 1_800 });
        assert_eq!(json["lines"][0]["shares"], shares);
        assert_eq!(
            (&json["coupon"]["state"], &json["fulfilment"]),
            (&json!("done"), &json!("UNSHIPPED"))
        );
        let path = format!("/api/v1/orders/{}", json["id"].as_str().unwrap());
        let one = json!([{ "skuId": sku, "quantity": 1 }]);
        let refund = format!("{path}/refund");
        let body = json!({ "reason": "broken", "lines": one });
        let first = world.post(&refund, "r1", &body).await;
        assert_eq!(first.status, 200, "{}", first.text);
        assert_eq!(first.json["refunded"], won(601), "{}", first.text);
        assert_eq!(first.json["refunds"][0]["points"], json!({ "paid": 0, "earned": 233 }));
        let rest = world.post(&refund, "r2", &json!({ "reason": "rest" })).await;
        assert_eq!((rest.status, &rest.json["refunded"]), (200, &won(1_800)), "{}", rest.text);
        assert_eq!(rest.json["refunds"][1]["points"], json!({ "paid": 0, "earned": 467 }));
        assert_eq!(rest.json["coupon"]["state"], "undone");
        // Everything is back, so it can be spent again.
        let again = world.place("o2", &with(order(&sku, 3, 3_000, "tok_visa"), &wish)).await;
        assert_eq!((again.status, &again.json["pay"]), (201, &won(1_800)), "{}", again.text);
    }
}

#[tokio::test]
async fn what_cannot_be_used_ends_the_order_and_says_why() {
    for world in World::all() {
        let sku = world.sku("p", 1_000, 10).await;
        let coupon = coupon(&world, "c").await;
        points(&world, 100).await;
        let wish = |fields: Value| with(order(&sku, 1, 1_000, "tok_visa"), &fields);
        let few = world.place("few", &wish(json!({ "points": 101 }))).await;
        assert_eq!(few.problem(), (409, "ORDER_LIMIT"));
        assert!(few.text.contains("POINTS_INSUFFICIENT"), "{}", few.text);
        let stranger = json!({ "couponId": "cpn_0000000001000" });
        let unknown = world.place("unknown", &wish(stranger)).await;
        assert_eq!(unknown.problem(), (409, "ORDER_LIMIT"));
        assert!(unknown.text.contains("COUPON_UNKNOWN"), "{}", unknown.text);
        let fields = json!({ "couponId": coupon, "expectedPay": won(400) });
        let other = world.place("other", &wish(fields)).await;
        assert_eq!(other.problem(), (409, "ORDER_PAY_CHANGED"), "{}", other.text);
        let id = other.json["orderId"].as_str().unwrap();
        let ended = world.get(&format!("/api/v1/orders/{id}")).await;
        assert_eq!(
            (&ended.json["outcome"], &ended.json["pay"]),
            (&json!("PRICE_CHANGED"), &won(500))
        );
        let used = world.place("used", &wish(json!({ "couponId": coupon, "points": 100 }))).await;
        assert_eq!((used.status, &used.json["pay"]), (201, &won(400)), "{}", used.text);
        let twice = world.place("twice", &wish(json!({ "couponId": coupon }))).await;
        assert_eq!(twice.problem(), (409, "ORDER_LIMIT"), "{}", twice.text);
        let reused = world.place("used", &wish(json!({ "couponId": coupon, "points": 99 }))).await;
        assert_eq!(reused.problem(), (422, "IDEMPOTENCY_KEY_REUSED"));
        assert!(reused.text.contains("points"), "{}", reused.text);
        assert_eq!(world.stock(&sku, "sold").await, 1);
    }
}

#[tokio::test]
async fn what_is_sent_arrives_and_comes_back() {
    for world in World::all() {
        let sku = world.sku("p", 1_000, 10).await;
        let sold = world.place("o", &order(&sku, 3, 3_000, "tok_visa")).await;
        let path = format!("/api/v1/orders/{}", sold.json["id"].as_str().unwrap());
        let lines = |quantity: i64| json!([{ "skuId": sku, "quantity": quantity }]);
        let parcel = json!({ "carrier": "CJ", "tracking": "1", "lines": lines(2) });
        let sent = world.post(&format!("{path}/shipments"), "s1", &parcel).await;
        assert_eq!((sent.status, &sent.json["fulfilment"]), (200, &json!("PARTLY_SHIPPED")));
        let again = world.post(&format!("{path}/shipments"), "s1", &parcel).await;
        assert_eq!((again.header("idempotency-replayed"), &again.json), ("true", &sent.json));
        let cancel = world.post(&format!("{path}/cancel"), "c", &json!({})).await;
        assert_eq!(cancel.problem(), (409, "ORDER_NOT_CANCELLABLE"));
        let rest = json!({ "carrier": "CJ", "tracking": "2" });
        let all = world.post(&format!("{path}/shipments"), "s2", &rest).await;
        assert_eq!(all.json["fulfilment"], "SHIPPED");
        let none = world.post(&format!("{path}/shipments"), "s3", &rest).await;
        assert_eq!(none.problem(), (409, "NOTHING_TO_SHIP"));
        for no in [1, 2] {
            let arrived = format!("{path}/shipments/{no}/deliver");
            let arrived = world.post(&arrived, &format!("d{no}"), &json!({})).await;
            assert_eq!(arrived.status, 200, "{}", arrived.text);
            assert_eq!(arrived.json["fulfilment"] == "DELIVERED", no == 2);
        }
        let lost = world.post(&format!("{path}/shipments/3/deliver"), "d3", &json!({})).await;
        assert_eq!(lost.problem(), (404, "SHIPMENT_UNKNOWN"));
        let back = json!({ "reason": "too small", "lines": lines(2), "restock": true });
        let back = world.post(&format!("{path}/returns"), "b", &back).await;
        assert_eq!((back.status, &back.json["refunded"]), (200, &won(2_000)), "{}", back.text);
        assert_eq!(world.stock(&sku, "available").await, 9);
        let more = json!({ "reason": "too small", "lines": lines(2), "restock": true });
        let more = world.post(&format!("{path}/returns"), "b2", &more).await;
        assert_eq!(more.problem(), (422, "RETURN_EXCEEDS_SHIPPED"));
    }
}
