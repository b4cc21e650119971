//! A toy shop behind real sockets: one thread per connection, canned answers, chosen misbehaviour.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::coupons::{CouponWays, Coupons};
use crate::money::{Money, MoneyWays};

/// How the toy behaves; the default answers at once and correctly.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ways {
    /// Thinking time of each order, in parallel.
    pub(crate) delay: Duration,
    /// Thinking time of each order, one after the other.
    pub(crate) serial: Duration,
    /// Nobody is answered from the first to the second time after the first order.
    pub(crate) stall: Option<(Duration, Duration)>,
    /// Answers leave in pieces of this size.
    pub(crate) pieces: Option<usize>,
    /// Units of the first product.
    pub(crate) units: Option<u64>,
    /// Every so many orders are answered 202 and settle after the given time.
    pub(crate) later: Option<(u64, Duration)>,
    /// Every so many orders end with a cut connection.
    pub(crate) cut: Option<u64>,
    /// After so many orders the server is gone.
    pub(crate) die_after: Option<u64>,
    /// The server announces the end of a connection after so many answers.
    pub(crate) close_after: Option<u64>,
    /// The server hangs up on a connection that is idle this long.
    pub(crate) idle_limit: Option<Duration>,
    /// A repeated key makes a second order.
    pub(crate) forgetful: bool,
    /// What the proof finds; none: it cannot run.
    pub(crate) proof: Option<&'static str>,
    /// More orders than this in a tenth of a second are refused with 503.
    pub(crate) capacity: Option<u64>,
    /// Payments and journals.
    pub(crate) money: MoneyWays,
    /// Campaigns.
    pub(crate) coupons: CouponWays,
}

/// What the toy has seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) connections: AtomicU64,
    pub(crate) orders: AtomicU64,
    pub(crate) repeats: AtomicU64,
    pub(crate) products: AtomicU64,
    first: Mutex<Option<Instant>>,
    line: Mutex<()>,
    left: Mutex<Option<u64>>,
    /// Idempotency key to body and answer.
    answers: Mutex<HashMap<String, (String, String)>>,
    /// Order to the time of its settlement.
    later: Mutex<HashMap<String, (Instant, i64)>>,
    /// The current tenth of a second and its orders.
    window: Mutex<(u128, u64)>,
    pub(crate) money: Money,
    pub(crate) coupons: Coupons,
}

/// A running toy.
#[derive(Debug)]
pub(crate) struct Toy {
    pub(crate) url: String,
    pub(crate) seen: Arc<Seen>,
}

impl Toy {
    pub(crate) fn open(ways: Ways) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Seen::default());
        *seen.left.lock().unwrap() = ways.units;
        let (ways, shared) = (Arc::new(ways), Arc::clone(&seen));
        std::thread::spawn(move || accept(&listener, &ways, &shared));
        Self { url, seen }
    }
}

fn accept(listener: &TcpListener, ways: &Arc<Ways>, seen: &Arc<Seen>) {
    for stream in listener.incoming().map_while(Result::ok) {
        if dead(ways, seen) {
            break;
        }
        seen.connections.fetch_add(1, Ordering::Relaxed);
        let (ways, seen) = (Arc::clone(ways), Arc::clone(seen));
        std::thread::spawn(move || serve(stream, &ways, &seen));
    }
}

fn dead(ways: &Ways, seen: &Seen) -> bool {
    ways.die_after.is_some_and(|limit| seen.orders.load(Ordering::Relaxed) >= limit)
}

pub(crate) struct Request {
    line: String,
    pub(crate) key: String,
    pub(crate) authorization: String,
    pub(crate) body: String,
}

fn serve(stream: TcpStream, ways: &Ways, seen: &Seen) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    stream.set_read_timeout(ways.idle_limit).ok()?;
    let mut reader = BufReader::new(stream);
    let mut answered = 0;
    loop {
        let request = read(&mut reader)?;
        if dead(ways, seen) {
            return None;
        }
        let answer = answer(&request, ways, seen)?;
        answered += 1;
        let last = ways.close_after == Some(answered) && request.line.contains("/orders");
        send(reader.get_mut(), &answer, last, ways).ok()?;
        if last {
            return None;
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let (mut line, mut key, mut length) = (String::new(), String::new(), 0);
    let mut authorization = String::new();
    reader.read_line(&mut line).ok().filter(|&read| read > 0)?;
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        match header.trim_end().split_once(": ") {
            Some(("Idempotency-Key", value)) => value.clone_into(&mut key),
            Some(("Authorization", value)) => value.clone_into(&mut authorization),
            Some(("Content-Length", value)) => length = value.parse().ok()?,
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { line, key, authorization, body: String::from_utf8(body).ok()? })
}

/// Status line, further headers, body; `None` cuts the connection.
fn answer(request: &Request, ways: &Ways, seen: &Seen) -> Option<String> {
    let mut words = request.line.split(' ');
    match (words.next()?, words.next()?) {
        ("POST", "/api/v1/products") => {
            seen.products.fetch_add(1, Ordering::Relaxed);
            let product: serde_json::Value = serde_json::from_str(&request.body).unwrap();
            let n = product["name"].as_str()?.strip_prefix("Product ")?.parse::<u64>().ok()?;
            let body = format!(r#"{{"id":"prd_{n:013}","skus":[{{"id":"sku_{n:013}"}}]}}"#);
            Some(with("201 Created", "", &body))
        }
        ("POST", "/api/v1/orders") => place(request, ways, seen),
        ("POST", "/api/v1/admin/prove") => Some(match ways.proof {
            Some(report) => with("200 OK", "", report),
            None => with("500 Internal Server Error", "", r#"{"code":"INTERNAL"}"#),
        }),
        (method, path) if path.starts_with("/api/payments/") => {
            seen.money.payment(method, path, request, &ways.money)
        }
        ("POST", path) if path.starts_with("/api/v1/campaigns") => {
            seen.coupons.campaign(path, request, &ways.coupons)
        }
        ("POST", path) if path.ends_with("/points/grants") => {
            seen.coupons.points(request);
            Some(with("201 Created", "", "{}"))
        }
        (_, path) if path.starts_with("/api/v1/ledger/") => {
            seen.money.ledger(path, request, &ways.money)
        }
        ("GET", "/metrics") => Some(with("200 OK", "", &metrics(seen))),
        ("GET", path) => Some(look(path.strip_prefix("/api/v1/orders/")?, seen)),
        _ => Some(with("404 Not Found", "", "{}")),
    }
}

fn metrics(seen: &Seen) -> String {
    let orders = seen.orders.load(Ordering::Relaxed);
    format!(
        "# TYPE jangbu_commits_total counter\njangbu_commits_total {}\njangbu_rows_written_total {}\n\
         jangbu_phase_seconds_total{{phase=\"decide\"}} {}\njangbu_batch_items{{quantile=\"0.5\"}} 7\n\
         jangbu_outbox_seq {orders}\njangbu_projection_seq{{name=\"orders\"}} {}\n\
         jangbu_orders_settled_total{{outcome=\"SOLD\"}} {orders}\njangbu_mailbox_waiting 4\n\
         jangbu_phase_seconds_total{{phase=\"commit\"}} {}\n\
         jangbu_consumer_lag_seconds_bucket{{consumer=\"projections\",le=\"0.01\"}} {}\n\
         jangbu_consumer_lag_seconds_bucket{{consumer=\"projections\",le=\"+Inf\"}} {orders}\n\
         jangbu_relay_seq {orders}\njangbu_relay_acknowledged_total {orders}\n\
         jangbu_consumer_lag_seconds_bucket{{consumer=\"kafka\",le=\"0.05\"}} 0\n\
         jangbu_consumer_lag_seconds_bucket{{consumer=\"kafka\",le=\"0.1\"}} {orders}\n\
         jangbu_consumer_lag_seconds_bucket{{consumer=\"kafka\",le=\"+Inf\"}} {orders}\n",
        orders * 2,
        orders * 24,
        orders as f64 * 0.000_015,
        orders.saturating_sub(3),
        orders as f64 * 0.002,
        orders,
    )
}

fn place(request: &Request, ways: &Ways, seen: &Seen) -> Option<String> {
    let earlier = seen.answers.lock().unwrap().get(&request.key).cloned();
    if let Some((body, answer)) = earlier {
        assert_eq!(body, request.body, "the same key with another body");
        seen.repeats.fetch_add(1, Ordering::Relaxed);
        if !ways.forgetful {
            return Some(answer);
        }
    }
    if ways.capacity.is_some_and(|most| full(most, seen)) {
        return Some(with("503 Service Unavailable", "", r#"{"code":"SHED"}"#));
    }
    let n = seen.orders.fetch_add(1, Ordering::Relaxed) + 1;
    wait(ways, seen);
    if ways.cut.is_some_and(|every| n.is_multiple_of(every)) {
        return None;
    }
    let answer = decide(n, request, ways, seen);
    let entry = (request.body.clone(), answer.clone());
    seen.answers.lock().unwrap().insert(request.key.clone(), entry);
    Some(answer)
}

/// Whether this tenth of a second has had its orders.
fn full(most: u64, seen: &Seen) -> bool {
    let first = *seen.first.lock().unwrap().get_or_insert_with(Instant::now);
    let now = first.elapsed().as_millis() / 100;
    let mut window = seen.window.lock().unwrap();
    if window.0 != now {
        *window = (now, 0);
    }
    window.1 += 1;
    window.1 > most
}

fn wait(ways: &Ways, seen: &Seen) {
    let first = *seen.first.lock().unwrap().get_or_insert_with(Instant::now);
    if let Some((from, to)) = ways.stall
        && (from..to).contains(&first.elapsed())
    {
        std::thread::sleep(to.saturating_sub(first.elapsed()));
    }
    if !ways.serial.is_zero() {
        let _line = seen.line.lock().unwrap();
        std::thread::sleep(ways.serial);
    }
    std::thread::sleep(ways.delay);
}

fn decide(n: u64, request: &Request, ways: &Ways, seen: &Seen) -> String {
    let body: serde_json::Value = serde_json::from_str(&request.body).unwrap();
    let total = body["expectedTotal"]["amount"].as_i64().unwrap();
    if body["payment"]["token"] == "tok_declined" {
        let body = format!(
            r#"{{"code":"PAYMENT_DECLINED","orderId":"ord_{n:013}","outcome":"DECLINED"}}"#
        );
        return with("402 Payment Required", TIMING, &body);
    }
    if let Some(left) = seen.left.lock().unwrap().as_mut()
        && body["lines"][0]["skuId"] == "sku_0000000000000"
    {
        if *left == 0 {
            return with("409 Conflict", "", r#"{"code":"SOLD_OUT","outcome":"SOLD_OUT"}"#);
        }
        *left -= 1;
    }
    if let Some((every, after)) = ways.later
        && n.is_multiple_of(every)
    {
        let settles = (Instant::now() + after, total);
        seen.later.lock().unwrap().insert(format!("ord_{n:013}"), settles);
        let body = format!(r#"{{"id":"ord_{n:013}","state":"PAYING","outcome":null}}"#);
        return with("202 Accepted", "Server-Timing: accept;dur=0.5\r\n", &body);
    }
    with("201 Created", TIMING, &sold(&format!("ord_{n:013}"), total))
}

const TIMING: &str = "Server-Timing: accept;dur=1.0, settle;dur=3.0\r\n";

fn sold(order: &str, total: i64) -> String {
    format!(
        r#"{{"id":"{order}","state":"COMPLETED","outcome":"SOLD","total":{{"amount":{total},"currency":"KRW"}}}}"#
    )
}

fn look(order: &str, seen: &Seen) -> String {
    match seen.later.lock().unwrap().get(order) {
        Some((at, total)) if *at <= Instant::now() => with("200 OK", "", &sold(order, *total)),
        Some(_) => with("200 OK", "", &format!(r#"{{"id":"{order}","outcome":null}}"#)),
        None => with("404 Not Found", "", "{}"),
    }
}

pub(crate) fn with(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())
}

fn send(stream: &mut TcpStream, answer: &str, last: bool, ways: &Ways) -> std::io::Result<()> {
    let answer = if last {
        answer.replacen("\r\n", "\r\nConnection: close\r\n", 1)
    } else {
        answer.to_owned()
    };
    let Some(size) = ways.pieces else { return stream.write_all(answer.as_bytes()) };
    for piece in answer.as_bytes().chunks(size) {
        stream.write_all(piece)?;
        std::thread::sleep(Duration::from_micros(300));
    }
    Ok(())
}
