//! Kafka goes away under a shop that sells: orders do not notice, and nothing is lost or comes twice.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use jangbu_adapters::kafka::rdkafka::ClientConfig;
use jangbu_adapters::kafka::rdkafka::consumer::{BaseConsumer, Consumer};
use jangbu_adapters::kafka::rdkafka::message::Message;
use jangbu_cluster::Kafka;
use jangbu_services::events::PUBLISHED;
use rusqlite::Connection;
use serde_json::Value;

use crate::drill::{self, Row};
use crate::server::{Server, prove};

/// What `/readyz` says of Kafka.
fn health(server: &Server) -> String {
    let ready = server.get("/readyz");
    assert_eq!(
        (ready.status, &ready.body["status"]),
        (200, &Value::from("UP")),
        "orders are taken"
    );
    let parts = ready.body["parts"].as_array().unwrap();
    let kafka = parts.iter().find(|part| part["name"] == "kafka").unwrap();
    kafka["status"].as_str().unwrap().to_owned()
}

fn await_health(server: &Server, wanted: &str) {
    while health(server) != wanted {
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Sells `count` units, one order each.
pub(crate) fn sell(server: &Server, sku: &str, round: &str, count: usize) {
    for n in 0..count {
        let reply = server.order(&format!("{round}-{n}"), sku, 1, "tok_ok").unwrap();
        assert_eq!(
            (reply.status, &reply.body["outcome"]),
            (201, &Value::from("SOLD")),
            "{reply:?}"
        );
    }
}

/// Waits until everything that the outbox has is published.
pub(crate) fn await_drained(server: &Server) {
    while server.metric("jangbu_relay_seq ") < server.metric("jangbu_outbox_seq ") {
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The events of an outbox that go outside.
pub(crate) fn outbox(data: &Path) -> BTreeSet<i64> {
    let store = Connection::open(data.join("jangbu.db")).unwrap();
    let mut all = store.prepare("SELECT seq FROM outbox WHERE topic <> 'order.advanced'").unwrap();
    let rows = all.query_map([], |row| row.get(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

/// A reader with one effect of each event: it knows them by their number. Gives how often it saw
/// each, and how many orders it has counted as completed.
pub(crate) fn read(bootstrap: &str, wanted: usize) -> (BTreeMap<i64, usize>, usize) {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", "reader")
        .set("auto.offset.reset", "earliest")
        .create()
        .unwrap();
    let names: Vec<_> = PUBLISHED.iter().map(|topic| topic.name).collect();
    consumer.subscribe(&names).unwrap();
    let (mut seen, mut completed) = (BTreeMap::new(), 0);
    while seen.len() < wanted {
        let Some(polled) = consumer.poll(Duration::from_millis(100)) else { continue };
        let message = polled.unwrap();
        let event: Value = serde_json::from_slice(message.payload().unwrap()).unwrap();
        let number = event["eventId"].as_str().unwrap().parse().unwrap();
        let times = seen.entry(number).or_insert(0);
        *times += 1;
        if *times == 1 && event["type"] == "order.completed" {
            completed += 1;
        }
    }
    (seen, completed)
}

/// How long Kafka is away.
fn long() -> Duration {
    Duration::from_secs(if drill::is_wanted() { 60 } else { 1 })
}

/// The nine steps: healthy, breaker closed, traffic, Kafka stops, traffic, breaker open and orders
/// still taken, Kafka starts, drained, one effect of each event.
#[test]
fn orders_go_on_without_kafka_and_each_event_has_one_effect_afterwards() {
    let dir = tempfile::tempdir().unwrap();
    let (data, files) = (dir.path().join("data"), dir.path().join("kafka"));
    let kafka = Kafka::start(&files, 1).unwrap();
    let bootstrap = format!("\"{}\"", kafka.bootstrap());
    let given = [
        ("KAFKA__BOOTSTRAP", &*bootstrap),
        ("KAFKA__SILENCE_MS", "500"),
        ("RATES__USER_PER_SECOND", "0"),
    ];
    let server = Server::start(&data, &given);
    // 1, 2: healthy, and the breaker is closed.
    await_health(&server, "UP");
    assert_eq!(server.metric("jangbu_relay_breaker{state=\"closed\"}"), 1);
    // 3: normal traffic arrives.
    let sku = server.seed(1, 1_000_000).remove(0);
    sell(&server, &sku, "before", 20);
    await_drained(&server);
    // 4, 5: Kafka stops, traffic goes on.
    kafka.stop(0);
    let (away, mut during) = (Instant::now(), 0);
    while during < 20 || away.elapsed() < long() {
        sell(&server, &sku, &format!("during-{during}"), 1);
        during += 1;
    }
    // 6: it is known, and orders are taken all the same.
    await_health(&server, "DOWN");
    assert!(server.metric("jangbu_relay_breaker_opened_total ") > 0);
    let published = server.metric("jangbu_relay_seq ");
    sell(&server, &sku, "without", 20);
    assert_eq!(server.metric("jangbu_relay_seq "), published);
    assert!(server.metric("jangbu_outbox_seq ") >= published + 60);
    // 7, 8: Kafka starts, and what waited is published.
    kafka.start_again(0).unwrap();
    let there = Instant::now();
    await_health(&server, "UP");
    await_drained(&server);
    let recovered = there.elapsed();
    sell(&server, &sku, "after", 20);
    await_drained(&server);
    let stopped = server.stop();
    assert!(stopped.success(), "{stopped:?}");
    // 9: one effect of each event.
    let wanted = outbox(&data);
    let (seen, completed) = read(&kafka.bootstrap(), wanted.len());
    assert_eq!(seen.keys().copied().collect::<BTreeSet<_>>(), wanted);
    assert_eq!(completed, during + 60);
    let (code, report) = prove(&data, None);
    assert_eq!(code, 0, "{report:#}");
    let row = Row {
        what: format!("Kafka stops for {} s", long().as_secs()),
        offered: during + 60,
        meanwhile: Some(during + 20),
        recovered: Some(recovered),
        ..Row::default()
    };
    let test = "orders_go_on_without_kafka_and_each_event_has_one_effect_afterwards";
    drill::tell(test, &[row], &report);
}

/// A server that is started when Kafka is not there takes orders, and publishes them later.
#[test]
fn a_server_starts_without_kafka_and_publishes_when_it_comes() {
    let dir = tempfile::tempdir().unwrap();
    let (data, files) = (dir.path().join("data"), dir.path().join("kafka"));
    let kafka = Kafka::start(&files, 1).unwrap();
    kafka.stop(0);
    let bootstrap = format!("\"{}\"", kafka.bootstrap());
    let server = Server::start(&data, &[("KAFKA__BOOTSTRAP", &*bootstrap)]);
    await_health(&server, "DOWN");
    let sku = server.seed(1, 10).remove(0);
    sell(&server, &sku, "first", 5);
    kafka.start_again(0).unwrap();
    await_health(&server, "UP");
    await_drained(&server);
}
