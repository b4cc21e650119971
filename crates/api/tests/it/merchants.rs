//! Merchants over HTTP: keys of the store beside those in files, fees with dates, suspension.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::signed::{AUTHORIZE, KEY, MERCHANT_SECRET, Signer, signed, wish};
use crate::world::{Answer, CLIENT, World, post};

const MERCHANTS: &str = "/api/v1/merchants";

fn why() -> Value {
    json!({ "reason": "the contract" })
}

impl World {
    async fn merchant(&self, code: &str) -> Answer {
        let body = json!({ "merchantId": code, "name": "Kim" });
        self.post(MERCHANTS, &format!("make-{code}"), &body).await
    }

    async fn merchants_key(&self, code: &str, key: &str) -> Answer {
        self.post(&format!("{MERCHANTS}/{code}/keys"), key, &json!({})).await
    }

    async fn turn(&self, code: &str, verb: &str) -> Answer {
        self.post(&format!("{MERCHANTS}/{code}/{verb}"), &format!("{verb}-{code}"), &why()).await
    }

    /// An authorization of 1000 that is asked for with a bearer key.
    async fn authorize_as(&self, bearer: &str, merchant: &str, key: &str) -> Answer {
        let body: Value = serde_json::from_str(&wish(merchant, key)).unwrap();
        let mut request = post(AUTHORIZE, key, bearer, &body);
        request.headers_mut().remove("idempotency-key");
        self.send(request).await
    }
}

/// Id and secret of a key that was just made.
fn signer(made: &Answer) -> Signer {
    assert_eq!(made.status, 201, "{}", made.text);
    let text = |field: &str| made.json[field].as_str().unwrap().to_owned().leak();
    Signer::new(text("keyId"), text("secret"))
}

#[tokio::test]
async fn a_key_of_the_store_signs_at_once_and_its_secret_is_shown_once() {
    for world in World::all() {
        assert_eq!(world.merchant("tees").await.status, 201);
        let made = world.merchants_key("tees", "k1").await;
        let first = signer(&made);
        let held = signed(&world, &first, AUTHORIZE, "nonce-00000000-1", &wish("tees", "a")).await;
        assert_eq!(held.json["status"], "AUTHORIZED", "{}", held.text);
        let again = world.merchants_key("tees", "k1").await;
        assert_eq!(
            (&again.json["keyId"], again.header("idempotency-replayed")),
            (&made.json["keyId"], "true")
        );
        assert_eq!(again.json["secret"], Value::Null, "{}", again.text);
        let shown = world.get(&format!("{MERCHANTS}/tees")).await;
        let secret = made.json["secret"].as_str().unwrap();
        assert!(
            secret.len() == 52 && !shown.text.contains(secret) && !shown.text.contains("ealed")
        );
        if let Some(memory) = &world.memory {
            let rows = format!("{:?}", memory.dump());
            assert!(rows.contains("tees") && !rows.contains(secret), "it is in the store");
        }
        let log = world.get("/api/v1/audit?operation=merchant.key").await;
        assert_eq!(log.json["items"][0]["resource"], "tees");
        assert!(!log.text.contains(secret), "{}", log.text);
    }
}

#[tokio::test]
async fn two_keys_of_a_merchant_are_live_while_one_replaces_the_other() {
    let world = World::new();
    world.merchant("tees").await;
    let old = signer(&world.merchants_key("tees", "k1").await);
    let new = signer(&world.merchants_key("tees", "k2").await);
    let third = world.merchants_key("tees", "k3").await;
    assert_eq!(third.problem(), (409, "MERCHANT_KEYS_FULL"));
    for (n, key) in [(1, &old), (2, &new)] {
        let nonce = format!("nonce-00000000-{n}");
        let held = signed(&world, key, AUTHORIZE, &nonce, &wish("tees", &nonce)).await;
        assert_eq!(held.status, 200, "{}", held.text);
    }
    let revoke = format!("{MERCHANTS}/tees/keys/{}/revoke", old.key);
    let row = world.post(&revoke, "r1", &why()).await;
    let live = |at: usize| row.json["keys"][at]["live"].as_bool().unwrap();
    assert_eq!((live(0), live(1)), (false, true), "{}", row.text);
    let gone = signed(&world, &old, AUTHORIZE, "nonce-00000000-3", &wish("tees", "c")).await;
    assert_eq!(gone.problem(), (401, "SIGNATURE_INVALID"));
    let good = signed(&world, &new, AUTHORIZE, "nonce-00000000-4", &wish("tees", "d")).await;
    assert_eq!(good.status, 200, "{}", good.text);
    let unknown = format!("{MERCHANTS}/tees/keys/key_0000000001000/revoke");
    assert_eq!(world.post(&unknown, "r2", &why()).await.problem(), (404, "MERCHANT_KEY_UNKNOWN"));
    let nobody = world.merchants_key("nobody", "k4").await;
    assert_eq!(nobody.problem(), (404, "MERCHANT_UNKNOWN"));
}

/// What a server that starts now knows comes from the rows.
#[tokio::test]
async fn keys_of_the_store_are_good_after_a_restart_and_revoked_ones_are_not() {
    let world = World::with(jangbu_api::Settings::default(), false);
    world.merchant("tees").await;
    let old = signer(&world.merchants_key("tees", "k1").await);
    let new = signer(&world.merchants_key("tees", "k2").await);
    let revoke = format!("{MERCHANTS}/tees/keys/{}/revoke", old.key);
    assert_eq!(world.post(&revoke, "r", &why()).await.status, 200);
    let router = world.again();
    let ask = |signer: Signer, nonce: &'static str| {
        let body = wish("tees", nonce);
        // The new server refuses what was signed in the second of its start.
        let signer = Signer { ts: signer.ts + 60, ..signer };
        let header = signer.header(("POST", AUTHORIZE), nonce, &body);
        let request = Request::post(AUTHORIZE).header("authorization", header);
        let request = request.header("content-type", "application/json");
        let answer = router.clone().oneshot(request.body(Body::from(body)).unwrap());
        async { answer.await.unwrap().status().as_u16() }
    };
    assert_eq!(ask(old, "nonce-00000000-1").await, 401);
    assert_eq!(ask(new, "nonce-00000000-2").await, 200);
}

#[tokio::test]
async fn a_suspended_merchant_is_refused_whoever_acts_for_it_but_an_operator() {
    let world = World::new();
    // Merchant 17 has its key in a file.
    assert_eq!(world.merchant("17").await.status, 201);
    let file = Signer::new(KEY, MERCHANT_SECRET);
    let stored = signer(&world.merchants_key("17", "k1").await);
    let suspended = world.turn("17", "suspend").await;
    assert_eq!(suspended.json["state"], "SUSPENDED", "{}", suspended.text);
    for (n, key) in [(1, &file), (2, &stored)] {
        let nonce = format!("nonce-00000000-{n}");
        let refused = signed(&world, key, AUTHORIZE, &nonce, &wish("17", &nonce)).await;
        assert_eq!(refused.problem(), (403, "MERCHANT_SUSPENDED"));
    }
    let forged = Signer::new(KEY, "another-secret-0123456789abcdef0123");
    let forged = signed(&world, &forged, AUTHORIZE, "nonce-00000000-3", &wish("17", "f")).await;
    assert_eq!(forged.problem(), (401, "SIGNATURE_INVALID"), "strangers are told nothing");
    let client = world.authorize_as(CLIENT, "17", "c").await;
    assert_eq!(client.problem(), (403, "MERCHANT_SUSPENDED"));
    let operator = world.authorize_as(crate::world::OPERATOR, "17", "o").await;
    assert_eq!(operator.status, 200, "{}", operator.text);
    assert_eq!(world.turn("17", "resume").await.json["state"], "ACTIVE");
    let served = signed(&world, &file, AUTHORIZE, "nonce-00000000-4", &wish("17", "s")).await;
    assert_eq!(served.status, 200, "{}", served.text);
    // A key of the store lets the client act for its merchant, as one in a file does.
    world.merchant("tees").await;
    assert_eq!(world.authorize_as(CLIENT, "tees", "x").await.problem(), (403, "FORBIDDEN"));
    world.merchants_key("tees", "k2").await;
    assert_eq!(world.authorize_as(CLIENT, "tees", "x").await.status, 200);
}

#[tokio::test]
async fn fees_have_dates_and_leave_the_past_alone() {
    let world = World::new();
    world.merchant("tees").await;
    let path = format!("{MERCHANTS}/tees/fees");
    let fee = |from: &str, to: Value, rate: i64| json!({ "from": from, "to": to, "rateBp": rate, "fixed": 100, "vatBp": 1000 });
    let first = json!({ "fees": [fee("2020-01-01T00:00:00+09:00", Value::Null, 350)] });
    assert_eq!(world.put(&path, "f1", &first).await.status, 200);
    let later = json!({ "fees": [
        fee("2099-01-01T00:00:00+09:00", json!("2099-02-01T00:00:00+09:00"), 0),
        fee("2099-02-01T00:00:00+09:00", Value::Null, 300),
    ] });
    let row = world.put(&path, "f2", &later).await;
    let rates: Vec<i64> = (0..3).map(|n| row.json["fees"][n]["rateBp"].as_i64().unwrap()).collect();
    assert_eq!(rates, [350, 0, 300], "{}", row.text);
    assert_eq!(row.json["fees"][0]["to"], "2098-12-31T15:00:00.000000Z");
    let past = json!({ "fees": [fee("2021-01-01T00:00:00+09:00", Value::Null, 1)] });
    assert_eq!(world.put(&path, "f3", &past).await.problem(), (409, "FEES_PAST"));
    let crossed = json!({ "fees": [
        fee("2099-01-01T00:00:00Z", Value::Null, 0), fee("2099-02-01T00:00:00Z", Value::Null, 1),
    ] });
    let refused = world.put(&path, "f4", &crossed).await;
    assert_eq!((refused.problem(), refused.field()), ((422, "FEES_INVALID"), "fees[1]"));
    let noon = json!({ "fees": [fee("noon", Value::Null, 1)] });
    let refused = world.put(&path, "f5", &noon).await;
    assert_eq!((refused.problem(), refused.field()), ((422, "INVALID_FIELD"), "fees[0].from"));
}

#[tokio::test]
async fn merchants_are_listed_by_their_id() {
    let world = World::new();
    for code in ["m-2", "m-3", "m-1"] {
        assert_eq!(world.merchant(code).await.status, 201);
    }
    let again = json!({ "merchantId": "m-1", "name": "Lee" });
    assert_eq!(world.post(MERCHANTS, "other", &again).await.problem(), (409, "MERCHANT_EXISTS"));
    for (body, code) in [
        (json!({ "merchantId": "m 1", "name": "Kim" }), "MERCHANT_CODE_INVALID"),
        (json!({ "merchantId": "m-4", "name": "" }), "MERCHANT_NAME_INVALID"),
    ] {
        assert_eq!(world.post(MERCHANTS, code, &body).await.problem(), (422, code));
    }
    let ids = |page: &Answer| {
        let items = page.json["items"].as_array().unwrap().clone();
        items.iter().map(|row| row["merchantId"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let first = world.get(&format!("{MERCHANTS}?limit=2")).await;
    assert_eq!(ids(&first), ["m-1", "m-2"]);
    let next = first.json["nextCursor"].as_str().unwrap();
    let rest = world.get(&format!("{MERCHANTS}?limit=2&cursor={next}")).await;
    assert_eq!((ids(&rest), &rest.json["nextCursor"]), (vec!["m-3".to_owned()], &Value::Null));
    assert_eq!(world.get(&format!("{MERCHANTS}/m-9")).await.problem(), (404, "MERCHANT_UNKNOWN"));
}
