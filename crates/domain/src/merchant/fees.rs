//! Fee schedules: what the shop keeps of a sale, by the time of the sale.
//!
//! A new schedule replaces the old one from its first period on; what stood before that stays. The
//! past is settled or about to be, so nothing that the schedule says of it may change.

use jangbu_kernel::{Money, Time};
use serde::{Deserialize, Serialize};

/// Periods of a new schedule.
pub const MOST: usize = 20;
/// Periods that a row remembers.
pub const REMEMBERED: usize = 200;
/// The whole, in basis points.
pub const WHOLE: i64 = 10_000;

/// What is kept of a sale in a period.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fee {
    /// From this moment on.
    pub from: Time,
    /// Up to this moment, which is not meant any more; none: until it is changed.
    pub to: Option<Time>,
    /// Hundredths of a percent of the sale.
    pub rate_bp: i64,
    /// Minor units for each order.
    pub fixed: i64,
    /// Value-added tax on the fee, in hundredths of a percent.
    pub vat_bp: i64,
}

impl Fee {
    /// Whether a sale at `time` falls into it.
    pub fn holds_at(&self, time: Time) -> bool {
        self.from <= time && self.to.is_none_or(|to| time < to)
    }

    /// The part of it before `end`; none: there is no such part.
    fn before(self, end: Time) -> Option<Self> {
        let to = self.to.map_or(end, |to| to.min(end));
        (self.from < to).then_some(Self { to: Some(to), ..self })
    }
}

/// What is wrong with a schedule, and with which of its periods.
pub fn fault(fees: &[Fee]) -> Option<(usize, &'static str)> {
    let mut end = None;
    for (at, fee) in fees.iter().enumerate() {
        let Fee { from, to, rate_bp, fixed, vat_bp } = *fee;
        let whole = 0..=WHOLE;
        let why = if !whole.contains(&rate_bp) {
            "rateBp is 0 to 10000 hundredths of a percent"
        } else if !whole.contains(&vat_bp) {
            "vatBp is 0 to 10000 hundredths of a percent"
        } else if !(0..=Money::MAX).contains(&fixed) {
            "fixed is an amount from 0 on"
        } else if to.is_some_and(|to| to <= from) {
            "a period ends after it begins"
        } else if at > 0 && end.is_none() {
            "only the last period is open"
        } else if end.is_some_and(|end| from < end) {
            "periods stand in order of time and do not overlap"
        } else {
            end = to;
            continue;
        };
        return Some((at, why));
    }
    None
}

/// The schedule after `new` has replaced `old` from its first period on.
pub fn merged(old: &[Fee], new: &[Fee]) -> Vec<Fee> {
    let Some(first) = new.first() else { return old.to_vec() };
    until(old, first.from).chain(new.iter().copied()).collect()
}

/// What a schedule says of the time before `end`.
pub fn until(fees: &[Fee], end: Time) -> impl Iterator<Item = Fee> {
    fees.iter().filter_map(move |fee| fee.before(end))
}
