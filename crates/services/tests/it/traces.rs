//! The spans of a command and of everything that follows from it are one tree, whatever cells it
//! crosses and whatever the store does; and a command that is not traced leaves nothing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use jangbu_engine::books::OUTBOX;
use jangbu_engine::port::{Backend, Fault};
use jangbu_engine::trace::{PerMillion, Queue, SpanRecord, Stage, Tracer};
use jangbu_kernel::{SpanId, Trace, UnitId};
use jangbu_store::{Dump, On, OwnedValue};

use crate::cascade::{APART, TWO};
use crate::gateway::Gateway;
use crate::rig::{Bench, ONE, Rig, lose, memories, open_all, rows};
use crate::stage::{create, place, receive};

const CAME: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn came() -> Trace {
    Trace::parse(CAME).unwrap()
}

fn tracer() -> (Arc<dyn Tracer>, Receiver<SpanRecord>) {
    let (queue, spans) = Queue::new(10_000, PerMillion(0), [5; 16]);
    (Arc::new(queue), spans)
}

/// Traces of events, in their order.
fn told(dump: &Dump) -> Vec<Trace> {
    let column = OUTBOX.position("trace").unwrap();
    let events = dump.iter().filter(|((table, _), _)| *table == OUTBOX.name);
    let text = |value: &OwnedValue| match value {
        OwnedValue::Text(text) => Some(Trace::parse(text).unwrap()),
        _ => None,
    };
    events.filter_map(|(_, row)| text(&row[column])).collect()
}

fn count(spans: &[SpanRecord], stage: Stage) -> usize {
    spans.iter().filter(|span| span.stage == stage).count()
}

/// One trace, below the span that came from outside and the calls, whose spans are the executor's;
/// the batches of it.
fn assert_tree(spans: &[SpanRecord]) -> BTreeSet<[u8; 8]> {
    let ids: BTreeSet<_> = spans.iter().map(|span| span.own.span().bytes()).collect();
    assert_eq!(ids.len(), spans.len(), "each span has an id of its own");
    for span in spans {
        assert_eq!(span.own.id(), came().id());
        assert!(span.start <= span.end, "{span:?}");
        let above = span.parent.map(SpanId::bytes).unwrap();
        assert!(above == came().span().bytes() || ids.contains(&above), "an orphan: {span:?}");
    }
    let batches = spans.iter().filter(|span| span.stage == Stage::Batch);
    batches.map(|span| span.own.span().bytes()).collect()
}

fn sold(layout: &'static [&'static [UnitId]]) -> (Vec<SpanRecord>, Vec<Trace>) {
    let (tracer, spans) = tracer();
    let (mut rig, backends) = (Rig::new(layout), memories(layout.len()));
    rig.trace(Some(tracer));
    open_all(&backends, &mut |stores| {
        let mut gateway = Gateway::default();
        for command in [create(0), receive(1, 0, 4)] {
            rig.ask(command);
            rig.settle(stores);
        }
        assert_eq!(spans.try_iter().count(), 0, "nobody traced it");
        let mut order = place(10, &[(0, 1)], "ok");
        order.trace = Some(came());
        rig.ask(order);
        rig.settle_with(stores, &mut gateway);
    });
    let told = backends.iter().flat_map(|backend: &Arc<dyn Backend>| told(&rows(&**backend)));
    (spans.try_iter().collect(), told.collect())
}

#[test]
fn an_order_is_one_tree_of_spans_whatever_cells_it_crosses() {
    for layout in [ONE, TWO, APART] {
        let (spans, told) = sold(layout);
        let batches = assert_tree(&spans);
        assert!(batches.len() >= 2, "one places, one settles");
        for stage in [Stage::Mailbox, Stage::Load, Stage::Decide] {
            assert_eq!(count(&spans, stage), batches.len(), "{stage:?}");
        }
        assert_eq!(count(&spans, Stage::Save), count(&spans, Stage::Commit));
        assert!(told.len() >= 3, "placed, captured, completed: {told:?}");
        for trace in told {
            assert!(trace.id() == came().id() && trace.is_sampled());
            assert!(batches.contains(&trace.span().bytes()), "an event below no batch");
        }
        if layout == ONE {
            assert_eq!((batches.len(), count(&spans, Stage::Commit)), (2, 2));
        }
    }
}

/// An order with its spans on a store that does what `trouble` says.
fn troubled(trouble: impl Fn(&Bench)) -> (Vec<SpanRecord>, Vec<Trace>) {
    let (tracer, spans) = tracer();
    let mut bench = Bench::stocked();
    bench.rig.trace(Some(tracer));
    let mut order = place(10, &[(0, 1)], "ok");
    order.trace = Some(came());
    bench.rig.ask(order);
    bench.rig.ask(place(11, &[(0, 1)], "ok"));
    trouble(&bench);
    for _ in 0..8 {
        bench.step().unwrap();
    }
    (spans.try_iter().collect(), told(&bench.memory.dump()))
}

#[test]
fn what_was_not_committed_has_no_span_and_no_child() {
    let busy = || Fault::Transient("busy, as planned".to_owned());
    let item = || Fault::Item("refused, as planned".to_owned());
    let calm = troubled(|_| {});
    assert_eq!((count(&calm.0, Stage::Batch), calm.1.len()), (1, 1));
    let check = |what: &str, (spans, told): (Vec<SpanRecord>, Vec<Trace>)| {
        let batches = assert_tree(&spans);
        assert_eq!((batches.len(), told.len()), (1, 1), "{what}");
        assert!(batches.contains(&told[0].span().bytes()), "{what}");
    };
    check("calm", calm);
    for on in [On::Begin, On::Read, On::Write, On::Commit] {
        check("busy", troubled(|bench| bench.memory.faults().fail(on, 2, busy())));
    }
    check("halved", troubled(|bench| bench.memory.faults().fail(On::Write, 1, item())));
    for done in [true, false] {
        check("lost answer", troubled(|bench| lose(bench.memory.faults(), done)));
    }
}

#[test]
fn a_trace_is_carried_on_although_nobody_records_it() {
    let mut bench = Bench::stocked();
    let mut order = place(10, &[(0, 1)], "ok");
    order.trace = Some(came());
    assert!(bench.run(order).is_done());
    assert_eq!(
        bench.rig.record().jobs.iter().map(|job| job.trace).collect::<Vec<_>>(),
        [Some(came())]
    );
    assert!(bench.run(place(11, &[(0, 1)], "ok")).is_done());
    let told = told(&bench.memory.dump());
    assert!(told.iter().all(|trace| *trace == came()) && !told.is_empty(), "{told:?}");
}
