//! What operators do leaves a line in the audit log, whichever endpoint they use.

use std::collections::BTreeSet;

use axum::http::HeaderValue;
use jangbu_engine::port::Fault;
use jangbu_store::On;
use serde_json::{Value, json};

use crate::forms::{CASES, CREATE, filled, ids, request};
use crate::schema::{DOCUMENT, operation};
use crate::world::{OPERATOR, World, order, post};

/// Writes that the cases of `forms` can only see refused. A payment of unknown outcome takes longer
/// than a test here: `every_domain_describes_what_an_operator_changed` has it in services.
/// Nothing is parked: `a_parked_key_is_shown_tried_out_replayed_and_discarded_with_a_reason` has those.
/// No delivery was given up: `what_was_given_up_is_listed_and_sent_again_with_a_reason` has one.
const ELSEWHERE: [&str; 5] =
    ["payment.resolve", "dlq.replay", "dlq.discard", "saga.abandon", "notification.retry"];

async fn newest(world: &World) -> Value {
    world.get("/api/v1/audit?limit=1").await.json["items"][0].clone()
}

#[tokio::test]
async fn every_write_of_an_operator_leaves_a_line_and_every_refusal_none() {
    let world = World::new();
    let ids = ids(&world).await;
    let mut seen = BTreeSet::new();
    for case in CASES.iter().filter(|case| case.method != "GET") {
        let operation = operation(case.method, case.template).unwrap();
        if operation["security"] != json!([{ "operator": [] }]) {
            continue;
        }
        let name = operation["operationId"].as_str().unwrap();
        let before = newest(&world).await["id"].clone();
        let (path, body) = (filled(case.path, &ids), filled(case.body, &ids));
        let done = world.send(request(case, &path, &body, OPERATOR)).await;
        let line = newest(&world).await;
        if done.status >= 400 {
            assert!(
                ELSEWHERE.contains(&name),
                "{name} is refused, so nothing shows that it is audited"
            );
            assert_eq!(line["id"], before, "{name}: a refusal left a line");
            continue;
        }
        assert_ne!(line["id"], before, "{name} leaves no line");
        assert_eq!(line["who"], "operator", "{name}");
        let operations: Vec<_> = world.get("/api/v1/audit?limit=2").await.json["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|line| line["operation"].clone())
            .collect();
        assert!(operations.contains(&json!(name)), "{name}: {operations:?}");
        assert!(jangbu_audit::OPERATIONS.contains(&name), "`prove` does not know {name}");
        seen.insert(name);
    }
    assert!(seen.len() >= 7, "{seen:?}");
}

#[tokio::test]
async fn the_log_says_who_why_and_what_it_changed_and_can_be_filtered() {
    for world in World::all() {
        let sku = world.sku("seed", 1_000, 4).await;
        let body = json!({ "delta": -1, "reason": "broken" });
        let path = format!("/api/v1/stock/{sku}/adjust");
        let mut adjust = post(&path, "a", OPERATOR, &body);
        let id = HeaderValue::from_static("shift-42");
        adjust.headers_mut().insert("x-correlation-id", id);
        assert_eq!(world.send(adjust).await.status, 201);
        assert!(world.post(&path, "a", &body).await.status == 201, "a replay");
        let price = json!({ "price": { "amount": 900, "currency": "KRW" } });
        let mut cheaper = post(&format!("/api/v1/skus/{sku}/price"), "p", OPERATOR, &price);
        *cheaper.method_mut() = axum::http::Method::PUT;
        cheaper.headers_mut().insert("x-reason", HeaderValue::from_static("spring%20sale"));
        assert_eq!(world.send(cheaper).await.status, 200);
        let mine = world.get(&format!("/api/v1/audit?resource={sku}&who=operator")).await;
        let lines = mine.json["items"].as_array().unwrap();
        let what: Vec<_> = lines.iter().map(|line| &line["operation"]).collect();
        assert_eq!(
            what,
            ["sku.price", "stock.adjust", "product.create"],
            "newest first, each once"
        );
        assert_eq!((&lines[0]["why"], &lines[1]["why"]), (&json!("spring sale"), &json!("broken")));
        let prices = (&lines[0]["before"]["price"], &lines[0]["after"]["price"]);
        assert_eq!(prices, (&json!(1_000), &json!(900)));
        let available = (&lines[1]["before"]["available"], &lines[1]["after"]["available"]);
        assert_eq!(available, (&json!(4), &json!(3)));
        assert_eq!(lines[1]["correlationId"], "shift-42");
        let nobody = world.get("/api/v1/audit?who=nobody").await;
        assert_eq!(nobody.json, json!({ "items": [], "nextCursor": null }));
        let first = world.get("/api/v1/audit?limit=1").await;
        let cursor = first.json["nextCursor"].as_str().unwrap();
        let next = world.get(&format!("/api/v1/audit?limit=1&cursor={cursor}")).await;
        assert_eq!(next.json["items"][0]["operation"], "stock.adjust");
    }
}

#[tokio::test]
async fn the_read_only_switch_is_audited_both_ways() {
    let world = World::new();
    for on in [true, false] {
        let body = json!({ "on": on });
        assert_eq!(world.post("/api/v1/admin/read-only", "", &body).await.status, 200);
        let line = newest(&world).await;
        assert_eq!(line["operation"], "admin.read-only");
        let states = (&line["before"]["readOnly"], &line["after"]["readOnly"]);
        assert_eq!(states, (&json!(!on), &json!(on)));
    }
}

#[test]
fn the_operations_that_prove_knows_are_those_of_the_document() {
    let operations = DOCUMENT["paths"].as_object().unwrap().values();
    let all: BTreeSet<_> = operations
        .flat_map(|item| item.as_object().unwrap().iter())
        .filter(|(method, operation)| {
            *method != "get" && operation["security"] == json!([{ "operator": [] }])
        })
        .map(|(_, operation)| operation["operationId"].as_str().unwrap())
        .collect();
    let unknown: Vec<_> =
        all.iter().filter(|name| !jangbu_audit::OPERATIONS.contains(name)).collect();
    assert!(unknown.is_empty(), "add them to crates/audit/src/operator.rs: {unknown:?}");
}

#[tokio::test]
async fn an_item_that_was_set_aside_is_retried_once_and_says_who_closed_it_and_why() {
    let world = World::new();
    let ids = ids(&world).await;
    let id = filled("$POISON", &ids);
    let item = world.get(&format!("/api/v1/poison/{id}")).await.json;
    assert_eq!((&item["state"], &item["retryable"]), (&json!("OPEN"), &json!(true)));
    assert!(item["command"].as_str().unwrap().starts_with("Create"), "{item}");
    let reason = json!({ "reason": "mended" });
    let retry = format!("/api/v1/poison/{id}/retry");
    let empty = world.post(&retry, "", &json!({ "reason": "" })).await;
    assert_eq!(empty.field(), "reason");
    let done = world.post(&retry, "", &reason).await;
    assert_eq!((done.status, &done.json["state"]), (200, &json!("RETRIED")), "{}", done.text);
    assert_eq!(done.json["reason"], "mended");
    assert_eq!(world.post(&retry, "", &reason).await.problem(), (409, "POISON_CLOSED"));
    let line = newest(&world).await;
    let told = (&line["operation"], &line["resource"], &line["why"]);
    assert_eq!(told, (&json!("poison.retry"), &json!(id), &json!("mended")));
    let unknown = world.post("/api/v1/poison/7/discard", "", &reason).await;
    assert_eq!(unknown.problem(), (404, "POISON_UNKNOWN"));
    let open = world.get("/api/v1/poison?state=OPEN").await;
    assert_eq!(open.json["items"].as_array().unwrap().len(), 1);
    // The key of the request that was set aside leads to what the retry made.
    let body = serde_json::from_str(CREATE).unwrap();
    let again = world.post("/api/v1/products", "poison", &body).await;
    assert_eq!(again.header("idempotency-replayed"), "true", "{}", again.text);
}

#[tokio::test]
async fn a_command_with_a_token_cannot_be_retried() {
    let world = World::new();
    let sku = world.sku("seed", 1_000, 4).await;
    let faults = world.memory.as_ref().unwrap().faults();
    faults.fail(On::Write, 1, Fault::Item("as planned".to_owned()));
    let refused = world.place("k", &order(&sku, 1, 1_000, "tok_4242")).await;
    assert_eq!(refused.problem(), (500, "POISONED"));
    let list = world.get("/api/v1/poison").await;
    assert!(!list.text.contains("4242"), "{}", list.text);
    let item = &list.json["items"][0];
    assert_eq!(item["retryable"], false);
    let retry = format!("/api/v1/poison/{}/retry", item["id"].as_str().unwrap());
    let refused = world.post(&retry, "", &json!({ "reason": "mended" })).await;
    assert_eq!(refused.problem(), (409, "POISON_NOT_RETRYABLE"));
}
