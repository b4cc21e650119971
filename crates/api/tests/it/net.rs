//! Slow, rude and numerous clients: each is bounded, and nobody else notices.

use std::time::Duration;

use jangbu_api::{Connections, Rate, Rates, Settings};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::wire::{Served, exchange, place};
use crate::world::{Answer, World, order};

const LIVE: &str = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";

fn short() -> Connections {
    let limit = Duration::from_millis(300);
    Connections { header: limit, idle: limit, ..Connections::default() }
}

/// All that comes until the server closes the connection.
async fn rest(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    // A reset tells the same as an end: it is closed.
    let _ = stream.read_to_end(&mut all).await;
    String::from_utf8(all).unwrap()
}

async fn live(stream: &mut TcpStream) -> bool {
    exchange(stream, LIVE).await.0.contains("200 OK")
}

#[tokio::test]
async fn a_header_that_does_not_arrive_is_not_waited_for() {
    let world = World::new();
    let served = Served::by(&world, short()).await;
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(b"GET /livez HTTP/1.1\r\nHos").await.unwrap();
    let told = rest(&mut stream).await;
    assert!(told.starts_with("HTTP/1.1 408 Request Timeout\r\n"), "{told}");
    assert!(
        told.contains("\"code\":\"HEADER_TIMEOUT\"") && told.contains("x-correlation-id: req_")
    );
}

#[tokio::test]
async fn a_header_that_arrives_byte_by_byte_is_cut_off() {
    let world = World::new();
    let served = Served::by(&world, short()).await;
    let stream = TcpStream::connect(served.address).await.unwrap();
    let (mut read, mut write) = stream.into_split();
    let mut told = Vec::new();
    let trickle = async {
        while write.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        () = trickle => {}
        _ = read.read_to_end(&mut told) => {}
    }
    let told = String::from_utf8(told).unwrap();
    assert!(told.is_empty() || told.contains("HEADER_TIMEOUT"), "{told}");
}

#[tokio::test]
async fn who_says_nothing_is_let_go_before_and_after_a_request() {
    let world = World::new();
    let served = Served::by(&world, short()).await;
    let mut silent = TcpStream::connect(served.address).await.unwrap();
    let mut satisfied = TcpStream::connect(served.address).await.unwrap();
    assert!(live(&mut satisfied).await);
    assert_eq!(rest(&mut silent).await, "", "closed without a word");
    assert_eq!(rest(&mut satisfied).await, "");
    let metrics = world.get("/metrics").await.text;
    assert!(metrics.contains("\njangbu_connections_timed_out_total 2\n"), "{metrics}");
}

#[tokio::test]
async fn half_a_request_and_an_end_is_an_end() {
    let world = World::new();
    let served = Served::by(&world, Connections::default()).await;
    for half in
        ["", "POST /api/v1/or", "POST /api/v1/orders HTTP/1.1\r\nContent-Length: 9\r\n\r\n{"]
    {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        stream.write_all(half.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let told = rest(&mut stream).await;
        assert!(!told.contains("200 OK") && !told.contains("201"), "{told}");
    }
}

#[tokio::test]
async fn who_does_not_read_the_answers_is_let_go() {
    let world = World::new();
    let served = Served::by(&world, short()).await;
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    let ask = "GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n".repeat(100);
    // The answers fill every buffer between us, and then the server stops to wait.
    while stream.write_all(ask.as_bytes()).await.is_ok() {}
    let mut other = TcpStream::connect(served.address).await.unwrap();
    assert!(live(&mut other).await);
}

#[tokio::test]
async fn many_idle_connections_do_not_disturb_an_order() {
    let world = World::new();
    let sku = world.sku("p", 1_000, 5).await;
    let served = Served::by(&world, Connections::default()).await;
    let mut idle = Vec::new();
    for n in 0..201 {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        match n % 3 {
            0 => {}
            1 => stream.write_all(b"POST /api/v1/orders HTTP/1.1\r\nHo").await.unwrap(),
            _ => assert!(live(&mut stream).await),
        }
        idle.push(stream);
    }
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    let body = order(&sku, 1, 1_000, "tok_visa").to_string();
    let (head, body) = exchange(&mut stream, &place("k", &body)).await;
    assert!(head.contains("201 Created") && body.contains("\"outcome\":\"SOLD\""), "{head} {body}");
    let last = idle.last_mut().unwrap();
    assert!(live(last).await, "and they may speak when they like");
}

#[tokio::test]
async fn beyond_the_bound_a_connection_is_refused_and_room_comes_back() {
    let world = World::new();
    let served = Served::by(&world, Connections { most: 2, ..Connections::default() }).await;
    let mut first = TcpStream::connect(served.address).await.unwrap();
    let mut second = TcpStream::connect(served.address).await.unwrap();
    assert!(live(&mut first).await && live(&mut second).await);
    let told = rest(&mut TcpStream::connect(served.address).await.unwrap()).await;
    assert!(told.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{told}");
    assert!(told.contains("TOO_MANY_CONNECTIONS") && told.contains("retry-after: 1"), "{told}");
    assert!(live(&mut second).await);
    drop(first);
    loop {
        let mut third = TcpStream::connect(served.address).await.unwrap();
        third.write_all(LIVE.as_bytes()).await.unwrap();
        let mut head = [0; 12];
        // Until the server has seen the first one go, it may also be a reset.
        if third.read_exact(&mut head).await.is_ok() && &head == b"HTTP/1.1 200" {
            break;
        }
    }
    let metrics = world.get("/metrics").await.text;
    let refused =
        metrics.lines().find(|line| line.starts_with("jangbu_connections_refused_total "));
    assert_ne!(refused, Some("jangbu_connections_refused_total 0"));
}

#[tokio::test]
async fn huge_headers_are_refused_and_not_kept() {
    let world = World::new();
    let served = Served::by(&world, Connections::default()).await;
    let long = format!("GET /livez HTTP/1.1\r\nX-Long: {}\r\n\r\n", "x".repeat(64 << 10));
    let many = format!("GET /livez HTTP/1.1\r\n{}\r\n", "X-Many: 1\r\n".repeat(200));
    for text in [long, many] {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        let _ = stream.write_all(text.as_bytes()).await;
        let told = rest(&mut stream).await;
        // What was not read is answered with a reset, which may overtake the answer.
        assert!(told.is_empty() || told.starts_with("HTTP/1.1 431 "), "{told}");
    }
    let mut other = TcpStream::connect(served.address).await.unwrap();
    assert!(live(&mut other).await);
}

#[tokio::test]
async fn a_huge_body_is_refused_before_it_is_sent() {
    let world = World::with(Settings::default(), true);
    let served = Served::by(&world, Connections::default()).await;
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    let text = place("k", "").replace("Content-Length: 0", "Content-Length: 10000000000");
    let (head, body) = exchange(&mut stream, &text).await;
    assert!(head.contains("413 Payload Too Large") && body.contains("BODY_TOO_LARGE"), "{head}");
    assert_eq!(rest(&mut stream).await, "", "and closed, since the body is not read");
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    let chunked = place("k", "").replace("Content-Length: 0", "Transfer-Encoding: chunked");
    stream.write_all(chunked.as_bytes()).await.unwrap();
    let part = format!("4000\r\n{}\r\n", "x".repeat(0x4000));
    for _ in 0..5 {
        // It may close while we send.
        let _ = stream.write_all(part.as_bytes()).await;
    }
    let told = rest(&mut stream).await;
    assert!(told.is_empty() || told.contains("BODY_TOO_LARGE"), "{told}");
}

#[tokio::test]
async fn a_packed_body_is_refused_unopened() {
    let world = World::new();
    let served = Served::by(&world, Connections::default()).await;
    for (coding, wanted) in [("gzip", "415 "), ("identity, br", "415 "), ("identity", "422 ")] {
        let mut stream = TcpStream::connect(served.address).await.unwrap();
        let header = format!("Content-Encoding: {coding}\r\nContent-Length");
        let text = place("k", "{}").replace("Content-Length", &header);
        let (head, _) = exchange(&mut stream, &text).await;
        assert!(head.starts_with(&format!("HTTP/1.1 {wanted}")), "{coding}: {head}");
    }
}

/// Places orders until one is refused for their number.
async fn refused(world: &World, body: &serde_json::Value) -> Answer {
    for n in 0..100 {
        let answer = world.place(&format!("k{n}"), body).await;
        if answer.status == 429 {
            return answer;
        }
        assert_eq!(answer.status, 201, "{}", answer.text);
    }
    panic!("nothing is refused");
}

#[tokio::test]
async fn who_asks_too_often_is_told_which_limit_and_when_to_come_again() {
    let few = Rate { per_second: 1, burst: 1 };
    let none = Rates { user: Rate::OFF, ..Rates::default() };
    let of_user = Rates { user: few, ..none.clone() };
    let of_key = Rates { key: few, ..none };
    for (rates, limit) in [(of_user, "user"), (of_key, "key")] {
        let world = World::with(Settings { rates, ..Settings::default() }, true);
        let sku = world.sku("p", 1_000, 200).await;
        let body = order(&sku, 1, 1_000, "tok_visa");
        let refused = refused(&world, &body).await;
        assert_eq!((refused.problem(), refused.field()), ((429, "RATE_LIMITED"), limit));
        assert_eq!(refused.header("retry-after"), "1");
        assert_eq!(refused.json["retryable"], true);
        assert!(world.stock(&sku, "available").await < 200, "operators are exempt");
        let metrics = world.get("/metrics").await.text;
        let series = format!("\njangbu_rate_limited_total{{limit=\"{limit}\"}} 1\n");
        assert!(metrics.contains(&series), "{metrics}");
    }
}

#[tokio::test]
async fn addresses_behind_a_trusted_proxy_are_told_apart() {
    let ip = Rate { per_second: 1, burst: 1 };
    let trusted = ["127.0.0.1".parse().unwrap()].into();
    let world = World::with(
        Settings { rates: Rates { ip, trusted, ..Rates::default() }, ..Settings::default() },
        true,
    );
    let served = Served::by(&world, Connections::default()).await;
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    let mut ask = async |path: &str, of: &str| {
        let text = format!("GET {path} HTTP/1.1\r\nHost: x\r\n{of}\r\n");
        let (head, _) = exchange(&mut stream, &text).await;
        head.split(' ').nth(1).unwrap().to_owned()
    };
    let noisy = "X-Forwarded-For: 192.0.2.1\r\n";
    let mut tries = 0..100;
    while ask("/openapi.json", noisy).await == "200" {
        assert!(tries.next().is_some(), "nothing is refused");
    }
    assert_eq!(ask("/openapi.json", "X-Forwarded-For: 192.0.2.2\r\n").await, "200");
    assert_eq!(ask("/livez", noisy).await, "200", "health is never refused");
    for _ in 0..5 {
        assert_eq!(ask("/openapi.json", "").await, "200", "loopback is exempt");
    }
}
