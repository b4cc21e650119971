//! Refusing an order before HTTP begins.
//!
//! Under a flood most of the work is saying no, and most of a refusal's cost would be the HTTP
//! machinery around it. While new orders are refused anyway, a connection looks at the bytes that
//! arrive between two requests: if they are exactly one whole `POST /api/v1/orders`, and nothing
//! about it is unusual, the answer is written to the socket and hyper never hears of it. Whatever
//! looks different in any way takes the long way, which gives the same answer.
//!
//! That is sound only while hyper holds no part of a request. So every request that it is given is
//! framed here as well; after one that did not arrive alone and whole, this connection is never cut
//! short again.

use std::ops::Range;

/// The request line that can be cut short.
const PLACE: &[u8] = b"POST /api/v1/orders HTTP/1.1\r\n";

/// Headers that decide where a request ends, or what follows it.
const LENGTH: &[u8] = b"content-length";
const UNUSUAL: [&[u8]; 4] = [b"transfer-encoding", b"connection", b"expect", b"upgrade"];
const CORRELATION: &[u8] = b"x-correlation-id";
const KEY: &[u8] = b"idempotency-key";

/// A request that arrived alone and whole.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Whole {
    /// It places an order.
    pub(super) places: bool,
    pub(super) correlation: Option<Range<usize>>,
    pub(super) key: Option<Range<usize>>,
}

/// Reads `bytes` as exactly one request; none: it is not, or something about it is unusual.
pub(super) fn whole(bytes: &[u8]) -> Option<Whole> {
    let mut found = Whole { places: bytes.starts_with(PLACE), ..Whole::default() };
    let mut length = None;
    let mut at = end_of_line(bytes, 0)?;
    loop {
        let next = end_of_line(bytes, at)?;
        let line = &bytes[at..next - 2];
        if line.is_empty() {
            if found.places && length.is_none() {
                return None;
            }
            let body = length.unwrap_or(0);
            return (bytes.len() - next == body).then_some(found);
        }
        let colon = line.iter().position(|byte| *byte == b':')?;
        let (name, value) = (&line[..colon], at + colon + 1..next - 2);
        if !name.first()?.is_ascii_graphic() || !name.last()?.is_ascii_graphic() {
            return None;
        }
        let odd = match name.len() {
            14 if name.eq_ignore_ascii_case(LENGTH) => {
                let text = std::str::from_utf8(trim(bytes, value).1).ok()?;
                let digits = text.bytes().all(|byte| byte.is_ascii_digit());
                length.replace(digits.then(|| text.parse().ok())??).is_some()
            }
            16 if name.eq_ignore_ascii_case(CORRELATION) => {
                found.correlation.replace(trim(bytes, value).0).is_some()
            }
            15 if name.eq_ignore_ascii_case(KEY) => {
                found.key.replace(trim(bytes, value).0).is_some()
            }
            6 | 7 | 10 | 17 => UNUSUAL.iter().any(|other| name.eq_ignore_ascii_case(other)),
            _ => false,
        };
        if odd {
            return None;
        }
        at = next;
    }
}

/// Just after the next CR LF. A bare LF is unusual.
fn end_of_line(bytes: &[u8], from: usize) -> Option<usize> {
    let rest = &bytes[from..];
    let at = rest.iter().position(|byte| *byte == b'\n')?;
    (at > 0 && rest[at - 1] == b'\r').then_some(from + at + 1)
}

/// Without blanks at both ends.
fn trim(bytes: &[u8], range: Range<usize>) -> (Range<usize>, &[u8]) {
    let text = &bytes[range.clone()];
    let kept = text.trim_ascii();
    let before = text.len() - text.trim_ascii_start().len();
    let start = range.start + before;
    (start..start + kept.len(), kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: &str = "POST /api/v1/orders HTTP/1.1\r\nHost: x\r\nIdempotency-Key: k-1\r\n\
                         x-correlation-id:  mine \r\nContent-Length: 2\r\n\r\n{}";

    #[test]
    fn a_usual_order_is_seen_whole_with_its_key_and_its_correlation_id() {
        let seen = whole(USUAL.as_bytes()).unwrap();
        assert!(seen.places);
        assert_eq!(&USUAL[seen.key.unwrap()], "k-1");
        assert_eq!(&USUAL[seen.correlation.unwrap()], "mine");
        let other = whole(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        assert_eq!(other, Whole::default());
    }

    #[test]
    fn what_is_not_exactly_one_request_is_not_whole() {
        for n in 0..USUAL.len() {
            assert_eq!(whole(&USUAL.as_bytes()[..n]), None, "the first {n} bytes");
        }
        for more in ["x", "\r\n", USUAL] {
            assert_eq!(whole([USUAL, more].concat().as_bytes()), None, "{more}");
        }
    }

    #[test]
    fn what_is_unusual_takes_the_long_way() {
        for header in [
            "Transfer-Encoding: chunked",
            "Connection: close",
            "Expect: 100-continue",
            "Upgrade: h2c",
            "Content-Length: 2",
            "Idempotency-Key: other",
            "X-Correlation-Id: other",
            "no colon",
            "Transfer-Encoding : chunked",
            " folded: line",
            ": nameless",
        ] {
            let text = USUAL.replacen("Host: x", header, 1);
            assert_eq!(whole(text.as_bytes()), None, "{header}");
        }
        for (usual, odd) in [
            ("Content-Length: 2", "X-Length: 2"),
            ("Content-Length: 2", "Content-Length: +2"),
            ("Content-Length: 2", "Content-Length: 2, 2"),
            ("Content-Length: 2", "Content-Length: 99999999999999999999"),
            ("Host: x\r\n", "Host: x\n"),
        ] {
            assert_eq!(whole(USUAL.replace(usual, odd).as_bytes()), None, "{odd}");
        }
    }
}
