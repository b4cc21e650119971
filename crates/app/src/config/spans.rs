//! What goes to the log; where the spans of traced requests go, and which requests are traced.

use anyhow::{Result, anyhow, ensure};
use jangbu_engine::trace::PerMillion;
use serde::Deserialize;
use tracing::level_filters::LevelFilter;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Log {
    pub level: String,
}

impl Log {
    pub(crate) fn checked(&self) -> Result<LevelFilter> {
        let level = self.level.parse();
        level.map_err(|_| anyhow!("log.level must be error, warn, info, debug, trace or off"))
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tracing {
    pub otlp: String,
    pub sample: f64,
}

impl Tracing {
    pub(super) fn check(&self) -> Result<()> {
        let plain = self.otlp.strip_prefix("http://").is_some_and(|rest| !rest.is_empty());
        ensure!(
            self.otlp.is_empty() || plain,
            "tracing.otlp must be as http://127.0.0.1:4318, or empty: a collector on this machine \
             may speak TLS to others"
        );
        ensure!((0.0..=1.0).contains(&self.sample), "tracing.sample must be 0 to 1");
        Ok(())
    }

    /// The collector; none: nothing is traced.
    pub(crate) fn endpoint(&self) -> Option<&str> {
        Some(&*self.otlp).filter(|otlp| !otlp.is_empty())
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share between 0 and 1"
    )]
    pub(crate) fn per_million(&self) -> PerMillion {
        PerMillion((self.sample * 1_000_000.0).round() as u32)
    }

    /// One success out of so many has a line of the log. Those that are traced have one anyway.
    pub(crate) fn log_every(&self) -> u64 {
        match self.per_million() {
            PerMillion(0) => 0,
            _ if self.endpoint().is_some() => 0,
            PerMillion(share) => u64::from(1_000_000 / share),
        }
    }
}
