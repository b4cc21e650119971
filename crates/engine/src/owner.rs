//! The thread that owns a cell: it alone writes, apart from any async runtime.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::cell::{Cell, Step};
use crate::clock::Clock;
use crate::clock::Stopwatch;
use crate::counters::Counters;
use crate::mailbox::Mailbox;
use crate::port::{Backend, Fault, Store};

/// Longest sleep: due rows are looked for at least so often.
const NAP: Duration = Duration::from_millis(20);

/// Sleep after the store was busy or full.
const BACK_OFF: Duration = Duration::from_millis(50);

/// Under load a batch begins not sooner than this after the one before: what a commit costs whatever is in
/// it (a flush, the last page of each table) is then shared by more orders, and no order is later for
/// it, since the processors have more time for the rest. See crates/bench/README.md for what it brought.
const LINGER: Duration = Duration::from_millis(3);

/// A batch of so many items is load.
const LOAD: u64 = 32;

/// How long to leave the mailbox alone after a batch of `items` that took so long.
fn pause(items: u64, took: Duration) -> Duration {
    if items < LOAD { Duration::ZERO } else { LINGER.saturating_sub(took) }
}

/// A running owner.
#[derive(Debug)]
pub struct Owner {
    mailbox: Arc<Mailbox>,
    thread: JoinHandle<Result<(), Fault>>,
}

impl Owner {
    /// Opens the store on a thread of its own and drives the cell that `make` builds there.
    /// Returns once the store is open.
    pub fn start(
        backend: Arc<dyn Backend>,
        mailbox: Arc<Mailbox>,
        clock: Arc<dyn Clock>,
        counters: Arc<Counters>,
        make: impl FnOnce() -> Cell + Send + 'static,
    ) -> Result<Self, Fault> {
        let (opened, wait) = sync_channel(1);
        let box_of_thread = Arc::clone(&mailbox);
        let run = move || {
            let mut make = Some(make);
            let mut ended = Ok(());
            let result = backend.with(&mut |store| {
                let _ = opened.send(());
                let cell = make.take().map(|make| make());
                let drive = |mut c| drive(&mut c, store, &box_of_thread, &*clock, &counters);
                ended = cell.map_or(Ok(()), drive);
            });
            result.and(ended)
        };
        let thread = std::thread::Builder::new().name("jangbu-owner".to_owned()).spawn(run);
        let thread = thread.map_err(|error| Fault::Fatal(format!("no thread: {error}")))?;
        Self { mailbox, thread }.opened(&wait)
    }

    fn opened(self, wait: &Receiver<()>) -> Result<Self, Fault> {
        match wait.recv() {
            Ok(()) => Ok(self),
            Err(_) => Err(self.join().err().unwrap_or_else(no_store)),
        }
    }

    /// Takes nothing more from clients, finishes what waits, closes the store.
    pub fn stop(self) -> Result<(), Fault> {
        self.mailbox.close();
        self.join()
    }

    /// Whether the thread still drives its cell; it ends by itself when writing has stopped.
    pub fn is_running(&self) -> bool {
        !self.thread.is_finished()
    }

    fn join(self) -> Result<(), Fault> {
        let died = |_| Err(Fault::Fatal("the owner thread panicked".to_owned()));
        self.thread.join().unwrap_or_else(died)
    }
}

fn no_store() -> Fault {
    Fault::Fatal("no store".to_owned())
}

/// Steps until the mailbox is closed and empty, writing has to stop, or the copy that is open is
/// no longer worked at.
fn drive(
    cell: &mut Cell,
    store: &mut dyn Store,
    mailbox: &Mailbox,
    clock: &dyn Clock,
    counters: &Counters,
) -> Result<(), Fault> {
    let copying = cell.copies();
    loop {
        let (mut whole, before) = (Stopwatch::start(), counters.items());
        match cell.step(store, clock.now())? {
            Step::Worked => {
                let mut watch = Stopwatch::start();
                store.between()?;
                Counters::add(&counters.between_ns, watch.lap());
                let took = Duration::from_nanos(whole.lap());
                let pause = pause(counters.items() - before, took);
                if !pause.is_zero() {
                    mailbox.rest(pause);
                }
            }
            Step::BackOff => mailbox.rest(BACK_OFF),
            Step::Idle if mailbox.is_closed() => return Ok(()),
            Step::Idle => {
                store.between()?;
                mailbox.wait(NAP);
            }
        }
        if copying && !cell.copies() {
            return Ok(());
        }
        if let Some(to) = cell.wants_copy() {
            let mut ended = Ok(());
            let copied = store.copying(&to, &mut |store| {
                cell.begin_copy(&to);
                ended = drive(cell, store, mailbox, clock, counters);
            });
            cell.end_copy(&to, &copied);
            ended?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_large_batch_that_was_quick_is_followed_by_a_pause() {
        let ms = Duration::from_millis;
        assert_eq!(pause(LOAD - 1, ms(0)), ms(0));
        assert_eq!(pause(LOAD, ms(1)), ms(2));
        assert_eq!(pause(512, ms(3)), ms(0));
        assert_eq!(pause(512, ms(30)), ms(0));
    }
}
