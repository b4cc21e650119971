//! What a request must look like, endpoint by endpoint. Each endpoint has its row; one without a
//! row fails.

use axum::body::Body;
use axum::http::Request;
use jangbu_api::Settings;
use serde_json::{Value, json};

use crate::schema::{DOCUMENT, operation, validate};
use crate::world::{CLIENT, OPERATOR, USER, World, order, post, unpaid};

/// A request that succeeds, and the same spoilt.
struct Case {
    method: &'static str,
    /// As in the document.
    template: &'static str,
    path: String,
    body: Value,
    wanted: u16,
    /// A path and a body of which at least one is not understood, and the code that says so.
    spoilt: Option<(String, Value, &'static str)>,
}

fn read(template: &'static str, path: String, spoilt: Option<(&str, &'static str)>) -> Case {
    let spoilt = spoilt.map(|(path, code)| (path.to_owned(), Value::Null, code));
    Case { method: "GET", template, path, body: Value::Null, wanted: 200, spoilt }
}

fn write(template: &'static str, path: String, body: Value, wanted: u16) -> Case {
    let mut bad = if body.is_null() { json!({}) } else { body.clone() };
    bad["colour"] = json!("red");
    let spoilt = Some((path.clone(), bad, "UNKNOWN_FIELD"));
    Case { method: "POST", template, path, body, wanted, spoilt }
}

/// Every endpoint once. They run in this order on one shop.
async fn cases(world: &World) -> Vec<Case> {
    let sku = world.sku("seed", 1_000, 100).await;
    let products = world.get("/api/v1/products").await;
    let product = products.json["items"][0]["id"].as_str().unwrap().to_owned();
    let sold = world.place("sold", &order(&sku, 2, 2_000, "tok_visa")).await;
    let sold = sold.json["id"].as_str().unwrap().to_owned();
    let held = world.place("held", &unpaid(&sku, 1, 1_000)).await;
    let held = held.json["id"].as_str().unwrap().to_owned();
    let given_up = world.place("given-up", &unpaid(&sku, 1, 1_000)).await;
    let given_up = given_up.json["id"].as_str().unwrap().to_owned();
    let lost = world.place_async("lost", &order(&sku, 1, 1_000, "tok_timeout_captured")).await;
    let lost = lost.json["id"].as_str().unwrap().replace("ord_", "pay_");
    let money = json!({ "amount": 1_000, "currency": "KRW" });
    let create = json!({
        "merchantId": "m-2", "name": "Mug", "skus": [{ "name": "one", "price": money }],
    });
    let account = "/api/v1/ledger/accounts/merchant:m-1:payable";
    let mut price = write(
        "/api/v1/skus/{id}/price",
        format!("/api/v1/skus/{sku}/price"),
        json!({ "price": { "amount": 1_500, "currency": "KRW" } }),
        200,
    );
    price.method = "PUT";
    let mut resolve = write(
        "/api/v1/payments/{id}/resolve",
        format!("/api/v1/payments/{lost}/resolve"),
        json!({ "verdict": "CAPTURED", "evidence": "settlement file" }),
        200,
    );
    // Its outcome is not unknown yet: that takes a minute.
    resolve.wanted = 409;
    vec![
        write("/api/v1/orders", "/api/v1/orders".into(), order(&sku, 1, 1_000, "tok_visa"), 201),
        read(
            "/api/v1/orders",
            format!("/api/v1/orders?userId={USER}"),
            Some(("/api/v1/orders?userId=7", "INVALID_ID")),
        ),
        read(
            "/api/v1/orders/{id}",
            format!("/api/v1/orders/{sold}"),
            Some(("/api/v1/orders/7", "INVALID_ID")),
        ),
        write(
            "/api/v1/orders/{id}/confirm",
            format!("/api/v1/orders/{held}/confirm"),
            json!({ "amount": money, "token": "tok_visa" }),
            201,
        ),
        write(
            "/api/v1/orders/{id}/cancel",
            format!("/api/v1/orders/{given_up}/cancel"),
            json!({ "reason": "no" }),
            200,
        ),
        write(
            "/api/v1/orders/{id}/refund",
            format!("/api/v1/orders/{sold}/refund"),
            json!({ "reason": "broken" }),
            202,
        ),
        read(
            "/api/v1/orders/{id}/timeline",
            format!("/api/v1/orders/{sold}/timeline"),
            Some(("/api/v1/orders/sku_0000000001000/timeline", "INVALID_ID")),
        ),
        write("/api/v1/products", "/api/v1/products".into(), create, 201),
        read(
            "/api/v1/products",
            "/api/v1/products".into(),
            Some(("/api/v1/products?limit=x", "INVALID_PARAMETER")),
        ),
        read(
            "/api/v1/products/{id}",
            format!("/api/v1/products/{product}"),
            Some(("/api/v1/products/7", "INVALID_ID")),
        ),
        write(
            "/api/v1/products/{id}/publish",
            format!("/api/v1/products/{product}/publish"),
            Value::Null,
            200,
        ),
        price,
        read(
            "/api/v1/stock/{sku}",
            format!("/api/v1/stock/{sku}"),
            Some(("/api/v1/stock/7", "INVALID_ID")),
        ),
        write(
            "/api/v1/stock/{sku}/receive",
            format!("/api/v1/stock/{sku}/receive"),
            json!({ "quantity": 1 }),
            201,
        ),
        write(
            "/api/v1/stock/{sku}/adjust",
            format!("/api/v1/stock/{sku}/adjust"),
            json!({ "delta": -1, "reason": "x" }),
            201,
        ),
        read(
            "/api/v1/payments/{id}",
            format!("/api/v1/payments/{lost}"),
            Some(("/api/v1/payments/7", "INVALID_ID")),
        ),
        resolve,
        read(
            "/api/v1/ledger/accounts",
            "/api/v1/ledger/accounts".into(),
            Some(("/api/v1/ledger/accounts?cursor=-", "INVALID_PARAMETER")),
        ),
        read(
            "/api/v1/ledger/accounts/{code}",
            format!("{account}?currency=KRW"),
            Some(("/api/v1/ledger/accounts/bank", "INVALID_PARAMETER")),
        ),
        read(
            "/api/v1/ledger/accounts/{code}/entries",
            format!("{account}/entries?currency=KRW"),
            Some(("/api/v1/ledger/accounts/bank/entries?currency=x", "INVALID_FIELD")),
        ),
        read(
            "/api/v1/ledger/accounts/{code}/balance",
            format!("{account}/balance?currency=KRW"),
            Some(("/api/v1/ledger/accounts/bank/balance?currency=KRW&at=x", "INVALID_PARAMETER")),
        ),
        read(
            "/api/v1/ledger/trial-balance",
            "/api/v1/ledger/trial-balance".into(),
            Some(("/api/v1/ledger/trial-balance?x=1", "INVALID_PARAMETER")),
        ),
        write("/api/v1/admin/prove", "/api/v1/admin/prove".into(), Value::Null, 200),
        write(
            "/api/v1/admin/read-only",
            "/api/v1/admin/read-only".into(),
            json!({ "on": false }),
            200,
        ),
        read("/livez", "/livez".into(), None),
        read("/readyz", "/readyz".into(), None),
        read("/actuator/health", "/actuator/health".into(), None),
        read("/metrics", "/metrics".into(), None),
        read("/openapi.json", "/openapi.json".into(), None),
    ]
}

fn request(case: &Case, path: &str, body: &Value, bearer: &str) -> Request<Body> {
    let key = format!("{}-{path}", case.method);
    let mut request = post(path, &key, bearer, body);
    *request.method_mut() = case.method.parse().unwrap();
    request
}

#[tokio::test]
async fn every_endpoint_succeeds_and_refuses_strangers_and_nonsense() {
    let world = World::new();
    let cases = cases(&world).await;
    for case in &cases {
        let what = format!("{} {}", case.method, case.template);
        let operation = operation(case.method, case.template).expect(&what);
        let open = operation["security"].as_array().unwrap().is_empty();
        let stranger = world.send(request(case, &case.path, &case.body, "jbc_nobody")).await;
        match open {
            true => assert!(stranger.status < 400, "{what}"),
            false => assert_eq!(stranger.problem(), (401, "UNAUTHORIZED"), "{what}"),
        }
        if let Some((path, body, code)) = &case.spoilt {
            let spoilt = world.send(request(case, path, body, OPERATOR)).await;
            assert_eq!(spoilt.code(), *code, "{what}: {}", spoilt.text);
        } else {
            assert!(open, "{what} has no spoilt request");
        }
        let good = world.send(request(case, &case.path, &case.body, OPERATOR)).await;
        assert_eq!(good.status, case.wanted, "{what}: {}", good.text);
    }
    let mut missing = Vec::new();
    for (path, item) in DOCUMENT["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let tested =
                |case: &Case| case.template == path && case.method.eq_ignore_ascii_case(method);
            if !cases.iter().any(tested) {
                missing.push(format!("{method} {path}"));
            }
        }
    }
    assert!(missing.is_empty(), "without a row: {missing:?}");
}

#[tokio::test]
async fn the_examples_of_the_document_fit_its_schemas() {
    for (path, item) in DOCUMENT["paths"].as_object().unwrap() {
        for operation in item.as_object().unwrap().values() {
            let content = &operation["requestBody"]["content"]["application/json"];
            if content.is_object() {
                assert!(content["example"].is_object(), "{path}");
                // Ids in requests may be written in any case, so their pattern is another one.
                let mut example = content["example"].clone();
                strip_ids(&mut example);
                validate_without_ids(&content["schema"], &example, path);
            }
        }
    }
}

fn strip_ids(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| !name.ends_with("Id") || name == "merchantId");
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
        (json!({}), (422, "MISSING_FIELD"), "userId"),
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
