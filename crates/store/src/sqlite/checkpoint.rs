//! Moving the log into the file, so that the log stays short.
//!
//! 1. Each commit tells how many frames the log has ([`Progress`]).
//! 2. When about a thousand wait, a thread with its own connection moves them, without stopping
//!    the owner (a *passive* pass). When nobody writes, it moves all, and the next commit starts
//!    the log over.
//! 3. Under load new frames always come in before the thread is done, so the log would never
//!    start over. Hence, when it is long, the owner asks the thread to pause and runs one pass
//!    itself between two commits: the thread has done the bulk, little is left.

use std::{
    fmt,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
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

const PASSIVE: &str = "PRAGMA wal_checkpoint(PASSIVE)";

/// The owner's side.
pub(super) struct Finisher<'c> {
    passive: Statement<'c>,
    progress: &'c Progress,
    options: Options,
    /// The log length at which the owner runs a pass.
    finish_at: u64,
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
        Ok(Self { passive, progress, options, finish_at, passes: 0 })
    }

    /// A pass flushes the log and the file.
    pub(super) fn fsyncs(&self) -> u64 {
        2 * self.passes
    }

    /// Wakes the thread when enough frames wait.
    pub(super) fn committed(&mut self, appended: Appended) {
        let shared = &self.progress.0;
        if appended.restarted {
            self.finish_at = u64::from(self.options.finish_frames);
        }
        let enough = self.progress.waiting() >= u64::from(self.options.checkpoint_frames);
        if enough && !shared.busy.load(Ordering::Relaxed) && !shared.hold.load(Ordering::Relaxed) {
            self.wake();
        }
    }

    fn wake(&self) {
        if let Some(thread) = &*self.progress.0.thread.lock() {
            thread.unpark();
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
        shared.hold.store(true, Ordering::SeqCst);
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
        let conn = Connection::open_with_flags(path, flags)
            .and_then(|conn| super::configure(&conn, &options).map(|()| conn))
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
        let mut seen = 0;
        while !self.0.stop.load(Ordering::SeqCst) {
            let frames = self.frames();
            let idle = frames == seen && self.waiting() > 0;
            seen = frames;
            if idle || self.waiting() >= u64::from(options.checkpoint_frames) {
                self.pass_unless_held(&mut passive)?;
            }
            thread::park_timeout(options.idle);
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
