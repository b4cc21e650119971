//! Topics are made when they are missing, and looked at when they are there.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{Thread, current, park_timeout};
use std::time::Duration;

use jangbu_services::events::PUBLISHED;
use rdkafka::ClientContext;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::{Client, DefaultClientContext};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::metadata::Metadata;

use super::Settings;

/// Sees to it that there are all topics; gives what is wrong with those that were there. `client` is
/// any that is connected.
pub(super) fn ensure<C: ClientContext>(
    client: &Client<C>,
    settings: &Settings,
    patience: Duration,
) -> Result<Option<String>, String> {
    let there = client.fetch_metadata(None, patience);
    let there = there.map_err(|error| format!("Kafka is away: {error}"))?;
    let names: Vec<String> = PUBLISHED.iter().map(|topic| settings.topic(topic.name)).collect();
    let missing: Vec<&str> =
        names.iter().map(String::as_str).filter(|name| partitions(&there, name) == 0).collect();
    if !missing.is_empty() {
        create(&missing, settings, patience)?;
        tracing::info!(topics = missing.len(), "topics were made");
    }
    let few = names.iter().filter(|name| {
        let have = partitions(&there, name);
        have > 0 && have < usize::try_from(settings.partitions).unwrap_or(0)
    });
    let few: Vec<_> = few.map(String::as_str).collect();
    Ok((!few.is_empty()).then(|| {
        let (wanted, few) = (settings.partitions, few.join(", "));
        format!("fewer than {wanted} partitions: {few}")
    }))
}

fn partitions(metadata: &Metadata, name: &str) -> usize {
    let topic = metadata.topics().iter().find(|topic| topic.name() == name);
    topic.map_or(0, |topic| topic.partitions().len())
}

fn create(names: &[&str], settings: &Settings, patience: Duration) -> Result<(), String> {
    let admin: AdminClient<DefaultClientContext> =
        settings.client().create().map_err(|error| error.to_string())?;
    let topics: Vec<_> = names.iter().map(|name| topic(name, settings)).collect();
    let options = AdminOptions::new().request_timeout(Some(patience));
    let made = wait(admin.create_topics(&topics, &options)).map_err(|error| error.to_string())?;
    let refused = made.into_iter().filter_map(Result::err);
    let refused = refused.filter(|(_, code)| *code != RDKafkaErrorCode::TopicAlreadyExists);
    let refused: Vec<_> = refused.map(|(name, code)| format!("{name}: {code}")).collect();
    if refused.is_empty() { Ok(()) } else { Err(format!("no topics: {}", refused.join(", "))) }
}

fn topic<'a>(name: &'a str, settings: &Settings) -> NewTopic<'a> {
    let replication = TopicReplication::Fixed(settings.replication);
    let topic = NewTopic::new(name, settings.partitions, replication);
    // With three replicas one of them may be away.
    if settings.replication > 2 { topic.set("min.insync.replicas", "2") } else { topic }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits on this thread: the administrative client answers on its own.
fn wait<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(current())));
    let mut context = Context::from_waker(&waker);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => park_timeout(Duration::from_millis(100)),
        }
    }
}
