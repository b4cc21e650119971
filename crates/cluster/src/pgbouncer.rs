//! `PgBouncer`: a pooler in front of a PostgreSQL.

use std::{
    fmt::Write,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::process::Signal;

use crate::{
    account::Account,
    error::{Error, Result},
    port::free_port,
    programs,
    service::{Launch, Service},
};

const INSTALL: &str = "apt-get install --no-install-recommends pgbouncer";
/// Where Debian keeps what only root is expected to call.
const SBIN: &str = "/usr/sbin/pgbouncer";
/// How long a start may take.
const START: Duration = Duration::from_secs(30);

/// A pooler. Dropping it stops it.
#[derive(Debug)]
pub struct PgBouncer {
    port: u16,
    service: Service,
}

impl PgBouncer {
    /// Starts a pooler in front of the PostgreSQL on `server`; `settings` as in its file, such as
    /// `pool_mode`. Everybody may come, and comes as the user postgres.
    pub fn start(dir: &Path, server: u16, settings: &[(&str, &str)]) -> Result<Self> {
        let known = Some(PathBuf::from(SBIN)).filter(|path| path.is_file());
        let program = known.map_or_else(|| programs::program("pgbouncer", INSTALL), Ok)?;
        let (account, port) = (Account::choose(), free_port()?);
        account.directory(dir)?;
        let mut text = format!(
            "[databases]\n* = host=127.0.0.1 port={server} user=postgres\n[pgbouncer]\n\
             listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n"
        );
        for (name, value) in settings {
            let _ = writeln!(text, "{name} = {value}");
        }
        let file = dir.join("pgbouncer.ini");
        fs::write(&file, text).map_err(Error::at("writing", &file))?;
        let mut command = account.command(&program);
        command.arg(&file);
        let log = dir.join("pgbouncer.log");
        let launch =
            Launch { name: "PgBouncer", command, log: &log, farewell: Signal::INT, remove: None };
        let mut service = Service::spawn(launch)?;
        service.ready("process up", START)?;
        Ok(Self { port, service })
    }

    /// A database of the server behind it.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// Where what it prints goes.
    pub fn log(&self) -> &Path {
        self.service.log()
    }
}
