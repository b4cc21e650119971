//! A request as an endpoint sees it: admitted, read, and easy to take apart.

use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::RequestPartsExt;
use axum::body::{Body, HttpBody};
use axum::extract::{Query, RawPathParams};
use axum::http::header::{ACCEPT, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Uri};
use bytes::{Bytes, BytesMut};
use jangbu_engine::position::Position;
use jangbu_kernel::{Envelope, Trace};
use parking_lot::Mutex;
use serde::Deserialize;

use crate::admission::Permit;
use crate::auth::{Caller, Claim, Role};
use crate::codes::Own;
use crate::problem::Problem;
use crate::reply::CORRELATION;
use crate::route::Route;
use crate::{Api, Settings, catalog, explain, idempotency, journal, view};

pub(crate) const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const PREFER: HeaderName = HeaderName::from_static("prefer");
const REASON: HeaderName = HeaderName::from_static("x-reason");
const CORRELATION_MAX: usize = 64;
const REASON_MAX: usize = 500;

/// An admitted request.
#[derive(Debug)]
pub(crate) struct Call {
    /// The endpoint's name.
    pub(crate) name: &'static str,
    /// Who asks.
    pub(crate) caller: Caller,
    /// Goes through everything that follows.
    pub(crate) correlation: Arc<str>,
    /// So does this, if the request is traced.
    pub(crate) trace: Option<Trace>,
    /// The endpoint is for operators: what it writes is audited.
    pub(crate) operates: bool,
    /// When the request arrived.
    pub(crate) started: Instant,
    /// The caller does not want to wait for the outcome.
    pub(crate) respond_async: bool,
    /// A person looks at the answer.
    pub(crate) html: bool,
    /// What a read must not be older than.
    pub(crate) after: Option<Position>,
    permit: Mutex<Option<Permit>>,
    key: Box<str>,
    reason: Box<str>,
    params: Vec<Box<str>>,
    uri: Uri,
    body: Bytes,
    /// Names of the query parameters that the endpoint knows.
    known: &'static [&'static str],
}

/// What is known of a request before it is admitted.
#[derive(Debug)]
pub(crate) struct Came {
    pub(crate) correlation: Arc<str>,
    pub(crate) trace: Option<Trace>,
    pub(crate) started: Instant,
}

impl Call {
    /// Admits a request, in this order: who, which key, what.
    pub(crate) async fn admit(
        api: &Api,
        route: &'static Route,
        (mut parts, body): (Parts, Body),
        (came, permit): (Came, Permit),
    ) -> Result<Self, Problem> {
        let Came { correlation, trace, started } = came;
        let claim = Claim::read(&api.door(), &parts, route)?;
        let key = if route.keyed {
            idempotency::header(parts.headers.get(KEY).map(HeaderValue::as_bytes))?
        } else if let Some(key) = parts.headers.get(KEY).filter(|_| route.may_be_keyed()) {
            idempotency::header(Some(key.as_bytes()))?
        } else {
            Box::default()
        };
        let body = match route.method {
            "GET" => Bytes::new(),
            _ => {
                read(&parts.headers, body, (longest(route, &api.settings), api.settings.request))
                    .await?
            }
        };
        let caller =
            claim.settle(&api.door(), (&parts.method, parts.uri.path_and_query()), &body)?;
        if matches!(caller.role, Role::Merchant | Role::Customer | Role::Client) {
            api.limits.key(&caller.name).await?;
        }
        let after = view::brought(route, &parts.headers)?;
        api.reach(after).await?;
        let params = if route.path.contains('{') { params(&mut parts).await? } else { Vec::new() };
        let call = Self {
            name: route.name,
            caller,
            operates: route.role == Role::Operator,
            correlation,
            trace,
            started,
            respond_async: wants_async(&parts.headers),
            html: route.method == "GET" && wants_html(&parts.headers),
            after,
            permit: Mutex::new(Some(permit)),
            key,
            reason: reason(parts.headers.get(REASON))?,
            params,
            uri: parts.uri,
            body,
            known: route.doc.query,
        };
        if route.role > Role::Anybody && route.doc.query.is_empty() && call.uri.query().is_some() {
            call.query()?;
        }
        Ok(call)
    }

    /// Lets a command carry on what goes through everything that follows from this request.
    pub(crate) fn mark(&self, envelope: &mut Envelope) {
        envelope.correlation = Some(Arc::clone(&self.correlation));
        envelope.trace = self.trace;
    }

    /// The header `X-Reason`, or nothing.
    pub(crate) fn reason(&self) -> &str {
        &self.reason
    }

    /// The place among those in flight, for the command of this call: whoever waits for a commit
    /// gives it to [`Api::ask`] to hold, so that it comes back with the answer. Otherwise it comes
    /// back when the call ends.
    pub(crate) fn permit(&self) -> Option<Permit> {
        self.permit.lock().take().map(Permit::of_command)
    }

    /// The idempotency key; empty on routes without one.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// The length of the body.
    pub(crate) fn length(&self) -> usize {
        self.body.len()
    }

    /// The first part of the path that is a parameter.
    pub(crate) fn param(&self) -> &str {
        self.params.first().map_or("", |param| param)
    }

    /// The part of the path that is parameter number `at`.
    pub(crate) fn param_at(&self, at: usize) -> &str {
        self.params.get(at).map_or("", |param| param)
    }

    /// The body: an object. No body at all is one without fields.
    pub(crate) fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Problem> {
        let body = if self.body.is_empty() { b"{}" } else { &*self.body };
        // Serde would take the fields from an array too, by their places.
        if body.trim_ascii_start().first() == Some(&b'[') {
            return Err(explain::array(body));
        }
        serde_json::from_slice(body).map_err(|error| explain::body::<T>(body, &error))
    }

    /// The query parameters, each of which must be known and come once.
    pub(crate) fn query(&self) -> Result<Params, Problem> {
        let invalid = |detail: String| Problem::of(Own::InvalidParameter, detail);
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(&self.uri)
            .map_err(|_| invalid("the query cannot be read".to_owned()))?;
        for (at, (name, _)) in pairs.iter().enumerate() {
            let known = self.known.iter().map(|known| known.trim_end_matches('!'));
            if !known.clone().any(|known| known == name) {
                let (name, known) = (explain::shown(name), known.collect::<Vec<_>>());
                let message = format!("is not known here; this call knows [{}]", known.join(", "));
                return Err(invalid(format!("{name} {message}")).at(name, message));
            }
            if pairs[..at].iter().any(|(other, _)| other == name) {
                return Err(invalid(format!("{name} comes twice")).at(name, "comes twice"));
            }
        }
        Ok(Params(pairs))
    }
}

/// Query parameters.
#[derive(Debug)]
pub(crate) struct Params(Vec<(String, String)>);

/// Items on a page, unless the caller says otherwise, and at most.
pub(crate) const PAGE: u32 = 20;
pub(crate) const PAGE_MAX: u32 = 100;

impl Params {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn required(&self, name: &str) -> Result<&str, Problem> {
        self.get(name).ok_or_else(|| {
            let detail = format!("{name} is required");
            Problem::of(Own::InvalidParameter, detail).at(name, "is required")
        })
    }

    /// Items on a page.
    pub(crate) fn limit(&self) -> Result<u32, Problem> {
        let Some(text) = self.get("limit") else { return Ok(PAGE) };
        let limit = text.parse().ok().filter(|limit| (1..=PAGE_MAX).contains(limit));
        limit.ok_or_else(|| self.bad("limit", format!("must be 1 to {PAGE_MAX}")))
    }

    /// Where the page before ended, read by `parse`.
    pub(crate) fn cursor<T>(
        &self,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        let Some(text) = self.get("cursor") else { return Ok(None) };
        let bad = || self.bad("cursor", "must be a nextCursor of this list".to_owned());
        parse(text).map(Some).ok_or_else(bad)
    }

    #[expect(clippy::unused_self, reason = "reads like the other accessors")]
    pub(crate) fn bad(&self, name: &str, message: String) -> Problem {
        Problem::of(Own::InvalidParameter, format!("{name}: {message}")).at(name, message)
    }
}

async fn params(parts: &mut Parts) -> Result<Vec<Box<str>>, Problem> {
    let bad = |_| Problem::of(Own::NotFound, "the path is not UTF-8");
    let params: RawPathParams = parts.extract().await.map_err(bad)?;
    Ok(params.iter().map(|(_, value)| value.into()).collect())
}

/// Why an operator acts: text in which `%` begins an escaped byte of UTF-8.
pub(crate) fn reason(value: Option<&HeaderValue>) -> Result<Box<str>, Problem> {
    let Some(value) = value else { return Ok(Box::default()) };
    let text = unescaped(value.as_bytes()).and_then(|bytes| String::from_utf8(bytes).ok());
    let short = text.filter(|text| jangbu_kernel::words::is_prose(text, REASON_MAX));
    short.map(String::into_boxed_str).ok_or_else(|| {
        let detail = "X-Reason is at most 500 characters of UTF-8, percent-encoded where needed";
        Problem::of(Own::InvalidParameter, detail).at("X-Reason", detail)
    })
}

fn unescaped(mut bytes: &[u8]) -> Option<Vec<u8>> {
    let mut plain = Vec::with_capacity(bytes.len());
    while let [first, rest @ ..] = bytes {
        bytes = rest;
        if *first == b'%' {
            let (digits, rest) = bytes.split_at_checked(2)?;
            let digits = std::str::from_utf8(digits).ok()?;
            plain.push(u8::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'))?);
            bytes = rest;
        } else {
            plain.push(*first);
        }
    }
    Some(plain)
}

fn wants_html(headers: &HeaderMap) -> bool {
    let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|kinds| kinds.contains("text/html"))
}

fn wants_async(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(PREFER) else { return false };
    let mut wishes = value.to_str().unwrap_or_default().split(',');
    wishes.any(|wish| wish.trim().eq_ignore_ascii_case("respond-async"))
}

/// The correlation id that came, or one of ours; a bad one is a problem, reported under ours.
pub(crate) fn correlation(api: &Api, headers: &HeaderMap) -> (Arc<str>, Result<(), Problem>) {
    let given = headers.get(CORRELATION).map(HeaderValue::as_bytes);
    if let Some(given) = given {
        match std::str::from_utf8(given) {
            Ok(text) if is_correlation(text) => return (text.into(), Ok(())),
            _ => {}
        }
    }
    let ours = minted(api);
    let verdict = match given {
        None => Ok(()),
        Some(_) => Err(Problem::of(
            Own::CorrelationInvalid,
            "an X-Correlation-ID is 1 to 64 visible ASCII characters without blanks",
        )),
    };
    (ours, verdict)
}

/// Whether it may be a correlation id.
pub(crate) fn is_correlation(text: &str) -> bool {
    let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
    visible && (1..=CORRELATION_MAX).contains(&text.len())
}

/// A correlation id of ours.
pub(crate) fn minted(api: &Api) -> Arc<str> {
    let mut ours = *b"req_0000000000000";
    let mut digits = [0; 13];
    jangbu_kernel::id::encode(api.shop.mint(), &mut digits);
    ours[4..].copy_from_slice(&digits);
    std::str::from_utf8(&ours).unwrap_or_default().into()
}

/// The longest body that a route takes.
fn longest(route: &Route, settings: &Settings) -> usize {
    match route.name {
        journal::NAME => journal::BODY.max(settings.body),
        catalog::NAME => catalog::BODY.max(settings.body),
        _ => settings.body,
    }
}

/// Reads the body within the limits of size and time.
async fn read(
    headers: &HeaderMap,
    body: Body,
    (longest, patience): (usize, Duration),
) -> Result<Bytes, Problem> {
    let length = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if length.is_some_and(|length: u64| length > longest as u64) {
        return Err(too_large(longest));
    }
    // Nothing is ever unpacked, so that nothing small can become large.
    let packed = |value: &HeaderValue| !value.as_bytes().eq_ignore_ascii_case(b"identity");
    if headers.get_all(CONTENT_ENCODING).iter().any(packed) {
        return Err(Problem::of(
            Own::MediaType,
            "send the body as it is, without Content-Encoding",
        ));
    }
    let read = tokio::time::timeout(patience, collect(body, longest)).await;
    let bytes = read.map_err(|_| {
        Problem::of(Own::BodyTimeout, "the connection was too slow; nothing was done")
    })??;
    if bytes.is_empty() || is_json(headers) {
        Ok(bytes)
    } else {
        Err(Problem::of(Own::MediaType, "send `Content-Type: application/json`"))
    }
}

fn too_large(limit: usize) -> Problem {
    Problem::of(Own::BodyTooLarge, format!("a body has at most {limit} bytes"))
}

async fn collect(mut body: Body, limit: usize) -> Result<Bytes, Problem> {
    let (mut first, mut rest) = (Bytes::new(), BytesMut::new());
    loop {
        let frame = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
        let Some(frame) = frame else { break };
        let broken = |_| Problem::of(Own::BodyBroken, "the connection broke; nothing was done");
        let Ok(data) = frame.map_err(broken)?.into_data() else { continue };
        if first.len() + rest.len() + data.len() > limit {
            return Err(too_large(limit));
        }
        if first.is_empty() {
            first = data;
        } else {
            rest.extend_from_slice(&data);
        }
        if body.is_end_stream() {
            break;
        }
    }
    if rest.is_empty() {
        return Ok(first);
    }
    let mut whole = BytesMut::from(&*first);
    whole.unsplit(rest);
    Ok(whole.freeze())
}

/// A missing type is taken for JSON.
fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE) else { return true };
    let text = value.to_str().unwrap_or_default();
    let kind = text.split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}

#[cfg(test)]
mod tests;
