//! What is told of traced commands: a record for each span, through a port that never waits. The
//! engine knows no exporter.
//!
//! ```text
//! request ─┬─ mailbox        waits for its batch
//!          └─ batch ─┬─ load, decide, save, commit
//!                    ├─ call ─┬─ mailbox         the gateway's answer waits
//!                    │        └─ batch ── …      and is carried out
//!                    └─ projection, publication  of the events of that commit
//! ```
//!
//! 1. A command without a [`Trace`] costs nothing here but the look whether it has one.
//! 2. A span is recorded when it is over. One of a batch, only once its commit is known: what was not
//!    committed has no children.
//! 3. The queue is bounded. What finds it full is dropped and counted, never waited for.

use std::hash::Hasher as _;
use std::num::{NonZeroU64, NonZeroU128};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use jangbu_kernel::{SpanId, Time, Trace, TraceId};
use siphasher::sip::SipHasher24;
use tracing::field::{DisplayValue, display};

/// What a span is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// A request, from its receipt to its answer.
    Request,
    /// A command waits for its batch.
    Mailbox,
    /// The batch of a command, from its begin to its commit.
    Batch,
    /// The rows that the batch wants are read.
    Load,
    /// The command and its cascade are decided.
    Decide,
    /// The rows of the batch are written.
    Save,
    /// The batch is committed.
    Commit,
    /// A call to the outside.
    Call,
    /// An event is taken in by a projection.
    Projection,
    /// An event leaves the process.
    Publication,
}

impl Stage {
    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Mailbox => "mailbox",
            Self::Batch => "batch",
            Self::Load => "load",
            Self::Decide => "decide",
            Self::Save => "save",
            Self::Commit => "commit",
            Self::Call => "call",
            Self::Projection => "projection",
            Self::Publication => "publication",
        }
    }
}

/// What is to be known of a span besides its times. Never personal data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// Method and path template of an endpoint.
    Route(&'static str, &'static str),
    /// The status of an answer.
    Status(u16),
    /// The code of a refusal.
    Code(&'static str),
    /// The correlation id.
    Correlation(Arc<str>),
    /// The `tracestate` that came.
    State(Box<str>),
    /// The unit of a command.
    Unit(&'static str),
    /// Commands of a batch, or events.
    Items(u64),
    /// Where a call goes.
    Destination(Box<str>),
    /// What was asked there.
    Ask(&'static str),
    /// How a call ended.
    Outcome(&'static str),
    /// The number of an event.
    Event(i64),
    /// The topic of an event.
    Topic(&'static str),
}

/// A span that is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpanRecord {
    /// What it is about.
    pub stage: Stage,
    /// Its trace; what follows from it is a child of its id.
    pub own: Trace,
    /// The span that it is a child of; none: it begins its trace.
    pub parent: Option<SpanId>,
    /// Its begin.
    pub start: Time,
    /// Its end.
    pub end: Time,
    /// It did not go well.
    pub failed: bool,
    /// What else is to be known.
    pub notes: Vec<Note>,
}

/// How many spans there were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SpanCounts {
    /// Put into the queue.
    pub recorded: u64,
    /// Dropped because the queue was full.
    pub dropped: u64,
    /// Exported.
    pub exported: u64,
    /// Given up because whoever collects them could not be reached.
    pub lost: u64,
}

/// Takes spans. No call may wait for anything.
pub trait Tracer: Send + Sync + std::fmt::Debug {
    /// A new trace, if the next request is one to be recorded. Its span is that of the request.
    fn begin(&self) -> Option<Trace>;

    /// The id of a new span.
    fn span(&self) -> SpanId;

    /// Records a span.
    fn record(&self, span: SpanRecord);

    /// How many there were.
    fn counts(&self) -> SpanCounts;
}

/// A tracer, or none: then traces that come from outside are only carried on.
pub type Tracing = Option<Arc<dyn Tracer>>;

/// The id of a trace, as log lines show it; nothing, if there is none.
pub fn shown(trace: Option<Trace>) -> Option<DisplayValue<TraceId>> {
    trace.map(|trace| display(trace.id()))
}

/// How many requests out of a million begin a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PerMillion(pub u32);

/// The bounded queue between those who record and one who exports.
#[derive(Debug)]
pub struct Queue {
    spans: SyncSender<SpanRecord>,
    sample: PerMillion,
    /// Key and counter of the ids: they need not be secret, only never come twice.
    key: [u8; 16],
    drawn: AtomicU64,
    counts: Arc<Counts>,
}

/// What is counted of spans, by those who record and by the one who exports.
#[derive(Debug, Default)]
pub struct Counts {
    recorded: AtomicU64,
    dropped: AtomicU64,
    exported: AtomicU64,
    lost: AtomicU64,
}

impl Counts {
    /// So many were exported.
    pub fn exported(&self, spans: u64) {
        self.exported.fetch_add(spans, Ordering::Relaxed);
    }

    /// So many were given up.
    pub fn lost(&self, spans: u64) {
        self.lost.fetch_add(spans, Ordering::Relaxed);
    }
}

impl Queue {
    /// A queue of at most `most` spans, and its other end. `key` is random.
    pub fn new(most: usize, sample: PerMillion, key: [u8; 16]) -> (Self, Receiver<SpanRecord>) {
        let (spans, taken) = sync_channel(most);
        let (drawn, counts) = (AtomicU64::new(0), Arc::default());
        (Self { spans, sample, key, drawn, counts }, taken)
    }

    /// For whoever exports.
    pub fn counted(&self) -> Arc<Counts> {
        Arc::clone(&self.counts)
    }

    /// A number that looks random.
    fn number(&self) -> u64 {
        let mut hasher = SipHasher24::new_with_key(&self.key);
        hasher.write_u64(self.drawn.fetch_add(1, Ordering::Relaxed));
        hasher.finish()
    }

    fn trace(&self) -> TraceId {
        let number = u128::from(self.number()) << 64 | u128::from(self.number());
        TraceId::new(NonZeroU128::new(number).unwrap_or(NonZeroU128::MAX))
    }
}

impl Tracer for Queue {
    fn begin(&self) -> Option<Trace> {
        let PerMillion(sample) = self.sample;
        let turn = sample > 0 && self.number() % 1_000_000 < u64::from(sample);
        turn.then(|| Trace::begin(self.trace(), self.span()))
    }

    fn span(&self) -> SpanId {
        SpanId::new(NonZeroU64::new(self.number()).unwrap_or(NonZeroU64::MAX))
    }

    fn record(&self, span: SpanRecord) {
        let sent = self.spans.try_send(span);
        let counter = if sent.is_ok() { &self.counts.recorded } else { &self.counts.dropped };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn counts(&self) -> SpanCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Counts { recorded, dropped, exported, lost } = &*self.counts;
        SpanCounts {
            recorded: read(recorded),
            dropped: read(dropped),
            exported: read(exported),
            lost: read(lost),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn queue(most: usize, sample: u32) -> (Queue, Receiver<SpanRecord>) {
        Queue::new(most, PerMillion(sample), [7; 16])
    }

    fn record(queue: &Queue) {
        let own = queue.begin().unwrap();
        let (start, end) = (Time(1), Time(2));
        let notes = Vec::new();
        let stage = Stage::Request;
        queue.record(SpanRecord { stage, own, parent: None, start, end, failed: false, notes });
    }

    #[test]
    fn spans_that_find_the_queue_full_are_dropped_and_counted() {
        let (queue, taken) = queue(2, 1_000_000);
        for _ in 0..5 {
            record(&queue);
        }
        let counts = queue.counts();
        assert_eq!((counts.recorded, counts.dropped), (2, 3));
        assert_eq!(taken.try_iter().count(), 2);
        record(&queue);
        assert_eq!(queue.counts().recorded, 3);
        drop(taken);
        record(&queue);
        assert_eq!(queue.counts().dropped, 4, "nobody takes them any more");
    }

    #[test]
    fn as_many_requests_begin_a_trace_as_were_asked_for() {
        let begun = |sample| {
            let (queue, _taken) = queue(1, sample);
            (0..10_000).filter(|_| queue.begin().is_some()).count()
        };
        assert_eq!((begun(0), begun(1_000_000)), (0, 10_000));
        let some = begun(10_000);
        assert!((50..200).contains(&some), "{some}");
    }

    #[test]
    fn ids_never_come_twice() {
        let (queue, _taken) = queue(1, 1_000_000);
        let traces: HashSet<_> = (0..10_000).map(|_| queue.begin().unwrap()).collect();
        let spans: HashSet<_> = traces.iter().map(|trace| trace.span()).collect();
        assert_eq!((traces.len(), spans.len()), (10_000, 10_000));
        assert!(traces.iter().all(|trace| trace.is_sampled()));
    }
}
