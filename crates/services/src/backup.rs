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

mod files;
mod manifest;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use jangbu_engine::books::SHARD;
use jangbu_engine::copy::Whole;
use jangbu_engine::port::{Backend, By, Fault, Read, Store};
use jangbu_kernel::Time;
use jangbu_store::Sqlite;
use parking_lot::Mutex;

use crate::shop::Shop;

pub use files::{Error, UNFINISHED, log_end, restore};
pub use manifest::{File, MANIFEST, Manifest, check};

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
    while store.copy()?.left > 0 {}
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
    let carried = files::bring(&known, from, &partial, |name| name.to_owned()).and_then(|()| {
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
    let mut name = to.as_os_str().to_owned();
    name.push(".partial");
    name.into()
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

/// When backups are made by themselves, where, and how many are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// The directory that holds them.
    pub to: PathBuf,
    /// One in so long; none: only when asked.
    pub every: Option<Duration>,
    /// So many are kept; 0: all.
    pub keep: usize,
    /// Whether keys go along.
    pub keys: bool,
}

/// A backup that is there, or the last one that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The name of its directory.
    pub name: String,
    /// What it says of itself; none: it is being made, or has failed.
    pub manifest: Option<Manifest>,
    /// Why it failed.
    pub error: Option<String>,
}

#[derive(Debug, Default)]
struct State {
    /// The backup that is being made.
    running: Option<String>,
    /// The last that failed, and why.
    failed: Option<(String, String)>,
    made: u64,
    failures: u64,
}

/// What the outside may know of the backups of a running shop.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    /// Made since the start.
    pub made: u64,
    /// Failed since the start.
    pub failed: u64,
    /// When the last whole one was made.
    pub last: Option<Time>,
}

/// The backups of a running shop.
#[derive(Debug)]
pub struct Backups {
    shop: Arc<Shop>,
    data: PathBuf,
    schedule: Schedule,
    state: Mutex<State>,
}

impl Backups {
    /// Backups of `shop`, which serves the directory `data`.
    pub fn new(shop: Arc<Shop>, data: impl Into<PathBuf>, schedule: Schedule) -> Self {
        Self { shop, data: data.into(), schedule, state: Mutex::default() }
    }

    /// When, where and how many.
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// The directory of the backup `name`.
    pub fn path(&self, name: &str) -> PathBuf {
        self.schedule.to.join(name)
    }

    /// Makes one now, on a thread of its own; gives its name. An error: one is being made.
    pub fn begin(self: &Arc<Self>) -> Result<String, Error> {
        let name = self.claim()?;
        let (backups, of) = (Arc::clone(self), name.clone());
        let run = move || drop(backups.run(&of));
        let spawned = std::thread::Builder::new().name("jangbu-backup".to_owned()).spawn(run);
        match spawned {
            Ok(_) => Ok(name),
            Err(error) => {
                self.state.lock().running = None;
                Err(Error::io("a thread", &self.schedule.to)(error))
            }
        }
    }

    /// Makes one now and waits for it.
    pub fn make(&self) -> Result<Manifest, Error> {
        let name = self.claim()?;
        self.run(&name)
    }

    fn claim(&self) -> Result<String, Error> {
        let mut state = self.state.lock();
        if let Some(running) = &state.running {
            return Err(Error::Running(running.clone()));
        }
        let name = name_of(self.shop.now());
        state.running = Some(name.clone());
        Ok(name)
    }

    fn run(&self, name: &str) -> Result<Manifest, Error> {
        let from = From { data: self.data.clone(), keys: self.schedule.keys };
        let to = self.path(name);
        let made = files::sweep(&self.schedule.to).and_then(|()| {
            make(&from, &to, self.shop.now(), &mut |file, moment| self.shop.copy(file, moment))
        });
        let mut state = self.state.lock();
        state.running = None;
        match &made {
            Ok(Manifest { commit, bytes, .. }) => {
                tracing::info!(name, commit, bytes, "a backup is made");
                state.made += 1;
                state.failed = None;
                drop(state);
                self.retire();
            }
            Err(error) => {
                tracing::error!(name, %error, "a backup has failed");
                state.failures += 1;
                state.failed = Some((name.to_owned(), error.to_string()));
            }
        }
        made
    }

    /// Removes the oldest beyond the number that is kept.
    fn retire(&self) {
        if self.schedule.keep == 0 {
            return;
        }
        let whole: Vec<String> = self.whole().into_iter().map(|(name, _)| name).collect();
        let old = whole.len().saturating_sub(self.schedule.keep);
        for name in &whole[..old] {
            match files::remove(&self.path(name)) {
                Ok(()) => tracing::info!(name, "an old backup is removed"),
                Err(error) => tracing::warn!(name, %error, "an old backup stays"),
            }
        }
    }

    /// The whole ones, oldest first.
    fn whole(&self) -> Vec<(String, Manifest)> {
        let entries = fs::read_dir(&self.schedule.to).into_iter().flatten().flatten();
        let whole = entries.filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let named = name.starts_with(PREFIX) && !name.ends_with(".partial");
            Some((named.then_some(name)?, Manifest::read(&entry.path()).ok()?))
        });
        let mut whole: Vec<_> = whole.collect();
        whole.sort_by(|a, b| a.0.cmp(&b.0));
        whole
    }

    /// What there is, newest first: the one that is being made, the last failure, the whole ones.
    pub fn known(&self) -> Vec<Known> {
        let state = self.state.lock();
        let running = state.running.clone();
        let running = running.map(|name| Known { name, manifest: None, error: None });
        let failed = state.failed.clone();
        let failed = failed.map(|(name, why)| Known { name, manifest: None, error: Some(why) });
        drop(state);
        let known = |(name, manifest)| Known { name, manifest: Some(manifest), error: None };
        let whole = self.whole().into_iter().rev().map(known);
        running.into_iter().chain(failed).chain(whole).collect()
    }

    /// For metrics.
    pub fn counted(&self) -> Counted {
        let state = self.state.lock();
        let (made, failed) = (state.made, state.failures);
        drop(state);
        let last = self.whole().pop().map(|(_, manifest)| manifest.made_at);
        Counted { made, failed, last }
    }

    /// How long until the next one is due; none: they are made only when asked.
    fn due_in(&self) -> Option<Duration> {
        let every = self.schedule.every?;
        let last = self.whole().pop().map(|(_, manifest)| manifest.made_at);
        let Some(last) = last else { return Some(Duration::ZERO) };
        let since = (self.shop.now() - last).0.max(0);
        Some(every.saturating_sub(Duration::from_micros(since.unsigned_abs())))
    }

    /// Makes them as the schedule says, until it is dropped.
    pub fn follow(self: &Arc<Self>) -> Result<Option<Scheduler>, Fault> {
        if self.schedule.every.is_none() {
            return Ok(None);
        }
        let (stop, stopped) = channel();
        let backups = Arc::clone(self);
        let run = move || {
            let mut wait = backups.due_in();
            while let Some(rest) = wait {
                // The clock may be moved: it is looked at again before the time is over.
                match stopped.recv_timeout(rest.clamp(SHORT, LONG)) {
                    Err(RecvTimeoutError::Timeout) => {}
                    _ => return,
                }
                let due = backups.due_in().is_some_and(|rest| rest.is_zero());
                let failed = due && backups.make().is_err();
                wait = if failed { Some(PATIENCE) } else { backups.due_in() };
            }
        };
        let thread = std::thread::Builder::new().name("jangbu-backups".to_owned()).spawn(run);
        let thread = thread.map_err(|error| Fault::Fatal(format!("no thread: {error}")))?;
        Ok(Some(Scheduler { stop, thread: Some(thread) }))
    }
}

const SHORT: Duration = Duration::from_millis(100);
const LONG: Duration = Duration::from_secs(30);
/// How long after a failure it is tried again.
const PATIENCE: Duration = Duration::from_secs(30);

/// Makes backups by themselves; stopped when dropped.
#[derive(Debug)]
pub struct Scheduler {
    stop: Sender<()>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Scheduler {
    fn drop(&mut self) {
        drop(self.stop.send(()));
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the backups panicked");
        }
    }
}

/// How the names of backups begin.
const PREFIX: &str = "backup-";

/// The name of a backup that is made at `now`: they sort by time.
fn name_of(now: Time) -> String {
    let seconds = now.0.div_euclid(1_000_000);
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    let millis = now.0.div_euclid(1_000).rem_euclid(1_000);
    format!("{PREFIX}{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}.{millis:03}Z")
}

/// Year, month and day of a number of days since 1970: eras of 400 years, years from March on.
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let (era, of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (era * 400 + year + next, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dates_and_sort_by_time() {
        for (us, wanted) in [
            (0, "backup-19700101T000000.000Z"),
            (951_782_400_000_000, "backup-20000229T000000.000Z"),
            (1_795_255_023_456_789, "backup-20261121T095703.456Z"),
            (4_107_542_399_999_999, "backup-21000228T235959.999Z"),
        ] {
            assert_eq!(name_of(Time(us)), wanted);
        }
    }
}
