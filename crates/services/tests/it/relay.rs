//! The relay against a publisher that loses, repeats, refuses, delays and dies: nothing is lost,
//! nothing is left out, and each key stays in order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use jangbu_engine::books::{OUTBOX, SHARD};
use jangbu_engine::breaker::BreakerState;
use jangbu_engine::port::{Backend, Fault, Mode, WritePlan};
use jangbu_engine::role::{Role, Standing};
use jangbu_kernel::Time;
use jangbu_kernel::time::Span;
use jangbu_services::consumer::Written;
use jangbu_services::events::{DEAD, Fact, Record};
use jangbu_services::projections::Projections;
use jangbu_services::relay::{
    self, Ack, Bell, Place, Publisher, Relay, Rules, Running, Sent, Step,
};
use jangbu_store::{Memory, On};
use parking_lot::Mutex;
use proptest::prelude::*;

use crate::rig::{Hand, START, cases};

/// Partitions of the broker.
const PARTITIONS: usize = 3;

/// What a broker has, and what is on its way to it.
#[derive(Debug, Default)]
struct Broker {
    /// By partition: events as they were stored.
    log: [Vec<i64>; PARTITIONS],
    /// By producer and partition: what is on its way. Only the last producer hears of it.
    on_way: Vec<[VecDeque<i64>; PARTITIONS]>,
    acks: Vec<Ack>,
    topics: BTreeMap<i64, &'static str>,
    away: bool,
    full: bool,
    refused: BTreeSet<i64>,
    /// Dead letters are refused, too.
    buried: bool,
    prepared: u64,
}

impl Broker {
    /// Stores the next of what producer `at` has on its way to a partition.
    fn store(&mut self, producer: usize, partition: usize) {
        if self.away {
            return;
        }
        let last = producer + 1 == self.on_way.len();
        let Some(seq) = self.on_way[producer][partition].pop_front() else { return };
        self.log[partition].push(seq);
        if last {
            self.acks.push(Ack { seq, at: Time(START), result: Ok(()) });
        }
    }

    fn store_all(&mut self) {
        for partition in 0..PARTITIONS {
            let last = self.on_way.len() - 1;
            while !self.away && !self.on_way[last][partition].is_empty() {
                self.store(last, partition);
            }
        }
    }

    fn fail(&mut self) {
        self.acks.push(Ack { seq: 0, at: Time(START), result: Err("it failed".to_owned()) });
    }

    /// The events of a partition as who reads it sees them: repeats are known by their number.
    fn seen(&self, partition: usize) -> Vec<i64> {
        let mut seen = BTreeSet::new();
        self.log[partition].iter().copied().filter(|seq| seen.insert(*seq)).collect()
    }
}

/// The way to a broker.
#[derive(Debug)]
struct Post(Arc<Mutex<Broker>>);

impl Post {
    fn to(broker: &Arc<Mutex<Broker>>) -> Box<dyn Publisher> {
        broker.lock().on_way.push(Default::default());
        Box::new(Self(Arc::clone(broker)))
    }
}

impl Publisher for Post {
    fn prepare(&mut self) -> Result<(), String> {
        let mut broker = self.0.lock();
        broker.prepared += 1;
        if broker.away { Err("it is away".to_owned()) } else { Ok(()) }
    }

    fn send(&mut self, record: &Record) -> Sent {
        let mut broker = self.0.lock();
        if broker.full {
            return Sent::Full;
        }
        let dead = record.topic.name == DEAD.name;
        if broker.refused.contains(&record.seq) && (!dead || broker.buried) {
            return Sent::Refused("it is too large".to_owned());
        }
        broker.topics.insert(record.seq, record.topic.name);
        let partition = record.key.bytes().map(usize::from).sum::<usize>() % PARTITIONS;
        broker.on_way.last_mut().unwrap()[partition].push_back(record.seq);
        Sent::Taken
    }

    fn acks(&mut self, each: &mut dyn FnMut(Ack)) {
        std::mem::take(&mut self.0.lock().acks).into_iter().for_each(each);
    }

    fn reset(&mut self) {
        let mut broker = self.0.lock();
        broker.acks.clear();
        broker.on_way.push(Default::default());
    }
}

/// Writes `count` more events of eight orders into an outbox, some of them internal.
fn commit(truth: &Memory, last: &mut i64, count: i64) {
    let mut plan = WritePlan::default();
    for seq in *last + 1..=*last + count {
        let fact = if seq % 7 == 0 {
            Fact::OrderAdvanced { from: "HOLDING", to: "PAYING", why: "" }
        } else {
            Fact::OrderCompleted { user: 1, total: seq, currency: "KRW" }
        };
        plan.row(&OUTBOX, Mode::Insert)
            .int(seq)
            .int(1)
            .int(START + seq)
            .text(fact.topic())
            .int(1 + seq % 8)
            .int(seq)
            .opt_text(None)
            .blob(&postcard::to_stdvec(&fact).unwrap())
            .opt_text(None);
    }
    *last += count;
    write(truth, &plan);
}

fn write(backend: &Memory, plan: &WritePlan) {
    backend
        .with(&mut |store| {
            let mut tx = store.begin().unwrap();
            tx.write(plan).unwrap();
            tx.commit().unwrap();
        })
        .unwrap();
}

/// Says that the outbox begins behind `trimmed`.
fn trim(truth: &Memory, trimmed: i64) {
    let mut plan = WritePlan::default();
    plan.row(&SHARD, Mode::Upsert)
        .int(0)
        .int(1)
        .int(0)
        .int(0)
        .int(0)
        .blob(&[])
        .int(trimmed)
        .int(0)
        .int(1);
    for seq in 1..=trimmed {
        plan.row(&OUTBOX, Mode::Delete).int(seq);
    }
    write(truth, &plan);
}

const RULES: Rules = Rules {
    window: 20,
    batch: 8,
    silence: Span::secs(5),
    shortest: Span::millis(100),
    longest: Span::secs(10),
    breaker: jangbu_engine::breaker::BreakerRules {
        bucket: Span::secs(1),
        buckets: 10,
        min_calls: 1,
        failure_percent: 50,
        slow: None,
        open_for: Span::secs(2),
        probes: 1,
        closes_after: 1,
        patience: Span::secs(30),
    },
};

/// Where the place is kept, and what is on its way there.
#[derive(Default)]
struct Shelf {
    kept: Option<i64>,
    asked: Option<(i64, Written)>,
}

/// A relay with its world; what dies with it is made anew by [`World::crash`].
struct World {
    shelf: Arc<Mutex<Shelf>>,
    truth: Memory,
    last: i64,
    broker: Arc<Mutex<Broker>>,
    place: Arc<Place>,
    relay: Relay,
    now: Time,
}

impl World {
    fn new() -> Self {
        let (truth, broker, shelf) = (Memory::new(), Arc::default(), Arc::default());
        let place = place(&shelf);
        let relay = begin(&truth, &broker, &place);
        Self { shelf, truth, last: 0, broker, place, relay, now: Time(START) }
    }

    fn commit(&mut self, count: i64) {
        commit(&self.truth, &mut self.last, count);
    }

    fn step(&mut self) -> Step {
        self.now = self.now + Span::millis(20);
        self.relay.step(self.now).unwrap()
    }

    /// What the projector does, or fails to do.
    fn keep(&self, works: bool) {
        let asked = self.shelf.lock().asked.take();
        if let Some((seq, written)) = asked {
            if works {
                self.shelf.lock().kept = Some(seq);
            }
            written(if works { Ok(()) } else { Err(Fault::Transient("busy".to_owned())) });
        }
    }

    fn kept(&self) -> i64 {
        self.shelf.lock().kept.unwrap_or(0)
    }

    /// Everything in memory is gone; what was on its way may still arrive.
    fn crash(&mut self) {
        self.broker.lock().acks.clear();
        self.shelf.lock().asked = None;
        self.place = place(&self.shelf);
        self.relay = begin(&self.truth, &self.broker, &self.place);
    }

    fn heal(&mut self) {
        let mut broker = self.broker.lock();
        (broker.away, broker.full) = (false, false);
    }

    /// Steps until everything is published, and kept.
    fn drain(&mut self) {
        self.heal();
        for _ in 0..10_000 {
            let step = self.step();
            self.broker.lock().store_all();
            self.keep(true);
            if step == Step::Idle && self.kept() == self.last {
                assert_eq!(self.place.kept(), Some(self.last));
                return;
            }
        }
        panic!("it does not come to an end: {:?} {:?}", self.relay, self.broker.lock());
    }

    fn assert_published(&self) {
        let broker = self.broker.lock();
        let mut all = BTreeSet::new();
        for partition in 0..PARTITIONS {
            let seen = broker.seen(partition);
            assert!(seen.is_sorted(), "partition {partition}: {:?}", broker.log[partition]);
            all.extend(seen);
        }
        let wanted: BTreeSet<_> = (1..=self.last).filter(|seq| seq % 7 != 0).collect();
        assert_eq!(all, wanted);
    }
}

fn place(shelf: &Arc<Mutex<Shelf>>) -> Arc<Place> {
    let (found, shelf) = (Arc::clone(shelf), Arc::clone(shelf));
    let read = move || Ok(found.lock().kept);
    let write = move |seq, written| shelf.lock().asked = Some((seq, written));
    Arc::new(Place::new(Box::new(read), Box::new(write)))
}

fn begin(truth: &Memory, broker: &Arc<Mutex<Broker>>, place: &Arc<Place>) -> Relay {
    Relay::new(Arc::new(truth.clone()), Post::to(broker), Arc::clone(place), RULES)
}

/// What happens next.
#[derive(Debug, Clone)]
enum Turn {
    Commit(i64),
    Step,
    Store { producer: usize, partition: usize },
    Keep(bool),
    Fail,
    Away(bool),
    Full(bool),
    Pass(i64),
    Read(Fault),
    Crash,
}

fn turn() -> impl Strategy<Value = Turn> {
    prop_oneof![
        4 => (1..12_i64).prop_map(Turn::Commit),
        8 => Just(Turn::Step),
        12 => (0..64_usize, 0..PARTITIONS)
            .prop_map(|(producer, partition)| Turn::Store { producer, partition }),
        3 => any::<bool>().prop_map(Turn::Keep),
        1 => Just(Turn::Fail),
        1 => any::<bool>().prop_map(Turn::Away),
        1 => any::<bool>().prop_map(Turn::Full),
        1 => (1..20_i64).prop_map(Turn::Pass),
        1 => Just(Turn::Read(Fault::Transient("busy".to_owned()))),
        1 => Just(Turn::Crash),
    ]
}

fn take(world: &mut World, turn: Turn) {
    match turn {
        Turn::Commit(count) => world.commit(count),
        Turn::Step => drop(world.step()),
        Turn::Store { producer, partition } => {
            let mut broker = world.broker.lock();
            // Most often the last producer: older ones are dead, and only their last words arrive.
            let producers = broker.on_way.len();
            let producer = if producer < 48 { producers - 1 } else { producer % producers };
            broker.store(producer, partition);
        }
        Turn::Keep(works) => world.keep(works),
        Turn::Fail => world.broker.lock().fail(),
        Turn::Away(away) => world.broker.lock().away = away,
        Turn::Full(full) => world.broker.lock().full = full,
        Turn::Pass(secs) => world.now = world.now + Span::secs(secs),
        Turn::Read(fault) => {
            world.truth.faults().fail(On::ReaderRead, 1, fault);
            world.now = world.now + Span::millis(20);
            let _ = world.relay.step(world.now);
            world.truth.faults().clear();
        }
        Turn::Crash => world.crash(),
    }
}

proptest! {
    #![proptest_config(cases(256))]

    /// Whatever fails, is refused, repeats, arrives late or dies.
    #[test]
    fn the_relay_loses_nothing_leaves_nothing_out_and_keeps_each_key_in_order(
        turns in prop::collection::vec(turn(), 1..200),
    ) {
        let mut world = World::new();
        for turn in turns {
            take(&mut world, turn);
            prop_assert!(world.kept() <= world.last);
        }
        world.commit(3);
        world.drain();
        world.assert_published();
    }
}

#[test]
fn the_place_moves_over_the_acknowledged_prefix_alone() {
    let mut world = World::new();
    world.commit(6);
    world.step();
    {
        let mut broker = world.broker.lock();
        // Two of three partitions answer.
        for partition in 1..PARTITIONS {
            for _ in 0..6 {
                broker.store(0, partition);
            }
        }
        assert!(broker.log[1].len() + broker.log[2].len() > 1, "{broker:?}");
    }
    world.keep(true);
    world.now = world.now + Span::secs(1);
    world.step();
    let waiting = world.broker.lock().on_way[0][0][0];
    world.keep(true);
    assert_eq!(world.kept(), waiting - 1);
    world.drain();
    world.assert_published();
    assert_eq!(world.relay.watch().sent(), 6, "nothing was sent twice");
}

/// Kafka away: seen by the silence, told, and over by itself.
#[test]
fn the_breaker_opens_when_nothing_is_acknowledged_and_closes_by_itself() {
    let mut world = World::new();
    let watch = world.relay.watch();
    world.commit(5);
    world.step();
    world.broker.lock().store_all();
    world.step();
    assert!(watch.is_up() && watch.finding().is_none());

    world.broker.lock().away = true;
    let mut steps = 0;
    while watch.is_up() {
        world.commit(1);
        world.step();
        steps += 1;
        assert!(steps < 1_000, "it does not notice");
    }
    assert!(watch.breaker().state == BreakerState::Open && watch.finding().is_some());
    let sent = watch.sent();
    for _ in 0..1_000 {
        world.commit(1);
        world.step();
    }
    assert_eq!(watch.sent(), sent, "nothing is handed over while it is away");
    assert!(world.broker.lock().prepared < 20, "and it is asked now and then, not all the time");

    world.drain();
    world.assert_published();
    assert!(watch.is_up() && watch.finding().is_none(), "{:?}", watch.finding());
    assert_eq!(watch.resets(), 0, "what was on its way arrived, and nothing was sent again");
}

/// A window that is full makes no further calls, so what went well before would outvote the silence.
#[test]
fn silence_is_noticed_however_much_went_well_before() {
    let mut world = World::new();
    let watch = world.relay.watch();
    for _ in 0..50 {
        world.commit(1);
        world.step();
        world.broker.lock().store_all();
        world.step();
    }
    world.broker.lock().away = true;
    world.commit(100);
    let begun = world.now;
    while watch.is_up() {
        world.step();
        assert!(world.now - begun < Span(RULES.silence.0 + 1_000_000), "it does not notice");
    }
    assert!(watch.in_flight() > 0 && watch.finding().is_some());
    world.drain();
    world.assert_published();
    assert!(watch.is_up());
}

#[test]
fn an_event_that_is_refused_for_ever_is_a_dead_letter_and_keeps_nobody_back() {
    let mut world = World::new();
    world.broker.lock().refused.insert(3);
    world.commit(10);
    world.drain();
    world.assert_published();
    assert_eq!(world.broker.lock().topics[&3], DEAD.name);
    assert_eq!(world.relay.watch().dead(), 1);
}

/// Nothing goes past it, so publishing does not work, whatever the breaker says.
#[test]
fn a_dead_letter_that_is_refused_stops_everything_and_is_told_until_it_is_taken() {
    let mut world = World::new();
    let watch = world.relay.watch();
    world.broker.lock().refused.insert(3);
    world.broker.lock().buried = true;
    world.commit(10);
    for _ in 0..1_000 {
        world.step();
        world.broker.lock().store_all();
    }
    assert_eq!((watch.sent(), watch.breaker().state), (2, BreakerState::Closed));
    let finding = watch.finding().unwrap_or_default();
    assert!(!watch.is_up() && finding.contains("of event 3 is refused"), "{finding}");

    world.broker.lock().buried = false;
    world.drain();
    world.assert_published();
    assert!(watch.is_up() && watch.finding().is_none(), "{:?}", watch.finding());
}

/// What was on its way before the silence was noticed says nothing about now.
#[test]
fn an_acknowledgement_from_before_an_outage_does_not_hide_why_it_is_down() {
    let mut world = World::new();
    let watch = world.relay.watch();
    world.commit(5);
    world.step();
    world.now = world.now + RULES.silence;
    world.step();
    assert!(!watch.is_up());
    world.broker.lock().store_all();
    world.broker.lock().away = true;
    world.step();
    assert_eq!((watch.acked(), watch.breaker().state), (5, BreakerState::Open));
    assert!(watch.finding().is_some());
}

#[test]
fn a_gap_in_the_outbox_is_a_fault_and_not_an_end() {
    let mut world = World::new();
    world.commit(5);
    let mut plan = WritePlan::default();
    plan.row(&OUTBOX, Mode::Delete).int(3);
    write(&world.truth, &plan);
    let stepped = world.relay.step(world.now);
    assert!(matches!(stepped, Err(Fault::Fatal(_))), "{stepped:?}");
    assert_eq!(world.relay.watch().sent(), 0);
}

#[test]
fn what_was_trimmed_while_nobody_published_is_counted() {
    let mut world = World::new();
    world.commit(10);
    world.drain();
    world.commit(10);
    trim(&world.truth, 15);
    world.crash();
    world.step();
    assert_eq!(world.relay.watch().missed(), 5);
    // One that never published begins with what is there.
    *world.shelf.lock() = Shelf::default();
    world.place = place(&world.shelf);
    world.relay = begin(&world.truth, &world.broker, &world.place);
    world.drain();
    assert_eq!(world.relay.watch().missed(), 0);
}

/// With its threads: the projector keeps the place, and who comes after goes on from there.
#[test]
fn a_relay_that_is_started_again_goes_on_where_it_was() {
    let (truth, broker) = (Memory::new(), Arc::<Mutex<Broker>>::default());
    let derived: Arc<dyn Backend> = Arc::new(Memory::new());
    let mut last = 0;
    for round in 1..=3_i64 {
        let (bell, clock) = (Arc::new(Bell::default()), Arc::new(Hand::at(START)));
        let projections = Projections::follow(&truth, Arc::clone(&derived), clock.clone());
        let projections = projections.unwrap();
        let place = Arc::new(Place::of(Arc::clone(&derived), projections.handle()));
        let relay = begin(&truth, &broker, &place);
        let standing = Arc::new(Standing::default());
        let running = Running::start(relay, clock, Arc::clone(&bell), Arc::clone(&standing));
        let running = running.unwrap();
        standing.set(Role::Owner { epoch: round });
        commit(&truth, &mut last, 30);
        bell.ring();
        while place.kept() != Some(last) {
            broker.lock().store_all();
            std::thread::yield_now();
        }
        running.stop();
        projections.stop().unwrap();
        assert_eq!(relay::stored(&*derived), Ok(Some(last)), "round {round}");
    }
    let stored: usize = broker.lock().log.iter().map(Vec::len).sum();
    assert_eq!(stored, (1..=last).filter(|seq| seq % 7 != 0).count(), "nothing came twice");
    relay::store(&*derived, 40).unwrap();
    assert_eq!(relay::stored(&*derived), Ok(Some(40)));
}
