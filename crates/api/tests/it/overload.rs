//! When more comes than can be done.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use jangbu_api::{AdmissionRules, Connections, Settings};
use jangbu_engine::port::Fault;
use jangbu_store::On;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::coupons::{campaign, issue};
use crate::wire::{Served, exchange, place};
use crate::world::{Answer, CLIENT, USER, World, order};

/// A shop that lets one order and one read in at a time, and whose store stands still.
async fn stuck() -> (World, serde_json::Value) {
    stuck_at(0).await
}

/// The same, with so many refusals a second.
async fn stuck_at(refusals: u32) -> (World, serde_json::Value) {
    let admission = AdmissionRules { most: 1, browse: 1, refusals, ..AdmissionRules::default() };
    let world = World::with(Settings { admission, ..Settings::default() }, true);
    let sku = world.sku("p", 1_000, 9).await;
    let body = order(&sku, 1, 1_000, "tok_visa");
    assert_eq!(world.place("known", &body).await.status, 201);
    let busy = Fault::Transient("busy".to_owned());
    world.memory.as_ref().unwrap().faults().fail(On::Commit, u32::MAX, busy);
    (world, body)
}

fn go_on(world: &World) {
    world.memory.as_ref().unwrap().faults().clear();
}

/// Until an order is in flight.
async fn busy(world: &World) {
    let series = "\njangbu_admission_busy{class=\"checkout\"} 1\n";
    while !world.get("/metrics").await.text.contains(series) {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

fn is_shed(answer: &Answer) -> bool {
    assert!(answer.header("content-type") == "application/problem+json" || answer.status < 300);
    answer.problem() == (503, "SHED") && answer.header("retry-after") == "1"
}

#[tokio::test]
async fn beyond_the_limit_an_order_is_refused_at_once_and_its_key_stays_free() {
    let (world, body) = stuck().await;
    let first = world.place("first", &body);
    let others = async {
        busy(&world).await;
        let refused = world.place("second", &body).await;
        assert!(is_shed(&refused), "{}", refused.text);
        assert_eq!(refused.json["retryable"], true);
        assert_eq!(refused.header("x-correlation-id"), refused.json["requestId"]);
        let metrics = world.get("/metrics").await.text;
        let series = "jangbu_admission_refused_total{class=\"checkout\",why=\"bound\"} 1\n";
        assert!(metrics.contains(series), "operators and health are never refused: {metrics}");
        assert_eq!(world.get("/readyz").await.status, 200);
        go_on(&world);
    };
    let (first, ()) = tokio::join!(first, others);
    assert_eq!(first.status, 201, "{}", first.text);
    let again = world.place("second", &body).await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (201, ""), "{}", again.text);
}

#[tokio::test]
async fn a_refusal_comes_before_the_key_and_the_body_are_looked_at() {
    let (world, body) = stuck().await;
    let first = world.place("first", &body);
    let others = async {
        busy(&world).await;
        let stranger = Request::post("/api/v1/orders").header("x-correlation-id", "mine");
        let refused = world.send(stranger.body(Body::from("no json")).unwrap()).await;
        assert!(is_shed(&refused), "{}", refused.text);
        assert_eq!(refused.header("x-correlation-id"), "mine");
        go_on(&world);
    };
    tokio::join!(first, others);
}

#[tokio::test]
async fn what_was_accepted_before_is_answered_although_others_are_refused() {
    let (world, body) = stuck().await;
    let first = world.place("first", &body);
    let others = async {
        busy(&world).await;
        assert!(is_shed(&world.place("second", &body).await));
        let replay = world.place("known", &body);
        let go = async {
            // The replay waits for the same store; then it gets its first answer.
            tokio::time::sleep(Duration::from_millis(5)).await;
            go_on(&world);
        };
        let (replay, ()) = tokio::join!(replay, go);
        assert_eq!((replay.status, replay.header("idempotency-replayed")), (201, "true"));
    };
    tokio::join!(first, others);
}

#[tokio::test]
async fn a_client_that_hangs_up_keeps_its_place_until_its_order_is_done() {
    let (world, body) = stuck().await;
    let limit = Duration::from_millis(20);
    assert!(tokio::time::timeout(limit, world.place("gone", &body)).await.is_err());
    busy(&world).await;
    assert!(is_shed(&world.place("second", &body).await), "the order is still in the mailbox");
    go_on(&world);
    let mut tries = 0..2_000;
    while is_shed(&world.place("second", &body).await) {
        assert!(tries.next().is_some(), "the place does not come back");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Its time in the queue counts, as that of an order does: coupons alone are a load, too.
#[tokio::test]
async fn a_coupon_keeps_its_place_until_its_commit_is_known() {
    let (world, body) = stuck().await;
    go_on(&world);
    let id = campaign(&world, "c", 3, 1).await;
    let fault = Fault::Transient("busy".to_owned());
    world.memory.as_ref().unwrap().faults().fail(On::Commit, u32::MAX, fault);
    let limit = Duration::from_millis(20);
    assert!(tokio::time::timeout(limit, issue(&world, &id, "gone", USER)).await.is_err());
    busy(&world).await;
    assert!(is_shed(&world.place("second", &body).await), "the coupon is still in the mailbox");
    go_on(&world);
    let mut tries = 0..2_000;
    while is_shed(&issue(&world, &id, "gone", USER).await) {
        assert!(tries.next().is_some(), "the place does not come back");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(world.place("second", &body).await.status, 201);
}

#[tokio::test]
async fn reads_of_clients_have_a_bound_and_those_of_operators_do_not() {
    let admission = AdmissionRules { browse: 1, ..AdmissionRules::default() };
    let world = World::with(Settings { admission, ..Settings::default() }, true);
    let read = || {
        let request = Request::get("/api/v1/orders?userId=usr_0000000001000");
        let request = request.header("authorization", format!("Bearer {CLIENT}"));
        world.send(request.body(Body::empty()).unwrap())
    };
    let mut shed = 0;
    // Two at the same time, until the second really came before the first was done.
    for _ in 0..1_000 {
        let (one, two) = tokio::join!(read(), read());
        let answers = [&one, &two];
        let done = answers.iter().filter(|answer| answer.status == 200).count();
        shed = answers.iter().filter(|answer| is_shed(answer)).count();
        assert!(done >= 1 && done + shed == 2, "{} {}", one.text, two.text);
        if shed > 0 {
            break;
        }
    }
    assert_eq!(shed, 1);
    let live = || world.get("/livez");
    let (one, two) = tokio::join!(live(), live());
    assert_eq!((one.status, two.status), (200, 200));
}

#[tokio::test]
async fn a_refusal_on_the_wire_is_the_same_and_the_connection_goes_on() {
    // At once, and each in its turn: the second one waits.
    for refusals in [0, 20] {
        refused_on_the_wire(refusals).await;
    }
}

async fn refused_on_the_wire(refusals: u32) {
    let (world, body) = stuck_at(refusals).await;
    let served = Served::by(&world, Connections::default()).await;
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    let body = body.to_string();
    let live = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";
    let (head, _) = exchange(&mut stream, live).await;
    assert!(head.contains("200 OK"), "{head}");
    let mut first = TcpStream::connect(served.address).await.unwrap();
    first.write_all(place("first", &body).as_bytes()).await.unwrap();
    busy(&world).await;
    let usual = place("second", &body);
    // A connection header sends the same request the long way.
    let long = usual.replace("Host: x", "Host: x\r\nConnection: keep-alive");
    let mut answers = Vec::new();
    for text in [&usual, &usual, &long, &usual] {
        let text = text.replace("Host: x", "Host: x\r\nX-Correlation-Id: mine");
        let (head, body) = exchange(&mut stream, &text).await;
        for line in ["HTTP/1.1 503 ", "retry-after: 1", "x-correlation-id: mine", "problem+json"] {
            assert!(head.contains(line), "{line}: {head}");
        }
        answers.push(body);
    }
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    let (head, _) = exchange(&mut stream, live).await;
    assert!(head.contains("200 OK"), "{head}");
    go_on(&world);
    assert!(exchange(&mut first, "").await.0.contains("201 Created"));
    let (head, _) = exchange(&mut stream, &usual).await;
    assert!(head.contains("201 Created"), "and there is room again: {head}");
    let metrics = world.get("/metrics").await.text;
    let series = "jangbu_http_requests_total{route=\"order.place\",class=\"5xx\"} 4\n";
    assert!(metrics.contains(series), "{metrics}");
}

#[tokio::test]
async fn requests_in_one_piece_and_in_many_are_answered_in_order() {
    let (world, body) = stuck().await;
    let served = Served::by(&world, Connections::default()).await;
    let mut first = TcpStream::connect(served.address).await.unwrap();
    let body = body.to_string();
    first.write_all(place("first", &body).as_bytes()).await.unwrap();
    busy(&world).await;
    // Without a body: hyper closes after an answer to a body that has not arrived yet.
    let order = place("second", "");
    let live = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";
    let all = [live, &order, live, &order, &order, live].concat();
    for piece in [1, 7, 100, all.len()] {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        for part in all.as_bytes().chunks(piece) {
            stream.write_all(part).await.unwrap();
            tokio::task::yield_now().await;
        }
        let mut told = String::new();
        let mut part = [0; 4_096];
        while told.matches("HTTP/1.1 ").count() < 6 || !told.ends_with('}') {
            let n = stream.read(&mut part).await.unwrap();
            assert!(n > 0, "{told}");
            told.push_str(std::str::from_utf8(&part[..n]).unwrap());
        }
        let statuses: Vec<_> = told.split("HTTP/1.1 ").skip(1).map(|text| &text[..3]).collect();
        assert_eq!(statuses, ["200", "503", "200", "503", "503", "200"], "pieces of {piece}");
    }
    go_on(&world);
}
