//! What `done` carries: the way back of one call.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use jangbu_kernel::Job;

use super::back::Back;
use super::flight::Key;
use super::{Heard, Inner};
use crate::trace::shown;

/// The way back of one call, inside its `done`. Dropped unused, it gives the call up.
pub(super) struct Ticket {
    inner: Arc<Inner>,
    key: Key,
    /// Kept here too, for an answer that comes after the call was timed out and forgotten.
    back: Back,
    used: bool,
}

impl Ticket {
    /// Starts the call of `job`.
    pub(super) fn launch(inner: &Arc<Inner>, key: Key, job: Job) {
        let back = Back::of(&job);
        let ticket = Self { inner: Arc::clone(inner), key, back, used: false };
        let start = AssertUnwindSafe(|| {
            inner.caller.start(&job, Box::new(move |heard| ticket.answer(heard)));
        });
        if catch_unwind(start).is_err() {
            let caller = inner.caller.name();
            let (correlation, trace) = (job.correlation.as_deref(), shown(job.trace));
            let what = "the caller panicked: the outcome of its call is open";
            tracing::error!(caller, correlation, trace, "{what}");
        }
        inner.keep(key, job);
    }

    fn answer(mut self, heard: Heard) {
        self.used = true;
        let back = self.back.take();
        self.inner.answered(self.key, back, heard);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.used {
            self.inner.given_up(self.key);
        }
    }
}
