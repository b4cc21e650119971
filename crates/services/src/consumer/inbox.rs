//! What a consumer has taken in: everything up to a place in the outbox, and single events above it.
//!
//! ```text
//! outbox        1 2 3 4 5 6 7 8 9 …
//! wanted        x   x x   x   x x
//! taken in      x   x x       x        low = 5: 6 is still to come
//!                                       above = {8}, rows of the table `inbox`
//! ```
//!
//! The embedded log gives events in their order: `low` is all there is, and moves with them. Topics
//! give those of different partitions in any order, so each is noted by its number, in the transaction
//! of its effect. Behind them `low` follows the outbox: over events that nobody here wants, and over
//! those that are noted, whose rows go. So the inbox has what is out of order now, and no more.
//!
//! An event that does not come from a topic holds `low` back: the outbox keeps it and what is behind it, and
//! whoever reads the embedded log next takes in exactly what is missing. After [`OVERDUE`](super::OVERDUE)
//! the consumer itself looks there: topics that were emptied cost time, and no event.

use std::collections::{BTreeMap, BTreeSet};

use jangbu_engine::books::OUTBOX;
use jangbu_engine::port::{By, Fault, Mode, Read, Reader, Store, WritePlan};
use jangbu_kernel::Time;

use super::tables::{INBOX, OFFSET, place_id, stream};
use super::{Consumer, Delivered};
use crate::events::Topic;

/// Events of the outbox that are looked at together.
const AHEAD: u32 = 1_000;

/// Where a consumer stands.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    /// Everything up to it is taken in.
    low: i64,
    /// What is taken in above it.
    above: BTreeSet<i64>,
    /// Positions by stream, without the embedded log.
    places: BTreeMap<i32, i64>,
}

/// What a batch adds.
#[derive(Debug, Default)]
pub(super) struct Batch {
    low: i64,
    /// Events of other streams than the embedded log, with their streams.
    fresh: BTreeMap<i64, i32>,
    places: BTreeMap<i32, i64>,
    repeats: u64,
    /// When the first event happened that is to come, if that was looked at.
    missing: Option<Time>,
}

impl Inbox {
    /// Reads where a consumer stands.
    pub(super) fn load(consumer: i64, store: &mut dyn Store) -> Result<Self, Fault> {
        let mut inbox = Self::default();
        let (from, to) = ([place_id(consumer, 0), 0, 0], [place_id(consumer, i32::MAX), 0, 0]);
        let places = By::Range { from, to, descending: false, limit: u32::MAX };
        let (from, to) = ([consumer, i64::MIN, 0], [consumer, i64::MAX, 0]);
        let above = By::Range { from, to, descending: false, limit: u32::MAX };
        let reads = [Read { table: &OFFSET, by: places }, Read { table: &INBOX, by: above }];
        store.begin()?.read(&reads, &mut |read, row| match (read, stream(row.int(0))) {
            (0, 0) => inbox.low = row.int(1),
            (0, stream) => drop(inbox.places.insert(stream, row.int(1))),
            _ => drop(inbox.above.insert(row.int(1))),
        })?;
        Ok(inbox)
    }

    /// Everything up to it is taken in.
    pub(super) fn low(&self) -> i64 {
        self.low
    }

    /// Stream and position of all that it has read from.
    pub(super) fn places(&self) -> Vec<(i32, i64)> {
        let others = self.places.iter().map(|(stream, at)| (*stream, *at));
        std::iter::once((0, self.low)).chain(others).collect()
    }

    fn has(&self, seq: i64) -> bool {
        seq <= self.low || self.above.contains(&seq)
    }

    /// An empty batch.
    pub(super) fn begin(&self) -> Batch {
        Batch { low: self.low, ..Batch::default() }
    }

    /// Up to where everything is taken in after this batch: follows `truth` over what `consumer` does
    /// not want and what is taken in.
    pub(super) fn follow(
        &self,
        batch: &mut Batch,
        consumer: &dyn Consumer,
        truth: &mut dyn Reader,
    ) -> Result<(), Fault> {
        // What is not published comes from no topic.
        let wants = |topic: &str| consumer.wants(topic) && Topic::of(topic).is_some();
        loop {
            let (mut rows, mut done, mut low) = (0, false, batch.low);
            let by = By::Range {
                from: [low + 1, 0, 0],
                to: [i64::MAX; 3],
                descending: false,
                limit: AHEAD,
            };
            truth.read(&[Read { table: &OUTBOX, by }], &mut |_, row| {
                let seq = row.int(0);
                if done {
                    return;
                }
                let taken = self.above.contains(&seq) || batch.fresh.contains_key(&seq);
                done = seq != low + 1 || (!taken && wants(row.text(3)));
                if done {
                    batch.missing = Some(Time(row.int(2)));
                } else {
                    (low, rows) = (seq, rows + 1);
                }
            })?;
            batch.low = low;
            if done || rows < AHEAD {
                return Ok(());
            }
        }
    }

    /// Puts what a batch adds into its plan; says whether that is anything.
    pub(super) fn write(&self, consumer: i64, batch: &Batch, plan: &mut WritePlan) -> bool {
        let before = plan.len();
        if batch.low != self.low {
            plan.row(&OFFSET, Mode::Upsert).int(place_id(consumer, 0)).int(batch.low);
        }
        for (stream, at) in &batch.places {
            if self.places.get(stream) != Some(at) {
                plan.row(&OFFSET, Mode::Upsert).int(place_id(consumer, *stream)).int(*at);
            }
        }
        for (seq, stream) in batch.fresh.range(batch.low + 1..) {
            plan.row(&INBOX, Mode::Insert).int(consumer).int(*seq).int(i64::from(*stream));
        }
        for seq in self.above.range(..=batch.low) {
            plan.row(&INBOX, Mode::Delete).int(consumer).int(*seq);
        }
        plan.len() > before
    }

    /// The batch is stored.
    pub(super) fn add(&mut self, batch: Batch) {
        self.low = batch.low;
        self.above.extend(batch.fresh.into_keys());
        self.above = self.above.split_off(&(batch.low + 1));
        self.places.extend(batch.places);
    }
}

impl Batch {
    /// Notes that an event was given; says whether it is new.
    pub(super) fn admit(&mut self, inbox: &Inbox, event: &Delivered) -> bool {
        let new = if event.stream == 0 {
            let new = event.seq > self.low && !inbox.has(event.seq);
            self.low = self.low.max(event.seq);
            new
        } else {
            self.places.insert(event.stream, event.offset);
            !inbox.has(event.seq) && self.fresh.insert(event.seq, event.stream).is_none()
        };
        self.repeats += u64::from(!new);
        new
    }

    /// Whether something is new.
    pub(super) fn is_fresh(&self, inbox: &Inbox) -> bool {
        !self.fresh.is_empty() || self.low != inbox.low
    }

    /// When the first event happened that is to come.
    pub(super) fn missing(&self) -> Option<Time> {
        self.missing
    }

    /// How many events were known.
    pub(super) fn repeats(&self) -> u64 {
        self.repeats
    }
}
