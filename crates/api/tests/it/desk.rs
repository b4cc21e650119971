//! The operator's desk: payments of unknown outcome, stuck sagas, and what is done about them. The
//! gateway is one that a test tells what to do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jangbu_psp::Gateway;
use jangbu_psp::gateway::{Done, Op, Request, Said};
use parking_lot::Mutex;
use serde_json::{Value, json};

use crate::world::{Answer, World, order};

/// A gateway in a mood.
#[derive(Default)]
struct Moody(Mutex<Mood>);

#[derive(Default)]
struct Mood {
    /// It does what it is asked, and does not say so.
    silent: bool,
    /// Questions are not answered either.
    mute: bool,
    /// Refunds are refused.
    refusing: bool,
    /// Charges wait until [`Moody::answer`].
    holding: Option<Vec<(Request, Done)>>,
    taken: BTreeMap<i64, i64>,
    given: BTreeMap<(i64, u32), i64>,
    refused: BTreeSet<(i64, u32)>,
}

impl Mood {
    fn charge(&mut self, request: &Request) -> Said {
        self.taken.insert(request.payment, request.amount);
        if self.silent { Said::Unknown { why: "no answer".into() } } else { self.seen(request) }
    }

    fn refund(&mut self, request: &Request) -> Said {
        let key = (request.payment, request.no);
        if self.refusing && !self.given.contains_key(&key) {
            self.refused.insert(key);
        }
        if !self.refused.contains(&key) {
            self.given.insert(key, request.amount);
        }
        if self.silent { Said::Unknown { why: "no answer".into() } } else { self.seen(request) }
    }

    fn seen(&self, request: &Request) -> Said {
        let key = (request.payment, request.no);
        if self.mute {
            return Said::Unknown { why: "no answer".into() };
        }
        if request.no > 0 {
            return match self.given.get(&key) {
                Some(amount) => Said::Refunded { amount: *amount },
                None if self.refused.contains(&key) => Said::Refused { code: "closed".into() },
                None => Said::NotFound,
            };
        }
        match self.taken.get(&request.payment) {
            Some(amount) => Said::Captured { psp_ref: "m-1".into(), amount: *amount },
            None => Said::NotFound,
        }
    }
}

impl Gateway for Moody {
    fn name(&self) -> &'static str {
        "sim"
    }

    fn submit(&self, request: Request, done: Done) {
        let mut mood = self.0.lock();
        let charges = matches!(request.op, Op::Charge);
        if let Some(held) = mood.holding.as_mut().filter(|_| charges) {
            return held.push((request, done));
        }
        let said = match request.op {
            Op::Charge | Op::Authorize => mood.charge(&request),
            Op::Refund => mood.refund(&request),
            Op::Inquire => mood.seen(&request),
            Op::Capture | Op::Void | Op::Fence => Said::Refused { code: "not here".into() },
        };
        drop(mood);
        done(said);
    }
}

impl Moody {
    fn set(&self, change: impl FnOnce(&mut Mood)) {
        change(&mut self.0.lock());
    }

    /// Answers the charges that it has held.
    fn answer(&self) {
        let held = self.0.lock().holding.take().unwrap_or_default();
        for (request, done) in held {
            let said = self.0.lock().charge(&request);
            done(said);
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// A shop with a moody gateway, and an SKU of 1,000 won.
async fn shop(memory: bool) -> (World, Arc<Moody>, String) {
    let gateway = Arc::new(Moody::default());
    let world = World::with_gateway(Arc::clone(&gateway) as Arc<dyn Gateway>, memory);
    let sku = world.sku("p", 1_000, 50).await;
    (world, gateway, sku)
}

/// An order whose payment has this outcome for us: none.
async fn unknown(world: &World, sku: &str, key: &str) -> String {
    let placed = world.place_async(key, &order(sku, 1, 1_000, "tok_visa")).await;
    let id = text(&placed.json["id"]);
    world.until(&format!("/api/v1/orders/{id}"), |o| o["state"] == "PAY_UNKNOWN").await;
    id
}

/// An order that was paid after it was cancelled, and whose money the gateway does not give back.
async fn stuck(world: &World, gateway: &Moody, sku: &str, key: &str) -> String {
    gateway.set(|mood| (mood.holding, mood.refusing) = (Some(Vec::new()), true));
    let placed = world.place_async(key, &order(sku, 1, 1_000, "tok_visa")).await;
    let id = text(&placed.json["id"]);
    world.until(&format!("/api/v1/orders/{id}"), |o| o["state"] == "PAYING").await;
    let wished = operate(world, &id, "compensate", &format!("{key}-wish")).await;
    assert_eq!((wished.status, &wished.json["cancelWanted"]), (200, &json!(true)));
    gateway.answer();
    world.until(&format!("/api/v1/orders/{id}"), |o| o["state"] == "STUCK").await;
    id
}

async fn operate(world: &World, order: &str, verb: &str, key: &str) -> Answer {
    let body = json!({ "reason": "the desk says so" });
    world.post(&format!("/api/v1/sagas/{order}/{verb}"), key, &body).await
}

async fn saga(world: &World, order: &str) -> Value {
    world.get(&format!("/api/v1/sagas/{order}")).await.json
}

async fn balance(world: &World, code: &str) -> i64 {
    let account = world.get(&format!("/api/v1/ledger/accounts/{code}?currency=KRW")).await;
    account.json["balance"].as_i64().unwrap_or_default()
}

#[tokio::test]
async fn an_unknown_payment_is_seen_asked_about_and_resolved() {
    for memory in [true, false] {
        let (world, gateway, sku) = shop(memory).await;
        gateway.set(|mood| (mood.silent, mood.mute) = (true, true));
        let ids = [
            unknown(&world, &sku, "a").await,
            unknown(&world, &sku, "b").await,
            unknown(&world, &sku, "c").await,
        ];
        let payment = |at: usize| format!("/api/v1/payments/{}", ids[at].replace("ord_", "pay_"));
        let inbox = world.get("/api/v1/payments?state=UNKNOWN&limit=2").await.json;
        assert_eq!(inbox["totals"]["count"], 3);
        assert_eq!(inbox["totals"]["moneyAtRisk"], json!([{ "amount": 3_000, "currency": "KRW" }]));
        let first = &inbox["items"][0];
        assert_eq!(
            (&first["orderId"], &first["moneyAtRisk"]["amount"]),
            (&json!(ids[0]), &json!(1_000))
        );
        assert!(first["ageSeconds"].as_i64().unwrap() < 60 && first["nextInquiryAt"].is_string());
        assert!(text(&first["sentence"]).contains("not known (no answer)"), "{first}");
        let next = text(&inbox["nextCursor"]);
        let rest =
            world.get(&format!("/api/v1/payments?state=UNKNOWN&limit=2&cursor={next}")).await;
        assert_eq!(rest.json["items"].as_array().unwrap().len(), 1);
        let saga = saga(&world, &ids[0]).await;
        assert_eq!(saga["allowed"], json!(["retry", "compensate"]));
        assert!(text(&saga["sentence"]).contains("in "), "{saga}");

        // Asked now, while the gateway says nothing; then it answers.
        let why = json!({ "reason": "they say that they are up" });
        let asked = world.post(&format!("{}/inquire", payment(0)), "i", &why).await;
        assert_eq!(
            (asked.status, &asked.json["state"]),
            (200, &json!("UNKNOWN")),
            "{}",
            asked.text
        );
        gateway.set(|mood| (mood.silent, mood.mute) = (false, false));
        let again = world.post(&format!("{}/inquire", payment(0)), "i", &why).await;
        assert_eq!(again.header("idempotency-replayed"), "true");
        world.until(&payment(0), |p| p["state"] == "UNKNOWN").await;
        world.post(&format!("{}/inquire", payment(0)), "j", &why).await;
        world.until(&format!("/api/v1/orders/{}", ids[0]), |o| o["state"] == "COMPLETED").await;
        let known = world.post(&format!("{}/inquire", payment(0)), "k", &why).await;
        assert_eq!(known.problem(), (409, "NOT_UNKNOWN"));

        for (at, verdict, ends) in [(1, "CAPTURED", "COMPLETED"), (2, "NOT_CHARGED", "CANCELLED")] {
            let body = json!({ "verdict": verdict, "evidence": "settlement file" });
            let resolved = world.post(&format!("{}/resolve", payment(at)), verdict, &body).await;
            assert_eq!(resolved.status, 200, "{}", resolved.text);
            let order = format!("/api/v1/orders/{}", ids[at]);
            world.until(&order, |o| o["state"] == ends).await;
        }
        let inbox = world.get("/api/v1/payments?state=UNKNOWN").await.json;
        assert_eq!((&inbox["items"], &inbox["totals"]["count"]), (&json!([]), &json!(0)));
    }
}

#[tokio::test]
async fn a_stuck_reversal_is_retried_when_the_gateway_accepts_again() {
    for memory in [true, false] {
        let (world, gateway, sku) = shop(memory).await;
        let id = stuck(&world, &gateway, &sku, "a").await;
        let list = world.get("/api/v1/sagas?state=STUCK").await.json;
        assert_eq!((&list["items"][0]["orderId"], &list["nextCursor"]), (&json!(id), &Value::Null));
        assert_eq!(list["items"][0]["stuckIn"], "REVERSING");
        let seen = saga(&world, &id).await;
        assert_eq!(seen["allowed"], json!(["retry", "abandon"]), "{seen}");
        assert_eq!(
            (&seen["payment"]["captured"]["amount"], &seen["reservation"]),
            (&json!(1_000), &json!("PINNED"))
        );
        let sentence = text(&seen["sentence"]);
        assert!(sentence.contains("refuses to give the money back"), "{sentence}");
        assert!(sentence.contains("an operator may retry or abandon"), "{sentence}");
        let timeline = world.get(&format!("/api/v1/orders/{id}/timeline")).await.json;
        assert_eq!(text(&timeline["sentence"])[..40], sentence[..40]);
        let no = operate(&world, &id, "compensate", "no").await;
        assert_eq!((no.problem(), no.field()), ((409, "VERB_NOT_ALLOWED"), "verb"));
        assert!(no.text.contains("retry, abandon"), "{}", no.text);

        let refused = operate(&world, &id, "retry", "r1").await;
        assert_eq!(refused.status, 200, "{}", refused.text);
        let twice = |order: &Value| order["refunds"].as_array().is_some_and(|all| all.len() == 2);
        world.until(&format!("/api/v1/orders/{id}"), |o| twice(o) && o["state"] == "STUCK").await;
        gateway.set(|mood| mood.refusing = false);
        let retried = operate(&world, &id, "retry", "r2").await;
        assert_eq!(retried.status, 200, "{}", retried.text);
        let done =
            world.until(&format!("/api/v1/orders/{id}"), |o| o["state"] == "CANCELLED").await;
        assert_eq!(
            (&done["refunded"]["amount"], &done["outcome"]),
            (&json!(1_000), &json!("CANCELLED"))
        );
        assert_eq!(world.stock(&sku, "available").await, 50);
        assert_eq!(balance(&world, "merchant:m-1:payable").await, 0);
        let replay = operate(&world, &id, "retry", "r2").await;
        assert_eq!((replay.status, replay.header("idempotency-replayed")), (200, "true"));
        let late = operate(&world, &id, "retry", "r3").await;
        assert_eq!(late.problem(), (409, "VERB_NOT_ALLOWED"));
        world
            .until(&format!("/api/v1/orders/{id}/timeline"), |timeline| {
                let items = timeline["items"].as_array().unwrap();
                items.iter().any(|item| text(&item["detail"]).contains("retry: the desk says so"))
            })
            .await;
    }
}

#[tokio::test]
async fn an_abandoned_order_owes_its_customer_and_no_merchant() {
    for memory in [true, false] {
        let (world, gateway, sku) = shop(memory).await;
        let id = stuck(&world, &gateway, &sku, "a").await;
        assert_eq!(balance(&world, "merchant:m-1:payable").await, 1_000);
        let gone = operate(&world, &id, "abandon", "x").await;
        assert_eq!((gone.status, &gone.json["state"]), (200, &json!("CANCELLED")), "{}", gone.text);
        assert_eq!(
            (&gone.json["outcome"], &gone.json["reason"]),
            (&json!("ERROR"), &json!("abandoned: the desk says so"))
        );
        let sentence = text(&gone.json["sentence"]);
        assert!(sentence.contains("set aside for the customer"), "{sentence}");
        assert_eq!(balance(&world, "merchant:m-1:payable").await, 0);
        assert_eq!(balance(&world, "customer:refundable").await, 1_000);
        let line = world.get("/api/v1/audit?limit=1").await.json["items"][0].clone();
        assert_eq!(
            (&line["operation"], &line["why"]),
            (&json!("saga.abandon"), &json!("the desk says so"))
        );
        let states = (&line["before"]["state"], &line["after"]["state"]);
        assert_eq!(states, (&json!("STUCK"), &json!("CANCELLED")));
        assert_eq!(
            balance(&world, "psp:sim:receivable").await,
            1_000,
            "the gateway has not given it back"
        );
        assert_eq!(world.stock(&sku, "available").await, 50);
        let payment =
            world.get(&format!("/api/v1/payments/{}", id.replace("ord_", "pay_"))).await.json;
        assert_eq!(payment["refunds"][1]["state"], "SET_ASIDE");
        assert_eq!(payment["refundPending"]["amount"], 1_000);
        let entries = "/api/v1/ledger/accounts/customer:refundable/entries?currency=KRW";
        world.until(entries, |page| page["items"].as_array().is_some_and(|i| i.len() == 1)).await;

        // The bank finds out that it has given it back: an operator says so.
        let body = json!({ "refund": 0, "verdict": "REFUNDED", "evidence": "bank statement" });
        let path = format!("/api/v1/payments/{}/resolve", id.replace("ord_", "pay_"));
        let resolved = world.post(&path, "v", &body).await;
        assert_eq!((resolved.status, &resolved.json["refunded"]["amount"]), (200, &json!(1_000)));
        assert_eq!(balance(&world, "customer:refundable").await, 0);
        assert_eq!(balance(&world, "merchant:m-1:payable").await, 0);
        assert_eq!(balance(&world, "psp:sim:receivable").await, 0);
        let order = world.get(&format!("/api/v1/orders/{id}")).await.json;
        assert_eq!(order["refunded"]["amount"], 1_000);
    }
}

#[tokio::test]
async fn a_refund_of_unknown_outcome_is_resolved_both_ways() {
    let (world, gateway, sku) = shop(true).await;
    for (key, verdict, state, refunded) in
        [("a", "REFUNDED", "DONE", 1_000), ("b", "NOT_REFUNDED", "REFUSED", 0)]
    {
        gateway.set(|mood| (mood.silent, mood.mute) = (false, false));
        let sold = world.place(key, &order(&sku, 1, 1_000, "tok_visa")).await;
        let id = text(&sold.json["id"]);
        gateway.set(|mood| (mood.silent, mood.mute) = (true, true));
        let refund = json!({ "reason": "broken" });
        world.post(&format!("/api/v1/orders/{id}/refund"), &format!("{key}-r"), &refund).await;
        let payment = format!("/api/v1/payments/{}", id.replace("ord_", "pay_"));
        world.until(&payment, |p| p["refunds"][0]["state"] == "UNKNOWN").await;
        let open = world.get("/api/v1/sagas?state=COMPLETED").await.json;
        assert_eq!(
            (&open["items"][0]["orderId"], &open["items"][0]["allowed"]),
            (&json!(id), &json!(["retry"]))
        );
        let wrong = json!({ "refund": 1, "verdict": "CAPTURED", "evidence": "x" });
        let wrong = world.post(&format!("{payment}/resolve"), &format!("{key}-w"), &wrong).await;
        assert_eq!((wrong.problem(), wrong.field()), ((422, "INVALID_FIELD"), "verdict"));
        let body = json!({ "refund": 1, "verdict": verdict, "evidence": "settlement file" });
        let resolved = world.post(&format!("{payment}/resolve"), &format!("{key}-v"), &body).await;
        assert_eq!((resolved.status, &resolved.json["refunds"][0]["state"]), (200, &json!(state)));
        let order = world.get(&format!("/api/v1/orders/{id}")).await.json;
        assert_eq!(
            (&order["refunds"][0]["state"], &order["refunded"]["amount"]),
            (&json!(state), &json!(refunded))
        );
    }
}

#[tokio::test]
async fn open_sagas_are_listed_in_pages_by_what_is_due_first() {
    let (world, gateway, sku) = shop(false).await;
    gateway.set(|mood| mood.holding = Some(Vec::new()));
    let mut placed = Vec::new();
    for n in 0..5 {
        let order = world.place_async(&format!("o{n}"), &order(&sku, 1, 1_000, "tok_visa")).await;
        placed.push(text(&order.json["id"]));
        world.until(&format!("/api/v1/orders/{}", placed[n]), |o| o["state"] == "PAYING").await;
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    for size in [2, 2, 1] {
        let page = world.get(&format!("/api/v1/sagas?state=PAYING&limit=2{cursor}")).await.json;
        let items = page["items"].as_array().unwrap();
        assert_eq!(items.len(), size, "{page}");
        seen.extend(items.iter().map(|item| text(&item["orderId"])));
        cursor = format!("&cursor={}", text(&page["nextCursor"]));
    }
    assert_eq!((seen, cursor), (placed.clone(), "&cursor=".to_owned()));
    let none = world.get("/api/v1/sagas?state=REVERSING").await.json;
    assert_eq!(none["items"], json!([]));
    let wrong = world.get(&format!("/api/v1/sagas?state=OPEN&cursor={}", placed[0])).await;
    assert_eq!((wrong.problem(), wrong.field()), ((400, "INVALID_PARAMETER"), "cursor"));
    gateway.answer();
    for id in placed {
        world.until(&format!("/api/v1/orders/{id}"), |o| o["state"] == "COMPLETED").await;
    }
}
