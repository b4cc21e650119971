//! W3C Trace Context at the edge: what comes in, what goes on, what goes out.

use std::sync::Arc;
use std::sync::mpsc::Receiver;

use axum::body::Body;
use axum::http::Request;
use jangbu_api::Settings;
use jangbu_engine::trace::{Note, PerMillion, Queue, SpanRecord, Stage};
use jangbu_kernel::Trace;
use tower::ServiceExt as _;

use crate::world::{Answer, CLIENT, OPERATOR, World, order, post};

const CAME: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const UNSAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";

fn traced(sample: u32) -> (World, Receiver<SpanRecord>) {
    let (queue, spans) = Queue::new(1_000, PerMillion(sample), [5; 16]);
    let made =
        World::made(Settings::default(), true, |layout| layout.tracer = Some(Arc::new(queue)));
    (made, spans)
}

async fn ask(world: &World, path: &str, headers: &[(&str, &str)]) -> Answer {
    let mut request = Request::get(path).header("authorization", format!("Bearer {OPERATOR}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    world.send(request.body(Body::empty()).unwrap()).await
}

#[tokio::test]
async fn a_sampled_request_becomes_a_part_of_its_trace() {
    let (world, spans) = traced(0);
    let headers =
        [("traceparent", CAME), ("tracestate", "a=1, b@c=2"), ("x-correlation-id", "c-1")];
    for (path, status) in [("/livez", 200), ("/api/v1/products/x", 422), ("/api/v1/products", 200)]
    {
        let answer = ask(&world, path, &headers).await;
        let (came, own) = (Trace::parse(CAME).unwrap(), Trace::parse(answer.header("traceparent")));
        let own = own.unwrap();
        assert_eq!((own.id(), own.is_sampled()), (came.id(), true));
        assert_ne!(own.span(), came.span());
        assert_eq!(answer.header("tracestate"), "a=1,b@c=2");
        let span = spans.try_recv().unwrap();
        assert_eq!((span.stage, span.own, span.parent), (Stage::Request, own, Some(came.span())));
        for note in
            [Note::Status(status), Note::Correlation("c-1".into()), Note::State("a=1,b@c=2".into())]
        {
            assert!(span.notes.contains(&note), "{note:?} of {:?}", span.notes);
        }
        assert!(spans.try_recv().is_err());
    }
}

#[tokio::test]
async fn what_is_not_sampled_is_passed_on_and_not_recorded() {
    let (world, spans) = traced(0);
    let answer = ask(&world, "/livez", &[("traceparent", UNSAMPLED), ("tracestate", "a=1")]).await;
    assert_eq!((answer.header("traceparent"), answer.header("tracestate")), (UNSAMPLED, "a=1"));
    for bad in ["00-0-0-01", &CAME.to_uppercase(), &format!("{CAME}-x"), &CAME.replace('a', "g")] {
        let answer = ask(&world, "/livez", &[("traceparent", bad), ("tracestate", "a=1")]).await;
        assert_eq!((answer.status, answer.header("traceparent")), (200, ""), "{bad}");
        assert_eq!(answer.header("tracestate"), "", "nothing is read of it");
    }
    let twice = ask(&world, "/livez", &[("traceparent", CAME), ("traceparent", CAME)]).await;
    assert_eq!(twice.header("traceparent"), "");
    assert!(spans.try_recv().is_err());
}

#[tokio::test]
async fn one_request_in_so_many_begins_a_trace() {
    let (world, spans) = traced(1_000_000);
    let answer = ask(&world, "/livez", &[]).await;
    let own = Trace::parse(answer.header("traceparent")).unwrap();
    let span = spans.try_recv().unwrap();
    assert_eq!((span.own, span.parent, span.failed), (own, None, false));
}

#[tokio::test]
async fn without_a_tracer_a_trace_is_only_carried_on() {
    let world = World::new();
    let answer = ask(&world, "/livez", &[("traceparent", CAME), ("tracestate", "a=1")]).await;
    assert_eq!((answer.header("traceparent"), answer.header("tracestate")), (CAME, "a=1"));
    assert_eq!(ask(&world, "/livez", &[]).await.header("traceparent"), "");
}

#[tokio::test]
async fn a_request_that_nobody_waits_for_any_more_has_a_span_all_the_same() {
    let (world, spans) = traced(0);
    let sku = world.sku("s", 1_000, 5).await;
    let mut request = post("/api/v1/orders", "k", CLIENT, &order(&sku, 1, 1_000, "tok_ok"));
    request.headers_mut().insert("traceparent", CAME.parse().unwrap());
    let mut answer = Box::pin(world.router.clone().oneshot(request));
    let first =
        std::future::poll_fn(|cx| std::task::Poll::Ready(answer.as_mut().poll(cx).is_ready()));
    assert!(!first.await, "it is not answered at once");
    drop(answer);
    let gone = spans.iter().find(|span| span.stage == Stage::Request).unwrap();
    assert!(gone.failed && !gone.notes.iter().any(|note| matches!(note, Note::Status(_))));
    // The order goes on, and so does its trace.
    let call = spans.iter().find(|span| span.stage == Stage::Call).unwrap();
    assert_eq!(call.own.id(), gone.own.id());
    assert!(call.notes.contains(&Note::Ask("charge")), "{call:?}");
}
