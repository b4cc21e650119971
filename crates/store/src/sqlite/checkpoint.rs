//! Moving the log into the file, so that the log stays short.
//!
//! 1. Each commit tells how many frames the log has ([`Progress`]).
//! 2. When about a thousand wait, a thread with its own connection moves them, without stopping
//!    the owner (a *passive* pass). Under load it rests between passes: a page that ten commits
//!    wrote is then moved once. When nobody writes, it moves all, and the next commit starts the
//!    log over.
//! 3. Under load new frames always come in before the thread is done, so the log would never
//!    start over. Hence, when it is long, the owner asks the thread to pause and runs one pass
//!    itself between two commits: the thread has done the bulk, little is left.
//! 4. When the log is four times that long, because the disk cannot keep up, the owner waits for
//!    the thread after each commit.

use std::{
    fmt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use jangbu_engine::port::Fault;
use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags, Result, Statement};

use super::{Options, fault::fault_of, held::prepare};

/// How far the log is, shared between the owner, its hook and the checkpoint thread.
#[derive(Clone, Debug)]
pub(super) struct Progress(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// Frames in the log after the last commit.
    frames: AtomicU64,
    /// Frames at the commit before, as the owner has counted it; and a flag for "a commit came".
    counted: AtomicU64,
    committed: AtomicBool,
    /// Frames that are in the file already.
    moved: AtomicU64,
    /// The thread is in a pass.
    busy: AtomicBool,
    /// The owner wants to run a pass: the thread waits.
    hold: AtomicBool,
    stop: AtomicBool,
    checkpoints: AtomicU64,
    trouble: Mutex<Option<Fault>>,
    thread: Mutex<Option<thread::Thread>>,
}

/// What a commit added to the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Appended {
    pub(super) frames: u32,
    pub(super) restarted: bool,
}

impl Progress {
    /// Has every commit of `conn` tell the length of the log.
    pub(super) fn watch(conn: &mut Connection) -> Result<Self> {
        let progress = Self(Arc::new(Shared::default()));
        let shared = Arc::clone(&progress.0);
        conn.wal_hook(Some(move |_: &mut rusqlite::hooks::Wal, frames| {
            shared.frames.store(u64::try_from(frames).unwrap_or(0), Ordering::Relaxed);
            shared.committed.store(true, Ordering::Release);
            Ok(())
        }))?;
        Ok(progress)
    }

    /// What came since the last call; `None` when there was no commit that wrote.
    pub(super) fn take(&self) -> Option<Appended> {
        if !self.0.committed.swap(false, Ordering::Acquire) {
            return None;
        }
        let frames = self.0.frames.load(Ordering::Relaxed);
        let before = self.0.counted.swap(frames, Ordering::Relaxed);
        let restarted = frames < before || before == 0;
        if restarted {
            self.0.moved.store(0, Ordering::Relaxed);
        }
        let frames = if restarted { frames } else { frames - before };
        Some(Appended { frames: u32::try_from(frames).unwrap_or(u32::MAX), restarted })
    }

    pub(super) fn checkpoints(&self) -> u64 {
        self.0.checkpoints.load(Ordering::Relaxed)
    }

    fn frames(&self) -> u64 {
        self.0.frames.load(Ordering::Relaxed)
    }

    /// Frames that are not in the file yet.
    fn waiting(&self) -> u64 {
        let (frames, moved) = (self.frames(), self.0.moved.load(Ordering::Relaxed));
        if moved > frames { frames } else { frames - moved }
    }

    /// The disk is slower than the owner: the owner waits for the pass of the thread, or the log
    /// would grow without a bound.
    fn await_thread(&self) {
        let end = Instant::now() + PATIENCE;
        while self.0.busy.load(Ordering::SeqCst) && Instant::now() < end {
            thread::sleep(SHORT);
        }
    }

    /// Runs a pass with `statement`.
    fn pass(&self, statement: &mut Statement<'_>) -> Result<()> {
        let (busy, moved): (i64, i64) =
            statement.query_row([], |row| Ok((row.get(0)?, row.get(2)?)))?;
        if busy == 0 {
            self.0.moved.store(u64::try_from(moved).unwrap_or(0), Ordering::Relaxed);
            self.0.checkpoints.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// The shortest sleep of the thread, so that it never spins.
const SHORT: Duration = Duration::from_millis(1);

/// How long the owner waits for the thread after a commit when the log is far too long.
const PATIENCE: Duration = Duration::from_millis(250);

const PASSIVE: &str = "PRAGMA wal_checkpoint(PASSIVE)";

/// The owner's side.
pub(super) struct Finisher<'c> {
    passive: Statement<'c>,
    progress: &'c Progress,
    options: Options,
    /// The log length at which the owner runs a pass.
    finish_at: u64,
    /// The log length at which the thread is woken.
    wake_at: u64,
    passes: u64,
}

impl fmt::Debug for Finisher<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Finisher").field("finish_at", &self.finish_at).finish_non_exhaustive()
    }
}

impl<'c> Finisher<'c> {
    pub(super) fn new(
        conn: &'c Connection,
        options: Options,
        progress: &'c Progress,
    ) -> Result<Self> {
        let passive = prepare(conn, PASSIVE)?;
        let finish_at = u64::from(options.finish_frames);
        let wake_at = u64::from(options.checkpoint_frames);
        Ok(Self { passive, progress, options, finish_at, wake_at, passes: 0 })
    }

    /// A pass flushes the log and the file.
    pub(super) fn fsyncs(&self) -> u64 {
        2 * self.passes
    }

    /// Wakes the thread each time that enough frames were added.
    pub(super) fn committed(&mut self, appended: Appended) {
        let step = u64::from(self.options.checkpoint_frames);
        if appended.restarted {
            self.finish_at = u64::from(self.options.finish_frames);
            self.wake_at = step;
        }
        let frames = self.progress.frames();
        if frames >= self.wake_at {
            self.wake_at = frames + step;
            if let Some(thread) = &*self.progress.0.thread.lock() {
                thread.unpark();
            }
        }
    }

    /// Runs the finishing pass when the log is long and the thread is not at work.
    pub(super) fn between(&mut self) -> Result<(), Fault> {
        let shared = &self.progress.0;
        if let Some(fault) = shared.trouble.lock().take() {
            return Err(fault);
        }
        let frames = self.progress.frames();
        if frames < self.finish_at {
            // The log started over while the thread was asked to pause: it need not any more.
            if shared.hold.load(Ordering::Relaxed) {
                shared.hold.store(false, Ordering::SeqCst);
            }
            return Ok(());
        }
        let step = u64::from(self.options.checkpoint_frames);
        if self.progress.waiting() > step && frames < self.finish_at + 4 * step {
            // The bulk is the thread's work: it is awake, and does not rest when the log is long.
            return Ok(());
        }
        shared.hold.store(true, Ordering::SeqCst);
        if frames >= 4 * u64::from(self.options.finish_frames) {
            self.progress.await_thread();
        }
        if shared.busy.load(Ordering::SeqCst) {
            return Ok(());
        }
        let done = self.progress.pass(&mut self.passive);
        self.passes += 1;
        shared.hold.store(false, Ordering::SeqCst);
        // Had a reader kept the log from starting over, wait a while before the next attempt.
        self.finish_at = frames + u64::from(self.options.finish_frames) / 4;
        done.map_err(|e| fault_of(&e, "checkpoint"))
    }
}

/// The checkpoint thread; stopped and joined when dropped.
#[derive(Debug)]
pub(super) struct Checkpointer {
    progress: Progress,
    thread: Option<JoinHandle<()>>,
}

impl Checkpointer {
    pub(super) fn start(path: &Path, options: Options, progress: &Progress) -> Result<Self, Fault> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let conn = super::open(path, flags, &options)
            .map_err(|e| fault_of(&e, "opening the checkpoint's connection"))?;
        let shared = progress.clone();
        let thread = thread::Builder::new()
            .name("checkpoint".to_owned())
            .spawn(move || shared.serve(&conn, options))
            .map_err(|e| Fault::Fatal(format!("starting the checkpoint thread: {e}")))?;
        *progress.0.thread.lock() = Some(thread.thread().clone());
        Ok(Self { progress: progress.clone(), thread: Some(thread) })
    }
}

impl Drop for Checkpointer {
    fn drop(&mut self) {
        self.progress.0.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            if thread.join().is_err() {
                tracing::error!("the checkpoint thread panicked");
            }
        }
    }
}

impl Progress {
    /// The life of the thread. It survives a full disk; other faults end it, and the owner is
    /// told about each.
    fn serve(&self, conn: &Connection, options: Options) {
        while let Err(error) = self.tend(conn, options) {
            let fault = fault_of(&error, "checkpoint");
            tracing::error!(%fault, "a checkpoint failed");
            let over = matches!(fault, Fault::Fatal(_) | Fault::Item(_) | Fault::LostEpoch(_));
            *self.0.trouble.lock() = Some(fault);
            if over {
                return;
            }
            thread::park_timeout(options.idle);
        }
    }

    fn tend(&self, conn: &Connection, options: Options) -> Result<()> {
        let mut passive = prepare(conn, PASSIVE)?;
        let enough = u64::from(options.checkpoint_frames);
        let (mut seen, mut last) = (0, Instant::now());
        while !self.0.stop.load(Ordering::SeqCst) {
            let (frames, waiting, rested) = (self.frames(), self.waiting(), last.elapsed());
            let idle = frames == seen && waiting > 0;
            let rested = rested >= options.checkpoint_pause;
            let long = frames >= u64::from(options.finish_frames);
            let many = waiting >= enough && (rested || long);
            seen = frames;
            if idle || many || waiting >= 4 * enough {
                self.pass_unless_held(&mut passive)?;
                last = Instant::now();
            }
            let soon = self.waiting() >= enough;
            let rest = options.checkpoint_pause.saturating_sub(last.elapsed());
            thread::park_timeout(if soon { rest.max(SHORT) } else { options.idle });
        }
        Ok(())
    }

    fn pass_unless_held(&self, passive: &mut Statement<'_>) -> Result<()> {
        self.0.busy.store(true, Ordering::SeqCst);
        let done = if self.0.hold.load(Ordering::SeqCst) { Ok(()) } else { self.pass(passive) };
        self.0.busy.store(false, Ordering::SeqCst);
        done
    }
}

/// Empties the log. What stays in it because somebody reads is not lost: it is read from there.
pub(super) fn truncate(conn: &Connection) {
    if let Err(error) = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())) {
        tracing::warn!(%error, "the log was not emptied");
    }
}
