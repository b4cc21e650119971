//! One consumer at work: batch by batch, its place in the same commit.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jangbu_engine::books::SHARD;
use jangbu_engine::chore::Portion;
use jangbu_engine::clock::Clock;
use jangbu_engine::port::{By, Fault, Read, Reader, Store, WritePlan};
use jangbu_engine::trace::Tracing;
use jangbu_kernel::Time;
use jangbu_kernel::time::Span;

use super::inbox::{Batch, Inbox};
use super::parked::Parked;
use super::{Consumer, Delivered, Source, Work, commit, log, name};
use crate::lag::Progress;

/// Events in one transaction.
const BATCH: u32 = 20_000;

/// A transaction ends with the event that brings it to this many rows: one journal has up to 10,000.
const WEIGHT: i64 = 50_000;

/// How often an event is tried whose fault may pass.
pub const TRIES: u32 = 5;

/// The first pause after a fault; each of the following is twice as long.
const PAUSE: Duration = Duration::from_millis(50);

/// The longest.
const LONGEST: Duration = Duration::from_secs(5);

/// Who reads topics looks so often how far everything is taken in when nothing comes.
const LOOK: Span = Span(1_000_000);

/// Who reads topics takes an event from the outbox that has not come for so long.
pub const OVERDUE: Span = Span(600_000_000);

/// Events under a parked key that a slice takes in or leaves out.
const EVENTS: Portion = Portion::new(16, 1, 500);

/// What a step took in.
#[derive(Clone, Copy, Default)]
pub(super) struct Taken {
    /// Events, or their rows if those are more.
    pub(super) weight: usize,
    /// Whether the next step will find more at once.
    pub(super) full: bool,
}

/// A consumer, its source and where it stands. Lives on one thread.
pub(super) struct Runner {
    pub(super) consumer: Box<dyn Consumer>,
    source: Box<dyn Source>,
    pub(super) truth: Box<dyn Reader>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) progress: Arc<Progress>,
    /// When a parked key that nobody settles is given up.
    pub(super) patience: Option<Span>,
    inbox: Inbox,
    /// When it last looked how far everything is taken in.
    looked: Option<Time>,
    /// When the first event happened that is to come, as it was then.
    missing: Option<Time>,
    /// Keys that wait for an operator.
    pub(super) parked: BTreeMap<i64, Parked>,
    /// Whether all this is what the store has: not at first, and not after a fault.
    pub(super) known: bool,
    pub(super) plan: WritePlan,
    pub(super) portion: Portion,
    /// The event whose fault may pass, and how often it was tried.
    stumbled: (i64, u32),
    /// How long it rests after a fault, and how long that was.
    rest: Duration,
    pause: Duration,
    pub(super) tracer: Tracing,
}

impl Runner {
    pub(super) fn new(
        consumer: Box<dyn Consumer>,
        source: Box<dyn Source>,
        truth: Box<dyn Reader>,
        clock: Arc<dyn Clock>,
        patience: Option<Span>,
    ) -> Self {
        Self {
            consumer,
            source,
            truth,
            clock,
            progress: Arc::default(),
            patience,
            inbox: Inbox::default(),
            looked: None,
            missing: None,
            parked: BTreeMap::new(),
            known: false,
            plan: WritePlan::default(),
            portion: EVENTS,
            stumbled: (0, 0),
            rest: Duration::ZERO,
            pause: Duration::ZERO,
            tracer: None,
        }
    }

    pub(super) fn number(&self) -> i64 {
        self.consumer.number()
    }

    /// The next step and the next slice of what is not kept. A store that is busy or full, and an event
    /// whose fault may pass, are tried again after a pause: `passed` has gone by since the last turn.
    pub(super) fn turn(&mut self, store: &mut dyn Store, passed: Duration) -> Result<Taken, Fault> {
        self.rest = self.rest.saturating_sub(passed);
        if !self.rest.is_zero() {
            return Ok(Taken::default());
        }
        let done = self.step(store).and_then(|taken| {
            let more = self.keep(store)?;
            Ok(Taken { full: taken.full || more, ..taken })
        });
        self.tell_progress();
        match done {
            Err(Fault::Transient(why) | Fault::Full(why)) => {
                self.pause = (self.pause * 2).clamp(PAUSE, LONGEST);
                self.rest = self.pause;
                tracing::warn!(consumer = name(self.number()), why, "a consumer waits");
                Ok(Taken::default())
            }
            other => {
                self.pause = Duration::ZERO;
                other
            }
        }
    }

    /// It does not wait any more.
    pub(super) fn hurry(&mut self) {
        self.rest = Duration::ZERO;
    }

    /// Says how far it has come, and which events it needs no more: those that wait under a parked
    /// key are read again.
    pub(super) fn tell_progress(&self) {
        if !self.known {
            return;
        }
        let seq = self.inbox.low();
        let parked = self.parked.values().map(|parked| parked.seq - 1).min();
        let floor = parked.map_or(seq, |parked| parked.min(seq));
        self.progress.seq.store(seq, Ordering::Relaxed);
        self.progress.floor.store(floor, Ordering::Relaxed);
    }

    /// Reads where the store stands. An outbox that has been trimmed beyond it cannot be followed.
    pub(super) fn load(&mut self, store: &mut dyn Store) -> Result<(), Fault> {
        self.inbox = Inbox::load(self.number(), store)?;
        (self.looked, self.missing) = (None, None);
        self.consumer.load(store)?;
        self.check_head()?;
        self.source.taken(&self.inbox.places());
        self.load_parked(store)
    }

    fn check_head(&mut self) -> Result<(), Fault> {
        let (mut trimmed, seq) = (0, self.inbox.low());
        let read = [Read { table: &SHARD, by: By::Keys(vec![[0; 3]]) }];
        self.truth.read(&read, &mut |_, row| trimmed = row.int(6))?;
        if trimmed <= seq {
            return Ok(());
        }
        let name = name(self.number());
        Err(Fault::Fatal(format!(
            "{name} has taken in {seq} events, and {trimmed} are trimmed: stop, `jangbu rebuild`"
        )))
    }

    /// Takes in the next events.
    fn step(&mut self, store: &mut dyn Store) -> Result<Taken, Fault> {
        if !std::mem::take(&mut self.known) {
            self.load(store)?;
        }
        let events = match self.overdue()? {
            Some(events) => events,
            None => self.source.next(BATCH)?,
        };
        let taken = self.absorb(store, &events)?;
        self.known = true;
        Ok(taken)
    }

    /// The next slice of what is not kept, if there is anything to do; says whether there may be more.
    fn keep(&mut self, store: &mut dyn Store) -> Result<bool, Fault> {
        if !std::mem::take(&mut self.known) {
            return Ok(false);
        }
        let more = self.give_up(store)?
            || self.consumer.keep(store, &mut *self.truth, &*Arc::clone(&self.clock))?;
        self.known = true;
        Ok(more)
    }

    /// Takes in these events, or the first of them.
    pub(super) fn attempt(
        &mut self,
        store: &mut dyn Store,
        events: &[Delivered],
    ) -> Result<Taken, Fault> {
        let (begun, mut traced) = (self.now(), Vec::new());
        self.plan.clear();
        let (mut rows, mut count, mut times) = (0, 0, Vec::new());
        let mut batch = self.inbox.begin();
        let ours = self.inbox.ours(events, &mut *self.truth)?;
        for event in events {
            count += 1;
            if !batch.admit(&self.inbox, &ours, event) {
                continue;
            }
            times.push(event.at);
            if self.consumer.wants(&event.topic) && !self.waits(event) {
                rows += self
                    .consumer
                    .take(event, &mut self.plan)
                    .map_err(|fault| stumble(&mut self.stumbled, event.seq, fault))?;
                traced.extend(event.trace.map(|trace| (trace, event.seq)));
            }
            if rows >= WEIGHT {
                break;
            }
        }
        self.follow(&mut batch, begun)?;
        let (repeats, strangers) = batch.passed_over();
        if self.write(store, &batch)? {
            self.inbox.add(batch);
            let now = self.now();
            self.progress.lag.observe(now, times.into_iter());
            self.tell(&traced, (begun, now));
        }
        self.progress.repeats.fetch_add(repeats, Ordering::Relaxed);
        self.progress.strangers.fetch_add(strangers, Ordering::Relaxed);
        if count > 0 {
            self.source.taken(&self.inbox.places());
        }
        let full = count < events.len() || count >= BATCH as usize;
        let weight = count.max(usize::try_from(rows).unwrap_or(0));
        Ok(Taken { weight, full })
    }

    /// Looks how far everything is taken in. The embedded log says that by itself.
    fn follow(&mut self, batch: &mut Batch, now: Time) -> Result<(), Fault> {
        let due = self.looked.is_none_or(|at| now < at || now - at >= LOOK);
        if self.source.is_log() || !(due || batch.is_fresh(&self.inbox)) {
            return Ok(());
        }
        self.looked = Some(now);
        self.inbox.follow(batch, &*self.consumer, &mut *self.truth)?;
        self.missing = batch.missing();
        Ok(())
    }

    /// The next events of the outbox, if its first one should have come from a topic long ago.
    fn overdue(&mut self) -> Result<Option<Arc<[Delivered]>>, Fault> {
        let (now, consumer) = (self.now(), &*self.consumer);
        let Some(at) = self.missing.take().filter(|at| now - *at >= OVERDUE) else {
            return Ok(None);
        };
        let wants = |topic: &str| consumer.wants(topic);
        let mut events = log::read(&mut *self.truth, self.inbox.low(), BATCH, wants)?;
        events.retain(|event| now - event.at >= OVERDUE);
        let (consumer, count) = (name(self.number()), events.len());
        tracing::warn!(consumer, count, %at, "events that do not come are taken from the outbox");
        Ok(Some(events.into()))
    }

    /// Ends a batch: the rest of its rows, and that they are taken in. Says whether there was anything.
    fn write(&mut self, store: &mut dyn Store, batch: &Batch) -> Result<bool, Fault> {
        let number = self.number();
        if !self.inbox.write(number, batch, &mut self.plan) {
            return Ok(false);
        }
        let mut tx = store.begin()?;
        let (truth, plan) = (&mut *self.truth, &mut self.plan);
        self.consumer.finish(&mut Work { truth, tx: &mut *tx, plan })?;
        self.plan.sort();
        tx.write(&self.plan)?;
        commit(tx)?;
        Ok(true)
    }

    /// Puts into the plan that one event was parked instead of taken in.
    pub(super) fn pass(&mut self, event: &Delivered) -> Result<Batch, Fault> {
        let mut batch = self.inbox.begin();
        let ours = self.inbox.ours(std::slice::from_ref(event), &mut *self.truth)?;
        batch.admit(&self.inbox, &ours, event);
        self.inbox.write(self.number(), &batch, &mut self.plan);
        Ok(batch)
    }

    /// That it is stored.
    pub(super) fn passed(&mut self, batch: Batch) {
        self.inbox.add(batch);
        self.source.taken(&self.inbox.places());
    }

    /// The consumer is at work in another process.
    pub(super) fn stand_by(&mut self) {
        self.known = false;
        self.source.rest();
    }

    pub(super) fn now(&self) -> Time {
        self.clock.now()
    }
}

/// A fault that may pass is one of the store the first times, and then the event's own.
fn stumble(stumbled: &mut (i64, u32), seq: i64, fault: Fault) -> Fault {
    let Fault::Transient(why) = fault else { return fault };
    *stumbled = if stumbled.0 == seq { (seq, stumbled.1 + 1) } else { (seq, 1) };
    if stumbled.1 < TRIES { Fault::Transient(why) } else { Fault::Item(why) }
}
