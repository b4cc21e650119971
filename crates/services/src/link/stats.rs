//! What the link has done.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters of a process' end of the link.
#[derive(Debug, Default)]
pub(super) struct Stats {
    pub(super) batches: AtomicU64,
    pub(super) sent: AtomicU64,
    pub(super) in_flight: AtomicU64,
    pub(super) links: AtomicU64,
    pub(super) again: AtomicU64,
    pub(super) unsure: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) received_batches: AtomicU64,
    pub(super) received: AtomicU64,
    pub(super) followers: AtomicU64,
}

impl Stats {
    pub(super) fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }

    pub(super) fn snapshot(&self) -> LinkStats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        LinkStats {
            batches: get(&self.batches),
            sent: get(&self.sent),
            in_flight: get(&self.in_flight),
            links: get(&self.links),
            again: get(&self.again),
            unsure: get(&self.unsure),
            refused: get(&self.refused),
            received_batches: get(&self.received_batches),
            received: get(&self.received),
            followers: get(&self.followers),
        }
    }
}

/// What the link has done since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LinkStats {
    /// Batches sent to an owner.
    pub batches: u64,
    /// Commands in them.
    pub sent: u64,
    /// Commands that are sent and not answered.
    pub in_flight: u64,
    /// How often an owner was reached; all but the first are reconnects.
    pub links: u64,
    /// Commands that went back into the mailbox after a link broke, to be sent again.
    pub again: u64,
    /// Commands without a key whose fate was lost with a link.
    pub unsure: u64,
    /// Connections that were refused here: another version, or another secret.
    pub refused: u64,
    /// Batches that came from followers.
    pub received_batches: u64,
    /// Commands in them.
    pub received: u64,
    /// Followers that are linked now.
    pub followers: u64,
}
