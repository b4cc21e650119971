//! Dead letters: shown, tried out, replayed, left out, and audited.

use jangbu_engine::books::OUTBOX;
use jangbu_engine::port::{Mode, Store, WritePlan};
use jangbu_store::OwnedValue;
use serde_json::{Value, json};

use crate::world::{World, order};

fn int(value: &OwnedValue) -> i64 {
    match value {
        OwnedValue::Int(n) => *n,
        other => panic!("{other:?}"),
    }
}

/// Puts one more event into the outbox, or another payload into the last one, beside the owner.
/// Without a payload that of the last event is taken.
fn put(world: &World, (seq, key): (i64, i64), payload: Option<&[u8]>) {
    let memory = world.memory.as_ref().unwrap();
    let completed = OwnedValue::Text("order.completed".to_owned());
    let dump = memory.dump();
    let events = || dump.iter().filter(|((table, _), _)| *table == OUTBOX.name);
    let sound = events().find(|(_, row)| row[3] == completed).unwrap().1;
    let OwnedValue::Blob(sound) = &sound[7] else { panic!("{sound:?}") };
    let mut plan = WritePlan::default();
    let mut row = plan.row(&OUTBOX, Mode::Upsert);
    row.int(seq).int(1_000).int(1_800_000_000_000_000).text("order.completed").int(key).int(9);
    row.opt_text(None).blob(payload.unwrap_or(sound)).opt_text(None);
    let mut store = memory.open();
    let mut tx = store.begin().unwrap();
    tx.write(&plan).unwrap();
    tx.commit().unwrap();
}

/// The number of the last event, and the key of its order.
fn last(world: &World) -> (i64, i64) {
    let dump = world.memory.as_ref().unwrap().dump();
    let mut events = dump.iter().filter(|((table, _), _)| *table == OUTBOX.name);
    let placed = OwnedValue::Text("order.placed".to_owned());
    let key = int(&events.clone().find(|(_, row)| row[3] == placed).unwrap().1[4]);
    (events.next_back().unwrap().0.1[0], key)
}

async fn parked(world: &World) -> Value {
    world.until("/api/v1/dlq?consumer=projections", |list| list["items"] != json!([])).await["items"][0].clone()
}

#[tokio::test]
async fn a_parked_key_is_shown_tried_out_replayed_and_discarded_with_a_reason() {
    let world = World::new();
    let sku = world.sku("p", 1_000, 5).await;
    let sold = world.place("o", &order(&sku, 1, 1_000, "tok_visa")).await;
    let (seq, key) = last(&world);
    put(&world, (seq + 1, key), Some(&[0xff]));
    let one = parked(&world).await;
    assert_eq!((&one["key"], one["seq"].as_i64()), (&sold.json["id"], Some(seq + 1)));
    assert_eq!(
        (&one["consumer"], &one["topic"]),
        (&json!("projections"), &json!("order.completed"))
    );
    assert!(one["error"].as_str().unwrap().contains("is damaged"), "{one}");
    let path = format!("/api/v1/dlq/projections/{}", one["key"].as_str().unwrap());
    let shown = world.get(&path).await;
    assert_eq!(shown.json["events"][0]["says"], Value::Null);
    assert_eq!((&shown.json["events"][0]["payload"], shown.status), (&json!("ff"), 200));
    assert_eq!((&shown.json["parked"], shown.json["events"].as_array().unwrap().len()), (&one, 1));
    let why = json!({ "reason": "a newer program" });
    let failed = world.post(&format!("{path}/replay"), "", &why).await;
    assert_eq!(
        (failed.status, &failed.json["taken"], &failed.json["left"]["tries"]),
        (200, &json!(0), &json!(2))
    );
    assert_eq!(
        world.post(&format!("{path}/replay"), "", &json!({ "reason": "" })).await.field(),
        "reason"
    );
    let dry = world.get(&format!("{path}/dry-run")).await;
    assert_eq!((&dry.json["taken"], &dry.json["left"]["tries"]), (&json!(0), &json!(3)));
    put(&world, (seq + 1, key), None);
    let dry = world.get(&format!("{path}/dry-run")).await;
    assert_eq!(dry.json, json!({ "taken": 1, "skipped": null }));
    assert_eq!(parked(&world).await["tries"], 2, "a dry run leaves nothing");
    let both = |list: &Value| list["items"].as_array().unwrap().len() == 2;
    let all = world.until("/api/v1/dlq", both).await;
    assert_eq!(all["items"][1]["consumer"], "bestseller", "each consumer has parked it for itself");
    let first = world.get("/api/v1/dlq?limit=1").await.json;
    let cursor = first["nextCursor"].as_str().unwrap();
    let next = world.get(&format!("/api/v1/dlq?limit=1&cursor={cursor}")).await.json;
    assert_eq!((&next["items"][0], &next["nextCursor"]), (&all["items"][1], &Value::Null));
    let done = world.post(&format!("{path}/replay"), "", &why).await;
    assert_eq!(done.json, json!({ "taken": 1, "skipped": null }));
    for path in
        [path.clone(), "/api/v1/dlq/search/1".to_owned(), "/api/v1/dlq/projections/x".to_owned()]
    {
        assert_eq!(world.get(&path).await.problem(), (404, "PARKED_UNKNOWN"), "{path}");
    }
    put(&world, (seq + 2, key), Some(&[0xff]));
    assert_eq!(parked(&world).await["seq"], seq + 2);
    let metrics = world.get("/metrics").await.text;
    assert!(metrics.contains("jangbu_consumer_parked{consumer=\"projections\"} 1"), "{metrics}");
    let why = json!({ "reason": "case 4711" });
    let done = world.post(&format!("{path}/discard"), "", &why).await;
    assert_eq!(done.json, json!({ "taken": 0, "skipped": seq + 2 }));
    assert_eq!(world.get("/api/v1/dlq?consumer=projections").await.json["items"], json!([]));
    audited(&world).await;
}

async fn audited(world: &World) {
    let log = world.get("/api/v1/audit?limit=10").await.json;
    let lines: Vec<_> = log["items"].as_array().unwrap().iter().collect();
    let of = |operation: &str| lines.iter().filter(|l| l["operation"] == operation).count();
    assert_eq!((of("dlq.replay"), of("dlq.discard")), (2, 1), "{log}");
    let discard = lines.iter().find(|line| line["operation"] == "dlq.discard").unwrap();
    assert_eq!(discard["why"], "case 4711");
    assert_eq!(discard["after"]["verdict"], "DISCARD");
    assert_eq!(discard["before"]["seq"], discard["after"]["seq"]);
}
