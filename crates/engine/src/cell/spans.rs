//! What is told of traced commands: when the phases of their batch ended. A batch in which nobody
//! is traced is not measured.

use std::sync::Arc;

use jangbu_kernel::{SpanId, Time, Trace};

use super::{Cell, Done};
use crate::mailbox::Item;
use crate::trace::{Note, SpanRecord, Stage, Tracer};

/// The phases of a batch that end one after the other.
#[derive(Clone, Copy)]
pub(super) enum Phase {
    Load,
    Decide,
    Save,
    Commit,
}

/// What is to be told of a batch once its commit is known.
pub(super) struct Watched {
    tracer: Arc<dyn Tracer>,
    items: u64,
    begun: Time,
    /// When each phase ended; those that did not happen are missing.
    ended: [Option<Time>; 4],
    roots: Vec<Root>,
}

/// A traced command.
struct Root {
    /// Its place in the batch.
    at: usize,
    /// The span of its batch: what follows from it is a child of this one.
    batch: SpanId,
    begun: Time,
    ended: Time,
}

impl Cell {
    /// Begins to watch a batch, if any command of it is traced.
    pub(super) fn watch(&self, batch: &[Item]) -> Option<Box<Watched>> {
        let tracer = self.tracer.as_ref()?;
        batch.iter().any(|item| item.envelope.trace.is_some()).then(|| {
            Box::new(Watched {
                tracer: Arc::clone(tracer),
                items: batch.len() as u64,
                begun: self.mailbox.now(),
                ended: [None; 4],
                roots: Vec::new(),
            })
        })
    }

    /// A root command begins: what follows from it is a child of the span of its batch.
    pub(super) fn enter(&mut self, at: usize, item: &Item, watched: Option<&mut Watched>) {
        self.trace = item.envelope.trace;
        if let (Some(watched), Some(trace)) = (watched, self.trace) {
            let (batch, begun) = (watched.tracer.span(), self.mailbox.now());
            watched.roots.push(Root { at, batch, begun, ended: begun });
            self.trace = Some(trace.child(batch));
        }
    }

    /// It is decided.
    pub(super) fn decided(&mut self, watched: Option<&mut Watched>) {
        if self.trace.take().is_some()
            && let Some(root) = watched.and_then(|watched| watched.roots.last_mut())
        {
            root.ended = self.mailbox.now();
        }
    }

    /// A phase of a batch has ended.
    pub(super) fn phase(&self, phase: Phase, done: &mut Done) {
        if let Some(watched) = &mut done.watched {
            watched.end(phase, self.mailbox.now());
        }
    }
}

impl Watched {
    /// A phase has ended.
    pub(super) fn end(&mut self, phase: Phase, at: Time) {
        self.ended[phase as usize] = Some(at);
    }

    /// Tells of each traced command of the batch, whose commit is known at `now`.
    pub(super) fn tell(&self, batch: &[Item], now: Time) {
        for root in &self.roots {
            let item = &batch[root.at];
            if let Some(trace) = item.envelope.trace {
                self.tell_root(root, item, trace, now);
            }
        }
    }

    fn tell_root(&self, root: &Root, item: &Item, trace: Trace, now: Time) {
        let came = if item.came.0 == 0 { self.begun } else { item.came.min(self.begun) };
        self.below(trace, Stage::Mailbox, (came, self.begun));
        // A batch that wrote nothing ended with its last decision.
        let wrote = self.ended[Phase::Save as usize].is_some();
        let [loaded, decided, saved, committed] = self.ended.map(|at| at.unwrap_or(now));
        let mut notes = vec![Note::Unit(item.envelope.to.0), Note::Items(self.items)];
        notes.extend(item.envelope.correlation.clone().map(Note::Correlation));
        let end = if wrote { committed } else { decided };
        let own = trace.child(root.batch);
        self.tracer.record(SpanRecord {
            stage: Stage::Batch,
            own,
            parent: Some(trace.span()),
            start: self.begun,
            end,
            failed: false,
            notes,
        });
        self.below(own, Stage::Load, (self.begun, loaded));
        self.below(own, Stage::Decide, (root.begun, root.ended));
        if wrote {
            self.below(own, Stage::Save, (decided, saved));
            self.below(own, Stage::Commit, (saved, committed));
        }
    }

    /// Records a span below that of `above`.
    fn below(&self, above: Trace, stage: Stage, (start, end): (Time, Time)) {
        let (own, parent) = (above.child(self.tracer.span()), Some(above.span()));
        let notes = Vec::new();
        self.tracer.record(SpanRecord { stage, own, parent, start, end, failed: false, notes });
    }
}
