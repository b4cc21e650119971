//! Settings of the payment gateway: another process, or simulated inside this one.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use jangbu_psp::SimConfig;
use jangbu_psp::simulator::{Latency, Rates};
use serde::Deserialize;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Gateway {
    /// Of another process; empty: inside this one.
    pub url: String,
    pub webhooks: SocketAddr,
    log: PathBuf,
    seed: u64,
    late_ms: u32,
    slow_ms: u32,
    hang_ms: u32,
    pub latency: Latency,
    rates: Rates,
}

impl Gateway {
    /// What the simulated one is like.
    pub(crate) fn simulated(&self) -> SimConfig {
        let Self { url: _, webhooks: _, log: _, seed, late_ms, slow_ms, hang_ms, latency, rates } =
            self;
        SimConfig {
            seed: *seed,
            latency: latency.clone(),
            rates: *rates,
            late_ms: *late_ms,
            slow_ms: *slow_ms,
            hang_ms: *hang_ms,
        }
    }

    /// Its log, if it is not the one in the data directory.
    pub(crate) fn log(&self) -> Option<PathBuf> {
        (self.log != Path::new("")).then(|| self.log.clone())
    }

    pub(super) fn check(&self, allow_remote: bool) -> Result<()> {
        let known = self.url.is_empty() || self.url.starts_with("http://");
        ensure!(known, "gateway.url must be empty or http://HOST:PORT");
        ensure!(
            self.webhooks.ip().is_loopback() || allow_remote,
            "gateway.webhooks is {}, which others can reach; see server.allow_remote",
            self.webhooks
        );
        self.simulated().check().context("gateway")
    }
}
