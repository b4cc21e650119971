//! Parked keys as rows: what is kept of them, and how they are listed.

use jangbu_engine::books::OUTBOX;
use jangbu_engine::port::{By, Fault, Fields, Read};
use jangbu_kernel::Time;

use super::{PARKED, PARKED_EVENT};
use crate::queries::Queries;

/// The first events that wait under a key of a consumer.
pub(super) fn all_of(consumer: i64, key: i64, limit: u32) -> Read {
    let (from, to) = ([consumer, key, i64::MIN], [consumer, key, i64::MAX]);
    Read { table: &PARKED_EVENT, by: By::Range { from, to, descending: false, limit } }
}

/// A key that waits for an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    /// The number of the consumer.
    pub consumer: i64,
    /// The aggregate.
    pub key: i64,
    /// The event that cannot be taken in.
    pub seq: i64,
    /// When it happened.
    pub at: Time,
    /// Since when it is parked.
    pub since: Time,
    /// Its topic.
    pub topic: String,
    /// Why it cannot be taken in.
    pub error: String,
    /// How often that was tried.
    pub tries: i64,
}

/// A parked key and what waits under it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParkedKey {
    /// The key.
    pub parked: Parked,
    /// Its first events, the one that cannot be taken in at the head.
    pub events: Vec<Letter>,
}

/// An event that waits under a parked key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// Its number.
    pub seq: i64,
    /// When it happened.
    pub at: Time,
    /// Its topic; empty if the outbox has lost it.
    pub topic: String,
    /// The version of its aggregate.
    pub version: i64,
    /// What the request was called that caused it.
    pub correlation: Option<String>,
    /// Its payload.
    pub payload: Vec<u8>,
}

impl Parked {
    pub(super) fn read(row: &dyn Fields) -> Self {
        Self {
            consumer: row.int(0),
            key: row.int(1),
            seq: row.int(2),
            at: Time(row.int(3)),
            since: Time(row.int(4)),
            topic: row.text(5).to_owned(),
            error: row.text(6).to_owned(),
            tries: row.int(7),
        }
    }
}

impl Queries {
    /// Keys that are parked, after `after` (consumer and key): of one consumer or of all.
    pub fn parked(
        &self,
        consumer: Option<i64>,
        after: Option<(i64, i64)>,
        limit: u32,
    ) -> Result<Vec<Parked>, Fault> {
        let first = (consumer.unwrap_or(i64::MIN), i64::MIN);
        let from = after.map_or(first, |(consumer, key)| (consumer, key + 1)).max(first);
        let last = consumer.unwrap_or(i64::MAX);
        let by = By::Range {
            from: [from.0, from.1, 0],
            to: [last, i64::MAX, 0],
            descending: false,
            limit,
        };
        let mut found = Vec::new();
        self.derived.read(&[Read { table: &PARKED, by }], &mut |_, row| {
            found.push(Parked::read(row));
        })?;
        Ok(found)
    }

    /// A parked key of a consumer with the first events that wait under it.
    pub fn parked_key(
        &self,
        consumer: i64,
        key: i64,
        limit: u32,
    ) -> Result<Option<ParkedKey>, Fault> {
        let by = By::Keys(vec![[consumer, key, 0]]);
        let (mut parked, mut events) = (None, Vec::new());
        let reads = [Read { table: &PARKED, by }, all_of(consumer, key, limit)];
        self.derived.read(&reads, &mut |read, row| match read {
            0 => parked = Some(Parked::read(row)),
            _ => events.push(Letter::unseen(row.int(2), Time(row.int(3)))),
        })?;
        let Some(parked) = parked else { return Ok(None) };
        let by = By::Keys(events.iter().map(|letter| [letter.seq, 0, 0]).collect());
        self.truth(&[Read { table: &OUTBOX, by }], &mut |row| {
            let letter = events.iter_mut().find(|letter| letter.seq == row.int(0));
            if let Some(letter) = letter {
                letter.see(row);
            }
        })?;
        Ok(Some(ParkedKey { parked, events }))
    }
}

impl Letter {
    fn unseen(seq: i64, at: Time) -> Self {
        let (topic, payload) = (String::new(), Vec::new());
        Self { seq, at, topic, version: 0, correlation: None, payload }
    }

    fn see(&mut self, row: &dyn Fields) {
        row.text(3).clone_into(&mut self.topic);
        self.version = row.int(5);
        self.correlation = row.opt_text(6).map(str::to_owned);
        self.payload = row.blob(7).to_vec();
    }
}
