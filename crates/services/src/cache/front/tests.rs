//! Tests of `front`.

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
        let found = match pin!(self.front.read(&tee(), 0, |_| load())).poll(&mut context()) {
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
            let done = || Poll::Ready(Ok::<_, ()>(loaded(1, times)));
            (polls > 1).then(done).unwrap_or(Poll::Pending)
        })
    };
    let key = tee();
    let mut leads = pin!(world.front.read(&key, 0, |_| load("one", &first)));
    let mut waits = pin!(world.front.read(&key, 0, |_| load("two", &second)));
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
    let never = |_| std::future::pending::<Result<Loaded, ()>>();
    let mut gone = Box::pin(world.front.read(&key, 0, never));
    assert!(gone.as_mut().poll(&mut context()).is_pending());
    let load = async || Ok::<_, ()>(loaded(1, "tee"));
    let mut waits = pin!(world.front.read(&key, 0, |_| load()));
    assert!(waits.as_mut().poll(&mut context()).is_pending());
    drop(gone);
    let Poll::Ready(Ok(Some(found))) = waits.as_mut().poll(&mut context()) else { panic!() };
    assert_eq!(&*found, b"tee");
}

#[test]
fn a_load_is_told_which_states_are_too_old_for_it() {
    let world = World::new();
    world.place.reach(9, Time(0));
    let told = |least: i64| {
        let told = AtomicI64::new(-1);
        let load = |from: i64| {
            told.store(from, Ordering::Relaxed);
            std::future::ready(Ok::<_, ()>(Loaded { number: 9, bytes: None }))
        };
        let read = pin!(world.front.read(&tee(), least, load)).poll(&mut context());
        assert!(matches!(read, Poll::Ready(Ok(None))));
        told.load(Ordering::Relaxed)
    };
    assert_eq!(told(0), 0);
    Invalidation::new(Arc::clone(&world.front)).reached(5);
    assert_eq!(told(0), 5, "of changes before the tail began nobody was told");
    world.hear("product.changed", 2, 8);
    assert_eq!(told(0), 5, "another product");
    world.hear("product.changed", 1, 9);
    assert_eq!(told(0), 9, "a change that is known");
    assert_eq!(told(8), 9);
}

#[test]
fn who_brings_a_position_gets_nothing_that_was_kept_before_it() {
    let world = World::new();
    assert_eq!(world.read(1, "kept"), "kept");
    let read = |least: i64| {
        let load = |_| std::future::ready(Ok::<_, ()>(loaded(7, "read")));
        match pin!(world.front.read(&tee(), least, load)).poll(&mut context()) {
            Poll::Ready(Ok(Some(found))) => String::from_utf8(found.to_vec()).unwrap(),
            _ => panic!("it waits"),
        }
    };
    assert_eq!(read(7), "read", "the tail has not come so far: who knows what has changed");
    world.place.reach(7, Time(0));
    assert_eq!(read(7), "kept", "it has, and nothing was said of the tee");
}
