//! What `done` carries: the way back of one call.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use jangbu_kernel::{Correlation, Job, UnitId};

use super::flight::Key;
use super::{Heard, Inner};

/// The way back of one call, inside its `done`. Dropped unused, it gives the call up.
pub(super) struct Ticket {
    inner: Arc<Inner>,
    key: Key,
    /// Kept here too, for an answer that comes after the call was timed out and forgotten.
    to: (UnitId, Correlation),
    used: bool,
}

impl Ticket {
    /// Starts the call of `job`.
    pub(super) fn launch(inner: &Arc<Inner>, key: Key, job: Job) {
        let to = (job.to, job.correlation.clone());
        let ticket = Self { inner: Arc::clone(inner), key, to, used: false };
        let start = AssertUnwindSafe(|| {
            inner.caller.start(&job, Box::new(move |heard| ticket.answer(heard)));
        });
        if catch_unwind(start).is_err() {
            let caller = inner.caller.name();
            tracing::error!(caller, "the caller panicked: the outcome of its call is open");
        }
        inner.keep(key, job);
    }

    fn answer(mut self, heard: Heard) {
        self.used = true;
        let to = (self.to.0, self.to.1.take());
        self.inner.answered(self.key, to, heard);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.used {
            self.inner.given_up(self.key);
        }
    }
}
