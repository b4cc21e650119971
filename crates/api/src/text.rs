//! Ids, times and digests as text.

use std::fmt::{self, Display, Write as _};

use jangbu_kernel::Time;
use serde::{Serialize, Serializer};

use crate::codes::Own;
use crate::problem::Problem;

/// Bytes as lower hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Serialises by `Display`.
pub(crate) mod shown {
    use super::{Display, Serializer};

    pub(crate) fn one<T: Display, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    #[expect(clippy::ref_option, reason = "serde hands over the field by reference")]
    pub(crate) fn option<T: Display, S: Serializer>(
        value: &Option<T>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => to.collect_str(value),
            None => to.serialize_none(),
        }
    }
}

/// A moment as RFC 3339 text in UTC with microseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At(pub(crate) Time);

impl Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for At {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A day, counted from 1970-01-01, as text.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Date(pub(crate) i64);

impl Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = Time(self.0.saturating_mul(86_400_000_000)).to_string();
        f.write_str(text.split('T').next().unwrap_or_default())
    }
}

/// 0000-01-01T00:00:00Z, where RFC 3339 begins; other notations of ISO 8601 go on before it.
const YEAR_0: i64 = -62_167_219_200_000_000;

/// Reads RFC 3339 text.
pub(crate) fn time(text: &str) -> Option<Time> {
    // A `+` that was not escaped in a query has become a blank.
    let text = text.replace(' ', "+");
    let at = text.parse::<jiff::Timestamp>().ok()?.as_microsecond();
    (at >= YEAR_0).then_some(Time(at))
}

/// An id in its text form, or a problem that names the field.
pub(crate) fn id<T>(
    parse: impl FnOnce(&str) -> Option<T>,
    prefix: &str,
    text: &str,
    field: impl FnOnce() -> String,
) -> Result<T, Problem> {
    parse(text).ok_or_else(|| {
        let message = format!("must be an id such as {prefix}01H9Z8D0G4000");
        let field = field();
        Problem::of(Own::InvalidId, format!("{field}: {message}")).at(field, message)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_read_with_any_offset() {
        let at = Time(1_795_000_000_123_456);
        assert_eq!(At(at).to_string(), "2026-11-18T11:06:40.123456Z");
        for text in ["2026-11-18T11:06:40.123456Z", "2026-11-18T20:06:40.123456+09:00"] {
            assert_eq!(time(text), Some(at), "{text}");
        }
        assert_eq!(time("2026-11-18T20:06:40.123456 09:00"), Some(at), "an unescaped plus");
        assert_eq!(time("yesterday"), None);
        assert_eq!(At(Time(YEAR_0)).to_string(), "0000-01-01T00:00:00.000000Z");
        assert_eq!(time("0000-01-01T00:00:00Z"), Some(Time(YEAR_0)));
        assert_eq!(time("-000001-12-31T23:59:59Z"), None, "found by the fuzzer");
    }

    proptest! {
        #[test]
        fn written_times_are_those_of_the_calendar(us in -2_000_000_000_000_000..9_000_000_000_000_000_i64) {
            let written = At(Time(us)).to_string();
            let wanted = jiff::Timestamp::from_microsecond(us).unwrap();
            prop_assert_eq!(&written, &format!("{wanted:.6}"));
            prop_assert_eq!(time(&written), Some(Time(us)));
        }
    }
}
