//! A record as the span of OpenTelemetry. Names follow its conventions where it has any.

use std::borrow::Cow;
use std::str::FromStr as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jangbu_engine::trace::{Note, SpanRecord, Stage};
use jangbu_kernel::Time;
use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

/// Makes spans of records.
pub(crate) struct Converter {
    scope: InstrumentationScope,
}

impl Converter {
    pub(crate) fn new() -> Self {
        Self { scope: InstrumentationScope::builder("jangbu").build() }
    }

    pub(crate) fn span(&self, record: SpanRecord) -> SpanData {
        let SpanRecord { stage, own, parent, start, end, failed, notes } = record;
        let name = name(stage, &notes);
        let mut state = TraceState::NONE;
        let mut attributes = Vec::with_capacity(notes.len() + 1);
        for note in notes {
            match note {
                Note::State(text) => state = TraceState::from_str(&text).unwrap_or_default(),
                note => describe(note, &mut attributes),
            }
        }
        let (trace, span) = (own.id().bytes(), own.span().bytes());
        let (trace, span) = (TraceId::from_bytes(trace), SpanId::from_bytes(span));
        let flags = TraceFlags::new(own.flags());
        let parent = parent.map_or(SpanId::INVALID, |span| SpanId::from_bytes(span.bytes()));
        SpanData {
            span_context: SpanContext::new(trace, span, flags, false, state),
            parent_span_id: parent,
            parent_span_is_remote: stage == Stage::Request && parent != SpanId::INVALID,
            span_kind: kind(stage),
            name,
            start_time: moment(start),
            end_time: moment(end.max(start)),
            attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            status: if failed { Status::error("") } else { Status::Unset },
            instrumentation_scope: self.scope.clone(),
        }
    }
}

/// A request is named by its endpoint, a call by what it asks, everything else by itself.
fn name(stage: Stage, notes: &[Note]) -> Cow<'static, str> {
    let named = notes.iter().find_map(|note| match (stage, note) {
        (Stage::Request, Note::Route(method, path)) => Some(format!("{method} {path}")),
        (Stage::Call, Note::Ask(ask)) => Some(format!("call {ask}")),
        (Stage::Publication, Note::Topic(topic)) => Some(format!("publish {topic}")),
        _ => None,
    });
    named.map_or_else(|| Cow::Borrowed(stage.name()), Cow::Owned)
}

fn kind(stage: Stage) -> SpanKind {
    match stage {
        Stage::Request => SpanKind::Server,
        Stage::Call => SpanKind::Client,
        Stage::Publication => SpanKind::Producer,
        Stage::Mailbox
        | Stage::Batch
        | Stage::Load
        | Stage::Decide
        | Stage::Save
        | Stage::Commit
        | Stage::Projection => SpanKind::Internal,
    }
}

fn describe(note: Note, to: &mut Vec<KeyValue>) {
    let number = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let pair = match note {
        Note::Route(method, path) => {
            to.push(KeyValue::new("http.request.method", method));
            KeyValue::new("http.route", path)
        }
        Note::Status(status) => KeyValue::new("http.response.status_code", i64::from(status)),
        Note::Code(code) => KeyValue::new("error.type", code),
        Note::Correlation(id) => KeyValue::new("jangbu.correlation", id),
        Note::Unit(unit) => KeyValue::new("jangbu.unit", unit),
        Note::Items(items) => KeyValue::new("jangbu.items", number(items)),
        Note::Destination(name) => KeyValue::new("jangbu.destination", String::from(name)),
        Note::Ask(ask) => KeyValue::new("jangbu.ask", ask),
        Note::Outcome(outcome) => KeyValue::new("jangbu.outcome", outcome),
        Note::Event(seq) => KeyValue::new("jangbu.event", seq),
        Note::Topic(topic) => KeyValue::new("messaging.destination.name", topic),
        // Stands in the context of the span.
        Note::State(_) => return,
    };
    to.push(pair);
}

fn moment(at: Time) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(u64::try_from(at.0).unwrap_or(0))
}
