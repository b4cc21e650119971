//! The way of a read: near, far, store. And the way of a change: from the tail to both.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

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
        Self { near, far, flights, tail, clock, limits, counts }
    }

    /// The answer named `key`: what is kept, or what `load` reads; none: there is none.
    pub async fn read<L, F, E>(&self, key: &Key, load: L) -> Result<Option<Arc<[u8]>>, E>
    where
        L: FnOnce() -> F,
        F: Future<Output = Result<Loaded, E>>,
    {
        if self.limits.bytes == 0 || !self.tail.sees(self.clock.now()) {
            count(&self.counts.blind);
            return Ok(load().await?.bytes.map(Into::into));
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
        let Loaded { number, bytes } = load().await?;
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
mod tests {
    use std::pin::pin;
    use std::sync::atomic::AtomicI64;
    use std::task::{Context, Poll, Waker};

    use jangbu_kernel::Time;

    use super::*;

    #[derive(Debug, Default)]
    struct Set(AtomicI64);

    impl Clock for Set {
        fn now(&self) -> Time {
            Time(self.0.load(Ordering::Relaxed))
        }
    }

    struct World {
        front: Arc<Front>,
        far: Arc<Near>,
        clock: Arc<Set>,
        place: Arc<Place>,
    }

    const LIFE: Span = Span(1_000_000);

    impl World {
        fn new() -> Self {
            let (clock, place): (Arc<Set>, Arc<Place>) = (Arc::default(), Arc::default());
            let time = Arc::clone(&clock) as Arc<dyn Clock>;
            let far = Arc::new(Near::new(1 << 20, LIFE, Arc::clone(&time)));
            let limits = Limits { bytes: 1 << 20, life: LIFE };
            let shared = Arc::clone(&far) as Arc<dyn Cache>;
            let front = Front::new(limits, Some(shared), Arc::clone(&place), time);
            place.reach(0, Time(0));
            Self { front: Arc::new(front), far, clock, place }
        }

        /// Reads the tee; the store has `text` as of event `number`.
        fn read(&self, number: i64, text: &str) -> String {
            let load = async || Ok::<_, ()>(loaded(number, text));
            let found = match pin!(self.front.read(&tee(), load)).poll(&mut context()) {
                Poll::Ready(found) => found.unwrap().unwrap(),
                Poll::Pending => panic!("it waits"),
            };
            String::from_utf8(found.to_vec()).unwrap()
        }

        fn hear(&self, topic: &'static str, key: i64, seq: i64) {
            let mut invalidation = Invalidation::new(Arc::clone(&self.front));
            invalidation.take(&Event { seq, topic, key, payload: &[] });
            invalidation.reached(seq);
        }
    }

    fn tee() -> Key {
        Key { group: Group::Product(1), name: "tee".into() }
    }

    fn loaded(number: i64, text: &str) -> Loaded {
        Loaded { number, bytes: Some(text.into()) }
    }

    fn context() -> Context<'static> {
        Context::from_waker(Waker::noop())
    }

    #[test]
    fn what_was_read_is_given_until_it_changes_or_its_time_is_over() {
        let world = World::new();
        assert_eq!(world.read(1, "old"), "old");
        assert_eq!(world.read(1, "not read"), "old");
        world.hear("product.changed", 2, 2);
        assert_eq!(world.read(2, "not read"), "old", "another product");
        world.hear("product.changed", 1, 3);
        assert_eq!(world.read(2, "too old"), "too old", "served, for it was read");
        assert_eq!(world.read(3, "new"), "new", "but not kept");
        world.place.reach(3, Time(LIFE.0 - 1));
        world.clock.0.store(LIFE.0 - 1, Ordering::Relaxed);
        assert_eq!(world.read(3, "not read"), "new");
        world.clock.0.store(LIFE.0, Ordering::Relaxed);
        assert_eq!(world.read(3, "newer"), "newer");
        let Stats { near, far, loads, .. } = world.front.stats();
        assert_eq!((near, far, loads), (3, 0, 4));
        assert_eq!(world.front.stats().hit_percent(), Some(42));
    }

    #[test]
    fn what_others_have_read_is_taken_if_nothing_has_changed_since() {
        let world = World::new();
        let until = Time(LIFE.0);
        let value = |number, text: &str| Value { number, until, bytes: text.as_bytes().into() };
        world.far.put(&tee(), &value(1, "of others"));
        assert_eq!(world.read(1, "not read"), "of others");
        assert_eq!(world.front.stats().far, 1);
        // This process has seen a change that the others have not told there.
        world.front.written(&[Group::Product(1)], 2);
        assert_eq!(world.read(2, "new"), "new");
        assert_eq!(world.far.find(&tee()), Some(value(2, "new")), "and put there");
    }

    #[test]
    fn who_cannot_see_the_outbox_reads_the_store() {
        let world = World::new();
        assert_eq!(world.read(1, "old"), "old");
        world.clock.0.store(3_000_000, Ordering::Relaxed);
        assert_eq!(world.read(2, "new"), "new");
        world.clock.0.store(-1, Ordering::Relaxed);
        assert_eq!(world.read(3, "newer"), "newer", "the clock was set back");
        assert_eq!(world.front.stats().blind, 2);
    }

    #[test]
    fn a_gap_ends_everything() {
        let world = World::new();
        assert_eq!(world.read(1, "old"), "old");
        Invalidation::new(Arc::clone(&world.front)).missed(2);
        assert_eq!(world.read(2, "new"), "new");
        world.front.all_written(3);
        assert_eq!(world.read(3, "newer"), "newer");
    }

    #[test]
    fn many_who_want_the_same_load_it_once() {
        let world = World::new();
        let (first, second) = (AtomicI64::new(0), AtomicI64::new(0));
        let load = |times: &'static str, counter: &AtomicI64| {
            counter.fetch_add(1, Ordering::Relaxed);
            let mut polls = 0;
            std::future::poll_fn(move |_| {
                polls += 1;
                if polls == 1 { Poll::Pending } else { Poll::Ready(Ok::<_, ()>(loaded(1, times))) }
            })
        };
        let key = tee();
        let mut leads = pin!(world.front.read(&key, || load("one", &first)));
        let mut waits = pin!(world.front.read(&key, || load("two", &second)));
        assert!(leads.as_mut().poll(&mut context()).is_pending());
        assert!(waits.as_mut().poll(&mut context()).is_pending());
        let Poll::Ready(Ok(Some(one))) = leads.as_mut().poll(&mut context()) else { panic!() };
        let Poll::Ready(Ok(Some(two))) = waits.as_mut().poll(&mut context()) else { panic!() };
        assert_eq!((&*one, &*two), (&b"one"[..], &b"one"[..]));
        let loaded = |times: &AtomicI64| times.load(Ordering::Relaxed);
        assert_eq!((loaded(&first), loaded(&second)), (1, 0));
        assert_eq!(world.front.stats().joined, 1);
    }

    #[test]
    fn who_hangs_up_leaves_the_load_to_the_next() {
        let world = World::new();
        let key = tee();
        let never = || std::future::pending::<Result<Loaded, ()>>();
        let mut gone = Box::pin(world.front.read(&key, never));
        assert!(gone.as_mut().poll(&mut context()).is_pending());
        let load = async || Ok::<_, ()>(loaded(1, "tee"));
        let mut waits = pin!(world.front.read(&key, load));
        assert!(waits.as_mut().poll(&mut context()).is_pending());
        drop(gone);
        let Poll::Ready(Ok(Some(found))) = waits.as_mut().poll(&mut context()) else { panic!() };
        assert_eq!(&*found, b"tee");
    }
}
