//! Signed requests, through the router: what `auth::claim` knows is tested there, with its own
//! clock; here is that the endpoints go by it.

use std::time::SystemTime;

use axum::body::Body;
use axum::http::Request;
use hmac::{Hmac, KeyInit, Mac};
use jangbu_api::Settings;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::forms::{CASES, Case, filled, ids, request};
use crate::world::{Answer, CLIENT, World, post};

/// The key of merchant 17 in [`World`].
pub(crate) const KEY: &str = "key-17";
pub(crate) const MERCHANT_SECRET: &str = "ssssssssssssssssssssssssssssssss";

/// A signature made with the rules of API.md, by code of its own.
#[derive(Clone, Copy)]
pub(crate) struct Signer {
    pub(crate) key: &'static str,
    pub(crate) secret: &'static str,
    pub(crate) ts: u64,
}

impl Signer {
    /// A second from now: what is signed before the server's start is refused.
    pub(crate) fn new(key: &'static str, secret: &'static str) -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        Self { key, secret, ts: now.as_secs() + 1 }
    }

    pub(crate) fn header(&self, (method, target): (&str, &str), nonce: &str, body: &str) -> String {
        let Self { key, secret, ts } = self;
        let hash = hex(&Sha256::digest(body));
        let text = format!("JANGBU-HMAC-SHA256\n{method}\n{target}\n{ts}\n{nonce}\n{hash}");
        let sig = hex(&mac(secret, &text));
        format!("JANGBU-HMAC-SHA256 keyId={key}, ts={ts}, nonce={nonce}, sig={sig}")
    }
}

fn mac(secret: &str, text: &str) -> [u8; 32] {
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.chain_update(text).finalize().into_bytes().into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

async fn send(world: &World, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let method = if body.is_empty() { "GET" } else { "POST" };
    let mut request =
        Request::builder().method(method).uri(path).header("content-type", "application/json");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    world.send(request.body(Body::from(body.to_owned())).unwrap()).await
}

pub(crate) async fn signed(
    world: &World,
    signer: &Signer,
    path: &str,
    nonce: &str,
    body: &str,
) -> Answer {
    let method = if body.is_empty() { "GET" } else { "POST" };
    let header = signer.header((method, path), nonce, body);
    send(world, path, &[("authorization", &header)], body).await
}

pub(crate) const AUTHORIZE: &str = "/api/payments/authorize";

pub(crate) fn wish(merchant: &str, key: &str) -> String {
    json!({ "merchantId": merchant, "amount": 1_000, "currency": "KRW", "idempotencyKey": key })
        .to_string()
}

#[tokio::test]
async fn a_merchant_signs_its_payments_from_authorisation_to_refund() {
    let world = World::new();
    let signer = Signer::new(KEY, MERCHANT_SECRET);
    let held = signed(&world, &signer, AUTHORIZE, "nonce-00000000-1", &wish("17", "a")).await;
    assert_eq!((held.status, &held.json["status"]), (200, &json!("AUTHORIZED")), "{}", held.text);
    let id = held.json["paymentId"].as_str().unwrap();
    let body = json!({ "merchantId": "17" }).to_string();
    let path = format!("/api/payments/capture/{id}");
    let taken = signed(&world, &signer, &path, "nonce-00000000-2", &body).await;
    assert_eq!((taken.status, &taken.json["status"]), (200, &json!("CAPTURED")), "{}", taken.text);
    let path = format!("/api/payments/{id}?merchantId=17");
    let seen = signed(&world, &signer, &path, "nonce-00000000-3", "").await;
    assert_eq!((seen.status, &seen.json["status"]), (200, &json!("CAPTURED")), "{}", seen.text);
    let body = json!({ "merchantId": "17", "reason": "broken" }).to_string();
    let path = format!("/api/payments/refund/{id}");
    let given = signed(&world, &signer, &path, "nonce-00000000-4", &body).await;
    assert_eq!((given.status, &given.json["status"]), (200, &json!("REFUNDED")), "{}", given.text);
}

#[tokio::test]
async fn a_request_that_is_not_the_signed_one_or_comes_again_does_nothing() {
    let world = World::new();
    let signer = Signer::new(KEY, MERCHANT_SECRET);
    let body = wish("17", "a");
    let header = signer.header(("POST", AUTHORIZE), "nonce-00000000-1", &body);
    let with = |body: &str| {
        let (world, header, body) = (&world, header.clone(), body.to_owned());
        async move { send(world, AUTHORIZE, &[("authorization", &header)], &body).await }
    };
    let dearer = body.replace("1000", "9000");
    assert_eq!(with(&dearer).await.problem(), (401, "SIGNATURE_INVALID"));
    assert_eq!(with("{").await.problem(), (401, "SIGNATURE_INVALID"), "before it is read");
    assert_eq!(with(&body).await.status, 200);
    assert_eq!(with(&body).await.problem(), (401, "NONCE_REUSED"));
    let stale = Signer { ts: signer.ts - 400, ..signer };
    let stale = signed(&world, &stale, AUTHORIZE, "nonce-00000000-2", &body).await;
    assert_eq!(stale.problem(), (401, "SIGNATURE_STALE"));
    let other = Signer::new(KEY, "another-secret-0123456789abcdef0123");
    let other = signed(&world, &other, AUTHORIZE, "nonce-00000000-2", &body).await;
    assert_eq!(other.problem(), (401, "SIGNATURE_INVALID"));
    let bare = send(&world, AUTHORIZE, &[], &body).await;
    assert_eq!(bare.problem(), (401, "UNAUTHORIZED"));
}

#[tokio::test]
async fn a_merchant_acts_for_itself_alone() {
    let world = World::new();
    let signer = Signer::new(KEY, MERCHANT_SECRET);
    for (n, merchant) in ["18", "nobody", "17 "].into_iter().enumerate() {
        let nonce = format!("nonce-00000000-{n}");
        let refused = signed(&world, &signer, AUTHORIZE, &nonce, &wish(merchant, "a")).await;
        let codes = [(403, "FORBIDDEN"), (422, "INVALID_FIELD")];
        assert!(codes.contains(&refused.problem()), "{merchant}: {}", refused.text);
    }
    let held = signed(&world, &signer, AUTHORIZE, "nonce-00000000-9", &wish("17", "a")).await;
    let id = held.json["paymentId"].as_str().unwrap();
    let path = format!("/api/payments/{id}?merchantId=18");
    let seen = signed(&world, &signer, &path, "nonce-00000000-8", "").await;
    assert_eq!(seen.problem(), (403, "FORBIDDEN"));
}

/// One key and one body are one payment, by whichever key the request came.
#[tokio::test]
async fn a_payment_is_the_same_whoever_signs_for_the_merchant() {
    let world = World::new();
    let signer = Signer::new(KEY, MERCHANT_SECRET);
    let body = wish("17", "a");
    let first = signed(&world, &signer, AUTHORIZE, "nonce-00000000-1", &body).await;
    let again = signed(&world, &signer, AUTHORIZE, "nonce-00000000-2", &body).await;
    let mut request = post(AUTHORIZE, "x", CLIENT, &serde_json::from_str::<Value>(&body).unwrap());
    request.headers_mut().remove("idempotency-key");
    let bearer = world.send(request).await;
    for replay in [again, bearer] {
        assert_eq!(replay.header("idempotency-replayed"), "true", "{}", replay.text);
        assert_eq!(replay.json["paymentId"], first.json["paymentId"]);
    }
}

#[tokio::test]
async fn the_legacy_signature_needs_a_key_that_takes_it() {
    let world = World::new();
    let body = wish("17", "a");
    let sig = hex(&mac(MERCHANT_SECRET, &body));
    let refused = send(&world, AUTHORIZE, &[("x-hmac-sha256", &sig)], &body).await;
    assert_eq!(refused.problem(), (403, "LEGACY_SIGNATURE_FORBIDDEN"));
    let body = json!({ "merchantId": "17" }).to_string();
    let path = "/api/payments/capture/pay_0000000001000";
    let sig = hex(&mac(MERCHANT_SECRET, &body));
    let refused = send(&world, path, &[("x-hmac-sha256", &sig)], &body).await;
    assert_eq!(refused.problem(), (403, "LEGACY_SIGNATURE_FORBIDDEN"));
}

#[tokio::test]
async fn the_unsigned_mode_takes_any_merchant_and_opens_nothing_else() {
    let settings = Settings { unsigned_payments: true, ..Settings::default() };
    let world = World::with(settings, true);
    let held = send(&world, AUTHORIZE, &[], &wish("never-heard-of", "a")).await;
    assert_eq!((held.status, &held.json["status"]), (200, &json!("AUTHORIZED")), "{}", held.text);
    let wrong = send(&world, AUTHORIZE, &[("authorization", "Bearer x")], &wish("17", "a")).await;
    assert_eq!(wrong.problem(), (401, "UNAUTHORIZED"));
    let order = send(&world, "/api/v1/orders", &[("idempotency-key", "k")], "{}").await;
    assert_eq!(order.problem(), (401, "UNAUTHORIZED"));
}

/// Sizes are limited before anything is signed or read.
#[tokio::test]
async fn a_body_that_is_too_large_is_refused_before_its_signature_is_checked() {
    let world = World::with(Settings { body: 1_000, ..Settings::default() }, true);
    let signer = Signer::new(KEY, MERCHANT_SECRET);
    let large = "x".repeat(1_001);
    let refused = signed(&world, &signer, AUTHORIZE, "nonce-00000000-1", &large).await;
    assert_eq!(refused.problem(), (413, "BODY_TOO_LARGE"));
}

#[tokio::test]
async fn a_full_memory_of_nonces_is_a_limit_that_says_when() {
    let world = World::with(Settings { nonces: 1, ..Settings::default() }, true);
    let signer = Signer::new(KEY, MERCHANT_SECRET);
    let first = signed(&world, &signer, AUTHORIZE, "nonce-00000000-1", &wish("17", "a")).await;
    assert_eq!(first.status, 200, "{}", first.text);
    let second = signed(&world, &signer, AUTHORIZE, "nonce-00000000-2", &wish("17", "b")).await;
    assert_eq!(second.problem(), (429, "NONCE_STORE_FULL"));
    let seconds: u64 = second.header("retry-after").parse().unwrap();
    assert!((300..=361).contains(&seconds), "{seconds}: until the minute of the first is over");
}

/// Sends the good request of `case` as `signer` signs it.
async fn signed_case(
    world: &World,
    (case, path, body): (&Case, &str, &str),
    signer: &Signer,
    nonce: &str,
) -> Answer {
    let header = signer.header((case.method, path), nonce, body);
    let mut request = request(case, path, body, CLIENT);
    request.headers_mut().insert("authorization", header.parse().unwrap());
    request.headers_mut().remove("idempotency-key");
    world.send(request).await
}

/// Every endpoint that merchants sign for × who must not get in.
#[tokio::test]
async fn every_signed_endpoint_refuses_the_stale_the_forged_the_replayed_and_the_stranger() {
    let world = World::new();
    let ids = ids(&world).await;
    let good = Signer::new(KEY, MERCHANT_SECRET);
    let stale = Signer { ts: good.ts - 400, ..good };
    let early = Signer { ts: good.ts + 400, ..good };
    let forged = Signer { secret: "tttttttttttttttttttttttttttttttt", ..good };
    let nobody = Signer { key: "key-99", ..good };
    let stranger = Signer { key: "key-18", ..good };
    let mut seen = 0;
    for case in CASES.iter().filter(|case| case.template.starts_with("/api/payments/")) {
        let (path, body) = (filled(case.path, &ids), filled(case.body, &ids));
        let what = (case, &*path, &*body);
        for (no, (signer, code)) in [
            (&stale, "SIGNATURE_STALE"),
            (&early, "SIGNATURE_STALE"),
            (&forged, "SIGNATURE_INVALID"),
            (&nobody, "SIGNATURE_INVALID"),
            (&stranger, "FORBIDDEN"),
        ]
        .into_iter()
        .enumerate()
        {
            let nonce = format!("nonce-{seen}-{no}-0123456789");
            let answer = signed_case(&world, what, signer, &nonce).await;
            assert_eq!(answer.code(), code, "{} {path}: {}", case.method, answer.text);
        }
        let nonce = format!("nonce-{seen}-good-0123456789");
        let first = signed_case(&world, what, &good, &nonce).await;
        assert!(first.status < 300, "{} {path}: {}", case.method, first.text);
        let again = signed_case(&world, what, &good, &nonce).await;
        assert_eq!(again.problem(), (401, "NONCE_REUSED"), "{} {path}", case.method);
        seen += 1;
    }
    assert_eq!(seen, 5, "authorize, capture, void, refund, get");
}
