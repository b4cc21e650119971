//! Settings of the link between processes that share a database.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, bail};
use jangbu_kernel::Secret;
use jangbu_services::link::Sharing;
use serde::Deserialize;

use crate::keys;

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Link {
    pub listen: SocketAddr,
    pub advertise: String,
    pub secret: Secret,
}

impl Link {
    /// How cells are shared whose leases last so long.
    pub(crate) fn sharing(&self, lease: Duration) -> Sharing {
        Sharing {
            listen: self.listen,
            advertise: Some(self.advertise.clone()).filter(|address| !address.is_empty()),
            secret: self.secret.clone(),
            lease,
            random: keys::random_bytes,
        }
    }

    pub(crate) fn check(&self) -> Result<()> {
        let fault = self.sharing(Duration::ZERO).fault();
        fault.map_or(Ok(()), |why| bail!("{why}"))
    }
}
