//! One order's trace in a collector, whole; and the log of a run.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use opentelemetry_proto::tonic::trace::v1::Span;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::collector::Collector;
use crate::server::{Server, prove};

pub(crate) const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
pub(crate) const ABOVE: &str = "b7ad6b7169203331";

pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        write!(text, "{byte:02x}").unwrap();
    }
    text
}

fn key(data: &Path, name: &str) -> String {
    let key = std::fs::read_to_string(data.join("keys").join(name)).unwrap();
    format!("Bearer {}", key.trim())
}

/// Orders one of `sku` with these headers besides the usual ones: the whole answer.
pub(crate) fn order(
    server: &Server,
    data: &Path,
    sku: &str,
    token: &str,
    more: &[(&str, &str)],
) -> String {
    let bearer = key(data, "client.key");
    let mut headers = vec![("authorization", &*bearer), ("content-type", "application/json")];
    headers.extend_from_slice(more);
    let body = json!({
        "userId": "usr_0000000000001",
        "lines": [{ "skuId": sku, "quantity": 1 }],
        "expectedTotal": { "amount": 1_000, "currency": "KRW" },
        "payment": { "mode": "SERVER", "token": token },
    });
    server.raw("POST", "/api/v1/orders", &headers, &body.to_string())
}

/// Events that carry the trace, by the span that they are below.
fn events(data: &Path) -> BTreeMap<String, usize> {
    let db = Connection::open(data.join("jangbu.db")).unwrap();
    let mut traces = db.prepare("SELECT trace FROM outbox WHERE trace IS NOT NULL").unwrap();
    let mut found = BTreeMap::new();
    for trace in traces.query_map([], |row| row.get::<_, String>(0)).unwrap() {
        let trace = trace.unwrap();
        assert!(trace.starts_with(&format!("00-{TRACE}-")) && trace.ends_with("-01"), "{trace}");
        *found.entry(trace[36..52].to_owned()).or_default() += 1;
    }
    found
}

/// Spans by their name, in the order of their begin.
pub(crate) struct Tree(pub(crate) BTreeMap<String, Vec<Span>>);

impl Tree {
    /// All are of one trace, each below one that is there; one is below the span that came.
    pub(crate) fn of(mut spans: Vec<Span>) -> Self {
        spans.sort_by_key(|span| span.start_time_unix_nano);
        let starts: BTreeMap<_, _> =
            spans.iter().map(|span| (hex(&span.span_id), span.start_time_unix_nano)).collect();
        assert_eq!(starts.len(), spans.len(), "each span came once");
        let mut roots = 0;
        for span in &spans {
            let above = hex(&span.parent_span_id);
            assert_eq!(hex(&span.trace_id), TRACE, "{span:?}");
            if above == ABOVE {
                roots += 1;
                continue;
            }
            let start = starts.get(&above).unwrap_or_else(|| panic!("an orphan: {span:?}"));
            assert!(*start <= span.start_time_unix_nano, "begins before its parent: {span:?}");
        }
        assert_eq!(roots, 1, "one span is the request");
        let mut named: BTreeMap<String, Vec<Span>> = BTreeMap::new();
        for span in spans {
            named.entry(span.name.clone()).or_default().push(span);
        }
        Self(named)
    }

    pub(crate) fn ids(&self, name: &str) -> Vec<String> {
        self.0.get(name).into_iter().flatten().map(|span| hex(&span.span_id)).collect()
    }

    pub(crate) fn parents(&self, name: &str) -> Vec<String> {
        self.0.get(name).into_iter().flatten().map(|span| hex(&span.parent_span_id)).collect()
    }
}

#[test]
fn the_trace_of_an_order_is_whole_in_a_collector() {
    let (collector, data) = (Collector::start(), tempfile::tempdir().unwrap());
    let data = data.path();
    let settings = [("TRACING__OTLP", &*collector.url), ("TRACING__SAMPLE", "0")];
    let server = Server::start(data, &settings);
    let sku = server.seed(1, 5).remove(0);
    let parent = format!("00-{TRACE}-{ABOVE}-01");
    let traced =
        [("idempotency-key", "k"), ("traceparent", &*parent), ("tracestate", "shop=7,b@c=2")];
    let answer = order(&server, data, &sku, "tok_ok", &traced);
    assert!(answer.starts_with("201"), "{answer}");
    assert!(answer.contains("\"shop=7,b@c=2\""), "{answer}");
    let untraced = order(&server, data, &sku, "tok_ok", &[("idempotency-key", "l")]);
    assert!(untraced.starts_with("201") && !untraced.contains("traceparent"), "{untraced}");
    assert!(server.stop().success(), "what is there is exported before the end");
    let tree = Tree::of(collector.spans.try_iter().collect());
    let [request] = &tree.ids("POST /api/v1/orders")[..] else { panic!("one request") };
    assert!(answer.contains(&format!("00-{TRACE}-{request}-01")), "{answer}");
    let [call] = &tree.ids("call charge")[..] else { panic!("one call") };
    let [placed, settled] = &tree.ids("batch")[..] else { panic!("two batches") };
    assert_eq!(tree.parents("batch"), [request.clone(), call.clone()]);
    assert_eq!(tree.parents("call charge"), [&**placed]);
    assert_eq!(tree.parents("mailbox"), [request.clone(), call.clone()]);
    for phase in ["load", "decide", "save", "commit"] {
        assert_eq!(tree.parents(phase), [placed.clone(), settled.clone()], "{phase}");
    }
    let events = events(data);
    let kept: BTreeSet<_> = events.keys().cloned().collect();
    assert_eq!(kept, BTreeSet::from([placed.clone(), settled.clone()]));
    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    for span in tree.0.get("projection").into_iter().flatten() {
        let by = span.attributes.iter().find(|pair| pair.key == "jangbu.destination").unwrap();
        if format!("{by:?}").contains("\"projections\"") {
            *taken.entry(hex(&span.parent_span_id)).or_default() += 1;
        }
    }
    assert_eq!(taken, events, "each event is taken in once");
    assert_eq!(prove(data, None).0, 0);
}

/// The lines of a log, each of them JSON.
fn lines(log: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(log).unwrap();
    let line = |line: &str| {
        let parsed: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
        for field in ["timestamp", "level", "target"] {
            assert!(parsed[field].is_string(), "{line}");
        }
        parsed["fields"].clone()
    };
    text.lines().map(line).collect()
}

#[test]
fn each_line_of_a_run_is_json_and_says_whose_it_is() {
    let data = tempfile::tempdir().unwrap();
    let (data, log) = (data.path(), data.path().join("log"));
    let all = [("TRACING__SAMPLE", "1"), ("SAGA__PATIENCE_PERCENT", "2")];
    let server = Server::start_logged(data, &all, &log);
    let sku = server.seed(1, 3).remove(0);
    let parent = format!("00-{TRACE}-{ABOVE}-01");
    for (token, id, status, trace) in [
        ("tok_ok", "sold-1", "201", Some(&*parent)),
        ("tok_declined", "declined-1", "402", None),
        ("tok_timeout_captured", "silent-1", "20", None),
        ("tok_ok", "sold-out-1", "409", None),
    ] {
        let mut headers = vec![("idempotency-key", id), ("x-correlation-id", id)];
        headers.extend(trace.map(|trace| ("traceparent", trace)));
        let sku = if id == "sold-out-1" { "sku_zzzzzzzzzzzzz" } else { &*sku };
        let answer = order(&server, data, sku, token, &headers);
        assert!(answer.starts_with(status) || id == "sold-out-1", "{answer}");
    }
    server.raw("GET", "/nowhere", &[("x-correlation-id", "lost-1")], "");
    server.raw("GET", "/api/v1/products", &[("x-correlation-id", "stranger-1")], "");
    assert!(server.stop().success());
    let lines = lines(&log);
    let of = |id: &str| -> Vec<&Value> {
        lines.iter().filter(|line| line["correlation"] == id).collect()
    };
    for (id, message) in [
        ("sold-1", "answered"),
        ("declined-1", "refused"),
        ("sold-out-1", "refused"),
        ("lost-1", "refused"),
        ("stranger-1", "refused"),
        ("silent-1", "a call ran out of time: its outcome is open"),
    ] {
        assert!(of(id).iter().any(|line| line["message"] == message), "{id}: {lines:#?}");
    }
    assert_eq!(of("sold-1")[0]["trace"], TRACE);
    assert!(lines.iter().any(|line| line["message"].as_str().unwrap().starts_with("stopping")));
    for line in &lines {
        let request = line.get("status").is_some() || line.get("caller").is_some();
        assert!(!request || line["correlation"].is_string(), "whose? {line}");
        assert!(!line.to_string().contains("usr_"), "who asked is nobody's business: {line}");
    }
}
