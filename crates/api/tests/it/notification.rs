//! The texts of mails are changed with a reason, and what is to be sent can be looked at.

use jangbu_kernel::{OrderId, Time};
use jangbu_services::notification::{Delivery, Kind, State};
use serde_json::json;

use crate::world::World;

fn delivery(id: i64, state: State) -> Delivery {
    Delivery {
        id,
        state,
        order: OrderId(7),
        kind: Kind::Completed,
        part: 0,
        at: Time(1_800_000_000_000_000),
        tries: 10,
        next_at: None,
        sent_at: None,
        error: Some("the server answered 550".to_owned()),
    }
}

#[tokio::test]
async fn a_text_is_changed_with_a_reason_and_is_the_one_of_the_audit_log() {
    let world = World::new();
    let all = world.get("/api/v1/notifications/templates").await;
    assert_eq!(all.json["items"].as_array().unwrap().len(), 10);
    assert!(all.json["variables"].as_array().unwrap().contains(&json!("order")));
    let path = "/api/v1/notifications/templates/shipped/en";
    let body = |text: &str| json!({ "subject": "On its way", "body": text, "reason": "shorter" });
    let refused = world.put(path, "", &body("{{secret}}")).await;
    assert_eq!((refused.status, refused.field()), (422, "body"));
    let unknown = world.put("/api/v1/notifications/templates/shipped/fr", "", &body("x")).await;
    assert_eq!(unknown.problem(), (404, "TEMPLATE_UNKNOWN"));
    let silent = json!({ "subject": "x", "body": "x", "reason": "" });
    assert_eq!(world.put(path, "", &silent).await.field(), "reason");
    for text in ["{{order}} left.", "{{order}} has left with {{carrier}}."] {
        let changed = world.put(path, "", &body(text)).await;
        assert_eq!((&changed.json["body"], &changed.json["changed"]), (&json!(text), &json!(true)));
    }
    let all = world.get("/api/v1/notifications/templates").await.json;
    let changed: Vec<_> =
        all["items"].as_array().unwrap().iter().filter(|item| item["changed"] == true).collect();
    assert_eq!((changed.len(), &changed[0]["subject"]), (1, &json!("On its way")));
    let lines = world.get("/api/v1/audit?operation=notification.template").await.json;
    let line = &lines["items"][0];
    assert_eq!((&line["why"], lines["items"].as_array().unwrap().len()), (&json!("shorter"), 2));
    assert_eq!(line["before"]["body"], "{{order}} left.");
    assert_eq!(line["after"]["body"], "{{order}} has left with {{carrier}}.");
}

#[tokio::test]
async fn what_was_given_up_is_listed_and_sent_again_with_a_reason() {
    let world = World::new();
    world.deliver(&[
        delivery(64, State::Dead),
        delivery(128, State::Sent),
        delivery(193, State::Failed),
    ]);
    let ids = |list: &serde_json::Value| -> Vec<String> {
        let items = list["items"].as_array().unwrap().iter();
        items.map(|item| item["id"].as_str().unwrap().to_owned()).collect()
    };
    let all = world.until("/api/v1/notifications", |list| ids(list).len() == 3).await;
    assert_eq!(ids(&all), ["193", "128", "64"]);
    assert_eq!(all["items"][0]["channel"], "hook-1");
    let first = world.get("/api/v1/notifications?limit=2").await.json;
    let cursor = first["nextCursor"].as_str().unwrap();
    let next = world.get(&format!("/api/v1/notifications?limit=2&cursor={cursor}")).await.json;
    assert_eq!((ids(&next), &next["nextCursor"]), (vec!["64".to_owned()], &json!(null)));
    let dead = world.get("/api/v1/notifications?state=DEAD").await.json;
    assert_eq!((ids(&dead), &dead["items"][0]["channel"]), (vec!["64".to_owned()], &json!("mail")));
    assert_eq!(world.get("/api/v1/notifications?state=SENT").await.status, 400);
    let why = json!({ "reason": "the mailbox is there again" });
    let again = world.post("/api/v1/notifications/64/retry", "", &why).await;
    assert_eq!((&again.json["state"], &again.json["tries"]), (&json!("WAITING"), &json!(0)));
    assert!(ids(&world.get("/api/v1/notifications?state=DEAD").await.json).is_empty());
    for (id, problem) in [
        ("64", (409, "DELIVERY_NOT_RETRYABLE")),
        ("128", (409, "DELIVERY_NOT_RETRYABLE")),
        ("7", (404, "DELIVERY_UNKNOWN")),
        ("x", (404, "DELIVERY_UNKNOWN")),
    ] {
        let refused = world.post(&format!("/api/v1/notifications/{id}/retry"), "", &why).await;
        assert_eq!(refused.problem(), problem, "{id}");
    }
    let lines = world.get("/api/v1/audit?operation=notification.retry").await.json;
    let line = &lines["items"][0];
    assert_eq!(
        (&line["before"]["state"], &line["after"]["state"]),
        (&json!("DEAD"), &json!("WAITING"))
    );
}
