//! What is told of traced events: one span for each and consumer, below the commit that published it.

use jangbu_engine::trace::{Note, SpanRecord, Stage, Tracing};
use jangbu_kernel::{Time, Trace};

use super::name;
use super::runner::Runner;

impl Runner {
    /// The same with a tracer.
    pub(super) fn with_tracer(mut self, tracer: Tracing) -> Self {
        self.tracer = tracer;
        self
    }

    /// These events (each with the span that it is below) were taken in by one commit.
    pub(super) fn tell(&self, events: &[(Trace, i64)], (start, end): (Time, Time)) {
        let Some(tracer) = &self.tracer else { return };
        for (trace, seq) in events {
            let consumer = Note::Destination(name(self.number()).into());
            tracer.record(SpanRecord {
                stage: Stage::Projection,
                own: trace.child(tracer.span()),
                parent: Some(trace.span()),
                start,
                end,
                failed: false,
                notes: vec![consumer, Note::Event(*seq)],
            });
        }
    }
}
