//! An outbox row as a record of a topic, and what a reader of the topic gets out of it again.
//!
//! The value is JSON that needs nothing beside it. The headers repeat what a reader wants to know
//! before it looks at the value: whether it has the event already, and whether it understands it.
//! An event that cannot be told is a dead letter ([`DEAD`]): it must not keep the others back.

use std::fmt::Write as _;

use serde_json::{Value, json};

use jangbu_engine::port::Fields;
use jangbu_kernel::{OrderId, Time};

use super::body::Document;
use super::topics::{DEAD, Topic};
use super::{Fact, facts};

/// A row of the outbox.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// Its number: the id of the event.
    pub seq: i64,
    /// When it was committed.
    pub at: Time,
    /// Its topic.
    pub topic: &'a str,
    /// The aggregate.
    pub key: i64,
    /// Its version.
    pub version: i64,
    /// What began it.
    pub correlation: Option<&'a str>,
    /// The `traceparent` of what began it, if it is traced.
    pub trace: Option<&'a str>,
    /// The fact, compact.
    pub payload: &'a [u8],
}

impl<'a> Row<'a> {
    /// From a row of [`OUTBOX`](jangbu_engine::books::OUTBOX).
    pub fn of(row: &'a dyn Fields) -> Self {
        Self {
            seq: row.int(0),
            at: Time(row.int(2)),
            topic: row.text(3),
            key: row.int(4),
            version: row.int(5),
            correlation: row.opt_text(6),
            trace: row.opt_text(8),
            payload: row.blob(7),
        }
    }

    /// As it is published; none: it is internal.
    pub fn record(&self) -> Option<Record> {
        match self.told() {
            Ok(told) => told,
            Err(why) => Some(self.dead(&why)),
        }
    }

    fn told(&self) -> Result<Option<Record>, String> {
        let fact = Fact::decode(self.payload).map_err(|error| error.to_string())?;
        let Some(body) = facts::body(self.key, &fact)? else { return Ok(None) };
        let topic = Topic::of(fact.topic()).ok_or("its topic is not published")?;
        let key = facts::key(&body);
        let document = Document { event_id: self.seq, at: self.at, version: self.version, body };
        let value = serde_json::to_vec(&document).map_err(|error| error.to_string())?;
        Ok(Some(self.as_record(topic, key, value)))
    }

    fn dead(&self, why: &str) -> Record {
        let Self { seq, topic, correlation, trace, .. } = *self;
        tracing::error!(seq, topic, why, correlation, trace, "an event is a dead letter");
        let payload = hex(self.payload);
        let value = json!({
            "eventId": self.seq.to_string(), "at": self.at.to_string(), "version": self.version,
            "type": DEAD.name, "topic": self.topic, "key": self.key.to_string(), "error": why,
            "payload": payload,
        });
        self.as_record(&DEAD, self.key.to_string(), value.to_string().into_bytes())
    }

    fn as_record(&self, topic: &'static Topic, key: String, value: Vec<u8>) -> Record {
        Record {
            seq: self.seq,
            at: self.at,
            topic,
            key,
            value,
            version: self.version,
            correlation: self.correlation.map(Into::into),
            trace: self.trace.map(Into::into),
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// An event as it is published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its number in the outbox.
    pub seq: i64,
    /// When it was committed.
    pub at: Time,
    /// Where it goes.
    pub topic: &'static Topic,
    /// The public id of the aggregate: events of one key stay in order.
    pub key: String,
    /// JSON, by the schema of the topic.
    pub value: Vec<u8>,
    /// Version of the aggregate.
    pub version: i64,
    /// What began it.
    pub correlation: Option<Box<str>>,
    /// The `traceparent` of what began it: whoever reads it goes on with that trace.
    pub trace: Option<Box<str>>,
}

impl Record {
    /// The dead letter of a record that is refused for ever. The outbox has what it says.
    #[must_use]
    pub fn dead(&self, why: &str) -> Self {
        let (seq, topic) = (self.seq, self.topic.name);
        let (correlation, trace) = (self.correlation.as_deref(), self.trace.as_deref());
        tracing::error!(seq, topic, why, correlation, trace, "an event is refused");
        let value = json!({
            "eventId": self.seq.to_string(), "at": self.at.to_string(), "version": self.version,
            "type": DEAD.name, "topic": self.topic.name, "key": self.key, "error": why,
            "payload": "",
        });
        Self { topic: &DEAD, value: value.to_string().into_bytes(), ..self.clone() }
    }

    /// Its headers: names and values.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, String)> {
        let always = [
            ("event-id", self.seq.to_string()),
            ("event-type", self.topic.name.to_owned()),
            ("schema-version", self.topic.version.to_string()),
            ("aggregate-version", self.version.to_string()),
        ];
        let correlation = self.correlation.as_deref();
        let trace = self.trace.as_deref().map(|text| ("traceparent", text.to_owned()));
        let correlation = correlation.map(|text| ("correlation-id", text.to_owned()));
        always.into_iter().chain(correlation).chain(trace)
    }
}

/// An event that was read from a topic: the outbox row again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Its number in the outbox.
    pub seq: i64,
    /// When it was committed.
    pub at: Time,
    /// Its topic.
    pub topic: &'static str,
    /// The aggregate.
    pub key: i64,
    /// Its version.
    pub version: i64,
    /// The fact, compact.
    pub payload: Vec<u8>,
}

/// A dead letter that was read: which event it stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buried {
    /// The number of the event.
    pub seq: i64,
    /// When it was committed.
    pub at: Time,
    /// The topic that it belongs to.
    pub topic: String,
    /// Its aggregate, if that can be told.
    pub key: Option<i64>,
}

impl Buried {
    /// From the value of a record of [`DEAD`]. What it says is in the outbox.
    pub fn read(value: &[u8]) -> Option<Self> {
        let value: Value = serde_json::from_slice(value).ok()?;
        let text = |name: &str| value.get(name)?.as_str();
        let key = text("key")?;
        let order = || OrderId::parse(key).map(|order| order.0);
        Some(Self {
            seq: text("eventId")?.parse().ok()?,
            at: Time::parse(text("at")?)?,
            topic: text("topic")?.to_owned(),
            key: key.parse().ok().or_else(order),
        })
    }
}

/// A value that is no event, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no event: {0}")]
pub struct Damaged(String);

impl Taken {
    /// From the value of a record. Fields that this version does not know are passed over.
    pub fn read(value: &[u8]) -> Result<Self, Damaged> {
        let document: Document<'_> =
            serde_json::from_slice(value).map_err(|error| Damaged(error.to_string()))?;
        let (key, fact) = facts::fact(&document.body).map_err(|why| Damaged(why.to_owned()))?;
        let payload = postcard::to_stdvec(&fact).map_err(|error| Damaged(error.to_string()))?;
        let Document { event_id: seq, at, version, .. } = document;
        Ok(Self { seq, at, topic: fact.topic(), key, version, payload })
    }
}
