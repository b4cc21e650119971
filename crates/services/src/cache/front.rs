//! The way of a read: near, far, store. And the way of a change: from the tail to both.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use jangbu_engine::clock::Clock;
use jangbu_kernel::time::Span;

use super::flight::{Flights, Part};
use super::{Cache, Group, Key, Near, Value};
use crate::tail::{Event, Follower, Place};

/// Bounds of what is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes in this process; 0: nothing is kept, neither here nor elsewhere.
    pub bytes: usize,
    /// How long a value lives, from the moment at which it was read.
    pub life: Span,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 32 << 20, life: Span::secs(60) }
    }
}

/// What a loader has read.
#[derive(Debug)]
pub struct Loaded {
    /// The last event that it could see before it read.
    pub number: i64,
    /// The answer; none: there is none to keep.
    pub bytes: Option<Vec<u8>>,
}

/// What became of the reads so far, and how much is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Answered from this process.
    pub near: u64,
    /// Answered from what processes share.
    pub far: u64,
    /// Answered by a load that somebody else had begun.
    pub joined: u64,
    /// Read from the store.
    pub loads: u64,
    /// Read from the store because the tail of the outbox could not be seen.
    pub blind: u64,
    /// Values in this process.
    pub values: u64,
    /// Their bytes.
    pub bytes: u64,
}

impl Stats {
    /// Of a hundred reads so many did not go to the store; none: nobody has read.
    pub fn hit_percent(&self) -> Option<u64> {
        let hits = self.near + self.far + self.joined;
        (hits * 100).checked_div(hits + self.loads + self.blind)
    }
}

#[derive(Debug, Default)]
struct Counts {
    near: AtomicU64,
    far: AtomicU64,
    joined: AtomicU64,
    loads: AtomicU64,
    blind: AtomicU64,
}

/// What reads of the catalogue ask first.
#[derive(Debug)]
pub struct Front {
    near: Near,
    far: Option<Arc<dyn Cache>>,
    flights: Flights,
    tail: Arc<Place>,
    /// Where the tail began: of changes before it nobody was told.
    begun: AtomicI64,
    clock: Arc<dyn Clock>,
    limits: Limits,
    counts: Counts,
}

impl Front {
    /// Values near, and far if there is such a thing, as long as the tail of the outbox is at `tail`.
    pub fn new(
        limits: Limits,
        far: Option<Arc<dyn Cache>>,
        tail: Arc<Place>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let near = Near::new(limits.bytes, limits.life, Arc::clone(&clock));
        let far = far.filter(|_| limits.bytes > 0);
        let (flights, counts) = (Flights::default(), Counts::default());
        Self { near, far, flights, tail, begun: AtomicI64::new(0), clock, limits, counts }
    }

    /// The answer named `key`, with everything up to event `least` in it: what is kept, or what `load` reads;
    /// none: there is none. `load` is told from which event on a state is good for it: a replica that is
    /// behind a change that is known here must not bring back what was before it.
    pub async fn read<L, F, E>(
        &self,
        key: &Key,
        least: i64,
        load: L,
    ) -> Result<Option<Arc<[u8]>>, E>
    where
        L: FnOnce(i64) -> F,
        F: Future<Output = Result<Loaded, E>>,
    {
        let sees = self.tail.sees(self.clock.now()) && self.tail.seq() >= least;
        if self.limits.bytes == 0 || !sees {
            count(&self.counts.blind);
            return Ok(load(self.near.mark(key.group).max(least)).await?.bytes.map(Into::into));
        }
        let lead = loop {
            if let Some(value) = self.near.find(key) {
                count(&self.counts.near);
                return Ok(Some(value.bytes));
            }
            let wait = match self.flights.join(&key.name, self.near.mark(key.group)) {
                Part::Lead(lead) => break lead,
                Part::Wait(wait) => wait,
            };
            if let Some(landed) = wait.await {
                count(&self.counts.joined);
                return Ok(landed);
            }
        };
        if let Some(far) = &self.far
            && let Some(value) = far.get(key).await
            && self.near.keep(key, &value)
        {
            count(&self.counts.far);
            lead.land(Some(Arc::clone(&value.bytes)));
            return Ok(Some(value.bytes));
        }
        count(&self.counts.loads);
        let until = self.clock.now() + self.limits.life;
        let known = self.near.mark(key.group).max(self.begun.load(Ordering::Acquire));
        let Loaded { number, bytes } = load(known.max(least)).await?;
        let bytes: Option<Arc<[u8]>> = bytes.map(Into::into);
        if let Some(bytes) = &bytes {
            self.put(key, &Value { number, until, bytes: Arc::clone(bytes) });
        }
        lead.land(bytes.clone());
        Ok(bytes)
    }

    /// Keeps what was read before anybody asked for it.
    pub fn warm(&self, key: &Key, number: i64, bytes: Vec<u8>) {
        if self.limits.bytes > 0 {
            let until = self.clock.now() + self.limits.life;
            self.put(key, &Value { number, until, bytes: bytes.into() });
        }
    }

    fn put(&self, key: &Key, value: &Value) {
        if self.near.keep(key, value)
            && let Some(far) = &self.far
        {
            far.put(key, value);
        }
    }

    /// Who has changed these groups, and was answered, reads the change: no value from before event
    /// `number` is served here any more. Other processes hear of it from their tails.
    pub fn written(&self, groups: &[Group], number: i64) {
        let groups: Vec<_> = groups.iter().map(|group| (*group, number)).collect();
        self.near.raise(&groups);
    }

    /// The same of everything.
    pub fn all_written(&self, number: i64) {
        self.near.raise_floor(number);
    }

    /// What became of the reads so far.
    pub fn stats(&self) -> Stats {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Counts { near, far, joined, loads, blind } = &self.counts;
        let (values, bytes) = self.near.size();
        Stats {
            near: load(near),
            far: load(far),
            joined: load(joined),
            loads: load(loads),
            blind: load(blind),
            values: values as u64,
            bytes: bytes as u64,
        }
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Tells a front what the outbox says about the catalogue.
#[derive(Debug)]
pub struct Invalidation {
    front: Arc<Front>,
    changed: BTreeMap<Group, i64>,
}

impl Invalidation {
    /// For `front`.
    pub fn new(front: Arc<Front>) -> Self {
        Self { front, changed: BTreeMap::new() }
    }
}

impl Follower for Invalidation {
    fn topics(&self) -> &'static [&'static str] {
        &["product.changed", "category.changed"]
    }

    fn take(&mut self, event: &Event<'_>) {
        let group = match event.topic {
            "product.changed" => Group::Product(event.key),
            _ => Group::Categories,
        };
        self.changed.insert(group, event.seq);
        // A list shows prices and names, and its categories are those below one.
        self.changed.insert(Group::Shelf, event.seq);
    }

    fn reached(&mut self, place: i64) {
        let begun = &self.front.begun;
        // Told of each look; only the first one counts.
        let _ = begun.compare_exchange(0, place, Ordering::AcqRel, Ordering::Relaxed);
        let changed: Vec<_> = std::mem::take(&mut self.changed).into_iter().collect();
        if !changed.is_empty() {
            self.front.near.raise(&changed);
        }
        if let Some(far) = &self.front.far {
            far.changed(&changed, place);
        }
    }

    fn missed(&mut self, place: i64) {
        self.front.near.raise_floor(place);
        if let Some(far) = &self.front.far {
            far.missed(place);
        }
    }
}

#[cfg(test)]
mod tests;
