//! Backups: made while serving, checked, restored, kept for a while.
//!
//! ```text
//! NAME.partial/  derived.db ─▶ jangbu.db (in slices by the owner) ─▶ psp.log ─▶ flushed ─▶ manifest
//! NAME/          renamed, once everything is on the disk
//! ```
//!
//! 1. The truth is copied as of one commit; the gateway's log as far as it had come at that commit,
//!    so the two fit: `jangbu prove` balances over them.
//! 2. A directory without `.partial` at its end is whole. What was broken off stands under that name
//!    until the next backup clears it away, and is never taken for one.
//! 3. `derived.db` is copied first, so it never knows of events that the truth has not. It could be
//!    rebuilt, but for what trimmed events said.
//! 4. Keys are left out unless they are asked for: who has a backup with keys can act for the shop.
//!
//! | part | holds |
//! |---|---|
//! | `manifest` | what a backup says of itself; checked file by file |
//! | `files` | copying with digests, flushing |
//! | `name` | names that sort by time |
//! | `schedule` | those of a running shop: begun, listed, made by themselves, retired |

mod files;
mod manifest;
mod name;
mod schedule;

use std::fs;
use std::path::{Path, PathBuf};

use jangbu_engine::books::SHARD;
use jangbu_engine::copy::Whole;
use jangbu_engine::port::{Backend, By, Fault, Read, Store};
use jangbu_kernel::Time;
use jangbu_store::Sqlite;

pub use files::{Error, UNFINISHED, log_end, restore};
pub use manifest::{File, MANIFEST, Manifest, check};
pub use schedule::{Backups, Counted, Known, Schedule, Scheduler};

/// The name of the truth, of its projections, and of the gateway's log.
pub(crate) const TRUTH: &str = "jangbu.db";
const DERIVED: &str = "derived.db";
const LOG: &str = "psp.log";
const KEYS: &str = "keys";

/// What a backup is made from.
#[derive(Debug, Clone)]
pub struct From {
    /// The data directory.
    pub data: PathBuf,
    /// Whether its keys go along.
    pub keys: bool,
}

/// Copies the database to a new file; `moment` is run when the copy is what the database is.
type CopyTruth<'a> =
    dyn FnMut(&Path, Box<dyn FnOnce() -> u64 + Send>) -> Result<Whole<u64>, Fault> + 'a;

/// Makes a backup in the new directory `to`; `truth` copies the database.
pub fn make(
    from: &From,
    to: &Path,
    now: Time,
    truth: &mut CopyTruth<'_>,
) -> Result<Manifest, Error> {
    let partial = partial(to);
    if to.exists() {
        return Err(Error::Taken(to.to_owned()));
    }
    files::clear(&partial)?;
    files::new_directory(&partial)?;
    let made = fill(from, &partial, now, truth).and_then(|manifest| {
        manifest.write(&partial)?;
        files::rename(&partial, to)?;
        Ok(manifest)
    });
    if made.is_err() {
        drop(fs::remove_dir_all(&partial));
    }
    made
}

/// The same of a directory that nobody serves.
pub fn make_stopped(
    from: &From,
    to: &Path,
    now: Time,
    truth: &dyn Backend,
) -> Result<Manifest, Error> {
    make(from, to, now, &mut |file, moment| {
        copy_at_once(truth, file)?;
        let mut commit = 0;
        let read = [Read { table: &SHARD, by: By::Keys(vec![[0; 3]]) }];
        truth.reader()?.read(&read, &mut |_, row| commit = row.int(1))?;
        Ok(Whole { commit, seen: moment() })
    })
}

fn copy_at_once(truth: &dyn Backend, file: &Path) -> Result<(), Fault> {
    let (mut opened, mut copied) = (Ok(()), Ok(()));
    truth.with(&mut |store| {
        opened = store.copying(file, &mut |store| copied = all_pages(store));
    })?;
    opened.and(copied)
}

fn all_pages(store: &mut dyn Store) -> Result<(), Fault> {
    while store.copy(1_024)?.left > 0 {}
    Ok(())
}

/// Carries the whole backup in `from` to the new directory `to`, with the keys in `keys` if that is
/// wanted; every file is compared with the manifest on its way.
pub fn carry(from: &Path, to: &Path, keys: Option<&Path>) -> Result<Manifest, Error> {
    let known = Manifest::read(from)?;
    if to.exists() {
        return Err(Error::Taken(to.to_owned()));
    }
    let partial = partial(to);
    files::clear(&partial)?;
    files::new_directory(&partial)?;
    let carried = files::bring(&known, from, &partial, str::to_owned).and_then(|()| {
        if let Some(keys) = keys.filter(|_| !known.keys) {
            files::copy_tree(keys, &partial.join(KEYS))?;
        }
        let keys = known.keys || keys.is_some();
        let manifest = Manifest::of(&partial, known.made_at, known.commit, keys)?;
        manifest.write(&partial)?;
        files::rename(&partial, to)?;
        Ok(manifest)
    });
    if carried.is_err() {
        drop(fs::remove_dir_all(&partial));
    }
    carried
}

/// The name that a directory has before it is whole.
fn partial(to: &Path) -> PathBuf {
    let mut path = to.as_os_str().to_owned();
    path.push(name::PARTIAL);
    path.into()
}

fn fill(from: &From, to: &Path, now: Time, truth: &mut CopyTruth<'_>) -> Result<Manifest, Error> {
    let derived = from.data.join(DERIVED);
    if derived.exists() {
        Sqlite::new(derived, &[], &[]).snapshot(&to.join(DERIVED))?;
    }
    let log = from.data.join(LOG);
    let at = log.clone();
    let Whole { commit, seen } = truth(&to.join(TRUTH), Box::new(move || log_end(&at)))?;
    if log.exists() {
        files::copy(&log, &to.join(LOG), Some(seen))?;
    }
    if from.keys {
        files::copy_tree(&from.data.join(KEYS), &to.join(KEYS))?;
    }
    Manifest::of(to, now, commit, from.keys)
}
