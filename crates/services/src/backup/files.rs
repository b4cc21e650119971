//! Files of backups: copied with their digests, flushed, compared.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jangbu_engine::port::Fault;
use jangbu_psp::log::{HEADER, RECORD};
use sha2::{Digest, Sha256};

use super::manifest::{MANIFEST, Manifest};
use super::name::{PARTIAL, PREFIX};
use super::{KEYS, TRUTH, partial};

/// What happened to a backup.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directory is there.
    #[error("{} is there already: give the backup another name", .0.display())]
    Taken(PathBuf),
    /// One is being made.
    #[error("{0} is being made: wait for it")]
    Running(String),
    /// No backup is there.
    #[error(
        "{} holds no whole backup: it has no {MANIFEST}; a directory that ends in .partial was \
         broken off and is worth nothing",
        .0.display()
    )]
    NoBackup(PathBuf),
    /// A file is not what was written.
    #[error("{}: {why}; the backup is damaged: take another one", file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// In what it differs.
        why: String,
    },
    /// The directory has something in it.
    #[error("{} is not empty: restore into a new directory", .0.display())]
    NotEmpty(PathBuf),
    /// A file could not be read or written.
    #[error("{what} {}: {source}", file.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With which file.
        file: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The database could not be copied.
    #[error("the database could not be copied: {0}")]
    Copy(#[from] Fault),
}

impl Error {
    /// For a file that could not be read or written.
    pub(super) fn io(what: &'static str, file: &Path) -> impl FnOnce(io::Error) -> Self {
        let file = file.to_owned();
        move |source| Self::Io { what, file, source }
    }
}

/// Bytes that are read at a time.
const CHUNK: usize = 1 << 20;

/// Makes a directory for this user alone, and those above it.
pub(super) fn new_directory(path: &Path) -> Result<(), Error> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(Error::io("making", path))
}

/// Removes what a broken-off backup of the same name has left.
pub(super) fn clear(partial: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(partial) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::io("removing", partial)(error))
        }
        _ => Ok(()),
    }
}

/// Removes what broken-off backups have left in `dir`.
pub(super) fn sweep(dir: &Path) -> Result<(), Error> {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(PREFIX) && name.ends_with(PARTIAL) {
            clear(&entry.path())?;
        }
    }
    Ok(())
}

/// Removes a backup: it is none any more before the first of its files goes.
pub(super) fn remove(dir: &Path) -> Result<(), Error> {
    let gone = partial(dir);
    fs::rename(dir, &gone).map_err(Error::io("renaming", dir))?;
    clear(&gone)
}

/// Gives a directory its name, when all in it is on the disk.
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), Error> {
    flush(from)?;
    fs::rename(from, to).map_err(Error::io("renaming", from))?;
    to.parent().map_or(Ok(()), flush)
}

/// Waits until a file or a directory is on the disk.
pub(super) fn flush(path: &Path) -> Result<(), Error> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    File::open(path).and_then(|file| file.sync_all()).map_err(Error::io("flushing", path))
}

/// Names of all files in a directory and below it, sorted.
pub(super) fn names(dir: &Path) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    let mut left = vec![PathBuf::new()];
    while let Some(below) = left.pop() {
        let at = dir.join(&below);
        for entry in fs::read_dir(&at).map_err(Error::io("reading", &at))? {
            let entry = entry.map_err(Error::io("reading", &at))?;
            let name = below.join(entry.file_name());
            if entry.path().is_dir() {
                left.push(name);
            } else {
                names.push(name.to_string_lossy().into_owned());
            }
        }
    }
    names.sort();
    Ok(names)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Length and SHA-256 of a file, which is flushed first if that is wanted.
pub(super) fn digest(path: &Path, flush: bool) -> Result<(u64, String), Error> {
    let wrap = |error| Error::io("reading", path)(error);
    let mut file = File::open(path).map_err(wrap)?;
    if flush {
        file.sync_all().map_err(Error::io("flushing", path))?;
    }
    let (mut sha, mut bytes, mut chunk) = (Sha256::new(), 0, vec![0; CHUNK]);
    loop {
        let n = file.read(&mut chunk).map_err(Error::io("reading", path))?;
        if n == 0 {
            return Ok((bytes, hex(&sha.finalize())));
        }
        sha.update(&chunk[..n]);
        bytes += n as u64;
    }
}

/// Copies a file to a new one for this user alone, or its first bytes; gives length and SHA-256.
pub(super) fn copy(from: &Path, to: &Path, most: Option<u64>) -> Result<(u64, String), Error> {
    let file = File::open(from).map_err(Error::io("reading", from))?;
    let mut file = file.take(most.unwrap_or(u64::MAX));
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to);
    let mut copy = made.map_err(Error::io("making", to))?;
    let (mut sha, mut bytes, mut chunk) = (Sha256::new(), 0, vec![0; CHUNK]);
    loop {
        let n = file.read(&mut chunk).map_err(Error::io("reading", from))?;
        if n == 0 {
            break;
        }
        sha.update(&chunk[..n]);
        copy.write_all(&chunk[..n]).map_err(Error::io("writing", to))?;
        bytes += n as u64;
    }
    copy.sync_all().map_err(Error::io("flushing", to))?;
    Ok((bytes, hex(&sha.finalize())))
}

/// Copies a directory with everything in it; one that is not there has nothing in it.
pub(super) fn copy_tree(from: &Path, to: &Path) -> Result<(), Error> {
    if !from.is_dir() {
        return Ok(());
    }
    new_directory(to)?;
    for name in names(from)? {
        let target = to.join(&name);
        target.parent().map_or(Ok(()), new_directory)?;
        copy(&from.join(&name), &target, None)?;
    }
    Ok(())
}

/// Where the gateway's log ends: the space that is prepared behind it is zero. A record that is just
/// being written may count or not.
pub fn log_end(path: &Path) -> u64 {
    let Ok(file) = File::open(path) else { return 0 };
    let (header, record) = (HEADER as u64, RECORD as u64);
    let length = file.metadata().map_or(0, |metadata| metadata.len());
    let written = |at: u64| {
        let mut bytes = [0; RECORD];
        let read = file.read_at(&mut bytes, header + at * record).unwrap_or(0);
        bytes[..read].iter().any(|byte| *byte != 0)
    };
    let (mut low, mut high) = (0, length.saturating_sub(header) / record);
    while low < high {
        let middle = u64::midpoint(low, high);
        if written(middle) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    (header + low * record).min(length)
}

/// Copies the files of a backup, each compared with the manifest, to where `target` says.
pub(super) fn bring(
    manifest: &Manifest,
    from: &Path,
    to: &Path,
    target: impl Fn(&str) -> String,
) -> Result<(), Error> {
    for file in &manifest.files {
        let (source, target) = (from.join(&file.name), to.join(target(&file.name)));
        target.parent().map_or(Ok(()), new_directory)?;
        file.expect(&source, copy(&source, &target, None)?)?;
    }
    Ok(())
}

/// The name of the database in a directory whose restore is not done.
pub const UNFINISHED: &str = "jangbu.db.partial";

/// Restores the backup in `from` into the new directory `to`: every file is compared with the
/// manifest on its way. The database gets its name last, so that what was broken off is no shop.
pub fn restore(from: &Path, to: &Path) -> Result<Manifest, Error> {
    let manifest = Manifest::read(from)?;
    let empty = |dir: &Path| fs::read_dir(dir).map(|mut entries| entries.next().is_none());
    match empty(to) {
        Ok(true) => {}
        Ok(false) => return Err(Error::NotEmpty(to.to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(Error::io("reading", to)(error)),
    }
    new_directory(to)?;
    let last = to.join(UNFINISHED);
    let target = |name: &str| if name == TRUTH { UNFINISHED } else { name }.to_owned();
    bring(&manifest, from, to, target)?;
    if !last.exists() {
        let why = format!("it names no {TRUTH}");
        return Err(Error::Damaged { file: from.join(MANIFEST), why });
    }
    if to.join(KEYS).is_dir() {
        flush(&to.join(KEYS))?;
    }
    rename(&last, &to.join(TRUTH))?;
    flush(to)?;
    Ok(manifest)
}
