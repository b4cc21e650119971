//! What the simulated gateway is like. Everything has a default; an empty document is a gateway
//! that answers in 5–15 ms and never fails.

use serde::{Deserialize, Serialize};

/// The simulator's settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SimConfig {
    /// All chance comes from here: the same seed and the same requests give the same outcomes.
    pub seed: u64,
    /// How long an answer takes.
    pub latency: Latency,
    /// How often something goes wrong.
    pub rates: Rates,
    /// When a late answer, or a delayed request, arrives after all: milliseconds after it was sent.
    pub late_ms: u32,
    /// How long `tok_slow` takes.
    pub slow_ms: u32,
    /// How long the gateway stays silent before it lets go of a request that it will not answer.
    pub hang_ms: u32,
}

impl Default for SimConfig {
    fn default() -> Self {
        Self {
            seed: 1,
            latency: Latency::default(),
            rates: Rates::default(),
            late_ms: 5_000,
            slow_ms: 2_000,
            hang_ms: 30_000,
        }
    }
}

/// The time from request to answer: uniform between two bounds, and sometimes much longer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Latency {
    /// The shortest, in milliseconds.
    pub min_ms: u32,
    /// The longest, in milliseconds, but for the tail.
    pub max_ms: u32,
    /// The share of answers in the heavy tail, 0 to 1.
    pub tail_rate: f64,
    /// What an answer in the tail takes on top, in milliseconds.
    pub tail_ms: u32,
}

impl Default for Latency {
    fn default() -> Self {
        Self { min_ms: 5, max_ms: 15, tail_rate: 0.0, tail_ms: 500 }
    }
}

/// Shares between 0 and 1. `silent`, `late`, `lost` and `delayed` exclude each other, so that their
/// sum is at most 1; they strike only the first request under a key, never inquiries and fences.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rates {
    /// Charges and authorisations that are declined.
    pub decline: f64,
    /// Refunds that are refused.
    pub refund_refused: f64,
    /// Done, and never answered: the time-out with hidden success.
    pub silent: f64,
    /// Done, and answered only after `late_ms`, by webhook when there is one.
    pub late: f64,
    /// Never arrived: the time-out with nothing behind it.
    pub lost: f64,
    /// Arrives only after `late_ms`, and is done then unless it was fenced; not answered.
    pub delayed: f64,
    /// Answers that come a second time, as a webhook.
    pub duplicate: f64,
}

/// A setting that makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("gateway simulator: {setting} {problem}")]
pub struct ConfigError {
    /// Its name.
    pub setting: &'static str,
    /// What is wrong.
    pub problem: &'static str,
}

impl SimConfig {
    /// Refuses shares outside 0 to 1 and latencies the wrong way round.
    pub fn check(&self) -> Result<(), ConfigError> {
        if self.latency.min_ms > self.latency.max_ms {
            return Err(ConfigError { setting: "latency.min_ms", problem: "is above max_ms" });
        }
        share("latency.tail_rate", self.latency.tail_rate)?;
        self.rates.check()
    }
}

impl Rates {
    /// Refuses shares outside 0 to 1.
    pub fn check(&self) -> Result<(), ConfigError> {
        let Self { decline, refund_refused, silent, late, lost, delayed, duplicate } = *self;
        share("rates.decline", decline)?;
        share("rates.refund_refused", refund_refused)?;
        share("rates.silent", silent)?;
        share("rates.late", late)?;
        share("rates.lost", lost)?;
        share("rates.delayed", delayed)?;
        share("rates.duplicate", duplicate)?;
        share("rates.silent + late + lost + delayed", silent + late + lost + delayed)
    }
}

fn share(setting: &'static str, value: f64) -> Result<(), ConfigError> {
    if (0.0..=1.0).contains(&value) {
        return Ok(());
    }
    Err(ConfigError { setting, problem: "is not between 0 and 1" })
}
