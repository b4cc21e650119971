//! Where a run happens: its directory, and its own server or a target.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::args::{Args, Preset};
use crate::certificate::{Proof, Sums};
use crate::control::{Address, Call, Client};
use crate::machine::Disk;
use crate::server::{Server, Started};
use crate::{Error, Hooks};

/// The idle server may settle this long before its memory is read.
const SETTLE: Duration = Duration::from_millis(500);
/// A proof over a running server may take this long.
const PROOF_LIMIT: Duration = Duration::from_mins(10);

/// Puts keys into the directory of keys before the server starts.
pub(crate) type PutKeys<'a> = &'a mut dyn FnMut(&Path) -> io::Result<()>;

/// The server's settings, as environment variables: what the application wants, and what a preset needs.
fn settings(args: &Args, hooks: &Hooks<'_>) -> Vec<(&'static str, String)> {
    let mut settings = hooks.settings.clone();
    if args.preset == Preset::Payments && !args.signed {
        settings.push(("JANGBU__PAYMENTS__UNSIGNED", "true".to_owned()));
    }
    settings
}

/// A server that is ready for load.
#[derive(Debug)]
pub(crate) struct Stage {
    /// Before `home`: the process ends before its directory goes.
    pub(crate) server: Option<Server>,
    home: Home,
    pub(crate) address: Address,
    pub(crate) client_key: String,
    pub(crate) operator_key: String,
    pub(crate) disk: Option<Disk>,
    pub(crate) idle_mb: Option<f64>,
    pub(crate) binary_mb: Option<f64>,
    pub(crate) started: Option<Started>,
}

/// The directory of a run; removed when dropped, unless it is to be kept.
#[derive(Debug)]
struct Home {
    path: PathBuf,
    keep: bool,
}

impl Stage {
    /// Starts the own server, or finds the target. `keys` may put keys where the own server will
    /// look for them.
    pub(crate) fn open(args: &Args, hooks: &Hooks<'_>, put: PutKeys<'_>) -> Result<Self, Error> {
        let home = Home::make(args)?;
        match &args.target {
            Some(url) => Self::target(args, home, url),
            None => Self::own(args, hooks, home, put),
        }
    }

    fn own(args: &Args, hooks: &Hooks<'_>, home: Home, put: PutKeys<'_>) -> Result<Self, Error> {
        let disk = Disk::under(&home.path)?;
        put(&home.data().join("keys")).map_err(Error::io("writing keys"))?;
        let binary = match &args.server_bin {
            Some(binary) => binary.clone(),
            None => std::env::current_exe().map_err(Error::io("finding the own binary"))?,
        };
        let settings = settings(args, hooks);
        let server = Server::start(&binary, &home.data(), &args.server_arg, &settings)?;
        let keys = home.data().join("keys");
        let client_key = read_key(&keys.join("client.key"))?;
        let operator_key = read_key(&keys.join("operator.key"))?;
        std::thread::sleep(SETTLE);
        Ok(Self {
            address: server.address.clone(),
            client_key,
            operator_key,
            disk: Some(disk),
            idle_mb: server.memory_mb(),
            binary_mb: size_mb(&binary),
            started: Some(server.started.clone()),
            server: Some(server),
            home,
        })
    }

    fn target(args: &Args, home: Home, url: &str) -> Result<Self, Error> {
        let key = |file: &Option<PathBuf>, flag: &str| match file {
            Some(file) => read_key(file),
            None => Err(Error::Usage(format!("--target wants {flag}"))),
        };
        Ok(Self {
            address: Address::of_url(url)?,
            client_key: key(&args.client_key, "--client-key")?,
            operator_key: key(&args.operator_key, "--operator-key")?,
            home,
            server: None,
            disk: None,
            idle_mb: None,
            binary_mb: None,
            started: None,
        })
    }

    /// Where acknowledgements are noted.
    pub(crate) fn acks(&self) -> PathBuf {
        self.home.path.join("acks.csv")
    }

    /// The directory of keys of the own server.
    pub(crate) fn keys(&self) -> Option<PathBuf> {
        self.server.as_ref().map(|_| self.home.data().join("keys"))
    }

    /// The directory of the run.
    pub(crate) fn path(&self) -> &Path {
        &self.home.path
    }

    /// Leaves the directory where it is: somebody has to look at it.
    pub(crate) fn keep(&mut self) {
        self.home.keep = true;
    }

    pub(crate) fn is_kept(&self) -> bool {
        self.home.keep
    }

    /// Settings with which the own server was started, besides the defaults.
    pub(crate) fn settings(&self, args: &Args, hooks: &Hooks<'_>) -> Vec<String> {
        let own = self.server.is_some();
        let settings = settings(args, hooks).into_iter().filter(|_| own);
        settings.map(|(name, value)| format!("{name}={value}")).collect()
    }

    /// A client for what only an operator may ask.
    pub(crate) fn operator(&self) -> Client {
        Client::new(&self.address, &self.operator_key, Duration::from_mins(1))
    }

    /// A client for counters.
    pub(crate) fn client(&self) -> Client {
        Client::new(&self.address, &self.client_key, Duration::from_secs(10))
    }

    /// Stops the own server and proves its directory, or lets the target prove itself.
    pub(crate) fn prove(&mut self, hooks: &Hooks<'_>) -> anyhow::Result<Proof> {
        if let Some(server) = self.server.take() {
            server.stop()?;
            return (hooks.prove)(&self.home.data(), &self.acks());
        }
        let mut client = Client::new(&self.address, &self.operator_key, PROOF_LIMIT);
        let call = Call { method: "POST", path: "/api/v1/admin/prove", key: None, body: "" };
        let report: Value = serde_json::from_slice(&client.expect(&call)?)?;
        let sums = Sums::of_report(&report);
        let sums = sums.ok_or_else(|| anyhow::anyhow!("the report of the target has no sums"))?;
        Ok(Proof { sums, report })
    }
}

impl Home {
    fn make(args: &Args) -> Result<Self, Error> {
        let path = args.keep.clone().unwrap_or_else(|| {
            let now = jiff::Timestamp::now().as_millisecond();
            args.dir.join(format!("bench-{}-{now}-{}", args.preset.name(), std::process::id()))
        });
        let fail = |why: String| Error::Directory(format!("{}: {why}", path.display()));
        fs::create_dir_all(&path).map_err(|error| fail(error.to_string()))?;
        let mut entries = fs::read_dir(&path).map_err(|error| fail(error.to_string()))?;
        if entries.next().is_some() {
            return Err(fail("the directory of a run has to be empty".to_owned()));
        }
        Ok(Self { path, keep: args.keep.is_some() })
    }

    fn data(&self) -> PathBuf {
        self.path.join("data")
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if !self.keep {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

fn read_key(path: &Path) -> Result<String, Error> {
    let fail = |why: String| Error::Usage(format!("{}: {why}", path.display()));
    let text = fs::read_to_string(path).map_err(|error| fail(error.to_string()))?;
    let key = text.trim();
    if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(fail("one line with a key is expected".to_owned()));
    }
    Ok(key.to_owned())
}

#[expect(clippy::cast_precision_loss, reason = "the size of a file")]
fn size_mb(binary: &Path) -> Option<f64> {
    Some(fs::metadata(binary).ok()?.len() as f64 / 1e6)
}
