//! For how long a cell is this process'.
//!
//! ```text
//! claim ──▶ mine until then ──every third of it──▶ claim ──▶ mine until then ──▶ …
//!                 │ not renewed in time                │ somebody else's, or another epoch
//!                 └──────────▶ decide nothing more ◀───┘
//! ```
//!
//! The time counts from *before* the claim was sent, and a fifth of it is not used: an owner stops
//! before another process can begin. That is only politeness, for the clocks of two machines agree
//! on nothing: what keeps two owners apart is the epoch that the store checks in each transaction.

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use jangbu_kernel::Time;
use jangbu_kernel::time::Span;
use parking_lot::{Condvar, Mutex};

use crate::clock::Clock;
use crate::mailbox::Mailbox;
use crate::port::{Backend, Fault, Tenure};

/// A lease that is renewed meanwhile.
#[derive(Debug)]
pub(crate) struct Lease {
    until: AtomicI64,
    lost: AtomicBool,
    length: Span,
}

impl Lease {
    /// One that was claimed at `begun`.
    pub(crate) fn new(begun: Time, length: Duration) -> Self {
        let micros = i64::try_from(length.as_micros()).unwrap_or(i64::MAX / 4);
        let length = Span(micros - micros / 5);
        let until = AtomicI64::new((begun + length).0);
        Self { until, lost: AtomicBool::new(false), length }
    }

    /// Whether the cell is surely this process' at `now`.
    pub(crate) fn holds(&self, now: Time) -> bool {
        !self.lost.load(Ordering::Acquire) && now.0 < self.until.load(Ordering::Acquire)
    }

    fn renewed(&self, begun: Time) {
        self.until.store((begun + self.length).0, Ordering::Release);
    }

    fn lose(&self) {
        self.lost.store(true, Ordering::Release);
    }
}

/// What the renewing thread needs.
pub(crate) struct Renewal {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Woken when the lease is lost.
    pub(crate) mailbox: Arc<Mailbox>,
    pub(crate) address: String,
    pub(crate) epoch: i64,
    pub(crate) every: Duration,
}

/// The thread that renews a lease; it stops when it is dropped.
#[derive(Debug)]
pub(crate) struct Renewer {
    stop: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Renewer {
    pub(crate) fn start(renewal: Renewal, lease: Arc<Lease>) -> Result<Self, Fault> {
        let stop = Arc::new((Mutex::new(false), Condvar::new()));
        let stopped = Arc::clone(&stop);
        let run = move || renewal.keep(&lease, &stopped);
        let thread = std::thread::Builder::new().name("jangbu-lease".to_owned()).spawn(run);
        let thread = thread.map_err(|error| Fault::Fatal(format!("no thread: {error}")))?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Renewer {
    fn drop(&mut self) {
        *self.stop.0.lock() = true;
        self.stop.1.notify_all();
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that renews the lease panicked");
        }
    }
}

impl Renewal {
    fn keep(&self, lease: &Lease, stop: &(Mutex<bool>, Condvar)) {
        let mut stopped = stop.0.lock();
        loop {
            stop.1.wait_while_for(&mut stopped, |stopped| !*stopped, self.every);
            if *stopped {
                return;
            }
            let go_on = parking_lot::MutexGuard::unlocked(&mut stopped, || self.renew(lease));
            if !go_on {
                return;
            }
        }
    }

    /// Renews it once; tells whether there is still something to renew.
    fn renew(&self, lease: &Lease) -> bool {
        let begun = self.clock.now();
        match self.backend.claim(&self.address) {
            Ok(Tenure::Mine { epoch }) if epoch == self.epoch => {
                lease.renewed(begun);
                return true;
            }
            Err(fault) if !matches!(fault, Fault::LostEpoch(_)) => {
                tracing::warn!(%fault, "the lease could not be renewed");
                return true;
            }
            other => tracing::warn!(?other, "the lease is lost"),
        }
        lease.lose();
        self.mailbox.nudge();
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_stops_before_its_lease_ends() {
        let lease = Lease::new(Time(1_000_000), Duration::from_secs(5));
        assert!(lease.holds(Time(4_999_999)) && !lease.holds(Time(5_000_000)));
        lease.renewed(Time(3_000_000));
        assert!(lease.holds(Time(6_999_999)) && !lease.holds(Time(7_000_000)));
        lease.lose();
        assert!(!lease.holds(Time(0)));
    }
}
