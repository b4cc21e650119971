//! Who waits for an order to end. In memory only: a client that hangs up, or a process that dies,
//! changes nothing for the order.

use std::any::Any;

use jangbu_domain::order::model::Order;
use jangbu_engine::unit::Signal;
use jangbu_kernel::OrderId;
use jangbu_kernel::rows::IdMap;
use parking_lot::Mutex;

type Listener = Box<dyn FnOnce(&Order) + Send>;

/// Listeners by order.
#[derive(Default)]
pub struct Hub {
    listeners: Mutex<IdMap<i64, Vec<(u64, Listener)>>>,
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
    order: i64,
    number: u64,
}

impl Hub {
    /// Calls `listener` once, when `order` ends. Register before you look whether it has.
    pub fn watch(&self, order: OrderId, listener: impl FnOnce(&Order) + Send + 'static) -> Ticket {
        let number = self.next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let mut listeners = self.listeners.lock();
        listeners.entry(order.0).or_default().push((number, Box::new(listener)));
        Ticket { order: order.0, number }
    }

    /// Nobody waits any more.
    pub fn forget(&self, ticket: Ticket) {
        let mut listeners = self.listeners.lock();
        if let Some(waiting) = listeners.get_mut(&ticket.order) {
            waiting.retain(|(number, _)| *number != ticket.number);
            if waiting.is_empty() {
                listeners.remove(&ticket.order);
            }
        }
    }

    /// Tells the listeners of each order that has ended.
    pub fn tell(&self, signals: Vec<Signal>) {
        let mut due = Vec::with_capacity(signals.len());
        let mut listeners = self.listeners.lock();
        for Signal { key, body } in signals {
            due.extend(listeners.remove(&key).map(|waiting| (waiting, body)));
        }
        drop(listeners);
        for (waiting, body) in due {
            let body: &dyn Any = &*body;
            let Some(order) = body.downcast_ref::<Order>() else { continue };
            for (_, listener) in waiting {
                listener(order);
            }
        }
    }
}
