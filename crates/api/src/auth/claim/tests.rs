use std::sync::LazyLock;

use axum::http::Request;
use hmac::{Hmac, KeyInit, Mac};
use jangbu_kernel::Secret;
use sha2::Sha256;

use super::*;
use crate::auth::MerchantKey;
use crate::reply::Reply;
use crate::route::Doc;

const DOC: Doc = Doc { summary: "", query: &[], body: None, answers: &[], codes: &[] };

const fn route(role: Role, name: &'static str) -> Route {
    let run = |_, _| -> crate::route::Work { Box::pin(async { Ok(Reply::ok(&())) }) };
    Route { method: "POST", path: "/", name, role, keyed: false, run, doc: DOC }
}

static AUTHORIZE: Route = route(Role::Merchant, "payment.authorize");
static CAPTURE: Route = route(Role::Merchant, "payment.capture");
static PLACE: Route = route(Role::Client, "order.place");
static LIST: Route = route(Role::Customer, "order.list");
static PROVE: Route = route(Role::Operator, "admin.prove");
static LIVE: Route = route(Role::Anybody, "livez");

const STARTED: i64 = 1_795_000_000;
const NOW: i64 = STARTED + 1_000;
const OLD: &str = "old-secret-of-merchant-1-000000000";
const NEW: &str = "new-secret-of-merchant-1-000000000";
const OTHER: &str = "the-secret-of-merchant-2-000000000";
const TARGET: &str = "/api/payments/authorize?a=1";
const BODY: &[u8] = br#"{"merchantId":"m-1","amount":1000}"#;

static SESSIONS: LazyLock<Sessions> =
    LazyLock::new(|| Sessions::new(&[("0001".into(), Secret::new(OTHER))]));

static DIRECTORY: LazyLock<Directory> = LazyLock::new(Directory::default);

fn keys() -> Keys {
    let mut keys = Keys::new(Secret::new("c"), Secret::new("o"));
    for (id, merchant, secret, legacy) in
        [("k1", "m-1", OLD, false), ("k2", "m-1", NEW, true), ("k3", "m-2", OTHER, false)]
    {
        let (id, merchant) = (id.to_owned(), merchant.to_owned());
        keys.add_merchant(MerchantKey { id, merchant, secret: Secret::new(secret), legacy })
            .unwrap();
    }
    keys
}

fn door(keys: &Keys, now: i64) -> Door<'_> {
    let time = |seconds: i64| Time(seconds * SECOND);
    let (sessions, directory, started) = (&*SESSIONS, &*DIRECTORY, time(STARTED));
    Door { keys, directory, sessions, unsigned: false, nonces: 3, started, now: time(now) }
}

fn hex(secret: &str, text: &[u8]) -> String {
    let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    let sig = mac.chain_update(text).finalize().into_bytes();
    sig.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn signature(key: &str, secret: &str, ts: i64, nonce: &str) -> String {
    let target = TARGET.parse().unwrap();
    let text = signature::text(&Method::POST, &target, (ts, nonce), BODY);
    let sig = hex(secret, text.as_bytes());
    format!("JANGBU-HMAC-SHA256 keyId={key}, ts={ts}, nonce={nonce}, sig={sig}")
}

fn parts(headers: &[(&str, &str)]) -> Parts {
    let mut request = Request::post(TARGET);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

/// The name of the key, or the code of the refusal.
fn ask(
    door: &Door<'_>,
    route: &Route,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Result<String, &'static str> {
    let parts = parts(headers);
    let caller = Claim::read(door, &parts, route)
        .and_then(|claim| claim.settle(door, (&parts.method, parts.uri.path_and_query()), body));
    caller.map(|caller| caller.name.to_string()).map_err(|problem| problem.code)
}

fn signed(door: &Door<'_>, header: &str) -> Result<String, &'static str> {
    ask(door, &AUTHORIZE, &[("authorization", header)], BODY)
}

#[test]
fn operators_may_do_what_clients_may_and_not_the_other_way_round() {
    let keys = keys();
    for (value, route, who) in [
        ("Bearer o", &PLACE, Ok("operator")),
        ("bearer c", &PLACE, Ok("client")),
        ("Bearer c", &AUTHORIZE, Ok("client")),
        ("Bearer c", &PROVE, Err("FORBIDDEN")),
        ("Bearer x", &PLACE, Err("UNAUTHORIZED")),
        ("Basic c", &PLACE, Err("UNAUTHORIZED")),
        ("Bearer x", &AUTHORIZE, Err("UNAUTHORIZED")),
        ("Bearer x", &LIVE, Ok("anybody")),
    ] {
        let came = ask(&door(&keys, NOW), route, &[("authorization", value)], BODY);
        assert_eq!(came.as_deref().map_err(|code| *code), who, "{value} {}", route.name);
    }
}

#[test]
fn a_session_is_for_the_routes_of_customers_alone() {
    let keys = keys();
    let (now, user) = (Time(NOW * SECOND), jangbu_kernel::UserId(4_096));
    let until = Time((NOW + 60) * SECOND);
    let token = SESSIONS.issue(user, 0, now, until).unwrap();
    let bearer = format!("Bearer {}", token.reveal());
    for (value, route, who) in [
        (&*bearer, &LIST, Ok(user.to_string())),
        (&bearer, &PLACE, Err("FORBIDDEN")),
        (&bearer, &AUTHORIZE, Err("FORBIDDEN")),
        (&bearer, &PROVE, Err("FORBIDDEN")),
        (&bearer[..60], &LIST, Err("UNAUTHORIZED")),
        ("Bearer c", &LIST, Ok("client".to_owned())),
        ("Bearer o", &LIST, Ok("operator".to_owned())),
        ("Bearer x", &LIST, Err("UNAUTHORIZED")),
    ] {
        let came = ask(&door(&keys, NOW), route, &[("authorization", value)], BODY);
        assert_eq!(came, who, "{value} {}", route.name);
    }
    let over = ask(&door(&keys, NOW + 60), &LIST, &[("authorization", &bearer)], BODY);
    assert_eq!(over, Err("UNAUTHORIZED"));
}

#[test]
fn the_unsigned_mode_opens_payments_alone_and_never_excuses_a_bad_key() {
    let keys = keys();
    let door = Door { unsigned: true, ..door(&keys, NOW) };
    assert_eq!(ask(&door, &AUTHORIZE, &[], BODY).as_deref(), Ok("unsigned"));
    let bad = signature("k1", NEW, NOW, "0123456789abcdef");
    assert_eq!(signed(&door, "Bearer x"), Err("UNAUTHORIZED"));
    assert_eq!(signed(&door, &bad), Err("SIGNATURE_INVALID"));
    for route in [&PLACE, &PROVE] {
        assert_eq!(ask(&door, route, &[], BODY), Err("UNAUTHORIZED"));
    }
}

#[test]
fn both_keys_of_a_rotation_sign_and_others_do_not() {
    let keys = keys();
    let door = door(&keys, NOW);
    let of = |key, secret, nonce| signed(&door, &signature(key, secret, NOW, nonce));
    assert_eq!(of("k1", OLD, "nonce-1-00000000").as_deref(), Ok("k1"));
    assert_eq!(of("k2", NEW, "nonce-2-00000000").as_deref(), Ok("k2"));
    assert_eq!(of("k3", OTHER, "nonce-1-00000000").as_deref(), Ok("k3"), "nonces are per key");
    assert_eq!(of("k1", NEW, "nonce-3-00000000"), Err("SIGNATURE_INVALID"));
    assert_eq!(of("k9", OLD, "nonce-3-00000000"), Err("SIGNATURE_INVALID"), "revoked");
    let caller = keys.signing("k3").unwrap().caller.clone();
    assert_eq!(caller.merchant.as_deref(), Some("m-2"));
}

#[test]
fn a_signature_is_good_for_300_seconds_either_way_and_never_from_before_the_start() {
    let keys = keys();
    let at = |now, ts, nonce| signed(&door(&keys, now), &signature("k1", OLD, ts, nonce));
    assert_eq!(at(NOW, NOW - 301, "nonce-1-00000000"), Err("SIGNATURE_STALE"));
    assert_eq!(at(NOW, NOW + 301, "nonce-1-00000000"), Err("SIGNATURE_STALE"));
    assert!(at(NOW, NOW - 300, "nonce-1-00000000").is_ok());
    assert!(at(NOW, NOW + 300, "nonce-2-00000000").is_ok());
    let just = STARTED + 1;
    assert_eq!(at(just, STARTED - 5, "nonce-3-00000000"), Err("SIGNATURE_STALE"));
    assert_eq!(at(just, STARTED, "nonce-3-00000000"), Err("SIGNATURE_STALE"), "that very second");
    assert!(
        signed(&door(&self::keys(), just), &signature("k1", OLD, just, "nonce-3-00000000")).is_ok()
    );
}

/// The check that counts is the one after the body: a slow body must not outlive its nonce.
#[test]
fn a_body_that_comes_too_late_is_stale() {
    let keys = keys();
    let header = signature("k1", OLD, NOW, "nonce-1-00000000");
    let parts = parts(&[("authorization", &header)]);
    let claim = Claim::read(&door(&keys, NOW + 300), &parts, &AUTHORIZE).unwrap();
    let target = parts.uri.path_and_query();
    let late = claim.settle(&door(&keys, NOW + 301), (&parts.method, target), BODY);
    assert_eq!(late.unwrap_err().code, "SIGNATURE_STALE");
}

#[test]
fn a_signature_comes_once_and_a_full_memory_refuses() {
    let keys = keys();
    let door = door(&keys, NOW);
    let of = |nonce| signed(&door, &signature("k1", OLD, NOW, nonce));
    let bad = signature("k1", NEW, NOW, "nonce-1-00000000");
    assert_eq!(signed(&door, &bad), Err("SIGNATURE_INVALID"));
    assert!(of("nonce-1-00000000").is_ok(), "a bad signature uses up no nonce");
    assert_eq!(of("nonce-1-00000000"), Err("NONCE_REUSED"));
    assert!(of("nonce-2-00000000").is_ok() && of("nonce-3-00000000").is_ok());
    assert_eq!(of("nonce-4-00000000"), Err("NONCE_STORE_FULL"));
    assert_eq!(of("nonce-1-00000000"), Err("NONCE_REUSED"), "known ones still are");
    let other = signature("k2", NEW, NOW, "nonce-4-00000000");
    assert!(signed(&door, &other).is_ok(), "another key has its own memory");
}

#[test]
fn a_signature_is_of_this_request_alone() {
    let keys = keys();
    let door = door(&keys, NOW);
    let header = signature("k1", OLD, NOW, "nonce-1-00000000");
    let with = |method: &Method, target: &str, body: &[u8]| {
        let claim = Claim::read(&door, &parts(&[("authorization", &header)]), &AUTHORIZE).unwrap();
        let target = target.parse().unwrap();
        claim.settle(&door, (method, Some(&target)), body).map_err(|problem| problem.code)
    };
    for (method, target, body) in [
        (Method::PUT, TARGET, BODY),
        (Method::POST, "/api/payments/authorize", BODY),
        (Method::POST, "/api/payments/authorize?a=%31", BODY),
        (Method::POST, "/api/payments/capture?a=1", BODY),
        (Method::POST, TARGET, b"{}"),
        (Method::POST, TARGET, b""),
    ] {
        assert_eq!(with(&method, target, body), Err("SIGNATURE_INVALID"), "{method} {target}");
    }
    assert!(with(&Method::POST, TARGET, BODY).is_ok());
    let upper = signature("k1", OLD, NOW, "nonce-2-00000000");
    let (rest, sig) = upper.split_once("sig=").unwrap();
    let upper = format!("{rest}sig={}", sig.to_uppercase());
    assert!(signed(&door, &upper).is_ok(), "hexadecimal digits of either case");
    let scheme = upper.replacen("JANGBU", "jangbu", 1).replace("nonce-2", "nonce-3");
    assert_eq!(signed(&door, &scheme), Err("SIGNATURE_INVALID"), "read, and not of this nonce");
}

#[test]
fn signatures_are_for_payments() {
    let keys = keys();
    let header = signature("k1", OLD, NOW, "nonce-1-00000000");
    for route in [&PLACE, &PROVE] {
        let refused = ask(&door(&keys, NOW), route, &[("authorization", &header)], BODY);
        assert_eq!(refused, Err("UNAUTHORIZED"));
    }
    let none = ask(&door(&keys, NOW), &AUTHORIZE, &[], BODY);
    assert_eq!(none, Err("UNAUTHORIZED"));
    assert_eq!(signed(&door(&keys, NOW), "JANGBU-HMAC-SHA256 keyId=k1"), Err("SIGNATURE_INVALID"));
}

#[test]
fn the_legacy_signature_authorizes_with_a_key_that_takes_it_and_nothing_else() {
    let keys = keys();
    let door = door(&keys, NOW);
    let with = |route, sig: &str, body: &[u8]| ask(&door, route, &[("x-hmac-sha256", sig)], body);
    let good = hex(NEW, BODY);
    assert_eq!(with(&AUTHORIZE, &good, BODY).as_deref(), Ok("k2"));
    assert_eq!(with(&AUTHORIZE, &good.to_uppercase(), BODY).as_deref(), Ok("k2"));
    assert_eq!(with(&CAPTURE, &good, BODY), Err("LEGACY_SIGNATURE_FORBIDDEN"));
    assert_eq!(with(&PLACE, &good, BODY), Err("UNAUTHORIZED"));
    assert_eq!(with(&AUTHORIZE, &hex(OLD, BODY), BODY), Err("SIGNATURE_INVALID"), "k1 takes none");
    assert_eq!(with(&AUTHORIZE, "00", BODY), Err("SIGNATURE_INVALID"));
    for (body, code) in [
        (&br#"{"merchantId":"m-2"}"#[..], "LEGACY_SIGNATURE_FORBIDDEN"),
        (br#"{"merchantId":"m-3"}"#, "SIGNATURE_INVALID"),
        (br#"{"merchantId":"m-1","merchantId":"m-1"}"#, "SIGNATURE_INVALID"),
        (br#"{"amount":1}"#, "SIGNATURE_INVALID"),
        (b"", "SIGNATURE_INVALID"),
        (b"\xff", "SIGNATURE_INVALID"),
    ] {
        assert_eq!(with(&AUTHORIZE, &hex(OTHER, body), body), Err(code));
    }
}
