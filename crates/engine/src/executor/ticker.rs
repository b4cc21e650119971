//! The thread that keeps the deadlines of an executor.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use jangbu_kernel::time::Span;
use parking_lot::{Condvar, Mutex};

use super::Executor;

/// A running time-keeper; it stops when it is dropped.
#[derive(Debug)]
pub struct Ticker {
    stop: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    pub(super) fn start(executor: Executor, grain: Span) -> std::io::Result<Self> {
        let nap = Duration::from_micros(grain.0.max(1_000).unsigned_abs());
        let stop = Arc::new((Mutex::new(false), Condvar::new()));
        let stopped = Arc::clone(&stop);
        let run = move || keep_time(&executor, nap, &stopped);
        let thread = std::thread::Builder::new().name("jangbu-calls".to_owned()).spawn(run)?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        *self.stop.0.lock() = true;
        self.stop.1.notify_all();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that keeps deadlines panicked");
        }
    }
}

fn keep_time(executor: &Executor, nap: Duration, stop: &(Mutex<bool>, Condvar)) {
    let mut stopped = stop.0.lock();
    while !*stopped {
        stop.1.wait_for(&mut stopped, nap);
        let tick = AssertUnwindSafe(|| executor.tick(executor.0.clock.now()));
        if catch_unwind(tick).is_err() {
            tracing::error!(caller = executor.0.caller.name(), "timing out calls panicked");
        }
    }
}
