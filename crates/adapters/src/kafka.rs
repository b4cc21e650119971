//! Apache Kafka, by librdkafka.
//!
//! | part | holds |
//! |---|---|
//! | `producer` | the relay's publisher: acknowledged by all in-sync replicas, idempotent, in order |
//! | `source` | topics as the source of a consumer |
//! | `topics` | topics are made, or looked at |

mod producer;
mod source;
mod topics;

use std::collections::BTreeMap;
use std::fmt;

use rdkafka::ClientConfig;

pub use producer::Producer;
/// The client itself, for whoever reads topics in another way.
pub use rdkafka;
pub use source::Source;

/// A broker that takes connections and says nothing is left within this: its partitions have other leaders by
/// then, and what it was sent is sent to them. The library's own minute is an outage.
const PATIENCE: [(&str, &str); 3] = [
    ("socket.timeout.ms", "10000"),
    ("socket.connection.setup.timeout.ms", "5000"),
    ("socket.keepalive.enable", "true"),
];

/// How to reach Kafka, and what is expected of it.
#[derive(Clone, PartialEq, Eq)]
pub struct Settings {
    /// Addresses of some brokers.
    pub bootstrap: String,
    /// What the names of all topics begin with.
    pub prefix: String,
    /// Partitions of topics that are made; fewer than these are complained of.
    pub partitions: i32,
    /// Replicas of topics that are made.
    pub replication: i32,
    /// Further settings of librdkafka, such as those of authentication.
    pub properties: BTreeMap<String, String>,
}

impl fmt::Debug for Settings {
    /// Among the further settings is a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bootstrap, prefix, partitions, replication, properties } = self;
        f.debug_struct("Settings")
            .field("bootstrap", bootstrap)
            .field("prefix", prefix)
            .field("partitions", partitions)
            .field("replication", replication)
            .field("properties", &properties.keys().collect::<Vec<_>>())
            .finish()
    }
}

impl Settings {
    /// One broker, or several, at `bootstrap`.
    pub fn at(bootstrap: impl Into<String>) -> Self {
        Self {
            bootstrap: bootstrap.into(),
            prefix: String::new(),
            partitions: 6,
            replication: 1,
            properties: BTreeMap::new(),
        }
    }

    /// The full name of a topic.
    pub fn topic(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// What every client begins with.
    fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        for (name, value) in PATIENCE {
            config.set(name, value);
        }
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        config
            .set("bootstrap.servers", &self.bootstrap)
            .set("client.id", "jangbu")
            // A broker that comes back is found within a second.
            .set("reconnect.backoff.max.ms", "1000");
        config
    }
}
