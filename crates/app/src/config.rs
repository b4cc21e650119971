//! Settings: the default document, then the file, then the environment; and then checked.

mod gateway;
mod kafka;
mod keeping;
mod link;
mod notification;
mod sharing;
mod spans;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use jangbu_api::{Network, Rate};
use serde::Deserialize;
use toml::{Table, Value};

use gateway::Gateway;
use kafka::Kafka;
use keeping::{Backup, For, Retention};
use link::Link;
pub(crate) use notification::Channels;
use notification::Notification;
use sharing::{Cache, Redis};
use spans::{Log, Tracing};

/// The default settings with their explanations: `jangbu default-config`.
pub(crate) const DEFAULT: &str = include_str!("default.toml");

const PREFIX: &str = "JANGBU__";

/// All settings, checked.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub server: Server,
    pub log: Log,
    pub tracing: Tracing,
    pub store: Store,
    pub limits: Limits,
    pub connections: Connections,
    pub admission: Admission,
    pub rates: Rates,
    pub payments: Payments,
    pub users: Users,
    pub saga: Saga,
    pub backup: Backup,
    pub retention: Retention,
    pub link: Link,
    pub cache: Cache,
    pub redis: Redis,
    pub notification: Notification,
    pub gateway: Gateway,
    pub kafka: Kafka,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Server {
    pub listen: SocketAddr,
    pub allow_remote: bool,
    pub wait_ms: u64,
    pub queue_ms: u64,
    pub body_bytes: usize,
    pub threads: usize,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Store {
    pub url: String,
    pub schema: String,
    pub lease_ms: u64,
    pub replicas: Vec<String>,
    pub replica_lag_ms: u64,
    pub cache_kib: u32,
    pub max_pages: u32,
}

impl Store {
    fn check(&self) -> Result<()> {
        ensure!(self.cache_kib >= 1_000, "store.cache_kib must be at least 1000");
        let sound = (1_000..=60_000).contains(&self.lease_ms);
        ensure!(sound, "store.lease_ms must be 1000 to 60000");
        let sound = (100..=60_000).contains(&self.replica_lag_ms);
        ensure!(sound, "store.replica_lag_ms must be 100 to 60000");
        ensure!(
            self.replicas.is_empty() || !self.url.is_empty(),
            "store.replicas follow a PostgreSQL, and store.url names none"
        );
        Ok(())
    }
}

impl Users {
    fn check(&self) -> Result<()> {
        ensure!(
            (1..=525_600).contains(&self.session_minutes),
            "users.session_minutes must be 1 to 525600"
        );
        // The bounds of Argon2id, and of a machine that is still good for something else.
        ensure!(
            (8..=1 << 21).contains(&self.password_kib),
            "users.password_kib must be 8 to 2097152"
        );
        ensure!(
            (1..=100).contains(&self.password_passes),
            "users.password_passes must be 1 to 100"
        );
        ensure!(self.passwords_at_once > 0, "users.passwords_at_once must be above 0");
        Ok(())
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limits {
    pub waiting: usize,
    pub batch: usize,
    pub calls: usize,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Connections {
    pub most: usize,
    pub header_ms: u64,
    pub idle_ms: u64,
    pub header_bytes: usize,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Admission {
    pub target_ms: u64,
    pub least: u32,
    pub most: u32,
    pub browse: u32,
    pub refusals: u32,
}

impl Admission {
    /// How long an order may take to its commit; unless it is set, what fits the store.
    pub(crate) fn target(&self, store: &Store) -> Duration {
        Duration::from_millis(match self.target_ms {
            0 if store.url.is_empty() => 10,
            0 => 40,
            set => set,
        })
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rates {
    pub key_per_second: u32,
    pub key_burst: u32,
    pub user_per_second: u32,
    pub user_burst: u32,
    pub ip_per_second: u32,
    pub ip_burst: u32,
    pub stranger_per_second: u32,
    pub stranger_burst: u32,
    pub email_per_second: u32,
    pub email_burst: u32,
    pub trusted_proxies: Vec<String>,
}

impl Rates {
    pub(crate) fn checked(&self) -> Result<jangbu_api::Rates> {
        let rate = |per_second, burst| Rate { per_second, burst };
        let networks = self.trusted_proxies.iter().map(|text| text.parse::<Network>());
        let trusted = networks.collect::<Result<_, _>>();
        let trusted = trusted.map_err(|error| anyhow!("rates.trusted_proxies: {error}"))?;
        Ok(jangbu_api::Rates {
            key: rate(self.key_per_second, self.key_burst),
            user: rate(self.user_per_second, self.user_burst),
            ip: rate(self.ip_per_second, self.ip_burst),
            stranger: rate(self.stranger_per_second, self.stranger_burst),
            email: rate(self.email_per_second, self.email_burst),
            trusted,
        })
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Users {
    pub session_minutes: u64,
    pub password_kib: u32,
    pub password_passes: u32,
    pub passwords_at_once: usize,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Payments {
    pub unsigned: bool,
    pub nonces: usize,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Saga {
    pub patience_percent: u32,
}

impl Config {
    /// Reads the settings; `listen` is the flag.
    pub(crate) fn load(file: Option<&Path>, listen: Option<SocketAddr>) -> Result<Self> {
        let mut table: Table = toml::from_str(DEFAULT).context("the default settings")?;
        if let Some(file) = file {
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("the settings file {}", file.display()))?;
            let own: Table = toml::from_str(&text)
                .with_context(|| format!("the settings file {}", file.display()))?;
            merge(&mut table, own);
        }
        for (name, value) in std::env::vars() {
            if let Some(path) = name.strip_prefix(PREFIX) {
                set(&mut table, path, &value).with_context(|| format!("the variable {name}"))?;
            }
        }
        let mut config: Self = table.try_into().context("the settings")?;
        if let Some(listen) = listen {
            config.server.listen = listen;
        }
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<()> {
        let server = &self.server;
        if !server.listen.ip().is_loopback() && !server.allow_remote {
            bail!(
                "server.listen is {}, which others can reach; set server.allow_remote = true if \
                 a proxy with TLS stands before it",
                server.listen
            );
        }
        ensure!(
            server.listen.ip().is_loopback() || !self.payments.unsigned,
            "payments.unsigned = true lets anybody charge cards: it is for loopback alone, and \
             server.listen is {}; make keys with `jangbu merchant-key`",
            server.listen
        );
        self.log.checked()?;
        self.tracing.check()?;
        self.users.check()?;
        ensure!(self.payments.nonces > 0, "payments.nonces must be above 0");
        ensure!(server.wait_ms <= 60_000, "server.wait_ms must be at most 60000");
        ensure!(server.queue_ms > 0, "server.queue_ms must be above 0");
        ensure!(server.body_bytes >= 1_024, "server.body_bytes must be at least 1024");
        self.store.check()?;
        ensure!(self.limits.batch > 0, "limits.batch must be above 0");
        ensure!(self.limits.waiting > 0, "limits.waiting must be above 0");
        ensure!(self.limits.calls > 0, "limits.calls must be above 0");
        let connections = &self.connections;
        ensure!(connections.most > 0, "connections.most must be above 0");
        ensure!(connections.header_ms >= 100, "connections.header_ms must be at least 100");
        ensure!(connections.idle_ms >= 100, "connections.idle_ms must be at least 100");
        ensure!(
            (1_024..=1 << 20).contains(&connections.header_bytes),
            "connections.header_bytes must be 1024 to 1048576"
        );
        ensure!(self.admission.least > 0, "admission.least must be above 0");
        ensure!(self.admission.browse > 0, "admission.browse must be above 0");
        self.rates.checked()?;
        ensure!(self.saga.patience_percent > 0, "saga.patience_percent must be above 0");
        let at_least = |span: For, least| span.0.is_none_or(|span| span >= least);
        // Drills and tests, whose every other time is shorter, too, cannot wait a minute.
        let minute =
            Duration::from_mins(1).min(Duration::from_millis(600) * self.saga.patience_percent);
        for (name, span) in [
            ("outbox", self.retention.outbox),
            ("parked", self.retention.parked),
            ("timelines", self.retention.timelines),
        ] {
            ensure!(at_least(span, minute), "retention.{name} must be at least 1m");
        }
        let days = Duration::from_hours(15 * 24);
        ensure!(at_least(self.retention.keys, days), "retention.keys must be at least 15d");
        ensure!(
            at_least(self.backup.every, Duration::from_secs(1)),
            "backup.every must be at least 1s"
        );
        ensure!(self.backup.to != Path::new(""), "backup.to must name a directory");
        self.link.check()?;
        self.cache.check()?;
        // What is known of a change must outlive the slowest replica.
        let life = self.cache.limits().life.0;
        let lag = i64::try_from(self.store.replica_lag_ms * 1_000).unwrap_or(i64::MAX);
        ensure!(
            self.store.replicas.is_empty() || lag <= life,
            "store.replica_lag_ms must be at most cache.life"
        );
        self.redis.check()?;
        self.notification.check()?;
        self.kafka.check()?;
        self.gateway.check(server.allow_remote)
    }
}

/// Puts `own` over `table`, section by section.
fn merge(table: &mut Table, own: Table) {
    for (name, value) in own {
        match (table.get_mut(&name), value) {
            (Some(Value::Table(section)), Value::Table(own)) => merge(section, own),
            (_, value) => {
                table.insert(name, value);
            }
        }
    }
}

/// Sets `SECTION__NAME` to `text`, which is a TOML value, or text as it stands.
fn set(table: &mut Table, path: &str, text: &str) -> Result<()> {
    let lower = path.to_lowercase();
    let (sections, name) = lower.rsplit_once("__").context("needs a section and a name")?;
    let mut at = table;
    for section in sections.split("__") {
        let next = at.get_mut(section).and_then(Value::as_table_mut);
        at = next.with_context(|| format!("there is no section {section}"))?;
    }
    let parsed = toml::from_str::<Table>(&format!("v = {text}")).ok();
    let value = parsed.and_then(|mut t| t.remove("v"));
    at.insert(name.to_owned(), value.unwrap_or_else(|| Value::String(text.to_owned())));
    Ok(())
}

#[cfg(test)]
mod tests;
