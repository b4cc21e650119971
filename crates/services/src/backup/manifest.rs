//! What a backup says of itself: which files, how long, their digests, and as of which commit.

use std::fs;
use std::path::Path;

use jangbu_kernel::Time;
use serde::{Deserialize, Serialize};

use super::files::{self, Error};
use super::name::PARTIAL;

/// The file that makes a directory a backup.
pub const MANIFEST: &str = "manifest.json";

/// The version of this form.
const FORMAT: u32 = 1;

/// A file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Where, from the directory of the backup.
    pub name: String,
    /// How long.
    pub bytes: u64,
    /// Its SHA-256 in hexadecimal digits.
    pub sha256: String,
}

/// What a backup says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The version of its form.
    pub format: u32,
    /// The version of the program that made it.
    pub version: String,
    /// When it was begun, in microseconds.
    #[serde(with = "micros")]
    pub made_at: Time,
    /// The last commit that is in it.
    pub commit: i64,
    /// Bytes of all files.
    pub bytes: u64,
    /// Whether the keys are in it.
    pub keys: bool,
    /// Its files.
    pub files: Vec<File>,
}

mod micros {
    use jangbu_kernel::Time;
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde calls")]
    pub(super) fn serialize<S: Serializer>(time: &Time, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_i64(time.0)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Time, D::Error> {
        i64::deserialize(from).map(Time)
    }
}

impl Manifest {
    /// Of the files that stand in `dir`; each is flushed.
    pub(super) fn of(dir: &Path, made_at: Time, commit: i64, keys: bool) -> Result<Self, Error> {
        let mut files = Vec::new();
        for name in files::names(dir)? {
            let (bytes, sha256) = files::digest(&dir.join(&name), true)?;
            files.push(File { name, bytes, sha256 });
        }
        Ok(Self {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            made_at,
            commit,
            bytes: files.iter().map(|file| file.bytes).sum(),
            keys,
            files,
        })
    }

    /// Writes it into `dir`.
    pub(super) fn write(&self, dir: &Path) -> Result<(), Error> {
        let path = dir.join(MANIFEST);
        let text = serde_json::to_vec_pretty(self).unwrap_or_default();
        fs::write(&path, text).map_err(Error::io("writing", &path))?;
        files::flush(&path)
    }

    /// That of the backup in `dir`.
    pub fn read(dir: &Path) -> Result<Self, Error> {
        // Killed between its last file and its name, it has a manifest, too: the name decides.
        if dir.as_os_str().to_string_lossy().trim_end_matches('/').ends_with(PARTIAL) {
            return Err(Error::NoBackup(dir.to_owned()));
        }
        let path = dir.join(MANIFEST);
        let text = match fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::NoBackup(dir.to_owned()));
            }
            Err(error) => return Err(Error::io("reading", &path)(error)),
        };
        let damaged = |why: String| Error::Damaged { file: path.clone(), why };
        let manifest: Self =
            serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
        if manifest.format != FORMAT {
            return Err(damaged(format!("its form is version {}", manifest.format)));
        }
        let inside = |file: &File| {
            let path = Path::new(&file.name);
            path.components().all(|part| matches!(part, std::path::Component::Normal(_)))
        };
        if !manifest.files.iter().all(inside) {
            return Err(damaged("it names a file outside of the backup".to_owned()));
        }
        Ok(manifest)
    }
}

impl File {
    /// Compares with what was read.
    pub(super) fn expect(&self, at: &Path, (bytes, sha256): (u64, String)) -> Result<(), Error> {
        let why = if bytes != self.bytes {
            format!("it has {bytes} bytes, and {} were written", self.bytes)
        } else if sha256 != self.sha256 {
            "its content is not what was written".to_owned()
        } else {
            return Ok(());
        };
        Err(Error::Damaged { file: at.to_owned(), why })
    }
}

/// Reads every file of the backup in `dir` and compares it with the manifest.
pub fn check(dir: &Path) -> Result<Manifest, Error> {
    let manifest = Manifest::read(dir)?;
    for file in &manifest.files {
        let path = dir.join(&file.name);
        file.expect(&path, files::digest(&path, false)?)?;
    }
    Ok(manifest)
}
