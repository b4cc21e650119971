//! Settings of Kafka.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use jangbu_kernel::time::Span;
use jangbu_services::relay::Rules;
use serde::Deserialize;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kafka {
    pub bootstrap: String,
    pub topics_prefix: String,
    pub partitions: i32,
    pub replication: i32,
    pub silence_ms: u32,
    pub consume: bool,
    pub group: String,
    pub properties: BTreeMap<String, String>,
}

impl Kafka {
    pub(super) fn check(&self) -> Result<()> {
        ensure!(
            cfg!(feature = "kafka") || self.bootstrap.is_empty(),
            "kafka.bootstrap is set, and this program was built without the feature kafka"
        );
        ensure!((1..=1_000).contains(&self.partitions), "kafka.partitions must be 1 to 1000");
        ensure!((1..=100).contains(&self.replication), "kafka.replication must be 1 to 100");
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        ensure!(
            self.topics_prefix.len() <= 100 && self.topics_prefix.bytes().all(plain),
            "kafka.topics_prefix may have letters, digits, '.', '_' and '-'"
        );
        ensure!(
            (1..=100).contains(&self.group.len()) && self.group.bytes().all(plain),
            "kafka.group may have letters, digits, '.', '_' and '-', and must not be empty"
        );
        ensure!(
            !self.consume || !self.bootstrap.is_empty(),
            "kafka.consume reads what is published: set kafka.bootstrap"
        );
        ensure!(
            (100..=600_000).contains(&self.silence_ms),
            "kafka.silence_ms must be 100 to 600000"
        );
        Ok(())
    }

    /// How the relay works with it.
    pub(crate) fn rules(&self) -> Rules {
        Rules { silence: Span::millis(self.silence_ms.into()), ..Rules::default() }
    }
}
