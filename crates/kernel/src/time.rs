//! Time as the domains see it: microseconds since the Unix epoch, handed in with each command.

use std::fmt;
use std::ops::{Add, Sub};

use serde::{Deserialize, Serialize};

/// A moment, in microseconds since 1970-01-01T00:00:00Z.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Time(pub i64);

/// A length of time in microseconds.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Span(pub i64);

impl Span {
    /// `n` milliseconds.
    pub const fn millis(n: i64) -> Self {
        Self(n * 1_000)
    }

    /// `n` seconds.
    pub const fn secs(n: i64) -> Self {
        Self(n * 1_000_000)
    }

    /// `n` minutes.
    pub const fn mins(n: i64) -> Self {
        Self::secs(n * 60)
    }

    /// Whole and fractional milliseconds would need a float: this one truncates.
    pub const fn as_millis(self) -> i64 {
        self.0 / 1_000
    }
}

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;

/// As RFC 3339 text in UTC with microseconds.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, rest) = (self.0.div_euclid(DAY), self.0.rem_euclid(DAY));
        let (year, month, day) = civil(days);
        let (seconds, micros) = (rest / 1_000_000, rest % 1_000_000);
        let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z")
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

/// The reverse of [`civil`].
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

impl Time {
    /// Reads what `Display` writes, and nothing else: UTC, with microseconds.
    pub fn parse(text: &str) -> Option<Self> {
        let shape = b"0000-00-00T00:00:00.000000Z";
        let fits = |(have, want): (u8, &u8)| match want {
            b'0' => have.is_ascii_digit(),
            _ => have == *want,
        };
        if text.len() != shape.len() || !text.bytes().zip(shape).all(fits) {
            return None;
        }
        let part = |from: usize, to: usize| text.get(from..to)?.parse::<i64>().ok();
        let day = days(part(0, 4)?, part(5, 7)?, part(8, 10)?);
        let seconds = (part(11, 13)? * 60 + part(14, 16)?) * 60 + part(17, 19)?;
        let at = Self(day * DAY + seconds * 1_000_000 + part(20, 26)?);
        // The thirtieth of February is another day.
        (at.to_string() == text).then_some(at)
    }
}

impl Add<Span> for Time {
    type Output = Self;

    fn add(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl Sub for Time {
    type Output = Span;

    fn sub(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_that_is_no_moment_is_refused() {
        let good = "2026-11-18T11:06:40.123456Z";
        assert_eq!(Time::parse(good), Some(Time(1_795_000_000_123_456)));
        for bad in [
            "",
            "2026-11-18T11:06:40Z",
            "2026-02-30T11:06:40.123456Z",
            "2026-11-18T24:06:40.123456Z",
            "2026-11-18T11:06:60.123456Z",
            "2026-11-18T11:06:40.123456+",
            "2026-00-18T11:06:40.123456Z",
            "-026-11-18T11:06:40.123456Z",
        ] {
            assert_eq!(Time::parse(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn a_moment_survives_its_text(at in -62_167_219_200_000_000..253_402_300_800_000_000_i64) {
            prop_assert_eq!(Time::parse(&Time(at).to_string()), Some(Time(at)));
        }
    }
}
