//! One PostgreSQL for all tests of a binary: starting one takes a second, a database in it a tenth.

use std::{path::PathBuf, sync::OnceLock};

use crate::{error::Result, postgres::Postgres};

/// The server is gone with the process, and so are its files: nothing that these settings save time
/// on could ever be needed. A database is made of a template, not of its log.
const SETTINGS: &[(&str, &str)] =
    &[("fsync", "off"), ("full_page_writes", "off"), ("max_connections", "400")];

/// The server of this process, started when it is first wanted. Each test makes a database of its own
/// in it ([`Postgres::database`]). It does not write through to the disk: a test of crashes, or a
/// measurement, starts its own.
///
/// # Panics
///
/// If it cannot be started; the message says what is missing.
pub fn postgres() -> &'static Postgres {
    static SERVER: OnceLock<Postgres> = OnceLock::new();
    SERVER.get_or_init(|| start().unwrap_or_else(|error| panic!("{error}")))
}

fn start() -> Result<Postgres> {
    let dir = tempfile::Builder::new().prefix(".tmp-jangbu-").tempdir();
    let dir: PathBuf = dir.map_err(crate::Error::io("making a directory"))?.keep();
    // A static is never dropped: its guard stops the server and removes the directory.
    Postgres::begin(&dir, SETTINGS, Some(&dir))
}
