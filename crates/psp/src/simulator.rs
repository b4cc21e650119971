//! A payment gateway inside the process, for tests, demos and measurements.
//!
//! It behaves as a stranger would: it has its own books and its own file, it writes before it
//! answers, it remembers every payment though it holds only the latest in memory, it takes its time, and it goes wrong in every way that gateways do, at rates that one
//! sets ([`Rates`]), by [outages](Outage) switched on while it runs, or by special tokens:
//!
//! | token | what becomes of a charge or authorisation |
//! |---|---|
//! | `tok_declined` | declined |
//! | `tok_authorized_only` | a charge is only authorised |
//! | `tok_slow` | answered after `slow_ms` |
//! | `tok_duplicate` | answered, and told again by webhook |
//! | `tok_timeout_captured`, `tok_timeout_authorized`, `tok_timeout_declined` | done, never answered |
//! | `tok_timeout_lost` | never arrives |
//! | `tok_late` | done, told after `late_ms` by webhook (without one: answered then) |
//! | `tok_delayed` | arrives after `late_ms`, is done then unless it was fenced, never answered |
//! | `tok_refund_refused` | captured, but every refund of it will be refused |
//! | `tok_refund_timeout`, `tok_refund_lost` | captured; a *refund* with it is done and not answered, or lost |
//!
//! Any other token follows the rates. Outcomes are a function of (seed, payment, op, number), so a
//! run can be repeated whatever the threads did.

mod book;
mod code;
mod config;
mod fate;
mod inbox;
mod index;
mod memory;
mod worker;

use std::{
    fmt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU8, AtomicU64, Ordering::Relaxed},
    },
    thread::{Builder, JoinHandle, current},
    time::Instant,
};

pub use config::{ConfigError, Latency, Rates, SimConfig};
use serde::{Deserialize, Serialize};

use self::{
    inbox::Inbox,
    memory::{Limits, Memory},
    worker::{Letter, Worker},
};
use crate::{
    gateway::{Done, Gateway, Request, Said, Webhook},
    log::{Log, Medium, OpenError, lock},
};

/// Hears what the gateway tells by itself. Runs on the gateway's thread and must not block.
pub type OnWebhook = Arc<dyn Fn(Webhook) + Send + Sync>;

/// What is wrong with the whole gateway at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[repr(u8)]
pub enum Outage {
    /// Nothing.
    #[default]
    None = 0,
    /// Connections are refused: [`Said::NotSent`], at once.
    Refuse = 1,
    /// Requests are swallowed: silence, and nothing is done.
    Hang = 2,
}

/// Why the simulator cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting makes no sense.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Its log cannot be opened.
    #[error(transparent)]
    Log(#[from] OpenError),
    /// The thread cannot be started.
    #[error("the gateway's thread cannot be started")]
    Thread(#[source] std::io::Error),
}

/// Counts since the simulator was started; `payments` is what its books know of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Stats {
    /// Requests taken from the inbox.
    pub requests: u64,
    /// Answers given.
    pub answers: u64,
    /// Requests that are not answered, or only by webhook.
    pub silent: u64,
    /// Webhooks sent.
    pub webhooks: u64,
    /// Records made durable.
    pub records: u64,
    /// Times that the log was synced.
    pub syncs: u64,
    /// Groups of records that could not be stored.
    pub failed_writes: u64,
    /// Receivers of answers that panicked.
    pub panics: u64,
    /// Payments in the books.
    pub payments: u64,
}

#[derive(Debug, Default)]
struct Counters {
    requests: AtomicU64,
    answers: AtomicU64,
    silent: AtomicU64,
    webhooks: AtomicU64,
    records: AtomicU64,
    syncs: AtomicU64,
    failed_writes: AtomicU64,
    panics: AtomicU64,
    payments: AtomicU64,
}

/// What comes through the inbox.
enum Control {
    Letter(Letter),
    Rates(Box<Rates>),
}

struct Shared {
    inbox: Inbox<Control>,
    outage: AtomicU8,
    stats: Counters,
}

impl Shared {
    fn outage(&self) -> Outage {
        match self.outage.load(Relaxed) {
            0 => Outage::None,
            1 => Outage::Refuse,
            _ => Outage::Hang,
        }
    }
}

/// The simulated gateway. Dropping it is pulling its plug: what was not answered is never answered,
/// and what was not yet taken from the inbox never arrived.
pub struct Simulator {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for Simulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulator").field("stats", &self.stats()).finish_non_exhaustive()
    }
}

impl Simulator {
    /// Opens the log, or creates it, enters what it holds into the books, and starts to answer.
    pub fn start(
        log: &Path,
        config: SimConfig,
        on_webhook: Option<OnWebhook>,
    ) -> Result<Self, StartError> {
        Self::start_with(log, config, on_webhook, |file| Box::new(file))
    }

    /// As [`start`](Self::start), with something put between the log and its file.
    pub fn start_with(
        log: &Path,
        config: SimConfig,
        on_webhook: Option<OnWebhook>,
        medium: impl FnOnce(std::fs::File) -> Box<dyn Medium>,
    ) -> Result<Self, StartError> {
        config.check()?;
        let file = lock(log)?;
        let (memory, end) = Memory::read(&file, Limits::default())?;
        let log = Log::resume(file, end, medium).map_err(OpenError::Io)?;
        let shared = Arc::new(Shared {
            inbox: Inbox::new(),
            outage: AtomicU8::new(Outage::None as u8),
            stats: Counters::default(),
        });
        let worker = Worker::new(Arc::clone(&shared), config, on_webhook, memory, log);
        let thread = Builder::new().name("psp-sim".into()).spawn(|| worker.run());
        Ok(Self { shared, thread: Some(thread.map_err(StartError::Thread)?) })
    }

    /// Breaks the whole gateway, or mends it, from the next request on that it takes.
    pub fn set_outage(&self, outage: Outage) {
        self.shared.outage.store(outage as u8, Relaxed);
    }

    /// Changes how often something goes wrong, for requests submitted after this.
    pub fn set_rates(&self, rates: Rates) -> Result<(), ConfigError> {
        rates.check()?;
        // A closed inbox means that the gateway is gone, and its rates with it.
        _ = self.shared.inbox.push(Control::Rates(Box::new(rates)));
        Ok(())
    }

    /// What it has done so far.
    pub fn stats(&self) -> Stats {
        let c = &self.shared.stats;
        Stats {
            requests: c.requests.load(Relaxed),
            answers: c.answers.load(Relaxed),
            silent: c.silent.load(Relaxed),
            webhooks: c.webhooks.load(Relaxed),
            records: c.records.load(Relaxed),
            syncs: c.syncs.load(Relaxed),
            failed_writes: c.failed_writes.load(Relaxed),
            panics: c.panics.load(Relaxed),
            payments: c.payments.load(Relaxed),
        }
    }
}

impl Gateway for Simulator {
    fn name(&self) -> &'static str {
        "sim"
    }

    fn submit(&self, request: Request, done: Done) {
        let letter = Letter { request, done: Some(done), sent: Instant::now() };
        if let Err(Control::Letter(Letter { done: Some(done), .. })) =
            self.shared.inbox.push(Control::Letter(letter))
        {
            done(Said::NotSent { why: "the gateway is gone".into() });
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        self.shared.inbox.close();
        let own = |thread: &JoinHandle<()>| thread.thread().id() == current().id();
        // The receiver of an answer may hold the last handle: then this is the gateway's thread,
        // which ends by itself and cannot wait for itself.
        if let Some(thread) = self.thread.take().filter(|thread| !own(thread)) {
            // The thread guards every call it makes; a panic of its own was printed already.
            _ = thread.join();
        }
    }
}
