//! The way of an answer back to the unit that asked, and what is told of a traced call.

use jangbu_kernel::{
    Correlation, Envelope, Job, Lane, Origin, Payload, SpanId, Time, Trace, UnitId,
};

use super::flight::{InFlight, Key};
use super::{Heard, Inner};
use crate::trace::{Note, SpanRecord, Stage};

/// What an envelope counts against the mailbox.
const BYTES: usize = 256;

/// Where an answer goes.
#[derive(Debug)]
pub(super) struct Back {
    to: UnitId,
    correlation: Correlation,
    /// What follows from the answer is a child of the call.
    trace: Option<Trace>,
}

impl Back {
    /// The way back of `job`.
    pub(super) fn of(job: &Job) -> Self {
        Self { to: job.to, correlation: job.correlation.clone(), trace: job.trace }
    }

    /// Leaves no correlation id behind.
    pub(super) fn take(&mut self) -> Self {
        Self { to: self.to, correlation: self.correlation.take(), trace: self.trace }
    }

    /// The answer as a command.
    pub(super) fn envelope(self, now: Time, body: Box<dyn Payload>) -> Envelope {
        Envelope {
            to: self.to,
            origin: Origin::Event,
            now,
            deadline: None,
            lane: Lane::Checkout,
            bytes: BYTES,
            key: None,
            correlation: self.correlation,
            trace: self.trace,
            operator: None,
            share: None,
            body,
        }
    }
}

/// The span of a traced call.
#[derive(Debug)]
pub(super) struct Traced {
    own: Trace,
    above: SpanId,
    ask: &'static str,
    correlation: Correlation,
}

impl Inner {
    /// An answer has come.
    pub(super) fn answered(&self, key: Key, back: Back, heard: Heard) {
        let now = self.clock.now();
        let mut state = self.state.lock();
        let call = state.flight.remove(key);
        match call {
            None => state.stats.late += 1,
            Some(mut call) => {
                let took = now - call.started;
                let ended = if heard.healthy { "answered" } else { "unhealthy" };
                self.tell(&mut call, now, (ended, !heard.healthy));
                state.breaker.record(now, call.permit, heard.healthy, took);
                state.stats.answered += 1;
                state.stats.unhealthy += u64::from(!heard.healthy);
                state.stats.answered_us += u64::try_from(took.0).unwrap_or(0);
            }
        }
        self.post(state, [back.envelope(now, heard.answer)]);
    }

    /// The caller let go of a call.
    pub(super) fn given_up(&self, key: Key) {
        let mut state = self.state.lock();
        let Some(call) = state.flight.get_mut(key) else { return };
        call.given_up = true;
        // Without its job, it is in the hands of somebody who will see the mark or end it anyway.
        let Some(job) = call.job.take() else { return };
        drop(state);
        self.end_open(key, &job);
    }

    /// No answer will come any more: the outcome is open at once.
    pub(super) fn end_open(&self, key: Key, job: &Job) {
        let body = self.caller.timed_out(job);
        let now = self.clock.now();
        let mut state = self.state.lock();
        if let Some(mut call) = state.flight.remove(key) {
            self.tell(&mut call, now, ("given up", true));
            state.breaker.record(now, call.permit, false, now - call.started);
            state.stats.given_up += 1;
        }
        self.post(state, [Back::of(job).envelope(now, body)]);
    }

    /// Gives a call that was admitted a span of its own, if its job is traced.
    pub(super) fn watch(&self, key: Key, job: &mut Job) {
        let (Some(tracer), Some(trace)) = (&self.tracer, job.trace) else { return };
        let own = trace.child(tracer.span());
        job.trace = Some(own);
        let (above, ask) = (trace.span(), self.caller.asks(job));
        let traced = Traced { own, above, ask, correlation: job.correlation.clone() };
        if let Some(call) = self.state.lock().flight.get_mut(key) {
            call.traced = Some(Box::new(traced));
        }
    }

    /// Tells of a call that is over.
    pub(super) fn tell(
        &self,
        call: &mut InFlight,
        end: Time,
        (outcome, failed): (&'static str, bool),
    ) {
        let (Some(tracer), Some(traced)) = (&self.tracer, call.traced.take()) else { return };
        let Traced { own, above, ask, correlation } = *traced;
        let destination = Note::Destination(self.caller.name().into());
        let mut notes = vec![destination, Note::Ask(ask), Note::Outcome(outcome)];
        notes.extend(correlation.map(Note::Correlation));
        tracer.record(SpanRecord {
            stage: Stage::Call,
            own,
            parent: Some(above),
            start: call.started,
            end,
            failed,
            notes,
        });
    }
}
