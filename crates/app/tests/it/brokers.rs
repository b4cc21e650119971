//! One of three brokers dies or stands still, and the ways to all of them break, become slow, or are half-open:
//! orders do not notice, and each event has one effect afterwards.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::time::Duration;

use jangbu_adapters::kafka::rdkafka::ClientConfig;
use jangbu_adapters::kafka::rdkafka::consumer::{BaseConsumer, Consumer};
use jangbu_cluster::{Kafka, Toxiproxy};
use jangbu_services::events::PUBLISHED;

use crate::drill::{Drill, hold, until};
use crate::kafka::{outbox, read};

const BROKERS: usize = 3;

/// Whether every partition is on every broker.
fn is_whole(kafka: &Kafka) -> bool {
    let client: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", kafka.bootstrap()).create().unwrap();
    let Ok(found) = client.fetch_metadata(None, Duration::from_secs(5)) else { return false };
    let ours = |name: &str| PUBLISHED.iter().any(|topic| topic.name == name);
    let mut topics = found.topics().iter().filter(|topic| ours(topic.name()));
    topics.all(|topic| topic.partitions().iter().all(|part| part.isr().len() == BROKERS))
}

#[test]
fn of_three_brokers_one_may_die_or_hang_or_the_ways_to_all_and_each_event_has_one_effect() {
    let test =
        "of_three_brokers_one_may_die_or_hang_or_the_ways_to_all_and_each_event_has_one_effect";
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let proxy = Toxiproxy::start(&dir.path().join("proxy")).unwrap();
    let kafka = Kafka::start_behind(&dir.path().join("kafka"), BROKERS, &proxy).unwrap();
    let bootstrap = format!("\"{}\"", kafka.bootstrap());
    let settings = [
        ("KAFKA__BOOTSTRAP", &*bootstrap),
        ("KAFKA__REPLICATION", "3"),
        ("KAFKA__SILENCE_MS", "1000"),
    ];
    let drill = Drill::begin(test, dir.path(), &settings);
    let server = &drill.server;
    let published = || server.metric("jangbu_relay_seq ");
    let outage = |what: &str, hurt: &dyn Fn(), heal: &dyn Fn()| {
        // What was in the outbox when all was well again is published.
        let mark = OnceCell::new();
        let back = || published() >= *mark.get_or_init(|| server.metric("jangbu_outbox_seq "));
        drill.outage_until(what, hurt, heal, Some(&back));
    };
    let goes_on = |what: &str, hurt: &dyn Fn(), heal: &dyn Fn()| {
        let hurt = || {
            hurt();
            drill.keeps_selling();
        };
        outage(what, &hurt, heal);
    };
    until("the topics are not made", || published() > 0 && is_whole(&kafka));
    let all = |each: &dyn Fn(&str)| (0..BROKERS).for_each(|n| each(&format!("kafka-{n}")));
    let heal = || all(&|name| proxy.heal(name).unwrap());

    // Nothing is mended: the others take its partitions over.
    outage("one of three brokers is killed", &|| kafka.kill(0), &|| {});
    kafka.start_again(0).unwrap();
    until("the broker does not come back", || is_whole(&kafka));
    outage("one of three brokers stands still", &|| kafka.pause(1), &|| {});
    kafka.resume(1);
    until("the broker does not come back", || is_whole(&kafka));
    let cut = || {
        all(&|name| proxy.cut(name).unwrap());
        hold(3);
    };
    goes_on("the connections to all brokers are cut for 3 s", &cut, &heal);
    let slow = || {
        all(&|name| proxy.slow(name, 150).unwrap());
        hold(3);
    };
    goes_on("Kafka's answers take 300 ms longer for 3 s", &slow, &heal);
    let half_open = || {
        all(&|name| proxy.half_open(name).unwrap());
        hold(3);
    };
    goes_on("the connections to all brokers are half-open for 3 s", &half_open, &heal);

    until("the outbox is not published", || published() >= server.metric("jangbu_outbox_seq "));
    let data = drill.end();
    let wanted = outbox(&data);
    let (seen, _) = read(&kafka.bootstrap(), wanted.len());
    assert_eq!(seen.keys().copied().collect::<BTreeSet<_>>(), wanted);
}
