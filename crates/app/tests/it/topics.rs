//! The best-sellers and the notifications of a shop read their events from Kafka: whatever comes again, whoever
//! goes away, and whichever source they read, each event has one effect.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use jangbu_cluster::Kafka;
use opentelemetry_proto::tonic::trace::v1::Span;
use rusqlite::Connection;
use serde_json::Value;

use crate::bestseller::{order, refund, units};
use crate::collector::Collector;
use crate::desk::desk;
use crate::gateway::Gateway;
use crate::kafka::{await_drained, sell};
use crate::notification::{dead, hook, listen, part, until};
use crate::server::{Server, prove};
use crate::traces::{self, ABOVE, TRACE, Tree, hex};

/// A shop with a Kafka and a hook.
struct Shop {
    data: PathBuf,
    bootstrap: String,
    hook: SocketAddr,
}

impl Shop {
    fn start(&self, consume: bool) -> Server {
        let bootstrap = format!("\"{}\"", self.bootstrap);
        let hooks = format!("['http://{}/hooks']", self.hook);
        let given = [
            ("KAFKA__BOOTSTRAP", &*bootstrap),
            ("KAFKA__SILENCE_MS", "500"),
            ("KAFKA__CONSUME", if consume { "true" } else { "false" }),
            ("NOTIFICATION__WEBHOOKS", &*hooks),
            ("NOTIFICATION__EVENTS", "['completed', 'refunded']"),
        ];
        Server::start(&self.data, &given)
    }

    fn derived(&self) -> Connection {
        Connection::open(self.data.join("derived.db")).unwrap()
    }
}

/// Deliveries that were sent.
fn sent(server: &Server) -> usize {
    let list = server.get("/api/v1/notifications?limit=100").body;
    let items = list["items"].as_array().unwrap();
    items.iter().filter(|item| item["state"] == "SENT").count()
}

/// Waits until so many units are counted and so many deliveries were sent.
fn await_effects(server: &Server, wanted: (i64, usize)) {
    until(&format!("{wanted:?}"), || (units(server), sent(server)), |seen| *seen == wanted);
}

fn repeats(server: &Server, consumer: &str) -> i64 {
    server.metric(&format!("jangbu_consumer_repeats_total{{consumer=\"{consumer}\"}} "))
}

#[test]
fn each_event_of_a_topic_has_one_effect_however_often_it_comes_and_whichever_source_is_read() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let kafka = Kafka::start(&dir.path().join("kafka"), 1).unwrap();
    let shop = Shop { data: dir.path().join("data"), bootstrap: kafka.bootstrap(), hook: dead() };
    let calls = listen(shop.hook, hook);
    let server = shop.start(true);
    let sku = server.seed(1, 1_000).remove(0);
    let first = order(&server, &sku, "first");
    sell(&server, &sku, "topics", 9);
    refund(&server, &first);
    await_effects(&server, (9, 11));
    await_drained(&server);
    assert!(server.stop().success());
    // Everything is published a second time, and the topics are read from their beginning.
    let forgotten = shop.derived().execute(
        "DELETE FROM offset WHERE id = 99 << 32 OR ((id >> 32) IN (1, 2) AND (id & 0xffffffff) > 0)",
        [],
    );
    assert!(forgotten.unwrap() > 2, "the relay's place, and those of two consumers");
    let server = shop.start(true);
    for consumer in ["bestseller", "notification"] {
        // 10 sales and a refund: once again, and twice since.
        until(consumer, || repeats(&server, consumer), |seen| *seen >= 22);
    }
    sell(&server, &sku, "after", 1);
    await_effects(&server, (10, 12));
    assert!(server.stop().success());
    // The outbox takes over, and the topics take over again.
    let server = shop.start(false);
    sell(&server, &sku, "outbox", 5);
    await_effects(&server, (15, 17));
    await_drained(&server);
    assert!(server.stop().success());
    let server = shop.start(true);
    sell(&server, &sku, "back", 5);
    await_effects(&server, (20, 22));
    for consumer in ["bestseller", "notification"] {
        until(consumer, || repeats(&server, consumer), |seen| *seen >= 5);
    }
    // Kafka goes away: orders go on, the consumers wait.
    kafka.stop(0);
    sell(&server, &sku, "away", 5);
    assert_eq!((units(&server), sent(&server)), (20, 22));
    kafka.start_again(0).unwrap();
    await_effects(&server, (25, 27));
    // A crash with a member that nobody has seen leave.
    server.kill();
    let server = shop.start(true);
    sell(&server, &sku, "again", 5);
    await_effects(&server, (30, 32));
    assert!(server.stop().success());
    let calls = calls.lock().unwrap().clone();
    let keys: BTreeSet<_> =
        calls.iter().filter_map(|call| part(call, "idempotency-key: ")).collect();
    assert_eq!(keys.len(), 32, "one of each event");
    assert_eq!(prove(&shop.data, None).0, 0);
}

/// The last event of a sale.
fn last_sale(data: &Path) -> (i64, Vec<u8>) {
    let db = Connection::open(data.join("jangbu.db")).unwrap();
    let last = "SELECT seq, payload FROM outbox WHERE topic = 'order.completed' ORDER BY seq DESC";
    db.query_row(last, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
}

/// Gives an event another payload.
fn put(data: &Path, seq: i64, payload: &[u8]) {
    let db = Connection::open(data.join("jangbu.db")).unwrap();
    db.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
    let put = "UPDATE outbox SET payload = ?1 WHERE seq = ?2";
    assert_eq!(db.execute(put, rusqlite::params![payload, seq]).unwrap(), 1);
}

#[test]
fn what_a_consumer_of_topics_cannot_take_in_is_parked_and_replayed_as_from_the_outbox() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let kafka = Kafka::start(&dir.path().join("kafka"), 1).unwrap();
    let shop = Shop { data: dir.path().join("data"), bootstrap: kafka.bootstrap(), hook: dead() };
    let calls = listen(shop.hook, hook);
    let server = shop.start(true);
    let sku = server.seed(1, 1_000).remove(0);
    sell(&server, &sku, "well", 2);
    await_effects(&server, (2, 2));
    kafka.stop(0);
    let broken = order(&server, &sku, "broken");
    assert!(server.stop().success());
    let (seq, payload) = last_sale(&shop.data);
    put(&shop.data, seq, &[0xff]);
    kafka.start_again(0).unwrap();
    let server = shop.start(true);
    sell(&server, &sku, "behind", 1);
    await_effects(&server, (3, 3));
    let run = |args: &[&str]| desk(&server, &shop.data, args);
    let listed = || run(&["dlq", "list", "--json"]).1;
    let both = |list: &String| list.matches(&broken).count() == 2;
    let list: Value = serde_json::from_str(&until("dead letters", listed, both)).unwrap();
    assert!(list.to_string().contains("order.completed"), "{list}");
    let (code, told, _) = run(&["dlq", "replay", "bestseller", &broken, "--dry-run", "--json"]);
    assert!(code == 0 && told.contains("\"taken\": 0"), "{told}");
    put(&shop.data, seq, &payload);
    for consumer in ["bestseller", "notification"] {
        let (code, told, error) =
            run(&["dlq", "replay", consumer, &broken, "--reason", "repaired", "--json"]);
        assert!(code == 0 && told.contains("\"taken\": 1"), "{told}{error}");
    }
    await_effects(&server, (4, 4));
    assert_eq!(calls.lock().unwrap().iter().filter(|call| call.contains(&broken)).count(), 1);
    assert!(server.stop().success());
    assert_eq!(prove(&shop.data, None).0, 0);
}

/// Request, cell, a gateway in another process, Kafka, and a consumer that reads from there: one tree.
#[test]
fn the_trace_of_an_order_goes_through_the_gateway_and_through_kafka_to_the_consumers() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (data, psp) = (dir.path().join("data"), dir.path().join("psp"));
    let collector = Collector::start();
    let kafka = Kafka::start(&dir.path().join("kafka"), 1).unwrap();
    let exported = ("TRACING__OTLP", &*collector.url);
    let gateway = Gateway::start_with(&psp, "127.0.0.1:0", &[exported]);
    let (bootstrap, log) = (format!("\"{}\"", kafka.bootstrap()), psp.join("psp.log"));
    let settings = [
        exported,
        ("TRACING__SAMPLE", "0"),
        ("KAFKA__BOOTSTRAP", &*bootstrap),
        ("KAFKA__CONSUME", "true"),
        ("GATEWAY__URL", &*gateway.url),
        ("GATEWAY__LOG", log.to_str().unwrap()),
    ];
    let server = Server::start(&data, &settings);
    let sku = server.seed(1, 5).remove(0);
    let parent = format!("00-{TRACE}-{ABOVE}-01");
    let traced = [("idempotency-key", "k"), ("traceparent", &*parent)];
    let answer = traces::order(&server, &data, &sku, "tok_ok", &traced);
    assert!(answer.starts_with("201"), "{answer}");
    until("the sale", || units(&server), |units| *units == 1);
    await_drained(&server);
    assert!(server.stop().success(), "what is there is exported before the end");
    let mut spans: Vec<_> = collector.spans.try_iter().collect();
    while !spans.iter().any(|span| span.name == "POST /v1/requests") {
        spans.push(collector.spans.recv_timeout(std::time::Duration::from_secs(30)).unwrap());
    }
    let tree = Tree::of(spans);
    let (requests, calls) = (tree.ids("POST /api/v1/orders"), tree.ids("call charge"));
    assert_eq!((requests.len(), tree.parents("POST /v1/requests")), (1, calls));
    let batches = tree.ids("batch");
    for topic in ["order.placed", "payment.captured", "order.completed"] {
        let above = tree.parents(&format!("publish {topic}"));
        assert!(above.len() == 1 && batches.contains(&above[0]), "{topic}: {above:?}");
    }
    let by = |span: &&Span| {
        let to = span.attributes.iter().find(|pair| pair.key == "jangbu.destination");
        format!("{to:?}").contains("\"bestseller\"")
    };
    let counted: Vec<_> = tree.0["projection"].iter().filter(by).collect();
    let above: Vec<_> = counted.iter().map(|span| hex(&span.parent_span_id)).collect();
    assert_eq!(above, tree.ids("publish order.completed"), "the consumer goes on below the record");
}
