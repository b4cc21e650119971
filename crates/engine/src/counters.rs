//! What the loop has done, phase by phase: read by `/metrics` and by every bench report.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::position::Reached;

/// Upper bounds of the batch-size buckets.
const BUCKETS: [u64; 16] = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 256, 512];

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        /// Counters of one cell. Written by its owner alone, read by anybody.
        #[derive(Debug, Default)]
        pub struct Counters {
            $($(#[$doc])* pub $name: AtomicU64,)+
            /// How far the cell has come, whoever owns it.
            pub reached: Reached,
            sizes: [AtomicU64; BUCKETS.len() + 1],
        }

        /// The counters at one moment.
        #[derive(Debug, Default, Clone, PartialEq, Eq)]
        pub struct Snapshot {
            $($(#[$doc])* pub $name: u64,)+
            /// Batches by size, in the buckets of [`Snapshot::batch_quantile`].
            pub sizes: [u64; BUCKETS.len() + 1],
        }

        impl Counters {
            /// Reads them all.
            pub fn snapshot(&self) -> Snapshot {
                Snapshot {
                    $($name: self.$name.load(Ordering::Relaxed),)+
                    sizes: std::array::from_fn(|i| self.sizes[i].load(Ordering::Relaxed)),
                }
            }
        }
    };
}

counters! {
    /// Transactions that were committed.
    commits,
    /// Root commands that were run.
    items,
    /// Commands in all, cascades included.
    commands,
    /// Client commands recalled by their idempotency key.
    replays,
    /// Refusals by a domain.
    rejects,
    /// Refused before they ran: mailbox full, read-only, too late.
    not_run,
    /// Items that were set aside as poison.
    poison,
    /// Batches that were run again after a fault.
    reruns,
    /// Rows written.
    rows,
    /// Rows read from the store.
    rows_read,
    /// Rounds of reads: each waits once for a database behind a network.
    reads,
    /// Events published.
    events,
    /// Pages that went to the log.
    pages,
    /// Bytes that went to the log.
    wal_bytes,
    /// Flushes to stable storage by the owner.
    fsyncs,
    /// Checkpoints.
    checkpoints,
    /// Nanoseconds reading rows.
    read_ns,
    /// Nanoseconds deciding, mapping rows included.
    decide_ns,
    /// Nanoseconds writing rows.
    write_ns,
    /// Nanoseconds in commit, waiting for the disk included.
    commit_ns,
    /// Nanoseconds between transactions: housekeeping of the store.
    between_ns,
    /// Nanoseconds handing out answers, calls and messages.
    deliver_ns,
    /// Slices of long work: copies, trimming.
    chore_slices,
    /// Nanoseconds in them, their commits included.
    chore_ns,
    /// The longest of them in nanoseconds.
    chore_longest_ns,
    /// Events that were trimmed from the outbox.
    trimmed,
    /// Requests that lost their idempotency key.
    purged,
}

impl Counters {
    /// Adds `n` to a counter. Relaxed: one writer, and nobody orders anything by it.
    pub fn add(counter: &AtomicU64, n: u64) {
        counter.store(counter.load(Ordering::Relaxed) + n, Ordering::Relaxed);
    }

    /// Counts a batch of `items` root commands.
    pub fn batch(&self, items: usize) {
        let items = items as u64;
        let bucket = BUCKETS.iter().position(|&b| items <= b).unwrap_or(BUCKETS.len());
        Self::add(&self.sizes[bucket], 1);
        Self::add(&self.items, items);
    }

    /// Items of all batches so far.
    pub fn items(&self) -> u64 {
        self.items.load(Ordering::Relaxed)
    }
}

impl Snapshot {
    /// The batch size (upper bound of its bucket) below which the share `per_mille` of all
    /// batches lies; 0 before the first batch.
    pub fn batch_quantile(&self, per_mille: u64) -> u64 {
        let all: u64 = self.sizes.iter().sum();
        let mut left = (all * per_mille).div_ceil(1_000);
        for (i, n) in self.sizes.iter().enumerate() {
            if *n >= left && left > 0 {
                return BUCKETS.get(i).copied().unwrap_or(1_024);
            }
            left -= left.min(*n);
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_name_the_bucket() {
        let counters = Counters::default();
        assert_eq!(counters.snapshot().batch_quantile(500), 0);
        for size in [1, 1, 1, 30, 64] {
            counters.batch(size);
        }
        let seen = counters.snapshot();
        assert_eq!((seen.batch_quantile(500), seen.batch_quantile(990)), (1, 64));
        assert_eq!(seen.items, 97);
    }
}
