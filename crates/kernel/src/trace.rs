//! The place of a command in a distributed trace, as W3C Trace Context writes it down: which trace,
//! which span what follows is a child of, and whether the trace is recorded. It fits into 25 bytes
//! and is copied, so a command that is not traced pays nothing for it.
//!
//! ```text
//! 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01
//! └ version  └ trace id                └ span          └ flags: 1 sampled, 2 random trace id
//! ```

use std::fmt::{self, Debug, Display};
use std::num::{NonZeroU64, NonZeroU128};

use serde::{Deserialize, Serialize};

/// Flag: whoever made the trace records it, and so do we.
const SAMPLED: u8 = 1;

/// The flags that are passed on: sampled, and random (level 2 of the recommendation).
const KNOWN: u8 = 3;

/// Where the three dashes are.
const DASHES: [usize; 3] = [2, 35, 52];

/// Names a trace; never all zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TraceId([u8; 16]);

impl TraceId {
    /// The id of this number.
    pub const fn new(number: NonZeroU128) -> Self {
        Self(number.get().to_be_bytes())
    }

    /// As it goes over the wire.
    pub const fn bytes(self) -> [u8; 16] {
        self.0
    }
}

impl Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hexadecimal(&self.0, f)
    }
}

impl Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hexadecimal(&self.0, f)
    }
}

/// Names a span within its trace; never all zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SpanId([u8; 8]);

impl SpanId {
    /// The id of this number.
    pub const fn new(number: NonZeroU64) -> Self {
        Self(number.get().to_be_bytes())
    }

    /// As it goes over the wire.
    pub const fn bytes(self) -> [u8; 8] {
        self.0
    }
}

impl Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hexadecimal(&self.0, f)
    }
}

impl Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hexadecimal(&self.0, f)
    }
}

fn hexadecimal(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

/// A place in a trace. Its text is the header `traceparent`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Trace {
    id: TraceId,
    span: SpanId,
    flags: u8,
}

impl Trace {
    /// How long the text is.
    pub const LEN: usize = 55;

    /// A trace of ours, which is recorded: what follows is a child of `span`.
    pub const fn begin(id: TraceId, span: SpanId) -> Self {
        Self { id, span, flags: SAMPLED }
    }

    /// Reads a `traceparent`. A later version than ours is read as far as we know it; anything that
    /// is not one is nothing, as the recommendation wants it.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let [version] = digits(bytes.get(..2)?)?;
        let long = match version {
            0 => bytes.len() == Self::LEN,
            0xff => false,
            _ => bytes.get(Self::LEN).is_none_or(|next| *next == b'-'),
        };
        if !long || DASHES.iter().any(|at| bytes.get(*at) != Some(&b'-')) {
            return None;
        }
        let (id, span) = (digits(bytes.get(3..35)?)?, digits(bytes.get(36..52)?)?);
        let [flags] = digits(bytes.get(53..Self::LEN)?)?;
        let known = id != [0; 16] && span != [0; 8];
        known.then_some(Self { id: TraceId(id), span: SpanId(span), flags: flags & KNOWN })
    }

    /// The trace.
    pub const fn id(self) -> TraceId {
        self.id
    }

    /// The span that what follows is a child of.
    pub const fn span(self) -> SpanId {
        self.span
    }

    /// As it goes over the wire.
    pub const fn flags(self) -> u8 {
        self.flags
    }

    /// The same trace, where what follows is a child of `span`.
    #[must_use]
    pub const fn child(self, span: SpanId) -> Self {
        Self { span, ..self }
    }

    /// Whether it is recorded.
    pub const fn is_sampled(self) -> bool {
        self.flags & SAMPLED != 0
    }
}

impl Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.id, self.span, self.flags)
    }
}

impl Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(self, f)
    }
}

/// Two digits a byte, lower case alone.
fn digits<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

fn digit(letter: u8) -> Option<u8> {
    match letter {
        b'0'..=b'9' => Some(letter - b'0'),
        b'a'..=b'f' => Some(letter - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";

    #[test]
    fn a_traceparent_is_read_as_w3c_says() {
        let good = format!("00-{ID}-{SPAN}-01");
        let trace = Trace::parse(&good).unwrap();
        assert_eq!((trace.id().to_string(), trace.span().to_string()), (ID.into(), SPAN.into()));
        assert!(trace.is_sampled());
        assert_eq!((trace.to_string(), format!("{trace:?}")), (good.clone(), good));
        for (text, flags) in [
            (format!("00-{ID}-{SPAN}-00"), 0),
            (format!("00-{ID}-{SPAN}-03"), 3),
            (format!("00-{ID}-{SPAN}-ff"), 3),
            (format!("cc-{ID}-{SPAN}-01"), 1),
            (format!("cc-{ID}-{SPAN}-01-what-comes"), 1),
        ] {
            let trace = Trace::parse(&text).unwrap();
            assert_eq!(trace.flags(), flags, "{text}");
            assert_eq!(trace.is_sampled(), flags & 1 == 1);
        }
    }

    #[test]
    fn what_is_no_traceparent_is_nothing() {
        let (no_id, no_span) = ("0".repeat(32), "0".repeat(16));
        for text in [
            String::new(),
            "00".to_owned(),
            format!("ff-{ID}-{SPAN}-01"),
            format!("0-{ID}-{SPAN}-01"),
            format!("00-{ID}-{SPAN}-01-"),
            format!("00-{ID}-{SPAN}-01-what-comes"),
            format!("cc-{ID}-{SPAN}-01what-comes"),
            format!("00-{ID}-{SPAN}-1"),
            format!("00-{ID}-{SPAN}-0x"),
            format!("00-{no_id}-{SPAN}-01"),
            format!("00-{ID}-{no_span}-01"),
            format!("00-{}-{SPAN}-01", ID.to_uppercase()),
            format!("00_{ID}_{SPAN}_01"),
            format!("00-{}-{SPAN}-01", &ID[1..]),
            format!(" 00-{ID}-{SPAN}-01"),
            format!("00-{ID}-{SPAN}-0é"),
        ] {
            assert_eq!(Trace::parse(&text), None, "{text:?}");
        }
    }

    #[test]
    fn a_child_stays_in_its_trace() {
        let id = TraceId::new(NonZeroU128::new(7).unwrap());
        let span = |number| SpanId::new(NonZeroU64::new(number).unwrap());
        let trace = Trace::begin(id, span(1));
        let child = trace.child(span(2));
        assert_eq!((child.id(), child.span(), child.is_sampled()), (id, span(2), true));
        assert_eq!(size_of::<Trace>(), 25);
        assert!(size_of::<Option<Trace>>() <= 26);
    }

    proptest! {
        #[test]
        fn no_text_panics_and_what_is_read_is_written_the_same(text in "\\PC{0,70}") {
            prop_assert!(Trace::parse(&text).is_none_or(|trace| trace.to_string().len() == Trace::LEN));
        }

        #[test]
        fn every_trace_comes_back(id in 1..u128::MAX, span in 1..u64::MAX) {
            let id = TraceId::new(NonZeroU128::new(id).unwrap());
            let trace = Trace::begin(id, SpanId::new(NonZeroU64::new(span).unwrap()));
            prop_assert_eq!(Trace::parse(&trace.to_string()), Some(trace));
        }
    }
}
