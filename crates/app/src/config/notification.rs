//! The settings of mails and hooks.

use anyhow::{Context, Result, anyhow, ensure};
use jangbu_adapters::mail::Smtp;
use jangbu_adapters::webhook::Webhook;
use jangbu_kernel::Secret;
use jangbu_services::notification::{CHANNELS, Channel, Kind, Language};
use serde::Deserialize;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Notification {
    pub smtp: String,
    pub from: String,
    pub shop: String,
    pub language: String,
    pub webhooks: Vec<String>,
    pub events: Vec<String>,
}

/// Channels with their numbers.
pub(crate) type Channels = Vec<(i64, Box<dyn Channel>)>;

impl Notification {
    /// Whether anything is sent.
    pub(crate) fn is_on(&self) -> bool {
        !self.smtp.is_empty() || !self.webhooks.is_empty()
    }

    /// What is told.
    pub(crate) fn kinds(&self) -> Result<Vec<Kind>> {
        let kind = |name: &String| {
            Kind::from_name(name).ok_or_else(|| {
                anyhow!("notification.events: placed, completed, cancelled, refunded or shipped")
            })
        };
        self.events.iter().map(kind).collect()
    }

    pub(crate) fn language(&self) -> Result<Language> {
        Language::from_name(&self.language).context("notification.language must be ko or en")
    }

    /// The channels that are set; hooks are signed with `key`.
    pub(crate) fn channels(&self, key: &Secret) -> Result<Channels> {
        let mut channels = Channels::new();
        if !self.smtp.is_empty() {
            let smtp = Smtp::new(&self.smtp, &self.from);
            let smtp =
                smtp.map_err(|why| anyhow!("notification.smtp, notification.from: {why}"))?;
            channels.push((0, Box::new(smtp)));
        }
        for (url, number) in self.webhooks.iter().zip(1..) {
            let hook = Webhook::new(&format!("hook-{number}"), url, key.clone());
            let hook = hook.map_err(|why| anyhow!("notification.webhooks: {why}"))?;
            channels.push((number, Box::new(hook)));
        }
        Ok(channels)
    }

    pub(crate) fn check(&self) -> Result<()> {
        self.kinds()?;
        self.language()?;
        let most = usize::try_from(CHANNELS - 1).unwrap_or_default();
        ensure!(self.webhooks.len() <= most, "notification.webhooks: at most {most}");
        self.channels(&Secret::default()).map(|_| ())
    }
}
