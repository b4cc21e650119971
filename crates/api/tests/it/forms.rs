//! What a request must look like, endpoint by endpoint. Each endpoint has its row; one without a
//! row fails.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::Request;
use jangbu_api::Settings;
use jangbu_engine::port::Fault;
use jangbu_store::On;
use serde_json::{Value, json};

use crate::schema::{DOCUMENT, operation, validate};
use crate::world::{CLIENT, OPERATOR, USER, World, order, post, unpaid};

/// A request that succeeds, and how it is spoilt. Words with a dollar stand for ids.
pub(crate) struct Case {
    /// As in the document.
    pub(crate) method: &'static str,
    pub(crate) template: &'static str,
    pub(crate) path: &'static str,
    pub(crate) body: &'static str,
    wanted: u16,
    /// A path that is not understood, or none: the body gets a field that is not known.
    spoilt: Option<&'static str>,
    /// How the spoilt request is refused; none: anybody may ask, and there is nothing to spoil.
    pub(crate) code: &'static str,
}

const fn read(
    template: &'static str,
    path: &'static str,
    spoilt: &'static str,
    code: &'static str,
) -> Case {
    Case { method: "GET", template, path, body: "", wanted: 200, spoilt: Some(spoilt), code }
}

const fn open(path: &'static str) -> Case {
    Case { method: "GET", template: path, path, body: "", wanted: 200, spoilt: None, code: "" }
}

const fn write(
    method: &'static str,
    template: &'static str,
    path: &'static str,
    body: &'static str,
    wanted: u16,
) -> Case {
    Case { method, template, path, body, wanted, spoilt: None, code: "UNKNOWN_FIELD" }
}

const PLACE: &str = r#"{"userId":"$USER","lines":[{"skuId":"$SKU","quantity":1}],
    "expectedTotal":{"amount":1000,"currency":"KRW"},"payment":{"mode":"SERVER","token":"tok"}}"#;
const CONFIRM: &str = r#"{"amount":{"amount":1000,"currency":"KRW"},"token":"tok_visa"}"#;
const CANCEL: &str = r#"{"reason":"changed my mind"}"#;
const REFUND: &str =
    r#"{"reason":"broken","lines":[{"skuId":"$SKU","quantity":1}],"restock":true}"#;
pub(crate) const CREATE: &str = r#"{"merchantId":"m-2","name":"Mug","publish":true,
    "skus":[{"name":"one","price":{"amount":1000,"currency":"KRW"},"stock":1}]}"#;
const RECEIVE: &str = r#"{"quantity":1,"reason":"delivery"}"#;
const PRICE: &str = r#"{"price":{"amount":1500,"currency":"KRW"}}"#;
const ADJUST: &str = r#"{"delta":-1,"reason":"x"}"#;
const AUTHORIZE: &str = r#"{"merchantId":"17","amount":1000,"currency":"KRW","token":"tok",
    "idempotencyKey":"form-1"}"#;
const JOURNALS: &str = "/api/v1/ledger/journals";
const JOURNAL: &str = r#"{"reason":"statement","postings":[{"currency":"KRW","memo":"x",
    "legs":[{"account":"bank","amount":5},{"account":"suspense","amount":-5}]}]}"#;
const SETTLE: &str = r#"{"reason":"repaired"}"#;
const RESOLVE: &str = r#"{"refund":1,"verdict":"REFUNDED","evidence":"settlement file"}"#;
const WHY: &str = r#"{"reason":"the desk says so"}"#;
const ACCOUNTS: &str = "/api/v1/ledger/accounts";
const ACCOUNT: &str = "/api/v1/ledger/accounts/{code}";
const ENTRIES: &str = "/api/v1/ledger/accounts/{code}/entries";
const BALANCE: &str = "/api/v1/ledger/accounts/{code}/balance";

/// Every endpoint once. They run in this order on one shop. The payment to be resolved is not
/// unknown yet, which takes longer than a test: it is refused, and `books` knows more of it.
pub(crate) const CASES: &[Case] = &[
    write("POST", "/api/v1/orders", "/api/v1/orders", PLACE, 201),
    read("/api/v1/orders", "/api/v1/orders?userId=$USER", "/api/v1/orders?userId=7", "INVALID_ID"),
    read("/api/v1/orders/{id}", "/api/v1/orders/$SOLD", "/api/v1/orders/7", "INVALID_ID"),
    write("POST", "/api/v1/orders/{id}/confirm", "/api/v1/orders/$HELD/confirm", CONFIRM, 201),
    write("POST", "/api/v1/orders/{id}/cancel", "/api/v1/orders/$GIVEN/cancel", CANCEL, 200),
    write("POST", "/api/v1/orders/{id}/refund", "/api/v1/orders/$SOLD/refund", REFUND, 200),
    read(
        "/api/v1/orders/{id}/timeline",
        "/api/v1/orders/$SOLD/timeline",
        "/api/v1/orders/$SKU/timeline",
        "INVALID_ID",
    ),
    write("POST", "/api/v1/products", "/api/v1/products", CREATE, 201),
    read("/api/v1/products", "/api/v1/products", "/api/v1/products?limit=x", "INVALID_PARAMETER"),
    read("/api/v1/products/{id}", "/api/v1/products/$PRODUCT", "/api/v1/products/7", "INVALID_ID"),
    write("POST", "/api/v1/products/{id}/publish", "/api/v1/products/$PRODUCT/publish", "", 200),
    write("PUT", "/api/v1/skus/{id}/price", "/api/v1/skus/$SKU/price", PRICE, 200),
    read("/api/v1/stock/{sku}", "/api/v1/stock/$SKU", "/api/v1/stock/7", "INVALID_ID"),
    write("POST", "/api/v1/stock/{sku}/receive", "/api/v1/stock/$SKU/receive", RECEIVE, 201),
    write("POST", "/api/v1/stock/{sku}/adjust", "/api/v1/stock/$SKU/adjust", ADJUST, 201),
    read("/api/v1/payments/{id}", "/api/v1/payments/$LOST", "/api/v1/payments/7", "INVALID_ID"),
    write("POST", "/api/payments/authorize", "/api/payments/authorize", AUTHORIZE, 200),
    write(
        "POST",
        "/api/payments/capture/{id}",
        "/api/payments/capture/$TAKEN",
        r#"{"merchantId":"17"}"#,
        200,
    ),
    write(
        "POST",
        "/api/payments/void/{id}",
        "/api/payments/void/$UNTAKEN",
        r#"{"merchantId":"17"}"#,
        200,
    ),
    write(
        "POST",
        "/api/payments/refund/{id}",
        "/api/payments/refund/$TAKEN",
        r#"{"merchantId":"17","amount":10,"reason":"broken","idempotencyKey":"form-2"}"#,
        200,
    ),
    read(
        "/api/payments/{id}",
        "/api/payments/$TAKEN?merchantId=17",
        "/api/payments/7?merchantId=17",
        "INVALID_ID",
    ),
    write("POST", "/api/v1/payments/{id}/resolve", "/api/v1/payments/$LOST/resolve", RESOLVE, 404),
    read(
        "/api/v1/payments",
        "/api/v1/payments?state=UNKNOWN",
        "/api/v1/payments?state=LOST",
        "INVALID_PARAMETER",
    ),
    write("POST", "/api/v1/payments/{id}/inquire", "/api/v1/payments/$LOST/inquire", WHY, 200),
    read("/api/v1/sagas", "/api/v1/sagas?state=OPEN", "/api/v1/sagas?state=x", "INVALID_PARAMETER"),
    read("/api/v1/sagas/{id}", "/api/v1/sagas/$OPEN", "/api/v1/sagas/7", "INVALID_ID"),
    write("POST", "/api/v1/sagas/{id}/retry", "/api/v1/sagas/$OPEN/retry", WHY, 200),
    write("POST", "/api/v1/sagas/{id}/compensate", "/api/v1/sagas/$OPEN/compensate", WHY, 200),
    write("POST", "/api/v1/sagas/{id}/abandon", "/api/v1/sagas/$OPEN/abandon", WHY, 409),
    read(ACCOUNTS, ACCOUNTS, "/api/v1/ledger/accounts?cursor=-", "INVALID_PARAMETER"),
    read(
        ACCOUNT,
        "/api/v1/ledger/accounts/merchant:m-1:payable?currency=KRW",
        "/api/v1/ledger/accounts/bank",
        "INVALID_PARAMETER",
    ),
    read(
        ENTRIES,
        "/api/v1/ledger/accounts/merchant:m-1:payable/entries?currency=KRW",
        "/api/v1/ledger/accounts/bank/entries?currency=x",
        "INVALID_FIELD",
    ),
    read(
        BALANCE,
        "/api/v1/ledger/accounts/merchant:m-1:payable/balance?currency=KRW",
        "/api/v1/ledger/accounts/bank/balance?currency=KRW&at=x",
        "INVALID_PARAMETER",
    ),
    read(
        "/api/v1/ledger/trial-balance",
        "/api/v1/ledger/trial-balance",
        "/api/v1/ledger/trial-balance?x=1",
        "INVALID_PARAMETER",
    ),
    read("/api/v1/audit", "/api/v1/audit", "/api/v1/audit?cursor=x", "INVALID_PARAMETER"),
    write("POST", JOURNALS, JOURNALS, JOURNAL, 201),
    read(
        "/api/v1/ledger/journals/{id}",
        "/api/v1/ledger/journals/$JOURNAL",
        "/api/v1/ledger/journals/7",
        "INVALID_ID",
    ),
    read("/api/v1/poison", "/api/v1/poison", "/api/v1/poison?state=LOST", "INVALID_PARAMETER"),
    read("/api/v1/poison/{id}", "/api/v1/poison/$POISON", "/api/v1/poison/x", "INVALID_ID"),
    write(
        "POST",
        "/api/v1/poison/{id}/retry",
        "/api/v1/poison/$POISON/retry",
        r#"{"reason":"mended"}"#,
        200,
    ),
    write(
        "POST",
        "/api/v1/poison/{id}/discard",
        "/api/v1/poison/$RUINED/discard",
        r#"{"reason":"hopeless"}"#,
        200,
    ),
    write("POST", "/api/v1/admin/prove", "/api/v1/admin/prove", "", 200),
    write("POST", "/api/v1/admin/read-only", "/api/v1/admin/read-only", r#"{"on":false}"#, 200),
    read(
        "/api/v1/idempotency/{key}",
        "/api/v1/idempotency/sold",
        "/api/v1/idempotency/sold?limit=1",
        "INVALID_PARAMETER",
    ),
    read("/api/v1/parked", "/api/v1/parked", "/api/v1/parked?limit=0", "INVALID_PARAMETER"),
    Case {
        wanted: 404, // nothing is parked; `parked` knows more of it
        ..read(
            "/api/v1/parked/{consumer}/{key}",
            "/api/v1/parked/projections/$SOLD",
            "/api/v1/parked/projections/$SOLD?x=1",
            "INVALID_PARAMETER",
        )
    },
    write(
        "POST",
        "/api/v1/parked/{consumer}/{key}/retry",
        "/api/v1/parked/projections/$SOLD/retry",
        SETTLE,
        404,
    ),
    write(
        "POST",
        "/api/v1/parked/{consumer}/{key}/discard",
        "/api/v1/parked/projections/$SOLD/discard",
        SETTLE,
        404,
    ),
    open("/livez"),
    open("/readyz"),
    open("/actuator/health"),
    open("/metrics"),
    open("/openapi.json"),
];

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
    let products = world.get("/api/v1/products").await;
    let sold = world.place("sold", &order(&sku, 2, 2_000, "tok_visa")).await;
    let held = world.place("held", &unpaid(&sku, 1, 1_000)).await;
    let given = world.place("given", &unpaid(&sku, 1, 1_000)).await;
    let lost = order(&sku, 1, 1_000, "tok_timeout_captured");
    let lost = world.place_async("lost", &lost).await;
    let merchant = json!({ "merchantId": "17", "amount": 1_000 });
    let taken = world.post("/api/payments/authorize", "taken", &merchant).await;
    let untaken = world.post("/api/payments/authorize", "untaken", &merchant).await;
    let journal = world.post(JOURNALS, "j", &serde_json::from_str(JOURNAL).unwrap()).await;
    let [poison, ruined] = set_aside(world).await;
    vec![
        ("$UNTAKEN", text(&untaken.json["paymentId"])),
        ("$TAKEN", text(&taken.json["paymentId"])),
        ("$JOURNAL", text(&journal.json["journalId"])),
        ("$USER", USER.to_owned()),
        ("$PRODUCT", text(&products.json["items"][0]["id"])),
        ("$SOLD", text(&sold.json["id"])),
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
        assert_eq!(open, case.code.is_empty(), "{what}");
        let (path, body) = (filled(case.path, &ids), filled(case.body, &ids));
        let stranger = world.send(request(case, &path, &body, "jbc_nobody")).await;
        assert_eq!(stranger.status, if open { 200 } else { 401 }, "{what}");
        if !open {
            let spoilt = world.send(spoilt(case, &ids)).await;
            assert_eq!(spoilt.code(), case.code, "{what}: {}", spoilt.text);
        }
        let good = world.send(request(case, &path, &body, OPERATOR)).await;
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
