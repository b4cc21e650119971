//! One process per data directory.
//!
//! The directory has a file `lock`. Its owner holds an advisory lock on it for as long as it
//! lives, so a crash frees it, and writes its process id into it, so that whoever is refused can
//! say by whom.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// Why a data directory could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum DirError {
    /// Another process has it.
    #[error(
        "the data directory {} is in use by process {holder}: stop that process, or give this one \
         another directory (--data)",
        path.display()
    )]
    InUse {
        /// The directory.
        path: PathBuf,
        /// The process id that the holder left, or `unknown`.
        holder: String,
    },
    /// It cannot be created or written.
    #[error(
        "the data directory {} cannot be used: {source}; it must be a directory that this user \
         may write",
        path.display()
    )]
    NotWritable {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A data directory that this process owns until the value is dropped.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    lock: File,
}

impl DataDir {
    /// Creates the directory if it is missing (for this user alone) and takes its lock.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, DirError> {
        let path = path.into();
        let refuse = |source| DirError::NotWritable { path: path.clone(), source };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&path).map_err(refuse)?;
        let mut lock = open_lock(&path.join("lock")).map_err(refuse)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(DirError::InUse { holder: holder(&mut lock), path });
            }
            Err(TryLockError::Error(source)) => return Err(refuse(source)),
        }
        sign(&mut lock).map_err(refuse)?;
        Ok(Self { path, lock })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of a file in it.
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        // Closing the file frees the lock; an empty file says that nobody holds it.
        let _ = self.lock.set_len(0);
    }
}

fn open_lock(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

fn sign(lock: &mut File) -> io::Result<()> {
    lock.set_len(0)?;
    lock.rewind()?;
    writeln!(lock, "{}", std::process::id())
}

fn holder(lock: &mut File) -> String {
    let mut text = String::new();
    match lock.read_to_string(&mut text) {
        Ok(_) if !text.trim().is_empty() => text.trim().to_owned(),
        _ => "unknown".to_owned(),
    }
}
