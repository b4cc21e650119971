//! Users: each is found by its e-mail address alone, and what must be sealed is.
//!
//! ```text
//! users.index ⇄ user_email.index       sealed = key id | nonce | text | tag
//! ```
//!
//! Without a key nobody can say what is sealed; that it is, and with a key that is there, shows.

use std::{collections::BTreeSet, path::Path};

use crate::{
    Error,
    book::{Book, rules},
    ids,
    rows::{Cells, Source, Unreadable, scan},
};

rules! {
    FOUND = "user.found", Lost, "The blind index of every user's e-mail address leads to that user.";
    HOLDER = "user.holder", Mismatched, "A blind index leads to a user with that index, or to nobody.";
    BARRED = "user.barred", Mismatched, "A user is marked as barred when it is deactivated or its password was changed, and not otherwise.";
    FAILURES = "user.failures", Mismatched, "Fewer than five wrong passwords are counted, and none beside a lock.";
    TIME = "user.time", Mismatched, "A user was changed after it was made, and not after the shard's clock.";
    SEALED = "user.sealed", Mismatched, "Personal data and the hash of the password are sealed, with a key that is there.";
}

/// Key id, nonce, tag.
const SEAL: usize = 1 + 12 + 16;
/// A sealed hash of a password.
const PASSWORD: usize = SEAL + 1 + 12 + 16 + 32;
const FAILURES_MAX: i64 = 4;

/// Ids of the sealing keys below a data directory; none: there are no keys here, as with a backup.
pub(crate) fn keys(data: &Path) -> BTreeSet<u8> {
    let Ok(entries) = std::fs::read_dir(data.join("keys/sealing")) else { return BTreeSet::new() };
    let id = |name: std::ffi::OsString| name.to_str()?.strip_suffix(".key")?.parse().ok();
    entries.flatten().filter_map(|entry| id(entry.file_name())).collect()
}

/// Checks every user and every blind index.
pub(crate) fn check(
    from: Source<'_>,
    clock: i64,
    keys: &BTreeSet<u8>,
    book: &mut Book,
) -> Result<(), Error> {
    from.watch.phase("users");
    let sql = "SELECT u.id, u.state, u.generation, u.barred, u.failures, u.locked_until, \
               u.created_at, u.changed_at, e.user, u.password, u.email, u.name, \
               ifnull(u.phone, u.name), ifnull(u.address, u.name) \
               FROM users u LEFT JOIN user_email e \
               ON e.index_high = u.index_high AND e.index_low = u.index_low ORDER BY u.id";
    scan(from, book, sql, |cells, book| {
        let id = cells.int()?;
        row(id, cells, clock, book)?;
        if cells.int_or_null()? != Some(id) {
            let detail = "its e-mail address does not lead to it".to_owned();
            book.find(FOUND, ids::show("usr", id), detail);
        }
        sealed(id, cells, keys, book)
    })?;
    let sql = "SELECT e.user, u.id FROM user_email e LEFT JOIN users u ON u.id = e.user \
               AND u.index_high = e.index_high AND u.index_low = e.index_low \
               WHERE e.user IS NOT NULL";
    scan(from, book, sql, |cells, book| {
        let (user, found) = (cells.int()?, cells.int_or_null()?);
        if found.is_none() {
            let detail = "an e-mail address leads to it, and it has another, or is not there";
            book.find(HOLDER, ids::show("usr", user), detail.to_owned());
        }
        Ok(())
    })?;
    Ok(())
}

fn row(id: i64, cells: &mut Cells<'_>, clock: i64, book: &mut Book) -> Result<(), Unreadable> {
    let (state, generation) = (cells.int_in(1..=2)?, cells.int_in(0..=i64::MAX)?);
    let (barred, failures) = (cells.int_in(0..=1)?, cells.int()?);
    let (locked_until, created, changed) = (cells.int_or_null()?, cells.int()?, cells.int()?);
    let user = || ids::show("usr", id);
    if (barred == 1) != (state == 2 || generation > 0) {
        let detail = format!("barred {barred} in state {state} and generation {generation}");
        book.find(BARRED, user(), detail);
    }
    if !(0..=FAILURES_MAX).contains(&failures) || locked_until.is_some() && failures > 0 {
        book.find(FAILURES, user(), format!("{failures}, locked until {locked_until:?}"));
    }
    if created > changed || changed > clock {
        book.find(TIME, user(), format!("made at {created}, changed at {changed}"));
    }
    Ok(())
}

fn sealed(
    id: i64,
    cells: &mut Cells<'_>,
    keys: &BTreeSet<u8>,
    book: &mut Book,
) -> Result<(), Unreadable> {
    let password = cells.blob()?;
    if password.len() != PASSWORD {
        let detail = format!("password: {} bytes, not {PASSWORD}", password.len());
        book.find(SEALED, ids::show("usr", id), detail);
    }
    let columns = [("password", password), ("email", cells.blob()?), ("name", cells.blob()?)];
    let columns = columns.into_iter().chain([("phone", cells.blob()?), ("address", cells.blob()?)]);
    for (column, bytes) in columns {
        let key = bytes.first().copied().unwrap_or(0);
        let known = if keys.is_empty() { key > 0 } else { keys.contains(&key) };
        if !known || bytes.len() < SEAL {
            let detail = format!("{column}: {} bytes, key {key:03}", bytes.len());
            book.find(SEALED, ids::show("usr", id), detail);
        }
    }
    Ok(())
}
