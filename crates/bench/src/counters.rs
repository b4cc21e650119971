//! The server's own counters, read from `/metrics` before and after the measured phase.
//!
//! A counter that the server does not export stays `None` all the way into the certificate: absent
//! is not zero.

use std::collections::{BTreeMap, HashMap};

use crate::control::{Call, Client};

/// One reading: series (name with labels, as printed) to value.
#[derive(Debug, Clone, Default)]
pub(crate) struct Counters(HashMap<String, f64>);

impl Counters {
    /// Empty when the server gives none.
    pub(crate) fn read(client: &mut Client) -> Self {
        match client.call(&Call::get("/metrics")) {
            Ok((200, body)) => Self::parse(&String::from_utf8_lossy(&body)),
            _ => Self::default(),
        }
    }

    fn parse(text: &str) -> Self {
        let line = |line: &str| {
            let (series, value) = line.trim().rsplit_once(' ')?;
            Some((series.trim().to_owned(), value.parse().ok()?))
        };
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        Self(lines.filter_map(line).collect())
    }

    pub(crate) fn get(&self, series: &str) -> Option<f64> {
        self.0.get(series).copied().filter(|value| value.is_finite())
    }

    /// How much a series grew; one that was absent from a good first reading began at zero.
    pub(crate) fn grown(&self, before: &Self, series: &str) -> Option<f64> {
        let was = if before.0.is_empty() { None } else { Some(before.get(series).unwrap_or(0.0)) };
        Some(self.get(series)? - was?)
    }

    /// Sum over the labels of a name.
    pub(crate) fn sum(&self, name: &str) -> Option<f64> {
        let of_name = |(series, value): (&String, &f64)| {
            let labels = series.strip_prefix(name)?;
            (labels.is_empty() || labels.starts_with('{')).then_some(*value)
        };
        let values: Vec<f64> = self.0.iter().filter_map(of_name).collect();
        (!values.is_empty()).then(|| values.iter().sum())
    }

    /// Events that each projection has not seen yet, by name.
    pub(crate) fn projection_lag(&self) -> Option<BTreeMap<String, u64>> {
        let written = self.get("jangbu_outbox_seq")?;
        let lag = |(series, seen): (&String, &f64)| {
            let name = series.strip_prefix("jangbu_projection_seq{name=\"")?.strip_suffix("\"}")?;
            Some((name.to_owned(), whole(written - seen)))
        };
        let lags: BTreeMap<String, u64> = self.0.iter().filter_map(lag).collect();
        (!lags.is_empty()).then_some(lags)
    }
}

/// A count that travelled as a float.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "negative values saturate to zero"
)]
pub(crate) fn whole(value: f64) -> u64 {
    value.max(0.0).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# HELP jangbu_commits_total Commits.\n# TYPE jangbu_commits_total counter\n\
        jangbu_commits_total 42\njangbu_orders_settled_total{outcome=\"SOLD\"} 10\n\
        jangbu_orders_settled_total{outcome=\"DECLINED\"} 2\njangbu_outbox_seq 100\n\
        jangbu_projection_seq{name=\"orders\"} 97\njangbu_projection_seq{name=\"ledger\"} 100\n\
        jangbu_batch_items{quantile=\"0.5\"} NaN\n";

    #[test]
    fn series_sums_and_lags() {
        let counters = Counters::parse(TEXT);
        assert_eq!(counters.get("jangbu_commits_total"), Some(42.0));
        assert_eq!(counters.sum("jangbu_orders_settled_total"), Some(12.0));
        let lag = counters.projection_lag().unwrap();
        assert_eq!((lag["orders"], lag["ledger"]), (3, 0));
    }

    #[test]
    fn absent_is_not_zero() {
        let counters = Counters::parse(TEXT);
        assert_eq!(counters.get("jangbu_fsyncs_total"), None);
        assert_eq!(counters.grown(&counters, "jangbu_fsyncs_total"), None);
        assert_eq!(counters.grown(&Counters::default(), "jangbu_commits_total"), None);
        assert_eq!(counters.grown(&counters, "jangbu_commits_total"), Some(0.0));
        assert_eq!(counters.get("jangbu_batch_items{quantile=\"0.5\"}"), None, "NaN is no value");
        assert_eq!(Counters::default().projection_lag(), None);
        assert_eq!(Counters::default().sum("jangbu_orders_settled_total"), None);
    }
}
