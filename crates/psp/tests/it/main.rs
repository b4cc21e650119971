//! The gateway simulator, seen from outside: what it answers, and what its log holds.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod books;
mod durability;
mod journeys;
mod load;
mod remote;

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        mpsc::{Receiver, channel},
    },
    time::Duration,
};

use jangbu_psp::{
    Currency, Gateway, Op, Request, Said, SimConfig, Simulator, Webhook,
    log::{Record, scan},
    simulator::{Latency, OnWebhook},
};
use tempfile::TempDir;

/// Longer than any answer takes on a busy machine; only tests that fail wait for it.
const LONG: Duration = Duration::from_secs(20);

/// How long a test listens to be sure that nothing comes.
const SILENCE: Duration = Duration::from_millis(60);

/// A gateway on a log of its own, with everything that it told by webhook.
struct Bench {
    sim: Option<Simulator>,
    config: SimConfig,
    webhooks: Mutex<Receiver<Webhook>>,
    on_webhook: OnWebhook,
    log: PathBuf,
    _folder: TempDir,
}

/// Answers at once, so that tests are quick.
fn prompt() -> SimConfig {
    let latency = Latency { min_ms: 0, max_ms: 0, ..Latency::default() };
    SimConfig { latency, late_ms: 30, slow_ms: 40, ..SimConfig::default() }
}

fn request(op: Op, payment: i64, no: u32, amount: i64) -> Request {
    let token = "tok_visa".into();
    Request { payment, op, no, amount, currency: Currency::KRW, token }
}

impl Bench {
    fn new(config: SimConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("psp.log");
        let (send, webhooks) = channel();
        let on_webhook: OnWebhook = Arc::new(move |webhook| send.send(webhook).unwrap());
        let sim = Simulator::start(&log, config.clone(), Some(Arc::clone(&on_webhook))).unwrap();
        let webhooks = Mutex::new(webhooks);
        Self { sim: Some(sim), config, webhooks, on_webhook, log, _folder: folder }
    }

    fn sim(&self) -> &Simulator {
        self.sim.as_ref().unwrap()
    }

    fn stop(&mut self) {
        self.sim = None;
    }

    /// Stops the gateway as a killed process would stop, and starts it on the same log.
    fn restart(&mut self) {
        self.stop();
        let webhook = Some(Arc::clone(&self.on_webhook));
        self.sim = Some(Simulator::start(&self.log, self.config.clone(), webhook).unwrap());
    }

    fn send(&self, request: Request) -> Receiver<Said> {
        let (send, answer) = channel();
        self.sim().submit(request, Box::new(move |said| _ = send.send(said)));
        answer
    }

    fn ask(&self, request: Request) -> Said {
        self.send(request).recv_timeout(LONG).expect("an answer")
    }

    /// One request with the usual card.
    fn say(&self, op: Op, payment: i64, no: u32, amount: i64) -> Said {
        self.ask(request(op, payment, no, amount))
    }

    fn with_token(&self, token: &str, op: Op, payment: i64, amount: i64) -> Receiver<Said> {
        self.send(Request { token: token.into(), ..request(op, payment, 0, amount) })
    }

    fn webhook(&self, patience: Duration) -> Option<Webhook> {
        self.webhooks.lock().unwrap().recv_timeout(patience).ok()
    }

    fn records(&self) -> Vec<Record> {
        records(&self.log)
    }
}

fn records(log: &Path) -> Vec<Record> {
    let mut records = Vec::new();
    let mut keep = |record| {
        records.push(record);
        true
    };
    scan(&mut File::open(log).unwrap(), &mut keep).unwrap();
    records
}

/// An answer in a word or two, for tables.
fn short(said: &Said) -> String {
    match said {
        Said::Captured { amount, .. } => format!("captured {amount}"),
        Said::Authorized { amount, .. } => format!("authorized {amount}"),
        Said::Voided => "voided".into(),
        Said::Refunded { amount } => format!("refunded {amount}"),
        Said::Declined { code } => format!("declined {code}"),
        Said::Refused { code } => format!("refused {code}"),
        Said::NotFound => "not found".into(),
        Said::Fenced => "fenced".into(),
        Said::Unknown { why } => format!("unknown {why}"),
        Said::NotSent { why } => format!("not sent {why}"),
    }
}
