//! Where requests wait for the gateway's thread: one lock, one vector, taken whole.
//!
//! A sender rings the bell only when the thread sleeps without a time to wake up. A thread that has
//! answers to give looks at the inbox by itself every few milliseconds, which is soon enough because
//! no answer is due earlier; so a busy gateway costs its callers a lock and a push, and no system call.

use std::time::Instant;

use parking_lot::{Condvar, Mutex};

/// How the thread waits for the next request.
#[derive(Debug, Clone, Copy)]
pub(super) enum Wait {
    /// Not at all: it slept already.
    Not,
    /// Until somebody rings.
    Bell,
    /// Until somebody rings, or this time.
    BellOr(Instant),
}

#[derive(Debug)]
struct Gathered<T> {
    items: Vec<T>,
    asleep: bool,
    closed: bool,
}

#[derive(Debug)]
pub(super) struct Inbox<T> {
    gathered: Mutex<Gathered<T>>,
    bell: Condvar,
}

impl<T> Inbox<T> {
    pub(super) fn new() -> Self {
        let gathered = Gathered { items: Vec::new(), asleep: false, closed: false };
        Self { gathered: Mutex::new(gathered), bell: Condvar::new() }
    }

    /// Gives the item back when nobody will take it.
    pub(super) fn push(&self, item: T) -> Result<(), T> {
        let mut gathered = self.gathered.lock();
        if gathered.closed {
            return Err(item);
        }
        gathered.items.push(item);
        let ring = std::mem::take(&mut gathered.asleep);
        drop(gathered);
        if ring {
            self.bell.notify_one();
        }
        Ok(())
    }

    pub(super) fn close(&self) {
        self.gathered.lock().closed = true;
        self.bell.notify_one();
    }

    /// Waits, and swaps everything that gathered into `batch`, which is empty; false when closed.
    pub(super) fn take(&self, batch: &mut Vec<T>, wait: Wait) -> bool {
        let mut gathered = self.gathered.lock();
        while gathered.items.is_empty() && !gathered.closed {
            gathered.asleep = true;
            let timed_out = match wait {
                Wait::Bell => {
                    self.bell.wait(&mut gathered);
                    false
                }
                Wait::BellOr(time) => self.bell.wait_until(&mut gathered, time).timed_out(),
                Wait::Not => true,
            };
            if timed_out {
                break;
            }
        }
        gathered.asleep = false;
        std::mem::swap(&mut gathered.items, batch);
        !gathered.closed
    }
}
