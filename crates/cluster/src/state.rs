//! What was left running, so that another process can look after it and stop it.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use crate::{
    error::{Error, Result},
    identity::Identity,
    service::Service,
};

/// The file in the directory.
const FILE: &str = "state.json";
/// How long a server may take to end before it is killed.
const PATIENCE: Duration = Duration::from_secs(30);

/// One process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// What people call it.
    pub name: String,
    /// Which process it is.
    #[serde(flatten)]
    pub identity: Identity,
    /// The number of the signal that asks it to end.
    pub farewell: i32,
    /// Where it listens.
    pub address: String,
    /// What it prints.
    pub log: PathBuf,
}

/// All processes, in the order in which they were started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Which start of the machine it is of: processes do not outlive it.
    boot: String,
    /// The processes.
    pub parts: Vec<Part>,
}

impl Part {
    /// Lets a program live on.
    pub fn of(service: Service, name: &str, address: &str) -> Self {
        let (name, address) = (name.to_owned(), address.to_owned());
        let (farewell, log) = (service.farewell().as_raw(), service.log().to_owned());
        Self { name, identity: service.leave(), farewell, address, log }
    }

    /// Asks it to end, kills it if it does not, and tells whether it ran at all.
    fn stop(&self) -> bool {
        let farewell = Signal::from_named_raw(self.farewell).unwrap_or(Signal::TERM);
        let ran = self.identity.signal(farewell);
        if ran && !self.identity.ended(PATIENCE) {
            self.identity.signal(Signal::KILL);
            self.identity.ended(PATIENCE);
        }
        ran
    }
}

impl State {
    /// Of processes that run now.
    pub fn new(parts: Vec<Part>) -> Self {
        Self { boot: boot(), parts }
    }

    /// What was left running in a directory; none if nothing was.
    pub fn read(dir: &Path) -> Result<Option<Self>> {
        let path = dir.join(FILE);
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            text => text.map_err(Error::at("reading", &path))?,
        };
        let state = serde_json::from_str(&text).map_err(io::Error::other);
        state.map(Some).map_err(Error::at("reading", &path))
    }

    /// Writes it down.
    pub fn write(&self, dir: &Path) -> Result<()> {
        let (path, draft) = (dir.join(FILE), dir.join("state.json.new"));
        let text = serde_json::to_string_pretty(self).map_err(io::Error::other);
        let text = text.map_err(Error::at("writing", &path))?;
        fs::write(&draft, text + "\n").map_err(Error::at("writing", &draft))?;
        fs::rename(&draft, &path).map_err(Error::at("writing", &path))
    }

    /// Whether a part of it runs.
    pub fn runs(&self, part: &Part) -> bool {
        self.boot == boot() && part.identity.is_alive()
    }

    /// Stops what still runs, the last started first, and forgets it all; whom it stopped.
    pub fn stop(self, dir: &Path) -> Result<Vec<Part>> {
        let mut stopped = Vec::new();
        for part in self.parts.iter().rev() {
            if self.runs(part) && part.stop() {
                stopped.push(part.clone());
            }
        }
        let path = dir.join(FILE);
        fs::remove_file(&path).map_err(Error::at("removing", &path))?;
        Ok(stopped)
    }
}

/// The kernel's name of this start of the machine.
fn boot() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}
