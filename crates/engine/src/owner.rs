//! The thread of a cell: it alone writes, apart from any async runtime, or has another process do so.
//!
//! ```text
//!             mine ┌───────▶ Owner: drives the cell ────────┐ stopped: the end
//!   claim ─────────┤                                        ├──▶ lost, or handed over ──▶ claim
//!     ▲     theirs └───────▶ Follower: forwards the mailbox ┘
//!     └───────────────────────── the way broke, or the lease ran out ◀──┘
//! ```
//!
//! On an embedded store the cell is always this process', and the thread goes straight to driving
//! it. On a shared one ([`Shared`]) the store's lease says whose it is. Whatever the role, commands
//! gather in the same mailbox, with the same bounds; who drains it changes.
//!
//! | what happens | what becomes of the commands |
//! |---|---|
//! | the lease is lost, or the store says so | they go back into the mailbox and on to the new owner |
//! | a commit whose answer was lost with it | those with a key, and what nobody waits for, are asked there again; clients without a key hear [`Why::Unsure`](crate::mailbox::Why::Unsure) |
//! | [`Owner::hand_over`] | the batch is finished, the lease given up, the rest goes to whoever takes it |
//! | the owner dies | its followers wait out its lease, one of them takes it, the others follow that one |

mod seated;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::cell::Cell;
use crate::clock::Clock;
use crate::counters::Counters;
use crate::mailbox::Mailbox;
use crate::port::{Backend, Fault};
use crate::role::{Role, Standing};
use seated::Seated;

/// What the thread of a cell works with.
#[derive(Debug, Clone)]
pub struct Seat {
    /// Its store.
    pub backend: Arc<dyn Backend>,
    /// What waits for it.
    pub mailbox: Arc<Mailbox>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What it has done.
    pub counters: Arc<Counters>,
    /// What this process is to it.
    pub standing: Arc<Standing>,
}

/// What a process does for a cell that it shares with others.
pub trait Deputy: Send {
    /// The cell is this process' as of `epoch`: others may send their commands here.
    fn began(&mut self, epoch: i64);

    /// It is not any more: what others have sent goes back to them.
    fn ended(&mut self);

    /// Sends what is in the mailbox to the owner at `address`, until the way there breaks, `go_on`
    /// says no, or the mailbox is closed and everything is answered. What was not answered is in
    /// the mailbox again when this returns. Tells whether the owner was reached.
    fn forward(&mut self, address: &str, go_on: &mut dyn FnMut() -> bool) -> bool;
}

/// How a process shares a cell with others.
pub struct Shared {
    /// Where others reach this process.
    pub address: String,
    /// How long a lease lasts.
    pub lease: Duration,
    /// The way to the others.
    pub deputy: Box<dyn Deputy>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("address", &self.address).finish_non_exhaustive()
    }
}

/// A running owner, or follower.
#[derive(Debug)]
pub struct Owner {
    mailbox: Arc<Mailbox>,
    leave: Arc<AtomicBool>,
    thread: JoinHandle<Result<(), Fault>>,
}

impl Owner {
    /// Begins on a thread of its own to drive the cells that `make` builds there, one for each time
    /// that the cell comes to this process. Returns once the store is open, or another process is
    /// known to have it.
    pub fn start(
        seat: Seat,
        shared: Option<Shared>,
        make: impl Fn() -> Cell + Send + 'static,
    ) -> Result<Self, Fault> {
        let (opened, wait) = sync_channel(1);
        let (mailbox, standing) = (Arc::clone(&seat.mailbox), Arc::clone(&seat.standing));
        let leave: Arc<AtomicBool> = Arc::default();
        let seated = Seated { seat, make: Box::new(make), opened, leave: Arc::clone(&leave) };
        let run = move || {
            let Some(shared) = shared else { return seated.alone() };
            let ended = seated.in_turns(shared);
            standing.set(Role::Ended);
            ended
        };
        let thread = std::thread::Builder::new().name("jangbu-owner".to_owned()).spawn(run);
        let thread = thread.map_err(|error| Fault::Fatal(format!("no thread: {error}")))?;
        Self { mailbox, leave, thread }.opened(&wait)
    }

    fn opened(self, wait: &Receiver<()>) -> Result<Self, Fault> {
        match wait.recv() {
            Ok(()) => Ok(self),
            Err(_) => Err(self.join().err().unwrap_or_else(no_store)),
        }
    }

    /// An owner gives its cell up after the batch that it is at, and follows whoever takes it; if
    /// nobody does, it goes on.
    pub fn hand_over(&self) {
        self.leave.store(true, Ordering::Release);
        self.mailbox.nudge();
    }

    /// Takes nothing more from clients, finishes what waits, closes the store.
    pub fn stop(self) -> Result<(), Fault> {
        self.mailbox.close();
        self.join()
    }

    /// Whether the thread still works; it ends by itself when writing has stopped.
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
