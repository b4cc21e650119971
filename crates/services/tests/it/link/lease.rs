//! A lease in memory, as a store keeps it for several processes: whoever writes without it is
//! fenced. A process can be frozen, as one that is paused or swapped out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use jangbu_engine::port::{Backend, Fault, Reader, Store, StoreCounters, Tenure, Tx};
use jangbu_store::Memory;
use parking_lot::{Condvar, Mutex};

/// The lease, and who has it.
#[derive(Debug, Default)]
struct Row {
    epoch: i64,
    holder: u8,
    address: String,
    until: Option<Instant>,
}

/// The store that all processes share.
#[derive(Debug, Clone)]
pub(super) struct Leases {
    memory: Memory,
    row: Arc<Mutex<Row>>,
    length: Duration,
}

impl Leases {
    pub(super) fn new(memory: Memory, length: Duration) -> Self {
        Self { memory, row: Arc::default(), length }
    }

    pub(super) fn length(&self) -> Duration {
        self.length
    }

    /// The store as process `me` opens it.
    pub(super) fn of(&self, me: u8) -> Leased {
        Leased { leases: self.clone(), me, ice: Arc::default(), fenced: Arc::default() }
    }
}

/// Whether a process stands still.
#[derive(Debug, Default)]
struct Ice {
    frozen: Mutex<bool>,
    thawed: Condvar,
}

impl Ice {
    fn pass(&self) {
        let mut frozen = self.frozen.lock();
        self.thawed.wait_while(&mut frozen, |frozen| *frozen);
    }
}

/// The store of one process.
#[derive(Debug, Clone)]
pub(super) struct Leased {
    leases: Leases,
    me: u8,
    ice: Arc<Ice>,
    fenced: Arc<AtomicU64>,
}

impl Leased {
    /// From the next transaction or claim on it stands still.
    pub(super) fn freeze(&self) {
        *self.ice.frozen.lock() = true;
    }

    pub(super) fn thaw(&self) {
        *self.ice.frozen.lock() = false;
        self.ice.thawed.notify_all();
    }

    /// How often it tried to write what is another process'.
    pub(super) fn fenced(&self) -> u64 {
        self.fenced.load(Ordering::Relaxed)
    }

    fn check(&self, epoch: i64) -> Result<(), Fault> {
        let row = self.leases.row.lock();
        if (row.epoch, row.holder) == (epoch, self.me) {
            return Ok(());
        }
        self.fenced.fetch_add(1, Ordering::Relaxed);
        Err(Fault::LostEpoch(format!("epoch {epoch} is over: it is {}", row.epoch)))
    }
}

impl Backend for Leased {
    fn with(&self, body: &mut dyn FnMut(&mut dyn Store)) -> Result<(), Fault> {
        let epoch = self.leases.row.lock().epoch;
        self.check(epoch)?;
        let mut opened = Ok(());
        self.leases.memory.with(&mut |store| {
            let mut fence = Fence { store, lease: self, epoch };
            opened = self.check(epoch);
            body(&mut fence);
        })?;
        opened
    }

    fn reader(&self) -> Result<Box<dyn Reader>, Fault> {
        self.leases.memory.reader()
    }

    #[expect(clippy::disallowed_methods, reason = "a lease is about real time")]
    fn claim(&self, address: &str) -> Result<Tenure, Fault> {
        self.ice.pass();
        let (mut row, now) = (self.leases.row.lock(), Instant::now());
        let left = row.until.map_or(Duration::ZERO, |until| until.saturating_duration_since(now));
        if row.holder != self.me && !left.is_zero() {
            return Ok(Tenure::Theirs { address: row.address.clone(), left });
        }
        if row.holder != self.me || left.is_zero() {
            row.epoch += 1;
        }
        (row.holder, row.until) = (self.me, Some(now + self.leases.length));
        address.clone_into(&mut row.address);
        Ok(Tenure::Mine { epoch: row.epoch })
    }

    fn release(&self) -> Result<(), Fault> {
        let mut row = self.leases.row.lock();
        if row.holder == self.me {
            row.until = None;
        }
        Ok(())
    }
}

/// A store that begins nothing in another epoch than its own.
struct Fence<'a> {
    store: &'a mut dyn Store,
    lease: &'a Leased,
    epoch: i64,
}

impl Store for Fence<'_> {
    fn begin(&mut self) -> Result<Box<dyn Tx + '_>, Fault> {
        self.lease.ice.pass();
        self.lease.check(self.epoch)?;
        self.store.begin()
    }

    fn counters(&self) -> StoreCounters {
        self.store.counters()
    }
}
