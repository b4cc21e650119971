//! `jangbu keys …`: which keys of sessions and sealed columns there are, and newer ones.
//!
//! A newer key is one more file. A server takes it up at its next start: from then on it signs or
//! seals, and the older ones go on verifying and opening. An old session key may be removed when its
//! last session has ended; an old sealing key never, as long as anything is sealed with it.

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::{KeyFiles, SEALING, files, write_key};
use crate::args::KeysCommand;
use crate::exit::{self, Exit, Usage};

pub(crate) fn keys(data: &Path, command: &KeysCommand) -> Result<Exit> {
    let keys = KeyFiles::of(data);
    let text = match command {
        KeysCommand::List => list(&keys),
        KeysCommand::RotateSessions => keys.rotate_sessions(),
        KeysCommand::RotateSealing => keys.rotate_sealing(),
    };
    exit::print(&text.map_err(Usage)?)
}

/// Names alone: what is in a key file is never printed.
fn list(keys: &KeyFiles) -> Result<String> {
    let mut text = String::new();
    for (what, dir, does) in [
        ("sessions", &keys.sessions, ["signs and verifies", "verifies"]),
        ("sealing", &keys.sealing, ["seals and opens", "opens"]),
    ] {
        let found = files(dir, "key")?;
        let last = found.len().saturating_sub(1);
        for (at, (name, _)) in found.iter().enumerate() {
            let _ = writeln!(text, "{what:9} {name:6} {}", does[usize::from(at != last)]);
        }
    }
    if keys.index.exists() {
        let _ = writeln!(text, "{:9} {:6} finds users by e-mail; never replaced", "index", "-");
    }
    if text.is_empty() {
        text.push_str("no keys of sessions and sealing yet: the first start makes them\n");
    }
    Ok(text)
}

impl KeyFiles {
    fn rotate_sessions(&self) -> Result<String> {
        let next = next(&self.sessions, 9_999)?;
        let file = self.sessions.join(format!("{next:04}.key"));
        let last = files(&self.sessions, "key")?.pop().map(|(name, _)| name);
        ensure!(
            last.is_none_or(|last| *last < *format!("{next:04}")),
            "the name of a key in {} comes after {next:04}: rename it, since the last name signs",
            self.sessions.display()
        );
        write_key(&file, "jbs_", SEALING)?;
        Ok(format!("made {}; it signs after the next start of the server\n", file.display()))
    }

    fn rotate_sealing(&self) -> Result<String> {
        let next = next(&self.sealing, 255)?;
        ensure!(next > 1, "there is no sealing key yet: the first start makes it");
        let file = self.sealing.join(format!("{next:03}.key"));
        write_key(&file, "", SEALING)?;
        Ok(format!(
            "made {}; it seals after the next start of the server. Keep the older ones: what they \
             sealed opens with them alone\n",
            file.display()
        ))
    }
}

/// One above the highest number that is a name.
fn next(dir: &Path, most: u16) -> Result<u16> {
    let found = files(dir, "key")?;
    let highest = found.iter().filter_map(|(name, _)| name.parse::<u16>().ok()).max().unwrap_or(0);
    let next = highest.checked_add(1).filter(|next| *next <= most);
    next.with_context(|| format!("{} has {most} keys, and there are no more", dir.display()))
}
