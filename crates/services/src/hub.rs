//! Who waits for an order to end, or for a payment without an order to be answered. In memory
//! only: a client that hangs up, or a process that dies, changes nothing for either.

use std::any::Any;

use jangbu_engine::unit::Signal;
use jangbu_kernel::rows::IdMap;
use parking_lot::{Mutex, RwLock};

type Listener = Box<dyn FnOnce(&dyn Any) + Send>;
type Follower = Box<dyn Fn(&dyn Any) + Send + Sync>;
type Again = Box<dyn Fn() + Send + Sync>;

/// Listeners by the number of what they wait for. Orders and payments without an order are
/// numbered by one mint, so that no number is both.
#[derive(Default)]
pub struct Hub {
    listeners: Mutex<IdMap<i64, Vec<(u64, Listener)>>>,
    followers: RwLock<Vec<Follower>>,
    again: RwLock<Vec<Again>>,
    next: std::sync::atomic::AtomicU64,
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub").field("waiting", &self.listeners.lock().len()).finish_non_exhaustive()
    }
}

/// A listener that can be taken back.
#[derive(Debug, Clone, Copy)]
pub struct Ticket {
    key: i64,
    number: u64,
}

impl Hub {
    /// Calls `listener` once, with the next signal of `key`: an order that ends, a
    /// [`Settled`](crate::payment::Settled) payment. Register before you look whether it has.
    /// A signal of another type is not for this listener, and nobody signals two types.
    pub fn watch<T: 'static>(
        &self,
        key: impl Into<i64>,
        listener: impl FnOnce(&T) + Send + 'static,
    ) -> Ticket {
        let key = key.into();
        let number = self.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let listener = Box::new(move |body: &dyn Any| {
            if let Some(body) = body.downcast_ref() {
                listener(body);
            }
        });
        self.listeners.lock().entry(key).or_default().push((number, listener));
        Ticket { key, number }
    }

    /// Calls `follower` with every signal of its type, for as long as the shop runs: for what is
    /// known in memory of rows that seldom change. Follow before you read the rows.
    pub fn follow<T: 'static>(&self, follower: impl Fn(&T) + Send + Sync + 'static) {
        let follower = move |body: &dyn Any| {
            if let Some(body) = body.downcast_ref() {
                follower(body);
            }
        };
        self.followers.write().push(Box::new(follower));
    }

    /// Calls `read` whenever signals may have been missed: another process wrote, and the way to it
    /// was cut. It reads the rows that its follower is about.
    pub fn follow_again(&self, read: impl Fn() + Send + Sync + 'static) {
        self.again.write().push(Box::new(read));
    }

    /// Signals may have been missed.
    pub fn again(&self) {
        self.again.read().iter().for_each(|read| read());
    }

    /// Nobody waits any more.
    pub fn forget(&self, ticket: Ticket) {
        let mut listeners = self.listeners.lock();
        if let Some(waiting) = listeners.get_mut(&ticket.key) {
            waiting.retain(|(number, _)| *number != ticket.number);
            if waiting.is_empty() {
                listeners.remove(&ticket.key);
            }
        }
    }

    /// Tells the followers of each signal.
    pub fn keep(&self, signals: &[Signal]) {
        if signals.is_empty() {
            return;
        }
        for follower in self.followers.read().iter() {
            for signal in signals {
                follower(&*signal.body);
            }
        }
    }

    /// Tells the listeners of each signal.
    pub fn tell(&self, signals: Vec<Signal>) {
        let mut due = Vec::with_capacity(signals.len());
        let mut listeners = self.listeners.lock();
        for Signal { key, body } in signals {
            due.extend(listeners.remove(&key).map(|waiting| (waiting, body)));
        }
        drop(listeners);
        for (waiting, body) in due {
            for (_, listener) in waiting {
                listener(&*body);
            }
        }
    }
}
