//! What a long run does to a server: slopes of memory, latency and files, by least squares over its
//! seconds. A run that is shorter than a minute says nothing about hours.

use serde::Serialize;

use crate::series::Second;

/// Seconds below which there is no trend.
const SHORTEST: usize = 60;
/// Part of the run that is left out: caches fill, the first pages of a file are cheap.
const SETTLING: usize = 10;

/// Growth per hour of the run, over all of it but its first tenth.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Trend {
    /// Seconds that were looked at.
    pub seconds: usize,
    /// Megabytes of resident memory.
    pub memory_mb_per_hour: Option<f64>,
    /// Median of the seconds' medians and how it moves: milliseconds.
    pub p50_ms: Option<f64>,
    /// Milliseconds per hour.
    pub p50_ms_per_hour: Option<f64>,
    /// Median of the seconds' 99th percentiles.
    pub p99_ms: Option<f64>,
    /// Milliseconds per hour.
    pub p99_ms_per_hour: Option<f64>,
    /// Largest write-ahead log of the truth, megabytes.
    pub wal_mb_most: Option<f64>,
    /// Megabytes of it per hour.
    pub wal_mb_per_hour: Option<f64>,
    /// Megabytes of all files per hour.
    pub files_mb_per_hour: Option<f64>,
    /// Bytes of all files per order.
    pub file_bytes_per_order: Option<f64>,
}

/// The trend of a run; none of a short one.
pub(crate) fn trend(series: &[Second]) -> Option<Trend> {
    let series = series.get(series.len() / SETTLING..).filter(|rest| rest.len() >= SHORTEST)?;
    let slope =
        |field: fn(&Second) -> Option<f64>| slope(series, field).map(|slope| slope * 3_600.0);
    let files = slope(|second| second.files_mb);
    #[expect(clippy::cast_precision_loss, reason = "seconds of a run")]
    let (seconds, orders) =
        (series.len() as f64, series.iter().map(|s| f64::from(s.good)).sum::<f64>());
    Some(Trend {
        seconds: series.len(),
        memory_mb_per_hour: slope(|second| second.memory_mb),
        p50_ms: median(series, |second| second.p50),
        p50_ms_per_hour: slope(|second| second.p50),
        p99_ms: median(series, |second| second.p99),
        p99_ms_per_hour: slope(|second| second.p99),
        wal_mb_most: series.iter().filter_map(|second| second.wal_mb).reduce(f64::max),
        wal_mb_per_hour: slope(|second| second.wal_mb),
        files_mb_per_hour: files,
        file_bytes_per_order: files
            .filter(|_| orders > 0.0)
            .map(|mb| mb / 3_600.0 * 1e6 * seconds / orders),
    })
}

/// By how much a value grows in a second.
#[expect(clippy::cast_precision_loss, reason = "seconds of a run")]
fn slope(series: &[Second], field: fn(&Second) -> Option<f64>) -> Option<f64> {
    let points: Vec<(f64, f64)> =
        series.iter().filter_map(|second| Some((second.at as f64, field(second)?))).collect();
    let count = points.len() as f64;
    if points.len() < SHORTEST {
        return None;
    }
    let (x, y) = points.iter().fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
    let (x, y) = (x / count, y / count);
    let (both, square) = points.iter().fold((0.0, 0.0), |(both, square), point| {
        let away = point.0 - x;
        (both + away * (point.1 - y), square + away * away)
    });
    Some(both / square)
}

fn median(series: &[Second], field: fn(&Second) -> Option<f64>) -> Option<f64> {
    let mut values: Vec<f64> = series.iter().filter_map(field).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(at: u64) -> Second {
        #[expect(clippy::cast_precision_loss, reason = "few seconds")]
        let time = at as f64;
        Second {
            at,
            good: 10,
            p99: Some(if at.is_multiple_of(2) { 5.0 } else { 7.0 }),
            memory_mb: Some(100.0 + time),
            files_mb: Some(time * 0.02),
            ..Second::default()
        }
    }

    #[test]
    fn growth_is_a_slope_and_noise_is_none() {
        let series: Vec<Second> = (0..200).map(second).collect();
        let trend = trend(&series).unwrap();
        assert_eq!(trend.seconds, 180);
        assert!((trend.memory_mb_per_hour.unwrap() - 3_600.0).abs() < 1e-6);
        assert!(trend.p99_ms_per_hour.unwrap().abs() < 2.0, "{trend:?}");
        assert!((trend.file_bytes_per_order.unwrap() - 2_000.0).abs() < 1e-6, "{trend:?}");
        assert_eq!((trend.wal_mb_most, trend.wal_mb_per_hour), (None, None));
    }

    #[test]
    fn a_short_run_has_no_trend() {
        let series: Vec<Second> = (0..60).map(second).collect();
        assert!(trend(&series).is_none());
    }
}
