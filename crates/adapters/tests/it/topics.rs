//! Topics of a real Kafka as the source of a consumer: whatever the group, the topics and their offsets do,
//! each event has one effect.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jangbu_adapters::kafka::{Settings, Source};
use jangbu_engine::clock::{Clock, SystemClock};
use jangbu_engine::port::{Backend, Fault, Store, WritePlan};
use jangbu_kernel::Time;
use jangbu_services::consumer;
use jangbu_services::events::Fact;
use jangbu_store::Memory;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};

use crate::kafka::{AtWork, commit, kafka, settings};

/// Writes down which events it takes in.
struct Counter(Arc<Mutex<Vec<i64>>>);

impl consumer::Consumer for Counter {
    fn number(&self) -> i64 {
        consumer::BESTSELLER
    }

    fn wants(&self, topic: &str) -> bool {
        topic == "order.completed"
    }

    fn load(&mut self, _store: &mut dyn Store) -> Result<(), Fault> {
        Ok(())
    }

    fn take(&mut self, event: &consumer::Delivered, _plan: &mut WritePlan) -> Result<i64, Fault> {
        assert!(Fact::decode(&event.payload).is_ok() && event.correlation.is_some());
        self.0.lock().unwrap().push(event.seq);
        Ok(0)
    }

    fn finish(&mut self, _work: &mut consumer::Work<'_>) -> Result<(), Fault> {
        Ok(())
    }
}

/// The time of the events: nothing is overdue.
#[derive(Debug)]
struct Then;

impl Clock for Then {
    fn now(&self) -> Time {
        Time(1_795_000_000_000_000)
    }
}

/// A consumer of a topic at work, as a member of `group`.
fn consuming(
    (truth, derived): (&Memory, &Arc<dyn Backend>),
    settings: &Settings,
    group: &str,
    seen: &Arc<Mutex<Vec<i64>>>,
) -> consumer::Running {
    consuming_at(Arc::new(Then), (truth, derived), (settings, group), seen)
}

fn consuming_at(
    clock: Arc<dyn Clock>,
    (truth, derived): (&Memory, &Arc<dyn Backend>),
    (settings, group): (&Settings, &str),
    seen: &Arc<Mutex<Vec<i64>>>,
) -> consumer::Running {
    let source = Source::new(settings, group, |topic| topic == "order.completed");
    let member = consumer::Member {
        consumer: Box::new(Counter(Arc::clone(seen))),
        source: Some(Box::new(source)),
    };
    let terms = consumer::Terms::alone(clock, None);
    consumer::Running::start(truth, Arc::clone(derived), terms, vec![member]).unwrap()
}

/// The events that were taken in, each once.
fn once(seen: &Mutex<Vec<i64>>) -> Vec<i64> {
    let mut once = seen.lock().unwrap().clone();
    once.sort_unstable();
    once
}

/// Waits until so many events were taken in.
fn await_taken(seen: &Mutex<Vec<i64>>, count: usize) {
    while seen.lock().unwrap().len() < count {
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The numbers of the events that complete so many orders.
fn completed(orders: i64) -> Vec<i64> {
    (1..=orders).map(|order| 3 * order).collect()
}

/// Where a consumer stands is said by its rows: rows that were lost are made anew from the topic's
/// beginning, whatever offsets the group has.
#[test]
fn a_whole_topic_again_has_no_effect() {
    let shared = kafka();
    let (truth, settings) = (Memory::new(), settings(&shared.kafka, "replay."));
    let last = commit(&truth, 1..201);
    for _ in 0..2 {
        // The second begins without a place: everything is in the topic twice.
        let work = AtWork::start(&truth, settings.clone());
        work.await_kept(last);
        work.stop();
    }
    for group in ["replay-1", "replay-1", "replay-2"] {
        let (derived, seen): (Arc<dyn Backend>, _) = (Arc::new(Memory::new()), Arc::default());
        let running = consuming((&truth, &derived), &settings, group, &seen);
        await_taken(&seen, 200);
        while running.handle().progress().repeats() < 200 {
            std::thread::sleep(Duration::from_millis(10));
        }
        let handle = running.handle();
        running.stop().unwrap();
        assert_eq!(once(&seen), completed(200), "{group}");
        assert_eq!(handle.floor(), last, "the outbox is needed no more");
    }
}

/// Another member of the group takes some of the partitions, moves their offsets to the end, and leaves.
#[test]
fn a_member_that_comes_and_goes_and_moves_offsets_changes_nothing() {
    let shared = kafka();
    let (truth, settings) = (Memory::new(), settings(&shared.kafka, "members."));
    let derived: Arc<dyn Backend> = Arc::new(Memory::new());
    let seen = Arc::new(Mutex::new(Vec::new()));
    let work = AtWork::start(&truth, settings.clone());
    work.await_kept(commit(&truth, 1..101));
    let running = consuming((&truth, &derived), &settings, "members", &seen);
    await_taken(&seen, 100);
    let other: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &settings.bootstrap)
        .set("group.id", "members")
        .set("partition.assignment.strategy", "cooperative-sticky")
        .create()
        .unwrap();
    let topic = settings.topic("order.completed");
    other.subscribe(&[&topic]).unwrap();
    let mut taken = 0;
    let mut last = 100;
    while taken < 20 {
        // What it gets of these is lost to it.
        work.await_kept(commit(&truth, last + 1..last + 21));
        work.ring();
        last += 20;
        while let Some(polled) = other.poll(Duration::from_millis(200)) {
            taken += usize::from(polled.is_ok());
        }
    }
    // What it has read is committed as its offsets, at the latest when it leaves.
    drop(other);
    let wanted = completed(last);
    await_taken(&seen, wanted.len());
    running.stop().unwrap();
    assert_eq!(once(&seen), wanted);
    work.stop();
}

/// Topics were made anew, and have other events where the consumer stands: it misses some, and the outbox
/// keeps what is missing until somebody looks there.
#[test]
fn what_topics_have_lost_is_taken_from_the_outbox() {
    let shared = kafka();
    let (truth, old) = (Memory::new(), settings(&shared.kafka, "old."));
    let (derived, seen): (Arc<dyn Backend>, _) = (Arc::new(Memory::new()), Arc::default());
    let work = AtWork::start(&truth, old.clone());
    work.await_kept(commit(&truth, 1..31));
    work.stop();
    let running = consuming((&truth, &derived), &old, "lost", &seen);
    await_taken(&seen, 30);
    running.stop().unwrap();
    let new = Settings { prefix: "new.".to_owned(), ..old };
    let work = AtWork::start_behind(&truth, new.clone(), 90);
    let last = commit(&truth, 31..331);
    work.await_kept(last);
    work.stop();
    let running = consuming((&truth, &derived), &new, "lost", &seen);
    await_taken(&seen, 200);
    let handle = running.handle();
    running.stop().unwrap();
    let missing = completed(330).into_iter().find(|seq| !seen.lock().unwrap().contains(seq));
    assert!(handle.floor() < missing.expect("the first of each partition are not read"));
    // Long afterwards.
    let clock = Arc::new(SystemClock);
    let running = consuming_at(clock, (&truth, &derived), (&new, "lost"), &seen);
    await_taken(&seen, 330);
    running.stop().unwrap();
    assert_eq!(once(&seen), completed(330));
}
