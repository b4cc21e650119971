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
//! What a topic says counts only if the outbox says the same of that number: after a restore numbers are given
//! again, and another shop may use the same topics. Such a record is a stranger, and passed over.
//!
//! An event that does not come from a topic holds `low` back: the outbox keeps it and what is behind it, and
//! whoever reads the embedded log next takes in exactly what is missing. After [`OVERDUE`](super::OVERDUE)
//! the consumer itself looks there: topics that were emptied cost time, and no event.

use std::collections::{BTreeMap, BTreeSet};

use jangbu_engine::books::OUTBOX;
use jangbu_engine::port::{By, Fault, Fields, Key, Mode, Read, Reader, Store, WritePlan};
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

/// When events happened, their aggregates and their versions, by the outbox.
#[derive(Debug, Default)]
pub(super) struct Ours(BTreeMap<i64, (Time, i64, i64)>);

impl Ours {
    fn has(&self, event: &Delivered) -> bool {
        let Some((at, key, version)) = self.0.get(&event.seq) else { return false };
        // One that cannot be read, or was buried, stands for the row of its number.
        let unread = event.payload.is_empty() || event.key == -event.seq;
        unread || (*at, *key, *version) == (event.at, event.key, event.version)
    }
}

/// What a batch adds.
#[derive(Debug, Default)]
pub(super) struct Batch {
    low: i64,
    /// Events of other streams than the embedded log, with their streams.
    fresh: BTreeMap<i64, i32>,
    places: BTreeMap<i32, i64>,
    repeats: u64,
    strangers: u64,
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

    /// What `truth` says of events that topics have given.
    pub(super) fn ours(&self, events: &[Delivered], truth: &mut dyn Reader) -> Result<Ours, Fault> {
        let mut found = Ours::default();
        let new = events.iter().filter(|event| event.stream != 0 && !self.has(event.seq));
        let mut keys: Vec<Key> = new.map(|event| [event.seq, 0, 0]).collect();
        keys.sort_unstable();
        keys.dedup();
        if keys.is_empty() {
            return Ok(found);
        }
        truth.read(&[Read { table: &OUTBOX, by: By::Keys(keys) }], &mut |_, row| {
            found.0.insert(row.int(0), (Time(row.int(2)), row.int(4), row.int(5)));
        })?;
        Ok(found)
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
            let is_taken = |seq: &i64| self.above.contains(seq) || batch.fresh.contains_key(seq);
            let mut look = Look { low: batch.low, rows: 0, first: None };
            let (from, to) = ([batch.low + 1, 0, 0], [i64::MAX; 3]);
            let by = By::Range { from, to, descending: false, limit: AHEAD };
            truth.read(&[Read { table: &OUTBOX, by }], &mut |_, row| {
                look.at(row, |seq, topic| is_taken(&seq) || !wants(topic));
            })?;
            (batch.low, batch.missing) = (look.low, look.first);
            if look.first.is_some() || look.rows < AHEAD {
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

/// How far everything is taken in.
struct Look {
    low: i64,
    /// Events that were looked over.
    rows: u32,
    /// When the first one happened that is to come.
    first: Option<Time>,
}

impl Look {
    /// Looks at the next event: whether it is `done`.
    fn at(&mut self, row: &dyn Fields, done: impl Fn(i64, &str) -> bool) {
        let seq = row.int(0);
        if self.first.is_some() {
            return;
        }
        if seq == self.low + 1 && done(seq, row.text(3)) {
            (self.low, self.rows) = (seq, self.rows + 1);
        } else {
            self.first = Some(Time(row.int(2)));
        }
    }
}

impl Batch {
    /// Notes that an event was given; says whether it is new.
    pub(super) fn admit(&mut self, inbox: &Inbox, ours: &Ours, event: &Delivered) -> bool {
        let new = if event.stream == 0 {
            let new = event.seq > self.low && !inbox.has(event.seq);
            self.low = self.low.max(event.seq);
            new
        } else {
            self.places.insert(event.stream, event.offset);
            let known = inbox.has(event.seq);
            if !known && !ours.has(event) {
                self.strangers += 1;
                return false;
            }
            !known && self.fresh.insert(event.seq, event.stream).is_none()
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

    /// How many events were known, and how many are not of this outbox.
    pub(super) fn passed_over(&self) -> (u64, u64) {
        (self.repeats, self.strangers)
    }
}
