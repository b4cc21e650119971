//! An answer that is made beforehand but for the correlation id: to who is not let in, and to who
//! comes too late for something that is gone.

use std::io::Write as _;

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;

use crate::codes::{Own, row_of};
use crate::problem::Problem;
use crate::reply::{CORRELATION, PROBLEM};

/// Stands where the correlation id will; no id is so long.
const MARK: &str =
    "................................................................................";

/// A problem with a hole in it.
#[derive(Debug)]
pub(crate) struct Refusal {
    code: &'static str,
    status: StatusCode,
    /// Worth another try in a second.
    again: bool,
    before: Box<[u8]>,
    after: Box<[u8]>,
}

impl Refusal {
    /// To who is not let in.
    pub(crate) fn new() -> Self {
        let detail = "too much load; nothing was done; wait a second and send it again";
        Self::of(&Problem::of(Own::Shed, detail))
    }

    /// The answer that `problem` is.
    pub(crate) fn of(problem: &Problem) -> Self {
        let (row, whole) = (row_of(problem.code), problem.render(MARK));
        let at = whole.windows(MARK.len()).position(|part| part == MARK.as_bytes());
        let at = at.unwrap_or(whole.len());
        let after = whole.get(at + MARK.len()..).unwrap_or_default();
        let status = StatusCode::from_u16(row.status).unwrap_or_default();
        let (code, again) = (problem.code, row.retryable);
        Self { code, status, again, before: whole[..at].into(), after: after.into() }
    }

    /// With `correlation` in its place. What JSON would have to escape is left out of the body.
    fn body(&self, correlation: &str) -> Vec<u8> {
        let plain = !correlation.bytes().any(|byte| matches!(byte, b'"' | b'\\'));
        let id = if plain { correlation } else { "" };
        [&self.before, id.as_bytes(), &self.after].concat()
    }

    /// The same as it goes over the wire. No date: an answer that is not kept may do without.
    pub(crate) fn raw(&self, correlation: &str) -> Vec<u8> {
        let body = self.body(correlation);
        let length = body.len();
        let mut raw = Vec::with_capacity(256 + length);
        let again = if self.again { "retry-after: 1\r\n" } else { "" };
        // Writing to memory does not fail.
        let _ = write!(
            raw,
            "HTTP/1.1 {}\r\ncontent-type: application/problem+json\r\n{again}\
             x-correlation-id: {correlation}\r\ncontent-length: {length}\r\n\r\n",
            self.status,
        );
        raw.extend_from_slice(&body);
        raw
    }

    /// The code of the problem.
    pub(crate) fn code(&self) -> &'static str {
        self.code
    }

    /// The answer to a request with this correlation id.
    pub(crate) fn answer(&self, correlation: &str) -> Response {
        let mut response = Response::new(Body::from(self.body(correlation)));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.reserve(4);
        headers.insert(CONTENT_TYPE, PROBLEM);
        if self.again {
            headers.insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if let Ok(id) = HeaderValue::from_str(correlation) {
            headers.insert(CORRELATION, id);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_problem_that_it_would_have_been() {
        let refusal = Refusal::new();
        for (id, kept) in [("req_1", "req_1"), ("a\"b", ""), ("a\\", "")] {
            let body: serde_json::Value = serde_json::from_slice(&refusal.body(id)).unwrap();
            assert_eq!((&body["code"], &body["status"]), (&"SHED".into(), &503.into()));
            assert_eq!((&body["requestId"], &body["retryable"]), (&kept.into(), &true.into()));
            assert_eq!(refusal.answer(id).headers()["x-correlation-id"], id);
        }
        let raw = String::from_utf8(refusal.raw("req_1")).unwrap();
        assert!(raw.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{raw}");
        assert!(raw.contains("\r\nretry-after: 1\r\n"), "{raw}");
    }
}
