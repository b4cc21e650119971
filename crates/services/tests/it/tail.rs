//! The tail of the outbox: from the head on, in order, every event once, and a gap is told as one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jangbu_engine::books::{OUTBOX, SHARD};
use jangbu_engine::clock::{Clock as _, SystemClock};
use jangbu_engine::port::{Backend, Fault, Mode, Reader, Store, WritePlan};
use jangbu_services::tail::{Event, Follower, Place, Tail};
use jangbu_store::Memory;
use parking_lot::Mutex;

type Said = Arc<Mutex<Vec<String>>>;

/// Writes down what it hears of products.
struct Notes(Said);

impl Follower for Notes {
    fn topics(&self) -> &'static [&'static str] {
        &["product.changed"]
    }

    fn take(&mut self, event: &Event<'_>) {
        let Event { seq, topic, key, payload } = event;
        self.0.lock().push(format!("{seq} {topic} {key} {}", payload.len()));
    }

    fn reached(&mut self, place: i64) {
        let mut said = self.0.lock();
        let line = format!("reached {place}");
        if said.last() != Some(&line) {
            said.push(line);
        }
    }

    fn missed(&mut self, place: i64) {
        self.0.lock().push(format!("missed {place}"));
    }
}

/// A store whose readers can be taken away.
#[derive(Debug)]
struct Shaky {
    memory: Memory,
    gone: Arc<AtomicBool>,
}

impl Backend for Shaky {
    fn with(&self, body: &mut dyn FnMut(&mut dyn Store)) -> Result<(), Fault> {
        self.memory.with(body)
    }

    fn reader(&self) -> Result<Box<dyn Reader>, Fault> {
        let (reader, gone) = (self.memory.reader()?, Arc::clone(&self.gone));
        Ok(Box::new(Far { reader, gone }))
    }
}

struct Far {
    reader: Box<dyn Reader>,
    gone: Arc<AtomicBool>,
}

impl Reader for Far {
    fn read(
        &mut self,
        plan: &jangbu_engine::port::ReadPlan,
        each: &mut jangbu_engine::port::Each<'_>,
    ) -> Result<(), Fault> {
        if self.gone.load(Ordering::Relaxed) {
            return Err(Fault::Transient("gone".to_owned()));
        }
        self.reader.read(plan, each)
    }

    fn walk(
        &mut self,
        walks: &[jangbu_engine::port::Walk],
        each: &mut jangbu_engine::port::Each<'_>,
    ) -> Result<(), Fault> {
        self.reader.walk(walks, each)
    }
}

struct World {
    memory: Memory,
    gone: Arc<AtomicBool>,
    said: Said,
    place: Arc<Place>,
}

impl World {
    /// A store with `events` events.
    fn new(events: i64) -> Self {
        let world = Self {
            memory: Memory::new(),
            gone: Arc::default(),
            said: Arc::default(),
            place: Arc::default(),
        };
        world.write(|plan| {
            let mut shard = plan.row(&SHARD, Mode::Insert);
            shard.int(0).int(0).int(events).int(0).int(0).blob(&[7; 16]).int(0).int(0).int(1);
        });
        world
    }

    fn write(&self, rows: impl Fn(&mut WritePlan)) {
        let mut body = |store: &mut dyn Store| {
            let (mut tx, mut plan) = (store.begin().unwrap(), WritePlan::default());
            rows(&mut plan);
            tx.write(&plan).unwrap();
            tx.commit().unwrap();
        };
        self.memory.with(&mut body).unwrap();
    }

    fn publish(&self, events: &[(i64, &str, i64)]) {
        self.write(|plan| {
            for (seq, topic, key) in events {
                let mut row = plan.row(&OUTBOX, Mode::Insert);
                row.int(*seq).int(1).int(0).text(topic).int(*key).int(1);
                row.opt_text(None).blob(b"xy").opt_text(None);
            }
        });
    }

    fn follow(&self) -> Tail {
        let store = Shaky { memory: self.memory.clone(), gone: Arc::clone(&self.gone) };
        let notes = Box::new(Notes(Arc::clone(&self.said)));
        let place = Arc::clone(&self.place);
        Tail::follow(Arc::new(store), Arc::new(SystemClock), place, vec![notes]).unwrap()
    }

    #[expect(clippy::disallowed_methods, reason = "the tail is a thread of its own")]
    fn until(&self, what: &str, wanted: impl Fn() -> bool) {
        let start = Instant::now();
        while !wanted() {
            assert!(start.elapsed() < Duration::from_secs(20), "{what}: {:?}", self.said.lock());
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

#[test]
fn it_begins_at_the_head_and_hands_over_what_is_wanted_in_order() {
    let world = World::new(2);
    world.publish(&[(1, "product.changed", 7), (2, "product.changed", 8)]);
    let tail = world.follow();
    assert_eq!((world.place.seq(), world.place.sees(SystemClock.now())), (2, true));
    world.publish(&[(3, "order.placed", 1), (4, "product.changed", 9), (5, "order.completed", 1)]);
    world.until("the fifth", || world.place.seq() == 5);
    drop(tail);
    world.publish(&[(6, "product.changed", 9)]);
    let said = world.said.lock().clone();
    assert_eq!(said, ["reached 2", "4 product.changed 9 2", "reached 5"]);
}

#[test]
fn what_was_trimmed_before_it_was_read_is_told_as_missed() {
    let world = World::new(0);
    let _tail = world.follow();
    world.publish(&[(10, "product.changed", 1)]);
    world.until("the tenth", || world.place.seq() == 10);
    let said = world.said.lock().clone();
    assert_eq!(said, ["reached 0", "missed 9", "10 product.changed 1 2", "reached 10"]);
}

#[test]
fn a_store_that_cannot_be_read_leaves_it_where_it_is() {
    let world = World::new(0);
    let _tail = world.follow();
    world.gone.store(true, Ordering::Relaxed);
    world.publish(&[(1, "product.changed", 1)]);
    let looked = SystemClock.now();
    world.until("blind", || !world.place.sees(SystemClock.now()));
    assert_eq!(world.place.seq(), 0);
    assert!(SystemClock.now() > looked);
    world.gone.store(false, Ordering::Relaxed);
    world.until("the first", || world.place.seq() == 1);
    assert!(world.place.sees(SystemClock.now()));
}
