//! The publication of traced events: a span for each, below that of its commit, from handing over to
//! the acknowledgement. The header `traceparent` names it, so that readers go on below it.

use std::sync::Arc;

use jangbu_engine::trace::{Note, SpanRecord, Stage, Tracer};
use jangbu_kernel::{SpanId, Time, Trace};

use super::{Pending, Relay};

/// A publication that is under way.
#[derive(Debug)]
pub(super) struct Publication {
    own: Trace,
    parent: SpanId,
    start: Time,
    topic: &'static str,
    seq: i64,
}

impl Relay {
    /// What is handed over for the first time begins its spans.
    pub(super) fn begin_spans(&mut self) {
        let Some((tracer, clock)) = self.tracer.as_ref().filter(|_| !self.queue.is_empty()) else {
            return;
        };
        let start = clock.now();
        let handed = self.pending.len() - self.queue.len();
        for (event, item) in self.pending.range_mut(handed..).zip(&mut self.queue) {
            let Some(record) = item.record.as_mut().filter(|_| event.span.is_none()) else {
                continue;
            };
            let trace = record.trace.as_deref().and_then(Trace::parse);
            let Some(trace) = trace.filter(|trace| trace.is_sampled()) else { continue };
            let own = trace.child(tracer.span());
            record.trace = Some(own.to_string().into());
            let (parent, topic, seq) = (trace.span(), record.topic.name, record.seq);
            event.span = Some(Box::new(Publication { own, parent, start, topic, seq }));
        }
    }
}

/// What became of an event is known.
pub(super) fn over(tracer: Option<&Arc<dyn Tracer>>, event: &mut Pending, end: Time, failed: bool) {
    let (Some(tracer), Some(publication)) = (tracer, event.span.take()) else { return };
    let Publication { own, parent, start, topic, seq } = *publication;
    tracer.record(SpanRecord {
        stage: Stage::Publication,
        own,
        parent: Some(parent),
        start,
        end,
        failed,
        notes: vec![Note::Topic(topic), Note::Event(seq)],
    });
}
