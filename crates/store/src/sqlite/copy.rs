//! A copy of the whole file while the owner works on: SQLite's online backup, on the owner's own
//! connection, a slice at a time.
//!
//! 1. A slice reads pages as of the last commit, so it runs between two transactions.
//! 2. What the same connection commits later goes into the copy with the commit, if its page was
//!    copied before: the copy never starts over, however much is written. That costs a commit a page
//!    of memory for each page; another connection would have to begin again each time, and a
//!    reader that holds its snapshot would keep the log from being emptied.
//! 3. A transaction that is rolled back after it has written makes the copy start over: rare, since
//!    a refusal writes nothing.
//! 4. Nothing flushes the copy here; whoever ordered it does, on a thread of its own.

use std::{ffi::c_int, fs::OpenOptions, path::Path};

use jangbu_engine::port::{Copied, Fault, Store, StoreCounters, Tx};
use rusqlite::{
    Connection, OpenFlags,
    backup::{Backup, StepResult},
};

use super::{fault::fault_of, session::Session};

/// Copies to the new file `to` while `run` works with the store.
pub(super) fn copying(
    session: &mut Session<'_>,
    to: &Path,
    run: &mut dyn FnMut(&mut dyn Store),
) -> Result<(), Fault> {
    let mut copy = create(to)?;
    let wrap = |error: rusqlite::Error| fault_of(&error, &format!("copying to {}", to.display()));
    let backup = Backup::new(session.connection(), &mut copy).map_err(wrap)?;
    run(&mut Copying { session, backup: &backup, to, done: false });
    drop(backup);
    copy.close().map_err(|(_, error)| wrap(error))
}

/// A new database file without a journal: a copy that is broken off is worth nothing anyway.
fn create(to: &Path) -> Result<Connection, Fault> {
    let refused = |error: std::io::Error| {
        let text = format!("the copy {} cannot be made: {error}", to.display());
        if error.kind() == std::io::ErrorKind::StorageFull {
            return Fault::Full(text);
        }
        Fault::Fatal(text)
    };
    OpenOptions::new().write(true).create_new(true).open(to).map_err(refused)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || {
        let copy = Connection::open_with_flags(to, flags)?;
        copy.execute_batch(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -1000;
             PRAGMA mmap_size = 0;",
        )?;
        Ok(copy)
    };
    open().map_err(|error: rusqlite::Error| {
        fault_of(&error, &format!("the copy {} cannot be made", to.display()))
    })
}

/// The store while a copy of it is open.
struct Copying<'s, 'c, 'b> {
    session: &'s mut Session<'c>,
    backup: &'b Backup<'b, 'b>,
    to: &'b Path,
    done: bool,
}

impl Store for Copying<'_, '_, '_> {
    fn begin(&mut self) -> Result<Box<dyn Tx + '_>, Fault> {
        self.session.begin()
    }

    fn between(&mut self) -> Result<(), Fault> {
        self.session.between()
    }

    fn counters(&self) -> StoreCounters {
        self.session.counters()
    }

    fn copy(&mut self, pages: u32) -> Result<Copied, Fault> {
        let count = |n: c_int| u64::try_from(n).unwrap_or(0);
        if !self.done {
            // None would be done at once and for ever; a negative number means all of them.
            let pages = c_int::try_from(pages.max(1)).unwrap_or(c_int::MAX);
            match self.backup.step(pages) {
                Ok(StepResult::Done) => self.done = true,
                Ok(_) => {}
                Err(error) => {
                    let what = format!("copying to {}", self.to.display());
                    return Err(fault_of(&error, &what));
                }
            }
        }
        let progress = self.backup.progress();
        let left = if self.done { 0 } else { count(progress.remaining).max(1) };
        Ok(Copied { pages: count(progress.pagecount), left })
    }
}
