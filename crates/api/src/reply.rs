//! Answers before they are HTTP, and the one place that renders them.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use serde::Serialize;

use crate::codes::row_of;
use crate::problem::Problem;

pub(crate) const CORRELATION: HeaderName = HeaderName::from_static("x-correlation-id");
const TIMING: HeaderName = HeaderName::from_static("server-timing");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const APPLIED: HeaderName = HeaderName::from_static("preference-applied");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
pub(crate) const PROBLEM: HeaderValue = HeaderValue::from_static("application/problem+json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");

/// How long a request took, from its receipt.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    /// To its first commit.
    pub(crate) accept: Duration,
    /// To the settled outcome.
    pub(crate) settle: Option<Duration>,
}

impl Timing {
    pub(crate) fn accepted(from: Instant, to: Instant) -> Self {
        Self { accept: to.saturating_duration_since(from), settle: None }
    }

    /// `accept;dur=1.234, settle;dur=12.345`
    fn header(self) -> String {
        let mut text = String::with_capacity(48);
        let ms = |took: Duration| (took.as_micros() / 1_000, took.as_micros() % 1_000);
        let (whole, part) = ms(self.accept);
        let _ = write!(text, "accept;dur={whole}.{part:03}");
        if let Some((whole, part)) = self.settle.map(ms) {
            let _ = write!(text, ", settle;dur={whole}.{part:03}");
        }
        text
    }
}

/// A good answer.
#[derive(Debug)]
pub(crate) struct Reply {
    status: u16,
    body: Bytes,
    kind: HeaderValue,
    location: Option<String>,
    timing: Option<Timing>,
    replayed: bool,
    applied: bool,
}

/// A body. Our types always serialise: none has a key that is not text.
pub(crate) fn json(body: &impl Serialize) -> Vec<u8> {
    json_into(Vec::with_capacity(512), body)
}

/// The same, behind what is in `bytes` already.
pub(crate) fn json_into(mut bytes: Vec<u8>, body: &impl Serialize) -> Vec<u8> {
    if let Err(error) = serde_json::to_writer(&mut bytes, body) {
        tracing::error!(%error, "a body cannot be written");
    }
    bytes
}

impl Reply {
    pub(crate) fn json(status: u16, body: &impl Serialize) -> Self {
        Self::bytes(status, json(body), JSON)
    }

    pub(crate) fn ok(body: &impl Serialize) -> Self {
        Self::json(200, body)
    }

    /// A body that was written before.
    pub(crate) fn written(body: Bytes) -> Self {
        Self::bytes(200, body, JSON)
    }

    pub(crate) fn text(body: String) -> Self {
        Self::bytes(200, body.into_bytes(), TEXT)
    }

    /// A page for people.
    pub(crate) fn html(body: String) -> Self {
        Self::bytes(200, body.into_bytes(), HTML)
    }

    fn bytes(status: u16, body: impl Into<Bytes>, kind: HeaderValue) -> Self {
        let body = body.into();
        Self { status, body, kind, location: None, timing: None, replayed: false, applied: false }
    }

    pub(crate) fn at(mut self, location: String) -> Self {
        self.location = Some(location);
        self
    }

    pub(crate) fn timed(mut self, timing: Timing) -> Self {
        self.timing = Some(timing);
        self
    }

    pub(crate) fn replayed(mut self, replayed: bool) -> Self {
        self.replayed = replayed;
        self
    }

    /// `Prefer: respond-async` was honoured.
    pub(crate) fn applied(mut self, applied: bool) -> Self {
        self.applied = applied;
        self
    }

    fn render(self) -> Response {
        let mut response = bare(self.status, self.body, self.kind, self.timing, self.replayed);
        let headers = response.headers_mut();
        if let Some(location) = self.location.and_then(|text| HeaderValue::try_from(text).ok()) {
            headers.insert(LOCATION, location);
        }
        if self.applied {
            headers.insert(APPLIED, HeaderValue::from_static("respond-async"));
        }
        response
    }
}

fn bare(
    status: u16,
    body: Bytes,
    kind: HeaderValue,
    timing: Option<Timing>,
    replayed: bool,
) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() =
        StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, kind);
    if let Some(timing) = timing.and_then(|timing| HeaderValue::try_from(timing.header()).ok()) {
        headers.insert(TIMING, timing);
    }
    if replayed {
        headers.insert(REPLAYED, HeaderValue::from_static("true"));
    }
    response
}

/// The HTTP answer, with the correlation id on it whatever it is; and the problem that it tells.
pub(crate) fn respond(
    correlation: &str,
    result: Result<Reply, Problem>,
) -> (Response, Option<Problem>) {
    let (mut response, problem) = match result {
        Ok(reply) => (reply.render(), None),
        Err(problem) => (refuse(correlation, &problem), Some(problem)),
    };
    if let Ok(id) = HeaderValue::from_str(correlation) {
        response.headers_mut().insert(CORRELATION, id);
    }
    (response, problem)
}

fn refuse(correlation: &str, problem: &Problem) -> Response {
    if let Some(ready) = &problem.ready {
        return ready.answer(correlation);
    }
    let row = row_of(problem.code);
    let body = problem.render(correlation).into();
    let mut response = bare(row.status, body, PROBLEM, problem.timing, problem.replayed);
    let headers = response.headers_mut();
    match problem.after {
        Some(seconds) => drop(headers.insert(RETRY_AFTER, HeaderValue::from(seconds))),
        None if row.retryable && matches!(row.status, 429 | 503) => {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        None => {}
    }
    if row.status == 401 {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_milliseconds_with_microseconds() {
        let us = Duration::from_micros;
        let timing = Timing { accept: us(1_004), settle: Some(us(12_345)) };
        assert_eq!(timing.header(), "accept;dur=1.004, settle;dur=12.345");
        let timing = Timing { accept: us(7), settle: None };
        assert_eq!(timing.header(), "accept;dur=0.007");
    }
}
