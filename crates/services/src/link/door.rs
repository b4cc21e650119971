//! The owner's side: followers come in, their commands go into the mailbox of the cell, and what the
//! cell says goes back.
//!
//! ```text
//! accept ─▶ greeting ─▶ reader: batches ─▶ mailbox ─▶ commit ─▶ waiter ─┐
//!                       writer: ◀── answers and signals that gathered ◀─┴─ signals of each commit
//! ```
//!
//! Each follower has two threads here. The writer sends what has gathered while it wrote: under load
//! a frame holds the answers of several commits. It also says twice a second that this process
//! lives, and the reader gives a follower up that has said nothing for [`SILENCE`].

use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jangbu_engine::clock::Clock;
use jangbu_engine::counters::Counters;
use jangbu_engine::mailbox::{Answer, Mailbox, Received, Why};
use jangbu_engine::position::Position;
use jangbu_engine::trace::shown;
use jangbu_engine::unit::Signal;
use jangbu_kernel::UnitId;
use parking_lot::{Condvar, Mutex, RwLock};

use super::codec::codec;
use super::frame;
use super::greeting::No;
use super::signal;
use super::slot::Slots;
use super::stats::Stats;
use super::wire::{Ahead, Back, Parcel, Told};

/// A side that has nothing to say says so this often.
pub(super) const PING: Duration = Duration::from_millis(500);

/// A side that has said nothing for so long is dead, or not reached any more.
pub(super) const SILENCE: Duration = Duration::from_millis(2_500);

/// A cell as other processes meet it here.
#[derive(Debug)]
pub(crate) struct Door {
    mailbox: Arc<Mailbox>,
    clock: Arc<dyn Clock>,
    stats: Arc<Stats>,
    counters: Arc<Counters>,
    /// Open while the cell is this process': the slots of its followers.
    open: RwLock<Option<Mutex<Slots>>>,
    /// The slots of the last time that it was open.
    before: Mutex<Option<Slots>>,
    lines: Mutex<Vec<Arc<Line>>>,
}

impl Door {
    pub(super) fn new(
        mailbox: Arc<Mailbox>,
        clock: Arc<dyn Clock>,
        (stats, counters): (Arc<Stats>, Arc<Counters>),
    ) -> Self {
        let (open, before, lines) = (RwLock::default(), Mutex::default(), Mutex::default());
        Self { mailbox, clock, stats, counters, open, before, lines }
    }

    /// The cell is this process' as of `epoch`.
    pub(super) fn open(&self, epoch: i64) {
        let before = self.before.lock().take();
        let slots = before.map_or_else(|| Slots::new(epoch), |slots| slots.again(epoch));
        *self.open.write() = Some(Mutex::new(slots));
    }

    /// It is not any more. Nothing that comes from here on goes into the mailbox, what is there
    /// goes back, and followers are told to look for the new owner.
    pub(super) fn close(&self) {
        *self.before.lock() = self.open.write().take().map(Mutex::into_inner);
        self.mailbox.send_back();
        for line in self.lines.lock().iter() {
            line.change(|queue| queue.leaving = true);
        }
    }

    /// Number of followers.
    pub(super) fn followers(&self) -> usize {
        self.lines.lock().len()
    }

    /// Ends every connection, at once.
    pub(super) fn cut(&self) {
        for line in self.lines.lock().iter() {
            line.cut();
        }
    }

    /// Tells followers what the next answers go with.
    pub(crate) fn signal(&self, signals: &[Signal]) {
        let lines = self.lines.lock().clone();
        if lines.is_empty() {
            return;
        }
        let signals: Vec<Arc<[u8]>> =
            signals.iter().filter_map(signal::encode).map(Arc::from).collect();
        for line in lines {
            line.change(|queue| queue.signals.extend(signals.iter().cloned()));
        }
    }

    /// Lets a follower in: from here on it hears the signals of every commit.
    pub(super) fn admit(&self, stream: &TcpStream, known: u16) -> Result<(u16, Arc<Line>), No> {
        let open = self.open.read();
        let slots = open.as_ref().ok_or(No::NotOwner)?;
        let slot = slots.lock().take(known).ok_or(No::Full)?;
        let Ok(stream) = stream.try_clone() else { return Err(No::Full) };
        let (queue, filled) = (Mutex::default(), Condvar::new());
        let counters = Arc::clone(&self.counters);
        let line = Arc::new(Line { stream, slot, counters, queue, filled });
        self.lines.lock().push(Arc::clone(&line));
        Ok((slot, line))
    }

    /// Reads what a follower sends until it leaves.
    pub(super) fn serve(&self, line: &Arc<Line>) {
        let ended = self.read(line);
        line.change(|queue| queue.closing = true);
        self.lines.lock().retain(|other| !Arc::ptr_eq(other, line));
        if let Some(slots) = &*self.open.read() {
            slots.lock().give_back(line.slot);
        }
        if let Err(error) = ended.filter_end() {
            tracing::warn!(%error, "a follower is lost");
        }
    }

    fn read(&self, line: &Arc<Line>) -> io::Result<()> {
        let mut bytes = Vec::new();
        loop {
            frame::read(&mut &line.stream, frame::MOST, &mut bytes)?;
            match frame::decode(&bytes)? {
                Ahead::Ping => {}
                Ahead::Batch(parcels) => self.take_in(parcels, line),
            }
        }
    }

    fn take_in(&self, parcels: Vec<Parcel<'_>>, line: &Arc<Line>) {
        let now = self.clock.now();
        Stats::add(&self.stats.received_batches, 1);
        Stats::add(&self.stats.received, parcels.len() as u64);
        let mut received = Vec::with_capacity(parcels.len());
        let mut answered = Vec::new();
        // Held until everything is in the mailbox: whoever closes takes it out again.
        let open = self.open.read();
        for parcel in parcels {
            let (no, inside) = (parcel.no, parcel.inside);
            if open.is_none() {
                answered.push((no, Told::NotHere));
                continue;
            }
            let (unit, trace) = (parcel.unit.to_owned(), shown(parcel.trace));
            let correlation = parcel.correlation.clone();
            let Some((envelope, _)) = parcel.open(now) else {
                let correlation = correlation.as_deref();
                tracing::error!(unit, correlation, trace, "a command that cannot be read");
                answered.push((no, Told::NotRun(Why::Poison)));
                continue;
            };
            let waiter = Box::new(line.waiter(no, envelope.to, inside));
            received.push(Received { envelope, waiter, inside });
        }
        self.mailbox.receive(received);
        drop(open);
        if !answered.is_empty() {
            line.change(|queue| queue.answers.append(&mut answered));
        }
    }
}

/// That a connection was closed in order is no error.
trait FilterEnd {
    fn filter_end(self) -> Self;
}

impl FilterEnd for io::Result<()> {
    fn filter_end(self) -> Self {
        self.or_else(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Ok(()),
            _ => Err(error),
        })
    }
}

/// The way to one follower.
#[derive(Debug)]
pub(crate) struct Line {
    stream: TcpStream,
    slot: u16,
    counters: Arc<Counters>,
    queue: Mutex<Queue>,
    filled: Condvar,
}

#[derive(Debug, Default)]
struct Queue {
    signals: Vec<Arc<[u8]>>,
    answers: Vec<(u64, Told)>,
    /// To be told that the cell is not here any more.
    leaving: bool,
    /// Nothing more comes from the follower: what is there is sent, and that is the end.
    closing: bool,
    waiting: bool,
}

impl Queue {
    fn is_empty(&self) -> bool {
        self.signals.is_empty() && self.answers.is_empty() && !self.leaving
    }
}

impl Line {
    fn waiter(
        self: &Arc<Self>,
        no: u64,
        unit: UnitId,
        inside: bool,
    ) -> impl FnOnce(Answer) + Send + 'static {
        let line = Arc::clone(self);
        move |answer| {
            let told = match codec(unit.0) {
                Some(codec) => Told::of(answer, codec, inside),
                None => Told::NotRun(Why::Poison),
            };
            line.change(|queue| queue.answers.push((no, told)));
        }
    }

    fn change(&self, change: impl FnOnce(&mut Queue)) {
        let mut queue = self.queue.lock();
        change(&mut queue);
        if queue.waiting {
            self.filled.notify_one();
        }
    }

    fn cut(&self) {
        // A connection that is gone already is cut, too.
        drop(self.stream.shutdown(Shutdown::Both));
    }

    /// Writes what gathers, until the follower is gone.
    pub(super) fn write(&self) {
        if let Err(error) = self.flow() {
            tracing::warn!(%error, "a follower is not reached");
        }
        self.cut();
    }

    fn flow(&self) -> io::Result<()> {
        loop {
            let mut queue = self.queue.lock();
            if queue.is_empty() && !queue.closing {
                queue.waiting = true;
                self.filled.wait_for(&mut queue, PING);
                queue.waiting = false;
            }
            let Queue { signals, answers, leaving, closing, .. } = std::mem::take(&mut *queue);
            queue.closing = closing;
            drop(queue);
            let mut stream = &self.stream;
            if !signals.is_empty() || !answers.is_empty() {
                // Read after what it goes with: it is of these commits, or of later ones.
                let Position { commit, event } = self.counters.reached.get();
                let position = (commit, event);
                frame::write(&mut stream, &Back::News { signals, answers, position })?;
            } else if closing {
                return Ok(());
            } else if !leaving {
                frame::write(&mut stream, &Back::Ping)?;
            }
            if leaving {
                frame::write(&mut stream, &Back::Leaving)?;
            }
        }
    }
}

/// A connection as both sides want it: frames leave at once, and silence is an end.
pub(super) fn tuned(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(SILENCE))?;
    stream.set_write_timeout(Some(SILENCE))
}

/// Counts a follower that comes and goes.
pub(super) fn counted(stats: &Stats, followers: usize) {
    stats.followers.store(followers as u64, Ordering::Relaxed);
}
