//! The HTTP interface: parsing, authentication, idempotency headers, problem+json, waiting for the
//! settled outcome. No commerce is decided here.
//!
//! ```text
//! request ─▶ admission ─▶ key of the caller ─▶ idempotency key ─▶ body ─▶ endpoint
//!                                                                               │
//!           reads: a thread that may block, through `Queries` ◀─────────────────┤
//!           commands: envelope ─▶ `Shop::ask` ─▶ answer after the commit ◀──────┘
//! ```
//!
//! | module | holds |
//! |---|---|
//! | `route`, `serve`, `call`, `reply` | endpoints as data; a request and its answer |
//! | `codes`, `problem`, `explain` | every error code; from errors to words |
//! | `auth`, `idempotency`, `gate` | who asks; the same request twice; sold out a moment ago |
//! | `net`, `limits`, `admission` | connections; rates by key, user and address; who is let in |
//! | `ask`, `wait` | a command and its commit; an order and its end |
//! | `view` | reads that may be a moment old, or must not be older than a write |
//! | `trace`, `log` | the trace of a request; its line of the log |
//! | `catalog`, `inventory`, `order`, `payment`, `ledger`, `journal` | one domain each; what operators book |
//! | `user` | users: register, log in, change |
//! | `charge` | payments without an order, for merchants |
//! | `merchant` | merchants, their keys and fees, for operators |
//! | `repeats`, `explain_key` | keys that came again; a key explained |
//! | `admin`, `audit_log`, `poison`, `health`, `metrics`, `openapi` | for operators and tools |
//! | `docs`, `html` | the interface as a page; pages |
//! | `inbox` | payments of unknown outcome |
//! | `saga`, `sentence` | what operators see of a saga and do to it; why something is not done |

mod admin;
mod admission;
mod ask;
mod audit_log;
mod auth;
mod backups;
mod bestseller;
mod call;
mod catalog;
mod charge;
mod codes;
mod coupon;
mod dlq;
mod docs;
mod explain;
mod explain_key;
#[cfg(any(test, feature = "fuzzing"))]
#[doc(hidden)]
pub mod fuzzing;
mod gate;
mod health;
mod html;
mod idempotency;
mod inbox;
mod inventory;
mod journal;
mod ledger;
mod limits;
mod log;
mod merchant;
mod metrics;
mod money;
mod net;
mod notification;
mod openapi;
mod order;
mod payment;
mod point;
mod poison;
mod problem;
mod repeats;
mod reply;
mod route;
mod saga;
mod schemas;
mod sentence;
mod serve;
mod text;
mod trace;
mod user;
mod view;
mod wait;

use std::sync::Arc;
use std::time::{Duration, Instant};

use jangbu_engine::port::{Backend, Fault, Replica};
use jangbu_kernel::Time;
use jangbu_services::backup::Backups;
use jangbu_services::cache::{Front, Invalidation};
use jangbu_services::consumer::Handle;
use jangbu_services::notification::Tally;
use jangbu_services::queries::{Queries, Views};
use jangbu_services::relay::Watch;
use jangbu_services::sealing::Sealing;
use jangbu_services::shared::Shared;
use jangbu_services::shop::Shop;
use jangbu_services::tail::Follower;
use tokio::sync::Semaphore;

pub use admission::AdmissionRules;
pub use auth::{Keys, MerchantKey, PasswordCost, session_token};
pub use catalog::sheet;
pub use limits::{Network, Rate, Rates};
pub use net::{Connections, serve};
pub use openapi::openapi_json;
pub use serve::router;

use admission::Admission;
use auth::{Directory, Door, Passwords, Sessions};
use gate::Gate;
use limits::Limits;
use log::Log;
use metrics::Counts;
use problem::Problem;
use repeats::Repeats;

/// Carries out `jangbu prove` over the running server; gives its report as JSON.
pub type Prove = Arc<dyn Fn() -> Result<serde_json::Value, String> + Send + Sync>;

/// Limits of the interface.
#[derive(Debug, Clone)]
pub struct Settings {
    /// An order is waited for so long, from the receipt of its request.
    pub wait: Duration,
    /// An order that has not been begun after so long is not begun at all.
    pub start: Duration,
    /// The longest body.
    pub body: usize,
    /// A body arrives, and other commands than orders are answered, within this.
    pub request: Duration,
    /// How old the knowledge of the sold-out gate may be.
    pub gate: Duration,
    /// Payments are taken from anybody, without a signature: for a loopback address alone.
    pub unsigned_payments: bool,
    /// How long a session lasts.
    pub session: Duration,
    /// What a hash of a password costs.
    pub passwords: PasswordCost,
    /// Signed requests of one key that are remembered, against their coming again.
    pub nonces: usize,
    /// Who may ask how often.
    pub rates: Rates,
    /// Who is let in when there is too much of everything.
    pub admission: AdmissionRules,
    /// One success out of so many has a line of the log; 0: none but those that are traced.
    pub log_every: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            wait: Duration::from_secs(3),
            start: Duration::from_secs(2),
            body: 64 << 10,
            request: Duration::from_secs(10),
            gate: Duration::from_secs(1),
            rates: Rates::default(),
            admission: AdmissionRules::default(),
            session: Duration::from_hours(12),
            passwords: PasswordCost::default(),
            unsigned_payments: false,
            nonces: 1_000_000,
            log_every: 100,
        }
    }
}

/// What an [`Api`] stands on.
pub struct Parts {
    /// Takes commands.
    pub shop: Arc<Shop>,
    /// Answers reads.
    pub queries: Arc<Queries>,
    /// Answer those that may be a moment old.
    pub replicas: Vec<Arc<dyn Replica>>,
    /// The shop's store, for the sold-out gate: it must not refuse a request that came before.
    pub truth: Arc<dyn Backend>,
    /// Who may call.
    pub keys: Keys,
    /// Seals personal data and credentials.
    pub sealing: Arc<Sealing>,
    /// Limits.
    pub settings: Settings,
    /// What follows the outbox.
    pub consumer: Handle,
    /// What publishes it, if something does.
    pub relay: Option<Arc<Watch>>,
    /// What each channel of the notifications has done.
    pub post: Vec<(String, Arc<Tally>)>,
    /// Carries out a proof.
    pub prove: Prove,
    /// Its backups.
    pub backups: Arc<Backups>,
    /// What reads of the catalogue ask first.
    pub front: Arc<Front>,
    /// What it shares with other processes, if it does.
    pub shared: Option<Arc<dyn Shared>>,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// The interface of a running shop.
pub struct Api {
    shop: Arc<Shop>,
    queries: Arc<Queries>,
    views: Arc<Views>,
    keys: Keys,
    sessions: Arc<Sessions>,
    directory: Arc<Directory>,
    sealing: Arc<Sealing>,
    passwords: Passwords,
    strangers: user::Strangers,
    settings: Settings,
    consumer: Handle,
    relay: Option<Arc<Watch>>,
    post: Vec<(String, Arc<Tally>)>,
    prove: Prove,
    backups: Arc<Backups>,
    front: Arc<Front>,
    shared: Option<Arc<dyn Shared>>,
    gate: Arc<Gate>,
    closed: coupon::Closed,
    repeats: Repeats,
    counts: Counts,
    log: Log,
    started: Time,
    connections: net::Seen,
    limits: Limits,
    admission: Arc<Admission>,
    /// Turns of journals: as many as may be with the writer at a time.
    journals: Arc<Semaphore>,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Api {
    /// The interface of `parts`.
    pub fn new(parts: Parts) -> Arc<Self> {
        let Parts { shop, queries, truth, keys, sealing, settings, consumer, .. } = parts;
        let Parts { relay, post, prove, backups, front, shared, replicas, .. } = parts;
        let views = Arc::new(Views::new(Arc::clone(&queries), replicas));
        let sessions = sessions(&shop, &queries, &keys);
        let directory = Directory::follow(&shop, &queries, &sealing);
        let gate = Arc::new(Gate::new(settings.gate, truth, shared.clone()));
        gate.listen();
        let (counts, repeats, started) = (Counts::new(), Repeats::default(), shop.now());
        let journals = Arc::new(Semaphore::new(journal::AT_ONCE));
        let log = Log::new(settings.log_every, Instant::now());
        Arc::new(Self {
            passwords: Passwords::new(settings.passwords),
            strangers: user::Strangers::default(),
            sessions,
            directory,
            sealing,
            limits: Limits::new(&settings.rates, shared.as_ref()),
            admission: Admission::new(settings.admission, Instant::now()),
            connections: net::Seen::default(),
            shop,
            queries,
            views,
            keys,
            settings,
            consumer,
            relay,
            post,
            prove,
            backups,
            front,
            shared,
            gate,
            closed: coupon::Closed::default(),
            repeats,
            counts,
            log,
            started,
            journals,
        })
    }

    /// Who has to hear of what is committed, by whichever process: what is kept here forgets what
    /// has changed, and the sold-out gate opens.
    pub fn followers(&self) -> Vec<Box<dyn Follower>> {
        vec![
            Box::new(Invalidation::new(Arc::clone(&self.front))),
            Box::new(gate::Opening::new(Arc::clone(&self.gate))),
        ]
    }

    /// Reads ahead what a shop's front page wants; says how many products that were.
    pub fn warm(&self) -> Result<usize, Fault> {
        catalog::warm(self)
    }

    /// What admission depends on, now.
    fn door(&self) -> Door<'_> {
        Door {
            keys: &self.keys,
            sessions: &self.sessions,
            directory: &self.directory,
            unsigned: self.settings.unsigned_payments,
            nonces: self.settings.nonces,
            started: self.started,
            now: self.shop.now(),
        }
    }

    /// Reads the store itself, on a thread that may block.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Queries) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Problem> {
        let queries = Arc::clone(&self.queries);
        match tokio::task::spawn_blocking(move || read(&queries)).await {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(fault)) => Err(view::failed(fault)),
            Err(_) => Err(view::damaged()),
        }
    }
}

/// The sessions that are good, now and after every commit that ends some, here or in another
/// process of the shop. If the bars cannot be read none is: nobody may come in who was locked out.
fn sessions(shop: &Shop, queries: &Arc<Queries>, keys: &Keys) -> Arc<Sessions> {
    use jangbu_domain::user::command::Event;
    let sessions = Arc::new(Sessions::new(keys.sessions()));
    let barring = Arc::clone(&sessions);
    shop.hub().follow(move |Event::Barred { user, least }| barring.bar(*user, *least));
    let (again, rows) = (Arc::clone(&sessions), Arc::clone(queries));
    shop.hub().follow_again(move || read_bars(&again, &rows));
    read_bars(&sessions, queries);
    sessions
}

fn read_bars(sessions: &Sessions, queries: &Queries) {
    match queries.bars() {
        Ok(bars) => {
            for (user, least) in bars {
                sessions.bar(user, least);
            }
            sessions.refuse_no_more();
        }
        Err(fault) => {
            tracing::error!(%fault, "sessions are refused: it cannot be read which have ended");
            sessions.refuse_all();
        }
    }
}
