//! The server itself: health, metrics, read-only, failure of the store.

use jangbu_engine::port::Fault;
use jangbu_store::On;
use serde_json::json;

use crate::world::{World, order};

#[tokio::test]
async fn read_only_refuses_new_business_and_says_when_to_come_again() {
    let world = World::new();
    let sku = world.sku("p", 1_000, 5).await;
    let on = world.post("/api/v1/admin/read-only", "", &json!({ "on": true })).await;
    assert_eq!(on.json, json!({ "readOnly": true }));
    let refused = world.place("o", &order(&sku, 1, 1_000, "tok_visa")).await;
    assert_eq!(refused.problem(), (503, "READ_ONLY"));
    assert_eq!((refused.header("retry-after"), &refused.json["retryable"]), ("1", &json!(true)));
    assert_eq!(world.get("/readyz").await.status, 200, "that is not an illness");
    let metrics = world.get("/metrics").await.text;
    assert!(metrics.contains("\njangbu_read_only 1\n"), "{metrics}");
    assert_eq!(world.stock(&sku, "available").await, 5, "reading goes on");
    let off = world.post("/api/v1/admin/read-only", "", &json!({ "on": false })).await;
    assert_eq!(off.json, json!({ "readOnly": false }));
    assert_eq!(world.place("o", &order(&sku, 1, 1_000, "tok_visa")).await.status, 201);
}

#[tokio::test]
async fn a_store_that_has_failed_is_said_and_shown() {
    let world = World::new();
    let sku = world.sku("p", 1_000, 5).await;
    let ready = world.get("/readyz").await.json;
    assert_eq!((&ready["status"], &ready["role"]), (&json!("UP"), &json!("OWNER")), "{ready}");
    let memory = world.memory.as_ref().unwrap();
    memory.faults().fail(On::Write, 1_000, Fault::Fatal("a page is damaged".to_owned()));
    let refused = world.place("o", &order(&sku, 1, 1_000, "tok_visa")).await;
    assert_eq!(
        (refused.problem(), &refused.json["retryable"]),
        ((503, "STORE_FAILED"), &json!(false))
    );
    assert!(refused.header("retry-after").is_empty());
    let leave = world.post("/api/v1/admin/read-only", "", &json!({ "on": false })).await;
    assert_eq!(leave.problem(), (503, "STORE_FAILED"), "an operator cannot talk it away");
    let ready = world.get("/readyz").await;
    assert_eq!((ready.status, &ready.json["status"]), (503, &json!("DOWN")));
    assert_eq!(world.get("/actuator/health").await.status, 503);
    assert_eq!(world.get("/livez").await.json, json!({ "status": "UP" }));
}

#[tokio::test]
async fn metrics_have_the_names_that_the_bench_reads() {
    let world = World::new();
    let sku = world.sku("p", 1_000, 5).await;
    for (key, token) in [("a", "tok_visa"), ("a", "tok_visa"), ("b", "tok_declined")] {
        world.place(key, &order(&sku, 1, 1_000, token)).await;
    }
    let metrics = world.get("/metrics").await.text;
    let value = |series: &str| {
        let line =
            metrics.lines().find(|line| line.rsplit_once(' ').is_some_and(|(s, _)| s == series));
        let line = line.unwrap_or_else(|| panic!("no {series} in\n{metrics}"));
        line.rsplit_once(' ').unwrap().1.to_owned()
    };
    let number = |series: &str| value(series).parse::<f64>().unwrap();
    for name in ["commits", "rows_written", "commands", "items", "replays", "events"] {
        assert!(number(&format!("jangbu_{name}_total")) > 0.0, "{name}");
    }
    for name in [
        "fsyncs",
        "pages_written",
        "wal_bytes",
        "rows_read",
        "reads",
        "checkpoints",
        "rejects",
        "not_run",
        "poison",
        "reruns",
    ] {
        assert!(number(&format!("jangbu_{name}_total")) >= 0.0, "{name}");
    }
    for phase in ["read", "decide", "write", "commit", "between", "deliver"] {
        assert!(number(&format!("jangbu_phase_seconds_total{{phase=\"{phase}\"}}")) >= 0.0);
    }
    assert!(number("jangbu_batch_items{quantile=\"0.5\"}") >= 1.0);
    assert!(number("jangbu_batch_items{quantile=\"0.99\"}") >= 1.0);
    assert_eq!(value("jangbu_orders_settled_total{outcome=\"SOLD\"}"), "1", "replays do not count");
    assert_eq!(value("jangbu_orders_settled_total{outcome=\"DECLINED\"}"), "1");
    assert_eq!(value("jangbu_mailbox_waiting"), "0");
    assert!(number("jangbu_outbox_seq") >= number("jangbu_projection_seq{name=\"derived\"}"));
    let lag = |part: &str| number(&format!("jangbu_consumer_lag_seconds{part}"));
    let of = "{consumer=\"projections\"}";
    assert!(lag(&format!("_sum{of}")) >= 0.0);
    let within = |bound| lag(&format!("_bucket{{consumer=\"projections\",le=\"{bound}\"}}"));
    assert!(within("0.0025") <= within("10"));
    assert!((within("+Inf") - lag(&format!("_count{of}"))).abs() < 0.5);
    assert_eq!(value("jangbu_psp_calls_total{result=\"answered\"}"), "2");
    assert_eq!(value("jangbu_psp_breaker{state=\"closed\"}"), "1");
    assert_eq!(value("jangbu_http_requests_total{route=\"order.place\",class=\"2xx\"}"), "2");
    assert_eq!(value("jangbu_http_requests_total{route=\"order.place\",class=\"4xx\"}"), "1");
}
