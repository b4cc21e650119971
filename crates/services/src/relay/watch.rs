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
    trouble: Option<String>,
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

    /// What is wrong now, if something is: the last failure while the breaker is not closed, or what
    /// the publisher complains of.
    pub fn finding(&self) -> Option<String> {
        let said = self.said.lock();
        if self.stopped.load(Ordering::Relaxed) {
            return said.trouble.clone().or_else(|| Some("it stands still".to_owned()));
        }
        let away = said.breaker.state != BreakerState::Closed;
        said.trouble.clone().filter(|_| away).or_else(|| said.complaint.clone())
    }

    /// Whether publishing works.
    pub fn is_up(&self) -> bool {
        let open = self.breaker().state != BreakerState::Closed;
        !open && !self.stopped.load(Ordering::Relaxed)
    }

    pub(super) fn trouble(&self, why: &str) {
        let mut said = self.said.lock();
        if said.trouble.as_deref() != Some(why) {
            tracing::warn!(why, "events cannot be published now; they are kept");
            said.trouble = Some(why.to_owned());
        }
    }

    pub(super) fn calm(&self) {
        if self.said.lock().trouble.take().is_some() {
            tracing::info!("events are published again");
        }
    }

    pub(super) fn see(&self, breaker: BreakerStats, complaint: Option<String>) {
        let mut said = self.said.lock();
        said.breaker = breaker;
        said.complaint = complaint;
    }
}
