//! The trace of a request: `traceparent` and `tracestate` in and out, and the span of the request.
//!
//! | came | with a tracer | without |
//! |---|---|---|
//! | a sampled `traceparent` | its child: recorded, carried on, answered | carried on and answered as it came |
//! | one that is not sampled | answered as it came | the same |
//! | nothing, or what W3C Trace Context calls invalid | one request in so many begins a trace | nothing |
//!
//! `tracestate` goes back with the answer and stands in the span of the request. Commands carry on 25
//! bytes, not text of any length: what they call and publish has a `traceparent` alone.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use jangbu_engine::trace::{Note, SpanRecord, Stage, Tracer};
use jangbu_kernel::{SpanId, Time, Trace};
use jangbu_services::shop::Shop;

use crate::Api;
use crate::route::Route;

pub(crate) const PARENT: HeaderName = HeaderName::from_static("traceparent");
pub(crate) const STATE: HeaderName = HeaderName::from_static("tracestate");

/// Members of a `tracestate`, at most.
const MEMBERS: usize = 32;

/// Characters of a `tracestate` that are passed on; members that do not fit are left out from the end.
const STATE_MAX: usize = 512;

/// What a request has to do with a trace; nothing, for nearly all.
#[derive(Default)]
pub(crate) struct Context(Option<Box<Known>>);

struct Known {
    /// What a command of the request carries on: nothing, if the trace is not recorded.
    carried: Option<Trace>,
    answered: Trace,
    state: Option<HeaderValue>,
    /// The span of the request, if it is ours to record.
    open: Option<Open>,
}

/// A span that ends when it is dropped: also when nobody waits for the answer any more.
struct Open {
    tracer: Arc<dyn Tracer>,
    shop: Arc<Shop>,
    own: Trace,
    parent: Option<SpanId>,
    start: Time,
    failed: bool,
    notes: Vec<Note>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.tracer.record(SpanRecord {
            stage: Stage::Request,
            own: self.own,
            parent: self.parent,
            start: self.start,
            end: self.shop.now(),
            failed: self.failed,
            notes: std::mem::take(&mut self.notes),
        });
    }
}

impl Context {
    /// What `headers` say of a trace, or a new one if it is this request's turn.
    pub(crate) fn of(api: &Api, headers: &HeaderMap, route: &Route, id: &Arc<str>) -> Self {
        let (came, tracer) = (came(headers), api.shop.tracer());
        let (answered, parent) = match (came, tracer) {
            (None, None) => return Self::default(),
            (Some(came), Some(tracer)) if came.is_sampled() => {
                (came.child(tracer.span()), Some(came.span()))
            }
            (Some(came), _) => (came, None),
            (None, Some(tracer)) => match tracer.begin() {
                Some(begun) => (begun, None),
                None => return Self::default(),
            },
        };
        let state = came.and_then(|_| state(headers));
        let open = tracer.as_ref().filter(|_| answered.is_sampled()).map(|tracer| {
            let mut notes =
                vec![Note::Route(route.method, route.path), Note::Correlation(Arc::clone(id))];
            notes.extend(state.as_deref().map(|state| Note::State(state.into())));
            Open {
                tracer: Arc::clone(tracer),
                shop: Arc::clone(&api.shop),
                own: answered,
                parent,
                start: api.shop.now(),
                failed: true,
                notes,
            }
        });
        let carried = Some(answered).filter(|trace| trace.is_sampled());
        let state = state.and_then(|state| HeaderValue::try_from(state).ok());
        Self(Some(Box::new(Known { carried, answered, state, open })))
    }

    /// What a command of the request carries on.
    pub(crate) fn trace(&self) -> Option<Trace> {
        self.0.as_ref()?.carried
    }

    /// The request is answered: `code` is that of its problem.
    pub(crate) fn answer(self, status: u16, code: Option<&'static str>, to: &mut HeaderMap) {
        let Some(mut known) = self.0 else { return };
        if let Ok(parent) = HeaderValue::try_from(known.answered.to_string()) {
            to.insert(PARENT, parent);
        }
        if let Some(state) = known.state.take() {
            to.insert(STATE, state);
        }
        if let Some(open) = &mut known.open {
            open.failed = status >= 500;
            open.notes.push(Note::Status(status));
            open.notes.extend(code.map(Note::Code));
        }
    }
}

/// The `traceparent` of a request. More than one is none.
fn came(headers: &HeaderMap) -> Option<Trace> {
    let mut all = headers.get_all(PARENT).iter();
    let one = all.next()?;
    Trace::parse(one.to_str().ok()?).filter(|_| all.next().is_none())
}

/// The `tracestate` of a request with a `traceparent`, as far as it is passed on. One that is not as
/// it should be is left out as a whole.
fn state(headers: &HeaderMap) -> Option<String> {
    let (mut kept, mut members, mut full) = (String::new(), 0, false);
    for value in headers.get_all(STATE) {
        let value = value.to_str().ok()?;
        for member in value.split(',').map(|member| member.trim_matches([' ', '\t'])) {
            if member.is_empty() {
                continue;
            }
            members += 1;
            if members > MEMBERS || !is_member(member) {
                return None;
            }
            full |= kept.len() + 1 + member.len() > STATE_MAX;
            if !full {
                kept.extend((!kept.is_empty()).then_some(','));
                kept.push_str(member);
            }
        }
    }
    Some(kept).filter(|kept| !kept.is_empty())
}

fn is_member(member: &str) -> bool {
    let Some((key, value)) = member.split_once('=') else { return false };
    let of_key =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-*/@".contains(&byte);
    let begins = key.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    let of_value = |byte: u8| (b' '..=b'~').contains(&byte) && !b",=".contains(&byte);
    begins
        && key.len() <= 256
        && key.bytes().all(of_key)
        && (1..=256).contains(&value.len())
        && value.bytes().all(of_value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        headers
    }

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn two_parents_are_none() {
        assert!(came(&headers(&[("traceparent", GOOD)])).is_some());
        assert_eq!(came(&headers(&[("traceparent", GOOD), ("traceparent", GOOD)])), None);
        assert_eq!(came(&headers(&[("traceparent", "00-é")])), None);
        assert_eq!(came(&headers(&[])), None);
    }

    #[test]
    fn a_tracestate_is_passed_on_within_limits() {
        let passed = |lines: &[&str]| {
            let lines: Vec<_> = lines.iter().map(|line| ("tracestate", *line)).collect();
            state(&headers(&lines))
        };
        assert_eq!(passed(&["a=1"]).as_deref(), Some("a=1"));
        assert_eq!(passed(&["a=1 , b@c=x y", ",,", "0d=2"]).as_deref(), Some("a=1,b@c=x y,0d=2"));
        for bad in ["a", "A=1", "=1", "a=", "a=1=2", "a=é", "_a=1", "a b=1"] {
            assert_eq!(passed(&["z=1", bad]), None, "{bad}");
        }
        assert_eq!(passed(&[]), None);
        assert_eq!(passed(&[" , "]), None);
        let long = |count: usize, length: usize| {
            let member = |n: usize| format!("k{n}={}", "v".repeat(length));
            (0..count).map(member).collect::<Vec<_>>().join(",")
        };
        assert!(passed(&[&long(32, 1)]).is_some());
        assert_eq!(passed(&[&long(33, 1)]), None);
        let kept = passed(&[&long(4, 200)]).unwrap();
        assert!(kept.len() <= STATE_MAX && kept.split(',').count() == 2, "{kept}");
        assert_eq!(passed(&[&long(1, 257)]), None);
    }
}
