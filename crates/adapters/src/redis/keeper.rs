//! The thread that connects, tells and tends.
//!
//! ```text
//! connect ─▶ measure ─▶ load scripts ─▶ live ─▶ tell what changed ─▶ joined
//!    ▲  back-off                          │      every 200 ms: who is sold out; every second: I am here
//!    └──────────── given up ◀─────────────┘
//! ```

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use jangbu_kernel::SkuId;
use redis::{RedisError, cmd};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};

use super::live::{Live, Scripts, run_of};
use super::pending::Telling;
use super::{Core, Errand, best};

/// Connecting, with everything that belongs to it, takes no longer.
const CONNECT: Duration = Duration::from_secs(3);

/// Between two attempts at first, and at last.
const REST: Duration = Duration::from_millis(100);
const REST_MAX: Duration = Duration::from_secs(5);

/// How long the keeper, which nobody waits for, waits for an answer.
const PATIENCE: Duration = Duration::from_millis(500);

/// Between two looks at what others have found sold out.
const TICK: Duration = Duration::from_millis(200);

/// Ticks between two heartbeats.
const HEARTBEAT: u32 = 5;

/// Ticks for which a process that has just started leaves it to others to tell what changed before.
const OTHERS: u32 = 10;

/// Why the keeper stops to tend a connection.
enum End {
    GivenUp,
    Stopped,
}

pub(super) struct Keeper {
    core: Arc<Core>,
    errands: mpsc::Receiver<Errand>,
    /// Whether this process has ever told this shop's changes.
    known: bool,
    /// Ticks for which it has been left to others.
    waited: u32,
}

impl Keeper {
    pub(super) fn new(core: Arc<Core>, errands: mpsc::Receiver<Errand>) -> Self {
        Self { core, errands, known: false, waited: 0 }
    }

    pub(super) async fn run(mut self, mut stopped: oneshot::Receiver<()>) {
        let (mut rest, mut away) = (REST, false);
        loop {
            let connecting = timeout(CONNECT, self.connect());
            let connected = tokio::select! {
                biased;
                _ = &mut stopped => return,
                connected = connecting => connected,
            };
            let why = match connected {
                Ok(Ok(live)) => {
                    tracing::info!("Redis is there");
                    (rest, away) = (REST, false);
                    match self.tend(Arc::new(live), &mut stopped).await {
                        End::Stopped => return,
                        End::GivenUp => "the connection was given up".to_owned(),
                    }
                }
                Ok(Err(error)) => error.to_string(),
                Err(_) => "no answer".to_owned(),
            };
            if !std::mem::replace(&mut away, true) {
                tracing::warn!(why, "Redis is away; everything goes on without it");
            }
            // Processes that have lost it together do not come back together.
            let jitter = RandomState::new().hash_one(rest) % 256;
            let pause = rest + rest * u32::try_from(jitter).unwrap_or(0) / 1_024;
            tokio::select! {
                biased;
                _ = &mut stopped => return,
                () = sleep(pause) => {}
            }
            rest = (rest * 2).min(REST_MAX);
        }
    }

    async fn connect(&self) -> Result<Live, RedisError> {
        let core = &self.core;
        let mut connection = core.settings.nodes.connect().await?;
        let run = run_of(&mut connection).await?;
        let scripts = Scripts::load(&mut connection).await?;
        let began = Instant::now();
        cmd("PING").query_async::<()>(&mut connection).await?;
        // Who asks in vain every time is better off without it.
        if began.elapsed() > core.settings.patience {
            return Err(RedisError::from((
                redis::ErrorKind::Client,
                "the server answers too late",
            )));
        }
        Ok(Live::new(connection, scripts, run))
    }

    /// Looks after a connection until it is given up.
    async fn tend(&mut self, live: Arc<Live>, stopped: &mut oneshot::Receiver<()>) -> End {
        // What waited for another connection is of no use any more.
        while self.errands.try_recv().is_ok() {}
        self.core.counts.connects.fetch_add(1, Ordering::Relaxed);
        *self.core.live.write() = Some(Arc::clone(&live));
        let (mut ticks, mut count) = (interval(TICK), 0_u32);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let core = Arc::clone(&self.core);
        while !live.is_given_up() {
            tokio::select! {
                biased;
                _ = &mut *stopped => return End::Stopped,
                () = live.end.notified() => {}
                () = core.told.notified() => self.tell(&live).await,
                _ = ticks.tick() => {
                    self.tick(&live, count).await;
                    count = count.wrapping_add(1);
                }
                Some(errand) = self.errands.recv() => self.carry_out(&live, errand).await,
            }
        }
        End::GivenUp
    }

    async fn tick(&mut self, live: &Live, count: u32) {
        if !live.is_joined() || count.is_multiple_of(HEARTBEAT) {
            self.tell(live).await;
        }
        self.look(live).await;
    }

    /// Tells what has changed, or that nothing has.
    async fn tell(&mut self, live: &Live) {
        let Some(telling) = self.core.pending.lock().telling() else { return };
        if !self.known && !self.may_join(live, &telling).await {
            return;
        }
        let core = &self.core;
        let mut question = cmd("EVALSHA");
        question.arg(&live.scripts.tell).arg(telling.groups.len() + 1).arg(core.head());
        for (group, _) in &telling.groups {
            question.arg(core.key("mark", group));
        }
        let wait = !self.known && self.waited < OTHERS;
        // A mark outlives every value from before it, on whichever way that is.
        let life = core.settings.life.as_millis() * 2 + 10_000;
        question.arg(&live.run).arg(telling.from).arg(telling.to).arg(life).arg(i32::from(wait));
        for (_, number) in &telling.groups {
            question.arg(number);
        }
        match live.ask::<i64>(core, &question, PATIENCE).await {
            Some(1) => {
                core.pending.lock().done(&telling);
                self.known = true;
                live.join();
                if core.pending.lock().is_urgent() {
                    core.told.notify_one();
                }
            }
            Some(_) => self.waited += 1,
            None => {}
        }
    }

    /// Whether a process that has just started may tell. Redis may know later events than it: those
    /// of other processes, which it will see in a moment; or of a store that has been restored from
    /// a backup since. Then what is there is of another history.
    async fn may_join(&mut self, live: &Live, telling: &Telling) -> bool {
        let core = &self.core;
        let mut question = cmd("GET");
        question.arg(core.head());
        let Some(head) = live.ask::<Option<String>>(core, &question, PATIENCE).await else {
            return false;
        };
        let told = head.and_then(|head| head.split(' ').nth(1)?.parse::<i64>().ok());
        if told.is_none_or(|told| told <= telling.to) {
            return true;
        }
        self.waited += 1;
        if self.waited < OTHERS {
            return false;
        }
        tracing::warn!(
            told,
            at = telling.to,
            "Redis knows later events than the store: it begins anew"
        );
        let mut question = cmd("DEL");
        question.arg(core.head());
        live.ask::<i64>(core, &question, PATIENCE).await.is_some()
    }

    async fn carry_out(&self, live: &Live, errand: Errand) {
        let core = &self.core;
        let question = match errand {
            // It may have been read before this connection was joined: then nobody knows.
            Errand::Put(..) if !live.is_joined() => return,
            Errand::Put(key, value) => {
                let left = (value.until - core.clock.now()).as_millis();
                if left <= 0 {
                    return;
                }
                let mut put = cmd("EVALSHA");
                put.arg(&live.scripts.put).arg(3).arg(core.key("value", &key.name));
                put.arg(core.key("mark", key.group)).arg(core.head());
                put.arg(value.number).arg(left).arg(&*value.bytes);
                put
            }
            Errand::Close(sku, age) => {
                let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX).max(1);
                let mut close = cmd("EVALSHA");
                close.arg(&live.scripts.close).arg(1).arg(core.closed()).arg(sku.0).arg(age);
                close
            }
            Errand::Open(skus) => {
                let mut open = cmd("ZREM");
                open.arg(core.closed()).arg(skus.iter().map(|sku| sku.0).collect::<Vec<_>>());
                open
            }
            Errand::Ranked(window, to, ranking) => {
                let mut ranked = cmd("EVALSHA");
                ranked.arg(&live.scripts.best).arg(1).arg(core.best(window, to));
                best::keep(&ranking, &mut ranked);
                ranked
            }
        };
        let _ = live.ask::<i64>(core, &question, PATIENCE).await;
    }

    /// Looks what others have found sold out.
    async fn look(&self, live: &Live) {
        let core = &self.core;
        if core.heard.read().is_empty() {
            return;
        }
        let mut question = cmd("EVALSHA");
        question.arg(&live.scripts.closed).arg(1).arg(core.closed());
        let Some(found) = live.ask::<Vec<i64>>(core, &question, PATIENCE).await else { return };
        let closed: Vec<_> = found
            .chunks_exact(2)
            .map(|pair| (SkuId(pair[0]), Duration::from_millis(pair[1].max(0).unsigned_abs())))
            .collect();
        if !closed.is_empty() {
            for heard in &*core.heard.read() {
                heard(&closed);
            }
        }
    }
}
