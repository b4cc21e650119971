//! As whom a server runs that refuses to run as root.

use std::{
    fs::{self, Permissions},
    os::unix::{
        fs::{MetadataExt, PermissionsExt, chown},
        process::CommandExt,
    },
    path::Path,
    process::Command,
};

use rustix::process::geteuid;

use crate::error::{Error, Result};

/// Who may be taken, the best first.
const CANDIDATES: &[&str] = &["postgres", "nobody"];
/// What PostgreSQL wants of the directory of its data.
const OWN: u32 = 0o700;
/// What the names of temporary directories begin with (`tempfile`).
const TEMPORARY: &str = ".tmp";

/// A user without power.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Account {
    /// Name, user and group; none: whoever we are.
    user: Option<(&'static str, u32, u32)>,
}

impl Account {
    /// Ourselves, unless we are root.
    pub(crate) fn choose() -> Self {
        if !geteuid().is_root() {
            return Self { user: None };
        }
        let users = fs::read_to_string("/etc/passwd").unwrap_or_default();
        let find = |name: &&'static str| {
            let line = users.lines().find(|line| line.split(':').next() == Some(*name))?;
            let mut fields = line.split(':').skip(2);
            Some((*name, fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
        };
        Self { user: CANDIDATES.iter().find_map(find) }
    }

    /// A command that runs as this user.
    pub(crate) fn command(self, program: &Path) -> Command {
        let mut command = Command::new(program);
        // Where we are may be barred to the user.
        command.current_dir("/");
        if let Some((_, user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command
    }

    /// Makes a directory that is the user's own alone, at a place that the user can get at.
    pub(crate) fn directory(self, dir: &Path) -> Result<()> {
        fs::create_dir_all(dir).map_err(Error::at("making", dir))?;
        fs::set_permissions(dir, Permissions::from_mode(OWN)).map_err(Error::at("closing", dir))?;
        let Some((name, user, group)) = self.user else { return Ok(()) };
        for above in dir.ancestors().skip(1) {
            let_pass(above, name)?;
        }
        chown(dir, Some(user), Some(group)).map_err(Error::at("giving away", dir))
    }
}

/// Lets others pass a directory if it is a temporary one of ours; a person's own are left alone.
fn let_pass(dir: &Path, user: &'static str) -> Result<()> {
    let stat = fs::metadata(dir).map_err(Error::at("reading", dir))?;
    if stat.mode() & 0o001 != 0 {
        return Ok(());
    }
    let name = dir.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if stat.uid() != geteuid().as_raw() || !name.starts_with(TEMPORARY) {
        return Err(Error::Unreachable { path: dir.to_owned(), user });
    }
    let mode = Permissions::from_mode(stat.mode() & 0o7777 | 0o001);
    fs::set_permissions(dir, mode).map_err(Error::at("opening", dir))
}
