//! PostgreSQL: a primary, its standbys, and everything that may become of them.
//!
//! ```no_run
//! # fn main() -> jangbu_cluster::Result<()> {
//! let dir = std::path::Path::new("scratch");
//! let primary = jangbu_cluster::Postgres::start(&dir.join("primary"))?;
//! let url = primary.database("shop")?;
//! let standby = primary.standby(&dir.join("standby"))?;   // commits wait for it from now on
//! primary.crash();                                        // the power is gone
//! standby.promote()?;                                     // what was committed is there
//! # Ok(()) }
//! ```
//!
//! It runs with what a shop would use: fsync, full-page writes and synchronous commits are on, unless
//! [`Postgres::start_with`] says otherwise.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use rustix::process::Signal;

use crate::{
    account::Account,
    error::{Error, Result},
    port::free_port,
    programs,
    service::{self, Launch, Service},
    state::Part,
};

/// The oldest version that will do.
const OLDEST: u32 = 15;
const INSTALL: &str = "apt-get install --no-install-recommends postgresql-15";
/// Where Debian keeps its versions.
const VERSIONS: &str = "/usr/lib/postgresql";
/// Names the directory of the programs.
const BIN: &str = "JANGBU_POSTGRES_BIN";
/// How long a start may take; after a crash it reads its log again.
const START: Duration = Duration::from_mins(1);
/// How long a standby may take to follow.
const FOLLOW: Duration = Duration::from_secs(30);
/// Ports that are tried for a new server.
const TRIES: usize = 5;

/// Settings of every server. A promotion takes seconds instead of a moment with the usual pause of a
/// standby that looks for its primary; the rest lets an old primary be rewound and be followed.
const SETTINGS: &[(&str, &str)] = &[
    ("listen_addresses", "127.0.0.1"),
    ("unix_socket_directories", ""),
    ("max_connections", "200"),
    ("wal_level", "logical"),
    ("wal_log_hints", "on"),
    ("wal_retrieve_retry_interval", "200ms"),
];

/// A PostgreSQL server. Dropping it stops it; its files stay.
#[derive(Debug)]
pub struct Postgres {
    dir: PathBuf,
    bin: PathBuf,
    account: Account,
    port: u16,
    settings: Vec<(String, String)>,
    remove: Option<PathBuf>,
    service: Mutex<Option<Service>>,
}

impl Postgres {
    /// Starts a server whose files are in `dir`; the first time they are made.
    pub fn start(dir: &Path) -> Result<Self> {
        Self::start_with(dir, &[])
    }

    /// As [`start`](Self::start), with settings of one's own.
    pub fn start_with(dir: &Path, settings: &[(&str, &str)]) -> Result<Self> {
        Self::begin(dir, settings, None)
    }

    /// As [`start_with`](Self::start_with); `remove` goes when this process ends without stopping it.
    pub(crate) fn begin(
        dir: &Path,
        settings: &[(&str, &str)],
        remove: Option<&Path>,
    ) -> Result<Self> {
        let settings = settings.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        let mut server = Self::at(dir, settings.collect(), remove)?;
        if !server.data().join("PG_VERSION").exists() {
            server.init()?;
        }
        server.open()?;
        Ok(server)
    }

    fn at(dir: &Path, settings: Vec<(String, String)>, remove: Option<&Path>) -> Result<Self> {
        let (bin, account) = (bin()?, Account::choose());
        let dir = service::directory(dir)?;
        account.directory(&dir.join("data"))?;
        let (port, remove, service) = (0, remove.map(Path::to_owned), Mutex::new(None));
        Ok(Self { dir, bin, account, port, settings, remove, service })
    }

    fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    fn init(&self) -> Result<()> {
        let mut command = self.account.command(&self.bin.join("initdb"));
        command.arg("-D").arg(self.data());
        // Letters are compared as bytes, as in SQLite.
        command.args(["-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync", "-U", "postgres"]);
        service::run("initdb", command).map(drop)
    }

    /// Starts it for the first time, on a port that is free; another process may have been quicker.
    fn open(&mut self) -> Result<()> {
        let mut tries = 1;
        loop {
            self.port = free_port()?;
            match self.boot() {
                Err(Error::Died { tail, .. }) if tries < TRIES && is_taken(&tail) => tries += 1,
                done => return done,
            }
        }
    }

    fn boot(&self) -> Result<()> {
        let mut command = self.account.command(&self.bin.join("postgres"));
        command.arg("-D").arg(self.data()).arg("-c").arg(format!("port={}", self.port));
        let own = self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in SETTINGS.iter().copied().chain(own) {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        let log = self.dir.join("postgres.log");
        let launch = Launch {
            name: "PostgreSQL",
            command,
            log: &log,
            // Fast: connections are closed, not waited for.
            farewell: Signal::INT,
            remove: self.remove.as_deref(),
        };
        let mut service = Service::spawn(launch)?;
        // A standby takes reads only, and says so.
        service.ready("database system is ready to accept", START)?;
        *self.service.lock() = Some(service);
        Ok(())
    }

    /// The database `postgres`.
    pub fn url(&self) -> String {
        self.url_of("postgres")
    }

    /// A database.
    pub fn url_of(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    /// A fresh database; one that has this name is dropped, whoever uses it.
    pub fn database(&self, name: &str) -> Result<String> {
        let quoted = name.replace('"', "\"\"");
        self.sql(&[
            &format!("drop database if exists \"{quoted}\" with (force)"),
            &format!("create database \"{quoted}\""),
        ])?;
        Ok(self.url_of(name))
    }

    /// Runs statements in the database `postgres`, each in a transaction of its own.
    pub fn sql(&self, statements: &[&str]) -> Result<String> {
        self.sql_in("postgres", statements)
    }

    /// As [`sql`](Self::sql), in another database. Rows come as lines, fields separated by `|`.
    pub fn sql_in(&self, database: &str, statements: &[&str]) -> Result<String> {
        let mut command = Command::new(self.bin.join("psql"));
        command.args(["-XAtq", "-v", "ON_ERROR_STOP=1", "-d", &self.url_of(database)]);
        for statement in statements {
            command.args(["-c", statement]);
        }
        service::run("psql", command)
    }

    /// The power is gone: all processes of the server are killed at once.
    pub fn crash(&self) {
        let Some(service) = self.service.lock().take() else { return };
        let children = service.identity().children();
        service.kill();
        for child in &children {
            child.signal(Signal::KILL);
        }
        for child in children {
            child.ended(START);
        }
    }

    /// Stops it; connections are closed.
    pub fn stop(&self) {
        drop(self.service.lock().take());
    }

    /// Stops it if it runs, and starts it on the same port.
    pub fn restart(&self) -> Result<()> {
        self.stop();
        let began = Instant::now();
        loop {
            match self.boot() {
                // The port may be in the hand of somebody who was quicker, for a moment.
                Err(Error::Died { tail, .. }) if began.elapsed() < START && is_taken(&tail) => {
                    thread::sleep(Duration::from_millis(100));
                }
                done => return done,
            }
        }
    }

    /// A copy in `dir` that follows this server; its reads may be a moment old.
    pub fn replica(&self, dir: &Path) -> Result<Self> {
        let mut copy = Self::at(dir, self.settings.clone(), None)?;
        let mut command = self.account.command(&self.bin.join("pg_basebackup"));
        command.arg("-D").arg(copy.data());
        // A slot of its own keeps what the copy still needs.
        let slot = format!("copy_{}", free_port()?);
        command.args(["-d", &self.url(), "-R", "-C", "-S", &slot, "-X", "stream", "-c", "fast"]);
        command.arg("--no-sync");
        service::run("pg_basebackup", command)?;
        copy.open()?;
        Ok(copy)
    }

    /// A copy as [`replica`](Self::replica) that every commit waits for: none is lost with this server.
    /// Without the copy nothing can be committed.
    pub fn standby(&self, dir: &Path) -> Result<Self> {
        let copy = self.replica(dir)?;
        self.sql(&[
            "alter system set synchronous_standby_names = 'ANY 1 (*)'",
            "select pg_reload_conf()",
        ])?;
        let began = Instant::now();
        let follows = "select count(*) from pg_stat_replication \
                       where state = 'streaming' and sync_state in ('sync', 'quorum')";
        while self.sql(&[follows])? == "0" {
            if began.elapsed() > FOLLOW {
                let message = "no standby follows".to_owned();
                return Err(Error::Failed { program: "replication".into(), message });
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(copy)
    }

    /// Makes a copy take writes; its commits wait for nobody.
    pub fn promote(&self) -> Result<()> {
        self.sql(&[
            "select pg_promote(true, 60)",
            "alter system reset synchronous_standby_names",
            "select pg_reload_conf()",
        ])
        .map(drop)
    }

    /// The port, the same for all its life.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The programs that belong to it: `psql`, `pgbench` and others.
    pub fn bin(&self) -> &Path {
        &self.bin
    }

    /// Lets it live on; what it is, for those who will stop it.
    pub fn leave(self) -> Vec<Part> {
        let address = format!("127.0.0.1:{}", self.port);
        self.service.lock().take().into_iter().map(|s| Part::of(s, "postgres", &address)).collect()
    }
}

/// Whether somebody else has the port.
fn is_taken(tail: &str) -> bool {
    tail.contains("Address already in use") || tail.contains("could not create any TCP/IP sockets")
}

/// The programs of the newest version.
fn bin() -> Result<PathBuf> {
    if let Some(dir) = env::var_os(BIN).map(PathBuf::from) {
        let missing = || Error::Missing { program: format!("{BIN}/initdb"), install: INSTALL };
        return dir.join("initdb").is_file().then_some(dir).ok_or_else(missing);
    }
    let debian = programs::versions(Path::new(VERSIONS), OLDEST);
    let mut found = debian.into_iter().map(|version| version.join("bin"));
    if let Some(bin) = found.find(|bin| bin.join("initdb").is_file()) {
        return Ok(bin);
    }
    let initdb = programs::program("initdb", INSTALL)?;
    let initdb = fs::canonicalize(&initdb).map_err(Error::at("finding", &initdb))?;
    Ok(initdb.parent().map(Path::to_owned).unwrap_or_default())
}
