//! What a request must look like, endpoint by endpoint. Each endpoint has its row; one without a
//! row fails.

mod cases;

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::Request;
use jangbu_api::Settings;
use jangbu_engine::port::Fault;
use jangbu_store::On;
use serde_json::{Value, json};

use crate::schema::{DOCUMENT, operation, validate};
use crate::world::{CLIENT, OPERATOR, USER, World, order, post, unpaid};

pub(crate) use cases::{CASES, CREATE, Case};
use cases::{JOURNAL, JOURNALS};

/// Two commands that the store refused, and would take now: their numbers.
async fn set_aside(world: &World) -> [String; 2] {
    let body = serde_json::from_str(CREATE).unwrap();
    for key in ["poison", "ruined"] {
        let faults = world.memory.as_ref().unwrap().faults();
        faults.fail(On::Write, 1, Fault::Item("as planned".to_owned()));
        let refused = world.post("/api/v1/products", key, &body).await;
        assert_eq!(refused.problem(), (500, "POISONED"));
    }
    let open = world.get("/api/v1/poison?state=OPEN").await;
    [0, 1].map(|at| open.json["items"][at]["id"].as_str().unwrap().to_owned())
}

/// What the words with a dollar stand for.
pub(crate) async fn ids(world: &World) -> Vec<(&'static str, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let sku = world.sku("seed", 1_000, 100).await;
    let root = json!({ "code": "clothes" });
    let category = world.post("/api/v1/categories", "root", &root).await;
    let products = world.get("/api/v1/products").await;
    let sold = world.place("sold", &order(&sku, 2, 2_000, "tok_visa")).await;
    let sent = world.place("sent", &order(&sku, 2, 2_000, "tok_visa")).await;
    let held = world.place("held", &unpaid(&sku, 1, 1_000)).await;
    let given = world.place("given", &unpaid(&sku, 1, 1_000)).await;
    let lost = order(&sku, 1, 1_000, "tok_timeout_captured");
    let lost = world.place_async("lost", &lost).await;
    let merchant = json!({ "merchantId": "17", "amount": 1_000 });
    let taken = world.post("/api/payments/authorize", "taken", &merchant).await;
    let untaken = world.post("/api/payments/authorize", "untaken", &merchant).await;
    let journal = world.post(JOURNALS, "j", &serde_json::from_str(JOURNAL).unwrap()).await;
    let charges = format!("/api/v1/users/{USER}/points/charges");
    let charge = json!({ "amount": 100, "token": "tok_visa" });
    let charged = world.post(&charges, "charged", &charge).await;
    let merchant = json!({ "merchantId": "m-keys", "name": "Kim" });
    assert_eq!(world.post("/api/v1/merchants", "m-keys", &merchant).await.status, 201);
    let key = world.post("/api/v1/merchants/m-keys/keys", "m-key", &json!({})).await;
    let [poison, ruined] = set_aside(world).await;
    let customer = json!({
        "email": "lee@example.com", "password": "correct horse", "name": "Lee",
    });
    let customer = world.post("/api/v1/users", "-", &customer).await;
    let campaign = crate::coupons::campaign(world, "c", 9, 9).await;
    let coupon = crate::coupons::issue(world, &campaign, "cpn", USER).await;
    let voucher = crate::coupons::issue(world, &campaign, "voucher", USER).await;
    vec![
        ("$CUSTOMER", text(&customer.json["id"])),
        ("$VOUCHER", text(&voucher.json["couponId"])),
        ("$COUPON", text(&coupon.json["couponId"])),
        ("$CAMPAIGN", campaign),
        ("$UNTAKEN", text(&untaken.json["paymentId"])),
        ("$CHARGED", text(&charged.json["paymentId"])),
        ("$TAKEN", text(&taken.json["paymentId"])),
        ("$JOURNAL", text(&journal.json["journalId"])),
        ("$CATEGORY", text(&category.json["id"])),
        ("$KEY", text(&key.json["keyId"])),
        ("$USER", USER.to_owned()),
        ("$PRODUCT", text(&products.json["items"][0]["id"])),
        ("$SOLD", text(&sold.json["id"])),
        ("$SENT", text(&sent.json["id"])),
        ("$HELD", text(&held.json["id"])),
        ("$GIVEN", text(&given.json["id"])),
        ("$OPEN", text(&lost.json["id"])),
        ("$LOST", text(&lost.json["id"]).replace("ord_", "pay_")),
        ("$SKU", sku),
        ("$POISON", poison),
        ("$RUINED", ruined),
    ]
}

pub(crate) fn filled(text: &str, ids: &[(&str, String)]) -> String {
    ids.iter().fold(text.to_owned(), |text, (word, id)| text.replace(word, id))
}

pub(crate) fn request(case: &Case, path: &str, body: &str, bearer: &str) -> Request<Body> {
    let mut request = post(path, &format!("{}-{path}", case.method), bearer, &Value::Null);
    *request.method_mut() = case.method.parse().unwrap();
    *request.body_mut() = Body::from(body.to_owned());
    if body.contains("\"idempotencyKey\"") {
        request.headers_mut().remove("idempotency-key");
    }
    request
}

/// The request of `case`, spoilt.
fn spoilt(case: &Case, ids: &[(&str, String)]) -> Request<Body> {
    let body = if case.body.is_empty() { "{}".to_owned() } else { filled(case.body, ids) };
    let Some(path) = case.spoilt else {
        let mut body: Value = serde_json::from_str(&body).unwrap();
        body["colour"] = json!("red");
        return request(case, &filled(case.path, ids), &body.to_string(), OPERATOR);
    };
    request(case, &filled(path, ids), "", OPERATOR)
}

#[tokio::test]
async fn every_endpoint_succeeds_and_refuses_strangers_and_nonsense() {
    let world = World::new();
    let ids = ids(&world).await;
    for case in CASES {
        let what = format!("{} {}", case.method, case.template);
        let operation = operation(case.method, case.template).expect(&what);
        let open = operation["security"] == json!([]);
        assert_eq!(open && case.body.is_empty(), case.code.is_empty(), "{what}");
        let (path, body) = (filled(case.path, &ids), filled(case.body, &ids));
        let as_whom = if open { "jbc_nobody" } else { OPERATOR };
        if !open {
            let stranger = world.send(request(case, &path, &body, "jbc_nobody")).await;
            assert_eq!(stranger.status, 401, "{what}");
        }
        if !case.code.is_empty() {
            let spoilt = world.send(spoilt(case, &ids)).await;
            assert_eq!(spoilt.code(), case.code, "{what}: {}", spoilt.text);
        }
        let good = world.send(request(case, &path, &body, as_whom)).await;
        assert_eq!(good.status, case.wanted, "{what}: {}", good.text);
    }
}

#[test]
fn every_endpoint_has_its_row() {
    let row = |case: &Case| (case.template.to_owned(), case.method.to_ascii_lowercase());
    let rows: BTreeSet<_> = CASES.iter().map(row).collect();
    let operations = |(path, item): (&String, &Value)| {
        let methods = item.as_object().unwrap().keys().cloned();
        methods.map(|method| (path.clone(), method)).collect::<Vec<_>>()
    };
    let documented = DOCUMENT["paths"].as_object().unwrap().iter().flat_map(operations).collect();
    assert_eq!(rows, documented);
    assert_eq!(rows.len(), CASES.len());
}

#[test]
fn the_examples_of_the_document_fit_its_schemas() {
    let operations = DOCUMENT["paths"].as_object().unwrap().values();
    let operations = operations.flat_map(|item| item.as_object().unwrap().values());
    let bodies =
        operations.map(|operation| &operation["requestBody"]["content"]["application/json"]);
    let bodies: Vec<_> = bodies.filter(|content| content.is_object()).collect();
    assert!(bodies.len() > 8, "{}", bodies.len());
    for content in bodies {
        // Ids in requests may be written in any case, so their pattern is another one.
        let mut example = content["example"].clone();
        assert!(example.is_object(), "{content}");
        strip_ids(&mut example);
        validate_without_ids(&content["schema"], &example, "example");
    }
}

fn strip_ids(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            let is_id = |name: &str| name.ends_with("Id") || name.ends_with("Ids");
            fields.retain(|name, _| !is_id(name) || name == "merchantId");
            fields.values_mut().for_each(strip_ids);
        }
        Value::Array(items) => items.iter_mut().for_each(strip_ids),
        _ => {}
    }
}

/// As [`validate`], but fields that were taken out are not missed.
fn validate_without_ids(schema: &Value, value: &Value, at: &str) {
    let mut schema = match schema["$ref"].as_str() {
        Some(name) => DOCUMENT["components"]["schemas"][name.rsplit('/').next().unwrap()].clone(),
        None => schema.clone(),
    };
    let rules = schema.as_object_mut().unwrap();
    rules.remove("required");
    if let Some(Value::Object(fields)) = rules.get_mut("properties") {
        fields.retain(|name, _| value.get(name).is_some());
        if let Some(lines) = fields.remove("lines") {
            for line in value["lines"].as_array().unwrap() {
                validate_without_ids(&lines["items"], line, at);
            }
            fields.insert("lines".to_owned(), json!({ "type": "array" }));
        }
    }
    validate(&schema, value, at);
}

#[tokio::test]
async fn the_field_is_named_and_the_remedy_told() {
    let world = World::new();
    let sku = world.sku("p", 1_000, 5).await;
    let good = order(&sku, 1, 1_000, "tok_visa");
    let spoil = |pointer: &str, value: Value| {
        let mut body = good.clone();
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        body.pointer_mut(parent).unwrap()[name] = value;
        body
    };
    for (body, problem, field) in [
        (spoil("/coupon", json!(1)), (422, "UNKNOWN_FIELD"), "coupon"),
        (spoil("/lines/0/qty", json!(1)), (422, "UNKNOWN_FIELD"), "lines[0].qty"),
        (spoil("/lines/0/quantity", json!("1")), (422, "INVALID_FIELD"), "lines[0].quantity"),
        (spoil("/lines/0/quantity", json!(1.5)), (422, "INVALID_FIELD"), "lines[0].quantity"),
        (spoil("/lines/0/skuId", json!("sku_1")), (422, "INVALID_ID"), "lines[0].skuId"),
        (spoil("/userId", json!("ord_0000000001000")), (422, "INVALID_ID"), "userId"),
        (spoil("/userId", json!(7)), (422, "INVALID_FIELD"), "userId"),
        (
            spoil("/expectedTotal/currency", json!("WON")),
            (422, "INVALID_FIELD"),
            "expectedTotal.currency",
        ),
        (spoil("/expectedTotal/amount", json!(-1)), (422, "INVALID_FIELD"), "expectedTotal.amount"),
        (spoil("/payment/mode", json!("CASH")), (422, "INVALID_FIELD"), "payment.mode"),
        (spoil("/payment/mode", json!("CLIENT")), (422, "INVALID_FIELD"), "payment.token"),
        (spoil("/payment/token", json!("")), (422, "INVALID_FIELD"), "payment.token"),
        (spoil("/payment/token", Value::Null), (422, "TOKEN_REQUIRED"), "payment.token"),
        (spoil("/lines", json!([])), (422, "LINES_INVALID"), "lines"),
        (json!({}), (422, "MISSING_FIELD"), "lines"),
        (json!([]), (422, "INVALID_FIELD"), "body"),
    ] {
        let answer = world.place("k", &body).await;
        assert_eq!((answer.problem(), answer.field()), (problem, field), "{body}: {}", answer.text);
    }
    let mut request = post("/api/v1/orders", "k", CLIENT, &Value::Null);
    *request.body_mut() = Body::from("{\"userId\":");
    assert_eq!(world.send(request).await.problem(), (400, "MALFORMED_JSON"));
    assert_eq!(world.place("k", &good).await.status, 201, "refusals use up no key");
}

#[tokio::test]
async fn headers_and_sizes_have_limits() {
    let world = World::with(Settings { body: 1_000, ..Settings::default() }, true);
    let body = order("sku_0000000001000", 1, 1_000, "tok_visa");
    let without = |name: &str| {
        let mut request = post("/api/v1/orders", "k", CLIENT, &body);
        request.headers_mut().remove(name);
        request
    };
    let missing = world.send(without("idempotency-key")).await;
    assert_eq!(missing.problem(), (400, "IDEMPOTENCY_KEY_REQUIRED"));
    let long = world.place(&"k".repeat(256), &body).await;
    assert_eq!(long.problem(), (400, "IDEMPOTENCY_KEY_INVALID"));
    assert_eq!(world.send(without("content-type")).await.problem(), (409, "SKU_NOT_ON_SALE"));
    let mut text = post("/api/v1/orders", "k", CLIENT, &body);
    text.headers_mut().insert("content-type", "text/plain".parse().unwrap());
    assert_eq!(world.send(text).await.problem(), (415, "MEDIA_TYPE_UNSUPPORTED"));
    for announced in [true, false] {
        let mut large = post("/api/v1/orders", "k", CLIENT, &Value::Null);
        *large.body_mut() = Body::from("x".repeat(1_001));
        if announced {
            large.headers_mut().insert("content-length", "1001".parse().unwrap());
        }
        assert_eq!(world.send(large).await.problem(), (413, "BODY_TOO_LARGE"));
    }
}
