//! The compatible payment API: payments without an order.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use crate::world::{Answer, CLIENT, World, post};

/// Sends `body` to a path of the payment API, as a client without any header for a key.
pub(crate) async fn send(world: &World, path: &str, body: &Value) -> Answer {
    let mut request = post(&format!("/api/payments/{path}"), "x", CLIENT, body);
    request.headers_mut().remove("idempotency-key");
    world.send(request).await
}

pub(crate) fn wish(key: &str, amount: i64, token: &str) -> Value {
    json!({
        "merchantId": "17", "amount": amount, "currency": "KRW", "idempotencyKey": key,
        "token": token,
    })
}

pub(crate) async fn authorized(world: &World, key: &str, amount: i64) -> String {
    let answer = send(world, "authorize", &wish(key, amount, "")).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.json["paymentId"].as_str().unwrap().to_owned()
}

pub(crate) async fn captured(world: &World, key: &str, amount: i64) -> String {
    let id = authorized(world, key, amount).await;
    let answer = send(world, &format!("capture/{id}"), &json!({ "merchantId": "17" })).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    id
}

pub(crate) async fn look(world: &World, id: &str) -> Value {
    world.get(&format!("/api/payments/{id}?merchantId=17")).await.json
}

#[tokio::test]
async fn a_payment_is_authorised_captured_and_given_back() {
    for world in World::all() {
        let held = send(&world, "authorize", &wish("a", 10_000, "")).await;
        let id = held.json["paymentId"].as_str().unwrap().to_owned();
        assert_eq!((held.status, &held.json["status"]), (200, &json!("AUTHORIZED")));
        assert_eq!(held.json["amount"], 10_000);
        assert_eq!(held.json["ledgerEntries"], json!([]));
        assert_eq!(held.header("idempotency-replayed"), "");

        let path = format!("capture/{id}");
        let taken = send(&world, &path, &json!({ "merchantId": "17" })).await;
        assert_eq!((taken.status, &taken.json["status"]), (200, &json!("CAPTURED")));
        let legs = taken.json["ledgerEntries"].as_array().unwrap();
        let leg = |n: usize| (&legs[n]["account"], &legs[n]["debit"], &legs[n]["credit"]);
        assert_eq!(leg(0), (&json!("psp:sim:receivable"), &json!(10_000), &json!(0)));
        assert_eq!(leg(1), (&json!("merchant:17:payable"), &json!(0), &json!(10_000)));

        let part = json!({
            "merchantId": "17", "reason": "broken", "amount": 3_000, "idempotencyKey": "r1",
        });
        let given = send(&world, &format!("refund/{id}"), &part).await;
        assert_eq!((given.status, &given.json["status"]), (200, &json!("PARTIAL_REFUNDED")));
        assert_eq!(given.json["refundAmount"], 3_000);
        assert_eq!(given.json["ledgerEntries"][1]["debit"], 3_000);
        let rest = json!({ "merchantId": "17", "reason": "gone" });
        let all = send(&world, &format!("refund/{id}"), &rest).await;
        assert_eq!((all.status, &all.json["status"]), (200, &json!("REFUNDED")));
        assert_eq!(all.json["refundAmount"], 7_000);

        // Each of them again says what it said the first time.
        for (path, body, first) in [
            ("authorize".to_owned(), wish("a", 10_000, ""), &held),
            (path.clone(), json!({ "merchantId": "17" }), &taken),
            (format!("refund/{id}"), part, &given),
            (format!("refund/{id}"), rest, &all),
        ] {
            let again = send(&world, &path, &body).await;
            assert_eq!((again.status, &again.json), (200, &first.json), "{path}");
            assert_eq!(again.header("idempotency-replayed"), "true", "{path}");
        }
        let now = look(&world, &id).await;
        assert_eq!(
            (&now["status"], now["ledgerEntries"].as_array().unwrap().len()),
            (&json!("REFUNDED"), 6)
        );
    }
}

#[tokio::test]
async fn the_key_may_come_in_the_header() {
    let world = World::new();
    let mut body = wish("", 500, "");
    body["idempotencyKey"] = Value::Null;
    let first = world.send(post("/api/payments/authorize", "h1", CLIENT, &body)).await;
    assert_eq!(first.status, 200, "{}", first.text);
    let same = send(&world, "authorize", &wish("h1", 500, "")).await;
    assert_eq!(same.json, first.json);
    let other =
        world.send(post("/api/payments/authorize", "h2", CLIENT, &wish("h1", 500, ""))).await;
    assert_eq!((other.problem(), other.field()), ((422, "INVALID_FIELD"), "idempotencyKey"));
    let none = send(&world, "authorize", &body).await;
    assert_eq!(none.problem(), (400, "IDEMPOTENCY_KEY_REQUIRED"));
    let json = Request::get("/api/payments/pay_0000000001000?merchantId=17");
    let stranger = world.send(json.body(Body::empty()).unwrap()).await;
    assert_eq!(stranger.status, 401);
    assert_eq!(stranger.json["message"], stranger.json["detail"]);
    assert_eq!(stranger.json["paymentId"], Value::Null);
}

#[tokio::test]
async fn what_cannot_be_done_says_why() {
    let world = World::new();
    let merchant = json!({ "merchantId": "17" });
    let held = authorized(&world, "a", 1_000).await;
    let reused = send(&world, "authorize", &wish("a", 1_001, "")).await;
    assert_eq!(reused.problem(), (422, "IDEMPOTENCY_KEY_REUSED"));
    let early = json!({ "merchantId": "17", "reason": "x" });
    let early = send(&world, &format!("refund/{held}"), &early).await;
    assert_eq!(early.problem(), (409, "REFUND_CONFLICT"));
    assert_eq!(early.json["paymentId"], json!(held));
    for path in [format!("capture/{held}"), format!("void/{held}")] {
        let other = send(&world, &path, &json!({ "merchantId": "18" })).await;
        assert_eq!(other.problem(), (404, "PAYMENT_UNKNOWN"), "another merchant's: {path}");
    }
    let voided = send(&world, &format!("void/{held}"), &merchant).await;
    assert_eq!((voided.status, &voided.json["status"]), (200, &json!("VOIDED")));
    let late = send(&world, &format!("capture/{held}"), &merchant).await;
    assert_eq!(late.problem(), (409, "CAPTURE_CONFLICT"));
    let taken = captured(&world, "b", 1_000).await;
    let late = send(&world, &format!("void/{taken}"), &merchant).await;
    assert_eq!(late.problem(), (409, "VOID_CONFLICT"));
    let part = |key: &str, amount: i64| json!({ "merchantId": "17", "reason": "x", "amount": amount, "idempotencyKey": key });
    let path = format!("refund/{taken}");
    let much = send(&world, &path, &part("r1", 1_001)).await;
    assert_eq!((much.problem(), much.field()), ((422, "REFUND_EXCEEDS_CAPTURED"), "amount"));
    assert_eq!(send(&world, &path, &part("r2", 1_000)).await.status, 200);
    assert_eq!(send(&world, &path, &part("r3", 1)).await.problem(), (409, "REFUND_CONFLICT"));
    let other = send(&world, &path, &part("r2", 999)).await;
    assert_eq!(other.problem(), (422, "IDEMPOTENCY_KEY_REUSED"));
    let no_key = json!({ "merchantId": "17", "reason": "x", "amount": 1 });
    assert_eq!(send(&world, &path, &no_key).await.problem(), (400, "IDEMPOTENCY_KEY_REQUIRED"));
}
