//! Reading HTTP/1.1 answers: just as much as a load generator must know.
//!
//! The body is never parsed as JSON. Four fields matter, and each is found by its quoted name; that
//! costs a few hundred nanoseconds instead of several microseconds of building a tree.

use memchr::memmem::Finder;

use crate::outcome::Outcome;
use crate::world::Id;

/// One complete answer, borrowed from the read buffer.
#[derive(Debug)]
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    /// Milliseconds from the server's receipt of the request to the first commit.
    pub(crate) accept_ms: Option<f64>,
    /// Milliseconds from the receipt to the settled outcome.
    pub(crate) settle_ms: Option<f64>,
    /// The server is going to close the connection.
    pub(crate) close: bool,
    pub(crate) body: &'a [u8],
}

impl Answer<'_> {
    /// Nanoseconds between the first commit and the outcome, as the server says; zero if it does
    /// not.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "negative and huge values saturate"
    )]
    pub(crate) fn settling(&self) -> u64 {
        let ms = self.settle_ms.zip(self.accept_ms).map_or(0.0, |(settle, accept)| settle - accept);
        (ms.max(0.0) * 1e6) as u64
    }
}

/// What a buffer holds.
#[derive(Debug)]
pub(crate) enum Parsed<'a> {
    /// The answer goes on.
    Partial,
    /// Exactly one answer.
    Whole(Answer<'a>),
    /// Something that is not one answer to one request.
    Garbage,
}

/// Reads one answer that should fill `bytes` exactly.
pub(crate) fn parse(bytes: &[u8]) -> Parsed<'_> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut head = httparse::Response::new(&mut headers);
    let start = match head.parse(bytes) {
        Ok(httparse::Status::Complete(start)) => start,
        Ok(httparse::Status::Partial) => return Parsed::Partial,
        Err(_) => return Parsed::Garbage,
    };
    let mut length = None;
    let mut answer = Answer {
        status: head.code.unwrap_or(0),
        accept_ms: None,
        settle_ms: None,
        close: head.version == Some(0),
        body: &[],
    };
    for header in head.headers.iter() {
        let is = |name: &str| header.name.eq_ignore_ascii_case(name);
        match header.name.len() {
            10 if is("connection") => answer.close = header.value.eq_ignore_ascii_case(b"close"),
            13 if is("server-timing") => read_timing(header.value, &mut answer),
            14 if is("content-length") => length = number(header.value),
            _ => {}
        }
    }
    let Some(end) = length.and_then(|length| start.checked_add(length)) else {
        return Parsed::Garbage;
    };
    match bytes.len().cmp(&end) {
        std::cmp::Ordering::Less => Parsed::Partial,
        std::cmp::Ordering::Greater => Parsed::Garbage,
        std::cmp::Ordering::Equal => {
            answer.body = &bytes[start..];
            Parsed::Whole(answer)
        }
    }
}

/// `accept;dur=1.234, settle;dur=12.345`
fn read_timing(value: &[u8], answer: &mut Answer<'_>) {
    let Ok(value) = std::str::from_utf8(value) else { return };
    for part in value.split(',') {
        let Some((name, rest)) = part.trim().split_once(';') else { continue };
        let Some(dur) = rest.trim().strip_prefix("dur=").and_then(|d| d.parse().ok()) else {
            continue;
        };
        match name {
            "accept" => answer.accept_ms = Some(dur),
            "settle" => answer.settle_ms = Some(dur),
            _ => {}
        }
    }
}

fn number(text: &[u8]) -> Option<usize> {
    std::str::from_utf8(text).ok()?.trim().parse().ok()
}

/// What an answer says about an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Said<'a> {
    pub(crate) outcome: Outcome,
    pub(crate) order: Option<Id>,
    pub(crate) total: Option<i64>,
    /// The stable error code of a problem, else the name of the outcome.
    pub(crate) code: &'a str,
}

/// Finds the fields of an order or a problem in a body.
#[derive(Debug)]
pub(crate) struct Reader {
    outcome: Finder<'static>,
    order: Finder<'static>,
    total: Finder<'static>,
    code: Finder<'static>,
}

impl Reader {
    pub(crate) fn new() -> Self {
        Self {
            outcome: Finder::new("\"outcome\":\""),
            order: Finder::new("\"ord_"),
            total: Finder::new("\"total\":{\"amount\":"),
            code: Finder::new("\"code\":\""),
        }
    }

    /// Classifies an answer to a place or a look-up.
    pub(crate) fn read<'a>(&self, answer: &Answer<'a>) -> Said<'a> {
        let body = answer.body;
        let named = quoted_after(&self.outcome, body);
        let ok = (200..300).contains(&answer.status);
        let code = if ok { "" } else { quoted_after(&self.code, body).unwrap_or("") };
        let outcome = match (ok, named.and_then(Outcome::of_name)) {
            (true, Some(outcome)) => outcome,
            (true, None) if answer.status == 202 || is_open(body) => Outcome::Pending,
            (true, None) => Outcome::Error,
            (false, Some(outcome)) if outcome != Outcome::Sold => outcome,
            (false, _) => Outcome::of_problem(answer.status, code),
        };
        let total = if outcome == Outcome::Sold { self.amount(body) } else { None };
        let code = if code.is_empty() { outcome.name() } else { code };
        Said { outcome, order: id_after(&self.order, body), total, code }
    }

    fn amount(&self, body: &[u8]) -> Option<i64> {
        let rest = &body[self.total.find(body)? + self.total.needle().len()..];
        let end = rest.iter().position(|b| !b.is_ascii_digit())?;
        std::str::from_utf8(&rest[..end]).ok()?.parse().ok()
    }
}

/// The quoted text that a finder ends with the beginning of.
pub(crate) fn quoted_after<'a>(finder: &Finder<'_>, body: &'a [u8]) -> Option<&'a str> {
    let rest = &body[finder.find(body)? + finder.needle().len()..];
    let end = memchr::memchr(b'"', rest)?;
    std::str::from_utf8(&rest[..end]).ok()
}

/// The id whose quote and prefix a finder looks for.
pub(crate) fn id_after(finder: &Finder<'_>, body: &[u8]) -> Option<Id> {
    let at = finder.find(body)? + 1;
    body.get(at..at + 17)?.try_into().ok()
}

/// An order body whose outcome is still null.
fn is_open(body: &[u8]) -> bool {
    memchr::memmem::find(body, b"\"outcome\":null").is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOLD: &[u8] = b"HTTP/1.1 201 Created\r\ncontent-type: application/json\r\n\
        Server-Timing: accept;dur=1.25, settle;dur=12.5\r\ncontent-length: 86\r\n\r\n\
        {\"id\":\"ord_0ABCDEFGHJKMN\",\"outcome\":\"SOLD\",\"total\":{\"amount\":12000,\"currency\":\"KRW\"}}\n";

    #[test]
    fn a_whole_answer() {
        let Parsed::Whole(answer) = parse(SOLD) else { panic!("not whole") };
        assert_eq!((answer.status, answer.close), (201, false));
        assert_eq!((answer.accept_ms, answer.settle_ms), (Some(1.25), Some(12.5)));
        let said = Reader::new().read(&answer);
        assert_eq!(said.outcome, Outcome::Sold);
        assert_eq!(said.order.as_ref(), Some(b"ord_0ABCDEFGHJKMN"));
        assert_eq!(said.total, Some(12_000));
    }

    #[test]
    fn every_cut_is_partial_and_a_second_answer_is_garbage() {
        for cut in 0..SOLD.len() {
            assert!(matches!(parse(&SOLD[..cut]), Parsed::Partial), "cut at {cut}");
        }
        assert!(matches!(parse(&SOLD.repeat(2)), Parsed::Garbage));
        assert!(matches!(parse(b"SSH-2.0-OpenSSH\r\n\r\n"), Parsed::Garbage));
    }

    #[test]
    fn answers_and_their_outcomes() {
        let cases: [(u16, &str, Outcome, &str); 9] = [
            (202, r#"{"id":"ord_0ABCDEFGHJKMN","outcome":null}"#, Outcome::Pending, "PENDING"),
            (200, r#"{"outcome":null}"#, Outcome::Pending, "PENDING"),
            (
                402,
                r#"{"code":"PAYMENT_DECLINED","outcome":"DECLINED"}"#,
                Outcome::Declined,
                "PAYMENT_DECLINED",
            ),
            (402, r#"{"code":"PAYMENT_DECLINED"}"#, Outcome::Declined, "PAYMENT_DECLINED"),
            (409, r#"{"code":"SOLD_OUT"}"#, Outcome::SoldOut, "SOLD_OUT"),
            (503, r#"{"code":"SHED"}"#, Outcome::Shed, "SHED"),
            (422, r#"{"code":"UNKNOWN_FIELD"}"#, Outcome::Invalid, "UNKNOWN_FIELD"),
            (500, "oops", Outcome::Error, "ERROR"),
            (201, "{}", Outcome::Error, "ERROR"),
        ];
        let reader = Reader::new();
        for (status, body, outcome, code) in cases {
            let answer = Answer {
                status,
                accept_ms: None,
                settle_ms: None,
                close: false,
                body: body.as_bytes(),
            };
            let said = reader.read(&answer);
            assert_eq!((said.outcome, said.code), (outcome, code), "{status} {body}");
        }
    }

    #[test]
    fn a_refusal_is_never_a_sale() {
        let body = br#"{"code":"INTERNAL","outcome":"SOLD"}"#;
        let answer = Answer { status: 500, accept_ms: None, settle_ms: None, close: false, body };
        assert_eq!(Reader::new().read(&answer).outcome, Outcome::Error);
    }
}
