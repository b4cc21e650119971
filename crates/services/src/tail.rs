//! The tail of the outbox, for what is only kept in memory: caches that must forget, gates that must
//! open again.
//!
//! ```text
//! outbox ──read after place──▶ event by event ──▶ followers ──▶ reached(place)
//! ```
//!
//! Every process has a tail of its own with a reader of its own. It begins at the head, for whoever
//! has just started remembers nothing that could be out of date, and keeps no durable place. A
//! consumer that must miss nothing is none of its business: a follower that is told of a gap forgets
//! everything and goes on.
//!
//! How far it has come, and when it last looked, stands in a [`Place`]. Who relies on being told asks
//! it first: a tail that cannot read its store says so there, and nobody takes silence for "nothing
//! has changed".

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use jangbu_engine::books::{OUTBOX, SHARD};
use jangbu_engine::clock::Clock;
use jangbu_engine::port::{Backend, By, Fault, Read, Reader};
use jangbu_kernel::Time;
use jangbu_kernel::time::Span;

/// Events in one look.
const BATCH: u32 = 5_000;

/// Between two looks, when there was nothing left to read.
const REST: Duration = Duration::from_millis(20);

/// A tail that has not looked for so long is blind.
const BLIND: Span = Span::secs(2);

/// An event as the outbox has it.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    /// Its number.
    pub seq: i64,
    /// What it is about.
    pub topic: &'a str,
    /// The aggregate.
    pub key: i64,
    /// The fact, encoded.
    pub payload: &'a [u8],
}

/// Who wants to hear of events. Called on the thread of the tail; must not block.
pub trait Follower: Send {
    /// The topics that it wants to hear of.
    fn topics(&self) -> &'static [&'static str];
    /// An event, in the order of the outbox.
    fn take(&mut self, event: &Event<'_>);
    /// Everything up to `place` has been handed over. Called after each look, also when nothing new
    /// was there.
    fn reached(&mut self, place: i64);
    /// Events up to `place` were not handed over and never will be.
    fn missed(&mut self, place: i64);
}

/// How far a tail has come.
#[derive(Debug)]
pub struct Place {
    seq: AtomicI64,
    looked: AtomicI64,
}

impl Default for Place {
    fn default() -> Self {
        Self { seq: AtomicI64::new(0), looked: AtomicI64::new(i64::MIN) }
    }
}

impl Place {
    /// The last event that was handed over.
    pub fn seq(&self) -> i64 {
        self.seq.load(Ordering::Acquire)
    }

    /// Whether it can be relied upon at `now`: it has looked a moment ago. A clock that was set
    /// back makes it blind until the next look.
    pub fn sees(&self, now: Time) -> bool {
        let looked = self.looked.load(Ordering::Acquire);
        looked != i64::MIN && (0..BLIND.0).contains(&(now - Time(looked)).0)
    }

    /// It has looked at `now`, and come to `seq`.
    pub fn reach(&self, seq: i64, now: Time) {
        self.seq.store(seq, Ordering::Release);
        self.looked.store(now.0, Ordering::Release);
    }
}

/// A running tail; it ends when it is dropped.
#[derive(Debug)]
pub struct Tail {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Tail {
    /// Follows the outbox of `truth` from its head on, on a thread of its own.
    pub fn follow(
        truth: Arc<dyn Backend>,
        clock: Arc<dyn Clock>,
        place: Arc<Place>,
        followers: Vec<Box<dyn Follower>>,
    ) -> Result<Self, Fault> {
        let mut walker = Walker { truth, clock, place, followers, reader: None, begun: None };
        // The first look is done here: who waits for this call may rely on the tail at once.
        walker.look()?;
        let (stop, stopped) = channel();
        let run = move || walker.run(&stopped);
        let thread = std::thread::Builder::new().name("jangbu-tail".to_owned()).spawn(run);
        let thread = thread.map_err(|error| Fault::Fatal(format!("no thread: {error}")))?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        drop(self.stop.take());
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the tail of the outbox panicked");
        }
    }
}

/// What goes along the outbox.
struct Walker {
    truth: Arc<dyn Backend>,
    clock: Arc<dyn Clock>,
    place: Arc<Place>,
    followers: Vec<Box<dyn Follower>>,
    /// None: it is opened with the next look.
    reader: Option<Box<dyn Reader>>,
    /// The last event that was handed over; none: it has not begun.
    begun: Option<i64>,
}

impl Walker {
    fn run(mut self, stopped: &Receiver<()>) {
        let mut failing = false;
        loop {
            let looked = self.look();
            if let Err(fault) = &looked
                && !failing
            {
                tracing::warn!(%fault, "the tail of the outbox cannot be read; caches are not used");
            }
            failing = looked.is_err();
            let full = matches!(looked, Ok(read) if read >= BATCH);
            let rest = if full { Duration::ZERO } else { REST };
            match stopped.recv_timeout(rest) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Hands over what is new; says how many events that were.
    fn look(&mut self) -> Result<u32, Fault> {
        let mut reader = match self.reader.take() {
            Some(reader) => reader,
            None => self.truth.reader()?,
        };
        // Everything that was committed before this moment is seen by what follows.
        let now = self.clock.now();
        let from = match self.begun {
            Some(seq) => seq,
            None => head(&mut *reader)?,
        };
        let (place, read) = self.hand_over(&mut *reader, from)?;
        self.reader = Some(reader);
        self.begun = Some(place);
        for follower in &mut self.followers {
            follower.reached(place);
        }
        // A batch that was full has left something unread: the tail is not up to date.
        if read < BATCH {
            self.place.reach(place, now);
        }
        Ok(read)
    }

    fn hand_over(&mut self, reader: &mut dyn Reader, from: i64) -> Result<(i64, u32), Fault> {
        let by = By::Range {
            from: [from + 1, 0, 0],
            to: [i64::MAX; 3],
            descending: false,
            limit: BATCH,
        };
        let (mut place, mut read) = (from, 0);
        let followers = &mut self.followers;
        reader.read(&[Read { table: &OUTBOX, by }], &mut |_, row| {
            let seq = row.int(0);
            if seq != place + 1 {
                miss(followers, place, seq - 1);
            }
            (place, read) = (seq, read + 1);
            let topic = row.text(3);
            for follower in followers.iter_mut().filter(|f| f.topics().contains(&topic)) {
                follower.take(&Event { seq, topic, key: row.int(4), payload: row.blob(7) });
            }
        })?;
        Ok((place, read))
    }
}

/// Tells of events after `from` up to `to` that are gone.
fn miss(followers: &mut [Box<dyn Follower>], from: i64, to: i64) {
    // Only a tail that stood still for days can be overtaken by the trimming.
    tracing::warn!(from, to, "the tail of the outbox has missed events");
    for follower in followers {
        follower.missed(to);
    }
}

/// The number of the last event.
fn head(reader: &mut dyn Reader) -> Result<i64, Fault> {
    let mut seq = 0;
    let read = [Read { table: &SHARD, by: By::Keys(vec![[0; 3]]) }];
    reader.read(&read, &mut |_, row| seq = row.int(2))?;
    Ok(seq)
}
