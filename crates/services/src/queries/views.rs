//! Which server answers a read that may be a moment old.
//!
//! ```text
//! read ─▶ a replica that can be asked, is not too far behind, and has what the reader brings
//!    │        │ it fails, or has not what is looked for
//!    └────────┴──▶ the store itself
//! ```
//!
//! A replica saves the store work and is never an authority: what it does not have may be there all the same,
//! and what fails on it is read from the store. So a replica that dies costs no read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use jangbu_engine::port::{Fault, Replica, Sight};
use jangbu_engine::position::Position;

use super::readers::Readers;
use super::{Queries, View};

/// What a state must have before a reader may see it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// The truth has come so far.
    pub reached: Position,
    /// The projections have taken in this event; only lists are asked.
    pub projected: i64,
}

/// Why a read has no answer.
#[derive(Debug, thiserror::Error)]
pub enum Missed {
    /// The projections have not come as far as was asked for.
    #[error("the lists are not as new as was asked for: {0}")]
    Behind(Fault),
    /// The store could not be read.
    #[error(transparent)]
    Fault(Fault),
}

/// How a replica is used.
#[derive(Debug)]
pub struct Usage {
    /// What it is called.
    pub name: String,
    /// How it stands.
    pub sight: Sight,
    /// Reads that it has answered.
    pub reads: u64,
    /// Reads that failed on it, and were answered by the store.
    pub failed: u64,
    /// Reads that did not find on it what they looked for, and looked in the store.
    pub again: u64,
}

#[derive(Debug)]
struct Standby {
    replica: Arc<dyn Replica>,
    view: View,
    reads: AtomicU64,
    failed: AtomicU64,
    again: AtomicU64,
}

/// The store, and the replicas that may answer for it.
#[derive(Debug)]
pub struct Views {
    store: Arc<Queries>,
    standbys: Vec<Standby>,
    next: AtomicUsize,
    reads: AtomicU64,
}

impl Views {
    /// The store that `store` reads, and its replicas.
    pub fn new(store: Arc<Queries>, replicas: Vec<Arc<dyn Replica>>) -> Self {
        let standbys = replicas.into_iter().map(Standby::new).collect();
        Self { store, standbys, next: AtomicUsize::new(0), reads: AtomicU64::new(0) }
    }

    /// Runs `read` on a state that has what it `needs`. What a replica has read must be `whole`, else the store is
    /// asked: that something is not there, only the store can say. So `read` may run twice.
    pub fn read<T>(
        &self,
        needs: Needs,
        read: impl Fn(&View) -> Result<T, Fault>,
        whole: impl Fn(&T) -> bool,
    ) -> Result<T, Missed> {
        if let Some(standby) = self.choose(needs.reached) {
            match read(&standby.view.after(needs.projected)) {
                Ok(found) if whole(&found) => {
                    count(&standby.reads);
                    return Ok(found);
                }
                Ok(_) => count(&standby.again),
                Err(fault) => {
                    count(&standby.failed);
                    tracing::debug!(replica = standby.replica.name(), %fault, "read from the store");
                }
            }
        }
        count(&self.reads);
        let view = self.store.after(needs.projected);
        let behind = |fault| {
            if view.derived.is_behind() { Missed::Behind(fault) } else { Missed::Fault(fault) }
        };
        read(&view).map_err(behind)
    }

    /// The next replica that may be read and has come so far.
    fn choose(&self, reached: Position) -> Option<&Standby> {
        let count = self.standbys.len();
        if count == 0 {
            return None;
        }
        let first = self.next.fetch_add(1, Ordering::Relaxed) % count;
        let (before, from) = self.standbys.split_at(first);
        let mut turn = from.iter().chain(before);
        turn.find(|standby| {
            let sight = standby.replica.sight();
            sight.away.is_none() && sight.reached.covers(reached)
        })
    }

    /// Reads that the store has answered.
    pub fn reads(&self) -> u64 {
        self.reads.load(Ordering::Relaxed)
    }

    /// Each replica, in the order of the settings.
    pub fn replicas(&self) -> impl Iterator<Item = Usage> {
        self.standbys.iter().map(|standby| Usage {
            name: standby.replica.name().to_owned(),
            sight: standby.replica.sight(),
            reads: standby.reads.load(Ordering::Relaxed),
            failed: standby.failed.load(Ordering::Relaxed),
            again: standby.again.load(Ordering::Relaxed),
        })
    }
}

impl Standby {
    fn new(replica: Arc<dyn Replica>) -> Self {
        let most = replica.most_readers();
        let (truth, derived) = (Arc::clone(&replica), Arc::clone(&replica));
        let truth = Readers::opened(most, move || truth.truth());
        let view = View::new(truth, Readers::opened(most, move || derived.derived()));
        let [reads, failed, again] = [(); 3].map(|()| AtomicU64::new(0));
        Self { replica, view, reads, failed, again }
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}
