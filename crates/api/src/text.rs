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

const DAY: i64 = 86_400_000_000;

impl Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, rest) = (self.0.0.div_euclid(DAY), self.0.0.rem_euclid(DAY));
        let (year, month, day) = civil(days);
        let (seconds, micros) = (rest / 1_000_000, rest % 1_000_000);
        let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
    }
}

impl Serialize for At {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Year, month and day of a day counted from 1970-01-01, by eras of 400 years that begin in March.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
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
