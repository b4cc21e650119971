//! Defects that were found in another payment system, over HTTP: each of them cannot happen here.
//! ARCHITECTURE.md lists all of them with their tests.

use std::sync::Arc;
use std::time::Duration;

use jangbu_api::Settings;
use jangbu_kernel::time::Span;
use jangbu_psp::simulator::Outage;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::charge::{authorized, captured, look, send, wish};
use crate::world::{Answer, World};

/// Kinds of records in the gateway's log.
const AUTHORIZE: u8 = 2;
const CAPTURE: u8 = 3;
const VOID: u8 = 4;
const REFUND: u8 = 5;

/// How many records of a kind the gateway's log has, and the sum of their amounts.
fn at_gateway(world: &World, kind: u8) -> (usize, i64) {
    let log = std::fs::read(world.dir.path().join("psp.log")).unwrap();
    let records = log[16..].chunks_exact(40).filter(|record| record[16] == kind);
    let amount = |record: &[u8]| i64::from_le_bytes(record[21..29].try_into().unwrap());
    records.fold((0, 0), |(count, sum), record| (count + 1, sum + amount(record)))
}

/// Sends all requests at once, each a path and a body.
async fn at_once(world: &Arc<World>, wishes: Vec<(String, Value)>) -> Vec<Answer> {
    let all = async {
        let mut all = JoinSet::new();
        for (path, body) in wishes {
            let world = Arc::clone(world);
            all.spawn_local(async move { send(&world, &path, &body).await });
        }
        all.join_all().await
    };
    tokio::task::LocalSet::new().run_until(all).await
}

fn merchant() -> Value {
    json!({ "merchantId": "17" })
}

#[tokio::test]
async fn defect_a3_many_authorisations_with_one_key_are_one_charge() {
    for count in [20, 64] {
        for world in World::all() {
            let world = Arc::new(world);
            let wishes = vec![("authorize".to_owned(), wish("one", 7_000, "")); count];
            let answers = at_once(&world, wishes).await;
            let first = &answers[0];
            assert_eq!(first.json["status"], "AUTHORIZED", "{}", first.text);
            let same = |answer: &Answer| answer.status == 200 && answer.json == first.json;
            assert!(answers.iter().all(same), "{answers:?}");
            let fresh = answers.iter().filter(|a| a.header("idempotency-replayed").is_empty());
            assert_eq!(fresh.count(), 1, "one of them did it");
            assert_eq!(at_gateway(&world, AUTHORIZE), (1, 7_000), "one charge at the gateway");
            assert_eq!(world.gateway.stats().payments, 1);
        }
    }
}

#[tokio::test]
async fn defect_a4_a_repeat_gets_the_first_answer_and_another_amount_is_refused() {
    let world = World::new();
    let first = send(&world, "authorize", &wish("k", 7_000, "")).await;
    let again = send(&world, "authorize", &wish("k", 7_000, "")).await;
    assert_eq!((again.status, &again.json), (200, &first.json));
    assert_eq!(again.header("idempotency-replayed"), "true");
    let mut usd = wish("k", 7_000, "");
    usd["currency"] = json!("USD");
    for other in [wish("k", 7_001, ""), usd] {
        let refused = send(&world, "authorize", &other).await;
        assert_eq!(refused.problem(), (422, "IDEMPOTENCY_KEY_REUSED"));
    }
    // The same key of another merchant is another key.
    let mut theirs = wish("k", 7_001, "");
    theirs["merchantId"] = json!("18");
    let theirs = send(&world, "authorize", &theirs).await;
    assert_eq!(theirs.status, 200, "{}", theirs.text);
    assert_ne!(theirs.json["paymentId"], first.json["paymentId"]);
}

#[tokio::test]
async fn defect_2_declined_is_told_as_declined_and_never_as_a_duplicate() {
    let world = World::new();
    let first = send(&world, "authorize", &wish("d", 7_000, "tok_declined")).await;
    assert_eq!(first.problem(), (402, "PAYMENT_DECLINED"));
    let id = first.json["paymentId"].as_str().unwrap().to_owned();
    assert_eq!(first.json["retryable"], false);
    let again = send(&world, "authorize", &wish("d", 7_000, "tok_declined")).await;
    assert_eq!(again.problem(), (402, "PAYMENT_DECLINED"));
    assert_eq!(again.json["paymentId"], json!(id));
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(look(&world, &id).await["status"], "AUTH_FAILED");
    let late = send(&world, &format!("capture/{id}"), &merchant()).await;
    assert_eq!(late.problem(), (409, "CAPTURE_CONFLICT"));
}

/// A world whose breaker opens early and not for long.
fn ailing() -> World {
    World::made(Settings::default(), true, |layout| {
        layout.calls.breaker.min_calls = 4;
        layout.calls.breaker.open_for = Span::millis(400);
    })
}

#[tokio::test]
async fn defect_13_an_open_breaker_is_told_before_anything_is_stored_and_closes_again() {
    let world = ailing();
    let known = send(&world, "authorize", &wish("known", 500, "")).await;
    let held = authorized(&world, "held", 500).await;
    let taken = captured(&world, "taken", 500).await;
    world.gateway.set_outage(Outage::Refuse);
    let mut n = 0;
    while world.shop.gateway_open().is_none() {
        n += 1;
        assert!(n < 50, "the breaker does not open");
        let lost = send(&world, "authorize", &wish(&format!("lost-{n}"), 500, "")).await;
        assert_eq!(lost.problem(), (503, "GATEWAY_UNAVAILABLE"));
        assert!(lost.json["paymentId"].is_string(), "it was never sent");
        assert_eq!(lost.json["retryable"], false);
    }
    let requests = |world: &World| world.shop.counters()[0].rows;
    let before = requests(&world);
    let refund = json!({ "merchantId": "17", "reason": "x", "amount": 5, "idempotencyKey": "r" });
    for (path, body) in [
        ("authorize".to_owned(), wish("new", 500, "")),
        (format!("capture/{held}"), merchant()),
        (format!("void/{held}"), merchant()),
        (format!("refund/{taken}"), refund.clone()),
    ] {
        let refused = send(&world, &path, &body).await;
        assert_eq!(refused.problem(), (503, "GATEWAY_UNAVAILABLE"), "{path}");
        assert_eq!(refused.json["paymentId"], Value::Null, "{path}");
        assert_eq!(refused.json["retryable"], true);
        assert!(refused.header("retry-after").parse::<u32>().unwrap() >= 1);
    }
    assert_eq!(requests(&world), before, "nothing was stored");
    // What was done before is told, breaker or not.
    let again = send(&world, "authorize", &wish("known", 500, "")).await;
    assert_eq!((again.status, &again.json), (200, &known.json));
    let again = send(&world, &format!("capture/{taken}"), &merchant()).await;
    assert_eq!((again.status, &again.json["status"]), (200, &json!("CAPTURED")));

    world.gateway.set_outage(Outage::None);
    while world.shop.gateway_open().is_some() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let retried = send(&world, "authorize", &wish("new", 500, "")).await;
    assert_eq!((retried.status, &retried.json["status"]), (200, &json!("AUTHORIZED")));
    let given = send(&world, &format!("refund/{taken}"), &refund).await;
    assert_eq!(given.status, 200, "{}", given.text);
    for n in 0..10 {
        authorized(&world, &format!("well-{n}"), 500).await;
    }
    let state = world.shop.calls().breaker.state;
    assert_eq!(state, jangbu_engine::breaker::BreakerState::Closed);
}

#[tokio::test]
async fn defect_8_two_captures_are_one_capture_and_one_posting() {
    for world in World::all() {
        let world = Arc::new(world);
        let id = authorized(&world, "a", 9_000).await;
        let answers = at_once(&world, vec![(format!("capture/{id}"), merchant()); 20]).await;
        for answer in &answers {
            assert_eq!((answer.status, &answer.json), (200, &answers[0].json), "{}", answer.text);
        }
        assert_eq!(at_gateway(&world, CAPTURE), (1, 9_000));
        let row = look(&world, &id).await;
        assert_eq!(row["ledgerEntries"].as_array().unwrap().len(), 2, "one posting");
        assert_eq!(row["ledgerEntries"], answers[0].json["ledgerEntries"]);
    }
}

#[tokio::test]
async fn a_capture_and_a_void_exclude_each_other() {
    for world in World::all() {
        let world = Arc::new(world);
        for round in 0..8 {
            let id = authorized(&world, &format!("a-{round}"), 1_000).await;
            let verb = |n: usize| ["capture", "void"][(n + round) % 2];
            let wish = |n| (format!("{}/{id}", verb(n)), merchant());
            let answers = at_once(&world, (0..8).map(wish).collect()).await;
            let good = answers.iter().filter(|answer| answer.status == 200);
            let status = look(&world, &id).await["status"].clone();
            assert_eq!(good.clone().count(), 4, "{status}");
            assert!(good.clone().all(|answer| answer.json["status"] == status));
            let conflict = |a: &Answer| ["CAPTURE_CONFLICT", "VOID_CONFLICT"].contains(&a.code());
            assert!(answers.iter().all(|a| a.status == 200 || a.status == 409 && conflict(a)));
        }
        let (captures, _) = at_gateway(&world, CAPTURE);
        let (voids, _) = at_gateway(&world, VOID);
        assert_eq!(captures + voids, 8, "one of both for each payment");
    }
}

#[tokio::test]
async fn parallel_partial_refunds_never_exceed_what_was_captured() {
    for world in World::all() {
        let world = Arc::new(world);
        let id = captured(&world, "a", 10_000).await;
        let body = |n| {
            let key = format!("r-{n}");
            json!({ "merchantId": "17", "reason": "x", "amount": 300, "idempotencyKey": key })
        };
        let wish = |n| (format!("refund/{id}"), body(n));
        let answers = at_once(&world, (0..64).map(wish).collect()).await;
        let good = answers.iter().filter(|answer| answer.status == 200).count();
        assert_eq!(good, 33, "33 times 300 of 10,000");
        let refused = answers.iter().filter(|answer| answer.status != 200);
        for answer in refused {
            assert_eq!(answer.problem(), (422, "REFUND_EXCEEDS_CAPTURED"), "{}", answer.text);
        }
        assert_eq!(at_gateway(&world, REFUND), (33, 9_900));
        let rest = json!({ "merchantId": "17", "reason": "the rest" });
        let rest = send(&world, &format!("refund/{id}"), &rest).await;
        assert_eq!(
            (&rest.json["status"], &rest.json["refundAmount"]),
            (&json!("REFUNDED"), &json!(100))
        );
        assert_eq!(at_gateway(&world, REFUND), (34, 10_000));
        let row = look(&world, &id).await;
        let sum = |side: &str| -> i64 {
            let legs = row["ledgerEntries"].as_array().unwrap().iter();
            legs.map(|leg| leg[side].as_i64().unwrap()).sum()
        };
        assert_eq!((sum("debit"), sum("credit")), (20_000, 20_000));
    }
}

#[tokio::test]
async fn what_the_gateway_does_not_answer_is_202_and_told_later() {
    let settings = Settings { wait: Duration::from_millis(50), ..Settings::default() };
    let world = World::with(settings, true);
    let slow = send(&world, "authorize", &wish("s", 500, "tok_slow")).await;
    assert_eq!((slow.status, &slow.json["status"]), (202, &json!("READY")));
    let id = slow.json["paymentId"].as_str().unwrap().to_owned();
    assert_eq!(slow.header("location"), format!("/api/payments/{id}"));
    let early = send(&world, &format!("capture/{id}"), &merchant()).await;
    assert_eq!((early.status, &early.json["status"]), (202, &json!("READY")), "{}", early.text);
    let path = format!("/api/payments/{id}?merchantId=17");
    world.until(&path, |json| json["status"] == "AUTHORIZED").await;
    let again = send(&world, "authorize", &wish("s", 500, "tok_slow")).await;
    assert_eq!((again.status, &again.json["status"]), (200, &json!("AUTHORIZED")));
}

#[tokio::test]
async fn a_refund_that_the_gateway_refuses_is_told_and_may_be_asked_again() {
    let world = World::new();
    let held = send(&world, "authorize", &wish("a", 500, "tok_refund_refused")).await;
    let id = held.json["paymentId"].as_str().unwrap().to_owned();
    assert_eq!(send(&world, &format!("capture/{id}"), &merchant()).await.status, 200);
    let body = json!({ "merchantId": "17", "reason": "x", "amount": 500, "idempotencyKey": "r" });
    for replayed in ["", "true"] {
        let refused = send(&world, &format!("refund/{id}"), &body).await;
        assert_eq!(refused.problem(), (402, "REFUND_REFUSED"));
        assert_eq!(refused.json["paymentId"], json!(id));
        assert_eq!(refused.header("idempotency-replayed"), replayed);
    }
    assert_eq!(look(&world, &id).await["status"], "CAPTURED");
}
