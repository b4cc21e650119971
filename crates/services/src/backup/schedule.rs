//! The backups of a running shop: begun, listed, made by themselves, retired.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use jangbu_engine::port::Fault;
use jangbu_kernel::Time;
use parking_lot::Mutex;

use super::files::{self, Error};
use super::manifest::Manifest;
use super::name::{PARTIAL, PREFIX, name_of};
use super::{From, make};
use crate::shop::Shop;

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
            let named = name.starts_with(PREFIX) && !name.ends_with(PARTIAL);
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

    /// The life of the thread: ends when it is told to.
    fn keep_on(&self, stopped: &Receiver<()>) {
        let mut wait = self.due_in();
        while let Some(rest) = wait {
            // The clock may be moved: it is looked at again before the time is over.
            let told = stopped.recv_timeout(rest.clamp(SHORT, LONG));
            if told != Err(RecvTimeoutError::Timeout) {
                return;
            }
            let due = self.due_in().is_some_and(|rest| rest.is_zero());
            // The process that writes makes them.
            let failed = due && (!self.shop.standing().is_owner() || self.make().is_err());
            wait = if failed { Some(PATIENCE) } else { self.due_in() };
        }
    }

    /// Makes them as the schedule says, until it is dropped.
    pub fn follow(self: &Arc<Self>) -> Result<Option<Scheduler>, Fault> {
        if self.schedule.every.is_none() {
            return Ok(None);
        }
        let (stop, stopped) = channel();
        let backups = Arc::clone(self);
        let run = move || backups.keep_on(&stopped);
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
        // A thread that has ended already is joined all the same.
        let _ = self.stop.send(());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread of the backups panicked");
        }
    }
}
