//! An idempotency key explained: the first request, who repeated it, and what differed.

use serde_json::{Value, json};

use crate::world::{CLIENT, World, order, post};

fn fields(answer: &Value) -> Vec<&str> {
    let details = answer.as_array().unwrap();
    details.iter().map(|detail| detail["field"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_key_that_comes_with_another_order_says_which_fields_differ() {
    for world in World::all() {
        let (sku, other) = (world.sku("p", 1_000, 5).await, world.sku("q", 1_000, 5).await);
        let first = world.place("o", &order(&sku, 1, 1_000, "tok_visa")).await;
        let more = world.place("o", &order(&sku, 2, 2_000, "tok_visa")).await;
        assert_eq!(more.problem(), (422, "IDEMPOTENCY_KEY_REUSED"));
        assert_eq!(fields(&more.json["details"]), ["lines", "expectedTotal"]);
        let told = more.json["details"][0]["message"].as_str().unwrap();
        assert_eq!(told, format!("was 1 of {sku} in the first request, now 2 of {sku}"));
        let another = world.place("o", &order(&other, 1, 1_000, "tok_visa")).await;
        assert_eq!(fields(&another.json["details"]), ["lines"]);
        // A token is not kept: the refusal stands, and names nothing.
        let token = world.place("o", &order(&sku, 1, 1_000, "tok_other")).await;
        assert_eq!(token.problem(), (422, "IDEMPOTENCY_KEY_REUSED"));
        assert_eq!(token.json["details"], json!([]));
        assert_eq!(first.status, 201);
    }
}

#[tokio::test]
async fn the_first_request_its_replays_and_what_differed_are_shown() {
    for world in World::all() {
        let sku = world.sku("p", 1_000, 5).await;
        let first = world.place("o", &order(&sku, 1, 1_000, "tok_visa")).await;
        world.place("o", &order(&sku, 1, 1_000, "tok_visa")).await;
        world.place("o", &order(&sku, 3, 3_000, "tok_visa")).await;
        let told = world.get("/api/v1/idempotency/o").await;
        assert_eq!((told.status, told.json["key"].as_str()), (200, Some("o")));
        let [item] = &**told.json["items"].as_array().unwrap() else { panic!("{}", told.text) };
        assert_eq!(item["scope"], "client:order.place");
        assert_eq!(item["operation"], "order.place");
        assert_eq!(item["resource"], first.json["id"]);
        assert_eq!(item["replays"]["count"], 1);
        let times = [&item["at"], &item["replays"]["lastAt"], &item["conflicts"][0]["at"]];
        assert!(times.is_sorted_by_key(|at| at.as_str().unwrap()), "{item}");
        assert_ne!(item["fingerprint"], item["conflicts"][0]["fingerprint"]);
        assert_eq!(item["fingerprint"].as_str().unwrap().len(), 34);
        let differences = &item["conflicts"][0]["differences"];
        assert_eq!(fields(differences), ["lines", "expectedTotal"]);
        assert_eq!(differences[1]["first"], "1000 KRW");
        assert_eq!(differences[1]["later"], "3000 KRW");
        assert!(item["conflicts"][0]["request"].as_str().unwrap().starts_with("req_"));
    }
}

#[tokio::test]
async fn a_key_is_shown_in_every_scope_and_alone_in_the_one_that_is_named() {
    let world = World::new();
    let sku = world.sku("p", 1_000, 5).await;
    world.place("k", &order(&sku, 1, 1_000, "tok_visa")).await;
    let path = format!("/api/v1/stock/{sku}/receive");
    world.post(&path, "k", &json!({ "quantity": 4 })).await;
    let more = world.post(&path, "k", &json!({ "quantity": 5 })).await;
    assert_eq!(fields(&more.json["details"]), ["quantity"]);
    let scopes = |told: &Value| {
        let items = told["items"].as_array().unwrap();
        items.iter().map(|item| item["scope"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let all = world.get("/api/v1/idempotency/k").await;
    assert_eq!(scopes(&all.json), ["client:order.place", "operator:stock.receive"]);
    let one = world.get("/api/v1/idempotency/k?scope=operator:stock.receive").await;
    assert_eq!(scopes(&one.json), ["operator:stock.receive"]);
    assert!(one.json["items"][0]["resource"].as_str().unwrap().starts_with("mov_"));
    for path in ["/api/v1/idempotency/none", "/api/v1/idempotency/k?scope=client:order.cancel"] {
        assert_eq!(world.get(path).await.problem(), (404, "IDEMPOTENCY_KEY_UNKNOWN"), "{path}");
    }
    // What was refused took no key.
    world.place("refused", &order(&sku, 1, 7, "tok_visa")).await;
    let refused = world.get("/api/v1/idempotency/refused").await;
    assert_eq!(refused.problem(), (404, "IDEMPOTENCY_KEY_UNKNOWN"));
}

#[tokio::test]
async fn a_command_about_another_order_names_both() {
    let world = World::new();
    let sku = world.sku("p", 1_000, 5).await;
    let mut ids = Vec::new();
    for key in ["a", "b"] {
        let sold = world.place(key, &order(&sku, 1, 1_000, "tok_visa")).await;
        ids.push(sold.json["id"].as_str().unwrap().to_owned());
    }
    let mut answers = Vec::new();
    for id in &ids {
        let path = format!("/api/v1/orders/{id}/refund");
        answers.push(world.send(post(&path, "r", CLIENT, &json!({ "reason": "broken" }))).await);
    }
    assert_eq!(answers[1].problem(), (422, "IDEMPOTENCY_KEY_REUSED"));
    let message = answers[1].json["details"][0]["message"].as_str().unwrap();
    assert_eq!(message, format!("was {} in the first request, now {}", ids[0], ids[1]));
}
