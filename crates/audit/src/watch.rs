//! Progress, and the growth of the write-ahead log while a snapshot is held.
//!
//! A reader keeps SQLite from restarting its write-ahead log, so a proof of a running server makes
//! that file grow. The report says by how much.

use std::{
    cell::Cell,
    fmt,
    path::{Path, PathBuf},
};

/// How far a proof is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub phase: &'static str,
    /// Rows and records read so far, over all phases.
    pub rows: u64,
}

const EVERY: u64 = 65_536;

/// Counts rows, reports progress and samples the size of the write-ahead log.
pub(crate) struct Watch<'p> {
    tell: Option<&'p (dyn Fn(Progress) + Send)>,
    phase: Cell<&'static str>,
    rows: Cell<u64>,
    wal: PathBuf,
    before: u64,
    peak: Cell<u64>,
}

impl fmt::Debug for Watch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("rows", &self.rows).finish_non_exhaustive()
    }
}

impl<'p> Watch<'p> {
    /// Starts to watch the log beside `database`.
    pub(crate) fn new(database: &Path, tell: Option<&'p (dyn Fn(Progress) + Send)>) -> Self {
        let mut wal = database.as_os_str().to_owned();
        wal.push("-wal");
        let wal = PathBuf::from(wal);
        let before = size(&wal);
        let (phase, rows, peak) = (Cell::new("start"), Cell::new(0), Cell::new(before));
        Self { tell, phase, rows, wal, before, peak }
    }

    /// Begins a phase.
    pub(crate) fn phase(&self, phase: &'static str) {
        self.phase.set(phase);
        self.report();
    }

    /// Counts a row.
    pub(crate) fn tick(&self) {
        let rows = self.rows.get() + 1;
        self.rows.set(rows);
        if rows.is_multiple_of(EVERY) {
            self.report();
        }
    }

    /// The most the write-ahead log has grown.
    pub(crate) fn growth(&self) -> u64 {
        self.sample();
        self.peak.get() - self.before
    }

    fn report(&self) {
        self.sample();
        if let Some(tell) = self.tell {
            tell(Progress { phase: self.phase.get(), rows: self.rows.get() });
        }
    }

    fn sample(&self) {
        self.peak.set(self.peak.get().max(size(&self.wal)));
    }
}

fn size(file: &Path) -> u64 {
    std::fs::metadata(file).map_or(0, |meta| meta.len())
}
