//! Buyers that keep a journal of what they were told.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::server::{Reply, Server};

/// What buyers were told, in memory and as the journal that `prove --acks` reads.
#[derive(Debug)]
pub(crate) struct Journal {
    file: Mutex<File>,
    told: Mutex<Vec<(String, usize, Reply)>>,
}

impl Journal {
    pub(crate) fn create(path: &Path) -> Self {
        let mut file = File::create(path).unwrap();
        writeln!(file, "key,order_id,outcome,amount").unwrap();
        Self { file: Mutex::new(file), told: Mutex::default() }
    }

    fn record(&self, key: &str, plan: usize, reply: Reply) {
        let text = |name: &str| reply.body[name].as_str().unwrap_or_default().to_owned();
        let id = if text("orderId").is_empty() { text("id") } else { text("orderId") };
        let amount = reply.body["total"]["amount"].as_i64().unwrap_or(0);
        let outcome = match reply.status {
            202 => "PENDING".to_owned(),
            _ => text("outcome"),
        };
        let amount = if outcome == "SOLD" { amount } else { 0 };
        // A refusal before an order existed (503 and the like) acknowledges nothing.
        if !outcome.is_empty() {
            writeln!(self.file.lock().unwrap(), "{key},{id},{outcome},{amount}").unwrap();
            self.told.lock().unwrap().push((key.to_owned(), plan, reply));
        }
    }

    /// What was told so far.
    pub(crate) fn told(&self) -> Vec<(String, usize, Reply)> {
        self.told.lock().unwrap().clone()
    }
}

/// Tokens that buyers use in turn: most pay, some are declined, some get no answer.
const TOKENS: [&str; 8] = [
    "tok_ok",
    "tok_ok",
    "tok_ok",
    "tok_ok",
    "tok_declined",
    "tok_timeout_captured",
    "tok_ok",
    "tok_late",
];

/// Buys number `plan`: the same plan is the same request.
pub(crate) fn buy(server: &Server, skus: &[String], key: &str, plan: usize) -> Option<Reply> {
    let quantity = i64::try_from(1 + plan % 3).unwrap();
    server.order(key, &skus[plan % skus.len()], quantity, TOKENS[plan % TOKENS.len()])
}

/// Lets `buyers` buy until `stop`, or until the server is gone.
pub(crate) fn storm(
    server: &Server,
    skus: &[String],
    journal: &Journal,
    (next, stop): (&AtomicUsize, &AtomicBool),
    buyers: usize,
) {
    let buyer = || while !stop.load(Ordering::Relaxed) && buy_one(server, skus, journal, next) {};
    std::thread::scope(|scope| {
        for _ in 0..buyers {
            scope.spawn(buyer);
        }
    });
}

/// What a buyer waits who was refused: a server that can take nothing says so in a moment, and without a pause
/// would be asked for more than it could ever sell.
const PAUSE: Duration = Duration::from_millis(20);

/// Buys the next one; `false` when the server is gone.
fn buy_one(server: &Server, skus: &[String], journal: &Journal, next: &AtomicUsize) -> bool {
    let plan = next.fetch_add(1, Ordering::Relaxed);
    let key = format!("storm-{plan}");
    let reply = buy(server, skus, &key, plan);
    let alive = reply.is_some();
    if let Some(reply) = reply {
        if reply.status >= 500 {
            std::thread::sleep(PAUSE);
        }
        journal.record(&key, plan, reply);
    }
    alive
}

/// What must not change between two answers to one key, once the order has ended.
pub(crate) fn essence(reply: &Reply) -> (String, String) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let id = text(&reply.body["orderId"]);
    let id = if id.is_empty() { text(&reply.body["id"]) } else { id };
    (id, text(&reply.body["outcome"]))
}
