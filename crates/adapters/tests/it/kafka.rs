//! The relay and a real Kafka: every event of the outbox is in its topic, in order and as it should
//! be, also when the broker was away meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};
use std::time::Duration;

use jangbu_adapters::kafka::{Producer, Settings};
use jangbu_cluster::Kafka;
use jangbu_engine::books::OUTBOX;
use jangbu_engine::breaker::BreakerState;
use jangbu_engine::clock::SystemClock;
use jangbu_engine::port::{Backend, By, Mode, Read, WritePlan};
use jangbu_engine::role::{Role, Standing};
use jangbu_kernel::time::Span;
use jangbu_services::consumer::Running as Projecting;
use jangbu_services::events::{DEAD, Fact, PUBLISHED, Record, Row, Taken};
use jangbu_services::projections::Projections;
use jangbu_services::relay::{Bell, Place, Publisher, Relay, Rules, Running, store};
use jangbu_store::Memory;
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};

/// A Kafka that all tests share, each with topics of its own; it ends with the last of them.
pub(crate) struct Shared {
    pub(crate) kafka: Kafka,
    _dir: tempfile::TempDir,
}

pub(crate) fn kafka() -> Arc<Shared> {
    static SHARED: OnceLock<Mutex<Weak<Shared>>> = OnceLock::new();
    let mut shared =
        SHARED.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    shared.upgrade().unwrap_or_else(|| {
        let dir = tempfile::tempdir().unwrap();
        let kafka = Kafka::start(dir.path(), 1).unwrap();
        let started = Arc::new(Shared { kafka, _dir: dir });
        *shared = Arc::downgrade(&started);
        started
    })
}

pub(crate) fn settings(kafka: &Kafka, prefix: &str) -> Settings {
    Settings { prefix: prefix.to_owned(), ..Settings::at(kafka.bootstrap()) }
}

/// What an order that is paid at once leaves in the outbox.
fn facts(order: i64) -> [Fact<'static>; 3] {
    let currency = "KRW";
    let lines = vec![(1_000 + order % 10, 1, 12_000, "m-1")];
    [
        Fact::OrderPlaced { user: 1 + order % 100, total: 12_000, currency, lines },
        Fact::PaymentCaptured { seq: 1, amount: 12_000, currency },
        Fact::OrderCompleted { user: 1 + order % 100, total: 12_000, currency },
    ]
}

/// Writes the events of orders into an outbox, and gives the number of the last one.
pub(crate) fn commit(truth: &Memory, orders: std::ops::Range<i64>) -> i64 {
    let mut plan = WritePlan::default();
    let mut seq = 3 * (orders.start - 1);
    for order in orders {
        for (fact, version) in facts(order).iter().zip(1..) {
            seq += 1;
            plan.row(&OUTBOX, Mode::Insert)
                .int(seq)
                .int(order)
                .int(1_795_000_000_000_000 + seq)
                .text(fact.topic())
                .int(order)
                .int(version)
                .text(&format!("corr-{order}"))
                .blob(&postcard::to_stdvec(fact).unwrap())
                .opt_text(None);
        }
    }
    truth
        .with(&mut |store| {
            let mut tx = store.begin().unwrap();
            tx.write(&plan).unwrap();
            tx.commit().unwrap();
        })
        .unwrap();
    seq
}

/// A relay at work on `truth`.
pub(crate) struct AtWork {
    pub(crate) relay: Running,
    pub(crate) place: Arc<Place>,
    bell: Arc<Bell>,
    projections: Projecting,
}

impl AtWork {
    pub(crate) fn start(truth: &Memory, settings: Settings) -> Self {
        Self::start_behind(truth, settings, 0)
    }

    /// A relay that has published everything up to `place`.
    pub(crate) fn start_behind(truth: &Memory, settings: Settings, place: i64) -> Self {
        let clock = Arc::new(SystemClock);
        let derived: Arc<dyn Backend> = Arc::new(Memory::new());
        store(&*derived, place).unwrap();
        let projections = Projections::follow(truth, Arc::clone(&derived), clock.clone()).unwrap();
        let place = Arc::new(Place::of(derived, projections.handle()));
        let publisher = Box::new(Producer::new(settings, clock.clone()));
        let rules = Rules { silence: Span::millis(500), ..Rules::default() };
        let relay = Relay::new(Arc::new(truth.clone()), publisher, Arc::clone(&place), rules);
        let bell = Arc::new(Bell::default());
        let standing = Arc::new(Standing::default());
        standing.set(Role::Owner { epoch: 1 });
        let relay = Running::start(relay, clock, Arc::clone(&bell), standing).unwrap();
        Self { relay, place, bell, projections }
    }

    pub(crate) fn ring(&self) {
        self.bell.ring();
    }

    /// Waits until everything up to `seq` is published, and kept.
    pub(crate) fn await_kept(&self, seq: i64) {
        while self.place.kept() < Some(seq) {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn stop(self) {
        self.relay.stop();
        self.projections.stop().unwrap();
    }
}

/// A record as a reader of a topic gets it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Got {
    topic: String,
    key: String,
    value: Vec<u8>,
    headers: Vec<(String, String)>,
}

/// Reads all topics of `settings` from their beginning until it has seen `count` different events;
/// gives every record, repeats included, each partition in its order.
fn read_back(settings: &Settings, count: usize) -> Vec<(i64, Got)> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &settings.bootstrap)
        .set("group.id", format!("{}back", settings.prefix))
        .set("auto.offset.reset", "earliest")
        .create()
        .unwrap();
    let names: Vec<_> = PUBLISHED.iter().map(|topic| settings.topic(topic.name)).collect();
    consumer.subscribe(&names.iter().map(String::as_str).collect::<Vec<_>>()).unwrap();
    let (mut seen, mut all) = (BTreeSet::new(), Vec::new());
    while seen.len() < count {
        let Some(polled) = consumer.poll(Duration::from_millis(200)) else { continue };
        let message = polled.unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let headers = message.headers().unwrap().iter();
        let headers: Vec<_> =
            headers.map(|header| (header.key.to_owned(), text(header.value.unwrap()))).collect();
        let seq = headers[0].1.parse().unwrap();
        seen.insert(seq);
        let got = Got {
            topic: message.topic().to_owned(),
            key: text(message.key().unwrap()),
            value: message.payload().unwrap().to_vec(),
            headers,
        };
        all.push((seq, got));
    }
    all
}

/// The records of an outbox.
fn outbox(truth: &Memory) -> BTreeMap<i64, Record> {
    let mut records = BTreeMap::new();
    let (from, to) = ([1, 0, 0], [i64::MAX; 3]);
    let by = By::Range { from, to, descending: false, limit: u32::MAX };
    let mut reader = truth.reader().unwrap();
    reader
        .read(&[Read { table: &OUTBOX, by }], &mut |_, row| {
            let record = Row::of(row).record().unwrap();
            records.insert(record.seq, record);
        })
        .unwrap();
    records
}

/// Asserts that what was read is what the outbox has, one to one, with each key in order.
fn assert_same(settings: &Settings, truth: &Memory, got: &[(i64, Got)]) {
    let wanted = outbox(truth);
    let mut first = BTreeMap::new();
    let mut last: BTreeMap<(&str, &str), i64> = BTreeMap::new();
    for (seq, got) in got {
        if first.insert(*seq, got).is_none() {
            let before = last.insert((&got.topic, &got.key), *seq);
            assert!(before < Some(*seq), "{} of {} came before {seq}", got.topic, got.key);
        }
    }
    assert_eq!(first.len(), wanted.len());
    for (seq, record) in &wanted {
        let got = first[seq];
        assert_eq!((&got.topic, &got.key), (&settings.topic(record.topic.name), &record.key));
        assert_eq!(got.value, record.value);
        let headers: Vec<_> =
            record.headers().map(|(name, value)| (name.to_owned(), value)).collect();
        assert_eq!(got.headers, headers);
        let taken = Taken::read(&got.value).unwrap();
        assert_eq!((taken.seq, taken.topic), (*seq, record.topic.name));
    }
}

/// Ten thousand orders, and the broker is away for a while in the middle of it.
#[test]
fn every_event_is_in_its_topic_also_when_kafka_was_away_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let kafka = Kafka::start(dir.path(), 1).unwrap();
    let (truth, settings) = (Memory::new(), settings(&kafka, "orders."));
    let work = AtWork::start(&truth, settings.clone());
    let watch = work.relay.watch();
    commit(&truth, 1..4_001);
    work.ring();
    work.await_kept(3_000);

    kafka.stop(0);
    commit(&truth, 4_001..8_001);
    work.ring();
    while watch.is_up() {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(watch.finding().is_some());
    assert!(work.place.kept() < Some(24_000));

    kafka.start_again(0).unwrap();
    let last = commit(&truth, 8_001..10_001);
    work.ring();
    work.await_kept(last);
    assert_eq!(watch.breaker().state, BreakerState::Closed);
    work.stop();

    let got = read_back(&settings, 30_000);
    assert_same(&settings, &truth, &got);
}

/// A relay that is started again goes on; one whose place was lost publishes everything again, under
/// the same numbers.
#[test]
fn what_is_published_again_has_the_same_numbers_and_values() {
    let shared = kafka();
    let (truth, settings) = (Memory::new(), settings(&shared.kafka, "again."));
    let last = commit(&truth, 1..101);
    for _ in 0..2 {
        // The second begins without a place.
        let work = AtWork::start(&truth, settings.clone());
        work.await_kept(last);
        work.stop();
    }
    let got = read_back(&settings, 300);
    assert_same(&settings, &truth, &got);
}

#[test]
fn a_topic_with_too_few_partitions_is_told_and_stops_nothing() {
    let shared = kafka();
    let few = Settings { partitions: 2, ..settings(&shared.kafka, "few.") };
    let mut producer = Producer::new(few.clone(), Arc::new(SystemClock));
    producer.prepare().unwrap();
    assert_eq!(producer.complaint(), None, "two are what it was told to make");

    let wanted = Settings { partitions: 6, ..few };
    let mut producer = Producer::new(wanted, Arc::new(SystemClock));
    let mut prepared = producer.prepare();
    // What was made a moment ago is known to every part of the broker a moment later.
    while producer.complaint().is_none() {
        prepared = producer.prepare();
    }
    assert_eq!(prepared, Ok(()));
    let complaint = producer.complaint().unwrap();
    assert!(complaint.contains("fewer than 6 partitions"), "{complaint}");
    assert!(complaint.contains("few.order.placed") && complaint.contains(DEAD.name), "{complaint}");
}

#[test]
fn settings_that_kafka_refuses_and_a_broker_that_is_not_there_are_told() {
    let wrong = Settings {
        properties: [("compression.type".to_owned(), "pigeon".to_owned())].into(),
        ..Settings::at("127.0.0.1:1")
    };
    assert!(!format!("{wrong:?}").contains("pigeon"), "a password may be among them");
    let told = Producer::new(wrong, Arc::new(SystemClock)).prepare().unwrap_err();
    assert!(told.contains("the settings of Kafka"), "{told}");
    let away = Settings::at("127.0.0.1:1");
    let told = Producer::new(away, Arc::new(SystemClock)).prepare().unwrap_err();
    assert!(told.contains("Kafka is away"), "{told}");
}
