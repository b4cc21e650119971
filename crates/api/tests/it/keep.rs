//! Keys that have become too old, and backups as operators see them.

use std::time::Duration;

use jangbu_engine::books::REQUEST;
use jangbu_engine::port::{Backend, By, Mode, Read, WritePlan};
use serde_json::{Value, json};

use crate::world::{World, order};

/// Makes every request as old as the world.
fn age(world: &World) {
    let age_all = &mut |store: &mut dyn jangbu_engine::port::Store| {
        let mut plan = WritePlan::default();
        // The owner may be in a transaction.
        let mut tx = loop {
            if let Ok(tx) = store.begin() {
                break tx;
            }
        };
        let by = By::Range { from: [0; 3], to: [i64::MAX; 3], descending: false, limit: 99 };
        tx.read(&[Read { table: &REQUEST, by }], &mut |_, row| {
            let mut old = plan.row(&REQUEST, Mode::Upsert);
            old.int(row.int(0)).text(row.text(1)).text(row.text(2)).blob(row.blob(3));
            old.int(row.int(4)).int(0);
        })
        .unwrap();
        tx.write(&plan).unwrap();
        tx.commit().unwrap();
    };
    world.memory.as_ref().unwrap().with(age_all).unwrap();
}

#[tokio::test]
async fn a_key_that_is_too_old_is_refused_with_what_it_made() {
    let world = World::new();
    let sku = world.sku("seed", 1_000, 10).await;
    let body = order(&sku, 1, 1_000, "tok_visa");
    let first = world.place("old", &body).await;
    assert_eq!(first.status, 201, "{}", first.text);
    assert_eq!(world.place("old", &body).await.json["id"], first.json["id"]);
    age(&world);
    for body in [&body, &order(&sku, 2, 2_000, "tok_visa")] {
        let again = world.place("old", body).await;
        assert_eq!(again.problem(), (409, "IDEMPOTENCY_KEY_EXPIRED"), "{}", again.text);
        let made = json!([{ "field": "resource", "message": first.json["id"] }]);
        assert_eq!(again.json["details"], made);
        assert_eq!(again.json["retryable"], false);
    }
    assert_eq!(world.place("new", &body).await.status, 201);
}

/// The newest backup once it is not being made any more.
async fn newest(world: &World) -> Value {
    loop {
        let list = world.get("/api/v1/backups").await;
        assert_eq!(list.status, 200, "{}", list.text);
        let newest = list.json["items"][0].clone();
        if newest["state"] != "RUNNING" {
            return newest;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_backup_is_begun_listed_and_counted() {
    let [memory, file, _] = World::all();
    let begin = async |world: &World| world.post("/api/v1/backups", "", &Value::Null).await;
    let begun = begin(&file).await;
    assert_eq!(begun.status, 202, "{}", begun.text);
    let whole = newest(&file).await;
    assert_eq!((&whole["state"], &whole["name"]), (&json!("WHOLE"), &begun.json["name"]));
    assert!(whole["bytes"].as_i64().unwrap() > 4_096 && whole["error"].is_null(), "{whole}");
    let page = file.get("/metrics").await.text;
    assert!(page.contains("\njangbu_backups_total 1\n"), "{page}");
    assert!(page.contains("\njangbu_backup_last_timestamp_seconds "), "{page}");
    // A store that cannot be copied says so, and the shop goes on.
    assert_eq!(begin(&memory).await.status, 202);
    let failed = newest(&memory).await;
    assert_eq!(failed["state"], "FAILED");
    assert!(failed["error"].as_str().unwrap().contains("cannot be copied"), "{failed}");
    assert!(memory.get("/metrics").await.text.contains("\njangbu_backups_failed_total 1\n"));
    memory.sku("seed", 1_000, 10).await;
}
