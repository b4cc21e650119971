//! Parked keys as rows: what is kept of them, and how they are listed.

use jangbu_engine::port::{By, Fault, Fields, Read};
use jangbu_kernel::Time;

use super::{PARKED, PARKED_EVENT};
use crate::queries::Queries;

/// The only consumer of `derived.db` so far.
pub(super) const CONSUMER: i64 = 1;

/// The first events that wait under a key.
pub(super) fn all_of(key: i64, limit: u32) -> Read {
    let (from, to) = ([CONSUMER, key, i64::MIN], [CONSUMER, key, i64::MAX]);
    Read { table: &PARKED_EVENT, by: By::Range { from, to, descending: false, limit } }
}

/// A key that waits for an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
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
    /// Numbers and times of its events, the one that cannot be taken in first.
    pub events: Vec<(i64, Time)>,
}

impl Parked {
    pub(super) fn read(row: &dyn Fields) -> Self {
        Self {
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
    /// Keys that are parked, after key `after`.
    pub fn parked(&self, after: Option<i64>, limit: u32) -> Result<Vec<Parked>, Fault> {
        let (from, to) = (after.map_or(i64::MIN, |after| after + 1), i64::MAX);
        let by = By::Range {
            from: [CONSUMER, from, 0],
            to: [CONSUMER, to, 0],
            descending: false,
            limit,
        };
        let mut found = Vec::new();
        self.derived.read(&[Read { table: &PARKED, by }], &mut |_, row| {
            found.push(Parked::read(row));
        })?;
        Ok(found)
    }

    /// A parked key with the first events that wait under it.
    pub fn parked_key(&self, key: i64, limit: u32) -> Result<Option<ParkedKey>, Fault> {
        let by = By::Keys(vec![[CONSUMER, key, 0]]);
        let (mut parked, mut events) = (None, Vec::new());
        let reads = [Read { table: &PARKED, by }, all_of(key, limit)];
        self.derived.read(&reads, &mut |read, row| match read {
            0 => parked = Some(Parked::read(row)),
            _ => events.push((row.int(2), Time(row.int(3)))),
        })?;
        Ok(parked.map(|parked| ParkedKey { parked, events }))
    }
}
