//! What arrives, and what does not.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use jangbu_engine::trace::{Note, PerMillion, SpanRecord, Stage, Tracer};
use jangbu_kernel::Time;
use jangbu_otlp::{Exporter, Settings};

use crate::collector::Collector;

fn start(endpoint: &str) -> (Arc<dyn Tracer>, Exporter) {
    let (endpoint, sample) = (endpoint.to_owned(), PerMillion(1_000_000));
    Exporter::start(Settings { endpoint, sample, key: [3; 16] }).unwrap()
}

fn record(tracer: &dyn Tracer) {
    let own = tracer.begin().unwrap();
    let (start, end) = (Time(1_000_001), Time(1_000_003));
    let route = Note::Route("POST", "/api/v1/orders");
    let state = Note::State("vendor=1".into());
    let notes = vec![route, Note::Status(503), Note::Code("SHED"), state];
    let (stage, parent) = (Stage::Request, Some(tracer.span()));
    tracer.record(SpanRecord { stage, own, parent, start, end, failed: true, notes });
}

#[test]
fn what_is_recorded_arrives_as_it_was() {
    let collector = Collector::start();
    let (tracer, exporter) = start(&collector.url);
    record(&*tracer);
    let span = collector.spans.recv_timeout(Duration::from_secs(20)).unwrap();
    assert_eq!((&*span.name, span.kind), ("POST /api/v1/orders", 2));
    assert_eq!(
        (span.start_time_unix_nano, span.end_time_unix_nano),
        (1_000_001_000, 1_000_003_000)
    );
    assert_eq!((span.trace_id.len(), span.span_id.len(), span.parent_span_id.len()), (16, 8, 8));
    assert_eq!((span.status.unwrap().code, &*span.trace_state), (2, "vendor=1"));
    let keys: Vec<&str> = span.attributes.iter().map(|pair| &*pair.key).collect();
    let wanted = ["http.request.method", "http.route", "http.response.status_code", "error.type"];
    assert_eq!(keys, wanted);
    exporter.stop();
    let counts = tracer.counts();
    assert_eq!((counts.recorded, counts.exported, counts.dropped, counts.lost), (1, 1, 0, 0));
}

#[test]
fn a_stop_exports_what_is_there() {
    let collector = Collector::start();
    let (tracer, exporter) = start(&collector.url);
    for _ in 0..1_200 {
        record(&*tracer);
    }
    exporter.stop();
    assert_eq!(tracer.counts().exported, 1_200);
    assert_eq!(collector.spans.try_iter().count(), 1_200);
}

#[test]
fn spans_for_a_collector_that_is_away_are_lost_and_counted() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let (tracer, exporter) = start(&url);
    record(&*tracer);
    exporter.stop();
    let counts = tracer.counts();
    assert_eq!((counts.recorded, counts.exported, counts.lost), (1, 0, 1));
}

#[test]
fn nobody_waits_for_a_collector_that_says_nothing() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let (tracer, _exporter) = start(&url);
    // More than fit into the queue and into the hands of a thread that is stuck.
    for _ in 0..20_000 {
        record(&*tracer);
    }
    let counts = tracer.counts();
    assert!(counts.dropped > 0 && counts.recorded + counts.dropped == 20_000, "{counts:?}");
}
