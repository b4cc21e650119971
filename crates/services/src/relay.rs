//! The relay: publishes the outbox to the outside, in its order, and nothing is lost or left out.
//!
//! ```text
//!                    read           hand over              acknowledged
//! outbox (truth) ─▶ events after ─▶ records in flight ─▶ place moves over the
//!                   the last one    (a window of them)    acknowledged prefix
//!                                                              │ kept in derived.db
//!                                   restart, failure: ◀────────┘ from here again
//! ```
//!
//! 1. One reader, by number: the outbox has no gaps, and a gap is a fault, not an end.
//! 2. Many records are in flight, and their acknowledgements come in any order. The place moves over
//!    those that form a prefix, and only then: whatever dies, what follows the kept place is
//!    published again. Delivery is at least once; the number of an event is its id.
//! 3. A [`Publisher`] delivers the records of one key in the order in which they were handed over, or
//!    says that it failed. After a failure everything behind the place is handed over again, in
//!    order, so that the first appearance of each event is always in order.
//! 4. When nothing is acknowledged for [`Rules::silence`], the breaker opens, however much went well
//!    before: a full window makes no further calls that could fail. What is in flight stays with the publisher, which goes on trying, and nothing more is
//!    handed over before the publisher says that it is there. Orders do not wait for any of it.
//! 5. Time is a parameter of [`Relay::step`].
//! 6. An event of a trace is published below a span of its own, which readers go on from.

mod place;
mod running;
mod spans;
mod watch;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use jangbu_engine::books::{OUTBOX, SHARD};
use jangbu_engine::breaker::{Breaker, BreakerRules, BreakerState, Permit};
use jangbu_engine::clock::Clock;
use jangbu_engine::port::{Backend, By, Fault, Read, Reader};
use jangbu_engine::trace::{Tracer, Tracing};
use jangbu_kernel::Time;
use jangbu_kernel::time::Span;

pub use place::{Place, Reader as PlaceReader, Writer as PlaceWriter, store, stored};
pub use running::{Bell, Running};
use spans::Publication;
pub use watch::Watch;

use crate::events::{Record, Row};

/// Where records go. One thread uses it.
pub trait Publisher: Send {
    /// Makes sure that there is something to publish to. Asked before the first record, and again
    /// after a failure.
    fn prepare(&mut self) -> Result<(), String>;

    /// Hands over a record; never waits. Records of one key are delivered in this order, or
    /// [`Ack::result`] says that one was not: then none that was handed over after it may be, before
    /// it was handed over again.
    fn send(&mut self, record: &Record) -> Sent;

    /// What became of records since the last call, in any order.
    fn acks(&mut self, each: &mut dyn FnMut(Ack));

    /// Forgets what was handed over and not acknowledged: it comes again.
    fn reset(&mut self);

    /// What an operator should know although it works.
    fn complaint(&self) -> Option<String> {
        None
    }
}

/// What became of handing over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sent {
    /// It is on its way.
    Taken,
    /// There is no room now.
    Full,
    /// It will never be taken, for this reason.
    Refused(String),
}

/// What became of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ack {
    /// The event.
    pub seq: i64,
    /// When it was known.
    pub at: Time,
    /// Whether it is where it belongs, or why not.
    pub result: Result<(), String>,
}

/// How the relay works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// Events in flight at most.
    pub window: usize,
    /// Events of one read at most.
    pub batch: u32,
    /// When nothing is acknowledged for so long, the publisher is away.
    pub silence: Span,
    /// The pause after a failure: it doubles up to `longest`.
    pub shortest: Span,
    /// The longest pause.
    pub longest: Span,
    /// When nothing more is handed over.
    pub breaker: BreakerRules,
}

impl Default for Rules {
    fn default() -> Self {
        let breaker = BreakerRules {
            min_calls: 1,
            slow: None,
            open_for: Span::secs(2),
            probes: 1,
            closes_after: 1,
            ..BreakerRules::default()
        };
        Self {
            window: 10_000,
            batch: 2_000,
            silence: Span::secs(5),
            shortest: Span::millis(100),
            longest: Span::secs(10),
            breaker,
        }
    }
}

/// How often the place is written while events flow.
const KEEP: Span = Span::millis(200);

/// An event that was read and is not yet handed over.
#[derive(Debug)]
struct Item {
    at: Time,
    /// None: it is internal, and done as soon as it was read.
    record: Option<Record>,
}

/// What was handed over in one step: one call for the breaker.
#[derive(Debug)]
struct Flight {
    last: i64,
    since: Time,
    /// None: the breaker did not count it.
    permit: Option<Permit>,
}

/// What a step did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// There is more to be handed over at once.
    More,
    /// Something is on its way, or waits until the publisher is there again.
    Waiting,
    /// Everything is published.
    Idle,
}

/// The relay. Lives on one thread.
pub struct Relay {
    truth: Arc<dyn Backend>,
    reader: Option<Box<dyn Reader>>,
    publisher: Box<dyn Publisher>,
    rules: Rules,
    place: Arc<Place>,
    watch: Arc<Watch>,
    /// Everything up to it is acknowledged; none: not known yet.
    done: Option<i64>,
    /// Events behind it in their order.
    pending: VecDeque<Pending>,
    /// The last events, read and not handed over; the rest of `pending` is in flight.
    queue: VecDeque<Item>,
    flights: VecDeque<Flight>,
    /// When the publisher was last heard of, and when the place was written.
    heard: Time,
    kept_at: Time,
    breaker: Breaker,
    prepared: bool,
    /// Nothing is tried before it.
    rest_until: Time,
    pause: Span,
    /// Why the head of the queue can neither be published nor be a dead letter.
    stuck: Option<String>,
    tracer: Option<(Arc<dyn Tracer>, Arc<dyn Clock>)>,
}

/// An event that was read and is not done.
#[derive(Debug)]
struct Pending {
    /// When it was committed.
    at: Time,
    acked: bool,
    /// Its publication, if it is traced.
    span: Option<Box<Publication>>,
}

impl std::fmt::Debug for Relay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Relay")
            .field("done", &self.done)
            .field("pending", &self.pending.len())
            .field("queue", &self.queue.len())
            .finish_non_exhaustive()
    }
}

impl Relay {
    /// Publishes the outbox of `truth` from where `place` was kept.
    pub fn new(
        truth: Arc<dyn Backend>,
        publisher: Box<dyn Publisher>,
        place: Arc<Place>,
        rules: Rules,
    ) -> Self {
        Self {
            truth,
            reader: None,
            publisher,
            rules,
            watch: Arc::new(Watch::new(Arc::clone(&place))),
            place,
            done: None,
            pending: VecDeque::new(),
            queue: VecDeque::new(),
            flights: VecDeque::new(),
            heard: Time(i64::MIN),
            kept_at: Time(i64::MIN),
            breaker: Breaker::new(rules.breaker),
            prepared: false,
            rest_until: Time(i64::MIN),
            pause: rules.shortest,
            stuck: None,
            tracer: None,
        }
    }

    /// The same with a tracer, whose spans begin by this clock: an event may be younger than the step
    /// that reads it.
    #[must_use]
    pub fn with_tracer(self, tracer: Tracing, clock: Arc<dyn Clock>) -> Self {
        Self { tracer: tracer.map(|tracer| (tracer, clock)), ..self }
    }

    /// For whoever watches it.
    pub fn watch(&self) -> Arc<Watch> {
        Arc::clone(&self.watch)
    }

    /// The outbox is another process': forgets everything but what is kept.
    fn let_go(&mut self) {
        if self.done.take().is_none() {
            return;
        }
        tracing::info!("another process publishes the outbox now");
        self.pending.clear();
        self.queue.clear();
        self.stuck = None;
        self.flights.clear();
        self.publisher.reset();
        self.prepared = false;
        self.reader = None;
    }

    /// Whether the place is kept.
    fn is_kept(&self) -> bool {
        self.done.is_none_or(|done| self.place.kept() == Some(done))
    }

    /// Takes acknowledgements, moves the place, reads on, hands over.
    pub fn step(&mut self, now: Time) -> Result<Step, Fault> {
        let stepped = self.turn(now);
        if stepped.is_err() {
            // A reader whose server went away is opened anew.
            self.reader = None;
        }
        self.tell(now);
        stepped
    }

    fn turn(&mut self, now: Time) -> Result<Step, Fault> {
        if self.done.is_none() {
            self.begin()?;
        }
        self.settle(now);
        self.notice_silence(now);
        // Behind a breaker that is not closed, preparing is the probe.
        self.prepared &= self.breaker.stats(now).state == BreakerState::Closed;
        if now < self.rest_until || !self.prepare(now) {
            return Ok(Step::Waiting);
        }
        let full = self.read()?;
        self.hand_over(now);
        // What is internal alone is done without an acknowledgement.
        self.advance(now);
        Ok(match (self.pending.is_empty(), full && self.queue.is_empty()) {
            (_, true) => Step::More,
            (true, false) => Step::Idle,
            (false, false) => Step::Waiting,
        })
    }

    /// Finds out where to begin.
    fn begin(&mut self) -> Result<(), Fault> {
        let kept = self.place.find()?;
        let mut trimmed = 0;
        let read = [Read { table: &SHARD, by: By::Keys(vec![[0; 3]]) }];
        self.reader()?.read(&read, &mut |_, row| trimmed = row.int(6))?;
        if let Some(kept) = kept.filter(|kept| *kept < trimmed) {
            let missed = trimmed - kept;
            tracing::error!(missed, "events were trimmed while nobody published them");
            self.watch.missed.fetch_add(missed.unsigned_abs(), Ordering::Relaxed);
        }
        let from = kept.unwrap_or(trimmed).max(trimmed);
        tracing::info!(from, "publishing the outbox");
        self.done = Some(from);
        Ok(())
    }

    fn reader(&mut self) -> Result<&mut dyn Reader, Fault> {
        let reader = match self.reader.take() {
            Some(reader) => reader,
            None => self.truth.reader()?,
        };
        Ok(&mut **self.reader.insert(reader))
    }

    /// Takes what became of records.
    fn settle(&mut self, now: Time) {
        let first = self.done.unwrap_or(0) + 1;
        let (pending, watch, heard) = (&mut self.pending, &self.watch, &mut self.heard);
        let (mut failed, tracer) = (None, self.tracer.as_ref().map(|(tracer, _)| tracer));
        self.publisher.acks(&mut |ack| match ack.result {
            Ok(()) => {
                *heard = now;
                let at = usize::try_from(ack.seq - first).ok();
                let event = at.and_then(|at| pending.get_mut(at)).filter(|event| !event.acked);
                if let Some(event) = event {
                    event.acked = true;
                    watch.progress.lag.observe(ack.at, std::iter::once(event.at));
                    watch.acked.fetch_add(1, Ordering::Relaxed);
                    spans::over(tracer, event, ack.at, false);
                }
            }
            Err(why) => failed = Some(why),
        });
        self.advance(now);
        if let Some(why) = failed {
            self.fall_back(now, &why);
        }
    }

    /// Moves the place over what is acknowledged, and tells the breaker of flights that are over.
    fn advance(&mut self, now: Time) {
        let handed = self.pending.len() - self.queue.len();
        let acked = self.pending.iter().take(handed).take_while(|event| event.acked).count();
        if acked == 0 {
            return;
        }
        self.pending.drain(..acked);
        let moved = i64::try_from(acked).unwrap_or(i64::MAX);
        let done = self.done.unwrap_or(0).saturating_add(moved);
        self.done = Some(done);
        self.pause = self.rules.shortest;
        while let Some(flight) = self.flights.pop_front_if(|flight| flight.last <= done) {
            if let Some(permit) = flight.permit {
                self.breaker.record(now, permit, true, now - flight.since);
                self.watch.calm(self.breaker.stats(now));
            }
        }
    }

    /// A publisher that says nothing is away.
    fn notice_silence(&mut self, now: Time) {
        let first = self.flights.front().map(|flight| flight.since.max(self.heard));
        let silent = first.is_some_and(|since| now - since >= self.rules.silence);
        if silent && self.breaker.stats(now).state == BreakerState::Closed {
            self.breaker.trip(now);
            self.watch.trouble("nothing is acknowledged");
        }
    }

    /// Begins again behind the place, after a pause.
    fn fall_back(&mut self, now: Time, why: &str) {
        tracing::warn!(why, "publishing failed: from the last acknowledged event again");
        self.watch.trouble(why);
        self.watch.resets.fetch_add(1, Ordering::Relaxed);
        for flight in self.flights.drain(..) {
            if let Some(permit) = flight.permit {
                self.breaker.record(now, permit, false, now - flight.since);
            }
        }
        let tracer = self.tracer.as_ref().map(|(tracer, _)| tracer);
        for event in &mut self.pending {
            // Who has read one of them goes on below its span.
            spans::over(tracer, event, now, true);
        }
        self.pending.clear();
        self.queue.clear();
        self.stuck = None;
        self.publisher.reset();
        self.prepared = false;
        self.rest(now);
    }

    fn rest(&mut self, now: Time) {
        self.rest_until = now + self.pause;
        self.pause = Span((self.pause.0 * 2).min(self.rules.longest.0));
    }

    /// Whether the publisher can be handed something.
    fn prepare(&mut self, now: Time) -> bool {
        if self.prepared {
            return true;
        }
        let Some(permit) = self.breaker.admit(now) else { return false };
        let prepared = self.publisher.prepare();
        self.prepared = prepared.is_ok();
        self.breaker.record(now, permit, self.prepared, Span(0));
        match prepared {
            Ok(()) => {
                self.heard = now;
                self.watch.calm(self.breaker.stats(now));
            }
            Err(why) => {
                self.watch.trouble(&why);
                self.rest(now);
            }
        }
        self.prepared
    }

    /// Reads the next events, if there is room; says whether there are more.
    fn read(&mut self) -> Result<bool, Fault> {
        let room = self.rules.window.saturating_sub(self.pending.len());
        let most = self.rules.batch.min(u32::try_from(room).unwrap_or(u32::MAX));
        if !self.queue.is_empty() || most == 0 {
            return Ok(false);
        }
        let behind = i64::try_from(self.pending.len()).unwrap_or(i64::MAX);
        let last = self.done.unwrap_or(0).saturating_add(behind);
        let (from, to) = ([last + 1, 0, 0], [i64::MAX; 3]);
        let read =
            [Read { table: &OUTBOX, by: By::Range { from, to, descending: false, limit: most } }];
        let (mut items, mut next, mut gap) = (Vec::new(), last, None);
        self.reader()?.read(&read, &mut |_, row| {
            let row = Row::of(row);
            next += 1;
            gap = gap.or_else(|| (row.seq != next).then_some(row.seq));
            items.push(Item { at: row.at, record: row.record() });
        })?;
        if let Some(found) = gap {
            return Err(Fault::Fatal(format!("the outbox has a gap between {last} and {found}")));
        }
        let full = items.len() == most as usize;
        self.pending.extend(items.iter().map(|item| Pending {
            at: item.at,
            acked: item.record.is_none(),
            span: None,
        }));
        self.queue.extend(items);
        Ok(full)
    }

    /// Hands over what was read.
    fn hand_over(&mut self, now: Time) {
        let (mut sent, mut internal) = (0_u64, 0_u64);
        self.begin_spans();
        while self.hand_over_next() {
            match self.queue.pop_front() {
                Some(Item { record: Some(_), .. }) => sent += 1,
                _ => internal += 1,
            }
        }
        if sent == 0 {
            return;
        }
        tracing::trace!(sent, internal, "handed over");
        self.watch.sent.fetch_add(sent, Ordering::Relaxed);
        let behind = self.pending.len() - self.queue.len();
        let last = self.done.unwrap_or(0).saturating_add(i64::try_from(behind).unwrap_or(i64::MAX));
        let permit = self.breaker.admit(now);
        self.flights.push_back(Flight { last, since: now, permit });
    }

    /// Hands over the head of the queue; says whether it is gone.
    fn hand_over_next(&mut self) -> bool {
        let Some(item) = self.queue.front() else { return false };
        let Some(record) = &item.record else { return true };
        match self.publisher.send(record) {
            Sent::Taken => true,
            Sent::Full => false,
            Sent::Refused(why) => self.hand_over_dead(&record.dead(&why)),
        }
    }

    /// Hands over a dead letter. There is no other way past it: one that is refused, too, stops
    /// everything until somebody has looked.
    fn hand_over_dead(&mut self, record: &Record) -> bool {
        match self.publisher.send(record) {
            Sent::Taken => {
                self.watch.dead.fetch_add(1, Ordering::Relaxed);
                self.stuck = None;
                true
            }
            Sent::Full => false,
            Sent::Refused(why) => {
                if self.stuck.is_none() {
                    tracing::error!(seq = record.seq, why, "a dead letter is refused");
                }
                self.stuck =
                    Some(format!("the dead letter of event {} is refused: {why}", record.seq));
                false
            }
        }
    }

    /// Has the place kept, now and then, and says how things are.
    fn tell(&mut self, now: Time) {
        let done = self.done.unwrap_or(0);
        if self.done.is_some() && (self.pending.is_empty() || now - self.kept_at >= KEEP) {
            self.place.want(done);
            self.kept_at = now;
        }
        self.watch.progress.seq.store(done, Ordering::Relaxed);
        let in_flight = self.pending.len() - self.queue.len();
        self.watch.in_flight.store(in_flight as u64, Ordering::Relaxed);
        let (breaker, stuck) = (self.breaker.stats(now), self.stuck.clone());
        self.watch.see(breaker, stuck, self.publisher.complaint());
    }
}
