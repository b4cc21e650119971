//! Settings of what is kept of the catalogue, and of what processes share.

use std::time::Duration;

use anyhow::{Result, anyhow, ensure};
use jangbu_adapters::redis::{Nodes, Settings};
use jangbu_kernel::time::Span;
use jangbu_services::cache::Limits;
use serde::Deserialize;

use super::For;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cache {
    pub mib: usize,
    pub life: For,
}

impl Cache {
    pub(super) fn check(&self) -> Result<()> {
        let fine = Duration::from_secs(1)..=Duration::from_hours(24);
        ensure!(
            self.life.0.is_some_and(|life| fine.contains(&life)),
            "cache.life must be 1s to 24h"
        );
        ensure!(self.mib <= 1 << 20, "cache.mib must be at most 1048576");
        Ok(())
    }

    pub(crate) fn limits(&self) -> Limits {
        let life = self.life.0.unwrap_or_default().as_micros();
        Limits { bytes: self.mib << 20, life: Span(i64::try_from(life).unwrap_or(i64::MAX)) }
    }
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Redis {
    pub url: String,
    pub sentinels: Vec<String>,
    pub master: String,
    pub prefix: String,
    pub patience_ms: u64,
}

/// The address may have a password in it.
impl std::fmt::Debug for Redis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { url, sentinels, master, prefix, patience_ms } = self;
        f.debug_struct("Redis")
            .field("url", &if url.is_empty() { "" } else { "***" })
            .field("sentinels", sentinels)
            .field("master", master)
            .field("prefix", prefix)
            .field("patience_ms", patience_ms)
            .finish()
    }
}

impl Redis {
    pub(super) fn check(&self) -> Result<()> {
        let fine = |c: char| c.is_ascii_alphanumeric() || "-_.:".contains(c);
        ensure!(
            (1..=64).contains(&self.prefix.len()) && self.prefix.chars().all(fine),
            "redis.prefix must be 1 to 64 letters, digits, -, _, . and :"
        );
        ensure!((1..=1_000).contains(&self.patience_ms), "redis.patience_ms must be 1 to 1000");
        self.nodes().map(drop)
    }

    /// None: there is no Redis.
    fn nodes(&self) -> Result<Option<Nodes>> {
        if self.url.is_empty() && self.sentinels.is_empty() {
            return Ok(None);
        }
        let nodes = Nodes::new(&self.url, self.sentinels.clone(), &self.master);
        nodes.map(Some).map_err(|error| anyhow!("{error}"))
    }

    /// None: there is no Redis. Values live for `life`.
    pub(crate) fn settings(&self, life: Span) -> Result<Option<Settings>> {
        let patience = Duration::from_millis(self.patience_ms);
        let with = |nodes| Settings { nodes, prefix: self.prefix.clone(), patience, life };
        Ok(self.nodes()?.map(with))
    }
}
