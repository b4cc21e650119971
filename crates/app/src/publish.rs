//! The way to Kafka and back, if there is one: the relay, and the sources of consumers.

use std::sync::Arc;

use anyhow::Result;
use jangbu_engine::clock::SystemClock;
use jangbu_engine::port::Backend;
use jangbu_engine::role::Standing;
use jangbu_engine::trace::Tracing;
use jangbu_services::consumer::{Handle, Member, name};
use jangbu_services::relay::{Bell, Place, Publisher, Relay, Running};

use crate::config::Config;

/// Begins to publish the outbox of the truth, if something is set to publish to: as long as the
/// database is this process'. Whoever commits rings the bell, and the thread behind `handle` keeps the
/// place in the derived store.
pub(crate) fn start(
    (truth, derived): (Arc<dyn Backend>, Arc<dyn Backend>),
    handle: Handle,
    (bell, standing, tracer): (Arc<Bell>, Arc<Standing>, Tracing),
    config: &Config,
) -> Result<Option<Running>> {
    let wanted = !config.kafka.bootstrap.is_empty();
    let Some(publisher) = wanted.then(|| publisher(config)).flatten() else { return Ok(None) };
    let place = Arc::new(Place::of(derived, handle));
    let clock = Arc::new(SystemClock);
    let relay = Relay::new(truth, publisher, place, config.kafka.rules());
    let relay = relay.with_tracer(tracer, clock.clone());
    Ok(Some(Running::start(relay, clock, bell, standing)?))
}

#[cfg(feature = "kafka")]
#[expect(clippy::unnecessary_wraps, reason = "a binary that was built without Kafka has none")]
fn publisher(config: &Config) -> Option<Box<dyn Publisher>> {
    Some(Box::new(jangbu_adapters::kafka::Producer::new(settings(config), Arc::new(SystemClock))))
}

#[cfg(feature = "kafka")]
fn settings(config: &Config) -> jangbu_adapters::kafka::Settings {
    let kafka = config.kafka.clone();
    jangbu_adapters::kafka::Settings {
        bootstrap: kafka.bootstrap,
        prefix: kafka.topics_prefix,
        partitions: kafka.partitions,
        replication: kafka.replication,
        properties: kafka.properties,
    }
}

/// The same consumer with the topics as its source, if the settings say so.
#[cfg(feature = "kafka")]
pub(crate) fn from_topics(config: &Config, member: Member) -> Member {
    if !config.kafka.consume {
        return member;
    }
    let group = format!("{}-{}", config.kafka.group, name(member.consumer.number()));
    let wants = |topic: &str| member.consumer.wants(topic);
    let source = jangbu_adapters::kafka::Source::new(&settings(config), &group, wants);
    Member { source: Some(Box::new(source)), ..member }
}

/// There are no topics.
#[cfg(not(feature = "kafka"))]
pub(crate) fn from_topics(_config: &Config, member: Member) -> Member {
    member
}

#[cfg(not(feature = "kafka"))]
fn publisher(_config: &Config) -> Option<Box<dyn Publisher>> {
    None
}
