//! Orders from the request to the settled outcome.

use std::time::Duration;

use jangbu_api::Settings;
use jangbu_engine::port::Fault;
use jangbu_store::On;
use serde_json::{Value, json};

use crate::world::{CLIENT, USER, World, order, post, unpaid};

#[tokio::test]
async fn an_order_is_sold_and_the_books_know_it() {
    for world in World::all() {
        let sku = world.sku("p", 12_000, 5).await;
        let sold = world.place("o", &order(&sku, 2, 24_000, "tok_visa")).await;
        assert_eq!(sold.status, 201, "{}", sold.text);
        assert_eq!(sold.json["outcome"], "SOLD");
        assert_eq!(sold.json["total"], json!({ "amount": 24_000, "currency": "KRW" }));
        assert_eq!(sold.json["lines"][0]["merchantId"], "m-1");
        let id = sold.json["id"].as_str().unwrap();
        assert_eq!(sold.json["paymentId"], id.replace("ord_", "pay_"));
        assert_eq!(sold.header("location"), format!("/api/v1/orders/{id}"));
        let timing = sold.header("server-timing");
        assert!(timing.starts_with("accept;dur=") && timing.contains(", settle;dur="), "{timing}");
        assert!(sold.header("idempotency-replayed").is_empty());
        let got = world.get(&format!("/api/v1/orders/{id}")).await;
        assert_eq!(got.json, sold.json);
        assert_eq!((world.stock(&sku, "sold").await, world.stock(&sku, "available").await), (2, 3));
    }
}

#[tokio::test]
async fn the_same_request_again_gets_the_first_answer() {
    for world in World::all() {
        let sku = world.sku("p", 1_000, 5).await;
        let body = order(&sku, 1, 1_000, "tok_visa");
        let first = world.place("o", &body).await;
        let second = world.place("o", &body).await;
        assert_eq!((first.status, second.status), (201, 201));
        assert_eq!(second.header("idempotency-replayed"), "true");
        assert_eq!(first.json, second.json);
        // The meaning counts, not how it is written.
        let text = format!(
            r#"{{ "payment": {{"token":"tok_\u0076isa","mode":"SERVER"}}, "userId":"{USER}",
              "expectedTotal":{{"currency":"KRW","amount":1000}}, "lines":[{{"quantity":1,"skuId":"{sku}"}}] }}"#
        );
        let mut request = post("/api/v1/orders", "o", CLIENT, &Value::Null);
        *request.body_mut() = text.into();
        let third = world.send(request).await;
        assert_eq!((third.status, &third.json["id"]), (201, &first.json["id"]));
        let other = world.place("o", &order(&sku, 2, 2_000, "tok_visa")).await;
        assert_eq!(other.problem(), (422, "IDEMPOTENCY_KEY_REUSED"));
        assert_eq!(world.stock(&sku, "sold").await, 1);
        // Another caller's key is another key.
        let mine = world.post("/api/v1/orders", "o", &body).await;
        assert_eq!(mine.status, 201);
        assert_ne!(mine.json["id"], first.json["id"]);
    }
}

#[tokio::test]
async fn refusals_say_why() {
    let world = World::new();
    let sku = world.sku("p", 12_000, 2).await;
    let declined = world.place("a", &order(&sku, 1, 12_000, "tok_declined")).await;
    assert_eq!(declined.problem(), (402, "PAYMENT_DECLINED"));
    assert_eq!(declined.json["outcome"], "DECLINED");
    assert!(declined.json["orderId"].as_str().unwrap().starts_with("ord_"));
    assert!(declined.header("server-timing").contains("settle"));
    let again = world.place("a", &order(&sku, 1, 12_000, "tok_declined")).await;
    assert_eq!(again.problem(), (402, "PAYMENT_DECLINED"));
    assert_eq!(again.json["orderId"], declined.json["orderId"]);
    assert_eq!(again.header("idempotency-replayed"), "true");

    let changed = world.place("b", &order(&sku, 1, 11_000, "tok_visa")).await;
    assert_eq!(changed.problem(), (409, "PRICE_CHANGED"));
    assert_eq!(changed.field(), "expectedTotal.amount");
    assert!(changed.text.contains("12000"), "{}", changed.text);
    assert!(changed.json.get("orderId").is_none());

    let out = world.place("c", &order(&sku, 3, 36_000, "tok_visa")).await;
    assert_eq!(out.problem(), (409, "SOLD_OUT"));
    assert_eq!(out.json["outcome"], "SOLD_OUT");
    assert!(out.json["orderId"].is_string());

    let unknown = world.place("d", &order("sku_0000000001000", 1, 1, "tok_visa")).await;
    assert_eq!((unknown.problem(), unknown.field()), ((409, "SKU_NOT_ON_SALE"), "lines.skuId"));
    let many = world.place("e", &order(&sku, 10_001, 1, "tok_visa")).await;
    assert_eq!(many.problem(), (422, "QUANTITY_INVALID"));
    assert_eq!(world.stock(&sku, "available").await, 2, "refusals leave everything as it was");
}

#[tokio::test]
async fn the_client_pays_later() {
    for world in World::all() {
        let sku = world.sku("p", 1_000, 5).await;
        let held = world.place("o", &unpaid(&sku, 2, 2_000)).await;
        assert_eq!((held.status, &held.json["state"]), (201, &json!("AWAIT_PAY")), "{}", held.text);
        assert_eq!(held.json["outcome"], Value::Null);
        assert!(!held.header("server-timing").contains("settle"));
        let path = format!("/api/v1/orders/{}/confirm", held.json["id"].as_str().unwrap());
        let pay = |amount: i64| json!({ "amount": { "amount": amount, "currency": "KRW" }, "token": "tok_visa" });
        let wrong = world.send(post(&path, "c0", CLIENT, &pay(1_999))).await;
        assert_eq!((wrong.problem(), wrong.field()), ((422, "AMOUNT_DIFFERS"), "amount"));
        let paid = world.send(post(&path, "c1", CLIENT, &pay(2_000))).await;
        assert_eq!((paid.status, &paid.json["outcome"]), (201, &json!("SOLD")), "{}", paid.text);
        let again = world.send(post(&path, "c1", CLIENT, &pay(2_000))).await;
        assert_eq!((again.status, again.header("idempotency-replayed")), (201, "true"));
        let other = world.send(post(&path, "c2", CLIENT, &pay(2_000))).await;
        assert_eq!(other.problem(), (409, "NOT_AWAITING_PAYMENT"));
    }
}

#[tokio::test]
async fn an_unpaid_order_is_cancelled_and_a_sold_one_refunded() {
    let world = World::new();
    let sku = world.sku("p", 1_000, 5).await;
    let held = world.place("o", &unpaid(&sku, 2, 2_000)).await;
    let path = format!("/api/v1/orders/{}", held.json["id"].as_str().unwrap());
    let cancelled = world.post(&format!("{path}/cancel"), "x", &Value::Null).await;
    assert_eq!((cancelled.status, &cancelled.json["outcome"]), (200, &json!("CANCELLED")));
    assert_eq!(world.stock(&sku, "available").await, 5);
    // The replay of the place tells how the order stands now.
    let replay = world.place("o", &unpaid(&sku, 2, 2_000)).await;
    assert_eq!(replay.problem(), (409, "ORDER_CANCELLED"));

    let sold = world.place("p", &order(&sku, 1, 1_000, "tok_visa")).await;
    let path = format!("/api/v1/orders/{}", sold.json["id"].as_str().unwrap());
    let body = json!({ "reason": "changed my mind" });
    let cancel = world.post(&format!("{path}/cancel"), "y", &body).await;
    assert_eq!((cancel.status, &cancel.json["refunds"][0]["state"]), (200, &json!("DONE")));
    let again = world.post(&format!("{path}/cancel"), "z", &json!({})).await;
    assert_eq!((again.status, &again.json["refunded"]["amount"]), (200, &json!(1_000)));

    let sold = world.place("q", &order(&sku, 1, 1_000, "tok_visa")).await;
    let path = format!("/api/v1/orders/{}", sold.json["id"].as_str().unwrap());
    let mut refund =
        post(&format!("{path}/refund"), "r", crate::world::OPERATOR, &json!({ "reason": "" }));
    refund.headers_mut().insert("prefer", "respond-async".parse().unwrap());
    let refund = world.send(refund).await;
    assert_eq!((refund.status, refund.header("location")), (202, &*path));
    assert_eq!(refund.header("preference-applied"), "respond-async");
    let late = world.post(&format!("{path}/cancel"), "s", &json!({})).await;
    assert_eq!((late.problem(), late.field()), ((409, "ORDER_NOT_CANCELLABLE"), "state"));
    let unknown = world.post("/api/v1/orders/ord_0000000001000/cancel", "u", &json!({})).await;
    assert_eq!(unknown.problem(), (404, "ORDER_UNKNOWN"));
}

#[tokio::test]
async fn refunds_are_full_or_of_some_units() {
    for world in World::all() {
        let sku = world.sku("p", 1_000, 5).await;
        let sold = world.place("o", &order(&sku, 3, 3_000, "tok_visa")).await;
        let path = format!("/api/v1/orders/{}", sold.json["id"].as_str().unwrap());
        let refund = format!("{path}/refund");
        let body = json!({
            "reason": "broken", "lines": [{ "skuId": sku, "quantity": 1 }], "restock": false,
        });
        let part = world.post(&refund, "r1", &body).await;
        assert_eq!((part.status, &part.json["refunds"][0]["state"]), (200, &json!("DONE")));
        assert!(part.header("server-timing").contains("settle"), "it was waited for");
        assert_eq!(part.json["refunded"]["amount"], 1_000);
        assert_eq!(part.json["refunds"][0]["lines"][0], json!({ "skuId": sku, "quantity": 1 }));
        let replay = world.post(&refund, "r1", &body).await;
        assert_eq!((replay.status, replay.header("idempotency-replayed")), (200, "true"));

        let many = json!({ "reason": "", "lines": [{ "skuId": sku, "quantity": 3 }] });
        let many = world.post(&refund, "r2", &many).await;
        assert_eq!(many.problem(), (422, "REFUND_EXCEEDS_ORDER"));

        let rest = world.post(&refund, "r3", &json!({ "reason": "all of it" })).await;
        assert_eq!((rest.status, &rest.json["refunds"][1]["state"]), (200, &json!("DONE")));
        assert_eq!(rest.json["refunded"]["amount"], 3_000);
        let more = world.post(&refund, "r4", &json!({ "reason": "more" })).await;
        assert_eq!(more.problem(), (409, "NOTHING_TO_REFUND"));
        let stock = ["available", "writtenOff", "returned", "sold"];
        let mut units = Vec::new();
        for field in stock {
            units.push(world.stock(&sku, field).await);
        }
        assert_eq!(units, [4, 1, 3, 3]);
    }
}

#[tokio::test]
async fn the_timeline_tells_the_story() {
    for world in World::all() {
        let sku = world.sku("p", 1_000, 5).await;
        let sold = world.place("o", &order(&sku, 1, 1_000, "tok_visa")).await;
        let path = format!("/api/v1/orders/{}/timeline", sold.json["id"].as_str().unwrap());
        let told = |timeline: &Value| {
            timeline["items"]
                .as_array()
                .is_some_and(|items| items.iter().any(|item| item["event"] == "order.completed"))
        };
        let timeline = world.until(&path, told).await;
        assert_eq!(timeline["items"][0]["event"], "order.placed", "{timeline}");
        assert!(timeline["sentence"].as_str().unwrap().starts_with("It is paid and sold."));
    }
}

#[tokio::test]
async fn lists_go_on_where_the_page_before_ended() {
    for world in World::all() {
        let sku = world.sku("p", 1_000, 50).await;
        let mut placed = Vec::new();
        for n in 0..5 {
            let sold = world.place(&format!("o{n}"), &order(&sku, 1, 1_000, "tok_visa")).await;
            placed.push(sold.json["id"].clone());
        }
        placed.reverse();
        let path = format!("/api/v1/orders?userId={USER}&limit=2");
        let all = format!("/api/v1/orders?userId={USER}");
        world.until(&all, |page| page["items"].as_array().is_some_and(|i| i.len() == 5)).await;
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        for wanted in [2, 2, 1] {
            let page = world.get(&format!("{path}{cursor}")).await;
            let items = page.json["items"].as_array().unwrap();
            assert_eq!(items.len(), wanted);
            seen.extend(items.iter().map(|item| item["id"].clone()));
            match page.json["nextCursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => cursor.clear(),
            }
        }
        assert_eq!((seen, cursor.as_str()), (placed, ""));
        for (query, field) in [
            ("limit=0", "limit"),
            ("limit=101", "limit"),
            ("cursor=x", "cursor"),
            ("page=2", "page"),
        ] {
            let bad = world.get(&format!("{all}&{query}")).await;
            assert_eq!((bad.problem(), bad.field()), ((400, "INVALID_PARAMETER"), field));
        }
        assert_eq!(world.get("/api/v1/orders").await.field(), "userId");
    }
}

#[tokio::test]
async fn nobody_has_to_wait() {
    let world = World::new();
    let sku = world.sku("p", 1_000, 5).await;
    let taken = world.place_async("o", &order(&sku, 1, 1_000, "tok_visa")).await;
    assert_eq!((taken.status, &taken.json["outcome"]), (202, &Value::Null), "{}", taken.text);
    assert_eq!(taken.header("preference-applied"), "respond-async");
    let path = taken.header("location").to_owned();
    assert!(path.starts_with("/api/v1/orders/ord_"));
    world.until(&path, |order| order["outcome"] == "SOLD").await;
}

#[tokio::test]
async fn after_the_wait_limit_the_order_goes_on_alone() {
    let wait = Duration::from_millis(500);
    for memory in [true, false] {
        let world = World::with(Settings { wait, ..Settings::default() }, memory);
        let sku = world.sku("p", 1_000, 5).await;
        let body = order(&sku, 1, 1_000, "tok_slow");
        let slow = world.place("o", &body).await;
        assert_eq!((slow.status, &slow.json["state"]), (202, &json!("PAYING")), "{}", slow.text);
        assert!(!slow.header("server-timing").contains("settle"));
        let path = slow.header("location").to_owned();
        world.until(&path, |order| order["outcome"] == "SOLD").await;
        let replay = world.place("o", &body).await;
        assert_eq!((replay.status, &replay.json["outcome"]), (201, &json!("SOLD")));
    }
}

#[tokio::test]
async fn a_twin_that_arrives_early_waits_for_the_same_order() {
    let world = World::new();
    let sku = world.sku("p", 1_000, 5).await;
    let body = order(&sku, 1, 1_000, "tok_slow");
    let (first, second) = tokio::join!(world.place("o", &body), world.place("o", &body));
    assert_eq!((first.status, second.status), (201, 201), "{} {}", first.text, second.text);
    assert_eq!(first.json, second.json);
    assert_eq!(world.stock(&sku, "sold").await, 1);
}

#[tokio::test]
async fn a_client_that_hangs_up_leaves_nothing_and_changes_nothing() {
    let world = World::new();
    let sku = world.sku("p", 1_000, 5).await;
    let body = order(&sku, 1, 1_000, "tok_slow");
    let hung = tokio::time::timeout(Duration::from_millis(100), world.place("o", &body)).await;
    assert!(hung.is_err(), "it was still waiting");
    assert!(format!("{:?}", world.shop.hub()).contains("waiting: 0"));
    let twin = world.place("o", &body).await;
    assert_eq!((twin.status, twin.header("idempotency-replayed")), (201, "true"));
    assert!(format!("{:?}", world.shop.hub()).contains("waiting: 0"));
}

#[tokio::test]
async fn an_order_that_waited_too_long_is_not_begun() {
    let world = World::with(Settings { start: Duration::ZERO, ..Settings::default() }, true);
    let sku = world.sku("p", 1_000, 5).await;
    tokio::time::sleep(Duration::from_millis(2)).await;
    let late = world.place("o", &order(&sku, 1, 1_000, "tok_visa")).await;
    assert_eq!((late.problem(), late.header("retry-after")), ((503, "DEADLINE_EXCEEDED"), "1"));
    assert_eq!(late.json["retryable"], true);
    assert_eq!(world.stock(&sku, "available").await, 5);
}

#[tokio::test]
async fn an_answer_that_does_not_come_in_time_is_not_made_up() {
    let wait = Duration::from_millis(20);
    let world = World::with(Settings { wait, ..Settings::default() }, true);
    let sku = world.sku("p", 1_000, 5).await;
    let body = order(&sku, 1, 1_000, "tok_visa");
    let faults = world.memory.as_ref().unwrap().faults();
    faults.fail(On::Begin, 2, Fault::Transient("locked".to_owned())); // it pauses after each
    let unknown = world.place("o", &body).await;
    assert_eq!(unknown.problem(), (503, "UNANSWERED"), "{}", unknown.text);
    assert!(unknown.json.get("orderId").is_none() && unknown.json["retryable"] == true);
    let list = format!("/api/v1/orders?userId={USER}");
    let page = world.until(&list, |page| page["items"][0]["outcome"] == "SOLD").await;
    let again = world.place("o", &body).await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (201, "true"));
    assert_eq!(again.json["id"], page["items"][0]["id"]);
    assert_eq!(world.stock(&sku, "sold").await, 1);
}
