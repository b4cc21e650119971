//! The database file: opened read-only, checked page by page, read in one transaction.
//!
//! `PRAGMA quick_check` walks every page of every tree and looks for nulls where none may be. (It
//! leaves CHECK constraints out on a read-only connection; the rules of the domains repeat them.) A
//! damaged tree ends the proof before the walk: rows read through it would prove nothing.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::{
    Error,
    book::{Book, rules},
    rows::Source,
};

rules! {
    PAGE = "store.page", Mismatched, "Every page of the database file is sound.";
    ROW = "store.row", Mismatched, "Every row has values of the promised types and ranges, and packed lists of the promised form.";
}

/// What an operator does about a damaged page.
pub(crate) const REMEDY: &str = "stop writing; copy the directory; restore the last backup and let the \
                      gateway's log name the payments made since";

/// Opens the database and begins the one read transaction.
///
/// A directory that cannot be written (a mounted copy) is read as immutable if it has no
/// write-ahead log that would be left out.
pub(crate) fn open(file: &Path) -> Result<Connection, Error> {
    if !file.is_file() {
        return Err(Error::Missing(file.to_owned()));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    let old = || Error::Old(file.to_owned());
    match opened(Connection::open_with_flags(file, flags)?, old) {
        Err(Error::Sqlite(rusqlite::Error::SqliteFailure(why, _)))
            if why.code == rusqlite::ErrorCode::CannotOpen && !has_log(file) =>
        {
            let uri = format!("file:{}?immutable=1", file.display());
            opened(Connection::open_with_flags(uri, flags)?, old)
        }
        other => other,
    }
}

/// Checks every page; false when the trees are damaged.
pub(crate) fn check(from: Source<'_>, book: &mut Book) -> Result<bool, Error> {
    from.watch.phase("check pages");
    let mut statement = from.db.prepare("PRAGMA quick_check(100)")?;
    let mut rows = statement.query([])?;
    let mut sound = true;
    loop {
        match rows.next() {
            Ok(None) => return Ok(sound),
            Ok(Some(row)) => sound &= sift(row.get_ref(0)?.as_str().unwrap_or("not text"), book),
            // A tree that is damaged badly enough makes the check itself fail.
            Err(why) => {
                sift(&why.to_string(), book);
                return Ok(false);
            }
        }
    }
}

/// Begins the one read transaction on a database of this version.
pub(crate) fn begin(db: &Connection, old: impl FnOnce() -> Error) -> Result<(), Error> {
    db.execute_batch("PRAGMA query_only = 1; PRAGMA temp_store = MEMORY; BEGIN DEFERRED")?;
    db.query_row("SELECT count(*) FROM shard", [], |_| Ok(()))?;
    let newest = "SELECT count(*) FROM pragma_table_info('payment') WHERE name = 'points_of'";
    match db.query_row(newest, [], |row| row.get::<_, i64>(0))? {
        0 => Err(old()),
        _ => Ok(()),
    }
}

fn opened(db: Connection, old: impl FnOnce() -> Error) -> Result<Connection, Error> {
    begin(&db, old)?;
    Ok(db)
}

fn has_log(file: &Path) -> bool {
    let mut log = file.as_os_str().to_owned();
    log.push("-wal");
    std::fs::metadata(Path::new(&log)).is_ok_and(|meta| meta.len() > 0)
}

/// Turns the lines of one message into findings; false when one of them is about a tree.
fn sift(message: &str, book: &mut Book) -> bool {
    let mut sound = true;
    for line in message.lines().filter(|line| *line != "ok" && !line.starts_with("***")) {
        if let Some((_, column)) = line.split_once(" value in ") {
            book.find(ROW, column.to_owned(), line.to_owned());
        } else {
            sound = false;
            book.find(PAGE, page(line), format!("{line}; {REMEDY}"));
        }
    }
    sound
}

/// `Tree 5 page 12 cell 3: …` is about `page 12`; `Page 9: never used` about `page 9`.
fn page(line: &str) -> String {
    let mut words = line.split([' ', ':']);
    while let Some(word) = words.next() {
        if word.eq_ignore_ascii_case("page")
            && let Some(number) = words.next().filter(|n| n.parse::<u32>().is_ok())
        {
            return format!("page {number}");
        }
    }
    "jangbu.db".to_owned()
}
