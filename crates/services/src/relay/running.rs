//! The thread of the relay, and the bell that wakes it after a commit.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use jangbu_engine::clock::Clock;
use jangbu_engine::port::Fault;
use jangbu_engine::role::Standing;
use jangbu_kernel::time::Span;
use parking_lot::{Condvar, Mutex};

use super::{Relay, Step, Watch};

/// Between two steps while something is on its way: what gathers meanwhile is handed over together.
const LINGER: Duration = Duration::from_millis(20);

/// The longest sleep: who rings is only faster.
const NAP: Duration = Duration::from_millis(200);

/// After a fault of the store.
const BACK_OFF: Duration = Duration::from_secs(1);

/// How long a stop waits for what is on its way.
const PATIENCE: Span = Span(2_000_000);

/// Wakes the relay. Ringing costs next to nothing while it is awake.
#[derive(Debug, Default)]
pub struct Bell {
    rung: AtomicBool,
    stop: AtomicBool,
    sleeping: Mutex<()>,
    wake: Condvar,
}

impl Bell {
    /// There is something new in the outbox.
    pub fn ring(&self) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            self.notify();
        }
    }

    fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.notify();
    }

    fn notify(&self) {
        // Who is about to sleep holds the lock until it does.
        drop(self.sleeping.lock());
        self.wake.notify_one();
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Sleeps for so long, or until it stops.
    fn rest(&self, time: Duration) {
        let mut sleeping = self.sleeping.lock();
        if !self.stopped() {
            self.wake.wait_for(&mut sleeping, time);
        }
    }

    /// Sleeps until it rings.
    fn listen(&self) {
        let mut sleeping = self.sleeping.lock();
        if !self.stopped() && !self.rung.load(Ordering::Acquire) {
            self.wake.wait_for(&mut sleeping, NAP);
        }
        drop(sleeping);
        self.rung.store(false, Ordering::Release);
    }
}

/// A running relay.
#[derive(Debug)]
pub struct Running {
    bell: Arc<Bell>,
    watch: Arc<Watch>,
    thread: JoinHandle<()>,
}

impl Running {
    /// Runs `relay` on a thread of its own, as long as `standing` says that the outbox is this
    /// process'; whoever commits rings `bell`.
    pub fn start(
        relay: Relay,
        clock: Arc<dyn Clock>,
        bell: Arc<Bell>,
        standing: Arc<Standing>,
    ) -> Result<Self, Fault> {
        let (watch, rings) = (relay.watch(), Arc::clone(&bell));
        let run = move || run(relay, &*clock, &rings, &standing);
        let thread = std::thread::Builder::new().name("jangbu-relay".to_owned()).spawn(run);
        let thread = thread.map_err(|error| Fault::Fatal(format!("no thread: {error}")))?;
        Ok(Self { bell, watch, thread })
    }

    /// For whoever watches it.
    pub fn watch(&self) -> Arc<Watch> {
        Arc::clone(&self.watch)
    }

    /// Publishes what is there, as far as that takes no longer than two seconds, and ends. What is
    /// left is published after the next start.
    pub fn stop(self) {
        self.bell.stop();
        if self.thread.join().is_err() {
            tracing::error!("the relay panicked");
        }
    }
}

/// Says that the relay stands still, however its thread ends.
struct Ended(Arc<Watch>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.stopped.store(true, Ordering::Relaxed);
    }
}

fn run(mut relay: Relay, clock: &dyn Clock, bell: &Bell, standing: &Standing) {
    let _ended = Ended(relay.watch());
    let mut last = None;
    loop {
        if bell.stopped() {
            last = last.or_else(|| Some(clock.now() + PATIENCE));
        }
        if !standing.is_owner() {
            relay.let_go();
            if last.is_some() {
                return;
            }
            bell.rest(NAP);
            continue;
        }
        let step = relay.step(clock.now());
        let over = last.is_some_and(|last| clock.now() >= last);
        match step {
            Ok(Step::Idle) if last.is_some() && relay.is_kept() => return,
            _ if over => return,
            Ok(Step::More) => {}
            // A stop is polite, and does not spin.
            Ok(Step::Waiting | Step::Idle) if last.is_some() => pause(bell),
            Ok(Step::Waiting) => bell.rest(LINGER),
            Ok(Step::Idle) => bell.listen(),
            Err(fault) => {
                relay.watch.trouble(&fault.to_string());
                tracing::error!(%fault, "the outbox cannot be read; publishing waits");
                bell.rest(BACK_OFF);
            }
        }
    }
}

/// Sleeps a moment although it is to stop.
fn pause(bell: &Bell) {
    let mut sleeping = bell.sleeping.lock();
    bell.wake.wait_for(&mut sleeping, Duration::from_millis(5));
}
