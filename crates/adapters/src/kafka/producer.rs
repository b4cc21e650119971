//! The relay's way to Kafka.
//!
//! A producer of librdkafka never gives a record up by time here (`message.timeout.ms = 0`): it is
//! idempotent, so what it repeats is stored once and in order, and a record that it dropped could be
//! overtaken by those behind it. Whether Kafka is away, the relay sees by the silence. What fails for
//! good makes the relay begin again behind its place, with a new producer.

use std::sync::Arc;
use std::time::Duration;

use jangbu_engine::clock::Clock;
use jangbu_services::events::Record;
use jangbu_services::relay::{Ack, Publisher, Sent};
use parking_lot::Mutex;
use rdkafka::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, Message, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};

use super::{Settings, topics};

/// How long a look at the brokers may take.
const LOOK: Duration = Duration::from_secs(2);

/// Publishes to Kafka.
pub struct Producer {
    settings: Settings,
    clock: Arc<dyn Clock>,
    client: Option<ThreadedProducer<Delivery>>,
    /// Of the producer that there is: what an older one says later is not heard.
    told: Arc<Told>,
    /// Names of topics, and the same with the prefix: those that were needed.
    names: Vec<(&'static str, String)>,
    complaint: Option<String>,
}

impl std::fmt::Debug for Producer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Producer").field("settings", &self.settings).finish_non_exhaustive()
    }
}

/// What became of records, until the relay asks.
type Told = Mutex<Vec<Ack>>;

/// Hears of deliveries on the producer's own thread.
struct Delivery {
    told: Arc<Told>,
    clock: Arc<dyn Clock>,
}

impl ClientContext for Delivery {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(facility, message, "kafka");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka");
    }
}

impl ProducerContext for Delivery {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, seq: usize) {
        let seq = i64::try_from(seq).unwrap_or_default();
        // The library takes a record for stored when a later one is; only a place in the log shows that it is.
        let result = match result {
            Ok(message) if message.offset() >= 0 => Ok(()),
            Ok(message) => Err(format!("{}: acknowledged without a place", message.topic())),
            Err((error, message)) => Err(format!("{}: {error}", message.topic())),
        };
        self.told.lock().push(Ack { seq, at: self.clock.now(), result });
    }
}

impl Producer {
    /// Publishes as `settings` say; `clock` tells when something was acknowledged. Connects later.
    pub fn new(settings: Settings, clock: Arc<dyn Clock>) -> Self {
        Self {
            settings,
            clock,
            client: None,
            told: Arc::default(),
            names: Vec::new(),
            complaint: None,
        }
    }

    fn connect(&mut self) -> Result<(), KafkaError> {
        if self.client.is_some() {
            return Ok(());
        }
        let mut config = self.settings.client();
        // A broker whose replicas are away says so before it is taken for one that hangs.
        if !self.settings.properties.contains_key("request.timeout.ms") {
            config.set("request.timeout.ms", "8000");
        }
        config
            .set("acks", "all")
            .set("enable.idempotence", "true")
            // A broker that knows nothing of a producer yet, as in a new partition, takes any record as the first
            // one. So the second of two on their way could be stored when the first was refused for now, and
            // the first would then never be.
            .set("max.in.flight.requests.per.connection", "1")
            .set("message.timeout.ms", "0")
            .set("linger.ms", "40")
            .set("queue.buffering.max.kbytes", "65536")
            // What clients in other languages do by default: one key, one partition for all.
            .set("partitioner", "murmur2_random");
        self.told = Arc::default();
        let delivery = Delivery { told: Arc::clone(&self.told), clock: Arc::clone(&self.clock) };
        self.client = Some(ThreadedProducer::from_config_and_context(&config, delivery)?);
        Ok(())
    }

    /// The full name of a topic, made once.
    fn name(&mut self, topic: &'static str) -> usize {
        if let Some(at) = self.names.iter().position(|(known, _)| *known == topic) {
            return at;
        }
        self.names.push((topic, self.settings.topic(topic)));
        self.names.len() - 1
    }

    fn failed(&self, record: &Record, why: String) {
        let ack = Ack { seq: record.seq, at: self.clock.now(), result: Err(why) };
        self.told.lock().push(ack);
    }
}

impl Publisher for Producer {
    fn prepare(&mut self) -> Result<(), String> {
        self.connect().map_err(|error| format!("the settings of Kafka: {error}"))?;
        let Some(producer) = &self.client else { return Err("no producer".to_owned()) };
        let complaint = topics::ensure(producer.client(), &self.settings, LOOK)?;
        if complaint != self.complaint {
            if let Some(complaint) = &complaint {
                tracing::error!(complaint, "the topics are not what they should be");
            }
            self.complaint = complaint;
        }
        Ok(())
    }

    fn send(&mut self, record: &Record) -> Sent {
        let at = self.name(record.topic.name);
        let Some(producer) = &self.client else { return Sent::Full };
        let headers = record.headers().fold(OwnedHeaders::new(), |headers, (key, value)| {
            headers.insert(Header { key, value: Some(&value) })
        });
        let seq = usize::try_from(record.seq).unwrap_or_default();
        let message = BaseRecord::with_opaque_to(&self.names[at].1, seq)
            .key(&record.key)
            .payload(&record.value)
            .timestamp(record.at.0 / 1_000)
            .headers(headers);
        let Err((error, _)) = producer.send(message) else { return Sent::Taken };
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::QueueFull) => Sent::Full,
            Some(
                RDKafkaErrorCode::MessageSizeTooLarge
                | RDKafkaErrorCode::InvalidMessageSize
                | RDKafkaErrorCode::MessageBatchTooLarge,
            ) => Sent::Refused(error.to_string()),
            _ => {
                self.failed(record, error.to_string());
                Sent::Taken
            }
        }
    }

    fn acks(&mut self, each: &mut dyn FnMut(Ack)) {
        let told = std::mem::take(&mut *self.told.lock());
        told.into_iter().for_each(each);
    }

    fn reset(&mut self) {
        self.client = None;
        self.told = Arc::default();
    }

    fn complaint(&self) -> Option<String> {
        self.complaint.clone()
    }
}
