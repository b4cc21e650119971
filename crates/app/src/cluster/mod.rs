//! `jangbu cluster`: a whole stack on this machine, for trying it out and for measuring.
//!
//! ```text
//! cluster/state.json     who was started: number and beginning of each process
//! cluster/status.html    who runs, as of the last look
//! cluster/servers.env    addresses of the servers, for `jangbu bench` or a process that is started by hand
//! cluster/postgres  kafka  redis  gateway  shop-1  shop-2     files and logs
//! ```

mod status;
mod up;

use std::path::Path;

use anyhow::{Result, anyhow};
use jangbu_cluster::State;

use crate::args::ClusterCommand;
use crate::exit::{self, Exit, Usage};

pub(crate) fn cluster(dir: &Path, command: &ClusterCommand) -> Result<Exit> {
    match command {
        ClusterCommand::Up(wanted) => up::up(dir, wanted),
        ClusterCommand::Status { json } => status::status(dir, *json),
        ClusterCommand::Down => down(dir),
    }
}

fn down(dir: &Path) -> Result<Exit> {
    let stopped = started(dir)?.stop(dir)?;
    let names: Vec<_> = stopped.iter().map(|part| part.name.as_str()).collect();
    match names.as_slice() {
        [] => exit::print("nothing was running any more\n"),
        names => exit::print(&format!("stopped {}\n", names.join(", "))),
    }
}

/// What `up` has started here.
fn started(dir: &Path) -> Result<State> {
    let nothing = || anyhow!("no cluster was started in {} (--dir)", dir.display());
    State::read(dir)?.ok_or_else(|| Usage(nothing()).into())
}
