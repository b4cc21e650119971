//! Buyers that keep a journal of what they were told.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::server::{Reply, Server};

/// What buyers were told, in memory and as the journal that `prove --acks` reads.
#[derive(Debug)]
pub(crate) struct Journal {
    file: Mutex<File>,
    told: Mutex<Vec<(String, usize, Reply)>>,
    /// When somebody asked who was sold something, and when that was told.
    sold: Mutex<Vec<(Instant, Instant)>>,
}

/// How long a buyer who is told "not now" waits.
const NOT_NOW: Duration = Duration::from_millis(50);

/// What became of the requests of a storm that were told no outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unsold {
    /// Told "not now": 503 and the like.
    pub refused: usize,
    /// The connection ended without an answer, or there was none.
    pub silent: usize,
}

impl Journal {
    pub(crate) fn create(path: &Path) -> Self {
        let mut file = File::create(path).unwrap();
        writeln!(file, "key,order_id,outcome,amount").unwrap();
        Self { file: Mutex::new(file), told: Mutex::default(), sold: Mutex::default() }
    }

    /// Writes down what the buyer who `asked` then was told; false if that was no outcome.
    pub(crate) fn record(&self, key: &str, plan: usize, asked: Instant, reply: Reply) -> bool {
        let text = |name: &str| reply.body[name].as_str().unwrap_or_default().to_owned();
        let id = if text("orderId").is_empty() { text("id") } else { text("orderId") };
        let amount = reply.body["total"]["amount"].as_i64().unwrap_or(0);
        let outcome = match reply.status {
            202 => "PENDING".to_owned(),
            _ => text("outcome"),
        };
        let amount = if outcome == "SOLD" { amount } else { 0 };
        // A refusal before an order existed (503 and the like) acknowledges nothing.
        if outcome.is_empty() {
            return false;
        }
        writeln!(self.file.lock().unwrap(), "{key},{id},{outcome},{amount}").unwrap();
        if outcome == "SOLD" {
            self.sold.lock().unwrap().push((asked, Instant::now()));
        }
        self.told.lock().unwrap().push((key.to_owned(), plan, reply));
        true
    }

    /// The longest time in which nobody was sold anything.
    pub(crate) fn longest_pause(&self, since: Instant) -> Duration {
        let sold = self.sold_since(since);
        sold.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
    }

    /// When those were sold something who asked at `since` or later, in that order.
    pub(crate) fn sold_since(&self, since: Instant) -> Vec<Instant> {
        let sold = self.sold.lock().unwrap();
        let asked = sold.iter().filter(|(asked, _)| *asked >= since);
        let mut told: Vec<_> = asked.map(|(_, told)| *told).collect();
        told.sort_unstable();
        told
    }

    /// What was told so far.
    pub(crate) fn told(&self) -> Vec<(String, usize, Reply)> {
        self.told.lock().unwrap().clone()
    }
}

/// How number `plan` pays: most do, one of eight is declined, and some get no answer or a late one. Those wait for
/// seconds, and are so few that buyers are not all waiting.
fn token(plan: usize) -> &'static str {
    match plan % 32 {
        5 => "tok_timeout_captured",
        23 => "tok_late",
        n if n % 8 == 4 => "tok_declined",
        _ => "tok_ok",
    }
}

/// Buys number `plan`: the same plan is the same request.
pub(crate) fn buy(server: &Server, skus: &[String], key: &str, plan: usize) -> Option<Reply> {
    let quantity = i64::try_from(1 + plan % 3).unwrap();
    server.order(key, &skus[plan % skus.len()], quantity, token(plan))
}

/// Lets `buyers` buy until `stop`, or until the server is gone.
pub(crate) fn storm(
    server: &Server,
    skus: &[String],
    journal: &Journal,
    (next, stop): (&AtomicUsize, &AtomicBool),
    buyers: usize,
) -> Unsold {
    let (refused, silent) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let buyer = || {
        while !stop.load(Ordering::Relaxed) {
            let plan = next.fetch_add(1, Ordering::Relaxed);
            match buy_and_tell(server, skus, journal, plan) {
                Some(true) => {}
                Some(false) => {
                    refused.fetch_add(1, Ordering::Relaxed);
                    std::thread::sleep(NOT_NOW);
                }
                None => {
                    silent.fetch_add(1, Ordering::Relaxed);
                    return;
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..buyers {
            scope.spawn(buyer);
        }
    });
    Unsold { refused: refused.into_inner(), silent: silent.into_inner() }
}

/// Buys number `plan`, and writes down what was told; whether that was an outcome. None: no answer.
fn buy_and_tell(server: &Server, skus: &[String], journal: &Journal, plan: usize) -> Option<bool> {
    let (key, asked) = (format!("storm-{plan}"), Instant::now());
    let reply = buy(server, skus, &key, plan)?;
    Some(journal.record(&key, plan, asked, reply))
}

/// Who heard no outcome asks again with the same key, until there is one: each plan ends in an outcome.
pub(crate) fn retry(server: &Server, skus: &[String], journal: &Journal, plans: usize) {
    let told: std::collections::HashSet<usize> =
        journal.told().iter().map(|(_, plan, _)| *plan).collect();
    let left: Vec<usize> = (0..plans).filter(|plan| !told.contains(plan)).collect();
    let (next, deadline) = (AtomicUsize::new(0), Instant::now() + Duration::from_mins(2));
    let buyer = || {
        while let Some(plan) = left.get(next.fetch_add(1, Ordering::Relaxed)) {
            while !buy_and_tell(server, skus, journal, *plan).expect("an answer") {
                assert!(Instant::now() < deadline, "plan {plan} has no outcome");
                std::thread::sleep(NOT_NOW);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(buyer);
        }
    });
}

/// What must not change between two answers to one key, once the order has ended.
pub(crate) fn essence(reply: &Reply) -> (String, String) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let id = text(&reply.body["orderId"]);
    let id = if id.is_empty() { text(&reply.body["id"]) } else { id };
    (id, text(&reply.body["outcome"]))
}
