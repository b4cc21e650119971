//! One consumer at work: batch by batch, its place in the same commit.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jangbu_engine::books::SHARD;
use jangbu_engine::chore::Portion;
use jangbu_engine::clock::Clock;
use jangbu_engine::port::{By, Fault, Mode, Read, Reader, Store, WritePlan};
use jangbu_engine::trace::Tracing;
use jangbu_kernel::Time;
use jangbu_kernel::time::Span;

use super::parked::Parked;
use super::tables::{OFFSET, partition, place_id};
use super::{Consumer, Delivered, Source, Work, commit, name};
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
    place: BTreeMap<i32, i64>,
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
            place: BTreeMap::new(),
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
        let seq = self.place.values().copied().max().unwrap_or(0);
        let held = if self.source.holds() { seq } else { i64::MAX };
        let parked = self.parked.values().map(|parked| parked.seq - 1).min();
        let floor = parked.map_or(held, |parked| parked.min(held));
        self.progress.seq.store(seq, Ordering::Relaxed);
        self.progress.floor.store(floor, Ordering::Relaxed);
    }

    /// Reads where the store stands. An outbox that has been trimmed beyond it cannot be followed.
    pub(super) fn load(&mut self, store: &mut dyn Store) -> Result<(), Fault> {
        let consumer = self.number();
        let (from, to) = ([place_id(consumer, 0), 0, 0], [place_id(consumer, i32::MAX), 0, 0]);
        let by = By::Range { from, to, descending: false, limit: u32::MAX };
        let place = &mut self.place;
        place.clear();
        store.begin()?.read(&[Read { table: &OFFSET, by }], &mut |_, row| {
            place.insert(partition(row.int(0)), row.int(1));
        })?;
        self.consumer.load(store)?;
        if self.source.holds() {
            self.check_head()?;
        }
        let place: Vec<(i32, i64)> = self.place.iter().map(|(at, seq)| (*at, *seq)).collect();
        self.source.taken(&place);
        self.load_parked(store)
    }

    fn check_head(&mut self) -> Result<(), Fault> {
        let (mut trimmed, seq) = (0, self.place.get(&0).copied().unwrap_or(0));
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
        let events = self.source.next(BATCH)?;
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
        let (mut rows, mut count, mut place) = (0, 0, self.place.clone());
        // Up to here the embedded log has given everything, whatever the source is now.
        let before = self.place.get(&0).copied().unwrap_or(0);
        for event in events {
            count += 1;
            let at = place.entry(event.partition).or_insert(0);
            if event.seq <= before.max(*at) {
                continue;
            }
            *at = event.seq;
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
        let moved = self.moved(&place);
        if !moved.is_empty() {
            self.write(store, &moved)?;
            self.place = place;
            let taken = events[..count].iter().map(|event| event.at);
            let now = self.now();
            self.progress.lag.observe(now, taken);
            self.tell(&traced, (begun, now));
        }
        if count > 0 {
            self.source.taken(&self.place.iter().map(|(at, seq)| (*at, *seq)).collect::<Vec<_>>());
        }
        let full = count < events.len() || count >= BATCH as usize;
        let weight = count.max(usize::try_from(rows).unwrap_or(0));
        Ok(Taken { weight, full })
    }

    /// The places that differ from the stored ones.
    fn moved(&self, place: &BTreeMap<i32, i64>) -> Vec<(i32, i64)> {
        let differs = |(at, seq): &(&i32, &i64)| self.place.get(at) != Some(seq);
        place.iter().filter(differs).map(|(at, seq)| (*at, *seq)).collect()
    }

    /// Ends a batch: the rest of its rows, and its places.
    fn write(&mut self, store: &mut dyn Store, moved: &[(i32, i64)]) -> Result<(), Fault> {
        let mut tx = store.begin()?;
        let (truth, plan) = (&mut *self.truth, &mut self.plan);
        self.consumer.finish(&mut Work { truth, tx: &mut *tx, plan })?;
        for (at, seq) in moved {
            let id = place_id(self.consumer.number(), *at);
            self.plan.row(&OFFSET, Mode::Upsert).int(id).int(*seq);
        }
        self.plan.sort();
        tx.write(&self.plan)?;
        commit(tx)
    }

    /// The place of one event that was parked instead of taken in.
    pub(super) fn pass(&mut self, event: &Delivered) {
        let id = place_id(self.number(), event.partition);
        self.plan.row(&OFFSET, Mode::Upsert).int(id).int(event.seq);
    }

    /// That it is stored.
    pub(super) fn passed(&mut self, event: &Delivered) {
        self.place.insert(event.partition, event.seq);
        self.source.taken(&self.place.iter().map(|(at, seq)| (*at, *seq)).collect::<Vec<_>>());
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
