//! What the outside may know of the relay.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use jangbu_engine::breaker::{BreakerState, BreakerStats};
use parking_lot::Mutex;

use super::Place;
use crate::lag::Progress;

/// The relay at work. Written by its thread alone, read by anybody.
#[derive(Debug)]
pub struct Watch {
    pub(super) place: Arc<Place>,
    pub(super) progress: Progress,
    pub(super) in_flight: AtomicU64,
    pub(super) sent: AtomicU64,
    pub(super) acked: AtomicU64,
    pub(super) resets: AtomicU64,
    pub(super) dead: AtomicU64,
    pub(super) missed: AtomicU64,
    pub(super) stopped: AtomicBool,
    said: Mutex<Said>,
}

#[derive(Debug, Default)]
struct Said {
    breaker: BreakerStats,
    /// The last failure, until something is published again.
    trouble: Option<String>,
    /// Why nothing behind the next event can be published, although the publisher is there.
    stuck: Option<String>,
    complaint: Option<String>,
}

impl Watch {
    pub(super) fn new(place: Arc<Place>) -> Self {
        Self {
            place,
            progress: Progress::default(),
            in_flight: AtomicU64::default(),
            sent: AtomicU64::default(),
            acked: AtomicU64::default(),
            resets: AtomicU64::default(),
            dead: AtomicU64::default(),
            missed: AtomicU64::default(),
            stopped: AtomicBool::default(),
            said: Mutex::default(),
        }
    }

    /// The last event up to which everything is published, and how far behind the outbox events
    /// were when they were acknowledged.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// The last event that it needs no more.
    pub fn floor(&self) -> i64 {
        self.place.kept().unwrap_or(0)
    }

    /// Events that are handed over and not acknowledged.
    pub fn in_flight(&self) -> u64 {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Records handed over since the start, repeats included.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Records acknowledged since the start.
    pub fn acked(&self) -> u64 {
        self.acked.load(Ordering::Relaxed)
    }

    /// How often it began again behind its place.
    pub fn resets(&self) -> u64 {
        self.resets.load(Ordering::Relaxed)
    }

    /// Records that were refused and went to the dead letters.
    pub fn dead(&self) -> u64 {
        self.dead.load(Ordering::Relaxed)
    }

    /// Events that were trimmed while nobody published them.
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }

    /// The breaker before the publisher.
    pub fn breaker(&self) -> BreakerStats {
        self.said.lock().breaker
    }

    /// What is wrong now, if something is: why publishing does not work, or what the publisher
    /// complains of although it does.
    pub fn finding(&self) -> Option<String> {
        let said = self.said.lock();
        self.outage(&said).or_else(|| said.complaint.clone())
    }

    /// Whether publishing works.
    pub fn is_up(&self) -> bool {
        self.outage(&self.said.lock()).is_none()
    }

    /// Why publishing does not work, if it does not.
    fn outage(&self, said: &Said) -> Option<String> {
        let last = |or: &str| Some(said.trouble.clone().unwrap_or_else(|| or.to_owned()));
        if self.stopped.load(Ordering::Relaxed) {
            return last("it stands still");
        }
        if said.breaker.state != BreakerState::Closed {
            return last("publishing failed too often");
        }
        said.stuck.clone()
    }

    pub(super) fn trouble(&self, why: &str) {
        let mut said = self.said.lock();
        if said.trouble.as_deref() != Some(why) {
            tracing::warn!(why, "events cannot be published now; they are kept");
            said.trouble = Some(why.to_owned());
        }
    }

    /// Something was published, or can be. The last failure is over when the breaker is closed: an
    /// acknowledgement from before an outage may come after its begin.
    pub(super) fn calm(&self, breaker: BreakerStats) {
        let mut said = self.said.lock();
        said.breaker = breaker;
        if breaker.state == BreakerState::Closed && said.trouble.take().is_some() {
            tracing::info!("events are published again");
        }
    }

    pub(super) fn see(
        &self,
        breaker: BreakerStats,
        stuck: Option<String>,
        complaint: Option<String>,
    ) {
        let mut said = self.said.lock();
        (said.breaker, said.stuck, said.complaint) = (breaker, stuck, complaint);
    }
}
