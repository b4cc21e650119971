//! How long points live, and on which days they end.
//!
//! Points end with a day of the shop, and those that orders earn with a month of it: so an account
//! has at most fourteen lots of them, however many orders it has, and a customer remembers the
//! date.

use jangbu_kernel::time::Span;
use jangbu_kernel::{Currency, Time};

const DAY: i64 = 86_400_000_000;

/// What a deployment may change about points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// A point is one minor unit of it.
    pub currency: Currency,
    /// How long earned points live, at least: until the end of the month after that.
    pub earned_valid: Span,
    /// How long paid points live; none: for ever.
    pub paid_valid: Option<Span>,
    /// How long points live that come back after their lot has ended, at least.
    pub extension: Span,
    /// How far ahead the expiry of a grant may be.
    pub horizon: Span,
    /// The shop's day begins so long before that of UTC.
    pub zone: Span,
}

const fn days(n: i64) -> Span {
    Span(DAY.saturating_mul(n))
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            currency: Currency::KRW,
            earned_valid: days(365),
            paid_valid: None,
            extension: days(30),
            horizon: days(5 * 365),
            zone: Span::mins(9 * 60),
        }
    }
}

impl Rules {
    /// When points end that are earned at `now`.
    pub fn earned_until(&self, now: Time) -> Time {
        self.end_of_month(now + self.earned_valid)
    }

    /// When points end that are bought at `now`, if they do.
    pub fn paid_until(&self, now: Time) -> Option<Time> {
        self.paid_valid.map(|valid| self.end_of_month(now + valid))
    }

    /// When points end that come back to a lot which ended at `until`.
    pub fn back_until(&self, until: Option<Time>, now: Time) -> Option<Time> {
        match until {
            Some(until) if until <= now => Some(self.end_of_month(now + self.extension)),
            other => other,
        }
    }

    /// The first midnight at or after `at`.
    pub fn end_of_day(&self, at: Time) -> Time {
        self.midnight(self.day(at))
    }

    /// The first midnight at or after `at` with which a month begins.
    pub fn end_of_month(&self, at: Time) -> Time {
        self.midnight(first_of_month(self.day(at)))
    }

    /// Days from 1970-01-01 to the first midnight at or after `at`.
    fn day(&self, at: Time) -> i64 {
        let ceiling = at.0.saturating_add(self.zone.0).saturating_add(DAY).saturating_sub(1);
        ceiling.div_euclid(DAY)
    }

    fn midnight(&self, day: i64) -> Time {
        Time(day.saturating_mul(DAY).saturating_sub(self.zone.0))
    }
}

/// The day, counted from 1970-01-01, of the first month's begin at or after `day`.
///
/// Counted in years that begin with March, so that the leap day is the last one: the months then
/// begin at `(153 m + 2) / 5`, and 400 years have 146,097 days.
#[expect(
    clippy::arithmetic_side_effects,
    reason = "a day is an i64 of microseconds divided by those of a day: far from any limit"
)]
fn first_of_month(day: i64) -> i64 {
    /// Days from 0000-03-01 to 1970-01-01.
    const EPOCH: i64 = 719_468;
    let shifted = day + EPOCH;
    let (era, in_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (in_era - in_era / 1_460 + in_era / 36_524 - in_era / 146_096) / 365;
    let in_year = in_era - (365 * year + year / 4 - year / 100);
    let month = (5 * in_year + 2) / 153;
    let begin = |month: i64| (153 * month + 2) / 5;
    if in_year == begin(month) {
        return day;
    }
    let year_begins = era * 146_097 + 365 * year + year / 4 - year / 100 - EPOCH;
    let leap = (year + 1) % 4 == 0 && ((year + 1) % 100 != 0 || (year + 1) % 400 == 0);
    let length = if leap { 366 } else { 365 };
    year_begins + begin(month + 1).min(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counts day by day.
    #[test]
    fn months_begin_where_a_calendar_that_counts_days_says() {
        let lengths = |year: i64| {
            let leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
            let february = if leap { 29 } else { 28 };
            [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        };
        let mut first = 0;
        for length in (1970..2405).flat_map(lengths) {
            for day in first + 1..=first + length {
                assert_eq!(first_of_month(day), first + length, "day {day}");
            }
            first += length;
        }
    }

    #[test]
    fn a_day_ends_at_midnight_in_seoul() {
        let rules = Rules::default();
        // 2026-11-21 00:00 in Seoul is 15:00 of the day before in UTC.
        let midnight = Time(1_795_186_800_000_000);
        assert_eq!(rules.end_of_day(midnight), midnight);
        assert_eq!(rules.end_of_day(Time(midnight.0 + 1)), midnight + days(1));
        assert_eq!(rules.end_of_month(midnight), midnight + days(10), "the first of December");
        assert_eq!(rules.earned_until(midnight), midnight + days(375));
        assert_eq!(rules.paid_until(midnight), None);
        assert_eq!(rules.back_until(None, midnight), None);
        let (over, later) = (Some(midnight), Some(Time(midnight.0 + 1)));
        assert_eq!(rules.back_until(over, midnight), Some(midnight + days(41)));
        assert_eq!(rules.back_until(later, midnight), later);
    }
}
