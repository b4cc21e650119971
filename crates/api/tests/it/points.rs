//! Points: grants by operators, charges by card, balance and history.

use jangbu_api::Settings;
use jangbu_services::shop::Layout;
use serde_json::{Value, json};

use crate::world::{Answer, CLIENT, USER, World, post, session};

const OTHER: &str = "usr_0000000002000";
const FAR: &str = "2029-01-31T15:00:00Z";

fn path(user: &str, tail: &str) -> String {
    format!("/api/v1/users/{user}/points{tail}")
}

async fn grant(world: &World, key: &str, amount: i64, until: Option<&str>) -> Answer {
    let body = json!({ "amount": amount, "expiresAt": until, "reason": "sorry" });
    world.post(&path(USER, "/grants"), key, &body).await
}

async fn charge(world: &World, key: &str, amount: i64, token: &str) -> Answer {
    let body = json!({ "amount": amount, "token": token });
    world.send(post(&path(USER, "/charges"), key, &session(USER), &body)).await
}

/// Movements without their times, newest first, once there are `count` of them.
async fn history(world: &World, count: usize) -> Vec<Value> {
    let full = |json: &Value| json["items"].as_array().is_some_and(|items| items.len() >= count);
    let mut found = world.until(&path(USER, "/history"), full).await["items"].take();
    let items = found.as_array_mut().unwrap();
    for item in &mut *items {
        item.as_object_mut().unwrap().remove("at");
    }
    items.clone()
}

#[tokio::test]
async fn an_operator_gives_points_until_the_end_of_a_day() {
    for world in World::all() {
        let none = world.get_as(&session(USER), &path(USER, "")).await;
        assert_eq!((none.status, &none.json["balance"]), (200, &json!(0)), "{}", none.text);
        assert_eq!((&none.json["lots"], &none.json["nextExpiry"]), (&json!([]), &Value::Null));

        let given = grant(&world, "g1", 500, Some("2029-01-31T12:00:00Z")).await;
        assert_eq!(given.status, 201, "{}", given.text);
        assert_eq!(given.json["expiresAt"], "2029-01-31T15:00:00.000000Z", "midnight in Seoul");
        assert_eq!((&given.json["amount"], &given.json["balance"]), (&json!(500), &json!(500)));
        let again = grant(&world, "g1", 500, Some("2029-01-31T12:00:00Z")).await;
        assert_eq!((again.status, again.header("idempotency-replayed")), (201, "true"));
        assert_eq!(again.json, given.json);
        let other = grant(&world, "g1", 501, Some("2029-01-31T12:00:00Z")).await;
        assert_eq!((other.problem(), other.field()), ((422, "IDEMPOTENCY_KEY_REUSED"), "amount"));
        let usual = grant(&world, "g2", 70, None).await;
        assert_eq!((usual.status, &usual.json["balance"]), (201, &json!(570)), "{}", usual.text);

        let now = world.get_as(&session(USER), &path(USER, "")).await.json;
        let totals = (&now["balance"], &now["paid"], &now["earned"], &now["currency"]);
        assert_eq!(totals, (&json!(570), &json!(0), &json!(570), &json!("KRW")));
        let lots = now["lots"].as_array().unwrap();
        assert_eq!(lots.len(), 2, "{lots:?}");
        assert_eq!(
            lots[1],
            json!({ "kind": "EARNED", "points": 500, "expiresAt": given.json["expiresAt"] })
        );
        assert_eq!(now["nextExpiry"], json!({ "at": usual.json["expiresAt"], "points": 70 }));

        let lines = history(&world, 2).await;
        let line = json!({
            "what": "GRANTED", "orderId": null, "paymentId": null,
            "grantId": given.json["grantId"], "paid": 0, "earned": 500, "balance": 500,
        });
        assert_eq!(lines[1], line);
        let audited = world.get("/api/v1/audit?operation=point.grant").await.json;
        let audited = audited["items"].as_array().unwrap();
        assert_eq!(audited.len(), 2);
        assert_eq!(
            (&audited[1]["resource"], &audited[1]["why"]),
            (&given.json["grantId"], &json!("sorry"))
        );
        let account = "/api/v1/ledger/accounts/points:earned/entries?currency=KRW";
        let full = |json: &Value| json["items"].as_array().is_some_and(|items| items.len() == 2);
        let entries = world.until(account, full).await;
        assert_eq!(entries["items"][1]["source"], given.json["grantId"]);
        assert_eq!(entries["items"][0]["balance"]["amount"], 570);
    }
}

#[tokio::test]
async fn points_are_bought_by_card_and_are_there_with_the_answer() {
    for world in World::all() {
        let bought = charge(&world, "c1", 5_000, "tok_visa").await;
        assert_eq!(bought.status, 201, "{}", bought.text);
        assert_eq!(
            (&bought.json["status"], &bought.json["balance"]),
            (&json!("CHARGED"), &json!(5_000))
        );
        let again = charge(&world, "c1", 5_000, "tok_visa").await;
        assert_eq!((again.status, again.header("idempotency-replayed")), (201, "true"));
        assert_eq!(again.json, bought.json);
        let other = charge(&world, "c1", 5_001, "tok_visa").await;
        assert_eq!((other.problem(), other.field()), ((422, "IDEMPOTENCY_KEY_REUSED"), "amount"));
        let more = charge(&world, "c2", 1, "tok_visa").await;
        assert_eq!(more.json["balance"], 5_001, "{}", more.text);

        let declined = charge(&world, "c3", 70, "tok_declined").await;
        assert_eq!(declined.problem(), (402, "PAYMENT_DECLINED"), "{}", declined.text);
        let id = declined.json["paymentId"].as_str().unwrap();
        let stands = world.get_as(&session(USER), &path(USER, &format!("/charges/{id}"))).await;
        assert_eq!(
            (&stands.json["status"], &stands.json["balance"]),
            (&json!("DECLINED"), &Value::Null)
        );

        let now = world.get_as(&session(USER), &path(USER, "")).await.json;
        let lot = json!({ "kind": "PAID", "points": 5_001, "expiresAt": null });
        assert_eq!(
            (&now["paid"], &now["lots"], &now["nextExpiry"]),
            (&json!(5_001), &json!([lot]), &Value::Null)
        );
        let lines = history(&world, 2).await;
        assert_eq!(
            (&lines[1]["paymentId"], &lines[1]["paid"]),
            (&bought.json["paymentId"], &json!(5_000))
        );
        let account = "/api/v1/ledger/accounts/points:paid/entries?currency=KRW";
        let full = |json: &Value| json["items"].as_array().is_some_and(|items| items.len() == 2);
        let entries = world.until(account, full).await;
        assert_eq!(entries["items"][1]["source"], bought.json["paymentId"]);
    }
}

#[tokio::test]
async fn a_charge_without_an_answer_is_asked_about_and_charged_once() {
    let hurried = |layout: &mut Layout| layout.rules = layout.rules.clone().scaled(2);
    let world = World::made(Settings::default(), true, hurried);
    let mut request = post(
        &path(USER, "/charges"),
        "late",
        CLIENT,
        &json!({ "amount": 300, "token": "tok_timeout_captured" }),
    );
    request.headers_mut().insert("x-correlation-id", "late-1".parse().unwrap());
    let answer = world.send(request).await;
    assert!(matches!(answer.status, 201 | 202), "{}", answer.text);
    let id = answer.json["paymentId"].as_str().unwrap();
    let charged = |json: &Value| json["status"] == "CHARGED";
    let ended = world.until(&path(USER, &format!("/charges/{id}")), charged).await;
    assert_eq!(ended["balance"], 300);
    assert_eq!(world.get(&path(USER, "")).await.json["balance"], 300);
}

async fn give_back(world: &World, key: &str, id: &str, amount: Option<i64>) -> Answer {
    let mut body = json!({ "reason": "regretted" });
    if let Some(amount) = amount {
        body["amount"] = json!(amount);
    }
    world.post(&path(USER, &format!("/charges/{id}/refunds")), key, &body).await
}

#[tokio::test]
async fn a_charge_is_given_back_and_the_points_are_gone() {
    for world in World::all() {
        let bought = charge(&world, "c1", 5_000, "tok_visa").await;
        let id = bought.json["paymentId"].as_str().unwrap();
        let more = give_back(&world, "r0", id, Some(5_001)).await;
        assert_eq!(more.problem(), (409, "POINT_REFUND_EXCEEDS_LEFT"), "{}", more.text);
        assert!(more.text.contains("5000 of this charge are left"), "{}", more.text);

        let part = give_back(&world, "r1", id, Some(2_000)).await;
        assert_eq!((part.status, &part.json["status"]), (201, &json!("REFUNDED")), "{}", part.text);
        let again = give_back(&world, "r1", id, Some(2_000)).await;
        assert_eq!((again.status, again.header("idempotency-replayed")), (201, "true"));
        assert_eq!(again.json, part.json);
        let other = give_back(&world, "r1", id, Some(2_001)).await;
        assert_eq!((other.problem(), other.field()), ((422, "IDEMPOTENCY_KEY_REUSED"), "amount"));
        assert_eq!(world.get(&path(USER, "")).await.json["balance"], 3_000);

        let rest = give_back(&world, "r2", id, None).await;
        assert_eq!((rest.status, &rest.json["amount"]), (201, &json!(3_000)), "{}", rest.text);
        let none = give_back(&world, "r3", id, None).await;
        assert_eq!(none.problem(), (409, "POINT_REFUND_EXCEEDS_LEFT"), "{}", none.text);
        let stands =
            world.get_as(&session(USER), &path(USER, &format!("/charges/{id}"))).await.json;
        let left = (&stands["status"], &stands["refunded"], &stands["refundable"]);
        assert_eq!(left, (&json!("CHARGED"), &json!(5_000), &json!(0)));
        assert_eq!(stands["refunds"], json!([part.json, rest.json]));

        let lines = history(&world, 3).await;
        assert_eq!((&lines[0]["what"], &lines[0]["paid"]), (&json!("REFUNDED"), &json!(-3_000)));
        assert_eq!((&lines[0]["paymentId"], &lines[0]["balance"]), (&json!(id), &json!(0)));
        let account = "/api/v1/ledger/accounts/points:paid/entries?currency=KRW";
        let full = |json: &Value| json["items"].as_array().is_some_and(|items| items.len() == 3);
        let entries = world.until(account, full).await;
        assert_eq!(entries["items"][0]["balance"]["amount"], 0, "{entries}");
        let audited = world.get("/api/v1/audit?operation=point.refund").await.json;
        let audited = audited["items"].as_array().unwrap();
        assert_eq!(audited.len(), 2);
        assert_eq!(audited[1]["resource"], part.json["refundId"]);
        assert_eq!(audited[1]["why"], "regretted");
    }
}

#[tokio::test]
async fn a_refund_that_the_gateway_refuses_brings_the_points_back() {
    for world in World::all() {
        let bought = charge(&world, "c1", 700, "tok_refund_refused").await;
        let id = bought.json["paymentId"].as_str().unwrap();
        let refused = give_back(&world, "r1", id, Some(300)).await;
        assert_eq!(refused.problem(), (402, "REFUND_REFUSED"), "{}", refused.text);
        let again = give_back(&world, "r1", id, Some(300)).await;
        assert_eq!(
            (again.problem(), again.header("idempotency-replayed")),
            ((402, "REFUND_REFUSED"), "true")
        );
        assert_eq!(world.get(&path(USER, "")).await.json["balance"], 700);
        let whats: Vec<_> = history(&world, 3).await.iter().map(|l| l["what"].clone()).collect();
        assert_eq!(whats, ["UNREFUNDED", "REFUNDED", "CHARGED"]);
        let stands =
            world.get_as(&session(USER), &path(USER, &format!("/charges/{id}"))).await.json;
        assert_eq!((&stands["refunded"], &stands["refundable"]), (&json!(0), &json!(700)));
        assert_eq!(stands["refunds"][0]["status"], "REFUSED");
    }
}

#[tokio::test]
async fn what_was_never_paid_or_is_spent_does_not_go_back() {
    let world = World::new();
    let declined = charge(&world, "c1", 70, "tok_declined").await;
    let id = declined.json["paymentId"].as_str().unwrap();
    let refused = give_back(&world, "r1", id, None).await;
    assert_eq!(refused.problem(), (409, "REFUND_CONFLICT"), "{}", refused.text);
    let sale = json!({ "merchantId": "17", "amount": 5 });
    let sale = world.post("/api/payments/authorize", "p", &sale).await;
    let unknown = give_back(&world, "r1", sale.json["paymentId"].as_str().unwrap(), None).await;
    assert_eq!(unknown.problem(), (404, "PAYMENT_UNKNOWN"));
    let bought = charge(&world, "c2", 100, "tok_visa").await;
    let charge = path(USER, &format!("/charges/{}", bought.json["paymentId"].as_str().unwrap()));
    let body = json!({ "reason": "mine" });
    for bearer in [&*session(USER), CLIENT] {
        let refused = world.send(post(&format!("{charge}/refunds"), "k", bearer, &body)).await;
        assert_eq!(refused.problem(), (403, "FORBIDDEN"), "only operators give money back");
    }
    let zero = json!({ "amount": 0, "reason": "x" });
    let zero = world.post(&format!("{charge}/refunds"), "k", &zero).await;
    assert_eq!((zero.problem(), zero.field()), ((422, "POINTS_AMOUNT_INVALID"), "amount"));
}

#[tokio::test]
async fn points_are_their_users_alone() {
    let world = World::new();
    let bought = charge(&world, "c", 10, "tok_visa").await;
    let id = bought.json["paymentId"].as_str().unwrap();
    let (mine, other) = (session(USER), session(OTHER));
    for tail in ["", "/history", &format!("/charges/{id}")] {
        let refused = world.get_as(&other, &path(USER, tail)).await;
        assert_eq!(refused.problem(), (403, "FORBIDDEN"), "{tail}");
        assert_eq!(world.get_as(&mine, &path(USER, tail)).await.status, 200, "{tail}");
    }
    let foreign = world.get_as(&other, &path(OTHER, &format!("/charges/{id}"))).await;
    assert_eq!(foreign.problem(), (404, "PAYMENT_UNKNOWN"));
    let body = json!({ "amount": 10, "token": "tok_visa" });
    let refused = world.send(post(&path(USER, "/charges"), "k", &other, &body)).await;
    assert_eq!(refused.problem(), (403, "FORBIDDEN"));
    let body = json!({ "amount": 10, "reason": "for me" });
    for bearer in [&*mine, CLIENT] {
        let refused = world.send(post(&path(USER, "/grants"), "k", bearer, &body)).await;
        assert_eq!(refused.problem(), (403, "FORBIDDEN"), "only operators give points away");
    }
    let sale = world
        .post("/api/payments/authorize", "p", &json!({ "merchantId": "17", "amount": 5 }))
        .await;
    let sale = sale.json["paymentId"].as_str().unwrap();
    let unknown = world.get_as(&mine, &path(USER, &format!("/charges/{sale}"))).await;
    assert_eq!(unknown.problem(), (404, "PAYMENT_UNKNOWN"), "a payment that is no charge");
}

#[tokio::test]
async fn the_history_comes_page_by_page() {
    let world = World::new();
    for n in 1..=5 {
        grant(&world, &format!("g{n}"), n, Some(FAR)).await;
    }
    assert_eq!(history(&world, 5).await.len(), 5);
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = world.get(&path(USER, &format!("/history?limit=2{cursor}"))).await.json;
        let items = page["items"].as_array().unwrap();
        seen.extend(items.iter().map(|item| item["earned"].as_i64().unwrap()));
        let Some(next) = page["nextCursor"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen, [5, 4, 3, 2, 1]);
}

#[tokio::test]
async fn nonsense_about_points_is_named() {
    let world = World::new();
    let (charges, grants) = (path(USER, "/charges"), path(USER, "/grants"));
    let good = json!({ "amount": 5, "reason": "x" });
    let with = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        body
    };
    let long = "r".repeat(501);
    for (path, body, problem, field) in [
        (&charges, json!({ "amount": 0, "token": "t" }), (422, "POINTS_AMOUNT_INVALID"), "amount"),
        (&charges, json!({ "amount": -5, "token": "t" }), (422, "POINTS_AMOUNT_INVALID"), "amount"),
        (
            &charges,
            json!({ "amount": 1_000_000_000_001_i64, "token": "t" }),
            (422, "POINTS_AMOUNT_INVALID"),
            "amount",
        ),
        (&charges, json!({ "amount": 1.5, "token": "t" }), (422, "INVALID_FIELD"), "amount"),
        (&charges, json!({ "amount": 5 }), (422, "MISSING_FIELD"), "token"),
        (&charges, json!({ "amount": 5, "token": "" }), (422, "INVALID_FIELD"), "token"),
        (&grants, with("amount", json!(0)), (422, "POINTS_AMOUNT_INVALID"), "amount"),
        (&grants, with("amount", json!(i64::MAX)), (422, "POINTS_AMOUNT_INVALID"), "amount"),
        (&grants, with("amount", json!("5")), (422, "INVALID_FIELD"), "amount"),
        (&grants, with("reason", json!("")), (422, "INVALID_FIELD"), "reason"),
        (&grants, with("reason", json!(long)), (422, "INVALID_FIELD"), "reason"),
        (&grants, with("expiresAt", json!("tomorrow")), (422, "INVALID_FIELD"), "expiresAt"),
        (
            &grants,
            with("expiresAt", json!("2020-01-01T00:00:00Z")),
            (422, "POINT_EXPIRY_INVALID"),
            "expiresAt",
        ),
        (
            &grants,
            with("expiresAt", json!("2999-12-31T00:00:00Z")),
            (422, "POINT_EXPIRY_INVALID"),
            "expiresAt",
        ),
        (&grants, with("currency", json!("USD")), (422, "UNKNOWN_FIELD"), "currency"),
    ] {
        let answer = world.post(path, "k", &body).await;
        assert_eq!((answer.problem(), answer.field()), (problem, field), "{body}: {}", answer.text);
    }
    assert_eq!(world.post(&grants, "k", &good).await.status, 201, "refusals use up no key");
    let bad = world.get(&path(USER, "/history?cursor=ord_1")).await;
    assert_eq!((bad.problem(), bad.field()), ((400, "INVALID_PARAMETER"), "cursor"));
}
