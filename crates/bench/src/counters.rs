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

/// Upper bounds of a histogram's buckets in seconds, and how many stayed below each.
type Buckets = Vec<(f64, f64)>;

impl Counters {
    /// Whether everything that the outbox had at an earlier reading is published; none: nobody publishes.
    pub(crate) fn has_published(&self, earlier: &Self) -> Option<bool> {
        Some(self.get("jangbu_relay_seq")? >= earlier.get("jangbu_outbox_seq")?)
    }

    /// Number of the last event that every projection has taken in.
    pub(crate) fn taken(&self) -> Option<f64> {
        let seen = |(series, seen): (&String, &f64)| {
            series.starts_with("jangbu_projection_seq{").then_some(*seen)
        };
        self.0.iter().filter_map(seen).reduce(f64::min)
    }

    /// A quantile of how far a consumer was behind since an earlier reading, in milliseconds; within a
    /// bucket it is taken as evenly spread, and none when it lies above the last bound.
    pub(crate) fn lag_ms(&self, before: &Self, consumer: &str, quantile: f64) -> Option<f64> {
        let (now, was) = (self.buckets(consumer), before.buckets(consumer));
        if now.is_empty() || (before.0.is_empty() && was.is_empty()) {
            return None;
        }
        let then = |bound: f64| {
            let same = |(b, _): &&(f64, f64)| b.total_cmp(&bound).is_eq();
            was.iter().find(same).map_or(0.0, |(_, count)| *count)
        };
        let grown: Buckets = now.iter().map(|&(bound, n)| (bound, n - then(bound))).collect();
        let total = grown.last().map(|(_, count)| *count).filter(|count| *count > 0.0)?;
        let (rank, mut below) = (total * quantile, (0.0, 0.0));
        for (bound, count) in grown {
            if count >= rank {
                let share = (rank - below.1) / (count - below.1).max(f64::MIN_POSITIVE);
                let value = below.0 + (bound - below.0) * share.clamp(0.0, 1.0);
                return bound.is_finite().then_some(value * 1e3);
            }
            below = (bound, count);
        }
        None
    }

    fn buckets(&self, consumer: &str) -> Buckets {
        let whose = format!("jangbu_consumer_lag_seconds_bucket{{consumer=\"{consumer}\",");
        let bucket = |(series, count): (&String, &f64)| {
            let labels = series.strip_prefix(&whose)?;
            let bound = labels.split("le=\"").nth(1)?.split('"').next()?;
            let bound = if bound == "+Inf" { f64::INFINITY } else { bound.parse().ok()? };
            Some((bound, *count))
        };
        let mut buckets: Buckets = self.0.iter().filter_map(bucket).collect();
        buckets.sort_by(|(a, _), (b, _)| a.total_cmp(b));
        buckets
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
    fn quantiles_are_of_what_came_since() {
        let text = |counts: [u32; 3]| {
            let line = |(le, n): (&str, u32)| {
                format!(
                    "jangbu_consumer_lag_seconds_bucket{{consumer=\"kafka\",le=\"{le}\"}} {n}\n"
                )
            };
            ["0.01", "0.1", "+Inf"].into_iter().zip(counts).map(line).collect::<String>()
        };
        let before = Counters::parse(&text([1_000, 1_000, 1_000]));
        let after = Counters::parse(&text([1_050, 1_100, 1_100]));
        let at = |quantile: f64| after.lag_ms(&before, "kafka", quantile).unwrap();
        assert!((at(0.5) - 10.0).abs() < 1e-9, "{}", at(0.5));
        assert!((at(0.75) - 55.0).abs() < 1e-9, "{}", at(0.75));
        assert_eq!(before.lag_ms(&before, "kafka", 0.5), None, "nothing came");
        assert_eq!(after.lag_ms(&Counters::default(), "kafka", 0.5), None);
        let late = Counters::parse(&text([1_000, 1_000, 1_009]));
        assert_eq!(late.lag_ms(&before, "kafka", 0.5), None, "above the last bound");
        assert_eq!(after.lag_ms(&before, "projections", 0.5), None, "another's");
        assert_eq!(Counters::parse(TEXT).taken(), Some(97.0));
    }

    #[test]
    fn published_is_what_the_outbox_had() {
        let seen = |relay: u32, outbox: u32| {
            Counters::parse(&format!("jangbu_relay_seq {relay}\njangbu_outbox_seq {outbox}\n"))
        };
        assert_eq!(seen(9, 20).has_published(&seen(5, 10)), Some(false));
        assert_eq!(seen(10, 20).has_published(&seen(5, 10)), Some(true));
        assert_eq!(Counters::parse(TEXT).has_published(&seen(5, 10)), None, "nobody publishes");
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
