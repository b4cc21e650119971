//! Topics of Kafka as the source of a consumer.
//!
//! Whether an event was taken in is said by the consumer's own place, which moves with its rows. The
//! offsets of the group in Kafka only say where to read on: they are stored behind what was taken in,
//! so a member that dies, and one that comes into the group, read again what was perhaps not taken in.
//! A topic that is read from its beginning gives nothing new.
//!
//! Each partition of each topic is a stream of its own: numbers only rise within one.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jangbu_engine::port::Fault;
use jangbu_kernel::{Time, Trace};
use jangbu_services::consumer::{self, Delivered};
use jangbu_services::events::{DEAD, PUBLISHED, Taken};
use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers, Message};

use super::Settings;

/// Streams of one topic at most.
const WIDTH: i32 = 1_000;

/// Messages of one look at most.
const BATCH: usize = 2_000;

/// Reads topics for one consumer.
pub struct Source {
    consumer: BaseConsumer<Group>,
    lost: Arc<Lost>,
    prefix: String,
    /// What was read and not taken in yet, by stream.
    streams: BTreeMap<i32, Stream>,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let pending: usize = self.streams.values().map(|stream| stream.pending.len()).sum();
        f.debug_struct("Source").field("pending", &pending).finish_non_exhaustive()
    }
}

/// One partition of a topic.
#[derive(Debug)]
struct Stream {
    topic: String,
    partition: i32,
    /// Events with their offsets.
    pending: VecDeque<(i64, Delivered)>,
}

/// Partitions that another member of the group has now.
type Lost = Mutex<Vec<(String, i32)>>;

/// A member of the group.
struct Group {
    lost: Arc<Lost>,
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
    fn pre_rebalance(&self, _consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        if let Rebalance::Revoke(partitions) = rebalance {
            let gone = partitions.elements();
            let gone = gone.iter().map(|gone| (gone.topic().to_owned(), gone.partition()));
            self.lost.lock().extend(gone);
        }
    }
}

impl Source {
    /// Reads the topics that `wants` as a member of `group`. Connects later; until then there is
    /// nothing to read.
    pub fn new(
        settings: &Settings,
        group: &str,
        wants: impl Fn(&str) -> bool,
    ) -> Result<Self, KafkaError> {
        let mut config = settings.client();
        config
            .set("group.id", group)
            .set("auto.offset.reset", "earliest")
            .set("enable.auto.offset.store", "false")
            .set("auto.commit.interval.ms", "1000")
            .set("partition.assignment.strategy", "cooperative-sticky");
        let lost: Arc<Lost> = Arc::default();
        let context = Group { lost: Arc::clone(&lost) };
        let consumer = BaseConsumer::from_config_and_context(&config, context)?;
        let names = PUBLISHED.iter().map(|topic| topic.name);
        let names = names.filter(|name| *name != DEAD.name && wants(name));
        let names: Vec<String> = names.map(|name| settings.topic(name)).collect();
        consumer.subscribe(&names.iter().map(String::as_str).collect::<Vec<_>>())?;
        let prefix = settings.prefix.clone();
        Ok(Self { consumer, lost, prefix, streams: BTreeMap::new() })
    }

    /// Reads what has arrived.
    fn read(&mut self) {
        let mut pending: usize = self.streams.values().map(|stream| stream.pending.len()).sum();
        while pending < BATCH {
            let polled = self.consumer.poll(Duration::ZERO);
            // What it has read of the partitions is another's now.
            let gone = std::mem::take(&mut *self.lost.lock());
            self.streams.retain(|_, stream| {
                !gone.iter().any(|(topic, at)| *topic == stream.topic && *at == stream.partition)
            });
            match polled {
                Some(Ok(message)) => pending += keep(&mut self.streams, &self.prefix, &message),
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
        self.read();
        let all = self.streams.values().flat_map(|stream| &stream.pending);
        Ok(all.take(most as usize).map(|(_, event)| event.clone()).collect())
    }

    fn taken(&mut self, place: &[(i32, i64)]) {
        let place: BTreeMap<i32, i64> = place.iter().copied().collect();
        let of = |stream: i32| place.get(&stream).copied().unwrap_or(0);
        for (number, stream) in &mut self.streams {
            // What the embedded log has given is done, too.
            let done = of(*number).max(of(0));
            let mut behind = None;
            while let Some((at, _)) = stream.pending.pop_front_if(|(_, event)| event.seq <= done) {
                behind = Some(at);
            }
            if let Some(at) = behind {
                let stored = self.consumer.store_offset(&stream.topic, stream.partition, at);
                stored.unwrap_or_else(|error| tracing::debug!(%error, "an offset is not stored"));
            }
        }
    }
}

/// Keeps a record until it is asked for; says how many events it was.
fn keep(streams: &mut BTreeMap<i32, Stream>, prefix: &str, message: &BorrowedMessage<'_>) -> usize {
    let Some((number, event)) = delivered(prefix, message) else { return 0 };
    let stream = streams.entry(number).or_insert_with(|| Stream {
        topic: message.topic().to_owned(),
        partition: message.partition(),
        pending: VecDeque::new(),
    });
    stream.pending.push_back((message.offset(), event));
    1
}

/// The stream of a message and its event; none: it is no event at all.
fn delivered(prefix: &str, message: &BorrowedMessage<'_>) -> Option<(i32, Delivered)> {
    let name = message.topic().strip_prefix(prefix)?;
    let at = PUBLISHED.iter().position(|topic| topic.name == name)?;
    let stream = 1 + i32::try_from(at).ok()? * WIDTH + message.partition() % WIDTH;
    let topic = PUBLISHED[at].name.into();
    let value = message.payload().unwrap_or_default();
    let (seq, at, key, version, payload) = match Taken::read(value) {
        Ok(Taken { seq, at, topic: _, key, version, payload }) => (seq, at, key, version, payload),
        Err(error) => {
            tracing::error!(topic = message.topic(), offset = message.offset(), %error, "no event");
            // One with a number is parked, by itself, as what it is.
            let seq = header(message, "event-id").and_then(|text| text.parse::<i64>().ok())?;
            let at = Time(message.timestamp().to_millis().unwrap_or(0) * 1_000);
            (seq, at, -seq, 0, value.to_vec())
        }
    };
    let correlation = header(message, "correlation-id");
    let trace = header(message, "traceparent").and_then(|text| Trace::parse(&text));
    let partition = stream;
    let event = Delivered { partition, seq, at, topic, key, version, correlation, trace, payload };
    Some((stream, event))
}

fn header(message: &BorrowedMessage<'_>, name: &str) -> Option<String> {
    let headers = message.headers()?;
    let found = headers.iter().find(|header| header.key == name)?.value?;
    String::from_utf8(found.to_vec()).ok()
}
