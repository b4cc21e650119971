//! The two keys of a shop, made at its first start, readable by its user alone.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use jangbu_kernel::Secret;

/// Where the keys of a data directory are.
#[derive(Debug)]
pub(crate) struct KeyFiles {
    pub client: PathBuf,
    pub operator: PathBuf,
}

impl KeyFiles {
    /// Below `data`.
    pub(crate) fn of(data: &Path) -> Self {
        let dir = data.join("keys");
        Self { client: dir.join("client.key"), operator: dir.join("operator.key") }
    }

    /// Reads both keys, making those that are missing.
    pub(crate) fn open(&self) -> Result<(Secret, Secret)> {
        Ok((open(&self.client, "jbc_")?, open(&self.operator, "jbo_")?))
    }
}

fn open(file: &Path, prefix: &str) -> Result<Secret> {
    match read(file) {
        Err(error) if is_missing(&error) => {
            make(file, prefix).with_context(|| format!("making the key {}", file.display()))?;
            read(file)
        }
        key => key,
    }
}

/// Reads a key.
pub(crate) fn read(file: &Path) -> Result<Secret> {
    let text = fs::read_to_string(file).with_context(|| format!("the key {}", file.display()))?;
    let key = text.trim();
    ensure!(key.len() >= 20, "the key {} is too short; remove it to get a new one", file.display());
    Ok(Secret::new(key))
}

fn is_missing(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == ErrorKind::NotFound)
}

fn make(file: &Path, prefix: &str) -> Result<()> {
    if let Some(dir) = file.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    }
    let mut random = [0; 24];
    getrandom::fill(&mut random).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file)?;
    write!(out, "{prefix}")?;
    for byte in random {
        write!(out, "{byte:02x}")?;
    }
    writeln!(out)?;
    out.sync_all()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn keys_are_made_once_and_for_their_user_alone() {
        let dir = tempfile::tempdir().unwrap();
        let files = KeyFiles::of(dir.path());
        let (client, operator) = files.open().unwrap();
        assert_eq!(files.open().unwrap(), (client.clone(), operator.clone()));
        assert_ne!(client.reveal()[4..], operator.reveal()[4..]);
        let mode = fs::metadata(&files.operator).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
