//! A cell's mailbox: what waits for its owner. Posting never blocks; a full mailbox refuses at
//! once; what gathers while a batch commits is the next batch. A user who sends very much waits for a
//! share of the queue, and others do not wait for that user (`line`).

mod line;
mod linked;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use jangbu_kernel::{Envelope, Lane, Time, UnitId};
use parking_lot::{Condvar, Mutex};
use serde::{Deserialize, Serialize};

use crate::clock::Clock;
use crate::unit::Refusal;

use line::Line;

pub use linked::Received;

/// What became of a command.
#[derive(Debug)]
pub enum Answer {
    /// Carried out; `replayed` when that was at an earlier time. The reply is the domain's.
    Done {
        /// The domain's `Reply`.
        reply: Box<dyn Any + Send>,
        /// Whether an earlier run of the same key did it.
        replayed: bool,
    },
    /// Refused by the domain.
    Refused(Refusal),
    /// The idempotency key belongs to another command; this is what that one made.
    KeyReused {
        /// The resource of the first command.
        resource: i64,
    },
    /// The idempotency key is too old: what its request made is all that is still known.
    KeyExpired {
        /// The resource of the first command.
        resource: i64,
    },
    /// Nothing was done.
    NotRun(Why),
}

/// Why a command was not run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Why {
    /// The mailbox is full, or its head is too old.
    Shed,
    /// The deadline had passed before the command began.
    TooLate,
    /// The cell takes no new business: an operator said so.
    ReadOnly,
    /// The cell takes no new business until there is room on the disk again.
    Full,
    /// The store has failed: nothing can be written until an operator has acted. Nothing was done.
    StoreFailed,
    /// The store has failed while it committed the command, and does not say whether it did: the
    /// same key tells, once the store is back.
    Unsure,
    /// The command cannot be processed; it was set aside for an operator.
    Poison,
    /// The process is going down.
    Stopping,
    /// The cell is another process' now. Nothing was done; it is sent there. No client hears this.
    Moved,
}

/// Called with the answer, after the commit.
pub type Waiter = Box<dyn FnOnce(Answer) + Send>;

/// A command with whoever waits for it.
pub struct Item {
    /// The command.
    pub envelope: Envelope,
    /// Who waits; nobody for effects, timers and events of this process.
    pub waiter: Option<Waiter>,
    /// Not from a client: never refused, counted against nobody.
    inside: bool,
    /// Another process sent it.
    linked: bool,
    /// When it came; none: nobody is judged by how long it waited.
    queued: Option<Time>,
    /// When it came, for whoever traces it.
    pub(crate) came: Time,
}

impl std::fmt::Debug for Item {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.envelope.fmt(f)
    }
}

impl Item {
    /// Whether a client sent it, here or to another process.
    pub fn is_client(&self) -> bool {
        !self.inside
    }

    /// Whether it does no harm to run it again when it may have run: it has a key, or the rows that
    /// it touches recognise it by its origin.
    pub fn is_repeatable(&self) -> bool {
        self.inside || self.envelope.key.is_some()
    }

    /// An item that nobody waits for.
    pub fn alone(envelope: Envelope) -> Self {
        let came = envelope.now;
        Self { envelope, waiter: None, inside: true, linked: false, queued: None, came }
    }
}

/// Bounds of a mailbox and of the batches taken from it.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// At most so many client commands wait.
    pub items: usize,
    /// At most so many bytes of client commands wait.
    pub bytes: usize,
    /// No new client command while the oldest has waited so long.
    pub age: Duration,
    /// At most so many commands of each unit in a batch.
    pub batch: usize,
}

impl Limits {
    /// Places in the queue for one user while others wait, too: an eighth of a batch.
    fn share(&self) -> usize {
        (self.batch / 8).max(1)
    }

    /// How much of the mailbox one user may fill.
    fn own_items(&self) -> usize {
        (self.items / 2).max(1)
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self { items: 8_192, bytes: 32 << 20, age: Duration::from_secs(2), batch: 256 }
    }
}

#[derive(Debug, Default)]
struct Queues {
    lanes: [Line; 3],
    clients: usize,
    bytes: usize,
    waiting: bool,
    nudged: bool,
    closed: bool,
    read_only: Option<Why>,
}

/// The mailbox of one cell.
#[derive(Debug)]
pub struct Mailbox {
    queues: Mutex<Queues>,
    filled: Condvar,
    limits: Limits,
    clock: Arc<dyn Clock>,
}

impl Mailbox {
    /// An empty mailbox.
    pub fn new(limits: Limits, clock: Arc<dyn Clock>) -> Self {
        Self { queues: Mutex::default(), filled: Condvar::new(), limits, clock }
    }

    /// The time.
    pub fn now(&self) -> Time {
        self.clock.now()
    }

    /// Posts a client's command; `waiter` hears the answer, at once if it is refused here.
    pub fn ask(&self, envelope: Envelope, waiter: Waiter) {
        let now = self.clock.now();
        let mut queues = self.queues.lock();
        if let Some(why) = self.refusal(&queues, &envelope, now) {
            drop(queues);
            return waiter(Answer::NotRun(why));
        }
        queues.clients += 1;
        queues.bytes += envelope.bytes;
        let lane = envelope.lane as usize;
        let (waiter, queued) = (Some(waiter), Some(now));
        let item = Item { envelope, waiter, inside: false, linked: false, queued, came: now };
        queues.lanes[lane].push(item, self.limits.share());
        self.notify(queues);
    }

    /// Posts what a saga, a timer or the outside sends: never refused, since it ends what began.
    pub fn tell(&self, envelopes: impl IntoIterator<Item = Envelope>) {
        let mut queues = self.queues.lock();
        for envelope in envelopes {
            let lane = envelope.lane as usize;
            queues.lanes[lane].push(Item::alone(envelope), self.limits.share());
        }
        self.notify(queues);
    }

    fn notify(&self, queues: parking_lot::MutexGuard<'_, Queues>) {
        let wake = queues.waiting;
        drop(queues);
        if wake {
            self.filled.notify_one();
        }
    }

    fn refusal(&self, queues: &Queues, envelope: &Envelope, now: Time) -> Option<Why> {
        if queues.closed {
            return Some(Why::Stopping);
        }
        // Operators act on the engine itself in read-only mode, too: that is what it is for.
        let desk = |why| why == Why::ReadOnly && envelope.to == crate::desk::UNIT;
        if let Some(why) = queues.read_only.filter(|why| !desk(*why)) {
            return Some(why);
        }
        if envelope.deadline.is_some_and(|deadline| deadline < now) {
            return Some(Why::TooLate);
        }
        let limits = &self.limits;
        let full = queues.clients >= limits.items || queues.bytes + envelope.bytes > limits.bytes;
        let line = &queues.lanes[envelope.lane as usize];
        let old = line.front().and_then(|head| head.queued).is_some_and(|queued| {
            u128::try_from((now - queued).0).unwrap_or(0) > limits.age.as_micros()
        });
        // Who has so much waiting has most of it held, so the table is asked only then.
        let greedy = |whose| line.of(whose) >= limits.own_items();
        let most = line.held() + limits.share() >= limits.own_items();
        let greedy = most && envelope.share.is_some_and(greedy);
        (full || old || greedy).then_some(Why::Shed)
    }

    /// Waits until something is there, somebody nudges, or `limit` has passed.
    pub fn wait(&self, limit: Duration) {
        let mut queues = self.queues.lock();
        if queues.nudged || queues.lanes.iter().any(|lane| lane.len() > 0) {
            queues.nudged = false;
            return;
        }
        queues.waiting = true;
        self.filled.wait_for(&mut queues, limit);
        queues.waiting = false;
        queues.nudged = false;
    }

    /// Waits although something is there: until somebody nudges, or `limit` has passed.
    pub fn rest(&self, limit: Duration) {
        let mut queues = self.queues.lock();
        if !queues.nudged {
            self.filled.wait_for(&mut queues, limit);
        }
        queues.nudged = false;
    }

    /// Wakes the owner although nothing was posted.
    pub fn nudge(&self) {
        self.queues.lock().nudged = true;
        self.filled.notify_one();
    }

    /// Takes the next batch: the checkout lane first, at most [`Limits::batch`] of each unit, and
    /// at most a fifth of it batch work. Batch work that is alone shares a commit, too, but never
    /// more than a quarter of a megabyte of it: an order that comes meanwhile waits for all of them.
    pub fn take(&self, batch: &mut Vec<Item>) {
        let mut queues = self.queues.lock();
        let share = self.limits.share();
        let mut quota = Quota { taken: Vec::new(), cap: self.limits.batch, share };
        for lane in [Lane::Checkout, Lane::Normal] {
            take_lane(&mut queues, lane, &mut quota, batch);
        }
        quota.cap = if batch.is_empty() { self.limits.batch } else { (batch.len() / 4).max(1) };
        quota.taken.clear();
        take_lane(&mut queues, Lane::Batch, &mut quota, batch);
    }

    /// Puts items back at the head of their lanes, in order: the store was busy or full.
    pub fn put_back(&self, batch: Vec<Item>) {
        let mut queues = self.queues.lock();
        for item in batch.into_iter().rev() {
            if item.is_client() {
                queues.clients += 1;
                queues.bytes += item.envelope.bytes;
            }
            queues.lanes[item.envelope.lane as usize].push_front(item);
        }
    }

    /// Refuses new client commands with `why` (or takes them again); what waits is still done.
    pub fn set_read_only(&self, why: Option<Why>) {
        self.queues.lock().read_only = why;
    }

    /// Why new client commands are refused, if they are.
    pub fn read_only(&self) -> Option<Why> {
        self.queues.lock().read_only
    }

    /// A commit has succeeded: there is room again, unless an operator said read-only.
    pub fn recovered(&self) {
        let mut queues = self.queues.lock();
        if queues.read_only == Some(Why::Full) {
            queues.read_only = None;
        }
    }

    /// Takes nothing more from clients; the owner drains what is there.
    pub fn close(&self) {
        self.queues.lock().closed = true;
        self.nudge();
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.queues.lock().closed
    }

    /// Number of items that wait.
    pub fn len(&self) -> usize {
        self.queues.lock().lanes.iter().map(Line::len).sum()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// How much of a batch each unit has.
struct Quota {
    taken: Vec<(UnitId, usize)>,
    cap: usize,
    /// Places in a queue for one user.
    share: usize,
}

impl Quota {
    fn grant(&mut self, unit: UnitId) -> bool {
        let at = self.taken.iter().position(|(u, _)| *u == unit).unwrap_or_else(|| {
            self.taken.push((unit, 0));
            self.taken.len() - 1
        });
        let count = &mut self.taken[at].1;
        *count += 1;
        *count <= self.cap
    }
}

/// The batch work of a batch ends with the item that brings its commands to so many bytes: four
/// journals of a thousand entries.
const LONG: usize = 256 << 10;

/// Moves the head of a lane into the batch, in order, until a unit's quota is used up: what
/// follows keeps its place.
fn take_lane(queues: &mut Queues, lane: Lane, quota: &mut Quota, batch: &mut Vec<Item>) {
    let mut long = 0;
    while let Some(head) = queues.lanes[lane as usize].front() {
        // Long work shares one cap, whoever it is for.
        let whom = if lane == Lane::Batch { UnitId("batch") } else { head.envelope.to };
        if long >= LONG || !quota.grant(whom) {
            break;
        }
        let Some(item) = queues.lanes[lane as usize].pop(quota.share) else { break };
        if item.is_client() {
            queues.clients -= 1;
            queues.bytes -= item.envelope.bytes;
        }
        long += if lane == Lane::Batch { item.envelope.bytes } else { 0 };
        batch.push(item);
    }
}
