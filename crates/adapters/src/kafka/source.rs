//! Topics of Kafka as the source of a consumer.
//!
//! ```text
//! topics ──group──▶ partitions that are this member's ──poll──▶ streams ──by number──▶ next
//!                      │ each from behind its own place             ▲
//!                      └ Kafka's offsets are only told              └ taken: what is behind the place goes
//! ```
//!
//! 1. *The consumer's own places decide*, which move with its rows. A partition that comes to this
//!    member is read from behind its place, or from its beginning. The offsets of the group are stored
//!    behind what was taken in, for whoever looks at Kafka: who resets them, or has them moved by
//!    another member, changes nothing.
//! 2. *What comes again is known* by the number of its event, not by its position: a topic that was made
//!    anew, or has got more partitions, gives nothing twice. What was taken in long ago is not even decoded.
//! 3. *Nobody waits.* Polling takes what has arrived. Without Kafka nothing arrives.
//! 4. *Who rests is no member*: its partitions go to the others at once.
//!
//! Kafka keeps the order of a key within a topic. What has arrived of several topics is given by the
//! numbers of its events.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use jangbu_engine::port::Fault;
use jangbu_kernel::{Time, Trace};
use jangbu_services::consumer::{self, Delivered};
use jangbu_services::events::{Buried, DEAD, PUBLISHED, Taken, Topic};
use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaRespErr;

use super::Settings;

/// Messages of one look at most.
const BATCH: usize = 2_000;

/// How long a member that leaves waits for that to be known.
const LEAVE: Duration = Duration::from_secs(2);

/// What a member of a group is told, unless the settings say otherwise: who dies is not missed for long,
/// and topics that are made later are found soon.
const DEFAULTS: [(&str, &str); 5] = [
    ("session.timeout.ms", "10000"),
    ("heartbeat.interval.ms", "2000"),
    ("auto.commit.interval.ms", "1000"),
    ("topic.metadata.refresh.interval.ms", "3000"),
    ("queued.max.messages.kbytes", "16384"),
];

/// Reads topics for one consumer.
pub struct Source {
    settings: Settings,
    group: String,
    /// Full names.
    topics: Vec<String>,
    /// None: it rests.
    member: Option<BaseConsumer<Group>>,
    partitions: Arc<Mutex<Partitions>>,
    /// What was read and not taken in yet, by stream.
    streams: BTreeMap<i32, Stream>,
    /// Every event up to it is taken in.
    low: i64,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let pending: usize = self.streams.values().map(|stream| stream.pending.len()).sum();
        f.debug_struct("Source")
            .field("group", &self.group)
            .field("pending", &pending)
            .finish_non_exhaustive()
    }
}

/// A partition that is this member's.
#[derive(Debug)]
struct Stream {
    topic: String,
    partition: i32,
    /// What is pending is behind this offset.
    behind: Option<i64>,
    /// Events with their offsets.
    pending: VecDeque<(i64, Delivered)>,
}

/// What the callback of a rebalance needs to know, and what it says.
#[derive(Debug, Default)]
struct Partitions {
    prefix: String,
    /// The last offset that was taken in, by stream.
    places: BTreeMap<i32, i64>,
    /// Streams that came (with topic and partition) and went (with none), in their order.
    changes: Vec<(i32, Option<(String, i32)>)>,
}

impl Partitions {
    fn of(settings: &Settings) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(Self { prefix: settings.prefix.clone(), ..Self::default() }))
    }

    fn stream(&self, topic: &str, partition: i32) -> Option<i32> {
        Topic::of(topic.strip_prefix(&self.prefix)?)?.stream(partition)
    }

    fn came(&mut self, list: &mut TopicPartitionList) {
        let came = list.elements();
        let came: Vec<_> = came.iter().map(|at| (at.topic().to_owned(), at.partition())).collect();
        for (topic, partition) in came {
            let Some(stream) = self.stream(&topic, partition) else { continue };
            let place = self.places.get(&stream);
            let from = place.map_or(Offset::Beginning, |at| Offset::Offset(at + 1));
            list.set_partition_offset(&topic, partition, from)
                .unwrap_or_else(|error| tracing::error!(%error, topic, "no place is set"));
            self.changes.push((stream, Some((topic, partition))));
        }
    }

    fn went(&mut self, list: &TopicPartitionList) {
        for gone in list.elements() {
            let stream = self.stream(gone.topic(), gone.partition());
            self.changes.extend(stream.map(|stream| (stream, None)));
        }
    }
}

/// A member of the group.
struct Group {
    partitions: Arc<Mutex<Partitions>>,
}

impl ClientContext for Group {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(facility, message, "kafka");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka");
    }
}

impl ConsumerContext for Group {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        what: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        let done = if what == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            self.partitions.lock().came(list);
            consumer.incremental_assign(list)
        } else {
            self.partitions.lock().went(list);
            consumer.incremental_unassign(list)
        };
        tracing::debug!(?what, partitions = list.count(), "the group has changed");
        done.unwrap_or_else(|error| tracing::warn!(%error, "the group of Kafka is in disorder"));
    }
}

impl Source {
    /// Reads the topics that `wants` as a member of `group`, as soon as it is asked.
    pub fn new(settings: &Settings, group: &str, wants: impl Fn(&str) -> bool) -> Self {
        // What could not be published as it is is a dead letter: an event all the same.
        let names = PUBLISHED.iter().map(|topic| topic.name);
        let names = names.filter(|name| *name == DEAD.name || wants(name));
        Self {
            settings: settings.clone(),
            group: group.to_owned(),
            topics: names.map(|name| settings.topic(name)).collect(),
            member: None,
            partitions: Partitions::of(settings),
            streams: BTreeMap::new(),
            low: 0,
        }
    }

    /// Comes into the group.
    fn join(&mut self) -> Result<(), KafkaError> {
        if self.member.is_some() {
            return Ok(());
        }
        let mut config = self.settings.client();
        for (name, value) in DEFAULTS {
            if !self.settings.properties.contains_key(name) {
                config.set(name, value);
            }
        }
        config
            .set("group.id", &self.group)
            .set("auto.offset.reset", "earliest")
            .set("enable.auto.offset.store", "false")
            .set("partition.assignment.strategy", "cooperative-sticky");
        let group = Group { partitions: Arc::clone(&self.partitions) };
        let member = BaseConsumer::from_config_and_context(&config, group)?;
        member.subscribe(&self.topics.iter().map(String::as_str).collect::<Vec<_>>())?;
        self.member = Some(member);
        Ok(())
    }

    /// Reads what has arrived.
    fn read(&mut self) {
        let Some(member) = &self.member else { return };
        let mut pending: usize = self.streams.values().map(|stream| stream.pending.len()).sum();
        while pending < BATCH {
            let polled = member.poll(Duration::ZERO);
            // What it has read of a partition that went is another's now.
            follow(&mut self.partitions.lock(), &mut self.streams);
            match polled {
                Some(Ok(message)) => {
                    pending += keep(&mut self.streams, &self.partitions, self.low, &message);
                }
                Some(Err(error)) => {
                    tracing::debug!(%error, "nothing can be read of Kafka now");
                    return;
                }
                None => return,
            }
        }
    }
}

impl consumer::Source for Source {
    fn next(&mut self, most: u32) -> Result<Arc<[Delivered]>, Fault> {
        let join = self.join();
        join.map_err(|error| Fault::Transient(format!("the settings of Kafka: {error}")))?;
        self.read();
        Ok(in_turn(&self.streams, most as usize))
    }

    fn taken(&mut self, place: &[(i32, i64)]) {
        for (number, at) in place {
            if *number == 0 {
                self.low = *at;
                continue;
            }
            self.partitions.lock().places.insert(*number, *at);
            let (Some(stream), Some(member)) = (self.streams.get_mut(number), &self.member) else {
                continue;
            };
            if stream.behind != Some(*at) {
                stream.pass(member, *at);
            }
        }
    }

    fn rest(&mut self) {
        self.streams.clear();
        let Some(member) = self.member.take() else { return };
        let (tell, told) = channel();
        let leave = move || {
            // To leave is to wait for the broker, which may be away.
            drop(member);
            let _ = tell.send(());
        };
        let thread = std::thread::Builder::new().name("jangbu-kafka".to_owned()).spawn(leave);
        if thread.is_err() || told.recv_timeout(LEAVE).is_err() {
            tracing::debug!(group = self.group, "nobody says whether the group knows that it left");
        }
        // Who is still leaving says nothing to the next member.
        self.partitions = Partitions::of(&self.settings);
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        consumer::Source::rest(self);
    }
}

impl Stream {
    /// Everything up to an offset is taken in.
    fn pass(&mut self, member: &BaseConsumer<Group>, place: i64) {
        self.behind = Some(place);
        if let Some(at) = self.pending.iter().position(|(offset, _)| *offset == place) {
            self.pending.drain(..=at);
            let stored = member.store_offset(&self.topic, self.partition, place);
            stored.unwrap_or_else(|error| tracing::debug!(%error, "an offset is not stored"));
            return;
        }
        // The consumer stands elsewhere than it did.
        self.pending.clear();
        let from = Offset::Offset(place + 1);
        let sought = member.seek(&self.topic, self.partition, from, Duration::ZERO);
        sought.unwrap_or_else(|error| tracing::warn!(%error, topic = self.topic, "no place"));
    }
}

/// Streams that came and went.
fn follow(partitions: &mut Partitions, streams: &mut BTreeMap<i32, Stream>) {
    for (number, what) in std::mem::take(&mut partitions.changes) {
        let Some((topic, partition)) = what else {
            streams.remove(&number);
            continue;
        };
        let behind = partitions.places.get(&number).copied();
        let stream = Stream { topic, partition, behind, pending: VecDeque::new() };
        streams.insert(number, stream);
    }
}

/// Keeps a record until it is asked for; says how many events it was.
fn keep(
    streams: &mut BTreeMap<i32, Stream>,
    partitions: &Mutex<Partitions>,
    low: i64,
    message: &BorrowedMessage<'_>,
) -> usize {
    let stream = partitions.lock().stream(message.topic(), message.partition());
    let Some(number) = stream else { return 0 };
    // A partition that is this member's no more may have sent it.
    let Some(stream) = streams.get_mut(&number) else { return 0 };
    let Some(event) = delivered(number, low, message) else { return 0 };
    stream.pending.push_back((message.offset(), event));
    1
}

/// What is pending, by the numbers of the events, each stream in its own order.
fn in_turn(streams: &BTreeMap<i32, Stream>, most: usize) -> Arc<[Delivered]> {
    let pending = streams.values().map(|stream| stream.pending.iter().map(|(_, event)| event));
    let (mut heads, mut turn) = (pending.map(Iterator::peekable).collect::<Vec<_>>(), Vec::new());
    while turn.len() < most {
        let first = heads.iter_mut().filter_map(|head| {
            let seq = head.peek()?.seq;
            Some((seq, head))
        });
        let Some((_, head)) = first.min_by_key(|(seq, _)| *seq) else { break };
        turn.extend(head.next().cloned());
    }
    turn.into()
}

/// The event of a message; none: it is no event at all.
fn delivered(stream: i32, low: i64, message: &BorrowedMessage<'_>) -> Option<Delivered> {
    let number = header(message, "event-id").and_then(|text| text.parse::<i64>().ok());
    let moment = Time(message.timestamp().to_millis().unwrap_or(0) * 1_000);
    let mut event = Delivered {
        stream,
        offset: message.offset(),
        seq: number.unwrap_or(0),
        at: moment,
        topic: "".into(),
        key: 0,
        version: 0,
        correlation: header(message, "correlation-id"),
        trace: header(message, "traceparent").and_then(|text| Trace::parse(&text)),
        payload: Vec::new(),
    };
    if number.is_some_and(|number| number <= low) {
        return Some(event); // It is taken in: only that it was given counts.
    }
    let value = message.payload().unwrap_or_default();
    if let Ok(Taken { seq, at, topic, key, version, payload }) = Taken::read(value) {
        return Some(Delivered { seq, at, topic: topic.into(), key, version, payload, ..event });
    }
    let (topic, offset) = (message.topic(), message.offset());
    if let Some(Buried { seq, at, topic, key }) = Buried::read(value) {
        return Some(Delivered { seq, at, topic: topic.into(), key: key.unwrap_or(-seq), ..event });
    }
    tracing::error!(topic, offset, "no event");
    // One with a number is parked, by itself, as what it is.
    event.seq = number?;
    event.key = -event.seq;
    let known = PUBLISHED.iter().find(|known| known.stream(message.partition()) == Some(stream));
    event.topic = known?.name.into();
    value.clone_into(&mut event.payload);
    Some(event)
}

fn header(message: &BorrowedMessage<'_>, name: &str) -> Option<String> {
    let headers = message.headers()?;
    let found = headers.iter().find(|header| header.key == name)?.value?;
    String::from_utf8(found.to_vec()).ok()
}
