//! Settings of backups and retention, and times such as `15d`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jangbu_engine::keep::Keep;
use jangbu_kernel::time::Span;
use jangbu_services::backup::Schedule;
use jangbu_services::projections;
use serde::Deserialize;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Backup {
    pub to: PathBuf,
    pub every: For,
    pub keep: usize,
    pub keys: bool,
}

impl Backup {
    /// For the shop in `data`.
    pub(crate) fn schedule(&self, data: &Path) -> Schedule {
        Schedule { to: data.join(&self.to), every: self.every.0, keep: self.keep, keys: self.keys }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Retention {
    pub outbox: For,
    pub keys: For,
    pub poison: For,
    pub parked: For,
    pub timelines: For,
}

impl Retention {
    pub(crate) fn keep(&self) -> Keep {
        let Self { outbox, keys, poison, .. } = *self;
        Keep { events: outbox.span(), keys: keys.span(), poison: poison.span() }
    }

    /// Of what the projections have.
    pub(crate) fn derived(&self) -> projections::Keep {
        projections::Keep { parked: self.parked.span(), timelines: self.timelines.span() }
    }
}

/// A time such as `15d`; none: `ever` or `never`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct For(pub Option<Duration>);

impl For {
    fn span(self) -> Option<Span> {
        self.0.map(|span| Span(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)))
    }
}

impl TryFrom<String> for For {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if matches!(&*text, "ever" | "never") {
            return Ok(Self(None));
        }
        let wrong = || format!("{text:?} is no time: a number with s, m, h or d, ever or never");
        let unit = text.chars().last().ok_or_else(wrong)?;
        let number: u64 = text[..text.len() - unit.len_utf8()].parse().map_err(|_| wrong())?;
        let seconds = match unit {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            _ => return Err(wrong()),
        };
        let most = 36_500 * 86_400;
        let span = number.checked_mul(seconds).filter(|seconds| *seconds <= most);
        span.map(|span| Self(Some(Duration::from_secs(span)))).ok_or_else(wrong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_unit_or_are_for_ever() {
        let of = |text: &str| For::try_from(text.to_owned()).map(|span| span.0);
        let seconds = |n| Ok(Some(Duration::from_secs(n)));
        for (text, wanted) in [("90s", 90), ("2m", 120), ("1h", 3_600), ("15d", 1_296_000)] {
            assert_eq!(of(text), seconds(wanted), "{text}");
        }
        assert_eq!((of("ever"), of("never")), (Ok(None), Ok(None)));
        for text in ["", "d", "7", "-1d", "7w", "7 d", "99999999999999999999d", "40000d", "7é"] {
            assert!(of(text).is_err(), "{text}");
        }
    }
}
