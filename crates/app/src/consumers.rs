//! Which consumers of events run, as the settings say.

use anyhow::Result;
use jangbu_services::bestseller::Bestseller;
use jangbu_services::consumer::{BESTSELLER, Member, NOTIFICATION};
use jangbu_services::notification::Notifier;
use jangbu_services::projections::Projections;

use crate::config::{Channels, Config};
use crate::exit::Usage;
use crate::keys::KeyFiles;
use crate::publish::from_topics;

/// Their numbers, without the projections.
pub(crate) fn running(config: &Config) -> Vec<i64> {
    let notification = config.notification.is_on().then_some(NOTIFICATION);
    [BESTSELLER].into_iter().chain(notification).collect()
}

/// The ways on which mails and calls of hooks leave.
pub(crate) fn channels(config: &Config, files: &KeyFiles) -> Result<Channels> {
    if !config.notification.is_on() {
        return Ok(Channels::new());
    }
    config.notification.channels(&files.webhook().map_err(Usage)?)
}

/// The consumers themselves.
pub(crate) fn members(config: &Config, channels: &Channels) -> Result<Vec<Member>> {
    let bestseller = from_topics(config, Bestseller::member());
    let mut members = vec![Projections::member(config.retention.derived()), bestseller];
    if config.notification.is_on() {
        let numbers = channels.iter().map(|(number, _)| *number).collect();
        let notifier = Notifier::member(numbers, config.notification.kinds()?);
        members.push(from_topics(config, notifier));
    }
    Ok(members)
}
