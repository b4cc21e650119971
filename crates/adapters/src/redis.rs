//! Redis: values, rate limits and sold-out marks that processes of one shop share. Everything in it
//! may be gone at any moment; what is lost is speed.
//!
//! ```text
//! HTTP tasks ──get, pass──▶ live connection ◀──made, tended, given up── keeper (a thread of its own)
//!      │                        │ no answer in a few ms, again and again        ▲
//!      └──put, close, open──────┼──────────▶ queue ────────────────────────────┤
//! tail of the outbox ──changed──┴──────────▶ pending ──────────────────────────┘
//! ```
//!
//! | part | holds |
//! |---|---|
//! | this file | the ports |
//! | `best` | rankings of best-sellers, as sorted sets |
//! | `find` | where the master is: an address, or sentinels that know |
//! | `live` | one connection, and when it is given up |
//! | `keeper` | the thread that connects, tells and tends |
//! | `pending` | changes that Redis has not been told |
//! | `scripts` | what Redis does in one step |
//!
//! 1. Nobody waits for a connection. Without one, every question is answered "not known" at once.
//! 2. Nobody waits longer than [`Settings::patience`] for an answer. After a few late ones in a row the
//!    connection is given up, and the keeper makes a new one when the server answers fast again.
//! 3. No value is given out before Redis has been told every change that this process has seen.
//! 4. A restarted or promoted server begins anew, whatever data it has (`scripts::TELL`).

mod best;
mod find;
mod keeper;
mod live;
mod pending;
mod scripts;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jangbu_engine::clock::Clock;
use jangbu_kernel::SkuId;
use jangbu_kernel::time::Span;
use jangbu_services::bestseller::{Best, Head, Window};
use jangbu_services::cache::{Cache, Group, Key, Soon, Value};
use jangbu_services::shared::{Bucket, Heard, Link, Shared, Verdict};
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Notify, mpsc, oneshot};

use live::Live;
use pending::Pending;

pub use find::{Nodes, Unusable};

/// Operations that wait for the keeper at most; more are dropped, for they can be.
const QUEUE: usize = 4_096;

/// How Redis is used.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where it is.
    pub nodes: Nodes,
    /// In front of every key: shops that share a server have different ones.
    pub prefix: String,
    /// How long anybody waits for an answer.
    pub patience: Duration,
    /// How long a value lives.
    pub life: Span,
}

/// What the keeper does when it comes to it.
#[derive(Debug)]
enum Errand {
    Put(Key, Value),
    Close(SkuId, Duration),
    Open(Vec<SkuId>),
    Ranked(Window, i64, Arc<[Best]>),
}

#[derive(Debug, Default)]
struct Counts {
    connects: AtomicU64,
    answered: AtomicU64,
    late: AtomicU64,
    failed: AtomicU64,
    away: AtomicU64,
}

/// What the handle and the keeper share.
struct Core {
    settings: Settings,
    clock: Arc<dyn Clock>,
    live: RwLock<Option<Arc<Live>>>,
    pending: Mutex<Pending>,
    /// There is something in `pending`.
    told: Notify,
    heard: RwLock<Vec<Heard>>,
    counts: Counts,
}

impl Core {
    fn key(&self, kind: &str, name: impl std::fmt::Display) -> String {
        format!("{}:{kind}:{name}", self.settings.prefix)
    }

    fn head(&self) -> String {
        format!("{}:head", self.settings.prefix)
    }

    fn closed(&self) -> String {
        format!("{}:closed", self.settings.prefix)
    }

    fn best(&self, window: Window, to: i64) -> String {
        self.key("best", format_args!("{}:{to}", window.name()))
    }

    fn live(&self) -> Option<Arc<Live>> {
        let live = self.live.read().clone();
        if live.is_none() {
            self.counts.away.fetch_add(1, Ordering::Relaxed);
        }
        live
    }
}

/// A Redis server, there or not. Dropped, it ends.
pub struct Redis {
    core: Arc<Core>,
    errands: mpsc::Sender<Errand>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redis").field("link", &self.link()).finish_non_exhaustive()
    }
}

impl Redis {
    /// Begins to connect, in the background.
    pub fn start(settings: Settings, clock: Arc<dyn Clock>) -> std::io::Result<Self> {
        let core = Arc::new(Core {
            settings,
            clock,
            live: RwLock::default(),
            pending: Mutex::default(),
            told: Notify::new(),
            heard: RwLock::default(),
            counts: Counts::default(),
        });
        let (errands, queue) = mpsc::channel(QUEUE);
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let keeper = keeper::Keeper::new(Arc::clone(&core), queue);
        let run = move || runtime.block_on(keeper.run(stopped));
        let thread = std::thread::Builder::new().name("jangbu-redis".to_owned()).spawn(run)?;
        Ok(Self { core, errands, stop: Some(stop), thread: Some(thread) })
    }

    /// Whether values are given out: Redis is there, and knows what has changed.
    pub fn is_joined(&self) -> bool {
        self.core.live.read().as_ref().is_some_and(|live| live.is_joined())
    }

    fn queue(&self, errand: Errand) {
        // Without a connection nobody would do it.
        if self.core.live.read().is_some() {
            drop(self.errands.try_send(errand));
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        drop(self.stop.take());
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the keeper of the connection to Redis panicked");
        }
    }
}

impl Cache for Redis {
    fn get(&self, key: &Key) -> Soon<Option<Value>> {
        let Some(live) = self.core.live().filter(|live| live.is_joined()) else {
            return Box::pin(std::future::ready(None));
        };
        let core = Arc::clone(&self.core);
        let keys = [core.key("value", &key.name), core.key("mark", key.group), core.head()];
        Box::pin(async move { live.value(&core, &keys).await })
    }

    fn put(&self, key: &Key, value: &Value) {
        self.queue(Errand::Put(key.clone(), value.clone()));
    }

    fn changed(&self, groups: &[(Group, i64)], place: i64) {
        self.core.pending.lock().add(groups, place);
        if !groups.is_empty() {
            self.core.told.notify_one();
        }
    }

    fn missed(&self, place: i64) {
        self.core.pending.lock().lose(place);
        self.core.told.notify_one();
    }
}

impl Shared for Redis {
    fn pass(&self, bucket: Bucket) -> Soon<Option<Verdict>> {
        let Some(live) = self.core.live() else {
            return Box::pin(std::future::ready(None));
        };
        let core = Arc::clone(&self.core);
        Box::pin(async move { live.pass(&core, bucket).await })
    }

    fn close(&self, sku: SkuId, age: Duration) {
        self.queue(Errand::Close(sku, age));
    }

    fn open(&self, skus: &[SkuId]) {
        self.queue(Errand::Open(skus.to_vec()));
    }

    fn ranking(&self, window: Window, to: i64) -> Soon<Option<Head>> {
        let Some(live) = self.core.live() else {
            return Box::pin(std::future::ready(None));
        };
        let core = Arc::clone(&self.core);
        Box::pin(async move { live.ranking(&core, &core.best(window, to)).await })
    }

    fn ranked(&self, window: Window, to: i64, best: Arc<[Best]>) {
        self.queue(Errand::Ranked(window, to, best));
    }

    fn listen(&self, heard: Heard) {
        self.core.heard.write().push(heard);
    }

    fn link(&self) -> Link {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Counts { connects, answered, late, failed, away } = &self.core.counts;
        Link {
            up: self.core.live.read().is_some(),
            connects: load(connects),
            answered: load(answered),
            late: load(late),
            failed: load(failed),
            away: load(away),
        }
    }
}
