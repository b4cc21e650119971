//! The relay to Kafka, if there is one.

use std::sync::Arc;

use anyhow::Result;
use jangbu_engine::clock::SystemClock;
use jangbu_engine::port::Backend;
use jangbu_engine::role::Standing;
use jangbu_services::consumer::Handle;
use jangbu_services::relay::{Bell, Place, Publisher, Relay, Running};

use crate::config::Config;

/// Begins to publish the outbox of the truth, if something is set to publish to: as long as the
/// database is this process'. Whoever commits rings the bell, and the thread behind `handle` keeps the
/// place in the derived store.
pub(crate) fn start(
    (truth, derived): (Arc<dyn Backend>, Arc<dyn Backend>),
    handle: Handle,
    (bell, standing): (Arc<Bell>, Arc<Standing>),
    config: &Config,
) -> Result<Option<Running>> {
    let wanted = !config.kafka.bootstrap.is_empty();
    let Some(publisher) = wanted.then(|| publisher(config)).flatten() else { return Ok(None) };
    let place = Arc::new(Place::of(derived, handle));
    let relay = Relay::new(truth, publisher, place, config.kafka.rules());
    Ok(Some(Running::start(relay, Arc::new(SystemClock), bell, standing)?))
}

#[cfg(feature = "kafka")]
#[expect(clippy::unnecessary_wraps, reason = "a binary that was built without Kafka has none")]
fn publisher(config: &Config) -> Option<Box<dyn Publisher>> {
    use jangbu_adapters::kafka::{Producer, Settings};

    let kafka = config.kafka.clone();
    let settings = Settings {
        bootstrap: kafka.bootstrap,
        prefix: kafka.topics_prefix,
        partitions: kafka.partitions,
        replication: kafka.replication,
        properties: kafka.properties,
    };
    Some(Box::new(Producer::new(settings, Arc::new(SystemClock))))
}

#[cfg(not(feature = "kafka"))]
fn publisher(_config: &Config) -> Option<Box<dyn Publisher>> {
    None
}
